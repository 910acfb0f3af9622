"""The network of a run on a page: boxes from top to bottom, lines with what they carry, costs as colour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from spikex_sim.core.errors import ResultsError
from spikex_sim.core.text import counted
from spikex_sim.core.units import joules, sides, with_prefix
from spikex_sim.plots.graphs import COLORS, LANE, LINES, MAX_BOXES, far_sources, lanes_of, places_of
from spikex_sim.report.escaping import escaped, short
from spikex_sim.report.section import Section
from spikex_sim.run.saved import FILE, SavedResults, load_results

WIDTH, ROW, HALF, STRIPE = 720.0, 84.0, 24.0, 5.0
"""Of the drawing without lanes, of a row, half of a box's height, of the stripe of its kind; pixels."""
LETTER = 7.2
"""Width of a letter, pixels."""
DARKEST = 0.6
"""Opacity of the colour of a layer with all of the run's costs."""
KINDS = COLORS | {"conv": COLORS["neurons"], "linear": COLORS["neurons"]}
MEASURES = {"energy_pj": "energy", "cycles": "cycles"}
LONGEST_SHAPE, MOST_SOURCES = 3, 64


@dataclass(frozen=True)
class Node:
    """A part of the network.

    Attributes
    ----------
    row : mapping
        What :mod:`spikex_sim.plots.graphs` places: ``name`` (here a number as text), ``sources``, ``depth``.
    name, kind, carries : str
        As in the results.
    shape : tuple of int
        Of what it gives.
    returns : bool
        Whether it takes its own outputs.
    layer : mapping or None
        Its entry in the results; None of inputs.
    """

    row: Mapping[str, Any]
    name: str
    kind: str
    carries: str
    shape: tuple[int, ...]
    returns: bool
    layer: Mapping[str, Any] | None


def network_section(folder: Path) -> Section | None:
    """The network of a run as part of a report.

    Parameters
    ----------
    folder : Path
        Of a run.

    Returns
    -------
    Section or None
        None where the folder has no results, or they do not say how the layers are connected: those of
        earlier versions do not.

    Raises
    ------
    ResultsError
        If ``results.json`` is not what a run writes.
    """
    file = folder / FILE
    if not file.exists():
        return None
    results = load_results(file)
    given = results.trace.get("nodes")
    if given is None:
        return None
    nodes = _nodes(given, results, str(file))
    if len(nodes) > MAX_BOXES:
        text = f"<p>{counted(len(nodes), 'node')}, more than the {MAX_BOXES} that are drawn.</p>"
        return Section("network", "Network", text)
    return Section("network", "Network", _html(nodes, results), {}, "network")


def _nodes(given: Any, results: SavedResults, where: str) -> list[Node]:
    """Check what the results say of the network, and find each layer's costs."""
    layers: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in reversed(results.layers):
        layers[one.name].append(one)
    nodes: list[Node] = []
    if not isinstance(given, Sequence) or not given:
        _refuse(where, "")
    for place, described in enumerate(given):
        at = f".{place}"
        if not isinstance(described, Mapping):
            _refuse(where, at)
        shape, sources = described.get("shape"), described.get("sources")
        name, kind, carries = (described.get(key) for key in ("name", "kind", "carries"))
        if not (isinstance(name, str) and isinstance(kind, str) and isinstance(carries, str)):
            _refuse(where, at)
        if not (_are_counts(shape, LONGEST_SHAPE, 1 << 31) and shape):
            _refuse(where, f"{at}.shape")
        if not _are_counts(sources, MOST_SOURCES, place):
            _refuse(where, f"{at}.sources")
        others = sorted({source for source in sources if source != place})
        depth = max((nodes[source].row["depth"] + 1 for source in others), default=0)
        row = {"name": str(place), "sources": [str(source) for source in others], "depth": depth}
        layer = layers[name].pop() if kind != "input" and layers[name] else None
        nodes.append(Node(row, name, kind, carries, tuple(shape), place in sources, layer))
    return nodes


