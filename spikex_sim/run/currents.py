"""Currents on their way from node to node: words that a neuron takes, and tags that say where there are some.

With ``currents.tags: issued`` a window of currents that no input reaches is neither issued nor moved; its tag
says so (docs/networks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.run.signals import Signal, later, positions_of, taps_inside, unpacked
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.run.population import Branch


def has_tags(arch: Accelerator) -> bool:
    """Whether currents have a tag for each NTWU."""
    return arch.get("currents.tags", default="none") == "issued"


class Entering(NamedTuple):
    """Words of currents that a neuron at each position takes.

    Attributes
    ----------
    words : int64 array ``[P, N_TW]`` or ``[P, 1]``
        In each window, or in any.
    tags : int64 array ``[P]`` or None
        Tags that it looks at in a window.
    awake : bool array ``[P, N_TW]`` or None
        Windows in which currents with a tag were issued that are not zero throughout.
    """

    words: NDArray[np.int64]
    tags: NDArray[np.int64] | None = None
    awake: NDArray[np.bool_] | None = None


def entering(
    sums: Sequence[Branch], part: range, positions: int, timesteps: int, tws: int, *, once: bool
) -> Entering:
    """Count the words that some synapses of currents bring to output channels of a node.

    Parameters
    ----------
    sums : sequence of Branch
        The synapses.
    part : range
        Output channels. They go together: a word moves for all of them if it was issued for one.
    positions, timesteps, tws : int
        Output positions ``P``, ``T``, and time points that are handled together.
    once : bool
        Whether constants without tags are one word, instead of one for each time point.
    """
    found = Entering(np.zeros((positions, 1), np.int64))
    for one in sums:
        inside = positions_of(one.synapse, one.signal.shape)
        if one.signal.issued is None:
            words = inside * (1 if one.signal.constant and once else tws)
            found = found._replace(words=found.words + words[:, None])
            continue
        size, taps = taps_inside(one.synapse, one.signal.shape)
        tags = _in_windows(one, part, timesteps, tws)
        by_place = np.zeros((*size, tags.shape[-1]), np.int64)
        for rows, columns, y, x in taps:
            by_place[rows, columns] += tags[y, x]
        met = by_place.reshape(positions, -1)
        awake = met > 0 if one.signal.array.any() else np.zeros(met.shape, np.bool_)
        found = Entering(
            found.words + tws * met,
            inside if found.tags is None else found.tags + inside,
            awake if found.awake is None else found.awake | awake,
        )
    return found


def _in_windows(one: Branch, part: range, timesteps: int, tws: int) -> NDArray[np.bool_]:
    """Tags of a consumer's windows ``[H, W, N_TW]``: those of its time points, later by the delay."""
    assert one.signal.issued is not None
    together = np.bitwise_or.reduce(one.signal.issued[part.start : part.stop], axis=0)
    points = later(unpacked(together, timesteps), one.synapse.delay)
    return np.logical_or.reduceat(points, np.arange(0, timesteps, tws), axis=-1)


def issued_by(
    masks: Sequence[tuple[range, NDArray[np.bool_]]], shape: tuple[int, int, int], timesteps: int, tws: int
) -> PackedSpikes:
    """Tags of a node by time point, of what the layers of its parts issued.

    Parameters
    ----------
    masks : sequence of (range, bool array ``[P, N_TW]``)
        Output channels of each part, and its NTWUs issued.
    shape : (int, int, int)
        ``(C, H, W)`` of the node.
    timesteps, tws : int
        Time points, in all and in a window.

    Returns
    -------
    uint8 array ``[C, H, W, ceil(T/8)]``
    """
    found = np.zeros((*shape, -(-timesteps // 8)), np.uint8)
    for part, mask in masks:
        points = np.repeat(mask, tws, axis=1)[:, :timesteps]
        found[part.start : part.stop] = np.packbits(points, axis=-1).reshape(*shape[1:], -1)
    return found


def with_tags(signal: Signal, issued: PackedSpikes | None, timesteps: int) -> Signal:
    """Currents with their tags; recorded values that are not zero were issued, whatever is computed."""
    if issued is None:
        return signal
    values = signal.array != 0
    if signal.constant:
        values = np.broadcast_to(values[..., None], (*values.shape, timesteps))
    return Signal(signal.carries, signal.array, signal.constant, issued | np.packbits(values, axis=-1))
