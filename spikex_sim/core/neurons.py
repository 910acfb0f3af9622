"""Leaky integrate-and-fire arithmetic in both datapaths (Section 1; SpikeX paper, eqs. 1-3).

The datapath follows from the type of the leak: an integer is a shift, a float a factor. The plain
functions are what runs without JIT; the overloads are the same rules, chosen by type at compile time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def leaked(potential: Any, leak: Any) -> Any:
    """``u - (u >> leak_shift)`` with arithmetic shift, or ``leak * u`` in float32."""
    if isinstance(leak, int | np.integer):
        return potential - (potential >> leak)
    return np.float32(leak * potential)


def saturated(potential: Any, limit: Any) -> Any:
    """Clip an integer to ``-limit ... limit - 1``; a float passes."""
    if isinstance(potential, int | np.integer):
        return min(max(potential, -limit), limit - 1)
    return potential


@overload(leaked, inline="always")
def _leaked(potential, leak):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(leak, types.Integer):
        return lambda potential, leak: potential - (potential >> leak)
    return lambda potential, leak: np.float32(leak * potential)


@overload(saturated, inline="always")
def _saturated(potential, limit):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(potential, types.Integer):
        return lambda potential, limit: min(max(potential, -limit), limit - 1)
    return lambda potential, limit: potential  # noqa: ARG005
