"""The paper's studies of layers, as rows: what Figures 9 to 12 are drawn from and the scorecard reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import mean
from typing import Any

import numpy as np

from spikex_sim.core.progress import Progress
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.costs.components import COMPONENTS
from spikex_sim.explore.tws_search import layers_apart
from spikex_sim.papers.spikex.workloads import bernoulli_layer, camera_network
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.results import RunResult
from spikex_sim.run.simulate import simulate
from spikex_sim.run.single_layer import SingleLayer
from spikex_sim.run.tally import Costs
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

Rows = list[dict[str, Any]]

FIG9_RATES = (0.005, 0.0025, 0.001, 0.0005, 0.00025, 0.0001)
FIG9_TWS = (2, 3, 5, 10)
FIG9_SAMPLES = 12
"""Draws of random spikes: at 0.01 % one draw has seven spikes."""
FIG10_RATES = (0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001)
FIG10_SAMPLES = 1
WINDOWS = (1, 2, 4, 8, 16)
"""Window sizes of Figures 5 and 11, time points."""
FIG12_TWS = (4, 8)


@dataclass(frozen=True)
class Fig12Reading:
    """How Figure 12 is read, which the paper leaves open.

    Attributes
    ----------
    networks : tuple of str
        Whose fully connected layers it shows, together.
    potentials : {"weights", "spikes", "both", "own"}
        What the accesses of partial sums and potentials count as, ``both`` by half: the figure has no third
        use of memories.
    """

    networks: tuple[str, ...]
    potentials: str


READING = Fig12Reading(("nmnist",), "both")
"""The reading that the search for the paper's setting chose (`scripts/search_paper_setting.py`)."""


@dataclass(frozen=True)
class Machines:
    """What the studies run on: SpikeX, and its baseline PTB on the same hardware."""

    spikex: Accelerator
    ptb: Accelerator

    @classmethod
    def of_presets(cls) -> Machines:
        """The presets ``spikex-paper`` and ``ptb-paper``."""
        return cls(load_accelerator("spikex-paper", {}), load_accelerator("ptb-paper", {}))


Study = Callable[[Machines, Progress], Rows]


def costs_of(costs: Costs) -> dict[str, Any]:
    """Cycles, seconds and energy of a layer or a run."""
    return {"cycles": costs.cycles, "seconds": costs.seconds, "energy_pj": costs.energy_pj}


def components_of(costs: Costs) -> dict[str, float]:
    """Energy by component, as columns."""
    return {f"energy_{part}_pj": costs.energy_pj_by[part] for part in COMPONENTS}


def densities_of(seen: Sequence[TimedLayer], tws: int) -> Rows:
    """Density of spikes (window size 1) or windows that enter every layer, mean over the samples.

    Of single time points also the share of the neurons that spike at less than 10 % of them, in per cent.
    """
    layers: dict[str, list[WindowedSpikes]] = {}
    for timed in seen:
        layers.setdefault(timed.name, []).append(timed.cost.spikes)
    rows = []
    for name, samples in layers.items():
        below = ""
        if tws == 1:
            shares = [float((one.per_input() < 0.1 * one.timesteps).mean()) for one in samples]
            below = f"{100 * mean(shares):.4g}"
        density = mean(float(np.count_nonzero(one.tags) / one.tags.size) for one in samples)
        rows.append({"layer": name, "tws": tws, "density": density, "neurons_below_10_percent": below})
    return rows


def fig9(machines: Machines, progress: Progress, rates: tuple[float, ...] = FIG9_RATES) -> Rows:
    """Energy and latency of N-MNIST CONV1 against firing rate and TWS (Fig. 9, Section VI-A)."""
    rows = []
    for at, rate in enumerate(rates):
        trace = bernoulli_layer("nmnist", "conv1", rate, FIG9_SAMPLES)
        for tws in FIG9_TWS:
            progress(f"rate {rate:.2%} TWS={tws}", at, len(rates))
            result = simulate(trace, machines.spikex, tws=tws)
            rows.append({"rate": rate, "tws": tws, **costs_of(result.totals)})
    return rows


def fig10(machines: Machines, progress: Progress, rates: tuple[float, ...] = FIG10_RATES) -> Rows:
    """Latency of DVS-Gesture Medium CONV2 with and without agile dispatch (Fig. 10, Section VI-A).

    The paper gives no TWS; each machine has its own best by EDP, as Section V-C says of the baseline.
    """
    rows = []
    for at, rate in enumerate(rates):
        trace = bernoulli_layer("dvs-gesture-medium", "conv2", rate, FIG10_SAMPLES)
        for arch in (machines.spikex, machines.ptb):
            progress(f"rate {rate:.2%} {arch.name}", at, len(rates))
            result = simulate(trace, arch, tws="auto")
            rows.append(
                {
                    "rate": rate,
                    "arch": arch.name,
                    "tws": result.layers[0].tws,
                    **costs_of(result.totals),
                }
            )
    return rows


def fig11(machines: Machines, progress: Progress) -> Rows:
    """Energy of DVS-Gesture Large CONV2 against TWS (Fig. 11, Section VI-B)."""
    trace = camera_network("dvs-gesture-large")
    rows = []
    for at, tws in enumerate(WINDOWS):
        progress(f"TWS={tws}", at, len(WINDOWS))
        layer = _layer(simulate(trace, machines.spikex, tws=tws), "conv2")
        rows.append({"tws": tws, **costs_of(layer), **components_of(layer)})
    return rows


def fig12(machines: Machines, progress: Progress, reading: Fig12Reading = READING) -> Rows:
    """Energy of fully connected layers by component and by use (Fig. 12, Section VI-B).

    Partial sums and potentials are part of the use that they count as.
    """
    rows: Rows = []
    for at, network in enumerate(reading.networks):
        progress(network, at, len(reading.networks))
        for tws in FIG12_TWS:
            kept = False
            for single, spikes in _last_layers(network):
                [found] = single.run(spikes, machines.spikex, tws, (kept,))
                layer, kept = found.result, found.output_kept
                if layer.kind != "linear":
                    continue
                uses = dict(layer.energy_by_use_pj)
                takers = {"own": ("potentials",), "both": ("weights", "spikes")}
                potentials, uses["potentials"] = uses["potentials"], 0.0
                taking = takers.get(reading.potentials, (reading.potentials,))
                for use in taking:
                    uses[use] += potentials / len(taking)
                rows.append(
                    {
                        "network": network,
                        "layer": layer.name,
                        "tws": tws,
                        "energy_pj": layer.energy_pj,
                        **components_of(layer),
                        **{f"energy_{use}_pj": pj for use, pj in uses.items() if use != "alu"},
                    }
                )
    return rows


@lru_cache(maxsize=4)
def _last_layers(network: str) -> list[tuple[SingleLayer, Trace]]:
    """Fully connected layers and the one before them, which may leave its outputs in the GLB."""
    layers = layers_apart([camera_network(network)], load_accelerator("spikex", {}))
    first = next(at for at, (single, _) in enumerate(layers) if single.stage.layer.kind == "linear")
    return layers[first - 1 :]


def _layer(result: RunResult, name: str) -> Any:
    return next(layer for layer in result.layers if layer.name == name)


STUDIES: dict[str, Study] = {
    "fig9": fig9,
    "fig10": fig10,
    "fig11": fig11,
    "fig12": fig12,
}
"""Study of each figure that needs no trained network."""
