"""Networks as JSON: our own files, and those of the TENNLab framework (Section 1)."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import new_file
from spikex_sim.core.hints import one_of
from spikex_sim.explore.mapping.text_file import place_of, read_json
from spikex_sim.mapped.graph import MOST_EDGES, MOST_NODES, Integers, NeuronGraph
from spikex_sim.trace.npyheader import shown

FORMAT = "spikex-network"
VERSION = 1
MOST_SPIKES = 1 << 36
"""Most spikes of a node: sums over all synapses stay within 64 bits."""
_KEYS = ("format", "version", "name", "neurons", "external", "edges", "spikes")
_AT_A_TIME = 1 << 14


def load_document(path: Path, *, keep_zeros: bool) -> NeuronGraph:
    """Read a JSON file of either kind.

    Raises
    ------
    ConfigError
        In one line that names file and key.
    """
    where = place_of(path)
    data = read_json(path, where)
    if not isinstance(data, dict):
        raise ConfigError("is JSON, but no object that describes a network", where=where)
    if "Nodes" in data or "Edges" in data:
        return _tennlab(data, where, path.stem, keep_zeros)
    return _own(data, where, path.stem)


def save_graph(graph: NeuronGraph, path: str | Path) -> None:
    """Write the JSON file of a network; the same bytes for the same network.

    Raises
    ------
    OutputError
        If it cannot be written; then nothing is left of it.
    """
    with new_file(path) as file:
        for part in _parts(graph):
            file.write(part.encode())


def graph_text(graph: NeuronGraph) -> str:
    """What :func:`save_graph` writes."""
    return "".join(_parts(graph))


def _parts(graph: NeuronGraph) -> Iterator[str]:
    head = {
        "format": FORMAT, "version": VERSION, "name": graph.name, "neurons": graph.neurons,
        "external": graph.external,
    }  # fmt: skip
    yield json.dumps(head)[:-1] + ', "edges": ['
    for at in range(0, graph.edges, _AT_A_TIME):
        part = slice(at, at + _AT_A_TIME)
        pairs = zip(graph.source[part].tolist(), graph.target[part].tolist(), strict=True)
        yield (", " if at else "") + ", ".join(f"[{k}, {i}]" for k, i in pairs)
    yield "]"
    if graph.profiled:
        yield ', "spikes": ' + json.dumps(graph.spikes.tolist())
    yield "}\n"


def _own(data: Mapping[str, Any], where: str, stem: str) -> NeuronGraph:
    form, version = data.get("format"), data.get("version")
    if form != FORMAT:
        raise ConfigError(f"is {form!r:.60}, not '{FORMAT}'", where=where, field="format")
    if version != VERSION or isinstance(version, bool):
        raise ConfigError(f"this release reads version {VERSION}, not {version!r:.40}",
                          where=where, field="version")  # fmt: skip
    for key in data:
        if key not in _KEYS:
            raise ConfigError(one_of(key, _KEYS), where=where)
    neurons, external = (_size(data, key, where) for key in ("neurons", "external"))
    if neurons + external > MOST_NODES:
        raise ConfigError(f"{neurons + external:,} nodes are more than {MOST_NODES:,}", where=where)
    pairs = data.get("edges")
    if not isinstance(pairs, list):
        raise ConfigError("wants a list of [source, target]", where=where, field="edges")
    check_edges(len(pairs), where)
    ends = array("q")
    for at, pair in enumerate(pairs):
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not int or type(pair[1]) is not int:
            raise ConfigError(f"wants [source, target], not {shown(repr(pair)[:80], 60)}",
                              where=where, field=f"edges[{at}]")  # fmt: skip
        ends.extend(pair)
    spikes = data.get("spikes")
    if spikes is not None:
        _check_spikes(spikes, where)
    name = data.get("name", stem)
    if not isinstance(name, str) or not name.isprintable() or len(name) > 200:
        raise ConfigError("wants printable text of at most 200 characters", where=where, field="name")
    return NeuronGraph.of(name, neurons, external, pairs_of(ends), spikes, where=where)


def _size(data: Mapping[str, Any], key: str, where: str) -> int:
    value = data.get(key, 0 if key == "external" else None)
    if type(value) is not int or not 0 <= value <= MOST_NODES:
        raise ConfigError(f"wants a whole number up to {MOST_NODES:,}, not {value!r:.40}",
                          where=where, field=key)  # fmt: skip
    return value


def _check_spikes(spikes: Any, where: str) -> None:
    if not isinstance(spikes, list):
        raise ConfigError("wants a list of numbers", where=where, field="spikes")
    for at, value in enumerate(spikes):
        if type(value) is not int or not 0 <= value <= MOST_SPIKES:
            raise ConfigError(f"wants a whole number up to {MOST_SPIKES:,}, not {value!r:.40}",
                              where=where, field=f"spikes[{at}]")  # fmt: skip


def _tennlab(data: Mapping[str, Any], where: str, stem: str, keep_zeros: bool) -> NeuronGraph:
    """Ids become places in ascending order; a synapse's weight is where the properties say that it is."""
    numbers = _ids(data.get("Nodes"), where)
    edges = data.get("Edges", [])
    if not isinstance(edges, list):
        raise ConfigError("wants a list of edges", where=where, field="Edges")
    check_edges(len(edges), where)
    place = None if keep_zeros else _weight_place(data.get("Properties"))
    ends = array("q")
    for at, edge in enumerate(edges):
        if not isinstance(edge, dict):
            raise ConfigError("wants from and to", where=where, field=f"Edges[{at}]")
        for key in ("from", "to"):
            if type(edge.get(key)) is not int or edge[key] not in numbers:
                what = (
                    f"names node {edge.get(key)!r:.40}, which is not there" if key in edge else "is missing"
                )
                raise ConfigError(what, where=where, field=f"Edges[{at}].{key}")
        if keep_zeros or _weight(edge, place, where, at) != 0:
            ends.extend((numbers[edge["from"]], numbers[edge["to"]]))
    return NeuronGraph.of(shown(stem), len(numbers), 0, pairs_of(ends), where=where)


