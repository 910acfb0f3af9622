"""Costs of a layer on a dense array or SATA by the package and by the slow oracle, and their comparison."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import naive
import naive_ann
import naive_gemm
import spikex_sim as sx
from networks import full, trace_of
from pipeline import laid_out, task_of, wraps_at
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import geometry_of
from spikex_sim.core.registry import plugin
from spikex_sim.schedules.dense.activations import Activations
from spikex_sim.testing.own_keys import own
from strategies import Workload

ENGINES = ("fast", "event")
STEP_COLUMNS = {"fetch_bits": "f_bits", "load_bits": "l_bits", "store_bits": "s_bits",
                "writeback_bits": "w_bits", "array_cycles": "array_cycles"}  # fmt: skip
DURATION_COLUMNS = {"fetch": "f", "load": "l", "compute": "c", "store": "s", "writeback": "w"}


def oracle_config(arch: sx.Accelerator) -> dict[str, Any]:
    """Return an accelerator's settings in the form that `naive_gemm.cost` takes."""
    others = {"activation_bits": 1, "lif_sharing": 1, "cycles_model": "overlapped"}  # of machines without
    config = others | arch.model_dump()
    config["mapping"] = {"positions": "auto", "windows": "auto"} | config["mapping"]
    memory = config["memory"]
    clock_hz = Fraction(str(config["clock_mhz"])) * 10**6
    bits_per_s = Fraction(str(memory["dram"]["bandwidth_gb_s"])) * 10**9 * 8
    for name in ("glb", "lbuf"):
        shares = memory[name]["partition"].items()
        memory[name]["partition"] = {tensor: Fraction(str(share)) for tensor, share in shares}
    same = ("scheduler", "dataflow", "zero_gating", "activation_bits", "lif_sharing", "cycles_model",
            "weight_bits", "psum_bits", "potential_bits", "array", "mapping")  # fmt: skip
    latency = memory["dram"]["latency_cycles"]
    return {key: config[key] for key in same} | {
        "memory": {
            "dram": {"bits_per_cycle": bits_per_s / clock_hz, "latency_cycles": latency},
            "glb": memory["glb"],
            "lbuf": memory["lbuf"],
        }
    }


def is_ann(arch: sx.Accelerator) -> bool:
    """Whether the machine runs on activations."""
    return arch.input_bits > 1


def oracle_values(spikes: NDArray[np.bool_], arch: sx.Accelerator) -> NDArray[Any]:
    """Return what enters a layer, time last: spikes, or for an ANN the activations that they stand for."""
    return naive_ann.activations(spikes)[..., None] if is_ann(arch) else spikes


def reported(layer: Any) -> dict[str, Any]:
    """What the package says, in the oracle's words."""
    same = ("cycles", "compute_cycles", "batches", "ntwus", "streamed_taps", "accumulations",
            "multiplications", "lif_updates", "comparisons", "dense_accumulations", "steps")  # fmt: skip
    operations = layer.operations
    found = {key: getattr(layer if hasattr(layer, key) else operations, key) for key in same}
    return found | {
        "stalls": dict(layer.stalls),
        "pe_cycles": operations.pe_cycles,
        "array_words": {
            tensor: getattr(operations, f"array_{tensor}_words") for tensor in ("ifmap", "filter", "ofmap")
        },
        "accesses": dict(layer.accesses),
    }


def expected(want: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer, as far as results have it."""
    apart = ("ends", "residency", "chunk")
    return {key: value for key, value in want.items() if key not in apart} | {"steps": len(want["steps"])}


def assert_same(got: dict[str, Any], want: dict[str, Any]) -> None:
    """Compare key by key."""
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert got[key] == value, key


def trace_with(workload: Workload) -> sx.Trace:
    """Make a trace of one layer."""
    biases = None if workload.bias is None else [workload.bias]
    return trace_of([workload.layer], workload.spikes, [workload.weight], biases=biases)


def assert_layer(workload: Workload, base: str, keys: dict[str, Any]) -> dict[str, Any] | None:
    """Compare costs and outputs; the oracle's answer, or None where both say that a buffer is too small."""
    arch = sx.load_accelerator(base, own(base, keys))
    trace = trace_with(workload)
    values = oracle_values(workload.spikes, arch)
    try:
        want = naive_gemm.cost(full(workload.layer), values, oracle_config(arch), workload.biased)
    except ValueError:
        want = None
    if want is None:
        with pytest.raises(ConfigError, match=r"the smallest that works is \d+ B"):
            sx.simulate(trace, arch)
        return None
    assert_steps(workload, values, arch, want["steps"])
    for engine in ENGINES:
        layer = sx.simulate(trace, arch, engine=engine).layers[0]
        assert_same(reported(layer), expected(want))
        assert layer.compute_cycles + sum(dict(layer.stalls).values()) == layer.cycles
    assert layer.output_sha256 == output_sha256(workload, arch)
    return want


def assert_steps(
    workload: Workload, values: NDArray[Any], arch: sx.Accelerator, want: list[dict[str, Any]]
) -> None:
    """Compare bits, array cycles and durations step by step."""
    steps, durations = dense_steps(workload, values, arch)
    for part, names in ((steps, STEP_COLUMNS), (durations, DURATION_COLUMNS)):
        for ours, theirs in names.items():
            assert getattr(part, ours).tolist() == [step[theirs] for step in want], ours


def dense_steps(workload: Workload, values: NDArray[Any], arch: sx.Accelerator) -> tuple[Any, Any]:
    """Steps and their durations by the package."""
    task = task_of(workload, arch)
    if is_ann(arch):
        inputs = Activations.of(geometry_of(workload.spec), values, arch.input_bits)
        task = replace(task, inputs=inputs, silence_is_free=True)
    schedule = plugin("accelerators", arch.scheduler).schedule(task, arch)
    _, durations, steps = laid_out(schedule, arch)
    return steps, durations


def output_sha256(workload: Workload, arch: sx.Accelerator) -> str:
    """Hash of what leaves the layer by the slow oracle, in the form that results have."""
    layer, weight, bias = full(workload.layer), workload.weight, workload.bias
    if is_ann(arch):
        entering = naive_ann.activations(workload.spikes)
        return sha256(naive_ann.forward(layer, entering, weight, bias, workload.timesteps))
    return sha256(naive.forward(layer, workload.spikes, weight, bias, arch.potential_bits, wraps_at(arch)))


def sha256(leaving: NDArray[Any]) -> str:
    """Hash of output spikes, packed along time, or of output activations."""
    whole = leaving if leaving.dtype == np.uint8 else np.packbits(leaving, axis=-1)
    return hashlib.sha256(np.ascontiguousarray(whole).tobytes()).hexdigest()
