"""Fits the fast hardware model to this simulator's own results (paper, IV-A)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import origin
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.fitted.curves import QUANTITIES, FitError, HardwareModel, LayerFit, Point, Refusal
from spikex_sim.explore.prefix import spiking, window_sizes
from spikex_sim.run.simulate import prepare, versions
from spikex_sim.run.single_layer import SingleLayer, single_layers
from spikex_sim.sources.clustered import (
    Clustering,
    random_field,
    threshold_of,
    window_maxima,
    window_pairs,
)
from spikex_sim.sources.synth import seed_of_stream
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.trace import Trace

KNOTS = tuple(float(value) for value in np.geomspace(2.0**-12, 1.0, 19))
"""Densities at which the lines of a fit meet."""
CAMERA: Mapping[str, Clustering] = {
    "edges": Clustering(place=0.35, moving=0.4, neuron=0.05, burst=0.1),
    "moving": Clustering(place=0.2, moving=0.65, burst=0.05),
}
"""Kinds of spikes that enter a network whose input is a map: event cameras' come where something moves."""
NEURONS: Mapping[str, Clustering] = {
    "places": Clustering(neuron=0.3, channel=0.15, place=0.25, moving=0.1),
    "bursts": Clustering(neuron=0.4, channel=0.1, burst=0.2),
    "rates": Clustering(neuron=0.75, channel=0.1),
}
"""Kinds of spikes that enter all other layers: neurons fire at rates of their own, in places, in bursts."""
LEAST_ACTIVE = 4
"""Active (input, window) pairs of a sample below which there is no knot."""
SMOOTHING = 1e-3
"""Weight of a fit's bends beside its errors; keeps a knot with few points in line with its neighbours."""


ITERATIONS = 6
"""Passes of the least squares, each with the errors' scale of the one before."""


