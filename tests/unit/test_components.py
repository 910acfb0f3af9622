"""Whatever parts a machine declares are priced, leak and have an area alike; none is known by name."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, succeed
from spikex_sim.accelerators.base import energy_model
from spikex_sim.accelerators.sata import Sata
from spikex_sim.accelerators.spikex import SpikeX
from spikex_sim.core.counts import Counts
from spikex_sim.costs.components import usual_components
from spikex_sim.costs.energy import Component, EnergyModel
from spikex_sim.plots.table import grid_keys

CROSSBAR = Component(
    "crossbar", {("crossbar", "cell_read", ""): 2.0, ("crossbar", "row_activation", ""): 3.0}, area_mm2=0.25
)
ADC = Component(
    "adc", {("adc", "convert", "psum"): 5.0}, idle_pj=0.5, leakage_mw=2.0, uses={"sums": 3, "bias": 1}
)
LINK = Component("link", {("noc", "flit_hop", "ifmap"): 7.0}, off_chip=True)
SHELL = Component("shell", leakage_mw=1.0, area_mm2=0.5)
CHIP = EnergyModel((CROSSBAR, ADC, LINK, SHELL), 1e9, "mine", "chip")
COUNTS = Counts(
    {
        ("crossbar", "cell_read", ""): 10, ("crossbar", "row_activation", ""): 4,
        ("adc", "convert", "psum"): 6, ("noc", "flit_hop", "ifmap"): 1,
    }
)  # fmt: skip


def a_trace(datapath: str = "int") -> sx.Trace:
    kind = {"leak_shift": 2} if datapath == "int" else {"leak": 0.5, "datapath": "float"}
    layer = {
        "name": "fc",
        "kind": "linear",
        "in_channels": 4,
        "out_channels": 3,
        "neuron": {"threshold": 1, **kind},
    }
    weight = np.ones((3, 4), np.int8 if datapath == "int" else np.float32)
    return sx.Trace.from_arrays([layer], np.ones((4, 6), bool), weights=[weight])


class TestPass:
    def test_energy_is_prices_times_counts_of_whatever_is_declared(self) -> None:
        energy = CHIP.energy(COUNTS, 100)
        assert energy.components == {"crossbar": 10 * 2 + 4 * 3, "adc": 6 * 5 + 100 * 0.5, "link": 7}
        assert (energy.total_pj, energy.on_chip_pj) == (119, 112)
        assert energy.leakage == {"adc": pytest.approx(2e9 * 1e-7), "shell": pytest.approx(1e9 * 1e-7)}
        assert CHIP.area_mm2_by == {"crossbar": 0.25, "shell": 0.5}

    def test_uses_follow_tensors_and_else_the_component(self) -> None:
        uses = CHIP.energy(COUNTS, 100).uses
        assert uses == {
            "alu": 0, "weights": 0, "spikes": 7, "potentials": 30, "crossbar": 32,
            "sums": pytest.approx(37.5), "bias": pytest.approx(12.5),
        }  # fmt: skip

    def test_two_components_may_charge_for_one_counter(self) -> None:
        model = EnergyModel(
            (Component("a", {("alu", "add", ""): 1.0}), Component("b", {("alu", "add", ""): 0.5})),
            1.0,
            "t",
            "m",
        )
        assert model.energy(Counts({("alu", "add", ""): 8}), 0).components == {"a": 8, "b": 4}
        assert (model.price_pj("a", ("alu", "add", "")), model.price_pj("c", ("alu", "add", ""))) == (1, 0)

    def test_what_has_no_price_is_refused(self) -> None:
        with pytest.raises(
            sx.UnsupportedError, match=r"^chip: energy\.table: mine has no energy for adc sample of psum"
        ):
            CHIP.energy(COUNTS + Counts({("adc", "sample", "psum"): 1}), 1)

    def test_it_knows_no_machine(self) -> None:
        text = (REPOSITORY / "spikex_sim/costs/energy.py").read_text()
        for name in ("sata", "spikex.", "scheduler", "LEVELS", 'dram"', "glb"):
            assert name not in text.lower().replace("spikex_sim.", ""), name

    @pytest.mark.parametrize("arch", ["spikex", "ptb", "systolic-ws", "sata", "spinalflow", "ann"])
    def test_energies_of_summed_counts_are_summed_energies(self, arch: str) -> None:
        layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 3,
                 "neuron": {"threshold": 1, "leak_shift": 2}}  # fmt: skip
        once = np.arange(8)[:, None] % 4 == np.arange(4)
        layers = [layer | {"in_channels": 8}, layer | {"name": "out", "in_channels": 3}]
        weights = [np.ones((3, 8), np.int8), np.ones((3, 3), np.int8)]
        inputs = {0: once, 1: once[:3]}
        result = sx.simulate(sx.Trace.from_arrays(layers, inputs, weights=weights), arch)
        totals = result.totals
        again = result.energy_model.energy(totals.counts, totals.cycles)
        assert again.components == pytest.approx(dict(totals.energy_pj_by))
        assert again.uses == pytest.approx(dict(totals.energy_by_use_pj))
        assert again.leakage == pytest.approx(dict(totals.leakage_pj))


class TestUsual:
    def test_they_are_priced_from_the_inside_out(self) -> None:
        found = usual_components(sx.load_accelerator("spikex"), 64)
        assert [one.name for one in found] == ["alu", "rf", "lbuf", "glb", "dram"]
        assert [one.off_chip for one in found] == [False] * 4 + [True]

    @pytest.mark.parametrize(("cols", "sharing", "units"), [(8, 1, 64), (8, 3, 24), (5, 2, 24), (4, 100, 8)])
    def test_lif_units_are_asked_of_the_machine(self, cols: int, sharing: int, units: int) -> None:
        arch = sx.load_accelerator("sata", {"array.rows": 8, "array.cols": cols, "lif_sharing": sharing})
        assert Sata().lif_units(arch) == units
        assert SpikeX().lif_units(arch) == 8 * cols
        idle = energy_model(arch).components[0].idle_pj
        assert idle == pytest.approx(8 * cols * 0.0481 + units * 0.140625)

    @pytest.mark.parametrize(("weights", "share"), [("stream", 1.0), ("resident", 0.0), ("amortised", 0.25)])
    def test_who_pays_for_weights_is_a_price(self, weights: str, share: float) -> None:
        keys: dict[str, Any] = {"memory.dram.weights": weights}
        if weights == "amortised":
            keys["memory.dram.samples"] = 4
        model = energy_model(sx.load_accelerator("spikex", keys))
        assert model.price_pj("dram", ("dram", "read_bits", "filter")) == 8 * share
        assert model.price_pj("dram", ("dram", "read_bits", "ifmap")) == 8


KEYS = {"name": "with-converter"}


class TestDeclared:
    """A machine that has a converter beside what all have."""

    @pytest.fixture(autouse=True)
    def with_converter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        usual = SpikeX.components
        adc = Component("adc", {("alu", "accumulate", ""): 2.0}, leakage_mw=1.0, area_mm2=0.125)
        monkeypatch.setattr(SpikeX, "components", lambda self, arch: (*usual(self, arch), adc))

    def test_is_in_results_and_their_tables(self, tmp_path: Path) -> None:
        result = sx.simulate(a_trace(), overrides=KEYS)
        (layer,) = result.layers
        assert layer.energy_pj_by["adc"] == 2 * layer.accumulations == layer.energy_by_use_pj["adc"]
        assert layer.energy_pj == pytest.approx(sum(layer.energy_pj_by.values()))
        assert result.totals.area_mm2 == pytest.approx(
            0.125 + sum(result.totals.area_mm2_by[k] for k in ("glb", "lbuf", "pe", "lif"))
        )
        result.save(tmp_path)
        data = json.loads((tmp_path / "results.json").read_text())
        assert data["layers"][0]["energy_pj_by"]["adc"] == layer.energy_pj_by["adc"]
        assert sx.load_results(tmp_path).totals.area_mm2_by["adc"] == 0.125
        (row,) = csv.DictReader((tmp_path / "layers.csv").read_text().splitlines())
        assert float(row["energy_adc_pj"]) == layer.energy_pj_by["adc"] and float(row["leakage_adc_pj"]) > 0

    def test_is_in_sweeps_beside_machines_without(self, tmp_path: Path) -> None:
        for _ in range(2):  # the second time from the store
            table = sx.sweep(a_trace(), {"tws": [1, 2]}, arch=["spikex", "ptb"], overrides=KEYS, out=tmp_path)
            assert [row["energy_adc_pj"] is None for row in table] == [False, False, True, True]
            assert all(list(row) == list(table[0]) and list(row)[-1] == "error" for row in table)
            assert table[0]["area_adc_mm2"] == 0.125
        with (tmp_path / "sweep.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert float(rows[0]["energy_adc_pj"]) == table[0]["energy_adc_pj"] and rows[2]["energy_adc_pj"] == ""
        assert grid_keys(table) == ["tws"]  # and not a column of the converter

    def test_is_printed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(), "t.npz")
        shown = succeed(capsys, "run", "t.npz", "--set", "name=with-converter")
        assert "ALU RF LBUF GLB DRAM adc total no DRAM" in " ".join(shown.out.split())
        both = succeed(capsys, "compare", "t.npz", "--set", "name=with-converter")
        assert "adc" in both.out


def without_areas(folder: Path) -> str:
    """The default energy table, all areas 0, which are not known."""
    shutil.copytree(REPOSITORY / "spikex_sim/costs/tables", folder, dirs_exist_ok=True)
    with (folder / "sram.csv").open(newline="") as file:
        rows = [row | {"area_mm2": "0"} for row in csv.DictReader(file)]
    with (folder / "sram.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(folder)


UNSYNTHESISED = {"psum_bits": 40, "potential_bits": 7}
SET = [word for key, value in UNSYNTHESISED.items() for word in ("--set", f"{key}={value}")]
"""Widths of which there are neither PEs nor LIF units."""


class TestArea:
    @staticmethod
    def of_table(size: int, width: int) -> float:
        with (REPOSITORY / "spikex_sim/costs/tables/sram.csv").open(newline="") as file:
            (area,) = (
                float(row["area_mm2"]) for row in csv.DictReader(file)
                if (row["device"], row["capacity_bytes"], row["width_bits"]) == ("hp", str(size), str(width))
            )  # fmt: skip
        return area

    def totals(self, arch: str = "spikex", **overrides: Any) -> sx.Totals:
        result = sx.simulate(a_trace(), arch, overrides=overrides)
        assert "area_mm2" not in result.layers[0].to_dict()
        assert all(sample.area_mm2_by == result.totals.area_mm2_by for sample in result.samples)
        return result.totals

    def test_of_the_buffers_is_that_of_the_table(self) -> None:
        totals = self.totals("systolic-os")
        wanted = {"lbuf": self.of_table(2048, 64), "glb": self.of_table(55296, 64)}
        assert totals.area_mm2_by == wanted and totals.area_mm2 == pytest.approx(sum(wanted.values()))

    def test_separate_memories_are_added_up(self) -> None:
        sizes = {"ifmap": 16384, "filter": 32768, "ofmap": 6144}
        totals = self.totals("systolic-ws", **{"memory.glb.separate": sizes})
        assert totals.area_mm2_by["glb"] == pytest.approx(
            sum(self.of_table(size, 64) for size in sizes.values())
        )

    def test_between_rows_it_is_interpolated(self) -> None:
        low, high = self.of_table(49152, 64), self.of_table(55296, 64)
        share = math.log(50000 / 49152) / math.log(55296 / 49152)
        found = self.totals(**{"memory.glb.bytes": 50000}).area_mm2_by["glb"]
        assert found == pytest.approx(low + share * (high - low))

    def test_scratchpads_are_in_every_pe(self) -> None:
        totals = self.totals(**{"memory.rf.bytes": 64, "array.rows": 3, "array.cols": 5})
        assert totals.area_mm2_by["rf"] == pytest.approx(15 * self.of_table(64, 8))

    def test_none_where_the_table_has_none_or_there_is_no_buffer(self, tmp_path: Path) -> None:
        unknown = self.totals(**{"energy.table": without_areas(tmp_path), **UNSYNTHESISED})
        assert unknown.area_mm2 is None and unknown.area_mm2_by == {} and unknown.edap_js_mm2 is None
        assert unknown.to_dict()["area_mm2"] is None and unknown.to_dict()["edap_js_mm2"] is None
        assert "lbuf" not in self.totals("systolic-os", **{"memory.lbuf.bytes": 0}).area_mm2_by

    def test_is_printed_with_where_it_is_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        sx.save_trace(a_trace(), "t.npz")
        shown = succeed(capsys, "run", "t.npz").out
        assert (
            f"{self.of_table(55296, 64):.4g}" in shown and "GLB: 55296 B x 64 bit (hp, 32 nm): CACTI" in shown
        )
        nothing = succeed(
            capsys,
            "run",
            "t.npz",
            "--set",
            f"energy.table={without_areas(tmp_path / 'table')}",
            *SET,
        ).out
        assert "known" not in nothing.split("Area")[1].split("without")[0] and "EDAP" not in nothing
