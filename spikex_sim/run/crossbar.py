"""Replays a sample through a crossbar chip: layer by layer for counts and spikes, all at once for time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.geometry import Geometry, geometry_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import check_given
from spikex_sim.core.tags import window_spikes
from spikex_sim.costs.crossbar_chip import area_um2, umem_leakage_mw
from spikex_sim.run.replay import Flow, LayerRunner, Signal, TimedLayer, check_made, check_weights
from spikex_sim.run.results import LayerResult
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.base import check_task
from spikex_sim.schedules.crossbar.chip import Chip, ChipLayer
from spikex_sim.schedules.crossbar.laying import CrossbarLayout
from spikex_sim.schedules.crossbar.mapping import LayerMapping, mesh_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule
from spikex_sim.schedules.crossbar.widths import psum_bits
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.workload import Layer
from spikex_sim.timing.busy import idle
from spikex_sim.timing.crossbar import COMPUTE, SPIKES_IN, SUMS_OUT, UPDATE, ChipTimes, Shares, shares_of
from spikex_sim.trace.plan import Stage


@dataclass(frozen=True, eq=False)
class MappedLayer:
    """A conv or linear layer of a network on a chip.

    Attributes
    ----------
    stage : int
        Its number among the stages.
    geometry : Geometry
        Sizes.
    mapping : LayerMapping
        Where its weights lie.
    sources : tuple of (int, int64 array ``[H_o]``)
        Layers, by their number on the chip, whose spikes it takes, and for each of its output rows the last
        row of theirs that it depends on.
    """

    stage: int
    geometry: Geometry
    mapping: LayerMapping
    sources: tuple[tuple[int, NDArray[np.int64]], ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A network on a chip.

    Attributes
    ----------
    layers : tuple of MappedLayer
        Conv and linear layers, in order.
    hops : list of int64 array
        From each tile of each layer to the global node.
    timesteps : int
        Time points.
    """

    layers: tuple[MappedLayer, ...]
    hops: list[NDArray[np.int64]]
    timesteps: int

    @classmethod
    def of_chain(cls, stages: Sequence[Stage], timesteps: int, arch: CrossbarOptions) -> Network:
        """Map a chain; max-pooling, and what is folded, lies between layers."""
        found, pools, source, rows = list[MappedLayer](), list[Layer](), None, 0
        for number, stage in enumerate(stages):
            layer = stage.layer
            if layer.kind == "maxpool":
                pools.append(layer)
            if layer.is_pool:
                continue
            geometry = geometry_of(layer)
            mapping = LayerMapping.of(layer.name, geometry, layer.out_channels, arch)
            sources = () if source is None else ((source, rows_of(layer, pools, rows)),)
            source, pools, rows = len(found), [], layer.out_height
            found.append(MappedLayer(number, geometry, mapping, sources))
        mesh = mesh_of([one.mapping for one in found], arch)
        return cls(tuple(found), mesh.hops(), timesteps)

    def chip(self, arch: CrossbarOptions, direct: bool = False) -> Chip:
        """What area and leakage follow from; ``direct``: whether the first layer keeps its sums."""
        return Chip(
            tuple(
                ChipLayer(
                    one.mapping, one.geometry.channels * one.geometry.pixels, one.geometry.positions,
                    one.geometry.out_width, direct and number == 0, psum_bits(arch, one.mapping.blocks),
                )
                for number, one in enumerate(self.layers)
            ),
            self.timesteps,
        )  # fmt: skip


def rows_of(layer: Layer, pools: Sequence[Layer], source_rows: int) -> NDArray[np.int64]:
    """Last row of the source that each output row of a layer depends on, through pools."""
    if layer.kind == "linear":
        rows = np.array([(pools[-1].out_height if pools else source_rows) - 1])
    else:
        rows = np.arange(layer.out_height) * layer.stride[0] + layer.kernel[0] - 1 - layer.padding[0]
        rows = np.clip(rows, 0, layer.in_height - 1)
    for pool in reversed(pools):
        below = rows * pool.stride[0] + pool.kernel[0] - 1 - pool.padding[0]
        rows = np.clip(below, 0, pool.in_height - 1)
    return rows


@dataclass(frozen=True, eq=False)
class CrossbarCost:
    """What one layer costs; its cycles on the critical path once its place in time is known."""

    task: Task
    schedule: CrossbarSchedule
    layout: CrossbarLayout
    cycles: int = 0


