"""Reading ``.nir`` files: a graph of nodes in HDF5, of which nothing is believed.

The layout is that of the package nir 1.0 (Pedersen et al., Nature Communications 15, 8122, 2024), which is
not needed to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.trace.hdf5 import Hdf5Arrays, open_hdf5
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import open_regular

MAX_GRAPH_BYTES = 4 << 30
"""Most bytes of one file, and of all arrays in it."""
MAX_NODES = 4096
"""Most nodes and edges of a graph."""
MAX_NAME_CHARS = 200
_DEPTH = 12


@dataclass(frozen=True, eq=False)
class Node:
    """One node of a graph.

    Attributes
    ----------
    name, kind : str
        Its key in the graph, and its type, such as ``"LIF"``.
    values : mapping of str to array or str
        Its parameters.
    where : str
        File named in messages.
    """

    name: str
    kind: str
    values: Mapping[str, NDArray[Any] | str]
    where: str

    def error(self, message: str, key: str = "") -> TraceError:
        """A complaint about this node, or about one of its parameters."""
        field = f"node {shown(self.name)} ({shown(self.kind, 40)})"
        return TraceError(message, where=self.where, field=f"{field}: {key}" if key else field)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """A parameter as numbers, finite ones."""
        if key not in self.values:
            raise self.error("is missing", key)
        values = self.values[key]
        if isinstance(values, str):
            raise self.error(f"must be numbers, not '{shown(values, 40)}'", key)
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = np.asarray(values, np.float64)
        if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0) > np.finfo(np.float32).max:
            raise self.error("holds NaN, infinite or absurdly large values", key)
        return numbers

    def pair(self, key: str) -> tuple[int, int]:
        """A parameter as two whole numbers; one stands for both."""
        values = self.numbers(key).ravel()
        if len(values) not in (1, 2) or (values != np.floor(values)).any() or np.abs(values).max() > 1 << 20:
            raise self.error("must be one or two whole numbers", key)
        return int(values[0]), int(values[-1])


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name, and edges between them."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    where: str


def read_graph(path: str | Path) -> Graph:
    """Read a graph.

    Parameters
    ----------
    path : str or Path
        ``.nir`` file.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the key.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_GRAPH_BYTES):
        pass
    with open_hdf5(path, where, _DEPTH) as file:
        return _graph(file, where)


def _graph(file: Hdf5Arrays, where: str) -> Graph:
    keys = set(file.keys)
    if not {"node/type", "node/edges"} <= keys or file.text("node/type", MAX_NAME_CHARS) != "NIRGraph":
        raise TraceError("is no NIR graph: node/type or node/edges is missing or different", where=where)
    grouped: dict[str, dict[str, list[str]]] = {}
    total = 0
    for key in file.keys:
        prefix, _, name = key.rpartition("/")
        graph, _, node = prefix.rpartition("/nodes/")
        if graph and "/" not in node:
            grouped.setdefault(graph, {}).setdefault(node, []).append(name)
            if not file.is_text(key):
                total += file.declared(key).nbytes
    if sum(map(len, grouped.values())) > MAX_NODES:
        count = sum(map(len, grouped.values()))
        raise TraceError(f"has {count} nodes; {MAX_NODES} are read", where=where, field="node/nodes")
    if total > MAX_GRAPH_BYTES:
        message = f"its arrays take {human_bytes(total)}; {human_bytes(MAX_GRAPH_BYTES)} are read"
        raise TraceError(message, where=where)
    nodes, edges = _nodes(file, "node", "", grouped, where)
    return Graph(nodes, tuple(edges), where)


def _nodes(
    file: Hdf5Arrays, path: str, prefix: str, grouped: Mapping[str, Mapping[str, list[str]]], where: str
) -> tuple[dict[str, Node], dict[tuple[str, str], None]]:
    """Nodes of a graph and of those in it, ``graph.node``, whose inputs and outputs pass on what they get."""
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], None] = {}
    enters, leaves = {}, {}
    for name, parameters in grouped.get(path, {}).items():
        node = _node(file, f"{path}/nodes/{name}", prefix + name, parameters, where)
        enters[name] = leaves[name] = node.name
        if node.kind != "NIRGraph":
            nodes[node.name] = node
            continue
        inner, inside = _nodes(file, f"{path}/nodes/{name}", f"{node.name}.", grouped, where)
        ends = {
            kind: [one.name for one in inner.values() if one.kind == kind] for kind in ("Input", "Output")
        }
        if not all(len(found) == 1 for found in ends.values()):
            raise node.error("is a graph in the graph, and has no single input and output")
        enters[name], leaves[name] = ends["Input"][0], ends["Output"][0]
        for one in (enters[name], leaves[name]):
            inner[one] = replace(inner[one], kind="Through")
        nodes |= inner
        edges |= inside
    for pair in file.pairs(f"{path}/edges", MAX_NAME_CHARS, MAX_NODES):
        for name in pair:
            if name not in enters:
                message = f"names a node '{shown(name)}' that is not there"
                raise TraceError(message, where=where, field=f"{path}/edges")
        edges[leaves[pair[0]], enters[pair[1]]] = None
    return nodes, edges


def _node(file: Hdf5Arrays, path: str, name: str, parameters: list[str], where: str) -> Node:
    if not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise TraceError("has a name that cannot be shown", where=where, field=shown(path))
    if "type" not in parameters:
        raise TraceError("is missing", where=where, field=shown(f"{path}/type"))
    kind = file.text(f"{path}/type", MAX_NAME_CHARS)
    values: dict[str, NDArray[Any] | str] = {}
    for key in [] if kind == "NIRGraph" else sorted(set(parameters) - {"type"}):
        place = f"{path}/{key}"
        values[key] = file.text(place, MAX_NAME_CHARS) if file.is_text(place) else file.read(place)
    return Node(name, kind, values, where)
