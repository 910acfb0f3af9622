"""The SpikeX paper's studies, the scorecard, and the search for one setting."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import files_under, is_mistake, spikex, succeed
from spikex_sim.core.errors import TraceError
from spikex_sim.explore.evaluation import evaluate
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.papers.spikex import measures, scorecard, setting, studies, trained
from spikex_sim.papers.spikex.published import Published, published
from spikex_sim.papers.spikex.setting import PARAMETERS, Fit, Setting
from spikex_sim.papers.spikex.tables import table_ii
from spikex_sim.papers.spikex.trained import Material
from spikex_sim.run.simulate import simulate
from spikex_sim.sources.synth import digit_camera
from spikex_sim.sources.trained import TrainedNetwork, save_trained
from spikex_sim.spec.load import load_accelerator
from spikex_sim.spec.networks import load_network

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "design" / "published-spikex.csv"


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


FIG9 = [
    {"rate": rate, "tws": tws, "seconds": seconds * tws, "energy_pj": energy / tws, "cycles": 1}
    for rate, seconds, energy in ((0.005, 10.0, 4.0), (0.0001, 1.0, 1.0))
    for tws in (2, 3, 5, 10)
]
FIG10 = [
    {"rate": rate, "arch": arch, "tws": 4, "cycles": 1, "energy_pj": 1.0, "seconds": seconds}
    for rate, pair in ((0.05, (2.0, 3.0)), (0.0001, (1.0, 8.0)))
    for arch, seconds in zip(("spikex-paper", "ptb-paper"), pair, strict=True)
]
FIG12 = [
    {
        "network": "nmnist", "layer": layer, "tws": tws, "energy_pj": 50.0,
        "energy_alu_pj": 20.0, "energy_rf_pj": 15.0, "energy_lbuf_pj": 8.0, "energy_glb_pj": 5.0,
        "energy_dram_pj": 2.0, "energy_weights_pj": weights, "energy_spikes_pj": 30 - weights,
        "energy_potentials_pj": 0.0,
    }
    for tws, weights in ((4, 20.0), (8, 10.0)) for layer in ("fc1", "fc2")
]  # fmt: skip
TABLES = {"fig9": FIG9, "fig10": FIG10, "fig12": FIG12}


GAINS = {"PTB": (1, 1), "PTB+HT": (2, 2), "PTB+HT+HAS": (4, 4), "SpikeX": (2, 2), "SpikeX+HT+HAS": (16, 8)}
"""How many times less energy and time than PTB a configuration takes."""


def fig13(*configurations: str) -> list[dict[str, Any]]:
    """Two layers of a network; the first one's energy is 1, or half of all if that is less."""
    rows = []
    for network, factor in (("dvs-gesture-medium", 3), ("dvs-gesture-large", 2), ("nmnist", 1)):
        for name in configurations:
            energy, time = GAINS[name]
            total = 10 / (energy * (1 if name == "PTB" else factor))
            first = min(1.0, total / 2)
            for layer, pj in (("conv1", first), ("fc", total - first)):
                rows.append(
                    {"network": network, "configuration": name, "layer": layer, "tws": 4, "cycles": 1,
                     "seconds": 0.5 / time, "energy_pj": pj, "accuracy": 1.0, "data": "x"}
                )  # fmt: skip
    return rows


class TestPublished:
    def test_is_the_reference(self) -> None:
        if not REFERENCE.exists():
            pytest.skip(f"{REFERENCE} is not there")
        with REFERENCE.open(encoding="utf-8") as file:
            rows = [
                Published(
                    r["id"], r["source"], r["quantity"], r["condition"], float(r["published"]), r["unit"]
                )
                for r in csv.DictReader(file)
            ]
        assert rows == [row for row in published() if not row.id.startswith("fig13-step-")]

    def test_every_row_belongs_to_a_study(self) -> None:
        assert len(published()) == 43
        assert {row.figure for row in published()} == {"fig9", "fig10", "fig12", "fig13"}
        for row_id, (figure, _) in measures.SCORED.items():
            (row,) = (row for row in published() if row.id == row_id)
            assert row.figure == figure
        assert {row.id for row in published()} == set(measures.SCORED)


