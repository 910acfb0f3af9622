"""Real recordings of event cameras, from the importer to the costs, and the trend of the paper's Fig. 10."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import succeed
from helpers import shared_data
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.sources.synth import bernoulli
from spikex_sim.spec.networks import load_network

TWS = 4
A_FEW_TIMES = 4
RECORDINGS = {
    "nmnist": ("nmnist_small.npz", "--sample 3 --network nmnist", 30),
    "gesture-medium": (
        "dvsgesture_samples.npz",
        "--sample 0 --network dvs-gesture-medium --timesteps 60",
        60,
    ),
    "gesture-large": ("dvsgesture_samples.npz", "--sample 7 --network dvs-gesture-large --timesteps 60", 60),
}
EVENTS = re.compile(
    r"([\d,]+) events: ([\d,]+) became spikes, ([\d,]+) fell on one already set, ([\d,]+) came after "
    r"(\d+) steps of ([\d.]+) ms"
)


@pytest.fixture(params=RECORDINGS)
def recording(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Path, Path, str, int]:
    """File of recordings, the trace made of one of them, what was said about it, and its time points."""
    name, options, timesteps = RECORDINGS[request.param]
    source, trace = shared_data(name), tmp_path / "trace.npz"
    shown = succeed(capsys, "trace", "convert", source, *options.split(), "--out", trace)
    return source, trace, f"{options}\n{shown.out}", timesteps


def test_every_event_is_accounted_for(recording: tuple[Path, Path, str, int]) -> None:
    source, path, said, timesteps = recording
    sample = int(said.split()[1])
    found = EVENTS.search(said)
    assert found
    events, kept, merged, late = (int(number.replace(",", "")) for number in found.groups()[:4])
    with np.load(source) as arrays:
        start, stop = (int(offset) for offset in arrays["offsets"][sample : sample + 2])
        times = arrays["t"][start:stop].astype(np.int64)
        x, y, p = (arrays[key][start:stop].astype(np.int64) for key in "xyp")
        sensor, label = arrays["sensor"], int(arrays["label"][sample])
    assert events == stop - start == kept + merged + late
    assert int(found[5]) == timesteps
    trace = sx.load_trace(path)
    steps = times // round(1000 * float(found[6]))
    factor = int(sensor[0]) // trace.layers[0].in_width
    inside = steps < timesteps
    pixels = np.stack([p, y // factor, x // factor, steps], axis=1)[inside]
    wanted = np.zeros((*trace.layers[0].input_shape, timesteps), bool)
    wanted[tuple(pixels.T)] = True
    assert late == np.count_nonzero(~inside) and kept == wanted.sum()
    assert np.array_equal(trace.spikes(0)[0], wanted)
    assert trace.label == label


def crossings(layer: Any, tensor: str, size_bits: int) -> float:
    """How often a tensor passes the DRAM pins."""
    return (layer.accesses.read_bits("dram", tensor) + layer.accesses.write_bits("dram", tensor)) / size_bits


def test_replay(recording: tuple[Path, Path, str, int]) -> None:
    _, path, _, timesteps = recording
    trace = sx.load_trace(path)
    results = {arch: sx.simulate(path, arch, tws=TWS) for arch in ("spikex", "ptb")}
    spikex, ptb = results["spikex"], results["ptb"]
    hashes = [layer.output_sha256 for layer in spikex.layers]
    assert None not in hashes and hashes == [layer.output_sha256 for layer in ptb.layers]
    for before, after in pairwise(spikex.layers):
        assert before.output_spikes == after.input_spikes
    assert 0.9 <= spikex.totals.compute_cycles / spikex.totals.cycles <= 1.0
    assert 0.3 <= ptb.totals.compute_cycles / ptb.totals.cycles <= 1.0
    glb = spikex.arch.memory.glb
    windows = -(-timesteps // TWS)
    for result in results.values():
        for layer, spec in zip(result.layers, trace.layers, strict=True):
            weights = 8 * int(np.prod(spec.weight_shape))
            group = weights * min(8, spec.out_channels) // spec.out_channels
            spikes = int(np.prod(spec.input_shape)) * windows * (TWS + 1)
            if group <= glb.half_bits("filter"):
                assert crossings(layer, "filter", weights) <= A_FEW_TIMES, layer.name
            if spikes <= glb.half_bits("ifmap"):
                moved = crossings(layer, "ifmap", spikes)
                assert moved <= A_FEW_TIMES, layer.name


class TestFigure10:
    """Latency of PTB over SpikeX as the firing rate falls: CONV2 of DVS-Gesture Medium, TWS=4."""

    RATES = (0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001)

    @pytest.fixture(scope="class")
    @staticmethod
    def ratios() -> list[float]:
        network = load_network("dvs-gesture-medium")
        conv2 = network.model_copy(update={"layers": network.layers[1:2]})
        found = []
        for rate in TestFigure10.RATES:
            spikes = bernoulli(conv2.layers[0].input_shape, network.timesteps, rate, seed=1)
            trace = attach_network(spikes, conv2, seed=0, name="conv2", source="bernoulli")
            cycles = [sx.simulate(trace, arch, tws=TWS).totals.cycles for arch in ("ptb", "spikex")]
            found.append(cycles[0] / cycles[1])
        return found

    def test_the_ratio_rises_as_the_rate_falls(self, ratios: list[float]) -> None:
        assert all(after > before for before, after in pairwise(ratios)), ratios

    def test_no_gain_where_everything_is_active(self, ratios: list[float]) -> None:
        assert ratios[0] == pytest.approx(1.0, abs=0.1)

    def test_a_large_gain_where_almost_nothing_is(self, ratios: list[float]) -> None:
        assert ratios[-1] > 5
