"""Images for training: what enters the network, how it varies, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.images import LabelledImages
from spikex_sim.spec.graph import InputNode
from spikex_sim.training.images import Variation, VariedImages, splits_of_images

LABELS = np.arange(40) % 4


def image(*shape: int, signed: bool = True) -> InputNode:
    values = {"bits": 8, "constant": True, "signed": signed}
    return InputNode.model_validate({"name": "in", "kind": "input", "shape": list(shape), "values": values})


def arrays(**changes: Any) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 6)).astype(np.uint8)
    found = {"train_images": pixels, "train_labels": LABELS, "test_images": pixels[:9],
             "test_labels": LABELS[:9]} | changes  # fmt: skip
    return {key: array for key, array in found.items() if array is not None}


def test_splits_hold_every_image_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", **arrays())
    found = splits_of_images(tmp_path / "i.npz", image(3, 6, 6), seed=1, variation=Variation())
    assert [len(part.labels) for part in found.parts] == [36, 4, 9]
    assert sorted(found.validation.labels) == [0, 1, 2, 3]
    together = np.concatenate([part.batch(np.arange(len(part.labels)), None) for part in found.parts[:2]])
    wanted = arrays()["train_images"].astype(np.float32) - 128
    np.testing.assert_array_equal(*(np.unique(one, axis=0) for one in (together, wanted)))
    assert found.about == "i.npz: 36 images for training, 4 for validation, 9 for testing"
    assert len(found.sha256) == 64


def test_pixels_enter_signed_or_as_they_are() -> None:
    pixels = np.array([0, 127, 255, 128], np.uint8).reshape(1, 1, 2, 2)
    for signed, wanted in ((True, [-128, -1, 127, 0]), (False, [0, 127, 255, 128])):
        data = LabelledImages(pixels, np.zeros(1, np.int64), signed)
        assert data.values(np.array([0])).ravel().tolist() == wanted
        assert VariedImages(data).batch(np.array([0]), None).ravel().tolist() == wanted


def test_grey_images_may_lack_their_channel(tmp_path: Path) -> None:
    pixels = arrays()["train_images"][:, 0]
    np.savez(tmp_path / "i.npz", **arrays(train_images=pixels, test_images=pixels[:9]))
    found = splits_of_images(tmp_path / "i.npz", image(1, 6, 6), seed=1, variation=Variation())
    assert found.test.batch(np.arange(9), None).shape == (9, 1, 6, 6)


@pytest.mark.parametrize("mirror", [True, False])
def test_training_images_are_shifted_and_mirrored(mirror: bool) -> None:
    pixels = np.arange(1, 26, dtype=np.uint8).reshape(1, 1, 5, 5)
    data = VariedImages(LabelledImages(pixels, np.zeros(1, np.int64), False), Variation(1, mirror))
    rng = np.random.default_rng(0)
    seen = {data.batch(np.array([0]), rng).tobytes() for _ in range(300)}
    padded = np.pad(pixels[0, 0].astype(np.float32), 1)
    windows = [padded[row : row + 5, column : column + 5] for row in range(3) for column in range(3)]
    wanted = {window.tobytes() for window in windows}
    if mirror:
        wanted |= {np.ascontiguousarray(window[:, ::-1]).tobytes() for window in windows}
    assert seen == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_labels": None}, "test_labels: is missing"),
        ({"train_images": np.zeros((40, 3, 6, 5), np.uint8)}, "train_images: must be uint8"),
        ({"train_images": np.zeros((40, 3, 6, 6), np.float32)}, "train_images: must be uint8"),
        ({"train_labels": LABELS[:39]}, "train_labels: must be integers"),
        ({"train_labels": LABELS * 1.0}, "train_labels: must be integers"),
        (
            {"test_images": np.zeros((1, 3, 6, 6), np.uint8), "test_labels": LABELS[:1]},
            "test_images: has fewer than two images",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", **arrays(**changes))
    with pytest.raises(TraceError, match=message):
        splits_of_images(tmp_path / "i.npz", image(3, 6, 6), seed=1, variation=Variation())
