"""Reports: their numbers are those of the results, they need nothing else, mistakes are one line."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, files_under, is_mistake, spikex, succeed
from command_folder import TRACE
from report_pages import Page, names_of
from spikex_sim.plots import layers
from spikex_sim.plots.files import read_rows
from spikex_sim.report import figures, table
from spikex_sim.report.chart import FILLS, look_of
from spikex_sim.report.escaping import chart_label, data_text, escaped
from spikex_sim.report.page import asset

UNITS = {"nJ": 1e3, "µJ": 1e6, "mJ": 1e9}
"""pJ."""
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '" onmouseover="alert(3)',
    "%{x} <a href='https://example.org'>link</a> <b>bold</b>",
    "__proto__",
    "constructor",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run, several runs, and a sweep."""
    path = tmp_path_factory.mktemp("results")
    sx.simulate(TRACE, tws=4).save(path / "run")
    for arch in ("spikex", "ptb", "spikesim"):
        sx.simulate(TRACE, arch).save(path / "runs" / arch)
    sx.save_trace(TRACE, path / "t.npz")
    sx.sweep(str(path / "t.npz"), {"tws": [2, 4, 8], "array.cols": [4, 8]}, out=path / "sweep")
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    """The report of the run."""
    return Page.of(sx.report(folder / "run", folder / "run.html"))


def unit_of(chart: Any, side: str = "yaxis") -> str:
    """Unit in brackets behind an axis's title."""
    return re.findall(r"\((.+)\)", chart["layout"][side]["title"]["text"])[0]


# --- Numbers --------------------------------------------------------------------------------------


def test_energies_are_those_of_the_results(folder: Path, page: Page) -> None:
    results = sx.load_results(folder / "run")
    series = page.traces("g0-energy")
    per = UNITS[unit_of(page.data["g0-energy"]["charts"][0])]
    found = [0.0] * 2
    for part, label in (("dram", "DRAM"), ("glb", "GLB"), ("lbuf", "LBUF"), ("rf", "RF"), ("alu", "ALU")):
        assert names_of(series[label]) == ["first", "last"]
        heights = [per * height for height in series[label]["y"]]
        assert heights == pytest.approx([layer.energy_pj_by[part] for layer in results.layers])
        found = [one + height for one, height in zip(found, heights, strict=True)]
    assert found == pytest.approx([layer.energy_pj for layer in results.layers])
    tensors = page.traces("g0-energy", 1)
    per = UNITS[unit_of(page.data["g0-energy"]["charts"][1])]
    weights = [layer.energy_by_use_pj["weights"] for layer in results.layers]
    assert [per * height for height in tensors["weights"]["y"]] == pytest.approx(weights)


def test_stalls_use_and_roofline_are_those_of_the_results(folder: Path, page: Page) -> None:
    results = sx.load_results(folder / "run")
    series = page.traces("g0-time")
    shares = [[*series[name]["y"]] for name in ("array", "DRAM", "GLB", "LBUF", "drain")]
    wanted = [
        [
            100 * one.compute_cycles / one.cycles,
            *(100 * one.stalls[k] / one.cycles for k in ("dram", "glb", "lbuf", "drain")),
        ]
        for one in (*results.layers, results.totals)
    ]
    assert pytest.approx(np.array(wanted)) == np.array(shares).T
    use = page.traces("g0-utilization")
    assert use["in use"]["y"] == pytest.approx([100 * one.utilization for one in results.layers])
    assert use["adding"]["y"] == pytest.approx([100 * one.add_utilization for one in results.layers])
    roofline = page.traces("g0-roofline")
    for one in results.layers:
        moved = sum(bits for tensor in one.accesses["dram"].values() for bits in tensor.values()) / 8
        assert roofline[one.name]["x"] == pytest.approx([one.accumulations / moved])
        assert roofline[one.name]["y"] == pytest.approx([one.accumulations / one.seconds / 1e9])


@pytest.mark.parametrize("arch", ["spikex", "spikesim"])
def test_bars_are_those_of_the_figures_for_papers(folder: Path, arch: str) -> None:
    rows = read_rows(folder / "runs" / arch / "layers.csv")
    _, axes = layers.energy_by_component(rows)
    chart = figures.energy_components(rows)[0]
    upright = [[patch.get_height() for patch in bars] for bars in axes[0].containers]
    lying = [[patch.get_width() for patch in bars] for bars in axes[0].containers]
    drawn = [series["y"] for series in chart.data]
    assert any(np.shape(one) == np.shape(drawn) and np.allclose(one, drawn) for one in (upright, lying))
    colors = [series["marker"]["color"] for series in chart.data]
    assert colors == [
        look.color for look in (layers.COMPONENTS if arch == "spikex" else layers.CHIP_COMPONENTS).values()
    ]


