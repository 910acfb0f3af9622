"""Executes the folds of a dense array on activations, where partial sums grow tap fold by tap fold.

The channel groups issue the same folds one after the other; here their output channels are the lanes of
the innermost loop. Sums add the taps in ascending order, whatever the dataflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, corner
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.schedules.dense.schedule import GemmSchedule


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
        np.ascontiguousarray(weight.reshape(len(weight), -1).T).astype(number),
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
    counted: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Words of the input map that blocks of rows and taps see, each once: (input, time) pairs inside the map.

    Parameters
    ----------
    passes : int64 array ``[passes, 4]``
        See :class:`~spikex_sim.schedules.dense.schedule.GemmSchedule`.
    pass_of, first_row, last_row, first_tap, last_tap : int64 array ``[blocks]``
        The blocks; rows and taps as ranges, last excluded.
    counted : bool array ``[blocks]``
        Blocks to look at; the others have 0.
    """
    height, width, filter_taps = geometry.in_height, geometry.in_width, geometry.kernel_h * geometry.kernel_w
    seen = np.full(geometry.channels * height * width, -1, np.int64)
    found = np.zeros(len(pass_of), np.int64)
    down, right, base = np.empty((3, geometry.channels * filter_taps), np.int64)
    for k in range(len(base)):
        down[k], right[k] = k % filter_taps // geometry.kernel_w, k % geometry.kernel_w
        base[k] = k // filter_taps * height * width
    mark = -1
    for block in range(len(pass_of)):
        if not counted[block]:
            continue
        first_p = passes[pass_of[block], 0]
        size = passes[pass_of[block], 1] - first_p
        time = -1
        for r in range(first_row[block], last_row[block]):
            if r // size != time:
                time = r // size
                mark += 1
            y0, x0 = corner(geometry, first_p + r % size)
            for k in range(first_tap[block], last_tap[block]):
                y, x = y0 + down[k], x0 + right[k]
                if 0 <= y < height and 0 <= x < width:
                    n = base[k] + y * width + x
                    if seen[n] != mark:
                        seen[n] = mark
                        found[block] += 1
    return found
