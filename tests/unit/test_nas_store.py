"""Whole searches: interrupted, killed, in several processes, written and read back (Section 4)."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command import environment
from nas_scorers import DrawnScorers
from spikex_sim.core.errors import ConfigError, ResultsError, SpikexError
from spikex_sim.explore.nas.cells import SPACES
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.found import ArchitectureFound, load_found
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.pairs import Pairs
from spikex_sim.explore.nas.report import RANDOM
from spikex_sim.explore.nas.search import REPORTED, Method, search

SMALL = Macro(channels=4, timesteps=2)
FEW = Constraints(1000)
METHODS = (Method(), Method("joint", budget=40), Method("random", budget=60))


def pairs_of(arch: str = "spikesim-released", limits: Constraints = FEW) -> Pairs:
    return Pairs.of(SPACES["neuronas"], SMALL, Machine.of(arch, 4, 2), limits)


def same(one: ArchitectureFound, other: ArchitectureFound) -> bool:
    return one.model_copy(update={"seconds": 0}) == other.model_copy(update={"seconds": 0})


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.algorithm)
def test_interrupted_ten_times_it_finds_the_same_and_scores_nothing_twice(
    method: Method, tmp_path: Path
) -> None:
    """But for the winner, which runs once more for the spikes that other machines replay."""
    pairs, limits = pairs_of(limits=Constraints(700)), Constraints(700)
    whole = DrawnScorers(SMALL, log=tmp_path / "whole")
    wanted = search(whole, pairs_of(limits=limits), method)
    scored = whole.scored()
    winner = scored.index(next(line for line in scored if scored.count(line) == 2), wanted.counts.scored)
    assert len(set(scored)) == len(scored) - 1
    scorers = DrawnScorers(SMALL, log=tmp_path / "log")
    for k in range(10):
        at = 1 + (len(scored) - 2) * k // 9
        with pytest.raises(SpikexError, match="scorer: interrupted"):
            search(replace(scorers, fails_at=at), pairs, method, out=tmp_path / "out")
        assert len(scorers.scored()) == at and not (tmp_path / "out" / "nas.json").exists()
    found = search(scorers, pairs, method, out=tmp_path / "out")
    assert same(found, wanted) and sorted(scorers.scored()) == sorted(scored)
    again = search(replace(scorers, fails_at=0), pairs, method, out=tmp_path / "out")
    assert same(again, wanted) and winner


def test_costs_of_spikes_are_kept_too(tmp_path: Path) -> None:
    pairs = pairs_of("spikesim", Constraints(600, energy_uj=2.5))
    scorers = DrawnScorers(SMALL, log=tmp_path / "log")
    method = Method("random", budget=30)
    wanted = search(scorers, pairs, method)
    with pytest.raises(SpikexError, match="interrupted"):
        search(replace(scorers, fails_at=len(scorers.scored()) + 11), pairs, method, out=tmp_path / "out")
    before = len(scorers.scored())
    assert same(search(scorers, pairs, method, out=tmp_path / "out"), wanted)
    lines = scorers.scored()
    assert not set(lines[before - 11 : before]) & set(lines[before : before + 19])


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths}
from nas_scorers import DrawnScorers
from test_nas_store import SMALL, pairs_of
from spikex_sim.explore.nas.search import Method, search
search(DrawnScorers(SMALL, log=Path("log"), seconds=0.02), pairs_of(), Method("random", budget=60), out="out")
"""


def test_killed_it_goes_on(tmp_path: Path) -> None:
    script = SCRIPT.format(paths=[str(Path(__file__).parent), str(Path(__file__).parents[1])])
    words = [sys.executable, "-c", script]
    running = subprocess.Popen(words, cwd=tmp_path, env=environment(), start_new_session=True)
    log, last = tmp_path / "log", time.monotonic() + 120
    while not log.exists() or log.read_text().count("\n") < 20:
        assert time.monotonic() < last and running.poll() is None
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = log.read_text().splitlines()
    assert not (tmp_path / "out" / "nas.json").exists()
    method = Method("random", budget=60)
    scorers = DrawnScorers(SMALL, log=log)
    found = search(scorers, pairs_of(), method, out=tmp_path / "out")
    twice = set(before) & set(log.read_text().splitlines()[len(before) :])
    winner = f"0 {found.winner.form_a} | {found.winner.form_b}"
    assert len(twice - {winner}) <= 1  # what was scored when it was killed, and not kept yet
    assert same(found, search(DrawnScorers(SMALL), pairs_of(), method))


