"""The paper's studies, as rows: what Figures 5 and 9 to 13 are drawn from and the scorecard reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikex_sim.energy.model import COMPONENTS
from spikex_sim.replay import Progress, TimedLayer
from spikex_sim.reproduction.workloads import NETWORKS, bernoulli_layer, recorded_network
from spikex_sim.results import Costs, RunResult
from spikex_sim.simulator import simulate
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.tags import WindowedSpikes

Rows = list[dict[str, Any]]

FIG9_RATES = (0.005, 0.0025, 0.001, 0.0005, 0.00025, 0.0001)
FIG9_TWS = (2, 3, 5, 10)
FIG9_SAMPLES = 12
"""Draws of random spikes: at 0.01 % one draw has seven spikes."""
FIG10_RATES = (0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001)
FIG10_SAMPLES = 1
WINDOWS = (1, 2, 4, 8, 16)
"""Window sizes of Figures 5 and 11, time points."""
FIG12_NETWORK = "nmnist"
"""Network whose fully connected layers Figure 12 shows; the paper does not say which."""
FIG12_TWS = (4, 8)


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
    return {"cycles": costs.cycles, "seconds": costs.seconds, "energy_pj": costs.energy.total_pj}


def components_of(costs: Costs) -> dict[str, float]:
    """Energy by component, as columns."""
    return {f"energy_{part}_pj": costs.energy.components[part] for part in COMPONENTS}


def fig5(machines: Machines, progress: Progress) -> Rows:
    """Density of spikes and of packed windows that enter every layer of the three networks (Fig. 5)."""
    rows: Rows = []
    for at, network in enumerate(NETWORKS):
        trace = recorded_network(network)
        for tws in WINDOWS:
            progress(f"{network} TWS={tws}", at, len(NETWORKS))
            seen: list[TimedLayer] = []
            simulate(
                trace, machines.spikex, tws=tws, overrides={"mapping.tile": "layer"}, observe=seen.append
            )
            rows += [_density(network, tws, timed) for timed in seen]
    return rows


def _density(network: str, tws: int, timed: TimedLayer) -> dict[str, Any]:
    spikes = timed.cost.inputs
    assert isinstance(spikes, WindowedSpikes)
    per_window = spikes.per_window()
    below = ""
    if tws == 1:
        below = f"{100 * float((per_window.sum(axis=1) < 0.1 * spikes.timesteps).mean()):.4g}"
    return {
        "network": network,
        "variant": "base",
        "layer": timed.layer.name,
        "tws": tws,
        "density": float((per_window > 0).mean()),
        "neurons_below_10_percent": below,
    }


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
    trace = recorded_network("dvs-gesture-large")
    rows = []
    for at, tws in enumerate(WINDOWS):
        progress(f"TWS={tws}", at, len(WINDOWS))
        layer = _layer(simulate(trace, machines.spikex, tws=tws), "conv2")
        rows.append({"tws": tws, **costs_of(layer), **components_of(layer)})
    return rows


def fig12(machines: Machines, progress: Progress) -> Rows:
    """Energy of fully connected layers by component and by use (Fig. 12, Section VI-B)."""
    trace = recorded_network(FIG12_NETWORK)
    rows: Rows = []
    for at, tws in enumerate(FIG12_TWS):
        progress(f"TWS={tws}", at, len(FIG12_TWS))
        for layer in simulate(trace, machines.spikex, tws=tws).layers:
            if layer.kind == "linear":
                uses = {f"energy_{use}_pj": pj for use, pj in layer.energy.uses.items() if use != "alu"}
                rows.append(
                    {
                        "network": FIG12_NETWORK,
                        "layer": layer.name,
                        "tws": tws,
                        "energy_pj": layer.energy.total_pj,
                        **components_of(layer),
                        **uses,
                    }
                )
    return rows


def fig13(machines: Machines, progress: Progress) -> Rows:
    """Latency and energy of whole networks (Fig. 13, Section VI-C); untrained networks so far."""
    rows: Rows = []
    for at, network in enumerate(NETWORKS):
        trace = recorded_network(network)
        for name, arch in (("PTB", machines.ptb), ("SpikeX", machines.spikex)):
            progress(f"{network} {name}", at, len(NETWORKS))
            result = simulate(trace, arch, tws="auto")
            rows += [
                {"network": network, "configuration": name, "layer": layer.name, **costs_of(layer)}
                for layer in result.layers
                if layer.tws is not None
            ]
    return rows


def _layer(result: RunResult, name: str) -> Any:
    return next(layer for layer in result.layers if layer.name == name)


STUDIES: dict[str, Study] = {
    "fig5": fig5,
    "fig9": fig9,
    "fig10": fig10,
    "fig11": fig11,
    "fig12": fig12,
    "fig13": fig13,
}
"""Study of each figure."""
