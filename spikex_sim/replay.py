"""Replays one layer at a time: spikes enter, the schedule runs, costs and outputs come out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from spikex_sim.accounting import Accesses, Operations, Stalls
from spikex_sim.dispatch import Schedule
from spikex_sim.energy.model import Energy, EnergyModel
from spikex_sim.errors import ConfigError, SpikexError
from spikex_sim.kernels.passes import execute
from spikex_sim.kernels.survey import survey
from spikex_sim.memory.engine import MemoryEngine, attribute_stalls
from spikex_sim.memory.group import widths_of
from spikex_sim.memory.steps import durations_of
from spikex_sim.memory.traffic import Traffic, traffic_of
from spikex_sim.registry import plugin
from spikex_sim.results import LayerResult, sum_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.tags import WindowedSpikes, window_spikes
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.model import PackedSpikes, Trace
from spikex_sim.trace.plan import Stage

LARGEST_AUTO_TWS = 32
"""Largest window size that ``tws: auto`` tries (Section 7)."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much."""


class Flow:
    """The spikes of one sample on their way through the network."""

    def __init__(self, stages: Sequence[Stage], trace: Trace, sample: int) -> None:
        self.stages, self.trace, self.sample = stages, trace, sample
        self.computed: PackedSpikes | None = None
        self.mismatched: int | None = None

    def enter(self, index: int) -> PackedSpikes | None:
        """Spikes that enter a layer: recorded ones, else what the predecessor produced, if that is known."""
        shape = self.stages[index].layer.input_shape
        self.mismatched = None
        if index not in self.trace.inputs:
            return None if self.computed is None else self.computed.reshape(*shape, -1)
        recorded = self.trace.inputs[index][self.sample]
        if self.computed is not None:
            differs = np.bitwise_xor(recorded, self.computed.reshape(recorded.shape))
            self.mismatched = int(np.bitwise_count(differs).sum())
        entered: PackedSpikes = recorded.reshape(*shape, -1)
        return entered


@dataclass(frozen=True)
class LayerCost:
    """Costs of one layer and sample at one window size."""

    schedule: Schedule
    spikes: WindowedSpikes
    traffic: Traffic
    cycles: int
    stalls: Stalls
    energy: Energy

    @property
    def mapping(self) -> dict[str, Any]:
        """Loop order, tile sizes and residency, as in ``results.json``."""
        schedule, residency = self.schedule, self.traffic.residency
        return {
            "order": "row group > position set > time block > batch > chunk",
            "tile": "layer" if schedule.shape.fits_all else "auto",
            "positions_per_tile": schedule.shape.positions,
            "windows_per_tile": schedule.shape.windows,
            "tiles": len(schedule.tiles) * len(schedule.groups.sizes),
            "row_groups": len(schedule.groups.sizes),
            "glb_filter": f"per {residency.glb_filter}",
            "glb_ifmap": f"per {residency.glb_ifmap}",
            "lbuf_filter": f"per {residency.lbuf_filter}",
            "lbuf_ifmap": "per step",
        }


