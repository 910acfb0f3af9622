"""Replay traces through an accelerator: trace, tags, schedule, kernels, memory, counts, energy, results."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.run.replay import Flow, LayerRunner, Observer, Signal, merge_samples
from spikex_sim.run.results import RunResult, Totals
from spikex_sim.run.warmup import ensure_compiled, small_spikes
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.plan import Stage, plan_stages
from spikex_sim.trace.store import load_trace, load_traces
from spikex_sim.trace.trace import Trace


def simulate(
    trace: Trace | Sequence[Trace | str | Path] | str | Path,
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
    prepare()
    return _simulate(trace, arch, tws, engine, overrides, progress or silent, observe)


def _simulate(
    trace: Trace | Sequence[Trace | str | Path] | str | Path,
    arch: str | Path | Accelerator,
    tws: int | str | Sequence[int] | None,
    engine: str,
    overrides: Mapping[str, Any] | None,
    progress: Progress,
    observe: Observer | None = None,
) -> RunResult:
    accelerator = load_accelerator(arch, dict(overrides or {}) | ({} if tws is None else {"tws": tws}))
    traces = as_traces(trace)
    stages, window_sizes, runner = _prepared(traces, accelerator, engine, observe)
    inputs = [(which, sample) for which, one in enumerate(traces) for sample in range(one.samples)]
    flows = [Flow(stages[which], traces[which], sample) for which, sample in inputs]
    layers, per_sample = [], []
    last: list[Signal | None] = []
    for index, stage in enumerate(stages[0]):
        progress(stage.layer.name, index, len(stages[0]))
        runs = runner.run_layer(index, flows, window_sizes[index], progress)
        layers.append(merge_samples(runs, [flow.computed for flow in flows]))
        per_sample.append(runs)
        if not stage.layer.is_pool:
            last = [flow.computed for flow in flows]
    progress("done", len(stages[0]), len(stages[0]))
    return RunResult(
        arch=accelerator,
        engine=engine,
        trace=describe(traces),
        layers=tuple(layers),
        samples=tuple(Totals.of(runs, runner.energies.area_mm2_by) for runs in zip(*per_sample, strict=True)),
        energy_model=runner.energies,
        versions=versions(),
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
        outputs=None if runner.is_ann else _stacked(last),
    )


def _stacked(packed: Sequence[PackedSpikes | None]) -> PackedSpikes | None:
    """Read-only spikes of several samples ``[samples, ..., ceil(T/8)]``; None if some are not known."""
    known = [one for one in packed if one is not None]
    if not known or len(known) < len(packed):
        return None
    together = np.stack(known)
    together.setflags(write=False)
    return together


def check_runnable(traces: Sequence[Trace], accelerator: Accelerator, engine: str) -> None:
    """Raise what can be said against a run before its first layer is laid over the buffers."""
    _prepared(traces, accelerator, engine)


def _prepared(
    traces: Sequence[Trace], accelerator: Accelerator, engine: str, observe: Observer | None = None
) -> tuple[list[list[Stage]], list[int | Literal["auto"]], LayerRunner]:
    """Stages of every trace, window size of every stage, and what runs them."""
    stages = [plan_stages(one, fold=accelerator.activation_bits == 1) for one in traces]
    window_sizes = _window_sizes(accelerator, stages[0], traces[0])
    for seam, name in (("accelerators", accelerator.scheduler), ("dispatch", accelerator.dispatch)):
        plugin(seam, name)
    if accelerator.activation_bits > 1 and not plugin("accelerators", accelerator.scheduler).runs_ann:
        raise ConfigError(
            f"the scheduler {accelerator.scheduler} takes spikes only; an ANN runs on the scheduler systolic",
            where=accelerator.name,
            field="activation_bits",
        )
    runner = LayerRunner(accelerator, plugin("engines", engine), energy_model(accelerator), observe)
    return stages, window_sizes, runner


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
        for arch in ("ptb-stsap", "systolic-os", "ann"):
            _simulate(trace, arch, 2, "fast", None, silent)
        once = Trace.from_arrays([{**layer, "neuron": neuron}], small_spikes()[..., :1], weights=[weight])
        _simulate(once, "spinalflow", 1, "fast", None, silent)


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


def as_traces(trace: Trace | Sequence[Trace | str | Path] | str | Path) -> list[Trace]:
    """Load what is still a path, and check that all are samples of one network."""
    items = [trace] if isinstance(trace, Trace | str | Path) else trace
    if not isinstance(items, Sequence) or not all(isinstance(one, Trace | str | Path) for one in items):
        raise TraceError(f"a trace is a Trace, a path or a list of them, not {type(trace).__name__}")
    traces = [loaded for one in items for loaded in _loaded(one)]
    if not traces:
        raise TraceError("no traces given")
    for other in traces[1:]:
        if other.layers != traces[0].layers or other.timesteps != traces[0].timesteps:
            raise TraceError(
                f"has other layers, neurons or time points than {traces[0].where}; samples share one network "
                "(`trace convert --like` takes it from another trace)",
                where=other.where,
            )
    return traces


def _loaded(one: Trace | str | Path) -> list[Trace]:
    if isinstance(one, Trace):
        return [one]
    return load_traces(one) if Path(one).is_dir() else [load_trace(one)]


def describe(traces: Sequence[Trace]) -> dict[str, Any]:
    """Name, hash and size of the samples of a run, as in ``results.json``."""
    hashes = [one.sha256 for one in traces]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return {
        "name": traces[0].name if len(traces) == 1 else f"{traces[0].name} and {len(traces) - 1} more",
        "sha256": whole,
        "timesteps": traces[0].timesteps,
        "samples": sum(one.samples for one in traces),
        "source": traces[0].source,
    }


def _window_sizes(arch: Accelerator, stages: Sequence[Stage], trace: Trace) -> list[int | Literal["auto"]]:
    """Window size of every stage; pooling has no use for its own."""
    neurons = sum(not stage.layer.is_pool for stage in stages)
    if isinstance(arch.tws, tuple):
        if len(arch.tws) != neurons:
            raise ConfigError(
                f"lists {len(arch.tws)} window sizes for {neurons} conv and linear layers",
                where=arch.name,
                field="tws",
            )
        sizes: list[int | Literal["auto"]] = list(arch.tws)
    else:
        sizes = [arch.tws] * neurons
    for size in sizes:
        if size != "auto" and size > trace.timesteps:
            raise ConfigError(
                f"{size} is larger than the trace's {trace.timesteps} time points",
                where=arch.name,
                field="tws",
            )
    remaining = iter(sizes)
    return ["auto" if stage.layer.is_pool else next(remaining) for stage in stages]
