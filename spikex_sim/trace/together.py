"""Samples of one network together: traces in memory, files, and folders too large to be held."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.graph import MatmulNode, Population
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.store import file_sha256, load_trace, trace_files
from spikex_sim.trace.trace import Trace

AnyTrace = Trace | GraphTrace

MAX_HELD, MAX_HELD_BYTES = 256, 8 << 20
"""Most traces of a folder that are held, and bytes of their files; others are read when asked for."""


class TraceFiles(Sequence[AnyTrace]):
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
        self._first = load_trace(self.paths[0])

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> AnyTrace: ...
    @overload
    def __getitem__(self, place: slice) -> list[AnyTrace]: ...
    def __getitem__(self, place: int | slice) -> AnyTrace | list[AnyTrace]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        place = range(len(self))[place]
        if place == 0:
            return self._first
        trace = load_trace(self.paths[place])
        _check_like(trace, self._first)
        if trace.sha256 != self.hashes[place]:
            raise TraceError("was changed while it was replayed", where=trace.where)
        return trace


def as_traces(trace: AnyTrace | Sequence[AnyTrace | str | Path] | str | Path) -> Sequence[AnyTrace]:
    """Load what is still a path, and check that all are samples of one network.

    A folder of more than :data:`MAX_HELD` traces or :data:`MAX_HELD_BYTES` is not held; its traces are read
    and checked as they come.
    """
    if isinstance(trace, TraceFiles):
        return trace
    items = [trace] if isinstance(trace, AnyTrace | str | Path) else trace
    if not isinstance(items, Sequence) or not all(isinstance(one, AnyTrace | str | Path) for one in items):
        raise TraceError(f"a trace is a Trace, a path or a list of them, not {type(trace).__name__}")
    if len(items) == 1 and not isinstance(items[0], AnyTrace) and Path(items[0]).is_dir():
        paths = trace_files(items[0])
        if len(paths) > MAX_HELD or sum(path.stat().st_size for path in paths) > MAX_HELD_BYTES:
            return TraceFiles(paths)
    traces = [loaded for one in items for loaded in _loaded(one)]
    if not traces:
        raise TraceError("no traces given")
    for other in traces[1:]:
        _check_like(other, traces[0])
    return traces


def as_chains(trace: AnyTrace | Sequence[AnyTrace | str | Path] | str | Path, what: str) -> Sequence[Trace]:
    """Load likewise what has to be chains of layers; ``what`` takes nothing else.

    Raises
    ------
    TraceError
        Also for a graph.
    """
    traces = as_traces(trace)
    found = traces[0]
    if isinstance(found, GraphTrace):
        raise TraceError(f"is a graph (format version 2); {what} takes chains of layers", where=found.where)
    return traces  # type: ignore[return-value]  # samples of one network are of one kind


def _check_like(other: AnyTrace, first: AnyTrace) -> None:
    if _network_of(other) != _network_of(first) or other.timesteps != first.timesteps:
        raise TraceError(
            f"has other layers, neurons or time points than {first.where}; samples share one network "
            "(`trace synth --like FILE` and `trace convert --like FILE` take it from another trace)",
            where=other.where,
        )


def layer_names(trace: AnyTrace) -> list[str]:
    """Names of the conv and linear layers of a chain, or of the nodes of a graph that take cycles."""
    if isinstance(trace, GraphTrace):
        return [node.name for node in trace.nodes if isinstance(node, Population | MatmulNode)]
    return [layer.name for layer in trace.layers if not layer.is_pool]


def _network_of(trace: AnyTrace) -> object:
    return trace.nodes if isinstance(trace, GraphTrace) else trace.layers


def _loaded(one: AnyTrace | str | Path) -> list[AnyTrace]:
    if isinstance(one, AnyTrace):
        return [one]
    path = Path(one)
    return [load_trace(file) for file in (trace_files(path) if path.is_dir() else [path])]


def identities(traces: Sequence[AnyTrace]) -> list[tuple[str, str]]:
    """Name and hash of each trace, without reading those that are not held; they go by their files."""
    if isinstance(traces, TraceFiles):
        return [(path.stem, digest) for path, digest in zip(traces.paths, traces.hashes, strict=True)]
    return [(one.name, one.sha256) for one in traces]


def described_nodes(trace: AnyTrace) -> list[dict[str, Any]]:
    """What a network is made of, in the order in which it is computed, as in ``results.json``.

    Parameters
    ----------
    trace : Trace or GraphTrace

    Returns
    -------
    list of dict
        ``name``; ``kind``, ``input`` of what enters; ``carries`` and ``shape`` ``[C, H, W]`` or ``[N]`` of
        what a node gives; ``sources``, places in the list of what it takes: its own of what comes back to it.
    """
    if isinstance(trace, GraphTrace):
        places = {node.name: place for place, node in enumerate(trace.nodes)}
        return [
            {
                "name": node.name,
                "kind": node.kind,
                "carries": trace.carries(node.name),
                "shape": list(trace.shape(node.name)),
                "sources": [places[one] for one in dict.fromkeys(node.sources)],
            }
            for node in trace.nodes
        ]
    shapes = [trace.layers[0].input_shape, *(layer.output_shape for layer in trace.layers)]
    named = [("input", "input"), *((layer.name, layer.kind) for layer in trace.layers)]
    return [
        {
            "name": name,
            "kind": kind,
            "carries": "spikes",
            "shape": list(shapes[place]),
            "sources": [place - 1] if place else [],
        }
        for place, (name, kind) in enumerate(named)
    ]


def describe(traces: Sequence[AnyTrace], samples: int | None = None) -> dict[str, Any]:
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
