"""The package as Python sees it: names, short texts, saved results, and the commands as functions."""

from __future__ import annotations

import json
import pickle
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import succeed
from spikex_sim.core.origin import origin, pip_install
from spikex_sim.run.fields import ACCESSES_CSV, FIELDS, LAYERS, LAYERS_CSV, SWEEP_CSV, TOTALS, fields_in
from spikex_sim.sources.trained import save_trained
from study_traces import LABELS, SPIKES, a_trace, network, samples

TRACE = a_trace(np.stack(list(SPIKES[:2])), tuple(LABELS[:2]))


def own_columns(table: str) -> list[str]:
    """Columns that a machine without crossbars has, too."""
    return [column for one in fields_in(table) if not one.of_some for column in one.columns()]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[sx.RunResult, Path]:
    result = sx.simulate(TRACE, "spikex", tws=3)
    result.save(tmp_path / "run")
    return result, tmp_path / "run"


class TestNames:
    def test_all_that_is_promised_is_there(self) -> None:
        promised = {
            "load_trace", "simulate", "sweep", "load_results", "compare", "evaluate", "search_tws", "Trace",
            "RunResult", "LayerResult", "Totals", "Scheduler", "Accelerator", "InternalError", "ResultsError",
        }  # fmt: skip
        assert promised <= set(sx.__all__) == set(dir(sx)) - {"__version__"}
        assert all(getattr(sx, name) is not None for name in sx.__all__)

    def test_texts_are_short(self) -> None:
        result = sx.simulate(TRACE, tws=3)
        layer, cycles = result.layers[0], result.totals.cycles
        assert repr(TRACE) == f"<Trace {TRACE.name}: 3 layers, T={TRACE.timesteps}, 2 samples, weights>"
        assert repr(result).startswith(f"<RunResult {TRACE.name} on spikex: 3 layers, {cycles:,} cycles, ")
        assert repr(layer).startswith(
            f"<LayerResult {layer.name} ({layer.kind}, TWS 3): {layer.cycles:,} cycles"
        )
        assert "TWS" not in repr(result.layers[1])
        table = sx.sweep(TRACE, {"tws": [1, 2]})
        assert repr(table) == f"<SweepTable: 2 points, 0 failed, {len(table[0])} columns>"
        assert repr(sx.compare(TRACE, ["spikex", "spinalflow"])).endswith(": spikex; 1 refused>")


class TestFields:
    def test_energies_are_numbers_everywhere(self) -> None:
        result = sx.simulate(TRACE)
        data = result.to_dict()
        assert data["schema"] == 2
        for costs in (result.totals, *result.layers, *result.samples):
            assert isinstance(costs.energy_pj, float)
            assert costs.energy_pj == sum(costs.energy_pj_by.values())
            assert set(costs.energy_pj_by) == {"alu", "rf", "lbuf", "glb", "dram"}
        for entry in (data["totals"], *data["layers"], *data["samples"]):
            assert isinstance(entry["energy_pj"], float) and isinstance(entry["energy_pj_by"], dict)

    def test_one_list_makes_every_table(self) -> None:
        result = sx.simulate(TRACE)
        assert list(result.layers[0].to_dict()) == [one.name for one in fields_in(LAYERS) if not one.of_some]
        assert list(result.totals.to_dict()) == [one.name for one in fields_in(TOTALS) if not one.of_some]
        columns = dict.fromkeys(own_columns(LAYERS_CSV))
        assert list(result.layer_rows()[0]) == list(columns)
        assert list(result.access_rows()[0]) == [one.name for one in fields_in(ACCESSES_CSV)]
        (row,) = sx.sweep(TRACE, {})
        assert set(own_columns(SWEEP_CSV)) <= set(row)

    def test_every_field_says_what_it_is(self) -> None:
        assert len({one.name for one in FIELDS}) == len(FIELDS)
        for one in FIELDS:
            assert one.meaning and one.places
            assert one.parts is None or one.column.count("{}") == any(
                place.endswith(".csv") for place in one.places
            )
            unit = {"pJ": "_pj", "mm²": "_mm2", "mW": "_mw", "Js": "_js", "µm²": "_um2"}.get(one.unit, "")
            assert unit in one.name


