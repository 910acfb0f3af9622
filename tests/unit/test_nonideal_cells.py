"""Cells and column wires: against nodal analysis of whole columns, the reference currents, and by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import shared_data
from nonideal import IDEAL, drawn, options
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.cells import behind_wires, column, conductances, levels
from spikex_sim.schedules.crossbar.nonideal.streams import STUCK, WRITE, of_rows

ON, OFF = 1 / 20e3, 1 / 200e3


def solved(cells: NDArray[np.float64], resistance: float, spikes: NDArray[np.bool_]) -> Any:
    """Current into the sense amplifier for 1 V on the rows with spikes: Kirchhoff's law at every node."""
    rows = len(cells)
    wire = 1 / resistance
    nodes = np.diag(cells + wire)
    for i in range(1, rows):
        nodes[i, i] += wire
        nodes[i, i - 1] = nodes[i - 1, i] = -wire
    return np.linalg.solve(nodes, cells * spikes)[-1] * wire


@pytest.mark.kernels
@pytest.mark.parametrize("rows", [1, 2, 9, 64])
@pytest.mark.parametrize("resistance", [1e-6, 1.0, 5.0, 300.0])
def test_columns_against_nodal_analysis(rows: int, resistance: float) -> None:
    rng = np.random.default_rng(rows)
    cells = rng.uniform(OFF, ON, (rows, 3))
    cells[rng.random((rows, 3)) < 0.1] = 0
    spikes = rng.random(rows) < 0.5
    spikes[-1] = True
    effective = column(cells, resistance)
    for c in range(3):
        expected = solved(cells[:, c], resistance, spikes)
        assert spikes @ effective[:, c] == pytest.approx(expected, rel=1e-12 if resistance >= 1 else 1e-8)


def test_columns_against_reference_currents() -> None:
    reference = json.loads(shared_data("imc/nice_reference.json").read_text())
    for row in reference["column_vectors"]:
        i = np.arange(row["n"])
        everywhere = row["pattern"] == "all on, all spike"
        cells = np.where(everywhere | (7 * i % 5 < 2), ON, OFF)[:, None]
        spikes = everywhere | (3 * i % 4 == 0)
        effective = column(cells, row["r_ohm"]) if row["r_ohm"] else cells
        assert 0.1 * (spikes @ effective[:, 0]) == pytest.approx(row["I_out_A"], rel=1e-12)
    assert len(reference["column_vectors"]) > 10


def mapping_of(arch: Any, channels: int = 5, places: int = 2) -> LayerMapping:
    return LayerMapping.of("conv", Geometry(channels, 1, 2, 1, places, 1, 1, 0, 0, 1, 1), 2, arch)


def test_the_last_row_of_a_block_is_nearest() -> None:
    arch = options({"r_par_ohm": 300.0, "crossbar": 4})  # 5 channels: blocks of 4 and 1 rows of each position
    mapping = mapping_of(arch)
    assert mapping.block_of.tolist() == [0, 0, 0, 0, 2, 1, 1, 1, 1, 3]
    found = behind_wires(np.full((10, 1), ON), mapping, arch.imc)[:, 0]
    assert np.all(np.diff(found[:4]) > 0)
    assert np.array_equal(found[:4], found[5:9])
    alone = 1 / (20e3 + 300)
    assert found[4] == pytest.approx(alone, rel=1e-14)
    assert found[9] == pytest.approx(alone, rel=1e-14)


def test_levels_of_devices() -> None:
    imc = options({"device": {"bits": 2, "r_on_kohm": 10, "r_off_kohm": 40}}).imc
    on, off, step = levels(imc)
    assert (on, off) == (1 / 10e3, 1 / 40e3)
    assert step == pytest.approx((1 / 10e3 - 1 / 40e3) / 3)
    assert off + 3 * step == pytest.approx(on, rel=1e-15)


def test_cells_are_written_then_drift_then_stick() -> None:
    imc = {"write_sigma": 0.5, "drift": {"nu": 0.5, "seconds": 100, "t0_seconds": 4},
           "stuck": {"on": 0.2, "off": 0.3}, "crossbar": 4, "seed": 9}  # fmt: skip
    arch = options(imc)
    mapping = mapping_of(arch)
    codes = np.arange(10, dtype=np.uint8).reshape(10, 1).repeat(4, axis=1)
    found = conductances(codes, mapping, arch, 3)
    rows = np.array([0, 1, 2, 3, 8, 4, 5, 6, 7, 12])  # block * crossbar + row in the block
    z, u = of_rows(WRITE, 9, 3, rows, 4), of_rows(STUCK, 9, 3, rows, 4)
    on, off, step = levels(arch.imc)
    expected = (off + codes * step) * np.maximum(0, 1 + 0.5 * z) / 5  # (100 / 4) ** -0.5
    expected = np.where(u < 0.2, on, np.where(u < 0.5, off, expected))
    assert np.allclose(found, expected, rtol=1e-14, atol=0)
    kinds = [(u < 0.2).sum(), ((u >= 0.2) & (u < 0.5)).sum(), (u >= 0.5).sum()]
    assert min(kinds) > 3
    assert np.array_equal(
        conductances(codes, mapping, options({**imc, "stuck": {"on": 1}}), 3), codes * 0 + on
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"device": {"r_on_kohm": 20.0, "r_off_kohm": 20.000000000001}},
        {"device": {"r_on_kohm": 20.0, "r_off_kohm": np.nextafter(20.0, 21)}},
        {"drift": {"nu": 10, "seconds": 1e-300}},
    ],
)
def test_devices_out_of_range_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"test: imc.device: a column of layer conv can carry .* current of"
    ):
        drawn(0).program(options({**IDEAL, **keys}))


def test_a_wire_of_next_to_nothing_is_none() -> None:
    small = drawn(1)
    assert np.array_equal(small.sums(options({**IDEAL, "r_par_ohm": 1e-310})), small.dense())
    assert np.array_equal(small.sums(options({**IDEAL, "r_par_ohm": 1e-300})), small.dense())
