"""Networks of two cells as graphs of integer neurons and currents, to train and to replay (Section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.forms import Form, Sum, Term
from spikex_sim.explore.nas.macro import COLOURS, KERNEL, Macro
from spikex_sim.spec.graph_networks import DIRECT, Described, GraphNetwork

PIXEL_SHIFT = 6
"""By which sums of pixels are shifted: they deviate then about as much as those of spikes."""
NINTH, NINTH_SHIFT = 7, 6
"""A ninth as a number and a shift: 7/64 is 1.6 % less. Larger numbers leave what float32 adds exactly."""
HALVED = 2
"""Side of the average behind down."""


def graph_of(macro: Macro, a: Form, b: Form, name: str) -> GraphNetwork:
    """Write a network of two cells as a graph of the integer datapath.

    Parameters
    ----------
    macro : Macro
        The network around the cells.
    a, b : Form
        Cells.
    name : str
        Of the network.

    Returns
    -------
    GraphNetwork
        Populations are named as in :class:`~spikex_sim.training.cells.CellNetwork`, those of alike
        convolutions after the first; thresholds are left open, for training. Its ``averages`` name the
        convolution of down, whose kernel takes in the average behind it.

    Raises
    ------
    ConfigError
        If nothing reaches the output of a cell, or the neurons keep nothing from one time point to the next.
    """
    made = _Nodes(leak_shift_of(macro.tau))
    side, C = macro.dataset.side, macro.channels
    made.add({"name": "image", "kind": "input", "shape": [COLOURS, side, side],
              "values": DIRECT | {"scale": 1 / 128}})  # fmt: skip
    stem, _ = macro.convolutions((), ())
    stride = {} if stem.stride == 1 else {"stride": stem.stride}
    x = _square("image", KERNEL) | stride | {"shift": PIXEL_SHIFT}
    _Cell(made, "a", a, C, "stem", x).feed("down")
    down = {"from": "down", "kind": "conv", "kernel": KERNEL + HALVED - 1, "stride": HALVED, "padding": 1}
    _Cell(made, "b", b, 2 * C, "down.conv", down).feed("last")
    flat = "last"
    if macro.pool > 1:
        flat = "last.mean"
        made.add({"name": flat, "kind": "avgpool", "from": "last", "kernel": macro.pool,
                  "stride": macro.pool})  # fmt: skip
    (_, width), _ = macro.linear
    made.neurons("classifier", width, [{"from": flat, "kind": "linear"}])
    made.add({"name": "out", "kind": "currents", "channels": macro.dataset.classes,
              "synapses": [{"from": "classifier", "kind": "linear"}]})  # fmt: skip
    return GraphNetwork(name, macro.timesteps, tuple(made.found), _averages(made.found))


def leak_shift_of(tau: float) -> int:
    """Shift that loses about the part ``1/tau`` of a potential at a time point: 1, for a half, or more.

    Raises
    ------
    ConfigError
        If ``tau`` is not above 1: no potential would be kept.
    """
    if not tau > 1:
        raise ConfigError(f"is {tau:g}; neurons that keep nothing are not trained", field="tau")
    return max(1, round(log2(tau)))


@dataclass
class _Nodes:
    """Nodes that are being described."""

    leak_shift: int
    found: list[Described] = field(default_factory=list)

    def add(self, node: Described) -> None:
        self.found.append(node)

    def neurons(self, name: str, channels: int, synapses: Sequence[Described]) -> None:
        taken, neuron = _joined(self, name, synapses), {"leak_shift": self.leak_shift, "fires": "at"}
        self.add({"name": name, "kind": "neurons", "channels": channels, "synapses": taken,
                  "neuron": neuron})  # fmt: skip


class _Cell:
    """A cell that is being described.

    Parameters
    ----------
    nodes : _Nodes
        Where to.
    part : str
        ``a`` or ``b``.
    form : Form
        What it computes.
    channels : int
        Of all its maps.
    entry, x : str, dict
        Name of the currents that enter it, and the synapse that makes them.
    """

    def __init__(self, nodes: _Nodes, part: str, form: Form, channels: int, entry: str, x: Described) -> None:
        if not form.output:
            raise ConfigError("nothing reaches its output", where=f"cell {part.upper()}")
        self.nodes, self.part, self.form, self.channels = nodes, part, form, channels
        self.entry, self.x = entry, x
        self.stored = set[str]()
        sums = {*(one.reads for one in form.convolutions), form.output}
        taken = [(source, averages) for terms in sums for source, averages, _ in terms]
        # An average is of what has one less, whatever else takes that.
        averaged = {(source, fewer) for source, averages in taken for fewer in range(averages)}
        self.uses = Counter([*taken, *averaged])

    def feed(self, name: str) -> None:
        """Describe all populations of the cell, and one that takes its output."""
        for number, one in enumerate(self.form.convolutions, 1):
            if self._population(one.reads) == f"{self.part}{number}":
                self.nodes.neurons(f"{self.part}{number}", self.channels, self._synapses(one.reads))
        self.nodes.neurons(name, self.channels, self._synapses(self.form.output))

    def _population(self, reads: Sum) -> str:
        """Population that takes a sum: that of the first convolution that reads it."""
        return f"{self.part}{1 + [one.reads for one in self.form.convolutions].index(reads)}"

    def _synapses(self, terms: Sum) -> list[Described]:
        return [self._synapse(term) for term in terms]

    def _synapse(self, term: Term) -> Described:
        source, averages, m = term
        if self.uses[source, averages] == m == 1:
            return self._making(source, averages)
        weight = {} if m == 1 else {"weight": m}
        return {"from": self._currents(source, averages), "kind": "identity", **weight}

    def _making(self, source: int, averages: int) -> Described:
        """Synapse that makes a term without its multiplicity."""
        if averages:
            window = {"kernel": 3, "padding": 1, "weight": NINTH, "shift": NINTH_SHIFT}
            return {"from": self._currents(source, averages - 1), "kind": "avgpool"} | window
        if source == 0:
            return dict(self.x)
        convolution = self.form.convolutions[source - 1]
        return _square(self._population(convolution.reads), convolution.kernel)

    def _currents(self, source: int, averages: int) -> str:
        """Node of a term that is taken more than once, or averaged."""
        name = f"{self.part}{source}.conv" if source else self.entry
        name += f".avg{averages}" if averages else ""
        if name not in self.stored:
            made = self._making(source, averages)
            self.stored.add(name)
            self.nodes.add({"name": name, "kind": "currents", "channels": self.channels, "synapses": [made]})
        return name


def _square(source: str, kernel: int) -> Described:
    padding = {"padding": kernel // 2} if kernel > 1 else {}
    return {"from": source, "kind": "conv", "kernel": kernel} | padding


def _joined(nodes: _Nodes, name: str, synapses: Sequence[Described]) -> list[Described]:
    """Convolutions of a window, of spikes, as one of their channels side by side."""
    groups: dict[str, list[Described]] = {}
    for one in synapses:
        window = {key: value for key, value in one.items() if key != "from"}
        spiking = one["kind"] == "conv" and one["from"] != "image"
        groups.setdefault(f"{window}" if spiking else f"{one}", []).append(one)
    found = list[Described]()
    for alike in groups.values():
        first = alike[0]
        if len(alike) > 1:
            joined = f"{name}.in{len(found) or ''}"
            nodes.add({"name": joined, "kind": "join", "how": "concat",
                       "from": [one["from"] for one in alike]})  # fmt: skip
            first = first | {"from": joined}
        found.append(first)
    return found


def _averages(nodes: Sequence[Described]) -> dict[tuple[str, int], int]:
    return {
        (node["name"], k): HALVED
        for node in nodes
        for k, one in enumerate(node.get("synapses", ()))
        if one["from"] == "down" and one["kind"] == "conv"
    }
