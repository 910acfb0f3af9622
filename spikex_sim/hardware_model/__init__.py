"""What a layer costs, as a fast function of the share of active windows, fitted to simulations.

>>> from spikex_sim.hardware_model import LayerFit
>>> fit = LayerFit(layer="fc", tws=4, windows=1000, densities=(0.1, 0.3), edp_js_per_window=(2.0, 4.0),
...                energy_pj_per_window=(1.0, 1.0), cycles_per_window=(1.0, 1.0))
>>> fit.edp_js(0.2)
600.0
"""

from spikex_sim.hardware_model.fit import fit_hardware_model
from spikex_sim.hardware_model.model import HardwareModel, LayerFit

__all__ = ["HardwareModel", "LayerFit", "fit_hardware_model"]
