"""Configurations: presets, YAML files and their bases, overrides, and what is shown of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

import spikex_sim as sx
from command import succeed
from spikex_sim.spec.arch import Separate, half_bits, part_bits
from spikex_sim.spec.load import describe_keys, parse_yaml, preset_names

# Section V-A of the SpikeX paper, and what the model adds (Section 5).
PUBLISHED = {
    "array.rows": 8,
    "array.cols": 8,
    "clock_mhz": 500.0,
    "memory.glb.bytes": 54 * 1024,
    "memory.lbuf.bytes": 2 * 1024,
    "memory.dram.bandwidth_gb_s": 30.0,
    "memory.glb.dram_port_bits": 512,
    "memory.glb.array_port_bits": 64,
    "memory.lbuf.port_bits": 64,
    "memory.glb.partition.ifmap": 0.3,
    "memory.glb.partition.filter": 0.6,
    "memory.glb.partition.ofmap": 0.1,
    "memory.lbuf.partition.ifmap": 0.25,
    "memory.lbuf.partition.filter": 0.5,
    "memory.lbuf.partition.ofmap": 0.05,
    "memory.lbuf.partition.psum": 0.2,
    "memory.dram.latency_cycles": 0,
    "potential_bits": 16,
    "psum_bits": 24,
    "weight_bits": 8,
    "accumulators_per_pe": 1,
    "mapping.tile": "auto",
    "update_cycles": 1,
    "skew": "tile",
    "memory.glb.keep_ofmap": False,
    "memory.rf.bytes": 0,
}

# What the paper says itself; the presets named after it choose the rest.
STATED = ("array.rows", "array.cols", "memory.glb.bytes", "memory.lbuf.bytes", "memory.dram.bandwidth_gb_s")

# A dense array keeps potentials and partial sums in the GLB.
DENSE = {
    "memory.glb.partition.ifmap": 0.25,
    "memory.glb.partition.filter": 0.45,
    "memory.glb.partition.psum": 0.2,
}
# A spike needs a row of 64 weights in every cycle.
CHIP = {
    "clock_mhz": 250.0, "potential_bits": 22, "psum_bits": "auto", "dataflow": "layer", "lif_sharing": 1,
    "energy.table": "imc65",
}  # fmt: skip
"""What Table III of SpikeSim's paper has besides its crossbars, tiles and buffers."""
SERIAL = {"memory.glb.array_port_bits": 512, "memory.lbuf.port_bits": 512}
# Section III-A of "Are SNNs truly energy-efficient?".
SATA = {
    "array.rows": 16,
    "array.cols": 8,
    "clock_mhz": 400.0,
    "psum_bits": 16,
    "psum_overflow": "wrap",
    "memory.glb.bytes": (144 + 32 + 32) * 1024,
    "memory.glb.separate": Separate(ifmap=32 * 1024, filter=144 * 1024, ofmap=32 * 1024),
    "memory.glb.array_port_bits": 8 * 32,
    "memory.lbuf.bytes": 0,
    "scheduler": "sata",
    "dataflow": "tick_batch",
    "zero_gating": True,
    "energy.table": "sata",
}

# Presets of every machine, with all its keys.
MACHINES = ("spikex", "ptb", "systolic-os", "sata-on-spikex", "spinalflow")

