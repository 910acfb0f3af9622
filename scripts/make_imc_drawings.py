"""Draw how a layer lies on crossbars, and when two of them work: SVGs in docs/figures, by the simulator."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from make_schedule_drawings import FOLDER, STYLE, write_drawings
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from spikex_sim.core.geometry import Geometry
from spikex_sim.run.crossbar import TimedChipLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.crossbar.mapping import LayerMapping, Mesh, mesh_of
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.spec.load import load_accelerator
from spikex_sim.timing.crossbar import ACTIVITIES
from spikex_sim.trace.trace import Trace

COLORS = ("#a6cee3", "#fdbf6f", "#b2df8a", "#cab2d6")
GREY = "#e6e6e6"

# --- Mapping ---------------------------------------------------------------------------------------

LAYERS = {"first": (96, 80), "second": (80, 10)}
"""Input and output channels of two 3x3 convolutions."""
PES_PER_TILE = 4


def mesh_of_layers() -> Mesh:
    """Return where the layers of the drawing lie."""
    arch = load_accelerator("spikesim", {"imc.pes_per_tile": PES_PER_TILE})
    assert isinstance(arch, CrossbarOptions)
    sizes = {name: Geometry(taken, 8, 8, 3, 3, 1, 1, 1, 1, 8, 8) for name, (taken, _) in LAYERS.items()}
    return mesh_of([LayerMapping.of(name, sizes[name], LAYERS[name][1], arch) for name in LAYERS], arch)


class Box(NamedTuple):
    """A rectangle with text in it."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    color: str


