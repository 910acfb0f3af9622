"""The SpikeX paper's studies, the scorecard, and the search for one setting."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command import files_under, is_mistake, spikex, succeed
from spikex_sim.reproduction import measures, scorecard, setting, studies
from spikex_sim.reproduction.published import Published, published
from spikex_sim.reproduction.setting import PARAMETERS, Fit, Setting
from spikex_sim.reproduction.tables import table_ii
from spikex_sim.spec.load import load_accelerator, value_of

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
        assert rows == list(published())

    def test_every_row_belongs_to_a_study(self) -> None:
        assert len(published()) == 39
        assert {row.figure for row in published()} == {"fig9", "fig10", "fig12", "fig13"}
        for row_id, (figure, _) in measures.MEASURES.items():
            (row,) = (row for row in published() if row.id == row_id)
            assert row.figure == figure
        measurable = {row.id for row in published() if row.figure != "fig13"}
        assert measurable == set(measures.MEASURES)


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
    def test_drops_no_row(self) -> None:
        lines = scorecard.scorecard(TABLES)
        assert [line.row for line in lines] == list(published())
        text = scorecard.markdown(lines, measures.trends(TABLES))
        for row in published():
            assert f"`{row.id}`" in text
        waiting = [line for line in lines if line.status == scorecard.WAITING]
        assert {line.row.figure for line in waiting} == {"fig13"} and len(waiting) == 18
        assert all(line.status == "not run" for line in scorecard.scorecard({}) if line not in waiting)

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
        far = [scorecard.Line(row, 1000 * row.value) for row in published() if row.id in measures.MEASURES]
        named = [line.row.id for line in far if line.reason]
        for start in scorecard.REASONS:
            assert any(row.startswith(start) for row in named), start


class TestSetting:
    def test_defaults_are_those_of_the_preset(self) -> None:
        for name in ("spikex", "ptb"):
            arch = load_accelerator(name, {})
            for key, value in setting.overrides_of(setting.defaults()).items():
                assert value_of(arch, key) == value, key

    def test_values_are_accepted_and_differ(self) -> None:
        start = setting.defaults()
        for parameter in PARAMETERS:
            assert len(parameter.values) > 1 and parameter.reason
            made = [setting.machines_of(one) for one in setting.neighbours(start, parameter)]
            assert len({one.spikex.model_dump_json() for one in made}) == len(made)

    def test_presets_hold_one_setting(self) -> None:
        chosen = setting.of_preset()
        machines, made = studies.Machines.of_presets(), setting.machines_of(chosen)
        for preset, arch in ((machines.spikex, made.spikex), (machines.ptb, made.ptb)):
            assert preset.model_dump() | {"name": ""} == arch.model_dump() | {"name": ""}
        assert machines.ptb.memory == machines.spikex.memory
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
        assert [row["tws"] for row in rows] == [4, 8]
        for row in rows:
            parts = sum(row[f"energy_{part}_pj"] for part in ("alu", "rf", "lbuf", "glb", "dram"))
            uses = sum(row[f"energy_{use}_pj"] for use in ("weights", "spikes", "potentials"))
            assert parts == pytest.approx(row["energy_pj"])
            assert uses + row["energy_alu_pj"] == pytest.approx(row["energy_pj"])

    def test_densities_are_those_of_the_spikes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(studies, "NETWORKS", ("nmnist",))
        monkeypatch.setattr(studies, "WINDOWS", (1, 4))
        rows = studies.fig5(studies.Machines.of_presets(), silent)
        trace = studies.recorded_network("nmnist")
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


class TestCommand:
    def test_writes_rows_drawings_and_scorecard(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = succeed(
            capsys, "reproduce", "fig12", "tables", "--out", tmp_path / "o", "--format", "svg,png"
        )
        assert files_under(tmp_path / "o") == [
            "fig12.csv", "fig12.png", "fig12.svg", "scorecard.csv", "scorecard.md", "tables.csv",
        ]  # fmt: skip
        assert "fig12-rf" in shown.out and "fig9" not in shown.out and "conv4" in shown.out
        with (tmp_path / "o" / "scorecard.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 9
        for row in rows:
            ratio = float(row["measured"]) / float(row["published"])
            assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-3)
        assert {row["command"] for row in rows} == {"spikex-sim reproduce fig12"}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("fig99",), ("fig99", "tables")),
            (("fig12", "--format", "gif"), ("--format", "gif")),
            (("fig12", "--columns", "3"), ("columns",)),
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
