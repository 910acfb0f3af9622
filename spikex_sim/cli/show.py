"""Tables and progress bars that fit a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from spikex_sim.results import LayerResult, RunResult
from spikex_sim.units import joules, with_prefix

console = Console(highlight=False, soft_wrap=False)
errors = Console(stderr=True, highlight=False)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on standard error where that is a terminal; it appears after a second."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description:28.28}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def report(doing: str, done: int, total: int) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        yield report


def log_to_terminal() -> None:
    """Let the package's notices (kernels being compiled) reach standard error as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("spikex-sim: %(message)s"))
    logger = logging.getLogger("spikex_sim")
    logger.handlers[:] = [handler]
    logger.propagate = False


def table(title: str, *columns: str, left: int = 1) -> Table:
    """Make an empty table; all but the first ``left`` columns are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < left else "right", no_wrap=True)
    return made


def percent(part: float, whole: float) -> str:
    """Share as a percentage, empty where there is no whole."""
    return f"{100 * part / whole:.1f}" if whole else ""


def show_run(result: RunResult) -> None:
    """Print time, energy and mapping of a run."""
    totals = result.totals
    trace = result.trace
    samples = f", {trace['samples']} samples" if trace["samples"] > 1 else ""
    console.print(
        f"[bold]{trace['name']}[/] (T={trace['timesteps']}{samples}) on [bold]{result.arch.name}[/], "
        f"{result.arch.array.rows}x{result.arch.array.cols} PEs at {result.arch.clock_mhz:g} MHz, "
        f"{result.engine} engine\n"
    )
    console.print(_time_table(result), "")
    console.print(_energy_table(result), "")
    console.print(_mapping_table(result), "")
    energy = totals.energy
    console.print(
        f"latency {with_prefix(totals.seconds, 's')}   energy {joules(energy.total_pj)} "
        f"(without DRAM {joules(energy.on_chip_pj)}; leakage apart {joules(sum(energy.leakage.values()))})   "
        f"EDP {totals.edp_js:.4g} Js"
    )
    console.print(
        f"power {totals.power_mw:.4g} mW   {totals.tops * 1e3:.4g} GOPS ({totals.tops_dense * 1e3:.4g} dense)   "
        f"{totals.tops_per_watt:.4g} TOPS/W   DRAM weights: {result.arch.memory.dram.weights}"
    )
    wrong = [layer for layer in result.layers if layer.mismatched_spikes]
    for layer in wrong:
        console.print(
            f"[yellow]layer {layer.name}: the recorded input differs from what its predecessor produced in "
            f"{layer.mismatched_spikes} spikes; the recorded ones were used[/]"
        )


def _layers(result: RunResult) -> list[LayerResult]:
    return [layer for layer in result.layers if layer.cycles]


def _time_table(result: RunResult) -> Table:
    made = table("Time", "layer", "mode", "TWS", "cycles", "array", "dram", "glb", "lbuf", "drain",
                 "PE use", "adds", "spikes out", left=2)  # fmt: skip
    for layer in _layers(result):
        stalls = layer.stalls
        made.add_row(
            layer.name,
            layer.mode or "",
            str(layer.tws),
            f"{layer.cycles:,}",
            *(
                percent(cycles, layer.cycles)
                for cycles in (layer.compute_cycles, stalls.dram, stalls.glb, stalls.lbuf, stalls.drain)
            ),
            f"{100 * layer.utilization:.1f}",
            f"{100 * layer.add_utilization:.1f}",
            "" if layer.output_spikes is None else f"{layer.output_spikes:,}",
        )
    totals = result.totals
    made.add_section()
    made.add_row(
        "total", "", "", f"{totals.cycles:,}",
        *(
            percent(cycles, totals.cycles)
            for cycles in (totals.compute_cycles, totals.stalls.dram, totals.stalls.glb, totals.stalls.lbuf,
                           totals.stalls.drain)
        ),
        f"{100 * totals.utilization:.1f}", f"{100 * totals.add_utilization:.1f}", f"{totals.output_spikes:,}",
    )  # fmt: skip
    made.caption = "array: cycles that compute; dram, glb, lbuf, drain: stalls; these and PE use, adds in %"
    made.caption_justify = "left"
    return made


def _energy_table(result: RunResult) -> Table:
    made = table("Energy", "layer", "ALU", "RF", "LBUF", "GLB", "DRAM", "total", "no DRAM", "weights %",
                 "spikes %")  # fmt: skip
    for layer in _layers(result):
        made.add_row(layer.name, *_energy_cells(layer.energy))
    made.add_section()
    made.add_row("total", *_energy_cells(result.totals.energy))
    return made


def _energy_cells(energy: Any) -> list[str]:
    on_chip = [joules(energy.components[part]) for part in ("alu", "rf", "lbuf", "glb", "dram")]
    return [
        *on_chip,
        joules(energy.total_pj),
        joules(energy.on_chip_pj),
        percent(energy.uses["weights"], energy.total_pj),
        percent(energy.uses["spikes"], energy.total_pj),
    ]


def _mapping_table(result: RunResult) -> Table:
    made = table("Mapping", "layer", "tiles", "positions", "windows", "GLB filter", "GLB ifmap", "LBUF filter",
                 "steps")  # fmt: skip
    for layer in _layers(result):
        mapping = layer.mapping
        made.add_row(
            layer.name,
            *(str(mapping[key]) for key in ("tiles", "positions_per_tile", "windows_per_tile")),
            *(str(mapping[key]) for key in ("glb_filter", "glb_ifmap", "lbuf_filter")),
            f"{layer.steps:,}",
        )
    glb, lbuf = result.arch.memory.glb.partition, result.arch.memory.lbuf.partition
    made.caption = (
        "loops: row group > position set > time block > batch > chunk; shares of ifmap/filter/ofmap/psum: "
        f"GLB {glb.ifmap:g}/{glb.filter:g}/{glb.ofmap:g}/{glb.psum:g}, "
        f"LBUF {lbuf.ifmap:g}/{lbuf.filter:g}/{lbuf.ofmap:g}/{lbuf.psum:g}"
    )
    made.caption_justify = "left"
    return made


def show_comparison(results: list[RunResult]) -> None:
    """Print several accelerators on the same trace side by side, with ratios to the first."""
    first = results[0]
    console.print(f"[bold]{first.trace['name']}[/] (T={first.trace['timesteps']})\n")
    for title, value, unit in (
        ("Cycles", lambda c: c.cycles, None),
        ("Energy", lambda c: c.energy.total_pj, joules),
        ("Energy without DRAM", lambda c: c.energy.on_chip_pj, joules),
        ("PE use", lambda c: c.utilization, None),
        ("Stalled", lambda c: c.stalls.total / c.cycles if c.cycles else 0.0, None),
    ):
        is_share = title in ("PE use", "Stalled")
        columns = [name for result in results for name in _columns(result, first, is_share)]
        made = table(title, "layer", *columns)
        rows = [(layer.name, [r.layers[i] for r in results]) for i, layer in enumerate(first.layers)]
        for name, costs in [*rows, ("total", [r.totals for r in results])]:
            if not costs[0].cycles:
                continue
            if name == "total":
                made.add_section()
            made.add_row(name, *_compared([value(cost) for cost in costs], unit, is_share))
        console.print(made, "")
    edp = table("Totals", "accelerator", "latency", "energy", "EDP (Js)", "EDP ratio")
    for result in results:
        totals = result.totals
        edp.add_row(
            result.arch.name,
            with_prefix(totals.seconds, "s"),
            joules(totals.energy_pj),
            f"{totals.edp_js:.4g}",
            f"{totals.edp_js / first.totals.edp_js:.3f}",
        )
    console.print(edp, "")


def _columns(result: RunResult, first: RunResult, is_share: bool) -> list[str]:
    sizes = sorted({layer.tws for layer in result.layers if layer.tws})
    name = f"{result.arch.name} TWS={'/'.join(map(str, sizes))}" if len(sizes) < 3 else f"{result.arch.name} TWS*"
    return [name] if result is first or is_share else [name, "ratio"]


def _compared(values: list[float], unit: Any, is_share: bool) -> list[str]:
    if is_share:
        return [f"{100 * value:.1f} %" for value in values]
    cells = []
    for index, value in enumerate(values):
        cells.append(unit(value) if unit else f"{value:,}")
        if index:
            cells.append(f"{value / values[0]:.3f}" if values[0] else "")
    return cells


def show_config(rows: list[tuple[str, str, str, str]]) -> None:
    """Print configuration keys with value, unit and meaning."""
    made = Table(box=None, pad_edge=False)
    made.add_column("key", no_wrap=True)
    made.add_column("value", justify="right", no_wrap=True)
    made.add_column("unit", no_wrap=True, max_width=12)
    made.add_column("meaning")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def show_sweep(rows: list[dict[str, Any]], keys: list[str]) -> None:
    """Print a sweep: the point, then latency, energy, EDP and utilisation; the best of each is marked."""
    made = table("Sweep", "trace", "arch", *keys, "cycles", "latency", "energy", "no DRAM", "EDP (Js)", "PE use",
                 "stalled", left=2)  # fmt: skip
    best = {name: min(row[name] for row in rows) for name in ("cycles", "energy_pj", "energy_on_chip_pj", "edp_js")}

    def mark(row: dict[str, Any], name: str, text: str) -> str:
        return f"[bold green]{text}[/]" if row[name] == best[name] else text

    for row in rows:
        made.add_row(
            row["trace"][:24],
            row["arch"],
            *(str(row[key]) for key in keys),
            mark(row, "cycles", f"{row['cycles']:,}"),
            with_prefix(row["seconds"], "s"),
            mark(row, "energy_pj", joules(row["energy_pj"])),
            mark(row, "energy_on_chip_pj", joules(row["energy_on_chip_pj"])),
            mark(row, "edp_js", f"{row['edp_js']:.4g}"),
            f"{100 * row['utilization']:.1f} %",
            percent(row["cycles"] - row["compute_cycles"], row["cycles"]) + " %",
        )
    console.print(made, "")