def _mapping_boxes(mesh: Mesh) -> list[Box]:
    """Blocks and PEs of the first layer, tiles of both."""
    layer = mesh.layers[0]
    found = [
        Box(14 + 22 * (b % 9), 46 + 30 * (b // 9), 20, 20, (str(b),), COLORS[row])
        for b, row in enumerate(layer.row_of_block.tolist())
    ]
    first, last = np.cumsum(layer.group_sizes) - layer.group_sizes, np.cumsum(layer.group_sizes) - 1
    for row in range(layer.pe_rows):
        blocks = np.flatnonzero(layer.row_of_block == row)
        for group in range(layer.column_groups):
            number = group * layer.pe_rows + row
            lines = (
                f"PE {number}",
                f"blocks {blocks[0]}-{blocks[-1]}",
                f"outputs {first[group]}-{last[group]}",
                f"tile {number // layer.pes_per_tile}",
            )
            found.append(Box(236 + 62 * group, 36 + 44 * row, 58, 40, lines, COLORS[row]))
    pes = [
        (name, n, one.pes) for name, one in zip(LAYERS, mesh.layers, strict=True) for n in range(one.tiles)
    ]
    hops = np.concatenate(mesh.hops()).tolist()
    for tile, ((name, n, count), place) in enumerate(zip(pes, mesh.places.tolist(), strict=True)):
        held = range(n * PES_PER_TILE, min(count, (n + 1) * PES_PER_TILE))
        told = (f"tile {tile}, {name} layer", f"PEs {held[0]}-{held[-1]}", f"{hops[tile]} hops")
        found.append(_node(place, told, GREY))
    return [*found, _node(mesh.node, ("global node",), "#ffffff")]


def _node(place: Any, lines: tuple[str, ...], color: str) -> Box:
    return Box(446 + 86 * place[1], 36 + 44 * place[0], 78, 36, lines, color)


def _draw_mapping(axes: Axes, mesh: Mesh) -> None:
    layer = mesh.layers[0]
    for x, title in (
        (14, f"{layer.blocks} blocks: 64 or fewer rows of a crossbar"),
        (236, f"{layer.pe_rows} PE rows x {layer.column_groups} column groups"),
        (446, f"mesh of {mesh.side} x {mesh.side} nodes"),
    ):
        axes.text(x, 14, title, weight="bold", size=7)
    axes.text(14, 26, "a block for each kernel position and 64 channels", size=6)
    axes.text(236, 26, f"a PE holds {layer.crossbars_per_pe} crossbars, these {layer.width} outputs", size=6)
    axes.text(446, 26, f"a tile holds {layer.pes_per_tile} PEs of one layer", size=6)
    for group, (first, last) in enumerate(((0, 63), (64, LAYERS["first"][0] - 1))):
        axes.text(14, 43 + 30 * group, f"input channels {first}-{last}", size=6)
    for box in _mapping_boxes(mesh):
        axes.add_patch(
            Rectangle(box[:2], box.width, box.height, facecolor=box.color, edgecolor="#333333", lw=0.5)
        )
        step = min(9.0, box.height / len(box.lines))
        top = box.y + box.height / 2 - step * (len(box.lines) - 1) / 2
        for line, text in enumerate(box.lines):
            axes.text(box.x + box.width / 2, top + step * line, text, ha="center", va="center", size=6)


# --- Time ------------------------------------------------------------------------------------------

KEYS = {"imc.ports": 1, "imc.lif_units": 2, "imc.crossbar": 16, "imc.crossbars_per_pe": 4}
TIMESTEPS, PIXELS = 3, 620.0
"""Time points, and the width of all cycles in points."""
SHOWN = {"spikes_in": "spikes in", "compute": "compute", "sums_out": "sums out", "update": "LIF"}


class Activity(NamedTuple):
    """An activity of an output row at a time point."""

    layer: str
    activity: int
    text: str
    start: int
    end: int


def two_layers() -> Trace:
    """Return the network of the drawing."""
    neuron = {"threshold": 1, "leak_shift": 2}
    shapes = (("conv1", 1, 8, 5, 3), ("conv2", 8, 8, 3, 2))
    layers = [
        {"name": name, "kind": "conv", "in_channels": taken, "out_channels": given, "kernel": kernel,
         "in_height": side, "in_width": side, "neuron": neuron}
        for name, taken, given, side, kernel in shapes
    ]  # fmt: skip
    weights = [np.ones((given, taken, kernel, kernel), np.int8) for _, taken, given, _, kernel in shapes]
    spikes = np.ones((1, 5, 5, TIMESTEPS), bool)
    spikes[0, 2, 2, 1] = False  # an input that changes is not direct
    return Trace.from_arrays(layers, spikes, weights=weights, name="two layers")


def activities() -> tuple[list[Activity], dict[str, int]]:
    """Return what the simulator does when, and what each layer has of the critical path."""
    seen: list[Any] = []
    result = simulate(two_layers(), "spikesim", overrides=KEYS, observe=seen.append)
    found = []
    for timed in seen:
        assert isinstance(timed, TimedChipLayer)
        rows = timed.cost.layout.units.compute.shape[1]
        for activity in range(len(ACTIVITIES)):
            ends, spent = timed.ends[activity].tolist(), timed.durations[activity].tolist()
            found += [
                Activity(timed.name, activity, f"t{unit // rows} y{unit % rows}", end - length, end)
                for unit, (end, length) in enumerate(zip(ends, spent, strict=True))
                if length
            ]
    return found, {layer.name: layer.cycles for layer in result.layers}


def _draw_time(axes: Axes, drawn: tuple[list[Activity], dict[str, int]]) -> None:
    found, shares = drawn
    cycles, names = max(one.end for one in found), list(shares)
    scale = PIXELS / cycles
    axes.text(4, 10, f"{cycles} cycles", size=8, weight="bold", va="center")
    for n, name in enumerate(names):
        top = 22 + 74 * n
        axes.text(4, top + 4, f"{name}: {shares[name]} cycles of the critical path", size=7, va="center")
        for activity, key in enumerate(ACTIVITIES):
            axes.text(4, top + 19 + 14 * activity, SHOWN[key], size=6, va="center")
    for one in found:
        x, y = 60 + scale * one.start, 34 + 74 * names.index(one.layer) + 14 * one.activity
        width = scale * (one.end - one.start)
        axes.add_patch(
            Rectangle((x, y), width, 12, facecolor=COLORS[one.activity], edgecolor="#333333", lw=0.4)
        )
        if width > 20:
            axes.text(x + width / 2, y + 6, one.text, size=5, ha="center", va="center")
    bottom = 20 + 74 * len(names)
    axes.plot([60, 60 + PIXELS], [bottom] * 2, color="black", lw=0.5)
    for cycle in range(0, cycles + 1, 50):
        axes.plot([60 + scale * cycle] * 2, [bottom, bottom + 3], color="black", lw=0.5)
        axes.text(60 + scale * cycle, bottom + 9, str(cycle), size=6, ha="center", va="center")
    axes.text(4, bottom + 9, "cycle", size=6, va="center")


# --- Files -----------------------------------------------------------------------------------------


class Made(NamedTuple):
    """A drawing: what it shows, its size in points, and how it is drawn."""

    content: Any
    width: float
    height: float
    draw: Callable[[Axes, Any], None]
    title: str

    @property
    def fingerprint(self) -> str:
        """Hash of everything that is drawn."""
        shown = _mapping_boxes(self.content) if isinstance(self.content, Mesh) else self.content
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def drawing_of(name: str) -> Made:
    """Return one of :data:`NAMES`."""
    if name == "imc-mapping":
        return Made(
            mesh_of_layers(), 628, 132, _draw_mapping, "A 3x3 convolution of 96 to 80 channels on crossbars"
        )
    return Made(activities(), 700, 190, _draw_time, "Two layers on crossbars, activity by activity")


NAMES = ("imc-mapping", "imc-time")


def svg_of(made: Made) -> bytes:
    """Return a drawing as SVG; the same bytes whenever it is drawn with the same matplotlib."""
    metadata: dict[str, Any] = {"Title": made.title, "Description": made.fingerprint, "Date": None}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(made.width / 72, made.height / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, made.width)
        axes.set_ylim(made.height, 0)
        axes.axis("off")
        made.draw(axes, made.content)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata=metadata)
    return out.getvalue()


def path_of(name: str) -> Path:
    """File of a drawing."""
    return FOLDER / f"{name}.svg"


if __name__ == "__main__":
    write_drawings({path_of(name): svg_of(drawing_of(name)) for name in NAMES}, "make_imc_drawings", __doc__)
