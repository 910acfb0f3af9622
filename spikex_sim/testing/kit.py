"""What every plug-in must do, as functions that raise; for built-in ones and for yours.

Call :func:`check_scheduler`, :func:`check_policy` or :func:`check_engine` from a test of your own, with the
workloads of :func:`workloads` or with your own ones. What breaks a rule of its kind raises
:class:`~spikex_sim.core.errors.ScheduleError`, whatever else is wrong ``AssertionError``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.counts import Accesses
from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.tags import window_spikes
from spikex_sim.schedules.base import Schedule, check_task
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.plan import LayerPlan
from spikex_sim.schedules.crossbar.quantize import as_integers
from spikex_sim.schedules.ntwu.packing import DispatchPolicy, DispatchSizes, TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.survey import STREAMS
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing import naive
from spikex_sim.testing.own_keys import own
from spikex_sim.testing.workloads import Workload, make_spikes, make_weights
from spikex_sim.timing.durations import durations_of, undisturbed
from spikex_sim.timing.engine import Durations, MemoryEngine

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
"""Overrides that every scheduler should be tried with, as far as it reads them."""


def accelerator(scheduler: str, configuration: dict[str, Any]) -> Accelerator:
    """Configuration of a machine by the name of its scheduler, with those of the overrides that it reads."""
    machine = Accelerator(scheduler=scheduler)
    return load_accelerator(machine, own(machine, configuration))


def workloads() -> Iterator[tuple[str, Workload]]:
    """Yield layers with input of every kind, each with a name."""
    layers = {
        "conv": _conv((3, 7), 5, INT, kernel=[3, 2], stride=[1, 2], padding=[1, 0]),
        "conv, float": _conv((2, 5), 4, FLOAT, kernel=[2, 2]),
        "fc": _linear((20, 9), INT),
        "soft reset": _linear((6, 4), {**INT, "reset": "subtract"}),
        "negative threshold": _conv((1, 3), 3, {**INT, "threshold": -2}, kernel=[3, 3]),
    }
    for name, layer in layers.items():
        for activity in ("silent", "ones", "sparse", "medium", "ends"):
            yield f"{name}, {activity}", _workload(layer, activity, 1)
    biased = _workload(layers["fc"], "sparse", 3)
    yield "bias", replace(biased, bias=np.arange(9, dtype=np.int32) - 4)


def _conv(channels: tuple[int, int], side: int, neuron: dict[str, Any], **sizes: list[int]) -> dict[str, Any]:
    return {"name": "conv", "kind": "conv", "in_channels": channels[0], "out_channels": channels[1],
            "in_height": side, "in_width": side, "neuron": neuron, **sizes}  # fmt: skip


def _linear(channels: tuple[int, int], neuron: dict[str, Any]) -> dict[str, Any]:
    return {"name": "fc", "kind": "linear", "in_channels": channels[0], "out_channels": channels[1],
            "neuron": neuron}  # fmt: skip


def _workload(layer: dict[str, Any], activity: str, seed: int) -> Workload:
    bare = Workload(layer, np.empty(0, bool), np.empty(0))
    spikes = make_spikes((*bare.spec.input_shape, 13), activity, seed)
    return replace(bare, spikes=spikes, weight=make_weights(bare.spec, seed + 1))


def fields_of(workload: Workload) -> list[NDArray[np.bool_]]:
    """Input spikes ``[synapses, T]`` inside the receptive field of every output position."""
    layer = workload.spec
    spikes = workload.spikes.reshape(layer.in_channels, -1, workload.timesteps)
    if layer.kind == "linear":
        return [spikes[:, 0]]
    fields = naive.receptive_fields(_described(workload), layer.in_height, layer.in_width)
    pixels = [[y * layer.in_width + x for _, _, y, x in field] for field in fields]
    return [spikes[:, inside].reshape(-1, workload.timesteps) for inside in pixels]


def active_ntwus(workload: Workload, tws: int) -> NDArray[np.bool_]:
    """NTWUs that must be issued, ``[P, N_TW]``, from the definition (Section 2)."""
    starts = range(0, workload.timesteps, tws)
    fields = fields_of(workload)
    if not silence_is_free(workload):
        return np.ones((len(fields), len(starts)), bool)
    return np.array([[bool(field[:, at : at + tws].any()) for at in starts] for field in fields])


def silence_is_free(workload: Workload) -> bool:
    """Whether a neuron of the layer without input can never fire (Section 1)."""
    neuron = workload.layer["neuron"]
    return not (workload.biased or neuron["threshold"] < 0 or neuron["reset"] == "subtract")


def _described(workload: Workload) -> dict[str, Any]:
    """The layer with everything that the slow forward pass asks for."""
    return {"kernel": 1, "stride": 1, "padding": 0} | workload.layer


def once_at_most(workload: Workload) -> Workload:
    """Keep the first spike of every input."""
    first = workload.spikes & (np.cumsum(workload.spikes, axis=-1) == 1)
    return replace(workload, spikes=first)


def check_scheduler(scheduler: Scheduler, workload: Workload, arch: Accelerator) -> None:
    """Check an accelerator's schedule of a layer, the spikes that executing it gives, and what it counts.

    Input that the accelerator refuses is replaced by the first spike of every input, which it must take.

    Raises
    ------
    ScheduleError
        If the schedule breaks a rule of its kind.
    AssertionError
        If its spikes are not those of a dense forward pass, or its counts do not fit them.
    """
    if isinstance(arch, CrossbarOptions):
        check_crossbars(scheduler, workload, arch)
        return
    if isinstance(arch, MappedOptions):
        check_networks_alone(scheduler, workload, arch)
        return
    tws = scheduler.window_size(arch.get("tws", default=1), workload.timesteps, arch)
    task = task_of(workload, tws, arch)
    try:
        schedule = scheduler.schedule(task, arch)
    except UnsupportedError:
        assert (workload.spikes.sum(axis=-1) > 1).any(), "refuses what it says that it takes"
        check_scheduler(scheduler, once_at_most(workload), arch)
        return
    check_task(schedule, task, arch)
    schedule.check(arch)
    additions = check_outputs(schedule, workload, arch)
    layout = schedule.lay_out(arch)
    durations = durations_of(layout.program, arch) if layout.waits else undisturbed(layout.program)
    assert additions == layout.additions, "additions executed and counted differ"
    assert int(durations.array.sum()) == layout.compute_cycles, "cycles of the steps are not the layer's"
    if isinstance(schedule, NtwuSchedule):
        active = task.out_channels * int(active_ntwus(workload, schedule.tws).sum())
        assert layout.operations.ntwus == active, "active NTWUs are not those of Section 2"
    for upper, lower in (("dram", "glb"), ("glb", "lbuf")):
        if lower == "glb" or arch.memory.lbuf.bytes:
            check_conservation(layout.accesses, upper, lower)


def check_networks_alone(scheduler: Any, workload: Workload, arch: MappedOptions) -> None:
    """Check that a machine that neurons of whole networks are mapped onto refuses a layer by itself."""
    try:
        scheduler.schedule(task_of(workload, scheduler.window_size(1, workload.timesteps, arch), arch), arch)
    except UnsupportedError as exc:
        assert workload.layer["name"] in str(exc), "says not which layer"
    else:
        raise AssertionError("schedules a layer without its network")


def check_crossbars(scheduler: Any, workload: Workload, arch: CrossbarOptions) -> None:
    """Do what :func:`check_scheduler` does for a crossbar machine; float weights are quantised first."""
    tws = scheduler.window_size(1, workload.timesteps, arch)
    assert tws == 1, "takes several time points together"
    task = replace(task_of(workload, tws, arch), is_first=True)
    schedule = scheduler.schedule(task, arch)
    check_task(schedule, task, arch)
    schedule.check(arch)
    weight, _ = as_integers(workload.weight, arch.weight_bits)
    if workload.weight.dtype.kind == "f":
        workload = replace(workload, layer=workload.layer | {"neuron": INT}, bias=None, weight=weight)
    direct = schedule.points < workload.timesteps
    if not direct:
        check_outputs(schedule, workload, arch)
    hops = np.zeros(schedule.mapping.tiles, np.int64)
    layout = schedule.lay_out(arch, LayerPlan.of(schedule.mapping, arch, hops))
    points = slice(0, 1) if direct else slice(None)
    asked = sum(int(field[:, points].sum()) for field in fields_of(workload))
    assert layout.additions == task.out_channels * asked, "additions executed and counted differ"
    tiled = schedule.mapping.tiles * arch.imc.pes_per_tile
    assert schedule.mapping.pes <= tiled, "PEs lie outside of the tiles"


def task_of(workload: Workload, tws: int, arch: Accelerator) -> Task:
    """What a machine is asked to do for a layer, with its spikes in windows of ``tws`` time points."""
    layer = workload.spec
    assert layer.neuron is not None
    spikes = window_spikes(np.packbits(workload.spikes, axis=-1), workload.timesteps, tws)
    return Task.of(
        layer.name, geometry_of(layer), spikes, layer.out_channels, arch,
        datapath=layer.neuron.datapath, silence_is_free=silence_is_free(workload),
    )  # fmt: skip


def check_outputs(schedule: Schedule, workload: Workload, arch: Accelerator) -> int:
    """Execute a schedule and compare with a plain dense pass; return the additions made."""
    layer = workload.spec
    assert layer.neuron is not None
    outputs, additions, products = schedule.execute(
        Synapses.of(workload.weight, workload.bias, layer.neuron, arch)
    )
    got = np.unpackbits(outputs, axis=-1, count=workload.timesteps).astype(bool)
    want = naive.forward(
        _described(workload), workload.spikes, workload.weight, workload.bias, arch.potential_bits,
        arch.psum_bits if arch.psum_overflow == "wrap" else None,
    )  # fmt: skip
    differ = "outputs differ from a dense forward pass"
    assert got.size == want.size, differ
    np.testing.assert_array_equal(got.reshape(want.shape), want, differ)
    asked = layer.out_channels * sum(int(field.sum()) for field in fields_of(workload))
    assert additions == asked, "additions are not one for every spike and synapse"
    assert products == 0, "values are multiplied where there are spikes alone"
    return additions


def check_conservation(accesses: Accesses, upper: str, lower: str) -> None:
    """Bits that leave a level downwards are those that the level below receives, tensor by tensor."""
    for tensor in ("ifmap", "filter"):
        assert accesses.read_bits(upper, tensor) == accesses.write_bits(lower, tensor), (upper, tensor)


def check_policy(policy: DispatchPolicy, workload: Workload, tws: int, cols: int) -> None:
    """Check that a dispatch policy packs the active NTWUs of any tile completely and in order."""
    inputs = task_of(workload, tws, Accelerator()).inputs
    active = active_ntwus(workload, tws)
    mode = policy.mode(active, cols)
    assert mode in ("temporal", "spatial")
    middle, half = -(-active.shape[0] // 2), -(-active.shape[1] // 2)
    for p0, p1 in ((0, middle), (middle, active.shape[0])):
        for w0, w1 in ((0, half), (half, active.shape[1])):
            part = active[p0:p1, w0:w1]
            stream = STREAMS[(p0 > 0) + (w0 > 0)]
            packing = policy.pack(TileView(part, p0, w0, inputs, stream), cols, mode)
            issued = list(zip(packing.position.tolist(), packing.window.tolist(), strict=True))
            assert sorted(issued) == [tuple(pair) for pair in np.argwhere(part).tolist()]
            for p in {p for p, _ in issued}:
                mine = [w for q, w in issued if q == p]
                assert mine == sorted(mine), "the windows of a position do not ascend"
            edges = [*packing.batch_starts.tolist(), len(issued)]
            assert edges[0] == 0
            assert all(1 <= b - a <= cols for a, b in itertools.pairwise(edges))
    declare = getattr(policy, "hardware", None)
    if declare is not None:
        numbers = asdict(declare(DispatchSizes(inputs.taps, active.shape[0], active.shape[1], cols))).values()
        assert all(isinstance(one, int) and one >= 0 for one in numbers), "hardware is not of counts"


def check_engine(engine: MemoryEngine, steps: list[tuple[int, int, int, int, int]]) -> None:
    """Check that an engine gives the ends of Section 5, Time: to the cycle, of every activity and step."""
    columns = np.array(steps, np.int64).reshape(-1, 5).T
    fetch, load, compute, store, writeback = columns
    ends = engine.run(Durations(fetch, load, compute, store, writeback, array=compute))
    want = ends_of(columns.tolist())
    for name, wanted in zip(("fetch", "load", "compute", "store", "writeback"), want, strict=True):
        got = getattr(ends, name)
        assert got.dtype == np.int64
        assert got.tolist() == wanted, name


PREDECESSORS = {
    "F": ("F-1", "L-2", "W-4"),
    "L": ("F+0", "L-1", "C-2", "S-3"),
    "C": ("L+0", "C-1", "S-2"),
    "S": ("C+0", "S-1", "L+2", "W-2"),
    "W": ("S+0", "W-1", "F+3"),
}
"""What each activity of a step waits for, and of which step: those so many before or after."""


def ends_of(durations: list[list[int]]) -> list[list[int]]:
    """Ends of the five activities of every step: the rules over and over, until nothing moves any more."""
    length = len(durations[0])
    ends = {name: [0] * length for name in PREDECESSORS}
    moved = True
    while moved:
        moved = False
        for (name, waits), spent in zip(PREDECESSORS.items(), durations, strict=True):
            for i in range(length):
                at = [(of[0], min(i + int(of[1:]), length - 1)) for of in waits]
                end = max((ends[other][j] for other, j in at if j >= 0), default=0) + spent[i]
                moved = moved or end != ends[name][i]
                ends[name][i] = end
    return list(ends.values())
