"""Non-ideal arrays of a whole network: programmed once, calibrated once (docs/imc.md, Section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.tags import window_spikes
from spikex_sim.run.chip_network import Network
from spikex_sim.run.replay import check_weights
from spikex_sim.schedules.crossbar.nonideal.adaptation import Affine, Moments
from spikex_sim.schedules.crossbar.nonideal.program import Programmed, program, sample_id
from spikex_sim.schedules.crossbar.nonideal.shift import shift_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule, schedule_of
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.together import AnyTrace, as_traces
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Weights:
    """Integer weights of a layer, its neurons, and what a unit is worth in the float datapath.

    Attributes
    ----------
    integers : integer array
        Weights.
    synapses : Synapses
        The same with bias and neurons.
    scale : float32 or None
        None in the integer datapath.
    """

    integers: NDArray[Any]
    synapses: Synapses
    scale: np.float32 | None

    @classmethod
    def of(cls, stage: Stage, arch: CrossbarOptions) -> Weights:
        """Weights of a layer that has some; those of the float datapath quantised.

        Raises
        ------
        ConfigError
            If integer weights do not fit ``weight_bits``.
        """
        layer = stage.layer
        assert layer.neuron is not None and stage.weight is not None
        integers, scale = as_integers(stage.weight, arch.weight_bits)
        check_weights(f"layer {layer.name}", integers, arch)
        synapses = Synapses.of(integers, stage.bias, layer.neuron, arch.potential_bits)
        return cls(integers, synapses, scale)

    def currents(self, sums: NDArray[Any]) -> NDArray[Any]:
        """What neurons take for integer sums."""
        return sums if self.scale is None else self.scale * sums.astype(np.float32)


def as_integers(weight: NDArray[Any], weight_bits: int) -> tuple[NDArray[Any], np.float32 | None]:
    """Integer weights of a layer, and what one of them is worth in the float datapath (None of integers).

    A float layer is quantised with one scale, its largest weight being the largest integer.
    """
    if weight.dtype.kind == "i":
        return weight, None
    most = (1 << (weight_bits - 1)) - 1
    if most == 0:
        raise ConfigError("is 1: float weights need at least 2 bits", field="weight_bits")
    scale = float(np.abs(weight).max()) / most
    if scale == 0:
        return np.zeros(weight.shape, np.int8), np.float32(0)
    found = np.floor(weight.astype(np.float64) / scale + 0.5)
    return np.clip(found, -most - 1, most).astype(np.int8), np.float32(scale)


def task_of(
    stage: Stage, entered: PackedSpikes, timesteps: int, arch: CrossbarOptions, *, first: bool
) -> Task:
    """What a chip is asked to do for a layer."""
    layer = stage.layer
    assert layer.neuron is not None
    return Task.of(
        layer.name, geometry_of(layer), window_spikes(entered, timesteps, 1), layer.out_channels, arch,
        datapath=layer.neuron.datapath, silence_is_free=stage.silence_is_free, is_first=first,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ArrayLayer:
    """The arrays of one layer.

    Attributes
    ----------
    programmed : Programmed
        As written.
    shift : int
        Right shift of codes.
    affine : Affine or None
        Adaptation of sums.
    """

    programmed: Programmed
    shift: int
    affine: Affine | None = None

    def sums(
        self, schedule: CrossbarSchedule, entered: PackedSpikes, sample: int, *, calibrating: bool = False
    ) -> NDArray[np.int64]:
        """Sums ``[points, P M]`` for the spikes of a sample ``[C, ..., ceil(T/8)]``."""
        geometry, timesteps = schedule.geometry, schedule.spikes.timesteps
        packed = entered.reshape(geometry.channels, geometry.in_height, geometry.in_width, -1)
        found = self.programmed.sums(
            geometry,
            packed,
            timesteps,
            sample,
            shift=self.shift,
            calibrating=calibrating,
            once=schedule.direct,
        )
        if self.affine is not None:
            found = self.affine(found)
        return found.reshape(timesteps, -1)


@dataclass(frozen=True, eq=False)
class Arrays:
    """The arrays of all layers of a network.

    Attributes
    ----------
    layers : tuple of ArrayLayer
        In order.
    calibrated_on : int
        Samples that shifts and adaptation were calibrated on; 0 where nothing had to be.
    """

    layers: tuple[ArrayLayer, ...]
    calibrated_on: int

    @classmethod
    def of(
        cls, network: Network, stages: Sequence[Stage], weights: Sequence[Weights], given: Sequence[AnyTrace],
        arch: CrossbarOptions,
    ) -> Arrays:  # fmt: skip
        """Program a network's arrays, and calibrate them.

        Parameters
        ----------
        network : Network
            Where weights lie.
        stages : sequence of Stage
            Its layers, pooling included.
        weights : sequence of Weights
            Of conv and linear layers.
        given : sequence of Trace
            What is to run; its first sample serves where ``imc.calibration`` names nothing.
        arch : CrossbarOptions
            Configuration.

        Raises
        ------
        ConfigError
            If cells cannot hold a weight, or calibration samples are of another network.
        """
        adc = arch.imc.adc
        adapts = arch.imc.adapt == "channel"
        samples = list[_Sample]()
        if adapts or (adc.bits != "auto" and adc.range == "auto"):
            samples = _samples(given, arch)
        found = list[ArrayLayer]()
        for index, stage in enumerate(stages):
            if stage.layer.is_pool:
                if stage.layer.kind == "maxpool":
                    samples = [one.pooled(stage) for one in samples]
                continue
            number = len(found)
            mapped, weight = network.layers[number], weights[number]
            assert mapped.stage == index
            programmed = program(stage.name, mapped.mapping, weight.integers, arch, number)
            schedules = [one.schedules(stage, arch, first=number == 0) for one in samples]
            shift = shift_of(
                programmed, mapped.geometry, [one.software.reshape(*_shape(mapped), -1) for one in samples],
                given[0].timesteps, once=[one.direct for one, _ in schedules],
            )  # fmt: skip
            layer = ArrayLayer(programmed, shift)
            if adapts:
                layer = replace(layer, affine=_affine(layer, weight, samples, schedules))
            found.append(layer)
            if adapts or (adc.bits != "auto" and adc.range == "auto"):
                each = zip(samples, schedules, strict=True)
                samples = [one.after(layer, weight, *both, adapts=adapts) for one, both in each]
        return cls(tuple(found), len(samples))


def _shape(mapped: Any) -> tuple[int, int, int]:
    geometry = mapped.geometry
    return geometry.channels, geometry.in_height, geometry.in_width


@dataclass(frozen=True, eq=False)
class _Sample:
    """A calibration sample on its way: what enters the next layer in software, and on the arrays."""

    number: int
    timesteps: int
    software: PackedSpikes
    hardware: PackedSpikes

    def pooled(self, stage: Stage) -> _Sample:
        """Behind a pooling layer."""
        shape = stage.layer.input_shape
        both = (
            maxpool_packed(stage.layer, one.reshape(*shape, -1)) for one in (self.software, self.hardware)
        )
        return _Sample(self.number, self.timesteps, *both)

    def schedules(
        self, stage: Stage, arch: CrossbarOptions, *, first: bool
    ) -> tuple[CrossbarSchedule, CrossbarSchedule]:
        """Schedules of a layer in software and on the arrays."""
        shape = stage.layer.input_shape
        software, hardware = (
            schedule_of(task_of(stage, one.reshape(*shape, -1), self.timesteps, arch, first=first), arch)
            for one in (self.software, self.hardware)
        )
        return software, hardware

    def after(
        self, layer: ArrayLayer, weight: Weights, software: CrossbarSchedule, hardware: CrossbarSchedule, *,
        adapts: bool,
    ) -> _Sample:  # fmt: skip
        """Behind a conv or linear layer."""
        exact, _ = software.integrate(weight.synapses)
        ideal = software.fire(weight.currents(exact), weight.synapses)
        if not adapts:
            return _Sample(self.number, self.timesteps, ideal, ideal)
        sums = layer.sums(hardware, self.hardware, self.number, calibrating=True)
        real = hardware.fire(weight.currents(sums), weight.synapses)
        return _Sample(self.number, self.timesteps, ideal, real)


def _affine(
    layer: ArrayLayer, weight: Weights, samples: Sequence[_Sample],
    schedules: Sequence[tuple[CrossbarSchedule, CrossbarSchedule]],
) -> Affine:  # fmt: skip
    """Adaptation of a layer, from the sums of calibration samples in software and on the arrays."""
    software, hardware = list[Moments](), list[Moments]()
    lanes = weight.synapses.out_channels
    for one, (ideal, real) in zip(samples, schedules, strict=True):
        exact, _ = ideal.integrate(weight.synapses)
        software.append(Moments.of(exact.reshape(len(exact), -1, lanes).astype(np.int64), once=ideal.direct))
        sums = layer.sums(real, one.hardware, one.number, calibrating=True)
        hardware.append(Moments.of(sums.reshape(len(sums), -1, lanes), once=real.direct))
    totals = [sum(each[1:], each[0]) for each in (software, hardware)]
    return Affine.of(*totals)


def _samples(given: Sequence[AnyTrace], arch: CrossbarOptions) -> list[_Sample]:
    """Samples to calibrate on."""
    place = arch.imc.calibration
    if place is None:
        first = given[0]
        assert isinstance(first, Trace)
        return [_sample(first, 0)]
    network, found = given[0], list[_Sample]()
    for one in as_traces(place):
        if not isinstance(one, Trace) or not isinstance(network, Trace) or one.layers != network.layers:
            raise ConfigError(
                f"{place} is of another network than {network.name}; give traces with its layers",
                where=arch.name, field="imc.calibration",
            )  # fmt: skip
        if one.timesteps != network.timesteps:
            raise ConfigError(
                f"{place} has {one.timesteps} time points, and {network.name} has {network.timesteps}",
                where=arch.name, field="imc.calibration",
            )  # fmt: skip
        found += [_sample(one, sample) for sample in range(one.samples)]
    return found


def _sample(trace: Trace, sample: int) -> _Sample:
    packed = trace.inputs[0][sample]
    return _Sample(sample_id(packed), trace.timesteps, packed, packed)


def check_closed_loop(stages: Sequence[Stage], arch: CrossbarOptions, where: str) -> None:
    """Raise :class:`TraceError` unless all layers have the weights that non-ideal arrays are made of."""
    for stage in stages:
        if not stage.layer.is_pool and stage.weight is None:
            raise TraceError(
                f"layer {stage.name} has no weights, and imc.arrays of {arch.name} is nonideal; record the "
                "trace with weights, or choose ideal",
                where=where, field=f"{stage.name}/weight",
            )  # fmt: skip
