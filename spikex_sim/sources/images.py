"""Files of labelled images, as the whole numbers that enter a network with direct encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import MAX_RECORDING_BYTES
from spikex_sim.sources.samples import LabelledSamples
from spikex_sim.spec.graph import InputNode
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import NpyZip, open_npz

MIDDLE = 128
"""Taken off pixels of 0 to 255 where the numbers that enter are signed."""
SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their classes.

    Attributes
    ----------
    pixels : uint8 array, ``[samples, C, H, W]``
        0 to 255.
    labels : int64 array, ``[samples]``
        Classes.
    signed : bool
        Whether what enters the network is ``pixels - 128``, and not the pixels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    signed: bool

    def values(self, samples: NDArray[np.intp]) -> NDArray[np.int32]:
        """What enters the network, ``[len(samples), C, H, W]``."""
        return self.pixels[samples].astype(np.int32) - (MIDDLE if self.signed else 0)


def holds_images(path: Path) -> bool:
    """Whether an ``.npz`` is of labelled images."""
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        return "test_images" in archive.keys


def load_images(path: Path, image: InputNode) -> tuple[Mapping[str, LabelledImages], str]:
    """Read an ``.npz`` of ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.

    Parameters
    ----------
    path : Path
        Images are uint8, ``[samples, C, H, W]``, or ``[samples, H, W]`` where C is 1.
    image : InputNode
        What they are for.

    Returns
    -------
    mapping of str to LabelledImages, str
        ``train`` and ``test``; SHA-256 of the file.

    Raises
    ------
    TraceError
        If something is missing, of another type, or does not fit the network.
    """
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        found = {split: _read(archive, split, image, shown(path, 400)) for split in SPLITS}
        return found, archive.sha256


def image_samples(path: Path, image: InputNode, split: str, limit: int | None = None) -> LabelledSamples:
    """Labelled images one by one, of ``train``, ``test`` or ``all``; at most so many."""
    found, digest = load_images(path, image)
    parts = SPLITS if split == "all" else (split,)
    places = [(part, number) for part in parts for number in range(len(found[part].labels))][:limit]

    def values(number: int) -> NDArray[np.int32]:
        part, place = places[number]
        return found[part].values(np.array([place])).reshape(image.shape)

    labels = tuple(int(found[part].labels[number]) for part, number in places)
    return LabelledSamples(labels, values, f"{shown(path.name, 400)}, {split} images", digest)


def _read(archive: NpyZip, split: str, image: InputNode, where: str) -> LabelledImages:
    keys = f"{split}_images", f"{split}_labels"
    pixels, labels = (archive.declared(key) for key in keys)
    shapes = [image.shape, image.shape[1:] if image.shape[0] == 1 else image.shape]
    if pixels.dtype != np.uint8 or pixels.shape[1:] not in shapes:
        raise TraceError(
            f"must be uint8 [samples, {', '.join(map(str, image.shape))}], as the network's '{image.name}', "
            f"not {pixels.dtype} {list(pixels.shape)}",
            where=where,
            field=keys[0],
        )
    if labels.dtype.kind not in "iu" or labels.shape != pixels.shape[:1]:
        raise TraceError(
            f"must be integers [{pixels.shape[0]}], one an image, not {labels.dtype} {list(labels.shape)}",
            where=where,
            field=keys[1],
        )
    if pixels.shape[0] < 2:
        raise TraceError("has fewer than two images", where=where, field=keys[0])
    return LabelledImages(
        archive.read(keys[0]).reshape(-1, *image.shape),
        archive.read(keys[1]).astype(np.int64),
        image.values is not None and image.values.signed,
    )
