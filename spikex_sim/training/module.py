"""A network preset as a PyTorch module whose forward pass is the integer datapath itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.trained import TrainedNetwork, Variant
from spikex_sim.spec.networks import Network
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.training.lif import Surrogate, lif

WEIGHT_STEPS = 28.0
"""Weight steps of a stored weight of 1, the standard deviation at first: int8 then ends at 4.5 of them."""
WEIGHT_BITS, MAX_WEIGHT = 8, 127
MIN_START_THRESHOLD = 48
"""Smallest threshold before training, in weight steps: coarser ones leave too few weights to choose from."""
START_RATE = 0.1
"""Firing rate per neuron and time point that thresholds are set for before training."""


@dataclass(frozen=True)
class Activity:
    """What happened in a forward pass.

    Attributes
    ----------
    entering : tuple of tensor, ``[T, samples * neurons]``
        Spikes that enter every conv and linear layer, or of a graph those that are fired; the neurons of a
        map in the order rows, columns, channels.
    fired : tuple of tensor, ``[T, samples * neurons]``
        Spikes of every conv and linear layer, in the same order.
    output : tensor, ``[T, samples, classes]``
        Spikes of the last layer, or currents that are read out.
    unit : float
        Current that stands for a spike in the loss.
    """

    entering: tuple[torch.Tensor, ...]
    fired: tuple[torch.Tensor, ...]
    output: torch.Tensor
    unit: float = 1.0

    @property
    def counts(self) -> torch.Tensor:
        """Output spikes or currents ``[samples, classes]``, summed over all time points."""
        return self.output.sum(0)


class SpikingNetwork(nn.Module):
    """Layers of integer LIF neurons, weights as float32 that are rounded on their way in.

    The forward pass rounds stored weights times :data:`WEIGHT_STEPS` to int8 and is then exact integer
    arithmetic in float32; the derivative of the rounding is taken as 1 (straight-through).

    Parameters
    ----------
    layers : sequence of Layer
        Conv, linear and maxpool layers, each taking what the one before gives; hard reset, no bias, integer
        thresholds that are not negative.
    surrogate : Surrogate
        Derivative of the spike.
    """

    def __init__(self, layers: Sequence[Layer], surrogate: Surrogate | None = None) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.surrogate = surrogate or Surrogate()
        for index, layer in enumerate(self.layers):
            _check_layer(layer, index)
        self.stored = nn.ParameterList(
            nn.Parameter(torch.zeros(layer.weight_shape)) for layer in self.layers if not layer.is_pool
        )

    @classmethod
    def drawn(
        cls,
        network: Network,
        sample: torch.Tensor,
        seed: int,
        *,
        leak_shift: int | None = None,
        rate: float = START_RATE,
        surrogate: Surrogate | None = None,
    ) -> SpikingNetwork:
        """Draw weights from a seed, and set thresholds such that every layer fires on a sample.

        Parameters
        ----------
        network : Network
            Layers.
        sample : tensor ``[T, samples, *input_shape]``
            Spikes; every layer's threshold is the smallest at which it fires at most at ``rate`` on them.
        seed : int
            Of the weights.
        leak_shift : int, optional
            Of all layers; default: as the network has it.
        rate : float
            Firing rate per neuron and time point.
        surrogate : Surrogate, optional
            Derivative of the spike.
        """
        _check_chain(network)
        made = cls(
            [_with_neuron(layer, leak_shift=leak_shift, threshold=0) for layer in network.layers], surrogate
        )
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for stored in made.stored:
                stored.copy_(torch.randn(stored.shape, generator=generator))
            made._calibrate(sample, rate)
        return made

    @classmethod
    def of(cls, trained: TrainedNetwork, surrogate: Surrogate | None = None) -> SpikingNetwork:
        """Continue from trained weights."""
        if trained.biases:
            raise ConfigError("has biases, with which silence is not free", where=trained.where)
        made = cls(trained.layers, surrogate)
        with torch.no_grad():
            for stored, index in zip(made.stored, trained.neuron_layers, strict=True):
                stored.copy_(torch.from_numpy(trained.weights[index].astype(np.float32)) / WEIGHT_STEPS)
        return made

    def forward(self, spikes: torch.Tensor) -> Activity:
        """Run spikes ``[T, samples, *input_shape]`` (0 or 1, float32) through all layers."""
        T, samples = spikes.shape[:2]
        spikes = spikes.flatten(0, 1)
        entering, leaving = [], []
        weights = iter(self.stored)
        for layer in self.layers:
            if layer.is_pool:
                spikes = _maxpool(layer, spikes)
                continue
            entering.append(side_by_side(spikes, T))
            current = drive(layer, spikes, rounded(next(weights)))
            assert layer.neuron is not None
            fired = self._fired(side_by_side(current, T), layer.neuron)
            leaving.append(fired)
            spikes = as_maps(fired, T * samples, layer.output_shape)
        return Activity(tuple(entering), tuple(leaving), spikes.reshape(T, samples, -1))

    @property
    def names(self) -> list[str]:
        """Conv and linear layers."""
        return [layer.name for layer in self.layers if not layer.is_pool]

    @property
    def channels(self) -> list[int]:
        """Output channels of these layers."""
        return [layer.out_channels for layer in self.layers if not layer.is_pool]

    def described(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as JSON holds it."""
        return {"layers": [layer.model_dump(mode="json") for layer in self.layers]}

    def integers(self) -> dict[int, NDArray[np.int8]]:
        """Weights as the simulator takes them, by layer index."""
        indices = [index for index, layer in enumerate(self.layers) if not layer.is_pool]
        return {
            index: rounded(stored.detach()).cpu().numpy().astype(np.int8)
            for index, stored in zip(indices, self.stored, strict=True)
        }

    def trained(
        self,
        name: str,
        network: str,
        variant: Variant,
        timesteps: int,
        tws: tuple[int, ...] | None,
        card: dict[str, Any],
    ) -> TrainedNetwork:
        """Hand over what the simulator runs."""
        return TrainedNetwork(
            name=name, network=network, variant=variant, timesteps=timesteps, layers=self.layers,
            weights=self.integers(), tws=tws, card=card,
        )  # fmt: skip

    def _fired(self, current: torch.Tensor, neuron: Neuron) -> torch.Tensor:
        return lif(current, neuron.threshold, 2.0 ** -(neuron.leak_shift or 0), self.surrogate)

    def _calibrate(self, spikes: torch.Tensor, rate: float) -> None:
        T, samples = spikes.shape[:2]
        spikes = spikes.flatten(0, 1)
        weights = iter(self.stored)
        layers = []
        for layer in self.layers:
            if layer.is_pool:
                layers.append(layer)
                spikes = _maxpool(layer, spikes)
                continue
            current = side_by_side(drive(layer, spikes, rounded(next(weights))), T)
            low, high = MIN_START_THRESHOLD - 1, (1 << 15) - 1
            while high - low > 1:
                middle = (low + high) // 2
                found = self._fired(current, _neuron(layer, threshold=middle))
                if float(found.mean()) > rate:
                    low = middle
                else:
                    high = middle
            fired = self._fired(current, _neuron(layer, threshold=high))
            layers.append(_with_neuron(layer, threshold=high))
            spikes = as_maps(fired, T * samples, layer.output_shape)
        self.layers = tuple(layers)


