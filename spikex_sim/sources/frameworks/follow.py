"""Follows values through a PyTorch network while it runs, and says what each module gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks import operations as ops
from spikex_sim.sources.frameworks.cells import Cell
from spikex_sim.sources.frameworks.companions import Known, Lost, Read, Unfollowed, put, tag_of
from spikex_sim.sources.frameworks.layers import Call
from spikex_sim.sources.frameworks.populations import Populations
from spikex_sim.sources.frameworks.signals import Outside, Signal, is_light
from spikex_sim.sources.frameworks.values import Values


class Follower(Values):
    """Follows the values of a network that runs.

    Parameters
    ----------
    torch : module
        PyTorch.
    samples : int
        Samples ``B``.
    """

    def __init__(self, torch: Any, samples: int) -> None:
        super().__init__(torch, samples)
        self.populations = Populations(self)
        self.now: int | None = None
        """Time point, where the model is called for each."""
        self.quantised: Mapping[Signal, float] = {}
        """Inputs that become integers, and what 1 stands for."""
        self.limits: tuple[int, int] = (-128, 127)
        self._path: list[tuple[str, str]] = []
        self._closed = 0
        follower = self

        class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
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
            taken = self.tagged((*args, *kwargs.values()))
            closed = self._closed
            self._path.append(title)  # before anything is raised: `leave` is called all the same
            self._closed += whole
            if not closed and taken and module in refused:
                raise self.error(refused[module], title)

        def leave(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            self._path.pop()
            self._closed -= whole
            given = self.tensors(output)
            taken = self.tagged((*args, *kwargs.values()))
            if self._closed or not given:
                return
            with self.torch._C.DisableTorchFunction():
                try:
                    if cell is not None and taken:
                        tensors = self.tensors((args, tuple(kwargs.values())))
                        entered = next(one for one in tensors if tag_of(one) is not None)
                        self.populations.ran(title, module, cell, entered, given)
                    elif skipped:
                        self.left_out(title, taken, given)
                    elif taken:
                        harmless = all(map(is_light, self.signals(taken)))
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
        name = _name_of(func)
        tags = self.tagged((*args, *kwargs.values()))
        if not tags:
            return self._untagged(func, name, args, kwargs)
        if name in ops.CONSTANT:
            return func(*args, **kwargs)
        if name in ops.WEIGHING and self.quantised:
            args = (self._as_integers(args[0]), *args[1:])
        out = func(*args, **kwargs)
        lost = next((tag for tag in tags if isinstance(tag, Lost)), None)
        given = self.tensors(out) if name != "__setitem__" else [args[0]]
        title = self._path[-1] if self._path else ("model", "model")
        if lost is not None:
            if name in ops.WEIGHING:
                raise TraceError(lost.reason, field=lost.field)
            for one in given:
                put(one, lost)
            return out
        try:
            self._follow(func, name, args, kwargs, out, given, title)
        except Unfollowed as exc:
            if name in ops.WEIGHING or name == "batch_norm":
                raise self.error(str(exc), title) from None
            for one in given:
                harmless = name in ops.READ_OUT or all(map(is_light, self.signals(tags)))
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
            tags = self.tagged((args, kwargs))
            message = self._unknown(tags, title, f" computes '{name}' of")
            raise Unfollowed(message, nameless=True)

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
            tag = tag_of(target)
            zeros = self.torch.zeros(target.shape, dtype=self.torch.int32)
            made = [one.clone() for one in (tag if isinstance(tag, Known) else (zeros, zeros))]
            for which, one in enumerate(made):
                one[index] = part(value, which) if isinstance(value, self.torch.Tensor) else 0
            if bool((target * (made[0] == 0).to(target.device)).any()):
                raise Unfollowed("writes into constant numbers")
            put(target, Known(*made))
            return
        made = [func(*(part(one, which) for one in args), **{k: part(v, which) for k, v in kwargs.items()})
                for which in (0, 1)]  # fmt: skip
        self._give_all(given, made)

    def _give_all(self, given: list[Any], made: list[Any]) -> None:
        numbers, places = (self.tensors(one) for one in made)
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
        tensors = [one for one in self.tensors((args, kwargs)) if isinstance(tag_of(one), Known)]
        if any(isinstance(one, self.torch.nn.Parameter) for one in self.tensors((args, kwargs))):
            return False
        reads = [self.numbering.read(tag_of(one), self.samples) for one in tensors]  # type: ignore[arg-type]
        if not all(isinstance(one, Outside) for read in reads for one in read.delays):
            return False
        key = (title[0], name, self.constants(args, kwargs), *(tuple(read.delays) for read in reads))
        self.outside(key, title[0], reads[0], given)
        return True

    def left_out(self, title: tuple[str, str], taken: list[Any], given: list[Any]) -> None:
        """Say that what a module that is left out gives comes from outside."""
        known = next((tag for tag in taken if isinstance(tag, Known)), None)
        if known is not None:
            read = self.numbering.read(known, self.samples)
        elif self.now is not None:
            each = np.arange(self.samples)
            read = Read((self.samples,), np.full(self.samples, self.now + 1), each, each, {})
        elif any(isinstance(tag, Lost) and tag.harmless for tag in taken):
            for one in given:
                self.lose(one, "is left out, at the end", title, harmless=True)
            return
        else:
            raise Unfollowed("is left out, and takes nothing of which time points and samples are known")
        self.outside((title[0],), title[0], read, given)

    def _unknown(self, tags: list[Any], title: tuple[str, str], does: str = " takes") -> str:
        """Say that a module is not known that takes what others give."""
        names = ", ".join(sorted({one.name for one in self.signals(tags)})[:3])
        return (
            f"{does.strip()} what {names} gives and is no neuron that is known; if it spikes, describe it "
            f"(neurons, by its class {title[1]} or its name), else leave it out (skip)"
        )

    def _as_integers(self, tensor: Any) -> Any:
        """What enters, rounded to what its integers stand for."""
        tag = tag_of(tensor)
        if not isinstance(tag, Known):
            return tensor
        for signal, scale in self.quantised.items():
            first = self.numbering.start(signal)
            mine = (tag.number >= first) & (tag.number < first + signal.size)
            if bool(mine.any()):
                mine = mine.to(tensor.device)
                whole = self.torch.clamp(self.torch.round(tensor / scale), *self.limits)
                rounded = self.torch.where(mine, (whole * scale).to(tensor.dtype), tensor)
                put(rounded, tag)
                tensor = rounded
        return tensor


def _name_of(func: Any) -> str:
    """Name of a function or property, the same for one that works in place."""
    name: str = func.__name__
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    return name[:-1] if name.endswith("_") and not name.startswith("__") else name


def _off(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    training = args[2] if len(args) > 2 else kwargs.get("training", True)
    return not training


def _pads_zeros(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
    value = args[3] if len(args) > 3 else kwargs.get("value", 0)
    return mode == "constant" and not value
