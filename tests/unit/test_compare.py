"""`compare`: the same trace on several machines, some of which may refuse it or compute no spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from spikex_sim.cli import show
from spikex_sim.cli.sheet import print_sheet
from spikex_sim.core.sheet import Sheet
from spikex_sim.core.units import joules
from study_traces import NEURON, SPIKES, WEIGHTS, a_trace, layers

ONCE = SPIKES[0] & (SPIKES[0].cumsum(axis=-1) == 1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a trace that spikes often and one in which every input spikes once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(show.console, "width", 80)
    sx.save_trace(a_trace(SPIKES[0], 0, name="small"), "t.npz")
    sx.save_trace(sx.Trace.from_arrays(layers(NEURON)[:1], ONCE, weights=WEIGHTS[:1]), "once.npz")
    return tmp_path


def table(lines: list[str], title: str) -> dict[str, list[str]]:
    """Cells of a table's rows by their label."""
    start = lines.index(title) + 2
    rows = (line.split("  ") for line in lines[start : lines.index("", start)])
    return {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}


class TestAll:
    def test_ratios_are_to_the_first(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "compare", "t.npz", "--arch", "ptb, spikex", "--tws", 3, "--out", "out")
        ptb, other = (sx.simulate("t.npz", arch, tws=3).totals for arch in ("ptb", "spikex"))
        assert shown.lines[0] == "small (T=13, int8); ratios to ptb"
        total = [f"{ptb.cycles:,}", f"{other.cycles:,}", f"{other.cycles / ptb.cycles:.3f}"]
        assert table(shown.lines, "Cycles")["total"] == total
        assert table(shown.lines, "Totals")["spikex"][-1] == f"{other.edp_js / ptb.edp_js:.3f}"
        assert "output spikes of all layers: identical for all accelerators" in shown.lines
        assert files_under(here / "out") == [
            f"{folder}/{file}"
            for folder in ("0-ptb", "1-spikex")
            for file in ("accesses.csv", "layers.csv", "results.json")
        ]

    def test_different_outputs_would_be_told(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("narrow.yaml").write_text("base: spikex\nname: narrow\npotential_bits: 4\n")
        shown = succeed(capsys, "compare", "t.npz", "--arch", "spikex,narrow.yaml")
        assert "output spikes of all layers: DIFFERENT" in shown.lines

    def test_without_weights_there_are_no_outputs(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sx.save_trace(sx.Trace.from_arrays(layers(NEURON)[:1], SPIKES[0], name="bare"), "bare.npz")
        assert "output spikes: not computed" in succeed(capsys, "compare", "bare.npz", "--tws", 2).out

    def test_energy_by_component_and_estimate(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        archs = ("spikex", "sata", "ann")
        shown = succeed(capsys, "compare", "t.npz", "--arch", ",".join(archs))
        parts, estimates = (
            table(shown.lines, title)
            for title in ("Energy by component", "Estimate: FLOPs x T x rate x E_AC")
        )
        for arch in archs:
            totals = sx.simulate("t.npz", arch).totals
            levels = ["alu", "rf", "glb", "dram"] if arch == "sata" else ["alu", "rf", "lbuf", "glb", "dram"]
            wanted = [totals.energy_pj_by[level] for level in levels]
            assert parts[arch] == [joules(pj) for pj in (*wanted, totals.energy_pj)]
            factors = (totals.estimate_factor, totals.estimate_factor_on_chip)
            known = [] if totals.estimate_pj is None else [joules(totals.estimate_pj)]
            assert estimates[arch] == known + [f"{factor:.4g}" for factor in factors if factor is not None]
        assert estimates["ann"] == []

    def test_nothing_to_compute(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A network that only pools has no costs, and so no ratios."""
        spikes = SPIKES[0][:, :3, :3].repeat(3, 0)[:5]
        sx.save_trace(sx.Trace.from_arrays([layers(NEURON)[1]], spikes), "p.npz")
        shown = succeed(capsys, "compare", "p.npz")
        assert table(shown.lines, "Totals")["spikex"] == ["0 s", "0 J", "0"]
        succeed(capsys, "run", "p.npz")


class TestAnn:
    def test_is_left_out_of_the_verdict(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "compare", "t.npz", "--arch", "ann,spikex,ptb")
        verdict = "identical for all accelerators; ann left out (activations, not spikes)"
        assert " ".join(shown.lines[-2:]) == f"output spikes of all layers: {verdict}"
        assert shown.lines[0].endswith("ratios to ann")

    @pytest.mark.parametrize("archs", ["ann", "spikex,ann", "spikex"])
    def test_fewer_than_two_that_spike(
        self, here: Path, capsys: pytest.CaptureFixture[str], archs: str
    ) -> None:
        shown = succeed(capsys, "compare", "t.npz", "--arch", archs)
        left_out = "; ann left out (activations, not spikes)" if "ann" in archs else ""
        assert shown.lines[-1] == f"output spikes: nothing to compare{left_out}"

    def test_a_run_shows_no_estimate_and_no_spikes(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(capsys, "run", "t.npz", "--arch", "ann")
        assert "E_est" not in shown.out
        assert len(table(shown.lines, "Work")["conv"]) == 6  # without spikes in and out


class TestRefused:
    REASON = "spinalflow did not run: layer conv: "

    def test_in_the_middle(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = ("compare", "t.npz", "--arch", "spikex,spinalflow,ptb", "--out", "out")
        shown = succeed(capsys, *line)
        (reason,) = (text for text in shown.lines if text.startswith(self.REASON))
        assert "spike more than once" in reason
        assert shown.lines[0] == "small (T=13, int8); ratios to spikex"
        assert "output spikes of all layers: identical for all accelerators" in shown.lines
        for title in ("Totals", "Energy by component", "Estimate: FLOPs x T x rate x E_AC"):
            rows = table(shown.lines, title)
            assert list(rows) == ["spikex", "ptb", "spinalflow"] and rows["spinalflow"] == []
        folders = {file.split("/")[0] for file in files_under(here / "out")}
        assert folders == {"0-spikex", "2-ptb"}

    def test_the_first(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "compare", "t.npz", "--arch", "spinalflow,ptb,spikex")
        assert shown.lines[0] == "small (T=13, int8); ratios to ptb, the first that can take this trace"
        assert table(shown.lines, "Totals")["ptb"][-1] == "1.000"

    def test_all(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("mine.yaml").write_text("base: spinalflow\nname: mine\narray: {rows: 4}\n")
        line = ("compare", "t.npz", "--arch", "spinalflow,mine.yaml", "--out", "out")
        message = is_mistake(spikex(capsys, *line), "no accelerator can take this trace")
        assert message.count("spike more than once") == 2
        assert "spinalflow: layer conv: " in message and "; mine: layer conv: " in message
        assert files_under(here / "out") == []

    def test_none(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "compare", "once.npz", "--arch", "spinalflow,spikex,sata,systolic-ws")
        assert "did not run" not in shown.out
        assert shown.lines[-1] == "output spikes of all layers: identical for all accelerators"

    def test_run_refuses(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        is_mistake(spikex(capsys, "run", "t.npz", "--arch", "spinalflow"), "spinalflow: layer conv: ")

    def test_other_mistakes_end_it_at_once(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = ("compare", "t.npz", "--arch", "spikex,ptb", "--set", "memory.glb.bytes=64", "--out", "out")
        is_mistake(spikex(capsys, *line), "memory.glb")
        assert files_under(here / "out") == []


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_ratios_stay_beside_what_they_are_of(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(show.console, "width", width)
    archs = ("spikex", "ptb", "sata", "systolic-os", "systolic-ws", "systolic-is", "ann")
    shown = succeed(capsys, "compare", "t.npz", "--arch", ",".join(archs))
    headings = [line.split() for line in shown.lines if line.startswith("layer ") and "ratio" in line]
    assert len(headings) >= 3
    for words in headings:
        machines = words[1:] if words[1] != "spikex" else words[2:]
        assert machines[1::2] == ["ratio"] * (len(machines) // 2) and "ratio" not in machines[::2]
    shown_words = [word for words in headings for word in words]
    for name in archs:  # Cycles, Energy, Energy without DRAM; the first stands alone
        assert shown_words.count(name) == 3
    assert shown_words.count("ratio") == 3 * (len(archs) - 1)


def test_a_pair_wider_than_the_terminal_is_shown_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    sheet = Sheet("wide", ("row", "first", "ratio"), beside="ratio")
    sheet.add_row("a", "1" * 30, "2" * 30)
    print_sheet(sheet, Console(width=40))
    words: Any = capsys.readouterr().out.split()
    assert "1" * 30 in words and "2" * 30 in words
