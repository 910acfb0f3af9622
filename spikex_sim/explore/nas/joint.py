"""Both cells at once by an optimiser, Optuna's NSGA-II or TPE (Section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.nas.cells import EDGES, Cell
from spikex_sim.explore.nas.chance import best_of
from spikex_sim.explore.nas.infeasible import nothing_fits
from spikex_sim.explore.nas.judge import Judge, Judged
from spikex_sim.explore.nas.pairs import CellPair, Pairs
from spikex_sim.explore.nas.paper import Searched
from spikex_sim.explore.nas.weights import generator_of

SAMPLERS = ("nsga2", "tpe")
BATCH = 32
"""Networks that are asked for at a time, whatever the number of processes; a generation of NSGA-II."""
WORST = -1e12
"""Stands for a fitness of minus infinity, between which and others an optimiser measures distances."""
_FRUITLESS = 20
"""Proposals for each network that is wanted, before those that are left are drawn."""


def joint(judge: Judge, budget: int, *, sampler: str = "nsga2", minimise: Sequence[str] = ()) -> Searched:
    """Search both cells for the best fitness and the smallest costs.

    What breaks a limit by its shapes, or was scored before, is never scored. When the optimiser proposes
    nothing new, pairs that are left are drawn, so that a budget of all of them scores each once.

    Parameters
    ----------
    judge : Judge
        Scores networks.
    budget : int
        Different networks to score, at most all there are.
    sampler : {"nsga2", "tpe"}
        Optimiser, seeded by the judge's seed.
    minimise : sequence of str
        Costs that are minimised beside the fitness.

    Raises
    ------
    ConfigError
        If there is no such sampler, or Optuna is not installed.
    UnsupportedError
        If nothing is feasible, naming the limit and the nearest miss.
    """
    pairs = judge.pairs
    check_joint(sampler)
    if not pairs.feasible:
        raise nothing_fits(pairs, pairs.known)
    rng = generator_of(judge.seed, "search", "left")
    budget = min(budget, pairs.feasible)
    judge.evaluator.total = budget
    with _study(sampler, judge.seed, 1 + len(minimise)) as study:
        proposals = _Proposals(pairs, study, minimise)
        while len(judge.judged) < budget:
            count = min(BATCH, budget - len(judge.judged))
            asked = proposals.new(judge.judged, count)
            seen = {*judge.judged, *(pairs.different(pair) for _, pair in asked)}
            drawn = pairs.left(seen, rng, count - len(asked)) if len(asked) < count else []
            found = judge([*(pair for _, pair in asked), *drawn], "joint")
            for (trial, _), one in zip(asked, found, strict=False):
                proposals.tell(trial, one)
    return best_of(judge, proposals.skipped)


def check_joint(sampler: str) -> None:
    """Raise :class:`ConfigError` unless there is an optimiser of that name, and Optuna is installed."""
    if sampler not in SAMPLERS:
        raise ConfigError(one_of(sampler, SAMPLERS), field="sampler")
    try:
        import optuna  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"joint needs Optuna ({exc.name} is missing): {pip_install('nas')}", field="algorithm"
        ) from None


class _Proposals:
    """Pairs that an optimiser proposes."""

    def __init__(self, pairs: Pairs, study: Any, minimise: Sequence[str]) -> None:
        self._pairs, self._study, self._minimise = pairs, study, minimise
        self._at = {cell: number for number, cell in enumerate(pairs.cells)}
        self.skipped = 0

    def new(self, judged: dict[CellPair, Judged], count: int) -> list[tuple[Any, CellPair]]:
        """Pairs that were not judged, each with its trial; what was is told again."""
        found = dict[CellPair, tuple[Any, CellPair]]()
        for _ in range(_FRUITLESS * count):
            if len(found) == count:
                break
            trial = self._study.ask()
            pair = self._proposed(trial)
            if pair is None or not self._pairs.keeps(pair):
                self.skipped += 1
                self._study.tell(trial, state=_pruned())
                continue
            key = self._pairs.different(pair)
            if key in judged:
                self.tell(trial, judged[key])
            elif key in found:
                self._study.tell(trial, state=_pruned())
            else:
                found[key] = trial, pair
        return list(found.values())

    def tell(self, trial: Any, one: Judged) -> None:
        """Tell the optimiser what became of a proposal."""
        if isinstance(one.costs, str):
            self._study.tell(trial, state=_pruned())
            return
        excess = float(self._pairs.limits.worst(one.costs)) - 1
        trial.set_constraint("limits", excess)
        costs = [float(getattr(one.costs, name)) for name in self._minimise]
        self._study.tell(trial, [max(one.score.value, WORST), *costs])

    def _proposed(self, trial: Any) -> CellPair | None:
        """A pair of cells; None where nothing reaches the output of one."""

        def cell(name: str) -> int | None:
            edges = (f"{name}{i}{j}" for i, j in EDGES)
            operations = self._pairs.space.operations
            chosen = [trial.suggest_categorical(edge, list(range(len(operations)))) for edge in edges]
            return self._at.get(Cell(tuple(operations[number] for number in chosen)))

        a = cell("a")
        b = a if self._pairs.same else cell("b")
        return None if a is None or b is None else (a, b)


def _pruned() -> Any:
    from optuna.trial import TrialState

    return TrialState.PRUNED


@contextmanager
def _study(sampler: str, seed: int, objectives: int) -> Iterator[Any]:
    """A study in memory that says nothing."""
    import optuna

    samplers = optuna.samplers
    made: Any = (
        samplers.NSGAIISampler(population_size=BATCH, seed=seed)
        if sampler == "nsga2"
        else samplers.TPESampler(seed=seed, n_startup_trials=BATCH)
    )
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        directions: list[Any] = ["maximize", *["minimize"] * (objectives - 1)]
        yield optuna.create_study(sampler=made, directions=directions)
    finally:
        optuna.logging.set_verbosity(before)
