"""Replays a network that is a graph, node by node: what enters, tasks, costs, and what comes out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import ADD, Counts, Operations, Stalls, alu
from spikex_sim.core.errors import ConfigError, InternalError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.memory import check_memory
from spikex_sim.core.progress import Progress
from spikex_sim.core.spikes import PackedSpikes, count_spikes
from spikex_sim.costs.energy import Area, EnergyModel
from spikex_sim.run.currents import has_tags, issued_by, with_tags
from spikex_sim.run.flow import GraphFlow, GraphStage
from spikex_sim.run.joins import reading_of, reads
from spikex_sim.run.population import Work
from spikex_sim.run.products import filter_bits, product_task, streams_b
from spikex_sim.run.recurrence import comes_back
from spikex_sim.run.replay import LayerCost, LayerRunner, TimedLayer
from spikex_sim.run.results import LayerResult
from spikex_sim.run.signals import Signal, joined, matrices, pooled, unpacked
from spikex_sim.schedules.base import APART, Handover
from spikex_sim.schedules.held import merged
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task, widths_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.graph import JoinNode, MatmulNode, Node, PoolNode, Population
from spikex_sim.timing.busy import busy_of, idle
from spikex_sim.timing.engine import attribute_stalls
from spikex_sim.trace.graph import GraphTrace


@dataclass
class LayersOfNode:
    """Costs of the layers of one node, one after the other."""

    costs: list[LayerCost] = field(default_factory=list)
    main: list[LayerCost] = field(default_factory=list)

    def add(self, cost: LayerCost, *, main: bool = True) -> None:
        """Add a layer; those of a pass say nothing of the node's mode where there are others."""
        self.costs.append(cost)
        if main:
            self.main.append(cost)

    @cached_property
    def mode(self) -> str | None:
        """Mode of all its layers, ``mixed`` where they differ."""
        modes = {one.schedule.mode for one in self.main or self.costs}
        return modes.pop() if len(modes) == 1 else "mixed"


