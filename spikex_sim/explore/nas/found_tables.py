"""Tables of what a search of networks found: its front, and its winner on other machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, table
from spikex_sim.explore.nas.constraints import UNITS, digits

if TYPE_CHECKING:
    from spikex_sim.explore.nas.found import ArchitectureFound, CostsFound

ROWS = 20
"""Networks of a front that are shown."""


def found_html(found: ArchitectureFound) -> str:
    """Write a search for a notebook."""
    winner = found.winner
    title = f"{winner.cell_a} {winner.cell_b}: score {score_text(winner.score)}"
    kept = "" if winner.feasible else "the winner does not keep the limits"
    return html_of(title, [front_table(found), machines_table(found)], texts=[kept])


def front_table(found: ArchitectureFound) -> Sheet:
    """Networks that no other one beats in score and in all costs that were made small."""
    front, winner = found.front, found.winner
    more = f", the first {ROWS} of {len(front)}" if len(front) > ROWS else ""
    search = found.search
    told = f"{search.get('algorithm')} over {search['space']}, limits of {search.get('arch')}"
    made = table(
        f"{told}: front of score and {', '.join(_name(cost) for cost in search['minimise'])}{more}",
        "cell A", "cell B", "convolutions", "score", *COSTS, left=2,
    )  # fmt: skip
    for one in front[:ROWS]:
        best = (one.cell_a, one.cell_b) == (winner.cell_a, winner.cell_b)
        made.add_row(
            f"{one.cell_a}{' *' if best else ''}", one.cell_b, f"{one.convolutions_a} + {one.convolutions_b}",
            score_text(one.score), *_costs(one.costs),
        )  # fmt: skip
    return made


COSTS = ("parameters", "area, mm²", "latency, ms", "energy, µJ", "EDP, Js")


def _costs(costs: CostsFound) -> list[str]:
    values = ((name, getattr(costs, name)) for name in UNITS)
    return ["–" if value is None else digits(name, value) for name, value in values]


def machines_table(found: ArchitectureFound) -> Sheet:
    """What the winner costs on each machine, and the limits."""
    made = table(f"the winner with {found.search.get('bits')}-bit weights", "machine", *COSTS)
    limits = found.search["limits"]
    for name, costs in found.winner.machines.items():
        made.add_row(name, *_costs(costs))
    if limits:
        made.add_row("limit", *(digits(name, limits[name]) if name in limits else "" for name in UNITS))
    return made


def _name(cost: str) -> str:
    return cost.partition("_")[0]


def score_text(value: float) -> str:
    """Write a score; networks without any have minus infinity."""
    return "−∞" if math.isinf(value) else f"{value:.4g}"
