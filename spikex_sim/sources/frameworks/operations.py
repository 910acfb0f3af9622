"""Functions of PyTorch that are followed, and what becomes of what they take."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.frameworks.companions import Known, Read, Unfollowed, tag_of
from spikex_sim.sources.frameworks.layers import (
    Call,
    adaptive,
    average,
    convolution,
    give_linear,
    linear,
    maximum,
)
from spikex_sim.sources.frameworks.signals import (
    Added,
    Affine,
    Mean,
    Numbers,
    Part,
    Pooled,
    Product,
    Signal,
    Step,
    Weighted,
    is_light,
    not_of,
)

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.values import Values


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEEPING = _words(
    "to float double type contiguous clone detach data requires_grad cpu cuda type_as bool int long half "
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout"
)
"""What gives what it takes; of dropouts, while they are off."""
STRUCTURAL = _words(
    "view reshape flatten unflatten permute transpose t T mT squeeze unsqueeze expand expand_as repeat tile "
    "repeat_interleave chunk split tensor_split unbind select narrow index_select __getitem__ movedim "
    "moveaxis swapaxes swapdims roll flip view_as reshape_as pixel_unshuffle unsafe_chunk unsafe_split "
    "adjoint mH H broadcast_to split_with_sizes"
)
"""What lays elements out anew."""
GATHERING = _words("cat concat concatenate stack hstack vstack dstack __setitem__")
CONSTANT = _words(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like empty_like full_like rand_like"
)
"""What takes a tensor's size alone."""
READ_OUT = _words(
    "mean sum max argmax softmax log_softmax topk mode median std var cross_entropy nll_loss mse_loss cumsum "
    "norm count_nonzero any all __get__ stack amax item tolist numpy"
)
"""What may come at the end, and is not followed."""


def _batch_norm(follow: Values, call: Call) -> None:
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


def _added(follow: Values, call: Call, sign: int = 1) -> None:
    one, other = _two(call)
    factor = sign * call.kwargs.get("alpha", 1)
    if call.name in ("__rsub__", "rsub"):
        one, other = other, one
    if isinstance(tag_of(one), Known) and isinstance(tag_of(other), Known):
        left, right, read, index = follow.pair(one, other)
        if factor != 1:
            scale: tuple[Step, ...] = (("scale", np.full(right[0].shape[0], float(factor))),)
            scaled = follow.numbering.make(Affine, call.path, right[0].shape, source=right[0], steps=scale)
            right = scaled, right[1]
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


def _subtracted(follow: Values, call: Call) -> None:
    _added(follow, call, -1)


def _multiplied(follow: Values, call: Call) -> None:
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


def _joined(how: str) -> Callable[[Values, Call], None]:
    def join(follow: Values, call: Call) -> None:
        one, other = _two(call)
        if not (isinstance(tag_of(one), Known) and isinstance(tag_of(other), Known)):
            raise Unfollowed(f"joins spikes by {how} with constants")
        left, right, read, index = follow.pair(one, other, served=True)
        follow.join(call, how, [left[0], right[0]], read, index)

    return join


def _divided(follow: Values, call: Call) -> None:
    one, other = _two(call)
    if isinstance(tag_of(other), Known):
        raise Unfollowed("divides by what is followed")
    follow.affine(call, one, (("scale", 1 / follow.numbers(other)),))


def _negated(follow: Values, call: Call) -> None:
    follow.affine(call, call.args[0], (("scale", np.array(-1.0)),))


def _opposite(follow: Values, call: Call) -> None:
    follow.affine(call, call.args[0], (("scale", np.array(-1.0)), ("shift", np.array(1.0))))


def _multiplied_matrices(follow: Values, call: Call) -> None:
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


def _matrix(follow: Values, read: Read) -> tuple[Signal, bool]:
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


def _reduced(follow: Values, call: Call) -> None:
    """``mean`` or ``sum`` over all positions: average pooling of the whole map."""
    tensor, axes = call.args[0], call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    read = follow.read(tensor)
    lead = len(read.lead)
    chosen = range(tensor.ndim) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    over = sorted(axis % tensor.ndim - lead for axis in chosen)
    if over[0] < 0:
        _averaged(follow, call, read, [axis + lead for axis in over])
        return
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


def _averaged(follow: Values, call: Call, read: Read, over: list[int]) -> None:
    """``mean`` of spikes over all time points: linear layers after it are read-outs at each of them."""
    late, sample = (each.reshape(read.lead) for each in (read.late, read.sample))
    if call.name != "mean" or len(over) > 1 or call.out.ndim == call.args[0].ndim:
        raise Unfollowed("adds up time points or samples")
    late, sample = np.moveaxis(late, over[0], 0), np.moveaxis(sample, over[0], 0)
    signal, index = follow.numbering.whole(read.number)
    steps = np.arange(1, len(late) + 1).reshape(-1, *(1,) * (late.ndim - 1))
    if (
        not is_light(signal)
        or any(read.delays.values())
        or (late != steps).any()
        or (sample != sample[0]).any()
    ):
        raise Unfollowed("adds up time points or samples")
    averaged = follow.numbering.make(Mean, call.path, signal.shape, source=signal)
    where = sample[0].ravel()
    kept = Read(late.shape[1:], np.zeros_like(where), where, read.number, {})
    follow.means[averaged] = len(late)
    follow.give(call.out, averaged, kept, index)


def _channels_added(follow: Values, call: Call, read: Read, signal: Signal, turned: NDArray[Any]) -> None:
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


FOLLOWED: dict[str, Callable[[Values, Call], None]] = {
    "conv1d": convolution, "conv2d": convolution, "linear": linear, "batch_norm": _batch_norm,
    "add": _added, "__add__": _added, "__radd__": _added, "__iadd__": _added, "sub": _subtracted,
    "__sub__": _subtracted, "__isub__": _subtracted, "subtract": _subtracted, "rsub": _subtracted,
    "__rsub__": _subtracted, "mul": _multiplied, "__mul__": _multiplied, "__rmul__": _multiplied,
    "__imul__": _multiplied, "multiply": _multiplied, "div": _divided, "__truediv__": _divided,
    "__itruediv__": _divided, "true_divide": _divided, "neg": _negated, "__neg__": _negated,
    "logical_and": _joined("and"), "__and__": _joined("and"), "bitwise_and": _joined("and"),
    "minimum": _joined("and"), "logical_or": _joined("or"), "__or__": _joined("or"),
    "bitwise_or": _joined("or"), "maximum": _joined("or"), "logical_not": _opposite, "__invert__": _opposite,
    "bitwise_not": _opposite, "matmul": _multiplied_matrices, "__matmul__": _multiplied_matrices,
    "bmm": _multiplied_matrices, "mm": _multiplied_matrices, "max_pool2d": maximum, "max_pool1d": maximum,
    "avg_pool2d": average, "avg_pool1d": average, "adaptive_avg_pool2d": adaptive,
    "adaptive_avg_pool1d": adaptive, "adaptive_max_pool2d": adaptive, "mean": _reduced, "sum": _reduced,
}  # fmt: skip
WEIGHING = frozenset({"conv1d", "conv2d", "linear"})


def _two(call: Call) -> tuple[Any, Any]:
    others = (*call.args, *(call.kwargs[key] for key in ("other", "mat2") if key in call.kwargs))
    return others[0], others[1]
