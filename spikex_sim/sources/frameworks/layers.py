"""Convolutions, linear layers and pooling that are followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.frameworks.companions import Read, Unfollowed
from spikex_sim.sources.frameworks.signals import Numbers, Outside, Part, Pooled, Signal

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.values import Values


@dataclass(frozen=True)
class Call:
    """One call of a function that is followed."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    path: str
    """Module in which it is called."""

    def bound(self, *names: str, **default: Any) -> dict[str, Any]:
        """Arguments by name."""
        return {**dict.fromkeys(names), **default, **dict(zip(names, self.args, strict=False)), **self.kwargs}


def convolution(follow: Values, call: Call) -> None:
    """Follow a convolution, of one dimension or two."""
    given = call.bound(
        "input", "weight", "bias", "stride", "padding", "dilation", "groups",
        stride=1, padding=0, dilation=1, groups=1,
    )  # fmt: skip
    weight, axes = given["weight"], given["weight"].ndim - 2
    stride, dilation = (pair_of(given[key], axes) for key in ("stride", "dilation"))
    kernel = (1,) * (2 - axes) + tuple(weight.shape[2:])
    padding = padding_of(given["padding"], kernel, dilation, axes)
    read = follow.read(given["input"], given["input"].ndim - axes - 1)
    number = read.number.reshape(read.number.shape[0], *(1,) * (2 - axes), *read.number.shape[1:])
    number, padding = _unpadded(number, padding)
    groups = int(given["groups"])
    numbers = follow.numbers(weight).reshape(*weight.shape[:2], *kernel)
    pointwise = kernel == (1, 1) == stride and not any(padding)
    parts, plane = channels_of(follow, read, number, numbers, groups, pointwise=pointwise)
    if not pointwise:
        plane = (1, call.out.shape[-1]) if axes == 1 else tuple(call.out.shape[-2:])
    signal = follow.weighted(
        call.path, weight, given["bias"], parts, "conv", plane,
        stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    follow.give(call.out, signal, read)


def linear(follow: Values, call: Call) -> None:
    """Follow a linear layer."""
    given = call.bound("input", "weight", "bias")
    give_linear(follow, call, given["input"], given["weight"], given["bias"])


def give_linear(follow: Values, call: Call, tensor: Any, weight: Any, bias: Any) -> None:
    """Follow what multiplies a tensor with a matrix."""
    read = follow.read(tensor)
    if len(read.lead) == tensor.ndim:
        read = follow.read(tensor, tensor.ndim - 1)
    signal, index = linear_of(follow, call.path, read, weight, bias)
    follow.give(call.out, signal, read, index)


def linear_of(follow: Values, path: str, read: Read, weight: Any, bias: Any) -> tuple[Signal, NDArray[Any]]:
    """Follow a linear layer; the signal it gives, and where its elements are in what comes out."""
    parts, plane = linear_parts(follow, read, weight)
    outputs = int(weight.shape[0])
    if plane is None:
        return follow.weighted(path, weight, bias, parts, "linear", (1, 1)), np.arange(outputs)
    signal = follow.weighted(path, weight, bias, parts, "conv", plane)
    index = np.arange(signal.size).reshape(outputs, *read.number.shape[:-1])
    return signal, np.moveaxis(index, 0, -1)


def linear_parts(follow: Values, read: Read, weight: Any) -> tuple[tuple[Part, ...], tuple[int, int] | None]:
    """Parts of a linear layer; of one on tokens, the positions it keeps."""
    number, numbers = read.number, follow.numbers(weight)
    if prod(number.shape[:-1]) == 1:
        parts = []
        for signal, where in follow.numbering.split(number).items():
            index = number.ravel()[where] - follow.numbering.start(signal)
            source, first = _least_channels(follow, signal, index)
            columns = np.zeros((len(numbers), source.size))
            np.add.at(columns.T, index - first, numbers[:, where].T)
            parts.append(Part(source, read.delays[signal], columns))
        return tuple(parts), None
    turned = np.moveaxis(number, -1, 0)
    turned = turned.reshape(turned.shape[0], -1, 1)
    return channels_of(follow, read, turned, numbers[:, :, None, None], 1, pointwise=True)


def _least_channels(follow: Values, signal: Signal, index: NDArray[Any]) -> tuple[Signal, int]:
    """The channels that hold some elements, as a signal, and the first element's index."""
    low, high = int(index.min()) // signal.plane, int(index.max()) // signal.plane + 1
    if len(np.unique(index)) == (high - low) * signal.plane:
        return follow.numbering.sliced(signal, low, high - low), low * signal.plane
    return signal, 0


def channels_of(
    follow: Values, read: Read, number: NDArray[Any], weight: Numbers, groups: int, *, pointwise: bool
) -> tuple[tuple[Part, ...], tuple[int, int]]:
    """Parts of a convolution, by the signals of its channels, and height and width of their maps."""
    numbering = follow.numbering
    signals = [numbering.at(int(one)) for one in number[:, 0, 0]]
    if groups > 1 and len(set(signals)) > 1:
        joined, index = numbering.whole(number)
        if (index.ravel() != np.arange(number.size)).any():
            raise Unfollowed("takes groups of channels in another order")
        return (Part(joined, max(read.delays.values()), weight),), joined.shape[1:]
    parts, plane = [], None
    for signal in dict.fromkeys(signals):
        mine = np.array([one is signal for one in signals])
        index = number[mine] - numbering.start(signal)
        if isinstance(signal, Outside) and not signal.shaped and index.size == signal.size:
            signal.shape, signal.shaped = tuple(index.shape), True
        size = (signal.shape[1], signal.shape[2])
        channel = index[:, 0, 0] // signal.plane
        order = channel[:, None] * signal.plane + np.arange(signal.plane)
        if index[0].size != signal.plane or (index.reshape(len(index), -1) != order).any():
            raise Unfollowed(f"takes a map in another order than {signal.name} gives it")
        if not pointwise and size != index.shape[1:]:
            message = (
                f"takes {list(index.shape)}, and {signal.name} gives {list(signal.shape)}: reshaped maps"
            )
            raise Unfollowed(message)
        columns = weight if groups > 1 else weight[:, mine]
        low, count = int(channel.min()), len(channel)
        source = signal
        if groups > 1 or int(channel.max()) - low + 1 == count == len(np.unique(channel)):
            if groups > 1 and (np.diff(channel) != 1).any():
                raise Unfollowed("takes groups of channels in another order")
            source = numbering.sliced(signal, low, count)
            columns = columns if groups > 1 else columns[:, np.argsort(channel)]
        else:
            full = np.zeros((len(columns), signal.shape[0], *columns.shape[2:]))
            np.add.at(full.swapaxes(0, 1), channel, columns.swapaxes(0, 1))
            columns = full
        if plane is not None and plane != size:
            raise Unfollowed("takes maps of different sizes side by side")
        plane = size
        parts.append(Part(source, read.delays[signal], columns))
    assert plane is not None
    return tuple(parts), plane


def _unpadded(
    number: NDArray[Any], padding: tuple[int, int, int, int]
) -> tuple[NDArray[Any], tuple[int, int, int, int]]:
    """Take a border of zeros for padding."""
    if 0 not in number:
        return number, padding
    rows, columns = np.flatnonzero(number.any(axis=(0, 2))), np.flatnonzero(number.any(axis=(0, 1)))
    top, bottom = int(rows[0]), number.shape[1] - 1 - int(rows[-1])
    left, right = int(columns[0]), number.shape[2] - 1 - int(columns[-1])
    inner = number[:, top : number.shape[1] - bottom, left : number.shape[2] - right]
    if 0 in inner:
        raise Unfollowed("takes zeros amid what is followed")
    return inner, (padding[0] + top, padding[1] + bottom, padding[2] + left, padding[3] + right)


def maximum(follow: Values, call: Call) -> None:
    """Follow a maximum over windows."""
    given = call.bound(
        "input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices",
        padding=0, dilation=1,
    )  # fmt: skip
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    axes = 1 if "1d" in call.name else 2
    kernel, stride, padding = _windows(given, axes)
    _pool(follow, call, given["input"], out, "max", kernel, stride, padding, pair_of(given["dilation"], axes),
          1.0, axes)  # fmt: skip


def average(follow: Values, call: Call) -> None:
    """Follow an average over windows."""
    given = call.bound(
        "input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override",
        padding=0, count_include_pad=True,
    )  # fmt: skip
    axes = 1 if "1d" in call.name else 2
    kernel, stride, padding = _windows(given, axes)
    if padding != (0, 0) and not given["count_include_pad"]:
        raise Unfollowed("leaves padding out of its averages (count_include_pad)")
    divisor = given["divisor_override"] or prod(kernel)
    _pool(
        follow, call, given["input"], call.out, "avg", kernel, stride, padding, (1, 1), float(divisor), axes
    )


def adaptive(follow: Values, call: Call) -> None:
    """Follow pooling to a size."""
    axes = 1 if "1d" in call.name else 2
    given = call.bound("input", "output_size")
    before, after = (tuple(one.shape[-axes:]) for one in (given["input"], call.out))
    if after != before and not any(b % a for a, b in zip(before, after, strict=True)):
        follow.repeat(given["input"], call.out, tuple(b // a for a, b in zip(before, after, strict=True)))
        return
    if any(a % b for a, b in zip(before, after, strict=True)):
        raise Unfollowed(f"pools {list(before)} to {list(after)}, in windows of different sizes")
    kernel = (1,) * (2 - axes) + tuple(a // b for a, b in zip(before, after, strict=True))
    how, divisor = ("avg", float(prod(kernel))) if "avg" in call.name else ("max", 1.0)
    _pool(follow, call, given["input"], call.out, how, kernel, kernel, (0, 0), (1, 1), divisor, axes)


def _pool(
    follow: Values, call: Call, tensor: Any, out: Any, how: str, kernel: Any, stride: Any, padding: Any,
    dilation: Any, divisor: float, axes: int,
) -> None:  # fmt: skip
    read = follow.read(tensor, tensor.ndim - axes - 1)
    signal, index = follow.numbering.whole(read.number)
    if any(read.delays.values()):
        raise Unfollowed("pools different time points")
    sides = (1,) * (2 - axes) + tuple(tensor.shape[-axes:])
    if isinstance(signal, Outside) and not signal.shaped:
        signal.shape, signal.shaped = (index.shape[0], *sides), True
    if signal.shape[1:] != sides or (index.ravel() != np.arange(signal.size)).any():
        raise Unfollowed(f"pools a map in another order than {signal.name} gives it")
    made = tuple(
        (side + 2 * pad - step * (size - 1) - 1) // by + 1
        for side, pad, step, size, by in zip(sides, padding, dilation, kernel, stride, strict=True)
    )
    if made[2 - axes :] != tuple(out.shape[-axes:]):
        raise Unfollowed("has ceil_mode and windows that are not whole")
    pooled = follow.numbering.make(
        Pooled, call.path, (signal.shape[0], *made), source=signal, how=how, kernel=tuple(kernel),
        stride=tuple(stride), padding=tuple(padding), dilation=tuple(dilation), divisor=divisor,
    )  # fmt: skip
    follow.give(out, pooled, read)


def pair_of(value: Any, axes: int) -> tuple[int, int]:
    """Two numbers, of which a one-dimensional operation has the last."""
    given: Sequence[int] = value if isinstance(value, tuple | list) else (value,) * axes
    if axes == 1:
        return 1, int(given[-1])
    return int(given[0]), int(given[-1])


def padding_of(value: Any, kernel: Any, dilation: Any, axes: int) -> tuple[int, int, int, int]:
    """Padding at the top, bottom, left, right."""
    if isinstance(value, str):
        total = [
            step * (side - 1) if value == "same" else 0 for side, step in zip(kernel, dilation, strict=True)
        ]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    given = value if isinstance(value, tuple | list) else (value,) * axes
    height, width = (0, int(given[-1])) if axes == 1 else (int(given[0]), int(given[-1]))
    return height, height, width, width


def _windows(given: dict[str, Any], axes: int) -> tuple[Any, Any, Any]:
    kernel = pair_of(given["kernel_size"], axes)
    stride = kernel if given["stride"] in (None, [], ()) else pair_of(given["stride"], axes)
    padding = padding_of(given["padding"], kernel, (1, 1), axes)
    return kernel, stride, (padding[0], padding[2])
