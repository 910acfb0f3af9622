"""Reader of recorded layer activity: the spikes that entered each layer of a network, in one ``.npz``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes, packed_length
from spikex_sim.sources.events.binning import MAX_FRAME_BYTES
from spikex_sim.sources.events.events import MAX_RECORDING_BYTES
from spikex_sim.spec.workload import MAX_SIZE
from spikex_sim.trace.meta import MAX_LAYERS
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import NpyZip, open_npz
from spikex_sim.trace.trace import MAX_TIMESTEPS

MAX_NAME_BYTES = 4096
"""Most bytes that the name of a recorded layer may take."""

_NAMES = "names"


@dataclass(frozen=True, eq=False)
class RecordedLayer:
    """Spikes that entered one layer.

    Attributes
    ----------
    name : str
        Of the layer, as the file has it.
    timesteps : int
        Time points that were recorded of this layer.
    spikes : uint8 array, ``[*shape, ceil(timesteps / 8)]``
        Packed along time with ``np.packbits``.
    """

    name: str
    timesteps: int
    spikes: PackedSpikes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without time, ``(C, H, W)`` or ``(N,)``."""
        return self.spikes.shape[:-1]

    @property
    def all_ones(self) -> bool:
        """Whether every input spikes at every time point, as where an analog image was recorded."""
        return int(np.bitwise_count(self.spikes).sum(dtype=np.int64)) == prod(self.shape) * self.timesteps


@dataclass(frozen=True, eq=False)
class RecordedLayers:
    """Layers of one file, in its order.

    Attributes
    ----------
    layers : tuple of RecordedLayer
        At least one.
    source : str
        File they come from.
    """

    layers: tuple[RecordedLayer, ...]
    source: str


def holds_layers(path: str | Path) -> bool:
    """Whether a file looks like recorded layers rather than recordings of events.

    Raises
    ------
    TraceError
        If it is no readable ``.npz`` at all.
    """
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        return _NAMES in archive.keys


def load_recorded_layers(path: str | Path) -> RecordedLayers:
    """Read recorded layers.

    Parameters
    ----------
    path : str or Path
        ``.npz`` with a list of text ``names`` and, for every name, integers ``<name>__shape``, time first:
        ``[T, C, H, W]`` or ``[T, N]``, and the spikes ``<name>__bits``: uint8, all bits in C order packed
        with ``np.packbits``. Other keys are not read.

    Returns
    -------
    RecordedLayers
        Its arrays have time last.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    with open_npz(path, MAX_RECORDING_BYTES) as archive:
        where = archive.where
        shapes = {name: _shape(archive, f"{name}__shape", where) for name in _names(archive, where)}
        total = sum(prod(shape[1:]) * packed_length(shape[0]) for shape in shapes.values())
        if total > MAX_RECORDING_BYTES:
            raise TraceError(
                f"its spikes take {human_bytes(total)}, more than {human_bytes(MAX_RECORDING_BYTES)}",
                where=where,
            )
        layers = tuple(_layer(archive, name, shape, where) for name, shape in shapes.items())
    return RecordedLayers(layers, source=where)


def _names(archive: NpyZip, where: str) -> list[str]:
    def fail(message: str) -> TraceError:
        return TraceError(message, where=where, field=_NAMES)

    if _NAMES not in archive.keys:
        raise fail("is missing: these are no recorded layers")
    header = archive.declared(_NAMES)
    if header.dtype.kind != "U" or len(header.shape) != 1 or header.dtype.itemsize > MAX_NAME_BYTES:
        raise fail(f"must be a list of names, not {header.dtype} {list(header.shape)}")
    if not 1 <= header.shape[0] <= MAX_LAYERS:
        raise fail(f"must be 1 to {MAX_LAYERS} names, not {header.shape[0]}")
    names: list[str] = archive.read(_NAMES).tolist()
    for index, name in enumerate(names):
        if not name or not name.isprintable():
            raise fail(f"name {index} is empty or not printable")
    if len(set(names)) < len(names):
        raise fail("names a layer twice")
    return names


def _shape(archive: NpyZip, key: str, where: str) -> tuple[int, ...]:
    """Shape of a layer's spikes, time first, checked before anything of that size is made."""
    header = archive.declared(key)
    if header.dtype.kind not in "iu" or header.shape not in ((2,), (4,)):
        raise TraceError(
            f"must be [T, C, H, W] or [T, N], not {header.dtype} {list(header.shape)}",
            where=where,
            field=shown(key),
        )
    shape = tuple(int(side) for side in archive.read(key))
    if not 1 <= shape[0] <= MAX_TIMESTEPS or not all(1 <= side <= MAX_SIZE for side in shape[1:]):
        raise TraceError(
            f"{list(shape)} must be 1 to {MAX_TIMESTEPS} time points of sides from 1 to {MAX_SIZE}",
            where=where,
            field=shown(key),
        )
    if prod(shape) > MAX_FRAME_BYTES:
        raise TraceError(
            f"{list(shape)} spikes take {human_bytes(prod(shape))} unpacked, more than "
            f"{human_bytes(MAX_FRAME_BYTES)}",
            where=where,
            field=shown(key),
        )
    return shape


def _layer(archive: NpyZip, name: str, shape: tuple[int, ...], where: str) -> RecordedLayer:
    key = f"{name}__bits"
    header, spikes = archive.declared(key), prod(shape)
    if header.dtype.name != "uint8" or header.shape != (packed_length(spikes),):
        raise TraceError(
            f"must be uint8 [{packed_length(spikes)}] for {list(shape)} spikes, not {header.dtype} "
            f"{list(header.shape)}",
            where=where,
            field=shown(key),
        )
    packed = archive.read(key)
    if packed[-1] & ((1 << -spikes % 8) - 1):
        raise TraceError(
            "bits are set after the last spike: these are packed for another shape",
            where=where,
            field=shown(key),
        )
    time_first = np.unpackbits(packed, count=spikes).reshape(shape)
    return RecordedLayer(name, shape[0], np.packbits(np.moveaxis(time_first, 0, -1), axis=-1))
