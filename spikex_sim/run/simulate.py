"""Replay traces through an accelerator: trace, tags, schedule, kernels, memory, counts, energy, results."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numba
import numpy as np

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.memory import check_memory
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.run.arrays import Arrays
from spikex_sim.run.crossbar import CrossbarRunner
from spikex_sim.run.flow import GraphFlow, GraphStage
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.graph_ann import AnnRunner
from spikex_sim.run.mapped import MappedRunner
from spikex_sim.run.merging import LayerSum, SampleRun, class_sums, sample_results
from spikex_sim.run.psums import check_psums
from spikex_sim.run.released import ReleasedRunner
from spikex_sim.run.replay import Flow, LayerRunner, Observer, Signal
from spikex_sim.run.results import LayerResult, RunResult, SampleResult
from spikex_sim.run.small import small_runs, uses_of
from spikex_sim.run.stages import flow_of, stages_of
from spikex_sim.run.warmup import ensure_compiled
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.together import AnyTrace, TraceFiles, as_traces, describe, described_nodes
from spikex_sim.trace.trace import Trace

UNIT = 16
"""Samples that are replayed, handed to other processes and stored at a time."""


def simulate(
    trace: AnyTrace | Sequence[AnyTrace | str | Path] | str | Path,
    arch: str | Path | Accelerator = "spikex",
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    observe: Observer | None = None,
) -> RunResult:
    """Replay a trace, or several samples of one network, through an accelerator.

    Parameters
    ----------
    trace : Trace, GraphTrace, sequence of them, or path
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
    observe : callable, optional
        Given a :class:`spikex_sim.run.replay.TimedLayer` for each conv or linear layer and sample: its steps
        and when each of them fetched, loaded, computed, stored and wrote.

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
    accelerator = load_accelerator(arch, dict(overrides or {}) | ({} if tws is None else {"tws": tws}))
    prepare(accelerator)
    return _simulate(trace, accelerator, engine, progress or silent, observe)


def simulate_on(
    arrays: Arrays | None,
    trace: AnyTrace | Sequence[AnyTrace],
    arch: Accelerator,
    *,
    engine: str,
    observe: Observer | None = None,
) -> RunResult:
    """As :func:`simulate`, on arrays that are programmed already (:func:`check_runnable`)."""
    return _simulate(trace, arch, engine, silent, observe, arrays)


def _simulate(
    trace: AnyTrace | Sequence[AnyTrace | str | Path] | str | Path,
    accelerator: Accelerator,
    engine: str,
    progress: Progress = silent,
    observe: Observer | None = None,
    arrays: Arrays | None = None,
) -> RunResult:
    replay = Replay.of(as_traces(trace), accelerator, engine, observe, arrays)
    layer_by_layer = replay.searches or replay.count == 1
    runs = _in_order(replay, progress if layer_by_layer else silent)
    return replay.result(runs if layer_by_layer else _told(runs, replay.count, progress))


def _in_order(replay: Replay, progress: Progress) -> Iterator[SampleRun]:
    """Replay all samples, numbered as they come."""
    number = 0
    for unit in replay.units():
        for one in replay.run(unit, progress, first=number):
            number += 1
            yield one


def _told(runs: Iterable[SampleRun], count: int, progress: Progress) -> Iterator[SampleRun]:
    """Tell how many samples are done."""
    for done, one in enumerate(runs):
        progress(one.name, done, max(count, done + 1))
        yield one
    progress("done", count, count)


class Unit(NamedTuple):
    """Samples that are replayed together: of so many traces, all samples or some.

    Attributes
    ----------
    traces : range
        Which traces.
    samples : range or None
        Of a single trace, which samples; None for all.
    """

    traces: range
    samples: range | None


