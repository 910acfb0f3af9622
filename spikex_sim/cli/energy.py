"""Commands about energies: where they come from, and whether CACTI still agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikex_sim.cli.options import Arch, Settings, parse_settings, split_names
from spikex_sim.core.errors import EnergyTableError
from spikex_sim.core.text import harmless

app = typer.Typer(help="The energy table and its sources.", no_args_is_help=True, rich_markup_mode=None)

TOLERANCE = 0.01
"""Largest relative difference that ``energy check`` accepts."""

Table = Annotated[str, typer.Option("--table", help="Table name or folder.", metavar="NAME|DIR")]


@app.command("show")
def show_table(
    table: Table = "default",
    device: Annotated[str, typer.Option("--device", help="hp, lop or lstp.")] = "hp",
    width: Annotated[
        int, typer.Option("--width", min=0, help="Port width of the memories, bits; 0 for all.")
    ] = 64,
    sources: Annotated[bool, typer.Option("--sources", help="Also how every number was derived.")] = False,
) -> None:
    """Show the energies of memories, logic, DRAM and synthesised parts; imc65: of crossbar machines.

    Example: spikex-sim energy show --device lstp --sources
    """
    from rich.markup import escape
    from rich.table import Table as RichTable

    from spikex_sim.cli import show
    from spikex_sim.cli.areas import preset_table
    from spikex_sim.costs.crossbar_table import is_of_crossbars
    from spikex_sim.costs.rows import OperationRow
    from spikex_sim.costs.table import EnergyTable

    if is_of_crossbars(table):
        _show_crossbars(table, sources)
        return
    loaded = EnergyTable.load(table)
    memories = [row for row in loaded.sram_rows() if row.device == device and width in (0, row.width_bits)]
    if not memories:
        raise EnergyTableError(
            f"has no rows for device '{device}' and width {width}",
            where=f"table {loaded.name}",
            field="device",
        )
    made = show.table(
        f"SRAM, {device}, per access of the width",
        *("bytes", "bits", "node nm", "T K", "read pJ", "write pJ", "leakage mW", "mm²"),
        left=0,
    )
    for row in memories:
        numbers = (row.node_nm, row.temperature_k, row.read_pj, row.write_pj, row.leakage_mw)
        area = f"{row.area_mm2:.4g}" if row.area_mm2 else "not known"
        cells = (*(f"{number:.4g}" for number in numbers), area)
        made.add_row(f"{row.capacity_bytes:,}", str(row.width_bits), *cells)
    show.put(made)
    for origin in sorted({f"{row.source}: {row.derivation}" for row in memories}):
        show.say(f"{escape(origin)}\n")
    logic = RichTable("component", "bits", "pJ", "per", "source", box=None, pad_edge=False)
    for operation in loaded.rows():
        if isinstance(operation, OperationRow):
            origin = f"{operation.source}; {operation.derivation}" if sources else operation.source
            logic.add_row(
                harmless(operation.component),
                str(operation.width_bits),
                f"{operation.energy_pj:.4g}",
                harmless(operation.unit.removeprefix("pJ per ")),
                escape(harmless(origin)),
            )
    _put("Logic, registers and DRAM", logic)
    if table == "default":
        _show_gates(sources)
    if areas := preset_table(table):
        show.put(areas)


def _show_gates(sources: bool) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable

    from spikex_sim.costs.gates import Gates

    made = RichTable("row", "nm", "value", "in", "source", box=None, pad_edge=False)
    for row in Gates.load().rows():
        node = "" if row.node_nm is None else f"{row.node_nm:g}"
        origin = f"{row.source}; {row.derivation}" if sources else row.source
        made.add_row(*map(escape, (row.label, node, f"{row.value:.4g}", row.unit, origin)))
    _put("Parts of an array that issues NTWUs", made)


@app.command("area")
def show_area(
    arch: Arch = "spikex",
    tws: Annotated[
        str | None, typer.Option("--tws", help="Window sizes, separated by commas.", metavar="N,...")
    ] = None,
    settings: Settings = None,
) -> None:
    """Show the area of an accelerator's parts for one window size or several, and the rows it is from.

    Example: spikex-sim energy area --tws 2,4,8,16
    """
    from spikex_sim.accelerators.base import energy_model
    from spikex_sim.cli import show
    from spikex_sim.run.area_tables import KNOWN, missing, sources
    from spikex_sim.run.tables import heading
    from spikex_sim.spec.load import load_accelerator

    models = {
        size: energy_model(load_accelerator(arch, parse_settings(settings, size)))
        for size in ([None] if tws is None else split_names(tws, "--tws"))
    }
    first = next(iter(models.values()))
    areas, absent = ({size: getattr(model.area, key) for size, model in models.items()}
                     for key in ("mm2_by", "absent"))  # fmt: skip
    parts = dict.fromkeys(name for one in areas.values() for name in one)
    if not parts:
        raise EnergyTableError(
            f"table {first.table} has no area for it; that of a crossbar machine depends on the network: "
            "`run` shows it",
            where=first.where,
        )
    made = show.table("Area, mm²", "part", *("area" if size is None else f"TWS={size}" for size in areas))
    for name in parts:
        cells = (f"{one[name]:.4g}" if name in one else "" for one in areas.values())
        made.add_row(heading(name), *cells)
    made.add_row(KNOWN, *(f"{sum(one.values()):.4g}" if one else "" for one in areas.values()))
    lines = {size: missing(one) for size, one in absent.items()}
    if len({str(found) for found in lines.values()}) > 1:
        lines = {size: [f"TWS={size}: {line}" for line in found] for size, found in lines.items()}
    told = dict.fromkeys(line for found in lines.values() for line in found)
    made.caption = "\n".join([*told, *sources(first, parts)])
    show.put(made)


def _show_crossbars(table: str, sources: bool) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable

    from spikex_sim.costs.crossbar_table import CrossbarTable

    made = RichTable("row", "pJ", "um2", "mW", "of", "source", box=None, pad_edge=False)
    for column in made.columns[:4]:
        column.no_wrap = True
    for row in CrossbarTable.load(table).rows():
        numbers = (row.energy_pj, row.area_um2, row.leakage_mw)
        origin = f"{row.source}; {row.derivation}" if sources else row.source
        made.add_row(
            escape(harmless(row.label)),
            *("" if one is None else f"{one:.4g}" for one in numbers),
            *(escape(harmless(text)) for text in (row.unit, origin)),
        )
    _put("Crossbar machine", made)


def _put(title: str, rows: Any) -> None:
    """Print rows whose texts wrap, and are harmless."""
    from spikex_sim.cli import show

    for column in rows.columns:
        column.overflow = "fold"
    show.console.print(f"[bold]{title}[/]")
    show.console.print(rows)


@app.command()
def check(
    cacti: Annotated[Path, typer.Option("--cacti", help="Executable of CACTI 7.", metavar="PATH")],
    table: Table = "default",
    device: Annotated[str | None, typer.Option("--device", help="Only this device.")] = None,
    capacity: Annotated[int | None, typer.Option("--capacity", help="Only this capacity, bytes.")] = None,
) -> None:
    """Re-derive the memory rows with a CACTI 7 executable and compare.

    Example: spikex-sim energy check --cacti ~/cacti/cacti --capacity 2048
    """
    from spikex_sim.cli import show
    from spikex_sim.costs.cacti import rederive
    from spikex_sim.costs.table import EnergyTable

    rows = [
        row
        for row in EnergyTable.load(table).sram_rows()
        if device in (None, row.device) and capacity in (None, row.capacity_bytes)
    ]
    if not rows:
        raise EnergyTableError("no row has that device and capacity", where=f"table {table}")
    with show.progress_bar("CACTI") as progress:
        found = rederive(rows, cacti, lambda done, total: progress("CACTI", done, total))
    made = show.table(
        "Re-derived with CACTI, pJ, mW and mm²",
        *("device", "bytes", "bits", "read", "CACTI", "write", "CACTI", "leakage", "CACTI"),
        *("area", "CACTI", "off by %"),
        left=3,
    )
    for item in found:
        row = item.row
        pairs = (
            (row.read_pj, item.read_pj),
            (row.write_pj, item.write_pj),
            (row.leakage_mw, item.leakage_mw),
        )
        area = f"{row.area_mm2:.3g}" if row.area_mm2 else ""
        made.add_row(
            row.device,
            str(row.capacity_bytes),
            str(row.width_bits),
            *(f"{value:.3g}" for pair in pairs for value in pair),
            *(area, f"{item.area_mm2:.3g}"),
            f"{100 * item.max_relative_difference:.3f}",
        )
    show.put(made)
    off = [item for item in found if item.max_relative_difference > TOLERANCE]
    if off:
        raise EnergyTableError(
            f"{len(off)} of {len(found)} rows differ from CACTI by more than {TOLERANCE:.0%}",
            where=f"table {table}",
        )
    show.console.print(f"{len(found)} rows agree within {TOLERANCE:.0%}")
