"""What a result says of buffers and ports is so: recounted step by step, and by doing what it advises."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

import spikex_sim as sx
from examples import examples
from spikex_sim.run.advice import moved_again
from spikex_sim.run.observers import Observed
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.transfers import transfer_lines
from spikex_sim.spec.workload import Layer
from spikex_sim.testing.own_keys import own
from strategies import Workload, layers, make_spikes, make_weights, ports

MACHINES = ("spikex", "ptb", "systolic-os", "systolic-ws", "systolic-is", "spinalflow")
SIZES = st.sampled_from([256, 512, 1024, 2048, 4096, 8192])


@st.composite
def tight(draw: st.DrawFn, machine: str) -> tuple[sx.Trace, dict[str, Any]]:
    """A layer that often misses a share, and keys of the machine."""
    layer = draw(layers(largest_map=8)) | {"out_channels": draw(st.integers(1, 12))}
    layer["in_channels"] = draw(st.integers(4, 40))
    spec = Layer.model_validate(layer)
    seed = draw(st.integers(0, 2**20))
    timesteps = 1 if machine == "spinalflow" else draw(st.integers(1, 16))
    spikes = make_spikes((*spec.input_shape, timesteps), "dense", seed)
    trace = sx.Trace.from_arrays([layer], spikes, weights=[make_weights(spec, seed + 1)])
    keys = {
        "tws": draw(st.integers(1, timesteps)),
        "array.rows": draw(st.integers(1, 5)),
        "array.cols": draw(st.integers(1, 5)),
        "memory.glb.bytes": draw(SIZES),
        "memory.glb.array_port_bits": 64,
        "memory.lbuf.port_bits": 64,
        "memory.lbuf.bytes": draw(SIZES),
    }
    return trace, own(machine, keys)


def ran(trace: sx.Trace, machine: str, keys: dict[str, Any], observe: Any = None) -> sx.RunResult:
    try:
        return sx.simulate(trace, machine, overrides=keys, observe=observe)
    except sx.ConfigError:
        assume(False)
        raise


@pytest.mark.parametrize("machine", MACHINES)
@examples(60)
@given(data=st.data())
def test_following_the_advice_ends_it(machine: str, data: st.DataObject) -> None:
    """Each change that is said to hold a tensor does so, and nothing more of it is moved than once."""
    trace, keys = data.draw(tight(machine))
    result = ran(trace, machine, keys)
    found = moved_again(result, "glb", "lbuf")
    event(f"moved again: {sorted({(one.held.level, one.held.tensor) for one in found})}")
    for one in found:
        for changes in one.remedies:
            place = (one.held.level, one.held.tensor)
            try:
                after = sx.simulate(trace, machine, overrides={**keys, **changes})
            except sx.ConfigError as exc:  # another share, or the GLB behind a larger LBUF, is too small
                assert list(changes) != ["memory.glb.bytes"] and "too small" in str(exc)
                continue
            (held,) = [held for held in after.layers[0].held if held[:2] == place]
            assert held.missing_bits == 0
            assert not [other for other in moved_again(after, place[0]) if other.held[:2] == place]
            event(f"{place} ended by {next(iter(changes)).rpartition('.')[0]}")


def listed(observed: Observed, tensors: set[str]) -> int:
    """Bits of some tensors that the access trace has fetched from DRAM."""
    rows = csv.DictReader(io.StringIO("".join(transfer_lines(observed.placed(), ("dram",)))))
    return sum(int(row["bits"]) for row in rows if row["direction"] == "read" and row["tensor"] in tensors)


@pytest.mark.parametrize("machine", MACHINES)
@examples(25)
@given(data=st.data())
def test_fetches_are_those_of_the_access_trace(machine: str, data: st.DataObject) -> None:
    trace, keys = data.draw(tight(machine))
    observed = Observed(None, {"rows": lambda _: 0})
    result = ran(trace, machine, keys, observed)
    for held in result.layers[0].held:
        if held.level == "glb":
            tensors = {"ifmap": {"ifmap", "tag"}}.get(held.tensor, {held.tensor})
            assert held.moved_bits == listed(observed, tensors)
        if not held.missing_bits and held.tensor != "psum" and held.level == "glb":
            assert held.moved_bits <= held.once_bits


def spent(bits: int, width: Fraction, latency: int) -> int:
    return ceil(Fraction(bits) / width) + latency if bits else 0


def recounted(timed: TimedLayer) -> Iterator[tuple[str, int]]:
    """Busy cycles step by step, from what each step moves."""
    program, memory = timed.cost.layout.program, timed.arch.memory
    moved = {
        name: program.bits(name).tolist() for name in ("fetch", "load", "store", "writeback", "read", "write")
    }
    dram = Fraction(str(memory.dram.bandwidth_gb_s)) * 8_000 / Fraction(str(timed.arch.clock_mhz))
    links = {
        "dram": (("fetch", "writeback"), dram, memory.dram.latency_cycles),
        "glb_dram": (("fetch", "writeback"), Fraction(memory.glb.dram_port_bits), memory.dram.latency_cycles),
        "glb_array": (("load", "store"), Fraction(memory.glb.array_port_bits), memory.glb.latency_cycles),
        "lbuf_glb": (("load", "store"), Fraction(memory.lbuf.port_bits), memory.glb.latency_cycles),
    }
    for name, (ways, width, latency) in links.items():
        yield name, sum(spent(bits, width, latency) for way in ways for bits in moved[way])
    port, latency = Fraction(memory.lbuf.port_bits), memory.lbuf.latency_cycles
    both = zip(moved["read"], moved["write"], strict=True)
    yield "lbuf_array", sum(max(spent(bits, port, latency) for bits in pair) for pair in both)
    yield "array", int(program.array_cycles.sum())


@pytest.mark.kernels
@pytest.mark.parametrize("machine", MACHINES)
@examples(40)
@given(data=st.data())
def test_busy_cycles_are_those_of_the_steps(machine: str, data: st.DataObject) -> None:
    trace, keys = data.draw(tight(machine))
    keys |= data.draw(ports())
    for side in ("glb.array_port_bits", "lbuf.port_bits"):  # widths that have energies
        keys[f"memory.{side}"] = data.draw(st.sampled_from([8, 16, 32, 64]))
    seen: list[TimedLayer] = []
    result = ran(trace, machine, keys, seen.append)
    (layer,), (timed,) = result.layers, seen
    assert dict(layer.busy) == dict(recounted(timed))
    assert max(layer.busy.values()) <= layer.cycles
    durations = timed.cost.durations
    assert max(layer.busy["dram"], layer.busy["glb_dram"]) == int(
        (durations.fetch + durations.writeback).sum()
    )
    assert max(layer.busy["glb_array"], layer.busy["lbuf_glb"]) == int(
        (durations.load + durations.store).sum()
    )


def test_a_layer_made_by_hand() -> None:
    """The bits of a layer made by hand: 6x6 taps, 16 channels, 8 rows, float32; half a share is 16,588 B."""
    neuron = {"threshold": 1.0, "leak": 0.9, "datapath": "float"}
    layer = {"name": "c", "kind": "conv", "in_channels": 16, "out_channels": 32, "kernel": 6, "stride": 2,
             "padding": 2, "in_height": 16, "in_width": 16, "neuron": neuron}  # fmt: skip
    work = Workload(
        layer, make_spikes((16, 16, 16, 8), "dense", 0), make_weights(Layer.model_validate(layer), 1)
    )
    result = sx.simulate(sx.Trace.from_arrays([layer], work.spikes, weights=[work.weight]), tws=4)
    filters = next(held for held in result.layers[0].held if held[:2] == ("glb", "filter"))
    assert filters.need_bits == 6 * 6 * 16 * 8 * 32 == 18_432 * 8
    assert filters.room_bits // 8 == 16_588 and filters.missing_bits == 18_432 * 8 - 132_710
    assert filters.once_bits == 4 * filters.need_bits
    assert filters.moved_bits == result.layers[0].accesses["dram"]["filter"]["read_bits"]
    (again,) = [one for one in moved_again(result, "glb") if one.held == filters]
    assert [dict(changes) for changes in again.remedies] == [
        {"memory.glb.bytes": 61_440},
        {"memory.glb.partition.filter": 0.67, "memory.glb.partition.ifmap": 0.23},
    ]
