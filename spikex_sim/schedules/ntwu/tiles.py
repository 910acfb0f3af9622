"""How a layer is cut into tiles so that they fit the buffers (Section 5, Loops)."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.geometry import Geometry, set_pixels
from spikex_sim.schedules.ntwu.options import NtwuOptions
from spikex_sim.schedules.ntwu.schedule import TileShape
from spikex_sim.spec.arch import Accelerator


def choose_tiles(
    geometry: Geometry,
    windows: int,
    tws: int,
    rows_used: int,
    potential_bits: int,
    arch: NtwuOptions,
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
    if arch.memory.lbuf.bytes == 0:
        raise ConfigError(
            f"the scheduler {arch.scheduler} needs an LBUF; give it a capacity",
            where=arch.name,
            field="memory.lbuf.bytes",
        )
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


def too_small(level: str, tensor: str, arch: Accelerator, need_bits: int, what: str) -> ConfigError:
    """Error for a buffer part that does not hold ``need_bits``, naming the smallest capacity that works."""
    buffer = getattr(arch.memory, level)
    if level == "glb" and arch.memory.glb.separate is not None:
        name = "ofmap" if tensor == "psum" else tensor
        parts, share = (4, "a quarter") if tensor == "ofmap" else (2, "half")
        least = -(-need_bits * parts // 8)
        return ConfigError(
            f"{getattr(arch.memory.glb.separate, name)} B is too small: {what} need {need_bits} bits in "
            f"{share} of it; the smallest that works is {least} B",
            where=arch.name,
            field=f"memory.glb.separate.{name}",
        )
    share = getattr(buffer.partition, tensor)
    if share == 0:
        return ConfigError(
            f"is 0, but {what} need {need_bits} bits there; give it a share",
            where=arch.name,
            field=f"memory.{level}.partition.{tensor}",
        )
    least = ceil(need_bits * (1 if tensor == "psum" else 2) / (8 * Fraction(str(share))))
    return ConfigError(
        f"{buffer.bytes} B is too small: {what} need {need_bits} bits in the {tensor} part; "
        f"the smallest that works is {least} B",
        where=arch.name,
        field=f"memory.{level}.bytes",
    )