def rounded(stored: torch.Tensor, bits: int = WEIGHT_BITS) -> torch.Tensor:
    """Weights in whole steps, -127 to 127 with 8 bits; the derivative is that of the scaling alone."""
    steps = stored * (WEIGHT_STEPS * 2.0 ** (bits - WEIGHT_BITS))
    most = MAX_WEIGHT >> (WEIGHT_BITS - bits)
    whole = steps.round().clamp(-most, most)
    # Not steps + (whole - steps): that sum is rounded and need not be whole.
    return straight(steps, whole)


def straight(smooth: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return the second argument, with the derivative of the first."""
    taken: torch.Tensor = _Straight.apply(smooth, whole)
    return taken


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, smooth: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return whole.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ARG004
        return grads[0], None


def drive(layer: Layer, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum of the weights of the spiking inputs, ``[n, *output_shape]`` for spikes ``[n, *input_shape]``."""
    if layer.kind == "linear":
        return functional.linear(spikes.flatten(1), weight)
    # Channels last: convolutions take half the time.
    maps = spikes.reshape(-1, *layer.input_shape).contiguous(memory_format=torch.channels_last)
    filters = weight.contiguous(memory_format=torch.channels_last)
    return exact(functional.conv2d(maps, filters, stride=layer.stride, padding=layer.padding))


def exact(sums: torch.Tensor) -> torch.Tensor:
    """Sums of whole numbers, whole on any device."""
    if sums.device.type == "cpu":
        return sums
    # A GPU may convolve in a transformed domain, where sums are whole only after rounding.
    return straight(sums, sums.detach().round())


def side_by_side(maps: torch.Tensor, T: int) -> torch.Tensor:
    """``[T, neurons]`` of ``[T * samples, ...]``, in the order in which they lie in memory."""
    if maps.ndim == 4:
        maps = maps.permute(0, 2, 3, 1)
    return maps.reshape(T, -1)


def as_maps(spikes: torch.Tensor, count: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Undo :func:`side_by_side` for maps of a shape."""
    if len(shape) == 1:
        return spikes.reshape(count, -1)
    channels, height, width = shape
    return spikes.reshape(count, height, width, channels).permute(0, 3, 1, 2)


def _maxpool(layer: Layer, spikes: torch.Tensor) -> torch.Tensor:
    flat = spikes.reshape(-1, *layer.input_shape)
    rows, columns = layer.padding
    # Silence, not minus infinity, lies beyond the border; padding may be as wide as the kernel.
    flat = functional.pad(flat, (columns, columns, rows, rows))
    return functional.max_pool2d(flat, layer.kernel, layer.stride)


def _check_layer(layer: Layer, index: int) -> None:
    where = f"layer {layer.name}"
    if layer.kind == "avgpool":
        raise ConfigError(
            "average pooling is not trained; use maxpool or a stride", where=where, field=f"layers.{index}"
        )
    if layer.neuron is not None and not layer.is_pool:
        if layer.neuron.datapath != "int":
            raise ConfigError("training is for the integer datapath", where=where, field="neuron.datapath")
        if not layer.neuron.silence_is_free:
            raise ConfigError(
                "training takes neurons with hard reset and a threshold of at least 0",
                where=where,
                field="neuron",
            )
        if prod(layer.weight_shape[1:]) * MAX_WEIGHT + (1 << 16) >= 1 << 24:
            raise ConfigError(
                "has more inputs a neuron than float32 adds exactly (131,000)", where=where, field="kernel"
            )


def _check_chain(network: Network) -> None:
    for index, sources in enumerate(network.predecessors()):
        if sources != (index - 1,):
            raise ConfigError(
                f"layer {network.layers[index].name} takes other spikes than those of the layer before it; "
                "only plain chains are trained",
                where=f"network {network.name}",
            )


def _neuron(layer: Layer, **changes: Any) -> Neuron:
    assert layer.neuron is not None
    return layer.neuron.model_copy(update={key: value for key, value in changes.items() if value is not None})


def _with_neuron(layer: Layer, **changes: Any) -> Layer:
    return layer if layer.is_pool else layer.model_copy(update={"neuron": _neuron(layer, **changes)})
