"""The network of a report: boxes say what they cost, to the pointer and to the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest

import spikex_sim as sx
from browsing import Watched
from graph_files import everything
from section_page import section_page
from spikex_sim.report.network import network_section
from timelines import HOSTILE, small_trace


def page_of(folder: Path, result: sx.RunResult) -> Path:
    result.save(folder)
    section = network_section(folder)
    assert section is not None
    return section_page(section, folder)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sx.RunResult]:
    result = sx.simulate(everything(), "spikex", tws=2)
    return page_of(tmp_path_factory.mktemp("graph"), result), result


def test_pointing_and_tabbing_say_what_a_box_costs(pages: Watched, graph: tuple[Path, sx.RunResult]) -> None:
    page = pages.open(graph[0])
    said = page.locator(".network-said")
    layers = {layer.name: layer for layer in graph[1].layers}
    page.locator(".network-measure").focus()
    heard = []
    for node in graph[1].trace["nodes"]:
        page.keyboard.press("Tab")
        heard.append(said.inner_text())
        assert heard[-1].startswith(f"{node['name']}, {node['kind']}")
        assert node["name"] not in layers or f"{layers[node['name']].cycles:,} cycles" in heard[-1]
    page.locator(".network-box").nth(2).hover()
    assert said.inner_text() == heard[2]


def test_colours_follow_the_measure(pages: Watched, graph: tuple[Path, sx.RunResult]) -> None:
    page = pages.open(graph[0], color_scheme="dark")
    result = graph[1]
    for measure in ("cycles", "energy_pj"):
        page.locator(".network-measure").select_option(measure)
        found = page.locator(".network-cost").evaluate_all(
            "all => all.map((one) => one.getAttribute('fill-opacity'))"
        )
        costs = {layer.name: getattr(layer, measure) for layer in result.layers}
        whole = getattr(result.totals, measure)
        expected = [0.6 * costs.get(node["name"], 0) / whole for node in result.trace["nodes"]]
        assert [float(one) for one in found] == pytest.approx(expected, abs=1e-5)


def test_it_fits_a_narrow_window(pages: Watched, graph: tuple[Path, sx.RunResult]) -> None:
    page = pages.open(graph[0], width=420)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_layer_named_like_a_script_is_text(pages: Watched, tmp_path: Path) -> None:
    page = pages.open(page_of(tmp_path, sx.simulate(small_trace())))
    assert page.locator(".network-box text").nth(2).inner_html() == "&lt;script&gt;alert(1)&lt;/script&gt;"
    page.locator(".network-box").nth(1).focus()
    assert page.locator(".network-said").inner_text().startswith(HOSTILE)
    assert page.locator("main script").count() == 0
