"""The slow oracle of in-memory computing, first part: mapping and counts. Follow `counts` at the end.

Written from the text on in-memory computing alone (cited as "§n"), independently of the package and sharing
no code with it. Every count is a Python integer, every fraction exact. What the text leaves open is marked
"Reading". Further parts: `naive_imc_net` (networks), `naive_imc_time`, `naive_imc_cost`, `naive_nice`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive import Bools, Layer, out_size, pair, receptive_fields
from naive_time import ceil_div

Config = Mapping[str, Any]
Row = tuple[int, int]  # a tap: (kernel position k, input channel c)
Pixel = tuple[int, int]

#: Every key with its default (§5), those of the preset where the key is not of the section `imc`.
DEFAULTS: dict[str, Any] = {
    "imc.model": "events",  # or "released"
    "imc.event_driven": True,
    "imc.crossbar": 64,
    "imc.crossbars_per_pe": 9,
    "imc.pes_per_tile": 8,
    "imc.mapping": "kernel",  # or "packed"
    "imc.encoding": "sign_offset",  # or "twos", "offset", "differential"
    "imc.complement": False,
    "imc.sign_plane": "free",  # or "charged" (§2)
    "imc.overhead_cycles": 2,
    "imc.phase_cycles": 2,
    "imc.silent_cycles": 1,
    "imc.ports": 4,
    "imc.lif_units": 64,
    "imc.umem": "sram",  # or "fefet"
    "imc.buffers.gb": 20480,
    "imc.buffers.tb": 10240,
    "imc.buffers.pb": 5120,
    "imc.buffers.tib": 0,
    "imc.buffers.pib": 0,
    "imc.direct": "auto",  # or True, False
    "imc.released_dims": "post_pool",  # or "conv"
    "imc.precision_factor": False,
    "imc.device.bits": 4,
    "imc.device.r_on_kohm": 20,
    "imc.device.r_off_kohm": 200,
    "imc.device.v_read": 0.1,
    "imc.device.kind": "rram",  # or "sram", released only
    "imc.adc.bits": 5,  # or "auto"
    "imc.adc.kind": "flash",  # or "sar"
    "imc.adc.sharing": "pe",  # or "crossbar"
    "imc.adc.mux": 8,
    "imc.adc.range": "auto",  # or s
    "imc.adc.clip": 0.001,
    "imc.arrays": "ideal",  # or "nonideal"
    "imc.r_par_ohm": 5,
    "imc.read_sigma": 0.1,
    "imc.write_sigma": 0,
    "imc.drift.nu": 0,
    "imc.drift.seconds": 1,
    "imc.drift.t0_seconds": 1,
    "imc.stuck.on": 0,
    "imc.stuck.off": 0,
    "imc.goff": "popcount",  # or "column", "none"
    "imc.adapt": "none",  # or "channel"
    "imc.seed": 0,
    "psum_bits": "auto",
    "weight_bits": 8,
    "potential_bits": 22,
    "clock_mhz": 250,
    "dataflow": "layer",  # or "tick_batch"
    "lif_sharing": 1,
}


def config_of(changes: Config | None = None) -> dict[str, Any]:
    """Return the defaults with some keys replaced; an unknown key is an error."""
    unknown = set(changes or {}) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    return DEFAULTS | dict(changes or {})


def clog2(n: int) -> int:
    """``⌈log2 n⌉`` of a positive integer, exactly."""
    return (n - 1).bit_length()


class Shape:
    """The sizes of a conv or linear layer, in the letters of §1; a linear layer has one output position."""

    def __init__(self, layer: Layer) -> None:
        self.linear = layer["kind"] == "linear"
        self.C, self.M = int(layer["in_channels"]), int(layer["out_channels"])
        if self.linear:
            layer = {**layer, "in_height": 1, "in_width": 1, "kernel": 1, "stride": 1, "padding": 0}
        elif layer["kind"] != "conv":
            raise ValueError(f"a layer of kind {layer['kind']} lies on no crossbar")
        self.H, self.W = int(layer["in_height"]), int(layer["in_width"])
        self.kernel, self.stride, self.padding = (pair(layer[key]) for key in ("kernel", "stride", "padding"))
        self.K = self.kernel[0] * self.kernel[1]
        self.H_o, self.W_o = out_size(layer, self.H, self.W)
        self.P = self.H_o * self.W_o
        self.fields = receptive_fields(layer, self.H, self.W)
        self.in_field: list[Pixel] = sorted({(y, x) for field in self.fields for _, _, y, x in field})

    def taps(self, spikes: Bools) -> Bools:
        """Spikes ``[P, K, C, T]`` under every tap of every position; those outside the map are silent."""
        spikes = spikes.reshape(self.C, self.H, self.W, -1)
        out = np.zeros((self.P, self.K, self.C, spikes.shape[-1]), np.bool_)
        for p, field in enumerate(self.fields):
            for i, j, y, x in field:
                out[p, i * self.kernel[1] + j] = spikes[:, y, x]
        return out

    def weights(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Weights ``[M, K, C]`` of those of the trace, ``[M, C, E, E]`` or ``[M, N]``."""
        return np.asarray(weight).reshape(self.M, self.C, self.K).transpose(0, 2, 1)