# Another value for every key of any machine.
OTHER: dict[str, Any] = {
    "name": "other",
    "scheduler": "ptb",
    "direct_encoding": "recompute",
    "join": "read",
    "currents.tags": "issued",
    "dispatch": "spatial",
    "dispatch_candidates": 5,
    "dispatch_credit": 0.25,
    "dispatch_batches": 3,
    "dispatch_sort": "hash",
    "dispatch_cycles": "charged",
    "tws_objective": "latency",
    "tws_scope": "network",
    "tailored": True,
    "memory.zero_tags": "unit",
    "memory.lbuf.access_bits": 128,
    "tws": [2, 3],
    "stream": "channel",
    "stsap": True,
    "dataflow": "ws",
    "activation_bits": 8,
    "zero_gating": True,
    "lif_sharing": 4,
    "cycles_model": "published",
    "clock_mhz": 250.5,
    "accumulators_per_pe": 2,
    "update_cycles": 64,
    "skew": "none",
    "leak_catchup_cycles": 0,
    "potential_bits": 12,
    "psum_bits": 20,
    "psum_overflow": "wrap",
    "clock_gating": "busy",
    "overheads": "hardware",
    "weight_bits": 7,
    "array.rows": 3,
    "array.cols": 5,
    "mapping.tile": "layer",
    "mapping.positions": 2,
    "mapping.windows": 3,
    "memory.dram.bandwidth_gb_s": 12.8,
    "memory.dram.latency_cycles": 7,
    "memory.dram.kind": "HBM2",
    "memory.dram.weights": "amortised",
    "memory.dram.samples": 4,
    "memory.glb.bytes": 65536,
    "memory.glb.dram_port_bits": 256,
    "memory.glb.array_port_bits": 128,
    "memory.glb.latency_cycles": 2,
    "memory.glb.partition.ifmap": 0.1,
    "memory.glb.partition.filter": 0.2,
    "memory.glb.partition.ofmap": 0.05,
    "memory.glb.partition.psum": 0.01,
    "memory.glb.keep_ofmap": True,
    "memory.glb.separate": Separate(ifmap=16384, filter=34816, ofmap=4096),
    "memory.lbuf.bytes": 4096,
    "memory.lbuf.port_bits": 32,
    "memory.lbuf.latency_cycles": 1,
    "memory.lbuf.partition.ifmap": 0.2,
    "memory.lbuf.partition.filter": 0.1,
    "memory.lbuf.partition.ofmap": 0.04,
    "memory.lbuf.partition.psum": 0.02,
    "memory.rf.bytes": 64,
    "energy.table": "elsewhere",
    "energy.device": "lstp",
}


# What some of these need to have an effect.
NEEDS = {
    "memory.dram.samples": {"memory.dram.weights": "amortised"},
    "memory.glb.partition.psum": {"dataflow": "ws"},
    "memory.lbuf.partition.psum": {"dataflow": "ws"},
    "dispatch_candidates": {"dispatch": "overlap"},
    "dispatch_credit": {"dispatch": "overlap"},
    "dispatch_batches": {"dispatch": "lookahead"},
    "dispatch_sort": {"dispatch": "sorted"},
    "dispatch_cycles": {"dispatch": "overlap"},
    "tws_objective": {"tws": "auto"},
    "tws_scope": {"tws": "auto"},
}


def values_of(arch: sx.Accelerator) -> dict[str, Any]:
    return {key: value for key, _, value in describe_keys(arch)}


