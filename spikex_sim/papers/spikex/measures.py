"""From the studies' rows to the published numbers, and to the trends that the paper tells of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from spikex_sim.papers.spikex.studies import FIG9_RATES, FIG9_TWS, FIG10_RATES, Rows

Tables = Mapping[str, Rows]
"""Rows of each study that was run, by figure."""
HIGH, LOW = max(FIG9_RATES), min(FIG9_RATES)
PTB, SPIKEX = 1, 0
"""Places of the machines in the rows of Fig. 10."""


def _at(rows: Rows, column: str, **where: float) -> float:
    """Sum of a column over the rows that match."""
    return float(sum(row[column] for row in rows if all(row[key] == value for key, value in where.items())))


def reduction(rows: Rows, column: str, tws: int) -> float:
    """Saved from the highest to the lowest rate, %."""
    return 100 * (1 - _at(rows, column, tws=tws, rate=LOW) / _at(rows, column, tws=tws, rate=HIGH))


def preferred(rows: Rows, column: str, rate: float) -> int:
    """Window size with the least of a column at a rate."""
    return min(FIG9_TWS, key=lambda tws: _at(rows, column, tws=tws, rate=rate))


def dispatch_gain(rows: Rows, rate: float) -> float:
    """Latency of PTB over that of SpikeX."""
    seconds = [row["seconds"] for row in rows if row["rate"] == rate]
    return float(seconds[PTB] / seconds[SPIKEX])


def share(rows: Rows, part: str, tws: int) -> float:
    """Share of a component or use in the energy of all layers, %."""
    return 100 * _at(rows, f"energy_{part}_pj", tws=tws) / _at(rows, "energy_pj", tws=tws)


NETWORKS = {"dvsm": "dvs-gesture-medium", "dvsl": "dvs-gesture-large", "nmnist": "nmnist"}
"""Ends of the names of rows to networks."""
BASELINE = "PTB"
CONFIGURATIONS = {"ht": "PTB+HT", "has": "PTB+HT+HAS", "all": "SpikeX+HT+HAS"}
"""What the names of rows call the configurations of Fig. 13."""


def _total(rows: Rows, column: str, network: str, configuration: str) -> float | None:
    """Sum over the layers of a network; None without rows of it."""
    found = [
        row[column] for row in rows if (row["network"], row["configuration"]) == (network, configuration)
    ]
    return float(sum(found)) if found else None


def gain(rows: Rows, column: str, network: str, configuration: str) -> float | None:
    """How many times less than PTB a configuration takes; None if one of them is not there."""
    base = _total(rows, column, network, BASELINE)
    other = _total(rows, column, network, configuration)
    return None if base is None or not other else base / other


def limit(rows: Rows, column: str, network: str, configuration: str) -> float | None:
    """Most that training could gain at the window sizes found: PTB's total over what the first layer takes.

    The first layer sees what was recorded, whatever the weights ("the performance of CONV1 is kept the same",
    Fig. 13). None if one of them is not there.
    """
    base = _total(rows, column, network, BASELINE)
    mine = [row for row in rows if (row["network"], row["configuration"]) == (network, configuration)]
    first = float(mine[0][column]) if mine else 0.0
    return None if base is None or not first else base / first


LIMITED = {
    f"fig13-{name}-{quantity}-{end}": (column, network, configuration)
    for name, configuration in CONFIGURATIONS.items()
    for column, quantity in (("energy_pj", "energy"), ("seconds", "latency"))
    for end, network in NETWORKS.items()
    if (name, quantity) != ("has", "energy")
}
"""Rows with a limit, and what it is of."""


def limit_of(row_id: str, tables: Tables) -> float | None:
    """Most that a row could come to, with window sizes as they were found; None if that is not known."""
    if row_id not in LIMITED or "fig13" not in tables:
        return None
    return limit(tables["fig13"], *LIMITED[row_id])


def step(rows: Rows, column: str, network: str) -> float | None:
    """What HAS changes of what HT leaves on PTB, %; None if one of them is not there."""
    before, after = (_total(rows, column, network, CONFIGURATIONS[name]) for name in ("ht", "has"))
    return None if not before or after is None else 100 * (after / before - 1)


def edp_gain(rows: Rows, network: str) -> float | None:
    """How many times smaller than PTB's the product of all techniques' energy and latency is."""
    gains = [gain(rows, column, network, CONFIGURATIONS["all"]) for column in ("energy_pj", "seconds")]
    return None if gains[0] is None or gains[1] is None else gains[0] * gains[1]


def edp_gain_of_all(rows: Rows, choose: Callable[[list[float]], float]) -> float | None:
    """Least or largest of the three networks' gains in EDP; None unless all three are there."""
    gains = [found for network in NETWORKS.values() if (found := edp_gain(rows, network)) is not None]
    return choose(gains) if len(gains) == len(NETWORKS) else None


