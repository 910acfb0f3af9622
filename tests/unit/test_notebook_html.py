"""What notebooks show of results: the terminal's tables, bounded, and whatever a file says as text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from spikex_sim.core.html import FIRST_ROWS, LAST_ROWS, LONGEST_CELL, MOST_COLUMNS, html_of
from spikex_sim.core.sheet import table
from spikex_sim.data import default_trace_path
from spikex_sim.explore.sweeps.table import SweepTable
from spikex_sim.run.tables import energy_table, time_table
from spikex_sim.sources.graph_synth import synthetic_graph
from spikex_sim.spec.graph_networks import graph_network
from spikex_sim.trace.tables import layers_table

ALLOWED = {
    "style", "div", "p", "b", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
}  # fmt: skip
EVIL = "<script>alert(1)</script>"
NEURON = {"threshold": 3, "leak_shift": 2}


class Page(HTMLParser):
    """Tables of a page, cell by cell, and its text; refuses what notebooks need not trust."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[tuple[str, ...]]] = []
        self.text, self.open, self.row = "", [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED and {name for name, _ in attrs} <= {"class", "colspan"}
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th"):
            self.row.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "tr":
            self.tables[-1].append(tuple(self.row))

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            return
        self.text += data
        if self.open[-1:] in (["td"], ["th"]):
            self.row[-1] += data


def page(shown: Any) -> Page:
    return Page(shown._repr_html_())


def cells(sheet: Any) -> list[tuple[str, ...]]:
    return [sheet.headings, *sheet.rows]


def a_trace(layers: int = 2, name: str = "six", each: str = "layer") -> sx.Trace:
    """Layers of 6 inputs and outputs, named alike."""
    made = [
        {"name": f"{each}{number}", "kind": "linear", "in_channels": 6, "out_channels": 6, "neuron": NEURON}
        for number in range(layers)
    ]
    spikes = np.random.default_rng(1).random((6, 16)) < 0.5
    weights = [np.ones((6, 6), np.int8)] * layers
    return sx.Trace.from_arrays(made, spikes, weights=weights, name=name, source=f"of {name}", label=0)


@pytest.fixture(scope="module")
def result() -> sx.RunResult:
    return sx.simulate(a_trace(), tws=4)


class TestTables:
    def test_a_run_has_the_tables_of_the_terminal(self, result: sx.RunResult) -> None:
        seen = page(result)
        assert seen.tables[:2] == [cells(time_table(result)), cells(energy_table(result))]
        assert len(seen.tables) == 4
        assert f"{result.totals.edp_js:.4g} Js" in seen.text and "six (T=16) on spikex: 8x8 PEs" in seen.text

    def test_saved_results_look_the_same(self, result: sx.RunResult, tmp_path: Path) -> None:
        chip = sx.simulate(a_trace(), "spikesim")
        released = sx.simulate(sx.load_trace(default_trace_path()), "spikesim-released")
        for number, one in enumerate((result, chip, released)):
            one.save(tmp_path / str(number))
            again = sx.load_results(tmp_path / str(number))
            if number < 2:
                assert again._repr_html_() == one._repr_html_()
            else:  # files do not have the number of PEs
                assert page(again).tables[-1] == page(one).tables[-1]

    def test_of_a_machine_that_is_not_installed(self, result: sx.RunResult, tmp_path: Path) -> None:
        result.save(tmp_path)
        file = tmp_path / "results.json"
        content = json.loads(file.read_text())
        content["config"]["scheduler"] = EVIL
        file.write_text(json.dumps(content))
        seen = page(sx.load_results(tmp_path))
        assert seen.tables == page(result).tables[:2] and "not installed here" in seen.text

    def test_a_trace(self) -> None:
        trace = a_trace()
        seen = page(trace)
        assert seen.tables[0] == cells(layers_table(trace))
        spikes = np.unpackbits(trace.inputs[0], axis=-1).sum()
        assert seen.tables[1][1][:2] == ("layer0", f"{spikes:,}")

    def test_a_trace_too_large_to_be_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("spikex_sim.trace.tables.NOTEBOOK_BYTES", 1)
        assert len(page(a_trace()).tables) == 1

    def test_a_graph(self) -> None:
        trace = synthetic_graph(graph_network("sew-resnet18", 2), 4, 1)
        seen = page(trace)
        assert [row[0] for row in seen.tables[0][1:]] == [node.name for node in trace.nodes]

    def test_a_comparison(self, result: sx.RunResult) -> None:
        found = sx.compare(a_trace(), ["spikex", "spinalflow", "ptb"], tws=None, overrides=None)
        seen = page(found)
        names = [row[0] for row in seen.tables[0][1:]]
        assert names == ["spikex", "ptb", "spinalflow"]
        assert seen.tables[0][1][2] == "1.000" and "spinalflow did not run: " in seen.text
        assert len(seen.tables) > 5

    def test_a_sweep(self) -> None:
        found = sx.sweep(a_trace(), {"array.rows": [1, 2, 4]}, arch=["spikex", "spinalflow"])
        seen = page(found)
        assert seen.tables[0][0][:3] == ("arch", "array.rows", "cycles")
        assert [row[:2] for row in seen.tables[0][1:]] == [("spikex", "1"), ("spikex", "2"), ("spikex", "4")]
        assert "3 points not finished, the first: " in seen.text and "spike more than once" in seen.text
        best = min(found, key=lambda row: row["cycles"] or 1 << 60)
        marked = [row[1] for row in seen.tables[0][1:] if row[2].endswith("*")]
        assert marked == [str(best["array.rows"])]

    def test_sweeps_without_points_or_results(self) -> None:
        assert page(SweepTable.of([])).tables == []
        failed = sx.sweep(a_trace(), {}, arch="spinalflow")
        assert page(failed).tables == [] and "1 point not finished" in page(failed).text

    def test_an_explanation(self) -> None:
        found = sx.explain(a_trace(), tws=4)
        seen = page(found)
        assert len(seen.tables[0]) == 1 + len(found.trials)
        shown = [row[4] for row in seen.tables[0][1:]]
        for trial, change in zip(found.trials, shown, strict=True):
            if trial.result is not None:
                ratio = trial.result.totals.edp_js / found.result.totals.edp_js
                assert change == f"{100 * (ratio - 1):+.1f} %"

    def test_an_explanation_of_crossbars(self) -> None:
        found = sx.explain(a_trace(), "spikesim")
        assert len(page(found).tables) == 1 and len(page(found).tables[0]) == 1 + len(found.trials)

    def test_a_mapping(self) -> None:
        found = sx.map_network("gen:A", "table2", steps=1000)
        seen = page(found)
        assert seen.tables[1][-1] == ("total", f"{len(found.crossbars):,}", f"{found.area:,}")

    def test_searches(self) -> None:
        found = sx.search_tws(a_trace(), choices=[1, 2])
        assert [row[0] for row in page(found).tables[0][1:]] == [one.method for one in found.found]
        ann = sx.against_ann(a_trace(), timesteps=[2, 4])
        assert [row[0] for row in page(ann).tables[0][1:]] == ["ANN", "T=2", "T=4"]
        assert "SNN below the ANN: energy " in page(ann).text


class TestFrames:
    def test_a_comparison_has_a_row_a_machine(self) -> None:
        pytest.importorskip("pandas")
        found = sx.compare(a_trace(), ["spikex", "spinalflow", "ptb"])
        frame = found.to_frame()
        assert list(frame["arch"]) == ["spikex", "ptb", "spinalflow"]
        assert list(frame["cycles"])[:2] == [one.totals.cycles for one in found.results]
        assert frame["error"][2] == found.refused["spinalflow"] and list(frame["error"][:2]) == ["", ""]
        assert set(sx.sweep(a_trace(), {}).to_frame()) == set(frame)


class TestHostile:
    def test_names_are_text(self, tmp_path: Path) -> None:
        trace = a_trace(name=EVIL, each="<b>&")
        result = sx.simulate(trace, tws=4)
        result.save(tmp_path)
        shown = (
            trace,
            result,
            sx.load_results(tmp_path),
            sx.compare(trace, ["spikex", "ptb"]),
            sx.sweep(trace, {"tws": [1, 2]}),
            sx.explain(trace, tws=4),
        )
        for one in shown:
            seen = page(one)  # refuses tags that are not the table's own
            assert EVIL in seen.text
        assert page(result).tables[0][1][0] == "<b>&0"

    def test_text_that_a_terminal_or_a_browser_would_act_on(self) -> None:
        sheet = table("\x1b[2J", "a", "</table>")
        sheet.add_row("\u202eevil", "\ud800 &lt;")
        seen = Page(html_of('"><img src=x onerror=alert(1)>', [sheet], texts=["\x00", ""], folded=[sheet]))
        assert seen.tables[0] == [("a", "</table>"), ("\\u202eevil", "\\ud800 &lt;")]
        assert "\\x1b[2J" in seen.text and "<img src=x" in seen.text

    def test_long_tables_are_cut_and_keep_their_sums(self) -> None:
        sheet = table("long", "row", "value")
        for number in range(10_000):
            sheet.add_row(f"r{number}", "x" * 1000)
        text = html_of("t", [sheet])
        (rows,) = Page(text).tables
        assert len(rows) == 1 + FIRST_ROWS + 1 + LAST_ROWS
        assert rows[FIRST_ROWS + 1] == (f"… {10_000 - FIRST_ROWS - LAST_ROWS:,} more rows",)
        assert (rows[1][0], rows[-1][0]) == ("r0", "r9999")
        assert all(len(cell) <= LONGEST_CELL for row in rows for cell in row) and len(text) < 20_000

    def test_one_row_more_is_no_reason_to_cut(self) -> None:
        sheet = table("just", "row")
        for number in range(FIRST_ROWS + LAST_ROWS + 1):
            sheet.add_row(str(number))
        assert len(Page(html_of("t", [sheet])).tables[0]) == 1 + FIRST_ROWS + LAST_ROWS + 1

    def test_wide_tables_are_cut(self) -> None:
        sheet = table("wide", *map(str, range(100)))
        sheet.add_row(*["1"] * 100)
        (rows,) = Page(html_of("t", [sheet])).tables
        assert {len(row) for row in rows} == {MOST_COLUMNS + 1} and rows[0][-1] == "…"

    def test_many_layers_and_many_points(self) -> None:
        trace = a_trace(200)
        assert len(trace._repr_html_()) < 20_000
        row = dict(sx.sweep(a_trace(), {"tws": [2]})[0])
        rows = [{**row, "tws": number, "mean_edp_js": 1e-9 * (10_000 - number)} for number in range(10_000)]
        many = SweepTable.of(rows)
        seen = page(many)
        assert len(many._repr_html_()) < 20_000
        assert "10,000 points" in seen.text and seen.tables[0][1][1] == "9999"
