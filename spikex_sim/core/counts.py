"""Counts: how often which component did what with which tensor. Integers only; energy is another pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import add, attrgetter, index
from typing import Literal

from spikex_sim.core.errors import InternalError
from spikex_sim.core.frozen import FrozenMap

LEVELS = ("dram", "glb", "lbuf", "rf")
"""Components that are levels of memory."""
TENSORS = ("ifmap", "filter", "ofmap", "psum", "tag")
READ, WRITE = "read_bits", "write_bits"
"""Actions of a memory."""
TAGS_COMPARED, TAGS_STORED = ("dispatch", "compared_bits", "tag"), ("dispatch", "stored_bits", "tag")
"""What a dispatch policy compares, and what it writes into registers."""
CLOCKED = ("clock", "pe_cycles", "")
"""Cycles of PEs in use, where these alone are clocked."""
DESKEWED, HANDED_OVER = ("deskew", "moved_bits", "psum"), ("handover", "moved_bits", "psum")
"""Sums on their way through registers that align a row, each time; potentials between columns."""
LOOKED_UP, SCANNED = ("window_table", "accesses", "psum"), ("scanner", "examined_bits", "tag")
"""Last windows, read and written, and tags that are looked at for the next active tap."""
CAUGHT_UP = ("lif", "catchups", "")
"""Leaks of a potential over a skipped window."""
MOST = 2**63 - 1

Counter = tuple[str, str, str]
"""Component, action and tensor; the tensor is empty where an action has none."""


def checked(counter: Counter | str, number: int) -> int:
    """A count as a Python integer; :class:`InternalError` if it is none of 64 bits from 0."""
    if type(number) is int and 0 <= number <= MOST:
        return number
    whole = index(number)
    if not 0 <= whole <= MOST:
        why = ", more than 64 bits hold" if whole > 0 else ""
        raise InternalError(f"{name_of(counter)} is {whole}{why}")
    return whole


def name_of(counter: Counter | str) -> str:
    """What messages call a counter: ``lbuf read_bits of psum``."""
    if isinstance(counter, str):
        return counter
    component, action, tensor = counter
    return f"{component} {action}" + (f" of {tensor}" if tensor else "")


class Counts(FrozenMap[Counter, int]):
    """Counters that are not zero, by (component, action, tensor); any that is asked for is there.

    Parameters
    ----------
    items : mapping of (str, str, str) to int
        Counters; which components and actions there are is up to the machine.

    Raises
    ------
    InternalError
        If a counter is negative or does not fit 64 bits; names it.

    Examples
    --------
    >>> counts = Counts({("glb", "read_bits", "filter"): 8}) + Counts({("adc", "convert", ""): 3})
    >>> counts["adc", "convert", ""], counts["adc", "convert", "psum"]
    (3, 0)
    """

    __slots__ = ()

    def __init__(self, items: Mapping[Counter, int] = FrozenMap()) -> None:
        super().__init__({counter: checked(counter, number) for counter, number in items.items() if number})

    def __getitem__(self, counter: Counter) -> int:
        return self._items.get(counter, 0)

    def __add__(self, other: Counts) -> Counts:
        return added((self, other)) if other else self


def added(several: Iterable[Counts]) -> Counts:
    """Sum of counts."""
    found: dict[Counter, int] = {}
    for one in several:
        for counter, number in one.items():
            found[counter] = found.get(counter, 0) + number
    return Counts(found)


@dataclass(frozen=True, eq=False)
class Accesses(Mapping[str, Mapping[str, Mapping[str, int]]]):
    """The view of counts that shows memories, as in ``results.json``: by level, tensor and direction.

    ``accesses["lbuf"]["filter"]["read_bits"]``; the usual levels and tensors are always there, others where
    something was counted.
    """

    counts: Counts = field(default_factory=Counts)

    def __add__(self, other: Accesses) -> Accesses:
        return Accesses(self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Accesses) and list(self.rows()) == list(other.rows())

    __hash__ = None  # type: ignore[assignment]  # mappings have no hash

    def read_bits(self, level: str, tensor: str) -> int:
        """Bits of ``tensor`` read from ``level``."""
        return self.counts[level, READ, tensor]

    def write_bits(self, level: str, tensor: str) -> int:
        """Bits of ``tensor`` written to ``level``."""
        return self.counts[level, WRITE, tensor]

    def __getitem__(self, level: str) -> Mapping[str, Mapping[str, int]]:
        if level not in self._names(0, LEVELS):
            raise KeyError(level)
        ways = (READ, WRITE)
        tensors = self._names(2, TENSORS)
        return FrozenMap(
            {tensor: FrozenMap({way: self.counts[level, way, tensor] for way in ways}) for tensor in tensors}
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names(0, LEVELS))

    def __len__(self) -> int:
        return len(self._names(0, LEVELS))

    def rows(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield (level, tensor, bits read, bits written) in a fixed order."""
        for level in self:
            for tensor in self._names(2, TENSORS):
                yield level, tensor, self.read_bits(level, tensor), self.write_bits(level, tensor)

    def _names(self, place: int, usual: tuple[str, ...]) -> tuple[str, ...]:
        found = (counter[place] for counter in self.counts if counter[1] in (READ, WRITE))
        return (*usual, *sorted(set(found).difference(usual)))


