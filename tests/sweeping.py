"""Sweeps in processes of their own, with a scheduler that writes down what it is asked for, fails or dies."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np

import spikex_sim as sx
from command import environment
from distribution import install

PLUGIN = '''
import os, signal, threading, time
from spikex_sim.accelerators.spikex import SpikeX
from spikex_sim.core.errors import UnsupportedError

class Watched(SpikeX):
    """Writes a line whenever a point is begun; what WATCHED_FAIL and WATCHED_DIE name fails or kills."""

    def schedule(self, task, arch):
        point = f"{arch.tws}-{arch.array.rows}-{arch.array.cols}"
        log = os.open(os.environ["WATCHED_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{point}\\n".encode())
        os.close(log)
        time.sleep(float(os.environ.get("WATCHED_SECONDS", "0")))
        if point in os.environ.get("WATCHED_DIE", "").split():
            os.kill(os.getpid(), signal.SIGKILL)
        if point in os.environ.get("WATCHED_FAIL", "").split():
            raise UnsupportedError("cannot take it", where=point)
        if point in os.environ.get("WATCHED_BUG", "").split():
            raise ZeroDivisionError("a bug\\nin two lines")
        return super().schedule(task, arch)

if os.environ.get("WATCHED_THREAD"):  # beside which no worker is forked
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
'''
LAYER = {"name": "fc", "kind": "linear", "in_channels": 20, "out_channels": 9,
         "neuron": {"threshold": 20, "leak_shift": 3}}  # fmt: skip


def a_layer(seed: int = 0, name: str = "one") -> sx.Trace:
    rng = np.random.default_rng(seed)
    weights = [np.random.default_rng(9).integers(-9, 12, (9, 20)).astype(np.int8)]
    return sx.Trace.from_arrays([LAYER], rng.random((20, 12)) < 0.3, weights=weights, name=name)


class Watched:
    """A folder with a trace and the plug-in; sweeps started in it, and what they did.

    Parameters
    ----------
    folder : Path
        Empty.
    tws, rows, cols : int
        How many values each axis has, from 1.
    """

    def __init__(self, folder: Path, tws: int, rows: int, cols: int) -> None:
        self.folder = folder
        self.names = [f"{t}-{r}-{c}" for t in range(1, tws + 1) for r in range(1, rows + 1)
                      for c in range(1, cols + 1)]  # fmt: skip
        self.axes = {"tws": tws, "array.rows": rows, "array.cols": cols}
        sx.save_trace(a_layer(), folder / "t.npz")
        plugins = folder / "plugins"
        plugins.mkdir()
        (plugins / "watched_plugin.py").write_text(PLUGIN)
        points = {"spikex_sim.accelerators": {"watched": "watched_plugin:Watched"}}
        install("watched", "1.0", points, plugins)

    def environment(self, log: str = "log", **changes: str) -> dict[str, str]:
        found = [str(self.folder / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
        paths = {"PYTHONPATH": os.pathsep.join(found), "WATCHED_LOG": str(self.folder / log)}
        return environment(**paths, **changes)

    def command(self, *options: object, out: str = "out") -> list[str]:
        axes = [
            word
            for key, count in self.axes.items()
            for word in ("--grid", f"{key}={','.join(map(str, range(1, count + 1)))}")
        ]
        words = [
            "sweep",
            self.folder / "t.npz",
            *axes,
            "--set",
            "scheduler=watched",
            "--out",
            self.folder / out,
        ]
        return [sys.executable, "-m", "spikex_sim", *map(str, [*words, *options])]

    def start(
        self, *options: object, out: str = "out", log: str = "log", **changes: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options, out=out), env=self.environment(log, **changes), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def finish(
        self, *options: object, out: str = "out", log: str = "log", **changes: str
    ) -> tuple[int, str, str]:
        """Exit code and what was printed where."""
        running = self.start(*options, out=out, log=log, **changes)
        printed = running.communicate(timeout=300)
        return running.returncode, *printed

    def begun(self, log: str = "log") -> list[str]:
        """Points that were begun, in order."""
        path = self.folder / log
        return path.read_text().split() if path.exists() else []

    def keys(self) -> dict[str, str]:
        """Content key of each point to its name, in grid order."""
        script = """
import itertools, json, sys
import spikex_sim as sx
from spikex_sim.explore.sweeps.work import point_key
trace, counts = [sx.load_trace(sys.argv[1])], map(int, sys.argv[2:])
for t, r, c in itertools.product(*(range(1, count + 1) for count in counts)):
    values = {"scheduler": "watched", "tws": t, "array.rows": r, "array.cols": c}
    print(json.dumps([point_key(trace, sx.load_accelerator("spikex", values), "fast"), f"{t}-{r}-{c}"]))
"""
        words = [sys.executable, "-c", script, self.folder / "t.npz", *self.axes.values()]
        printed = subprocess.run(
            list(map(str, words)), env=self.environment(), capture_output=True, text=True, check=True
        ).stdout
        return dict(map(json.loads, printed.splitlines()))

    def stored(self, out: str = "out") -> set[str]:
        """Keys of finished points; none where the store was not made yet."""
        return {key for (key,) in self.query("SELECT key FROM points", out)}

    def attempts(self, out: str = "out") -> Counter[tuple[str, str | None]]:
        """How often each point came to an end, by key and error."""
        return Counter(self.query("SELECT key, error FROM attempts", out))

    def query(self, statement: str, out: str = "out") -> list[tuple[str, ...]]:
        path = self.folder / out / "sweep.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=60)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            there = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return database.execute(statement).fetchall() if len(there) > 2 else []

    def rows(self, out: str = "out") -> list[dict[str, str]]:
        with (self.folder / out / "sweep.csv").open(newline="") as file:
            return list(csv.DictReader(file))
