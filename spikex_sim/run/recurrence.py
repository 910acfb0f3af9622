"""Outputs of populations that come back as their own inputs, whatever the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import events_of
from spikex_sim.run.population import Asked, Work
from spikex_sim.run.signals import Signal
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.walk import Walk


def comes_back(work: Work, signals: dict[str, Signal]) -> NDArray[np.uint8]:
    """Outputs of a population whose outputs come back as inputs: packed spikes ``[C, H, W, ceil(T/8)]``.

    Its smallest delay at a time: what comes back in these time points is known by then.
    """
    trace, name = work.trace, work.node.name
    assert work.delay is not None
    constants = []
    for asked in work.passes():
        found = [walked(asked, one, 1) for one in work.constants_of(asked)]
        constants.append([np.ascontiguousarray(one[..., 0].T) for one in found])
    walks: list[Walk] = []
    shape = trace.shape(name)
    out = np.zeros((*shape, -(-trace.timesteps // 8)), np.uint8)
    for first in range(0, trace.timesteps, work.delay):
        last = min(first + work.delay, trace.timesteps)
        now = Work.of(trace, work.node, signals | {name: Signal("spikes", out)}, work.arch, 1)
        parts = []
        for number, asked in enumerate(now.layers(constants)):
            assert asked.synapses is not None
            if first == 0:
                walks.append(Walk.of(asked.task.inputs, asked.synapses))
            walk = replace(walks[number], inputs=asked.task.inputs)
            parts.append(walk.executed(_all_columns(walk, first, last)).outputs)
        out = np.concatenate(parts).reshape(out.shape)
    return out


def walked(asked: Asked, synapses: Synapses, windows: int) -> NDArray[Any]:
    """What a task of so many windows gives, whatever the schedule."""
    walk = Walk.of(asked.task.inputs, synapses)
    return walk.executed(_all_columns(walk, 0, windows)).outputs


def _all_columns(walk: Walk, first: int, last: int) -> NDArray[np.int64]:
    """Walk all positions of some windows, window by window."""
    inputs = walk.inputs
    position = np.tile(np.arange(inputs.positions), last - first)
    window = np.repeat(np.arange(first, last), inputs.positions)
    return walk.columns(
        events_of(inputs), np.array([0, len(position)]), position, window, np.ones((1, inputs.taps), np.uint8)
    )