class TestMeasures:
    @pytest.mark.parametrize(
        ("row", "wanted"),
        [
            ("fig9-energy-3", 75.0),
            ("fig9-latency-10", 90.0),
            ("fig9-optimum-high", 2),
            ("fig9-optimum-low", 10),
            ("fig10-low", 8.0),
            ("fig10-high", 1.5),
            ("fig12-alu", 40.0),
            ("fig12-dram", 4.0),
            ("fig12-weight-4", 40.0),
            ("fig12-spike-8", 40.0),
        ],
    )
    def test_are_read_from_the_rows(self, row: str, wanted: float) -> None:
        assert measures.measured(row, TABLES) == pytest.approx(wanted)

    def test_of_a_study_that_was_not_run_is_none(self) -> None:
        assert measures.measured("fig9-energy-2", {"fig12": FIG12}) is None
        assert measures.measured("edp-max", TABLES) is None

    def test_of_fig_13_are_ratios_of_sums(self) -> None:
        tables = {"fig13": fig13(*GAINS)}
        for network, end in (("dvs-gesture-medium", "dvsm"), ("nmnist", "nmnist")):
            factor = {"dvs-gesture-medium": 3, "dvs-gesture-large": 2, "nmnist": 1}[network]
            assert measures.measured(f"fig13-ht-energy-{end}", tables) == pytest.approx(2 * factor)
            assert measures.measured(f"fig13-has-latency-{end}", tables) == pytest.approx(4)
            assert measures.measured(f"fig13-all-latency-{end}", tables) == pytest.approx(8)
            assert measures.measured(f"fig13-step-energy-{end}", tables) == pytest.approx(-50)
        assert measures.measured("fig13-step-latency-dvsl", tables) == pytest.approx(-50)
        assert measures.measured("edp-min", tables) == pytest.approx(16 * 8)
        assert measures.measured("edp-max", tables) == pytest.approx(48 * 8)
        # DVS-Gesture Medium's second layer: 9 of 10 on PTB, half of a sixth of 10 with HT.
        assert measures.measured("ht-layer-max", tables) == pytest.approx(9 / (10 / 6 / 2))

    def test_the_limit_is_what_the_first_layer_leaves(self) -> None:
        """PTB's 10 over the first layer's energy, of half a sixth of 10 with HT, and of half the time."""
        tables = {"fig13": fig13(*GAINS)}
        assert measures.limit_of("fig13-ht-energy-dvsm", tables) == pytest.approx(10 / (10 / 6 / 2))
        assert measures.limit_of("fig13-all-latency-nmnist", tables) == pytest.approx(1 / (0.5 / 8))
        assert measures.limit_of("fig13-ht-energy-dvsm", {}) is None
        assert measures.limit_of("edp-min", tables) is None
        lines = scorecard.scorecard(tables)
        told = scorecard.markdown(lines, [])
        for line in lines:
            beyond = line.limit is not None and 1.25 * line.limit < line.row.value
            assert (f"- `{line.row.id}`: " in told) == beyond

    def test_of_fig_13_need_trained_networks(self) -> None:
        tables = {"fig13": fig13("PTB", "SpikeX")}
        lines = [line for line in scorecard.scorecard(tables) if line.row.figure == "fig13"]
        assert len(lines) == 22 and {line.status for line in lines} == {scorecard.WAITING}
        some = [row for row in fig13(*GAINS) if row["network"] == "nmnist" or row["configuration"] == "PTB"]
        assert measures.measured("fig13-ht-energy-dvsl", {"fig13": some}) is None
        assert measures.measured("edp-min", {"fig13": some}) is None
        assert measures.measured("fig13-ht-energy-nmnist", {"fig13": some}) == pytest.approx(2)
        assert measures.trends(tables) == []
        assert all(trend.holds for trend in measures.trends({"fig13": some}))
        worse = [row | {"energy_pj": 1 / row["energy_pj"]} for row in some]
        assert [trend.holds for trend in measures.trends({"fig13": worse})] == [
            False,
            True,
            True,
            False,
            True,
        ]

    def test_trends_see_what_is_wrong(self) -> None:
        assert [trend.holds for trend in measures.trends({"fig10": FIG10})] == [True]
        worse = [row | {"rate": 1 - row["rate"]} for row in FIG10]
        assert not measures.trends({"fig10": worse})[0].holds
        holds = {trend.says: trend.holds for trend in measures.trends({"fig12": FIG12})}
        assert holds["the weight share falls from TWS 4 to 8"]
        assert not holds["DRAM < GLB < LBUF < ALU < RF"]
        swapped = [row | {"tws": 12 - row["tws"]} for row in FIG12]
        holds = {trend.says: trend.holds for trend in measures.trends({"fig12": swapped})}
        assert not holds["the weight share falls from TWS 4 to 8"]
        assert not holds["the spike share rises from TWS 4 to 8"]
        assert len(measures.trends({"fig9": FIG9})) == 6


