"""What was published on crossbars: measured as said, from rows that are known, and told on the page."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikex_sim.papers.imc import measures, studies
from spikex_sim.papers.imc.measures import MEASURES
from spikex_sim.papers.imc.published import Published, published
from spikex_sim.papers.imc.scorecard import REASONS, SERIES, Line, markdown, scorecard
from spikex_sim.papers.imc.studies import RECORDINGS, STUDIES, released_rows, sized
from spikex_sim.plots.files import read_rows
from spikex_sim.spec.networks import load_network

PAGE_ROWS = Path(__file__).resolve().parents[2] / "docs" / "imc-studies"


def row(name: str) -> Published:
    return next(one for one in published() if one.id == name)


def test_every_row_has_a_measure_and_every_reason_a_row() -> None:
    names = [one.id for one in published()]
    assert names == list(MEASURES) and set(SERIES) < set(names)
    assert {study for study, _ in MEASURES.values()} == {*STUDIES, *RECORDINGS}
    for start in REASONS:
        assert any(name.startswith(start) for name in names), start


def test_the_released_script_is_met_to_1e_9() -> None:
    lines = scorecard({"released": released_rows()})
    script = [one for one in lines if one.row.id.startswith("released-")]
    assert len(script) == 5
    for one in script:
        assert one.measured == pytest.approx(one.row.value, rel=1e-9)
        assert one.status == "met" and one.row.tolerance <= 1e-9
    assert {one.status for one in lines if MEASURES[one.row.id][0] != "released"} == {"not run"}


def tiny(**energies: float) -> list[dict[str, Any]]:
    """VGG-16 whose energy and latency per time point are given."""
    return [
        {"network": "vgg16-tinyimagenet", "timesteps": int(points[1:]), "energy_pj": pj, "seconds": pj / 2}
        for points, pj in energies.items()
    ]


class TestMeasures:
    def test_edp_of_linear_costs(self) -> None:
        rows = tiny(t1=1, t2=2, t3=3, t4=4)
        assert measures.edp_ratio(rows) == 16 and measures.is_linear(rows) == 1
        least, largest = measures.exit_gains(rows)
        # 38 % of the samples at T=4 and the others at 1; 86 % at 2 and 14 % at 3
        assert least == pytest.approx(16 / (0.62 + 0.38 * 16))
        assert largest == pytest.approx(16 / (0.86 * 4 + 0.14 * 9))
        assert measures.nearest_exit_gain(rows) == pytest.approx(2.54)

    def test_energy_that_bends_is_not_linear(self) -> None:
        assert measures.is_linear(tiny(t1=1, t2=2, t3=3, t4=4.1)) == 0

    def test_bits_of_a_converter_that_lose_nothing(self) -> None:
        rows = [
            {"imc.device.bits": cell, "imc.adc.bits": bits, "accuracy": right, "software_accuracy": 0.9}
            for cell, bits, right in ((4, 4, 0.8), (4, 5, 0.9), (4, 6, 0.9), (2, 3, 0.9))
        ]
        assert measures.adc_bits_needed(rows) == 5

    def test_least_product_of_energy_and_area(self) -> None:
        rows = [{"device_bits": 1, "energy_pj": 3.0, "area_mm2": 1.0}, {"energy_pj": 0.1, "area_mm2": 0.1},
                {"device_bits": 2, "energy_pj": 1.0, "area_mm2": 2.0}]  # fmt: skip
        assert measures.best_device(rows) == 2

    @pytest.mark.parametrize(("values", "up", "down"), [((1, 2, 3), 1, 0), ((3, 2, 1), 0, 1), ((1, 1), 0, 0)])
    def test_moves(self, values: tuple[float, ...], up: float, down: float) -> None:
        rows = [{"case": f"bits {n}", "x": value} for n, value in enumerate(values)] + [
            {"case": "R_on", "x": 9}
        ]
        assert measures.moves(rows, "bits", "x", up=True) == up
        assert measures.moves(rows, "bits", "x", up=False) == down

    @pytest.mark.parametrize(
        ("before", "after", "recovers"), [(0.1, 0.96, 1), (0.97, 0.96, 0), (0.1, 0.95, 0), (0.96, 0.97, 1)]
    )
    def test_adaptation_recovers_what_was_lost(self, before: float, after: float, recovers: int) -> None:
        rows = [
            {"imc.adapt": adapt, "imc.crossbar": 64, "accuracy": right, "software_accuracy": 0.98}
            for adapt, right in (("none", before), ("channel", after))
        ]
        assert measures.recovers(rows, 64) == recovers
        assert measures.adapted_loss(rows) == pytest.approx(100 * (0.98 - after))

    def test_rows_that_are_not_one_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 rows"):
            measures.only([{"a": 1}, {"a": 1}], "a", a=1)


@pytest.mark.parametrize(
    ("name", "measured", "near"),
    [
        ("s1-edp-t4", 12.9, True), ("s1-edp-t4", 13.1, False), ("n2-adapted-loss", -3.7, True),
        ("n2-adapted-loss", 6.3, False), ("n1-encoding", 1.0, True), ("n1-encoding", -1.0, False),
        ("released-pes", 48.0, True), ("released-pes", 49.0, False),
    ],
)  # fmt: skip
def test_tolerance_is_the_rows_own(name: str, measured: float, near: bool) -> None:
    assert row(name).admits(measured) is near
    assert Line(row(name), measured).status == ("met" if near else "outside")


def test_trends_have_no_ratio() -> None:
    assert [Line(row("s14-1"), value).status for value in (1.0, 0.0)] == ["shows", "does NOT show"]
    assert Line(row("s14-1"), 1.0).ratio is None


@pytest.mark.parametrize("side", [32, 48, 64])
def test_a_picture_of_another_side_has_other_maps_and_the_same_classes(side: int) -> None:
    made = sized(load_network("vgg16-cifar10"), side)
    assert made.layers[0].in_height == side and made.layers[-1].out_channels == 10
    for before, after in pairwise(made.layers):
        wanted = before.out_channels * before.out_height * before.out_width
        assert after.in_channels == (
            wanted if after.kind == "linear" and before.kind != "linear" else before.out_channels
        )
    assert (sized(made, 32) == load_network("vgg16-cifar10")) or side != 32


def test_encodings_with_more_high_resistances_err_less() -> None:
    errors = {one["case"]: one["error"] for one in studies.mac_rows()}
    assert errors["twos"] > errors["sign_offset"] > errors["sign_offset, flags"] > 0
    assert np.isfinite(list(errors.values())).all()


def test_rows_of_recordings_are_on_the_page() -> None:
    tables = {name: [dict(one) for one in read_rows(PAGE_ROWS / f"imc-{name}.csv")] for name in RECORDINGS}
    page = (PAGE_ROWS.parent / "validation.md").read_text("utf-8")
    lines = [one for one in scorecard(tables) if one.measured is not None]
    assert len(lines) == 8
    for one in lines:
        assert f"| `{one.row.id}`" in page and one.series in page
    assert "not run" in markdown(scorecard(tables))
