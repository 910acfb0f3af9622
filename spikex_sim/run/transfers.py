"""Access traces: every transfer of a run with its cycle and an address, for simulators of DRAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from spikex_sim.core.counts import READ, TENSORS, WRITE, name_of
from spikex_sim.core.errors import ConfigError, InternalError, UnsupportedError
from spikex_sim.run.observers import Placed
from spikex_sim.run.replay import TimedLayer
from spikex_sim.schedules.steps import PerStep

TRACED = ("dram", "glb")
"""Levels whose accesses can be written."""
REGION_BYTES = 4096
"""Regions start at multiples of this many bytes."""
DIRECTIONS = {READ: "read", WRITE: "write"}
ACTIVITIES = {
    "dram": (("fetch", READ), ("writeback", WRITE)),
    "glb": (("fetch", WRITE), ("load", READ), ("store", WRITE), ("writeback", READ)),
}
"""Activities that reach a level, and in which direction."""


class Transfers(NamedTuple):
    """Transfers of one tensor at one level in one activity, one for each step that moves something.

    Attributes
    ----------
    level, tensor, activity : str
        Where, what and why.
    direction : int
        :data:`READ` or :data:`WRITE`.
    start, bits : int64 array
        Cycle of the layer in which the transfer begins, and its size.
    """

    level: str
    tensor: str
    activity: str
    direction: str
    start: PerStep
    bits: PerStep

    @property
    def region(self) -> str:
        """Region of the layer's addresses: the tensor, with the tags of inputs and outputs apart."""
        if self.tensor != "tag":
            return self.tensor
        return "ifmap tags" if self.activity in ("fetch", "load") else "ofmap tags"


def transfers_of(timed: TimedLayer, levels: Sequence[str]) -> list[Transfers]:
    """All transfers of a layer; their bits add up to its accesses.

    Raises
    ------
    UnsupportedError
        If the array works from the GLB itself, cycle by cycle, and that level is asked for.
    """
    cost, arch = timed.cost, timed.arch
    if timed.at_once:
        raise UnsupportedError(
            "a crossbar chip has no transfers between DRAM, GLB and LBUF to list; --timeline shows when its "
            "layers work",
            where=arch.name,
        )
    if "glb" in levels and not arch.memory.lbuf.bytes:
        raise UnsupportedError(
            "the array reads the GLB in every cycle, there are no transfers to list; leave glb out of "
            "--access-levels",
            where=arch.name,
        )
    found = []
    for tensor in TENSORS:
        for level in levels:
            for activity, direction in ACTIVITIES[level]:
                bits = cost.layout.program.bits(activity, tensor)
                start = getattr(cost.ends, activity) - getattr(cost.durations, activity)
                found.append(Transfers(level, tensor, activity, direction, start[bits > 0], bits[bits > 0]))
    _check(found, timed, levels)
    return found


def _check(found: list[Transfers], timed: TimedLayer, levels: Sequence[str]) -> None:
    for level in levels:
        for tensor in TENSORS:
            counted = timed.cost.layout.accesses[level][tensor]
            apart = timed.cost.layout.apart[level][tensor]
            for direction in DIRECTIONS:
                listed = sum(
                    int(one.bits.sum())
                    for one in found
                    if (one.level, one.tensor, one.direction) == (level, tensor, direction)
                )
                if listed + apart[direction] != counted[direction]:
                    raise InternalError(
                        f"{name_of((level, direction, tensor))} in layer {timed.name} is "
                        f"{counted[direction]}, but {listed} are listed"
                    )


def count_transfers(timed: TimedLayer, levels: Sequence[str]) -> int:
    """How many rows a layer makes."""
    return sum(len(one.bits) for one in transfers_of(timed, levels))


def parse_levels(names: Sequence[str]) -> tuple[str, ...]:
    """Check the levels asked for; each once, outermost first."""
    for name in names:
        if name not in TRACED:
            raise ConfigError(
                f"no level {name!r:.60}; there are {', '.join(TRACED)}", where="--access-levels"
            )
    return tuple(level for level in TRACED if level in names)


def transfer_lines(placed: Iterable[Placed], levels: Sequence[str]) -> Iterator[str]:
    """Write an access trace as CSV, line by line, in the order of cycles.

    Parameters
    ----------
    placed : iterable of Placed
        Layers on the clock of the run (:meth:`spikex_sim.run.observers.Observed.placed`).
    levels : sequence of str
        Levels to list, of :data:`TRACED`.

    Yields
    ------
    str
        Lines with their ends; addresses are in bytes.
    """
    listed = [
        (one.start, one.timed, transfers_of(one.timed, levels)) for one in placed if one.timed is not None
    ]
    bases, free = {}, 0
    sizes: dict[tuple[int, str], int] = {}
    for _, timed, found in listed:
        for region, bits in regions_of(timed, found).items():
            sizes[timed.index, region] = max(bits, sizes.get((timed.index, region), 0))
    for key, bits in sizes.items():
        bases[key] = free
        free += -(-bits // (8 * REGION_BYTES)) * REGION_BYTES
    yield "cycle,level,tensor,direction,address,bits\n"
    for start, timed, found in listed:
        index = timed.index
        addresses = [
            bases[index, part.region] + _offsets(part.bits, sizes[index, part.region]) // 8 for part in found
        ]
        yield from _rows(start, found, addresses)


def _offsets(bits: PerStep, size: int) -> PerStep:
    """First bit of each transfer: where the one before ended, or 0 if it does not fit there."""
    offsets, at = [], 0
    for length in bits.tolist():
        if at + length > size:
            at = 0
        offsets.append(at)
        at += length
    return np.array(offsets, np.int64)


def _rows(start: int, found: Sequence[Transfers], addresses: Sequence[PerStep]) -> Iterator[str]:
    """Rows of a layer, sorted by cycle; of those that begin together, what is listed first comes first."""
    if not found:
        return
    heads = [f"{part.level},{part.tensor},{DIRECTIONS[part.direction]}" for part in found]
    which = np.repeat(np.arange(len(found)), [len(part.bits) for part in found])
    cycle = np.concatenate([part.start for part in found])
    order = np.argsort(cycle, kind="stable")
    columns = (cycle + start, which, np.concatenate(addresses), np.concatenate([part.bits for part in found]))
    for at, part, address, bits in zip(*(column[order].tolist() for column in columns), strict=True):
        yield f"{at},{heads[part]},{address},{bits}\n"


def regions_of(timed: TimedLayer, found: Sequence[Transfers]) -> dict[str, int]:
    """Bits of a layer's regions: what each tensor has, or more where a single transfer is longer."""
    task = timed.cost.task
    inputs, widths = task.inputs, task.widths
    points = inputs.windows * inputs.tws
    neurons, filters = task.out_channels * task.positions, dict[int, int]()
    ifmap = tags = 0
    for one in inputs.synapses:
        geometry = one.geometry
        filters[one.filters] = task.out_channels * (1 if one.own else geometry.taps)
        ifmap += geometry.pixels * geometry.channels * one.bits * points
        tags += geometry.pixels * geometry.channels * one.tagged * inputs.windows
    sizes = {
        "filter": sum(filters.values()) * widths.weight,
        "ifmap": ifmap,
        "ifmap tags": tags,
        "ofmap": neurons * timed.arch.input_bits * points,
        "ofmap tags": neurons * inputs.windows,
        "psum": neurons * max(widths.psum, widths.potential),
    }
    for part in found:
        sizes[part.region] = max(sizes[part.region], int(part.bits.max(initial=0)))
    return sizes
