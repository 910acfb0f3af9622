"""Labelled samples through a trained network on an accelerator: how often it is right, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.frames import frame
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.prefix import ArchLike, spiking
from spikex_sim.explore.trained_inputs import NetworkLike, SamplesLike, Trained, as_network, as_samples
from spikex_sim.explore.workers import check_jobs, in_order
from spikex_sim.run.arrays import Arrays
from spikex_sim.run.merging import class_sums
from spikex_sim.run.psums import remarks
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.results import LayerResult, RunResult
from spikex_sim.run.simulate import check_runnable, prepare, simulate_on, versions
from spikex_sim.sources.samples import LabelledSamples
from spikex_sim.sources.trained import TrainedNetwork
from spikex_sim.sources.trained_graphs import TrainedGraph
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import AnyTrace

BATCH = 16
"""Samples that are replayed at a time."""
SCHEMA = 1
"""Version of the layout of ``evaluate.json``."""


@dataclass(frozen=True)
class EvaluatedSample:
    """One sample: its class, the answer, and what that cost.

    Attributes
    ----------
    label, predicted : int
        Class, and the output neuron with the most spikes over all time points, the lowest of several.
    spikes : tuple of int
        Spikes of every output neuron; of a read-out its summed currents.
    cycles : int
        Cycles.
    seconds, energy_pj, energy_on_chip_pj, edp_js : float
        Latency, energy with and without DRAM, and energy-delay product.
    software : int or None
        What exact sums predict, where the accelerator's arrays are not ideal.
    """

    label: int
    predicted: int
    spikes: tuple[int, ...]
    cycles: int
    seconds: float
    energy_pj: float
    energy_on_chip_pj: float
    edp_js: float
    software: int | None = None


@dataclass(frozen=True)
class EvaluatedLayer:
    """One conv or linear layer, as a mean over the samples.

    Attributes
    ----------
    layer : str
        Name.
    tws : int
        Window size, time points.
    cycles, seconds, energy_pj, energy_on_chip_pj : float
        Costs of a sample.
    spike_density, window_density : float
        Shares of (input, time point) and (input, window) pairs with a spike.
    output_spikes, changed_spikes : float or None
        Spikes that leave it, and how many of them differ from those of exact sums, where the accelerator's
        arrays are not ideal.
    """

    layer: str
    tws: int
    cycles: float
    seconds: float
    energy_pj: float
    energy_on_chip_pj: float
    spike_density: float
    window_density: float
    output_spikes: float | None = None
    changed_spikes: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A trained network on one accelerator.

    Attributes
    ----------
    arch : Accelerator
        Complete configuration.
    samples : tuple of EvaluatedSample
        In the order of the data.
    layers : tuple of EvaluatedLayer
        In the network's order.
    versions : mapping
        Of this package and of what it computes with.
    remarks : tuple of str
        What a reader should know of them.
    """

    arch: Accelerator
    samples: tuple[EvaluatedSample, ...]
    layers: tuple[EvaluatedLayer, ...]
    versions: Mapping[str, str]
    remarks: tuple[str, ...]

    def _repr_html_(self) -> str:
        from spikex_sim.explore.evaluation_tables import evaluation_html

        return evaluation_html(self)

    def to_frame(self) -> Any:
        """Samples as a ``pandas.DataFrame``, a row each: class, answer, costs.

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        return frame([asdict(sample) for sample in self.samples])

    @property
    def tws(self) -> tuple[int, ...]:
        """Window size of every layer."""
        return tuple(layer.tws for layer in self.layers)

    @property
    def accuracy(self) -> float:
        """Share of the samples whose class was predicted."""
        return mean(sample.predicted == sample.label for sample in self.samples)

    @property
    def software_accuracy(self) -> float | None:
        """The same of exact sums, where the accelerator's arrays are not ideal; else None."""
        if any(sample.software is None for sample in self.samples):
            return None
        return mean(sample.software == sample.label for sample in self.samples)

    def mean(self, quantity: str) -> float:
        """Mean of a quantity over the samples; of the EDP the mean of the products."""
        return float(mean(getattr(sample, quantity) for sample in self.samples))

    def median(self, quantity: str) -> float:
        """Median of a quantity over the samples."""
        return float(median(getattr(sample, quantity) for sample in self.samples))


