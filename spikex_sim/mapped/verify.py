"""Holds a mapping against its network and its pool, from the definitions alone: no solver, no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.saved import SavedMapping


def violations(saved: SavedMapping, graph: NeuronGraph, *, spikes: bool = True) -> list[str]:
    """What is wrong with a mapping, a line each; none if all is well.

    The network's identity; split neurons, whose parts have each of their sources once; every column in
    exactly one crossbar; columns and inputs; types and copies; no empty crossbar; budgets of area; every
    metric, counted anew; no value below its bound (Section 7). ``spikes``: whether metrics that follow from
    a profile are held as well, which ``graph`` then has to have.
    """
    network = saved.network
    if network.get("sha256") != graph.sha256:
        return [f"network: the mapping is of another one ({str(network.get('sha256'))[:12]}, not "
                f"{graph.sha256[:12]})"]  # fmt: skip
    types = {one["name"]: one for one in saved.pool["types"]}
    columns: dict[int, set[int]] = {i: set() for i in range(graph.neurons)}
    for k, i in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        columns[i].add(k)
    found = [*_splits(saved, columns, graph)]
    found = found or [*_homes(saved.crossbars, columns, graph)]
    if found:
        return found
    found += _crossbars(saved.crossbars, types, columns)
    if not found:
        found += _metrics(saved, types, columns, graph, profiled=spikes)
    found += _stages(saved)
    return found


def with_spikes(network: NeuronGraph, profiled: NeuronGraph) -> NeuronGraph:
    """Give a network the spikes of a profile, if they are of the same, and it has none of its own."""
    if network.profiled or not profiled.profiled or network.sha256 != profiled.sha256:
        return network
    return replace(network, spikes=profiled.spikes, profiled=True)


def _splits(saved: SavedMapping, columns: dict[int, set[int]], graph: NeuronGraph) -> Iterator[str]:
    """Take sources from neurons for their further parts, which become columns; they are numbered in order."""
    before = (-1, 0)
    spikes = graph.spikes.tolist()
    whole = {one["neuron"]: len(columns.get(one["neuron"], ())) for one in saved.splits}
    for at, one in enumerate(saved.splits):
        i, part, column, sources = one["neuron"], one["part"], one["column"], one["sources"]
        name = f"split {at} (neuron {i}, part {part})"
        if not 0 <= i < graph.neurons:
            yield f"{name}: there are {graph.neurons} neurons"
            return
        if i < before[0] or part != (before[1] + 1 if i == before[0] else 1):
            yield f"{name}: comes after neuron {before[0]}, part {before[1]}"
        if column != graph.nodes + at:
            yield f"{name}: column {column}, not {graph.nodes + at}"
        if not sources:
            yield f"{name}: no source"
        own = set(sources)
        if len(own) < len(sources):
            yield f"{name}: a source twice"
        for k in sorted(own - columns[i]):
            yield f"{name}: source {k} is none of the neuron, or another part's"
        columns[i] -= own
        columns[graph.nodes + at] = own
        before = (i, part)
        yield from _sums(one, name, own, spikes, saved)
    for i, number in whole.items():
        if not columns[i]:
            yield f"neuron {i}: all {number} sources are those of further parts"


def _sums(
    one: Mapping[str, Any], name: str, own: set[int], spikes: Sequence[int], saved: SavedMapping
) -> Iterator[str]:
    """Sums that a part sends: one; in a profile as often as one of its sources spikes, or more of them."""
    least, most = 1, 1
    if "profile" in saved.metrics:
        each = [spikes[k] for k in own if 0 <= k < len(spikes)]
        least, most = max(each, default=0), sum(each)
    if not least <= one["packets"] <= most:
        yield f"{name}: {one['packets']} packets, by its sources {least} to {most}"


def _homes(
    crossbars: Sequence[Mapping[str, Any]], columns: Mapping[int, set[int]], graph: NeuronGraph
) -> Iterator[str]:
    def named(column: int) -> str:
        return f"neuron {column}" if column < graph.neurons else f"column {column}"

    seen: dict[int, int] = {}
    for j, one in enumerate(crossbars):
        if not one["neurons"]:
            yield f"crossbar {j} ({one['type']}): no neuron"
        for column in one["neurons"]:
            if column not in columns:
                further = len(columns) - graph.neurons
                parts = f" and {further} further parts" if further else ""
                yield f"crossbar {j} ({one['type']}): neuron {column}, of {graph.neurons}{parts}"
            elif column in seen:
                yield f"{named(column)}: in crossbars {seen[column]} and {j}"
            seen[column] = j
    for column in columns:
        if column not in seen:
            yield f"{named(column)}: in no crossbar"


def _crossbars(
    crossbars: Sequence[Mapping[str, Any]], types: Mapping[str, Any], sources: Mapping[int, set[int]]
) -> Iterator[str]:
    used: dict[str, int] = {}
    for j, one in enumerate(crossbars):
        name = one["type"]
        if name not in types:
            yield f"crossbar {j} ({name}): no type of the pool"
            continue
        kind = types[name]
        used[name] = used.get(name, 0) + 1
        axons = set().union(*(sources[i] for i in one["neurons"]))
        if len(axons) > kind["inputs"]:
            yield f"crossbar {j} ({name}): {len(axons)} axons, {kind['inputs']} inputs"
        if len(one["neurons"]) > kind["outputs"]:
            yield f"crossbar {j} ({name}): {len(one['neurons'])} neurons, {kind['outputs']} outputs"
    for name, number in used.items():
        count = types[name]["count"]
        if count is not None and number > count:
            yield f"type {name}: {number} in use, {count} in the pool"


def _metrics(
    saved: SavedMapping, types: Mapping[str, Any], sources: Mapping[int, set[int]], graph: NeuronGraph, *,
    profiled: bool,
) -> Iterator[str]:  # fmt: skip
    spikes = graph.spikes.tolist()
    count = dict.fromkeys(
        ("routes_total", "routes_global", "routes_local", "routes_external", "packets_global",
         "packets_local", "packets_external"), 0,
    )  # fmt: skip
    area = cells = inputs = outputs = 0
    by_type: dict[str, int] = {}
    for one in saved.crossbars:
        kind, neurons = types[one["type"]], set(one["neurons"])
        by_type[one["type"]] = by_type.get(one["type"], 0) + 1
        area += kind["area"]
        cells += kind["inputs"] * kind["outputs"]
        inputs, outputs = inputs + kind["inputs"], outputs + kind["outputs"]
        for k in set().union(*(sources[i] for i in neurons)):
            where = "local" if k in neurons else "global"
            count["routes_total"] += 1
            count[f"routes_{where}"] += 1
            count[f"packets_{where}"] += spikes[k]
            if k >= graph.neurons:
                count["routes_external"] += 1
                count["packets_external"] += spikes[k]
    wanted: dict[str, Any] = {
        "area": area, "crossbars": len(saved.crossbars), "by_type": by_type, **count,
        "occupancy_cells": graph.edges / cells, "occupancy_inputs": count["routes_total"] / inputs,
        "occupancy_outputs": len(sources) / outputs,
    }  # fmt: skip
    if saved.splits or "psum_routes" in saved.metrics:
        apart = [one["packets"] for _, _, one in _apart(saved)]
        wanted |= {"psum_routes": len(apart), "psum_packets": sum(apart)}
    for key, value in wanted.items():
        given = saved.metrics.get(key)
        if given != value and (profiled or not key.startswith("packets")):
            yield f"metric {key}: {given} is said, {value} counted"
    if {"hops", "mesh"} & set(saved.metrics):
        yield from _hops(saved, sources, spikes if profiled else None, graph.neurons)


def _apart(saved: SavedMapping) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    """Crossbars of parts and of their neurons, where these are two."""
    home = {column: j for j, one in enumerate(saved.crossbars) for column in one["neurons"]}
    for one in saved.splits:
        a, b = home[one["column"]], home[one["neuron"]]
        if a != b:
            yield a, b, one


def _hops(
    saved: SavedMapping, sources: Mapping[int, set[int]], spikes: Sequence[int] | None, neurons: int
) -> Iterator[str]:
    """Places on the mesh, and, where spikes are known, the hops between them, each packet on its own."""
    mesh, places = (
        saved.metrics.get("mesh"),
        [(one.get("x", -1), one.get("y", -1)) for one in saved.crossbars],
    )
    sides = mesh if isinstance(mesh, list) and len(mesh) == 2 else [0, 0]
    if not all(type(side) is int for side in sides):
        yield f"metric mesh: {str(mesh)!r:.40} is not two whole numbers"
        return
    rows, cols = sides
    taken: dict[tuple[int, int], int] = {}
    for j, (x, y) in enumerate(places):
        if not (isinstance(x, int) and isinstance(y, int) and 0 <= x < cols and 0 <= y < rows):
            yield f"crossbar {j}: tile ({x}, {y}) is not on a mesh of {rows}x{cols}"
            return
        if (x, y) in taken:
            yield f"crossbar {j}: tile ({x}, {y}) is that of crossbar {taken[x, y]}"
        taken[x, y] = j
    if spikes is None:
        return
    home = {i: j for j, one in enumerate(saved.crossbars) for i in one["neurons"]}
    hops = 0
    for j, one in enumerate(saved.crossbars):
        x, y = places[j]
        for k in set().union(*(sources[i] for i in one["neurons"])):
            from_x, from_y = places[home[k]] if k < neurons else (0, 0)
            hops += spikes[k] * (abs(from_x - x) + abs(from_y - y))
    for a, b, part in _apart(saved):
        hops += part["packets"] * (abs(places[a][0] - places[b][0]) + abs(places[a][1] - places[b][1]))
    if saved.metrics.get("hops") != hops:
        yield f"metric hops: {saved.metrics.get('hops')} is said, {hops} counted"


def _stages(saved: SavedMapping) -> Iterator[str]:
    for at, stage in enumerate(saved.stages):
        value, bound, budget = (stage.get(key) for key in ("value", "bound", "area_budget"))
        if not all(one is None or isinstance(one, (int, float)) for one in (value, bound, budget)):
            yield f"stage {at}: value, bound and area_budget are not numbers"
            continue
        if bound is not None and value is not None and value < bound:
            yield f"stage {at} ({stage.get('objective')}): {value} is below its bound {bound}"
        area = saved.metrics.get("area", 0)
        if budget is not None and isinstance(area, (int, float)) and area > budget:
            yield f"stage {at} ({stage.get('objective')}): area {area} above the budget {budget}"
