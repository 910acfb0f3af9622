"""What stands in front of the array of the register-level model: local buffer, dispatcher, sequencer.

``model.md``: the geometry of a layer (Section 1), tags (2), SpikeX dispatch (3), what the array reads from
its local buffer and the order of its operations (4), PTB (7).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.bool_]
Tile: TypeAlias = tuple[Sequence[int], range]  # positions, windows
Number: TypeAlias = Any  # int in the integer datapath, np.float32 in the float one


@dataclass
class Counters:
    """Events of a layer, counted where they happen."""

    batches: int = 0
    ntwus: int = 0
    streamed_taps: int = 0
    accumulations: int = 0
    spikes_added: int = 0
    lif_updates: int = 0
    weight_words_read: int = 0
    spike_bits_read: int = 0
    tag_bits_read: int = 0
    psum_rf_reads: int = 0
    psum_rf_writes: int = 0
    potential_rf_reads: int = 0
    potential_rf_writes: int = 0
    weight_register_writes: int = 0
    potential_lbuf_reads: int = 0
    potential_lbuf_writes: int = 0
    output_bits: int = 0
    busy_pe_cycles: int = 0


# --- Sections 1, 2, 3 and 7: tags, NTWUs, batches -------------------------------------------------


def _pair(value: Any) -> tuple[int, int]:
    """Return (height, width) of a size given as one integer or two."""
    return (int(value[0]), int(value[1])) if isinstance(value, Sequence) else (int(value), int(value))


def tap_words(
    layer: Mapping[str, Any], spikes: Bits, filter_shape: tuple[int, ...], tws: int
) -> tuple[Bits, tuple[int, ...]]:
    """Return each tap's word at every position and window, [K, P, windows, TWS], and the ofmap's shape."""
    windows = -(-spikes.shape[-1] // tws)
    fill = (0, windows * tws - spikes.shape[-1])
    if layer["kind"] == "linear":
        return np.pad(spikes, ((0, 0), fill)).reshape(len(spikes), 1, windows, tws), ()
    (pad_h, pad_w), (step_h, step_w) = _pair(layer["padding"]), _pair(layer["stride"])
    e_h, e_w = filter_shape[2:]
    ifmap = np.pad(spikes, ((0, 0), (pad_h, pad_h), (pad_w, pad_w), fill))
    r_h, r_w = (ifmap.shape[1] - e_h) // step_h + 1, (ifmap.shape[2] - e_w) // step_w + 1
    taps = [  # ascending (input channel, i, j), Section 1
        channel[i : i + (r_h - 1) * step_h + 1 : step_h, j : j + (r_w - 1) * step_w + 1 : step_w]
        for channel in ifmap
        for i in range(e_h)
        for j in range(e_w)
    ]
    return np.stack(taps).reshape(len(taps), r_h * r_w, windows, tws), (r_h, r_w)


@dataclass(frozen=True)
class Batch:
    """At most `cols` columns of (position, window), and the slots of taps streamed to them.

    A slot is one tap; with `stsap` it may hold several that no column wants at the same time.
    """

    columns: tuple[tuple[int, int], ...]
    slots: tuple[tuple[int, ...], ...]


class Dispatcher:
    """Cuts a tile's work into batches; the tags [K, P, windows] are all it looks at."""

    def __init__(
        self,
        tags: Bits,
        silence_is_free: bool,
        scheduler: str,
        stream: str,
        cols: int,
        channel_taps: int,
        stsap: bool,
    ) -> None:
        self.tags, self.cols, self.scheduler, self.stream = tags, cols, scheduler, stream
        self.channel_taps, self.stsap = channel_taps, stsap
        # Section 2: all channels of a position share the tag; silence that is not free is active everywhere.
        self.active: Bits = np.ones(tags.shape[1:], dtype=np.bool_)
        if silence_is_free:
            self.active = np.logical_or.reduce(tags, axis=0)
        self.mode: str | None = None
        if scheduler == "spikex":  # Section 3: mean active windows per neuron > cols, decided per layer
            self.mode = "temporal" if int(self.active.sum()) > cols * self.active.shape[0] else "spatial"

    def batches(self, tile: Tile) -> list[Batch]:
        """Return the batches of a tile in the order in which they are issued."""
        positions, windows = tile
        if self.scheduler == "ptb":  # Section 7: consecutive windows, whatever their tags
            pools = [[(p, w) for w in windows] for p in positions]
        elif self.mode == "temporal":
            pools = [[(p, w) for w in windows if self.active[p, w]] for p in positions]
        else:
            pools = [[(p, w) for w in windows for p in sorted(positions) if self.active[p, w]]]
        runs = [tuple(pool[i : i + self.cols]) for pool in pools for i in range(0, len(pool), self.cols)]
        return [Batch(columns, self._slots(columns)) for columns in runs]

    def _slots(self, columns: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], ...]:
        """Return the streamed taps in ascending order, each a slot of its own or packed first fit."""
        tags = np.stack([self.tags[:, p, w] for p, w in columns], axis=1)  # [K, columns]
        wanted = tags.any(axis=1)
        if self.stream == "channel":
            wanted = np.repeat(wanted.reshape(-1, self.channel_taps).any(axis=1), self.channel_taps)
        elif self.stream == "all":
            wanted = np.ones_like(wanted)
        taps: list[int] = np.flatnonzero(wanted).tolist()
        if not self.stsap:
            return tuple((tap,) for tap in taps)
        slots: list[list[int]] = []
        taken: list[Bits] = []
        for tap in taps:
            home = next((i for i, used in enumerate(taken) if not (used & tags[tap]).any()), len(slots))
            if home == len(slots):
                slots.append([])
                taken.append(np.zeros_like(tags[tap]))
            slots[home].append(tap)
            taken[home] = taken[home] | tags[tap]
        return tuple(tuple(slot) for slot in slots)


