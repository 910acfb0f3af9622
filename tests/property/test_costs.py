"""Every cost of a layer equals that of the slow oracle, to the bit and to the cycle of every step."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from comparison import assert_costs
from examples import examples
from strategies import overrides, workloads


@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(110)
@given(data=st.data())
def test_costs_equal_the_oracles(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads())
    done = assert_costs(workload, base, data.draw(overrides(workload, base)))
    if done is None:
        event("a buffer is too small")
        return
    residency = done.traffic.residency
    event(f"GLB filters per {residency.glb_filter}, LBUF filters per {residency.lbuf_filter}")
    event(f"GLB ifmap per {residency.glb_ifmap}")
    event(f"mode {done.schedule.mode}")
    batch = done.traffic.steps.batch
    event(f"extra output steps: {bool((batch[1:][batch[:-1] >= 0] < 0).any())}")
    event(
        f"batches in several steps: {bool((batch[1:][batch[1:] >= 0] == batch[:-1][batch[1:] >= 0]).any())}"
    )


@pytest.mark.kernels
@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(25)
@given(data=st.data())
def test_costs_of_tiny_layers_equal_the_oracles(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=4, longest=10))
    assert_costs(workload, base, data.draw(overrides(workload, base)))