@pytest.mark.parametrize("method", METHODS[1:], ids=lambda method: method.algorithm)
def test_two_processes_find_what_one_finds(method: Method, tmp_path: Path) -> None:
    arch = "spikex" if method.algorithm == "random" else "spikesim-released"
    pairs = pairs_of(arch)
    one = search(DrawnScorers(SMALL), pairs, method)
    scorers = DrawnScorers(SMALL, log=tmp_path / "log")
    two = search(scorers, pairs, method, jobs=2, out=tmp_path / "out")
    assert same(one, two)
    counted = len(scorers.scored()) - len(set(scorers.scored()))
    assert counted == 1  # the winner, for the spikes that other machines replay


def test_a_killed_worker_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpikexError, match=r"--jobs: its process was killed.*run the same command again"):
        search(_Deadly(SMALL), pairs_of(), Method("random", budget=9), jobs=2, out=tmp_path)  # type: ignore[arg-type]


class _Deadly(DrawnScorers):
    def __call__(self, seed: int) -> Any:
        made = super().__call__(seed)
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[ArchitectureFound, Path]:
    out = tmp_path_factory.mktemp("nas")
    limits = Constraints(1000, latency_ms=5)
    return search(DrawnScorers(SMALL), pairs_of(limits=limits), Method("random", budget=40), out=out), out


