"""Costs and outputs of dense arrays, ANNs and SATA equal those of the slow oracle, in both engines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from examples import examples
from gemm_comparison import assert_layer
from gemm_strategies import PRESETS, configurations
from strategies import workloads


@pytest.mark.parametrize("machine", PRESETS)
@examples(120)
@given(data=st.data())
def test_costs_and_outputs_equal_the_oracles(machine: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=6, longest=8))
    keys = data.draw(configurations(workload, machine))
    tell(assert_layer(workload, PRESETS[machine], keys), keys)


def tell(want: dict[str, Any] | None, keys: dict[str, Any]) -> None:
    """Say which cases occur."""
    dataflow = keys["dataflow"]
    if want is None:
        event(f"{dataflow}: a buffer is too small")
        return
    kept = want["residency"]
    event(f"{dataflow}: filters stay in {'LBUF' * kept.filters_in_lbuf} {'GLB' * kept.filters_in_glb}")
    event(f"{dataflow}: ifmap per {kept.ifmap_in_glb} in the GLB")
    event(f"{dataflow}: potentials in {kept.potentials}, partial sums in {kept.psums}")
    event(f"{dataflow}: folds in several steps: {len(want['steps']) > want['batches']}")