def _are_counts(value: Any, longest: int, most: int) -> TypeGuard[Sequence[int]]:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) <= longest
        and all(type(one) is int and 0 <= one <= most for one in value)
    )


def _refuse(where: str, at: str) -> NoReturn:
    raise ResultsError(
        "is not what a run writes; the file is damaged: run it again", where=where, field=f"trace.nodes{at}"
    )


def _html(nodes: Sequence[Node], results: SavedResults) -> str:
    options = "".join(f'<option value="{key}">{name}</option>' for key, name in MEASURES.items())
    legend = "".join(
        f'<li><span style="background:{KINDS[kind]}"></span>{escaped(kind)}</li>'
        for kind in dict.fromkeys(node.kind for node in nodes)
        if kind in KINDS
    )
    return (
        f"<p>{counted(len(nodes), 'node')}, in the order in which they are computed. A line that is pointed "
        "at says what it carries in one sample.</p>"
        '<div class="network-bar"><label>Darker: more of the run’s '
        f'<select class="network-measure">{options}</select></label>'
        f'<ul class="network-legend">{legend}</ul></div>'
        f'<div class="network-scroll">{_drawing(nodes, results)}</div>'
        '<p class="network-said" aria-live="polite">Point at a box, or move to it with Tab, to see what it '
        "costs.</p>"
    )


def _drawing(nodes: Sequence[Node], results: SavedResults) -> str:
    rows = [node.row for node in nodes]
    places = places_of(rows)
    lanes = lanes_of(rows, places)
    width = WIDTH * (1 + LANE * (2 + max(lanes.values(), default=-1)))
    height = ROW * (1 + max(row["depth"] for row in rows))
    is_ann = results.content["config"].get("activation_bits") is not None
    lines = "".join(_lines(nodes, places, lanes, 0 if is_ann else results.trace["timesteps"]))
    boxes = "".join(_box(node, places[node.row["name"]], results) for node in nodes)
    return (
        f'<svg class="network-drawing" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="group" aria-label="Network of {counted(len(nodes), "node")}">'
        f"{lines}{boxes}</svg>"
    )


def _middle(depth: float) -> float:
    return ROW * (depth + 0.5)


def _lines(
    nodes: Sequence[Node],
    places: Mapping[str, tuple[float, float, float]],
    lanes: Mapping[str, int],
    timesteps: int,
) -> Iterator[str]:
    """Lines to the row below, and beside the boxes to those further down."""
    for node in nodes:
        x, depth, half = places[node.row["name"]]
        far = set(far_sources(node.row, places))
        for source in node.row["sources"]:
            from_x, from_depth, from_half = places[source]
            carried = _carried(nodes[int(source)], timesteps)
            title = f"<title>{escaped(nodes[int(source)].name)} to {escaped(node.name)}: {carried}</title>"
            top, bottom = _middle(from_depth) + HALF, _middle(depth) - HALF
            if source in far:
                lane = lanes[source]
                beside, shift = WIDTH * (1 + LANE * (lane + 0.7)), 2.5 * (lane % 4)
                leaves, enters = top + 6 + shift, bottom - 8 - shift
                out = WIDTH * (from_x + 0.6 * from_half)
                into = WIDTH * (x + half * (0.25 + 0.65 * (lane % 6) / 6))
                path = f"M{out:.1f} {top:.1f}V{leaves:.1f}H{beside:.1f}V{enters:.1f}H{into:.1f}V{bottom:.1f}"
                path += _tip(into, bottom)
                yield _path(path, title, LINES[lane % len(LINES)])
                continue
            path = f"M{WIDTH * from_x:.1f} {top:.1f}L{WIDTH * x:.1f} {bottom:.1f}" + _tip(WIDTH * x, bottom)
            yield _path(path, title, "")
            if from_x == x:  # below each other: there is room to say it
                label_x, label_y = WIDTH * x + 8, (top + bottom) / 2 + 4
                yield f'<text class="network-size" x="{label_x:.1f}" y="{label_y:.1f}">{carried}</text>'


