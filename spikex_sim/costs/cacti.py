"""Derive SRAM energies with a CACTI 7 executable.

Used by ``scripts/make_energy_table.py`` to make the SRAM rows of the default table and by
``spikex-sim energy check`` to derive them again. CACTI itself is not part of the package.

References
----------
R. Balasubramonian et al., "CACTI 7: New tools for interconnect exploration in innovative off-chip
memories", ACM TACO 14(2), 2017, https://github.com/HewlettPackard/cacti.
"""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs.rows import SramRow

SOURCE = "CACTI 7.0 (Balasubramonian et al. ACM TACO 14(2) 2017)"
SETTINGS = "1 bank; 1RW; cache type ram; no ECC; Global_30; conservative; ED^2; leakage = subthreshold + gate"
TIMEOUT_S = 120.0

_SIZE_ERRORS = (
    "no valid data array organizations found",
    "Cache size must >=64",
    "Number of sets is too small",
)

# The keys are those of CACTI's own cache.cfg. All have to be there: CACTI has no defaults, it crashes without
# some of them. Everything about tags, NUCA and off-chip memory is read but has no effect on an SRAM.
_CONFIG = """\
-size (bytes) {capacity_bytes}
-Array Power Gating - "false"
-WL Power Gating - "false"
-CL Power Gating - "false"
-Bitline floating - "false"
-Interconnect Power Gating - "false"
-Power Gating Performance Loss 0.01
-block size (bytes) {width_bytes}
-associativity 1
-read-write port 1
-exclusive read port 0
-exclusive write port 0
-single ended read ports 0
-UCA bank count 1
-technology (u) {node_um}
-page size (bits) 8192
-burst length 8
-internal prefetch width 8
-Data array cell type - "itrs-{device}"
-Data array peripheral type - "itrs-{device}"
-Tag array cell type - "itrs-{device}"
-Tag array peripheral type - "itrs-{device}"
-output/input bus width {width_bits}
-operating temperature (K) {temperature_k}
-cache type "ram"
-tag size (b) "default"
-access mode (normal, sequential, fast) - "normal"
-design objective (weight delay, dynamic power, leakage power, cycle time, area) 0:0:0:100:0
-deviate (delay, dynamic power, leakage power, cycle time, area) 20:100000:100000:100000:100000
-NUCAdesign objective (weight delay, dynamic power, leakage power, cycle time, area) 100:100:0:0:100
-NUCAdeviate (delay, dynamic power, leakage power, cycle time, area) 10:10000:10000:10000:10000
-Optimize ED or ED^2 (ED, ED^2, NONE): "ED^2"
-Cache model (NUCA, UCA)  - "UCA"
-NUCA bank count 0
-Wire signaling (fullswing, lowswing, default) - "Global_30"
-Wire inside mat - "semi-global"
-Wire outside mat - "semi-global"
-Interconnect projection - "conservative"
-Core count 8
-Cache level (L2/L3) - "L2"
-Add ECC - "false"
-Print level (DETAILED, CONCISE) - "CONCISE"
-Print input parameters - "false"
-Force cache config - "false"
-Ndwl 1
-Ndbl 1
-Nspd 0
-Ndcm 1
-Ndsam1 0
-Ndsam2 0
-dram_type "DDR3"
-io state "WRITE"
-addr_timing 1.0
-mem_density 4 Gb
-bus_freq 800 MHz
-duty_cycle 1.0
-activity_dq 1.0
-activity_ca 0.5
-num_dq 72
-num_dqs 18
-num_ca 25
-num_clk  2
-num_mem_dq 2
-mem_data_width 8
-rtt_value 10000
-ron_value 34
-tflight_value
-num_bobs 1
-capacity 80
-num_channels_per_bob 1
-first metric "Cost"
-second metric "Bandwidth"
-third metric "Energy"
-DIMM model "ALL"
-mirror_in_bob "F"
"""


class NoSolutionError(EnergyTableError):
    """CACTI finds no organisation for this capacity and width."""


