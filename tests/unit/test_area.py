"""Area of every machine: as computed by hand from the tables, with what is missing in it by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, is_mistake, spikex, succeed
from spikex_sim.accelerators.base import energy_model
from spikex_sim.costs.areas import Lacking, on_chip, said_of, told, unlike
from spikex_sim.costs.array import area_of_layers
from spikex_sim.costs.energy import Area, Component, EnergyModel
from spikex_sim.plots.folder import drawings_of
from spikex_sim.run.fields import ALIASES
from spikex_sim.spec.load import preset_names
from spikex_sim.testing.own_keys import own

TABLES = REPOSITORY / "spikex_sim/costs/tables"
OVERHEADS = ("deskew", "handover", "window_table", "scanner")


def rows_of(path: str) -> list[dict[str, str]]:
    with (TABLES / path).open(newline="") as file:
        return list(csv.DictReader(file))


def sram(size: int, width: int, path: str = "sram.csv", device: str = "hp") -> float:
    """Area of a memory, mm², as the file has it."""
    wanted = {"device": device, "capacity_bytes": str(size), "width_bits": str(width)}
    (row,) = (row for row in rows_of(path) if wanted.items() <= row.items())
    return float(row["area_mm2"])


def gate(part: str, **sizes: int) -> float:
    """Area of a part, µm² at 32 nm, as the file has it."""
    wanted = {"component": part, "quantity": "area"} | {key: str(size) for key, size in sizes.items()}
    (row,) = (row for row in rows_of("gates.csv") if wanted.items() <= row.items())
    assert row["unit"].startswith("um2") and row["node_nm"] == "32"
    return float(row["value"])


def a_trace(datapath: str = "int", **kind: Any) -> sx.Trace:
    neuron = {"leak_shift": 2} if datapath == "int" else {"leak": 0.5, "datapath": "float"}
    layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 3,
             "neuron": {"threshold": 1, **neuron}}  # fmt: skip
    weight = np.ones((3, 4), np.int8 if datapath == "int" else np.float32)
    spikes = np.arange(6) == np.arange(4)[:, None]  # once each, for machines that take no more
    return sx.Trace.from_arrays([layer], spikes, weights=[weight], **kind)


def area_of(arch: str, **keys: Any) -> Area:
    return energy_model(
        sx.load_accelerator(arch, {key.replace("__", "."): v for key, v in keys.items()})
    ).area


class TestByHand:
    def test_of_spikex_as_it_is_preset(self) -> None:
        """64 PEs and LIF units of TWS 4, sums of 24 and potentials of 16 bits, 54 KB and 2 KB of memory."""
        totals = sx.simulate(a_trace(), "spikex").totals
        wanted = {
            "glb": sram(55296, 64), "lbuf": sram(2048, 64),
            "pe": 64 * gate("pe", tws=4, width_bits=24) / 1e6,
            "lif": 64 * gate("lif", tws=4, width_bits=16) / 1e6,
        }  # fmt: skip
        assert dict(totals.area_mm2_by) == pytest.approx(wanted)
        assert totals.area_mm2 == pytest.approx(0.09023 + 0.00382582 + 0.0336960 + 0.0491328)
        assert set(on_chip(totals.area_absent)) == set(OVERHEADS)

    def test_of_all_its_parts(self) -> None:
        found = area_of("spikex", overheads="hardware", memory__rf__bytes=64)
        added = {
            "deskew": 8 * 28 * 24 * gate("deskew"), "handover": 8 * 16 * gate("handover", width_bits=8),
            "window_table": gate("table"), "scanner": 64 * gate("scanner"),
        }  # fmt: skip
        assert {part: found.mm2_by[part] for part in added} == pytest.approx(
            {part: um2 / 1e6 for part, um2 in added.items()}
        )
        assert found.mm2_by["rf"] == pytest.approx(64 * sram(64, 8))
        assert found.absent == {"dram": "off chip"}

    def test_of_the_memories_of_sata(self) -> None:
        found = area_of("sata")
        path = "sata/sram.csv"
        wanted = 2 * sram(32768, 256, path, "lop") + sram(147456, 256, path, "lop")
        assert found.mm2_by == {"glb": pytest.approx(wanted)} and wanted == pytest.approx(0.328731)
        assert on_chip(found.absent) == {
            "rf": "energy table sata has no area of it",
            **dict.fromkeys(("pe", "lif"), "not synthesised for scheduler sata"),
        }

    def test_ports_as_configured(self) -> None:
        assert area_of("spinalflow").mm2_by == {"glb": sram(55296, 512), "lbuf": sram(2048, 512)}

    def test_grows_with_the_global_buffer(self) -> None:
        sizes = (16384, 32768, 55296, 65536, 131072)
        areas = [area_of("systolic-os", memory__glb__bytes=size).mm2_by["glb"] for size in sizes]
        assert areas == sorted(areas) and len(set(areas)) == len(areas)
        pes = [area_of("spikex", array__rows=rows).mm2_by["pe"] for rows in (1, 2, 8)]
        assert pes == pytest.approx([pes[0], 2 * pes[0], 8 * pes[0]])


class TestAbsent:
    @pytest.mark.parametrize(
        ("arch", "keys", "wanted"),
        [
            ("spikex", {}, {*OVERHEADS}),
            ("ptb", {"tws": 4}, {"deskew", "handover", "scanner"}),
            ("ptb", {"tws": 4, "stsap": True}, {"deskew", "handover", "scanner", "pe"}),
            ("spikex", {"overheads": "hardware"}, set()),
            ("spikex", {"overheads": "hardware", "clock_gating": "none"}, set()),
            ("spikex", {"overheads": "hardware", "accumulators_per_pe": 2}, {"pe"}),
            ("spikex-plus", {"overheads": "hardware"}, {"dispatch"}),
            ("spikex", {"tws": 64}, {"pe", "lif", *OVERHEADS}),
            ("ptb", {}, {"pe", "deskew", "handover", "scanner"}),
            ("systolic-ws", {"memory__lbuf__bytes": 0}, {"pe", "lif"}),
            ("ann", {}, {"pe"}),
            ("spinalflow", {}, {"pe", "lif"}),
        ],
    )
    def test_parts_are_missing_by_name_and_are_not_zero(
        self, arch: str, keys: dict[str, Any], wanted: set[str]
    ) -> None:
        found = area_of(arch, **keys)
        assert set(on_chip(found.absent)) == wanted
        assert not set(found.absent) & set(found.mm2_by)
        assert all(area > 0 for area in found.mm2_by.values()) and all(found.absent.values())
        assert found.absent["dram"] == "off chip"

    def test_every_preset_of_arrays_accounts_for_the_same_parts(self) -> None:
        """PEs, LIF units but of an ANN, and buffers are known or missing, whatever the machine."""
        for name in preset_names():
            arch = sx.load_accelerator(name)
            if arch.scheduler in ("spikesim", "crossbar"):
                continue
            found = energy_model(arch).area
            parts = {*found.mm2_by, *found.absent}
            assert parts >= {"pe", "glb", "dram"} | ({"lif"} if arch.input_bits == 1 else set()), name
            assert ("lbuf" in parts) == (arch.memory.lbuf.bytes > 0), name

    def test_a_reason_says_what_to_look_for(self) -> None:
        assert "largest tws of its rows is 32" in area_of("spikex", tws=64).absent["pe"]
        assert "searches" in area_of("ptb").absent["pe"]
        assert area_of("spikex").absent["scanner"] == "overheads is none"

    def test_what_a_plug_in_does_not_say_is_not_known(self) -> None:
        model = EnergyModel(
            (Component("a"), Component("b", area_mm2=1.0), Component("c", off_chip=True),
             Component("d", area_absent="drawn, not laid out"), Component("e", area_absent="")),
            1.0, "t", "m",
        )  # fmt: skip
        assert model.area.mm2_by == {"b": 1.0}
        assert model.area.absent == {"a": "not known", "c": "off chip", "d": "drawn, not laid out"}

    def test_pes_of_int_weights_are_none_for_float(self) -> None:
        assert {"pe", "lif"} <= sx.simulate(a_trace(), "spikex").totals.area_mm2_by.keys()
        totals = sx.simulate(a_trace("float"), "spikex").totals
        assert totals.area_mm2_by.keys() == {"glb", "lbuf"}
        assert (
            totals.area_absent["pe"] == totals.area_absent["lif"] == "none was synthesised for float weights"
        )

    def test_products_want_multipliers_that_pes_have_not(self) -> None:
        known = Area({"pe": 1.0, "glb": 2.0}, {"dram": "off chip"})
        assert area_of_layers(known, float_weights=False, multiplied=False) == known
        found = area_of_layers(known, float_weights=False, multiplied=True)
        assert found.mm2_by == known.mm2_by
        assert found.absent == {"dram": "off chip", "multiplier": "PEs were synthesised without"}

    def test_crossbars_lack_the_buffers_without_a_size(self) -> None:
        assert sx.simulate(a_trace(), "spikesim").totals.area_absent == {
            "pib": "imc.buffers.pib is 0, which is unsized"
        }
        sized = sx.simulate(a_trace(), "spikesim", overrides={"imc.buffers.pib": 1024}).totals
        assert sized.area_absent == {}


class TestProduct:
    @pytest.mark.parametrize(
        "arch", ["spikex", "ptb", "sata", "systolic-is", "ann", "spinalflow", "spikesim"]
    )
    def test_edap_is_edp_times_area_on_either_engine(self, arch: str) -> None:
        found = [sx.simulate(a_trace(), arch, engine=engine).totals for engine in ("fast", "event")]
        for totals in found:
            assert totals.area_mm2 == pytest.approx(sum(totals.area_mm2_by.values())) and totals.area_mm2 > 0
            assert totals.edap_js_mm2 == pytest.approx(
                totals.energy_pj * 1e-12 * totals.seconds * totals.area_mm2, rel=1e-12
            )
        assert found[0].area == found[1].area

    def test_several_samples_have_the_area_of_one(self) -> None:
        spikes = np.stack([np.arange(6) == np.arange(4)[:, None]] * 3)
        layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 3,
                 "neuron": {"threshold": 1, "leak_shift": 2}}  # fmt: skip
        many = sx.Trace.from_arrays([layer], spikes, weights=[np.ones((3, 4), np.int8)])
        result, once = sx.simulate(many, "ptb"), sx.simulate(a_trace(), "ptb")
        assert result.totals.area == once.totals.area == result.samples[2].area
        assert result.samples[2].edap_js_mm2 == pytest.approx(once.totals.edap_js_mm2)
        assert result.totals.edap_js_mm2 == pytest.approx(9 * once.totals.edap_js_mm2)


class TestFiles:
    def test_results_have_it_and_are_read_back(self, tmp_path: Path) -> None:
        result = sx.simulate(a_trace(), "systolic-os")
        result.save(tmp_path)
        for part in (
            (content := json.loads((tmp_path / "results.json").read_text()))["totals"],
            *content["samples"],
        ):
            assert part["area_absent"] == dict(result.totals.area_absent) and part["area_absent"]["pe"]
            assert part["edap_js_mm2"] == result.totals.edap_js_mm2
        assert sx.load_results(tmp_path).totals.area_absent == result.totals.area_absent

    def test_results_from_before_are_still_read(self, tmp_path: Path) -> None:
        sx.simulate(a_trace(), "spikex").save(tmp_path)
        file = tmp_path / "results.json"
        content = json.loads(file.read_text())
        for part in (content["totals"], *content["samples"]):
            del part["area_absent"], part["edap_js_mm2"]
        file.write_text(json.dumps(content))
        assert sx.load_results(tmp_path).totals.area_mm2 > 0
        areas = next(one for one in drawings_of(tmp_path) if one.name == "area")
        assert areas.lacks == "" and areas.rows()[0]["area_glb_mm2"] == sram(55296, 64)

    @pytest.mark.parametrize("wrong", [["pe"], {"pe": 1}, None, "pe"])
    def test_damaged_ones_are_not(self, tmp_path: Path, wrong: Any) -> None:
        sx.simulate(a_trace(), "spikex").save(tmp_path)
        file = tmp_path / "results.json"
        content = json.loads(file.read_text())
        content["totals"]["area_absent"] = wrong
        file.write_text(json.dumps(content))
        with pytest.raises(sx.ResultsError, match=r"totals\.area_absent: is not what a run writes"):
            sx.load_results(tmp_path)

    def test_sweeps_have_columns_for_it(self, tmp_path: Path) -> None:
        table = sx.sweep(
            a_trace(), {"memory.glb.bytes": [32768, 55296]}, arch=["spikex", "sata-on-spikex"], out=tmp_path
        )
        assert [row["area_parts_absent"] for row in table] == ["/".join(OVERHEADS)] * 2 + ["pe/lif"] * 2
        for row in table:
            assert row["edap_js_mm2"] == pytest.approx(row["edp_js"] * row["area_mm2"])
            assert row["area_glb_mm2"] == sram(row["memory.glb.bytes"], 64)
        with (tmp_path / "sweep.csv").open(newline="") as file:
            assert next(csv.DictReader(file))["area_parts_absent"] == "/".join(OVERHEADS)

    def test_a_figure_shows_every_part_and_what_is_missing(self, tmp_path: Path) -> None:
        for arch in ("spikex", "systolic-os", "spikesim"):
            sx.simulate(a_trace(), arch, overrides=own(arch, {})).save(tmp_path / arch)
        (area,) = (one for one in drawings_of(tmp_path) if one.name == "area")
        figure, ax = area.draw(area.rows(), None, None)
        ends = [0.0, 0.0, 0.0]
        for bars in ax.containers:
            ends = [end + bar.get_width() for end, bar in zip(ends, bars, strict=True)]
        folders = ("spikesim", "spikex", "systolic-os")
        assert ends == pytest.approx([sx.load_results(tmp_path / one).totals.area_mm2 for one in folders])
        said = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
        assert "systolic-os: without pe, lif" in said and "spikesim: without pib" in said


class TestInWords:
    def test_reasons_are_told_once(self) -> None:
        assert told({"a": "x", "b": "y", "c": "x"}) == "a, c (x); b (y)"

    def test_areas_that_lack_nothing_or_the_same_compare(self) -> None:
        assert unlike([Lacking("a", "x", ()), Lacking("b", "y", ())]) == ""
        assert unlike([Lacking("a", "x", ("scanner",)), Lacking("b", "y", ("scanner",))]) == ""
        assert unlike([Lacking("a", "x", ("pe",)), Lacking("b", "x", ("pe",))]) == ""
        assert unlike([Lacking("a", "x", ("pe",))]) == ""

    def test_others_do_not(self) -> None:
        assert unlike([Lacking("a", "x", ("pe",)), Lacking("b", "y", ("pe",))]).endswith(
            "a without pe; b without pe"
        )
        assert unlike([Lacking("a", "x", ()), Lacking("b", "x", ("pe",))]).endswith(
            "like with like: b without pe"
        )

    def test_points_of_one_machine_may_differ(self) -> None:
        rows = [
            {"arch": "spikex", "area_mm2": 1.0, "area_parts_absent": text} for text in ("", "deskew/scanner")
        ]
        assert said_of(rows) == "areas are not like with like: spikex without deskew, scanner"
        assert said_of(rows[:1]) == "" and said_of(rows[1:]) == "areas are without deskew, scanner"
        assert said_of([{"arch": "x", "area_mm2": None, "area_parts_absent": "glb"}]) == ""

    def test_a_comparison_warns_of_areas_that_do_not_compare(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = str(tmp_path / "t.npz")
        sx.save_trace(a_trace(), path)
        shown = " ".join(succeed(capsys, "compare", path, "--arch", "spikex,systolic-os").out.split())
        assert "areas are not like with like: spikex without deskew" in shown
        assert "systolic-os without pe, lif" in shown
        assert "systolic-os: without pe, lif (not synthesised for scheduler systolic)" in shown
        assert "accelerator mm² ratio EDAP, Js mm² ratio" in shown
        alike = succeed(capsys, "compare", path, "--arch", "spikex,spikex-lop").out
        assert "not like with like" not in alike

    def test_a_run_and_a_sweep_say_what_is_missing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = str(tmp_path / "t.npz")
        sx.save_trace(a_trace(), path)
        shown = " ".join(succeed(capsys, "run", path, "--arch", "sata-on-spikex").out.split())
        assert "known 0.09406 without DRAM (off chip); pe, lif (not synthesised for scheduler sata)" in shown
        assert "EDAP" in shown
        out = ("--out", str(tmp_path / "s"))
        shown = succeed(capsys, "sweep", path, "--grid", "memory.glb.bytes=32768,55296", *out).out
        assert "mm²" in shown and "areas are without deskew, handover, window_table, scanner" in shown
        same = succeed(capsys, "sweep", path, "--grid", "memory.dram.bandwidth_gb_s=10,20", *out).out
        assert "area that is known: 0.1769 mm² at every point" in same

    def test_edap_is_a_name_of_its_column(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = str(tmp_path / "t.npz")
        sx.save_trace(a_trace(), path)
        command = ("sweep", path, "--grid", "tws=4,2", "--out", str(tmp_path / "s"))
        shown = succeed(capsys, *command, "--fields", "tws,edap", "--sort", "edap").out
        assert "edap_js_mm2" in shown and "by edap_js_mm2" in shown
        assert ALIASES["edap"] == "edap_js_mm2"
        is_mistake(spikex(capsys, *command, "--fields", "edapp"), "no column of sweep.csv")

    def test_the_table_of_energies_has_areas_and_presets(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "energy", "show").out
        line = next(one for one in shown.splitlines() if one.split()[:1] == ["55,296"])
        assert line.split()[-1] == f"{sram(55296, 64):.4g}"
        assert "Area of presets, mm²" in shown
        spikex = next(one for one in shown.splitlines() if one.startswith("spikex "))
        assert spikex.split()[-1] == "0.1769"
        said = " ".join(shown.split())
        assert "systolic-is, systolic-os, systolic-ws: without DRAM (off chip); pe, lif (not" in said
        published = succeed(
            capsys, "energy", "show", "--table", "sata", "--device", "lop", "--width", "256"
        ).out
        assert "0.3287" in published and "area: CACTI 7.0 at 28 nm lop 360 K" in " ".join(published.split())

    def test_areas_by_window_size_say_what_each_lacks(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = " ".join(succeed(capsys, "energy", "area", "--tws", "2,64").out.split())
        assert (
            "TWS=2: without DRAM (off chip); deskew" in said
            and "TWS=64: without DRAM (off chip); pe (" in said
        )
