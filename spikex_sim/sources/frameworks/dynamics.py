"""Equations of spiking neurons, told in the terms of this simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError

PerChannel = float | tuple[float, ...]


@dataclass(frozen=True)
class Dynamics:
    """What a spiking module computes at a time point, in float32.

    With ``current``, ``i = current * i + input_scale * x`` takes the place of ``input_scale * x``, ``x`` what
    the layer before gives. ``v = leak * u + input_scale * x``; with ``reset_delay`` 1, a spike at the time
    point before makes it 0 or takes the threshold off; it spikes if ``v`` is above ``threshold`` (or has
    reached it); then, with ``reset_delay`` 0, ``u`` is 0, or ``v - threshold``, else ``v``. With
    ``adaptation``, ``(leak, step)``, the threshold is higher by ``a = leak * a + step * spike``.

    Attributes
    ----------
    threshold : float or tuple of float
        In units of the scaled input; one, or one for each channel.
    leak : float or tuple of float
        Factor on the potential, 0 to 1.
    reset : {"zero", "subtract", "none"}
        What a spike does to the potential.
    input_scale : float
        Factor on the input; goes into weights and bias.
    fires : {"above", "at"}
        Whether a potential equal to the threshold spikes ("at").
    differs : str
        In what the module differs from this description; empty where it is exact.
    reset_delay : {0, 1}
        Whether a spike resets at once or a time point later.
    current : float or tuple of float, optional
        Factor on a synaptic current, where there is one.
    adaptation : tuple of float, optional
        Factor on what the threshold is raised by, and what a spike adds.
    """

    threshold: PerChannel
    leak: PerChannel = 1.0
    reset: Literal["zero", "subtract", "none"] = "zero"
    input_scale: float = 1.0
    fires: Literal["above", "at"] = "above"
    differs: str = ""
    reset_delay: int = 0
    current: PerChannel | None = None
    adaptation: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for key in ("threshold", "leak", "input_scale", "current", "adaptation"):
            value = getattr(self, key)
            if value is None:
                continue
            several = key != "input_scale" and isinstance(value, tuple | list | np.ndarray)
            numbers = tuple(value) if several else (value,)
            for one in numbers:
                if isinstance(one, bool) or not isinstance(one, Real) or not isfinite(one):
                    raise TraceError(f"must be a finite number, not {one!r:.40}", field=f"neuron.{key}")
            found = tuple(map(float, numbers))
            object.__setattr__(self, key, found if several else found[0])
        for key in ("leak", "current"):
            for one in _each(getattr(self, key)):
                if not 0 <= one <= 1:
                    raise TraceError(f"must be 0 to 1, not {one:g}", field=f"neuron.{key}")
        if self.adaptation is not None and (
            len(_each(self.adaptation)) != 2 or not 0 <= self.adaptation[0] <= 1
        ):
            raise TraceError("must be a factor of 0 to 1 and a step", field="neuron.adaptation")
        for key, known in (
            ("reset", ("zero", "subtract", "none")), ("fires", ("above", "at")), ("reset_delay", (0, 1)),
        ):  # fmt: skip
            value = getattr(self, key)
            if value not in known:
                message = f"must be {' or '.join(map(str, known))}, not {value!r:.40}"
                raise TraceError(message.replace(" or ", ", ", len(known) - 2), field=f"neuron.{key}")

    def check_channels(self, channels: int, title: tuple[str, str]) -> None:
        """Raise :class:`TraceError` unless what is told by channel is told of as many."""
        for key in ("threshold", "leak", "current"):
            value = getattr(self, key)
            if isinstance(value, tuple) and len(value) != channels:
                raise TraceError(
                    f"has {len(value)} numbers for its {key}, and {channels} channels",
                    field=f"{title[0]} ({title[1]})",
                )

    def neuron(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
        """Describe the neurons of a population: as in a graph, and numbers by channel."""
        made: dict[str, Any] = {"datapath": "float", "fires": self.fires, "reset": self.reset}
        made |= {"reset_delay": self.reset_delay} if self.reset != "none" else {}
        made |= {"current": {}} if self.current is not None else {}
        made |= (
            {"adaptation": dict(zip(("leak", "step"), self.adaptation, strict=True))}
            if self.adaptation
            else {}
        )
        arrays = {}
        places = (("threshold", self.threshold, made), ("leak", self.leak, made),
                  ("current.leak", self.current, made.get("current")))  # fmt: skip
        for key, value, place in places:
            if isinstance(value, tuple):
                arrays[key] = np.array(value, np.float32)
            elif value is not None and place is not None:
                place[key.rpartition(".")[2]] = float(np.float32(value)) if key == "threshold" else value
        return made, arrays


def described(given: Dynamics | Mapping[str, Any]) -> Dynamics:
    """Take a description as it is, or make one of a mapping with the same keys."""
    if isinstance(given, Dynamics):
        return given
    keys = [one.name for one in fields(Dynamics) if one.name != "differs"]
    if not isinstance(given, Mapping) or set(given) - set(keys) or "threshold" not in given:
        raise TraceError(f"wants threshold, and any of {', '.join(keys[1:])}", field="neurons")
    return Dynamics(**given)


def _each(value: Any) -> tuple[float, ...]:
    return () if value is None else value if isinstance(value, tuple) else (value,)
