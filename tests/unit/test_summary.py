"""What a trace holds, counted by hand."""

import numpy as np
import pytest

from spikex_sim.core.errors import ConfigError
from spikex_sim.trace.summary import activities, input_activity, parameter_count
from spikex_sim.trace.trace import Trace

NEURON = {"threshold": 1, "leak_shift": 4}
LAYERS = [
    {"name": "c", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 2, "in_height": 3,
     "in_width": 3, "neuron": NEURON},
    {"name": "p", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "kernel": 2, "in_height": 2,
     "in_width": 2},
    {"name": "f", "kind": "linear", "in_channels": 2, "out_channels": 3, "neuron": NEURON},
]  # fmt: skip


def test_by_hand():
    spikes = np.zeros((1, 3, 3, 10), bool)
    spikes[0, 0, 0, [0, 1, 9]] = True
    spikes[0, 2, 1, 4] = True
    trace = Trace.from_arrays(
        LAYERS,
        spikes,
        weights={0: np.ones((2, 1, 2, 2), np.int8)},
        biases={2: np.zeros(3, np.int32)},
        name="tiny",
        label=1,
    )
    found = activities(trace, tws=4)
    assert list(found) == [0] and found[0].spikes == 4
    assert found[0].rate == pytest.approx(4 / 90)
    assert found[0].silent_share == pytest.approx(7 / 9)
    assert found[0].active_window_share == pytest.approx(3 / 27)
    assert parameter_count(trace) == 8 + 9


@pytest.mark.parametrize("tws", [1, 2, 3, 7, 8, 13, 40])
def test_windows_against_the_plain_definition(tws):
    spikes = np.random.default_rng(0).random((3, 5, 13)) < 0.1
    activity = input_activity(np.packbits(spikes, axis=-1), 13, tws)
    windows = [spikes[..., start : start + tws].any(axis=-1) for start in range(0, 13, tws)]
    assert activity.active_window_share == pytest.approx(np.mean(windows))
    assert activity.rate == pytest.approx(spikes.mean())


def test_window_of_nothing():
    with pytest.raises(ConfigError, match="tws"):
        activities(Trace.from_arrays(LAYERS, np.zeros((1, 3, 3, 10), bool)), tws=0)