# --- The memory next to the array -----------------------------------------------------------------


class LocalBuffer:
    """The LBUF as the array sees it: weights, spike words with tags, potentials (written at clock edges).

    Parameters
    ----------
    weight : [M][K], one word per output channel and tap
    words : [K, P, windows, TWS] bits, the spike word each tap sees at each position and window
    """

    def __init__(self, weight: list[list[Number]], words: Bits, counters: Counters) -> None:
        self.weights = weight
        self.words, self.tags = words, np.logical_or.reduce(words, axis=-1)
        self.counters = counters
        self.potentials: dict[tuple[int, int], Number] = {}
        self.staged: dict[tuple[int, int], Number] = {}

    def read_weight(self, channel: int, tap: int) -> Number:
        self.counters.weight_words_read += 1
        return self.weights[channel][tap]

    def read_spikes(self, tap: int, position: int, window: int) -> list[bool] | None:
        """Return the word of a tap, or None where its tag is zero: then only the tag is read."""
        self.counters.tag_bits_read += 1
        if not self.tags[tap, position, window]:
            return None
        word: list[bool] = self.words[tap, position, window].tolist()
        self.counters.spike_bits_read += len(word)
        return word

    def read_potential(self, channel: int, position: int) -> Number:
        self.counters.potential_lbuf_reads += 1
        return self.potentials[channel, position]  # a KeyError here is a read of what was never written

    def write_potential(self, channel: int, position: int, u: Number) -> None:
        self.counters.potential_lbuf_writes += 1
        self.staged[channel, position] = u

    def commit(self) -> None:
        self.potentials.update(self.staged)
        self.staged.clear()


# --- Section 4: what travels through the array ----------------------------------------------------


class Kind(Enum):
    """What a PE does with a token."""

    TAP = "integrate"
    UPDATE = "update"
    END = "end"


class Load(Enum):
    """Where the potential of a LIF unit comes from at the start of an operation."""

    KEEP = "own register"
    REST = "a neuron's first active window: at rest"
    LBUF = "local buffer"
    ROW = "register of the column that holds the preceding window"


@dataclass(frozen=True, slots=True)
class UpdateOp:
    """One cycle of the update phase for one column; by default none of its work falls into this cycle."""

    position: int = -1
    window: int = -1
    load: Load = Load.KEEP
    source: int = -1  # the column meant by Load.ROW
    leak_windows: int = 0  # skipped windows made up for
    point: int = -1  # time point of the window that is updated, -1: none
    store: bool = False  # write the potential to the LBUF


IDLE = UpdateOp()


