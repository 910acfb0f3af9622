"""Figures show the rows they are given, say their units, and are the same bytes every time."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from examples import THIRDS, in_turn
from spikex_sim import plots
from spikex_sim.__main__ import main
from spikex_sim.core.errors import FigureError
from spikex_sim.costs.crossbar import CROSSBAR_COMPONENTS
from spikex_sim.explore.designs.api import explore
from spikex_sim.explore.sweeps.runner import sweep
from spikex_sim.plots import explored, searched
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.folder import NAMES, drawings_of
from spikex_sim.plots.imc import IMC_FIGURES
from spikex_sim.plots.layers import COMPONENTS, STALLS
from spikex_sim.plots.paper import PAPER_FIGURES
from spikex_sim.plots.style import FORMATS, plain, short
from spikex_sim.run.simulate import simulate
from spikex_sim.trace.store import save_trace
from spikex_sim.trace.trace import Trace

Rows = list[dict[str, Any]]


def layer(name: str, share: float = 1.0) -> dict[str, Any]:
    """A layer's row with what the figures need of it."""
    cycles = {"compute_cycles": 60, "stall_dram_cycles": 20, "stall_glb_cycles": 15, "stall_lbuf_cycles": 5}
    energies = {name: share * 1e6 * (index + 1) for index, name in enumerate(COMPONENTS)}
    return {
        "name": name, "cycles": 100, **cycles, "stall_drain_cycles": 0, **energies, "seconds": 2e-7,
        "utilization": 0.5 * share, "add_utilization": 0.125, "accumulations": 4000,
    }  # fmt: skip


def access(name: str, level: str, tensor: str, pj: float, bits: int) -> dict[str, Any]:
    return {"layer": name, "level": level, "tensor": tensor, "read_bits": bits, "write_bits": 0,
            "read_pj": pj, "write_pj": 2 * pj}  # fmt: skip


def point(arch: str, seconds: float, energy_pj: float, **keys: Any) -> dict[str, Any]:
    """A sweep's row."""
    return {"trace": "t", "arch": arch, **keys, "seconds": seconds, "energy_pj": energy_pj, "tops": 1.0,
            "tops_dense": 4.0, "utilization": 0.5, "error": ""}  # fmt: skip


LAYERS = [layer("conv"), layer("fc", 0.5)]
ACCESSES = [access("conv", "dram", "filter", 10, 8000), access("conv", "glb", "filter", 5, 400),
            access("conv", "rf", "tag", 1, 1), access("fc", "dram", "ifmap", 20, 16000)]  # fmt: skip
CONFIG = {
    "array": {"rows": 4, "cols": 8}, "clock_mhz": 500.0, "memory": {"dram": {"bandwidth_gb_s": 20.0}},
}  # fmt: skip
ROOF = plots.roofline_rows(LAYERS, ACCESSES, CONFIG)
SWEEP = [point(a, s * t * 1e-3, e * 1e6 / t, tws=t) for a, s, e in (("x", 1, 8), ("y", 2, 9)) for t in (2, 4)]
SWEPT_AREAS = [
    row | {"edp_js": 1e-9 / row["tws"], "area_mm2": 0.1 * row["tws"], "area_parts_absent": "pe/lif"}
    for row in SWEEP
]
SIZES = [point("x", 1e-3 / c, 1e6 * r, **{"array.rows": r, "array.cols": c}) for r in (4, 8) for c in (4, 16)]
RATES = [point("x", 1e-3 * n, 1e6, tws=4) | {"trace": f"t{n}", "tops": n / 10} for n in (1, 2, 3)]
RUNS = [{"run": n, "seconds": 2.0 * k, "energy_pj": 4.0 * k, "energy_on_chip_pj": 1.0, "edp_js": k * k}
        for n, k in (("x", 1), ("y", 3))]  # fmt: skip
SPIKES = [{"neuron": n, "times": times, "windows": windows, "timesteps": 10, "tws": 4,
           "spiking": 3, "neurons": 12}
          for n, times, windows in ((7, [0, 5], [0, 1]), (9, [9], [2]))]  # fmt: skip
EVALUATED = [{"run": n, "arch": a, "accuracy": 0.95, "samples": 20, "layer": c, "seconds": s,
              "energy_pj": 3 / s} for n, a in enumerate("xy") for s, c in ((1, "c"), (2, "f"))]  # fmt: skip
