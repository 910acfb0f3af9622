"""Sweeps in several processes: the same table, whatever fails, is killed, interrupted or out of space."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

import spikex_sim as sx
from command import files_under
from spikex_sim.explore.sweeps import store
from spikex_sim.papers.spikex import setting
from sweeping import Watched, a_layer


def running_below(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def gone_soon(session: int) -> None:
    """No process of a session is left after a few seconds."""
    last = time.monotonic() + 10
    while running_below(session):
        assert time.monotonic() < last, running_below(session)
        time.sleep(0.05)


def wait_for(condition: object) -> None:
    last = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < last
        time.sleep(0.02)


@contextmanager
def another_thread() -> Iterator[None]:
    """A thread beside which no worker is forked."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


SIGNALS = {
    signal.SIGINT: "spikex-sim: interrupted\n",
    signal.SIGTERM: "spikex-sim: terminated\n",
    signal.SIGHUP: "spikex-sim: terminated\n",
}
"""What ends a sweep, and what it says then."""
FAST = (
    (signal.SIGINT, "points run", ""),
    (signal.SIGTERM, "workers start", "1"),
    (signal.SIGHUP, "points run", "1"),
)
"""Signals, when they come, and workers that are not left to the slow tests."""
FORKED, STARTED = pytest.param("", id="forked"), pytest.param("1", id="started")
SLOWLY = pytest.param("1", id="started", marks=pytest.mark.slow)
started = pytest.mark.parametrize("thread", [FORKED, STARTED])
"""Workers are forks, or are started with a thread in the sweep's process."""
started_slowly = pytest.mark.parametrize("thread", [FORKED, SLOWLY])


class TestProcesses:
    @started
    def test_the_same_table_from_files_and_from_memory(self, tmp_path: Path, thread: str) -> None:
        for seed, name in enumerate(["one", "two"]):
            sx.save_trace(a_layer(seed, name), tmp_path / f"{name}.npz")
        files = [str(tmp_path / "one.npz"), tmp_path / "two.npz"]
        traces = [sx.load_trace(file) for file in files]
        grid = {"tws": [5, 2], "array.rows": [8, 4]}
        alone = sx.sweep(traces, grid, arch=["ptb", "spikex"])
        made = [a_layer(), a_layer(1, "two")]
        with another_thread() if thread else nullcontext():
            assert sx.sweep(files, grid, arch=["ptb", "spikex"], jobs=2, out=tmp_path / "out") == alone
            assert sx.sweep([traces[0], files[1]], grid, arch=["ptb", "spikex"], jobs=2) == alone
            assert sx.sweep(made, grid, jobs=2) == sx.sweep(made, grid)
        assert files_under(tmp_path / "out") == ["sweep.csv", "sweep.sqlite"]

    @pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "2", None, 10**6])
    def test_processes_are_a_whole_number(self, jobs: object) -> None:
        with pytest.raises(sx.ConfigError, match="jobs: must be a whole number from 1"):
            sx.sweep(a_layer(), {"tws": [1]}, jobs=jobs)  # type: ignore[arg-type]

    def test_a_trace_that_changes_meanwhile_is_no_other_point(self, tmp_path: Path) -> None:
        sx.save_trace(a_layer(), tmp_path / "t.npz")

        def change(what: str, done: int, total: int) -> None:
            sx.save_trace(a_layer(1), tmp_path / "t.npz")

        with another_thread():  # so that workers read the file
            rows = sx.sweep(tmp_path / "t.npz", {"tws": [1, 2]}, jobs=2, progress=change)
        assert all("not those the sweep began with" in row["error"] for row in rows)

    def test_a_program_without_the_usual_guard_is_not_run_again(self, tmp_path: Path) -> None:
        (tmp_path / "program.py").write_text(
            "import threading, spikex_sim as sx\n"
            "end = threading.Event()\n"
            "threading.Thread(target=end.wait).start()\n"
            "print(len(sx.sweep(sx.load_trace('t.npz'), {'tws': [1, 2]}, jobs=2)))\n"
            "end.set()\n"
        )
        sx.save_trace(a_layer(), tmp_path / "t.npz")
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")

    @pytest.mark.parametrize("threads", [nullcontext, another_thread])
    def test_settings_of_a_paper_alike(
        self, threads: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setting, "fit", setting.overrides_of)  # which takes no time
        settings = [setting.defaults(), setting.of_preset(), setting.defaults()]
        with setting.evaluator(1) as alone, threads(), setting.evaluator(2) as together:
            assert together(settings) == alone(settings) == [setting.overrides_of(one) for one in settings]


