"""Replays a sample through a crossbar chip: layer by layer for counts and spikes, all at once for time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.core.counts import Stalls
from spikex_sim.core.errors import TraceError, UnsupportedError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.memory import check_memory
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import check_given
from spikex_sim.core.spikes import count_spikes
from spikex_sim.costs.crossbar_chip import area_um2, umem_leakage_mw, unsized
from spikex_sim.costs.energy import Area
from spikex_sim.run.arrays import Arrays, Calibrated, Weights, calibration_samples, input_of
from spikex_sim.run.chip_network import Network, wired_chain, wired_graph
from spikex_sim.run.flow import GraphFlow
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.host import host_nodes
from spikex_sim.run.passage import (
    ChainPassage,
    GraphPassage,
    Passage,
    synapses_of_chain,
    synapses_of_graph,
)
from spikex_sim.run.replay import Flow, LayerRunner, Signal, TimedLayer, check_made
from spikex_sim.run.results import LayerResult
from spikex_sim.run.stages import flow_of, stages_of
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.base import check_task
from spikex_sim.schedules.crossbar.laying import CrossbarLayout
from spikex_sim.schedules.crossbar.nonideal.program import sample_id
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.busy import idle
from spikex_sim.timing.crossbar import COMPUTE, SPIKES_IN, SUMS_OUT, UPDATE, ChipTimes, Shares, shares_of
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.together import AnyTrace

SUM_BYTES = 12.0
"""Most bytes of a sum, exact and as neurons take it."""


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
    weights: tuple[Weights | None, ...] = field(kw_only=True)
    arrays: Arrays | None = field(kw_only=True)

    @classmethod
    def of(
        cls,
        runner: LayerRunner,
        stages: Sequence[Any],
        traces: Sequence[AnyTrace],
        arrays: Arrays | None = None,
    ) -> CrossbarRunner:
        """Map a network, and program its arrays where they are not ideal; what leaks follows from it.

        Raises
        ------
        ConfigError
            If crossbars do not hold it.
        UnsupportedError
            If the machine cannot do a node of a graph.
        TraceError
            If non-ideal arrays are to be made of weights that are not there.
        """
        arch, first = runner.arch, traces[0]
        assert isinstance(arch, CrossbarOptions)
        if isinstance(first, GraphTrace):
            beside = host_nodes(first)
            wired = wired_graph(first, arch, beside)
            given = synapses_of_graph(first, GraphRunner(runner), beside)
        else:
            wired = wired_chain(stages)
            given = synapses_of_chain(stages, arch)
        if not wired:
            raise UnsupportedError(
                "nothing is left for crossbars: no population takes spikes and fires", where=arch.name
            )
        network = Network.of(wired, first.timesteps, arch)
        leakage = umem_leakage_mw(network.chip(), arch)
        parts = tuple(
            replace(one, leakage_mw=leakage) if one.name == "lif" else one
            for one in runner.energies.components
        )
        weights = tuple(
            None if synapses is None else Weights.of(name, synapses, arch) for name, synapses in given
        )
        made = cls(
            arch, runner.engine, replace(runner.energies, components=parts), runner.observe, network=network,
            weights=weights, arrays=arrays,
        )  # fmt: skip
        if arch.imc.arrays == "ideal" or arrays is not None:
            return made
        return replace(made, arrays=made._programmed(traces))

    def _programmed(self, traces: Sequence[AnyTrace]) -> Arrays:
        """Program the arrays, and calibrate them."""
        known = [one for one in self.weights if one is not None]
        if len(known) < len(self.weights):
            raise TraceError(
                f"lacks weights of some layers, and imc.arrays of {self.arch.name} is nonideal; record it "
                "with weights, or choose ideal arrays",
                where=traces[0].where,
            )
        stages = stages_of(traces[0], self.arch)
        samples = [
            Calibrated(
                sample_id(input_of(*one)),
                *(self.passage(flow_of(*one, stages), closed=True) for _ in range(2)),
            )
            for one in calibration_samples(traces, self.options)
        ]
        return Arrays.of(self.network, known, samples, self._scheduled, len(stages), self.options)

    def passage(self, flow: Flow | GraphFlow, *, closed: bool) -> Passage:
        """Begin the way of a sample."""
        if isinstance(flow, GraphFlow):
            return GraphPassage(GraphRunner(self), flow, closed=closed)
        return ChainPassage(self, flow, closed=closed)

    @property
    def options(self) -> CrossbarOptions:
        """Configuration."""
        assert isinstance(self.arch, CrossbarOptions)
        return self.arch

    @property
    def pes(self) -> int:
        """Of stages that have no crossbars."""
        return 0

    def area_of(self, layers: Sequence[LayerResult]) -> Area:
        """Area by component of the chip that some layers ran on."""
        kept = any(one.chip is not None and (one.chip.counts or {}).get("current_writes") for one in layers)
        return self._areas[kept]

    @cached_property
    def _areas(self) -> dict[bool, Area]:
        """Areas of chips without and with sums that are kept."""
        areas = {kept: area_um2(self.network.chip(kept), self.options) for kept in (False, True)}
        missing = unsized(self.options)
        return {
            kept: Area({name: um2 / 1e6 for name, um2 in found.items()}, missing)
            for kept, found in areas.items()
        }

    def run_sample(self, flow: Flow | GraphFlow, progress: Progress = silent) -> Ran:
        """Replay a sample: results of all layers, what left them, and what would leave ideal arrays."""
        real = self.arrays is not None
        sample = sample_id(input_of(flow.trace, flow.sample)) if real else 0
        passage = self.passage(flow, closed=real)
        ideal = None
        if real:
            ideal = self.passage(flow_of(flow.trace, flow.sample, list(flow.stages)), closed=True)
        results, outputs, costs = list[LayerResult | Pending](), list[Signal | None](), list[CrossbarCost]()
        software: Signal | None = None
        numbers = {one.stage: number for number, one in enumerate(self.network.layers)}
        for index, name in enumerate([stage.name for stage in flow.stages]):
            progress(name, index, len(flow.stages))
            if index in numbers:
                ran, software = self._run_layer(index, numbers[index], passage, ideal, sample)
                costs.append(ran.cost)
                results.append(ran)
            else:
                results.append(passage.skip(index))
                if ideal is not None:
                    ideal.skip(index)
                    software = ideal.computed
            outputs.append(flow.computed)
        shares = self._time(flow, costs)
        progress("done", len(flow.stages), len(flow.stages))
        place = iter(range(len(costs)))
        done = [
            self._result(one, shares, next(place)) if isinstance(one, Pending) else one for one in results
        ]
        return Ran(done, outputs, software)

    def _run_layer(
        self, index: int, number: int, passage: Passage, ideal: Passage | None, sample: int
    ) -> tuple[Pending, Signal | None]:
        """Run a layer: its cost, and what would leave it with exact sums all the way."""
        entered = passage.enter(index, first=number == 0)
        schedule = self._scheduled(entered.task)
        schedule.check(self.options)
        cost = self._laid_out(schedule, number)
        weights, exact = self.weights[number], None
        fired: Signal | None = None
        if weights is not None and (ideal is None or self.arrays is None):
            sums, additions = schedule.integrate(weights.synapses)
            check_made(entered.task.name, "additions", additions, cost.layout.additions)
            fired = exact = schedule.fire(weights.currents(sums), weights.synapses)
        elif weights is not None and ideal is not None and self.arrays is not None:
            real = self.arrays.layers[number].sums(schedule, entered.packed, sample)
            fired = schedule.fire(weights.currents(real), weights.synapses)
            other = self._scheduled(ideal.enter(index, first=number == 0).task)
            exact = other.fire(weights.currents(other.integrate(weights.synapses)[0]), weights.synapses)
            ideal.leave(index, exact)
        out = passage.leave(index, fired)
        changed = _changed(fired, exact)
        return Pending(cost, passage.told(index, out), changed), exact

    def _scheduled(self, task: Task) -> CrossbarSchedule:
        return scheduled(self._scheduler, task, self.arch)

    def _laid_out(self, schedule: CrossbarSchedule, number: int) -> CrossbarCost:
        plan = self.network.plans[number].holding(schedule.mapping, self.options)
        layout = schedule.lay_out(self.options, plan)
        if self.arrays is not None:
            sizes = {**layout.mapping, "adc_shift": self.arrays.layers[number].shift}
            layout = replace(layout, mapping=sizes)
        return CrossbarCost(schedule.task, schedule, layout)

    def _time(self, flow: Flow | GraphFlow, costs: Sequence[CrossbarCost]) -> Shares:
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
        cycles = sum(path)
        busy = int(layout.units.compute.sum())
        return LayerResult(
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
            changed_spikes=pending.changed,
            **{**pending.common, "pes": cost.schedule.mapping.pes},
        )


@dataclass(frozen=True)
class Pending:
    """A layer whose place in time is not known yet."""

    cost: CrossbarCost
    common: Mapping[str, Any]
    changed: int | None


class Ran(NamedTuple):
    """A sample that was replayed.

    Attributes
    ----------
    layers : list of LayerResult
        Costs.
    outputs : list of array or None
        What left each layer.
    software : array or None
        What would have left the last one, had all sums been exact.
    """

    layers: list[LayerResult]
    outputs: list[Signal | None]
    software: Signal | None


def scheduled(scheduler: Scheduler, task: Task, arch: Accelerator) -> CrossbarSchedule:
    """Ask a crossbar machine for a schedule.

    Raises
    ------
    TraceError
        If its sums would not fit in memory.
    """
    schedule: Any = scheduler.schedule(task, arch)
    fits = isinstance(schedule, CrossbarSchedule)
    check_given(scheduler, "schedule", schedule, fits=fits, wanted="a CrossbarSchedule")
    check_task(schedule, task, arch)
    made: CrossbarSchedule = schedule
    sums = made.points * task.positions * task.out_channels
    check_memory(SUM_BYTES * sums, f"sums of layer {task.name}", where=arch.name)
    return made


def _changed(fired: Signal | None, software: Signal | None) -> int | None:
    """Spikes that differ."""
    if fired is None or software is None:
        return None
    return 0 if fired is software else count_spikes(np.bitwise_xor(fired, software))


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
