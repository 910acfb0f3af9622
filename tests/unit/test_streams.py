"""What a command prints goes to the right stream, and its exit code says how it went."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import REPOSITORY, environment, files_under, is_mistake, process, spikex, succeed
from spikex_sim.cli import show
from spikex_sim.core.text import harmless
from trace_files import a_trace

pytestmark = pytest.mark.usefixtures("quiet_logger")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    return tmp_path


def test_notices_go_to_standard_error(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = logging.getLogger("spikex_sim").warning
    monkeypatch.setattr("spikex_sim.run.simulate.prepare", lambda *_: notice("compiling %s", "all"))
    outcome = spikex(capsys, "run", "t.npz")
    assert outcome.code == 0
    assert outcome.err == "spikex-sim: compiling all\n"
    assert "compiling" not in outcome.out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert succeed(capsys, "--version").out == f"spikex_sim {version('spikex_sim')}\n"


@pytest.mark.parametrize("name", ["", "trace", "energy"])
def test_nothing_asked_for_gives_readable_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    outcome = spikex(capsys, *name.split())
    text = outcome.out + outcome.err
    assert outcome.code in (0, 2)
    assert "Commands:\n" in text and max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    "line",
    ["nope", "--nope", "run --nope", "run a b", "run --tws", "trace nope", "trace synth", "energy check"],
)
def test_what_the_parser_refuses(capsys: pytest.CaptureFixture[str], line: str) -> None:
    is_mistake(spikex(capsys, *line.split()))


def test_as_a_process(here: Path) -> None:
    good = process("run", "t.npz", "--out", "out")
    assert (good.code, good.err) == (0, "")
    assert good.lines[0].startswith("tiny (T=")
    is_mistake(process("run", "nope.npz"), "nope.npz: no such file")
    assert process("--help").code == 0


SILENCED = (
    "import os, sys\n"
    "for number in map(int, sys.argv.pop(1).split(',')):\n"
    "    os.close(number)\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'spikex_sim', *sys.argv[1:]])\n"
)


def without(descriptors: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command with some of the standard streams closed."""
    command = [sys.executable, "-c", SILENCED, descriptors, *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


FILES = ["accesses.csv", "layers.csv", "results.json"]


class TestClosedStreams:
    def test_results_are_written_where_nobody_reads(self, here: Path) -> None:
        done = without("1", "run", "t.npz", "--out", "o")
        said = b"spikex-sim: cannot write to standard output: Bad file descriptor\n"
        assert (done.returncode, done.stderr) == (2, said)
        assert files_under(here / "o") == FILES

    @pytest.mark.parametrize("closed", ["2", "0,2"])
    def test_errors_may_have_no_place(self, here: Path, closed: str) -> None:
        done = without(closed, "run", "t.npz", "--out", "o")
        assert done.returncode == 0 and done.stdout.startswith(b"tiny (T=")
        assert files_under(here / "o") == FILES
        assert without(closed, "run", "nope.npz").returncode == 2

    def test_no_file_gets_the_number_of_a_closed_stream(self, here: Path) -> None:
        """Else what is printed would stand in a file that is open meanwhile."""
        assert without("0,1,2", "run", "t.npz", "--accesses", "a.csv", "--out", "o").returncode == 2
        assert without("0", "run", "t.npz", "--accesses", "b.csv", "--out", "p").returncode == 0
        assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()

    @pytest.mark.parametrize("line", ["run t.npz --out o", "compare t.npz --arch spikex,ptb --out o"])
    def test_files_are_whole_though_standard_output_is_full(self, here: Path, line: str) -> None:
        with Path("/dev/full").open("wb") as full:
            command = [sys.executable, "-m", "spikex_sim", *line.split()]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
        assert files_under(here / "o") == (FILES if "run" in line else [
            f"{folder}/{name}" for folder in ("0-spikex", "1-ptb") for name in FILES
        ])  # fmt: skip

    def test_a_terminal_without_columns(self, here: Path) -> None:
        shown = process("run", "t.npz", env=environment(COLUMNS="0"))
        assert shown.code == 0 and shown == process("run", "t.npz", env=environment(COLUMNS="80"))


class TestEnvironment:
    def test_threads_of_numba(self, here: Path) -> None:
        outcome = process("run", "t.npz", env=environment(NUMBA_NUM_THREADS="0"))
        is_mistake(outcome, "NUMBA_")

    def test_windows_of_matplotlib_are_not_asked_for(self, here: Path) -> None:
        assert process("run", "t.npz", "--out", "o").code == 0
        assert process("plot", "o", env=environment(MPLBACKEND="nonsense")).code == 0


LONG = 300 * "a"


@pytest.mark.parametrize(
    "line", [f"run {LONG}.npz", f"run t.npz --out {LONG}", f"plot {LONG}", f"trace show {LONG}",
             f"run t.npz --accesses {LONG}", f"sweep {LONG} --grid tws=1"],
)  # fmt: skip
def test_a_name_that_is_too_long_is_what_the_message_is_about(
    here: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    message = is_mistake(spikex(capsys, *line.split()), LONG, "name too long")
    assert "standard output" not in message


CONTROLS = ["\x1b]0;owned\x07\x1b[2J", "\x9b2J", "\u202e", "x\rspikex-sim: all is well", "\u2028", "\x00"]


class TestHarmless:
    @pytest.mark.parametrize("bad", CONTROLS)
    @pytest.mark.parametrize(
        "key", ['dispatch: "{}"', 'scheduler: "{}"', '"{}": 1', 'array: {{"{}": 1}}', 'base: "{}"']
    )
    def test_configuration(self, here: Path, capsys: pytest.CaptureFixture[str], bad: str, key: str) -> None:
        escaped = json.dumps(bad)[1:-1]
        Path("a.yaml").write_text(f"name: a\n{key.format(escaped)}\n")
        is_mistake(spikex(capsys, "run", "t.npz", "--arch", "a.yaml"))

    @pytest.mark.parametrize("bad", CONTROLS[:-1])
    @pytest.mark.parametrize(
        "line", ["run X", "run t.npz --arch X", "run t.npz --set X=1", "run t.npz --set tws=X",
                 "run t.npz --engine X", "run t.npz --layers X --timeline --out o", "trace show X", "plot X",
                 "sweep t.npz --grid X=1", "sweep --spec X", "trace synth --kind X --out o", "run X Y", "X"],
    )  # fmt: skip
    def test_options(self, here: Path, capsys: pytest.CaptureFixture[str], bad: str, line: str) -> None:
        is_mistake(spikex(capsys, *(word.replace("X", bad) for word in line.split())))

    def test_what_is_printed(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = Path("\x1b[2J")
        folder.mkdir()
        sx.save_trace(a_trace(), folder / "t.npz")
        shown = succeed(capsys, "run", folder / "t.npz", "--out", folder / "o")
        assert r"wrote \x1b[2J/o/results.json" in shown.out and "\x1b" not in shown.out

    def test_notices(self) -> None:
        record = logging.LogRecord("spikex_sim", logging.WARNING, "", 0, "in %s", ("\x1b[2J",), None)
        show.log_to_terminal()
        (handler,) = logging.getLogger("spikex_sim").handlers
        assert handler.format(record) == r"spikex-sim: in \x1b[2J"

    @given(st.text())
    def test_everything_prints_and_lines_stay(self, text: str) -> None:
        shown = harmless(text)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert shown.count("\n") == text.count("\n")
        assert shown == text or not text.replace("\n", "").isprintable()


def test_commands_print_in_these_ways_only() -> None:
    """Text reaches a terminal through what makes it harmless, or is our own."""
    own = {"energy.py": 3, "sheet.py": 3, "show.py": 2, "options.py": 1, "graph.py": 1, "extras.py": 1}
    found = {}
    for path in sorted((REPOSITORY / "spikex_sim").rglob("*.py")):
        times = len(re.findall(r"console\.print\(|typer\.echo\(|(?<![\w.])print\(", path.read_text()))
        if times and path.name != "text.py":  # an example
            found[path.name] = times
    assert found == own
