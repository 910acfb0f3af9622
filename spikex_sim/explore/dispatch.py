"""Dispatch policies side by side: what each streams and costs, and how far it is from what can be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikex_sim.accelerators.spikex import COMPARING, READ_BY, TAKING, SpikeXOptions
from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin_names
from spikex_sim.explore.dispatch_bounds import SMALL, TileWork, lower_bound, optimum
from spikex_sim.explore.prefix import ArchLike, TraceLike
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.dispatch.sets import tap_sets
from spikex_sim.schedules.ntwu.packing import TileView
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.schedules.ntwu.updates import UPDATE_CYCLES, batch_counts
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.together import as_traces

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "overlap-half": {"dispatch": "overlap", "dispatch_credit": 0.5},
    "sorted-hash": {"dispatch": "sorted", "dispatch_sort": "hash"},
}
"""Policies with keys of their own that are tried beside those that are registered."""
FIRST = "agile"
"""Policy that others are compared with."""
Known = dict[bytes, tuple[int, int] | None]
"""Optima of tiles that were searched, taps and cycles; None where they are not proven."""


@dataclass
class _Sum:
    """What a policy comes to in a layer, over all samples; of all row groups."""

    mode: str | None = ""
    batches: int = 0
    streamed_taps: int = 0
    slot_cycles: int = 0
    busy_pe_cycles: int = 0
    cycles: int = 0
    energy_pj: float = 0.0
    held_bits: int = 0
    dispatch_cycles: int = 0
    dispatch_pj: float = 0.0
    bound_taps: int = 0
    bound_cycles: int = 0
    tiles: int = 0
    small: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DispatchStudy:
    """What policies come to.

    Attributes
    ----------
    arch : SpikeXOptions
        The machine, with the policy that others are compared with.
    rows : tuple of dict
        A row a policy and layer, then one with the layer ``total``; columns as ``dispatch.csv`` has them.
    same_spikes : bool or None
        Whether all policies gave the same output spikes; None of a trace without weights.
    trace : mapping
        The trace, as in ``results.json``.
    """

    arch: SpikeXOptions
    rows: tuple[Mapping[str, Any], ...]
    same_spikes: bool | None
    trace: Mapping[str, Any]


def policies(names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Keys of policies by name: of all that are registered and :data:`VARIANTS`, or of some.

    Raises
    ------
    ConfigError
        If there is no policy of a name.
    """
    known = {name: {"dispatch": name} for name in plugin_names("dispatch")} | {
        name: dict(keys) for name, keys in VARIANTS.items()
    }
    order = [FIRST, *(name for name in known if name != FIRST)]
    for name in names or ():
        if name not in known:
            raise ConfigError(one_of(name, sorted(known)), field="policies")
    return {name: known[name] for name in (order if names is None else names)}