@dataclass(frozen=True)
class CactiResult:
    """What CACTI says about one memory.

    Attributes
    ----------
    read_pj, write_pj : float
        Dynamic energy of one access of the port's width, in pJ.
    leakage_mw : float
        Subthreshold and gate leakage, in mW.
    access_ns : float
        Access time, in ns.
    area_mm2 : float
        Area of the data array, in mm².
    """

    read_pj: float
    write_pj: float
    leakage_mw: float
    access_ns: float
    area_mm2: float


@dataclass(frozen=True)
class Rederived:
    """A row of a table beside what CACTI says about the same memory now.

    Attributes
    ----------
    row : SramRow
        The row as the table has it.
    read_pj, write_pj, leakage_mw, area_mm2 : float
        CACTI's values, in pJ per access, mW and mm².
    max_relative_difference : float
        The largest ``|new - old| / old`` of them, of an area where the row has one; a fraction.
    """

    row: SramRow
    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    max_relative_difference: float


def write_config(
    capacity_bytes: int, width_bits: int, device: str, *, node_nm: float = 32.0, temperature_k: float = 350.0
) -> str:
    """Write the CACTI configuration of one memory with the settings of the default table.

    Parameters
    ----------
    capacity_bytes : int
        Capacity, in bytes.
    width_bits : int
        Port width, in bits; a multiple of 8.
    device : {"hp", "lop", "lstp"}
        ITRS device of the cells and the periphery.
    node_nm : float
        Technology node, in nm.
    temperature_k : float
        Temperature, in K; CACTI takes steps of 10 from 300 to 400.

    Returns
    -------
    str
        Text of a ``.cfg`` file.
    """
    if width_bits <= 0 or width_bits % 8:
        raise EnergyTableError(
            f"CACTI takes widths in whole bytes, not {width_bits} bits", field="width_bits"
        )
    return _CONFIG.format(
        capacity_bytes=capacity_bytes,
        width_bytes=width_bits // 8,
        width_bits=width_bits,
        device=device,
        node_um=f"{node_nm / 1000:g}",
        temperature_k=f"{temperature_k:g}",
    )