def largest_layer_gain(rows: Rows) -> float | None:
    """Largest factor that HT saves of the energy of one layer on PTB; None without rows of HT."""
    energies = {(row["network"], row["layer"], row["configuration"]): row["energy_pj"] for row in rows}
    gains = [
        energies[network, layer, BASELINE] / energy
        for (network, layer, name), energy in energies.items()
        if name == CONFIGURATIONS["ht"] and energy and (network, layer, BASELINE) in energies
    ]
    return max(gains, default=None)


Measure = tuple[str, Callable[[Rows], float | None]]
"""Study that a number is read from, and how."""


def _measures() -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    for tws in FIG9_TWS:
        found[f"fig9-energy-{tws}"] = ("fig9", partial(reduction, column="energy_pj", tws=tws))
        found[f"fig9-latency-{tws}"] = ("fig9", partial(reduction, column="seconds", tws=tws))
    found["fig9-optimum-high"] = ("fig9", partial(preferred, column="seconds", rate=HIGH))
    found["fig9-optimum-low"] = ("fig9", partial(preferred, column="energy_pj", rate=LOW))
    found["fig10-low"] = ("fig10", partial(dispatch_gain, rate=min(FIG10_RATES)))
    found["fig10-high"] = ("fig10", partial(dispatch_gain, rate=max(FIG10_RATES)))
    for part in ("rf", "lbuf", "glb", "dram", "alu"):
        found[f"fig12-{part}"] = ("fig12", partial(share, part=part, tws=4))
    for tws in (4, 8):
        found[f"fig12-weight-{tws}"] = ("fig12", partial(share, part="weights", tws=tws))
        found[f"fig12-spike-{tws}"] = ("fig12", partial(share, part="spikes", tws=tws))
    for row, (column, network, configuration) in LIMITED.items():
        measure = partial(gain, column=column, network=network, configuration=configuration)
        found[row] = ("fig13", measure)
    for column, quantity in (("energy_pj", "energy"), ("seconds", "latency")):
        for end, network in NETWORKS.items():
            if (quantity, end) not in (("latency", "dvsm"), ("latency", "nmnist")):
                measure = partial(step, column=column, network=network)
                found[f"fig13-step-{quantity}-{end}"] = ("fig13", measure)
    found["edp-min"] = ("fig13", partial(edp_gain_of_all, choose=min))
    found["edp-max"] = ("fig13", partial(edp_gain_of_all, choose=max))
    found["ht-layer-max"] = ("fig13", largest_layer_gain)
    return found


SCORED = _measures()
"""Row of the scorecard to the study it is read from, and how."""


def measured(row_id: str, tables: Tables) -> float | None:
    """Our number for a published row; None if its study was not run, or lacks trained networks."""
    figure, measure = SCORED.get(row_id, ("", None))
    return measure(tables[figure]) if measure is not None and figure in tables else None


