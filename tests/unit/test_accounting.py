"""Counts add up, cannot be changed afterwards and read as in the result file; what cannot be is no result."""

from __future__ import annotations

import pickle
import re

import pytest

from spikex_sim.core.counts import LEVELS, TENSORS, Accesses, AccessLog, Counts, Operations, Stalls
from spikex_sim.core.errors import InternalError, SpikexError


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


def test_accesses_are_a_view_of_the_counts() -> None:
    counts = logged().counts
    assert counts == {
        ("dram", "read_bits", "filter"): 100, ("glb", "write_bits", "filter"): 100,
        ("lbuf", "read_bits", "tag"): 3, ("rf", "write_bits", "psum"): 24,
    }  # fmt: skip
    more = counts + Operations(accumulations=5).alu("int")
    assert Accesses(more) == logged() and more["alu", "accumulate", ""] == 5


def test_any_component_counts_what_it_likes() -> None:
    log = AccessLog()
    log.count("adc", "convert", "", 7)
    log.count("adc", "convert", "", 2)
    log.count("pib", "read_bits", "spikes", 64)
    accesses = log.freeze()
    assert accesses.counts["adc", "convert", ""] == 9
    assert tuple(accesses) == (*LEVELS, "pib")
    assert accesses["pib"]["spikes"] == {"read_bits": 64, "write_bits": 0}
    assert accesses["dram"]["spikes"] == {"read_bits": 0, "write_bits": 0}


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
    for frozen in (before, pickle.loads(pickle.dumps(before))):
        with pytest.raises(TypeError):
            frozen.counts["glb", "read_bits", "ifmap"] = 7
        with pytest.raises(TypeError):
            frozen["glb"]["ifmap"]["read_bits"] = 7
        with pytest.raises(AttributeError):
            frozen.counts._items = {}
        assert frozen == before


def test_counts_are_whole_numbers_of_64_bits() -> None:
    log = AccessLog()
    log.write("rf", "psum", 2**61)
    log.write("rf", "psum", 2**61)
    assert log.freeze().write_bits("rf", "psum") == 2**62
    with pytest.raises(InternalError, match=f"rf write_bits of psum is {2**63}, more than 64 bits hold"):
        log.freeze() + log.freeze()
    with pytest.raises(TypeError):
        log.write("rf", "psum", 1.5)  # type: ignore[arg-type]


def test_a_count_that_cannot_be_is_named() -> None:
    with pytest.raises(InternalError) as caught:
        Counts({("lbuf", "read_bits", "psum"): -93240})
    assert str(caught.value) == (
        "internal error: lbuf read_bits of psum is -93240; this is a fault of the program, please report it"
    )
    assert not isinstance(caught.value, SpikexError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    for message, make in (
        ("alu compare is -2", lambda: Operations(lif_updates=3, comparisons=1).alu("int")),
        ("adc convert is -1", lambda: AccessLog().count("adc", "convert", "", -1)),
        ("leak_catchups is -1", lambda: Operations(leak_catchups=-1)),
        (f"ntwus is {2**63}", lambda: Operations(ntwus=2**62) + Operations(ntwus=2**62)),
        ("drain stall is -4", lambda: Stalls(dram=9, drain=-4)),
    ):
        with pytest.raises(InternalError, match=f"^internal error: {re.escape(message)}"):
            make()


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


def test_what_the_alu_does_is_counted_by_datapath() -> None:
    done = Operations(accumulations=7, lif_updates=3, comparisons=5, multiplications=2)
    counted = {"accumulate": 7, "update": 3, "compare": 2, "multiply": 2}
    assert done.alu("int") == {("alu", action, ""): number for action, number in counted.items()}
    assert done.alu("float") == {("alu", f"float_{action}", ""): n for action, n in counted.items()}


def test_a_log_starts_at_zero() -> None:
    assert len(AccessLog().freeze().counts) == 0
