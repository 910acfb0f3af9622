"""The slow oracle of in-memory computing: a network whose arrays are not ideal, in closed loop (§4).

Written from the text on in-memory computing alone (cited as "§n"), independently of the package and sharing
no code with it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive import Bools, Layer
from naive_imc import Config, is_direct
from naive_imc_net import INPUT, Machine, Passed, sample_id
from naive_imc_time import exact
from naive_nice import CALIBRATION, READ, Arrays, adapted, moments

Statistics = tuple[float, float, float, float]


class Hardware:
    """A network on arrays that are not ideal.

    Parameters
    ----------
    layers, config
        As for `naive_imc_net.Machine`.
    calibration
        Samples to calibrate on; without `calibration` the run's first sample serves.
    """

    def __init__(self, layers: list[Layer], config: Config, calibration: list[Bools]) -> None:
        self.machine, self.config = Machine(layers, config), config
        self.arrays = [
            Arrays(mapped, synapses.w, index)
            for index, (mapped, synapses) in enumerate(
                zip(self.machine.mapped, self.machine.synapses, strict=True)
            )
        ]
        software = [self.machine.software(sample) for sample in calibration]
        self.shifts = [
            self.shift(index, [passed[index].spikes for passed in software])
            for index in range(len(self.arrays))
        ]
        self.statistics: list[list[Statistics] | None] = [None] * len(self.arrays)
        if config["imc.adapt"] == "channel":
            self.adapt(calibration, software)

    def points(self, index: int, spikes: Bools) -> range:
        """Time points at which a layer converts: one for a direct layer (§4)."""
        return range(1 if is_direct(spikes, self.config, index == 0) else spikes.shape[-1])

    def shift(self, index: int, entering: list[Bools]) -> int:
        """``s`` of a layer's ADCs (`adc.range`)."""
        arrays, bits = self.arrays[index], self.config["imc.adc.bits"]
        if bits == "auto":
            return 0
        if self.config["imc.adc.range"] != "auto":
            return int(self.config["imc.adc.range"])
        sums: list[int] = []
        for spikes in entering:
            taps = arrays.mapped.shape.taps(spikes)
            for t in self.points(index, spikes):
                for p in range(arrays.mapped.shape.P):
                    sums += arrays.exact_column_sums(taps, p, t)
        allowed: Fraction = exact(self.config["imc.adc.clip"]) * len(sums)
        s = 0
        while sum(one > (2 ** int(bits) - 1) * 2**s for one in sums) > allowed:
            s += 1
        return s

    def raw(self, index: int, spikes: Bools, sample: int, purpose: int) -> NDArray[Any]:
        """Sums of a layer as they come out of the arrays, at the time points at which it converts."""
        points = self.points(index, spikes)
        return self.arrays[index].sums(spikes, points, sample, purpose, self.shifts[index])

    def run_layer(self, index: int, outputs: dict[str, Bools], sample: int, purpose: int) -> Passed:
        """One layer: sums, adaptation, bias and LIF; its output joins the others."""
        synapses = self.machine.synapses[index]
        name = synapses.layer["name"]
        spikes = self.machine.net.entering(name, outputs)
        sums = self.raw(index, spikes, sample, purpose)
        statistics = self.statistics[index]
        if statistics is not None:
            for m, of_channel in enumerate(statistics):
                sums[m] = np.vectorize(lambda y, of=of_channel: adapted(int(y), of), otypes=[np.int64])(
                    sums[m]
                )
        if sums.shape[-1] != spikes.shape[-1]:  # direct: the sums of t = 0, noise and all, serve every t
            sums = np.repeat(sums[..., :1], spikes.shape[-1], axis=-1)
        outputs[name] = synapses.fire(sums)
        return Passed(spikes, sums, outputs[name])

    def adapt(self, calibration: list[Bools], software: list[list[Passed]]) -> None:
        """Adapt layer after layer: hardware with adapted layers before it, against software (§4)."""
        outputs: list[dict[str, Bools]] = [{INPUT: sample} for sample in calibration]
        for index, synapses in enumerate(self.machine.synapses):
            soft: list[list[int]] = [[] for _ in range(synapses.shape.M)]
            hard: list[list[int]] = [[] for _ in range(synapses.shape.M)]
            for sample, passed, before in zip(calibration, software, outputs, strict=True):
                entering = self.machine.net.entering(synapses.layer["name"], before)
                y_h = self.raw(index, entering, sample_id(sample), CALIBRATION)
                y_s = passed[index].sums[..., self.points(index, passed[index].spikes)]
                for m in range(synapses.shape.M):
                    soft[m] += [int(y) for y in y_s[m].ravel()]
                    hard[m] += [int(y) for y in y_h[m].ravel()]
            self.statistics[index] = [(*moments(soft[m]), *moments(hard[m])) for m in range(synapses.shape.M)]
            for sample, before in zip(calibration, outputs, strict=True):
                self.run_layer(index, before, sample_id(sample), CALIBRATION)

    def run(self, sample: Bools) -> list[Passed]:
        """Pass one sample: the spikes that come out are the next layer's input."""
        outputs = {INPUT: sample}
        return [self.run_layer(index, outputs, sample_id(sample), READ) for index in range(len(self.arrays))]


def passes(
    layers: list[Layer], samples: list[Bools], config: Config, calibration: list[Bools] | None = None
) -> list[list[Passed]]:
    """Every layer of every sample, by arrays as the configuration says."""
    if config["imc.arrays"] == "ideal":
        machine = Machine(layers, config)
        return [machine.software(sample) for sample in samples]
    hardware = Hardware(layers, config, calibration or samples[:1])
    return [hardware.run(sample) for sample in samples]


def changed_spikes(
    layers: list[Layer], samples: list[Bools], config: Config, passed: list[list[Passed]]
) -> list[int]:
    """Output spikes of every layer that differ from the software's closed loop (§5)."""
    machine = Machine(layers, config)
    changed = [0] * len(machine.mapped)
    for sample, of_sample in zip(samples, passed, strict=True):
        for index, (soft, hard) in enumerate(zip(machine.software(sample), of_sample, strict=True)):
            changed[index] += int((soft.out != hard.out).sum())
    return changed
