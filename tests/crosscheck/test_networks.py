"""Graph networks with known answers: the slow oracle gives every value, spike and count that they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers import shared_data
from naive_graph import Evaluated, digest, evaluate
from naive_graph_cost import Machine, costs, dense_costs
from naive_graph_trace import Trace, read

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
