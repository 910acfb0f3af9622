"""Executes columns, or rows and taps, of layers with synapses and neurons of every kind.

What :mod:`spikex_sim.schedules.ntwu.execute` and :mod:`spikex_sim.schedules.dense.execute` do for spikes and
simple neurons, for all others: several synapses with addends between them, own channels, analog values,
currents that leave instead of spikes, neurons with further states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.events import Events, integrate, integrate_in_order
from spikex_sim.core.field import CHANNELS, FIRST, Field, Inputs, Taps, taps_of
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Numbers, Rules, States, advance, by_channel, forget, shifted, wrap
from spikex_sim.schedules.synapses import Executed, Synapses

SPIKES, ANALOG, GIVEN = range(3)


class Terms(NamedTuple):
    """Terms of a sum in their order, as kernels take them: streamed synapses, and addends that are known.

    Attributes
    ----------
    kind : int64 array
        :data:`SPIKES`, :data:`ANALOG` or :data:`GIVEN`.
    first_place, last_place : int64 array
        Filter positions of a streamed synapse.
    first_tap, last_tap : int64 array
        Its taps; of what is known, the first tap behind it, twice.
    own : bool array
        Whether its channels have one lane each.
    shift : int64 array
        Right shift of an analog synapse's sum.
    scale : float32 array
        Of analog values.
    start, points : int64 array
        Where addends begin, or would the values of the first channel of all synapses; and for how many time
        points there are some: 1 or ``T``.
    values : int64 or float32 array
        Values ``[pixels * C, points]`` of analog synapses, addends ``[points, P, M]``, one behind the other.
    """

    kind: NDArray[np.int64]
    first_place: NDArray[np.int64]
    last_place: NDArray[np.int64]
    first_tap: NDArray[np.int64]
    last_tap: NDArray[np.int64]
    own: NDArray[np.bool_]
    shift: NDArray[np.int64]
    scale: NDArray[np.float32]
    start: NDArray[np.int64]
    points: NDArray[np.int64]
    values: NDArray[Any]


def terms_of(inputs: Inputs, synapses: Synapses) -> Terms:
    """Terms of a layer's sums."""
    streamed = {one.place: one for one in synapses.addends if one.streamed}
    rows: list[tuple[Any, ...]] = []
    values: list[NDArray[Any]] = []
    before = place = channels = tap = 0

    def keep(array: NDArray[Any]) -> int:
        nonlocal before
        values.append(array.reshape(-1))
        before += array.size
        return before - array.size

    def add_given(number: int) -> None:
        for one in synapses.addends:
            if not one.streamed and one.place == number:
                points = len(one.values) if one.values.ndim == 3 else 1
                rows.append((GIVEN, 0, 0, tap, tap, False, 0, 1.0, keep(one.values), points))

    for number, synapse in enumerate(inputs.synapses):
        add_given(number)
        taps, own = synapse.geometry.filter_taps, synapses.own[number]
        analog, end = streamed.get(number), tap + synapse.geometry.taps
        if analog is None:
            rows.append((SPIKES, place, place + taps, tap, end, own, 0, 1.0, 0, 0))
        else:
            points = analog.values.shape[1] if analog.values.ndim == 2 else 1
            scale = analog.scale if synapses.datapath == "float" else 1.0
            start = keep(analog.values) - channels * points
            rows.append((ANALOG, place, place + taps, tap, end, own, analog.shift, scale, start, points))
        place += taps
        tap = end
        channels += synapse.geometry.channels * synapse.geometry.pixels
    add_given(len(inputs.synapses))
    kind: Any = np.float32 if synapses.datapath == "float" else np.int64
    whole = np.array([row[:5] + row[6:7] + row[8:] for row in rows], np.int64).reshape(-1, 8).T.copy()
    return Terms(
        kind=whole[0],
        first_place=whole[1],
        last_place=whole[2],
        first_tap=whole[3],
        last_tap=whole[4],
        own=np.array([row[5] for row in rows], np.bool_),
        shift=whole[5],
        scale=np.array([row[7] for row in rows], np.float32),
        start=whole[6],
        points=whole[7],
        values=np.concatenate([np.zeros(0, kind), *(one.astype(kind) for one in values)]),
    )


