"""Tables of a mapping: how it was found, its crossbars, what moves between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, short, table
from spikex_sim.explore.mapping.cpsat import COPIES_SCOPE

if TYPE_CHECKING:
    from spikex_sim.explore.mapping.search import Mapped


def mapping_html(found: Mapped) -> str:
    """Write a mapping for a notebook."""
    graph = found.network
    size = f"{graph.neurons:,} neurons, {graph.edges:,} synapses; pool {found.mapping.pool.name}"
    return html_of(f"{graph.name}: {size}", list(mapping_tables(found)))


def mapping_tables(found: Mapped) -> Iterator[Sheet]:
    """Stages of the search, the front of several budgets, crossbars by type, routes and packets."""
    metrics = found.metrics
    stages = table("stages", "objective", "engine", "value", "budget", "bound", "gap %", "s", left=2)
    for one in found.stages:
        bound, gap = ("", "") if one.bound is None else (f"{one.bound:,}", f"{100 * (one.gap or 0):.1f}")
        budget = "" if one.area_budget is None else f"{one.area_budget:,}"
        star = "*" if one.bound_scope == COPIES_SCOPE else ""
        stages.add_row(
            one.objective, one.engine, f"{one.value:,}", budget, bound + star, gap, f"{one.seconds:.1f}"
        )
    kinds = table("crossbars", "type", "number", "cells")
    for kind in found.mapping.pool.types:
        if kind.name in metrics["by_type"]:
            number = metrics["by_type"][kind.name]
            kinds.add_row(short(kind.name), f"{number:,}", f"{number * kind.cost:,}")
    kinds.add_row("total", f"{metrics['crossbars']:,}", f"{metrics['area']:,}")
    traffic = table("traffic", "", "global", "external of it", "local")
    what: Any
    for what in ("routes", "packets"):
        parts = [f"{metrics[f'{what}_{kind}']:,}" for kind in ("global", "external", "local")]
        traffic.add_row(what, *parts)
    yield stages
    yield from _front(found)
    yield kinds
    yield traffic


def _front(found: Mapped) -> Iterator[Sheet]:
    """What each of several budgets gives."""
    if found.front:
        sheet = table("front", "budget", "area", "routes", "packets", "crossbars", left=0)
        for point in found.front:
            sheet.add_row(*(f"{value:,}" for value in point.row.values()))
        yield sheet
