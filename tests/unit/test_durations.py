"""Bits become cycles: the slower side of each port, one rounding up, latency once and not for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import program_of
from spikex_sim.spec.load import load_accelerator
from spikex_sim.timing.durations import durations_of
from spikex_sim.timing.engine import Durations


def durations(keys: dict[str, Any] | None = None, **columns: list[int]) -> Durations:
    """Durations of steps in which all that is not given is 0."""
    columns.setdefault("writeback_bits", columns.get("store_bits", [0] * len(next(iter(columns.values())))))
    return durations_of(program_of(**columns), load_accelerator("spikex", keys or {}))


def test_the_defaults() -> None:
    # 30 GB/s at 500 MHz are 480 bits a cycle, less than the GLB's port of 512; inside, ports of 64.
    done = durations(
        fetch_bits=[0, 1, 480, 481], load_bits=[0, 1, 64, 65], store_bits=[64, 65, 480, 481],
        array_cycles=[0, 1, 2, 3], lbuf_read_bits=[0, 65, 64, 0], lbuf_write_bits=[0, 64, 0, 257],
    )  # fmt: skip
    assert done.fetch.tolist() == [0, 1, 1, 2]
    assert done.load.tolist() == [0, 1, 1, 2]
    assert done.store.tolist() == [1, 2, 8, 8]
    assert done.writeback.tolist() == [1, 1, 1, 2]
    assert done.compute.tolist() == [0, 2, 2, 5]
    assert done.array.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("keys", "outside", "inside"),
    [
        ({"memory.glb.dram_port_bits": 100}, 10, 16),  # the port is slower than the DRAM
        ({"memory.dram.bandwidth_gb_s": 0.3}, 209, 16),  # 4.8 bits a cycle
        ({"clock_mhz": 1000.0}, 5, 16),  # 240 bits a cycle
        ({"memory.glb.array_port_bits": 10}, 3, 100),
        ({"memory.lbuf.port_bits": 20}, 3, 50),
    ],
)
def test_the_slower_side_counts(keys: dict[str, Any], outside: int, inside: int) -> None:
    done = durations(keys, fetch_bits=[1000], load_bits=[1000], store_bits=[1000])
    assert (done.fetch[0], done.writeback[0]) == (outside, outside)
    assert (done.load[0], done.store[0]) == (inside, inside)


def test_rounding_up_is_exact() -> None:
    # 0.3 GB/s at 500 MHz are exactly 4.8 bits a cycle: 48 bits take 10 cycles, not 11.
    done = durations({"memory.dram.bandwidth_gb_s": 0.3}, fetch_bits=[47, 48, 49])
    assert done.fetch.tolist() == [10, 10, 11]


def test_latency_is_added_once_to_what_is_not_empty() -> None:
    keys = {
        "memory.dram.latency_cycles": 100,
        "memory.glb.latency_cycles": 20,
        "memory.lbuf.latency_cycles": 3,
    }
    done = durations(
        keys, fetch_bits=[0, 481], load_bits=[0, 65], store_bits=[0, 65], array_cycles=[1, 4],
        lbuf_read_bits=[0, 65], lbuf_write_bits=[0, 1],
    )  # fmt: skip
    assert done.fetch.tolist() == [0, 102]
    assert done.load.tolist() == [0, 22]
    assert done.store.tolist() == [0, 22]
    assert done.writeback.tolist() == [0, 101]
    assert done.compute.tolist() == [1, 5]  # the read takes 2 + 3, the array 4
