"""Schedules of time-serial machines: spikes one after the other (docs/accelerators/spinalflow.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry


@dataclass(frozen=True)
class SerialSchedule:
    """Positions one after the other, for every channel group alike.

    Attributes
    ----------
    geometry : Geometry
        Sizes of the layer.
    groups : tuple of int
        Output channels of each group, in order.
    lanes : int
        PEs of the vector.
    tws : int
        Time points handled together: all of them.
    spikes, updates : int64 array ``[P]``
        Spikes in the receptive field of each position, and time points at which its neurons are updated.
    """

    geometry: Geometry
    groups: tuple[int, ...]
    lanes: int
    tws: int
    spikes: NDArray[np.int64]
    updates: NDArray[np.int64]

    @property
    def mode(self) -> None:
        """There are no modes."""
        return

    @property
    def issued(self) -> NDArray[np.bool_]:
        """Positions that have work."""
        return self.spikes + self.updates > 0

    # What executing needs: every position with work is a batch of one column, the whole horizon its window.

    @property
    def position(self) -> NDArray[np.int64]:
        """Position of each batch."""
        return np.flatnonzero(self.issued)

    @property
    def window(self) -> NDArray[np.int64]:
        """Window of each batch: the only one."""
        return np.zeros(len(self.position), np.int64)

    @property
    def batch_columns(self) -> NDArray[np.int64]:
        """One column a batch."""
        return np.arange(len(self.position) + 1)
