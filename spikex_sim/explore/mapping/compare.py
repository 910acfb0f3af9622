"""Ways to map a network, side by side: first-fit, greedy merging, MCC and annealing (Section 5)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError, SpikexError, UnsupportedError
from spikex_sim.core.hints import one_of
from spikex_sim.core.origin import origin
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.effort import Effort
from spikex_sim.explore.mapping.feasible import check_pool
from spikex_sim.explore.mapping.mcc import compiled
from spikex_sim.explore.mapping.prepare import Prepared, prepared
from spikex_sim.explore.mapping.search import OBJECTIVES, Mapped, map_graph
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.mapped.baselines import first_fit, greedy, reference_type, single
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import mesh_of, place
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping, Stage
from spikex_sim.mapped.verify import violations
from spikex_sim.trace.together import identities

FORMAT = "spikex-mapping-comparison"
HOMOGENEOUS, HETEROGENEOUS = "homogeneous", "heterogeneous"
STARTS = ("first-fit", "single")
"""Mappings that MCC begins with."""
METHODS = ("first-fit", "greedy", "mcc", "anneal")
"""What maps."""
FEW_COPIES = "the pool has too few copies"


@dataclass(frozen=True)
class Way:
    """One way to map into one pool.

    Attributes
    ----------
    kind : {"homogeneous", "heterogeneous"}
        Which of the two pools.
    pool : Pool
        The pool.
    method : {"first-fit", "greedy", "mcc", "anneal"}
        What maps.
    start : {"", "first-fit", "single"}
        What MCC begins with.
    objective : {"area", "routes", "packets"}
        Of annealing: the last stage.
    """

    kind: str
    pool: Pool
    method: str
    start: str = ""
    objective: str = "area"

    @property
    def name(self) -> str:
        """As tables have it."""
        more = self.objective if self.method == "anneal" else self.start
        return f"{self.method} {more}".rstrip()

    @property
    def folder(self) -> str:
        """Name of a folder of its mapping."""
        return f"{self.kind}-{self.name.replace(' ', '-')}"


@dataclass(frozen=True)
class Found:
    """What a way came to.

    Attributes
    ----------
    way : Way
        The way.
    saved : SavedMapping or None
        Its mapping; None where there is none.
    note : str
        Why there is none, or why it is not placed.
    """

    way: Way
    saved: SavedMapping | None
    note: str = ""

    @property
    def area(self) -> int:
        """Cells; of no mapping more than of any."""
        return 1 << 62 if self.saved is None else int(self.saved.metrics["area"])

    @property
    def row(self) -> dict[str, Any]:
        """What the table has of the mapping alone."""
        assert self.saved is not None
        metrics, last = self.saved.metrics, self.saved.stages[-1]
        return {
            "area": int(metrics["area"]),
            "crossbars": int(metrics["crossbars"]),
            "routes": int(metrics["routes_global"]),
            "packets": int(metrics["packets_global"]),
            "hops": metrics.get("hops", ""),
            "types": " ".join(f"{name}:{number}" for name, number in metrics["by_type"].items()),
            "bound": "" if self.saved.stages[0]["bound"] is None else int(self.saved.stages[0]["bound"]),
            "status": str(last["status"]),
            "seconds": round(sum(float(stage["seconds"]) for stage in self.saved.stages), 3),
        }


@dataclass(frozen=True)
class Comparison:
    """A network mapped in all ways.

    Attributes
    ----------
    graph : NeuronGraph
        What was mapped.
    effort : Effort
        How hard.
    found : tuple of Found
        By pool, homogeneous first, and method.
    """

    graph: NeuronGraph
    effort: Effort
    found: tuple[Found, ...]

    def better_start(self, kind: str) -> Found | None:
        """MCC from the better of its starts, the first where they are equal; None without MCC."""
        both = [one for one in self.found if one.way.kind == kind and one.way.method == "mcc"]
        best = min(both, key=lambda one: one.area, default=None)
        return None if best is None or best.saved is None else best

    @property
    def reference(self) -> Found | None:
        """What areas are held against: homogeneous MCC."""
        return self.better_start(HOMOGENEOUS)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a mapping, as ``compare.csv`` has it.

        ``less_percent``: how much less area than homogeneous MCC; empty without. ``better``: yes for the
        better of MCC's starts. ``bound``: of the area. ``seconds`` differ from run to run.
        """
        usual = self.reference
        better = [self.better_start(kind) for kind in (HOMOGENEOUS, HETEROGENEOUS)]
        rows = []
        for one in self.found:
            if one.saved is None:
                continue
            less = "" if usual is None else round(100 * (1 - one.area / usual.area), 2)
            row = one.row
            rows.append({
                "network": self.graph.name, "kind": one.way.kind, "pool": one.way.pool.name,
                "method": one.way.method, "start": one.way.start,
                "objective": one.way.objective if one.way.method == "anneal" else "",
                "better": "yes" if any(one is best for best in better) else "",
                "area": row.pop("area"), "crossbars": row.pop("crossbars"), "less_percent": less, **row,
            })  # fmt: skip
        return rows

    @property
    def notes(self) -> list[str]:
        """What is missing, and why."""
        return [f"{one.way.name} in {one.way.pool.name}: {one.note}" for one in self.found if one.note]

    @property
    def text(self) -> str:
        """``compare.json``."""
        graph, effort = self.graph, self.effort
        whole = {
            "format": FORMAT, "version": 1,
            "network": {"name": graph.name, "sha256": graph.sha256, "neurons": graph.neurons,
                        "external": graph.external, "edges": graph.edges, "profiled": graph.profiled},
            "steps": effort.steps, "restarts": effort.restarts, "seed": effort.seed,
            "pools": {one.way.kind: one.way.pool.described for one in self.found},
            "rows": self.rows, "notes": self.notes, **origin(),
        }  # fmt: skip
        return json.dumps(whole, indent=1) + "\n"


