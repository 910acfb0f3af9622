"""The fast hardware model: fits find what is piecewise linear, and are near what is simulated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from spikex_sim.explore.fitted import HardwareModel, LayerFit, fit_hardware_model
from spikex_sim.explore.fitted.compare import Prediction, compare
from spikex_sim.explore.fitted.curves import QUANTITIES, Point
from spikex_sim.explore.fitted.fit import KNOTS, fitted, layers_of
from spikex_sim.plots.hardware import hardware_model as draw
from spikex_sim.plots.hardware import held_out
from spikex_sim.run.single_layer import single_layers
from spikex_sim.sources.clustered import Clustering, random_field, spikes_of_density
from spikex_sim.spec.networks import Network
from spikex_sim.trace.plan import plan_stages
from study_traces import a_trace

NEURON = {"threshold": 9, "leak_shift": 3}
NETWORK = Network.model_validate(
    {
        "name": "small",
        "timesteps": 16,
        "layers": [
            {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 12, "kernel": 3,
             "in_height": 12, "in_width": 12, "neuron": NEURON},
            {"name": "pool", "kind": "maxpool", "in_channels": 12, "out_channels": 12, "kernel": 2,
             "stride": 2, "in_height": 10, "in_width": 10},
            {"name": "fc", "kind": "linear", "in_channels": 300, "out_channels": 10, "neuron": NEURON},
        ],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> HardwareModel:
    return fit_hardware_model(NETWORK, "spikex", [2, 5], samples=1)


def test_a_piecewise_linear_function_is_found_again() -> None:
    windows = 10_000
    values = np.linspace(3.0, 1.0, len(KNOTS))
    densities = np.geomspace(KNOTS[0], 1, 200)
    per_window = np.interp(densities, KNOTS, values)
    points = [
        Point(float(d), float(2 * v * d * windows), float(5 * v * d * windows), float(v * d * windows))
        for d, v in zip(densities, per_window, strict=True)
    ]
    fit = fitted("fc", 4, windows, points)
    assert fit.densities == KNOTS
    for quantity, factor in zip(QUANTITIES, (2, 5, 1), strict=True):
        assert fit.per_window(quantity) == pytest.approx(factor * values, rel=1e-3)
        assert fit.errors[quantity].worst < 1e-3


def test_twice_and_half_as_much_count_alike() -> None:
    points = [Point(d, d * c, d * c, d * c) for d in KNOTS for c in (1e4, 4e4)]
    fit = fitted("fc", 1, 10_000, points)
    assert fit.edp_js_per_window == pytest.approx([2.0] * len(KNOTS), rel=0.02)


def test_between_knots_it_is_linear_and_outside_constant() -> None:
    fit = LayerFit(
        layer="fc", tws=2, windows=50, densities=(0.1, 0.2, 0.6), edp_js_per_window=(1.0, 3.0, 2.0),
        energy_pj_per_window=(10.0, 10.0, 30.0), cycles_per_window=(4.0, 2.0, 2.0),
    )  # fmt: skip
    assert fit.edp_js(0.15) == pytest.approx(0.15 * 50 * 2.0)
    assert fit.edp_js(0.4) == pytest.approx(0.4 * 50 * 2.5)
    assert fit.energy_pj(0.05) == pytest.approx(0.05 * 50 * 10.0)
    assert fit.energy_pj(1.0) == pytest.approx(50 * 30.0)
    assert fit.cycles(0.0) == 0.0


def test_its_points_are_what_the_simulator_says(model: HardwareModel) -> None:
    field = random_field((2, 12, 12), 16, Clustering(neuron=0.3), 5)
    again = fit_hardware_model(NETWORK, "spikex", [5], samples=1, clusterings={"one": Clustering(neuron=0.3)})
    fit = again.layer("conv", 5)
    assert fit.windows == 2 * 12 * 12 * 4
    # The same field from the same stream of the same seed, but through the whole simulator.
    from spikex_sim.sources.synth import seed_of_stream

    field = random_field((2, 12, 12), 16, Clustering(neuron=0.3), seed_of_stream(0, 0))
    for point in fit.points[::7]:
        spikes = spikes_of_density(field, 5, point.density)
        totals = sx.simulate(sx.Trace.from_arrays([NETWORK.layers[0]], spikes), tws=5).totals
        assert (point.energy_pj, point.cycles) == (totals.energy_pj, totals.cycles)
        assert point.edp_js == pytest.approx(totals.edp_js, rel=1e-9, abs=0)


def test_other_spikes_cost_about_what_is_predicted(model: HardwareModel) -> None:
    spikes = spikes_of_density(random_field((2, 12, 12), 16, Clustering(place=0.4, moving=0.3), 99), 2, 0.2)
    weights = np.random.default_rng(0).integers(-9, 12, (12, 2, 3, 3)).astype(np.int8)
    fc = np.random.default_rng(1).integers(-9, 12, (10, 300)).astype(np.int8)
    trace = sx.Trace.from_arrays(NETWORK.layers, spikes, weights=[weights, None, fc])
    found = compare(model, trace, 2)
    result = sx.simulate(trace, tws=2)
    assert [one.layer for one in found] == ["conv", "fc"]
    assert found[0].density == pytest.approx(0.2, abs=0.001)
    assert found[0].simulated["cycles"] == result.layers[0].cycles
    for one, layer in zip(found, (result.layers[0], result.layers[2]), strict=True):
        assert one.simulated["edp_js"] == pytest.approx(layer.edp_js, rel=1e-9, abs=0)
        assert layer.energy.on_chip_pj < layer.energy.total_pj == one.simulated["energy_pj"]
    for one in found:
        assert abs(one.error("energy_pj")) < 0.3 and abs(one.error("cycles")) < 0.5


def test_an_error_is_above_zero_where_too_much_is_predicted() -> None:
    simulated, predicted = (
        dict.fromkeys(QUANTITIES, 8.0),
        dict(zip(QUANTITIES, (10.0, 6.0, 8.0), strict=True)),
    )
    found = Prediction("fc", 0, 2, 0.1, predicted, simulated)
    assert [found.error(quantity) for quantity in QUANTITIES] == [0.25, -0.25, 0.0]


def test_kinds_of_spikes_with_equal_density_differ(model: HardwareModel) -> None:
    at = {}
    for name, kind in (("independent", Clustering()), ("clustered", Clustering(place=0.5, moving=0.4))):
        only = fit_hardware_model(NETWORK, "spikex", [2], samples=2, clusterings={name: kind})
        at[name] = only.layer("conv", 2).cycles(0.1)
    assert at["clustered"] < 0.9 * at["independent"]


def test_a_choice_that_the_buffers_refuse_is_left_out_and_listed() -> None:
    small = {"memory.glb.bytes": 4096}
    found = fit_hardware_model(NETWORK, "spikex", [1, 16], small, samples=1)
    listed = {(one.layer, one.tws) for one in found.refused}
    assert listed == {("fc", 16)}
    for layer in ("conv", "fc"):
        assert set(found.choices(layer)) == {1, 16} - {tws for name, tws in listed if name == layer}
    name, tws = min(listed)
    with pytest.raises(sx.ConfigError, match=f"{name}.*TWS {tws}"):
        found.layer(name, tws)
    with pytest.raises(sx.ConfigError, match="can have none"):
        fit_hardware_model(NETWORK, "spikex", [16], small, samples=1)


def test_layers_that_keep_outputs_pay_no_dram_for_them() -> None:
    chain = NETWORK.model_copy(
        update={"layers": (NETWORK.layers[0], NETWORK.layers[2].model_copy(update={"in_channels": 1200}))}
    )
    layers = layers_of(chain)
    assert layers[0].successor is not None and layers[1].successor is None
    apart = fit_hardware_model(chain, "spikex", [4], samples=1)
    kept = fit_hardware_model(chain, "spikex", [4], {"memory.glb.keep_ofmap": True}, samples=1)
    for name in ("conv", "fc"):
        assert kept.layer(name, 4).energy_pj(0.01) < apart.layer(name, 4).energy_pj(0.01)


def test_outputs_are_kept_only_where_they_fit() -> None:
    layers = [
        {"name": name, "kind": "linear", "in_channels": inputs, "out_channels": outputs, "neuron": NEURON}
        for name, inputs, outputs in (("first", 50, 300), ("second", 300, 10))
    ]
    chain = Network.model_validate({"name": "chain", "timesteps": 16, "layers": layers})
    keep = {"memory.glb.keep_ofmap": True}
    # All windows active, 300 x (16 + 4) bits are stored: more than half of the small part, not of the large.
    apart, large, small = (
        fit_hardware_model(chain, "spikex", [4], overrides, samples=1).layer("second", 4)
        for overrides in ({}, keep, keep | {"memory.glb.partition.ofmap": 0.02})
    )
    assert large.energy_pj(0.3) < 0.9 * apart.energy_pj(0.3)
    dense = [place for place, density in enumerate(apart.densities) if density > 0.05]
    for place in dense:
        assert small.energy_pj_per_window[place] == pytest.approx(apart.energy_pj_per_window[place], rel=0.01)


def test_recorded_layers_take_nothing_from_the_layer_before() -> None:
    trace = a_trace()
    assert [single.successor for single in single_layers(plan_stages(trace)).values()] == [None, None]


def test_what_is_saved_is_loaded_again(model: HardwareModel, tmp_path: Path) -> None:
    path = model.save(tmp_path / "deep" / "m.json")
    assert HardwareModel.load(path) == model
    assert model.layers == ("conv", "fc") and model.choices("fc") == (2, 5)
    assert model.layer("fc", 5).windows == 300 * 4
    assert model.config["array"]["rows"] == 8 and "tws" not in model.config


BROKEN: dict[str, Any] = {
    "knots that fall": lambda data: data["fits"][0].update(densities=data["fits"][0]["densities"][::-1]),
    "too few values": lambda data: data["fits"][0].update(cycles_per_window=[1.0]),
    "negative": lambda data: data["fits"][0].update(
        edp_js_per_window=[-1.0] * len(data["fits"][0]["densities"])
    ),
    "text": lambda data: data["fits"][0].update(windows="many"),
    "unknown key": lambda data: data.update(more=1),
    "no fits": lambda data: data.update(fits=[]),
    "twice": lambda data: data.update(fits=data["fits"][:1] * 2),
    "another version": lambda data: data.update(format_version=9),
    "another format": lambda data: data.update(format="x"),
    "not finite": lambda data: data.update(clock_hz=float("inf")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_wrong_are_refused_in_a_line(model: HardwareModel, tmp_path: Path, name: str) -> None:
    data = json.loads(model.save(tmp_path / "m.json").read_text())
    BROKEN[name](data)
    Path(tmp_path, "m.json").write_text(json.dumps(data))
    with pytest.raises(sx.ConfigError, match=r"m\.json") as caught:
        HardwareModel.load(tmp_path / "m.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\x00", b"[" * 100_000, b'{"format": 1}'])
def test_files_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(sx.ConfigError, match=r"m\.json"):
        HardwareModel.load(path)
    with pytest.raises(sx.ConfigError, match="cannot be read"):
        HardwareModel.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"tws_choices": [17]}, "1 to 16"),
        ({"tws_choices": [0]}, "1 to 16"),
        ({"tws_choices": [2, 2]}, "twice"),
        ({"tws_choices": []}, "at least one"),
        ({"arch": "ann"}, "activation_bits"),
        ({"samples": 0}, "samples"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(sx.ConfigError, match=word):
        fit_hardware_model(NETWORK, **arguments)


def test_the_figure_shows_points_and_lines(model: HardwareModel) -> None:
    _, axes = draw(model.fits)
    assert [axis.get_title("left") for axis in axes] == ["conv", "fc"]
    fit = model.layer("conv", 2)
    dots, line = axes[0].lines[:2]
    assert len(dots.get_xdata()) == len(fit.points)
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert x[0] == pytest.approx(100 * fit.densities[0]) and x[-1] == pytest.approx(100)
    ratio = y / [fit.edp_js(d / 100) / (d / 100 * fit.windows) for d in x]
    assert ratio == pytest.approx(np.full(len(x), ratio[0]))  # up to the unit
    with pytest.raises(sx.FigureError, match="quantity"):
        draw(model.fits, quantity="power")
    with pytest.raises(sx.FigureError, match="no fits"):
        draw([])


def test_the_held_out_figure_shows_ratios() -> None:
    rows = [
        {"network": network, "density": density, **{f"predicted_{q}": 3.0 for q in QUANTITIES},
         **{f"simulated_{q}": 2.0 for q in QUANTITIES}}
        for network in ("a", "b") for density in (0.01, 0.2)
    ]  # fmt: skip
    _, axes = held_out(rows)
    assert [axis.get_title("left") for axis in axes] == ["EDP", "Energy", "Cycles"]
    assert list(axes[1].lines[0].get_xdata()) == pytest.approx([1, 20])
    assert list(axes[1].lines[1].get_ydata()) == pytest.approx([1.5, 1.5])
    with pytest.raises(sx.FigureError, match="no rows"):
        held_out([])
