"""From mapped networks to the published numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.explore.mapping.compare import HETEROGENEOUS, HOMOGENEOUS, homogeneous
from spikex_sim.explore.mapping.profile import SHARE
from spikex_sim.mapped.pool import Pool
from spikex_sim.papers.ilp.published import published
from spikex_sim.papers.ilp.studies import NETWORKS, WIDE, Rows, network

Tables = Mapping[str, Rows]
"""``networks``: statistics of them; ``ways``: their mappings."""
STATISTICS = {"nodes": "nodes", "edges": "edges", "fanin": "fanin", "density": "density",
              "gini-in": "gini_in", "gini-out": "gini_out"}  # fmt: skip
"""Ends of the names of Table I's rows, and the column of each."""


def only(rows: Rows, **where: Any) -> dict[str, Any]:
    """The only row that matches."""
    found = [row for row in rows if all(str(row[key] or "") == str(value) for key, value in where.items())]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows with {where}, not one")
    return found[0]


def annealed(rows: Rows, name: str, kind: str, objective: str = "area") -> dict[str, Any]:
    """A network's annealed mapping."""
    return only(rows, network=name, kind=kind, method="anneal", objective=objective)


def saved(before: float, after: float) -> float:
    """Percent."""
    return 100 * (1 - after / before)


def against_mcc(rows: Rows) -> list[float]:
    """Area that axon sharing saves against homogeneous MCC in crossbars of one type, each network, %."""
    return [
        saved(
            only(rows, network=name, kind=HOMOGENEOUS, method="mcc", better="yes")["area"],
            annealed(rows, name, HOMOGENEOUS)["area"],
        )
        for name in NETWORKS
    ]


def against_homogeneous(rows: Rows) -> list[float]:
    """Area that the heterogeneous pool saves further, each network, %."""
    return [
        saved(annealed(rows, name, HOMOGENEOUS)["area"], annealed(rows, name, HETEROGENEOUS)["area"])
        for name in NETWORKS
    ]


def routes_saved(rows: Rows, kind: str) -> list[float]:
    """Routes that the second stage saves within the area, each network, %."""
    return [
        saved(annealed(rows, name, kind)["routes"], annealed(rows, name, kind, "routes")["routes"])
        for name in NETWORKS
    ]


def packets_saved(rows: Rows) -> list[float]:
    """Packets that a stage of their own saves against that of the routes, each pool and network, %."""
    return [
        saved(annealed(rows, name, kind, "routes")["packets"],
              annealed(rows, name, kind, "packets")["packets"])
        for kind in (HOMOGENEOUS, HETEROGENEOUS) for name in NETWORKS
    ]  # fmt: skip


def proofs(rows: Rows) -> float:
    """Networks whose heterogeneous mapping is proven to have the least area."""
    found = [annealed(rows, name, HETEROGENEOUS)["status"] for name in NETWORKS]
    return float(found.count("optimal"))


def areas_by_shape(rows: Rows, name: str) -> tuple[int, int]:
    """Area of crossbars with more inputs than outputs, and of square ones, of a heterogeneous mapping."""
    tall = square = 0
    for one in str(annealed(rows, name, HETEROGENEOUS)["types"]).split():
        kind, number = one.split(":")
        inputs, outputs = map(int, kind.split("x"))
        tall += inputs * outputs * int(number) if inputs > outputs else 0
        square += inputs * outputs * int(number) if inputs == outputs else 0
    return tall, square


def is_tall(rows: Rows) -> float:
    """1 if taller crossbars than square ones take more area, in every network."""
    return float(all(tall > square for tall, square in (areas_by_shape(rows, name) for name in NETWORKS)))


def wide_crossbars(rows: Rows) -> float:
    """Crossbars of more than 32 inputs in use where the pool has them."""
    texts = [str(annealed(rows, name, WIDE)["types"]).split() for name in NETWORKS]
    kinds = [one.split(":") for types in texts for one in types]
    return float(sum(int(number) for kind, number in kinds if int(kind.split("x")[0]) > 32))


def mcc_gains(rows: Rows) -> float:
    """1 if MCC in the heterogeneous pool takes less area than axon sharing in the other, in every network."""
    return float(
        all(
            only(rows, network=name, kind=HETEROGENEOUS, method="mcc", better="yes")["area"]
            < annealed(rows, name, HOMOGENEOUS)["area"]
            for name in NETWORKS
        )
    )


def reference_inputs(_: Rows) -> float:
    """Inputs of the homogeneous crossbar, the same for all networks or else not a number of them."""
    sides = {homogeneous(network(name), Pool.named("table2")).types[0].inputs for name in NETWORKS}
    return float(sides.pop()) if len(sides) == 1 else 0.0


def _statistic(rows: Rows, name: str, column: str) -> float:
    return float(only(rows, network=name)[column])


Measure = tuple[str, Callable[[Rows], float]]
SERIES: Mapping[str, Callable[[Rows], list[float]]] = FrozenMap({
    "fig2-hom": against_mcc,
    "fig2-het": against_homogeneous,
    "fig5": partial(routes_saved, kind=HOMOGENEOUS),
    "fig6": partial(routes_saved, kind=HETEROGENEOUS),
    "fig9": packets_saved,
})  # fmt: skip
"""Numbers of all networks, of which the paper gives the least and the largest."""
_EXTREMES = {"low": min, "high": max}


def _measures() -> dict[str, Measure]:
    found: dict[str, Measure] = {
        f"table1-{name.lower()}-{end}": ("networks", partial(_statistic, name=name, column=column))
        for name in NETWORKS for end, column in STATISTICS.items()
    }  # fmt: skip
    found |= {
        "table2-types": ("networks", lambda _: float(len(Pool.named("table2").types))),
        "hom-dimension": ("networks", reference_inputs),
        "fig3-limit": ("ways", proofs),
        "fig3-tall": ("ways", is_tall),
        "vb-32": ("ways", wide_crossbars),
        "pgo-profile": ("networks", lambda _: 100 * SHARE),
        "trend-hom-mcc": ("ways", mcc_gains),
    }
    for figure, series in SERIES.items():
        for end, extreme in _EXTREMES.items():
            found[f"{figure}-{end}"] = (
                "ways", lambda rows, series=series, extreme=extreme: extreme(series(rows)),  # type: ignore[misc]
            )  # fmt: skip
    return {one.id: found[one.id] for one in published()}


MEASURES: Mapping[str, Measure] = FrozenMap(_measures())
"""Table that a published number is measured in, and how."""


def measured(name: str, tables: Tables) -> float | None:
    """Our number beside a published one; None without its table."""
    table, measure = MEASURES[name]
    return measure(tables[table]) if table in tables else None
