"""What all kinds of schedule share: what a kind can be asked, and the words it is asked in.

A kind of schedule is a class of its own in a room of its own; nothing about it stands elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Accesses, Operations
from spikex_sim.core.errors import ConfigError, ScheduleError
from spikex_sim.core.geometry import Geometry, geometry_of
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.held import Held
from spikex_sim.schedules.steps import Program
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer, Neuron

INT32_MAX = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Widths:
    """Bits of one value of each kind in a layer's datapath."""

    weight: int
    psum: int
    potential: int


FLOAT_WIDTHS = Widths(weight=32, psum=32, potential=32)


def widths_of(datapath: str, arch: Accelerator) -> Widths:
    """Widths of a datapath: configured for ``int``, 32 bits throughout for ``float``."""
    if datapath == "float":
        return FLOAT_WIDTHS
    return Widths(arch.weight_bits, arch.psum_bits, arch.potential_bits)


@dataclass(frozen=True)
class RowGroups:
    """Output channels cut into groups of ``rows``; the last one holds the rest."""

    rows: int
    out_channels: int

    @cached_property
    def sizes(self) -> list[int]:
        """Rows in use of each group, in order."""
        full, rest = divmod(self.out_channels, self.rows)
        return [self.rows] * full + ([rest] if rest else [])


@dataclass(frozen=True)
class Handover:
    """How spikes pass between layers by way of the GLB (``memory.glb.keep_ofmap``).

    Attributes
    ----------
    input_kept : bool
        The GLB holds the ifmap, because the layer before left it there.
    output_wanted : bool
        The next layer takes the ofmap as it is.
    """

    input_kept: bool = False
    output_wanted: bool = False


APART = Handover()
"""Layers by themselves: spikes come from DRAM and go there."""


@dataclass(frozen=True)
class Synapses:
    """Weights, biases and neurons of a layer, as executing a schedule takes them.

    Attributes
    ----------
    weight : int8 or float32 array ``[M, ...]``
        ``[M, C, E_h, E_w]`` or ``[M, N]``.
    bias : int32 or float32 array ``[M]`` or None
        Added at every time point.
    neuron : Neuron
        Parameters and datapath.
    potential_bits : int
        Width at which potentials of the integer datapath saturate.
    """

    weight: NDArray[Any]
    bias: NDArray[Any] | None
    neuron: Neuron
    potential_bits: int

    @cached_property
    def number(self) -> Any:
        """Type in which sums and potentials are exact: int32 where nothing can exceed it, else int64."""
        if self.neuron.datapath == "float":
            return np.float32
        largest = self.weight[0].size << 7
        largest += 0 if self.bias is None else max(-int(self.bias.min()), int(self.bias.max()), 0)
        largest += (1 << (self.potential_bits - 1)) + abs(int(self.neuron.threshold))
        return np.int32 if largest <= INT32_MAX else np.int64

    @cached_property
    def by_tap(self) -> NDArray[Any]:
        """Weights as ``[E_h * E_w, C, M]``, one after the other: a row of lanes for every synapse."""
        by_tap: NDArray[Any] = _by_tap(self.weight.reshape(len(self.weight), self.weight.shape[1], -1))
        return by_tap

    @cached_property
    def biases(self) -> NDArray[Any]:
        """One number for every output channel."""
        return np.zeros(len(self.weight), self.number) if self.bias is None else self.bias.astype(self.number)

    @cached_property
    def lif(self) -> tuple[Any, Any, Any, bool]:
        """Threshold, leak, limit of the potential, and whether the reset is soft, in :attr:`number`."""
        number, neuron = self.number, self.neuron
        leak = neuron.leak_shift if neuron.datapath == "int" else neuron.leak
        limit = 0 if neuron.datapath == "float" else 1 << (self.potential_bits - 1)
        return number(neuron.threshold), number(leak), number(limit), neuron.reset == "subtract"

    @cached_property
    def silence_is_free(self) -> bool:
        """Whether a neuron without input can never fire (Section 1)."""
        return self.neuron.silence_is_free and not self.biases.any()


@kernel
def _by_tap(weight: NDArray[Any]) -> NDArray[Any]:
    """Transpose ``[M, C, taps]`` in blocks that stay in the cache."""
    lanes, channels, taps = weight.shape
    found = np.empty(taps * channels * lanes, weight.dtype)
    side = 32
    for m0 in range(0, lanes, side):
        for c0 in range(0, channels, side):
            for tap in range(taps):
                for channel in range(c0, min(c0 + side, channels)):
                    place = (tap * channels + channel) * lanes
                    for m in range(m0, min(m0 + side, lanes)):
                        found[place + m] = weight[m, channel, tap]
    return found


@dataclass(frozen=True)
class Layout:
    """Everything a layer costs but its time.

    Attributes
    ----------
    program : Program
        Steps, and what each of them moves and computes.
    accesses : Accesses
        Per level and tensor.
    operations : Operations
        Of the PE array.
    residency : object
        Scopes chosen; what kind of object depends on the schedule.
    additions : int
        Weights that executing the schedule adds: what the output spikes need.
    mapping : dict
        Loop order, sizes and residency, as in ``results.json``.
    output_kept : bool
        Whether the outputs stay in the GLB for the next layer.
    waits : bool
        Whether the array waits for memory.
    held : tuple of Held
        What buffers hold between uses, or would hold if it fitted.
    """

    program: Program
    accesses: Accesses
    operations: Operations
    residency: Any
    additions: int
    mapping: dict[str, Any]
    output_kept: bool = False
    waits: bool = True
    held: tuple[Held, ...] = ()

    @property
    def compute_cycles(self) -> int:
        """Cycles of the array without stalls."""
        return self.program.compute_cycles


