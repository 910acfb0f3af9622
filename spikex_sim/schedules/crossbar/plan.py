"""What a layer's counts and cycles follow from beside its spikes: found once, the same for all samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.schedules.crossbar.counting import Packets, Parts, packets_to, parts_of
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import Cells, CrossbarOptions
from spikex_sim.schedules.crossbar.widths import adc_bits, psum_bits

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer in its place on a chip.

    Attributes
    ----------
    mapping : LayerMapping
        Where its weights lie.
    hops : int64 array ``[tiles]``
        From each of its tiles to the global node.
    psum_bits, adc_bits : int
        Width ``b_s`` of its digital sums, and of its conversions.
    pe_cycle : int
        Cycles of a PE for one position and time point.
    parts : Parts
        Column groups in tiles, whose sums go out.
    tiles, pes : Packets
        Where spikes go to on the mesh, and on the H-trees.
    farthest : int
        Most hops of a tile.
    sizes : mapping
        As in ``results.json``.
    """

    mapping: LayerMapping
    hops: Ints
    psum_bits: int
    adc_bits: int
    pe_cycle: int
    parts: Parts
    tiles: Packets
    pes: Packets
    farthest: int
    sizes: Mapping[str, Any]

    @classmethod
    def of(cls, mapping: LayerMapping, arch: CrossbarOptions, hops: Ints) -> LayerPlan:
        """Plan a layer.

        Raises
        ------
        ConfigError
            If ``imc.adc.bits`` is ``auto`` and needs a converter whose cost is not known.
        """
        width, converted, cycle = psum_bits(arch, mapping.blocks), adc_bits(arch), pe_cycle(mapping, arch)
        sizes = {
            "blocks": mapping.blocks,
            "pe_rows": mapping.pe_rows,
            "column_groups": mapping.column_groups,
            "channels_per_crossbar": mapping.width,
            "pes": mapping.pes,
            "tiles": mapping.tiles,
            "cell_utilization": mapping.cell_utilization,
            "pe_cycle": cycle,
            "adc_bits": converted,
            "adc_shift": 0,
            "psum_bits": width,
        }
        tiles, pes = _destinations(mapping, hops)
        return cls(
            mapping, hops, width, converted, cycle, parts_of(mapping, width, hops), tiles, pes,
            int(hops.max()), FrozenMap(sizes),
        )  # fmt: skip

    def holding(self, mapping: LayerMapping, arch: CrossbarOptions) -> LayerPlan:
        """The plan of what a schedule maps to these tiles: this one, but where it maps something else."""
        return self if mapping is self.mapping else LayerPlan.of(mapping, arch, self.hops)


def _destinations(mapping: LayerMapping, hops: Ints) -> tuple[Packets, Packets]:
    """Tiles, with hops, and PEs that input spikes go to."""
    of_rows = mapping.channels_of_rows()
    each = np.full(mapping.pe_rows, mapping.column_groups, np.int64)
    kinds, number, far = mapping.rows_of_tiles(hops)
    return (
        packets_to(np.stack([of_rows[rows].any(axis=0) for rows in kinds]), number, far),
        packets_to(of_rows, each, np.zeros_like(each)),
    )


def pe_cycle(mapping: LayerMapping, arch: CrossbarOptions) -> int:
    """Cycles of a PE for one position and time point (Section 3)."""
    imc = arch.imc
    converters = -(-imc.crossbar // imc.adc.mux)
    phases = -(-int(mapping.group_sizes.max()) * mapping.columns_per_weight // converters)
    return imc.overhead_cycles + phases * (imc.phase_cycles + settle_cycles(imc.device))


def settle_cycles(cells: Cells) -> int:
    """Cycles until a column has settled: more for higher resistances and lower read voltages."""
    mean = 1 / Fraction(str(cells.r_on_kohm)) + 1 / Fraction(str(cells.r_off_kohm))
    reference = Fraction(1, 20) + Fraction(1, 200)
    return ceil(reference * Fraction(1, 10) / (mean * Fraction(str(cells.v_read))))
