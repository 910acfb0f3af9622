"""Sums of arrays that are not ideal: exact where nothing is wrong, and by hand where something is."""

from __future__ import annotations

from hashlib import sha256
from itertools import product
from math import floor
from typing import Any

import numpy as np
import pytest

from nonideal import IDEAL, Small, drawn, options
from spikex_sim.core.errors import TraceError
from spikex_sim.schedules.crossbar.nonideal.program import sample_id
from spikex_sim.schedules.crossbar.nonideal.streams import WRITE, of_rows

LAYER = drawn(3)
DENSE = LAYER.dense()


@pytest.mark.parametrize("goff", ["popcount", "column"])
@pytest.mark.parametrize("encoding", ["twos", "sign_offset", "offset", "differential"])
def test_nothing_wrong_gives_exact_sums(encoding: str, goff: str) -> None:
    sizes = [(4, 1), (4, 4), (16, 9), (64, 9)]  # rows of a crossbar, crossbars of a PE
    for bits, (crossbar, per_pe), mapping, sharing, complement in product(
        (1, 4, 8), sizes, ("kernel", "packed"), ("pe", "crossbar"), (False, True)
    ):
        if crossbar < 16 and bits == 1:
            continue  # a crossbar is narrower than a weight
        arch = options({
            **IDEAL, "encoding": encoding, "complement": complement, "goff": goff, "mapping": mapping,
            "crossbar": crossbar, "crossbars_per_pe": per_pe, "device": {"bits": bits, "r_off_kohm": 87.3},
            "adc": {"bits": "auto", "sharing": sharing},
        })  # fmt: skip
        assert np.array_equal(LAYER.sums(arch), DENSE), (bits, crossbar, mapping, sharing, complement)


def test_padding_strides_and_linear_layers_are_exact() -> None:
    arch = options(IDEAL)
    for small in (drawn(5, padding=2, stride=2), drawn(6, (7, 150, 1, 1), 1), drawn(7, (3, 2, 5, 2), 6)):
        assert np.array_equal(small.sums(arch), small.dense())
    linear = drawn(6, (7, 150, 1, 1), 1)
    mapping = linear.program(arch)
    flat = Small(linear.weight[..., 0, 0].reshape(7, 150, 1, 1), linear.spikes)
    assert np.array_equal(mapping.sums(flat.geometry, flat.packed, 35, 0, shift=0), linear.dense())


def one_cell(weight: int, timesteps: int = 3, rows: int = 1) -> Small:
    """So many equal weights into one output, with a spike on each at all time points."""
    return Small(np.full((1, rows, 1, 1), weight), np.ones((rows, 1, 1, timesteps), bool))


@pytest.mark.parametrize(("shift", "expected"), [(0, 7), (1, 14), (2, 28), (3, 40), (5, 32), (6, 64), (7, 0)])
def test_converters_round_half_up_and_clip(shift: int, expected: int) -> None:
    # Four codes of 9 are 36: 18, 9, 4.5 -> 5, 1.125 -> 1, 0.5625 -> 1 and 0.28 -> 0 steps for shifts of
    # 1, 2, 3, 5, 6, 7; 7 are the most.
    small = one_cell(9, rows=4)
    arch = options({**IDEAL, "adc": {"bits": 3}, "device": {"bits": 8}})
    half = one_cell(9, rows=2)  # 18 are 4.5 steps of 4
    assert small.sums(arch, shift=shift)[:, 0, 0].tolist() == [expected] * 3
    assert half.sums(arch, shift=2)[0, 0, 0] == 20


def test_what_is_off_is_wrong_without_correction() -> None:
    small = one_cell(1, rows=5)
    keys = {**IDEAL, "device": {"bits": 4}}
    arch = options({**keys, "goff": "none"})
    # Two slices of codes 1 and 0: G_off is 5/3 codes. Five rows: 5 + 25/3 = 13.33 and 8.33, worth 16 each.
    assert small.sums(arch)[0, 0, 0] == 13 + 8 * 16
    assert small.sums(options({**keys, "goff": "popcount"}))[0, 0, 0] == 5


def test_wires_lower_sums_and_a_column_of_zeros_corrects_their_offset() -> None:
    zeros, ones = one_cell(0, rows=60), one_cell(15, rows=60)
    found = {}
    for goff in ("popcount", "column"):
        arch = options({**IDEAL, "r_par_ohm": 5.0, "goff": goff, "device": {"bits": 8}})
        found[goff] = [int(one.sums(arch)[0, 0, 0]) for one in (zeros, ones)]
    assert found["column"][0] == 0
    assert found["popcount"][0] == 0  # the current is below the reference
    assert 0 < found["popcount"][1] < found["column"][1] < 60 * 15


def by_hand(small: Small, sigma: float, position: int, t: int, **key: int) -> int:
    """Sum of one position of a layer of one input channel, 1x1, with one column per weight."""
    p = small.geometry.positions
    stream = (key["purpose"] << 60) + (key["layer"] << 44) + (key["sample"] << 20) + t
    words = np.random.Philox(counter=0, key=np.array([key["seed"], stream], np.uint64)).random_raw(2 * p)
    u1 = ((int(words[2 * position]) >> 11) + 1) * 2.0**-53
    u2 = (int(words[2 * position + 1]) >> 11) * 2.0**-53
    z = np.sqrt(-2 * np.log(u1)) * np.cos(2 * np.pi * u2)
    code = int(small.weight[0, 0, 0, 0])
    step = (1 / 20e3 - 1 / 200e3) / 255
    g = 1 / 200e3 + code * step
    v = (g + sigma * z * g - 1 / 200e3) / step
    return max(0, floor(floor(v * 2**20 + 0.5) / 2**20 + 0.5))


