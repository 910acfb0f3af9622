"""Figures are laid out for what they show: names find room, points do not crowd, two columns are used."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_plots import ACCESSES, ANN, CONFIG, DYNAMIC, EVALUATED, SEARCH, SWEEP, layer, point

from drawn_texts import drawn_texts, misplaced
from examples import in_turn
from spikex_sim import plots
from spikex_sim.__main__ import main
from spikex_sim.core.errors import FigureError
from spikex_sim.plots.layers import COMPONENTS
from spikex_sim.plots.naming import name_points

LAYERS = [layer(f"features.{index}", 1 / (1 + index)) for index in range(12)]


def crowd(archs: int, each: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        point(f"arch{n}", 1e-4 * 10 ** rng.uniform(0, 3), 1e6 * 10 ** rng.uniform(0, 2), tws=t)
        for n in range(archs)
        for t in range(each)
    ]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("count", [1, 2])
def test_pareto_does_not_depend_on_the_number_of_lines(count: int) -> None:
    figure, ax = plots.pareto(crowd(48, 3), style=plots.columns(count))
    assert legend_of(figure)[0] == "points"
    assert len(ax.lines[0].get_xdata()) == 48 * 3
    assert not misplaced(figure)
    swept = [point("x", 1 + n, 50 - n, **{"tws": 1 + n, "array.rows": n * n}) for n in range(48)]
    figure, ax = plots.pareto(swept)
    assert legend_of(figure) == ["x", "front"]
    with pytest.raises(FigureError, match="48 lines, more than 28"):
        plots.against_tws([row | {"array.rows": index} for index, row in enumerate(swept)])


def test_pareto_axes_are_logarithmic_where_points_crowd() -> None:
    _, ax = plots.pareto(crowd(2, 20))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    labels = [text.get_text() for text in ax.get_xticklabels() if text.get_text()]
    assert {"0.2", "0.5", "1", "2"} <= set(labels)
    _, ax = plots.pareto(SWEEP)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")


def test_names_of_crowded_points_do_not_overlap() -> None:
    front = [point("x", 1 + n / 50, 2 - n / 50, tws=n) for n in range(7)] + [point("x", 30, 1, tws=9)]
    figure, _ = plots.pareto(front)
    boxes = {text.get_text(): box for text, box in drawn_texts(figure) if text.get_text() in "abcdefgh"}
    assert sorted(boxes) == list("abcdefgh")
    assert not any(one.overlaps(other) for one, other in combinations(boxes.values(), 2))
    assert not misplaced(figure)


def test_names_keep_off_points() -> None:
    figure = Figure(dpi=72)
    axis = figure.subplots()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5, 0.5), (0.51, 0.51)]
    name_points(figure, axis, ["a", "b"], points)
    boxes = [box for text, box in drawn_texts(figure) if text in axis.texts]
    assert not any(box.contains(*axis.transData.transform(at)) for box in boxes for at in points)
    assert not boxes[0].overlaps(boxes[1])


@pytest.mark.parametrize("count", [1, 2])
def test_roofline_names_every_point(count: int) -> None:
    accesses = [row | {"layer": one["name"]} for one in LAYERS for row in ACCESSES[:1]]
    rows = plots.roofline_rows(LAYERS, accesses, CONFIG)
    figure, ax = plots.roofline(rows, style=plots.columns(count))
    assert legend_of(figure)[1:] == [f"{index + 1}: features.{index}" for index in range(12)]
    assert [text.get_text() for text in ax.texts] == [str(index) for index in range(1, 13)]
    figure, ax = plots.roofline(rows * 6)
    assert figure.get_supxlabel() == "72 layers, too many to be named" and not ax.texts


def test_bars_begin_at_zero_or_at_a_stated_one() -> None:
    rows = [
        {"run": name, "seconds": 1.0, "energy_pj": value, "energy_on_chip_pj": 1.0, "edp_js": 1.0}
        for name, value in (("x", 1.0), ("y", 100.0), ("z", 0.5))
    ]
    _, ax = plots.comparison(rows)
    assert ax.get_yscale() == "log" and "bars from 1" in ax.get_ylabel()
    ends = [(bar.get_y(), bar.get_y() + bar.get_height()) for part in ax.containers for bar in part]
    assert all(start == 1 for start, _ in ends)
    assert [end for _, end in ends[1::4]] == [1, 100, 0.5]
    _, ax = plots.comparison([rows[0], rows[2]])
    assert ax.get_yscale() == "linear" and ax.get_ylim()[0] == 0
    assert all(bar.get_y() == 0 for part in ax.containers for bar in part)


@pytest.mark.parametrize(("runs", "count"), in_turn([2, 3, 4, 7]))
def test_values_of_a_comparison_keep_off_each_other_and_the_line(runs: int, count: int) -> None:
    quantities = ("seconds", "energy_pj", "energy_on_chip_pj", "edp_js")
    near_one = np.linspace(0.931, 0.987, 4 * runs).reshape(runs, 4)
    near_one[0] = 1
    rows = [{"run": str(at), **dict(zip(quantities, row, strict=True))} for at, row in enumerate(near_one)]
    figure, ax = plots.comparison(rows, style=plots.columns(count))
    assert not misplaced(figure)
    assert len(ax.texts) == 4 * runs
    line = next(line for line in ax.lines if list(line.get_ydata()) == [1, 1])
    for text in ax.texts:
        patch = text.get_bbox_patch()
        assert patch is not None and patch.get_facecolor() == (1, 1, 1, 1)
        assert text.get_zorder() > line.get_zorder()


def test_numbers_of_neighbours_are_not_one_number() -> None:
    figure = Figure(dpi=72)
    axis = figure.subplots()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    name_points(figure, axis, ["2", "3", "1"], [(0.5, 0.5), (0.51, 0.505), (0.47, 0.5)])
    boxes = [box for text, box in drawn_texts(figure) if text in axis.texts]
    for one, other in combinations(boxes, 2):
        apart = max(one.x0, other.x0) - min(one.x1, other.x1)
        assert apart > 2 or min(one.y1, other.y1) < max(one.y0, other.y0)


def test_a_swept_key_is_named_so_that_it_is_no_other_key() -> None:
    swept = [
        point("x", 1 + n, 50 - n, **{"tws": 2, "memory.glb.bytes": 1 + n, "array.rows": n}) for n in (1, 2)
    ]
    figure, _ = plots.against_tws(swept)
    assert legend_of(figure) == ["glb.bytes 2, rows 1", "glb.bytes 3, rows 2"]


def test_points_of_a_front_are_told_apart() -> None:
    rows = [point(arch, 1 + n, 3 - n, tws=n) for arch in ("x", "y") for n in (1, 2)]
    figure, _ = plots.pareto(rows)
    assert [label for label in legend_of(figure) if ":" in label] == [
        f"{letter}: {arch}, tws {n}" for letter, arch, n in zip("abcd", "xyxy", (1, 1, 2, 2), strict=True)
    ]


def test_two_columns_set_bars_side_by_side() -> None:
    figure, (layers, total) = plots.energy_by_component(LAYERS, style=plots.columns(2))
    heights = [[bar.get_height() for bar in part] for part in layers.containers]
    np.testing.assert_allclose(heights, [[row[c] / 1e6 for row in LAYERS] for c in COMPONENTS])
    assert [text.get_text() for text in layers.get_xticklabels()] == [row["name"] for row in LAYERS]
    assert layers.get_position().x1 < total.get_position().x0
    single, _ = plots.energy_by_component(LAYERS)
    assert figure.get_figheight() < single.get_figheight()
    _, ax = plots.stalls(LAYERS, style=plots.columns(2))
    assert ax.get_ylabel() == "Share of cycles (%)" and ax.get_ylim() == (0, 100)
    _, ax = plots.utilization(LAYERS, style=plots.columns(2))
    assert ax.collections[0].get_array().shape == (2, 12)
    assert not misplaced(figure)


def test_two_columns_set_a_long_legend_aside() -> None:
    rows = [point("x", 1 + n, 50 - n, **{"array.rows": 10**9 + n, "mapping.windows": n}) for n in range(8)]
    figure, ax = plots.pareto(rows, style=plots.columns(2))
    box = figure.legends[0].get_window_extent()
    assert ax.get_window_extent().x1 <= box.x0
    assert not misplaced(figure)


@pytest.mark.parametrize("count", [1, 2])
def test_values_are_never_shortened(count: int) -> None:
    value = 1234567890123456789
    rows = [
        point("an-accelerator", 1, 1, **{"tws": t, "memory.glb.bytes": b, "mapping.positions": value * b})
        for t in (1, 2)
        for b in (1, 2)
    ]
    for draw in (plots.against_tws, plots.utilization, plots.pareto):
        figure, _ = draw(rows, style=plots.columns(count))
        said = " ".join(text.get_text() for text, _ in drawn_texts(figure)).replace("\n", "")
        assert str(value) in said and str(2 * value) in said and "memory.glb" not in said
        assert not misplaced(figure)


def test_more_bars_than_a_figure_holds_are_refused() -> None:
    for draw in (plots.energy_by_component, plots.stalls, plots.utilization):
        with pytest.raises(FigureError, match="more than the 400 that a figure holds"):
            draw([layer(f"l{index}") for index in range(401)])


def test_long_labels_of_a_legend_are_wrapped() -> None:
    names = [f"a-machine-with-a-name-{'of-many-parts-' * 6}{n}" for n in range(2)]
    figure, _ = plots.against_tws([point(name, 1, 1, tws=t) for name in names for t in (1, 2)])
    assert not misplaced(figure)
    tops = [text.get_window_extent().y1 for text in figure.legends[0].get_texts()]
    assert all(one > other for one, other in pairwise(tops))


# --- figures of commands ---------------------------------------------------------------------------


def test_evaluation_is_by_layer_and_machine() -> None:
    figure, (energy, latency) = plots.evaluation(EVALUATED)
    assert [[bar.get_width() for bar in part] for part in energy.containers] == [[3, 1.5]] * 2
    assert [[bar.get_width() for bar in part] for part in latency.containers] == [[1, 2]] * 2
    assert [text.get_text() for text in energy.get_yticklabels()] == ["c", "f"]
    assert figure.get_supxlabel() == "correct: 95 % of 20 samples" and legend_of(figure) == ["x", "y"]
    with pytest.raises(FigureError, match="8 machines, more than 7"):
        plots.evaluation([EVALUATED[0] | {"run": index} for index in range(8)])


def test_ann_is_the_line_at_one() -> None:
    _, ax = plots.against_ann(ANN)
    *curves, ann = ax.lines
    assert list(ann.get_ydata()) == [1, 1] and list(curves[0].get_xdata()) == [1, 2, 8]
    assert list(curves[0].get_ydata()) == [0.125, 0.25, 1]
    with pytest.raises(FigureError, match="there is no spiking network"):
        plots.against_ann(ANN[:1])


def test_dynamic_names_points_by_their_thresholds() -> None:
    figure, (right, energy) = plots.dynamic(DYNAMIC)
    assert list(right.lines[0].get_ydata()) == [40, 40, 80] and list(energy.lines[0].get_ydata()) == [4, 4, 8]
    assert [text.get_text() for text in energy.texts] == ["0.5", "0.9", "0"]
    assert not misplaced(figure)


def test_search_shows_products_and_sizes() -> None:
    _, (products, sizes) = plots.window_search(SEARCH)
    np.testing.assert_allclose([bar.get_width() for bar in products.containers[0]], [1, 2])
    assert [text.get_text() for text in sizes.texts] == ["4", "16", "1"] * 2
    for wrong in ("4 x 1", "4 0 1", "4 16", ""):
        with pytest.raises(FigureError, match="tws: must "):
            plots.window_search([SEARCH[0], SEARCH[1] | {"tws": wrong}])


def test_policies_are_over_the_bound_or_the_first() -> None:
    rows = [{"policy": policy, "layer": "a", "slot_cycles": cycles, "bound_cycles": 50, "edp_js": cycles / 10}
            for policy, cycles in (("agile", 100), ("overlap", 80))]  # fmt: skip
    _, (cycles, edp) = plots.dispatch_policies(rows)
    assert [line.get_ydata()[0] for line in cycles.lines[:2]] == [2, 1.6]
    assert [line.get_ydata()[0] for line in edp.lines[:2]] == [1, 0.8]
    _, (cycles, _) = plots.dispatch_policies([{**row, "bound_cycles": None} for row in rows])
    assert [line.get_ydata()[0] for line in cycles.lines[:2]] == [1, 0.8]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("ann --timesteps 1,2", "ann"),
        ("dynamic --thresholds 0,0.9", "dynamic"),
        ("evaluate nmnist --limit 1", "evaluate"),
        ("search-tws nmnist --limit 1 --tws 4,8", "search-tws"),
        ("dispatch", "dispatch"),
    ],
)
def test_what_commands_write_is_drawn(tmp_path: Path, command: str, name: str) -> None:
    assert main([*command.split(), "--out", str(tmp_path / "in")]) == 0
    assert main(["plot", str(tmp_path / "in"), "--format", "svg", "--out", str(tmp_path / "out")]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{name}.svg"]