@dataclass(frozen=True, eq=False)
class Walk:
    """A layer on the way through its schedule."""

    inputs: Inputs
    synapses: Synapses
    terms: Terms
    states: States
    fired: NDArray[np.uint8]
    sums: NDArray[Any]

    @classmethod
    def of(cls, inputs: Inputs, synapses: Synapses) -> Walk:
        """Begin a layer."""
        neurons, length = inputs.positions * synapses.out_channels, -(-inputs.timesteps // 8)
        fires = synapses.neuron is not None
        return cls(
            inputs,
            synapses,
            terms_of(inputs, synapses),
            synapses.states(inputs.positions),
            np.zeros(length * neurons if fires else 0, np.uint8),
            np.zeros(0 if fires else inputs.timesteps * neurons, synapses.number),
        )

    def columns(
        self, events: Events, batch_columns: NDArray[np.int64], position: NDArray[np.int64],
        window: NDArray[np.int64], streamed: NDArray[np.uint8],
    ) -> NDArray[np.int64]:  # fmt: skip
        """Walk columns, batch by batch; additions and products made."""
        inputs, synapses = self.inputs, self.synapses
        made: NDArray[np.int64] = _columns(
            inputs.field, inputs.timesteps, inputs.tws, inputs.windows, events, batch_columns, position,
            window, streamed, self.terms, synapses.by_tap, synapses.places_of_weights(inputs.synapses),
            synapses.biases, synapses.numbers, synapses.rules, self.states, self.fired, self.sums,
            synapses.datapath == "int", synapses.psum_limit,
        )  # fmt: skip
        return made

    def rows(
        self, events: Events, passes: NDArray[np.int64], blocks: NDArray[np.int64], taps: int, waiting: int
    ) -> NDArray[np.int64]:
        """Walk blocks of rows and taps; additions and products made.

        ``waiting``: rows whose sums wait for further blocks, or 0 where every block brings all taps.
        """
        inputs, synapses = self.inputs, self.synapses
        made: NDArray[np.int64] = _rows(
            inputs.field, taps_of(inputs.synapses), inputs.timesteps, inputs.tws, inputs.windows, events,
            passes, blocks, taps, waiting, self.terms, synapses.by_tap,
            synapses.places_of_weights(inputs.synapses), synapses.biases, synapses.numbers, synapses.rules,
            self.states, self.fired, self.sums, synapses.datapath == "int", synapses.psum_limit,
        )  # fmt: skip
        return made

    def executed(self, made: NDArray[np.int64]) -> Executed:
        """What came of it."""
        lanes, positions = self.synapses.out_channels, self.inputs.positions
        if self.synapses.neuron is not None:
            fired = by_channel(self.fired.reshape(-1, positions * lanes), lanes)
            return Executed(fired, *made.tolist())
        sums = self.sums.reshape(self.inputs.timesteps, positions, lanes)
        return Executed(np.ascontiguousarray(sums.transpose(2, 1, 0)), *made.tolist())


@kernel
def _columns(
    field: Field,
    timesteps: int,
    tws: int,
    windows: int,
    events: Events,
    batch_columns: NDArray[np.int64],
    position: NDArray[np.int64],
    window: NDArray[np.int64],
    streamed: NDArray[np.uint8],
    terms: Terms,
    weight: NDArray[Any],
    weight_at: NDArray[np.int64],
    bias: NDArray[Any],
    numbers: Numbers,
    rules: Rules,
    states: States,
    fired: NDArray[np.uint8],
    left: NDArray[Any],
    unordered: bool,
    psum_limit: int,
) -> NDArray[np.int64]:
    """Additions and products of the columns in the order issued.

    Where sums of weights wrap around (``psum_limit``), what is added besides waits until they did.
    """
    lanes, positions = len(bias), len(field.place)
    sums, addend = np.zeros(tws * lanes, bias.dtype), np.zeros(tws * lanes, bias.dtype)
    besides = np.zeros(tws * lanes, bias.dtype) if psum_limit > 0 else sums
    last = np.full(positions, -1, np.int64)
    words, ends = np.empty((2, field.place.shape[1]), np.int64)
    made = np.zeros(2, np.int64)
    for b in range(len(batch_columns) - 1):
        for column in range(batch_columns[b], batch_columns[b + 1]):
            p, w = position[column], window[column]
            if len(fired) > 0 and 0 <= last[p] < w - 1:
                forget(states, p * lanes, numbers, rules, (w - last[p] - 1) * tws)
            last[p] = w
            first_point = w * tws
            points = min(tws, timesteps - first_point)
            for term in range(len(terms.kind)):
                first, last_place = terms.first_place[term], terms.last_place[term]
                if terms.kind[term] == SPIKES and unordered and not terms.own[term]:
                    offset = weight_at[first] - field.taps[first, FIRST] * lanes
                    made[0] += lanes * integrate(
                        field, first, last_place, p, w, windows, events, streamed, b, weight, offset, sums, 0,
                        lanes, lanes,
                    )  # fmt: skip
                elif terms.kind[term] == SPIKES:
                    made[0] += integrate_in_order(
                        field, first, last_place, p, w, windows, events, streamed[b], weight, weight_at,
                        terms.own[term], sums, 0, lanes, lanes, words, ends,
                    )  # fmt: skip
                elif terms.kind[term] == ANALOG:
                    made[1] += multiply(
                        field,
                        terms,
                        term,
                        p,
                        streamed[b],
                        weight,
                        weight_at,
                        first_point,
                        points,
                        addend,
                        lanes,
                    )
                    add_up(besides, addend, terms.shift[term])
                else:
                    step = positions * lanes if terms.points[term] > 1 else 0
                    for point in range(points):
                        source = terms.start[term] + step * (first_point + point) + p * lanes
                        for lane in range(lanes):
                            besides[point * lanes + lane] += terms.values[source + lane]
            if psum_limit > 0:
                wrap(sums, 0, len(sums), psum_limit)
                add_up(sums, besides, 0)
            if len(fired) > 0:
                advance(states, p * lanes, sums, lanes, bias, numbers, rules, first_point, points, fired)
                continue
            for point in range(points):
                into = ((first_point + point) * positions + p) * lanes
                for lane in range(lanes):
                    left[into + lane] = sums[point * lanes + lane] + bias[lane]
                    sums[point * lanes + lane] = 0
    return made


@kernel
def _rows(
    field: Field,
    tap_of: Taps,
    timesteps: int,
    tws: int,
    windows: int,
    events: Events,
    passes: NDArray[np.int64],
    blocks: NDArray[np.int64],
    taps: int,
    waiting: int,
    terms: Terms,
    weight: NDArray[Any],
    weight_at: NDArray[np.int64],
    bias: NDArray[Any],
    numbers: Numbers,
    rules: Rules,
    states: States,
    fired: NDArray[np.uint8],
    left: NDArray[Any],
    unordered: bool,
    psum_limit: int,
) -> NDArray[np.int64]:
    """Additions and products of blocks of rows and taps in the order issued; a row has ``tws`` points.

    ``psum_limit``: see :func:`_columns`.
    """
    lanes, positions = len(bias), len(field.place)
    stride = tws * lanes
    all_sums, all_addends = np.zeros((2, max(1, waiting), stride), bias.dtype)
    all_besides = np.zeros_like(all_sums) if psum_limit > 0 else all_sums
    words, ends = np.empty((2, field.place.shape[1]), np.int64)
    streamed = np.zeros((1, taps), np.uint8)
    made = np.zeros(2, np.int64)
    for block in range(len(blocks)):
        index, r0, r1, k0, k1 = blocks[block]
        p0, size, u0 = passes[index, 0], passes[index, 1] - passes[index, 0], passes[index, 2]
        streamed[0, :] = 0
        for k in range(k0, k1):
            streamed[0, tap_of.streamed[k]] = 1
        for r in range(r0, r1):
            p, w = p0 + r % size, u0 + r // size
            kept = r if waiting > 0 else 0
            sums, addend, besides = all_sums[kept], all_addends[kept], all_besides[kept]
            points = min(tws, timesteps - w * tws)
            for term in range(len(terms.kind)):
                first, last = terms.first_tap[term], terms.last_tap[term]
                if terms.kind[term] == GIVEN:
                    if k0 <= first < k1 or (first == taps and k1 == taps):
                        step = positions * lanes if terms.points[term] > 1 else 0
                        for point in range(points):
                            source = terms.start[term] + step * (w * tws + point) + p * lanes
                            for lane in range(lanes):
                                besides[point * lanes + lane] += terms.values[source + lane]
                    continue
                if last <= k0 or first >= k1:
                    continue
                first_place, last_place = terms.first_place[term], terms.last_place[term]
                if terms.kind[term] == SPIKES and unordered and not terms.own[term]:
                    offset = weight_at[first_place] - field.taps[first_place, FIRST] * lanes
                    made[0] += lanes * integrate(
                        field, first_place, last_place, p, w, windows, events, streamed, 0, weight, offset,
                        sums, 0, lanes, lanes,
                    )  # fmt: skip
                    continue
                if terms.kind[term] == SPIKES:
                    made[0] += integrate_in_order(
                        field, first_place, last_place, p, w, windows, events, streamed[0], weight, weight_at,
                        terms.own[term], sums, 0, lanes, lanes, words, ends,
                    )  # fmt: skip
                    continue
                made[1] += multiply(
                    field, terms, term, p, streamed[0], weight, weight_at, w * tws, points, addend, lanes
                )
                if last <= k1:
                    add_up(besides, addend, terms.shift[term])
            if k1 < taps:
                continue
            if psum_limit > 0:
                wrap(sums, 0, len(sums), psum_limit)
                add_up(sums, besides, 0)
            if len(fired) > 0:
                advance(states, p * lanes, sums, lanes, bias, numbers, rules, w * tws, points, fired)
                continue
            for point in range(points):
                into = ((w * tws + point) * positions + p) * lanes
                for lane in range(lanes):
                    left[into + lane] = sums[point * lanes + lane] + bias[lane]
                    sums[point * lanes + lane] = 0
    return made


@kernel
def multiply(
    field: Field,
    terms: Terms,
    term: int,
    position: int,
    streamed: NDArray[np.uint8],
    weight: NDArray[Any],
    weight_at: NDArray[np.int64],
    first_point: int,
    points: int,
    addend: NDArray[Any],
    lanes: int,
) -> int:
    """Multiply the analog values that a position sees, in the order of the taps, and count the products."""
    number = addend.dtype.type
    k0, k1 = terms.first_place[term], terms.last_place[term]
    own, each = terms.own[term], terms.points[term]
    scale = number(terms.scale[term])
    made = 0
    for channel in range(field.taps[k0, CHANNELS]):
        for k in range(k0, k1):
            pixel = field.place[position, k]
            if pixel < 0 or streamed[field.taps[k, FIRST] + channel] == 0:
                continue
            source = terms.start[term] + (field.start[pixel] + channel) * each
            for point in range(points):
                t = first_point + point if each > 1 else 0
                value = number(scale * terms.values[source + t])
                into = point * lanes
                if own:
                    made += 1
                    addend[into + channel] += number(number(weight[weight_at[k] + channel]) * value)
                else:
                    made += lanes
                    at = weight_at[k] + channel * lanes
                    for lane in range(lanes):
                        addend[into + lane] += number(number(weight[at + lane]) * value)
    return made


@kernel
def add_up(sums: NDArray[Any], addend: NDArray[Any], shift: int) -> None:
    """Add addends to sums, shifted right in the integer datapath, and empty them."""
    for n in range(len(addend)):
        sums[n] += shifted(addend[n], shift)
        addend[n] = 0
