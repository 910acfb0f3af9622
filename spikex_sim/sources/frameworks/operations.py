"""Functions of PyTorch that are followed, and what becomes of what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.frameworks.companions import Known, Read, Unfollowed, tag_of
from spikex_sim.sources.frameworks.signals import (
    Added,
    Affine,
    Joined,
    Numbers,
    Outside,
    Part,
    Pooled,
    Product,
    Signal,
    Step,
    Weighted,
    not_of,
)

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.follow import Follower

KEEPING = frozenset(
    "to float double type contiguous clone detach data requires_grad_ cpu cuda type_as bool int long half "
    "dropout dropout2d dropout3d alpha_dropout dropout1d feature_alpha_dropout".split()
)
"""What gives what it takes; of dropouts, while they are off."""
STRUCTURAL = frozenset(
    "view reshape flatten unflatten permute transpose t T mT squeeze unsqueeze expand expand_as repeat tile "
    "repeat_interleave chunk split tensor_split unbind select narrow index_select __getitem__ movedim moveaxis "
    "swapaxes swapdims roll flip view_as reshape_as pixel_unshuffle unsafe_chunk unsafe_split adjoint mH H "
    "broadcast_to split_with_sizes".split()
)
"""What lays elements out anew."""
GATHERING = frozenset("cat concat concatenate stack hstack vstack dstack __setitem__".split())
CONSTANT = frozenset(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like empty_like full_like rand_like".split()
)
"""What takes a tensor's size alone."""
READ_OUT = frozenset(
    "mean sum max argmax softmax log_softmax topk mode median std var cross_entropy nll_loss mse_loss cumsum "
    "norm count_nonzero any all __get__ stack amax item tolist numpy".split()
)
"""What may come at the end, and is not followed."""


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


