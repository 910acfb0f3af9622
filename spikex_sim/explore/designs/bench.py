"""Runs configurations as points of a sweep, and keeps them in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikex_sim.core.progress import Progress
from spikex_sim.explore.designs.machines import Design
from spikex_sim.explore.designs.space import ARCH
from spikex_sim.explore.sweeps.bench import Workload, found_in, run_missing
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.sweeps.table import Row, SweepTable, labels_of, table_of
from spikex_sim.explore.sweeps.work import Point, point_key

Found = tuple[Mapping[str, Any] | None, str]
"""Row of a run, and why there is none."""


class Bench:
    """Runs what the store does not have.

    Parameters
    ----------
    workload : Workload
        Traces, each of which every configuration replays.
    engine : str
        Memory engine.
    store : SweepStore
        Of sweeps.
    jobs : int
        Processes on this machine.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers run the points instead.
    keys : sequence of str
        Columns of the table before those of results.
    count : int
        Configurations that there will be.
    progress : callable
        Told the last run, how many are done, and of how many.
    """

    def __init__(
        self, workload: Workload, engine: str, store: SweepStore, jobs: int, scheduler: str | None,
        keys: Sequence[str], count: int, progress: Progress,
    ) -> None:  # fmt: skip
        self._workload, self._engine, self._store = workload, engine, store
        self._jobs, self._scheduler, self._keys = jobs, scheduler, [key for key in keys if key != ARCH]
        self._total, self._done, self._progress = count * len(workload.traces), 0, progress
        self._rows: list[tuple[Row, Mapping[str, Any] | None, str]] = []

    def run(self, designs: Sequence[Design]) -> list[list[Found]]:
        """Row and error of every trace, a configuration each; none of one that is no configuration."""
        planned = {at: self._points(one) for at, one in enumerate(designs) if one.arch is not None}
        together = [point for points in planned.values() for point in points]
        errors = {}
        if together:
            self._store.plan([(point.key, labels) for labels, point in together])
            errors = run_missing(
                together, self._workload, self._store, self._jobs, self._scheduler, self._report
            )
        self._done += len(designs) * len(self._workload.traces)
        found: list[list[Found]] = []
        for at in range(len(designs)):
            points = planned.get(at, [])
            found.append([found_in(self._store, point, errors) for _, point in points])
            self._rows += (
                (labels, row, error) for (labels, _), (row, error) in zip(points, found[-1], strict=True)
            )
        return found

    def table(self) -> SweepTable:
        """All runs, a row each, in the order in which configurations were asked for."""
        every = ("trace", ARCH, *self._keys)
        return table_of(
            [({key: own.get(key) for key in every}, row, error) for own, row, error in self._rows]
        )

    def _points(self, design: Design) -> list[tuple[Row, Point]]:
        arch = design.arch
        assert arch is not None
        own = {key: value for key, value in design.values.items() if key != ARCH}
        return [
            (
                labels_of(name, arch.name, own),
                Point(point_key(samples, arch, self._engine), source, arch, self._engine),
            )
            for source, (name, samples) in enumerate(
                zip(self._workload.names, self._workload.loaded, strict=True)
            )
        ]

    def _report(self, what: str, done: int, total: int) -> None:
        if what != "done" and total:
            self._progress(what, self._done + done, self._total)
