"""Commands that repeat explorations, searches of networks, mappings and evaluations."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import yaml

from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.explore.designs.found import Exploration
from spikex_sim.explore.mapping.effort import FEW_NEURONS, MANY_NEURONS, SOLVERS
from spikex_sim.explore.mapping.front import AUTO, ladder
from spikex_sim.explore.nas.found import ArchitectureFound
from spikex_sim.explore.trained_inputs import as_network
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.plots.files import read_rows
from spikex_sim.report.repeat import set_words, settings_of, trace_words
from spikex_sim.run.saved import arch_of
from spikex_sim.spec.load import load_accelerator, preset_names

P = ParamSpec("P")
SPACE = "space.yaml"
_LIMITS = {"parameters": "--max-params"}
"""Options of limits that are not called as their cost is."""


def _where_told(make: Callable[P, tuple[str, str]]) -> Callable[P, tuple[str, str]]:
    """Of files that are not as this version writes them, say so: nobody has checked every part before."""

    @wraps(make)
    def made(*given: P.args, **named: P.kwargs) -> tuple[str, str]:
        try:
            return make(*given, **named)
        except (LookupError, TypeError, ValueError, AttributeError, SpikexError):
            return "", "what was asked for is not in the file, or not as this version writes it"

    return made


def space_text(found: Exploration) -> str:
    """What ``space.yaml`` has to hold for an exploration."""
    search = found.search
    space = {"keys": search.get("space")} | ({"set": search["set"]} if search.get("set") else {})
    return str(yaml.safe_dump(space, sort_keys=False))


@_where_told
def command_of_exploration(found: Exploration) -> tuple[str, str]:
    """Command that repeats an exploration, and what is to be put into it."""
    search = found.search
    traces, remarks = [], [f"{SPACE}: as below"]
    for one in search["traces"]:
        words, remark = trace_words(str(one["sha256"]), str(one["name"]))
        traces += words
        remarks += [remark] if remark else []
    goals = ",".join(f"max:{one.name}" if one.maximise else one.name for one in found.objectives)
    words = ["spikex-sim", "explore", *traces, "--space", SPACE, "--objective", goals]
    words += [word for limit in search["constraints"] for word in ("--constraint", str(limit))]
    for name in ("arch", "engine", "sampler", "budget", "batch", "seed"):
        if search[name] is not None:
            words += [f"--{name}", str(search[name])]
    return shlex.join(words), "; ".join(remarks)


@_where_told
def command_of_architectures(found: ArchitectureFound) -> tuple[str, str]:
    """Command that repeats a search of networks, and what is to be put into it."""
    search = found.search
    network, fitness = search["network"], search["fitness"]
    remarks = [f"DATA: the images, SHA-256 {fitness['data']}"]
    arch = _preset(search["arch"], search["config"])
    if not arch:
        remarks.append("arch.yaml: config, as it stands above")
    words = ["spikex-sim", "nas", "--data", "DATA", "--out", "results/nas", "--arch", arch or "arch.yaml"]
    for name, limit in search["limits"].items():
        words += [_LIMITS.get(name, f"--max-{name.replace('_', '-')}"), f"{limit:.17g}"]
    for name in ("bits", "algorithm", "budget", "sampler", "space", "seed"):
        if name in search:
            words += [f"--{name}", str(search[name])]
    words += [f"--{name.replace('_', '-')}" for name in ("carry_score", "same") if search.get(name)]
    words += ["--minimise", ",".join(search["minimise"])]
    for name in ("dataset", "channels", "timesteps"):
        words += [f"--{name}", str(network[name])]
    for name in ("channels", "timesteps"):
        if fitness.get(name, network[name]) != network[name]:
            words += [f"--score-{name}", str(fitness[name])]
    for name in ("batch", "repeats", "kernel", "constant"):
        words += [f"--{name}", str(fitness[name])]
    return shlex.join(words), "; ".join(remarks)


def _preset(name: str, config: Mapping[str, Any]) -> str:
    """Name of a preset that a search took, which sets the width of weights and shortens windows itself."""
    if name not in preset_names():
        return ""
    usual = load_accelerator(name).model_dump(mode="json")
    own = {"weight_bits", "tws"}
    same = all(config.get(key) == value for key, value in usual.items() if key not in own)
    return name if same and set(config) == set(usual) else ""


@_where_told
def command_of_mapping(saved: SavedMapping, folder: Path) -> tuple[str, str]:
    """Command that repeats a mapping, and what is to be put into it; none of what ``map`` did not make."""
    stages, metrics = saved.stages, saved.metrics
    first, last = stages[0], stages[-1]
    if {one["engine"] for one in stages} - {"anneal", "partition", *SOLVERS}:
        return "", f"by {first['engine']}, a baseline of map compare"
    if last.get("freeze") == "types":
        return "", "with --freeze types the file has the pool of the last stage alone"
    name = str(saved.pool["name"])
    remarks = ["NETWORK: what was mapped, network.json if it had no layers"]
    if not _is_known(saved.pool):
        name = "pool.json"
        remarks.append("pool.json: the pool of mapping.json")
    words = ["spikex-sim", "map", "NETWORK", "--pool", name, "--objective", last["objective"]]
    neurons = int(saved.network["neurons"])
    solver = all(one["engine"] in SOLVERS for one in stages) and first.get("steps") is None
    if solver and neurons > FEW_NEURONS:
        words += ["--engine", first["engine"]]
        remarks.append("--solver-time, if it was given")
    elif solver:
        remarks.append("--engine and --solver-time, if they were given")
    elif FEW_NEURONS < neurons <= MANY_NEURONS:
        words += ["--engine", "anneal"]
    for option in () if solver else ("steps", "restarts"):
        if first.get(option) is not None:
            words += [f"--{option}", str(first[option])]
    words += ["--seed", str(first["seed"])]
    words += _budget(folder, saved)
    if "mesh" in metrics:
        words += ["--mesh", "x".join(map(str, metrics["mesh"]))]
    if "profile" in metrics:
        words += ["--profile", "SAMPLES"]
        remarks.append("SAMPLES: what spikes were counted on, with --profile-share, if it was given")
    if any(one.get("cut") for one in stages):
        remarks.append("a time limit ended it")
    return shlex.join(words), "; ".join(remarks)


def _is_known(pool: Mapping[str, Any]) -> bool:
    try:
        return Pool.named(str(pool["name"])).described == pool
    except ConfigError:
        return False


def _budget(folder: Path, saved: SavedMapping) -> list[str]:
    """Options of the area that later stages may take."""
    first, last = saved.stages[0], saved.stages[-1]
    if last is first:
        return []
    least, table = first["value"], folder / "pareto.csv"
    if table.is_file():
        budgets = [row["area_budget"] for row in read_rows(table)]
        tried = {least, *ladder(least, [one["area"] for one in saved.pool["types"]])}
        auto = len(budgets) > 1 and tried.issuperset(budgets[:-1])
        return ["--pareto", AUTO if auto else ",".join(map(str, budgets))]
    budget = last.get("area_budget")
    if budget == least:
        return []
    return ["--area-budget", "none" if budget is None else str(budget)]


@_where_told
def commands_of_evaluation(content: Mapping[str, Any]) -> tuple[str, str]:
    """Commands that repeat an evaluation, one a machine, and what is to be put into them."""
    network, data = content["network"], content["data"]
    shipped = _is_shipped(network["name"], network["sha256"])
    remarks = [] if shipped else [f"NETWORK: weights of SHA-256 {network['sha256']}"]
    words = ["spikex-sim", "evaluate", network["name"] if shipped else "NETWORK"]
    words += ["--limit", str(data["samples"])]
    if "emulated" not in data["source"]:
        words += ["--data", "DATA"]
        remarks.append(f"DATA: {data['source']}")
    commands = [shlex.join([*words, *_machine_words(one, remarks)]) for one in content["runs"]]
    return "\n".join(commands), "; ".join(dict.fromkeys(remarks))


def _is_shipped(name: str, sha256: str | None) -> bool:
    try:
        return not name.endswith(".npz") and as_network(name).file_sha256 == sha256
    except SpikexError:
        return False


def _machine_words(run: Mapping[str, Any], remarks: list[str]) -> Sequence[str]:
    engine = [] if run["engine"] == "fast" else ["--engine", run["engine"]]
    found = settings_of(arch_of(run["config"], "evaluate.json"))
    if found is None:
        remarks.append("arch.yaml: the config of that machine in evaluate.json")
        return ["--arch", "arch.yaml", *engine]
    preset, changed = found
    return ["--arch", preset, *set_words(changed), *engine]
