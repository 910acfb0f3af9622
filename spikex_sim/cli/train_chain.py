"""The part of the command train for chains of layers, which take recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from spikex_sim.cli.options import parse_numbers, wrote
from spikex_sim.core.errors import ConfigError

if TYPE_CHECKING:
    from spikex_sim.sources.trained import TrainedNetwork, Variant
    from spikex_sim.training.outcome import Outcome
    from spikex_sim.training.run import Plan

DEFAULT_BETA = 0.05


def train_chain(options: Mapping[str, Any], command: str) -> None:
    """Train a chain of layers, once or for each weight of the hardware loss, and write weights and logs.

    Parameters
    ----------
    options : mapping
        Parameters of the command by name.
    command : str
        The whole command, for the cards.
    """
    for name, of in (("mirror", "recordings"), ("bits", "a chain of layers, whose weights have 8 bits")):
        if options[name]:
            raise ConfigError(f"has no effect on {of}", where=f"--{name}")
    betas = [DEFAULT_BETA] if options["ht"] is None else parse_numbers(options["ht"], "--ht", float)
    if len(set(betas)) < len(betas) or not all(0 <= beta < 1e6 for beta in betas):
        raise ConfigError(f"wants different numbers of at least 0, not {options['ht']!r:.40}", where="--ht")
    step_ms, save_data = options["step_ms"], options["save_data"]
    if step_ms is not None and not 1e-3 <= step_ms <= 1e6:
        raise ConfigError(f"must be 0.001 to 1e6, not {step_ms:g}", field="--step-ms")
    from spikex_sim.cli import show
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.spec.networks import load_network
    from spikex_sim.training.data import save_recordings
    from spikex_sim.training.outcome import with_command
    from spikex_sim.training.run import splits_of, sweep_row
    from spikex_sim.training.run import train as carry_out

    show.log_to_terminal()
    plan = _plan(options, betas)
    out, checkpoint = options["out"], options["checkpoint"]
    results: dict[float, Outcome[TrainedNetwork]] = {}
    files: list[Path] = []
    with show.progress_bar("reading") as progress:
        splits = splits_of(plan, load_network(plan.network), progress)
        if save_data is not None:
            save_recordings(splits, save_data)
            files.append(save_data)
        for beta in betas:
            tag = f"-{beta:g}" if len(betas) > 1 else ""
            one = plan if plan.variant == "base" else replace(plan, recipe=replace(plan.recipe, beta=beta))
            folder = checkpoint / f"beta{tag}" if checkpoint is not None and tag else checkpoint
            results[beta] = with_command(carry_out(one, folder, progress, splits), command)
            files += _written(results[beta], out.with_name(f"{out.stem}{tag}.npz"))
    if len(betas) > 1:
        text = csv_text([sweep_row(beta, outcome) for beta, outcome in results.items()])
        files += write_files(out.parent, {f"{out.stem}-sweep.csv": text})
    _show(results)
    wrote(files)


def _plan(options: Mapping[str, Any], betas: Sequence[float]) -> Plan:
    """What to train, by the options."""
    from spikex_sim.training.lif import Surrogate
    from spikex_sim.training.recipe import Recipe
    from spikex_sim.training.run import Plan

    going_on, epochs = options["init"] is not None, options["epochs"]
    warmup, pretrain = options["warmup"], options["pretrain"]
    variant: Variant = "has" if options["has"] else "base" if options["ht"] is None else "ht"
    return Plan(
        network=options["network"],
        recipe=Recipe(
            epochs=epochs,
            warmup_epochs=warmup if warmup is not None else 0 if going_on else 3,
            hardware_from=pretrain if pretrain is not None else 0 if going_on else epochs // 2,
            batch=options["batch"],
            learning_rate=options["rate"],
            beta=0.0 if variant == "base" else betas[0],
            tolerance=options["tolerance"],
            seed=options["seed"],
        ),
        variant=variant,
        data=options["data"],
        init=options["init"],
        tws=() if options["tws"] is None else tuple(parse_numbers(options["tws"], "--tws", int)),
        hardware=options["hardware"],
        timesteps=options["timesteps"],
        step_ms=options["step_ms"],
        leak_shift=options["leak_shift"],
        samples=options["samples"],
        surrogate=Surrogate(cutoff=options["cutoff"]),
        augment=not options["plain"],
    )


def _written(outcome: Outcome[TrainedNetwork], path: Path) -> list[Path]:
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.sources.trained import save_trained
    from spikex_sim.training.run import search_rows

    logs = {f"{path.stem}.csv": csv_text(outcome.rows)}
    if outcome.trained.variant == "has":
        logs[f"{path.stem}-search.csv"] = csv_text(search_rows(outcome))
    save_trained(outcome.trained, path)
    return [path, *write_files(path.parent, logs)]


def _show(results: dict[float, Outcome[TrainedNetwork]]) -> None:
    from spikex_sim.cli import show

    about = next(iter(results.values())).trained
    show.say(f"{escape(about.name)}: {escape(str(about.card['data']))}\n")
    made = show.table(
        "Test samples", "beta", "accuracy %", "correct", "layer", "TWS", "spikes %", "windows %"
    )
    for beta, outcome in results.items():
        test = outcome.trained.card["test"]
        shown = [f"{beta:g}" if about.variant != "base" else "", f"{100 * test['accuracy']:.1f}",
                 f"{round(test['accuracy'] * test['samples'])}/{test['samples']}"]  # fmt: skip
        for name, size in zip(test["rates"], test["tws"], strict=True):
            rates = [f"{100 * test[key][name]:.3g}" for key in ("rates", "densities")]
            made.add_row(*shown, name, str(size), *rates)
            shown = ["", "", ""]
    show.put(made)
