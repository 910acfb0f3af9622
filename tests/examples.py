"""How many examples property tests try."""

from __future__ import annotations

import os

from hypothesis import settings

FACTOR = float(os.environ.get("SPIKEX_EXAMPLES", "1"))


def scaled(count: int) -> int:
    """Return ``count`` times the environment's ``SPIKEX_EXAMPLES`` (a factor, 1 by default), at least 1."""
    return max(1, round(count * FACTOR))


def examples(count: int) -> settings:
    """Settings of a property test that normally tries ``count`` examples; a more thorough profile wins."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings() if thorough else settings(max_examples=scaled(count))
