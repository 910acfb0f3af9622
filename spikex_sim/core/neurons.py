"""Leaky integrate-and-fire arithmetic in both datapaths (Section 1; SpikeX paper, eqs. 1-3).

The datapath follows from the type of the leak: an integer is a shift, a float a factor. The plain
functions are what runs without JIT; the overloads are the same rules, chosen by type at compile time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel


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


def wrapped(total: Any, limit: Any) -> Any:
    """Wrap an integer around at ``-limit ... limit - 1``, a power of two; a float passes."""
    if isinstance(total, int | np.integer):
        return ((np.int64(total) + limit) & (2 * limit - 1)) - limit
    return total


def shifted(value: Any, shift: Any) -> Any:
    """Shift an integer right, arithmetically; a float passes."""
    return value >> shift if isinstance(value, int | np.integer) else value


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


@overload(wrapped, inline="always")
def _wrapped(total, limit):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(total, types.Integer):
        return lambda total, limit: ((np.int64(total) + limit) & (2 * limit - 1)) - limit
    return lambda total, limit: total  # noqa: ARG005


@overload(shifted, inline="always")
def _shifted(value, shift):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(value, types.Integer):
        return lambda value, shift: value >> shift
    return lambda value, shift: value  # noqa: ARG005


class Lif(NamedTuple):
    """What is alike in all neurons of a layer, as :func:`fire` takes it.

    Attributes
    ----------
    threshold, leak : number
        Leak of the potential.
    limit : int or float32
        ``2^(potential_bits - 1)``.
    soft : bool
        Whether the reset is by subtraction.
    psum_limit : int
        ``2^(psum_bits - 1)`` where sums wrap around before the bias is added, else 0.
    """

    threshold: Any
    leak: Any
    limit: Any
    soft: bool
    psum_limit: int


@kernel
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


@kernel
def wrap(sums: NDArray[Any], start: Any, lanes: int, limit: int) -> None:
    """Let sums wrap around as those in registers do; see :func:`wrapped`."""
    first = np.uintp(start)
    for lane in range(np.uintp(lanes)):
        sums[first + lane] = wrapped(sums[first + lane], limit)


@kernel
def fire(
    potential: NDArray[Any],
    start: int,
    lanes: int,
    sums: NDArray[Any],
    first_sum: int,
    stride: int,
    bias: NDArray[Any],
    lif: Lif,
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
    lif : Lif
        What is alike in all neurons.
    first_point, points : int
        Time points.
    fired : uint8 array ``[ceil(T/8) * len(potential)]``
        Spikes of all neurons, eight time points to a byte; those of the points are overwritten.
    """
    threshold, leak, limit, soft, psum_limit = lif
    number = potential.dtype.type
    nothing, low, high = number(0), number(-limit), number(limit - 1)
    p = np.uintp(start)
    for t in range(first_point, first_point + points):
        bit = np.uint8(128 >> (t & 7))
        others = np.uint8(~bit)
        s = np.uintp(first_sum + (t - first_point) * stride)
        f = np.uintp((t >> 3) * len(potential) + start)
        if psum_limit > 0:
            wrap(sums, s, lanes, psum_limit)
        for lane in range(np.uintp(lanes)):  # unsigned: a sign would have to be looked at
            v = number(number(leaked(potential[p + lane], leak)) + number(sums[s + lane] + bias[lane]))
            v = number(saturated(v, low, high))
            rests = number(saturated(number(v - threshold), low, high)) if soft else nothing
            fires = v > threshold
            potential[p + lane] = rests if fires else v
            fired[f + lane] = np.uint8(fired[f + lane] & others) | (bit if fires else np.uint8(0))
            sums[s + lane] = nothing


class States(NamedTuple):
    """State of a population, flat, as :func:`advance` changes it: of no element where there is none."""

    potential: NDArray[Any]
    current: NDArray[Any]
    adaptation: NDArray[Any]
    spiked: NDArray[np.uint8]


class Numbers(NamedTuple):
    """Parameters of a population, one for each output channel ``[M]``."""

    threshold: NDArray[Any]
    leak: NDArray[Any]
    current_leak: NDArray[Any]
    adaptation_leak: NDArray[Any]
    adaptation_step: NDArray[Any]