class TestScorecard:
    def test_drops_no_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scorecard, "shipped_names", lambda: [])
        lines = scorecard.scorecard(TABLES)
        assert [line.row for line in lines] == list(published())
        text = scorecard.markdown(lines, measures.trends(TABLES))
        for row in published():
            assert f"`{row.id}`" in text
        waiting = [line for line in lines if line.status == scorecard.WAITING]
        assert {line.row.figure for line in waiting} == {"fig13"} and len(waiting) == 22
        assert all(line.status == "not run" for line in scorecard.scorecard({}) if line not in waiting)
        monkeypatch.setattr(scorecard, "shipped_names", lambda: ["nmnist-base"])
        assert {line.status for line in scorecard.scorecard({})} == {"not run"}

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            (7.5, "within 25 %"),
            (12.5, "within 25 %"),
            (7.49, "outside"),
            (12.51, "outside"),
            (0.0, "outside"),
        ],
    )
    def test_knows_how_near_a_row_is(self, value: float, status: str) -> None:
        row = replace(published()[0], value=10.0)
        assert scorecard.Line(row, value).status == status

    def test_has_a_reason_for_every_row_outside(self) -> None:
        far = [scorecard.Line(row, 1000 * row.value) for row in published() if row.id in measures.SCORED]
        named = [line.row.id for line in far if line.reason]
        for start in scorecard.REASONS:
            assert any(row.startswith(start) for row in named), start


class TestSetting:
    def test_defaults_are_those_of_the_preset(self) -> None:
        for name in ("spikex", "ptb"):
            arch = load_accelerator(name, {})
            for key, value in setting.overrides_of(setting.defaults()).items():
                assert arch.get(key, default=value) == value, key

    def test_values_are_accepted_and_differ(self) -> None:
        start = setting.defaults()
        for parameter in PARAMETERS:
            assert len(parameter.values) > 1 and parameter.reason
            made = [setting.machines_of(one) for one in setting.neighbours(start, parameter)]
            told = {
                (one.spikex.model_dump_json(), one.ptb.model_dump_json(), setting.reading_of(label))
                for one, label in zip(made, setting.neighbours(start, parameter), strict=True)
            }
            assert len(told) == len(made)

    def test_presets_hold_one_setting(self) -> None:
        chosen = setting.of_preset()
        machines, made = studies.Machines.of_presets(), setting.machines_of(chosen)
        for preset, arch in ((machines.spikex, made.spikex), (machines.ptb, made.ptb)):
            assert preset.model_dump() | {"name": ""} == arch.model_dump() | {"name": ""}
        assert machines.ptb.memory.model_dump().items() <= machines.spikex.memory.model_dump().items()
        assert setting.reading_of(chosen) == studies.READING
        assert machines.ptb.scheduler == "ptb" and machines.ptb.tws == "auto"

    def test_fixed_by_the_paper_stays(self) -> None:
        spikex = studies.Machines.of_presets().spikex
        assert (spikex.array.rows, spikex.array.cols) == (8, 8)
        assert (spikex.memory.glb.bytes, spikex.memory.lbuf.bytes) == (55296, 2048)
        assert spikex.memory.dram.bandwidth_gb_s == 30

    def test_descent_ends_at_the_best(self) -> None:
        wanted = {parameter.name: list(parameter.values)[-1] for parameter in PARAMETERS}
        asked: list[Setting] = []

        def evaluate(options: list[Setting]) -> list[Fit]:
            asked.extend(options)
            wrong = [sum(one[name] != value for name, value in wanted.items()) for one in options]
            return [Fit({"fig9-x": 1.0}, count) for count in wrong]

        *_, (_, best, found) = setting.descend(setting.defaults(), evaluate)
        assert best == wanted and found.broken == 0
        assert len(asked) < 3 * sum(len(parameter.values) for parameter in PARAMETERS)

    def test_score_counts_rows_and_trends(self) -> None:
        near, far = Fit({"fig9-a": 1.1, "fig10-b": 1.0}, 0), Fit({"fig9-a": 1.1, "fig10-b": 20.0}, 1)
        assert near.within == 2 and far.within == 1
        assert near.score < far.score
        assert far.error("fig10") == setting.WORST and near.error("fig10") == 0
        assert Fit({"fig9-a": 0.0}, 0).error() == setting.WORST
        assert Fit({"fig9-a": 0.5}, 0).error() == pytest.approx(Fit({"fig9-a": 2.0}, 0).error())

    def test_what_cannot_be_built_is_worst(self) -> None:
        parameter = next(one for one in PARAMETERS if one.name.startswith("positions"))
        huge = setting.defaults() | {parameter.name: list(parameter.values)[-1]}
        huge |= {"LBUF shares ifmap/filter/ofmap/psum": "0.15/0.7/0.05/0.1"}
        found = setting.fit(huge)
        assert set(found.ratios.values()) == {0.0} and found.within == 0

    def test_tornado_has_a_row_for_every_value_and_figure(self) -> None:
        rows = setting.tornado(setting.defaults(), lambda some: [Fit({"fig9-a": 1.2, "fig10-a": 1.0,
                               "fig12-a": 0.5}, 0) for _ in some], silent)  # fmt: skip
        assert len(rows) == 3 * sum(len(parameter.values) for parameter in PARAMETERS)
        assert {row["rows"] for row in rows} == {1}


