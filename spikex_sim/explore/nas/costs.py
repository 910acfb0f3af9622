"""Costs by SpikeSim's released script, from the number of convolutions alone (Section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.nas.macro import KERNEL, PIXELS, Convolution, Macro
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import (
    NEURON_LAYERS,
    NEURON_UM2,
    PE_CYCLE,
    START_DENOMINATOR,
    START_NUMERATOR,
    ReleasedLayer,
    area_um2_by,
    pe_cycle_pj,
    released,
)
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator

MOST_BITS = 32
"""Of a weight."""
Integers = NDArray[np.int64]
Number = Any
"""A number, or an array of them: one a pair of cells."""


@dataclass(frozen=True)
class Costs:
    """Of one network, or arrays of many.

    Attributes
    ----------
    parameters : int
        Weights of the convolutions.
    area_mm2, latency_ms, energy_uj : float
        Area of the chip; time and energy of an inference.
    """

    parameters: Number
    area_mm2: Number
    latency_ms: Number
    energy_uj: Number

    @property
    def edp_js(self) -> Number:
        """Energy times time, Js."""
        return self.energy_uj * self.latency_ms * 1e-9


@dataclass(frozen=True)
class Script:
    """What the released script knows of a machine.

    Attributes
    ----------
    crossbar, pes_per_tile : int
        Columns of a crossbar, PEs of a tile.
    cell_bits : int
        Bits of a cell.
    cycle_pj, cycle_ns : float
        Energy of a PE cycle of 3x3 crossbars, and its time.
    tile_um2 : float
        Area of a tile.
    """

    crossbar: int
    pes_per_tile: int
    cell_bits: int
    cycle_pj: float
    cycle_ns: float
    tile_um2: float

    @classmethod
    def of(cls, arch: CrossbarOptions) -> Script:
        """Take them from a configuration."""
        imc = arch.imc
        return cls(
            imc.crossbar, imc.pes_per_tile, imc.device.bits, sum(pe_cycle_pj(KERNEL, arch).values()),
            PE_CYCLE * 1000 / arch.clock_mhz, sum(area_um2_by([], KERNEL, 1, arch).values()),
        )  # fmt: skip

    def slices(self, bits: int) -> int:
        """Cells ``f`` that a weight takes."""
        return -(-checked_bits(bits) // self.cell_bits)


def checked_bits(bits: int) -> int:
    """Bits of a weight, within their limits."""
    if not 1 <= bits <= MOST_BITS:
        raise ConfigError(f"is {bits}; a weight has 1 to {MOST_BITS}", field="bits")
    return bits


def script_of(arch: str | Accelerator) -> CrossbarOptions:
    """Load a machine whose costs follow from shapes alone.

    Raises
    ------
    UnsupportedError
        If they follow from spikes.
    """
    made = load_accelerator(arch)
    if not isinstance(made, CrossbarOptions) or made.imc.model != "released":
        raise UnsupportedError(
            "costs follow from spikes, which cells alone have not: wants a network and samples; here "
            "spikesim-released, or a file with imc.model: released",
            where=f"arch {made.name}",
        )  # fmt: skip
    return made


def closed_form(
    macro: Macro, script: Script, bits: int, a: Integers, a_taps: Integers, b: Integers, b_taps: Integers
) -> Costs:
    """Costs from the number of convolutions in each cell.

    Parameters
    ----------
    macro : Macro
        The network around the cells.
    script : Script
        The machine.
    bits : int
        Of a weight.
    a, b : int64 array
        Live convolutions of cells A and B; arrays that broadcast.
    a_taps, b_taps : int64 array
        Positions of all their kernels: 9 of a 3x3 one.
    """
    C, T, f = macro.channels, macro.timesteps, script.slices(bits)
    big, small = PIXELS**2, (PIXELS // 2) ** 2
    groups, more = -(-C // script.crossbar), -(-2 * C // script.crossbar)
    pes = groups * -(-3 // script.crossbar) + groups * more + a * groups**2 + b * more**2
    reads = big * (groups * -(-3 // script.crossbar) + groups * more + a * groups**2) + small * b * more**2
    neurons = C * big, 2 * C * big, 2 * C * small  # of the stem and in A, of down, in B
    started = [START_NUMERATOR * number // START_DENOMINATOR for number in neurons]
    last = np.where(b > 0, started[1] - started[2] + neurons[2], neurons[1])
    outputs = (1 + a) * started[0] + b * started[2] + last
    # Of the first five layers.
    kept_a = np.minimum(a, NEURON_LAYERS - 1)
    kept_down = a + 2 <= NEURON_LAYERS
    kept_b = np.clip(NEURON_LAYERS - 2 - a, 0, b)
    kept = (1 + kept_a) * neurons[0] + kept_down * neurons[1] + kept_b * neurons[2]
    inputs = 3 * big + (a + 1) * neurons[0] + b * neurons[2]
    tiles = -(-(pes * f) // script.pes_per_tile)
    return Costs(
        27 * C + 18 * C**2 + C**2 * a_taps + 4 * C**2 * b_taps,
        f * (tiles * script.tile_um2 + NEURON_UM2 * (inputs + kept)) / 1e6,
        script.cycle_ns * T * outputs / 1e6,
        T * f * script.cycle_pj * reads / 1e6,
    )


def costs_of(macro: Macro, script: Script, bits: int, a: Sequence[int], b: Sequence[int]) -> Costs:
    """Costs of a network by the closed form.

    Parameters
    ----------
    macro, script, bits : Macro, Script, int
        As of :func:`closed_form`.
    a, b : sequence of int
        Sides of the kernels of the cells' live convolutions.
    """
    numbers = (len(a), sum(side**2 for side in a), len(b), sum(side**2 for side in b))
    made = closed_form(macro, script, bits, *(np.array(number) for number in numbers))
    return Costs(int(made.parameters), float(made.area_mm2), float(made.latency_ms), float(made.energy_uj))


def run_script(arch: CrossbarOptions, timesteps: int, bits: int, layers: Sequence[Convolution]) -> Costs:
    """Costs of a network by the simulator's own released model, layer by layer.

    The script's maps are those of the convolutions, its stem has an input map of the side of its output, a
    weight of several cells multiplies the PEs, and the area once more, as in the paper.

    Parameters
    ----------
    arch : CrossbarOptions
        A machine with ``imc.model: released``.
    timesteps : int
        ``T``.
    bits : int
        Of a weight.
    layers : sequence of Convolution
        In order.

    Raises
    ------
    UnsupportedError
        If a weight takes more cells than the simulator's weights have bits.
    """
    slices = Script.of(arch).slices(bits)
    if slices > 8:
        raise UnsupportedError(
            f"a weight of {bits} bits takes {slices} cells; the simulator has 8 at most", where=arch.name
        )
    machine = load_accelerator(
        arch, {"imc.precision_factor": True, "imc.device.bits": 1, "weight_bits": slices}
    )
    assert isinstance(machine, CrossbarOptions)
    seen = [ReleasedLayer(one.in_channels, one.out_channels, one.out_side, one.out_side) for one in layers]
    found = released(seen, layers[0].kernel, timesteps, machine)
    return Costs(
        sum(one.weights for one in layers),
        slices * found.area_um2 / 1e6,
        sum(found.cycles) * 1e-3 / machine.clock_mhz,
        found.energy_pj / 1e6,
    )
