"""Replays one layer at a time: spikes enter, the schedule runs, costs and outputs come out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.accelerators.base import Scheduler, energy_model
from spikex_sim.core.counts import ADD, Counts, Operations, Stalls, alu
from spikex_sim.core.errors import ConfigError, EnergyTableError, InternalError, SpikexError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.memory import check_memory
from spikex_sim.core.progress import Progress
from spikex_sim.core.registry import check_given, plugin
from spikex_sim.core.spikes import PackedSpikes, count_spikes
from spikex_sim.core.tags import WindowedSpikes, window_spikes
from spikex_sim.costs.array import area_of_layers
from spikex_sim.costs.energy import Area, Energy, EnergyModel
from spikex_sim.run.results import LayerResult
from spikex_sim.schedules.base import Handover, Layout, Schedule, check_task
from spikex_sim.schedules.dense.activations import Activations, pooled, rectified, spike_counts
from spikex_sim.schedules.dense.schedule import DenseSchedule
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.reading import Reading
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer
from spikex_sim.timing.busy import busy_of, idle
from spikex_sim.timing.durations import durations_of, undisturbed
from spikex_sim.timing.engine import Durations, Ends, MemoryEngine, attribute_stalls, ends_of
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.trace import Trace

LARGEST_AUTO_TWS = 32
"""Largest window size that ``tws: auto`` tries (Section 7)."""

Signal = PackedSpikes
"""What passes from layer to layer: packed spikes ``[..., ceil(T/8)]``; in an ANN a byte an activation."""


class Flow:
    """The spikes of one sample on their way through the network."""

    def __init__(self, stages: Sequence[Stage], trace: Trace, sample: int, number: int = 0) -> None:
        self.stages, self.trace, self.sample = stages, trace, sample
        self.number = number
        """Of the sample in the run."""
        self.computed: Signal | None = None
        self.mismatched: int | None = None
        self.kept = False
        """Whether the last layer's output is still in the GLB."""

    def handover(self, index: int, arch: Accelerator) -> Handover:
        """What the layers around one have in the GLB; outputs stay for what takes them as they are."""
        after = index + 1
        wanted = (
            arch.get("memory.glb.keep_ofmap", default=False)
            and after < len(self.stages)
            and after not in self.trace.inputs
            and not self.stages[after].layer.is_pool
        )
        return Handover(input_kept=self.kept, output_wanted=wanted)

    def enter(self, index: int, *, compare: bool = True) -> Signal | None:
        """What enters a layer: recorded spikes, else what the predecessor produced, if that is known.

        With ``compare``, recorded spikes are compared with the predecessor's.
        """
        shape = self.stages[index].layer.input_shape
        self.mismatched = None
        if index not in self.trace.inputs:
            return None if self.computed is None else self.computed.reshape(*shape, -1)
        recorded = self.trace.inputs[index][self.sample]
        if compare and self.computed is not None and self.trace.layers[index].takes(self.computed.shape[:-1]):
            differs = np.bitwise_xor(recorded, self.computed.reshape(recorded.shape))
            self.mismatched = int(np.bitwise_count(differs).sum())
        entered: Signal = recorded.reshape(*shape, -1)
        return entered


@dataclass(frozen=True)
class LayerCost:
    """Costs of one layer and sample at one window size."""

    task: Task
    schedule: Schedule | Reading
    layout: Layout
    durations: Durations
    ends: Ends
    counts: Counts
    energy: Energy

    @property
    def cycles(self) -> int:
        """Cycles of the layer."""
        return self.ends.cycles

    @property
    def issued(self) -> NDArray[np.bool_]:
        """NTWUs issued, ``[P, N_TW]``."""
        found = self.layout.issued
        return np.ones_like(self.task.active) if found is None else found

    @property
    def spikes(self) -> WindowedSpikes:
        """Input spikes of the first synapse."""
        return self.task.inputs.spikes[0]


