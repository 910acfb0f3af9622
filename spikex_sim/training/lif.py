"""Integer LIF neurons through time, exact in float32, with a surrogate gradient.

Currents are sums of int8 weights, so that every value is a whole number below 2**24 and float32 holds it
exactly: what fires here fires in the simulator, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel

POTENTIAL_BITS = 16
"""Width at which potentials saturate: the simulator's default."""
_LIMIT = 1 << (POTENTIAL_BITS - 1)
_COLUMNS = 2048
"""Neurons handled at a time, so that their state stays in the first-level cache."""


@dataclass(frozen=True)
class Surrogate:
    """How the derivative of the spike is replaced (paper Sec. IV-A, which names its refs. [50] and [7]).

    The derivative of spike ``[v > V_th]`` by ``x = v / V_th`` is taken as that of an arctan,
    ``sharpness / 2 / (1 + (pi / 2 * sharpness * (x - 1)) ** 2)``, and that of the leak as its slope
    ``1 - 2 ** -leak_shift``. What led to a reset is cut off.

    Attributes
    ----------
    sharpness : float
        Slope at the threshold, times two.
    cutoff : int or None
        A potential's influence on spikes more than this many time points later is dropped (temporal
        cutoff); None keeps all.
    """

    sharpness: float = 2.0
    cutoff: int | None = None


def lif(
    current: torch.Tensor,
    threshold: torch.Tensor | float,
    leak: float,
    surrogate: Surrogate,
    *,
    subtract: bool = False,
    compiled: bool | None = None,
) -> torch.Tensor:
    """Run neurons through time.

    ``v = clip(u - floor(leak u) + current)``, a spike iff ``v > V_th``, then ``u = 0``, or ``v - V_th`` where
    resets subtract, else ``u = v``.

    Parameters
    ----------
    current : tensor ``[T, neurons]``
        Whole numbers as float32.
    threshold : tensor ``[neurons]`` or float
        ``V_th``, whole numbers of at least 0.
    leak : float
        Share of the potential that is lost: ``2 ** -leak_shift``, or 0.
    surrogate : Surrogate
        Derivative of the spike.
    subtract : bool
        Whether a reset takes the threshold off, and not all of the potential.
    compiled : bool, optional
        Whether compiled loops do it, on the CPU, or PyTorch's operations, on any device. Default: the loops
        on the CPU.

    Returns
    -------
    tensor ``[T, neurons]``
        Spikes, 0 or 1, as float32.
    """
    loops = current.device.type == "cpu" if compiled is None else compiled
    thresholds = torch.as_tensor(threshold, dtype=current.dtype, device=current.device)
    thresholds = thresholds.expand(current.shape[1]).contiguous()
    spikes: torch.Tensor = _Lif.apply(current.contiguous(), thresholds, leak, subtract, surrogate, loops)
    return spikes


class _Lif(torch.autograd.Function):
    """Both ways through time; potentials are kept as int16, which holds them exactly."""

    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        threshold: torch.Tensor,
        leak: float,
        subtract: bool,
        surrogate: Surrogate,
        loops: bool,
    ) -> torch.Tensor:
        ctx.leak, ctx.subtract, ctx.surrogate, ctx.loops = leak, subtract, surrogate, loops
        spikes = torch.empty_like(current)
        potential = torch.empty_like(current, dtype=torch.int16)
        if loops:
            arrays = current.detach().numpy(), threshold.numpy(), potential.numpy(), spikes.numpy()
            over_columns(
                current.shape[1],
                lambda start, stop: _integrate(*arrays, np.float32(leak), subtract, start, stop),
            )
        else:
            state = torch.zeros_like(current[0])
            for now, held, fired in zip(current, potential, spikes, strict=True):
                state = (state - (state * leak).floor() + now).clamp(-_LIMIT, _LIMIT - 1)
                held.copy_(state)
                fired.copy_(state > threshold)
                after = state - threshold if subtract else torch.zeros_like(state)
                state = torch.where(state > threshold, after, state)
        ctx.save_for_backward(potential, threshold)
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None, None]:
        potential, threshold = ctx.saved_tensors
        given = grads[0].contiguous()
        found = torch.empty_like(given)
        decay, subtract, sharpness = 1.0 - ctx.leak, ctx.subtract, ctx.surrogate.sharpness
        cutoff = ctx.surrogate.cutoff
        reach = len(given) if cutoff is None else min(cutoff, len(given))
        if ctx.loops:
            arrays = given.numpy(), potential.numpy(), threshold.numpy(), found.numpy()
            numbers = np.float32(decay), np.float32(sharpness)
            over_columns(
                given.shape[1],
                lambda start, stop: _propagate(*arrays, *numbers, subtract, reach, start, stop),
            )
        else:
            unit = threshold.clamp(min=1.0)
            v = potential.to(given.dtype)
            inside = (v > -_LIMIT) & (v < _LIMIT - 1)
            away = np.pi / 2 * sharpness / unit * (v - threshold)
            own = given * (sharpness / 2 / unit) / (1 + away * away) * inside
            carried = decay * (((v <= threshold) | subtract) & inside)
            for t in range(len(given)):
                found[t] = own[t]
                chain = carried[t].clone()
                for ahead in range(t + 1, min(t + reach, len(given) - 1) + 1):
                    found[t] += chain * own[ahead]
                    chain *= carried[ahead]
        return found, None, None, None, None, None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="lif")


