"""Tables and progress bars that fit a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spikex_sim.cli.choose import Choice
from spikex_sim.cli.sheet import print_sheet, put_text
from spikex_sim.core import sheet
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.sheet import LONGEST_KEY, Sheet, cell, percent, short
from spikex_sim.core.text import harmless
from spikex_sim.core.units import joules
from spikex_sim.explore.sweeps.sheet import RANKED, SWEEP_ROWS, sweep_table, sweep_title
from spikex_sim.run import crossbar_tables
from spikex_sim.run.advice import datapath_of, moved_again, sentence
from spikex_sim.run.area_tables import area_table
from spikex_sim.run.results import RunResult, Totals
from spikex_sim.run.tables import headline, spread, sums, tables
from spikex_sim.spec.arch import Dram
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.together import AnyTrace

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

NARROWEST_MEANING = 24
"""Columns that the meaning of a key needs beside it."""
_COLUMNS = os.environ.get("COLUMNS", "")
_WIDTH = 80 if _COLUMNS and not _COLUMNS.strip("0") else None
"""Of a terminal that says it has no columns; others are asked."""
console = Console(highlight=False, soft_wrap=False, emoji=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False, emoji=False, width=_WIDTH)


def bar_of(*columns: ProgressColumn, auto_refresh: bool = True) -> Bar:
    """Make a bar: what is being done, how much of it is done, and more columns."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    what = TextColumn("{task.description:28.28}", markup=False)
    much = TextColumn("{task.completed}/{task.total}")
    return Bar(what, BarColumn(), much, *columns, console=errors, transient=True, auto_refresh=auto_refresh)


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """Show a bar on standard error where that is a terminal; it appears after a second."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import TimeElapsedColumn, TimeRemainingColumn

    with bar_of(TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=None)

        def report(doing: str, done: int, total: int) -> None:
            bar.update(task, description=harmless(doing), completed=done, total=total)

        yield report


table = sheet.table


class _Harmless(logging.Formatter):
    """Notices may name files."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