def _ids(nodes: Any, where: str) -> dict[int, int]:
    if not isinstance(nodes, list) or not nodes:
        raise ConfigError("wants a list of nodes", where=where, field="Nodes")
    if len(nodes) > MOST_NODES:
        raise ConfigError(f"{len(nodes):,} nodes are more than {MOST_NODES:,}", where=where, field="Nodes")
    ids: set[int] = set()
    for at, node in enumerate(nodes):
        one = node.get("id") if isinstance(node, dict) else None
        if type(one) is not int:
            raise ConfigError(f"wants a whole number, not {one!r:.40}", where=where, field=f"Nodes[{at}].id")
        if one in ids:
            raise ConfigError(f"{one} is the id of two nodes", where=where, field=f"Nodes[{at}].id")
        ids.add(one)
    return {one: number for number, one in enumerate(sorted(ids))}


def _weight_place(properties: Any) -> int | None:
    """Place of the weight among an edge's values; None if the file does not say it."""
    described = properties.get("edge_properties") if isinstance(properties, dict) else None
    for one in described if isinstance(described, list) else ():
        named = isinstance(one, dict) and str(one.get("name", ""))[:20].lower() == "weight"
        if named and type(one.get("index")) is int and 0 <= one["index"] < 1 << 16:
            place: int = one["index"]
            return place
    return None


def _weight(edge: Mapping[str, Any], place: int | None, where: str, at: int) -> float:
    """Weight of an edge, 1 where the file has none."""
    field, value = "weight", edge.get("weight", 1)
    values = edge.get("values")
    if "weight" not in edge and place is not None and values is not None:
        field = f"values[{place}]"
        value = values[place] if isinstance(values, list) and place < len(values) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"wants a number, not {value!r:.40}", where=where, field=f"Edges[{at}].{field}")
    return value


def check_edges(count: int, where: str, at: str = "edges") -> None:
    """Refuse more edges than are mapped."""
    if count > MOST_EDGES:
        raise ConfigError(f"{count:,} edges are more than {MOST_EDGES:,}", where=where, field=at)


def pairs_of(ends: array[int]) -> Integers:
    """Sources and targets that alternate, as ``[edges, 2]``."""
    return np.frombuffer(ends, np.int64).reshape(-1, 2) if len(ends) else np.zeros((0, 2), np.int64)