class TestReport:
    def test_files_are_read_back(self, found: tuple[ArchitectureFound, Path]) -> None:
        whole, out = found
        assert load_found(out) == load_found(out / "nas.json") == whole
        content = json.loads((out / "nas.json").read_text())
        assert content["search"]["limits"] == {"parameters": 1000.0, "latency_ms": 5.0}
        assert content["search"]["fitness"]["channels"] == 4 and content["versions"]["spikex_sim"]
        with (out / "nas.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["cell_a"], float(row["score"])) for row in rows] == [
            (one.cell_a, one.score) for one in whole.networks
        ]
        assert sum(row["front"] == "True" for row in rows) == len(whole.front) > 1

    def test_the_winner_has_costs_seeds_and_a_rank(self, found: tuple[ArchitectureFound, Path]) -> None:
        whole, _ = found
        winner = whole.winner
        assert winner.score == max(one.score for one in whole.networks) and winner.feasible
        assert set(winner.machines) == set(REPORTED)
        assert winner.machines["spikesim-released"] == winner.costs
        assert all(one.energy_uj for one in winner.machines.values())
        assert list(winner.spread.scores) == ["0", "1", "2"] and winner.spread.scores["0"] == winner.score
        alike = [
            one.score for one in whole.networks
            if one.convolutions_a + one.convolutions_b == winner.convolutions_a + winner.convolutions_b
        ]  # fmt: skip
        assert (winner.rank.rank, winner.rank.of) == (1 + sum(s > winner.score for s in alike), len(alike))

    def test_baselines_fit_and_have_the_most_convolutions(
        self, found: tuple[ArchitectureFound, Path]
    ) -> None:
        whole, _ = found
        pairs, most = pairs_of(limits=Constraints(1000, latency_ms=5)), whole.baselines.most_convolutions
        assert most is not None and whole.baselines.most_convolutions_spread is not None
        fits = [pairs.convolutions(pair) for pair in pairs.listed(pairs.firsts)]
        assert most.convolutions_a + most.convolutions_b == max(fits)
        drawn = whole.baselines.random_feasible
        assert len({(one.cell_a, one.cell_b) for one in drawn}) == RANDOM
        assert all(one.costs.parameters <= 1000 and one.costs.latency_ms <= 5 for one in (most, *drawn))

    def test_another_search_is_not_written_over(
        self, found: tuple[ArchitectureFound, Path], tmp_path: Path
    ) -> None:
        whole, out = found
        before = (out / "nas.json").read_bytes()
        for changed, words in (
            ({"method": Method("random", budget=41)}, r"\(budget: 40 there, 41 here\)"),
            ({"seed": 1}, r"\(seed: 0 there, 1 here\)"),
            ({"limits": FEW}, r"\(limits: latency_ms 5.0 there, less here\)"),
            ({"scorers": DrawnScorers(SMALL, {"batch": 9})}, r"\(fitness: less there, batch 9 here\)"),
        ):
            given: dict[str, Any] = {
                "scorers": DrawnScorers(SMALL), "limits": Constraints(1000, latency_ms=5), "seed": 0,
                "method": Method("random", budget=40), **changed,
            }  # fmt: skip
            limits = given.pop("limits")
            with pytest.raises(ConfigError, match=f"holds another search {words}; name another folder"):
                search(given.pop("scorers"), pairs_of(limits=limits), given.pop("method"), out=out, **given)
        assert (out / "nas.json").read_bytes() == before and whole.counts.scored == 40

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda c: c | {"format": "x"}, "format: "),
            (lambda c: c | {"networks": []}, "networks: "),
            (lambda c: c | {"more": 1}, "more: unknown key"),
            (lambda c: c | {"winner": c["winner"] | {"cell_a": "11111x"}}, "no operation"),
            (lambda c: c | {"search": c["search"] | {"limits": {"volume": 1}}}, "limits names another cost"),
            (lambda c: c | {"search": c["search"] | {"space": "none"}}, "space"),
            (lambda c: c | {"search": c["search"] | {"limits": {"energy_uj": 10**400}}}, "no number above 0"),
            (lambda c: c | {"search": c["search"] | {"limits": {"energy_uj": True}}}, "no number above 0"),
            (lambda c: c | {"winner": c["winner"] | {"score": "nan"}}, "winner.score: "),
            (lambda c: c | {"winner": c["winner"] | {"score": 10**400}}, "winner.score: "),
            (lambda c: c | {"counts": c["counts"] | {"saved": 1 << 63}}, "counts.saved: "),
            (
                lambda c: c | {"winner": c["winner"] | {"spread": c["winner"]["spread"] | {"sd": "inf"}}},
                "spread.sd: ",
            ),
            (lambda c: c | {"seconds": -1}, "seconds: "),
            (lambda c: [c], "must be a mapping"),
        ],
    )
    def test_files_of_others_are_checked(
        self, found: tuple[ArchitectureFound, Path], tmp_path: Path, change: Any, words: str
    ) -> None:
        content = json.loads((found[1] / "nas.json").read_text())
        (tmp_path / "nas.json").write_text(json.dumps(change(content)))
        with pytest.raises(ResultsError, match=words) as wrong:
            load_found(tmp_path)
        assert str(tmp_path / "nas.json") in str(wrong.value) and "\n" not in str(wrong.value)

    def test_what_is_no_json_is_refused(self, tmp_path: Path) -> None:
        for text in (
            "",
            "{",
            '{"a": NaN}',
            f"[{'9' * 5000}]",
            "[" * 100_000,
            "\ud800".encode("utf-8", "surrogatepass"),
        ):
            file = tmp_path / "nas.json"
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
            with pytest.raises(ResultsError, match="is not what a search found"):
                load_found(file)
        with pytest.raises(ResultsError):
            load_found(tmp_path / "none")

    def test_minus_infinity_is_written(self, tmp_path: Path) -> None:
        found = search(DrawnScorers(SMALL, levels=0), pairs_of(), Method("random", budget=9), out=tmp_path)
        assert load_found(tmp_path) == found and found.winner.spread.mean is None
        assert '"score": "-inf"' in (tmp_path / "nas.json").read_text()
