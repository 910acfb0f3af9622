"""Follows values through a PyTorch network while it runs, and says what each module gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks import operations as ops
from spikex_sim.sources.frameworks.cells import Cell
from spikex_sim.sources.frameworks.companions import Known, Lost, Numbering, Read, Unfollowed, put, tag_of
from spikex_sim.sources.frameworks.memory import Memory
from spikex_sim.sources.frameworks.operations import Call
from spikex_sim.sources.frameworks.populations import Populations
from spikex_sim.sources.frameworks.signals import (
    Affine,
    Joined,
    Numbers,
    Outside,
    Part,
    Pooled,
    Signal,
    Spiking,
    Step,
    Weighted,
    is_light,
)


class Follower:
    """What is known of the values of a network that runs.

    Parameters
    ----------
    torch : module
        PyTorch.
    samples : int
        Samples ``B``.
    """

    def __init__(self, torch: Any, samples: int) -> None:
        self.torch, self.samples = torch, samples
        self.numbering = Numbering()
        self.memory = Memory(samples)
        self.populations = Populations(self)
        self.lost: list[Lost] = []
        self.now: int | None = None
        """Time point, where the model is called for each."""
        self.quantised: Mapping[Signal, float] = {}
        """Inputs that become integers, and what 1 stands for."""
        self.limits: tuple[int, int] = (-128, 127)
        self._path: list[tuple[str, str]] = []
        self._closed = 0
        self._numbers: dict[int, tuple[Any, Any, Numbers]] = {}
        follower = self

        class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
            def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                return follower.called(func, args, kwargs or {})

        self._mode = Mode

    @contextmanager
    def following(
        self, model: Any, cells: Mapping[Any, Cell], skipped: set[Any], refused: Mapping[Any, str]
    ) -> Iterator[None]:
        """Follow what happens in a model: neurons as a whole, what is left out not at all."""
        self._path, self._closed, self.lost = [], 0, []
        self.memory.forget()
        self.populations.restart()
        with ExitStack() as stack:
            for path, module in model.named_modules():
                title = (path or type(module).__name__, type(module).__name__)
                enter, leave = self._hooks(title, module, cells.get(module), module in skipped, refused)
                for handle in (
                    module.register_forward_pre_hook(enter, with_kwargs=True),
                    module.register_forward_hook(leave, with_kwargs=True, always_call=True),
                ):
                    stack.callback(handle.remove)
            with self._mode():
                yield

    def _hooks(
        self,
        title: tuple[str, str],
        module: Any,
        cell: Cell | None,
        skipped: bool,
        refused: Mapping[Any, str],
    ) -> tuple[Callable[..., None], Callable[..., None]]:
        whole = cell is not None or skipped

        def enter(_: Any, args: Any, kwargs: Any) -> None:
            taken = self._tagged((*args, *kwargs.values()))
            if not self._closed and taken and module in refused:
                raise self.error(refused[module], title)
            self._path.append(title)
            self._closed += whole

        def leave(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            self._path.pop()
            self._closed -= whole
            given = self._tensors(output)
            taken = self._tagged((*args, *kwargs.values()))
            if self._closed or not given:
                return
            with self.torch._C.DisableTorchFunction():
                try:
                    if cell is not None and taken:
                        tensors = self._tensors((args, tuple(kwargs.values())))
                        entered = next(one for one in tensors if tag_of(one) is not None)
                        self.populations.ran(title, module, cell, entered, given)
                    elif skipped:
                        self.left_out(title, taken, given)
                    elif taken:
                        harmless = all(map(is_light, self._signals(taken)))
                        for one in given:
                            tag = tag_of(one)
                            if tag is None and one.dtype.is_floating_point:
                                self.lose(one, self._unknown(taken, title), title, harmless=harmless)
                            elif isinstance(tag, Lost) and tag.nameless and not harmless:
                                self.lost = [other for other in self.lost if other is not tag]
                                message = self._unknown(taken, title)
                                self.lose(one, message, title, harmless=tag.harmless, nameless=True)
                except Unfollowed as exc:
                    raise self.error(str(exc), title) from None

        return enter, leave

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of PyTorch, and find what comes of what is followed."""
        if self._closed:
            return func(*args, **kwargs)
        name = func.__name__
        if name == "__get__":
            name = getattr(getattr(func, "__self__", None), "__name__", name)
        if name.endswith("_") and not name.startswith("__"):
            name = name[:-1]
        tags = self._tagged((*args, *kwargs.values()))
        if not tags:
            return self._untagged(func, name, args, kwargs)
        if name in ops.CONSTANT:
            return func(*args, **kwargs)
        if name in ops.WEIGHING and self.quantised:
            args = (self._as_integers(args[0]), *args[1:])
        out = func(*args, **kwargs)
        lost = next((tag for tag in tags if isinstance(tag, Lost)), None)
        given = self._tensors(out) if name != "__setitem__" else [args[0]]
        given = [
            one for one in given if one.dtype.is_floating_point or one.dtype == self.torch.bool or not lost
        ]
        if not given:
            return out
        title = self._path[-1] if self._path else ("model", "model")
        if lost is not None and name not in ops.WEIGHING:
            for one in given:
                put(one, lost)
            return out
        try:
            if lost is not None:
                raise TraceError(lost.reason, field=lost.field)
            self._follow(func, name, args, kwargs, out, given, title)
        except Unfollowed as exc:
            if name in ops.WEIGHING or name == "batch_norm":
                raise self.error(str(exc), title) from None
            for one in given:
                harmless = exc.harmless or name in ops.READ_OUT
                self.lose(one, str(exc), title, harmless=harmless, nameless=exc.nameless)
        return out

    def _follow(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, given: list[Any],
        title: tuple[str, str],
    ) -> None:  # fmt: skip
        if name in ops.KEEPING:
            if "dropout" in name and tuple(out.shape) == tuple(args[0].shape) and not _off(args, kwargs):
                raise Unfollowed("is a dropout that is on")
            tag = next(tag_of(one) for one in args if isinstance(tag_of(one), Known))
            assert tag is not None
            for one in given:
                put(one, tag)
        elif name in ops.STRUCTURAL or (name == "pad" and _pads_zeros(args, kwargs)):
            made = [func(part, *args[1:], **kwargs) for part in tag_of(args[0])]  # type: ignore[union-attr]
            self._give_all(given, made)
        elif name in ops.GATHERING:
            self._gather(func, name, args, kwargs, given)
        elif name in ops.FOLLOWED:
            ops.FOLLOWED[name](self, Call(name, args, kwargs, out, title[0]))
        elif not self._outside_alone(name, args, kwargs, given, title):
            tags = self._tagged((args, kwargs))
            message = self._unknown(tags, title, f" computes '{name}' of")
            raise Unfollowed(message, harmless=all(map(is_light, self._signals(tags))), nameless=True)

    def _gather(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], given: list[Any]
    ) -> None:
        """Stack or join tensors, of which constant ones must be zeros."""

        def part(value: Any, which: int) -> Any:
            if isinstance(value, tuple | list):
                return type(value)(part(one, which) for one in value)
            if not isinstance(value, self.torch.Tensor):
                return value
            tag = tag_of(value)
            if isinstance(tag, Known):
                return tag[which].clone() if name == "__setitem__" else tag[which]
            if value.dtype.is_floating_point and not bool(value.any()):
                return self.torch.zeros(value.shape, dtype=self.torch.int32)
            raise Unfollowed("joins constant numbers with what is followed")

        if name == "__setitem__":
            target, index, value = args
            if not isinstance(tag_of(target), Known):
                if bool(target.detach().clone().index_put_((), target.new_zeros(())).any()):
                    raise Unfollowed("writes into constant numbers")
                zeros = self.torch.zeros(target.shape, dtype=self.torch.int32)
                put(target, Known(zeros, zeros.clone()))
            tag = tag_of(target)
            assert isinstance(tag, Known)
            made = [one.clone() for one in tag]
            for which, one in enumerate(made):
                one[index] = part(value, which) if isinstance(value, self.torch.Tensor) else 0
            put(target, Known(*made))
            return
        made = [func(*(part(one, which) for one in args), **{k: part(v, which) for k, v in kwargs.items()})
                for which in (0, 1)]  # fmt: skip
        self._give_all(given, made)

    def _give_all(self, given: list[Any], made: list[Any]) -> None:
        numbers, places = (self._tensors(one) for one in made)
        for tensor, number, place in zip(given, numbers, places, strict=True):
            put(tensor, Known(number, place))

    def _untagged(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        if name in ops.WEIGHING and self._path and bool(args[0].any()):
            self.lose(out, "takes numbers that do not come from the inputs", self._path[-1], harmless=False)
        return out

    def _outside_alone(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: list[Any],
        title: tuple[str, str],
    ) -> bool:
        """Whether all that is taken comes from outside, and what comes of it does too."""
        tensors = [one for one in self._tensors((args, kwargs)) if isinstance(tag_of(one), Known)]
        if any(isinstance(one, self.torch.nn.Parameter) for one in self._tensors((args, kwargs))):
            return False
        reads = [self.numbering.read(tag_of(one), self.samples) for one in tensors]  # type: ignore[arg-type]
        if not all(isinstance(one, Outside) for read in reads for one in read.delays):
            return False
        key = (title[0], name, self._constants(args, kwargs), *(tuple(read.delays) for read in reads))
        self.outside(key, title[0], reads[0], given)
        return True

    def outside(self, key: Any, name: str, read: Read, given: list[Any]) -> None:
        """Say that tensors come from outside, laid out as what was read for them."""
        lead = len(read.lead)
        while lead and read.lead[lead - 1] == 1:
            lead -= 1
        for place, one in enumerate(given):
            if tuple(one.shape[:lead]) != read.lead[:lead]:
                raise Unfollowed(
                    f"gives {list(one.shape)}, in which time points and samples are not to be found"
                )
            size = tuple(one.shape[lead:])
            shape = (*size, 1, 1)[:3] if len(size) in (1, 2) else size if len(size) == 3 else None
            shape = shape or (int(np.prod(size)), 1, 1)
            signal = self.numbering.make(Outside, name, shape, ("outside", key, place))
            count = int(np.prod(read.lead[:lead]))
            self.give(
                one, signal, Read(read.lead[:lead], read.late[:count], read.sample[:count], read.number, {})
            )

    def left_out(self, title: tuple[str, str], taken: list[Any], given: list[Any]) -> None:
        """Say that what a module that is left out gives comes from outside."""
        known = next((tag for tag in taken if isinstance(tag, Known)), None)
        if known is not None:
            read = self.numbering.read(known, self.samples)
        elif self.now is not None:
            each = np.arange(self.samples)
            read = Read((self.samples,), np.full(self.samples, self.now + 1), each, each, {})
        else:
            raise Unfollowed("is left out, and takes nothing of which time points and samples are known")
        self.outside((title[0],), title[0], read, given)

    def input(self, tensor: Any, name: str, axes: str, time: int | None) -> None:
        """Say what an input of the model is; ``time``: of which time point, where it has no axis for it."""
        shape = tuple(tensor.shape)
        features = tuple(side for side, axis in zip(shape, axes, strict=True) if axis not in "TB")
        signal = self.numbering.make(Outside, name, (*features, 1, 1)[:3], ("input",))
        number: Any = np.arange(signal.size, dtype=np.int32).reshape(features) + self.numbering.start(signal)
        places: Any = np.zeros((1,) * len(shape), np.int32)
        for position, axis in enumerate(axes):
            along = np.arange(shape[position], dtype=np.int32)
            along = along.reshape(tuple(-1 if k == position else 1 for k in range(len(shape))))
            places = places + (along if axis == "B" else (along + 1) * self.samples if axis == "T" else 0)
        places = places + (0 if time is None else (time + 1) * self.samples)
        for position, axis in enumerate(axes):
            number = np.expand_dims(number, position) if axis in "TB" else number
        from_numpy = self.torch.from_numpy
        put(tensor, Known(from_numpy(number.astype(np.int32)).expand(shape),
                          from_numpy(places.astype(np.int32)).expand(shape)))  # fmt: skip

    def read(self, tensor: Any, lead: int | None = None) -> Read:
        """Find what a tensor holds, and keep what enters."""
        tag = tag_of(tensor)
        if isinstance(tag, Lost):
            raise TraceError(tag.reason, field=tag.field)
        if tag is None:
            raise Unfollowed("takes numbers that do not come from the inputs")
        read = self.numbering.read(tag, self.samples, lead)
        for signal in read.delays:
            if isinstance(signal, Outside):
                self.memory.keep_elements(signal, self.numbering.start(signal), tag, tensor)
        return read

    def give(self, out: Any, signal: Signal, read: Read, index: NDArray[Any] | None = None) -> None:
        """Say that a tensor holds a signal, its elements in an order."""
        shape = tuple(out.shape)
        features = shape[len(read.lead) :]
        order = np.arange(signal.size) if index is None else index
        number = (order.reshape(features) + self.numbering.start(signal)).astype(np.int32)
        place = (read.late * self.samples + read.sample).astype(np.int32)
        place = place.reshape(*read.lead, *(1,) * len(features))
        from_numpy = self.torch.from_numpy
        put(out, Known(from_numpy(number).expand(shape), from_numpy(place).expand(shape)))
        if isinstance(signal, Spiking | Pooled) or signal in self.memory.wanted:
            self.memory.keep(signal, read, order, out)

    def repeat(self, tensor: Any, out: Any, times: tuple[int, ...]) -> None:
        """Say that a tensor holds each element of another one several times along its last axes."""
        made = list(tag_of(tensor))  # type: ignore[arg-type]
        for axis, count in enumerate(times, -len(times)):
            made = [one.repeat_interleave(count, axis) for one in made]
        put(out, Known(*made))

    def pair(
        self, one: Any, other: Any, *, served: bool = False
    ) -> tuple[tuple[Signal, int], tuple[Signal, int], Read, NDArray[Any]]:
        """Two tensors element by element: signals and delays, in the order of the first."""
        tags = []
        shapes = self.torch.broadcast_shapes(one.shape, other.shape)
        for tensor in (one, other):
            self.read(tensor)
            tag = tag_of(tensor)
            assert isinstance(tag, Known)
            tags.append(Known(*(part.expand(shapes) for part in tag)))
        lead = [len(self.numbering.read(tag, self.samples).lead) for tag in tags]
        a, b = (self.numbering.read(tag, self.samples, min(lead)) for tag in tags)
        if (a.sample != b.sample).any():
            raise Unfollowed("takes two samples at once")
        if tuple(one.shape) != tuple(shapes):
            a, b = b, a
        left, index = self.numbering.whole(a.number)
        canonical = np.empty(left.size, np.int64)
        canonical[index.ravel()] = b.number.ravel()
        right = self._in_order(canonical.reshape(left.shape), served)
        late = np.maximum(a.late, b.late)
        delays = []
        for read in (a, b):
            behind = (late - read.late)[read.late > 0]
            if len(behind) and (behind != behind[0]).any():
                raise Unfollowed("takes different time points at once")
            delays.append((int(behind[0]) if len(behind) else 0) + max(read.delays.values()))
        read = Read(a.lead, late, a.sample, a.number, {})
        return (left, delays[0]), (right, delays[1]), read, index

    def _in_order(self, number: NDArray[Any], served: bool) -> Signal:
        """Signal whose elements are in its own order, or that serves several channels or positions each."""
        if served:
            single = number.reshape(len(number), -1)
            if single.shape[1] > 1 and (single == single[:, :1]).all():
                number = number[:, :1, :1]
            for times in range(len(number), 1, -1):
                if len(number) % times == 0 and (number.reshape(-1, times, *number.shape[1:]) ==
                                                 number[::times][:, None]).all():  # fmt: skip
                    number = number[::times]
                    break
        signal, index = self.numbering.whole(number)
        if (index.ravel() != np.arange(signal.size)).any():
            raise Unfollowed("takes two maps whose elements are in different orders")
        return signal

    def join(self, call: Call, how: str, operands: list[Signal], read: Read, index: NDArray[Any]) -> None:
        """Say that a tensor holds spikes joined element by element."""
        if not all(one.spiking for one in operands):
            odd = next(one for one in operands if not one.spiking)
            raise Unfollowed(f"multiplies or joins what {odd.name} gives, which are no spikes")
        shape = max((one.shape for one in operands), key=np.prod)
        self.give(
            call.out,
            self.numbering.make(Joined, call.path, shape, how=how, operands=tuple(operands)),
            read,
            index,
        )

    def affine(self, call: Call, tensor: Any, steps: tuple[tuple[str, Numbers], ...]) -> None:
        """Scale and shift, by a number for each channel."""
        read = self.read(tensor)
        lead = len(read.lead)
        if all(isinstance(one, Outside) for one in read.delays):
            key = (call.path, call.name, self._constants(call.args, call.kwargs), tuple(read.delays))
            self.outside(key, call.path, read, [call.out])
            return
        signal, index = self.numbering.whole(read.number)
        if any(read.delays.values()):
            raise Unfollowed("scales different time points")
        found: list[Step] = []
        for how, numbers in steps:
            given = np.broadcast_to(numbers, tuple(call.out.shape))
            if tuple(call.out.shape) != tuple(tensor.shape) or any(
                given.shape[axis] > 1 and given.strides[axis] and (given != given.take([0], axis)).any()
                for axis in range(lead)
            ):
                raise Unfollowed("scales or shifts by other numbers at other time points or samples")
            each = np.empty(signal.size)
            each[index.ravel()] = given[(0,) * lead].ravel()
            each = each.reshape(signal.shape[0], -1)
            if (each != each[:, :1]).any():
                raise Unfollowed("scales or shifts by numbers that differ within a channel")
            if (each[:, 0] != (how == "scale")).any():
                found.append((how, each[:, 0].copy()))  # type: ignore[arg-type]
        if found:
            signal = self.numbering.make(Affine, call.path, signal.shape, source=signal, steps=tuple(found))
        self.give(call.out, signal, read, index)

    def weighted(
        self,
        path: str,
        weight: Any,
        bias: Any,
        parts: tuple[Part, ...],
        kind: Any,
        plane: tuple[int, int],
        **more: Any,
    ) -> Signal:
        """Signal of a convolution or a linear layer."""
        told = [(part.source, part.delay, part.weight.shape) for part in parts]
        same = (self._identity(weight), self._identity(bias), *told, *more.values())
        outputs = int(weight.shape[0])
        offset = np.zeros(outputs) if bias is None else self.numbers(bias)
        return self.numbering.make(
            Weighted, path, (outputs, *plane), same, kind=kind, parts=parts, bias=offset, **more
        )

    def _identity(self, tensor: Any) -> Any:
        if tensor is None:
            return None
        numbers = self.numbers(tensor)
        return id(tensor) if id(tensor) in self._numbers else numbers.tobytes()

    def kept(self, tensor: Any, what: str, derived: Any) -> Any:
        """A tensor made of another one, the same each time."""
        key = (id(tensor), what)
        if key not in self._numbers:
            self._numbers[key] = (tensor, derived, self.numbers(derived))  # type: ignore[index]
        return self._numbers[key][1]  # type: ignore[index]

    def numbers(self, value: Any) -> Numbers:
        """Numbers of a constant tensor, float64; of parameters kept."""
        if not isinstance(value, self.torch.Tensor):
            return np.asarray(value, np.float64)
        if tag_of(value) is not None:
            raise Unfollowed("computes weights from what is followed")
        if id(value) in self._numbers and self._numbers[id(value)][0] is value:
            return self._numbers[id(value)][2]
        made = np.asarray(value.detach().cpu().double().numpy(), np.float64)
        if isinstance(value, self.torch.nn.Parameter):
            self._numbers[id(value)] = (value, value, made)
        return made

    def _unknown(self, tags: list[Any], title: tuple[str, str], does: str = " takes") -> str:
        """Say that a module is not known that takes what others give."""
        names = ", ".join(sorted({one.name for one in self._signals(tags)})[:3])
        return (
            f"{does.strip()} what {names} gives and is no neuron that is known; if it spikes, describe it (neurons, "
            f"by its class {title[1]} or its name), else leave it out (skip)"
        )

    def lose(
        self, tensor: Any, message: str, title: tuple[str, str], *, harmless: bool, nameless: bool = False
    ) -> None:
        """Follow a tensor no longer; ``nameless``: the module around may say better what it is."""
        path, kind = title
        lost = Lost(message, f"{path} ({kind})", harmless, nameless)
        self.lost.append(lost)
        put(tensor, lost)

    def error(self, message: str, title: tuple[str, str]) -> TraceError:
        """An error that names a module."""
        return TraceError(message, field=f"{title[0]} ({title[1]})")

    def _as_integers(self, tensor: Any) -> Any:
        """What enters, rounded to what its integers stand for."""
        tag = tag_of(tensor)
        if not isinstance(tag, Known):
            return tensor
        for signal, scale in self.quantised.items():
            first = self.numbering.start(signal)
            mine = (tag.number >= first) & (tag.number < first + signal.size)
            if bool(mine.any()):
                whole = self.torch.clamp(self.torch.round(tensor / scale), *self.limits)
                rounded = self.torch.where(mine, (whole * scale).to(tensor.dtype), tensor)
                put(rounded, tag)
                tensor = rounded
        return tensor

    def _tensors(self, value: Any) -> list[Any]:
        if isinstance(value, self.torch.Tensor):
            return [value]
        if isinstance(value, Mapping):
            value = tuple(value.values())
        if isinstance(value, tuple | list):
            return [one for item in value for one in self._tensors(item)]
        return []

    def _signals(self, tags: list[Any]) -> list[Signal]:
        """Signals that tensors are of, one each."""
        highest = [int(tag.number.max()) for tag in tags if isinstance(tag, Known)]
        return [self.numbering.at(number) for number in highest if number]

    def _constants(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """What else a function takes than what is followed."""
        said = []
        for one in (*args, *kwargs.values()):
            if not isinstance(one, self.torch.Tensor):
                said.append(repr(one)[:80])
            elif tag_of(one) is None:
                said.append(str(hash(self.numbers(one).tobytes())))
        return " ".join(said)

    def _tagged(self, value: Any) -> list[Any]:
        return [tag for one in self._tensors(value) if (tag := tag_of(one)) is not None]


def _off(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    training = args[2] if len(args) > 2 else kwargs.get("training", True)
    return not training


def _pads_zeros(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    value = args[3] if len(args) > 3 else kwargs.get("value", 0)
    return mode == "constant" and not value