def convolution(follow: Follower, call: Call) -> None:
    given = call.bound(
        "input", "weight", "bias", "stride", "padding", "dilation", "groups",
        stride=1, padding=0, dilation=1, groups=1,
    )  # fmt: skip
    weight, axes = given["weight"], given["weight"].ndim - 2
    stride, dilation = (_pair(given[key], axes) for key in ("stride", "dilation"))
    kernel = (1,) * (2 - axes) + tuple(weight.shape[2:])
    padding = _padding(given["padding"], kernel, dilation, axes)
    read = follow.read(given["input"], given["input"].ndim - axes - 1)
    number = read.number.reshape(read.number.shape[0], *(1,) * (2 - axes), *read.number.shape[1:])
    number, padding = _unpadded(number, padding)
    groups = int(given["groups"])
    numbers = follow.numbers(weight).reshape(*weight.shape[:2], *kernel)
    pointwise = kernel == (1, 1) == stride and not any(padding)
    parts, plane = _channels(follow, read, number, numbers, groups, pointwise=pointwise)
    if not pointwise:
        plane = (1, call.out.shape[-1]) if axes == 1 else tuple(call.out.shape[-2:])
    signal = follow.weighted(
        call.path, weight, given["bias"], parts, "conv", plane,
        stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    follow.give(call.out, signal, read)


def linear(follow: Follower, call: Call) -> None:
    given = call.bound("input", "weight", "bias")
    give_linear(follow, call, given["input"], given["weight"], given["bias"])


def give_linear(follow: Follower, call: Call, tensor: Any, weight: Any, bias: Any) -> None:
    read = follow.read(tensor)
    if len(read.lead) == tensor.ndim:
        read = follow.read(tensor, tensor.ndim - 1)
    signal, index = linear_of(follow, call.path, read, weight, bias)
    follow.give(call.out, signal, read, index)


def linear_of(follow: Follower, path: str, read: Read, weight: Any, bias: Any) -> tuple[Signal, NDArray[Any]]:
    """Follow a linear layer; the signal it gives, and where its elements are in what comes out."""
    parts, plane = linear_parts(follow, read, weight)
    outputs = int(weight.shape[0])
    if plane is None:
        return follow.weighted(path, weight, bias, parts, "linear", (1, 1)), np.arange(outputs)
    signal = follow.weighted(path, weight, bias, parts, "conv", plane)
    index = np.arange(signal.size).reshape(outputs, *read.number.shape[:-1])
    return signal, np.moveaxis(index, 0, -1)


def linear_parts(
    follow: Follower, read: Read, weight: Any
) -> tuple[tuple[Part, ...], tuple[int, int] | None]:
    """Parts of a linear layer; of one on tokens, the positions it keeps."""
    number, numbers = read.number, follow.numbers(weight)
    if prod(number.shape[:-1]) == 1:
        parts = []
        for signal, where in follow.numbering.split(number).items():
            index = number.ravel()[where] - follow.numbering.start(signal)
            source, first = _least_channels(follow, signal, index)
            columns = np.zeros((len(numbers), source.size))
            np.add.at(columns, (slice(None), index - first), numbers[:, where])
            parts.append(Part(source, read.delays[signal], columns))
        return tuple(parts), None
    turned = np.moveaxis(number, -1, 0)
    turned = turned.reshape(turned.shape[0], -1, 1)
    return _channels(follow, read, turned, numbers[:, :, None, None], 1, pointwise=True)


def _least_channels(follow: Follower, signal: Signal, index: NDArray[Any]) -> tuple[Signal, int]:
    """The channels that hold some elements, as a signal, and the first element's index."""
    low, high = int(index.min()) // signal.plane, int(index.max()) // signal.plane + 1
    if len(np.unique(index)) == (high - low) * signal.plane:
        return follow.numbering.sliced(signal, low, high - low), low * signal.plane
    return signal, 0


def _channels(
    follow: Follower, read: Read, number: NDArray[Any], weight: Numbers, groups: int, *, pointwise: bool
) -> tuple[tuple[Part, ...], tuple[int, int]]:
    """Parts of a convolution, by the signals of which its channels are, and height and width of their maps."""
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
            np.add.at(full, (slice(None), channel), columns)
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


def batch_norm(follow: Follower, call: Call) -> None:
    given = call.bound("input", "mean", "var", "weight", "bias", "training", momentum=0.1, eps=1e-5)
    mean = given.get("running_mean", given["mean"])
    variance = given.get("running_var", given["var"])
    eps = call.args[7] if len(call.args) > 7 else given["eps"]
    if mean is None or variance is None or given["training"]:
        raise Unfollowed("is a batch norm that keeps no running statistics, so that it depends on the batch")
    shape = (-1, *(1,) * (given["input"].ndim - 2))

    def numbers(tensor: Any, default: float) -> Numbers:
        found = np.full(len(mean), default) if tensor is None else follow.numbers(tensor)
        return found.reshape(shape)

    gain, offset = numbers(given["weight"], 1.0), numbers(given["bias"], 0.0)
    factor = gain / np.sqrt(numbers(variance, 0.0) + float(eps))
    follow.affine(
        call, given["input"], (("shift", -numbers(mean, 0.0)), ("scale", factor), ("shift", offset))
    )


def added(follow: Follower, call: Call, sign: int = 1) -> None:
    one, other = _two(call)
    factor = sign * call.kwargs.get("alpha", 1)
    if call.name in ("__rsub__", "rsub"):
        one, other = other, one
    if isinstance(tag_of(one), Known) and isinstance(tag_of(other), Known):
        left, right, read, index = follow.pair(one, other)
        if factor != 1:
            scale: tuple[Step, ...] = (("scale", np.full(right[0].shape[0], float(factor))),)
            right = (
                follow.numbering.make(Affine, call.path, right[0].shape, source=right[0], steps=scale), right[1]
            )  # fmt: skip
        if left[0].shape != right[0].shape:
            raise Unfollowed(f"adds {list(left[0].shape)} and {list(right[0].shape)}")
        follow.give(
            call.out, follow.numbering.make(Added, call.path, left[0].shape, terms=(left, right)), read, index
        )
        return
    if isinstance(tag_of(one), Known):
        follow.affine(call, one, (("shift", factor * follow.numbers(other)),))
    else:
        follow.affine(call, other, (("scale", np.array(float(factor))), ("shift", follow.numbers(one))))


def subtracted(follow: Follower, call: Call) -> None:
    added(follow, call, -1)


def multiplied(follow: Follower, call: Call) -> None:
    one, other = _two(call)
    if not (isinstance(tag_of(one), Known) and isinstance(tag_of(other), Known)):
        tensor, number = (one, other) if isinstance(tag_of(one), Known) else (other, one)
        follow.affine(call, tensor, (("scale", follow.numbers(number)),))
        return
    left, right, read, index = follow.pair(one, other, served=True)
    if left[1] or right[1]:
        raise Unfollowed("multiplies spikes of different time points")
    operands, how = [left[0], right[0]], "and"
    opposites = [not_of(signal) for signal in operands]
    if opposites[0] is not None and opposites[1] is None:
        operands, opposites = operands[::-1], opposites[::-1]
    if opposites[1] is not None and opposites[0] is None:
        operands, how = [operands[0], opposites[1]], "iand"
    follow.join(call, how, operands, read, index)


def joined(how: str) -> Callable[[Follower, Call], None]:
    def join(follow: Follower, call: Call) -> None:
        one, other = _two(call)
        if not (isinstance(tag_of(one), Known) and isinstance(tag_of(other), Known)):
            raise Unfollowed(f"joins spikes by {how} with constants")
        left, right, read, index = follow.pair(one, other, served=True)
        follow.join(call, how, [left[0], right[0]], read, index)

    return join


def divided(follow: Follower, call: Call) -> None:
    one, other = _two(call)
    if isinstance(tag_of(other), Known):
        raise Unfollowed("divides by what is followed")
    follow.affine(call, one, (("scale", 1 / follow.numbers(other)),))


def negated(follow: Follower, call: Call) -> None:
    follow.affine(call, call.args[0], (("scale", np.array(-1.0)),))


def opposite(follow: Follower, call: Call) -> None:
    follow.affine(call, call.args[0], (("scale", np.array(-1.0)), ("shift", np.array(1.0))))


def multiplied_matrices(follow: Follower, call: Call) -> None:
    one, other = _two(call)
    if not isinstance(tag_of(one), Known):
        raise Unfollowed("multiplies a constant matrix with what is followed")
    if not isinstance(tag_of(other), Known):
        give_linear(follow, call, one, follow.kept(other, "t", other.t()), None)
        return
    samples = follow.samples
    a, b = (follow.numbering.read(tag_of(x), samples) for x in (one, other))  # type: ignore[arg-type]
    lead = min(len(a.lead), len(b.lead), call.out.ndim - 2)
    a, b = follow.read(one, lead), follow.read(other, lead)
    if (a.sample != b.sample).any() or (a.late != b.late).any():
        raise Unfollowed("multiplies matrices of different time points or samples")
    (left, ta), (right, tb), heads = _matrix(follow, a), _matrix(follow, b), prod(a.number.shape[:-2])
    rows, columns = call.out.shape[-2:]
    index = np.arange(heads * rows * columns).reshape(heads, rows, columns)
    if ta:  # Y' = B' A': rows are channels where they can be, positions stay those of a map
        left, right, ta, tb = right, left, not tb, False
        rows, columns = columns, rows
        index = np.arange(heads * rows * columns).reshape(heads, rows, columns).swapaxes(1, 2)
    plane = (columns, 1) if tb else right.shape[1:]
    product = follow.numbering.make(
        Product, call.path, (heads * rows, *plane), a=left, b=right, heads=heads, transpose_a=ta,
        transpose_b=tb,
    )  # fmt: skip
    follow.give(call.out, product, a, index.reshape(tuple(call.out.shape)[lead:]))


def _matrix(follow: Follower, read: Read) -> tuple[Signal, bool]:
    """Whose matrices an operand holds, and whether its rows are positions."""
    if any(read.delays.values()):
        raise Unfollowed("multiplies matrices of different time points")
    signal, index = follow.numbering.whole(read.number)
    heads = prod(index.shape[:-2])
    index = index.reshape(heads, *index.shape[-2:])
    for turned in (False, True):
        straight = index.swapaxes(1, 2) if turned else index
        if signal.plane == straight.shape[2] and (straight.ravel() == np.arange(signal.size)).all():
            return signal, turned
    raise Unfollowed(
        f"multiplies matrices that are no heads, channels and positions of what {signal.name} gives"
    )


def maximum(follow: Follower, call: Call) -> None:
    given = call.bound(
        "input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices",
        padding=0, dilation=1,
    )  # fmt: skip
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    axes = 1 if "1d" in call.name else 2
    kernel, stride, padding = _windows(given, axes)
    _pool(follow, call, given["input"], out, "max", kernel, stride, padding, _pair(given["dilation"], axes),
          1.0, axes)  # fmt: skip


def average(follow: Follower, call: Call) -> None:
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


def adaptive(follow: Follower, call: Call) -> None:
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
    follow: Follower, call: Call, tensor: Any, out: Any, how: str, kernel: Any, stride: Any, padding: Any,
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


def reduced(follow: Follower, call: Call) -> None:
    """``mean`` or ``sum`` over all positions: average pooling of the whole map."""
    tensor, axes = call.args[0], call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    read = follow.read(tensor)
    lead = len(read.lead)
    chosen = range(tensor.ndim) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    over = sorted(axis % tensor.ndim - lead for axis in chosen)
    if over[0] < 0:
        raise Unfollowed("adds up time points or samples")
    signal, index = follow.numbering.whole(read.number)
    kept = [axis for axis in range(index.ndim) if axis not in over]
    turned = index.transpose(*kept, *over).reshape(*(index.shape[axis] for axis in kept), -1)
    channel = turned[..., :1] // signal.plane
    if signal.plane > 1 and (turned % signal.plane == turned[..., :1] % signal.plane).all():
        _channels_added(follow, call, read, signal, turned)
        return
    if turned.shape[-1] != signal.plane or (turned // signal.plane != channel).any():
        raise Unfollowed("adds up channels and positions")
    size = (signal.shape[1], signal.shape[2])
    pooled = follow.numbering.make(
        Pooled, call.path, (signal.shape[0], 1, 1), source=signal, how="avg", kernel=size, stride=size,
        padding=(0, 0), dilation=(1, 1), divisor=float(signal.plane) if call.name == "mean" else 1.0,
    )  # fmt: skip
    follow.give(call.out, pooled, read, channel.reshape(tuple(call.out.shape)[lead:]))


def _channels_added(follow: Follower, call: Call, read: Read, signal: Signal, turned: NDArray[Any]) -> None:
    """Sums of channels that lie side by side: a convolution of groups with the weight 1."""
    count = turned.shape[-1]
    group = turned[..., 0] // signal.plane // count
    if (turned // signal.plane != group[..., None] * count + np.arange(count)).any():
        raise Unfollowed("adds up channels that do not lie side by side")
    groups = signal.shape[0] // count
    weight = np.full((groups, count, 1, 1), 1.0 if call.name == "sum" else 1 / count)
    summed = follow.numbering.make(
        Weighted, call.path, (groups, *signal.shape[1:]), (signal, call.name), kind="conv",
        parts=(Part(signal, 0, weight),), bias=np.zeros(groups), groups=groups,
    )  # fmt: skip
    index = group * signal.plane + turned[..., 0] % signal.plane
    follow.give(call.out, summed, read, index.reshape(tuple(call.out.shape)[len(read.lead) :]))


FOLLOWED: dict[str, Callable[[Follower, Call], None]] = {
    "conv1d": convolution, "conv2d": convolution, "linear": linear, "batch_norm": batch_norm,
    "add": added, "__add__": added, "__radd__": added, "__iadd__": added, "sub": subtracted,
    "__sub__": subtracted, "__isub__": subtracted, "subtract": subtracted, "rsub": subtracted,
    "__rsub__": subtracted, "mul": multiplied, "__mul__": multiplied, "__rmul__": multiplied,
    "__imul__": multiplied, "multiply": multiplied, "div": divided, "__truediv__": divided,
    "__itruediv__": divided, "true_divide": divided, "neg": negated, "__neg__": negated,
    "logical_and": joined("and"), "__and__": joined("and"), "bitwise_and": joined("and"),
    "minimum": joined("and"), "logical_or": joined("or"), "__or__": joined("or"),
    "bitwise_or": joined("or"), "maximum": joined("or"), "logical_not": opposite, "__invert__": opposite,
    "bitwise_not": opposite, "matmul": multiplied_matrices, "__matmul__": multiplied_matrices,
    "bmm": multiplied_matrices, "mm": multiplied_matrices, "max_pool2d": maximum, "max_pool1d": maximum,
    "avg_pool2d": average, "avg_pool1d": average, "adaptive_avg_pool2d": adaptive,
    "adaptive_avg_pool1d": adaptive, "adaptive_max_pool2d": adaptive, "mean": reduced, "sum": reduced,
}  # fmt: skip
WEIGHING = frozenset({"conv1d", "conv2d", "linear"})


def _two(call: Call) -> tuple[Any, Any]:
    others = (*call.args, *(call.kwargs[key] for key in ("other", "mat2") if key in call.kwargs))
    return others[0], others[1]


def _pair(value: Any, axes: int) -> tuple[int, int]:
    """Two numbers, of which a one-dimensional operation has the last."""
    given: Sequence[int] = value if isinstance(value, tuple | list) else (value,) * axes
    if axes == 1:
        return 1, int(given[-1])
    return int(given[0]), int(given[-1])


def _padding(value: Any, kernel: Any, dilation: Any, axes: int) -> tuple[int, int, int, int]:
    if isinstance(value, str):
        total = [
            step * (side - 1) if value == "same" else 0 for side, step in zip(kernel, dilation, strict=True)
        ]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    given = value if isinstance(value, tuple | list) else (value,) * axes
    height, width = (0, int(given[-1])) if axes == 1 else (int(given[0]), int(given[-1]))
    return height, height, width, width


def _windows(given: dict[str, Any], axes: int) -> tuple[Any, Any, Any]:
    kernel = _pair(given["kernel_size"], axes)
    stride = kernel if given["stride"] in (None, [], ()) else _pair(given["stride"], axes)
    padding = _padding(given["padding"], kernel, (1, 1), axes)
    return kernel, stride, (padding[0], padding[2])
