"""How what enters a network can be read: which axis is time, which are samples, how the model is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from spikex_sim.core.errors import TraceError
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import MAX_SAMPLES, MAX_TIMESTEPS

Call = Literal["step", "sequence"]
USUAL_AXES = {2: "TN", 3: "TBN", 4: "TCHW", 5: "TBCHW"}
"""Axes of inputs that are not named, by how many they are."""
Way = tuple[Any, str | None, Call | None]
"""Inputs, names of their axes, how the model is called; None: as usual."""
REPEATS = "a model that repeats an image itself is given it without an axis T (axes)"
_IMAGES = {2: "BN", 4: "BCHW"}
"""What they are where a model shows that it makes time itself."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What enters, and how.

    Attributes
    ----------
    given : tensor
        What enters, with an axis of samples.
    axes : str
        Names of its axes.
    call : {"step", "sequence"}
        How the model is called.
    steps : int
        Time points; 0 where the model makes them itself.
    batched : bool
        Whether the axis of samples was given.
    """

    given: Any
    axes: str
    call: Call
    steps: int
    batched: bool


def ways(inputs: Any, axes: str | None, call: Call | None, timesteps: int | None) -> list[Way]:
    """Find how inputs can be read: as is said, or as usual.

    Where neither axes nor time points are said, others follow, for models to which the usual one means
    nothing. Sizes decide nothing: another way holds only where the neurons walk through time by it.
    """
    found: list[Way] = [(inputs, axes, call)]
    if axes is not None or timesteps is not None or inputs.ndim not in USUAL_AXES:
        return found
    named = USUAL_AXES[inputs.ndim]
    if call is None:
        found.append((inputs, named, "sequence"))
    if call != "step" and inputs.ndim in _IMAGES:
        found.append((inputs, _IMAGES[inputs.ndim], "sequence"))
    if "B" in named and len(inputs) == 1:
        found.append((inputs[0], named[1:], "sequence"))
    return found


def reading(model: Any, way: Way, timesteps: int | None) -> Reading:
    """Read inputs in a way.

    Raises
    ------
    TraceError
        If it does not fit them, naming the argument that does not.
    """
    given, named, batched = _with_samples(*way[:2])
    timed = "T" in named
    call = way[2] or _usual_call(model, timed)
    if call not in ("step", "sequence"):
        raise TraceError(f"must be step or sequence, not {call!r:.40}", field="call")
    if call == "step" and not timed and timesteps is None:
        raise TraceError("the inputs have no axis T; say how often the model is called", field="timesteps")
    there = given.shape[named.index("T")] if timed else timesteps or 0
    if timesteps not in (None, there):
        raise TraceError(f"is {timesteps}, and the inputs have {there}", field="timesteps")
    return Reading(given, named, call, there, batched)


def _with_samples(inputs: Any, axes: str | None) -> tuple[Any, str, bool]:
    """Inputs with an axis of samples, their axes, and whether they came with one."""
    named = axes or USUAL_AXES.get(inputs.ndim, "")
    if axes is not None and (
        len(axes) != inputs.ndim or len(set(axes)) != len(axes) or set(axes) - set("TBCHWN")
    ):
        raise TraceError(
            f"are '{shown(axes, 20)}' for a tensor of shape {list(inputs.shape)}; a letter an axis is wanted,"
            " of T, B, C, H, W, N",
            field="axes",
        )
    if not named or not all(inputs.shape):
        raise TraceError(
            f"have shape {list(inputs.shape)}; [T, B, C, H, W] or [T, B, N] is wanted, no B,"
            " or other axes by name (axes)",
            field="inputs",
        )
    batched = "B" in named
    if not batched:
        place = 1 if named[0] == "T" else 0
        inputs, named = inputs.unsqueeze(place), f"{named[:place]}B{named[place:]}"
    sizes = dict(zip(named, inputs.shape, strict=True))
    if sizes.get("T", 1) > MAX_TIMESTEPS or sizes["B"] > MAX_SAMPLES:
        raise TraceError(
            f"are {sizes.get('T', 1)} time points and {sizes['B']} samples, more than {MAX_TIMESTEPS} and "
            f"{MAX_SAMPLES}",
            field="inputs",
        )
    return inputs, named, batched


def _usual_call(model: Any, timed: bool) -> Call:
    multi = any(getattr(one, "step_mode", "s") == "m" for one in model.modules())
    return "sequence" if multi or not timed else "step"