def test_summary_has_the_totals_with_units(folder: Path, page: Page) -> None:
    totals = sx.load_results(folder / "run").totals
    for text in (
        f"{totals.energy_pj / UNITS['nJ']:.4g} nJ",
        f"{totals.seconds * 1e6:.4g} µs",
        f"{totals.cycles:,} cycles",
        f"{totals.edp_js * 1e12:.4g} pJs",
        f"{totals.area_mm2:.4g}"[:5],
    ):
        assert text in page.text
    rows = read_rows(folder / "run/layers.csv")
    for column in rows[0]:
        assert column in page.text or all(row[column] is None for row in rows)


def test_several_samples_have_mean_and_deviation(tmp_path: Path) -> None:
    spikes = np.random.default_rng(5).random((2, 2, 6, 6, 9)) < 0.2
    trace = sx.Trace.from_arrays(TRACE.layers[:1], spikes, weights=[TRACE.weights[0]], name="two")
    result = sx.simulate(trace, tws=4)
    result.save(tmp_path)
    page = Page.of(sx.report(tmp_path))
    assert "2 samples" in page.text and "sums over 2 samples" in page.text
    assert table.number_text(result.mean["energy_pj"]) in page.text
    assert table.number_text(result.sd["energy_pj"]) in page.text
    assert "g0-samples" in page.ids


def test_a_component_has_the_same_colour_everywhere(folder: Path) -> None:
    one = Page.of(sx.report([folder / "run", folder / "runs"], folder / "both.html"))
    found: dict[str, set[str]] = {}
    for section in ("g0-energy", "g1-comparison", "g1-0-energy", "g1-1-energy"):
        for chart in one.data[section]["charts"]:
            for series in chart["data"]:
                if series["name"] in ("DRAM", "GLB", "LBUF", "RF", "ALU") and series["type"] == "bar":
                    found.setdefault(series["name"], set()).add(series["marker"]["color"])
    assert len(found) == 5 and all(len(colors) == 1 for colors in found.values()), found


def test_comparison_is_relative_to_the_first(folder: Path) -> None:
    one = Page.of(sx.report(folder / "runs", folder / "runs.html"))
    results = {name: sx.load_results(folder / "runs" / name).totals for name in ("ptb", "spikesim", "spikex")}
    series = one.traces("g0-comparison")
    base = results["ptb"]  # the first by name
    for name, totals in results.items():
        wanted = [
            getattr(totals, key) / getattr(base, key)
            for key in ("seconds", "energy_pj", "energy_on_chip_pj", "edp_js")
        ]
        assert series[name]["y"] == pytest.approx(wanted)
    assert {"g0", "g0-0", "g0-1", "g0-2", "g0-2-energy", "g0-2-configuration"} <= set(one.ids)


# --- Sweeps ---------------------------------------------------------------------------------------


def test_points_of_a_sweep_are_its_rows(folder: Path) -> None:
    one = Page.of(sx.report(folder / "sweep", folder / "sweep.html"))
    rows = read_rows(folder / "sweep/sweep.csv")
    data = one.data["g0-points"]
    first = data["charts"][0]
    x, y = (
        UNITS.get(unit_of(first, side), {"ms": 1e-3, "µs": 1e-6}.get(unit_of(first, side)))
        for side in ("xaxis", "yaxis")
    )
    points = [series for series in first["data"] if "customdata" in series]
    seen = {}
    for series in points:
        for row, latency, energy in zip(series["customdata"], series["x"], series["y"], strict=True):
            seen[row] = (latency * x, energy * y)
    assert sorted(seen) == list(range(6))
    for row, place in seen.items():
        assert place == pytest.approx((rows[row]["seconds"], rows[row]["energy_pj"]))
    front = next(series for series in first["data"] if series["name"] == "front")
    wanted = sx.pareto_front(rows)
    assert [value * x for value in front["x"]] == pytest.approx([row["seconds"] for row in wanted])
    assert [chart["linked"] for chart in data["charts"]] == [
        True
    ] * 5  # the front, and two charts of each key
    marked = [known["data-row"] for tag, known in one.elements if tag == "tr" and "data-row" in known]
    assert marked == [str(index) for index in range(6)]
    free = data["free"]["columns"]
    assert free["tws"]["values"] == [row["tws"] for row in rows] and free["edp_js"]["unit"] == "Js"


