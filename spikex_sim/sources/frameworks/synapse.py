"""A synaptic layer on its way into a trace: weights that take up what stands around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.validation import validated
from spikex_sim.spec.workload import Layer, Neuron

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Synapse:
    """A convolution or a linear layer, in float64 until it is complete.

    Attributes
    ----------
    name : str
        Of the layer.
    kind : {"conv", "linear"}
        What it is.
    input_shape : tuple of int
        ``(C, H, W)``, or ``(N,)`` of a linear layer.
    weight : float64 array
        ``[M, C, E_h, E_w]``, or ``[M, N]``.
    bias : float64 array ``[M]``
        Zeros where there is none.
    stride, padding : tuple of int
        Of a convolution.
    """

    name: str
    kind: Literal["conv", "linear"]
    input_shape: tuple[int, ...]
    weight: Numbers
    bias: Numbers
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def scaled(self, factor: float | Numbers) -> Synapse:
        """Multiply what comes out, by one factor or by one for each output channel."""
        factors = np.broadcast_to(np.asarray(factor, np.float64), self.bias.shape)
        rows = factors.reshape(-1, *[1] * (self.weight.ndim - 1))
        return replace(self, weight=self.weight * rows, bias=self.bias * factors)

    def shifted(self, offset: Numbers) -> Synapse:
        """Add to what comes out, a number for each output channel."""
        return replace(self, bias=self.bias + offset)

    def taking_scaled(self, factor: float | Numbers) -> Synapse:
        """Multiply what comes in, by one factor or by one for each input channel; the bias stays."""
        factors = np.broadcast_to(np.asarray(factor, np.float64), self.weight.shape[1:2])
        columns = factors.reshape(1, -1, *[1] * (self.weight.ndim - 2))
        return replace(self, weight=self.weight * columns)

    def normalised(
        self, mean: Numbers, variance: Numbers, epsilon: float, gain: Numbers, offset: Numbers
    ) -> Synapse:
        """Fold a batch norm that follows: ``gain (x - mean) / sqrt(variance + epsilon) + offset``."""
        factor = gain / np.sqrt(variance + epsilon)
        return self.shifted(-mean).scaled(factor).shifted(offset)

    def layer(self, neuron: Neuron, where: str) -> Layer:
        """Describe the layer with its neurons."""
        outputs, inputs = self.weight.shape[:2]
        made: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "in_channels": inputs,
            "out_channels": outputs,
            "neuron": neuron,
        }
        if self.kind == "conv":
            made |= {
                "kernel": self.weight.shape[2:],
                "stride": self.stride,
                "padding": self.padding,
                "in_height": self.input_shape[1],
                "in_width": self.input_shape[2],
            }
        return validated(Layer, made, where=where, error=TraceError, prefix=self.name)

    def float32(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Weights, and bias where it is not all zeros, as a trace holds them."""
        with np.errstate(over="ignore"):
            weight, bias = self.weight.astype(np.float32), self.bias.astype(np.float32)
        return weight, bias if bias.any() else None


def pool_layer(
    name: str,
    kind: Literal["maxpool", "avgpool"],
    input_shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    where: str,
) -> Layer:
    """Describe a pooling layer of a map ``(C, H, W)``."""
    channels, height, width = input_shape
    made = {
        "name": name,
        "kind": kind,
        "in_channels": channels,
        "out_channels": channels,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "in_height": height,
        "in_width": width,
    }
    return validated(Layer, made, where=where, error=TraceError, prefix=name)
