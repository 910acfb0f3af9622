"""What a search asks of networks: each scored once, wherever it was scored before (Section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import Costs
from spikex_sim.explore.nas.crew import Crew, Outcome, Scorers, Task
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.kept import costs_of_row, costs_row, key_of, score_of, score_row
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.pairs import CellPair, Pairs
from spikex_sim.explore.nas.scores import Score, Value
from spikex_sim.explore.sweeps.store import SweepStore


class Evaluator:
    """Scores networks and costs them on machines, but for what the store has.

    Parameters
    ----------
    scorers : callable
        Scorer of a seed.
    macro : Macro
        The network around the cells.
    machines : sequence of Machine
        All that are asked for, by number.
    store : SweepStore
        Scores and costs by content.
    crew : Crew
        Who scores.
    progress : callable, optional
        Told what is scored, how many networks are done, and of how many.

    Attributes
    ----------
    total : int
        How many networks are expected, for ``progress``.
    """

    def __init__(
        self, scorers: Scorers, macro: Macro, machines: Sequence[Machine], store: SweepStore, crew: Crew,
        progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.total = 0
        self._scorers, self._macro, self._machines = scorers, macro, machines
        self._store, self._crew, self._progress = store, crew, progress
        self._contents = [one.content() if one.script is None else None for one in machines]
        self._settings: dict[int, Mapping[str, Value]] = {}
        self._done = 0

    def settings(self, seed: int) -> Mapping[str, Value]:
        """All that a score depends on but the forms."""
        if seed not in self._settings:
            self._settings[seed] = self._scorers(seed).settings
        return self._settings[seed]

    def run(
        self, networks: Sequence[tuple[Form, Form]], seed: int, machines: Sequence[int], what: str
    ) -> list[Outcome]:
        """Score networks.

        Parameters
        ----------
        networks : sequence of pairs of Form
            Cells A and B of each; none twice.
        seed : int
            Of weights and mini-batches.
        machines : sequence of int
            Those whose costs are wanted.
        what : str
            What ``progress`` calls it.
        """
        replaying = [number for number in machines if self._contents[number] is not None]
        plans = [self._plan(a, b, seed, replaying) for a, b in networks]
        todo = [plan for plan in plans if plan.missing]
        self.total = max(self.total, self._done + len(plans))
        self._done += len(plans) - len(todo)
        self._progress(what, self._done, self.total)
        # Another search may have scored it since.
        waiting = [plan for plan in todo if not all(map(self._store.has, plan.missing))]
        outcomes = self._crew.run(plan.task for plan in waiting)
        for plan, outcome in zip(waiting, outcomes, strict=True):
            self._keep(plan, outcome)
            self._done += 1
            self._progress(what, self._done, self.total)
        return [self._read(plan, machines) for plan in plans]

    def _plan(self, a: Form, b: Form, seed: int, replaying: Sequence[int]) -> _Plan:
        settings = self.settings(seed)
        score = key_of(settings, a, b)
        costs = {number: key_of(settings, a, b, self._contents[number]) for number in replaying}
        lacking = tuple(number for number, key in costs.items() if self._store.find(key) is None)
        missing = tuple(costs[number] for number in lacking)
        if self._store.find(score) is None:
            missing = (score, *missing)
        return _Plan(Task(a, b, seed, lacking), score, costs, missing)

    def _keep(self, plan: _Plan, outcome: Outcome) -> None:
        for number, costs in zip(plan.task.machines, outcome.costs, strict=True):
            self._store.add(plan.costs[number], costs_row(costs))
        self._store.add(plan.score, score_row(outcome.score))

    def _read(self, plan: _Plan, machines: Sequence[int]) -> Outcome:
        def row(key: str) -> dict[str, Any]:
            found = self._store.find(key)
            assert found is not None
            return found

        task = plan.task

        def costs(number: int) -> Costs | str:
            if number in plan.costs:
                return costs_of_row(row(plan.costs[number]))
            return self._machines[number].of_shapes(self._macro, task.a, task.b)

        return Outcome(score_of(row(plan.score)), tuple(map(costs, machines)))


@dataclass(frozen=True)
class _Plan:
    """A network to be scored, and where in the store scores and costs are; and which of them are missing."""

    task: Task
    score: str
    costs: Mapping[int, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """A network of a search.

    Attributes
    ----------
    pair : tuple of int
        Its cells; of those of the same forms the pair that was asked for first.
    score : Score
        Of the network.
    costs : Costs or str
        On the machine that limits refer to, or why it cannot run the network.
    feasible : bool
        Whether all limits are kept.
    """

    pair: CellPair
    score: Score
    costs: Costs | str
    feasible: bool


@dataclass
class Judge:
    """Judges pairs of cells in a search, pairs of the same forms once.

    Attributes
    ----------
    pairs : Pairs
        Cells, machine and limits; the machine is the evaluator's first.
    evaluator : Evaluator
        Who scores.
    seed : int
        Of weights and mini-batches.
    judged : dict
        All networks of the search by the first pair of their forms, in order.
    saved : int
        Pairs that were asked for after another one of the same forms.
    """

    pairs: Pairs
    evaluator: Evaluator
    seed: int
    judged: dict[CellPair, Judged] = field(default_factory=dict)
    saved: int = 0

    def __call__(self, asked: Sequence[CellPair], what: str) -> list[Judged]:
        """Judge pairs.

        Parameters
        ----------
        asked : sequence of tuple of int
            Pairs of cells.
        what : str
            What progress calls it.
        """
        new = dict[CellPair, CellPair]()
        for pair in asked:
            key = self.pairs.different(pair)
            if key in self.judged or key in new:
                self.saved += 1
            else:
                new[key] = pair
        forms = self.pairs.forms
        networks = [(forms[a], forms[b]) for a, b in new]
        found = self.evaluator.run(networks, self.seed, (0,), what)
        for (key, pair), one in zip(new.items(), found, strict=True):
            self.judged[key] = judged(pair, one, self.pairs.limits)
        return [self.judged[self.pairs.different(pair)] for pair in asked]


def judged(pair: CellPair, found: Outcome, limits: Constraints) -> Judged:
    """Hold a network's costs on the first machine that was asked for against limits."""
    costs = found.costs[0]
    feasible = not isinstance(costs, str) and bool(limits.kept(costs))
    return Judged(pair, found.score, costs, feasible)
