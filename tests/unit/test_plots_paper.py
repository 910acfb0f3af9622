"""Figures of the paper show the rows of its studies, and beside them what was published."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from drawn_texts import drawn_texts, misplaced
from examples import THIRDS, in_turn
from paper_rows import (
    COMPONENTS,
    CONFIGURATIONS,
    NETWORKS,
    ROWS,
    Rows,
    chosen,
    densities,
    fig5,
    fig7,
    fig8,
    fig9,
    fig10,
    fig12,
    fig13,
    tornado,
)
from spikex_sim import plots
from spikex_sim.__main__ import main
from spikex_sim.core.errors import FigureError
from spikex_sim.plots.folder import drawings_of
from spikex_sim.plots.paper import PAPER_FIGURES

LONG = "backbone.layer3.0.downsample.$conv$_1"
ODD: dict[str, tuple[str, Rows]] = {
    "one variant": ("fig5", fig5("base")),
    "variant of one network": (
        "fig5", chosen("fig5", lambda r: r["variant"] == "base" or r["network"] == "nmnist"),
    ),
    "long layer names": ("fig5", [r | {"layer": f"{r['layer']}.{LONG}"} for r in ROWS["fig5"]]),
    "silent layers": ("fig5", [r | {"density": 0.0} for r in ROWS["fig5"]]),
    "no quiet neurons": ("fig5", [r | {"neurons_below_10_percent": None} for r in ROWS["fig5"]]),
    "one weight": ("fig7", fig7(0.05)),
    "no weight": ("fig7", fig7(0.0)),
    "weights of one decade": ("fig7", fig7(0.0, 0.02, 0.03, 0.04)),
    "nothing learnt": ("fig7", [r | {"accuracy": 0.0, "spike_density": 0.0} for r in ROWS["fig7"]]),
    "one epoch": ("fig8", fig8(1, 1, 2)),
    "one choice": ("fig8", fig8(5, 4)),
    "layers of long names": ("fig8", [r | {"layer": f"{r['layer']}.{LONG}"} for r in ROWS["fig8"]]),
    "one rate": ("fig9", fig9(0.001)),
    "rate of zero": ("fig9", fig9(0.0, 0.005)),
    "many rates": ("fig9", fig9(*(1e-4 * 1.2**k for k in range(20)))),
    "five decades": ("fig9", [r | {"seconds": 10 ** -(5 * at / 23)} for at, r in enumerate(ROWS["fig9"])]),
    "no energy": ("fig9", [r | {"energy_pj": 0.0} for r in ROWS["fig9"]]),
    "one rate of two machines": ("fig10", fig10(0.0001)),
    "one machine": ("fig10", [r for r in ROWS["fig10"] if r["arch"] == "ptb-paper"]),
    "no latency": ("fig10", [r | {"seconds": 0.0} for r in ROWS["fig10"]]),
    "one window size": ("fig11", ROWS["fig11"][:1]),
    "nothing used": ("fig11", [dict.fromkeys(r, 0) | {"tws": r["tws"]} for r in ROWS["fig11"]]),
    "five layers": ("fig12", fig12(*((n, layer) for n, layers in NETWORKS.items() for layer in layers[-2:]))),
    "unpublished window": ("fig12", [r | {"tws": 16} for r in ROWS["fig12"][:1]]),
    "unknown network": ("fig12", fig12((LONG, LONG))),
    "only PTB and SpikeX": ("fig13", fig13("PTB", "SpikeX")),
    "trained for one network": (
        "fig13", chosen("fig13", lambda r: "HT" not in r["configuration"] or r["network"] == "nmnist"),
    ),
    "one network": ("fig13", [r for r in ROWS["fig13"] if r["network"] == "nmnist"]),
    "much worse": ("fig13", [r | {"seconds": 1e5 ** ("X" in r["configuration"])} for r in ROWS["fig13"]]),
    "many layers": ("fig13", [r | {"layer": f"{r['layer']} {n}"} for r in ROWS["fig13"] for n in range(2)]),
    "two densities": ("densities", densities(0.001, 0.1)),
    "one reading": ("densities", [r for r in ROWS["densities"] if "tagged" not in r["ptb_moves"]]),
    "nothing comes along": ("densities", [r for r in ROWS["densities"] if r["kind"] != "shipped"]),
    "thirty parameters": ("tornado", tornado(*(f"{n} {LONG} of something long" for n in range(30)))),
    "long values": ("tornado", [r | {"value": f"{r['value']}/{LONG}"} for r in ROWS["tornado"]]),
    "nothing matters": ("tornado", [r | {"error": 0.3, "chosen_error": 0.3} for r in ROWS["tornado"]]),
    "one figure": ("tornado", [r for r in ROWS["tornado"] if r["figure"] == "fig12"]),
}  # fmt: skip


def axes_of(ax: Any) -> list[Any]:
    return list(ax) if isinstance(ax, tuple) else [ax]


def draw(name: str, rows: Rows, columns: int = 1) -> tuple[Figure, list[Any]]:
    figure, ax = PAPER_FIGURES[name](rows, style=plots.columns(columns))
    return figure, axes_of(ax)


def shown(figure: Figure) -> str:
    return "\n".join(text.get_text() for text, _ in drawn_texts(figure))


def points(line: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]


def widths(axis: Any) -> list[list[float]]:
    return [[bar.get_width() for bar in part] for part in axis.containers]


# --- every figure ----------------------------------------------------------------------------------


def test_every_figure_is_tried_and_exported() -> None:
    assert set(ROWS) == set(PAPER_FIGURES) == {name for name, _ in ODD.values()}
    names = {f"paper_{name}" if name != "tornado" else name for name in PAPER_FIGURES}
    assert names < set(plots.__all__)


@pytest.mark.parametrize(("name", "columns"), in_turn(ROWS))
def test_labels_have_units_and_lie_apart_on_the_canvas(name: str, columns: int) -> None:
    figure, axes = draw(name, ROWS[name], columns)
    assert figure.get_figwidth() == {1: 3.5, 2: 7.16}[columns]
    labels = {label for axis in axes for label in (axis.get_xlabel(), axis.get_ylabel()) if label}
    assert labels and all(re.search(r"\(.+\)$", label) for label in labels), labels
    assert len(figure.legends) == 1
    assert misplaced(figure) == []


@pytest.mark.parametrize(("case", "columns"), in_turn(ODD))
def test_odd_rows_can_be_drawn(case: str, columns: int) -> None:
    name, rows = ODD[case]
    assert misplaced(draw(name, rows, columns)[0]) == []


@pytest.mark.parametrize("name", ROWS)
def test_figure_is_drawn_into_given_axes(name: str) -> None:
    count = len(draw(name, ROWS[name])[1])
    figure = Figure()
    given = figure.subplots(1, count, squeeze=False)[0]
    returned, ax = PAPER_FIGURES[name](ROWS[name], ax=given if count > 1 else given[0])
    assert returned is figure and axes_of(ax) == list(given)
    with pytest.raises(FigureError, match="ax: this figure has"):
        PAPER_FIGURES[name](ROWS[name], ax=figure.subplots(1, count + 1))


def hashes(third: int) -> list[str]:
    files = [plots.file_bytes(draw(name, rows)[0], "svg") for name, rows in list(ROWS.items())[third::3]]
    return [sha256(file).hexdigest() for file in files]


@pytest.mark.parametrize("third", THIRDS)
def test_same_rows_give_the_same_bytes_here_and_in_another_process(third: int) -> None:
    script = (
        "import matplotlib, test_plots_paper\n"
        "matplotlib.rcParams['font.size'] = 20\n"
        f"print(*test_plots_paper.hashes({third}))\n"
    )
    folder = Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parent)])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": path}, capture_output=True, text=True,
        check=True, timeout=300,
    )  # fmt: skip
    once = hashes(third)
    assert once == done.stdout.split()
    assert len(set(once)) == len(once) >= len(ROWS) // 3


def test_fonts_are_inside_the_file() -> None:
    pdf = plots.file_bytes(draw("fig12", ROWS["fig12"])[0], "pdf")
    assert b"FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        *((name, [], "there are no rows") for name in ROWS),
        *((name, [{}], "[a-z_]+: no such column") for name in ROWS),
        *((name, [*rows, rows[0]], "[a-z]+: two rows of ") for name, rows in ROWS.items()),
        ("fig5", [ROWS["fig5"][0] | {"variant": "pruned"}], "variant: 'pruned' is none of base, ht"),
        ("fig5", [ROWS["fig5"][0] | {"density": None}], "density: must be a number of 0 or more"),
        ("fig5", [ROWS["fig5"][0] | {"neurons_below_10_percent": "few"}], "percent: must be a number"),
        ("fig5", [ROWS["fig5"][0] | {"tws": n} for n in range(1, 9)], "tws: 8 window sizes, more than 7"),
        ("fig9", [ROWS["fig9"][0] | {"rate": "high"}], "rate: must be a number"),
        ("fig9", [ROWS["fig9"][0] | {"tws": n} for n in range(30)], "tws: 30 lines, more than 28"),
        ("fig9", [ROWS["fig9"][0] | {"seconds": float("nan")}], "seconds: must be a number"),
        ("fig10", [ROWS["fig10"][0] | {"arch": "sata"}], "arch: must be one SpikeX and one PTB, not also"),
        ("fig10", [r | {"arch": f"ptb{n}"} for n, r in enumerate(ROWS["fig10"])], "not also 'ptb1'"),
        ("fig11", [ROWS["fig11"][0] | {"energy_rf_pj": -1}], "energy_rf_pj: must be a number of 0 or more"),
        ("fig12", [ROWS["fig12"][0] | {"energy_spikes_pj": ""}], "energy_spikes_pj: must be a number"),
        ("fig7", [*ROWS["fig7"], ROWS["fig7"][0]], "network: two rows of dvs-gesture-medium, 0.0"),
        ("fig8", fig8(2, *range(1, 16)), "tws: 15 window sizes, more than 14"),
        ("fig8", [ROWS["fig8"][0] | {"probability": None}], "probability: must be a number"),
        ("fig13", fig13("SpikeX"), "configuration: DVS-Gesture Medium has no rows of PTB"),
        ("fig13", [ROWS["fig13"][0] | {"configuration": "GPU"}], "configuration: 'GPU' is none of PTB"),
        ("fig13", ROWS["fig13"][:-1], "layer: N-MNIST: SpikeX[+]HT[+]HAS has not the layers of PTB"),
        ("tornado", [ROWS["tornado"][0] | {"error": True}], "error: must be a number"),
        ("tornado", [r for r in ROWS["tornado"] if (r["parameter"], r["figure"]) != ("clock, MHz", "fig9")],
         "figure: clock, MHz has no rows of fig9"),
    ],
)  # fmt: skip
def test_wrong_rows_are_one_line(name: str, rows: Rows, message: str) -> None:
    with pytest.raises(FigureError, match=message) as caught:
        draw(name, rows)
    assert "\n" not in str(caught.value)


# --- what each shows -------------------------------------------------------------------------------


def test_densities_by_layer_window_and_variant() -> None:
    figure, axes = draw("fig5", ROWS["fig5"])
    assert [axis.get_title("left") for axis in axes] == ["DVS-Gesture Medium", "DVS-Gesture Large", "N-MNIST"]
    marks = [line for line in axes[2].lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() for line in marks] == [marks[0].get_color(), "white"]
    np.testing.assert_allclose([y for _, y in points(marks[0])], [3, 6, 9, 12])
    np.testing.assert_allclose([y for _, y in points(marks[1])], [0.3, 0.6, 0.9, 1.2])
    quiet = [point for line in axes[2].lines if line.get_marker() == "_" for point in points(line)]
    assert sorted(y for _, y in quiet) == [92, 92, 93, 93, 94, 94, 95, 95]
    assert "no rows yet" not in shown(figure)


def test_missing_variants_are_named() -> None:
    assert "no rows yet: with HT\n" in shown(draw("fig5", fig5("base"))[0]) + "\n"
    name, rows = ODD["variant of one network"]
    assert "no rows yet: with HT (DVS-Gesture Medium, DVS-Gesture Large)" in shown(draw(name, rows)[0])
    figure = Figure()
    plots.paper_fig5(fig5("base"), ax=figure.subplots(1, 3))
    assert "no rows yet: with HT" in shown(figure)
    assert "no rows yet: SpikeX" in shown(draw(*ODD["one machine"])[0])


def test_rates_are_relative_to_the_largest_and_carry_the_published_reduction() -> None:
    rows = ROWS["fig9"]
    _, (energy, latency) = draw("fig9", rows)
    for axis, column, saved in ((energy, "energy_pj", 46.6), (latency, "seconds", 93.9)):
        largest = max(row[column] for row in rows)
        line, open_mark = axis.lines[:2]
        mine = sorted((100 * row["rate"], row[column] / largest) for row in rows if row["tws"] == 2)
        np.testing.assert_allclose(points(line), mine)
        assert points(open_mark)[0][1] == pytest.approx(mine[-1][1] * (1 - saved / 100))
        assert len(axis.lines) == 8
    _, axes = draw("fig9", fig9(0.001))
    assert len(axes[0].lines) == 4


def test_ratio_of_the_machines_stands_above_the_ends() -> None:
    figure, (axis,) = draw("fig10", ROWS["fig10"])
    assert axis.get_title("left") == "6.15× (published 7.11×)"
    assert axis.get_title("right") == "1.3× (published 1.3×)"
    figure, (axis,) = draw("fig10", fig10(0.02, 0.01))
    assert axis.get_title("left") == "1.94×" and "published" not in shown(figure)


def test_energy_and_latency_by_window_size() -> None:
    _, (axis,) = draw("fig11", ROWS["fig11"])
    heights = [[bar.get_height() for bar in part] for part in axis.containers]
    np.testing.assert_allclose(
        heights, [[share / tws for tws in (1, 2, 4, 8, 16)] for share in COMPONENTS.values()]
    )
    np.testing.assert_allclose([y for _, y in points(axis.lines[0])], np.array([1, 2, 4, 8, 16]) / 16)


def test_shares_stand_beside_the_published_ones() -> None:
    _, axes = draw("fig12", ROWS["fig12"])
    assert [axis.get_title("left") for axis in axes] == [
        "TWS 4, by component",
        "TWS 4, by use",
        "TWS 8, by use",
    ]
    names = [text.get_text() for text in axes[0].get_yticklabels()]
    assert names == ["published", "N-MNIST fc"]
    np.testing.assert_allclose(widths(axes[0]), [[38, 36], [39.5, 40], [13.4, 12], [7.3, 8], [1.7, 4]])
    np.testing.assert_allclose(widths(axes[1]), [[40.1, 40], [21.9, 20], [0, 4], [38, 36]])
    np.testing.assert_allclose(widths(axes[2]), [[36.19, 40], [30.65, 20], [0, 4], [33.16, 36]])
    _, axes = draw(*ODD["five layers"])
    assert [text.get_text() for text in axes[0].get_yticklabels()][-1] == "all"
    _, axes = draw(*ODD["unpublished window"])
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["N-MNIST fc"]


@pytest.mark.parametrize("columns", [1, 2])
def test_networks_are_relative_to_ptb(columns: int) -> None:
    figure, axes = draw("fig13", ROWS["fig13"], columns)
    assert len(axes) == 6
    assert [axis.get_xlabel() for axis in axes] == ["Energy / PTB (×)", "Latency / PTB (×)"] * 3
    totals = np.sum(widths(axes[5]), axis=0)
    np.testing.assert_allclose(totals, list(CONFIGURATIONS.values()))
    diamonds = [points(line)[0] for line in axes[5].lines if line.get_marker() == "D"]
    np.testing.assert_allclose(diamonds, [(1 / 1.85, 1), (1 / 4.17, 2), (1 / 7.25, 4)])
    assert shown(figure).count("1/8.33") == 6
    assert "no rows yet" not in shown(figure)


def test_missing_configurations_are_named() -> None:
    figure, axes = draw("fig13", fig13("PTB", "SpikeX"))
    assert "no rows yet: PTB+HT, PTB+HT+HAS, SpikeX+HT+HAS" in shown(figure)
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["PTB", "SpikeX"]
    assert "\npublished" not in shown(figure)
    figure, _ = draw(*ODD["trained for one network"])
    assert shown(figure).count("no rows yet") == 12


def test_tornado_is_sorted_by_swing() -> None:
    _, axes = draw("tornado", list(reversed(tornado("most", "some", "least"))))
    assert [axis.get_title("left") for axis in axes] == ["Fig. 9", "Fig. 10", "Fig. 12"]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["most", "some", "least"]
    bars = [(part[0].get_x(), part[0].get_width()) for part in axes[1].containers]
    np.testing.assert_allclose(
        bars,
        [(0.15, 0.05), (0.2, 0.2), (0.175, 0.025), (0.2, 0.1), (0.2 - 0.05 / 3, 0.05 / 3), (0.2, 0.2 / 3)],
    )
    assert [text.get_text() for text in axes[1].texts] == ["a", "c"] * 3
    assert all({x for x, _ in points(line)} == {0.2} for line in axes[1].lines)


def test_tornado_leaves_out_what_moves_least() -> None:
    rows = tornado(*(f"p{n}" for n in range(30)))
    for columns, kept in ((1, 10), (2, 24)):
        figure, axes = draw("tornado", rows, columns)
        assert [text.get_text() for text in axes[0].get_yticklabels()] == [f"p{n}" for n in range(kept)]
        assert f"left out: {30 - kept} parameters" in shown(figure)


# --- files -----------------------------------------------------------------------------------------


def save(rows: Rows, file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the command ``reproduce`` leaves it."""
    folder = tmp_path_factory.mktemp("paper")
    for name, rows in ROWS.items():
        save(rows, folder / f"{name}.csv")
    save([{"network": "nmnist", "layer": "fc"}], folder / "tables.csv")
    return folder


