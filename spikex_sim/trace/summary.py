"""How busy and how large the layers of a trace are."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True)
class InputActivity:
    """How busy the inputs of a layer are, over all samples.

    Attributes
    ----------
    spikes : int
        Spikes in all.
    rate : float
        Share of (input, time point) with a spike.
    silent_share : float
        Share of (sample, input) that never spike.
    active_window_share : float
        Share of (input, time window) with a spike; the last window may be cut short by the horizon.
    """

    spikes: int
    rate: float
    silent_share: float
    active_window_share: float


def activities(trace: Trace, tws: int = 8) -> dict[int, InputActivity]:
    """Recorded inputs by layer, with windows of so many time points."""
    return {index: input_activity(packed, trace.timesteps, tws) for index, packed in trace.inputs.items()}


def parameter_count(trace: Trace) -> int:
    """Weights that the layers call for, present or not, and biases where the trace has them."""
    return sum(
        prod(layer.weight_shape) + layer.out_channels * (index in trace.biases)
        for index, layer in enumerate(trace.layers)
        if not layer.is_pool
    )


def input_activity(packed: PackedSpikes, timesteps: int, tws: int) -> InputActivity:
    """Measure packed spikes.

    Parameters
    ----------
    packed : uint8 array, ``[S, *shape, ceil(T/8)]``
        Spikes of all samples.
    timesteps : int
        Time points ``T``.
    tws : int
        Time window size in time points.
    """
    if tws < 1:
        raise ConfigError(f"must be at least 1, not {tws}", field="tws")
    window_starts = np.arange(0, timesteps, tws)
    spikes = silent = active = 0
    # Row by row of the first axes, because unpacked spikes take eight times the memory.
    rows = packed.reshape(-1, *packed.shape[2:]) if packed.ndim > 2 else packed
    for row in rows:
        bits: NDArray[np.uint8] = np.unpackbits(row, axis=-1, count=timesteps)
        windows = np.maximum.reduceat(bits, window_starts, axis=-1)
        spikes += int(np.count_nonzero(bits))
        active += int(np.count_nonzero(windows))
        silent += int(np.count_nonzero(~windows.any(axis=-1)))
    inputs = prod(packed.shape[:-1])
    return InputActivity(
        spikes=spikes,
        rate=spikes / (inputs * timesteps),
        silent_share=silent / inputs,
        active_window_share=active / (inputs * len(window_starts)),
    )
