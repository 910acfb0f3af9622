"""Hypothesis strategies for dense arrays and SATA: arrays, cuts, buffers and ports around a layer."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spikex_sim.testing.own_keys import own
from strategies import SUMS, Workload, level, multiples, prefixed

DATAFLOWS = {"systolic": ("os", "ws", "is"), "sata": ("os", "ws", "tick_batch"), "ann": ("os", "ws", "is")}
PRESETS = {"systolic": "systolic-os", "sata": "sata-on-spikex", "ann": "ann"}
LEAST_BYTES = {8: 64, 16: 64, 32: 128, 64: 256, 128: 512, 256: 1024}  # memories of the energy table


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    """Array shapes that layers seldom fill evenly."""
    return {"array.rows": draw(st.integers(1, 5)), "array.cols": draw(st.integers(1, 6))}


@st.composite
def cuts(draw: st.DrawFn, *, tiles: bool = True) -> dict[str, Any]:
    """Passes: one, or cut by positions, time points or both; now and then a machine that holds everything."""
    keys: dict[str, Any] = {}
    if tiles:
        keys["mapping.tile"] = draw(st.sampled_from(["auto", "auto", "auto", "auto", "layer"]))
    if draw(st.integers(0, 2)) == 2:
        keys["mapping.positions"] = draw(st.integers(1, 9))
    if draw(st.integers(0, 2)) == 2:
        keys["mapping.windows"] = draw(st.integers(1, 4))
    return keys


def units(workload: Workload, keys: dict[str, Any], machine: str) -> dict[str, list[int]]:
    """Bits of what may or may not fit: a tap, row or channel of a fold, what stays for longer."""
    layer, rows, cols = workload.spec, keys["array.rows"], keys["array.cols"]
    floating = workload.layer["neuron"]["datapath"] == "float"
    weight, psum, potential = (
        (32, 32, 32) if floating else tuple(keys[f"{name}_bits"] for name in ("weight", "psum", "potential"))
    )
    positions = layer.out_height * layer.out_width
    at_once = min(positions, keys.get("mapping.positions", positions))
    times = 1 if machine == "ann" else workload.timesteps
    together = min(times, keys.get("mapping.windows", times)) if machine == "systolic" else 1
    word = 8 if machine == "ann" else times if keys["dataflow"] == "tick_batch" else 1
    value = 8 if machine == "ann" else 1
    taps = layer.in_channels * layer.kernel[0] * layer.kernel[1]
    channels, group = layer.out_channels, min(cols, layer.out_channels)
    pixels = layer.in_height * layer.in_width
    return {
        "filter": [
            group * weight,
            min(rows, taps) * weight,
            taps * group * weight,
            taps * channels * weight,
        ],
        "ifmap": [
            min(rows, positions * together) * word,
            min(cols, positions * together) * word,
            min(rows, taps) * word,
            layer.in_channels * pixels * value,
            layer.in_channels * pixels * value * times,
            pixels * value,
        ],
        "psum": [
            at_once * group * potential,
            at_once * channels * potential,
            at_once * together * group * psum,
            min(cols, at_once * together) * channels * psum,
            at_once * group * potential + at_once * together * group * psum,
        ],
    }


@st.composite
def buffers(draw: st.DrawFn, sizes: dict[str, list[int]]) -> dict[str, Any]:
    """GLB and LBUF, from too small to ample, with many exact fits; or a GLB at the edge, in one or three."""

    def bits(tensor: str, least: int = 1) -> int:
        unit = draw(st.sampled_from(sizes[tensor]))
        most = draw(st.sampled_from([1, 1, 2, 4]))
        return max(least, draw(multiples(unit, most)))

    glb = level(ifmap=bits("ifmap"), filter=bits("filter"), psum=bits("psum"))
    keys = prefixed("memory.glb", glb)
    edge = draw(st.sampled_from(["lbuf", "lbuf", "glb", "three"]))
    if edge == "lbuf":
        lbuf = level(ifmap=bits("ifmap"), filter=bits("filter"), psum=bits("psum"))
        return keys | prefixed("memory.lbuf", lbuf)
    keys["memory.lbuf.bytes"] = 0
    if edge == "three":  # a half has four bits for every byte
        separate = {tensor: max(64, -(-bits(tensor) // 4)) for tensor in ("ifmap", "filter")}
        keys["memory.glb.separate"] = {**separate, "ofmap": max(64, -(-bits("psum") // 4))}
        keys["memory.glb.bytes"] = sum(keys["memory.glb.separate"].values())
    return keys


@st.composite
def port_widths(draw: st.DrawFn, keys: dict[str, Any]) -> dict[str, Any]:
    """Bandwidths, latencies, and ports of widths that the energy table has."""
    latencies = st.one_of(st.just(0), st.just(0), st.integers(0, 9))
    separate = keys.get("memory.glb.separate")
    least = min(separate.values()) if separate else 2**20
    array_ports = [width for width, size in LEAST_BYTES.items() if size <= least]
    return {
        "memory.dram.bandwidth_gb_s": draw(
            st.one_of(st.sampled_from([30.0, 0.3]), st.integers(1, 40_000).map(lambda n: n / 1000))
        ),
        "clock_mhz": draw(st.sampled_from([500.0, 333.3, 1000.0])),
        "memory.dram.latency_cycles": draw(latencies),
        "memory.glb.latency_cycles": draw(latencies),
        "memory.lbuf.latency_cycles": draw(latencies),
        "memory.glb.dram_port_bits": draw(st.one_of(st.just(512), st.integers(1, 600))),
        "memory.glb.array_port_bits": draw(st.sampled_from(array_ports)),
        "memory.lbuf.port_bits": draw(st.sampled_from([8, 16, 32, 64, 64, 256])),
    }


@st.composite
def configurations(draw: st.DrawFn, workload: Workload, machine: str) -> dict[str, Any]:
    """Overrides of the preset of a machine: "systolic", "sata" or "ann"."""
    keys: dict[str, Any] = {
        "dataflow": draw(st.sampled_from(DATAFLOWS[machine])),
        "zero_gating": draw(st.sampled_from(["auto", False, True])),
        "weight_bits": 8,
        **draw(st.sampled_from(SUMS)),
        "potential_bits": draw(st.sampled_from([16, 16, 9, 5])),
        **draw(shapes()),
        **draw(cuts()),
    }
    if machine == "sata":
        keys["lif_sharing"] = draw(st.sampled_from([1, 1, 2, 3, 4]))
        keys["cycles_model"] = draw(st.sampled_from(["overlapped", "overlapped", "overlapped", "published"]))
    keys |= draw(buffers(units(workload, keys, machine)))
    return own(PRESETS[machine], keys | draw(port_widths(keys)))