@dataclass(frozen=True)
class Trend:
    """Something that the paper says of the course of a figure.

    Attributes
    ----------
    figure : str
        Study it is read from.
    says : str
        The trend.
    found : str
        Our numbers.
    holds : bool
        Whether they show it.
    """

    figure: str
    says: str
    found: str
    holds: bool


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _rising(values: list[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def _fig9_trends(rows: Rows) -> list[Trend]:
    def all_fall(column: str) -> Trend:
        falls = [
            _rising([_at(rows, column, tws=tws, rate=rate) for rate in sorted({row["rate"] for row in rows})])
            for tws in FIG9_TWS
        ]
        name = "energy" if column == "energy_pj" else "latency"
        return Trend(
            "fig9",
            f"{name} falls with the firing rate, at every TWS",
            f"at {sum(falls)} of {len(falls)} TWS",
            all(falls),
        )

    energy = [reduction(rows, "energy_pj", tws) for tws in FIG9_TWS]
    latency = [reduction(rows, "seconds", tws) for tws in FIG9_TWS]
    fastest, thriftiest = preferred(rows, "seconds", HIGH), preferred(rows, "energy_pj", LOW)
    return [
        all_fall("energy_pj"),
        all_fall("seconds"),
        Trend("fig9", "the energy reduction rises with TWS", f"{_numbers(energy)} %", _rising(energy)),
        Trend(
            "fig9", "the latency reduction falls with TWS", f"{_numbers(latency)} %", _rising(latency[::-1])
        ),
        Trend("fig9", "at 0.5 % TWS 2 has the least latency", f"TWS {fastest}", fastest == min(FIG9_TWS)),
        Trend(
            "fig9", "at 0.01 % TWS 10 has the least energy", f"TWS {thriftiest}", thriftiest == max(FIG9_TWS)
        ),
    ]


def _fig10_trends(rows: Rows) -> list[Trend]:
    gains = [dispatch_gain(rows, rate) for rate in sorted({row["rate"] for row in rows}, reverse=True)]
    return [
        Trend(
            "fig10",
            "the gain of agile dispatch rises, and nowhere falls, as the firing rate falls",
            _numbers(gains),
            all(before <= after for before, after in pairwise(gains)) and gains[-1] > gains[0],
        )
    ]


def _fig11_trends(rows: Rows) -> list[Trend]:
    energies = [row["energy_pj"] for row in rows]
    spread = max(energies) / min(energies)
    return [
        Trend(
            "fig11",
            "energy depends on TWS (by a tenth or more; the text has no number)",
            f"{spread:.2f} x between TWS {rows[energies.index(max(energies))]['tws']} and "
            f"{rows[energies.index(min(energies))]['tws']}",
            spread >= 1.1,
        )
    ]


def _fig12_trends(rows: Rows) -> list[Trend]:
    weights = [share(rows, "weights", tws) for tws in (4, 8)]
    spikes = [share(rows, "spikes", tws) for tws in (4, 8)]
    parts = [share(rows, part, 4) for part in ("dram", "glb", "lbuf", "alu", "rf")]
    return [
        Trend(
            "fig12",
            "the weight share falls from TWS 4 to 8",
            f"{_numbers(weights)} %",
            weights[1] < weights[0],
        ),
        Trend(
            "fig12", "the spike share rises from TWS 4 to 8", f"{_numbers(spikes)} %", spikes[1] > spikes[0]
        ),
        Trend("fig12", "DRAM < GLB < LBUF < ALU < RF", f"{_numbers(parts)} %", _rising(parts)),
    ]


def _fig13_trends(rows: Rows) -> list[Trend]:
    """What the text says of every network, of those that are trained."""

    def everywhere(says: str, column: str, better: str, worse: str) -> Trend | None:
        pairs = [
            (_total(rows, column, network, better), _total(rows, column, network, worse))
            for network in NETWORKS.values()
        ]
        ratios = [worse_one / better_one for better_one, worse_one in pairs if better_one and worse_one]
        if not ratios:
            return None
        return Trend("fig13", says, f"{_numbers(ratios)} x", all(ratio > 1 for ratio in ratios))

    ht, has, spikex = CONFIGURATIONS.values()
    found = [
        everywhere("HT saves energy on PTB, in every network", "energy_pj", ht, BASELINE),
        everywhere("HT saves time on PTB, in every network", "seconds", ht, BASELINE),
        everywhere("HAS saves further time, in every network", "seconds", has, ht),
        everywhere("SpikeX saves further energy, in every network", "energy_pj", spikex, has),
        everywhere("SpikeX saves further time, in every network", "seconds", spikex, has),
    ]
    return [trend for trend in found if trend is not None]


_TRENDS: dict[str, Callable[[Rows], list[Trend]]] = {
    "fig9": _fig9_trends,
    "fig10": _fig10_trends,
    "fig11": _fig11_trends,
    "fig12": _fig12_trends,
    "fig13": _fig13_trends,
}


def trends(tables: Tables) -> list[Trend]:
    """Trends of the studies that were run."""
    return [trend for figure, find in _TRENDS.items() if figure in tables for trend in find(tables[figure])]
