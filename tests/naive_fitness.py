"""Fitness and networks of two cells from the text alone: loops over samples, fractions, plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

import naive_nas as naive

Spikes = dict[str, list[np.ndarray]]
"""By population, an array ``[S, ...]`` a time point."""


def log_determinant(
    populations: Sequence[np.ndarray], *, released: bool = True, skip: bool = False
) -> tuple[float, bool]:
    """``F`` of codes ``[S, N]``, and whether the determinant is negative: exact up to the logarithm."""
    S = len(populations[0])
    total = [[Fraction(0)] * S for _ in range(S)]
    apart = [[False] * S for _ in range(S)]
    used = 0
    for codes in populations:
        N = codes.shape[1]
        counts = [int(sum(one.tolist())) for one in codes]
        if skip and (all(n == 0 for n in counts) or all(n == N for n in counts)):
            continue
        used += 1
        for i in range(S):
            for j in range(S):
                H = sum(x != y for x, y in zip(codes[i].tolist(), codes[j].tolist(), strict=True))
                s, r = Fraction(counts[i], N), Fraction(counts[j], N)
                E = N * (s * (1 - r) + (1 - s) * r)
                total[i][j] += (N if released else 1) - Fraction(1, 2) * H / (E + Fraction(1, 1000))
                apart[i][j] |= H > 0
    if not used or any(not apart[i][j] for i in range(S) for j in range(S) if i != j):
        return -math.inf, False
    found = determinant([[one / used for one in row] for row in total])
    if not found:
        return -math.inf, False
    return math.log(abs(found.numerator)) - math.log(found.denominator), found < 0


def determinant(rows: list[list[Fraction]]) -> Fraction:
    """By minors of the first row."""
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** k * one * determinant([row[:k] + row[k + 1 :] for row in rows[1:]])
        for k, one in enumerate(rows[0])
    ) + Fraction(0)


def normalised(current: np.ndarray) -> np.ndarray:
    """Batch norm of ``[S, C, H, W]`` by the statistics of the mini-batch."""
    found = np.empty_like(current)
    for channel in range(current.shape[1]):
        values = current[:, channel]
        variance = ((values - values.mean()) ** 2).mean()
        found[:, channel] = (values - values.mean()) / math.sqrt(variance + 1e-5)
    return found


def pooled(maps: np.ndarray, side: int) -> np.ndarray:
    """Averages of squares that do not overlap."""
    S, C, H, W = maps.shape
    return maps.reshape(S, C, H // side, side, W // side, side).mean((3, 5))


class Network:
    """Stem, cell A, down, cell B and linear layers, of forms and weights, for one mini-batch.

    Forms are ``(((kernel, reads), ...), output)`` with terms ``(source, averages, multiplicity)``; weights
    are named ``stem``, ``a1`` ..., ``down``, ``b1`` ..., ``linear1``, ``linear2``.
    """

    def __init__(self, a: Any, b: Any, weights: dict[str, np.ndarray], threshold: float, pool: int) -> None:
        self.a, self.b, self.weights, self.threshold, self.pool = a, b, weights, threshold, pool
        self.potentials: dict[str, np.ndarray] = {}
        self.spikes: Spikes = {}

    def run(self, images: np.ndarray, timesteps: int) -> np.ndarray:
        """Currents of the outputs, mean over time points; spikes are in ``spikes``."""
        outputs = []
        for _ in range(timesteps):
            x = normalised(naive.convolved(images, self.weights["stem"]))
            down = self.convolved("down", normalised(self.cell("a", self.a, x)))
            last = self.fired("last", normalised(self.cell("b", self.b, pooled(down, 2))))
            first = pooled(last, self.pool).reshape(len(images), -1) @ self.weights["linear1"].T
            outputs.append(self.fired("classifier", first) @ self.weights["linear2"].T)
        return sum(outputs) / timesteps

    def cell(self, part: str, form: Any, x: np.ndarray) -> np.ndarray:
        convolutions, output = form
        sources = [x]
        for number, (_, reads) in enumerate(convolutions, 1):
            sources.append(self.convolved(f"{part}{number}", added(reads, sources)))
        return added(output, sources)

    def convolved(self, name: str, current: np.ndarray) -> np.ndarray:
        return normalised(naive.convolved(self.fired(name, current), self.weights[name]))

    def fired(self, name: str, current: np.ndarray) -> np.ndarray:
        before = self.potentials.get(name, np.zeros_like(current))
        v = before + (current - before) / naive.TAU
        fires = v >= self.threshold
        self.potentials[name] = np.where(fires, 0.0, v)
        self.spikes.setdefault(name, []).append(fires)
        return fires.astype(float)


def added(terms: Any, sources: Sequence[np.ndarray]) -> np.ndarray:
    """Sum of ``m avg^n(z)``."""
    found = np.zeros_like(sources[0])
    for source, averages, m in terms:
        current = sources[source]
        for _ in range(averages):
            current = naive.averaged(current)
        found = found + m * current
    return found


def fixed_point(weight: float, most: float, bits: int) -> Fraction:
    """FxP(bits) of a weight in a tensor whose largest is ``most`` in absolute value."""
    s = Fraction(1)
    while s < Fraction(most):
        s *= 2
    while s / 2 >= Fraction(most):
        s /= 2
    scaled = Fraction(weight) / s * 2 ** (bits - 1)
    q = min(max(round(scaled), -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)  # halves to even, as round() does
    return q * s / 2 ** (bits - 1)
