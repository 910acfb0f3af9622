"""The taps of a layer: which inputs its output positions see, synapse by synapse, and how active these are.

A layer may have several synapses. The maps that they come from lie one behind the other, as one row of
pixels; the taps of a position follow each other in the order (synapse, row of the filter, column).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry, places_of
from spikex_sim.core.jit import kernel
from spikex_sim.core.tags import WindowedSpikes

FEW_PLACES = 1 << 18
"""Most places of a synapse that are kept from layer to layer."""


SYNAPSE, CHANNELS, ROW, FIRST = range(4)
"""What a row of :attr:`Field.taps` says of a filter position."""
OF_SYNAPSE, FIRST_PLACE, FILTER_TAPS, FILTERS, OWN, WIDTH, TAG_WIDTH = range(7)
"""What a row of :attr:`Field.channels` says of every input channel."""


class Field(NamedTuple):
    """Taps of all synapses, as kernels take them. A filter position is a tap with all channels.

    Attributes
    ----------
    place : int32 array ``[P, K]``
        Pixel under each filter position, -1 outside the map.
    taps : int64 array ``[K, 4]``
        :data:`SYNAPSE` of each filter position, input :data:`CHANNELS` that lie there, number of the first of
        these among the channels of all synapses (:data:`ROW`), and in a list of all taps (:data:`FIRST`).
    start : int64 array ``[pixels]``
        Channels of all pixels before.
    channels : int64 array ``[7, C]``
        Input channels of all synapses, one behind the other: :data:`OF_SYNAPSE`, its :data:`FIRST_PLACE`
        (filter position) and how many it has (:data:`FILTER_TAPS`); the number of the channel's filter, one
        for each weight array and channel (:data:`FILTERS`); the output channel that it alone goes to, -1: all
        (:data:`OWN`); the width of a word at a time point (:data:`WIDTH`) and of its tag (:data:`TAG_WIDTH`).
    """

    place: NDArray[np.int32]
    taps: NDArray[np.int64]
    start: NDArray[np.int64]
    channels: NDArray[np.int64]


class Synapse(NamedTuple):
    """How the taps of one synapse lie over its input, whatever its weights.

    Attributes
    ----------
    geometry : Geometry
        Sizes.
    filters : int
        Number of its weights; synapses that share their weights share it.
    own : bool
        Whether a channel goes to the output channel of the same number alone, instead of to all.
    bits : int
        Width of an input word at one time point.
    tagged : bool
        Whether words have activity tags; analog values have none, and are active at every time point.
    """

    geometry: Geometry
    filters: int = 0
    own: bool = False
    bits: int = 1
    tagged: bool = True


@lru_cache(maxsize=128)
def _kept_places(geometry: Geometry) -> NDArray[np.int32]:
    places: NDArray[np.int32] = places_of(geometry)
    return places


def _places(geometry: Geometry) -> NDArray[np.int32]:
    few = geometry.positions * geometry.filter_taps <= FEW_PLACES
    found: NDArray[np.int32] = _kept_places(geometry) if few else places_of(geometry)
    return found


@lru_cache(maxsize=128)
def _kept_field(synapses: tuple[Synapse, ...], positions: int) -> Field:
    return _field(synapses, positions)


def field_of(synapses: tuple[Synapse, ...], positions: int) -> Field:
    """Taps of a layer of so many output positions."""
    few = all(one.geometry.positions * one.geometry.filter_taps <= FEW_PLACES for one in synapses)
    return _kept_field(synapses, positions) if few else _field(synapses, positions)


def _field(synapses: tuple[Synapse, ...], positions: int) -> Field:
    places = [np.zeros((positions, 0), np.int32)]
    rows, start = list[tuple[int, ...]](), [np.zeros(0, np.int64)]
    pixels = channels = taps = before = 0
    for number, synapse in enumerate(synapses):
        geometry = synapse.geometry
        own = _places(geometry)
        places.append(np.where(own < 0, own, own + np.int32(pixels)) if pixels else own)
        for k in range(geometry.filter_taps):
            rows.append((number, geometry.channels, channels, taps + k * geometry.channels))
        start.append(before + np.arange(geometry.pixels) * geometry.channels)
        pixels += geometry.pixels
        channels += geometry.channels
        taps += geometry.taps
        before += geometry.pixels * geometry.channels
    taps_ = np.array(rows, np.int64).reshape(-1, 4)
    place = places[1] if len(synapses) == 1 else np.concatenate(places, axis=1)
    return Field(np.ascontiguousarray(place), taps_, np.concatenate(start), _channels_of(synapses))


@lru_cache(maxsize=128)
def _channels_of(synapses: tuple[Synapse, ...]) -> NDArray[np.int64]:
    rows = []
    first, filters, numbers = 0, 0, dict[int, int]()
    for number, synapse in enumerate(synapses):
        geometry = synapse.geometry
        if synapse.filters not in numbers:
            numbers[synapse.filters] = filters
            filters += geometry.channels
        for channel in range(geometry.channels):
            rows.append(
                (number, first, geometry.filter_taps, numbers[synapse.filters] + channel,
                 channel if synapse.own else -1, synapse.bits, int(synapse.tagged))
            )  # fmt: skip
        first += geometry.filter_taps
    return np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 7).T)


class Taps(NamedTuple):
    """Taps of all synapses one by one, in the order (synapse, channel, i, j); int64 arrays ``[taps]``.

    Attributes
    ----------
    place, channel : int64 array
        Filter position, and channel in the synapse.
    bits : int64 array
        Width of an input word at a time point.
    streamed : int64 array
        Number of the tap in the order in which a filter position has all its channels side by side.
    """

    place: NDArray[np.int64]
    channel: NDArray[np.int64]
    bits: NDArray[np.int64]
    streamed: NDArray[np.int64]


@lru_cache(maxsize=128)
def taps_of(synapses: tuple[Synapse, ...]) -> Taps:
    """Taps of all synapses."""
    parts, places, before = [np.zeros((4, 0), np.int64)], 0, 0
    for synapse in synapses:
        geometry = synapse.geometry
        channel, place = np.divmod(np.arange(geometry.taps), geometry.filter_taps)
        bits = np.full_like(place, synapse.bits)
        parts.append(np.stack([places + place, channel, bits, before + place * geometry.channels + channel]))
        places += geometry.filter_taps
        before += geometry.taps
    return Taps(*np.concatenate(parts, axis=1))


@dataclass(frozen=True, eq=False)
class Inputs:
    """What enters a layer: the spikes of every synapse by time window.

    Attributes
    ----------
    synapses : tuple of Synapse
        In order; none where only currents enter.
    spikes : tuple of WindowedSpikes
        Of each; where values are analog, a one at every time point.
    positions : int
        Output positions ``P``.
    timesteps, tws : int
        ``T`` and ``TWS``, time points.
    """

    synapses: tuple[Synapse, ...]
    spikes: tuple[WindowedSpikes, ...]
    positions: int
    timesteps: int
    tws: int

    @property
    def windows(self) -> int:
        """Time windows ``N_TW``."""
        return -(-self.timesteps // self.tws)

    @cached_property
    def field(self) -> Field:
        """Which inputs every output position sees."""
        return field_of(self.synapses, self.positions)

    @cached_property
    def taps(self) -> int:
        """Taps of one output position, with all channels."""
        return sum(one.geometry.taps for one in self.synapses)

    @cached_property
    def tags(self) -> NDArray[np.uint8]:
        """Tags, flat: those of a pixel window by window, the channels of a window side by side."""
        found = [one.tags.reshape(-1) for one in self.spikes]
        return found[0] if len(found) == 1 else np.concatenate([np.zeros(0, np.uint8), *found])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Spikes of all channels of a pixel in a window, ``[pixels, N_TW]``."""
        found = [one.counts for one in self.spikes]
        return (
            found[0] if len(found) == 1 else np.concatenate([np.zeros((0, self.windows), np.int64), *found])
        )

    @cached_property
    def _seen(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        seen: tuple[NDArray[np.bool_], NDArray[np.int64]]
        seen = _seen(self.field, len(self.synapses), self.counts)
        return seen

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which NTWUs see a spike: per output position and window, ``[P, N_TW]``.

        The output channels at one position share their receptive field and hence this tag (Section 2).
        """
        return self._seen[0]

    @property
    def reach(self) -> NDArray[np.int64]:
        """Spikes that all output positions see together, of each synapse."""
        return self._seen[1]


@kernel
def _seen(
    field: Field, synapses: int, counts: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    positions, taps = field.place.shape
    windows = counts.shape[1]
    active, flat = np.zeros(positions * windows, np.bool_), counts.ravel()
    reach = np.zeros(synapses, np.int64)
    for p in range(positions):
        own = np.uintp(p * windows)  # indices are unsigned: a sign would have to be looked at
        for k in range(taps):
            pixel = field.place[p, k]
            if pixel >= 0:
                at, total = np.uintp(pixel * windows), 0
                for w in range(np.uintp(windows)):
                    active[own + w] |= flat[at + w] > 0
                    total += flat[at + w]
                reach[field.taps[k, SYNAPSE]] += total
    return active.reshape(positions, windows), reach


@kernel
def set_pixels(field: Field, synapses: int, size: int) -> NDArray[np.int64]:
    """Pixels in the receptive field of each set of ``size`` consecutive positions, by synapse.

    Pixels outside the map do not count; shared ones count once.

    Returns
    -------
    int64 array ``[synapses, ceil(P / size)]``
    """
    positions, taps = field.place.shape
    seen = np.full(len(field.start), -1, np.int64)
    pixels = np.zeros((synapses, (positions + size - 1) // size), np.int64)
    for p in range(positions):
        s = p // size
        for k in range(taps):
            pixel = field.place[p, k]
            if pixel >= 0 and seen[pixel] != s:
                seen[pixel] = s
                pixels[field.taps[k, SYNAPSE], s] += 1
    return pixels


@kernel
def spmb_tags(
    field: Field,
    synapses: int,
    tags: NDArray[np.uint8],
    counts: NDArray[np.int64],
    tiles: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tags of the SP-MBs of every tile, and the receptive-field pixels it has in each channel of a synapse.

    Parameters
    ----------
    field : Field
        Taps of the layer.
    synapses : int
        How many there are.
    tags, counts
        See :class:`Inputs`.
    tiles : int64 array ``[tiles, 4]``
        First and last-plus-one position, first and last-plus-one window.

    Returns
    -------
    bool array ``[tiles, C]``, int64 array ``[tiles, synapses]``
        Pixels are a union, not a bounding box, and lie inside the map.
    """
    windows, taps, channels = counts.shape[1], field.place.shape[1], field.channels.shape[1]
    active, flat = np.zeros(len(tiles) * channels, np.uint8), counts.ravel()
    pixels = np.zeros((len(tiles), synapses), np.int64)
    seen = np.full(len(field.start), -1, np.int64)
    for tile in range(len(tiles)):
        for p in range(tiles[tile, 0], tiles[tile, 1]):
            for k in range(taps):
                pixel = field.place[p, k]
                if pixel < 0 or seen[pixel] == tile:
                    continue
                seen[pixel] = tile
                pixels[tile, field.taps[k, SYNAPSE]] += 1
                size = np.uintp(field.taps[k, CHANNELS])  # unsigned: a sign would have to be looked at
                own = np.uintp(tile * channels + field.taps[k, ROW])
                for w in range(tiles[tile, 2], tiles[tile, 3]):
                    if flat[pixel * windows + w] > 0:
                        word = np.uintp(field.start[pixel] * windows) + np.uintp(w) * size
                        for channel in range(size):
                            active[own + channel] |= tags[word + channel]
    return active.reshape(len(tiles), channels).view(np.bool_), pixels
