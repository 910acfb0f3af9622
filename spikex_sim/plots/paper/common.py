"""What the paper's figures share: names, published numbers, groups of rows, axes of firing rates."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from spikex_sim.core.errors import FigureError
from spikex_sim.papers.spikex.published import published
from spikex_sim.plots.style import plain
from spikex_sim.plots.table import Row, Rows, cell

NETWORKS = {
    "dvs-gesture-medium": "DVS-Gesture Medium",
    "dvs-gesture-large": "DVS-Gesture Large",
    "nmnist": "N-MNIST",
}
"""Networks as the paper writes them."""
SUFFIXES = {"dvs-gesture-medium": "dvsm", "dvs-gesture-large": "dvsl", "nmnist": "nmnist"}
"""Networks as the names of published numbers end."""
LETTER = 0.022
"""Width of a letter of a label, as a part of an axis."""


def network_name(network: str) -> str:
    """Name of a network in a figure."""
    return NETWORKS.get(network, plain(network))


def published_value(name: str) -> float | None:
    """Published number of that name, None if there is none."""
    return next((row.value for row in published() if row.id == name), None)


def needed(rows: Rows) -> Rows:
    """Rows, of which there must be some."""
    if not rows:
        raise FigureError("there are no rows")
    return rows


def texts(rows: Rows, column: str) -> list[str]:
    """Different values of a column as text, in order of appearance."""
    return list(dict.fromkeys(str(cell(row, column)) for row in rows))


def by_text(rows: Rows, column: str) -> dict[str, list[Row]]:
    """Rows by a column's value, in order of appearance."""
    return {text: [row for row in rows if str(row[column]) == text] for text in texts(rows, column)}


def only(rows: Rows, *keys: str) -> None:
    """Check that no two rows are of the same case."""
    seen = set()
    for row in rows:
        case = tuple(cell(row, key) for key in keys)
        if case in seen:
            raise FigureError(f"two rows of {', '.join(map(str, case)):.60}", field=keys[0])
        seen.add(case)


def awaited(wanted: Iterable[str], present: Iterable[str]) -> str:
    """Say in a note what there are no rows of."""
    found = set(present)
    lacking = [name for name in wanted if name not in found]
    return f"no rows yet: {', '.join(lacking)}" if lacking else ""


def rate_axis(axis: Axes, percents: Iterable[float]) -> None:
    """Make the horizontal axis one of firing rates, logarithmic unless one is 0."""
    shown = sorted(set(percents))
    low, high = shown[0], shown[-1]
    axis.set_xlabel("Firing rate (%)")
    if not low:
        axis.set_xlim(0, 1.08 * high or 1)
        return
    axis.set_xscale("log")
    left, right = low / 1.6, high * 1.3
    ticks: list[float] = []
    for rate in shown:
        if not ticks or log(rate / ticks[-1]) > LETTER * log(right / left) * len(f"{rate:.3g}"):
            ticks.append(rate)
    axis.set_xticks(ticks, [f"{rate:.3g}" for rate in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlim(left, right)
