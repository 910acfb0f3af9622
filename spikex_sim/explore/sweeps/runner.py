"""Runs the points of a sweep that its store does not have, and makes the table of all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError, EnergyTableError, OutputError
from spikex_sim.core.files import writable_folder
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.sweeps.bench import (
    TraceLike,
    Workload,
    found_in,
    listed,
    run_missing,
    say_damaged,
)
from spikex_sim.explore.sweeps.grid import MAX_POINTS, Axis, check_count, points
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.sweeps.table import (
    Row,
    SweepTable,
    check_parquet,
    is_measured,
    labels_of,
    row_of,
    table_of,
    write_table,
)
from spikex_sim.explore.sweeps.work import Point, point_key
from spikex_sim.explore.workers import check_places
from spikex_sim.run.psums import remarks
from spikex_sim.run.simulate import check_runnable
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import AnyTrace

log = logging.getLogger("spikex_sim")

ArchLike = str | Path | Accelerator
STORE = "sweep.sqlite"


def sweep(
    trace: TraceLike | Sequence[TraceLike],
    grid: Axis,
    *,
    zipped: Sequence[Axis] = (),
    arch: ArchLike | Sequence[ArchLike] = "spikex",
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    shard: tuple[int, int] = (1, 1),
    out: str | Path | None = None,
    parquet: bool = False,
    safe_csv: bool = False,
    progress: Progress | None = None,
) -> SweepTable:
    """Replay traces through every combination of configuration values.

    Parameters
    ----------
    trace : Trace, GraphTrace, path, or sequence of them
        Traces; a folder counts as one network's samples.
    grid : mapping of str to sequence
        Dotted configuration key to its values; all combinations are run.
    zipped : sequence of mappings, optional
        Further axes, each of several keys that advance together, with equally many values.
    arch : str, Path, Accelerator, or sequence of them
        Accelerators to sweep.
    engine : {"fast", "event"}
        Memory engine.
    overrides : mapping, optional
        Configuration keys that are the same for all points.
    jobs : int
        Processes that run points at the same time on this machine.
    scheduler : str, optional
        Address of a running Dask scheduler, ``tcp://host:8786``, whose workers run the points instead.
    shard : tuple of int
        ``(i, n)`` runs every n-th point from the i-th alone; :func:`merge` puts shards together.
    out : str or Path, optional
        Folder for ``sweep.sqlite`` and ``sweep.csv``; points that the store already has are not run again.
    parquet : bool
        Write ``sweep.parquet`` too; needs pandas and pyarrow.
    safe_csv : bool
        Begin names that a spreadsheet would compute with an apostrophe, in ``sweep.csv``.
    progress : callable, optional
        Told the last point, how many points are done, and of how many; first with those that the store has.

    Returns
    -------
    SweepTable
        One row a point, column to value, in grid order: trace, accelerator, the grid's keys, then cycles,
        seconds, energies and the rest, units in the names. ``error`` says why a point could not be run; it is
        empty otherwise. Traces of one name are told apart by their files.

    Raises
    ------
    SpikexError
        If any point's configuration is wrong, before anything is run, or the store cannot be written.
    """
    traces: list[TraceLike] = listed(trace, "trace", AnyTrace | str | Path)
    archs: list[ArchLike] = listed(arch, "arch", str | Path | Accelerator)
    if not traces or not archs:
        raise ConfigError("needs at least one trace and one accelerator", where="sweep")
    check_places(jobs, scheduler)
    first, count = _checked_shard(shard)
    if parquet:
        check_parquet()
    configurations = _configurations(archs, points(grid, zipped), overrides or {}, len(traces))
    say_small_effects(configurations)
    workload = Workload.of(traces)
    loaded = workload.loaded
    accelerators = [accelerator for _, accelerator in configurations]
    _check_runnable(loaded, accelerators, engine)
    said = (text for samples in loaded for one in accelerators for text in remarks(samples[0], one))
    for text in dict.fromkeys(said):
        log.warning("sweep: %s", text)
    planned = list(_plan(workload, configurations, engine))
    own = planned[first - 1 :: count]
    folder = None if out is None else writable_folder(out)
    with SweepStore(folder and folder / STORE, is_measured) as store:
        store.plan([(point.key, labels) for labels, point in planned])
        errors = run_missing(own, workload, store, jobs, scheduler, progress or silent)
        table = SweepTable.of([row_of(labels, *found_in(store, point, errors)) for labels, point in own])
    if folder is not None:
        write_table(folder, table, parquet=parquet, safe_csv=safe_csv)
    return table


def export(folder: str | Path) -> SweepTable:
    """All points of the sweeps that a folder's store has, sweep after sweep, each in grid order.

    Returns
    -------
    SweepTable
        As of :func:`sweep`, with the keys of all sweeps; ``error`` also says what was not run yet.

    Raises
    ------
    OutputError
        If there is no store, or it cannot be used.
    """
    with _existing(folder) as store:
        return _all_of(store)


def count_stored(folder: str | Path) -> int:
    """How many points :func:`export` gives."""
    with _existing(folder) as store:
        return store.count()


def merge(folders: Sequence[str | Path], out: str | Path, *, safe_csv: bool = False) -> SweepTable:
    """Put the stores of several folders, such as those of shards, into one, and write its table.

    Returns
    -------
    SweepTable
        As of :func:`export`; of all shards of a sweep the same as of the whole.

    Raises
    ------
    OutputError
        If a store is missing or cannot be used, or ``out`` cannot be written.
    """
    for folder in folders:
        with _existing(folder) as store:
            store.plans()  # all are looked at before anything is written
    target = writable_folder(out)
    with SweepStore(target / STORE, is_measured) as store:
        for folder in folders:
            if Path(folder).resolve() != target.resolve():
                with _existing(folder) as other:
                    store.merge(other)
                    say_damaged(other)
        table = _all_of(store)
    write_table(target, table, parquet=False, safe_csv=safe_csv)
    return table


def _existing(folder: str | Path) -> SweepStore:
    path = Path(folder) / STORE
    if not path.exists():
        raise OutputError("there is no store of a sweep here", where=str(path))
    return SweepStore(path, is_measured)


def _all_of(store: SweepStore) -> SweepTable:
    planned = store.planned()
    say_damaged(store)
    return table_of([(one.labels, one.row, one.error) for one in planned])


def _configurations(
    archs: Sequence[ArchLike], values: Sequence[Mapping[str, Any]], overrides: Mapping[str, Any], traces: int
) -> list[tuple[Mapping[str, Any], Accelerator]]:
    check_count(traces * len(archs) * len(values), "sweep")
    twice = sorted(set(values[0]) & set(overrides))
    if twice:
        raise ConfigError("is both swept and set", where="grid", field=twice[0])
    return [(point, load_accelerator(one, {**overrides, **point})) for one in archs for point in values]


def say_small_effects(
    configurations: Sequence[tuple[Mapping[str, Any], Accelerator]], what: str = "sweep"
) -> None:
    """Warn of keys that are swept though little follows from them."""
    values: dict[str, set[str]] = {}
    for point, _ in configurations:
        for key, value in point.items():
            values.setdefault(key, set()).add(repr(value))
    swept = [key for key, found in values.items() if len(found) > 1]
    kinds = dict.fromkeys(type(accelerator) for _, accelerator in configurations)
    said = {key: effect for key in swept for kind in kinds if (effect := kind.effect_of(key))}
    if said:
        log.warning("%s: %s", what, "; ".join(f"{key} {effect}" for key, effect in said.items()))


def _check_runnable(
    loaded: Sequence[Sequence[AnyTrace]], accelerators: Sequence[Accelerator], engine: str
) -> None:
    """Raise what is wrong with the sweep; what the energy table lacks is an error of points."""
    for samples in loaded:
        for accelerator in accelerators:
            with suppress(EnergyTableError):
                check_runnable(samples, accelerator, engine)


def _plan(
    workload: Workload,
    configurations: Sequence[tuple[Mapping[str, Any], Accelerator]],
    engine: str,
) -> Iterator[tuple[Row, Point]]:
    """Points in grid order, each with its own columns."""
    for source, (samples, name) in enumerate(zip(workload.loaded, workload.names, strict=True)):
        for values, accelerator in configurations:
            point = Point(point_key(samples, accelerator, engine), source, accelerator, engine)
            yield labels_of(name, accelerator.name, values), point


def _checked_shard(shard: Any) -> tuple[int, int]:
    parts = shard if isinstance(shard, tuple) and len(shard) == 2 else (0, 0)
    if not all(type(part) is int for part in parts) or not 1 <= parts[0] <= parts[1] <= MAX_POINTS:
        raise ConfigError(f"must be i/n, the i-th of n parts from 1, not {shard!r:.60}", field="shard")
    return parts[0], parts[1]
