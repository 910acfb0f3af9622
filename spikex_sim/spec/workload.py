"""Workload: layers and their neurons, in the letters of the SpikeX paper (Table II)."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_THRESHOLD = 1e30
"""Thresholds beyond this are a mistake; float32 ends at 3e38."""
MAX_SIZE = 1 << 20
"""Largest value accepted for one dimension of a layer; larger ones are a mistake or an attack."""
MAX_KERNEL_AREA = 1 << 16
"""Most taps accepted of one channel's filter."""

Kind = Literal["conv", "linear", "maxpool", "avgpool"]
Pair = tuple[int, int]


class Neuron(BaseModel):
    """LIF neuron parameters of a layer (paper eqs. 1-3).

    Attributes
    ----------
    threshold : int or float
        Firing threshold ``V_th``; a neuron fires iff its potential is strictly above. May be negative.
        An integer in the integer datapath, in units of one weight step.
    leak_shift : int, optional
        Integer datapath: ``leak(u) = u - (u >> leak_shift)`` (arithmetic shift).
    leak : float, optional
        Float datapath: ``leak(u) = leak * u``, within [0, 1].
    reset : {"zero", "subtract"}
        Potential after a spike: 0, or ``v - threshold``.
    datapath : {"int", "float"}
        int8 weights with saturating potentials, or float32 throughout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    threshold: int | float
    leak_shift: int | None = Field(default=None, ge=0, le=31)
    leak: float | None = Field(default=None, ge=0.0, le=1.0)
    reset: Literal["zero", "subtract"] = "zero"
    datapath: Literal["int", "float"] = "int"

    @field_validator("threshold", mode="before")
    @classmethod
    def _threshold_is_a_number(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_THRESHOLD:
            raise ValueError("must be a finite number")
        return value

    @model_validator(mode="after")
    def _datapath_is_consistent(self) -> Neuron:
        if self.datapath == "int":
            if self.leak is not None:
                raise ValueError("the int datapath takes leak_shift, not leak")
            if self.leak_shift is None:
                raise ValueError("the int datapath needs leak_shift")
            if self.threshold != int(self.threshold) or abs(self.threshold) >= 1 << 31:
                raise ValueError("the int datapath needs an integer threshold within 32 bits")
        else:
            if self.leak_shift is not None:
                raise ValueError("the float datapath takes leak, not leak_shift")
            if self.leak is None:
                raise ValueError("the float datapath needs leak")
        return self

    @property
    def silence_is_free(self) -> bool:
        """Whether a neuron at rest without input and bias can never fire (hard reset, threshold >= 0)."""
        return self.reset == "zero" and self.threshold >= 0


class Layer(BaseModel):
    """One synaptic stage with its neurons, or a pooling stage.

    ``kernel``, ``stride`` and ``padding`` are one number or ``[height, width]``. A linear layer is a
    convolution with ``H = R = E = 1`` whose input channels are the input neurons. A neuron given to a
    pooling layer has no meaning and is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=200)
    kind: Kind
    in_channels: int = Field(ge=1, le=MAX_SIZE)
    out_channels: int = Field(ge=1, le=MAX_SIZE)
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    in_height: int = Field(default=1, ge=1, le=MAX_SIZE)
    in_width: int = Field(default=1, ge=1, le=MAX_SIZE)
    neuron: Neuron | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data

    @field_validator("kernel", "stride", "padding", mode="before")
    @classmethod
    def _one_number_or_a_pair(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return (value, value)
        pair = tuple(value) if isinstance(value, list | tuple) else ()
        if len(pair) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in pair):
            raise ValueError("must be a whole number or [height, width]")
        return pair

    @field_validator("name")
    @classmethod
    def _name_is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be printable text on one line")
        return value

    @model_validator(mode="after")
    def _shape_closes(self) -> Layer:
        if min(self.kernel) < 1 or max(self.kernel) > MAX_SIZE:
            raise ValueError("kernel must be at least 1")
        if self.kernel[0] * self.kernel[1] > MAX_KERNEL_AREA:
            raise ValueError(f"kernel must not have more than {MAX_KERNEL_AREA} taps a channel")
        if min(self.stride) < 1 or max(self.stride) > MAX_SIZE:
            raise ValueError("stride must be at least 1")
        if min(self.padding) < 0 or max(self.padding) > MAX_SIZE:
            raise ValueError("padding must not be negative")
        if self.kind == "linear":
            if (self.in_height, self.in_width, self.kernel, self.stride, self.padding) != (
                1, 1, (1, 1), (1, 1), (0, 0)
            ):  # fmt: skip
                raise ValueError("a linear layer has height, width, kernel and stride 1 and padding 0")
        elif min(self.out_height, self.out_width) < 1:
            raise ValueError(
                f"kernel {list(self.kernel)} is larger than the padded map "
                f"{self.in_height + 2 * self.padding[0]}x{self.in_width + 2 * self.padding[1]}"
            )
        if self.is_pool:
            if self.in_channels != self.out_channels:
                raise ValueError("a pooling layer has as many output as input channels")
        elif self.neuron is None:
            raise ValueError("needs a neuron")
        return self

    @property
    def is_pool(self) -> bool:
        """Whether the layer pools instead of integrating."""
        return self.kind in ("maxpool", "avgpool")

    @property
    def out_height(self) -> int:
        """Height of the output map, rounded down as frameworks do."""
        return (self.in_height + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1

    @property
    def out_width(self) -> int:
        """Width of the output map, rounded down as frameworks do."""
        return (self.in_width + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample's input without time: ``(C, H, W)``, or ``(N,)`` of a linear layer."""
        if self.kind == "linear":
            return (self.in_channels,)
        return (self.in_channels, self.in_height, self.in_width)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample's output without time: ``(M, R_h, R_w)``, or ``(M,)`` of a linear layer."""
        if self.kind == "linear":
            return (self.out_channels,)
        return (self.out_channels, self.out_height, self.out_width)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether spikes of this shape, without time, can enter; a linear layer takes a map in C order."""
        if self.kind == "linear":
            return prod(shape) == self.in_channels
        return self.input_shape == (shape if len(shape) > 1 else (*shape, 1, 1))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights: ``(M, C, E_h, E_w)``, or ``(M, N)`` of a linear layer."""
        if self.kind == "linear":
            return (self.out_channels, self.in_channels)
        return (self.out_channels, self.in_channels, *self.kernel)
