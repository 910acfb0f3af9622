"""Non-ideal arrays of a whole network: programmed once, calibrated once (docs/imc.md, Section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.run.chip_network import Network
from spikex_sim.run.passage import Entered, Passage
from spikex_sim.run.replay import check_weights
from spikex_sim.schedules.crossbar.nonideal.adaptation import Affine, Moments
from spikex_sim.schedules.crossbar.nonideal.codes import check_held
from spikex_sim.schedules.crossbar.nonideal.program import Programmed, program
from spikex_sim.schedules.crossbar.nonideal.shift import shift_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions, ImcMachine
from spikex_sim.schedules.crossbar.quantize import as_integers
from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.graph import InputNode
from spikex_sim.trace.together import AnyTrace, as_traces
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Weights:
    """Integer weights of a layer, its neurons, and what a unit is worth in the float datapath.

    Attributes
    ----------
    name : str
        Of the layer, in messages.
    integers : integer array
        Weights.
    synapses : Synapses
        The same with bias and neurons.
    scale : float32 or None
        None in the integer datapath.
    """

    name: str
    integers: NDArray[Any]
    synapses: Synapses
    scale: np.float32 | None

    @classmethod
    def of(cls, name: str, synapses: Synapses, arch: ImcMachine) -> Weights:
        """Weights of a layer; those of the float datapath quantised.

        Raises
        ------
        ConfigError
            If integer weights do not fit ``weight_bits``, or the cells of one.
        """
        [given] = synapses.weights
        integers, scale = as_integers(given, arch.weight_bits)
        check_weights(name, integers, arch)
        check_held(name, integers, arch)
        return cls(name, integers, replace(synapses, weights=(integers,)), scale)

    def currents(self, sums: NDArray[Any]) -> NDArray[Any]:
        """What neurons take for integer sums."""
        return sums if self.scale is None else self.scale * sums.astype(np.float32)


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
        return self.adapted(found.reshape(timesteps, -1))

    def adapted(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sums ``[points, P M]`` as batch norms adapted to the arrays leave them."""
        if self.affine is None:
            return sums
        lanes = len(self.affine.factors)
        return self.affine(sums.reshape(len(sums), -1, lanes)).reshape(len(sums), -1)


@dataclass(frozen=True, eq=False)
class Arrays:
    """The arrays of all layers of a network.

    Attributes
    ----------
    layers : tuple of ArrayLayer
        In order.
    """

    layers: tuple[ArrayLayer, ...]

    @classmethod
    def of(
        cls, network: Network, weights: Sequence[Weights], calibration: Sequence[Calibrated],
        schedule: Callable[[Task], CrossbarSchedule], stages: int, arch: CrossbarOptions,
    ) -> Arrays:  # fmt: skip
        """Program a network's arrays, and calibrate them.

        Parameters
        ----------
        network : Network
            Where weights lie.
        weights : sequence of Weights
            Of its layers.
        calibration : sequence of Calibrated
            Samples to calibrate on, before they enter; none where nothing is calibrated.
        schedule : callable
            Gives the schedule of a task.
        stages : int
            Stages of the network, those without weights included.
        arch : CrossbarOptions
            Configuration.

        Raises
        ------
        ConfigError
            If cells cannot hold a weight.
        """
        found, adapts = list[ArrayLayer](), arch.imc.adapt == "channel"
        numbers = {one.stage: number for number, one in enumerate(network.layers)}
        for index in range(stages):
            if index not in numbers:
                for sample in calibration:
                    sample.skip(index)
                continue
            number = numbers[index]
            mapped, weight = network.layers[number], weights[number]
            name = weight.name
            programmed = program(name, mapped.mapping, weight.integers, arch, number)
            asked = [sample.enter(index, first=number == 0) for sample in calibration]
            ideal = [schedule(one.task) for one, _ in asked]
            shift = shift_of(
                programmed, mapped.geometry, [mapped.shaped(one.packed) for one, _ in asked],
                network.timesteps, once=[one.direct for one in ideal],
            )  # fmt: skip
            layer = ArrayLayer(programmed, shift)
            exact = [one.integrate(weight.synapses)[0] for one in ideal]
            fired = [
                one.fire(weight.currents(sums), weight.synapses)
                for one, sums in zip(ideal, exact, strict=True)
            ]
            given = fired
            if adapts:
                real = [schedule(one.task) for _, one in asked]
                raw = [
                    layer.sums(one, entered.packed, sample.number, calibrating=True)
                    for sample, one, (_, entered) in zip(calibration, real, asked, strict=True)
                ]
                lanes = weight.synapses.out_channels
                affine = Affine.of(_moments(exact, ideal, lanes), _moments(raw, real, lanes))
                layer = replace(layer, affine=affine)
                given = [
                    one.fire(weight.currents(layer.adapted(sums)), weight.synapses)
                    for one, sums in zip(real, raw, strict=True)
                ]
            for sample, *both in zip(calibration, fired, given, strict=True):
                sample.leave(index, *both)
            found.append(layer)
        return cls(tuple(found))


