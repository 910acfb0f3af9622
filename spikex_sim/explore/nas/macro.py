"""The network around two cells: its convolutions and its linear layers (Section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.hints import one_of

PIXELS, COLOURS = 32, 3
"""Side of the maps of cell A, whatever the side of the images; their channels."""
KERNEL = 3
"""Side of the kernels outside cells."""
MOST_CHANNELS, MOST_TIMESTEPS = 1 << 12, 1 << 16
Part = Literal["stem", "a", "down", "b"]


@dataclass(frozen=True)
class Dataset:
    """Images, and the classifier that SNASNet has for them.

    Attributes
    ----------
    name : str
        What the command line calls it.
    side : int
        Of an image, pixels.
    classes, vote : int
        Classes, and outputs of each that are averaged.
    width : int
        Neurons of the first linear layer.
    """

    name: str
    side: int
    classes: int
    vote: int
    width: int


DATASETS: Mapping[str, Dataset] = FrozenMap({
    one.name: one
    for one in (
        Dataset("cifar10", 32, 10, 10, 1024),
        Dataset("cifar100", 32, 100, 5, 1024),
        Dataset("tinyimagenet", 64, 200, 5, 4096),
    )
})  # fmt: skip
"""Datasets by name."""


def dataset_of(name: str) -> Dataset:
    """Return a dataset by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in DATASETS:
        raise ConfigError(one_of(name, DATASETS), field="dataset")
    return DATASETS[name]


@dataclass(frozen=True)
class Convolution:
    """A convolution without bias that keeps the side of its map but for its stride.

    Attributes
    ----------
    part : {"stem", "a", "down", "b"}
        Where it is.
    kernel, stride : int
        Side of its kernel, and its stride; its padding is half the kernel.
    in_channels, out_channels : int
        Channels.
    in_side : int
        Of its input map.
    """

    part: Part
    kernel: int
    stride: int
    in_channels: int
    out_channels: int
    in_side: int

    @property
    def out_side(self) -> int:
        """Of its output map."""
        return (self.in_side - 1) // self.stride + 1

    @property
    def weights(self) -> int:
        """Number of its weights."""
        return self.out_channels * self.in_channels * self.kernel**2


@dataclass(frozen=True)
class Macro:
    """What surrounds cells A and B: stem, down, and the classifier.

    Attributes
    ----------
    dataset : Dataset
        Images and classes.
    channels : int
        ``C`` of cell A; cell B has twice as many.
    timesteps : int
        ``T``.
    pool : int
        ``s``, side of the last average pooling.
    width : int, optional
        Neurons of the first linear layer; by default the dataset's.
    tau, threshold : float
        Of all neurons: ``v <- v + (I - v)/tau``, a spike at ``v >= threshold``, then ``v = 0``.
    """

    dataset: Dataset = DATASETS["cifar10"]
    channels: int = 128
    timesteps: int = 5
    pool: int = 2
    width: int | None = None
    tau: float = 4 / 3
    threshold: float = 1.0

    def __post_init__(self) -> None:
        for name, most in (("channels", MOST_CHANNELS), ("timesteps", MOST_TIMESTEPS), ("pool", PIXELS // 2)):
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"is {getattr(self, name)}; wants 1 to {most}", where="network", field=name)

    def convolutions(self, a: Sequence[int], b: Sequence[int]) -> tuple[Convolution, ...]:
        """All convolutions in the order stem, A, down, B.

        Parameters
        ----------
        a, b : sequence of int
            Sides of the kernels of the cells' live convolutions.
        """
        C, stride = self.channels, self.dataset.side // PIXELS
        return (
            Convolution("stem", KERNEL, stride, COLOURS, C, self.dataset.side),
            *(Convolution("a", kernel, 1, C, C, PIXELS) for kernel in a),
            Convolution("down", KERNEL, 1, C, 2 * C, PIXELS),
            *(Convolution("b", kernel, 1, 2 * C, 2 * C, PIXELS // 2) for kernel in b),
        )

    @property
    def linear(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers; the last one has a bias."""
        side = PIXELS // 2 // self.pool
        width = self.dataset.width if self.width is None else self.width
        return (2 * self.channels * side**2, width), (width, self.dataset.classes * self.dataset.vote)

    @property
    def linear_parameters(self) -> int:
        """Weights and biases of the linear layers, which costs leave out."""
        return sum(inputs * outputs for inputs, outputs in self.linear) + self.linear[-1][1]
