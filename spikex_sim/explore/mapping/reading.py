"""Reads a network to be mapped, whatever it is kept as (Section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.mapping.documents import graph_text, load_document, save_graph
from spikex_sim.explore.mapping.edge_list import load_edge_list
from spikex_sim.explore.mapping.generate import PREFIX, generated
from spikex_sim.explore.mapping.graph import NeuronGraph
from spikex_sim.explore.mapping.graphml import load_graphml
from spikex_sim.explore.mapping.text_file import MAX_FILE_BYTES, place_of
from spikex_sim.trace.npyzip import open_regular

__all__ = ["graph_text", "load_graph", "save_graph"]

Inputs = Literal["mapped", "external"]
_START_BYTES = 1 << 12


def load_graph(
    source: str | Path,
    *,
    inputs: Inputs | None = None,
    keep_zeros: bool = False,
    layers: Sequence[str] | None = None,
) -> NeuronGraph:
    """Read a network.

    Parameters
    ----------
    source : str or Path
        A file, told by its content: JSON of ours or of TENNLab, GraphML, an edge list, a trace or a NIR
        graph; or ``gen:A`` to ``gen:E`` and ``gen:nodes=...`` (see :mod:`.generate`).
    inputs : {"mapped", "external"}, optional
        Whether nodes without sources occupy columns. By default as the source has it: in graphs they do,
        unless the file counts them as external; what enters a trace or a NIR graph is external.
    keep_zeros : bool
        Keep synapses of weight 0.
    layers : sequence of str, optional
        Of a trace or a NIR graph, the layers that are mapped; what enters them from others is external.

    Raises
    ------
    ConfigError, TraceError
        In one line that names file and place.
    """
    if inputs not in (None, "mapped", "external"):
        raise ConfigError(f"wants mapped or external, not {inputs!r:.40}", field="--inputs")
    found = _graph_of(source, keep_zeros)
    if layers is not None:
        raise ConfigError("chooses layers of a trace or a NIR graph, and this is neither",
                          where=place_of(Path(source)), field="--layers")  # fmt: skip
    return with_inputs(found, inputs)


def with_inputs(graph: NeuronGraph, inputs: Inputs | None) -> NeuronGraph:
    """Give nodes without sources columns, or none; nodes without columns come last, else the order stays.

    Raises
    ------
    ConfigError
        If no node would have a column.
    """
    if inputs is None or (inputs == "mapped" and not graph.external):
        return graph
    nodes = graph.nodes
    if inputs == "mapped":
        return NeuronGraph(graph.name, nodes, 0, graph.source, graph.target, graph.spikes, graph.profiled)
    outside = np.ones(nodes, np.bool_)
    outside[graph.target] = False
    neurons = nodes - int(outside.sum())
    if not neurons:
        raise ConfigError("no node takes input from another, so that none would occupy a column",
                          where=graph.name, field="--inputs")  # fmt: skip
    order = np.argsort(outside, kind="stable")
    place = np.empty(nodes, np.int64)
    place[order] = np.arange(nodes)
    pairs = np.stack([place[graph.source], place[graph.target]], axis=1)
    source, target = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
    return NeuronGraph(graph.name, neurons, nodes - neurons, np.ascontiguousarray(source),
                       np.ascontiguousarray(target), graph.spikes[order], graph.profiled)  # fmt: skip


def _graph_of(source: str | Path, keep_zeros: bool) -> NeuronGraph:
    if isinstance(source, str) and source.startswith(PREFIX):
        return generated(source)
    path = Path(source)
    start = _start_of(path)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    where = place_of(path)
    if not text:
        raise ConfigError("is empty", where=where)
    if b"\0" in start:
        raise ConfigError("is neither text nor a trace; wants JSON, GraphML, an edge list, .npz, .h5 or .nir",
                          where=where)  # fmt: skip
    if text[:1] in b"{[":
        return load_document(path, keep_zeros=keep_zeros)
    if text[:1] == b"<":
        return load_graphml(path, keep_zeros=keep_zeros)
    return load_edge_list(path, keep_zeros=keep_zeros)


def _start_of(path: Path) -> bytes:
    with open_regular(path, MAX_FILE_BYTES, ConfigError) as handle:
        return handle.read(_START_BYTES)
