"""How dense the paper's networks would have to be for Figure 13, and how dense those that come along are.

Figure 13 compares networks before and after hardware-aware training, and does not say how dense either is.
So spikes are drawn at stated densities for every layer but the first, which sees what a camera saw; the same
presets and searches cost them; and the two densities, before (base) and after (HT, HAS), are chosen at which
all five ratios of a network are nearest to the published ones. The two are fitted, and called so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import log
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.progress import Progress
from spikex_sim.explore.tws_search import layers_apart
from spikex_sim.papers.spikex.measures import NETWORKS
from spikex_sim.papers.spikex.published import published
from spikex_sim.papers.spikex.studies import Machines, Rows, densities_of
from spikex_sim.papers.spikex.trained import Material
from spikex_sim.papers.spikex.workloads import camera_network
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.run.single_layer import SingleLayer
from spikex_sim.sources.synth import bernoulli
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

DENSITIES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Spikes per neuron and time point that are tried; between them costs are interpolated."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Window sizes that searches choose from."""
COSTS = ("ptb_energy_pj", "ptb_seconds", "has_energy_pj", "has_seconds", "spikex_energy_pj", "spikex_seconds")
"""Of PTB with one size for the network, of PTB and of SpikeX with one for each layer."""
MOVES = {"all channels": False, "tagged channels": True}
"""What PTB moves, which the paper says both of: whether it is tailored."""
FINE = 12
"""Densities that are looked at between two that are simulated."""
SHIPPED = {"base": "base", "ht": "HT"}


Drawn = Sequence[tuple[SingleLayer, Trace]]
"""Layers in order, each with the spikes that enter it."""


def drawn_layers(network: str, density: float) -> Drawn:
    """Layers of a network, the first with what an emulated camera saw, others with spikes of a density."""
    seen = camera_network(network)
    found = []
    for index, (stage, single) in enumerate(zip(seen.layers, _singles(network), strict=True)):
        if index == 0:
            bits = np.unpackbits(seen.inputs[0][0], axis=-1, count=seen.timesteps).astype(bool)
            spikes = bits.reshape(*stage.input_shape, seen.timesteps)
        else:
            spikes = bernoulli(stage.input_shape, seen.timesteps, density, seed=index)
        name = f"{stage.name}-density-{density:g}"
        found.append((single, Trace.from_arrays([stage], spikes, name=name)))
    return found


@lru_cache(maxsize=4)
def _singles(network: str) -> list[SingleLayer]:
    """Layers of a network, each of which knows what takes its outputs."""
    layers = layers_apart([camera_network(network)], load_accelerator("spikex", {}))
    return [single for single, _ in layers]


def costs_at(layers: Drawn, machines: Machines) -> dict[str, float]:
    """Energies and latencies that :data:`COSTS` lists, of the best window sizes.

    What stays in the GLB between two layers is that of a network of one window size.
    """
    found: dict[str, float] = {}
    for machine, name in (("ptb", "has"), ("spikex", "spikex")):
        arch: Accelerator = getattr(machines, machine)
        every = np.array([list(_costs(layers, arch, tws)) for tws in SIZES])
        energies, seconds = every[..., 0], every[..., 1]  # sizes, layers
        own = (energies * seconds).argmin(axis=0), np.arange(len(layers))
        found |= {f"{name}_energy_pj": energies[own].sum(), f"{name}_seconds": seconds[own].sum()}
        if machine == "ptb":
            one = energies.sum(axis=1).argmin()
            found |= {"ptb_energy_pj": energies[one].sum(), "ptb_seconds": seconds[one].sum()}
    return {name: float(found[name]) for name in COSTS}


def _costs(layers: Drawn, arch: Accelerator, tws: int) -> Iterator[tuple[float, float]]:
    """Energy and latency of each layer; infinite where the buffers are too small for the window size."""
    kept = False
    for single, spikes in layers:
        try:
            [done] = single.run(spikes, arch, min(tws, spikes.timesteps), (kept,))
        except ConfigError:
            kept = False
            yield np.inf, np.inf
            continue
        kept = done.output_kept
        yield done.result.energy_pj, done.result.seconds