@dataclass(frozen=True)
class LayerRunner:
    """Costs and outputs of single layers under one configuration."""

    arch: Accelerator
    engine: MemoryEngine
    energies: EnergyModel

    def run_layer(
        self, index: int, flows: list[Flow], tws: int | Literal["auto"], progress: Progress
    ) -> list[LayerResult]:
        """Run one layer for every sample; their spikes move on to the next."""
        entered = [flow.enter(index) for flow in flows]
        if flows[0].stages[index].layer.is_pool:
            return [self._pool(flow, index, spikes) for flow, spikes in zip(flows, entered, strict=True)]
        packed = [spikes for spikes in entered if spikes is not None]
        if tws == "auto":
            tws = self._best_tws(flows, index, packed, progress)
        return [self._integrate(flow, index, spikes, tws) for flow, spikes in zip(flows, packed, strict=True)]

    def _best_tws(self, flows: list[Flow], index: int, packed: list[PackedSpikes], progress: Progress) -> int:
        """Window size with the smallest EDP over all samples; ties go to the smaller (Section 7)."""
        edps: dict[int, float] = {}
        refused: SpikexError | None = None
        for tws in range(1, min(flows[0].trace.timesteps, LARGEST_AUTO_TWS) + 1):
            progress(f"{flows[0].stages[index].layer.name} TWS={tws}", index, len(flows[0].stages))
            energy_pj, cycles = 0.0, 0
            try:
                for flow, spikes in zip(flows, packed, strict=True):
                    cost = self._cost(flow.stages[index], spikes, flow.trace.timesteps, tws)
                    energy_pj += cost.energy.total_pj
                    cycles += cost.cycles
            except ConfigError as exc:
                refused = refused or exc
                continue
            edps[tws] = energy_pj * cycles
        if not edps:
            assert refused is not None
            raise refused
        return min(edps, key=edps.__getitem__)

    def _cost(self, stage: Stage, packed: PackedSpikes, timesteps: int, tws: int) -> LayerCost:
        layer = stage.layer
        assert layer.neuron is not None
        widths = widths_of(layer.neuron.datapath, self.arch)
        spikes = window_spikes(packed, timesteps, tws)
        scheduler = plugin("accelerators", self.arch.scheduler)
        schedule = scheduler.schedule(layer, spikes, stage.silence_is_free, widths.potential, self.arch)
        traffic = traffic_of(schedule, spikes, survey(schedule, spikes), widths, self.arch)
        durations = durations_of(traffic.steps, self.arch)
        ends = self.engine.run(durations)
        energy = self.energies.energy(
            traffic.accesses, traffic.operations, layer.neuron.datapath, ends.cycles
        )
        return LayerCost(schedule, spikes, traffic, ends.cycles, attribute_stalls(durations, ends), energy)

    def _integrate(self, flow: Flow, index: int, packed: PackedSpikes, tws: int) -> LayerResult:
        stage = flow.stages[index]
        layer = stage.layer
        cost = self._cost(stage, packed, flow.trace.timesteps, tws)
        assert layer.neuron is not None
        flow.computed = None
        if stage.weight is not None:
            limit = 1 << (self.arch.weight_bits - 1)
            if layer.neuron.datapath == "int" and (
                stage.weight.min() < -limit or stage.weight.max() >= limit
            ):
                raise ConfigError(
                    f"the weights of layer {layer.name} do not fit {self.arch.weight_bits} bits",
                    where=self.arch.name,
                    field="weight_bits",
                )
            outputs, adds = execute(
                cost.schedule, cost.spikes, stage.weight, stage.bias, layer.neuron, self.arch.potential_bits
            )
            if adds != cost.traffic.operations.accumulations:
                raise AssertionError(
                    f"layer {layer.name}: {adds} additions executed, but "
                    f"{cost.traffic.operations.accumulations} counted"
                )
            flow.computed = outputs.reshape(*layer.output_shape, -1)
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            tws=cost.spikes.tws,
            mode=cost.schedule.mode,
            cycles=cost.cycles,
            compute_cycles=cost.traffic.compute_cycles,
            stalls=cost.stalls,
            operations=cost.traffic.operations,
            accesses=cost.traffic.accesses,
            energy=cost.energy,
            steps=len(cost.traffic.steps),
            mapping=cost.mapping,
            **self._common(flow, packed),
        )

    def _pool(self, flow: Flow, index: int, packed: PackedSpikes | None) -> LayerResult:
        """Pooling costs nothing: max-pooling ORs on the way out, average pooling is part of what follows."""
        layer = flow.stages[index].layer
        flow.computed = packed
        if layer.kind == "maxpool" and packed is not None:
            flow.computed = maxpool_packed(layer, packed)
        return LayerResult(
            name=layer.name,
            kind=layer.kind,
            tws=None,
            mode=None,
            cycles=0,
            compute_cycles=0,
            stalls=Stalls(),
            operations=Operations(),
            accesses=Accesses(),
            energy=self.energies.energy(Accesses(), Operations(), "int", 0),
            steps=0,
            mapping={},
            **self._common(flow, packed),
        )

    def _common(self, flow: Flow, packed: PackedSpikes | None) -> dict[str, Any]:
        outputs = flow.computed
        return {
            "input_spikes": _spike_count(packed),
            "output_spikes": _spike_count(outputs),
            "output_sha256": _sha256([outputs]),
            "mismatched_spikes": flow.mismatched,
            "pes": self.arch.array.rows * self.arch.array.cols,
            "clock_hz": float(self.arch.clock_hz),
        }


def _sha256(outputs: list[PackedSpikes | None]) -> str | None:
    """Lower-case hex digest of packed spikes; None where some are not known."""
    digest = hashlib.sha256()
    for packed in outputs:
        if packed is None:
            return None
        digest.update(packed.tobytes())
    return digest.hexdigest()


def _spike_count(packed: PackedSpikes | None) -> int | None:
    return None if packed is None else int(np.bitwise_count(packed).sum(dtype=np.int64))


def merge_samples(runs: list[LayerResult], outputs: list[PackedSpikes | None]) -> LayerResult:
    """Sum a layer over samples; what differs between them and cannot be summed becomes None.

    The hash is over the outputs of all samples one after the other, as with a leading sample axis.
    """
    first = runs[0]
    if len(runs) == 1:
        return first

    def common(values: list[Any]) -> Any:
        return values[0] if all(value == values[0] for value in values) else None

    def total(name: str) -> int | None:
        values = [getattr(run, name) for run in runs]
        return None if any(value is None for value in values) else sum(values)

    return replace(
        first,
        mode=common([run.mode for run in runs]),
        **sum_of(runs),
        mapping={key: common([run.mapping[key] for run in runs]) for key in first.mapping},
        input_spikes=total("input_spikes"),
        output_spikes=total("output_spikes"),
        output_sha256=_sha256(outputs),
        mismatched_spikes=total("mismatched_spikes"),
    )
