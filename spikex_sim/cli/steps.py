"""What ``run`` writes step by step, if asked for: a timeline, an access trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spikex_sim.cli.options import split_names, writable_file
from spikex_sim.core.errors import ConfigError, OutputError, UnsupportedError
from spikex_sim.core.files import write_lines
from spikex_sim.run.observers import Observed, check_layers
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.results import RunResult
from spikex_sim.run.timeline import count_slices, timeline_lines
from spikex_sim.run.transfers import count_transfers, parse_levels, transfer_lines
from spikex_sim.spec.arch import Accelerator

OUR_FILES = ("results.json", "layers.csv", "accesses.csv", "timeline.json")


@dataclass(frozen=True)
class Wanted:
    """Files that show every step of a run.

    Attributes
    ----------
    timeline : Path or None
        Chrome trace.
    accesses : Path or None
        Access trace.
    levels : tuple of str
        Levels that it lists.
    layers : tuple of str or None
        Layers that they show; None for all.
    """

    timeline: Path | None
    accesses: Path | None
    levels: tuple[str, ...]
    layers: tuple[str, ...] | None

    @classmethod
    def of(
        cls,
        out: Path | None,
        accesses: Path | None,
        levels: str | None,
        layers: str | None,
        *,
        timeline: bool,
    ) -> Wanted:
        """Check the options before anything runs."""
        if timeline and out is None:
            raise ConfigError("needs --out, the folder for timeline.json", where="--timeline")
        if layers is not None and not timeline and accesses is None:
            raise ConfigError("chooses what --timeline and --accesses show; give one", where="--layers")
        if levels is not None and accesses is None:
            raise ConfigError("chooses what --accesses lists; give that too", where="--access-levels")
        if accesses is not None:
            writable_file(accesses)
            if out is not None and accesses.resolve() in [(out / name).resolve() for name in OUR_FILES]:
                raise OutputError("is a file that --out writes; choose another name", where=str(accesses))
        return cls(
            timeline=out / "timeline.json" if timeline and out is not None else None,
            accesses=accesses,
            levels=parse_levels(split_names(levels or "dram", "--access-levels")),
            layers=None if layers is None else tuple(split_names(layers, "--layers")),
        )

    def observed(self, layers: Sequence[str], arch: Accelerator) -> Observed | None:
        """Make the observer that keeps what is needed; None where nothing is."""
        if (self.timeline or self.accesses) and arch.get("imc.model", default="") == "released":
            raise UnsupportedError(
                "released has no steps for --timeline and --accesses to show; choose events",
                where=arch.name, field="imc.model",
            )  # fmt: skip
        check_layers(self.layers or (), layers)
        counts: dict[str, Callable[[TimedLayer], int]] = {}
        if self.timeline is not None:
            counts["slices of the timeline"] = count_slices
        if self.accesses is not None:
            counts["rows of the access trace"] = partial(count_transfers, levels=self.levels)
        return Observed(self.layers, counts) if counts else None

    def write(self, observed: Observed | None, result: RunResult) -> list[Path]:
        """Write the files; returns their names."""
        if observed is None:
            return []
        found = []
        if self.timeline is not None:
            found.append(write_lines(self.timeline, timeline_lines(observed.placed(), result)))
        if self.accesses is not None:
            found.append(write_lines(self.accesses, transfer_lines(observed.placed(), self.levels)))
        return found
