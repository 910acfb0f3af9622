"""The slow oracle of the time-serial array: everything that one layer costs. Follow `cost`.

Written from ``docs/accelerators/spinalflow.md`` (cited by the names of its sections) and from the hardware
model (cited as "§n"), independently of the package and sharing no code with it. Every quantity is a Python
integer, every fraction exact. The other half is `naive_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naive import Bools, Layer, out_size, pair, receptive_fields
from naive_problem import DEFAULTS, half_bits, merged
from naive_time import Ledger, recurrence, set_durations, stalls_of

Spike = tuple[int, int, int, int]  # (time point, input channel, i, j): sorted by time, then by tap


def cost(
    layer: Layer, spikes: Bools, config: Mapping[str, Any] | None = None, bias_nonzero: bool = False
) -> dict[str, Any]:
    """Everything that one convolutional or linear layer costs on the time-serial array.

    Parameters
    ----------
    layer
        Description of the layer, as in the trace file's ``meta``.
    spikes
        Input spikes ``[C, H, W, T]``, one per input at most; a linear layer also takes ``[N, T]``.
    config
        What differs from `naive_problem.DEFAULTS`.
    bias_nonzero
        Whether the layer's bias has a non-zero entry.

    Returns
    -------
    dict
        ``cycles, compute_cycles, stalls, batches, ntwus, streamed_taps, accumulations, lif_updates,
        comparisons, pe_cycles, accesses, steps, ends, residency``.

    Raises
    ------
    ValueError
        If an input spikes more than once, or a half does not hold one spike and its weights.
    """
    problem = Problem(layer, spikes, merged(DEFAULTS, config or {}), bias_nonzero)
    violating = problem.violating_inputs()
    if violating:
        raise ValueError(f"{violating} of {problem.inputs} inputs spike more than once")

    ledger = Ledger()
    counts = dict.fromkeys(
        ("batches", "ntwus", "streamed_taps", "accumulations", "lif_updates", "pe_cycles"), 0
    )
    kept = problem.residency()
    for group in problem.groups():
        loaded: set[object] = set()  # scopes within this group
        for position in range(problem.P):
            count_work(counts, problem, position, len(group))
            runs = problem.runs(position, len(group), kept)
            for run in runs:
                ledger.new_step()
                load_filters(ledger, problem, run, len(group), kept, loaded)
                load_entries(ledger, problem, run, position, kept, loaded)
                work(ledger, problem, run, len(group))
            finish(ledger, problem, position, len(group))

    steps = ledger.steps
    for step in steps:
        set_durations(step, problem.config)
    ends = recurrence(*([step[key] for step in steps] for key in ("f", "l", "c", "s", "w")))
    return {
        **counts,
        "comparisons": counts["lif_updates"],
        "compute_cycles": sum(step["array_cycles"] for step in steps),
        "cycles": ends[-1][4],
        "stalls": stalls_of(steps, ends),
        "accesses": ledger.accesses,
        "steps": steps,
        "ends": ends,
        "residency": kept,
    }


# ---------------------------------------------------------------------- What it issues when: counts


def count_work(counts: dict[str, int], problem: Problem, position: int, rho: int) -> None:
    """Count what a position does for the channels of one group."""
    n, d = len(problem.spikes(position)), problem.updates(position)
    if n + d == 0:
        return
    counts["batches"] += 1
    counts["ntwus"] += rho
    counts["streamed_taps"] += n
    counts["accumulations"] += rho * n
    counts["lif_updates"] += rho * d
    counts["pe_cycles"] += rho * (n + d)


# ---------------------------------------------------------------------- Buffers: what a step does


def load_filters(
    ledger: Ledger, problem: Problem, run: list[Spike], rho: int, kept: Residency, loaded: set[object]
) -> None:
    """Move weights inwards: all of the group's with its first step where they stay, else the run's."""
    whole, own = (taps * rho * problem.weight_bits for taps in (problem.K, len(run)))
    first = "filters" not in loaded
    loaded.add("filters")
    ledger.move("dram", "glb", "filter", (whole if first else 0) if kept.filters_in_glb else own)
    ledger.move("glb", "lbuf", "filter", (whole if first else 0) if kept.filters_in_lbuf else own)


def load_entries(
    ledger: Ledger, problem: Problem, run: list[Spike], position: int, kept: Residency, loaded: set[object]
) -> None:
    """Move entries inwards: the layer's with its first step, a row's with its first, else the run's."""
    own = len(run) * problem.entry_bits
    bits = own
    if kept.entries_in_glb == "layer":
        bits = problem.all_entries() * problem.entry_bits if len(ledger.steps) == 1 else 0
    elif kept.entries_in_glb == "row":
        row = position // problem.out_width
        bits = 0 if row in loaded else problem.row_entries(row) * problem.entry_bits
        loaded.add(row)
    ledger.move("dram", "glb", "ifmap", bits)
    ledger.move("glb", "lbuf", "ifmap", own)


