"""What a machine is asked to do: one layer, or a part of one, with everything that its cost depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.field import Inputs, Synapse
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True)
class Widths:
    """Bits of one value of each kind in a layer's datapath."""

    weight: int
    psum: int
    potential: int


FLOAT_WIDTHS = Widths(weight=32, psum=32, potential=32)


def widths_of(datapath: str, arch: Accelerator) -> Widths:
    """Widths of a datapath: configured for ``int``, 32 bits throughout for ``float``."""
    if datapath == "float":
        return FLOAT_WIDTHS
    return Widths(arch.weight_bits, arch.psum_bits, arch.potential_bits)


@dataclass(frozen=True, eq=False)
class Task:
    """A layer as a machine sees it.

    Attributes
    ----------
    name : str
        In messages.
    inputs : Inputs
        What its synapses bring.
    out_channels : int
        Output channels ``M``.
    widths : Widths
        Bits per weight, partial sum and potential.
    silence_is_free : bool
        Whether a silent window may be skipped without changing an output (Section 1).
    datapath : {"int", "float"}
        Of its neurons.
    states : int
        Potentials of a neuron; 0 where the sums leave as currents.
    words : int64 array ``[P, N_TW]`` or None
        Words of currents that a neuron at each position takes in each window, beside its synapses; ``[P, 1]``
        where windows are alike.
    word_tags : int64 array ``[P]`` or None
        Tags of currents that it looks at in a window.
    awake : bool array ``[P, N_TW]`` or None
        NTWUs that are active because of the currents they take.
    tagged : bool
        Whether the currents that leave have a tag for each NTWU, as spikes have.
    scaled : int64 array ``[2, P]`` or None
        Addends of currents with a weight other than 1, of all neurons at each position: at a time point, and
        those of constants in a window.
    run_windows : int or None
        Where outputs come back as inputs: windows that can be computed before that.
    is_first : bool
        Whether it takes what enters the network.
    """

    name: str
    inputs: Inputs
    out_channels: int
    widths: Widths
    silence_is_free: bool
    datapath: Literal["int", "float"] = "int"
    states: int = 1
    words: NDArray[np.int64] | None = None
    scaled: NDArray[np.int64] | None = None
    word_tags: NDArray[np.int64] | None = None
    awake: NDArray[np.bool_] | None = None
    tagged: bool = False
    run_windows: int | None = None
    is_first: bool = False

    @classmethod
    def of(
        cls, name: str, geometry: Geometry, spikes: WindowedSpikes, out_channels: int, arch: Accelerator, *,
        datapath: Literal["int", "float"], silence_is_free: bool, is_first: bool = False,
    ) -> Task:  # fmt: skip
        """Ask for a layer with one synapse."""
        inputs = Inputs((Synapse(geometry),), (spikes,), geometry.positions, spikes.timesteps, spikes.tws)
        widths = widths_of(datapath, arch)
        return cls(name, inputs, out_channels, widths, silence_is_free, datapath, is_first=is_first)

    @property
    def positions(self) -> int:
        """Output positions ``P``."""
        return self.inputs.positions

    @property
    def tws(self) -> int:
        """Time points that are processed together."""
        return self.inputs.tws

    @property
    def potential_bits(self) -> int:
        """Bits of all states of a neuron."""
        return self.states * self.widths.potential

    def scalings(self, position: NDArray[np.int64], window: NDArray[np.int64]) -> int:
        """Multiplications of currents by weights in some (position, window); padded time points have none."""
        if self.scaled is None:
            return 0
        points = np.minimum(self.tws, self.inputs.timesteps - window * self.tws)
        return int((self.scaled[0, position] * points + self.scaled[1, position]).sum())

    @property
    def all_scalings(self) -> int:
        """Multiplications of currents by weights at all positions and in all windows."""
        if self.scaled is None:
            return 0
        each, constants = self.scaled.sum(axis=1).tolist()
        return int(each * self.inputs.timesteps + constants * self.inputs.windows)

    @cached_property
    def has_own(self) -> bool:
        """Whether some channels go to one output channel alone."""
        return any(one.own for one in self.inputs.synapses)

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """NTWUs active by their tag, or because silence is not free: ``[P, N_TW]``."""
        if not self.silence_is_free:
            return np.ones_like(self.inputs.active)
        return self.inputs.active if self.awake is None else self.inputs.active | self.awake

    @cached_property
    def beyond_chains(self) -> str:
        """What it asks for besides one synapse of spikes and neurons with one potential; empty if nothing."""
        asked = {
            "several synapses": len(self.inputs.synapses) > 1,
            "layers without taps": not self.inputs.synapses,
            "synapses of own channels": self.has_own,
            "analog inputs": any(not one.tagged for one in self.inputs.synapses),
            "currents as inputs": self.words is not None,
            "currents as outputs": self.states == 0,
            "neurons with further states": self.states > 1,
            "recurrence": self.run_windows is not None,
        }
        return ", ".join(name for name, is_so in asked.items() if is_so)
