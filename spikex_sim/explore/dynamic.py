"""Dynamic time steps: a sample stops once its output is certain enough (DT-SNN, Li et al., DAC 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.explore.prefix import ArchLike, TraceLike, list_of_numbers, simulate_first, spiking
from spikex_sim.run.arrays import Arrays
from spikex_sim.run.results import RunResult
from spikex_sim.run.simulate import check_runnable, prepare
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import as_chains
from spikex_sim.trace.trace import Trace

THRESHOLDS = (0.0, 0.1, 0.3, 0.5)
"""Entropy thresholds tried by default."""


@dataclass(frozen=True)
class DynamicRow:
    """What a threshold costs and gains, as means over the samples.

    Attributes
    ----------
    threshold : float
        A sample stops at the first time point at which its normalised entropy is below this.
    samples : int
        Number of samples.
    mean_timesteps : float
        Time points that were run.
    accuracy : float
        Samples whose class was predicted, as a fraction.
    energy_pj, energy_on_chip_pj : float
        Dynamic energy with and without DRAM.
    seconds : float
        Latency.
    edp_js : float
        Energy-delay product (the mean of the products).
    energy_saving, latency_saving, edp_saving : float
        What is saved of the mean over all time points, as fractions.
    """

    threshold: float
    samples: int
    mean_timesteps: float
    accuracy: float
    energy_pj: float
    energy_on_chip_pj: float
    seconds: float
    edp_js: float
    energy_saving: float
    latency_saving: float
    edp_saving: float


def dynamic_timesteps(
    traces: TraceLike | Sequence[TraceLike],
    arch: ArchLike = "spikex",
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[DynamicRow, ...]:
    """Let every sample stop when the entropy of its output is below a threshold.

    Parameters
    ----------
    traces : Trace, path, or sequence of them
        Labelled samples of one network; its last conv or linear layer is the classifier, an output channel
        a class.
    arch : str, Path or Accelerator
        Any accelerator that computes spikes.
    thresholds : sequence of float
        Of the normalised entropy, 0 (never stops early) to 1 (stops as soon as counts differ).
    tws, engine, overrides
        As of :func:`spikex_sim.simulate`; window sizes larger than what is run are cut to it.
    progress : callable, optional
        Told about the replays as they are done.

    Returns
    -------
    tuple of DynamicRow
        One for each threshold, in the order given.

    Raises
    ------
    SpikexError
        If a trace has no label or no weights of the classifier, or trace or configuration are wrong.

    Notes
    -----
    The cost of a sample is that of replaying the time points it needs, as if their number were known before
    (docs/studies.md).
    """
    limits = list_of_numbers(thresholds, Real, 0, 1, "thresholds")
    accelerator = spiking(arch, tws, overrides)
    loaded = as_chains(traces, "dynamic time steps")
    for trace in loaded:
        _check_classifier(trace)
    prepare(accelerator)
    arrays = check_runnable(loaded, accelerator, engine)
    samples = [one for trace in loaded for one in samples_of(trace)]
    replays = _Replays(samples, accelerator, engine, arrays, progress or silent)
    counts = np.stack([class_counts(whole.outputs, replays.timesteps) for whole in replays.whole()])
    labels = np.array([sample.label for sample in replays.samples])
    full = replays.costs(np.full(len(labels), replays.timesteps)).mean(axis=0)
    rows = []
    for threshold in limits:
        ends = stopping_points(normalised_entropy(counts), threshold)
        at_end = counts[np.arange(len(ends)), ends - 1]
        predicted = np.where(at_end.any(axis=-1), at_end.argmax(axis=-1), -1)
        found = replays.costs(ends).mean(axis=0)
        energy, on_chip, seconds, edp = (float(value) for value in found)
        saved = 1 - np.divide(found, full, out=np.ones_like(found), where=full > 0)
        rows.append(
            DynamicRow(
                threshold=float(threshold),
                samples=len(ends),
                mean_timesteps=float(ends.mean()),
                accuracy=float((predicted == labels).mean()),
                energy_pj=energy,
                energy_on_chip_pj=on_chip,
                seconds=seconds,
                edp_js=edp,
                energy_saving=float(saved[0]),
                latency_saving=float(saved[2]),
                edp_saving=float(saved[3]),
            )
        )
    return tuple(rows)


def class_counts(outputs: PackedSpikes | None, timesteps: int) -> NDArray[np.int64]:
    """Spikes of each class up to and with each time point.

    Parameters
    ----------
    outputs : uint8 array ``[1, classes, ..., ceil(T/8)]``
        Packed output spikes of one sample's classifier; a class is a channel, its positions are added up.
    timesteps : int
        Time points ``T``.

    Returns
    -------
    int64 array ``[T, classes]``
        Cumulative counts.
    """
    assert outputs is not None and len(outputs) == 1
    spikes = np.unpackbits(outputs[0], axis=-1, count=timesteps)
    per_class = spikes.reshape(len(spikes), -1, timesteps).sum(axis=1, dtype=np.int64)
    counts: NDArray[np.int64] = per_class.cumsum(axis=-1).T
    return counts


def normalised_entropy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entropy of the class distribution over that of the uniform one: 0 (one class) to 1 (all alike).

    Parameters
    ----------
    counts : int64 array ``[..., classes]``
        Spikes of each class; without any, the distribution is uniform.

    Returns
    -------
    float64 array ``[...]``
        ``-sum p log p / log classes``.
    """
    alike = counts.max(axis=-1) == counts.min(axis=-1)
    share = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    terms = share * np.log(share, where=share > 0, out=np.zeros_like(share))
    entropy: NDArray[np.float64] = np.abs(terms.sum(axis=-1)) / np.log(counts.shape[-1])
    return np.where(alike, 1.0, entropy)  # exactly 1, whatever the rounding


