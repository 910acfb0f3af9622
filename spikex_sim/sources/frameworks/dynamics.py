"""Neurons of training frameworks, told in the terms of this simulator (Section 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, Literal

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.workload import Neuron


@dataclass(frozen=True)
class Dynamics:
    """What a spiking module computes at a time point, in float32.

    ``v = leak * u + input_scale * current``; it spikes if ``v`` is above ``threshold`` (or has reached it);
    then ``u`` is 0, or ``v - threshold``, else ``v``. The current is what the layer before it gives.

    Attributes
    ----------
    threshold : float
        In units of the scaled current.
    leak : float
        Factor on the potential, 0 to 1.
    reset : {"zero", "subtract"}
        Potential after a spike.
    input_scale : float
        Factor on the current; goes into weights and bias.
    fires : {"above", "at"}
        Whether a potential equal to the threshold spikes ("at"). It becomes a threshold one float32 lower.
    differs : str
        In what the module differs from this description; empty where it is exact.
    """

    threshold: float
    leak: float = 1.0
    reset: Literal["zero", "subtract"] = "zero"
    input_scale: float = 1.0
    fires: Literal["above", "at"] = "above"
    differs: str = ""

    def __post_init__(self) -> None:
        for key in ("threshold", "leak", "input_scale"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
                raise TraceError(f"must be a finite number, not {value!r:.40}", field=f"neuron.{key}")
            object.__setattr__(self, key, float(value))
        if not 0 <= self.leak <= 1:
            raise TraceError(f"must be 0 to 1, not {self.leak:g}", field="neuron.leak")
        if self.reset not in ("zero", "subtract"):
            raise TraceError(f"must be zero or subtract, not {self.reset!r:.40}", field="neuron.reset")
        if self.fires not in ("above", "at"):
            raise TraceError(f"must be above or at, not {self.fires!r:.40}", field="neuron.fires")
        if self.fires == "at" and self.reset == "subtract" and not self.differs:
            reason = "it spikes at the threshold and subtracts it, while neurons here spike above theirs"
            object.__setattr__(self, "differs", reason)

    @property
    def neuron(self) -> Neuron:
        """The neuron of a trace; ``input_scale`` is left to the weights."""
        threshold = np.float32(self.threshold)
        if self.fires == "at":
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        return Neuron(threshold=float(threshold), leak=float(self.leak), reset=self.reset, datapath="float")


def described(given: Dynamics | Mapping[str, Any]) -> Dynamics:
    """Take a description as it is, or make one of a mapping with the same keys."""
    if isinstance(given, Dynamics):
        return given
    keys = ("threshold", "leak", "reset", "input_scale", "fires")
    if not isinstance(given, Mapping) or set(given) - set(keys) or "threshold" not in given:
        raise TraceError(f"wants threshold, and any of {', '.join(keys[1:])}", field="neurons")
    return Dynamics(**given)


def dynamics_of(module: Any) -> Dynamics | None:
    """Describe a spiking module of snnTorch, SpikingJelly or Norse; None for any other module.

    Raises
    ------
    TraceError
        If the module spikes, but by rules that have no counterpart here; without a place.
    """
    kind = type(module)
    key = (kind.__module__.partition(".")[0], kind.__name__)
    if key in _NEVER:
        raise TraceError(_NEVER[key])
    rule = _RULES.get(key)
    return None if rule is None else rule(module)


def _leaky(module: Any) -> Dynamics:
    """snnTorch: ``U = beta U + I``, spike above the threshold, by default reset a step later."""
    for attribute, usual in (("inhibition", False), ("state_quant", False)):
        if bool(getattr(module, attribute)) != usual:
            raise TraceError(f"has {attribute}, which has no counterpart here")
    if _one(module.graded_spikes_factor, "graded_spikes_factor") != 1:
        raise TraceError("has graded spikes; a trace holds binary ones")
    threshold = _one(module.threshold, "threshold")
    leak = min(max(_one(module.beta, "beta"), 0.0), 1.0)
    if module.reset_mechanism == "none":
        raise TraceError("is never reset, which has no counterpart here")
    if module.reset_mechanism == "zero":
        if threshold < 0 and not module.reset_delay:
            raise TraceError("has a negative threshold, below which reset_delay=False does not reset")
        return Dynamics(threshold, leak)
    if module.reset_delay:
        late = "it subtracts the threshold a step late, after the leak (reset_delay)"
        return Dynamics(threshold, leak, "subtract", differs="" if leak == 1 else late)
    twice = "with reset_delay=False, a potential still above the threshold after its reset is reset again"
    return Dynamics(threshold, leak, "subtract", differs=f"{twice}, before it can spike")


def _jelly(module: Any, decay: float | None, *, scaled: bool) -> Dynamics:
    """SpikingJelly: ``H = V + decay (X - V)`` or ``V - decay V + X``, spike at the threshold."""
    if module.v_reset not in (None, 0.0):
        raise TraceError(f"resets to {module.v_reset:g}; neurons here reset to 0 (v_reset=0.0)")
    share = decay or 0.0
    return Dynamics(
        float(module.v_threshold),
        1.0 - share,
        "subtract" if module.v_reset is None else "zero",
        input_scale=share if scaled else 1.0,
        fires="at",
    )


def _parametric(module: Any) -> Dynamics:
    share = 1 / (1 + float(np.exp(-_one(module.w, "w"))))
    return _jelly(module, share, scaled=bool(module.decay_input))


def _norse(module: Any, decay: float) -> Dynamics:
    """Norse: ``v + decay (I + v_leak - v)``, spike above the threshold."""
    p = module.p
    for key in ("v_leak", "v_reset"):
        if _one(getattr(p, key, 0.0), key) != 0:
            raise TraceError(
                f"has {key} {_one(getattr(p, key), key):g}; potentials here rest at and reset to 0"
            )
    if p.method == "logistic":
        raise TraceError("spikes at random (method logistic)")
    name = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
    if name not in ("reset_value", "reset_subtract"):
        raise TraceError(f"has a reset method of its own, {name}")
    if not 0 < decay <= 1:
        raise TraceError(f"leaks by {decay:g} a step (dt * tau_mem_inv); neurons here by 0 to 1")
    return Dynamics(
        _one(p.v_th, "v_th"),
        1.0 - decay,
        "subtract" if name == "reset_subtract" else "zero",
        input_scale=decay,
    )


def _box(module: Any) -> Dynamics:
    return _norse(module, _float32_product(module.dt, _one(module.p.tau_mem_inv, "tau_mem_inv")))


def _norse_lif(module: Any) -> Dynamics:
    if _float32_product(module.dt, _one(module.p.tau_syn_inv, "tau_syn_inv")) != 1:
        raise TraceError(
            "has a synaptic current, which has no counterpart here; use LIFBoxCell, or dt * tau_syn_inv = 1"
        )
    return _box(module)


def _norse_iaf(module: Any) -> Dynamics:
    made = _norse(module, 1.0)
    return Dynamics(made.threshold, 1.0, made.reset)


def _float32_product(dt: float, rate: float) -> float:
    """``dt * rate`` as PyTorch computes it."""
    return float(np.float32(dt) * np.float32(rate))


def _one(value: Any, name: str) -> float:
    """A number, or an array of one and the same number."""
    values = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64).ravel()
    if not len(values) or not (values == values[0]).all():
        raise TraceError(f"has a {name} for each neuron; layers here have one for all")
    return float(values[0])


_RULES: dict[tuple[str, str], Callable[[Any], Dynamics]] = {
    ("snntorch", "Leaky"): _leaky,
    ("spikingjelly", "IFNode"): lambda module: _jelly(module, None, scaled=False),
    ("spikingjelly", "LIFNode"): lambda module: _jelly(
        module, 1.0 / module.tau, scaled=bool(module.decay_input)
    ),
    ("spikingjelly", "ParametricLIFNode"): _parametric,
    ("norse", "LIFBoxCell"): _box,
    ("norse", "LIFCell"): _norse_lif,
    ("norse", "IAFCell"): _norse_iaf,
}
_CURRENT = "has a synaptic current, which has no counterpart here"
_RECURRENT = "is recurrent, which has no counterpart here"
_NEVER = {
    ("snntorch", "Synaptic"): _CURRENT,
    ("snntorch", "Alpha"): _CURRENT,
    ("snntorch", "RLeaky"): _RECURRENT,
    ("snntorch", "RSynaptic"): _RECURRENT,
    ("snntorch", "SLSTM"): _RECURRENT,
    ("snntorch", "SConv2dLSTM"): _RECURRENT,
    ("snntorch", "Lapicque"): "is Lapicque's RC model; write it as Leaky(beta=exp(-1/(RC)))",
    ("spikingjelly", "CUBALIFNode"): _CURRENT,
    ("norse", "LIF"): _CURRENT,
    ("norse", "LIFRecurrent"): _RECURRENT,
    ("norse", "LIFRecurrentCell"): _RECURRENT,
    ("norse", "LSNNCell"): _RECURRENT,
    ("norse", "LSNNRecurrentCell"): _RECURRENT,
}
