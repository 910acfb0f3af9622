"""Codes of weights: every encoding is read back, by hand and for every weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nonideal import options
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.codes import Codes, by_tap, encode, units_of

ENCODINGS = ["twos", "sign_offset", "offset", "differential"]


def encoded(weight: list[list[int]], weight_bits: int, device_bits: int, **imc: Any) -> Codes:
    """Codes of weights ``[taps, M]`` of a linear layer."""
    arch = options({"device": {"bits": device_bits}, **imc}, weight_bits=weight_bits)
    taps = np.array(weight, np.int64)
    geometry = Geometry(len(taps), 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)
    return encode("layer fc", LayerMapping.of("fc", geometry, taps.shape[1], arch), taps, arch)


@pytest.mark.parametrize(
    ("encoding", "cells", "digital", "scale"),
    [  # of 5 and -3, 4 bits in cells of 2
        ("twos", [[1, 1], [1, 3]], [0, -16], [1, 4]),  # 0101, 1101
        ("sign_offset", [[1, 1], [1, 1]], [0, -8], [1, 4]),  # 101, -3 + 8 = 101
        ("offset", [[1, 3], [1, 1]], [-8, -8], [1, 4]),  # 5 + 8 = 1101, -3 + 8 = 0101
        ("differential", [[1, 0, 1, 0], [0, 3, 0, 0]], [0, 0], [1, -1, 4, -4]),
    ],
)
def test_by_hand(encoding: str, cells: list[list[int]], digital: list[int], scale: list[int]) -> None:
    codes = encoded([[5], [-3]], 4, 2, encoding=encoding)
    assert codes.cells.tolist() == cells
    assert codes.digital[:, 0].tolist() == digital
    assert codes.scale.tolist() == [scale]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("device_bits", [1, 3, 4, 8])
@pytest.mark.parametrize("weight_bits", [1, 2, 5, 8])
def test_every_weight_is_read_back(
    encoding: str, complement: bool, device_bits: int, weight_bits: int
) -> None:
    low = -(1 << (weight_bits - 1))
    weight = np.arange(low + (encoding == "differential"), -low)[:, None].repeat(2, axis=1)
    codes = encoded(weight.tolist(), weight_bits, device_bits, encoding=encoding, complement=complement)
    worth = (codes.cells * codes.scale).reshape(len(weight), 2, -1).sum(axis=-1)
    assert np.array_equal(worth + codes.digital, weight)
    assert codes.cells.max(initial=0) < 1 << device_bits


def test_columns_with_large_codes_are_complemented_unit_by_unit() -> None:
    keys = {"encoding": "offset", "complement": True, "crossbar": 2, "crossbars_per_pe": 2}
    weight = [[3], [3], [-4], [-4], [3], [-4]]  # codes 7, 7 | 0, 0 | 7, 0 of 7
    blocks = encoded(weight, 3, 3, adc={"sharing": "crossbar"}, **keys)
    assert blocks.cells[:, 0].tolist() == [0, 0, 0, 0, 7, 0]  # half of what is possible is not more than half
    assert blocks.scale[:, 0].tolist() == [-1, 1, 1]
    assert blocks.digital[:, 0].tolist() == [3, 3, -4, -4, -4, -4]
    rows = encoded([[3], [3], [-3], [-4], [3], [-4]], 3, 3, adc={"sharing": "pe"}, **keys)
    assert rows.cells[:, 0].tolist() == [0, 0, 6, 7, 7, 0]  # 15 of 28, then 7 of 14
    assert rows.scale[:, 0].tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("encoding", "weight_bits", "device_bits", "weight"),
    [
        ("differential", 4, 1, -8), ("differential", 4, 3, -8), ("sign_offset", 4, 1, -9),
        ("sign_offset", 4, 1, 8), ("offset", 4, 2, -9), ("offset", 4, 2, 8), ("twos", 4, 2, -17),
        ("twos", 4, 2, 16),
    ],
)  # fmt: skip
def test_weights_that_cells_cannot_hold_are_refused(
    encoding: str, weight_bits: int, device_bits: int, weight: int
) -> None:
    with pytest.raises(
        ConfigError, match=rf"^test: imc.encoding: layer fc has a weight {weight}, which \d cells"
    ):
        encoded([[0, 0], [1, weight]], weight_bits, device_bits, encoding=encoding)


@pytest.mark.parametrize("device_bits", [2, 4])  # 2 cells of 2 bits, or one of 4, have room for 8
def test_the_least_weight_is_stored_where_there_is_room(device_bits: int) -> None:
    codes = encoded([[-8]], 4, device_bits, encoding="differential")
    assert (codes.cells * codes.scale).sum() == -8


def test_taps_are_positions_first() -> None:
    weight = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    found = by_tap(weight)
    for k in range(4):
        for c in range(3):
            assert found[k * 3 + c].tolist() == weight[:, c, k // 2, k % 2].tolist()
    assert by_tap(weight[..., 0, 0]).tolist() == weight[..., 0, 0].T.tolist()


def test_units() -> None:
    geometry = Geometry(3, 4, 4, 2, 2, 1, 1, 0, 0, 3, 3)
    for sharing, expected in (("crossbar", [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]),
                              ("pe", [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1])):  # fmt: skip
        arch = options({"adc": {"sharing": sharing}, "crossbars_per_pe": 3})
        assert units_of(LayerMapping.of("conv", geometry, 2, arch), arch).tolist() == expected
