"""Results: what a run cost, per layer and in total, and how it is written to files."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from spikex_sim.core.counts import READ, WRITE
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.core.frames import frame
from spikex_sim.core.frozen import FrozenMap, frozen, frozen_array, plain
from spikex_sim.core.origin import origin
from spikex_sim.core.spikes import PackedSpikes
from spikex_sim.core.units import joules
from spikex_sim.costs.crossbar import buffer_rows
from spikex_sim.costs.energy import Area, EnergyModel
from spikex_sim.run.fields import ACCESSES_CSV, LAYERS, LAYERS_CSV, SAMPLES, SPREAD, TOTALS, cells_of, entry
from spikex_sim.run.tally import Costs, sum_if_known, sum_of
from spikex_sim.schedules.held import Held
from spikex_sim.spec.arch import Accelerator

SCHEMA = 2
"""Version of the layout of ``results.json``."""


@dataclass(frozen=True, repr=False)
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
    datapath : {"int", "float"} or None
        Of its neurons; None for pooling.
    held : tuple of Held
        What buffers hold between uses, or would hold if it fitted.
    mapping : mapping
        Loop order, tile sizes and residency.
    input_spikes : int or None
        Spikes that entered the layer; None where pooling follows a layer without weights.
    output_spikes : int or None
        Spikes that left it; None without weights.
    output_sha256 : str or None
        Over ``np.packbits(output spikes, axis=-1)`` in the trace's layout.
    mismatched_spikes : int or None
        Where the recorded input differs from what the predecessor produced; of a node of a graph, where its
        recorded output differs from what it computed. None if not both are known.
    mismatched_values : int or None
        Likewise, of currents.
    """

    name: str
    kind: str
    tws: int | None
    mode: str | None
    datapath: str | None
    held: tuple[Held, ...]
    mapping: Mapping[str, Any]
    input_spikes: int | None
    output_spikes: int | None
    output_sha256: str | None
    mismatched_spikes: int | None
    mismatched_values: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "mapping", frozen(self.mapping))

    def __repr__(self) -> str:
        size = "" if self.tws is None else f", TWS {self.tws}"
        return f"<LayerResult {self.name} ({self.kind}{size}): {_cost_text(self)}>"

    def to_dict(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return _plain_entry(self, LAYERS)


@dataclass(frozen=True)
class Totals(Costs):
    """Sums over layers, and what follows from them.

    Attributes
    ----------
    output_spikes : int or None
        Spikes that neurons fired, pooling apart; None where a layer has no weights.
    area : Area
        Of what they ran on, as far as it is known.
    """

    output_spikes: int | None
    area: Area

    @classmethod
    def of(cls, layers: Sequence[LayerResult], area: Area, **more: Any) -> Self:
        """Add layers up; ``more`` is what a class that derives from this one has besides."""
        fired = sum_if_known(layer.output_spikes for layer in layers if layer.tws is not None)
        return cls(**sum_of(layers), output_spikes=fired, area=area, **more)

    @property
    def area_mm2_by(self) -> Mapping[str, float]:
        """Area in mm² of the components whose area is known."""
        return self.area.mm2_by

    @property
    def area_absent(self) -> Mapping[str, str]:
        """Parts whose area is not known, or not asked for, and why."""
        return self.area.absent

    @property
    def estimate_factor(self) -> float | None:
        """Simulated energy over the estimate, DRAM included; None without a positive estimate."""
        return self.energy_pj / self.estimate_pj if self.estimate_pj else None

    @property
    def estimate_factor_on_chip(self) -> float | None:
        """Simulated energy without DRAM over the estimate; None without a positive estimate."""
        return self.energy_on_chip_pj / self.estimate_pj if self.estimate_pj else None

    @property
    def power_mw(self) -> float:
        """Dynamic power."""
        return self.energy_pj / 1e9 / self.seconds if self.cycles else 0.0

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
        return self.operations.accumulations / self.energy_pj if self.energy_pj else 0.0

    @property
    def area_um2(self) -> Mapping[str, float] | None:
        """Area of a crossbar machine's components in µm²; None of other machines."""
        return None if self.imc is None else FrozenMap({k: v * 1e6 for k, v in self.area_mm2_by.items()})

    @property
    def tops_per_mm2(self) -> float | None:
        """Accumulations per second and area of a crossbar machine, in 1e12; None of other machines."""
        return self.tops / self.area_mm2 if self.imc is not None and self.area_mm2 else None

    @property
    def area_mm2(self) -> float | None:
        """Area of the components whose area is known; None if none is."""
        return sum(self.area_mm2_by.values()) if self.area_mm2_by else None

    @property
    def edap_js_mm2(self) -> float | None:
        """EDP times the area that is known; None without any."""
        return None if self.area_mm2 is None else self.edp_js * self.area_mm2

    def to_dict(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return _plain_entry(self, TOTALS)


@dataclass(frozen=True)
class SampleResult(Totals):
    """Sums over the layers of one sample, and what came of it.

    Attributes
    ----------
    name : str
        As in the trace; of several samples in one trace with the sample's number.
    label : int or None
        Class, where the trace says so.
    prediction : int or None
        Output channel of the last conv or linear layer with the most spikes, the lowest of several; None
        where its spikes are not computed: without weights, and in an ANN.
    software_prediction : int or None
        What exact sums predict, on a crossbar machine; None on other machines.
    """

    name: str
    label: int | None
    prediction: int | None
    software_prediction: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return _plain_entry(self, SAMPLES)


def _plain_entry(costs: Costs, place: str) -> dict[str, Any]:
    written: dict[str, Any] = plain(entry(costs, place))
    return written


def _cost_text(costs: Any) -> str:
    return f"{costs.cycles:,} cycles, {joules(costs.energy_pj)}"


class _Entries(list[dict[str, Any]]):
    """A list for the JSON encoder, which makes entries of samples when they are asked for."""

    def __init__(self, samples: Sequence[SampleResult]) -> None:
        super().__init__()
        self._samples = samples

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (sample.to_dict() for sample in self._samples)

    def __len__(self) -> int:
        return len(self._samples)


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation of a sample (n - 1), None of a single value; by exactly rounded sums."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def share_right(samples: Iterable[tuple[int | None, int | None]]) -> float | None:
    """Share of samples, each with label and prediction, that are right; None if one of these is not known."""
    found = list(samples)
    if any(None in sample for sample in found):
        return None
    return sum(label == predicted for label, predicted in found) / len(found)


class Moved(NamedTuple):
    """What a layer reads and writes of one tensor at one level, in bits and pJ."""

    layer: str
    level: str
    tensor: str
    read_bits: int
    write_bits: int
    read_pj: float
    write_pj: float


class Results(ABC):
    """What a run and saved results have in common.

    Attributes
    ----------
    engine : str
        Memory engine.
    trace : mapping
        Name, SHA-256, time points, samples and source of the trace.
    layers, samples : sequence
        Costs of each layer, over all samples, and of each sample, over all layers.
    versions : mapping
        Of this package and of what it computed with; of saved results also commit and hash of the sources.
    timestamp : str
        When the run ended, UTC.
    """

    engine: str
    trace: Mapping[str, Any]
    layers: tuple[Any, ...]
    samples: Sequence[Any]
    versions: Mapping[str, str]
    timestamp: str

    @property
    @abstractmethod
    def totals(self) -> Any:
        """Sums over all layers and samples."""

    @property
    @abstractmethod
    def arch_name(self) -> str:
        """Name of the accelerator."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json``."""

    def layer_rows(self) -> list[dict[str, Any]]:
        """Rows of ``layers.csv``, a unit in every name that needs one."""
        return [cells_of(layer, LAYERS_CSV) for layer in self.layers]

    def to_frame(self) -> Any:
        """Layers as a ``pandas.DataFrame`` with the columns of ``layers.csv``.

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        return frame(self.layer_rows())

    def _repr_html_(self) -> str:
        from spikex_sim.run.shown import results_html  # its tables are of saved results, too

        return results_html(self)  # type: ignore[arg-type]  # one of the two that there are

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.trace['name']} on {self.arch_name}: {len(self.layers)} layers, "
            f"{_cost_text(self.totals)}>"
        )


@dataclass(frozen=True, repr=False)
class RunResult(Results):
    """Everything a run has to say, and what is needed to repeat it.

    Attributes
    ----------
    arch : Accelerator
        Complete configuration.
    engine : str
        Memory engine.
    trace : mapping
        Name, SHA-256, time points, samples and source of the trace.
    layers : tuple of LayerResult
        In order.
    samples : sequence of SampleResult
        Totals of each sample, its class and its prediction.
    energy_model : EnergyModel
        Energies used, with their provenance.
    area : Area
        Of what it ran on, as far as it is known.
    versions : mapping
        Of this package and of what it computes with.
    timestamp : str
        When the run ended, UTC.
    outputs : uint8 array ``[samples, *shape, ceil(T/8)]`` or None
        Packed output spikes of the last conv or linear layer, not written to files; None where it computes
        none: without weights, and in an ANN.
    """

    arch: Accelerator
    engine: str
    trace: Mapping[str, Any]
    layers: tuple[LayerResult, ...]
    samples: Sequence[SampleResult]
    energy_model: EnergyModel
    area: Area
    versions: Mapping[str, str]
    timestamp: str
    outputs: PackedSpikes | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for key in ("trace", "versions"):
            object.__setattr__(self, key, frozen(getattr(self, key)))
        if self.outputs is not None:
            object.__setattr__(self, "outputs", frozen_array(self.outputs))

    def __reduce__(self) -> tuple[Any, ...]:
        # By way of __init__: an array that was pickled can be written to.
        return type(self), tuple(getattr(self, item.name) for item in fields(self))

    @property
    def arch_name(self) -> str:
        """Name of the accelerator."""
        return self.arch.name

    @property
    def is_ann(self) -> bool:
        """Whether activations were computed instead of spikes."""
        return self.arch.input_bits > 1

    @property
    def timesteps(self) -> int:
        """Time points of a sample."""
        found: int = self.trace["timesteps"]
        return found

    @property
    def accuracy(self) -> float | None:
        """Share of the samples whose class was predicted; None without classes or predictions."""
        return share_right((one.label, one.prediction) for one in self.samples)

    @property
    def software_accuracy(self) -> float | None:
        """The same of exact sums, on a crossbar machine; else None."""
        return share_right((one.label, one.software_prediction) for one in self.samples)

    @cached_property
    def totals(self) -> Totals:
        """Sums over all layers and samples."""
        return Totals.of(self.layers, self.area)

    @cached_property
    def mean(self) -> Mapping[str, float]:
        """Mean over the samples of cycles, seconds, energies and EDP."""
        return FrozenMap({quantity: mean for quantity, (mean, _) in self._spread.items()})

    @cached_property
    def sd(self) -> Mapping[str, float | None]:
        """Standard deviation of the same over the samples, with n - 1; None of a single one."""
        return FrozenMap({quantity: sd for quantity, (_, sd) in self._spread.items()})

    @cached_property
    def _spread(self) -> dict[str, tuple[float, float | None]]:
        found = [[getattr(one, quantity) for quantity in SPREAD] for one in self.samples]
        return {
            quantity: mean_and_sd(values)
            for quantity, values in zip(SPREAD, zip(*found, strict=True), strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return self._content([sample.to_dict() for sample in self.samples])

    def _content(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "version": self.versions["spikex_sim"],
            "versions": plain(self.versions) | origin(),
            "timestamp": self.timestamp,
            "arch": self.arch.name,
            "engine": self.engine,
            "config": self.arch.model_dump(mode="json"),
            "trace": plain(self.trace),
            "energy_sources": plain(self.energy_model.provenance),
            "totals": self.totals.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
            "mean": plain(self.mean),
            "sd": plain(self.sd),
            "samples": samples,
        }

    def _json(self) -> Iterator[str]:
        """Text of ``results.json`` as it is written: entries of samples are made one by one."""
        yield from json.JSONEncoder(indent=1).iterencode(self._content(_Entries(self.samples)))
        yield "\n"

    def access_rows(self) -> list[dict[str, Any]]:
        """Rows of ``accesses.csv``: what each level reads and writes of each tensor, in bits and pJ.

        Of a crossbar machine the memories that it has: in PEs, tiles, the global node and its LIF module.
        """
        if self.totals.imc is not None:
            parts = self.energy_model.components
            return [
                cells_of(Moved(layer.name, *row), ACCESSES_CSV)
                for layer in self.layers
                for row in buffer_rows(layer.counts, parts)
            ]
        return [
            cells_of(
                Moved(
                    layer.name,
                    *(level, tensor, read_bits, write_bits),
                    read_bits * self.energy_model.price_pj(level, (level, READ, tensor)),
                    write_bits * self.energy_model.price_pj(level, (level, WRITE, tensor)),
                ),
                ACCESSES_CSV,
            )
            for layer in self.layers
            for level, tensor, read_bits, write_bits in layer.accesses.rows()
        ]

    def save(self, folder: str | os.PathLike[str], *, safe_csv: bool = False) -> list[Path]:
        """Write ``results.json``, ``layers.csv`` and ``accesses.csv``.

        Parameters
        ----------
        folder : path
            Made if it is not there.
        safe_csv : bool
            Begin names that a spreadsheet would compute with an apostrophe, in the CSV.

        Raises
        ------
        OutputError
            If the folder cannot be written; nothing is left half-written.
        """
        return write_files(
            folder,
            {
                "results.json": self._json(),
                "layers.csv": csv_text(self.layer_rows(), safe=safe_csv),
                "accesses.csv": csv_text(self.access_rows(), safe=safe_csv),
            },
        )
