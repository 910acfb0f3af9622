"""Neurons of NIR, which are differential equations, as steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.sources.frameworks.dynamics import Dynamics, PerChannel
from spikex_sim.sources.frameworks.nir_file import Node
from spikex_sim.sources.frameworks.signals import Numbers
from spikex_sim.trace.npyheader import shown

NEURONS = ("IF", "LIF", "CubaLIF")
_LEAK_DIGITS = 6
_TOLERANCE = 2e-7
"""Time constants are stored in float32: a leak this near a number of six decimals is that number."""
_SCALE_TOLERANCE = 1e-6
_SLOW = 1e-3
"""A time constant of more steps than one over this is likely in another unit."""


@dataclass(frozen=True)
class Equations:
    """Numbers of a node, for all it gives."""

    node: Node
    shape: tuple[int, ...]
    channels: int

    def spread(self, key: str, values: Numbers) -> NDArray[Any]:
        """A parameter of every neuron; a view, so that nothing large is made."""
        if values.size == 1:
            return np.broadcast_to(values.reshape(()), self.shape)
        if values.shape == (1, *self.shape):
            values = values[0]
        if values.shape != self.shape:
            raise self.node.error(f"has shape {list(values.shape)}, what it is for {list(self.shape)}", key)
        return values

    def by_channel(self, key: str, values: Numbers) -> Numbers:
        """A parameter of every channel."""
        each = self.spread(key, values)
        if values.size == 1:
            return np.full(self.channels, float(each.flat[0]))
        rows = each.reshape(self.channels, -1)
        if (rows != rows[:, :1]).any():
            raise self.node.error("differs within a channel; numbers here are shared by a channel", key)
        return np.asarray(rows[:, 0], np.float64).copy()

    def one(self, key: str, why: str) -> float:
        """A parameter that is the same for all."""
        values = self.spread(key, self.node.numbers(key))
        if (values != values.flat[0]).any():
            raise self.node.error(f"differs; {why}", key)
        return float(values.flat[0])


@dataclass
class Steps:
    """Steps of time, and what was assumed of them.

    Attributes
    ----------
    dt_s : float
        Length of one in seconds.
    reset : {"zero", "subtract"}
        What a spike does.
    notes : list of str
        What was assumed, and what looks wrong.
    """

    dt_s: float
    reset: Literal["zero", "subtract"]
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Note something, once."""
        if text not in self.notes:
            self.notes.append(text)

    def equations_of(self, equations: Equations) -> tuple[Dynamics, Numbers, Numbers]:
        """Equations of a node, and what its input is multiplied with and shifted by in each channel.

        ``LIF``: ``tau dv/dt = (v_leak - v) + R I`` by one Euler step, ``v += dt/tau (v_leak + R I - v)``.
        ``IF``: ``dv/dt = R I``, ``v += dt R I``; ``R = 1`` is one whole input, as in Norse. ``CubaLIF``:
        ``tau_syn dI/dt = w_in S - I`` first, and ``LIF`` with what comes of it, as in snnTorch.
        """
        node = equations.node
        threshold = _told(equations.by_channel("v_threshold", node.numbers("v_threshold")))
        if "v_reset" not in node.values:
            self.note(
                f"files of before NIR 1.0.6 do not say what a spike resets to: {self.reset} is taken (reset)"
            )
        elif (node.numbers("v_reset") != 0).any():
            raise node.error("must be 0: potentials here are reset to 0", "v_reset")
        r = equations.by_channel("r", node.numbers("r"))
        if node.kind == "IF":
            whole = r == 1
            if whole.any() and not whole.all():
                raise node.error("is 1, one whole input a spike, for some neurons alone", "r")
            scale = r if whole.all() else r * self.dt_s
            return Dynamics(threshold, 1.0, self.reset), _rounded(scale), np.zeros(len(scale))
        share = self._share(equations, "tau" if node.kind == "LIF" else "tau_mem")
        scale, current = r * share, None
        if node.kind == "CubaLIF":
            rise = self._share(equations, "tau_syn")
            current = _told(_leak(rise))
            scale = _rounded(r * share) * _rounded(equations.by_channel("w_in", node.numbers("w_in")) * rise)
        rest = equations.by_channel("v_leak", node.numbers("v_leak"))
        if current is not None and rest.any():
            raise node.error("must be 0 where there is a synaptic current", "v_leak")
        self._judge(node, share)
        dynamics = Dynamics(threshold, _told(_leak(share)), self.reset, current=current)
        return dynamics, _rounded(scale), rest * share

    def _share(self, equations: Equations, key: str) -> Numbers:
        """``dt / tau`` of every channel."""
        tau = equations.by_channel(key, equations.node.numbers(key))
        if tau.min() <= 0:
            raise equations.node.error(f"must be above 0, not {tau.min():g}", key)
        share: Numbers = self.dt_s / tau
        if share.max() > 1 + _SCALE_TOLERANCE:
            raise equations.node.error(
                f"is {tau.min():g} s, shorter than a step of {self.dt_s:g} s (dt)", key
            )
        return np.minimum(share, 1.0)

    def _judge(self, node: Node, share: Numbers) -> None:
        """Say what a neuron becomes, and whether its time constants look like those of another unit."""
        leak = float(_leak(share)[0])
        self.note(f"node {shown(node.name)} ({node.kind}): leak {leak:.6g}, dt/tau {share[0]:.4g}")
        if share.max() < _SLOW:
            self.note(
                f"WARNING: node {shown(node.name)}: tau is {1 / share.max():,.0f} steps of {self.dt_s:g} s, "
                "so that it may never spike; if tau is in steps or milliseconds, give dt in the same unit"
            )


def _leak(share: Numbers) -> Numbers:
    exact = 1 - share
    rounded = np.round(exact, _LEAK_DIGITS)
    return np.where(np.abs(rounded - exact) <= _TOLERANCE, rounded, exact)


def _rounded(scale: Numbers) -> Numbers:
    return np.where(np.abs(scale - 1) <= _SCALE_TOLERANCE, 1.0, scale)


def _told(values: Numbers) -> PerChannel:
    """One number where all are the same."""
    return float(values[0]) if (values == values[0]).all() else tuple(map(float, values))
