"""Figures for papers: functions of rows, which simulate nothing and return what they drew.

>>> from spikex_sim import plots
>>> layer = {"name": "fc", "cycles": 10, "utilization": 0.5, "add_utilization": 0.25}
>>> fig, ax = plots.utilization([layer], style=plots.columns(1))
>>> ax.collections[0].get_array().tolist()
[[50.0, 25.0]]
"""

from spikex_sim.plots.crossbars import critical_path, mapping, mapping_rows
from spikex_sim.plots.dispatch import dispatch_policies
from spikex_sim.plots.explored import against_objectives as exploration_front
from spikex_sim.plots.explored import hypervolume as exploration_hypervolume
from spikex_sim.plots.explored import importance as exploration_importance
from spikex_sim.plots.graphs import graph, graph_rows
from spikex_sim.plots.hardware import hardware_model
from spikex_sim.plots.knobs import (
    against_adc_bits,
    against_crossbar_size,
    against_device_bits,
    against_r_on,
    against_timesteps,
)
from spikex_sim.plots.layers import (
    energy_by_component,
    energy_by_tensor,
    roofline,
    roofline_rows,
    stalls,
    utilization,
)
from spikex_sim.plots.machines import area_by_machine, comparison, energy_by_machine, energy_rows
from spikex_sim.plots.mapper_charts import comparison as mapping_comparison
from spikex_sim.plots.mapper_charts import front as mapping_front
from spikex_sim.plots.mapper_charts import held_out as mapping_held_out
from spikex_sim.plots.mapper_charts import steps as mapping_steps
from spikex_sim.plots.mapper_charts import types as mapping_types
from spikex_sim.plots.mapper_drawings import boxes as mapping_crossbars
from spikex_sim.plots.mapper_drawings import mesh as mapping_mesh
from spikex_sim.plots.paper import (
    PAPER_FIGURES,
    paper_densities,
    paper_fig5,
    paper_fig7,
    paper_fig8,
    paper_fig9,
    paper_fig10,
    paper_fig11,
    paper_fig12,
    paper_fig13,
    tornado,
)
from spikex_sim.plots.spikes import raster, spike_rows
from spikex_sim.plots.studies import against_ann, dynamic, evaluation, window_search
from spikex_sim.plots.style import columns, file_bytes
from spikex_sim.plots.sweeps import (
    against_array_size,
    against_firing_rate,
    against_tws,
    pareto,
    pareto_of_area,
)

__all__ = [
    "PAPER_FIGURES",
    "against_adc_bits",
    "against_ann",
    "against_array_size",
    "against_crossbar_size",
    "against_device_bits",
    "against_firing_rate",
    "against_r_on",
    "against_timesteps",
    "against_tws",
    "area_by_machine",
    "columns",
    "comparison",
    "critical_path",
    "dispatch_policies",
    "dynamic",
    "energy_by_component",
    "energy_by_machine",
    "energy_by_tensor",
    "energy_rows",
    "evaluation",
    "exploration_front",
    "exploration_hypervolume",
    "exploration_importance",
    "file_bytes",
    "graph",
    "graph_rows",
    "hardware_model",
    "mapping",
    "mapping_comparison",
    "mapping_crossbars",
    "mapping_front",
    "mapping_held_out",
    "mapping_mesh",
    "mapping_rows",
    "mapping_steps",
    "mapping_types",
    "paper_densities",
    "paper_fig5",
    "paper_fig7",
    "paper_fig8",
    "paper_fig9",
    "paper_fig10",
    "paper_fig11",
    "paper_fig12",
    "paper_fig13",
    "pareto",
    "pareto_of_area",
    "raster",
    "roofline",
    "roofline_rows",
    "spike_rows",
    "stalls",
    "tornado",
    "utilization",
    "window_search",
]