def study(
    traces: TraceLike | Sequence[TraceLike],
    names: Sequence[str] | None = None,
    arch: ArchLike = "spikex",
    *,
    tws: int | str | Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: str = "fast",
    bound: bool = False,
    best: bool = False,
    progress: Progress = silent,
) -> DispatchStudy:
    """Replay samples with several dispatch policies.

    Parameters
    ----------
    traces : Trace, GraphTrace, path, or sequence of them
        Samples of one network.
    names : sequence of str, optional
        Policies, the first of which others are compared with; by default all.
    arch : str, Path or Accelerator
        A machine with the scheduler ``spikex``.
    tws, overrides, engine
        As of :func:`spikex_sim.simulate`. A key ``dispatch_...`` goes to the policies that read it; those of
        ``arch`` do not hold.
    bound : bool
        Whether to bound streamed taps and cycles of every tile from below.
    best : bool
        Whether to search the optimum of tiles of up to 24 NTWUs.
    progress : callable, optional
        Told about policies and layers.

    Raises
    ------
    SpikexError
        If traces or the configuration are wrong, or OR-Tools is needed and missing.
    """
    chosen = policies(names)
    keys = dict(overrides or {}) | ({} if tws is None else {"tws": tws})
    if "dispatch" in keys:
        raise ConfigError("is what policies differ in; choose some with --policies", field="dispatch")
    common = {key: value for key, value in keys.items() if key not in READ_BY}
    read = {name: _read(own, keys) for name, own in chosen.items()}
    for key in keys.keys() & READ_BY.keys():
        if not any(key in one for one in read.values()):
            raise ConfigError(f"has no effect: none of {', '.join(chosen)} reads it", field=key)
    usual = {key: SpikeXOptions.model_fields[key].default for key in READ_BY}
    machines = {
        name: load_accelerator(arch, {"dispatch": own["dispatch"]} | usual | common | own | read[name])
        for name, own in chosen.items()
    }
    loaded = as_traces(traces)
    rows, spikes, told = list[dict[str, Any]](), set[tuple[str | None, ...]](), dict[str, Any]()
    known: Known = {}
    for done, (name, machine) in enumerate(machines.items()):
        sums: dict[str, _Sum] = {}

        def see(layer: TimedLayer, name: str = name, sums: dict[str, _Sum] = sums, done: int = done) -> None:
            progress(f"{name} {layer.label}", done, len(machines))
            _add(sums.setdefault(layer.label, _Sum()), layer, bound=bound, best=best, known=known)

        result = simulate(loaded, machine, engine=engine, observe=see)
        told = dict(result.trace)
        spikes.add(tuple(layer.output_sha256 for layer in result.layers))
        rows += _rows(name, sums, machine, bound=bound, best=best)
    progress("done", len(machines), len(machines))
    first = next(iter(machines.values()))
    assert isinstance(first, SpikeXOptions)
    same = None if any(None in one for one in spikes) else len(spikes) == 1
    return DispatchStudy(first, tuple(rows), same, told)


