"""Rewrite the tables of docs/imc-released.md: what SpikeSim's script leaves out, and what each is worth.

    python scripts/make_imc_released_page.py [--check]

Every effect is on the script's default network, one at a time, all else as in the script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from pages import filled, keep_in_step
from pages import markdown_table as table

import spikex_sim as sx
from spikex_sim.core.geometry import Geometry
from spikex_sim.costs.crossbar import BANK_BITS
from spikex_sim.costs.crossbar_chip import SPIKE_STEPS
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.papers.imc.studies import CHANNELS, SIDES
from spikex_sim.papers.imc.studies import SCRIPT_KERNEL as KERNEL
from spikex_sim.papers.imc.studies import SCRIPT_LAYERS as LAYERS
from spikex_sim.papers.imc.studies import SCRIPT_TIMESTEPS as TIMESTEPS
from spikex_sim.schedules.crossbar import released as script
from spikex_sim.schedules.crossbar.mapping import LayerMapping, Mesh
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import Released, released
from spikex_sim.schedules.crossbar.widths import psum_bits
from spikex_sim.spec.networks import load_network

PAGE = Path(__file__).resolve().parents[1] / "docs" / "imc-released.md"

CLASSES = 10
FLIT_BITS = 32
RATES_OF = "vgg9-cifar10"
"""Network preset whose rates stand in: of its six convolutions, and of what enters its first linear layer."""


@dataclass(frozen=True)
class Difference:
    """One thing that the script leaves out or gets wrong.

    Attributes
    ----------
    what, script, model : str
        What it is about, what the script does and what ``model: events`` does.
    effect : str
        What it is worth on the default network.
    """

    what: str
    script: str
    model: str
    effect: str


@cache
def machine(preset: str = "spikesim-released") -> CrossbarOptions:
    """A preset."""
    arch = sx.load_accelerator(preset)
    assert isinstance(arch, CrossbarOptions)
    return arch


@cache
def default() -> Released:
    """What the script prints of its default run."""
    return released(LAYERS, KERNEL, TIMESTEPS, machine())


def latency_ns(found: Released) -> float:
    """Latency at the preset's clock."""
    return sum(found.cycles) * 1000 / machine().clock_mhz


def pj(value: float) -> str:
    """Energy, in µJ."""
    return f"{value / 1e6:,.3f} µJ"


def mm2(value: float) -> str:
    """Area, in mm²."""
    return f"{value / 1e6:,.3f} mm²"


def ms(value: float) -> str:
    """Time, in ms."""
    return f"{value / 1e6:,.3f} ms"


def changed(what: str, before: float, after: float, show: Callable[[float], str]) -> str:
    """What a quantity becomes, and the difference."""
    return f"{what} {show(before)} → {show(after)} ({100 * (after / before - 1):+.1f} %)"


def energy(after: float) -> str:
    """Energy with one thing put right."""
    return changed("energy", default().energy_pj, after, pj)


def area(after: float) -> str:
    """Area with one thing put right."""
    return changed("area", default().area_um2, after, mm2)


def latency(after: float) -> str:
    """Latency with one thing put right."""
    return changed("latency", latency_ns(default()), after, ms)


def component(name: str) -> float:
    """Energy of a component in the default run, pJ."""
    return sum(by[name] for by in default().energy_pj_by)


def tile_um2() -> float:
    """Area of a tile."""
    um2 = sum(default().area_um2_by[name] for name in ("crossbar", "adc", "digital", "htree"))
    return um2 / default().tiles + script.TILE_BUFFER_UM2


def neurons() -> int:
    """Neurons of the maps that the script counts."""
    return sum(one.outputs for one in LAYERS)


@cache
def mesh() -> Mesh:
    """Where the preset ``spikesim`` puts the network."""
    arch = machine("spikesim")
    return Mesh(tuple(
        LayerMapping.of(
            f"conv{at}", Geometry(one.channels, side, side, KERNEL, KERNEL, 1, 1, 1, 1, side, side),
            one.out_channels, arch,
        )
        for at, (one, side) in enumerate(zip(LAYERS, SIDES, strict=True), 1)
    ))  # fmt: skip


def widths() -> list[int]:
    """Width of the digital sums of each layer, bits."""
    return [psum_bits(machine("spikesim"), one.blocks) for one in mesh().layers]


def row_pj(part: str, action: str) -> float:
    """Energy of the table of crossbar machines."""
    return CrossbarTable.load().energy_pj(part, action)


def row_um2(part: str, action: str) -> float:
    """Area of the table of crossbar machines."""
    return CrossbarTable.load().area_um2(part, action)


