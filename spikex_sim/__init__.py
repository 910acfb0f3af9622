"""Cycle-level simulator of systolic-array accelerators for spiking neural networks.

>>> import spikex_sim as sx
>>> sx.load_accelerator("spikex").array.rows
8
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikex_sim.errors import (
        ConfigError,
        EnergyTableError,
        FigureError,
        OutputError,
        SpikexError,
        TraceError,
        UnsupportedError,
    )
    from spikex_sim.results import RunResult
    from spikex_sim.simulator import simulate
    from spikex_sim.spec.arch import Accelerator
    from spikex_sim.spec.load import load_accelerator
    from spikex_sim.spec.workload import Layer, Neuron
    from spikex_sim.studies.ann import AnnComparison, AnnRow, against_ann
    from spikex_sim.studies.dynamic import DynamicRow, dynamic_timesteps
    from spikex_sim.sweeps.runner import sweep
    from spikex_sim.sweeps.table import pareto_front
    from spikex_sim.trace.dynamics import Dynamics
    from spikex_sim.trace.model import Trace
    from spikex_sim.trace.record import record
    from spikex_sim.trace.store import load_trace, load_traces, save_trace

_HOMES = {
    "Accelerator": "spec.arch",
    "AnnComparison": "studies.ann",
    "AnnRow": "studies.ann",
    "ConfigError": "errors",
    "DynamicRow": "studies.dynamic",
    "Dynamics": "trace.dynamics",
    "EnergyTableError": "errors",
    "FigureError": "errors",
    "Layer": "spec.workload",
    "Neuron": "spec.workload",
    "OutputError": "errors",
    "RunResult": "results",
    "SpikexError": "errors",
    "Trace": "trace.model",
    "TraceError": "errors",
    "UnsupportedError": "errors",
    "against_ann": "studies.ann",
    "dynamic_timesteps": "studies.dynamic",
    "load_accelerator": "spec.load",
    "load_trace": "trace.store",
    "load_traces": "trace.store",
    "pareto_front": "sweeps.table",
    "record": "trace.record",
    "save_trace": "trace.store",
    "simulate": "simulator",
    "sweep": "sweeps.runner",
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
