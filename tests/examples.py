"""How many examples tests try."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

FACTOR = float(os.environ.get("SPIKEX_EXAMPLES", "1"))


def scaled(count: int) -> int:
    """Return ``count`` times the environment's ``SPIKEX_EXAMPLES`` (a factor, 1 by default), at least 1."""
    return max(1, round(count * FACTOR))


def examples(count: int) -> settings:
    """Settings of a property test that normally tries ``count`` examples; a more thorough profile wins."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings() if thorough else settings(max_examples=scaled(count))


def in_turn(cases: Iterable[Any], others: tuple[Any, ...] = (1, 2)) -> list[Any]:
    """All pairs, for ``parametrize``; each case is slow but with one of the others, which take turns."""
    return [
        pytest.param(case, other, marks=() if at % len(others) == which else pytest.mark.slow)
        for at, case in enumerate(cases)
        for which, other in enumerate(others)
    ]


THIRDS = [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
"""Where a third of some cases begins, for ``parametrize``; the first third is fast."""
