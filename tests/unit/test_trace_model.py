"""A trace in memory: made from plain arrays, checked once, unchangeable afterwards."""

import numpy as np
import pytest

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import packed_length
from spikex_sim.trace.store import load_trace, save_trace
from spikex_sim.trace.trace import Trace, content_sha256

NEURON = {"threshold": 1, "leak_shift": 4}
CONV = {"name": "c", "kind": "conv", "in_channels": 2, "out_channels": 3, "kernel": 3, "in_height": 5,
        "in_width": 4, "neuron": NEURON}  # fmt: skip
FC = {"name": "f", "kind": "linear", "in_channels": 18, "out_channels": 4, "neuron": NEURON}
SPIKES = np.random.default_rng(0).random((2, 5, 4, 9)) < 0.3


def test_spikes_come_back_as_given():
    trace = Trace.from_arrays([CONV, FC], SPIKES)
    assert np.array_equal(trace.spikes(0), SPIKES[None])
    assert trace.inputs[0].shape == (1, 2, 5, 4, packed_length(9)) == (1, 2, 5, 4, 2)
    assert (trace.samples, trace.batched, trace.sha256) == (1, False, content_sha256(trace))


def test_a_leading_sample_axis():
    trace = Trace.from_arrays([CONV], np.stack([SPIKES, ~SPIKES]), label=(np.int64(1), 2))
    assert (trace.samples, trace.batched, trace.label, trace.meta()["samples"]) == (2, True, (1, 2), 2)


def test_nothing_can_be_changed():
    trace = Trace.from_arrays([CONV], SPIKES, weights=[np.ones((3, 2, 3, 3), np.int8)])
    for array in (trace.inputs[0], trace.weights[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        trace.inputs[1] = trace.inputs[0]


def test_the_hash_is_of_the_content():
    hashes = {
        content_sha256(Trace.from_arrays([CONV], spikes, label=label, weights=weights))
        for spikes in (SPIKES, ~SPIKES)
        for label in (None, 1)
        for weights in ([], [np.ones((3, 2, 3, 3), np.int8)], [np.zeros((3, 2, 3, 3), np.int8)])
    }
    assert len(hashes) == 12
    plain = Trace.from_arrays([CONV], SPIKES.astype(np.uint8))
    assert content_sha256(plain) == content_sha256(Trace.from_arrays([CONV], np.asfortranarray(SPIKES)))


@pytest.mark.parametrize(
    ("layers", "inputs", "options", "words"),
    [
        ([], SPIKES, {}, "layers: a trace needs at least one layer"),
        ([CONV], {1: SPIKES}, {}, "0/input: the spikes that enter layer 0"),
        ([CONV], {0: SPIKES, 1: SPIKES}, {}, "1/input: there is no layer 1"),
        ([CONV], SPIKES * 2, {}, "0/input: spikes are 0 or 1"),
        ([CONV], np.where(SPIKES, np.nan, 0), {}, "0/input: spikes are 0 or 1"),
        ([CONV], np.array(1), {}, "0/input: wants 0 time points"),
        ([CONV, FC], {0: SPIKES, 1: np.zeros((18, 8))}, {}, "1/input: wants 9 time points"),
        ([CONV], SPIKES[..., :0], {}, "timesteps: must be 1 to"),
        (
            [CONV],
            SPIKES[:, :, :3],
            {},
            "0/input: shape [2, 5, 3, 2], layer 0 (c) with T=9 wants [2, 5, 4, 2]",
        ),
        ([CONV], SPIKES[None][:0], {}, "samples: must be 1 to"),
        ([CONV], SPIKES, {"label": (1,)}, "label: is a list of classes"),
        ([CONV], SPIKES[None], {"label": (1, 2)}, "label: 2 labels for 1 samples"),
        ([CONV], SPIKES, {"weights": {5: np.zeros(1)}}, "5/weight: there is no layer 5"),
        ([CONV, {**FC, "in_channels": 17}], SPIKES, {}, "layer 1 wants 17 input channels, the trace has 18"),
        ([CONV, {**CONV, "in_channels": 3}], SPIKES, {}, "layer 1 wants a map of 5x4, the trace has 3x2"),
        ([FC, {**CONV, "in_channels": 4}], np.zeros((18, 9)), {}, "a map of 5x4, the trace has 1x1"),
        ([{**CONV, "stride": 0}], SPIKES, {}, "trace: layers.0: stride must be at least 1"),
    ],
)
def test_mistakes(layers, inputs, options, words):
    with pytest.raises(TraceError) as caught:
        Trace.from_arrays(layers, inputs, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("timesteps", [*range(1, 21), np.int64(7)])
def test_the_first_time_points(timesteps):
    rng = np.random.default_rng(1)
    inputs = {0: rng.random((3, 2, 5, 4, 20)) < 0.5, 1: rng.random((3, 18, 20)) < 0.5}
    weights = [np.ones((3, 2, 3, 3), np.int8), None]
    options = {
        "weights": weights,
        "biases": {1: np.arange(4, dtype=np.int32)},
        "label": (2, 0, 1),
        "name": "n",
        "source": "s",
    }
    trace = Trace.from_arrays([CONV, FC], inputs, **options)
    cut = trace.first(timesteps)
    wanted = {index: spikes[..., :timesteps] for index, spikes in inputs.items()}
    assert cut.sha256 == Trace.from_arrays([CONV, FC], wanted, **options).sha256
    assert (cut.timesteps, cut.samples, cut.label, cut.where) == (timesteps, 3, (2, 0, 1), "n")
    assert np.shares_memory(cut.weights[0], trace.weights[0])
    for index, spikes in wanted.items():
        assert np.array_equal(cut.spikes(index), spikes)


def test_a_cut_file_is_not_that_file(tmp_path):
    path = tmp_path / "t.npz"
    save_trace(Trace.from_arrays([CONV], SPIKES), path)
    trace = load_trace(path)
    assert trace.first(9) is trace
    cut = trace.first(4)
    assert cut.sha256 == content_sha256(cut) != trace.sha256 and cut.where == str(path)


@pytest.mark.parametrize("timesteps", [0, -1, 10, 2.5, None, "3"])
def test_no_such_first_time_points(timesteps):
    with pytest.raises(TraceError) as caught:
        Trace.from_arrays([CONV], SPIKES, name="n").first(timesteps)
    assert str(caught.value) == f"n: timesteps: cannot be cut to {timesteps} of its 9 time points"


def test_several_samples_need_their_axis():
    packed = np.zeros((2, 2, 5, 4, 2), np.uint8)
    layers = Trace.from_arrays([CONV], SPIKES).layers
    with pytest.raises(TraceError, match="samples: 2 samples need the sample axis"):
        Trace("t", 9, layers, {0: packed}, samples=2)
