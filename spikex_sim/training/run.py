"""One training run from a network's name to trained weights with a card of where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.fitted import HardwareModel, fit_hardware_model
from spikex_sim.sources.trained import TrainedNetwork, Variant, load_trained
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.training.data import Splits, emulated_splits, splits_of_recordings
from spikex_sim.training.lif import Surrogate
from spikex_sim.training.loop import Row, Trainer
from spikex_sim.training.losses import HardwareLoss
from spikex_sim.training.measure import HardwareTerm, Measured, measure
from spikex_sim.training.module import SpikingNetwork
from spikex_sim.training.outcome import Outcome, accuracies, calibration_of, check_labels, device
from spikex_sim.training.recipe import Recipe
from spikex_sim.training.samples import Augmentation
from spikex_sim.training.search import TWS, ArchitectureSearch, Axis, costs_of_models

DEFAULT_TWS = 4
SEARCHED_TWS = (1, 2, 3, 4, 5, 6, 8, 10)
"""Window sizes that ``--has`` chooses from: closer than elsewhere, as each is one more weight and no run."""
STEP_MS = {"nmnist": 10.0}
OTHER_STEP_MS = 5.0
EVENTS = Augmentation(2.0, rotate_deg=12.0, scale=0.12, bend_px=1.2, drop=0.1, time_shift_steps=1)
"""Of recordings: the pixels that a digit moves within its frame, and how differently people write."""
EMULATED = Augmentation(shift_px=2.0, drop=0.1, time_shift_steps=10)
"""Of emulated recordings, which differ by themselves."""


@dataclass(frozen=True)
class Plan:
    """What to train.

    Attributes
    ----------
    network : str
        Preset or YAML file.
    recipe : Recipe
        How.
    variant : {"base", "ht", "has"}
        For accuracy alone, with the hardware loss, or with a search of window sizes too.
    data : Path or None
        File or folder of recordings; None emulates them.
    init : str or None
        Trained network to go on from.
    tws : tuple of int
        Window size of every layer, or one for all; for ``"has"`` those to choose from.
    hardware : Path or None
        Fitted hardware model; None fits one now.
    timesteps, step_ms : int, float
        Time points and their length.
    leak_shift : int or None
        Of all neurons; None leaves the network's.
    samples : int
        Emulated recordings for training.
    surrogate : Surrogate
        Derivative of the spike.
    augment : bool
        Whether training samples vary.
    """

    network: str
    recipe: Recipe = field(default_factory=Recipe)
    variant: Variant = "base"
    data: Path | None = None
    init: str | None = None
    tws: tuple[int, ...] = ()
    hardware: Path | None = None
    timesteps: int | None = None
    step_ms: float | None = None
    leak_shift: int | None = None
    samples: int = 200
    surrogate: Surrogate = field(default_factory=Surrogate)
    augment: bool = True


def splits_of(plan: Plan, network: Network, progress: Progress = silent) -> Splits:
    """Samples of a plan."""
    timesteps = plan.timesteps or network.timesteps
    step_ms = plan.step_ms if plan.step_ms is not None else STEP_MS.get(network.name, OTHER_STEP_MS)
    step_us = round(step_ms * 1000)
    first, last = network.layers[0], network.layers[-1]
    if plan.data is not None:
        return splits_of_recordings(
            plan.data, first.input_shape, timesteps, step_us, seed=plan.recipe.seed,
            augmentation=EVENTS if plan.augment else Augmentation(), progress=progress,
        )  # fmt: skip
    return emulated_splits(
        first.input_shape, last.out_channels, timesteps, step_us, samples=plan.samples,
        seed=plan.recipe.seed, augmentation=EMULATED if plan.augment else Augmentation(), progress=progress,
    )  # fmt: skip


def train(
    plan: Plan, folder: Path | None = None, progress: Progress = silent, data: Splits | None = None
) -> Outcome[TrainedNetwork]:
    """Carry a plan out.

    Parameters
    ----------
    plan : Plan
        What to train.
    folder : Path, optional
        Of the checkpoint that is written after every epoch, and gone on from if there is one.
    progress : callable, optional
        Told what is being done, and how much of it.
    data : Splits, optional
        Samples, where they are at hand already: those of :func:`splits_of`.

    Raises
    ------
    SpikexError
        If network, data, checkpoint or hardware model are wrong or do not fit together.
    """
    network = load_network(plan.network)
    names = [layer.name for layer in network.layers if not layer.is_pool]
    timesteps = plan.timesteps or network.timesteps
    init = None if plan.init is None else load_trained(plan.init)
    sizes = _sizes(plan, len(names), timesteps, init)
    data = data or splits_of(plan, network, progress)
    check_labels(data, network.layers[-1].out_channels, network.name)
    if plan.variant != "base" and plan.recipe.hardware_from >= plan.recipe.epochs:
        raise ConfigError(
            f"of {plan.recipe.hardware_from} leaves none of the {plan.recipe.epochs} epochs to the hardware "
            "loss",
            field="--pretrain",
        )
    spiking = _network(plan, network, init, data).to(device())
    model = _model(plan, network, sizes, progress)
    hardware = None if model is None else _hardware(plan, model, names, sizes, timesteps)
    trainer = Trainer(spiking, data, plan.recipe, sizes, hardware, _identity(plan, data, init))
    rows = trainer.run(folder, progress)
    tws: tuple[int, ...] | None = None if plan.variant == "base" else sizes
    if isinstance(hardware, ArchitectureSearch):
        tws = sizes = tuple(int(options[TWS]) for options in hardware.chosen())
    progress("testing", 0, 1)
    test = measure(spiking, data.test, sizes, batch=plan.recipe.batch)
    chosen = measure(spiking, data.validation, sizes, batch=plan.recipe.batch)
    card = _card(plan, data, sizes, names, chosen, test, init, model)
    if isinstance(hardware, ArchitectureSearch):
        card["probabilities"] = _probabilities(hardware, names)
    trained = spiking.trained(
        f"{network.name}-{plan.variant}", network.name, plan.variant, timesteps, tws, card
    )
    return Outcome(trained, rows, test)


def _identity(plan: Plan, data: Splits, init: TrainedNetwork | None) -> dict[str, Any]:
    """What a checkpoint must agree with beside recipe, layers and window sizes."""
    model = None
    if plan.hardware is not None:
        model = hashlib.sha256(plan.hardware.read_bytes()).hexdigest()
    return {
        "variant": plan.variant,
        "surrogate": asdict(plan.surrogate),
        "augmented": plan.augment,
        "choices": list(plan.tws),
        "data_sha256": data.sha256,
        "init_sha256": None if init is None else init.file_sha256,
        "hardware_sha256": model,
    }


def _network(plan: Plan, network: Network, init: TrainedNetwork | None, data: Splits) -> SpikingNetwork:
    if init is None:
        return SpikingNetwork.drawn(
            network,
            calibration_of(data),
            plan.recipe.seed,
            leak_shift=plan.leak_shift,
            surrogate=plan.surrogate,
        )
    shapes = [(layer.input_shape, layer.output_shape, layer.weight_shape) for layer in init.layers]
    if shapes != [(layer.input_shape, layer.output_shape, layer.weight_shape) for layer in network.layers]:
        raise ConfigError(f"has other layers than {network.name}", where=init.where, field="layers")
    if plan.leak_shift is not None:
        raise ConfigError("is that of the weights to go on from; leave it out", field="--leak-shift")
    return SpikingNetwork.of(init, plan.surrogate)


def _sizes(plan: Plan, layers: int, timesteps: int, init: TrainedNetwork | None) -> tuple[int, ...]:
    for size in plan.tws:
        if not 1 <= size <= timesteps:
            raise ConfigError(f"must be 1 to {timesteps}, not {size}", field="--tws")
    default = min(DEFAULT_TWS, timesteps)
    if plan.variant == "has":
        return (default,) * layers
    given = plan.tws or (init.tws if init is not None and init.tws else (default,))
    if len(given) not in (1, layers):
        raise ConfigError(f"lists {len(given)} window sizes for {layers} layers", field="--tws")
    return tuple(given) * layers if len(given) == 1 else tuple(given)


def _model(plan: Plan, network: Network, sizes: Sequence[int], progress: Progress) -> HardwareModel | None:
    """Fitted costs that the plan asks for: those of a file, else fitted now; None without a hardware loss."""
    if plan.variant == "base":
        return None
    timesteps = plan.timesteps or network.timesteps
    wanted = sorted(set(_choices(plan, timesteps) if plan.variant == "has" else sizes))
    if plan.hardware is None:
        timed = network.model_copy(update={"timesteps": timesteps})
        return fit_hardware_model(timed, "spikex", wanted, progress=progress)
    model = HardwareModel.load(plan.hardware)
    if model.timesteps != timesteps:
        raise ConfigError(
            f"is of {model.timesteps} time points, not {timesteps}", where=str(plan.hardware),
            field="timesteps",
        )  # fmt: skip
    return model


def _choices(plan: Plan, timesteps: int) -> tuple[int, ...]:
    return plan.tws or tuple(size for size in SEARCHED_TWS if size <= timesteps)


def _hardware(
    plan: Plan, model: HardwareModel, names: Sequence[str], sizes: Sequence[int], timesteps: int
) -> HardwareTerm:
    if plan.variant != "has":
        return HardwareLoss.of(model, names, sizes)
    choices = _choices(plan, timesteps)
    possible = tuple(size for size in choices if all(size in model.choices(name) for name in names))
    if not possible:
        raise ConfigError("offers none of the window sizes searched", where="hardware model", field="tws")
    axes = [Axis(TWS, possible)]
    return ArchitectureSearch(names, axes, costs_of_models({(): model}, axes))


def _probabilities(search: ArchitectureSearch, names: Sequence[str]) -> dict[str, dict[str, float]]:
    options = search.axes[0].options
    return {
        name: {
            str(option): round(float(chance), 4)
            for option, chance in zip(options, search.probabilities(0, number).tolist(), strict=True)
        }
        for number, name in enumerate(names)
    }


def _card(
    plan: Plan,
    data: Splits,
    sizes: Sequence[int],
    names: Sequence[str],
    chosen: Measured,
    test: Measured,
    init: TrainedNetwork | None,
    model: HardwareModel | None,
) -> dict[str, Any]:
    """Provenance of the weights, as plain JSON."""
    card: dict[str, Any] = {
        "data": data.about,
        "step_us": data.step_us,
        "recipe": asdict(plan.recipe),
        "surrogate": asdict(plan.surrogate),
        "augmented": plan.augment,
        **accuracies(
            data, chosen, test, tws=list(sizes),
            rates=dict(zip(names, test.rates, strict=True)),
            densities=dict(zip(names, test.densities, strict=True)),
        ),
    }  # fmt: skip
    if model is not None:
        card["hardware"] = {
            "arch": model.arch,
            "version": model.version,
            "tws": sorted({fit.tws for fit in model.fits}),
            "config_sha256": hashlib.sha256(json.dumps(model.config, sort_keys=True).encode()).hexdigest(),
        }
    if init is not None:
        card["init"] = {"sha256": init.file_sha256, "commands": commands_of(init)}
    return card


def commands_of(trained: TrainedNetwork) -> list[str]:
    """Commands that made weights, the first first, as far as their card knows."""
    card = trained.card
    return [*card.get("init", {}).get("commands", []), *([card["command"]] if "command" in card else [])]


def sweep_row(beta: float, outcome: Outcome[TrainedNetwork]) -> Row:
    """Row of Fig. 7: accuracy and densities on the test samples at one beta, in all and by layer."""
    names = [layer.name for layer in outcome.trained.layers if not layer.is_pool]
    inputs = [int(np.prod(layer.input_shape)) for layer in outcome.trained.layers if not layer.is_pool]
    test = outcome.test
    return {
        "beta": beta,
        "accuracy": test.accuracy,
        "spike_density": float(np.average(test.rates, weights=inputs)),
        "window_density": float(np.average(test.densities, weights=inputs)),
        **{f"spike_density_{name}": value for name, value in zip(names, test.rates, strict=True)},
        **{f"window_density_{name}": value for name, value in zip(names, test.densities, strict=True)},
    }


def search_rows(outcome: Outcome[TrainedNetwork]) -> list[Row]:
    """Course of an architecture search (Fig. 8): probability of every layer's window sizes by epoch."""
    return [
        {
            "layer": name,
            "epoch": row["epoch"],
            "tws": int(size),
            "probability": row[f"probability_{name}_{size}"],
        }
        for row in outcome.rows
        for name, sizes in outcome.trained.card.get("probabilities", {}).items()
        for size in sizes
    ]
