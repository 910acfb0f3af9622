"""Dense systolic arrays: output-, weight- and input-stationary (docs/accelerators/systolic.md).

Cycles as SCALE-Sim defines them (Samajdar et al., ISPASS 2020; SCALE-Sim 3.0.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from spikex_sim.accelerators.base import Scheduler
from spikex_sim.schedules.dense.options import STATE, DenseOptions
from spikex_sim.spec.arch import SizedMapping, knob

if TYPE_CHECKING:
    from spikex_sim.schedules.dense.schedule import DenseSchedule
    from spikex_sim.schedules.task import Task


class SystolicOptions(DenseOptions):
    """Configuration of a dense systolic array."""

    dataflow: Literal["os", "ws", "is"] = knob("os", "what stays in the PEs: outputs, weights or inputs")
    activation_bits: int = knob(
        1, "1: spikes; more: one pass of an ANN with activations of that width", "bits", ge=1, le=8
    )
    mapping: SizedMapping = SizedMapping()

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        yield from super().without_effect()
        if self.dataflow == "is":
            yield "memory.lbuf.partition.ifmap", "dataflow is is: inputs stay in the PEs"
        if self.activation_bits > 1:
            state = STATE if self.dataflow == "os" else ()
            for key in ("potential_bits", "mapping.windows", "direct_encoding", "join", *state):
                yield key, f"activation_bits is {self.activation_bits}: an ANN keeps nothing over time"
            yield "psum_overflow", f"activation_bits is {self.activation_bits}: sums of an ANN are exact"


class Systolic(Scheduler):
    """Issues every tap of every output at every time point, time point by time point."""

    options = SystolicOptions

    def schedule(self, task: Task, arch: SystolicOptions) -> DenseSchedule:
        """See :class:`spikex_sim.accelerators.base.Scheduler`."""
        from spikex_sim.schedules.dense.schedule import DenseSchedule

        cuts = arch.mapping
        whole = cuts.tile == "layer"
        return DenseSchedule.of(
            task,
            arch.dataflow,
            (arch.array.rows, arch.array.cols),
            positions_per_pass=task.positions if whole or cuts.positions == "auto" else cuts.positions,
            times_per_pass=task.inputs.timesteps if whole or cuts.windows == "auto" else cuts.windows,
            zero_gating=arch.gates_zeros(by_nature=False),
        )
