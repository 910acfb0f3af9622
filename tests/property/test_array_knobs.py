"""Knobs of the array, by hand and against each other: length of the update, skew, gating of zeros."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from drawn import costs
from examples import examples
from networks import linear
from pipeline import Run, outputs, run
from spikex_sim.core.counts import Accesses, Operations
from spikex_sim.spec.load import load_accelerator
from strategies import Workload

INT = {"threshold": 2, "leak_shift": 3, "reset": "zero", "datapath": "int"}
SMALL = {"tws": 2, "array.rows": 2, "array.cols": 2, "mapping.tile": "layer"}


def by_hand() -> Workload:
    """Three inputs, three neurons, four windows of two time points, of which the second is silent."""
    spikes = np.zeros((3, 8), bool)
    spikes[0, [0, 1, 4]] = spikes[1, 0] = spikes[2, 7] = True
    return Workload(linear("fc", (3, 3), INT), spikes, np.ones((3, 3), np.int8))


def small(base: str = "spikex", **keys: Any) -> Run:
    """Costs of that layer: batches of windows 0 and 2, then 3, on row groups of two rows and one."""
    return run(by_hand(), load_accelerator(base, SMALL | keys))


class TestByHand:
    @pytest.mark.parametrize("cycles", [1, 2, 64])
    def test_update(self, cycles: int) -> None:
        # The first batch integrates 2 taps and updates 2 windows of one neuron, with a skipped one between
        # them: 4 + (2 x 2 x cycles + 1). The second has 1 tap and 1 window: 2 + 2 x cycles.
        done = small(update_cycles=cycles, skew="none")
        first, second = 4 + (4 * cycles + 1), 2 + 2 * cycles
        assert done.steps.array_cycles.tolist() == [first, second] * 2
        assert done.layout.operations.pe_cycles == 3 * (2 * first + second)
        assert done.layout.operations.lif_updates == 3 * 3 * 2

    def test_catching_up_a_leak_takes_as_long_as_ever(self) -> None:
        done = small(update_cycles=5, leak_catchup_cycles=7, skew="none")
        assert done.steps.array_cycles.tolist() == [4 + 4 * 5 + 7, 2 + 2 * 5] * 2

    @pytest.mark.parametrize(
        ("skew", "added"),
        [
            # rows - 1 + columns - 1, of 2 rows and of 1, in the steps of 2 columns and of 1
            ("none", [0, 0, 0, 0]),
            ("tile", [0, 1 + 1, 0, 0 + 1]),
            ("batch", [1 + 1, 1 + 0, 0 + 1, 0 + 0]),
        ],
    )
    def test_skew(self, skew: str, added: list[int]) -> None:
        done = small(skew=skew)
        cycles = [9 + added[0], 4 + added[1], 9 + added[2], 4 + added[3]]
        assert done.steps.array_cycles.tolist() == cycles
        assert done.layout.compute_cycles == 26 + sum(added)
        assert done.layout.operations.pe_cycles == 3 * (2 * 9 + 4)

    @pytest.mark.parametrize(
        ("base", "gated", "additions"),
        [
            ("spikex", "auto", 5),
            ("spikex", True, 5),
            ("spikex", False, 2 * 2 * 2 + 1 * 1 * 2),  # columns x taps x time points
            ("ptb", "auto", 5),
            ("ptb", False, 2 * 2 * 2 + 2 * 2 * 2),  # windows 0 and 1, then 2 and 3
            ("ptb-stsap", "auto", 5),
            ("ptb-stsap", False, 2 * 2 * 2 + 2 * 1 * 2),  # taps 0 and 2 share a slot in windows 2 and 3
        ],
    )
    @pytest.mark.parametrize("accumulators", [1, 2])
    def test_zeros(self, base: str, gated: Any, additions: int, accumulators: int) -> None:
        done = small(base, zero_gating=gated, accumulators_per_pe=accumulators)
        operations, accesses = done.layout.operations, done.layout.accesses
        assert operations.accumulations == 3 * additions
        assert accesses.write_bits("rf", "psum") == 3 * additions * 24 + operations.lif_updates * 16
        assert accesses.read_bits("rf", "psum") == 3 * additions * 24 + operations.lif_updates * (24 + 16)

    def test_what_is_streamed_is_added_to(self) -> None:
        done = small(zero_gating=False, stream="all")
        assert done.layout.operations.accumulations == 3 * (2 * 3 * 2 + 1 * 3 * 2)


def with_keys(case: tuple[Workload, dict[str, Any], Run], scheduler: str, **keys: Any) -> Run:
    """Costs of the same layer with some keys changed."""
    return run(case[0], load_accelerator(scheduler, case[1] | keys))


def without_psum_registers(accesses: Accesses) -> list[tuple[str, str, int, int]]:
    """Return all counts but those of partial sums and potentials in the registers."""
    return [row for row in accesses.rows() if row[:2] != ("rf", "psum")]


def but(operations: Operations, *names: str) -> Operations:
    """Operations with some counts left out."""
    return replace(operations, **dict.fromkeys(names, 0))


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(30)
@given(data=st.data())
def test_a_longer_update_changes_cycles_alone(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler, update_cycles=1)
    if drawn is None:
        return
    one, two, three = drawn[2], *(with_keys(drawn, scheduler, update_cycles=n) for n in (2, 3))
    for longer in (two, three):
        assert longer.layout.accesses == one.layout.accesses
        assert but(longer.layout.operations, "pe_cycles") == but(one.layout.operations, "pe_cycles")
        for part in fields(one.ends):
            assert (getattr(one.ends, part.name) <= getattr(longer.ends, part.name)).all()
    more = [two.layout.compute_cycles - one.layout.compute_cycles,
            three.layout.compute_cycles - two.layout.compute_cycles]  # fmt: skip
    # Positions of a batch catch up at the same time; the more the update takes, the less that hides.
    assert more[0] <= more[1]
    assert more[0] == more[1] or scheduler == "spikex"
    assert (more[0] > 0) == (one.schedule.batches > 0)
    event(f"catching up is hidden: {more[0] < more[1]}")


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(30)
@given(data=st.data())
def test_skew_changes_cycles_alone(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler, skew="none")
    if drawn is None:
        return
    none, tile, batch = drawn[2], *(with_keys(drawn, scheduler, skew=skew) for skew in ("tile", "batch"))
    for skewed in (tile, batch):
        assert skewed.layout.accesses == none.layout.accesses
        assert skewed.layout.operations == none.layout.operations
        for part in fields(none.ends):
            assert (getattr(none.ends, part.name) <= getattr(skewed.ends, part.name)).all()
    assert none.layout.compute_cycles <= tile.layout.compute_cycles <= batch.layout.compute_cycles
    width = np.diff(none.schedule.batch_columns)
    rows = none.schedule.groups.sizes
    drained = sum(int((count - 1 + width - 1).sum()) for count in rows)
    assert batch.layout.compute_cycles == none.layout.compute_cycles + drained


@pytest.mark.parametrize("scheduler", ["spikex", "ptb"])
@examples(30)
@given(data=st.data())
def test_gating_zeros_changes_additions_alone(scheduler: str, data: st.DataObject) -> None:
    drawn = costs(data, scheduler, zero_gating=True)
    if drawn is None:
        return
    workload, keys, gated = drawn
    dense = with_keys(drawn, scheduler, zero_gating=False)
    auto = with_keys(drawn, scheduler, zero_gating="auto")
    assert auto.layout.operations == gated.layout.operations
    assert auto.layout.accesses == gated.layout.accesses
    for part in fields(gated.ends):
        assert (getattr(gated.ends, part.name) == getattr(dense.ends, part.name)).all()
    names = "accumulations"
    assert but(gated.layout.operations, names) == but(dense.layout.operations, names)
    assert without_psum_registers(gated.layout.accesses) == without_psum_registers(dense.layout.accesses)
    more = dense.layout.operations.accumulations - gated.layout.operations.accumulations
    assert more >= 0
    psum_bits = 32 if workload.layer["neuron"]["datapath"] == "float" else keys["psum_bits"]
    for count in ("read_bits", "write_bits"):
        bits = [getattr(done.layout.accesses, count)("rf", "psum") for done in (gated, dense)]
        assert bits[1] - bits[0] == more * psum_bits
    arch = load_accelerator(scheduler, keys | {"zero_gating": False})
    executed = outputs(workload, arch, dense.schedule)[1]
    assert executed == gated.layout.operations.accumulations  # zeros are counted, not added
    event(f"zeros are added: {more > 0}")