@pytest.mark.kernels
@pytest.mark.parametrize("calibrating", [False, True])
def test_noise_depends_on_seed_layer_sample_time_and_index_alone(calibrating: bool) -> None:
    spikes = np.random.default_rng(0).random((1, 3, 4, 70)) < 0.5
    small = Small(np.full((1, 1, 1, 1), 100), spikes)
    arch = options({**IDEAL, "read_sigma": 0.4, "seed": 1 << 62, "device": {"bits": 8}})
    key = {"purpose": 3 if calibrating else 0, "layer": 5, "sample": 0xABCDEF, "seed": 1 << 62}
    found = small.sums(arch, layer=5, sample=0xABCDEF, calibrating=calibrating)
    for position, t in product(range(12), range(70)):
        y, x = divmod(position, 4)
        expected = by_hand(small, 0.4, position, t, **key) if spikes[0, y, x, t] else 0
        assert found[t, position, 0] == expected
    shorter = Small(small.weight, spikes[..., :9])
    assert np.array_equal(shorter.sums(arch, layer=5, sample=0xABCDEF, calibrating=calibrating), found[:9])


def test_noise_is_as_large_as_the_root_of_the_sum_of_squares() -> None:
    small = one_cell(100, timesteps=4000, rows=9)
    found = small.sums(options({**IDEAL, "read_sigma": 0.05, "device": {"bits": 8}}))[:, 0, 0]
    step = (1 / 20e3 - 1 / 200e3) / 255
    expected = 0.05 * 3 * (1 / 200e3 + 100 * step) / step
    assert abs(found.mean() - 900) < 4 * expected / 4000**0.5
    assert found.std() == pytest.approx(expected, rel=0.05)


def test_a_direct_layer_converts_once() -> None:
    still = np.repeat(drawn(2, timesteps=1, rate=0.6).spikes, 20, axis=-1)
    small = Small(drawn(2).weight, still)
    arch = options({"read_sigma": 0.3})
    once, every = (small.sums(arch, sample=7, shift=1, once=one) for one in (True, False))
    assert once.shape == every.shape
    assert np.array_equal(once, np.repeat(every[:1], 20, axis=0))
    assert not np.array_equal(once, every)


@pytest.mark.parametrize("goff", ["none", "popcount", "column"])
@pytest.mark.parametrize("encoding", ["twos", "sign_offset", "offset", "differential"])
def test_silence_gives_nothing(goff: str, encoding: str) -> None:
    silent = Small(LAYER.weight, np.zeros_like(LAYER.spikes))
    arch = options(
        {"encoding": encoding, "complement": True, "goff": goff, "read_sigma": 1, "write_sigma": 1}
    )
    assert not silent.sums(arch).any()


def test_a_pe_converts_the_sum_of_its_crossbars() -> None:
    # Rows of 9 codes each in crossbars of two rows: 18 clip at 7 twice; their sum clips at 7 once.
    small = one_cell(9, rows=4)
    keys = {**IDEAL, "crossbar": 2, "crossbars_per_pe": 2, "device": {"bits": 8}}
    for sharing, expected in (("pe", 7), ("crossbar", 14)):
        assert small.sums(options({**keys, "adc": {"bits": 3, "sharing": sharing}}))[0, 0, 0] == expected


def test_deviations_of_writes_are_of_the_cell() -> None:
    small = Small(np.full((2, 3, 1, 1), 50), np.eye(3, dtype=bool).reshape(3, 1, 1, 3))
    found = small.sums(options({**IDEAL, "write_sigma": 0.3, "device": {"bits": 8}, "seed": 4}), layer=2)
    z = of_rows(WRITE, 4, 2, np.arange(3), 2)
    off = 255 / 9  # G_off in codes
    expected = (off + 50) * np.maximum(0, 1 + 0.3 * z) - off
    assert found[:, 0].tolist() == np.floor(np.maximum(0, expected) + 0.5).astype(int).tolist()


def test_sample_id_is_the_start_of_a_hash() -> None:
    packed = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert sample_id(packed) == int(sha256(packed.tobytes()).hexdigest()[:6], 16)
    assert sample_id(packed[:, ::-1]) != sample_id(packed)
    assert sample_id(np.asfortranarray(packed)) == sample_id(packed)


def test_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    arch: Any = options({})
    programmed = LAYER.program(arch)
    monkeypatch.setenv("SPIKEX_MAX_MEMORY_GB", "0.3")
    with pytest.raises(TraceError, match=r"^sums of layer conv takes some"):
        programmed.sums(LAYER.geometry, LAYER.packed, 1 << 20, 0, shift=0)
    with pytest.raises(TraceError, match=r"^arrays of layer conv takes some"):
        drawn(0, (4000, 1000, 1, 1), 1, timesteps=1).program(arch)
