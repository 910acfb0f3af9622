"""Hardware figures of NeuroNAS beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from spikex_sim.papers.nas.measures import measured, replayed, script, script_of_bits
from spikex_sim.papers.nas.published import Counts, Published, published

CONTRADICTIONS: Sequence[str] = (
    "`snasnet-params-tin`: 755 mm², 545 ms and 1696 µJ are of five convolutions a cell, which have 2.02 M "
    "parameters with two 3x3 ones each; 1.93 M are those of four",
    "`neuronas-params-c10-max`, `neuronas-params-c100-max`: only six 3x3 convolutions in both cells have "
    "them, and these take 621.9 ms, where the largest latency is said to be 494 ms and the limit is 500 ms",
    "`neuronas-area-c100-min`: 110 µJ and 315 ms leave two 3x3 convolutions in both cells, of 24.47 mm²",
)
"""Where the paper's numbers cannot all be true."""
NOT_TESTABLE: Sequence[str] = (
    "ranges of savings over seven networks of 4 to 16 bits: their ends need not be of one network",
    "accuracies, of 200 epochs on full data sets, and times of searches, on a GPU",
)


@dataclass(frozen=True)
class Line:
    """A published row and ours.

    Attributes
    ----------
    row : Published
        What was published.
    script : tuple of float
        By the released script, of each of the row's networks.
    one_bit : float
        By the script with cells of one bit, of the first of them.
    replayed : tuple of float, optional
        On the machine that replays spikes, with cells of 4 bits and of one; None for what it does not change.
    """

    row: Published
    script: tuple[float, ...]
    one_bit: float
    replayed: tuple[float, float] | None

    @property
    def is_met(self) -> bool:
        """Whether all of the row's networks have the number."""
        return all(map(self.row.admits, self.script))


def scorecard(rows: Sequence[Published] | None = None) -> list[Line]:
    """Published rows, all or some, with ours."""
    return [_line(row) for row in (published() if rows is None else rows)]


def _line(row: Published) -> Line:
    first: Counts = row.networks[0]
    chip = row.quantity in ("area", "latency", "energy")
    return Line(
        row,
        tuple(measured(row, script, one) for one in row.networks),
        measured(row, script_of_bits, first),
        (measured(row, partial(replayed, cell=4), first), measured(row, partial(replayed, cell=1), first))
        if chip
        else None,
    )


def table(lines: Sequence[Line]) -> str:
    """Rows as a Markdown table."""
    text = [
        "| row | published | script | | networks | script, 1-bit cells | `spikesim` | 1-bit cells |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        row, chip = one.row, one.replayed
        network = "; ".join(map(_network, row.networks))
        other = [_number(value) for value in chip] if chip else ["", ""]
        text.append(
            f"| `{row.id}`: {row.quantity}, {row.condition} ({row.source}) | {row.text} {row.unit} | "
            f"{', '.join(dict.fromkeys(map(_number, one.script)))} | {'met' if one.is_met else 'NOT met'} | "
            f"{network} | {'' if row.unit == 'million' else _number(one.one_bit)} | {' | '.join(other)} |"
        )
    return "\n".join(text)


def markdown(lines: Sequence[Line]) -> str:
    """Table, how many are met, contradictions, and what cannot be tested."""
    text = [
        table(lines), "",
        f"{sum(one.is_met for one in lines)} of {len(lines)} numbers are met to the digits that are printed.",
        "", "Contradictions of the paper's own:", "", *(f"- {one}." for one in CONTRADICTIONS),
        "", "Published too, and not testable here:", "", *(f"- {one}." for one in NOT_TESTABLE),
    ]  # fmt: skip
    return "\n".join(text) + "\n"


def _network(counts: Counts) -> str:
    """``a=2 b=3``: 3x3 convolutions; ``a1`` and ``b1`` are 1x1 ones."""
    told = zip(("a", "a1", "b", "b1"), counts, strict=True)
    return " ".join(f"{name}={number}" for name, number in told if number or not name.endswith("1"))


def _number(value: float) -> str:
    return f"{value:,.5g}"
