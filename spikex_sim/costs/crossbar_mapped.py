"""Prices, area and leakage of a machine whose crossbars hold the neurons of a mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spikex_sim.core.counts import Counter
from spikex_sim.costs.crossbar import BANK_BITS, Row, cell_factor, priced
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.costs.energy import Component
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions

if TYPE_CHECKING:  # compiled kernels
    from spikex_sim.schedules.crossbar.mapped.counting import CrossbarPlan

MAPPED_COMPONENTS = ("crossbar", "adc", "digital", "buffers", "noc", "lif")


def mapped_components(arch: MappedOptions) -> tuple[Component, ...]:
    """Price what the machine does.

    Returns
    -------
    tuple of Component
        :data:`MAPPED_COMPONENTS`, pJ per count.

    Raises
    ------
    EnergyTableError
        If the energy table lacks a row.
    """
    return priced(arch.energy.table, MAPPED_COMPONENTS, _charges(arch))


def _charges(arch: MappedOptions) -> Iterator[tuple[Counter, Row, float]]:
    yield ("crossbar", "cell_read", "filter"), ("cell", "read"), cell_factor(arch.imc.device)
    umem = f"umem_{arch.imc.umem}"
    plain: dict[Counter, Row] = {
        ("crossbar", "row_drive", "ifmap"): ("row", "drive"),
        ("adc", "convert", ""): _adc(arch),
        ("adc", "mux", ""): ("mux", "switch"),
        ("digital", "add_bit", "psum"): ("add", "bit"),
        ("buffers", "pib_read", "ifmap"): ("pib", "read"),
        ("buffers", "pib_write", "ifmap"): ("pib", "write"),
        ("noc", "inject", ""): ("noc", "flit_hop"),  # a packet over h links passes h + 1 routers
        ("noc", "flit_hop", ""): ("noc", "flit_hop"),
        ("lif", "update", ""): ("lif", "update"),
        ("lif", "umem_read", "psum"): (umem, "read"),
        ("lif", "umem_write", "psum"): (umem, "write"),
    }
    for counter, row in plain.items():
        yield counter, row, 1.0


def _adc(arch: MappedOptions) -> Row:
    return f"adc_{arch.imc.adc.kind}_{arch.imc.adc.bits}", "convert"


def mapped_leakage_mw(plan: CrossbarPlan, arch: MappedOptions) -> float:
    """Leakage power of the potentials, in banks as those of a chip of layers; no other is known."""
    row = CrossbarTable.load(arch.energy.table).row(f"umem_{arch.imc.umem}", "read")
    return -(-int(plan.neurons.sum()) * arch.potential_bits // BANK_BITS) * (row.leakage_mw or 0.0)


def mapped_area_um2(plan: CrossbarPlan, arch: MappedOptions) -> dict[str, float]:
    """Area by component, µm²: a tile with its router for each place of the mesh, a crossbar at those in use.

    Raises
    ------
    EnergyTableError
        If the energy table lacks a row or an area.
    """
    imc, area, homes = arch.imc, CrossbarTable.load(arch.energy.table).area_um2, plan.homes
    columns = homes.outputs * arch.columns_per_weight
    converters, neurons = int(plan.converters.sum()), int(plan.neurons.sum())
    units = int(homes.outputs.clip(max=imc.lif_units)[plan.neurons > 0].sum())
    split = len({*homes.neuron[homes.graph.neurons :].tolist()})
    adders = converters * (imc.adc.bits + arch.slices * imc.device.bits + 1) + split * plan.psum_bits
    return {
        "crossbar": int((homes.inputs * columns).sum()) * area("cell_1t1r", "read"),
        "adc": converters * (area(*_adc(arch)) + area("mux", "switch")),
        "digital": adders * area("add", "bit") + int((-(-columns // 8)).sum()) * area("diff", "op")
        + homes.crossbars * area("temp", "tile"),
        "buffers": int(homes.inputs.sum()) * area("pib", "read"),
        "noc": homes.rows * homes.cols * area("noc", "flit_hop"),
        "lif": neurons * arch.potential_bits * area(f"umem_{imc.umem}", "read")
        + units * area("lif", "update"),
    }  # fmt: skip
