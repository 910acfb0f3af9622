"""The slow oracle of in-memory computing: what the arrays of one layer really compute (§4).

Written from the text on in-memory computing alone (cited as "§n"), independently of the package and sharing
no code with it. `naive_nice_run` has the closed loop. Follow `Arrays.sums` at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive import Bools
from naive_imc import Config, Mapped, polarities, slices

READ, WRITE, STUCK, CALIBRATION = 0, 1, 2, 3  # purposes of random numbers


# Random numbers --------------------------------------------------------------------------------------------


def words(config: Config, purpose: int, layer: int, sample: int, t: int, count: int) -> list[int]:
    """The first words of a stream: Philox4x64-10, words in the order that numpy gives them."""
    key = [int(config["imc.seed"]), (purpose << 60) + (layer << 44) + (sample << 20) + t]
    return np.random.Philox(counter=0, key=np.array(key, np.uint64)).random_raw(count).tolist()


def uniforms(stream: list[int]) -> list[float]:
    """``u = ⌊w_e / 2¹¹⌋·2⁻⁵³``, of every word."""
    return [(w >> 11) * 2.0**-53 for w in stream]


def normals(stream: list[int]) -> list[float]:
    """``z_e``, of every two words."""
    out = []
    for first, second in zip(stream[0::2], stream[1::2], strict=True):
        u1 = ((first >> 11) + 1) * 2.0**-53
        u2 = (second >> 11) * 2.0**-53
        out.append(math.sqrt(-2 * math.log(u1)) * math.cos(2 * math.pi * u2))
    return out


# Codes -----------------------------------------------------------------------------------------------------


def codes_of(w: int, config: Config) -> list[int]:
    """Code of a weight, one a polarity; §4: refused only where the slices cannot hold it."""
    b, encoding = int(config["weight_bits"]), config["imc.encoding"]
    if encoding == "twos":
        codes = [w % 2**b]
    elif encoding == "sign_offset":
        codes = [w if w >= 0 else w + 2 ** (b - 1)]
    elif encoding == "offset":
        codes = [w + 2 ** (b - 1)]
    else:
        codes = [max(w, 0), max(-w, 0)]
    if max(codes) >= 2 ** (slices(config) * int(config["imc.device.bits"])):
        raise ValueError(f"weight {w}: {slices(config)} cells cannot hold its magnitude")
    return codes


def correction(config: Config, active: int, negative: int) -> int:
    """What is added to the sum of the codes, by exact digital counts of active rows."""
    b = int(config["weight_bits"])
    return {
        "twos": -(2**b) * negative,
        "sign_offset": -(2 ** (b - 1)) * negative,
        "offset": -(2 ** (b - 1)) * active,
        "differential": 0,
    }[config["imc.encoding"]]


def sliced(code: int, config: Config) -> list[int]:
    """Slices of a code, the lowest first."""
    d = int(config["imc.device.bits"])
    return [code // 2 ** (s * d) % 2**d for s in range(slices(config))]


# Column IR drop --------------------------------------------------------------------------------------------


def effective(G: Sequence[float], r: float) -> list[float]:
    """Conductances that rows seem to have, the last one nearest to the sense amplifier: the recurrence."""
    n = len(G)
    if r == 0:
        return list(G)
    U, L, H = [0.0] * n, [0.0] * n, [0.0] * n
    for i in range(1, n):
        y = U[i - 1] + G[i - 1]
        U[i] = y / (1 + r * y)
    L[n - 1], H[n - 1] = 1 / r, 1.0
    for i in range(n - 2, -1, -1):
        y = G[i + 1] + L[i + 1]
        L[i] = y / (1 + r * y)
        H[i] = H[i + 1] * L[i + 1] / y
    return [G[i] * L[i] * H[i] / (G[i] + U[i] + L[i]) for i in range(n)]


def effective_nodal(G: Sequence[float], r: float) -> list[float]:
    """The same by Kirchhoff's laws: one node a row, all solved together.

    Node ``i`` has its cell to the row driver, a segment of wire to node ``i + 1``; the last one's ends at the
    sense amplifier, 0 V. Row ``i`` at 1 V and all others at 0 V give the current that row ``i`` adds.
    """
    n = len(G)
    if r == 0:
        return list(G)
    A = np.zeros((n, n))
    for i in range(n):
        A[i, i] += G[i] + 1 / r
        if i + 1 < n:
            A[i + 1, i + 1] += 1 / r
            A[i, i + 1] -= 1 / r
            A[i + 1, i] -= 1 / r
    voltages = np.linalg.solve(A, np.diag(G))  # [node, driven row]
    return [float(v) / r for v in voltages[n - 1]]


# Conversion ------------------------------------------------------------------------------------------------


def converted(v: float, bits: int | None, s: int) -> int:
    """Value of a conversion: ``code·2^s``; without bits there is no upper clamp."""
    V = math.floor(v * 2**20 + 0.5)  # v in multiples of 2⁻²⁰, half up
    code = (V + (1 << (19 + s))) >> (20 + s)  # ⌊v / 2^s + ½⌋
    code = max(code, 0)
    if bits is not None:
        code = min(code, 2**bits - 1)
    return code << s


def adapted(y: int, statistics: tuple[float, float, float, float]) -> int:
    """``y'`` of a channel's sum (§4), given ``μ_s, σ_s, μ_h, σ_h``."""
    mean_s, sd_s, mean_h, sd_h = statistics
    factor = sd_s / sd_h if sd_h else 1.0
    return math.floor((y - mean_h) * factor + mean_s + 0.5)


def moments(values: Sequence[int]) -> tuple[float, float]:
    """``μ`` and ``σ`` from exact integer sums (§4)."""
    N, s1, s2 = len(values), sum(values), sum(y * y for y in values)
    return s1 / N, math.sqrt(N * s2 - s1 * s1) / N


# Arrays of a layer -----------------------------------------------------------------------------------------


class Arrays:
    """Cells of one layer, and the sums that come out of them.

    A *unit* is what is converted together: the blocks of a PE row with `sharing: pe`, else one block. A
    *column* is ``(m, s, polarity)``; there are ``M·S·D`` of them.
    """

    def __init__(self, mapped: Mapped, weight: NDArray[np.int64], layer: int) -> None:
        self.mapped, self.w, self.layer, self.config = mapped, weight, layer, mapped.config
        config = mapped.config
        self.d = int(config["imc.device.bits"])
        self.M, self.S, self.D = mapped.shape.M, slices(config), polarities(config)
        self.columns = [(m, s, pol) for m in range(self.M) for s in range(self.S) for pol in range(self.D)]
        if config["imc.adc.sharing"] == "pe":
            self.units = [mapped.blocks_of(q) for q in range(mapped.Q)]
        else:
            self.units = [[b] for b in range(mapped.n_b)]
        # Codes of the cells, [block][row][column], then some of the columns complemented.
        self.codes = [[self.row_codes(k, c) for k, c in rows] for rows in mapped.blocks]
        self.flags = [
            [self.is_flagged(unit, column) for column in range(len(self.columns))] for unit in self.units
        ]
        for unit, flags in zip(self.units, self.flags, strict=True):
            for b in unit if config["imc.complement"] else []:
                for row in self.codes[b]:
                    row[:] = [
                        2**self.d - 1 - code if flag else code for code, flag in zip(row, flags, strict=True)
                    ]
        self.G_on = 1 / (1000 * float(config["imc.device.r_on_kohm"]))
        self.G_off = 1 / (1000 * float(config["imc.device.r_off_kohm"]))
        self.dG = (self.G_on - self.G_off) / (2**self.d - 1)
        r = float(config["imc.r_par_ohm"])
        cells = self.conductances()
        #: Effective conductances, [block][column][row]; [block][row] of a column of ``G_off`` cells.
        self.G = [[effective([row[column] for row in block], r) for column in range(len(self.columns))]
                  for block in cells]  # fmt: skip
        self.G_ref = [effective([self.G_off] * len(rows), r) for rows in mapped.blocks]

    def row_codes(self, k: int, c: int) -> list[int]:
        """Slices of a row of weights, in the order of the columns."""
        out = []
        for m in range(self.M):
            by_polarity = [sliced(code, self.config) for code in codes_of(int(self.w[m, k, c]), self.config)]
            out += [by_polarity[pol][s] for s in range(self.S) for pol in range(self.D)]
        return out

    def is_flagged(self, unit: list[int], column: int) -> bool:
        """Whether the complement of a column is stored (`complement`)."""
        if not self.config["imc.complement"]:
            return False
        codes = [row[column] for b in unit for row in self.codes[b]]
        return 2 * sum(codes) > len(codes) * (2**self.d - 1)

    def conductances(self) -> list[list[list[float]]]:
        """``G`` of every cell, [block][row][column]: as written, drifted, stuck, in this order."""
        config, X, n = self.config, int(self.config["imc.crossbar"]), len(self.columns)
        count = self.mapped.n_b * X * n
        sigma, on, off = (float(config[f"imc.{key}"]) for key in ("write_sigma", "stuck.on", "stuck.off"))
        z = normals(words(config, WRITE, self.layer, 0, 0, 2 * count)) if sigma else [0.0] * count
        u = uniforms(words(config, STUCK, self.layer, 0, 0, count)) if on or off else [1.0] * count
        age = float(config["imc.drift.seconds"]) / float(config["imc.drift.t0_seconds"])
        drift = age ** -float(config["imc.drift.nu"])
        out = []
        for b, block in enumerate(self.codes):
            rows = []
            for i, codes in enumerate(block):
                row = []
                for column, code in enumerate(codes):
                    e = (b * X + i) * n + column
                    G = self.G_off + code * self.dG
                    G = G * max(0.0, 1 + sigma * z[e])
                    G = G * drift
                    if u[e] < on:
                        G = self.G_on
                    elif u[e] < on + off:
                        G = self.G_off
                    row.append(G)
                rows.append(row)
            out.append(rows)
        return out

    def active(self, taps: Bools, p: int, t: int) -> list[list[int]]:
        """Rows of every block that have a spike."""
        return [[i for i, (k, c) in enumerate(rows) if taps[p, k, c, t]] for rows in self.mapped.blocks]

    def exact_column_sums(self, taps: Bools, p: int, t: int) -> list[int]:
        """``Σ x_i code_i`` of every column of every active unit, codes as stored (`adc.range: auto`)."""
        active, out = self.active(taps, p, t), []
        for unit in self.units:
            if any(active[b] for b in unit):
                for column in range(len(self.columns)):
                    out.append(sum(self.codes[b][i][column] for b in unit for i in active[b]))
        return out

    def reference(self, unit: list[int], active: list[list[int]]) -> float:
        """``ref`` of a unit's columns."""
        if self.config["imc.goff"] == "popcount":
            return sum(len(active[b]) for b in unit) * self.G_off
        if self.config["imc.goff"] == "column":
            return math.fsum(self.G_ref[b][i] for b in unit for i in active[b])
        return 0.0

    def unit_sum(self, number: int, active: list[list[int]], noise: list[float], shift: int) -> list[int]:
        """Sums of a unit, by output channel; ``noise`` has a ``z`` for every column."""
        unit, config, bits = self.units[number], self.config, self.config["imc.adc.bits"]
        a = sum(len(active[b]) for b in unit)
        ref = self.reference(unit, active)
        sums = [0] * self.M
        for column, (m, s, pol) in enumerate(self.columns):
            cells = [self.G[b][column][i] for b in unit for i in active[b]]
            current = math.fsum(cells)
            current += (
                float(config["imc.read_sigma"]) * noise[column] * math.sqrt(math.fsum(G * G for G in cells))
            )
            value = converted((current - ref) / self.dG, None if bits == "auto" else int(bits), shift)
            if self.flags[number][column]:
                value = a * (2**self.d - 1) - value
            sums[m] += (-1 if pol else 1) * value * 2 ** (s * self.d)
        for m in range(self.M):
            taps = [self.mapped.blocks[b][i] for b in unit for i in active[b]]
            negative = sum(int(self.w[m, k, c]) < 0 for k, c in taps)
            sums[m] += correction(config, a, negative)
        return sums

    def sums(self, spikes: Bools, points: range, sample: int, purpose: int, shift: int) -> NDArray[Any]:
        """Sums ``[M, P, points]`` of a sample, before bias.

        Parameters
        ----------
        spikes
            What enters the layer.
        points
            Time points that are computed; one alone for a direct layer.
        sample, purpose
            Of the read noise.
        shift
            ``s`` of the ADCs.
        """
        taps, P, n = self.mapped.shape.taps(spikes), self.mapped.shape.P, len(self.columns)
        count = P * len(self.units) * n
        out = np.zeros((self.M, P, len(points)), object)
        for t in points:
            z = [0.0] * count
            if float(self.config["imc.read_sigma"]):
                z = normals(words(self.config, purpose, self.layer, sample, t, 2 * count))
            for p in range(P):
                active = self.active(taps, p, t)
                for number, unit in enumerate(self.units):
                    if not any(active[b] for b in unit):
                        continue  # nothing active, nothing flows: 0, read or not
                    e = (p * len(self.units) + number) * n  # (p·n_b + b)·M·S·D; with `pe` q, Q for b, n_b
                    out[:, p, t] += np.array(self.unit_sum(number, active, z[e : e + n], shift), object)
        return out.astype(np.int64)
