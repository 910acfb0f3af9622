"""What flows in a network, as expressions: what enters, sums, products, pools, joins, spikes.

An expression is made once however often it is computed; steps through time are told apart by whoever follows
them. Numbers are float64 until a trace is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.frameworks.dynamics import Dynamics

Numbers = NDArray[np.float64]
Shape = tuple[int, int, int]
Pair = tuple[int, int]
AS_CURRENTS = "what it takes is read out as currents; its integration and leak are not simulated"
"""What is said of neurons that do not spike."""


@dataclass(eq=False)
class Signal:
    """Something that has a map ``(C, H, W)`` at each time point.

    Attributes
    ----------
    name : str
        Of the module that makes it.
    shape : tuple of int
        Channels, height, width.
    """

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Elements of the map."""
        return prod(self.shape)

    @property
    def plane(self) -> int:
        """Positions of the map."""
        return self.shape[1] * self.shape[2]

    @property
    def sources(self) -> tuple[Signal, ...]:
        """What it is made of."""
        return tuple(one for item in fields(self) for one in _signals_in(getattr(self, item.name)))

    @property
    def spiking(self) -> bool:
        """Whether it is spikes; of what enters, as far as is known before all of it was seen."""
        if isinstance(self, Pooled):
            return self.how == "max" and self.source.spiking
        if isinstance(self, Sliced):
            return self.source.spiking
        return isinstance(self, Outside | Joined | Spiking)


@dataclass(eq=False)
class Outside(Signal):
    """What enters: an input of the network, or what a module that is left out gives."""

    shaped: bool = False
    """Whether a convolution has said what the shape is; until then only the size counts."""


@dataclass(frozen=True, eq=False)
class Part:
    """What a convolution or linear layer takes of one source."""

    source: Signal
    delay: int
    weight: Numbers


@dataclass(eq=False)
class Weighted(Signal):
    """A convolution, or a linear layer; of several sources where their channels lie side by side."""

    kind: Literal["conv", "linear"]
    parts: tuple[Part, ...]
    bias: Numbers
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


Step = tuple[Literal["scale", "shift"], Numbers]


@dataclass(eq=False)
class Affine(Signal):
    """Scaled and shifted, step by step, by a number for each channel."""

    source: Signal
    steps: tuple[Step, ...]


@dataclass(eq=False)
class Added(Signal):
    """A sum, of terms that may come some time points late."""

    terms: tuple[tuple[Signal, int], ...]


@dataclass(eq=False)
class Mean(Signal):
    """Mean over all time points of spikes, or of scaled sums of them; what a read-out may take."""

    source: Signal


@dataclass(eq=False)
class Pooled(Signal):
    """Windows over a map: their maximum, or their sum divided."""

    source: Signal
    how: Literal["max", "avg"]
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    divisor: float = 1.0


@dataclass(eq=False)
class Sliced(Signal):
    """Some channels."""

    source: Signal
    first: int


@dataclass(eq=False)
class Joined(Signal):
    """Spikes joined element by element, or side by side."""

    how: Literal["and", "or", "iand", "concat"]
    operands: tuple[Signal, ...]


@dataclass(eq=False)
class Product(Signal):
    """A product of matrices, by heads."""

    a: Signal
    b: Signal
    heads: int
    transpose_a: bool
    transpose_b: bool


@dataclass(eq=False)
class Spiking(Signal):
    """A population of neurons.

    Attributes
    ----------
    dynamics : Dynamics
        Its equations.
    kind : str
        Class of the module.
    taken : list of (Signal, int)
        What it took at each time point, and how late.
    """

    dynamics: Dynamics
    kind: str = ""
    taken: list[tuple[Signal, int]] = field(default_factory=list)
    back: Signal | None = None
    """What of its own spikes comes back."""

    @property
    def sources(self) -> tuple[Signal, ...]:
        """Of all time points: what came late was not there at the first."""
        found = dict.fromkeys(signal for signal, _ in self.taken)
        return (*found, *(() if self.back is None else (self.back,)))


def _signals_in(value: Any) -> list[Signal]:
    if isinstance(value, Signal):
        return [value]
    if isinstance(value, Part):
        return [value.source]
    return [one for item in value for one in _signals_in(item)] if isinstance(value, tuple) else []


def is_light(signal: Signal) -> bool:
    """Whether a signal is spikes or numbers that enter, or scaled, averaged or added from such."""
    if signal.spiking:
        return True
    if isinstance(signal, Added | Affine | Mean) or (isinstance(signal, Pooled) and signal.how == "avg"):
        return all(map(is_light, signal.sources))
    return isinstance(signal, Sliced) and is_light(signal.source)


def not_of(signal: Signal) -> Signal | None:
    """Spikes whose opposite a signal is, ``1 - s``."""
    if not (isinstance(signal, Affine) and signal.source.spiking):
        return None
    scale, shift = np.ones(signal.shape[0]), np.zeros(signal.shape[0])
    for how, numbers in signal.steps:
        scale, shift = (scale * numbers, shift * numbers) if how == "scale" else (scale, shift + numbers)
    return signal.source if (scale == -1).all() and (shift == 1).all() else None


def key_of(value: Any) -> Any:
    """What tells whether two numbers, arrays or signals are the same."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes())
    if isinstance(value, tuple | list):
        return tuple(key_of(one) for one in value)
    return value
