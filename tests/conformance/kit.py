"""What every plug-in must do, as functions that raise ``AssertionError``; for built-in ones and for yours.

Call :func:`check_scheduler`, :func:`check_policy` or :func:`check_engine` from a test of your own, with the
workloads of :func:`workloads` or with your own ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import naive
from naive_time import recurrence
from networks import conv, full, linear
from pipeline import laid_out, outputs, widths
from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.counts import Accesses
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.packing import DispatchPolicy, TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.engine import Durations, MemoryEngine
from strategies import Workload, make_spikes, make_weights

INT = {"threshold": 40, "leak_shift": 3, "reset": "zero", "datapath": "int"}
FLOAT = {"threshold": 4.5, "leak": 0.75, "reset": "zero", "datapath": "float"}

CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"tws": 4},
    {"tws": 1, "array.rows": 2, "array.cols": 3},
    {"tws": 3, "array.rows": 3, "array.cols": 2, "mapping.positions": 2, "mapping.windows": 3},
    {"tws": 5, "array.cols": 1, "mapping.tile": "layer", "stream": "channel"},
    {"tws": 13, "stream": "all", "accumulators_per_pe": 2},
    {"tws": 2, "array.rows": 3, "array.cols": 4, "update_cycles": 3, "skew": "batch", "zero_gating": False},
)
"""Overrides that every scheduler should be tried with."""


def workloads() -> Iterator[tuple[str, Workload]]:
    """Yield layers with input of every kind, each with a name."""
    layers = {
        "conv": conv("conv", (3, 7), 5, INT, kernel=[3, 2], stride=[1, 2], padding=[1, 0]),
        "conv, float": conv("conv", (2, 5), 4, FLOAT, kernel=2),
        "fc": linear("fc", (20, 9), INT),
        "soft reset": linear("fc", (6, 4), {**INT, "reset": "subtract"}),
        "negative threshold": conv("conv", (1, 3), 3, {**INT, "threshold": -2}),
    }
    for name, layer in layers.items():
        for activity in ("silent", "ones", "sparse", "medium", "ends"):
            shape = (layer["in_channels"], layer.get("in_height", 1), layer.get("in_width", 1), 13)
            spikes = make_spikes(shape if layer["kind"] == "conv" else (shape[0], 13), activity, 1)
            spec = Workload(layer, spikes, np.empty(0)).spec
            yield f"{name}, {activity}", Workload(layer, spikes, make_weights(spec, 2))
    biased = layers["fc"]
    spikes = make_spikes((20, 13), "sparse", 3)
    weight = make_weights(Workload(biased, spikes, np.empty(0)).spec, 4)
    yield "bias", Workload(biased, spikes, weight, np.arange(9, dtype=np.int32) - 4)


def active_ntwus(workload: Workload, tws: int) -> NDArray[np.bool_]:
    """NTWUs that must be issued, ``[P, N_TW]``, from the definition (Section 2)."""
    layer = full(workload.layer)
    neuron = layer["neuron"]
    windows = -(-workload.timesteps // tws)
    spikes = workload.spikes.reshape(*workload.spec.input_shape[:1], -1, workload.timesteps)
    if layer["kind"] == "linear":
        fields = [[0]]
    else:
        width = workload.spec.in_width
        fields = [
            [y * width + x for _, _, y, x in field]
            for field in naive.receptive_fields(layer, workload.spec.in_height, width)
        ]
    if workload.biased or neuron["threshold"] < 0 or neuron["reset"] == "subtract":
        return np.ones((len(fields), windows), bool)
    return np.array(
        [[bool(spikes[:, field, w * tws : (w + 1) * tws].any()) for w in range(windows)] for field in fields]
    )


def check_schedule(schedule: NtwuSchedule, workload: Workload, arch: Accelerator) -> None:
    """Check that a schedule is one: complete, without repetition, in order and within the array."""
    layer, tws = workload.spec, schedule.tws
    positions, windows = layer.out_height * layer.out_width, -(-workload.timesteps // tws)
    assert (schedule.geometry, schedule.windows) == (geometry_of(layer), windows)
    assert sum(schedule.groups.sizes) == layer.out_channels
    assert all(1 <= rows <= arch.array.rows for rows in schedule.groups.sizes)
    expected = active_ntwus(workload, tws)
    np.testing.assert_array_equal(schedule.active, expected, "active NTWUs are those of Section 2")

    covered = np.zeros((positions, windows), np.int64)
    for p0, p1, w0, w1 in schedule.tiles.tolist():
        assert 0 <= p0 < p1 <= positions and 0 <= w0 < w1 <= windows, "a tile lies outside the layer"
        covered[p0:p1, w0:w1] += 1
    assert (covered == 1).all(), "tiles do not cut the layer into disjoint parts"

    assert len(schedule.tile_batches) == len(schedule.tiles) + 1
    assert schedule.tile_batches[0] == schedule.batch_columns[0] == 0
    assert schedule.tile_batches[-1] == schedule.batches
    assert schedule.batch_columns[-1] == len(schedule.position) == len(schedule.window)
    assert (np.diff(schedule.tile_batches) >= 0).all()
    width = np.diff(schedule.batch_columns)
    assert (width >= 1).all(), "a batch is empty"
    assert (width <= arch.array.cols).all(), "a batch is wider than the array"

    issued = np.zeros((positions, windows), np.int64)
    last = np.full(positions, -1)
    for tile, (p0, p1, w0, w1) in enumerate(schedule.tiles.tolist()):
        first, end = schedule.batch_columns[schedule.tile_batches[tile : tile + 2]]
        for p, w in zip(schedule.position[first:end], schedule.window[first:end], strict=True):
            assert p0 <= p < p1 and w0 <= w < w1, "an NTWU is issued outside its tile"
            assert w > last[p], "the windows of a position do not ascend"
            last[p] = w
            issued[p, w] += 1
    assert (issued[expected] == 1).all(), "an active NTWU is not issued exactly once"
    assert (issued <= 1).all(), "an NTWU is issued twice"


def check_folds(schedule: DenseSchedule, workload: Workload, arch: Accelerator) -> None:
    """Check a dense schedule: every row and tap once, taps in ascending order, folds within the array."""
    layer, points = workload.spec, schedule.points
    geometry = geometry_of(layer)
    assert schedule.geometry == geometry
    assert (schedule.rows, schedule.cols) == (arch.array.rows, arch.array.cols)
    assert workload.timesteps == schedule.timesteps and workload.timesteps % points == 0
    assert sum(schedule.channel_groups) == schedule.out_channels == layer.out_channels
    blocks = workload.timesteps // points
    covered = np.zeros((geometry.positions, blocks), np.int64)
    before = np.full(geometry.positions, 0)
    for p0, p1, t0, t1 in schedule.passes.tolist():
        assert 0 <= p0 < p1 <= geometry.positions and 0 <= t0 < t1 <= blocks, "a pass lies outside the layer"
        assert (before[p0:p1] == t0).all(), "the time points of a position do not follow each other"
        before[p0:p1] = t1
        covered[p0:p1, t0:t1] += 1
    assert (covered == 1).all(), "passes do not cut the layer into disjoint parts"
    at_most = {
        "os": (arch.array.rows, geometry.taps),
        "ws": (geometry.positions * blocks, arch.array.rows),
        "is": (arch.array.cols, arch.array.rows),
    }[schedule.dataflow]
    done = [np.zeros(rows, np.int64) for rows in schedule.rows_of_pass]
    for index, r0, r1, k0, k1 in schedule.folds.tolist():
        assert 0 <= r0 < r1 <= len(done[index]) and 0 <= k0 < k1 <= geometry.taps, "a fold lies outside"
        assert r1 - r0 <= at_most[0] and k1 - k0 <= at_most[1], "a fold is larger than the array"
        assert (done[index][r0:r1] == k0).all(), "the taps of a row do not ascend without gaps"
        done[index][r0:r1] = k1
    assert all((taps == geometry.taps).all() for taps in done), "a row misses taps"


def check_serial(schedule: SerialSchedule, workload: Workload, arch: Accelerator) -> None:
    """Check a time-serial schedule: every active neuron once, its spikes counted, groups that fit."""
    expected = active_ntwus(workload, workload.timesteps)
    assert schedule.geometry == geometry_of(workload.spec)
    assert schedule.tws == workload.timesteps
    assert sum(schedule.groups) == workload.spec.out_channels
    assert all(1 <= channels <= arch.array.rows * arch.array.cols for channels in schedule.groups)
    np.testing.assert_array_equal(schedule.issued, expected[:, 0], "active neurons are those of Section 2")
    layer = full(workload.layer)
    spikes = workload.spikes.reshape(workload.spec.in_channels, -1, workload.timesteps)
    fields = [[(0, 0, 0, 0)]]
    if layer["kind"] == "conv":
        fields = naive.receptive_fields(layer, workload.spec.in_height, workload.spec.in_width)
    for position, field in enumerate(fields):
        seen = spikes[:, [y * workload.spec.in_width + x for _, _, y, x in field]]
        assert schedule.taken[position] == seen.sum()
        if workload.spec.neuron and workload.spec.neuron.silence_is_free and not workload.biased:
            assert schedule.updates[position] == seen.any(axis=(0, 1)).sum()
        else:
            assert schedule.updates[position] == workload.timesteps


def once_at_most(workload: Workload) -> Workload:
    """Keep the first spike of every input."""
    first = workload.spikes & (np.cumsum(workload.spikes, axis=-1) == 1)
    return replace(workload, spikes=first)


def check_scheduler(scheduler: Scheduler, workload: Workload, arch: Accelerator) -> None:
    """Check an accelerator's schedule of a layer, and that executing it gives the right spikes.

    Input that the accelerator refuses is replaced by the first spike of every input, which it must take.
    """
    layer = workload.spec
    assert layer.neuron is not None
    tws = scheduler.window_size(int(arch.tws), workload.timesteps, arch)
    spikes = window_spikes(np.packbits(workload.spikes, axis=-1), workload.timesteps, tws)
    free = layer.neuron.silence_is_free and not workload.biased
    try:
        schedule = scheduler.schedule(layer, spikes, free, widths(workload, arch).potential, arch)
    except UnsupportedError:
        assert (workload.spikes.sum(axis=-1) > 1).any(), "refuses what it says that it takes"
        check_scheduler(scheduler, once_at_most(workload), arch)
        return
    check: Any = {NtwuSchedule: check_schedule, DenseSchedule: check_folds, SerialSchedule: check_serial}
    assert type(schedule) in check, f"the kit does not know a {type(schedule).__name__}; add a check to it"
    check[type(schedule)](schedule, workload, arch)
    want = naive.forward(
        full(workload.layer), workload.spikes, workload.weight, workload.bias, arch.potential_bits
    )
    got, additions = outputs(workload, arch, schedule)
    np.testing.assert_array_equal(got, want, "outputs differ from a dense forward pass")
    schedule.check(arch, free)
    traffic, durations, _ = laid_out(schedule, workload, arch)
    assert additions == traffic.additions, "additions executed and counted differ"
    assert int(durations.array.sum()) == traffic.compute_cycles, "cycles of the steps are not the layer's"
    for upper, lower in (("dram", "glb"), ("glb", "lbuf")):
        check_conservation(traffic.accesses, upper, lower, bool(arch.memory.lbuf.bytes))


def check_conservation(accesses: Accesses, upper: str, lower: str, has_lbuf: bool) -> None:
    """Bits that leave a level downwards are those that the level below receives, tensor by tensor."""
    for tensor in ("ifmap", "filter"):
        inner = not (lower == "lbuf" and not has_lbuf)
        if inner:
            sent = accesses.read_bits(upper, tensor)
            assert sent == accesses.write_bits(lower, tensor), (upper, tensor)


def check_policy(policy: DispatchPolicy, workload: Workload, tws: int, cols: int) -> None:
    """Check that a dispatch policy packs the active NTWUs of any tile completely and in order."""
    spikes = window_spikes(np.packbits(workload.spikes, axis=-1), workload.timesteps, tws)
    active = active_ntwus(workload, tws)
    geometry = geometry_of(workload.spec)
    mode = policy.mode(active, cols)
    assert mode in ("temporal", "spatial")
    middle, half = -(-active.shape[0] // 2), -(-active.shape[1] // 2)
    for p0, p1 in ((0, middle), (middle, active.shape[0])):
        for w0, w1 in ((0, half), (half, active.shape[1])):
            part = active[p0:p1, w0:w1]
            packing = policy.pack(TileView(part, p0, w0, geometry, spikes), cols, mode)
            issued = list(zip(packing.position.tolist(), packing.window.tolist(), strict=True))
            assert sorted(issued) == [tuple(pair) for pair in np.argwhere(part).tolist()]
            for p in {p for p, _ in issued}:
                mine = [w for q, w in issued if q == p]
                assert mine == sorted(mine), "the windows of a position do not ascend"
            edges = [*packing.batch_starts.tolist(), len(issued)]
            assert edges[0] == 0
            assert all(1 <= b - a <= cols for a, b in itertools.pairwise(edges))


def check_engine(engine: MemoryEngine, steps: list[tuple[int, int, int, int, int]]) -> None:
    """Check that an engine gives the ends of the recurrence, to the cycle of every activity of every step."""
    columns = np.array(steps, np.int64).reshape(-1, 5).T
    ends = engine.run(Durations(*columns, array=columns[2]))
    want = recurrence(*columns.tolist())
    names = ("fetch", "load", "compute", "store", "writeback")
    for index, name in enumerate(names):
        got = getattr(ends, name)
        assert got.dtype == np.int64
        assert got.tolist() == [step[index] for step in want], name
