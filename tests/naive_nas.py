"""Cells from the text alone: forms by brute force, outputs by plain NumPy, costs as one formula."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PAIRS = ["01", "02", "03", "12", "13", "23"]
KERNEL = {"conv1x1": 1, "conv3x3": 3, "conv5x5": 5, "conv7x7": 7}
TAU, THRESHOLD = 4 / 3, 1.0


def value(ops: list[str], node: str, *, distribute: bool = True) -> dict[Any, int]:
    """Formal sum of a node: what is added, and how often; an average is of a whole sum unless distributed."""
    if node == "0":
        return {("x",): 1}
    found: dict[Any, int] = {}
    for pair, op in zip(PAIRS, ops, strict=True):
        if pair[1] != node or op == "zero":
            continue
        before = value(ops, pair[0], distribute=distribute)
        if not before:
            continue
        if op in KERNEL:
            added = {(pair,): 1}
        elif op == "skip":
            added = before
        elif distribute:
            added = {("avg", *term): m for term, m in before.items()}
        else:
            added = {("avg", frozenset(before.items())): 1}
        for term, m in added.items():
            found[term] = found.get(term, 0) + m
    return found


def edges_in(terms: Any) -> set[str]:
    """Convolutions, named by their edges, that formal sums speak of."""
    if isinstance(terms, str):
        return {terms} if terms in PAIRS else set()
    if isinstance(terms, dict):
        terms = terms.items()
    return set().union(*map(edges_in, terms)) if not isinstance(terms, int) else set()


def form(ops: list[str], *, distribute: bool = True) -> Any:
    """Smallest writing over all orders of the live convolutions."""
    output = value(ops, "3", distribute=distribute)
    live, reads = set[str](), {}
    while new := edges_in([output, *reads.values()]) - live:
        live |= new
        reads |= {pair: value(ops, pair[0], distribute=distribute) for pair in new}
    found = []
    for order in permutations(sorted(live)):
        if all(edges_in(reads[pair]) <= set(order[:at]) for at, pair in enumerate(order)):
            convolutions = [(KERNEL[ops[PAIRS.index(pair)]], _written(reads[pair], order)) for pair in order]
            found.append((tuple(convolutions), _written(output, order)))
    return min(found) if distribute else min(found, key=repr)


def _written(terms: Any, order: tuple[str, ...]) -> Any:
    """Terms as (source, averages, multiplicity), in order; a source may be a sum that was averaged."""

    def source(last: Any) -> Any:
        if isinstance(last, frozenset):
            return _written(dict(last), order)
        return 0 if last == "x" else 1 + order.index(last)

    made = [(source(last), len(averages), m) for (*averages, last), m in terms.items()]
    return tuple(sorted(made, key=lambda one: (isinstance(one[0], tuple), repr(one[0]), one)))


def bordered(current: np.ndarray, width: int) -> np.ndarray:
    """Maps ``[..., H, W]`` with zeros around."""
    *others, height, wide = current.shape
    made = np.zeros((*others, height + 2 * width, wide + 2 * width))
    made[..., width : width + height, width : width + wide] = current
    return made


def convolved(spikes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolution of ``[..., T, C, H, W]`` by ``[..., M, C, E, E]`` that keeps the side."""
    side = weight.shape[-1]
    windows = sliding_window_view(bordered(spikes, side // 2), (side, side), axis=(-2, -1))
    return np.einsum("...tchwij,...mcij->...tmhw", windows, weight)


def averaged(current: np.ndarray) -> np.ndarray:
    """3x3 average of ``[..., H, W]`` whose padding counts."""
    *_, height, width = current.shape
    padded = bordered(current, 1)
    return sum(padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9


class Convolution:
    """LIF, convolution and batch norm of one sample, which normalises a channel's map at a time point."""

    def __init__(self, weight: np.ndarray) -> None:
        self.weight, self.v = weight, np.array(0.0)
        self.rates: list[np.ndarray] = []

    def run(self, currents: np.ndarray) -> np.ndarray:
        """Currents ``[..., T, C, H, W]`` to currents, going on where the last call ended."""
        spikes = np.zeros(currents.shape)
        for t in range(currents.shape[-4]):
            v = self.v + (currents[..., t, :, :, :] - self.v) / TAU
            spikes[..., t, :, :, :] = v >= THRESHOLD
            self.v = np.where(v >= THRESHOLD, 0.0, v)
        self.rates.append(spikes.mean((-4, -3, -2, -1)))
        sums = convolved(spikes, self.weight)
        apart = sums - sums.mean((-2, -1), keepdims=True)
        return apart / np.sqrt((apart**2).mean((-2, -1), keepdims=True) + 1e-5)


def drawn(rng: np.random.Generator, kernel: int, channels: int) -> np.ndarray:
    """Random weights."""
    return rng.normal(0.0, 1.0, (channels, channels, kernel, kernel))


def applied(op: str, convolution: Convolution | None, currents: np.ndarray) -> np.ndarray:
    """What an edge makes of the currents of a node."""
    if convolution is not None:
        return convolution.run(currents)
    return {"zero": np.zeros_like, "skip": np.copy, "avgpool3x3": averaged}[op](currents)


def cell_output(
    ops: list[str], x: np.ndarray, weights: dict[str, np.ndarray], backward: list[str] | None = None
) -> tuple[np.ndarray, list[Convolution]]:
    """Currents of node 3 of a cell, edge by edge, for inputs ``[T, C, H, W]``, and its convolutions."""
    ahead = dict(zip(PAIRS, ops, strict=True))
    back = {pair[::-1]: op for pair, op in zip(PAIRS, backward or ["zero"] * 6, strict=True)}
    there = {pair: Convolution(weights[pair]) for pair, op in (ahead | back).items() if op in KERNEL}
    outputs, memory = [], np.zeros((4, *x.shape[1:]))
    # Without backward edges all time points at once.
    for now in [x] if backward is None else x[:, None]:
        u = [now + memory[0], now, now, now]
        for node in (1, 2, 3):
            V = sum(applied(ahead[f"{i}{node}"], there.get(f"{i}{node}"), u[i]) for i in range(node))
            u[node] = V + memory[node]
        memory = np.zeros_like(memory)
        for pair, op in back.items():
            if op != "zero":
                memory[int(pair[1])] += applied(op, there.get(pair), u[int(pair[0])])[0]
        outputs.append(u[3])
    return np.concatenate(outputs), list(there.values())


def form_output(
    convolutions: Any, output: Any, x: np.ndarray, weights: list[np.ndarray]
) -> tuple[np.ndarray, list[Convolution]]:
    """Currents of a form, a convolution at a time; weights in its order, several of each at once too."""
    sources, there = [x], []

    def total(terms: Any) -> np.ndarray:
        found = np.zeros_like(x)
        for source, averages, m in terms:
            current = sources[source]
            for _ in range(averages):
                current = averaged(current)
            found = found + m * current
        return found

    for (_, reads), weight in zip(convolutions, weights, strict=True):
        there.append(Convolution(weight))
        sources.append(there[-1].run(total(reads)))
    return total(output), there


def published_costs(a: int, b: int, a1: int, b1: int, f: int) -> tuple[float, float, float, float]:
    """Parameters, area (mm2), latency (ms), energy (uJ) as the text has them, C = 128, T = 5."""
    sizes = [
        (3, 128, 32, 32),
        *[(128, 128, 32, 32)] * (a + a1),
        (128, 256, 32, 32),
        *[(256, 256, 16, 16)] * (b + b1),
    ]
    N = [M * side**2 for _, M, _, side in sizes]
    pes = 10 + 4 * (a + a1) + 16 * (b + b1)
    reads = 2048 + 8192 + 4096 * (a + a1 + b + b1)
    maps = sum(C * side**2 for C, _, side, _ in sizes) + sum(N[:5])
    return (
        298_368 + 147_456 * a + 589_824 * b + 16_384 * a1 + 65_536 * b1,
        f * (math.ceil(pes * f / 8) * 596_708.219839 + 0.7391 * 22 * maps) / 1e6,
        104 * 5 * (sum(math.floor(0.75 * n) for n in N[:-1]) + N[-1]) / 1e6,
        5 * 828.4861472 * reads * f / 1e6,
    )
