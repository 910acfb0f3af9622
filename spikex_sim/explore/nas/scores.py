"""What a search asks of whoever scores networks: a score, and the spikes it was read from (Section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.macro import Convolution

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Score:
    """Fitness of a network that nobody trained.

    Attributes
    ----------
    value : float
        ``F``, the mean over mini-batches; ``-inf`` where samples cannot be told apart.
    batches : tuple of float
        Of each mini-batch.
    negative : bool
        Whether a determinant was negative.
    constant : int
        LIF populations and time points that were silent, or fired, as a whole, over all mini-batches.
    """

    value: float
    batches: tuple[float, ...]
    negative: bool
    constant: int


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a convolution took while a network was scored.

    Attributes
    ----------
    name : str
        ``a1``: part and number.
    layer : Convolution
        Its shape.
    spikes : (T, C, H, W) array of bool
        Of one image.
    """

    name: str
    layer: Convolution
    spikes: NDArray[np.bool_]


class Scorer(Protocol):
    """Scores pairs of forms; the same pair gets the same score, whatever was scored before."""

    @property
    def settings(self) -> Mapping[str, Value]:
        """All that a score depends on but the forms: data, widths, bits, kernel, seeds, versions."""

    def score(self, a: Form, b: Form) -> tuple[Score, tuple[Recorded, ...]]:
        """Return the score of a network of two cells, and what its convolutions took of the first image."""
