"""Reports in a browser: charts are drawn and zoom, tables sort, points are selected together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from browsing import Watched, until
from command_folder import TRACE
from spikex_sim.plots.files import read_rows
from spikex_sim.report.escaping import short

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of a run, several runs and a sweep."""
    path = tmp_path_factory.mktemp("reports")
    sx.simulate(TRACE, tws=4).save(path / "run")
    for arch in ("spikex", "ptb"):
        sx.simulate(TRACE, arch).save(path / "runs" / arch)
    sx.save_trace(TRACE, path / "t.npz")
    sx.sweep(str(path / "t.npz"), {"tws": [2, 4, 8], "array.cols": [4, 8]}, out=path / "sweep")
    for name in ("run", "runs", "sweep"):
        sx.report(path / name, out=path / f"{name}.html")
    return path


def drawn(page: Any) -> Any:
    """Draw everything on a page that is not folded away."""
    page.evaluate("spikexReport.drawShown()")
    until(page, "[...document.querySelectorAll('.plot')].every((one) => !one.checkVisibility() || one.data)")
    return page


def range_of(page: Any, chart: str, side: str = "xaxis") -> list[float]:
    return [float(value) for value in page.evaluate(f"document.querySelector('{chart}').layout.{side}.range")]


@pytest.mark.parametrize(
    ("name", "charts", "scheme"), [("run", 5, "dark"), ("runs", 5, "light"), ("sweep", 6, "light")]
)
def test_pages_open_and_charts_are_drawn(
    pages: Watched, folder: Path, name: str, charts: int, scheme: str
) -> None:
    page = drawn(pages.open(folder / f"{name}.html", color_scheme=scheme))
    shown = page.locator(".plot:visible")
    assert shown.count() == charts == page.locator(".plot:visible .main-svg >> nth=0").count() * charts
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    for index in range(charts):
        assert shown.nth(index).locator(".trace, .point, .bars path").count() > 0
    text, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    light, dark = (sum(map(int, re.findall(r"\d+", color)[:3])) for color in (paper, text))
    assert (light > dark) == (scheme == "light")
    ticks = page.evaluate("getComputedStyle(document.querySelector('.plot .xtick text')).fill")
    assert ticks == text


def test_nothing_is_wider_than_a_narrow_window(pages: Watched, folder: Path) -> None:
    for name in ("runs", "sweep"):
        page = drawn(pages.open(folder / f"{name}.html", width=420))
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_the_theme_changes_and_charts_with_it(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "run.html"))
    before = page.evaluate("getComputedStyle(document.querySelector('.plot .xtick text')).fill")
    page.click("#theme")
    until(page, f"getComputedStyle(document.querySelector('.plot .xtick text')).fill !== '{before}'")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_tables_sort_by_click_and_by_key(pages: Watched, folder: Path) -> None:
    rows = read_rows(folder / "sweep/sweep.csv")
    page = pages.open(folder / "sweep.html")
    table = page.locator("#g0-points table.sortable")
    heading = table.locator("th", has=page.get_by_text("edp_js", exact=True))
    order = "(t) => [...t.tBodies[0].rows].map((row) => Number(row.dataset.row))"
    assert heading.get_attribute("aria-sort") is None
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    by_edp = sorted(range(6), key=lambda row: rows[row]["edp_js"])
    assert table.evaluate(order) == by_edp
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending" and table.evaluate(order) == by_edp[::-1]
    other = table.locator("th", has=page.get_by_text("array.cols", exact=True))
    other.get_by_role("button").press("Space")
    assert heading.get_attribute("aria-sort") is None and other.get_attribute("aria-sort") == "ascending"
    assert [rows[row]["array.cols"] for row in table.evaluate(order)] == [4, 4, 4, 8, 8, 8]


def test_numbers_sort_as_numbers_and_empty_cells_come_last(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "run.html")
    table = page.locator("#g0-configuration table.sortable")
    page.locator("#g0-summary details").first.evaluate("(one) => { one.open = true; }")
    units = page.locator("#g0-configuration th", has=page.get_by_text("unit", exact=True)).get_by_role(
        "button"
    )
    for _ in range(2):
        units.click()
        shown = table.evaluate("(t) => [...t.tBodies[0].rows].map((row) => row.cells[2].textContent)")
        filled = [one for one in shown if one]
        assert shown == filled + [""] * (len(shown) - len(filled)) and filled
    cycles = page.locator("#g0-layers th", has=page.get_by_text("cycles", exact=True)).first.get_by_role(
        "button"
    )
    cycles.click()
    names = page.locator("#g0-layers table").first.evaluate(
        "(t) => [...t.tBodies[0].rows].map((row) => row.cells[0].textContent)"
    )
    results = sx.load_results(folder / "run")
    assert names == [one.name for one in sorted(results.layers, key=lambda one: one.cycles)]


