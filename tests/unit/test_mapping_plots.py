"""Figures of mappings show what the mapping is, and a folder of one permits them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_plots as rows
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from spikex_sim import plots
from spikex_sim.core.errors import ConfigError, FigureError
from spikex_sim.explore.mapping.documents import save_graph
from spikex_sim.explore.mapping.search import Mapped
from spikex_sim.mapped.graph import NeuronGraph
from spikex_sim.mapped.homes import Homes
from spikex_sim.plots import mapper_drawings, mapper_rows
from spikex_sim.plots.folder import drawings_of
from spikex_sim.plots.style import FILLS

NETWORK = sx.load_network("gen:nodes=40,edges=110,fanin=11,gini_in=.5,gini_out=.5")
EDGES = [
    (k + 36 if k < 4 else k - 4, i % 36)
    for k, i in zip(NETWORK.source.tolist(), NETWORK.target.tolist(), strict=True)
]
GRAPH = NeuronGraph.of("profiled", 36, 4, EDGES, [(7 * k) % 11 for k in range(40)])


@pytest.fixture(scope="module")
def mapped() -> Mapped:
    return sx.map_network(GRAPH, "table2", objective="routes", steps=3000, restarts=2, mesh="auto")


@pytest.fixture(scope="module")
def homes(mapped: Mapped) -> Homes:
    return Homes.of(mapped.saved, GRAPH)


# --- rows of a mapping -----------------------------------------------------------------------------


def test_steps_are_the_histories_of_the_stages(mapped: Mapped) -> None:
    found = mapper_rows.step_rows(mapped.saved)
    for stage in mapped.stages:
        for run, history in enumerate(stage.history, 1):
            mine = [row for row in found if (row["stage"], row["run"]) == (stage.objective, run)]
            assert [row["value"] for row in mine] == list(history)
            assert mine[0]["steps"] == 0 and mine[-1]["steps"] == stage.steps == 3000
            assert np.ptp(np.diff([row["steps"] for row in mine])) < 1e-6
            assert {row["bound"] for row in mine} == {stage.bound}
    assert len({(row["stage"], row["run"]) for row in found}) == 3
    assert min(row["value"] for row in found if row["stage"] == "area") >= mapped.stages[0].value


def test_types_add_up_to_the_mapping(mapped: Mapped) -> None:
    found = mapper_rows.type_rows(mapped.saved)
    assert sum(row["area"] for row in found) == mapped.area
    assert sum(row["crossbars"] for row in found) == len(mapped.crossbars)
    assert {row["type"]: row["crossbars"] for row in found} == mapped.metrics["by_type"]


def test_boxes_hold_what_the_crossbars_use(mapped: Mapped, homes: Homes) -> None:
    found = mapper_rows.crossbar_rows(homes, mapped.saved)
    for row, one in zip(found, mapped.crossbars, strict=True):
        taken = {k for k, i in zip(GRAPH.source, GRAPH.target, strict=True) if i in one["neurons"]}
        assert (row["type"], row["neurons"], row["axons"]) == (one["type"], len(one["neurons"]), len(taken))
        assert f"{row['inputs']}x{row['outputs']}" == one["type"]


def test_links_carry_the_packets_of_the_placement(mapped: Mapped, homes: Homes) -> None:
    placement = mapped.placement
    assert placement is not None
    found = mapper_rows.mesh_rows(homes, mapped.saved)
    along, down = placement.loads
    links = {(row["x"], row["y"], row["to_x"], row["to_y"]): row["packets"]
             for row in found if row["what"] == "link"}  # fmt: skip
    wanted = {(x, y, x + 1, y): packets for (y, x), packets in np.ndenumerate(along)}
    wanted |= {(x, y, x, y + 1): packets for (y, x), packets in np.ndenumerate(down)}
    assert links == wanted
    assert sum(links.values()) == mapped.metrics["hops"] > 0
    tiles = [row for row in found if row["what"] == "tile"]
    assert [(row["x"], row["y"], row["type"]) for row in tiles] == [
        (one["x"], one["y"], one["type"]) for one in mapped.crossbars
    ]
    assert [row["what"] for row in found].count("entry") == 1
    bare = sx.map_network(NETWORK, "table2", steps=10, restarts=1, mesh="auto")
    assert all(
        row["what"] != "entry" for row in mapper_rows.mesh_rows(Homes.of(bare.saved, NETWORK), bare.saved)
    )


# --- what figures show -----------------------------------------------------------------------------


def rectangles(axis: Any) -> list[list[tuple[float, float, float, float]]]:
    """Corners and sizes of the rectangles of every collection."""
    found = []
    for collection in axis.collections:
        boxes = [path.get_extents() for path in collection.get_paths()]
        found.append([(box.x0, box.y0, round(box.width, 6), round(box.height, 6)) for box in boxes])
    return found


def test_boxes_are_to_scale_and_do_not_overlap() -> None:
    _, axis = plots.mapping_crossbars(rows.MAPPED_BOXES)
    frames, filled, again = rectangles(axis)
    assert frames == again
    # The largest first: 16x8, 16x4, then both of 4x4 in their order; width: outputs, height: inputs.
    assert [box[2:] for box in frames] == [(8, 16), (4, 16), (4, 4), (4, 4)]
    assert [box[2:] for box in filled] == [(2, 9), (4, 16), (4, 3), (1, 4)]
    assert [box[:2] for box in filled] == [box[:2] for box in frames]
    for at, one in enumerate(frames):
        for other in frames[:at]:
            apart = (one[0] >= other[0] + other[2] or other[0] >= one[0] + one[2]
                     or one[1] >= other[1] + other[3] or other[1] >= one[1] + one[3])  # fmt: skip
            assert apart
    colors = [to_hex(color) for color in axis.collections[1].get_facecolor()]
    assert colors == [color.lower() for color in (FILLS[0], FILLS[1], FILLS[2], FILLS[2])]
    assert axis.get_aspect() == 1


def test_legend_says_how_many_and_how_full() -> None:
    figure, _ = plots.mapping_crossbars(rows.MAPPED_BOXES)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["1 of 16x8, 14 %", "1 of 16x4, 100 %", "2 of 4x4, 50 %", "not used"]
    with pytest.raises(FigureError, match="axons: 17 are more than 16 inputs"):
        plots.mapping_crossbars([rows.MAPPED_BOXES[1] | {"axons": 17}])
    many = rows.MAPPED_BOXES * 150
    figure, axis = plots.mapping_crossbars(many)
    assert len(rectangles(axis)[0]) == mapper_drawings.MAX_BOXES
    assert any("600 crossbars, the largest 400 drawn" in text.get_text() for text in figure.texts)


def test_mesh_shows_tiles_links_and_where_packets_enter() -> None:
    figure, axis = plots.mapping_mesh(rows.MAPPED_MESH)
    links, tiles = axis.collections[0], axis.collections[1]
    assert links.get_array().tolist() == [7, 0, 12, 3]
    widths = links.get_linewidths()
    assert widths[2] == max(widths) and widths[1] == min(widths) and list(np.argsort(widths)) == [1, 3, 0, 2]
    assert [path.tolist() for path in links.get_segments()][:1] == [[[0, 0], [1, 0]]]
    centres = [(box[0] + box[2] / 2, box[1] + box[3] / 2) for box in rectangles(axis)[1]]
    np.testing.assert_allclose(centres, [(0, 0), (1, 0), (0, 1)], atol=1e-9)
    assert len({tuple(color) for color in tiles.get_facecolor()}) == 2
    assert axis.yaxis_inverted()
    numbers = [text.get_text() for text in axis.texts if text.get_text()]
    assert numbers == ["0", "1", "2"]
    said = [text.get_text() for text in figure.texts]
    assert any("external axons enter" in text for text in said)
    figure, axis = plots.mapping_mesh(rows.MAPPED_MESH[:-1])
    assert not any("external" in text.get_text() for text in figure.texts)


def test_a_large_mesh_has_no_numbers_and_a_huge_one_is_refused() -> None:
    tiles = [{"what": "tile", "x": j % 20, "y": j // 20, "crossbar": j, "type": "4x4"} for j in range(400)]
    _, axis = plots.mapping_mesh(tiles)
    assert not [text for text in axis.texts if text.get_text()]
    with pytest.raises(FigureError, match="more than the 4,096"):
        plots.mapping_mesh([tiles[0] | {"x": 70, "y": 70}])


def test_steps_are_lines_with_their_bound() -> None:
    _, (area, packets) = plots.mapping_steps(rows.MAPPED_STEPS)
    first, second, bound = area.lines
    assert first.get_xdata().tolist() == [0, 1, 2, 3] and first.get_ydata().tolist() == [890, 790, 690, 590]
    assert second.get_ydata().tolist() == [880, 780, 680, 580] and set(bound.get_ydata()) == {300}
    assert (area.get_xlabel(), area.get_ylabel()) == ("Steps (10⁶)", "Area (cells)")
    assert len(packets.lines) == 1 and packets.get_ylabel() == "Global packets (number)"
    assert area.get_ylim()[0] == 0
    few = [row | {"steps": row["steps"] / 1e4} for row in rows.MAPPED_STEPS]
    assert plots.mapping_steps(few)[1][0].get_xlabel() == "Steps (10³)"
    far = [row | {"value": 10 ** (4 - int(row["steps"] / 1e6))} for row in rows.MAPPED_STEPS[:4]]
    assert plots.mapping_steps(far)[1][0].get_yscale() == "log"
    with pytest.raises(FigureError, match="stage: must be one of area, routes, packets"):
        plots.mapping_steps([rows.MAPPED_STEPS[0] | {"stage": "hops"}])


def test_types_have_their_shares() -> None:
    _, (area, number) = plots.mapping_types(rows.MAPPED_TYPES)
    assert [bar.get_width() for bar in area.patches] == [48, 64]
    assert [bar.get_width() for bar in number.patches] == [3, 1]
    assert [text.get_text() for text in area.texts] == ["48 (43 %)", "64 (57 %)"]
    assert [text.get_text() for text in number.texts] == ["3 (75 %)", "1 (25 %)"]
    assert [text.get_text() for text in area.get_yticklabels()] == ["4x4", "16x4"]


def test_comparison_tells_pools_and_percents() -> None:
    figure, (area, routes) = plots.mapping_comparison(rows.MAPPED_WAYS)
    bars = [bar for bar in area.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == [row["area"] for row in rows.MAPPED_WAYS]
    assert [bar.get_width() for bar in routes.patches] == [row["routes"] for row in rows.MAPPED_WAYS]
    assert [text.get_text() for text in area.texts][:3] == ["400 (−20.0 %)", "500 (0.0 %)", "360 (−28.0 %)"]
    names = [text.get_text() for text in area.get_yticklabels()]
    assert names == ["greedy", "mcc single", "anneal area"] * 2
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["homogeneous: 16x16", "heterogeneous: table2"]
    far = plots.mapping_comparison([*rows.MAPPED_WAYS, rows.MAPPED_WAYS[1] | {"area": 9000}])[1]
    assert [axis.get_xscale() for axis in far] == ["log", "linear"]
    assert [bar.get_x() + bar.get_width() for bar in far[0].patches][-2:] == [120, 9000]
    assert {bar.get_x() for bar in far[0].patches} == {60} and far[0].get_xlim()[0] == 60
    worse = plots.mapping_comparison([rows.MAPPED_WAYS[0] | {"less_percent": -4.0}])[1][0]
    assert worse.texts[0].get_text() == "400 (+4.0 %)"
    plain = plots.mapping_comparison([rows.MAPPED_WAYS[0] | {"less_percent": None}])
    assert plain[1][0].texts[0].get_text() == "400" and not plain[0].texts


def test_front_steps_down() -> None:
    _, (routes, packets) = plots.mapping_front(rows.MAPPED_FRONT)
    step, points = routes.lines
    assert points.get_xdata().tolist() == [96, 112, 112] and points.get_ydata().tolist() == [50, 44, 45]
    assert step.get_ydata().tolist() == [50, 44, 44]
    assert packets.lines[1].get_ydata().tolist() == [450, 396, 405]
    assert sorted(text.get_text() for text in routes.texts) == ["7", "8", "9"]
    twice = [*rows.MAPPED_FRONT, rows.MAPPED_FRONT[1] | {"area_budget": 130}]
    assert [text.get_text() for text in plots.mapping_front(twice)[1][0].texts].count("8") == 1
    same = [row | {"packets": row["routes"]} for row in rows.MAPPED_FRONT]
    assert plots.mapping_front(same)[1].get_ylabel() == "Global routes (number)"


def test_held_out_packets_have_mean_and_deviation() -> None:
    figure, (samples, counts) = plots.mapping_held_out(rows.HELD_OUT)
    points, profile, mean = samples.lines
    assert points.get_xdata().tolist() == [0, 3, 9, 12]
    assert points.get_ydata().tolist() == [90, 110, 100, 120] and set(mean.get_ydata()) == {105}
    assert (profile.get_xdata().tolist(), profile.get_ydata().tolist()) == ([6], [95])
    deviation = np.std([90, 110, 100, 120], ddof=1)
    band = samples.patches[0]
    assert (band.get_y(), band.get_height()) == pytest.approx((105 - deviation, 2 * deviation))
    assert sum(bar.get_width() for bar in counts.containers[0]) == 4
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["held out: mean 105", f"± standard deviation {deviation:.0f}", "profile"]
    alone = [{"sample": 4, "packets": 9}]
    assert "deviation 0" in plots.mapping_held_out(alone)[0].legends[0].get_texts()[1].get_text()
    with pytest.raises(FigureError, match="all samples are of the profile"):
        plots.mapping_held_out([alone[0] | {"profile": 1}])


# --- folders ---------------------------------------------------------------------------------------


def test_a_folder_of_a_mapping_permits_all_of_it(
    mapped: Mapped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped.save(tmp_path / "m")
    names = [drawing.name for drawing in drawings_of(tmp_path / "m")]
    assert names == ["map-steps", "map-types", "map-crossbars", "map-mesh"]
    out = succeed(capsys, "plot", tmp_path / "m", "--format", "svg").out
    assert re.findall(r"figures/([\w-]+)\.svg", out) == names and "left out" not in out
    (tmp_path / "m" / "pareto.csv").write_text("area_budget,area,routes,packets,crossbars\n9,8,7,6,5\n")
    (tmp_path / "m" / "heldout.csv").write_text("sample,packets\n1,5\n4,7\n")
    found = {drawing.name: drawing for drawing in drawings_of(tmp_path / "m")}
    assert list(found) == [*names, "map-front", "map-held-out"]
    assert found["map-front"].files(("svg",), None) and found["map-held-out"].files(("svg",), None)


def test_what_a_folder_lacks_is_said(
    mapped: Mapped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = sx.map_network(GRAPH, "table2", steps=100, restarts=1)
    folder = tmp_path / "deep" / "m"
    bare.saved.save(folder)
    lacks = {drawing.name: drawing.lacks for drawing in drawings_of(folder)}
    assert "network.json" in lacks["map-crossbars"] and "network.json" in lacks["map-mesh"]
    save_graph(GRAPH, tmp_path / "deep" / "network.json")  # as map compare has it
    lacks = {drawing.name: drawing.lacks for drawing in drawings_of(folder)}
    assert not lacks["map-crossbars"] and "map --mesh auto" in lacks["map-mesh"]
    outcome = spikex(capsys, "plot", folder, "--figure", "map-mesh")
    is_mistake(outcome, "map-mesh", "not placed")


def test_a_mapping_of_another_network_is_not_drawn(mapped: Mapped, tmp_path: Path) -> None:
    mapped.saved.save(tmp_path)
    save_graph(NETWORK, tmp_path / "network.json")
    drawing = next(one for one in drawings_of(tmp_path) if one.name == "map-crossbars")
    with pytest.raises(ConfigError, match=r"mapping\.json.*the mapping is of another one"):
        drawing.files(("svg",), None)


@pytest.mark.parametrize(
    ("table", "text", "words"),
    [
        ("pareto.csv", "area_budget,area,routes,packets,crossbars\n9,x,7,6,5\n", "area: must be a number"),
        ("pareto.csv", "area,routes\n", "has no rows"),
        ("heldout.csv", "sample\n1\n", "packets: no such column"),
        ("compare.csv", "kind,pool,method\nhomogeneous,p,greedy\n", "no such column"),
    ],
)  # fmt: skip
def test_damaged_tables_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, text: str, words: str
) -> None:
    (tmp_path / table).write_text(text)
    is_mistake(spikex(capsys, "plot", tmp_path), words)
    assert not (tmp_path / "figures").exists()
