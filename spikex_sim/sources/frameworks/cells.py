"""Neurons of snnTorch, SpikingJelly and Norse: equations, how they are called, what comes back to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.dynamics import Dynamics, PerChannel


@dataclass(frozen=True, eq=False)
class Back:
    """Spikes that come back to their population.

    Attributes
    ----------
    kind : {"identity", "linear", "conv"}
        To the same neuron, to all, or as a convolution.
    weight, bias : tensor
        Of it.
    delay : int
        Time points.
    padding : tuple of int
        Of a convolution.
    """

    kind: Literal["identity", "linear", "conv"]
    weight: Any
    bias: Any = None
    delay: int = 1
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Cell:
    """A module of neurons.

    Attributes
    ----------
    dynamics : Dynamics
        Equations.
    sequence : bool, optional
        Whether a call walks through the first axis; as its input tells where that is unknown.
    weights : tensor, optional
        Of a linear layer that is part of the module.
    back : Back, optional
        Recurrence that is part of the module.
    input_delay : int
        Time points by which the input comes late.
    spikes : bool
        Whether it spikes; what does not is a read-out.
    """

    dynamics: Dynamics
    sequence: bool | None = None
    weights: Any = None
    back: Back | None = None
    input_delay: int = 0
    spikes: bool = True


def cell_of(module: Any) -> Cell | None:
    """Find what a module is.

    Returns
    -------
    Cell or None
        None for a module that is no neuron of the three frameworks.

    Raises
    ------
    TraceError
        If it is one that has no counterpart here; without a place.
    """
    kind = type(module)
    package = kind.__module__.partition(".")[0]
    rule = _RULES.get((package, kind.__name__))
    if rule is not None:
        return rule(module)
    if (package, kind.__name__) in _REASONS:
        raise TraceError(_REASONS[package, kind.__name__])
    if any(kind.__module__.startswith(prefix) for prefix in _NEURONS) or any(
        base.__name__ in _BASES and base.__module__.startswith(_FRAMEWORKS) for base in kind.__mro__[1:]
    ):
        raise TraceError(
            f"is a neuron of other equations, {kind.__name__}; leave it out (skip), or describe the nearest "
            "there is (neurons)"
        )
    return None


_FRAMEWORKS = ("snntorch.", "spikingjelly.", "norse.")
_NEURONS = ("spikingjelly.activation_based.neuron.", "snntorch._neurons.")
_BASES = {"BaseNode", "SimpleBaseNode", "SpikingNeuron", "SNN", "SNNCell", "SNNRecurrent", "SNNRecurrentCell"}


def _snntorch(module: Any, leak: PerChannel, **more: Any) -> Dynamics:
    """snnTorch: spike above the threshold, by default reset a step later."""
    for attribute, usual in (("inhibition", False), ("state_quant", False)):
        if bool(getattr(module, attribute)) != usual:
            raise TraceError(f"has {attribute}, which has no counterpart here")
    if _each(module.graded_spikes_factor, "graded_spikes_factor") != 1:
        raise TraceError("has graded spikes; a trace holds binary ones")
    threshold = _each(module.threshold, "threshold")
    late = bool(getattr(module, "reset_delay", True))
    if module.reset_mechanism == "none":
        return Dynamics(threshold, leak, "none", **more)
    if module.reset_mechanism == "zero":
        if not late and min(np.atleast_1d(threshold)) < 0:
            raise TraceError("has a negative threshold, below which reset_delay=False does not reset")
        return Dynamics(threshold, leak, "zero", reset_delay=int(late), **more)
    if late:
        return Dynamics(threshold, leak, "subtract", reset_delay=1, **more)
    twice = "with reset_delay=False, a potential still above the threshold after its reset is reset again"
    return Dynamics(threshold, leak, "subtract", differs=f"{twice}, before it can spike", **more)


def _leaky(module: Any) -> Cell:
    # Leaky alone takes its reset to zero before it leaks, so that this step's input is not lost.
    made = _snntorch(module, _leak(module.beta, "beta"))
    return Cell(replace(made, reset_delay=0) if made.reset == "zero" else made, sequence=False)


def _synaptic(module: Any) -> Cell:
    current = _leak(module.alpha, "alpha")
    return Cell(_snntorch(module, _leak(module.beta, "beta"), current=current), sequence=False)


def _lapicque(module: Any) -> Cell:
    R, C, step = (np.float32(_number(getattr(module, key), key)) for key in ("R", "C", "time_step"))
    leak, scale = float(1 - step / (R * C)), float(R * (1 / (R * C)) * step)
    if not 0 <= leak <= 1:
        raise TraceError(
            f"leaks to {leak:g} of its potential a step (1 - time_step/RC); 0 to 1 is known here"
        )
    return Cell(_snntorch(module, leak, input_scale=scale), sequence=False)


def _back_of(module: Any) -> Back:
    if not module.all_to_all:
        return Back("identity", module.recurrent.V)
    weight = module.recurrent.weight
    if weight.ndim == 2:
        return Back("linear", weight, module.recurrent.bias)
    padding = module.recurrent.padding
    pair = (padding, padding) if isinstance(padding, int) else tuple(padding)
    return Back("conv", weight, module.recurrent.bias, padding=(int(pair[0]), int(pair[1])))


def _rleaky(module: Any) -> Cell:
    dynamics = _snntorch(module, _leak(module.beta, "beta"))
    return Cell(dynamics, sequence=False, back=_back_of(module))


def _rsynaptic(module: Any) -> Cell:
    dynamics = _snntorch(module, _leak(module.beta, "beta"), current=_leak(module.alpha, "alpha"))
    return Cell(dynamics, sequence=False, back=_back_of(module))


def _jelly(module: Any, decay: float | None, *, scaled: bool) -> Cell:
    """SpikingJelly: ``H = V + decay (X - V)`` or ``V - decay V + X``, spike at the threshold."""
    share, rest = decay or 0.0, module.v_reset or 0.0
    dynamics = Dynamics(
        float(module.v_threshold) - float(rest),
        1.0 - share,
        "subtract" if module.v_reset is None else "zero",
        input_scale=share if scaled else 1.0,
        fires="at",
    )
    return Cell(dynamics, sequence=getattr(module, "step_mode", "s") == "m")


def _parametric(module: Any) -> Cell:
    share = 1 / (1 + float(np.exp(-_number(module.w, "w"))))
    return _jelly(module, share, scaled=bool(module.decay_input))


def _cuba(module: Any) -> Cell:
    if module.v_reset not in (None, 0.0):
        raise TraceError(
            f"decays to 0 and resets to {module.v_reset:g}; neurons here rest where they reset to"
        )
    dynamics = Dynamics(
        float(module.v_threshold), float(module.v_decay), "subtract" if module.v_reset is None else "zero",
        fires="at", current=float(module.c_decay),
    )  # fmt: skip
    return Cell(dynamics, sequence=module.step_mode == "m")


def _norse(module: Any, decay: float, **more: Any) -> Dynamics:
    """Norse: ``v + decay (I + v_leak - v)``, spike above the threshold."""
    p = module.p
    for key in ("v_leak", "v_reset"):
        if _number(getattr(p, key, 0.0), key) != 0:
            raise TraceError(
                f"has {key} {_number(getattr(p, key), key):g}; potentials here rest at and reset to 0"
            )
    if p.method == "logistic":
        raise TraceError("spikes at random (method logistic)")
    name = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
    if name not in ("reset_value", "reset_subtract"):
        raise TraceError(f"has a reset method of its own, {name}")
    if not 0 < decay <= 1:
        raise TraceError(f"leaks by {decay:g} a step (dt * tau_mem_inv); neurons here by 0 to 1")
    reset: Literal["zero", "subtract"] = "subtract" if name == "reset_subtract" else "zero"
    return Dynamics(_each(p.v_th, "v_th"), 1.0 - decay, reset, **{"input_scale": decay} | more)


def _box(module: Any) -> Cell:
    return Cell(_norse(module, _rate(module, "tau_mem_inv")), sequence=_is_whole(module))


def _norse_lif(module: Any) -> Cell:
    share = _rate(module, "tau_syn_inv")
    dynamics = _norse(module, _rate(module, "tau_mem_inv"), **_current(share))
    return Cell(dynamics, sequence=_is_whole(module), **_recurrence(module, 1))


def _lsnn(module: Any) -> Cell:
    """What enters reaches the potential a time point late; the threshold leaks before it is compared."""
    share, decay = _rate(module, "tau_syn_inv"), _rate(module, "tau_adapt_inv")
    keeps = float(np.float32(1) - np.float32(decay))
    step = keeps * _number(module.p.beta, "beta")
    dynamics = _norse(module, _rate(module, "tau_mem_inv"), adaptation=(keeps, step), **_current(share))
    return Cell(dynamics, sequence=_is_whole(module), input_delay=1, **_recurrence(module, 2))


def _current(share: float) -> dict[str, Any]:
    if not 0 < share <= 1:
        raise TraceError(f"leaks by {share:g} a step (dt * tau_syn_inv); currents here by 0 to 1")
    return {} if share == 1 else {"current": 1.0 - share}


def _recurrence(module: Any, delay: int) -> dict[str, Any]:
    if not hasattr(module, "recurrent_weights"):
        return {}
    return {"weights": module.input_weights, "back": Back("linear", module.recurrent_weights, delay=delay)}


def _is_whole(module: Any) -> bool:
    """Whether a module of Norse walks through time: those that are no cells do."""
    return not type(module).__name__.endswith("Cell")


def _norse_iaf(module: Any) -> Cell:
    made = _norse(module, 1.0)
    return Cell(Dynamics(made.threshold, 1.0, made.reset), sequence=False)


def _rate(module: Any, key: str) -> float:
    """``dt`` times a rate, as PyTorch computes it."""
    return float(np.float32(module.dt) * np.float32(_number(getattr(module.p, key), key)))


def _values(value: Any) -> Any:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64).ravel()


def _each(value: Any, name: str) -> PerChannel:
    """A number, or a tuple of one for each channel."""
    values = _values(value)
    if not len(values):
        raise TraceError(f"has no {name}")
    return float(values[0]) if (values == values[0]).all() else tuple(map(float, values))


def _leak(value: Any, name: str) -> PerChannel:
    found = _each(np.clip(_values(value), 0.0, 1.0), name)
    return found


def _number(value: Any, name: str) -> float:
    found = _each(value, name)
    if isinstance(found, tuple):
        raise TraceError(f"has a {name} for each neuron; here it is one for all")
    return found


_READ_OUT = Cell(Dynamics(1.0), spikes=False)


_RULES: dict[tuple[str, str], Callable[[Any], Cell]] = {
    ("snntorch", "Leaky"): _leaky,
    ("snntorch", "Synaptic"): _synaptic,
    ("snntorch", "RLeaky"): _rleaky,
    ("snntorch", "RSynaptic"): _rsynaptic,
    ("snntorch", "Lapicque"): _lapicque,
    ("spikingjelly", "IFNode"): lambda module: _jelly(module, None, scaled=False),
    ("spikingjelly", "LIFNode"): lambda module: _jelly(
        module, 1.0 / module.tau, scaled=bool(module.decay_input)
    ),
    ("spikingjelly", "ParametricLIFNode"): _parametric,
    ("spikingjelly", "SimpleIFNode"): lambda module: _jelly(module, None, scaled=False),
    ("spikingjelly", "SimpleLIFNode"): lambda module: _jelly(
        module, 1.0 / module.tau, scaled=bool(module.decay_input)
    ),
    ("spikingjelly", "CUBALIFNode"): _cuba,
    ("spikingjelly", "NonSpikingIFNode"): lambda _: _READ_OUT,
    ("spikingjelly", "NonSpikingLIFNode"): lambda _: _READ_OUT,
    ("norse", "LIFBoxCell"): _box,
    ("norse", "LIFBox"): _box,
    ("norse", "LIFCell"): _norse_lif,
    ("norse", "LIF"): _norse_lif,
    ("norse", "LIFRecurrentCell"): _norse_lif,
    ("norse", "LIFRecurrent"): _norse_lif,
    ("norse", "LSNNCell"): _lsnn,
    ("norse", "LSNN"): _lsnn,
    ("norse", "LSNNRecurrentCell"): _lsnn,
    ("norse", "LSNNRecurrent"): _lsnn,
    ("norse", "IAFCell"): _norse_iaf,
    ("norse", "LI"): lambda _: _READ_OUT,
    ("norse", "LICell"): lambda _: _READ_OUT,
    ("norse", "LIBox"): lambda _: _READ_OUT,
    ("norse", "LIBoxCell"): lambda _: _READ_OUT,
}
_REASONS = {
    ("snntorch", "Alpha"): "has two synaptic currents (Alpha); neurons here have one",
    ("snntorch", "SLSTM"): "is an LSTM, which has no counterpart here",
    ("snntorch", "SConv2dLSTM"): "is an LSTM, which has no counterpart here",
}
