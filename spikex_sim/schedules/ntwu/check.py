"""Holds an NTWU schedule against its input and the array, in time linear in its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.schedules.base import int64_arrays, refuse
from spikex_sim.schedules.ntwu.survey import STREAMS
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

FINE, SHAPE, TILES, WIDE, OUTSIDE, TWICE, ORDER, MISSING = range(8)
RULES = {
    SHAPE: "batches and columns do not follow each other; offsets start at 0, ascend and end with the last",
    TILES: "tiles do not cut the layer into sets of {a} positions and, inside, blocks of {b} windows",
    WIDE: "a batch of {a} columns on an array of {b}; no batch is wider than the array, none is empty",
    OUTSIDE: "position {a}, window {b} lies outside the tile",
    TWICE: "position {a}, window {b} is issued twice; every NTWU is issued once",
    ORDER: "position {a}, window {b} comes after a later window; windows of a position ascend",
    MISSING: "position {a}, window {b} is owed and not issued",
}


def check(schedule: NtwuSchedule, arch: Accelerator) -> None:
    """Raise :class:`ScheduleError` for a schedule that is none.

    Every NTWU that is owed is issued exactly once, no other one twice; the windows of a position ascend; no
    batch is wider than the array, no row group higher; streamed taps cover the spikes of their columns. What
    is owed is a matter of the kind: active NTWUs, or all. Those that see a spike are active, or all.
    """
    _check_fields(schedule, arch)
    silence_is_free = schedule.task.silence_is_free
    owed = schedule.active
    if schedule.owes_all or not silence_is_free:
        owed = np.ones_like(schedule.active)
    rule, tile, batch, a, b = _check(
        schedule.tiles, schedule.shape.positions, schedule.shape.windows, schedule.tile_batches,
        schedule.batch_columns, schedule.position, schedule.window, owed, arch.array.cols,
        schedule.shape.by_run,
    )  # fmt: skip
    if rule == MISSING:
        raise _missing(schedule, arch, a, b)
    if rule != FINE:
        raise refuse(f"scheduler {arch.scheduler}", _place(tile, batch), RULES[rule].format(a=a, b=b))
    _check_activity(schedule, arch, silence_is_free)


def _check_fields(schedule: NtwuSchedule, arch: Accelerator) -> None:
    """Sizes and types, which are what the kernels rely on."""
    kind, task, groups, shape = (
        f"scheduler {arch.scheduler}", schedule.task, schedule.groups, schedule.shape,
    )  # fmt: skip
    if groups.out_channels != task.out_channels:
        rule = f"{task.name} has {task.out_channels} channels, its schedule {groups.out_channels}"
        raise refuse(kind, {}, rule)
    run = task.run_windows
    if shape.by_run != (run is not None) or (run is not None and shape.windows != min(run, schedule.windows)):
        raise refuse(kind, {}, f"blocks of {shape.windows} windows, but runs of {run}")
    if not 1 <= min(groups.rows, groups.out_channels) <= arch.array.rows:
        rule = f"{groups.out_channels} channels in groups of {groups.rows} on {arch.array.rows} rows of PEs"
        raise refuse(kind, {}, rule)
    if schedule.stream not in STREAMS:
        raise refuse(kind, {}, f"no stream '{schedule.stream}' among {', '.join(STREAMS)}")
    if shape.fits_all != (arch.mapping.tile == "layer"):
        raise refuse(kind, {}, f"fits_all is {shape.fits_all}, but mapping.tile {arch.mapping.tile}")
    wrong = int64_arrays(
        tiles=(schedule.tiles, 2), tile_batches=(schedule.tile_batches, 1), position=(schedule.position, 1),
        batch_columns=(schedule.batch_columns, 1), window=(schedule.window, 1),
    )  # fmt: skip
    if wrong:
        raise refuse(kind, {}, f"{wrong} is no int64 array of its dimensions")
    if schedule.active.shape != (task.positions, schedule.windows) or schedule.active.dtype != np.bool_:
        raise refuse(kind, {}, "active is no bool array [positions, windows]")
    same = len(schedule.window) == len(schedule.position)
    if not same or len(schedule.batch_columns) == 0 or schedule.tiles.shape[1] != 4:
        raise refuse(kind, {}, RULES[SHAPE])
    streamed = schedule.streamed
    if streamed is not None:
        size = len(schedule.batch_columns) - 1, task.inputs.taps
        if streamed.shape != size or streamed.dtype != np.uint8 or streamed.max(initial=0) > 1:
            raise refuse(kind, {}, f"streamed is no uint8 array {list(size)} of 0 and 1")


def _check_activity(schedule: NtwuSchedule, arch: Accelerator, silence_is_free: bool) -> None:
    """Hold what is active and streamed against the spikes."""
    kind, found = f"scheduler {arch.scheduler}", schedule.surveyed
    batch, tap = found.uncovered.tolist()
    if batch >= 0:
        raise refuse(kind, _place_of(schedule, batch), f"tap {tap} has spikes and is not streamed")
    if schedule.streamed is not None and schedule.stream != "tap":
        short = _short(schedule)
        if short.any():
            rule = f"some taps are not streamed where stream is {schedule.stream}"
            raise refuse(kind, _place_of(schedule, int(np.argmax(short))), rule)
    column, spikes = _activity(
        schedule.active, schedule.position, schedule.window, found.spikes, silence_is_free,
        np.zeros((0, 0), np.bool_) if schedule.task.awake is None else schedule.task.awake,
    )  # fmt: skip
    if column >= 0:
        p, w = schedule.position[column], schedule.window[column]
        batch = int(np.searchsorted(schedule.batch_columns, column, side="right")) - 1
        marked = "marked" if schedule.active[p, w] else "not marked"
        rule = f"position {p}, window {w} is {marked} active; what sees a spike is, or all is"
        raise refuse(kind, _place_of(schedule, batch), rule)
    if sum(schedule.task.inputs.reach.tolist()) != spikes:  # as no column comes twice, one is missing
        a, b = np.argwhere(schedule.task.inputs.active & ~schedule.issued)[0]
        raise _missing(schedule, arch, a, b)


def _short(schedule: NtwuSchedule) -> NDArray[np.bool_]:
    """Batches in which a channel streams some taps and not all, or no tap where all are due."""
    assert schedule.streamed is not None
    short = np.zeros(schedule.batches, np.bool_)
    first = 0
    for synapse in schedule.task.inputs.synapses:
        taps = synapse.geometry.taps
        by_channel = schedule.streamed[:, first : first + taps].reshape(
            schedule.batches, -1, synapse.geometry.channels
        )
        wanted = by_channel.any(axis=1, keepdims=True) | (schedule.stream == "all")
        short |= (by_channel < wanted).any(axis=(1, 2))
        first += taps
    return short


def _missing(schedule: NtwuSchedule, arch: Accelerator, position: int, window: int) -> Exception:
    shape, windows = schedule.shape, schedule.windows
    set_, block = position // shape.positions, window // shape.windows
    tile = set_ * -(-windows // shape.windows) + block
    if shape.by_run:
        tile = block * -(-schedule.task.positions // shape.positions) + set_
    rule = RULES[MISSING].format(a=position, b=window)
    return refuse(f"scheduler {arch.scheduler}", _place(int(tile), -1), rule)


def _place_of(schedule: NtwuSchedule, batch: int) -> dict[str, int]:
    return _place(int(np.searchsorted(schedule.tile_batches, batch, side="right")) - 1, batch)


def _place(tile: int, batch: int) -> dict[str, int]:
    return {name: index for name, index in (("tile", tile), ("batch", batch)) if index >= 0}


@kernel
def _check(
    tiles: NDArray[np.int64],
    tile_positions: int,
    tile_windows: int,
    tile_batches: NDArray[np.int64],
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    owed: NDArray[np.bool_],
    cols: int,
    by_run: bool,
) -> tuple[int, int, int, int, int]:
    """First broken rule, and tile, batch and two numbers that tell of it."""
    positions, windows = owed.shape
    batches = len(batch_columns) - 1
    if len(tile_batches) != len(tiles) + 1 or tile_batches[0] != 0 or tile_batches[-1] != batches:
        return SHAPE, -1, -1, 0, 0
    if batch_columns[0] != 0 or batch_columns[-1] != len(position):
        return SHAPE, -1, -1, 0, 0
    if not (1 <= tile_positions <= positions and 1 <= tile_windows <= windows):
        return TILES, -1, -1, tile_positions, tile_windows
    blocks, sets = -(-windows // tile_windows), -(-positions // tile_positions)
    if len(tiles) != sets * blocks:
        return TILES, -1, -1, tile_positions, tile_windows
    last = np.full(positions, -1, np.int64)
    issued = np.zeros((positions, windows), np.bool_)
    for tile in range(len(tiles)):
        p0, p1, w0, w1 = tiles[tile]
        place, block = (tile % sets, tile // sets) if by_run else (tile // blocks, tile % blocks)
        first_p, first_w = place * tile_positions, block * tile_windows
        own = p0 == first_p and p1 == min(first_p + tile_positions, positions)
        if not (own and w0 == first_w and w1 == min(first_w + tile_windows, windows)):
            return TILES, tile, -1, tile_positions, tile_windows
        if not tile_batches[tile] <= tile_batches[tile + 1] <= batches:
            return SHAPE, tile, -1, 0, 0
        for b in range(tile_batches[tile], tile_batches[tile + 1]):
            width = batch_columns[b + 1] - batch_columns[b]
            if width < 1 or width > cols:
                return WIDE, tile, b, width, cols
            if batch_columns[b + 1] > len(position):
                return SHAPE, tile, b, 0, 0
            for column in range(batch_columns[b], batch_columns[b + 1]):
                p, w = position[column], window[column]
                if not (p0 <= p < p1 and w0 <= w < w1):
                    return OUTSIDE, tile, b, p, w
                if issued[p, w]:
                    return TWICE, tile, b, p, w
                if w < last[p]:
                    return ORDER, tile, b, p, w
                issued[p, w] = True
                last[p] = w
    for p in range(positions):
        for w in range(windows):
            if owed[p, w] and not issued[p, w]:
                return MISSING, -1, -1, p, w
    return FINE, -1, -1, 0, 0


@kernel
def _activity(
    active: NDArray[np.bool_],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    spikes: NDArray[np.int64],
    silence_is_free: bool,
    awake: NDArray[np.bool_],
) -> tuple[int, int]:
    """First column whose NTWU is wrongly active or not, or -1, and the spikes that all columns see."""
    wrong, total = -1, 0
    for column in range(len(position)):
        own = 0
        for synapse in range(spikes.shape[1]):
            own += spikes[column, synapse]
        total += own
        p, w = position[column], window[column]
        asked = own > 0 or not silence_is_free or (len(awake) > 0 and awake[p, w])
        if wrong < 0 and active[p, w] != asked:
            wrong = column
    return wrong, total
