"""Mapping as Python sees it: a network, a pool, a mapping, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.prepare import prepared
from spikex_sim.explore.mapping.profile import Traces
from spikex_sim.explore.mapping.reading import load_graph, read_network
from spikex_sim.explore.mapping.search import Mapped, map_graph
from spikex_sim.mapped import mesh as placement
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.pool import Pool, load_pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.unroll import Unrolled
from spikex_sim.mapped.verify import violations, with_spikes


def load_network(
    source: str | Path,
    *,
    inputs: Literal["mapped", "external"] | None = None,
    keep_zeros: bool = False,
    layers: Sequence[str] | None = None,
) -> NeuronGraph:
    """Read a network to be mapped; see :func:`spikex_sim.explore.mapping.reading.load_graph`.

    Examples
    --------
    >>> load_network("gen:A").neurons
    229
    """
    return load_graph(source, inputs=inputs, keep_zeros=keep_zeros, layers=layers)


def map_network(
    network: NeuronGraph | Unrolled | str | Path,
    pool: Pool | str = "table2",
    *,
    objective: str = "area",
    engine: str = "auto",
    steps: int | None = None,
    restarts: int | None = None,
    solver_time: float | None = None,
    seed: int = 1,
    jobs: int = 1,
    time_limit: float | None = None,
    freeze: str = "area",
    area_budget: str | None = None,
    pareto: str | None = None,
    kept: str | Path | None = None,
    mesh: str | None = None,
    split: bool | None = None,
    profile: Traces | None = None,
    profile_share: float | None = None,
    progress: Progress = silent,
) -> Mapped:
    """Map a network onto a pool of crossbars, or one of the name; the same call gives the same mapping.

    Parameters
    ----------
    network : NeuronGraph, Unrolled, str or Path
        A graph, layers as :func:`spikex_sim.explore.mapping.reading.read_network` reads them, or what can be
        read. Layers are not in the graph of :func:`load_network`: profiles and windows need what is read.
    engine, steps, restarts, solver_time, seed, jobs, time_limit
        See :class:`spikex_sim.explore.mapping.effort.Effort`.
    split, profile, profile_share
        See :func:`spikex_sim.explore.mapping.prepare.prepared`.
    pool, objective, freeze, area_budget, pareto, kept, mesh, progress
        See :func:`spikex_sim.explore.mapping.search.map_graph`.

    Raises
    ------
    ConfigError, TraceError, UnsupportedError
        If the pool cannot take the network, a choice is none, or a file cannot be read.
    """
    crossbars = load_pool(pool) if isinstance(pool, str) else pool
    effort = Effort.of(
        engine, steps=steps, restarts=restarts, seed=seed, jobs=jobs, solver_time=solver_time,
        time_limit=time_limit,
    )  # fmt: skip
    read = network if isinstance(network, NeuronGraph | Unrolled) else read_network(network)
    ready = prepared(
        read, crossbars, splits=split, profile=profile, profile_share=profile_share, seed=seed,
        progress=progress,
    )  # fmt: skip
    found = map_graph(
        ready.graph, crossbars, objective, effort, freeze=freeze, area_budget=area_budget, pareto=pareto,
        kept=None if kept is None else Path(kept), mesh=mesh, order=ready.order, progress=progress,
    )  # fmt: skip
    return ready.finished(found, progress=progress)


def verify_mapping(mapping: Mapped | SavedMapping, network: NeuronGraph) -> list[str]:
    """What is wrong with a mapping, a line each; see :mod:`spikex_sim.mapped.verify`.

    The spikes of a profile that the mapping was made with are taken from it.
    """
    if isinstance(mapping, Mapped):
        return violations(mapping.saved, with_spikes(network, mapping.network))
    return violations(mapping, network)


def place(mapping: Mapped, mesh: tuple[int, int] | None = None, *, seed: int = 1) -> Mapped:
    """Put the crossbars of a mapping on a mesh of rows and columns, by default the squarest that holds them.

    Raises
    ------
    ConfigError
        If the mesh is too small.
    """
    given = "auto" if mesh is None else f"{mesh[0]}x{mesh[1]}"
    rows, cols = placement.mesh_of(mapping.mapping.crossbars, given)
    return replace(mapping, placement=placement.place(mapping.mapping, rows, cols, seed=seed))
