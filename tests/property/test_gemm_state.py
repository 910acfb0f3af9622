"""Potentials and partial sums of dense arrays come down only when they have arrived where they stay.

Who writes and who reads a value is known from the rows, taps and channels of the oracle's steps; when, from
the package's steps. `check` does not know how many empty steps there should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import naive_gemm
import spikex_sim as sx
from examples import examples
from gemm_comparison import DURATION_COLUMNS, STEP_COLUMNS, dense_steps, oracle_config
from gemm_strategies import PRESETS, cuts, port_widths, shapes, units
from naive_time import recurrence
from networks import conv, full, linear
from strategies import PLENTY, Workload, level, make_spikes, multiples, prefixed, workloads

MACHINES = {"systolic": ("os", "ws", "is"), "sata": ("os", "ws")}
BEHIND = {"glb": 3, "dram": 4}
"""So many steps later is the first load (fetch) that the port serves behind a step's store (write-back)."""
DOWN = {"glb": "load", "dram": "fetch"}
UP = {"glb": "store", "dram": "writeback"}


def values_of(steps: list[dict[str, Any]], direction: str) -> Iterator[tuple[int, str, Hashable]]:
    """Step, kind and name of every value that the oracle's steps read or write."""
    for number, step in enumerate(steps):
        for values in step[direction]:
            yield from ((number, values.kind, one) for one in values.each())