def work(ledger: Ledger, problem: Problem, run: list[Spike], rho: int) -> None:
    """Broadcast the spikes of a run, one a cycle; every PE of the group adds its weight."""
    step = ledger.steps[-1]
    for _ in run:
        step["array_cycles"] += 1
        for tensor, bits in (("filter", rho * problem.weight_bits), ("ifmap", problem.entry_bits)):
            ledger.read("lbuf", tensor, bits)
            step["lbuf_read_bits"] += bits
        ledger.read("rf", "psum", rho * problem.psum_bits)
        ledger.write("rf", "psum", rho * problem.psum_bits)
        ledger.write("rf", "filter", rho * problem.weight_bits)


def finish(ledger: Ledger, problem: Problem, position: int, rho: int) -> None:
    """Update neurons and send outputs: these belong to the last run."""
    step = ledger.steps[-1]
    for _ in range(problem.updates(position)):
        step["array_cycles"] += 1
        ledger.read("rf", "psum", rho * (problem.psum_bits + problem.potential_bits))
        ledger.write("rf", "psum", rho * problem.potential_bits)
    outputs = rho * problem.output_bits
    ledger.write("lbuf", "ofmap", outputs)
    step["lbuf_write_bits"] += outputs
    ledger.move("lbuf", "glb", "ofmap", outputs)
    ledger.move("glb", "dram", "ofmap", outputs)


# ---------------------------------------------------------------------- the layer and its sizes


@dataclass(frozen=True)
class Residency:
    """What stays where (Buffers); static (§5), so the same for every group."""

    filters_in_glb: bool
    filters_in_lbuf: bool
    entries_in_glb: str  # "layer", "row" or "run"


