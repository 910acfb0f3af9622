"""Make the energy table of crossbar machines, 65 nm, from published constants.

    python scripts/make_imc_table.py [--output FOLDER]

SpikeSim's script has energies of one PE cycle of 64x64 crossbars; each is divided by what a dense one does:
64 columns in 8 phases of the column muxes, 9 crossbars of 64 rows, 64 sums of 16 bits. See docs/energy.md.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path

from spikex_sim.costs.rows import CROSSBAR_COLUMNS
from spikex_sim.schedules.crossbar.released import (
    ADC_PJ,
    ADC_UM2,
    FETCH_PJ,
    HTREE_PJ,
    HTREE_UM2,
    MUX_PJ,
    MUX_UM2,
    NEURON_BITS,
    NEURON_PJ,
    NEURON_UM2,
    SUBTRACTOR_UM2,
    TEMP_PJ,
    TEMP_UM2,
    TILE_BUFFER_PJ,
    XBAR_PJ,
)
from spikex_sim.schedules.crossbar.released import SOURCE as SPIKESIM

TABLE = Path(__file__).resolve().parent.parent / "spikex_sim" / "costs" / "tables" / "imc65"

COLUMNS, PHASES, ROWS, CROSSBARS, SUM_BITS, PES, ADC_BITS = 64, 8, 64, 9, 16, 8, 4
CELL_NM, CELL_F2, TRANSISTOR_CELL_F2 = 40, 4, 53

FEFET = "Moitra et al. (SpikeSim), IEEE TCAD 2023, Section V-B"
FEFET_AREA, FEFET_WRITE = 1 / 7, 3

HOROWITZ = "Horowitz ISSCC 2014 paper 1.1: 32-bit add 0.1 pJ at 45 nm; area: Aladdin, 32-bit adder, 65 nm"
ADD_PJ, ADD_NM, ADD_BITS, ADD_UM2, NODE_NM = 0.1, 45, 32, 610, 65

WORD_LINE_FF, VDD = 20.0, 0.9

CACTI = "CACTI 7.0, 65 nm lop, 350 K, ED^2, 64-bit port"
PORT_BITS = 64
BANKS = {8192: (5.90482, 6.49504), 27648: (12.602, 10.5763), 55296: (22.5445, 15.5129)}
"""pJ per read and per write by capacity, bytes."""
BANK_LEAKAGE_MW = 0.395026
AS_USED_PJ = {("gb", "read"): 10.9495}
"""Where figures of this machine were made with another last digit than the interpolation's, 10.9497."""

SURVEY = "Andrulis et al., arXiv 2404.06553 (ADC survey fit; hwcomponents-adc, MIT)"
SAR = {
    4: (3.500746, 11635.41),
    5: (3.548125, 11682.29),
    6: (4.036399, 12141.65),
    7: (4.972812, 12923.52),
    8: (6.494479, 13997.87),
    9: (8.868216, 15364.94),
    10: (21.130494, 19921.53),
}
"""pJ per conversion and um2 by bits, as the fit gives them."""

ROUTER = "ISAAC router (Shafiee et al., ISCA 2016) as in hwcomponents-library, which scales it to 65 nm"
ROUTER_PJ, ROUTER_UM2, ROUTER_BITS, FLIT_BITS = 39.0, 495_000.0, 256, 32

Row = tuple[str, str, float | None, float | None, float | None, str, str, str]


def digits(value: float, number: int) -> float:
    """Round to significant digits."""
    return float(f"{value:.{number}g}")


def between(small: int, large: int, capacity_bytes: int) -> tuple[float, float]:
    """Read and write energy of a size between two, linear in log(capacity), with CACTI's four decimals."""
    share = math.log(capacity_bytes / small) / math.log(large / small)
    low, high = BANKS[small], BANKS[large]
    return tuple(round(a + (b - a) * share, 4) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]


