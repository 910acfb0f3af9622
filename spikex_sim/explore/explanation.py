"""What bounds a run, and which keys would help: found by running with each of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from spikex_sim.core.errors import SpikexError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.prefix import ArchLike, TraceLike
from spikex_sim.run.advice import NAMES, Again, Changes, bound_of, moved_again
from spikex_sim.run.results import RunResult, Totals
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.together import AnyTrace, as_traces

BUSY_SHARE = 0.25
"""Share of a run's cycles from which on a port is worth widening."""


@dataclass(frozen=True, repr=False)
class Trial:
    """A run with some keys changed.

    Attributes
    ----------
    changes : mapping of str to value
        Keys and values.
    reason : str
        Why it was tried.
    result : RunResult or None
        What came of it; None where it was refused.
    refused : str
        Why it was refused.
    """

    changes: Changes
    reason: str
    result: RunResult | None = None
    refused: str = ""

    def ratio(self, quantity: str, base: RunResult) -> float:
        """A figure of the totals over that of the run without the changes."""
        assert self.result is not None
        was = getattr(base.totals, quantity)
        return float(getattr(self.result.totals, quantity) / was) if was else 1.0


@dataclass(frozen=True, repr=False)
class Explanation:
    """What a run says of itself, and what was tried.

    Attributes
    ----------
    result : RunResult
        The run.
    again : tuple of Again
        What its buffers take in more than once for want of room.
    trials : tuple of Trial
        Runs with keys changed, those of least EDP first, refused ones last.
    """

    result: RunResult
    again: tuple[Again, ...]
    trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        return f"<Explanation of {self.result!r}: {len(self.again)} moved again, {len(self.trials)} trials>"

    def _repr_html_(self) -> str:
        from spikex_sim.explore.explanation_tables import explanation_html

        return explanation_html(self)


