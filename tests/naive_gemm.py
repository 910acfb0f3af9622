"""The slow oracle of the dense array and of SATA, cost part: everything that one layer costs. Follow `cost`.

Written from ``docs/accelerators/systolic.md`` and ``sata.md`` (cited by the names of their sections) and from
the hardware model (cited as "§n"), independently of the package and sharing no code with it. Every quantity
is a Python integer, every fraction exact. The other halves are `naive_gemm_problem` and `naive_time`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from numpy.typing import NDArray

from naive import Layer
from naive_gemm_problem import DEFAULTS, Pass, Problem, Row, Tap, runs
from naive_problem import merged
from naive_time import Ledger, ceil_div, recurrence, stalls_of

INWARDS = ("dram", "glb", "lbuf")


def cost(
    layer: Layer, values: NDArray[Any], config: Mapping[str, Any] | None = None, bias_nonzero: bool = False
) -> dict[str, Any]:
    """Everything that one convolutional or linear layer costs on a dense array or SATA.

    Parameters
    ----------
    layer
        Description of the layer, as in the trace file's ``meta``.
    values
        Input spikes ``[C, H, W, T]``; a linear layer also takes ``[N, T]``. For an ANN the activations, with
        one time point.
    config
        What differs from `naive_gemm_problem.DEFAULTS`.
    bias_nonzero
        Whether the layer's bias has a non-zero entry.

    Returns
    -------
    dict
        ``compute_cycles, cycles, stalls, batches, ntwus, streamed_taps, accumulations, multiplications,
        lif_updates, comparisons, dense_accumulations, pe_cycles, array_words, accesses, steps, ends,
        residency, chunk``.

    Raises
    ------
    ValueError
        If a half of the buffer at the edge does not hold one tap, row or channel.
    """
    problem = Problem(layer, values, merged(DEFAULTS, config or {}), bias_nonzero)
    machine = Machine(problem)
    {"os": output_stationary, "ws": weight_stationary, "is": input_stationary, "tick_batch": tick_batch}[
        problem.dataflow
    ](problem, machine)

    steps, counts = machine.ledger.steps, machine.counts
    published = problem.config["cycles_model"] == "published"
    if published and problem.tick_batch:  # nothing overlaps the walk; the text names no step for it
        steps[0]["array_cycles"] += problem.walk()
    for step in steps:
        set_durations(step, problem, memory_is_fast=published)
    ends = recurrence(*([step[key] for step in steps] for key in ("f", "l", "c", "s", "w")))
    return {
        "compute_cycles": sum(step["array_cycles"] for step in steps),
        "cycles": ends[-1][4],
        "stalls": stalls_of(steps, ends),
        "batches": counts["folds"],
        "ntwus": 0 if problem.ann else problem.N * problem.active(),
        "streamed_taps": counts["taps"],
        "accumulations": counts["accumulations"],
        "multiplications": counts["accumulations"] if problem.ann else 0,
        "lif_updates": 0 if problem.ann else counts["updates"],
        "comparisons": counts["updates"],
        "dense_accumulations": problem.P * problem.T * problem.K * problem.N,
        "pe_cycles": counts["pe cycles"],
        "array_words": {tensor: counts[f"{tensor} words"] for tensor in ("ifmap", "filter", "ofmap")},
        "accesses": machine.ledger.accesses,
        "steps": steps,
        "ends": ends,
        "residency": machine.kept,
        "chunk": machine.chunk,
    }


# ---------------------------------------------------------------------- What it issues when: the loops


def output_stationary(problem: Problem, machine: Machine) -> None:
    """Channel group > pass > row fold; partial sums stay, taps stream."""
    skew = problem.R + problem.C - 2
    for group in problem.groups():
        for one in problem.passes():
            for rows in runs(one.rows, problem.R):
                machine.fold(problem.taps)
                chunks = runs(problem.taps, machine.chunk)
                for taps in chunks:
                    last = taps is chunks[-1]
                    machine.step(len(taps) + (skew + machine.shared_update(len(group)) if last else 0))
                    machine.load_filters(taps, group, scope=group[0])
                    machine.load_ifmap(rows, taps, one.positions, sweep=(group[0], one.rows[0]))
                    machine.ifmap_enters(len(rows) * len(taps))
                    machine.filters_enter(len(taps) * len(group))
                    machine.compute(rows, taps, group)
                    machine.registers_written(len(rows) * len(taps) * len(group))
                    if last:
                        machine.sums_complete(rows, group)
                machine.wait_for_potentials(one, unit_rows=problem.R, unit_steps=len(chunks))


def weight_stationary(problem: Problem, machine: Machine) -> None:
    """Channel group > pass > tap fold; weights stay, rows stream."""
    skew = (problem.R - 1) + (problem.C - 1)
    folds = problem.tap_folds()
    for group in problem.groups():
        for one in problem.passes():
            for taps in folds:
                machine.fold(taps)
                chunks = runs(one.rows, machine.chunk)
                for rows in chunks:
                    first, last = rows is chunks[0], rows is chunks[-1]
                    complete = taps is folds[-1]
                    sharing = machine.shared_update(len(group)) * len(rows) if complete else 0
                    entering = problem.R if first else 0
                    machine.step(entering + len(rows) + (skew if last else 0) + sharing)
                    if first:
                        machine.load_filters(taps, group, scope=group[0])
                        machine.filters_enter(len(taps) * len(group))
                        machine.registers_written(len(taps) * len(group))
                    sweep = (group[0], one.rows[0], taps[0])
                    machine.load_ifmap(rows, taps, one.positions, sweep, only={c for c, _, _ in taps})
                    machine.ifmap_enters(len(rows) * len(taps))
                    machine.compute(rows, taps, group)
                    machine.partial_sums(rows, taps, group, enter=taps is not folds[0], leave=not complete)
                    if complete:
                        machine.sums_complete(rows, group)
                        machine.wait_for_potentials(one, unit_rows=len(chunks[0]), unit_steps=1)
                if taps is not folds[-1]:
                    machine.wait_for_partial_sums(len(chunks))


def input_stationary(problem: Problem, machine: Machine) -> None:
    """Pass > row fold > tap fold; spikes stay, channels stream."""
    skew = (problem.R - 1) + (problem.C - 1)
    folds = problem.tap_folds()
    for one in problem.passes():
        for rows in runs(one.rows, problem.C):
            for taps in folds:
                machine.fold(taps)
                chunks = runs(range(problem.N), machine.chunk)
                for channels in chunks:
                    first, last = channels is chunks[0], channels is chunks[-1]
                    machine.step((problem.R if first else 0) + len(channels) + (skew if last else 0))
                    machine.load_filters(taps, channels, scope="layer")
                    machine.filters_enter(len(taps) * len(channels))
                    if first:
                        machine.load_ifmap(rows, taps, one.positions, sweep=one.rows[0])
                        machine.ifmap_enters(len(rows) * len(taps))
                    machine.compute(rows, taps, channels)
                    machine.registers_written(len(rows) * len(taps) * len(channels))
                    complete = taps is folds[-1]
                    machine.partial_sums(rows, taps, channels, enter=taps is not folds[0], leave=not complete)
                    if complete:
                        machine.sums_complete(rows, channels)
                if taps is not folds[-1]:
                    machine.wait_for_partial_sums(len(chunks))
            machine.wait_for_potentials(one, unit_rows=problem.C, unit_steps=len(folds) * len(chunks))


def tick_batch(problem: Problem, machine: Machine) -> None:
    """Channel group > position fold; a tap takes all its time points, weights are kept in the PEs."""
    skew = problem.R + problem.C - 2
    times = range(problem.T)
    (only_pass,) = problem.passes()
    folds = runs(only_pass.positions, problem.R)
    for group in problem.groups():
        for positions in folds:
            rows = [(t, p) for t in times for p in positions]
            machine.fold(problem.taps)
            chunks = runs(problem.taps, machine.chunk)
            for taps in chunks:
                last = taps is chunks[-1]
                end = skew + machine.shared_update(len(group)) if last else 0
                machine.step(problem.T * (len(taps) + end))
                if positions is folds[0]:
                    machine.load_filters(taps, group, scope=group[0])
                    machine.filters_enter(len(taps) * len(group))
                machine.load_ifmap(rows, taps, only_pass.positions, sweep=None)
                machine.ifmap_enters(len(positions) * len(taps))
                machine.compute(rows, taps, group)
                machine.registers_written(len(positions) * len(taps) * len(group))
                if last:
                    machine.sums_complete(rows, group)


# ---------------------------------------------------------------------- what a step does


class Values(NamedTuple):
    """Partial sums of so many taps, or potentials after a time point, of every row and channel."""

    kind: str  # "psums" or "potentials", as in `Residency`
    rows: list[Row]
    channels: list[int]
    taps: int = 0

    def each(self) -> Iterator[Hashable]:
        """One by one."""
        return ((*row, channel, self.taps) for row in self.rows for channel in self.channels)


class Machine:
    """Counts what the loops do: steps, moves between the levels, words over the array's edge, operations."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kept = problem.residency()
        self.chunk = problem.chunk_size(self.kept)
        self.ledger = Ledger()
        self.counts: Counter[str] = Counter()
        self.loaded: set[Hashable] = set()  # what has been loaded for longer than a step
        self.levels = INWARDS[: INWARDS.index(problem.edge) + 1]
        overlapped = problem.config["cycles_model"] == "overlapped"
        # n cycles instead of one for an update (SATA, LIF units); the published cycles know nothing of it
        self.sharing = int(problem.config["lif_sharing"]) if overlapped else 1

    def shared_update(self, channels: int) -> int:
        """Cycles of an update beyond the first: a unit serves no more channels than the group has."""
        return min(self.sharing, channels) - 1

    def fold(self, taps: list[Tap]) -> None:
        """Start a fold: counted as a batch."""
        self.counts["folds"] += 1
        self.counts["taps"] += len(taps)

    def step(self, array_cycles: int) -> None:
        """Start a step."""
        step = self.ledger.new_step()
        step["array_cycles"] = array_cycles
        step["edge"] = {"read": Counter(), "write": Counter()}  # type: ignore[assignment]
        step |= {"reads": [], "writes": []}  # type: ignore[dict-item]

    def note(self, direction: str, values: Values) -> None:
        """Remember what the step "reads" from, or "writes" to, where it stays."""
        self.ledger.steps[-1][direction].append(values)  # type: ignore[attr-defined]

    # ------------------------------------------------------------------ Buffers, A read follows its write

    def steps_until_read(self, home: str) -> int:
        """``q``: how many steps after the one that writes something its home gives it back."""
        if home == self.problem.edge:
            return 0
        return {"glb": 3, "dram": 4}[home]

    def empty_steps(self, count: int) -> None:
        """Put in steps in which nothing happens."""
        for _ in range(count):
            self.step(0)

    def wait_for_partial_sums(self, chunks: int) -> None:
        """End a fold of so many chunks that is not the last of its rows."""
        self.empty_steps(max(0, self.steps_until_read(self.kept.psums) - chunks))

    def wait_for_potentials(self, one: Pass, *, unit_rows: int, unit_steps: int) -> None:
        """End a unit, of so many rows and steps, whose sums are complete."""
        units = max(1, len(one.positions) // unit_rows)  # until the next time point
        missing = max(0, self.steps_until_read(self.kept.potentials) - units * unit_steps)
        self.empty_steps(ceil_div(missing, units))

    # ------------------------------------------------------------------ Buffers, Residency

    def load_filters(self, taps: list[Tap], channels: list[int], scope: Hashable) -> None:
        """Move the weights that a chunk needs inwards: once per scope where they stay."""
        problem = self.problem
        whole = problem.K * (problem.N if scope == "layer" else len(channels))
        stays = {"glb": self.kept.filters_in_glb, "lbuf": self.kept.filters_in_lbuf}
        for source, target in pairwise(self.levels):
            words = len(taps) * len(channels)
            if stays[target]:
                words = 0 if ("filter", target, scope) in self.loaded else whole
                self.loaded.add(("filter", target, scope))
            self.ledger.move(source, target, "filter", words * problem.weight_bits)

    def load_ifmap(
        self,
        rows: list[Row],
        taps: list[Tap],
        positions: list[int],
        sweep: Hashable,
        only: set[int] | None = None,
    ) -> None:
        """Move pixels inwards; `only` the input channels of a fold's taps belong to its frames."""
        problem = self.problem
        own = problem.distinct_bits(rows, taps)
        bits = own
        if self.kept.ifmap_in_glb == "layer":
            everything = problem.layer_pixels * problem.T * problem.value_bits
            bits = 0 if "ifmap" in self.loaded else everything
            self.loaded.add("ifmap")
        elif self.kept.ifmap_in_glb == "frame":
            channels = {c for c, _, _ in problem.taps} if only is None else only
            bits = 0
            for time in sorted({t for t, _ in rows}):
                if ("frame", sweep, time) not in self.loaded:
                    bits += problem.frame_bits(positions, channels)
                    self.loaded.add(("frame", sweep, time))
        self.ledger.move("dram", "glb", "ifmap", bits)
        if problem.edge == "lbuf":
            self.ledger.move("glb", "lbuf", "ifmap", own)

    # ------------------------------------------------------------------ the array's edge

    def edge(self, direction: str, tensor: str, bits: int) -> None:
        """Let the array's edge read or write the buffer next to it."""
        (self.ledger.read if direction == "read" else self.ledger.write)(self.problem.edge, tensor, bits)
        self.ledger.steps[-1]["edge"][direction][tensor] += bits  # type: ignore[index]

    def ifmap_enters(self, words: int) -> None:
        """Read ifmap words at the edge."""
        self.counts["ifmap words"] += words
        self.edge("read", "ifmap", words * self.problem.word_bits)

    def filters_enter(self, words: int) -> None:
        """Read weights at the edge."""
        self.counts["filter words"] += words
        self.edge("read", "filter", words * self.problem.weight_bits)

    def to_home(self, tensor: str, bits: int, home: str) -> None:
        """Write at the edge, and move up as far as the level where it stays."""
        self.edge("write", tensor, bits)
        path = self.levels[self.levels.index(home) :][::-1]
        for source, target in pairwise(path):
            self.ledger.move(source, target, tensor, bits)

    def from_home(self, tensor: str, bits: int, home: str) -> None:
        """Move down from the level where it stays, and read at the edge."""
        path = self.levels[self.levels.index(home) :]
        for source, target in pairwise(path):
            self.ledger.move(source, target, tensor, bits)
        self.edge("read", tensor, bits)

    def partial_sums(
        self, rows: list[Row], taps: list[Tap], channels: list[int], *, enter: bool, leave: bool
    ) -> None:
        """Let incomplete sums enter from the fold before, and leave for the next."""
        bits = len(rows) * len(channels) * self.problem.psum_bits
        if enter:
            self.from_home("psum", bits, self.kept.psums)
            before = self.problem.taps.index(taps[0])
            self.note("reads", Values("psums", rows, channels, before))
        if leave:
            self.counts["ofmap words"] += len(rows) * len(channels)
            self.to_home("psum", bits, self.kept.psums)
            added = self.problem.taps.index(taps[-1]) + 1
            self.note("writes", Values("psums", rows, channels, added))

    def sums_complete(self, rows: list[Row], channels: list[int]) -> None:
        """Update neurons, let potentials pass and outputs leave for DRAM."""
        problem = self.problem
        updates = len(rows) * len(channels)
        self.counts["updates"] += updates
        words = updates // problem.T if problem.tick_batch else updates  # of T bits each
        self.counts["ofmap words"] += words
        self.to_home("ofmap", words * problem.word_bits, "dram")
        if problem.T > 1 and not problem.tick_batch:
            before = [(time - 1, position) for time, position in rows if time > 0]
            later = len(before) * len(channels)
            self.from_home("psum", later * problem.potential_bits, self.kept.potentials)
            self.to_home("psum", updates * problem.potential_bits, self.kept.potentials)
            self.note("reads", Values("potentials", before, channels))
            self.note("writes", Values("potentials", rows, channels))
        self.ledger.read("rf", "psum", updates * problem.psum_bits)
        if not problem.ann:  # ReLU has no potential
            self.ledger.read("rf", "psum", updates * problem.potential_bits)
            self.ledger.write("rf", "psum", updates * problem.potential_bits)

    # ------------------------------------------------------------------ Counts

    def compute(self, rows: list[Row], taps: list[Tap], channels: list[int]) -> None:
        """Spend a slot per row, tap and channel; add, unless a gate sees a zero."""
        problem = self.problem
        slots = len(rows) * len(taps) * len(channels)
        added = slots
        if problem.config["zero_gating"] is True:  # "auto": not gated
            added = sum(1 for row in rows for tap in taps if problem.operand(row, tap)) * len(channels)
        self.counts["pe cycles"] += slots
        self.counts["accumulations"] += added
        self.ledger.read("rf", "psum", added * problem.psum_bits)
        self.ledger.write("rf", "psum", added * problem.psum_bits)

    def registers_written(self, weights: int) -> None:
        """Write weights into the registers of PEs."""
        self.ledger.write("rf", "filter", weights * self.problem.weight_bits)


# ---------------------------------------------------------------------- §5 Durations


def set_durations(step: dict[str, Any], problem: Problem, *, memory_is_fast: bool) -> None:
    """Turn a step's bits into cycles: one rounding up per activity, over all tensors."""
    memory = problem.config["memory"]
    dram, glb, lbuf = memory["dram"], memory["glb"], memory["lbuf"]
    if memory_is_fast:
        step |= {"f": 0, "l": 0, "c": step["array_cycles"], "s": 0, "w": 0}
        return

    def cycles(bits: int, width: Fraction, latency: int) -> int:
        """Zero bits take zero cycles; the latency is added once to what is not empty."""
        return ceil_div(bits, width) + latency if bits else 0

    outside = min(Fraction(dram["bits_per_cycle"]), Fraction(int(glb["dram_port_bits"])))  # the slower side
    step["f"] = cycles(step["f_bits"], outside, int(dram["latency_cycles"]))
    step["w"] = cycles(step["w_bits"], outside, int(dram["latency_cycles"]))
    step["l"] = step["s"] = 0
    port, latency = Fraction(int(glb["array_port_bits"])), int(glb["latency_cycles"])
    if problem.edge == "lbuf":
        inside = min(port, Fraction(int(lbuf["port_bits"])))
        step["l"] = cycles(step["l_bits"], inside, latency)
        step["s"] = cycles(step["s_bits"], inside, latency)
        port, latency = Fraction(int(lbuf["port_bits"])), int(lbuf["latency_cycles"])
    # One memory for everything, or three with a port each: then the busiest counts.
    memories = [("ifmap", "filter", "ofmap", "psum")]
    if problem.edge == "glb" and glb["separate"]:
        memories = [("ifmap",), ("filter",), ("ofmap", "psum")]
    busy = [
        cycles(sum(step["edge"][direction][tensor] for tensor in tensors), port, latency)
        for tensors in memories
        for direction in ("read", "write")
    ]
    step["c"] = max(step["array_cycles"], *busy)