def magnitude_bits(config: Config) -> int:
    """``b_m`` (§1)."""
    unsigned = config["imc.encoding"] in ("twos", "offset")
    return int(config["weight_bits"]) - (0 if unsigned else 1)


def slices(config: Config) -> int:
    """``S``: adjacent columns that the bits of a code are cut into (§1)."""
    return ceil_div(magnitude_bits(config), int(config["imc.device.bits"]))


def polarities(config: Config) -> int:
    """``D`` (§1)."""
    return 2 if config["imc.encoding"] == "differential" else 1


def adc_bits(config: Config) -> int:
    """Bits of the ADCs; ``auto``: those of the largest sum there can be (§2, energy of the ADC)."""
    if config["imc.adc.bits"] != "auto":
        return int(config["imc.adc.bits"])
    largest = int(config["imc.crossbar"]) * (2 ** int(config["imc.device.bits"]) - 1)
    if config["imc.adc.sharing"] == "pe":
        largest *= int(config["imc.crossbars_per_pe"])
    return clog2(largest + 1)


@dataclass
class Tile:
    """One tile of a layer: which PE rows it has of every column group, and how far it is."""

    rows_of_group: dict[int, list[int]]  # g -> PE rows q
    hops: int

    @property
    def pe_rows(self) -> set[int]:
        return {q for rows in self.rows_of_group.values() for q in rows}


