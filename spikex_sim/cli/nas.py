"""Commands about cells of searched networks, from shapes alone: nas cost and nas table."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import completing, echo, wrote
from spikex_sim.spec.load import preset_names

if TYPE_CHECKING:
    from spikex_sim.explore.nas.cells import Cell, Space
    from spikex_sim.explore.nas.constraints import Constraints
    from spikex_sim.explore.nas.costs import Costs
    from spikex_sim.explore.nas.macro import Macro
    from spikex_sim.explore.nas.table import PairTable


def _spaces() -> Iterable[str]:
    from spikex_sim.explore.nas.cells import SPACES

    return SPACES


def _datasets() -> Iterable[str]:
    from spikex_sim.explore.nas.macro import DATASETS

    return DATASETS


SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        help="Numbers of the operations.",
        metavar="neuronas|snasnet",
        autocompletion=completing(_spaces),
    ),
]
Machine = Annotated[
    str,
    typer.Option(
        "--arch",
        help="Machine whose costs need no spikes.",
        metavar="NAME|FILE",
        autocompletion=completing(preset_names),
    ),
]
DatasetName = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="Images and classes.",
        metavar="cifar10|cifar100|tinyimagenet",
        autocompletion=completing(_datasets),
    ),
]
Bits = Annotated[int, typer.Option("--bits", help="Of a weight, 1 to 32.", metavar="N")]
Channels = Annotated[int, typer.Option("--channels", help="Of cell A; B has twice as many.", metavar="N")]
Timesteps = Annotated[int, typer.Option("--timesteps", help="Time points.", metavar="N")]
MaxParams = Annotated[
    float | None, typer.Option("--max-params", help="Most weights of convolutions.", metavar="N")
]
MaxArea = Annotated[float | None, typer.Option("--max-area-mm2", help="Largest area.", metavar="MM2")]
MaxLatency = Annotated[float | None, typer.Option("--max-latency-ms", help="Longest time.", metavar="MS")]
MaxEnergy = Annotated[float | None, typer.Option("--max-energy-uj", help="Most energy.", metavar="UJ")]
MaxEdp = Annotated[float | None, typer.Option("--max-edp-js", help="Largest product of both.", metavar="JS")]


def cost(
    cell_a: Annotated[str, typer.Argument(help="Six digits, or a matrix in quotes.", metavar="CELL_A")],
    cell_b: Annotated[str, typer.Argument(help="Likewise.", metavar="CELL_B")],
    space: SpaceName = "neuronas",
    arch: Machine = "spikesim-released",
    bits: Bits = 8,
    dataset: DatasetName = "cifar10",
    channels: Channels = 128,
    timesteps: Timesteps = 5,
    max_params: MaxParams = None,
    max_area_mm2: MaxArea = None,
    max_latency_ms: MaxLatency = None,
    max_energy_uj: MaxEnergy = None,
    max_edp_js: MaxEdp = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Cost a network of two cells from its shapes: parameters, area, latency, energy, and what it computes.

    Convolutions alone are counted; the linear layers are not.

    Example: spikex-sim nas cost 111111 100000 --bits 4 --max-latency-ms 500
    """
    from spikex_sim.explore.nas.cells import space_of
    from spikex_sim.explore.nas.costs import Script, costs_of, script_of
    from spikex_sim.explore.nas.macro import Macro, dataset_of

    limits = checked_limits(max_params, max_area_mm2, max_latency_ms, max_energy_uj, max_edp_js)
    cells = space_of(space)
    a, b = (_cell(cells, text, name) for text, name in ((cell_a, "CELL_A"), (cell_b, "CELL_B")))
    macro, machine = Macro(dataset_of(dataset), channels, timesteps), script_of(arch)
    found = costs_of(macro, Script.of(machine), bits, a.live, b.live)
    if as_json:
        import json

        about = {"space": space, "dataset": dataset, "channels": channels, "timesteps": timesteps,
                 "arch": machine.name, "bits": bits}  # fmt: skip
        content = about | _content(cells, a, b, macro, found, limits)
        echo(json.dumps(content, indent=1, ensure_ascii=False))
        return
    _show(f"{machine.name}, {bits}-bit weights, {dataset}", cells, a, b, macro, found, limits)


