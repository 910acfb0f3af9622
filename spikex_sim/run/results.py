"""Results: what a run cost, per layer and in total, and how it is written to files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from spikex_sim.core.counts import Accesses, Operations, Stalls
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.costs.energy import Energy, EnergyModel, add_energies
from spikex_sim.spec.arch import Accelerator

Number = TypeVar("Number", int, float)
SCHEMA = 1
"""Version of the layout of ``results.json``."""


@dataclass(frozen=True)
class Costs:
    """What a layer, a sample or a run costs: sums, and the figures that follow from them.

    Attributes
    ----------
    cycles, compute_cycles : int
        Cycles with and without stalls.
    stalls, operations, accesses, energy
        Counts and energies.
    steps : int
        Units of time-keeping.
    pes : int
        PEs of the array.
    clock_hz : float
        Clock frequency.
    estimate_pj : float or None
        Energy by the estimate that papers print, FLOPs x time points x (1 - sparsity) x E_AC (Bhattacharjee
        et al., "Are SNNs truly energy-efficient?", Table II); None where the input spikes are not known.
    """

    cycles: int
    compute_cycles: int
    stalls: Stalls
    operations: Operations
    accesses: Accesses
    energy: Energy
    steps: int
    pes: int
    clock_hz: float
    estimate_pj: float | None

    @property
    def ntwus(self) -> int:
        """Active NTWUs, one per neuron and window."""
        return self.operations.ntwus

    @property
    def batches(self) -> int:
        """Batches over all row groups."""
        return self.operations.batches

    @property
    def streamed_taps(self) -> int:
        """Sum of ``|S_b|`` over the batches of all row groups."""
        return self.operations.streamed_taps

    @property
    def accumulations(self) -> int:
        """Weights added."""
        return self.operations.accumulations

    @property
    def lif_updates(self) -> int:
        """Potential updates, padded time points included."""
        return self.operations.lif_updates

    @property
    def utilization(self) -> float:
        """PEs in use, on average over all cycles, as a fraction."""
        return self.operations.pe_cycles / (self.cycles * self.pes) if self.cycles else 0.0

    @property
    def add_utilization(self) -> float:
        """PEs that add a weight, on average over all cycles, as a fraction."""
        return self.operations.accumulations / (self.cycles * self.pes) if self.cycles else 0.0

    @property
    def seconds(self) -> float:
        """Latency."""
        return self.cycles / self.clock_hz

    @property
    def edp_js(self) -> float:
        """Energy-delay product, DRAM energy included."""
        return self.energy.total_pj / PJ_PER_J * self.seconds

    @property
    def estimate_factor(self) -> float | None:
        """Simulated energy over the estimate, DRAM included; None without a positive estimate."""
        return self.energy.total_pj / self.estimate_pj if self.estimate_pj else None

    @property
    def estimate_factor_on_chip(self) -> float | None:
        """Simulated energy without DRAM over the estimate; None without a positive estimate."""
        return self.energy.on_chip_pj / self.estimate_pj if self.estimate_pj else None

    def counts(self) -> dict[str, Any]:
        """Cycles and counts as in ``results.json``."""
        return {
            "cycles": self.cycles,
            "compute_cycles": self.compute_cycles,
            "stalls": dict(self.stalls),
            "batches": self.batches,
            "ntwus": self.ntwus,
            "streamed_taps": self.streamed_taps,
            "accumulations": self.accumulations,
            "lif_updates": self.lif_updates,
            "comparisons": self.operations.comparisons,
            "multiplications": self.operations.multiplications,
            "leak_catchups": self.operations.leak_catchups,
            "dense_accumulations": self.operations.dense_accumulations,
            "utilization": self.utilization,
            "add_utilization": self.add_utilization,
            "array_words": {
                "ifmap": self.operations.array_ifmap_words,
                "filter": self.operations.array_filter_words,
                "ofmap": self.operations.array_ofmap_words,
            },
            "accesses": dict(self.accesses),
        }


def sum_of(parts: Sequence[Costs]) -> dict[str, Any]:
    """Add costs up, as arguments of :class:`Costs` and what derives from it."""
    return {
        "cycles": sum(part.cycles for part in parts),
        "compute_cycles": sum(part.compute_cycles for part in parts),
        "stalls": sum((part.stalls for part in parts), Stalls()),
        "operations": sum((part.operations for part in parts), Operations()),
        "accesses": sum((part.accesses for part in parts), Accesses()),
        "energy": add_energies([part.energy for part in parts]),
        "steps": sum(part.steps for part in parts),
        "pes": parts[0].pes,
        "clock_hz": parts[0].clock_hz,
        "estimate_pj": sum_if_known(part.estimate_pj for part in parts),
    }


def sum_if_known(values: Iterable[Number | None]) -> Number | None:
    """Add values up; None if one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class LayerResult(Costs):
    """What one layer cost, over all samples.

    Attributes
    ----------
    name, kind : str
        As in the trace.
    tws : int or None
        Window size, time points; None for pooling.
    mode : str or None
        ``temporal`` or ``spatial``; None where the accelerator has none or the samples differ.
    mapping : dict
        Loop order, tile sizes and residency.
    input_spikes : int or None
        Spikes that entered the layer; None where pooling follows a layer without weights.
    output_spikes : int or None
        Spikes that left it; None without weights.
    output_sha256 : str or None
        Over ``np.packbits(output spikes, axis=-1)`` in the trace's layout.
    mismatched_spikes : int or None
        Where the recorded input differs from what the predecessor produced; None if not both are known.
    """

    name: str
    kind: str
    tws: int | None
    mode: str | None
    mapping: dict[str, Any]
    input_spikes: int | None
    output_spikes: int | None
    output_sha256: str | None
    mismatched_spikes: int | None

    @property
    def energy_pj(self) -> dict[str, float]:
        """Dynamic energy by component."""
        return self.energy.components

    def to_dict(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return {
            "name": self.name,
            "kind": self.kind,
            "tws": self.tws,
            "mode": self.mode,
            **self.counts(),
            "seconds": self.seconds,
            "energy_pj": self.energy.components,
            "energy_total_pj": self.energy.total_pj,
            "energy_on_chip_pj": self.energy.on_chip_pj,
            "energy_by_use_pj": self.energy.uses,
            "leakage_pj": self.energy.leakage,
            "edp_js": self.edp_js,
            "estimate_pj": self.estimate_pj,
            "input_spikes": self.input_spikes,
            "output_spikes": self.output_spikes,
            "output_sha256": self.output_sha256,
            "mismatched_spikes": self.mismatched_spikes,
            "steps": self.steps,
            "mapping": self.mapping,
        }


@dataclass(frozen=True)
class Totals(Costs):
    """Sums over layers, and what follows from them.

    Attributes
    ----------
    output_spikes : int or None
        Spikes that neurons fired, pooling apart; None where a layer has no weights.
    """

    output_spikes: int | None

    @classmethod
    def of(cls, layers: Sequence[LayerResult]) -> Totals:
        """Add layers up."""
        fired = sum_if_known(layer.output_spikes for layer in layers if layer.tws is not None)
        return cls(**sum_of(layers), output_spikes=fired)

    @property
    def energy_pj(self) -> float:
        """Dynamic energy, DRAM included."""
        return self.energy.total_pj

    @property
    def energy_on_chip_pj(self) -> float:
        """Dynamic energy without DRAM."""
        return self.energy.on_chip_pj

    @property
    def power_mw(self) -> float:
        """Dynamic power."""
        return self.energy.total_pj / 1e9 / self.seconds if self.cycles else 0.0

    @property
    def tops(self) -> float:
        """Accumulations per second, in 1e12."""
        return self.operations.accumulations / self.seconds / 1e12 if self.cycles else 0.0

    @property
    def tops_dense(self) -> float:
        """Every synapse and time point counted as if it had been added, per second, in 1e12."""
        return self.operations.dense_accumulations / self.seconds / 1e12 if self.cycles else 0.0

    @property
    def tops_per_watt(self) -> float:
        """Accumulations per second and watt, in 1e12."""
        return self.operations.accumulations / self.energy.total_pj if self.energy.total_pj else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return {
            **self.counts(),
            "output_spikes": self.output_spikes,
            "steps": self.steps,
            "seconds": self.seconds,
            "energy_pj": self.energy_pj,
            "energy_on_chip_pj": self.energy_on_chip_pj,
            "energy_by_component_pj": self.energy.components,
            "energy_by_use_pj": self.energy.uses,
            "leakage_pj": self.energy.leakage,
            "edp_js": self.edp_js,
            "estimate_pj": self.estimate_pj,
            "estimate_factor": self.estimate_factor,
            "estimate_factor_on_chip": self.estimate_factor_on_chip,
            "power_mw": self.power_mw,
            "tops": self.tops,
            "tops_dense": self.tops_dense,
            "tops_per_watt": self.tops_per_watt,
        }


@dataclass(frozen=True)
class RunResult:
    """Everything a run has to say, and what is needed to repeat it.

    Attributes
    ----------
    arch : Accelerator
        Complete configuration.
    engine : str
        Memory engine.
    trace : dict
        Name, SHA-256, time points, samples and source of the trace.
    layers : tuple of LayerResult
        In order.
    samples : tuple of Totals
        Totals of each sample.
    energy_model : EnergyModel
        Energies used, with their provenance.
    versions : dict
        Of this package and of what it computes with.
    timestamp : str
        When the run ended, UTC.
    outputs : uint8 array ``[samples, *shape, ceil(T/8)]`` or None
        Packed output spikes of the last conv or linear layer, not written to files; None where it computes
        none: without weights, and in an ANN.
    """

    arch: Accelerator
    engine: str
    trace: dict[str, Any]
    layers: tuple[LayerResult, ...]
    samples: tuple[Totals, ...]
    energy_model: EnergyModel
    versions: dict[str, str]
    timestamp: str
    outputs: PackedSpikes | None = field(default=None, repr=False, compare=False)

    @property
    def is_ann(self) -> bool:
        """Whether activations were computed instead of spikes."""
        return self.arch.input_bits > 1

    @cached_property
    def totals(self) -> Totals:
        """Sums over all layers and samples."""
        return Totals.of(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return {
            "schema": SCHEMA,
            "version": self.versions["spikex_sim"],
            "versions": self.versions,
            "timestamp": self.timestamp,
            "arch": self.arch.name,
            "engine": self.engine,
            "config": self.arch.model_dump(mode="json"),
            "trace": self.trace,
            "energy_sources": self.energy_model.provenance,
            "totals": self.totals.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
            "samples": [sample.to_dict() for sample in self.samples],
        }

    def layer_rows(self) -> list[dict[str, Any]]:
        """Rows of ``layers.csv``, a unit in every name that needs one."""
        rows = []
        for layer in self.layers:
            row: dict[str, Any] = {
                "name": layer.name,
                "kind": layer.kind,
                "tws": layer.tws,
                "mode": layer.mode,
            }
            row |= {"cycles": layer.cycles, "compute_cycles": layer.compute_cycles}
            row |= {f"stall_{cause}_cycles": cycles for cause, cycles in layer.stalls.items()}
            row |= {"batches": layer.batches, "ntwus": layer.ntwus, "streamed_taps": layer.streamed_taps}
            row |= {"accumulations": layer.accumulations, "lif_updates": layer.lif_updates}
            row |= {"comparisons": layer.operations.comparisons}
            row |= {"multiplications": layer.operations.multiplications}
            row |= {"leak_catchups": layer.operations.leak_catchups}
            row |= {"dense_accumulations": layer.operations.dense_accumulations}
            row |= {"utilization": layer.utilization, "add_utilization": layer.add_utilization}
            row |= {f"energy_{part}_pj": pj for part, pj in layer.energy.components.items()}
            row |= {"energy_pj": layer.energy.total_pj, "energy_on_chip_pj": layer.energy.on_chip_pj}
            row |= {f"energy_{use}_pj": pj for use, pj in layer.energy.uses.items() if use != "alu"}
            row |= {f"leakage_{level}_pj": pj for level, pj in layer.energy.leakage.items()}
            row |= {"seconds": layer.seconds, "edp_js": layer.edp_js, "estimate_pj": layer.estimate_pj}
            row |= {"input_spikes": layer.input_spikes, "output_spikes": layer.output_spikes}
            row |= {"mismatched_spikes": layer.mismatched_spikes, "steps": layer.steps}
            row |= {"output_sha256": layer.output_sha256}
            rows.append(row)
        return rows

    def access_rows(self) -> list[dict[str, Any]]:
        """Rows of ``accesses.csv``: what each level reads and writes of each tensor, in bits and pJ."""
        return [
            {
                "layer": layer.name,
                "level": level,
                "tensor": tensor,
                "read_bits": read_bits,
                "write_bits": write_bits,
                "read_pj": self.energy_model.access_pj(level, tensor, read_bits, 0),
                "write_pj": self.energy_model.access_pj(level, tensor, 0, write_bits),
            }
            for layer in self.layers
            for level, tensor, read_bits, write_bits in layer.accesses.rows()
        ]

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write ``results.json``, ``layers.csv`` and ``accesses.csv``.

        Raises
        ------
        OutputError
            If the folder cannot be written; nothing is left half-written.
        """
        return write_files(
            folder,
            {
                "results.json": json.dumps(self.to_dict(), indent=1) + "\n",
                "layers.csv": csv_text(self.layer_rows()),
                "accesses.csv": csv_text(self.access_rows()),
            },
        )
