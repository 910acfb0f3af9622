"""Rewrite the tables of docs/dispatch.md, and draw its figures, from the rows in docs/dispatch.

    python scripts/make_dispatch_page.py [--check]

Rows are those that `spikex-sim dispatch` and `spikex-sim sweep` wrote, by the commands that the page has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import filled, keep_in_step, markdown_table

from spikex_sim.core.units import joules, with_prefix
from spikex_sim.plots.dispatch import dispatch_policies
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.style import columns, file_bytes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "dispatch.md"
FOLDER = PAGE.with_suffix("")
NETWORKS = {
    "nmnist": "N-MNIST", "dvs-medium": "DVS-Gesture Medium", "dvs-large": "DVS-Gesture Large",
    "vgg9": "VGG-9", "lenet5": "LeNet-5", "cifar10": "CIFAR-10",
}  # fmt: skip
MACHINES = ("ptb", "spikex", "spikex-plus")
DRAWN = "dvs-medium"


def totals(network: str) -> dict[str, dict[str, Any]]:
    """Totals of a network by policy."""
    rows = read_rows(FOLDER / f"{network}.csv")
    return {row["policy"]: dict(row) for row in rows if row["layer"] == "total"}


def by_policy(cell: Any) -> str:
    """A table with a row a policy and a column a network."""
    known = {network: totals(network) for network in NETWORKS}
    names = list(known["nmnist"])
    cells = [[f"`{name}`", *(cell(rows[name], rows["agile"]) for rows in known.values())] for name in names]
    return markdown_table(["policy", *NETWORKS.values()], cells)


def hardware() -> str:
    """What the scheduler of each policy holds and takes, in the network that asks for the most."""
    cells = []
    for name in totals("nmnist"):
        rows = [totals(network)[name] for network in NETWORKS]
        if not any(row["held_bits"] for row in rows):
            continue
        shares = [row["dispatch_cycles"] / row["slot_cycles"] for row in rows]
        energy = [row["energy_dispatch_pj"] / row["energy_pj"] for row in rows]
        cells.append(
            [f"`{name}`", f"{max(row['held_bits'] for row in rows):,}",
             f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %",
             f"{100 * min(energy):.2f} to {100 * max(energy):.2f} %"]
        )  # fmt: skip
    headings = ["policy", "held, bits", "its cycles over the array's", "its energy over all"]
    return markdown_table(headings, cells)


def searched() -> str:
    """Machines with window sizes of their own search: a sample's means, and ratios to SpikeX."""
    cells = []
    for network, name in NETWORKS.items():
        rows = {row["arch"]: row for row in read_rows(FOLDER / f"{network}-tws.csv")}
        base, plus, ptb = rows["spikex"], rows["spikex-plus"], rows["ptb"]
        [charged] = read_rows(FOLDER / f"{network}-charged.csv")
        count = base["samples"]
        cells.append(
            [
                name,
                *(f"{rows[arch]['edp_js'] / count**2:.3g}" for arch in MACHINES),
                f"{with_prefix(plus['seconds'] / count, 's')}, {joules(plus['energy_pj'] / count)}",
                f"{plus['seconds'] / base['seconds']:.3f}",
                f"{plus['energy_pj'] / base['energy_pj']:.3f}",
                f"**{plus['edp_js'] / base['edp_js']:.3f}**",
                f"{plus['edp_js'] / ptb['edp_js']:.3f}",
                f"{charged['edp_js'] / base['edp_js']:.3f}",
            ]
        )
    edp = [f"EDP of `{arch}`, Js" for arch in MACHINES]
    headings = ["network", *edp, "`spikex-plus`", "latency / `spikex`", "energy", "EDP", "EDP / `ptb`",
                "EDP / `spikex`, charged"]  # fmt: skip
    return markdown_table(headings, cells)


def tables() -> Iterator[tuple[str, str]]:
    """Tables of the page, by the name in their markers."""
    yield "taps", by_policy(lambda row, base: f"{row['streamed_taps'] / base['streamed_taps']:.3f}")
    yield "cycles", by_policy(lambda row, base: f"{row['cycles'] / base['cycles']:.3f}")
    yield "edp", by_policy(lambda row, base: f"{row['edp_js'] / base['edp_js']:.3f}")
    yield "bound", by_policy(lambda row, _: f"{row['slot_cycles'] / row['bound_cycles']:.2f}")
    yield "hardware", hardware()
    yield "searched", searched()


def rewritten(page: str) -> str:
    """Put the current tables between the page's markers."""
    return filled(page, "make_dispatch_page", tables())


if __name__ == "__main__":
    if "--check" not in sys.argv:
        figure, _ = dispatch_policies(read_rows(FOLDER / f"{DRAWN}.csv"), None, columns(2))
        (FOLDER / f"{DRAWN}.svg").write_bytes(file_bytes(figure, "svg"))
    keep_in_step(PAGE, rewritten, "make_dispatch_page", __doc__)