def evaluate(
    network: NetworkLike,
    data: SamplesLike | None = None,
    arch: ArchLike = "spikex",
    *,
    variant: str | None = None,
    split: str = "test",
    step_ms: float | None = None,
    limit: int | None = None,
    tws: int | str | Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: str = "fast",
    jobs: int = 1,
    progress: Progress = silent,
) -> Evaluation:
    """Replay labelled samples through a trained network.

    Parameters
    ----------
    network : str, Path, TrainedNetwork or TrainedGraph
        Network with shipped weights, a file of weights, or integer weights.
    data : str, Path or LabelledSamples, optional
        What enters the first layer, and the classes: labelled recordings or traces, file or folder; by
        default the emulated event camera.
    arch : str, Path or Accelerator
        Any accelerator that computes spikes.
    variant : {"base", "ht", "has"}, optional
        Of the shipped weights; ``base`` by default.
    split : {"test", "train", "all"}
        Which samples of marked recordings.
    step_ms : float, optional
        Length of a time point of recordings, ms; by default as trained.
    limit : int, optional
        Most samples read; of the emulated camera 20.
    tws : int, "auto" or sequence of int, optional
        Window size. By default that of each layer that was searched for a network of the variant ``has``,
        else the accelerator's. ``auto`` searches each layer's best EDP over all samples, and replays them
        all at once.
    overrides : mapping, optional
        Dotted configuration key to value.
    engine : {"fast", "event"}
        Memory engine.
    jobs : int
        Processes that share out the samples.
    progress : callable, optional
        Told about the samples as they are done.

    Raises
    ------
    SpikexError
        If samples and network do not fit each other, or the configuration is wrong.
    """
    check_jobs(jobs)
    trained = as_network(network, variant)
    samples = as_samples(trained, data, split=split, step_ms=step_ms, limit=limit)
    accelerator = spiking(arch, tws, overrides)
    given = tws is not None or "tws" in (overrides or {})
    if (
        isinstance(trained, TrainedNetwork)
        and trained.variant == "has"
        and trained.tws
        and not given
        and accelerator.get("tws", default=None)
    ):
        accelerator = load_accelerator(accelerator, {"tws": trained.tws})
    if not samples.labels:
        raise TraceError("holds no samples", where=samples.source)
    classes = _classes(trained)
    for label in samples.labels:
        if not 0 <= label < classes:
            raise TraceError(
                f"{label} is none of the {classes} classes of {trained.name}",
                where=samples.source,
                field="label",
            )
    prepare(accelerator)
    at_once = len(samples) if accelerator.get("tws", default=None) == "auto" else BATCH
    starts = range(0, len(samples), at_once)
    parts = [range(start, min(start + at_once, len(samples))) for start in starts]
    first = _batch(trained, samples, parts[0])
    arrays = check_runnable([first], accelerator, engine)
    waiting = (_batch(trained, samples, numbers) if numbers.start else first for numbers in parts)
    answers: list[EvaluatedSample] = []
    batches: list[_Batch] = []
    with closing(
        in_order(_replayed, waiting, min(jobs, len(parts)), (accelerator, engine, arrays))
    ) as arriving:
        for numbers, batch in zip(parts, arriving, strict=True):
            progress(trained.name, numbers.start, len(samples))
            batches.append(batch)
            answers += batch.answers
    progress("done", len(samples), len(samples))
    return Evaluation(
        accelerator,
        tuple(answers),
        _layers(batches, len(samples), real=arrays is not None),
        versions(),
        tuple(remarks(first, accelerator)),
    )


