"""The same network in PyTorch: dense float32, each layer over all time points, then its leaky neurons."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from spikex_sim.trace.store import load_chain
from spikex_sim.trace.trace import Trace


def forward(trace: Trace) -> Callable[[], Any]:
    """Forward pass of one sample of a trace with weights, on one thread; returns the last layer's spikes."""
    torch.set_num_threads(1)
    steps = trace.timesteps
    bits = np.unpackbits(trace.inputs[0][0], axis=-1)[..., :steps]
    spikes = torch.from_numpy(np.moveaxis(bits, -1, 0).astype(np.float32).copy())
    weights = {index: torch.from_numpy(np.array(w, np.float32)) for index, w in trace.weights.items()}

    def run() -> Any:
        values = spikes
        with torch.inference_mode():
            for index, layer in enumerate(trace.layers):
                if layer.kind == "linear":
                    currents = functional.linear(values.reshape(steps, -1), weights[index])
                elif layer.kind == "conv":
                    values = values.reshape(steps, *layer.input_shape)
                    currents = functional.conv2d(
                        values, weights[index], stride=layer.stride, padding=layer.padding
                    )
                else:
                    pool = functional.max_pool2d if layer.kind == "maxpool" else functional.avg_pool2d
                    values = pool(values, layer.kernel, layer.stride)
                    continue
                values = _neurons(currents, layer.neuron)
        return values

    return run


def _neurons(currents: Any, neuron: Any) -> Any:
    """Leak, add, fire and reset to zero, time point by time point."""
    keep = neuron.leak if neuron.datapath == "float" else 1 - 2.0**-neuron.leak_shift
    potential, fired = torch.zeros_like(currents[0]), torch.empty_like(currents)
    for t in range(len(currents)):
        potential.mul_(keep).add_(currents[t])
        spikes = potential > neuron.threshold
        fired[t] = spikes
        potential.masked_fill_(spikes, 0)
    return fired


def main() -> None:
    """For every line on standard input run the trace's forward pass once, and print the seconds it took."""
    run = forward(load_chain(sys.argv[1]))
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
