"""What training minimises: classification, the hardware's EDP (paper eq. 4), and activity at the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.fitted.curves import HardwareModel, LayerFit
from spikex_sim.training.module import Activity
from spikex_sim.training.windows import window_densities

FULL_LOGIT = 10.0
"""Logit of a class whose output neuron spikes at every time point."""
WIDESPREAD_RATE = 0.02
"""Firing rate that the warm-up asks of every channel."""


def classification_loss(activity: Activity, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy ``L_acc`` of output spike counts, as logits up to FULL_LOGIT, or of summed currents."""
    full = len(activity.output) * activity.unit
    return functional.cross_entropy(activity.counts * (FULL_LOGIT / full), labels)


def predictions(counts: torch.Tensor) -> torch.Tensor:
    """Class of most output spikes or the largest current, of several the lowest, ``[samples]``."""
    # torch.argmax does not say which of several it takes.
    most = counts == counts.max(dim=1, keepdim=True).values
    places = torch.arange(counts.shape[1], device=counts.device)
    return torch.where(most, places, counts.shape[1]).min(dim=1).values


def silence_loss(activity: Activity, channels: Sequence[int]) -> torch.Tensor:
    """Warm-up "to induce widespread activation" (paper Sec. IV-A): how far channels are from firing at all.

    Parameters
    ----------
    activity : Activity
        Of a forward pass.
    channels : sequence of int
        Output channels of every conv and linear layer.

    Returns
    -------
    tensor
        Mean over the layers and channels of ``max(0, 1 - rate / WIDESPREAD_RATE) ** 2``; 0 to 1.
    """
    losses = []
    for spikes, count in zip(activity.fired, channels, strict=True):
        rates = spikes.reshape(-1, count).mean(0)
        losses.append(functional.relu(1 - rates / WIDESPREAD_RATE).square().mean())
    return torch.stack(losses).mean()


@dataclass(frozen=True)
class EdpCurve:
    """EDP of a layer as a differentiable function of its window density.

    Attributes
    ----------
    knots, edp_js : tensor ``[knots]``
        Density, and the layer's EDP by density, that is by active window times all windows.
    """

    knots: torch.Tensor
    edp_js: torch.Tensor

    @classmethod
    def of(cls, cost: LayerFit, where: str) -> EdpCurve:
        """Take a fitted model's layer, or raise :class:`ConfigError` if it is no function."""
        knots = torch.tensor(list(cost.densities), dtype=torch.float64)
        values = torch.tensor(list(cost.edp_js_per_window), dtype=torch.float64) * cost.windows
        if not len(knots) or knots.shape != values.shape or not bool((knots[1:] > knots[:-1]).all()):
            raise ConfigError("must ascend, with a value for each", where=where, field="densities")
        return cls(knots, values)

    def at(self, density: torch.Tensor) -> torch.Tensor:
        """EDP in Js at densities ``S_p`` of any shape: ``S_p x windows x g(S_p)``, ``g`` piecewise linear."""
        knots, values = self.knots.to(density.device), self.edp_js.to(density.device)
        inside = density.double()
        if len(knots) == 1:
            return inside * values[0]
        held = inside.clamp(float(knots[0]), float(knots[-1]))
        right = torch.searchsorted(knots, held.detach().contiguous()).clamp(1, len(knots) - 1)
        left = right - 1
        share = (held - knots[left]) / (knots[right] - knots[left])
        return inside * (values[left] + share * (values[right] - values[left]))


@dataclass(frozen=True)
class HardwareLoss:
    """``L_HW`` before it is made relative: the layers' EDPs under a fixed window size each.

    Attributes
    ----------
    curves : tuple of EdpCurve
        Of every conv and linear layer.
    sizes : tuple of int
        Their window sizes.
    """

    curves: tuple[EdpCurve, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, costs: HardwareModel, names: Sequence[str], sizes: Sequence[int]) -> HardwareLoss:
        """Take the layers' curves from a fitted model."""
        curves = (
            EdpCurve.of(costs.layer(name, size), f"hardware model, {name}, TWS {size}")
            for name, size in zip(names, sizes, strict=True)
        )
        return cls(tuple(curves), tuple(sizes))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """None: the architecture is fixed."""
        return []

    def columns(self) -> dict[str, float]:
        """Nothing: the architecture is fixed."""
        return {}

    def edp_js(self, activity: Activity) -> torch.Tensor:
        """EDP of a sample in Js, by layer; the batch's mean density stands for the sample's."""
        found = [
            curve.at(window_densities(spikes, (size,)))[0]
            for curve, size, spikes in zip(self.curves, self.sizes, activity.entering, strict=True)
        ]
        return torch.stack(found)