def stopping_points(entropy: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Time points that each sample runs ``[samples]``: up to the first below the threshold, else all.

    Parameters
    ----------
    entropy : float64 array ``[samples, T]``
        Normalised entropy after each time point.
    threshold : float
        Has to be undercut.
    """
    below = entropy < threshold
    ends: NDArray[np.int64] = np.where(below.any(axis=-1), below.argmax(axis=-1) + 1, entropy.shape[-1])
    return ends


def samples_of(trace: Trace) -> list[Trace]:
    """Take a trace apart into one for each sample."""
    labels = trace.label if isinstance(trace.label, tuple) else (trace.label,) * trace.samples
    return [
        replace(
            trace,
            inputs={index: packed[sample : sample + 1] for index, packed in trace.inputs.items()},
            samples=1,
            batched=False,
            label=label,
            file_sha256="",
        )
        for sample, label in enumerate(labels)
    ]


class _Replays:
    """Replays of single samples up to a time point, each done once."""

    def __init__(
        self, samples: Sequence[Trace], arch: Accelerator, engine: str, arrays: Arrays | None,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.samples, self.arch, self.engine, self.progress = samples, arch, engine, progress
        self.arrays = arrays
        self.timesteps = samples[0].timesteps
        self._costs: dict[tuple[int, int], tuple[float, float, float, float]] = {}

    def whole(self) -> Iterator[RunResult]:
        """Replay every sample to its end."""
        return (self._replay(index, self.timesteps) for index in range(len(self.samples)))

    def costs(self, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """Energy, energy without DRAM, latency and EDP ``[samples, 4]`` of so many time points of each."""
        for index, end in enumerate(ends.tolist()):
            if (index, end) not in self._costs:
                self._replay(index, end)
        return np.array([self._costs[index, end] for index, end in enumerate(ends.tolist())])

    def _replay(self, index: int, end: int) -> RunResult:
        self.progress(f"sample {index}, T={end}", index, len(self.samples))
        result = simulate_first([self.samples[index]], self.arch, end, self.engine, self.arrays)
        found = result.totals
        self._costs[index, end] = (found.energy_pj, found.energy_on_chip_pj, found.seconds, found.edp_js)
        return result


def _check_classifier(trace: Trace) -> None:
    """Raise :class:`TraceError` unless spikes of a classifier can be compared with a label."""

    def refuse(message: str, field: str) -> TraceError:
        return TraceError(message, where=trace.where, field=field)

    neurons = [index for index, layer in enumerate(trace.layers) if not layer.is_pool]
    if not neurons:
        raise refuse("needs a conv or linear layer, the classifier", "layers")
    last = neurons[-1]
    name, classes = trace.layers[last].name, trace.layers[last].out_channels
    if classes < 2:
        raise refuse(f"the classifier '{name}' has one class, where two are the least", f"layers.{last}")
    if last not in trace.weights:
        raise refuse("the classifier has no weights, so that its spikes are not known", f"{last}/weight")
    if trace.label is None:
        raise refuse("is missing; accuracy needs the class of every sample", "label")
    labels = trace.label if isinstance(trace.label, tuple) else (trace.label,)
    for label in labels:
        if not 0 <= label < classes:
            raise refuse(f"{label} is none of the {classes} classes of '{name}'", "label")
