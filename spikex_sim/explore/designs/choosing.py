"""Which points are run next: all in order, at random, or as an optimiser proposes (docs/explore.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.origin import pip_install
from spikex_sim.explore.designs.space import Genes, Space
from spikex_sim.explore.designs.volume import front

SAMPLERS = ("tpe", "nsga2", "random", "grid")
OPTIMISERS = ("tpe", "nsga2")
FRUITLESS = 4
"""Proposals, or draws, for each point that is wanted, before another way is taken."""
REACHES = (1, 2, 4, 8, 16, 32)
"""Steps of one key, the nearest first, that neighbours of the front are away from it."""
_SEEDS = 1 << 32
"""Seeds that an optimiser tells apart."""


@dataclass(frozen=True)
class Verdict:
    """What became of a point.

    Attributes
    ----------
    losses : tuple of float
        What is to be small, an objective each; none of a point that could not be run.
    excess : tuple of float
        By how much each limit is broken; 0 or less where it is kept.
    """

    losses: tuple[float, ...] = ()
    excess: tuple[float, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether it was run and keeps all limits."""
        return bool(self.losses) and self.miss <= 0

    @property
    def miss(self) -> float:
        """By how much the limit that is off most is broken."""
        return max(self.excess, default=0.0)


class Chooser:
    """Gives points that were not given before, at random.

    Parameters
    ----------
    space : Space
        Keys and values.
    identify : callable
        Text that tells the point of a choice from others.
    seed : int
        Of all draws.
    """

    def __init__(self, space: Space, identify: Callable[[Genes], str], seed: int) -> None:
        self.space, self._identify = space, identify
        self.rng = np.random.default_rng(seed)
        self.genes: dict[str, Genes] = {}
        self.verdicts: dict[str, Verdict] = {}
        self._left: Iterator[Genes] | None = None

    def ask(self, count: int) -> list[Genes]:
        """Up to so many points that were never given; fewer where there are no more."""
        asked: dict[str, Genes] = {}
        self._fill(asked, count)
        self.genes |= asked
        return list(asked.values())

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """Say what became of the points that were given last, in their order."""
        for name, verdict in zip(list(self.genes)[len(self.verdicts) :], verdicts, strict=True):
            self.verdicts[name] = verdict

    def _fill(self, asked: dict[str, Genes], count: int) -> None:
        """Draw points until there are so many."""
        for _ in range(FRUITLESS * count):
            if len(asked) == count:
                return
            self._add(asked, self.space.draw(self.rng))
        if self.space.size is not None:  # nearly all were given
            if self._left is None:
                self._left = self._shuffled()
            for genes in self._left:
                if self._add(asked, genes) and len(asked) == count:
                    return

    def _shuffled(self) -> Iterator[Genes]:
        left = [genes for genes in self.space.all() if self._identify(genes) not in self.genes]
        return iter([left[at] for at in self.rng.permutation(len(left))])

    def _add(self, asked: dict[str, Genes], genes: Genes) -> bool:
        """Take a point unless it was given."""
        name = self._identify(genes)
        if name in asked or name in self.genes:
            return False
        asked[name] = genes
        return True


class Grid(Chooser):
    """Gives all points, the last key varying fastest."""

    def __init__(self, space: Space, identify: Callable[[Genes], str], seed: int) -> None:
        super().__init__(space, identify, seed)
        self._all = space.all()

    def _fill(self, asked: dict[str, Genes], count: int) -> None:
        for genes in self._all:
            if self._add(asked, genes) and len(asked) == count:
                return


