"""Trained networks on labelled samples: answers by the oracle, costs by the simulator."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, is_mistake, spikex, succeed
from spikex_sim.core.origin import commit, source_sha256
from spikex_sim.explore.evaluation import BATCH, evaluate
from spikex_sim.sources.samples import LabelledSamples, emulated_samples, load_samples
from spikex_sim.sources.synth import (
    GESTURE_CAMERA,
    digit_camera,
    generator,
    gesture_camera,
    pool_or,
    seed_of_stream,
)
from spikex_sim.sources.trained import save_trained
from study_traces import LABELS, SPIKES, T, a_trace, network, outputs_of, samples


def test_the_class_is_the_output_with_the_most_spikes_the_lowest_of_several() -> None:
    found = evaluate(network(), samples())
    for sample, spikes, label in zip(found.samples, SPIKES, LABELS, strict=True):
        left = outputs_of(spikes)[-1].reshape(4, -1).sum(axis=1)
        assert sample.spikes == tuple(left.tolist())
        best = [index for index, count in enumerate(left) if count == max(left)]
        assert (sample.predicted, sample.label) == (best[0], label)
    right = sum(sample.predicted == sample.label for sample in found.samples)
    assert found.accuracy == right / 6


def test_costs_are_those_of_replays_one_by_one() -> None:
    count = 2 * BATCH + 3
    found = evaluate(network(), samples(count), "ptb", tws=3)
    assert len(found.samples) == count and found.tws == (3, 3)
    alone = [sx.simulate(a_trace(spikes, label), "ptb", tws=3) for spikes, label in zip(SPIKES, LABELS)]
    for number, sample in enumerate(found.samples):
        totals = alone[number % 6].totals
        assert (sample.cycles, sample.seconds) == (totals.cycles, totals.seconds)
        assert (sample.energy_pj, sample.energy_on_chip_pj) == (totals.energy_pj, totals.energy_on_chip_pj)
        assert sample.edp_js == totals.edp_js
    products = [alone[number % 6].totals.edp_js for number in range(count)]
    assert found.mean("edp_js") == pytest.approx(np.mean(products), rel=1e-9, abs=0)
    assert found.median("edp_js") == pytest.approx(np.median(products), rel=1e-9, abs=0)
    per_layer = [[run.layers[index].energy_pj for run in alone] for index in (0, 2)]
    for layer, energies in zip(found.layers, per_layer, strict=True):
        wanted = np.mean([energies[number % 6] for number in range(count)])
        assert layer.energy_pj == pytest.approx(wanted)


def test_densities_are_those_of_what_enters_each_layer() -> None:
    found = evaluate(network(), samples(), tws=5)
    entered = np.stack([outputs_of(spikes)[1] for spikes in SPIKES])
    for layer, spikes in zip(found.layers, (SPIKES, entered), strict=True):
        padded = np.concatenate([spikes, np.zeros((*spikes.shape[:-1], 2), bool)], axis=-1)
        windows = padded.reshape(*spikes.shape[:-1], 3, 5).any(axis=-1)
        assert layer.spike_density == pytest.approx(spikes.mean())
        assert layer.window_density == pytest.approx(windows.mean())


def test_window_sizes() -> None:
    assert evaluate(network(), samples()).tws == (4, 4)
    assert evaluate(network("ht", (2, 3)), samples()).tws == (4, 4)
    assert evaluate(network("has", (2, 3)), samples()).tws == (2, 3)
    assert evaluate(network("has", (2, 3)), samples(), "ptb").tws == (2, 3)
    assert evaluate(network("has", (2, 3)), samples(), tws=[5, 1]).tws == (5, 1)
    assert evaluate(network("has", (2, 3)), samples(), overrides={"tws": 6}).tws == (6, 6)
    assert evaluate(network("has", (2, 3)), samples(), "systolic-os").tws == (1, 1)
    best = sx.simulate(a_trace(), "ptb")
    assert evaluate(network(), samples(), "ptb").tws == tuple(
        layer.tws for layer in best.layers if layer.tws is not None
    )


def test_progress_rises_to_the_number_of_samples() -> None:
    told: list[tuple[int, int]] = []
    evaluate(network(), samples(20), progress=lambda _what, done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (20, 20) and told[0] == (0, 20)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(sx.TraceError, match="4 is none of the 4 classes"):
        evaluate(network(), LabelledSamples((4,), lambda _n: SPIKES[0], "one"))
    with pytest.raises(sx.TraceError, match="no samples"):
        evaluate(network(), LabelledSamples((), lambda _n: SPIKES[0], "none"))
    with pytest.raises(sx.ConfigError, match="activation_bits"):
        evaluate(network(), samples(), "ann")


class TestSamples:
    @pytest.fixture
    def recorded(self, tmp_path: Path) -> Path:
        rng = np.random.default_rng(0)
        count = 60
        np.savez(
            tmp_path / "rec.npz",
            x=rng.integers(0, 8, count).astype(np.uint8), y=rng.integers(0, 8, count).astype(np.uint8),
            p=rng.integers(0, 2, count).astype(np.uint8), t=rng.integers(0, 9000, count).astype(np.uint32),
            offsets=np.array([0, 20, 45, 60], np.uint32), label=np.array([2, 0, 1]),
            split=np.array([1, 0, 1]), sensor=np.array([8, 8, 2]),
        )  # fmt: skip
        return tmp_path / "rec.npz"

    def test_recordings_are_binned_and_split(self, recorded: Path) -> None:
        found = load_samples(recorded, (2, 4, 4), 9, 1000)
        assert found.labels == (2, 1)
        with np.load(recorded) as raw:
            columns = {key: raw[key][45:60] for key in "xypt"}
        wanted = np.zeros((2, 4, 4, 9), bool)
        for x, y, p, t in zip(*columns.values(), strict=True):
            wanted[p, y // 2, x // 2, t // 1000] = True
        assert np.array_equal(found.spikes(1), wanted)
        assert load_samples(recorded, (2, 4, 4), 9, split="train").labels == (0,)
        assert load_samples(recorded, (2, 4, 4), 9, split="all").labels == (2, 0, 1)
        assert load_samples(recorded, (2, 4, 4), 9, split="all", limit=2).labels == (2, 0)
        assert len(found.sha256) == 64 and "(test)" in found.source

    def test_a_folder_of_recordings(self, recorded: Path, tmp_path: Path) -> None:
        for split in ("Train", "Test"):
            Path(tmp_path, "set", split).mkdir(parents=True)
        Path(tmp_path, "set", "Test", "a.npz").write_bytes(recorded.read_bytes())
        with np.load(recorded) as raw:
            bare = {key: raw[key] for key in raw if key != "split"}
        np.savez(tmp_path / "set" / "Train" / "b.npz", **bare)
        assert load_samples(tmp_path / "set", (2, 4, 4), 9, split="train").labels == (2, 0, 1)
        assert load_samples(tmp_path / "set", (2, 4, 4), 9).labels == (2, 1)

    def test_traces_and_folders_of_them(self, tmp_path: Path) -> None:
        sx.save_trace(a_trace(), tmp_path / "six.npz")
        found = load_samples(tmp_path / "six.npz", (2, 6, 5), 99)
        assert found.labels == LABELS
        assert all(np.array_equal(found.spikes(n), SPIKES[n]) for n in range(6))
        for number in (0, 1):
            sx.save_trace(a_trace(SPIKES[number], LABELS[number]), tmp_path / f"{number}.h5")
        (tmp_path / "six.npz").unlink()
        folder = load_samples(tmp_path, (2, 6, 5), 99, limit=2)
        assert folder.labels == LABELS[:2] and np.array_equal(folder.spikes(1), SPIKES[1])

    def test_emulated_samples_are_of_the_camera_that_fits(self) -> None:
        digits = emulated_samples((2, 34, 34), 6, count=12)
        assert digits.labels == (*range(10), 0, 1) and "digits" in digits.source
        assert digits.spikes(3).shape == (2, 34, 34, 6)
        assert not np.array_equal(digits.spikes(1), digits.spikes(11))
        assert np.array_equal(digits.spikes(1), emulated_samples((2, 34, 34), 6, count=2).spikes(1))
        gestures = emulated_samples((2, 32, 32), 4, count=1)
        assert gestures.spikes(0).shape == (2, 32, 32, 4) and "1 gesture in front" in gestures.source
        with pytest.raises(sx.ConfigError, match="none are emulated"):
            emulated_samples((3, 32, 32), 4)

    def test_training_samples_are_of_other_images_people_and_sizes(self) -> None:
        digits = emulated_samples((2, 34, 34), 6, count=12, seed=5, training=True)
        seed = seed_of_stream(5, 11)
        rng = generator(seed)
        varied = {"height_px": rng.uniform(17, 21), "contrast": rng.uniform(1.4, 2.1)}
        assert np.array_equal(digits.spikes(11), digit_camera(1, 1, timesteps=6, seed=seed, **varied))
        for training, stream, frame_ms in ((True, 2, 2.5), (False, (1 << 20) + 2, 1.0)):
            made = emulated_samples((2, 32, 32), 4, count=3, seed=5, training=training).spikes(2)
            camera = replace(GESTURE_CAMERA, frame_ms=frame_ms)
            seen = gesture_camera(2, timesteps=4, step_ms=5, seed=seed_of_stream(5, stream), camera=camera)
            assert np.array_equal(made, pool_or(seen, 4))

    def test_what_cannot_be_used_is_refused(self, recorded: Path, tmp_path: Path) -> None:
        with pytest.raises(sx.TraceError, match="cannot be merged"):
            load_samples(recorded, (2, 3, 3), 9)
        with pytest.raises(sx.ConfigError, match="split"):
            load_samples(recorded, (2, 4, 4), 9, split="valid")  # type: ignore[arg-type]
        with pytest.raises(sx.ConfigError, match="limit"):
            load_samples(recorded, (2, 4, 4), 9, limit=0)
        with np.load(recorded) as raw:
            np.savez(tmp_path / "bare.npz", **{key: raw[key] for key in raw if key != "label"})
            np.savez(tmp_path / "train.npz", **{**raw, "split": np.zeros(3, int)})
        with pytest.raises(sx.TraceError, match="label: is missing"):
            load_samples(tmp_path / "bare.npz", (2, 4, 4), 9)
        with pytest.raises(sx.TraceError, match="no samples for test"):
            load_samples(tmp_path / "train.npz", (2, 4, 4), 9)
        sx.save_trace(a_trace(label=None), tmp_path / "t.npz")
        with pytest.raises(sx.TraceError, match="label"):
            load_samples(tmp_path / "t.npz", (2, 6, 5), 9)
        sx.save_trace(a_trace(), tmp_path / "t.npz")
        with pytest.raises(sx.TraceError, match="takes"):
            load_samples(tmp_path / "t.npz", (2, 4, 4), 9)


class TestCommand:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(), "six.npz")
        save_trained(network("has", (2, 3)), "has.npz")
        return tmp_path

    def test_it_prints_and_writes_what_the_library_finds(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = ("evaluate", "has.npz", "--data", "six.npz", "--arch", "spikex,ptb", "--out", "o")
        shown = succeed(capsys, *line)
        found = evaluate(network("has", (2, 3)), samples())
        right = round(6 * found.accuracy)
        assert f"correct: {right} of 6, {100 * found.accuracy:.2f} %" in shown.lines
        assert any(
            line.split()[:3] == ["spikex", "2,3", f"{found.mean('cycles'):,.0f}"] for line in shown.lines
        )
        assert shown.lines[-1] == "wrote o/evaluate.json"
        written = json.loads(Path("o/evaluate.json").read_text())
        first, second = written["runs"]
        assert [first["arch"], second["arch"]] == ["spikex", "ptb"]
        assert (first["tws"], first["accuracy"]) == ([2, 3], found.accuracy)
        assert [tuple(one["spikes"]) for one in first["samples"]] == [one.spikes for one in found.samples]
        assert [one["predicted"] for one in second["samples"]] == [one.predicted for one in found.samples]
        assert first["mean"]["edp_js"] == found.mean("edp_js")
        assert written["data"]["sha256"] == load_samples("six.npz", (2, 6, 5), T).sha256
        from spikex_sim.sources.trained import load_trained

        assert written["network"]["sha256"] == load_trained("has.npz").file_sha256
        again = json.loads(Path("o/evaluate.json").read_text())
        succeed(capsys, *line)
        assert json.loads(Path("o/evaluate.json").read_text()) == again

    def test_it_says_why_so_few_are_right(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shown = " ".join(succeed(capsys, "evaluate", "nmnist", "--limit", "2").out.split())
        assert "learned from recordings and were asked about emulated samples" in shown
        assert "--data FILE takes recordings" in shown
        card = {"data": "emulated digits"}
        save_trained(replace(network("has", (2, 3)), card=card), "emulated.npz")
        shown = " ".join(succeed(capsys, "evaluate", "emulated.npz", "--data", "six.npz").out.split())
        assert "learned from emulated samples and were asked about recordings" in shown
        assert "badly" not in succeed(capsys, "evaluate", "has.npz", "--data", "six.npz").out

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            ("evaluate nope", "nope-base"),
            ("evaluate nope.npz", "nope.npz"),
            ("evaluate nmnist-ht.npz", "no such file; nmnist-ht names the one that comes along"),
            ("evaluate nmnist-ht --variant base", "nmnist-ht.npz: is of the variant ht, not base"),
            ("evaluate has.npz --variant ht --data six.npz", "variant has"),
            ("evaluate has.npz --variant best --data six.npz", "variant"),
            ("evaluate has.npz", "none are emulated"),
            ("evaluate has.npz --data none.npz", "none.npz"),
            ("evaluate has.npz --data six.npz --tws 1,2,3", "3 window sizes"),
            ("evaluate has.npz --data six.npz --step-ms 0", "step_ms"),
            ("evaluate has.npz --data six.npz --split some", "split"),
            ("search-tws has.npz --data six.npz --compare 1", "lists 1"),
            ("search-tws has.npz --data six.npz --tws 1,99", "1 to 13"),
            ("hardware-model nope --out m.json", "nope"),
            ("hardware-model nmnist --out m.json --figure m.gif", "--figure"),
            ("hardware-model nmnist --out m.json --tws a", "--tws"),
        ],
    )
    def test_mistakes_are_one_line(
        self, here: Path, capsys: pytest.CaptureFixture[str], line: str, word: str
    ) -> None:
        before = sorted(here.iterdir())
        is_mistake(spikex(capsys, *line.split()), word)
        assert sorted(here.iterdir()) == before

    def test_search_sets_the_searched_sizes_beside(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(capsys, "search-tws", "has.npz", "--data", "six.npz", "--tws", "1,4", "--out", "o")
        rows = {line.split()[0]: line.split()[1:] for line in shown.lines if line}
        edp = sx.simulate(a_trace(), tws=[2, 3]).totals.edp_js
        assert rows["given"][:2] == ["2,3", f"{edp:.4g}"]
        assert rows["exhaustive"][2] == "1.000" and rows["exhaustive"][-1] == "16"
        glossary = Path(REPOSITORY, "docs", "glossary.md").read_text("utf-8")
        listed = re.findall(
            r"^[|] `(\w+)`", glossary.split("## search.csv")[1].split("\n## ")[0], re.MULTILINE
        )
        header, first = (line.split(",") for line in Path("o/search.csv").read_text().splitlines()[:2])
        assert header == listed and first[-2:] == [commit(), source_sha256()]