@pytest.mark.parametrize("third", THIRDS)
def test_rows_from_a_file_draw_the_same(studies: Path, third: int) -> None:
    drawings = drawings_of(studies)
    assert len(drawings) == len(ROWS)
    for drawing in drawings[third::3]:
        figure, _ = draw(drawing.name, ROWS[drawing.name])
        style = plots.columns(1)
        assert drawing.files(("svg",), style) == {f"{drawing.name}.svg": plots.file_bytes(figure, "svg")}


def test_values_of_parameters_stay_as_they_are_written(tmp_path: Path) -> None:
    rows = [row | {"value": {"a": "1e3", "b": "500.0", "c": "0"}[row["value"]]} for row in ROWS["tornado"]]
    save(rows, tmp_path / "tornado.csv")
    (drawing,) = drawings_of(tmp_path)
    assert [row["value"] for row in drawing.rows()] == [row["value"] for row in rows]


def test_command_draws_studies(studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["plot", str(studies), "--figure", "fig9", "--figure", "tornado", "--out", str(tmp_path)]) == 0
    )
    assert {path.name for path in tmp_path.iterdir()} == {"fig9.pdf", "tornado.pdf"}
    shutil.copytree(studies, tmp_path / "wrong")
    (tmp_path / "wrong/fig9.csv").write_text("rate,tws\n0.1,4\n")
    wrong = ["plot", str(tmp_path / "wrong"), "--figure", "fig9", "--out", str(tmp_path / "out")]
    assert main(wrong) == 2
    error = capsys.readouterr().err
    assert "fig9.csv: energy_pj: no such column" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


