"""Results of many samples as they come: added up at once, none of them held."""

from __future__ import annotations

import hashlib
import pickle
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from operator import eq
from typing import Any, overload

import numpy as np

from spikex_sim.core.counts import Counts, Operations, Stalls
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.costs.energy import Area, Energy
from spikex_sim.run.results import LayerResult, SampleResult
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.held import Held, merged

FEW = 16
"""Results that are held as they are."""
Outputs = PackedSpikes | None
"""What left a layer: packed spikes ``[..., ceil(T/8)]``; in an ANN a byte an activation."""


@dataclass(frozen=True, eq=False)
class SampleRun:
    """One sample that was replayed.

    Attributes
    ----------
    name : str
        As in the trace.
    label : int or None
        Class.
    layers : tuple of LayerResult
        What each layer cost.
    outputs : tuple of uint8 array or None
        What left each layer.
    software : int or None
        Class that exact sums predict, of a crossbar machine.
    """

    name: str
    label: int | None
    layers: tuple[LayerResult, ...]
    outputs: tuple[Outputs, ...]
    software: int | None = None

    @property
    def answer(self) -> Outputs:
        """What left the last conv or linear layer."""
        found = [out for out, layer in zip(self.outputs, self.layers, strict=True) if layer.tws is not None]
        return found[-1] if found else None

    def result(self, area: Area, *, spiking: bool) -> SampleResult:
        """Totals of the sample, with name, class and prediction."""
        answer = self.answer if spiking else None
        predicted = None if answer is None else int(class_sums(answer).argmax())
        more = {"name": self.name, "label": self.label, "prediction": predicted}
        more["software_prediction"] = self.software
        return SampleResult.of(self.layers, area, **more)


def class_sums(outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Spikes, or summed currents, of each class ``[classes]``: of an output channel over positions and time.

    The class that is predicted has the most, of several the lowest. Spikes are packed (uint8).
    """
    each = np.bitwise_count(outputs) if outputs.dtype == np.uint8 else outputs
    exact = np.float64 if each.dtype.kind == "f" else np.int64
    sums: np.ndarray[Any, np.dtype[Any]] = each.reshape(len(each), -1).sum(axis=1, dtype=exact)
    return sums


class PackedResults(Sequence[SampleResult]):
    """Results of samples, each packed and unpacked when it is asked for; equal to a tuple of them."""

    def __init__(self, results: Iterable[SampleResult]) -> None:
        pickled = (pickle.dumps(one, pickle.HIGHEST_PROTOCOL) for one in results)
        self._packed = tuple(zlib.compress(one, 1) for one in pickled)

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, place: int) -> SampleResult: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[SampleResult, ...]: ...
    def __getitem__(self, place: int | slice) -> SampleResult | tuple[SampleResult, ...]:
        if isinstance(place, slice):
            return tuple(map(_unpacked, self._packed[place]))
        return _unpacked(self._packed[place])

    def __iter__(self) -> Iterator[SampleResult]:
        return map(_unpacked, self._packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as what it holds

    def __repr__(self) -> str:
        return f"<{len(self)} SampleResults>"


def sample_results(results: Iterable[SampleResult]) -> Sequence[SampleResult]:
    """Results of samples, of many packed."""
    coming = iter(results)
    few = tuple(islice(coming, FEW))
    return few if len(few) < FEW else PackedResults(chain(few, coming))


def _unpacked(packed: bytes) -> SampleResult:
    found: SampleResult = pickle.loads(zlib.decompress(packed))
    return found


class LayerSum:
    """One layer, added up over samples; what differs between them and cannot be summed becomes None.

    The hash is over the outputs of all samples one after the other, as with a leading sample axis.
    """

    def __init__(self) -> None:
        self._first: tuple[LayerResult, Outputs] | None = None
        self._count = 0

    def add(self, run: LayerResult, outputs: Outputs) -> None:
        """Add a sample."""
        if self._first is None:
            self._first = run, outputs
        elif self._count == 1:
            self._begin(self._first[0])
            self._more(*self._first)
        self._count += 1
        if self._count > 1:
            self._more(run, outputs)

    def _begin(self, first: LayerResult) -> None:
        self._mode, self._mapping = first.mode, dict(first.mapping)
        self._whole: dict[str, Any] = dict.fromkeys(("cycles", "compute_cycles", "steps"), 0)
        known = ("input_spikes", "output_spikes", "mismatched_spikes", "changed_spikes")
        self._known: dict[str, Any] = dict.fromkeys(known, 0)
        self._stalls, self._operations, self._counts = Stalls(), Operations(), Counts()
        self._busy: Counter[str] = Counter()
        self._held: tuple[Held, ...] = ()
        self._span = 0
        self._chip: ChipFigures | None = None
        self._energies: array[float] = array("d")  # one after the other: added up at the end, as of a list
        self._estimates: list[float] | None = []
        self._digest: Any = hashlib.sha256()

    def _more(self, run: LayerResult, outputs: Outputs) -> None:
        for name in self._whole:
            self._whole[name] += getattr(run, name)
        for name, sum_ in self._known.items():
            more = getattr(run, name)
            self._known[name] = None if sum_ is None or more is None else sum_ + more
        if run.mode != self._mode:
            self._mode = None
        for key, value in self._mapping.items():
            if run.mapping[key] != value:
                self._mapping[key] = None
        self._stalls += run.stalls
        self._operations += run.operations
        self._counts += run.counts
        self._busy.update(run.busy)
        self._held = merged((self._held, run.held))
        self._span += run.span_cycles or 0
        chips = [one for one in (self._chip, run.chip) if one is not None]
        self._chip = ChipFigures.of_samples(chips)
        self._energies.extend(_flat(run.energy))
        if run.estimate_pj is None:
            self._estimates = None
        elif self._estimates is not None:
            self._estimates.append(run.estimate_pj)
        if outputs is None:
            self._digest = None
        elif self._digest is not None:
            self._digest.update(np.ascontiguousarray(outputs))

    def result(self) -> LayerResult:
        """Sum of what was added; of a single sample what it was."""
        assert self._first is not None
        first = self._first[0]
        if self._count == 1:
            return first
        return replace(
            first,
            mode=self._mode,
            **self._whole,
            **self._known,
            mapping=self._mapping,
            stalls=self._stalls,
            operations=self._operations,
            counts=self._counts,
            busy=FrozenMap({name: self._busy[name] for name in first.busy}),
            held=self._held,
            span_cycles=None if first.span_cycles is None else self._span,
            chip=self._chip,
            energy=self._energy(first.energy),
            estimate_pj=None if self._estimates is None else sum(self._estimates),
            output_sha256=None if self._digest is None else self._digest.hexdigest(),
        )

    def _energy(self, like: Energy) -> Energy:
        width = len(self._energies) // self._count
        sums = iter([sum(self._energies[place::width]) for place in range(width)])
        parts = ({key: next(sums) for key in part} for part in _parts(like))
        components, uses, leakage, levels, off_chip = parts
        return Energy(components, uses, leakage, off_chip["off_chip"], levels)


def _flat(energy: Energy) -> list[float]:
    return [pj for part in _parts(energy) for pj in part.values()]


def _parts(energy: Energy) -> tuple[Mapping[str, float], ...]:
    off_chip = {"off_chip": energy.off_chip_pj}
    return energy.components, energy.uses, energy.leakage, energy.levels, off_chip
