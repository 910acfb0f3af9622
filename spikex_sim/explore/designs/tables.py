"""Tables of an exploration: its front, and how much each key decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import LONGEST_KEY, Sheet, cell, short, table
from spikex_sim.core.text import counted

if TYPE_CHECKING:
    from spikex_sim.explore.designs.found import Exploration

ROWS = 20
"""Points of a front that are shown."""


def exploration_html(found: Exploration) -> str:
    """Write an exploration for a notebook."""
    volume = found.hypervolume
    title = f"{counted(len(found.points), 'point')}, {len(found.front)} on the front"
    text = f"hypervolume {volume.final:.4g} of the box to "
    text += ", ".join(f"{name} {value:.4g}" for name, value in volume.reference.items())
    return html_of(title, [front_table(found), shares_table(found)], texts=[text])


def front_table(found: Exploration) -> Sheet:
    """Points that no other beats in all objectives, and their keys."""
    front, keys = found.front, found.keys
    named = ["arch"] if len({one.arch for one in found.points}) > 1 else []
    goals = [one.name for one in found.objectives]
    others = [
        name for name in dict.fromkeys(name for one in front for name in one.figures) if name not in goals
    ]
    titles = [
        f"{'max ' if one.maximise else ''}{one.name}{_unit(one.name, one.unit)}" for one in found.objectives
    ]
    more = f", the first {ROWS} of {len(front)}" if len(front) > ROWS else ""
    made = table(
        f"Front: no point is better in all of {', '.join(goals)}{more}", "point", *named, *keys, *titles,
        *others, left=1 + len(named) + len(keys),
    )  # fmt: skip
    for one in front[:ROWS]:
        made.add_row(
            str(one.order),
            *([one.arch] if named else []),
            *(short(_shown(one.values.get(key)), LONGEST_KEY) for key in keys),
            *(cell(one.figures.get(name)) for name in (*goals, *others)),
        )
    return made


def shares_table(found: Exploration) -> Sheet:
    """How much each key decides, by objective; without rows where there were too few points."""
    shares = found.importances.shares
    made = table(f"Importance of each key, % ({found.importances.method})", "key", *shares)
    keys = list(dict.fromkeys(key for of in shares.values() for key in of))
    last = next(reversed(shares.values()), {})
    for key in sorted(keys, key=lambda key: -last.get(key, 0.0)):
        made.add_row(key, *(f"{100 * of[key]:.1f}" if key in of else "" for of in shares.values()))
    return made


def _unit(name: str, unit: str) -> str:
    """Unit of a figure, where its name does not end in it."""
    spelt = unit.replace("µ", "u").replace("²", "2").replace(" ", "_").lower()
    return f", {unit}" if unit and not name.lower().endswith(spelt) else ""


def _shown(value: Any) -> str:
    return "–" if value is None else "/".join(map(str, value)) if isinstance(value, list) else str(value)
