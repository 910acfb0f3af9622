"""A person in front of the camera who waves, claps and circles with arms of two segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

SENSOR = 128
"""Rows and columns of the DVS128 (Amir et al., CVPR 2017)."""

GESTURES = (
    "hand_clapping", "right_hand_wave", "left_hand_wave", "right_arm_clockwise",
    "right_arm_counter_clockwise", "left_arm_clockwise", "left_arm_counter_clockwise",
    "arm_roll", "air_drums", "air_guitar",
)  # fmt: skip
"""Classes 0 to 9 of DVS-Gesture, in its order; its class 10 is "other"."""

BRISK = 1.7
"""Waving, clapping and drumming against circling: forearms are lighter than arms."""

Arm = tuple[float, float]
"""Angles of upper arm and forearm in radians: 0 hangs down, pi / 2 points away from the body."""
_REST: Arm = (0.15, 0.1)


def _pose(gesture: str, phase: float) -> tuple[Arm, Arm]:
    """Right and left arm at a phase, of which one period is 2 pi; the person's right is the image's left."""
    swing = sin(phase)
    wave: Arm = (0.6, 2.5 + 0.75 * swing)
    poses: dict[str, tuple[Arm, Arm]] = {
        "hand_clapping": ((0.55, -0.9 + 0.75 * swing),) * 2,
        "right_hand_wave": (wave, _REST),
        "left_hand_wave": (_REST, wave),
        "right_arm_clockwise": ((phase, phase + 0.15), _REST),
        "right_arm_counter_clockwise": ((-phase, -phase - 0.15), _REST),
        "left_arm_clockwise": (_REST, (-phase, -phase - 0.15)),
        "left_arm_counter_clockwise": (_REST, (phase, phase + 0.15)),
        "arm_roll": ((0.45, -1.5 + 0.55 * swing), (0.45, -1.5 - 0.55 * swing)),
        "air_drums": ((0.4, 0.2 + 0.8 * swing), (0.4, 0.2 - 0.8 * swing)),
        "air_guitar": ((0.5, -1.0 + 0.6 * swing), (0.9, 1.7 + 0.12 * sin(phase / 3))),
    }
    return poses[gesture]


@dataclass(frozen=True)
class Figure:
    """The person, drawn differently for every seed; lengths in pixels, tones in log intensity.

    Attributes
    ----------
    hertz : float
        Full circles of an arm in one second; the other gestures are faster by :data:`BRISK`.
    start : float
        Phase at time 0 in radians.
    middle : tuple of float
        Neck (x, y).
    upper, fore : float
        Lengths of the arm's segments.
    sway : float
        Amplitude of the body's own slow motion.
    folds : float
        Contrast of the folds in the sleeves.
    tone : float
        Clothes against the wall.
    """

    hertz: float
    start: float
    middle: tuple[float, float]
    upper: float
    fore: float
    sway: float
    folds: float
    tone: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Figure:
        """Draw a person and a tempo."""
        return cls(
            hertz=float(rng.uniform(1.0, 1.5)),
            start=float(rng.uniform(0.0, 2 * pi)),
            middle=(float(rng.uniform(58, 70)), float(rng.uniform(50, 58))),
            upper=float(rng.uniform(21, 26)),
            fore=float(rng.uniform(22, 27)),
            sway=float(rng.uniform(0.6, 1.4)),
            folds=float(rng.uniform(0.3, 0.6)),
            tone=float(rng.uniform(-1.1, -0.7)),
        )


def gesture_scene(gesture: str, figure: Figure) -> Callable[[float], NDArray[np.float32]]:
    """Log intensity ``[128, 128]`` as a function of the time in ms.

    Parameters
    ----------
    gesture : str
        One of :data:`GESTURES`.
    figure : Figure
        Who makes it, and how fast.
    """
    hertz = figure.hertz if "clockwise" in gesture else figure.hertz * BRISK
    tempo = 2 * pi * hertz / 1000

    def scene(time_ms: float) -> NDArray[np.float32]:
        turn = tempo * time_ms
        x = figure.middle[0] + figure.sway * sin(turn + 1.0)
        y = figure.middle[1] + 0.5 * figure.sway * sin(1.37 * turn)
        image = np.zeros((SENSOR, SENSOR), np.float32)
        _capsule(image, (x, y - 15), (x, y - 10), 9.0, -0.35, 0.15)
        _capsule(image, (x, y + 19), (x, y + 75), 18.0, figure.tone, 0.25)
        for side, (upper, fore) in zip((-1, 1), _pose(gesture, figure.start + turn), strict=True):
            shoulder = (x + side * 18.0, y + 9.0)
            elbow = _end_of(shoulder, upper, figure.upper, side)
            hand = _end_of(elbow, fore, figure.fore, side)
            _capsule(image, shoulder, elbow, 6.5, figure.tone - 0.15, figure.folds)
            _capsule(image, elbow, hand, 5.0, figure.tone + 0.1, figure.folds)
            _capsule(image, hand, _end_of(hand, fore, 5.0, side), 5.0, -0.3, 0.3)
        return image

    return scene


def _end_of(start: tuple[float, float], angle: float, length: float, side: int) -> tuple[float, float]:
    return start[0] + side * length * sin(angle), start[1] + length * cos(angle)


def _capsule(
    image: NDArray[np.float32],
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
    tone: float,
    folds: float,
) -> None:
    """Paint a rounded bar over the image, its rim anti-aliased over one pixel, in the bar's own box only."""
    lows = [max(0, int(min(start[axis], end[axis]) - radius - 1)) for axis in (0, 1)]
    highs = [min(SENSOR, int(max(start[axis], end[axis]) + radius + 2)) for axis in (0, 1)]
    if lows[0] >= highs[0] or lows[1] >= highs[1]:
        return
    x = np.arange(lows[0], highs[0], dtype=np.float32)[None, :] - np.float32(start[0])
    y = np.arange(lows[1], highs[1], dtype=np.float32)[:, None] - np.float32(start[1])
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = max(float(np.hypot(along_x, along_y)), 1e-6)
    along = np.clip((x * along_x + y * along_y) / length, 0, length)
    distance = np.hypot(x - along * (along_x / length), y - along * (along_y / length))
    cover = np.clip(radius + 0.5 - distance, 0, 1)
    across = (y * along_x - x * along_y) / length
    shade = tone + folds * np.sin(0.75 * along + 0.35 * across) * np.cos(0.4 * across - 0.2 * along)
    box = image[lows[1] : highs[1], lows[0] : highs[0]]
    box += cover * (shade - box)
