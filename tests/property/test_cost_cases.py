"""Every way in which a layer can be laid over the buffers occurs, and costs what the slow oracle says.

One layer carries all cases. Its numbers, for the first row group: a channel's filter is 4 taps x 3 rows x 8
bits = 96 bits; a tile's SP-MB is 8 pixels x 2 windows x (2 + 1) bits = 48 bits. Tiles are (positions 0 and 1,
2 and 3) x (windows 0 and 1, 2 and 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from comparison import assert_costs
from pipeline import Run
from strategies import PLENTY, Workload, level, prefixed

LAYER = {
    "name": "conv", "kind": "conv", "in_channels": 3, "out_channels": 5, "kernel": 2, "stride": 2,
    "padding": 0, "in_height": 4, "in_width": 4,
    "neuron": {"threshold": 3, "leak_shift": 2, "reset": "zero", "datapath": "int"},
}  # fmt: skip
CHANNEL_FILTER, TAP_FILTER, SPMB = 96, 24, 48
FIXED = {"tws": 2, "array.rows": 3, "array.cols": 2, "mapping.positions": 2, "mapping.windows": 2}


def spikes_at(*words: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Spikes in the first time point of (channel, y, x, window)."""
    spikes = np.zeros((3, 4, 4, 8), bool)
    for channel, y, x, window in words:
        spikes[channel, y, x, window * 2] = True
    return spikes


# Tile by tile: channel 0; channels 1 and 2; nothing; channel 0.
SCATTERED = spikes_at((0, 0, 0, 0), (0, 1, 3, 1), (1, 0, 1, 2), (2, 1, 1, 2), (1, 0, 3, 3), (0, 3, 3, 3))
ONES = np.ones((3, 4, 4, 8), bool)
SILENT = np.zeros((3, 4, 4, 8), bool)
# Channel 1 is full, channels 0 and 2 hold one spike a window.
UNEVEN = spikes_at(*((c, 0, 0, w) for c in (0, 2) for w in range(4)))
UNEVEN[1] = True


def halves(**changes: int) -> dict[str, Any]:
    """Buffers with plenty of room but where ``glb_filter=...`` and the like say otherwise."""
    keys: dict[str, Any] = {}
    for name in ("glb", "lbuf"):
        parts = {part: changes.get(f"{name}_{part}", PLENTY) for part in ("ifmap", "filter", "ofmap", "psum")}
        keys |= prefixed(f"memory.{name}", level(**parts))
    return keys


def workload_of(spikes: NDArray[np.bool_], *, biased: bool = False) -> Workload:
    """Return the layer with such an input."""
    bias = np.array([0, 0, 1, 0, 0], np.int32) if biased else None
    return Workload(LAYER, spikes, np.ones((5, 3, 2, 2), np.int8), bias)


def cost(spikes: NDArray[np.bool_], base: str, *, biased: bool = False, **keys: Any) -> Run:
    """Costs after comparing them with the oracle's."""
    done = assert_costs(workload_of(spikes, biased=biased), base, FIXED | keys)
    assert done is not None, "a buffer is too small"
    return done


# The group needs three channels' filters, its largest tile two: 288 and 192 bits. Four SP-MBs are active.
GLB_FILTER = {"group": 3 * CHANNEL_FILTER, "tile": 3 * CHANNEL_FILTER - 1, "step": 2 * CHANNEL_FILTER - 1}
GLB_IFMAP = {"layer": 4 * SPMB, "tile": 4 * SPMB - 1}
LBUF_FILTER = {"group": 3 * CHANNEL_FILTER, "step": 3 * CHANNEL_FILTER - 1}


@pytest.mark.kernels
@pytest.mark.parametrize("glb_ifmap", ["layer", "tile"])
@pytest.mark.parametrize(
    ("glb_filter", "lbuf_filter"), [("group", "group"), ("group", "step"), ("tile", "step"), ("step", "step")]
)
def test_every_residency(glb_filter: str, lbuf_filter: str, glb_ifmap: str) -> None:
    room = halves(
        glb_filter=GLB_FILTER[glb_filter],
        glb_ifmap=GLB_IFMAP[glb_ifmap],
        lbuf_filter=LBUF_FILTER[lbuf_filter] if glb_filter == "group" else CHANNEL_FILTER,
    )
    done = cost(SCATTERED, "spikex", **room)
    residency = done.layout.residency
    assert (residency.glb_filter, residency.lbuf_filter) == (glb_filter, lbuf_filter)
    assert residency.glb_ifmap == glb_ifmap


def test_a_scope_is_never_narrower_than_that_of_the_level_below() -> None:
    done = cost(SCATTERED, "spikex", **halves(glb_filter=GLB_FILTER["tile"], lbuf_filter=PLENTY))
    assert done.layout.residency.lbuf_filter == "step"


