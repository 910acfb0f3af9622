"""Runs a trace as far as one layer, and keeps what the layer's hardware is told and must answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.hints import one_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.rtl.hardware import hardware_of
from spikex_sim.rtl.layer import RtlLayer, check_packing
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.replay import LayerCost, LayerRunner
from spikex_sim.run.simulate import Replay, prepare
from spikex_sim.run.stages import flow_of
from spikex_sim.schedules.base import Schedule
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import AnyTrace, as_traces


@dataclass(frozen=True)
class _Kept:
    cost: LayerCost
    synapses: Synapses
    outputs: NDArray[Any]


@dataclass(frozen=True)
class _Keeping(LayerRunner):
    """Runs layers and remembers what was executed."""

    kept: list[_Kept] = field(default_factory=list)

    def executed(self, cost: LayerCost, synapses: Synapses) -> NDArray[Any]:
        outputs = super().executed(cost, synapses)
        self.kept.append(_Kept(cost, synapses, outputs))
        return outputs


def rtl_layer(
    trace: AnyTrace | Sequence[AnyTrace] | str | Path,
    layer: str,
    arch: Accelerator,
    *,
    sample: int = 0,
    positions: int | None = None,
    window_bits: int | None = None,
    progress: Progress = silent,
) -> RtlLayer:
    """Replay a trace as far as a layer.

    Parameters
    ----------
    trace : Trace, GraphTrace or path
        One trace.
    layer : str
        Name of a conv or linear layer, or of a node of neurons.
    arch : Accelerator
        Machine.
    sample : int
        Of the trace.
    positions, window_bits : int, optional
        See :func:`spikex_sim.rtl.hardware.hardware_of`.
    progress : callable, optional
        Told about the layers as they are done.

    Raises
    ------
    UnsupportedError
        If there is no hardware for machine, layer or keys.
    ConfigError
        If there is no such layer or sample, or the layer is larger than the hardware.
    """
    traces = as_traces(trace)
    if len(traces) != 1:
        raise ConfigError(f"{len(traces)} traces are given; name one file", field="TRACE")
    one = traces[0]
    prepare(arch)
    replay = Replay.of(traces, arch, "fast")
    names = [stage.name for stage in replay.stages]
    if layer not in names:
        raise ConfigError(one_of(layer, names), where=one.where, field="layer")
    if not 0 <= sample < one.samples:
        raise ConfigError(f"{sample} is not among {one.samples} samples", where=one.where, field="sample")
    index = names.index(layer)
    if not replay.stages[index].is_sized:
        raise UnsupportedError(f"{layer} has no neurons; pooling is not done in the array",
                               where=one.where, field="layer")  # fmt: skip
    kept = _run_to(index, replay, one, sample, progress)
    if not kept:
        raise UnsupportedError(f"layer {layer} has no weights in the trace, so that it gives no spikes",
                               where=one.where, field="layer")  # fmt: skip
    last = kept[-1]
    schedule = last.cost.schedule
    assert isinstance(schedule, Schedule)
    hardware = hardware_of(schedule, arch, positions=positions, window_bits=window_bits)
    if len(kept) > 1 or not last.synapses.is_simple:
        raise UnsupportedError(
            f"layer {layer} is beyond the hardware: one synapse of spikes, neurons with a leaky potential, "
            "one threshold for all and a reset at once",
            where=one.where, field="layer",
        )  # fmt: skip
    bias = int(np.abs(last.synapses.biases).max(initial=0))
    if bias >= 1 << (arch.psum_bits - 1):
        raise ConfigError(f"{arch.psum_bits} bits do not hold the bias {bias} of layer {layer}",
                          where=arch.name, field="psum_bits")  # fmt: skip
    found = RtlLayer(schedule, last.cost.layout, last.synapses, last.outputs, arch, hardware)  # type: ignore[arg-type]
    check_packing(found)
    return found


def _run_to(index: int, replay: Replay, trace: AnyTrace, sample: int, progress: Progress) -> list[_Kept]:
    """What a layer executes; those before it run from the last one whose input was recorded."""
    runner: Any = replay.runner
    layers = runner.layers if isinstance(runner, GraphRunner) else runner
    keeping = _Keeping(layers.arch, layers.engine, layers.energies)
    runner = replace(runner, layers=keeping) if isinstance(runner, GraphRunner) else keeping
    recorded = [at for at in getattr(trace, "inputs", {}) if isinstance(at, int) and at <= index]
    flow = flow_of(trace, sample, list(replay.stages))
    for at in range(max(recorded, default=0), index + 1):
        stage = replay.stages[at]
        progress(stage.name, at, index + 1)
        keeping.kept.clear()
        tws = replay.window_sizes[at]
        if tws == "auto":
            tws = runner.best_tws(at, [flow], silent)[0] if stage.is_sized else 1
        runner.run_layer(at, flow, tws)
    return keeping.kept
