"""Counts add up, cannot be changed afterwards and read as in the result file."""

from __future__ import annotations

import numpy as np
import pytest

from spikex_sim.core.counts import LEVELS, TENSORS, Accesses, AccessLog, Operations, Stalls


def logged() -> Accesses:
    """A few accesses."""
    log = AccessLog()
    log.move("dram", "glb", "filter", 96)
    log.move("dram", "glb", "filter", 4)
    log.read("lbuf", "tag", 3)
    log.write("rf", "psum", 24)
    return log.freeze()


def test_a_move_is_a_read_above_and_a_write_below() -> None:
    accesses = logged()
    assert accesses["dram"]["filter"] == {"read_bits": 100, "write_bits": 0}
    assert accesses["glb"]["filter"] == {"read_bits": 0, "write_bits": 100}
    assert accesses.read_bits("lbuf", "tag") == 3
    assert accesses.write_bits("rf", "psum") == 24
    assert sum(read + write for _, _, read, write in accesses.rows()) == 227


def test_accesses_are_a_mapping_in_a_fixed_order() -> None:
    accesses = logged()
    assert tuple(accesses) == LEVELS == ("dram", "glb", "lbuf", "rf")
    assert len(accesses) == 4
    assert [row[:2] for row in accesses.rows()] == [(level, tensor) for level in LEVELS for tensor in TENSORS]
    assert tuple(accesses["rf"]) == TENSORS
    with pytest.raises(KeyError):
        accesses["l2"]


def test_accesses_add_up_and_compare() -> None:
    once, twice = logged(), logged() + logged()
    assert twice.read_bits("dram", "filter") == 200
    assert once == logged()
    assert once != twice
    assert once + Accesses() == once


def test_frozen_accesses_do_not_change() -> None:
    log = AccessLog()
    log.read("glb", "ifmap", 1)
    before = log.freeze()
    log.read("glb", "ifmap", 1)
    assert before.read_bits("glb", "ifmap") == 1
    assert log.freeze().read_bits("glb", "ifmap") == 2
    with pytest.raises(ValueError, match="read-only"):
        before.bits[0, 0, 0] = 7


def test_counts_are_whole_numbers_of_64_bits() -> None:
    log = AccessLog()
    log.write("rf", "psum", 2**61)
    log.write("rf", "psum", 2**61)
    assert log.freeze().write_bits("rf", "psum") == 2**62
    with pytest.raises(OverflowError):
        log.freeze() + log.freeze()


def test_stalls() -> None:
    stalls = Stalls(dram=1, glb=2, lbuf=3, drain=4)
    assert stalls.total == 10
    assert dict(stalls) == {"dram": 1, "glb": 2, "lbuf": 3, "drain": 4}
    assert dict(stalls + Stalls(drain=5)) == {"dram": 1, "glb": 2, "lbuf": 3, "drain": 9}
    with pytest.raises(KeyError):
        stalls["total"]


def test_operations_add_up_field_by_field() -> None:
    names = list(Operations.__dataclass_fields__)
    one = Operations(**{name: 10**index for index, name in enumerate(names)})
    two = Operations(**dict.fromkeys(names, 1))
    assert vars(one + two) == {name: 10**index + 1 for index, name in enumerate(names)}
    assert one + Operations() == one


def test_a_log_starts_at_zero() -> None:
    assert not np.any(AccessLog().freeze().bits)
    assert AccessLog().freeze().bits.dtype == np.int64
