"""Studies: dynamic time steps, and an SNN against its ANN."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
import naive_studies
import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from examples import examples
from spikex_sim.explore import ann as ann_study
from spikex_sim.explore import prefix
from spikex_sim.explore.dynamic import class_counts, normalised_entropy, samples_of, stopping_points
from spikex_sim.testing.own_keys import own
from study_traces import LABELS, NEURON, SPIKES, WEIGHTS, T, a_trace, layers, outputs_of


class TestEntropy:
    COUNTS = st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=1, max_size=9)

    @examples(200)
    @given(counts=COUNTS)
    def test_is_that_of_the_definition(self, counts: list[list[int]]) -> None:
        found = normalised_entropy(np.array(counts))
        assert found == pytest.approx([naive_studies.entropy(row) for row in counts], abs=1e-12)
        assert np.all((found >= 0) & (found <= 1 + 1e-15))

    @pytest.mark.parametrize("classes", [2, 3, 7, 10, 1000])
    def test_equal_counts_are_exactly_1_and_one_class_exactly_0(self, classes: int) -> None:
        for count in (0, 1, 3, 7):
            assert normalised_entropy(np.full(classes, count)) == 1.0
        assert normalised_entropy(np.eye(classes, dtype=np.int64)[0] * 5) == 0.0

    @examples(200)
    @given(
        seed=st.integers(0, 1 << 30), classes=st.integers(2, 6), steps=st.integers(1, 19),
        rate=st.sampled_from([0.02, 0.1, 0.5, 0.9]), threshold=st.sampled_from([0, 0.1, 0.37, 0.8, 0.95, 1]),
        shape=st.sampled_from([(), (1, 1), (2, 3)]),
    )  # fmt: skip
    def test_stops_where_the_definition_stops(
        self, seed: int, classes: int, steps: int, rate: float, threshold: float, shape: tuple[int, ...]
    ) -> None:
        spikes = np.random.default_rng(seed).random((classes, *shape, steps)) < rate
        counts = class_counts(np.packbits(spikes, axis=-1)[None], steps)
        for timesteps in range(1, steps + 1):
            assert counts[timesteps - 1].tolist() == naive_studies.counts_after(spikes, timesteps)
        (found,) = stopping_points(normalised_entropy(counts[None]), threshold)
        assert found == naive_studies.stopping_point(spikes, threshold)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Any]]:
    """Content, time points and window size of everything that a study replays."""
    done: list[tuple[str, int, Any]] = []
    simulate_on = prefix.simulate_on

    def noted(arrays: Any, traces: list[sx.Trace], arch: sx.Accelerator, **options: Any) -> sx.RunResult:
        done.append((traces[0].sha256, traces[0].timesteps, arch.get("tws", default=1)))
        return simulate_on(arrays, traces, arch, **options)

    monkeypatch.setattr(prefix, "simulate_on", noted)
    return done


THRESHOLDS = (0, 0.2, 0.55, 0.9, 1)


class TestDynamic:
    @pytest.mark.parametrize("arch", ["spikex", "ptb", "sata", "systolic-os"])
    def test_rows_are_those_of_the_definition(self, arch: str, replays: list[Any]) -> None:
        rows = sx.dynamic_timesteps(a_trace(), arch, THRESHOLDS, overrides=own(arch, {"tws": 4}))
        assert len(replays) == len(set(replays)), "a replay was done twice"
        outputs = [outputs_of(spikes)[-1] for spikes in SPIKES]
        whole = [self.costs(spikes, arch, T) for spikes in SPIKES]
        for row, threshold in zip(rows, THRESHOLDS, strict=True):
            ends = [naive_studies.stopping_point(spikes, threshold) for spikes in outputs]
            right = [
                naive_studies.predicted(naive_studies.counts_after(spikes, end)) == label
                for spikes, end, label in zip(outputs, ends, LABELS, strict=True)
            ]
            found = [self.costs(spikes, arch, end) for spikes, end in zip(SPIKES, ends, strict=True)]
            assert (row.threshold, row.samples) == (threshold, 6)
            assert row.mean_timesteps == pytest.approx(sum(ends) / 6)
            assert row.accuracy == pytest.approx(sum(right) / 6)
            for key in ("energy_pj", "energy_on_chip_pj", "seconds", "edp_js"):
                mean = sum(getattr(one, key) for one in found) / 6
                assert getattr(row, key) == pytest.approx(mean)
            for saving, key in (("energy", "energy_pj"), ("latency", "seconds"), ("edp", "edp_js")):
                share = sum(getattr(one, key) for one in found) / sum(getattr(one, key) for one in whole)
                assert getattr(row, f"{saving}_saving") == pytest.approx(1 - share, abs=1e-12)
        assert rows[0].mean_timesteps == T > rows[-1].mean_timesteps
        assert len({row.mean_timesteps for row in rows}) > 2, "too tame an example"

    @staticmethod
    def costs(spikes: Any, arch: str, timesteps: int) -> Any:
        keys = own(arch, {"tws": min(4, timesteps)})
        return sx.simulate(a_trace(spikes[..., :timesteps], 0), arch, overrides=keys).totals

    def test_window_sizes_are_cut_and_auto_is_not(self, replays: list[Any]) -> None:
        sx.dynamic_timesteps(a_trace(SPIKES[0], 0), "spikex", (0, 1), tws=[9, 2])
        (_, whole, sizes), (_, cut, smaller) = replays
        assert (whole, sizes, smaller) == (T, (9, 2), (min(9, cut), min(2, cut)))
        replays.clear()
        sx.dynamic_timesteps(a_trace(SPIKES[0], 0), "spikex", (0, 1), tws="auto")
        assert [tws for _, _, tws in replays] == ["auto", "auto"]

    def test_samples_may_be_traces_batches_folders_and_files(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        one, two, rest = a_trace(SPIKES[0], 0), a_trace(SPIKES[1], 1), a_trace(SPIKES[2:], LABELS[2:])
        sx.save_trace(one, tmp_path / "one.npz")
        sx.save_trace(two, tmp_path / "folder" / "two.npz")
        mixed = [str(tmp_path / "one.npz"), tmp_path / "folder", rest]
        assert sx.dynamic_timesteps(mixed) == sx.dynamic_timesteps(a_trace())

    def test_a_convolution_may_classify(self) -> None:
        trace = sx.Trace.from_arrays(layers(NEURON)[:2], SPIKES[0], weights=WEIGHTS[:1], label=2)
        outputs = outputs_of(SPIKES[0])[0]
        (row,) = sx.dynamic_timesteps(trace, thresholds=[0.9])
        end = naive_studies.stopping_point(outputs, 0.9)
        right = naive_studies.predicted(naive_studies.counts_after(outputs, end)) == 2
        assert (row.mean_timesteps, row.accuracy) == (end, right)

    def test_recorded_spikes_are_cut_too(self) -> None:
        recorded = {0: SPIKES[0], 2: SPIKES[1].reshape(60, T)[:20]}
        trace = a_trace(recorded, 3)
        last = naive.forward(layers(NEURON)[2], recorded[2], WEIGHTS[2])
        (row,) = sx.dynamic_timesteps(trace, thresholds=[0.9])
        assert row.mean_timesteps == naive_studies.stopping_point(last, 0.9)

    def test_samples_of_a_batch(self) -> None:
        taken = samples_of(a_trace())
        assert [one.label for one in taken] == list(LABELS)
        for one, spikes in zip(taken, SPIKES, strict=True):
            assert one.sha256 == a_trace(spikes, one.label).sha256

    def test_nobody_spikes(self) -> None:
        silent = a_trace(np.zeros((2, 6, 5, T), bool), 0)
        (row,) = sx.dynamic_timesteps(silent, thresholds=[1.0])
        assert (row.mean_timesteps, row.accuracy, row.energy_saving) == (T, 0.0, 0.0)  # nothing is predicted


class TestAgainstAnn:
    POINTS = (5, 1, 13)

    def test_costs_and_ratios(self, replays: list[Any]) -> None:
        found = sx.against_ann(a_trace(), "ptb", "ann", self.POINTS, tws=4)
        assert [(timesteps, tws) for _, timesteps, tws in replays] == [(1, 1), (5, 4), (13, 4)]
        reference = sx.simulate(a_trace(), "ann").totals
        rows = [(found.ann, None, "ann", reference)]
        for row, timesteps in zip(found.snn, sorted(self.POINTS), strict=True):
            trace = a_trace(SPIKES[..., :timesteps])
            rows.append((row, timesteps, "ptb", sx.simulate(trace, "ptb", tws=min(4, timesteps)).totals))
        for row, timesteps, arch, totals in rows:
            assert (row.arch, row.timesteps, row.cycles) == (arch, timesteps, totals.cycles)
            for key in ("seconds", "energy_pj", "energy_on_chip_pj", "edp_js", "tops_per_watt"):
                assert getattr(row, key) == getattr(totals, key)
            for ratio, key in (("energy", "energy_pj"), ("energy_on_chip", "energy_on_chip_pj"),
                               ("latency", "seconds"), ("edp", "edp_js")):  # fmt: skip
                wanted = getattr(totals, key) / getattr(reference, key)
                assert getattr(row, f"{ratio}_ratio") == pytest.approx(wanted)

    @pytest.mark.parametrize(
        ("timesteps", "wanted"), [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8]), (13, [1, 2, 4, 8, 13])]
    )
    def test_default_time_points(self, timesteps: int, wanted: list[int]) -> None:
        found = sx.against_ann(a_trace().first(timesteps), tws=1)
        assert [row.timesteps for row in found.snn] == wanted

    def test_the_ann_costs_the_same_whatever_its_activations_unless_gated(self) -> None:
        traces = (a_trace(), a_trace().first(3))
        plain, other = (sx.against_ann(trace, timesteps=[1], tws=1) for trace in traces)
        assert plain == other
        gate = {"zero_gating": True}
        gated, fewer = (
            sx.against_ann(trace, "spikex", "ann", [1], tws=1, overrides=gate) for trace in traces
        )
        assert fewer.ann.energy_pj < gated.ann.energy_pj < plain.ann.energy_pj
        assert gated.ann.cycles == plain.ann.cycles

    @pytest.mark.parametrize(
        ("ratios", "last"),
        [((2, 3, 1), None), ((0.5, 0.9, 1), 2), ((0.5, 1.2, 0.9), 4), ((0.5, 0.6, 0.7), 4), ((3, 0.9, 2), 2)],
    )
    def test_pays_until_the_last_that_is_below(self, ratios: tuple[float, ...], last: int | None) -> None:
        found = sx.against_ann(a_trace(SPIKES[0], 0), timesteps=[1, 2, 4])
        rows = [replace(row, edp_ratio=ratio) for row, ratio in zip(found.snn, ratios, strict=True)]
        assert replace(found, snn=tuple(rows)).pays_until("edp") == last

    def test_overrides_change_both(self) -> None:
        small = sx.against_ann(a_trace(), timesteps=[4], overrides={"array.rows": 2})
        for row, arch, trace in ((small.ann, "ann", a_trace()), (small.snn[0], "spikex", a_trace().first(4))):
            assert row.cycles == sx.simulate(trace, arch, overrides={"array.rows": 2}).totals.cycles


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    sx.save_trace(a_trace(SPIKES[0], 0, name="one"), "one.npz")
    return tmp_path


class TestCommands:
    def test_dynamic(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = ("dynamic", "t.npz", "one.npz", "--arch", "sata", "--thresholds", "0, 0.5", "--out", "o")
        shown = succeed(capsys, *line)
        rows = sx.dynamic_timesteps(["t.npz", "one.npz"], "sata", (0, 0.5))
        with Path("o/dynamic.csv").open(newline="") as file:
            written = list(csv.DictReader(file))
        assert shown.lines[0] == "s and 1 more (T=13, 7 samples) on sata"
        assert shown.lines[-1] == "wrote o/dynamic.csv"
        for row, kept in zip(rows, written, strict=True):
            assert (kept["trace"], kept["arch"], kept["engine"]) == ("s and 1 more", "sata", "fast")
            for key in type(row).__dataclass_fields__:
                assert float(kept[key]) == getattr(row, key)
            start = [f"{row.threshold:g}", f"{row.mean_timesteps:.2f}", f"{100 * row.accuracy:.1f}"]
            assert start in [printed.split()[:3] for printed in shown.lines]

    def test_ann(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "ann", "t.npz", "--timesteps", "1,8", "--tws", 3, "--out", "o")
        found = sx.against_ann("t.npz", timesteps=(1, 8), tws=3)
        with Path("o/ann.csv").open(newline="") as file:
            written = list(csv.DictReader(file))
        assert [row["timesteps"] for row in written] == ["", "1", "8"]
        assert [row["arch"] for row in written] == ["ann", "spikex", "spikex"]
        for row, kept in zip((found.ann, *found.snn), written, strict=True):
            assert float(kept["energy_pj"]) == row.energy_pj and int(kept["cycles"]) == row.cycles
            assert float(kept["edp_ratio"]) == row.edp_ratio
        cells = [line.split() for line in shown.lines]
        assert any(line[:2] == ["T=8", f"{found.snn[1].cycles:,}"] for line in cells)

    @pytest.mark.parametrize(
        ("ratios", "words"),
        [((0.5, 0.6), "always"), ((1, 2), "never"), ((0.5, 1.0), "up to T=1"), ((2, 0.5), "up to T=2")],
    )
    def test_until_when_it_pays(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        ratios: tuple[float, float], words: str,
    ) -> None:  # fmt: skip
        true = sx.against_ann("one.npz", timesteps=(1, 2))
        rows = [replace(row, energy_ratio=ratio) for row, ratio in zip(true.snn, ratios, strict=True)]
        monkeypatch.setattr(ann_study, "against_ann", lambda *_, **__: replace(true, snn=tuple(rows)))
        last = succeed(capsys, "ann", "one.npz").lines[-1]
        assert last.startswith(f"SNN below the ANN: energy {words}, without DRAM ")

    def test_both_have_a_trace_to_begin_with(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert succeed(capsys, "dynamic").lines[0] == "nmnist-digit (T=30) on spikex"
        assert succeed(capsys, "ann", "--timesteps", 1).lines[0].startswith("nmnist-digit (T=30): SNN on")


Refuse = Callable[..., str]


@pytest.fixture
def refuse(here: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command with an output folder: refused in one line, nothing written."""

    def run(line: str, *words: str) -> str:
        before = files_under(here)
        message = is_mistake(spikex(capsys, *line.split(), "--out", "o"), *words)
        assert files_under(here) == before
        return message

    return run


