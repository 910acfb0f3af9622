"""Sweeps on a Dask cluster: the same table, every point once, also when a worker is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import spikex_sim as sx
from command import is_mistake, process
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.workers import KILLED
from sweeping import Watched, a_layer

with_dask = pytest.mark.skipif(
    find_spec("distributed") is None, reason="distributed is not installed (pip install '.[distributed]')"
)


@contextmanager
def program(
    watched: Watched, name: str, *options: object, **changes: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A Dask program that is ended afterwards."""
    words = [sys.executable, "-m", "dask", name, *options, "--no-dashboard"]
    log = watched.folder / f"dask-{time.monotonic_ns()}"
    with log.open("wb") as file:
        running = subprocess.Popen(
            list(map(str, words)), env=watched.environment(**changes), cwd=watched.folder,
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.02)


@with_dask
@pytest.mark.slow
def test_every_point_arrives_once_though_a_worker_is_lost(tmp_path: Path) -> None:
    watched = Watched(tmp_path, 2, 5, 10)
    file = tmp_path / "scheduler.json"
    one = ("--scheduler-file", file, "--nthreads", 1, "--no-nanny", "--local-directory")
    slow = {"WATCHED_SECONDS": "0.05"}
    with program(watched, "scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file):
        wait_for(file.exists)
        address = json.loads(file.read_text())["address"]
        with (
            program(watched, "worker", *one, tmp_path / "w1", log="log-1", **slow),
            program(watched, "worker", *one, tmp_path / "w2", log="log-2", **slow) as lost,
        ):
            running = watched.start("--scheduler", address)
            wait_for(lambda: len(watched.stored()) > 10 and len(watched.begun("log-2")) > 5)
            lost.kill()
            assert len(watched.stored()) < 90
            out, err = running.communicate(timeout=120)
            assert running.returncode == 0 and "wrote" in out, err
            assert set(watched.begun("log-1")) | set(watched.begun("log-2")) == set(watched.names)
            keys = watched.keys()
            assert watched.attempts() == {(key, None): 1 for key in keys}
            wrong = {"WATCHED_FAIL": watched.names[3]}
            assert watched.finish("--scheduler", address, log="again", **wrong)[0] == 0  # all is there
            assert watched.begun("again") == []
    assert watched.finish(out="alone", log="log-alone")[0] == 0
    assert (tmp_path / "out/sweep.csv").read_bytes() == (tmp_path / "alone/sweep.csv").read_bytes()


@with_dask
@pytest.mark.slow
@pytest.mark.parametrize("allowed", [0, 1])
def test_a_point_that_kills_workers_is_tried_again_and_fails_alone(tmp_path: Path, allowed: int) -> None:
    watched = Watched(tmp_path, 1, 2, 4)
    file = tmp_path / "scheduler.json"
    setting = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed)}
    place = ("--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
    with program(watched, "scheduler", *place, **setting):
        wait_for(file.exists)
        address = json.loads(file.read_text())["address"]
        one = ("--scheduler-file", file, "--nthreads", 1, "--local-directory", tmp_path / "w")
        with program(watched, "worker", *one, WATCHED_DIE="1-1-3"):  # which is started again by Dask
            code, _, err = watched.finish("--scheduler", address, log="unused")
    assert code == 2 and "1 of 8 points failed; the first, " in err and KILLED in err, err
    assert [row["error"] for row in watched.rows()] == ["", "", KILLED, *[""] * 5]
    assert len(watched.stored()) == 7
    assert watched.begun().count("1-1-3") == allowed + 2


@with_dask
@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1", "xyz://a:1"])
def test_no_scheduler(tmp_path: Path, address: str) -> None:
    sx.save_trace(a_layer(), tmp_path / "t.npz")
    script = "import sys; from spikex_sim.explore.sweeps import pools; pools.CONNECT_SECONDS = 2\n" \
             "from spikex_sim.__main__ import main; sys.exit(main(sys.argv[1:]))"  # fmt: skip
    words = [sys.executable, "-c", script, "sweep", str(tmp_path / "t.npz"), "--scheduler", address]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "o")], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert f"--scheduler {address}: no Dask scheduler answers: " in done.stderr


@pytest.mark.skipif(find_spec("distributed") is not None, reason="distributed is installed")
def test_without_dask(tmp_path: Path) -> None:
    sx.save_trace(a_layer(), tmp_path / "t.npz")
    outcome = process("sweep", tmp_path / "t.npz", "--scheduler", "tcp://a:1", "--out", tmp_path / "o")
    is_mistake(outcome, "--scheduler", pip_install("distributed"))


@pytest.mark.parametrize("address", ["", "  ", 5])
def test_an_address_is_a_text(address: object) -> None:
    with pytest.raises(sx.ConfigError, match="scheduler: must be the address"):
        sx.sweep(a_layer(), {"tws": [1]}, scheduler=address)  # type: ignore[arg-type]


def test_processes_are_for_this_machine() -> None:
    with pytest.raises(sx.ConfigError, match="jobs: is for this machine"):
        sx.sweep(a_layer(), {"tws": [1]}, scheduler="tcp://127.0.0.1:1", jobs=2)
