"""Make recordings of an emulated event camera over MNIST's digits, to train with more data than N-MNIST's.

    python scripts/make_mnist_recordings.py mnist.npz --train 3000 --test 500 --out mnist-recordings.npz

MNIST's images (an .npz with `train_images`, `train_labels`, `test_images`, `test_labels`) are shown to the
camera that `trace synth --kind digit` has: three saccades, 30 steps of 10 ms. Digits to train on vary in size
and contrast. The first images of each part are taken; `spikex-sim train nmnist --data` reads what comes out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.cameras.digits import LEVELS, SENSOR
from spikex_sim.sources.synth import digit_camera, generator
from spikex_sim.trace.npyzip import open_npz, save_npz

STEP_US = 10_000
MOST_BYTES = 256 << 20
HEIGHTS_PX, CONTRASTS = (24.0, 29.0), (1.4, 2.1)
"""Of digits to train on; an image of MNIST has a margin of four of its 28 rows."""


def recording(image: NDArray[np.uint8], seed: int, *, varies: bool) -> NDArray[np.bool_]:
    """What the camera sees of an image ``[28, 28]``."""
    rng = generator(seed)
    height, contrast = (
        (float(rng.uniform(*HEIGHTS_PX)), float(rng.uniform(*CONTRASTS))) if varies else (26.5, 1.75)
    )
    ink = image.astype(np.float64) / 255 * LEVELS
    return digit_camera(ink, seed=seed, height_px=height, contrast=contrast)


def main() -> None:
    parser = argparse.ArgumentParser(description="Emulated recordings of MNIST's digits.")
    parser.add_argument("images", type=Path, help=".npz with train_images, train_labels, test_images, ...")
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    columns, counts, labels, split = [], [], [], []
    with open_npz(options.images, MOST_BYTES) as archive:
        for part, number in (("train", options.train), ("test", options.test)):
            images, classes = archive.read(f"{part}_images"), archive.read(f"{part}_labels")
            for index in range(min(number, len(images))):
                seen = recording(
                    images[index], index + (part == "test") * len(images), varies=part == "train"
                )
                events = np.stack(np.nonzero(seen.transpose(3, 0, 1, 2))).astype(np.uint32)
                columns.append(events)
                counts.append(events.shape[1])
                labels.append(int(classes[index]))
                split.append(part == "test")
    t, p, y, x = np.concatenate(columns, axis=1)
    arrays = {
        "x": x.astype(np.uint16),
        "y": y.astype(np.uint16),
        "p": p.astype(np.uint8),
        "t": t * np.uint32(STEP_US),
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "label": np.array(labels, np.int64),
        "split": np.array(split, np.uint8),
        "sensor": np.array([SENSOR, SENSOR, 2], np.uint16),
    }
    save_npz(options.out, arrays)
    print(f"wrote {options.out} ({len(labels):,} recordings, {len(t):,} events)")


if __name__ == "__main__":
    main()
