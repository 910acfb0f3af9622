"""What was published on SpikeSim's crossbar machine, one row a figure.

Bhattacharjee et al. is "Are SNNs truly energy-efficient? A hardware perspective", Moitra et al. "When
in-memory computing meets spiking neural networks" (Appl. Phys. Rev. 11, 031325, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from spikex_sim.papers import published as papers


@dataclass(frozen=True)
class Published(papers.Published):
    """One published number.

    Attributes
    ----------
    tolerance : float
        How far the measured number may be from it, as a part of it; of ``points``, in percentage points.
    """

    tolerance: float

    @property
    def is_trend(self) -> bool:
        """Whether the paper says what happens, rather than how much: 1 where it does."""
        return self.unit == "trend"

    def admits(self, measured: float) -> bool:
        """Whether a measured number is near enough."""
        if self.unit == "sign":
            return measured * self.value > 0
        if self.unit == "points":
            return abs(measured - self.value) <= self.tolerance
        return abs(measured - self.value) <= self.tolerance * abs(self.value)


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All rows."""
    return tuple(Published(*papers.fields_of(row), float(row["tolerance"])) for row in papers.rows_of("imc"))
