"""What a layer costs, as a fast function of the share of active windows, fitted to simulations.

>>> from spikex_sim.explore.fitted import LayerFit
>>> fit = LayerFit(layer="fc", tws=4, windows=1000, densities=(0.1, 0.3), edp_js_per_window=(2.0, 4.0),
...                energy_pj_per_window=(1.0, 1.0), cycles_per_window=(1.0, 1.0))
>>> fit.edp_js(0.2)
600.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikex_sim.explore.fitted.curves import HardwareModel, LayerFit

if TYPE_CHECKING:
    from spikex_sim.explore.fitted.fit import fit_hardware_model

__all__ = ["HardwareModel", "LayerFit", "fit_hardware_model"]


def __getattr__(name: str) -> Any:
    """Import the fit on first use: a model is read without compiled kernels."""
    if name == "fit_hardware_model":
        from spikex_sim.explore.fitted.fit import fit_hardware_model

        return fit_hardware_model
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
