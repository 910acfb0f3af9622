"""What a host computes beside a crossbar chip: spikes of an image, and sums that are read out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from graphs import conv, currents, network, packaged, population
from naive_graph import evaluate
from naive_graph_trace import Trace

T = 5
NONIDEAL = {"imc.arrays": "nonideal", "imc.write_sigma": 0.4, "imc.adc.bits": 3}
VALUES = {"bits": 8, "signed": True, "constant": True}
FIRING = {"threshold": 40, "leak_shift": 1, "fires": "at"}
LINEAR = {"from": "inner", "kind": "linear"}


def trace(
    *, stored: bool = False, skip: bool = False, last: dict[str, Any] | None = None, samples: int = 3
) -> Trace:
    """An image, neurons that take it, a convolution of their spikes, and sums that classify.

    With ``stored`` the image's sums are a node of their own, which with ``skip`` the inner neurons take too.
    """
    rng = np.random.default_rng(4)
    image = {"name": "image", "kind": "input", "shape": [2, 5, 5], "values": VALUES}
    of_image = conv("image", kernel=3, padding=1, shift=4)
    nodes = [image]
    if stored:
        nodes.append(currents([of_image], 3, "stem"))
    first = {"from": "stem", "kind": "identity"} if stored else of_image
    nodes.append(population([first], 3, FIRING, name="first"))
    inner = [conv("first", kernel=3, padding=1)]
    if skip:
        inner.append({"from": "stem", "kind": "identity"})
    nodes.append(population(inner, 3, FIRING, name="inner"))
    nodes.append(last or currents([LINEAR], 4, "out"))
    arrays: dict[str, Any] = {
        "image/values": rng.integers(-128, 128, (samples, 2, 5, 5)).astype(np.int32),
        f"{'stem' if stored else 'first'}/synapse-0/weight": rng.integers(-40, 90, (3, 2, 3, 3)),
        "first/bias": np.array([-20, 3, 60]),
        "inner/synapse-0/weight": rng.integers(-40, 60, (3, 3, 3, 3)),
        "out/synapse-0/weight": rng.integers(-40, 60, (4, 75)),
    }
    for key, array in arrays.items():
        if key.endswith("weight"):
            arrays[key] = array.astype(np.int8)
        elif key.endswith("bias"):
            arrays[key] = array.astype(np.int32)
    return network(nodes, T, arrays, samples=samples)


def sums(result: Any) -> Any:
    return np.asarray(result.outputs).reshape(3, 4, T)


@pytest.mark.parametrize("stored", [False, True])
def test_spikes_and_sums_are_those_of_the_oracle(stored: bool) -> None:
    given = trace(stored=stored)
    found = sx.simulate(packaged(given), "spikesim")
    oracle = [evaluate(one).computed for one in _samples(given)]
    assert np.array_equal(sums(found), [one["out"].values.reshape(4, T) for one in oracle])
    fired = [sum(int(one[name].values.sum()) for one in oracle) for name in ("first", "inner")]
    by_name = {one.name: one for one in found.layers}
    assert [by_name[name].output_spikes for name in ("first", "inner")] == fired
    assert min(fired) > 0


def _samples(given: Trace) -> list[Trace]:
    meta = {key: value for key, value in given.meta.items() if key != "samples"}
    images = given.arrays["image/values"]
    return [Trace(meta, given.arrays | {"image/values": image}) for image in images]


def test_the_host_costs_nothing_and_the_chip_what_it_does_alone() -> None:
    found = sx.simulate(packaged(trace(stored=True)), "spikesim")
    by_name = {one.name: one for one in found.layers}
    for name in ("stem", "first", "out"):
        assert (by_name[name].cycles, by_name[name].energy.total_pj, by_name[name].pes) == (0, 0, 0), name
    inner = by_name["inner"]
    assert inner.cycles > 0 and inner.energy.total_pj > 0
    assert found.totals.energy_pj == pytest.approx(inner.energy.total_pj)


def test_arrays_that_are_not_ideal_change_the_sums_and_not_those_in_software() -> None:
    given = packaged(trace())
    exact, real = sx.simulate(given, "spikesim"), sx.simulate(given, "spikesim", overrides=NONIDEAL)
    assert not np.array_equal(sums(exact), sums(real))
    classes = sums(exact).sum(2).argmax(1)
    assert [one.software_prediction for one in real.samples] == classes.tolist()
    assert [one.prediction for one in real.samples] == sums(real).sum(2).argmax(1).tolist()
    by_name = {one.name: one for one in real.layers}
    assert by_name["inner"].changed_spikes and by_name["first"].changed_spikes is None


def test_another_image_has_other_noise() -> None:
    noisy = NONIDEAL | {"imc.read_sigma": 0.1}
    given = trace()
    one = sx.simulate(packaged(given), "spikesim", overrides=noisy)
    given.arrays["image/values"][1] = given.arrays["image/values"][0]
    alike = sx.simulate(packaged(given), "spikesim", overrides=noisy)
    assert np.array_equal(sums(alike)[0], sums(alike)[1]), "the same image has the same noise"
    assert np.array_equal(sums(alike)[0], sums(one)[0]) and np.array_equal(sums(alike)[2], sums(one)[2])


def test_sums_that_enter_inner_neurons_are_refused() -> None:
    with pytest.raises(sx.UnsupportedError, match=r"node inner: .*several synapses, currents as inputs"):
        sx.simulate(packaged(trace(stored=True, skip=True)), "spikesim")


def test_a_network_without_spikes_inside_is_refused() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        {"name": "image", "kind": "input", "shape": [2, 5, 5], "values": VALUES},
        population([conv("image", kernel=3)], 3, FIRING, name="inner"),
        currents([LINEAR], 4, "out"),
    ]
    arrays = {
        "image/values": rng.integers(-9, 9, (2, 5, 5)).astype(np.int32),
        "inner/synapse-0/weight": np.ones((3, 2, 3, 3), np.int8),
        "out/synapse-0/weight": np.ones((4, 27), np.int8),
    }
    with pytest.raises(sx.UnsupportedError, match="nothing is left for crossbars"):
        sx.simulate(packaged(network(nodes, T, arrays)), "spikesim")


def test_crossbars_of_a_mapping_have_no_host() -> None:
    with pytest.raises(sx.UnsupportedError, match="node first: this machine cannot do analog inputs"):
        sx.simulate(packaged(trace()), "crossbar")
