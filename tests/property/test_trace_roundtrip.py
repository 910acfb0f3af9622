"""Whatever trace there can be, both file formats give it back exactly."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikex_sim.spec.workload import Layer
from spikex_sim.trace.store import load_trace, save_trace
from spikex_sim.trace.trace import Trace, content_sha256

INT_NEURON = st.fixed_dictionaries(
    {
        "threshold": st.integers(-(2**31) + 1, 2**31 - 1),
        "leak_shift": st.integers(0, 31),
        "reset": st.sampled_from(["zero", "subtract"]),
    }
)
FLOAT_NEURON = st.fixed_dictionaries(
    {
        "threshold": st.one_of(st.floats(-1e6, 1e6), st.integers(-(2**62), 2**62)),
        "leak": st.floats(0, 1),
        "datapath": st.just("float"),
    }
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30).filter(str.isprintable)


@st.composite
def traces(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    layers = []
    for index in range(draw(st.integers(1, 3))):
        layers.append(Layer(**draw(layer_after(shape, f"layer {index}"))))
        shape = (*layers[-1].output_shape, 1, 1)[:3]
    timesteps, samples = draw(st.integers(1, 20)), draw(st.one_of(st.none(), st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lead = () if samples is None else (samples,)
    inputs, weights, biases = {}, {}, {}
    for index, layer in enumerate(layers):
        if index == 0 or draw(st.booleans()):
            inputs[index] = rng.random((*lead, *layer.input_shape, timesteps)) < 0.4
        if layer.neuron is not None and draw(st.booleans()):
            integer = layer.neuron.datapath == "int" or draw(st.booleans())
            dtype = "i1" if integer else draw(st.sampled_from(["<f4", ">f4"]))
            weights[index] = rng.integers(-128, 128, layer.weight_shape).astype(dtype)
        if layer.neuron is not None and draw(st.booleans()):
            values = rng.integers(-(2**31), 2**31, layer.out_channels)
            biases[index] = values.astype(np.int32 if layer.neuron.datapath == "int" else np.float32)
    label = draw(st.none() | st.integers(-(2**63), 2**63 - 1))
    return Trace.from_arrays(
        layers,
        inputs,
        weights=weights,
        biases=biases,
        name=draw(TEXT.filter(bool)),
        source=draw(TEXT),
        label=label if label is None or samples is None else (label,) * samples,
    )


@st.composite
def layer_after(draw, shape, name):
    kind = draw(st.sampled_from(["conv", "linear", "maxpool", "avgpool"]))
    if kind == "linear":
        size = {"in_channels": int(np.prod(shape))}
    else:
        padding = draw(st.integers(0, 1))
        kernel = [draw(st.integers(1, length + 2 * padding)) for length in shape[1:]]
        stride = draw(st.integers(1, 2) | st.lists(st.integers(1, 3), min_size=2, max_size=2))
        size = {"in_channels": shape[0], "in_height": shape[1], "in_width": shape[2], "kernel": kernel,
                "stride": stride, "padding": padding}  # fmt: skip
    if kind in ("maxpool", "avgpool"):
        return {"name": name, "kind": kind, "out_channels": shape[0], **size}
    neuron = draw(INT_NEURON | FLOAT_NEURON)
    return {"name": name, "kind": kind, "out_channels": draw(st.integers(1, 3)), "neuron": neuron, **size}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(trace=traces(), ending=st.sampled_from([".npz", ".h5"]))
def test_round_trip(trace, ending, tmp_path_factory):
    path = tmp_path_factory.mktemp("trip") / f"x{ending}"
    save_trace(trace, path)
    back = load_trace(path)
    assert content_sha256(back) == content_sha256(trace)
    assert back.meta() == trace.meta() and back.layers == trace.layers and back.label == trace.label
    for kind in ("inputs", "weights", "biases"):
        ours, theirs = getattr(trace, kind), getattr(back, kind)
        assert ours.keys() == theirs.keys()
        for index in ours:
            assert ours[index].dtype == theirs[index].dtype
            assert np.array_equal(ours[index], theirs[index])
    again = path.with_name(f"y{ending}")
    save_trace(back, again)
    assert again.read_bytes() == path.read_bytes()
