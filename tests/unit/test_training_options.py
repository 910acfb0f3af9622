"""Every option of ``train`` changes what is trained, or what is written."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from command import last, spikex, succeed
from spikex_sim.cli.app import command
from spikex_sim.explore.fitted import HardwareModel, LayerFit
from winners import winner_file

NETWORK = """\
name: net
timesteps: 8
layers:
  - {{name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: {side}, in_width: {side}}}
  - {{name: two, kind: linear, in_channels: {inputs}, out_channels: 10}}
"""

TRAIN = "train net.yaml --data rec.npz --step-ms 1 --epochs 3 --batch 6 --out o/w.npz"
EMULATED = "train net16.yaml --timesteps 2 --epochs 1 --samples 10 --out o/w.npz"
IMAGES = "train images.yaml --data images.npz --epochs 2 --batch 6 --out o/w.npz"
WINNER = "train --network win --data rgb.npz --epochs 1 --batch 5 --out o/w.npz"
HT = f"{TRAIN} --hardware hw.json --ht 0.05"
EFFECTS = {
    "--out": (TRAIN, "--out o/v.npz"),
    "--data": (TRAIN, "--data other.npz"),
    "--ht": (f"{TRAIN} --hardware hw.json", "--ht 0.05"),
    "--has": (HT, "--has"),
    "--tws": (HT, "--tws 2"),
    "--hardware": (HT, "--hardware dear.json"),
    "--init": (TRAIN, "--init first.npz"),
    "--epochs": (TRAIN, "--epochs 2"),
    "--pretrain": (HT, "--pretrain 0"),
    "--warmup": (TRAIN, "--warmup 0"),
    "--batch": (TRAIN, "--batch 5"),
    "--rate": (TRAIN, "--rate 0.1"),
    "--cutoff": (TRAIN, "--cutoff 1"),
    "--leak-shift": (TRAIN, "--leak-shift 1"),
    "--timesteps": (TRAIN, "--timesteps 5"),
    "--step-ms": (TRAIN, "--step-ms 1.5"),
    "--samples": (EMULATED, "--samples 20"),
    "--save-data": (EMULATED, "--save-data o/s.npz"),
    "--plain": (TRAIN, "--plain"),
    "--mirror": (IMAGES, "--mirror"),
    "--network": (WINNER, "--network other"),
    "--bits": (IMAGES, "--bits 4"),
    "--width": (WINNER, "--width 6"),
    "--pool": (WINNER, "--pool 16"),
    "--tolerance": (f"{HT} --ht 0.5 --epochs 10 --pretrain 5 --rate 0.1", "--tolerance 1"),
    "--seed": (TRAIN, "--seed 5"),
    "--checkpoint": (TRAIN, "--checkpoint o/ck"),
}


def test_every_option_is_tried() -> None:
    options = {option.opts[0] for option in command().commands["train"].params}
    assert {option for option in options if option.startswith("--")} - {"--help"} == set(EFFECTS)


GRAPH = """\
name: images
timesteps: 3
nodes:
  - {name: image, kind: input, shape: [1, 8, 8], values: {bits: 8, signed: false, constant: true}}
  - {name: lif, kind: neurons, channels: 4, neuron: {leak_shift: 1},
     synapses: [{from: image, kind: conv, kernel: 3, stride: 2, shift: 4}]}
  - {name: out, kind: currents, channels: 3, synapses: [{from: lif, kind: linear}]}