def _read(own: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Of keys about policies those that one reads and does not have of its own."""
    policy = own["dispatch"]
    known = policy in (*TAKING, *COMPARING)
    return {
        key: value
        for key, value in keys.items()
        if key in READ_BY and key not in own and (policy in READ_BY[key] or not known)
    }


def _add(found: _Sum, layer: TimedLayer, *, bound: bool, best: bool, known: Known) -> None:
    """Add a layer of a sample."""
    cost, arch = layer.cost, layer.arch
    schedule = cost.schedule
    found.cycles += cost.cycles
    found.energy_pj += cost.energy.total_pj
    if not isinstance(schedule, NtwuSchedule):
        return
    assert isinstance(arch, SpikeXOptions)
    operations, groups = cost.layout.operations, len(schedule.groups.sizes)
    found.mode = schedule.mode if found.mode in ("", schedule.mode) else "both"
    found.batches += operations.batches
    found.streamed_taps += operations.streamed_taps
    found.busy_pe_cycles += operations.pe_cycles
    found.held_bits = max(found.held_bits, schedule.dispatcher.held_bits)
    found.dispatch_cycles += schedule.dispatcher.cycles_per_batch * operations.batches
    found.dispatch_pj += cost.energy.components.get("dispatch", 0.0)
    taps = schedule.surveyed.streamed.sum(axis=1, dtype=np.int64)
    tap_cycles = -(-schedule.tws // arch.accumulators_per_pe)
    cycles = taps * tap_cycles + batch_counts(schedule, arch)[UPDATE_CYCLES]
    found.slot_cycles += groups * int(cycles.sum())
    found.tiles += groups * len(schedule.tiles)
    if not (bound or best):
        return
    for number, tile in enumerate(tiles_of(schedule, arch)):
        batches = slice(schedule.tile_batches[number], schedule.tile_batches[number + 1])
        least = lower_bound(tile)
        found.bound_taps += groups * least.taps
        found.bound_cycles += groups * least.cycles
        if best and 0 < len(tile) <= SMALL:
            mine = {"taps": int(taps[batches].sum()), "cycles": int(cycles[batches].sum())}
            _add_small(found.small, tile, mine, groups, known)


def _add_small(
    found: dict[str, int], tile: TileWork, mine: Mapping[str, int], groups: int, known: Known
) -> None:
    """Add a tile whose optimum is searched."""
    parts = (*tile.sets, tile.position, tile.update, np.array([tile.cols, tile.tap_cycles]))
    key = b"|".join(part.tobytes() for part in parts)
    if key not in known:
        taps, cycles = (optimum(tile, what, mine[what]) for what in ("taps", "cycles"))
        known[key] = None if taps is None or cycles is None else (taps, cycles)
    best = known[key]
    added = {"small_tiles": 1, "unproven_tiles": int(best is None)}
    if best is not None:
        added |= {"small_taps": mine["taps"], "optimum_taps": best[0]}
        added |= {"small_cycles": mine["cycles"], "optimum_cycles": best[1]}
    for name, value in added.items():
        found[name] = found.get(name, 0) + groups * value


def tiles_of(schedule: NtwuSchedule, arch: SpikeXOptions) -> Iterator[TileWork]:
    """Tiles of a schedule as bounds see them; those of all row groups are alike."""
    task = schedule.task
    catchup = arch.leak_catchup_cycles
    update = max(1, task.states) * schedule.tws * arch.update_cycles
    last = np.full(task.positions, -1, np.int64)
    for p0, p1, w0, w1 in schedule.tiles.tolist():
        active = schedule.active[p0:p1, w0:w1]
        position, window = np.nonzero(active)
        first = np.append(True, position[1:] != position[:-1])[: len(position)]
        before = np.where(first, last[position + p0], np.append(-1, window[:-1] + w0)[: len(position)])
        owed = np.where(before >= 0, window + w0 - before - 1, 0)
        entering = 0
        if task.words is not None:
            entering = task.words[position + p0, np.minimum(window + w0, task.words.shape[1] - 1)]
        last[position + p0] = window + w0
        view = TileView(active, p0, w0, task.inputs, schedule.stream)
        yield TileWork(
            tap_sets(view, position, window),
            position,
            update + catchup * owed + entering,
            arch.array.cols,
            -(-schedule.tws // arch.accumulators_per_pe),
        )


def _rows(
    name: str, sums: Mapping[str, _Sum], arch: Any, *, bound: bool, best: bool
) -> Iterator[dict[str, Any]]:
    total = _Sum()
    for one in sums.values():
        for key in vars(one):
            if key not in ("mode", "small", "held_bits"):
                setattr(total, key, getattr(total, key) + getattr(one, key))
        total.held_bits = max(total.held_bits, one.held_bits)
        for key, number in one.small.items():
            total.small[key] = total.small.get(key, 0) + number
    hertz, pes = float(arch.clock_hz), arch.array.rows * arch.array.cols
    for layer, one in (*sums.items(), ("total", total)):
        seconds = one.cycles / hertz
        yield {
            "policy": name,
            "layer": layer,
            "mode": one.mode,
            "batches": one.batches,
            "streamed_taps": one.streamed_taps,
            "slot_cycles": one.slot_cycles,
            "cycles": one.cycles,
            "utilization": one.busy_pe_cycles / (one.cycles * pes) if one.cycles else 0.0,
            "energy_pj": one.energy_pj,
            "seconds": seconds,
            "edp_js": one.energy_pj * 1e-12 * seconds,
            "held_bits": one.held_bits,
            "dispatch_cycles": one.dispatch_cycles,
            "energy_dispatch_pj": one.dispatch_pj,
            "tiles": one.tiles,
            "bound_taps": one.bound_taps if bound else None,
            "bound_cycles": one.bound_cycles if bound else None,
            **{
                key: one.small.get(key, 0) if best else None
                for key in ("small_tiles", "unproven_tiles", "small_taps", "optimum_taps", "small_cycles",
                            "optimum_cycles")
            },
        }  # fmt: skip
