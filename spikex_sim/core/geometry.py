"""Where the taps of an output position lie in the input map."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel


class Geometry(NamedTuple):
    """Sizes of a convolution as plain integers; a linear layer is a 1x1 one on a 1x1 map."""

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
def set_pixels(geometry: Geometry, size: int) -> NDArray[np.int64]:
    """Pixels of one input channel in the receptive field of each set of ``size`` consecutive positions.

    Pixels outside the map do not count; shared ones count once.

    Returns
    -------
    int64 array ``[ceil(P / size)]``
    """
    height, width = geometry.in_height, geometry.in_width
    positions = geometry.out_height * geometry.out_width
    sets = (positions + size - 1) // size
    seen = np.full(height * width, -1, np.int64)
    pixels = np.zeros(sets, np.int64)
    for p in range(positions):
        s = p // size
        y0, x0 = corner(geometry, p)
        for y in range(max(y0, 0), min(y0 + geometry.kernel_h, height)):
            for x in range(max(x0, 0), min(x0 + geometry.kernel_w, width)):
                if seen[y * width + x] != s:
                    seen[y * width + x] = s
                    pixels[s] += 1
    return pixels
