"""The small layer of the drawings of schedules, what a machine makes of it, and what a drawing holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spikex_sim.core.geometry import corner, geometry_of
from spikex_sim.core.registry import plugin
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.base import Layout, Schedule
from spikex_sim.schedules.dense.activations import Activations, spike_counts
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

TIMES = {(0, 1): 5, (1, 1): 1, (1, 2): 1, (2, 3): 4, (3, 1): 3}
"""Row and column of every input that spikes, and when; each once, so that all machines take them."""
SIDE, KERNEL, CHANNELS, TIMESTEPS, TWS = 4, 3, 3, 6, 2
ARRAY = 3
"""Rows and columns of PEs."""

COMMON = {"array.rows": ARRAY, "array.cols": ARRAY, "mapping.tile": "layer"}
MACHINES: dict[str, tuple[str, dict[str, Any]]] = {
    "spikex": ("spikex", {"tws": TWS}),
    "spikex-temporal": ("spikex", {"tws": TWS, "dispatch": "temporal"}),
    "ptb": ("ptb", {"tws": TWS}),
    "ptb-stsap": ("ptb-stsap", {"tws": TWS}),
    "systolic-os": ("systolic-os", {}),
    "systolic-ws": ("systolic-ws", {}),
    "systolic-is": ("systolic-is", {}),
    "ann": ("ann", {}),
    "sata": ("sata", {}),
    "spinalflow": ("spinalflow", {}),
}
"""Name of a drawing, the preset it is of, and what it changes."""


def example_trace() -> Trace:
    """Return the layer that all machines are drawn with, and its spikes."""
    layer = {
        "name": "conv", "kind": "conv", "in_channels": 1, "out_channels": CHANNELS, "kernel": KERNEL,
        "in_height": SIDE, "in_width": SIDE, "neuron": {"threshold": 3, "leak_shift": 2},
    }  # fmt: skip
    spikes = np.zeros((1, SIDE, SIDE, TIMESTEPS), bool)
    for (y, x), t in TIMES.items():
        spikes[0, y, x, t] = True
    weights = np.arange(CHANNELS * KERNEL * KERNEL).reshape(CHANNELS, 1, KERNEL, KERNEL) % 5
    return Trace.from_arrays([layer], spikes, weights=[weights.astype(np.int8)], name="example")


def example_map() -> str:
    """Return the input map as text: the time of each input's spike, or a dot."""
    return "\n".join(" ".join(str(TIMES.get((y, x), ".")) for x in range(SIDE)) for y in range(SIDE))


def accelerator(name: str) -> Accelerator:
    """Return the configuration that a drawing is of."""
    preset, keys = MACHINES[name]
    return load_accelerator(preset, COMMON | keys)


# --- What is drawn ---------------------------------------------------------------------------------

PE = tuple[int, int]
"""Row and column."""

PHASES = ("integrate", "update", "leak", "preload", "skew", "idle")
"""What a PE can be doing: a tap at a time point, its neuron's update, leak of skipped windows, taking in
what stays, waiting for its first operand or for the last PE, nothing."""


@dataclass(frozen=True)
class Block:
    """What one PE does for a while: cycles from ``start`` up to ``stop``."""

    pe: PE
    start: int
    stop: int
    phase: str


@dataclass(frozen=True)
class Note:
    """Text over some cycles."""

    start: int
    stop: int
    text: str


@dataclass
class Drawing:
    """What every PE does in every cycle of a layer.

    Attributes
    ----------
    title : str
        The machine.
    bands : list of (str, list of PE)
        PEs whose lanes are drawn together, from top to bottom, and what they are.
    lanes : str
        What the lanes of a band differ by: ``row``, ``col`` or nothing.
    strips : list of (str, list of Note)
        What enters PE (0, 0), from top to bottom.
    units : list of Note
        Batches, folds or positions with the cycles that the simulator charges for them.
    labels : list of list of Note
        For every band what it works on.
    blocks : list of Block
        What PEs do.
    hits : list of (PE, cycle)
        Where a non-zero input meets a weight.
    """

    title: str
    bands: list[tuple[str, list[PE]]]
    lanes: str
    strips: list[tuple[str, list[Note]]]
    units: list[Note] = field(default_factory=list)
    labels: list[list[Note]] = field(init=False)
    blocks: list[Block] = field(default_factory=list)
    hits: list[tuple[PE, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = [[] for _ in self.bands]

    @property
    def cycles(self) -> int:
        """Cycle after the last one drawn."""
        return max(block.stop for block in self.blocks)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that is drawn."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def add(self, pe: PE, start: int, length: int, phase: str) -> int:
        """Add a block unless it is empty; return where it ends."""
        if length > 0:
            self.blocks.append(Block(pe, start, start + length, phase))
        return start + length

    def note(self, strip: int, start: int, length: int, text: str) -> int:
        """Write into a strip; return where the text ends."""
        self.strips[strip][1].append(Note(start, start + length, text))
        return start + length


@dataclass(frozen=True)
class Case:
    """A machine's schedule of the layer, and what the simulator says that it costs."""

    name: str
    arch: Accelerator
    schedule: Schedule
    layout: Layout

    @classmethod
    def of(cls, name: str) -> Case:
        """Let a machine schedule the layer."""
        arch, trace = accelerator(name), example_trace()
        layer = trace.layers[0]
        scheduler, geometry = plugin("accelerators", arch.scheduler), geometry_of(layer)
        packed = trace.inputs[0][0]
        if arch.input_bits > 1:
            inputs = Activations.of(geometry, spike_counts(packed, arch.input_bits), arch.input_bits)
            task = Task(layer.name, inputs, layer.out_channels, widths_of("int", arch), True)
        else:
            tws = scheduler.window_size(arch.get("tws", default=1), TIMESTEPS, arch)
            task = Task.of(
                layer.name, geometry, window_spikes(packed, TIMESTEPS, tws), layer.out_channels, arch,
                datapath="int", silence_is_free=True,
            )  # fmt: skip
        schedule = scheduler.schedule(task, arch)
        return cls(name, arch, schedule, schedule.lay_out(arch))

    @property
    def is_ann(self) -> bool:
        """Whether the machine runs on activations."""
        return self.arch.input_bits > 1

    def units(self) -> Iterator[tuple[int, int, int]]:
        """Group and batch (fold, position) of every unit of work, and the cycles charged for it."""
        program = self.layout.program
        issues = program.batch >= 0
        keys = np.stack([program.group, program.batch], axis=1)[issues]
        first = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
        cycles = np.add.reduceat(program.array_cycles[issues], first)
        for (group, batch), length in zip(keys[first].tolist(), cycles.tolist(), strict=True):
            yield group, batch, length

    def times(self, position: int, tap: int) -> list[int]:
        """Time points at which the input under a tap spikes; of an ANN, time 0 if it is not zero."""
        y, x = corner(self.schedule.task.inputs.synapses[0].geometry, position)
        t = TIMES.get((y + tap // KERNEL, x + tap % KERNEL))
        if t is None:
            return []
        return [0] if self.is_ann else [t]

    def times_within(self, position: int, window: int, tap: int) -> list[int]:
        """Time points of a window, from its first, at which the input under a tap spikes."""
        tws = self.schedule.task.tws
        return [t % tws for t in self.times(position, tap) if t // tws == window]
