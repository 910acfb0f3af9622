"""Tables of crossbars that hold the neurons of a mapping."""

from __future__ import annotations

from collections.abc import Callable

from spikex_sim.cli import show
from spikex_sim.cli.sheet import Sheet, short
from spikex_sim.run.results import LayerResult, RunResult, Totals
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions


def headline(result: RunResult) -> str:
    """What the machine is, in a few words."""
    arch = result.arch
    assert isinstance(arch, MappedOptions)
    layers = _layers(result)
    crossbars = sum(layer.mapping["pes"] for layer in layers)
    return (
        f"{crossbars:,} crossbars of {arch.imc.device.bits}-bit cells on a {layers[0].mapping['mesh']} mesh"
    )


def tables(result: RunResult) -> list[Sheet]:
    """Tables of time, work and what each layer takes."""
    return [_time_table(result), _work_table(result), _size_table(result)]


def notes(result: RunResult) -> list[str]:
    """What a reader should know beside the numbers."""
    arch, totals = result.arch, result.totals
    assert isinstance(arch, MappedOptions) and totals.imc is not None
    found = []
    if arch.crossbar_mapping is None:
        found.append("no mapping is given: neurons lie in the first crossbar with room; `map` finds better "
                     "homes, and crossbar_mapping names its file")  # fmt: skip
    elif not _layers(result)[0].mapping["placed"]:
        found.append("the mapping has no tiles, crossbars lie in their order; `map --mesh auto` places them")
    moved = totals.imc["stalls"]["noc_in"]
    if moved:
        found.append(
            f"{100 * moved / totals.cycles:.0f} % of the time goes to the mesh, and that is a lower bound: "
            "packets do not wait for each other"
        )
    return found


def _layers(result: RunResult) -> list[LayerResult]:
    return [layer for layer in result.layers if layer.imc is not None]


def _rows(made: Sheet, result: RunResult, cells: Callable[[LayerResult | Totals], list[str]]) -> Sheet:
    for layer in _layers(result):
        made.add_row(short(layer.name), *cells(layer))
    made.add_row(show.total_name(len(result.samples)), *cells(result.totals))
    return made


def _time_table(result: RunResult) -> Sheet:
    made = show.table("Time: shares of all crossbars' time, cycles, and what it goes to, %",
                      "layer", "cycles", "mesh", "reads", "lif")  # fmt: skip

    def cells(costs: LayerResult | Totals) -> list[str]:
        assert costs.imc is not None
        stalls = costs.imc["stalls"]
        parts = (stalls["noc_in"], costs.compute_cycles, stalls["lif"])
        return [f"{costs.cycles:,}", *(show.percent(part, costs.cycles) for part in parts)]

    return _rows(made, result, cells)


def _work_table(result: RunResult) -> Sheet:
    names = ("reads", "accumulations", "conversions", "packets", "packet_hops")
    made = show.table("Work", "layer", "reads", "adds", "conversions", "packets", "hops", "spikes in", "out")

    def cells(costs: LayerResult | Totals) -> list[str]:
        assert costs.imc is not None
        counts = costs.imc["counts"]
        spikes = (getattr(costs, "input_spikes", None), costs.output_spikes)
        return [
            *(show.count(counts[name]) for name in names),
            *("" if one is None else show.count(one) for one in spikes),
        ]

    return _rows(made, result, cells)


def _size_table(result: RunResult) -> Sheet:
    names = ("neurons", "columns", "synapses", "pes", "read_cycles", "psum_bits")
    made = show.table(
        "Neurons, and crossbars whose lowest neuron is one of the layer",
        *("layer", "neurons", "columns", "synapses", "crossbars", "read cycles", "sum bits"),
    )
    for layer in _layers(result):
        made.add_row(short(layer.name), *(f"{layer.mapping[name]:,}" for name in names))
    return made
