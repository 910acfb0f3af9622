"""Dispatch for the register-level model: which batches of columns, and which taps, reach the array.

Sections 1 (a layer's geometry), 2 (tags), 3 (SpikeX) and 7 (PTB) of ``model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.bool_]
Tile: TypeAlias = tuple[Sequence[int], range]  # positions, windows

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
            self.active = np.any(tags, axis=0, keepdims=True)[0]
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
