"""Figures of crossbar machines show what their results hold; others are left out, with the reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from test_plots import CHIPS, LAYERS, TILES, knob_rows, lines, widths
from test_plots_damage import put

from drawn_texts import misplaced
from spikex_sim import load_results, plots
from spikex_sim.__main__ import main
from spikex_sim.core.errors import FigureError
from spikex_sim.costs.crossbar import CROSSBAR_COMPONENTS
from spikex_sim.explore.sweeps.runner import sweep
from spikex_sim.explore.sweeps.table import is_measured, measures
from spikex_sim.plots.crossbars import LIGHTEST, PATH
from spikex_sim.plots.folder import AT_ONCE, NO_DRAM, RELEASED, drawings_of
from spikex_sim.plots.style import FILLS
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.crossbar.mapping import LayerMapping, Mesh
from spikex_sim.trace.trace import Trace

SMALL = {"imc.crossbar": 16, "imc.crossbars_per_pe": 2, "imc.pes_per_tile": 2}


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Two labelled samples of a convolution, pooling and a linear layer."""
    neuron = {"threshold": 2, "leak_shift": 2}
    rng = np.random.default_rng(3)
    layers = [
        {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": 3, "in_height": 6,
         "in_width": 6, "neuron": neuron},
        {"name": "pool", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "kernel": 2, "stride": 2,
         "in_height": 4, "in_width": 4},
        {"name": "fc", "kind": "linear", "in_channels": 20, "out_channels": 3, "neuron": neuron},
    ]  # fmt: skip
    conv, fc = (rng.integers(-40, 41, shape, np.int8) for shape in ((5, 2, 3, 3), (3, 20)))
    spikes = rng.random((2, 2, 6, 6, 8)) < 0.3
    return Trace.from_arrays(layers, spikes, weights=[conv, None, fc], label=(0, 1))


