"""Fast model of what a layer costs: piecewise linear in the share of active windows (paper, IV-A).

Hardware-aware training needs the cost of a layer for every batch of samples, with a gradient. The paper fits
"a piecewise linear model to the approximate EDP per filled time window" to simulated data: ``L_HW(W) =
EDP(S_p(W))``, where ``S_p`` is the share of (input neuron, window) pairs that hold a spike. Here the data are
this simulator's own: generated spikes of many densities through single layers
(:mod:`spikex_sim.explore.fitted.fit`).
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import write_files
from spikex_sim.spec.validation import validated

FORMAT = "spikex-hardware-model"
VERSION = 1
MAX_FILE_BYTES = 64 << 20
"""Largest file that is read."""
MAX_KNOTS = 1000
MAX_POINTS = 100_000
QUANTITIES = ("edp_js", "energy_pj", "cycles")
"""What is modelled."""


class Point(NamedTuple):
    """One simulated sample of one layer.

    Attributes
    ----------
    density : float
        Share of its (input neuron, window) pairs that hold a spike.
    edp_js, energy_pj, cycles : float
        What it cost.
    """

    density: float
    edp_js: float
    energy_pj: float
    cycles: float


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FitError(_Frozen):
    """How far a fit is from the data it was made of, as fractions: median and largest."""

    median: float = Field(ge=0)
    worst: float = Field(ge=0)


class LayerFit(_Frozen):
    """Costs of one layer at one window size against the density of active windows.

    Attributes
    ----------
    layer : str
        Name of the layer.
    tws : int
        Window size, time points.
    windows : int
        (Input neuron, window) pairs of one sample.
    densities : tuple of float
        Knots, rising, above 0 to 1.
    edp_js_per_window, energy_pj_per_window, cycles_per_window : tuple of float
        Values per active pair at the knots; linear in density between them and constant outside.
    errors : dict of str to FitError
        Of each of ``edp_js``, ``energy_pj`` and ``cycles`` on the data of the fit.
    points : tuple of Point
        These data.
    """

    layer: str = Field(min_length=1, max_length=200)
    tws: int = Field(ge=1)
    windows: int = Field(ge=1)
    densities: tuple[float, ...] = Field(min_length=1, max_length=MAX_KNOTS)
    edp_js_per_window: tuple[float, ...]
    energy_pj_per_window: tuple[float, ...]
    cycles_per_window: tuple[float, ...]
    errors: dict[str, FitError] = Field(default_factory=dict)
    points: tuple[Point, ...] = Field(default=(), max_length=MAX_POINTS)

    @model_validator(mode="after")
    def _is_a_function(self) -> LayerFit:
        knots = self.densities
        if knots[0] <= 0 or knots[-1] > 1 or any(b <= a for a, b in pairwise(knots)):
            raise ValueError("densities must rise from above 0 to at most 1")
        for quantity in QUANTITIES:
            values = self.per_window(quantity)
            if len(values) != len(knots) or min(values) < 0:
                raise ValueError(f"{quantity}_per_window must be {len(knots)} values of 0 or more")
        return self

    def per_window(self, quantity: str) -> tuple[float, ...]:
        """Values at the knots of ``edp_js``, ``energy_pj`` or ``cycles``."""
        values: tuple[float, ...] = getattr(self, f"{quantity}_per_window")
        return values

    def predict(self, quantity: str, density: float) -> float:
        """Value of a quantity for one sample of a density, 0 to 1."""
        value = np.interp(density, self.densities, self.per_window(quantity))
        return float(density * self.windows * value)

    def edp_js(self, density: float) -> float:
        """Energy-delay product of one sample, Js."""
        return self.predict("edp_js", density)

    def energy_pj(self, density: float) -> float:
        """Energy of one sample, DRAM included, pJ."""
        return self.predict("energy_pj", density)

    def cycles(self, density: float) -> float:
        """Cycles of one sample."""
        return self.predict("cycles", density)


class Refusal(_Frozen):
    """A window size that a layer cannot have, and why."""

    layer: str
    tws: int
    reason: str


class HardwareModel(_Frozen):
    """Fits of all layers of a network at several window sizes on one accelerator.

    Attributes
    ----------
    network, arch : str
        Names of the network and of the accelerator.
    timesteps : int
        Time points ``T`` of a sample.
    clock_hz : float
        Of the accelerator.
    config : dict
        Complete configuration that the fits were made with, but for the window size.
    fits : tuple of LayerFit
        By layer in the network's order, then by window size.
    refused : tuple of Refusal
        What buffers are too small for.
    version, commit, source_sha256 : str
        Of the package that fitted, as in results; empty in models of before they were written.
    """

    network: str
    arch: str
    timesteps: int = Field(ge=1)
    clock_hz: float = Field(gt=0)
    config: dict[str, Any]
    fits: tuple[LayerFit, ...] = Field(min_length=1)
    refused: tuple[Refusal, ...] = ()
    version: str = ""
    commit: str = ""
    source_sha256: str = ""

    @model_validator(mode="after")
    def _fits_differ(self) -> HardwareModel:
        cases = [(fit.layer, fit.tws) for fit in self.fits]
        if len(set(cases)) < len(cases):
            raise ValueError("fits: two of the same layer and window size")
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the network's order."""
        return tuple(dict.fromkeys(fit.layer for fit in self.fits))

    def choices(self, name: str) -> tuple[int, ...]:
        """Window sizes that a layer can have."""
        return tuple(fit.tws for fit in self.fits if fit.layer == name)

    def layer(self, name: str, tws: int) -> LayerFit:
        """Fit of a layer at a window size.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for fit in self.fits:
            if (fit.layer, fit.tws) == (name, tws):
                return fit
        sizes = ", ".join(map(str, self.choices(name))) or "none"
        raise ConfigError(
            f"has no fit of layer {name!r:.60} at TWS {tws}; its sizes: {sizes}",
            where=f"hardware model of {self.network}",
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as JSON; the file appears whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        target = Path(path)
        text = json.dumps({"format": FORMAT, "format_version": VERSION, **self.model_dump(mode="json")})
        return write_files(target.parent, {target.name: text + "\n"})[0]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HardwareModel:
        """Read a model.

        Raises
        ------
        ConfigError
            If the file cannot be read or is none, in one line that names file and field.
        """
        where = str(path)
        try:
            with Path(path).open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise ConfigError(f"is larger than {MAX_FILE_BYTES >> 20} MiB", where=where)
            data = json.loads(raw.decode("utf-8"))
        except OSError as exc:
            raise ConfigError(f"cannot be read: {exc.strerror}", where=where) from None
        except (ValueError, RecursionError):
            raise ConfigError("is not JSON: no hardware model", where=where) from None
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ConfigError("is no hardware model; `spikex-sim hardware-model` makes one", where=where)
        if data.pop("format_version", None) != VERSION:
            raise ConfigError(f"must be {VERSION}", where=where, field="format_version")
        return validated(cls, data, where=where, error=ConfigError)
