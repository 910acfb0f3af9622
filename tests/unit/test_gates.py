"""Synthesised parts: reading them, between their rows, and what machines that issue NTWUs make of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from command import REPOSITORY, succeed
from networks import NEURONS, conv, linear, random_weights, trace_of
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import ConfigError, EnergyTableError, UnsupportedError
from spikex_sim.costs import table
from spikex_sim.costs.gates import Gates

PACKAGED = REPOSITORY / "spikex_sim/costs/tables/gates.csv"
HEADER = "component,quantity,tws,width_bits,node_nm,value,unit,source,derivation\n"
MACHINES = ("spikex", "ptb")
HARDWARE = {"overheads": "hardware"}


def written(component: str, quantity: str, tws: Any = "", width_bits: Any = "") -> float:
    """Value of a row as it stands in the file."""
    with PACKAGED.open(newline="", encoding="utf-8") as file:
        (row,) = (
            row for row in csv.DictReader(file)
            if (row["component"], row["quantity"], row["tws"], row["width_bits"])
            == (component, quantity, str(tws), str(width_bits))
        )  # fmt: skip
    return float(row["value"])


def rows(*lines: str) -> Gates:
    return Gates.of("mine.csv", HEADER + "".join(f"{line},pJ,me,made up\n" for line in lines))


class TestRows:
    def test_a_row_is_what_it_says(self) -> None:
        found = rows("a,b,4,8,32,2.5").value("a", "b", tws=4, width_bits=8)
        assert (found.value, found.node_nm) == (2.5, 32)
        assert found.provenance == "a.b (TWS 4, 8 bit): me; made up"

    def test_between_rows_it_is_linear_in_both_sizes(self) -> None:
        gates = rows("a,b,2,8,32,1", "a,b,2,16,32,3", "a,b,4,8,32,5", "a,b,4,16,32,11")
        assert gates.value("a", "b", tws=2, width_bits=10).value == pytest.approx(1.5)
        assert gates.value("a", "b", tws=3, width_bits=8).value == pytest.approx(3)
        found = gates.value("a", "b", tws=3, width_bits=12)
        assert (
            found.value == pytest.approx(5) and "interpolated between a.b (TWS 2, 8 bit)" in found.provenance
        )

    def test_sizes_without_rows_are_of_no_account(self) -> None:
        gates = rows("a,b,,,32,1", "a,c,,8,32,2", "a,c,,16,32,4")
        assert gates.value("a", "b", tws=99, width_bits=99).value == 1
        assert gates.value("a", "c", tws=99, width_bits=12).value == 3

    @pytest.mark.parametrize(
        ("sizes", "message"),
        [
            ({"tws": 1, "width_bits": 8}, "mine.csv: has no a.b (TWS 1, 8 bit): the smallest tws of its"),
            ({"tws": 5, "width_bits": 8}, "mine.csv: has no a.b (TWS 5, 8 bit): the largest tws of its"),
            ({"tws": 2, "width_bits": 9}, "the largest width_bits of its rows is 8; it is not extrapolated"),
        ],
    )  # fmt: skip
    def test_outside_of_the_rows_it_is_refused(self, sizes: dict[str, int], message: str) -> None:
        with pytest.raises(EnergyTableError) as refused:
            rows("a,b,2,8,32,1", "a,b,4,8,32,2").value("a", "b", **sizes)
        assert message in str(refused.value)

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (("a,b,4,8,32,1", "a,b,4,8,32,2"), "mine.csv: two rows for a.b (TWS 4, 8 bit)"),
            (("a,b,4,8,32,1", "a,b,2,16,32,2"), "mine.csv: a.b lacks rows"),
            (("a,b,4,8,32,1", "a,b,,8,32,2"), "mine.csv: a.b lacks rows"),
            (("a,b,4,8,32,1", "a,b,2,8,45,2"), "mine.csv: a.b has rows of several nodes or units"),
            (("a,b,4,8,32,-1",), "mine.csv: row 2: value: is negative"),
            (("a,b,four,8,32,1",), "mine.csv: row 2: tws: is not a number"),
            (("a,,4,8,32,1",), "mine.csv: row 2: quantity: is empty"),
        ],
    )
    def test_malformed_rows_are_named(self, lines: tuple[str, ...], message: str) -> None:
        with pytest.raises(EnergyTableError) as refused:
            rows(*lines)
        assert message in str(refused.value)

    def test_what_is_not_there_is_named(self) -> None:
        with pytest.raises(EnergyTableError, match=r"mine\.csv: has no a\.c; there are a\.b, b\.b"):
            rows("a,b,,,32,1", "b,b,,,32,1").value("a", "c")

    def test_every_packaged_row_says_where_it_is_from(self) -> None:
        for row in Gates.load().rows():
            assert row.source and row.derivation and row.unit
            assert row.node_nm in (45 if "delay" in row.quantity else 32, None), row.label
            assert (row.node_nm is None) == (row.quantity == "flip_flops")
            assert Gates.load().value(
                row.component, row.quantity, tws=row.tws or 1, width_bits=row.width_bits or 1
            ).value == written(row.component, row.quantity, row.tws or "", row.width_bits or "")


def a_trace(datapath: str = "int") -> sx.Trace:
    """A convolution whose windows are skipped now and then, and a linear layer."""
    import numpy as np

    layers = [
        conv("conv", (3, 9), 6, NEURONS[datapath], padding=1),
        linear("fc", (324, 11), NEURONS[datapath]),
    ]
    spikes = np.random.default_rng(8).random((3, 6, 6, 20)) < 0.04
    return trace_of(layers, spikes, random_weights(layers, 2))


def run(arch: str = "spikex", datapath: str = "int", **keys: Any) -> sx.RunResult:
    given = {key.replace("__", "."): value for key, value in keys.items()}
    return sx.simulate(a_trace(datapath), arch, overrides={"tws": 4} | given)


class TestClock:
    @pytest.mark.parametrize("arch", MACHINES)
    @pytest.mark.parametrize(("tws", "psum_bits"), [(4, 24), (2, 16), (8, 32)])
    def test_is_flip_flops_times_cycles(self, arch: str, tws: int, psum_bits: int) -> None:
        pj = written("pe", "flip_flops", tws, psum_bits) * written("flip_flop", "clock")
        keys = {"tws": tws, "psum_bits": psum_bits, "psum_overflow": "wrap", "array__rows": 4}
        busy, none = (run(arch, clock_gating=how, **keys) for how in ("busy", "none"))
        for some, every in zip(busy.layers, none.layers, strict=True):
            assert some.energy_pj_by["clock"] == pytest.approx(some.operations.pe_cycles * pj)
            assert every.energy_pj_by["clock"] == pytest.approx(4 * 8 * every.cycles * pj)
            assert 0 < some.energy_pj_by["clock"] <= every.energy_pj_by["clock"]
            assert some.energy_by_use_pj["clock"] == some.energy_pj_by["clock"]
        assert none.totals.energy_pj_by["clock"] == pytest.approx(4 * 8 * none.totals.cycles * pj)

    def test_between_rows_flip_flops_are_interpolated(self) -> None:
        found = run(tws=3, psum_bits=20, clock_gating="none")
        around = [written("pe", "flip_flops", tws, bits) for tws in (2, 4) for bits in (16, 24)]
        pj = sum(around) / 4 * written("flip_flop", "clock")
        assert found.totals.energy_pj_by["clock"] == pytest.approx(64 * found.totals.cycles * pj)

    @pytest.mark.parametrize("arch", MACHINES)
    def test_every_layer_is_priced_at_its_own_window_size(self, arch: str) -> None:
        for tws in ([2, 8], "auto"):
            found = run(arch, tws=tws, clock_gating="none")
            for layer in found.layers:
                alone = sx.load_accelerator(arch, {"tws": layer.tws, "clock_gating": "none"})
                clock = next(one for one in energy_model(alone).components if one.name == "clock")
                assert layer.energy_pj_by["clock"] == pytest.approx(layer.cycles * clock.idle_pj)

    def test_sizes_without_prices_are_not_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first, *lines = PACKAGED.read_text("utf-8").splitlines()
        small = [line for line in lines if line.split(",")[2] in ("", "1", "2")]
        monkeypatch.setattr(
            Gates, "load", staticmethod(lambda: Gates.of("small", "\n".join([first, *small])))
        )
        for arch in MACHINES:
            found = run(arch, name="small", tws="auto", clock_gating="none")
            assert {layer.tws for layer in found.layers} <= {1, 2}

    @pytest.mark.parametrize("arch", MACHINES)
    def test_perfect_is_as_if_there_were_no_such_key(self, arch: str) -> None:
        without, perfect = run(arch).to_dict(), run(arch, clock_gating="perfect", overheads="none").to_dict()
        for one in (without, perfect):
            one.pop("timestamp")
        assert json.dumps(perfect) == json.dumps(without)
        assert list(perfect["totals"]["energy_pj_by"]) == ["alu", "rf", "lbuf", "glb", "dram"]
        assert list(perfect["totals"]["energy_by_use_pj"]) == ["alu", "weights", "spikes", "potentials"]

    @pytest.mark.parametrize("arch", MACHINES)
    def test_keys_change_energies_alone(self, arch: str) -> None:
        before = run(arch)
        for keys in ({"clock_gating": "busy"}, {"clock_gating": "none"}, HARDWARE):
            after = run(arch, **keys)
            for one, other in zip(before.layers, after.layers, strict=True):
                assert (one.cycles, one.stalls, one.operations) == (
                    other.cycles,
                    other.stalls,
                    other.operations,
                )
                assert one.accesses == other.accesses and one.output_sha256 == other.output_sha256
                assert {part: other.energy_pj_by[part] for part in one.energy_pj_by} == one.energy_pj_by
                assert sum(other.energy_by_use_pj.values()) == pytest.approx(other.energy_pj)


class TestOverheads:
    @pytest.mark.parametrize("tws", [1, 4])
    def test_are_counts_times_rows(self, tws: int) -> None:
        layer = run(tws=tws, **HARDWARE).layers[0]
        counts, energy = layer.counts, layer.energy_pj_by
        assert counts["lif", "catchups", ""] == layer.operations.leak_catchups > 0
        clock = written("flip_flop", "clock")
        update = written("lif", "update_low", tws, 16) - (0.032967 + 0.010991)
        wanted = {
            "deskew": counts["deskew", "moved_bits", "psum"] * (written("deskew", "move") + clock),
            "handover": counts["handover", "moved_bits", "psum"] * written("handover", "move", "", 8),
            "window_table": counts["window_table", "accesses", "psum"] * written("table", "access"),
            "scanner": counts["scanner", "examined_bits", "tag"] * (written("scanner", "examine") + clock),
            "lif": layer.operations.lif_updates * update
            + layer.operations.leak_catchups * written("lif", "catchup", tws),
        }
        assert {part: energy[part] for part in wanted} == pytest.approx(wanted, rel=1e-4)
        assert list(energy) == ["alu", "rf", "lbuf", "glb", "dram", "lif", *list(wanted)[:4]]

    def test_a_serial_unit_leaks_once_a_cycle(self) -> None:
        model = energy_model(sx.load_accelerator("spikex", {"leak_catchup_cycles": 4, **HARDWARE}))
        assert model.price_pj("lif", ("lif", "catchups", "")) == 4 * written("lif", "catchup", 1)
        update = model.price_pj("lif", ("alu", "update", ""))
        assert update == pytest.approx(written("lif", "update_serial_low", "", 16) - 0.043958, abs=1e-4)

    def test_ptb_skips_nothing(self) -> None:
        found = run("ptb", **HARDWARE)
        assert "window_table" not in found.totals.energy_pj_by
        assert found.totals.energy_pj_by["lif"] > 0 == found.totals.counts["lif", "catchups", ""]

    def test_all_taps_are_streamed_without_looking(self) -> None:
        assert run(stream="all", **HARDWARE).totals.energy_pj_by["scanner"] == 0

    def test_updates_never_cost_less(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Gates, "load", staticmethod(lambda: Gates.of("free", free_updates())))
        model = energy_model(sx.load_accelerator("spikex", {"name": "free", **HARDWARE}))
        assert model.price_pj("lif", ("alu", "update", "")) == 0

    def test_of_float_weights_updates_are_those_of_the_table(self) -> None:
        found = run(datapath="float", **HARDWARE).totals
        assert found.energy_pj_by["lif"] == 0 < found.energy_pj_by["deskew"]


def free_updates() -> str:
    with PACKAGED.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    for line in lines[1:]:
        if line[:2] == ["lif", "update_low"]:
            line[5] = "0.001"
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines) + "\n"


class TestArea:
    @pytest.mark.parametrize(
        ("arch", "keys", "pe", "lif"),
        [
            ("spikex", {}, ("area", 4, 24), ("area", 4, 16)),
            ("spikex", {"tws": 8, "psum_bits": 32, "potential_bits": 8}, ("area", 8, 32), ("area", 8, 8)),
            ("spikex", {"leak_catchup_cycles": 4}, ("area", 4, 24), ("area_serial", "", 16)),
            ("spikex", {"leak_catchup_cycles": 2}, ("area", 4, 24), ("area", 4, 16)),
            ("spikex", {"tws": 1}, ("area", 1, 24), ("area", 1, 16)),
            ("spikex", {"tws": [2, 8, 1]}, ("area", 8, 24), ("area", 8, 16)),
            ("ptb", {"tws": 8}, ("area", 8, 24), ("area_serial", "", 16)),
        ],
    )
    def test_of_the_array_is_that_of_the_rows(self, arch: str, keys: Any, pe: Any, lif: Any) -> None:
        sizes = {"array.rows": 4, "array.cols": 8}
        areas = energy_model(sx.load_accelerator(arch, {**keys, **sizes})).area_mm2_by
        assert areas["pe"] == pytest.approx(32e-6 * written("pe", *pe))
        assert areas["lif"] == pytest.approx(32e-6 * written("lif", *lif))

    def test_of_what_overheads_add(self) -> None:
        areas = energy_model(sx.load_accelerator("spikex", HARDWARE)).area_mm2_by
        assert areas["deskew"] == pytest.approx(8 * 28 * 24 * 1e-6 * written("deskew", "area"))
        assert areas["handover"] == pytest.approx(8 * 16 * 1e-6 * written("handover", "area", "", 8))
        assert areas["window_table"] == pytest.approx(1e-6 * written("table", "area"))
        assert areas["scanner"] == pytest.approx(64e-6 * written("scanner", "area"))

    @pytest.mark.parametrize(
        ("keys", "there"),
        [
            ({"tws": 64}, set()),
            ({"psum_bits": 40}, {"lif"}),
            ({"potential_bits": 7}, {"pe"}),
            ({"tws": "auto"}, set()),
        ],
    )
    def test_what_was_not_synthesised_has_none(self, keys: dict[str, Any], there: set[str]) -> None:
        areas = energy_model(sx.load_accelerator("spikex", keys)).area_mm2_by
        assert areas.keys() == {"lbuf", "glb"} | there

    def test_a_searched_window_size_is_known_behind_the_run(self) -> None:
        found = run("ptb", tws="auto")
        largest = max(layer.tws or 0 for layer in found.layers)
        assert (
            found.totals.area_mm2_by == energy_model(sx.load_accelerator("ptb", {"tws": largest})).area_mm2_by
        )
        assert f"TWS {largest}" in found.energy_model.provenance["pe.area"]

    def test_other_machines_have_none(self) -> None:
        for arch in ("systolic-os", "spinalflow", "sata-on-spikex"):
            model = energy_model(sx.load_accelerator(arch))
            assert model.area_mm2_by.keys() == {"lbuf", "glb"}
            assert model.area.absent["pe"] == model.area.absent["lif"] != ""
            assert set(model.area.absent) == {"pe", "lif", "dram"}

    def test_is_printed_by_window_size(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "energy", "area", "--tws", "2,8").out
        assert "TWS=2" in shown and "TWS=8" in shown and "pe.area (TWS 2, 24 bit)" in " ".join(shown.split())
        assert f"{64e-6 * written('pe', 'area', 8, 24):.4g}" in shown


@pytest.fixture
def other_node(tmp_path: Path) -> str:
    """The default table as if it were of 28 nm."""
    for name in ("sram.csv", "logic.csv", "dram.csv"):
        text = (Path(table.__file__).parent / "tables" / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace(",32,", ",28,") if name == "sram.csv" else text, "utf-8")
    return str(tmp_path)


class TestRefusals:
    @pytest.mark.parametrize("key", ["clock_gating", "overheads"])
    def test_nodes_are_not_mixed(self, other_node: str, key: str) -> None:
        keys = {"energy.table": other_node}
        value = {"clock_gating": "busy", "overheads": "hardware"}[key]
        with pytest.raises(EnergyTableError, match=rf"^spikex: {key}: {value} has energies of 32 nm alone"):
            energy_model(sx.load_accelerator("spikex", keys | {key: value}))

    def test_areas_go_with_the_square_of_the_node(self, other_node: str) -> None:
        model = energy_model(sx.load_accelerator("spikex", {"energy.table": other_node}))
        assert model.area_mm2_by["pe"] == pytest.approx(64e-6 * (28 / 32) ** 2 * written("pe", "area", 4, 24))
        assert model.area_mm2_by["lif"] == pytest.approx(
            64e-6 * (28 / 32) ** 2 * written("lif", "area", 4, 16)
        )
        assert model.provenance["pe.area"].endswith("; x (28/32)^2, the node of the energy table")

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"clock_gating": "none", "psum_bits": 40}, "spikex: clock_gating: gates.csv: has no pe."),
            ({"clock_gating": "busy", "tws": 64}, "clock_gating: gates.csv: has no pe.flip_flops (TWS 64"),
            ({"overheads": "hardware", "array.cols": 3}, "overheads: gates.csv: has no handover.move (3 bit"),
            ({"overheads": "hardware", "potential_bits": 7}, "overheads: gates.csv: has no lif.update_low"),
        ],
    )  # fmt: skip
    def test_what_was_not_synthesised_is_not_priced(self, keys: dict[str, Any], message: str) -> None:
        with pytest.raises(EnergyTableError) as refused:
            energy_model(sx.load_accelerator("spikex", keys))
        assert message in str(refused.value)

    def test_float_pes_have_no_clock(self) -> None:
        with pytest.raises(UnsupportedError, match=r"clock_gating: layer conv: a PE for float weights"):
            run(datapath="float", clock_gating="busy")

    @pytest.mark.parametrize("arch", ["systolic-os", "sata", "spinalflow", "spikesim"])
    def test_other_machines_do_not_read_the_keys(self, arch: str) -> None:
        for key, value in (("clock_gating", "none"), ("overheads", "hardware")):
            with pytest.raises(ConfigError, match=key):
                sx.load_accelerator(arch, {key: value})


class TestCatchUps:
    """16 leaks take longer than a cycle of 2 ns, however the unit is made."""

    @pytest.mark.parametrize("keys", [{}, {"tws": 8}, {"tws": "auto"}, {"tws": 16, "clock_mhz": 100.0},
                                      {"tws": 16, "leak_catchup_cycles": 16}, {"tws": 64},
                                      {"tws": 16, "leak_catchup_cycles": 0}])  # fmt: skip
    def test_nothing_is_said_of_what_hardware_can_do(self, keys: dict[str, Any]) -> None:
        assert not list(sx.load_accelerator("spikex", keys).remarks())

    @pytest.mark.parametrize("tws", [16, [4, 16]])
    def test_long_chains_are_remarked_on(self, tws: Any) -> None:
        (told,) = sx.load_accelerator("spikex", {"tws": tws}).remarks()
        delay = written("lif", "delay_constant_shift", 16, 16) * 32 / 45
        assert told.startswith(f"leak_catchup_cycles 1: 16 leaks in series take {delay:.2f} ns at 32 nm")
        assert not list(sx.load_accelerator("ptb", {"tws": 16}).remarks())

    def test_it_is_printed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sx.save_trace(a_trace(), tmp_path / "t.npz")
        shown: Callable[..., str] = lambda *words: " ".join(  # noqa: E731
            succeed(capsys, "run", str(tmp_path / "t.npz"), *words).out.split()
        )
        assert "16 leaks in series" in shown("--tws", "16") and "in series" not in shown()
