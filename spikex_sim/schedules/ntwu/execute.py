"""Executes an NTWU schedule: tiles, batches, columns and streamed taps in the order issued (Section 4).

What the array does not do does not happen: a tap that is not streamed adds nothing, a window that is not
issued emits nothing, and potentials are carried from column to column as these come. The row groups issue the
same, one after the other; here their output channels are the lanes of the innermost loops. Partial sums are
integers, or float32 with the taps added in ascending order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import Events, events_of, integrate, integrate_in_order
from spikex_sim.core.field import Field
from spikex_sim.core.geometry import widest_batch
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Lif, by_channel, fire, rest
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.walk import Walk

if TYPE_CHECKING:
    from spikex_sim.schedules.ntwu.schedule import NtwuSchedule


NOTHING = np.zeros(0, np.int64)


def execute(schedule: NtwuSchedule, synapses: Synapses) -> Executed:
    """Run what a schedule issues; see :meth:`spikex_sim.schedules.base.Schedule.execute`."""
    inputs, streamed = schedule.task.inputs, schedule.surveyed.streamed
    events = events_of(inputs)
    if not synapses.is_simple:
        walk = Walk.of(inputs, synapses)
        done = walk.columns(events, schedule.batch_columns, schedule.position, schedule.window, streamed)
        return walk.executed(done)
    in_order = synapses.datapath == "float"
    first_place = weight_at = NOTHING
    if in_order:
        first_place = np.cumsum([0, *(one.geometry.filter_taps for one in inputs.synapses)])
        weight_at = synapses.places_of_weights(inputs.synapses)
    fired, additions = _walk(
        inputs.field, first_place, weight_at, inputs.timesteps, inputs.tws, inputs.windows, events,
        schedule.batch_columns, schedule.position, schedule.window, streamed, synapses.by_tap,
        synapses.biases, synapses.lif, synapses.silence_is_free, in_order,
    )  # fmt: skip
    return Executed(fired, int(additions), 0)


@kernel
def _walk(
    field: Field,
    first_place: NDArray[np.int64],
    weight_at: NDArray[np.int64],
    timesteps: int,
    tws: int,
    windows: int,
    events: Events,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    streamed: NDArray[np.uint8],
    weight: NDArray[Any],
    bias: NDArray[Any],
    lif: Lif,
    silence_is_free: bool,
    in_order: bool,
) -> tuple[NDArray[np.uint8], int]:
    """Output spikes ``[M, P, ceil(T/8)]``, and additions; ``in_order``: the taps of a sum ascend."""
    lanes, positions = len(bias), len(field.place)
    widest = widest_batch(batch_columns)
    stride = widest * lanes
    sums, biases = np.zeros(tws * stride, bias.dtype), np.empty(stride, bias.dtype)
    for column in range(widest):
        biases[column * lanes : (column + 1) * lanes] = bias
    potential = np.zeros(positions * lanes, bias.dtype)
    last = np.full(positions, -1, np.int64)
    settled = np.ones(positions, np.bool_)  # more leaking would change nothing
    length = (timesteps + 7) // 8
    fired = np.zeros(length * positions * lanes, np.uint8)
    words, ends = np.empty((2, field.place.shape[1]), np.int64)
    additions = 0
    for b in range(len(batch_columns) - 1):
        column, stop = batch_columns[b], batch_columns[b + 1]
        while column < stop:
            p, w = position[column], window[column]
            run = added = 0  # columns of positions side by side fire together
            while True:
                side = p + run
                if not settled[side] and 0 <= last[side] < w - 1:
                    skipped = (w - last[side] - 1) * tws
                    settled[side] = rest(potential, side * lanes, lanes, lif.leak, skipped)
                last[side] = w
                into = run * lanes
                if in_order:
                    for s in range(len(first_place) - 1):
                        added += integrate_in_order(
                            field, first_place[s], first_place[s + 1], side, w, windows, events, streamed[b],
                            weight, weight_at, False, sums, into, stride, lanes, words, ends,
                        )  # fmt: skip
                else:
                    added += lanes * integrate(
                        field, 0, len(words), side, w, windows, events, streamed, b, weight, 0, sums, into,
                        stride, lanes,
                    )  # fmt: skip
                run += 1
                column += 1
                if column == stop or position[column] != p + run or window[column] != w:
                    break
            additions += added
            start = w * tws
            points = min(tws, timesteps - start)
            if added == 0 and silence_is_free:
                for side in range(p, p + run):
                    if not settled[side]:
                        settled[side] = rest(potential, side * lanes, lanes, lif.leak, points)
                continue
            for side in range(p, p + run):
                settled[side] = False
            fire(potential, p * lanes, run * lanes, sums, 0, stride, biases, lif, start, points, fired)
    return by_channel(fired.reshape(length, positions * lanes), lanes), additions