class Calibrated(NamedTuple):
    """A calibration sample: on its way in software, and through the arrays.

    Attributes
    ----------
    number : int
        See :func:`spikex_sim.schedules.crossbar.nonideal.program.sample_id`.
    software, hardware : Passage
        Where it is; both in closed loop.
    """

    number: int
    software: Passage
    hardware: Passage

    def skip(self, index: int) -> None:
        """Pass a stage without weights."""
        for one in (self.software, self.hardware):
            one.skip(index)

    def enter(self, index: int, *, first: bool) -> tuple[Entered, Entered]:
        """What enters a stage, in software and on the arrays."""
        return self.software.enter(index, first=first), self.hardware.enter(index, first=first)

    def leave(self, index: int, software: PackedSpikes, hardware: PackedSpikes) -> None:
        """Hand spikes on."""
        self.software.leave(index, software)
        self.hardware.leave(index, hardware)


def _moments(sums: Sequence[NDArray[Any]], schedules: Sequence[CrossbarSchedule], lanes: int) -> Moments:
    """Moments of the sums ``[points, P M]`` of all samples; those that are computed once count once."""
    found = [
        Moments.of(one.reshape(len(one), -1, lanes).astype(np.int64), once=schedule.direct)
        for one, schedule in zip(sums, schedules, strict=True)
    ]
    return sum(found[1:], found[0])


def calibration_samples(given: Sequence[AnyTrace], arch: CrossbarOptions) -> list[tuple[AnyTrace, int]]:
    """Samples to calibrate on, trace and place in it: those that are named, else the first of a run.

    Raises
    ------
    ConfigError
        If they are of another network.
    """
    if not arch.calibrated:
        return []
    place, network = arch.imc.calibration, given[0]
    if place is None:
        return [(network, 0)]
    found = list[tuple[AnyTrace, int]]()
    for one in as_traces(place):
        if _described(one) != _described(network):
            raise ConfigError(
                f"{place} is of another network than {network.name}; give traces with its layers",
                where=arch.name, field="imc.calibration",
            )  # fmt: skip
        if one.timesteps != network.timesteps:
            raise ConfigError(
                f"{place} has {one.timesteps} time points, and {network.name} has {network.timesteps}",
                where=arch.name, field="imc.calibration",
            )  # fmt: skip
        found += [(one, sample) for sample in range(one.samples)]
    return found


def _described(trace: AnyTrace) -> Any:
    return trace.layers if isinstance(trace, Trace) else trace.nodes


def input_of(trace: AnyTrace, sample: int) -> PackedSpikes:
    """What enters a network, of a sample; of several inputs one behind the other."""
    if isinstance(trace, Trace):
        packed: PackedSpikes = trace.inputs[0][sample]
        return packed
    inputs = [one.name for one in trace.nodes if isinstance(one, InputNode)]
    found = [np.ravel((trace.spikes if name in trace.spikes else trace.values)[name][sample]).view(np.uint8)
             for name in inputs]  # fmt: skip
    together: PackedSpikes = np.concatenate(found)
    return together
