"""Figures of the SpikeX paper (Xu, Boone, Li), drawn from rows of its studies.

>>> from spikex_sim.plots.paper import PAPER_FIGURES
>>> list(PAPER_FIGURES)
['fig5', 'fig7', 'fig8', 'fig9', 'fig10', 'fig11', 'fig12', 'fig13', 'densities', 'tornado']
"""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from spikex_sim.plots.paper.activity import paper_fig5
from spikex_sim.plots.paper.densities import paper_densities
from spikex_sim.plots.paper.energy import paper_fig11, paper_fig12
from spikex_sim.plots.paper.networks import paper_fig13
from spikex_sim.plots.paper.rates import paper_fig9, paper_fig10
from spikex_sim.plots.paper.tornado import tornado
from spikex_sim.plots.paper.training import paper_fig7, paper_fig8

PAPER_FIGURES: dict[str, Callable[..., tuple[Figure, Any]]] = {
    "fig5": paper_fig5,
    "fig7": paper_fig7,
    "fig8": paper_fig8,
    "fig9": paper_fig9,
    "fig10": paper_fig10,
    "fig11": paper_fig11,
    "fig12": paper_fig12,
    "fig13": paper_fig13,
    "densities": paper_densities,
    "tornado": tornado,
}
"""What draws each figure: ``draw(rows, ax, style)``."""

__all__ = [
    "PAPER_FIGURES",
    "paper_densities",
    "paper_fig5",
    "paper_fig7",
    "paper_fig8",
    "paper_fig9",
    "paper_fig10",
    "paper_fig11",
    "paper_fig12",
    "paper_fig13",
    "tornado",
]
