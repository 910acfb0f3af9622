"""The SpikeX paper's policy, and its two halves by themselves for ablation (Section 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikex_sim.schedules.ntwu.packing import Packing, TileView, pack_by_position, pack_by_window


class AgileDispatch:
    """SpikeX: temporal mode where a neuron fills the columns by itself, else spatial (Section 3)."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:
        """Temporal iff the mean number of active NTWUs per neuron exceeds the columns."""
        return "temporal" if int(active.sum()) > cols * len(active) else "spatial"

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        """Pack by position in temporal mode, by window in spatial mode."""
        return (
            pack_by_position(tile.active, cols) if mode == "temporal" else pack_by_window(tile.active, cols)
        )


class TemporalDispatch(AgileDispatch):
    """Always temporal: SpikeX without its high-spatial-density mode, for ablation."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:  # noqa: ARG002
        """Return ``temporal``."""
        return "temporal"


class SpatialDispatch(AgileDispatch):
    """Always spatial, for ablation."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:  # noqa: ARG002
        """Return ``spatial``."""
        return "spatial"