@dataclass(frozen=True)
class TimedLayer:
    """What a run did step by step in one layer of one sample.

    Attributes
    ----------
    name : str
        Of the layer.
    index, sample : int
        Of the layer in the network, pooling included, and of the sample in the run.
    arch : Accelerator
        What it ran on.
    cost : LayerCost
        Its schedule, steps, durations and ends.
    part : int
        Of a node of a graph that takes several schedules, which of them.
    """

    name: str
    index: int
    sample: int
    arch: Accelerator
    cost: LayerCost
    part: int = 0

    @property
    def at_once(self) -> bool:
        """Whether it works beside other layers of the sample, on a clock that starts with the sample."""
        return False

    @property
    def label(self) -> str:
        """Name of the layer, and which part of it."""
        return self.cost.task.name

    def places(self) -> list[str]:
        """Say of each step where in the schedule it is."""
        return self.cost.schedule.places(self.cost.layout.program)


Observer = Callable[[TimedLayer], None]
"""Called once for every conv or linear layer and sample, when its time is known."""


def objective_of(arch: Accelerator, energy_pj: float, cycles: int) -> float:
    """Energy, latency or their product, whichever a machine's window sizes are searched by."""
    wanted = arch.get("tws_objective", default="edp")
    return {"edp": energy_pj * cycles, "energy": energy_pj, "latency": float(cycles)}[wanted]


