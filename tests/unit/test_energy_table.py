"""The energy table: lookups, interpolation, refusals, and agreement with independent reference numbers."""

import csv
import dataclasses
import math
import os
import re
import shutil
from pathlib import Path

import pytest

from command import is_mistake, spikex
from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs import table as table_module
from spikex_sim.costs.rows import OPERATION_COLUMNS, SRAM_COLUMNS, OperationRow, SramRow
from spikex_sim.costs.table import EnergyTable
from spikex_sim.data import default_trace_path
from spikex_sim.run.simulate import simulate

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "energy"


def reference(name):
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip(f"no reference numbers: {path} is not there")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table():
    return EnergyTable.load()


def sram_line(**changes):
    row = {
        "component": "sram",
        "device": "hp",
        "node_nm": "32",
        "capacity_bytes": "1024",
        "width_bits": "64",
        "temperature_k": "350",
        "read_pj": "1",
        "write_pj": "2",
        "leakage_mw": "3",
        "access_ns": "0.1",
        "area_mm2": "0.01",
        "unit": "pJ per access",
        "source": "made up",
        "derivation": "by hand",
    }
    return row | {key: str(value) for key, value in changes.items()}


def operation_line(**changes):
    row = {
        "component": "add",
        "action": "add",
        "width_bits": "8",
        "node_nm": "32",
        "energy_pj": "0.5",
        "unit": "pJ per operation",
        "source": "made up",
        "derivation": "by hand",
    }
    return row | {key: str(value) for key, value in changes.items()}


def write_table(
    folder, sram=None, logic=None, dram=None, *, sram_columns=SRAM_COLUMNS, logic_columns=OPERATION_COLUMNS
):
    """A table of made-up rows in a folder."""
    for name, columns, rows in (
        ("sram.csv", sram_columns, sram or [sram_line(), sram_line(capacity_bytes=4096, read_pj=3)]),
        ("logic.csv", logic_columns, logic or [operation_line()]),
        (
            "dram.csv",
            OPERATION_COLUMNS,
            dram or [operation_line(component="LPDDR4", width_bits=1, node_nm="", unit="pJ per bit")],
        ),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="1")
            writer.writeheader()
            writer.writerows(rows)
    return folder


# --- the default table


@pytest.mark.parametrize(
    ("capacity_bytes", "width_bits", "device", "read_pj", "write_pj"),
    [
        (2048, 64, "hp", 1.24147, 1.84444),
        (55296, 64, "hp", 9.31863, 7.79119),
        (55296, 8, "hp", 5.00258, 2.7066),
        (64, 8, "hp", 0.0796293, 0.126373),
        (64, 8, "lstp", 0.0920861, 0.151629),
        (64, 8, "lop", 0.037199, 0.0549877),
    ],
)
def test_default_memories_are_those_that_cacti_prints(
    table, capacity_bytes, width_bits, device, read_pj, write_pj
):
    energy = table.sram(capacity_bytes, width_bits, device)
    assert (energy.read_pj, energy.write_pj) == (read_pj, write_pj)
    assert "CACTI 7.0" in energy.provenance
    assert "interpolated" not in energy.provenance


def test_default_leakage_is_of_both_kinds(table):
    assert table.sram(55296, 64, "hp").leakage_mw == 18.826
    assert table.sram(55296, 64, "lstp").leakage_mw == pytest.approx(0.012, abs=5e-4)


@pytest.mark.parametrize(
    ("component", "width_bits", "energy_pj"),
    [
        ("accumulate", 32, 0.159),
        ("comparator", 16, 0.011),
        ("leak", 16, 0.033),
        ("float_add", 32, 0.593),
        ("float_multiply", 32, 2.439),
        ("comparator", 32, 0.022),
        ("register", 24, 0.082),
        ("register", 16, 0.055),
        ("register", 8, 0.027),
        ("register", 32, 0.109),
    ],
)
def test_default_operations(table, component, width_bits, energy_pj):
    assert round(table.logic(component, width_bits).energy_pj, 3) == energy_pj


def test_lpddr4_is_the_default_dram(table):
    assert table.dram_pj_per_bit() == table.dram_pj_per_bit("LPDDR4") == 8
    assert "Accelergy" in table.dram("LPDDR4").provenance


def test_every_default_row_says_node_unit_source_and_derivation(table):
    for row in table.rows():
        assert row.unit.startswith("pJ per ")
        assert row.source
        assert row.derivation
    nodes = {row.node_nm for row in table.rows()}
    assert nodes == {32, None}


