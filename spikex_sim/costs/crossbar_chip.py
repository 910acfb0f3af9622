"""Area and leakage of a crossbar machine, which is made for its network (Section 2, Area, Leakage)."""

from __future__ import annotations

from spikex_sim.costs.crossbar import BANK_BITS, adc_row
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.costs.energy import PJ_PER_MW_SECOND
from spikex_sim.schedules.crossbar.chip import Chip
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.widths import adc_bits

SPIKE_STEPS = 2
"""Time points that the spike buffer holds of every map, where layers go time point by time point."""


def umem_bits(chip: Chip, arch: CrossbarOptions) -> int:
    """Bits of all potentials; under ``tick_batch`` those of one output row, of the layer with the longest."""
    layers = [
        -(-one.mapping.out_channels // arch.lif_sharing)
        * (one.row_positions if arch.dataflow == "tick_batch" else one.positions)
        * arch.potential_bits
        for one in chip.layers
    ]
    return max(layers) if arch.dataflow == "tick_batch" else sum(layers)


def umem_leakage_mw(chip: Chip, arch: CrossbarOptions) -> float:
    """Leakage power of U_mem; no other is known, and that of ``fefet`` is not either.

    Raises
    ------
    EnergyTableError
        If the energy table lacks the row.
    """
    leakage_mw = CrossbarTable.load(arch.energy.table).row(f"umem_{arch.imc.umem}", "read").leakage_mw or 0.0
    return -(-umem_bits(chip, arch) // BANK_BITS) * leakage_mw


def leakage_pj(chip: Chip, arch: CrossbarOptions, seconds: float) -> float:
    """Leakage of U_mem over a time, pJ."""
    return umem_leakage_mw(chip, arch) * PJ_PER_MW_SECOND * seconds


def area_um2(chip: Chip, arch: CrossbarOptions) -> dict[str, float]:
    """Area by component, µm².

    Parameters
    ----------
    chip : Chip
        Layers of the network.
    arch : CrossbarOptions
        Configuration.

    Returns
    -------
    dict of str to float
        By :data:`spikex_sim.costs.crossbar.CROSSBAR_COMPONENTS`.

    Raises
    ------
    EnergyTableError
        If the energy table lacks a row or an area.
    ConfigError
        If ``imc.adc.bits`` is ``auto`` and no converter is that fine.
    """
    imc, area = arch.imc, CrossbarTable.load(arch.energy.table).area_um2
    layers, buffers = [one.mapping for one in chip.layers], imc.buffers
    pes, tiles = sum(one.pes for one in layers), sum(one.tiles for one in layers)
    converters = _converters_per_bank(arch) * sum(_banks(one, arch) for one in layers)
    currents = sum(
        one.mapping.out_channels * one.positions * one.psum_bits for one in chip.layers if one.direct
    )
    return {
        "crossbar": pes * imc.crossbars_per_pe * imc.crossbar**2 * area("cell_1t1r", "read"),
        "adc": converters * (area(*adc_row(arch)) + area("mux", "switch")),
        "digital": _adder_bits(chip, arch) * area("add", "bit")
        + _sign_bits(chip, arch) * area("umem_sram", "read")
        + tiles * (-(-imc.crossbar // 8) * area("diff", "op") + area("temp", "tile")),
        "buffers": 8 * pes * (buffers.pb * area("pb", "access") + buffers.pib * area("pib", "read"))
        + 8 * tiles * (buffers.tb * area("tb", "access") + buffers.tib * area("tib", "read"))
        + 8 * buffers.gb * area("gb", "read")
        + _spike_bits(chip, arch) * area("spikes", "bit"),
        "htree": pes * area("htree", "up"),
        "noc": tiles * area("noc", "flit_hop"),
        "lif": umem_bits(chip, arch) * area(f"umem_{imc.umem}", "read")
        + currents * area("umem_sram", "read")
        + len(layers) * -(-imc.lif_units // arch.lif_sharing) * area("lif", "update"),
    }


def unsized(arch: CrossbarOptions) -> dict[str, str]:
    """Buffers that are used and have no size, and thus no area, and why."""
    return {
        name: f"imc.buffers.{name} is 0, which is unsized"
        for name in ("gb", "tb", "pb", "pib")
        if not getattr(arch.imc.buffers, name)
    }


def _banks(layer: LayerMapping, arch: CrossbarOptions) -> int:
    return layer.pes * (1 if arch.imc.adc.sharing == "pe" else arch.imc.crossbars_per_pe)


def _converters_per_bank(arch: CrossbarOptions) -> int:
    return -(-arch.imc.crossbar // arch.imc.adc.mux)


def _spike_bits(chip: Chip, arch: CrossbarOptions) -> int:
    steps = chip.timesteps if arch.dataflow == "tick_batch" else SPIKE_STEPS
    return steps * sum(one.input_bits for one in chip.layers)


def _signs_are_charged(arch: CrossbarOptions) -> bool:
    return arch.imc.sign_plane == "charged" and arch.imc.encoding in ("twos", "sign_offset")


def _sign_bits(chip: Chip, arch: CrossbarOptions) -> int:
    """Bits of the sign planes: one for every weight of the network."""
    layers = (one.mapping for one in chip.layers)
    weights = sum(one.channels * one.places * one.out_channels for one in layers)
    return weights if _signs_are_charged(arch) else 0


def _adder_bits(chip: Chip, arch: CrossbarOptions) -> int:
    """Full adders: shift-and-add at every converter, accumulators, counters of spikes on negative weights.

    Tiles accumulate, and PEs whose crossbars have a bank each. Signs are counted for every channel of a bank,
    over the rows whose currents it converts.
    """
    imc, bits = arch.imc, 0
    shared = imc.adc.sharing == "pe"
    of_bank = _converters_per_bank(arch) * (adc_bits(arch) + arch.slices * imc.device.bits + 1)
    counter = (imc.crossbar * (imc.crossbars_per_pe if shared else 1)).bit_length()
    for one in chip.layers:
        layer = one.mapping
        bits += _banks(layer, arch) * of_bank
        bits += (layer.tiles + (0 if shared else layer.pes)) * layer.width * one.psum_bits
        if _signs_are_charged(arch):
            bits += _banks(layer, arch) * layer.width * counter
    return bits
