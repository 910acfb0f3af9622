"""NTWU schedules: batches of (position, window) columns that share streamed taps (Sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikex_sim.schedules.base import APART, Handover, Layout, RowGroups, named_range
from spikex_sim.schedules.ntwu.check import check
from spikex_sim.schedules.ntwu.execute import execute
from spikex_sim.schedules.ntwu.laying import lay_out
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.packing import (
    NO_HARDWARE,
    DispatchHardware,
    Packing,
    TileShape,
    cut_tiles,
    pack_tiles,
)
from spikex_sim.schedules.ntwu.survey import Survey, survey
from spikex_sim.schedules.steps import Program
from spikex_sim.schedules.synapses import Executed, Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True, eq=False)
class NtwuSchedule:
    """What is issued when, for every row group alike (struct of arrays).

    It is plain arrays, and holds for every row group, because the output channels at one position share their
    receptive field and therefore their activity.

    Attributes
    ----------
    task : Task
        What was asked for.
    groups : RowGroups
        Row groups, the outermost loop (of each run).
    mode : str or None
        ``temporal``, ``spatial``, or None where the accelerator has no modes.
    shape : TileShape
        Cut into tiles.
    tiles : int64 array ``[tiles, 4]``
        First and last-plus-one position, first and last-plus-one window, in loop order.
    tile_batches : int64 array ``[tiles + 1]``
        Batches of tile ``i`` are ``tile_batches[i]:tile_batches[i + 1]``.
    batch_columns : int64 array ``[batches + 1]``
        Columns of batch ``b`` are ``batch_columns[b]:batch_columns[b + 1]``.
    position, window : int64 array ``[columns]``
        The NTWU in each column. The windows of a position ascend.
    active : bool array ``[P, N_TW]``
        NTWUs active by their tag (or because silence is not free).
    stream : str
        ``tap``, ``channel`` or ``all``.
    tailored : bool
        Whether only the weights and SP-MBs of active channels move.
    packs_taps : bool
        Whether taps whose windows do not overlap share an integration slot (StSAP).
    owes_all : bool
        Whether silent NTWUs are owed as well as active ones.
    streamed : uint8 array ``[batches, taps]`` or None
        1 for the taps that each batch streams, the channels of a filter position side by side; None: those
        that the tags of its columns ask for, in the way ``stream`` says.
    dispatcher : DispatchHardware
        What chooses the columns.
    """

    task: Task
    groups: RowGroups
    mode: str | None
    shape: TileShape
    tiles: NDArray[np.int64]
    tile_batches: NDArray[np.int64]
    batch_columns: NDArray[np.int64]
    position: NDArray[np.int64]
    window: NDArray[np.int64]
    active: NDArray[np.bool_]
    stream: str
    tailored: bool
    packs_taps: bool = False
    owes_all: bool = False
    streamed: NDArray[np.uint8] | None = None
    dispatcher: DispatchHardware = NO_HARDWARE

    @classmethod
    def of(
        cls,
        task: Task,
        rows: int,
        shape: TileShape,
        pack: Callable[[int, int, int, int], Packing],
        *,
        mode: str | None,
        stream: str,
        tailored: bool,
        packs_taps: bool = False,
        owes_all: bool = False,
        dispatcher: DispatchHardware = NO_HARDWARE,
    ) -> NtwuSchedule:
        """Cut a layer into tiles and pack each of them.

        Parameters
        ----------
        pack : callable
            Takes the first and last-plus-one position and window of a tile and packs it;
            :class:`~spikex_sim.schedules.ntwu.packing.Runs` pack all tiles at once.
        rows : int
            Rows of the array.
        task, shape, mode, stream, tailored, packs_taps, owes_all, dispatcher
            See the class.
        """
        tiles = cut_tiles(task.positions, task.inputs.windows, shape)
        tile_batches, batch_columns, position, window = pack_tiles(pack, tiles)
        return cls(
            task=task,
            groups=RowGroups(rows, task.out_channels),
            mode=mode,
            shape=shape,
            tiles=tiles,
            tile_batches=tile_batches,
            batch_columns=batch_columns,
            position=position,
            window=window,
            active=task.active,
            stream=stream,
            tailored=tailored,
            packs_taps=packs_taps,
            owes_all=owes_all,
            dispatcher=dispatcher,
        )

    @property
    def tws(self) -> int:
        """``TWS``, time points."""
        return self.task.tws

    @property
    def windows(self) -> int:
        """``N_TW``."""
        return self.task.inputs.windows

    @property
    def runs(self) -> int:
        """How many runs of windows follow each other; one where no output comes back as input."""
        return -(-self.windows // self.shape.windows) if self.shape.by_run else 1

    @property
    def batches(self) -> int:
        """Batches of one row group."""
        return len(self.batch_columns) - 1

    @cached_property
    def issued(self) -> NDArray[np.bool_]:
        """NTWUs that have a column, ``[P, N_TW]``."""
        found = np.zeros_like(self.active)
        found[self.position, self.window] = True
        return found

    @cached_property
    def surveyed(self) -> Survey:
        """What each batch streams, touches and adds."""
        return survey(
            self.task.inputs, self.batch_columns, self.position, self.window, self.stream, self.streamed
        )  # fmt: skip

    def check(self, arch: Accelerator) -> None:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        check(self, arch)

    def lay_out(self, arch: NtwuOptions, handover: Handover = APART) -> Layout:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return lay_out(self, arch, handover)

    def execute(self, synapses: Synapses) -> Executed:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return execute(self, synapses)

    def places(self, program: Program) -> list[str]:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        starts = self.batch_columns[:-1]
        batches = np.stack(
            [
                reduce.reduceat(values, starts) if len(starts) else starts
                for values in (self.position, self.window)
                for reduce in (np.minimum, np.maximum)
            ],
            axis=-1,
        )
        tiles = self.tiles - np.array([0, 1, 0, 1])
        named = []
        for group, tile, batch in zip(program.group, program.tile, program.batch, strict=True):
            p0, p1, w0, w1 = (batches[batch] if batch >= 0 else tiles[tile]).tolist()
            at = (
                f"group {group} tile {tile} {named_range('position', p0, p1)} {named_range('window', w0, w1)}"
            )
            named.append(at + (f" batch {batch}" if batch >= 0 else " outputs"))
        return named
