"""The table of synthesised parts: well-formed, of plausible sizes, and what a derivation gives again."""

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from derive_gate_energies import differences, taps
from gate_level import Instance, Meter, Netlist, simulate, steps
from liberty_cells import LibertyError, read_library

from spikex_sim.costs.rows import read_gates

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "derive_gate_energies.py"
PE_CLOCK_PJ = 0.63
"""112 flip-flops of a PE of four time points, 32 nm: an earlier synthesis, apart from this one."""
LIBRARY = """library (small) {
  time_unit : "1ns"; capacitive_load_unit (1,ff); nom_voltage : 1.00; /* a comment: { */
  cell (XOR) {
    area : 1.0;
    pin (A) { direction : input; capacitance : 1.0; }
    pin (B) { direction : input; capacitance : 4.0; }
    pin (Z) { direction : output; function : "(A & !B) | (!A & B)"; }
  }
  cell (FLOP) {
    ff ("IQ", "IQN") { next_state : "D"; clocked_on : "CK"; }
    area : 4.5;
    pin (CK) {
      direction : input; capacitance : 2.0;
      internal_power () {
        when : "!D & !Q";
        fall_power (t) { index_1 ("0.01,0.03"); values ("1.0,3.0"); }
        rise_power (scalar) { values ("0.5"); }
      }
      internal_power () { when : "D & Q"; fall_power (scalar) { values ("8.0"); } }
    }
    pin (D) { direction : input; capacitance : 1.0; }
    pin (Q) {
      direction : output;
      timing () {
        related_pin : "CK";
        cell_rise (t) { index_1 ("0.01,0.03"); index_2 ("1.0,2.0"); values ("1,2", \\
            "3,4"); }
        cell_fall (scalar) { values ("7.0"); }
      }
    }
  }
}
"""


DUMP = """$var wire 1 ! clk $end
$var reg 2 " \\data[1:0] [1:0] $end
$var wire 1 # hidden $end
$enddefinitions $end
#0
$dumpvars
0!
bx0 "
1#
$end
#10
1!
#15
0!
#16
b1 "
#20
1!
b11 "
#25
0!
"""


@pytest.fixture(scope="module")
def rows():
    return read_gates("gates.csv", (files("spikex_sim.costs") / "tables" / "gates.csv").read_text("utf-8"))


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.lib"
    path.write_text(LIBRARY, encoding="utf-8")
    return path


def values(rows, component, quantity):
    return {
        (row.tws, row.width_bits): row.value
        for row in rows
        if (row.component, row.quantity) == (component, quantity)
    }


def test_every_row_says_what_it_is_and_where_from(rows):
    for row in rows:
        assert row.value > 0, row.label
        assert row.unit and row.source.startswith("Nangate 45 nm"), row.label
        assert row.derivation, row.label
        assert row.node_nm == {"flip_flops": None}.get(row.quantity, 45 if "delay" in row.quantity else 32)


def test_what_the_table_has(rows):
    have = {(row.component, row.quantity) for row in rows}
    assert have >= {
        ("flip_flop", "clock"), ("flip_flop", "area"),
        ("pe", "flip_flops"), ("pe", "area"), ("pe", "add_low"), ("pe", "add_high"),
        ("lif", "area"), ("lif", "area_serial"), ("lif", "delay"), ("lif", "delay_constant_shift"),
        ("lif", "update_low"), ("lif", "update_high"), ("lif", "catchup"),
        ("deskew", "move"), ("handover", "move"), ("handover", "area"),
        ("scanner", "examine"), ("scanner", "area"), ("table", "access"), ("table", "area"),
    }  # fmt: skip


@pytest.mark.parametrize("quantity", ["pe.flip_flops", "pe.area", "lif.area"])
def test_larger_windows_and_widths_have_more(rows, quantity):
    found = values(rows, *quantity.split("."))
    windows, widths = (sorted({size[at] for size in found}) for at in (0, 1))
    assert len(found) == len(windows) * len(widths) >= 15
    for width in widths:
        assert all(found[a, width] < found[b, width] for a, b in pairwise(windows))
    for tws in windows:
        assert all(found[tws, a] < found[tws, b] for a, b in pairwise(widths))


def test_flip_flops_of_a_pe_are_its_links_and_sums(rows):
    for (tws, bits), number in values(rows, "pe", "flip_flops").items():
        group = max(1, (tws - 1).bit_length())
        assert number == 8 + 5 + group + tws * bits


def test_clock_of_a_pe_agrees_with_an_earlier_synthesis(rows):
    (clock,) = values(rows, "flip_flop", "clock").values()
    assert values(rows, "pe", "flip_flops")[4, 24] * clock == pytest.approx(PE_CLOCK_PJ, rel=0.2)


@pytest.mark.parametrize("quantity", ["pe.add", "pe.token", "lif.update", "lif.update_serial"])
def test_bounds_of_an_energy_are_in_order(rows, quantity):
    low, best, high = (values(rows, *f"{quantity}{end}".split(".")) for end in ("_low", "", "_high"))
    for size in best:
        assert low.get(size, low.get((size[0], 16), 0)) < best[size] < high[size]


