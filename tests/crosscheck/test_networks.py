"""Graph networks with known answers: oracle and package give every value, spike and count that they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from helpers import shared_data
from naive_graph import Evaluated, digest, evaluate
from naive_graph_cost import COUNTED, Machine, costs, dense_costs
from naive_graph_trace import Trace, read
from spikex_sim.core.errors import ConfigError

NAMES = [
    "attention",
    "chain",
    "depthwise-separable",
    "direct-encoding",
    "example",
    "membrane-shortcut",
    "neurons-int",
    "recurrence-4",
    "sew-add",
]


def case(name: str) -> tuple[Trace, dict[str, Any]]:
    """Trace of a case, and what is known of it."""
    folder: Path = shared_data("../cases/networks")
    return read(folder / f"{name}.npz"), json.loads((folder / f"{name}.json").read_text())


def test_no_case_is_left_out() -> None:
    assert sorted(path.stem for path in shared_data("../cases/networks").glob("*.npz")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_outputs(name: str) -> None:
    trace, known = case(name)
    computed = evaluate(trace).computed
    assert list(computed) == list(known["outputs"])
    for node, wanted in known["outputs"].items():
        given = computed[node]
        if given.carries == "spikes":
            found = {"output_spikes": given.values.sum(), "output_sha256": digest(given)}
        else:
            values = given.values
            found = {"sum": values.sum(), "min": values.min(), "max": values.max()}
            found |= {"constant": given.constant, "values_sha256": digest(given)}
        assert found | {"shape": list(given.values.shape[:3])} == wanted, node


def counted(trace: Trace, evaluated: Evaluated, key: str) -> dict[str, Any]:
    """What the oracle says for a key such as ``spikex tws=2 recompute`` or ``dense reuse``."""
    machine, *options = key.split()
    reuse = "recompute" not in options
    if machine == "dense":
        return dense_costs(trace, evaluated, reuse)
    tws = int(options[0].removeprefix("tws="))
    try:
        return costs(trace, evaluated, Machine(machine, tws, reuse))
    except ValueError as error:
        return {"error": str(error)}


@pytest.mark.parametrize("name", NAMES)
def test_counts(name: str) -> None:
    trace, known = case(name)
    evaluated = evaluate(trace)
    for key, wanted in known["counts"].items():
        assert counted(trace, evaluated, key) == wanted, key


FLOWS = ("os", "ws", "is")


def simulated(name: str, key: str) -> dict[str, Any]:
    """What the package says for such a key, and hashes of its outputs."""
    machine, *options = key.split()
    keys: dict[str, Any] = {"array.rows": 8, "array.cols": 8, "mapping.tile": "layer"}
    if "recompute" in options:
        keys["direct_encoding"] = "recompute"
    trace = sx.load_trace(shared_data("../cases/networks") / f"{name}.npz")
    found: dict[str, Any] = {}
    if machine == "dense":
        runs = {flow: sx.simulate(trace, f"systolic-{flow}", overrides=keys) for flow in FLOWS}
        for flow, result in runs.items():
            for layer in result.layers:
                found.setdefault(layer.name, {})[flow] = layer.compute_cycles
                found[layer.name][f"{flow} output_sha256"] = layer.output_sha256
        return found
    try:
        result = sx.simulate(trace, machine, tws=int(options[0].removeprefix("tws=")), overrides=keys)
    except ConfigError as error:
        return {"error": str(error)}
    for layer in result.layers:
        described = layer.to_dict()
        counts = {count: described.get(count, 0) for count in COUNTED}
        found[layer.name] = counts | {"mode": layer.mode, "output_sha256": layer.output_sha256}
        found[layer.name]["output_spikes"] = layer.output_spikes
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "attention" else ()) for name in NAMES]
)
def test_the_package(name: str) -> None:
    _, known = case(name)
    for key, wanted in known["counts"].items():
        found = simulated(name, key)
        if "error" in wanted:
            largest = wanted["error"].split()[-1]
            assert f"the largest that works is {largest}" in found["error"]
            continue
        assert list(found) == list(wanted), key
        for node, said in wanted.items():
            output = known["outputs"][node]
            sha256 = output.get("output_sha256") or output["values_sha256"]
            if key.startswith("dense"):
                cycles = {flow: said.get(flow, 0) for flow in FLOWS}
                hashes = {f"{flow} output_sha256": sha256 for flow in FLOWS}
                assert found[node] == cycles | hashes, (key, node)
                continue
            outputs = {"output_sha256": sha256, "output_spikes": output.get("output_spikes")}
            counts = {count: said[count] for count in (*COUNTED, "mode")}
            assert found[node] == counts | outputs, (key, node)
