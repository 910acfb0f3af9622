"""``model: released``: what SpikeSim's script prints, from shapes alone (docs/imc-released.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.workload import Layer

SOURCE = "SpikeSim ela_spikesim.py, commit c2627bc (MIT)"
COLUMN_SHARE = 8
"""Columns of a crossbar that one converter, mux and subtractor serve."""

HTREE_PJ = 157.12
FETCH_PJ = 4.64
NEURON_PJ = 5.096
ADC_PJ = 2.03084
MUX_PJ = 0.094245
SUBTRACTION_PJ = 1.15e-6
TEMP_PJ = 0.2
TILE_BUFFER_PJ = 397.0
XBAR_PJ: Mapping[str, float] = FrozenMap({"rram": 1.76423, "sram": 671.089})
"""Of the columns of one mux phase, by kind of cell; all energies are per PE cycle."""

SUBTRACTOR_UM2 = 13411.41498
TEMP_UM2 = 484.643999
TILE_BUFFER_UM2 = 6054.7072
HTREE_UM2 = 433660.0
ADC_UM2 = 693.633
MUX_UM2 = 45.9
XBAR_UM2: Mapping[str, float] = FrozenMap({"rram": 26.2144, "sram": 671.089})
"""Of a crossbar, whatever its size."""
NEURON_UM2, NEURON_BITS = 16.2602, 22
NEURON_LAYERS = 5
"""Layers whose potentials the area counts."""

PE_CYCLE = 26
START_NUMERATOR, START_DENOMINATOR = 3, 4
"""A layer starts when so much of the one before is done."""


@dataclass(frozen=True)
class ReleasedLayer:
    """A convolution as the script sees it.

    Attributes
    ----------
    channels, out_channels : int
        Input and output channels.
    in_side, out_side : int
        Sides of its input map and of the map that it is charged for: after the pooling that follows, or its
        own.
    """

    channels: int
    out_channels: int
    in_side: int
    out_side: int

    @property
    def outputs(self) -> int:
        """Neurons ``M Ho^2``."""
        return self.out_channels * self.out_side**2

    @property
    def inputs(self) -> int:
        """Pixels and channels ``C Hi^2``."""
        return self.channels * self.in_side**2


@dataclass(frozen=True)
class Released:
    """What the script prints.

    Attributes
    ----------
    pes : tuple of int
        PEs of each layer.
    tiles : int
        Tiles of the chip; layers share them.
    energy_pj_by : tuple of mapping of str to float
        Energy of each layer, by component, pJ.
    cycles : tuple of int
        Cycles of each layer until the next one starts.
    area_um2_by : mapping of str to float
        Area by component, µm².
    """

    pes: tuple[int, ...]
    tiles: int
    energy_pj_by: tuple[Mapping[str, float], ...]
    cycles: tuple[int, ...]
    area_um2_by: Mapping[str, float]

    @property
    def energy_pj(self) -> float:
        """Energy of an inference, pJ."""
        return sum(sum(by.values()) for by in self.energy_pj_by)

    @property
    def area_um2(self) -> float:
        """Area of the chip, µm²."""
        return sum(self.area_um2_by.values())


def released(layers: Sequence[ReleasedLayer], kernel: int, timesteps: int, arch: CrossbarOptions) -> Released:
    """Evaluate the script's formulas.

    Parameters
    ----------
    layers : sequence of ReleasedLayer
        Convolutions, in order.
    kernel : int
        Side of the kernel of all of them.
    timesteps : int
        Time points ``T``.
    arch : CrossbarOptions
        Of it ``imc.crossbar``, ``pes_per_tile``, ``device.kind``, ``precision_factor``, and with the latter
        ``weight_bits`` and ``imc.device.bits``.
    """
    imc = arch.imc
    factor = -(-arch.weight_bits // imc.device.bits) if imc.precision_factor else 1
    pes = tuple(
        -(-one.channels // imc.crossbar) * -(-one.out_channels // imc.crossbar) * factor for one in layers
    )
    tiles = -(-sum(pes) // imc.pes_per_tile)
    cycle = pe_cycle_pj(kernel, arch)
    reads = [timesteps * number * one.out_side**2 for number, one in zip(pes, layers, strict=True)]
    *before, last = (one.outputs for one in layers)
    outputs = [*(START_NUMERATOR * number // START_DENOMINATOR for number in before), last]
    return Released(
        pes,
        tiles,
        tuple(FrozenMap({name: number * pj for name, pj in cycle.items()}) for number in reads),
        tuple(PE_CYCLE * timesteps * number for number in outputs),
        FrozenMap(area_um2_by(layers, kernel, tiles, arch)),
    )


def pe_cycle_pj(kernel: int, arch: CrossbarOptions) -> dict[str, float]:
    """Energy of a PE cycle by component, pJ; the network on chip costs nothing."""
    groups = arch.imc.crossbar / COLUMN_SHARE
    return {
        "crossbar": groups * kernel**2 * XBAR_PJ[arch.imc.device.kind],
        "adc": groups * groups * (ADC_PJ + MUX_PJ),
        "digital": 2 * COLUMN_SHARE * groups * SUBTRACTION_PJ,
        "buffers": FETCH_PJ + TEMP_PJ * groups + TILE_BUFFER_PJ,
        "htree": HTREE_PJ,
        "noc": 0.0,
        "lif": NEURON_PJ,
    }


def area_um2_by(
    layers: Sequence[ReleasedLayer], kernel: int, tiles: int, arch: CrossbarOptions
) -> dict[str, float]:
    """Area of tiles, and of what the maps of layers are kept in, by component, µm²."""
    groups, pes = arch.imc.crossbar / COLUMN_SHARE, tiles * arch.imc.pes_per_tile
    return {
        "crossbar": pes * kernel**2 * XBAR_UM2[arch.imc.device.kind],
        "adc": pes * groups * (ADC_UM2 + MUX_UM2),
        "digital": tiles * (SUBTRACTOR_UM2 * groups + TEMP_UM2),
        "buffers": tiles * TILE_BUFFER_UM2 + NEURON_UM2 * sum(one.inputs for one in layers),
        "htree": tiles * HTREE_UM2,
        "noc": 0.0,
        "lif": NEURON_UM2 * sum(one.outputs for one in layers[:NEURON_LAYERS]),
    }


def released_layers(layers: Sequence[Layer], arch: CrossbarOptions) -> tuple[tuple[ReleasedLayer, ...], int]:
    """Convolutions of a network as the script sees them, and the side of the first one's kernel.

    Parameters
    ----------
    layers : sequence of Layer
        In order, pooling among them; linear layers are left out.
    arch : CrossbarOptions
        Of it ``imc.released_dims``.

    Raises
    ------
    UnsupportedError
        If there is no convolution, or a map or the kernel is not square.
    """
    found, kernel = [], 0
    for at, layer in enumerate(layers):
        if layer.kind != "conv":
            continue
        kernel = kernel or layer.kernel[0]
        last = layer
        for after in layers[at + 1 :] if arch.imc.released_dims == "post_pool" else ():
            if not after.is_pool:
                break
            last = after
        sides = {(layer.in_height, layer.in_width), layer.kernel, (last.out_height, last.out_width)}
        if any(height != width for height, width in sides):
            raise UnsupportedError(
                f"layer {layer.name}: model released knows square maps and kernels alone; choose events",
                where=arch.name, field="imc.model",
            )  # fmt: skip
        found.append(ReleasedLayer(layer.in_channels, layer.out_channels, layer.in_height, last.out_height))
    if not found:
        raise UnsupportedError(
            "model released costs convolutions alone, and the network has none; choose events",
            where=arch.name, field="imc.model",
        )  # fmt: skip
    return tuple(found), kernel
