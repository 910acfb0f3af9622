"""Questions that take many runs to answer.

The package itself is ``spikex_sim.explore(...)``: importing any module of it makes it the attribute of that
name, so that it has to be what is called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Is called as :func:`spikex_sim.explore.designs.api.explore`, and says what that does."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        from spikex_sim.explore.designs.api import explore

        return explore(*given, **named)

    @property
    def __wrapped__(self) -> Any:  # which inspect and help read
        from spikex_sim.explore.designs.api import explore

        return explore


sys.modules[__name__].__class__ = _Callable