ANN = [{"timesteps": t, "energy_ratio": (t or 8) / 8, "energy_on_chip_ratio": 1.5, "latency_ratio": 0.5,
        "edp_ratio": 2.0} for t in (None, 1, 2, 8)]  # fmt: skip
DYNAMIC = [{"threshold": h, "mean_timesteps": t, "accuracy": t / 10, "energy_pj": 1e6 * t}
           for h, t in ((0.0, 8.0), (0.5, 4.0), (0.9, 4.0))]  # fmt: skip
SEARCH = [{"method": m, "tws": "4 16 1", "edp_js": e} for m, e in (("exhaustive", 1e-9), ("random", 2e-9))]
POLICIES = [{"policy": policy, "layer": layer, "slot_cycles": cycles * share, "bound_cycles": 50 * share,
             "edp_js": cycles * 1e-9}
            for policy, cycles in (("agile", 100), ("overlap", 80))
            for layer, share in (("a", 1), ("total", 2))]  # fmt: skip
GRAPH = [{"name": kind, "kind": kind, "shape": [4, 3], "sources": taken, "depth": depth, "delay": depth}
         for depth, (kind, taken) in enumerate((("input", []), ("neurons", ["input"])))]  # fmt: skip
CHIP_LAYERS = [
    layer(name) | {
        f"energy_{part}_pj": 1e6 * (share + index) for index, part in enumerate(CROSSBAR_COMPONENTS)
    } | {"cycles": 100 * share, "compute_cycles": 60 * share, "imc_noc_in_cycles": 20 * share,
         "imc_noc_out_cycles": 15 * share, "imc_lif_cycles": 5 * share, "imc_busy_cycles": 150}
    for share, name in ((1, "conv"), (3, "fc"))
]  # fmt: skip
TILES = [{"name": "conv", "tiles": 2, "pes": 3, "pes_per_tile": 2, "cell_utilization": 0.5},
         {"name": "fc", "tiles": 3, "pes": 6, "pes_per_tile": 2, "cell_utilization": 1.0}]  # fmt: skip
CHIPS = [{"run": run, **{f"energy_{part}_pj": share * 1e6 for part in CROSSBAR_COMPONENTS},
          **{f"area_{part}_mm2": share * (1 + index) for index, part in enumerate(CROSSBAR_COMPONENTS)}}
         for share, run in ((1, "x"), (2, "y"))]  # fmt: skip

