"""Every registered plug-in passes the kit, and the kit notices what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import kit
from examples import examples
from pipeline import schedule_of
from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.registry import plugin, plugin_names
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.ntwu.packing import Packing, TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.timing.engine import Durations, Ends
from spikex_sim.timing.fast import FastEngine
from strategies import Workload, workloads

WORKLOADS = dict(kit.workloads())


def test_there_are_plugins() -> None:
    assert {"spikex", "ptb", "systolic", "sata", "spinalflow"} <= set(plugin_names("accelerators"))
    assert {"agile", "temporal", "spatial"} <= set(plugin_names("dispatch"))
    assert {"fast", "event"} <= set(plugin_names("engines"))


@pytest.mark.kernels
@pytest.mark.parametrize("configuration", kit.CONFIGURATIONS, ids=str)
@pytest.mark.parametrize("name", plugin_names("accelerators"))
def test_schedulers(name: str, configuration: dict[str, Any]) -> None:
    arch = load_accelerator("spikex", {**configuration, "scheduler": name})
    for workload in WORKLOADS.values():
        kit.check_scheduler(plugin("accelerators", name), workload, arch)


@pytest.mark.parametrize("name", plugin_names("accelerators"))
@examples(40)
@given(workload=workloads(largest_map=5, longest=16), data=st.data())
def test_schedulers_on_drawn_layers(name: str, workload: Workload, data: st.DataObject) -> None:
    configuration = data.draw(st.sampled_from(kit.CONFIGURATIONS))
    kit.check_scheduler(plugin("accelerators", name), workload, load_accelerator("spikex", configuration))


@pytest.mark.parametrize("name", plugin_names("dispatch"))
@pytest.mark.parametrize(("tws", "cols"), [(1, 3), (4, 8), (5, 1)])
def test_dispatch_policies(name: str, tws: int, cols: int) -> None:
    for workload in WORKLOADS.values():
        kit.check_policy(plugin("dispatch", name), workload, tws, cols)
        arch = load_accelerator("spikex", {"tws": tws, "array.cols": cols, "dispatch": name})
        kit.check_scheduler(plugin("accelerators", "spikex"), workload, arch)


@pytest.mark.parametrize("name", plugin_names("engines"))
@examples(60)
@given(steps=st.lists(st.tuples(*[st.one_of(st.just(0), st.integers(0, 30))] * 5), min_size=1, max_size=40))
def test_engines(name: str, steps: list[tuple[int, int, int, int, int]]) -> None:
    kit.check_engine(plugin("engines", name), steps)


# --- The kit itself -------------------------------------------------------------------------------


class Broken(Scheduler):
    """A scheduler that spoils what another one made."""

    def __init__(self, spoil: Callable[[Any], Any], name: str = "spikex") -> None:
        self.spoil, self.plugin = spoil, plugin("accelerators", name)

    def window_size(self, tws: int, timesteps: int, arch: Accelerator) -> int:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        return self.plugin.window_size(tws, timesteps, arch)

    def schedule(self, *arguments: Any) -> Any:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        return self.spoil(self.plugin.schedule(*arguments))


def without_last_column(schedule: NtwuSchedule) -> NtwuSchedule:
    edges = schedule.batch_columns.copy()
    edges[-1] -= 1
    return replace(
        schedule, batch_columns=edges, position=schedule.position[:-1], window=schedule.window[:-1]
    )


def repeated(schedule: NtwuSchedule) -> NtwuSchedule:
    position, window = schedule.position.copy(), schedule.window.copy()
    position[1], window[1] = position[0], window[0]
    return replace(schedule, position=position, window=window)


def backwards(schedule: NtwuSchedule) -> NtwuSchedule:
    return replace(schedule, position=schedule.position[::-1].copy(), window=schedule.window[::-1].copy())


def in_one_batch(schedule: NtwuSchedule) -> NtwuSchedule:
    columns = np.array([0, len(schedule.position)])
    return replace(schedule, batch_columns=columns, tile_batches=np.array([0] + [1] * len(schedule.tiles)))


def all_in_the_first_tile(schedule: NtwuSchedule) -> NtwuSchedule:
    edges = np.full_like(schedule.tile_batches, schedule.batches)
    edges[0] = 0
    return replace(schedule, tile_batches=edges)


def with_a_tile_missing(schedule: NtwuSchedule) -> NtwuSchedule:
    tiles = schedule.tiles.copy()
    tiles[-1] = tiles[0]
    return replace(schedule, tiles=tiles)


def with_an_idle_ntwu_marked_active(schedule: NtwuSchedule) -> NtwuSchedule:
    return replace(schedule, active=np.ones_like(schedule.active))


SPOILED = {
    without_last_column: "not issued exactly once",
    repeated: "do not ascend",
    backwards: "outside its tile|do not ascend",
    in_one_batch: "wider than the array|outside its tile",
    all_in_the_first_tile: "outside its tile",
    with_a_tile_missing: "disjoint",
    with_an_idle_ntwu_marked_active: "Section 2",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_the_kit_notices_a_wrong_schedule(spoil: Callable[[NtwuSchedule], NtwuSchedule]) -> None:
    keys = {"tws": 1, "array.cols": 3, "mapping.positions": 4, "mapping.windows": 5}
    arch, workload = load_accelerator("spikex", keys), WORKLOADS["conv, medium"]
    kit.check_schedule(schedule_of(workload, arch)[0], workload, arch)
    with pytest.raises(AssertionError, match=SPOILED[spoil]):
        kit.check_scheduler(Broken(spoil), workload, arch)


def without_the_last_fold(schedule: DenseSchedule) -> DenseSchedule:
    return replace(schedule, folds=schedule.folds[:-1])


def with_a_fold_twice(schedule: DenseSchedule) -> DenseSchedule:
    return replace(schedule, folds=np.concatenate([schedule.folds[:1], schedule.folds]))


def with_one_large_fold(schedule: DenseSchedule) -> DenseSchedule:
    taps = schedule.geometry.taps
    return replace(schedule, folds=np.array([[0, 0, schedule.rows_of_pass[0], 0, taps]]))


def with_passes_backwards(schedule: DenseSchedule) -> DenseSchedule:
    return replace(schedule, passes=schedule.passes[::-1].copy())


SPOILED_FOLDS = {
    without_the_last_fold: "misses taps",
    with_a_fold_twice: "without gaps",
    with_one_large_fold: "larger than the array",
    with_passes_backwards: "follow each other",
}


@pytest.mark.parametrize("spoil", SPOILED_FOLDS, ids=lambda spoil: spoil.__name__)
def test_the_kit_notices_wrong_folds(spoil: Callable[[DenseSchedule], DenseSchedule]) -> None:
    keys = {"scheduler": "systolic", "mapping.windows": 5, "array.rows": 3}
    arch, workload = load_accelerator("spikex", keys), WORKLOADS["conv, medium"]
    kit.check_scheduler(plugin("accelerators", "systolic"), workload, arch)
    with pytest.raises(AssertionError, match=SPOILED_FOLDS[spoil]):
        kit.check_scheduler(Broken(spoil, "systolic"), workload, arch)


def with_a_spike_too_few(schedule: SerialSchedule) -> SerialSchedule:
    taken = schedule.taken.copy()
    taken[np.argmax(taken)] -= 1
    return replace(schedule, taken=taken)


def with_a_group_twice(schedule: SerialSchedule) -> SerialSchedule:
    return replace(schedule, groups=schedule.groups * 2)


def never_updated(schedule: SerialSchedule) -> SerialSchedule:
    nothing = np.zeros_like(schedule.taken)
    return replace(schedule, taken=nothing, updates=nothing)


@pytest.mark.parametrize("spoil", [with_a_spike_too_few, with_a_group_twice, never_updated])
def test_the_kit_notices_a_wrong_serial_schedule(spoil: Callable[[SerialSchedule], SerialSchedule]) -> None:
    arch, workload = load_accelerator("spinalflow"), WORKLOADS["conv, medium"]
    kit.check_scheduler(plugin("accelerators", "spinalflow"), workload, arch)
    with pytest.raises(AssertionError):
        kit.check_scheduler(Broken(spoil, "spinalflow"), workload, arch)


def refuses_everything(_schedule: Any) -> Any:
    raise UnsupportedError("no")


def test_the_kit_notices_who_refuses_too_much() -> None:
    with pytest.raises(AssertionError, match="refuses"):
        kit.check_scheduler(Broken(refuses_everything), WORKLOADS["conv, medium"], load_accelerator())


@pytest.mark.kernels
@pytest.mark.parametrize("dataflow", ["ws", "is", "tick_batch"])
def test_other_dataflows(dataflow: str) -> None:
    name = "sata" if dataflow == "tick_batch" else "systolic"
    for configuration in kit.CONFIGURATIONS:
        arch = load_accelerator("spikex", {**configuration, "scheduler": name, "dataflow": dataflow})
        for workload in WORKLOADS.values():
            kit.check_scheduler(plugin("accelerators", name), workload, arch)


def test_the_kit_notices_wrong_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    right = kit.outputs
    monkeypatch.setattr(kit, "outputs", lambda *arguments: (~right(*arguments)[0], 0))
    with pytest.raises(AssertionError, match="dense forward pass"):
        kit.check_scheduler(plugin("accelerators", "spikex"), WORKLOADS["fc, ones"], load_accelerator())


class Forgetful(AgileDispatch):
    """Leaves the last NTWU out."""

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        packing = super().pack(tile, cols, mode)
        return Packing(packing.position[:-1], packing.window[:-1], packing.batch_starts)


class TooWide(AgileDispatch):
    """Packs one column too many."""

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        return super().pack(tile, cols + 1, mode)


@pytest.mark.parametrize("policy", [Forgetful(), TooWide()])
def test_the_kit_notices_a_wrong_policy(policy: AgileDispatch) -> None:
    with pytest.raises(AssertionError):
        kit.check_policy(policy, WORKLOADS["conv, medium"], 1, 3)


class Hasty:
    """Ends everything a cycle early."""

    def run(self, durations: Durations) -> Ends:
        ends = FastEngine().run(durations)
        return replace(ends, writeback=ends.writeback - 1)


def test_the_kit_notices_a_wrong_engine() -> None:
    with pytest.raises(AssertionError, match="writeback"):
        kit.check_engine(Hasty(), [(1, 2, 3, 4, 5)] * 4)
