"""Command that trains networks for the integer datapath: train. Needs PyTorch."""

from __future__ import annotations

import shlex
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from spikex_sim.cli.options import parse_numbers, writable_file, wrote
from spikex_sim.cli.train_graph import train_graph
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import pip_install

if TYPE_CHECKING:
    from spikex_sim.sources.trained import TrainedNetwork, Variant
    from spikex_sim.training.outcome import Outcome

DEFAULT_BETA = 0.05


def train(
    context: typer.Context,
    network: Annotated[str, typer.Argument(help="Network preset or YAML file.", metavar="NETWORK")],
    out: Annotated[
        Path, typer.Option("--out", help="File for the weights; beside it a .csv log.", metavar="FILE.npz")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Recordings, or images; default: emulated recordings.", metavar="FILE|FOLDER"
        ),
    ] = None,
    ht: Annotated[
        str | None,
        typer.Option(
            "--ht", help="Weight of the hardware loss; several train a network each.", metavar="BETA,..."
        ),
    ] = None,
    has: Annotated[
        bool, typer.Option("--has", help="Search window sizes too, with --ht (0.05 if not given).")
    ] = False,
    tws: Annotated[
        str | None,
        typer.Option(
            "--tws", help="Window size, or each layer's; with --has: to choose from.", metavar="N,..."
        ),
    ] = None,
    hardware: Annotated[
        Path | None,
        typer.Option("--hardware", help="Model of hardware-model; default: fit now.", metavar="FILE"),
    ] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="Weights to go on from.", metavar="NAME|FILE")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes through the samples.")] = 40,
    pretrain: Annotated[
        int | None,
        typer.Option(
            "--pretrain", min=0, help="Of these, without hardware loss; default: half; 0 after --init."
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option("--warmup", min=0, help="Of these, asking silent channels to fire; 3; 0 after --init."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Samples a step.")] = 32,
    rate: Annotated[
        float, typer.Option("--rate", help="Learning rate, in the weights' first deviation.")
    ] = 0.02,
    cutoff: Annotated[
        int | None,
        typer.Option("--cutoff", min=1, help="Time points that gradients reach back; default: all."),
    ] = None,
    leak_shift: Annotated[
        int | None, typer.Option("--leak-shift", min=0, max=31, help="Of all neurons; default: network's.")
    ] = None,
    timesteps: Annotated[
        int | None, typer.Option("--timesteps", min=1, help="Time points T; default: the network's.")
    ] = None,
    step_ms: Annotated[
        float | None, typer.Option("--step-ms", help="Length of one; default: nmnist 10, others 5.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=10, help="Emulated recordings for training.")
    ] = 200,
    save_data: Annotated[
        Path | None,
        typer.Option("--save-data", help="Write the emulated ones, for --data later.", metavar="FILE.npz"),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Take samples as they are: no shifts, no lost spikes.")
    ] = False,
    mirror: Annotated[bool, typer.Option("--mirror", help="Mirror half of the training images.")] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Accuracy that --ht may cost in validation.")
    ] = 0.01,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="Folder to save every epoch to, and go on from.", metavar="DIR"),
    ] = None,
) -> None:
    """Train a network of integer neurons: plain, for the hardware (--ht), or both at once (--has).

    What is trained is what the simulator runs: same spikes, same predictions. Several values of --ht give
    a network each and a table of accuracy and densities beside them, from one start.

    Example: spikex-sim train nmnist --data nmnist.npz --epochs 40 --out weights/nmnist-base.npz
    """
    if find_spec("torch") is None:
        raise ConfigError(f"needs PyTorch: {pip_install('train')}", where="train")
    if out.suffix.lower() != ".npz":
        raise ConfigError("must end in .npz", where="--out", field=str(out))
    if save_data is not None and (data is not None or save_data.suffix.lower() != ".npz"):
        raise ConfigError("writes emulated recordings, to an .npz; leave --data out", where="--save-data")
    for path in (out, save_data):
        if path is not None:
            writable_file(path)
    from spikex_sim.spec.graph_networks import is_graph

    if is_graph(network):
        return train_graph(context.params, _changed(context), _typed(context))
    if mirror:
        raise ConfigError("has no effect on recordings", where="--mirror")
    variant: Variant = "has" if has else "base" if ht is None else "ht"
    betas = [DEFAULT_BETA] if ht is None else parse_numbers(ht, "--ht", float)
    if len(set(betas)) < len(betas) or not all(0 <= beta < 1e6 for beta in betas):
        raise ConfigError(f"wants different numbers of at least 0, not {ht!r:.40}", where="--ht")
    sizes = () if tws is None else tuple(parse_numbers(tws, "--tws", int))
    if step_ms is not None and not 1e-3 <= step_ms <= 1e6:
        raise ConfigError(f"must be 0.001 to 1e6, not {step_ms:g}", field="--step-ms")
    from spikex_sim.cli import show
    from spikex_sim.core.files import csv_text, write_files
    from spikex_sim.spec.networks import load_network
    from spikex_sim.training.data import save_recordings
    from spikex_sim.training.lif import Surrogate
    from spikex_sim.training.outcome import with_command
    from spikex_sim.training.recipe import Recipe
    from spikex_sim.training.run import Plan, splits_of, sweep_row
    from spikex_sim.training.run import train as carry_out

    show.log_to_terminal()
    going_on = init is not None
    plan = Plan(
        network=network,
        recipe=Recipe(
            epochs=epochs,
            warmup_epochs=warmup if warmup is not None else 0 if going_on else 3,
            hardware_from=pretrain if pretrain is not None else 0 if going_on else epochs // 2,
            batch=batch,
            learning_rate=rate,
            beta=0.0 if variant == "base" else betas[0],
            tolerance=tolerance,
            seed=seed,
        ),
        variant=variant,
        data=data,
        init=init,
        tws=sizes,
        hardware=hardware,
        timesteps=timesteps,
        step_ms=step_ms,
        leak_shift=leak_shift,
        samples=samples,
        surrogate=Surrogate(cutoff=cutoff),
        augment=not plain,
    )
    command = _typed(context)
    results: dict[float, Outcome[TrainedNetwork]] = {}
    files: list[Path] = []
    with show.progress_bar("reading") as progress:
        splits = splits_of(plan, load_network(network), progress)
        if save_data is not None:
            save_recordings(splits, save_data)
            files.append(save_data)
        for beta in betas:
            tag = f"-{beta:g}" if len(betas) > 1 else ""
            one = plan if variant == "base" else replace(plan, recipe=replace(plan.recipe, beta=beta))
            folder = checkpoint / f"beta{tag}" if checkpoint is not None and tag else checkpoint
            results[beta] = with_command(carry_out(one, folder, progress, splits), command)
            files += _written(results[beta], out.with_name(f"{out.stem}{tag}.npz"))
    if len(betas) > 1:
        text = csv_text([sweep_row(beta, outcome) for beta, outcome in results.items()])
        files += write_files(out.parent, {f"{out.stem}-sweep.csv": text})
    _show(results)
    wrote(files)


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


def _changed(context: typer.Context) -> dict[str, str]:
    """Parameters that are not at their default, by name: as they are written."""
    return {
        str(parameter.name): parameter.opts[0]
        for parameter in context.command.params
        if context.params[str(parameter.name)] not in (None, parameter.default)
    }


def _typed(context: typer.Context) -> str:
    """Repeat the command with every option that is not at its default; of files the name alone."""
    words = ["spikex-sim", "train"]
    changed = _changed(context)
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if parameter.name not in changed:
            continue
        if parameter.param_type_name == "option":
            words.append(parameter.opts[0])
        if value is not True:
            words.append(
                value.name
                if isinstance(value, Path)
                else Path(value).name
                if parameter.name == "init"
                else str(value)
            )
    return shlex.join(words)
