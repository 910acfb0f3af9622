"""Automatic tiles by hand, and the sizes that refusals name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from examples import examples
from networks import conv, linear
from pipeline import run
from spikex_sim.core.errors import ConfigError
from spikex_sim.schedules.ntwu.tiles import choose_tiles, too_small
from spikex_sim.spec.arch import half_bits, part_bits
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing import kit
from strategies import PLENTY, Workload, level, overrides, prefixed, workloads

INT = {"threshold": 10, "leak_shift": 1, "reset": "zero", "datapath": "int"}
LAYER = Workload(conv("conv", (3, 12), 8, INT), np.ones((3, 8, 8, 20), bool), np.ones((12, 3, 3, 3), np.int8))


def tiles(*, fill_columns: bool = False, tws: int = 4, windows: int = 40, **keys: Any) -> tuple[int, int]:
    """Return (positions, windows) of the tiles of a 3x3 convolution with 3 channels and a 6x6 output."""
    arch = load_accelerator("spikex", keys)
    task = kit.task_of(replace(LAYER, spikes=np.ones((3, 8, 8, windows * tws), bool)), tws, arch)
    shape = choose_tiles(task, arch, fill_columns=fill_columns)
    return shape.positions, shape.windows


def test_shares_are_taken_as_decimals() -> None:
    # 0.3 as a binary fraction is a little less than three tenths: 20 B x 8 x 0.3 / 2 must be 24 all the same.
    assert half_bits(20, 0.3) == 24
    assert half_bits(54 * 1024, 0.1) == 22118  # 22118.4
    assert part_bits(2048, 0.2) == 3276  # 3276.8


def test_the_defaults() -> None:
    # Potentials: 3276 bits / (16 x 8 rows) = 25 positions. 25 positions are 4 rows of 6 and one: pixels of 6
    # rows, and 3 of a seventh (from the second set: position 25 is (4, 1), ... up to the last, 11 positions).
    # GLB: half of 0.3 x 54 KB is 66355 bits; one window is 3 channels x 51 pixels x 5 bits = 765: 86 windows.
    assert tiles() == (25, 40)
    assert tiles(windows=100) == (25, 86)


def test_positions_are_halved_until_a_row_of_columns_is_filled() -> None:
    # 25 positions need 51 pixels x 3 x 5 = 765 bits a window. A half of 3060 bits holds 4 windows; 12
    # positions see 4 rows of 8 pixels, 480 bits: 6 windows; 6 positions 24 pixels, 360 bits: 8 windows, as
    # many as there are columns.
    room = prefixed("memory.glb", level(ifmap=3060, filter=PLENTY, ofmap=PLENTY))
    assert tiles(**room) == (25, 4)
    assert tiles(fill_columns=True, **room) == (6, 8)
    # 5 windows are enough if there are no more.
    assert tiles(fill_columns=True, windows=5, **room) == (12, 5)


def test_blocks_are_rounded_down_to_whole_rows_of_columns() -> None:
    assert tiles(fill_columns=True, windows=100) == (25, 80)  # of 86
    assert tiles(fill_columns=True, windows=20) == (25, 16)
    assert tiles(fill_columns=True, windows=7) == (25, 7)


def test_halving_floors() -> None:
    # 25 -> 12 -> 6 -> 3 -> 1: one position sees 9 pixels, 135 bits a window.
    room = prefixed("memory.glb", level(ifmap=135, filter=PLENTY, ofmap=PLENTY))
    assert tiles(**room) == (1, 1)
    room = prefixed("memory.glb", level(ifmap=225, filter=PLENTY, ofmap=PLENTY))
    assert tiles(**room) == (3, 1)  # 15 pixels


def test_tile_layer_is_one_tile() -> None:
    assert tiles(**{"mapping.tile": "layer", "memory.glb.bytes": 1, "memory.lbuf.bytes": 1}) == (36, 40)


def test_tiles_that_are_given() -> None:
    assert tiles(**{"mapping.positions": 7, "mapping.windows": 5}) == (7, 5)
    assert tiles(**{"mapping.positions": 99, "mapping.windows": 99, "memory.lbuf.bytes": 9999}) == (36, 40)
    with pytest.raises(ConfigError, match=r"memory\.lbuf\.bytes: 2048 B is too small: 26 positions per tile"):
        tiles(**{"mapping.positions": 26})
    positions, block = tiles(**{"mapping.windows": 87}, windows=100)  # fewer positions make room
    assert block == 87 and positions < tiles(**{"mapping.windows": 1}, windows=100)[0]
    with pytest.raises(ConfigError, match=r"memory\.glb\.bytes: 55296 B is too small: .* 87 window"):
        tiles(**{"mapping.windows": 87, "mapping.positions": 25}, windows=100)


def needed(level_name: str, part: str, workload: Workload, keys: dict[str, Any]) -> int:
    """Return the size that the refusal names, after checking that it blames the right part."""
    with pytest.raises(ConfigError) as refusal:
        run(workload, load_accelerator("spikex", keys))
    message = str(refusal.value)
    assert f"memory.{level_name}.bytes: {keys[f'memory.{level_name}.bytes']} B is too small" in message
    assert f"in the {part} part" in message
    return int(message.rsplit("the smallest that works is ", 1)[1].removesuffix(" B"))


FC = Workload(linear("fc", (5, 8), INT), np.ones((5, 16), bool), np.ones((8, 5), np.int8))
ROOMY = {"memory.glb.bytes": 1 << 20, "memory.lbuf.bytes": 1 << 20}
# What is asked for, in bits, and how much of the buffer is there for it.
REFUSALS: dict[str, tuple[str, str, float, Workload, dict[str, Any], int, Fraction]] = {
    # 16-bit potentials of 8 rows.
    "potentials": ("lbuf", "psum", 0.01, FC, {}, 128, Fraction(1)),
    # One tap of 8 rows of 8 bits; the GLB keeps the filters, the LBUF does not.
    "weights of a tap": ("lbuf", "filter", 0.01, FC, {}, 64, Fraction(1, 2)),
    # One tap in 8 columns of FC: 4 windows of 4 bits and a tag.
    "spikes of a tap": ("lbuf", "ifmap", 0.01, FC, {}, 20, Fraction(1, 2)),
    # All 5 channels of one window: 5 x 5 bits.
    "spikes of a window": ("glb", "ifmap", 0.01, FC, {}, 25, Fraction(1, 2)),
    # One step brings as many weights as the LBUF's half holds; here all 5 x 64.
    "weights of a step": ("glb", "filter", 0.01, FC, {}, 320, Fraction(1, 2)),
    # One batch of 4 columns sends 8 x 4 x 5 bits.
    "outputs of a step": ("glb", "ofmap", 0.01, FC, {}, 160, Fraction(1, 2)),
    "outputs of the LBUF": ("lbuf", "ofmap", 0.001, FC, {}, 1, Fraction(1, 2)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_smallest_size_named_works_and_one_byte_less_does_not(name: str) -> None:
    level_name, part, share, workload, keys, bits, usable = REFUSALS[name]
    # The part in question is small, the others are ample, whatever the capacity.
    other = {"ifmap": 0.2, "filter": 0.2, "ofmap": 0.2} | {part: share}
    size = f"memory.{level_name}.bytes"
    base = ROOMY | keys | {f"memory.{level_name}.partition.{key}": value for key, value in other.items()}
    # The smallest capacity whose part, or half of it, holds the bits.
    expected = -(-bits // (8 * usable * Fraction(str(share))))
    too_few = {**base, size: max(1, int(expected) // 2)}
    assert needed(level_name, part, workload, too_few) == expected
    run(workload, load_accelerator("spikex", {**base, size: int(expected)}))
    assert needed(level_name, part, workload, {**base, size: int(expected) - 1}) == expected


def test_a_part_without_a_share_cannot_be_mended_by_capacity() -> None:
    keys = {"memory.lbuf.partition.psum": 0.0}
    with pytest.raises(ConfigError, match=r"memory\.lbuf\.partition\.psum: is 0, .* give it a share"):
        run(FC, load_accelerator("spikex", keys))


@given(st.integers(1, 10**6), st.integers(1, 1000), st.sampled_from(["ifmap", "filter", "ofmap", "psum"]))
def test_the_smallest_capacity_is_the_smallest(bits: int, permille: int, part: str) -> None:
    key = f"memory.lbuf.partition.{part}"
    zeros = {f"memory.lbuf.partition.{name}": 0.0 for name in ("ifmap", "filter", "ofmap", "psum")}
    arch = load_accelerator("spikex", {**zeros, key: permille / 1000})
    least = int(str(too_small("lbuf", part, arch, bits, "x")).rsplit(" is ", 1)[1].removesuffix(" B"))
    of = part_bits if part == "psum" else half_bits
    assert of(least, permille / 1000) >= bits > of(least - 1, permille / 1000)


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(60)
@given(data=st.data())
def test_following_the_refusals_leads_to_a_configuration_that_works(
    scheduler: str, data: st.DataObject
) -> None:
    workload = data.draw(workloads(largest_map=5, longest=12))
    keys = data.draw(overrides(workload, scheduler))
    for level_name in ("glb", "lbuf"):
        keys[f"memory.{level_name}.bytes"] = data.draw(st.integers(1, 20_000))
    followed = 0
    for _ in range(20):
        try:
            run(workload, load_accelerator(scheduler, keys))
            break
        except ConfigError as refusal:
            field, _, rest = str(refusal).split(": ", 1)[1].partition(": ")
            assert rest, refusal
            assume("give it a share" not in rest)
            least = int(rest.rsplit("the smallest that works is ", 1)[1].removesuffix(" B"))
            assert least > keys[field], "the size named is no larger than the one refused"
            keys[field] = least
            followed += 1
    else:
        pytest.fail("20 refusals in a row")
    event(f"refusals followed: {followed}")
