"""Executes a layer on its crossbars: the weights of the rows that are read, block by block, then neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import Events
from spikex_sim.core.geometry import Receivers
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Numbers, Rules, States, advance, by_channel
from spikex_sim.schedules.synapses import Synapses

if TYPE_CHECKING:
    from spikex_sim.schedules.crossbar.schedule import CrossbarSchedule


def integrated(schedule: CrossbarSchedule, synapses: Synapses) -> tuple[NDArray[np.int32], int]:
    """Exact sums ``[points, P M]`` of what is read, and weights added."""
    sums = np.zeros((schedule.points, schedule.task.positions * synapses.out_channels), np.int32)
    additions = _integrate(
        schedule.receivers, schedule.geometry.channels, schedule.spikes.timesteps, schedule.points,
        schedule.events, schedule.mapping.block_of, synapses.by_tap, synapses.out_channels, sums,
    )  # fmt: skip
    return sums, int(additions)


def fire(timesteps: int, positions: int, sums: NDArray[Any], synapses: Synapses) -> NDArray[np.uint8]:
    """Update neurons with sums ``[points, P M]``; where there are no more, the last ones serve again.

    Returns
    -------
    uint8 array ``[M, P, ceil(T/8)]``
        Packed spikes.
    """
    out = np.zeros(((timesteps + 7) // 8) * sums.shape[1], np.uint8)
    states = synapses.states(positions)
    _fire(timesteps, states, sums, synapses.biases, synapses.numbers, synapses.rules, out)
    found: NDArray[np.uint8] = by_channel(out.reshape(-1, sums.shape[1]), synapses.out_channels)
    return found


@kernel
def _integrate(
    receivers: Receivers,
    channels: int,
    timesteps: int,
    points: int,
    events: Events,
    block_of: NDArray[np.int64],
    weight: NDArray[Any],
    lanes: int,
    sums: NDArray[np.int32],
) -> int:
    """Add the weights of each spike's row, in every position that sees it; rows in no block are not there."""
    additions = 0
    for t in range(points):
        for pixel in range(len(receivers.first) - 1):
            word = pixel * timesteps + t
            first, last = events.first[word], events.first[word + 1]
            if first == last:
                continue
            for r in range(receivers.first[pixel], receivers.first[pixel + 1]):
                into = np.uintp(receivers.position[r] * lanes)
                tap = receivers.place[r] * channels
                for event in range(first, last):
                    source = tap + events.channel[event]
                    if block_of[source] < 0:
                        continue
                    additions += lanes
                    at = np.uintp(source * lanes)
                    for lane in range(np.uintp(lanes)):  # unsigned: a sign would have to be looked at
                        sums[t, into + lane] += weight[at + lane]
    return additions


@kernel
def _fire(
    timesteps: int,
    states: States,
    sums: NDArray[Any],
    bias: NDArray[Any],
    numbers: Numbers,
    rules: Rules,
    out: NDArray[np.uint8],
) -> None:
    lanes, given = len(bias), np.empty(sums.shape[1], bias.dtype)
    for t in range(timesteps):
        given[:] = sums[min(t, len(sums) - 1)]
        for start in range(0, len(given), lanes):
            advance(states, start, given[start : start + lanes], 0, bias, numbers, rules, t, 1, out)
