"""The same trace through several accelerators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.core.frames import frame
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.many import replay_all
from spikex_sim.explore.prefix import ArchLike
from spikex_sim.explore.sweeps.bench import TraceLike
from spikex_sim.explore.sweeps.table import SweepTable, labels_of, measures, row_of
from spikex_sim.run.results import RunResult
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import as_traces

ARCHS = ("spikex", "ptb")
"""What is compared by default."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Accelerators side by side.

    Attributes
    ----------
    outcomes : tuple of (str, RunResult or str)
        Name of each accelerator in the order given, and its result, or why it cannot take the trace; at least
        one can.
    """

    outcomes: tuple[tuple[str, RunResult | str], ...]

    def __repr__(self) -> str:
        ran = ", ".join(result.arch.name for result in self.results)
        return f"<Comparison of {self.baseline.trace['name']}: {ran}; {len(self.refused)} refused>"

    def _repr_html_(self) -> str:
        from spikex_sim.explore.comparison_tables import comparison_html

        return comparison_html(self)

    @property
    def results(self) -> tuple[RunResult, ...]:
        """Of those that can take the trace, in order."""
        return tuple(outcome for _, outcome in self.outcomes if not isinstance(outcome, str))

    @property
    def refused(self) -> Mapping[str, str]:
        """Those that cannot, by name, and why."""
        return FrozenMap({name: outcome for name, outcome in self.outcomes if isinstance(outcome, str)})

    @property
    def baseline(self) -> RunResult:
        """The first that can take the trace, which ratios are to."""
        return self.results[0]

    def rows(self) -> list[dict[str, Any]]:
        """A row a machine with the columns of ``sweep.csv``; those that were refused have an ``error``."""
        name = self.baseline.trace["name"]
        found = [row_of(labels_of(name, one.arch.name, {}), measures(one), "") for one in self.results]
        return found + [
            row_of(labels_of(name, arch, {}), None, reason) for arch, reason in self.refused.items()
        ]

    def to_frame(self) -> Any:
        """Accelerators as a ``pandas.DataFrame``, a row each, with the columns of ``sweep.csv``.

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        return frame(SweepTable.of(self.rows()))

    def ratios(self, quantity: str) -> tuple[float | None, ...]:
        """A figure of the totals, ``energy_pj`` or ``seconds``, over the baseline's; None where that is 0."""
        base = getattr(self.baseline.totals, quantity)
        return tuple(getattr(one.totals, quantity) / base if base else None for one in self.results)


def compare(
    trace: TraceLike | Sequence[TraceLike],
    archs: ArchLike | Sequence[ArchLike] = ARCHS,
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    jobs: int = 1,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Replay the same trace through several accelerators.

    Parameters
    ----------
    trace : Trace, GraphTrace, path, or sequence of them
        One trace, or samples of one network.
    archs : sequence of str, Path or Accelerator
        Accelerators; ratios are to the first that can take the trace.
    tws, engine, overrides
        As of :func:`spikex_sim.simulate`, for all accelerators alike.
    jobs : int
        Processes, which share out accelerators and samples; a search of window sizes (``tws: auto``) is in
        one of them.
    resume : str or Path, optional
        File that samples are kept in as they are done; what is there is not replayed again.
    progress : callable, optional
        Told how many samples are done, of all accelerators.

    Returns
    -------
    Comparison
        Results of those that can take the trace, and why others cannot.

    Raises
    ------
    SpikexError
        If trace or a configuration are wrong, or no accelerator can take the trace.
    """
    given = [archs] if isinstance(archs, ArchLike) else list(archs)
    if not given:
        raise ConfigError("needs at least one accelerator", field="archs")
    keys = dict(overrides or {}) | ({} if tws is None else {"tws": tws})
    traces = as_traces(trace)
    accelerators = [load_accelerator(one, keys) for one in given]
    found = replay_all(
        traces, accelerators, engine=engine, jobs=jobs, resume=resume, progress=progress or silent
    )
    outcomes: list[tuple[str, RunResult | str]] = [
        (one.name, str(result).removeprefix(f"{one.name}: "))
        if isinstance(result, UnsupportedError)
        else (one.name, result)
        for one, result in zip(accelerators, found, strict=True)
    ]
    if all(isinstance(outcome, str) for _, outcome in outcomes):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcomes)
        raise UnsupportedError(f"no accelerator can take this trace: {reasons}")
    return Comparison(tuple(outcomes))
