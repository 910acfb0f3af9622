"""Costs of searched networks on machines that replay their spikes (Section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from nas_scorers import names
from spikex_sim.core.errors import TraceError
from spikex_sim.explore.nas.cells import SPACES
from spikex_sim.explore.nas.costs import Script, costs_of, script_of
from spikex_sim.explore.nas.forms import Form, canonical
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro, dataset_of
from spikex_sim.explore.nas.replay import network_trace
from spikex_sim.explore.nas.scores import Recorded


def form(cell: str) -> Form:
    return canonical(SPACES["neuronas"].parse(cell)).form


def recorded(macro: Macro, a: Form, b: Form, rate: float = 0.1) -> list[Recorded]:
    rng, found = np.random.default_rng(0), []
    for layer, name in zip(macro.convolutions(a.kernels, b.kernels)[1:], names(a, b), strict=True):
        shape = (macro.timesteps, layer.in_channels, layer.in_side, layer.in_side)
        found.append(Recorded(name, layer, rng.random(shape) < rate))
    return found


@pytest.mark.parametrize(
    ("a", "b", "channels", "timesteps", "bits"),
    [("110000", "100000", 128, 5, 4), ("111111", "110021", 66, 2, 8), ("000000", "000000", 8, 3, 5)],
)
def test_the_crossbar_model_run_on_the_network_gives_the_formulas(
    a: str, b: str, channels: int, timesteps: int, bits: int
) -> None:
    """The trace of all convolutions, replayed by SpikeSim's script; area once more for slices."""
    macro, (one, two) = Macro(channels=channels, timesteps=timesteps), map(form, (a, b))
    keys = {"imc.precision_factor": True, "imc.released_dims": "conv", "weight_bits": bits}
    trace = network_trace(macro, recorded(macro, one, two, 0.0))
    totals = sx.simulate(trace, "spikesim-released", overrides=keys).totals
    script = Script.of(script_of("spikesim-released"))
    wanted = costs_of(macro, script, bits, one.kernels, two.kernels)
    assert totals.energy_pj / 1e6 == pytest.approx(wanted.energy_uj, rel=1e-9)
    assert totals.seconds * 1e3 == pytest.approx(wanted.latency_ms, rel=1e-9)
    assert totals.area_mm2 * script.slices(bits) == pytest.approx(wanted.area_mm2, rel=1e-9)


def test_layers_are_the_convolutions_with_the_spikes_they_took() -> None:
    macro, (a, b) = Macro(channels=5, timesteps=3), map(form, ("110021", "112000"))
    made = recorded(macro, a, b)
    trace = network_trace(macro, made)
    wanted = macro.convolutions(a.kernels, b.kernels)
    assert [layer.name for layer in trace.layers] == ["stem", *names(a, b)]
    for layer, one in zip(trace.layers, wanted, strict=True):
        assert (layer.in_channels, layer.out_channels, layer.in_height, layer.out_width, layer.kernel) == (
            one.in_channels, one.out_channels, one.in_side, one.out_side, (one.kernel,) * 2
        )  # fmt: skip
    result = sx.simulate(trace, "systolic-os")
    assert [layer.input_spikes for layer in result.layers] == [
        3 * 3 * 32 * 32, *(int(one.spikes.sum()) for one in made)
    ]  # fmt: skip
    spikes = np.unpackbits(trace.inputs[2], axis=-1, count=3)[0]
    assert np.array_equal(spikes, np.moveaxis(made[1].spikes, 0, -1))


def test_the_image_enters_crossbars_once_and_other_machines_at_every_time_point() -> None:
    macro, (a, b) = Macro(channels=4, timesteps=4), map(form, ("000000", "000000"))
    trace = network_trace(macro, recorded(macro, a, b))
    stem = sx.simulate(trace, "spikesim").layers[0]
    once = sx.simulate(trace.first(1), "spikesim").layers[0]
    assert stem.imc is not None and once.imc is not None
    assert stem.imc["counts"]["reads"] == once.imc["counts"]["reads"] > 0
    dense = sx.simulate(trace, "spikex").layers[0].operations.accumulations
    assert dense == 4 * 4 * 3 * (3 * 32 - 2) ** 2


@pytest.mark.parametrize("arch", ["spikesim", "neuronas", "spikex", "ptb", "systolic-os", "sata"])
def test_more_spikes_cost_no_less_and_limits_are_of_known_costs(arch: str) -> None:
    macro, (a, b) = Macro(channels=4, timesteps=2), map(form, ("010020", "100000"))
    machine = Machine.of(arch, 8, 2)
    silent, few, many = (machine.of_spikes(macro, recorded(macro, a, b, rate)) for rate in (0, 0.02, 0.5))
    assert silent.energy_uj < few.energy_uj < many.energy_uj or arch == "systolic-os"
    assert silent.latency_ms <= few.latency_ms <= many.latency_ms
    assert few.parameters == machine.of_shapes(macro, a, b).parameters == 27 * 4 + 18 * 16 + 9 * 16 + 36 * 16
    assert np.isnan(machine.of_shapes(macro, a, b).energy_uj)
    narrow = Machine.of(arch, 2, 2).of_spikes(macro, recorded(macro, a, b, 0.5))
    assert narrow.energy_uj < many.energy_uj
    assert np.isnan(many.area_mm2) == (arch not in ("spikesim", "neuronas"))


def test_images_of_64_pixels_have_a_stride() -> None:
    macro = Macro(dataset_of("tinyimagenet"), 4, 2)
    none = form("000000")
    trace = network_trace(macro, recorded(macro, none, none))
    assert (trace.layers[0].in_height, trace.layers[0].out_height) == (64, 32)


def test_spikes_that_do_not_fit_are_refused() -> None:
    macro, none = Macro(channels=4, timesteps=2), form("000000")
    [down] = recorded(macro, none, none)
    wrong: Sequence[Any] = [replace(down, spikes=down.spikes[:, :3])]
    with pytest.raises(TraceError, match="searched network"):
        network_trace(macro, wrong)
