"""Good trace files, the pieces to make bad ones, and what a refusal must look like."""

import gc
import io
import json
import tracemalloc

import h5py
import numpy as np
import pytest

from helpers import Member
from spikex_sim.core.errors import TraceError
from spikex_sim.trace.store import load_trace
from spikex_sim.trace.trace import Trace

TERABYTE = 1 << 40
MEMORY_ALLOWED = 8 << 20

NEURON = {"threshold": 3, "leak_shift": 4}
LAYERS = [
    {"name": "c1", "kind": "conv", "in_channels": 2, "out_channels": 3, "kernel": 3, "padding": 1,
     "in_height": 4, "in_width": 6, "neuron": NEURON},
    {"name": "p1", "kind": "maxpool", "in_channels": 3, "out_channels": 3, "kernel": 2, "stride": 2,
     "in_height": 4, "in_width": 6},
    {"name": "f1", "kind": "linear", "in_channels": 18, "out_channels": 5,
     "neuron": {"threshold": 0.5, "leak": 0.9, "datapath": "float", "reset": "subtract"}},
]  # fmt: skip
T = 11


def a_trace(samples=None, **changes):
    rng = np.random.default_rng(1)
    lead = () if samples is None else (samples,)
    given = {
        "inputs": {0: rng.random((*lead, 2, 4, 6, T)) < 0.3, 2: rng.random((*lead, 18, T)) < 0.3},
        "weights": [rng.integers(-9, 9, (3, 2, 3, 3)).astype(np.int8), None, rng.random((5, 18), np.float32)],
        "biases": {0: np.arange(3, dtype=np.int32)},
        "name": "tiny",
        "label": 3 if samples is None else tuple(range(samples)),
        "source": "a test",
    }
    return Trace.from_arrays(LAYERS, **{**given, **changes})


def a_meta(**changes):
    meta = {
        "format": "spikex-trace",
        "version": 1,
        "name": "tiny",
        "timesteps": T,
        "source": "",
        "layers": LAYERS,
    }
    return {key: value for key, value in {**meta, **changes}.items() if value is not ...}


def good_arrays(**changes):
    trace = a_trace()
    arrays = {
        "meta": np.array(json.dumps(a_meta())),
        "0/input": trace.inputs[0][0],
        "0/weight": trace.weights[0],
        "2/weight": trace.weights[2],
        "label": np.array(3),
    }
    return {key: value for key, value in {**arrays, **changes}.items() if value is not ...}


def write_npz(path, arrays):
    np.savez_compressed(path, **arrays)
    return path


def write_h5(path, arrays):
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = str(array) if key == "meta" else array
    return path


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def good_members(**replaced):
    members = {key: Member(f"{key}.npy", npy(array)) for key, array in good_arrays().items()}
    members.update(
        {key: Member(f"{key}.npy", data) for key, data in replaced.items() if isinstance(data, bytes)}
    )
    members.update({key: member for key, member in replaced.items() if isinstance(member, Member)})
    return list(members.values())


def refused(path, *words, field=""):
    """Load, which must fail in one line that names the file and the field, without taking memory."""
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(TraceError) as caught:
            load_trace(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert message.startswith(f"{path}: {field}: " if field else f"{path}: "), message
    for word in words:
        assert word in message, message
    assert peak < MEMORY_ALLOWED
    return message


def refused_bytes(tmp_path, data, *words, field=""):
    path = tmp_path / "t.npz"
    path.write_bytes(data)
    return refused(path, *words, field=field)
