"""Tables fit a terminal, and nothing a user or a system does ends in a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import Outcome, environment, files_under, is_mistake, process, spikex, succeed
from spikex_sim.cli import show
from spikex_sim.core.counts import Counts, Operations, Stalls
from spikex_sim.costs.energy import Energy
from spikex_sim.explore import many
from spikex_sim.run.results import LayerResult, RunResult
from spikex_sim.run.simulate import simulate

WIDTH = 80
LONG = "a-layer-with-a-name-much-longer-than-any-table-has-room-for"
MARKUP = [
    "[bold]",
    "[/]",
    "[/x]",
    "[red]r",
    ":smile:",
    "[link=http://x]y[/link]",
    "层一层二层三层四层五层六层七层八",
]


def a_trace(names: list[str], name: str = "t", source: str = "") -> sx.Trace:
    layers: list[dict[str, Any]] = []
    for index, layer in enumerate(names):
        layers.append({"name": layer, "kind": "conv", "in_channels": 3, "out_channels": 3, "kernel": 3,
                       "padding": 1, "in_height": 5, "in_width": 5,
                       "neuron": {"threshold": 4 + index, "leak_shift": 3}})  # fmt: skip
    rng = np.random.default_rng(0)
    weights = [rng.integers(-5, 8, (3, 3, 3, 3)).astype(np.int8) for _ in names]
    spikes = rng.random((3, 5, 5, 12)) < 0.2
    return sx.Trace.from_arrays(layers, spikes, weights=weights, name=name, source=source)


def enlarged(result: RunResult, factor: int) -> RunResult:
    """A result of the size that a long horizon and a wide network would give."""

    def grown(layer: LayerResult) -> LayerResult:
        operations = {key: factor * getattr(layer.operations, key) for key in Operations.__dataclass_fields__}
        parts = (layer.energy_pj_by, layer.energy_by_use_pj, layer.leakage_pj)
        energy = Energy(
            *({k: v * factor for k, v in part.items()} for part in parts), layer.energy.off_chip_pj * factor
        )
        return replace(
            layer,
            cycles=layer.cycles * factor,
            compute_cycles=layer.compute_cycles * factor,
            stalls=Stalls(**{cause: factor * cycles for cause, cycles in layer.stalls.items()}),
            operations=Operations(**operations),
            counts=Counts({counter: number * factor for counter, number in layer.counts.items()}),
            energy=energy,
            steps=layer.steps * factor,
            input_spikes=(layer.input_spikes or 0) * factor,
            output_spikes=(layer.output_spikes or 0) * factor,
            mapping={k: v * factor if k == "tiles" else v for k, v in layer.mapping.items()},
        )

    return replace(result, layers=tuple(grown(layer) for layer in result.layers))


@pytest.fixture
def at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show.console, "width", WIDTH)


def assert_tables_fit(shown: Outcome, texts: tuple[str, ...]) -> None:
    """No line is wider than the terminal, but for single words, and only names are ever cut short.

    Parameters
    ----------
    shown : Outcome
        What was printed.
    texts : tuple of str
        Beginnings of lines of text, which the terminal may wrap.
    """
    for line in shown.lines:
        if line.startswith(texts):
            continue
        assert len(line) <= WIDTH or " " not in line, line
        cut = [word for word in line.split() if "…" in word]
        assert cut in ([], line.split()[:1]) and not any(letter.isdigit() for letter in "".join(cut)), line


LINES = ["run {}", "compare {} --arch spikex,ptb --tws 3", "trace show {} --tws 3",
         "compare {} --arch spikex,ptb,sata,systolic-os,systolic-ws,systolic-is,ann",
         "sweep {} --grid tws=2,3 --grid array.rows=4,8 --arch spikex,ptb-stsap --out o",
         "run {} --explain --arch systolic-os"]  # fmt: skip


class TestTables:
    @pytest.mark.parametrize("line", [*LINES, "energy show", "ann {}", "dynamic {}"])
    def test_embedded_trace(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        at_80_columns: None, line: str,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        shown = succeed(capsys, *line.replace("{}", "").split())
        assert_tables_fit(shown, ("CACTI 7.0",))
        assert len(shown.lines) > 5

    @pytest.mark.parametrize("line", LINES)
    def test_long_names_and_large_numbers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        at_80_columns: None, line: str,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace([f"{i}-{LONG}" for i in "abc"], f"trace-{LONG}", "s" * 200), "t.npz")

        def larger(*args: Any, **kwargs: Any) -> RunResult:
            return enlarged(simulate(*args, **kwargs), 300_000)

        def all_larger(*args: Any, **kwargs: Any) -> list[RunResult | sx.UnsupportedError]:
            found = many.replay_all(*args, **kwargs)
            return [enlarged(one, 300_000) if isinstance(one, RunResult) else one for one in found]

        for module in ("explore.sweeps.work", "run.simulate"):
            monkeypatch.setattr(f"spikex_sim.{module}.simulate", larger)
        monkeypatch.setattr("spikex_sim.explore.comparison.replay_all", all_larger)
        shown = succeed(capsys, *line.format("t.npz").split())
        assert_tables_fit(shown, ())

    @pytest.mark.parametrize(
        "line", ["sweep --grid tws=[4,4,4,4],[10,10,10,10]", "sweep --set name=averylongacceleratorname",
                 "compare --tws 4 --arch spikex,ptb,ptb-stsap", "compare --tws 4 --set name=" + 100 * "n",
                 "run --set array.rows=1 --set array.cols=1 --tws 1"],
    )  # fmt: skip
    def test_wide_values(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        at_80_columns: None, line: str,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        shown = succeed(capsys, *line.split())
        headings = ("layer ", "accelerator ")
        assert_tables_fit(shown, headings if "nnn" in line else ())
        assert "433,756" in shown.out or not line.startswith("compare")

    def test_show_config_and_sources_wrap_instead_of_cutting(
        self, capsys: pytest.CaptureFixture[str], at_80_columns: None
    ) -> None:
        for line in (["run", "--show-config"], ["energy", "show", "--sources"]):
            shown = succeed(capsys, *line)
            assert "…" not in shown.out
            assert max(len(text) for text in shown.lines if not text.startswith("CACTI")) <= WIDTH
        assert "0.7322" in shown.out and "0.1593" in shown.out  # numbers stay where sources are asked for


class TestNames:
    @pytest.mark.parametrize("line", LINES)
    def test_markup_is_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(MARKUP, "[bold]n[/] :smile:", "[/] :smile:"), "[red]t [x].npz")
        arguments = [word if word != "{}" else "[red]t [x].npz" for word in line.split()]
        shown = succeed(capsys, *arguments)
        assert "[bold]n[/] :smile:" in shown.out
        if not line.startswith("sweep"):
            for name in MARKUP[:5]:
                assert any(text.startswith(name) for text in shown.lines), name

    @pytest.mark.parametrize("name", ["[bold]", "[/x]", "[/]", ":smile:"])
    @pytest.mark.parametrize("line", ["run {}", "run --show-config", LINES[1], "sweep {} --out o"])
    def test_an_accelerators_name_is_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        name: str, line: str,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(["one"]), "t.npz")
        shown = succeed(capsys, *line.format("t.npz").split(), "--set", f'name="{name}"')
        assert any(name in text for text in shown.lines)

    @pytest.mark.parametrize("name", ["../../evil", "a/b", "/tmp/evil", "..", "a\\0b", "a\\nb", "\\e[31m"])
    def test_an_accelerators_name_is_no_path_and_no_terminal_code(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        (tmp_path / "deep/deeper").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "deep/deeper")
        sx.save_trace(a_trace(["one"]), "t.npz")
        line = ["compare", "t.npz", "--tws", "2", "--out", "out", "--set", f'name="{name}"']
        outcome = spikex(capsys, *line)
        if outcome.code:
            is_mistake(outcome, "name")
            assert files_under(tmp_path) == ["deep/deeper/t.npz"]
        else:
            assert outcome.out.replace("\n", "").isprintable()
            assert len(files_under(tmp_path / "deep/deeper/out")) == len(files_under(tmp_path)) - 1 == 6

    def test_paths_with_spaces_and_other_scripts(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "a b" / "é 日本 ﷽"
        folder.mkdir(parents=True)
        sx.save_trace(a_trace(["one"]), folder / "t [1].npz")
        succeed(capsys, "run", folder / "t [1].npz", "--out", folder / "o o")
        assert len(files_under(folder / "o o")) == 3


SLOW = """
import sys, time
from spikex_sim.run import simulate as simulator
from spikex_sim.__main__ import main

