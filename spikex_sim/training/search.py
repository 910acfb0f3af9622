"""Architecture search (SpikeX-HAS, paper Sec. IV-B): relaxed choices and a hypernet of hardware losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import torch

from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.fitted.curves import HardwareModel, LayerFit
from spikex_sim.training.losses import EdpCurve
from spikex_sim.training.module import Activity
from spikex_sim.training.windows import window_densities

TWS = "tws"
"""Axis whose options are window sizes."""
Option = Any
Costs = Callable[[str, Mapping[str, Option]], LayerFit]
"""Costs of a layer under one option of every axis."""


@dataclass(frozen=True)
class Axis:
    """A reconfigurable parameter of the accelerator.

    Attributes
    ----------
    name : str
        ``"tws"`` for the window size; else whatever the costs know it by, e.g. a configuration key.
    options : tuple
        Values to choose from; of the axis ``"tws"`` window sizes.
    shared : bool
        Whether all layers must have the same value, as with the partition of a buffer.
    """

    name: str
    options: tuple[Option, ...]
    shared: bool = False

    def __post_init__(self) -> None:
        if not self.options or len(set(map(repr, self.options))) < len(self.options):
            raise ConfigError("needs options, none of them twice", where=f"axis {self.name}", field="options")


def costs_of_models(models: Mapping[tuple[Option, ...], HardwareModel], axes: Sequence[Axis]) -> Costs:
    """Costs for axes beside the window size, from one fitted model for every combination of their options.

    Parameters
    ----------
    models : mapping
        Options of ``axes`` but for ``"tws"``, in their order, to the model fitted under these overrides.
    axes : sequence of Axis
        Axes searched.
    """
    others = [axis for axis in axes if axis.name != TWS]
    for case in product(*(axis.options for axis in others)):
        if case not in models:
            chosen = ", ".join(f"{axis.name}={option}" for axis, option in zip(others, case, strict=True))
            raise ConfigError(f"has no model for {chosen or 'its window sizes'}", where="architecture search")

    def cost(layer: str, options: Mapping[str, Option]) -> LayerFit:
        return models[tuple(options[axis.name] for axis in others)].layer(layer, options[TWS])

    return cost


class ArchitectureSearch:
    """Hardware loss of all architectures at once, weighted by how probable each is.

    Every axis has a vector of architecture parameters ``alpha`` for each layer (one for all if shared),
    whose softmax gives the probabilities of its options. The loss is the sum over layers and combinations
    of options of their probability times the layer's EDP at its own window density: the hypernet. Training
    alternates between weights, on training samples, and ``alpha``, on validation samples
    (:class:`~spikex_sim.training.loop.Trainer`), a first-order solution of the bilevel problem (eqs. 5, 6).

    Parameters
    ----------
    layers : sequence of str
        Names of the conv and linear layers.
    axes : sequence of Axis
        What is searched; one of them is ``"tws"``.
    costs : callable
        Fitted costs, see :func:`costs_of_models`.
    """

    def __init__(self, layers: Sequence[str], axes: Sequence[Axis], costs: Costs) -> None:
        self.names, self.axes = tuple(layers), tuple(axes)
        if [axis.name for axis in axes].count(TWS) != 1:
            raise ConfigError("needs exactly one axis 'tws'", where="architecture search")
        self.alpha = [
            torch.nn.Parameter(torch.zeros(1 if axis.shared else len(self.names), len(axis.options)))
            for axis in self.axes
        ]
        self.cases = list(product(*(range(len(axis.options)) for axis in self.axes)))
        self.sizes = next(axis for axis in self.axes if axis.name == TWS).options
        self._curves = [[self._curve(layer, case, costs) for case in self.cases] for layer in self.names]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Architecture parameters, ``[layers or 1, options]`` of every axis."""
        return list(self.alpha)

    def probabilities(self, axis: int, layer: int) -> torch.Tensor:
        """Probabilities ``[options]`` of an axis' options in a layer."""
        alpha = self.alpha[axis]
        return torch.softmax(alpha[0 if self.axes[axis].shared else layer], dim=0)

    def columns(self) -> dict[str, float]:
        """Probability of every option of the window size in every layer: ``probability_LAYER_TWS``."""
        place = [axis.name for axis in self.axes].index(TWS)
        return {
            f"probability_{name}_{size}": float(chance)
            for number, name in enumerate(self.names)
            for size, chance in zip(self.sizes, self.probabilities(place, number).tolist(), strict=True)
        }

    def edp_js(self, activity: Activity) -> torch.Tensor:
        """Expected EDP in Js of every layer."""
        place = next(number for number, axis in enumerate(self.axes) if axis.name == TWS)
        found = []
        for number, entering in enumerate(activity.entering):
            densities = window_densities(entering, self.sizes)
            device = entering.device
            chances = [self.probabilities(axis, number).to(device) for axis in range(len(self.axes))]
            expected = torch.zeros((), dtype=torch.float64, device=device)
            for case, curve in zip(self.cases, self._curves[number], strict=True):
                chance = prod(
                    (chances[axis][option] for axis, option in enumerate(case)),
                    start=torch.ones((), device=device),
                )
                expected = expected + chance * curve.at(densities[case[place]])
            found.append(expected)
        return torch.stack(found)

    def chosen(self) -> list[dict[str, Option]]:
        """Most probable option of every axis for every layer; of equal ones the first."""
        return [
            {
                axis.name: axis.options[int(self.probabilities(place, layer).detach().argmax())]
                for place, axis in enumerate(self.axes)
            }
            for layer in range(len(self.names))
        ]

    def _curve(self, layer: str, case: tuple[int, ...], costs: Costs) -> EdpCurve:
        options = {axis.name: axis.options[option] for axis, option in zip(self.axes, case, strict=True)}
        return EdpCurve.of(costs(layer, options), f"hardware model, {layer}, {options}")
