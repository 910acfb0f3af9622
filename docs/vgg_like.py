"""A VGG-like network as it comes from training: record it, be told what is wrong, do what was said.

``python docs/vgg_like.py`` prints what `docs/explain.md` shows. With PyTorch the network is recorded, as
``spikex-sim trace record docs/vgg_like.py:build --out vgg.npz`` does; without, the same layers and weights
are put into a trace, so that the numbers are the same.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

import spikex_sim as sx
from spikex_sim.run.advice import moved_again, sentence, settings

T, SIDE, CLASSES = 16, 32, 10
LEAK, THRESHOLD = 0.9, 1.0
CHANNELS = (2, 16, 32, 64)
"""Of the input and of three convolutions; each is followed by 2x2 pooling, the first by average pooling."""


def weights() -> list[Any]:
    """Weights of the convolutions and the classifier, float32 as trained ones."""
    rng = np.random.default_rng(0)
    shapes = [(after, before, 3, 3) for before, after in pairwise(CHANNELS)]
    shapes.append((CLASSES, CHANNELS[-1] * (SIDE // 8) ** 2))
    gains = (2.0, 2.4, 1.6, 1.5)
    return [
        (gain * rng.normal(0.05, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for gain, shape in zip(gains, shapes, strict=True)
    ]


def spikes() -> Any:
    """Two channels of events from a moving edge, ``[2, 32, 32, T]``."""
    rng = np.random.default_rng(1)
    column, time = np.arange(SIDE)[None, :, None], np.arange(T)
    near = np.abs(column - 2 * time) < 4
    return (rng.random((2, SIDE, SIDE, T)) < 0.35) & near[None]


def arrays() -> sx.Trace:
    """The network as a trace, made without PyTorch; the average's division is in the weights behind it."""
    neuron = {"threshold": THRESHOLD, "leak": LEAK, "datapath": "float"}
    layers: list[dict[str, Any]] = []
    own: list[Any] = []
    drawn, side = weights(), SIDE
    for number, (before, after) in enumerate(pairwise(CHANNELS), start=1):
        layers.append({"name": f"conv{number}", "kind": "conv", "in_channels": before,
                       "out_channels": after, "kernel": 3, "padding": 1, "in_height": side,
                       "in_width": side, "neuron": neuron})  # fmt: skip
        own.append(drawn[number - 1] / np.float32(4 if number == 2 else 1))
        kind = "avgpool" if number == 1 else "maxpool"
        layers.append({"name": f"pool{number}", "kind": kind, "in_channels": after, "out_channels": after,
                       "kernel": 2, "stride": 2, "in_height": side, "in_width": side})  # fmt: skip
        own.append(None)
        side //= 2
    layers.append({"name": "fc", "kind": "linear", "in_channels": drawn[-1].shape[1], "out_channels": CLASSES,
                   "neuron": neuron})  # fmt: skip
    own.append(drawn[-1])
    return sx.Trace.from_arrays(layers, spikes(), weights=own, name="vgg-like")


def build() -> dict[str, Any]:
    """The same in PyTorch, as ``trace record`` wants it."""
    import torch
    from torch import nn

    class Lif(nn.Module):
        """Leaky integrate-and-fire with hard reset."""

        def __init__(self) -> None:
            super().__init__()
            self.potential: Any = 0.0

        def forward(self, current: Any) -> Any:
            potential = LEAK * self.potential + current
            fired = (potential > THRESHOLD).to(current.dtype)
            self.potential = potential * (1 - fired)
            return fired

    drawn = [torch.from_numpy(weight) for weight in weights()]
    model = nn.Sequential()
    for number, (before, after) in enumerate(pairwise(CHANNELS), start=1):
        model.add_module(f"conv{number}", nn.Conv2d(before, after, 3, padding=1, bias=False))
        model.add_module(f"lif{number}", Lif())
        model.add_module(f"pool{number}", nn.AvgPool2d(2) if number == 1 else nn.MaxPool2d(2))
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(drawn[-1].shape[1], CLASSES, bias=False))
    model.add_module("lif", Lif())
    with torch.no_grad():
        for name, weight in zip(("conv1", "conv2", "conv3", "fc"), drawn, strict=True):
            getattr(model, name).weight.copy_(weight)
    neuron = {"threshold": THRESHOLD, "leak": LEAK}
    inputs = torch.from_numpy(np.moveaxis(spikes(), -1, 0).astype(np.float32))
    return {"model": model, "inputs": inputs, "neurons": {Lif: neuron}, "closed_loop": True,
            "name": "vgg-like"}  # fmt: skip


def main() -> None:
    """Record, be told, fix it."""

    def told(title: str, result: sx.RunResult) -> None:
        totals = result.totals
        print(f"{title}: {totals.energy_pj / 1e6:.1f} µJ, {totals.cycles:,} cycles")

    trace = sx.record(**build()) if find_spec("torch") else arrays()
    recorded = sx.simulate(trace)
    told("as recorded, float32", recorded)
    again = [one for one in moved_again(recorded, "glb") if one.held.tensor == "filter"]
    for one in again:
        print(f"  {sentence(one)}")
    largest = max(again, key=lambda one: one.held.enough_bits)
    for changes in largest.remedies:
        told(f"with {settings(changes)}", sx.simulate(trace, overrides=changes))
    found = sx.quantize(trace)
    told("with int8 weights", sx.simulate(found.trace))
    for drift in found.drift:
        spikes = f"{drift.spikes:,} spikes, were {drift.spikes_before:,}"
        print(f"  {drift.layer.name}: {spikes}; {100 * drift.share:.2g} % differ")


if __name__ == "__main__":
    main()
