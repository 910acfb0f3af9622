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
