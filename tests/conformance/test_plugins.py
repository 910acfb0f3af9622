"""Every registered plug-in passes the kit, and the kit notices what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.errors import ScheduleError, UnsupportedError
from spikex_sim.core.registry import plugin, plugin_names
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.dispatch.agile import AgileDispatch
from spikex_sim.schedules.ntwu.packing import Packing, TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.serial.schedule import SerialSchedule
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing import kit
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
    arch = kit.accelerator(name, configuration)
    for workload in WORKLOADS.values():
        kit.check_scheduler(plugin("accelerators", name), workload, arch)


@pytest.mark.parametrize("name", plugin_names("accelerators"))
@examples(40)
@given(workload=workloads(largest_map=5, longest=16), data=st.data())
def test_schedulers_on_drawn_layers(name: str, workload: Workload, data: st.DataObject) -> None:
    configuration = data.draw(st.sampled_from(kit.CONFIGURATIONS))
    kit.check_scheduler(plugin("accelerators", name), workload, kit.accelerator(name, configuration))


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


def without_the_last_fold(schedule: DenseSchedule) -> DenseSchedule:
    return replace(schedule, folds=schedule.folds[:-1])


def with_a_spike_too_few(schedule: SerialSchedule) -> SerialSchedule:
    taken = schedule.taken.copy()
    taken[np.argmax(taken)] -= 1
    return replace(schedule, taken=taken)


def with_a_group_twice(schedule: SerialSchedule) -> SerialSchedule:
    return replace(schedule, groups=schedule.groups * 2)


def of_another_layer(schedule: Any) -> Any:
    return replace(schedule, task=replace(schedule.task, name="another"))


SPOILED = {
    without_last_column: ("spikex", ScheduleError),
    without_the_last_fold: ("systolic", ScheduleError),
    with_a_spike_too_few: ("spinalflow", ScheduleError),
    with_a_group_twice: ("spinalflow", ScheduleError),
    of_another_layer: ("ptb", ScheduleError),
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_the_kit_notices_a_wrong_schedule(spoil: Callable[[Any], Any]) -> None:
    name, refused = SPOILED[spoil]
    arch, workload = kit.accelerator(name, {"tws": 1, "array.cols": 3}), WORKLOADS["conv, medium"]
    kit.check_scheduler(plugin("accelerators", name), workload, arch)
    with pytest.raises(refused):
        kit.check_scheduler(Broken(spoil, name), workload, arch)


class Saying:
    """A schedule that says something else than another one in one of its answers."""

    def __init__(self, schedule: Any, **answers: Callable[[Any], Any]) -> None:
        self.schedule, self.answers = schedule, answers

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self.schedule, name)
        if name not in self.answers:
            return answer
        return lambda *given: self.answers[name](answer(*given))


LIES = {
    "dense forward pass": {"execute": lambda done: done._replace(outputs=~done.outputs)},
    "one for every spike": {"execute": lambda done: done._replace(additions=done.additions + 1)},
    "spikes alone": {"execute": lambda done: done._replace(products=1)},
    "executed and counted": {"lay_out": lambda laid: replace(laid, additions=laid.additions + 1)},
}


@pytest.mark.parametrize("words", LIES)
@pytest.mark.parametrize("name", ["spikex", "systolic", "spinalflow"])
def test_the_kit_notices_what_is_done_wrong(name: str, words: str) -> None:
    arch, workload = kit.accelerator(name, {}), kit.once_at_most(WORKLOADS["conv, ones"])
    lying = Broken(lambda schedule: Saying(schedule, **LIES[words]), name)
    with pytest.raises(AssertionError, match=words):
        kit.check_scheduler(lying, workload, arch)


def test_the_kit_notices_ntwus_that_are_called_active_and_are_not() -> None:
    """PTB issues all of them anyway: nothing else would show it."""
    arch, workload = kit.accelerator("ptb", {"tws": 2}), WORKLOADS["conv, sparse"]
    lying = Broken(lambda schedule: replace(schedule, active=np.ones_like(schedule.active)), "ptb")
    with pytest.raises(ScheduleError, match="is marked active"):
        kit.check_scheduler(lying, workload, arch)


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
        arch = kit.accelerator(name, configuration | {"dataflow": dataflow})
        for workload in WORKLOADS.values():
            kit.check_scheduler(plugin("accelerators", name), workload, arch)


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


def test_authors_need_nothing_but_the_package(tmp_path: Path) -> None:
    script = (
        "import sys; from spikex_sim.testing import *; from spikex_sim.core.registry import plugin\n"
        "layer = dict(workloads())['fc, sparse']\n"
        "check_scheduler(plugin('accelerators', 'ptb'), layer, accelerator('ptb', {}))\n"
        "assert not {'hypothesis', 'pytest', 'naive', 'strategies'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True,
                          check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
