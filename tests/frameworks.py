"""Networks of training frameworks: weights whose float32 sums are exact, and the spikes they give."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

T, B, SIDE = 8, 3, 10
"""Few time points, lest halved potentials need more bits than float32 has."""


def inputs(seed: int = 0, shape: tuple[int, ...] = (T, B, 2, SIDE, SIDE), rate: float = 0.3) -> Any:
    torch = pytest.importorskip("torch")
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).lt(rate).float()


def exact(model: Any, step: float = 2.0**-8, seed: int = 1) -> Any:
    """Give every layer weights that are small multiples of a step, and every batch norm powers of two."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(seed)
    nn = torch.nn
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            span = int(max(2, 3 / (step * fan_in**0.5)))
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    whole = torch.randint(-span, span + span // 8 + 1, parameter.shape, generator=generator)
                    parameter.data = whole * step
        elif isinstance(module, nn.BatchNorm2d):
            count = module.num_features
            module.eps = 0.0
            module.running_var = 4.0 ** torch.randint(-1, 2, (count,), generator=generator)
            module.running_mean = torch.randint(-9, 9, (count,), generator=generator) / 16
            module.weight.data = 2.0 ** torch.randint(-1, 2, (count,), generator=generator)
            module.bias.data = torch.randint(-9, 9, (count,), generator=generator) / 16
    return model


def spikes_of(neurons: list[Any], run: Callable[[], None]) -> list[np.ndarray]:
    """What spiking modules give while a network runs: bool ``[B, ..., T]``, by hooks of their own."""
    seen: dict[int, list[np.ndarray]] = {index: [] for index in range(len(neurons))}

    def keep(index: int) -> Any:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            seen[index].append(spikes.detach().numpy() == 1)

        return hook

    handles = [neuron.register_forward_hook(keep(index)) for index, neuron in enumerate(neurons)]
    run()
    for handle in handles:
        handle.remove()
    found = []
    for calls in seen.values():
        steps = np.concatenate(
            [one if one.shape[:2] == (T, B) and len(calls) == 1 else one[None] for one in calls]
        )
        found.append(np.moveaxis(steps, 0, -1))
    return found


def sha256(spikes: np.ndarray) -> str:
    """Hash as results have it."""
    return hashlib.sha256(np.packbits(spikes, axis=-1).tobytes()).hexdigest()


def leaky(**more: Any) -> Any:
    """Make a neuron of snnTorch with hard reset, other parameters as given."""
    snn = pytest.importorskip("snntorch")
    return snn.Leaky(**{"beta": 0.5, "reset_mechanism": "zero", "init_hidden": True, **more})
