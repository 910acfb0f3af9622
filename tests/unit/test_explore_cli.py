"""The command explore: what it prints and writes, and what it says of every mistake."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import spikex_sim as sx
from command import environment, files_under, is_mistake, spikex, succeed
from sweeping import Watched

pytestmark = pytest.mark.usefixtures("quiet_logger")

WORDS = ("explore", "t.npz", "--space", "space.yaml", "--out", "o")


def write(text: str, name: str = "space.yaml") -> None:
    Path(name).write_text(text)


class TestPrints:
    def test_the_front_the_volume_and_the_shares(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(capsys, *WORDS, "--objective", "energy_pj,max:utilization", "--budget", 12)
        found = sx.load_exploration("o")
        assert shown.lines[0] == "Front: no point is better in all of energy_pj, utilization"
        head = shown.lines[1].split()
        assert head == ["point", "tws", "array.rows", "energy_pj", "max", "utilization"]
        assert [line.split()[0] for line in shown.lines[2 : 2 + len(found.front)]] == [
            str(one.order) for one in found.front
        ]
        assert f"12 points, {len(found.front)} on the front" in shown.out
        volume = found.hypervolume
        assert f"hypervolume {volume.final:.4g} of the box to energy_pj" in shown.out
        assert "Importance of each key, % (PED-ANOVA)" in shown.out
        assert shown.lines[-1] == "wrote o/explore.json, o/explore.csv, o/sweep.csv, o/sweep.sqlite"
        assert {"explore.csv", "explore.json", "sweep.csv", "sweep.sqlite"} <= set(files_under(here / "o"))

    def test_what_cannot_be_run_and_what_breaks_a_limit(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write("keys: {memory.lbuf.port_bits: [128, 99], tws: [1, 2, 3]}")
        rows = sx.sweep("t.npz", {"tws": [1, 2, 3]}, overrides={"memory.lbuf.port_bits": 128})
        limit = sorted(row["energy_pj"] for row in rows)[1]
        shown = succeed(capsys, *WORDS, "--constraint", f"energy_pj<={limit!r}", "--sampler", "grid")
        assert "6 points" in shown.out and "1 break a limit, 3 cannot be run" in shown.out
        assert "the first that cannot be run, point " in shown.out
        assert "importances need at least 10 feasible points" in shown.out

    def test_names_that_a_terminal_would_act_on_are_text(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        name = "[bold]x[/bold] \\[red]"
        write(f"base: spikex\nname: '{name}'\n", "m.yaml")
        write("keys: {arch: [m.yaml, ptb], tws: [1, 2]}")
        shown = succeed(capsys, *WORDS, "--sampler", "grid", "--objective", "seconds,energy_pj,area_mm2")
        assert name in shown.out


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--objective", "enrgy_pj"), ("--objective", "'enrgy_pj'", "did you mean energy_pj?")),
            (("--objective", ","), ("--objective", "names nothing")),
            (("--constraint", "area<2"), ("--constraint", "NAME<=VALUE")),
            (("--constraint", "cycles<=1"), ("none of 20 points keeps cycles<=1", "nearest is spikex")),
            (("--budget", "0"), ("budget", "from 1")),
            (("--sampler", "tpf"), ("sampler", "did you mean tpe?")),
            (("--space", "spce.yaml"), ("spce.yaml", "did you mean space.yaml?")),
            (("--space", "endless.yaml", "--sampler", "grid"), ("endless.yaml", "clock_mhz", "no end")),
            (("--set", "tws=4"), ("tws", "is set, and stands in space.yaml, too")),
            (("--arch", "spikx"), ("spikx", "did you mean spikex?")),
            (("--engine", "fats"), ("fats",)),
            (("--jobs", "0"), ("jobs",)),
            (("--seed", "-1"), ("seed",)),
            (("--out", "t.npz"), ("--out t.npz", "is read by this command")),
            (("--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"), ("jobs",)),
        ],
    )
    def test_are_one_line_and_nothing_is_half_written(
        self, here: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        write("keys: {clock_mhz: {low: 1.5, high: 9}}", "endless.yaml")
        words_before = [word for word in WORDS if word not in ("--out", "o") or "--out" not in options]
        if "--space" in options:
            words_before = [word for word in words_before if word not in ("--space", "space.yaml")]
        is_mistake(spikex(capsys, *words_before, *options), *words)
        assert files_under(here / "o") in ([], ["sweep.sqlite"])

    def test_a_trace_twice_or_none(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        is_mistake(spikex(capsys, *WORDS, "t.npz"), "TRACE", "twice")
        is_mistake(spikex(capsys, "explore", "no.npz", *WORDS[2:]), "no.npz")


@pytest.mark.slow
class TestKilled:
    def test_goes_on_as_if_it_had_not_been(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 4, 4, 1)
        (tmp_path / "space.yaml").write_text("keys: {tws: [1, 2, 3, 4], array.rows: [1, 2, 3, 4]}\n")

        def words(out: str, jobs: int) -> list[str]:
            given = f"t.npz --space space.yaml --set scheduler=watched --budget 12 --out {out} --jobs {jobs}"
            return [sys.executable, "-m", "spikex_sim", "explore", *given.split()]

        def run(out: str, jobs: int, log: str) -> None:
            subprocess.run(
                words(out, jobs), cwd=tmp_path, env=watched.environment(log), check=True, timeout=300,
                capture_output=True,
            )  # fmt: skip

        run("whole", 2, "first")
        slow = subprocess.Popen(
            words("part", 1), cwd=tmp_path, env=watched.environment("second", WATCHED_SECONDS="0.2"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 200
        while len(watched.stored("part")) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        slow.send_signal(signal.SIGKILL)
        slow.wait()
        kept = len(watched.stored("part"))
        assert 5 <= kept < 12
        assert not list((tmp_path / "part").glob("explore.*"))
        run("part", 2, "third")
        for name in ("explore.json", "explore.csv", "sweep.csv"):
            assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert len(watched.begun("third")) == 12 - kept
        with closing(sqlite3.connect(tmp_path / "part" / "sweep.sqlite")) as database:
            assert database.execute("SELECT count(*) FROM attempts").fetchone() == (12,)


@pytest.mark.slow
def test_a_terminal_sees_the_front_grow(here: Path) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "spikex_sim", *WORDS, "--budget", "12", "--jobs", "2"],
        env=environment(TERM="xterm", COLUMNS="120"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert running.wait(120) == 0
    os.close(ours)
    assert running.stdout is not None
    running.stdout.close()
    text = seen.decode()
    assert "front of 8 points:" in text and "front of 12 points:" in text and "of 12 runs" in text
