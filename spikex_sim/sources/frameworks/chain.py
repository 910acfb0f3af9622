"""Modules that ran one after the other become the layers of a trace, or a reason why they cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.sources.frameworks.seen import Horizon, Seen
from spikex_sim.sources.frameworks.synapse import Synapse, pool_layer
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace


class Chain:
    """Layers as they grow, module by module.

    A module belongs after another one if it takes what that one gives, which fingerprints tell. Between
    a weighted sum and its neurons nothing else may stand; spikes that come from elsewhere than the layer
    before are recorded, and the trace is then open-loop there.
    """

    def __init__(self, where: str, horizon: Horizon, *, nearest: bool) -> None:
        self.where, self.horizon, self.nearest = where, horizon, nearest
        self.layers: list[Layer] = []
        self.inputs: dict[int, PackedSpikes] = {}
        self.weights: dict[int, NDArray[Any]] = {}
        self.biases: dict[int, NDArray[Any]] = {}
        self._others: list[Seen] = []
        self._elsewhere: list[str] = []
        """Layers whose spikes come from elsewhere."""
        self._open: tuple[Seen, Synapse] | None = None
        """Weighted sums that still want their neurons."""
        self._sums: list[bytes] = []
        self._spikes: list[bytes] = []
        self._pool: tuple[Seen, float] | None = None
        """An average pooling that still wants its layer, and its divisor."""

    def add(self, seen: Seen) -> None:
        """Take the next module."""
        if seen.role == "other":
            if seen.taken != seen.given:
                self._others.append(seen)
            return
        if len(seen.taken) != self.horizon.timesteps or len(seen.given) != self.horizon.timesteps:
            raise self._error(seen, f"ran at {len(seen.taken)} of {self.horizon.timesteps} time points")
        getattr(self, f"_{seen.role}")(seen)

    def trace(
        self, *, name: str, source: str, label: int | tuple[int, ...] | None, batched: bool, closed_loop: bool
    ) -> Trace:
        """Make the trace of what was added."""
        if self._open is not None:
            raise self._unfinished(self._open[0])
        if self._pool is not None:
            raise self._error(self._pool[0], "is average pooling without a layer after it to be folded into")
        if not self.layers:
            raise TraceError("has no Conv2d or Linear with neurons after it", where=self.where)
        if closed_loop and self._elsewhere:
            raise TraceError(
                "takes other spikes than the layer before it gives, so the trace cannot be closed-loop",
                where=self.where,
                field=self._elsewhere[0],
            )
        made = Trace(
            name=name,
            timesteps=self.horizon.timesteps,
            layers=tuple(self.layers),
            inputs={0: self.inputs[0]} if closed_loop else self.inputs,
            weights=self.weights,
            biases=self.biases,
            samples=self.horizon.samples,
            batched=batched,
            label=label,
            source=source,
            where=self.where,
        )
        plan_stages(made)
        return made

    def _synapse(self, seen: Seen) -> None:
        if self._open is not None:
            raise self._unfinished(self._open[0])
        synapse = synapse_of(seen, self.where)
        if self._pool is not None:
            pool, divisor = self._pool
            if seen.taken != pool.given:
                raise self._error(seen, f"does not take what the average pooling {pool.name} before it gives")
            synapse, self._pool = synapse.taking_scaled(1 / divisor), None
        else:
            self._record(seen, len(self.layers))
        self._open, self._sums = (seen, synapse), seen.given

    def _norm(self, seen: Seen) -> None:
        if self._open is None or seen.taken != self._sums:
            if self._open is None and not self.layers:
                return  # before the first layer recorded
            raise self._undeclared() or self._error(
                seen, "is not right after a convolution, into which it could be folded"
            )
        module = seen.module
        if module.running_mean is None or module.running_var is None:
            raise self._error(seen, "keeps no running statistics, so that it depends on the batch")
        mean, variance = _numbers(module.running_mean), _numbers(module.running_var)
        gain = np.ones_like(mean) if module.weight is None else _numbers(module.weight)
        offset = np.zeros_like(mean) if module.bias is None else _numbers(module.bias)
        conv, synapse = self._open
        self._open = conv, synapse.normalised(mean, variance, float(module.eps), gain, offset)
        self._sums = seen.given

    def _neuron(self, seen: Seen) -> None:
        if self._open is None:
            if not self.layers:
                return  # an encoder before the first layer recorded
            raise self._error(seen, "has no Conv2d or Linear right before it")
        synapse = self._open[1]
        if seen.taken != self._sums:
            raise self._error(
                seen, f"takes something else than {synapse.name} gives{self._between(self._sums)}"
            )
        dynamics = seen.dynamics
        assert dynamics is not None
        if dynamics.differs and not self.nearest:
            raise self._error(
                seen, f"{dynamics.differs}; the nearest there is can be taken instead (nearest)"
            )
        index = len(self.layers)
        synapse = synapse.scaled(dynamics.input_scale)
        self.layers.append(synapse.layer(dynamics.neuron, self.where))
        self.weights[index], bias = synapse.float32()
        if bias is not None:
            self.biases[index] = bias
        self._open, self._spikes = None, seen.given

    def _maxpool(self, seen: Seen) -> None:
        if self._passes_by(seen):
            return
        module = seen.module
        if _pair(module.dilation) != (1, 1) or module.ceil_mode or module.return_indices:
            raise self._error(
                seen, "has dilation, ceil_mode or return_indices, which have no counterpart here"
            )
        kernel, stride, padding = _windows(module)
        index = len(self.layers)
        linked = bool(self.layers) and seen.taken == self._spikes
        if not linked:
            self._record(seen, index)
        self.layers.append(pool_layer(seen.name, "maxpool", seen.shape, kernel, stride, padding, self.where))
        self._spikes = seen.given

    def _avgpool(self, seen: Seen) -> None:
        if self._passes_by(seen):
            return
        module = seen.module
        if hasattr(module, "output_size"):
            kernel = stride = self._adaptive(seen)
            padding, divisor = (0, 0), kernel[0] * kernel[1]
        else:
            kernel, stride, padding = _windows(module)
            if module.ceil_mode or (padding != (0, 0) and not module.count_include_pad):
                raise self._error(seen, "has ceil_mode or leaves padding out of its averages")
            divisor = module.divisor_override or kernel[0] * kernel[1]
        self._record(seen, len(self.layers))
        self.layers.append(pool_layer(seen.name, "avgpool", seen.shape, kernel, stride, padding, self.where))
        self._pool = seen, float(divisor)

    def _adaptive(self, seen: Seen) -> tuple[int, int]:
        size = seen.module.output_size
        sides = [size, size] if isinstance(size, int) else list(size)
        kernel = []
        for side, given in zip(sides, seen.shape[1:], strict=True):
            if side is not None and given % side:
                raise self._error(seen, f"pools {given} pixels to {side}, in windows of different sizes")
            kernel.append(1 if side is None else given // side)
        return kernel[0], kernel[1]

    def _passes_by(self, seen: Seen) -> bool:
        """Whether a pooling layer is before the first layer recorded, not of spikes, and so not recorded."""
        if self._open is not None:
            raise self._undeclared() or self._error(
                seen, f"pools what {self._open[0].name} gives, which are no spikes; pool after the neurons"
            )
        if self._pool is not None:
            raise self._error(
                seen, f"comes after the average pooling {self._pool[0].name}; a layer must come between"
            )
        return not self.layers and seen.packed is None

    def _record(self, seen: Seen, index: int) -> None:
        """Keep the spikes that enter a layer."""
        if seen.packed is None:
            image = ", as where an image enters at every time point" if not self.layers else ""
            odd = f"takes {seen.analog:.4g}, which is no spike{image}{self._between(self._spikes)}"
            raise self._error(
                seen, f"{odd}; leave {seen.name} out (skip), and the trace has the layers after it"
            )
        if index and seen.taken != self._spikes:
            self._elsewhere.append(seen.name)
        self.inputs[index] = seen.packed

    def _unfinished(self, seen: Seen) -> TraceError:
        return self._undeclared() or self._error(
            seen,
            "has no neurons right after it; describe a spiking module of your own (neurons), or leave "
            f"{seen.name} out (skip)",
        )

    def _undeclared(self) -> TraceError | None:
        """Error that names the module that took weighted sums and is no neuron; None without one."""
        if self._open is None or (found := self._taking(self._sums)) is None:
            return None
        name, kind = self._open[0].name, type(found.module).__name__
        return self._error(
            found,
            f"takes what {name} gives and is no neuron that is known; if it spikes, describe it (neurons, by "
            f"its class {kind} or its name), else leave {name} out (skip)",
        )

    def _between(self, given: list[bytes]) -> str:
        """What is known of a module that takes some values and changes them."""
        found = self._taking(given)
        return "" if found is None else f": {found.title} comes between"

    def _taking(self, given: list[bytes]) -> Seen | None:
        return next((other for other in self._others if given and other.taken == given), None)

    def _error(self, seen: Seen, message: str) -> TraceError:
        return TraceError(message, where=self.where, field=seen.title)


def synapse_of(seen: Seen, where: str) -> Synapse:
    """Weights and geometry of a Conv2d or Linear, refused where a layer here has no such thing."""
    module = seen.module

    def refused(reason: str) -> TraceError:
        return TraceError(f"{reason}, which has no counterpart here", where=where, field=seen.title)

    weight = _numbers(module.weight)
    bias = np.zeros(len(weight)) if module.bias is None else _numbers(module.bias)
    if weight.ndim == 2:
        return Synapse(seen.name, "linear", seen.shape, weight, bias)
    if module.groups != 1:
        raise refused(f"has {module.groups} groups")
    if _pair(module.dilation) != (1, 1):
        raise refused("has dilation")
    if module.padding_mode != "zeros":
        raise refused(f"pads with {module.padding_mode}")
    if isinstance(module.padding, str):
        kernel = weight.shape[2:]
        if module.padding == "same" and not all(side % 2 for side in kernel):
            raise refused("pads one side more than the other")
        padding = tuple(side // 2 if module.padding == "same" else 0 for side in kernel)
    else:
        padding = _pair(module.padding)
    stride = _pair(module.stride)
    return Synapse(seen.name, "conv", seen.shape, weight, bias, stride, (padding[0], padding[1]))


def _windows(module: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    kernel = _pair(module.kernel_size)
    return kernel, kernel if module.stride is None else _pair(module.stride), _pair(module.padding)


def _pair(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    return int(pair[0]), int(pair[-1])


def _numbers(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().double().numpy(), np.float64)
