"""A network that is a graph as a PyTorch module whose forward pass is the integer datapath itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from spikex_sim.spec.graph import JoinNode, PoolNode, Population, Synapse, describe_node
from spikex_sim.spec.graph_networks import GraphNetwork
from spikex_sim.trace.graph_arrays import weight_key
from spikex_sim.trace.wiring import Wiring
from spikex_sim.training.graph_checks import EXACT, check_bits, check_trainable, wiring_of
from spikex_sim.training.lif import Surrogate, lif
from spikex_sim.training.module import (
    WEIGHT_BITS,
    WEIGHT_STEPS,
    Activity,
    as_maps,
    exact,
    rounded,
    side_by_side,
    straight,
)
from spikex_sim.training.normalise import folded, normalised

OWN_WEIGHT = 3.0
"""Stored weight, at first, of synapses that lead from each channel to its own."""
MOMENTUM = 0.1
"""Share of a batch in the running mean and variance."""
FULL_DEVIATIONS = 10.0
"""Summed currents of so many deviations, at first, are what a spike at every time point is."""


class SpikingGraph(nn.Module):
    """Populations of integer neurons that take constant numbers and each other's spikes.

    The forward pass rounds weights, biases and thresholds and is then exact integer arithmetic in float32;
    the derivatives are those of the batch normalisation that biases and thresholds stand for. While
    ``training`` is set these come from the batch, else from running means.

    Parameters
    ----------
    network : GraphNetwork
        One constant analog input, synapses without delay, pools, spikes side by side, and neurons without
        current and adaptation whose thresholds are left open. The last node is read out.
    surrogate : Surrogate, optional
        Derivative of the spike.
    bits : int
        Of a weight, 2 to 8.
    """

    def __init__(
        self, network: GraphNetwork, surrogate: Surrogate | None = None, bits: int = WEIGHT_BITS
    ) -> None:
        super().__init__()
        self.timesteps = network.timesteps
        self.surrogate = surrogate or Surrogate()
        self.averages, self.bits = network.averages, check_bits(bits)
        self.wiring = wiring_of(network)
        self.input = check_trainable(self.wiring, network.name)
        self.nodes = list(self.wiring.nodes.values())
        self.populations = [node for node in self.nodes if isinstance(node, Population)]
        self.spiking = [node for node in self.populations if node.neuron is not None]
        self.held = [(node.name, k) for node in self.populations for k in held_weights(node, self.wiring)]
        shapes = [self._stored_shape(name, k) for name, k in self.held]
        channels = [node.channels for node in self.spiking for _ in ("log of the gain", "offset")]
        self.stored = nn.ParameterList(
            nn.Parameter(torch.zeros(shape)) for shape in [*shapes, *((count,) for count in channels)]
        )
        for place, node in enumerate(self.spiking):
            self.register_buffer(f"mean_{place}", torch.zeros(node.channels))
            self.register_buffer(f"variance_{place}", torch.ones(node.channels))
        self.unit = 1.0

    @classmethod
    def drawn(
        cls,
        network: GraphNetwork,
        sample: torch.Tensor,
        seed: int,
        surrogate: Surrogate | None = None,
        bits: int = WEIGHT_BITS,
    ) -> SpikingGraph:
        """Draw weights from a seed; what the read-out gives on a sample sets the scale of its currents."""
        made = cls(network, surrogate, bits)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for stored, (name, k) in zip(made.stored, made.held, strict=False):
                if made._node(name).synapses[k].own:
                    stored.fill_(OWN_WEIGHT)
                else:
                    stored.copy_(torch.randn(stored.shape, generator=generator))
            activity: Activity = made(sample)
        if made.populations[-1].neuron is None:
            made.unit = float(FULL_DEVIATIONS * activity.output.mean(0).std().clamp(min=1.0))
        return made

    @classmethod
    def of(cls, network: GraphNetwork, arrays: Mapping[str, NDArray[Any]]) -> SpikingGraph:
        """Make what predicts as a trained network does; it has forgotten what gains it was trained with."""
        made = cls(network)
        made.eval()
        with torch.no_grad():
            for stored, key in zip(made.stored, made.held, strict=False):
                stored.copy_(torch.from_numpy(arrays[weight_key(*key)].astype(np.float32)) / WEIGHT_STEPS)
            for node in made.spiking:
                bias, threshold = (
                    torch.from_numpy(arrays[f"{node.name}/{part}"].astype(np.float32))
                    for part in ("bias", "neuron/threshold")
                )
                mean, variance = made._running(node)
                mean.copy_(-bias)
                variance.copy_((threshold - _at(node)) ** 2)
        return made

    @property
    def names(self) -> list[str]:
        """Populations whose spikes are logged."""
        return [node.name for node in self.spiking]

    @property
    def channels(self) -> list[int]:
        """Of these populations."""
        return [node.channels for node in self.spiking]

    def described(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as JSON holds it."""
        return {
            "timesteps": self.timesteps,
            "nodes": [describe_node(node) for node in self.nodes],
        }

    def forward(self, images: torch.Tensor) -> Activity:
        """Run images ``[samples, C, H, W]``, whole numbers as float32, through all nodes."""
        T, samples = self.timesteps, len(images)
        weights = self._weights()
        maps = {self.input.name: images.contiguous(memory_format=torch.channels_last)}
        fired = []
        for node in self.nodes:
            if isinstance(node, PoolNode):
                maps[node.name] = _pooled(node, maps[node.source])
            if isinstance(node, JoinNode):
                maps[node.name] = torch.cat([maps[operand] for operand in node.operands], dim=1)
            if not isinstance(node, Population):
                continue
            sums = self._sums(node, maps, weights)
            if node.neuron is not None:
                spikes = self._spikes(node, sums, samples)
                fired.append(spikes)
                sums = as_maps(spikes, T * samples, self.wiring.ports[node.name].shape)
            maps[node.name] = sums
        last = maps[self.populations[-1].name]
        return Activity(tuple(fired), tuple(fired), last.reshape(-1, samples, last.shape[1]), self.unit)

    def integers(self) -> dict[str, NDArray[Any]]:
        """Weights, biases and thresholds as the simulator takes them, by the keys of trace files."""
        arrays: dict[str, NDArray[Any]] = {
            weight_key(*key): weight.detach().cpu().numpy().astype(np.int8)
            for key, weight in self._weights().items()
        }
        for node in self.spiking:
            bias, threshold = self._folded(node)
            arrays[f"{node.name}/bias"] = bias.detach().cpu().numpy().astype(np.int32)
            bar = threshold.detach().cpu().numpy().astype(np.int32) + np.int32(_at(node))
            arrays[f"{node.name}/neuron/threshold"] = bar
        return arrays

    def _stored_shape(self, name: str, k: int) -> tuple[int, ...]:
        """Shape of a synapse's weights without the average that its kernel takes in."""
        shape, more = self.wiring.weight_shape(name, k), self.averages.get((name, k), 1) - 1
        return (*shape[:2], *(size - more for size in shape[2:]))

    def _weights(self) -> dict[tuple[str, int], torch.Tensor]:
        """Whole weights by synapse."""
        found = {}
        for key, stored in zip(self.held, self.stored, strict=False):
            side = self.averages.get(key, 1)
            found[key] = rounded(stored if side == 1 else _spread(stored, side), self.bits)
        return found

    def _node(self, name: str) -> Population:
        node = self.wiring.nodes[name]
        assert isinstance(node, Population)
        return node

    def _sums(
        self,
        node: Population,
        maps: Mapping[str, torch.Tensor],
        weights: Mapping[tuple[str, int], torch.Tensor],
    ) -> torch.Tensor:
        """``I`` before the bias, ``[n, M, H, W]``; n is the samples alone where it is constant."""
        terms: dict[bool, torch.Tensor] = {}
        for k, synapses in together(node, self.wiring).items():
            taken = maps[synapses[0].source]
            for synapse in synapses[1:]:
                taken = taken + maps[synapse.source]
            first = node.holder(k)
            weight = weights.get((node.name, first), node.synapses[first].weight)
            found = _synapse(synapses[0], taken, weight)
            constant = self.wiring.ports[synapses[0].source].constant
            terms[constant] = terms[constant] + found if constant in terms else found
        if len(terms) == 1:
            return next(iter(terms.values()))
        return terms[False] + terms[True].repeat(self.timesteps, 1, 1, 1)

    def _spikes(self, node: Population, sums: torch.Tensor, samples: int) -> torch.Tensor:
        """Spikes ``[T, neurons]`` for sums without bias."""
        assert node.neuron is not None
        if self.training:
            sums, threshold, *batch = normalised(sums, *self._gain_and_offset(node))
            for running, found in zip(self._running(node), batch, strict=True):
                running.lerp_(found, MOMENTUM)
        else:
            bias, threshold = self._folded(node)
            sums = sums + bias[:, None, None]
        T = self.timesteps
        current = side_by_side(sums, len(sums) // samples)
        neurons = current.shape[1]
        leak = 0.0 if node.neuron.leak_shift is None else 2.0**-node.neuron.leak_shift
        return lif(
            current.expand(T, neurons), threshold.detach().repeat(neurons // node.channels), leak,
            self.surrogate, subtract=node.neuron.reset == "subtract",
        )  # fmt: skip

    def _gain_and_offset(self, node: Population) -> tuple[torch.Tensor, torch.Tensor]:
        place = len(self.held) + 2 * self.spiking.index(node)
        return self.stored[place].exp(), self.stored[place + 1]

    def _folded(self, node: Population) -> tuple[torch.Tensor, torch.Tensor]:
        return folded(*self._running(node), *self._gain_and_offset(node))

    def _running(self, node: Population) -> tuple[torch.Tensor, torch.Tensor]:
        """Running mean and variance of a node's sums."""
        place = self.spiking.index(node)
        return self.get_buffer(f"mean_{place}"), self.get_buffer(f"variance_{place}")


def _spread(stored: torch.Tensor, side: int) -> torch.Tensor:
    """Kernels ``[M, C, E, E]`` with sums over windows of a side behind them in one, as large as before."""
    channels = stored.flatten(0, 1)[:, None]
    window = torch.full((1, 1, side, side), 1 / side, dtype=stored.dtype, device=stored.device)
    full = functional.conv2d(channels, window, padding=side - 1)
    return full.reshape(*stored.shape[:2], *full.shape[2:])


def _at(node: Population) -> int:
    """By how much the threshold of neurons is higher that fire at it, not above it."""
    return int(node.neuron is not None and node.neuron.fires == "at")


def held_weights(node: Population, wiring: Wiring) -> list[int]:
    """Synapses of a node that have weights of their own which are trained.

    Those to own channels have none where the description gives a weight, or where they take currents.
    """
    return [
        k
        for k, synapse in enumerate(node.synapses)
        if synapse.weight is None
        and synapse.weight_of is None
        and not (synapse.own and wiring.ports[synapse.source].carries == "currents")
    ]


def together(node: Population, wiring: Wiring) -> dict[int, list[Synapse]]:
    """Synapses by the first of the same weights and window: these take the sum of their sources' spikes."""

    def spikes(synapse: Synapse) -> bool:
        return wiring.ports[synapse.source].carries == "spikes"

    found: dict[int, list[Synapse]] = {}
    for k, synapse in enumerate(node.synapses):
        first = node.holder(k)
        alike = {"source": synapse.source, "weight_of": synapse.weight_of}
        same = node.synapses[first].model_copy(update=alike) == synapse
        if first != k and same and spikes(synapse) and spikes(node.synapses[first]):
            found[first].append(synapse)
        else:
            found[k] = [synapse]
    return found


def _synapse(synapse: Synapse, taken: torch.Tensor, weight: torch.Tensor | float | None) -> torch.Tensor:
    """Sum of a synapse ``[n, M, H, W]`` for what it takes, ``[n, C, H, W]``."""
    if synapse.kind == "linear":
        assert isinstance(weight, torch.Tensor)
        sums = functional.linear(taken.flatten(1), weight)[:, :, None, None]
    elif synapse.kind == "conv":
        assert isinstance(weight, torch.Tensor)
        top, bottom, left, right = synapse.padding
        if (top, left) != (bottom, right):
            taken = functional.pad(taken, (left, right, top, bottom))
        sums = functional.conv2d(
            taken, weight.contiguous(memory_format=torch.channels_last), None, synapse.stride,
            (top, left) if (top, left) == (bottom, right) else 0, synapse.dilation, synapse.groups,
        )  # fmt: skip
    else:
        sums = taken if synapse.kind == "identity" else _pooled(synapse, taken)
        if weight is not None:
            sums = sums * (weight[:, None, None] if isinstance(weight, torch.Tensor) else weight)
    sums = exact(sums)
    if synapse.shift:
        smooth = sums * 2.0**-synapse.shift
        sums = straight(smooth, smooth.detach().floor())
    return sums


def _pooled(window: PoolNode | Synapse, taken: torch.Tensor) -> torch.Tensor:
    """Largest value in each window, or the sum: consumers of average pooling take this times their weight."""
    mean = window.kind == "avgpool"
    if any(window.padding):
        top, bottom, left, right = window.padding
        # Beyond the border of spikes lies silence; currents there take no part.
        beyond = 0.0 if mean or isinstance(window, PoolNode) else -float(EXACT)
        taken = functional.pad(taken, (left, right, top, bottom), value=beyond)
    if mean:
        return functional.avg_pool2d(taken, window.kernel, window.stride, divisor_override=1)
    return functional.max_pool2d(taken, window.kernel, window.stride, dilation=window.dilation)