class AccessLog:
    """Collects what the components of a machine do in a layer; :meth:`freeze` makes it immutable."""

    def __init__(self) -> None:
        self._counts: dict[Counter, int] = {}

    def count(self, component: str, action: str, tensor: str, number: int) -> None:
        """Count that a component did something ``number`` times."""
        counter = (component, action, tensor)
        self._counts[counter] = self._counts.get(counter, 0) + checked(counter, number)

    def read(self, level: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` read from ``level``."""
        self.count(level, READ, tensor, bits)

    def write(self, level: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` written to ``level``."""
        self.count(level, WRITE, tensor, bits)

    def move(self, source: str, target: str, tensor: str, bits: int) -> None:
        """Count ``bits`` of ``tensor`` read from ``source`` and written to ``target``."""
        self.read(source, tensor, bits)
        self.write(target, tensor, bits)

    def freeze(self) -> Accesses:
        """Return what was counted so far."""
        return Accesses(Counts(self._counts))


@dataclass(frozen=True)
class Stalls(Mapping[str, int]):
    """Cycles in which the array waits (Section 5, Stalls); also a mapping from cause to cycles.

    Only networks with recurrence have ``recurrence``: between runs, until outputs are there as inputs.

    Raises
    ------
    InternalError
        If one is negative or does not fit 64 bits; names it.
    """

    dram: int = 0
    glb: int = 0
    lbuf: int = 0
    drain: int = 0
    recurrence: int = 0

    def __post_init__(self) -> None:
        cycles = _causes(self)
        if min(cycles) < 0 or max(cycles) > MOST:
            for cause, number in zip(self.__dataclass_fields__, cycles, strict=True):
                checked(f"{cause} stall", number)

    @property
    def total(self) -> int:
        """Sum of all stall cycles."""
        return self.dram + self.glb + self.lbuf + self.drain + self.recurrence

    def __add__(self, other: Stalls) -> Stalls:
        return Stalls(*map(add, _causes(self), _causes(other)))

    def __getitem__(self, cause: str) -> int:
        if cause not in self.__dataclass_fields__:
            raise KeyError(cause)
        return int(getattr(self, cause))

    def __iter__(self) -> Iterator[str]:
        return (cause for cause in self.__dataclass_fields__ if cause != "recurrence" or self.recurrence)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_causes = attrgetter(*Stalls.__dataclass_fields__)
"""Cycles of some :class:`Stalls`, in order."""


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

    Raises
    ------
    InternalError
        If one is negative or does not fit 64 bits; names it.
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

    def __post_init__(self) -> None:
        counts = _fields(self)
        if min(counts) < 0 or max(counts) > MOST:
            for name, number in zip(self.__dataclass_fields__, counts, strict=True):
                checked(name, number)

    def __add__(self, other: Operations) -> Operations:
        return Operations(*map(add, _fields(self), _fields(other)))

    def times(self, number: int) -> Operations:
        """Done so often."""
        return Operations(*(count * number for count in _fields(self)))

    def alu(self, datapath: Literal["int", "float"]) -> Counts:
        """What of it the component ``alu`` is charged for; a comparison is part of every update."""
        actions = {
            ADD: self.accumulations,
            UPDATE: self.lif_updates,
            MULTIPLY: self.multiplications,
            COMPARE: self.comparisons - self.lif_updates,
        }
        return Counts({alu(action, datapath): number for action, number in actions.items()})


_fields = attrgetter(*Operations.__dataclass_fields__)
"""All counts of some :class:`Operations`, in order."""

ADD, UPDATE, MULTIPLY, COMPARE = "accumulate", "update", "multiply", "compare"
"""Actions of the ALU."""


def alu(action: str, datapath: Literal["int", "float"]) -> Counter:
    """Counter of an action of the ALU; those of the float datapath are counted apart."""
    return "alu", action if datapath == "int" else f"float_{action}", ""
