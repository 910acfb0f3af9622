"""What a result says of itself: the datapath, what is moved in again and again and why, what bounds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.run.results import RunResult
from spikex_sim.run.tally import Costs
from spikex_sim.schedules.held import Held
from spikex_sim.spec.arch import Accelerator, halves

Changes = Mapping[str, Any]
"""Configuration keys and values, as ``overrides`` take them."""
NAMES = {
    "array": "array", "dram": "DRAM", "glb_dram": "GLB/DRAM", "glb_array": "GLB/array",
    "lbuf_glb": "LBUF/GLB", "lbuf_array": "LBUF/array",
}  # fmt: skip
"""Resources in tables and sentences."""
SHARE_STEPS = 100
"""Shares are advised in steps of one part of so many."""
KEPT = Fraction(1, 2)
"""Part of its share that a tensor keeps at least where another one is to get more."""


@dataclass(frozen=True)
class Again:
    """A tensor of a layer that is moved into a buffer more than once because it does not fit.

    Attributes
    ----------
    layer : str
        Name of the layer.
    held : Held
        Tensor, buffer, what is needed and what there is.
    remedies : tuple of mapping
        Changes of the configuration of which each would hold it.
    """

    layer: str
    held: Held
    remedies: tuple[Changes, ...]

    @property
    def times(self) -> float | None:
        """How often it is moved in, on average; None of what arises inside and need not be."""
        return self.held.moved_bits / self.held.once_bits if self.held.once_bits else None


def moved_again(result: RunResult, *levels: str) -> list[Again]:
    """What is moved into the buffers of some levels more than once for want of room, layer by layer."""
    held = [one for layer in result.layers for one in layer.held]
    return [
        Again(layer.name, one, remedies(result.arch, one, held))
        for layer in result.layers
        for one in layer.held
        if one.level in levels and one.again
    ]


def remedies(arch: Accelerator, short: Held, others: Sequence[Held]) -> tuple[Changes, ...]:
    """Changes of which each gives a tensor the room that it needs: a larger buffer, a larger share.

    Parameters
    ----------
    arch : Accelerator
        Configuration.
    short : Held
        What does not fit.
    others : sequence of Held
        What else the buffers hold, in all layers: a larger share leaves it the room that it has use for.
    """
    level, tensor = short.level, short.tensor
    buffer = getattr(arch.memory, level)
    if level == "glb" and arch.memory.glb.separate is not None:
        return (_larger_memory(arch, short),)
    least = buffer.least_bytes(tensor, short.enough_bits)
    larger = [] if least is None else [FrozenMap({f"memory.{level}.bytes": least})]
    shares = _shared_anew(buffer, short, others)
    path = f"memory.{level}.partition"
    return (*larger, *(FrozenMap({f"{path}.{key}": value for key, value in one.items()}) for one in shares))


def _larger_memory(arch: Accelerator, short: Held) -> Changes:
    """Capacity of a separate memory; of the ofmap's a half is the psum part."""
    separate = arch.memory.glb.separate
    assert separate is not None
    name = "ofmap" if short.tensor == "psum" else short.tensor
    capacity = ceil(Fraction(short.enough_bits * 2, 8))
    total = arch.memory.glb.bytes - getattr(separate, name) + capacity
    return FrozenMap({f"memory.glb.separate.{name}": capacity, "memory.glb.bytes": total})


def _shared_anew(buffer: Any, short: Held, others: Sequence[Held]) -> list[dict[str, float]]:
    """Shares with more for one tensor, from what is free or of no use to others; none if that is little."""
    shares = {key: Fraction(str(value)) for key, value in buffer.partition.model_dump().items()}
    wanted = _share_for(buffer, short)
    lacking = wanted - shares[short.tensor] - (1 - sum(shares.values()))
    new = {short.tensor: wanted}
    for tensor in dict.fromkeys(one.tensor for one in others if one.level == short.level):
        if lacking <= 0 or tensor == short.tensor:
            continue
        same = [one for one in others if (one.level, one.tensor) == (short.level, tensor)]
        fitting = [_share_for(buffer, one) for one in same if not one.missing_bits]
        spare = shares[tensor] - max([KEPT * shares[tensor], *fitting])
        given = min(Fraction(int(spare * SHARE_STEPS), SHARE_STEPS), lacking)
        if given > 0:
            new[tensor] = shares[tensor] - given
            lacking -= given
    return [] if lacking > 0 else [{key: float(share) for key, share in new.items()}]


def _share_for(buffer: Any, held: Held) -> Fraction:
    """Smallest share in whole steps that gives a tensor the room that it needs."""
    needed = Fraction(held.enough_bits * halves(held.tensor), 8 * buffer.bytes)
    return Fraction(ceil(needed * SHARE_STEPS), SHARE_STEPS)


def datapath_of(result: RunResult) -> str:
    """Datapath of the layers, as ``int8`` or ``float32``."""
    names = {"int": f"int{result.arch.weight_bits}", "float": "float32"}
    return " and ".join(sorted({names[one.datapath] for one in result.layers if one.datapath}))


def sentence(again: Again) -> str:
    """Say which share is missed by how much, what comes of it, and what would hold the tensor."""
    held = again.held
    missing, room = -(-held.missing_bits // 8), held.room_bits // 8
    half = "half of " if halves(held.tensor) == 2 else ""
    moved = "fetched" if held.level == "glb" else "loaded"
    if again.times is None:
        often = f"has {held.moved_bits // 8:,} B of it {moved}"
    else:
        times = f"{again.times:,.0f}" if again.times >= 100 else f"{again.times:.3g}"
        often = f"is {moved} {times} times"
    would = " or ".join(map(settings, again.remedies)) or "no change of one key"
    return (
        f"{again.layer}: {held.tensor} misses {half}the {held.level.upper()}'s {held.tensor} share "
        f"({room:,} B) by {missing:,} B and {often}; {would} would hold it"
    )


def settings(changes: Changes) -> str:
    """Changes as ``--set`` takes them."""
    return " with ".join(f"{key}={value}" for key, value in changes.items())


def bound_of(costs: Costs) -> str:
    """Resource that needs the most cycles by itself."""
    return max(costs.busy, key=lambda name: costs.busy[name])
