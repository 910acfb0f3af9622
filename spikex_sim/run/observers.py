"""Keeps what a run did step by step, for timelines and access traces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.core.hints import closest
from spikex_sim.run.replay import TimedLayer

MOST_LINES = 2_000_000
"""Most slices of a timeline, or rows of an access trace: some 300 MB, what a browser still opens."""


class Placed(NamedTuple):
    """A layer of one sample on the clock of the run; ``timed`` is None where it was not to be kept."""

    start: int
    cycles: int
    name: str
    sample: int
    timed: TimedLayer | None


class Observed:
    """An observer of :func:`spikex_sim.run.simulate.simulate` that keeps the layers asked for.

    Parameters
    ----------
    names : collection of str, optional
        Layers to keep; all by default.
    counts : mapping of str to callable, optional
        What will be written, and how many lines of it a layer makes.

    Raises
    ------
    OutputError
        While the run is under way, as soon as there are more than :data:`MOST_LINES` of anything.
    """

    def __init__(
        self,
        names: Collection[str] | None = None,
        counts: Mapping[str, Callable[[TimedLayer], int]] | None = None,
    ) -> None:
        self.names, self.counts = names, dict(counts or {})
        self._lines = dict.fromkeys(self.counts, 0)
        self._seen: dict[tuple[int, int, int], tuple[int, str, TimedLayer | None]] = {}

    def __call__(self, timed: TimedLayer) -> None:
        """Take a layer of a sample."""
        kept = self.names is None or timed.name in self.names
        place = timed.sample, timed.index, timed.part
        self._seen[place] = (timed.cost.cycles, timed.label, timed if kept else None)
        for what, count in self.counts.items() if kept else ():
            self._lines[what] += count(timed)
            if self._lines[what] > MOST_LINES:
                raise OutputError(
                    f"more than {MOST_LINES:,} {what} by layer {timed.name}; choose layers with "
                    "--layers, or replay fewer samples or time points",
                    where=timed.arch.name,
                )

    def placed(self) -> Iterator[Placed]:
        """Layers one after the other, each sample after the one before; as the run adds cycles up."""
        start = now = of = 0
        for (sample, _, _), (cycles, name, timed) in sorted(self._seen.items(), key=lambda item: item[0]):
            if sample != of:
                start, of = now, sample
            at_once = timed is not None and timed.at_once
            yield Placed(start if at_once else now, cycles, name, sample, timed)
            now += cycles


def check_layers(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise :class:`ConfigError` if a network has no such layer that takes cycles."""
    for name in names:
        if name not in known:
            raise ConfigError(
                f"no conv or linear layer {name!r:.60}; there are {', '.join(known):.200}"
                f"{closest(name, known)}",
                where="--layers",
            )
