"""A network measured on samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spikex_sim.training.graph import SpikingGraph
from spikex_sim.training.losses import HardwareLoss, classification_loss, predictions
from spikex_sim.training.module import SpikingNetwork
from spikex_sim.training.samples import SpikeData, batches, tensor_batch
from spikex_sim.training.search import ArchitectureSearch
from spikex_sim.training.windows import window_densities

Trainable = SpikingNetwork | SpikingGraph
"""What can be trained."""
HardwareTerm = HardwareLoss | ArchitectureSearch
"""Loss of the hardware, of one architecture or of all that are searched."""


@dataclass(frozen=True)
class Measured:
    """A network measured on samples.

    Attributes
    ----------
    accuracy, loss : float
        Share of samples classified correctly; mean ``L_acc``.
    edp_js : float
        Mean sum of the layers' modelled EDPs in Js; 0 without a hardware loss.
    rates : tuple of float
        Share of (input neuron, time point) pairs with a spike entering each conv and linear layer.
    densities : tuple of float
        Share of active (input neuron, window) pairs, at the layer's window size.
    """

    accuracy: float
    loss: float
    edp_js: float
    rates: tuple[float, ...]
    densities: tuple[float, ...]


def measure(
    network: Trainable,
    data: SpikeData,
    sizes: Sequence[int],
    *,
    batch: int = 32,
    hardware: HardwareTerm | None = None,
) -> Measured:
    """Run a network on all samples as they are.

    Parameters
    ----------
    network : Trainable
        On its device.
    data : SpikeData
        Samples.
    sizes : sequence of int
        Window size of every conv and linear layer, for the densities.
    batch : int
        Samples at a time; of no effect but on the rounding of means.
    hardware : HardwareTerm, optional
        Hardware loss to measure too.
    """
    device = network.stored[0].device
    network.eval()
    count = len(data.labels)
    sums = np.zeros(3 + 2 * len(sizes))
    with torch.no_grad():
        for samples in batches(count, batch, None):
            spikes, labels = tensor_batch(data, samples, None, device)
            activity = network(spikes)
            counts = activity.counts
            values = [
                (predictions(counts) == labels).double().mean(),
                classification_loss(activity, labels),
                hardware.edp_js(activity).sum() if hardware is not None else torch.zeros(()),
                *(entering.double().mean() for entering in activity.entering),
                *(
                    window_densities(entering, (size,))[0]
                    for entering, size in zip(activity.entering, sizes, strict=True)
                ),
            ]
            sums += len(samples) * np.array([float(value) for value in values])
    accuracy, loss, edp_js, *rest = (sums / count).tolist()
    return Measured(accuracy, loss, edp_js, tuple(rest[: len(sizes)]), tuple(rest[len(sizes) :]))
