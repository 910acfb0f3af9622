"""Hypothesis strategies for crossbars: small networks and every key, as plain data for oracle and package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from naive import Bools, out_size
from naive_imc import adc_bits, config_of, polarities, slices
from naive_imc_net import INPUT
from naive_time import ceil_div

Described = dict[str, Any]
ACTIVITIES = ("medium", "medium", "sparse", "dense", "ones", "silent", "constant", "gaps", "late")


@dataclass
class Drawn:
    """A network with its samples, and what differs from the default configuration."""

    layers: list[Described]  # as `naive_imc_net.Network` takes them
    samples: list[Bools]  # [C, H, W, T], or [N, T] where a linear layer is first
    changes: Described
    calibration: list[Bools] | None = None

    @property
    def config(self) -> Described:
        return config_of(self.changes)


def spikes(shape: tuple[int, ...], activity: str, seed: int) -> Bools:
    """Spikes ``[*shape]``, time last, of a kind of :data:`ACTIVITIES`."""
    rng = np.random.default_rng(seed)
    if activity in ("ones", "silent"):
        return np.full(shape, activity == "ones")
    rate = {"sparse": 0.05, "dense": 0.8}.get(activity, 0.3)
    out = rng.random(shape) < rate
    if activity == "constant":  # what an image gives with direct encoding
        return np.repeat(out[..., :1], shape[-1], axis=-1)
    if activity == "gaps":
        out &= rng.random(shape[-1]) < 0.5
    if activity == "late":
        out[..., :-1] = False
    return out


@st.composite
def neurons(draw: st.DrawFn, datapath: str) -> Described:
    """Neurons that fire now and then; a few fire without input."""
    reset = draw(st.sampled_from(["zero", "zero", "zero", "subtract"]))
    threshold = draw(st.one_of(st.integers(0, 40), st.integers(0, 200), st.integers(-5, -1)))
    if datapath == "int":
        leak = draw(st.one_of(st.integers(0, 5), st.just(31)))
        return {"threshold": threshold, "leak_shift": leak, "reset": reset, "datapath": "int"}
    leak = draw(st.sampled_from([0.0, 0.5, 0.75, 1.0]))
    return {"threshold": threshold / 16, "leak": leak, "reset": reset, "datapath": "float"}


@st.composite
def windows(draw: st.DrawFn, sides: tuple[int, int], kernels: tuple[int, ...]) -> Described:
    """Kernel, stride and padding for which a map of these sides is large enough."""
    sizes: dict[str, list[int]] = {"kernel": [], "stride": [], "padding": []}
    square = draw(st.booleans())
    for axis in (0, 1):
        if axis == 1 and square and sides[0] == sides[1]:
            for values in sizes.values():
                values.append(values[0])
            break
        kernel = draw(st.sampled_from(kernels))
        least = max(0, ceil_div(kernel - sides[axis], 2))
        padding = max(least, draw(st.integers(0, max(1, kernel // 2))))
        for values, value in zip(sizes.values(), (kernel, draw(st.integers(1, 2)), padding), strict=True):
            values.append(value)
    return sizes


def averaging(sides: tuple[int, int]) -> Described | None:
    """Windows that do not overlap and cover the map, so that any layer can follow (model §1); None: none."""
    kernel = [next((n for n in (2, 3, 5, 1) if side % n == 0), 1) for side in sides]
    return None if kernel == [1, 1] else {"kernel": kernel, "stride": kernel, "padding": [0, 0]}


@st.composite
def networks(
    draw: st.DrawFn,
    weight_bits: int,
    lowest: int,
    most: int = 4,
    datapath: str = "int",
    residual: bool = False,
) -> list[Described]:
    """1 to `most` layers, pools among them; with `residual`, some take several sources."""
    count = draw(st.integers(1, most))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    layers: list[Described] = []
    shapes: dict[str, tuple[int, ...]] = {INPUT: shape}
    name = INPUT
    kinds = ["conv", "conv", "conv", "linear", "maxpool", "avgpool"]
    for index in range(count):
        kind = draw(st.sampled_from(kinds))
        C, H, W = shape
        averaged = bool(layers) and layers[-1]["kind"] == "avgpool"
        window = averaging((H, W)) if kind == "avgpool" else None
        if kind == "avgpool" and (averaged or window is None or index == count - 1):
            kind = "conv"
        if kind == "maxpool" and (
            averaged or (index == count - 1 and index == layers_without_weights(layers))
        ):
            kind = "conv"
        if kind != "linear" and kinds == ["linear"]:
            kind = "linear"
        taken = name
        name = f"{kind}{index}"
        layer: Described = {"name": name, "kind": kind}
        seed = draw(st.integers(0, 2**20))
        rng = np.random.default_rng(seed)
        if kind == "linear":
            M, N = draw(st.integers(1, 12)), C * H * W
            layer |= {"in_channels": N, "out_channels": M, "neuron": draw(neurons(datapath))}
            layer |= learnt(rng, (M, N), weight_bits, lowest, datapath, draw(st.booleans()))
            shape = (M, 1, 1)
            kinds = ["linear"]  # a vector has no map
        else:
            if kind != "avgpool":
                window = draw(windows((H, W), (1, 2, 3, 3, 5) if kind == "conv" else (2, 3)))
            M = draw(st.integers(1, 12)) if kind == "conv" else C
            if (
                residual and kind == "conv" and draw(st.booleans())
            ):  # keeps the shape, so that spikes can be ORed
                side, M = draw(st.sampled_from([1, 3, 5])), C
                window = {"kernel": [side, side], "stride": [1, 1], "padding": [side // 2, side // 2]}
            layer |= {"in_channels": C, "out_channels": M, "in_height": H, "in_width": W, **(window or {})}
            if kind == "conv":
                layer["neuron"] = draw(neurons(datapath))
                layer |= learnt(
                    rng, (M, C, *layer["kernel"]), weight_bits, lowest, datapath, draw(st.booleans())
                )
            shape = (M, *out_size(layer, H, W))
        if residual:
            likely = [one for one, other in shapes.items() if other == shapes[taken] and not averages(one)]
            if not averages(taken) and len(likely) > 1:
                more = draw(st.lists(st.sampled_from(likely), min_size=1, max_size=2, unique=True))
                layer["from"] = list(dict.fromkeys([taken, *more]))
        shapes[name] = shape
        layers.append(layer)
    return layers


def averages(name: str) -> bool:
    return name.startswith("avgpool")


def layers_without_weights(layers: list[Described]) -> int:
    return sum(layer["kind"] in ("maxpool", "avgpool") for layer in layers)


def learnt(
    rng: np.random.Generator, shape: tuple[int, ...], bits: int, lowest: int, datapath: str, biased: bool
) -> Described:
    """Weights, and a bias where asked for, in the datapath's types."""
    if datapath == "float":
        weight: NDArray[Any] = rng.normal(0, 1, shape).astype(np.float32)
        bias: NDArray[Any] = rng.normal(0, 0.3, shape[0]).astype(np.float32)
    else:
        weight = rng.integers(lowest, 2 ** (bits - 1), shape).astype(np.int8)
        bias = rng.integers(-9, 10, shape[0]).astype(np.int32)
    return {"weight": weight, "bias": bias} if biased else {"weight": weight}


