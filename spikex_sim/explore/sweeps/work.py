"""One point of a sweep: what identifies it, and how it is run, here or in another process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import EnergyTableError
from spikex_sim.core.faults import one_line
from spikex_sim.core.registry import source_files
from spikex_sim.explore.sweeps.table import measures
from spikex_sim.run.simulate import simulate, versions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import AnyTrace, as_traces, identities

MAX_ERROR = 500
"""Longest error that is kept of a point, in characters."""


@dataclass(frozen=True)
class Point:
    """A run to be made.

    Attributes
    ----------
    key : str
        Content of the point (:func:`point_key`).
    source : int
        Which of the sweep's traces.
    arch : Accelerator
        Its configuration.
    engine : str
        Memory engine.
    """

    key: str
    source: int
    arch: Accelerator
    engine: str


@dataclass(frozen=True)
class Outcome:
    """What became of a point: its measures, or why there are none.

    Attributes
    ----------
    key : str
        The point's.
    row : dict or None
        Measures.
    error : str
        One line; empty if the point is finished.
    """

    key: str
    row: dict[str, Any] | None = None
    error: str = ""


def run_point(point: Point, samples: Sequence[AnyTrace]) -> Outcome:
    """Run a point; whatever goes wrong with it becomes its outcome."""
    try:
        return Outcome(point.key, measures(simulate(samples, point.arch, engine=point.engine)))
    except Exception as exc:
        if isinstance(exc, SystemError) and not isinstance(exc.__cause__, Exception | None):
            raise exc.__cause__ from None  # Ctrl-C inside a compiled kernel
        return Outcome(point.key, error=told(exc))


def run_elsewhere(point: Point, samples: Sequence[AnyTrace]) -> Outcome:
    """Run a point in another process, perhaps on another machine, if it is the same point there."""
    try:
        key = point_key(samples, point.arch, point.engine)
    except Exception as exc:
        return Outcome(point.key, error=told(exc))
    if key != point.key:
        return Outcome(point.key, error="trace, energy table or sources are not those the sweep began with")
    return run_point(point, samples)


def told(exc: BaseException) -> str:
    """Describe an error in one line that is not too long to be kept."""
    text = one_line(exc)
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 3]}..."


def point_key(samples: Sequence[AnyTrace], arch: Accelerator, engine: str) -> str:
    """Content of a point: configuration, energies, spikes, and the code that computes it."""
    content = {**machine_content(arch, engine), "traces": identities(samples)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def machine_content(arch: Accelerator, engine: str) -> dict[str, Any]:
    """All that a run depends on but its spikes: configuration, energies, and the code that computes it."""
    named = arch.get("imc.calibration", default=None)
    return {
        "config": arch.model_dump(mode="json"),
        "energies": _energies(arch),
        "calibration": identities(as_traces(named)) if named else [],
        "engine": engine,
        "version": versions()["spikex_sim"],
        "code": _code_sha256(arch.scheduler, arch.get("dispatch", default=""), engine),
    }


def _energies(arch: Accelerator) -> str:
    try:
        return repr(energy_model(arch))
    except EnergyTableError as exc:  # which the point has for its error
        return str(exc)


@lru_cache(maxsize=64)
def _code_sha256(scheduler: str, dispatch: str, engine: str) -> str:
    """Hash the sources of this package and of the plug-ins in use: changed code is another point."""
    files = set(source_files("engines", "fast"))
    for seam, name in (("accelerators", scheduler), ("dispatch", dispatch), ("engines", engine)):
        if name:
            files.update(source_files(seam, name))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
