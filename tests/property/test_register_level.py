"""Outputs, cycles and counts equal those of a model that steps every PE and register every cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from examples import examples
from pipeline import Run, outputs, run, wraps_at
from register_model import RegisterResult, run_layer
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.own_keys import own
from strategies import SUMS, Workload, arrays, make_spikes, window_sizes, workloads


def observed(workload: Workload, done: Run, arch: Accelerator) -> RegisterResult:
    """Run the register-level array over the same tiles."""
    return run_layer(
        workload.layer,
        workload.spikes,
        workload.weight,
        workload.bias,
        scheduler=arch.scheduler,
        tws=int(arch.tws),
        rows=arch.array.rows,
        cols=arch.array.cols,
        stream=arch.stream,
        accumulators_per_pe=arch.accumulators_per_pe,
        update_cycles=arch.update_cycles,
        leak_catchup_cycles=arch.get("leak_catchup_cycles", default=1),
        skew=arch.skew,
        zero_gating=arch.zero_gating is not False,
        potential_bits=arch.potential_bits,
        psum_bits=wraps_at(arch),
        tiles=[(range(p0, p1), range(w0, w1)) for p0, p1, w0, w1 in done.schedule.tiles.tolist()],
        stsap=arch.get("stsap", default=False),
    )


def tile_cycles(done: Run) -> list[int]:
    """Array cycles of every tile, row groups outermost."""
    steps, tiles = done.steps, len(done.schedule.tiles)
    cycles = np.zeros(tiles * len(done.schedule.groups.sizes), np.int64)
    np.add.at(cycles, steps.group * tiles + steps.tile, steps.array_cycles)
    return cycles.tolist()


def package_counts(done: Run, arch: Accelerator, datapath: str) -> dict[str, Any]:
    """What the package counts, in the words of the register-level model."""
    weight, psum, potential = (
        (32, 32, 32) if datapath == "float" else (arch.weight_bits, arch.psum_bits, arch.potential_bits)
    )
    operations, accesses = done.layout.operations, done.layout.accesses
    outgoing_tags = accesses.write_bits("dram", "tag")
    return {
        "mode": done.schedule.mode,
        "compute_cycles": done.layout.compute_cycles,
        "tile_cycles": tile_cycles(done),
        "batches": operations.batches,
        "ntwus": operations.ntwus,
        "streamed_taps": operations.streamed_taps,
        "accumulations": operations.accumulations,
        "lif_updates": operations.lif_updates,
        "weight bits read from the LBUF": accesses.read_bits("lbuf", "filter"),
        "spike_bits_read": accesses.read_bits("lbuf", "ifmap"),
        "tag_bits_read": accesses.read_bits("lbuf", "tag") - outgoing_tags,
        "bits of weight registers written": accesses.write_bits("rf", "filter"),
        "partial sum and potential bits read": accesses.read_bits("rf", "psum"),
        "partial sum and potential bits written": accesses.write_bits("rf", "psum"),
        "potential bits read from the LBUF": accesses.read_bits("lbuf", "psum"),
        "potential bits written to the LBUF": accesses.write_bits("lbuf", "psum"),
        "output_bits": accesses.write_bits("lbuf", "ofmap"),
        "busy_pe_cycles": operations.pe_cycles,
        "widths": (weight, psum, potential),
    }


def register_counts(result: RegisterResult, widths: tuple[int, int, int]) -> dict[str, Any]:
    """What the register-level model counts."""
    weight, psum, potential = widths
    same = ("mode", "compute_cycles", "tile_cycles", "batches", "ntwus", "streamed_taps", "accumulations",
            "lif_updates", "spike_bits_read", "tag_bits_read", "output_bits", "busy_pe_cycles")  # fmt: skip
    return {key: getattr(result, key) for key in same} | {
        "weight bits read from the LBUF": result.weight_words_read * weight,
        "bits of weight registers written": result.weight_register_writes * weight,
        "partial sum and potential bits read": result.psum_rf_reads * psum
        + result.potential_rf_reads * potential,
        "partial sum and potential bits written": result.psum_rf_writes * psum
        + result.potential_rf_writes * potential,
        "potential bits read from the LBUF": result.potential_lbuf_reads * potential,
        "potential bits written to the LBUF": result.potential_lbuf_writes * potential,
        "widths": widths,
    }


def assert_same(workload: Workload, base: str, keys: dict[str, Any]) -> Run:
    """Compare everything that the register-level model observes."""
    arch = load_accelerator(base, own(base, keys))
    done = run(workload, arch)
    result = observed(workload, done, arch)
    got = package_counts(done, arch, workload.layer["neuron"]["datapath"])
    want = register_counts(result, got["widths"])
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert got[key] == value, key
    spikes, adds = outputs(workload, arch, done.schedule)
    np.testing.assert_array_equal(spikes, result.outputs)
    assert adds == result.spikes_added
    return done


DRAINING = ("tile", "tile", "batch")
"""Skews that an array of registers can have: without any (``none``) it cannot end."""


@st.composite
def tilings(draw: st.DrawFn) -> dict[str, Any]:
    """One tile, automatic ones, or small ones of a given size."""
    if draw(st.booleans()):
        return {"mapping.tile": draw(st.sampled_from(["auto", "layer"]))}
    return {"mapping.positions": draw(st.integers(1, 6)), "mapping.windows": draw(st.integers(1, 4))}


@pytest.mark.kernels
@pytest.mark.parametrize("base", ["spikex", "ptb"])
@examples(150)
@given(data=st.data())
def test_the_array_does_what_the_registers_do(base: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=4, longest=14))
    keys = {"tws": data.draw(window_sizes(workload.timesteps)), **data.draw(arrays(DRAINING))}
    keys |= data.draw(tilings())
    keys["potential_bits"] = data.draw(st.sampled_from([16, 16, 7, 3]))
    keys |= data.draw(st.sampled_from(SUMS))
    done = assert_same(workload, base, keys)
    event(f"mode {done.schedule.mode}")
    event(f"leak caught up: {done.layout.operations.leak_catchups > 0}")
    event(f"several tiles: {len(done.schedule.tiles) > 1}")


@examples(80)
@given(data=st.data())
def test_packed_taps_share_slots_as_in_the_registers(data: st.DataObject) -> None:
    workload = data.draw(workloads("int", largest_map=4, longest=14))
    keys = {"tws": data.draw(window_sizes(workload.timesteps)), **data.draw(arrays(DRAINING))}
    keys |= data.draw(tilings())
    done = assert_same(workload, "ptb", {**keys, "stsap": True})
    unpacked = run(workload, load_accelerator("ptb", own("ptb", keys))).layout.compute_cycles
    assert done.layout.compute_cycles <= unpacked
    event(f"packing saves cycles: {done.layout.compute_cycles < unpacked}")


# A convolution with a halo and a layer of neurons that are seldom active, in all combinations of the knobs.
CONV = {"name": "conv", "kind": "conv", "in_channels": 2, "out_channels": 5, "kernel": [3, 2],
        "stride": [1, 2], "padding": 1, "in_height": 4, "in_width": 3,
        "neuron": {"threshold": 40, "leak_shift": 3, "reset": "zero", "datapath": "int"}}  # fmt: skip
SLOW = {"update_cycles": 3, "skew": "batch", "zero_gating": False}


@pytest.mark.parametrize(
    "tiling", [{}, {"mapping.positions": 3, "mapping.windows": 2}], ids=["auto", "small"]
)
@pytest.mark.parametrize("others", [{}, SLOW], ids=["defaults", "slow"])
@pytest.mark.parametrize("accumulators", [1, 2])
@pytest.mark.parametrize("stream", ["tap", "channel", "all"])
@pytest.mark.parametrize("dispatch", ["ptb", "ptb with stsap", "spikex"])
def test_every_combination_of_knobs(
    dispatch: str, stream: str, accumulators: int, others: dict[str, Any], tiling: dict[str, Any]
) -> None:
    spikes = make_spikes((2, 4, 3, 11), "sparse", 7) | make_spikes((2, 4, 3, 11), "bursty", 8)
    weight = np.random.default_rng(9).integers(-100, 100, (5, 2, 3, 2)).astype(np.int8)
    keys = {"tws": 3, "array.rows": 2, "array.cols": 3, "stream": stream, "accumulators_per_pe": accumulators}
    base, *packed = dispatch.split(" with ")
    keys |= others | tiling | dict.fromkeys(packed, True)
    assert_same(Workload(CONV, spikes, weight), base, keys)