def producers(steps: list[dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
    """Kind, step that writes and step that reads, of every value that is read."""
    written: dict[Hashable, int] = {}
    for number, kind, one in values_of(steps, "writes"):
        assert (kind, one) not in written, "written twice"
        written[kind, one] = number
    for number, kind, one in values_of(steps, "reads"):
        yield kind, written.pop((kind, one)), number  # read once, and nothing that was not written
    last = max((time for kind, (time, *_) in written), default=0)
    for kind, (time, *_) in written:
        assert kind == "potentials" and time == last, "never read"


def check(workload: Workload, base: str, keys: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Check all that is read; how many values of a kind came from a level below the edge in a later step."""
    arch = sx.load_accelerator(base, keys)
    want = naive_gemm.cost(full(workload.layer), workload.spikes, oracle_config(arch), workload.biased)
    working = [step for step in want["steps"] if step["array_cycles"]]
    assert not any(step["reads"] or step["writes"] for step in want["steps"] if not step["array_cycles"])

    steps, durations = dense_steps(workload, workload.spikes, arch)
    cycles = {name: getattr(durations, name).tolist() for name in DURATION_COLUMNS}
    busy = steps.array_cycles > 0
    place = np.flatnonzero(busy).tolist()  # of the steps that work among all of them
    assert len(place) == len(working)
    for part, names in ((steps, STEP_COLUMNS), (durations, DURATION_COLUMNS)):
        for name in names:
            assert not getattr(part, name)[~busy].any(), "an empty step takes no time"
    ends = [dict(zip(DURATION_COLUMNS, row, strict=True)) for row in recurrence(*cycles.values())]

    edge = "lbuf" if arch.memory.lbuf.bytes else "glb"
    home = {kind: getattr(want["residency"], kind) for kind in ("potentials", "psums")}
    spilled: Counter[tuple[str, str]] = Counter()
    for kind, producer, consumer in producers(working):
        assert producer < consumer or (kind == "potentials" and producer == consumer)
        if home[kind] == edge or producer == consumer:
            continue
        before, after = place[producer], place[consumer]
        assert after - before >= BEHIND[home[kind]], (kind, producer, consumer)
        starts = ends[after][DOWN[home[kind]]] - cycles[DOWN[home[kind]]][after]
        assert starts >= ends[before][UP[home[kind]]], (kind, producer, consumer)
        spilled[kind, home[kind]] += 1
    return spilled


@st.composite
def spilling(draw: st.DrawFn, workload: Workload, machine: str) -> dict[str, Any]:
    """Buffers that hold operands, of chunks of any size, but seldom potentials and partial sums."""
    keys: dict[str, Any] = {
        "dataflow": draw(st.sampled_from(MACHINES[machine])),
        "weight_bits": 8, "psum_bits": 24, "potential_bits": 16,
        **draw(shapes()), **draw(cuts(tiles=False)),
    }  # fmt: skip
    sizes = units(workload, keys, machine)

    def operands(tensor: str, count: int) -> int:
        return max(sizes[tensor][:count]) * draw(st.integers(1, 4))

    def state() -> int:
        return draw(st.one_of(st.just(0), st.just(0), multiples(draw(st.sampled_from(sizes["psum"])), 1)))

    glb = level(
        ifmap=PLENTY,
        filter=PLENTY,
        ofmap=PLENTY,
        psum=draw(st.sampled_from([2 * PLENTY, 2 * PLENTY, 0, state()])),
    )
    if draw(st.integers(0, 4)) == 4:
        glb = level(ifmap=operands("ifmap", 3), filter=operands("filter", 2), ofmap=PLENTY, psum=state())
        keys["memory.lbuf.bytes"] = 0
    else:
        lbuf = level(ifmap=operands("ifmap", 3), filter=operands("filter", 2), ofmap=PLENTY, psum=state())
        keys |= prefixed("memory.lbuf", lbuf)
    keys |= prefixed("memory.glb", glb)
    return keys | draw(port_widths(keys))


@pytest.mark.parametrize("machine", MACHINES)
@examples(150)
@given(data=st.data())
def test_what_comes_down_has_arrived(machine: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=5, longest=8))
    keys = data.draw(spilling(workload, machine))
    spilled = check(workload, PRESETS[machine], keys)
    for kind, home in spilled:
        event(f"{keys['dataflow']}: {kind} from {home}")


NEURON = {"threshold": 9, "leak_shift": 3, "reset": "zero", "datapath": "int"}
FC, FOUR = linear("fc", (4, 2), NEURON), conv("conv", (4, 2), 2, NEURON, kernel=1)
GLB, DRAM = 2 * PLENTY, 0  # bits of the GLB for potentials and partial sums
ONE_CHANNEL = {"memory.lbuf": {"filter": 2 * 8}}  # at a time, two taps of it

# Layer, dataflow, rows and columns, time points, where the state stays, more settings; steps, dots are empty
CASES: list[tuple[dict[str, Any], str, tuple[int, int], int, int, dict[str, Any], str]] = [
    (FC, "os", (1, 2), 3, GLB, {}, "x..x..x.."),
    (FC, "os", (1, 2), 3, DRAM, {}, "x...x...x..."),
    (FC, "os", (3, 2), 3, DRAM, {}, "x..."),
    (FC, "os", (1, 2), 1, DRAM, {}, "x"),
    (FOUR, "os", (1, 2), 2, DRAM, {}, "xxxxxxxx"),
    (FOUR, "os", (2, 2), 2, GLB, {}, "x.x.x.x."),
    (FOUR, "os", (2, 2), 2, DRAM, {}, "x.x.x.x."),
    (FOUR, "os", (3, 2), 2, DRAM, {}, "x...x...x..."),
    (FC, "ws", (2, 2), 1, GLB, {}, "x..x"),
    (FC, "ws", (2, 2), 1, DRAM, {}, "x...x"),
    (FC, "ws", (4, 2), 3, GLB, {}, "x.."),
    (FC, "ws", (4, 2), 3, GLB, {"mapping.windows": 1}, "x..x..x.."),
    (FC, "ws", (2, 2), 2, DRAM, {"mapping.windows": 1}, "x...x...x...x..."),
    (FC, "is", (2, 1), 2, GLB, {}, "x..x.x..x."),
    (FC, "is", (2, 1), 2, DRAM, {}, "x...x..x...x.."),
    (FC, "is", (2, 1), 2, GLB, ONE_CHANNEL, "xx.xxxx.xx"),
    (FC, "is", (1, 2), 2, DRAM, {}, "x...x...x...x"),
]


@pytest.mark.kernels
@pytest.mark.parametrize(("layer", "dataflow", "shape", "times", "glb", "more", "want"), CASES)
def test_empty_steps(
    layer: dict[str, Any],
    dataflow: str,
    shape: tuple[int, int],
    times: int,
    glb: int,
    more: dict[str, Any],
    want: str,
) -> None:
    parts = {"ifmap": PLENTY, "filter": PLENTY, "ofmap": PLENTY}
    keys = {"dataflow": dataflow, "array.rows": shape[0], "array.cols": shape[1], **more}
    lbuf = level(**parts | keys.pop("memory.lbuf", {}), psum=0)
    keys |= prefixed("memory.glb", level(**parts, psum=glb)) | prefixed("memory.lbuf", lbuf)
    side = 1 if layer is FC else 2
    spikes = make_spikes((4, side, side, times) if layer is FOUR else (4, times), "dense", 1)
    workload = Workload(layer, spikes, np.ones((2, 4, 1, 1) if layer is FOUR else (2, 4), np.int8))
    steps, _ = dense_steps(workload, spikes, sx.load_accelerator("systolic-os", keys))
    assert "".join("x" if cycles else "." for cycles in steps.array_cycles.tolist()) == want
    check(workload, "systolic-os", keys)