def arrays() -> Iterator[Row]:
    """Cells, rows, converters and muxes."""
    read, square_um = COLUMNS // PHASES * ROWS, CELL_NM**2 / 1e6
    yield ("cell", "read", XBAR_PJ["rram"] / read, CELL_F2 * square_um, None,
           "pJ per active row and used column, at R_on 20 kohm, V_read 0.1 V; um2 per cell", SPIKESIM,
           f"{XBAR_PJ['rram']} pJ per {ROWS} rows x {COLUMNS // PHASES} columns of a mux phase / {read}; "
           f"area {CELL_F2} F^2, F = {CELL_NM} nm")  # fmt: skip
    yield ("cell_1t1r", "read", None, TRANSISTOR_CELL_F2 * square_um, None, "um2 per cell",
           f"{SPIKESIM} (its comment)",
           f"{TRANSISTOR_CELL_F2} F^2, F = {CELL_NM} nm; what area is counted with")  # fmt: skip
    yield ("row", "drive", WORD_LINE_FF / 1e3 / ROWS * VDD**2, 0.0, None,
           "pJ per active row and column of the crossbar", "assumed",
           f"word line of {WORD_LINE_FF:g} fF per {ROWS} cells x ({VDD} V)^2")  # fmt: skip
    for bits in range(1, 15):
        scale = 2.0 ** (bits - ADC_BITS)
        yield (f"adc_flash_{bits}", "convert", ADC_PJ * scale, ADC_UM2 * scale, None,
               "pJ per conversion; um2 per ADC",
               SPIKESIM if bits == ADC_BITS else f"{SPIKESIM}; scaling assumed",
               f"{ADC_PJ} pJ, {ADC_UM2} um2 at {ADC_BITS} bit x 2^({bits}-{ADC_BITS}): "
               "comparators double per bit")  # fmt: skip
    for bits, (pj, um2) in SAR.items():
        yield (f"adc_sar_{bits}", "convert", pj, um2, None, "pJ per conversion; um2 per ADC", SURVEY,
               f"fit at ENOB {bits}, {NODE_NM} nm, 250 MS/s, area quantile 10 %")  # fmt: skip
    yield ("mux", "switch", MUX_PJ, MUX_UM2, None, "pJ per conversion; um2 per ADC", SPIKESIM, "as published")


def digital() -> Iterator[Row]:
    """Adders, and the registers of the sign correction."""
    yield ("add", "bit", ADD_PJ / ADD_BITS * NODE_NM / ADD_NM, digits(ADD_UM2 / ADD_BITS, 4), None,
           "pJ per bit of an addition (one full adder); um2 per bit", HOROWITZ,
           f"{ADD_PJ / ADD_BITS} pJ/bit x {NODE_NM}/{ADD_NM} (capacitance linear in the node, VDD {VDD} V in "
           f"both); {ADD_UM2} um2 / {ADD_BITS}")  # fmt: skip
    yield ("diff", "op", 0.0, SUBTRACTOR_UM2, None,
           "pJ per channel and correction; um2 per 8 columns and tile", SPIKESIM,
           "energy is in add.bit; area as published")  # fmt: skip
    yield ("temp", "tile", 0.0, TEMP_UM2, None, "pJ per use; um2 per tile", SPIKESIM,
           "energy is in pb.access; area as published")  # fmt: skip


