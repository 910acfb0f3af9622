"""Scores of networks before training, from images of an ``.npz`` (docs/nas.md, Section 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.explore.nas.costs import MOST_BITS
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.kernels import CONSTANTS, KERNELS, Codes, Constant, Kernel, fitness
from spikex_sim.explore.nas.macro import COLOURS, Convolution, Macro
from spikex_sim.explore.nas.scores import Recorded, Score, Value
from spikex_sim.explore.nas.weights import generator_of
from spikex_sim.sources.images import load_images
from spikex_sim.spec.graph import InputNode
from spikex_sim.training.cells import CellNetwork, Weights

MOST_BATCH, MOST_REPEATS = 1 << 12, 1 << 10
_PIXEL = 255
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Evaluation:
    """How networks are scored.

    Attributes
    ----------
    batch : int
        ``S``, images of a mini-batch.
    repeats : int
        Mini-batches.
    bits : int, optional
        Of the weights' fixed point; by default they are not rounded.
    kernel : {"released", "normalised"}
        What a pair of samples gets (:func:`~spikex_sim.explore.nas.kernels.fitness`).
    constant : {"count", "skip"}
        Whether populations count that are silent, or fire, as a whole.
    dtype : {"float32", "float64"}
        Of the network; what follows its spikes is in float64.
    """

    batch: int = 64
    repeats: int = 2
    bits: int | None = None
    kernel: Kernel = "released"
    constant: Constant = "count"
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        bits = MOST_BITS if self.bits is None else self.bits
        for name, value, least, most in (
            ("batch", self.batch, 2, MOST_BATCH),
            ("repeats", self.repeats, 1, MOST_REPEATS),
            ("bits", bits, 1, MOST_BITS),
        ):
            if not least <= value <= most:
                raise ConfigError(f"is {value}; wants {least} to {most}", where="fitness", field=name)
        for name, told, known in (
            ("kernel", self.kernel, KERNELS),
            ("constant", self.constant, CONSTANTS),
            ("dtype", self.dtype, _DTYPES),
        ):
            if told not in known:
                raise ConfigError(one_of(told, known), where="fitness", field=name)


@dataclass(frozen=True, eq=False)
class Images:
    """Training images, and what they are normalised by.

    Attributes
    ----------
    pixels : uint8 array, ``[samples, 3, H, W]``
        0 to 255.
    sha256 : str
        Of the file.
    mean, deviation : float64 array, ``[3]``
        Of each channel, over all images, of pixels of 0 to 1; a deviation of 0 is told as 1.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    mean: NDArray[np.float64] = field(init=False)
    deviation: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        values = np.arange(_PIXEL + 1) / _PIXEL
        shares = np.array([np.bincount(channel.ravel(), minlength=_PIXEL + 1) / channel.size
                           for channel in np.moveaxis(self.pixels, 1, 0)])  # fmt: skip
        mean = shares @ values
        deviation = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "deviation", np.where(deviation > 0, deviation, 1.0))

    @classmethod
    def of_file(cls, path: Path, macro: Macro) -> Images:
        """Read the training images of an ``.npz`` (:func:`~spikex_sim.sources.images.load_images`).

        Raises
        ------
        TraceError
            If something is missing, of another type, or of another size than the network's images.
        """
        side = macro.dataset.side
        node = InputNode.model_validate({"name": "image", "kind": "input", "shape": [COLOURS, side, side]})
        found, sha256 = load_images(path, node)
        return cls(found["train"].pixels, sha256)

    def batch(self, samples: NDArray[np.intp]) -> NDArray[np.float64]:
        """Images as they enter a network, normalised by channel, without augmentation."""
        centred = self.pixels[samples] / _PIXEL - self.mean[:, None, None]
        found: NDArray[np.float64] = centred / self.deviation[:, None, None]
        return found


@dataclass(frozen=True)
class ImageScorers:
    """Makes the scorer of a seed, in this process or another.

    Attributes
    ----------
    images : Images
        What mini-batches are drawn from.
    macro : Macro
        What surrounds the cells.
    evaluation : Evaluation
        How networks are scored.
    """

    images: Images
    macro: Macro
    evaluation: Evaluation

    def __post_init__(self) -> None:
        if self.evaluation.batch > len(self.images.pixels):
            raise ConfigError(
                f"is {self.evaluation.batch}, but there are {len(self.images.pixels)} training images",
                where="fitness",
                field="batch",
            )

    def __call__(self, seed: int) -> ImageScorer:
        """Scorer with the weights and the mini-batches of a seed."""
        return ImageScorer(self, seed)