# PTB moves every channel in every tile: what fits per tile fits per group, so that "tile" cannot occur.
@pytest.mark.parametrize("glb_ifmap", ["layer", "tile"])
@pytest.mark.parametrize(
    ("glb_filter", "lbuf_filter"), [("group", "group"), ("group", "step"), ("step", "step")]
)
def test_every_residency_of_ptb(glb_filter: str, lbuf_filter: str, glb_ifmap: str) -> None:
    room = halves(
        glb_filter=3 * CHANNEL_FILTER - (glb_filter == "step"),
        glb_ifmap=12 * SPMB - (glb_ifmap == "tile"),
        lbuf_filter=LBUF_FILTER[lbuf_filter],
    )
    done = cost(SCATTERED, "ptb", **room)
    residency = done.layout.residency
    assert (residency.glb_filter, residency.lbuf_filter) == (glb_filter, lbuf_filter)
    assert residency.glb_ifmap == glb_ifmap


def steps_of_batches(done: Run) -> list[int]:
    """Steps of each batch of the first row group, extra output steps not counted."""
    steps = done.steps
    return np.bincount(steps.batch[(steps.batch >= 0) & (steps.group == 0)]).tolist()


# Every batch has 2 columns, so that a channel of ONES moves 8 words and 8 tags: 24 bits (two windows of a
# position in temporal mode, two positions in spatial mode). Three channels make 72 bits.
BATCH_CUTS: dict[str, tuple[dict[str, int], int]] = {
    "uncut": ({"lbuf_filter": 287, "lbuf_ifmap": 72, "glb_filter": 287}, 2),  # 287: cut in two by the filters
    "by the ifmap, an exact fit": ({"lbuf_ifmap": 72}, 1),
    "by the ifmap, two and one channels": ({"lbuf_ifmap": 71}, 2),
    "by the ifmap, an exact fit of two": ({"lbuf_ifmap": 48}, 2),
    "by the ifmap, one channel each": ({"lbuf_ifmap": 47}, 3),
    "by the ifmap, runs of 3 and 1 taps": ({"lbuf_ifmap": 23}, 6),
    "by the ifmap, runs of 2 taps": ({"lbuf_ifmap": 12}, 6),
    "by the ifmap, single taps": ({"lbuf_ifmap": 6}, 12),
    "by the filters, an exact fit of two": ({"lbuf_filter": 192}, 2),
    "by the filters, one channel each": ({"lbuf_filter": 191}, 3),
    "by the filters, runs of 3 and 1 taps": ({"lbuf_filter": 95}, 6),
    "by the filters, runs of 2 taps": ({"lbuf_filter": 48}, 6),
    "by the filters, single taps": ({"lbuf_filter": 47}, 12),
}


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@pytest.mark.parametrize("dispatch", ["temporal", "spatial"])
@pytest.mark.parametrize("name", BATCH_CUTS)
def test_every_cut_of_a_batch(name: str, dispatch: str, base: str) -> None:
    room, steps = BATCH_CUTS[name]
    keys = halves(**room) | ({"dispatch": dispatch} if base == "spikex" else {})
    assert set(steps_of_batches(cost(ONES, base, **keys))) == {steps}


@pytest.mark.kernels
def test_a_channel_that_does_not_fit_alone_stands_between_two_that_do() -> None:
    # Channel 1 moves 24 bits and is cut into runs of 3 and 1 taps of 6 bits; channels 0 and 2 move 2 words
    # and 8 tags, 12 bits. The last run and channel 2 would fit together, but a cut channel shares no step.
    keys = halves(lbuf_ifmap=20) | {"dispatch": "temporal"}
    done = cost(UNEVEN, "spikex", **keys)
    assert steps_of_batches(done)[0] == 4
    assert done.steps.load_bits[1:4].tolist() == [18, 6, 12]


@pytest.mark.parametrize(("room", "steps"), [(24, 1), (23, 4)])
def test_channels_that_move_nothing_join_one_that_fits_exactly(room: int, steps: int) -> None:
    # Channel 1 alone is active and moves 24 bits; with `stream: all` channels 0 and 2 are streamed, and move
    # only weights. At 23 bits channel 1 is cut into two runs of taps, which nothing joins.
    only = np.zeros_like(ONES)
    only[1] = True
    done = cost(only, "spikex", **halves(lbuf_ifmap=room), stream="all", dispatch="temporal")
    assert set(steps_of_batches(done)) == {steps}


def test_the_group_with_fewer_rows_is_cut_less() -> None:
    # 95 bits do not hold a channel's filter of 3 rows, but one of 2 rows (64 bits).
    steps = cost(ONES, "spikex", **halves(lbuf_filter=95)).steps
    assert (steps.group == 0).sum() == 2 * (steps.group == 1).sum()


