"""Runs the points of a sweep, in grid order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from spikex_sim.accounting import Stalls
from spikex_sim.energy.model import COMPONENTS, EnergyModel
from spikex_sim.errors import ConfigError
from spikex_sim.files import check_writable, csv_text, write_files
from spikex_sim.registry import source_files
from spikex_sim.results import RunResult
from spikex_sim.simulator import as_traces, check_runnable, describe, simulate, versions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.sweeps.grid import points
from spikex_sim.sweeps.store import SweepStore
from spikex_sim.trace.model import Trace

TraceLike = Trace | str | Path


def sweep(
    trace: TraceLike | Sequence[TraceLike],
    grid: Mapping[str, Sequence[Any]],
    *,
    arch: str | Path | Accelerator | Sequence[str | Path | Accelerator] = "spikex",
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Replay traces through every combination of configuration values.

    Parameters
    ----------
    trace : Trace, path, or sequence of them
        Traces; a folder counts as one network's samples.
    grid : mapping of str to sequence
        Dotted configuration key to its values; all combinations are run.
    arch : str, Path, Accelerator, or sequence of them
        Accelerators to sweep.
    engine : {"fast", "event"}
        Memory engine.
    overrides : mapping, optional
        Configuration keys that are the same for all points.
    out : str or Path, optional
        Folder for ``sweep.sqlite`` and ``sweep.csv``; points that the store already has are not run again.
    progress : callable, optional
        Told what is being done, how many points are done, and of how many.

    Returns
    -------
    list of dict
        One row a point, in grid order: trace, accelerator, the grid's keys, then cycles, seconds, energies
        and the rest, units in the names.

    Raises
    ------
    SpikexError
        If any point's configuration is wrong, before anything is run; or if a point cannot be run.
    """
    traces: list[TraceLike] = _listed(trace, "trace", Trace | str | Path)
    archs: list[str | Path | Accelerator] = _listed(arch, "arch", str | Path | Accelerator)
    values = points(grid)
    if not traces or not archs:
        raise ConfigError("needs at least one trace and one accelerator", where="sweep")
    twice = sorted(set(grid) & set(overrides or {}))
    if twice:
        raise ConfigError("is both swept and set", where="grid", field=twice[0])
    configurations = [
        (point, load_accelerator(one, {**(overrides or {}), **point})) for one in archs for point in values
    ]
    loaded = [as_traces(item) for item in traces]
    for samples in loaded:
        for _, accelerator in configurations:
            check_runnable(samples, accelerator, engine)
    rows: list[dict[str, Any]] = []
    total = len(traces) * len(configurations)
    store = nullcontext() if out is None else SweepStore(check_writable(out) / "sweep.sqlite")
    with store as kept:
        for samples in loaded:
            name = describe(samples)["name"]
            for point, accelerator in configurations:
                if progress:
                    progress(f"{name} {accelerator.name}", len(rows), total)
                key = _key(samples, accelerator, engine) if kept else ""
                found = kept.find(key, set(MEASURES)) if kept else None
                if found is None:
                    found = _measures(simulate(samples, accelerator, engine=engine))
                    if kept:
                        kept.add(key, found)
                shown = {name: _plain(value) for name, value in point.items()}
                rows.append({"trace": name, "arch": accelerator.name, **shown, **found})
    if progress:
        progress("done", total, total)
    if out is not None:
        write_files(out, {"sweep.csv": csv_text(rows)})
    return rows


def _listed(given: Any, what: str, kind: Any) -> list[Any]:
    items = [given] if isinstance(given, kind) else list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(item, kind) for item in items):
        raise ConfigError(f"must be one or a list of names, paths or objects, not {given!r:.60}", field=what)
    return items


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _key(samples: Sequence[Trace], arch: Accelerator, engine: str) -> str:
    """Content of a point: configuration, energies, spikes, and the code that computes it."""
    content = {
        "config": arch.model_dump(mode="json"),
        "energies": repr(EnergyModel.of(arch)),
        "traces": [(one.name, one.sha256) for one in samples],
        "engine": engine,
        "version": versions()["spikex_sim"],
        "code": _code_sha256(arch.scheduler, arch.dispatch, engine),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=64)
def _code_sha256(scheduler: str, dispatch: str, engine: str) -> str:
    """Hash the sources of this package and of the plug-ins in use: changed code is another point."""
    files = set(source_files("engines", "fast"))
    for seam, name in (("accelerators", scheduler), ("dispatch", dispatch), ("engines", engine)):
        files.update(source_files(seam, name))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _total(name: str) -> Callable[[RunResult], Any]:
    return lambda run: getattr(run.totals, name)


def _stall(cause: str) -> Callable[[RunResult], int]:
    return lambda run: run.totals.stalls[cause]


def _energy(part: str) -> Callable[[RunResult], float]:
    return lambda run: run.totals.energy.components[part]


def _measures(result: RunResult) -> dict[str, Any]:
    """Take from a run what a sweep keeps of it."""
    return {name: value(result) for name, value in MEASURES.items()}


MEASURES: dict[str, Callable[[RunResult], Any]] = {
    "layer_tws": lambda run: "/".join(str(layer.tws) for layer in run.layers if layer.tws),
    "cycles": lambda run: run.totals.cycles,
    "compute_cycles": lambda run: run.totals.compute_cycles,
    **{f"stall_{cause}_cycles": _stall(cause) for cause in Stalls()},
    **{
        name: _total(name)
        for name in (
            "seconds",
            "energy_pj",
            "energy_on_chip_pj",
            "edp_js",
            "power_mw",
            "tops",
            "tops_dense",
            "tops_per_watt",
            "utilization",
            "add_utilization",
            "ntwus",
            "batches",
            "streamed_taps",
            "accumulations",
            "lif_updates",
            "output_spikes",
            "estimate_pj",
        )
    },
    **{f"energy_{part}_pj": _energy(part) for part in COMPONENTS},
    "leakage_glb_pj": lambda run: run.totals.energy.leakage["glb"],
    "leakage_lbuf_pj": lambda run: run.totals.energy.leakage["lbuf"],
    "leakage_pe_pj": lambda run: run.totals.energy.leakage.get("pe", 0.0),
    "engine": lambda run: run.engine,
    "trace_sha256": lambda run: run.trace["sha256"],
}
"""Columns of a sweep after the point's own, in order."""
