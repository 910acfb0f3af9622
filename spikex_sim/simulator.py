"""Replay traces through an accelerator: trace, tags, schedule, kernels, memory, counts, energy, results."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from spikex_sim.accounting import Accesses, Operations, Stalls
from spikex_sim.dispatch import Schedule
from spikex_sim.energy.model import Energy, EnergyModel, add_energies
from spikex_sim.errors import ConfigError, SpikexError, TraceError
from spikex_sim.kernels.passes import execute
from spikex_sim.kernels.survey import survey
from spikex_sim.memory.engine import MemoryEngine, attribute_stalls
from spikex_sim.memory.group import widths_of
from spikex_sim.memory.steps import durations_of
from spikex_sim.memory.traffic import Traffic, traffic_of
from spikex_sim.registry import plugin
from spikex_sim.results import LayerResult, RunResult, Totals
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.tags import WindowedSpikes, window_spikes
from spikex_sim.trace.fold import maxpool_packed
from spikex_sim.trace.model import PackedSpikes, Trace
from spikex_sim.trace.plan import Stage, plan_stages
from spikex_sim.trace.store import load_trace, load_traces
from spikex_sim.warmup import ensure_compiled, small_spikes

LARGEST_AUTO_TWS = 32
"""Largest window size that ``tws: auto`` tries (Section 7)."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much."""


def _silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def simulate(
    trace: Trace | Sequence[Trace] | str | Path,
    arch: str | Path | Accelerator = "spikex",
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = _silent,
) -> RunResult:
    """Replay a trace, or several samples of one network, through an accelerator.

    Parameters
    ----------
    trace : Trace, sequence of Trace, or path
        One trace, several of the same network, a trace file or a folder of them.
    arch : str, Path or Accelerator
        Preset name, YAML file or configuration.
    tws : int, "auto" or sequence of int, optional
        Time window size; overrides the configuration. A sequence gives one per conv or linear layer.
    engine : {"fast", "event"}
        Memory engine; both give the same result.
    overrides : mapping, optional
        Dotted configuration key to value.
    progress : callable, optional
        Told about the layers as they are done.

    Returns
    -------
    RunResult
        Costs per layer and in total.

    Raises
    ------
    SpikexError
        If the trace or the configuration is wrong; one line that says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> layer = {"name": "fc", "kind": "linear", "in_channels": 3, "out_channels": 2,
    ...          "neuron": {"threshold": 1, "leak_shift": 4}}
    >>> spikes = np.ones((3, 8), bool)
    >>> result = simulate(Trace.from_arrays([layer], spikes, weights=[np.ones((2, 3), np.int8)]))
    >>> result.layers[0].output_spikes
    16
    """
    prepare()
    return _simulate(trace, arch, tws, engine, overrides, progress)


