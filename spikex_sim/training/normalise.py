"""Batch normalisation whose result is whole: a bias and a threshold a channel, as the simulator has them."""

from __future__ import annotations

from typing import Any

import torch

MAX_THRESHOLD = (1 << 15) - 1
"""Highest potential of 16 bits: a neuron with this threshold never fires."""
_EPS = 1e-5


def normalised(
    sums: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Add a whole bias to sums, such that with a whole threshold neurons act as if these were normalised.

    ``gain (x - mean) / deviation + offset > 1`` is ``x + bias > threshold`` with ``threshold = deviation /
    gain`` and ``bias = offset threshold - mean``, both rounded. The derivative is that of the normalisation,
    of a neuron whose threshold is 1.

    Parameters
    ----------
    sums : tensor ``[n, C, H, W]``
        Whole numbers.
    gain, offset : tensor ``[C]``
        Of a channel; gains are positive.

    Returns
    -------
    tuple of tensor
        Sums with bias, thresholds ``[C]``, and mean and variance ``[C]`` of the sums.
    """
    found: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    found = _Normalised.apply(sums, gain, offset)
    return found


def folded(
    mean: torch.Tensor, variance: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bias and threshold, whole, for sums of a mean and variance."""
    unit = (variance + _EPS).sqrt() / gain
    threshold = unit.round().clamp(1, MAX_THRESHOLD)
    return (offset * unit - mean).round(), threshold


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, sums: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        _, mean, inverse = torch.native_batch_norm(sums, gain, offset, None, None, True, 0.0, _EPS)
        variance = inverse**-2 - _EPS
        bias, threshold = folded(mean, variance, gain, offset)
        ctx.save_for_backward(sums, gain, mean, inverse, threshold)
        ctx.mark_non_differentiable(threshold, mean, variance)
        return sums + bias[:, None, None], threshold, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        sums, gain, mean, inverse, threshold = ctx.saved_tensors
        # A neuron's derivative is by current over threshold: the normalised sum is what it is to see.
        given = grads[0].contiguous(memory_format=torch.channels_last)
        by_sums, by_gain, by_offset = torch.ops.aten.native_batch_norm_backward(
            given, sums, gain * threshold, None, None, mean, inverse, True, _EPS, [True, True, True]
        )
        return by_sums, by_gain * threshold, by_offset * threshold
