"""Properties of the Verilog are proved for every state and input; mutants of it are not provable."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rtl_bench import HARDWARE

pytestmark = pytest.mark.slow

TOOLS = ("yosys", "yosys-smtbmc", "z3")
DEPTH = 3
"""Cycles of the base case, and of the induction: every property spans two."""
PE = {"WB": 3, "SB": 5, "TWS": 4}
ROW = {"COLS": 3, "PB": 4, "SB": 5, "TWS": 2, "POS": 5}
PROOFS = (
    ("spx_pe", {}),
    ("spx_pe", PE),
    ("spx_pe", {**PE, "TWS": 1}),
    ("spx_pe", {**PE, "TWS": 3}),
    ("spx_pe", {**PE, "GATE": 0}),
    ("spx_pe", {**PE, "TWS": 5, "ACC": 2, "LANES": 3}),
    ("spx_pe", {**PE, "TWS": 5, "ACC": 2, "LANES": 3, "GATE": 0}),
    ("spx_pe", {**PE, "ACC": 4}),
    ("spx_lif_row", {}),
    ("spx_lif_row", ROW),
    ("spx_lif_row", {**ROW, "CHAIN": 0}),
    ("spx_lif_row", {**ROW, "COLS": 1, "POS": 2}),
)


@pytest.fixture(autouse=True)
def tools() -> None:
    """Skip without any of them."""
    absent = [name for name in TOOLS if shutil.which(name) is None]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not found (apt-get install yosys z3): nothing was proved")


def call(*command: str | Path) -> tuple[bool, str]:
    """Whether a program ended well, and what it said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0, done.stdout


def elaborate(module: str, parameters: dict[str, int], folder: Path, rtl: Path = HARDWARE / "rtl") -> Path:
    """Write a module with its properties for the solver."""
    made = folder / f"{module}.smt2"
    given = " ".join(f"{name}={value}" for name, value in parameters.items())
    script = HARDWARE / "formal" / "elaborate.tcl"
    fine, said = call("yosys", "-q", "-p", f"tcl {script} {rtl} {module} {made} {given}")
    assert fine, said
    return made


def solve(problem: Path, *options: str) -> tuple[bool, str]:
    """Whether all assertions hold, and what the solver said."""
    holds, said = call(
        "yosys-smtbmc", "-s", "z3", "--unroll", "--noprogress", "-t", str(DEPTH), *options, problem
    )
    assert f"Status: {'PASSED' if holds else 'FAILED'}" in said, said
    return holds, said


def broken(said: str) -> set[str]:
    """Names of assertions that do not hold."""
    return set(re.findall(r"Assert failed in \w+: (\w+)", said))


def label(given: object) -> str | None:
    if isinstance(given, dict):
        return " ".join(f"{name}={value}" for name, value in given.items()) or "as they are"
    return None


@pytest.mark.parametrize(("module", "parameters"), PROOFS, ids=label)
def test_properties_hold(module: str, parameters: dict[str, int], tmp_path: Path) -> None:
    problem = elaborate(module, parameters, tmp_path)
    for options in ((), ("-i",)):
        holds, said = solve(problem, *options)
        assert holds, said


# --- Mutants: their base case already breaks the assertion that is about them -------------------------------

LANES = {**PE, "LANES": 2}
BANKS = {**PE, "ACC": 2}
OPEN = {**PE, "GATE": 0}
MUTANTS = {
    "sum not cleared": ("spx_pe", PE, "spx_pe", "<= {SB{1'b0}};\n                else if (add)",
                        "<= held;\n                else if (add)", "sum_cleared"),
    "sum of a reset": ("spx_pe", PE, "spx_pe", "sum[k] <= {SB{1'b0}}", "sum[k] <= sum[k]", "sum_cleared"),
    "row out of use is cleared": ("spx_pe", PE, "spx_pe", "else if (clears & bits[i])",
                                  "else if (upd & bits[i])", "sum_kept"),
    "row out of use adds": ("spx_pe", PE, "spx_pe", "adds = tap & w_valid[0]", "adds = tap", "sum_kept"),
    "zero spike adds": ("spx_pe", PE, "spx_pe", "add = adds & bits[i]", "add = adds", "sum_kept"),
    "zero spike adds without gates": ("spx_pe", OPEN, "spx_pe", "GATE == 1 || bits[i] ?", "1'b1 ?",
                                      "sum_kept"),
    "other banks are cleared": ("spx_pe", BANKS, "spx_pe", "else if (clears & bits[i])", "else if (clears)",
                                "sum_kept"),
    "weight unsigned": ("spx_pe", PE, "spx_pe", "{{(SB-WB){weight[WB-1]}}, weight}",
                        "{{(SB-WB){1'b0}}, weight}", "sum_added"),
    "first lane": ("spx_pe", LANES, "spx_pe", "w[select*WB +: WB]", "w[0 +: WB]", "sum_added"),
    "last bank": ("spx_pe", BANKS, "spx_pe", "bank[i-1].seen | shown", "shown", "sum_read"),
    "read by a tap": ("spx_pe", PE, "spx_pe", "shown = clears & bits[i]", "shown = bits[i]", "nothing_read"),
    "update through a reset": ("spx_pe", PE, "spx_pe", "!rst & upd_in", "upd_in", "token_valid"),
    "group handed on": ("spx_pe", PE, "spx_pe", "group   <= group_in", "group   <= ~group_in",
                        "token_handed_on"),
    "spike without an update": ("spx_lif_row", ROW, "spx_lif", "spike = act & fires", "spike = fires",
                                "spike_acts"),
    "spike of no time point": ("spx_lif_row", ROW, "spx_lif_row", "fired & op[c*OW+2]", "fired",
                               "spike_live"),
    "idle column leaks": ("spx_lif_row", ROW, "spx_lif", "step[STEPS-1].after : u;",
                          "step[STEPS-1].after : leaked;", "potential_kept"),
    "idle column takes over": ("spx_lif_row", ROW, "spx_lif_row", "load == ROW ?", "load != LBUF ?",
                               "potential_kept"),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_are_not_provable(mutant: str, tmp_path: Path) -> None:
    module, parameters, mutated, old, new, assertion = MUTANTS[mutant]
    rtl = tmp_path / "rtl"
    shutil.copytree(HARDWARE / "rtl", rtl)
    source = rtl / f"{mutated}.v"
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    holds, said = solve(elaborate(module, parameters, tmp_path, rtl))
    assert not holds, said
    assert assertion in broken(said), said