"""

OF_GRAPHS = {
    "--out": "--out o/v.npz",
    "--data": "--data others.npz",
    "--epochs": "--epochs 3",
    "--batch": "--batch 5",
    "--rate": "--rate 0.1",
    "--cutoff": "--cutoff 1",
    "--timesteps": "--timesteps 5",
    "--plain": "--plain",
    "--mirror": "--mirror",
    "--bits": "--bits 4",
    "--seed": "--seed 5",
    "--checkpoint": "--checkpoint o/ck",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NETWORK.format(side=6, inputs=64))
    Path("images.yaml").write_text(GRAPH)
    for seed, name in enumerate(("images.npz", "others.npz")):
        rng = np.random.default_rng(seed)
        labels = np.arange(40) % 3
        pixels = rng.integers(0, 60, (40, 8, 8)).astype(np.uint8)
        for label in range(3):
            pixels[labels == label, 2 * label : 2 * label + 2, :5] += 150
        np.savez(name, train_images=pixels[:30], train_labels=labels[:30], test_images=pixels[30:],
                 test_labels=labels[30:])  # fmt: skip
    for folder, cell in (("win", "100000"), ("other", "022200")):
        winner_file(Path(folder), cell, "022200")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)
    labels = np.arange(24) % 10
    np.savez("rgb.npz", train_images=pixels[:20], train_labels=labels[:20], test_images=pixels[20:],
             test_labels=labels[20:])  # fmt: skip
    Path("net16.yaml").write_text(NETWORK.format(side=16, inputs=784))
    for seed, name in enumerate(("rec.npz", "other.npz")):
        rng = np.random.default_rng(seed)
        spikes = rng.random((60, 2, 6, 6, 8)) < 0.1
        labels = np.arange(60) % 3
        for label in range(3):
            spikes[labels == label, :, 2 * label] |= rng.random((20, 2, 6, 8)) < 0.6
        sample, p, y, x, t = np.nonzero(spikes)
        np.savez(name, x=x, y=y, p=p, t=1000 * t, offsets=np.searchsorted(sample, np.arange(61)),
                 label=labels, split=(np.arange(60) >= 50).astype(np.uint8))  # fmt: skip
    for name, dear in (("hw.json", 1.0), ("dear.json", 100.0)):
        fits = tuple(
            LayerFit(layer=layer, tws=tws, windows=windows * (8 // tws), densities=(0.01, 1.0),
                     edp_js_per_window=(scale * tws, 3 * scale), energy_pj_per_window=(1.0, 1.0),
                     cycles_per_window=(1.0, 1.0))
            for layer, windows, scale in (("one", 72, 1.0), ("two", 64, dear)) for tws in (2, 4)
        )  # fmt: skip
        HardwareModel(network="net", arch="a", timesteps=8, clock_hz=1.0, config={}, fits=fits).save(name)


def result_of(capsys: pytest.CaptureFixture[str], line: str) -> dict[str, Any]:
    """Every file: arrays without the card, which repeats the command, and texts."""
    Path("o").mkdir()
    succeed(capsys, *last(*shlex.split(line)))
    found: dict[str, Any] = {}
    for path in sorted(Path("o").rglob("*.*")):
        if path.suffix == ".npz":
            with np.load(path) as archive:
                found[str(path)] = {key: archive[key].tobytes() for key in archive if key != "meta"}
        else:
            found[str(path)] = path.read_text()
    return found


@pytest.mark.parametrize("option", EFFECTS)
def test_every_option_has_an_effect(here: None, capsys: pytest.CaptureFixture[str], option: str) -> None:
    without, added = EFFECTS[option]
    if option == "--init":
        assert spikex(capsys, *last(*shlex.split(TRAIN), "--out", "first.npz", "--seed", "1")).code == 0
    before = result_of(capsys, without)
    Path("o").rename("before")
    after = result_of(capsys, f"{without} {added}")
    assert before != after
    if option not in ("--out", "--save-data", "--checkpoint"):
        # What is trained changes, not only what is written beside it.
        assert before["o/w.npz"] != after["o/w.npz"]


def test_the_same_line_gives_the_same_files(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = result_of(capsys, TRAIN)
    weights = Path("o/w.npz").read_bytes()
    Path("o").rename("before")
    assert result_of(capsys, TRAIN) == before and Path("o/w.npz").read_bytes() == weights


OF_WINNERS = {"network", "searched", "width", "pool"}


def test_networks_of_nodes_take_these_options() -> None:
    from spikex_sim.cli.train_graph import TAKEN

    assert {option.removeprefix("--") for option in OF_GRAPHS} | OF_WINNERS == TAKEN
    assert set(OF_GRAPHS) <= set(EFFECTS)


@pytest.mark.parametrize("option", OF_GRAPHS)
def test_every_option_has_an_effect_on_networks_of_nodes(
    here: None, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    before = result_of(capsys, IMAGES)
    Path("o").rename("before")
    after = result_of(capsys, f"{IMAGES} {OF_GRAPHS[option]}")
    assert before != after
    if option not in ("--out", "--checkpoint"):
        assert before["o/w.npz"] != after["o/w.npz"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{IMAGES} --ht 0.05", "--ht: has no effect on a network of nodes"),
        (f"{IMAGES} --has", "--has: has no effect on a network of nodes"),
        (f"{IMAGES} --init first.npz", "--init: has no effect on a network of nodes"),
        (f"{IMAGES} --warmup 1", "--warmup: has no effect on a network of nodes"),
        (f"{IMAGES} --leak-shift 2", "--leak-shift: has no effect on a network of nodes"),
        ("train images.yaml --out o/w.npz", "--data: is missing: a network of nodes learns from a file"),
        (f"{TRAIN} --mirror", "--mirror: has no effect on recordings"),
        (f"{TRAIN} --bits 4", "--bits: has no effect on a chain of layers"),
        (f"{IMAGES} --width 4", "--width: is of the winner of a search"),
        (f"{IMAGES} --pool 4", "--pool: is of the winner of a search"),
        (f"{IMAGES} --network win", "train: name a NETWORK or the winner of a search"),
        ("train --data rgb.npz --out o/w.npz", "train: name a NETWORK or the winner of a search"),
        ("train --network none --data rgb.npz --out o/w.npz", "none"),
        ("train --network win --data rec.npz --out o/w.npz", "train_images: is missing"),
        ("train images.yaml --data rec.npz --out o/w.npz", "train_images: is missing"),
        (
            "train cifar10 --data images.npz --out o/w.npz",
            "train_images: must be uint8 [samples, 3, 32,",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    here: None, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    found = spikex(capsys, *last(*shlex.split(line)))
    assert found.code == 2 and message in found.err and not Path("o/w.npz").exists()


def test_a_trained_graph_is_as_accurate_as_the_oracle_says(
    here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from naive_graph import evaluate
    from naive_graph_trace import Trace
    from spikex_sim.sources.trained_graphs import load_trained_graph
    from spikex_sim.spec.graph import InputNode
    from spikex_sim.training.images import Variation, splits_of_images

    shown = succeed(capsys, *last(*shlex.split(f"{IMAGES} --epochs 8 --rate 0.1")))
    trained = load_trained_graph("o/w.npz")
    card = trained.card
    assert card["command"] == (
        "spikex-sim train images.yaml --out w.npz --data images.npz --epochs 8 --batch 6 --rate 0.1"
    )
    assert card["data"] == "images.npz: 27 images for training, 3 for validation, 10 for testing"
    image = trained.input
    assert isinstance(image, InputNode)
    splits = splits_of_images(Path("images.npz"), image, seed=0, variation=Variation())
    correct = 0
    for sample, label in enumerate(splits.test.labels):
        values = splits.test.batch(np.array([sample]), None)[0]
        trace = trained.trace(values, label=int(label))
        found = evaluate(Trace(trace.meta(), trace.arrays())).computed["out"].values
        correct += int(found[:, 0, 0].sum(-1).argmax() == label)
    assert correct / 10 == card["test"]["accuracy"]
    assert f"correct: {correct} of 10" in shown.out
