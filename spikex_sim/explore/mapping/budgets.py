"""Budgets of area, as they are given: cells, percent over the least area found, or none (Section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from spikex_sim.core.errors import ConfigError

MOST_PERCENT = 1e9


@dataclass(frozen=True)
class Budget:
    """A largest area.

    Attributes
    ----------
    text : str
        As it was given.
    cells : int or None
        In cells.
    percent : float or None
        Over the least area found. Without both: any area.
    """

    text: str
    cells: int | None = None
    percent: float | None = None

    @classmethod
    def of(cls, text: str, field: str) -> Budget:
        """Read one.

        Raises
        ------
        ConfigError
            If it is none.
        """
        given = text.strip()
        if given == "none":
            return cls(given)
        try:
            if given.startswith("+") and given.endswith("%"):
                percent = float(given[1:-1])
                if isfinite(percent) and 0 <= percent <= MOST_PERCENT:
                    return cls(given, percent=percent)
            elif int(given) >= 0:
                return cls(given, cells=int(given))
        except ValueError:
            pass
        raise ConfigError(f"wants a number of cells, +P% or none, not {text!r:.40}", field=field)

    def check(self, bound: int, option: str) -> None:
        """Refuse what is below a proven bound.

        Raises
        ------
        ConfigError
            With both numbers.
        """
        if self.cells is not None and self.cells < bound:
            raise ConfigError(f"{option} {self.cells} is below the proven bound {bound}")

    def over(self, least: int, option: str) -> int | None:
        """Cells, given the least area found; None: any.

        Raises
        ------
        ConfigError
            If the area found does not keep it.
        """
        if self.percent is not None:
            return least + int(least * self.percent / 100)
        if self.cells is not None and self.cells < least:
            raise ConfigError(
                f"{self.cells} is below the least area found, {least}; a longer search may find less",
                field=option,
            )
        return self.cells