@dataclass(frozen=True)
class LayerRunner:
    """Costs and outputs of single layers under one configuration."""

    arch: Accelerator
    engine: MemoryEngine
    energies: EnergyModel
    observe: Observer | None = None

    @cached_property
    def is_ann(self) -> bool:
        """Whether layers pass activations on instead of spikes."""
        return self.arch.input_bits > 1

    @property
    def pes(self) -> int:
        """PEs of the array."""
        return self.arch.array.rows * self.arch.array.cols

    def energies_at(self, tws: int | None) -> EnergyModel:
        """Prices of a layer with windows of a size, where layers differ; None of one without windows.

        Raises
        ------
        ConfigError
            If there are none for windows of that size.
        """
        if tws is None or isinstance(self.arch.get("tws", default=1), int):
            return self.energies
        try:
            return energy_model(self.arch.model_copy(update={"tws": tws}))
        except EnergyTableError as exc:
            raise ConfigError(str(exc)) from None

    def energies_of(self, layers: Sequence[LayerResult]) -> EnergyModel:
        """Prices and areas of an array for the largest window size that some layers were given."""
        if self.arch.get("tws", default="") != "auto":
            return self.energies
        return self.energies_at(max((one.tws for one in layers if one.tws is not None), default=None))

    def area_of(self, layers: Sequence[LayerResult]) -> Area:
        """Area of what some layers ran on."""
        found = self.energies_of(layers).area
        if not isinstance(self.arch, NtwuOptions):
            return found
        return area_of_layers(
            found,
            float_weights=any(one.datapath == "float" for one in layers),
            multiplied=any(one.multiplications for one in layers),
        )

    def run_layer(self, index: int, flow: Flow, tws: int, known: LayerCost | None = None) -> LayerResult:
        """Run one layer for a sample, whose cost may be known; its spikes, or activations, move on."""
        values = self._entered(flow, index)
        if flow.stages[index].layer.is_pool:
            return self.pool(flow, index, values)
        assert values is not None
        return self._integrate(flow, index, known or self._cost(flow, index, values, tws))

    def best_tws(self, index: int, flows: Sequence[Flow], progress: Progress) -> tuple[int, LayerCost | None]:
        """Window size of the smallest EDP, or other objective, over all samples, ties to the smaller.

        With it comes the cost of a single sample; those of several are not held.

        Raises
        ------
        ConfigError
            If the buffers are too small for all of them.
        """
        entered = [self._entered(flow, index) for flow in flows]
        known = [values for values in entered if values is not None]
        best: tuple[float, int, LayerCost | None] | None = None
        refused: SpikexError | None = None
        for tws in self.candidates(flows[0].trace.timesteps):
            progress(f"{flows[0].stages[index].layer.name} TWS={tws}", index, len(flows[0].stages))
            energies, cycles = [], 0
            try:
                for flow, values in zip(flows, known, strict=True):
                    cost = self._cost(flow, index, values, tws)
                    energies.append(cost.energy.total_pj)
                    cycles += cost.cycles
            except ConfigError as exc:
                refused = refused or exc
                continue
            found = self.objective(sum(energies), cycles)
            if best is None or found < best[0]:
                best = found, tws, cost if len(flows) == 1 else None
        if best is None:
            assert refused is not None
            raise refused
        return best[1:]

    @property
    def unobserved(self) -> LayerRunner:
        """The same, of which nobody is told."""
        return replace(self, observe=None)

    def sizes(self, stages: Sequence[Stage], timesteps: int) -> list[int]:  # noqa: ARG002
        """Window sizes that all layers of a network can have alike."""
        return self.candidates(timesteps)

    def objective(self, energy_pj: float, cycles: int) -> float:
        """What a search for window sizes makes small."""
        return objective_of(self.arch, energy_pj, cycles)

    def _entered(self, flow: Flow, index: int) -> Signal | None:
        """What enters a layer; in an ANN activations."""
        entered = flow.enter(index, compare=not self.is_ann)
        return self._activations(flow, index, entered) if self.is_ann else entered

    def _activations(self, flow: Flow, index: int, entered: Signal | None) -> Signal | None:
        """Activations that enter a layer: counts of recorded spikes, else what the predecessor gave."""
        if index not in flow.trace.inputs or entered is None:
            return entered
        return spike_counts(entered, self.arch.input_bits)

    def candidates(self, timesteps: int) -> list[int]:
        """Window sizes that make a difference on this accelerator."""
        tried = range(1, min(timesteps, LARGEST_AUTO_TWS) + 1)
        return sorted({self.window_size(tws, timesteps) for tws in tried})

    @cached_property
    def _scheduler(self) -> Scheduler:
        found: Scheduler = plugin("accelerators", self.arch.scheduler)
        return found

    def _cost(self, flow: Flow, index: int, values: Signal, tws: int) -> LayerCost:
        stage, timesteps = flow.stages[index], flow.trace.timesteps
        layer = stage.layer
        assert layer.neuron is not None
        datapath, geometry = layer.neuron.datapath, geometry_of(layer)
        size = self.window_size(tws, timesteps)
        needed = _working_bytes(stage, values, timesteps, size, self.arch)
        check_memory(needed, f"layer {layer.name} at TWS {size}", where=flow.trace.where)
        if self.is_ann:
            inputs = Activations.of(geometry, values, self.arch.input_bits)
            task = Task(
                layer.name, inputs, layer.out_channels, widths_of(datapath, self.arch), True, datapath
            )
        else:
            task = Task.of(
                layer.name, geometry, window_spikes(values, timesteps, size), layer.out_channels, self.arch,
                datapath=datapath, silence_is_free=stage.silence_is_free,
            )  # fmt: skip
        return self.cost(task, flow.handover(index, self.arch))

    def window_size(self, tws: int, timesteps: int) -> int:
        """Time points that the machine handles together."""
        size: int = self._scheduler.window_size(tws, timesteps, self.arch)
        fits = isinstance(size, Integral) and size >= 1
        check_given(self._scheduler, "window_size", size, fits=fits, wanted="a number of time points")
        return size

    def cost(self, task: Task, handover: Handover) -> LayerCost:
        """Schedule a task, hold the schedule against it, and cost it."""
        scheduler = self._scheduler
        schedule = scheduler.schedule(task, self.arch)
        check_given(scheduler, "schedule", schedule, fits=is_schedule(type(schedule)), wanted="a schedule")
        check_task(schedule, task, self.arch)
        schedule.check(self.arch)
        layout = schedule.lay_out(self.arch, handover)
        fits = isinstance(layout, Layout)
        check_given(scheduler, "its schedule's lay_out", layout, fits=fits, wanted="a Layout")
        return self.timed(schedule, layout)

    def timed(self, schedule: Schedule | Reading, layout: Layout) -> LayerCost:
        """Time and price what is laid out."""
        task = schedule.task
        program = layout.program
        durations = durations_of(program, self.arch) if layout.waits else undisturbed(program)
        ends = ends_of(self.engine, durations, program.resumes)
        counts = layout.accesses.counts + layout.operations.alu(task.datapath)
        energy = self.energies_at(task.tws).energy(counts, ends.cycles)
        return LayerCost(task, schedule, layout, durations, ends, counts, energy)

    def _integrate(self, flow: Flow, index: int, cost: LayerCost) -> LayerResult:
        stage = flow.stages[index]
        layer = stage.layer
        flow.kept = cost.layout.output_kept
        if self.observe is not None:
            self.observe(TimedLayer(layer.name, index, flow.number, self.arch, cost))
        flow.computed = None
        if stage.weight is not None:
            flow.computed = self._outputs(stage, cost, flow.trace.timesteps)
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            tws=cost.task.tws,
            mode=cost.schedule.mode,
            cycles=cost.cycles,
            compute_cycles=cost.layout.compute_cycles,
            stalls=attribute_stalls(cost.durations, cost.ends, cost.layout.program.resumes),
            operations=cost.layout.operations,
            counts=cost.counts,
            energy=cost.energy,
            estimate_pj=self._estimate(layer, cost, flow.trace.timesteps),
            steps=len(cost.layout.program),
            busy=busy_of(cost.layout.program, self.arch, waits=cost.layout.waits),
            held=cost.layout.held,
            mapping=cost.layout.mapping,
            **self.told(flow, layer, None if self.is_ann else len(cost.spikes.times)),
        )

    def _estimate(self, layer: Layer, cost: LayerCost, timesteps: int) -> float | None:
        """FLOPs x time points x (1 - sparsity) x E_AC, pJ (see :class:`Costs`); None in an ANN."""
        if self.is_ann:
            return None
        assert layer.neuron is not None
        density = len(cost.spikes.times) / (prod(layer.input_shape) * timesteps)
        addition_pj = self.energies.price_pj("alu", alu(ADD, layer.neuron.datapath))
        return cost.layout.operations.dense_accumulations * density * addition_pj

    def _outputs(self, stage: Stage, cost: LayerCost, timesteps: int) -> Signal:
        """Execute a layer's schedule; spikes ``[..., ceil(T/8)]`` or activations of the layer's shape."""
        layer, weight, arch = stage.layer, stage.weight, self.arch
        assert layer.neuron is not None and weight is not None
        if layer.neuron.datapath == "int":
            check_weights(f"layer {layer.name}", weight, arch)
        synapses = Synapses.of(weight, stage.bias, layer.neuron, arch)
        if not self.is_ann:
            return self.executed(cost, synapses).reshape(*layer.output_shape, -1)
        assert isinstance(cost.schedule, DenseSchedule)
        sums, additions = cost.schedule.multiply(synapses)
        check_made(layer.name, "additions", additions, cost.layout.additions)
        if stage.bias is not None:
            sums = sums + sums.dtype.type(timesteps) * stage.bias.astype(sums.dtype)[:, None]
        return rectified(sums, arch.input_bits).reshape(layer.output_shape)

    def executed(self, cost: LayerCost, synapses: Synapses) -> NDArray[Any]:
        """Do what a schedule issues; what is done must be what was counted.

        Returns
        -------
        array
            Packed spikes ``[M, P, ceil(T/8)]``, or currents ``[M, P, T]``.
        """
        assert not isinstance(cost.schedule, Reading)
        task, given = cost.task, cost.schedule.execute(synapses)
        points = task.inputs.timesteps
        length = -(-points // 8) if synapses.neuron is not None else points
        fits = isinstance(given, Executed) and isinstance(given.outputs, np.ndarray)
        fits = fits and given.outputs.size == task.out_channels * task.positions * length
        wanted = "what came of it (Executed): outputs of all neurons, additions, products"
        check_given(self._scheduler, "its schedule's execute", given, fits=fits, wanted=wanted)
        check_made(task.name, "additions", given.additions, cost.layout.additions)
        check_made(task.name, "products", given.products, cost.layout.products)
        return given.outputs

    def pool(self, flow: Flow, index: int, values: Signal | None) -> LayerResult:
        """Pooling costs nothing: max-pooling ORs on the way out, average pooling is part of what follows."""
        layer = flow.stages[index].layer
        flow.computed, flow.kept = values, False
        if self.is_ann and values is not None:
            flow.computed = pooled(layer, values)
        elif layer.kind == "maxpool" and values is not None:
            flow.computed = maxpool_packed(layer, values)
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            tws=None,
            mode=None,
            cycles=0,
            compute_cycles=0,
            stalls=Stalls(),
            operations=Operations(),
            counts=Counts(),
            energy=self.energies.energy(Counts(), 0),
            estimate_pj=0.0,
            steps=0,
            busy=idle(),
            held=(),
            mapping={},
            **self.told(flow, layer, None if self.is_ann else _spike_count(values)),
        )

    def told(self, flow: Flow, layer: Layer, input_spikes: int | None) -> dict[str, Any]:
        """What results say of a layer beside its costs."""
        outputs = flow.computed
        return {
            "datapath": None if layer.is_pool or layer.neuron is None else layer.neuron.datapath,
            "input_spikes": input_spikes,
            "output_spikes": None if self.is_ann else _spike_count(outputs),
            "output_sha256": None if outputs is None else hashlib.sha256(outputs.tobytes()).hexdigest(),
            "mismatched_spikes": flow.mismatched,
            "pes": self.pes,
            "clock_hz": float(self.arch.clock_hz),
        }


