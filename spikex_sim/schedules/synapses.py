"""Weights and neurons of a layer, as executing a schedule takes them, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import Synapse
from spikex_sim.core.jit import kernel
from spikex_sim.core.neurons import Lif, Numbers, Rules, States
from spikex_sim.schedules.psums import wrapping_bits
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Neuron

INT32_MAX = np.iinfo(np.int32).max
RESETS = ("zero", "subtract", "none")


class Executed(NamedTuple):
    """What executing a schedule gives.

    Attributes
    ----------
    outputs : array
        Output spikes packed along time ``[M, P, ceil(T/8)]`` (uint8), or currents ``[M, P, T]`` (int64 or
        float32).
    additions, products : int
        Weights added for spikes, and analog values multiplied.
    """

    outputs: NDArray[Any]
    additions: int
    products: int


@dataclass(frozen=True)
class Neurons:
    """Neurons of a layer: parameters of all, or an array ``[M]`` with one for each channel; or None.

    Attributes
    ----------
    datapath : {"int", "float"}
        Leaks are shifts, or factors.
    threshold, leak : number or array
        Leak of the potential.
    at : bool
        A neuron fires at its threshold, not above alone.
    reset : {"zero", "subtract", "none"}
        Potential after a spike.
    late : bool
        The reset comes a time point after the spike.
    has_current, current_leak : bool, number or array
        Synaptic current.
    adaptation_step, adaptation_leak : number or array
        Rise of the threshold at a spike.
    """

    datapath: Literal["int", "float"]
    threshold: Any
    leak: Any
    at: bool = False
    reset: str = "zero"
    late: bool = False
    has_current: bool = False
    current_leak: Any = None
    adaptation_step: Any = None
    adaptation_leak: Any = None

    @classmethod
    def of(cls, neuron: Neuron) -> Neurons:
        """Neurons of a layer of a chain."""
        leak = neuron.leak_shift if neuron.datapath == "int" else neuron.leak
        return cls(neuron.datapath, neuron.threshold, leak, reset=neuron.reset)

    @property
    def states(self) -> int:
        """State variables of a neuron."""
        return 1 + self.has_current + (self.adaptation_step is not None)

    @cached_property
    def is_simple(self) -> bool:
        """Whether it leaks, has one threshold for all, fires above it, and is reset at once."""
        alike = not any(isinstance(one, np.ndarray) for one in (self.threshold, self.leak))
        plain = not self.at and not self.late and self.states == 1 and self.reset != "none"
        return alike and plain and self.leak is not None

    @property
    def silence_is_free(self) -> bool:
        """Whether a neuron at rest without input and bias can never fire."""
        lowest = self.threshold.min() if isinstance(self.threshold, np.ndarray) else self.threshold
        rests = lowest > 0 if self.at else lowest >= 0
        return self.reset == "zero" and not self.late and self.states == 1 and bool(rests)


@dataclass(frozen=True)
class Addend:
    """A synapse that adds something else than weights for spikes, in its place among the synapses.

    Attributes
    ----------
    place : int
        Number of streamed synapses before it; of an analog one that is streamed, its own number.
    values : array
        Analog, streamed: input values ``[pixels * C]``, or ``[pixels * C, T]`` where they differ over time.
        Else the addend of each neuron, ``[P, M]`` or ``[T, P, M]``.
    streamed : bool
        Whether the array multiplies it.
    scale : float
        Of analog values in the float datapath.
    shift : int
        Right shift of the addend in the integer datapath.
    """

    place: int
    values: NDArray[Any]
    streamed: bool = False
    scale: float = 1.0
    shift: int = 0


@dataclass(frozen=True, eq=False)
class Synapses:
    """Weights, biases and neurons of a layer.

    Attributes
    ----------
    weights : tuple of int8 or float32 array
        Of each synapse of the task: ``[M, C, E_h, E_w]`` or ``[M, N]``, or ``[M]`` of own channels.
    bias : int32 or float32 array ``[M]`` or None
        Added at every time point.
    neuron : Neurons or None
        Parameters; None where sums leave as they are.
    datapath : {"int", "float"}
        Numbers.
    potential_bits : int
        Width at which potentials of the integer datapath saturate.
    own : tuple of bool
        Which synapses take own channels.
    addends : tuple of Addend
        What is added besides.
    psum_bits : int or None
        Width at which sums of weights that spikes add wrap around; None where they are exact.
    """

    weights: tuple[NDArray[Any], ...]
    bias: NDArray[Any] | None
    neuron: Neurons | None
    datapath: Literal["int", "float"]
    potential_bits: int
    out_channels: int
    own: tuple[bool, ...]
    addends: tuple[Addend, ...] = ()
    psum_bits: int | None = None

    @classmethod
    def of(
        cls, weight: NDArray[Any], bias: NDArray[Any] | None, neuron: Neuron, arch: Accelerator
    ) -> Synapses:
        """Weights and neurons of a layer of a chain on a machine."""
        largest = weight[0].size << (arch.weight_bits - 1)
        return cls(
            (weight,), bias, Neurons.of(neuron), neuron.datapath, arch.potential_bits, len(weight), (False,),
            psum_bits=wrapping_bits(largest, neuron.datapath, arch),
        )  # fmt: skip

    @cached_property
    def is_simple(self) -> bool:
        """Whether nothing but spikes arrives, at all rows, and neurons are simple."""
        return self.neuron is not None and self.neuron.is_simple and not self.addends and not any(self.own)

    @cached_property
    def number(self) -> Any:
        """Type in which sums and potentials are exact: int32 where nothing can exceed it, else int64."""
        if self.datapath == "float":
            return np.float32
        if not self.is_simple or self.neuron is None:
            return np.int64
        largest = sum(weight[0].size for weight in self.weights) << 7
        largest += 0 if self.bias is None else max(-int(self.bias.min()), int(self.bias.max()), 0)
        largest += (1 << (self.potential_bits - 1)) + abs(int(self.neuron.threshold))
        return np.int32 if largest <= INT32_MAX else np.int64

    @cached_property
    def by_tap(self) -> NDArray[Any]:
        """Weights in the order of the taps, a row of lanes for each; of own channels one for each channel."""
        found = [
            weight if own else _by_tap(weight.reshape(len(weight), weight.shape[1], -1))
            for weight, own in zip(self.weights, self.own, strict=True)
        ]
        if self.is_simple and len(found) == 1:
            return found[0]
        number = np.float32 if self.datapath == "float" else np.int32
        return np.concatenate([np.zeros(0, number), *(one.astype(number) for one in found)])

    def places_of_weights(self, synapses: Sequence[Synapse]) -> NDArray[np.int64]:
        """Where in :attr:`by_tap` the weights of each filter position begin."""
        found, before = [], 0
        for synapse, own in zip(synapses, self.own, strict=True):
            geometry = synapse.geometry
            step = 0 if own else geometry.channels * self.out_channels
            found += [before + step * k for k in range(geometry.filter_taps)]
            before += self.out_channels if own else geometry.taps * self.out_channels
        return np.array(found, np.int64)

    @cached_property
    def biases(self) -> NDArray[Any]:
        """One number for every output channel."""
        return (
            np.zeros(self.out_channels, self.number) if self.bias is None else self.bias.astype(self.number)
        )

    @property
    def psum_limit(self) -> int:
        """``2^(psum_bits - 1)`` where sums wrap around, else 0."""
        return 0 if self.psum_bits is None else 1 << (self.psum_bits - 1)

    @cached_property
    def lif(self) -> Lif:
        """Simple neurons."""
        number, neuron = self.number, self.neuron
        assert neuron is not None
        limit = 0 if self.datapath == "float" else 1 << (self.potential_bits - 1)
        soft = neuron.reset == "subtract"
        return Lif(number(neuron.threshold), number(neuron.leak), number(limit), soft, self.psum_limit)

    @cached_property
    def rules(self) -> Rules:
        """What neurons do; of currents nothing."""
        neuron = self.neuron or Neurons(self.datapath, 0, None)
        limit = 0 if self.datapath == "float" else 1 << (self.potential_bits - 1)
        return Rules(
            limit=self.number(limit),
            at=neuron.at,
            reset=RESETS.index(neuron.reset),
            late=neuron.late,
            leaks=neuron.leak is not None,
            current_leaks=neuron.current_leak is not None,
            adaptation_leaks=neuron.adaptation_leak is not None,
            has_current=neuron.has_current,
            has_adaptation=neuron.adaptation_step is not None,
        )

    @cached_property
    def numbers(self) -> Numbers:
        """Parameters for every channel."""
        neuron = self.neuron or Neurons(self.datapath, 0, None)

        def each(value: Any) -> NDArray[Any]:
            return np.broadcast_to(np.asarray(0 if value is None else value), self.out_channels).astype(
                self.number
            )

        return Numbers(
            each(neuron.threshold), each(neuron.leak), each(neuron.current_leak),
            each(neuron.adaptation_leak), each(neuron.adaptation_step),
        )  # fmt: skip

    def states(self, positions: int) -> States:
        """State at the start."""
        neurons = positions * self.out_channels
        rules = self.rules
        return States(
            np.zeros(neurons, self.number),
            np.zeros(neurons if rules.has_current else 0, self.number),
            np.zeros(neurons if rules.has_adaptation else 0, self.number),
            np.zeros(neurons if rules.late else 0, np.uint8),
        )

    @cached_property
    def silence_is_free(self) -> bool:
        """Whether a neuron without input can never fire (Section 1)."""
        return self.neuron is not None and self.neuron.silence_is_free and not self.biases.any()


@kernel
def _by_tap(weight: NDArray[Any]) -> NDArray[Any]:
    """Transpose ``[M, C, taps]`` in blocks that stay in the cache."""
    lanes, channels, taps = weight.shape
    found = np.empty(taps * channels * lanes, weight.dtype)
    side = 32
    for m0 in range(0, lanes, side):
        for c0 in range(0, channels, side):
            for tap in range(taps):
                for channel in range(c0, min(c0 + side, channels)):
                    place = (tap * channels + channel) * lanes
                    for m in range(m0, min(m0 + side, lanes)):
                        found[place + m] = weight[m, channel, tap]
    return found
