"""Labelled images for training with direct encoding, as the whole numbers that enter a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.progress import Progress, silent
from spikex_sim.sources.images import LabelledImages, load_images
from spikex_sim.spec.graph import InputNode
from spikex_sim.training.data import Splits, stratified
from spikex_sim.training.samples import Chosen

VALIDATION_SHARE = 0.1


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
class VariedImages:
    """Images that vary from batch to batch in training."""

    images: LabelledImages
    variation: Variation = field(default_factory=Variation)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of every image."""
        return self.images.labels

    def batch(self, samples: NDArray[np.intp], rng: np.random.Generator | None) -> NDArray[np.float32]:
        """What enters the network, varied with ``rng`` where one is given."""
        values = self.images.values(samples).astype(np.float32)
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
    """Read images (:func:`spikex_sim.sources.images.load_images`) and split them.

    A tenth of every class of the training images, drawn from the seed, decides between epochs.

    Raises
    ------
    TraceError
        If the file is wrong or does not fit the network.
    """
    progress("reading images", 0, 1)
    found, sha256 = load_images(path, image)
    parts = {name: VariedImages(images, variation) for name, images in found.items()}
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
