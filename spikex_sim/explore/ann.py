"""A spiking network against the ANN of the same shape: from how many time points on it stops paying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.prefix import ArchLike, TraceLike, list_of_numbers, simulate_first, spiking
from spikex_sim.run.results import Totals
from spikex_sim.run.simulate import check_runnable, prepare, simulate
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import as_chains

Measure = Literal["energy", "energy_on_chip", "latency", "edp"]


@dataclass(frozen=True)
class AnnRow:
    """One replay, and how it compares with the ANN.

    Attributes
    ----------
    arch : str
        Accelerator.
    timesteps : int or None
        Time points of the SNN; None for the ANN, which runs once.
    cycles : int
        Duration.
    seconds : float
        Latency.
    energy_pj, energy_on_chip_pj : float
        Dynamic energy with and without DRAM.
    edp_js : float
        Energy-delay product.
    tops_per_watt : float
        Additions that were made (of an ANN: multiply-accumulates) per second and watt, in 1e12.
    energy_ratio, energy_on_chip_ratio, latency_ratio, edp_ratio : float
        To the ANN; below 1 is less than the ANN.
    """

    arch: str
    timesteps: int | None
    cycles: int
    seconds: float
    energy_pj: float
    energy_on_chip_pj: float
    edp_js: float
    tops_per_watt: float
    energy_ratio: float
    energy_on_chip_ratio: float
    latency_ratio: float
    edp_ratio: float


@dataclass(frozen=True)
class AnnComparison:
    """An ANN and the SNN of the same shape after more and more time points.

    Attributes
    ----------
    ann : AnnRow
        The ANN.
    snn : tuple of AnnRow
        The SNN, by ascending time points.
    """

    ann: AnnRow
    snn: tuple[AnnRow, ...]

    def _repr_html_(self) -> str:
        from spikex_sim.explore.search_tables import ann_html

        return ann_html(self)

    def pays_until(self, measure: Measure) -> int | None:
        """Last of the compared time points at which the SNN is below the ANN; None if it never is."""
        below = [row.timesteps for row in self.snn if getattr(row, f"{measure}_ratio") < 1]
        return below[-1] if below else None


def against_ann(
    trace: TraceLike | Sequence[TraceLike],
    arch: ArchLike = "spikex",
    ann: ArchLike = "ann",
    timesteps: Sequence[int] | None = None,
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> AnnComparison:
    """Compare an SNN that runs for some time points with the ANN of the same shape, which runs once.

    Parameters
    ----------
    trace : Trace, path, or sequence of them
        One trace, or samples of one network, which are summed.
    arch : str, Path or Accelerator
        What the SNN runs on.
    ann : str, Path or Accelerator
        What the ANN runs on: a configuration with ``activation_bits`` above 1. Its activations are the spike
        counts of the whole trace; what they are changes its cost under ``zero_gating`` only.
    timesteps : sequence of int, optional
        Time points to try; the SNN replays as many first ones of the trace (:meth:`spikex_sim.Trace.first`).
        Powers of two below ``T``, and ``T``.
    tws : int, "auto" or sequence of int, optional
        Window size of the SNN; larger ones than what is run are cut to it.
    engine : {"fast", "event"}
        Memory engine.
    overrides : mapping, optional
        Configuration keys that are changed in both.
    progress : callable, optional
        Told about the replays as they are done.

    Returns
    -------
    AnnComparison
        Costs of both, and ratios.

    Raises
    ------
    SpikexError
        If trace or configuration are wrong, or a number of time points is.
    """
    snn_arch, ann_arch = spiking(arch, tws, overrides), _activating(ann, overrides)
    traces = as_chains(trace, "an ANN")
    if all(layer.is_pool for layer in traces[0].layers):
        raise TraceError("needs a conv or linear layer", where=traces[0].where, field="layers")
    whole = traces[0].timesteps
    if timesteps is None:
        timesteps = sorted({whole, *(1 << power for power in range(whole.bit_length()))})
    points = sorted(map(int, list_of_numbers(timesteps, Integral, 1, whole, "timesteps")))
    prepare(snn_arch, ann_arch)
    check_runnable(traces, ann_arch, engine)
    arrays = check_runnable(traces, snn_arch, engine)
    told = progress or silent
    told(ann_arch.name, 0, 1 + len(points))
    reference = simulate(traces, ann_arch, engine=engine).totals
    rows = []
    for done, point in enumerate(points, 1):
        told(f"{snn_arch.name}, T={point}", done, 1 + len(points))
        totals = simulate_first(traces, snn_arch, point, engine, arrays).totals
        rows.append(_row(snn_arch.name, point, totals, reference))
    return AnnComparison(_row(ann_arch.name, None, reference, reference), tuple(rows))


def _activating(ann: ArchLike, overrides: Mapping[str, Any] | None) -> Accelerator:
    accelerator = load_accelerator(ann, overrides)
    if accelerator.input_bits == 1:
        raise ConfigError(
            "computes spikes; the ANN needs an accelerator with activation_bits above 1, e.g. ann",
            where=accelerator.name,
            field="activation_bits",
        )
    return accelerator


def _row(arch: str, timesteps: int | None, totals: Totals, ann: Totals) -> AnnRow:
    return AnnRow(
        arch=arch,
        timesteps=timesteps,
        cycles=totals.cycles,
        seconds=totals.seconds,
        energy_pj=totals.energy_pj,
        energy_on_chip_pj=totals.energy_on_chip_pj,
        edp_js=totals.edp_js,
        tops_per_watt=totals.tops_per_watt,
        energy_ratio=totals.energy_pj / ann.energy_pj,
        energy_on_chip_ratio=totals.energy_on_chip_pj / ann.energy_on_chip_pj,
        latency_ratio=totals.seconds / ann.seconds,
        edp_ratio=totals.edp_js / ann.edp_js,
    )
