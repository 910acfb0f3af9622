"""Hardware figures of NeuroNAS, one row a figure, and the networks that they are of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor

from spikex_sim.papers import published as papers

Counts = tuple[int, int, int, int]
"""Convolutions of a network: 3x3 and 1x1 ones of cell A, then of cell B."""


@dataclass(frozen=True)
class Published(papers.Published):
    """One published number.

    Attributes
    ----------
    text : str
        The number with its digits.
    bits : int
        Of a weight.
    networks : tuple of Counts
        Networks it was decoded to be of; several where all of them have it.
    """

    text: str
    bits: int
    networks: tuple[Counts, ...]

    def told(self, value: float) -> str:
        """A number with as many digits as the published one, cut off."""
        decimals = len(self.text.partition(".")[2])
        return f"{floor(value * 10**decimals + 1e-9) / 10**decimals:.{decimals}f}"

    def admits(self, value: float) -> bool:
        """Whether a number is the published one; shares and ratios may be rounded as well as cut off."""
        rounded = self.unit in ("%", "x") and abs(value - self.value) <= 0.5 * 10.0 ** -len(
            self.text.partition(".")[2]
        )
        return self.told(value) == self.text or rounded


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All rows."""
    return tuple(
        Published(
            *papers.fields_of(row), row["published"], int(row["bits"]),
            tuple(_counts(text) for text in row["networks"].split(";")),
        )
        for row in papers.rows_of("nas")
    )  # fmt: skip


def _counts(text: str) -> Counts:
    a, a1, b, b1 = map(int, text.split())
    return a, a1, b, b1
