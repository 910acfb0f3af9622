"""Mappings that the paper's numbers are read from: rows of ``compare.csv``, of networks that look alike.

The paper's networks A to E are not public: those here are drawn with the statistics of Table I (``gen:A`` to
``gen:E``, seed 1). Nor is its profile of spikes: spikes are drawn, too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.origin import origin
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.compare import compare
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.generate import gini
from spikex_sim.explore.mapping.reading import load_graph
from spikex_sim.explore.mapping.search import map_graph
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.pool import CrossbarType, Pool

Rows = list[dict[str, Any]]

NETWORKS = ("A", "B", "C", "D", "E")
SEED = 1
"""Of the networks, their spikes and the mapping."""
SILENT, MEAN_SPIKES = 0.4, 40.0
"""Share of nodes that do not spike, and mean of the others, which are drawn from an exponential."""
WIDER = CrossbarType("64x4", 64, 4, None, 256)
"""Type that is wider than any of Table II."""
WIDE = "wide"
"""Kind of rows of the pool of Table II with :data:`WIDER`."""


def network(name: str) -> NeuronGraph:
    """A network that looks like one of the paper's, with a drawn profile of spikes."""
    graph = load_graph(f"gen:{name}:{SEED}")
    rng = np.random.default_rng(SEED)
    spikes = np.rint(rng.exponential(MEAN_SPIKES, graph.nodes)).astype(np.int64)
    spikes[rng.random(graph.nodes) < SILENT] = 0
    return replace(graph, name=name, spikes=spikes, profiled=True)


def network_rows() -> Rows:
    """Statistics of the networks, as Table I has them."""
    rows = []
    for name in NETWORKS:
        graph = load_graph(f"gen:{name}:{SEED}")
        out = np.bincount(graph.source, minlength=graph.nodes)
        rows.append({
            "network": name, "nodes": graph.nodes, "edges": graph.edges, "fanin": int(graph.fan_in.max()),
            "density": graph.edges / graph.nodes**2, "gini_in": gini(graph.fan_in), "gini_out": gini(out),
        })  # fmt: skip
    return rows


def way_rows(effort: Effort, kept: Path | None = None, progress: Progress = silent) -> Rows:
    """Every network mapped in all ways, down to its packets; and annealed with a wider type in the pool.

    Parameters
    ----------
    effort : Effort
        Steps, restarts, seed; jobs are ways at a time.
    kept : Path, optional
        Store of finished ways.
    progress : callable, optional
        Told about each network.
    """
    pool = Pool.named("table2")
    rows: Rows = []
    for at, name in enumerate(NETWORKS):
        progress(name, at, len(NETWORKS))
        graph = network(name)
        rows += compare(graph, pool, objective="packets", effort=effort, kept=kept).rows
        wide = map_graph(graph, Pool("table2 and 64x4", (*pool.types, WIDER)), "area", effort)
        types = " ".join(f"{kind}:{number}" for kind, number in wide.metrics["by_type"].items())
        last = dict.fromkeys(rows[-1], "")
        rows.append(last | {
            "network": name, "kind": WIDE, "pool": wide.mapping.pool.name, "method": "anneal",
            "objective": "area", "area": wide.area, "crossbars": wide.metrics["crossbars"], "types": types,
            "routes": wide.metrics["routes_global"], "packets": wide.metrics["packets_global"],
            "bound": wide.stages[0].bound, "status": wide.stages[0].status,
            "seconds": round(wide.stages[0].seconds, 3),
        })  # fmt: skip
    same = {"steps": effort.steps, "restarts": effort.restarts, "seed": effort.seed, **origin()}
    return [row | same for row in rows]