class ImageScorer:
    """Scores networks on mini-batches of images (:class:`~spikex_sim.explore.nas.scores.Scorer`).

    Scores depend on the forms and :attr:`settings` alone: not on what was scored before, as weights are drawn
    for each part apart, and not on the number of threads, as there is one. What comes before cell B is kept
    until another cell A is asked for.

    Parameters
    ----------
    scorers : ImageScorers
        Images, network and evaluation.
    seed : int
        Of the weights and of the mini-batches, which are drawn without the same image twice in one.

    Raises
    ------
    ConfigError
        If the seed is negative.
    """

    def __init__(self, scorers: ImageScorers, seed: int) -> None:
        images, self._macro, self._evaluation = scorers.images, scorers.macro, scorers.evaluation
        self._seed, self._sha256 = seed, images.sha256
        self._dtype = _DTYPES[self._evaluation.dtype]
        chosen = [
            generator_of(seed, "batch", number).choice(len(images.pixels), self._evaluation.batch, False)
            for number in range(self._evaluation.repeats)
        ]
        self._batches = [torch.from_numpy(images.batch(one)).to(self._dtype) for one in chosen]
        self._network: CellNetwork | None = None
        self._a: Form | None = None
        self._b: Form | None = None
        self._begun: list[_Begun] = []

    @property
    def settings(self) -> Mapping[str, Value]:
        """All that a score depends on but the forms; with the versions of what computes it."""
        macro, how = self._macro, self._evaluation
        (_, width), _ = macro.linear
        return {
            "data": self._sha256,
            "dataset": macro.dataset.name,
            "channels": macro.channels,
            "timesteps": macro.timesteps,
            "pool": macro.pool,
            "width": width,
            "tau": macro.tau,
            "threshold": macro.threshold,
            "batch": how.batch,
            "repeats": how.repeats,
            "bits": how.bits,
            "kernel": how.kernel,
            "constant": how.constant,
            "dtype": how.dtype,
            "seed": self._seed,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        }

    def score(self, a: Form, b: Form) -> tuple[Score, tuple[Recorded, ...]]:
        """Return the score of a network of two cells, and what its convolutions took of the first image.

        Raises
        ------
        ConfigError
            If nothing reaches the output of a cell.
        """
        with _one_thread(), torch.no_grad():
            network = self._with(a, b)
            runs = [_ended(network, begun) for begun in self._begun]
        how = self._evaluation
        found = [fitness(run.codes, how.kernel, how.constant) for run in runs]
        values = tuple(one.value for one in found)
        negative, constant = any(one.negative for one in found), sum(one.constant for one in found)
        first = runs[0].first
        recorded = (
            Recorded(name, layer, np.stack(first[name])) for name, layer in _layers(self._macro, a, b)
        )
        return Score(float(np.mean(values)), values, negative, constant), tuple(recorded)

    def _with(self, a: Form, b: Form) -> CellNetwork:
        """Network of two cells, of which what comes before cell B was run."""
        if self._network is None:
            weights = Weights(self._seed, self._evaluation.bits)
            self._network = CellNetwork(self._macro, a, b, weights).to(self._dtype).train()
            self._network.head.dropout.eval()
        elif b != self._b:
            self._network.place("b", b)
        self._b = b
        if a != self._a:
            self._network.place("a", a)
            self._begun = [_begun(self._network, images) for images in self._batches]
            self._a = a
        return self._network


@dataclass(frozen=True, eq=False)
class _Run:
    """What fired in a mini-batch.

    Attributes
    ----------
    codes : list of Codes
        Of each population and time point.
    first : dict of str to list of bool array
        Spikes of the first image by population, one array a time point.
    """

    codes: list[Codes] = field(default_factory=list)
    first: dict[str, list[NDArray[np.bool_]]] = field(default_factory=dict)

    def watch(self, name: str, spikes: torch.Tensor) -> None:
        """Note what a population fires."""
        self.first.setdefault(name, []).append(spikes[0].bool().numpy())
        # The order of the neurons does not matter: that in memory needs no copy. Counts are below 2**24.
        flat = (spikes.permute(0, 2, 3, 1) if spikes.ndim == 4 else spikes).flatten(1)
        self.codes.append(Codes((flat @ flat.T).double().numpy(), flat.shape[1]))


@dataclass(frozen=True, eq=False)
class _Begun:
    """A mini-batch up to cell B.

    Attributes
    ----------
    currents : list of tensor
        What cell B takes, by time point.
    run : _Run
        What has fired.
    """

    currents: list[torch.Tensor]
    run: _Run


def _begun(network: CellNetwork, images: torch.Tensor) -> _Begun:
    run = _Run()
    neurons, still = network.neurons(run.watch), network.enter(images)
    return _Begun([network.before(still, neurons) for _ in range(network.macro.timesteps)], run)


def _ended(network: CellNetwork, begun: _Begun) -> _Run:
    run = _Run(list(begun.run.codes), dict(begun.run.first))
    neurons = network.neurons(run.watch)
    for current in begun.currents:
        network.after(current, neurons)
    return run


def _layers(macro: Macro, a: Form, b: Form) -> Iterator[tuple[str, Convolution]]:
    """Convolutions that take spikes, and names of the populations they take them from."""
    numbers = Counter[str]()
    for layer in macro.convolutions(a.kernels, b.kernels)[1:]:
        numbers[layer.part] += 1
        yield layer.part if layer.part == "down" else f"{layer.part}{numbers[layer.part]}", layer


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: sums of many threads are rounded in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
