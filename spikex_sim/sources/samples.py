"""Labelled samples for a network, whatever they come from: recordings, traces or the emulated camera."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.text import counted
from spikex_sim.core.units import sides
from spikex_sim.sources.cameras.gestures import SENSOR
from spikex_sim.sources.events.binning import Binning
from spikex_sim.sources.events.collection import RecordingFile, find_recordings
from spikex_sim.sources.events.events import MAX_RECORDING_BYTES, SPLITS, Recordings
from spikex_sim.sources.events.fitting import block_of
from spikex_sim.sources.events.formats import load_recordings
from spikex_sim.sources.events.hdf5 import is_hdf5_trace
from spikex_sim.sources.synth import (
    GESTURE_CAMERA,
    digit_camera,
    generator,
    gesture_camera,
    pool_or,
    seed_of_stream,
)
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_npz
from spikex_sim.trace.store import SUFFIXES, load_chain, trace_files
from spikex_sim.trace.trace import Trace

Split = Literal["train", "test", "all"]
Kind = Literal["digits", "gestures"]
Shape = tuple[int, ...]
DIGIT_SHAPE = (2, 34, 34)
"""Input of a network that looks at digits; all other maps with two channels look at gestures."""
CLASSES = 10
"""Classes that are emulated."""
EMULATED = 20
"""Samples that are emulated where nothing else is said."""
HASTY_CAMERA = replace(GESTURE_CAMERA, frame_ms=2.5)
STEP_US: dict[Kind, int] = {"digits": 10_000, "gestures": 5_000}
"""Length of a time step where nothing else is said, µs: as the digits' and gestures' own commands have it."""
UNTRAINED = 1 << 20
"""Number of the first gesture's stream: far from those that training draws from the same seed."""
LAST_INDEX = 170
"""Image of each class that the first emulated digits are of; there are 174 to 183 of each."""


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Samples that can be had one by one.

    Attributes
    ----------
    labels : tuple of int
        Class of each sample.
    spikes : callable
        Gives the spikes ``[C, H, W, T]`` of a sample by its number; of images the numbers ``[C, H, W]``.
    source : str
        Where they come from, in words.
    sha256 : str
        Of the file or files they were read from; empty if they were made.
    marks : tuple of str or None
        Part that each is of, ``train`` or ``test``, where recordings say so; empty where nothing can.
    """

    labels: tuple[int, ...]
    spikes: Callable[[int], NDArray[Any]]
    source: str
    sha256: str = ""
    marks: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def load_samples(
    path: str | Path,
    shape: Shape,
    timesteps: int,
    step_us: int | None = None,
    *,
    split: Split = "test",
    limit: int | None = None,
) -> LabelledSamples:
    """Read labelled samples: recordings of an event camera, a trace, or a folder of either.

    Parameters
    ----------
    path : str or Path
        File or folder.
    shape : tuple of int
        What the network takes, ``(C, H, W)``; pixels of recordings are merged by OR down to it.
    timesteps : int
        Time steps ``T`` of recordings; traces keep their own.
    step_us : int, optional
        Length of a step of recordings in µs; by default a sample is spread over the time steps, in whole ms.
    split : {"train", "test", "all"}
        Which samples to take of recordings that are marked; those without a mark are all taken.
    limit : int, optional
        Most samples; the first are taken.

    Raises
    ------
    TraceError
        If there is nothing to be read, classes are missing or shapes do not fit.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise ConfigError(f"must be at least 1, not {limit}", field="limit")
    if split not in (*SPLITS, "all"):
        raise ConfigError(f"must be train, test or all, not {split!r:.40}", field="split")
    files = find_recordings(path) if path.is_dir() and not _holds_traces(path) else None
    if files is None and (path.is_dir() or _is_trace(path)):
        traces = [load_chain(file) for file in (trace_files(path) if path.is_dir() else [path])]
        return _of_traces(traces, path, shape, limit)
    files = files or [RecordingFile(path, path.name, None, None)]
    return _of_recordings(files, path, shape, Binning(timesteps, step_us), split, limit)


