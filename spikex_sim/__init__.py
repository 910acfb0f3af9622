"""Cycle-level simulator of systolic-array accelerators for spiking neural networks.

>>> import spikex_sim as sx
>>> sx.load_accelerator("spikex").array.rows
8
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikex_sim.core.errors import (
        ConfigError,
        EnergyTableError,
        FigureError,
        OutputError,
        SpikexError,
        TraceError,
        UnsupportedError,
    )
    from spikex_sim.explore.ann import AnnComparison, AnnRow, against_ann
    from spikex_sim.explore.dynamic import DynamicRow, dynamic_timesteps
    from spikex_sim.explore.sweeps.runner import sweep
    from spikex_sim.explore.sweeps.table import pareto_front
    from spikex_sim.run.results import RunResult
    from spikex_sim.run.simulate import simulate
    from spikex_sim.sources.frameworks.dynamics import Dynamics
    from spikex_sim.sources.frameworks.record import record
    from spikex_sim.spec.arch import Accelerator
    from spikex_sim.spec.load import load_accelerator
    from spikex_sim.spec.workload import Layer, Neuron
    from spikex_sim.trace.store import load_trace, load_traces, save_trace
    from spikex_sim.trace.trace import Trace

_HOMES = {
    "Accelerator": "spec.arch",
    "AnnComparison": "explore.ann",
    "AnnRow": "explore.ann",
    "ConfigError": "core.errors",
    "DynamicRow": "explore.dynamic",
    "Dynamics": "sources.frameworks.dynamics",
    "EnergyTableError": "core.errors",
    "FigureError": "core.errors",
    "Layer": "spec.workload",
    "Neuron": "spec.workload",
    "OutputError": "core.errors",
    "RunResult": "run.results",
    "SpikexError": "core.errors",
    "Trace": "trace.trace",
    "TraceError": "core.errors",
    "UnsupportedError": "core.errors",
    "against_ann": "explore.ann",
    "dynamic_timesteps": "explore.dynamic",
    "load_accelerator": "spec.load",
    "load_trace": "trace.store",
    "load_traces": "trace.store",
    "pareto_front": "explore.sweeps.table",
    "record": "sources.frameworks.record",
    "save_trace": "trace.store",
    "simulate": "run.simulate",
    "sweep": "explore.sweeps.runner",
}

__all__ = [
    "Accelerator",
    "AnnComparison",
    "AnnRow",
    "ConfigError",
    "DynamicRow",
    "Dynamics",
    "EnergyTableError",
    "FigureError",
    "Layer",
    "Neuron",
    "OutputError",
    "RunResult",
    "SpikexError",
    "Trace",
    "TraceError",
    "UnsupportedError",
    "against_ann",
    "dynamic_timesteps",
    "load_accelerator",
    "load_trace",
    "load_traces",
    "pareto_front",
    "record",
    "save_trace",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``--help`` and error messages do not wait for compiled kernels."""
    if name == "__version__":
        from importlib.metadata import version

        return version("spikex_sim")
    if name not in _HOMES:
        raise AttributeError(f"module 'spikex_sim' has no attribute '{name}'")
    return getattr(importlib.import_module(f"spikex_sim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