class TestSaved:
    def test_comes_back_as_it_was(self, saved: tuple[sx.RunResult, Path]) -> None:
        result, folder = saved
        for path in (folder, str(folder), folder / "results.json"):
            again = sx.load_results(path)
            assert again.to_dict() == result.to_dict()
        assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())
        assert again.arch == result.arch and again.trace == result.trace and again.engine == "fast"
        assert again.versions == {**result.versions, **origin()} and again.timestamp == result.timestamp
        assert again.totals.energy_pj == result.totals.energy_pj
        assert again.totals.stalls.keys() == {"dram", "glb", "lbuf", "drain"}
        for one, was in zip(again.layers, result.layers, strict=True):
            assert (one.name, one.energy_pj_by, one.accesses) == (
                was.name,
                was.energy_pj_by,
                dict(was.accesses),
            )
        assert again.layer_rows() == result.layer_rows()
        assert [one.cycles for one in again.samples] == [one.cycles for one in result.samples]
        assert repr(again) == repr(result).replace("RunResult", "SavedResults")

    def test_cannot_be_changed(self, saved: tuple[sx.RunResult, Path]) -> None:
        for kept in (sx.load_results(saved[1]), pickle.loads(pickle.dumps(sx.load_results(saved[1])))):
            again: Any = kept
            before = again.to_dict()
            for attempt in (
                lambda one: setattr(one, "engine", "x"),
                lambda one: setattr(one.totals, "cycles", 1),
                lambda one: one.totals.__setitem__("cycles", 1),
                lambda one: one.layers[0].stalls.__setitem__("dram", 1),
                lambda one: one.layers.append(None),
                lambda one: one.content["config"]["array"].update(rows=1),
            ):
                with pytest.raises((TypeError, AttributeError)):
                    attempt(again)
            again.to_dict()["totals"]["cycles"] = 1
            assert again.to_dict() == before == saved[0].to_dict()
            with pytest.raises(AttributeError, match="there is no 'energy'"):
                _ = again.totals.energy

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda data: data.pop("totals"), "totals: missing"),
            (lambda data: data.update(schema=1), "schema: must be 2"),
            (lambda data: data.update(schema=[1] * 99), "schema: must be 2"),
            (lambda data: data["layers"][1].pop("cycles"), "layers.1.cycles: missing"),
            (lambda data: data["layers"][0].update(cycles="many"), "layers.0.cycles: is not what"),
            (lambda data: data["layers"][0].update(cycles=-1), "layers.0.cycles"),
            (lambda data: data["layers"][0].update(cycles=True), "layers.0.cycles"),
            (lambda data: data["layers"][0].update(cycles=1.5), "layers.0.cycles"),
            (lambda data: data["layers"][0].update(name=7), "layers.0.name"),
            (lambda data: data["layers"][0].update(energy_pj={"alu": 1.0}), "layers.0.energy_pj"),
            (lambda data: data["layers"][0].update(energy_pj=None), "layers.0.energy_pj"),
            (lambda data: data["totals"]["energy_pj_by"].update(alu="1"), "totals.energy_pj_by"),
            (lambda data: data["totals"].update(stalls=3), "totals.stalls"),
            (lambda data: data["samples"][1]["accesses"]["glb"].update(filter=[]), "samples.1.accesses"),
            (lambda data: data["samples"].append("x"), "samples.2.name: missing"),
            (lambda data: data.update(layers={}), "layers: must be a list"),
            (lambda data: data.update(samples=[]), "samples: must be a list"),
            (lambda data: data.update(config=3), "config"),
            (lambda data: data.update(trace={}), "trace.name: missing"),
            (lambda data: data.update(versions=[]), "versions"),
        ],
    )  # fmt: skip
    def test_damage_is_named(self, saved: tuple[sx.RunResult, Path], change: Any, words: str) -> None:
        file = saved[1] / "results.json"
        data = json.loads(file.read_text())
        change(data)
        file.write_text(json.dumps(data))
        with pytest.raises(sx.ResultsError, match=re.escape(words)) as caught:
            sx.load_results(saved[1])
        assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "", "null", "[]", "{", "[" * 100_000, '{"schema": 2}', "\x00", "schema", "1e999", "1" * 5000,
            '{"schema": 2, "x": ' + "[" * 900 + "]" * 900 + "}",
        ],
    )  # fmt: skip
    def test_what_are_no_results_are_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(sx.ResultsError) as caught:
            sx.load_results(tmp_path)
        assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)

    def test_deep_nesting_is_refused(self, saved: tuple[sx.RunResult, Path]) -> None:
        file = saved[1] / "results.json"
        deep = '{"a": ' * 800 + "1" + "}" * 800
        file.write_text(file.read_text().replace('"mapping": {', f'"mapping": {{"x": {deep}, ', 1))
        with pytest.raises(sx.ResultsError, match="nested too deep"):
            sx.load_results(file)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
    def test_numbers_are_finite(self, saved: tuple[sx.RunResult, Path], number: str) -> None:
        file = saved[1] / "results.json"
        file.write_text(re.sub(r'"energy_pj": [\d.e+]+', f'"energy_pj": {number}', file.read_text(), count=1))
        with pytest.raises(sx.ResultsError):
            sx.load_results(file)

    def test_files_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(sx.ResultsError, match="no such file"):
            sx.load_results(tmp_path)
        (tmp_path / "results.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(sx.ResultsError, match="not the results of a run"):
            sx.load_results(tmp_path)
        monkeypatch.setattr("spikex_sim.run.saved.MAX_BYTES", 2)
        with pytest.raises(sx.ResultsError, match="more than the 2 B"):
            sx.load_results(tmp_path)

    def test_a_configuration_of_another_version_is_no_reason_not_to_read(
        self, saved: tuple[sx.RunResult, Path]
    ) -> None:
        file = saved[1] / "results.json"
        text = file.read_text()
        file.write_text(text.replace('"clock_mhz"', '"clock_thz"'))
        again = sx.load_results(file)
        assert again.totals.cycles == saved[0].totals.cycles
        with pytest.raises(sx.ResultsError, match=r"config\.clock_thz: unknown key"):
            _ = again.arch
        for scheduler in ('"abacus"', "7", "null"):
            file.write_text(text.replace('"scheduler": "spikex"', f'"scheduler": {scheduler}'))
            again = sx.load_results(file)
            assert again.arch_name == "spikex"
            with pytest.raises(sx.ResultsError, match="scheduler: no plug-in"):
                _ = again.arch

    @pytest.mark.parametrize("arch", ["sata", "systolic-ws", "spinalflow", "ann"])
    def test_a_machine_has_its_own_keys(self, arch: str, tmp_path: Path) -> None:
        first = TRACE.spikes(0).cumsum(axis=-1) == 1
        once = sx.Trace.from_arrays(TRACE.layers[:1], first & TRACE.spikes(0), weights=[TRACE.weights[0]])
        result = sx.simulate(once, arch)
        result.save(tmp_path)
        again = sx.load_results(tmp_path)
        assert again.arch == result.arch and again.to_dict() == result.to_dict()


class TestFrames:
    def test_without_pandas_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch, saved: tuple[sx.RunResult, Path]
    ) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        for made in (saved[0], sx.load_results(saved[1]), sx.sweep(TRACE, {})):
            with pytest.raises(sx.UnsupportedError, match=re.escape(pip_install("pandas"))):
                made.to_frame()

    def test_rows_are_those_of_the_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        frame = SimpleNamespace(from_records=lambda rows: rows)
        monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=frame))
        result, table = sx.simulate(TRACE), sx.sweep(TRACE, {"tws": [1, 2]})
        assert result.to_frame() == result.layer_rows()
        assert table.to_frame() == list(map(dict, table))

    def test_with_pandas(self) -> None:
        pytest.importorskip("pandas")
        result = sx.simulate(TRACE)
        frame = result.to_frame()
        assert list(frame["cycles"]) == [layer.cycles for layer in result.layers]
        assert len(sx.sweep(TRACE, {"tws": [1, 2]}).to_frame()) == 2


