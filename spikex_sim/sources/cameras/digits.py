"""A handwritten digit on a screen, and N-MNIST's camera that glances at it three times."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.trace.npyzip import open_npz

SENSOR = 34
"""Rows and columns of N-MNIST (Orchard et al., Front. Neurosci. 9:437, 2015)."""
LEVELS = 16
"""Darkest ink in the digit images, which have values 0 to 16."""
SACCADE_MS = 100.0
"""Length of one saccade, as in the recordings (Orchard et al. 2015 describe three of about 100 ms)."""
CORNERS_PX = np.array([(0.0, 0.0), (3.5, 7.0), (7.0, 0.0), (0.0, 0.0)]) - (3.5, 3.5)
"""Where the digit stands between saccades as (x, y) around the middle, in pixels.

A triangle of three saccades (Orchard et al. 2015); the lengths are those of the recordings, in which the
events move by 3.5, 3.5 and 7 pixels across and 7, 7 and 0 pixels down.
"""


@cache
def digit_images() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images ``[1797, 8, 8]`` with values 0 to 16, and their classes ``[1797]``.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998, doi:10.24432/C50P49, CC BY 4.0.
    """
    with open_npz(
        Path(str(resources.files("spikex_sim.sources.cameras") / "digits.npz")), 1 << 20
    ) as archive:
        return archive.read("images"), archive.read("label")


def digit_of_class(label: int, index: int) -> NDArray[np.uint8]:
    """Image ``[8, 8]`` number ``index`` (modulo their number) of a class."""
    if not 0 <= label <= 9:
        raise ConfigError(f"must be 0 to 9, not {label}", field="label")
    images, labels = digit_images()
    same = images[labels == label]
    image: NDArray[np.uint8] = same[index % len(same)]
    return image


class DigitScene:
    """Log intensity of dark ink on a bright screen, seen by a camera that moves.

    Parameters
    ----------
    image : array, ``[rows, columns]``
        Ink, 0 to 16.
    height_px : float
        Height of the digit on the sensor in pixels.
    contrast : float
        Natural log of screen over ink intensity.
    sharpness : float
        Slope of the contrast curve at half ink; 1 leaves the upsampled image as soft as it is.
    """

    def __init__(
        self, image: NDArray[np.generic], height_px: float, contrast: float, sharpness: float
    ) -> None:
        self._ink = np.asarray(image, np.float64) / LEVELS
        self._pitch = height_px / self._ink.shape[0]
        self._contrast = contrast
        self._sharpness = sharpness

    def __call__(self, time_ms: float) -> NDArray[np.float32]:
        """Log intensity ``[34, 34]`` at a time."""
        x, y = saccade_position(time_ms)
        rows = cubic_weights(self._ink.shape[0], self._pitch, y)
        columns = cubic_weights(self._ink.shape[1], self._pitch, x)
        ink = rows @ self._ink @ columns.T
        ink = np.clip((ink - 0.5) * self._sharpness + 0.5, 0.0, 1.0)
        return (-self._contrast * ink * ink * (3 - 2 * ink)).astype(np.float32)


def saccade_position(time_ms: float) -> tuple[float, float]:
    """Position (x, y) of the digit in pixels, around the middle of the sensor.

    Each saccade runs along its side of the triangle with the minimum-jerk profile
    ``s(u) = 10 u^3 - 15 u^4 + 6 u^5`` (Flash and Hogan, J. Neurosci. 5(7), 1985), which has the bell-shaped
    speed seen in the event rate of the recordings. After the third one the digit rests.
    """
    saccade, u = divmod(time_ms / SACCADE_MS, 1.0)
    if saccade >= len(CORNERS_PX) - 1:
        saccade, u = len(CORNERS_PX) - 2, 1.0
    start, end = CORNERS_PX[int(saccade)], CORNERS_PX[int(saccade) + 1]
    x, y = start + (end - start) * (u**3 * (10 - 15 * u + 6 * u * u))
    return float(x), float(y)


def cubic_weights(samples: int, pitch: float, shift: float) -> NDArray[np.float64]:
    """Interpolation matrix ``[34, samples]`` of Keys' cubic convolution with ``a = -1/2``.

    R. Keys, IEEE Trans. ASSP 29(6), 1981. The samples are ``pitch`` pixels apart, their middle
    ``shift`` pixels from the sensor's; beyond them there is no ink.
    """
    pixels = np.arange(SENSOR) - (SENSOR - 1) / 2 - shift
    distance = np.abs(pixels[:, None] / pitch + (samples - 1) / 2 - np.arange(samples))
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
