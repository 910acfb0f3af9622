"""Reads a network to be mapped, whatever it is kept as (Section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.mapping.documents import graph_text, load_document, save_graph
from spikex_sim.explore.mapping.edge_list import load_edge_list
from spikex_sim.explore.mapping.generate import PREFIX, generated
from spikex_sim.explore.mapping.graphml import load_graphml
from spikex_sim.explore.mapping.text_file import place_of
from spikex_sim.mapped.graph import Inputs, NeuronGraph, with_inputs
from spikex_sim.mapped.unroll import Unrolled, unrolled
from spikex_sim.sources.frameworks.nir import load_nir
from spikex_sim.trace.hdf5 import open_hdf5
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular
from spikex_sim.trace.store import MAX_TRACE_BYTES, load_trace
from spikex_sim.trace.together import AnyTrace

__all__ = ["graph_text", "load_graph", "read_network", "save_graph"]

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
    return read_network(source, inputs=inputs, keep_zeros=keep_zeros, layers=layers).graph


def read_network(
    source: str | Path,
    *,
    inputs: Inputs | None = None,
    keep_zeros: bool = False,
    layers: Sequence[str] | None = None,
) -> Unrolled:
    """Read a network, and which of its nodes are which layer's; see :func:`load_graph`.

    Files of graphs have no layers. Where inputs of layers get columns, their nodes keep their numbers.
    """
    if inputs not in (None, "mapped", "external"):
        raise ConfigError(f"wants mapped or external, not {inputs!r:.40}", field="--inputs")
    found = _network_of(source, keep_zeros, layers)
    if isinstance(found, Unrolled):
        # What layers are made of are neurons, whatever their weights: only what enters them is chosen here.
        graph = found.graph if inputs == "external" else with_inputs(found.graph, inputs)
        parts = [replace(part, external=False) if inputs == "mapped" else part for part in found.parts]
        return replace(found, graph=graph, parts=tuple(parts))
    if layers is not None:
        raise ConfigError("chooses layers of a trace or a NIR graph, and this is neither",
                          where=shown(source, 400), field="--layers")  # fmt: skip
    return Unrolled(with_inputs(found, inputs), ())


def _network_of(source: str | Path, keep_zeros: bool, layers: Sequence[str] | None) -> NeuronGraph | Unrolled:
    if isinstance(source, str) and source.startswith(PREFIX):
        return generated(source)
    path = Path(source)
    start = _start_of(path)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    where = place_of(path)
    if not text:
        raise ConfigError("is empty", where=where)
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return unrolled(load_trace(path), keep_zeros=keep_zeros, layers=layers)
    if start.startswith(b"\x89HDF\r\n"):
        return unrolled(_hdf5(path, where), keep_zeros=keep_zeros, layers=layers)
    if b"\0" in start:
        raise ConfigError("is neither text nor a trace; wants JSON, GraphML, an edge list, .npz, .h5 or .nir",
                          where=where)  # fmt: skip
    if text[:1] in b"{[":
        return load_document(path, keep_zeros=keep_zeros)
    if text[:1] == b"<":
        return load_graphml(path, keep_zeros=keep_zeros)
    return load_edge_list(path, keep_zeros=keep_zeros)


def _hdf5(path: Path, where: str) -> AnyTrace:
    """Trace that a file is, or what a NIR graph is as a trace with a silent input of one time point."""
    with open_hdf5(path, where, depth=12) as file:
        is_trace = "meta" in file.keys
    if is_trace:
        return load_trace(path)
    network = load_nir(path)
    shape = next(node["shape"] for node in network.nodes if node["kind"] == "input")
    silence = np.zeros((1, *shape, 1), np.uint8)
    return network.trace(silence, 1, batched=False, name=shown(path.stem), source="")


def _start_of(path: Path) -> bytes:
    with open_regular(path, 2 * MAX_TRACE_BYTES, ConfigError) as handle:
        return handle.read(_START_BYTES)
