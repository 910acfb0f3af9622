"""Both cells at once by an optimiser, Optuna's NSGA-II or TPE (Section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.nas.cells import EDGES, Cell
from spikex_sim.explore.nas.chance import best_of, fresh
from spikex_sim.explore.nas.infeasible import nothing_fits
from spikex_sim.explore.nas.judge import Judge, Judged
from spikex_sim.explore.nas.pairs import CellPair, Draws
from spikex_sim.explore.nas.paper import Searched
from spikex_sim.explore.nas.weights import generator_of

SAMPLERS = ("nsga2", "tpe")
BATCH = 32
"""Networks that are asked for at a time, whatever the number of processes; a generation of NSGA-II."""
WORST = -1e12
"""Stands for a fitness of minus infinity, between which and others an optimiser measures distances."""
_SEEDS = 1 << 32
"""Seeds that an optimiser tells apart; what the first generation is drawn from tells all apart."""
_FRUITLESS = 4
"""Proposals for each network that is wanted, before the rest is drawn."""


def joint(judge: Judge, budget: int, *, sampler: str = "nsga2", minimise: Sequence[str] = ()) -> Searched:
    """Search both cells for the best fitness and the smallest costs.

    What breaks a limit by its shapes, or was scored before, is never scored. The first generation is drawn
    among the rest, and so are pairs for which the optimiser proposes nothing new, so that a budget of all of
    them scores each once.

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
    rng = generator_of(judge.seed, "search", "joint")
    draws = Draws(pairs, rng)
    budget = min(budget, pairs.feasible)
    judge.evaluator.total = budget
    with _study(sampler, judge.seed, 1 + len(minimise)) as study:
        proposals = _Proposals(judge, study, minimise)
        while len(judge.judged) < budget:
            count = min(BATCH, budget - len(judge.judged))
            asked = proposals.new(count) if judge.judged else {}
            if len(asked) < count:
                drawn = fresh(judge, draws, rng, count - len(asked), pairs.firsts, asked) if draws.any else []
                asked |= proposals.enqueued(drawn)
            found = judge([pair for _, pair in asked.values()], "joint")
            for (trial, _), one in zip(asked.values(), found, strict=True):
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

    def __init__(self, judge: Judge, study: Any, minimise: Sequence[str]) -> None:
        self._judge, self._pairs, self._study, self._minimise = judge, judge.pairs, study, minimise
        self._at = {cell: number for number, cell in enumerate(self._pairs.cells)}
        self.skipped = 0

    def new(self, count: int) -> dict[CellPair, tuple[Any, CellPair]]:
        """Pairs that were not judged, each with its trial, by the first pair of their forms.

        Of what was judged the optimiser is told again.
        """
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
            if key in self._judge.judged:
                self._judge.saved += 1
                self.tell(trial, self._judge.judged[key])
            elif key in found:
                self._judge.saved += 1
                self._study.tell(trial, state=_pruned())
            else:
                found[key] = trial, pair
        return found

    def enqueued(self, drawn: Sequence[CellPair]) -> dict[CellPair, tuple[Any, CellPair]]:
        """Make the optimiser propose pairs that were drawn."""
        found = dict[CellPair, tuple[Any, CellPair]]()
        numbers = {operation: number for number, operation in enumerate(self._pairs.space.operations)}
        for pair in drawn:
            cells = zip("a" if self._pairs.same else "ab", pair, strict=False)
            self._study.enqueue_trial(
                {
                    edge: numbers[operation]
                    for name, cell in cells
                    for edge, operation in zip(_edges(name), self._pairs.cells[cell].forward, strict=True)
                }
            )
            trial = self._study.ask()
            self._proposed(trial)
            found[self._pairs.different(pair)] = trial, pair
        return found

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
            operations = self._pairs.space.operations
            numbers = list(range(len(operations)))
            chosen = [trial.suggest_categorical(edge, numbers) for edge in _edges(name)]
            return self._at.get(Cell(tuple(operations[number] for number in chosen)))

        a = cell("a")
        b = a if self._pairs.same else cell("b")
        return None if a is None or b is None else (a, b)


def _edges(cell: str) -> list[str]:
    return [f"{cell}{i}{j}" for i, j in EDGES]


def _pruned() -> Any:
    from optuna.trial import TrialState

    return TrialState.PRUNED


@contextmanager
def _study(sampler: str, seed: int, objectives: int) -> Iterator[Any]:
    """A study in memory that says nothing."""
    import optuna

    samplers = optuna.samplers
    seed %= _SEEDS
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