def explain(
    trace: TraceLike | Sequence[TraceLike],
    arch: ArchLike = "spikex",
    *,
    tws: int | str | Sequence[int] | None = None,
    engine: str = "fast",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Run, and run again with each key changed that could help.

    Parameters
    ----------
    trace, arch, tws, engine, overrides, progress
        As of :func:`spikex_sim.simulate`.

    Returns
    -------
    Explanation
        Of the run, with the runs that were tried.
    """
    traces = as_traces(trace)
    result = simulate(traces, arch, tws=tws, engine=engine, overrides=overrides, progress=progress)
    return explanation_of(traces, result, progress=progress)


def explanation_of(
    traces: Sequence[AnyTrace], result: RunResult, *, progress: Progress | None = None
) -> Explanation:
    """Explain a run of some traces; see :func:`explain`."""
    again = moved_again(result, "glb", "lbuf")
    wanted = {tuple(changes.items()): (changes, reason) for changes, reason in candidates(result, again)}
    trials = []
    for number, (changes, reason) in enumerate(wanted.values()):
        (progress or silent)("trying", number, len(wanted))
        try:
            tried = simulate(traces, result.arch, engine=result.engine, overrides=changes)
        except SpikexError as exc:
            trials.append(Trial(changes, reason, refused=str(exc)))
        else:
            trials.append(Trial(changes, reason, tried))
    trials.sort(key=lambda one: one.result.totals.edp_js if one.result else inf)
    return Explanation(result, tuple(again), tuple(trials))


def candidates(result: RunResult, again: Sequence[Again]) -> Iterator[tuple[Changes, str]]:
    """Changes that are worth a try, and why: room, ports, array, window size; of crossbars their own."""
    if isinstance(result.arch, CrossbarOptions):
        if result.arch.imc.model == "events":
            yield from _crossbars(result.arch, result.totals)
        return
    yield from _room(again)
    arch, busy, cycles = result.arch, result.totals.busy, max(1, result.totals.cycles)
    for name in busy:
        wider = _wider(arch, name)
        if wider and busy[name] >= BUSY_SHARE * cycles:
            yield (
                FrozenMap(wider),
                f"{NAMES[name]} is busy for {100 * busy[name] / cycles:.0f} % of the time",
            )
    yield from _array(arch, bound_of(result.totals))
    tws = arch.get("tws", default=0)
    if isinstance(tws, int) and tws:
        for size in (tws // 2, tws * 2):
            if 1 <= size <= result.trace["timesteps"]:
                yield FrozenMap({"tws": size}), "another window size"


def _crossbars(arch: CrossbarOptions, totals: Totals) -> Iterator[tuple[Changes, str]]:
    """More of what the critical path waits for; other orders and mappings, which may wait less."""
    assert totals.imc is not None
    imc, cycles = arch.imc, max(1, totals.cycles)
    stalls = totals.imc["stalls"]
    parts = (
        ("PE cycles", totals.compute_cycles, {"imc.adc.mux": imc.adc.mux // 2} if imc.adc.mux > 1 else {}),
        ("flits", stalls["noc_in"] + stalls["noc_out"], {"imc.ports": 2 * imc.ports}),
        ("LIF units", stalls["lif"], {"imc.lif_units": 2 * imc.lif_units}),
    )
    for name, spent, changes in parts:
        if changes and spent >= BUSY_SHARE * cycles:
            yield FrozenMap(changes), f"{name} take {100 * spent / cycles:.0f} % of the critical path"
    sharing = "crossbar" if imc.adc.sharing == "pe" else "pe"
    yield FrozenMap({"imc.adc.sharing": sharing}), "other converters"
    yield FrozenMap({"imc.mapping": "packed" if imc.mapping == "kernel" else "kernel"}), "other rows"
    dataflow = "tick_batch" if arch.dataflow == "layer" else "layer"
    yield FrozenMap({"dataflow": dataflow}), "another order of time points"


def _room(again: Sequence[Again]) -> Iterator[tuple[Changes, str]]:
    """What holds each tensor that does not fit, in every layer in which it does not."""
    names: dict[tuple[str, str], list[Again]] = {}
    for one in again:
        names.setdefault((one.held.level, one.held.tensor), []).append(one)
    for (level, tensor), found in names.items():
        largest = max(found, key=lambda one: one.held.enough_bits)
        layers = ", ".join(one.layer for one in found)
        for changes in largest.remedies:
            yield changes, f"holds {tensor} of {layers} in the {level.upper()}"


def _wider(arch: Accelerator, resource: str) -> dict[str, float]:
    """Twice the width of a resource; both sides of a link where they are equally wide."""
    memory = arch.memory
    links: dict[str, dict[str, float]] = {
        "dram": {"memory.dram.bandwidth_gb_s": memory.dram.bandwidth_gb_s},
        "glb_dram": {"memory.glb.dram_port_bits": memory.glb.dram_port_bits},
        "glb_array": {"memory.glb.array_port_bits": memory.glb.array_port_bits},
        "lbuf_glb": {"memory.lbuf.port_bits": memory.lbuf.port_bits},
        "lbuf_array": {"memory.lbuf.port_bits": memory.lbuf.port_bits},
    }
    found = {key: 2 * width for key, width in links.get(resource, {}).items()}
    glb, lbuf = memory.glb.array_port_bits, memory.lbuf.port_bits
    if resource in ("glb_array", "lbuf_glb") and lbuf == glb and memory.lbuf.bytes:
        found = {"memory.glb.array_port_bits": 2 * glb, "memory.lbuf.port_bits": 2 * lbuf}
    return found


def _array(arch: Accelerator, bound: str) -> Iterator[tuple[Changes, str]]:
    """A larger array where it bounds the run; else a smaller one, which asks for less at a time."""
    rows, cols = arch.array.rows, arch.array.cols
    if bound == "array":
        yield FrozenMap({"array.rows": 2 * rows}), "the array bounds the run"
        yield FrozenMap({"array.cols": 2 * cols}), "the array bounds the run"
    elif rows > 1 and cols > 1:
        yield (
            FrozenMap({"array.rows": rows // 2, "array.cols": cols // 2}),
            f"{NAMES[bound]} bounds the run, not the array",
        )