def test_default_derivations_give_the_default_energies(table):
    """``0.21 pJ at 40 nm x 0.7588 (...)`` multiplies out to the number beside it."""
    operations = [row for row in table.rows() if isinstance(row, OperationRow)]
    for row in operations:
        first, *factors = re.findall(r"(?:^| x )([\d.]+)", row.derivation)
        assert math.isclose(row.energy_pj, float(first) * math.prod(map(float, factors)), rel_tol=1e-12), (
            row.label
        )
    scaled = [row for row in operations if row.node_nm is not None]
    assert all(
        "x 0.6593 (45 -> 32 nm" in r.derivation or "x 0.7588 (40 -> 32 nm" in r.derivation for r in scaled
    )


def test_default_memories_cover_the_promised_grid(table):
    rows = {(r.device, r.capacity_bytes, r.width_bits): r for r in table.rows() if isinstance(r, SramRow)}
    capacities = [2**n for n in range(6, 21)] + [18432, 27648, 55296, 110592, 147456]
    for device in ("hp", "lop", "lstp"):
        for capacity_bytes in capacities:
            for width_bits in (8, 16, 32, 64, 128, 256, 512):
                there = (device, capacity_bytes, width_bits) in rows
                assert there == (capacity_bytes * 8 // width_bits >= 31)
    assert all(r.temperature_k == 350 for r in rows.values())


def test_a_larger_default_memory_leaks_more(table):
    for device in ("hp", "lop", "lstp"):
        leakages = [table.sram(2**n, 64, device).leakage_mw for n in range(8, 21)]
        assert leakages == sorted(leakages)


# --- agreement with the reference numbers


def test_memories_agree_with_the_reference(table):
    rows = {(r.device, r.capacity_bytes, r.width_bits): r for r in table.sram_rows()}
    compared = 0
    for line in reference("cacti_sram_slim.csv"):
        if (line["ports"], line["temp_K"], line["tech_nm"], line["objective"]) != ("1RW", "350", "32", "ed2"):
            continue
        if line["device"] not in ("hp", "lop", "lstp"):
            continue
        row = rows[line["device"], int(line["capacity_bytes"]), int(line["width_bits"])]
        ours = (row.read_pj, row.write_pj, row.leakage_mw, row.access_ns, row.area_mm2)
        names = ("read_pJ", "write_pJ", "leak_total_mW", "access_ns", "area_mm2")
        assert ours == tuple(float(line[name]) for name in names), row.label
        compared += 1
    assert compared > 150


def test_operations_agree_with_the_reference(table):
    lines = reference("lit_energies.csv")

    def published(component, width, node):
        return [
            float(line["energy_pJ_at_32nm"] or line["energy_pJ"])
            for line in lines
            if line["component"].startswith(component)
            and line["width_bits"] == str(width)
            and (node is None or line["node_nm"] == str(node))
        ]

    for component, theirs, width, node, share in (
        ("accumulate", "int_add", 32, 40, 1),
        ("accumulate_2ns", "int_add", 32, 40, 1),
        ("leak", "int_add", 16, 45, 1),
        ("comparator", "comparator", 16, 40, 1),
        ("comparator", "comparator", 32, 40, 1),
        ("register", "register(flip-flop word)", 24, 40, 0.5),
        ("register", "register(flip-flop word)", 16, 40, 0.5),
        ("register", "register(flip-flop word)", 8, 40, 0.5),
    ):
        ours = table.logic(component, width).energy_pj
        values = [value * share for value in published(theirs, width, node)]
        assert any(math.isclose(ours, value, rel_tol=1e-3) for value in values), (component, width, values)
    for kind, theirs in (
        ("LPDDR4", "DRAM per bit: LPDDR4"),
        ("LPDDR2", "DRAM per bit: LPDDR/LPDDR2"),
        ("DDR3", "DRAM per bit: DDR3"),
        ("DDR4", "DRAM per bit: DDR4 (DRAMsim3)"),
        ("GDDR5", "DRAM per bit: GDDR5"),
        ("HBM2", "DRAM per bit: HBM2"),
        ("Horowitz-low", "DRAM per bit: Horowitz 45 nm low"),
        ("Horowitz-high", "DRAM per bit: Horowitz 45 nm high"),
    ):
        values = published(theirs, 1, None)
        assert any(math.isclose(table.dram_pj_per_bit(kind), value, rel_tol=0.01) for value in values), kind


# --- interpolation


def test_between_two_rows_a_memory_is_linear_in_log_capacity(tmp_path):
    table = EnergyTable.load(write_table(tmp_path))
    energy = table.sram(2048, 64, "hp")
    assert energy.read_pj == pytest.approx(2)  # half-way between 1024 and 4096 bytes, in log
    assert energy.write_pj == 2
    assert "interpolated in log(capacity)" in energy.provenance
    assert "1024 B" in energy.provenance
    assert "4096 B" in energy.provenance


def test_an_interpolated_memory_lies_between_its_neighbours(table):
    for capacity_bytes in range(2049, 3072, 97):
        low, high = table.sram(2048, 64, "lop"), table.sram(3072, 64, "lop")
        energy = table.sram(capacity_bytes, 64, "lop")
        for name in ("read_pj", "write_pj", "leakage_mw"):
            ends = sorted((getattr(low, name), getattr(high, name)))
            assert ends[0] <= getattr(energy, name) <= ends[1]


def test_between_two_widths_an_operation_is_linear(table):
    energy = table.logic("register", 20)
    assert energy.energy_pj == pytest.approx(20 * table.logic("register", 1).energy_pj)
    assert "interpolated in width" in energy.provenance
    assert "interpolated" not in table.logic("register", 24).provenance


# --- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((128, 64, "hp"), "smallest row of this width is 256 B x 64 bit"),
        ((2**21, 64, "hp"), "largest row of this width is 1048576 B x 64 bit"),
        ((0, 64, "hp"), "smallest row"),
        ((2048, 24, "hp"), "2048 B x 16 bit (hp, 32 nm) and 2048 B x 32 bit (hp, 32 nm)"),
        ((2048, 1024, "hp"), "nearest: 2048 B x 512 bit"),
        ((2048, 64, "hvt"), "the devices are hp, lop, lstp"),
    ],
)
def test_a_memory_outside_of_the_table_names_the_nearest_rows(table, arguments, message):
    with pytest.raises(EnergyTableError, match=re.escape(message)) as error:
        table.sram(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("component", "width_bits", "message"),
    [
        ("accumulate", 24, "nearest row is accumulate x 32 bit"),
        ("register", 65, "nearest row is register x 64 bit"),
        ("multiplexer", 8, "there are accumulate, "),
    ],
)
def test_an_operation_outside_of_the_table_is_refused(table, component, width_bits, message):
    with pytest.raises(EnergyTableError, match=message):
        table.logic(component, width_bits)


