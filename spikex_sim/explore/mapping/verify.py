"""Holds a mapping against its network and its pool, from the definitions alone: no solver, no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikex_sim.explore.mapping.graph import NeuronGraph
from spikex_sim.explore.mapping.results import SavedMapping


def violations(saved: SavedMapping, graph: NeuronGraph) -> list[str]:
    """What is wrong with a mapping, a line each; none if all is well.

    The network's identity; every neuron in exactly one crossbar; columns and inputs; types and copies; no
    empty crossbar; budgets of area; every metric, counted anew; no value below its bound (Section 7).
    """
    network = saved.network
    if network.get("sha256") != graph.sha256:
        return [f"network: the mapping is of another one ({str(network.get('sha256'))[:12]}, not "
                f"{graph.sha256[:12]})"]  # fmt: skip
    types = {one["name"]: one for one in saved.pool["types"]}
    found = [*_homes(saved.crossbars, graph)]
    if found:
        return found
    sources: dict[int, set[int]] = {i: set() for i in range(graph.neurons)}
    for k, i in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        sources[i].add(k)
    found += _crossbars(saved.crossbars, types, sources)
    if not found:
        found += _metrics(saved, types, sources, graph)
    found += _stages(saved)
    return found


def _homes(crossbars: Sequence[Mapping[str, Any]], graph: NeuronGraph) -> Iterator[str]:
    seen: dict[int, int] = {}
    for j, one in enumerate(crossbars):
        if not one["neurons"]:
            yield f"crossbar {j} ({one['type']}): no neuron"
        for i in one["neurons"]:
            if not 0 <= i < graph.neurons:
                yield f"crossbar {j} ({one['type']}): neuron {i}, of {graph.neurons}"
            elif i in seen:
                yield f"neuron {i}: in crossbars {seen[i]} and {j}"
            seen[i] = j
    for i in range(graph.neurons):
        if i not in seen:
            yield f"neuron {i}: in no crossbar"


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
    saved: SavedMapping, types: Mapping[str, Any], sources: Mapping[int, set[int]], graph: NeuronGraph
) -> Iterator[str]:
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
        "occupancy_outputs": graph.neurons / outputs,
    }  # fmt: skip
    for key, value in wanted.items():
        given = saved.metrics.get(key)
        if given != value:
            yield f"metric {key}: {given} is said, {value} counted"
    if "hops" in saved.metrics:
        yield from _hops(saved, sources, spikes, graph.neurons)


def _hops(
    saved: SavedMapping, sources: Mapping[int, set[int]], spikes: Sequence[int], neurons: int
) -> Iterator[str]:
    """Places on the mesh, and the hops between them, each packet on its own."""
    mesh, places = (
        saved.metrics.get("mesh"),
        [(one.get("x", -1), one.get("y", -1)) for one in saved.crossbars],
    )
    rows, cols = mesh if isinstance(mesh, list) and len(mesh) == 2 else (0, 0)
    taken: dict[tuple[int, int], int] = {}
    for j, (x, y) in enumerate(places):
        if not (isinstance(x, int) and isinstance(y, int) and 0 <= x < cols and 0 <= y < rows):
            yield f"crossbar {j}: tile ({x}, {y}) is not on a mesh of {rows}x{cols}"
            return
        if (x, y) in taken:
            yield f"crossbar {j}: tile ({x}, {y}) is that of crossbar {taken[x, y]}"
        taken[x, y] = j
    home = {i: j for j, one in enumerate(saved.crossbars) for i in one["neurons"]}
    hops = 0
    for j, one in enumerate(saved.crossbars):
        x, y = places[j]
        for k in set().union(*(sources[i] for i in one["neurons"])):
            from_x, from_y = places[home[k]] if k < neurons else (0, 0)
            hops += spikes[k] * (abs(from_x - x) + abs(from_y - y))
    if saved.metrics["hops"] != hops:
        yield f"metric hops: {saved.metrics['hops']} is said, {hops} counted"


def _stages(saved: SavedMapping) -> Iterator[str]:
    for at, stage in enumerate(saved.stages):
        value, bound, budget = stage.get("value"), stage.get("bound"), stage.get("area_budget")
        if bound is not None and value is not None and value < bound:
            yield f"stage {at} ({stage.get('objective')}): {value} is below its bound {bound}"
        area = saved.metrics.get("area", 0)
        if budget is not None and area > budget:
            yield f"stage {at} ({stage.get('objective')}): area {area} above the budget {budget}"
