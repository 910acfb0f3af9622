"""LIF neurons of real currents, a time point at a time, with a surrogate gradient (docs/nas.md, Section 1).

Unlike the integer neurons of :mod:`spikex_sim.training.lif` they are in float32 or float64, and
``v <- v + (I - v)/tau``, a spike iff ``v >= threshold``, then ``v = 0``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel
from spikex_sim.training.lif import over_columns

_BLOCK = 1 << 16
"""Neurons handled at a time."""
Watch = Callable[[str, torch.Tensor], None]
"""Told a population's name and its spikes at a time point, ``[S, C, H, W]`` or ``[S, neurons]``."""


@dataclass
class Neurons:
    """Populations of LIF neurons while a network runs, and their potentials.

    Attributes
    ----------
    tau, threshold : float
        Of all neurons.
    sharpness : float
        The derivative of the spike by ``x = v / threshold`` is taken as that of an arctan,
        ``sharpness / 2 / (1 + (pi / 2 * sharpness * (x - 1)) ** 2)``; what led to a reset is cut off.
    watch : callable, optional
        Told what fires.
    compiled : bool, optional
        Whether compiled loops do it, on the CPU, or PyTorch's operations, on any device. Default: the loops
        on the CPU.
    waiting : dict of str to tensor
        What the next time point needs of this one: potentials by population, and currents that go back.
    """

    tau: float
    threshold: float
    sharpness: float = 2.0
    watch: Watch | None = None
    compiled: bool | None = None
    waiting: dict[str, torch.Tensor] = field(default_factory=dict)

    def fire(self, name: str, current: torch.Tensor, *others: str) -> torch.Tensor:
        """Run a population for a time point.

        Parameters
        ----------
        name : str
            Of the population.
        current : tensor ``[S, C, H, W]`` or ``[S, neurons]``
            What it takes.
        *others : str
            Populations that take the same at every time point; they fire alike, and are told alike.

        Returns
        -------
        tensor
            Spikes, 0 or 1, of the type and shape of the current.
        """
        loops = current.device.type == "cpu" if self.compiled is None else self.compiled
        spikes, self.waiting[name] = _Lif.apply(
            _dense(current), self.waiting.get(name), self.tau, self.threshold, self.sharpness, loops
        )
        if self.watch is not None:
            for one in (name, *others):
                self.watch(one, spikes)
        return spikes


class _Lif(torch.autograd.Function):
    """A time point of a population, forward and back."""

    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        before: torch.Tensor | None,
        tau: float,
        threshold: float,
        sharpness: float,
        loops: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.tau, ctx.threshold, ctx.sharpness = tau, threshold, sharpness
        ctx.started = before is None
        state = torch.zeros_like(current) if before is None else before
        if loops:
            reached, spikes, after = (torch.empty_like(current) for _ in range(3))
            arrays = _flat(current), _flat(state), _flat(reached), _flat(spikes), _flat(after)
            numbers = np.array([tau, threshold, 0, 1], arrays[0].dtype)
            over_columns(
                current.numel(), lambda start, stop: _integrate(*arrays, numbers, start, stop), _BLOCK
            )
        else:
            reached = state + (current - state) / tau
            spikes = (reached >= threshold).to(current.dtype)
            after = torch.where(spikes > 0, 0.0, reached)
        ctx.save_for_backward(reached)
        return spikes, after

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (reached,) = ctx.saved_tensors
        away = torch.pi / 2 * ctx.sharpness * (reached / ctx.threshold - 1)
        found = grads[0] * (ctx.sharpness / 2 / ctx.threshold) / (1 + away * away)
        found = found + torch.where(reached >= ctx.threshold, 0.0, grads[1])
        earlier = None if ctx.started else found * (1 - 1 / ctx.tau)
        return found / ctx.tau, earlier, None, None, None, None


def _dense(current: torch.Tensor) -> torch.Tensor:
    """Lay maps out with channels last, in which convolutions are fastest."""
    if current.ndim == 4:
        return current.contiguous(memory_format=torch.channels_last)
    return current.contiguous()


def _flat(values: torch.Tensor) -> NDArray[Any]:
    """What lies in memory, in its order."""
    ordered = values.permute(0, 2, 3, 1) if values.ndim == 4 else values
    flat: NDArray[Any] = ordered.detach().view(-1).numpy()
    return flat


@kernel(nogil=True)
def _integrate(
    current: NDArray[Any],
    state: NDArray[Any],
    reached: NDArray[Any],
    spikes: NDArray[Any],
    after: NDArray[Any],
    numbers: NDArray[Any],
    start: int,
    stop: int,
) -> None:
    tau, threshold, zero, one = numbers
    now, held = current[start:stop], state[start:stop]
    up, fired, left = reached[start:stop], spikes[start:stop], after[start:stop]
    for n in range(stop - start):  # from 0, or the loop would not be vectorised
        v = held[n] + (now[n] - held[n]) / tau
        fires = v >= threshold
        up[n] = v
        fired[n] = one if fires else zero
        left[n] = zero if fires else v