@dataclass(frozen=True)
class CrossbarRunner(LayerRunner):
    """Costs and outputs of samples on a crossbar chip."""

    network: Network = field(kw_only=True)

    @classmethod
    def of(cls, runner: LayerRunner, stages: Sequence[Stage], timesteps: int) -> CrossbarRunner:
        """Map a network; what leaks follows from it.

        Raises
        ------
        ConfigError
            If crossbars do not hold it.
        """
        arch = runner.arch
        assert isinstance(arch, CrossbarOptions)
        network = Network.of_chain(stages, timesteps, arch)
        leakage = umem_leakage_mw(network.chip(arch), arch)
        parts = tuple(
            replace(one, leakage_mw=leakage) if one.name == "lif" else one
            for one in runner.energies.components
        )
        energies = replace(runner.energies, components=parts)
        return cls(arch, runner.engine, energies, runner.observe, network=network)

    @property
    def options(self) -> CrossbarOptions:
        """Configuration."""
        assert isinstance(self.arch, CrossbarOptions)
        return self.arch

    @property
    def pes(self) -> int:
        """Of stages that have no crossbars."""
        return 0

    def areas_mm2(self, layers: Sequence[LayerResult]) -> Mapping[str, float]:
        """Area by component of the chip that some layers ran on."""
        kept = any(one.chip is not None and one.chip.counts["current_writes"] > 0 for one in layers)
        chip = self.network.chip(self.options, kept)
        return FrozenMap({name: um2 / 1e6 for name, um2 in area_um2(chip, self.options).items()})

    def run_sample(
        self, flow: Flow, progress: Progress = silent
    ) -> tuple[list[LayerResult], list[Signal | None]]:
        """Replay a sample: results of all layers and what left them."""
        results, outputs, costs = list[LayerResult | Pending](), list[Signal | None](), list[CrossbarCost]()
        for index, stage in enumerate(flow.stages):
            progress(stage.name, index, len(flow.stages))
            entered = self._entered(flow, index)
            if stage.layer.is_pool:
                results.append(self._pool(flow, index, entered))
            else:
                assert entered is not None
                cost = self._mapped_cost(flow, index, entered, len(costs))
                flow.computed = None
                if stage.weight is not None:
                    flow.computed = self._spikes(stage, cost)
                costs.append(cost)
                results.append(Pending(stage, cost, self._common(flow, stage.layer, entered)))
            outputs.append(flow.computed)
        shares = self._time(flow, costs)
        progress("done", len(flow.stages), len(flow.stages))
        numbers = iter(range(len(costs)))
        done = [
            self._result(one, shares, next(numbers)) if isinstance(one, Pending) else one for one in results
        ]
        return done, outputs

    def _mapped_cost(self, flow: Flow, index: int, entered: Signal, number: int) -> CrossbarCost:
        stage, timesteps = flow.stages[index], flow.trace.timesteps
        layer = stage.layer
        assert layer.neuron is not None
        task = Task.of(
            layer.name, geometry_of(layer), window_spikes(entered, timesteps, 1), layer.out_channels,
            self.arch, datapath=layer.neuron.datapath, silence_is_free=stage.silence_is_free,
            is_first=number == 0,
        )  # fmt: skip
        scheduler = self._scheduler
        schedule: Any = scheduler.schedule(task, self.arch)
        fits = isinstance(schedule, CrossbarSchedule)
        check_given(scheduler, "schedule", schedule, fits=fits, wanted="a CrossbarSchedule")
        check_task(schedule, task, self.arch)
        schedule.check(self.options)
        return CrossbarCost(task, schedule, schedule.lay_out(self.options, self.network.hops[number]))

    def _spikes(self, stage: Stage, cost: CrossbarCost) -> Signal:
        """Output spikes of exact sums ``[..., ceil(T/8)]``."""
        layer = stage.layer
        assert layer.neuron is not None and stage.weight is not None
        weight, scale = as_integers(stage.weight, self.arch.weight_bits)
        check_weights(f"layer {layer.name}", weight, self.arch)
        synapses = Synapses.of(weight, stage.bias, layer.neuron, self.arch.potential_bits)
        sums, additions = cost.schedule.integrate(synapses)
        check_made(layer.name, "additions", additions, cost.layout.additions)
        given: NDArray[Any] = sums if scale is None else scale * sums.astype(np.float32)
        return cost.schedule.fire(given, synapses).reshape(*layer.output_shape, -1)

    def _time(self, flow: Flow, costs: Sequence[CrossbarCost]) -> Shares:
        """Time all layers together."""
        units = [one.layout.units.stacked for one in costs]
        sources = [one.sources for one in self.network.layers]
        times = ChipTimes.of(units, sources, by_row=self.options.dataflow == "tick_batch")
        ends = self.engine.run_chip(times)
        shares = shares_of(times, ends)
        if self.observe is not None:
            spans = zip(times.first[:-1], times.first[1:], strict=True)
            each = zip(costs, self.network.layers, shares.path.sum(axis=1).tolist(), spans, strict=True)
            for cost, layer, cycles, (first, last) in each:
                placed = replace(cost, cycles=cycles)
                self.observe(
                    TimedChipLayer(cost.task.name, layer.stage, flow.number, self.arch, placed,
                                   ends=ends[:, first:last], by_row=times.by_row)
                )  # fmt: skip
        return shares

    def _result(self, pending: Pending, shares: Shares, number: int) -> LayerResult:
        cost, path = pending.cost, shares.path[number].tolist()
        layout, stalls = (
            cost.layout,
            {"noc_in": path[SPIKES_IN], "noc_out": path[SUMS_OUT], "lif": path[UPDATE]},
        )
        cycles, layer = sum(path), pending.stage.layer
        busy = int(layout.units.compute.sum())
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            tws=1,
            mode=None,
            cycles=cycles,
            compute_cycles=path[COMPUTE],
            stalls=Stalls(glb=stalls["noc_in"], drain=stalls["noc_out"] + stalls["lif"]),
            operations=layout.operations,
            counts=layout.counts,
            energy=self.energies.energy(layout.counts, cycles),
            estimate_pj=None,
            steps=4 * layout.units.compute.size,
            busy=FrozenMap({**idle(), "array": busy}),
            held=(),
            mapping=layout.mapping,
            span_cycles=shares.cycles,
            chip=ChipFigures(
                layout.figures, stalls, int(shares.start[number]), int(shares.end[number]), busy
            ),
            changed_spikes=0 if pending.common["output_spikes"] is not None else None,
            **{**pending.common, "pes": cost.schedule.mapping.pes},
        )


