"""Results: what is promised is there, adds up, and can be computed by hand."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naive
import spikex_sim as sx
from command import REPOSITORY
from spikex_sim.spec.load import preset_names
from spikex_sim.testing.own_keys import own

T = 13
NEURON = {"threshold": 12, "leak_shift": 3, "reset": "zero", "datapath": "int"}
LAYERS: list[dict[str, Any]] = [
    {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 9, "kernel": 3, "stride": 1,
     "padding": 1, "in_height": 6, "in_width": 6, "neuron": NEURON},
    {"name": "pool", "kind": "maxpool", "in_channels": 9, "out_channels": 9, "kernel": 2, "stride": 2,
     "padding": 0, "in_height": 6, "in_width": 6},
    {"name": "fc", "kind": "linear", "in_channels": 81, "out_channels": 7, "neuron": NEURON},
]  # fmt: skip
RNG = np.random.default_rng(5)
WEIGHTS = [
    RNG.integers(-9, 12, (9, 2, 3, 3)).astype(np.int8), None, RNG.integers(-9, 12, (7, 81)).astype(np.int8),
]  # fmt: skip
BIASES = {0: RNG.integers(-2, 3, 9).astype(np.int32)}
SAMPLES = RNG.random((3, 2, 6, 6, T)) < 0.25


def a_trace(spikes: Any = SAMPLES[0], **changes: Any) -> sx.Trace:
    return sx.Trace.from_arrays(
        LAYERS, spikes, **{"weights": WEIGHTS, "biases": BIASES, "name": "r", **changes}
    )


def forward(spikes: Any) -> list[Any]:
    """Outputs of every layer by the plain dense pass."""
    outputs = []
    for index, layer in enumerate(LAYERS):
        weight = WEIGHTS[index] if WEIGHTS[index] is not None else np.zeros(0)
        spikes = naive.forward(layer, spikes, weight, BIASES.get(index))
        outputs.append(spikes)
    return outputs


NUMBER = (int, float)
COUNTS: dict[str, Any] = {
    "cycles": int, "compute_cycles": int, "batches": int, "ntwus": int, "streamed_taps": int,
    "accumulations": int, "lif_updates": int, "utilization": NUMBER, "add_utilization": NUMBER,
    "stalls": dict.fromkeys(("dram", "glb", "lbuf", "drain"), int), "steps": int, "energy_pj": NUMBER,
    "energy_pj_by": dict.fromkeys(("alu", "rf", "lbuf", "glb", "dram"), NUMBER),
    "accesses": {level: {tensor: {"read_bits": int, "write_bits": int}
                         for tensor in ("ifmap", "filter", "ofmap", "psum", "tag")}
                 for level in ("dram", "glb", "lbuf", "rf")},
}  # fmt: skip
LAYER = {
    **COUNTS, "name": str, "mode": (str, type(None)), "output_spikes": int, "output_sha256": str,
    "mapping": dict,
}  # fmt: skip
FIGURES = ("seconds", "edp_js", "power_mw", "tops", "tops_dense", "tops_per_watt", "estimate_pj")
TOTALS = {
    **COUNTS, **dict.fromkeys(FIGURES, NUMBER), "area_mm2": NUMBER,
    "area_mm2_by": dict.fromkeys(("glb", "lbuf"), NUMBER),
}  # fmt: skip
PROMISED = {
    "schema": int, "version": str, "arch": str, "engine": str, "config": dict, "layers": [LAYER],
    "trace": {"name": str, "sha256": str}, "totals": TOTALS, "samples": [TOTALS],
}  # fmt: skip


def assert_has(data: Any, wanted: Any, where: str = "results") -> None:
    if isinstance(wanted, dict):
        for key, inner in wanted.items():
            assert key in data, f"{where}.{key}"
            assert_has(data[key], inner, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert data, where
        for item in data:
            assert_has(item, wanted[0], where)
    else:
        assert isinstance(data, wanted) and not isinstance(data, bool), where


def saved(
    result: sx.RunResult, folder: Path
) -> tuple[dict[str, Any], list[dict[str, str]], list[dict[str, str]]]:
    result.save(folder)
    tables = []
    for name in ("layers.csv", "accesses.csv"):
        with (folder / name).open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    return json.loads((folder / "results.json").read_text()), tables[0], tables[1]


class TestFiles:
    def test_every_promised_key_has_its_type(self, tmp_path: Path) -> None:
        data, _, _ = saved(sx.simulate(a_trace(SAMPLES)), tmp_path)
        assert_has(data, PROMISED)
        with pytest.raises(AssertionError, match=r"results\.totals\.edp_js"):
            assert_has(
                {**data, "totals": {k: v for k, v in data["totals"].items() if k != "edp_js"}}, PROMISED
            )

    def test_it_says_what_was_run(self, tmp_path: Path) -> None:
        sx.save_trace(a_trace(), tmp_path / "t.npz")
        data, _, _ = saved(sx.simulate(tmp_path / "t.npz", "ptb", tws=3, engine="event"), tmp_path / "o")
        assert (data["arch"], data["engine"], data["config"]["tws"]) == ("ptb", "event", 3)
        assert data["trace"]["sha256"] == hashlib.sha256((tmp_path / "t.npz").read_bytes()).hexdigest()
        assert data["config"] == sx.load_accelerator("ptb", {"tws": 3}).model_dump(mode="json")
        assert set(data["energy_sources"]) >= {"dram", "glb", "lbuf", "rf", "accumulate"}
        assert "CACTI 7.0" in data["energy_sources"]["glb"]

    @pytest.mark.parametrize("arch", ["spikex", "ptb"])
    def test_byte_for_byte_the_same_but_for_the_time(self, tmp_path: Path, arch: str) -> None:
        texts = []
        for name in ("a", "b"):
            files = sx.simulate(a_trace(), arch).save(tmp_path / name)
            text = "".join(path.read_text() for path in files)
            texts.append(re.sub(r'"timestamp": "\d{4}-\d\d-\d\dT[\d:+]+"', "now", text))
        assert texts[0] == texts[1] and texts[0].count("now") == 1

    def test_tables_agree_with_the_json(self, tmp_path: Path) -> None:
        data, layers, accesses = saved(sx.simulate(a_trace(SAMPLES)), tmp_path)
        for layer, row in zip(data["layers"], layers, strict=True):
            for key in ("name", "kind", "cycles", "compute_cycles", "batches", "ntwus", "streamed_taps",
                        "accumulations", "lif_updates", "utilization", "steps", "output_spikes",
                        "output_sha256"):  # fmt: skip
                assert row[key] == str(layer[key]), key
            assert row["mode"] == (layer["mode"] or "")
            for cause, cycles in layer["stalls"].items():
                assert row[f"stall_{cause}_cycles"] == str(cycles)
            for part, pj in layer["energy_pj_by"].items():
                assert float(row[f"energy_{part}_pj"]) == pj
            assert float(row["energy_pj"]) == layer["energy_pj"]
        for row in accesses:
            (layer,) = (one for one in data["layers"] if one["name"] == row["layer"])
            counted = layer["accesses"][row["level"]][row["tensor"]]
            assert row["read_bits"] == str(counted["read_bits"])
            assert row["write_bits"] == str(counted["write_bits"])
        assert len(accesses) == 3 * 4 * 5

    def test_units_are_in_the_names(self, tmp_path: Path) -> None:
        data, layers, accesses = saved(sx.simulate(a_trace()), tmp_path)
        floats = {key for key, value in data["totals"].items() if isinstance(value, float)}
        floats |= {key for key in layers[0] if re.fullmatch(r"\d+\.\d+(e[+-]\d+)?", layers[0][key])}
        unit = re.compile(r".*_(pj|js|mw|mm2|s)|seconds|tops(_dense|_per_watt)?|(add_)?utilization"
                          r"|estimate_factor(_on_chip)?")  # fmt: skip
        assert all(unit.fullmatch(name) for name in floats), floats
        assert all(name.endswith(("_bits", "_pj")) for name in list(accesses[0])[3:])


@pytest.mark.parametrize("preset", sorted(set(preset_names()) - {"spikesim-released"}))  # it counts nothing
def test_what_every_machine_finds_is_written(preset: str, tmp_path: Path) -> None:
    layer = {"name": "fc", "kind": "linear", "in_channels": 4, "out_channels": 3,
             "neuron": {"threshold": 1, "leak_shift": 2}}  # fmt: skip
    trace = sx.Trace.from_arrays([layer], np.ones((4, 1), bool), weights=[np.ones((3, 4), np.int8)])
    result = sx.simulate(trace, preset, overrides=own(preset, {"tws": 1}))
    result.save(tmp_path)
    rows = list(csv.DictReader((tmp_path / "accesses.csv").read_text().splitlines()))
    spent = sum(float(row["read_pj"]) + float(row["write_pj"]) for row in rows)
    assert 0 < spent <= result.totals.energy_pj


class TestSums:
    @pytest.fixture(scope="class")
    @staticmethod
    def data() -> dict[str, Any]:
        return sx.simulate(a_trace(SAMPLES)).to_dict()

    def test_layers_and_samples_add_up_to_totals(self, data: dict[str, Any]) -> None:
        totals = data["totals"]
        for parts in (data["layers"], data["samples"]):
            for key in COUNTS:
                if isinstance(totals[key], int):
                    assert totals[key] == sum(part[key] for part in parts), key
            for cause in totals["stalls"]:
                assert totals["stalls"][cause] == sum(part["stalls"][cause] for part in parts)
            for level, tensors in totals["accesses"].items():
                for tensor, counts in tensors.items():
                    for way, bits in counts.items():
                        assert bits == sum(part["accesses"][level][tensor][way] for part in parts)
        energy = sum(sum(layer["energy_pj_by"].values()) for layer in data["layers"])
        assert totals["energy_pj"] == pytest.approx(energy)
        assert totals["energy_pj"] == pytest.approx(sum(sample["energy_pj"] for sample in data["samples"]))
        assert totals["energy_pj"] == pytest.approx(sum(totals["energy_by_use_pj"].values()))
        assert totals["energy_on_chip_pj"] == pytest.approx(energy - totals["energy_pj_by"]["dram"])

    def test_compute_and_stalls_are_the_cycles(self, data: dict[str, Any]) -> None:
        for costs in (data["totals"], *data["layers"], *data["samples"]):
            assert costs["compute_cycles"] + sum(costs["stalls"].values()) == costs["cycles"]
            assert min(costs["stalls"].values()) >= 0

    def test_derived_figures(self, data: dict[str, Any]) -> None:
        totals = data["totals"]
        seconds = totals["cycles"] / 500e6
        joules = totals["energy_pj"] * 1e-12
        dense = 3 * T * (9 * 36 * 18 + 7 * 81)
        assert totals["seconds"] == pytest.approx(seconds, rel=1e-9, abs=0)
        assert totals["edp_js"] == pytest.approx(joules * seconds, rel=1e-9, abs=0)
        assert totals["power_mw"] == pytest.approx(1e3 * joules / seconds)
        assert totals["tops"] == pytest.approx(totals["accumulations"] / seconds / 1e12)
        assert totals["tops_dense"] == pytest.approx(dense / seconds / 1e12)
        assert totals["tops_per_watt"] == pytest.approx(totals["tops"] / (joules / seconds))
        for layer in data["layers"]:
            pj = sum(layer["energy_pj_by"].values())
            assert layer["energy_pj"] == pytest.approx(pj)
            assert layer["energy_on_chip_pj"] == pytest.approx(pj - layer["energy_pj_by"]["dram"])
            assert layer["seconds"] == pytest.approx(layer["cycles"] / 500e6, rel=1e-9, abs=0)
            assert layer["edp_js"] == pytest.approx(pj * 1e-12 * layer["cycles"] / 500e6, rel=1e-9, abs=0)

    def test_samples_are_what_each_costs_alone(self, tmp_path: Path) -> None:
        batch = sx.simulate(a_trace(SAMPLES))
        alone = [sx.simulate(a_trace(spikes)) for spikes in SAMPLES]
        for number, (sample, one) in enumerate(zip(batch.samples, alone, strict=True)):
            found = {"name": f"r-{number}", "label": None, "prediction": one.samples[0].prediction}
            assert sample.to_dict() == found | one.totals.to_dict()
        for index, spikes in enumerate(SAMPLES):
            sx.save_trace(a_trace(spikes), tmp_path / f"{index}.npz")
        folder = sx.simulate(tmp_path)
        assert folder.totals.to_dict() == batch.totals.to_dict()
        assert folder.trace["samples"] == batch.trace["samples"] == 3


class TestOutputs:
    @pytest.mark.parametrize("arch", ["spikex", "ptb", "ptb-stsap"])
    @pytest.mark.parametrize("tws", [1, 4, 5, T])
    def test_hashes_are_those_of_the_plain_forward_pass(self, arch: str, tws: int) -> None:
        result = sx.simulate(a_trace(), arch, tws=tws)
        for layer, spikes in zip(result.layers, forward(SAMPLES[0]), strict=True):
            packed = np.packbits(spikes, axis=-1)
            assert layer.output_sha256 == hashlib.sha256(packed.tobytes()).hexdigest()
            assert layer.output_spikes == int(spikes.sum()) > 0
        for before, after in pairwise(result.layers):
            assert before.output_spikes == after.input_spikes

    def test_recorded_inputs_are_used_and_compared(self) -> None:
        right = forward(SAMPLES[0])
        wrong = right[1].reshape(81, T).copy()
        wrong[:5, 3] ^= True
        for recorded, differing in ((right[1].reshape(81, T), 0), (wrong, 5)):
            result = sx.simulate(a_trace({0: SAMPLES[0], 2: recorded}))
            assert [layer.mismatched_spikes for layer in result.layers] == [None, None, differing]
            outputs = naive.forward(LAYERS[2], recorded, WEIGHTS[2])
            digest = hashlib.sha256(np.packbits(outputs, axis=-1).tobytes()).hexdigest()
            assert result.layers[2].output_sha256 == digest

    def test_every_sample_has_its_own_mismatches(self) -> None:
        recorded = np.stack([forward(spikes)[1].reshape(81, T) for spikes in SAMPLES])
        recorded[1, :4, 2] ^= True
        recorded[2, 7, :3] ^= True
        result = sx.simulate(a_trace({0: SAMPLES, 2: recorded}))
        assert [layer.mismatched_spikes for layer in result.layers] == [None, None, 0 + 4 + 3]

    def test_pooled_spikes_are_not_fired_ones(self) -> None:
        """A spike that passes through a pooling layer was fired by the layer before."""
        result = sx.simulate(a_trace(SAMPLES))
        fired = [sum(int(forward(spikes)[layer].sum()) for layer in (0, 2)) for spikes in SAMPLES]
        assert [sample.output_spikes for sample in result.samples] == fired
        assert result.totals.output_spikes == sum(fired)
        assert result.layers[1].output_spikes

    def test_the_order_of_samples_is_part_of_their_hash(self) -> None:
        traces = [a_trace(spikes) for spikes in SAMPLES]
        found = {sx.simulate(order).trace["sha256"] for order in (traces, traces[::-1], traces[1:])}
        assert len(found) == 3
        assert sx.simulate(traces).trace["sha256"] in found

    def test_costs_without_weights_are_the_same(self) -> None:
        whole = sx.simulate(a_trace())
        inner = forward(SAMPLES[0])[1].reshape(81, T)
        bare = sx.simulate(a_trace({0: SAMPLES[0], 1: forward(SAMPLES[0])[0], 2: inner}, weights=()))
        for costs, full in zip(bare.layers, whole.layers, strict=True):
            assert (costs.cycles, costs.accesses, costs.operations) == (
                full.cycles, full.accesses, full.operations
            )  # fmt: skip
        assert bare.layers[0].output_sha256 is None and bare.layers[2].output_spikes is None
        assert bare.totals.output_spikes is None

    def test_pooling_has_an_entry_of_its_own_without_costs(self) -> None:
        pool = sx.simulate(a_trace()).to_dict()["layers"][1]
        assert (pool["name"], pool["kind"], pool["mode"], pool["cycles"]) == ("pool", "maxpool", None, 0)
        assert pool["energy_pj"] == sum(pool["stalls"].values()) == pool["accumulations"] == 0
        assert pool["output_spikes"] == forward(SAMPLES[0])[1].sum()


def table(name: str) -> list[dict[str, str]]:
    with (REPOSITORY / "spikex_sim/costs/tables" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def by_hand(data: dict[str, Any], layer: dict[str, Any], weights_share: float = 1.0) -> dict[str, float]:
    """Energies of a layer in pJ from the tables: bits / width x access, operations x operation."""
    memory = data["config"]["memory"]

    def sram(size: int, width: int) -> tuple[float, float]:
        wanted = (data["config"]["energy"]["device"], str(size), str(width))
        keys = ("device", "capacity_bytes", "width_bits")
        (row,) = (one for one in table("sram.csv") if tuple(one[key] for key in keys) == wanted)
        return float(row["read_pj"]) / width, float(row["write_pj"]) / width

    def logic(component: str, width: int) -> float:
        (row,) = (
            one for one in table("logic.csv")
            if (one["component"], one["width_bits"]) == (component, str(width))
        )  # fmt: skip
        return float(row["energy_pj"])

    (dram,) = (
        float(row["energy_pj"]) for row in table("dram.csv") if row["component"] == memory["dram"]["kind"]
    )
    per_bit = {
        "dram": (dram, dram), "rf": (logic("register", 1),) * 2,
        "glb": sram(memory["glb"]["bytes"], memory["glb"]["array_port_bits"]),
        "lbuf": sram(memory["lbuf"]["bytes"], memory["lbuf"]["port_bits"]),
    }  # fmt: skip
    update = logic("comparator", 16) + logic("leak", 16)
    energy = {"alu": layer["accumulations"] * logic("accumulate", 32) + layer["lif_updates"] * update}
    for level, tensors in layer["accesses"].items():
        energy[level] = 0.0
        for tensor, bits in tensors.items():
            share = weights_share if (level, tensor) == ("dram", "filter") else 1.0
            read, write = per_bit[level]
            energy[level] += share * (bits["read_bits"] * read + bits["write_bits"] * write)
    return energy


class TestEnergy:
    @pytest.mark.parametrize(
        ("overrides", "share"),
        [
            ({}, 1.0),
            ({"energy.device": "lstp", "memory.dram.kind": "HBM2", "memory.glb.bytes": 65536}, 1.0),
            ({"memory.lbuf.port_bits": 32, "memory.glb.array_port_bits": 128}, 1.0),
            ({"memory.dram.weights": "resident"}, 0.0),
            ({"memory.dram.weights": "amortised", "memory.dram.samples": 8}, 0.125),
        ],
    )
    def test_counts_times_the_table(self, overrides: dict[str, Any], share: float) -> None:
        data = sx.simulate(a_trace(), overrides=overrides).to_dict()
        for layer in data["layers"]:
            assert layer["energy_pj_by"] == pytest.approx(by_hand(data, layer, share))
        assert data["layers"][0]["energy_pj_by"]["dram"] > 0

    @pytest.mark.parametrize("weights", ["resident", "amortised"])
    def test_who_pays_for_weights_changes_nothing_but_energy(self, weights: str) -> None:
        usual = sx.simulate(a_trace()).layers[0]
        keys = own("spikex", {"memory.dram.weights": weights, "memory.dram.samples": 2})
        other = sx.simulate(a_trace(), overrides=keys).layers[0]
        assert (other.cycles, other.accesses) == (usual.cycles, usual.accesses)
        filters = 8 * usual.accesses.read_bits("dram", "filter")
        saved_share = 1.0 if weights == "resident" else 0.5
        assert usual.energy_pj - other.energy_pj == pytest.approx(saved_share * filters)

    def test_leakage_is_power_times_time_and_apart(self) -> None:
        data = sx.simulate(a_trace()).to_dict()
        for level, size in (("glb", "55296"), ("lbuf", "2048")):
            (row,) = (one for one in table("sram.csv") if (one["device"], one["capacity_bytes"],
                      one["width_bits"]) == ("hp", size, "64"))  # fmt: skip
            expected = float(row["leakage_mw"]) * 1e-3 * data["totals"]["seconds"] * 1e12
            assert data["totals"]["leakage_pj"][level] == pytest.approx(expected)


def test_utilisation_by_hand() -> None:
    """Three rows of eight and two columns of eight work for 3 taps x 4 + 2 updates x 4 cycles."""
    layer = {"name": "fc", "kind": "linear", "in_channels": 3, "out_channels": 3,
             "neuron": {"threshold": 100, "leak_shift": 3}}  # fmt: skip
    spikes = np.zeros((3, 8), bool)
    spikes[:, 0] = spikes[:, 4] = spikes[1, 5] = True
    found = sx.simulate(
        sx.Trace.from_arrays([layer], spikes, weights=[np.ones((3, 3), np.int8)]), tws=4
    ).layers[0]
    assert (found.batches, found.streamed_taps, found.ntwus) == (1, 3, 3 * 2)
    array_cycles = 3 * 4 + 2 * 4  # both windows of a neuron are updated, one after the other
    assert found.compute_cycles == array_cycles + (3 - 1) + (2 - 1)
    assert found.utilization == pytest.approx(3 * 2 * array_cycles / (found.cycles * 64))
    assert found.add_utilization == pytest.approx(3 * 7 / (found.cycles * 64))
