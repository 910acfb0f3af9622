"""Studies of crossbar machines: what they replay, what they keep, how it is drawn, and what the pages say."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from drawn_texts import drawn_texts, misplaced
from examples import examples, in_turn
from spikex_sim.core.errors import ConfigError, FigureError, TraceError
from spikex_sim.data import default_trace_path
from spikex_sim.explore import imc, imc_keys
from spikex_sim.plots import columns, file_bytes
from spikex_sim.plots import imc as figures
from spikex_sim.plots.files import read_rows
from spikex_sim.schedules.crossbar.options import Imc
from spikex_sim.spec.arch import Spec
from spikex_sim.spec.networks import load_network
from spikex_sim.trace.trace import Trace

ROOT = Path(__file__).resolve().parents[2]
PAGE_ROWS = ROOT / "docs" / "imc-studies"
NEURON = {"threshold": 3, "leak_shift": 3}


def two_layers(most: int = 7, labels: tuple[int, ...] | None = (0, 1, 2, 0)) -> Trace:
    """Four samples of a small network of two layers; the largest weight but for its sign is ``most``."""
    rng = np.random.default_rng(0)
    layers = [
        {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 4, "kernel": 3, "padding": 1,
         "in_height": 4, "in_width": 4, "neuron": NEURON},
        {"name": "fc", "kind": "linear", "in_channels": 64, "out_channels": 3, "neuron": NEURON},
    ]  # fmt: skip
    weights = [
        rng.integers(-7, 8, (4, 2, 3, 3)).astype(np.int8),
        rng.integers(-7, 8, (3, 64)).astype(np.int8),
    ]
    weights[0].flat[0] = -most
    return Trace.from_arrays(layers, rng.random((4, 2, 4, 4, 6)) < 0.4, weights=weights, label=labels)


class TestRows:
    def test_a_setting_is_a_run_with_its_keys(self) -> None:
        trace = two_layers()
        rows = imc.study([trace], "size", overrides={"imc.r_par_ohm": 50.0})
        assert [(row["imc.adapt"], row["imc.crossbar"]) for row in rows] == [
            (adapt, size) for adapt in ("none", "channel") for size in (16, 32, 64, 128)
        ]
        row = rows[5]
        keys = {"imc.arrays": "nonideal", "imc.r_par_ohm": 50.0, "imc.adapt": "channel", "imc.crossbar": 32}
        run = sx.simulate(trace, "spikesim", overrides=keys)
        answers = [(one.label, one.prediction, one.software_prediction) for one in run.samples]
        assert row["accuracy"] == sum(label == found for label, found, _ in answers) / 4
        assert row["software_accuracy"] == sum(label == exact for label, _, exact in answers) / 4
        assert row["energy_pj"] == run.totals.energy_pj / 4 and row["seconds"] == run.totals.seconds / 4
        assert row["area_mm2"] == pytest.approx(sum(run.totals.area_mm2_by.values()))
        assert row["changed_spikes"] == run.totals.changed_spikes
        assert row["crossbars"] == 9 * sum(layer.mapping["pes"] for layer in run.layers)
        assert row["refused"] == ""

    def test_without_classes_nothing_is_right_or_wrong(self) -> None:
        (sram, fefet) = imc.study([two_layers(labels=None)], "umem")
        assert sram["accuracy"] is None and sram["changed_spikes"] == 0
        assert fefet["energy_lif_pj"] > sram["energy_lif_pj"]
        assert {key: fefet[key] for key in sram if "lif" not in key and "umem" not in key}.items() >= {
            "seconds": sram["seconds"], "energy_adc_pj": sram["energy_adc_pj"],
        }.items()  # fmt: skip

    def test_refused_settings_are_kept_and_all_of_them_raise(self) -> None:
        trace = two_layers(most=128)
        differential = {"imc.encoding": "differential"}
        rows = imc.study([trace], "precision", overrides=differential)
        refused = {row["imc.device.bits"] for row in rows if row["refused"]}
        assert refused and refused < {1, 2, 4, 7}
        assert all(row["energy_pj"] is None for row in rows if row["refused"])
        only = {"imc.device.bits": min(refused)}
        with pytest.raises(ConfigError, match="weight"):
            imc.study([trace], "size", overrides=differential | only)

    def test_time_points_are_the_first_of_the_trace(self) -> None:
        trace = two_layers()
        (row,) = imc.study([trace], "timesteps")
        run = sx.simulate(trace.first(4), "spikesim", overrides={"imc.arrays": "nonideal"})
        assert (row["first"], row["timesteps"], row["seconds"]) == (4, 4, run.totals.seconds / 4)

    def test_networks_have_generated_spikes_and_fewer_channels(self) -> None:
        rows = imc.study(["vgg9-cifar10"], "sharing", timesteps=1)
        assert [(row["channels_divided_by"], row["lif_sharing"]) for row in rows] == [
            (1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (4, 1), (8, 1),
        ]  # fmt: skip
        areas = [row["area_lif_mm2"] for row in rows]
        assert areas[0] > areas[1] > areas[2] > areas[3] and areas[0] > areas[4] > areas[5] > areas[6]
        with pytest.raises(TraceError, match="lacks weights"):
            imc.study(["vgg9-cifar10"], "size", timesteps=1)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((["vgg9-cifar10"], "sizes"), "'sizes' is none of .*did you mean size"),
            (([default_trace_path()], "sharing", "sata"), "has no crossbars"),
            (([default_trace_path()], "umem", "spikesim-released"), "has no crossbars"),
        ],
    )
    def test_mistakes(self, arguments: Any, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            imc.study(*arguments)

    def test_recordings_have_their_own_time_points(self) -> None:
        with pytest.raises(ConfigError, match="timesteps"):
            imc.study([two_layers()], "umem", timesteps=3)


class TestNarrowed:
    def test_pooling_and_what_follows_take_fewer(self) -> None:
        network = load_network("vgg9-cifar10")
        narrow = imc.narrowed(network, 4)
        assert [layer.out_channels for layer in narrow.layers[:2]] == [16, 64]
        assert [layer.in_channels for layer in narrow.layers[:3]] == [3, 16, 64]
        assert narrow.layers[2:] == network.layers[2:]

    def test_no_channels_are_left(self) -> None:
        with pytest.raises(ConfigError, match="fewer than 128 channels"):
            imc.narrowed(load_network("vgg9-cifar10"), 128)


def leaves(spec: type[Spec], before: str) -> set[str]:
    found = set()
    for name, one in spec.model_fields.items():
        kind = one.annotation
        inner = isinstance(kind, type) and issubclass(kind, Spec)
        found |= leaves(kind, f"{before}.{name}") if inner else {f"{before}.{name}"}
    return found


def test_every_key_of_crossbars_is_varied_or_has_a_reason() -> None:
    varied, left = set(imc_keys.VALUES), set(imc_keys.NOT_VARIED)
    assert varied.isdisjoint(left)
    assert leaves(Imc, "imc") == {key for key in varied | left if key.startswith("imc.")}


POINTS = st.lists(st.tuples(*(st.integers(0, 4) for _ in range(3))), min_size=1, max_size=12)


@examples(200)
@given(points=POINTS)
def test_front_is_what_no_other_beats(points: list[tuple[int, int, int]]) -> None:
    rows = [{"accuracy": a / 4, "energy_pj": e, "area_mm2": m} for a, e, m in points]
    quality, energy, area = figures._quality(rows), figures._energy(rows), figures._area()
    assert quality is not None
    front = figures._front(rows, [energy, area, quality], worse_is_less=quality)
    for row in rows:
        beaten = any(
            other["accuracy"] >= row["accuracy"] and other["energy_pj"] <= row["energy_pj"]
            and other["area_mm2"] <= row["area_mm2"] and other != row
            for other in rows
        )  # fmt: skip
        assert (row in front) is not beaten


class TestFigures:
    @pytest.mark.parametrize(("name", "count"), in_turn(figures.IMC_FIGURES))
    def test_texts_lie_apart_and_labels_have_units(self, name: str, count: int) -> None:
        rows = read_rows(PAGE_ROWS / f"{name}.csv")
        figure, axes = figures.IMC_FIGURES[name](rows, None, columns(count))
        assert misplaced(figure) == []
        assert all(axis.get_xlabel().endswith(")") for axis in axes)
        files = [file_bytes(figures.IMC_FIGURES[name](rows)[0], "svg") for _ in range(2)]
        assert files[0] == files[1]

    def test_without_classes_changed_spikes_are_drawn(self) -> None:
        rows = [dict(row) | {"accuracy": None} for row in read_rows(PAGE_ROWS / "imc-size.csv")]
        _, axes = figures.size(rows)
        assert axes[0].get_ylabel() == "Changed spikes (%)"

    def test_settings_that_were_refused_are_left_out(self) -> None:
        rows = [dict(row) for row in read_rows(PAGE_ROWS / "imc-umem.csv")]
        figure, _ = figures.components([*rows, {"imc.umem": "other", "refused": "why"}])
        shown = {text.get_text() for text, _ in drawn_texts(figure)}
        assert "FeFET 98 %" in shown and not any("other" in text for text in shown)
        with pytest.raises(FigureError, match="there are no rows"):
            figures.components([{"refused": "why"}])


class TestCommand:
    def test_prints_writes_and_draws(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = succeed(capsys, "imc-study", "--study", "umem", "--out", tmp_path).out
        assert "fefet" in out and "means of 1 sample" in out
        with (tmp_path / "imc-umem.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        direct = imc.study([default_trace_path()], "umem")
        assert [float(row["energy_pj"]) for row in rows] == [row["energy_pj"] for row in direct]
        assert (tmp_path / "imc-umem.pdf").is_file()
        succeed(capsys, "plot", tmp_path, "--format", "svg")
        assert (tmp_path / "figures" / "imc-umem.svg").is_file()

    def test_a_wrong_name_is_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        is_mistake(spikex(capsys, "imc-study", "--study", "adc"), "'adc' is none of precision")


def test_the_page_is_what_its_rows_say() -> None:
    script = ROOT / "scripts" / "make_imc_studies_page.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "imc-studies.md").read_text("utf-8")
    for file in PAGE_ROWS.glob("*.csv"):
        assert f"({PAGE_ROWS.name}/{file.stem}.svg)" in page and file.with_suffix(".svg").is_file()
