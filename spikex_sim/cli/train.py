"""Command that trains networks for the integer datapath: train. Needs PyTorch."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from spikex_sim.cli.options import writable_file
from spikex_sim.cli.train_chain import train_chain
from spikex_sim.cli.train_graph import train_graph
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import pip_install


def train(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", help="File for the weights; beside it a .csv log.", metavar="FILE.npz")
    ],
    network: Annotated[
        str | None, typer.Argument(help="Network preset or YAML file.", metavar="NETWORK")
    ] = None,
    searched: Annotated[
        Path | None,
        typer.Option("--network", help="Instead: the winner of a search by nas.", metavar="DIR|nas.json"),
    ] = None,
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
    bits: Annotated[
        int | None,
        typer.Option("--bits", min=2, max=8, help="Of a weight, of graphs; default: the search's, or 8."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option("--width", min=1, help="First linear layer of a winner; default: the search's."),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option("--pool", min=1, max=16, help="Side of the average before it; default: likewise."),
    ] = None,
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

    The winner of a search by nas is trained with --network DIR.

    Example: spikex-sim train nmnist --data nmnist.npz --epochs 40 --out weights/nmnist-base.npz
    """
    if (network is None) == (searched is None):
        raise ConfigError("name a NETWORK or the winner of a search: --network DIR", where="train")
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

    for name, given in (("--width", width), ("--pool", pool)):
        if given is not None and searched is None:
            raise ConfigError("is of the winner of a search: --network DIR", where=name)
    if network is None or is_graph(network):
        return train_graph(context.params, _changed(context), _typed(context))
    train_chain(context.params, _typed(context))


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
    for parameter in sorted(context.command.params, key=lambda one: one.param_type_name == "option"):
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
