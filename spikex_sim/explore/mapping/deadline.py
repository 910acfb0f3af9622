"""A time limit: when work that is cut ends, and whether it was (Section 4)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf, isfinite

from spikex_sim.core.errors import ConfigError


@dataclass(frozen=True)
class Deadline:
    """A moment after which no piece of work begins.

    Attributes
    ----------
    at : float
        Seconds, by the clock that only goes forward; infinite: never.
    """

    at: float = inf

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """So many seconds from now; None: never.

        Raises
        ------
        ConfigError
            If it is no number of seconds above 0.
        """
        if seconds is None:
            return NEVER
        if isinstance(seconds, bool) or not isfinite(seconds) or seconds <= 0:
            raise ConfigError(f"wants a number of seconds above 0, not {seconds:g}", field="--time-limit")
        return cls(time.monotonic() + seconds)

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at

    @property
    def seconds(self) -> float | None:
        """Left, at least a millisecond; None: as many as wanted."""
        return None if self.at == inf else max(1e-3, self.at - time.monotonic())

    def share(self, parts: int) -> Deadline:
        """When the first of so many equal parts of what is left ends."""
        return self if self.at == inf else Deadline(time.monotonic() + (self.seconds or 0.0) / parts)


NEVER = Deadline()
"""No limit."""
