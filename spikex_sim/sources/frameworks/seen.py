"""What the modules of a network did while it ran: shapes, packed spikes, fingerprints; no floats are kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes, packed_length
from spikex_sim.sources.frameworks.dynamics import Dynamics

Role = Literal["synapse", "norm", "maxpool", "avgpool", "neuron", "other"]

_SAMPLE_AXES: dict[Role, int] = {"norm": 3, "maxpool": 3, "avgpool": 3}


@dataclass(frozen=True)
class Horizon:
    """How much is recorded, and whether the model is given all time points at once."""

    timesteps: int
    samples: int
    sequence: bool

    def steps(self, values: NDArray[Any], axes: int | None, name: str) -> NDArray[Any]:
        """Values ``[steps, B, ...]`` of one call, whatever way time and samples were laid out.

        Parameters
        ----------
        values : array
            ``[B, ...]``, ``[T, B, ...]`` or ``[T * B, ...]``.
        axes : int or None
            Axes of one sample, where the module decides them.
        name : str
            Module named in messages.
        """
        T, B = self.timesteps, self.samples
        lead = values.shape[: values.ndim - axes] if axes is not None else values.shape[:1]
        if axes is None and self.sequence and values.shape[:2] == (T, B):
            lead = values.shape[:2]
        if lead == (B,):
            return values[None]
        if lead == (T, B):
            return values
        if lead == (T * B,):
            return values.reshape(T, B, *values.shape[1:])
        asked, other = ("sequence", "step") if self.sequence else ("step", "sequence")
        raise TraceError(
            f"took a tensor of shape {list(values.shape)}, in which B={B} samples and T={T} time points are "
            f"not to be found; the model was called with call='{asked}', the other way is call='{other}'",
            field=name,
        )


@dataclass(eq=False)
class Seen:
    """One module, as it was seen.

    Attributes
    ----------
    name : str
        Path in the model.
    role : str
        What kind of module it is.
    module : Any
        The module.
    dynamics : Dynamics or None
        Of a neuron.
    packed : uint8 array ``[B, *shape, ceil(T/8)]``, or None
        Spikes that entered a synaptic or pooling layer; None where something else did.
    analog : float or None
        A value that entered and is no spike.
    shape : tuple of int
        Of one sample's input at a time point.
    taken, given : list of bytes
        Fingerprints of what came in and went out, one for each time point.
    """

    name: str
    role: Role
    module: Any
    dynamics: Dynamics | None = None
    packed: PackedSpikes | None = None
    analog: float | None = None
    shape: tuple[int, ...] = ()
    taken: list[bytes] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Name and class, for messages."""
        return f"{self.name} ({type(self.module).__name__})"

    def look(self, entered: NDArray[Any], left: NDArray[Any], horizon: Horizon) -> None:
        """Take in one call of the module."""
        axes = _SAMPLE_AXES.get(self.role)
        if self.role == "synapse":
            axes = self.module.weight.ndim - 1
        values = horizon.steps(entered, axes, self.title)
        shape = tuple(values.shape[2:])
        if self.taken and shape != self.shape:
            raise TraceError(f"takes {list(self.shape)} first and {list(shape)} later", field=self.title)
        self.shape = shape
        if len(self.taken) + len(values) > horizon.timesteps:
            raise TraceError(
                "is called more often than once a time point; a module that serves in several places is not "
                "recorded",
                field=self.title,
            )
        if self.role in ("synapse", "maxpool", "avgpool"):
            self._pack(values, horizon)
        self.taken += [_fingerprint(value) for value in values]
        self.given += [_fingerprint(value) for value in horizon.steps(left, None, self.title)]

    def _pack(self, values: NDArray[Any], horizon: Horizon) -> None:
        spikes = values != 0
        odd = values[spikes & (values != 1)]
        if len(odd):
            self.analog, self.packed = float(odd[0]), None
        if self.analog is not None:
            return
        if self.packed is None:
            shape = (horizon.samples, *self.shape, packed_length(horizon.timesteps))
            self.packed = np.zeros(shape, np.uint8)
        for time, bits in enumerate(spikes, len(self.taken)):
            self.packed[..., time >> 3] |= bits.astype(np.uint8) << (7 - (time & 7))


def _fingerprint(values: NDArray[Any]) -> bytes:
    """Sixteen bytes that tell whether a module takes what another one gives, whatever its shape."""
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()