def test_very_many_points_are_thinned_but_for_the_front(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr("spikex_sim.report.sweep.MAX_POINTS", 2)
    monkeypatch.setattr(table, "MAX_ROWS", 4)
    one = Page.of(sx.report(folder / "sweep", folder / "thin.html"))
    rows = read_rows(folder / "sweep/sweep.csv")
    data = one.data["g0-points"]
    drawn = {row for series in data["charts"][0]["data"] for row in series.get("customdata", [])}
    front = {rows.index(row) for row in sx.pareto_front(rows)}
    assert front | {0, 3} == drawn
    assert f"Of 6 points {len(drawn)} are drawn" in one.text and "2 more in sweep.csv" in one.text
    assert sum(tag == "tr" and "data-row" in known for tag, known in one.elements) == 4


# --- One file, safe ---------------------------------------------------------------------------------


def test_nothing_is_loaded_and_only_own_scripts_run(folder: Path, page: Page) -> None:
    text = (folder / "run.html").read_text("utf-8")
    policy = next(
        str(known["content"])
        for tag, known in page.elements
        if known.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts}
    assert allowed == hashes and len(hashes) >= 3
    assert not re.search(r"unsafe-eval|script-src[^;]*unsafe-inline|connect-src|https?:", policy)
    for tag, known in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in known), known
        for name in ("src", "href", "srcset", "data", "action"):
            assert str(known.get(name, "#")).startswith(("#", "data:image/")), known
    assert "@import" not in text.split("</style>")[0] and "url(" not in text.split("</style>")[0]


def hostile_trace() -> sx.Trace:
    meta = [
        {
            "name": name,
            "kind": "conv",
            "in_channels": into,
            "out_channels": 2,
            "kernel": 3,
            "padding": 1,
            "in_height": 6,
            "in_width": 6,
            "neuron": {"threshold": 3, "leak_shift": 3},
        }
        for name, into in ((name, 2) for name in HOSTILE)
    ]
    rng = np.random.default_rng(0)
    weights = [rng.integers(-2, 6, (2, 2, 3, 3)).astype(np.int8) for _ in HOSTILE]
    return sx.Trace.from_arrays(meta, rng.random((2, 6, 6, 12)) < 0.3, weights=weights, name=HOSTILE[1])


def test_names_are_text(tmp_path: Path) -> None:
    plain = Page.of(_report_of(tmp_path / "plain", TRACE))
    found = Page.of(_report_of(tmp_path / "hostile", hostile_trace()))
    assert found.tags["script"] == plain.tags["script"] and found.tags["img"] == plain.tags["img"] == 0
    assert set(found.tags) <= set(plain.tags)
    for tag, known in found.elements:
        assert not any(name.startswith("on") for name in known), (tag, known)
    for name in HOSTILE:
        assert name in found.text
    for series in found.data["g0-energy"]["charts"][0]["data"]:
        assert not any("<" in text for text in (*series["x"], *series["customdata"], series["name"]))
        assert series["hovertemplate"].count("%{") == 2
    raw = (tmp_path / "hostile/report.html").read_text("utf-8")
    assert "<script>alert(1)" not in raw and "onerror=alert(2)>" not in raw


def _report_of(folder: Path, trace: sx.Trace) -> Path:
    sx.simulate(trace, tws=4).save(folder)
    return sx.report(folder)


def test_names_of_machines_in_grouped_charts_are_text(tmp_path: Path) -> None:
    for index, name in enumerate(HOSTILE[:4]):
        sx.simulate(TRACE, sx.load_accelerator("spikex", {"name": name})).save(tmp_path / str(index))
    found = Page.of(sx.report(tmp_path))
    assert found.tags["img"] == 0
    for series in found.data["g0-comparison"]["charts"][0]["data"]:
        assert "<" not in series["name"] and series["hovertemplate"].count("%{") == 2
        assert "<" not in series["hovertemplate"].replace("<br>", "").replace("<extra></extra>", "")


def test_equal_results_make_equal_pages(folder: Path) -> None:
    first = sx.report(folder / "runs", folder / "a.html").read_bytes()
    assert sx.report(folder / "runs", folder / "b.html").read_bytes() == first