class TestStudies:
    def test_rates_that_were_published_are_run(self) -> None:
        assert {0.05, 0.0001} <= set(studies.FIG10_RATES) and {0.005, 0.0001} <= set(studies.FIG9_RATES)

    def test_columns_are_as_documented(self) -> None:
        machines = studies.Machines.of_presets()
        rows = studies.fig9(machines, silent, (0.0001,))
        assert [row["tws"] for row in rows] == [2, 3, 5, 10]
        assert set(rows[0]) == {"rate", "tws", "cycles", "seconds", "energy_pj"}
        rows = studies.fig12(machines, silent)
        assert [row["tws"] for row in rows] == [4, 8] * len(studies.READING.networks)
        for row in rows:
            parts = sum(row[f"energy_{part}_pj"] for part in ("alu", "rf", "lbuf", "glb", "dram"))
            uses = sum(row[f"energy_{use}_pj"] for use in ("weights", "spikes", "potentials"))
            assert parts == pytest.approx(row["energy_pj"])
            assert uses + row["energy_alu_pj"] == pytest.approx(row["energy_pj"])

    def test_potentials_count_as_what_is_read(self) -> None:
        machines = studies.Machines.of_presets()
        found = {
            how: studies.fig12(machines, silent, studies.Fig12Reading(("nmnist",), how))[0]
            for how in ("own", "weights", "spikes", "both")
        }
        whole = found["own"]["energy_potentials_pj"]
        assert whole > 0
        for how, (weights, spikes) in {"weights": (1, 0), "spikes": (0, 1), "both": (0.5, 0.5)}.items():
            row = found[how]
            for use, share in (("weights", weights), ("spikes", spikes)):
                added = row[f"energy_{use}_pj"] - found["own"][f"energy_{use}_pj"]
                assert added == pytest.approx(share * whole, abs=1e-6 * whole)
            assert row["energy_potentials_pj"] == 0

    def test_fc_layers_cost_what_they_do_in_their_network(self) -> None:
        """A layer by itself, with what the one before leaves in the GLB, is the layer in its network."""
        machines = studies.Machines.of_presets()
        row = studies.fig12(machines, silent, studies.Fig12Reading(("nmnist",), "own"))[0]
        whole = simulate(trained.camera_network("nmnist"), machines.spikex, tws=4).layers[-1]
        assert row["energy_pj"] == pytest.approx(whole.energy_pj, rel=1e-12)

    def test_densities_are_those_of_the_spikes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trained, "NETWORKS", ("nmnist",))
        monkeypatch.setattr(trained, "WINDOWS", (1, 4))
        monkeypatch.setattr(trained, "shipped_names", lambda: [])
        rows = trained.fig5(studies.Machines.of_presets(), silent, Material())
        assert {row["data"] for row in rows} == {trained.UNTRAINED}
        trace = trained.camera_network("nmnist")
        spikes = trace.spikes(0)[0].reshape(-1, trace.timesteps)
        first = rows[0]
        assert (first["layer"], first["tws"]) == ("conv1", 1)
        assert first["density"] == pytest.approx(spikes.mean())
        below = 100 * (spikes.sum(axis=1) < 0.1 * trace.timesteps).mean()
        assert float(first["neurons_below_10_percent"]) == pytest.approx(below, rel=1e-3)
        windows = [spikes[:, at : at + 4].any(axis=1) for at in range(0, trace.timesteps, 4)]
        four = next(row for row in rows if row["tws"] == 4 and row["layer"] == "conv1")
        assert four["density"] == pytest.approx(sum(one.mean() for one in windows) / len(windows))

    def test_table_ii_is_as_published(self) -> None:
        rows = table_ii()
        assert len(rows) == 15 and {row["as_published"] for row in rows} == {"yes"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded weights in place of trained ones: nmnist in three variants, of which has lists window sizes."""
    folder = tmp_path_factory.mktemp("weights")
    network = load_network("nmnist")
    for variant, rate in (("base", 0.06), ("ht", 0.01), ("has", 0.01)):
        made = attach_network(digit_camera(3), network, seed=1, name="x", source="", rate=rate)
        tws = (3, 2, 5, 10) if variant == "has" else None
        save_trained(
            TrainedNetwork(f"nmnist-{variant}", "nmnist", variant, 30, made.layers, made.weights, tws=tws),
            folder / f"nmnist-{variant}.npz",
        )
    return folder


class TestTrained:
    @pytest.fixture(autouse=True)
    def one_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trained, "NETWORKS", ("nmnist",))

    def test_fig_5_has_rows_with_and_without_ht(self, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trained, "WINDOWS", (1, 4))
        material = Material(weights, samples=2)
        rows = trained.fig5(studies.Machines.of_presets(), silent, material)
        assert len(rows) == 2 * 2 * 4 and {row["variant"] for row in rows} == {"base", "ht"}
        assert all("2 digits in front of an emulated" in row["data"] for row in rows)
        one = material.network("nmnist", "ht")
        assert one is not None
        found = evaluate(one, material.labelled(one), tws=4)
        four = [row for row in rows if row["variant"] == "ht" and row["tws"] == 4]
        assert [row["density"] for row in four] == pytest.approx([lay.window_density for lay in found.layers])
        single = [row for row in rows if row["variant"] == "ht" and row["tws"] == 1]
        assert [row["density"] for row in single] == pytest.approx(
            [lay.spike_density for lay in found.layers]
        )

    def test_fig_13_runs_every_configuration_with_its_window_sizes(self, weights: Path) -> None:
        machines, material = studies.Machines.of_presets(), Material(weights, samples=2)
        rows = trained.fig13(machines, silent, material)
        assert len(rows) == 5 * 4
        sizes = {
            name: [row["tws"] for row in rows if row["configuration"] == name]
            for name in ("PTB", "PTB+HT+HAS", "SpikeX+HT+HAS")
        }
        assert sizes["SpikeX+HT+HAS"] == [3, 2, 5, 10]
        has = material.network("nmnist", "has")
        assert has is not None
        searched = evaluate(has, material.labelled(has), machines.ptb, tws="auto", overrides=trained.OF_HAS)
        assert sizes["PTB+HT+HAS"] == list(searched.tws)
        assert len(set(sizes["PTB"])) == 1, "one for the network"
        base = material.network("nmnist", "base")
        assert base is not None
        best = evaluate(base, material.labelled(base), machines.ptb, tws="auto")
        mine = [row for row in rows if row["configuration"] == "PTB"]
        assert [row["energy_pj"] for row in mine] == [layer.energy_pj for layer in best.layers]
        assert sizes["PTB"] == list(best.tws)

    def test_fig_13_without_weights_says_so(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        rows = trained.fig13(studies.Machines.of_presets(), silent, Material(tmp_path))
        assert {row["configuration"] for row in rows} == {"PTB", "SpikeX"}
        assert {row["data"] for row in rows} == {trained.UNTRAINED}

    def test_recordings_are_taken_where_they_are_given(self, weights: Path, tmp_path: Path) -> None:

        rng = np.random.default_rng(0)
        events = {key: rng.integers(0, 34, 90).astype(np.uint8) for key in "xy"}
        np.savez(tmp_path / "r.npz", **events, p=np.zeros(90, np.uint8), t=np.arange(90, dtype=np.uint32),
                 offsets=np.array([0, 40, 90], np.uint32), label=np.array([1, 2]))  # fmt: skip
        material = Material(weights, {"nmnist": tmp_path / "r.npz"})
        one = material.network("nmnist", "base")
        assert one is not None and material.labelled(one).labels == (1, 2)
        assert "recordings of r.npz" in material.labelled(one).source


LOG = "beta,accuracy,spike_density,window_density,more\n0,0.9,0.1,0.2,x\n0.01,0.8,0.05,0.1,y\n"


class TestLogs:
    def test_columns_of_the_figure_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "sweep.csv"
        path.write_text(LOG)
        rows = trained.read_log(path, "fig7", "nmnist")
        assert rows[1] == {"network": "nmnist", "beta": 0.01, "accuracy": 0.8, "spike_density": 0.05,
                           "window_density": 0.1}  # fmt: skip
        assert trained.read_log(path, "fig8", "nmnist") == []
        path.write_text("network,layer,epoch,tws,probability\na,fc,1,4,0.5\n")
        (row,) = trained.read_log(path, "fig8")
        assert row == {"network": "a", "layer": "fc", "epoch": 1, "tws": 4, "probability": 0.5}

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            (LOG.replace("0.9", "1.5"), "line 2: must be a number from 0 to 1"),
            (LOG.replace("0.01,", "nan,"), "beta: line 3"),
            (LOG.replace("0.8", ""), "accuracy: line 3"),
        ],
    )
    def test_wrong_values_are_refused(self, tmp_path: Path, text: str, word: str) -> None:
        path = tmp_path / "sweep.csv"
        path.write_text(text)
        with pytest.raises(TraceError, match=word):
            trained.read_log(path, "fig7", "nmnist")

    def test_a_log_must_say_its_network(self, tmp_path: Path) -> None:
        path = tmp_path / "sweep.csv"
        path.write_text(LOG)
        with pytest.raises(TraceError, match="NETWORK=FILE"):
            trained.read_log(path, "fig7")
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(TraceError, match="no table"):
            trained.read_log(path, "fig7")


class TestCommand:
    def test_writes_rows_drawings_and_scorecard(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(
            capsys, "reproduce", "fig12", "tables", "--out", tmp_path / "o", "--format", "svg,png"
        )
        assert files_under(tmp_path / "o") == [
            "fig12.csv", "fig12.png", "fig12.svg", "reproduce.json", "scorecard.csv", "scorecard.md",
            "tables.csv",
        ]  # fmt: skip
        assert "fig12-rf" in shown.out and "fig9" not in shown.out and "conv4" in shown.out
        with (tmp_path / "o" / "scorecard.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 9
        for row in rows:
            ratio = float(row["measured"]) / float(row["published"])
            assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-3)
        assert {row["command"] for row in rows} == {"spikex-sim reproduce fig12"}
        assert {(row["fitted"], row["data"]) for row in rows} == {("fitted", "generated spikes")}

    def test_logs_are_drawn(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "s.csv").write_text(LOG)
        log = f"nmnist={tmp_path / 's.csv'}"
        succeed(capsys, "reproduce", "fig7", "--log", log, "--out", tmp_path / "o", "--format", "svg")
        assert files_under(tmp_path / "o") == ["fig7.csv", "fig7.svg", "reproduce.json"]
        is_mistake_in = spikex(capsys, "reproduce", "fig8", "--log", log)
        assert is_mistake_in.code == 2 and "fig8: there is no log" in is_mistake_in.err

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("fig99",), ("fig99", "tables")),
            (("fig12", "--format", "gif"), ("--format", "gif")),
            (("fig12", "--columns", "3"), ("columns",)),
            (("fig5", "--weights", "none"), ("--weights", "no folder")),
            (("fig5", "--data", "digits=x.npz"), ("--data", "NETWORK=FILE")),
            (("fig7", "--log", "nmnist=none.csv"), ("none.csv",)),
        ],
    )
    def test_mistakes(
        self,
        arguments: tuple[Any, ...],
        words: tuple[str, ...],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        is_mistake(spikex(capsys, "reproduce", *arguments, "--out", tmp_path / "o"), *words)
        assert not (tmp_path / "o").exists()
