"""Maps a network in stages: the least area, then the fewest routes or packets within it (Section 3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.files import csv_text
from spikex_sim.core.hints import one_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.annealing import AREA, NO_BUDGET, ROUTES, Annealed, Plan, anneal
from spikex_sim.explore.mapping.bounds import POOL_SCOPE, best_bound
from spikex_sim.explore.mapping.cpsat import frozen, solve
from spikex_sim.explore.mapping.graph import Integers, NeuronGraph
from spikex_sim.explore.mapping.heldout import HeldOut
from spikex_sim.explore.mapping.mapping import Mapping
from spikex_sim.explore.mapping.placement import Placement, mesh_of, place
from spikex_sim.explore.mapping.pool import Pool
from spikex_sim.explore.mapping.results import SavedMapping, Stage, history_of
from spikex_sim.explore.mapping.solver import Effort as SolverEffort
from spikex_sim.explore.mapping.split import Split

OBJECTIVES = ("area", "routes", "packets")
ENGINES = ("auto", "anneal")
FREEZES = ("area", "types")
FEW_NEURONS = 40
"""Most neurons of which ``auto`` proves what was found, or finds what is less."""
STEPS = 30_000_000
RESTARTS = 3
MOST_STEPS = 10**12
SCHEDULES = {"area": (16.0, 0.7), "routes": (1.0, 0.1), "packets": (60.0, 1.5)}
"""First and last temperature of each objective, found on networks A, C and E."""
PROOF_TIME = 5.0
"""Deterministic time of a proof, in units of some seconds each."""
AXON_WEIGHT = {True: 3.0, False: 0.3}
"""What an axon counts beside the area: in pools of one type, where areas are plateaus, and in others."""


@dataclass(frozen=True)
class Effort:
    """How hard engines try.

    Attributes
    ----------
    engine : {"auto", "anneal"}
        ``auto``: annealing, and of few neurons a proof by CP-SAT where OR-Tools is installed.
    steps : int
        Moves of each annealing run.
    restarts : int
        Runs of the area stage, with seeds of their own; later stages have one.
    seed : int
        Of the first run.
    jobs : int
        Runs at a time.
    """

    engine: str = "auto"
    steps: int = STEPS
    restarts: int = RESTARTS
    seed: int = 1
    jobs: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (("steps", 1, MOST_STEPS), ("restarts", 1, 1000), ("seed", 0, 1 << 31),
                                  ("jobs", 1, 256)):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(f"must be a whole number from {least} to {most:,}", field=f"--{name}")
        if self.engine not in ENGINES:
            raise ConfigError(one_of(self.engine, ENGINES), field="--engine")

    def proves(self, graph: NeuronGraph) -> bool:
        """Whether stages end with a proof."""
        return self.engine == "auto" and graph.neurons <= FEW_NEURONS and find_spec("ortools") is not None


@dataclass(frozen=True)
class Mapped:
    """A network on its crossbars.

    Attributes
    ----------
    mapping : Mapping
        Where each neuron is.
    stages : tuple of Stage
        How it was found.
    placement : Placement or None
        Where the crossbars are.
    split : Split or None
        Which columns are parts of neurons.
    heldout : HeldOut or None
        Packets on the samples of a profile and on others.
    """

    mapping: Mapping
    stages: tuple[Stage, ...]
    placement: Placement | None = None
    split: Split | None = None
    heldout: HeldOut | None = None

    @property
    def network(self) -> NeuronGraph:
        """The network without parts."""
        return self.mapping.graph if self.split is None else self.split.original

    @property
    def area(self) -> int:
        """Sum of the crossbars' costs, cells."""
        return self.mapping.area

    @property
    def metrics(self) -> dict[str, Any]:
        """See :attr:`Mapping.metrics` and :attr:`Placement.metrics`."""
        return self.saved.metrics

    @property
    def crossbars(self) -> list[dict[str, Any]]:
        """Type and neurons of each crossbar."""
        return self.saved.crossbars

    @cached_property
    def saved(self) -> SavedMapping:
        """As its file has it."""
        return SavedMapping.of(self.mapping, self.stages, self.placement, self.split, self.heldout)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``mapping.json``, ``crossbars.csv``, ``network.json`` and, of a profile, ``heldout.csv``."""
        from spikex_sim.explore.mapping.documents import graph_text

        more = {} if self.heldout is None else {"heldout.csv": csv_text(self.heldout.rows)}
        return self.saved.save(folder, {"network.json": graph_text(self.network), **more})


def map_graph(
    graph: NeuronGraph,
    pool: Pool,
    objective: str = "area",
    effort: Effort | None = None,
    *,
    freeze: str = "area",
    area_budget: str | None = None,
    mesh: str | None = None,
    order: Integers | None = None,
    progress: Progress = silent,
) -> Mapped:
    """Map a network.

    Parameters
    ----------
    graph, pool : NeuronGraph, Pool
        What, and where to.
    objective : {"area", "routes", "packets"}
        What is made small, after the area.
    effort : Effort, optional
        Steps, seeds, jobs.
    freeze : {"area", "types"}
        Whether later stages keep the area, or the very crossbars of the area stage.
    area_budget : str, optional
        Largest area of later stages: a number of cells, ``+P%`` over the least one found, or ``none``.
    mesh : str, optional
        ``auto`` or ROWSxCOLS: where to place the crossbars.
    order : int64 array ``[n]``, optional
        Neurons such that neighbours share axons: the search may start from what next-fit makes of them.
    progress : callable, optional
        Told about the stages.

    Raises
    ------
    ConfigError, UnsupportedError
        If the pool cannot take the network, or a choice is none; one line.
    """
    if objective not in OBJECTIVES:
        raise ConfigError(one_of(objective, OBJECTIVES), field="--objective")
    if freeze not in FREEZES:
        raise ConfigError(one_of(freeze, FREEZES), field="--freeze")
    if objective == "area" and area_budget is not None:
        raise ConfigError("is for the objectives routes and packets", field="--area-budget")
    effort = effort or Effort()
    check_pool(graph, pool)
    last = objective != "area"
    progress("area", 0, 1 + last)
    mapping, stage = _area(graph, pool, effort, order)
    stages = [stage]
    if last:
        progress(objective, 1, 2)
        budget = _budget(area_budget, mapping.area)
        if freeze == "types":
            mapping = replace(mapping, pool=frozen(pool, mapping))
        mapping, stage = _within(mapping, objective, effort, budget)
        stages.append(stage)
    placement = None
    if mesh is not None:
        placement = place(mapping, *mesh_of(mapping.crossbars, mesh), seed=effort.seed)
    progress("done", 1 + last, 1 + last)
    return Mapped(mapping, tuple(stages), placement)


def check_pool(graph: NeuronGraph, pool: Pool) -> None:
    """Refuse a pool that cannot take a network for its sizes alone.

    Raises
    ------
    UnsupportedError
        Naming the first neuron, or what there is too little of.
    """
    wide = np.flatnonzero(graph.fan_in > pool.most_inputs)
    if len(wide):
        others = f" ({len(wide)} such neurons)" if len(wide) > 1 else ""
        raise UnsupportedError(
            f"neuron {wide[0]} has {graph.fan_in[wide[0]]} inputs, the widest crossbar of the pool takes "
            f"{pool.most_inputs}{others}; use --split or a pool with more inputs",
            where=graph.name,
        )
    if all(one.count is not None for one in pool.types):
        outputs = sum(one.outputs * (one.count or 0) for one in pool.types)
        if graph.neurons > outputs:
            raise UnsupportedError(
                f"{graph.neurons} neurons, the pool has {outputs} outputs in all", where=graph.name
            )


def _budget(given: str | None, least: int) -> int:
    if given is None:
        return least
    if given == "none":
        return NO_BUDGET
    number, over = given.removesuffix("%"), given.startswith("+") and given.endswith("%")
    try:
        value = least + int(least * float(number) / 100) if over else int(given)
    except (ValueError, OverflowError):
        value = -1
    if value < 0:
        raise ConfigError(f"wants a number of cells, +P% or none, not {given!r:.40}", field="--area-budget")
    if value < least:
        raise ConfigError(
            f"{value} is below the least area found, {least}; more --steps may find a smaller one",
            field="--area-budget",
        )
    return value


def _area(
    graph: NeuronGraph, pool: Pool, effort: Effort, order: Integers | None = None
) -> tuple[Mapping, Stage]:
    began = time.perf_counter()
    start = _start(graph, pool, order)
    plan = Plan(AREA, effort.steps, *SCHEDULES["area"], AXON_WEIGHT[len(pool.types) == 1])
    ones = np.ones(graph.nodes, np.int64)

    def run(number: int) -> Annealed:
        return anneal(start, plan, ones, NO_BUDGET, effort.seed * 1000 + number)

    runs = _together([partial(run, number) for number in range(effort.restarts)], effort.jobs)
    found = [Mapping.of(graph, pool, one.home) for one in runs]
    mapping = min((one for one in found if one is not None), key=_rank, default=None)
    if mapping is None:
        raise UnsupportedError("none found: the copies of the pool do not suffice", where=graph.name)
    bound = best_bound(graph, pool)
    stage = Stage(
        "area", "anneal", effort.seed, mapping.area, steps=effort.steps, restarts=effort.restarts,
        status="optimal" if bound.value == mapping.area else "found", bound=bound.value,
        bound_name=bound.name, bound_scope=bound.scope, seconds=time.perf_counter() - began,
        history=tuple(history_of(one.history) for one in runs),
    )  # fmt: skip
    return _proved(mapping, stage, effort)


def _within(mapping: Mapping, objective: str, effort: Effort, budget: int) -> tuple[Mapping, Stage]:
    """Make routes or packets few within a budget of area."""
    began = time.perf_counter()
    graph, pool = mapping.graph, mapping.pool
    weight = graph.spikes if objective == "packets" else np.ones(graph.nodes, np.int64)
    plan = Plan(ROUTES, effort.steps, *SCHEDULES[objective], 0.0)
    run = anneal(mapping, plan, weight, budget, effort.seed * 1000)
    found = Mapping.of(graph, pool, run.home)
    if found is None or (found.value(objective), found.area) > (mapping.value(objective), mapping.area):
        found = mapping
    stage = Stage(
        objective, "anneal", effort.seed, found.value(objective), steps=effort.steps,
        area_budget=None if budget == NO_BUDGET else budget, seconds=time.perf_counter() - began,
        history=(history_of(run.history),),
    )  # fmt: skip
    return _proved(found, stage, effort)


def _proved(mapping: Mapping, stage: Stage, effort: Effort) -> tuple[Mapping, Stage]:
    """Let CP-SAT prove what was found, or find what is less, where neurons are few."""
    if stage.status == "optimal" or not effort.proves(mapping.graph):
        return mapping, stage
    began = time.perf_counter()
    solved = solve(
        mapping.graph, mapping.pool, stage.objective, SolverEffort(effort.seed, PROOF_TIME), mapping,
        area_budget=stage.area_budget,
    )  # fmt: skip
    if solved.mapping is not None and solved.mapping.value(stage.objective) < stage.value:
        mapping = solved.mapping
    value = mapping.value(stage.objective)
    if solved.bound is not None and (stage.bound is None or solved.bound >= stage.bound):
        stage = replace(stage, bound=solved.bound, bound_name="solver", bound_scope=solved.bound_scope)
    proven = stage.bound == value and stage.bound_scope == POOL_SCOPE
    return mapping, replace(
        stage, engine="anneal, cpsat", value=value, status="optimal" if proven else "found",
        seconds=stage.seconds + time.perf_counter() - began,
    )  # fmt: skip


def _start(graph: NeuronGraph, pool: Pool, order: Integers | None = None) -> Mapping:
    """Where to begin: a crossbar for each neuron, or, where that is less, as next-fit has it in an order.

    Where copies suffice for neither: as first fit has it.
    """
    from spikex_sim.explore.mapping.baselines import first_fit, next_fit, single

    starts = [single(graph, pool), None if order is None else next_fit(graph, pool, order)]
    found = min((one for one in starts if one is not None), key=lambda one: one.area, default=None)
    found = found or first_fit(graph, pool, order)
    if found is None:
        message = "none found: first fit needs more crossbars than the pool has"
        raise UnsupportedError(message, where=graph.name)
    return found


def _rank(mapping: Mapping) -> tuple[int, int, int]:
    return mapping.area, mapping.value("routes"), mapping.crossbars


def _together(runs: Sequence[Callable[[], Annealed]], jobs: int) -> list[Annealed]:
    """Results in order; kernels let other threads run."""
    if jobs == 1:
        return [run() for run in runs]
    with ThreadPoolExecutor(jobs) as threads:
        return [one.result() for one in [threads.submit(run) for run in runs]]