def test_identifiers_are_unique_and_contents_lead_to_them(folder: Path) -> None:
    one = Page.of(sx.report([folder / "runs", folder / "sweep", folder / "run"], folder / "all.html"))
    assert len(one.ids) == len(set(one.ids))
    links = [str(known["href"])[1:] for tag, known in one.elements if tag == "a"]
    assert set(links) <= set(one.ids) and len(links) > 30
    assert [link for link in links if re.fullmatch(r"g\d", link)] == ["g0", "g1", "g2"]


def test_text_that_turns_around_or_is_long_is_shown_so() -> None:
    assert escaped("\u202egnp.exe \x1b[2J") == "\\u202egnp.exe \\x1b[2J"
    assert len(escaped("x" * 10**6)) < 5000 and len(chart_label("<" * 10**6)) < 5000
    assert data_text({"a": "</script><!--\u2028&\ud800"}).isascii()
    assert json.loads(data_text({"a": "</script><!--\u2028&\ud800"})) == {"a": "</script><!--\u2028&\ud800"}
    assert not set("<>&") & set(data_text({"<": "</script>&"}))


def test_the_library_is_the_published_one() -> None:
    text = asset("plotly-basic.min.js")
    page = (REPOSITORY / "docs/report.md").read_text("utf-8")
    digest, version = (
        re.findall(r"`([0-9a-f]{64})`", page)[0],
        re.findall(r"plotly.js-basic-dist-min (\S+)", page)[0],
    )
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert f"plotly.js (basic - minified) v{version}" in text[:200]
    assert "MIT License" in asset("plotly-LICENSE.txt")
    for name in ("plotly-basic.min.js", "report.js", "charts.js"):
        assert not re.search(r"</script|<!--|<script", asset(name), re.IGNORECASE)
        assert not re.search(r"\bnew Function\b|\beval\(", asset(name))


def test_seventeen_series_look_different() -> None:
    looks = {(look_of(index, "").color, look_of(index, "").hatch) for index in range(17)}
    assert len(looks) == 17 > len(FILLS)