def emulated_samples(
    shape: Shape,
    timesteps: int,
    step_us: int | None = None,
    *,
    count: int = EMULATED,
    seed: int = 0,
    training: bool = False,
) -> LabelledSamples:
    """Samples of an emulated event camera: handwritten digits for an input of 2x34x34, else gestures.

    Parameters
    ----------
    shape : tuple of int
        What the network takes.
    timesteps : int
        Time steps ``T``.
    step_us : int, optional
        Length of a step, µs; :data:`STEP_US` by default.
    count : int
        Samples, the ten classes in turn.
    seed : int
        Of cameras and people.
    training : bool
        Whether they are to train on: other images and people, digits of many sizes and contrasts, and a
        camera that looks at gestures less often, which takes half the time.

    Raises
    ------
    ConfigError
        If no camera gives what the network takes.
    """
    kind = emulated_kind(shape)
    step_ms = (step_us or STEP_US[kind]) / 1000

    def spikes(number: int) -> NDArray[np.bool_]:
        label, index = number % CLASSES, number // CLASSES
        stream = seed_of_stream(seed, number if training or kind == "digits" else UNTRAINED + number)
        varied: dict[str, Any] = {}
        if training and kind == "digits":
            rng = generator(stream)
            varied = {"height_px": float(rng.uniform(17, 21)), "contrast": float(rng.uniform(1.4, 2.1))}
        elif training:
            varied = {"camera": HASTY_CAMERA}
        return emulated(
            kind, shape, label, index if training else LAST_INDEX - index,
            timesteps=timesteps, step_ms=step_ms, seed=stream, **varied,
        )  # fmt: skip

    return LabelledSamples(
        tuple(number % CLASSES for number in range(count)),
        spikes,
        f"{counted(count, kind.removesuffix('s'))} in front of an emulated event camera, "
        f"{timesteps} steps of {step_ms:g} ms, seed {seed}",
    )


