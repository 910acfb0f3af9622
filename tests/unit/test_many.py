"""Many samples: what is said of them, in several processes, after an interruption, and in little memory."""

from __future__ import annotations

import base64
import gc
import json
import re
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import environment, files_under, is_mistake, spikex, succeed
from spikex_sim.explore import many
from spikex_sim.explore.many import replay_all, replay_one
from spikex_sim.explore.samples_kept import kept, unkept
from spikex_sim.run.results import LayerResult
from spikex_sim.run.simulate import UNIT, Replay
from spikex_sim.sources.trained import TrainedNetwork, save_trained
from spikex_sim.trace import together

Capture = pytest.CaptureFixture[str]
LAYERS: list[dict[str, Any]] = [
    {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": 3, "padding": 1,
     "in_height": 6, "in_width": 6, "neuron": {"threshold": 9, "leak_shift": 3}},
    {"name": "pool", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "kernel": 2, "stride": 2,
     "in_height": 6, "in_width": 6},
    {"name": "fc", "kind": "linear", "in_channels": 45, "out_channels": 4,
     "neuron": {"threshold": 14, "leak_shift": 3}},
]  # fmt: skip
RNG = np.random.default_rng(1)
WEIGHTS = [
    RNG.integers(-9, 12, (5, 2, 3, 3)).astype(np.int8),
    None,
    RNG.integers(-9, 12, (4, 45)).astype(np.int8),
]
QUANTITIES = ("cycles", "seconds", "energy_pj", "energy_on_chip_pj", "edp_js")


