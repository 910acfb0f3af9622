"""Networks as GraphML (Section 1), read by a parser that expands nothing.

The reader is our own, over expat, rather than that of networkx: that one builds the whole tree of a file in
memory and expands its entities, and would be a dependency for forty lines of handlers.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.memory import check_memory
from spikex_sim.explore.mapping.documents import check_edges, pairs_of
from spikex_sim.explore.mapping.text_file import MAX_FILE_BYTES, number_of, place_of
from spikex_sim.mapped.graph import MOST_NODES, Integers, NeuronGraph
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

CHUNK_BYTES = 1 << 16
MOST_OPEN_BYTES = 1 << 20
"""Longest tag, comment or text; the parser holds it until it ends."""
MOST_DEPTH = 32
MOST_TEXT = 64
"""Most characters of a weight."""
MOST_ID = 1 << 10
"""Most characters of an id."""
BYTES_A_BYTE = 24
"""Memory for a byte of the file: ``<node id="1"/>``, 14 bytes, takes some 300: its name, two tables."""
_DIRECTED = {"true": True, "1": True, "false": False, "0": False}


def load_graphml(path: Path, *, keep_zeros: bool) -> NeuronGraph:
    """Read a directed graph; nodes are numbered in the order of the file.

    An edge's weight is its data of the key called ``weight``. Document types are refused before anything that
    they declare is looked at, so that there are no entities to expand, and nothing is fetched.

    Raises
    ------
    ConfigError
        Naming the line.
    """
    where = place_of(path)
    reader = _Reader(where, keep_zeros)
    with open_regular(path, MAX_FILE_BYTES, ConfigError) as handle:
        check_memory(BYTES_A_BYTE * path.stat().st_size, "the network", where=where)
        given = 0
        try:
            while chunk := handle.read(CHUNK_BYTES):
                given += len(chunk)
                reader.parser.Parse(chunk)
                if given - reader.parser.CurrentByteIndex > MOST_OPEN_BYTES:
                    raise reader.wrong(f"a tag or text of more than {MOST_OPEN_BYTES:,} bytes")
            reader.parser.Parse(b"", True)
        except expat.ExpatError as exc:
            raise ConfigError(f"is no XML: {expat.ErrorString(exc.code)}",
                              where=where, field=f"line {exc.lineno}") from None  # fmt: skip
    return reader.graph(shown(path.stem))


class _Reader:
    """Takes elements as they come; holds ids, ends of edges and nothing else."""

    def __init__(self, where: str, keep_zeros: bool) -> None:
        self.where, self.keep_zeros = where, keep_zeros
        # The encoding that a file declares could name any codec.
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.namespace: str | None = None
        self.open: list[str] = []
        self.graphs = 0
        self.numbers: dict[str, int] = {}
        """Of every id, in the order in which it was first seen."""
        self.order: dict[int, int] = {}
        """Place among the nodes, of those declared."""
        self.missing: dict[str, int] = {}
        """Line at which an id was taken that no node had yet."""
        self.ends = array("q")
        self.weights: dict[str, str] = {}
        """Keys that are weights of edges, and what they are by default."""
        self.edge: tuple[int, int] | None = None
        self.weight = ""
        self.default_of = self.data_of = ""

    def wrong(self, message: str) -> ConfigError:
        """A complaint about the line that is read."""
        return ConfigError(message, where=self.where, field=f"line {self.parser.CurrentLineNumber}")

    def graph(self, name: str) -> NeuronGraph:
        """What was read, once all is."""
        for one, line in self.missing.items():
            raise ConfigError(f"names the node {shown(one, 40)!r}, which is not there",
                              where=self.where, field=f"line {line}")  # fmt: skip
        if not self.graphs:
            raise ConfigError("has no graph", where=self.where)
        pairs = pairs_of(self.ends)
        return NeuronGraph.of(name, len(self.order), 0, self._ordered()[pairs] if len(pairs) else pairs,
                              where=self.where)  # fmt: skip

    def _ordered(self) -> Integers:
        found = np.zeros(len(self.order), np.int64)
        for number, place in self.order.items():
            found[number] = place
        return found

    def _doctype(self, *_: object) -> None:
        raise self.wrong("has a document type, which could declare entities; remove it")

    def _start(self, full: str, attributes: Mapping[str, str]) -> None:
        namespace, _, name = full.rpartition(" ")
        if self.namespace is None:
            if name != "graphml":
                raise self.wrong(f"is XML of the kind {shown(name, 40)!r}, not graphml")
            self.namespace = namespace
        if len(self.open) >= MOST_DEPTH:
            raise self.wrong(f"more than {MOST_DEPTH} elements in each other")
        self.open.append(name if namespace == self.namespace else "")
        if namespace == self.namespace:
            handler = getattr(self, f"_on_{name}", None) if name in _KNOWN else None
            if handler is not None:
                handler(attributes)

    def _end(self, _: str) -> None:
        name = self.open.pop()
        if name == "data":
            self.data_of = ""
        elif name == "key":
            self.default_of = ""
        elif name == "edge":
            assert self.edge is not None
            value = number_of(self.weight.strip()) if self.weight.strip() else 1.0
            if value is None:
                raise self.wrong(f"the weight {shown(self.weight.strip(), 40)!r} is no number")
            if value != 0 or self.keep_zeros:
                self.ends.extend(self.edge)
                check_edges(len(self.ends) // 2, self.where, f"line {self.parser.CurrentLineNumber}")
            self.edge = None

    def _text(self, text: str) -> None:
        if self.data_of and self.open[-1] == "data":
            self.weight += text
            if len(self.weight) > MOST_TEXT:
                raise self.wrong("the weight is no number")
        elif self.default_of and self.open[-1] == "default":
            self.weights[self.default_of] += text
            if len(self.weights[self.default_of]) > MOST_TEXT:
                raise self.wrong("the weight is no number")

    def _on_key(self, given: Mapping[str, str]) -> None:
        is_weight = given.get("attr.name", "")[:20].lower() == "weight"
        if is_weight and given.get("for", "all") in ("edge", "all"):
            self.default_of = self._id(given, "id")
            self.weights[self.default_of] = ""

    def _on_graph(self, given: Mapping[str, str]) -> None:
        self.graphs += 1
        if self.graphs > 1:
            raise self.wrong("has a second graph; one is read, without graphs in it")
        if given.get("edgedefault") != "directed":
            default = shown(given.get("edgedefault", "missing"), 20)
            raise self.wrong(f"edgedefault is {default}; wants a directed graph: who takes input from whom")

    def _on_node(self, given: Mapping[str, str]) -> None:
        one = self._id(given, "id")
        number = self.numbers.setdefault(one, len(self.numbers))
        if number in self.order:
            raise self.wrong(f"{shown(one, 40)!r} is the id of two nodes")
        self.order[number] = len(self.order)
        self.missing.pop(one, None)
        self._check_nodes()

    def _on_edge(self, given: Mapping[str, str]) -> None:
        if self.edge is not None or not self.graphs:
            raise self.wrong("has an edge where none belongs: in an edge, or before the graph")
        directed = given.get("directed", "true")
        if not _DIRECTED.get(directed, False):
            raise self.wrong(f"directed is {shown(directed, 20)}; wants directed edges alone")
        source, target = (self._number(self._id(given, end)) for end in ("source", "target"))
        self.edge = source, target
        self.weight = next(iter(self.weights.values()), "")

    def _on_data(self, given: Mapping[str, str]) -> None:
        if self.edge is not None and self.open[-2:-1] == ["edge"] and given.get("key") in self.weights:
            self.data_of, self.weight = given["key"], ""

    def _on_hyperedge(self, _: Mapping[str, str]) -> None:
        raise self.wrong("has a hyperedge; wants edges from one node to another")

    def _id(self, given: Mapping[str, str], key: str) -> str:
        one = given.get(key, "")
        if not 1 <= len(one) <= MOST_ID:
            raise self.wrong(f"{key} is missing, or longer than {MOST_ID} characters")
        return one

    def _number(self, one: str) -> int:
        number = self.numbers.setdefault(one, len(self.numbers))
        if number not in self.order:
            self.missing.setdefault(one, self.parser.CurrentLineNumber)
            self._check_nodes()
        return number

    def _check_nodes(self) -> None:
        if len(self.numbers) > MOST_NODES:
            raise self.wrong(f"more than {MOST_NODES:,} nodes")


_KNOWN = ("key", "graph", "node", "edge", "data", "hyperedge")
