"""A layer of a run, with everything that its hardware is told and must answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.rtl.hardware import Hardware
from spikex_sim.schedules.base import Layout
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True)
class Slot:
    """Taps that share a slot of a batch.

    Attributes
    ----------
    taps : list of int
        As :attr:`NtwuSchedule.streamed` numbers them.
    words : list of int
        Spike word of each column; time point ``t`` of the window is bit ``t``.
    lanes : list of int
        Which of the taps each column takes.
    """

    taps: list[int]
    words: list[int]
    lanes: list[int]


@dataclass(frozen=True)
class RtlLayer:
    """A layer as it is scheduled, laid out and executed.

    Attributes
    ----------
    schedule, layout, synapses : NtwuSchedule, Layout, Synapses
        Of the simulator.
    outputs : uint8 array ``[M, P, ceil(T/8)]``
        Spikes that executing the schedule gives.
    arch : Accelerator
        The machine.
    hardware : Hardware
        The array that runs it.
    """

    schedule: NtwuSchedule
    layout: Layout
    synapses: Synapses
    outputs: NDArray[np.uint8]
    arch: Accelerator
    hardware: Hardware

    @property
    def rows(self) -> list[int]:
        """Rows in use of each row group."""
        return self.schedule.groups.sizes

    @cached_property
    def batches(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions and windows of each batch's columns."""
        schedule = self.schedule
        cuts = schedule.batch_columns[1:-1]
        return list(
            zip(np.split(schedule.position, cuts), np.split(schedule.window, cuts), strict=True)
        ) if schedule.batches else []  # fmt: skip

    @cached_property
    def width(self) -> NDArray[np.int64]:
        """Columns of the widest batch of each batch's tile."""
        columns = np.diff(self.schedule.batch_columns)
        starts = self.schedule.tile_batches
        width = np.zeros(self.schedule.batches, np.int64)
        for first, stop in pairwise(starts.tolist()):
            width[first:stop] = columns[first:stop].max(initial=0)
        return width

    @cached_property
    def ends_tile(self) -> NDArray[np.bool_]:
        """Batches that are the last of their tile."""
        found = np.zeros(self.schedule.batches + 1, bool)
        found[self.schedule.tile_batches[1:]] = True
        return found[1:]

    @cached_property
    def slots(self) -> list[list[Slot]]:
        """What each batch streams."""
        found = []
        for batch, streamed in enumerate(self.schedule.surveyed.streamed):
            taps = np.flatnonzero(streamed)
            words = self.words(batch, taps)
            found.append(self._packed(taps, words) if self.schedule.packs_taps else alone(taps, words))
        return found

    def words(self, batch: int, taps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Spike words ``[taps, columns]`` of some taps in the columns of a batch."""
        inputs = self.schedule.task.inputs
        geometry, (position, window) = inputs.synapses[0].geometry, self.batches[batch]
        pixel = inputs.field.place[position[:, None], taps // geometry.channels]
        of_input = taps % geometry.channels * geometry.pixels + pixel
        seen: NDArray[np.int64] = np.where(pixel < 0, 0, self._spike_words[of_input, window[:, None]])
        return seen.T

    @cached_property
    def _spike_words(self) -> NDArray[np.int64]:
        """Words ``[channel * pixels + pixel, window]``."""
        spikes = self.schedule.task.inputs.spikes[0]
        number, tws = len(spikes.starts) - 1, spikes.tws
        words = np.zeros((number, spikes.windows), np.int64)
        of_input = np.repeat(np.arange(number), np.diff(spikes.starts))
        np.add.at(words, (of_input, spikes.times // tws), 1 << (spikes.times % tws).astype(np.int64))
        return words

    def _packed(self, taps: NDArray[np.int64], words: NDArray[np.int64]) -> list[Slot]:
        """First fit in the order (channel, filter position), as :func:`count_slots` counts."""
        geometry = self.schedule.task.inputs.synapses[0].geometry
        order = np.argsort(taps % geometry.channels * geometry.filter_taps + taps // geometry.channels)
        slots: list[Slot] = []
        for tap, seen in zip(taps[order].tolist(), words[order].tolist(), strict=True):
            home = next(
                (one for one in slots if not any(a and b for a, b in zip(one.words, seen, strict=True))), None
            )
            if home is None:
                home = Slot([], [0] * len(seen), [0] * len(seen))
                slots.append(home)
            for column, word in enumerate(seen):
                if word:
                    home.words[column], home.lanes[column] = word, len(home.taps)
            home.taps.append(tap)
        return slots


def alone(taps: NDArray[np.int64], words: NDArray[np.int64]) -> list[Slot]:
    """Taps that have a slot each."""
    return [
        Slot([tap], seen, [0] * len(seen)) for tap, seen in zip(taps.tolist(), words.tolist(), strict=True)
    ]


def check_packing(layer: RtlLayer) -> None:
    """Refuse a batch that shares slots and is cut into steps: the simulator packs the taps of a step.

    Raises
    ------
    UnsupportedError
        Naming the key that helps.
    """
    program = layer.layout.program
    of_batch = program.batch[program.batch >= 0]
    if layer.schedule.packs_taps and len(of_batch) > len(layer.rows) * layer.schedule.batches:
        raise UnsupportedError(
            "with stsap the hardware packs the taps of a whole batch, and here a batch takes several steps; "
            "say mapping.tile=layer",
            where=layer.arch.name, field="stsap",
        )  # fmt: skip
