"""Conductances of cells as programmed, and what a column's wire leaves of them (docs/imc.md, Section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.jit import kernel
from spikex_sim.schedules.crossbar.mapping import Ints, LayerMapping
from spikex_sim.schedules.crossbar.nonideal.streams import STUCK, WRITE, of_rows
from spikex_sim.schedules.crossbar.options import CrossbarOptions, Imc

MAX_CODE = 1 << 31
"""Largest current of a column, in units of code; above it sums would not be exact."""
_MOST_SIGMAS = 9.0
"""No normal deviate of 53 bits is as large."""
_LEAST_OHM = float(np.finfo(np.float64).tiny)

Floats = NDArray[np.float64]


def levels(imc: Imc) -> tuple[float, float, float]:
    """Conductance of the largest code, of code 0, and the difference of neighbouring codes, in S."""
    on, off = 1 / (imc.device.r_on_kohm * 1e3), 1 / (imc.device.r_off_kohm * 1e3)
    return on, off, (on - off) / ((1 << imc.device.bits) - 1)


def check_range(name: str, taps: int, arch: CrossbarOptions) -> None:
    """Refuse devices whose currents are too large a multiple of one code's.

    Raises
    ------
    ConfigError
        If a column's current can exceed :data:`MAX_CODE`.
    """
    imc = arch.imc
    on, _, step = levels(imc)
    with np.errstate(divide="ignore", over="ignore"):
        programmed = _drift(imc) * (1 + _MOST_SIGMAS * imc.write_sigma)
        largest = taps * (1 + _MOST_SIGMAS * imc.read_sigma) * max(1.0, programmed) * np.float64(on) / step
    if not largest < MAX_CODE:
        raise ConfigError(
            f"a column of {name} can carry {largest:.3g} times the current of one code, "
            f"{MAX_CODE:.3g} are simulated; wider resistances, less drift or sigma carry less",
            where=arch.name, field="imc.device",
        )  # fmt: skip


def conductances(
    codes: NDArray[np.uint8], mapping: LayerMapping, arch: CrossbarOptions, layer: int
) -> Floats:
    """Conductances in S of cells ``[K C, columns]``: written, drifted, some of them stuck, in this order."""
    imc = arch.imc
    on, off, step = levels(imc)
    cells = np.full(codes.shape, off)
    cells += codes * step
    rows, columns = _row_numbers(mapping), codes.shape[1]
    if imc.write_sigma > 0:
        cells *= np.maximum(0.0, 1 + imc.write_sigma * of_rows(WRITE, imc.seed, layer, rows, columns))
    if imc.drift.nu > 0:
        cells *= _drift(imc)
    if imc.stuck.on + imc.stuck.off > 0:
        drawn = of_rows(STUCK, imc.seed, layer, rows, columns)
        cells[drawn < imc.stuck.on + imc.stuck.off] = off
        cells[drawn < imc.stuck.on] = on
    return cells


def behind_wires(cells: Floats, mapping: LayerMapping, imc: Imc) -> Floats:
    """Effective conductances of cells ``[K C, columns]`` in columns with wires, block by block."""
    if imc.r_par_ohm < _LEAST_OHM:
        return cells
    found = np.empty_like(cells)
    order = np.argsort(mapping.block_of, kind="stable")
    for taps in np.split(order, np.cumsum(mapping.rows)[:-1]):
        found[taps] = column(cells[taps], imc.r_par_ohm)
    return found


@kernel(error_model="numpy")
def column(cells: Floats, resistance: float) -> Floats:
    """Effective conductance of every cell of columns whose wires have segments of a resistance.

    Parameters
    ----------
    cells : float64 array ``[rows, columns]``
        Conductances in S; the last row lies next to the sense amplifier.
    resistance : float
        Of a segment, in ohm; above 0.

    Returns
    -------
    float64 array ``[rows, columns]``
        Current at the end of the column for 1 V at one row, the others at 0 V: superposition gives all else.
    """
    rows, columns = cells.shape
    found = np.zeros((rows, columns))
    for i in range(1, rows):
        for c in range(columns):
            y = found[i - 1, c] + cells[i - 1, c]
            found[i, c] = y / (1.0 + resistance * y)
    below, reaches = np.full(columns, 1.0 / resistance), np.ones(columns)
    for i in range(rows - 1, -1, -1):
        for c in range(columns):
            cell = cells[i, c]
            found[i, c] = cell * below[c] * reaches[c] / (cell + found[i, c] + below[c])
            y = cell + below[c]
            reaches[c] = reaches[c] * below[c] / y
            below[c] = y / (1.0 + resistance * y)
    return found


def _drift(imc: Imc) -> Any:
    with np.errstate(divide="ignore", over="ignore"):
        return np.float64(imc.drift.seconds / imc.drift.t0_seconds) ** -imc.drift.nu


def _row_numbers(mapping: LayerMapping) -> Ints:
    """Number ``b X + i`` of every tap's row."""
    order = np.argsort(mapping.block_of, kind="stable")
    starts = np.cumsum(mapping.rows) - mapping.rows
    found = np.empty(len(order), np.int64)
    block = mapping.block_of[order]
    found[order] = block * mapping.crossbar + np.arange(len(order)) - starts[block]
    return found
