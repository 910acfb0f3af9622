"""Executes the folds of a dense array: partial sums grow tap fold by tap fold, whole ones make neurons fire.

The channel groups issue the same folds one after the other; here their output channels are the lanes of
the innermost loop. Sums add the taps in ascending order, whatever the dataflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.activations import Activations
from spikex_sim.gemm import GemmSchedule
from spikex_sim.geometry import Geometry, corner
from spikex_sim.kernels.passes import fire, neuron_arguments, weights_by_tap
from spikex_sim.spec.workload import Neuron
from spikex_sim.tags import WindowedSpikes


def execute_gemm(
    schedule: GemmSchedule,
    spikes: WindowedSpikes,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    neuron: Neuron,
    potential_bits: int,
) -> tuple[NDArray[np.uint8], int]:
    """Run every fold of a schedule on spikes; see :func:`spikex_sim.kernels.passes.execute`."""
    fired = np.zeros((schedule.geometry.positions, spikes.timesteps, len(weight)), np.uint8)
    arguments: tuple[Any, ...] = (
        schedule.geometry,
        spikes.times,
        spikes.pointers,
        schedule.points,
        schedule.passes,
        schedule.folds,
        *neuron_arguments(weight, bias, neuron, potential_bits),
        fired,
    )
    adds = _execute(*arguments)
    return np.packbits(fired.transpose(2, 0, 1), axis=-1), int(adds)


def execute_ann(
    schedule: GemmSchedule, activations: Activations, weight: NDArray[Any], datapath: str
) -> tuple[NDArray[Any], int]:
    """Run every fold of a schedule on activations.

    Returns
    -------
    int64 or float32 array ``[M, P]``, int
        Weighted sums without bias, and the number of multiplications of a non-zero activation.
    """
    number: Any = np.int64 if datapath == "int" else np.float32
    sums = np.zeros((schedule.geometry.positions, len(weight)), number)
    products = _multiply(
        schedule.geometry,
        activations.values,
        schedule.passes,
        schedule.folds,
        weights_by_tap(weight, number),
        sums,
    )
    return sums.T, int(products)


@njit(cache=True)
def _input_of(geometry: Geometry, position: int, tap: int) -> int:
    """Input neuron under a tap of an output position, -1 in the padding."""
    filter_taps = geometry.kernel_h * geometry.kernel_w
    y, x = corner(geometry, position)
    y += (tap % filter_taps) // geometry.kernel_w
    x += tap % geometry.kernel_w
    if not (0 <= y < geometry.in_height and 0 <= x < geometry.in_width):
        return -1
    return ((tap // filter_taps) * geometry.in_height + y) * geometry.in_width + x


@njit(cache=True)
def _execute(
    geometry: Geometry,
    times: NDArray[np.int32],
    pointers: NDArray[np.int64],
    points: int,
    passes: NDArray[np.int64],
    folds: NDArray[np.int64],
    weight: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    leak: Any,
    limit: int,
    soft: bool,
    fired: NDArray[np.uint8],
) -> int:
    taps, lanes = weight.shape
    potential = np.zeros((len(fired), lanes), weight.dtype)
    largest = 0
    for p in range(len(passes)):
        largest = max(largest, (passes[p, 1] - passes[p, 0]) * (passes[p, 3] - passes[p, 2]))
    psum = np.zeros((largest * points, lanes), weight.dtype)
    adds = 0
    for f in range(len(folds)):
        first_p, size, first_t = (
            passes[folds[f, 0], 0],
            passes[folds[f, 0], 1] - passes[folds[f, 0], 0],
            passes[folds[f, 0], 2],
        )
        r0, r1, k0, k1 = folds[f, 1], folds[f, 2], folds[f, 3], folds[f, 4]
        if k0 == 0:
            psum[r0 * points : r1 * points] = 0
        for r in range(r0, r1):
            window = first_t + r // size
            for k in range(k0, k1):
                n = _input_of(geometry, first_p + r % size, k)
                if n < 0:
                    continue
                for event in range(pointers[n, window], pointers[n, window + 1]):
                    row = r * points + times[event] - window * points
                    for m in range(lanes):
                        psum[row, m] += weight[k, m]
                    adds += lanes
        if k1 == taps:
            for r in range(r0, r1):
                p, t = first_p + r % size, (first_t + r // size) * points
                for point in range(points):
                    fire(potential[p], psum[r * points + point], bias, threshold, leak, limit, soft,
                         fired[p, t + point])  # fmt: skip
    return adds


@njit(cache=True)
def _multiply(
    geometry: Geometry,
    values: NDArray[np.uint8],
    passes: NDArray[np.int64],
    folds: NDArray[np.int64],
    weight: NDArray[Any],
    sums: NDArray[Any],
) -> int:
    products = 0
    lanes = weight.shape[1]
    for f in range(len(folds)):
        first_p = passes[folds[f, 0], 0]
        for r in range(folds[f, 1], folds[f, 2]):
            for k in range(folds[f, 3], folds[f, 4]):
                n = _input_of(geometry, first_p + r, k)
                if n < 0 or values[n] == 0:
                    continue
                value = sums.dtype.type(values[n])
                for m in range(lanes):
                    sums[first_p + r, m] += weight[k, m] * value
                products += lanes
    return products


@njit(cache=True)
def distinct_pixels(
    geometry: Geometry,
    passes: NDArray[np.int64],
    pass_of: NDArray[np.int64],
    first_row: NDArray[np.int64],
    last_row: NDArray[np.int64],
    first_tap: NDArray[np.int64],
    last_tap: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Words of the input map that blocks of rows and taps see, each once: (input, time) pairs inside the map.

    Parameters
    ----------
    passes : int64 array ``[passes, 4]``
        See :class:`~spikex_sim.gemm.GemmSchedule`.
    pass_of, first_row, last_row, first_tap, last_tap : int64 array ``[blocks]``
        The blocks; rows and taps as ranges, last excluded.
    """
    seen = np.full(geometry.channels * geometry.in_height * geometry.in_width, -1, np.int64)
    found = np.zeros(len(pass_of), np.int64)
    mark = -1
    for block in range(len(pass_of)):
        first_p = passes[pass_of[block], 0]
        size = passes[pass_of[block], 1] - first_p
        time = -1
        for r in range(first_row[block], last_row[block]):
            if r // size != time:
                time = r // size
                mark += 1
            for k in range(first_tap[block], last_tap[block]):
                n = _input_of(geometry, first_p + r % size, k)
                if n >= 0 and seen[n] != mark:
                    seen[n] = mark
                    found[block] += 1
    return found
