"""Published numbers on mapping beside ours, with what each depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.papers.ilp.measures import MEASURES, SERIES, Tables, measured
from spikex_sim.papers.ilp.published import Published, published
from spikex_sim.papers.ilp.studies import NETWORKS

REASONS: Mapping[str, str] = FrozenMap({
    "fig2-hom": "other networks of the same statistics; a crossbar more or less is 3.6 to 4.6 points. MCC "
    "here packs equal crossbars by CP-SAT, from two starts",
    "fig2-het": "other networks; neither end is proven to be optimal, there or here",
    "fig3-limit": "the bounds leave a gap of 26 to 37 %",
    "fig3-tall": "follows from cost = inputs × outputs: a type of more than 4 outputs splits into ones of 4 "
    "at the same area",
    "vb-32": "four crossbars of 16x4 take any four neurons of these networks at the area of a 64x4",
    "fig5": "how many routes the area stage leaves is chance: it does not look at them",
    "fig6": "how many routes the area stage leaves is chance: it does not look at them",
    "fig9": "the paper's spikes are not public: ours are drawn, two nodes of five silent, the others from an "
    "exponential. Nothing is asked for but that the least is not below 0",
})  # fmt: skip
"""Beginnings of rows' names, to what they depend on."""
NOT_TESTABLE: Sequence[str] = (
    "deterministic time of the integer program until it is as good as MCC, 2.5 to 13.2 times MCC's "
    "(homogeneous) and 0.15 to 3.73 times (heterogeneous; Fig. 2): areas are annealed here",
    "solver time of routes over that of packets, one to three orders of magnitude (Fig. 9): likewise",
    "areas, routes and times of each network (Figs. 3 and 5 to 9): drawn, not printed",
    "the mark of one neuron in each crossbar of minimal size (Fig. 7): drawn, not printed; `bound` of "
    "`compare.csv` is such a bound",
    "packets of the 99 % of recordings that are no profile (Fig. 9): their recordings are not public; "
    "`map --profile` reports them of others",
)  # fmt: skip
"""What the paper has and nothing here could be held against."""


@dataclass(frozen=True)
class Line:
    """A row of the scorecard.

    Attributes
    ----------
    row : Published
        What was published.
    measured : float or None
        Our number; None if its table is not there.
    series : str
        Numbers of the networks behind it.
    """

    row: Published
    measured: float | None
    series: str = ""

    @property
    def status(self) -> str:
        """Whether the number is as near as the row asks for."""
        if self.measured is None:
            return "not run"
        if self.row.is_trend:
            return "shows" if self.measured else "does NOT show"
        if self.row.tolerance is None:
            return "not judged"
        return "met" if self.row.admits(self.measured) else "outside"

    @property
    def reason(self) -> str:
        """What it depends on."""
        return next((text for start, text in REASONS.items() if self.row.id.startswith(start)), "")


def scorecard(tables: Tables) -> list[Line]:
    """All published rows, those of the tables that are there with our numbers."""
    lines = []
    for row in published():
        series = SERIES.get(row.id.rpartition("-")[0])
        ways = tables.get(MEASURES[row.id][0])
        behind = series(ways) if series is not None and ways is not None else []
        lines.append(Line(row, measured(row.id, tables), ", ".join(f"{one:.1f}" for one in behind)))
    return lines


def table(lines: Sequence[Line]) -> str:
    """Rows as a Markdown table."""
    return "\n".join([
        "| row | published | measured | | tolerance |",
        "|---|---|---|---|---|",
        *(
            f"| `{one.row.id}`: {one.row.quantity}, {one.row.condition} ({one.row.source}) | "
            f"{_number(one.row, one.row.value)} | {_measured(one)} | {one.status} | {_tolerance(one.row)} |"
            for one in lines
        ),
    ])  # fmt: skip


def markdown(lines: Sequence[Line]) -> str:
    """Statistics of the networks in one table, all else in another; reasons, and what cannot be tested."""
    statistics = [one for one in lines if one.row.source == "Table I"]
    others = [one for one in lines if one not in statistics]
    numbers = [one for one in lines if not one.row.is_trend and one.row.tolerance is not None]
    trends = [one for one in lines if one.row.is_trend]
    text = [
        _statistics(statistics), "", table(others), "",
        f"{sum(one.status == 'met' for one in numbers)} of {len(numbers)} numbers, Table I's among them, are "
        f"met within their tolerance, and {sum(one.status == 'shows' for one in trends)} of {len(trends)} "
        "trends show.", "", "What the rows depend on:", "",
    ]  # fmt: skip
    for reason in dict.fromkeys(one.reason for one in others if one.reason):
        names = ", ".join(f"`{one.row.id}`" for one in others if one.reason == reason)
        text.append(f"- {names}: {reason}.")
    text += ["", "Published too, and not testable here:", "", *(f"- {one}." for one in NOT_TESTABLE)]
    return "\n".join(text) + "\n"


def _statistics(lines: Sequence[Line]) -> str:
    """Table I: a network a row, ``published / ours``."""
    quantities = list(dict.fromkeys(one.row.quantity for one in lines))
    text = [f"| network (Table I) | {' | '.join(quantities)} |", f"|---|{'---|' * len(quantities)}"]
    for name in NETWORKS:
        mine = {one.row.quantity: one for one in lines if one.row.condition == f"network {name}"}
        cells = [_beside(mine[quantity]) for quantity in quantities]
        text.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(text)


def _beside(line: Line) -> str:
    ours = "" if line.measured is None else f"{line.measured:.4g}"
    return f"{line.row.value:.4g} / {ours}" + ("" if line.status in ("met", "not run") else " (outside)")


def _number(row: Published, value: float) -> str:
    if row.is_trend:
        return "yes" if value else "no"
    unit = {"count": "", "percent": " %"}.get(row.unit, f" {row.unit}")
    return f"{value:.3g}{unit}" if row.unit == "percent" else f"{value:.4g}{unit}"


def _measured(line: Line) -> str:
    if line.measured is None:
        return ""
    number = _number(line.row, line.measured)
    return f"{number} ({line.series})" if line.series else number


def _tolerance(row: Published) -> str:
    if row.is_trend or row.tolerance is None:
        return ""
    return "exact" if row.tolerance == 0 else f"{row.tolerance:g} points" if row.unit == "percent" else (
        f"{row.tolerance:g}"
    )  # fmt: skip
