"""An optimiser in the place of a grid: points proposed, run through the store of sweeps, and judged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text, writable_folder, write_files
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.explore.designs.bench import Bench
from spikex_sim.explore.designs.choosing import check_sampler, chooser_of
from spikex_sim.explore.designs.found import Exploration, plain_values
from spikex_sim.explore.designs.goals import limits_of, objectives_of
from spikex_sim.explore.designs.judging import Judge, Judged, lacking, none_feasible, on_front
from spikex_sim.explore.designs.machines import Designs
from spikex_sim.explore.designs.reading import load_space, space_of
from spikex_sim.explore.designs.report import exploration_of
from spikex_sim.explore.designs.space import ARCH, Space
from spikex_sim.explore.sweeps.bench import TraceLike, Workload, listed
from spikex_sim.explore.sweeps.grid import MAX_POINTS
from spikex_sim.explore.sweeps.runner import STORE, say_small_effects
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.sweeps.table import is_measured
from spikex_sim.explore.workers import check_places
from spikex_sim.run.fields import SWEEP_CSV
from spikex_sim.run.psums import remarks
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import AnyTrace, describe

log = logging.getLogger("spikex_sim")

OBJECTIVES = ("energy_pj", "latency_ms")
BUDGET = 200
BATCH = 8
MOST_BATCH = 10_000
Watch = Callable[[Sequence[Judged], Sequence[Judged]], None]
"""Told all points so far, and those on the front, after every batch."""


def explore(
    trace: TraceLike | Sequence[TraceLike],
    space: str | Path | Mapping[str, Any] | Space,
    objectives: Sequence[str] = OBJECTIVES,
    *,
    constraints: Sequence[str] = (),
    arch: str | Path | Accelerator | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: str = "fast",
    budget: int | None = None,
    sampler: str = "tpe",
    batch: int = BATCH,
    seed: int | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    out: str | Path | None = None,
    safe_csv: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Exploration:
    """Search configurations for the front of several objectives, with few of a grid's points.

    Parameters
    ----------
    trace : Trace, GraphTrace, path, or sequence of them
        Traces; a folder counts as one network's samples. Of several, objectives are means, and every trace
        has to keep the limits.
    space : str, Path or mapping
        File of a space (docs/explore.md), or keys and what they may be: a list of values, or a mapping with
        ``values``, ``powers`` or ``low`` and ``high``.
    objectives : sequence of str
        Columns of ``sweep.csv`` that are to be small, ``max:NAME`` of those that are to be large; or
        ``latency_ms``, ``latency_us``, ``energy_uj``, ``energy_mj``, ``edp``, ``edap``.
    constraints : sequence of str
        ``NAME<=VALUE`` or ``NAME>=VALUE``, of the same names.
    arch : str, Path or Accelerator, optional
        Machine, where it is no key of the space; by default ``spikex``.
    overrides : mapping, optional
        Configuration keys that are the same for all points.
    engine : {"fast", "event"}
        Memory engine.
    budget : int, optional
        Different points to try, at most all; by default 200, of a grid all.
    sampler : {"tpe", "nsga2", "random", "grid"}
        Which points are tried.
    batch : int
        Points that are asked for at a time; other batches, other points.
    seed : int, optional
        Of all draws; by default 0.
    jobs : int
        Processes on this machine.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers run the points instead.
    out : str or Path, optional
        Folder for the files; what its store has, also of sweeps, is not run again.
    safe_csv : bool
        Begin names that a spreadsheet would compute with an apostrophe, in CSV files.
    progress : callable, optional
        Told the last run, how many are done, and of how many.
    watch : callable, optional
        Told all points, and those on the front, after every batch.

    Returns
    -------
    Exploration
        The same for any number of processes, and after an interruption.

    Raises
    ------
    ConfigError
        If the space, an objective or an option is wrong, before anything is run.
    UnsupportedError
        If no point can be run or keeps the limits, with the nearest miss.
    """
    given = objectives.split(",") if isinstance(objectives, str) else objectives
    goals = objectives_of(_texts(given, "objectives"))
    limits = limits_of(_texts(constraints, "constraints"))
    check_sampler(sampler)
    check_places(jobs, scheduler)
    plugin("engines", engine)
    chosen = _space(space)
    count = _count(chosen, sampler, budget)
    _whole("batch", batch, 1, MOST_BATCH)
    if seed is not None and sampler == "grid":
        raise ConfigError("has no effect with sampler grid, which draws nothing", field="seed")
    seed = 0 if seed is None else seed
    _whole("seed", seed, 0, (1 << 63) - 1)
    if ARCH in chosen.named and arch is not None:
        raise ConfigError(f"is a key of {chosen.where}; it cannot be given as well", field="arch")
    designs = Designs(chosen, "spikex" if arch is None else arch, overrides)
    designs.check()
    traces: list[TraceLike] = listed(trace, "trace", AnyTrace | str | Path)
    if not traces:
        raise ConfigError("needs at least one trace", where="explore")
    if count * len(traces) > MAX_POINTS:
        raise ConfigError(f"has {count * len(traces):,} runs, more than {MAX_POINTS:,}", where="explore")
    workload = Workload.of(traces)
    search = {
        "space": chosen.plain(),
        "set": plain_values(designs.fixed),
        "arch": None if ARCH in chosen.named else load_accelerator(designs.machine({})).name,
        "engine": engine,
        "traces": [
            {"name": name, "sha256": describe(samples)["sha256"]}
            for name, samples in zip(workload.names, workload.loaded, strict=True)
        ],
        "constraints": list(map(str, limits)),
        "sampler": sampler, "budget": count, "batch": batch, "seed": seed,
    }  # fmt: skip
    folder = None if out is None else writable_folder(out)
    judge, points, best = Judge(goals, limits), list[Judged](), list[Judged]()
    with (
        SweepStore(folder and folder / STORE, is_measured) as store,
        chooser_of(
            sampler, chosen, lambda genes: designs.of(genes).identity, seed, len(goals), batch
        ) as chooser,
    ):
        bench = Bench(workload, engine, store, jobs, scheduler, list(chosen.named), count, progress or silent)
        while len(points) < count and (asked := chooser.ask(min(batch, count - len(points)))):
            made = [designs.of(genes) for genes in asked]
            found = bench.run(made)
            new = [judge.of(*one) for one in zip(asked, made, found, strict=True)]
            points += new
            chooser.tell([one.verdict for one in new])
            best = [one for one, on in zip(best + new, on_front(best + new), strict=True) if on]
            if watch is not None:
                watch(points, best)
            if not best and _ran_everywhere(chosen, points) and (wrong := lacking(points)):
                raise wrong
        table = bench.table()
    if not best:
        raise none_feasible(points, limits, chosen.size)
    _remark(points, best, workload)
    result = exploration_of(chosen, search, goals, points)
    result._table = table
    if folder is not None:
        rows = csv_text([dict(row) for row in table], safe=safe_csv)
        write_files(folder, {SWEEP_CSV: rows, **result.contents(safe_csv=safe_csv)})
    return result


def _remark(points: Sequence[Judged], best: Sequence[Judged], workload: Workload) -> None:
    """Say what a reader should know of the machines on the front, and of keys from which little follows."""
    made = [(one.design.values, one.design.arch) for one in points if one.design.arch is not None]
    say_small_effects(made, "explore")
    on = (one.design.arch for one in best)
    said = (
        text for arch in on if arch is not None for samples in workload.loaded
        for text in remarks(samples[0], arch)
    )  # fmt: skip
    for text in dict.fromkeys(said):
        log.warning("explore: %s", text)


def _space(given: Any) -> Space:
    if isinstance(given, Space):
        return given
    if isinstance(given, str | Path):
        return load_space(given)
    return space_of(given)


def _count(space: Space, sampler: str, budget: Any) -> int:
    """Points to try."""
    if budget is not None:
        _whole("budget", budget, 1, MAX_POINTS)
    size = space.size
    if sampler != "grid":
        return min(budget or BUDGET, size or MAX_POINTS)
    if size is None:
        endless = next(key.name for key in space.keys if not key.values)
        raise ConfigError(
            "is a range without steps, so that a grid has no end; give it a step, or take another sampler",
            where=space.where, field=f"keys.{endless}",
        )  # fmt: skip
    if size > (budget or MAX_POINTS):
        most = f"the budget of {budget:,}" if budget else f"{MAX_POINTS:,}"
        raise ConfigError(f"sampler grid has {size:,} points, more than {most}", where=space.where)
    return size


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"must be a whole number from {least} to {most:,}, not {value!r:.60}", field=name)


def _texts(given: Any, what: str) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
        raise ConfigError(f"must be a list of texts, not {given!r:.60}", field=what)
    return list(given)


def _ran_everywhere(space: Space, points: Sequence[Judged]) -> bool:
    """Whether there is a result of every machine, though without a column that is asked for."""
    if ARCH not in space.named:
        return True
    return set(space.named[ARCH].values) <= {one.design.values.get(ARCH) for one in points if one.lacks}