def memories() -> Iterator[Row]:
    """Buffers, spike buffer and potentials."""
    bit_um2, sums = NEURON_UM2 / NEURON_BITS, COLUMNS * SUM_BITS
    dense = f"{COLUMNS} sums of {SUM_BITS} bit"
    per_access, per_bit = "pJ per bit read or written; um2 per bit", "pJ per bit; um2 per bit"
    yield ("pb", "access", TEMP_PJ * PHASES / (2 * sums), bit_um2, None, per_access, SPIKESIM,
           f"Temp {TEMP_PJ} pJ x {PHASES} per PE cycle / ({dense}, written and read); "
           f"area {NEURON_UM2} um2 per potential of {NEURON_BITS} bit")  # fmt: skip
    yield ("tb", "access", TILE_BUFFER_PJ / (2 * sums), bit_um2, None, per_access, SPIKESIM,
           f"tile buffer {TILE_BUFFER_PJ:g} pJ per PE cycle / ({dense}, written and read)")  # fmt: skip
    yield ("htree", "up", HTREE_PJ / sums, HTREE_UM2 / PES, None, "pJ per bit; um2 per PE", SPIKESIM,
           f"{HTREE_PJ} pJ per PE cycle / ({dense}); {HTREE_UM2:g} um2 per tile of {PES} PEs")  # fmt: skip
    yield "htree", "down", HTREE_PJ / sums, 0.0, None, "pJ per bit", "assumed", "as up"
    fetch = FETCH_PJ / (CROSSBARS * ROWS)
    yield ("pib", "read", fetch, bit_um2, None, per_bit, SPIKESIM,
           f"mem_fetch {FETCH_PJ} pJ per PE cycle / ({CROSSBARS} crossbars x {ROWS} rows)")  # fmt: skip
    yield "pib", "write", fetch, 0.0, None, "pJ per bit", "assumed", "as read"
    for name, capacity_bytes, small, large in (("tib", 51200, 27648, 55296), ("gb", 20480, 8192, 27648)):
        own, low, high = (size // 1024 for size in (capacity_bytes, small, large))
        origin = f"{own} KB between {low} KB and {high} KB, linear in log capacity"
        energies = between(small, large, capacity_bytes)
        for action, found, um2 in zip(("read", "write"), energies, (bit_um2, 0.0), strict=True):
            pj = AS_USED_PJ.get((name, action), found)
            yield name, action, pj / PORT_BITS, um2, None, per_bit, CACTI, f"{origin}: {pj} pJ / {PORT_BITS}"
    yield ("spikes", "bit", None, bit_um2, None, "um2 per bit of the spike buffer", SPIKESIM,
           f"{NEURON_UM2} um2 per potential of {NEURON_BITS} bit")  # fmt: skip
    read, write = BANKS[8192]
    yield ("umem_sram", "read", read / PORT_BITS, bit_um2, BANK_LEAKAGE_MW,
           f"{per_bit}; mW per bank of 65536 bits", CACTI,
           f"banks of 8 KB: {read} pJ / {PORT_BITS}")  # fmt: skip
    yield "umem_sram", "write", write / PORT_BITS, 0.0, None, per_bit, CACTI, f"{write} pJ / {PORT_BITS}"
    yield ("umem_fefet", "read", read / PORT_BITS, bit_um2 * FEFET_AREA, None, per_bit, FEFET,
           "read as umem_sram; its area / 7")  # fmt: skip
    yield ("umem_fefet", "write", write / PORT_BITS * FEFET_WRITE, 0.0, None, per_bit, FEFET,
           "write energy of umem_sram x 3")  # fmt: skip


def rest() -> Iterator[Row]:
    """Neurons and network."""
    adder_um2 = digits(ADD_UM2 / ADD_BITS, 4)
    yield ("lif", "update", NEURON_PJ / COLUMNS, 4 * NEURON_BITS * adder_um2, None,
           "pJ per neuron and time point; um2 per LIF unit", f"{SPIKESIM}; area assumed",
           f"{NEURON_PJ} pJ per PE cycle / {COLUMNS} neurons; four {NEURON_BITS}-bit adders (leak, add, "
           "compare, subtract)")  # fmt: skip
    flits = ROUTER_BITS // FLIT_BITS
    yield ("noc", "flit_hop", digits(ROUTER_PJ / flits, 2), digits(ROUTER_UM2 / flits, 2), None,
           f"pJ per {FLIT_BITS}-bit flit and hop; um2 per tile", ROUTER,
           f"{ROUTER_PJ} pJ and {ROUTER_UM2:g} um2 per {ROUTER_BITS} bit / {flits}, two digits")  # fmt: skip


def rows() -> list[Row]:
    """All rows of the table."""
    return [*arrays(), *digital(), *memories(), *rest()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the energy table of crossbar machines.")
    parser.add_argument("--output", type=Path, default=TABLE, help="folder to write imc.csv to")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "imc.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CROSSBAR_COLUMNS)
        writer.writerows(rows())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