def pair_table(
    out: Annotated[Path, typer.Option("--out", help="Table; packed as .csv.gz.", metavar="FILE")],
    space: SpaceName = "neuronas",
    arch: Machine = "spikesim-released",
    bits: Bits = 8,
    channels: Channels = 128,
    timesteps: Timesteps = 5,
    max_params: MaxParams = None,
    max_area_mm2: MaxArea = None,
    max_latency_ms: MaxLatency = None,
    max_energy_uj: MaxEnergy = None,
    max_edp_js: MaxEdp = None,
    same: Annotated[bool, typer.Option("--same", help="Pairs with A = B alone.")] = False,
) -> None:
    """Cost all pairs of cells of a space, and say how many keep the limits.

    Costs are those of `nas cost`, the same for all three datasets. Of snasnet with --same alone.

    Example: spikex-sim nas table --bits 4 --max-latency-ms 500 --out results/pairs.csv
    """
    from spikex_sim.cli import show
    from spikex_sim.cli.options import writable_file
    from spikex_sim.core.errors import ConfigError
    from spikex_sim.core.files import write_lines
    from spikex_sim.explore.nas.cells import space_of
    from spikex_sim.explore.nas.costs import Script, script_of
    from spikex_sim.explore.nas.macro import Macro
    from spikex_sim.explore.nas.table import MOST_PAIRS, PairTable

    limits = checked_limits(max_params, max_area_mm2, max_latency_ms, max_energy_uj, max_edp_js)
    cells, machine, macro = space_of(space), script_of(arch), Macro(channels=channels, timesteps=timesteps)
    if not same and cells.pairs > MOST_PAIRS:
        raise ConfigError(f"has {cells.pairs:,} pairs; --same takes those with A = B", where=f"space {space}")
    writable_file(out)
    started = perf_counter()
    found = PairTable.of(cells, macro, Script.of(machine), bits)
    _summary(f"{space} on {machine.name}, {bits}-bit weights", found, limits, same=same)
    costed = perf_counter()
    write_lines(out, found.lines(limits, same=same))
    show.say(f"costed in {costed - started:.2f} s, written in {perf_counter() - costed:.2f} s")
    wrote([out])


def checked_limits(*given: float | None) -> Constraints:
    """Limits as they were given; :class:`ConfigError` names the option of one that is none."""
    from spikex_sim.core.errors import ConfigError
    from spikex_sim.explore.nas.constraints import Constraints

    names = ("--max-params", "--max-area-mm2", "--max-latency-ms", "--max-energy-uj", "--max-edp-js")
    for name, limit in zip(names, given, strict=True):
        if limit is not None and not (isfinite(limit) and limit > 0):
            raise ConfigError(f"is {limit:g}; wants a number above 0", field=name)
    return Constraints(*given)


def _cell(space: Space, text: str, where: str) -> Cell:
    from spikex_sim.core.errors import ConfigError

    cell = space.parse(text, where)
    if cell.is_empty:
        raise ConfigError(f"{text[:40]!r}: nothing reaches its output", where=where)
    return cell


def _form(cell: Cell) -> str:
    from spikex_sim.explore.nas.forms import canonical

    return canonical(cell).form.text if cell.is_forward else ""


def _content(
    space: Space, a: Cell, b: Cell, macro: Macro, costs: Costs, limits: Constraints
) -> dict[str, Any]:
    return {
        **{
            name: {"cell": space.write(cell), "form": _form(cell) or None, "kernels": list(cell.live)}
            for name, cell in (("cell_a", a), ("cell_b", b))
        },
        **{name: getattr(costs, name) for name in COSTS},
        "linear_parameters": macro.linear_parameters,
        "limits": limits.limits,
        "feasible": not limits.misses(costs),
        "misses": limits.misses(costs),
    }


COSTS = ("parameters", "area_mm2", "latency_ms", "energy_uj", "edp_js")


def _show(
    about: str, space: Space, a: Cell, b: Cell, macro: Macro, costs: Costs, limits: Constraints
) -> None:
    from spikex_sim.cli import show
    from spikex_sim.explore.nas.constraints import UNITS, amount, digits

    for name, cell in (("A", a), ("B", b)):
        show.say(f"cell {name} [bold]{space.write(cell)}[/]: {_form(cell) or 'backward edges, no form'}")
    made = show.table(f"\n{about}", "cost", "value", "", "limit", "of it %")
    for name in COSTS:
        limit, value = limits.limits.get(name), getattr(costs, name)
        told = ("", "") if limit is None else (digits(name, limit), f"{100 * value / limit:.1f}")
        made.add_row(name.partition("_")[0], digits(name, value), UNITS[name], *told)
    show.put(made)
    if limits.limits:
        missed = limits.misses(costs)
        show.say("feasible: yes") if not missed else show.note(f"feasible: no; {'; '.join(missed)}")
    linear = amount("parameters", macro.linear_parameters).removeprefix("parameters ")
    show.say(f"convolutions alone; the linear layers have {linear} parameters more")


def _summary(about: str, table: PairTable, limits: Constraints, *, same: bool) -> None:
    from spikex_sim.cli import show
    from spikex_sim.explore.nas.constraints import amount

    pairs = table.pairs(same=same)
    kept = int((pairs * limits.kept(table.costs)).sum())
    forms = len(set(table.forms))
    show.say(
        f"{about}: {pairs.sum():,} pairs, {forms if same else forms**2:,} of them different; "
        f"{kept:,} are feasible"
    )
    for name, limit in limits.limits.items():
        broken = int((pairs * (getattr(table.costs, name) > limit)).sum())
        show.say(f"{amount(name, limit)}: {broken:,} exceed it")
    if not kept:
        a, b, costs = table.nearest(limits, same=same)
        show.note(f"nothing is feasible; nearest is {a} {b}: {'; '.join(limits.misses(costs))}")
