"""Which arrays a graph can have, of what type and shape; found without data, which files declare first."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.core.hints import closest
from spikex_sim.core.spikes import packed_length
from spikex_sim.spec.graph import InputNode, Node, Population
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.wiring import Wiring, meant

_SYNAPSE = re.compile(r"synapse-(0|[1-9][0-9]{0,8})/weight")
PARTS = ("spikes", "values", "synapse-0/weight", "bias", "neuron/threshold")
"""Examples of what follows a node's name in the key of an array."""


@dataclass(frozen=True)
class Declaration:
    """What an array has to be.

    Attributes
    ----------
    dtypes : tuple of str
        Types that it may have.
    shape : tuple of int
        Its shape in memory, a recording's without the sample axis.
    recorded : bool
        Whether it has a sample axis in memory.
    """

    dtypes: tuple[str, ...]
    shape: tuple[int, ...]
    recorded: bool = False

    @property
    def flat(self) -> tuple[int, ...]:
        """Shape without the axes of a map of a single position; they may be left out in files."""
        single = self.recorded and self.shape[1:3] == (1, 1)
        return (self.shape[0], *self.shape[3:]) if single else self.shape


def declared(wiring: Wiring, key: str, timesteps: int, where: str) -> Declaration:
    """Find what the array of a key has to be.

    Parameters
    ----------
    wiring : Wiring
        The graph.
    key : str
        As in files: ``NODE/spikes`` and so on.
    timesteps : int
        Time points ``T``.
    where : str
        File named in messages.

    Raises
    ------
    TraceError
        If the graph has no such array.
    """

    def fail(message: str) -> TraceError:
        return TraceError(message, where=where, field=shown(key))

    name, _, part = key.partition("/")
    node = wiring.nodes.get(name)
    if node is None:
        raise fail(f"there is no node '{shown(name, 40)}'{meant(name, ['label', *wiring.nodes])}")
    if part in ("spikes", "values"):
        return _recording(wiring, node, part, timesteps, fail)
    known = part == "bias" or part.startswith("neuron/") or _SYNAPSE.fullmatch(part)
    if not known:
        raise fail(f"unknown key{closest(part[:40], PARTS)}")
    if not isinstance(node, Population):
        raise fail(f"a node of the kind {node.kind} has no {part.partition('/')[0]}")
    integer = node.datapath == "int"
    if part == "bias":
        return Declaration(("int32",) if integer else ("float32", "int32"), (node.channels,))
    if match := _SYNAPSE.fullmatch(part):
        k = int(match[1])
        if k >= len(node.synapses):
            raise fail(f"the node has {len(node.synapses)} synapses")
        for other in ("weight_of", "weight"):
            if getattr(node.synapses[k], other) is not None:
                raise fail(f"the synapse has its weights by {other} already")
        return Declaration(("int8",) if integer else ("float32", "int8"), wiring.weight_shape(name, k))
    number = part.removeprefix("neuron/")
    keys = () if node.neuron is None else node.neuron.keys
    if node.neuron is None or number not in keys:
        raise fail(f"there is no such number of these neurons{closest(number[:40], keys)}")
    if number in node.neuron.numbers():
        raise fail("the node has a number in its place already")
    return Declaration(("int32",) if integer else ("float32",), (node.channels,))


def _recording(wiring: Wiring, node: Node, part: str, timesteps: int, fail: type | object) -> Declaration:
    port = wiring.ports[node.name]
    assert callable(fail)
    if node.kind == "avgpool":
        raise fail("average-pooled spikes are not spikes; record what is pooled")
    if (port.carries == "spikes") != (part == "spikes"):
        given = "analog values" if port.carries == "analog" else port.carries
        raise fail(f"the node gives {given}")
    if part == "spikes":
        return Declaration(("uint8",), (*port.shape, packed_length(timesteps)), recorded=True)
    shape = port.shape if port.constant else (*port.shape, timesteps)
    return Declaration(("float32",) if port.floating else ("int32",), shape, recorded=True)


def check_array(
    wanted: Declaration,
    dtype: np.dtype,
    shape: tuple[int, ...],
    *,
    samples: int | None,
    file: bool,
    where: str,
    field: str,
) -> None:
    """Raise :class:`TraceError` unless an array has the type and shape declared.

    Parameters
    ----------
    wanted : Declaration
        What it has to be.
    dtype, shape
        What it is.
    samples : int or None
        Length of the sample axis; None where there is none.
    file : bool
        Whether it is as in a file, where axes of a map of a single position may be left out.
    where, field : str
        For messages.
    """
    if dtype.name not in wanted.dtypes:
        raise TraceError(f"must be {' or '.join(wanted.dtypes)}, not {dtype}", where=where, field=field)
    lead = (samples,) if samples is not None and wanted.recorded else ()
    shapes = [(*lead, *wanted.shape), (*lead, *wanted.flat)][: 1 + file]
    if shape in shapes:
        return
    what = "spikes are packed for another T: " if wanted.dtypes == ("uint8",) and shape[:-1] in (
        one[:-1] for one in shapes
    ) else ""  # fmt: skip
    raise TraceError(
        f"{what}shape {list(shape)}, the graph wants {list(shapes[0])}", where=where, field=field
    )


def weight_key(name: str, k: int) -> str:
    """Key of the weights of a synapse."""
    return f"{name}/synapse-{k}/weight"


def in_memory(wanted: Declaration, array: np.ndarray, samples: int | None) -> np.ndarray:
    """Array of a file with all axes that it has in memory."""
    return array.reshape((samples or 1, *wanted.shape)) if wanted.recorded else array


def is_flat(node: Node) -> bool:
    """Whether a file leaves out the axes of a single position."""
    return isinstance(node, InputNode) and len(node.shape) == 1