class TestPresets:
    def test_there_are(self) -> None:
        assert {"spikex", "ptb", "ptb-stsap"} <= set(preset_names())

    @pytest.mark.parametrize("name", preset_names())
    def test_array_and_memories_are_the_papers(self, name: str) -> None:
        arch = sx.load_accelerator(name)
        assert arch.name == name
        own = SATA if name == "sata" else DENSE if arch.scheduler in ("systolic", "sata") else {}
        own = SERIAL if name == "spinalflow" else own
        own = CHIP if arch.scheduler in ("spikesim", "crossbar") else own
        wanted = {key: PUBLISHED[key] for key in STATED} if name.endswith("-paper") else PUBLISHED | own
        found = values_of(arch)
        assert {key: found[key] for key in wanted if key in found} == {
            key: value for key, value in wanted.items() if key in found
        }

    @pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
    def test_dense_arrays(self, dataflow: str) -> None:
        arch = sx.load_accelerator(f"systolic-{dataflow}")
        assert (arch.scheduler, arch.dataflow, arch.activation_bits) == ("systolic", dataflow, 1)
        assert arch.zero_gating == "auto"  # that is, zeros are added

    def test_the_ann_is_the_dense_array_with_wider_operands(self) -> None:
        wider = {"name": "ann", "activation_bits": 8}
        assert sx.load_accelerator("ann") == sx.load_accelerator("systolic-os", wider)

    def test_sata_on_spikex_differs_in_its_schedule_only(self) -> None:
        keys = {"name", "scheduler", "zero_gating", "memory.glb.partition.filter",
                "memory.glb.partition.ifmap"}  # fmt: skip
        ours, spikex = values_of(sx.load_accelerator("sata-on-spikex")), values_of(sx.load_accelerator())
        assert {key for key in set(ours) & set(spikex) if ours[key] != spikex[key]} == keys
        assert (ours["dataflow"], ours["memory.glb.partition.psum"]) == ("tick_batch", 0.2)

    def test_what_sets_them_apart(self) -> None:
        spikex, ptb, packed = (sx.load_accelerator(name) for name in ("spikex", "ptb", "ptb-stsap"))
        assert (spikex.scheduler, spikex.tws, spikex.dispatch) == ("spikex", 4, "agile")
        plus = {
            "dispatch": "overlap",
            "dispatch_candidates": 8,
            "dispatch_credit": 0.5,
            "name": "spikex-plus",
        }
        assert sx.load_accelerator("spikex-plus") == sx.load_accelerator("spikex", plus)
        assert (ptb.scheduler, ptb.tws, ptb.stsap) == ("ptb", "auto", False)
        assert (packed.scheduler, packed.tws, packed.stsap) == ("ptb", "auto", True)

    @pytest.mark.parametrize("device", ["lop", "lstp"])
    def test_other_transistors(self, device: str) -> None:
        given = sx.load_accelerator(f"spikex-{device}")
        assert given == sx.load_accelerator("spikex", {"name": f"spikex-{device}", "energy.device": device})


def setting(key: str, value: Any) -> str:
    """As on the command line."""
    return f"{key}={yaml.safe_dump(value, default_flow_style=True)}".removesuffix("\n...\n").strip()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "below" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestFiles:
    def test_a_file_changes_what_it_names_and_nothing_else(self, folder: Path) -> None:
        Path("mine.yaml").write_text("base: ptb\nname: mine\nmemory: {lbuf: {partition: {ifmap: 0.1}}}\n")
        mine, ptb = sx.load_accelerator("mine.yaml"), sx.load_accelerator("ptb")
        usual = values_of(ptb)
        changed = {key: value for key, value in values_of(mine).items() if value != usual[key]}
        assert changed == {"name": "mine", "memory.lbuf.partition.ifmap": 0.1}

    def test_without_a_base_the_defaults_hold(self, folder: Path) -> None:
        Path("mine.yaml").write_text("tws: 7\n")
        assert sx.load_accelerator("mine.yaml") == sx.load_accelerator("spikex", {"tws": 7, "name": "mine"})

    def test_a_chain_of_bases_relative_to_each_file(self, folder: Path) -> None:
        Path("first.yaml").write_text("base: below/second.yaml\ntws: 2\n")
        Path("below/second.yaml").write_text("base: deeper/third.yaml\ntws: 3\narray: {rows: 4}\n")
        Path("below/deeper/third.yaml").write_text("base: ptb\ntws: 9\narray: {rows: 16, cols: 5}\n")
        arch = sx.load_accelerator("first.yaml")
        assert (arch.tws, arch.array.rows, arch.array.cols, arch.scheduler) == (2, 4, 5, "ptb")
        Path("below/deeper/up.yaml").write_text("base: ../../first.yaml\n")
        up = sx.load_accelerator("below/deeper/up.yaml")
        assert (arch.name, up.name) == ("first", "up")
        assert up == arch.model_copy(update={"name": "up"})

    def test_an_absolute_base_and_a_path_object(self, folder: Path) -> None:
        Path("below/one.yaml").write_text("tws: 5\n")
        Path("two.yaml").write_text(f"base: {folder / 'below/one.yaml'}\n")
        assert sx.load_accelerator(folder / "two.yaml").tws == 5

    def test_a_preset_wins_over_a_file_of_its_name(self, folder: Path) -> None:
        Path("ptb").write_text("tws: 5\n")
        assert sx.load_accelerator("ptb").tws == "auto"
        Path("mine.yaml").write_text("base: ptb\n")
        assert sx.load_accelerator("mine.yaml").tws == "auto"

    def test_eight_bases_at_most(self, folder: Path) -> None:
        for depth in range(9):
            Path(f"{depth}.yaml").write_text(f"base: {depth + 1}.yaml\n" if depth < 8 else "tws: 5\n")
        assert sx.load_accelerator("1.yaml").tws == 5
        with pytest.raises(sx.ConfigError, match="base"):
            sx.load_accelerator("0.yaml")

    def test_what_a_result_writes_can_be_loaded(self, folder: Path) -> None:
        arch = sx.load_accelerator("ptb-stsap", {"array.rows": 5, "tws": [3, 4]})
        Path("again.yaml").write_text(yaml.safe_dump(arch.model_dump(mode="json")))
        assert sx.load_accelerator("again.yaml") == arch


