"""A broken schedule is refused by its check; unchecked, it does not do what a correct one does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import is_mistake, spikex
from distribution import install
from examples import examples
from networks import conv, linear
from pipeline import laid_out, outputs, schedule_of
from spikex_sim.core import registry
from spikex_sim.core.errors import ConfigError, ScheduleError
from spikex_sim.data import default_trace_path
from spikex_sim.schedules.base import check_task
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.testing import kit
from spoiled import (
    DENSE,
    NTWU,
    Spoil,
    batches_of,
    dropped,
    issuing,
    retapped,
    swapped,
    widened,
    with_folds,
)
from spoiled_serial import SERIAL
from strategies import Workload, overrides, workloads

MACHINES: dict[str, dict[str, Any]] = {
    "spikex": {"scheduler": "spikex"},
    "ptb": {"scheduler": "ptb"},
    "ptb-stsap": {"scheduler": "ptb", "stsap": True},
    "systolic-os": {"scheduler": "systolic", "dataflow": "os"},
    "systolic-ws": {"scheduler": "systolic", "dataflow": "ws"},
    "systolic-is": {"scheduler": "systolic", "dataflow": "is"},
    "sata-os": {"scheduler": "sata", "dataflow": "os"},
    "sata-ws": {"scheduler": "sata", "dataflow": "ws"},
    "sata-tick-batch": {"scheduler": "sata", "dataflow": "tick_batch"},
    "spinalflow": {"scheduler": "spinalflow"},
}
SPOILS = {NtwuSchedule: NTWU, DenseSchedule: DENSE, SerialSchedule: SERIAL}
SMALL: dict[str, Any] = {
    "tws": 2,
    "array.rows": 3,
    "array.cols": 3,
    "mapping.positions": 4,
    "mapping.windows": 3,
}


def built(machine: str, keys: dict[str, Any]) -> Accelerator:
    """Configuration of a machine, with those of the keys that it reads."""
    own = MACHINES[machine]
    return kit.accelerator(own["scheduler"], keys | own)


def correct(workload: Workload, arch: Accelerator) -> tuple[Workload, Any]:
    """Return a schedule that its check accepts, of a layer that the machine takes."""
    if arch.scheduler == "spinalflow":
        workload = kit.once_at_most(workload)
    schedule = schedule_of(workload, arch)
    schedule.check(arch)
    return workload, schedule


def refused(schedule: Any, arch: Accelerator, message: str) -> None:
    """One line that names the scheduler, then the place and the rule."""
    with pytest.raises(ScheduleError, match=rf"^scheduler {arch.scheduler}: .*{message}") as raised:
        schedule.check(arch)
    assert str(raised.value).isprintable()


def a_workload(name: str = "conv, medium") -> Workload:
    return dict(kit.workloads())[name]


@pytest.mark.parametrize("machine", MACHINES)
@examples(40)
@given(workload=workloads(largest_map=5, longest=16), seed=st.integers(0, 2**20), data=st.data())
def test_broken_schedules_are_refused(
    machine: str, workload: Workload, seed: int, data: st.DataObject
) -> None:
    keys = data.draw(
        st.one_of(
            st.sampled_from([*kit.CONFIGURATIONS, SMALL]), overrides(workload, MACHINES[machine]["scheduler"])
        )
        if machine in ("spikex", "ptb", "ptb-stsap")
        else st.sampled_from([*kit.CONFIGURATIONS, SMALL])
    )
    arch = built(machine, keys)
    try:
        workload, schedule = correct(workload, arch)
    except ConfigError:
        return
    rng = np.random.default_rng(seed)
    for message, spoil in SPOILS[type(schedule)]:
        broken = spoil(schedule, arch, rng)
        if broken is not None:
            refused(broken, arch, message)


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("message", "spoil"), [*NTWU, *DENSE, *SERIAL], ids=lambda given: getattr(given, "__name__", "")
)
def test_every_way_to_break_a_schedule_breaks_one(message: str, spoil: Spoil) -> None:
    """Each way of breaking applies to some machine here, so that none is left out everywhere."""
    workload, broke = a_workload(), 0
    for index, machine in enumerate(MACHINES):
        arch = built(machine, SMALL)
        _, schedule = correct(workload, arch)
        if (message, spoil) not in SPOILS[type(schedule)]:
            continue
        for seed in range(30):
            broken = spoil(schedule, arch, np.random.default_rng([seed, index]))
            if broken is not None:
                broke += 1
                refused(broken, arch, message)
    assert broke


# --- The check off --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(40)
@given(workload=workloads(largest_map=5, longest=16), seed=st.integers(0, 2**20), data=st.data())
def test_unchecked_batches_add_what_they_issue(
    scheduler: str, workload: Workload, seed: int, data: st.DataObject
) -> None:
    arch = built(scheduler, data.draw(st.sampled_from([*kit.CONFIGURATIONS, SMALL])))
    workload, schedule = correct(workload, arch)
    spikes, additions = outputs(workload, arch, schedule)
    rng = np.random.default_rng(seed)
    short = dropped(schedule, arch, rng)
    if short is not None:
        missing = int(schedule.surveyed.spikes.sum() - short.surveyed.spikes.sum())
        assert outputs(workload, arch, short)[1] == additions - missing * workload.spec.out_channels
    fewer = retapped(schedule, arch, rng)
    if fewer is not None:
        assert outputs(workload, arch, fewer)[1] < additions
    wide = widened(schedule, arch, rng)
    if wide is not None:  # nothing but the check holds this
        same, as_many = outputs(workload, arch, wide)
        assert as_many == additions and np.array_equal(same, spikes)


@pytest.mark.parametrize("machine", [name for name in MACHINES if name.startswith(("systolic", "sata"))])
@examples(20)
@given(workload=workloads(largest_map=5, longest=12), data=st.data())
def test_unchecked_folds_add_what_they_issue(machine: str, workload: Workload, data: st.DataObject) -> None:
    arch = built(machine, SMALL)
    workload, schedule = correct(workload, arch)
    _, additions = outputs(workload, arch, schedule)
    parts = [outputs(workload, arch, with_folds(schedule, fold))[1] for fold in schedule.folds]
    assert sum(parts) == additions
    at = data.draw(st.integers(0, len(parts) - 1))
    short = with_folds(schedule, np.delete(schedule.folds, at, axis=0))
    assert outputs(workload, arch, short)[1] == additions - parts[at]


ADDING_UP = {"threshold": 150, "leak_shift": 31, "reset": "zero", "datapath": "int"}


def adding_up(machine: str) -> tuple[Workload, Accelerator, Any]:
    """Neurons that fire at the second of two spikes, and at two at once: another order or number shows."""
    spikes = np.zeros((2, 5), bool)
    spikes[0, [0, 1, 3]] = spikes[1, 3] = True
    workload = Workload(linear("fc", (2, 3), ADDING_UP), spikes, np.full((3, 2), 100, np.int8))
    arch = built(machine, {"tws": 1, "array.rows": 2, "array.cols": 2})
    schedule = correct(workload, arch)[1]
    assert np.flatnonzero(outputs(workload, arch, schedule)[0][0]).tolist() == [1, 3]
    return workload, arch, schedule


@pytest.mark.kernels
@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
def test_unchecked_dropped_swapped_and_missing_work_shows_in_the_spikes(scheduler: str) -> None:
    workload, arch, schedule = adding_up(scheduler)
    for place, fires in (((0, 0), [3]), ((0, 1), [3]), ((0, 3), [1])):
        tiles = [
            [[column for column in batch if column != place] for batch in tile]
            for tile in batches_of(schedule)
        ]
        got = outputs(workload, arch, issuing(schedule, tiles))[0]
        assert np.flatnonzero(got[0]).tolist() == fires
    backwards = swapped(schedule, arch, np.random.default_rng(0))
    assert np.flatnonzero(outputs(workload, arch, backwards)[0][0]).tolist() != [1, 3]
    untapped = replace(schedule, streamed=np.ones_like(schedule.surveyed.streamed))
    untapped.streamed[:, 0] = 0
    got, additions = outputs(workload, arch, untapped)
    assert not got.any() and additions == 3


@pytest.mark.kernels
def test_unchecked_missing_folds_show_in_the_spikes() -> None:
    workload, arch, schedule = adding_up("systolic-os")
    for fold, fires in enumerate(([3], [1])):
        short = with_folds(schedule, np.delete(schedule.folds, fold, axis=0))
        assert np.flatnonzero(outputs(workload, arch, short)[0][0]).tolist() == fires


# --- What gave right spikes for less --------------------------------------------------------------


def quiet(*, spikes: int = 6) -> Workload:
    """A layer whose neurons never fire, so that spikes cannot tell what was done."""
    layer = conv("conv", (1, 2), 4, {**ADDING_UP, "threshold": 32000}, kernel=2)
    given = np.zeros((1, 4, 4, 12), bool)
    given[0, 1, 1, :spikes] = given[0, 2, 3, 0] = True
    return Workload(layer, given, np.ones((2, 1, 2, 2), np.int8))


def test_tiles_that_leave_silence_out_would_send_fewer_tags() -> None:
    workload, arch = quiet(), kit.accelerator("spikex", SMALL)
    _, schedule = correct(workload, arch)
    empty = np.diff(schedule.tile_batches) == 0
    assert empty.any()
    fewer = replace(
        schedule, tiles=schedule.tiles[~empty], tile_batches=np.append(0, schedule.tile_batches[1:][~empty])
    )
    assert np.array_equal(outputs(workload, arch, fewer)[0], outputs(workload, arch, schedule)[0])
    cheap, honest = (laid_out(each, arch)[0].accesses for each in (fewer, schedule))
    assert cheap.write_bits("dram", "tag") < honest.write_bits("dram", "tag")
    refused(fewer, arch, "tiles do not cut the layer")


@pytest.mark.parametrize("tensor", ["psum", "ifmap"])
def test_a_tile_must_fit_its_buffers(tensor: str) -> None:
    keys = {
        "scheduler": "spikex",
        "tws": 2,
        "array.rows": 2,
        f"memory.{'lbuf' if tensor == 'psum' else 'glb'}.bytes": 64,
    }
    workload = quiet()
    small, large = kit.accelerator("spikex", keys), kit.accelerator("spikex", {"tws": 2, "array.rows": 2})
    _, schedule = correct(workload, large)
    assert (schedule.shape.positions, schedule.shape.windows) == (9, 6)
    schedule.check(small)
    level = "lbuf" if tensor == "psum" else "glb"
    with pytest.raises(ConfigError, match=rf"memory.{level}.bytes: 64 B is too small.*in the {tensor} part"):
        schedule.lay_out(small)


def test_a_serial_position_is_updated_for_every_time_point_with_a_spike() -> None:
    workload, arch = quiet(spikes=1), kit.accelerator("spinalflow", {})
    workload.spikes[0, 1, 2, 3] = True
    _, schedule = correct(workload, arch)
    lazy = replace(schedule, updates=np.minimum(schedule.updates, 1))
    assert np.array_equal(outputs(workload, arch, lazy)[0], outputs(workload, arch, schedule)[0])
    cheap, honest = (laid_out(each, arch)[0].compute_cycles for each in (lazy, schedule))
    assert cheap < honest
    refused(lazy, arch, r"position \d+: 1 updates, but its receptive field asks for 2")


def test_time_points_beyond_the_last_whole_row_are_not_left_out() -> None:
    workload, arch = quiet(), built("systolic-os", SMALL)
    _, schedule = correct(workload, arch)
    keys = {"positions_per_pass": 4, "times_per_pass": 3, "points": 5}
    task = kit.task_of(workload, 5, arch)
    short = DenseSchedule.of(task, "os", (schedule.rows, schedule.cols), **keys)
    right = outputs(workload, arch, schedule)[0]
    assert np.array_equal(outputs(workload, arch, short)[0], right)
    refused(short, arch, "rows of 5 time points; 12 come 5 a row")


@pytest.mark.parametrize("stream", ["tap", "channel"])
def test_taps_beyond_need_are_allowed_and_cost(stream: str) -> None:
    workload, arch = a_workload(), kit.accelerator("spikex", SMALL | {"stream": stream})
    workload, schedule = correct(workload, arch)
    generous = replace(schedule, streamed=np.ones_like(schedule.surveyed.streamed))
    generous.check(arch)
    right = outputs(workload, arch, schedule)
    got = outputs(workload, arch, generous)
    assert np.array_equal(got[0], right[0]) and got[1] == right[1]
    cost = [laid_out(each, arch)[0].compute_cycles for each in (schedule, generous)]
    assert cost[0] < cost[1]


@pytest.mark.parametrize("lbuf", [2048, 64])
def test_weights_that_are_streamed_are_fetched(lbuf: int) -> None:
    layer = conv("conv", (3, 2), 4, ADDING_UP, kernel=2)
    spikes = np.zeros((3, 4, 4, 12), bool)
    spikes[1, 2, 2, 5] = True
    workload = Workload(layer, spikes, np.ones((2, 3, 2, 2), np.int8))
    arch = kit.accelerator("spikex", {"tws": 2, "memory.lbuf.bytes": lbuf})
    _, schedule = correct(workload, arch)
    generous = replace(schedule, streamed=np.ones_like(schedule.surveyed.streamed))
    generous.check(arch)
    for each, channels in ((schedule, 1), (generous, 3)):
        accesses = laid_out(each, arch)[0].accesses
        assert accesses.read_bits("dram", "filter") == channels * 4 * 2 * 8
        assert accesses.read_bits("lbuf", "filter") >= accesses.write_bits("lbuf", "filter")


def test_a_large_serial_group_behind_a_small_one_must_fit_too() -> None:
    arch = kit.accelerator("spinalflow", {"memory.lbuf.bytes": 256})
    _, schedule = correct(a_workload("fc, medium"), arch)
    cut = replace(schedule, groups=(1, 8))
    cut.check(arch)
    residency = [replace(schedule, groups=g).lay_out(arch).residency for g in ((1, 8), (8, 1))]
    assert residency[0] == residency[1] and residency[0].lbuf_filter == "step"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_schedule_is_of_the_layer_asked_for(machine: str) -> None:
    arch = built(machine, SMALL)
    workload, schedule = correct(a_workload(), arch)
    task = schedule.task
    check_task(schedule, task, arch)
    for other in (replace(task), kit.task_of(workload, task.tws + 1, arch)):
        broken = replace(schedule, task=other)
        for wrong, asked in ((broken, task), (schedule, other), (task, other)):
            with pytest.raises(
                ScheduleError, match=f"^scheduler {arch.scheduler}: .*another task than conv$"
            ):
                check_task(wrong, asked, arch)


# --- Through the front door -----------------------------------------------------------------------

POLICIES = """
from dataclasses import replace
import numpy as np
from spikex_sim.accelerators.spikex import SpikeX
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.ntwu.packing import Packing

