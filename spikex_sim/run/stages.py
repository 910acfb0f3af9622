"""The stages of any trace on a machine, and samples on their way through them."""

from __future__ import annotations

from typing import Any

from spikex_sim.run.flow import GraphFlow, graph_stages
from spikex_sim.run.graph_ann import check_ann
from spikex_sim.run.replay import Flow
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.together import AnyTrace


def stages_of(trace: AnyTrace, arch: Accelerator) -> list[Any]:
    """Stages of a trace, of the kind that its flows have."""
    if isinstance(trace, GraphTrace):
        if arch.input_bits > 1:
            check_ann(trace)
        return graph_stages(trace)
    return plan_stages(trace, fold=arch.input_bits == 1)


def flow_of(trace: AnyTrace, sample: int, stages: list[Any], number: int = 0) -> Flow | GraphFlow:
    """Begin the way of a sample; ``number``: of it in the run."""
    if isinstance(trace, GraphTrace):
        return GraphFlow(stages, trace, sample, number)
    return Flow(stages, trace, sample, number)