def a_sample(number: int, **changes: Any) -> sx.Trace:
    rng = np.random.default_rng(100 + number)
    spikes = rng.random((2, 6, 6, 12)) < rng.uniform(0.05, 0.5)
    given = {"weights": WEIGHTS, "name": f"s{number}", "label": number % 4, **changes}
    return sx.Trace.from_arrays(LAYERS, spikes, **given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty recordings: three units, the last of which is not full."""
    (tmp_path / "f").mkdir()
    for number in range(40):
        sx.save_trace(a_sample(number), tmp_path / f"f/{number:02}.npz")
    return tmp_path


@pytest.fixture
def not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MAX_HELD_BYTES", 0)


@contextmanager
def another_thread() -> Iterator[None]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


started = pytest.mark.parametrize("thread", [nullcontext, another_thread], ids=["forked", "started"])


def figures(result: sx.RunResult) -> dict[str, Any]:
    return {**result.to_dict(), "timestamp": ""}


class TestSpread:
    def test_is_numpys(self) -> None:
        traces = [a_sample(number) for number in range(7)]
        result = sx.simulate(traces)
        alone = [sx.simulate(one).totals for one in traces]
        for quantity in QUANTITIES:
            values = np.array([getattr(one, quantity) for one in alone], float)
            assert result.mean[quantity] == pytest.approx(values.mean(), rel=1e-14, abs=0)
            assert result.sd[quantity] == pytest.approx(values.std(ddof=1), rel=1e-12, abs=0)
        assert result.totals.cycles == sum(one.cycles for one in alone)
        assert result.mean["edp_js"] < result.totals.edp_js / 40  # the product of sums is some 49 times that
        (row,) = sx.sweep(traces[0], {})
        assert (row["samples"], row["mean_cycles"], row["sd_cycles"]) == (1, alone[0].cycles, None)

    def test_of_one_sample(self) -> None:
        result = sx.simulate(a_sample(0))
        assert result.mean["energy_pj"] == result.totals.energy_pj
        assert set(result.sd.values()) == {None}

    def test_of_values_that_hardly_differ(self) -> None:
        from spikex_sim.run.results import mean_and_sd

        values = [1e9 + difference for difference in (0.0, 1.0, 2.0)]
        assert mean_and_sd(values) == (1e9 + 1, 1.0)  # the difference of large squares would be off
        assert mean_and_sd([3.0]) == (3.0, None)

    def test_written_and_read_back(self, folder: Path) -> None:
        result = sx.simulate(folder / "f")
        result.save(folder / "o")
        data = json.loads((folder / "o/results.json").read_text())
        assert data == json.loads(json.dumps(result.to_dict()))
        found = sx.load_results(folder / "o")
        assert (dict(found.mean), dict(found.sd)) == (dict(result.mean), dict(result.sd))

    def test_printed_as_what_they_are(self, folder: Path, capsys: Capture) -> None:
        result = sx.simulate(folder / "f")
        shown = succeed(capsys, "run", folder / "f")
        mean, sd = result.mean["seconds"], result.sd["seconds"]
        assert sd is not None
        words = f"latency {1e6 * mean:.4g} µs ± {1e9 * sd:.4g} ns"
        assert f"a sample, mean ± standard deviation: {words}" in shown.out
        assert "totals of 40 samples, one after the other:\nlatency " in shown.out
        assert [line.split()[:3] for line in shown.lines].count(["total", "of", "40"]) >= 3
        shown = succeed(capsys, "compare", folder / "f", "--tws", 2)
        assert "Totals of 40 samples, one after the other" in shown.out
        assert "A sample: mean ± standard deviation" in shown.out
        shown = succeed(capsys, "sweep", folder / "f", "--grid", "tws=4", "--out", folder / "o")
        assert f"{result.mean['cycles']:,.0f} ± {result.sd['cycles']:,.0f}*" in shown.out
        alone = succeed(capsys, "run", folder / "f/00.npz")
        assert "±" not in alone.out and "totals of" not in alone.out


class TestSamples:
    def test_have_name_label_and_prediction(self) -> None:
        traces = [a_sample(number) for number in range(9)]
        for one, trace in zip(sx.simulate(traces).samples, traces, strict=True):
            spikes = np.unpackbits(sx.simulate(trace).outputs, axis=-1, count=12).sum(axis=-1)
            wanted = max(range(4), key=lambda neuron: (spikes[0, neuron], -neuron))
            found = one.to_dict()
            assert (found["name"], found["label"], found["prediction"]) == (trace.name, trace.label, wanted)

    def test_of_one_trace_with_several(self) -> None:
        spikes = np.stack([a_sample(number).spikes(0)[0] for number in range(3)])
        batch = sx.Trace.from_arrays(LAYERS, spikes, weights=WEIGHTS, name="b", label=(2, 0, 1))
        found = sx.simulate(batch).samples
        assert [(one.name, one.label) for one in found] == [("b-0", 2), ("b-1", 0), ("b-2", 1)]

    def test_of_equals_the_lowest_and_of_none_none(self) -> None:
        layer = {"name": "fc", "kind": "linear", "in_channels": 3, "out_channels": 3,
                 "neuron": {"threshold": 1, "leak_shift": 4}}  # fmt: skip
        weight = np.array([[-1, -1, -1], [1, 1, 1], [1, 1, 1]], np.int8)
        trace = sx.Trace.from_arrays([layer], np.ones((3, 8), bool), weights=[weight])
        assert sx.simulate(trace).samples[0].prediction == 1
        silent = sx.Trace.from_arrays([layer], np.zeros((3, 8), bool), weights=[weight])
        assert sx.simulate(silent).samples[0].prediction == 0
        assert sx.simulate(replace(trace, weights={})).samples[0].prediction is None
        assert sx.simulate(trace, "ann").samples[0].prediction is None
        assert sx.simulate(trace).samples[0].label is None

    def test_are_what_evaluate_says(self, folder: Path) -> None:
        weights = {index: weight for index, weight in enumerate(WEIGHTS) if weight is not None}
        network = TrainedNetwork("net", "net", "base", 12, a_sample(0).layers, weights)
        found = sx.evaluate(network, folder / "f").samples
        samples = sx.simulate(folder / "f").samples
        assert [one.predicted for one in found] == [one.prediction for one in samples]
        assert len({one.predicted for one in found}) > 1

    def test_like_a_tuple(self) -> None:
        traces = [a_sample(number) for number in range(3)]
        samples = sx.simulate(traces).samples
        assert samples == tuple(samples) and samples != tuple(samples)[:2] and samples[-1] == samples[2]
        assert samples[1:] == tuple(samples)[1:] and sx.simulate(traces).samples == samples
        with pytest.raises(IndexError):
            samples[3]


class TestNotHeld:
    def test_the_same_result(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held = sx.simulate(folder / "f")
        monkeypatch.setattr(together, "MAX_HELD_BYTES", 0)
        assert isinstance(together.as_traces(folder / "f"), together.TraceFiles)
        assert figures(sx.simulate(folder / "f")) == figures(held)
        assert figures(sx.simulate(folder / "f", tws="auto")) == figures(sx.simulate(
            [sx.load_trace(path) for path in sorted((folder / "f").iterdir())], tws="auto"
        ))  # fmt: skip

    @pytest.mark.usefixtures("not_held")
    def test_another_network_is_named(self, folder: Path) -> None:
        other = sx.Trace.from_arrays(LAYERS[:1], np.zeros((2, 6, 6, 12), bool), weights=WEIGHTS[:1])
        sx.save_trace(other, folder / "f/20.npz")
        with pytest.raises(sx.TraceError, match=r"20\.npz: has other layers"):
            sx.simulate(folder / "f")

    @pytest.mark.usefixtures("not_held")
    def test_a_file_that_changes_meanwhile(self, folder: Path) -> None:
        def change(what: str, done: int, total: int) -> None:
            sx.save_trace(a_sample(99), folder / "f/39.npz")

        with pytest.raises(sx.TraceError, match=r"39\.npz: was changed"):
            sx.simulate(folder / "f", progress=change)

    @pytest.mark.usefixtures("not_held")
    @pytest.mark.parametrize("keeps", [False, True])
    def test_no_finished_sample_is_held(self, folder: Path, keeps: bool) -> None:
        alive: list[int] = []

        def count(what: str, done: int, total: int) -> None:
            alive.append(sum(isinstance(one, LayerResult) for one in gc.get_objects()))

        gc.collect()
        before = sum(isinstance(one, LayerResult) for one in gc.get_objects())
        resume = folder / "r.sqlite" if keeps else None
        replay_one(together.as_traces(folder / "f"), sx.load_accelerator(), resume=resume, progress=count)
        assert len(alive) == 41 and max(alive) - before <= (UNIT + 2) * len(LAYERS)

    @pytest.mark.slow
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_five_thousand_in_little_memory(self, tmp_path: Path, jobs: int) -> None:
        (tmp_path / "f").mkdir()
        for number in range(5000):
            sx.save_trace(a_sample(number), tmp_path / f"f/{number}.npz")
        script = (
            "import resource, sys\nfrom spikex_sim.__main__ import entry\n"
            "sys.argv[0] = 'spikex-sim'\n"
            "try:\n    entry()\nexcept SystemExit as end:\n    assert not end.code\n"
            "for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):\n"
            "    print(resource.getrusage(who).ru_maxrss)\n"
        )
        found = []
        for given in (tmp_path / "f/0.npz", tmp_path / "f"):
            words = [sys.executable, "-c", script, "run", given, "--jobs", jobs, "--out", tmp_path / "o"]
            done = subprocess.run(
                list(map(str, words)), env=environment(), capture_output=True, text=True, check=True
            )
            found.append([int(line) for line in done.stdout.split("\n")[-3:-1]])
        assert "totals of 5,000 samples" in done.stdout
        one, all_ = (max(sizes) for sizes in found)
        assert all_ - one < 60_000, found  # KiB; 12 KiB a sample


class TestProcesses:
    @started
    def test_run_is_the_same(self, folder: Path, thread: Callable[[], AbstractContextManager[None]]) -> None:
        traces = together.as_traces(folder / "f")
        archs = [sx.load_accelerator(name) for name in ("spikex", "ptb", "systolic-os", "ann")]
        alone = replay_all(traces, archs)
        with thread():
            together_ = replay_all(traces, archs, jobs=2)
        for arch, one, two in zip(archs, alone, together_, strict=True):
            assert isinstance(one, sx.RunResult) and isinstance(two, sx.RunResult)
            assert figures(one) == figures(two) == figures(sx.simulate(traces, arch))

    @pytest.mark.usefixtures("not_held")
    def test_commands_write_the_same_bytes(
        self, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        weights = {index: weight for index, weight in enumerate(WEIGHTS) if weight is not None}
        save_trained(TrainedNetwork("net", "net", "base", 12, a_sample(0).layers, weights), "net.npz")
        for line in (
            "run f", "compare f --arch spikex,ptb,spinalflow", "evaluate net.npz --data f --arch spikex,ptb",
            "evaluate net.npz --data f --tws auto", "search-tws net.npz --data f --tws 1,2,3,12",
            "run f --arch spikex --tws auto", "run f/01.npz",
        ):  # fmt: skip
            found = []
            for jobs in (1, 2, 3):
                shown = succeed(capsys, *line.split(), "--jobs", jobs, "--out", "o")
                texts = {name: Path("o", name).read_text() for name in files_under(Path("o"))}
                assert texts and not any(name.endswith("sqlite") for name in texts)
                found.append((shown, {k: re.sub(r'"timestamp": ".*?"', "", v) for k, v in texts.items()}))
            assert found[0] == found[1] == found[2], line

    def test_what_no_accelerator_takes(self, folder: Path, capsys: Capture) -> None:
        for jobs in (1, 2):
            line = ("run", folder / "f", "--arch", "spinalflow", "--jobs", jobs, "--out", folder / "o")
            is_mistake(spikex(capsys, *line), "spike more than once")
            assert not (folder / "o").exists()

    @pytest.mark.parametrize("command", ["run", "compare", "evaluate nmnist", "search-tws nmnist"])
    @pytest.mark.parametrize("jobs", [0, -1, 257])
    def test_are_a_number(self, capsys: Capture, command: str, jobs: int) -> None:
        is_mistake(spikex(capsys, *command.split(), "--jobs", jobs), "jobs: must be a whole number from 1")

    def test_steps_are_watched_in_one(self, folder: Path, capsys: Capture) -> None:
        line = ("run", folder / "f/00.npz", "--accesses", folder / "a.csv", "--jobs", 2)
        is_mistake(spikex(capsys, *line), "--jobs: --timeline and --accesses")

    def test_one_that_is_killed_is_said(
        self, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(many, "kept", lambda run: __import__("os").kill(__import__("os").getpid(), 9))
        line = ("run", folder / "f", "--jobs", 2, "--out", folder / "o")
        is_mistake(spikex(capsys, *line), "its process was killed")


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cycles": lambda layer: layer.update(cycles=layer["cycles"] + 1),
    "negative": lambda layer: layer.update(cycles=-1),
    "fraction": lambda layer: layer.update(steps=1.5),
    "digits": lambda layer: layer["operations"].__setitem__(0, int("9" * 400)),
    "nan": lambda layer: layer.update(estimate_pj=float("nan")),
    "text": lambda layer: layer.update(input_spikes="7"),
    "unknown counter": lambda layer: layer["counts"].append(["adc", "convert", "", 7]),
    "counters": lambda layer: layer.update(counts={"a": 1}),
    "outputs": lambda layer: layer.update(outputs=layer["outputs"][:-8]),
    "bomb": lambda layer: layer.update(outputs=base64.b64encode(zlib.compress(bytes(50_000_000))).decode()),
    "missing": lambda layer: layer.pop("mode"),
    "mapping": lambda layer: layer.update(mapping=[["order", "x"]]),
    "stalls": lambda layer: layer.update(stalls=[0] * 5),
}


class TestResumed:
    @pytest.fixture
    def replayed(self, monkeypatch: pytest.MonkeyPatch) -> list[range]:
        units: list[range] = []
        replay = many._replayed

        def counted(task: many.Task, *rest: Any) -> Any:
            units.append(task[1].traces)
            return replay(task, *rest)

        monkeypatch.setattr(many, "_replayed", counted)
        return units

    def interrupted(self, folder: Path, at: int = 20) -> None:
        def interrupt(what: str, done: int, total: int) -> None:
            if done == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            replay_one(
                together.as_traces(folder / "f"), sx.load_accelerator("spikex"),
                resume=folder / "o/samples.sqlite", progress=interrupt,
            )  # fmt: skip

    def test_goes_on_where_it_stopped(self, folder: Path, capsys: Capture, replayed: list[range]) -> None:
        whole = sx.simulate(folder / "f")
        self.interrupted(folder)
        assert replayed == [range(16), range(16, 32)]
        shown = succeed(capsys, "run", folder / "f", "--out", folder / "o")
        assert replayed[2:] == [range(32, 40)] and shown.err == ""
        data = json.loads((folder / "o/results.json").read_text())
        assert {**data, "timestamp": ""} == json.loads(json.dumps(figures(whole)))
        assert files_under(folder / "o") == ["accesses.csv", "layers.csv", "results.json"]

    @pytest.mark.parametrize(
        "change", ["--tws 2", "--set array.rows=4", "--engine event", "--arch ptb --tws 4"]
    )
    def test_anything_changed_is_replayed(
        self, folder: Path, capsys: Capture, replayed: list[range], change: str
    ) -> None:
        self.interrupted(folder)
        succeed(capsys, "run", folder / "f", "--out", folder / "o", *change.split())
        assert len(replayed) == 2 + 3

    def test_a_changed_recording_is_replayed(
        self, folder: Path, capsys: Capture, replayed: list[range]
    ) -> None:
        self.interrupted(folder)
        sx.save_trace(a_sample(77), folder / "f/03.npz")
        succeed(capsys, "run", folder / "f", "--out", folder / "o")
        assert replayed[2:] == [range(16), range(32, 40)]

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_damage_is_said_and_replayed(
        self, folder: Path, capsys: Capture, replayed: list[range], damage: str
    ) -> None:
        self.interrupted(folder)
        with closing(sqlite3.connect(folder / "o/samples.sqlite")) as database:
            key, text = database.execute("SELECT key, row FROM points ORDER BY rowid").fetchone()
            row = json.loads(text)
            DAMAGE[damage](row["samples"][5]["layers"][2])
            database.execute("UPDATE points SET row = ? WHERE key = ?", (json.dumps(row), key))
            database.commit()
        shown = spikex(capsys, "run", folder / "f", "--out", folder / "o")
        assert shown.code == 0
        assert "samples.sqlite: damaged samples are replayed again" in shown.err
        assert len(replayed) == 4
        data = json.loads((folder / "o/results.json").read_text())
        assert data["totals"] == json.loads(json.dumps(sx.simulate(folder / "f").totals.to_dict()))

    @pytest.mark.parametrize(
        "arch", ["spikex", "ptb", "systolic-os", "systolic-ws", "sata", "ann", "ptb-stsap"]
    )
    def test_what_is_kept_is_what_was(self, arch: str) -> None:
        traces = [a_sample(0), replace(a_sample(1), label=None), replace(a_sample(2), weights={
            0: a_sample(2).weights[0]
        })]  # fmt: skip
        replay = Replay.of(traces, sx.load_accelerator(arch), "fast")
        [unit] = replay.units()
        runs = list(replay.run(unit))
        items = json.loads(json.dumps([kept(run) for run in runs]))
        again = unkept(items, replay, unit)
        assert again is not None
        if not replay.searches:
            assert unkept(items[:-1], replay, unit) is None and unkept([], replay, unit) is None
            assert unkept([*items, items[0]], replay, unit) is None
        for one, two in zip(runs, again, strict=True):
            assert (one.name, one.label, one.layers) == (two.name, two.label, two.layers)
            for left, right in zip(one.outputs, two.outputs, strict=True):
                assert (left is None) == (right is None)
                if left is not None:
                    np.testing.assert_array_equal(left, right)
        assert figures(replay.result(runs)) == figures(replay.result(again))


def test_samples_are_numbered_alike_whether_traces_are_held_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Else what follows single transfers takes one sample for another."""
    (tmp_path / "f").mkdir()
    rng = np.random.default_rng(0)
    for number in range(UNIT + 2):
        spikes = rng.random((3, 2, 6, 6, 12)) < 0.2
        sx.save_trace(sx.Trace.from_arrays(LAYERS, spikes, weights=WEIGHTS), tmp_path / f"f/{number:02}.npz")
    written = []
    for name, most in (("held", 256), ("read", 1)):
        monkeypatch.setattr(together, "MAX_HELD", most)
        succeed(capsys, "run", tmp_path / "f", "--accesses", tmp_path / f"{name}.csv")
        written.append((tmp_path / f"{name}.csv").read_text())
    assert written[0] == written[1]
    told: list[tuple[str, int, int]] = []
    sx.simulate(tmp_path / "f", progress=lambda *step: told.append(step))
    assert all(done <= total for _, done, total in told) and told[-1] == ("done", 54, 54)
