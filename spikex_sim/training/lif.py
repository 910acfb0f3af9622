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
from numba import njit
from numpy.typing import NDArray

from spikex_sim.spec.workload import Neuron

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


def lif(current: torch.Tensor, neuron: Neuron, surrogate: Surrogate) -> torch.Tensor:
    """Spikes ``[T, neurons]`` (0 or 1, float32) of neurons driven by whole currents ``[T, neurons]``.

    ``v = clip(leak(u) + current)``, spike iff ``v > V_th``, then ``u = 0`` (hard reset), else ``u = v``.
    """
    if current.device.type != "cpu":
        return lif_reference(current, neuron, surrogate)
    spikes: torch.Tensor = _Lif.apply(current.contiguous(), neuron, surrogate)
    return spikes


def lif_reference(current: torch.Tensor, neuron: Neuron, surrogate: Surrogate) -> torch.Tensor:
    """Same as :func:`lif` in plain PyTorch operations, for any device."""
    shift = 2.0 ** -(neuron.leak_shift or 0)
    potential = torch.zeros_like(current[0])
    window: list[torch.Tensor] = []
    fired = []
    for now in current:
        potential = _leak(potential, shift) + now
        # Zero the gradient where the potential saturates, as the loops do.
        held = potential.clamp(-_LIMIT, _LIMIT - 1)
        potential = torch.where((held == -_LIMIT) | (held == _LIMIT - 1), held.detach(), held)
        spike = _Spike.apply(potential, float(neuron.threshold), surrogate.sharpness)
        potential = torch.where(spike.detach() > 0, torch.zeros_like(potential), potential)
        fired.append(spike)
        window.append(potential)
    if surrogate.cutoff is not None and current.requires_grad:
        raise NotImplementedError("the temporal cutoff needs the compiled loops of the CPU")
    return torch.stack(fired)


def _leak(potential: torch.Tensor, shift: float) -> torch.Tensor:
    scaled = potential * shift
    return potential - (scaled + (scaled.floor() - scaled).detach())


class _Spike(torch.autograd.Function):
    """Step with the derivative of an arctan."""

    @staticmethod
    def forward(ctx: Any, potential: torch.Tensor, threshold: float, sharpness: float) -> torch.Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold, ctx.sharpness = threshold, sharpness
        return (potential > threshold).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (potential,) = ctx.saved_tensors
        unit = max(ctx.threshold, 1.0)
        away = torch.pi / 2 * ctx.sharpness * (potential - ctx.threshold) / unit
        return grads[0] * (ctx.sharpness / 2 / unit) / (1 + away * away), None, None


class _Lif(torch.autograd.Function):
    """The same in compiled loops over time; potentials are kept as int16, which holds them exactly."""

    @staticmethod
    def forward(ctx: Any, current: torch.Tensor, neuron: Neuron, surrogate: Surrogate) -> torch.Tensor:
        given = current.detach().numpy()
        potential = np.empty(given.shape, np.int16)
        spikes = np.empty(given.shape, np.float32)
        shift = np.float32(2.0 ** -(neuron.leak_shift or 0))
        threshold = np.float32(neuron.threshold)
        _over_columns(
            given.shape[1],
            lambda start, stop: _integrate(given, shift, threshold, potential, spikes, start, stop),
        )
        ctx.potential, ctx.neuron, ctx.surrogate = potential, neuron, surrogate
        return torch.from_numpy(spikes)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        given = grads[0].contiguous().numpy()
        found = np.empty(given.shape, np.float32)
        decay = np.float32(1.0 - 2.0 ** -(ctx.neuron.leak_shift or 0))
        threshold = np.float32(ctx.neuron.threshold)
        sharpness = np.float32(ctx.surrogate.sharpness)
        cutoff = ctx.surrogate.cutoff
        reach = len(given) if cutoff is None else min(cutoff, len(given))
        _over_columns(
            given.shape[1],
            lambda start, stop: _propagate(
                given, ctx.potential, decay, threshold, sharpness, reach, found, start, stop
            ),
        )
        return torch.from_numpy(found), None, None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="lif")


def over_columns(columns: int, work: Callable[[int, int], None]) -> None:
    """Run ``work(start, stop)`` for blocks of columns, in as many threads as PyTorch has."""
    blocks = [(start, min(start + _COLUMNS, columns)) for start in range(0, columns, _COLUMNS)]
    if len(blocks) == 1 or torch.get_num_threads() == 1:
        for block in blocks:
            work(*block)
    else:
        for _ in _pool(torch.get_num_threads()).map(lambda block: work(*block), blocks):
            pass


_over_columns = over_columns


@njit(cache=True, nogil=True)
def _integrate(
    current: NDArray[np.float32],
    shift: np.float32,
    threshold: np.float32,
    potential: NDArray[np.int16],
    spikes: NDArray[np.float32],
    start: int,
    stop: int,
) -> None:
    low, high = np.float32(-_LIMIT), np.float32(_LIMIT - 1)
    zero, one = np.float32(0), np.float32(1)
    state = np.zeros(stop - start, np.float32)
    for t in range(current.shape[0]):
        now = current[t, start:stop]
        held = potential[t, start:stop]
        fired = spikes[t, start:stop]
        for n in range(stop - start):
            u = state[n]
            v = u - np.floor(u * shift) + now[n]
            v = min(max(v, low), high)
            held[n] = np.int16(v)
            spike = v > threshold
            fired[n] = one if spike else zero
            state[n] = zero if spike else v


@njit(cache=True, nogil=True, fastmath={"contract"})
def _propagate(
    given: NDArray[np.float32],
    potential: NDArray[np.int16],
    decay: np.float32,
    threshold: np.float32,
    sharpness: np.float32,
    reach: int,
    found: NDArray[np.float32],
    start: int,
    stop: int,
) -> None:
    low, high = np.float32(-_LIMIT), np.float32(_LIMIT - 1)
    zero, one = np.float32(0), np.float32(1)
    unit = max(threshold, one)
    slope = np.float32(np.pi / 2) * sharpness / unit
    top = sharpness / np.float32(2) / unit
    T = given.shape[0]
    size = stop - start
    later = np.zeros(size, np.float32)
    kept = decay if reach >= T else zero
    for t in range(T - 1, -1, -1):
        grad, held, out = given[t, start:stop], potential[t, start:stop], found[t, start:stop]
        for n in range(size):
            v = np.float32(held[n])
            away = slope * (v - threshold)
            carried = zero if v > threshold else kept
            here = grad[n] * (top / (one + away * away)) + carried * later[n]
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
                passes = low < v <= threshold and v < high
                later[n] *= decay if passes else zero
                out[n] += later[n] * then[n]