@dataclass(frozen=True)
class _Batch:
    """Some samples: answers, layers added up, and how densely their inputs are filled."""

    answers: list[EvaluatedSample]
    layers: tuple[LayerResult, ...]
    seen: _Densities


def _batch(trained: Trained, samples: LabelledSamples, numbers: range) -> AnyTrace:
    spikes = np.stack([samples.spikes(number) for number in numbers])
    labels = tuple(samples.labels[number] for number in numbers)
    return trained.trace(spikes, trained.name, labels, samples.source)


def _replayed(trace: AnyTrace, accelerator: Accelerator, engine: str, arrays: Arrays | None) -> _Batch:
    seen = _Densities()
    result = simulate_on(arrays, trace, accelerator, engine=engine, observe=seen)
    return _Batch(_answers(result, real=arrays is not None), result.layers, seen)


class _Densities:
    """An observer that adds up how densely spikes and windows fill each layer's input.

    By layer: spikes, places for them, set tags, tags.
    """

    def __init__(self) -> None:
        self.counts: dict[str, NDArray[np.int64]] = {}

    def __call__(self, timed: TimedLayer) -> None:
        inputs = timed.cost.task.inputs
        for synapse, spikes in zip(inputs.synapses, inputs.spikes, strict=True):
            if synapse.tagged:
                places = (len(spikes.starts) - 1) * spikes.timesteps
                tags = np.count_nonzero(spikes.tags)
                found = np.array([len(spikes.times), places, tags, spikes.tags.size])
                self.counts[timed.name] = self.counts.get(timed.name, np.zeros(4, np.int64)) + found


def _classes(trained: Trained) -> int:
    if isinstance(trained, TrainedGraph):
        return trained.wiring.ports[trained.nodes[-1].name].shape[0]
    return trained.layers[trained.neuron_layers[-1]].out_channels


def _answers(result: RunResult, *, real: bool) -> list[EvaluatedSample]:
    assert result.outputs is not None
    found = []
    for packed, totals in zip(result.outputs, result.samples, strict=True):
        assert totals.label is not None and totals.prediction is not None
        found.append(
            EvaluatedSample(
                label=totals.label,
                predicted=totals.prediction,
                spikes=tuple(class_sums(packed).tolist()),
                cycles=totals.cycles,
                seconds=totals.seconds,
                energy_pj=totals.energy_pj,
                energy_on_chip_pj=totals.energy_on_chip_pj,
                edp_js=totals.edp_js,
                software=totals.software_prediction if real else None,
            )
        )
    return found


def _changes(parts: Sequence[LayerResult], samples: int) -> dict[str, float]:
    """Output spikes of a sample, and how many differ from those of exact sums."""
    return {
        key: sum(getattr(part, key) or 0 for part in parts) / samples
        for key in ("output_spikes", "changed_spikes")
    }


def _layers(batches: Sequence[_Batch], samples: int, *, real: bool) -> tuple[EvaluatedLayer, ...]:
    found = []
    for index, first in enumerate(batches[0].layers):
        if first.tws is None:
            continue
        parts = [batch.layers[index] for batch in batches]
        counts = [batch.seen.counts[first.name] for batch in batches if first.name in batch.seen.counts]
        spikes, places, tags, words = sum(counts, np.zeros(4, np.int64)).tolist()
        found.append(
            EvaluatedLayer(
                layer=first.name,
                tws=first.tws,
                cycles=sum(part.cycles for part in parts) / samples,
                seconds=sum(part.seconds for part in parts) / samples,
                energy_pj=sum(part.energy_pj for part in parts) / samples,
                energy_on_chip_pj=sum(part.energy_on_chip_pj for part in parts) / samples,
                spike_density=spikes / places if places else 0.0,
                window_density=tags / words if words else 0.0,
                **(_changes(parts, samples) if first.changed_spikes is not None and real else {}),
            )
        )
    return tuple(found)
