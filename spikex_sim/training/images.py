"""Labelled images for training with direct encoding, as the whole numbers that enter a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.spec.graph import InputNode
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_npz
from spikex_sim.training.data import Splits, stratified
from spikex_sim.training.samples import Chosen

MAX_IMAGE_BYTES = 4 << 30
VALIDATION_SHARE = 0.1
MIDDLE = 128
"""Taken off pixels of 0 to 255 where the numbers that enter are signed."""


@dataclass(frozen=True)
class Variation:
    """How training images vary; every one draws its own.

    Attributes
    ----------
    shift_px : int
        Largest shift along each axis; what comes in at the border is 0.
    mirror : bool
        Whether left and right change places in half of them.
    """

    shift_px: int = 0
    mirror: bool = False


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images.

    Attributes
    ----------
    pixels : uint8 array, ``[samples, C, H, W]``
        0 to 255.
    labels : int64 array, ``[samples]``
        Classes.
    signed : bool
        Whether what enters the network is ``pixels - 128``, and not the pixels.
    variation : Variation
        How training batches vary.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    signed: bool
    variation: Variation = field(default_factory=Variation)

    def values(self, samples: NDArray[np.intp]) -> NDArray[np.int32]:
        """What enters the network, ``[len(samples), C, H, W]``."""
        return self.pixels[samples].astype(np.int32) - (MIDDLE if self.signed else 0)

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """What enters the network, varied with ``rng`` where one is given."""
        values = self.values(samples).astype(np.float32)
        if rng is None:
            return values
        most, how = self.variation.shift_px, self.variation
        height, width = values.shape[2:]
        padded = np.pad(values, ((0, 0), (0, 0), (most, most), (most, most)))
        corners = rng.integers(0, 2 * most + 1, (len(values), 2))
        turned = rng.random(len(values)) < 0.5
        for place, ((row, column), mirrored) in enumerate(zip(corners, turned, strict=True)):
            part = padded[place, :, row : row + height, column : column + width]
            values[place] = part[..., ::-1] if mirrored and how.mirror else part
        return values


def splits_of_images(
    path: Path,
    image: InputNode,
    *,
    seed: int,
    variation: Variation,
    progress: Progress = silent,
) -> Splits:
    """Read an ``.npz`` of ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.

    Images are uint8, ``[samples, H, W]`` or ``[samples, C, H, W]``. A tenth of every class of the training
    images, drawn from the seed, decides between epochs.

    Raises
    ------
    TraceError
        If something is missing, of another type, or does not fit the network.
    """
    progress("reading images", 0, 1)
    where = shown(path, 400)
    with open_npz(path, MAX_IMAGE_BYTES) as archive:
        parts = {}
        for name in ("train", "test"):
            declared = archive.declared(f"{name}_images"), archive.declared(f"{name}_labels")
            shapes = [image.shape, image.shape[1:] if image.shape[0] == 1 else image.shape]
            if declared[0].dtype != np.uint8 or declared[0].shape[1:] not in shapes:
                raise TraceError(
                    f"must be uint8 [samples, {', '.join(map(str, image.shape))}], as the network's "
                    f"'{image.name}', not {declared[0].dtype} {list(declared[0].shape)}",
                    where=where,
                    field=f"{name}_images",
                )
            if declared[1].dtype.kind not in "iu" or declared[1].shape != declared[0].shape[:1]:
                raise TraceError(
                    f"must be integers [{declared[0].shape[0]}], one an image, not {declared[1].dtype} "
                    f"{list(declared[1].shape)}",
                    where=where,
                    field=f"{name}_labels",
                )
            pixels = archive.read(f"{name}_images").reshape(-1, *image.shape)
            labels = archive.read(f"{name}_labels").astype(np.int64)
            signed = image.values is not None and image.values.signed
            parts[name] = Images(pixels, labels, signed, variation)
        sha256 = archive.sha256
    for name, data in parts.items():
        if len(data.labels) < 2:
            raise TraceError("has fewer than two images", where=where, field=f"{name}_images")
    held = stratified(parts["train"].labels, VALIDATION_SHARE, seed)
    training, validation = (Chosen(parts["train"], np.flatnonzero(part)) for part in (~held, held))
    test = Chosen(parts["test"], np.arange(len(parts["test"].labels)))
    return Splits(
        training,
        validation,
        test,
        f"{path.name}: {len(training.labels)} images for training, {len(validation.labels)} for validation, "
        f"{len(test.labels)} for testing",
        0,
        sha256,
    )