def picked(draw: st.DrawFn, choices: dict[str, list[Any]]) -> Described:
    """One value of every key, the default (first) oftener than the others."""
    return {
        key: draw(st.one_of(st.just(values[0]), st.sampled_from(values))) for key, values in choices.items()
    }


#: Keys that go with any others, with some values; the default comes first.
FREE: dict[str, list[Any]] = {
    "imc.event_driven": [True, False],
    "imc.crossbars_per_pe": [9, 1, 2, 4, 5],
    "imc.pes_per_tile": [8, 1, 2, 3],
    "imc.mapping": ["kernel", "packed"],
    "imc.complement": [False, True],
    "imc.sign_plane": ["free", "charged"],
    "imc.overhead_cycles": [2, 0, 5],
    "imc.phase_cycles": [2, 1, 3],
    "imc.silent_cycles": [1, 0, 4],
    "imc.ports": [4, 1, 2, 9],
    "imc.lif_units": [64, 1, 3, 8],
    "imc.umem": ["sram", "fefet"],
    "imc.buffers.gb": [20480, 1024, 0],
    "imc.buffers.tb": [10240, 100, 0],
    "imc.buffers.pb": [5120, 64, 0],
    "imc.buffers.tib": [0, 51200],
    "imc.buffers.pib": [0, 30720],
    "imc.direct": ["auto", False],
    "imc.device.r_on_kohm": [20, 50, 12.5, 100],
    "imc.device.r_off_kohm": [200, 400, 1000, 333],
    "imc.device.v_read": [0.1, 0.05, 0.025, 0.2],
    "imc.adc.sharing": ["pe", "crossbar"],
    "imc.adc.mux": [8, 1, 3, 16],
    "psum_bits": ["auto", 16, 33, 8],
    "potential_bits": [22, 16, 8, 30],
    "clock_mhz": [250, 100, 333.3],
    "dataflow": ["layer", "tick_batch"],
    "lif_sharing": [1, 2, 3],
}
NONIDEAL: dict[str, list[Any]] = {
    "imc.adc.range": ["auto", 0, 1, 3],
    "imc.adc.clip": [0.001, 0, 0.1],
    "imc.r_par_ohm": [5, 0, 1, 30.5],
    "imc.read_sigma": [0.1, 0, 0.5],
    "imc.write_sigma": [0, 0.1, 0.4],
    "imc.drift.nu": [0, 0.05],
    "imc.drift.seconds": [1, 1000],
    "imc.drift.t0_seconds": [1, 2.5],
    "imc.stuck.on": [0, 0.1],
    "imc.stuck.off": [0, 0.1],
    "imc.goff": ["popcount", "column", "none"],
    "imc.adapt": ["none", "channel"],
    "imc.seed": [0, 1, 2**40],
}