class Descending(AgileDispatch):
    def pack(self, tile, cols, mode):
        position, window, starts = super().pack(tile, cols, mode)
        return Packing(position[::-1], window[::-1], np.arange(0, len(position), cols))

class Wide(AgileDispatch):
    def pack(self, tile, cols, mode):
        return super().pack(tile, 4 * cols, mode)

class Twice(AgileDispatch):
    def pack(self, tile, cols, mode):
        position, window, starts = super().pack(tile, cols, mode)
        return Packing(np.append(position, position[:1]), np.append(window, window[:1]),
                       np.append(starts, [len(position)] * len(position[:1])))

class Dropping(AgileDispatch):
    def pack(self, tile, cols, mode):
        position, window, starts = super().pack(tile, cols, mode)
        return Packing(position[:-1], window[:-1], starts[starts < len(position) - 1])

class Deaf(SpikeX):
    def schedule(self, task, arch):
        (synapse,), inputs = task.inputs.synapses, task.inputs
        silent = np.zeros((synapse.geometry.channels, synapse.geometry.pixels, 1), np.uint8)
        fewer = replace(inputs, spikes=(window_spikes(silent, inputs.timesteps, inputs.tws),))
        return super().schedule(replace(task, inputs=fewer), arch)
"""
FRONT = {
    "Descending": r"tile \d+, batch \d+: position \d+, window \d+ comes after a later window",
    "Wide": r"tile \d+, batch \d+: a batch of \d+ columns on an array of 8",
    "Twice": r"tile \d+, batch \d+: position \d+, window \d+ is issued twice",
    "Dropping": r"tile \d+: position \d+, window \d+ is owed and not issued",
    "Deaf": "the schedule is of another task than conv1",
}


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the policies, and forget them afterwards."""
    (tmp_path / "broken_policies.py").write_text(POLICIES)
    points = {name: f"broken_policies:{name}" for name in FRONT}
    install("broken", "1.0", {"spikex_sim.dispatch": points, "spikex_sim.accelerators": points}, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = registry._found, registry._instance
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("name", FRONT)
def test_a_run_with_a_broken_policy_ends_in_one_line_and_writes_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "scheduler" if name == "Deaf" else "dispatch"
    with pytest.raises(
        ScheduleError, match=f"^scheduler {'Deaf' if name == 'Deaf' else 'spikex'}: {FRONT[name]}"
    ):
        sx.simulate(default_trace_path(), tws=4, overrides={key: name})
    out = tmp_path / "out"
    outcome = spikex(capsys, "run", "--tws", "4", "--set", f"{key}={name}", "--out", out)
    assert re.search(FRONT[name], is_mistake(outcome))
    assert not out.exists()