class Problem:
    """A layer, its input and the configuration."""

    def __init__(self, layer: Layer, spikes: Bools, config: Mapping[str, Any], bias_nonzero: bool) -> None:
        self.config = config
        if layer["kind"] == "linear":  # H = R = E = 1 (§1)
            spikes = spikes.reshape(-1, 1, 1, spikes.shape[-1])
            layer = {**layer, "kernel": 1, "stride": 1, "padding": 0}
        elif layer["kind"] != "conv":
            raise ValueError(f"a layer of kind {layer['kind']} has no costs of its own")
        self.layer = layer
        self.channels, self.height, self.width, self.T = (int(n) for n in spikes.shape)
        self.inputs = self.channels * self.height * self.width
        self.times = {
            (c, y, x): [t for t in range(self.T) if spikes[c, y, x, t]]
            for c in range(self.channels)
            for y in range(self.height)
            for x in range(self.width)
        }
        self.fields = receptive_fields(layer, self.height, self.width)
        self.P = len(self.fields)
        _, self.out_width = out_size(layer, self.height, self.width)
        kernel = pair(layer["kernel"])
        self.K = self.channels * kernel[0] * kernel[1]
        self.N = int(layer["out_channels"])
        self.L = int(config["array"]["rows"]) * int(config["array"]["cols"])
        neuron = layer["neuron"]
        floating = neuron["datapath"] == "float"
        self.weight_bits, self.potential_bits, self.psum_bits = (
            32 if floating else int(config[key]) for key in ("weight_bits", "potential_bits", "psum_bits")
        )
        # §1 "When silence is not free": then every time point updates.
        self.silence_is_free = not (bias_nonzero or neuron["threshold"] < 0 or neuron["reset"] == "subtract")
        # Buffers: the index of an input and its time, at least one bit each; a time, or none.
        self.entry_bits = entry_bits(self.inputs, self.T)
        self.output_bits = address_bits(self.T + 1)

    # ------------------------------------------------------------------ spikes

    def violating_inputs(self) -> int:
        """Count the inputs that spike more than once."""
        return sum(1 for times in self.times.values() if len(times) > 1)

    def spikes(self, position: int) -> list[Spike]:
        """List the spikes in a receptive field, sorted by time, then by tap."""
        return sorted(
            (t, c, i, j)
            for c in range(self.channels)
            for i, j, y, x in self.fields[position]
            for t in self.times[c, y, x]
        )

    def updates(self, position: int) -> int:
        """Count the time points that update: those with a spike, all where silence is not free."""
        return len({spike[0] for spike in self.spikes(position)}) if self.silence_is_free else self.T

    def all_entries(self) -> int:
        """Count the spikes that enter the layer."""
        return sum(len(times) for times in self.times.values())

    def row_entries(self, row: int) -> int:
        """Count the spikes in the map rows that an output row sees, in all channels and columns."""
        top = row * pair(self.layer["stride"])[0] - pair(self.layer["padding"])[0]
        seen = range(top, top + pair(self.layer["kernel"])[0])
        return sum(len(times) for (_, y, _), times in self.times.items() if y in seen)

    # ------------------------------------------------------------------ groups, runs, residency

    @property
    def unlimited(self) -> bool:
        """Whether everything is taken to fit."""
        return bool(self.config["mapping"]["tile"] == "layer")

    def half(self, level: str, tensor: str) -> int:
        """Bits of one half of a tensor's part."""
        return half_bits(self.config["memory"][level], tensor)

    def groups(self) -> list[range]:
        """Cut the output channels: as many as have their filters fit the GLB's half, 1 to L of them."""
        size = self.L
        if not self.unlimited:
            size = max(1, min(self.L, self.half("glb", "filter") // (self.K * self.weight_bits)))
        return [range(start, min(start + size, self.N)) for start in range(0, self.N, size)]

    def residency(self) -> Residency:
        """Return the widest scopes that fit; filters are those of the largest group."""
        if self.unlimited:
            return Residency(True, True, "layer")
        filters = self.K * len(self.groups()[0]) * self.weight_bits
        in_glb = filters <= self.half("glb", "filter")
        in_lbuf = in_glb and filters <= self.half("lbuf", "filter")
        room = self.half("glb", "ifmap")
        largest_row = max(self.row_entries(row) for row in range(self.P // self.out_width))
        entries = "run"
        if largest_row * self.entry_bits <= room:
            entries = "row"
        if self.all_entries() * self.entry_bits <= room:
            entries = "layer"
        return Residency(in_glb, in_lbuf, entries)

    def runs(self, position: int, rho: int, kept: Residency) -> list[list[Spike]]:
        """Cut a position's spikes into runs that fit the LBUF halves; without spikes there is one, empty.

        What passes through the GLB with a run and does not stay has to fit its half as well (§5).
        """
        spikes = self.spikes(position)
        size = max(1, len(spikes))
        if not self.unlimited:
            bounds = [self.half("lbuf", "ifmap") // self.entry_bits]
            if kept.entries_in_glb == "run":
                bounds.append(self.half("glb", "ifmap") // self.entry_bits)
            if not kept.filters_in_lbuf:
                bounds.append(self.half("lbuf", "filter") // (rho * self.weight_bits))
            if not kept.filters_in_glb:
                bounds.append(self.half("glb", "filter") // (rho * self.weight_bits))
            if min(bounds) == 0:
                raise ValueError("a half does not hold one spike or its weights")
            size = min(bounds)
        return [spikes[start : start + size] for start in range(0, len(spikes), size)] or [[]]


def entry_bits(inputs: int, timesteps: int) -> int:
    """Bits of one spike: which input, and when; at least one bit each."""
    return max(1, address_bits(inputs)) + max(1, address_bits(timesteps))


def address_bits(count: int) -> int:
    """``⌈log2 count⌉``, exactly."""
    return (count - 1).bit_length()
