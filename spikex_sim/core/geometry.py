"""Where the taps of an output position lie in the input map."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel


class Geometry(NamedTuple):
    """Sizes of a convolution as plain integers; a linear layer is a 1x1 one on a 1x1 map.

    ``pad_h`` and ``pad_w`` are the silent rows above and columns to the left of the map; how many there are
    on the other sides follows from the output.
    """

    channels: int
    in_height: int
    in_width: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    out_height: int
    out_width: int
    dilation_h: int = 1
    dilation_w: int = 1

    @property
    def pixels(self) -> int:
        """Pixels of the input map."""
        return self.in_height * self.in_width

    @property
    def positions(self) -> int:
        """Output positions ``P``."""
        return self.out_height * self.out_width

    @property
    def filter_taps(self) -> int:
        """Taps of one input channel, ``E_h * E_w``."""
        return self.kernel_h * self.kernel_w

    @property
    def taps(self) -> int:
        """Taps ``K`` of one output: input channels times filter positions."""
        return self.channels * self.filter_taps

    @property
    def last_rows(self) -> NDArray[np.int64]:
        """Row under the last taps of each output row ``[H_o]``; the padding's may lie outside the map."""
        rows: NDArray[np.int64] = np.arange(self.out_height) * self.stride_h - self.pad_h
        return rows + (self.kernel_h - 1) * self.dilation_h


class Sized(Protocol):
    """What a layer says of its sizes; heights before widths."""

    @property
    def in_channels(self) -> int:
        """Input channels ``C``."""

    @property
    def in_height(self) -> int:
        """Rows of the input map."""

    @property
    def in_width(self) -> int:
        """Columns of the input map."""

    @property
    def kernel(self) -> tuple[int, int]:
        """Filter sides."""

    @property
    def stride(self) -> tuple[int, int]:
        """Strides."""

    @property
    def padding(self) -> tuple[int, int]:
        """Silent rows and columns around the map."""

    @property
    def out_height(self) -> int:
        """Rows of the output map."""

    @property
    def out_width(self) -> int:
        """Columns of the output map."""


def geometry_of(layer: Sized) -> Geometry:
    """Geometry of a conv or linear layer."""
    return Geometry(
        layer.in_channels,
        layer.in_height,
        layer.in_width,
        *layer.kernel,
        *layer.stride,
        *layer.padding,
        layer.out_height,
        layer.out_width,
    )


@kernel
def corner(geometry: Geometry, position: int) -> tuple[int, int]:
    """Row and column of the first tap of an output position; negative in the padding."""
    y = (position // geometry.out_width) * geometry.stride_h - geometry.pad_h
    x = (position % geometry.out_width) * geometry.stride_w - geometry.pad_w
    return y, x


@kernel
def widest_batch(batch_columns: NDArray[np.int64]) -> int:
    """Columns of the largest batch, at least 1."""
    widest = 1
    for b in range(len(batch_columns) - 1):
        widest = max(widest, batch_columns[b + 1] - batch_columns[b])
    return widest


@kernel
def places_of(geometry: Geometry) -> NDArray[np.int32]:
    """Pixel of the map under each tap of each output position ``[P, E_h * E_w]``; -1 outside the map."""
    positions = geometry.out_height * geometry.out_width
    places = np.full((positions, geometry.kernel_h * geometry.kernel_w), -1, np.int32)
    for p in range(positions):
        y0, x0 = corner(geometry, p)
        for i in range(geometry.kernel_h):
            y = y0 + i * geometry.dilation_h
            for j in range(geometry.kernel_w):
                x = x0 + j * geometry.dilation_w
                if 0 <= y < geometry.in_height and 0 <= x < geometry.in_width:
                    places[p, i * geometry.kernel_w + j] = y * geometry.in_width + x
    return places


class Receivers(NamedTuple):
    """Output positions that see each pixel of the map, and the tap that they see it by.

    Attributes
    ----------
    first : int64 array ``[pixels + 1]``
        First entry of each pixel.
    position, place : int32 array
        Output position and filter position of each entry.
    """

    first: NDArray[np.int64]
    position: NDArray[np.int32]
    place: NDArray[np.int32]


@kernel
def receivers_of(geometry: Geometry) -> Receivers:
    """Turn :func:`places_of` around."""
    places = places_of(geometry)
    first = np.zeros(geometry.in_height * geometry.in_width + 1, np.int64)
    for pixel in places.ravel():
        if pixel >= 0:
            first[pixel + 1] += 1
    for end in range(1, len(first)):
        first[end] += first[end - 1]
    free = first.copy()
    position, place = np.empty(first[-1], np.int32), np.empty(first[-1], np.int32)
    for p in range(places.shape[0]):
        for k in range(places.shape[1]):
            pixel = places[p, k]
            if pixel >= 0:
                position[free[pixel]], place[free[pixel]] = p, k
                free[pixel] += 1
    return Receivers(first, position, place)
