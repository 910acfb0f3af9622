"""Drawn networks on crossbars, as the package runs them and as the oracle sees them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from imc_strategies import Drawn, descriptions, graph_of
from naive_imc_cost import costs, read_table
from naive_imc_net import Machine, digest
from naive_nice_run import changed_spikes, passes
from spikex_sim import RunResult, Trace, save_trace, simulate
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.trace.graph import GraphTrace

TABLE = read_table(Path(__file__).parents[1] / "spikex_sim" / "costs" / "tables" / "imc65" / "imc.csv")


def nested(changes: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys as sections."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        *sections, last = key.split(".")
        at = found
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    return found


def effective(changes: dict[str, Any]) -> dict[str, Any]:
    """Keys without those that others make idle, which a user is told of."""
    idle = [key for key, _ in CrossbarOptions.model_validate(nested(changes)).without_effect()]
    return {
        key: value
        for key, value in changes.items()
        if not any(key == one or key.startswith(f"{one}.") for one in idle)
    }


def trace_of(drawn: Drawn, samples: list[Any] | None = None) -> Trace:
    """All samples of a chain as a trace."""
    described, weights, biases = descriptions(drawn.layers)
    return Trace.from_arrays(
        described, np.stack(drawn.samples if samples is None else samples), weights=weights, biases=biases
    )


def run(drawn: Drawn, folder: str | os.PathLike[str] | None = None, engine: str = "fast") -> RunResult:
    """Run a drawn chain; calibration samples are written to a folder."""
    changes = effective(drawn.changes)
    if drawn.calibration is not None and folder is not None and "imc.arrays" in changes:
        path = Path(folder) / "calibration.npz"
        save_trace(trace_of(drawn, drawn.calibration), path)
        changes = effective({**changes, "imc.calibration": str(path)})
    return simulate(trace_of(drawn), "spikesim", engine=engine, overrides=changes)


def run_graph(drawn: Drawn, engine: str = "fast") -> RunResult:
    """Run the first sample of a drawn network as a graph, `from` and all; the others are left out."""
    drawn.samples, drawn.calibration = drawn.samples[:1], None
    nodes, arrays = graph_of(drawn)
    described = {"format": "spikex-trace", "version": 2, "name": "drawn", "nodes": nodes}
    trace = GraphTrace.from_arrays(described | {"timesteps": drawn.samples[0].shape[-1]}, arrays)
    return simulate(trace, "spikesim", engine=engine, overrides=effective(drawn.changes))


def check_against_oracle(drawn: Drawn, result: RunResult) -> None:
    """Hold every figure of a run against the oracle: integers to the integer, the rest to 1e-12."""
    config, layers = drawn.config, drawn.layers
    machine = Machine(layers, config)
    passed = passes(layers, drawn.samples, config, drawn.calibration)
    entering = [[one.spikes for one in of_sample] for of_sample in passed]
    want = costs(machine, entering, TABLE)
    assert result.totals.cycles == want["cycles"]
    real = [layer for layer in result.layers if layer.imc is not None]
    changed = changed_spikes(layers, drawn.samples, config, passed)
    for index, (layer, expected) in enumerate(zip(real, want["layers"], strict=True)):
        found = layer.to_dict()
        _check_layer(found, expected)
        assert found["changed_spikes"] == changed[index], layer.name
        if len(drawn.samples) == 1:
            assert found["output_sha256"] == digest(passed[0][index].out), layer.name
            assert (found["imc"]["start"], found["imc"]["end"]) == (expected["start"], expected["end"])
    for name, area in want["area_um2"].items():
        assert _close(result.totals.to_dict()["area_um2"][name], area), name
    assert _close(sum(result.totals.leakage_pj.values()), want["leakage_pj"])


SHARED = ("batches", "ntwus", "streamed_taps", "dense_accumulations", "steps", "lif_updates", "accumulations")


def _check_layer(found: dict[str, Any], expected: dict[str, Any]) -> None:
    counts, name = found["imc"]["counts"], found["name"]
    for key, number in expected["counts"].items():
        if key in counts:
            assert counts[key] == number, (name, key)
        if key in SHARED:
            assert found[key] == number, (name, key)
    for component, pj in expected["energy_pj"].items():
        assert _close(found["energy_pj_by"][component], pj), (name, component)
    for key in ("cycles", "compute_cycles"):
        assert found[key] == expected[key], (name, key)
    assert found["imc"]["busy"] == expected["busy"], name
    assert found["imc"]["stalls"] == expected["stalls"], name
    assert found["mapping"]["pe_cycle"] == expected["pe_cycle"], name
    assert _close(found["utilization"], expected["utilization"]), name


def _close(found: float, expected: float) -> bool:
    return abs(found - expected) <= 1e-12 * max(1.0, abs(found), abs(expected))