@dataclass(frozen=True)
class Replay:
    """Samples of one network on one accelerator; units of them can be replayed anywhere and in any order.

    Attributes
    ----------
    traces : sequence of Trace or GraphTrace
        Samples.
    runner : LayerRunner or GraphRunner
        Configuration, memory engine and energies.
    engine : str
        Name of the memory engine.
    window_sizes : list of int or "auto"
        Of every layer; pooling has no use for its own.
    stages : sequence of Stage or GraphStage
        Layers of the first trace, in order.
    """

    traces: Sequence[AnyTrace]
    runner: LayerRunner | GraphRunner
    engine: str
    window_sizes: list[int | Literal["auto"]]
    stages: Sequence[Stage | GraphStage]

    @classmethod
    def of(
        cls, traces: Sequence[AnyTrace], arch: Accelerator, engine: str, observe: Observer | None = None,
        arrays: Arrays | None = None,
    ) -> Replay:  # fmt: skip
        """Prepare a replay; raises what can be said against it before its first layer.

        ``arrays``: those of a crossbar machine, where they are programmed already.
        """
        known = traces[:1] if isinstance(traces, TraceFiles) else traces
        stages = [stages_of(one, arch) for one in known]
        for one, its in zip(known, stages, strict=True):
            check_psums(one, its, arch)
        window_sizes = _window_sizes(arch, stages[0], known[0])
        policy = arch.get("dispatch", default="")
        if policy:
            plugin("dispatch", policy)
        runner: LayerRunner | GraphRunner
        runner = LayerRunner(arch, plugin("engines", engine), energy_model(arch), observe)
        if isinstance(arch, CrossbarOptions) and arch.imc.model == "released":
            first = known[0]
            if not isinstance(first, Trace):
                raise UnsupportedError("model released takes chains alone; choose events",
                                       where=arch.name, field="imc.model")  # fmt: skip
            runner = ReleasedRunner.of(runner, first)
        elif isinstance(arch, CrossbarOptions):
            runner = CrossbarRunner.of(runner, stages[0], traces, arrays)
        elif isinstance(arch, MappedOptions):
            runner = MappedRunner.of(runner, stages[0], known)
        elif isinstance(known[0], GraphTrace):
            runner = AnnRunner(runner) if runner.is_ann else GraphRunner(runner)
        return cls(traces, runner, engine, window_sizes, stages[0])

    @property
    def count(self) -> int:
        """Number of samples; of traces that are not held as if each had as many as the first."""
        if isinstance(self.traces, TraceFiles):
            return len(self.traces) * self.traces[0].samples
        return sum(one.samples for one in self.traces)

    @property
    def searches(self) -> bool:
        """Whether a layer's window size follows from all samples together."""
        stages = zip(self.window_sizes, self.stages, strict=True)
        return any(size == "auto" and stage.is_sized for size, stage in stages)

    def units(self) -> list[Unit]:
        """All samples in order, some at a time; all at once where a window size follows from all."""
        traces, found = self.traces, list[Unit]()
        if self.searches:
            return [Unit(range(len(traces)), None)]
        start = 0
        while start < len(traces):
            samples = 1 if isinstance(traces, TraceFiles) else traces[start].samples
            stop = start + 1
            if samples > 1:
                parts = (range(at, min(at + UNIT, samples)) for at in range(0, samples, UNIT))
                found += [Unit(range(start, stop), part) for part in parts]
            else:
                while stop < min(start + UNIT, len(traces)) and (
                    isinstance(traces, TraceFiles) or traces[stop].samples == 1
                ):
                    stop += 1
                found.append(Unit(range(start, stop), None))
            start = stop
        return found

    def samples_of(self, unit: Unit) -> Iterator[tuple[AnyTrace, int]]:
        """Samples of a unit: trace, and place in it."""
        for which in unit.traces:
            trace = self.traces[which]
            for sample in range(trace.samples) if unit.samples is None else unit.samples:
                yield trace, sample

    def run(self, unit: Unit, progress: Progress = silent, first: int = 0) -> Iterator[SampleRun]:
        """Replay the samples of a unit; observers see them numbered from the first."""
        if self.searches:
            self._check_held()
            found = self
            if self.runner.arch.get("tws_scope", default="layer") == "network":
                found = self._at(self._best_size(unit, progress))
            yield from found._together(list(self._flows(unit, first)), progress)
            return
        for flow in self._flows(unit, first):
            yield from self._together([flow], progress)

    def _at(self, tws: int) -> Replay:
        """The same with one window size for all layers."""
        return replace(self, window_sizes=[tws if stage.is_sized else "auto" for stage in self.stages])

    def _best_size(self, unit: Unit, progress: Progress) -> int:
        """Window size of all layers with the least of what is searched for, ties to the smaller.

        Raises
        ------
        ConfigError
            If the buffers are too small for all of them.
        """
        runner = self.runner
        assert isinstance(runner, LayerRunner | GraphRunner)
        sizes = runner.sizes(self.stages, self.traces[0].timesteps)  # type: ignore[arg-type]
        layers = runner if isinstance(runner, LayerRunner) else runner.layers
        best: tuple[float, int] | None = None
        refused: ConfigError | None = None
        for done, tws in enumerate(sizes):
            progress(f"all layers TWS={tws}", done, len(sizes))
            try:
                runs = list(replace(self._at(tws), runner=runner.unobserved).run(unit))
            except ConfigError as exc:
                refused = refused or exc
                continue
            costs = [layer for run in runs for layer in run.layers]
            found = layers.objective(
                sum(one.energy.total_pj for one in costs), sum(one.cycles for one in costs)
            )
            if best is None or found < best[0]:
                best = found, tws
        if best is None:
            assert refused is not None
            raise refused
        return best[1]

    def _check_held(self) -> None:
        """Raise :class:`TraceError` if the spikes of all samples in all layers are too many to be held."""
        trace, count = self.traces[0], self.count
        one_sample = sum(prod(shape) * kind.itemsize for kind, shape in self._given())
        check_memory(count * one_sample, f"tws: auto over {count} samples at once", where=trace.where)

    def _given(self) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Type and shape of what enters the network, and of what each layer gives."""
        first = self.traces[0]
        entered = (
            [first.inputs[0]]
            if isinstance(first, Trace)
            else [*first.spikes.values(), *first.values.values()]
        )
        for array in entered:
            yield array.dtype, array.shape[1:]
        for stage in self.stages:
            yield stage.gives(first, spiking=not self.runner.is_ann)  # type: ignore[arg-type]

    def _together(self, flows: Sequence[Any], progress: Progress) -> Iterator[SampleRun]:
        """Replay samples layer by layer."""
        if isinstance(self.runner, CrossbarRunner | MappedRunner | ReleasedRunner):
            yield from self._at_once(self.runner, flows, progress)
            return
        layers: list[list[LayerResult]] = [[] for _ in flows]
        outputs: list[list[Signal | None]] = [[] for _ in flows]
        stages = flows[0].stages
        tws = next((size for size in self.window_sizes if size != "auto"), 1)
        for index, (stage, size) in enumerate(zip(stages, self.window_sizes, strict=True)):
            progress(stage.name, index, len(stages))
            cost = None
            if stage.is_sized:  # what has no windows of its own has those of what is before it
                tws, cost = self.runner.best_tws(index, flows, progress) if size == "auto" else (size, None)
            for flow, done, left in zip(flows, layers, outputs, strict=True):
                done.append(self.runner.run_layer(index, flow, tws, cost))
                left.append(flow.computed)
        progress("done", len(stages), len(stages))
        for flow, done, left in zip(flows, layers, outputs, strict=True):
            yield SampleRun(*name_and_label(flow.trace, flow.sample), tuple(done), tuple(left))

    @staticmethod
    def _at_once(
        runner: CrossbarRunner | MappedRunner | ReleasedRunner, flows: Sequence[Any], progress: Progress
    ) -> Iterator[SampleRun]:
        """Replay samples whose layers work at the same time."""
        for flow in flows:
            done, left, software = runner.run_sample(flow, progress)
            predicted = None if software is None else int(class_sums(software).argmax())
            labels = name_and_label(flow.trace, flow.sample)
            yield SampleRun(*labels, tuple(done), tuple(left), predicted)

    def _flows(self, unit: Unit, first: int) -> Iterator[Flow | GraphFlow]:
        known, stages = None, list[Any]()
        for number, (trace, sample) in enumerate(self.samples_of(unit), first):
            if trace is not known:
                known, stages = trace, stages_of(trace, self.runner.arch)
            yield flow_of(trace, sample, stages, number)

    def result(self, runs: Iterable[SampleRun]) -> RunResult:
        """Add samples up, given in order; none is held."""
        sums = [LayerSum() for _ in self.window_sizes]
        answers: list[Signal | None] = []
        spiking = not self.runner.is_ann

        def added() -> Iterator[SampleResult]:
            for one in runs:
                for layer_sum, layer, outputs in zip(sums, one.layers, one.outputs, strict=True):
                    layer_sum.add(layer, outputs)
                answers.append(one.answer if spiking else None)
                yield one.result(self.runner.area_of(one.layers), spiking=spiking)

        samples = sample_results(added())
        layers = tuple(one.result() for one in sums)
        return RunResult(
            arch=self.runner.arch,
            engine=self.engine,
            trace=describe(self.traces, len(samples)) | {"nodes": described_nodes(self.traces[0])},
            layers=layers,
            samples=samples,
            energy_model=self.runner.energies_of(layers),
            area=self.runner.area_of(layers),
            versions=versions(),
            timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
            outputs=_stacked(answers),
        )


def name_and_label(trace: AnyTrace, sample: int) -> tuple[str, int | None]:
    """Name and class of a sample."""
    name = f"{trace.name}-{sample}" if trace.samples > 1 else trace.name
    return name, trace.label[sample] if isinstance(trace.label, tuple) else trace.label


def _stacked(packed: Sequence[PackedSpikes | None]) -> PackedSpikes | None:
    """Read-only spikes of several samples ``[samples, ..., ceil(T/8)]``; None if some are not known."""
    known = [one for one in packed if one is not None]
    if not known or len(known) < len(packed):
        return None
    together = np.stack(known)
    together.setflags(write=False)
    return together


def check_runnable(traces: Sequence[AnyTrace], accelerator: Accelerator, engine: str) -> Arrays | None:
    """Raise what can be said against a run before its first layer is laid over the buffers.

    Returns
    -------
    Arrays or None
        Those of a crossbar machine that are not ideal, programmed and calibrated.
    """
    runner = Replay.of(traces, accelerator, engine).runner
    return runner.arrays if isinstance(runner, CrossbarRunner) else None


def prepare(*accelerators: Accelerator) -> None:
    """Compile kernels now if they are not cached, rather than with the first simulation.

    Parameters
    ----------
    *accelerators : Accelerator
        What they are for; every kernel of simulations if none is given, or one's scheduler is not built in.
    """
    ensure_compiled(uses_of(accelerators), _run_small)


def _run_small(use: str) -> None:
    """Go through every kernel of a use."""
    for trace, accelerator in small_runs(use):
        _simulate(trace, accelerator, "fast")


def versions() -> dict[str, str]:
    """Versions of this package and of what it computes with."""
    found = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    return found | {name: _installed(name) for name in ("spikex_sim", "simpy")}


@lru_cache
def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _window_sizes(
    arch: Accelerator, stages: Sequence[Stage | GraphStage], trace: AnyTrace
) -> list[int | Literal["auto"]]:
    """Window size of every stage, 1 where the machine has no such key; pooling has no use for its own."""
    neurons = sum(stage.is_sized for stage in stages)
    tws: int | Literal["auto"] | tuple[int, ...] = arch.get("tws", default=1)
    if isinstance(tws, tuple):
        if len(tws) != neurons:
            raise ConfigError(
                f"lists {len(tws)} window sizes for {neurons} conv and linear layers",
                where=arch.name,
                field="tws",
            )
        sizes: list[int | Literal["auto"]] = list(tws)
    else:
        sizes = [tws] * neurons
    for size in sizes:
        if size != "auto" and size > trace.timesteps:
            raise ConfigError(
                f"{size} is larger than the trace's {trace.timesteps} time points",
                where=arch.name,
                field="tws",
            )
    remaining = iter(sizes)
    return [next(remaining) if stage.is_sized else "auto" for stage in stages]
