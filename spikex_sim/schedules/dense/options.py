"""Keys of dense arrays."""

from __future__ import annotations

from spikex_sim.spec.arch import Accelerator, Glb, Lbuf, Memory, OfGraphs, PsumPart, ZeroGating

STATE = ("memory.glb.partition.psum", "memory.lbuf.partition.psum")
"""Keys that say how much of potentials and partial sums stays in the buffers."""


class DenseGlb(Glb):
    """Global buffer that holds potentials and partial sums."""

    partition: PsumPart = PsumPart(ifmap=0.3, filter=0.6)


class DenseLbuf(Lbuf):
    """Local buffer that holds potentials and partial sums."""

    partition: PsumPart = PsumPart(ifmap=0.25, filter=0.5, psum=0.2)


class DenseMemory(Memory):
    """Memories of a dense array."""

    glb: DenseGlb = DenseGlb()
    lbuf: DenseLbuf = DenseLbuf()


class DenseOptions(OfGraphs, ZeroGating, Accelerator):
    """Configuration of a dense array."""

    memory: DenseMemory = DenseMemory()
