"""Training from the command line: it learns, it is the same again, it goes on after a kill."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_training_losses import Cost, Model  # noqa: E402

import spikex_sim as sx  # noqa: E402
from command import REPOSITORY, environment, is_mistake, last, spikex, succeed  # noqa: E402
from spikex_sim.core.errors import TraceError  # noqa: E402
from spikex_sim.core.origin import pip_install  # noqa: E402
from spikex_sim.papers.spikex.trained import read_log  # noqa: E402
from spikex_sim.sources.trained import load_trained  # noqa: E402
from spikex_sim.spec.networks import load_network  # noqa: E402
from spikex_sim.training.data import Splits  # noqa: E402
from spikex_sim.training.loop import Trainer  # noqa: E402
from spikex_sim.training.losses import HardwareLoss  # noqa: E402
from spikex_sim.training.measure import measure  # noqa: E402
from spikex_sim.training.module import SpikingNetwork  # noqa: E402
from spikex_sim.training.recipe import Recipe  # noqa: E402
from spikex_sim.training.samples import Augmentation, Chosen, PackedSpikeData  # noqa: E402
from spikex_sim.training.search import ArchitectureSearch, Axis, costs_of_models  # noqa: E402

NETWORK = """\
name: net
timesteps: 8
layers:
  - {name: conv, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, stride: 2, in_height: 8, in_width: 8}
  - {name: fc, kind: linear, in_channels: 36, out_channels: 3}