class Optimiser(Chooser):
    """Gives points that an optimiser of Optuna proposes, and neighbours of the front.

    The first batch is drawn. Of each other one half is the optimiser's, the other half neighbours of the
    front, one step of one key away, that were not tried; what neither has is drawn.

    Parameters
    ----------
    space, identify, seed
        As of :class:`Chooser`.
    study : Study
        Of Optuna, in memory.
    """

    def __init__(self, space: Space, identify: Callable[[Genes], str], seed: int, study: Any) -> None:
        super().__init__(space, identify, seed)
        self._study = study
        self._flying: list[Any] = []
        self._on_front: list[str] = []

    def ask(self, count: int) -> list[Genes]:
        """See :class:`Chooser`."""
        asked: dict[str, Genes] = {}
        trials: dict[str, Any] = {}
        if self.verdicts:
            self._propose(asked, trials, -(-count // 2))
            self._neighbours(asked, count)
            if len(asked) < count:
                self._propose(asked, trials, count)
        self._fill(asked, count)
        for name, genes in asked.items():
            if name not in trials:
                self._study.enqueue_trial(genes)
                trials[name] = self._study.ask()
                self._suggested(trials[name])
        self.genes |= asked
        self._flying = [trials[name] for name in asked]
        return list(asked.values())

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """See :class:`Chooser`."""
        for trial, verdict in zip(self._flying, verdicts, strict=True):
            self._tell(trial, verdict)
        new = list(self.genes)[len(self.verdicts) :]
        super().tell(verdicts)
        feasible = [name for name in (*self._on_front, *new) if self.verdicts[name].feasible]
        if feasible:
            on = front(np.array([self.verdicts[name].losses for name in feasible]))
            self._on_front = [name for name, is_on in zip(feasible, on, strict=True) if is_on]

    def _propose(self, asked: dict[str, Genes], trials: dict[str, Any], count: int) -> None:
        """Ask for new points until there are so many; of those that were given it is told again."""
        for _ in range(FRUITLESS * max(count - len(asked), 0)):
            if len(asked) == count:
                return
            trial = self._study.ask()
            genes = self._suggested(trial)
            name = self._identify(genes)
            if name in self.verdicts or name in asked:
                self._study.tell(trial, state=_failed())
            else:
                asked[name], trials[name] = genes, trial

    def _neighbours(self, asked: dict[str, Genes], count: int) -> None:
        """Add neighbours of the front, the nearest first, otherwise in any order."""
        best = [self.genes[name] for name in self._best()]
        for reach in REACHES:
            near = [genes for one in best for genes in self.space.near(one, reach)]
            for at in self.rng.permutation(len(near)):
                if len(asked) == count:
                    return
                self._add(asked, near[at])

    def _best(self) -> list[str]:
        """The front; without one, what is nearest to be feasible."""
        if self._on_front:
            return self._on_front
        ran = [name for name, one in self.verdicts.items() if one.losses]
        return [min(ran, key=lambda name: self.verdicts[name].miss)] if ran else []

    def _suggested(self, trial: Any) -> Genes:
        genes: Genes = {}
        for key in self.space.keys:
            if not key.values:
                genes[key.name] = trial.suggest_float(key.name, key.low, key.high, log=key.log)
            elif key.ordered:
                genes[key.name] = trial.suggest_int(key.name, 0, len(key.values) - 1)
            else:
                genes[key.name] = trial.suggest_categorical(key.name, list(range(len(key.values))))
        return genes

    def _tell(self, trial: Any, verdict: Verdict) -> None:
        if not verdict.losses:
            self._study.tell(trial, state=_pruned())
            return
        for at, excess in enumerate(verdict.excess):
            trial.set_constraint(str(at), excess)
        self._study.tell(trial, list(verdict.losses))


def check_sampler(sampler: str) -> None:
    """Raise :class:`ConfigError` unless there is such a sampler, and Optuna is installed."""
    if sampler not in SAMPLERS:
        raise ConfigError(one_of(sampler, SAMPLERS), field="sampler")
    try:
        import optuna  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"explore needs Optuna ({exc.name} is missing): {pip_install('explore')}", where="explore"
        ) from None


@contextmanager
def chooser_of(
    sampler: str, space: Space, identify: Callable[[Genes], str], seed: int, objectives: int, batch: int
) -> Iterator[Chooser]:
    """Open a chooser.

    Parameters
    ----------
    sampler : str
        One of :data:`SAMPLERS`.
    space, identify, seed
        As of :class:`Chooser`.
    objectives : int
        Losses of a point.
    batch : int
        Points that are asked for at a time: a generation of NSGA-II, what TPE begins with.
    """
    import optuna

    if sampler not in OPTIMISERS:
        yield (Grid if sampler == "grid" else Chooser)(space, identify, seed)
        return
    samplers, own = optuna.samplers, seed % _SEEDS
    made: Any = (
        samplers.NSGAIISampler(population_size=max(batch, 2), seed=own)
        if sampler == "nsga2"
        else samplers.TPESampler(seed=own, n_startup_trials=batch, multivariate=True)
    )
    with quiet():
        study = optuna.create_study(sampler=made, directions=["minimize"] * objectives)
        yield Optimiser(space, identify, seed, study)


@contextmanager
def quiet() -> Iterator[None]:
    """Let Optuna say nothing but warnings."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _pruned() -> Any:
    from optuna.trial import TrialState

    return TrialState.PRUNED


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
