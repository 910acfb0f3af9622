"""Numbers of the paper on mapping by integer programs, one row a figure.

Pohl et al., "Mapping spiking neural networks to heterogeneous crossbar architectures using integer linear
programming".
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
    tolerance : float or None
        How far the measured number may be from it, in its unit; None where nothing can be asked for.
    """

    tolerance: float | None

    @property
    def is_trend(self) -> bool:
        """Whether the paper says what happens, rather than how much: 1 where it does."""
        return self.unit == "trend"

    def admits(self, measured: float) -> bool:
        """Whether a measured number is near enough."""
        return self.tolerance is not None and abs(measured - self.value) <= self.tolerance + 1e-9


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All rows."""
    return tuple(
        Published(*papers.fields_of(row), float(row["tolerance"]) if row["tolerance"] else None)
        for row in papers.rows_of("ilp")
    )