def parse_result(text: str) -> CactiResult:
    """Read the last memory of the ``<configuration>.out`` file that CACTI appends its result to.

    The file is preferred to CACTI's console output, whose leakage is in two rounded parts and which prints
    uninitialised numbers for some components of a power-gated array.

    Parameters
    ----------
    text : str
        Content of the file: a header line and a line for each run.

    Returns
    -------
    CactiResult
        Energies in pJ, leakage in mW, time in ns, area in mm².
    """
    lines = [line for line in csv.reader(text.splitlines(), skipinitialspace=True) if line]
    if len(lines) < 2:
        raise EnergyTableError("CACTI's output has no result line")
    values = dict(zip((name.strip() for name in lines[0]), lines[-1], strict=False))

    def number(column: str) -> float:
        if column not in values:
            raise EnergyTableError(f"CACTI's output has no column {column!r}")
        try:
            value = float(values[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise EnergyTableError(f"CACTI's output has {values[column]!r} for {column!r}")
        return value

    return CactiResult(
        read_pj=_shift(number("Dynamic read energy (nJ)")),
        write_pj=_shift(number("Dynamic write energy (nJ)")),
        leakage_mw=number("Standby leakage per bank(mW)"),
        access_ns=number("Access time (ns)"),
        area_mm2=number("Area (mm2)"),
    )


def run_cacti(
    cacti_path: str | os.PathLike[str], config: str, *, timeout_s: float = TIMEOUT_S
) -> CactiResult:
    """Run CACTI on one configuration.

    Parameters
    ----------
    cacti_path : path
        The executable, in its own source folder: CACTI reads ``tech_params/`` relative to where it runs, and
        crashes where there is none.
    config : str
        Text of the configuration, as `write_config` makes it.
    timeout_s : float
        Time after which the run is given up, in s.

    Returns
    -------
    CactiResult
        Energies in pJ, leakage in mW, time in ns, area in mm².

    Raises
    ------
    NoSolutionError
        CACTI ran, but knows no organisation for this size.
    EnergyTableError
        CACTI cannot be run or its output cannot be read.
    """
    executable, folder = _locate(cacti_path)
    where = str(cacti_path)
    with tempfile.TemporaryDirectory(prefix="spikex-cacti-") as scratch:
        infile = Path(scratch) / "memory.cfg"
        infile.write_text(config, encoding="ascii")
        try:
            done = subprocess.run(
                [str(executable), "-infile", str(infile)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EnergyTableError(f"no answer from CACTI within {timeout_s:g} s", where=where) from None
        except OSError as error:
            raise EnergyTableError(f"cannot be run: {error.strerror or error}", where=where) from None
        said = done.stdout + done.stderr
        reason = next((text for text in _SIZE_ERRORS if text in said), "")
        if reason:
            raise NoSolutionError(f"CACTI has no solution: {reason}", where=where)
        outfile = Path(f"{infile}.out")
        if done.returncode != 0 or not outfile.is_file():
            last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no message")
            raise EnergyTableError(f"CACTI failed ({_how_ended(done.returncode)}): {last}", where=where)
        return parse_result(outfile.read_text(encoding="utf-8", errors="replace"))


def rederive(
    rows: Iterable[SramRow],
    cacti_path: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[Rederived]:
    """Derive SRAM rows again and compare.

    Parameters
    ----------
    rows : iterable of SramRow
        Rows of a table; their node, temperature, device, capacity and width are used, and the settings of
        the default table for everything else.
    cacti_path : path
        The CACTI 7 executable; see `run_cacti`.
    progress : callable, optional
        Called as ``progress(done, total)`` after each row.

    Returns
    -------
    list of Rederived
        One for each row, in the same order.
    """
    todo = list(rows)
    compared = []
    for done, row in enumerate(todo, start=1):
        config = write_config(
            row.capacity_bytes,
            row.width_bits,
            row.device,
            node_nm=row.node_nm,
            temperature_k=row.temperature_k,
        )
        try:
            new = run_cacti(cacti_path, config)
        except NoSolutionError as error:
            raise NoSolutionError(str(error), field=row.label) from None
        compared.append(
            Rederived(
                row=row,
                read_pj=new.read_pj,
                write_pj=new.write_pj,
                leakage_mw=new.leakage_mw,
                area_mm2=new.area_mm2,
                max_relative_difference=max(
                    _relative(new.read_pj, row.read_pj),
                    _relative(new.write_pj, row.write_pj),
                    _relative(new.leakage_mw, row.leakage_mw),
                    _relative(new.area_mm2, row.area_mm2) if row.area_mm2 else 0.0,
                ),
            )
        )
        if progress is not None:
            progress(done, len(todo))
    return compared


def _locate(cacti_path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Find the executable and the folder to run it in."""
    where = str(cacti_path)
    path = Path(cacti_path).expanduser()
    if not path.exists():
        raise EnergyTableError("there is no such CACTI executable", where=where)
    if not path.is_file():
        raise EnergyTableError("is not a file; name the CACTI executable itself", where=where)
    path = path.resolve()
    if not os.access(path, os.X_OK):
        raise EnergyTableError("is not executable; try chmod +x", where=where)
    # The makefile leaves a second copy of the executable in obj_opt/ or obj_dbg/.
    for folder in (path.parent, path.parent.parent):
        if (folder / "tech_params").is_dir():
            return path, folder
    raise EnergyTableError(
        "has no tech_params folder beside it; run CACTI where it was built, or copy the folder too",
        where=where,
    )


def _how_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return signal.strsignal(-code) or f"signal {-code}"


def _shift(energy_nj: float) -> float:
    """Turn nJ into pJ without inventing digits: CACTI prints six."""
    return float(f"{energy_nj * 1000:.6g}")


def _relative(new: float, old: float) -> float:
    if new == old:
        return 0.0
    return abs(new - old) / old if old else float("inf")
