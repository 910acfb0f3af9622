"""Trained networks that are graphs: what traces of version 2 hold but the input, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from spikex_sim.core.errors import TraceError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.sources.weight_files import (
    FORMAT,
    WeightMeta,
    check_size,
    located,
    meta_of,
    names_in,
    open_weights,
    parsed,
    save_weights,
)
from spikex_sim.spec.graph import InputNode, Node, Population, describe_node
from spikex_sim.spec.graph_networks import GraphNetwork
from spikex_sim.trace.graph import GraphTrace, nodes_of
from spikex_sim.trace.graph_arrays import check_array, declared, weight_key
from spikex_sim.trace.meta import MAX_META_CHARS, MAX_NODES, parse_json
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import NpyZip
from spikex_sim.trace.trace import frozen_array
from spikex_sim.trace.wiring import Wiring, wired

FOLDER = "graphs"


class _Meta(WeightMeta):
    """The ``meta`` entry of a file of weights, format version 2."""

    version: Literal[2]
    nodes: Annotated[list[Any], Field(min_length=1, max_length=MAX_NODES)]


@dataclass(frozen=True, eq=False)
class TrainedGraph:
    """A trained network of the integer datapath that takes numbers, as images.

    Attributes
    ----------
    name : str
        Name shown in results.
    network : str
        Network preset or file that it was made from.
    timesteps : int
        Time points ``T`` that it was trained for.
    nodes : tuple of Node
        In order; one input of analog values, the last node is the output.
    arrays : mapping of str to array
        Weights, biases and numbers of neurons by the keys of trace files; read-only.
    card : dict
        Where it comes from (data, seeds, epochs, accuracy, ...), as JSON holds it.
    file_sha256 : str
        SHA-256 of the file it was read from; empty if made in memory.
    where : str
        File or object named in messages.

    Raises
    ------
    TraceError
        If nodes and arrays do not belong together.
    """

    name: str
    network: str
    timesteps: int
    nodes: tuple[Node, ...]
    arrays: Mapping[str, NDArray[Any]]
    card: Mapping[str, Any] = field(default_factory=dict)
    file_sha256: str = ""
    where: str = "weights"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        arrays = {key: frozen_array(array) for key, array in self.arrays.items()}
        object.__setattr__(self, "arrays", FrozenMap(arrays))
        _check_arrays(self.wiring, set(arrays), self.where)
        image = self.input
        self.trace(np.zeros((image.shape + (1,) * 3)[:3], np.int32))  # what is wrong elsewhere is said here

    @cached_property
    def wiring(self) -> Wiring:
        """How the nodes fit together."""
        return wired(self.nodes, self.timesteps, self.where)

    @property
    def input(self) -> InputNode:
        """What the network sees."""
        return next(node for node in self.nodes if isinstance(node, InputNode))

    def described(self) -> GraphNetwork:
        """Nodes and time points without what was trained."""
        nodes = tuple(describe_node(node) for node in self.nodes)
        return GraphNetwork(self.network, self.timesteps, nodes)

    def trace(
        self,
        values: NDArray[Any],
        name: str | None = None,
        label: int | tuple[int, ...] | None = None,
        source: str = "",
    ) -> GraphTrace:
        """Make a closed-loop trace of this network for what enters it.

        Parameters
        ----------
        values : integer array, ``[C, H, W]`` or ``[S, C, H, W]``
            Numbers of the input: pixels of 0 to 255, less 128 if its values are signed.
        name : str, optional
            Of the trace; default: the network's.
        label : int or tuple of int, optional
            Class of the sample, or of each.
        source : str, optional
            Where the values come from.
        """
        meta: dict[str, Any] = {
            "name": self.name if name is None else name,
            "timesteps": self.timesteps,
            "source": f"{source}{'; ' if source else ''}{self.name}, trained",
            "nodes": [describe_node(node) for node in self.nodes],
        }
        if values.ndim == 4:
            meta["samples"] = len(values)
        given = {f"{self.input.name}/values": np.asarray(values, np.int32)}
        return GraphTrace.from_arrays(meta, {**self.arrays, **given}, label=label, where=self.where)


def shipped_graph_names() -> list[str]:
    """Names of the trained graphs that come with the package."""
    return names_in(FOLDER)


def is_trained_graph(path: str | Path) -> bool:
    """Whether a file is of weights in format version 2; one that cannot be read is not."""
    path = Path(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    with suppress(TraceError), open_weights(path) as archive:
        found = parse_json(archive.text("meta", MAX_META_CHARS), shown(path, 400))
        return isinstance(found, dict) and found.get("format") == FORMAT and found.get("version") == 2
    return False


def load_trained_graph(path_or_name: str | Path) -> TrainedGraph:
    """Read a trained graph: one that comes with the package, or a file.

    Parameters
    ----------
    path_or_name : str or Path
        Name of :func:`shipped_graph_names`, such as ``mnist``, or an ``.npz`` in format version 2.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    with open_weights(located(path_or_name, FOLDER, "trained graph")) as archive:
        return _read(archive)


def save_trained_graph(trained: TrainedGraph, path: str | Path) -> None:
    """Write a trained graph: complete or not at all, with the same bytes for the same network.

    Raises
    ------
    TraceError
        If the file could not be read again.
    OutputError
        If it cannot be written.
    """
    meta = {
        "version": 2,
        "name": trained.name,
        "network": trained.network,
        "timesteps": trained.timesteps,
        "nodes": [describe_node(node) for node in trained.nodes],
        "card": dict(trained.card),
    }
    save_weights(path, meta, trained.arrays, _parse_meta)


def _parse_meta(text: str, where: str) -> _Meta:
    return parsed(_Meta, text, where, "version 2")


def _read(archive: NpyZip) -> TrainedGraph:
    where, meta = archive.where, meta_of(archive, _parse_meta)
    nodes = nodes_of(meta.nodes, where, "meta.nodes")
    wiring = wired(nodes, meta.timesteps, where)
    keys = [key for key in archive.keys if key != "meta"]
    total = 0
    for key in keys:
        wanted, found = declared(wiring, key, meta.timesteps, where), archive.declared(key)
        check_array(wanted, found.dtype, found.shape, samples=None, file=True, where=where, field=shown(key))
        total += found.nbytes
    check_size(total, where)
    return TrainedGraph(
        name=meta.name,
        network=meta.network,
        timesteps=meta.timesteps,
        nodes=nodes,
        arrays={key: archive.read(key) for key in keys},
        card=meta.card,
        file_sha256=archive.sha256,
        where=where,
    )


def _check_arrays(wiring: Wiring, keys: set[str], where: str) -> None:
    """Check that the network takes one input of numbers, has its weights, and holds no recording."""
    inputs = [node for node in wiring.nodes.values() if isinstance(node, InputNode)]
    if len(inputs) != 1 or inputs[0].values is None or not inputs[0].values.constant:
        raise TraceError("trained graphs take one input, of constant values", where=where, field="meta.nodes")
    for key in sorted(keys):
        if key.endswith(("/spikes", "/values")):
            raise TraceError("is no part of a trained network", where=where, field=shown(key))
    for node in wiring.nodes.values():
        if not isinstance(node, Population):
            continue
        if node.datapath != "int":
            raise TraceError(
                "trained networks are of the integer datapath", where=where, field=f"meta.nodes.{node.name}"
            )
        for k, synapse in enumerate(node.synapses):
            wanted = weight_key(node.name, k)
            if not synapse.own and synapse.weight_of is None and wanted not in keys:
                raise TraceError("is missing", where=where, field=wanted)
