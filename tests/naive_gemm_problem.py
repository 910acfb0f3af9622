"""The slow oracle of the dense array and of SATA, problem part: matrices, passes, sizes, residency.

Written from ``docs/accelerators/systolic.md`` and ``sata.md`` (cited by the names of their sections) and from
the hardware model (cited as "§n"), independently of the package and sharing no code with it. Every quantity
is a Python integer, every fraction exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from numpy.typing import NDArray

from naive import Layer, pair, receptive_fields
from naive_time import ceil_div

Row = tuple[int, int]  # (time point, position): one row of the ifmap matrix
Tap = tuple[int, int, int]  # (input channel, i, j): one column of it
Pixel = tuple[int, int, int]  # (input channel, y, x)
Item = TypeVar("Item")

DEFAULTS: dict[str, Any] = {
    "scheduler": "systolic",  # or "sata"
    "dataflow": "os",  # "os", "ws", "is"; SATA also "tick_batch"
    "zero_gating": "auto",  # or True, False
    "activation_bits": 1,  # 8: an ANN
    "lif_sharing": 1,
    "cycles_model": "overlapped",  # or "published"
    "weight_bits": 8,
    "psum_bits": 24,
    "potential_bits": 16,
    "array": {"rows": 8, "cols": 8},
    "mapping": {"tile": "auto", "positions": "auto", "windows": "auto"},
    "memory": {
        "dram": {"bits_per_cycle": Fraction(480), "latency_cycles": 0},
        "glb": {
            "bytes": 54 * 1024,
            "separate": {},  # or bytes of the memories of ifmap, filter and ofmap
            "dram_port_bits": 512,
            "array_port_bits": 64,
            "latency_cycles": 0,
            "partition": {
                "ifmap": Fraction(3, 10),
                "filter": Fraction(4, 10),
                "ofmap": Fraction(1, 10),
                "psum": Fraction(2, 10),
            },
        },
        "lbuf": {
            "bytes": 2 * 1024,  # 0: there is none, the GLB is at the array's edge
            "port_bits": 64,
            "latency_cycles": 0,
            "partition": {
                "ifmap": Fraction(25, 100),
                "filter": Fraction(50, 100),
                "ofmap": Fraction(5, 100),
                "psum": Fraction(20, 100),
            },
        },
    },
}


def half_bits(level: Mapping[str, Any], tensor: str) -> int:
    """Bits of one of the two equal halves for a tensor: what "fits" fits in it (§5; SATA, Buffers)."""
    if level.get("separate"):
        return int(level["separate"][tensor]) * 8 // 2
    return int(int(level["bytes"]) * 8 * Fraction(level["partition"][tensor]) / 2)


def psum_room(level: Mapping[str, Any]) -> int:
    """Bits of the psum part: one piece; of a memory for the ofmap alone, the other half (SATA, Buffers)."""
    if level.get("separate"):
        return int(level["separate"]["ofmap"]) * 8 // 2
    return int(int(level["bytes"]) * 8 * Fraction(level["partition"]["psum"]))


def runs(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Cut into consecutive runs of at most so many."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


@dataclass(frozen=True)
class Pass:
    """Consecutive positions and a block of time points (What it issues when)."""

    positions: list[int]
    times: list[int]

    @property
    def rows(self) -> list[Row]:
        """Rows of the ifmap matrix, ordered by time point, then position."""
        return [(t, p) for t in self.times for p in self.positions]


@dataclass(frozen=True)
class Residency:
    """What stays where (Buffers, Residency)."""

    filters_in_glb: bool
    filters_in_lbuf: bool
    ifmap_in_glb: str  # "layer", "frame" or "chunk"
    potentials: str  # "lbuf", "glb" or "dram"
    psums: str


class Problem:
    """A layer, its input and the configuration, in the letters of the documents."""

    def __init__(
        self, layer: Layer, values: NDArray[Any], config: Mapping[str, Any], bias_nonzero: bool
    ) -> None:
        self.config = config
        if layer["kind"] == "linear":  # H = R = E = 1 (§1)
            values = values.reshape(-1, 1, 1, values.shape[-1])
            layer = {**layer, "kernel": 1, "stride": 1, "padding": 0}
        elif layer["kind"] != "conv":
            raise ValueError(f"a layer of kind {layer['kind']} has no costs of its own")
        self.dataflow = str(config["dataflow"])
        self.sata = config["scheduler"] == "sata"
        self.tick_batch = self.dataflow == "tick_batch"
        if self.dataflow not in (("os", "ws", "tick_batch") if self.sata else ("os", "ws", "is")):
            raise ValueError(f"no dataflow {self.dataflow} here")
        self.ann = int(config["activation_bits"]) > 1
        self.value_bits = int(config["activation_bits"])
        neuron = layer["neuron"]
        floating = neuron["datapath"] == "float"
        self.weight_bits, self.psum_bits, self.potential_bits = (
            32 if floating else int(config[key]) for key in ("weight_bits", "psum_bits", "potential_bits")
        )

        channels, height, width, self.T = (int(n) for n in values.shape)
        if self.ann and self.T != 1:
            raise ValueError("the layers of an ANN run once")
        kernel = pair(layer["kernel"])
        self.N = int(layer["out_channels"])
        self.taps: list[Tap] = [
            (c, i, j) for c in range(channels) for i in range(kernel[0]) for j in range(kernel[1])
        ]
        self.K = len(self.taps)
        self.fields = [
            {(i, j): (y, x) for i, j, y, x in field} for field in receptive_fields(layer, height, width)
        ]
        self.P = len(self.fields)
        self.layer_pixels = channels * len({place for own in self.fields for place in own.values()})
        self.values = values.tolist()
        self.R, self.C = int(config["array"]["rows"]), int(config["array"]["cols"])
        # §1 "When silence is not free": then every NTWU is active.
        self.silence_is_free = not (bias_nonzero or neuron["threshold"] < 0 or neuron["reset"] == "subtract")

    # ------------------------------------------------------------------ the ifmap matrix

    def pixel(self, position: int, tap: Tap) -> Pixel | None:
        """Return where a tap lies, None outside the map."""
        c, i, j = tap
        place = self.fields[position].get((i, j))
        return None if place is None else (c, *place)

    def operand(self, row: Row, tap: Tap) -> int:
        """Entry of the ifmap matrix: a spike, or an activation; zero outside the map."""
        time, position = row
        pixel = self.pixel(position, tap)
        if pixel is None:
            return 0
        c, y, x = pixel
        return int(self.values[c][y][x][time])

    def distinct_bits(self, rows: list[Row], taps: list[Tap]) -> int:
        """Bits of the distinct pixels inside the map that rows and taps see."""
        found = {(time, self.pixel(position, tap)) for time, position in rows for tap in taps}
        return sum(1 for _, pixel in found if pixel is not None) * self.value_bits

    def frame_bits(self, positions: list[int], channels: set[int]) -> int:
        """Bits of the pixels, in some input channels, that positions see at one time point."""
        places = {place for p in positions for place in self.fields[p].values()}
        return len(places) * len(channels) * self.value_bits

    def active(self) -> int:
        """Count the active (position, window): of one time point, under `tick_batch` of `T`."""
        windows = [list(range(self.T))] if self.tick_batch else [[t] for t in range(self.T)]
        return sum(
            1
            for p in range(self.P)
            for window in windows
            if not self.silence_is_free or any(self.operand((t, p), tap) for t in window for tap in self.taps)
        )

    # ------------------------------------------------------------------ passes and folds

    def passes(self) -> list[Pass]:
        """List the passes: position sets outer, time blocks inner."""
        mapping = self.config["mapping"]
        positions, windows = mapping["positions"], mapping["windows"]
        if mapping["tile"] == "layer" or self.sata:
            positions = windows = "auto"
        if self.sata and not self.tick_batch:  # a pass per time point; the only pass of tick_batch has all
            windows = 1
        return [
            Pass(place, time)
            for place in runs(range(self.P), self.P if positions == "auto" else int(positions))
            for time in runs(range(self.T), self.T if windows == "auto" else int(windows))
        ]

    def largest_rows(self) -> int:
        """Return ``G`` of the largest pass; under `tick_batch` the rows are the positions."""
        return self.P if self.tick_batch else max(len(one.rows) for one in self.passes())

    def groups(self) -> list[list[int]]:
        """List the groups of output channels that the columns hold."""
        return runs(range(self.N), self.C)

    def tap_folds(self) -> list[list[Tap]]:
        """List the runs of taps that the rows hold under `ws` and `is`."""
        return runs(self.taps, self.R)

    # ------------------------------------------------------------------ Buffers

    @property
    def edge(self) -> str:
        """The level that the array's edge reads and writes."""
        return "lbuf" if int(self.config["memory"]["lbuf"]["bytes"]) else "glb"

    @property
    def unlimited(self) -> bool:
        """Whether everything is taken to fit."""
        return bool(self.config["mapping"]["tile"] == "layer")

    @property
    def word_bits(self) -> int:
        """Bits of an ifmap or ofmap word."""
        return self.T if self.tick_batch else self.value_bits

    def residency(self) -> Residency:
        """Return the widest scopes that fit, once per layer."""
        if self.unlimited:
            return Residency(True, self.edge == "lbuf", "layer", self.edge, self.edge)
        glb, lbuf = self.config["memory"]["glb"], self.config["memory"]["lbuf"]
        n = self.N if self.dataflow == "is" else min(self.C, self.N)  # the layer's filters, or a group's
        filters = self.K * n * self.weight_bits
        in_glb = filters <= half_bits(glb, "filter")
        in_lbuf = self.edge == "lbuf" and in_glb and filters <= half_bits(lbuf, "filter")
        potentials, psums = self.homes()
        return Residency(in_glb, in_lbuf, self.ifmap_in_glb(), potentials, psums)

    def ifmap_in_glb(self) -> str:
        """The layer's pixels at all time points, else frames, else what a chunk sees."""
        room = half_bits(self.config["memory"]["glb"], "ifmap")
        if self.layer_pixels * self.T * self.value_bits <= room:
            return "layer"
        if self.tick_batch:  # "the layer, else the chunk"
            return "chunk"
        channels = {c for c, _, _ in self.taps}  # a fold may want some of them only; room is for all
        largest = max(self.frame_bits(one.positions, channels) for one in self.passes())
        sets = [len(one.positions) for one in self.passes()]
        at_once = {"os": self.R, "is": self.C, "ws": max(sets)}[self.dataflow]  # rows; ws: those of a chunk
        frames = ceil_div(min(at_once, self.largest_rows()), min(sets))
        return "frame" if frames * largest <= room else "chunk"

    def homes(self) -> tuple[str, str]:
        """Where potentials and partial sums stay: the innermost level whose psum part holds them."""
        passes = self.passes()
        n = min(self.C, self.N)
        largest_set = max(len(one.positions) for one in passes)
        potentials = partial_sums = 0
        if self.T > 1 and not self.tick_batch:
            channels = self.N if self.dataflow == "is" else n
            potentials = largest_set * channels * self.potential_bits
        if self.dataflow == "ws" and len(self.tap_folds()) > 1:
            partial_sums = self.largest_rows() * n * self.psum_bits
        if self.dataflow == "is" and len(self.tap_folds()) > 1:
            partial_sums = min(self.C, self.largest_rows()) * self.N * self.psum_bits
        levels = ["lbuf", "glb"] if self.edge == "lbuf" else ["glb"]
        room = {level: psum_room(self.config["memory"][level]) for level in levels}
        homes = []
        for bits in (potentials, partial_sums):  # potentials first, partial sums in what they leave
            home = next((level for level in levels if bits <= room[level]), "dram")
            if home in room:
                room[home] -= bits
            homes.append(home)
        return homes[0], homes[1]

    def chunk_size(self, kept: Residency) -> int:
        """How many taps (os), rows (ws) or channels (is) of a fold make a step (Buffers, Steps)."""
        if self.unlimited:
            return max(self.K, self.largest_rows(), self.N)
        # The halves at the edge; those of the GLB, too, for what passes through it and does not stay (§5).
        sizes = [self.fitting(self.edge, kept)] + ([self.fitting("glb", kept)] if self.edge == "lbuf" else [])
        if min(sizes) == 0:
            raise ValueError("a half does not hold one")
        return min(sizes)

    def fitting(self, name: str, kept: Residency) -> int:
        """How many taps, rows or channels fit the halves of one level."""
        level = self.config["memory"][name]
        filter_half, ifmap_half = half_bits(level, "filter"), half_bits(level, "ifmap")
        filters_stay = kept.filters_in_lbuf if name == "lbuf" else kept.filters_in_glb
        ifmap_stays = name == "glb" and kept.ifmap_in_glb != "chunk"
        k, n, r = min(self.R, self.K), min(self.C, self.N), min(self.R, self.largest_rows())
        by_filters = {"os": n, "tick_batch": n, "is": k}  # weights of one tap, of one channel
        by_ifmap = {"os": r, "tick_batch": r, "ws": k}  # words of one tap, of one row
        bounds = [max(self.K, self.largest_rows(), self.N)]
        if self.dataflow == "ws" and kept.ifmap_in_glb == "frame":
            bounds.append(max(len(one.positions) for one in self.passes()))
        if self.dataflow in by_filters and not filters_stay:
            bounds.append(filter_half // (by_filters[self.dataflow] * self.weight_bits))
        if self.dataflow in by_ifmap and not ifmap_stays:
            bounds.append(ifmap_half // (by_ifmap[self.dataflow] * self.word_bits))
        return min(bounds)

    # ------------------------------------------------------------------ published cycles

    def walk(self) -> int:
        """SATA's walk of the filters in weight-stationary order (What it issues when, `published`)."""
        folds = ceil_div(self.K, self.R) * ceil_div(self.N, self.C)
        return (folds - 1) * (self.P + 2 * self.R + self.C - 2) + min(self.K, self.R) - 1