class TestCommandsAsFunctions:
    def test_compare(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = sx.compare(TRACE, ["spinalflow", "spikex", "ptb"], overrides={"array.cols": 4})
        assert [result.arch.name for result in found.results] == ["spikex", "ptb"]
        assert list(found.refused) == ["spinalflow"] and "spike more than once" in found.refused["spinalflow"]
        alone = [sx.simulate(TRACE, arch, overrides={"array.cols": 4}) for arch in ("spikex", "ptb")]
        assert [one.totals for one in found.results] == [one.totals for one in alone]
        assert found.baseline is found.results[0]
        assert found.ratios("energy_pj") == (1, alone[1].totals.energy_pj / alone[0].totals.energy_pj)
        (ptb,) = sx.compare(TRACE, "ptb", tws=2).results
        assert ptb.totals == sx.simulate(TRACE, "ptb", tws=2).totals
        monkeypatch.chdir(tmp_path)
        sx.save_trace(TRACE, "t.npz")
        line = ("compare", "t.npz", "--arch", "spinalflow,spikex,ptb", "--set", "array.cols=4")
        succeed(capsys, *line, "--out", "o")
        assert sorted(path.name for path in Path("o").iterdir()) == ["1-spikex", "2-ptb"]
        assert sx.load_results("o/2-ptb").totals.cycles == found.results[1].totals.cycles

    def test_compare_needs_one_that_can(self) -> None:
        with pytest.raises(sx.UnsupportedError, match="no accelerator can take this trace: spinalflow: "):
            sx.compare(TRACE, ["spinalflow"])
        with pytest.raises(sx.ConfigError, match="at least one accelerator"):
            sx.compare(TRACE, [])

    def test_evaluate_takes_names_and_files(self, tmp_path: Path) -> None:
        made = tmp_path / "has.npz"
        save_trained(network("has", (2, 3)), made)
        data = tmp_path / "data"
        data.mkdir()
        for number, spikes in enumerate(SPIKES):
            sx.save_trace(a_trace(spikes, LABELS[number]), data / f"{number}.npz")
        wanted = sx.evaluate(network("has", (2, 3)), samples(), "ptb")
        found = sx.evaluate(str(made), data, "ptb", variant="has")
        assert (found.samples, found.layers) == (wanted.samples, wanted.layers)
        assert len(sx.evaluate(made, data, limit=2).samples) == 2
        with pytest.raises(sx.ConfigError, match="is of the variant has, not ht"):
            sx.evaluate(made, data, variant="ht")
        with pytest.raises(sx.ConfigError, match="variant: must be one of base, ht, has"):
            sx.evaluate("nmnist", variant="best")

    def test_search_takes_a_network_or_a_trace(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        trained = network("has", (2, 3))
        found = sx.search_tws(trained, samples(2), "ptb", [1, 2, 4])
        assert (found.samples, found.arch.name) == (2, "ptb")
        assert found.found[-1].method == "given" and found.found[-1].tws == (2, 3)
        spikes = np.stack([SPIKES[0], SPIKES[1]])
        trace = trained.trace(spikes, trained.name, tuple(LABELS[:2]), "six")
        assert sx.search_tws(trace, arch="ptb", choices=[1, 2, 4], given=(2, 3)).found == found.found
        with pytest.raises(sx.ConfigError, match="from 1 to"):
            sx.search_tws(trace, choices=[99])
