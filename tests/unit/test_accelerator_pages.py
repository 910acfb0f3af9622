"""Pages of accelerators: drawings are what is simulated, commands run, the tutorial's machine works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from command import environment, process
from distribution import install_cfg
from spikex_sim.run.simulate import simulate
from spikex_sim.spec.load import load_accelerator, preset_names

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "accelerators"
FIGURES = ROOT / "docs" / "figures"
LARGEST_FIGURE_BYTES = 150_000

sys.path.insert(0, str(ROOT / "scripts"))
blocks: Any = import_module("schedule_blocks")
cases: Any = import_module("schedule_cases")
drawings: Any = import_module("make_schedule_drawings")
crossbars: Any = import_module("make_imc_drawings")
tables: Any = import_module("make_spikesim_page")

NAMES = list(cases.MACHINES)


def read(path: Path) -> str:
    return path.read_text("utf-8")


def code(page: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [block for name, block in fenced if name == language]


def section(page: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no heading '{title}'"
    return found[1]


# --- Drawings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_has_the_cycles_that_are_simulated(name: str) -> None:
    """The last cycle drawn is the layer's last, and every PE has something to do, or nothing, in each."""
    drawing = blocks.drawing_of(name)
    layer = simulate(cases.example_trace(), cases.accelerator(name)).layers[0]
    assert drawing.cycles == layer.compute_cycles
    pes = [pe for _, band in drawing.bands for pe in band]
    assert sorted(pes) == sorted(set(pes)) and len(pes) == cases.ARRAY**2
    for pe in pes:
        mine = sorted((block.start, block.stop) for block in drawing.blocks if block.pe == pe)
        edges = [0, *(stop for _, stop in mine)]
        assert [start for start, _ in mine] == edges[:-1], f"gaps or overlaps in {pe}"
        assert edges[-1] == drawing.cycles


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_has_the_work_that_is_simulated(name: str) -> None:
    """Cycles of PEs by phase, and inputs that meet weights, are the counts of the simulator."""
    drawing, case = blocks.drawing_of(name), cases.Case.of(name)
    done = case.layout.operations
    spent: Counter[str] = Counter()
    for block in drawing.blocks:
        spent[block.phase] += block.stop - block.start
    assert len(drawing.hits) == len(set(drawing.hits)) == case.layout.additions
    working = [block for block in drawing.blocks if block.phase == "integrate"]
    for pe, cycle in drawing.hits:
        assert any(block.pe == pe and block.start <= cycle < block.stop for block in working)
    if case.arch.scheduler in ("systolic", "sata"):
        assert spent["integrate"] == done.pe_cycles
        assert spent["update"] == spent["leak"] == 0
    else:
        assert spent["update"] == done.lif_updates
        assert spent["leak"] == done.leak_catchups
    if case.arch.scheduler == "spinalflow":
        assert spent["integrate"] + spent["update"] == done.pe_cycles
        assert spent["integrate"] == done.accumulations


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spinalflow"])
def test_a_drawing_has_the_skew(name: str) -> None:
    """PE (r, c) begins r + c cycles after PE (0, 0), or as many times all time points of a tap."""
    drawing, case = blocks.drawing_of(name), cases.Case.of(name)
    behind = cases.TIMESTEPS if name == "sata" else 1
    starts: dict[tuple[int, int], set[int]] = {}
    for block in drawing.blocks:
        if block.phase == "integrate":
            starts.setdefault(block.pe, set()).add(block.start)
    for (r, c), mine in starts.items():
        assert mine <= {start + (r + c) * behind for start in starts[0, 0]}
    assert len(starts) == cases.ARRAY**2
    assert len(starts[0, 0]) == len(list(case.units()))


def test_all_machines_compute_the_same() -> None:
    results = [simulate(cases.example_trace(), cases.accelerator(name)) for name in NAMES if name != "ann"]
    assert len({result.layers[0].output_sha256 for result in results}) == 1
    assert results[0].layers[0].output_spikes


@pytest.mark.parametrize("name", NAMES)
def test_drawings_are_up_to_date(name: str) -> None:
    """What is drawn is compared always, every byte where the file is of the same matplotlib."""
    check_drawn(name, drawings, blocks.drawing_of(name))


@pytest.mark.parametrize("name", crossbars.NAMES)
def test_drawings_of_crossbars_are_up_to_date(name: str) -> None:
    check_drawn(name, crossbars, crossbars.drawing_of(name))


def check_drawn(name: str, script: Any, drawing: Any) -> None:
    file, hint = (FIGURES / f"{name}.svg").read_bytes(), f"run python scripts/{script.__name__}.py"
    assert drawing.fingerprint.encode() in file, hint
    drawn = script.svg_of(drawing)
    if f"Matplotlib v{mpl.__version__}".encode() in file:
        assert drawn == file, hint
    assert len(file) < LARGEST_FIGURE_BYTES


def test_a_drawing_is_the_same_every_time() -> None:
    assert drawings.svg_of(blocks.drawing_of("ann")) == drawings.svg_of(blocks.drawing_of("ann"))
    assert b"<dc:date>" not in drawings.svg_of(blocks.drawing_of("ann"))


