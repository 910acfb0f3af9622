"""Costs of a layer by the package and by the slow oracle, in the same words, and their comparison."""

from __future__ import annotations

from typing import Any

import pytest

import naive_cost
from pipeline import Run, oracle_config, run
from spikex_sim.core.counts import CAUGHT_UP, DESKEWED, HANDED_OVER, LOOKED_UP, SCANNED
from spikex_sim.core.errors import ConfigError
from spikex_sim.schedules.base import APART, Handover
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.own_keys import own
from strategies import Workload

STEP_COLUMNS = {
    "fetch_bits": "f_bits",
    "load_bits": "l_bits",
    "store_bits": "s_bits",
    "writeback_bits": "w_bits",
    "array_cycles": "array_cycles",
    "lbuf_read_bits": "lbuf_read_bits",
    "lbuf_write_bits": "lbuf_write_bits",
}
OVERHEADS = (DESKEWED, HANDED_OVER, LOOKED_UP, SCANNED, CAUGHT_UP)
DURATION_COLUMNS = {"fetch": "f", "load": "l", "compute": "c", "store": "s", "writeback": "w"}


def package_costs(done: Run) -> dict[str, Any]:
    """What the package says, in the oracle's words."""
    operations, traffic, residency = done.layout.operations, done.layout, done.layout.residency
    steps = {theirs: getattr(done.steps, ours).tolist() for ours, theirs in STEP_COLUMNS.items()}
    durations = {theirs: getattr(done.durations, ours).tolist() for ours, theirs in DURATION_COLUMNS.items()}
    ends = zip(*(getattr(done.ends, name).tolist() for name in DURATION_COLUMNS), strict=True)
    return {
        "mode": done.schedule.mode,
        "positions_per_set": done.schedule.shape.positions,
        "windows_per_block": done.schedule.shape.windows,
        "scopes": {
            "glb_filter": residency.glb_filter,
            "glb_ifmap": residency.glb_ifmap,
            "lbuf_filter": residency.lbuf_filter,
        },
        "output_kept": {"kept": True, "sent": False}[residency.glb_ofmap],
        "batches": operations.batches,
        "ntwus": operations.ntwus,
        "streamed_taps": operations.streamed_taps,
        "accumulations": operations.accumulations,
        "lif_updates": operations.lif_updates,
        "comparisons": operations.comparisons,
        "compute_cycles": traffic.compute_cycles,
        "cycles": done.ends.cycles,
        "stalls": dict(done.stalls),
        "pe_busy_cycles": operations.pe_cycles,
        "accesses": dict(traffic.accesses),
        "overheads": {counter[0]: traffic.accesses.counts[counter] for counter in OVERHEADS},
        "steps": steps | durations,
        "ends": list(ends),
    }


def oracle_costs(want: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer with its steps as columns."""
    columns = {key: [step[key] for step in want["steps"]] for key in want["steps"][0]}
    return {**want, "comparisons": want["lif_updates"], "steps": columns}


def assert_costs(
    workload: Workload, base: str, keys: dict[str, Any], handover: Handover = APART
) -> Run | None:
    """Compare all costs; None where both say that a buffer is too small."""
    arch = load_accelerator(base, own(base, keys))
    refused = None
    try:
        want = naive_cost.cost(
            workload.layer, workload.spikes, oracle_config(arch), workload.biased,
            input_kept=handover.input_kept, output_may_be_kept=handover.output_wanted,
        )  # fmt: skip
    except ValueError as exc:
        refused = exc
    if refused is not None:
        with pytest.raises(ConfigError, match=r"the smallest that works is \d+ B"):
            run(workload, arch, handover=handover)
        return None
    arch = load_accelerator(base, own(base, keys | {"overheads": "hardware"}))
    done = run(workload, arch, handover=handover)
    got = package_costs(done)
    expected = oracle_costs(want)
    if handover.input_kept:  # the package names the ifmap that nobody loads
        expected["scopes"] = {**want["scopes"], "glb_ifmap": "kept"}
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        assert got[key] == value, key
    return done
