"""Draw what accelerators issue when: an SVG for each in docs/figures, from its own schedule of one layer."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from schedule_blocks import drawing_of
from schedule_cases import MACHINES, PE, PHASES, Drawing, Note

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"

CYCLE, MARGIN = 7.0, 56.0
"""Widths in points: of a cycle, of what stands left of the first one."""
TITLE, STRIP, LABEL, LANE, GAP, AXIS, LEGEND = 18.0, 9.5, 8.5, 6.5, 3.0, 18.0, 18.0
"""Heights in points; a band is a label, its lanes and a gap."""
LONGEST = 104
"""Cycles in a line; longer schedules are continued below."""
FILL = {
    "integrate": "#a6cee3", "update": "#d95f02", "leak": "#fee0a8", "preload": "#d9d9d9", "skew": "#eeeeee",
    "idle": "#ffffff",
}  # fmt: skip
HATCH = {"leak": "/////", "preload": "\\\\\\\\\\"}
SMALL: dict[str, Any] = {"size": 5, "color": "#666666", "va": "center", "ha": "right"}
STYLE: Any = {
    "svg.hashsalt": "spikex_sim", "svg.fonttype": "none", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 6.5, "hatch.linewidth": 0.5, "path.simplify": False,
}  # fmt: skip

Cycles = tuple[int, int]
Corners = list[tuple[float, float]]


def svg_of(drawing: Drawing) -> bytes:
    """Return the drawing as SVG; the same bytes whenever it is drawn with the same matplotlib."""
    lines = lines_of(drawing)
    length = max(stop - start for start, stop in lines)
    line_height = _height(drawing) + AXIS
    total = TITLE + line_height * len(lines) + LEGEND
    used = [phase for phase in PHASES if any(block.phase == phase for block in drawing.blocks)]
    width = max(MARGIN + CYCLE * length + 8, 4 + sum(map(_legend_width, used)) + 120)
    metadata = {
        "Title": f"{drawing.title}, cycle by cycle", "Description": drawing.fingerprint, "Date": None,
    }  # fmt: skip
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / 72, total / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(total, 0)
        axes.axis("off")
        axes.text(4, 9, f"{drawing.title}: {drawing.cycles} cycles", size=8, weight="bold", va="center")
        for index, line in enumerate(lines):
            _draw_line(axes, drawing, line, TITLE + index * line_height)
        _draw_legend(axes, used, total - LEGEND + 6)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata=metadata)
    return out.getvalue()


def lines_of(drawing: Drawing) -> list[Cycles]:
    """Cut a schedule into lines of equally many units."""
    count = -(-drawing.cycles // LONGEST)
    per_line = -(-len(drawing.units) // count)
    starts = [drawing.units[i].start for i in range(0, len(drawing.units), per_line)]
    return list(zip(starts, [*starts[1:], drawing.cycles], strict=True))


def _height(drawing: Drawing) -> float:
    """Height of a line without its axis."""
    return STRIP * (1 + len(drawing.strips)) + sum(LABEL + LANE * len(pes) + GAP for _, pes in drawing.bands)


def _draw_line(axes: Axes, drawing: Drawing, line: Cycles, top: float) -> None:
    """Draw some units of a schedule below each other: strips, bands, axis."""
    first, after = line

    def x(cycle: float) -> float:
        return MARGIN + CYCLE * (cycle - first)

    bottom = top + _height(drawing)
    for edge in [*(note.start for note in _within(drawing.units, line)), after]:
        axes.plot([x(edge)] * 2, [top + 2, bottom], color="#999999", lw=0.4, zorder=0.5)
    y = top
    for name, strip in (("", drawing.units), *drawing.strips):
        axes.text(MARGIN - 3, y + STRIP / 2, name, ha="right", va="center", size=6)
        for note in _within(strip, line):
            left, right = x(note.start), x(note.stop)
            axes.text((left + right) / 2, y + STRIP / 2, note.text, ha="center", va="center")
            if note.stop - note.start > 1:
                axes.plot([left + 0.7, right - 0.7], [y + STRIP - 0.8] * 2, color="black", lw=0.4)
        y += STRIP
    lanes: dict[PE, float] = {}
    for (name, pes), labels in zip(drawing.bands, drawing.labels, strict=True):
        for note in _within(labels, line):
            axes.text(x(note.start) + 1, y + LABEL / 2 + 0.7, note.text, ha="left", va="center")
        axes.text(4, y + LABEL + LANE * len(pes) / 2, name, va="center", size=7)
        axes.text(MARGIN - 3, y + LABEL / 2 + 0.5, drawing.lanes, **SMALL)
        y += LABEL
        for pe in pes:
            lanes[pe] = y
            if drawing.lanes:
                axes.text(MARGIN - 3, y + LANE / 2, str(pe[drawing.lanes == "col"]), **SMALL)
            y += LANE
        y += GAP
    _draw_lanes(axes, drawing, line, lanes)
    axes.plot([x(first), x(after)], [bottom] * 2, color="black", lw=0.5)
    axes.text(4, bottom + 7, "cycle", va="center", size=6)
    for cycle in range(-(-first // 10) * 10, after + 1, 10):
        axes.plot([x(cycle)] * 2, [bottom, bottom + 2.5], color="black", lw=0.5)
        axes.text(x(cycle), bottom + 7, str(cycle), ha="center", va="center", size=6)


def _draw_lanes(axes: Axes, drawing: Drawing, line: Cycles, lanes: dict[PE, float]) -> None:
    """Draw what every PE does in its lane."""
    first, after = line
    left = MARGIN - CYCLE * first
    for phase in reversed(PHASES):
        boxes = [
            _rectangle(left + CYCLE * block.start, lanes[block.pe], CYCLE * (block.stop - block.start), LANE)
            for block in drawing.blocks
            if block.phase == phase and first <= block.start < after
        ]
        if boxes:
            axes.add_patch(PathPatch(_outline(boxes), **_look(phase)))
    hits = [(pe, cycle) for pe, cycle in drawing.hits if first <= cycle < after]
    _mark(axes, [(left + CYCLE * (cycle + 0.5), lanes[pe] + LANE / 2) for pe, cycle in hits])


def _within(notes: Sequence[Note], line: Cycles) -> list[Note]:
    return [note for note in notes if line[0] <= note.start < line[1]]


def _rectangle(x: float, y: float, width: float, height: float) -> Corners:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _outline(shapes: Sequence[Corners]) -> Outline:
    """Join shapes of four corners to one path, which keeps files small."""
    corners = [corner for shape in shapes for corner in (*shape, shape[0])]
    return Outline(corners, [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * len(shapes))


def _look(phase: str) -> dict[str, Any]:
    edge = "#bbbbbb" if phase in ("skew", "idle") else "#333333"
    return {"facecolor": FILL[phase], "edgecolor": edge, "linewidth": 0.4, "hatch": HATCH.get(phase)}


def _mark(axes: Axes, centres: Sequence[tuple[float, float]]) -> None:
    """Mark where non-zero inputs meet weights."""
    size = 2.4
    shapes = [[(x - size, y), (x, y - size), (x + size, y), (x, y + size)] for x, y in centres]
    if shapes:
        axes.add_patch(PathPatch(_outline(shapes), facecolor="black", edgecolor="none", zorder=3))


def _draw_legend(axes: Axes, phases: Sequence[str], top: float) -> None:
    x = 4.0
    for phase in phases:
        axes.add_patch(Rectangle((x, top), 2 * CYCLE, LANE, **_look(phase)))
        axes.text(x + 2 * CYCLE + 3, top + LANE / 2, phase, va="center")
        x += _legend_width(phase)
    _mark(axes, [(x + 3, top + LANE / 2)])
    axes.text(x + 8, top + LANE / 2, "a non-zero input meets its weight", va="center")


def _legend_width(phase: str) -> float:
    return 2 * CYCLE + 12 + 3.6 * len(phase)


def write_drawings(drawn: Mapping[Path, bytes], script: str, about: str | None) -> None:
    """Write drawings, or with ``--check`` only say which are out of date."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for path, wanted in drawn.items():
        if path.is_file() and path.read_bytes() == wanted:
            print(f"{path.name} is up to date")
        elif arguments.check:
            raise SystemExit(f"{path.name} is out of date: python scripts/{script}.py")
        else:
            path.write_bytes(wanted)
            print(f"drew {path.name}")


if __name__ == "__main__":
    drawings = {FOLDER / f"{name}.svg": svg_of(drawing_of(name)) for name in MACHINES}
    write_drawings(drawings, "make_schedule_drawings", __doc__)