class TestOverrides:
    def test_every_key_is_there(self) -> None:
        known: dict[str, Any] = {}
        for name in MACHINES:
            machine = type(sx.load_accelerator(name))()
            for key, info, default in describe_keys(machine):
                assert info.description, key
                assert default == OTHER[key] if key == "scheduler" == name else default != OTHER[key], key
            known |= values_of(machine)
        assert set(known) == set(OTHER)

    @pytest.mark.parametrize("machine", MACHINES)
    def test_every_key_can_be_set_and_is_shown(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, machine: str
    ) -> None:
        from spikex_sim.cli import show

        monkeypatch.setattr(show.console, "width", 400)
        before = values_of(sx.load_accelerator(machine))
        for key in before:
            value = OTHER[key] if key != "scheduler" else before[key]
            plain = value.model_dump() if isinstance(value, Separate) else value
            needed = {name: one for name, one in NEEDS.get(key, {}).items() if name in before}
            keys = needed | {key: plain}
            words = [word for item in keys.items() for word in ("--set", setting(*item))]
            shown = succeed(capsys, "run", "--arch", machine, "--show-config", *words)
            after = before | keys | {key: tuple(value) if isinstance(value, list) else value}
            rows = {line.split()[0]: line for line in shown.lines[1:]}
            assert list(rows) == list(before)
            for name, line in rows.items():
                assert line.removeprefix(name).strip().startswith(str(after[name])), line
            assert values_of(sx.load_accelerator(machine, keys)) == after

    def test_another_scheduler_is_another_machine(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "run", "--show-config", "--set", "scheduler=ptb")
        known = set(values_of(sx.load_accelerator("ptb")))
        assert {line.split()[0] for line in shown.lines} & set(OTHER) == known
        assert sx.load_accelerator("spikex", {"scheduler": "ptb"}).stsap is False

    def test_shows_effective_values_of_a_file_with_overrides(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("mine.yaml").write_text("base: ptb\nname: mine\narray: {rows: 4, cols: 16}\n")
        shown = succeed(
            capsys, "run", "--show-config", "--arch", "mine.yaml", "--set", "array.cols=32", "--tws", "6"
        )
        rows = {cells[0]: cells[1] for line in shown.lines if len(cells := line.split()) > 1}
        found = [rows[key] for key in ("name", "scheduler", "tws", "array.rows", "array.cols")]
        assert found == ["mine", "ptb", "6", "4", "32"]

    def test_later_settings_win_and_spaces_do_not_matter(self, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["--set", "array.rows=4", "--set", " array.rows = 5 ", "--set", "tws=2", "--tws", "3"]
        shown = succeed(capsys, "run", "--show-config", *words)
        rows = {cells[0]: cells[1] for line in shown.lines if len(cells := line.split()) > 1}
        assert (rows["array.rows"], rows["tws"]) == ("5", "3")

    def test_a_whole_section(self) -> None:
        arch = sx.load_accelerator("spikex", {"memory.lbuf.partition": {"ifmap": 0.5}})
        assert arch.memory.lbuf.partition.ifmap == 0.5
        assert arch.array == sx.load_accelerator("spikex").array

    def test_the_configuration_given_is_not_changed(self) -> None:
        base = sx.load_accelerator("spikex")
        other = sx.load_accelerator(base, {"array.rows": 3})
        assert (base.array.rows, other.array.rows, other.array.cols) == (8, 3, 8)
        assert sx.load_accelerator(base) is base


class TestExactBits:
    @pytest.mark.parametrize(
        ("size", "share", "half", "part"),
        [
            (2048, 0.25, 2048, 4096),
            (2048, 0.05, 409, 819),  # 819.2 bits, 409.6 a half: down
            (2048, 0.2, 1638, 3276),
            (55296, 0.3, 66355, 132710),  # in binary floating point 0.3 is less than 0.3
            (10, 0.7, 28, 56),  # 0.7 * 80 is 56, but 55.99999999999999 as floats
            (100, 0.29, 116, 232),  # 0.29 * 800 is 231.99999999999997 as floats
            (1, 0.125, 0, 1),
            (1 << 30, 1.0, 1 << 32, 1 << 33),
            (7, 0.0, 0, 0),
        ],
    )
    def test_halves_and_parts(self, size: int, share: float, half: int, part: int) -> None:
        assert (half_bits(size, share), part_bits(size, share)) == (half, part)
        assert half == Fraction(str(share)) * 8 * size // 2

    def test_separate_memories_by_hand(self) -> None:
        """All of a memory, half of the ofmap's for psum and the other half for outputs; halves of each."""
        separate = {"ifmap": 30, "filter": 100, "ofmap": 50}
        keys = {f"memory.glb.separate.{part}": size for part, size in separate.items()}
        glb = sx.load_accelerator("sata", {**keys, "memory.glb.bytes": 180}).memory.glb
        assert {part: glb.part_bits(part) for part in (*separate, "psum")} == {
            "ifmap": 240, "filter": 800, "ofmap": 200, "psum": 200
        }  # fmt: skip
        assert {part: glb.half_bits(part) for part in separate} == {"ifmap": 120, "filter": 400, "ofmap": 100}

    def test_shares_that_add_up_to_one_only_in_decimal(self) -> None:
        shares = {"ifmap": 0.3, "filter": 0.3, "ofmap": 0.3, "psum": 0.1}
        assert sx.load_accelerator("spikex", {"memory.lbuf.partition": shares})
        with pytest.raises(sx.ConfigError, match="more than the whole"):
            sx.load_accelerator("spikex", {"memory.lbuf.partition": {**shares, "psum": 0.1000001}})

    def test_clock_and_bandwidth_are_exact(self) -> None:
        arch = sx.load_accelerator("spikex", {"clock_mhz": 333.3, "memory.dram.bandwidth_gb_s": 12.8})
        assert arch.clock_hz == Fraction(333_300_000)
        assert arch.dram_bits_per_cycle == Fraction(102_400_000_000, 333_300_000)
        assert sx.load_accelerator("spikex").dram_bits_per_cycle == 480


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("0o10", 8), ("0x10", 16), ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0),
        ("true", True), ("null", None), ("", None), ("-.inf", float("-inf")),
        ("1:30", "1:30"), ("59:59.5", "59:59.5"), ("1_000", "1_000"), ("0b11", "0b11"), ("yes", "yes"),
        ("on", "on"), ("2001-01-01", "2001-01-01"), ("1e", "1e"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}", "here")["key"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["9" * 65, "0x" + "f" * 70, "1." + "0" * 80, "59:" * 300_000 + "59"])
def test_numbers_are_bounded(text: str) -> None:
    """What YAML 1.1 takes a minute for is text at once."""
    if ":" in text:
        assert parse_yaml(f"key: {text}", "here") == {"key": text}
        return
    with pytest.raises(sx.ConfigError, match=r"^here: a number of \d+ digits \(line 1\)$"):
        parse_yaml(f"key: {text}", "here")


def test_the_same_again_is_the_same_and_what_only_equals_it_is_not() -> None:
    one = sx.load_accelerator("spikex", {"array.rows": 1})
    assert sx.load_accelerator("spikex", {"array.rows": 1}) is one
    for other in (True, 1.0):
        with pytest.raises(sx.ConfigError, match=r"array\.rows"):
            sx.load_accelerator("spikex", {"array.rows": other})
