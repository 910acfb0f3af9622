"""A layer's arrays once programmed, and their sums for a sample's spikes (docs/imc.md, Section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.frozen import frozen_array
from spikex_sim.core.geometry import Geometry, places_of
from spikex_sim.core.memory import check_memory
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.cells import behind_wires, check_range, conductances, levels
from spikex_sim.schedules.crossbar.nonideal.codes import by_tap, encode, units_of
from spikex_sim.schedules.crossbar.nonideal.gather import chunks, segments_of
from spikex_sim.schedules.crossbar.nonideal.streams import CALIBRATION, READ, streams
from spikex_sim.schedules.crossbar.nonideal.sums import Array, add_sums
from spikex_sim.schedules.crossbar.options import CrossbarOptions

_UNCLIPPED = float(1 << 40)


@dataclass(frozen=True, eq=False)
class Programmed:
    """A layer's arrays once their cells are written.

    Attributes
    ----------
    name : str
        Of the layer, in messages.
    layer : int
        Its number among conv and linear layers, from 0.
    array : Array
        What kernels take.
    codes : uint8 array ``[K C, columns]``
        Codes as stored.
    arch : CrossbarOptions
        Configuration.
    """

    name: str
    layer: int
    array: Array
    codes: NDArray[np.uint8]
    arch: CrossbarOptions

    def sums(
        self,
        geometry: Geometry,
        spikes: PackedSpikes,
        timesteps: int,
        sample: int,
        *,
        shift: int,
        calibrating: bool = False,
        once: bool = False,
    ) -> NDArray[np.int64]:
        """Digital sums ``[T, P, M]`` before adaptation and bias.

        Parameters
        ----------
        geometry : Geometry
            Of the layer.
        spikes : uint8 array ``[C, H, W, ceil(T / 8)]``
            Packed input of a sample.
        timesteps : int
            ``T``.
        sample : int
            See :func:`sample_id`.
        shift : int
            Right shift ``s`` of codes.
        calibrating : bool
            Whether this is a calibration run, which has noise of its own.
        once : bool
            Whether the arrays convert at the first time point, for all others too: a direct first
            layer. The result is then read-only.

        Raises
        ------
        TraceError
            If they would not fit in memory.
        """
        points = 1 if once else timesteps
        outputs = self.array.digital.shape[1]
        check_memory(8 * points * geometry.positions * outputs, f"sums of {self.name}")
        places = places_of(geometry)
        purpose = CALIBRATION if calibrating else READ
        keys = streams(purpose, self.layer, sample, points)
        found = np.zeros((points, geometry.positions, outputs), np.int64)
        with np.errstate(over="ignore"):  # without JIT, words wrap around as NumPy's numbers
            for part, pixels in chunks(geometry, spikes, points):
                add_sums(geometry, places, pixels, self.array, shift, keys[part], found[part])
        return np.broadcast_to(found, (timesteps, *found.shape[1:])) if once else found


def program(
    name: str, mapping: LayerMapping, weight: NDArray[Any], arch: CrossbarOptions, layer: int
) -> Programmed:
    """Write a layer's weights into its arrays.

    Parameters
    ----------
    name : str
        Of the layer, in messages.
    mapping : LayerMapping
        Where its rows lie.
    weight : integer array ``[M, C, E_h, E_w]`` or ``[M, N]``
        Weights.
    arch : CrossbarOptions
        Configuration.
    layer : int
        Number of the layer among conv and linear layers, from 0.

    Raises
    ------
    ConfigError
        If cells cannot hold a weight, or currents of the devices are out of range.
    TraceError
        If the arrays would not fit in memory.
    """
    imc = arch.imc
    columns = weight.size * mapping.columns_per_weight
    check_memory(64 * columns, f"arrays of {name}")
    check_range(name, len(mapping.block_of), arch)
    codes = encode(name, mapping, by_tap(weight), arch)
    _, off, step = levels(imc)
    cells = behind_wires(conductances(codes.cells, mapping, arch, layer), mapping, imc)
    reference = np.full((len(cells), 1), 0.0 if imc.goff == "none" else off)
    if imc.goff == "column":
        reference = behind_wires(reference, mapping, imc)
    array = Array(
        cells=frozen_array(cells / step),
        off=frozen_array(reference[:, 0] / step),
        scale=frozen_array(codes.scale),
        digital=frozen_array(codes.digital),
        segments=segments_of(mapping, units_of(mapping, arch)),
        sigma=float(imc.read_sigma),
        largest=_UNCLIPPED if imc.adc.bits == "auto" else float((1 << imc.adc.bits) - 1),
        seed=np.uint64(imc.seed),
    )
    return Programmed(name, layer, array, frozen_array(codes.cells), arch)


def sample_id(packed: PackedSpikes) -> int:
    """First 24 bits of the SHA-256 of a sample's packed input ``[C, H, W, ceil(T / 8)]`` of the network."""
    return int.from_bytes(sha256(packed.tobytes()).digest()[:3])
