"""Algorithms of the search: the paper's to the letter, others against brute force (Section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_scorers import DrawnScorers
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.nas.cells import SPACES, Operation, Space
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import costs_of
from spikex_sim.explore.nas.crew import Bench, Crew
from spikex_sim.explore.nas.forms import Form, canonical
from spikex_sim.explore.nas.judge import Evaluator, Judge, Judged
from spikex_sim.explore.nas.kept import is_row
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.pairs import Draws, Pairs
from spikex_sim.explore.nas.paper import Searched, paper
from spikex_sim.explore.nas.report import front_of
from spikex_sim.explore.nas.scores import Score
from spikex_sim.explore.nas.search import Method, check_search
from spikex_sim.explore.sweeps.store import SweepStore

TINY = Space("tiny", (Operation.SKIP, Operation.CONV3))
SMALL = Macro(channels=4, timesteps=2)
PAPER = Constraints(10e6, 1000, 500, 1000)


def pairs_of(
    limits: Constraints = PAPER, *, space: Space = TINY, macro: Macro = SMALL, bits: int = 4,
    arch: str = "spikesim-released", same: bool = False,
) -> Pairs:  # fmt: skip
    return Pairs.of(space, macro, Machine.of(arch, bits, macro.timesteps), limits, same=same)


def searched(
    pairs: Pairs, algorithm: Callable[[Judge], Searched] | Method, seed: int = 0, **scoring: Any
) -> tuple[Searched, Judge]:
    """Run an algorithm without a store on the disk."""
    scorers = DrawnScorers(pairs.macro, **scoring)
    with SweepStore(None, is_row) as store, Crew(Bench(scorers, pairs.macro, [pairs.machine])) as crew:
        judge = Judge(pairs, Evaluator(scorers, pairs.macro, [pairs.machine], store, crew), seed)
        run = algorithm.run if isinstance(algorithm, Method) else algorithm
        return run(judge), judge


def algorithm_1(
    space: Space, macro: Macro, limits: Constraints, scorers: DrawnScorers, bits: int, *, carry_score: bool
) -> tuple[str, str, float] | None:
    """Algorithm 1 as printed, with the `end if` that it lacks, from minus infinity."""
    P = range(len(space.operations))
    const = dict.fromkeys(("parameters", "area_mm2", "latency_ms", "energy_uj"), math.inf) | limits.limits
    score_h, net_arch = -math.inf, None
    saved_cell_A = ""
    script = Machine.of("spikesim-released", bits, macro.timesteps).shapes
    for i in range(2):
        if i == 1 and not carry_score:
            score_h, net_arch = -math.inf, None
        for c01, c02, c03, c12, c13, c23 in product(P, P, P, P, P, P):
            cell_B = f"{c01}{c02}{c03}{c12}{c13}{c23}"
            cell_A = cell_B if i == 0 else saved_cell_A
            a, b = space.parse(cell_A), space.parse(cell_B)
            cost = costs_of(macro, script, bits, a.live, b.live)
            broken = [name for name, most in const.items() if getattr(cost, name) > most]
            if not (broken if i == 1 else "parameters" in broken):
                score = scorers(0).score(canonical(a).form, canonical(b).form)[0].value
                if score > score_h:
                    score_h, net_arch = score, (cell_A, cell_B)
                    if i == 0:
                        saved_cell_A = cell_A
    return None if net_arch is None else (*net_arch, score_h)


LATENCY = Constraints(latency_ms=6.5)


class TestPaper:
    @pytest.mark.parametrize("carry_score", [False, True])
    @pytest.mark.parametrize("levels", [256, 2, 1])
    @pytest.mark.parametrize(
        "limits", [PAPER, LATENCY, Constraints(2500, latency_ms=5), Constraints(1200, energy_uj=9)]
    )
    def test_it_is_algorithm_1_to_the_letter(
        self, limits: Constraints, levels: int, *, carry_score: bool
    ) -> None:
        pairs, how = pairs_of(limits), {"levels": levels}
        wanted = algorithm_1(TINY, SMALL, limits, DrawnScorers(SMALL, **how), 4, carry_score=carry_score)
        method = Method(carry_score=carry_score)
        if wanted is None:
            with pytest.raises(UnsupportedError, match="which pass 0 took"):
                searched(pairs, method, **how)
            return
        found, _ = searched(pairs, method, **how)
        assert (*pairs.names(found.best.pair), found.best.score.value) == wanted

    def test_the_limits_above_tell_both_readings_apart(self) -> None:
        results = [
            algorithm_1(TINY, SMALL, LATENCY, DrawnScorers(SMALL), 4, carry_score=carry) for carry in (0, 1)
        ]
        assert results[0] != results[1] and None not in results

    def test_the_known_answer_where_the_score_counts_convolutions(self) -> None:
        """4.72 M parameters and 621.94 ms as printed; a=6 b=1, 1.77 M and 494.14 ms with scores apart."""
        pairs = pairs_of(space=SPACES["neuronas"], macro=Macro())
        table = dict.fromkeys(product(range(len(pairs.cells)), repeat=2), 0.0)
        apart, printed = (
            paper(_Counting(pairs, table), carry_score=carry)
            for carry in (False, True)  # type: ignore[arg-type]
        )
        costs = printed.best.costs
        assert pairs.names(printed.best.pair) == ("111111", "111111") and not printed.best.feasible
        assert not isinstance(costs, str)
        assert (costs.parameters, round(costs.latency_ms, 2)) == (4_722_048, 621.94)
        costs = apart.best.costs
        assert pairs.names(apart.best.pair)[0] == "111111" and apart.best.feasible
        assert not isinstance(costs, str)
        assert (costs.parameters, round(costs.latency_ms, 2)) == (1_772_928, 494.14)

    def test_each_form_is_scored_once_and_the_rest_is_counted(self, tmp_path: Path) -> None:
        pairs = pairs_of(space=SPACES["neuronas"])
        found, judge = searched(pairs, Method(), log=tmp_path / "log", levels=1)
        lines = (tmp_path / "log").read_text().splitlines()
        assert len(lines) == len(set(lines)) == len(judge.judged) == 420 + 419  # (A, A) is in both passes
        assert judge.saved == 2 * 729 - len(lines) and (found.skipped, found.broken) == (0, 0)
        assert judge.evaluator.total == 840

    def test_minus_infinity_is_a_score(self) -> None:
        pairs = pairs_of()
        found, _ = searched(pairs, Method(), levels=0)
        assert pairs.names(found.best.pair) == ("000000", "000000")
        assert found.best.score.value == -math.inf

    def test_nothing_feasible_names_the_limit_and_the_nearest_miss(self) -> None:
        big = {"space": SPACES["neuronas"], "macro": Macro()}
        with pytest.raises(UnsupportedError) as none:
            searched(pairs_of(Constraints(2e5), **big), Method())
        assert str(none.value) == (
            "nothing keeps the limits: nearest is 000000 000000: parameters 298,368, 1.492 times the limit "
            "of 200,000"
        )
        for limits, miss, others in (
            (Constraints(energy_uj=130), "energy 144.22 µJ, 1.109 times the limit of 130", "123,737"),
            (Constraints(latency_ms=350), "latency 494.14 ms, 1.412 times the limit of 350", "103,404"),
        ):
            judge = _Counting(pairs_of(limits, **big), {})
            with pytest.raises(UnsupportedError) as later:
                paper(judge, carry_score=False)  # type: ignore[arg-type]
            assert str(later.value) == (
                f"nothing keeps the limits with cell A 111111, which pass 0 took: nearest is 111111 000000: "
                f"{miss}; {others} other pairs do: --algorithm joint searches both cells at once"
            )
            kept = [pair for pair in product(range(0, 729, 9), repeat=2) if judge.pairs.keeps(pair)]
            assert kept


class _Counting:
    """A judge whose score is the number of convolutions."""

    def __init__(self, pairs: Pairs, table: dict[tuple[int, int], float]) -> None:
        self.pairs, self.table, self.evaluator = pairs, table, type("Told", (), {"total": 0})()

    def __call__(self, asked: list[tuple[int, int]], what: str) -> list[Judged]:
        assert what in ("pass 0", "pass 1")
        found = []
        for pair in asked:
            costs = self.pairs.shape_costs(pair)
            value = self.table.get(pair, 0.0) + self.pairs.convolutions(pair)
            kept = bool(self.pairs.limits.kept(costs))
            found.append(Judged(pair, Score(value, (value,), False, 0), costs, kept))
        return found


def weights_of(a: Form, b: Form) -> int:
    """Weights of the convolutions of a network in SMALL."""
    return 27 * 4 + 18 * 16 + 9 * 16 * len(a.kernels) + 9 * 64 * len(b.kernels)


def brute_force(pairs: Pairs, seed: int = 0, **scoring: Any) -> tuple[float, int]:
    """Best score of all pairs that keep the limits, and how many different ones do."""
    scorer = DrawnScorers(pairs.macro, **scoring)(seed)
    scores = []
    forms = {canonical(cell).form for cell in pairs.cells}
    for a, b in product(forms, repeat=2):
        if (pairs.limits.parameters or 0) < weights_of(a, b):
            continue
        score, recorded = scorer.score(a, b)
        machine = pairs.machine
        costs = (
            machine.of_shapes(pairs.macro, a, b)
            if machine.script is not None
            else machine.of_spikes(pairs.macro, recorded)
        )
        if not pairs.limits.misses(costs) and (a == b or not pairs.same):
            scores.append(score.value)
    return max(scores), len(scores)


FEW = Constraints(1000)


class TestJointAndRandom:
    @pytest.mark.parametrize("method", [Method("joint", budget=10**6), Method("random", budget=10**6)])
    @pytest.mark.parametrize("same", [False, True])
    def test_a_budget_of_all_pairs_finds_the_optimum_and_scores_each_once(
        self, method: Method, tmp_path: Path, *, same: bool
    ) -> None:
        pairs = pairs_of(FEW, same=same)
        best, number = brute_force(pairs)
        found, judge = searched(pairs, method, log=tmp_path / "log")
        lines = (tmp_path / "log").read_text().splitlines()
        assert len(lines) == len(set(lines)) == len(judge.judged) == number == pairs.feasible
        assert found.best.score.value == best and found.best.feasible
        assert all(one.feasible for one in judge.judged.values())

    @pytest.mark.parametrize("name", ["joint", "random"])
    def test_a_budget_is_kept_and_seeds_differ(self, name: str, tmp_path: Path) -> None:
        pairs = pairs_of(space=SPACES["neuronas"])
        runs = []
        for seed in (0, 0, 1):
            _, judge = searched(pairs, Method(name, budget=70), seed, log=tmp_path / f"{len(runs)}")
            runs.append(list(judge.judged))
            assert len(set(runs[-1])) == 70
        assert runs[0] == runs[1] != runs[2]

    @pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
    def test_seeds_beyond_those_of_optimisers_differ(self, sampler: str) -> None:
        method, pairs = Method("joint", budget=40, sampler=sampler), pairs_of(space=SPACES["neuronas"])
        one, other = (list(searched(pairs, method, seed)[1].judged) for seed in (1, 1 + (1 << 32)))
        assert len(one) == len(other) == 40 and one != other

    @pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
    def test_an_optimiser_beats_chance(self, sampler: str) -> None:
        """Of scores that count convolutions."""
        pairs, best = pairs_of(space=SPACES["snasnet"], same=True), {}
        for method in (Method("joint", budget=80, sampler=sampler), Method("random", budget=80)):
            runs = [searched(pairs, method, seed, levels=1)[0] for seed in range(2)]
            best[method.algorithm] = np.mean([run.best.score.value for run in runs])
        assert best["joint"] > best["random"]

    def test_the_default_budget_is_what_the_paper_scores_at_most(self) -> None:
        assert Method("random").networks(pairs_of(space=SPACES["neuronas"])) == 840
        assert Method("joint").networks(pairs_of(space=SPACES["snasnet"], same=True)) == 5043

    def test_chance_is_fair_and_draws_what_snasnet_draws(self) -> None:
        pairs = pairs_of(Constraints(900), space=SPACES["snasnet"])
        draws = Draws(pairs, np.random.default_rng(0))
        found = [draws.draw() for _ in range(4000)]
        assert all(pairs.keeps(pair) for pair in found)
        assert all(name[2] != "0" for pair in found for name in pairs.names(pair))
        cells = [n for n, name in enumerate(pairs.table.names) if name[2] != "0"]
        kinds = pairs.table.kinds
        each = np.bincount(kinds[cells], minlength=len(pairs.table.convolutions))
        share = (each[:, None] * each * pairs.kept).sum(axis=1)
        wanted = share / share.sum()
        seen = np.bincount([kinds[a] for a, _ in found], minlength=len(wanted)) / len(found)
        assert np.abs(seen - wanted).max() < 0.03 and wanted.max() < 0.9

    def test_chance_scores_all_that_snasnet_draws_and_no_more(self) -> None:
        pairs = pairs_of(Constraints(600), space=SPACES["snasnet"], same=True)
        drawn = {
            pairs.different((n, n)) for n, name in enumerate(pairs.table.names)
            if name[2] != "0" and pairs.keeps((n, n))
        }  # fmt: skip
        _, judge = searched(pairs, Method("random"))
        assert judge.judged.keys() == drawn and len(drawn) < pairs.feasible

    @pytest.mark.parametrize("name", ["joint", "random"])
    def test_limits_of_spikes_are_kept(self, name: str) -> None:
        limits = Constraints(550, energy_uj=1.38)
        pairs = pairs_of(limits, arch="spikex", bits=8)
        best, number = brute_force(pairs)
        found, judge = searched(pairs, Method(name, budget=10**6))
        assert found.best.score.value == best
        assert sum(one.feasible for one in judge.judged.values()) == number < pairs.feasible
        assert found.broken == pairs.feasible - number
        pairs = pairs_of(Constraints(550, energy_uj=0.01), arch="spikex", bits=8)
        for budget, begins, ends in (
            (10**6, "nothing keeps the limits: nearest is ", "times the limit of 0.01"),
            (3, "none of 3 networks keeps the limits: nearest is ", "a larger --budget scores more of them"),
        ):
            with pytest.raises(UnsupportedError) as none:
                searched(pairs, Method(name, budget=budget))
            told = str(none.value)
            assert told.startswith(begins) and told.endswith(ends) and "times the limit of 0.01" in told


class TestFront:
    def test_it_has_what_nothing_beats(self) -> None:
        _, judge = searched(pairs_of(space=SPACES["neuronas"]), Method("random", budget=150), levels=8)
        names, found = ("latency_ms", "parameters"), list(judge.judged.values())
        points = {
            one.pair: (-one.score.value, *(getattr(one.costs, name) for name in names)) for one in found
        }
        wanted = {
            pair for pair, point in points.items()
            if not any(other != point and all(x <= y for x, y in zip(other, point, strict=True))
                       for other in points.values())
        }  # fmt: skip
        assert front_of(found, names) == wanted and 1 < len(wanted) < 150


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"algorithm": "papre"}, "algorithm: did you mean paper|algorithm: .*none of"),
            ({"algorithm": "joint", "budget": 0}, "budget: is 0; wants 1 to"),
            ({"budget": 9}, "budget: has no effect with algorithm paper, only with joint and random"),
            ({"algorithm": "joint", "carry_score": True}, "carry_score: has no effect with algorithm joint"),
            ({"algorithm": "random", "sampler": "tpe"}, "sampler: has no effect with algorithm random"),
            ({"algorithm": "joint", "sampler": "tpee"}, "sampler: "),
            ({"minimise": ("energy",)}, "minimise: "),
            ({"minimise": ()}, "minimise: names no cost"),
            ({"minimise": ("energy_uj", "energy_uj")}, "minimise: names a cost twice"),
        ],
    )
    def test_wrong_ones_are_refused(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            Method(**options)

    def test_limits_that_say_nothing_are_refused(self) -> None:
        spikex = pairs_of(Constraints(area_mm2=1), arch="spikex", bits=8)
        with pytest.raises(ConfigError, match=r"max_area_mm2: area is of chips of cr.*; that of spikex"):
            check_search(spikex, Method(), 1, None)
        with pytest.raises(ConfigError, match="minimise: area is of chips of crossbars"):
            check_search(pairs_of(FEW, arch="ptb"), Method(minimise=("area_mm2",)), 1, None)
        with pytest.raises(ConfigError, match="same: has no effect with algorithm paper"):
            check_search(pairs_of(same=True), Method(), 1, None)
        for jobs, scheduler, words in ((0, None, "jobs"), (2, "tcp://a:1", "jobs"), (1, " ", "scheduler")):
            with pytest.raises(ConfigError, match=words):
                check_search(pairs_of(), Method(), jobs, scheduler)
        with pytest.raises(UnsupportedError, match="arch ptb: bits: is 9; machines that replay spikes"):
            Machine.of("ptb", 9, 4)

    def test_windows_are_no_longer_than_the_networks(self) -> None:
        for timesteps, tws in ((3, 3), (5, 4)):
            assert Machine.of("spikex", 8, timesteps).arch.get("tws", default=0) == tws
