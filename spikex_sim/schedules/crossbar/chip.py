"""What area and leakage of a crossbar machine follow from: the layers of one network (Section 2, Area)."""

from __future__ import annotations

from dataclasses import dataclass

from spikex_sim.schedules.crossbar.mapping import LayerMapping


@dataclass(frozen=True, eq=False)
class ChipLayer:
    """A layer as the chip is sized for it.

    Attributes
    ----------
    mapping : LayerMapping
        Its crossbars.
    input_bits : int
        Spikes of its input map at a time point, ``C H W``.
    positions, row_positions : int
        Output positions ``P``, and those of an output row, ``W_o``.
    direct : bool
        Whether its sums are computed once and kept (direct encoding).
    psum_bits : int
        Width ``b_s`` of its sums, bits.
    """

    mapping: LayerMapping
    input_bits: int
    positions: int
    row_positions: int
    direct: bool
    psum_bits: int


@dataclass(frozen=True, eq=False)
class Chip:
    """A machine made for one network.

    Attributes
    ----------
    layers : tuple of ChipLayer
        In order.
    timesteps : int
        Time points ``T`` of an inference.
    """

    layers: tuple[ChipLayer, ...]
    timesteps: int