def emulated(
    kind: Kind, shape: Shape, label: int, index: int = 0, *, timesteps: int, seed: int, **seen: Any
) -> NDArray[np.bool_]:
    """Spikes of one sample of an emulated camera; those of gestures are merged by OR down to the shape.

    Further arguments are those of :func:`~spikex_sim.sources.synth.digit_camera` and ``gesture_camera``.
    """
    if kind == "digits":
        return digit_camera(label, index, timesteps=timesteps, seed=seed, **seen)
    if SENSOR % shape[-1]:
        message = f"has maps of a side of {shape[-1]}, which does not divide the camera's {SENSOR}x{SENSOR}"
        raise ConfigError(message, where="network")
    return pool_or(gesture_camera(label, timesteps=timesteps, seed=seed, **seen), SENSOR // shape[-1])


def emulated_kind(shape: Shape) -> Kind:
    """What an emulated camera shows a network, by its input.

    Raises
    ------
    ConfigError
        If no camera gives what the network takes.
    """
    if shape == DIGIT_SHAPE:
        return "digits"
    if len(shape) != 3 or shape != (2, shape[-1], shape[-1]) or SENSOR % shape[-1]:
        raise ConfigError(
            f"takes spikes of shape {list(shape)}, of which none are emulated; give recordings (--data)",
            where="network",
        )
    return "gestures"


def step_of(shape: Shape) -> int:
    """Length of a time step that the sensor of a network's input usually has, µs."""
    return STEP_US["digits" if shape == DIGIT_SHAPE else "gestures"]


def _is_trace(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES:
        return False
    if path.suffix.lower() != ".npz":
        return is_hdf5_trace(path)
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        return "meta" in archive.keys


def _holds_traces(folder: Path) -> bool:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    return bool(files) and _is_trace(files[0])


def _of_traces(traces: list[Trace], path: Path, shape: Shape, limit: int | None) -> LabelledSamples:
    """Input spikes of traces; their own layers and weights are left aside."""
    places: list[tuple[int, int]] = []
    labels: list[int] = []
    for which, trace in enumerate(traces):
        if trace.label is None:
            raise TraceError("is missing; accuracy needs the class of every sample", where=trace.where,
                             field="label")  # fmt: skip
        if trace.layers[0].input_shape != shape:
            raise TraceError(
                f"holds spikes of shape {list(trace.layers[0].input_shape)}, the network takes {list(shape)}",
                where=trace.where,
                field="0/input",
            )
        places += [(which, sample) for sample in range(trace.samples)]
        labels += trace.label if isinstance(trace.label, tuple) else [trace.label]
    if len({trace.timesteps for trace in traces}) > 1:
        raise TraceError("its traces differ in time points", where=shown(path, 400))

    def spikes(number: int) -> NDArray[np.bool_]:
        which, sample = places[number]
        packed = traces[which].inputs[0][sample]
        return np.unpackbits(packed, axis=-1, count=traces[which].timesteps).astype(np.bool_)

    digest = hashlib.sha256("".join(trace.sha256 for trace in traces).encode()).hexdigest()
    kept = tuple(labels[:limit])
    return LabelledSamples(kept, spikes, f"{counted(len(kept), 'sample')} of {path.name}", digest)


def _of_recordings(
    files: list[RecordingFile], path: Path, shape: Shape, binning: Binning, split: Split, limit: int | None
) -> LabelledSamples:
    @lru_cache(maxsize=1)
    def load(number: int) -> Recordings:
        return load_recordings(files[number].path)

    places: list[tuple[int, int]] = []
    labels: list[int] = []
    marks: list[str | None] = []
    used: list[Path] = []
    for number, file in enumerate(files):
        if split != "all" and file.split not in (None, split):
            continue
        recordings = load(number)
        _merged(recordings, shape)
        used.append(file.path)
        for sample in range(len(recordings)):
            mark = file.split if recordings.splits is None else SPLITS[int(recordings.splits[sample])]
            if split != "all" and mark not in (None, split):
                continue
            label = file.label if recordings.labels is None else int(recordings.labels[sample])
            if label is None:
                raise TraceError("is missing; accuracy needs the class of every sample",
                                 where=recordings.source, field="label")  # fmt: skip
            places.append((number, sample))
            labels.append(label)
            marks.append(mark)
        if limit is not None and len(places) >= limit:
            break
    if not places:
        raise TraceError(f"holds no samples for {split}; take others with --split", where=shown(path, 400))
    places, labels = places[:limit], labels[:limit]

    def spikes(number: int) -> NDArray[np.bool_]:
        which, sample = places[number]
        recordings = load(which)
        sensor, factor = _merged(recordings, shape)
        return binning(recordings.sample(sample), sensor, factor).spikes

    marked = "" if split == "all" or not any(f.split for f in files) else f" ({split})"
    if len(files) == 1 and split != "all" and load(0).splits is not None:
        marked = f" ({split})"
    step = "spread over" if binning.step_us is None else f"steps of {binning.step_us / 1000:g} ms,"
    return LabelledSamples(
        tuple(labels),
        spikes,
        f"{counted(len(labels), 'recording')} of {path.name}{marked}, {step} T={binning.timesteps}",
        _digest(used),
        tuple(marks[:limit]),
    )


def _merged(recordings: Recordings, shape: Shape) -> tuple[tuple[int, int], int]:
    """Sensor of recordings, and the side of the blocks of pixels that become one of the network's."""
    rows, columns = shape[-2:] if len(shape) == 3 else (0, 0)
    sensor = recordings.sensor or (rows, columns)
    factor = block_of(sensor, (rows, columns)) if rows and shape[0] == 2 else None
    if factor is None:
        raise TraceError(
            f"a sensor of {sides(sensor)} cannot be merged to the {list(shape)} that the network takes; "
            "`trace convert` crops and pads",
            where=recordings.source,
            field="sensor",
        )
    return sensor, factor


def _digest(paths: list[Path]) -> str:
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
