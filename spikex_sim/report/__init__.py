"""Reports: one self-contained page of any folder of results.

The package itself is ``spikex_sim.report(...)``: importing any module of it makes it the attribute of that
name, so that it has to be what is called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Is called as :func:`spikex_sim.report.page.report`, and says what that does."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        from spikex_sim.report.page import report

        return report(*given, **named)

    @property
    def __wrapped__(self) -> Any:  # which inspect and help read
        from spikex_sim.report.page import report

        return report


sys.modules[__name__].__class__ = _Callable
