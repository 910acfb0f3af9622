"""Parts of a network as a graph: numbers that enter, neurons, windows over maps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from spikex_sim.spec.workload import MAX_KERNEL_AREA, MAX_SIZE, MAX_THRESHOLD, Pair

Sides = tuple[int, int, int, int]
Datapath = Literal["int", "float"]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pair(value: Any) -> Any:
    found = (value, value) if _whole(value) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(found) != 2 or not all(map(_whole, found)):
        raise ValueError("must be a whole number or [height, width]")
    return found


def _sides(value: Any) -> Any:
    found = (value,) if _whole(value) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(found) not in (1, 2, 4) or not all(map(_whole, found)):
        raise ValueError("must be a whole number, [height, width] or [top, bottom, left, right]")
    if len(found) == 4:
        return found
    return (found[0], found[0], found[-1], found[-1])


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_THRESHOLD:
        raise ValueError("must be a finite number")
    return value


def _name(value: str) -> str:
    if not value.isprintable() or "/" in value:
        raise ValueError("must be printable text on one line, without '/'")
    return value


def as_tuple(value: Any) -> Any:
    """Take a list, as JSON has it, for a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _within(lowest: int) -> AfterValidator:
    def check(value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < lowest or max(value) > MAX_SIZE:
            raise ValueError(f"must be {lowest} to {MAX_SIZE}")
        return value

    return AfterValidator(check)


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
Steps = Annotated[Pair, BeforeValidator(_pair), _within(1)]
Padding = Annotated[Sides, BeforeValidator(_sides), _within(0)]
Number = Annotated[int | float, BeforeValidator(_number)]
Shift = Annotated[int, Field(ge=0, le=31)]
Leak = Annotated[float, Field(ge=0.0, le=1.0)]
Size = Annotated[int, Field(ge=1, le=MAX_SIZE)]


class Described(BaseModel):
    """A description in which a key that is null is not given, and an unknown one an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class Values(Described):
    """Numbers that an analog input holds.

    Attributes
    ----------
    bits : int
        Width of each.
    signed : bool
        Whether they are in two's complement.
    constant : bool
        Whether there is one for all time points, not one for each.
    scale : float
        What 1 stands for: a factor in the float datapath, information in the integer one.
    """

    bits: int = Field(default=8, ge=1, le=32)
    signed: bool = True
    constant: bool = False
    scale: float = Field(default=1.0, gt=0.0, le=MAX_THRESHOLD)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


class Leaky(Described):
    """What leaks: by a shift in the integer datapath, a factor in the float one; not at all without."""

    leak_shift: Shift | None = None
    leak: Leak | None = None


class Current(Leaky):
    """Synaptic current of a neuron: its leak, none if neither key is given."""


class Adaptation(Leaky):
    """Threshold that rises with every spike.

    Attributes
    ----------
    step : int or float, optional
        What a spike adds; may stand in an array instead.
    """

    step: Number | None = None


class GraphNeuron(Leaky):
    """Neurons of a population; numbers may be left to arrays that hold one a channel.

    Attributes
    ----------
    threshold : int or float, optional
        Firing threshold ``V_th``; may stand in an array instead.
    leak_shift, leak : int or float, optional
        Leak of the potential in the integer and in the float datapath; none if neither is given.
    fires : {"above", "at"}
        Whether a neuron fires above its threshold only, or at it too.
    reset : {"zero", "subtract", "none"}
        What a spike does to the potential.
    reset_delay : {0, 1}
        Whether it does so at once or before the next time point's comparison.
    current : Current, optional
        Given where the input is integrated in a current of its own.
    adaptation : Adaptation, optional
        Given where spikes raise the threshold.
    datapath : {"int", "float"}
        int8 weights with saturating states, or float32 throughout.
    """

    threshold: Number | None = None
    fires: Literal["above", "at"] = "above"
    reset: Literal["zero", "subtract", "none"] = "zero"
    reset_delay: Literal[0, 1] = 0
    current: Current | None = None
    adaptation: Adaptation | None = None
    datapath: Datapath = "int"

    @model_validator(mode="after")
    def _datapath_is_consistent(self) -> GraphNeuron:
        other = "leak" if self.datapath == "int" else "leak_shift"
        for key, value in self.numbers().items():
            if key.endswith(other):
                raise ValueError(f"the {self.datapath} datapath takes no {key}")
            if self.datapath == "int" and (value != int(value) or abs(value) >= 1 << 31):
                raise ValueError(f"the int datapath needs an integer {key} within 32 bits")
        return self

    def numbers(self) -> dict[str, int | float]:
        """Numbers that are the same in all channels, by their dotted keys."""
        found = {}
        for prefix, part in (("", self), ("current.", self.current), ("adaptation.", self.adaptation)):
            for key in ("threshold", "leak_shift", "leak", "step"):
                value = getattr(part, key, None)
                if value is not None:
                    found[prefix + key] = value
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """Dotted keys of the numbers that these neurons can have."""
        leak = "leak_shift" if self.datapath == "int" else "leak"
        found = ["threshold", leak]
        found += [f"current.{leak}"] if self.current is not None else []
        found += [f"adaptation.{leak}", "adaptation.step"] if self.adaptation is not None else []
        return tuple(found)

    @property
    def states(self) -> int:
        """States of a neuron: its potential, current and adaptation."""
        return 1 + (self.current is not None) + (self.adaptation is not None)


class Windowed(Described):
    """What lays a kernel over a map. Padding is (top, bottom, left, right)."""

    kernel: Steps = (1, 1)
    stride: Steps = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Steps = (1, 1)

    @model_validator(mode="after")
    def _kernel_is_not_absurd(self) -> Windowed:
        if self.kernel[0] * self.kernel[1] > MAX_KERNEL_AREA:
            raise ValueError(f"kernel must not have more than {MAX_KERNEL_AREA} taps a channel")
        return self

    def out_size(self, height: int, width: int) -> Pair:
        """Height and width of what comes of a map, rounded down; below 1 if the kernel is too large."""
        padding = (self.padding[0] + self.padding[1], self.padding[2] + self.padding[3])
        rows, columns = (
            (size + pad - step * (kernel - 1) - 1) // stride + 1
            for size, pad, step, kernel, stride in zip(
                (height, width), padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )
        return rows, columns
