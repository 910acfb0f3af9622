"""Arrays that are not ideal against the slow oracle: shifts, sums, adaptation, and the closed loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given

from examples import examples
from imc_strategies import Drawn, runs
from naive import Bools
from naive_imc import is_direct
from naive_imc_net import INPUT, Passed
from naive_imc_net import sample_id as naive_sample_id
from naive_nice_run import Hardware
from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.adaptation import Affine, Moments
from spikex_sim.schedules.crossbar.nonideal.program import Programmed, program, sample_id
from spikex_sim.schedules.crossbar.nonideal.shift import shift_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions


def options_of(changes: dict[str, Any]) -> CrossbarOptions:
    """Configuration of dotted keys."""
    data: dict[str, Any] = {"name": "test"}
    for key, value in changes.items():
        *sections, last = key.split(".")
        into = data
        for section in sections:
            into = into.setdefault(section, {})
        into[last] = value
    return CrossbarOptions.model_validate(data)


class Loop:
    """The network of an oracle on the package's arrays, calibrated."""

    def __init__(self, hardware: Hardware, changes: dict[str, Any], calibration: list[Bools]) -> None:
        self.machine, self.config = hardware.machine, hardware.config
        self.arch = options_of(changes)
        self.layers: list[tuple[Programmed, Geometry]] = []
        self.shifts: list[int] = []
        self.affines: list[Affine | None] = []
        software = [self.machine.software(sample) for sample in calibration]
        for index, synapses in enumerate(self.machine.synapses):
            shape = synapses.shape
            geometry = Geometry(
                shape.C, shape.H, shape.W, *shape.kernel, *shape.stride, *shape.padding, shape.H_o, shape.W_o
            )
            name = synapses.layer["name"]
            mapping = LayerMapping.of(name, geometry, shape.M, self.arch)
            weight = synapses.w.transpose(0, 2, 1).reshape(shape.M, shape.C, *shape.kernel)
            programmed = program(name, mapping, weight, self.arch, index)
            self.layers.append((programmed, geometry))
            inputs = [passed[index].spikes for passed in software]
            self.shifts.append(
                shift_of(
                    programmed, geometry, [np.packbits(one, axis=-1) for one in inputs], inputs[0].shape[-1],
                    once=[self.once(index, one) for one in inputs],
                )
            )  # fmt: skip
        outputs: list[dict[str, Bools]] = [{INPUT: sample} for sample in calibration]
        for index in range(len(self.layers)):
            self.affines.append(self.adapt(index, calibration, software, outputs))
            for sample, before in zip(calibration, outputs, strict=True):
                self.layer(index, before, sample, calibrating=True)

    def once(self, index: int, spikes: Bools) -> bool:
        return is_direct(spikes, self.config, index == 0)

    def sums(self, index: int, spikes: Bools, sample: Bools, *, calibrating: bool) -> Any:
        programmed, geometry = self.layers[index]
        return programmed.sums(
            geometry, np.packbits(spikes, axis=-1), spikes.shape[-1], sample_id(np.packbits(sample, axis=-1)),
            shift=self.shifts[index], calibrating=calibrating, once=self.once(index, spikes),
        )  # fmt: skip

    def entering(self, index: int, outputs: dict[str, Bools]) -> Bools:
        return self.machine.net.entering(self.machine.synapses[index].layer["name"], outputs)

    def adapt(
        self,
        index: int,
        calibration: list[Bools],
        software: list[list[Passed]],
        outputs: list[dict[str, Bools]],
    ) -> Affine | None:
        if self.arch.imc.adapt == "none":
            return None
        soft, hard = [], []
        for sample, passed, before in zip(calibration, software, outputs, strict=True):
            spikes = self.entering(index, before)
            sums = self.sums(index, spikes, sample, calibrating=True)
            hard.append(Moments.of(sums, once=self.once(index, spikes)))
            ideal = passed[index].sums.transpose(2, 1, 0)
            soft.append(Moments.of(ideal, once=self.once(index, passed[index].spikes)))
        return Affine.of(sum(soft[1:], soft[0]), sum(hard[1:], hard[0]))

    def layer(self, index: int, outputs: dict[str, Bools], sample: Bools, *, calibrating: bool) -> Bools:
        sums = self.sums(index, self.entering(index, outputs), sample, calibrating=calibrating)
        affine = self.affines[index]
        if affine is not None:
            sums = affine(sums)
        synapses = self.machine.synapses[index]
        fired = synapses.fire(sums.transpose(2, 1, 0))
        outputs[synapses.layer["name"]] = fired
        return fired


@pytest.mark.kernels
@given(runs(nonideal=True, residual=True, most=3))
@examples(40)
def test_closed_loop_against_the_oracle(drawn: Drawn) -> None:
    calibration = drawn.calibration or drawn.samples[:1]
    hardware = Hardware(drawn.layers, drawn.config, calibration)
    loop = Loop(hardware, drawn.changes, calibration)
    assert loop.shifts == hardware.shifts
    event(f"shift {max(loop.shifts)}")
    for affine, statistics in zip(loop.affines, hardware.statistics, strict=True):
        assert (affine is None) == (statistics is None)
        if affine is not None and statistics is not None:
            factors = [soft / hard if hard else 1.0 for _, soft, _, hard in statistics]
            assert affine.factors.tolist() == factors
            assert affine.software_means.tolist() == [one[0] for one in statistics]
            assert affine.hardware_means.tolist() == [one[2] for one in statistics]
    for sample in drawn.samples:
        assert sample_id(np.packbits(sample, axis=-1)) == naive_sample_id(sample)
        outputs: dict[str, Bools] = {INPUT: sample}
        software = loop.machine.software(sample)
        changed = False
        for index, expected in enumerate(hardware.run(sample)):
            raw = hardware.raw(index, expected.spikes, naive_sample_id(sample), 0)
            found = loop.sums(index, expected.spikes, sample, calibrating=False)
            assert np.array_equal(found.transpose(2, 1, 0)[..., : raw.shape[-1]], raw)
            assert np.array_equal(loop.layer(index, outputs, sample, calibrating=False), expected.out)
            changed |= bool((expected.out != software[index].out).any())
        event(f"spikes changed: {changed}")
