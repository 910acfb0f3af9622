"""Components of a crossbar machine and what their actions cost (Section 2, Energy = counts x table)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from spikex_sim.core.counts import READ, WRITE, Counter, Counts
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.costs.energy import Component
from spikex_sim.schedules.crossbar.options import Cells, CrossbarOptions
from spikex_sim.schedules.crossbar.widths import adc_bits

CROSSBAR_COMPONENTS = ("crossbar", "adc", "digital", "buffers", "htree", "noc", "lif")
BANK_BITS = 65536
"""U_mem is built of banks of so many bits, which leak whether they are full or not."""
REFERENCE_R_ON_KOHM, REFERENCE_V_READ = 20.0, 0.1
"""Lowest resistance and read voltage of the table's cell."""
VIEWS: dict[Counter, float] = dict.fromkeys(
    product(("glb", "lbuf", "rf"), (READ, WRITE), ("ifmap", "ofmap", "psum")), 0.0
)
"""Accesses that are charged where they happen, told again by level of memory for tables that put machines
side by side."""


LEVELS_OF: dict[tuple[str, str], str] = {
    ("lif", "update"): "alu", **{("lif", action): "glb" for action in
                                ("umem_read", "umem_write", "current_read", "current_write")},
    **{("buffers", action): "lbuf" for action in ("pib_read", "pib_write", "tb", "tib_read", "tib_write")},
    ("buffers", "pb"): "rf", ("buffers", "gb_read"): "glb", ("buffers", "gb_write"): "glb",
    ("noc", "flit_hop"): "glb", ("noc", "inject"): "glb", ("htree", "up"): "lbuf", ("htree", "down"): "lbuf",
}  # fmt: skip
"""Where other machines have what components do, for tables that put machines side by side; the rest is
``alu`` (Section 5)."""

Row = tuple[str, str]
"""Part and action of the energy table."""


def adc_row(arch: CrossbarOptions) -> Row:
    """Row of the converters; :class:`ConfigError` if their resolution has none."""
    return f"adc_{arch.imc.adc.kind}_{adc_bits(arch)}", "convert"


def crossbar_components(arch: CrossbarOptions) -> tuple[Component, ...]:
    """Price what a crossbar machine does.

    Leakage and area follow from the network as well: :mod:`spikex_sim.costs.crossbar_chip`.

    Parameters
    ----------
    arch : CrossbarOptions
        Configuration.

    Returns
    -------
    tuple of Component
        :data:`CROSSBAR_COMPONENTS`, pJ per count.

    Raises
    ------
    EnergyTableError
        If the energy table lacks a row.
    ConfigError
        If ``imc.adc.bits`` is ``auto`` and no converter is that fine.
    """
    return priced(arch.energy.table, CROSSBAR_COMPONENTS, _charges(arch))


def priced(
    table_name: str, names: Sequence[str], charges: Iterable[tuple[Counter, Row, float]]
) -> tuple[Component, ...]:
    """Components by name, with what each of their counters costs: so many energies of a row of the table."""
    table = CrossbarTable.load(table_name)
    prices: dict[str, dict[Counter, float]] = {name: {} for name in names}
    provenance: dict[str, dict[str, str]] = {name: {} for name in names}
    for counter, (part, action), factor in charges:
        row, component = table.row(part, action), counter[0]
        prices[component][counter] = factor * table.energy_pj(part, action)
        provenance[component][row.label] = f"{row.label}: {row.source}; {row.derivation}"
    prices["buffers"] |= VIEWS
    return tuple(
        Component(
            name, prices[name], provenance=provenance[name],
            levels={counter[1]: LEVELS_OF.get(counter[:2], "alu") for counter in prices[name]},
        )
        for name in names
    )  # fmt: skip


BUFFERS: dict[tuple[str, str], tuple[str | None, str | None]] = {
    ("pib", "ifmap"): ("pib_read", "pib_write"), ("tib", "ifmap"): ("tib_read", "tib_write"),
    ("pb", "psum"): ("pb", "pb"), ("tb", "psum"): ("tb", "tb"),
    ("gb", "ifmap"): ("gb_read", None), ("gb", "ofmap"): (None, "gb_write"),
    ("umem", "psum"): ("umem_read", "umem_write"), ("currents", "psum"): ("current_read", "current_write"),
}  # fmt: skip
"""Memories of a crossbar machine by name and tensor, and the actions that read and write them."""


class BufferRow(NamedTuple):
    """What one memory reads and writes of one tensor, in bits and pJ."""

    level: str
    tensor: str
    read_bits: int
    write_bits: int
    read_pj: float
    write_pj: float


def buffer_rows(counts: Counts, components: Iterable[Component]) -> Iterator[BufferRow]:
    """Accesses of a crossbar machine, memory by memory, with what is charged for them."""
    prices = {counter: pj for one in components for counter, pj in (one.prices or {}).items()}
    for (level, tensor), actions in BUFFERS.items():
        component = "lif" if level in ("umem", "currents") else "buffers"
        shared = 2 if actions[0] == actions[1] else 1  # counted together: as often read as written
        bits, spent = [0, 0], [0.0, 0.0]
        for way, action in enumerate(actions):
            counter = (component, action or "", tensor)
            bits[way] = counts[counter] // shared
            spent[way] = bits[way] * prices.get(counter, 0.0)
        yield BufferRow(level, tensor, *bits, *spent)


def cell_factor(cells: Cells) -> float:
    """Energies of the table's cell that a cell costs (Section 2, Energy = counts x table)."""
    return REFERENCE_R_ON_KOHM / cells.r_on_kohm * (cells.v_read / REFERENCE_V_READ) ** 2


def _charges(arch: CrossbarOptions) -> Iterator[tuple[Counter, Row, float]]:
    """Every counter, the row that it is charged with, and how many of its energies."""
    imc = arch.imc
    yield ("crossbar", "cell_read", "filter"), ("cell", "read"), cell_factor(imc.device)
    has_tib = 1.0 if imc.buffers.tib else 0.0
    yield ("buffers", "tib_read", "ifmap"), ("tib", "read"), has_tib
    yield ("buffers", "tib_write", "ifmap"), ("tib", "write"), has_tib
    umem = f"umem_{imc.umem}"
    plain: dict[Counter, Row] = {
        ("crossbar", "row_drive", "ifmap"): ("row", "drive"),
        ("adc", "convert", ""): adc_row(arch),
        ("adc", "mux", ""): ("mux", "switch"),
        ("digital", "add_bit", "psum"): ("add", "bit"),
        ("digital", "sign_read", "filter"): ("umem_sram", "read"),
        ("buffers", "pib_read", "ifmap"): ("pib", "read"),
        ("buffers", "pib_write", "ifmap"): ("pib", "write"),
        ("buffers", "pb", "psum"): ("pb", "access"),
        ("buffers", "tb", "psum"): ("tb", "access"),
        ("buffers", "gb_read", "ifmap"): ("gb", "read"),
        ("buffers", "gb_write", "ofmap"): ("gb", "write"),
        ("htree", "up", "psum"): ("htree", "up"),
        ("htree", "down", "ifmap"): ("htree", "down"),
        ("noc", "flit_hop", ""): ("noc", "flit_hop"),
        ("lif", "update", ""): ("lif", "update"),
        ("lif", "umem_read", "psum"): (umem, "read"),
        ("lif", "umem_write", "psum"): (umem, "write"),
        ("lif", "current_read", "psum"): ("umem_sram", "read"),
        ("lif", "current_write", "psum"): ("umem_sram", "write"),
    }
    for counter, row in plain.items():
        yield counter, row, 1.0
