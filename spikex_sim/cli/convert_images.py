"""The part of trace convert for labelled images, which enter trained graphs as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikex_sim.cli.batch import MAX_TRACES, sample_numbers
from spikex_sim.cli.options import echo, writable_file
from spikex_sim.core.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from spikex_sim.sources.images import LabelledImages
    from spikex_sim.sources.trained_graphs import TrainedGraph
    from spikex_sim.trace.graph import GraphTrace


def convert_images(
    path: Path,
    weights: str | None,
    sample: int,
    samples: str | None,
    split: str,
    limit: int | None,
    out: Path,
) -> None:
    """Write traces of a trained graph that sees images.

    Parameters
    ----------
    path : Path
        File of images.
    weights : str or None
        Trained graph, by name or file.
    sample : int
        Which image of the split, where ``samples`` is None.
    samples : str or None
        Several: ``all``, or numbers and ranges separated by commas.
    split : str
        ``train`` or ``test``.
    limit : int or None
        Most of ``samples``.
    out : Path
        Trace, or folder of traces that is there whole or not at all.
    """
    from spikex_sim.core.files import new_folder
    from spikex_sim.sources.images import SPLITS, load_images
    from spikex_sim.sources.trained_graphs import load_trained_graph
    from spikex_sim.trace.store import SUFFIXES, save_trace

    if weights is None:
        raise ConfigError("is missing: images enter a trained graph, such as cifar10", field="--weights")
    if split not in SPLITS:
        raise ConfigError(f"must be one of {', '.join(SPLITS)} for images, not {split}", field="--split")
    trained = load_trained_graph(weights)
    images = load_images(path, trained.input)[0][split]
    if samples is None:
        numbers: list[int] | range = sample_numbers(str(sample), len(images.labels), path.name)
        writable_file(out)
        save_trace(_trace(path, trained, images, split, numbers[0]), out)
        echo(f"wrote {out} (T={trained.timesteps}, class {images.labels[numbers[0]]})")
        return
    if out.suffix.lower() in SUFFIXES:
        raise OutputError("is the name of a trace; several go into a folder", where=str(out))
    numbers = sample_numbers(samples, len(images.labels), path.name)[: limit or MAX_TRACES]
    with new_folder(out) as folder:
        for number in numbers:
            save_trace(_trace(path, trained, images, split, number), folder / f"{split}-{number:06d}.npz")
    echo(f"wrote {out} ({len(numbers):,} traces, T={trained.timesteps})")


def _trace(path: Path, trained: TrainedGraph, images: LabelledImages, split: str, number: int) -> GraphTrace:
    import numpy as np

    from spikex_sim.trace.npyheader import shown

    stem = shown(path.stem, 100)
    return trained.trace(
        images.values(np.array([number]))[0],
        name=f"{stem}-{split}-{number}",
        label=int(images.labels[number]),
        source=f"{shown(path.name, 400)}, {split} image {number}",
    )
