"""The training loop: epochs, validation, the choice of an epoch, checkpoints; the same again from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.errors import ConfigError, TraceError
from spikex_sim.trace.synth import generator, seed_of_stream
from spikex_sim.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from spikex_sim.training.data import Progress, SpikeData, Splits, batches, tensor_batch
from spikex_sim.training.losses import classification_loss, predictions, silence_loss
from spikex_sim.training.model import Activity, SpikingNetwork
from spikex_sim.training.windows import window_densities

Row = dict[str, Any]
MAX_GRADIENT = 1.0
"""Norm that gradients are cut to."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes through the training samples.
    warmup_epochs : int
        Of these, how many ask silent channels to fire; the demand falls linearly to none.
    hardware_from : int
        Epochs before the hardware loss sets in: pre-training. ``L_HW`` counts relative to the EDP that the
        network has then, so that ``beta`` weighs a share of the EDP, whatever the accelerator.
    batch : int
        Samples a step.
    learning_rate : float
        Of Adam on the weights at the start, in the standard deviations that they start with; it falls to 0
        along a cosine.
    beta : float
        Weight of the hardware loss in ``L_tot = L_acc + beta L_HW`` (paper eq. 4).
    tolerance : float
        With a hardware loss: share of the validation samples that may be lost against the network in which
        it sets in. Among the epochs that keep it, the one of least ``L_HW`` is chosen.
    architecture_rate : float
        Learning rate of the architecture parameters.
    seed : int
        Of everything that is drawn.
    """

    epochs: int = 40
    warmup_epochs: int = 3
    hardware_from: int = 0
    batch: int = 32
    learning_rate: float = 0.02
    beta: float = 0.0
    tolerance: float = 0.01
    architecture_rate: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("epochs", "batch"):
            if getattr(self, key) < 1:
                raise ConfigError(f"must be at least 1, not {getattr(self, key)}", field=key)
        for key in ("warmup_epochs", "hardware_from", "beta", "tolerance", "seed"):
            if not getattr(self, key) >= 0:
                raise ConfigError(f"must not be negative, not {getattr(self, key)}", field=key)
        for key in ("learning_rate", "architecture_rate"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ConfigError(f"must be positive, not {getattr(self, key)}", field=key)


class HardwareTerm(Protocol):
    """What the trainer asks of a hardware loss, with or without an architecture to search."""

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Architecture parameters; none for a fixed architecture."""

    def edp_js(self, activity: Activity) -> torch.Tensor:
        """EDP of a sample in Js, by layer, differentiable; ``L_HW`` is their sum relative to a reference."""


@dataclass(frozen=True)
class Measured:
    """A network measured on samples.

    Attributes
    ----------
    accuracy, loss : float
        Share of samples classified correctly; mean ``L_acc``.
    edp_js : float
        Mean sum of the layers' modelled EDPs in Js; 0 without a hardware loss.
    rates : tuple of float
        Share of (input neuron, time point) pairs with a spike entering each conv and linear layer.
    densities : tuple of float
        Share of active (input neuron, window) pairs, at the layer's window size.
    """

    accuracy: float
    loss: float
    edp_js: float
    rates: tuple[float, ...]
    densities: tuple[float, ...]


