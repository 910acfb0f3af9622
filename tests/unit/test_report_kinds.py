"""Reports of every kind of folder show what it holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import spikex_sim as sx
from command import REPOSITORY, succeed
from command_folder import TRACE
from report_pages import Page
from winners import found_of


@pytest.mark.parametrize(
    ("line", "charts", "words"),
    [
        ("dispatch t.npz", 2, ("slot_cycles", "agile")),
        ("ann t.npz", 1, ("energy_ratio",)),
        ("dynamic l.npz", 2, ("threshold",)),
        (
            "evaluate ht.npz --data lab.npz --arch spikex,ptb",
            2,
            ("accuracy", "SHA-256 of the data", "net-ht"),
        ),
        ("search-tws ht.npz --data lab.npz --tws 1,2", 1, ("method", "edp_js")),
        ("map g.txt --objective routes --steps 300 --mesh auto", 4, ("Crossbars", "routes_global")),
        ("imc-study t.npz --study umem", 0, ("imc.umem",)),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_studies_have_reports(
    here: Path, capsys: pytest.CaptureFixture[str], line: str, charts: int, words: tuple[str, ...]
) -> None:
    succeed(capsys, *line.split(), "--out", "o")
    shown = succeed(capsys, "report", "o")
    assert shown.lines[0] == "wrote o/report.html"
    page = Page.of(Path("o/report.html"))
    assert sum(len(data["charts"]) for data in page.data.values()) == charts
    assert charts or page.tags["img"] == 1
    for word in words:
        assert word in page.text, word


def test_searched_networks_are_points_of_their_table(tmp_path: Path) -> None:
    found = found_of("111111", "110021")
    one = found.networks[0]
    others = []
    for cell, score, energy, fits in (
        ("111110", -30.0, 1.0, True),
        ("110001", -math.inf, 9.0, True),
        ("110011", -10.0, 40.0, False),
    ):
        costs = one.costs.model_copy(update={"energy_uj": energy})
        changes = {"cell_b": cell, "score": score, "front": False, "feasible": fits, "costs": costs}
        others.append(one.model_copy(update=changes))
    search = {**found.search, "limits": {"energy_uj": 20.0}}
    found.model_copy(update={"networks": (one, *others), "search": search}).save(tmp_path)
    page = Page.of(sx.report(tmp_path))
    chart = page.data["g0-networks"]["charts"][0]
    places = {row: (x, y) for series in chart["data"] if "customdata" in series
              for row, x, y in zip(series["customdata"], series["x"], series["y"], strict=True)}  # fmt: skip
    assert places == {0: (3.0, -20.0), 1: (1.0, -30.0), 3: (40.0, -10.0)}, "and none of the infinite score"
    assert chart["layout"]["shapes"][0]["x0"] == 20.0
    assert {series["name"] for series in chart["data"]} == {"winner", "fits", "breaks a limit", "front"}
    assert sum(tag == "tr" and "data-row" in known for tag, known in page.elements) == 4
    assert page.tags["img"] == 1 and "−∞" in page.text and "limit 20.00" in page.text


def test_explorations_have_reports(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    keys = {"tws": [2, 4, 8], "array.cols": [2, 4, 8]}
    goals = ["energy_pj", "latency_ms"]
    found = sx.explore(TRACE, keys, goals, budget=9, sampler="grid", out=tmp_path)
    page = Page.of(sx.report(tmp_path))
    charts = page.data["g0-points"]["charts"]
    x, y = charts[0]["layout"]["xaxis"]["title"]["text"], charts[0]["layout"]["yaxis"]["title"]["text"]
    factors = {"nJ": 1e3, "µJ": 1e6}[x[-3:-1]], {"ms": 1.0, "µs": 1e-3}[y[-3:-1]]
    seen = {row: (a * factors[0], b * factors[1]) for series in charts[0]["data"] if "customdata" in series
            for row, a, b in zip(series["customdata"], series["x"], series["y"], strict=True)}  # fmt: skip
    assert len(seen) == 9
    for row, place in seen.items():
        figures = found.points[row].figures
        assert place == pytest.approx((figures["energy_pj"], figures["latency_ms"]))
    front = next(series for series in charts[0]["data"] if series["name"] == "front")
    assert sorted(value * factors[0] for value in front["x"]) == pytest.approx(
        sorted(one.figures["energy_pj"] for one in found.front)
    )
    assert page.traces("g0-points", 1)["hypervolume"]["y"] == pytest.approx(
        [100 * one.hypervolume for one in found.points]
    )
    assert "g0-0-points" in page.data, "and the sweep that its points are of"


def test_tables_of_mappings_have_charts(tmp_path: Path) -> None:
    lines = [
        "area_budget,area,routes,packets,crossbars",
        "200,200,30,60,9",
        "300,260,20,70,8",
        "400,390,25,40,7",
    ]
    (tmp_path / "pareto.csv").write_text("\n".join(lines) + "\n")
    lines = [
        "kind,pool,method,start,objective,area,routes,less_percent",
        "one,p,mcc,,,1000,50,",
        "many,q,anneal,,,600,40,40.0",
    ]
    (tmp_path / "compare.csv").write_text("\n".join(lines) + "\n")
    page = Page.of(sx.report(tmp_path))
    front = page.traces("g0-map-front")
    assert front["mapping"]["x"] == [200, 260, 390] and front["least within the area"]["y"] == [30, 20, 20]
    assert page.traces("g0-map-front", 1)["least within the area"]["y"] == [60, 60, 40]
    assert page.traces("g0-map-compare")["Area"]["y"] == [1000, 600]


def test_figures_of_papers_are_shown_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "fig13.csv").write_bytes((REPOSITORY / "docs/fig13.csv").read_bytes())
    page = Page.of(sx.report(tmp_path))
    assert page.tags["img"] == 1 and not page.data and page.tags["table"] == 1
    assert "plotly.js" not in (tmp_path / "report.html").read_text("utf-8"), "which nothing there needs"
