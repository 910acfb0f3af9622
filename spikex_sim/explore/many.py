"""Many samples on accelerators: in several processes, and going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.files import writable_folder
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.samples_kept import kept, unkept
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.sweeps.work import point_key
from spikex_sim.explore.workers import check_jobs, in_order
from spikex_sim.run.merging import SampleRun
from spikex_sim.run.released import ReleasedRunner
from spikex_sim.run.results import RunResult
from spikex_sim.run.simulate import Replay, Unit, prepare
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import AnyTrace, identities

log = logging.getLogger("spikex_sim")

MAX_KEPT = 32 << 20
"""Most bytes of a unit's outputs that are kept, packed; larger ones are replayed again."""
Task = tuple[int, Unit]
"""Which replay, and the samples."""


def replay_all(
    traces: Sequence[AnyTrace],
    accelerators: Sequence[Accelerator],
    *,
    engine: str = "fast",
    jobs: int = 1,
    resume: str | Path | None = None,
    progress: Progress = silent,
) -> list[RunResult | UnsupportedError]:
    """Replay samples of one network through accelerators; the same results as of :func:`spikex_sim.simulate`.

    Parameters
    ----------
    traces : sequence of Trace
        Samples.
    accelerators : sequence of Accelerator
        Configurations.
    engine : {"fast", "event"}
        Memory engine.
    jobs : int
        Processes. They share out samples, or accelerators; one whose window size is searched (``tws: auto``)
        needs all samples in one of them.
    resume : str or Path, optional
        File that samples are kept in as they are done, if there are several; what is there is not replayed
        again. It is not removed.
    progress : callable, optional
        Told how many samples are done, of all accelerators.

    Returns
    -------
    list of RunResult or UnsupportedError
        Result of each accelerator, or why it cannot take the traces.

    Raises
    ------
    SpikexError
        If traces or configurations are wrong.
    """
    check_jobs(jobs)
    prepare(*accelerators)
    replays: list[Replay | UnsupportedError] = []
    for one in accelerators:
        try:
            replays.append(Replay.of(traces, one, engine))
        except UnsupportedError as exc:
            replays.append(exc)
    tasks = [(n, unit) for n, one in enumerate(replays) if isinstance(one, Replay) for unit in one.units()]
    several = len(traces) > 1 or traces[0].samples > 1
    path, made = None, False
    if resume is not None and several:
        path = writable_folder(Path(resume).parent) / Path(resume).name
        made = not path.exists()
    with SweepStore(path, lambda row: isinstance(row, dict)) as store:
        many = _Many(traces, replays, tasks, store, keeps=path is not None, progress=progress)
        found = many.results(jobs)
    if path is not None and made and all(isinstance(one, UnsupportedError) for one in found):
        path.unlink(missing_ok=True)  # no result will take its place
        with suppress(OSError):
            path.parent.rmdir()
    return found


def replay_one(traces: Sequence[AnyTrace], accelerator: Accelerator, **options: Any) -> RunResult:
    """As :func:`replay_all`, of one accelerator; raises what it cannot take."""
    [found] = replay_all(traces, [accelerator], **options)
    if isinstance(found, UnsupportedError):
        raise found
    return found


class _Many:
    """Replays that are shared out in units, and taken in order."""

    def __init__(
        self,
        traces: Sequence[AnyTrace],
        replays: Sequence[Replay | UnsupportedError],
        tasks: Sequence[Task],
        store: SweepStore,
        *,
        keeps: bool,
        progress: Progress,
    ) -> None:
        self.replays, self.tasks, self.store, self.progress = replays, tasks, store, progress
        self.keys = _keys(traces, replays, tasks) if keeps else {}
        self.stored = {task for task, key in self.keys.items() if store.has(key)}
        self.done, self.total = 0, sum(one.count for one in replays if isinstance(one, Replay))

    def results(self, jobs: int) -> list[RunResult | UnsupportedError]:
        waiting = [task for task in self.tasks if task not in self.stored]
        given = (self.replays, bool(self.keys))
        found: list[RunResult | UnsupportedError] = []
        with closing(in_order(_replayed, waiting, min(jobs, max(len(waiting), 1)), given)) as arriving:
            for number, one in enumerate(self.replays):
                if isinstance(one, UnsupportedError):
                    found.append(one)
                    continue
                units = [unit for which, unit in self.tasks if which == number]
                try:
                    found.append(one.result(self._runs(number, one, units, arriving)))
                except UnsupportedError as exc:
                    found.append(exc)
        self.progress("done", self.total, self.total)
        return found

    def _runs(
        self, number: int, replay: Replay, units: Sequence[Unit], arriving: Iterator[Any]
    ) -> Iterator[SampleRun]:
        """Samples of a replay in order, from the store or as they arrive."""
        refused: UnsupportedError | None = None
        for unit in units:
            task = (number, unit)
            runs = self._from_store(task, replay) if task in self.stored else None
            if runs is None:
                arrived = _replayed(task, self.replays, True) if task in self.stored else next(arriving)
                if isinstance(arrived, UnsupportedError):
                    refused = refused or arrived  # the units that follow have been handed out
                    continue
                runs, text = arrived
                if task in self.keys and refused is None and _size(text) < MAX_KEPT:
                    self.store.add(self.keys[task], {"samples": text})
            if refused is None:
                for run in runs:
                    self.done += 1
                    self.progress(run.name, self.done, self.total)
                    yield run
        if refused is not None:
            raise refused

    def _from_store(self, task: Task, replay: Replay) -> list[SampleRun] | None:
        row = self.store.find(self.keys[task])
        runs = None if row is None else unkept(row.get("samples"), replay, task[1])
        if runs is None:
            log.warning("%s: damaged samples are replayed again", self.store.where)
            self.store.discard(self.keys[task])
        return runs


def _replayed(
    task: Task, replays: Sequence[Replay | UnsupportedError], keeps: bool
) -> tuple[list[SampleRun], Any] | UnsupportedError:
    """Samples of a unit, and how they are kept if they are."""
    number, unit = task
    replay = replays[number]
    assert isinstance(replay, Replay)
    try:
        runs = list(replay.run(unit))
    except UnsupportedError as exc:
        return exc
    return runs, [kept(one) for one in runs] if keeps else None


def _size(items: Sequence[Any]) -> int:
    return sum(len(layer["outputs"] or "") for item in items for layer in item["layers"])


def _keys(
    traces: Sequence[AnyTrace], replays: Sequence[Replay | UnsupportedError], tasks: Sequence[Task]
) -> dict[Task, str]:
    """Content of each unit that is kept: configuration, energies, code, samples, what arrays are set by."""
    known = identities(traces)
    bases = [
        "" if isinstance(one, UnsupportedError) else point_key((), one.runner.arch, one.engine)
        for one in replays
    ]
    keys = {}
    for number, unit in tasks:
        replay = replays[number]
        if (
            isinstance(replay, UnsupportedError)
            or replay.searches
            or isinstance(replay.runner, ReleasedRunner)
        ):
            continue  # the released model has no counts that energies could be made of again
        part = None if unit.samples is None else (unit.samples.start, unit.samples.stop)
        content = [bases[number], [known[which] for which in unit.traces], part, _set_by(replay, known)]
        keys[number, unit] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return keys


def _set_by(replay: Replay, known: Sequence[tuple[str, str]]) -> Any:
    """Trace whose first sample all others depend on: arrays that are not ideal are calibrated on it."""
    arch = replay.runner.arch
    if not isinstance(arch, CrossbarOptions) or arch.imc.calibration is not None or not arch.calibrated:
        return None
    return known[0]