MAPPED_WAYS = [{"kind": kind, "pool": pool, "method": method, "start": start, "objective": objective,
                "area": area, "routes": area // 8, "less_percent": round(100 - area / 5, 2)}
               for kind, pool, share in (("homogeneous", "16x16", 1), ("heterogeneous", "table2", 3))
               for method, start, objective, area in (("greedy", "", "", 400 // share),
                                                      ("mcc", "single", "", 500 // share),
                                                      ("anneal", "", "area", 360 // share))]  # fmt: skip
MAPPED_STEPS = [{"stage": stage, "run": run, "steps": 1e6 * at, "value": base - 100 * at - 10 * run,
                 "bound": bound}
                for stage, base, bound, runs in (("area", 900, 300, 2), ("packets", 5000, None, 1))
                for run in range(1, runs + 1) for at in range(4)]  # fmt: skip
MAPPED_TYPES = [{"type": "4x4", "crossbars": 3, "area": 48}, {"type": "16x4", "crossbars": 1, "area": 64}]
MAPPED_BOXES = [
    {"type": f"{a}x{n}", "inputs": a, "outputs": n, "axons": used, "neurons": held}
    for a, n, used, held in ((4, 4, 3, 4), (16, 4, 16, 4), (16, 8, 9, 2), (4, 4, 4, 1))
]
MAPPED_MESH = [
    *({"what": "tile", "x": j % 2, "y": j // 2, "crossbar": j, "type": ("4x4", "16x4")[j % 2]}
      for j in range(3)),
    *({"what": "link", "x": x, "y": y, "to_x": to_x, "to_y": to_y, "packets": packets}
      for x, y, to_x, to_y, packets in ((0, 0, 1, 0, 7), (0, 1, 1, 1, 0), (0, 0, 0, 1, 12), (1, 0, 1, 1, 3))),
    {"what": "entry", "x": 0, "y": 0},
]  # fmt: skip
MAPPED_FRONT = [{"area_budget": b, "area": a, "routes": r, "packets": 9 * r, "crossbars": c}
                for b, a, r, c in ((100, 96, 50, 9), (120, 112, 44, 8), (140, 112, 45, 7))]  # fmt: skip
HELD_OUT = [{"sample": 3 * at, "packets": packets, "profile": int(packets == 95)}
            for at, packets in enumerate((90, 110, 95, 100, 120))]  # fmt: skip


def knob_rows(key: str, values: tuple[Any, ...] = (4, 8, 16), **more: Any) -> Rows:
    """A sweep of two machines over a key."""
    return [
        point(arch, 1e-3, 1e6) | {
            key: value, "mean_energy_pj": 1e6 * (2 + at), "mean_seconds": 1e-3 * (5 - at),
            "mean_edp_js": 1e-9, "area_mm2": 2.0 * at, "samples": 4, **more,
        }
        for arch in "xy" for at, value in enumerate(values)
    ]  # fmt: skip


NETWORKS = [
    {
        "score": -20.0 + number, "parameters": 900 * (number + 1), "area_mm2": 1.0 + number,
        "latency_ms": 2.0 + number, "energy_uj": 9.0 - number, "edp_js": 2e-9 * (number + 1),
        "limit_energy_uj": 7.5, "convolutions": number,
        "feasible": number > 1, "front": number == 3, "role": "winner" if number == 3 else "",
    }
    for number in range(4)
]  # fmt: skip
CELLS = [
    {"cell": name, "written": "120000", "from": i, "to": j, "operation": operation, "live": j != 1}
    for name in "AB"
    for i, j, operation in ((0, 1, "conv3x3"), (0, 2, "avgpool3x3"), (0, 3, "skip"), (2, 3, "skip"))
]
EXPLORED = [
    {"order": at + 1, "arch": "xy"[at % 2], "objective": goal, "unit": unit, "maximise": False,
     "value": value, "feasible": at != 3, "front": at < 3}
    for at, values in enumerate([(1e6, 3.0), (2e6, 2.0), (4e6, 1.0), (9e5, 0.5), (5e6, 3.5)])
    for goal, unit, value in zip(("energy_pj", "latency_ms"), ("pJ", "ms"), values, strict=True)
]  # fmt: skip
VOLUMES = [{"order": at + 1, "hypervolume": value} for at, value in enumerate([0.2, 0.2, 0.7, 0.9])]
SHARES = [{"objective": goal, "key": key, "share": share}
          for goal, first in (("energy_pj", 0.7), ("front", 0.4))
          for key, share in (("tws", first), ("memory.lbuf.bytes", 1 - first))]  # fmt: skip
FUNCTIONS: dict[str, tuple[Callable[..., Any], Rows]] = {
    "energy-components": (plots.energy_by_component, LAYERS),
    "energy-tensors": (plots.energy_by_tensor, ACCESSES),
    "stalls": (plots.stalls, LAYERS),
    "utilization": (plots.utilization, LAYERS),
    "roofline": (plots.roofline, ROOF),
    "critical-path": (plots.critical_path, CHIP_LAYERS),
    "mapping": (plots.mapping, TILES),
    "area": (plots.area_by_machine, CHIPS),
    "comparison": (plots.comparison, RUNS),
    "energy-machines": (plots.energy_by_machine, CHIPS),
    "crossbar-size": (plots.against_crossbar_size, knob_rows("imc.crossbar")),
    "adc-bits": (plots.against_adc_bits, knob_rows("imc.adc.bits", (4, 10, "auto"))),
    "device-bits": (plots.against_device_bits, knob_rows("imc.device.bits", (1, 2, 4), accuracy=0.5)),
    "r-on": (plots.against_r_on, knob_rows("imc.device.r_on_kohm", (20.0, 50.0, 200.0))),
    "timesteps": (plots.against_timesteps, knob_rows("timesteps", area_mm2=None)),
    "tws": (plots.against_tws, SWEEP),
    "firing-rate": (plots.against_firing_rate, RATES),
    "array-size": (plots.against_array_size, SIZES),
    "pareto": (plots.pareto, SWEEP),
    "pareto-area": (plots.pareto_of_area, SWEPT_AREAS),
    "raster": (plots.raster, SPIKES),
    "graph": (plots.graph, GRAPH),
    "evaluate": (plots.evaluation, EVALUATED),
    "ann": (plots.against_ann, ANN),
    "dynamic": (plots.dynamic, DYNAMIC),
    "search-tws": (plots.window_search, SEARCH),
    "dispatch": (plots.dispatch_policies, POLICIES),
    "map-compare": (plots.mapping_comparison, MAPPED_WAYS),
    "map-steps": (plots.mapping_steps, MAPPED_STEPS),
    "map-types": (plots.mapping_types, MAPPED_TYPES),
    "map-crossbars": (plots.mapping_crossbars, MAPPED_BOXES),
    "map-mesh": (plots.mapping_mesh, MAPPED_MESH),
    "map-front": (plots.mapping_front, MAPPED_FRONT),
    "map-held-out": (plots.mapping_held_out, HELD_OUT),
    "nas-costs": (searched.against_costs, NETWORKS),
    "nas-cells": (searched.cells, CELLS),
    "explore-front": (plots.exploration_front, EXPLORED),
    "explore-hypervolume": (plots.exploration_hypervolume, VOLUMES),
    "explore-importance": (plots.exploration_importance, SHARES),
}


def axes_of(ax: Any) -> list[Any]:
    return list(ax) if isinstance(ax, tuple) else [ax]


def widths(axis: Any) -> list[list[float]]:
    """Lengths of the bars of an axis, part by part."""
    return [[bar.get_width() for bar in part] for part in axis.containers]


def lines(axis: Any) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)] for line in axis.lines]


# --- every figure ----------------------------------------------------------------------------------


def test_every_figure_is_tried() -> None:
    assert set(FUNCTIONS) == set(NAMES) - {*PAPER_FIGURES, *IMC_FIGURES}


@pytest.mark.parametrize(("name", "count"), in_turn(FUNCTIONS))
def test_figure_has_its_width_units_and_a_legend(name: str, count: int) -> None:
    draw, rows = FUNCTIONS[name]
    figure, ax = draw(rows, style=plots.columns(count))
    assert figure.get_figwidth() == {1: 3.5, 2: 7.16}[count]
    labels = [axis.get_xlabel() for axis in axes_of(ax)] + [axis.get_ylabel() for axis in figure.axes]
    named = [label for label in labels if label]
    assert named or name == "nas-cells"
    without = {"Array (rows×columns)", "Fitness", "Convolutions in both cells"}
    assert all(re.search(r"\(.+\)$", label) for label in named if label not in without), named


@pytest.mark.parametrize(("name", "count"), in_turn(FUNCTIONS))
def test_nothing_is_cut_off(name: str, count: int) -> None:
    draw, rows = FUNCTIONS[name]
    figure, _ = draw(rows, style=plots.columns(count))
    pixels = imread(io.BytesIO(plots.file_bytes(figure, "png")))[..., :3]
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    assert all((edge == 1).all() for edge in edges)
    assert pixels.shape[1] == pytest.approx(300 * figure.get_figwidth(), abs=1)


def hashes(third: int) -> list[str]:
    """Of every third figure; as PDF and PNG, which take long, of some."""
    files = [
        plots.file_bytes(draw(rows)[0], form)
        for name, (draw, rows) in list(FUNCTIONS.items())[third::3]
        for form in FORMATS
        if form == "svg" or name in ("stalls", "pareto", "raster")
    ]
    for word in (b"Date", b"dc:date", b"Matplotlib v", b"matplotlib.org"):
        assert not any(word in file for file in files)
    return [sha256(file).hexdigest() for file in files]


@pytest.mark.parametrize("third", THIRDS)
def test_same_rows_give_the_same_bytes_here_and_in_another_process(third: int) -> None:
    script = (
        "import matplotlib, test_plots\n"
        "matplotlib.rcParams.update({'font.size': 20, 'svg.hashsalt': 'other', 'axes.grid': True})\n"
        f"print(*test_plots.hashes({third}))\n"
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
    assert len(set(once)) == len(once) >= len(FUNCTIONS) // 3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_figure_is_drawn_into_given_axes(name: str) -> None:
    draw, rows = FUNCTIONS[name]
    count = len(axes_of(draw(rows)[1]))
    figure = Figure()
    given = figure.subplots(1, count, squeeze=False)[0]
    returned, ax = draw(rows, ax=given if count > 1 else given[0])
    assert returned is figure
    assert axes_of(ax) == list(given)
    with pytest.raises(FigureError, match="ax: this figure has"):
        draw(rows, ax=figure.subplots(1, count + 1))


def test_fonts_are_inside_the_files() -> None:
    figure, _ = plots.stalls(LAYERS)
    pdf = plots.file_bytes(figure, "pdf")
    assert b"FontFile2" in pdf and b"/Type3" not in pdf
    assert b"<text" not in plots.file_bytes(figure, "svg")
    with pytest.raises(FigureError, match="format: must be one of pdf, png, svg, not eps"):
        plots.file_bytes(figure, "eps")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_missing_column_and_no_rows_are_errors(name: str) -> None:
    draw, _ = FUNCTIONS[name]
    with pytest.raises(FigureError):
        draw([])
    with pytest.raises(FigureError):
        draw([{"error": "", "trace": "t", "arch": "x"}])


def test_values_that_are_no_numbers_are_errors() -> None:
    for wrong in (None, "many", float("nan"), -1, True):
        with pytest.raises(FigureError, match="energy_pj: must be a number of 0 or more"):
            plots.against_tws([SWEEP[0] | {"energy_pj": wrong}])


# --- what each shows -------------------------------------------------------------------------------


def test_energy_by_component_equals_the_rows() -> None:
    _, (layers, total) = plots.energy_by_component([*LAYERS, layer("pool") | {"cycles": 0}])
    assert layers.get_xlabel() == "Energy (µJ)"
    assert widths(layers) == [[row[c] / 1e6 for row in LAYERS] for c in COMPONENTS]
    assert widths(total) == [[sum(row[c] for row in LAYERS) / 1e6] for c in COMPONENTS]
    assert [text.get_text() for text in layers.get_yticklabels()] == ["conv", "fc"]


def test_what_arrays_spend_besides_is_drawn_where_it_is() -> None:
    clocked = [row | {"energy_clock_pj": 3e6, "energy_scanner_pj": 0.0} for row in LAYERS]
    _, (layers, total) = plots.energy_by_component(clocked)
    assert widths(layers)[-1] == [3, 3] and widths(total)[-1] == [6]
    assert len(widths(layers)) == len(COMPONENTS) + 1
    runs = plots.energy_rows([row | {"run": "x"} for row in clocked] + [row | {"run": "y"} for row in LAYERS])
    chip = CHIPS[0] | dict.fromkeys(COMPONENTS, 1e6)
    _, ax = plots.energy_by_machine([*runs, {**chip, "energy_clock_pj": 9.0}])
    assert widths(ax)[-1] == [6, 0, 0]


def test_energy_by_tensor_equals_the_rows() -> None:
    _, (layers, total) = plots.energy_by_tensor(ACCESSES)
    assert layers.get_xlabel() == "Access energy (pJ)"
    np.testing.assert_allclose(widths(layers), [[45, 0], [0, 60], [0, 0], [0, 0], [3, 0]])
    np.testing.assert_allclose(widths(total), [[45], [60], [0], [0], [3]])
    with pytest.raises(FigureError, match="tensor: must be one of"):
        plots.energy_by_tensor([access("conv", "glb", "bias", 1, 1)])


def test_stalls_are_shares_of_cycles() -> None:
    _, ax = plots.stalls(LAYERS)
    np.testing.assert_allclose(widths(ax), [[row] * 3 for row in (60, 20, 15, 5, 0)])
    assert len(ax.containers) == len(STALLS)


def test_heat_maps() -> None:
    _, ax = plots.utilization(LAYERS)
    np.testing.assert_allclose(ax.collections[0].get_array(), [[50, 12.5], [25, 12.5]])
    runs = [layer("a") | {"run": "x"}, layer("b") | {"run": "x"}, layer("a", 0.5) | {"run": "y"}]
    _, ax = plots.utilization(runs)
    shown = ax.collections[0].get_array()
    np.testing.assert_allclose(shown.filled(-1), [[50, 25], [50, -1]])
    _, ax = plots.utilization(SWEEP)
    assert ax.collections[0].get_array().shape == (2, 2)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "4"]


def test_an_exploration(tmp_path: Path) -> None:
    keys = {"tws": [1, 2, 4], "array.rows": [2, 4]}
    neuron = {"threshold": 5, "leak_shift": 3}
    fc = {"name": "fc", "kind": "linear", "in_channels": 6, "out_channels": 4, "neuron": neuron}
    trace = Trace.from_arrays([fc], np.ones((6, 16), bool), weights=[np.ones((4, 6), np.int8)])
    found = explore(trace, keys, ["energy_pj", "max:utilization"], sampler="grid", out=tmp_path)
    lacks = {one.name: one.lacks for one in drawings_of(tmp_path) if one.name.startswith("explore-")}
    assert lacks.pop("explore-importance").startswith("importances need at least 10 feasible points")
    assert lacks == {"explore-front": "", "explore-hypervolume": ""}
    _, ax = plots.exploration_front(explored.front_rows(found))
    on = sorted((one.figures["energy_pj"] / 1e3, one.figures["utilization"]) for one in found.front)
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), on)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Energy (nJ)", "Utilization, more is better")
    _, axis = plots.exploration_hypervolume(explored.volume_rows(found))
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [100 * one.hypervolume for one in found.points])
    _, ax = plots.exploration_importance(SHARES)
    np.testing.assert_allclose(widths(ax), [[70, 30], [40, 60]])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["tws", "memory.lbuf.bytes"]


def test_roofline() -> None:
    assert ROOF[0]["dram_bytes"] == 1000
    _, ax = plots.roofline(ROOF)
    roof, conv, fc = lines(ax)
    assert conv == [(4.0, pytest.approx(20))] and fc == [(2.0, pytest.approx(20))]
    assert roof[1] == (0.8, 16.0) and roof[2][1] == 16.0
    assert roof[0][1] == pytest.approx(20 * roof[0][0])
    many = [row | {"name": f"l{i}"} for i in range(20) for row in ROOF[:1]]
    _, ax = plots.roofline(many)
    assert ax.collections[0].get_offsets().tolist() == [[4.0, pytest.approx(20)]] * 20
    with pytest.raises(FigureError, match=r"config\.clock_mhz: no such key"):
        plots.roofline_rows(LAYERS, ACCESSES, {"array": {"rows": 4, "cols": 8}})


def test_lines_against_window_size() -> None:
    auto = point("x", 1e-3, 1e6, tws="auto")
    failed = point("y", 0, 0, tws=8) | {"error": "does not fit", "seconds": None}
    figure, (latency, energy) = plots.against_tws([*SWEEP, auto, failed])
    np.testing.assert_allclose(lines(latency), [[(2, 2), (4, 4)], [(2, 4), (4, 8)]])
    np.testing.assert_allclose(lines(energy), [[(2, 4), (4, 2)], [(2, 4.5), (4, 2.25)]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y"]
    assert (latency.get_ylabel(), energy.get_ylabel()) == ("Latency (ms)", "Energy (µJ)")
    with pytest.raises(FigureError, match="no point has a window size"):
        plots.against_tws([auto])


def test_lines_against_firing_rate_and_array_size() -> None:
    dense = point("dense", 1e-3, 1e6, tws=4) | {"trace": "t1", "tops": 4.0}
    _, (latency, _) = plots.against_firing_rate([*RATES, dense])
    np.testing.assert_allclose(lines(latency)[0], [(2.5, 1), (5, 2), (7.5, 3)])
    np.testing.assert_allclose(lines(latency)[1], [(2.5, 1)])
    _, (latency, energy) = plots.against_array_size(SIZES)
    assert [text.get_text() for text in latency.get_xticklabels()] == ["4×4", "8×4", "4×16", "8×16"]
    np.testing.assert_allclose(lines(energy), [[(0, 4), (1, 8), (2, 4), (3, 8)]])
    with pytest.raises(FigureError, match=r"array\.rows: no such column, nor array\.cols"):
        plots.against_array_size(SWEEP)


def test_pareto_front() -> None:
    figure, ax = plots.pareto(SWEEP)
    x, y, front = lines(ax)
    np.testing.assert_allclose(x, [(2, 4), (4, 2)])
    np.testing.assert_allclose(y, [(4, 4.5), (8, 2.25)])
    np.testing.assert_allclose(front, x)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["x", "y", "front", "a: x, tws 2", "b: x, tws 4"]


def test_comparison_is_relative_to_the_first() -> None:
    _, ax = plots.comparison(RUNS)
    heights = [[bar.get_height() for bar in part] for part in ax.containers]
    assert heights == [[1, 1, 1, 1], [3, 3, 1, 9]]
    with pytest.raises(FigureError, match="edp_js: is 0 in the first run"):
        plots.comparison([RUNS[0] | {"edp_js": 0}, RUNS[1]])


def test_raster_shows_spikes_and_tags() -> None:
    spikes = np.zeros((6, 10), bool)
    spikes[1, [0, 5]] = spikes[4, 9] = True
    neuron = {"threshold": 1, "leak_shift": 4}
    fc = {"name": "fc", "kind": "linear", "in_channels": 6, "out_channels": 2, "neuron": neuron}
    trace = Trace.from_arrays([fc], spikes)
    rows = plots.spike_rows(trace, 4)
    assert [(row["neuron"], row["times"], row["windows"]) for row in rows] == [
        (1, [0, 5], [0, 1]),
        (4, [9], [2]),
    ]
    _, ax = plots.raster(rows)
    assert lines(ax)[0] == [(0.5, 0), (5.5, 0), (9.5, 1)]
    corners = [path.vertices[:4, 0].tolist() for path in ax.collections[0].get_paths()]
    assert corners == [[0, 4, 4, 0], [4, 8, 8, 4], [8, 10, 10, 8]]
    with pytest.raises(FigureError, match="no input spikes"):
        plots.spike_rows(Trace.from_arrays([fc], np.zeros((6, 10), bool)))
    with pytest.raises(FigureError, match="layer 3"):
        plots.spike_rows(trace, layer=3)


def test_hard_cases_can_be_drawn() -> None:
    names = ["backbone.layer3.0.downsample.$conv$_1", "_hidden", "脉冲\n层", "fc"]
    for name in names:
        for draw in (plots.energy_by_component, plots.stalls, plots.utilization):
            plots.file_bytes(draw([layer(name)])[0], "svg")
    plots.energy_by_component([layer("zero") | dict.fromkeys(COMPONENTS, 0)])
    plots.against_tws([point("x", 0, 0, tws=4)])
    plots.against_tws([point("x", 1e-9 * 10**t, 10**t, tws=2**t) for t in range(6)])
    plots.pareto([point("x", 1e-3, 1e6)])
    assert len(short(names[0]).replace("\\", "")) <= 18
    assert plain("脉_$") == r"?_\$" and plain("_x") == " _x"


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(FigureError, match="30 lines, more than 28"):
        plots.against_tws([point(f"x{n}", 1, 1, tws=4) for n in range(30)])


# --- folders and the command -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def trace() -> Trace:
    neuron = {"threshold": 2, "leak_shift": 2}
    conv = {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 2,
            "in_height": 3, "in_width": 3, "neuron": neuron}  # fmt: skip
    return Trace.from_arrays([conv], np.ones((1, 3, 3, 16), bool), weights=[np.ones((2, 1, 2, 2), np.int8)])


@pytest.fixture(scope="module")
def kept(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as run, compare and sweep leave them, and a trace."""
    folder = tmp_path_factory.mktemp("results")
    save_trace(trace, folder / "trace.npz")
    for arch in ("spikex", "ptb"):
        simulate(trace, arch, tws=4).save(folder / "compare" / arch)
    for tws in (2, 16, 4):
        simulate(trace, "spikex", tws=tws).save(folder / "windows" / f"tws-{tws}")
    simulate(trace, "spikex", tws=4).save(folder / "run")
    sweep(trace, {"tws": [2, 4], "array.cols": [4, 8]}, out=folder / "sweep")
    return folder


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("run", {"energy-components", "energy-tensors", "stalls", "utilization", "roofline", "area"}),
        ("compare", {"comparison", "energy-machines", "utilization", "area"}),
        ("windows", {"comparison", "energy-machines", "utilization", "area"}),
        ("sweep", {"tws", "array-size", "utilization", "pareto", "pareto-area"}),
        ("trace.npz", {"raster"}),
    ],
)
def test_command_draws_what_is_there(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, names: set[str]
) -> None:
    assert main(["plot", str(kept / source), "--format", "svg,png", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}.{f}" for n in names for f in ("svg", "png")}
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in tmp_path.iterdir())
    assert ("left out firing-rate: one trace only" in printed) == (source == "sweep")


def test_one_figure_goes_to_the_folder_itself(kept: Path) -> None:
    assert main(["plot", str(kept / "run"), "--figure", "stalls", "--columns", "2"]) == 0
    assert [path.name for path in (kept / "run/figures").iterdir()] == ["stalls.pdf"]


def test_files_hold_what_functions_were_given(kept: Path, trace: Trace) -> None:
    """Rows that were read back are those that a run returns."""
    result = simulate(trace, "spikex", tws=4)
    for file, rows in (("layers.csv", result.layer_rows()), ("accesses.csv", result.access_rows())):
        assert read_rows(kept / "run" / file) == rows
    named = {d.name: d.rows() for d in drawings_of(kept / "windows")}
    assert [row["run"] for row in named["comparison"]] == ["TWS 2", "TWS 4", "TWS 16"]


def cut(file: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> object:
        text = (folder / file).read_text("utf-8")
        assert old in text
        return (folder / file).write_text(text.replace(old, new), "utf-8")

    return change


@pytest.mark.parametrize(
    ("source", "spoil", "options", "message"),
    [
        ("run", None, ["--figure", "pie"], "--figure: 'pie' is none of"),
        ("run", None, ["--figure", "pareto"], "--figure pareto: cannot be drawn from .*: it permits"),
        ("sweep", None, ["--figure", "firing-rate"], "cannot be drawn from .*: one trace only"),
        ("run", None, ["--format", "eps"], "--format: 'eps' is none of pdf, png, svg"),
        ("run", None, ["--columns", "3"], "columns: are 1 or 2, not 3"),
        ("run", lambda f: (f / "layers.csv").unlink(), [], "layers.csv: no such file"),
        ("run", lambda f: (f / "layers.csv").write_text(""), [], "layers.csv: has no rows"),
        ("run", lambda f: (f / "layers.csv").write_bytes(b"\xff\x00"), [], "layers.csv: cannot be read"),
        ("run", lambda f: (f / "accesses.csv").write_text("a,b\n1\n"), [], "line 2 has 1 cells"),
        ("run", lambda f: (f / "results.json").write_text('{"a": '), [], "results.json: is not the results"),
        ("run", lambda f: (f / "results.json").write_text("[1]"), [], "results.json: schema: must be"),
        ("run", lambda f: (f / "accesses.csv").write_text("a,a\n1,1\n"), [], "a: there are two columns"),
        ("run", cut("results.json", '"config"', '"conf"'), [], "results.json: config: missing"),
        ("run", cut("layers.csv", "energy_rf_pj", "rf"), ["--figure", "energy-components"], "no such column"),
        ("sweep", cut("sweep.csv", "seconds", "time"), ["--figure", "tws"], "seconds: no such column"),
        ("sweep", lambda f: (f / "sweep.csv").write_text("trace,arch\n"), [], "sweep.csv: has no rows"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_leave_nothing(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    source: str, spoil: Any, options: list[str], message: str,
) -> None:  # fmt: skip
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(kept / source, folder)
    if spoil:
        spoil(folder)
    assert main(["plot", str(folder), *options, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1
    assert not out.exists()


def test_folders_without_results(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(tmp_path)]) == 2
    assert "holds no results: neither results.json nor sweep.csv" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    shutil.copytree(kept / "compare", tmp_path / "mixed")
    file = tmp_path / "mixed/ptb/results.json"
    results = json.loads(file.read_text())
    results["trace"]["sha256"] = "other"
    file.write_text(json.dumps(results))
    assert main(["plot", str(tmp_path / "mixed"), "--figure", "comparison"]) == 2
    assert "the runs are of different traces" in capsys.readouterr().err