class TestFailures:
    def test_the_rest_goes_on_and_failures_are_tried_again(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 2, 2, 3)
        wrong = {"WATCHED_FAIL": "1-2-1 2-1-3", "WATCHED_BUG": "2-2-2"}
        code, out, err = watched.finish("--jobs", 2, **wrong)
        assert code == 2 and err.count("\n") == 1
        assert "sweep.csv: 3 of 12 points failed; the first, trace one, arch spikex, tws 1, array.rows 2, " \
               "array.cols 1: 1-2-1: cannot take it" in err  # fmt: skip
        assert out.count("\nspikex ") == 2 * 9  # in two tables, for their width
        errors = {f"{r['tws']}-{r['array.rows']}-{r['array.cols']}": r["error"] for r in watched.rows()}
        assert list(errors) == watched.names
        assert {name: error for name, error in errors.items() if error} == {
            "1-2-1": "1-2-1: cannot take it",
            "2-1-3": "2-1-3: cannot take it",
            "2-2-2": "ZeroDivisionError: a bug in two lines (watched_plugin.py:20)",
        }
        assert all((row["cycles"] == "") == bool(row["error"]) for row in watched.rows())
        assert len(watched.stored()) == 9 and sum(watched.attempts().values()) == 12

        assert watched.finish("--jobs", 2, log="again")[0] == 0
        assert sorted(watched.begun("again")) == ["1-2-1", "2-1-3", "2-2-2"]
        assert not any(row["error"] for row in watched.rows())
        assert watched.finish(out="alone")[0] == 0
        assert watched.rows() == watched.rows("alone")

    def test_in_this_process_alike(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 1, 2, 2)
        wrong = {"WATCHED_FAIL": "1-2-1", "WATCHED_BUG": "1-2-2"}
        one, two = (watched.finish("--jobs", jobs, out=f"o{jobs}", **wrong) for jobs in (1, 2))
        assert one[0] == two[0] == 2 and watched.rows("o1") == watched.rows("o2")

    def test_all_fail(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 1, 1, 1)
        code, out, err = watched.finish(WATCHED_FAIL="1-1-1")
        assert code == 2 and "1 of 1 points failed" in err and len(out.splitlines()) == 1

    @started_slowly
    def test_only_a_point_that_kills_its_process_fails(self, tmp_path: Path, thread: str) -> None:
        watched = Watched(tmp_path, 2, 2, 3)
        code, _, err = watched.finish("--jobs", 2, WATCHED_DIE="1-2-1", WATCHED_THREAD=thread)
        assert code == 2 and "1 of 12 points failed" in err
        errors = [row["error"] for row in watched.rows() if row["error"]]
        assert errors == ["its process was killed; did it need too much memory?"]
        assert len(watched.stored()) == 11
        assert watched.finish("--jobs", 2)[0] == 0

    def test_a_mistake_in_the_configuration_is_refused_before_anything_runs(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 1, 1, 2)
        code, out, err = watched.finish("--jobs", 2, "--set", "stream=tap,all")
        assert (code, out, err.count("\n")) == (2, "", 1) and watched.begun() == []


