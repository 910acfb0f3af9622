"""The comparison of two checkouts draws what every preset runs, and finds a number that moved."""

from __future__ import annotations

import copy
import math
from typing import Any

import compare_trees
import pytest
from compare_trees import PRESETS, answer, compared, drawn_job

import spikex_sim as sx
from spikex_sim.spec.load import preset_names


def test_every_preset_is_drawn() -> None:
    assert sorted(PRESETS) == preset_names()
    assert [drawn_job(seed)["preset"] for seed in range(len(PRESETS))] == list(PRESETS)


def test_only_keys_that_a_machine_reads_are_drawn() -> None:
    for seed in range(40 * len(PRESETS)):
        job = drawn_job(seed)
        try:
            sx.load_accelerator(job["preset"], job["overrides"])
        except sx.ConfigError as mistake:
            assert "no effect" not in str(mistake) and "not read" not in str(mistake), f"drawn_job({seed})"


def test_a_seed_draws_the_same_again() -> None:
    assert compare_trees.told(drawn_job(5), 5) == compare_trees.told(drawn_job(5), 5)
    assert compare_trees.told(drawn_job(5), 5) != compare_trees.told(drawn_job(5 + len(PRESETS)), 5)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return next(run for run in map(answer, range_of_jobs()) if "mistake" not in run and run["outputs"])


def range_of_jobs() -> list[dict[str, Any]]:
    return [drawn_job(seed) for seed in range(0, 10 * len(PRESETS), len(PRESETS))]


def spoilt(found: dict[str, Any], *path: Any, by: Any) -> dict[str, Any]:
    """The same answer with one number changed."""
    other = copy.deepcopy(found)
    at = other["result"]
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = by(at[path[-1]])
    return other


def test_the_same_is_no_difference(found: dict[str, Any]) -> None:
    assert compared(copy.deepcopy(found), copy.deepcopy(found)) == (0.0, None)


@pytest.mark.parametrize(
    "path",
    [("layers", 0, "cycles"), ("layers", 0, "stalls", "dram"), ("samples", 0, "accumulations"),
     ("layers", 0, "accesses", "dram", "filter", "read_bits")],
)  # fmt: skip
def test_a_count_that_moved_is_found(found: dict[str, Any], path: tuple[Any, ...]) -> None:
    moved = spoilt(found, *path, by=lambda count: count + 1)
    difference = compared(copy.deepcopy(found), moved)[1]
    assert difference and str(path[-1]) in difference


def test_energies_may_differ_in_the_last_place_only(found: dict[str, Any]) -> None:
    nearly = spoilt(found, "totals", "energy_pj", by=lambda pj: math.nextafter(pj, math.inf))
    apart, difference = compared(copy.deepcopy(found), nearly)
    assert 0 < apart < 1e-15 and difference is None
    moved = spoilt(found, "totals", "energy_pj", by=lambda pj: pj * (1 + 1e-8))
    assert "totals.energy_pj" in str(compared(copy.deepcopy(found), moved)[1])


def test_spikes_keys_and_mistakes_are_compared(found: dict[str, Any]) -> None:
    assert "outputs" in str(compared(found, found | {"outputs": "others"})[1])
    gone = copy.deepcopy(found)
    del gone["result"]["layers"][0]["steps"]
    assert "layers[0].steps" in str(compared(copy.deepcopy(found), gone)[1])
    mistake = {"mistake": "ConfigError", "message": "too small"}
    assert "too small" in str(compared(copy.deepcopy(found), mistake)[1])
    assert compared(mistake, mistake | {"message": "said otherwise"}) == (0.0, None)


def test_layers_energies_by_component_are_those_of_the_other_schema(found: dict[str, Any]) -> None:
    first, second = copy.deepcopy(found), copy.deepcopy(found)
    for layer in second["result"]["layers"]:
        if isinstance(layer["energy_pj"], dict):
            layer["energy_pj_by"], layer["energy_pj"] = layer["energy_pj"], layer.pop("energy_total_pj")
    assert compared(first, second) == (0.0, None)
