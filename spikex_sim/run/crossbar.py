"""Replays a sample through a crossbar chip: layer by layer for counts and spikes, all at once for time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import check_given
from spikex_sim.core.spikes import count_spikes
from spikex_sim.costs.crossbar_chip import area_um2, umem_leakage_mw
from spikex_sim.run.arrays import Arrays, Weights, check_closed_loop, task_of
from spikex_sim.run.chip_network import Network
from spikex_sim.run.replay import Flow, LayerRunner, Signal, TimedLayer, check_made
from spikex_sim.run.results import LayerResult
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.base import check_task
from spikex_sim.schedules.crossbar.laying import CrossbarLayout
from spikex_sim.schedules.crossbar.nonideal.program import sample_id
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule
from spikex_sim.schedules.task import Task
from spikex_sim.timing.busy import idle
from spikex_sim.timing.crossbar import COMPUTE, SPIKES_IN, SUMS_OUT, UPDATE, ChipTimes, Shares, shares_of
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.together import AnyTrace


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
        stages: Sequence[Stage],
        traces: Sequence[AnyTrace],
        arrays: Arrays | None = None,
    ) -> CrossbarRunner:
        """Map a network, and program its arrays where they are not ideal; what leaks follows from it.

        Raises
        ------
        ConfigError
            If crossbars do not hold it.
        TraceError
            If non-ideal arrays are to be made of weights that are not there.
        """
        arch, first = runner.arch, traces[0]
        assert isinstance(arch, CrossbarOptions)
        network = Network.of_chain(stages, first.timesteps, arch)
        leakage = umem_leakage_mw(network.chip(arch), arch)
        parts = tuple(
            replace(one, leakage_mw=leakage) if one.name == "lif" else one
            for one in runner.energies.components
        )
        weights = tuple(
            None if stage.weight is None else Weights.of(stage, arch)
            for stage in stages
            if not stage.layer.is_pool
        )
        if arch.imc.arrays == "nonideal" and arrays is None:
            check_closed_loop(stages, arch, first.where)
            known = [one for one in weights if one is not None]
            arrays = Arrays.of(network, stages, known, traces, arch)
        energies = replace(runner.energies, components=parts)
        return cls(
            arch, runner.engine, energies, runner.observe, network=network, weights=weights, arrays=arrays
        )

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
        kept = any(one.chip is not None and (one.chip.counts or {}).get("current_writes") for one in layers)
        chip = self.network.chip(self.options, kept)
        return FrozenMap({name: um2 / 1e6 for name, um2 in area_um2(chip, self.options).items()})

    def run_sample(self, flow: Flow, progress: Progress = silent) -> Ran:
        """Replay a sample: results of all layers, what left them, and what would leave ideal arrays."""
        results, outputs, costs = list[LayerResult | Pending](), list[Signal | None](), list[CrossbarCost]()
        software: Signal | None = None
        sample = sample_id(flow.trace.inputs[0][flow.sample]) if self.arrays is not None else 0
        for index, stage in enumerate(flow.stages):
            progress(stage.name, index, len(flow.stages))
            entered, layer = self._entering(flow, index), stage.layer
            if layer.is_pool:
                results.append(self._pool(flow, index, entered))
                if layer.kind == "maxpool" and software is not None:
                    software = maxpool_packed(layer, software.reshape(*layer.input_shape, -1))
            else:
                assert entered is not None
                schedule = self._schedule(stage, flow, entered, first=not costs)
                cost = self._laid_out(schedule, len(costs))
                flow.computed, software = self._outputs_of(stage, cost, entered, software, sample, len(costs))
                costs.append(cost)
                changed = _changed(flow.computed, software)
                results.append(Pending(stage, cost, self._common(flow, layer, entered), changed))
            outputs.append(flow.computed)
        shares = self._time(flow, costs)
        progress("done", len(flow.stages), len(flow.stages))
        numbers = iter(range(len(costs)))
        done = [
            self._result(one, shares, next(numbers)) if isinstance(one, Pending) else one for one in results
        ]
        return Ran(done, outputs, software)

    def _entering(self, flow: Flow, index: int) -> Signal | None:
        """What enters a layer; non-ideal arrays take what those before them gave, whatever was recorded."""
        entered = self._entered(flow, index)
        if self.arrays is None or flow.computed is None:
            return entered
        return flow.computed.reshape(*flow.stages[index].layer.input_shape, -1)

    def _schedule(self, stage: Stage, flow: Flow, entered: Signal, *, first: bool) -> CrossbarSchedule:
        task = task_of(stage, entered, flow.trace.timesteps, self.options, first=first)
        scheduler = self._scheduler
        schedule: Any = scheduler.schedule(task, self.arch)
        fits = isinstance(schedule, CrossbarSchedule)
        check_given(scheduler, "schedule", schedule, fits=fits, wanted="a CrossbarSchedule")
        check_task(schedule, task, self.arch)
        schedule.check(self.options)
        made: CrossbarSchedule = schedule
        return made

    def _laid_out(self, schedule: CrossbarSchedule, number: int) -> CrossbarCost:
        layout = schedule.lay_out(self.options, self.network.hops[number])
        if self.arrays is not None:
            sizes = {**layout.mapping, "adc_shift": self.arrays.layers[number].shift}
            layout = replace(layout, mapping=sizes)
        return CrossbarCost(schedule.task, schedule, layout)

    def _outputs_of(
        self,
        stage: Stage,
        cost: CrossbarCost,
        entered: Signal,
        software: Signal | None,
        sample: int,
        number: int,
    ) -> tuple[Signal | None, Signal | None]:
        """Output spikes ``[..., ceil(T/8)]`` of the arrays, and those of exact sums all the way."""
        weights, layer = self.weights[number], stage.layer
        if weights is None:
            return None, None
        ideal = cost.schedule
        if software is not None and self.arrays is not None:
            shaped = software.reshape(*layer.input_shape, -1)
            task = task_of(stage, shaped, ideal.spikes.timesteps, self.options, first=number == 0)
            ideal = self._scheduler.schedule(task, self.arch)  # type: ignore[assignment]
        sums, additions = ideal.integrate(weights.synapses)
        exact = ideal.fire(weights.currents(sums), weights.synapses).reshape(*layer.output_shape, -1)
        if self.arrays is None:
            check_made(layer.name, "additions", additions, cost.layout.additions)
            return exact, exact
        real = self.arrays.layers[number].sums(cost.schedule, entered, sample)
        fired = cost.schedule.fire(weights.currents(real), weights.synapses)
        return fired.reshape(*layer.output_shape, -1), exact

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
            changed_spikes=pending.changed,
            **{**pending.common, "pes": cost.schedule.mapping.pes},
        )


@dataclass(frozen=True)
class Pending:
    """A layer whose place in time is not known yet."""

    stage: Stage
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