def simulate(*_, **__):
    print("working", flush=True)
    time.sleep(60)

simulator.simulate = simulate
sys.exit(main(sys.argv[1:]))
"""


class TestSurroundings:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(["one", "two"]), "t.npz")
        return tmp_path

    @pytest.mark.parametrize(
        "changes",
        [{"COLUMNS": "40"}, {"COLUMNS": "1"}, {"NO_COLOR": "1"}, {"HOME": None}, {"HOME": "/nonexistent"},
         {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0",
          "PYTHONCOERCECLOCALE": "0"}],
        ids=lambda changes: "-".join(changes) + "".join(filter(None, changes.values())),
    )  # fmt: skip
    def test_odd_environment(self, here: Path, changes: dict[str, str | None]) -> None:
        outcome = process("run", "t.npz", env=environment(**changes))
        assert (outcome.code, outcome.err) == (0, "")
        assert "\x1b" not in outcome.out and "cycles" in "".join(outcome.out.split())

    @pytest.mark.parametrize("line", ["run t.npz", "energy show", "trace show t.npz", "run --help"])
    def test_a_reader_that_goes_away(self, here: Path, line: str) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "spikex_sim", *line.split()],
            stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("line", ["run t.npz", "energy show", "trace show t.npz"])
    def test_a_full_disk_behind_standard_output(self, here: Path, line: str) -> None:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "spikex_sim", *line.split()],
                stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
            )  # fmt: skip
        is_mistake(Outcome(done.returncode, "", done.stderr.decode()), "No space left")

    def test_interrupted(self, here: Path) -> None:
        """Ctrl-C in the middle of the work: at most one line, exit code 130, no file."""
        running = subprocess.Popen(
            [sys.executable, "-c", SLOW, "run", "t.npz", "--out", "out"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.stdout is not None and running.stdout.readline() == "working\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (130, "")
        assert err in ("", "spikex-sim: interrupted\n")
        assert files_under(here / "out") == []

    def test_interrupted_inside_a_compiled_kernel(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def like_numba(*_: Any, **__: Any) -> None:
            raise SystemError(
                "CPUDispatcher returned a result with an exception set"
            ) from KeyboardInterrupt()

        monkeypatch.setattr("spikex_sim.run.simulate.simulate", like_numba)
        outcome = spikex(capsys, "run", "t.npz")
        assert (outcome.code, outcome.err) == (130, "spikex-sim: interrupted\n")

    def test_two_runs_at_once_into_one_folder(self, here: Path) -> None:
        for line in (["run", "t.npz"], ["sweep", "t.npz", "--grid", "tws=1,2,3,4,5,6"]):
            command = [sys.executable, "-m", "spikex_sim", *line, "--out", "o"]
            both = [
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
            ]
            ends = [(one.communicate(timeout=120)[1], one.returncode) for one in both]
            assert (b"", 0) in ends
            for said, code in ends:  # sweeps share their store; of others the second is refused
                assert (said, code) == (b"", 0) or (
                    b"another process" in said and code == 2 and line[0] == "run"
                )
        names = ["accesses.csv", "layers.csv", "results.json", "sweep.csv", "sweep.sqlite"]
        assert files_under(here / "o") == names
        assert json.loads(Path("o/results.json").read_text())["trace"]["name"] == "t"
        assert len(Path("o/sweep.csv").read_text().splitlines()) == 7

    @pytest.mark.parametrize("names", [["[/]"], ["[/x]", "one"]])
    def test_a_progress_bar_on_a_terminal_shows_names_as_text(
        self,
        here: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        names: list[str],
    ) -> None:
        sx.save_trace(a_trace(names), "t.npz")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(show.errors, "_force_terminal", True)
        monkeypatch.setattr(show.errors, "is_interactive", True)

        def slow(trace: Any, *args: Any, progress: Any, **kwargs: Any) -> RunResult:
            for layer in names:
                progress(layer, 0, 2)
                time.sleep(1.2)
            return simulate(trace, *args, **kwargs)

        monkeypatch.setattr("spikex_sim.run.simulate.simulate", slow)
        outcome = spikex(capsys, "run", "t.npz")
        assert outcome.code == 0 and names[0] in outcome.err
        assert "Traceback" not in outcome.err
