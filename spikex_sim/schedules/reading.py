"""Stored spikes that are read from DRAM into the GLB while the array has nothing to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikex_sim.core.counts import AccessLog, Operations
from spikex_sim.schedules.base import Layout, too_small
from spikex_sim.schedules.steps import Program, Steps, check_number
from spikex_sim.schedules.task import Task
from spikex_sim.spec.arch import Accelerator


@dataclass(frozen=True, eq=False)
class Reading:
    """Transfers alone, where a node needs no array: nothing is issued, and nothing executed.

    Attributes
    ----------
    task : Task
        Whose inputs are read, each word that is stored once.
    waits : bool
        Whether the machine waits for memory.
    """

    task: Task
    waits: bool

    @property
    def mode(self) -> None:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return

    @property
    def bits(self) -> tuple[int, int]:
        """Bits of spikes and of tags: where there are tags, words without a spike are not stored."""
        spikes = tags = 0
        for synapse, given in zip(self.task.inputs.synapses, self.task.inputs.spikes, strict=True):
            words = int(np.count_nonzero(given.tags)) if synapse.tagged else given.tags.size
            spikes += words * given.tws
            tags += given.tags.size if synapse.tagged else 0
        return spikes, tags

    def lay_out(self, arch: Accelerator) -> Layout:
        """Cut what is read into steps that fit the GLB's ifmap half: spikes, then tags (Section 5).

        Raises
        ------
        ConfigError
            If the GLB has no room for a bit.
        """
        spikes, tags = self.bits
        half = max(1, spikes + tags)
        if arch.mapping.tile != "layer":
            half = arch.memory.glb.half_bits("ifmap")
            if half < 1:
                raise too_small("glb", "ifmap", arch, 1, "stored spikes")
        number = -(-(spikes + tags) // half)
        check_number(number, "reads", arch)
        start, end = np.arange(number) * half, np.minimum(np.arange(1, number + 1) * half, spikes + tags)
        first = np.minimum(end, spikes) - np.minimum(start, spikes)
        nothing = np.zeros(number, np.int64)
        bits = {("fetch", "ifmap"): first, ("fetch", "tag"): end - start - first}
        program = Program(((Steps.of(nothing, nothing - 1, nothing, bits), 1),))
        log = AccessLog()
        program.accesses(log, "glb")
        return Layout(program, log.freeze(), Operations(), None, 0, {}, waits=self.waits)

    def places(self, program: Program) -> list[str]:
        """See :class:`spikex_sim.schedules.base.Schedule`."""
        return ["operands"] * len(program)
