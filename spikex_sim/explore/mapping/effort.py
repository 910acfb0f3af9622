"""How hard a mapping is searched for: engines, steps, seeds and limits (Section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.explore.mapping.deadline import Deadline
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.pool import Pool

ENGINES = ("auto", "anneal", "cpsat", "lns")
SOLVERS = ("cpsat", "lns")
"""Engines that need OR-Tools."""
FEW_NEURONS = 40
"""Most neurons of which ``auto`` proves what was found, or finds what is less."""
MANY_NEURONS = 20_000
"""Neurons above which ``auto`` maps parts, where Mt-KaHyPar is installed."""
STEPS = 30_000_000
RESTARTS = 3
SOLVER_TIME = 10.0
MOST_STEPS = 10**12
MOST_TIME = 1e6


@dataclass(frozen=True)
class Effort:
    """How hard engines try.

    Attributes
    ----------
    engine : {"auto", "anneal", "cpsat", "lns"}
        ``auto``: annealing, of few neurons with a proof by CP-SAT where OR-Tools is installed, of many part
        by part where Mt-KaHyPar is. ``cpsat``: the whole model. ``lns``: parts of a mapping, again and again.
    steps : int
        Moves of each annealing run.
    restarts : int
        Runs of the area stage, with seeds of their own; later stages have one.
    seed : int
        Of the first run.
    jobs : int
        Runs at a time.
    solver_time : float
        Deterministic time of each stage of ``cpsat`` and ``lns``, in OR-Tools' units of some seconds each.
    time_limit : float or None
        Seconds after which no more work begins; what is found then depends on the machine.
    """

    engine: str = "auto"
    steps: int = STEPS
    restarts: int = RESTARTS
    seed: int = 1
    jobs: int = 1
    solver_time: float = SOLVER_TIME
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("steps", 1, MOST_STEPS), ("restarts", 1, 1000), ("seed", 0, 1 << 31),
                                  ("jobs", 1, 256)):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(f"must be a whole number from {least} to {most:,}", field=f"--{name}")
        if self.engine not in ENGINES:
            raise ConfigError(one_of(self.engine, ENGINES), field="--engine")
        if not isfinite(self.solver_time) or not 0 < self.solver_time <= MOST_TIME:
            raise ConfigError(f"wants a number above 0, up to {MOST_TIME:,.0f}", field="--solver-time")
        Deadline.after(self.time_limit)  # refuses what is no limit

    @classmethod
    def of(
        cls, engine: str = "auto", *, steps: int | None = None, restarts: int | None = None, seed: int = 1,
        jobs: int = 1, solver_time: float | None = None, time_limit: float | None = None,
    ) -> Effort:  # fmt: skip
        """Take what was given; what was not has its default.

        Raises
        ------
        ConfigError
            If something is given that the engine does not read, or is out of range.
        """
        given = {"steps": steps, "restarts": restarts, "solver_time": solver_time}
        ignored = ("steps", "restarts") if engine in SOLVERS else ("solver_time",)
        for name in ignored:
            if given[name] is not None and engine in ENGINES:
                readers = " and ".join(one for one in ENGINES if (one in SOLVERS) != (engine in SOLVERS))
                raise ConfigError(f"is for the engines {readers}, not for {engine}",
                                  field=f"--{name.replace('_', '-')}")  # fmt: skip
        return cls(
            engine, STEPS if steps is None else steps, RESTARTS if restarts is None else restarts, seed, jobs,
            SOLVER_TIME if solver_time is None else solver_time, time_limit,
        )  # fmt: skip

    @property
    def solves(self) -> bool:
        """Whether the engine needs OR-Tools."""
        return self.engine in SOLVERS

    def proves(self, graph: NeuronGraph) -> bool:
        """Whether stages end with a proof."""
        return self.engine == "auto" and graph.neurons <= FEW_NEURONS and find_spec("ortools") is not None

    def divides(self, graph: NeuronGraph, pool: Pool) -> bool:
        """Whether the area stage goes part by part (Section 9)."""
        large = self.engine == "auto" and graph.neurons > MANY_NEURONS
        return large and not pool.counted and find_spec("mtkahypar") is not None
