"""What was published on mapping by integer programs: measured as said, and told on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.papers.ilp import measures, studies
from spikex_sim.papers.ilp.measures import MEASURES
from spikex_sim.papers.ilp.published import Published, published
from spikex_sim.papers.ilp.scorecard import REASONS, Line, markdown, scorecard
from spikex_sim.plots.files import read_rows

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "docs" / "mapping-study.csv"
NETWORKS = studies.NETWORKS


def row(name: str) -> Published:
    return next(one for one in published() if one.id == name)


def way(name: str, kind: str, method: str, **more: Any) -> dict[str, Any]:
    usual = {"start": "", "objective": "", "better": "", "status": "found", "types": "4x4:1"}
    return {"network": name, "kind": kind, "method": method, **usual, **more}


def known(**changes: Any) -> list[dict[str, Any]]:
    """Rows of five networks: MCC takes 1000 and 400 cells, annealing some 800 and 240."""
    rows = []
    for at, name in enumerate(NETWORKS):
        for kind, mcc, area in (("homogeneous", 1000, 800 + at), ("heterogeneous", 400, 240 - at)):
            rows += [
                way(name, kind, "mcc", start="first-fit", area=mcc + 50),
                way(name, kind, "mcc", start="single", better="yes", area=mcc),
                way(name, kind, "anneal", objective="area", area=area, routes=100, packets=900,
                    types="16x4:2 4x4:3 8x8:1"),
                way(name, kind, "anneal", objective="routes", area=area, routes=90 - at, packets=800),
                way(name, kind, "anneal", objective="packets", area=area, routes=95, packets=760 - 8 * at),
            ]  # fmt: skip
        rows.append(way(name, "wide", "anneal", objective="area", area=1, types="16x4:2 32x4:1"))
    for one in rows:
        one |= {key: value for key, value in changes.items() if key in one}
    return rows


def test_every_row_has_a_measure_and_every_reason_a_row() -> None:
    names = [one.id for one in published()]
    assert names == list(MEASURES) and len(names) == len(set(names)) == 47
    for start in REASONS:
        assert any(name.startswith(start) for name in names), start


def test_statistics_of_the_networks_are_those_of_table_i() -> None:
    lines = scorecard({"networks": studies.network_rows()})
    table = [one for one in lines if one.row.source == "Table I"]
    assert len(table) == 30 and {one.status for one in table} == {"met"}
    assert {one.row.id: one.status for one in lines if not one.row.id.startswith("table1")} == {
        one.row.id: "met" if one.row.id in ("table2-types", "hom-dimension", "pgo-profile") else "not run"
        for one in lines if not one.row.id.startswith("table1")
    }  # fmt: skip


class TestMeasures:
    def test_areas(self) -> None:
        rows = known()
        assert measures.against_mcc(rows) == pytest.approx([20, 19.9, 19.8, 19.7, 19.6])
        assert measures.against_homogeneous(rows)[0] == 70
        assert measures.against_homogeneous(rows)[4] == pytest.approx(100 - 100 * 236 / 804)
        found = {one.row.id: one.measured for one in scorecard({"ways": rows})}
        assert found["fig2-hom-low"] == pytest.approx(19.6) and found["fig2-hom-high"] == pytest.approx(20)
        assert found["fig2-het-low"] == 70
        assert found["trend-hom-mcc"] == 1 and found["fig3-limit"] == 0

    def test_routes_and_packets(self) -> None:
        found = {one.row.id: one for one in scorecard({"ways": known()})}
        for figure in ("fig5", "fig6"):
            assert (found[f"{figure}-low"].measured, found[f"{figure}-high"].measured) == (
                pytest.approx(10), pytest.approx(14),
            )  # fmt: skip
        assert found["fig9-low"].measured == pytest.approx(5)
        assert found["fig9-high"].measured == pytest.approx(9)
        assert found["fig9-low"].status == "not judged"
        assert found["fig5-low"].series == "10.0, 11.0, 12.0, 13.0, 14.0"

    def test_shapes(self) -> None:
        assert measures.areas_by_shape(known(), "A") == (128, 112) and measures.is_tall(known()) == 1
        assert measures.is_tall(known(types="16x4:1 8x8:1")) == 0
        assert measures.wide_crossbars(known()) == 0
        assert measures.wide_crossbars(known(types="64x4:3 33x1:1 32x4:9")) == 20

    def test_proofs_and_trend_are_counted(self) -> None:
        assert measures.proofs(known(status="optimal")) == 5
        rows = known()
        worse = next(one for one in rows if one["kind"] == "heterogeneous" and one["better"])
        worse["area"] = 800
        assert measures.mcc_gains(rows) == 0

    def test_rows_that_are_not_one_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 rows"):
            measures.only([{"a": 1}, {"a": 1}], a=1)


@pytest.mark.parametrize(
    ("name", "measured", "status"),
    [
        ("fig2-hom-low", 11.7, "met"), ("fig2-hom-low", 11.6, "outside"), ("fig6-high", 32.4, "met"),
        ("fig6-high", 32.5, "outside"), ("table1-a-nodes", 229.0, "met"),
        ("table1-a-nodes", 230.0, "outside"),
        ("fig3-tall", 1.0, "shows"), ("fig3-tall", 0.0, "does NOT show"), ("fig9-high", 50.0, "not judged"),
    ],
)  # fmt: skip
def test_tolerance_is_the_rows_own(name: str, measured: float, status: str) -> None:
    assert Line(row(name), measured).status == status


def test_markdown_has_all_rows_and_counts_them() -> None:
    lines = scorecard({"networks": studies.network_rows(), "ways": known()})
    text = markdown(lines)
    assert "| A | 229 / 229 | 464 / 464 | 11 / 11 | 0.0088 / 0.008848 |" in text
    assert all(f"`{one.row.id}`" in text for one in lines if one.row.source != "Table I")
    met = [one.status for one in lines].count("met")
    assert f"{met} of 43 numbers" in text and "2 of 2 trends show" in text
    lines[0] = Line(lines[0].row, 230.0)
    assert "| A | 229 / 230 (outside) |" in markdown(lines)


# --- the study -------------------------------------------------------------------------------------


def test_spikes_are_drawn_the_same_every_time() -> None:
    one, same = studies.network("B"), studies.network("B")
    assert one.profiled and one.name == "B" and (one.spikes == same.spikes).all()
    silent = (one.spikes == 0).mean()
    assert 0.3 < silent < 0.55 and 25 < one.spikes[one.spikes > 0].mean() < 55


def test_study_maps_every_network_in_all_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    small = NeuronGraph.of("small", 12, 0, [(k, (3 * k + j) % 12) for k in range(12) for j in range(3)],
                           list(range(12)))  # fmt: skip
    monkeypatch.setattr(studies, "network", lambda name: small)
    told: list[str] = []
    rows = studies.way_rows(Effort("anneal", 200, 1), progress=lambda name, done, total: told.append(name))
    assert told == list(NETWORKS)
    assert len(rows) == 5 * (14 + 1) and {row["steps"] for row in rows} == {200}
    wide = [row for row in rows if row["kind"] == studies.WIDE]
    assert [row["network"] for row in wide] == list(NETWORKS)
    assert all(set(row) == set(rows[0]) for row in rows)


# --- the page --------------------------------------------------------------------------------------


def test_page_has_the_study_and_our_numbers_are_not_worse() -> None:
    page = (ROOT / "docs" / "validation.md").read_text("utf-8")
    rows = [dict(one) for one in read_rows(STUDY)]
    lines = scorecard({"networks": studies.network_rows(), "ways": rows})
    assert markdown(lines) in page
    assert "not public" in page.partition("## Mapping networks")[2]
    assert {one["steps"] for one in rows} == {30_000_000}
    found = {one.row.id: one for one in lines}
    assert min(measures.packets_saved(rows)) >= 0
    assert found["fig2-hom-low"].measured > 0 and found["fig5-low"].measured > 0
    assert {found[name].status for name in ("fig3-limit", "vb-32", "fig3-tall", "trend-hom-mcc")} == {
        "met", "shows",
    }  # fmt: skip
