"""What joins of spikes read, where they do (``join: read``)."""

from __future__ import annotations

from collections.abc import Sequence

from spikex_sim.core.field import Inputs, Synapse
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.reading import Reading
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.graph import JoinNode, Node

BITWISE = ("or", "and", "iand")
"""Joins that look at spikes; ``concat`` and ``slice`` say where they are."""


def reads(node: Node, arch: Accelerator) -> bool:
    """Whether a node reads the spikes that it joins."""
    return isinstance(node, JoinNode) and node.how in BITWISE and arch.get("join", default="free") == "read"


def reading_of(
    node: JoinNode, operands: Sequence[PackedSpikes], timesteps: int, tws: int, arch: Accelerator
) -> Reading:
    """Ask for the stored spikes of all operands, ``[C, H, W, ceil(T/8)]`` each.

    Machines with windows have words of ``tws`` time points with tags, of which those without a spike are not
    stored; dense arrays have all bits.
    """
    tagged = arch.get("tws", default=None) is not None
    lying, spikes, positions = [], [], 1
    for one in operands:
        channels, height, width = one.shape[:3]
        positions = max(positions, height * width)
        geometry = Geometry(channels, height, width, 1, 1, 1, 1, 0, 0, height, width)
        lying.append(Synapse(geometry, own=True, tagged=tagged))
        spikes.append(window_spikes(one, timesteps, tws))
    inputs = Inputs(tuple(lying), tuple(spikes), positions, timesteps, tws)
    channels = max(len(one) for one in operands)
    task = Task(node.name, inputs, channels, widths_of("int", arch), silence_is_free=True)
    return Reading(task, waits=arch.get("cycles_model", default="") != "published")