def _path(path: str, title: str, color: str) -> str:
    style = f' style="stroke:{color}"' if color and color != "#000000" else ""
    return f'<path class="network-line" d="{path}"{style}>{title}</path>'


def _tip(x: float, y: float) -> str:
    return f"M{x - 3:.1f} {y - 6:.1f}L{x:.1f} {y:.1f}L{x + 3:.1f} {y - 6:.1f}"


def _carried(node: Node, timesteps: int) -> str:
    """Shape of what a node gives, and its size if that is a bit a time point; in an ANN there are none."""
    if node.carries != "spikes" or not timesteps:
        return f"{sides(node.shape)} {escaped(node.carries if timesteps else 'activations')}"
    return f"{sides(node.shape)} spikes, {with_prefix(prod(node.shape) * timesteps, 'bit')}"


def _box(node: Node, place: tuple[float, float, float], results: SavedResults) -> str:
    x, depth, half = WIDTH * place[0], place[1], WIDTH * place[2]
    left, top, letters = x - half, _middle(depth) - HALF, max(int((2 * half - 14) / LETTER), 2)
    shares = {key: _share(node, results, key) for key in MEASURES}
    about = "; ".join(_about(node, shares))
    loop = (
        f'<path class="network-line" d="M{left:.1f} {top + 36:.1f}'
        f"C{left - 26:.1f} {top + 40:.1f} {left - 26:.1f} {top + 8:.1f} {left:.1f} {top + 12:.1f}"
        f'M{left - 6:.1f} {top + 9:.1f}L{left:.1f} {top + 12:.1f}L{left - 5:.1f} {top + 16:.1f}">'
        "<title>takes its own outputs</title></path>"
        if node.returns
        else ""
    )
    data = "".join(f' data-{key.replace("_", "-")}="{share:.6f}"' for key, share in shares.items())
    second = f"{sides(node.shape)}{_costs(node, shares)}"
    return (
        f'{loop}<g class="network-box" tabindex="0" role="img" aria-label="{escaped(about)}"{data}>'
        f"<title>{escaped(about)}</title>"
        f'<rect class="network-ground" x="{left:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
        f'height="{2 * HALF:.1f}" rx="4"/>'
        f'<rect class="network-cost" x="{left:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
        f'height="{2 * HALF:.1f}" rx="4" fill-opacity="{DARKEST * shares["energy_pj"]:.4f}"/>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{STRIPE:.0f}" height="{2 * HALF:.1f}" rx="2" '
        f'fill="{KINDS.get(node.kind, "#999999")}"/>'
        f'<text x="{x + 2:.1f}" y="{top + 20:.1f}">{escaped(short(node.name, letters))}</text>'
        f'<text class="network-size" x="{x + 2:.1f}" y="{top + 37:.1f}">{escaped(short(second, letters + 2))}'
        "</text></g>"
    )


def _share(node: Node, results: SavedResults, key: str) -> float:
    whole = results.totals[key]
    return node.layer[key] / whole if node.layer is not None and whole else 0.0


def _costs(node: Node, shares: Mapping[str, float]) -> str:
    if node.layer is None or not any(shares.values()):
        return ""
    return f" · {100 * shares['energy_pj']:.1f} % energy, {100 * shares['cycles']:.1f} % cycles"


def _about(node: Node, shares: Mapping[str, float]) -> Iterator[str]:
    yield f"{node.name}, {node.kind}, gives {sides(node.shape)}"
    if node.layer is not None:
        energy, cycles = (f"{100 * shares[key]:.1f} %" for key in MEASURES)
        yield f"{joules(node.layer['energy_pj'])} ({energy} of the run)"
        yield f"{node.layer['cycles']:,} cycles ({cycles})"
        for key in ("input_spikes", "output_spikes"):
            if node.layer[key] is not None:
                yield f"{counted(node.layer[key], key.replace('_', ' ').removesuffix('s'))}"
    if node.returns:
        yield "takes its own outputs"
