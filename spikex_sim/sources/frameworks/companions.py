"""What the elements of a tensor are: of which signal, which element, at which time point, of which sample.

Beside every tensor that is followed go two of integers: an element's number (0: the constant zero), and its
place, ``(t + 1) B + b``, ``t`` = -1 where it is the same at all time points. Reshapes, transposes, stacks and
slices are done to them as to the tensor, so that nothing is ever concluded from sizes.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.signals import Joined, Signal, Sliced, key_of

TAG = "_spikex_companion"
_MOST = (1 << 31) - 1


class Known(NamedTuple):
    """Companions of a tensor: numbers and places, int32 tensors of its shape."""

    number: Any
    place: Any


class Lost(NamedTuple):
    """A tensor that is no longer followed, and why."""

    reason: str
    field: str
    harmless: bool
    nameless: bool = False


class Unfollowed(Exception):  # noqa: N818 - it never leaves the package
    """What a tensor holds has no place in a graph; the message says what it is.

    ``nameless``: whether the module around may say better what it is.
    """

    def __init__(self, message: str, *, nameless: bool = False) -> None:
        super().__init__(message)
        self.nameless = nameless


@dataclass(frozen=True, eq=False)
class Read:
    """What a module finds in a tensor: the same elements at all places.

    Attributes
    ----------
    lead : tuple of int
        Axes of time points and samples.
    late : int array ``[L]``
        ``t + 1`` of each place, 0 for what is constant.
    sample : int array ``[L]``
        Sample of each.
    number : int array
        Of the elements, in the shape of the other axes.
    delays : dict of Signal to int
        By how many time points each signal in it comes later than the latest.
    """

    lead: tuple[int, ...]
    late: NDArray[Any]
    sample: NDArray[Any]
    number: NDArray[Any]
    delays: dict[Signal, int]


class Numbering:
    """Signals, and the numbers of their elements."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._signals: list[Signal] = []
        self._next = 1
        self._start: dict[Signal, int] = {}
        self._made: dict[Any, Signal] = {}

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All there are, in the order in which they were made."""
        return tuple(self._signals)

    def make(
        self, cls: type[Signal], name: str, shape: tuple[int, ...], key: Any = None, /, **what: Any
    ) -> Signal:
        """Make a signal, or give the one that is the same: of the same ``key``, else of the same contents."""
        told = [(k, key_of(v)) for k, v in sorted(what.items())] if key is None else key
        key = (cls, name, tuple(shape), *told)
        if key not in self._made:
            self._made[key] = self.add(cls(name, tuple(shape), **what))  # type: ignore[arg-type]
        return self._made[key]

    def add(self, signal: Signal) -> Signal:
        """Give numbers to the elements of a new signal."""
        if self._next + signal.size > _MOST:
            raise TraceError(f"more than {_MOST} values at a time point", field=signal.name)
        self._starts.append(self._next)
        self._signals.append(signal)
        self._start[signal] = self._next
        self._next += signal.size
        return signal

    def start(self, signal: Signal) -> int:
        """Number of a signal's first element."""
        return self._start[signal]

    def at(self, number: int) -> Signal:
        """Signal of an element."""
        return self._signals[bisect_right(self._starts, number) - 1]

    def split(self, number: NDArray[Any]) -> dict[Signal, NDArray[Any]]:
        """Signals that elements are of, and where they are, in a flat array."""
        flat = number.ravel()
        left = np.flatnonzero(flat)
        found: dict[Signal, NDArray[Any]] = {}
        while len(left):
            signal = self.at(int(flat[left[0]]))
            first = self._start[signal]
            mine = (flat[left] >= first) & (flat[left] < first + signal.size)
            found[signal], left = left[mine], left[~mine]
        return found

    def read(self, known: Known, samples: int, lead: int | None = None) -> Read:
        """Find what a tensor holds; ``lead``: axes of time points and samples, where that is clear."""
        number, place = known.number, known.place
        if lead is None:
            lead = 0
            while lead < number.ndim and _same_along(number, lead):
                lead += 1
        if lead < 0:
            raise Unfollowed("has too few axes")
        shape = tuple(number.shape[:lead])
        features = number[(0,) * lead].numpy()
        if any(not _same_along(number, axis) for axis in range(lead)):
            raise Unfollowed("holds different things for different time points or samples")
        places = place.reshape(int(np.prod(shape)), -1).numpy()
        latest: NDArray[Any] | None = None
        sample: NDArray[Any] | None = None
        times = {}
        for signal, where in self.split(features).items():
            one = places[:, where[0]]
            if not (places[:, where] == one[:, None]).all():
                raise Unfollowed("holds different time points or samples side by side")
            if sample is not None and (sample != one % samples).any():
                raise Unfollowed("holds different samples side by side")
            times[signal], sample = one // samples, one % samples
            latest = times[signal] if latest is None else np.maximum(latest, times[signal])
        if latest is None or sample is None:
            raise Unfollowed("holds nothing but zeros")
        delays = {}
        for signal, time in times.items():
            delay = (latest - time)[time > 0]
            if len(delay) and (delay != delay[0]).any():
                raise Unfollowed("holds different time points side by side")
            delays[signal] = int(delay[0]) if len(delay) else 0
        return Read(shape, latest, sample, features, delays)

    def time_first(self, known: Known | Lost | None) -> tuple[int, ...] | None:
        """Order of a tensor's axes with those of time points and samples first; None where they are."""
        if not isinstance(known, Known):
            return None
        shared = [_same_along(known.number, axis) for axis in range(known.number.ndim)]
        if shared == sorted(shared, reverse=True):
            return None
        return tuple(sorted(range(len(shared)), key=lambda axis: not shared[axis]))

    def whole(self, number: NDArray[Any]) -> tuple[Signal, NDArray[Any]]:
        """Find the signal all of which elements are, in whatever order, and each one's index in it."""
        found = self.split(number)
        if len(found) == 1 and 0 not in number:
            (signal,) = found
            index = number - self._start[signal]
            flat = index.ravel()
            if flat.size == signal.size and _is_permutation(flat):
                return signal, index
            low = int(flat.min())
            if low % signal.plane == 0 and flat.size % signal.plane == 0 and _is_permutation(flat - low):
                return self.sliced(signal, low // signal.plane, flat.size // signal.plane), index - low
            raise Unfollowed(f"holds some of what {signal.name} gives, and no channels as a whole")
        return self._side_by_side(number), np.arange(number.size).reshape(number.shape)

    def sliced(self, signal: Signal, first: int, count: int) -> Signal:
        """Some channels of a signal."""
        if (first, count) == (0, signal.shape[0]):
            return signal
        return self.make(Sliced, signal.name, (count, *signal.shape[1:]), source=signal, first=first)

    def _side_by_side(self, number: NDArray[Any]) -> Signal:
        flat, parts, at = number.ravel(), list[Signal](), 0
        while at < len(flat):
            if not flat[at]:
                raise Unfollowed("holds zeros beside what is followed")
            signal = self.at(int(flat[at]))
            end = at
            while end < len(flat) and flat[end] and self.at(int(flat[end])) is signal:
                end += min(signal.plane, len(flat) - end)
            part, index = self.whole(flat[at:end])
            if not part.spiking or (index != np.arange(len(index))).any():
                raise Unfollowed("holds sums of different modules side by side")
            parts.append(part)
            at = end
        if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
            raise Unfollowed("holds maps of different sizes side by side")
        shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
        return self.make(Joined, "concat", shape, how="concat", operands=tuple(parts))


def _same_along(tensor: Any, axis: int) -> bool:
    if tensor.shape[axis] == 1 or tensor.stride(axis) == 0:
        return True
    return bool((tensor == tensor.narrow(axis, 0, 1)).all())


def _is_permutation(flat: NDArray[Any]) -> bool:
    if flat.min() != 0 or flat.max() != len(flat) - 1:
        return False
    return bool((np.diff(flat) == 1).all()) or len(np.unique(flat)) == len(flat)


def tag_of(tensor: Any) -> Known | Lost | None:
    """What is known of a tensor."""
    found: Known | Lost | None = getattr(tensor, TAG, None)
    return found


def put(tensor: Any, tag: Known | Lost) -> None:
    """Say what a tensor is."""
    setattr(tensor, TAG, tag)