def test_a_constant_shift_is_faster(rows):
    programmable, constant = (values(rows, "lif", name) for name in ("delay", "delay_constant_shift"))
    assert all(constant[size] < programmable[size] for size in programmable)


def test_a_difference_is_told_by_the_name_of_its_row(rows):
    assert differences(rows, rows, 0.0) == []
    (line,) = differences(rows[1:], rows, 0.0)
    assert line == f"{rows[0].label}: in the file, but not derived"


def test_cells_are_read_from_a_liberty_file(small):
    library = read_library(small)
    cell = library.cells["FLOP"]
    assert (library.volts, cell.area_um2, cell.is_flip_flop) == (1.0, 4.5, True)
    clock = cell.pins["CK"]
    assert clock.capacitance_ff == 2.0
    assert clock.energy_fj(False, {"D": False, "Q": False}) == pytest.approx(2.0)
    assert clock.energy_fj(True, {"D": False, "Q": False}) == 0.5
    assert clock.energy_fj(False, {"D": True, "Q": True}) == 8.0
    assert clock.energy_fj(False, {"D": True, "Q": False}) == 0.0
    (rise, fall) = cell.pins["Q"].delays_ns(1.5)["CK"]
    assert (rise, fall) == (pytest.approx(2.5), 7.0)


def test_a_dump_gives_the_changes_of_each_point_in_time():
    names = {"clk": [2], "data[1:0]": [3, 4]}
    changes = list(steps(iter(DUMP.splitlines(keepends=True)), names))
    assert changes[1:3] == [{2: False, 3: False, 4: None}, {2: True}]
    assert changes[4:] == [{3: True, 4: False}, {2: True, 3: True, 4: True}, {2: False}]


def test_a_meter_sums_pins_edges_and_what_they_drive(small):
    library = read_library(small)
    flop = Instance("flop", "FLOP", {"CK": 2, "D": 3, "Q": 4})
    meter = Meter(Netlist("top", small, {"clk": 1}, {"clk": [2]}, [flop], 0.0, library))
    dump = DUMP.replace("bx0", "b00").splitlines(keepends=True)
    spent = []
    for changes in steps(iter(dump), {"clk": [2], "data[1:0]": [3, 4]}):
        before = meter.energy_fj
        meter.step(changes)
        spent.append(meter.energy_fj - before)
    # Of the clock's pin 1 fJ an edge, of the data's half; the rest is internal and depends on D and Q before.
    assert spent[2:] == pytest.approx([1 + 0.5, 1 + 2.0, 0.5, 1 + 0.0, 1 + 8.0])


def test_settled_states_cost_what_changed_between_them(small):
    late = Instance("late", "XOR", {"A": 4, "B": 3, "Z": 5})
    soon = Instance("soon", "XOR", {"A": 2, "B": "1", "Z": 4})
    names = {"a": [2], "b": [3]}
    netlist = Netlist("top", small, {"a": 1, "b": 1}, names, [late, soon], 0.0, read_library(small))
    stimuli = [{"a": 1}, {"a": 0}, {"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 0, "b": 0}]
    activity = simulate(netlist, None, stimuli, delays="none")
    # Half a V^2 of 1 fF for each change of `a` and of its complement, three each, and of 4 fF for two of `b`.
    assert (activity.energy_fj, activity.cycles) == (pytest.approx(3 * 0.5 + 3 * 0.5 + 2 * 2.0), 4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("1,ff", "1,pf", "its units"), ("library (small)", "cell (small)", "library"), ("}\n}\n", "}", "ends")],
)
def test_a_file_of_another_kind_is_refused(small, old, new, said):
    small.write_text(LIBRARY.replace(old, new), encoding="utf-8")
    with pytest.raises(LibertyError, match=said):
        read_library(small)


def test_tokens_tag_every_tap_and_silence_keeps_the_weights():
    _, spikes, silence, additions = taps(4)
    assert additions == sum(token["bits_in"] for token in spikes)
    assert all(any(token["bits_in"] for token in spikes[at : at + 4]) for at in range(0, len(spikes), 4))
    assert [token["w_in"] for token in spikes] == [token["w_in"] for token in silence]


def derive(*arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_missing_file_is_told_in_a_line(small):
    done = derive("--liberty", str(small), "--cells", str(small.with_name("none.v")))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "none.v" in done.stderr


def test_a_missing_tool_is_told_in_a_line(small):
    done = derive("--liberty", str(small), "--cells", str(small), "--yosys", "no-such-yosys")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no-such-yosys is not installed" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_table_can_be_derived_again():
    for tool in ("yosys", "iverilog", "vvp"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (apt-get install yosys iverilog)")
    paths = [os.environ.get(name) for name in ("SPIKEX_LIBERTY", "SPIKEX_CELLS")]
    if None in paths:
        pytest.skip("SPIKEX_LIBERTY and SPIKEX_CELLS do not name the .lib and .v of the cells")
    done = derive("--liberty", paths[0], "--cells", paths[1], "--check")
    assert done.returncode == 0, done.stderr