def measure(
    network: SpikingNetwork,
    data: SpikeData,
    sizes: Sequence[int],
    *,
    batch: int = 32,
    hardware: HardwareTerm | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Run a network on all samples as they are.

    Parameters
    ----------
    network : SpikingNetwork
        On its device.
    data : SpikeData
        Samples.
    sizes : sequence of int
        Window size of every conv and linear layer, for the densities.
    batch : int
        Samples at a time; of no effect but on the rounding of means.
    hardware : HardwareTerm, optional
        Hardware loss to measure too.
    progress : callable, optional
        Told how many samples are done.
    """
    device = network.stored[0].device
    count = len(data.labels)
    sums = np.zeros(3 + 2 * len(sizes))
    with torch.no_grad():
        for samples in batches(count, batch, None):
            spikes, labels = tensor_batch(data, samples, None, device)
            activity = network(spikes)
            counts = activity.counts
            values = [
                (predictions(counts) == labels).double().mean(),
                classification_loss(counts, labels, len(spikes)),
                hardware.edp_js(activity).sum() if hardware is not None else torch.zeros(()),
                *(entering.double().mean() for entering in activity.entering),
                *(
                    window_densities(entering, (size,))[0]
                    for entering, size in zip(activity.entering, sizes, strict=True)
                ),
            ]
            sums += len(samples) * np.array([float(value) for value in values])
            if progress:
                progress(int(samples[-1]) + 1, count)
    accuracy, loss, edp_js, *rest = (sums / count).tolist()
    return Measured(accuracy, loss, edp_js, tuple(rest[: len(sizes)]), tuple(rest[len(sizes) :]))


class Trainer:
    """One training run.

    Parameters
    ----------
    network : SpikingNetwork
        Changed in place.
    data : Splits
        Samples.
    recipe : Recipe
        How to train.
    sizes : sequence of int
        Window size of every conv and linear layer, for the densities that are logged.
    hardware : HardwareTerm, optional
        Hardware loss, weighted by ``recipe.beta``.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        data: Splits,
        recipe: Recipe,
        sizes: Sequence[int],
        hardware: HardwareTerm | None = None,
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.sizes, self.hardware = tuple(sizes), hardware
        self.device = network.stored[0].device
        self.channels = [layer.out_channels for layer in network.layers if not layer.is_pool]
        self.parameters = list(network.stored)
        self.architecture = list(hardware.parameters) if hardware is not None else []
        self._adam = torch.optim.Adam(self.parameters, recipe.learning_rate)
        self._architect = (
            torch.optim.Adam(self.architecture, recipe.architecture_rate, betas=(0.5, 0.999))
            if self.architecture
            else None
        )
        self.epoch = 0
        self.steps = 0
        self.rows: list[Row] = []
        self.best_key: tuple[float, float] | None = None
        self.floor = 1.0
        self.reference_js = 1.0
        self.best = [value.detach().clone() for value in self._learned()]

    def run(self, folder: Path | None = None, progress: Progress | None = None) -> list[Row]:
        """Train to the end, from the checkpoint of ``folder`` if there is one; the best epoch is kept.

        Returns
        -------
        list of dict
            A row an epoch.

        Raises
        ------
        TraceError
            If the checkpoint is damaged, belongs to another run, or cannot be written.
        """
        torch.use_deterministic_algorithms(self.device.type == "cpu")
        if folder is not None:
            self._restore(folder)
        while self.epoch < self.recipe.epochs:
            if self.hardware is not None and self.epoch == self.recipe.hardware_from:
                self._begin(progress)
            self.rows.append(self._one_epoch(progress))
            self.epoch += 1
            if folder is not None:
                save_checkpoint(folder, self._meta(), self._arrays())
        self._take_best()
        return self.rows

    def _begin(self, progress: Progress | None) -> None:
        """Take the accuracy that the hardware loss must keep, and the EDP it is relative to."""
        if progress:
            progress("validating", 0, 1)
        if self.epoch:
            self._take_best()
        start = self._measured()
        self.floor = max(0.0, start.accuracy - self.recipe.tolerance)
        self.reference_js = start.edp_js or 1.0
        self.best_key = None

    def _measured(self) -> Measured:
        return measure(
            self.network, self.data.validation, self.sizes, batch=self.recipe.batch, hardware=self.hardware
        )

    def _take_best(self) -> None:
        with torch.no_grad():
            for value, best in zip(self._learned(), self.best, strict=True):
                value.copy_(best)

    def _one_epoch(self, progress: Progress | None) -> Row:
        recipe = self.recipe
        rng = generator(seed_of_stream(recipe.seed, self.epoch))
        count = len(self.data.training.labels)
        each = -(-count // recipe.batch)
        architecting = self._validation_batches(rng)
        sums = np.zeros(3)
        for samples in batches(count, recipe.batch, rng):
            spikes, labels = tensor_batch(self.data.training, samples, rng, self.device)
            sums += len(samples) * np.array(self._step(spikes, labels))
            if self._architect is not None and self._hardware_is_on():
                self._architecture_step(*architecting())
            if progress:
                progress(f"epoch {self.epoch + 1} of {recipe.epochs}", self.steps, each * recipe.epochs)
        found = self._measured()
        self._keep_if_best(found)
        loss, accuracy, hardware = (sums / count).tolist()
        return {
            "epoch": self.epoch + 1,
            "loss": loss,
            "accuracy": accuracy,
            "hardware_loss": hardware,
            "validation_loss": found.loss,
            "validation_accuracy": found.accuracy,
            "validation_hardware_loss": found.edp_js / self.reference_js,
            **{f"rate_{name}": rate for name, rate in zip(self._names(), found.rates, strict=True)},
            **{f"density_{name}": part for name, part in zip(self._names(), found.densities, strict=True)},
        }

    def _step(self, spikes: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
        recipe = self.recipe
        each = -(-len(self.data.training.labels) // recipe.batch)
        share = self.steps / (each * recipe.epochs)
        for group in self._adam.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + cos(pi * share))
        activity = self.network(spikes)
        counts = activity.counts
        loss = classification_loss(counts, labels, len(spikes))
        total = loss
        hardware = 0.0
        if self.epoch < recipe.warmup_epochs:
            fading = 1 - self.steps / (each * recipe.warmup_epochs)
            total = total + fading * silence_loss(activity, self.channels)
        if self._hardware_is_on():
            term = self._hardware_loss(activity)
            hardware = float(term.detach())
            total = total + recipe.beta * term.to(total.dtype)
        self._adam.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT)
        self._adam.step()
        self.steps += 1
        correct = float((predictions(counts) == labels).double().mean())
        return float(loss.detach()), correct, hardware

    def _hardware_is_on(self) -> bool:
        return self.hardware is not None and self.epoch >= self.recipe.hardware_from

    def _hardware_loss(self, activity: Activity) -> torch.Tensor:
        assert self.hardware is not None
        return self.hardware.edp_js(activity).sum() / self.reference_js

    def _architecture_step(self, spikes: torch.Tensor, labels: torch.Tensor) -> None:
        """Upper level of the search: architecture parameters on validation samples (paper eq. 5)."""
        assert self._architect is not None
        with torch.no_grad():
            activity = self.network(spikes)
            loss = classification_loss(activity.counts, labels, len(spikes))
        self._architect.zero_grad(set_to_none=True)
        # The weights are held, so that L_acc is a constant here.
        (loss + self.recipe.beta * self._hardware_loss(activity)).backward()
        self._architect.step()

    def _validation_batches(
        self, rng: np.random.Generator
    ) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.data.validation.labels)
        order = rng.permutation(count) if self._architect is not None else np.arange(0)
        place = 0

        def following() -> tuple[torch.Tensor, torch.Tensor]:
            nonlocal place
            samples = order[np.arange(place, place + min(self.recipe.batch, count)) % count]
            place += len(samples)
            return tensor_batch(self.data.validation, samples.astype(np.intp), None, self.device)

        return following

    def _keep_if_best(self, found: Measured) -> None:
        """With a hardware loss: the cheapest epoch that keeps the accuracy; else the most accurate."""
        if self._hardware_is_on():
            key = (min(found.accuracy, self.floor), -found.edp_js)
        else:
            key = (found.accuracy, -found.loss)
        if self.best_key is None or key > self.best_key:
            self.best_key = key
            self.best = [value.detach().clone() for value in self._learned()]

    def _learned(self) -> list[torch.Tensor]:
        return [*self.parameters, *self.architecture]

    def _names(self) -> list[str]:
        return [layer.name for layer in self.network.layers if not layer.is_pool]

    def settings(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be gone on from."""
        return {
            **asdict(self.recipe),
            "data": self.data.about,
            "layers": [layer.model_dump(mode="json") for layer in self.network.layers],
            "tws": list(self.sizes),
        }

    def _meta(self) -> dict[str, Any]:
        return {
            "settings": self.settings(),
            "epoch": self.epoch,
            "steps": self.steps,
            "floor": self.floor,
            "reference_js": self.reference_js,
            "best_key": None if self.best_key is None else list(self.best_key),
            "rows": self.rows,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {}
        for number, (value, best) in enumerate(zip(self._learned(), self.best, strict=True)):
            arrays[f"value/{number}"] = value.detach().cpu().numpy()
            arrays[f"best/{number}"] = best.cpu().numpy()
            for key, moment in self._moments(number).items():
                arrays[f"{key}/{number}"] = moment.detach().cpu().numpy()
        return arrays

    def _moments(self, number: int) -> dict[str, torch.Tensor]:
        """Adam's state of a parameter, made if it has taken no step yet."""
        value = self._learned()[number]
        adam = self._adam if number < len(self.parameters) else self._architect
        assert adam is not None
        state = adam.state[value]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(value)
            state["exp_avg_sq"] = torch.zeros_like(value)
        return {key: state[key] for key in ("step", "exp_avg", "exp_avg_sq")}

    def _restore(self, folder: Path) -> None:
        found = load_checkpoint(folder, self._arrays())
        if found is None:
            return
        meta, arrays = found
        where = str(folder / CHECKPOINT)
        settings = self.settings()
        given = meta.get("settings")
        for key, value in settings.items():
            if not isinstance(given, dict) or given.get(key) != value:
                raise TraceError(
                    "belongs to a run with other settings; give another --checkpoint folder",
                    where=where,
                    field=f"meta.settings.{key}",
                )
        try:
            epoch, steps, rows = int(meta["epoch"]), int(meta["steps"]), list(meta["rows"])
            floor, reference_js, key = float(meta["floor"]), float(meta["reference_js"]), meta["best_key"]
            best_key = None if key is None else (float(key[0]), float(key[1]))
            if (
                not 0 <= epoch <= self.recipe.epochs
                or len(rows) != epoch
                or steps < 0
                or not reference_js > 0
            ):
                raise ValueError
        except (KeyError, TypeError, ValueError, IndexError):
            raise TraceError("is damaged", where=where, field="meta") from None
        self.epoch, self.steps, self.rows = epoch, steps, rows
        self.floor, self.reference_js, self.best_key = floor, reference_js, best_key
        with torch.no_grad():
            for number, value in enumerate(self._learned()):
                value.copy_(torch.from_numpy(arrays[f"value/{number}"].copy()))
                self.best[number] = torch.from_numpy(arrays[f"best/{number}"].copy()).to(self.device)
                for name, moment in self._moments(number).items():
                    moment.copy_(torch.from_numpy(arrays[f"{name}/{number}"].copy()))
