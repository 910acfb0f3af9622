"""The timeline of a run on a page: what every part of the machine did when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ResultsError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.text import counted, harmless
from spikex_sim.core.units import with_prefix
from spikex_sim.plots.crossbars import PATH
from spikex_sim.plots.layers import STALLS
from spikex_sim.report.columns import Ints, Texts, differences, packed
from spikex_sim.report.escaping import escaped, short
from spikex_sim.report.section import Section
from spikex_sim.report.slices import Timeline, Track, read_timeline
from spikex_sim.timing.engine import CAUSES

FILE = "timeline.json"
LONGEST_NAME = 80
"""Characters of a layer's or track's name."""
IN, OUT, HELD, RECURRENCE = "#009E73", "#CC79A7", "#B0A990", "#7A5195"
COLORS = {
    "layer": "#9CCBE8",
    "fetch": IN,
    "load": IN,
    "fill": IN,
    "write": OUT,
    "store": OUT,
    "hold": HELD,
    "spikes_in": PATH["imc_noc_in_cycles"].color,
    "sums_out": PATH["imc_noc_out_cycles"].color,
    "update": PATH["imc_lif_cycles"].color,
    "stall recurrence": RECURRENCE,
    **{f"stall {cause}": STALLS[key].color for cause in CAUSES if (key := f"stall_{cause}_cycles") in STALLS},
}
"""Colours of what happens, stalls as in the figure of stalls; what is not here computes, and is grey."""
_KEYS = (
    ("+ −, wheel, pinch", "zoom; the wheel once the timeline is clicked, or with Ctrl"),
    ("← →, drag", "move"),
    ("↑ ↓", "choose a track"),
    (", .", "slice before, slice after"),
    ("Home", "the whole run"),
)


def timeline_section(folder: Path, progress: Progress = silent) -> Section | None:
    """The timeline of a run as part of a report.

    Parameters
    ----------
    folder : Path
        Of a run.
    progress : callable, optional
        Told how much of it is read.

    Returns
    -------
    Section or None
        None where the folder has no ``timeline.json``.

    Raises
    ------
    ResultsError
        If ``timeline.json`` is not what a run writes.
    """
    file = folder / FILE
    if not file.exists():
        return None
    timeline = read_timeline(file, progress)
    clock = _clock(timeline, str(file))
    return Section("timeline", "Timeline", _html(timeline, clock), _data(timeline, clock), "timeline")


def _data(timeline: Timeline, clock: float) -> dict[str, Any]:
    """What the page draws; numbers of slices are packed, in the order in which the script takes them."""
    texts = Texts.of([harmless(place) for _, place in timeline.labels])
    return {
        "clockHz": clock,
        "cycles": _cycles(timeline),
        "kinds": [{"name": harmless(kind), "color": COLORS.get(kind)} for kind in timeline.kinds],
        "layers": [_named(name) for name in timeline.layers],
        "templates": list(texts.templates),
        "labels": len(timeline.labels),
        "tracks": [
            {"name": _named(track.name), "slices": len(track.start), "bits": bool((track.bits >= 0).any())}
            for track in timeline.tracks
        ],
        "packed": packed(_columns(timeline, texts)),
    }


def _named(name: str) -> str:
    return short(harmless(name), LONGEST_NAME)


def _clock(timeline: Timeline, where: str) -> float:
    found = timeline.about.get("clock_hz")
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 1e18:
        raise ResultsError("must be a frequency; run it again", where=where, field="otherData.clock_hz")
    return float(found)


def _cycles(timeline: Timeline) -> int:
    return max(int(track.end[-1]) for track in timeline.tracks)


def _columns(timeline: Timeline, texts: Texts) -> Iterator[Ints]:
    yield differences(np.array([layer for layer, _ in timeline.labels], np.int64))
    yield from texts.columns()
    for track in timeline.tracks:
        yield track.start - np.concatenate([[0], track.end[:-1]])
        yield track.end - track.start
        yield track.kind
        yield differences(track.label)
        if (track.bits >= 0).any():
            yield track.bits + 1


def _html(timeline: Timeline, clock: float) -> str:
    """Text beside the drawing: what can be said of each track without it."""
    cycles = _cycles(timeline)
    slices = sum(len(track.start) for track in timeline.tracks)
    rows = "".join(_row(timeline, track, cycles) for track in timeline.tracks)
    keys = "".join(f"<dt>{escaped(key)}</dt><dd>{escaped(does)}</dd>" for key, does in _KEYS)
    return (
        f"<p>{counted(slices, 'slice')} in {counted(cycles, 'cycle')}, {with_prefix(cycles / clock, 's')}. "
        "Where slices are narrower than a pixel, heights are shares of the time.</p>"
        '<div class="timeline-view"></div>'
        '<details class="timeline-help"><summary>Keys</summary>'
        f'<dl class="timeline-keys">{keys}</dl></details>'
        "<details><summary>Tracks as a table</summary><table><thead><tr><th>track</th>"
        '<th class="n">slices</th><th>cycles</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _row(timeline: Timeline, track: Track, cycles: int) -> str:
    spent = np.bincount(track.kind, track.end - track.start, len(timeline.kinds))
    parts = ", ".join(_spent(timeline.kinds[kind], spent[kind], cycles) for kind in spent.nonzero()[0])
    return (
        f"<tr><th scope='row'>{escaped(_named(track.name))}</th>"
        f'<td class="n">{len(track.start):,}</td><td>{parts}</td></tr>'
    )


def _spent(kind: str, cycles: float, whole: int) -> str:
    return f"{escaped(kind)} {int(cycles):,} ({100 * cycles / whole:.1f} %)"
