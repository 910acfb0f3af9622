"""Codes that cells hold for weights, and what counting spikes adds to their sums (docs/imc.md, Section 4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.schedules.crossbar.mapping import Ints, LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions, ImcMachine


class Codes(NamedTuple):
    """What is stored of a layer's weights; a weight has columns ``(m S + s) D + polarity``.

    The sum of output ``m`` is that of ``digital`` over active rows, and over units and columns ``scale``
    times what a column converts to. A unit is what shares converters: a block, or (``sharing: pe``) a PE row.

    Attributes
    ----------
    cells : uint8 array ``[K C, M S D]``
        Code of each cell as stored, by tap.
    scale : int64 array ``[units, M S D]``
        Worth of one unit of code, negative in columns that are taken off or stored complemented.
    digital : int32 array ``[K C, M]``
        What an active row adds by counting alone: corrections of the encoding and of complemented columns.
    """

    cells: NDArray[np.uint8]
    scale: Ints
    digital: NDArray[np.int32]


def units_of(mapping: LayerMapping, arch: CrossbarOptions) -> Ints:
    """Unit of every tap: its block, or the PE row of that."""
    if arch.imc.adc.sharing == "crossbar":
        return mapping.block_of
    return mapping.row_of_block[mapping.block_of]


def by_tap(weight: NDArray[Any]) -> Ints:
    """Weights ``[M, C, E_h, E_w]`` or ``[M, N]`` as ``[K C, M]``, taps numbered ``k C + c``."""
    if weight.ndim == 4:
        weight = weight.transpose(2, 3, 1, 0)
        return np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]), np.int64)
    return np.ascontiguousarray(weight.T, np.int64)


def check_held(name: str, weight: NDArray[Any], arch: ImcMachine) -> None:
    """Refuse weights that cells cannot hold, which the least or the largest of them is one of.

    Raises
    ------
    ConfigError
        If the cells of a weight cannot hold it.
    """
    extremes = np.array([weight.min(), weight.max()], np.int64)
    parts, _ = _codes_of(extremes, arch)
    (encoding, bits), slices = arch.coding, arch.slices
    for part in parts:
        wrong = (part < 0) | (part >= 1 << bits * slices)
        if wrong.any():
            raise ConfigError(
                f"{name} has a weight {extremes[wrong][0]}, which {slices} cells of {bits} bits cannot "
                f"hold as {encoding}; offset holds every weight of {arch.weight_bits} bits",
                where=arch.name, field="imc.encoding",
            )  # fmt: skip


def encode(name: str, mapping: LayerMapping, weight: Ints, arch: CrossbarOptions) -> Codes:
    """Encode a layer's weights ``[K C, M]``.

    Raises
    ------
    ConfigError
        See :func:`check_held`.
    """
    check_held(name, weight, arch)
    parts, lifted = _codes_of(weight, arch)
    bits, slices = arch.imc.device.bits, arch.slices
    top = (1 << bits) - 1
    shifts = bits * np.arange(slices)
    cells = (np.stack(parts, axis=-1)[:, :, None, :] >> shifts[:, None]) & top
    stored: NDArray[np.uint8] = cells.reshape(len(weight), -1).astype(np.uint8)
    worth = np.outer(1 << shifts, [1, -1][: len(parts)]).reshape(-1)
    unit = units_of(mapping, arch)
    scale = np.tile(worth, (int(unit.max()) + 1, weight.shape[1]))
    digital = -lifted
    if arch.imc.complement:
        large = _mostly_large(stored, unit, top)
        stored = np.where(large[unit], np.uint8(top) - stored, stored)
        kept = np.where(large, scale * top, 0)
        digital = digital + kept.reshape(len(scale), weight.shape[1], -1).sum(axis=-1)[unit]
        scale = np.where(large, -scale, scale)
    return Codes(stored, scale, np.ascontiguousarray(digital, np.int32))


def _codes_of(weight: Ints, arch: ImcMachine) -> tuple[list[Ints], Ints]:
    """Codes of weights, one or of both polarities, and by how much they are above the weights."""
    bits, encoding = arch.weight_bits, arch.coding[0]
    if encoding == "differential":
        return [np.maximum(weight, 0), np.maximum(-weight, 0)], np.zeros_like(weight)
    if encoding == "offset":
        lifted = np.full_like(weight, 1 << (bits - 1))
    else:
        lifted = (weight < 0) * np.int64(1 << (bits if encoding == "twos" else bits - 1))
    return [weight + lifted], lifted


def _mostly_large(cells: NDArray[np.uint8], unit: Ints, top: int) -> NDArray[np.bool_]:
    """Columns of units that are better stored complemented."""
    order = np.argsort(unit, kind="stable")
    rows = np.bincount(unit)
    starts = np.cumsum(rows) - rows
    totals = np.add.reduceat(cells[order], starts, axis=0, dtype=np.int64)
    return totals * 2 > rows[:, None] * top
