"""Sections of what searches found: a mapping onto crossbars, a network of two cells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.core.units import with_prefix
from spikex_sim.explore.nas.found import ArchitectureFound, load_found
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.plots.searched import ROLES, SHOWN, cost_rows
from spikex_sim.plots.table import Row, number
from spikex_sim.report.chart import INK, Chart, axis, is_far, points, upright_line
from spikex_sim.report.escaping import chart_label, escaped
from spikex_sim.report.markup import charted, details, repeated
from spikex_sim.report.repeat_searches import command_of_architectures, command_of_mapping
from spikex_sim.report.run import cards
from spikex_sim.report.section import Section
from spikex_sim.report.table import Column, column_of, facts, number_text, table

STAGE_COLUMNS = (
    "objective",
    "engine",
    "value",
    "status",
    "bound",
    "bound_name",
    "gap",
    "area_budget",
    "freeze",
    "seed",
    "steps",
    "restarts",
    "deterministic_time",
    "seconds",
    "cut",
)
METRICS = {
    "area": ("Area", "cells"),
    "crossbars": ("Crossbars", ""),
    "routes_global": ("Routes", "between crossbars"),
    "packets_global": ("Packets", "between crossbars"),
    "hops": ("Hops", "on the mesh"),
}
MAX_POINTS = 5000


def of_mapping(file: Path, charts: Sequence[Chart], pictures: Sequence[str]) -> Iterator[Section]:
    """Sections of ``mapping.json``."""
    saved = SavedMapping.load(file)
    network, metrics = saved.network, saved.metrics
    told = [
        (name, number_text(metrics[key]), said)
        for key, (name, said) in METRICS.items()
        if isinstance(metrics.get(key), int | float)
    ]
    text = (
        f"<p>Network <b>{escaped(network.get('name'))}</b>: {_whole(network.get('neurons'))} neurons, "
        f"{_whole(network.get('edges'))} edges; a pool of {len(saved.pool['types'])} types of crossbars.</p>"
    )
    others = [{"figure": key, "value": _cell(value)} for key, value in metrics.items()]
    stages = [{key: _cell(one.get(key)) for key in STAGE_COLUMNS} for one in saved.stages]
    body = table([Column(key) for key in STAGE_COLUMNS], stages, "Stages, one after the other")
    figures = table([Column("figure"), Column("value")], others, "All figures of the mapping")
    yield Section("summary", "Summary", text + cards(told) + body + details("All figures", figures))
    if charts or pictures:
        yield charted("mapping", "Mapping", charts, after="".join(pictures))
    crossbars = [
        {
            "crossbar": index,
            "type": one["type"],
            "neurons": len(one["neurons"]),
            "x": one.get("x"),
            "y": one.get("y"),
        }
        for index, one in enumerate(saved.crossbars)
    ]
    columns = [Column(key) for key in ("crossbar", "type", "neurons", "x", "y")]
    yield Section("crossbars", "Crossbars", table(columns, crossbars, "Crossbars", source="crossbars.csv"))
    yield Section(
        "provenance",
        "Provenance",
        repeated(*command_of_mapping(saved, file.parent))
        + facts(
            [
                ("Network", network.get("name")),
                ("SHA-256 of the network", network.get("sha256")),
                ("Pool", saved.pool.get("name")),
                *((f"Version of {name}", value) for name, value in _items(saved.versions)),
            ]
        ),
    )


def _items(content: Any) -> Iterator[tuple[str, Any]]:
    """Entries of what should be a mapping, as nobody has checked before."""
    yield from content.items() if isinstance(content, Mapping) else ()


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else escaped(value)


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str) or value is None else json.dumps(value)


def of_architectures(file: Path, pictures: Sequence[str]) -> Iterator[Section]:
    """Sections of ``nas.json``."""
    found = load_found(file)
    winner, counts = found.winner, found.counts
    text = (
        f"<p>{counts.scored:,} networks scored, {counts.skipped:,} pairs left out by their shapes, "
        f"{counts.broken:,} broke a limit, {counts.saved:,} had the forms of others. Winner: cells "
        f"<b>{escaped(winner.cell_a)}</b> and <b>{escaped(winner.cell_b)}</b>.</p>"
    )
    yield Section("summary", "Summary", text + cards(_winner(found)) + "".join(pictures))
    rows = found.rows()
    told = [{**row, "score": float(row["score"])} for row in rows]
    columns = [column_of(name) for name in rows[0]]
    body = table(
        columns, told, "Networks, in the order in which they were scored", selectable=True, source="nas.csv"
    )
    yield charted(
        "networks",
        "Networks",
        _fitness(found),
        before='<div class="linked"></div>',
        after=body,
        more={"link": True},
    )
    settings = [{"key": key, "value": _cell(value)} for key, value in _leaves(found.search)]
    yield Section(
        "configuration",
        "Configuration",
        table([Column("key"), Column("value")], settings, "All that decides the outcome"),
    )
    again = repeated(*command_of_architectures(found))
    yield Section("provenance", "Provenance", again + facts(found.versions.items()))


def _winner(found: ArchitectureFound) -> list[tuple[str, str, str]]:
    winner = found.winner
    told = [("Fitness", number_text(float(winner.score)), f"rank {winner.rank.rank} of {winner.rank.of}")]
    limits = found.search["limits"]
    for name, (label, _) in SHOWN.items():
        value = getattr(winner.costs, name)
        if value is None:
            continue
        said = with_prefix(value, "Js") if name == "edp_js" else number_text(value)
        limit = f"limit {number_text(limits[name])}" if name in limits else "no limit"
        told.append((label if name != "edp_js" else "EDP", said, limit))
    return told


def _fitness(found: ArchitectureFound) -> list[Chart]:
    rows = cost_rows(found)
    numbered = {index: row for index, row in enumerate(rows) if math.isfinite(float(row["score"]))}
    charts = []
    for name, (label, per) in SHOWN.items():
        known = {index: row for index, row in numbered.items() if row.get(name) is not None}
        if len({row[name] for row in known.values()}) < 2:
            continue
        charts.append(_against(name, label, per, known, len(found.networks)))
    return charts


def _against(name: str, label: str, per: float, rows: Mapping[int, Row], networks: int) -> Chart:
    kinds: dict[str, list[int]] = {}
    for index, row in rows.items():
        role = str(row["role"]) or ("fits" if row["feasible"] else "breaks a limit")
        kinds.setdefault(role, []).append(index)
    data = []
    order = ["fits", "breaks a limit", *ROLES]
    for place, kind in enumerate(order):
        some = kinds.get(kind, [])
        if not some:
            continue
        step = -(-len(some) // MAX_POINTS)
        some = some[::step]
        made = points(
            kind,
            [per * number(rows[index], name) for index in some],
            [float(rows[index]["score"]) for index in some],
            place,
            [chart_label(f"{kind}; {rows[index]['convolutions']} convolutions") for index in some],
            size=7,
            rows=[index if index < networks else -1 for index in some],
        )
        if kind == "winner":
            made["marker"] = {**made["marker"], "symbol": "star", "size": 15, "color": "#D55E00"}
        data.append(made)
    front = sorted((row for row in rows.values() if row["front"]), key=lambda row: number(row, name))
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "front",
            "hoverinfo": "skip",
            "x": [per * number(row, name) for row in front],
            "y": [float(row["score"]) for row in front],
            "marker": {"symbol": "circle-open", "size": 12, "color": INK},
        }
    )
    values = [per * number(row, name) for row in rows.values()]
    limit = next(iter(rows.values())).get(f"limit_{name}")
    layout = {
        "xaxis": axis(label, log=is_far(values), rangemode="normal"),
        "yaxis": axis("Fitness", rangemode="normal"),
        "shapes": [] if limit is None else [upright_line(per * float(limit), "limit")],
    }
    cost = label.split(" (", maxsplit=1)[0]
    title = f"Fitness against {cost if cost.isupper() else cost.lower()}"
    return Chart(title, data, layout, linked=True)


def _leaves(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
