"""Energies of every machine by hand, registers or scratchpads, and bad values of their keys."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import REPOSITORY, files_under, is_mistake, spikex
from networks import NEURONS, conv, linear, trace_of

TABLES = REPOSITORY / "spikex_sim/costs/tables"
T = 12
PJ_PER_MW = 2.5  # of a cycle at 400 MHz
INSIDE = ("alu", "rf", "lbuf", "glb")


def a_trace(datapath: str = "int") -> sx.Trace:
    """Two layers, each with recorded input in which an input spikes once at most."""
    rng = np.random.default_rng(3)
    layers = [
        conv("conv", (3, 9), 6, NEURONS[datapath], padding=1),
        linear("fc", (50, 11), NEURONS[datapath]),
    ]
    spikes = {}
    for index, shape in enumerate(((3, 6, 6), (50,))):
        times = rng.integers(0, 2 * T, shape)  # half of the inputs are silent
        spikes[index] = times[..., None] == np.arange(T)
    weights = [rng.integers(-20, 40, shape) for shape in ((9, 3, 3, 3), (11, 50))]
    number = np.int8 if datapath == "int" else np.float32
    return trace_of(layers, spikes, [weight.astype(number) for weight in weights])


# ---------------------------------------------------------------------- the tables, as they are written


def lines(table: str, name: str) -> list[dict[str, str]]:
    folder = TABLES if table == "default" else TABLES / table
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def operation(table: str, component: str, width: int) -> float:
    """pJ of one operation."""
    (row,) = (
        row for row in lines(table, "logic.csv")
        if (row["component"], row["width_bits"]) == (component, str(width))
    )  # fmt: skip
    return float(row["energy_pj"])


def memory(table: str, device: str, size: int, width: int) -> tuple[float, float, float]:
    """pJ of a bit read and of a bit written, and mW of leakage."""
    (row,) = (
        row for row in lines(table, "sram.csv")
        if (row["device"], row["capacity_bytes"], row["width_bits"]) == (device, str(size), str(width))
    )  # fmt: skip
    return float(row["read_pj"]) / width, float(row["write_pj"]) / width, float(row["leakage_mw"])


def scratchpad(data: dict[str, Any]) -> tuple[float, float, float]:
    """pJ of a bit read and of a bit written, and mW of leakage, of a PE's register file."""
    config = data["config"]
    return memory("default", config["energy"]["device"], config["memory"]["rf"]["bytes"], 8)


def dram(table: str, kind: str) -> float:
    """pJ of a bit."""
    (row,) = (row for row in lines(table, "dram.csv") if row["component"] == kind)
    return float(row["energy_pj"])


# ---------------------------------------------------------------------- energies by hand


def moved(layer: dict[str, Any], level: str, read_pj: float, write_pj: float, *tensors: str) -> float:
    """pJ of a level's accesses, to some tensors or to all."""
    return sum(
        bits["read_bits"] * read_pj + bits["write_bits"] * write_pj
        for tensor, bits in layer["accesses"][level].items()
        if not tensors or tensor in tensors
    )


