"""How a layer is cut into tiles so that they fit the buffers (Section 5, Loops)."""

from __future__ import annotations

import numpy as np

from spikex_sim.core.field import set_pixels
from spikex_sim.schedules.base import need_lbuf, too_small
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.packing import TileShape
from spikex_sim.schedules.task import Task


def choose_tiles(task: Task, arch: NtwuOptions, *, fill_columns: bool) -> TileShape:
    """Choose positions ``|s|`` and windows ``z`` per tile.

    Where outputs come back as inputs, a tile has all windows of a run, and the runs are the outermost loop.

    Parameters
    ----------
    task : Task
        The layer.
    arch : NtwuOptions
        Buffers, partitions and the ``mapping`` knobs.
    fill_columns : bool
        Whether batches hold windows of one position (temporal mode, PTB), so that a tile should offer
        at least a row of columns of them.

    Raises
    ------
    ConfigError
        If not even one position and one window fit, naming the smallest buffer that works.
    """
    need_lbuf(arch)
    windows, run = task.inputs.windows, task.run_windows
    by_run = run is not None
    if arch.mapping.tile == "layer":
        return TileShape(task.positions, min(run or windows, windows), fits_all=True, by_run=by_run)
    potential_bits = task.potential_bits * min(arch.array.rows, task.out_channels)
    psum_bits = arch.memory.lbuf.part_bits("psum")
    ifmap_bits = arch.memory.glb.half_bits("ifmap")
    most_positions = psum_bits // potential_bits if potential_bits else task.positions
    if most_positions < 1:
        raise too_small("lbuf", "psum", arch, potential_bits, "the potentials of one position")

    def window_bits(positions: int) -> int:
        return largest_set_bits(task, positions)

    def most_windows(positions: int) -> int:
        bits = window_bits(positions)
        return min(windows, ifmap_bits // bits) if bits else windows

    positions = min(task.positions, most_positions)
    if arch.mapping.positions != "auto":
        positions = min(task.positions, arch.mapping.positions)
        if positions > most_positions:
            raise too_small(
                "lbuf", "psum", arch, potential_bits * positions, f"{positions} positions per tile"
            )
    least = 1 if arch.mapping.windows == "auto" else min(arch.mapping.windows, windows)
    wanted = min(arch.array.cols, windows) if fill_columns and arch.mapping.windows == "auto" else least
    if run is not None:
        least = wanted = min(run, windows)
    block = most_windows(positions)
    while arch.mapping.positions == "auto" and block < wanted and positions > 1:
        positions //= 2
        block = most_windows(positions)
    if block < least:
        need = window_bits(positions) * least
        raise too_small(
            "glb", "ifmap", arch, need, f"the spikes of {positions} position(s) and {least} window(s)"
        )
    if arch.mapping.windows != "auto" or by_run:
        return TileShape(positions, least, by_run=by_run)
    if fill_columns and block > arch.array.cols:
        block -= block % arch.array.cols
    return TileShape(positions, block)


def largest_set_bits(task: Task, positions: int) -> int:
    """Bits of one window of the SP-MBs of any set of so many positions, all channels of all synapses."""
    synapses = task.inputs.synapses
    if not synapses:
        return 0
    pixels = set_pixels(task.inputs.field, len(synapses), positions)
    bits = [one.geometry.channels * (one.bits * task.tws + one.tagged) for one in synapses]
    if len(bits) == 1:
        return int(pixels.max()) * bits[0]
    return int((pixels.T * np.array(bits)).sum(axis=1).max(initial=0))
