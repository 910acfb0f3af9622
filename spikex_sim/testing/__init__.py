"""What authors of plug-ins test them with: workloads, and checks against a slow forward pass.

>>> from spikex_sim.testing import accelerator, check_scheduler, workloads
"""

from spikex_sim.testing.kit import (
    CONFIGURATIONS,
    accelerator,
    check_engine,
    check_policy,
    check_scheduler,
    workloads,
)
from spikex_sim.testing.workloads import Workload

__all__ = [
    "CONFIGURATIONS",
    "Workload",
    "accelerator",
    "check_engine",
    "check_policy",
    "check_scheduler",
    "workloads",
]
