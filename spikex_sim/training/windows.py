"""Density of active windows of spikes, differentiable: what the hardware loss is a function of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.training.lif import over_columns


def window_densities(spikes: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Share of active (input neuron, window) pairs ``S_p`` for several window sizes.

    A window of ``TWS`` consecutive time points is active iff it holds a spike (paper Sec. II); the last one
    is padded with silence. The derivative of this OR is shared equally by the spikes of an active window,
    so that it reaches windows with several spikes too; silent windows get none, they cost nothing.

    Parameters
    ----------
    spikes : tensor ``[T, neurons]``
        0 or 1; the neurons of all samples side by side.
    sizes : sequence of int
        Window sizes, each 1 to ``T``.

    Returns
    -------
    tensor ``[len(sizes)]``
        Densities, 0 to 1.
    """
    densities: torch.Tensor = _WindowDensities.apply(spikes.contiguous(), tuple(sizes))
    return densities


class _WindowDensities(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(spikes)
        ctx.sizes = sizes
        steps, neurons = spikes.shape
        found = []
        for size in sizes:
            if spikes.device.type == "cpu":
                active = np.zeros(-(-neurons // 1024), np.int64)
                given = spikes.detach().numpy()
                over_columns(neurons, _counting(given, size, active))
                total = float(active.sum())
            else:
                total = float((_counts(spikes, size) > 0).sum())
            found.append(total / (neurons * -(-steps // size)))
        return torch.tensor(found, dtype=torch.float32, device=spikes.device)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (spikes,) = ctx.saved_tensors
        steps, neurons = spikes.shape
        shares = [
            float(grad) / (neurons * -(-steps // size))
            for grad, size in zip(grads[0], ctx.sizes, strict=True)
        ]
        found = torch.zeros_like(spikes)
        for share, size in zip(shares, ctx.sizes, strict=True):
            if not share:
                continue
            if spikes.device.type == "cpu":
                over_columns(neurons, _sharing(spikes.numpy(), size, share, found.numpy()))
            else:
                each = share / _counts(spikes, size).clamp(min=1)
                found += spikes * each.repeat_interleave(size, 0)[:steps]
        return found, None


def _counts(spikes: torch.Tensor, size: int) -> torch.Tensor:
    """Spikes of every window, ``[windows, neurons]``."""
    steps, neurons = spikes.shape
    padded = torch.nn.functional.pad(spikes, (0, 0, 0, -steps % size))
    return padded.reshape(-1, size, neurons).sum(1)


def _counting(spikes: NDArray[np.float32], size: int, active: NDArray[np.int64]) -> Any:
    return lambda start, stop: _count(spikes, size, active, start, stop)


def _sharing(spikes: NDArray[np.float32], size: int, share: float, found: NDArray[np.float32]) -> Any:
    return lambda start, stop: _share(spikes, size, np.float32(share), found, start, stop)


@kernel(nogil=True)
def _count(spikes: NDArray[np.float32], size: int, active: NDArray[np.int64], start: int, stop: int) -> None:
    zero, one = np.float32(0), np.float32(1)
    total = 0.0
    for first in range(0, spikes.shape[0], size):
        busy = np.zeros(stop - start, np.float32)
        for t in range(first, min(first + size, spikes.shape[0])):
            now = spikes[t, start:stop]
            for n in range(stop - start):
                busy[n] = one if now[n] > zero else busy[n]
        total += busy.sum()
    # Blocks start at different multiples of 1024, so that no two threads share an entry.
    active[start // 1024] = round(total)


@kernel(nogil=True)
def _share(
    spikes: NDArray[np.float32],
    size: int,
    share: np.float32,
    found: NDArray[np.float32],
    start: int,
    stop: int,
) -> None:
    zero = np.float32(0)
    for first in range(0, spikes.shape[0], size):
        last = min(first + size, spikes.shape[0])
        count = np.zeros(stop - start, np.float32)
        for t in range(first, last):
            now = spikes[t, start:stop]
            for n in range(stop - start):
                count[n] += now[n]
        for n in range(stop - start):
            count[n] = share / count[n] if count[n] > zero else zero
        for t in range(first, last):
            now, out = spikes[t, start:stop], found[t, start:stop]
            for n in range(stop - start):
                out[n] += count[n] * now[n]
