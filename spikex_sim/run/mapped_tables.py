"""Tables of crossbars that hold the neurons of a mapping."""

from __future__ import annotations

from spikex_sim.core.sheet import Sheet, count, percent, short, table
from spikex_sim.run.results import RunResult
from spikex_sim.run.rows import AnyCosts, AnyResults, chip_layers, chip_rows, imc_of
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions


def headline(result: AnyResults) -> str:
    """What the machine is, in a few words."""
    arch = result.arch
    assert isinstance(arch, MappedOptions)
    layers = chip_layers(result)
    crossbars = sum(layer.mapping["pes"] for layer in layers)
    return (
        f"{crossbars:,} crossbars of {arch.imc.device.bits}-bit cells on a {layers[0].mapping['mesh']} mesh"
    )


def tables(result: AnyResults) -> list[Sheet]:
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
    elif not chip_layers(result)[0].mapping["placed"]:
        found.append("the mapping has no tiles, crossbars lie in their order; `map --mesh auto` places them")
    moved = totals.imc["stalls"]["noc_in"]
    if moved:
        found.append(
            f"{100 * moved / totals.cycles:.0f} % of the time goes to the mesh, and that is a lower bound: "
            "packets do not wait for each other"
        )
    return found


def _time_table(result: AnyResults) -> Sheet:
    made = table("Time: shares of all crossbars' time, cycles, and what it goes to, %",
                      "layer", "cycles", "mesh", "reads", "lif")  # fmt: skip

    def cells(costs: AnyCosts) -> list[str]:
        figures = imc_of(costs)
        assert figures is not None
        stalls = figures["stalls"]
        parts = (stalls["noc_in"], costs.compute_cycles, stalls["lif"])
        return [f"{costs.cycles:,}", *(percent(part, costs.cycles) for part in parts)]

    return chip_rows(made, result, cells)


def _work_table(result: AnyResults) -> Sheet:
    names = ("reads", "accumulations", "conversions", "packets", "packet_hops")
    made = table("Work", "layer", "reads", "adds", "conversions", "packets", "hops", "spikes in", "out")

    def cells(costs: AnyCosts) -> list[str]:
        figures = imc_of(costs)
        assert figures is not None
        counts = figures["counts"]
        spikes = (getattr(costs, "input_spikes", None), costs.output_spikes)
        return [
            *(count(counts[name]) for name in names),
            *("" if one is None else count(one) for one in spikes),
        ]

    return chip_rows(made, result, cells)


def _size_table(result: AnyResults) -> Sheet:
    names = ("neurons", "columns", "synapses", "pes", "read_cycles", "psum_bits")
    made = table(
        "Neurons, and crossbars whose lowest neuron is one of the layer",
        *("layer", "neurons", "columns", "synapses", "crossbars", "read cycles", "sum bits"),
    )
    for layer in chip_layers(result):
        made.add_row(short(layer.name), *(f"{layer.mapping[name]:,}" for name in names))
    return made