def fit_hardware_model(
    network: str | Path | Network,
    arch: str | Path | Accelerator = "spikex",
    tws_choices: Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    samples: int = 2,
    clusterings: Mapping[str, Clustering] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> HardwareModel:
    """Simulate every layer at every window size on generated spikes, and fit what it cost.

    Parameters
    ----------
    network : str, Path or Network
        Preset, YAML file or description.
    arch : str, Path or Accelerator
        Accelerator that computes spikes, in windows; its own window size has no meaning here.
    tws_choices : sequence of int, optional
        Window sizes; by default 1, 2, 4, 8, 16 as far as there are time points.
    overrides : mapping, optional
        Dotted configuration key to value.
    samples : int
        Random fields per kind of spikes; each gives a sample of every density.
    clusterings : mapping of str to Clustering, optional
        Kinds of spikes, with equal weights; by default :data:`CAMERA` for a map that enters the network and
        :data:`NEURONS` for all else.
    seed : int
        Of the fields, not negative.
    progress : callable, optional
        Told about the layers as they are done.

    Returns
    -------
    HardwareModel
        Window sizes that the buffers are too small for are left out and listed as refused.

    Raises
    ------
    ConfigError
        If network, accelerator or window sizes are wrong, or a layer can have none of them.
    """
    description = network if isinstance(network, Network) else load_network(network)
    accelerator = spiking(arch, 1, overrides)
    if samples < 1:
        raise ConfigError(f"must be at least 1, not {samples}", field="samples")
    sizes = window_sizes(tws_choices, description.timesteps)
    prepare(accelerator)
    fits: list[LayerFit] = []
    refused: list[Refusal] = []
    layers = layers_of(description)
    for done, (index, single) in enumerate(layers.items()):
        layer = single.stage.layer
        kinds = clusterings or (CAMERA if index == 0 and layer.kind == "conv" else NEURONS)
        fields = [
            random_field(layer.input_shape, description.timesteps, kind, seed_of_stream(seed, at))
            for at, kind in enumerate(kind for kind in kinds.values() for _ in range(samples))
        ]
        for tws in sizes:
            progress(f"{layer.name} TWS={tws}", done, len(layers))
            try:
                points = _simulated(single, fields, tws, accelerator, _giver(description, index))
            except ConfigError as exc:
                refused.append(Refusal(layer=layer.name, tws=tws, reason=str(exc)[:500]))
                continue
            fits.append(fitted(layer.name, tws, window_pairs(layer.input_shape, _time(fields), tws), points))
        if layer.name not in {fit.layer for fit in fits}:
            raise ConfigError(
                f"{layer.name} can have none of the window sizes: {refused[-1].reason}",
                where=accelerator.name,
            )
    progress("done", len(layers), len(layers))
    return HardwareModel(
        network=description.name,
        arch=accelerator.name,
        timesteps=description.timesteps,
        clock_hz=float(accelerator.clock_hz),
        config=accelerator.model_dump(mode="json", exclude={"tws"}),
        fits=tuple(fits),
        refused=tuple(refused),
        version=versions()["spikex_sim"],
        **origin(),
    )


def fitted(layer: str, tws: int, windows: int, points: Sequence[Point]) -> LayerFit:
    """Fit continuous piecewise linear functions to points, by least squares of relative errors.

    Parameters
    ----------
    layer, tws, windows
        See :class:`LayerFit`.
    points : sequence of Point
        With densities above 0.
    """
    densities = np.array([point.density for point in points])
    knots = np.array([knot for knot in KNOTS if knot >= 0.9 * densities.min()])
    per_window, errors = {}, {}
    for quantity in QUANTITIES:
        values = np.array([getattr(point, quantity) for point in points])
        per_window[quantity] = _least_squares(knots, densities, values / (densities * windows))
        found = densities * windows * np.interp(densities, knots, per_window[quantity])
        off = np.abs(found / values - 1)
        errors[quantity] = FitError(median=float(np.median(off)), worst=float(off.max()))
    return LayerFit(
        layer=layer,
        tws=tws,
        windows=windows,
        densities=tuple(knots.tolist()),
        **{f"{quantity}_per_window": tuple(values.tolist()) for quantity, values in per_window.items()},
        errors=errors,
        points=tuple(points),
    )


def layers_of(network: Network) -> dict[int, SingleLayer]:
    """Conv and linear layers of a network by index; average pooling is not folded in."""
    stages = [
        Stage(layer, None, None, layer.neuron is None or layer.neuron.silence_is_free)
        for layer in network.layers
    ]
    recorded = [index for index in range(len(stages)) if network.predecessors()[index] != (index - 1,)]
    return single_layers(stages, recorded)


def _giver(network: Network, index: int) -> Layer | None:
    """Layer whose output a layer takes as it is; None if there is none."""
    taken = index > 0 and network.predecessors()[index] == (index - 1,)
    return network.layers[index - 1] if taken and not network.layers[index - 1].is_pool else None


def _simulated(
    single: SingleLayer, fields: Sequence[NDArray[np.float32]], tws: int, arch: Accelerator,
    giver: Layer | None,
) -> list[Point]:  # fmt: skip
    """Costs of a layer for spikes of every density of each field."""
    layer = single.stage.layer
    windows = window_pairs(layer.input_shape, _time(fields), tws)
    points = []
    middles = np.sqrt(np.array(KNOTS[1:]) * np.array(KNOTS[:-1]))
    for field in fields:
        maxima = window_maxima(field, tws)
        for density in sorted((*KNOTS, *middles.tolist())):
            if density * windows < LEAST_ACTIVE:
                continue
            threshold = threshold_of(maxima, density)
            active = maxima >= threshold
            kept = giver is not None and _stays(giver, active, tws, arch)
            [cost] = single.run(Trace.from_arrays([layer], field >= threshold), arch, tws, [kept])
            found = cost.result
            points.append(Point(float(active.mean()), found.edp_js, found.energy_pj, float(found.cycles)))
    return points


def _stays(giver: Layer, active: NDArray[np.bool_], tws: int, arch: Accelerator) -> bool:
    """Whether the GLB can have kept these spikes from the layer before (``memory.glb.keep_ofmap``).

    That layer also stores windows in which it was active and silent, which are not known here.
    """
    if not arch.get("memory.glb.keep_ofmap", default=False):
        return False
    places = active.reshape(giver.out_channels, -1, active.shape[-1])
    stored = giver.out_channels * (int(places.any(axis=0).sum()) * tws + places[0].size)
    return bool(stored <= arch.memory.glb.half_bits("ofmap"))


def _time(fields: Sequence[NDArray[np.float32]]) -> int:
    return int(fields[0].shape[-1])


def _least_squares(
    knots: NDArray[np.float64], densities: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values at the knots with the least sum of squared relative errors, none negative.

    An error is relative to the geometric mean of fit and value, so that twice and half as much count alike;
    relative to the values alone a fit would be too low where they scatter. The minimum of ``sum (f - y)^2 /
    (f y)`` is found by iteration, with the weight ``(f + y) / (f^2 y)`` of ``(f - y)^2``.
    """
    hats = np.stack([np.interp(densities, knots, unit) for unit in np.eye(len(knots))], axis=1)
    bends = np.diff(np.eye(len(knots)), 2, axis=0) * SMOOTHING / np.median(values)
    scale = values
    for _ in range(ITERATIONS):
        rows = np.concatenate([hats / scale[:, None], bends])
        wanted = np.concatenate([values / scale, np.zeros(len(bends))])
        found: NDArray[np.float64] = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        found = np.maximum(found, values.min())
        now = hats @ found
        scale = now * np.sqrt(values / (now + values))
    return found