@dataclass(frozen=True, slots=True)
class RowToken:
    """Moves right through the first `columns` PEs of a row: a slot's weights, or the bias of an update."""

    kind: Kind
    columns: int
    values: tuple[Number, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnToken:
    """Moves down: a spike word (None: zero tag) with the index of its weight in the slot, or an operation."""

    kind: Kind
    word: list[bool] | None = None
    select: int = 0
    op: UpdateOp = IDLE


@dataclass(frozen=True, slots=True)
class Wavefront:
    """The tokens that PE (0, 0), and r + c cycles later PE (r, c), sees together."""

    rows: tuple[RowToken, ...] = ()
    columns: tuple[ColumnToken, ...] = ()


class Sequencer:
    """Turns the batches of a row group into wavefronts, reading the LBUF as it issues them."""

    def __init__(
        self,
        lbuf: LocalBuffer,
        channels: range,
        bias: Sequence[Number] | None,
        tws: int,
        update_cycles: int,
        catchup_cycles: int,
    ) -> None:
        self.lbuf, self.channels, self.tws = lbuf, channels, tws
        self.update_cycles, self.catchup_cycles = update_cycles, catchup_cycles
        self.bias = [() if bias is None else (bias[m],) for m in channels]
        self.last_window: dict[int, int] = {}  # per position, over all tiles of the row group

    def program(self, batches: Sequence[Batch], width: int) -> Iterator[Wavefront]:
        """Yield the wavefronts of batches that follow back to back, the widest of them of `width` columns."""
        for batch in batches:
            yield from self.batch(batch)
        yield Wavefront((RowToken(Kind.END, width),) * len(self.channels), (ColumnToken(Kind.END),) * width)

    def batch(self, batch: Batch) -> Iterator[Wavefront]:
        """Yield the wavefronts of one batch."""
        self.lbuf.counters.batches += 1
        for slot in batch.slots:
            self.lbuf.counters.streamed_taps += len(slot)
            yield self._tap(batch, slot)
        yield from self._update(batch)

    def _tap(self, batch: Batch, slot: tuple[int, ...]) -> Wavefront:
        n = len(batch.columns)
        weights = [tuple(self.lbuf.read_weight(m, k) for k in slot) for m in self.channels]
        columns = []
        for p, w in batch.columns:
            words = [self.lbuf.read_spikes(k, p, w) for k in slot]
            wanted = [i for i, word in enumerate(words) if word is not None]
            if len(wanted) > 1:
                raise RuntimeError("two taps of a slot are active in the same column")
            select = wanted[0] if wanted else 0
            columns.append(ColumnToken(Kind.TAP, words[select], select))
        return Wavefront(tuple(RowToken(Kind.TAP, n, values) for values in weights), tuple(columns))

    def _update(self, batch: Batch) -> Iterator[Wavefront]:
        """Yield one wavefront per cycle until every position's windows are updated, one after the other."""
        seats: dict[int, list[tuple[int, int]]] = {}
        for column, (p, w) in enumerate(batch.columns):
            seats.setdefault(p, []).append((column, w))
        queues = [deque(self._operations(p, seat)) for p, seat in seats.items()]
        rows = tuple(RowToken(Kind.UPDATE, len(batch.columns), bias) for bias in self.bias)
        while any(queues):
            ops = [IDLE] * len(batch.columns)
            for queue in queues:
                if queue:
                    column, op = queue.popleft()
                    ops[column] = op
            yield Wavefront(rows, tuple(ColumnToken(Kind.UPDATE, op=op) for op in ops))

    def _operations(self, p: int, seat: list[tuple[int, int]]) -> Iterator[tuple[int, UpdateOp]]:
        """Yield (column, operation) of one position cycle by cycle; `seat` has its (column, window) pairs."""
        for i, (column, w) in enumerate(seat):
            before = self.last_window.get(p)
            self.last_window[p] = w
            load, source = Load.REST, -1
            if before is not None:
                load = Load.LBUF
                if i and seat[i - 1][1] == w - 1:  # handed along within the phase
                    load, source = Load.ROW, seat[i - 1][0]
            owed = 0 if before is None else w - before - 1
            store = not (i + 1 < len(seat) and seat[i + 1][1] == w + 1)
            for _ in range(owed if self.catchup_cycles else 0):
                yield column, UpdateOp(p, w, load, source, leak_windows=1)
                load = Load.KEEP
                for _ in range(self.catchup_cycles - 1):
                    yield column, IDLE
            free = 0 if self.catchup_cycles else owed  # catch-up without a cycle rides on the first update
            yield from self._window(column, UpdateOp(p, w, load, source, free, store=store))

    def _window(self, column: int, whole: UpdateOp) -> Iterator[tuple[int, UpdateOp]]:
        """Yield the operations of one window, given what comes before its first update and after its last."""
        op = whole
        for j in range(self.tws):
            for _ in range(self.update_cycles - 1):  # the potential is there in the last of them
                yield column, IDLE
            yield column, replace(op, point=j, store=whole.store and j == self.tws - 1)
            op = replace(op, load=Load.KEEP, source=-1, leak_windows=0)