def test_an_unknown_dram_names_the_known_ones(table):
    with pytest.raises(EnergyTableError, match="there are LPDDR4, LPDDR2"):
        table.dram_pj_per_bit("DDR9")


# --- loading


def test_a_table_can_come_from_a_folder(tmp_path):
    table = EnergyTable.load(write_table(tmp_path))
    assert table.name == str(tmp_path)
    assert len(table.rows()) == 4
    assert dataclasses.asdict(table.rows()[0])["capacity_bytes"] == 1024
    assert table.dram_pj_per_bit("LPDDR4") == 0.5
    assert table.logic("add", 8).provenance == "add x 8 bit: made up; by hand"


def test_a_memory_that_no_row_is_for_is_one_line_with_the_key_to_set(capsys):
    said = is_mistake(spikex(capsys, "run", "--set", f"memory.glb.bytes={4 << 20}"), "spikex: memory.glb: ")
    assert "no energy for a memory of 4194304 B x 64 bit (hp): the largest row of this width is 10485" in said
    assert "set energy.table to a folder with a row of your own for it, of 0 pJ where cycles alone" in said


def test_cycles_alone_of_a_memory_that_no_row_is_for(tmp_path):
    """A refusal says that a row of 0 pJ would do; then it does, and the source says so."""
    with pytest.raises(
        EnergyTableError, match="a row of your own for it, of 0 pJ where cycles alone are wanted"
    ):
        simulate(default_trace_path(), overrides={"memory.glb.bytes": 4 << 20})
    for file in Path(table_module.__file__).with_name("tables").glob("*.csv"):
        shutil.copy(file, tmp_path)
    with (tmp_path / "sram.csv").open("a", encoding="utf-8") as file:
        file.write("sram,hp,32,4194304,64,350,0,0,0,0,0,pJ per access,not known,cycles alone\n")
    keys = {"memory.glb.bytes": 4 << 20, "energy.table": str(tmp_path)}
    result = simulate(default_trace_path(), overrides=keys)
    assert result.totals.energy_pj_by["glb"] == 0 and result.totals.cycles > 0
    assert "not known; cycles alone" in result.energy_model.provenance["glb"]


def test_a_table_is_read_once_until_it_changes(tmp_path):
    write_table(tmp_path)
    first = EnergyTable.load(tmp_path)
    assert EnergyTable.load(tmp_path) is first
    assert EnergyTable.load() is EnergyTable.load("default")
    write_table(tmp_path, logic=[operation_line(energy_pj=7)])
    os.utime(tmp_path / "logic.csv", ns=(1, 1))
    assert EnergyTable.load(tmp_path).logic("add", 8).energy_pj == 7