"""


def some_spikes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Spikes ``[count, 2, 8, 8, 8]`` of three classes: a busy row, a busy column, neither."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    spikes = rng.random((count, 2, 8, 8, 8)) < 0.02
    for sample, label in enumerate(labels):
        place = rng.integers(1, 7)
        busy = rng.random((2, 8, 8)) < 0.7
        if label == 0:
            spikes[sample, :, place] |= busy
        elif label == 1:
            spikes[sample, :, :, place] |= busy
    return spikes, labels


def splits(seed: int = 0) -> Splits:
    spikes, labels = some_spikes(240, seed)
    data = PackedSpikeData(np.packbits(spikes, axis=-1), labels, 8, Augmentation(drop=0.1))
    parts = [Chosen(data, np.arange(start, stop)) for start, stop in ((0, 180), (180, 210), (210, 240))]
    return Splits(*parts, about="rows and columns", step_us=1000)


@pytest.fixture
def network(tmp_path: Path) -> Any:
    (tmp_path / "net.yaml").write_text(NETWORK)
    return load_network(tmp_path / "net.yaml")


def drawn(network: Any, data: Splits) -> SpikingNetwork:
    sample = torch.from_numpy(data.training.batch(np.arange(20), None))
    return SpikingNetwork.drawn(network, sample, 1)


def model(**scales: float) -> Model:
    """Costs that rise with the density of windows, by window size."""
    costs = {}
    for name, windows in (("conv", 128), ("fc", 36)):
        for tws in (1, 2, 4):
            value = scales.get(f"{name}{tws}", 1.0)
            costs[name, tws] = Cost((0.01, 1.0), (value, 2 * value), windows * (8 // tws))
    return Model(costs)


def test_it_learns(network: Any) -> None:
    data = splits()
    spiking = drawn(network, data)
    before = measure(spiking, data.test, (4, 4)).accuracy
    rows = Trainer(spiking, data, Recipe(epochs=10, batch=10, learning_rate=0.1), (4, 4)).run()
    after = measure(spiking, data.test, (4, 4))
    assert after.accuracy >= 0.65 > before
    assert measure(spiking, data.training, (4, 4)).accuracy >= 0.85
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    best = max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
    kept = measure(spiking, data.validation, (4, 4))
    assert (kept.accuracy, kept.loss) == pytest.approx((best["validation_accuracy"], best["validation_loss"]))


def test_the_hardware_loss_thins_the_windows_and_keeps_the_accuracy(network: Any) -> None:
    data = splits()
    spiking = drawn(network, data)
    Trainer(spiking, data, Recipe(epochs=10, batch=10, learning_rate=0.1), (4, 4)).run()
    base = measure(spiking, data.validation, (4, 4))
    hardware = HardwareLoss.of(model(), ["conv", "fc"], (4, 4))
    recipe = Recipe(epochs=6, warmup_epochs=0, batch=10, learning_rate=0.05, beta=0.02, tolerance=0.0)
    rows = Trainer(spiking, data, recipe, (4, 4), hardware).run()
    thin = measure(spiking, data.validation, (4, 4), hardware=hardware)
    assert thin.densities[1] < 0.8 * base.densities[1] and thin.densities[0] == base.densities[0]
    assert thin.accuracy >= base.accuracy
    assert rows[-1]["hardware_loss"] < rows[0]["hardware_loss"] <= 120


def test_the_search_takes_the_cheapest_window_sizes(network: Any) -> None:
    data = splits()
    spiking = drawn(network, data)
    axes = [Axis("tws", (1, 2, 4))]
    costs = costs_of_models({(): model(conv2=0.05, fc4=0.05)}, axes)
    search = ArchitectureSearch(["conv", "fc"], axes, costs)
    recipe = Recipe(epochs=4, warmup_epochs=0, batch=10, beta=0.01, architecture_rate=0.1)
    Trainer(spiking, data, recipe, (4, 4), search).run()
    assert [options["tws"] for options in search.chosen()] == [2, 4]


def test_weights_and_architecture_are_learned_on_different_samples(network: Any) -> None:
    data = splits()
    seen: dict[str, list[int]] = {"training": [], "validation": []}

    class Watched:
        def __init__(self, part: Any, name: str) -> None:
            self.part, self.name, self.labels = part, name, part.labels

        def batch(self, samples: Any, rng: Any) -> Any:
            seen[self.name].append(len(samples))
            return self.part.batch(samples, rng)

    watched = Splits(
        Watched(data.training, "training"),
        Watched(data.validation, "validation"),
        data.test,
        data.about,
        1000,
    )
    axes = [Axis("tws", (1, 2))]
    search = ArchitectureSearch(["conv", "fc"], axes, costs_of_models({(): model()}, axes))
    spiking = drawn(network, data)
    before = [stored.detach().clone() for stored in spiking.stored]
    trainer = Trainer(spiking, watched, Recipe(epochs=1, batch=10, beta=0.1), (1, 1), search)
    batch = torch.from_numpy(data.validation.batch(np.arange(5), None))
    trainer._architecture_step(batch, torch.from_numpy(data.validation.labels[:5]))
    assert all(torch.equal(one, two) for one, two in zip(before, spiking.stored, strict=True))
    assert any(bool(alpha.detach().abs().sum()) for alpha in search.parameters)
    trainer.run()
    assert seen["training"] == [10] * 18
    # At the start and the end of the epoch all 30, and after each of 18 steps ten for the architecture.
    assert seen["validation"] == [10] * (3 + 18 + 3)


# -------------------------------------------------------------------- the command

BASE = ("train", "net.yaml", "--data", "rec.npz", "--step-ms", 1, "--epochs", 4, "--batch", 10)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NETWORK)
    spikes, labels = some_spikes(90)
    sample, p, y, x, t = np.nonzero(spikes)
    offsets = np.searchsorted(sample, np.arange(91))
    split = np.arange(90) >= 75
    np.savez("rec.npz", x=x, y=y, p=p, t=1000 * t, offsets=offsets, label=labels,
             split=split.astype(np.uint8), sensor=np.array([8, 8, 2]))  # fmt: skip
    return tmp_path


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_weights_log_and_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, *last(*BASE, "--out", "w/net.npz", "--seed", 3))
    trained = load_trained("w/net.npz")
    assert (trained.name, trained.network, trained.variant) == ("net-base", "net", "base")
    assert (trained.timesteps, trained.tws) == (8, None)
    card = trained.card
    assert card["command"] == (
        "spikex-sim train net.yaml --out net.npz --data rec.npz --epochs 4 --batch 10 --step-ms 1.0 --seed 3"
    )
    assert (
        card["recipe"]["seed"] == 3
        and "rec.npz: 69 recordings for training, 6 for validation, 15 for testing" in card["data"]
    )
    assert f"{100 * card['test']['accuracy']:.1f}" in shown.out
    rows = rows_of("w/net.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert shown.lines[-1] == "wrote w/net.npz, w/net.csv"
    succeed(capsys, *last(*BASE, "--out", "again.npz", "--seed", 3))
    again = load_trained("again.npz")
    for index, weight in trained.weights.items():
        np.testing.assert_array_equal(again.weights[index], weight)
    # Its accuracy is that of the simulator.
    from spikex_sim.training.run import Plan, splits_of

    plan = Plan("net.yaml", Recipe(seed=3), data=Path("rec.npz"), step_ms=1)
    test = splits_of(plan, load_network("net.yaml")).test
    correct = 0
    for sample, label in enumerate(test.labels):
        spikes = np.moveaxis(test.batch(np.array([sample]), None)[:, 0], 0, -1) > 0
        outputs = sx.simulate(trained.trace(spikes)).outputs
        counts = np.unpackbits(outputs[0], axis=-1, count=8).sum(-1)
        correct += int(counts.argmax() == label)
    assert correct / len(test.labels) == card["test"]["accuracy"]


def test_several_betas_give_the_table_of_fig_7(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *last(*BASE, "--out", "net.npz", "--epochs", 2))
    more = ("--epochs", 2, "--init", "net.npz", "--ht", "0.001,5", "--tws", 3, "--checkpoint", "ck")
    shown = succeed(capsys, *last(*BASE, "--out", "ht.npz", *more))
    rows = rows_of("ht-sweep.csv")
    assert [row["beta"] for row in rows] == ["0.001", "5.0"]
    for row, name in zip(rows, ("ht-0.001", "ht-5"), strict=True):
        trained = load_trained(f"{name}.npz")
        assert (trained.variant, trained.tws) == ("ht", (3, 3))
        test = trained.card["test"]
        assert float(row["accuracy"]) == test["accuracy"]
        assert float(row["window_density_fc"]) == test["densities"]["fc"]
        whole = (128 * test["densities"]["conv"] + 36 * test["densities"]["fc"]) / 164
        assert float(row["window_density"]) == pytest.approx(whole)
        first = "spikex-sim train net.yaml --out net.npz --data rec.npz --epochs 2 --batch 10 --step-ms 1.0"
        assert trained.card["init"]["commands"] == [first]
        assert trained.card["init"]["sha256"] == load_trained("net.npz").file_sha256
    assert float(rows[1]["window_density_fc"]) < float(rows[0]["window_density_fc"])
    assert float(rows[1]["window_density_conv"]) == float(rows[0]["window_density_conv"])
    assert "ht-sweep.csv" in shown.lines[-1].replace("\n", "")


def test_search_notes_its_window_sizes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, *last(*BASE, "--out", "has.npz", "--epochs", 2, "--has", "--tws", "2,6"))
    trained = load_trained("has.npz")
    assert trained.variant == "has" and set(trained.tws or ()) <= {2, 6}
    course = read_log(Path("has-search.csv"), "fig8", "net")
    names = list(trained.card["probabilities"])
    places = [(row["epoch"], row["layer"], row["tws"]) for row in course]
    assert places == [(epoch, name, size) for epoch in (1, 2) for name in names for size in (2, 6)]
    for first, second in zip(course[::2], course[1::2], strict=True):
        assert first["probability"] + second["probability"] == pytest.approx(1)
    for name, row in zip(names, course[-2 * len(names) :: 2], strict=True):
        assert trained.card["probabilities"][name]["2"] == pytest.approx(row["probability"], abs=1e-4)
    for name, size in zip(("conv", "fc"), trained.tws or (), strict=True):
        chances = trained.card["probabilities"][name]
        assert float(chances[str(size)]) == max(chances.values())
        assert sum(chances.values()) == pytest.approx(1, abs=1e-3)


def test_a_killed_run_goes_on_to_the_same_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = last(*BASE, "--epochs", "30", "--out", "a.npz", "--checkpoint", "ck")
    env = environment(PYTHONPATH=str(REPOSITORY), OMP_NUM_THREADS=str(torch.get_num_threads()))
    running = subprocess.Popen([sys.executable, "-m", "spikex_sim", *line], env=env)
    try:
        deadline = time.monotonic() + 100
        while not Path("ck/checkpoint.npz").exists():
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert not Path("a.npz").exists() and not Path("a.csv").exists()
    with np.load("ck/checkpoint.npz") as archive:
        assert 1 <= json.loads(str(archive["meta"]))["epoch"] < 30
    succeed(capsys, *last(*line))
    succeed(capsys, *last(*line[:-4], "--out", "b.npz"))
    one, two = load_trained("a.npz"), load_trained("b.npz")
    for index, weight in one.weights.items():
        np.testing.assert_array_equal(two.weights[index], weight)
    logs = [rows_of(name) for name in ("a.csv", "b.csv")]
    assert logs[0] == logs[1]


def test_checkpoints_that_are_damaged_or_of_another_run(network: Any, tmp_path: Path) -> None:
    data, folder = splits(), tmp_path / "ck"

    def run(**changes: Any) -> SpikingNetwork:
        spiking = drawn(network, data)
        recipe = Recipe(**({"epochs": 2, "batch": 20} | changes))
        Trainer(spiking, data, recipe, (4, 4)).run(folder)
        return spiking

    first = run()
    path = folder / "checkpoint.npz"
    whole = path.read_bytes()

    def refused(message: str, **changes: Any) -> None:
        before = path.read_bytes()
        with pytest.raises(TraceError, match=message) as caught:
            run(**changes)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        assert path.read_bytes() == before and len(list(folder.iterdir())) == 1

    for damaged in (b"", b"\x80\x04", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(damaged)
        refused(".")
    with np.load(io.BytesIO(whole)) as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays["meta"]))
    for message, changes in [
        ("value/0: is float32 .*this run has", {"value/0": np.zeros(3, np.float32)}),
        ("value/0: holds NaN", {"value/0": arrays["value/0"] * np.nan}),
        ("best/1: does not belong to this run", {"best/1": None}),
        ("more: does not belong to this run", {"more": np.zeros(1)}),
        ("meta.format: is not", {"meta": meta | {"format": "other"}}),
        ("meta: is damaged", {"meta": meta | {"epoch": 7}}),
        ("meta: is damaged", {"meta": meta | {"rows": None}}),
        ("meta.settings.epochs: belongs to a run with other settings", {"meta": meta | {"settings": {}}}),
    ]:
        changed = arrays | {
            key: np.array(json.dumps(value)) if isinstance(value, dict) else value
            for key, value in changes.items()
        }
        np.savez(path, **{key: value for key, value in changed.items() if value is not None})
        refused(message)
    path.write_bytes(whole)
    refused("meta.settings.seed: belongs to a run with other settings", seed=5)
    for one, two in zip(first.stored, run().stored, strict=True):
        assert torch.equal(one, two)


def test_a_damaged_checkpoint_stops_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ck").mkdir()
    Path("ck/checkpoint.npz").write_bytes(b"\x80\x04nothing")
    outcome = spikex(capsys, *last(*BASE, "--out", "a.npz", "--checkpoint", "ck"))
    is_mistake(outcome, "ck/checkpoint.npz", "looks like a Python pickle, which is never loaded")
    assert sorted(item.name for item in here.iterdir()) == ["ck", "net.yaml", "rec.npz"]


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (["--out", "x.h5"], ["--out", ".npz"]),
        (["--ht", "a"], ["--ht", "numbers"]),
        (["--ht", "1,1"], ["--ht", "different"]),
        (["--ht", "-1"], ["--ht"]),
        (["--tws", "9", "--ht", "1"], ["--tws", "1 to 8"]),
        (["--tws", "2,2,2", "--ht", "1"], ["--tws", "3 window sizes for 2 layers"]),
        (["--rate", "0"], ["learning_rate", "positive"]),
        (["--data", "nowhere.npz"], ["nowhere.npz"]),
        (["--init", "nowhere"], ["nowhere"]),
        (["--hardware", "net.yaml", "--ht", "1"], ["net.yaml"]),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], added: list[str], words: list[str]
) -> None:
    is_mistake(spikex(capsys, *last(*BASE, "--out", "x.npz", *added)), *words)
    assert sorted(item.name for item in here.iterdir()) == ["net.yaml", "rec.npz"]


def test_without_torch_there_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikex_sim.cli.train.find_spec", lambda _: None)
    is_mistake(spikex(capsys, *last(*BASE, "--out", "x.npz")), f"needs PyTorch: {pip_install('train')}")


def test_a_checkpoint_belongs_to_all_that_a_run_is_made_of(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*BASE, "--epochs", 1, "--checkpoint", "ck", "--out", "a.npz"]
    succeed(capsys, *last(*line))
    for more, key in ((("--plain",), "augmented"), (("--cutoff", 1), "surrogate")):
        is_mistake(spikex(capsys, *last(*line, *more)), "other settings", f"settings.{key}:")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--ht", 0.1, "--epochs", 2, "--pretrain", 2), "--pretrain: of 2 leaves none of the 2 epochs"),
        (("--step-ms", "nan"), "--step-ms: must be 0.001 to 1e6"),
    ],
)
def test_runs_that_cannot_be(
    here: Path, capsys: pytest.CaptureFixture[str], more: tuple[object, ...], words: str
) -> None:
    is_mistake(spikex(capsys, *last(*BASE, "--tws", 3, "--out", "x.npz", *more)), words)
    assert not Path("x.npz").exists()