# --- training --------------------------------------------------------------------------------------


def test_fig7_has_what_the_rows_say_and_a_place_for_no_weight() -> None:
    _, axes = draw("fig7", ROWS["fig7"])
    assert len(axes) == 6
    rows = [row for row in ROWS["fig7"] if row["network"] == "dvs-gesture-medium"]
    (line,) = axes[0].lines
    places = [x for x, _ in points(line)]
    assert places[1:] == pytest.approx([row["beta"] for row in rows][1:]) and 0 < places[0] < places[1]
    assert [y for _, y in points(line)] == pytest.approx([100 * row["accuracy"] for row in rows])
    spikes, windows = axes[1].lines
    assert [y for _, y in points(spikes)] == pytest.approx([100 * row["spike_density"] for row in rows])
    assert [y for _, y in points(windows)] == pytest.approx([100 * row["window_density"] for row in rows])
    assert axes[0].get_xticklabels()[0].get_text() == "0"


def test_fig8_stacks_probabilities_and_names_what_they_end_at() -> None:
    figure, axes = draw("fig8", ROWS["fig8"])
    rows = [r for r in ROWS["fig8"] if (r["network"], r["layer"], r["tws"]) == ("nmnist", "conv2", 4)]
    axis = axes[2]
    band = axis.collections[5 + 2]  # the second layer's bands, 1, 2, 4, 8, 16
    (path,) = band.get_paths()
    for row in rows:
        ys = [y for x, y in path.vertices if x == row["epoch"]]
        same = ("network", "layer", "epoch")
        total = sum(r["probability"] for r in ROWS["fig8"] if all(r[key] == row[key] for key in same))
        assert (max(ys) - min(ys)) / 0.82 == pytest.approx(row["probability"] / total, abs=1e-6)
    assert [text.get_text() for text in axis.texts] == ["4"] * 4
    assert {f"TWS {size}" for size in (1, 2, 4, 8, 16)} <= set(shown(figure).split("\n"))
