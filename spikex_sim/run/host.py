"""Nodes of a graph beside a crossbar chip: what takes numbers alone, and currents that are read out.

Crossbars take spikes. What turns an image into spikes, and the sums that classify, are computed by the host
that feeds the chip, exactly and at no cost (docs/imc.md, Section 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.run.flow import GraphFlow
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.population import Work
from spikex_sim.run.recurrence import walked
from spikex_sim.run.results import LayerResult
from spikex_sim.run.signals import Signal
from spikex_sim.spec.graph import Population
from spikex_sim.trace.graph import GraphTrace


def host_nodes(trace: GraphTrace) -> frozenset[str]:
    """Populations that are fed with numbers alone, and currents at the end that take spikes."""
    found = set[str]()
    for node in trace.nodes:
        if isinstance(node, Population):
            by_host = all(
                trace.carries(source) == "analog" or (source in found and trace.carries(source) == "currents")
                for source in node.sources
            )
            if by_host:
                found.add(node.name)
    last = trace.nodes[-1]
    if last.kind == "currents" and all(trace.carries(source) == "spikes" for source in last.sources):
        found.add(last.name)
    return frozenset(found)


def on_host(
    runner: GraphRunner, node: Population, flow: GraphFlow
) -> tuple[LayerResult, NDArray[Any] | None]:
    """Compute a node for a sample; a result without costs, and what it gives, which is served to others."""
    work = runner.work(node, flow, 1)
    out: Signal | None = None
    if work.known:
        made = np.concatenate(_outputs(work)).reshape(*flow.trace.shape(node.name), -1)
        constant = node.kind == "currents" and flow.trace.constant(node.name)
        if node.kind == "currents":
            kind = np.float32 if node.datapath == "float" else np.int32
            out = Signal("currents", np.ascontiguousarray((made[..., 0] if constant else made).astype(kind)),
                         constant)  # fmt: skip
        else:
            out = Signal("spikes", made)
    return runner.without_costs(node, flow, out)


def _outputs(work: Work) -> list[NDArray[Any]]:
    constants, once = list[list[NDArray[Any]]](), list[NDArray[Any]]()
    for asked in work.passes():
        found = [walked(asked, one, 1) for one in work.constants_of(asked)]
        constants.append([np.ascontiguousarray(one[..., 0].T) for one in found])
        once.append(found[0])
    if work.is_once:
        return once
    return [
        walked(asked, asked.synapses, work.trace.timesteps)
        for asked in work.layers(constants)
        if asked.synapses is not None
    ]
