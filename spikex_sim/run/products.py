"""Products of spikes as tasks: which operand is streamed, and how wide the other one is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import Inputs
from spikex_sim.core.field import Synapse as Lying
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.spikes import count_spikes
from spikex_sim.core.tags import window_spikes
from spikex_sim.run.signals import Signal
from spikex_sim.schedules.task import Task
from spikex_sim.spec.graph import MatmulNode


def streams_b(a: Signal, b: Signal) -> bool:
    """Whether ``b`` is streamed: the operand that is spikes, of two the one with fewer; ties stream ``a``."""
    if a.carries == b.carries == "spikes":
        return count_spikes(b.array) < count_spikes(a.array)
    return b.carries == "spikes"


def filter_bits(signal: Signal, plain: bool) -> int:
    """Bits of a value of the operand that is not streamed, as many as hold all of them."""
    if signal.carries == "spikes":
        return 1
    if signal.array.dtype.kind == "f" and not plain:
        return 32
    low, high = int(signal.array.min()), int(signal.array.max())
    if low >= 0:
        return max(1, high.bit_length())
    return max((~low).bit_length(), max(high, 0).bit_length()) + 1


def product_task(
    name: str, spikes: NDArray[Any], channels: int, node: MatmulNode, widths: Any, *, tagged: bool
) -> Task:
    """Ask for one product of a time point and head; ``spikes``: ``[taps, positions]``."""
    taps, positions = spikes.shape
    packed = np.packbits(np.ascontiguousarray(spikes, np.uint8)[..., None], axis=-1)
    geometry = Geometry(taps, positions, 1, 1, 1, 1, 1, 0, 0, positions, 1)
    inputs = Inputs((Lying(geometry),), (window_spikes(packed, 1, 1),), positions, 1, 1)
    return Task(
        name,
        inputs,
        channels,
        widths,
        silence_is_free=tagged,
        datapath=node.datapath,
        states=0,
        tagged=tagged,
    )