@dataclass(frozen=True)
class GraphRunner:
    """Costs and outputs of the nodes of a graph under one configuration."""

    layers: LayerRunner

    @property
    def arch(self) -> Accelerator:
        """Configuration."""
        return self.layers.arch

    @property
    def energies(self) -> EnergyModel:
        """Prices."""
        return self.layers.energies

    @property
    def is_ann(self) -> bool:
        """Whether layers pass activations on instead of spikes."""
        return self.layers.is_ann

    def run_layer(self, index: int, flow: GraphFlow, tws: int, known: object = None) -> LayerResult:  # noqa: ARG002
        """Run one node for a sample; what it computed moves on."""
        result, flow.computed = self.run(flow.stages[index].node, flow, tws)
        return result

    def energies_at(self, tws: int | None) -> EnergyModel:
        """See :class:`spikex_sim.run.replay.LayerRunner`."""
        return self.layers.energies_at(tws)

    def energies_of(self, layers: Sequence[LayerResult]) -> EnergyModel:
        """See :class:`spikex_sim.run.replay.LayerRunner`."""
        return self.layers.energies_of(layers)

    def area_of(self, layers: Sequence[LayerResult]) -> Area:
        """See :class:`spikex_sim.run.replay.LayerRunner`."""
        return self.layers.area_of(layers)

    @property
    def unobserved(self) -> GraphRunner:
        """The same, of which nobody is told."""
        return replace(self, layers=self.layers.unobserved)

    def sizes(self, stages: Sequence[GraphStage], timesteps: int) -> list[int]:
        """Window sizes that all layers can have alike: none longer than what comes back is late."""
        nodes = [stage.node for stage in stages]
        delays = [
            one.delay
            for node in nodes
            if isinstance(node, Population)
            for one in node.synapses
            if one.source == node.name
        ]
        return self.layers.candidates(min([timesteps, *delays]))

    def best_tws(self, index: int, flows: Sequence[GraphFlow], progress: Progress) -> tuple[int, None]:
        """As :meth:`spikex_sim.run.replay.LayerRunner.best_tws`, of a node.

        Where its outputs come back as inputs, larger ones than their delay are not tried.

        Raises
        ------
        ConfigError
            If the buffers are too small for all of them.
        """
        node, refused = flows[0].stages[index].node, None
        assert isinstance(node, Population)
        unseen = self.unobserved
        best: tuple[float, int] | None = None
        delays = [one.delay for one in node.synapses if one.source == node.name]
        for tws in self.layers.candidates(min([flows[0].trace.timesteps, *delays])):
            progress(f"{node.name} TWS={tws}", index, len(flows[0].stages))
            try:
                costs = [
                    unseen._population(node, replace(flow, signals=dict(flow.signals)), tws)[0]
                    for flow in flows
                ]
            except ConfigError as exc:
                refused = refused or exc
                continue
            energies, cycles = [one.energy.total_pj for one in costs], sum(one.cycles for one in costs)
            found = self.layers.objective(sum(energies), cycles)
            if best is None or found < best[0]:
                best = found, tws
        if best is None:
            assert refused is not None
            raise refused
        return best[1], None

    def run(self, node: Node, flow: GraphFlow, tws: int) -> tuple[LayerResult, NDArray[Any] | None]:
        """Run a node for a sample; its cost, and what it computed."""
        if isinstance(node, Population):
            return self._population(node, flow, tws)
        if isinstance(node, MatmulNode):
            return self._matmul(node, flow)
        assert isinstance(node, PoolNode | JoinNode)
        return self.without_array(node, flow, tws)

    def without_array(
        self, node: PoolNode | JoinNode, flow: GraphFlow, tws: int
    ) -> tuple[LayerResult, NDArray[Any] | None]:
        """Pools cost nothing, joins what they read; consumers read joined spikes as if stored so."""
        taken = [flow.signals.get(source) for source in node.sources]
        known = {name: one.array for name, one in zip(node.sources, taken, strict=True) if one is not None}
        out: NDArray[Any] | None = None
        if len(known) == len(node.sources):
            if isinstance(node, JoinNode):
                out = joined(node, [known[source] for source in node.operands])
            else:
                out = known[node.source] if node.kind == "avgpool" else pooled(node, known[node.source])
        flow.kept = ""
        entered = sum(map(count_spikes, known.values())) if len(known) == len(node.sources) else None
        given = None if out is None else Signal("spikes", out)
        if not (isinstance(node, JoinNode) and reads(node, self.arch)):
            return self._result(node, flow, LayersOfNode(), None, entered, 0.0, given)
        flow.check_sources(node)
        total, size = LayersOfNode(), self.layers.window_size(tws, flow.trace.timesteps)
        operands = [known[source] for source in node.operands]
        reading = reading_of(node, operands, flow.trace.timesteps, size, self.arch)
        self._noted(self.layers.timed(reading, reading.lay_out(self.arch)), node, flow, total)
        return self._result(node, flow, total, size, entered, 0.0, given)

    def without_costs(
        self, node: Population, flow: GraphFlow, out: Signal | None
    ) -> tuple[LayerResult, NDArray[Any] | None]:
        """Serve what a node gives that was computed elsewhere."""
        flow.kept = ""
        taken = [flow.signals[source] for source in node.sources]
        entered = sum(count_spikes(one.array) for one in taken if one.carries == "spikes")
        return self._result(node, flow, LayersOfNode(), 1, entered, 0.0, out)

    def _population(
        self, node: Population, flow: GraphFlow, tws: int
    ) -> tuple[LayerResult, NDArray[Any] | None]:
        size = self.layers.window_size(tws, flow.trace.timesteps)
        work = self.work(node, flow, size)
        needed = work.working_bytes()
        check_memory(needed, f"node {node.name} at TWS {size}", where=flow.trace.where)
        total, constants = LayersOfNode(), list[list[NDArray[Any]]]()
        outputs = list[NDArray[Any] | None]()
        handover = self._handover(node, flow)
        for asked in work.passes():
            cost = self._cost(asked.task, node, flow, total, main=False)
            found = []
            if asked.synapses is not None:
                found = [self.layers.executed(cost, one) for one in work.constants_of(asked)]
            constants.append([np.ascontiguousarray(one[..., 0].T) for one in found])
            outputs.append(found[0] if found else None)
        if not work.is_once:
            outputs = []
        for asked in work.layers(constants):
            cost = self._cost(asked.task, node, flow, total, handover=handover)
            outputs.append(None if asked.synapses is None else self.layers.executed(cost, asked.synapses))
        flow.kept = node.name if total.main and all(one.layout.output_kept for one in total.main) else ""
        made = [one for one in outputs if one is not None]
        out = self._output(node, flow, np.concatenate(made)) if len(made) == len(outputs) else None
        issued: PackedSpikes | None = None
        if work.tagged and not work.is_once:
            masks = [(part, one.issued) for part, one in zip(work.parts, total.main, strict=True)]
            issued = issued_by(masks, flow.trace.shape(node.name), flow.trace.timesteps, size)
        entered = sum(
            count_spikes(one.signal.array) for one in work.branches if one.signal.carries == "spikes"
        )
        if out is not None and node.name in node.sources and node.name not in flow.signals:
            came_back = work.branches[[one.source for one in node.synapses].index(node.name)].signal
            if not np.array_equal(came_back.array, out.array):
                raise InternalError(f"outputs of {node.name} differ from those that came back as its inputs")
        return self._result(node, flow, total, size, entered, self._estimate(work, total), out, issued)

    def work(self, node: Population, flow: GraphFlow, tws: int) -> Work:
        """Collect what enters a node; where its outputs come back, they are computed for that.

        Raises
        ------
        ConfigError
            If windows are longer than the smallest delay with which its outputs come back.
        TraceError
            If something is neither recorded nor computed.
        """
        flow.check_sources(node)
        signals = flow.signals
        if node.name in node.sources and node.name not in signals:
            silent = np.zeros((*flow.trace.shape(node.name), -(-flow.trace.timesteps // 8)), np.uint8)
            signals = signals | {node.name: Signal("spikes", silent)}
            work = Work.of(flow.trace, node, signals, self.layers.arch, tws)
            signals[node.name] = Signal("spikes", comes_back(replace(work, tws=1), signals))
        return Work.of(flow.trace, node, signals, self.layers.arch, tws)

    def _matmul(self, node: MatmulNode, flow: GraphFlow) -> tuple[LayerResult, NDArray[Any] | None]:
        trace, total = flow.trace, LayersOfNode()
        flow.check_sources(node)
        a, b = flow.signals[node.a], flow.signals[node.b]
        by_b = streams_b(a, b)
        left, right = (
            matrices(self._over_time(one, trace.timesteps), node, turned=turned)
            for one, turned in ((a, node.transpose_a), (b, node.transpose_b))
        )
        filters, streamed = (left, right) if by_b else (right, left)
        bits = filter_bits(a if by_b else b, self._is_plain(trace, node.a if by_b else node.b))
        rows, columns = left.shape[1], right.shape[2]
        out = np.zeros(
            (node.heads, rows, columns, trace.timesteps), np.float32 if node.datapath == "float" else np.int64
        )
        tagged = has_tags(self.arch)
        issued = np.zeros((node.heads, rows, columns, trace.timesteps), np.bool_)
        widths = replace(widths_of(node.datapath, self.layers.arch), weight=bits)
        for t in range(trace.timesteps):
            for head in range(node.heads):
                spikes, weights = streamed[head, ..., t], filters[head, ..., t]
                if not by_b:
                    spikes, weights = spikes.T, weights.T
                name = f"{node.name} (t={t}, head {head})" if trace.timesteps * node.heads > 1 else node.name
                task = product_task(name, spikes, len(weights), node, widths, tagged=tagged)
                cost = self._cost(task, node, flow, total)
                synapses = Synapses(
                    (np.ascontiguousarray(weights)[..., None, None],), None, None, node.datapath,
                    self.layers.arch.potential_bits, len(weights), (False,),
                )  # fmt: skip
                sums = self.layers.executed(cost, synapses)[..., 0]
                out[head, ..., t] = sums if by_b else sums.T
                issued[head, ..., t] = cost.issued[:, 0] if by_b else cost.issued
        if node.datapath == "float":
            out = np.float32(node.scale) * out
        else:
            shift = int(np.log2(node.scale))
            out = out << shift if shift >= 0 else out >> -shift
        flow.kept = ""
        entered = sum(count_spikes(one.array) for one in (a, b) if one.carries == "spikes")
        made = self._output(node, flow, out.reshape(node.heads * rows, columns, -1))
        tags = np.packbits(issued.reshape(*made.array.shape), axis=-1) if tagged else None
        return self._result(node, flow, total, 1, entered, 0.0, made, tags)

    @staticmethod
    def _over_time(signal: Signal, timesteps: int) -> NDArray[Any]:
        if signal.carries == "spikes":
            return unpacked(signal.array, timesteps)
        if signal.constant:
            return np.broadcast_to(signal.array[..., None], (*signal.array.shape, timesteps))
        return signal.array

    @staticmethod
    def _is_plain(trace: GraphTrace, name: str) -> bool:
        """Whether a node is an unscaled product of spikes, whose float values are whole numbers."""
        node = trace.node(name)
        if not isinstance(node, MatmulNode) or node.scale != 1:
            return False
        return trace.carries(node.a) == trace.carries(node.b) == "spikes"

    def _cost(
        self, task: Task, node: Node, flow: GraphFlow, total: LayersOfNode, *, main: bool = True,
        handover: Handover = APART,
    ) -> LayerCost:  # fmt: skip
        return self._noted(self.layers.cost(task, handover), node, flow, total, main=main)

    def _noted(
        self, cost: LayerCost, node: Node, flow: GraphFlow, total: LayersOfNode, *, main: bool = True
    ) -> LayerCost:
        """Add the cost of a layer to its node's, and tell who observes."""
        total.add(cost, main=main)
        if self.layers.observe is not None:
            place = [one.name for one in flow.trace.nodes].index(node.name)
            part = len(total.costs) - 1
            self.layers.observe(TimedLayer(node.name, place, flow.number, self.arch, cost, part))
        return cost

    def _handover(self, node: Population, flow: GraphFlow) -> Handover:
        """What the nodes around one have in the GLB: spikes that the next node alone takes may stay."""
        if not self.layers.arch.get("memory.glb.keep_ofmap", default=False):
            return APART
        nodes = flow.trace.nodes
        place = [one.name for one in nodes].index(node.name)
        takers = [one for one in nodes if node.name in one.sources]
        wanted = (
            node.kind == "neurons"  # words of currents come from DRAM
            and len(takers) == 1
            and nodes[place + 1 : place + 2] == tuple(takers)
            and isinstance(takers[0], Population)
            and len(takers[0].synapses) == 1
            and flow.recorded(node.name) is None
        )
        return Handover(input_kept=bool(flow.kept) and node.sources == (flow.kept,), output_wanted=wanted)

    def _output(self, node: Population | MatmulNode, flow: GraphFlow, made: NDArray[Any]) -> Signal:
        """Put what all parts gave together, ``[M, P, ...]``, and check that currents fit their width."""
        shape = flow.trace.shape(node.name)
        out = made.reshape(*shape, made.shape[-1])
        if node.kind == "neurons":
            return Signal("spikes", out)
        constant = flow.trace.constant(node.name)
        if out.dtype.kind == "i":
            limit = 1 << (min(32, self.layers.arch.psum_bits) - 1)
            beyond = (out < -limit) | (out >= limit)
            if beyond.any():
                at = np.argwhere(beyond.any(axis=(0, 1, 2)))[0, 0]
                raise ConfigError(
                    f"{self.layers.arch.psum_bits} bits do not hold the currents of '{node.name}' in sample "
                    f"{flow.sample}: {int(out[beyond][0])} at time point {at}",
                    where=self.layers.arch.name,
                    field="psum_bits",
                )
            out = out.astype(np.int32)
        return Signal("currents", np.ascontiguousarray(out[..., 0]) if constant else out, constant)

    def _estimate(self, work: Work, total: LayersOfNode) -> float:
        """FLOPs x time points x (1 - sparsity) x E_AC, pJ (see :class:`spikex_sim.run.tally.Costs`)."""
        spiking = [one for one in work.branches if one.signal.carries == "spikes"]
        inputs = sum(int(np.prod(one.signal.shape)) for one in spiking)
        if not inputs:
            return 0.0
        spikes = sum(count_spikes(one.signal.array) for one in spiking)
        density = spikes / (inputs * work.trace.timesteps)
        addition_pj = self.layers.energies.price_pj("alu", alu(ADD, work.node.datapath))
        dense = sum(one.layout.operations.dense_accumulations for one in total.main)
        return dense * density * addition_pj

    def _result(
        self, node: Node, flow: GraphFlow, total: LayersOfNode, tws: int | None, entered: int | None,
        estimate: float | None, out: Signal | None, issued: PackedSpikes | None = None,
    ) -> tuple[LayerResult, NDArray[Any] | None]:  # fmt: skip
        told = self.told(node, flow, entered, out)
        served = flow.signals.get(node.name, out)
        if served is not None:
            flow.signals[node.name] = with_tags(served, issued, flow.trace.timesteps)
        costs, arch = total.costs, self.layers.arch
        counts = sum((one.counts for one in costs), Counts())
        cycles = sum(one.cycles for one in costs)
        busy = Counter[str]()
        for one in costs:
            busy.update(busy_of(one.layout.program, arch, waits=one.layout.waits))
        result = LayerResult(
            tws=tws,
            mode=total.mode if costs else None,
            cycles=cycles,
            compute_cycles=sum(one.layout.compute_cycles for one in costs),
            stalls=sum(
                (attribute_stalls(one.durations, one.ends, one.layout.program.resumes) for one in costs),
                Stalls(),
            ),
            operations=sum((one.layout.operations for one in costs), Operations()),
            counts=counts,
            energy=self.layers.energies_at(tws).energy(counts, cycles),
            estimate_pj=estimate,
            steps=sum(len(one.layout.program) for one in costs),
            busy=FrozenMap({name: busy[name] for name in idle()}),
            held=merged(one.layout.held for one in costs),
            mapping=_mapping([one.layout.mapping for one in total.main or costs]),
            **told,
        )  # fmt: skip
        return result, None if out is None else out.array

    def told(self, node: Node, flow: GraphFlow, entered: int | None, out: Signal | None) -> dict[str, Any]:
        """What results say of a node beside its costs."""
        mismatched = {"spikes": None, "currents": None} | self._mismatches(node, flow, out)
        spiking = out is not None and out.carries == "spikes"
        return {
            "name": node.name,
            "kind": GraphStage(node).kind,
            "datapath": GraphStage(node).datapath,
            "input_spikes": entered,
            "output_spikes": count_spikes(out.array) if spiking and out is not None else None,
            "output_sha256": None if out is None else hashlib.sha256(out.array.tobytes()).hexdigest(),
            "mismatched_spikes": mismatched["spikes"],
            "mismatched_values": mismatched["currents"],
            "pes": self.layers.pes,
            "clock_hz": float(self.arch.clock_hz),
        }

    @staticmethod
    def _mismatches(node: Node, flow: GraphFlow, out: Signal | None) -> dict[str, int]:
        """Where what was recorded of a node differs from what it computed."""
        recorded = flow.recorded(node.name)
        if recorded is None or out is None or recorded.carries != out.carries:
            return {}
        if out.carries == "spikes":
            return {"spikes": count_spikes(np.bitwise_xor(recorded.array, out.array))}
        return {"currents": int(np.count_nonzero(recorded.array != out.array))}


def _mapping(layers: Sequence[Any]) -> dict[str, Any]:
    """Mapping of a node: what its layers have in common, and how many they are if several."""
    if len(layers) < 2:
        return dict(layers[0]) if layers else {}
    common = {
        key: value if all(one.get(key) == value for one in layers) else None
        for key, value in layers[0].items()
    }
    return common | {"layers": len(layers)}