def spikes() -> Difference:
    """Every row of every crossbar is charged."""
    rates = list(load_network(RATES_OF).rates.values())[: len(LAYERS)]
    read = sum(by["crossbar"] * rate for by, rate in zip(default().energy_pj_by, rates, strict=True))
    after = default().energy_pj - component("crossbar") + read
    return Difference(
        "spikes", "ignored: every row of every crossbar is active at every position",
        "cells of rows with a spike; nothing at all where no row has one",
        f"at the rates measured on `{RATES_OF}`, cells alone: {energy(after)}; the rest is spared where a "
        "position is silent",
    )  # fmt: skip


def first_layer() -> Difference:
    """The same image is computed at every time point."""
    once = sum(default().energy_pj_by[0].values()) * (TIMESTEPS - 1) / TIMESTEPS
    return Difference(
        "direct encoding", "T multiplies everything, the first layer too, whose input stays the same",
        "the first layer's sums are computed once and kept (`imc.direct`)",
        energy(default().energy_pj - once),
    )  # fmt: skip


def pooling() -> Difference:
    """Convolutions are charged for the map after pooling."""
    conv = tuple(replace(one, out_side=side) for one, side in zip(LAYERS, SIDES, strict=True))
    found = released(conv, KERNEL, TIMESTEPS, machine())
    return Difference(
        "output maps", "of the side after the pooling that follows",
        "every output position of the convolution",
        f"{energy(found.energy_pj)}; {area(found.area_um2)}; {latency(latency_ns(found))}",
    )  # fmt: skip


def slices() -> Difference:
    """A weight is one cell."""
    arch = machine()
    both = arch.model_copy(update={"imc": arch.imc.model_copy(update={"precision_factor": True})})
    found = released(LAYERS, KERNEL, TIMESTEPS, both)
    return Difference(
        "weight slices", "ignored: a weight of any width is one cell",
        f"weights of {arch.weight_bits} bit are {machine('spikesim').slices} cells of {arch.imc.device.bits}",
        f"with `imc.precision_factor`: {energy(found.energy_pj)}; {area(found.area_um2)}",
    )  # fmt: skip


def converters() -> Difference:
    """There is no knob for the converters' resolution."""
    bits = machine("spikesim").imc.adc.bits
    fewer = component("adc") * script.ADC_PJ / (script.ADC_PJ + script.MUX_PJ)
    more = row_pj(f"adc_flash_{bits}", "convert") / script.ADC_PJ
    um2 = default().area_um2_by["adc"] * script.ADC_UM2 / (script.ADC_UM2 + script.MUX_UM2)
    return Difference(
        "converters", "4 bit, without a knob",
        f"`imc.adc.bits`, {bits} as in the paper's Table III, or `auto`",
        f"at {bits} bit: {energy(default().energy_pj + fewer * (more - 1))}; "
        f"{area(default().area_um2 + um2 * (more - 1))}",
    )  # fmt: skip


def lif() -> Difference:
    """64 neurons are charged for every PE cycle."""
    updates = TIMESTEPS * neurons()
    after = default().energy_pj - component("lif") + updates * row_pj("lif", "update")
    return Difference(
        "LIF updates", f"{script.NEURON_PJ} pJ per PE cycle, so again for every group of 64 input channels",
        "one for every neuron and time point", energy(after),
    )  # fmt: skip


def potentials() -> Difference:
    """U_mem is never read."""
    bits = (TIMESTEPS - 1) * neurons() * machine().potential_bits
    more = bits * (row_pj("umem_sram", "read") + row_pj("umem_sram", "write"))
    return Difference(
        "reading and writing potentials", "free",
        "a word read and one written for every neuron between time points",
        energy(default().energy_pj + more),
    )  # fmt: skip


def potential_area() -> Difference:
    """The sum stops at the fifth layer."""
    um2 = script.NEURON_UM2 * sum(one.outputs for one in LAYERS[script.NEURON_LAYERS :])
    return Difference(
        "memory of potentials", "of the first five layers", "of all layers", area(default().area_um2 + um2)
    )


def htree() -> Difference:
    """A constant, whatever moves."""
    bits = sum(
        TIMESTEPS * layer.out_channels * width * layer.pe_rows * one.out_side**2
        for layer, width, one in zip(mesh().layers, widths(), LAYERS, strict=True)
    )
    after = default().energy_pj - component("htree") + bits * row_pj("htree", "up")
    return Difference(
        "H-tree", f"{script.HTREE_PJ} pJ per PE cycle, the same for crossbars of 16 and of 256 columns",
        "bits of sums, as wide as they are, and of spikes",
        f"sums of {min(widths())} to {max(widths())} bit: {energy(after)}",
    )  # fmt: skip


