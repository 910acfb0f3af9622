"""Values of a network that runs: what tensors hold, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.companions import Known, Lost, Numbering, Read, Unfollowed, put, tag_of
from spikex_sim.sources.frameworks.memory import Memory
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
)

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.layers import Call


class Values:
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
        self.lost: list[Lost] = []
        self.means: dict[Signal, int] = {}
        """Averages over time, and over how many time points."""
        self._numbers: dict[Any, tuple[Any, Any, Numbers]] = {}

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
        order = self.numbering.time_first(tag_of(tensor))
        if order is not None:
            self._affine_turned(call, tensor, steps, order)
            return
        read = self.read(tensor)
        lead = len(read.lead)
        if all(isinstance(one, Outside) for one in read.delays):
            key = (call.path, call.name, self.constants(call.args, call.kwargs), tuple(read.delays))
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
            each: Any = np.empty(signal.size)
            each[index.ravel()] = given[(0,) * lead].ravel()
            each = each.reshape(signal.shape[0], -1)
            if (each != each[:, :1]).any():
                raise Unfollowed("scales or shifts by numbers that differ within a channel")
            if (each[:, 0] != (how == "scale")).any():
                found.append((how, each[:, 0].copy()))  # type: ignore[arg-type]
        if found:
            signal = self.numbering.make(Affine, call.path, signal.shape, source=signal, steps=tuple(found))
        self.give(call.out, signal, read, index)

    def _affine_turned(
        self, call: Call, tensor: Any, steps: tuple[tuple[str, Numbers], ...], order: tuple[int, ...]
    ) -> None:
        """Scale and shift a tensor whose axes of time points and samples are not its first ones."""
        turned, out = tensor.permute(order), call.out.permute(order)
        put(turned, Known(*(part.permute(order) for part in tag_of(tensor))))  # type: ignore[union-attr]
        shape = tuple(call.out.shape)
        each = tuple((how, np.broadcast_to(numbers, shape).transpose(order)) for how, numbers in steps)
        self.affine(replace(call, out=out), turned, each)
        back = tuple(np.argsort(order))
        put(call.out, Known(*(part.permute(back) for part in tag_of(out))))  # type: ignore[union-attr]

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
            self._numbers[key] = (tensor, derived, self.numbers(derived))
        return self._numbers[key][1]

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

    def tensors(self, value: Any) -> list[Any]:
        """Tensors in an argument or result."""
        if isinstance(value, self.torch.Tensor):
            return [value]
        if isinstance(value, Mapping):
            value = tuple(value.values())
        if isinstance(value, tuple | list):
            return [one for item in value for one in self.tensors(item)]
        return []

    def signals(self, tags: list[Any]) -> list[Signal]:
        """Signals that tensors are of, one each."""
        highest = [int(tag.number.max()) for tag in tags if isinstance(tag, Known)]
        return [self.numbering.at(number) for number in highest if number]

    def constants(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """What else a function takes than what is followed."""
        said = []
        for one in (*args, *kwargs.values()):
            if not isinstance(one, self.torch.Tensor):
                said.append(repr(one)[:80])
            elif tag_of(one) is None:
                said.append(str(hash(self.numbers(one).tobytes())))
        return " ".join(said)

    def tagged(self, value: Any) -> list[Any]:
        """What is known of the tensors in an argument."""
        return [tag for one in self.tensors(value) if (tag := tag_of(one)) is not None]
