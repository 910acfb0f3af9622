"""Samples of one network together: traces in memory, files, and folders too large to be held."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from spikex_sim.core.errors import TraceError
from spikex_sim.trace.store import file_sha256, load_chain, trace_files
from spikex_sim.trace.trace import Trace

MAX_HELD, MAX_HELD_BYTES = 256, 8 << 20
"""Most traces of a folder that are held, and bytes of their files; others are read when asked for."""


class TraceFiles(Sequence[Trace]):
    """Traces of a folder, each read whenever it is asked for.

    Parameters
    ----------
    paths : sequence of Path
        Trace files.

    Attributes
    ----------
    hashes : tuple of str
        SHA-256 of each file, as it was when this was made.

    Raises
    ------
    TraceError
        When a trace is asked for, if it is none, is of another network than the first, or was changed.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.hashes = tuple(map(file_sha256, self.paths))
        self._first = load_chain(self.paths[0])

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Trace: ...
    @overload
    def __getitem__(self, place: slice) -> list[Trace]: ...
    def __getitem__(self, place: int | slice) -> Trace | list[Trace]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        place = range(len(self))[place]
        if place == 0:
            return self._first
        trace = load_chain(self.paths[place])
        _check_like(trace, self._first)
        if trace.sha256 != self.hashes[place]:
            raise TraceError("was changed while it was replayed", where=trace.where)
        return trace


def as_traces(trace: Trace | Sequence[Trace | str | Path] | str | Path) -> Sequence[Trace]:
    """Load what is still a path, and check that all are samples of one network.

    A folder of more than :data:`MAX_HELD` traces or :data:`MAX_HELD_BYTES` is not held; its traces are read
    and checked as they come.
    """
    if isinstance(trace, TraceFiles):
        return trace
    items = [trace] if isinstance(trace, Trace | str | Path) else trace
    if not isinstance(items, Sequence) or not all(isinstance(one, Trace | str | Path) for one in items):
        raise TraceError(f"a trace is a Trace, a path or a list of them, not {type(trace).__name__}")
    if len(items) == 1 and not isinstance(items[0], Trace) and Path(items[0]).is_dir():
        paths = trace_files(items[0])
        if len(paths) > MAX_HELD or sum(path.stat().st_size for path in paths) > MAX_HELD_BYTES:
            return TraceFiles(paths)
    traces = [loaded for one in items for loaded in _loaded(one)]
    if not traces:
        raise TraceError("no traces given")
    for other in traces[1:]:
        _check_like(other, traces[0])
    return traces


def _check_like(other: Trace, first: Trace) -> None:
    if other.layers != first.layers or other.timesteps != first.timesteps:
        raise TraceError(
            f"has other layers, neurons or time points than {first.where}; samples share one network "
            "(`trace convert --like` takes it from another trace)",
            where=other.where,
        )


def _loaded(one: Trace | str | Path) -> list[Trace]:
    if isinstance(one, Trace):
        return [one]
    path = Path(one)
    return [load_chain(file) for file in (trace_files(path) if path.is_dir() else [path])]


def identities(traces: Sequence[Trace]) -> list[tuple[str, str]]:
    """Name and hash of each trace, without reading those that are not held; they go by their files."""
    if isinstance(traces, TraceFiles):
        return [(path.stem, digest) for path, digest in zip(traces.paths, traces.hashes, strict=True)]
    return [(one.name, one.sha256) for one in traces]


def describe(traces: Sequence[Trace], samples: int | None = None) -> dict[str, Any]:
    """Name, hash and size of the samples of a run, as in ``results.json``; their number if it is known."""
    hashes = [digest for _, digest in identities(traces)]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    first = traces[0]
    return {
        "name": first.name if len(traces) == 1 else f"{first.name} and {len(traces) - 1} more",
        "sha256": whole,
        "timesteps": first.timesteps,
        "samples": sum(one.samples for one in traces) if samples is None else samples,
        "source": first.source,
    }