@dataclass(frozen=True)
class Pending:
    """A layer whose place in time is not known yet."""

    stage: Stage
    cost: CrossbarCost
    common: Mapping[str, Any]


def as_integers(weight: NDArray[Any], weight_bits: int) -> tuple[NDArray[Any], np.float32 | None]:
    """Integer weights of a layer, and what one of them is worth in the float datapath (None of integers).

    A float layer is quantised with one scale, its largest weight being the largest integer.
    """
    if weight.dtype.kind == "i":
        return weight, None
    most = (1 << (weight_bits - 1)) - 1
    if most == 0:
        raise ConfigError("is 1: float weights need at least 2 bits", field="weight_bits")
    scale = float(np.abs(weight).max()) / most
    if scale == 0:
        return np.zeros(weight.shape, np.int8), np.float32(0)
    found = np.floor(weight.astype(np.float64) / scale + 0.5)
    return np.clip(found, -most - 1, most).astype(np.int8), np.float32(scale)


@dataclass(frozen=True)
class TimedChipLayer(TimedLayer):
    """A layer on a crossbar chip, as an observer is told of it.

    Attributes
    ----------
    ends : int64 array ``[4, T H_o]``
        When its activities end, in the order of its work.
    by_row : bool
        Whether a row's time points follow each other.
    """

    cost: CrossbarCost  # type: ignore[assignment]  # has what observers of inputs ask for
    ends: NDArray[np.int64] = field(kw_only=True)
    by_row: bool = field(kw_only=True)

    @property
    def at_once(self) -> bool:
        """See :class:`spikex_sim.run.replay.TimedLayer`."""
        return True

    @property
    def durations(self) -> NDArray[np.int64]:
        """What its activities take ``[4, T H_o]``, in the same order."""
        spent = self.cost.layout.units.stacked
        return (spent.transpose(0, 2, 1) if self.by_row else spent).reshape(len(spent), -1)

    def places(self) -> list[str]:
        """See :class:`spikex_sim.run.replay.TimedLayer`."""
        points, rows = self.cost.layout.units.compute.shape
        order = [(t, y) for y in range(rows) for t in range(points)] if self.by_row else None
        order = order or [(t, y) for t in range(points) for y in range(rows)]
        return [f"time point {t} row {y}" for t, y in order]