def test_lines_of_a_drawing_cover_it() -> None:
    for name in NAMES:
        drawing = blocks.drawing_of(name)
        lines = drawings.lines_of(drawing)
        assert [start for start, _ in lines] == [0, *(stop for _, stop in lines[:-1])]
        assert lines[-1][1] == drawing.cycles
        for block in drawing.blocks:
            assert len(lines) == 1 or any(a <= block.start < block.stop <= b for a, b in lines)


# --- Pages -----------------------------------------------------------------------------------------


def pages() -> list[Path]:
    return sorted(path for path in PAGES.glob("*.md") if path.name != "index.md")


def test_every_drawing_is_shown() -> None:
    shown = {
        name
        for page in (*pages(), ROOT / "docs" / "imc.md")
        for name in re.findall(r"!\[[^]]+\]\((?:\.\./)?figures/([\w-]+)\.svg\)", read(page))
    }
    assert shown == {*NAMES, *crossbars.NAMES} == {path.stem for path in FIGURES.glob("*.svg")}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_page_has_what_pages_have(page: Path) -> None:
    text = read(page)
    for title in ("What it issues when", "Try it", "Published and assumed"):
        assert section(text, title)
    assert "Assumed" in section(text, "Published and assumed")


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| preset")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_tables_of_crossbars_are_up_to_date() -> None:
    page = read(tables.PAGE)
    assert tables.rewritten(page) == page, "run python scripts/make_spikesim_page.py"


def test_index_has_every_preset_with_its_scheduler() -> None:
    table = read(PAGES / "index.md").split("## Reading the drawings")[0]
    named = {
        preset: scheduler.strip("`")
        for presets, scheduler, *_ in rows(table)
        for preset in re.findall(r"`([^`]+)`", presets)
    }
    assert named == {name: load_accelerator(name).scheduler for name in preset_names()}


def test_index_has_the_counts_of_the_drawings() -> None:
    text = section(read(PAGES / "index.md"), "Reading the drawings")
    columns = [line.split("     ")[0].strip() for line in code(text, "")[0].splitlines()[1:]]
    assert columns == cases.example_map().splitlines()
    counts = {row[0]: row[1:] for row in rows(text) if row[0].startswith("[")}
    assert len(counts) == len(NAMES)
    for name in NAMES:
        drawing, case = blocks.drawing_of(name), cases.Case.of(name)
        (found,) = (value for key, value in counts.items() if key.startswith(f"[{drawing.title}]"))
        issued, cycles, additions, hits = found
        assert issued.split()[0] == str(len(drawing.units))
        assert int(cycles) == drawing.cycles
        assert int(additions) == case.layout.operations.accumulations
        assert int(hits) == len(drawing.hits)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    (commands,) = code(section(read(page), "Try it"), "")
    for line in commands.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "spikex-sim"
        outcome = process(*arguments, env=environment(NUMBA_DISABLE_JIT=None), cwd=tmp_path)
        assert outcome.code == 0, outcome.err
        assert "did not run" not in outcome.out


# --- The tutorial ----------------------------------------------------------------------------------


def test_the_machine_of_the_tutorial(tmp_path: Path) -> None:
    """Installed as the page says, it runs, gives SpikeX's spikes and passes the conformance kit."""
    page = section(read(ROOT / "docs" / "extending.md"), "Write another accelerator")
    (cfg,) = code(page, "ini")
    for block in (code(page, "python")[0], *code(page, "yaml")):
        name = re.match(r"# ([\w.-]+)\n", block)
        assert name
        (tmp_path / name[1]).write_text(block, "utf-8")
    install_cfg(cfg, tmp_path)
    path = {"PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": None, "PYTHONWARNINGS": "error"}
    everywhere = {"env": environment(**path), "cwd": tmp_path}

    commands = [shlex.split(line)[1:] for line in code(page, "")[0].splitlines()]
    run, compare = (process(*arguments, **everywhere) for arguments in commands)
    assert run.code == 0, run.err
    assert compare.code == 0, compare.err
    keys = process(
        "run", "--show-config", "--arch", "frame-parallel.yaml", "--set", "at_once=4", **everywhere
    )
    assert re.search(r"^at_once +4 +positions", keys.out, re.MULTILINE), keys.err
    refused = process("run", "--set", "at_once=4", **everywhere)
    assert refused.code == 2
    assert refused.err == (
        "spikex-sim: preset spikex: at_once: not read by the machine spikex, but by frame-parallel\n"
    )
    (shown,) = code(page, "text")
    for part in shown.strip().split("\n\n"):
        assert part in "\n".join(line.rstrip() for line in compare.lines)

    (line,) = (line for block in code(page, "") for line in block.splitlines() if line.startswith("pytest "))
    checked = subprocess.run(
        [sys.executable, "-m", *shlex.split(line), "-q", "-p", "no:cacheprovider"],
        cwd=ROOT, env=environment(**path), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"\b[5-9] passed", checked.stdout)
