"""Replays a sample through the crossbars of a mapping, which may hold neurons of several layers each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Counts, Operations, Stalls
from spikex_sim.core.errors import ConfigError, TraceError, UnsupportedError
from spikex_sim.core.events import events_of
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.memory import check_memory
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.costs.crossbar_mapped import mapped_area_um2, mapped_leakage_mw
from spikex_sim.costs.energy import Area
from spikex_sim.mapped.baselines import first_fit
from spikex_sim.mapped.graph import with_inputs
from spikex_sim.mapped.homes import Homes
from spikex_sim.mapped.pool import load_pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.mapped.split import split
from spikex_sim.mapped.unroll import Part, Unrolled, unrolled
from spikex_sim.run.arrays import Weights
from spikex_sim.run.chip_network import Wired, wired_chain, wired_graph
from spikex_sim.run.crossbar import Ran
from spikex_sim.run.flow import GraphFlow
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.passage import (
    ChainPassage,
    GraphPassage,
    synapses_of_chain,
    synapses_of_graph,
)
from spikex_sim.run.replay import Flow, LayerRunner, Signal, check_made
from spikex_sim.run.results import LayerResult
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.crossbar.execute import fire
from spikex_sim.schedules.crossbar.mapped.cells import LayerCells
from spikex_sim.schedules.crossbar.mapped.counting import CrossbarPlan, Done, charged, figures
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions
from spikex_sim.timing.busy import idle
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_fold import folded
from spikex_sim.trace.together import AnyTrace

BYTES_A_POINT = 10
"""Of a node or crossbar and time point, while spikes are counted."""


@dataclass(frozen=True, eq=False)
class MappedLayer:
    """A layer of neurons in the crossbars of a mapping.

    Attributes
    ----------
    wired : Wired
        Sizes.
    part : Part
        Its nodes.
    cells : LayerCells
        Where its synapses stand.
    crossbars : int64 array
        Crossbars that are charged to it: those whose first neuron is one of it.
    sizes : mapping
        As in ``results.json``.
    """

    wired: Wired
    part: Part
    cells: LayerCells
    crossbars: NDArray[np.int64]
    sizes: Mapping[str, Any]


@dataclass(frozen=True)
class Replayed:
    """A layer that was replayed, before its share of what all crossbars did is known."""

    layer: MappedLayer
    task: Any
    additions: int
    common: Mapping[str, Any]
    changed: int | None


@dataclass(frozen=True)
class MappedRunner(LayerRunner):
    """Costs and outputs of samples on the crossbars of a mapping."""

    network: Unrolled = field(kw_only=True)
    plan: CrossbarPlan = field(kw_only=True)
    mapped: tuple[MappedLayer, ...] = field(kw_only=True)
    weights: tuple[Weights | None, ...] = field(kw_only=True)
    entering: Mapping[int, Part] = field(kw_only=True)
    """Of a chain, stages that take what the nodes of a part give, as they give it."""

    @classmethod
    def of(cls, runner: LayerRunner, stages: Sequence[Any], traces: Sequence[AnyTrace]) -> MappedRunner:
        """Look the mapping up, or make one; what leaks follows from it.

        Raises
        ------
        ConfigError
            If the mapping is of another network, or broken.
        UnsupportedError
            If the machine cannot do a node of a graph, or nobody is to be told of activities.
        """
        arch, first = runner.arch, traces[0]
        assert isinstance(arch, MappedOptions)
        if runner.observe is not None:
            raise UnsupportedError(
                "crossbars of a mapping work at once, time point by time point: there is no timeline and no "
                "list of transfers", where=arch.name,
            )  # fmt: skip
        if isinstance(first, GraphTrace):
            wired, given = wired_graph(first, arch), synapses_of_graph(first, GraphRunner(runner))
        else:
            wired, given = wired_chain(stages), synapses_of_chain(stages, arch)
        weights = tuple(None if one is None else Weights.of(name, one, arch) for name, one in given)
        network, homes, zeros = _mapped(first, arch)
        neurons = _of_layers(np.arange(homes.graph.neurons), network, wired)
        plan = CrossbarPlan.of(homes, neurons, arch)
        layers = tuple(_layers(first, stages, wired, network, plan, keep_zeros=zeros))
        entering = {} if isinstance(first, GraphTrace) else dict(_entering(stages, layers, network))
        leakage = mapped_leakage_mw(plan, arch)
        parts = tuple(
            replace(one, leakage_mw=leakage) if one.name == "lif" else one
            for one in runner.energies.components
        )
        return cls(
            arch, runner.engine, replace(runner.energies, components=parts), network=network, plan=plan,
            mapped=layers, weights=weights, entering=FrozenMap(entering),
        )  # fmt: skip

    @property
    def options(self) -> MappedOptions:
        """Configuration."""
        assert isinstance(self.arch, MappedOptions)
        return self.arch

    @property
    def pes(self) -> int:
        """Of stages that have no crossbars."""
        return 0

    def area_of(self, layers: Sequence[LayerResult]) -> Area:  # noqa: ARG002
        """Area by component of all tiles."""
        return self._area

    @cached_property
    def _area(self) -> Area:
        found = mapped_area_um2(self.plan, self.options)
        return Area({name: um2 / 1e6 for name, um2 in found.items()})

    def run_sample(self, flow: Flow | GraphFlow, progress: Progress = silent) -> Ran:
        """Replay a sample: results of all layers, and what left them."""
        passage: ChainPassage | GraphPassage = (
            GraphPassage(GraphRunner(self), flow, closed=False)
            if isinstance(flow, GraphFlow)
            else ChainPassage(self, flow, closed=False)
        )
        nodes, timesteps = self.network.graph.nodes, flow.trace.timesteps
        check_memory(BYTES_A_POINT * float(nodes + self.plan.homes.crossbars) * timesteps,
                     "the spikes of all nodes", where=flow.trace.where)  # fmt: skip
        spikes = np.zeros((nodes, timesteps), np.uint8)
        numbers = {one.wired.stage: number for number, one in enumerate(self.mapped)}
        results, outputs = list[LayerResult | Replayed](), list[Signal | None]()
        for index, name in enumerate([stage.name for stage in flow.stages]):
            progress(name, index, len(flow.stages))
            if isinstance(flow, Flow):
                self._note_entered(flow, index, spikes)
            if index in numbers:
                results.append(self._run_layer(index, numbers[index], passage))
            else:
                results.append(passage.skip(index))
            outputs.append(flow.computed)
        self._note_fired(flow, outputs, spikes)
        done = self.plan.run(spikes, self.options)
        progress("done", len(flow.stages), len(flow.stages))
        each = [self._result(one, done, timesteps) if isinstance(one, Replayed) else one for one in results]
        return Ran(each, outputs, outputs[-1])

    def _run_layer(self, index: int, number: int, passage: ChainPassage | GraphPassage) -> Replayed:
        entered, layer, weights = passage.enter(index, first=number == 0), self.mapped[number], None
        if self.weights:
            weights = self.weights[number]
        task, geometry = entered.task, layer.wired.geometry
        packed = entered.packed.reshape(geometry.channels * geometry.pixels, -1)
        counted = layer.cells.additions(np.bitwise_count(packed).sum(axis=1, dtype=np.int64))
        fired: Signal | None = None
        if weights is not None:
            sums, additions = layer.cells.sums(
                events_of(task.inputs), geometry, task.inputs.timesteps, weights.synapses.by_tap,
                task.out_channels,
            )  # fmt: skip
            check_made(task.name, "additions", additions, counted)
            fired = fire(task.inputs.timesteps, task.positions, weights.currents(sums), weights.synapses)
        out = passage.leave(index, fired)
        changed = None if out is None else 0
        return Replayed(layer, task, counted, passage.told(index, out), changed)

    def _note_entered(self, flow: Flow, index: int, spikes: NDArray[np.uint8]) -> None:
        """Keep what enters a stage of a chain, where it is what some nodes give."""
        part = self.entering.get(index)
        if part is None:
            return
        entered = flow.enter(index, compare=False)
        if entered is None:
            raise TraceError("has no weights, and what it gives is not recorded: its spikes are unknown",
                             where=flow.trace.where, field=part.name)  # fmt: skip
        _note(spikes, part.first, entered)

    def _note_fired(
        self, flow: Flow | GraphFlow, outputs: Sequence[Signal | None], spikes: NDArray[np.uint8]
    ) -> None:
        """Keep what nodes of a graph give, and what leaves the last layer."""
        if isinstance(flow, GraphFlow):
            for part in self.network.parts:
                if part.name not in flow.signals:
                    raise TraceError("is neither recorded nor computed", where=flow.trace.where,
                                     field=part.name)  # fmt: skip
                _note(spikes, part.first, flow.signals[part.name].array)
            return
        last = self.mapped[-1]
        fired = outputs[last.wired.stage]
        if fired is not None and last.wired.stage == len(flow.stages) - 1:
            _note(spikes, last.part.first, fired)

    def _result(self, one: Replayed, done: Done, timesteps: int) -> LayerResult:
        layer, arch, task = one.layer, self.options, one.task
        own, neurons = layer.crossbars, len(layer.part.nodes)
        homes = self.plan.homes
        first = layer.part.first
        parts = homes.neuron[homes.graph.neurons :]
        partial = int(done.partial[(parts >= first) & (parts < first + neurons)].sum())
        found = figures(self.plan, done, own, one.additions, partial, neurons * timesteps, arch)
        counts = Counts(dict(charged(found, neurons, arch)))
        moved, reading, updating = (
            int(each[own].sum()) for each in (done.moved.cycles, done.reading, done.updating)
        )
        cycles = moved + reading + updating
        taken = int((done.reads[own] * self.plan.read_cycles[own]).sum())
        return LayerResult(
            tws=1,
            mode=None,
            cycles=cycles,
            compute_cycles=reading,
            stalls=Stalls(glb=moved, drain=updating),
            operations=Operations(
                ntwus=found["conversions"],
                batches=found["reads"],
                streamed_taps=found["row_activations"],
                accumulations=one.additions,
                lif_updates=neurons * timesteps,
                comparisons=neurons * timesteps,
                dense_accumulations=task.out_channels * layer.wired.geometry.taps * task.positions
                * timesteps,
                pe_cycles=taken,
            ),
            counts=counts,
            energy=self.energies.energy(counts, cycles),
            estimate_pj=None,
            steps=timesteps,
            busy=FrozenMap({**idle(), "array": reading}),
            held=(),
            mapping=layer.sizes,
            span_cycles=done.cycles,
            chip=ChipFigures(
                found, {"noc_in": moved, "noc_out": 0, "lif": updating}, 0, done.cycles, reading
            ),
            changed_spikes=one.changed,
            **{**one.common, "pes": len(own)},
        )  # fmt: skip


def _mapped(trace: AnyTrace, arch: MappedOptions) -> tuple[Unrolled, Homes, bool]:
    """The network, where its neurons are, and whether synapses of weight 0 count."""
    where = arch.crossbar_mapping
    if where is None:
        network = unrolled(trace)
        pool = load_pool(arch.crossbar_pool)
        made = split(network, pool.most_inputs)
        found = first_fit(made.graph, pool, made.order)
        if found is None:
            raise ConfigError("its copies do not hold the network", where=arch.name, field="crossbar_pool")
        saved = SavedMapping.of(found, (), split=made)
        return network, Homes.of(saved, network.graph), False
    saved = SavedMapping.load(where)
    for zeros in (False, True):
        network = unrolled(trace, keep_zeros=zeros)
        if saved.network.get("external") == 0:
            parts = tuple(replace(one, external=False) for one in network.parts)
            network = replace(network, graph=with_inputs(network.graph, "mapped"), parts=parts)
        if network.graph.sha256 == saved.network.get("sha256"):
            return network, Homes.of(saved, network.graph, where), zeros
    raise ConfigError(
        f"is of another network ({str(saved.network.get('sha256'))[:12]!r}) than {trace.name}; map the trace "
        "that is run, and all its layers", where=where, field="network",
    )  # fmt: skip


def _part(network: Unrolled, name: str) -> Part:
    """Nodes of a layer; those of a chain are called so."""
    return next(one for one in network.parts if one.name == name.replace("/", "."))


def _layers(
    trace: AnyTrace, stages: Sequence[Any], wired: Sequence[Wired], network: Unrolled, plan: CrossbarPlan, *,
    keep_zeros: bool,
) -> Iterator[MappedLayer]:  # fmt: skip
    homes, before = plan.homes, 0
    lowest = np.full(homes.crossbars, len(homes.home))
    np.minimum.at(lowest, homes.home, homes.neuron)
    for one in wired:
        part = _part(network, one.name)
        weight = folded(trace, one.name, 0)[1] if isinstance(trace, GraphTrace) else stages[one.stage].weight
        there = None if weight is None or keep_zeros else weight != 0
        if there is not None and there.ndim == 2:
            there = there[:, :, None, None]
        behind = network.takings[part.name][0].sets
        cells = LayerCells.of(homes, one.geometry, behind, part.first, there, one.out_channels, one.name)
        mine = (lowest >= part.first) & (lowest < part.nodes.stop)
        if not before:  # crossbars of inputs alone are the first layer's
            mine |= ~_of_layers(lowest, network, wired)
        own, before = np.flatnonzero(mine), before + 1
        columns = len(cells.neuron)
        sizes = {
            "pes": len(own),
            "tiles": len(own),
            "cell_utilization": len(cells.column) / max(1, int((homes.inputs * homes.outputs)[own].sum())),
            "neurons": len(part.nodes),
            "columns": columns,
            "synapses": len(cells.column),
            "read_cycles": int(plan.read_cycles[own].max(initial=0)),
            "adc_bits": plan.adc_bits,
            "psum_bits": plan.psum_bits,
            "mesh": f"{homes.rows}x{homes.cols}",
            "placed": homes.placed,
        }
        yield MappedLayer(one, part, cells, own, FrozenMap(sizes))


def _of_layers(nodes: NDArray[np.int64], network: Unrolled, wired: Sequence[Wired]) -> NDArray[np.bool_]:
    """Which nodes are neurons of layers."""
    parts = [_part(network, one.name).nodes for one in wired]
    found: NDArray[np.bool_] = np.zeros(len(nodes), np.bool_)
    for one in parts:
        found |= (nodes >= one.start) & (nodes < one.stop)
    return found


def _entering(
    stages: Sequence[Any], layers: Sequence[MappedLayer], network: Unrolled
) -> Iterator[tuple[int, Part]]:
    """Stages of a chain at whose input the spikes of a part are seen: before any pooling."""
    for layer in layers:
        behind = network.takings[layer.part.name][0].sets
        node = behind.first if behind.items is None else int(behind.items[0])
        part = next(one for one in network.parts if node in one.nodes)
        stage = layer.wired.stage
        pools = range(stage - 1, -1, -1) if behind.items is not None else ()
        for index in pools:
            if not stages[index].layer.is_pool:
                break
            if tuple(stages[index].layer.input_shape) == part.shape:
                stage = index
        yield stage, part


def _note(spikes: NDArray[np.uint8], first: int, packed: PackedSpikes) -> None:
    """Keep packed spikes of nodes that follow each other."""
    rows = packed.reshape(-1, packed.shape[-1])
    spikes[first : first + len(rows)] = np.unpackbits(rows, axis=1, count=spikes.shape[1])
