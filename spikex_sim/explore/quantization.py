"""A float trace on the integer datapath, and what that does to its spikes and predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.core.spikes import PackedSpikes, count_spikes
from spikex_sim.explore.dynamic import class_counts
from spikex_sim.explore.prefix import TraceLike
from spikex_sim.run.replay import Flow, LayerRunner
from spikex_sim.run.simulate import prepare
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.quantized import QuantizedLayer, quantized
from spikex_sim.trace.together import as_chains
from spikex_sim.trace.trace import Trace

SAME = 1e-3
"""Share of differing spikes up to which a recorded input is what the layer before gives."""
TWS = 4
"""Window size in which spikes are computed; all give the same."""
_MACHINE = "spikex"


@dataclass(frozen=True)
class Drift:
    """Output spikes of a layer on both datapaths, each fed by its own spikes.

    Attributes
    ----------
    layer : QuantizedLayer
        The layer.
    spikes_before, spikes : int
        In float32 and with int8 weights.
    differing : int
        Neurons and time points that spike in one of them alone.
    """

    layer: QuantizedLayer
    spikes_before: int
    spikes: int
    differing: int

    @property
    def share(self) -> float:
        """Differing spikes as a fraction of those that are in either."""
        either = (self.spikes_before + self.spikes + self.differing) / 2
        return self.differing / either if either else 0.0


@dataclass(frozen=True, repr=False)
class Quantization:
    """A trace on the integer datapath, and what became of its spikes.

    Attributes
    ----------
    trace : Trace
        With int8 weights. Recorded inputs that the layers before give anyway are computed in a replay.
    drift : tuple of Drift
        By layer that was float.
    labels, predicted_before, predicted : tuple of int
        Class of each sample, and what the last layer says of it on either datapath, its class with the most
        spikes; empty without labels.
    kept : tuple of str
        Layers whose recorded input stays, since the layer before does not give it.
    """

    trace: Trace
    drift: tuple[Drift, ...]
    labels: tuple[int, ...]
    predicted_before: tuple[int, ...]
    predicted: tuple[int, ...]
    kept: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Quantization of {self.trace!r}: {sum(one.differing for one in self.drift):,} spikes differ>"

    def _repr_html_(self) -> str:
        from spikex_sim.explore.search_tables import drift_html

        return drift_html(self)


def quantize(trace: TraceLike, *, progress: Progress | None = None) -> Quantization:
    """Put the float layers of a trace on the integer datapath, and replay both.

    Parameters
    ----------
    trace : Trace or path
        With weights of every float layer.
    progress : callable, optional
        Told about the replays as they are done.

    Returns
    -------
    Quantization
        The trace, and how far its spikes are off.

    Raises
    ------
    TraceError
        If there are several traces, no float layer, or one without weights.
    """
    tell = progress or silent
    (given,) = as_chains(trace, "quantisation")
    quantized(given)  # what is refused is refused before anything is replayed
    prepare(load_accelerator(_MACHINE))
    tell("replaying float32", 0, 2)
    before, closed = _closed(given)
    made, layers = quantized(closed)
    tell("replaying int8", 1, 2)
    after = list(_outputs(made))
    drift = tuple(_drift(one, before[one.index], after[one.index]) for one in layers)
    labels = () if given.label is None else tuple(np.atleast_1d(np.asarray(given.label)).tolist())
    last = max(index for index, layer in enumerate(given.layers) if not layer.is_pool)
    answers = [_predicted(packed[last], given.timesteps) if labels else () for packed in (before, after)]
    kept = tuple(made.layers[index].name for index in made.inputs if index)
    return Quantization(made, drift, labels, answers[0], answers[1], kept)


def _closed(trace: Trace) -> tuple[list[list[PackedSpikes]], Trace]:
    """Outputs of every layer without recorded inputs that the layers before give, and the trace without."""
    differing: dict[int, int] = {}
    found = list(_outputs(trace, differing))
    given = {
        index: packed
        for index, packed in trace.inputs.items()
        if index == 0 or differing.get(index, 1 << 62) > SAME * count_spikes(packed)
    }
    if len(given) == len(trace.inputs):
        return found, trace
    closed = replace(trace, inputs=given, file_sha256="")
    return list(_outputs(closed)), closed


def _outputs(trace: Trace, differing: dict[int, int] | None = None) -> Iterator[list[PackedSpikes]]:
    """Packed output spikes of every layer, by sample; counts where recorded inputs differ from these."""
    arch = load_accelerator(_MACHINE, {"mapping.tile": "layer"})
    runner = LayerRunner(arch, plugin("engines", "fast"), energy_model(arch))
    stages = plan_stages(trace)
    flows = [Flow(stages, trace, sample) for sample in range(trace.samples)]
    for index in range(len(stages)):
        for flow in flows:
            runner.run_layer(index, flow, min(TWS, trace.timesteps))
        if differing is not None and all(flow.mismatched is not None for flow in flows):
            differing[index] = sum(flow.mismatched or 0 for flow in flows)
        yield [flow.computed for flow in flows if flow.computed is not None]


def _drift(layer: QuantizedLayer, before: list[PackedSpikes], after: list[PackedSpikes]) -> Drift:
    pairs = list(zip(before, after, strict=True))
    differing = sum(count_spikes(np.bitwise_xor(one, other)) for one, other in pairs)
    return Drift(layer, sum(map(count_spikes, before)), sum(map(count_spikes, after)), differing)


def _predicted(outputs: list[PackedSpikes], timesteps: int) -> tuple[int, ...]:
    """Class of each sample with the most spikes."""
    return tuple(int(class_counts(packed[None], timesteps)[-1].argmax()) for packed in outputs)