def test_filter_and_all_columns(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "run.html")
    page.locator("#g0-configuration .filter").fill("MEMORY.GLB")
    shown = page.locator("#g0-configuration tbody tr:visible")
    assert 3 < shown.count() < 20 and all("memory.glb" in text for text in shown.all_inner_texts())
    extra = page.locator("#g0-layers th.extra").first
    assert not extra.is_visible()
    page.locator("#g0-layers .all-columns").check()
    assert extra.is_visible()


def test_charts_zoom_by_dragging_and_by_keys(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "run.html"))
    chart = "#g0-roofline .plot"
    place = page.locator(chart)
    place.scroll_into_view_if_needed()
    low, high = range_of(page, chart)
    box = place.locator(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    until(page, f"document.querySelector('{chart}').layout.xaxis.autorange === false")
    dragged = range_of(page, chart)
    assert dragged == pytest.approx(
        [low + 0.3 * (high - low), low + 0.6 * (high - low)], abs=0.02 * (high - low)
    )
    ticks = page.evaluate(f"document.querySelector('{chart}').layout.xaxis.tickvals")
    assert len(ticks) >= 2 and all(10 ** dragged[0] <= tick <= 10 ** dragged[1] for tick in ticks)
    place.focus()
    page.keyboard.press("0")
    until(page, f"document.querySelector('{chart}').layout.xaxis.autorange !== false")
    assert range_of(page, chart) == pytest.approx([low, high])
    page.keyboard.press("+")
    near = range_of(page, chart)
    assert near[1] - near[0] == pytest.approx((high - low) / 1.4)
    page.keyboard.press("ArrowRight")
    moved = range_of(page, chart)
    assert moved[0] > near[0] and moved[1] - moved[0] == pytest.approx(near[1] - near[0])
    page.keyboard.press("Home")
    assert range_of(page, chart) == pytest.approx([low, high])


def test_charts_say_values_where_one_points(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "run.html"))
    results = sx.load_results(folder / "run")
    page.locator("#g0-utilization .plot").scroll_into_view_if_needed()
    box = page.locator("#g0-utilization .plot .point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#g0-utilization .hovertext")
    said = page.locator("#g0-utilization .hovertext").inner_html()
    assert "first" in said and f"in use: {100 * results.layers[0].utilization:.4g} %" in re.sub(
        r"<[^>]+>", "", said
    )


def test_values_of_a_chart_are_a_table(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "run.html")
    values = page.locator("#g0-utilization .values")
    values.locator("summary").click()
    cells = values.locator("td").all_inner_texts()
    results = sx.load_results(folder / "run")
    assert cells[:2] == ["in use", "first"] and float(cells[2]) == pytest.approx(
        100 * results.layers[0].utilization, rel=1e-4
    )


def selected(page: Any) -> list[int]:
    rows = page.locator("#g0-points tr.picked")
    return sorted(int(row.get_attribute("data-row")) for row in rows.all())


def faded(page: Any) -> list[list[int]]:
    """Rows of the points that every chart of a sweep shows as selected."""
    return page.evaluate(
        """[...document.querySelectorAll('#g0-points .plot')].map((one) => one.data.flatMap((trace) =>
        trace.customdata ? (trace.selectedpoints ?? []).map((at) => trace.customdata[at]) : []).sort())"""
    )


def test_points_are_selected_together(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "sweep.html"))
    assert selected(page) == [] and faded(page) == [[]] * 6
    page.locator('#g0-points tr[data-row="3"] input').check()
    page.locator('#g0-points tr[data-row="1"] input').press("Space")
    assert selected(page) == [1, 3] and faded(page) == [[1, 3]] * 6
    page.locator('#g0-points tr[data-row="3"] input').uncheck()
    assert selected(page) == [1] and faded(page) == [[1]] * 6
    page.get_by_role("button", name="only selected rows").click()
    assert page.locator("#g0-points tbody tr:visible").count() == 1
    page.get_by_role("button", name="clear selection").click()
    assert selected(page) == [] and page.locator("#g0-points tbody tr:visible").count() == 6
    page.get_by_role("button", name="drag selects").click()
    place = page.locator("#g0-points .plot").first
    place.scroll_into_view_if_needed()
    box = place.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=5)
    page.mouse.up()
    until(page, "document.querySelectorAll('#g0-points tr.picked').length === 6")
    assert faded(page) == [list(range(6))] * 6
    assert "6 selected" in page.locator(".linked output").inner_text()


def test_a_click_on_a_point_selects_its_row(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "sweep.html"))
    place = page.locator("#g0-points .plot").first
    place.scroll_into_view_if_needed()
    box = place.locator(".points path").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, "document.querySelectorAll('#g0-points tr.picked').length === 1")
    wanted = page.evaluate("document.querySelector('#g0-points .plot').data[0].customdata[0]")
    assert selected(page) == [wanted] and faded(page) == [[wanted]] * 6


