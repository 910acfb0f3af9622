"""Command that lists what other commands take by name: list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from spikex_sim.cli.options import completing
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.sheet import Sheet


def _presets() -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.spec.load import load_accelerator, preset_names

    made = show.table("presets: accelerators, --arch NAME", "name", "scheduler", "PEs", "MHz", left=2)
    for name in preset_names():
        arch = load_accelerator(name)
        pes = f"{arch.array.rows}x{arch.array.cols}" if arch.reads("array") else ""
        made.add_row(name, arch.scheduler, pes, f"{arch.clock_mhz:g}")
    return made


def _networks() -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.units import sides
    from spikex_sim.spec.networks import load_network, network_names

    made = show.table("networks: --network NAME", "name", "input", "T", "layers")
    for name in network_names():
        network = load_network(name)
        shape = sides(network.layers[0].input_shape)
        made.add_row(name, shape, str(network.timesteps), str(len(network.layers)))
    return made


def _graphs() -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.core.units import sides
    from spikex_sim.sources.trained_graphs import load_trained_graph, shipped_graph_names
    from spikex_sim.spec.graph_networks import graph_names, graph_network

    title = "graphs: trace synth --kind graph --network NAME; trained: trace convert --weights NAME"
    made = show.table(title, "name", "input", "T", "nodes", "trained")
    presets, trained = graph_names(), shipped_graph_names()
    for name in sorted({*presets, *trained}):
        network = graph_network(name) if name in presets else load_trained_graph(name).described()
        shape = sides(network.nodes[0]["shape"])
        numbers = str(network.timesteps), str(len(network.nodes))
        kind = "yes" if name in presets else "weights alone"
        made.add_row(name, shape, *numbers, kind if name in trained else "")
    return made


def _weights() -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.sources.trained import shipped_names

    title = "weights: trained networks, --weights NAME, evaluate NETWORK --variant VARIANT"
    made = show.table(title, "name", "network", "variant", left=3)
    for name in shipped_names():
        network, _, variant = name.rpartition("-")
        made.add_row(name, network, variant)
    return made


def _plugins(seam: str, option: str) -> Callable[[], Sheet]:
    def listed() -> Sheet:
        from spikex_sim.cli import show
        from spikex_sim.core.registry import places

        made = show.table(f"{seam}: plug-ins, {option}", "name", "from", left=2)
        for name, place in places(seam).items():
            made.add_row(name, place)
        return made

    return listed


def _figures() -> Sheet:
    from spikex_sim.cli import show
    from spikex_sim.cli.reproduce import NAMES as STUDIES
    from spikex_sim.plots.folder import NAMES

    made = show.table("figures: plot --figure NAME; reproduce NAME", "name", "by", left=2)
    for name in dict.fromkeys((*NAMES, *STUDIES)):
        by = [command for command, names in (("plot", NAMES), ("reproduce", STUDIES)) if name in names]
        made.add_row(name, ", ".join(by))
    return made


LISTS: dict[str, Callable[[], Sheet]] = {
    "presets": _presets,
    "networks": _networks,
    "graphs": _graphs,
    "weights": _weights,
    "accelerators": _plugins("accelerators", "--set scheduler=NAME"),
    "dispatch": _plugins("dispatch", "policies, --set dispatch=NAME"),
    "engines": _plugins("engines", "--engine NAME"),
    "figures": _figures,
}
"""What there is to list, and what makes its table."""


def list_names(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of {', '.join(LISTS)}; default: all.",
            metavar="KIND...",
            autocompletion=completing(lambda: LISTS),
        ),
    ] = None,
) -> None:
    """List what other commands take by name: presets, networks, policies, figures, plug-ins.

    Plug-ins are named with the place they come from; they are not loaded.

    Example: spikex-sim list presets dispatch
    """
    from spikex_sim.cli import show

    show.put(*_sheets(kinds or list(LISTS)))


def _sheets(kinds: list[str]) -> Iterator[Sheet]:
    for kind in kinds:
        if kind not in LISTS:
            raise ConfigError(one_of(kind, LISTS), where="list")
    return (LISTS[kind]() for kind in dict.fromkeys(kinds))