def over_columns(columns: int, work: Callable[[int, int], None], block: int = _COLUMNS) -> None:
    """Run ``work(start, stop)`` for blocks of columns, in as many threads as PyTorch has."""
    blocks = [(start, min(start + block, columns)) for start in range(0, columns, block)]
    if len(blocks) == 1 or torch.get_num_threads() == 1:
        for one in blocks:
            work(*one)
    else:
        for _ in _pool(torch.get_num_threads()).map(lambda one: work(*one), blocks):
            pass


@kernel(nogil=True)
def _integrate(
    current: NDArray[np.float32],
    threshold: NDArray[np.float32],
    potential: NDArray[np.int16],
    spikes: NDArray[np.float32],
    leak: np.float32,
    subtract: bool,
    start: int,
    stop: int,
) -> None:
    low, high = np.float32(-_LIMIT), np.float32(_LIMIT - 1)
    zero, one = np.float32(0), np.float32(1)
    state = np.zeros(stop - start, np.float32)
    bar = threshold[start:stop]
    for t in range(current.shape[0]):
        now = current[t, start:stop]
        held = potential[t, start:stop]
        fired = spikes[t, start:stop]
        for n in range(stop - start):
            u = state[n]
            v = u - np.floor(u * leak) + now[n]
            v = min(max(v, low), high)
            held[n] = np.int16(v)
            spike = v > bar[n]
            fired[n] = one if spike else zero
            left = v - bar[n] if subtract else zero
            state[n] = left if spike else v


@kernel(nogil=True, fastmath={"contract"})
def _propagate(
    given: NDArray[np.float32],
    potential: NDArray[np.int16],
    threshold: NDArray[np.float32],
    found: NDArray[np.float32],
    decay: np.float32,
    sharpness: np.float32,
    subtract: bool,
    reach: int,
    start: int,
    stop: int,
) -> None:
    low, high = np.float32(-_LIMIT), np.float32(_LIMIT - 1)
    zero, one = np.float32(0), np.float32(1)
    half_turn = np.float32(np.pi / 2) * sharpness
    half = sharpness / np.float32(2)
    T = given.shape[0]
    size = stop - start
    bar = threshold[start:stop]
    later = np.zeros(size, np.float32)
    kept = decay if reach >= T else zero
    for t in range(T - 1, -1, -1):
        grad, held, out = given[t, start:stop], potential[t, start:stop], found[t, start:stop]
        for n in range(size):
            v = np.float32(held[n])
            unit = max(bar[n], one)
            away = half_turn / unit * (v - bar[n])
            carried = kept if subtract or v <= bar[n] else zero
            here = grad[n] * (half / unit / (one + away * away)) + carried * later[n]
            here = here if low < v < high else zero
            later[n] = here
            out[n] = here
    if reach >= T:
        return
    # found holds each time point's own share; ascending, because later ones are still needed as they are.
    for t in range(T):
        out = found[t, start:stop]
        later[:] = one
        for ahead in range(1, min(reach, T - 1 - t) + 1):
            before, then = potential[t + ahead - 1, start:stop], found[t + ahead, start:stop]
            for n in range(size):
                v = np.float32(before[n])
                passes = low < v < high and (subtract or v <= bar[n])
                later[n] *= decay if passes else zero
                out[n] += later[n] * then[n]
