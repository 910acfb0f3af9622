"""A whole search: checked, scored or read from its store, reported and written (Section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from spikex_sim.core.errors import ConfigError, SpikexError, UnsupportedError
from spikex_sim.core.files import writable_folder
from spikex_sim.core.hints import one_of
from spikex_sim.core.origin import origin
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.nas.chance import at_random
from spikex_sim.explore.nas.constraints import UNITS
from spikex_sim.explore.nas.crew import Bench, Crew, Scorers
from spikex_sim.explore.nas.found import JSON_FILE, STORE_FILE, ArchitectureFound, Counts, load_found
from spikex_sim.explore.nas.infeasible import nothing_fits
from spikex_sim.explore.nas.joint import check_joint, joint
from spikex_sim.explore.nas.judge import Evaluator, Judge
from spikex_sim.explore.nas.kept import is_row
from spikex_sim.explore.nas.machine import SHAPES, Machine, check_limits
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.pairs import Pairs
from spikex_sim.explore.nas.paper import Searched, paper
from spikex_sim.explore.nas.report import baselines_of, limits_of, networks_of, winner_of
from spikex_sim.explore.sweeps.store import SweepStore
from spikex_sim.explore.workers import check_places

ALGORITHMS = ("paper", "joint", "random")
REPORTED = ("spikesim-released", "spikesim", "spikex", "ptb")
"""Machines on which the winner is costed besides."""
MOST_BUDGET = 1 << 20
"""Networks that a search scores at most."""


@dataclass(frozen=True)
class Method:
    """How networks are searched.

    Attributes
    ----------
    algorithm : {"paper", "joint", "random"}
        See docs/nas.md, Section 4.
    carry_score : bool
        ``paper``: as printed.
    budget : int, optional
        ``joint`` and ``random``: networks to score; by default twice as many as a space has forms, with A = B
        as many, which is what ``paper`` scores at most.
    sampler : str, optional
        ``joint``: the optimiser; by default ``nsga2``.
    minimise : sequence of str
        Costs beside the fitness: of the front, and that ``joint`` minimises.
    """

    algorithm: str = "paper"
    carry_score: bool = False
    budget: int | None = None
    sampler: str | None = None
    minimise: Sequence[str] = ("energy_uj",)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(one_of(self.algorithm, ALGORITHMS), field="algorithm")
        if self.budget is not None and not 1 <= self.budget <= MOST_BUDGET:
            raise ConfigError(f"is {self.budget}; wants 1 to {MOST_BUDGET:,} networks", field="budget")
        without = {
            "carry_score": (self.carry_score, ("paper",)),
            "budget": (self.budget is not None, ("joint", "random")),
            "sampler": (self.sampler is not None, ("joint",)),
        }
        for name, (given, algorithms) in without.items():
            if given and self.algorithm not in algorithms:
                raise ConfigError(
                    f"has no effect with algorithm {self.algorithm}, only with {' and '.join(algorithms)}",
                    field=name,
                )
        if not self.minimise:
            raise ConfigError(f"names no cost; there are {', '.join(UNITS)}", field="minimise")
        for name in self.minimise:
            if name not in UNITS:
                raise ConfigError(one_of(name, UNITS), field="minimise")
        if len(set(self.minimise)) < len(self.minimise):
            raise ConfigError("names a cost twice", field="minimise")
        if self.algorithm == "joint":
            check_joint(self.sampler or "nsga2")

    def content(self, pairs: Pairs) -> dict[str, Any]:
        """What decides the outcome."""
        own: dict[str, dict[str, Any]] = {
            "paper": {"carry_score": self.carry_score},
            "joint": {"budget": self.networks(pairs), "sampler": self.sampler or "nsga2"},
            "random": {"budget": self.networks(pairs)},
        }
        return {"algorithm": self.algorithm, **own[self.algorithm], "minimise": list(self.minimise)}

    def networks(self, pairs: Pairs) -> int:
        """Networks to score, where a budget says so."""
        forms = len(set(pairs.first.tolist()))
        return self.budget or (forms if pairs.same else 2 * forms)

    def run(self, judge: Judge) -> Searched:
        """Search."""
        if self.algorithm == "paper":
            return paper(judge, carry_score=self.carry_score)
        if self.algorithm == "random":
            return at_random(judge, self.networks(judge.pairs))
        return joint(
            judge, self.networks(judge.pairs), sampler=self.sampler or "nsga2", minimise=self.minimise
        )


def search(
    scorers: Scorers,
    pairs: Pairs,
    method: Method,
    *,
    scored: Macro | None = None,
    seed: int = 0,
    jobs: int = 1,
    scheduler: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> ArchitectureFound:
    """Search cells, and report on the winner.

    Parameters
    ----------
    scorers : callable
        Scorer of a seed.
    pairs : Pairs
        Cells, network, machine and limits.
    method : Method
        Algorithm and its options.
    scored : Macro, optional
        Network that scorers score, if it is not that of ``pairs``.
    seed : int
        Of weights, mini-batches and the search.
    jobs : int
        Processes on this machine.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers score instead.
    out : str or Path, optional
        Folder for ``nas.sqlite``, ``nas.json`` and ``nas.csv``; what its store has is not scored again.
    progress : callable, optional
        Told what is scored, how many networks are done, and of how many.

    Returns
    -------
    ArchitectureFound
        The same for any number of processes, but for the time.

    Raises
    ------
    ConfigError
        If options contradict each other, or the folder holds another search.
    UnsupportedError
        If the machine takes no network, or nothing keeps the limits, naming the one that fails and the
        nearest miss.
    """
    check_search(pairs, method, jobs, scheduler)
    about = _about(scorers, pairs, method, seed)
    if out is not None:
        _check_other(Path(out), about)
    whole = scored is None or scored == pairs.macro
    machines, refused = _machines(pairs.machine, pairs.macro.timesteps, replay=whole)
    pairs.machine.check_runs(pairs.macro)
    started = perf_counter()
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(Bench(scorers, pairs.macro, machines), jobs, scheduler))
        folder = None if out is None else writable_folder(out)
        store = stack.enter_context(SweepStore(folder and folder / STORE_FILE, is_row))
        evaluator = Evaluator(scorers, pairs.macro, machines, store, crew, progress)
        judge = Judge(pairs, evaluator, seed)
        searched = method.run(judge)
        networks = networks_of(judge, method.minimise)
        first = pairs.different(searched.best.pair)
        front = networks[list(judge.judged).index(first)].front
        winner = winner_of(judge, searched.best, machines, refused, front=front)
        baselines = baselines_of(judge)
    counts = Counts(
        scored=len(judge.judged), skipped=searched.skipped, broken=searched.broken, saved=judge.saved
    )
    found = ArchitectureFound(
        search=about, winner=winner, baselines=baselines, counts=counts,
        seconds=perf_counter() - started, versions=_versions(), networks=networks,
    )  # fmt: skip
    if folder is not None:
        found.save(folder)
    return found


def check_search(pairs: Pairs, method: Method, jobs: int, scheduler: str | None) -> None:
    """Raise what can be said against a search before anything is read or scored."""
    check_places(jobs, scheduler)
    check_limits(pairs.machine, pairs.limits, method.minimise)
    if pairs.same and method.algorithm == "paper":
        raise ConfigError("has no effect with algorithm paper, whose pass 0 has A = B", field="same")
    if not pairs.feasible and not method.carry_score:
        raise nothing_fits(pairs, pairs.known)


def check_scored(scored: Macro, pairs: Pairs) -> None:
    """Raise where a larger network is scored, or another than the one whose spikes costs follow from."""
    for name in ("channels", "timesteps"):
        given, most = getattr(scored, name), getattr(pairs.macro, name)
        if given > most:
            raise ConfigError(
                f"is {given}; wants 1 to {most}, the {name} of the network that is costed",
                field=f"score_{name}",
            )
    if scored != pairs.macro and pairs.machine.script is None:
        raise ConfigError(
            f"costs on {pairs.machine.name} follow from the spikes of the network that is scored, so it "
            f"has to be the whole one; on {SHAPES} they follow from shapes",
            field="score_channels" if scored.channels != pairs.macro.channels else "score_timesteps",
        )


def _about(scorers: Scorers, pairs: Pairs, method: Method, seed: int) -> dict[str, Any]:
    machine, macro = pairs.machine, pairs.macro
    return {
        "space": pairs.space.name,
        "same": pairs.same,
        **method.content(pairs),
        "seed": seed,
        "arch": machine.name,
        "config": machine.arch.model_dump(mode="json"),
        "bits": machine.bits,
        "limits": limits_of(pairs.limits),
        "network": {
            "dataset": macro.dataset.name, "side": macro.dataset.side, "classes": macro.dataset.classes,
            "vote": macro.dataset.vote, "channels": macro.channels, "timesteps": macro.timesteps,
            "pool": macro.pool, "width": macro.linear[0][1], "tau": macro.tau, "threshold": macro.threshold,
        },
        "fitness": dict(scorers(seed).settings),
    }  # fmt: skip


def _check_other(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise where a folder has the winner of another search, which would be lost."""
    file = folder / JSON_FILE
    if not file.exists():
        return
    there = load_found(file).search
    for name, value in about.items():
        if there.get(name) != value:
            before = there.get(name)
            raise ConfigError(
                f"holds another search ({name}: {_told(before, value)} there, {_told(value, before)} here); "
                "name another folder",
                where=str(folder),
            )


def _told(value: Any, other: Any) -> str:
    """A value, or the part of it that is not as in another."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = {key: one for key, one in value.items() if other.get(key) != one}
        return ", ".join(f"{key} {one}" for key, one in differing.items())[:80] or "less"
    return f"{value}"[:80]


def _machines(machine: Machine, timesteps: int, *, replay: bool) -> tuple[list[Machine], dict[str, str]]:
    """The machine of the limits and others that the winner is costed on; and those that cannot be asked."""
    found, refused = [machine], dict[str, str]()
    for name in REPORTED:
        if name != machine.name:
            try:
                other = Machine.of(name, machine.bits, timesteps)
                if not replay and other.script is None:
                    raise UnsupportedError(
                        "costs follow from spikes, and those are of a smaller network", where=name
                    )
                found.append(other)
            except SpikexError as exc:
                refused[name] = str(exc)
    return found, refused


def _versions() -> dict[str, str]:
    from spikex_sim.run.simulate import versions

    return versions() | origin()