class Rules(NamedTuple):
    """What a population does, besides its numbers.

    Attributes
    ----------
    limit : int or float32
        ``2^(potential_bits - 1)``.
    at : bool
        A neuron fires at its threshold, not above alone.
    reset : int
        0: to zero, 1: by subtraction, 2: none.
    late : bool
        The reset comes a time point after the spike.
    leaks, current_leaks, adaptation_leaks : bool
        Whether the state leaks.
    has_current, has_adaptation : bool
        Whether there is the state.
    """

    limit: Any
    at: bool
    reset: int
    late: bool
    leaks: bool
    current_leaks: bool
    adaptation_leaks: bool
    has_current: bool
    has_adaptation: bool


@kernel
def advance(  # noqa: PLR0912  # one rule of the text behind the other
    states: States,
    start: int,
    sums: NDArray[Any],
    stride: int,
    bias: NDArray[Any],
    numbers: Numbers,
    rules: Rules,
    first_point: int,
    points: int,
    fired: NDArray[np.uint8],
) -> None:
    """Do what :func:`fire` does, for every kind of neuron: those of one position, a number for each channel.

    ``start``: first neuron; ``stride``: sums of a time point; see :func:`fire`.
    """
    number = states.potential.dtype.type
    nothing, low, high = number(0), number(-rules.limit), number(rules.limit - 1)
    lanes = len(bias)
    for t in range(first_point, first_point + points):
        bit = np.uint8(128 >> (t & 7))
        s = (t - first_point) * stride
        f = (t >> 3) * len(states.potential) + start
        for lane in range(lanes):
            n = start + lane
            given = number(sums[s + lane] + bias[lane])
            if rules.has_current:
                kept = states.current[n]
                if rules.current_leaks:
                    kept = number(leaked(kept, numbers.current_leak[lane]))
                given = number(saturated(number(kept + given), low, high))
                states.current[n] = given
            v = states.potential[n]
            if rules.leaks:
                v = number(leaked(v, numbers.leak[lane]))
            v = number(saturated(number(v + given), low, high))
            threshold = number(numbers.threshold[lane])
            if rules.late and states.spiked[n] != 0:
                if rules.reset == 0:
                    v = nothing
                elif rules.reset == 1:
                    v = number(saturated(number(v - threshold), low, high))
            bar = threshold
            if rules.has_adaptation:
                bar = number(threshold + states.adaptation[n])
            fires = v > bar or (rules.at and v == bar)
            rests = v
            if fires and not rules.late:
                if rules.reset == 0:
                    rests = nothing
                elif rules.reset == 1:
                    rests = number(saturated(number(v - threshold), low, high))
            states.potential[n] = rests
            if rules.has_adaptation:
                a = states.adaptation[n]
                if rules.adaptation_leaks:
                    a = number(leaked(a, numbers.adaptation_leak[lane]))
                more = number(numbers.adaptation_step[lane]) if fires else nothing
                states.adaptation[n] = number(saturated(number(a + more), low, high))
            if rules.late:
                states.spiked[n] = fires
            fired[f + lane] = np.uint8(fired[f + lane] & ~bit) | (bit if fires else np.uint8(0))
            sums[s + lane] = nothing


@kernel
def forget(states: States, start: int, numbers: Numbers, rules: Rules, points: int) -> None:
    """Let the potentials of a position leak through time points without input, where silence is free."""
    number = states.potential.dtype.type
    if not rules.leaks:
        return
    for lane in range(len(numbers.threshold)):
        u = states.potential[start + lane]
        for _ in range(points):
            after = number(leaked(u, numbers.leak[lane]))
            if after == u:
                break
            u = after
        states.potential[start + lane] = u


@kernel
def by_channel(fired: NDArray[np.uint8], lanes: int) -> NDArray[np.uint8]:
    """Bytes of spikes ``[B, P * M]`` as ``[M, P, B]``."""
    length, positions = len(fired), fired.shape[1] // lanes
    found = np.empty((lanes, positions, length), np.uint8)
    for p in range(positions):
        for m in range(lanes):
            for byte in range(length):
                found[m, p, byte] = fired[byte, p * lanes + m]
    return found
