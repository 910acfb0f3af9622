"""Schedules and array costs of layers small enough to be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from networks import linear
from pipeline import Run, outputs, run
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.base import RowGroups
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.ntwu.packing import (
    Packing,
    TileShape,
    cut_tiles,
    pack_by_position,
    pack_by_window,
)
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.task import Task
from spikex_sim.spec.load import load_accelerator
from strategies import Workload

INT = {"threshold": 10, "leak_shift": 1, "reset": "zero", "datapath": "int"}
# Positions down, windows across.
ACTIVE = np.array([[1, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)


def batches(packing: Packing) -> list[list[tuple[int, int]]]:
    """Batches of (position, window)."""
    columns = list(zip(packing.position.tolist(), packing.window.tolist(), strict=True))
    edges = [*packing.batch_starts.tolist(), len(columns)]
    return [columns[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]  # noqa: RUF007


def test_temporal_packing_takes_the_windows_of_one_position() -> None:
    assert batches(pack_by_position(ACTIVE, 3)) == [
        [(0, 0), (0, 2), (0, 3)],
        [(0, 4)],
        [(2, 1), (2, 2), (2, 4)],
    ]


def test_spatial_packing_sorts_by_window_then_position() -> None:
    assert batches(pack_by_window(ACTIVE, 3)) == [
        [(0, 0), (2, 1), (0, 2)],
        [(2, 2), (0, 3), (0, 4)],
        [(2, 4)],
    ]


@pytest.mark.parametrize("pack", [pack_by_position, pack_by_window])
def test_nothing_active_is_no_batch(pack: Any) -> None:
    assert batches(pack(np.zeros((2, 3), bool), 4)) == []


def test_the_mode_is_temporal_above_the_columns_not_at_them() -> None:
    # 7 active NTWUs at 3 positions: a mean of 7/3. With 6, the mean is 2, and 2 columns are filled exactly.
    policy = AgileDispatch()
    assert policy.mode(ACTIVE, 2) == "temporal"
    assert policy.mode(ACTIVE, 3) == "spatial"
    six = ACTIVE.copy()
    six[0, 0] = False
    assert policy.mode(six, 2) == "spatial"


def test_tiles_cut_positions_outside_and_windows_inside() -> None:
    assert cut_tiles(5, 3, TileShape(2, 2)).tolist() == [
        [0, 2, 0, 2], [0, 2, 2, 3], [2, 4, 0, 2], [2, 4, 2, 3], [4, 5, 0, 2], [4, 5, 2, 3],
    ]  # fmt: skip


def test_a_schedule_concatenates_the_packings_of_its_tiles() -> None:
    # 3 positions, windows 0 to 2 and 3 to 4 in a tile each; batches of 2.
    spikes = window_spikes(np.packbits(ACTIVE.repeat(2, axis=1)[None], axis=-1), 10, 2)
    task = Task.of(
        "conv", Geometry(1, 3, 1, 1, 1, 1, 1, 0, 0, 3, 1), spikes, 1, load_accelerator(), datapath="int",
        silence_is_free=True,
    )  # fmt: skip
    schedule = NtwuSchedule.of(
        task,
        8,
        TileShape(3, 3),
        lambda p0, p1, w0, w1: pack_by_window(ACTIVE[p0:p1, w0:w1], 2),
        mode="spatial",
        stream="tap",
        tailored=True,
    )
    assert schedule.tiles.tolist() == [[0, 3, 0, 3], [0, 3, 3, 5]]
    assert schedule.tile_batches.tolist() == [0, 2, 4]
    assert schedule.batch_columns.tolist() == [0, 2, 4, 6, 7]
    assert schedule.position.tolist() == [0, 2, 0, 2, 0, 0, 2]
    assert schedule.window.tolist() == [0, 1, 2, 2, 3, 4, 4]
    assert schedule.batches == 4 and np.array_equal(schedule.active, ACTIVE)


def test_row_groups() -> None:
    assert RowGroups(8, 20).sizes == [8, 8, 4]
    assert RowGroups(8, 16).sizes == [8, 8]
    assert RowGroups(8, 3).sizes == [3]


def fully_connected(
    spikes: NDArray[np.bool_] | list[list[int]], scheduler: str = "spikex", channels: int = 1, **keys: Any
) -> Run:
    """Cost of a fully connected layer in one tile."""
    bits = np.array(spikes, bool)
    workload = Workload(
        linear("fc", (len(bits), channels), INT), bits, np.ones((channels, len(bits)), np.int8)
    )
    return run(workload, load_accelerator(scheduler, {"mapping.tile": "layer"} | keys))


@pytest.mark.kernels
def test_one_batch_from_dram_to_dram() -> None:
    """Work out one tap for one neuron in one window of four time points.

    DRAM -> GLB: one weight (8), one word (4) and its tag (1): 13 bits, 1 cycle at 480 bits a cycle. The same
    13 bits go on to the LBUF, 1 cycle at 64. The array takes 4 cycles for the tap and 4 for the update,
    without skew. The way back takes 4 spike bits and a tag, 1 cycle each.
    """
    done = fully_connected([[0, 0, 0, 0], [1, 0, 1, 0]], tws=4)
    steps = done.steps
    assert (steps.fetch_bits[0], steps.load_bits[0], steps.store_bits[0]) == (13, 13, 5)
    ends = done.ends
    times = [ends.fetch, ends.load, ends.compute, ends.store, ends.writeback]
    assert [array.tolist() for array in times] == [[1], [2], [10], [11], [12]]
    assert dict(done.stalls) == {"dram": 1, "glb": 1, "lbuf": 0, "drain": 2}
    assert done.layout.compute_cycles == 8
    # 1 weight, 1 word and 1 tag are read; the potential is written at the end and never read.
    assert done.layout.accesses["lbuf"] == {
        "filter": {"read_bits": 8, "write_bits": 8},
        "ifmap": {"read_bits": 4, "write_bits": 4},
        "ofmap": {"read_bits": 4, "write_bits": 4},
        "psum": {"read_bits": 0, "write_bits": 16},
        "tag": {"read_bits": 2, "write_bits": 2},  # one for the array, one on its way out
    }
    # 2 additions and 4 updates: 24-bit partial sums, 16-bit potentials.
    assert done.layout.accesses["rf"]["psum"] == {
        "read_bits": 2 * 24 + 4 * (24 + 16), "write_bits": 2 * 24 + 4 * 16,
    }  # fmt: skip


@pytest.mark.kernels
def test_leak_owed_across_two_batches() -> None:
    """Work out a neuron that is active in windows 0 and 3 of two time points, one column.

    Batch 1: 2 (tap) + 2 (update). Batch 2: 2 + 2 and 2 windows owed. The potential leaves the array after
    both and comes back before the second.
    """
    spikes = [[1, 0, 0, 0, 0, 0, 1, 0]]
    for catchup, cycles in ((1, 4 + 6), (3, 4 + 10), (0, 4 + 4)):
        keys = {"tws": 2, "array.cols": 1, "dispatch": "temporal", "leak_catchup_cycles": catchup}
        done = fully_connected(spikes, **keys)
        assert done.layout.compute_cycles == cycles
        assert done.layout.operations.leak_catchups == 2
        assert done.layout.accesses["lbuf"]["psum"] == {"read_bits": 16, "write_bits": 32}
    assert fully_connected(spikes, "ptb", tws=2).layout.operations.leak_catchups == 0


def test_leak_owed_within_a_batch() -> None:
    # Windows 0, 3 and 4 in one batch: 3 x 2 update cycles and 2 owed; 0 | 3, 4 are two runs of windows, each
    # written once, of which the second is read. 2 cycles for the tap, skew 2.
    done = fully_connected([[1, 0, 0, 0, 0, 0, 1, 0, 1, 0]], tws=2, **{"array.cols": 4})
    assert done.layout.compute_cycles == 2 + (3 * 2 + 2) + 2
    assert done.layout.accesses["lbuf"]["psum"] == {"read_bits": 16, "write_bits": 32}


def test_a_neuron_that_was_never_active_owes_nothing() -> None:
    done = fully_connected([[0, 0, 0, 0, 0, 0, 1, 0]], tws=2)
    assert done.layout.operations.leak_catchups == 0
    assert done.layout.compute_cycles == 2 + 2
    assert done.layout.accesses["lbuf"]["psum"] == {"read_bits": 0, "write_bits": 16}


def test_skew_is_paid_once_per_tile() -> None:
    # 3 rows; 5 windows in batches of 2, 2 and 1 columns: TWS for the tap, TWS a column; 2 + 1 skew.
    done = fully_connected([[1] * 10], channels=3, tws=2, **{"array.cols": 2})
    assert done.layout.compute_cycles == (2 + 4) + (2 + 4) + (2 + 2) + (3 - 1) + (2 - 1)
    # Rows x columns x cycles of the batch.
    assert done.layout.operations.pe_cycles == 3 * (2 * 6 + 2 * 6 + 1 * 4)


def test_accumulators_serve_several_time_points_a_cycle() -> None:
    for accumulators, per_tap in ((1, 5), (2, 3), (4, 2), (5, 1), (9, 1)):
        done = fully_connected([[1] * 5] * 3, tws=5, accumulators_per_pe=accumulators)
        assert done.layout.compute_cycles == 3 * per_tap + 5


@pytest.mark.parametrize(("stream", "taps"), [("tap", 1), ("channel", 4), ("all", 8)])
def test_what_is_streamed(stream: str, taps: int) -> None:
    layer = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 1, "kernel": 2, "stride": 1,
             "padding": 0, "in_height": 2, "in_width": 2, "neuron": INT}  # fmt: skip
    spikes = np.zeros((2, 2, 2, 3), bool)
    spikes[1, 0, 1, 2] = True
    workload = Workload(layer, spikes, np.ones((1, 2, 2, 2), np.int8))
    done = run(workload, load_accelerator("spikex", {"tws": 3, "stream": stream}))
    assert done.layout.operations.streamed_taps == taps
    assert done.layout.compute_cycles == 3 * taps + 3
    # One tag a streamed tap; the word only where its tag is set.
    assert done.layout.accesses["lbuf"]["ifmap"]["read_bits"] == 3
    assert done.layout.accesses["lbuf"]["tag"]["read_bits"] == taps + 1


def test_stsap_packs_first_fit() -> None:
    # Windows with a set tag, tap by tap: {0}, {0, 1}, {1}, {2}, {0}. First fit in tap order puts tap 2 beside
    # tap 0, tap 3 there too, and opens a third slot for tap 4: {0, 2, 3}, {1}, {4}.
    words = [{0}, {0, 1}, {1}, {2}, {0}]
    spikes = [[1 if w in tap else 0 for w in range(3) for _ in range(2)] for tap in words]
    packed, plain = (fully_connected(spikes, "ptb", tws=2, stsap=stsap) for stsap in (True, False))
    assert packed.layout.compute_cycles == 3 * 2 + 3 * 2 + 2
    assert plain.layout.compute_cycles == 5 * 2 + 3 * 2 + 2
    # Every packed tap's weight counts.
    assert packed.layout.operations.streamed_taps == plain.layout.operations.streamed_taps == 5
    assert packed.layout.accesses == plain.layout.accesses


def test_outputs_of_a_neuron_worked_out_by_hand() -> None:
    # Weights 8 and -5, threshold 10, leak by half. v: 8; 4 + 8 = 12 fires, back to 0; -5; -5 + 3 = -2 (an
    # arithmetic shift of -5 by one is -3); -2 + 1 + 8 = 7; 7 - 3 + 8 = 12 fires.
    spikes = np.array([[1, 1, 0, 0, 1, 1], [0, 0, 1, 0, 0, 0]], bool)
    workload = Workload(linear("fc", (2, 1), INT), spikes, np.array([[8, -5]], np.int8))
    for tws in (1, 2, 4, 6):
        arch = load_accelerator("spikex", {"tws": tws})
        done = run(workload, arch)
        fired, adds = outputs(workload, arch, done.schedule)
        assert fired[0].tolist() == [False, True, False, False, False, True]
        assert adds == 5
