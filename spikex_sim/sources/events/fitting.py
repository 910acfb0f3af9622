"""From a sensor's pixels to a network's input: its middle is cropped or padded, blocks of pixels merged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.units import sides
from spikex_sim.sources.events.events import MAX_SIDE, Events

Sides = tuple[int, int]
"""Rows and columns."""


@dataclass(frozen=True)
class Fitting:
    """How a sensor is fitted to an input.

    Attributes
    ----------
    crop : tuple of int or None
        Rows and columns of the sensor's middle that is kept.
    pad : tuple of int or None
        Rows and columns that this is padded to with silence, all around.
    block : int or None
        Side of the blocks of pixels that become one; the middle is then cropped or padded to so many times
        the input. By default what the input needs.
    """

    crop: Sides | None = None
    pad: Sides | None = None
    block: int | None = None

    def windows(self, sensor: Sides, size: Sides, where: str) -> list[Sides]:
        """Middle parts that are looked through, one after the other; the last is a multiple of the input.

        Parameters
        ----------
        sensor, size : tuple of int
            Rows and columns of the sensor and of the input.
        where : str
            Whose input it is, for messages.

        Raises
        ------
        ConfigError
            If a part to crop is larger than what is there, one to pad to smaller, or there is no multiple.
        """
        found = [sensor]
        for option, window, sign in (("--crop", self.crop, 1), ("--pad", self.pad, -1)):
            if window is None:
                continue
            if any(sign * new > sign * old for new, old in zip(window, found[-1], strict=True)):
                than = "larger" if sign > 0 else "smaller"
                raise ConfigError(
                    f"{sides(window)} is {than} than the {sides(found[-1])} there", field=option
                )
            found.append(window)
        if self.block is not None:
            found.append((self.block * size[0], self.block * size[1]))
            if max(found[-1]) > MAX_SIDE:
                raise ConfigError(f"wants {sides(found[-1])} pixels, more than {MAX_SIDE}", field="--bin")
        elif block_of(found[-1], size) is None:
            raise ConfigError(
                f"takes an input of {sides(size)}, to which a {sides(found[-1])} sensor cannot be pooled; "
                f"{what_fits(found[-1], size)}",
                where=where,
            )
        return found


def block_of(window: Sides, size: Sides) -> int | None:
    """Side of the blocks of pixels by which a window becomes an input of some size; None if there is none."""
    block = window[0] // size[0]
    return block if block and window == (block * size[0], block * size[1]) else None


def what_fits(window: Sides, size: Sides) -> str:
    """Say which windows near this one are multiples of the input."""
    inside = min(have // want for have, want in zip(window, size, strict=True))
    around = max(-(-have // want) for have, want in zip(window, size, strict=True))
    crops = f"--crop {sides(inside * side for side in size)} or " if inside else ""
    blocks = f"{inside} or {around}" if 0 < inside < around else f"{around}"
    return f"{crops}--pad {sides(around * side for side in size)} fits; --bin {blocks} crops or pads"


def looked_through(events: Events, windows: list[Sides]) -> tuple[Events, int]:
    """Events in the middle of a sensor, with coordinates from its corner, and how many are not in it.

    Parameters
    ----------
    events : Events
        On the sensor; left as they are.
    windows : list of tuple of int
        Rows and columns of the sensor, and of the parts of :meth:`Fitting.windows`.
    """
    if len(windows) == 1:
        return events, 0
    x, y = np.asarray(events.x).astype(np.int64), np.asarray(events.y).astype(np.int64)
    inside = np.ones(len(events), np.bool_)
    for before, window in pairwise(windows):
        y -= (before[0] - window[0]) // 2
        x -= (before[1] - window[1]) // 2
        inside &= (y >= 0) & (y < window[0]) & (x >= 0) & (x < window[1])
    left = Events(
        x[inside], y[inside], events.polarity[inside], events.t_us[inside], events.label, events.where
    )
    return left, len(events) - len(left)
