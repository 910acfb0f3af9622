"""The SpikeX paper's policy, its two halves by themselves for ablation, and one without ragged runs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikex_sim.schedules.ntwu.packing import (
    NO_HARDWARE,
    DispatchHardware,
    DispatchSizes,
    Packing,
    Runs,
    TileView,
)


class AgileDispatch:
    """SpikeX: temporal mode where a neuron fills the columns by itself, else spatial (Section 3)."""

    across: ClassVar[bool] = False
    """Whether a run of windows goes on over the next position."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:
        """Temporal iff the mean number of active NTWUs per neuron exceeds the columns."""
        return "temporal" if int(active.sum()) > cols * len(active) else "spatial"

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        """Pack by position in temporal mode, by window in spatial mode."""
        return self.runs(tile.active, cols, mode)(0, len(tile.active), 0, tile.active.shape[1])

    def runs(self, active: NDArray[np.bool_], cols: int, mode: str) -> Runs:
        """Pack any tile of a layer, or all, in the same way."""
        return Runs(active, cols, by_window=mode != "temporal", across=self.across)

    def hardware(self, sizes: DispatchSizes) -> DispatchHardware:  # noqa: ARG002
        """Nothing: NTWUs are issued in the order in which their tags are read."""
        return NO_HARDWARE


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


class AcrossDispatch(AgileDispatch):
    """As SpikeX, but in temporal mode a run that does not fill the columns goes on over the next position."""

    across = True
