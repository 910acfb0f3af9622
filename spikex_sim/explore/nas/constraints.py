"""Limits of costs: what is feasible, what is not and by how much (Section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.explore.nas.costs import Costs

UNITS: Mapping[str, str] = FrozenMap(
    {"parameters": "", "area_mm2": "mm²", "latency_ms": "ms", "energy_uj": "µJ", "edp_js": "Js"}
)
"""Costs that can be limited, and their units."""


@dataclass(frozen=True)
class Constraints:
    """Largest costs allowed; None: any.

    Attributes
    ----------
    parameters, area_mm2, latency_ms, energy_uj, edp_js : float or None
        See :class:`~spikex_sim.explore.nas.costs.Costs`.
    """

    parameters: float | None = None
    area_mm2: float | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None
    edp_js: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            if not (isfinite(limit) and limit > 0):
                raise ConfigError(f"is {limit:g}; wants a number above 0", where="constraint", field=name)

    @property
    def limits(self) -> dict[str, float]:
        """Those that are given."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: limit for name, limit in given.items() if limit is not None}

    def misses(self, costs: Costs) -> list[str]:
        """Say of each limit that a network does not keep by how much."""
        return [
            f"{amount(name, value)}, {value / limit:.4g} times the limit of {digits(name, limit)}"
            for name, limit in self.limits.items()
            if (value := getattr(costs, name)) > limit
        ]

    def kept(self, costs: Costs) -> NDArray[np.bool_]:
        """Whether all limits are."""
        found = np.full(np.shape(costs.parameters), True)
        for name, limit in self.limits.items():
            found &= getattr(costs, name) <= limit
        return found

    def worst(self, costs: Costs) -> NDArray[np.float64]:
        """Largest cost as a part of its limit; 0 without limits."""
        parts = [np.asarray(getattr(costs, name)) / limit for name, limit in self.limits.items()]
        return np.maximum.reduce(parts) if parts else np.zeros(np.shape(costs.parameters))


def digits(name: str, value: float) -> str:
    """Write the number of a cost."""
    return f"{value:,.0f}" if name == "parameters" else f"{value:,.5g}"


def amount(name: str, value: float) -> str:
    """Write a cost with its name and its unit."""
    return f"{name.partition('_')[0]} {digits(name, value)} {UNITS[name]}".rstrip()