@st.composite
def configurations(draw: st.DrawFn, nonideal: bool = False) -> Described:
    """Changes of any keys of §5 that a machine with ADCs of the table can have, nothing refused."""
    changes = picked(draw, FREE)
    changes["weight_bits"] = draw(st.sampled_from([8, 8, 5, 4, 3, 2]))
    changes["imc.encoding"] = draw(st.sampled_from(["sign_offset", "twos", "offset", "differential"]))
    changes["imc.device.bits"] = draw(st.sampled_from([4, 1, 2, 3, 7]))
    changes["imc.adc.bits"] = draw(st.sampled_from([5, "auto", 1, 3, 4, 8]))
    config = config_of(changes)
    columns = slices(config) * polarities(config)
    changes["imc.crossbar"] = draw(st.sampled_from([X for X in (4, 8, 9, 16, 64, 128) if columns <= X]))
    if adc_bits(config | changes) > 14:  # no flash ADC of so many bits has a price
        changes["imc.adc.bits"] = 6
    if 4 <= adc_bits(config | changes) <= 10:
        changes["imc.adc.kind"] = draw(st.sampled_from(["flash", "flash", "sar"]))
    if nonideal:
        changes |= {"imc.arrays": "nonideal"} | picked(draw, NONIDEAL)
    return changes


def lowest_weight(config: Described) -> int:
    """``-2^(b-1)``, or one more where a magnitude of that size fits no cells (§4)."""
    lowest = -(2 ** (int(config["weight_bits"]) - 1))
    held = 2 ** (slices(config) * int(config["imc.device.bits"])) - 1
    return lowest + 1 if config["imc.encoding"] == "differential" and held < -lowest else lowest


@st.composite
def runs(
    draw: st.DrawFn,
    nonideal: bool = False,
    residual: bool = False,
    most: int = 4,
    fixed: Described | None = None,
) -> Drawn:
    """A network, samples, a configuration and, now and then, other samples to calibrate on.

    Keys in `fixed` are as given.
    """
    changes = draw(configurations(nonideal)) | (fixed or {})
    config = config_of(changes)
    datapath = draw(st.sampled_from(["int", "int", "int", "float"]))
    bits = int(config["weight_bits"])
    layers = draw(networks(bits, lowest_weight(config), most, datapath, residual))
    first = layers[0]
    shape: tuple[int, ...] = (first["in_channels"],)
    if first["kind"] != "linear":
        shape += (first["in_height"], first["in_width"])
    T = draw(st.integers(1, 4))

    def drawn_samples(least: int) -> list[Bools]:
        how = draw(
            st.lists(
                st.tuples(st.sampled_from(ACTIVITIES), st.integers(0, 2**20)), min_size=least, max_size=2
            )
        )
        return [spikes((*shape, T), activity, seed) for activity, seed in how]

    samples = drawn_samples(1)
    calibration = drawn_samples(0) if nonideal else []
    return Drawn(layers, samples, changes, calibration or None)


def descriptions(layers: list[Described]) -> tuple[list[Described], list[Any], list[Any]]:
    """Descriptions, weights and biases, as a trace of layers one after the other takes them."""
    described = [{k: v for k, v in one.items() if k not in ("weight", "bias", "from")} for one in layers]
    return described, [one.get("weight") for one in layers], [one.get("bias") for one in layers]


def graph_of(drawn: Drawn, sample: int = 0) -> tuple[list[Described], dict[str, Any]]:
    """Nodes and arrays of a graph that does what a drawn network does with a sample, `from` and all.

    Several sources become a join by OR before the node that takes them.
    """
    given = drawn.samples[sample]
    nodes: list[Described] = [{"name": INPUT, "kind": "input", "shape": list(given.shape[:-1])}]
    arrays: dict[str, Any] = {f"{INPUT}/spikes": np.packbits(given, axis=-1)}
    before = INPUT
    for layer in drawn.layers:
        sources = layer.get("from", [before])
        before = name = layer["name"]
        source = sources[0]
        if len(sources) > 1:
            source = f"{name}-or"
            nodes.append({"name": source, "kind": "join", "how": "or", "from": sources})
        sizes = {key: layer[key] for key in ("kernel", "stride", "padding") if key in layer}
        if "weight" not in layer:
            nodes.append({"name": name, "kind": layer["kind"], "from": source, **sizes})
            continue
        synapse = {"from": source, "kind": layer["kind"], **sizes}
        nodes.append({"name": name, "kind": "neurons", "channels": layer["out_channels"],
                      "neuron": layer["neuron"], "synapses": [synapse]})  # fmt: skip
        arrays[f"{name}/synapse-0/weight"] = layer["weight"]
        if "bias" in layer:
            arrays[f"{name}/bias"] = layer["bias"]
    return nodes, arrays