def memories(data: dict[str, Any], layer: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """pJ of DRAM, GLB and LBUF, and mW of leakage of the latter two."""
    config = data["config"]
    table, device, parts = config["energy"]["table"], config["energy"]["device"], config["memory"]
    bit = dram(table, parts["dram"]["kind"])
    energy = {"dram": moved(layer, "dram", bit, bit), "glb": 0.0, "lbuf": 0.0}
    leakage = {"glb": 0.0, "lbuf": 0.0}
    glb, lbuf = parts["glb"], parts["lbuf"]
    if glb["separate"] is None:
        read, write, leakage["glb"] = memory(table, device, glb["bytes"], glb["array_port_bits"])
        energy["glb"] = moved(layer, "glb", read, write)
    else:  # the ofmap memory's second half is the psum part
        for name, tensors in (("ifmap", ("ifmap",)), ("filter", ("filter",)), ("ofmap", ("ofmap", "psum"))):
            read, write, mw = memory(table, device, glb["separate"][name], glb["array_port_bits"])
            energy["glb"] += moved(layer, "glb", read, write, *tensors)
            leakage["glb"] += mw
    if lbuf["bytes"]:
        read, write, leakage["lbuf"] = memory(table, device, lbuf["bytes"], lbuf["port_bits"])
        energy["lbuf"] = moved(layer, "lbuf", read, write)
    return energy, leakage


def default_table(data: dict[str, Any], layer: dict[str, Any], datapath: str) -> dict[str, float]:
    """Energy of operations and registers from the default table."""
    add, compare, leak, multiply = {
        "int": (("accumulate", 32), ("comparator", 16), ("leak", 16), ("int_multiply", 8)),
        "float": (("float_add", 32), ("comparator", 32), ("float_multiply", 32), ("float_multiply", 32)),
    }[datapath]
    read = write = operation("default", "register", 1)
    if data["config"]["memory"]["rf"]["bytes"]:
        read, write, _ = scratchpad(data)
    return {
        "alu": layer["accumulations"] * operation("default", *add)
        + layer["multiplications"] * operation("default", *multiply)
        + layer["comparisons"] * operation("default", *compare)
        + layer["lif_updates"] * operation("default", *leak),
        "rf": moved(layer, "rf", read, write),
    }


def published_power(data: dict[str, Any], layer: dict[str, Any]) -> dict[str, float]:
    """Energy of accumulators, LIF units and scratchpads from the published power (sata.md, Energy)."""
    rows, cols = data["config"]["array"]["rows"], data["config"]["array"]["cols"]
    pe_cycles = rows * cols * layer["cycles"]
    unit_cycles = rows * math.ceil(cols / data["config"]["lif_sharing"]) * layer["cycles"]
    accumulators_mw = 0.02511 * layer["accumulations"] + 0.01924 * pe_cycles
    lif_units_mw = 0.01886 * layer["lif_updates"] + 0.05625 * unit_cycles
    scratchpads_mw = 0.11241 * layer["accumulations"] + 0.21233 * pe_cycles
    return {"alu": PJ_PER_MW * (accumulators_mw + lif_units_mw), "rf": PJ_PER_MW * scratchpads_mw}


def assert_energy(data: dict[str, Any], logic: Callable[..., dict[str, float]], *args: str) -> None:
    """Compare every layer and the totals, component by component, and the leakage."""
    totals = dict.fromkeys((*INSIDE, "dram"), 0.0)
    for layer in data["layers"]:
        kept, leakage_mw = memories(data, layer)
        energy = kept | logic(data, layer, *args)
        assert layer["energy_pj_by"] == pytest.approx(energy)
        assert layer["energy_pj"] == pytest.approx(sum(energy.values()))
        assert layer["energy_on_chip_pj"] == pytest.approx(sum(energy[part] for part in INSIDE))
        assert sum(layer["energy_by_use_pj"].values()) == pytest.approx(sum(energy.values()))
        leaked = {name: mw * layer["seconds"] * 1e9 for name, mw in leakage_mw.items()}  # 1 mJ is 1e9 pJ
        pes = data["config"]["array"]["rows"] * data["config"]["array"]["cols"]
        if data["config"]["energy"]["table"] == "sata":
            leaked["pe"] = pes * (6.2e-5 + 8.4e-5 + 5.23e-4) * layer["seconds"] * 1e9
        elif data["config"]["memory"]["rf"]["bytes"]:  # one in every PE
            _, _, mw = scratchpad(data)
            leaked["rf"] = pes * mw * layer["seconds"] * 1e9
        assert layer["leakage_pj"] == pytest.approx(leaked)
        assert min(layer["accumulations"], layer["comparisons"], layer["seconds"]) > 0
        totals = {part: totals[part] + energy[part] for part in totals}
    assert data["totals"]["energy_pj_by"] == pytest.approx(totals)


class TestDefaultTable:
    @pytest.mark.parametrize("datapath", ["int", "float"])
    @pytest.mark.parametrize(
        ("arch", "overrides"),
        [
            ("sata-on-spikex", {}),
            ("sata-on-spikex", {"dataflow": "ws", "energy.device": "lstp"}),
            ("systolic-os", {}),
            ("systolic-os", {"zero_gating": True, "memory.lbuf.bytes": 0}),
            ("systolic-ws", {"memory.dram.kind": "HBM2"}),
            ("systolic-is", {"memory.glb.bytes": 65536, "memory.glb.array_port_bits": 128}),
            ("ann", {}),
            ("ann", {"dataflow": "ws", "zero_gating": True, "activation_bits": 4}),
            ("spinalflow", {}),
            ("spinalflow", {"energy.device": "lop", "memory.lbuf.port_bits": 256}),
            ("spikex", {}),
            ("ptb", {"zero_gating": False}),
            ("spikex", {"memory.rf.bytes": 64}),
            ("spikex", {"memory.rf.bytes": 512, "array.rows": 3, "array.cols": 5, "energy.device": "lop"}),
            ("ptb", {"memory.rf.bytes": 128, "energy.device": "lstp", "zero_gating": False}),
            ("systolic-os", {"memory.rf.bytes": 256, "memory.lbuf.bytes": 0}),
            ("sata-on-spikex", {"memory.rf.bytes": 64}),
        ],
    )
    def test_counts_times_the_table(self, arch: str, overrides: dict[str, Any], datapath: str) -> None:
        data = sx.simulate(a_trace(datapath), arch, overrides=overrides).to_dict()
        assert_energy(data, default_table, datapath)
        (lbuf,) = {layer["energy_pj_by"]["lbuf"] > 0 for layer in data["layers"]}
        assert lbuf == (overrides.get("memory.lbuf.bytes") != 0)
        assert "pe" not in data["totals"]["leakage_pj"]
        assert ("rf" in data["totals"]["leakage_pj"]) == ("memory.rf.bytes" in overrides)

    @pytest.mark.parametrize("arch", ["spikex", "ptb"])
    def test_scratchpads_change_energies_alone(self, arch: str) -> None:
        registers, scratchpads = (
            sx.simulate(a_trace(), arch, overrides={"memory.rf.bytes": size}) for size in (0, 64)
        )
        assert registers.totals.leakage_pj.keys() == {"glb", "lbuf"}
        assert scratchpads.totals.leakage_pj.keys() == {"glb", "lbuf", "rf"}
        for before, after in zip(registers.layers, scratchpads.layers, strict=True):
            assert (after.cycles, after.stalls, after.steps) == (before.cycles, before.stalls, before.steps)
            assert (after.accesses, after.operations) == (before.accesses, before.operations)
            for part in ("alu", "lbuf", "glb", "dram"):
                assert after.energy_pj_by[part] == before.energy_pj_by[part]
            for level in ("glb", "lbuf"):
                assert after.leakage_pj[level] == before.leakage_pj[level]

    def test_a_scratchpad_between_two_rows_is_interpolated(self) -> None:
        sizes = (64, 90, 128)
        runs = [sx.simulate(a_trace(), overrides={"memory.rf.bytes": size}).totals for size in sizes]
        energies = [totals.energy_pj_by["rf"] for totals in runs]
        assert energies == sorted(energies) and len(set(energies)) == 3
        share = math.log(90 / 64) / math.log(128 / 64)
        assert energies[1] == pytest.approx(energies[0] + share * (energies[2] - energies[0]))

    @pytest.mark.parametrize("arch", ["systolic-ws", "sata-on-spikex", "spinalflow"])
    def test_separate_memories_are_charged_at_their_own_capacity(self, arch: str) -> None:
        sizes = {"ifmap": 16384, "filter": 32768, "ofmap": 6144}
        data = sx.simulate(a_trace(), arch, overrides={"memory.glb.separate": sizes}).to_dict()
        assert data["config"]["memory"]["glb"]["separate"] == sizes
        assert_energy(data, default_table, "int")

    def test_an_ann_multiplies_and_compares_but_has_no_potential(self) -> None:
        layer = sx.simulate(a_trace(), "ann").to_dict()["layers"][0]
        taps, outputs = 3 * 9, 36 * 9
        assert layer["multiplications"] == layer["accumulations"] == taps * outputs
        assert (layer["comparisons"], layer["lif_updates"]) == (outputs, 0)
        assert layer["energy_pj_by"]["alu"] == pytest.approx(
            taps * outputs * (0.159348 + 0.13186) + outputs * 0.010991218
        )


class TestSata:
    @pytest.mark.parametrize(
        "overrides",
        [
            {},
            {"cycles_model": "published"},
            {"dataflow": "os"},
            {"dataflow": "ws"},
            {"array.rows": 3, "array.cols": 5, "lif_sharing": 2},
            {"memory.dram.bandwidth_gb_s": 0.01},  # PEs are clocked while they wait, too
        ],
    )
    def test_published_power_takes_the_place_of_registers(self, overrides: dict[str, Any]) -> None:
        data = sx.simulate(a_trace(), "sata", overrides=overrides).to_dict()
        assert_energy(data, published_power)
        for layer in data["layers"]:
            assert layer["energy_pj_by"]["lbuf"] == layer["leakage_pj"]["lbuf"] == 0
            assert layer["accesses"]["rf"]["psum"]["read_bits"] > 0  # counted, but not charged

    @pytest.mark.parametrize("sharing", [2, 3, 4, 8, 100])
    def test_shared_lif_units_spend_less_and_longer(self, sharing: int) -> None:
        alone, shared = (
            sx.simulate(a_trace(), "sata", overrides={"lif_sharing": count}).to_dict()
            for count in (1, sharing)
        )
        assert_energy(shared, published_power)
        for one, other in zip(alone["layers"], shared["layers"], strict=True):
            # T·(n − 1) more for each of the folds of 16 positions and up to 8 channels
            positions, channels = (36, 9) if one["name"] == "conv" else (1, 11)
            groups = [8] * (channels // 8) + [channels % 8]
            waits = sum(min(sharing, group) - 1 for group in groups)  # a unit serves no more than the group
            assert other["compute_cycles"] - one["compute_cycles"] == math.ceil(positions / 16) * T * waits
            assert other["output_sha256"] == one["output_sha256"]
            same = ("accumulations", "lif_updates", "comparisons", "accesses")
            assert {key: other[key] for key in same} == {key: one[key] for key in same}
            assert other["energy_pj_by"]["glb"] == one["energy_pj_by"]["glb"]
            assert other["energy_pj_by"]["rf"] > one["energy_pj_by"]["rf"]
            more = other["cycles"] - one["cycles"]
            units = 16 * math.ceil(8 / sharing)
            changed = PJ_PER_MW * 0.01924 * 128 * more
            changed += PJ_PER_MW * 0.05625 * (units * other["cycles"] - 128 * one["cycles"])
            assert other["energy_pj_by"]["alu"] - one["energy_pj_by"]["alu"] == pytest.approx(changed)

    def test_sharing_costs_nothing_but_time_where_the_table_has_no_power(self) -> None:
        alone, shared = (
            sx.simulate(a_trace(), "sata-on-spikex", overrides={"lif_sharing": count}).to_dict()
            for count in (1, 4)
        )
        for one, other in zip(alone["layers"], shared["layers"], strict=True):
            assert other["cycles"] > one["cycles"]
            assert other["energy_pj_by"] == one["energy_pj_by"]
            assert other["leakage_pj"]["glb"] > one["leakage_pj"]["glb"]

    def test_rows_are_the_published_figures(self) -> None:
        published_mw = {
            "accumulate": 0.02511,
            "accumulate_idle": 0.01924,
            "lif": 0.01886,
            "lif_idle": 0.05625,
            "scratchpad": 0.11241,
            "scratchpad_idle": 0.21233,
        }
        logic = {row["component"]: float(row["energy_pj"]) for row in lines("sata", "logic.csv")}
        leakage_mw = logic.pop("pe_leakage")  # 1 mW is 1 pJ per ns
        assert logic.pop("int_multiply") == pytest.approx(0.2 * 0.6593), "of numbers as inputs, not published"
        assert leakage_mw == pytest.approx(6.2e-5 + 8.4e-5 + 5.23e-4, rel=1e-12)
        assert logic == pytest.approx(
            {name: mw * 1e-3 / 400e6 * 1e12 for name, mw in published_mw.items()}, rel=1e-12
        )
        assert all(row["source"] and row["derivation"] for row in lines("sata", "logic.csv"))

        published_nj = {32 * 1024: (0.01103, 0.01277, 6.26), 144 * 1024: (0.02863, 0.02822, 24.9)}
        rows = {int(row["capacity_bytes"]): row for row in lines("sata", "sram.csv")}
        assert rows.keys() >= published_nj.keys()
        for size, (read_nj, write_nj, mw) in published_nj.items():
            row = rows[size]
            assert (row["device"], row["node_nm"], row["temperature_k"]) == ("lop", "28", "360")
            assert row["width_bits"] == str(32 * 8)
            assert float(row["read_pj"]) == pytest.approx(1e3 * read_nj, rel=1e-12)
            assert float(row["write_pj"]) == pytest.approx(1e3 * write_nj, rel=1e-12)
            assert float(row["leakage_mw"]) == mw
        (only,) = lines("sata", "dram.csv")
        assert float(only["energy_pj"]) == pytest.approx(468.8 / 256, rel=1e-12)


# ---------------------------------------------------------------------- what is refused

Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command on a trace that every machine takes; it must be refused and write nothing."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    sx.save_trace(a_trace("float"), "float.npz")

    def run(arch: str, *settings: str, words: tuple[str, ...], trace: str = "t.npz") -> str:
        before = files_under(tmp_path)
        line = [word for setting in settings for word in ("--set", setting)]
        message = is_mistake(spikex(capsys, "run", trace, "--arch", arch, *line, "--out", "out"), *words)
        assert files_under(tmp_path) == before
        return message

    return run


SPIKES_ONLY = ("activation_bits", "not read by the machine", "but by systolic")
NO_LBUF = ("memory.lbuf.bytes", "needs an LBUF")
REFUSED = [
    *((arch, "dataflow=tick_batch", ("dataflow", "'os', 'ws' or 'is'")) for arch in ("systolic-os", "ann")),
    *((arch, "dataflow=is", ("dataflow", "'tick_batch', not 'is'")) for arch in ("sata", "sata-on-spikex")),
    *((arch, "dataflow=xx", ("dataflow", "'os', 'ws' or", "xx")) for arch in ("systolic-os", "sata")),
    *((arch, "activation_bits=0", ("activation_bits", "not 0")) for arch in ("ann", "systolic-os")),
    *((arch, "activation_bits=9", ("activation_bits", "not 9")) for arch in ("ann", "systolic-os")),
    *(
        (arch, "activation_bits=8", (*SPIKES_ONLY, arch))
        for arch in ("spikex", "ptb", "ptb-stsap", "spinalflow", "sata", "sata-on-spikex")
    ),
    ("sata", "lif_sharing=0", ("lif_sharing", "not 0")),
    ("sata", "lif_sharing=-2", ("lif_sharing", "not -2")),
    ("sata", "lif_sharing=4097", ("lif_sharing", "4096")),
    ("sata", "lif_sharing=1.5", ("lif_sharing", "integer")),
    *((arch, "memory.lbuf.bytes=0", NO_LBUF) for arch in ("spikex", "ptb", "ptb-stsap", "spinalflow")),
    *((arch, "memory.lbuf.bytes=-1", ("memory.lbuf.bytes", "not -1")) for arch in ("sata", "spinalflow")),
    ("sata", "memory.glb.bytes=-1", ("memory.glb", "-1")),
    ("sata", "memory.glb.bytes=200000", ("memory.glb", "200000", "212992")),
    ("sata", "memory.glb.separate.ifmap=65536", ("memory.glb", "212992", "245760")),
    ("systolic-os", "memory.glb.separate={ifmap: 9, filter: 9, ofmap: 9}", ("memory.glb", "55296", "27 B")),
    ("systolic-os", "memory.glb.separate={ifmap: 9, filter: 9}", ("memory.glb",)),
    ("sata", "memory.glb.separate.psum=4", ("memory.glb.separate.psum", "unknown key")),
    ("sata", "memory.glb.separate=3", ("memory.glb.separate",)),
    *(
        (arch, f"memory.glb.separate={{ifmap: {size}, filter: 50000, ofmap: {5296 - size}}}", words)
        for arch in ("systolic-os", "sata-on-spikex")
        for size, words in ((-4096, ("separate.ifmap", "-4096")), (0, ("separate.ifmap", "not 0")))
    ),
    *(
        ("sata", f"memory.glb.separate.{part}={size}", (f"memory.glb.separate.{part}", f"not {size}"))
        for part in ("ifmap", "filter", "ofmap")
        for size in ("-32768", "0", "1.5")
    ),
    ("sata", "cycles_model=foo", ("cycles_model", "published", "foo")),
    *((arch, "energy.table=nonsense", ("energy table", "nonsense", "sata")) for arch in ("sata", "spikex")),
    ("spikex", "energy.table=sata", ("sata", "no energy")),
    ("sata", "energy.device=hp", ("memory.glb", "hp")),
    ("sata", "memory.glb.separate=null", ("memory.glb", "212992 B")),
    ("sata", "memory.dram.kind=LPDDR4", ("LPDDR4", "SATA")),
]


class TestRefusals:
    @pytest.mark.parametrize(("arch", "setting", "words"), REFUSED)
    def test_value(self, refuse: Refuse, arch: str, setting: str, words: tuple[str, ...]) -> None:
        refuse(arch, setting, words=words)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("base: sata\nmemory: {glb: {separate: {ifmaps: 4}}}\n", ("glb.separate.ifmaps", "unknown key")),
            ("base: sata\nmemory: {glb: {bytes: 4096}}\n", ("memory.glb", "4096", "212992")),
            ("base: sata\nlif_sharing: none\n", ("lif_sharing", "none")),
            ("base: sata\nscheduler: systolic\n", ("dataflow", "tick_batch")),
            ("base: ann\nscheduler: spikex\n", ("not read by the machine spikex", "(inherited)")),
        ],
    )  # fmt: skip
    def test_a_file(self, refuse: Refuse, text: str, words: tuple[str, ...]) -> None:
        Path("mine.yaml").write_text(text)
        assert refuse("mine.yaml", words=words).startswith("mine")

    def test_float_weights_where_the_table_has_no_float_energies(self, refuse: Refuse) -> None:
        refuse("sata", words=("energy.table", "sata", "float"), trace="float.npz")

    def test_the_trace_itself_is_taken(self, refuse: Refuse, capsys: pytest.CaptureFixture[str]) -> None:
        """Otherwise the refusals above might be about something else."""
        for arch in ("spikex", "ptb", "systolic-os", "ann", "sata", "sata-on-spikex", "spinalflow"):
            assert spikex(capsys, "run", "t.npz", "--arch", arch).code == 0, arch
