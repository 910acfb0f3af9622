"""Spikes for a network that has its layers from elsewhere: those of a trace, or a plain ``.npy``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.trace.npyheader import NpyError, human_bytes, read_header, shown
from spikex_sim.trace.npyzip import open_regular
from spikex_sim.trace.store import load_chain
from spikex_sim.trace.trace import MAX_SAMPLES, MAX_TIMESTEPS

MAX_SPIKES_BYTES = 4 << 30
"""Most bytes of one ``.npy``."""


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes ``[S, *shape, ceil(T/8)]``, packed along time, and what is known of them."""

    packed: PackedSpikes
    timesteps: int
    batched: bool
    label: int | tuple[int, ...] | None = None


def load_spikes(path: str | Path, axes: str | None = None) -> Spikes:
    """Read the spikes that enter the first layer of a trace, or an array of them.

    Parameters
    ----------
    path : str or Path
        A trace, ``.npz`` or ``.h5``, or an ``.npy`` of 0 and 1: ``[C, H, W, T]`` or ``[N, T]``, with or
        without a first axis of samples.
    axes : str, optional
        Names of an ``.npy``'s axes in order, of ``T``, ``B``, ``C``, ``H``, ``W``, ``N``, if they are others:
        ``"BTN"``.

    Raises
    ------
    TraceError
        For anything wrong with the file.
    """
    path = Path(path)
    if path.suffix.lower() != ".npy":
        if axes is not None:
            raise TraceError(f"are those of an .npy, and {shown(path, 400)} is a trace", field="axes")
        trace = load_chain(path)
        return Spikes(trace.inputs[0], trace.timesteps, trace.batched, trace.label)
    where = shown(path, 400)
    array = _mapped(path, where)
    if 0 in array.shape or (axes is None and array.ndim not in (2, 3, 4, 5)):
        raise TraceError(
            f"has shape {list(array.shape)}; [C, H, W, T] or [N, T] is wanted, or others by name (axes)",
            where=where,
        )
    batched = array.ndim in (3, 5) if axes is None else "B" in axes
    array = array if axes is None else _turned(array, axes)
    if array.shape[-1] > MAX_TIMESTEPS or (batched and array.shape[0] > MAX_SAMPLES):
        raise TraceError(f"has shape {list(array.shape)}, too many time points or samples", where=where)
    if array.dtype.kind not in "biuf" or not all(np.isin(part, (0, 1)).all() for part in array):
        raise TraceError("spikes are 0 or 1", where=where)
    packed = np.packbits(array != 0, axis=-1)
    return Spikes(packed if batched else packed[None], array.shape[-1], batched)


def _turned(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Put samples first and time last, a line as a map of height 1."""
    if len(axes) != array.ndim or len(set(axes)) != len(axes) or set(axes) - set("TBCHWN") or "T" not in axes:
        raise TraceError(
            f"are '{shown(axes, 20)}' for shape {list(array.shape)}; a letter an axis is wanted, of T, B, C, "
            "H, W, N, with T",
            field="axes",
        )
    order = [axes.index(name) for name in "BCHWNT" if name in axes]
    turned = array.transpose(order)
    return np.expand_dims(turned, -3) if "W" in axes and "H" not in axes else turned


def _mapped(path: Path, where: str) -> NDArray[Any]:
    """Map an array into memory, after checking that the file holds what it declares."""
    with open_regular(path, MAX_SPIKES_BYTES) as file:
        try:
            header = read_header(file)
        except NpyError as exc:
            raise TraceError(str(exc), where=where) from None
        except (EOFError, UnicodeDecodeError) as exc:
            raise TraceError(f"truncated or damaged: {shown(exc)}", where=where) from None
        found = os.fstat(file.fileno()).st_size - header.offset
        if found != header.nbytes:
            declared = f"{header.dtype} {list(header.shape)}, {human_bytes(header.nbytes)}"
            raise TraceError(
                f"truncated or damaged: declares {declared}, but holds {human_bytes(found)}", where=where
            )
        order: Literal["F", "C"] = "F" if header.fortran else "C"
        if not header.nbytes:
            return np.empty(header.shape, header.dtype, order)
        return np.memmap(file, header.dtype, "r", header.offset, header.shape, order)