# --- Tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (99999.99, "100,000"),
        (1e-4, "1.000×10⁻⁴"),
        (-2.5, "-2.500"),
        (3e12, "3.000×10¹²"),
        (10**18, "1.000×10¹⁸"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_can_be_read(value: float, text: str) -> None:
    assert table.number_text(value) == text


def test_every_column_of_results_has_unit_and_meaning(folder: Path) -> None:
    for name in ("layers.csv", "accesses.csv"):
        for column in read_rows(folder / "run" / name)[0]:
            assert table.column_of(column, name).meaning, column
    assert table.column_of("energy_dram_pj", "layers.csv").unit == "pJ"
    assert (
        table.column_of("mean_edp_js", "sweep.csv").unit
        == table.column_of("edp_js", "sweep.csv").unit
        == "Js"
    )


def test_a_folder_of_two_kinds_shows_both(folder: Path, tmp_path: Path) -> None:
    for name in ("run", "sweep"):
        for file in (folder / name).iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    page = Page.of(sx.report(tmp_path))
    assert {"g0-energy", "g0-0-points"} <= set(page.data) and len(page.ids) == len(set(page.ids))


def test_names_in_other_files_are_text(
    folder: Path, tmp_path: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = HOSTILE[1]
    (tmp_path / "sweep").mkdir()
    text = (folder / "sweep/sweep.csv").read_text("utf-8")
    rows = list(csv.reader(text.splitlines()))
    for index, row in enumerate(rows[1:]):
        row[0], row[1] = name, f"{name}{index % 2}"
    with (tmp_path / "sweep/sweep.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    for kind in (
        "evaluate ht.npz --data lab.npz",
        "dispatch t.npz --policies agile,across",
        "map g.txt --steps 30",
    ):
        succeed(capsys, *kind.split(), "--out", tmp_path / kind.split()[0])
    for place, old in (
        ("evaluate/evaluate.json", "net-ht"),
        ("evaluate/evaluate.json", "first"),
        ("dispatch/dispatch.csv", "first"),
        ("dispatch/dispatch.csv", "across"),
        ("map/mapping.json", '"name": "g'),
    ):
        file = tmp_path / place
        before = file.read_text("utf-8")
        new = json.dumps(name)[1:-1] if file.suffix == ".json" else name.replace('"', "")
        file.write_text(before.replace(old, f'"name": "{new}' if old.startswith('"') else new), "utf-8")
        assert file.read_text("utf-8") != before, place
    page = Page.of(
        sx.report([tmp_path / one for one in ("sweep", "evaluate", "dispatch", "map")], tmp_path / "r.html")
    )
    assert page.tags["script"] == len(page.scripts) + len(page.data)
    assert not any(
        known.get("src") == "x" or name.startswith("on") for _, known in page.elements for name in known
    )
    for data in page.data.values():
        for chart in data["charts"]:
            texts = [one["name"] for one in chart["data"]] + [side["title"]["text"] for side in
                     (chart["layout"]["xaxis"], chart["layout"]["yaxis"]) if "title" in side]  # fmt: skip
            assert not any("<" in text for text in texts), texts


def test_command_says_what_is_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    shown = succeed(capsys, "report", folder / "runs/spikesim", folder / "run", "--out", out)
    assert shown.lines[0] == f"wrote {out}"
    assert (
        f"{folder}/runs/spikesim: left out stalls: the layers of a crossbar machine work at once" in shown.out
    )
    assert "stalls: the layers of a crossbar machine" in Page.of(out).text


# --- Mistakes -----------------------------------------------------------------------------------------


def spoil(name: str, change: Callable[[str], str]) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        file = folder / name
        file.write_text(change(file.read_text("utf-8")), "utf-8")
        return [str(file.parent)]

    return make


def of_schema(text: str) -> str:
    return json.dumps(json.loads(text) | {"schema": 1})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: [str(folder)], ("holds no results", "results.json")),
        (lambda folder: [str(folder / "runn")], ("no such folder", "run")),
        (lambda folder: [str(folder / "run/layers.csv")], ("is a file", "folder")),
        (lambda folder: [str(folder / "run"), str(folder / "run")], ("named twice",)),
        (
            lambda folder: [str(folder / "run"), "--out", str(folder / "none/r.html")],
            ("none/r.html", "no folder"),
        ),
        (lambda folder: [str(folder / "run"), "--out", str(folder / "run")], ("is a folder", "name a file")),
        (lambda folder: [str(folder / "run"), "--out", "/proc/r.html"], ("/proc/r.html",)),
        (spoil("run/results.json", of_schema), ("schema", "run it again")),
        (spoil("run/results.json", lambda text: text[:-9]), ("results.json",)),
        (
            spoil("run/layers.csv", lambda text: text.replace("energy_pj", "energy", 1)),
            ("layers.csv", "energy_pj"),
        ),
        (spoil("run/layers.csv", lambda text: text.replace("\nfirst,", '\nfirst","', 1)), ("layers.csv",)),
        (
            spoil("run/accesses.csv", lambda text: "\n".join(text.split("\n")[:1]) + "\n"),
            ("accesses.csv", "no rows"),
        ),
        (
            spoil("sweep/sweep.csv", lambda text: text.replace(",edp_js,", ",edp,", 1)),
            ("sweep.csv", "edp_js", "version"),
        ),
        (spoil("sweep/sweep.csv", lambda text: text[: len(text) // 2]), ("sweep.csv", "cells")),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], list[str]],
    words: tuple[str, ...],
) -> None:
    for name in ("run", "sweep"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for file in (folder / name).iterdir():
            (tmp_path / "x" / name / file.name).write_bytes(file.read_bytes())
    (tmp_path / "x" / "empty").mkdir()
    if make.__name__ == "<lambda>" and make(tmp_path / "x") == [str(tmp_path / "x")]:
        arguments = [str(tmp_path / "x/empty")]
    else:
        arguments = make(tmp_path / "x")
    before = files_under(tmp_path)
    is_mistake(spikex(capsys, "report", *arguments), *words)
    assert files_under(tmp_path) == before


def test_evaluations_of_another_version_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "evaluate", "ht.npz", "--data", "lab.npz", "--out", "o")
    good = Path("o/evaluate.json").read_text()
    for spoiled, words in (
        (json.dumps(json.loads(good) | {"schema": 2}), ("schema", "run it again")),
        (good.replace('"accuracy"', '"accurate"', 1), ("accuracy",)),
        (good.replace('"samples": ', '"samples": -1e999, "n": ', 1), ("evaluate.json",)),
        (good[:-20], ("evaluate.json",)),
    ):
        Path("o/evaluate.json").write_text(spoiled)
        is_mistake(spikex(capsys, "report", "o"), *words)
    assert files_under(Path("o")) == ["evaluate.json"]


def test_an_older_page_stays_when_a_new_one_cannot_be_made(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").write_text("older")
    (tmp_path / "results.json").write_text("{}")
    is_mistake(spikex(capsys, "report", tmp_path), "layers.csv")
    assert (tmp_path / "report.html").read_text() == "older" and files_under(tmp_path) == [
        "report.html",
        "results.json",
    ]
