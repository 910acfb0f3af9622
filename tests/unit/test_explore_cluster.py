"""Explorations on a Dask cluster are those of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_sweep_cluster import program, wait_for, with_dask

from command import is_mistake, process
from sweeping import Watched

WORDS = ("explore", "t.npz", "--space", "space.yaml", "--set", "scheduler=watched", "--budget", 10)


@with_dask
@pytest.mark.slow
def test_the_same_points_and_files(tmp_path: Path) -> None:
    watched = Watched(tmp_path, 4, 4, 1)
    (tmp_path / "space.yaml").write_text("keys: {tws: [1, 2, 3, 4], array.rows: [1, 2, 3, 4]}\n")
    file = tmp_path / "scheduler.json"
    worker = ("--scheduler-file", file, "--nthreads", 1, "--no-nanny", "--local-directory", tmp_path / "w")
    with program(watched, "scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file):
        wait_for(lambda: file.exists() and file.stat().st_size > 0)
        address = json.loads(file.read_text())["address"]
        with program(watched, "worker", *worker, log="of worker"):
            far = process(
                *WORDS, "--out", "far", "--scheduler", address, env=watched.environment(), cwd=tmp_path
            )
    near = process(*WORDS, "--out", "near", env=watched.environment(), cwd=tmp_path)
    assert (far.code, near.code) == (0, 0), far.err + near.err
    assert len(watched.begun("of worker")) == len(watched.begun()) == 10
    for name in ("explore.json", "explore.csv", "sweep.csv"):
        assert (tmp_path / "far" / name).read_bytes() == (tmp_path / "near" / name).read_bytes()


def test_no_scheduler_is_one_line(here: Path) -> None:
    outcome = process("explore", *WORDS[1:4], "--out", "o", "--scheduler", "tcp://127.0.0.1:9", cwd=here)
    is_mistake(outcome, "--scheduler")