def _simulate(
    trace: Trace | Sequence[Trace] | str | Path,
    arch: str | Path | Accelerator,
    tws: int | str | Sequence[int] | None,
    engine: str,
    overrides: Mapping[str, Any] | None,
    progress: Progress,
) -> RunResult:
    changes = dict(overrides or {})
    if tws is not None:
        changes["tws"] = tws if isinstance(tws, int | str) else tuple(tws)
    accelerator = load_accelerator(arch, changes)
    traces = _as_traces(trace)
    stages = [plan_stages(one) for one in traces]
    window_sizes = _window_sizes(accelerator, stages[0], traces[0])
    simulator = _Simulator(accelerator, plugin("engines", engine), EnergyModel.of(accelerator))
    inputs = [(which, sample) for which, one in enumerate(traces) for sample in range(one.samples)]
    flows = [_Flow(stages[which], traces[which], sample) for which, sample in inputs]
    layers, per_sample = [], []
    for index, stage in enumerate(stages[0]):
        progress(stage.layer.name, index, len(stages[0]))
        runs = simulator.run_layer(index, flows, window_sizes[index], progress)
        layers.append(_merge_samples(runs, [flow.computed for flow in flows]))
        per_sample.append(runs)
    progress("done", len(stages[0]), len(stages[0]))
    return RunResult(
        arch=accelerator,
        engine=engine,
        trace=_describe(traces),
        layers=tuple(layers),
        samples=tuple(Totals.of(tuple(runs)) for runs in zip(*per_sample, strict=True)),
        energy_model=simulator.energies,
        versions=versions(),
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def prepare() -> None:
    """Compile the kernels now if they are not cached, rather than with the first simulation."""
    ensure_compiled(_run_small)


def _run_small() -> None:
    """Run a tiny convolution through every kernel in both datapaths."""
    layer = {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 3,
             "in_height": 4, "in_width": 4}  # fmt: skip
    neurons = (
        ({"threshold": 1, "leak_shift": 2}, np.int8),
        ({"threshold": 1, "leak": 0.5, "datapath": "float"}, np.float32),
    )
    for neuron, dtype in neurons:
        weight = np.ones((2, 1, 3, 3), dtype)
        trace = Trace.from_arrays([{**layer, "neuron": neuron}], small_spikes(), weights=[weight])
        _simulate(trace, "ptb-stsap", 2, "fast", None, _silent)


def versions() -> dict[str, str]:
    """Versions of this package and of what it computes with."""
    found = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    for name in ("spikex_sim", "simpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _as_traces(trace: Trace | Sequence[Trace] | str | Path) -> list[Trace]:
    if isinstance(trace, Trace):
        return [trace]
    if isinstance(trace, str | Path):
        traces = load_traces(trace) if Path(trace).is_dir() else [load_trace(trace)]
    else:
        traces = list(trace)
    if not traces:
        raise TraceError("no traces given")
    for other in traces[1:]:
        if other.layers != traces[0].layers or other.timesteps != traces[0].timesteps:
            raise TraceError(
                f"has other layers or time points than {traces[0].where}; samples share one network",
                where=other.where,
            )
    return traces


def _describe(traces: list[Trace]) -> dict[str, Any]:
    hashes = [one.sha256 for one in traces]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return {
        "name": traces[0].name if len(traces) == 1 else f"{traces[0].name} and {len(traces) - 1} more",
        "sha256": whole,
        "timesteps": traces[0].timesteps,
        "samples": sum(one.samples for one in traces),
        "source": traces[0].source,
    }


def _window_sizes(arch: Accelerator, stages: Sequence[Stage], trace: Trace) -> list[int | None]:
    """Window size of every stage; 0 stands for a search, None for pooling."""
    neurons = sum(not stage.layer.is_pool for stage in stages)
    if isinstance(arch.tws, tuple):
        if len(arch.tws) != neurons:
            raise ConfigError(
                f"lists {len(arch.tws)} window sizes for {neurons} conv and linear layers",
                where=arch.name,
                field="tws",
            )
        sizes = list(arch.tws)
    else:
        sizes = [0 if arch.tws == "auto" else arch.tws] * neurons
    for size in sizes:
        if size > trace.timesteps:
            raise ConfigError(
                f"{size} is larger than the trace's {trace.timesteps} time points",
                where=arch.name,
                field="tws",
            )
    remaining = iter(sizes)
    return [None if stage.layer.is_pool else next(remaining) for stage in stages]


class _Flow:
    """The spikes of one sample on their way through the network."""

    def __init__(self, stages: Sequence[Stage], trace: Trace, sample: int) -> None:
        self.stages, self.trace, self.sample = stages, trace, sample
        self.computed: PackedSpikes | None = None
        self.mismatched: int | None = None

    def enter(self, index: int) -> PackedSpikes:
        """Spikes that enter a layer: recorded ones, else what the predecessor produced."""
        shape = self.stages[index].layer.input_shape
        self.mismatched = None
        if index not in self.trace.inputs:
            assert self.computed is not None
            return self.computed.reshape(*shape, -1)
        recorded = self.trace.inputs[index][self.sample]
        if self.computed is not None:
            differs = np.bitwise_xor(recorded, self.computed.reshape(recorded.shape))
            self.mismatched = int(np.bitwise_count(differs).sum())
        entered: PackedSpikes = recorded.reshape(*shape, -1)
        return entered


@dataclass(frozen=True)
class _Cost:
    """Costs of one layer and sample at one window size."""

    schedule: Schedule
    spikes: WindowedSpikes
    traffic: Traffic
    cycles: int
    stalls: Stalls
    energy: Energy

    @property
    def mapping(self) -> dict[str, Any]:
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
class _Simulator:
    """Costs and outputs of single layers under one configuration."""

    arch: Accelerator
    engine: MemoryEngine
    energies: EnergyModel

    def run_layer(
        self, index: int, flows: list[_Flow], tws: int | None, progress: Progress
    ) -> list[LayerResult]:
        """Run one layer for every sample; their spikes move on to the next."""
        packed = [flow.enter(index) for flow in flows]
        if tws is None:
            return [self._pool(flow, index, spikes) for flow, spikes in zip(flows, packed, strict=True)]
        if tws == 0:
            costs = self._search(flows, index, packed, progress)
        else:
            costs = [
                self._cost(flow.stages[index], spikes, flow.trace.timesteps, tws)
                for flow, spikes in zip(flows, packed, strict=True)
            ]
        return [
            self._finish(flow, index, spikes, cost)
            for flow, spikes, cost in zip(flows, packed, costs, strict=True)
        ]

    def _search(
        self, flows: list[_Flow], index: int, packed: list[PackedSpikes], progress: Progress
    ) -> list[_Cost]:
        """Window size with the smallest EDP over all samples; ties go to the smaller (Section 7)."""
        best: tuple[float, list[_Cost]] | None = None
        refused: SpikexError | None = None
        candidates = range(1, min(flows[0].trace.timesteps, LARGEST_AUTO_TWS) + 1)
        for tws in candidates:
            progress(f"{flows[0].stages[index].layer.name} TWS={tws}", index, len(flows[0].stages))
            try:
                costs = [
                    self._cost(flow.stages[index], spikes, flow.trace.timesteps, tws)
                    for flow, spikes in zip(flows, packed, strict=True)
                ]
            except ConfigError as exc:
                refused = refused or exc
                continue
            edp = sum(cost.energy.total_pj for cost in costs) * sum(cost.cycles for cost in costs)
            if best is None or edp < best[0]:
                best = edp, costs
        if best is None:
            assert refused is not None
            raise refused
        return best[1]

    def _cost(self, stage: Stage, packed: PackedSpikes, timesteps: int, tws: int) -> _Cost:
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
        return _Cost(schedule, spikes, traffic, ends.cycles, attribute_stalls(durations, ends), energy)

    def _finish(self, flow: _Flow, index: int, packed: PackedSpikes, cost: _Cost) -> LayerResult:
        stage = flow.stages[index]
        layer = stage.layer
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

    def _pool(self, flow: _Flow, index: int, packed: PackedSpikes) -> LayerResult:
        """Pooling costs nothing: max-pooling ORs on the way out, average pooling is part of what follows."""
        layer = flow.stages[index].layer
        flow.computed = maxpool_packed(layer, packed) if layer.kind == "maxpool" else packed
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

    def _common(self, flow: _Flow, packed: PackedSpikes) -> dict[str, Any]:
        outputs = flow.computed
        return {
            "input_spikes": _spike_count(packed),
            "output_spikes": None if outputs is None else _spike_count(outputs),
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


def _spike_count(packed: NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(packed).sum(dtype=np.int64))


def _merge_samples(runs: list[LayerResult], outputs: list[PackedSpikes | None]) -> LayerResult:
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
        cycles=sum(run.cycles for run in runs),
        compute_cycles=sum(run.compute_cycles for run in runs),
        stalls=sum((run.stalls for run in runs), Stalls()),
        operations=sum((run.operations for run in runs), Operations()),
        accesses=sum((run.accesses for run in runs), Accesses()),
        energy=add_energies([run.energy for run in runs]),
        steps=sum(run.steps for run in runs),
        mapping={key: common([run.mapping[key] for run in runs]) for key in first.mapping},
        input_spikes=sum(run.input_spikes for run in runs),
        output_spikes=total("output_spikes"),
        output_sha256=_sha256(outputs),
        mismatched_spikes=total("mismatched_spikes"),
    )
