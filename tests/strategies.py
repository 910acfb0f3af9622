"""Hypothesis strategies: layers, neurons, weights, spikes, accelerator configurations; small but varied."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer
from spikex_sim.testing.own_keys import own
from spikex_sim.testing.workloads import ACTIVITIES, Workload, make_spikes, make_weights

BUFFER_BYTES = 20_000
"""Capacity of generated buffers: at this size the shares below make a half of any number of bits, exactly."""
PLENTY = 19_000
"""Bits of a half that hardly anything exceeds."""


def level(*, psum: int | None = None, **halves: int) -> dict[str, Any]:
    """Capacity and shares such that the halves, and the psum part, have exactly so many bits."""
    whole = BUFFER_BYTES * 8
    shares = {f"partition.{name}": min(bits, PLENTY) * 2 / whole for name, bits in halves.items()}
    if psum is not None:
        shares["partition.psum"] = min(psum, 2 * PLENTY) / whole
    return {"bytes": BUFFER_BYTES, **shares}


def prefixed(prefix: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Put a dotted path before every key."""
    return {f"{prefix}.{key}": value for key, value in keys.items()}


@st.composite
def neurons(draw: st.DrawFn, datapath: str | None = None) -> dict[str, Any]:
    """Neurons of both datapaths, with hard and soft reset, thresholds of either sign."""
    kind = draw(st.sampled_from(["int", "int", "float"])) if datapath is None else datapath
    silence = draw(st.sampled_from(["free"] * 6 + ["soft", "negative", "soft and negative"]))
    neuron: dict[str, Any] = {
        "threshold": draw(st.integers(-6, -1) if "negative" in silence else st.integers(0, 60)),
        "reset": "subtract" if "soft" in silence else "zero",
        "datapath": kind,
    }
    if kind == "int":
        return {**neuron, "leak_shift": draw(st.one_of(st.integers(0, 6), st.just(31)))}
    leaks = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
    return {**neuron, "threshold": neuron["threshold"] / 4, "leak": draw(leaks)}


@st.composite
def layers(draw: st.DrawFn, datapath: str | None = None, largest_map: int = 7) -> dict[str, Any]:
    """Convolutions of any kernel, stride and padding on maps of any sides; linear layers."""
    neuron = draw(neurons(datapath))
    out_channels = draw(st.integers(1, 9))
    if draw(st.integers(0, 3)) == 3:
        channels = draw(st.integers(1, 30))
        return {"name": "fc", "kind": "linear", "in_channels": channels, "out_channels": out_channels,
                "neuron": neuron}  # fmt: skip
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    padding = [draw(st.integers(0, 3)) for _ in range(2)]
    least = [max(1, kernel[axis] - 2 * padding[axis]) for axis in range(2)]
    sides = [draw(st.integers(least[axis], max(least[axis], largest_map))) for axis in range(2)]
    return {
        "name": "conv",
        "kind": "conv",
        "in_channels": draw(st.integers(1, 4)),
        "out_channels": out_channels,
        "kernel": kernel,
        "stride": [draw(st.integers(1, 3)) for _ in range(2)],
        "padding": padding,
        "in_height": sides[0],
        "in_width": sides[1],
        "neuron": neuron,
    }


