"""Leaky integrate-and-fire arithmetic in both datapaths (Section 1; SpikeX paper, eqs. 1-3).

The datapath follows from the type of the leak: an integer is a shift, a float a factor. The plain
functions are what runs without JIT; the overloads are the same rules, chosen by type at compile time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray


def leaked(potential: Any, leak: Any) -> Any:
    """``u - (u >> leak_shift)`` with arithmetic shift, or ``leak * u`` in float32."""
    if isinstance(leak, int | np.integer):
        return potential - (potential >> leak)
    return np.float32(leak * potential)


def saturated(potential: Any, low: Any, high: Any) -> Any:
    """Clip an integer to ``low ... high``; a float passes."""
    if isinstance(potential, int | np.integer):
        return min(max(potential, low), high)
    return potential


@overload(leaked, inline="always")
def _leaked(potential, leak):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(leak, types.Integer):
        return lambda potential, leak: potential - (potential >> leak)
    return lambda potential, leak: np.float32(leak * potential)


@overload(saturated, inline="always")
def _saturated(potential, low, high):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(potential, types.Integer):
        return lambda potential, low, high: min(max(potential, low), high)
    return lambda potential, low, high: potential  # noqa: ARG005


@njit(cache=True)
def rest(potential: NDArray[Any], start: int, lanes: int, leak: Any, timesteps: int) -> bool:
    """Let potentials leak through time points without input; whether more of these would change nothing."""
    number = potential.dtype.type
    base = np.uintp(start)
    for _ in range(timesteps):
        changed = False
        for lane in range(np.uintp(lanes)):
            after = number(leaked(potential[base + lane], leak))
            changed |= after != potential[base + lane]
            potential[base + lane] = after
        if not changed:
            return True
    return False


@njit(cache=True)
def fire(
    potential: NDArray[Any],
    start: int,
    lanes: int,
    sums: NDArray[Any],
    first_sum: int,
    stride: int,
    bias: NDArray[Any],
    lif: tuple[Any, Any, Any, bool],
    first_point: int,
    points: int,
    fired: NDArray[np.uint8],
) -> None:
    """Update potentials point by point, write which neurons fire, and empty the sums.

    Parameters
    ----------
    potential, sums : array
        Flat; the neurons are ``lanes`` in a row from ``start``, their sums from ``first_sum`` and, of each
        further point, ``stride`` behind.
    bias : array
        Of the neurons, from 0.
    lif : tuple
        Threshold, leak, limit of the potential and whether the reset is soft.
    first_point, points : int
        Time points.
    fired : uint8 array ``[ceil(T/8) * len(potential)]``
        Spikes of all neurons, eight time points to a byte; those of the points are overwritten.
    """
    threshold, leak, limit, soft = lif
    number = potential.dtype.type
    nothing, low, high = number(0), number(-limit), number(limit - 1)
    p = np.uintp(start)
    for t in range(first_point, first_point + points):
        bit = np.uint8(128 >> (t & 7))
        others = np.uint8(~bit)
        s = np.uintp(first_sum + (t - first_point) * stride)
        f = np.uintp((t >> 3) * len(potential) + start)
        for lane in range(np.uintp(lanes)):  # unsigned: a sign would have to be looked at
            v = number(number(leaked(potential[p + lane], leak)) + number(sums[s + lane] + bias[lane]))
            v = number(saturated(v, low, high))
            rests = number(v - threshold) if soft else nothing
            fires = v > threshold
            potential[p + lane] = rests if fires else v
            fired[f + lane] = np.uint8(fired[f + lane] & others) | (bit if fires else np.uint8(0))
            sums[s + lane] = nothing


@njit(cache=True)
def by_channel(fired: NDArray[np.uint8], lanes: int) -> NDArray[np.uint8]:
    """Bytes of spikes ``[B, P * M]`` as ``[M, P, B]``."""
    length, positions = len(fired), fired.shape[1] // lanes
    found = np.empty((lanes, positions, length), np.uint8)
    for p in range(positions):
        for m in range(lanes):
            for byte in range(length):
                found[m, p, byte] = fired[byte, p * lanes + m]
    return found