class Mapped:
    """A layer on crossbars (§1)."""

    def __init__(self, layer: Layer, config: Config) -> None:
        self.config, self.shape = config, Shape(layer)
        X, B = int(config["imc.crossbar"]), int(config["imc.crossbars_per_pe"])
        C, K, M = self.shape.C, self.shape.K, self.shape.M
        self.blocks: list[list[Row]] = []
        self.pe_row_of_block: list[int] = []
        if config["imc.mapping"] == "kernel":
            for gamma in range(ceil_div(C, X)):
                for k in range(K):
                    self.blocks.append([(k, c) for c in range(gamma * X, min(C, (gamma + 1) * X))])
                    per_pe = B // K  # channel groups that share a PE
                    q = gamma * ceil_div(K, B) + k // B if K >= B else gamma // per_pe
                    self.pe_row_of_block.append(q)
        else:
            taps = [(k, c) for k in range(K) for c in range(C)]
            for b in range(ceil_div(len(taps), X)):
                self.blocks.append(taps[b * X : (b + 1) * X])
                self.pe_row_of_block.append(b // B)
        self.Q = max(self.pe_row_of_block) + 1
        self.S, self.D = slices(config), polarities(config)
        self.channels_per_crossbar = X // (self.S * self.D)
        if self.channels_per_crossbar == 0:
            raise ValueError(f"a weight takes {self.S * self.D} columns, a crossbar has {X}")
        width = self.channels_per_crossbar
        self.m = [min(width, M - g * width) for g in range(ceil_div(M, width))]  # m_g
        self.n_g, self.n_b = len(self.m), len(self.blocks)
        self.n_pe = self.Q * self.n_g
        self.tiles: list[Tile] = []
        for number in range(self.n_pe):
            g, q = divmod(number, self.Q)
            if number % int(config["imc.pes_per_tile"]) == 0:
                self.tiles.append(Tile({}, 0))
            self.tiles[-1].rows_of_group.setdefault(g, []).append(q)
        self.adc_bits = adc_bits(config)
        # b_s (§2)
        automatic = self.adc_bits + self.S * int(config["imc.device.bits"]) + clog2(self.n_b) + 1
        self.psum_bits = automatic if config["psum_bits"] == "auto" else int(config["psum_bits"])

    def blocks_of(self, q: int) -> list[int]:
        """Blocks of a PE row."""
        return [b for b in range(self.n_b) if self.pe_row_of_block[b] == q]

    @cached_property
    def channels_of_row(self) -> list[set[int]]:
        """Input channels that a PE row has rows for."""
        return [{c for b in self.blocks_of(q) for _, c in self.blocks[b]} for q in range(self.Q)]

    def channels_of(self, pe_rows: set[int]) -> set[int]:
        """Input channels that some PE rows have rows for."""
        return {c for q in pe_rows for c in self.channels_of_row[q]}

    @property
    def farthest(self) -> int:
        """``max_τ h_τ``, over the layer's tiles (§3)."""
        return max(tile.hops for tile in self.tiles)

    def cell_utilization(self) -> Fraction:
        """Share of the cells that hold a weight (§1)."""
        X, B = int(self.config["imc.crossbar"]), int(self.config["imc.crossbars_per_pe"])
        used = sum(len(block) for block in self.blocks) * self.shape.M * self.S * self.D
        return Fraction(used, self.n_pe * B * X * X)


def map_network(layers: list[Layer], config: Config) -> list[Mapped]:
    """Place conv and linear layers, in order, on a mesh around the global node (§1)."""
    mapped = [Mapped(layer, config) for layer in layers]
    tiles = [tile for one in mapped for tile in one.tiles]
    side = 0
    while side * side < len(tiles) + 1:  # d = ⌈√(n_tiles + 1)⌉
        side += 1
    node = (side // 2, side // 2)
    others = [(row, col) for row in range(side) for col in range(side) if (row, col) != node]
    for tile, (row, col) in zip(tiles, others, strict=False):
        tile.hops = abs(row - node[0]) + abs(col - node[1])
    return mapped


def is_direct(spikes: Bools, config: Config, first: bool) -> bool:
    """Whether the first layer's sums are computed once and kept (§2, direct encoding).

    Reading: the input meant is what enters the first conv or linear layer, behind pooling. `true` is refused
    wherever `auto` would not apply, for one time point too.
    """
    if not first or config["imc.direct"] is False:
        return False
    constant = bool(spikes.shape[-1] > 1 and spikes.any() and (spikes == spikes[..., :1]).all())
    if config["imc.direct"] is True and not constant:
        raise ValueError("imc.direct is true, and the input is silent, changes or has one time point")
    return constant


class Activity:
    """What the spikes of one sample make a mapped layer do (§2): ``a``, ``r``, ``ρ`` and packets."""

    def __init__(self, mapped: Mapped, spikes: Bools, first: bool) -> None:
        self.mapped, self.first = mapped, first
        config, shape = mapped.config, mapped.shape
        self.spikes = spikes.reshape(shape.C, shape.H, shape.W, -1)
        self.T = self.spikes.shape[-1]
        self.direct = is_direct(spikes, config, first)
        self.event_driven = bool(config["imc.event_driven"])
        self.points = range(1 if self.direct else self.T)  # at later points nothing is read or sent
        taps = shape.taps(self.spikes)
        size = (mapped.n_b, shape.P, self.T)
        self.a, self.r = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for b, rows in enumerate(mapped.blocks):
            for p in range(shape.P):
                for t in self.points:
                    self.a[b, p, t] = sum(bool(taps[p, k, c, t]) for k, c in rows)
                    self.r[b, p, t] = self.a[b, p, t] > 0 or not self.event_driven
        self.rho = self.any_of(self.r, [mapped.blocks_of(q) for q in range(mapped.Q)])

    @staticmethod
    def any_of(values: NDArray[np.int64], groups: list[list[int]]) -> NDArray[np.int64]:
        """OR over the rows of every group."""
        return np.array([values[group].max(axis=0) for group in groups])

    def rho_tile(self, tile: Tile, g: int) -> NDArray[np.int64]:
        """``ρ_τg [P, T]``."""
        return self.any_of(self.rho, [tile.rows_of_group[g]])[0]

    def out_flits(self) -> list[tuple[Tile, NDArray[np.int64]]]:
        """Flits ``[P, T]`` of sums that leave, by tile (§2, `noc_out_flits`)."""
        out = []
        for tile in self.mapped.tiles:
            flits = np.zeros((self.mapped.shape.P, self.T), np.int64)
            for g in tile.rows_of_group:
                body = ceil_div(self.mapped.m[g] * self.mapped.psum_bits, 32)
                flits += self.rho_tile(tile, g) * (1 + body)
            out.append((tile, flits))
        return out

    def words(self, channels: set[int], pixel: Pixel, t: int) -> int:
        """Words of 32 channels that are sent of a pixel, for some channels (§2, spikes in)."""
        if t not in self.points:
            return 0
        y, x = pixel
        return len({c // 32 for c in channels if self.spikes[c, y, x, t] or not self.event_driven})

    def in_words(self) -> list[tuple[Tile, dict[tuple[Pixel, int], int]]]:
        """Body flits of every packet, by tile, pixel and time point; a packet has one flit more."""
        out = []
        for tile in self.mapped.tiles:
            channels = self.mapped.channels_of(tile.pe_rows)
            packets = {}
            for pixel in self.mapped.shape.in_field:
                for t in self.points:
                    words = self.words(channels, pixel, t)
                    if words:
                        packets[pixel, t] = words
            out.append((tile, packets))
        return out

    def pe_words(self) -> int:
        """Words that the PEs take off the H-trees, all together."""
        total = 0
        for q, channels in enumerate(self.mapped.channels_of_row):
            taken = sum(
                self.words(channels, pixel, t) for pixel in self.mapped.shape.in_field for t in self.points
            )
            total += self.mapped.n_g * taken  # row q has a PE in every column group
        return total


def counts(activity: Activity) -> dict[str, int]:
    """Every count of §2's table, of one layer and one sample."""
    mapped, config, T = activity.mapped, activity.mapped.config, activity.T
    shape, n_g, columns, b_s = mapped.shape, mapped.n_g, mapped.S * mapped.D, mapped.psum_bits
    M, P = shape.M, shape.P
    per_pe, encoding = config["imc.adc.sharing"] == "pe", config["imc.encoding"]
    sum_a, sum_r, sum_rho = int(activity.a.sum()), int(activity.r.sum()), int(activity.rho.sum())
    z = sum_rho if per_pe else sum_r
    n: Counter[str] = Counter(count_bits=0)
    n["reads"], n["row_activations"], n["pe_reads"] = n_g * sum_r, n_g * sum_a, n_g * sum_rho
    n["cell_reads"], n["accumulations"] = M * columns * sum_a, M * sum_a
    n["conversions"], n["merges"] = z * M * columns, z * M * (columns - 1)
    n["diff_ops"] = 0 if encoding == "differential" else z * M
    if config["imc.complement"]:
        n["diff_ops"] += n["conversions"]
    signed = encoding in ("twos", "sign_offset")
    if signed:
        n["count_bits"] += M * sum_a
    if encoding == "offset" or config["imc.complement"] or config["imc.goff"] == "popcount":
        n["count_bits"] += n_g * sum_a
    n["pe_adds"] = 0 if per_pe else M * (sum_r - sum_rho)
    for g, m_g in enumerate(mapped.m):
        by_tile = []
        for tile in mapped.tiles:
            if g in tile.rows_of_group:
                rho = activity.rho_tile(tile, g)
                n["tile_adds"] += m_g * int((activity.rho[tile.rows_of_group[g]].sum(axis=0) - rho).sum())
                by_tile.append(rho)
        tiles = np.array(by_tile)
        n["global_adds"] += m_g * int((tiles.sum(axis=0) - tiles.max(axis=0)).sum())
    additions = sum(n[key] for key in ("merges", "diff_ops", "pe_adds", "tile_adds", "global_adds"))
    n["add_bits"] = additions * b_s + n["count_bits"]
    n["pib_read_bits"] = n_g * sum(
        int(r.sum()) * len(rows) for r, rows in zip(activity.r, mapped.blocks, strict=True)
    )
    n["pb_bits"] = n["tb_bits"] = 2 * M * b_s * sum_rho
    n["htree_up_bits"] = M * b_s * sum_rho
    for tile, flits in activity.out_flits():
        n["noc_out_flits"] += int(flits.sum())
        n["noc_out_flit_hops"] += int(flits.sum()) * tile.hops
    for tile, packets in activity.in_words():
        flits_in = len(packets) + sum(packets.values())
        n["noc_in_flits"] += flits_in
        n["noc_in_flit_hops"] += flits_in * tile.hops
        n["gb_read_bits"] += 32 * sum(packets.values())
    n["tib_write_bits"] = n["gb_read_bits"]
    n["htree_down_bits"] = n["pib_write_bits"] = n["tib_read_bits"] = 32 * activity.pe_words()
    n["gb_write_bits"] = M * P * T
    if activity.first:
        n["gb_write_bits"] += shape.C * shape.H * shape.W * (1 if activity.direct else T)
    n["lif_updates"] = M * P * T
    n["umem_reads"] = n["umem_writes"] = M * P * (T - 1)
    n["current_writes"], n["current_reads"] = (M * P, M * P * (T - 1)) if activity.direct else (0, 0)
    n["dense_accumulations"] = M * shape.C * shape.K * P * T
    # §2. Reading: a bit per weight, not per slice: the columns of a weight share it.
    n["sign_bits"] = M * sum_a if signed and config["imc.sign_plane"] == "charged" else 0
    n["batches"] = int(activity.rho.any(axis=0).sum())
    n["ntwus"], n["streamed_taps"], n["steps"] = M * n["batches"], n["row_activations"], 4 * shape.H_o * T
    return {key: int(value) for key, value in n.items()}