@pytest.fixture(scope="module")
def kept(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chips")
    simulate(trace, "spikesim", overrides=SMALL).save(folder / "run")
    simulate(trace, "spikesim-released").save(folder / "released")
    for arch in ("spikesim", "neuronas"):
        simulate(trace, arch).save(folder / "chips" / arch)
    for arch in ("spikex", "spikesim"):
        simulate(trace, arch).save(folder / "mixed" / arch)
    grid = {"imc.crossbar": [16, 32], "imc.adc.bits": [4, 5, "auto"]}
    sweep(trace, grid, arch="spikesim", overrides={"imc.device.bits": 2}, out=folder / "sweep")
    return folder


def drawn(folder: Path, name: str) -> Any:
    (drawing,) = (one for one in drawings_of(folder) if one.name == name)
    assert not drawing.lacks
    return drawing.draw(drawing.rows(), None, None)


@pytest.mark.parametrize(
    ("source", "names", "left"),
    [
        (
            "run",
            "energy-components energy-tensors utilization critical-path mapping area",
            {"stalls": AT_ONCE, "roofline": NO_DRAM},
        ),
        (
            "released",
            "energy-components utilization area",
            {"critical-path": RELEASED, "mapping": RELEASED, "energy-tensors": "no layer accesses anything"},
        ),
        ("chips", "comparison energy-machines area utilization", {}),
        ("mixed", "comparison energy-machines area utilization", {}),
        ("sweep", "crossbar-size adc-bits pareto pareto-area", {"tws": "tws was not swept"}),
    ],
)
def test_folders_permit_what_their_machines_have(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, names: str,
    left: dict[str, str],
) -> None:  # fmt: skip
    assert main(["plot", str(kept / source), "--format", "svg", "--out", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.iterdir()} == set(names.split())
    said = dict(re.findall(r"left out (\S+): (.*)", capsys.readouterr().out))
    assert all(why in said[name] for name, why in left.items()), said


def test_energy_and_area_are_those_of_results(kept: Path) -> None:
    results = load_results(kept / "run")
    layers = [one for one in results.layers if one.cycles]
    _, (bars, total) = drawn(kept / "run", "energy-components")
    unit = {"Energy (nJ)": 1e3, "Energy (µJ)": 1e6}
    per = unit[bars.get_xlabel()]
    expected = [[one.energy_pj_by[part] / per for one in layers] for part in CROSSBAR_COMPONENTS]
    np.testing.assert_allclose(widths(bars), expected)
    whole = results.totals.energy_pj / unit[total.get_xlabel()]
    assert sum(map(sum, widths(total))) == pytest.approx(whole)
    _, ax = drawn(kept / "run", "area")
    assert ax.get_xlabel() == "Known area (mm²)"
    areas = [[results.totals.area_um2[part] / 1e6] for part in CROSSBAR_COMPONENTS]
    np.testing.assert_allclose(widths(ax), areas)


def test_machines_side_by_side_have_common_levels(kept: Path) -> None:
    _, ax = drawn(kept / "mixed", "energy-machines")
    per = {"Energy (nJ)": 1e3, "Energy (µJ)": 1e6}[ax.get_xlabel()]
    spikesim, spikex = (load_results(kept / "mixed" / arch).totals for arch in ("spikesim", "spikex"))
    for part, bars in zip(("dram", "glb", "lbuf", "rf", "alu"), widths(ax), strict=True):
        expected = [spikesim.energy_by_level_pj[part], spikex.energy_pj_by[part]]
        np.testing.assert_allclose(bars, np.divide(expected, per))
    _, ax = drawn(kept / "chips", "energy-machines")
    assert len(ax.containers) == len(CROSSBAR_COMPONENTS)


@pytest.mark.parametrize("arch", ["spikesim", "neuronas", "spikesim-released"])
def test_levels_add_up_to_the_energy(trace: Trace, arch: str) -> None:
    result = simulate(trace, arch)
    assert result.totals.energy_by_level_pj is not None
    for costs in (result.totals, *result.layers, *result.samples):
        assert sum((costs.energy_by_level_pj or {}).values()) == pytest.approx(costs.energy_pj, rel=1e-12)
    by, levels = result.totals.energy_pj_by, result.totals.energy_by_level_pj
    assert levels["dram"] == 0 and levels["alu"] >= by["crossbar"] + by["adc"] + by["digital"]
    spent = dict(result.totals.counts)
    if arch != "spikesim-released":
        prices = next(one.prices for one in result.energy_model.components if one.name == "buffers")
        counter = ("buffers", "pb", "psum")
        assert prices is not None and levels["rf"] == pytest.approx(spent[counter] * prices[counter])


def test_critical_path_is_that_of_results(kept: Path) -> None:
    results = load_results(kept / "run")
    layers = [one for one in results.layers if one.cycles]
    _, (path, shares) = drawn(kept / "run", "critical-path")
    total = results.totals.cycles
    assert total == sum(one.cycles for one in layers)

    def spent(one: Any) -> list[int]:
        return [one.compute_cycles, *one.imc["stalls"].values()]

    expected = 100 / total * np.array([*zip(*map(spent, layers), strict=True)], float)
    np.testing.assert_allclose(widths(path)[: len(PATH)], expected)
    np.testing.assert_allclose(widths(path)[len(PATH)], [100 * one.imc["busy"] / total for one in layers])
    np.testing.assert_allclose(np.sum(widths(shares), axis=0), 100)
    np.testing.assert_allclose(np.array(widths(shares))[:, -1], 100 * np.array(spent(results.totals)) / total)


def test_tiles_lie_where_the_mesh_puts_them(kept: Path) -> None:
    results = load_results(kept / "run")
    rows = plots.mapping_rows(results.layers, results.content["config"])
    assert [row["name"] for row in rows] == ["conv", "fc"]
    _, ax = plots.mapping(rows)
    image = ax.collections[0].get_array()
    side = image.shape[0]
    tiles = sum(row["tiles"] for row in rows)
    assert (side - 1) ** 2 < tiles + 1 <= side**2
    nodes = [(y, x) for y in range(side) for x in range(side) if (y, x) != (side // 2, side // 2)]
    np.testing.assert_array_equal(image[side // 2, side // 2], to_rgb("#000000"))
    at = 0
    for row, fill in zip(rows, FILLS, strict=False):
        pes_left = row["pes"]
        for _ in range(row["tiles"]):
            share = row["cell_utilization"] * min(row["pes_per_tile"], pes_left) / row["pes_per_tile"]
            weight = LIGHTEST + (1 - LIGHTEST) * share
            np.testing.assert_allclose(image[nodes[at]], 1 - weight * (1 - np.array(to_rgb(fill))))
            pes_left -= row["pes_per_tile"]
            at += 1
    assert all(tuple(image[node]) == to_rgb("#F4F4F4") for node in nodes[at:])


def test_places_are_those_of_the_mesh() -> None:
    layer = LayerMapping(1, 1, 1, np.zeros(1, np.int64), np.zeros(1, np.int64), 2, 1, 1, 1)
    mesh = Mesh((layer,) * 5)
    rows = [TILES[1] | {"tiles": 5, "pes": 10}]
    image = plots.mapping(rows)[1].collections[0].get_array()
    filled = {(int(y), int(x)) for y, x in np.argwhere(np.isclose(image, to_rgb(FILLS[0])).all(axis=-1))}
    assert filled == {(int(y), int(x)) for y, x in mesh.places} and mesh.node == (1, 1)


def test_lines_against_a_key_are_the_rows() -> None:
    rows = knob_rows("imc.crossbar", (32, 64, 128), accuracy=0.5, software_accuracy=0.75)
    figure, axes = plots.against_crossbar_size(rows)
    labels = [axis.get_ylabel() for axis in axes]
    assert labels == ["Energy (µJ)", "Latency (ms)", "Area (mm²)", "Correct (%)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "exact sums"]
    assert figure.get_supxlabel().startswith("energy, latency")
    shown = [[2, 3, 4], [5, 4, 3], [0, 2, 4], [50, 50, 50]]
    for axis, values in zip(axes, shown, strict=True):
        np.testing.assert_allclose(lines(axis)[:2], [list(zip((32, 64, 128), values, strict=True))] * 2)
    np.testing.assert_allclose(lines(axes[3])[2], [(32, 75), (64, 75), (128, 75)])
    _, axes = plots.against_crossbar_size([row | {"accuracy": None} for row in rows])
    assert [axis.get_ylabel() for axis in axes][2:] == ["EDP (nJs)", "Area (mm²)"]


def test_words_come_after_numbers_and_unknown_areas_leave_two_panels() -> None:
    rows = knob_rows("imc.adc.bits", ("auto", 10, 4), area_mm2=None)
    _, (energy, latency) = plots.against_adc_bits(rows)
    assert [text.get_text() for text in energy.get_xticklabels()] == ["4", "10", "auto"]
    assert lines(energy) == [[(0.0, 4.0), (1.0, 3.0), (2.0, 2.0)]] * 2
    assert latency.get_ylabel() == "Latency (ms)"
    with pytest.raises(FigureError, match=r"imc\.adc\.bits: no such column"):
        plots.against_adc_bits([{"error": "", "trace": "t", "arch": "x"}])


@pytest.mark.parametrize("count", [1, 2])
def test_many_layers_and_tiles_keep_their_names_apart(count: int) -> None:
    for layers, tiles in ((40, 3), (70, 30)):
        rows = [TILES[1] | {"name": f"features.{n}.conv", "tiles": tiles, "pes": 2 * tiles}
                for n in range(layers)]  # fmt: skip
        figure, ax = plots.mapping(rows, style=plots.columns(count))
        assert not misplaced(figure)
        assert ("the first 60 named" in figure.get_supxlabel()) == (layers > 60)
        assert len(ax.texts) in (layers * tiles + 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tiles": 3}, "tiles: 3 PEs do not take 3 tiles of 2"),
        ({"tiles": 2.5}, "tiles: 3 PEs do not take 2.5 tiles"),
        ({"tiles": 1 << 40, "pes": 1 << 41}, "tiles: .* PEs do not take"),
        ({"pes_per_tile": 0}, "tiles: 3 PEs do not take"),
        ({"cell_utilization": 1.5}, "cell_utilization: must be 0 to 1, not 1.5"),
        ({"cell_utilization": None}, "cell_utilization: must be a number"),
        ({"pes": True}, "pes: must be a number"),
    ],
)
def test_mappings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FigureError, match=message):
        plots.mapping([TILES[0] | change])
    with pytest.raises(FigureError, match="tiles: must add up to 1 to 65,536, not 0"):
        plots.mapping([])


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[int(key) if key.isdecimal() else key]
        del content[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("layers", "0", "mapping", "tiles"), r"results\.json: tiles: no such column"),
        (without("config", "imc"), r"results\.json: config\.imc: no such key: not a crossbar machine"),
        (without("config", "imc", "pes_per_tile"), r"results\.json: pes_per_tile: no such column"),
        (lambda content: content["layers"][0].update(mapping=3), r"results\.json: layers\.0\.mapping"),
    ],
)
def test_damaged_results_are_one_line(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    folder = shutil.copytree(kept / "run", tmp_path / "in")
    content = json.loads((folder / "results.json").read_text())
    spoil(content)
    (folder / "results.json").write_text(json.dumps(content))
    assert main(["plot", str(folder), "--figure", "mapping", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "table", "column"),
    [
        ("run", "layers.csv", "energy_crossbar_pj"),
        ("run", "layers.csv", "imc_busy_cycles"),
        ("sweep", "sweep.csv", "area_adc_mm2"),
        ("sweep", "sweep.csv", "accuracy"),
        ("sweep", "sweep.csv", "mean_energy_pj"),
    ],
)
def test_cells_of_crossbar_machines_are_checked(
    kept: Path, tmp_path: Path, source: str, table: str, column: str
) -> None:
    folder = shutil.copytree(kept / source, tmp_path / "in")
    put(folder / table, column, "many")
    with pytest.raises(FigureError, match=f"{table}: {column}: line 2 has 'many', .* the file is damaged"):
        drawings_of(folder)


def test_other_machines_have_no_columns_of_crossbars(trace: Trace) -> None:
    chip, other = simulate(trace, "spikesim"), simulate(trace, "spikex")
    own = {f"imc_{name}_cycles" for name in ("noc_in", "noc_out", "lif", "busy")}
    own |= {f"energy_{name}_pj" for name in CROSSBAR_COMPONENTS}
    for rows, wanted in ((chip.layer_rows(), own), (other.layer_rows(), set())):
        assert {frozenset(row) for row in rows} == {frozenset(rows[0])}
        assert {name for name in rows[0] if name.startswith("imc_") or name in own} == wanted
    spent = measures(chip)
    assert is_measured(spent) and is_measured(measures(other))
    assert spent["software_accuracy"] == spent["accuracy"] and spent["changed_spikes"] == 0
    assert {"software_accuracy", "changed_spikes", *own}.isdisjoint(measures(other))
    right = [one.label == one.prediction for one in other.samples]
    assert measures(other)["accuracy"] == spent["accuracy"] == sum(right) / 2
    assert measures(other)["timesteps"] == 8
    assert "accuracy" not in measures(simulate(replace(trace, label=None), "spikex"))


def test_rows_of_other_machines_keep_their_components() -> None:
    _, (layers, _) = plots.energy_by_component(LAYERS)
    assert len(layers.containers) == 5
    with pytest.raises(FigureError, match="run: there are no runs"):
        plots.area_by_machine([])
    _, ax = plots.energy_by_machine(CHIPS)
    np.testing.assert_allclose(widths(ax), [[1.0, 2.0]] * 7)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"imc.buffers.gb": [0, 1024]}, "sweep: imc.buffers.gb changes the area alone"),
        ({"imc.buffers.tib": [0, 64]}, "with 0 there is none, and its accesses cost nothing"),
        ({"lif_sharing": [1, 2]}, "lif_sharing changes area, leakage and latency alone"),
        (
            {"imc.buffers.pb": [8, 16], "lif_sharing": [1, 2]},
            "imc.buffers.pb changes the area alone; lif_sharing",
        ),
        ({"imc.buffers.gb": [64]}, ""),
        ({"imc.ports": [1, 2]}, ""),
    ],
)
def test_a_sweep_over_keys_of_little_effect_is_warned_of(
    trace: Trace, caplog: pytest.LogCaptureFixture, grid: dict[str, Any], said: str
) -> None:
    with caplog.at_level("WARNING", logger="spikex_sim"):
        rows = sweep(trace, grid, arch="spikesim")
    told = [one.getMessage() for one in caplog.records if one.getMessage().startswith("sweep: ")]
    assert len(told) == bool(said) and all(said in one for one in told)
    if "imc.buffers.gb" in grid:
        assert len({(row["cycles"], row["energy_pj"], row["output_spikes"]) for row in rows}) == 1
    if list(grid) == ["lif_sharing"]:
        assert len({(row["energy_pj"], row["output_spikes"]) for row in rows}) == 1
        assert len({row["area_mm2"] for row in rows}) == 2


def test_the_table_of_a_sweep_of_chips(kept: Path, trace: Trace, capsys: pytest.CaptureFixture[str]) -> None:
    from spikex_sim import save_trace

    save_trace(trace, kept / "trace.npz")
    command = ["sweep", str(kept / "trace.npz"), "--grid", "imc.adc.bits=4,5", "--out", str(kept / "told")]
    assert main([*command, "--arch", "spikesim"]) == 0
    shown = capsys.readouterr().out
    assert "mm²" in shown and "correct %" in shown and "no DRAM" not in shown and "changed" not in shown
