"""The slow oracle, problem part: tags, batches, tiles, residency and chunks of one layer.

Written from the text of the hardware model (cited as "§n"), independently of the package and sharing no
code with it. Every quantity is a Python integer, every fraction exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from naive import Bools, FieldTap, Layer, pair, receptive_fields
from naive_time import ceil_div

Column = tuple[int, int]  # (position p, window w)
Tap = tuple[int, int, int]  # (input channel, i, j)
Word = tuple[int, int, int]  # (y, x, window): one pixel of one channel in one window

DEFAULTS: dict[str, Any] = {
    "scheduler": "spikex",
    "dispatch": "agile",
    "tws": 4,
    "stream": "tap",
    "stsap": False,
    "tailored": False,  # of PTB; SpikeX always is
    "accumulators_per_pe": 1,
    "update_cycles": 1,
    "leak_catchup_cycles": 1,
    "skew": "tile",  # or "batch", "none"
    "zero_gating": "auto",  # or True, False
    "potential_bits": 16,
    "weight_bits": 8,
    "psum_bits": 24,
    "array": {"rows": 8, "cols": 8},
    "mapping": {"tile": "auto", "positions": "auto", "windows": "auto"},
    "clock_hz": 500_000_000,
    "memory": {
        "zero_tags": "move",  # or "unit"
        "dram": {"bandwidth_bytes_per_s": 30_000_000_000, "latency_cycles": 0},
        "glb": {
            "bytes": 54 * 1024,
            "dram_port_bits": 512,
            "array_port_bits": 64,
            "latency_cycles": 0,
            "partition": {"ifmap": 0.3, "filter": 0.6, "ofmap": 0.1, "psum": 0.0},
        },
        "lbuf": {
            "bytes": 2 * 1024,
            "port_bits": 64,
            "latency_cycles": 0,
            "partition": {"ifmap": 0.25, "filter": 0.5, "ofmap": 0.05, "psum": 0.2},
        },
    },
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a nested dictionary with some of its entries replaced."""
    out: dict[str, Any] = dict(base)
    for key, value in changes.items():
        out[key] = merged(base[key], value) if isinstance(value, Mapping) else value
    return out


def part_bits(level: Mapping[str, Any], tensor: str) -> Fraction:
    """Bits of one tensor's partition of a memory level."""
    return int(level["bytes"]) * 8 * Fraction(str(level["partition"][tensor]))


def half_bits(level: Mapping[str, Any], tensor: str) -> int:
    """Bits of one of the two equal halves of a partition: what "fits" fits in it (§5)."""
    return int(part_bits(level, tensor) / 2)


@dataclass
class Batch:
    """At most ``cols`` columns that are computed together, and what they touch."""

    columns: list[Column]
    touched: dict[tuple[int, int], set[Word]] = field(default_factory=dict)  # words under (i, j), set or not
    hits: dict[Tap, set[int]] = field(default_factory=dict)  # columns in which the tap has a non-zero tag
    words: dict[Tap, set[Word]] = field(default_factory=dict)  # words with a set tag under the tap
    spike_bits: int = 0  # set spike bits over the columns and taps
    streamed: list[Tap] = field(default_factory=list)  # S_b, ascending
    filter_channels: list[int] = field(default_factory=list)  # channels whose filters must be there
    ifmap_channels: list[int] = field(default_factory=list)  # channels whose SP-MB moves


@dataclass
class Tile:
    """A position set and a time block; the row groups go through the same tiles."""

    positions: range
    windows: range
    pixels: int  # receptive-field pixels inside the map, a union
    ifmap_channels: list[int]  # channels whose SP-MB (c, s, z) moves
    batches: list[Batch]

    def filter_channels(self) -> set[int]:
        """Channels whose filters the tile needs: those of its batches."""
        return {c for batch in self.batches for c in batch.filter_channels}


@dataclass
class Chunk:
    """The part of a batch that is one step."""

    streamed: list[Tap]
    weights: int  # taps whose weights are needed, streamed or not, per row
    words: int  # words with a set tag, each once
    tags: int  # tag bits, one per (pixel, window) touched


