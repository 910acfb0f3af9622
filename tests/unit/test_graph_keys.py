"""Tags of currents and joins that read, on networks small enough to count by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from graphs import Array, currents, network, packaged, population, spiking_input
from spikex_sim.core.errors import ConfigError

T = 8
PSUM_BITS = 24
FREE = {"threshold": 5}


def at(channels: int, *times: int) -> Array:
    """Spikes of one position in all channels at some time points."""
    spikes = np.zeros((channels, 1, 1, T), np.bool_)
    spikes[..., list(times)] = True
    return spikes


def shortcut(*times: int, bias: int = 0, delay: int = 0, neuron: dict[str, Any] = FREE) -> sx.GraphTrace:
    """Two sums of what one input spikes at some time points, and neurons that take these."""
    nodes = [
        spiking_input(2, 1, 1),
        currents([{"from": "in", "kind": "identity", "weight": 3}], 2),
        population([{"from": "sum", "kind": "identity", "delay": delay}], 2, neuron),
    ]
    arrays: dict[str, Array] = {"in/spikes": at(2, *times)}
    if bias:
        arrays["sum/bias"] = np.array([0, bias], np.int32)
    return packaged(network(nodes, T, arrays))


def run(trace: sx.GraphTrace, arch: str = "spikex", tws: Any = 2, **keys: Any) -> dict[str, Any]:
    given = {key.replace("__", "."): value for key, value in keys.items()}
    return {layer.name: layer for layer in sx.simulate(trace, arch, tws=tws, overrides=given).layers}


def dram(layer: Any, tensor: str) -> tuple[int, int]:
    """Bits of a tensor that DRAM gives and takes."""
    return layer.accesses.read_bits("dram", tensor), layer.accesses.write_bits("dram", tensor)


def test_windows_that_were_not_issued_neither_move_nor_wake() -> None:
    """Of four windows of two time points one has a spike: two sums of two words, and all tags."""
    trace = shortcut(2)
    before, after = run(trace), run(trace, currents__tags="issued")
    assert [before[name].operations.ntwus for name in ("sum", "out")] == [8, 8]
    assert [after[name].operations.ntwus for name in ("sum", "out")] == [2, 2]
    assert dram(before["sum"], "psum") == (0, 2 * 8 * PSUM_BITS)
    assert dram(after["sum"], "psum") == (0, 2 * 2 * PSUM_BITS)
    assert dram(before["out"], "psum") == (2 * 8 * PSUM_BITS, 0)
    assert dram(after["out"], "psum") == (2 * 2 * PSUM_BITS, 0)
    assert [dram(one["sum"], "tag")[1] for one in (before, after)] == [0, 2 * 4]
    assert [dram(one["out"], "tag")[0] for one in (before, after)] == [0, 2 * 1]  # of issued windows alone
    assert before["out"].output_sha256 == after["out"].output_sha256
    assert before["out"].output_spikes == 0 and run(shortcut(2, 3))["out"].output_spikes == 2


def test_tags_are_those_of_the_consumers_windows() -> None:
    """A sum at time point 3, one later: windows of one time point issue 3, one of four wakes the second."""
    trace = shortcut(3, delay=1)
    found = run(trace, tws=[1, 4], currents__tags="issued")
    assert dram(found["sum"], "psum")[1] == 2 * PSUM_BITS
    assert found["out"].operations.ntwus == 2
    assert dram(found["out"], "psum")[0] == 2 * 4 * PSUM_BITS


@pytest.mark.parametrize("change", [{"bias": 1}, {"neuron": FREE | {"reset": "subtract"}}])
def test_what_is_not_zero_without_input_is_issued(change: dict[str, Any]) -> None:
    found = run(shortcut(2, **change), currents__tags="issued")
    assert found["out"].operations.ntwus == 8
    assert found["sum"].operations.ntwus == (8 if "bias" in change else 2)


def test_ptb_issues_every_window() -> None:
    """So its tags cost, and spare nothing."""
    trace = shortcut(2)
    before, after = run(trace, "ptb"), run(trace, "ptb", currents__tags="issued")
    for name in ("sum", "out"):
        assert dram(before[name], "psum") == dram(after[name], "psum")
    assert dram(after["sum"], "tag")[1] - dram(before["sum"], "tag")[1] == 2 * 4
    assert dram(after["out"], "tag")[0] - dram(before["out"], "tag")[0] == 2 * 4


def test_currents_do_not_stay_in_the_glb() -> None:
    """What takes them reads them from DRAM, so they must have been written there."""
    found = run(shortcut(2), memory__glb__keep_ofmap=True)
    assert dram(found["sum"], "psum")[1] == dram(found["out"], "psum")[0] > 0


def joined(how: str) -> sx.GraphTrace:
    """Six channels, some of two, and a join of both."""
    join: dict[str, Any] = {"name": "both", "kind": "join", "how": how, "from": ["in", "few"]}
    if how == "slice":
        join |= {"from": ["in"], "channels": [1, 4]}
    channels = {"concat": 8, "slice": 3}.get(how, 6)
    nodes = [
        spiking_input(6, 1, 1),
        spiking_input(2, 1, 1, name="few"),
        join,
        population([{"from": "both", "kind": "identity"}, {"from": "few", "kind": "linear"}], channels),
    ]
    weights = np.ones((channels, 2), np.int8)
    arrays = {"in/spikes": at(6, 0, 1, 5), "few/spikes": at(2, 7), "out/synapse-1/weight": weights}
    return packaged(network(nodes, T, arrays))


@pytest.mark.parametrize("how", ["or", "and", "iand"])
@pytest.mark.parametrize(
    ("arch", "tws", "ifmap", "tag"),
    [("spikex", 2, (6 * 2 + 2) * 2, 8 * 4), ("ptb", 8, 8 * 8, 8), ("systolic-os", None, 8 * 8, 0)],
)
def test_joins_read_what_is_stored(how: str, arch: str, tws: int | None, ifmap: int, tag: int) -> None:
    """Words of windows with a spike, and all tags; the DRAM gives 480 bits a cycle."""
    before, after = (run(joined(how), arch, tws, join=one) for one in ("free", "read"))
    assert before["both"].cycles == before["both"].energy.total_pj == 0
    assert (dram(after["both"], "ifmap"), dram(after["both"], "tag")) == ((ifmap, 0), (tag, 0))
    assert (after["both"].cycles, after["both"].stalls.dram, after["both"].compute_cycles) == (1, 1, 0)
    assert after["both"].energy.total_pj > 0
    assert before["both"].output_sha256 == after["both"].output_sha256
    assert before["out"].to_dict() == after["out"].to_dict()


@pytest.mark.parametrize("how", ["concat", "slice"])
def test_what_only_says_where_spikes_are_reads_nothing(how: str) -> None:
    found = run(joined(how), join="read")["both"]
    assert found.cycles == sum(bits for row in found.accesses.rows() for bits in row[2:]) == 0


def test_reads_are_cut_to_the_glb() -> None:
    """64 bits in halves of 20: four steps of a cycle each."""
    keys = {"memory__glb__partition__ifmap": 0.0125, "memory__glb__bytes": 400}
    found = run(joined("or"), "systolic-os", None, join="read", **keys)["both"]
    assert (found.steps, found.cycles) == (4, 4)
    keys["memory__glb__partition__ifmap"] = 0.0
    with pytest.raises(ConfigError, match=r"memory\.glb\.partition\.ifmap: is 0, but stored spikes"):
        run(joined("or"), "systolic-os", None, join="read", **keys)


@pytest.mark.parametrize(("tws", "windows"), [([4], 2), ("auto", 8)])
def test_windows_of_a_join_are_those_of_a_node_before_or_the_first(tws: Any, windows: int) -> None:
    found = run(joined("or"), tws=tws, join="read")["both"]
    assert (found.tws, dram(found, "tag")[0]) == (8 // windows, 8 * windows)
