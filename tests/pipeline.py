"""The package's path from one layer and its spikes to costs and outputs, and its settings for the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.registry import plugin
from spikex_sim.core.tags import WindowedSpikes, window_spikes
from spikex_sim.schedules.issue import APART, AnySchedule, execute
from spikex_sim.schedules.ntwu.group import Widths, widths_of
from spikex_sim.schedules.ntwu.residency import Handover
from spikex_sim.schedules.ntwu.schedule import Schedule
from spikex_sim.schedules.ntwu.survey import Survey, survey
from spikex_sim.schedules.ntwu.traffic import Traffic, traffic_of
from spikex_sim.schedules.steps import durations_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.timing.engine import Durations, Ends, attribute_stalls
from strategies import Workload


@dataclass(frozen=True)
class Run:
    """Everything the package computes for one layer, but its outputs."""

    schedule: Schedule
    spikes: WindowedSpikes
    found: Survey
    traffic: Traffic
    durations: Durations
    ends: Ends
    stalls: Stalls


def widths(workload: Workload, arch: Accelerator) -> Widths:
    """Bits of one weight, partial sum and potential of the layer's datapath."""
    return widths_of(workload.layer["neuron"]["datapath"], arch)


def schedule_of(workload: Workload, arch: Accelerator) -> tuple[Schedule, WindowedSpikes]:
    """Let the accelerator schedule the layer."""
    layer = workload.spec
    assert layer.neuron is not None
    scheduler = plugin("accelerators", arch.scheduler)
    tws = scheduler.window_size(arch.get("tws", default=1), workload.timesteps, arch)
    spikes = window_spikes(np.packbits(workload.spikes, axis=-1), workload.timesteps, tws)
    free = layer.neuron.silence_is_free and not workload.biased
    return scheduler.schedule(layer, spikes, free, widths(workload, arch).potential, arch), spikes


def run(workload: Workload, arch: Accelerator, engine: str = "fast", handover: Handover = APART) -> Run:
    """Cost one layer."""
    schedule, spikes = schedule_of(workload, arch)
    found = survey(schedule, spikes)
    traffic = traffic_of(schedule, spikes, found, widths(workload, arch), arch, handover)
    durations = durations_of(traffic.program, arch)
    ends = plugin("engines", engine).run(durations)
    return Run(schedule, spikes, found, traffic, durations, ends, attribute_stalls(durations, ends))


def outputs(
    workload: Workload, arch: Accelerator, schedule: AnySchedule, spikes: WindowedSpikes
) -> tuple[NDArray[np.bool_], int]:
    """Execute a schedule; output spikes in the layer's shape, and the additions made."""
    layer = workload.spec
    assert layer.neuron is not None
    packed, adds = execute(
        schedule, spikes, workload.weight, workload.bias, layer.neuron, arch.potential_bits
    )
    bits = np.unpackbits(packed, axis=-1, count=workload.timesteps).astype(bool)
    return bits.reshape(*layer.output_shape, workload.timesteps), adds


def oracle_config(arch: Accelerator) -> dict[str, Any]:
    """Return an accelerator's settings in the form that `naive_cost.cost` takes."""
    dram, glb, lbuf = arch.memory.dram, arch.memory.glb, arch.memory.lbuf
    same = ("scheduler", "dispatch", "tws", "stream", "stsap", "accumulators_per_pe", "update_cycles",
            "leak_catchup_cycles", "skew", "zero_gating", "potential_bits", "weight_bits",
            "psum_bits")  # fmt: skip
    others = {"dispatch": "agile", "stsap": False, "leak_catchup_cycles": 1}  # of machines without the key
    return {
        **{key: arch.get(key, default=others.get(key)) for key in same},
        "array": {"rows": arch.array.rows, "cols": arch.array.cols},
        "mapping": arch.mapping.model_dump(),
        "clock_hz": Fraction(str(arch.clock_mhz)) * 10**6,
        "memory": {
            "dram": {
                "bandwidth_bytes_per_s": Fraction(str(dram.bandwidth_gb_s)) * 10**9,
                "latency_cycles": dram.latency_cycles,
            },
            "glb": {
                "bytes": glb.bytes,
                "dram_port_bits": glb.dram_port_bits,
                "array_port_bits": glb.array_port_bits,
                "latency_cycles": glb.latency_cycles,
                "partition": glb.partition.model_dump(),
            },
            "lbuf": {
                "bytes": lbuf.bytes,
                "port_bits": lbuf.port_bits,
                "latency_cycles": lbuf.latency_cycles,
                "partition": lbuf.partition.model_dump(),
            },
        },
    }
