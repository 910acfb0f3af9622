"""What the SpikeX paper published, one row a figure."""

from __future__ import annotations

from functools import lru_cache

from spikex_sim.papers import published as papers


class Published(papers.Published):
    """One published number; its unit is ``percent``, ``ratio``, or what the choice was among."""

    @property
    def figure(self) -> str:
        """Figure whose study measures it: ``fig9``, ``fig10``, ``fig12`` or ``fig13``."""
        name = self.id.partition("-")[0]
        return name if name.startswith("fig") else "fig13"


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All rows, in the paper's order."""
    return tuple(Published(*papers.fields_of(row)) for row in papers.rows_of("spikex"))