def log_to_terminal() -> None:
    """Let the package's notices (kernels being compiled) reach standard error as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("spikex-sim: %(message)s"))
    logger = logging.getLogger("spikex_sim")
    logger.handlers[:] = [handler]
    logger.propagate = False


def put(*sheets: Sheet) -> None:
    """Print tables."""
    for one in sheets:
        print_sheet(one, console)


def say(text: str) -> None:
    """Print lines of text with markup, wrapped between words."""
    put_text(console, Text.from_markup(harmless(text), emoji=False))


def note(text: str, style: str = "yellow") -> None:
    """Print a sentence as it is, wrapped likewise."""
    put_text(console, Text(harmless(text), style=style))


def show_run(result: RunResult, first: AnyTrace) -> None:
    """Print time, work, energy and mapping of a run of a trace, the first of several."""
    totals, trace, arch = result.totals, result.trace, result.arch
    samples = f", {trace['samples']} samples" if trace["samples"] > 1 else ""
    shares = {
        use: percent(pj, totals.energy_pj) for use, pj in totals.energy_by_use_pj.items() if use != "alu"
    }
    say(
        f"[bold]{escape(trace['name'])}[/] (T={trace['timesteps']}{samples}) on [bold]{escape(arch.name)}[/]"
        f": {headline(result)}, {arch.clock_mhz:g} MHz, {result.engine} engine, "
        f"{datapath_of(result)}\n"
    )
    put(*tables(result), area_table(result))
    if len(result.samples) > 1:
        say(
            f"a sample, mean ± standard deviation: latency {spread(result, 'seconds')}, "
            f"EDP {spread(result, 'edp_js')}\n"
            f"energy {spread(result, 'energy_pj')}, without DRAM {spread(result, 'energy_on_chip_pj')}\n\n"
            f"totals of {len(result.samples):,} samples, one after the other:"
        )
    by_level = totals.imc is None
    time, energy, rate = sums(totals)
    say(
        f"{time}\n{energy}\n"
        f"of it {', '.join(f'{use} {share} %' for use, share in shares.items())}"
        + (f"; DRAM weights: {_dram_weights(arch.memory.dram)}\n" if by_level else "\n")
        + rate
    )
    if totals.estimate_pj is not None:
        say(f"E_est {joules(totals.estimate_pj)}" + _times_estimate(totals))
    for layer in result.layers:
        if layer.mismatched_spikes:
            say(
                f"[yellow]layer {escape(layer.name)}: the recorded input differs in "
                f"{layer.mismatched_spikes:,} spikes from what its predecessor produced; "
                "the recorded ones were used[/]"
            )
    warn(result, first)
    say_float(result, first)


def warn(result: RunResult, trace: AnyTrace, machine: str = "") -> None:
    """Say what is fetched from DRAM again and again, and what would hold it; or what limits a chip."""
    from spikex_sim.run.psums import remarks

    found = [*remarks(trace, result.arch), *map(sentence, moved_again(result, "glb"))]
    if result.totals.imc is not None:
        found += crossbar_tables.notes(result)
    for text in found:
        note(f"{machine}: {text}" if machine else text)


def say_float(result: RunResult, trace: AnyTrace) -> None:
    """Say that layers are in float32, and how a chain of them gets int8 weights."""
    if "float32" in datapath_of(result):
        remedy = "; spikex-sim trace convert TRACE --int8 --out FILE makes int8 of it"
        note("float32: every weight takes 32 bits" + ("" if isinstance(trace, GraphTrace) else remedy))


def _times_estimate(totals: Totals) -> str:
    if totals.estimate_factor is None:
        return ""
    return (
        f"; simulated is {totals.estimate_factor:.4g} x that, "
        f"{totals.estimate_factor_on_chip:.4g} x without DRAM"
    )


def _dram_weights(dram: Dram) -> str:
    return f"amortised over {dram.samples} samples" if dram.weights == "amortised" else dram.weights


def show_config(rows: list[tuple[str, str, str, str]]) -> None:
    """Print configuration keys with value, unit and meaning, which is below where there is no room beside."""
    beside = sum(max(cell_len(row[column]) for row in rows) for column in range(3))
    if beside + NARROWEST_MEANING > console.width:
        for key, value, unit, meaning in rows:
            say(escape(f"{key} = {value} {unit}".rstrip()))
            console.print(Padding(escape(meaning), (0, 0, 0, 4)))
        return
    made = Table(box=None, pad_edge=False)
    made.add_column("key", no_wrap=True)
    made.add_column("value", justify="right", no_wrap=True)
    made.add_column("unit", no_wrap=True, max_width=12)
    made.add_column("meaning")
    for row in rows:
        made.add_row(*(escape(harmless(cell)) for cell in row))
    console.print(made)


def show_chosen(title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], choice: Choice) -> None:
    """Print chosen fields of rows as they are in the CSV, after the columns that name the row."""
    fields = [name for name in choice.fields if name not in names]
    made = table(f"{title}{choice.order}", *names, *fields, left=len(names))
    shown = choice.of_rows(rows)
    for row in shown:
        keys = (short(str(row.get(name)), LONGEST_KEY) for name in names)
        made.add_row(*keys, *(cell(row.get(name)) for name in fields))
    made.caption = "" if len(shown) == len(rows) else f"{len(shown)} of {len(rows)} rows"
    put(made)


def show_points(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], choice: Choice) -> None:
    """Print chosen fields of the points of a sweep, those that failed too."""
    title, names = sweep_title(rows, keys)
    show_chosen(title, rows, names, choice)


def show_sweep(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], choice: Choice) -> None:
    """Print a sweep, a row a point, or of a long one the best; asterisks mark the best of each trace."""
    if not choice and len(rows) > SWEEP_ROWS:
        choice = Choice(RANKED, top=SWEEP_ROWS)
    put(sweep_table(rows, keys, choice.of_rows(rows), choice.order))