@runtime_checkable
class Schedule(Protocol):
    """What a layer issues when. A kind of schedule is a frozen class with these methods."""

    @property
    def geometry(self) -> Geometry:
        """Sizes of the layer."""

    @property
    def out_channels(self) -> int:
        """Output channels ``M`` of the layer."""

    @property
    def inputs(self) -> Any:
        """Input of the layer, the very object that the scheduler was given."""

    @property
    def tws(self) -> int:
        """Time points that are processed together."""

    @property
    def mode(self) -> str | None:
        """``temporal``, ``spatial``, or None where there are no modes."""

    def check(self, arch: Accelerator, silence_is_free: bool) -> None:
        """Hold the schedule against its input and the array.

        Parameters
        ----------
        arch : Accelerator
            The array.
        silence_is_free : bool
            Whether a silent window may be skipped without changing an output (Section 1).

        Raises
        ------
        ScheduleError
            Naming the place and the rule, if work is left out, repeated, out of order or too wide.
        """

    def lay_out(self, widths: Widths, arch: Any, handover: Handover = APART) -> Layout:
        """Count what is moved and computed, step by step.

        Parameters
        ----------
        widths : Widths
            Bits per weight, partial sum and potential.
        arch : Accelerator
            Buffers, ports and array, with the keys of the kind.
        handover : Handover
            What the layers around have in the GLB; kinds that cannot use it leave it aside.

        Raises
        ------
        ConfigError
            If a buffer is too small, naming the smallest that works.
        """

    def execute(self, synapses: Synapses) -> tuple[NDArray[np.uint8], int]:
        """Do what is issued, in the order in which it is issued, and nothing else.

        Returns
        -------
        uint8 array ``[M, P, ceil(T/8)]``, int
            Output spikes packed along time, and the additions made.
        """

    def places(self, program: Program) -> list[str]:
        """Say of each step where in the schedule it is."""


def check_layer(schedule: Schedule, layer: Layer, inputs: Any, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` for a schedule of another layer, or of other input, than was asked for."""
    kind, asked = f"scheduler {arch.scheduler}", geometry_of(layer)
    if schedule.geometry != asked:
        raise refuse(kind, {}, f"layer {layer.name} has {asked}, its schedule {schedule.geometry}")
    if schedule.out_channels != layer.out_channels:
        rule = f"layer {layer.name} has {layer.out_channels} channels, its schedule {schedule.out_channels}"
        raise refuse(kind, {}, rule)
    if schedule.inputs is not inputs:
        raise refuse(kind, {}, f"the schedule of layer {layer.name} is of other spikes than those given")
    if schedule.tws != inputs.tws:
        rule = f"the schedule of layer {layer.name} has a tws of {schedule.tws}, not of {inputs.tws}"
        raise refuse(kind, {}, rule)


def int64_arrays(**dimensions_of: tuple[NDArray[Any], int]) -> str | None:
    """Name of the first thing that is no int64 array of so many dimensions; None if all are."""
    for name, (array, dimensions) in dimensions_of.items():
        if not (isinstance(array, np.ndarray) and array.dtype == np.int64 and array.ndim == dimensions):
            return name
    return None


def refuse(kind: str, places: dict[str, int], rule: str) -> ScheduleError:
    """Error for a schedule that is none: where, and which rule it breaks."""
    return ScheduleError(rule, where=kind, field=", ".join(f"{name} {at}" for name, at in places.items()))


def named_range(what: str, first: int, last: int) -> str:
    """``tap 3`` or ``taps 3-5``."""
    return f"{what} {first}" if first == last else f"{what}s {first}-{last}"


def too_small(level: Literal["glb", "lbuf"] | str, tensor: str, arch: Accelerator, need_bits: int,
              what: str) -> ConfigError:  # fmt: skip
    """Error for a buffer part that does not hold ``need_bits``, naming the smallest capacity that works."""
    buffer = getattr(arch.memory, level)
    if level == "glb" and arch.memory.glb.separate is not None:
        name = "ofmap" if tensor == "psum" else tensor
        parts, share = (4, "a quarter") if tensor == "ofmap" else (2, "half")
        least = -(-need_bits * parts // 8)
        return ConfigError(
            f"{getattr(arch.memory.glb.separate, name)} B is too small: {what} need {need_bits} bits in "
            f"{share} of it; the smallest that works is {least} B",
            where=arch.name,
            field=f"memory.glb.separate.{name}",
        )
    least = buffer.least_bytes(tensor, need_bits)
    if least is None:
        return ConfigError(
            f"is 0, but {what} need {need_bits} bits there; give it a share",
            where=arch.name,
            field=f"memory.{level}.partition.{tensor}",
        )
    return ConfigError(
        f"{buffer.bytes} B is too small: {what} need {need_bits} bits in the {tensor} part; "
        f"the smallest that works is {least} B",
        where=arch.name,
        field=f"memory.{level}.bytes",
    )


def need_lbuf(arch: Accelerator) -> None:
    """Raise :class:`ConfigError` where there is no LBUF and the schedule cannot do without."""
    if arch.memory.lbuf.bytes == 0:
        raise ConfigError(
            f"the scheduler {arch.scheduler} needs an LBUF; give it a capacity",
            where=arch.name,
            field="memory.lbuf.bytes",
        )