RECORDED = SPIKES[0].reshape(60, T)[:20]
TRACES = {
    "no label": (a_trace(SPIKES[0], None), "label: is missing"),
    "no class of that number": (a_trace(SPIKES[0], 4), "label: 4 is none of the 4 classes of 'fc'"),
    "a negative class": (a_trace(SPIKES[0], -1), "label: -1 is none of the 4 classes"),
    "one wrong label of several": (a_trace(SPIKES, (0, 1, 2, 3, 4, 0)), "label: 4 is none"),
    "no weights": (
        a_trace({0: SPIKES[0], 2: RECORDED}, 0, weights=()), "2/weight: the classifier"),
    "no weights of the classifier": (a_trace(SPIKES[0], 0, weights=WEIGHTS[:1]), "2/weight"),
    "one class": (
        sx.Trace.from_arrays([layers(NEURON)[2] | {"out_channels": 1}], RECORDED,
                             weights=[WEIGHTS[2][:1]], label=0), "layers.0: the classifier 'fc' has one"),
    "no classifier": (
        sx.Trace.from_arrays([layers(NEURON)[1]], outputs_of(SPIKES[0])[0], label=0),
        "layers: needs a conv"),
}  # fmt: skip


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--thresholds x", ("--thresholds", "numbers separated by commas", "'x'")),
            ("--thresholds ,", ("--thresholds", "names nothing")),
            ("--thresholds 0,1.1", ("thresholds", "from 0 to 1", "not 1.1")),
            ("--thresholds -0.1", ("thresholds", "from 0 to 1", "not -0.1")),
            ("--thresholds nan", ("thresholds", "from 0 to 1", "not nan")),
            ("--thresholds inf", ("thresholds", "not inf")),
            ("--thresholds 0.5,0.50", ("thresholds", "twice")),
            ("--arch ann", ("ann: activation_bits", "computes activations")),
            ("--arch spikx", ("spikx", "did you mean spikex?")),
            ("--arch spinalflow", ("spinalflow", "spike more than once")),
            ("--tws 14", ("tws", "14", "13 time points")),
            ("--tws 0", ("tws", "at least 1")),
            ("--engine fats", ("fats",)),
            ("--set array.rows=0", ("array.rows",)),
        ],
    )
    def test_dynamic(self, refuse: Refuse, options: str, words: tuple[str, ...]) -> None:
        refuse(f"dynamic t.npz {options}", *words)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--timesteps x", ("--timesteps", "numbers separated by commas")),
            ("--timesteps 1.5", ("--timesteps", "numbers separated by commas")),
            (f"--timesteps {'9' * 5000}", ("--timesteps",)),
            ("--timesteps ,", ("--timesteps", "names nothing")),
            ("--timesteps 0,1", ("timesteps", "from 1 to 13", "not 0")),
            ("--timesteps 14", ("timesteps", "from 1 to 13", "not 14")),
            ("--timesteps 2,2", ("timesteps", "twice")),
            ("--arch ann", ("ann: activation_bits", "computes activations")),
            ("--ann spikex", ("spikex: activation_bits", "computes spikes")),
            ("--ann spikx", ("spikx", "did you mean spikex?")),
            ("--arch spinalflow", ("spinalflow", "spike more than once")),
            ("--timesteps 1 --tws 14", ("tws", "14", "13 time points")),
            ("--tws four", ("tws", "four")),
            ("--engine fats", ("fats",)),
            ("--set array.rows=0", ("array.rows",)),
        ],
    )
    def test_ann(self, refuse: Refuse, options: str, words: tuple[str, ...]) -> None:
        assert len(refuse(f"ann t.npz {options}", *words)) < 1000

    @pytest.mark.parametrize("command", ["dynamic", "ann"])
    def test_no_such_trace(self, refuse: Refuse, command: str) -> None:
        assert refuse(f"{command} absent.npz", "no such file").startswith("absent.npz: ")

    @pytest.mark.parametrize("case", TRACES)
    def test_traces_that_cannot_be_classified(self, refuse: Refuse, case: str) -> None:
        trace, words = TRACES[case]
        sx.save_trace(trace, "bad.npz")
        assert refuse("dynamic bad.npz", words).startswith("bad.npz: ")

    def test_samples_of_different_networks(self, refuse: Refuse) -> None:
        sx.save_trace(a_trace(SPIKES[0, ..., :9], 0), "short.npz")
        refuse("dynamic t.npz short.npz", "short.npz", "time points")

    def test_nothing_to_compare_with_an_ann(self, refuse: Refuse) -> None:
        sx.save_trace(sx.Trace.from_arrays([layers(NEURON)[1]], outputs_of(SPIKES[0])[0]), "pool.npz")
        assert refuse("ann pool.npz", "needs a conv or linear layer").startswith("pool.npz: layers: ")

    @pytest.mark.parametrize("thresholds", [None, 0.5, "0.5", (), ("a",), (True,), (None,), [[0.1]]])
    def test_thresholds_in_python(self, thresholds: Any) -> None:
        with pytest.raises(sx.ConfigError, match=r"^thresholds: "):
            sx.dynamic_timesteps(a_trace(), thresholds=thresholds)

    @pytest.mark.parametrize("timesteps", [4, "4", (), (1.0,), (True,), (None,)])
    def test_timesteps_in_python(self, timesteps: Any) -> None:
        with pytest.raises(sx.ConfigError, match=r"^timesteps: "):
            sx.against_ann(a_trace(), timesteps=timesteps)

    @pytest.mark.parametrize("kind", [np.int64, np.uint8])
    def test_numbers_of_numpy_are_numbers(self, kind: Any) -> None:
        found = sx.against_ann(a_trace(SPIKES[0], 0), timesteps=np.array([4, 2], kind), tws=4)
        assert [row.timesteps for row in found.snn] == [2, 4] and type(found.snn[0].timesteps) is int
        assert sx.dynamic_timesteps(a_trace(SPIKES[0], 0), thresholds=np.array([0.5])) == (
            sx.dynamic_timesteps(a_trace(SPIKES[0], 0), thresholds=[0.5])
        )
