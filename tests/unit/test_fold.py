"""Average pooling folded into weights, and max-pooling on packed spikes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from networks import conv, linear, pool
from spikex_sim.core.errors import TraceError
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.fold import folded_layer, folded_weight, maxpool_packed
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.trace import Trace

INT = {"threshold": 10, "leak_shift": 1, "reset": "zero", "datapath": "int"}


def layer(description: dict[str, object]) -> Layer:
    """Validate a description."""
    return Layer.model_validate(description)


def test_a_filter_spreads_over_its_pooling_windows() -> None:
    # Pool 2x2, stride 2, then a 1x2 filter with stride 1: a 2x4 filter with stride 2.
    before = layer(pool("avgpool", 1, 4))
    after = layer(conv("conv", (1, 1), 2, INT, kernel=[1, 2]))
    folded = folded_layer(before, after, "here")
    assert (folded.kernel, folded.stride, folded.padding) == ((2, 4), (2, 2), (0, 0))
    assert (folded.in_height, folded.in_width) == (4, 4)
    assert (folded.out_height, folded.out_width) == (after.out_height, after.out_width)
    weight = folded_weight(before, after, np.array([[[[3, -5]]]], np.int8), "here", "1/weight")
    assert weight.dtype == np.int8
    assert weight.tolist() == [[[[3, 3, -5, -5], [3, 3, -5, -5]]]]


def test_overlapping_windows_add_up() -> None:
    before = layer(pool("avgpool", 1, 4, kernel=[1, 2], stride=1))
    after = layer(conv("conv", (1, 1), 1, INT, kernel=[1, 3]) | {"in_height": 4, "in_width": 3})
    weight = folded_weight(before, after, np.array([[[[1, 10, 100]]]], np.int8), "here", "1/weight")
    assert weight.tolist() == [[[[1, 11, 110, 100]]]]


def test_a_gap_between_windows_has_no_weight() -> None:
    before = layer(pool("avgpool", 1, 4, kernel=[1, 1], stride=[1, 2]))
    after = layer(conv("conv", (1, 1), 1, INT, kernel=[1, 2]) | {"in_height": 4, "in_width": 2})
    weight = folded_weight(before, after, np.array([[[[1, 2]]]], np.int8), "here", "1/weight")
    assert weight.tolist() == [[[[1, 0, 2]]]]


def test_a_linear_layer_takes_the_unpooled_map() -> None:
    # Pool 2x2 on a 2x4 map: two pooled pixels; each weight stands at four pixels.
    before = layer(pool("avgpool", 1, 2) | {"in_width": 4})
    after = layer(linear("fc", (2, 1), INT))
    assert folded_layer(before, after, "here").in_channels == 8
    weight = folded_weight(before, after, np.array([[7, 9]], np.int8), "here", "1/weight")
    assert weight.tolist() == [[7, 7, 9, 9, 7, 7, 9, 9]]


def test_padding_of_the_pooling_is_silence() -> None:
    before = layer(pool("avgpool", 1, 2, padding=1))  # a padded 4x4 map, 2x2 windows
    after = layer(linear("fc", (4, 1), INT))
    weight = folded_weight(before, after, np.array([[1, 2, 3, 4]], np.int8), "here", "1/weight")
    assert weight.tolist() == [[1, 2, 3, 4]]  # one pixel of the map in each window
    folded = folded_layer(before, layer(conv("conv", (1, 1), 2, INT, kernel=1)), "here")
    assert folded.padding == (1, 1)


def test_weights_beyond_int8_are_refused() -> None:
    before = layer(pool("avgpool", 1, 4, kernel=[1, 2], stride=1))
    after = layer(conv("conv", (1, 1), 1, INT, kernel=[1, 3]) | {"in_height": 4, "in_width": 3})
    fits, spills = (np.array([[[[27, 100, n]]]], np.int8) for n in (27, 28))
    assert folded_weight(before, after, fits, "here", "1/weight").max() == 127
    with pytest.raises(TraceError, match="beyond int8; use the float datapath"):
        folded_weight(before, after, spills, "here", "1/weight")


def test_padding_after_pooling_that_would_show_hidden_spikes_is_refused() -> None:
    padded = layer(conv("conv", (1, 1), 3, INT, padding=1))
    covering = layer(pool("avgpool", 1, 6))
    assert folded_layer(covering, padded, "here").padding == (2, 2)
    with pytest.raises(TraceError, match="cannot be folded"):
        folded_layer(layer(pool("avgpool", 1, 7)), padded, "here")  # the seventh row is hidden by pooling
    with pytest.raises(TraceError, match="cannot be folded"):
        folded_layer(layer(pool("avgpool", 1, 5, kernel=3, stride=1)), padded, "here")  # windows overlap


def test_average_pooling_needs_something_to_be_folded_into() -> None:
    spikes = np.zeros((1, 4, 4, 3), bool)
    with pytest.raises(TraceError, match="needs a layer after it"):
        plan_stages(Trace.from_arrays([pool("avgpool", 1, 4)], spikes))
    with pytest.raises(TraceError, match="another pooling layer"):
        plan_stages(Trace.from_arrays([pool("avgpool", 1, 4), pool("maxpool", 1, 2)], spikes))


def test_maxpool_ors_packed_bytes() -> None:
    packed = np.array([[[[0b10000000], [0b01000000], [0b00000001]]]], np.uint8)  # [1, 1, 3, 1]
    tiling = layer(pool("maxpool", 1, 1, kernel=[1, 2], stride=[1, 1]) | {"in_width": 3})
    assert maxpool_packed(tiling, packed).ravel().tolist() == [0b11000000, 0b01000001]
    padded = layer(pool("maxpool", 1, 1, kernel=[1, 2], stride=[1, 2], padding=[0, 1]) | {"in_width": 3})
    assert maxpool_packed(padded, packed).ravel().tolist() == [0b10000000, 0b01000001]


@pytest.mark.parametrize(
    ("neuron", "bias", "free"),
    [
        ({}, None, True),
        ({}, [0, 0], True),
        ({}, [0, 1], False),
        ({"threshold": 0}, None, True),
        ({"threshold": -1}, None, False),
        ({"reset": "subtract"}, None, False),
    ],
)
def test_when_silence_is_free(neuron: dict[str, object], bias: list[int] | None, free: bool) -> None:
    biases = [] if bias is None else [np.array(bias, np.int32)]
    weights = [np.ones((2, 3), np.int8)]
    trace = Trace.from_arrays(
        [linear("fc", (3, 2), {**INT, **neuron})], np.zeros((3, 4), bool), weights=weights, biases=biases
    )
    assert plan_stages(trace)[0].silence_is_free is free
