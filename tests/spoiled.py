"""Ways to break a correct schedule, each with what its check must say; None where nothing is to break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.schedules.base import RowGroups
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.packing import TileShape
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.spec.arch import Accelerator

Spoil = Callable[[Any, Accelerator, np.random.Generator], Any]
Batches = list[list[list[tuple[int, int]]]]
"""Columns of every batch of every tile."""

FAR = (-1, -(2**31), -(2**62), 2**31, 2**62)
"""Numbers that no index may be; sums of them overflow."""

NTWU: list[tuple[str, Spoil]] = []
DENSE: list[tuple[str, Spoil]] = []


def says(spoils: list[tuple[str, Spoil]], message: str) -> Callable[[Spoil], Spoil]:
    """Register a way to break a schedule."""

    def register(spoil: Spoil) -> Spoil:
        spoils.append((message, spoil))
        return spoil

    return register


def batches_of(schedule: NtwuSchedule) -> Batches:
    """What is issued, as lists."""
    columns = list(zip(schedule.position.tolist(), schedule.window.tolist(), strict=True))
    edges, tiles = schedule.batch_columns.tolist(), schedule.tile_batches.tolist()
    return [[columns[edges[b] : edges[b + 1]] for b in range(first, last)] for first, last in pairwise(tiles)]


def issuing(schedule: NtwuSchedule, tiles: Batches) -> NtwuSchedule:
    """Return the schedule with other batches."""
    batches = [batch for tile in tiles for batch in tile]
    columns = np.array([column for batch in batches for column in batch], np.int64).reshape(-1, 2)
    return replace(
        schedule,
        tile_batches=np.cumsum([0, *map(len, tiles)]),
        batch_columns=np.cumsum([0, *map(len, batches)]),
        position=columns[:, 0].copy(),
        window=columns[:, 1].copy(),
        streamed=None,
    )


def changed(array: NDArray[Any], at: Any, value: Any) -> NDArray[Any]:
    """Copy with another value in one place."""
    copy = array.copy()
    copy[at] = value
    return copy


def a_tile_with(tiles: Batches, batches: int, rng: np.random.Generator) -> int | None:
    """Index of a tile with so many batches."""
    found = [index for index, tile in enumerate(tiles) if len(tile) >= batches]
    return int(rng.choice(found)) if found else None


# --- Batches of NTWUs -----------------------------------------------------------------------------


@says(NTWU, r"tile \d+: position \d+, window \d+ is owed and not issued")
def dropped(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule | None:
    tiles = batches_of(schedule)
    if (t := a_tile_with(tiles, 1, rng)) is None:
        return None
    b = rng.integers(len(tiles[t]))
    tiles[t][b].pop(rng.integers(len(tiles[t][b])))
    tiles[t] = [batch for batch in tiles[t] if batch]
    return issuing(schedule, tiles)


@says(NTWU, r"tile \d+: position \d+, window \d+ is owed and not issued")
def dropped_and_called_idle(schedule: NtwuSchedule, *arguments: Any) -> NtwuSchedule | None:
    short = dropped(schedule, *arguments)
    if short is None:
        return None
    issued = np.zeros_like(schedule.active)
    issued[short.position, short.window] = True
    return replace(short, active=schedule.active & issued)


@says(NTWU, r"tile \d+, batch \d+: position \d+, window \d+ is issued twice")
def repeated(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule | None:
    tiles = batches_of(schedule)
    if (t := a_tile_with(tiles, 1, rng)) is None:
        return None
    tiles[t].append([tiles[t][rng.integers(len(tiles[t]))][0]])
    return issuing(schedule, tiles)


@says(NTWU, r"tile \d+, batch \d+: position \d+, window \d+ comes after a later window")
def swapped(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule | None:
    tiles = batches_of(schedule)
    places: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for t, tile in enumerate(tiles):
        for b, batch in enumerate(tile):
            for c, (p, _) in enumerate(batch):
                places.setdefault((t, p), []).append((b, c))
    several = [(t, found) for (t, _), found in places.items() if len(found) > 1]
    if not several:
        return None
    t, found = several[rng.integers(len(several))]
    (b, c), (d, e) = found[0], found[-1]
    tiles[t][b][c], tiles[t][d][e] = tiles[t][d][e], tiles[t][b][c]
    return issuing(schedule, tiles)


@says(NTWU, r"tile \d+, batch \d+: a batch of \d+ columns on an array of \d+; no batch is wider")
def widened(schedule: NtwuSchedule, arch: Accelerator, _rng: np.random.Generator) -> NtwuSchedule | None:
    tiles = batches_of(schedule)
    merged = [[[column for batch in tile for column in batch]] if tile else [] for tile in tiles]
    if all(len(batch) <= arch.array.cols for tile in merged for batch in tile):
        return None
    return issuing(schedule, merged)


@says(NTWU, r"tile \d+, batch \d+: a batch of 0 columns")
def with_an_empty_batch(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    tiles = batches_of(schedule)
    tiles[rng.integers(len(tiles))].append([])
    return issuing(schedule, tiles)


@says(NTWU, r"tile \d+, batch \d+: tap \d+ has spikes and is not streamed")
def retapped(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule | None:
    needed = np.argwhere(replace(schedule, stream="tap").surveyed.streamed)
    if len(needed) == 0:
        return None
    return replace(
        schedule, streamed=changed(schedule.surveyed.streamed, tuple(rng.choice(needed)), 0), stream="tap"
    )


@says(NTWU, r"tile \d+, batch \d+: some taps are not streamed where stream is (channel|all)")
def with_parts_of_channels(
    schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator
) -> NtwuSchedule | None:
    needed = replace(schedule, stream="tap").surveyed.streamed
    stream = str(rng.choice(["channel", "all"]))
    if np.array_equal(needed, replace(schedule, stream=stream).surveyed.streamed):
        return None
    return replace(schedule, streamed=needed, stream=stream)


@says(NTWU, "streamed is no uint8 array")
def with_another_mask(
    schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator
) -> NtwuSchedule | None:
    own = schedule.surveyed.streamed
    if own.size == 0:
        return None
    masks = [own[:, 1:], own[1:], own.astype(np.int8), own.astype(bool), changed(own, (0, 0), 2), own[0]]
    return replace(schedule, streamed=masks[rng.integers(len(masks))])


@says(NTWU, r"tile \d+, batch \d+: (position \S+ window \S+ lies outside the tile|a batch of)")
def out_of_range(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule | None:
    if len(schedule.position) == 0:
        return None
    own = str(rng.choice(["position", "window", "edge"]))
    if own == "edge":
        edges = changed(schedule.batch_columns, rng.integers(1, schedule.batches + 1), rng.choice(FAR))
        edges[-1] = len(schedule.position)
        return (
            None if np.array_equal(edges, schedule.batch_columns) else replace(schedule, batch_columns=edges)
        )
    value = int(rng.choice([*FAR, schedule.task.positions if own == "position" else schedule.windows]))
    array = getattr(schedule, own)
    return replace(schedule, **{own: changed(array, rng.integers(len(array)), value)})


@says(NTWU, "batches and columns do not follow each other")
def with_wrong_offsets(schedule: NtwuSchedule, arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    far, own = int(rng.choice(FAR)), schedule.tile_batches
    ways: list[dict[str, Any]] = [
        {"tile_batches": changed(own, 0, far)},
        {"tile_batches": changed(own, -1, far)},
        {"tile_batches": changed(own, -1, schedule.batches + 1)},
        {"tile_batches": own[1:]},
        {"tile_batches": own[:0]},
        {"batch_columns": own[:0], "tile_batches": changed(own, -1, -1)},
        {"tile_batches": np.append(own, own[-1])},
        {"position": np.append(schedule.position, 0), "window": np.append(schedule.window, 0)},
        {"batch_columns": changed(schedule.batch_columns, 0, far)},
        {"batch_columns": np.append(schedule.batch_columns, schedule.batch_columns[-1])},
        {"window": np.append(schedule.window, 0)},
        {"tiles": schedule.tiles[:, :3]},
    ]
    if len(own) > 2:
        ways.append({"tile_batches": changed(own, 1, far)})
    number = len(schedule.position)
    if number > 1 and arch.array.cols > 2:  # narrow enough, but beyond the last column
        single = issuing(schedule, [[[c] for batch in tile for c in batch] for tile in batches_of(schedule)])
        beyond = changed(single.batch_columns, -2, number + 1)
        ways.append(
            {"batch_columns": beyond, "position": single.position, "tile_batches": single.tile_batches}
        )
    return replace(schedule, **ways[rng.integers(len(ways))])


@says(NTWU, "is no int64 array")
def of_another_type(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    name = str(rng.choice(["position", "window", "batch_columns", "tile_batches", "tiles"]))
    own = getattr(schedule, name)
    return replace(schedule, **{name: (own.astype(np.int32), own.astype(float), own[None])[rng.integers(3)]})


@says(NTWU, "tiles do not cut the layer")
def with_other_tiles(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    shape, way = schedule.shape, rng.integers(4)
    if way == 0:
        many = schedule.windows + 1
        sizes = ((0, shape.windows), (shape.positions, 0), (-1, -1), (shape.positions, many), (2**62, many))[
            rng.integers(5)
        ]
        return replace(schedule, shape=TileShape(*sizes, shape.fits_all))
    tiles = changed(schedule.tiles, (rng.integers(len(schedule.tiles)), rng.integers(4)), rng.choice(FAR))
    if way == 1:  # a row too few or too many is refused as offsets are
        return replace(schedule, tiles=tiles)
    if way == 2:
        silent = np.zeros(1, np.int64)
        return replace(
            schedule, tiles=schedule.tiles[:0], tile_batches=silent, batch_columns=silent,
            position=silent[:0], window=silent[:0], streamed=None,
        )  # fmt: skip
    tiles = changed(schedule.tiles, (-1, 1), schedule.tiles[-1, 1] - 1)
    return replace(schedule, tiles=tiles)


@says(NTWU, r"window \d+ is (not )?marked active|is owed and not issued")
def with_activity_inverted(
    schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator
) -> NtwuSchedule:
    place = tuple(rng.integers(schedule.active.shape))
    return replace(schedule, active=changed(schedule.active, place, not schedule.active[place]))


@says(NTWU, r"active is no bool array \[positions, windows\]")
def with_another_map(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    own = schedule.active
    return replace(schedule, active=(own[1:], own[:, 1:], own.astype(np.uint8), own[None])[rng.integers(4)])


@says(NTWU, r"channels in groups of \S+ on \d+ rows of PEs")
def with_high_groups(schedule: NtwuSchedule, arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    channels, most = schedule.task.out_channels, arch.array.rows
    rows = [0, -1] + [most + 1] * (channels > most)
    return replace(schedule, groups=RowGroups(int(rng.choice(rows)), channels))


@says(NTWU, r"has \d+ channels, its schedule \d+")
def with_other_channels(schedule: NtwuSchedule, _arch: Accelerator, rng: np.random.Generator) -> NtwuSchedule:
    channels = schedule.task.out_channels
    other = int(rng.choice([0, channels - 1, channels + 1]))
    return replace(schedule, groups=replace(schedule.groups, out_channels=other))


@says(NTWU, r"blocks of \d+ windows, but runs of None")
def with_runs(schedule: NtwuSchedule, *_: Any) -> NtwuSchedule:
    return replace(schedule, shape=replace(schedule.shape, by_run=True))


@says(NTWU, "no stream 'some' among tap, channel, all")
def with_another_stream(schedule: NtwuSchedule, *_: Any) -> NtwuSchedule:
    return replace(schedule, stream="some")


@says(NTWU, "fits_all is")
def with_boundless_buffers(schedule: NtwuSchedule, *_: Any) -> NtwuSchedule:
    return replace(schedule, shape=replace(schedule.shape, fits_all=not schedule.shape.fits_all))


# --- Folds ----------------------------------------------------------------------------------------


OUT_OF_TURN = r"pass \d+, fold \d+: .*(out of turn|is due|after other rows)"


def with_folds(schedule: DenseSchedule, folds: Any) -> DenseSchedule:
    return replace(schedule, folds=np.array(folds, np.int64).reshape(-1, 5))


@says(DENSE, rf"({OUT_OF_TURN}|pass \d+: row \d+ of \d+ does not complete)")
def without_a_fold(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    return with_folds(schedule, np.delete(schedule.folds, rng.integers(len(schedule.folds)), axis=0))


@says(DENSE, OUT_OF_TURN)
def with_a_fold_twice(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    at = rng.integers(len(schedule.folds))
    return with_folds(schedule, np.insert(schedule.folds, at, schedule.folds[at], axis=0))


@says(DENSE, rf"({OUT_OF_TURN}|pass \d+: row \d+ of \d+ does not complete)")
def with_a_short_fold(
    schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator
) -> DenseSchedule | None:
    at, side = rng.integers(len(schedule.folds)), int(rng.choice([2, 4]))
    if schedule.folds[at, side] - schedule.folds[at, side - 1] < 2:
        return None
    return with_folds(schedule, changed(schedule.folds, (at, side), schedule.folds[at, side] - 1))


@says(DENSE, r"pass \d+: row 0 of \d+ does not complete")
def without_the_last_pass(schedule: DenseSchedule, *_: Any) -> DenseSchedule | None:
    own = schedule.folds[:, 0] < len(schedule.passes) - 1
    return with_folds(schedule, schedule.folds[own]) if own.any() else None


@says(DENSE, r"pass 0, fold 0: row \d+ comes out of turn")
def with_rows_begun_out_of_turn(schedule: DenseSchedule, *_: Any) -> DenseSchedule | None:
    """They complete in order; which rows begin first matters where their words are loaded once."""
    index, r0, r1, k0, k1 = schedule.folds[0].tolist()
    if schedule.dataflow != "ws" or r1 < 2 or k1 == schedule.taps:
        return None
    halves = [[index, 1, r1, k0, k1], [index, r0, 1, k0, k1]]
    return with_folds(schedule, np.concatenate([halves, schedule.folds[1:]]))


@says(DENSE, r"pass \d+, fold \d+: row \S+ tap \S+ lies outside the pass, or the fold is empty")
def with_an_empty_fold(
    schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator
) -> DenseSchedule:
    at, side = rng.integers(len(schedule.folds)), int(rng.choice([2, 4]))
    return with_folds(schedule, changed(schedule.folds, (at, side), schedule.folds[at, side - 1]))


@says(DENSE, r"fold \d+: .*(out of turn|is due|lies outside the pass|does not fit the array)")
def with_a_fold_out_of_range(
    schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator
) -> DenseSchedule:
    place = rng.integers(len(schedule.folds)), rng.integers(5)
    return with_folds(schedule, changed(schedule.folds, place, rng.choice(FAR)))


@says(DENSE, OUT_OF_TURN)
def with_folds_swapped(
    schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator
) -> DenseSchedule | None:
    if len(schedule.folds) < 2:
        return None
    at = rng.integers(len(schedule.folds) - 1)
    order = np.arange(len(schedule.folds))
    order[[at, at + 1]] = at + 1, at
    return with_folds(schedule, schedule.folds[order])


@says(DENSE, r"pass 0, fold \d+: (row \d+ takes tap \d+ after other rows|row \d+ comes out of turn)")
def with_taps_outside(schedule: DenseSchedule, *_: Any) -> DenseSchedule | None:
    """All rows take the first taps, then all the next ones: in their PEs nothing can stay."""
    first = schedule.folds[schedule.folds[:, 0] == 0]
    taps_first = first[np.lexsort((first[:, 1], first[:, 3]))]
    if schedule.dataflow == "ws" or np.array_equal(taps_first, first):
        return None
    return with_folds(schedule, np.concatenate([taps_first, schedule.folds[len(first) :]]))


@says(DENSE, r"pass 1, fold \d+: pass 0 is due")
def with_passes_interleaved(schedule: DenseSchedule, *_: Any) -> DenseSchedule | None:
    """Sums of a pass are gone when it goes on after another one."""
    start = int((schedule.folds[:, 0] == 0).sum())
    if start < 2 or start == len(schedule.folds):
        return None
    order = np.arange(len(schedule.folds))
    order[[start - 1, start]] = start, start - 1
    return with_folds(schedule, schedule.folds[order])


@says(DENSE, r"pass \d+, fold \d+: a fold of \d+ rows and \d+ taps does not fit the array")
def with_large_folds(schedule: DenseSchedule, *_: Any) -> DenseSchedule | None:
    rows, taps = int(schedule.rows_of_pass[0]), schedule.taps
    own = schedule.folds[0]
    if (schedule.dataflow == "ws" and own[4] == taps) or (own[2] == rows and schedule.dataflow == "os"):
        return None
    large = [own[0], 0, rows, 0, own[4]] if own[2] < rows else [own[0], 0, own[2], 0, taps]
    return with_folds(schedule, [large]) if own[2] < rows or own[4] < taps else None


@says(DENSE, r"passes do not cut \d+ positions and \d+ times into equal parts")
def with_other_passes(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    own, place = schedule.passes, (rng.integers(len(schedule.passes)), rng.integers(4))
    p, t = schedule.task.positions, schedule.timesteps // schedule.points
    ways = [own[:0], own[1:], own[:-1], np.repeat(own, 2, axis=0), changed(own, place, rng.choice(FAR)),
            own[:, :3], changed(own, (0, 0), 1), changed(own, (0, 1), 0)]  # fmt: skip
    if p > 2:
        ways.append(np.array([[0, 1, 0, t], [1, p, 0, t]]))
    if t > 1:
        ways.append(np.array([[0, p, 0, t], [0, p, t - 1, t]]))
    return replace(schedule, passes=ways[rng.integers(len(ways))])


@says(DENSE, r"folds for \S+ PEs on an array of \S+")
def for_another_array(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    name = str(rng.choice(["rows", "cols"]))
    return replace(schedule, **{name: getattr(schedule, name) * 2})


@says(DENSE, r"rows of \S+ time points; \d+ come \d+ a row")
def with_other_points(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    return replace(schedule, points=int(rng.choice([0, -1, schedule.points + 1])))


@says(DENSE, "lif_sharing is at least 1, walk_cycles at least 0")
def with_negative_work(schedule: DenseSchedule, _a: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    wrong: list[dict[str, Any]] = [{"lif_sharing": 0}, {"walk_cycles": -1}]
    return replace(schedule, **wrong[rng.integers(2)])


@says(DENSE, r"no dataflow 'tick_batch' among os, ws, is|is no int64 array|folds are pass")
def with_other_fields(schedule: DenseSchedule, _arch: Accelerator, rng: np.random.Generator) -> DenseSchedule:
    wrong: list[dict[str, Any]] = [
        {"dataflow": "tick_batch"}, {"folds": schedule.folds.astype(np.int32)},
        {"passes": schedule.passes[0]}, {"folds": schedule.folds[:, :4]},
    ]  # fmt: skip
    return replace(schedule, **wrong[rng.integers(len(wrong))])
