"""Output spikes of the last layer, and the energy that papers estimate."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

import naive_studies
import spikex_sim as sx
from command import REPOSITORY
from spikex_sim.testing.own_keys import own
from study_traces import CLASSES, FLOAT, NEURON, SPIKES, WEIGHTS, T, a_trace, layers, outputs_of

SPIKING = ("spikex", "ptb", "sata", "systolic-os", "systolic-ws", "systolic-is")
E_AC = {"default": 0.159348, "sata": 0.02511 / 400e6 * 1e9}
"""Energy of an addition, pJ: row of the default table; published mW / Hz."""


class TestOutputs:
    @pytest.mark.parametrize(
        ("arch", "neuron"), [*((arch, NEURON) for arch in SPIKING), ("spikex", FLOAT), ("systolic-ws", FLOAT)]
    )
    def test_spikes_of_the_last_layer(self, arch: str, neuron: Any) -> None:
        result = sx.simulate(a_trace(neuron=neuron), arch)
        assert result.outputs is not None and result.outputs.shape == (6, CLASSES, 2)
        assert not result.outputs.flags.writeable
        for sample, spikes in enumerate(SPIKES):
            wanted = np.packbits(outputs_of(spikes, neuron)[-1], axis=-1)
            assert np.array_equal(result.outputs[sample], wanted)
        assert "outputs" not in result.to_dict()

    def test_none_without_weights_or_spikes(self) -> None:
        recorded = {0: SPIKES, 2: SPIKES.reshape(6, 60, T)[:, :20]}
        assert sx.simulate(a_trace(recorded, weights=WEIGHTS[:1])).outputs is None
        known = sx.simulate(a_trace(recorded, weights=[None, *WEIGHTS[1:]])).outputs
        assert known is not None and len(known) == 6
        assert sx.simulate(a_trace(), "ann").outputs is None

    def test_pooling_after_the_last_layer_is_left_out(self) -> None:
        cut = sx.Trace.from_arrays(layers(NEURON)[:2], SPIKES[0], weights=WEIGHTS[:1])
        found = sx.simulate(cut).outputs
        assert found is not None
        assert np.array_equal(found[0], np.packbits(outputs_of(SPIKES[0])[0], axis=-1))

    @pytest.mark.parametrize("arch", SPIKING)
    @pytest.mark.parametrize("timesteps", [1, 5, 8, 12])
    def test_first_time_points_give_the_first_outputs(self, arch: str, timesteps: int) -> None:
        keys = own(arch, {"tws": 1})
        whole, cut = (
            sx.simulate(trace, arch, overrides=keys) for trace in (a_trace(), a_trace().first(timesteps))
        )
        assert whole.outputs is not None and cut.outputs is not None
        bits = np.unpackbits(whole.outputs, axis=-1)[..., :timesteps]
        assert np.array_equal(np.packbits(bits, axis=-1), cut.outputs)


class TestEstimate:
    """Against ``FLOPs x T x (1 - sparsity) x E_AC``, with spikes by the oracle and energies by hand."""

    @pytest.mark.parametrize("arch", SPIKING)
    def test_of_every_layer(self, arch: str) -> None:
        e_ac = E_AC["sata" if arch == "sata" else "default"]
        result = sx.simulate(a_trace(), arch)
        wanted = [0.0, 0.0, 0.0]
        for spikes in SPIKES:
            entering = [spikes, None, outputs_of(spikes)[1].reshape(20, T)]
            for index in (0, 2):
                wanted[index] += naive_studies.estimate_pj(layers(NEURON)[index], entering[index], e_ac)
        assert [layer.estimate_pj for layer in result.layers] == pytest.approx(wanted)
        totals = result.totals
        assert totals.estimate_pj == pytest.approx(sum(wanted))
        assert totals.estimate_pj == pytest.approx(sum(sample.estimate_pj or 0 for sample in result.samples))
        assert totals.estimate_factor == pytest.approx(totals.energy_pj / sum(wanted))
        assert totals.estimate_factor_on_chip == pytest.approx(totals.energy_on_chip_pj / sum(wanted))
        written = result.to_dict()["totals"]
        for key in ("estimate_pj", "estimate_factor", "estimate_factor_on_chip"):
            assert written[key] == getattr(totals, key)
        rows = [row["estimate_pj"] for row in result.layer_rows()]
        assert rows == [layer["estimate_pj"] for layer in result.to_dict()["layers"]]

    def test_of_a_float_layer_is_at_the_energy_of_a_float_addition(self) -> None:
        with (REPOSITORY / "spikex_sim/costs/tables/logic.csv").open(newline="") as file:
            (float_add,) = (row for row in csv.DictReader(file) if row["component"] == "float_add")
        found = sx.simulate(a_trace(SPIKES[0], 0, FLOAT)).layers[0].estimate_pj
        energy = float(float_add["energy_pj"])
        assert found == pytest.approx(naive_studies.estimate_pj(layers(FLOAT)[0], SPIKES[0], energy))

    def test_of_inputs_that_spike_once_on_a_time_serial_machine(self) -> None:
        once = SPIKES[0] & (SPIKES[0].cumsum(axis=-1) == 1)
        trace = sx.Trace.from_arrays(layers(NEURON)[:1], once)
        found, other = (sx.simulate(trace, arch).totals.estimate_pj for arch in ("spinalflow", "spikex"))
        assert (
            found
            == other
            == pytest.approx(naive_studies.estimate_pj(layers(NEURON)[0], once, E_AC["default"]))
        )

    def test_none_without_spikes_to_count(self) -> None:
        ann = sx.simulate(a_trace(), "ann")
        found = [layer.estimate_pj for layer in ann.layers]
        assert found == [None, 0.0, None]
        assert (ann.totals.estimate_pj, ann.totals.estimate_factor) == (None, None)
        silent = sx.simulate(a_trace(np.zeros((2, 6, 5, T), bool), 0)).totals
        assert (silent.estimate_pj, silent.estimate_factor, silent.estimate_factor_on_chip) == (0, None, None)

    def test_a_dense_machine_that_spikes_always_meets_it(self) -> None:
        """With every input spiking the additions alone cost what is estimated."""
        busy = sx.Trace.from_arrays(layers(NEURON)[:1], np.ones((2, 6, 5, T), bool))
        result = sx.simulate(busy, "systolic-os")
        additions = result.totals.accumulations * E_AC["default"]
        assert result.totals.estimate_pj == pytest.approx(additions)