def densities(machines: Machines, progress: Progress, material: Material) -> Rows:
    """Costs of every network at every density; the fitted densities, and those that come along.

    Returns
    -------
    list of dict
        ``ptb_moves`` of :data:`MOVES`; ``kind`` is ``drawn`` (a density and its costs), ``fitted`` (the
        densities ``density`` of HT and ``base_density``, and the ratios there) or ``shipped`` (the mean
        density of a variant's hidden layers, on the samples that ``data`` names).
    """
    rows: Rows = []
    readings = {
        name: Machines(machines.spikex, load_accelerator(machines.ptb, {"tailored": tailored}))
        for name, tailored in MOVES.items()
    }
    for at, (end, network) in enumerate(NETWORKS.items()):
        for name, reading in readings.items():
            drawn: Rows = []
            told = {"network": network, "ptb_moves": name}
            for density in DENSITIES:
                progress(f"{network} {100 * density:g} %", at, len(NETWORKS))
                cost = costs_at(drawn_layers(network, density), reading)
                drawn.append({**told, "kind": "drawn", "density": density, **cost})
            rows += [*drawn, {**told, "kind": "fitted", **fitted(drawn, end)}]
        for variant in SHIPPED:
            progress(f"{network} {variant}", at, len(NETWORKS))
            rows += _shipped(network, variant, machines, material)
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key, "") for key in columns} for row in rows]


RATIOS = ("ht-energy", "ht-latency", "has-latency", "all-energy", "all-latency")
"""Ratios of Figure 13, by configuration and quantity, that were published of each network."""


def ratios(base: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Ratios of Figure 13 between costs before and after training, by configuration and quantity."""
    taken = {"ht": "ptb", "has": "has", "all": "spikex"}
    columns = {"energy": "energy_pj", "latency": "seconds"}
    found = {}
    for ratio in RATIOS:
        name, _, quantity = ratio.partition("-")
        column = columns[quantity]
        found[ratio] = base[f"ptb_{column}"] / after[f"{taken[name]}_{column}"]
    return found


def fitted(drawn: Sequence[Mapping[str, Any]], end: str) -> dict[str, Any]:
    """Densities before and after at which the ratios of a network are nearest to the published ones.

    Nearest: the least mean of ``|ln(ratio / published)|``. Costs between simulated densities are read off
    straight lines in logarithms.
    """
    values = {row.id: row.value for row in published()}
    wanted = {name: values[f"fig13-{name}-{end}"] for name in RATIOS}
    known = np.log([row["density"] for row in drawn])
    places = np.arange(FINE * (len(known) - 1) + 1) / FINE
    fine = np.exp(np.interp(places, np.arange(len(known)), known))
    costs = [at_density(drawn, density) for density in fine]

    def error(found: Mapping[str, float]) -> float:
        return sum(abs(log(found[name] / value)) for name, value in wanted.items()) / len(wanted)

    pairs = [
        (error(ratios(base, after)), a, b)
        for b, base in enumerate(costs)
        for a, after in enumerate(costs[: b + 1])
    ]
    least, a, b = min(pairs)
    found = ratios(costs[b], costs[a])
    return {
        "density": float(fine[a]),
        "base_density": float(fine[b]),
        "error": least,
        **{f"{name.replace('-', '_')}_ratio": value for name, value in found.items()},
        **{f"{name.replace('-', '_')}_published": wanted[name] for name in found},
    }


def at_density(drawn: Sequence[Mapping[str, Any]], density: float) -> dict[str, float]:
    """Costs at a density, on straight lines in logarithms between those that were simulated."""
    known = np.log([row["density"] for row in drawn])
    return {
        name: float(np.exp(np.interp(np.log(density), known, np.log([row[name] for row in drawn]))))
        for name in COSTS
    }


def _shipped(network: str, variant: str, machines: Machines, material: Material) -> Rows:
    """Mean density of what enters the hidden layers of a network that comes along."""
    trained = material.network(network, variant)
    if trained is None:
        return []
    seen: list[TimedLayer] = []
    trace = material.trace(trained)
    simulate(trace, machines.spikex, tws=1, overrides={"mapping.tile": "layer"}, observe=seen.append)
    sizes = {layer.name: float(np.prod(layer.input_shape)) for layer in trace.layers[1:]}
    known = {row["layer"]: row["density"] for row in densities_of(seen, 1) if row["layer"] in sizes}
    mean = sum(known[name] * sizes[name] for name in known) / sum(sizes[name] for name in known)
    return [{"network": network, "kind": "shipped", "variant": SHIPPED[variant], "density": mean,
             "data": material.labelled(trained).source}]  # fmt: skip
