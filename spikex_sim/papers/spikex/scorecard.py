"""The scorecard: every published number beside ours, with its ratio, its command and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spikex_sim.papers.spikex.measures import NETWORKS, Tables, Trend, limit_of, measured
from spikex_sim.papers.spikex.published import Published, published
from spikex_sim.papers.spikex.setting import CLOSE, FITTED, is_close
from spikex_sim.sources.trained import shipped_names

GENERATED = "generated spikes"
"""Samples of the studies that take no others: drawn from a seed."""
WAITING = "waits for hardware-aware training"
_GLB = (
    "one sample has one position, so that a weight that comes from the GLB serves eight windows at most, "
    "through the widest port and at the least energy a bit that the table has. 7.3 % would need weights that "
    "several samples share in the LBUF"
)
_HT = (
    "PTB streams a tap for all columns of which one has a spike, and the first layer's spikes are the "
    "recording's: hidden layers with a third of the active windows (Fig. 5) save this much. How dense the "
    "paper's networks are without HT is drawn, not said"
)
_HAS = (
    "window sizes of each layer are searched on PTB, by the EDP; what they gain on the one size of least "
    "energy follows from how different the layers are, and what HT has left of them"
)
_ALL = "SpikeX gains on PTB what it gains on sparser networks at best (Fig. 10); see also the rows of HT"
REASONS: dict[str, str] = {
    "fig12-glb": _GLB,
    "fig13-ht-": _HT,
    "ht-layer-max": _HT,
    "fig13-has-": _HAS,
    "fig13-step-": _HAS,
    "fig13-all-": _ALL,
    "edp-": _ALL,
}
"""Rows, or the beginnings of their names, to what explains where they are."""


@dataclass(frozen=True)
class Line:
    """A row of the scorecard.

    Attributes
    ----------
    row : Published
        What was published.
    measured : float or None
        Our number; None if its study was not run, or there is none yet.
    waits : bool
        Whether there is none because trained networks are lacking.
    data : str
        Samples that our number is of.
    limit : float or None
        Most that the row could come to by training, whatever is trained; None where that is not known.
    """

    row: Published
    measured: float | None
    waits: bool = False
    data: str = ""
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Measured over published."""
        return None if self.measured is None else self.measured / self.row.value

    @property
    def status(self) -> str:
        """Whether the row is within 25 %, and why there is no number otherwise."""
        if self.ratio is None:
            return WAITING if self.waits else "not run"
        return "within 25 %" if is_close(self.ratio) else "outside"

    @property
    def command(self) -> str:
        """What measures it, on the same data."""
        given = "recordings" in self.data
        return f"spikex-sim reproduce {self.row.figure}{' --data NETWORK=FILE' if given else ''}"

    @property
    def fitted(self) -> str:
        """Whether the setting of the presets was searched on rows of this figure, or without them."""
        return "fitted" if self.row.figure in FITTED else "held out"

    @property
    def reason(self) -> str:
        """Why it is where it is."""
        found = [text for start, text in REASONS.items() if self.row.id.startswith(start)]
        return found[0] if found and self.ratio is not None else ""

    def to_row(self) -> dict[str, Any]:
        """As in ``scorecard.csv``."""
        return {
            "id": self.row.id,
            "source": self.row.source,
            "quantity": self.row.quantity,
            "condition": self.row.condition,
            "unit": self.row.unit,
            "published": self.row.value,
            "measured": "" if self.measured is None else f"{self.measured:.6g}",
            "ratio": "" if self.ratio is None else f"{self.ratio:.4f}",
            "status": self.status,
            "fitted": self.fitted,
            "data": self.data,
            "command": self.command,
            "limit": "" if self.limit is None else f"{self.limit:.4g}",
            "reason": self.reason,
        }


def scorecard(tables: Tables) -> list[Line]:
    """All published rows, those of the studies that were run with their numbers."""
    lines = []
    for row in published():
        found = measured(row.id, tables)
        lacking = row.figure == "fig13" and ("fig13" in tables or not shipped_names())
        data = "" if found is None else _data(row, tables)
        lines.append(Line(row, found, found is None and lacking, data, limit_of(row.id, tables)))
    return lines


def _data(row: Published, tables: Tables) -> str:
    """Samples that a row is of: those of its network, or of all."""
    network = NETWORKS.get(row.id.rpartition("-")[2])
    of_rows = [one for one in tables[row.figure] if network in (None, one.get("network"))]
    return "; ".join(dict.fromkeys(str(one.get("data", GENERATED)) for one in of_rows))


def summary(lines: Sequence[Line]) -> str:
    """How many rows are near, of those that are measured; and how many wait."""
    done = [line for line in lines if line.ratio is not None]
    near = sum(line.status == "within 25 %" for line in done)
    waiting = sum(line.status == WAITING for line in lines)
    return f"{near} of {len(done)} measured rows within 25 % of the published value; {waiting} wait"


def markdown(lines: Sequence[Line], trends: Sequence[Trend]) -> str:
    """Scorecard and trends as Markdown tables."""
    text = [
        "| row | published | measured | ratio | | setting | data | command |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| `{line.row.id}`: {line.row.quantity}, {line.row.condition} ({line.row.source}) | "
            f"{line.row.value:g}{_unit(line.row)} | {_number(line.measured)} | {_number(line.ratio)} | "
            f"{line.status} | {line.fitted} | {line.data} | `{line.command}` |"
            for line in lines
        ),
        "",
        f"{summary(lines)}.",
    ]
    reasons = dict.fromkeys(line.reason for line in lines if line.reason)
    if reasons:
        text += ["", "Why rows are where they are:", ""]
        for reason in reasons:
            names = ", ".join(f"`{line.row.id}`" for line in lines if line.reason == reason)
            text.append(f"- {names}: {reason}")
    beyond = [line for line in lines if line.limit is not None and line.limit * (1 + CLOSE) < line.row.value]
    if beyond:
        told = "were all layers but the first silent and free, the gain over PTB would be at most"
        text += ["", f"Beyond what training can gain on these recordings: {told}", ""]
        text += [f"- `{line.row.id}`: {line.limit:.3g} x, published {line.row.value:g} x" for line in beyond]
    text += ["", "| trend | figure | measured | shows |", "|---|---|---|---|"]
    text += [
        f"| {trend.says} | {trend.figure} | {trend.found} | {'yes' if trend.holds else 'NO'} |"
        for trend in trends
    ]
    return "\n".join(text) + "\n"


def _unit(row: Published) -> str:
    return {"percent": " %", "ratio": " x"}.get(row.unit, "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
