"""Whether the numbers of a graph's arrays are what they can be."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.graph import InputNode, Population
from spikex_sim.trace.graph_arrays import weight_key

if TYPE_CHECKING:
    from spikex_sim.trace.graph import GraphTrace

CURRENT_BITS = 32
"""Widest currents that a machine can have."""
SUM_BITS = 62
"""Widest sums that are computed exactly."""


def check_values(trace: GraphTrace) -> None:
    """Raise :class:`TraceError` for numbers that are infinite, out of their bits or beyond what is summed."""

    def fail(message: str, field: str) -> TraceError:
        return TraceError(message, where=trace.where, field=field)

    spare_bits = -trace.timesteps % 8
    for name, packed in trace.spikes.items():
        if spare_bits and np.any(packed[..., -1] & ((1 << spare_bits) - 1)):
            last = trace.timesteps - 1
            raise fail(
                f"spikes are packed for another T: bits are set after time point {last}", f"{name}/spikes"
            )
    for name, array in trace.values.items():
        _check_finite(array, trace, f"{name}/values")
        node = trace.node(name)
        if isinstance(node, InputNode) and node.values is not None:
            low, high = node.values.limits
            if array.min() < low or array.max() > high:
                sign = "signed" if node.values.signed else "unsigned"
                raise fail(f"holds values beyond {node.values.bits} bits, {sign}", f"{name}/values")
    for (name, k), array in trace.weights.items():
        _check_finite(array, trace, weight_key(name, k))
    for name, array in trace.biases.items():
        _check_finite(array, trace, f"{name}/bias")
    for (name, key), array in trace.neuron_arrays.items():
        _check_finite(array, trace, f"{name}/neuron/{key}")
        highest = 31 if key.endswith("leak_shift") else 1 if key.endswith("leak") else None
        if highest is not None and (array.min() < 0 or array.max() > highest):
            raise fail(f"must be 0 to {highest}", f"{name}/neuron/{key}")
    for node in trace.nodes:
        if isinstance(node, Population) and node.datapath == "int":
            _check_sums(trace, node)


def _check_finite(array: NDArray[Any], trace: GraphTrace, field: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TraceError("holds NaN or infinite values", where=trace.where, field=field)


def _check_sums(trace: GraphTrace, node: Population) -> None:
    """Check that no sum can leave the integers in which it is computed."""
    largest = 1 << 32  # of a bias and a saturated potential
    for k, synapse in enumerate(node.synapses):
        weight, taken = trace.weight(node.name, k), trace.node(synapse.source)
        if weight is None:
            continue
        bits = {"spikes": 1, "currents": CURRENT_BITS}.get(trace.carries(synapse.source), 0)
        if isinstance(taken, InputNode) and taken.values is not None:
            bits = taken.values.bits
        taps = prod(synapse.kernel) if synapse.own else prod(weight.shape[1:])
        largest += taps * max(-int(weight.min()), int(weight.max())) << bits
    if largest >= 1 << SUM_BITS:
        message = f"its sums could leave {SUM_BITS} bits; take smaller weights or kernels"
        raise TraceError(message, where=trace.where, field=f"nodes.{node.name}.synapses")