def test_any_two_columns(pages: Watched, folder: Path) -> None:
    rows = read_rows(folder / "sweep/sweep.csv")
    page = drawn(pages.open(folder / "sweep.html"))
    page.locator(".axes select").nth(0).select_option("tws")
    page.locator(".axes select").nth(1).select_option("power_mw")
    page.locator(".axes select").nth(2).select_option("array.cols")
    trace = page.evaluate(
        "(() => { const one = [...document.querySelectorAll('#g0-points .plot')].at(-1).data[0]; return "
        "{ x: one.x, y: one.y, color: one.marker.color }; })()"
    )
    assert trace["x"] == [row["tws"] for row in rows] and trace["color"] == [
        row["array.cols"] for row in rows
    ]
    assert trace["y"] == pytest.approx([row["power_mw"] for row in rows], rel=1e-5)


def test_links_open_what_is_folded(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "runs.html")
    assert not page.locator("#g0-1-energy").is_visible()
    page.evaluate("location.hash = '#g0-1-energy'")
    page.wait_for_selector("#g0-1-energy .main-svg")
    assert page.evaluate("document.querySelector('#g0-1-energy').getBoundingClientRect().top") < 300


def test_command_is_copied(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "run.html", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("#g0-provenance .copy").first
    button.click()
    until(page, "document.querySelector('#g0-provenance .copy').textContent === 'copied'")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == page.locator("#g0-provenance pre").first.inner_text()
    )


def test_pages_print_light_and_whole(pages: Watched, folder: Path) -> None:
    page = pages.open(folder / "runs.html", color_scheme="dark")
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF") and len(pdf) > 50_000
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("spikexReport.drawn() && document.documentElement.dataset.theme") == "light"
    assert page.locator("#g0-1-configuration table").is_visible() and not page.locator("nav").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not page.locator("#g0-1-configuration table").is_visible()


def test_all_that_acts_can_be_reached_by_key(pages: Watched, folder: Path) -> None:
    page = drawn(pages.open(folder / "sweep.html"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    for kind, least in (
        (".plot", 6),
        (".scroll", 2),
        ("th button", 20),
        (".copy", 1),
        (".linked button", 4),
        (".pick input", 6),
    ):
        found = page.evaluate(f"[...document.querySelectorAll('main {kind}')].map((one) => one.tabIndex)")
        assert len(found) >= least and set(found) == {0}, kind
    for chart in page.locator(".plot").all():
        assert chart.get_attribute("aria-label")


def test_names_from_files_are_text(pages: Watched, tmp_path: Path) -> None:
    names = [
        HOSTILE,
        "<img src=x onerror=alert(2)>",
        "<b>bold</b>%{x}",
        "constructor",
        "__proto__",
        "</script><h1>out</h1>",
    ]
    layers = [
        {
            "name": name,
            "kind": "conv",
            "in_channels": 2,
            "out_channels": 2,
            "kernel": 3,
            "padding": 1,
            "in_height": 6,
            "in_width": 6,
            "neuron": {"threshold": 3, "leak_shift": 3},
        }
        for name in names
    ]
    rng = np.random.default_rng(0)
    weights = [rng.integers(-2, 6, (2, 2, 3, 3)).astype(np.int8) for _ in names]
    trace = sx.Trace.from_arrays(layers, rng.random((2, 6, 6, 12)) < 0.3, weights=weights, name=names[0])
    sx.save_trace(trace, tmp_path / "t.npz")
    sx.simulate(trace, tws=4).save(tmp_path / "run")
    for index, name in enumerate(names[:3]):
        sx.simulate(trace, sx.load_accelerator("spikex", {"name": name, "tws": index + 2})).save(
            tmp_path / f"runs/{index}"
        )
    sx.sweep([str(tmp_path / "t.npz")], {"tws": [2, 4]}, out=tmp_path / "sweep")
    page = drawn(
        pages.open(
            sx.report([tmp_path / name for name in ("run", "runs", "sweep")], out=tmp_path / "r.html"),
            width=1800,
        )
    )
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    drawn(page)
    assert page.locator("main img, main b b, h1").count() == 1  # the page's own heading
    ticks = page.evaluate(
        "[...document.querySelectorAll('#g0-utilization .xtick text')].map((one) => one.textContent)"
    )
    assert [tick.replace("\u200b", "") for tick in ticks] == [short(name) for name in names]
    assert page.locator(".plot a, .plot image").count() == 0
    page.locator("#g0-utilization .plot").scroll_into_view_if_needed()
    box = page.locator("#g0-utilization .plot .point").nth(2).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#g0-utilization .hovertext")
    assert names[2] in page.locator("#g0-utilization .hovertext").text_content()
    bars = page.locator("#g0-utilization .plot .point").count()
    assert bars == 2 * len(names)
