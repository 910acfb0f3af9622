"""Questions that take many runs to answer. The package is called as ``spikex_sim.explore(...)``."""

from spikex_sim.core.called import call

call(__name__, "spikex_sim.explore.designs.api")
