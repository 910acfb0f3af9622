"""Predicted beside simulated: what a hardware model says of activity that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.tags import WindowedSpikes
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.explore.fitted.curves import QUANTITIES, HardwareModel
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.spec.load import options_of
from spikex_sim.spec.validation import validated
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True)
class Prediction:
    """One layer of one sample at one window size, predicted and simulated.

    Attributes
    ----------
    layer : str
        Name of the layer.
    sample, tws : int
        Sample, and window size in time points.
    density : float
        Share of (input neuron, window) pairs that hold a spike.
    predicted, simulated : dict of str to float
        ``edp_js``, ``energy_pj`` and ``cycles``.
    """

    layer: str
    sample: int
    tws: int
    density: float
    predicted: dict[str, float]
    simulated: dict[str, float]

    def error(self, quantity: str) -> float:
        """Relative error, above 0 where too much is predicted; 0 if nothing was to be paid."""
        wanted = self.simulated[quantity]
        return self.predicted[quantity] / wanted - 1 if wanted else 0.0


def compare(
    model: HardwareModel,
    traces: Trace | Sequence[Trace],
    tws: int,
    progress: Progress = silent,
) -> list[Prediction]:
    """Replay traces of a model's network on its accelerator, and predict what each layer costs.

    Parameters
    ----------
    model : HardwareModel
        Made for the network of the traces.
    traces : Trace or sequence of Trace
        Samples; their layers have the model's names.
    tws : int
        Window size of all layers, time points.
    progress : callable, optional
        Told about the layers as they are done.
    """
    seen: list[TimedLayer] = []
    options = options_of(model.config["scheduler"], model.arch)
    arch = validated(options, {**model.config, "tws": tws}, where=model.arch, error=ConfigError)
    simulate(traces, arch, progress=progress, observe=seen.append)
    return [_prediction(model, timed, tws) for timed in seen]


def _prediction(model: HardwareModel, timed: TimedLayer, tws: int) -> Prediction:
    spikes, cost = timed.cost.spikes, timed.cost
    assert isinstance(spikes, WindowedSpikes)
    density = float(np.count_nonzero(spikes.tags) / spikes.tags.size)
    fit = model.layer(timed.name, tws)
    edp = cost.energy.total_pj / PJ_PER_J * cost.cycles / model.clock_hz
    simulated = {"edp_js": edp, "energy_pj": cost.energy.total_pj, "cycles": float(cost.cycles)}
    predicted = {quantity: fit.predict(quantity, density) for quantity in QUANTITIES}
    return Prediction(timed.name, timed.sample, tws, density, predicted, simulated)
