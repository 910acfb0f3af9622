"""Small layers on arrays that are not ideal, and their dense integer sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.program import Programmed, program
from spikex_sim.schedules.crossbar.options import CrossbarOptions

IDEAL: dict[str, Any] = {"r_par_ohm": 0.0, "read_sigma": 0.0, "adc": {"bits": "auto"}}
"""Arrays that give exact sums all the same."""


@dataclass(frozen=True)
class Small:
    """A convolution (or, on a map of one pixel, a linear layer) and its input.

    Attributes
    ----------
    weight : int array ``[M, C, E_h, E_w]``
        Weights.
    spikes : bool array ``[C, H, W, T]``
        Input.
    stride, padding : int
        Of the convolution.
    """

    weight: NDArray[np.int64]
    spikes: NDArray[np.bool_]
    stride: int = 1
    padding: int = 0

    @property
    def timesteps(self) -> int:
        return self.spikes.shape[-1]

    @property
    def packed(self) -> NDArray[np.uint8]:
        return np.packbits(self.spikes, axis=-1)

    @property
    def geometry(self) -> Geometry:
        channels, height, width, _ = self.spikes.shape
        kernel_h, kernel_w = self.weight.shape[2:]
        out = [(size + 2 * self.padding - side) // self.stride + 1
               for size, side in ((height, kernel_h), (width, kernel_w))]  # fmt: skip
        return Geometry(channels, height, width, kernel_h, kernel_w, self.stride, self.stride, self.padding,
                        self.padding, *out)  # fmt: skip

    def dense(self) -> NDArray[np.int64]:
        """Exact sums ``[T, P, M]``."""
        around = (self.padding, self.padding)
        padded = np.pad(self.spikes.astype(np.int64), ((0, 0), around, around, (0, 0)))
        g = self.geometry
        sums = []
        for y in range(0, g.out_height * g.stride_h, g.stride_h):
            for x in range(0, g.out_width * g.stride_w, g.stride_w):
                seen = padded[:, y : y + g.kernel_h, x : x + g.kernel_w]
                sums.append(np.tensordot(self.weight, seen, 3))
        return np.stack(sums).transpose(2, 0, 1)

    def program(self, arch: CrossbarOptions, layer: int = 0) -> Programmed:
        mapping = LayerMapping.of("conv", self.geometry, len(self.weight), arch)
        return program("layer conv", mapping, self.weight, arch, layer)

    def sums(self, arch: CrossbarOptions, *, layer: int = 0, sample: int = 0, shift: int = 0,
             **given: Any) -> NDArray[np.int64]:  # fmt: skip
        """Sums ``[T, P, M]`` of the arrays."""
        programmed = self.program(arch, layer)
        return programmed.sums(self.geometry, self.packed, self.timesteps, sample, shift=shift, **given)


def options(imc: dict[str, Any], **keys: Any) -> CrossbarOptions:
    """Configuration with arrays that are not ideal."""
    return CrossbarOptions(name="test", imc={"arrays": "nonideal", **imc}, **keys)


def drawn(seed: int, shape: tuple[int, int, int, int] = (5, 6, 3, 3), side: int = 5, timesteps: int = 35,
          rate: float = 0.3, **keys: int) -> Small:  # fmt: skip
    """A layer with random weights of 8 bits and random spikes."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, shape)
    return Small(weight, rng.random((shape[1], side, side, timesteps)) < rate, **keys)
