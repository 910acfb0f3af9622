"""Reports: one self-contained page of any folder. The package is called as ``spikex_sim.report(...)``."""

from spikex_sim.core.called import call

call(__name__, "spikex_sim.report.page")
