"""Cycle-level simulator of systolic-array accelerators for spiking neural networks.

>>> import spikex_sim as sx
>>> sx.load_accelerator("spikex").array.rows
8
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikex_sim.accelerators.base import Scheduler
    from spikex_sim.core.doctor import Installation, doctor
    from spikex_sim.core.errors import (
        ConfigError,
        EnergyTableError,
        FigureError,
        InternalError,
        OutputError,
        ResultsError,
        SpikexError,
        TraceError,
        UnsupportedError,
    )
    from spikex_sim.explore.ann import AnnComparison, AnnRow, against_ann
    from spikex_sim.explore.comparison import Comparison, compare
    from spikex_sim.explore.designs.api import explore
    from spikex_sim.explore.designs.found import Exploration, load_exploration
    from spikex_sim.explore.dynamic import DynamicRow, dynamic_timesteps
    from spikex_sim.explore.evaluation import Evaluation, evaluate
    from spikex_sim.explore.explanation import Explanation, explain
    from spikex_sim.explore.mapping.api import load_network, map_network, place, verify_mapping
    from spikex_sim.explore.mapping.search import Mapped
    from spikex_sim.explore.nas.found import ArchitectureFound
    from spikex_sim.explore.quantization import Quantization, quantize
    from spikex_sim.explore.sweeps.runner import sweep
    from spikex_sim.explore.sweeps.table import SweepTable, pareto_front
    from spikex_sim.explore.tws_search import TwsSearch, search_tws
    from spikex_sim.mapped.graph import NeuronGraph
    from spikex_sim.mapped.pool import Pool
    from spikex_sim.report.page import report
    from spikex_sim.run.results import LayerResult, RunResult, Totals
    from spikex_sim.run.saved import SavedResults, load_results
    from spikex_sim.run.simulate import simulate
    from spikex_sim.sources.frameworks.dynamics import Dynamics
    from spikex_sim.sources.frameworks.record import record
    from spikex_sim.spec.arch import Accelerator
    from spikex_sim.spec.load import load_accelerator
    from spikex_sim.spec.workload import Layer, Neuron
    from spikex_sim.trace.graph import GraphTrace
    from spikex_sim.trace.store import load_trace, load_traces, save_trace
    from spikex_sim.trace.trace import Trace
    from spikex_sim.training.architecture import search_architecture

_HOMES = {
    "Accelerator": "spec.arch",
    "AnnComparison": "explore.ann",
    "AnnRow": "explore.ann",
    "ArchitectureFound": "explore.nas.found",
    "Comparison": "explore.comparison",
    "ConfigError": "core.errors",
    "DynamicRow": "explore.dynamic",
    "Dynamics": "sources.frameworks.dynamics",
    "EnergyTableError": "core.errors",
    "Evaluation": "explore.evaluation",
    "Explanation": "explore.explanation",
    "Exploration": "explore.designs.found",
    "FigureError": "core.errors",
    "GraphTrace": "trace.graph",
    "Installation": "core.doctor",
    "InternalError": "core.errors",
    "Layer": "spec.workload",
    "LayerResult": "run.results",
    "Mapped": "explore.mapping.search",
    "Neuron": "spec.workload",
    "NeuronGraph": "mapped.graph",
    "OutputError": "core.errors",
    "Pool": "mapped.pool",
    "Quantization": "explore.quantization",
    "ResultsError": "core.errors",
    "RunResult": "run.results",
    "SavedResults": "run.saved",
    "Scheduler": "accelerators.base",
    "SpikexError": "core.errors",
    "SweepTable": "explore.sweeps.table",
    "Totals": "run.results",
    "Trace": "trace.trace",
    "TraceError": "core.errors",
    "TwsSearch": "explore.tws_search",
    "UnsupportedError": "core.errors",
    "against_ann": "explore.ann",
    "compare": "explore.comparison",
    "doctor": "core.doctor",
    "dynamic_timesteps": "explore.dynamic",
    "evaluate": "explore.evaluation",
    "explain": "explore.explanation",
    "load_accelerator": "spec.load",
    "load_exploration": "explore.designs.found",
    "load_network": "explore.mapping.api",
    "load_results": "run.saved",
    "load_trace": "trace.store",
    "load_traces": "trace.store",
    "map_network": "explore.mapping.api",
    "pareto_front": "explore.sweeps.table",
    "place": "explore.mapping.api",
    "quantize": "explore.quantization",
    "record": "sources.frameworks.record",
    "save_trace": "trace.store",
    "search_architecture": "training.architecture",
    "search_tws": "explore.tws_search",
    "simulate": "run.simulate",
    "sweep": "explore.sweeps.runner",
    "verify_mapping": "explore.mapping.api",
}

__all__ = [
    "Accelerator",
    "AnnComparison",
    "AnnRow",
    "ArchitectureFound",
    "Comparison",
    "ConfigError",
    "DynamicRow",
    "Dynamics",
    "EnergyTableError",
    "Evaluation",
    "Explanation",
    "Exploration",
    "FigureError",
    "GraphTrace",
    "Installation",
    "InternalError",
    "Layer",
    "LayerResult",
    "Mapped",
    "Neuron",
    "NeuronGraph",
    "OutputError",
    "Pool",
    "Quantization",
    "ResultsError",
    "RunResult",
    "SavedResults",
    "Scheduler",
    "SpikexError",
    "SweepTable",
    "Totals",
    "Trace",
    "TraceError",
    "TwsSearch",
    "UnsupportedError",
    "against_ann",
    "compare",
    "doctor",
    "dynamic_timesteps",
    "evaluate",
    "explain",
    "explore",
    "load_accelerator",
    "load_exploration",
    "load_network",
    "load_results",
    "load_trace",
    "load_traces",
    "map_network",
    "pareto_front",
    "place",
    "quantize",
    "record",
    "report",
    "save_trace",
    "search_architecture",
    "search_tws",
    "simulate",
    "sweep",
    "verify_mapping",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``--help`` and error messages do not wait for compiled kernels."""
    if name == "__version__":
        from importlib.metadata import version

        return version("spikex_sim")
    if name in ("explore", "report"):  # folders of that name, which can be called
        return importlib.import_module(f"spikex_sim.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'spikex_sim' has no attribute '{name}'")
    return getattr(importlib.import_module(f"spikex_sim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