def compare(
    network: Prepared | NeuronGraph,
    pool: Pool,
    *,
    objective: str = "area",
    methods: Sequence[str] = METHODS,
    effort: Effort | None = None,
    mesh: str | None = None,
    kept: Path | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Map a network in all ways, into a pool and into crossbars of one of its types.

    Parameters
    ----------
    network, pool : Prepared or NeuronGraph, Pool
        What, and where to. The homogeneous pool is that of :func:`homogeneous`. Neurons of layers are taken
        by layer, row, column, part and channel: neighbours of a map share inputs, whatever their channel.
    objective : {"area", "routes", "packets"}
        How far annealing goes: a row each for the area, the routes within it, and the packets within it.
    methods : sequence of {"first-fit", "greedy", "mcc", "anneal"}
        What maps; by default all do.
    effort : Effort, optional
        Steps and restarts of annealing, and of MCC where it packs by annealing; jobs are ways at a time.
    mesh : str, optional
        ``auto`` or ROWSxCOLS: where to place the crossbars.
    kept : Path, optional
        Store of finished ways; those that are in it are not run again.
    progress : callable, optional
        Told about each way.

    Raises
    ------
    ConfigError, UnsupportedError
        If the pool cannot take the network, or a choice is none.
    OutputError
        If the store cannot be used.
    """
    given = effort or Effort()
    effort = replace(given, engine="anneal", jobs=1)
    if objective not in OBJECTIVES:
        raise ConfigError(one_of(objective, OBJECTIVES), field="--objective")
    for method in methods:
        if method not in METHODS:
            raise ConfigError(one_of(method, METHODS), field="--methods")
    if objective != "area" and "anneal" not in methods:
        raise ConfigError("has no effect without the method anneal", field="--objective")
    if mesh is not None:
        mesh_of(1, mesh)
    ready = prepared(network, pool) if isinstance(network, NeuronGraph) else network
    ways = ways_of(ready.graph, pool, objective, methods)
    run = _Run(ready, effort, mesh)
    results: dict[int, Found] = {}
    with SweepStore(kept, _is_row) as store:
        for at, way in enumerate(ways):
            there = run.kept(way, store)
            if there is not None:
                results[at] = there
        if len(results) < len(ways):
            _compile_kernels(methods)
        with ThreadPoolExecutor(given.jobs) as threads:
            left = (at for at in range(len(ways)) if at not in results)
            waiting = {threads.submit(run.found, ways[at], store): at for at in left}
            for one in as_completed(waiting):
                results[waiting[one]] = one.result()
                progress(ways[waiting[one]].name, len(results), len(ways))
    return Comparison(ready.split.original, effort, tuple(results[at] for at in range(len(ways))))


def homogeneous(graph: NeuronGraph, pool: Pool) -> Pool:
    """As many as wanted of one type: the smallest square of a pool that takes every neuron.

    Of the pool ``table2`` that is 16x16 for fan-ins of 9 to 16, as in the paper. A pool without such a
    square gives the cheapest type that takes every neuron.

    Raises
    ------
    UnsupportedError
        If no type takes some neuron.
    """
    check_pool(graph, pool)
    one = reference_type(graph, pool)
    assert one is not None
    return Pool(one.name, (replace(one, count=None),))


def ways_of(graph: NeuronGraph, pool: Pool, objective: str, methods: Sequence[str] = METHODS) -> list[Way]:
    """All ways, in the order of the table; a pool of one uncounted type is the homogeneous one already."""
    one = homogeneous(graph, pool)
    pools = {HOMOGENEOUS: one}
    if pool.types != one.types:
        pools[HETEROGENEOUS] = pool
    stages = OBJECTIVES[: OBJECTIVES.index(objective) + 1]
    return [
        way
        for kind, where in pools.items()
        for way in (
            Way(kind, where, "first-fit"),
            Way(kind, where, "greedy"),
            *(Way(kind, where, "mcc", start=start) for start in STARTS),
            *(Way(kind, where, "anneal", objective=stage) for stage in stages),
        )
        if way.method in methods
    ]


@dataclass(frozen=True)
class _Run:
    """What all ways have in common."""

    ready: Prepared
    effort: Effort
    mesh: str | None

    @property
    def graph(self) -> NeuronGraph:
        """What is mapped."""
        return self.ready.graph

    def kept(self, way: Way, store: SweepStore) -> Found | None:
        """What a store has of a way; None if it has nothing that holds."""
        key = self._key(way)
        row = store.find(key)
        found = None if row is None else _restored(row, way, self.ready.split.original)
        if row is not None and found is None:
            store.discard(key)
        return found

    def found(self, way: Way, store: SweepStore) -> Found:
        """Go a way, and keep what it comes to."""
        found = self._found(way)
        if found.saved is not None:
            store.add(self._key(way), {"mapping": found.saved.content, "note": found.note})
        return found

    def _key(self, way: Way) -> str:
        """Hash of everything that the result depends on."""
        effort, ready = self.effort, self.ready
        split = ready.split
        arrays = hashlib.sha256(ready.graph.spikes.tobytes())
        for one in (split.neuron, split.sources.starts, split.sources.items, ready.order):
            arrays.update(b"|" if one is None else one.tobytes())
        samples = None if ready.samples is None else [*identities(ready.samples), ready.chosen]
        tried = [effort.steps, effort.restarts, effort.seed, self.mesh, origin()["source_sha256"]]
        asked = [split.original.sha256, arrays.hexdigest(), samples, way.pool.described, way.name, *tried]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def _found(self, way: Way) -> Found:
        if way.method == "anneal":
            try:
                mapped = map_graph(self.graph, way.pool, way.objective, self.effort, order=self.ready.order)
            except UnsupportedError as exc:
                return Found(way, None, str(exc))
            return self._placed(way, mapped.mapping, mapped.stages)
        began = time.perf_counter()
        try:
            mapping = self._baseline(way)
        except ConfigError as exc:  # OR-Tools are missing
            return Found(way, None, str(exc).removeprefix("--engine: "))
        if mapping is None:
            return Found(way, None, FEW_COPIES)
        anneals = way.method == "mcc" and len(way.pool.types) > 1
        stage = Stage(
            "area", way.name, self.effort.seed, mapping.area, seconds=time.perf_counter() - began,
            steps=self.effort.steps if anneals else None, restarts=self.effort.restarts if anneals else 1,
        )  # fmt: skip
        return self._placed(way, mapping, (stage,))

    def _baseline(self, way: Way) -> Mapping | None:
        if way.method == "greedy":
            return greedy(self.graph, way.pool)
        if way.start == "single":
            start = single(self.graph, way.pool)
        else:
            start = first_fit(self.graph, way.pool, self.ready.order)
        if start is None or way.method == "first-fit":
            return start
        effort = self.effort
        return compiled(start, steps=effort.steps, restarts=effort.restarts, seed=effort.seed)

    def _placed(self, way: Way, mapping: Mapping, stages: Sequence[Stage]) -> Found:
        placement, note = None, ""
        if self.mesh is not None:
            try:
                rows, cols = mesh_of(mapping.crossbars, self.mesh)
            except ConfigError as exc:
                note = str(exc)
            else:
                placement = place(mapping, rows, cols, seed=self.effort.seed)
        mapped = self.ready.finished(Mapped(mapping, tuple(stages), placement))
        return Found(way, mapped.saved, note)


def _compile_kernels(methods: Sequence[str]) -> None:
    """Go all ways with a tiny network, so that no way's seconds are those of a compiler."""
    graph = NeuronGraph.of("", 3, 0, [[0, 1], [0, 2], [1, 2]])
    for pool in (Pool.named("16x16"), Pool.named("table2")):
        run = _Run(prepared(graph, pool), Effort("anneal", 1, 1), None)
        for way in ways_of(graph, pool, "packets", methods):
            run.found(replace(way, pool=pool), SweepStore(None, _is_row))


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("mapping"), dict) and isinstance(row.get("note"), str)


def _restored(row: dict[str, Any], way: Way, graph: NeuronGraph) -> Found | None:
    """What a store has of a way; None if it does not hold."""
    try:
        saved = SavedMapping.of_content(row["mapping"], way.name)
        found = Found(way, saved, row["note"])
        holds = saved.pool == way.pool.described and not violations(saved, graph)
        return found if holds and found.row else None
    except (SpikexError, TypeError, ValueError, LookupError, AttributeError, AssertionError):
        return None


def mappings(found: Comparison) -> Iterator[tuple[str, SavedMapping]]:
    """Mappings, each with the name of a folder for it."""
    for one in found.found:
        if one.saved is not None:
            yield one.way.folder, one.saved
