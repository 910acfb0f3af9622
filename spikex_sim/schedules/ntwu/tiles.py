"""How a layer is cut into tiles so that they fit the buffers (Section 5, Loops)."""

from __future__ import annotations

from spikex_sim.core.geometry import Geometry, set_pixels
from spikex_sim.schedules.base import need_lbuf, too_small
from spikex_sim.schedules.ntwu.packing import TileShape
from spikex_sim.spec.arch import Accelerator


def choose_tiles(
    geometry: Geometry,
    windows: int,
    tws: int,
    rows_used: int,
    potential_bits: int,
    arch: Accelerator,
    *,
    fill_columns: bool,
) -> TileShape:
    """Choose positions ``|s|`` and windows ``z`` per tile.

    Parameters
    ----------
    geometry : Geometry
        The layer.
    windows, tws : int
        ``N_TW`` and ``TWS``.
    rows_used : int
        ``min(rows, M)``.
    potential_bits : int
        Width of one potential in the LBUF.
    arch : Accelerator
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
    if arch.mapping.tile == "layer":
        return TileShape(geometry.positions, windows, fits_all=True)
    psum_bits = arch.memory.lbuf.part_bits("psum")
    ifmap_bits = arch.memory.glb.half_bits("ifmap")
    most_positions = psum_bits // (potential_bits * rows_used)
    if most_positions < 1:
        raise too_small("lbuf", "psum", arch, potential_bits * rows_used, "the potentials of one position")

    def most_windows(positions: int) -> int:
        word_bits = int(set_pixels(geometry, positions).max()) * geometry.channels * (tws + 1)
        return min(windows, ifmap_bits // word_bits) if word_bits else windows

    positions = min(geometry.positions, most_positions)
    if arch.mapping.positions != "auto":
        positions = min(geometry.positions, arch.mapping.positions)
        if positions > most_positions:
            raise too_small(
                "lbuf",
                "psum",
                arch,
                potential_bits * rows_used * positions,
                f"{positions} positions per tile",
            )
    least = 1 if arch.mapping.windows == "auto" else min(arch.mapping.windows, windows)
    wanted = min(arch.array.cols, windows) if fill_columns and arch.mapping.windows == "auto" else least
    block = most_windows(positions)
    while arch.mapping.positions == "auto" and block < wanted and positions > 1:
        positions //= 2
        block = most_windows(positions)
    if block < least:
        pixels = int(set_pixels(geometry, positions).max())
        need = pixels * geometry.channels * (tws + 1) * least
        raise too_small(
            "glb", "ifmap", arch, need, f"the spikes of {positions} position(s) and {least} window(s)"
        )
    if arch.mapping.windows != "auto":
        return TileShape(positions, least)
    if fill_columns and block > arch.array.cols:
        block -= block % arch.array.cols
    return TileShape(positions, block)
