"""Labelled spikes for training: recordings, and emulated ones where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.spikes import packed_length
from spikex_sim.sources.samples import (
    CLASSES,
    LabelledSamples,
    emulated_kind,
    emulated_samples,
    load_samples,
)
from spikex_sim.sources.synth import generator
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import save_npz
from spikex_sim.training.samples import Augmentation, Chosen, PackedSpikeData, SpikeData, SpikeEvents


@dataclass(frozen=True, eq=False)
class Splits:
    """What is trained on, what decides between epochs, what is reported.

    Attributes
    ----------
    training, validation, test : SpikeData
        No sample is in two of them.
    about : str
        Where they come from, for the card.
    step_us : int
        Length of a time point.
    sha256 : str
        Of the files they were read from; empty if they were made.
    """

    training: SpikeData
    validation: SpikeData
    test: SpikeData
    about: str
    step_us: int
    sha256: str = ""

    @property
    def parts(self) -> tuple[SpikeData, SpikeData, SpikeData]:
        """All three."""
        return self.training, self.validation, self.test


def stratified(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Mark a share of every class, at least one sample where there are two, drawn from a seed."""
    rng = generator(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for one in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == one))
        count = min(max(round(share * len(mine)), 1), len(mine) - 1)
        chosen[mine[:count]] = True
    return chosen


def splits_of_recordings(
    path: Path,
    input_shape: tuple[int, ...],
    timesteps: int,
    step_us: int,
    *,
    seed: int,
    augmentation: Augmentation,
    validation_share: float = 0.1,
    progress: Progress = silent,
) -> Splits:
    """Read recordings and split them.

    Their own ``split`` says what is for testing; without one, a tenth of every class is, drawn from seed 0
    whatever ``seed`` is. Of the rest, ``validation_share`` of every class decides between epochs.

    Raises
    ------
    TraceError
        If they have no classes, or do not fit the network.
    """
    progress("reading recordings", 0, 1)
    samples = load_samples(path, input_shape, timesteps, step_us, split="all")
    data = _events_of(samples, shown(path, 400), input_shape, timesteps, augmentation, progress)
    marked = bool(samples.marks) and None not in samples.marks
    test = stratified(data.labels, 0.1, 0)
    if marked:
        test = np.array([mark == "test" for mark in samples.marks])
    if not test.any() or test.all():
        raise TraceError("must mark some samples 0 and some 1", where=shown(path, 400), field="split")
    rest = np.flatnonzero(~test)
    validation = stratified(data.labels[rest], validation_share, seed)
    return Splits(
        Chosen(data, rest[~validation]),
        Chosen(data, rest[validation]),
        Chosen(data, np.flatnonzero(test)),
        f"{path.name}: {int((~validation).sum())} recordings for training, "
        f"{int(validation.sum())} for validation, {int(test.sum())} for testing"
        f"{', by their own split' if marked else ''}, {timesteps} steps of {step_us / 1000:g} ms",
        step_us,
        samples.sha256,
    )


def emulated_splits(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    step_us: int,
    *,
    samples: int,
    seed: int,
    augmentation: Augmentation,
    progress: Progress = silent,
) -> Splits:
    """Make recordings of an emulated camera: digits for a network of 2x34x34 inputs, else gestures.

    Parameters
    ----------
    input_shape : tuple of int
        Of the network; gestures are merged by OR from 128x128 pixels to its map.
    classes : int
        Outputs of the network, at least 10.
    timesteps, step_us : int
        Time points and their length.
    samples : int
        For training; a quarter as many each are made for validation and testing, each with a person (or
        image), tempo and camera of its own.
    seed : int
        Of all of them.
    augmentation : Augmentation
        How training batches vary.
    progress : callable, optional
        Told about the samples as they are made.

    Raises
    ------
    ConfigError
        If the network takes neither.
    """
    held = max(10, samples // 4)
    total = samples + 2 * held
    made = emulated_samples(input_shape, timesteps, step_us, count=total, seed=seed, training=True)
    if classes < CLASSES:
        raise ConfigError(f"has {classes} outputs for {CLASSES} classes", where="network")
    packed = np.empty((total, *input_shape, packed_length(timesteps)), np.uint8)
    for sample in range(total):
        progress("emulating recordings", sample, total)
        packed[sample] = np.packbits(made.spikes(sample), axis=-1)
    data = PackedSpikeData(packed, np.array(made.labels, np.int64), timesteps, augmentation)
    bounds = (0, samples, samples + held, total)
    training, validation, test = [Chosen(data, np.arange(start, stop)) for start, stop in pairwise(bounds)]
    return Splits(
        training,
        validation,
        test,
        f"emulated {emulated_kind(input_shape)}, seed {seed}: {samples} for training, {held} "
        f"for validation, {held} for testing, {timesteps} steps of {step_us / 1000:g} ms",
        step_us,
    )


def save_recordings(splits: Splits, path: Path) -> None:
    """Write samples as recordings that :func:`splits_of_recordings` reads, with time points as microseconds.

    Training and validation samples are 0 in ``split``, test samples 1.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns, counts, labels, split = [], [], [], []
    shape: tuple[int, ...] = ()
    for part, data in enumerate(splits.parts):
        for sample, label in enumerate(data.labels):
            spikes = data.batch(np.array([sample], np.intp), None)[:, 0]
            shape = spikes.shape
            columns.append(np.stack(np.nonzero(spikes)).astype(np.uint32))
            counts.append(columns[-1].shape[1])
            labels.append(label)
            split.append(part == 2)
    t, p, y, x = np.concatenate(columns, axis=1)
    arrays = {
        "x": x.astype(np.uint16),
        "y": y.astype(np.uint16),
        "p": p.astype(np.uint8),
        "t": t * np.uint32(splits.step_us),
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "label": np.array(labels, np.int64),
        "split": np.array(split, np.uint8),
        "sensor": np.array([shape[3], shape[2], 2], np.uint16),
    }
    save_npz(path, arrays)


def _events_of(
    samples: LabelledSamples,
    where: str,
    input_shape: tuple[int, ...],
    timesteps: int,
    augmentation: Augmentation,
    progress: Progress,
) -> SpikeEvents:
    """Spikes of all samples, as lists of where they are."""
    counts, columns = [], []
    for number in range(len(samples)):
        if number % 100 == 0:
            progress("binning recordings", number, len(samples))
        spikes = samples.spikes(number)
        if spikes.shape[-1] != timesteps:
            raise TraceError(
                f"has {spikes.shape[-1]} time points, training takes {timesteps}; say --timesteps",
                where=where,
            )
        p, y, x, t = np.nonzero(spikes)
        counts.append(len(t))
        columns.append(np.stack([x, y, p, t]).astype(np.int32))
    x, y, p, t = np.concatenate(columns, axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    labels = np.array(samples.labels, np.int64)
    height, width = input_shape[-2:]
    return SpikeEvents(x, y, p, t, offsets, labels, timesteps, height, width, augmentation)
