"""The package's path from one layer and its spikes to costs and outputs, and its settings for the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import Stalls
from spikex_sim.core.registry import plugin
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.schedules.base import APART, Handover, Layout, Schedule
from spikex_sim.schedules.ntwu.survey import Survey
from spikex_sim.schedules.steps import Program, Steps
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator
from spikex_sim.testing import kit
from spikex_sim.timing.durations import durations_of, undisturbed
from spikex_sim.timing.engine import Durations, Ends, attribute_stalls
from strategies import Workload


class StepColumns:
    """Every step of a layer, in the oracles' columns."""

    def __init__(self, layout: Layout) -> None:
        program = layout.program
        self.group, self.tile, self.batch = program.group, program.tile, program.batch
        self.array_cycles = program.array_cycles
        for activity in ("fetch", "load", "store", "writeback"):
            setattr(self, f"{activity}_bits", program.bits(activity))
        self.lbuf_read_bits, self.lbuf_write_bits = program.bits("read"), program.bits("write")

    def __len__(self) -> int:
        return len(self.tile)


@dataclass(frozen=True)
class Run:
    """Everything the package computes for one layer, but its outputs."""

    schedule: Any
    spikes: WindowedSpikes
    found: Survey
    layout: Layout
    durations: Durations
    ends: Ends
    stalls: Stalls

    @property
    def steps(self) -> Any:
        """Every step."""
        return StepColumns(self.layout)


def task_of(workload: Workload, arch: Accelerator) -> Task:
    """Ask an accelerator for the layer."""
    scheduler, neuron = plugin("accelerators", arch.scheduler), workload.spec.neuron
    tws = scheduler.window_size(arch.get("tws", default=1), workload.timesteps, arch)
    task = kit.task_of(workload, tws, arch)
    assert neuron is not None and task.silence_is_free == (neuron.silence_is_free and not workload.biased)
    return task


def schedule_of(workload: Workload, arch: Accelerator) -> Any:
    """Let the accelerator schedule the layer."""
    return plugin("accelerators", arch.scheduler).schedule(task_of(workload, arch), arch)


def run(workload: Workload, arch: Accelerator, engine: str = "fast", handover: Handover = APART) -> Run:
    """Cost one layer."""
    schedule = schedule_of(workload, arch)
    schedule.check(arch)
    layout = schedule.lay_out(arch, handover)
    durations = durations_of(layout.program, arch)
    ends = plugin("engines", engine).run(durations)
    stalls = attribute_stalls(durations, ends)
    return Run(schedule, schedule.task.inputs.spikes[0], schedule.surveyed, layout, durations, ends, stalls)


COLUMNS = {
    "fetch_bits": ("fetch", "ifmap"), "load_bits": ("load", "ifmap"), "store_bits": ("store", "ofmap"),
    "writeback_bits": ("writeback", "ofmap"), "lbuf_read_bits": ("read", "ifmap"),
    "lbuf_write_bits": ("write", "ofmap"),
}  # fmt: skip


def program_of(**columns: Any) -> Program:
    """Steps that move so much of one tensor; what is not given is 0."""
    length = len(next(iter(columns.values())))
    given = {name: np.asarray(values, np.int64) for name, values in columns.items()}
    bits = {COLUMNS[name]: values for name, values in given.items() if name in COLUMNS}
    nothing = np.zeros(length, np.int64)
    return Program(((Steps.of(nothing, nothing, given.get("array_cycles", nothing), bits), 1),))


def laid_out(schedule: Schedule, arch: Accelerator) -> tuple[Layout, Durations, Any]:
    """Lay any schedule out: what it costs, how long its steps take, and these."""
    layout = schedule.lay_out(arch)
    durations = durations_of(layout.program, arch) if layout.waits else undisturbed(layout.program)
    return layout, durations, StepColumns(layout)


def wraps_at(arch: Accelerator) -> int | None:
    """Width at which sums of weights wrap around; None where they are exact."""
    return arch.psum_bits if arch.psum_overflow == "wrap" else None


def outputs(workload: Workload, arch: Accelerator, schedule: Schedule) -> tuple[NDArray[np.bool_], int]:
    """Execute a schedule; output spikes in the layer's shape, and the additions made."""
    layer = workload.spec
    assert layer.neuron is not None
    done = schedule.execute(Synapses.of(workload.weight, workload.bias, layer.neuron, arch))
    bits = np.unpackbits(done.outputs, axis=-1, count=workload.timesteps).astype(bool)
    return bits.reshape(*layer.output_shape, workload.timesteps), done.additions


def oracle_config(arch: Accelerator) -> dict[str, Any]:
    """Return an accelerator's settings in the form that `naive_cost.cost` takes."""
    dram, glb, lbuf = arch.memory.dram, arch.memory.glb, arch.memory.lbuf
    same = ("scheduler", "dispatch", "tws", "stream", "stsap", "tailored", "accumulators_per_pe",
            "update_cycles", "leak_catchup_cycles", "skew", "zero_gating", "potential_bits", "weight_bits",
            "psum_bits")  # fmt: skip
    others = {
        "dispatch": "agile",
        "stsap": False,
        "tailored": False,
        "leak_catchup_cycles": 1,
    }  # of machines without the key
    return {
        **{key: arch.get(key, default=others.get(key)) for key in same},
        "array": {"rows": arch.array.rows, "cols": arch.array.cols},
        "mapping": arch.mapping.model_dump(),
        "clock_hz": Fraction(str(arch.clock_mhz)) * 10**6,
        "memory": {
            "zero_tags": arch.get("memory.zero_tags", default="move"),
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