class TestInterrupted:
    @pytest.mark.parametrize(
        ("number", "when", "thread"),
        [
            pytest.param(
                number, when, thread, id=f"{number.name}-{when}-{'started' if thread else 'forked'}",
                marks=() if (number, when, thread) in FAST else pytest.mark.slow,
            )
            for number in SIGNALS
            for when in ("workers start", "points run")
            for thread in ("", "1")
        ],
    )  # fmt: skip
    def test_by_a_signal(self, tmp_path: Path, number: signal.Signals, when: str, thread: str) -> None:
        watched = Watched(tmp_path, 2, 5, 5)
        running = watched.start("--jobs", 2, WATCHED_SECONDS="0.05", WATCHED_THREAD=thread)
        if when == "workers start":  # those that are started have another one besides
            wait_for(lambda: len(running_below(running.pid)) > (3 if thread else 1))
            time.sleep(0.1 if thread else 0)
        else:
            wait_for(lambda: len(watched.stored()) > 5)
        os.killpg(running.pid, number)  # a terminal sends it to all processes
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (128 + number, "")
        assert err in ("", SIGNALS[number]), err
        gone_soon(running.pid)
        finished = watched.stored()
        assert files_under(tmp_path / "out") == ["sweep.sqlite"]
        assert len(finished) > 5 or when == "workers start"
        assert watched.finish("--jobs", 2, log="again")[0] == 0
        assert len(watched.begun("again")) == 50 - len(finished)

    @started_slowly
    def test_workers_end_with_the_sweep(self, tmp_path: Path, thread: str) -> None:
        watched = Watched(tmp_path, 4, 5, 5)
        running = watched.start("--jobs", 2, WATCHED_SECONDS="0.05", WATCHED_THREAD=thread)
        wait_for(lambda: len(watched.stored()) > 5)
        running.kill()
        running.communicate()
        gone_soon(running.pid)

    def kill_until_done(self, watched: Watched, kills: int, out: str) -> None:
        """Kill a sweep again and again; nothing that was finished is begun again."""
        rng = random.Random(kills)
        keys, finished = watched.keys(), set()
        for number in range(kills):
            log = f"log-{number}"
            running = watched.start("--jobs", 2, out=out, log=log, WATCHED_SECONDS="0.01")
            time.sleep(rng.uniform(0.2, 2.6))
            kill, target = rng.choice([(os.kill, "the sweep"), (os.killpg, "and its workers")])
            kill(running.pid, signal.SIGKILL)
            running.communicate()
            gone_soon(running.pid)
            assert not finished & {key for key in keys if keys[key] in watched.begun(log)}, target
            assert finished <= watched.stored(out)
            finished = watched.stored(out)
        code, _, err = watched.finish("--jobs", 2, out=out, log="last")
        assert (code, err) == (0, "")
        assert sorted(watched.begun("last")) == sorted(keys[key] for key in keys.keys() - finished)
        assert watched.stored(out) == set(keys)
        assert watched.attempts(out) == {(key, None): 1 for key in keys}
        whole = [name for name in files_under(watched.folder / out) if not name.endswith(".tmp")]
        assert whole == ["sweep.csv", "sweep.sqlite"], "nobody can tidy up after being killed"

    @pytest.mark.parametrize(
        ("tws", "rows", "kills"), [(1, 3, 2), pytest.param(2, 10, 10, marks=pytest.mark.slow)]
    )
    def test_by_kill_at_any_moment(self, tmp_path: Path, tws: int, rows: int, kills: int) -> None:
        watched = Watched(tmp_path, tws, rows, 10)
        self.kill_until_done(watched, kills, "killed")
        assert watched.finish(out="undisturbed", log="log-undisturbed")[0] == 0
        assert sorted(watched.begun("log-undisturbed")) == sorted(watched.names)
        table = (tmp_path / "killed/sweep.csv").read_bytes()
        assert table == (tmp_path / "undisturbed/sweep.csv").read_bytes() and table.count(b"\n") > 30

    def test_two_sweeps_into_one_store(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 2, 5, 5)
        both = [watched.start("--jobs", 2, log=f"log-{which}") for which in "ab"]
        ends = [(one.communicate(timeout=120)[1], one.returncode) for one in both]
        assert ends == [("", 0)] * 2
        assert len(watched.stored()) == 50
        assert {error for _, error in watched.attempts()} == {None}
        assert sum(watched.attempts().values()) == sum(len(watched.begun(f"log-{w}")) for w in "ab")
        assert watched.finish(out="alone")[0] == 0
        assert watched.rows() == watched.rows("alone")


class TestFullDisk:
    def test_what_is_stored_is_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        grid = {"tws": [1, 2, 3], "array.cols": list(range(1, 13))}
        whole = sx.sweep(a_layer(), grid)
        with monkeypatch.context() as context:
            context.setattr(store, "SCHEMA", (*store.SCHEMA, "PRAGMA max_page_count = 12"))
            with pytest.raises(
                sx.OutputError, match=r"sweep\.sqlite: cannot be used: database or disk is full"
            ):
                sx.sweep(a_layer(), grid, out=tmp_path)
        assert files_under(tmp_path) == ["sweep.sqlite"]
        told: list[tuple[str, int, int]] = []
        assert sx.sweep(a_layer(), grid, out=tmp_path, progress=lambda *step: told.append(step)) == whole
        assert 5 < told[0][1] < 36

    def test_in_several_processes(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path, 2, 5, 5)
        done = subprocess.run(
            watched.command("--jobs", 2), env=watched.environment(), capture_output=True, text=True,
            timeout=120, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert "sweep.sqlite: cannot be used: " in done.stderr
        kept = len(watched.stored())
        assert 0 < kept < 50 and not (tmp_path / "out/sweep.csv").exists()
        assert watched.finish("--jobs", 2, log="again")[0] == 0
        assert len(watched.begun("again")) == 50 - kept