@lru_cache(maxsize=64)
def is_schedule(kind: type) -> bool:
    """Whether objects of a class have what a schedule has, fields of dataclasses too."""
    names = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
    return names >= {"task", "mode", "check", "lay_out", "execute", "places"}


def check_weights(of: str, weight: NDArray[Any], arch: Accelerator) -> None:
    """Refuse integer weights that the machine's words do not hold.

    Raises
    ------
    ConfigError
        If one is beyond ``weight_bits``.
    """
    limit = 1 << (arch.weight_bits - 1)
    wide = weight.itemsize * 8 > arch.weight_bits
    if wide and (weight.min() < -limit or weight.max() >= limit):
        raise ConfigError(
            f"the weights of {of} do not fit {arch.weight_bits} bits", where=arch.name, field="weight_bits"
        )


def check_made(name: str, what: str, made: int, counted: int) -> None:
    """Raise :class:`InternalError` where executing a schedule made more or less than was counted."""
    if made != counted:
        raise InternalError(f"{what} of layer {name} is {counted}, but {made} were executed")


def _working_bytes(stage: Stage, values: Signal, timesteps: int, tws: int, arch: Accelerator) -> float:
    """Memory that scheduling and executing a layer takes at most, steps aside: bytes per item were measured.

    The number of steps has a limit of its own (:data:`spikex_sim.schedules.steps.MAX_STEPS`).
    """
    layer = stage.layer
    positions, inputs = layer.out_height * layer.out_width, prod(layer.input_shape)
    spikes = count_spikes(values) if arch.input_bits == 1 else inputs
    outputs = 0.0
    if stage.weight is not None:
        outputs = positions * layer.out_channels * (5.0 + 2 * ((timesteps + 7) // 8))
    taps, places = prod(layer.weight_shape[1:]), prod(layer.kernel)
    return outputs + bytes_of_inputs(positions, -(-timesteps // tws), inputs, spikes, taps, places, arch)


def bytes_of_inputs(
    positions: int, windows: int, inputs: int, spikes: int, taps: int, places: int, arch: Accelerator
) -> float:
    """Memory that scheduling takes for so many inputs, spikes, taps and filter positions."""
    units = float(positions) * windows
    streamed = units / arch.array.cols * taps
    return 150 * units + inputs * (10.0 + windows) + 12 * spikes + streamed + 4.0 * positions * places


def _spike_count(packed: PackedSpikes | None) -> int | None:
    return None if packed is None else count_spikes(packed)
