"""What signals were while a network ran: spikes packed, numbers of what enters and of read-outs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.sources.frameworks.companions import Known, Read
from spikex_sim.sources.frameworks.signals import Signal, Spiking

Values = NDArray[Any]


class Memory:
    """What was seen of signals, of one run of a network."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.wanted: set[Signal] = set()
        """Sums of which numbers are kept: read-outs."""
        self._bits: dict[Signal, dict[tuple[int, int], Values]] = {}
        self._values: dict[Signal, dict[tuple[int, int], Values]] = {}
        self._analog: set[Signal] = set()

    def forget(self) -> None:
        """Start anew."""
        self._bits, self._values, self._analog = {}, {}, set()

    def keep(self, signal: Signal, read: Read, order: Values, out: Any) -> None:
        """Keep what a tensor holds of a signal; ``order``: indices of its elements."""
        back = np.empty(signal.size, np.int64)
        back[order.ravel()] = np.arange(signal.size)
        rows = out.detach().cpu().numpy().reshape(len(read.late), -1)[:, back]
        for late, sample, row in zip(read.late, read.sample, rows, strict=True):
            self._keep(signal, int(late), int(sample), row)

    def keep_elements(self, signal: Signal, start: int, known: Known, tensor: Any) -> None:
        """Keep what enters, wherever it is in a tensor."""
        number, place = known.number.numpy().ravel(), known.place.numpy().ravel()
        values = tensor.detach().cpu().numpy().ravel()
        mine = np.flatnonzero((number >= start) & (number < start + signal.size))
        places = place[mine]
        for one in np.unique(places):
            late, sample = int(one) // self.samples, int(one) % self.samples
            here = mine[places == one]
            row = self._row(signal, late, sample)
            row[number[here] - start] = values[here]
            self._keep(signal, late, sample, row)

    def _row(self, signal: Signal, late: int, sample: int) -> Values:
        key = (late, sample)
        if key in self._values.get(signal, {}):
            return self._values[signal][key]
        if key in self._bits.get(signal, {}):
            return np.unpackbits(self._bits[signal][key], count=signal.size).astype(np.float32)
        return np.zeros(signal.size, np.float32)

    def _keep(self, signal: Signal, late: int, sample: int, row: Values) -> None:
        ones = row != 0
        if signal not in self.wanted and (isinstance(signal, Spiking) or (row[ones] == 1).all()):
            self._bits.setdefault(signal, {})[late, sample] = np.packbits(ones)
            self._values.get(signal, {}).pop((late, sample), None)
        else:
            self._values.setdefault(signal, {})[late, sample] = row.astype(np.float32)
            self._bits.get(signal, {}).pop((late, sample), None)

    def analog(self, signal: Signal) -> bool:
        """Whether anything but 0 and 1 was seen."""
        return bool(self._values.get(signal))

    def places(self, signal: Signal) -> set[tuple[int, int]]:
        """Pairs of ``t + 1`` and sample of which something was seen."""
        return {*self._bits.get(signal, ()), *self._values.get(signal, ())}

    def constant(self, signal: Signal) -> bool:
        """Whether a signal was seen to be the same at all time points."""
        seen = self.places(signal)
        for sample in range(self.samples):
            rows = [self._row(signal, late, sample) for late, one in sorted(seen) if one == sample]
            if any((row != rows[0]).any() for row in rows[1:]):
                return False
        return True

    def once(self, signal: Signal) -> Values:
        """Numbers of a constant signal, ``[B, C, H, W]``."""
        first = {sample: late for late, sample in sorted(self.places(signal), reverse=True)}
        rows = [self._row(signal, first[sample], sample) for sample in range(self.samples)]
        return np.stack(rows).reshape(self.samples, *signal.shape)

    def over_time(self, signal: Signal, timesteps: int) -> Values:
        """Numbers ``[B, C, H, W, T]``; zeros where nothing was seen."""
        found = np.zeros((self.samples, signal.size, timesteps), np.float32)
        for late, sample in self.places(signal):
            where: Iterable[int] = range(timesteps) if late == 0 else [late - 1]
            for time in where:
                if time < timesteps:
                    found[sample, :, time] = self._row(signal, late, sample)
        return found.reshape(self.samples, *signal.shape, timesteps)

    def packed(self, signal: Signal, timesteps: int) -> PackedSpikes:
        """Spikes ``[B, C, H, W, ceil(T/8)]``."""
        found = np.zeros((self.samples, signal.size, -(-timesteps // 8)), np.uint8)
        for late, sample in self.places(signal):
            ones = self._row(signal, late, sample).astype(np.uint8)
            for time in range(timesteps) if late == 0 else [late - 1]:
                if time < timesteps:
                    found[sample, :, time >> 3] |= ones << (7 - (time & 7))
        return found.reshape(self.samples, *signal.shape, -1)

    def digest(self, signal: Signal) -> int:
        """What tells whether two runs gave the same."""
        return hash(tuple((key, row.tobytes()) for key, row in sorted(self._bits.get(signal, {}).items())))