def test_extra_output_steps() -> None:
    # A batch of 2 columns sends 3 rows x 2 x (2 + 1) = 18 bits; at 17 one is left for an extra step.
    assert len(cost(ONES, "spikex", **halves(lbuf_ofmap=18)).steps) == 16
    steps = cost(ONES, "spikex", **halves(lbuf_ofmap=17)).steps
    assert len(steps) == 8 * 2 + 8  # the second row group sends 12 bits and needs none
    assert steps.store_bits[:2].tolist() == [17, 1]
    assert [steps.fetch_bits[1], steps.load_bits[1], steps.array_cycles[1], steps.batch[1]] == [0, 0, 0, -1]
    steps = cost(ONES, "spikex", **halves(lbuf_ofmap=5)).steps
    assert steps.store_bits[:4].tolist() == [5, 5, 5, 3]


def test_an_empty_tile_only_sends_tags() -> None:
    done = cost(SCATTERED, "spikex", **halves(glb_filter=GLB_FILTER["tile"], glb_ifmap=GLB_IFMAP["tile"]))
    steps = done.steps
    empty = np.flatnonzero((steps.tile == 2) & (steps.group == 0))
    assert len(empty) == 1
    assert steps.store_bits[empty[0]] == 3 * 2 * 2  # rows x positions x windows
    assert steps.array_cycles[empty[0]] == steps.load_bits[empty[0]] == steps.fetch_bits[empty[0]] == 0


def test_an_empty_tile_sends_its_tags_in_several_steps() -> None:
    steps = cost(SCATTERED, "spikex", **halves(lbuf_ofmap=5)).steps
    assert steps.store_bits[(steps.tile == 2) & (steps.group == 0)].tolist() == [5, 5, 2]


def test_loads_of_the_group_and_the_layer_belong_to_the_first_step_even_of_an_empty_tile() -> None:
    late = spikes_at((1, 3, 3, 3))
    steps = cost(late, "spikex").steps
    assert steps.batch[0] == -1
    assert steps.fetch_bits[0] == CHANNEL_FILTER + SPMB
    assert steps.load_bits[0] == CHANNEL_FILTER


@pytest.mark.parametrize(
    ("base", "biased"), [("ptb", False), ("spikex", True)], ids=["ptb", "silence is not free"]
)
def test_batches_without_active_channels(base: str, biased: bool) -> None:
    done = cost(spikes_at((0, 0, 0, 0)), base, biased=biased, **({"dispatch": "temporal"} if biased else {}))
    silent = done.found.counts[0].sum(axis=1) == 0
    assert silent.sum() == 7  # of 4 positions x 2 batches, all but one
    assert len(done.steps) == 16
    assert done.layout.operations.lif_updates == 5 * 4 * 8


@pytest.mark.parametrize("stream", ["tap", "channel", "all"])
@pytest.mark.parametrize("base", ["spikex", "ptb"])
@pytest.mark.parametrize("spikes", [SILENT, ONES, SCATTERED], ids=["silent", "ones", "scattered"])
@pytest.mark.parametrize("tile", ["auto", "layer"])
def test_streams_and_tiles(spikes: NDArray[np.bool_], base: str, stream: str, tile: str) -> None:
    done = cost(spikes, base, stream=stream, **{"mapping.tile": tile})
    if tile == "layer":
        assert len(done.schedule.tiles) == 1


AUTOMATIC = {
    "potentials limit the positions": (halves(lbuf_psum=3 * 16 * 3), 3, 4),
    "the ifmap half limits the windows": (halves(glb_ifmap=3 * 16 * 3), 4, 1),
    "positions are halved until a window fits": (halves(glb_ifmap=3 * 4 * 3), 1, 1),
    "a window of two positions fits": (halves(glb_ifmap=3 * 8 * 3), 2, 1),
}


@pytest.mark.parametrize("name", AUTOMATIC)
def test_automatic_tiles(name: str) -> None:
    keys, positions, windows = AUTOMATIC[name]
    automatic = {"mapping.positions": "auto", "mapping.windows": "auto", "dispatch": "spatial"}
    shape = cost(ONES, "spikex", **keys, **automatic).schedule.shape
    assert (shape.positions, shape.windows) == (positions, windows)


def test_blocks_hold_whole_rows_of_columns() -> None:
    # Three windows of all pixels fit (3 x 16 pixels x 3 channels x 3 bits), but batches hold two each.
    automatic = {"mapping.positions": "auto", "mapping.windows": "auto"}
    keys = halves(glb_ifmap=3 * 16 * 3 * 3) | automatic
    assert cost(ONES, "ptb", **keys).schedule.shape.windows == 2
    assert cost(ONES, "spikex", dispatch="spatial", **keys).schedule.shape.windows == 3


def test_positions_make_room_for_the_windows_asked_for() -> None:
    # Three windows of 2 positions need 3 x 8 pixels x 3 channels x 3 bits = 216 bits, of 4 positions 432.
    keys = halves(glb_ifmap=216) | {"mapping.positions": "auto", "mapping.windows": 3, "dispatch": "spatial"}
    shape = cost(ONES, "spikex", **keys).schedule.shape
    assert (shape.positions, shape.windows) == (2, 3)
