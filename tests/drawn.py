"""Layers and configurations drawn together, and what they cost."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pipeline import Run, run
from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.load import load_accelerator
from strategies import Workload, overrides, workloads


def costs(data: st.DataObject, scheduler: str, **fixed: Any) -> tuple[Workload, dict[str, Any], Run] | None:
    """Draw a layer and a configuration, and cost it; None if a buffer is too small."""
    workload = data.draw(workloads(largest_map=6, longest=20))
    keys = data.draw(overrides(workload, scheduler)) | fixed
    try:
        return workload, keys, run(workload, load_accelerator(scheduler, keys))
    except ConfigError:
        return None