def adders() -> Difference:
    """Sums add up for nothing."""
    arch, bits = machine("spikesim"), 0
    for layer, width, one in zip(mesh().layers, widths(), LAYERS, strict=True):
        additions = arch.slices * layer.pe_rows + layer.pe_rows - 1
        bits += TIMESTEPS * one.out_side**2 * layer.out_channels * additions * width
    after = default().energy_pj - component("digital") + bits * row_pj("add", "bit")
    return Difference(
        "digital sums", f"{script.SUBTRACTION_PJ} pJ a subtraction; shift-and-add and sums of PEs free",
        "every bit of every addition", energy(after),
    )  # fmt: skip


def flit_hops() -> int:
    """Flits times hops of one dense inference: spikes in and sums out."""
    total = 0
    for layer, width, side, hops in zip(mesh().layers, widths(), SIDES, mesh().hops(), strict=True):
        for tile, group, _, _ in layer.parts:
            flits = 1 + -(-int(layer.group_sizes[group]) * width // FLIT_BITS)
            total += TIMESTEPS * side**2 * flits * int(hops[tile])
        of_rows = layer.channels_of_rows()
        kinds, _, far = layer.rows_of_tiles(hops)
        for rows, away in zip(kinds, far.tolist(), strict=True):
            has = np.logical_or.reduce(of_rows[rows], axis=0)
            words = sum(bool(has[at : at + FLIT_BITS].any()) for at in range(0, layer.channels, FLIT_BITS))
            total += TIMESTEPS * side**2 * (1 + words) * away
    return total


def network_on_chip() -> Difference:
    """Tiles are not connected."""
    after = default().energy_pj + flit_hops() * row_pj("noc", "flit_hop")
    um2 = default().area_um2 + mesh().tiles * row_um2("noc", "flit_hop")
    return Difference(
        "network on chip", "left out", "flits of spikes and of sums times hops, a router in every tile",
        f"dense, {mesh().tiles} tiles of 8-bit weights: {energy(after)}; {area(um2)}",
    )  # fmt: skip


def global_buffer() -> Difference:
    """Spikes come from nowhere."""
    arch = machine("spikesim")
    bits = TIMESTEPS * neurons() + CHANNELS[0] * SIDES[0] ** 2
    um2 = 8 * arch.imc.buffers.gb * row_um2("gb", "read")
    return Difference(
        "global buffer", "left out", "spikes written when they are made, and read for every tile",
        f"{energy(default().energy_pj + bits * row_pj('gb', 'write'))}, writes alone; "
        f"{area(default().area_um2 + um2)}",
    )  # fmt: skip


def packing() -> Difference:
    """Layers share tiles."""
    per_tile = machine().imc.pes_per_tile
    tiles = sum(-(-number // per_tile) for number in default().pes)
    return Difference(
        "tiles", f"packed over layers: {default().tiles}", f"no tile holds two layers: {tiles}",
        area(default().area_um2 + (tiles - default().tiles) * tile_um2()),
    )  # fmt: skip


def cells() -> Difference:
    """A crossbar has one area."""
    arch = machine()
    crossbars = default().tiles * arch.imc.pes_per_tile * KERNEL**2
    um2 = crossbars * arch.imc.crossbar**2 * row_um2("cell_1t1r", "read")
    return Difference(
        "cells", "4 F² a cell, without transistor, and 64x64 of them whatever the crossbar",
        "53 F², one transistor and one device",
        area(default().area_um2 - default().area_um2_by["crossbar"] + um2),
    )  # fmt: skip


def buffers() -> Difference:
    """Buffers are smaller than the paper's."""
    arch = machine("spikesim")
    sizes = arch.imc.buffers
    tiles, pes = default().tiles, sum(default().pes)
    um2 = 8 * (tiles * sizes.tb * row_um2("tb", "access") + pes * sizes.pb * row_um2("pb", "access"))
    return Difference(
        "buffers of sums", "1 KB a tile, none in PEs",
        f"{sizes.tb // 1024} KB a tile, {sizes.pb // 1024} KB a PE, as in the paper's Table III",
        area(default().area_um2 - tiles * script.TILE_BUFFER_UM2 + um2),
    )  # fmt: skip


def spike_buffer() -> Difference:
    """A spike is stored as a potential."""
    inputs = sum(one.inputs for one in LAYERS)
    after = default().area_um2 - script.NEURON_UM2 * inputs + SPIKE_STEPS * inputs * row_um2("spikes", "bit")
    return Difference(
        "spike buffer", f"{script.NEURON_BITS} bit a spike", f"a bit a spike, for {SPIKE_STEPS} time points",
        area(after),
    )  # fmt: skip


def by_position() -> Difference:
    """Latency counts neurons."""
    *before, last = (one.out_side**2 for one in LAYERS)
    positions = sum(script.START_NUMERATOR * one // script.START_DENOMINATOR for one in before) + last
    return Difference(
        "cycles of a layer", "a PE cycle for every neuron, though its energy counts one for every position",
        "a PE cycle for every position: the columns of a crossbar are read together",
        latency(script.PE_CYCLE * TIMESTEPS * positions * 1000 / machine().clock_mhz),
    )  # fmt: skip


def overlap() -> Difference:
    """A layer starts at three quarters."""
    cycles = script.PE_CYCLE * TIMESTEPS * neurons()
    return Difference(
        "overlap of layers", "a layer starts when 0.75 of the outputs before it are there, whatever it needs",
        "rows wait for the rows, sums and potentials that they need",
        f"without any overlap: {latency(cycles * 1000 / machine().clock_mhz)}",
    )  # fmt: skip


def linear() -> Difference:
    """Only convolutions are costed."""
    arch, last = machine(), LAYERS[-1]
    blocks = -(-last.outputs // arch.imc.crossbar)
    pes = -(-blocks // arch.imc.crossbars_per_pe)
    pj_of_cycle = sum(script.pe_cycle_pj(KERNEL, arch).values())
    tiles = -(-(sum(default().pes) + pes) // arch.imc.pes_per_tile) - default().tiles
    return Difference(
        "linear layers", "left out", "mapped like convolutions of 1x1",
        f"a classifier of {last.outputs:,} to {CLASSES}, {pes} PEs: "
        f"{energy(default().energy_pj + TIMESTEPS * pes * pj_of_cycle)}; "
        f"{area(default().area_um2 + tiles * tile_um2())}",
    )  # fmt: skip


def kernels() -> Difference:
    """One kernel for all layers."""
    arch = machine()
    nine, one = (sum(script.pe_cycle_pj(kernel, arch).values()) for kernel in (KERNEL, 1))
    return Difference(
        "kernels", "that of the first layer for all", "each layer's own",
        f"none here, all are {KERNEL}x{KERNEL}; a 1x1 layer among them is charged {nine:.1f} pJ a PE cycle "
        f"in place of {one:.1f}",
    )  # fmt: skip


def leakage() -> Difference:
    """Nothing leaks."""
    mw = CrossbarTable.load().row("umem_sram", "read").leakage_mw or 0.0
    banks = -(-neurons() * machine().potential_bits // BANK_BITS)
    power_mw = banks * mw
    return Difference(
        "leakage", "left out", "U_mem leaks as long as an inference takes; reported apart",
        f"{banks} banks of 8 KB, {power_mw:.1f} mW: {pj(power_mw * latency_ns(default()))} in the script's "
        f"{ms(latency_ns(default()))}, beside {pj(default().energy_pj)} of dynamic energy",
    )  # fmt: skip


DIFFERENCES: Sequence[Callable[[], Difference]] = (
    *(spikes, first_layer, pooling, slices, converters, lif, potentials, htree, adders, network_on_chip),
    *(global_buffer, leakage, by_position, overlap, potential_area, spike_buffer, buffers, packing, cells),
    *(linear, kernels),
)  # fmt: skip


def tables() -> Iterator[tuple[str, str]]:
    """Tables of the page, by the name in their markers."""
    found = default()
    yield "default", table(
        ("what", "figure"),
        [
            ("energy", f"{found.energy_pj:,.3f} pJ"), ("area", f"{found.area_um2:,.3f} µm²"),
            ("latency", f"{latency_ns(found):,.0f} ns"), ("PEs, tiles", f"{sum(found.pes)}, {found.tiles}"),
        ],
    )  # fmt: skip
    rows = [make() for make in DIFFERENCES]
    yield (
        "differences",
        table(
            ("what", "the script", "`model: events`", "effect on the default network"),
            [(one.what, one.script, one.model, one.effect) for one in rows],
        ),
    )


def rewritten(page: str) -> str:
    """Put the current tables between the page's markers."""
    return filled(page, "make_imc_released_page", tables())


if __name__ == "__main__":
    keep_in_step(PAGE, rewritten, "make_imc_released_page", __doc__)
