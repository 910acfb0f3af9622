"""The slow oracle, studies: dynamic time steps and the estimate that papers print, from their definitions.

Written from docs/studies.md alone, shares no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from naive import Bools, pair


def entropy(counts: Sequence[int]) -> float:
    """``-sum p log p / log classes``; without spikes every class has the same probability."""
    total = sum(counts)
    shares = [Fraction(count, total) if total else Fraction(1, len(counts)) for count in counts]
    found = 0.0
    for share in shares:
        if share:
            found += float(share) * math.log(1 / share)
    return found / math.log(len(counts))


def is_below(counts: Sequence[int], threshold: float) -> bool:
    """Whether a sample may stop; equal counts have entropy 1, which nothing rounds."""
    return len(set(counts)) > 1 and entropy(counts) < threshold


def counts_after(spikes: Bools, timesteps: int) -> list[int]:
    """Spikes of every class ``[M, ..., T]`` in the first time points."""
    return [int(channel[..., :timesteps].sum()) for channel in spikes]


def stopping_point(spikes: Bools, threshold: float) -> int:
    """How many time points a sample runs."""
    whole = spikes.shape[-1]
    for timesteps in range(1, whole + 1):
        if is_below(counts_after(spikes, timesteps), threshold):
            return timesteps
    return whole


def predicted(counts: Sequence[int]) -> int:
    """Class with the most spikes, the smallest of several."""
    if not any(counts):
        return -1  # nothing fired: nothing is predicted
    best = 0
    for number, count in enumerate(counts):
        if count > counts[best]:
            best = number
    return best


def synapses(layer: dict[str, Any]) -> int:
    """Additions of one time point at which every input spikes, padding included."""
    if layer["kind"] == "linear":
        return layer["in_channels"] * layer["out_channels"]
    (kernel_h, kernel_w), (stride_h, stride_w) = pair(layer["kernel"]), pair(layer["stride"])
    pad_h, pad_w = pair(layer["padding"])
    additions = 0
    for _row in range((layer["in_height"] + 2 * pad_h - kernel_h) // stride_h + 1):
        for _col in range((layer["in_width"] + 2 * pad_w - kernel_w) // stride_w + 1):
            additions += layer["out_channels"] * layer["in_channels"] * kernel_h * kernel_w
    return additions


def estimate_pj(layer: dict[str, Any], spikes: Bools, accumulate_pj: float) -> float:
    """``FLOPs x time points x (1 - sparsity) x E_AC``; spikes that enter, ``[C, H, W, T]`` or ``[N, T]``."""
    silent = 0
    for value in spikes.ravel().tolist():
        silent += not value
    sparsity = Fraction(silent, spikes.size)
    return float(synapses(layer) * spikes.shape[-1] * (1 - sparsity)) * accumulate_pj
