"""Counts: how often which component did what with which tensor. Integers only; energy is another pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from operator import add, attrgetter

import numpy as np
from numpy.typing import NDArray

LEVELS = ("dram", "glb", "lbuf", "rf")
TENSORS = ("ifmap", "filter", "ofmap", "psum", "tag")
READ, WRITE = 0, 1


def _empty() -> NDArray[np.int64]:
    return np.zeros((len(LEVELS), len(TENSORS), 2), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Accesses(Mapping[str, dict[str, dict[str, int]]]):
    """Bits read and written per memory level and tensor.

    Also a mapping as in ``results.json``: ``accesses["lbuf"]["filter"]["read_bits"]``.

    Attributes
    ----------
    bits : int64 array ``[level, tensor, 2]``
        Indexed by :data:`LEVELS`, :data:`TENSORS` and (:data:`READ`, :data:`WRITE`).
    """

    bits: NDArray[np.int64] = field(default_factory=_empty)

    def __post_init__(self) -> None:
        if self.bits.min() < 0:
            raise OverflowError("an access count is negative: it overflowed or was never counted")
        self.bits.setflags(write=False)

    def __add__(self, other: Accesses) -> Accesses:
        return Accesses(self.bits + other.bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Accesses) and bool(np.array_equal(self.bits, other.bits))

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def read_bits(self, level: str, tensor: str) -> int:
        """Bits of ``tensor`` read from ``level``."""
        return int(self.bits[LEVELS.index(level), TENSORS.index(tensor), READ])

    def write_bits(self, level: str, tensor: str) -> int:
        """Bits of ``tensor`` written to ``level``."""
        return int(self.bits[LEVELS.index(level), TENSORS.index(tensor), WRITE])

    def __getitem__(self, level: str) -> dict[str, dict[str, int]]:
        if level not in LEVELS:
            raise KeyError(level)
        return {
            tensor: {"read_bits": self.read_bits(level, tensor), "write_bits": self.write_bits(level, tensor)}
            for tensor in TENSORS
        }

    def __iter__(self) -> Iterator[str]:
        return iter(LEVELS)

    def __len__(self) -> int:
        return len(LEVELS)

    def rows(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield (level, tensor, bits read, bits written) in a fixed order."""
        for level, by_tensor in zip(LEVELS, self.bits.tolist(), strict=True):
            for tensor, (read, written) in zip(TENSORS, by_tensor, strict=True):
                yield level, tensor, read, written


class AccessLog:
    """Collects the accesses of a layer; :meth:`freeze` makes them immutable."""

    def __init__(self) -> None:
        self._bits = dict.fromkeys(product(LEVELS, TENSORS, (READ, WRITE)), 0)

    def read(self, level: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` read from ``level``."""
        self._add(level, tensor, READ, bits)

    def write(self, level: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` written to ``level``."""
        self._add(level, tensor, WRITE, bits)

    def move(self, source: str, target: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` read from ``source`` and written to ``target``."""
        self.read(source, tensor, bits)
        self.write(target, tensor, bits)

    def _add(self, level: str, tensor: str, direction: int, bits: int) -> None:
        if bits < 0:
            raise OverflowError(f"{level} {tensor}: {bits} bits cannot be moved")
        self._bits[level, tensor, direction] += bits

    def freeze(self) -> Accesses:
        """Return what was counted so far."""
        return Accesses(np.array(list(self._bits.values()), np.int64).reshape(len(LEVELS), len(TENSORS), 2))


@dataclass(frozen=True)
class Stalls(Mapping[str, int]):
    """Cycles in which the array waits (Section 5, Stalls); also a mapping from cause to cycles."""

    dram: int = 0
    glb: int = 0
    lbuf: int = 0
    drain: int = 0

    @property
    def total(self) -> int:
        """Sum of all stall cycles."""
        return self.dram + self.glb + self.lbuf + self.drain

    def __add__(self, other: Stalls) -> Stalls:
        return Stalls(
            self.dram + other.dram, self.glb + other.glb, self.lbuf + other.lbuf, self.drain + other.drain
        )

    def __getitem__(self, cause: str) -> int:
        if cause not in self.__dataclass_fields__:
            raise KeyError(cause)
        return int(getattr(self, cause))

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dataclass_fields__)

    def __len__(self) -> int:
        return len(self.__dataclass_fields__)


@dataclass(frozen=True)
class Operations:
    """What the PE array did in a layer, summed over row groups (Section 4).

    Attributes
    ----------
    ntwus : int
        Active NTWUs, one per neuron and window (Section 2); a baseline may issue more.
    batches, streamed_taps : int
        Batches, and the sum of ``|S_b|`` over them.
    accumulations, lif_updates, comparisons : int
        Adds of a weight, potential updates and threshold comparisons (padded time points included).
    multiplications : int
        Products of a weight and an activation (ANN only; each is accumulated too).
    leak_catchups : int
        Skipped windows whose leak was caught up, one per neuron and window.
    dense_accumulations : int
        Every synapse and time point, inside the map or not: ``M * P * K * T``.
    pe_cycles : int
        PEs in use times cycles, summed over batches: the numerator of the utilisation.
    array_ifmap_words, array_filter_words, array_ofmap_words : int
        Words that cross the edge of a dense array: SCALE-Sim's SRAM counts; 0 on machines that skip.
    """

    ntwus: int = 0
    batches: int = 0
    streamed_taps: int = 0
    accumulations: int = 0
    lif_updates: int = 0
    comparisons: int = 0
    multiplications: int = 0
    leak_catchups: int = 0
    dense_accumulations: int = 0
    pe_cycles: int = 0
    array_ifmap_words: int = 0
    array_filter_words: int = 0
    array_ofmap_words: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(*map(add, _counts(self), _counts(other)))

    def times(self, number: int) -> Operations:
        """Done so often."""
        return Operations(*(count * number for count in _counts(self)))


_counts = attrgetter(*Operations.__dataclass_fields__)
"""All counts of some :class:`Operations`, in order."""