@pytest.mark.parametrize("columns", [tuple(one for one in SRAM_COLUMNS if one != "area_mm2"), SRAM_COLUMNS])
def test_areas_may_be_left_out_and_are_unknown_not_zero(tmp_path, columns):
    rows = [sram_line(area_mm2=""), sram_line(area_mm2="", capacity_bytes=4096)]
    write_table(tmp_path, sram=rows, sram_columns=columns)
    found = EnergyTable.load(tmp_path)
    assert [found.sram(size, 64).area_mm2 for size in (1024, 2048, 4096)] == [None] * 3


def test_columns_may_come_in_any_order_with_a_byte_order_mark(tmp_path):
    write_table(tmp_path, sram_columns=SRAM_COLUMNS[::-1])
    text = (tmp_path / "sram.csv").read_text(encoding="utf-8")
    (tmp_path / "sram.csv").write_text("\ufeff" + text + "\n", encoding="utf-8")
    assert EnergyTable.load(tmp_path).sram(1024, 64, "hp").write_pj == 2


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"sram": [sram_line(source="")]}, "sram.csv: row 2: source: is empty"),
        ({"sram": [sram_line(), sram_line(read_pj=-1)]}, "sram.csv: row 3: read_pj: is negative: -1"),
        ({"sram": [sram_line(write_pj="much")]}, "sram.csv: row 2: write_pj: is not a number: 'much'"),
        ({"sram": [sram_line(leakage_mw="nan")]}, "leakage_mw: is not a number: 'nan'"),
        ({"sram": [sram_line(capacity_bytes=0)]}, "capacity_bytes: is zero"),
        ({"sram": [sram_line(capacity_bytes=1.5)]}, "capacity_bytes: is not a whole number"),
        ({"sram": [sram_line(unit="nJ per access")]}, "unit: energies are in pJ, not in 'nJ per access'"),
        ({"sram": [sram_line(), sram_line()]}, "two rows for 1024 B x 64 bit"),
        ({"sram": [sram_line(), sram_line(capacity_bytes=64, node_nm=22)]}, "one node and one temperature"),
        ({"sram_columns": (*SRAM_COLUMNS, "colour")}, "sram.csv: row 1: unknown column 'colour'"),
        ({"sram_columns": SRAM_COLUMNS[:-1]}, "sram.csv: row 1: derivation: the column is missing"),
        ({"sram_columns": (*SRAM_COLUMNS, "device")}, "sram.csv: row 1: device: the column is there twice"),
        ({"logic": [operation_line(), operation_line()]}, "logic.csv: two rows for add x 8 bit"),
        ({"logic": [operation_line(derivation=" ")]}, "logic.csv: row 2: derivation: is empty"),
        ({"logic": [operation_line(energy_pj="")]}, "logic.csv: row 2: energy_pj: is empty"),
        ({"dram": [operation_line(width_bits=64)]}, "dram.csv: width_bits: DRAM energies are per bit"),
        ({"dram": [operation_line(width_bits=1)] * 2}, "dram.csv: two rows for add"),
    ],
)
def test_a_malformed_table_is_refused_with_file_row_and_column(tmp_path, contents, message):
    write_table(tmp_path, **contents)
    with pytest.raises(EnergyTableError, match=re.escape(message)) as error:
        EnergyTable.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_row_with_a_cell_too_many_is_refused(tmp_path):
    write_table(tmp_path)
    with (tmp_path / "logic.csv").open("a", encoding="utf-8") as file:
        file.write("add,add,9,32,1,pJ per operation,made up,by hand, with a comma\n")
    with pytest.raises(EnergyTableError, match=r"logic.csv: row 3: has 9 cells, but there are 8 columns"):
        EnergyTable.load(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    write_table(tmp_path)
    (tmp_path / "sram.csv").write_text("", encoding="utf-8")
    with pytest.raises(EnergyTableError, match=r"sram.csv: row 1: component: the column is missing"):
        EnergyTable.load(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    write_table(tmp_path)
    (tmp_path / "dram.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EnergyTableError, match="cannot be read"):
        EnergyTable.load(tmp_path)


def test_a_folder_without_a_file_or_no_folder_is_refused(tmp_path):
    with pytest.raises(EnergyTableError, match="no energy table"):
        EnergyTable.load(tmp_path / "absent")
    with pytest.raises(EnergyTableError, match=r"lacks sram.csv, logic.csv, dram.csv"):
        EnergyTable.load(tmp_path)
