"""The training loop: epochs, validation, the choice of an epoch, checkpoints; the same again from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.sources.synth import generator, seed_of_stream
from spikex_sim.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from spikex_sim.training.data import Splits
from spikex_sim.training.losses import classification_loss, predictions, silence_loss
from spikex_sim.training.measure import HardwareTerm, Measured, Trainable, measure
from spikex_sim.training.module import Activity
from spikex_sim.training.recipe import Recipe
from spikex_sim.training.samples import batches, tensor_batch

Row = dict[str, Any]
FULL_EDP = 100.0
"""``L_HW`` of the network in which it sets in: it is in percent of that network's EDP."""
MAX_GRADIENT = 1.0
"""Norm that gradients are cut to."""


class Trainer:
    """One training run.

    Parameters
    ----------
    network : Trainable
        Changed in place.
    data : Splits
        Samples.
    recipe : Recipe
        How to train.
    sizes : sequence of int
        Window size of every conv and linear layer, for the densities that are logged.
    hardware : HardwareTerm, optional
        Hardware loss, weighted by ``recipe.beta``.
    identity : mapping, optional
        What else a checkpoint must agree with, as JSON holds it.
    """

    def __init__(
        self,
        network: Trainable,
        data: Splits,
        recipe: Recipe,
        sizes: Sequence[int],
        hardware: HardwareTerm | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.sizes, self.hardware = tuple(sizes), hardware
        self.identity = dict(identity or {})
        self.device = network.stored[0].device
        self.parameters = list(network.stored)
        self.architecture = list(hardware.parameters) if hardware is not None else []
        self.running = list(network.buffers())
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

    def run(self, folder: Path | None = None, progress: Progress = silent) -> list[Row]:
        """Train to the end, from the checkpoint of ``folder`` if there is one; the best epoch is kept.

        Returns
        -------
        list of dict
            A row an epoch.

        Raises
        ------
        SpikexError
            If the checkpoint is damaged, belongs to another run, or cannot be written.
        """
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(self.device.type == "cpu")
        try:
            self._train(folder, progress)
        finally:
            torch.use_deterministic_algorithms(before)
        return self.rows

    def _train(self, folder: Path | None, progress: Progress) -> None:
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

    def _begin(self, progress: Progress) -> None:
        """Take the accuracy that the hardware loss must keep, and the EDP it is relative to."""
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

    def _one_epoch(self, progress: Progress) -> Row:
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
            progress(f"epoch {self.epoch + 1} of {recipe.epochs}", self.steps, each * recipe.epochs)
        found = self._measured()
        self._keep_if_best(found)
        loss, accuracy, hardware = (sums / count).tolist()
        names = self.network.names
        return {
            "epoch": self.epoch + 1,
            "loss": loss,
            "accuracy": accuracy,
            "hardware_loss": hardware,
            "validation_loss": found.loss,
            "validation_accuracy": found.accuracy,
            "validation_hardware_loss": found.edp_js * FULL_EDP / self.reference_js,
            **{f"rate_{name}": rate for name, rate in zip(names, found.rates, strict=True)},
            **{f"density_{name}": part for name, part in zip(names, found.densities, strict=True)},
            **({} if self.hardware is None else self.hardware.columns()),
        }

    def _step(self, spikes: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
        recipe = self.recipe
        each = -(-len(self.data.training.labels) // recipe.batch)
        share = self.steps / (each * recipe.epochs)
        for group in self._adam.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + cos(pi * share))
        self.network.train()
        activity = self.network(spikes)
        loss = classification_loss(activity, labels)
        total = loss
        hardware = 0.0
        if self.epoch < recipe.warmup_epochs:
            fading = 1 - self.steps / (each * recipe.warmup_epochs)
            total = total + fading * silence_loss(activity, self.network.channels)
        if self._hardware_is_on():
            term = self._hardware_loss(activity)
            hardware = float(term.detach())
            total = total + recipe.beta * term.to(total.dtype)
        self._adam.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT)
        self._adam.step()
        self.steps += 1
        correct = float((predictions(activity.counts) == labels).double().mean())
        return float(loss.detach()), correct, hardware

    def _hardware_is_on(self) -> bool:
        return self.hardware is not None and self.epoch >= self.recipe.hardware_from

    def _hardware_loss(self, activity: Activity) -> torch.Tensor:
        assert self.hardware is not None
        return self.hardware.edp_js(activity).sum() * (FULL_EDP / self.reference_js)

    def _architecture_step(self, spikes: torch.Tensor, labels: torch.Tensor) -> None:
        """Upper level of the search: architecture parameters on validation samples (paper eq. 5)."""
        assert self._architect is not None
        with torch.no_grad():
            activity = self.network(spikes)
            loss = classification_loss(activity, labels)
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
        return [*self.parameters, *self.architecture, *self.running]

    def settings(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be gone on from."""
        return {
            **asdict(self.recipe),
            **self.identity,
            "data": self.data.about,
            **self.network.described(),
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
        """Adam's state of a parameter, made if it has taken no step yet; none of a running mean."""
        if number >= len(self.parameters) + len(self.architecture):
            return {}
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
                or not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows)
                or not all(isinstance(value, int | float) for row in rows for value in row.values())
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