class Problem:
    """A layer, its input and the configuration, in the letters of the model."""

    def __init__(self, layer: Layer, spikes: Bools, config: Mapping[str, Any], bias_nonzero: bool) -> None:
        self.config = config
        if layer["kind"] == "linear":  # H = R = E = 1 (§1)
            spikes = spikes.reshape(-1, 1, 1, spikes.shape[-1])
            layer = {**layer, "kernel": 1, "stride": 1, "padding": 0}
        elif layer["kind"] != "conv":
            raise ValueError(f"a layer of kind {layer['kind']} has no costs of its own")
        self.C, height, width, T = (int(n) for n in spikes.shape)
        self.M = int(layer["out_channels"])
        self.kernel = pair(layer["kernel"])
        self.filter_positions = [(i, j) for i in range(self.kernel[0]) for j in range(self.kernel[1])]
        self.fields: list[list[FieldTap]] = receptive_fields(layer, height, width)
        self.P = len(self.fields)
        self.rows, self.cols = int(config["array"]["rows"]), int(config["array"]["cols"])
        self.ptb = config["scheduler"] == "ptb"
        self.moves_all = self.ptb and not config["tailored"]
        if config["scheduler"] not in ("spikex", "ptb") or config["stream"] not in ("tap", "channel", "all"):
            raise ValueError("unknown scheduler or stream")
        if config["stsap"] and not self.ptb:
            raise ValueError("stsap belongs to PTB (§7)")
        self.skew = config["skew"]
        if self.skew not in ("tile", "batch", "none"):
            raise ValueError("unknown skew")
        # A PE adds only where the spike bit is set (§4), unless told not to look.
        self.adds_zeros = {"auto": False, True: False, False: True}[config["zero_gating"]]
        self.floating = layer["neuron"]["datapath"] == "float"
        self.weight_bits, self.potential_bits, self.psum_bits = (
            32 if self.floating else int(config[key])
            for key in ("weight_bits", "potential_bits", "psum_bits")
        )

        # §2: windows of TWS time points, the last padded with silence. A word's tag is set iff it holds a
        # spike; words with a zero tag are not in the dictionary: (y, x, window) -> {channel: set bits}.
        self.tws = int(config["tws"])
        self.windows = ceil_div(T, self.tws)
        self.spikes: dict[Word, dict[int, int]] = {}
        for c in range(self.C):
            for y in range(height):
                for x in range(width):
                    for w in range(self.windows):
                        bits = int(spikes[c, y, x, w * self.tws : (w + 1) * self.tws].sum())
                        if bits:
                            self.spikes.setdefault((y, x, w), {})[c] = bits

        # §1 "When silence is not free": then every NTWU is active. §2: else those that see a non-zero tag.
        neuron = layer["neuron"]
        not_free = bias_nonzero or neuron["threshold"] < 0 or neuron["reset"] == "subtract"
        self.active: set[Column] = {
            (p, w)
            for p in range(self.P)
            for w in range(self.windows)
            if not_free or any((y, x, w) in self.spikes for _, _, y, x in self.fields[p])
        }
        # §3: temporal iff the mean number of active NTWUs per neuron exceeds cols. §7: PTB has no modes.
        temporal = {
            "agile": len(self.active) > self.cols * self.P,
            "temporal": True,
            "spatial": False,
        }[config["dispatch"]]
        self.mode = None if self.ptb else "temporal" if temporal else "spatial"

    def pixels(self, positions: range) -> set[tuple[int, int]]:
        """Receptive-field pixels of a position set inside the map: a union, not a bounding box."""
        return {(y, x) for p in positions for _, _, y, x in self.fields[p]}

    def position_sets(self, size: int) -> list[range]:
        """Cut the positions into consecutive, row-major sets."""
        return [range(start, min(start + size, self.P)) for start in range(0, self.P, size)]

    def sp_mb_bits(self, pixels: int, windows: int) -> tuple[int, int]:
        """Spike bits and tag bits of one SP-MB: TWS bits and one tag per pixel and window (§5 SP-MB)."""
        return pixels * windows * self.tws, pixels * windows

    # ------------------------------------------------------------------ §5 Loops: automatic sizes

    def tile_sizes(self) -> tuple[int, int]:
        """Return ``(|s|, z)``, positions per set and windows per block (§5 Loops)."""
        if self.config["mapping"]["tile"] == "layer":
            return self.P, self.windows
        memory = self.config["memory"]
        rho = min(self.rows, self.M)
        size = min(self.P, int(part_bits(memory["lbuf"], "psum")) // (self.potential_bits * rho))
        if size == 0:
            raise ValueError("the potentials of a single position do not fit the LBUF's psum part")
        fill_columns = self.ptb or self.mode == "temporal"
        wanted = min(self.cols, self.windows) if fill_columns else 1
        fixed = self.config["mapping"]
        if fixed["windows"] != "auto":  # the positions make room for the windows asked for
            wanted = min(self.windows, int(fixed["windows"]))
        if fixed["positions"] != "auto":
            if min(self.P, int(fixed["positions"])) > size:
                raise ValueError("the potentials of the positions asked for do not fit the LBUF's psum part")
            size = min(self.P, int(fixed["positions"]))
        while True:
            most_pixels = max(len(self.pixels(s)) for s in self.position_sets(size))
            z = self.windows
            if most_pixels:  # all channels of (s, z) together in the GLB's ifmap half
                z = min(z, half_bits(memory["glb"], "ifmap") // (self.C * most_pixels * (self.tws + 1)))
            if z >= wanted or size == 1 or fixed["positions"] != "auto":
                break
            size //= 2
        if z == 0:
            raise ValueError("a single position and window does not fit the GLB's ifmap half")
        if fixed["windows"] != "auto":
            if min(self.windows, int(fixed["windows"])) > z:
                raise ValueError("the windows asked for do not fit the GLB's ifmap half")
            return size, min(self.windows, int(fixed["windows"]))
        if fill_columns and z > self.cols:
            z -= z % self.cols
        return size, z

    # ------------------------------------------------------------------ §3 batches

    def cut_batches(self, positions: range, windows: range) -> list[list[Column]]:
        """Cut the work of a tile into batches of at most ``cols`` columns (§3; §7 for PTB)."""
        cols = self.cols
        if self.mode == "spatial":  # sorted by window, then position
            work = [(p, w) for w in windows for p in positions if (p, w) in self.active]
            return [work[k : k + cols] for k in range(0, len(work), cols)]
        batches = []
        for p in positions:  # PTB: consecutive windows whatever their tags; temporal mode: the active ones
            work = [(p, w) for w in windows if self.ptb or (p, w) in self.active]
            batches += [work[k : k + cols] for k in range(0, len(work), cols)]
        return batches

    def make_batch(self, columns: list[Column]) -> Batch:
        """Find what a batch touches, which taps it streams and which channels are active in it (§4, §5)."""
        batch = Batch(columns)
        for column, (p, w) in enumerate(columns):
            for i, j, y, x in self.fields[p]:
                batch.touched.setdefault((i, j), set()).add((y, x, w))
                for c, bits in self.spikes.get((y, x, w), {}).items():
                    batch.hits.setdefault((c, i, j), set()).add(column)
                    batch.words.setdefault((c, i, j), set()).add((y, x, w))
                    batch.spike_bits += bits
        tagged = sorted({c for c, _, _ in batch.hits})
        everything = list(range(self.C))
        stream = self.config["stream"]
        if stream == "tap":
            batch.streamed = sorted(batch.hits)
        else:
            channels = tagged if stream == "channel" else everything
            batch.streamed = [(c, i, j) for c in channels for i, j in self.filter_positions]
        # §5 Weight tailoring: a filter moves only if the SP-MB is active, but what is streamed must be there.
        # PTB moves the SP-MBs and filters of every channel, tagged or not, unless told to tailor.
        batch.ifmap_channels = everything if self.moves_all else tagged
        batch.filter_channels = everything if self.moves_all or stream == "all" else tagged
        return batch

    def make_tiles(self, size: int, z: int) -> list[Tile]:
        """Cut the layer into its tiles, position set outermost, then time block (§5 Loops)."""
        tiles = []
        for positions in self.position_sets(size):
            pixels = self.pixels(positions)
            for start in range(0, self.windows, z):
                windows = range(start, min(start + z, self.windows))
                tagged = {c for y, x in pixels for w in windows for c in self.spikes.get((y, x, w), {})}
                channels = list(range(self.C)) if self.moves_all else sorted(tagged)
                batches = [self.make_batch(columns) for columns in self.cut_batches(positions, windows)]
                tiles.append(Tile(positions, windows, len(pixels), channels, batches))
        return tiles

    # ------------------------------------------------------------------ §5 Residency

    def weight_words(self, channels: int) -> int:
        """Weights of so many channels' filters, per row."""
        return channels * self.kernel[0] * self.kernel[1]

    def layer_ifmap_bits(self, tiles: list[Tile]) -> tuple[int, int]:
        """Spike and tag bits of all active SP-MBs of the layer; halos count again in every tile."""
        spike_bits = tag_bits = 0
        for tile in tiles:
            spikes, tags = self.sp_mb_bits(tile.pixels, len(tile.windows))
            spike_bits += spikes * len(tile.ifmap_channels)
            tag_bits += tags * len(tile.ifmap_channels)
        return spike_bits, tag_bits

    def scopes(self, tiles: list[Tile]) -> dict[str, str]:
        """Choose the widest scope that fits, once per layer, for full row groups (§5 Residency)."""
        if self.config["mapping"]["tile"] == "layer":  # everything fits
            return {"glb_filter": "group", "glb_ifmap": "layer", "lbuf_filter": "group"}
        glb, lbuf = self.config["memory"]["glb"], self.config["memory"]["lbuf"]
        row_bits = min(self.rows, self.M) * self.weight_bits
        per_tile = [tile.filter_channels() for tile in tiles]
        group = self.weight_words(len(set().union(*per_tile))) * row_bits
        largest = max(self.weight_words(len(channels)) for channels in per_tile) * row_bits
        fits = half_bits(glb, "filter")
        glb_filter = "group" if group <= fits else "tile" if largest <= fits else "step"
        # A level's scope is never narrower than that of the level below it.
        in_lbuf = glb_filter == "group" and group <= half_bits(lbuf, "filter")
        in_glb = sum(self.layer_ifmap_bits(tiles)) <= half_bits(glb, "ifmap")
        return {
            "glb_filter": glb_filter,
            "glb_ifmap": "layer" if in_glb else "tile",
            "lbuf_filter": "group" if in_lbuf else "step",
        }

    # ------------------------------------------------------------------ §5 Step: chunks of a batch

    def chunk_of(self, batch: Batch, taps: list[Tap]) -> Chunk:
        """Collect what the batch needs under these taps (whole channels, or a run of taps of one)."""
        chunk = Chunk([], 0, 0, 0)
        wanted = set(taps)
        chunk.streamed = [tap for tap in batch.streamed if tap in wanted]
        by_channel: dict[int, list[Tap]] = {}
        for tap in taps:
            by_channel.setdefault(tap[0], []).append(tap)
        nothing: set[Word] = set()
        for c, own in by_channel.items():
            if c in batch.filter_channels:
                chunk.weights += len(own)
            if c in batch.ifmap_channels:  # each word once, and one tag for every (pixel, window) touched
                chunk.words += len(nothing.union(*(batch.words.get(tap, nothing) for tap in own)))
                chunk.tags += len(nothing.union(*(batch.touched.get((i, j), nothing) for _, i, j in own)))
        return chunk

    def make_chunks(self, batch: Batch, rho: int, filters_stay: bool) -> list[Chunk]:
        """Cut a batch into runs of consecutive active channels, or of taps, that fit the LBUF (§5 Step).

        ``filters_stay``: the LBUF holds all filters of the row group, which then cut nothing.
        """
        lbuf = self.config["memory"]["lbuf"]
        filter_half, ifmap_half = half_bits(lbuf, "filter"), half_bits(lbuf, "ifmap")
        unlimited = self.config["mapping"]["tile"] == "layer"

        def fits(taps: list[Tap]) -> bool:
            part = self.chunk_of(batch, taps)
            filters_fit = filters_stay or part.weights * rho * self.weight_bits <= filter_half
            return unlimited or (filters_fit and part.words * self.tws + part.tags <= ifmap_half)

        def greedy(pieces: list[list[Tap]]) -> list[Chunk]:
            """Cut consecutive pieces, each of which fits alone, into maximal runs that fit."""
            out: list[Chunk] = []
            run: list[Tap] = []
            for piece in pieces:
                if run and not fits(run + piece):
                    out.append(self.chunk_of(batch, run))
                    run = []
                run = run + piece
            return [*out, self.chunk_of(batch, run)] if run else out

        channels = sorted({*batch.filter_channels, *batch.ifmap_channels})
        if not channels:  # a batch without active channels is one step
            return [Chunk([], 0, 0, 0)]
        chunks: list[Chunk] = []
        waiting: list[list[Tap]] = []  # channels that fit alone, not yet cut
        for c in channels:
            taps = [(c, i, j) for i, j in self.filter_positions]
            if fits(taps):
                waiting.append(taps)
                continue
            # A channel that does not fit alone shares no chunk with others and is cut into runs of taps.
            for tap in taps:
                if not fits([tap]):
                    raise ValueError(f"the single tap {tap} does not fit the LBUF")
            chunks += greedy(waiting) + greedy([[tap] for tap in taps])
            waiting = []
        return chunks + greedy(waiting)

    # ------------------------------------------------------------------ §4 the array

    def integration_slots(self, batch: Batch, streamed: list[Tap]) -> int:
        """Slots in which the taps are streamed: one each (§4), or fewer where they are packed (§7)."""
        slots: list[set[int]] = []  # columns taken by the taps packed into a slot
        for tap in streamed:
            columns = batch.hits.get(tap, set())
            free = next((s for s in slots if not s & columns), None) if self.config["stsap"] else None
            if free is None:
                slots.append(set(columns))
            else:
                free |= columns
        return len(slots)

    def integration(self, slots: int) -> int:
        """Cycles in which so many slots occupy the accumulators (§4)."""
        return slots * ceil_div(self.tws, int(self.config["accumulators_per_pe"]))

    def additions(self, batch: Batch, slots: int) -> int:
        """Additions of a batch per row: of set spike bits, or one per column, slot and time point."""
        return len(batch.columns) * slots * self.tws if self.adds_zeros else batch.spike_bits

    def crossing(self, rho: int, columns: int) -> int:
        """Cycles in which an end token crosses the PEs in use (§4)."""
        return (rho - 1) + (columns - 1)

    def update(self, batch: Batch, last: dict[int, int]) -> tuple[int, int, int]:
        """Cycles of the update phase, potential reads and potential writes, per row (§4).

        ``last`` holds each position's latest active window so far, and is brought up to date.
        """
        cycles: dict[int, int] = {}
        reads = writes = 0
        here = set(batch.columns)
        for p, w in batch.columns:
            cycles[p] = cycles.get(p, 0) + self.tws * int(self.config["update_cycles"])
            if p in last:  # skipped windows owed; a neuron that has not been active owes nothing
                cycles[p] += int(self.config["leak_catchup_cycles"]) * (w - last[p] - 1)
            if (p, w - 1) not in here:  # a maximal run of adjacent windows starts: one write, one read
                writes += 1
                reads += 1 if p in last else 0
            last[p] = w
        return max(cycles.values()), reads, writes
