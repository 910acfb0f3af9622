"""OR-Tools as the mapper uses it: one worker, a seed, a limit in deterministic time."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import pip_install


@dataclass(frozen=True)
class Effort:
    """How long a solver tries.

    Attributes
    ----------
    seed : int
        Of its choices.
    deterministic_time : float
        In its own units, of some seconds each.
    seconds : float or None
        Wall time that cuts it; the result may then differ from run to run.
    """

    seed: int = 1
    deterministic_time: float = 60.0
    seconds: float | None = None


def cp_model() -> Any:
    """Module of CP-SAT.

    Raises
    ------
    ConfigError
        If OR-Tools is not installed.
    """
    try:
        return import_module("ortools.sat.python.cp_model")
    except ImportError as exc:
        message = f"CP-SAT needs OR-Tools ({exc.name or 'ortools'} is missing): {pip_install('map')}"
        raise ConfigError(message, field="--engine") from None


def new_solver(effort: Effort) -> Any:
    """Solver with its limits set."""
    solver = cp_model().CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = effort.seed
    solver.parameters.max_deterministic_time = effort.deterministic_time
    if effort.seconds is not None:
        solver.parameters.max_time_in_seconds = effort.seconds
    return solver