@st.composite
def workloads(
    draw: st.DrawFn, datapath: str | None = None, largest_map: int = 7, longest: int = 30, bias: bool = True
) -> Workload:
    """Layers with input spikes, weights and, now and then, a bias."""
    layer = draw(layers(datapath, largest_map))
    spec = Layer.model_validate(layer)
    timesteps = draw(st.one_of(st.integers(longest // 2, longest), st.integers(1, longest)))
    seed = draw(st.integers(0, 2**20))
    spikes = make_spikes((*spec.input_shape, timesteps), draw(st.sampled_from(ACTIVITIES)), seed)
    weight = make_weights(spec, seed + 1)
    values = None
    if bias and draw(st.integers(0, 7)) == 7:
        number = np.int32 if layer["neuron"]["datapath"] == "int" else np.float32
        values = np.random.default_rng(seed + 2).integers(-3, 4, spec.out_channels).astype(number)
    return Workload(layer, spikes, weight, values)


@st.composite
def window_sizes(draw: st.DrawFn, timesteps: int) -> int:
    """Window sizes up to ``T`` that divide it, and that do not."""
    divisors = [size for size in range(1, timesteps + 1) if timesteps % size == 0]
    short = st.integers(1, min(3, timesteps))
    return draw(st.one_of(short, st.sampled_from(divisors), st.integers(1, timesteps)))


def multiples(unit: int, most: int) -> st.SearchStrategy[int]:
    """Capacities around multiples of a unit, exact fits and one bit less; now and then plenty."""
    near = st.builds(lambda count, less: max(1, unit * count - less), st.integers(1, most), st.booleans())
    return st.one_of(near, near, st.just(PLENTY))


@st.composite
def buffers(draw: st.DrawFn, workload: Workload, tws: int, rows: int, cols: int) -> dict[str, Any]:
    """GLB and LBUF, from far too small to ample, with many exact fits."""
    layer = workload.spec
    bits = 32 if workload.layer["neuron"]["datapath"] == "float" else 8
    rho = min(rows, layer.out_channels)
    positions, windows = layer.out_height * layer.out_width, -(-workload.timesteps // tws)
    filter_taps = layer.kernel[0] * layer.kernel[1]
    taps = layer.in_channels * filter_taps
    glb = level(
        ifmap=draw(
            multiples(
                layer.in_channels * filter_taps * (tws + 1), 2 * layer.in_height * layer.in_width * windows
            )
        ),
        filter=draw(multiples(rho * bits * draw(st.sampled_from([1, filter_taps])), taps)),
        ofmap=draw(st.one_of(st.just(PLENTY), st.just(PLENTY), multiples(rho * (tws + 1), cols))),
    )
    lbuf = level(
        ifmap=draw(multiples((tws + 1) * draw(st.sampled_from([1, cols])), taps)),
        filter=draw(multiples(rho * bits * draw(st.sampled_from([1, filter_taps])), taps)),
        ofmap=draw(st.one_of(st.just(PLENTY), st.integers(7, 60), multiples(rho * (tws + 1), cols))),
        psum=draw(multiples(rho * bits * 2, positions)),
    )
    return prefixed("memory.glb", glb) | prefixed("memory.lbuf", lbuf)


@st.composite
def arrays(
    draw: st.DrawFn, skews: tuple[str, ...] = ("tile", "tile", "tile", "batch", "none")
) -> dict[str, Any]:
    """Array shapes and the knobs of the PEs; output channels seldom fill the rows evenly."""
    return {
        "array.rows": draw(st.integers(1, 5)),
        "array.cols": draw(st.integers(1, 6)),
        "accumulators_per_pe": draw(st.sampled_from([1, 1, 2, 3, 40])),
        "update_cycles": draw(st.sampled_from([1, 1, 1, 2, 5, 64])),
        "leak_catchup_cycles": draw(st.sampled_from([1, 1, 0, 3])),
        "skew": draw(st.sampled_from(skews)),
        "zero_gating": draw(st.sampled_from(["auto", "auto", "auto", True, False])),
        "stream": draw(st.sampled_from(["tap", "tap", "channel", "all"])),
    }


SUMS: list[dict[str, Any]] = [
    *2 * [{"psum_bits": 24}, {"psum_bits": 17}],
    {"psum_bits": 10, "psum_overflow": "wrap"},
    {"psum_bits": 8, "psum_overflow": "wrap"},
]
"""Registers of partial sums that hold all that small layers add up, and some in which it wraps around."""


@st.composite
def ports(draw: st.DrawFn) -> dict[str, Any]:
    """Bandwidths, port widths and latencies."""
    latencies = st.one_of(st.just(0), st.integers(0, 9))
    return {
        "memory.dram.bandwidth_gb_s": draw(
            st.one_of(st.sampled_from([30.0, 0.3]), st.integers(1, 40_000).map(lambda n: n / 1000))
        ),
        "clock_mhz": draw(st.sampled_from([500.0, 333.3, 1000.0])),
        "memory.dram.latency_cycles": draw(latencies),
        "memory.glb.latency_cycles": draw(latencies),
        "memory.lbuf.latency_cycles": draw(latencies),
        "memory.glb.dram_port_bits": draw(st.one_of(st.just(512), st.integers(1, 600))),
        "memory.glb.array_port_bits": draw(st.one_of(st.just(64), st.integers(1, 80))),
        "memory.lbuf.port_bits": draw(st.one_of(st.just(64), st.integers(1, 80))),
    }


@st.composite
def overrides(draw: st.DrawFn, workload: Workload, scheduler: str) -> dict[str, Any]:
    """Configuration overrides for a workload: array, buffers, ports, mapping and what the scheduler knows."""
    tws = draw(window_sizes(workload.timesteps))
    keys: dict[str, Any] = {"tws": tws, **draw(arrays()), **draw(ports())}
    keys["mapping.tile"] = draw(st.sampled_from(["auto", "auto", "auto", "layer"]))
    keys |= draw(buffers(workload, tws, keys["array.rows"], keys["array.cols"]))
    if draw(st.integers(0, 4)) == 4:
        keys["mapping.positions"] = draw(st.integers(1, 8))
    if draw(st.integers(0, 4)) == 4:
        keys["mapping.windows"] = draw(st.integers(1, 4))
    keys["potential_bits"] = draw(st.sampled_from([16, 16, 8, 5, 2]))
    keys |= draw(st.sampled_from(SUMS))
    if scheduler == "ptb":
        keys["stsap"] = draw(st.booleans())
        keys["tailored"] = draw(st.booleans())
    else:
        keys["dispatch"] = draw(st.sampled_from(["agile", "agile", "temporal", "spatial"]))
        keys["memory.zero_tags"] = draw(st.sampled_from(["move", "move", "unit"]))
    return own(Accelerator(scheduler=scheduler), keys)
