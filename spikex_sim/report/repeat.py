"""Commands that repeat what a report shows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from spikex_sim.core.errors import SpikexError
from spikex_sim.data import default_trace_path
from spikex_sim.plots.table import Rows, finished
from spikex_sim.run.saved import SavedResults
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import describe_keys, load_accelerator, preset_names
from spikex_sim.trace.store import file_sha256

TRACE = "TRACE"
"""In the place of a trace's file, which results do not name."""
FAR_KEYS = 12
"""Most keys that are set on the command line; of more, a file is wanted."""


def command_of_run(results: SavedResults) -> tuple[str, str]:
    """Command that repeats a run, and what is to be put into it.

    Returns
    -------
    command, remark : str
        The remark says what ``TRACE`` stands for, or why there is no command: configurations that no preset
        and a few keys give need the file of the configuration.
    """
    trace, remark = trace_words(str(results.trace["sha256"]), str(results.trace["name"]))
    engine = [] if results.engine == "fast" else ["--engine", results.engine]
    try:
        arch = results.arch
    except SpikexError as exc:
        return "", f"the configuration cannot be read: {exc}"
    found = settings_of(arch)
    if found is None:
        remark = "; ".join(filter(None, (remark, "arch.yaml: the configuration as it stands above")))
        return shlex.join(["spikex-sim", "run", *trace, "--arch", "arch.yaml", *engine]), remark
    preset, changed = found
    return shlex.join(["spikex-sim", "run", *trace, "--arch", preset, *set_words(changed), *engine]), remark


def trace_words(sha256: str, name: str) -> tuple[list[str], str]:
    """Argument of a trace, and what is to be put in its place; neither for the packaged trace."""
    if sha256 == file_sha256(default_trace_path()):
        return [], ""
    return [TRACE], f"{TRACE}: the file of {name}, SHA-256 {sha256}"


def settings_of(arch: Accelerator) -> tuple[str, dict[str, str]] | None:
    """Preset and keys that give a configuration, but for its name; None if they are many."""
    wanted = dict(_values(arch))
    best: tuple[str, dict[str, str]] | None = None
    for preset in sorted(preset_names(), key=lambda name: name != arch.name):
        start = load_accelerator(preset)
        if type(start) is not type(arch):
            continue
        usual = dict(_values(start))
        changed = {key: value for key, value in wanted.items() if usual.get(key) != value}
        if len(changed) <= FAR_KEYS and (best is None or len(changed) < len(best[1])):
            best = preset, {key: json.dumps(value) for key, value in changed.items()}
    if best is None:
        return None
    try:  # keys without effect, for one, cannot be set
        again = load_accelerator(best[0], {key: json.loads(value) for key, value in best[1].items()})
    except SpikexError:
        return None
    return best if dict(_values(again)) == wanted else None


def set_words(changed: Mapping[str, str]) -> list[str]:
    """Options that set keys."""
    return [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]


def _values(arch: Accelerator) -> Iterator[tuple[str, Any]]:
    plain = arch.model_dump(mode="json")
    for key, _, _ in describe_keys(arch):
        value: Any = plain
        for part in key.split("."):
            value = value[part]
        if key != "name":
            yield key, value


def command_of_sweep(rows: Rows, keys: Sequence[str]) -> tuple[str, str]:
    """Command that repeats a sweep, if its points are a whole grid; and what it leaves open.

    Parameters
    ----------
    rows : sequence of dict
        Rows of ``sweep.csv``.
    keys : sequence of str
        Columns that were swept.
    """
    axes = {key: list(dict.fromkeys(_text(row.get(key)) for row in rows)) for key in keys}
    archs = list(dict.fromkeys(str(row["arch"]) for row in rows))
    traces = list(dict.fromkeys(str(row.get("trace_sha256") or row["trace"]) for row in rows))
    if prod(map(len, axes.values())) * len(archs) * len(traces) != len(rows):
        return "", "the points are no grid: sweep --spec"
    names = {str(row.get("trace_sha256") or row["trace"]): str(row["trace"]) for row in rows}
    ready = [trace_words(one, names[one]) for one in traces]
    words = ["spikex-sim", "sweep", *(word for found, _ in ready for word in found)]
    words += ["--arch", ",".join(archs)]
    words += [word for key, values in axes.items() for word in ("--grid", f"{key}={','.join(values)}")]
    engines = {str(row["engine"]) for row in finished(rows) if row.get("engine")}
    if len(engines) == 1 and engines != {"fast"}:
        words += ["--engine", *engines]
    remarks = [remark for _, remark in ready if remark]
    remarks.append("and what was set for all points (--set), which the table does not say")
    return shlex.join(words), "; ".join(remarks)


def _text(value: Any) -> str:
    return str(value) if not isinstance(value, Mapping) else json.dumps(value)
