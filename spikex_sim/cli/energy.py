"""Commands about energies: where they come from, and whether CACTI still agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikex_sim.errors import EnergyTableError

app = typer.Typer(help="The energy table and its sources.", no_args_is_help=True, rich_markup_mode=None)

TOLERANCE = 0.01
"""Largest relative difference that ``energy check`` accepts."""

Table = Annotated[str, typer.Option("--table", help="Table name or folder.", metavar="NAME|DIR")]


@app.command("show")
def show_table(
    table: Table = "default",
    device: Annotated[str, typer.Option("--device", help="hp, lop or lstp.")] = "hp",
    sources: Annotated[bool, typer.Option("--sources", help="Also where every row comes from.")] = False,
) -> None:
    """Show the energies of memories, logic and DRAM, with node, width and unit.

    Example: spikex-sim energy show --device lstp --sources
    """
    from spikex_sim.cli import show
    from spikex_sim.energy.table import EnergyTable

    loaded = EnergyTable.load(table)
    memories = [row for row in loaded.sram_rows() if row.device == device]
    if not memories:
        raise EnergyTableError(
            f"has no rows for device '{device}'", where=f"table {loaded.name}", field="device"
        )
    extra = ["source", "derivation"] if sources else []
    made = show.table(f"SRAM, {device}, pJ per access of the width", "capacity B", "width bit", "node nm",
                      "T K", "read pJ", "write pJ", "leakage mW", *extra, left=0)  # fmt: skip
    for row in memories:
        texts = [row.source, row.derivation] if sources else []
        made.add_row(
            f"{row.capacity_bytes:,}", str(row.width_bits), f"{row.node_nm:g}", f"{row.temperature_k:g}",
            f"{row.read_pj:.4g}", f"{row.write_pj:.4g}", f"{row.leakage_mw:.4g}", *texts,
        )  # fmt: skip
    show.console.print(made, "")
    made = show.table("Logic, registers and DRAM", "component", "action", "width bit", "pJ", "unit",
                      *(extra or ["source"]), left=2)  # fmt: skip
    for operation in loaded.rows():
        if hasattr(operation, "device"):
            continue
        texts = [operation.source, operation.derivation] if sources else [operation.source[:40]]
        made.add_row(
            operation.component, operation.action, str(operation.width_bits), f"{operation.energy_pj:.4g}",
            operation.unit, *texts,
        )  # fmt: skip
    show.console.print(made)


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
    from spikex_sim.energy.cacti import rederive
    from spikex_sim.energy.table import EnergyTable

    rows = [
        row
        for row in EnergyTable.load(table).sram_rows()
        if device in (None, row.device) and capacity in (None, row.capacity_bytes)
    ]
    if not rows:
        raise EnergyTableError("no row has that device and capacity", where=f"table {table}")
    with show.progress_bar("CACTI") as progress:
        found = rederive(rows, cacti, lambda done, total: progress("CACTI", done, total))
    made = show.table("Re-derived with CACTI", "row", "read pJ", "CACTI", "write pJ", "CACTI", "leakage mW",
                      "CACTI", "difference %")  # fmt: skip
    for item in found:
        made.add_row(
            item.row.label, f"{item.row.read_pj:.5g}", f"{item.read_pj:.5g}", f"{item.row.write_pj:.5g}",
            f"{item.write_pj:.5g}", f"{item.row.leakage_mw:.5g}", f"{item.leakage_mw:.5g}",
            f"{100 * item.max_relative_difference:.3f}",
        )  # fmt: skip
    show.console.print(made)
    off = [item for item in found if item.max_relative_difference > TOLERANCE]
    if off:
        raise EnergyTableError(
            f"{len(off)} of {len(found)} rows differ from CACTI by more than {TOLERANCE:.0%}",
            where=f"table {table}",
        )
    show.console.print(f"{len(found)} rows agree within {TOLERANCE:.0%}")
