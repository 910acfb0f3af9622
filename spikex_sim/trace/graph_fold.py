"""Synapses as they are executed: average pooling folded in, linear ones as convolutions over the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.spec.graph import PoolNode, Population, Synapse
from spikex_sim.trace.fold import as_given, spread_over_map, spread_over_windows
from spikex_sim.trace.graph_arrays import weight_key

if TYPE_CHECKING:
    from spikex_sim.trace.graph import GraphTrace


def folded(trace: GraphTrace, name: str, k: int) -> tuple[Synapse, NDArray[Any] | None]:
    """Describe a synapse as it is executed, with its weights.

    Parameters
    ----------
    trace : GraphTrace
    name, k : str, int
        Node and synapse.

    Returns
    -------
    synapse : Synapse
        Never ``linear``: such a one is a convolution whose kernel is the map. Never of an ``avgpool``: its
        windows are in the kernel, and ``source`` is what is pooled.
    weight : array or None
        See :meth:`GraphTrace.weight`.

    Raises
    ------
    TraceError
        If overlapping windows add up to weights beyond int8.
    """
    node = trace.node(name)
    assert isinstance(node, Population)
    synapse, weight = node.synapses[k], trace.weight(name, k)
    pool = trace.node(synapse.source)
    whole = synapse.kind == "linear"
    if not isinstance(pool, PoolNode) or pool.kind == "maxpool":
        update = {"kind": "conv", "kernel": trace.shape(synapse.source)[1:]}
        return (synapse.model_copy(update=update) if whole else synapse), weight
    size = trace.shape(pool.source)[1:]
    steps = [a * b for a, b in zip(synapse.dilation, pool.stride, strict=True)]
    kernel = tuple((synapse.kernel[axis] - 1) * steps[axis] + pool.kernel[axis] for axis in (0, 1))
    changed: dict[str, Any] = {"kind": "conv", "source": pool.source, "dilation": (1, 1), "kernel": kernel}
    if whole:
        changed["kernel"] = size
    else:
        strides = [pool.stride[side // 2] for side in range(4)]
        pads = zip(synapse.padding, strides, pool.padding, strict=True)
        changed["padding"] = tuple(pad * stride + outer for pad, stride, outer in pads)
        changed["stride"] = tuple(a * b for a, b in zip(synapse.stride, pool.stride, strict=True))
    if weight is not None:
        if whole:
            spread = spread_over_map(weight, pool.kernel, pool.stride, pool.padding, size)
        else:
            spread = spread_over_windows(_dilated(weight, synapse.dilation), pool.kernel, pool.stride)
        weight = as_given(spread, weight, pool.name, trace.where, weight_key(name, k))
    return synapse.model_copy(update=changed), weight


def _dilated(weight: NDArray[Any], dilation: tuple[int, int]) -> NDArray[Any]:
    height, width = ((side - 1) * step + 1 for side, step in zip(weight.shape[2:], dilation, strict=True))
    found = np.zeros((*weight.shape[:2], height, width), weight.dtype)
    found[:, :, :: dilation[0], :: dilation[1]] = weight
    return found
