"""Compare two checkouts on drawn workloads and configurations: every number of every result, side by side.

``python scripts/compare_trees.py OLD NEW --configurations 200`` runs each checkout with its own
``.venv/bin/python``, and talks to it through the public interface alone, so that module names and keys of
results may differ between the two. The first difference is printed with what makes it; the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABOUT = ("schema", "version", "versions", "timestamp", "config", "energy_sources", "trace", "provenance")
"""Keys of a result that tell where it comes from."""
TOLERANCE = 1e-9
"""Relative difference of numbers that are not whole, from the order of additions at most."""

NTWU = ("spikex", "spikex-plus", "spikex-lop", "spikex-lstp", "spikex-paper", "ptb", "ptb-stsap", "ptb-paper")
DENSE = ("systolic-os", "systolic-ws", "systolic-is", "sata", "sata-on-spikex", "ann")
CROSSBARS = ("spikesim", "neuronas", "spikesim-released", "crossbar")
PRESETS = (*NTWU, *DENSE, "spinalflow", *CROSSBARS)
DATAFLOWS = {"sata": "tick_batch", "sata-on-spikex": "tick_batch", "ann": "os", "systolic-is": "is"}
TIMING = tuple(f"memory.{key}" for key in (
    "dram.bandwidth", "dram.latency", "glb.dram_port", "glb.latency", "lbuf.latency"
))  # fmt: skip


class Draw:
    """Random choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, *choices: Any) -> Any:
        """One of several, all alike likely."""
        return choices[int(self.rng.integers(len(choices)))]

    def within(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Whether something happens that happens so often."""
        return bool(self.rng.random() < share)

    def some(self, share: float, **keys: Any) -> dict[str, Any]:
        """Of some keys, ``.`` written as ``__``, each so often."""
        return {key.replace("__", "."): value for key, value in keys.items() if self.chance(share)}


def drawn_neuron(draw: Draw, datapath: str) -> dict[str, Any]:
    """A neuron, of one in five silence is not free."""
    reset = "subtract" if draw.chance(0.1) else "zero"
    threshold: float = draw.within(-6, -1) if draw.chance(0.1) else draw.within(0, 120)
    if datapath == "int":
        leak: dict[str, Any] = {"leak_shift": draw.within(0, 6)}
    else:
        leak, threshold = {"leak": draw.of(0.0, 0.5, 0.9, 1.0)}, threshold / 4
    return {"threshold": threshold, "reset": reset, "datapath": datapath, **leak}


def drawn_map(draw: Draw, kind: str, channels: int, sides: tuple[int, int], keys: dict[str, Any]) -> Any:
    """A layer on a map, a convolution or a pooling, and the sides of what leaves it."""
    padding = [0 if kind == "avgpool" else draw.within(0, 2) for _ in range(2)]
    kernel = [draw.within(1, min(4, side + 2 * p)) for side, p in zip(sides, padding, strict=True)]
    if kind != "conv":
        padding = [min(p, k // 2) for p, k in zip(padding, kernel, strict=True)]
        kernel = [min(k, side + 2 * p) for k, side, p in zip(kernel, sides, padding, strict=True)]
    stride = [draw.within(1, 3) for _ in range(2)]
    out = tuple((sides[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2))
    layer = {
        "kind": kind, "in_channels": channels, "out_channels": channels, "in_height": sides[0],
        "in_width": sides[1], "kernel": kernel, "stride": stride, "padding": padding, **keys,
    }  # fmt: skip
    return layer, out


def unpadded(layer: dict[str, Any]) -> Any:
    """The layer without padding, as average pooling of any windows can be folded into it, and its sides."""
    sides = (layer["in_height"], layer["in_width"])
    kernel = [min(pair) for pair in zip(layer["kernel"], sides, strict=True)]
    out = tuple((sides[i] - kernel[i]) // layer["stride"][i] + 1 for i in range(2))
    return layer | {"kernel": kernel, "padding": [0, 0]}, out


def drawn_layers(draw: Draw, datapath: str) -> list[dict[str, Any]]:
    """One conv or linear layer, or a network of some with pooling between them."""
    kinds = draw.of(
        ["conv"], ["conv"], ["linear"], ["conv", "conv", "linear"], ["conv", "maxpool", "conv"],
        ["conv", "avgpool", "conv", "linear"], ["conv", "maxpool", "avgpool", "linear"],
        ["linear", "linear"],
    )  # fmt: skip
    channels, sides = draw.within(1, 5), (draw.within(1, 9), draw.within(1, 9))
    if kinds[0] == "linear":
        channels, sides = draw.within(1, 60), (1, 1)
    layers = []
    for index, kind in enumerate(kinds):
        keys: dict[str, Any] = {"name": f"{kind}{index}"}
        if kind in ("conv", "linear"):
            keys |= {"out_channels": draw.within(1, 14), "neuron": drawn_neuron(draw, datapath)}
        if kind == "linear":
            inputs = channels * sides[0] * sides[1]
            layers.append({"kind": kind, "in_channels": inputs, **keys})
            sides = (1, 1)
        else:
            layer, sides = drawn_map(draw, kind, channels, sides, keys)
            if index and kinds[index - 1] == "avgpool":
                layer, sides = unpadded(layer)
            layers.append(layer)
        channels = layers[-1]["out_channels"]
    return layers


def drawn_spikes(draw: Draw, shape: tuple[int, ...], *, once: bool) -> NDArray[np.bool_]:
    """Spikes ``[samples, ..., T]``, from none to all; ``once``: one of every input at most."""
    rate = draw.of(0.0, 0.01, 0.05, 0.05, 0.2, 0.2, 0.5, 1.0)
    spikes: NDArray[np.bool_] = draw.rng.random(shape) < rate
    if draw.chance(0.3):  # bursts
        spikes &= draw.rng.random(shape[-1]) < 0.3
    if draw.chance(0.2):
        spikes &= draw.rng.random((*shape[:-1], 1)) < 0.4
    if once:
        spikes &= np.cumsum(spikes, axis=-1) == 1
    return spikes


def drawn_trace(draw: Draw, preset: str) -> dict[str, Any]:
    """Arguments of ``Trace.from_arrays``."""
    datapath = "int" if preset == "sata" else draw.of("int", "int", "float")
    layers, timesteps, samples = drawn_layers(draw, datapath), draw.within(1, 26), draw.of(1, 2)
    inputs, weights, biases = {}, {}, {}
    for index, layer in enumerate(layers):
        shape: tuple[int, ...] = (layer["in_channels"],)
        if layer["kind"] != "linear":
            shape = (*shape, layer["in_height"], layer["in_width"])
        once = preset == "spinalflow"
        folded = index > 0 and layers[index - 1]["kind"] == "avgpool"
        if index == 0 or (not folded and (once or draw.chance(0.15))):
            inputs[index] = drawn_spikes(draw, (samples, *shape, timesteps), once=once)
        if "neuron" not in layer:
            continue
        size = (layer["out_channels"], layer["in_channels"], *layer.get("kernel", ()))
        values = draw.rng.integers(-64, 64, size)
        weights[index] = values.astype(np.int8) if datapath == "int" else (values / 8).astype(np.float32)
        if draw.chance(0.1):
            bias = draw.rng.integers(-3, 4, size[0])
            biases[index] = bias.astype(np.int32 if datapath == "int" else np.float32)
    if len(layers) == 1 and draw.chance(0.1):
        weights, biases = {}, {}
    return {"layers": layers, "inputs": inputs, "weights": weights, "biases": biases}


def shares(draw: Draw, level: str, tensors: tuple[str, ...], most: float) -> dict[str, Any]:
    """Shares of a buffer for some tensors, so much together."""
    parts = draw.rng.integers(1, 9, len(tensors))
    return {
        f"memory.{level}.partition.{tensor}": int(1000 * most * part / parts.sum()) / 1000
        for tensor, part in zip(tensors, parts.tolist(), strict=True)
    }


def drawn_timing(draw: Draw) -> dict[str, Any]:
    """Bandwidths, ports, latencies, the clock, and who pays for weights from DRAM."""
    keys = draw.some(
        0.25,
        memory__dram__bandwidth_gb_s=draw.of(0.1, 1.0, 7.5, 100.0),
        memory__dram__latency_cycles=draw.within(0, 20),
        memory__glb__latency_cycles=draw.within(0, 9),
        memory__glb__dram_port_bits=draw.of(8, 64, 100, 1024),
        clock_mhz=draw.of(200.0, 333.3, 1000.0),
    )
    weights = draw.of("stream", "stream", "resident", "amortised")
    if weights != "stream":
        keys["memory.dram.weights"] = weights
    return keys | ({"memory.dram.samples": draw.within(2, 50)} if weights == "amortised" else {})


def drawn_separate(draw: Draw) -> dict[str, Any]:
    """Memories of SATA; its own energy table has rows for those of the preset alone."""
    if draw.chance(0.5):
        return {}
    keys: dict[str, Any] = {"energy.table": "default", "memory.dram.kind": "LPDDR4"}
    sizes = {part: draw.of(1024, 4096, 16384) for part in ("ifmap", "filter", "ofmap")}
    return keys | {f"memory.glb.separate.{part}": size for part, size in sizes.items()} | {
        "memory.glb.bytes": sum(sizes.values()), "memory.glb.array_port_bits": 64
    }  # fmt: skip


def drawn_memory(draw: Draw, preset: str, *, whole: bool) -> dict[str, Any]:
    """Sizes and shares of the buffers; none where a layer is ``whole``, as if all fitted."""
    if preset == "sata":
        return drawn_separate(draw)
    keys = draw.some(0.2, energy__device=draw.of("hp", "lop", "lstp"))
    keys |= draw.some(0.3, memory__rf__bytes=draw.of(64, 128), memory__lbuf__latency_cycles=draw.within(0, 5))
    if preset in NTWU:
        keys |= draw.some(0.3, memory__glb__keep_ofmap=draw.of(True, False))
    if preset != "spinalflow":  # energies of wide ports begin at large memories
        keys |= draw.some(
            0.3, memory__lbuf__port_bits=draw.of(32, 64), memory__glb__array_port_bits=draw.of(32, 64, 128)
        )
    if whole:
        return keys
    keys |= draw.some(0.5, memory__glb__bytes=draw.of(2048, 4096, 16384))
    if preset != "spinalflow":
        keys |= draw.some(0.5, memory__lbuf__bytes=draw.of(256, 512, 1024))
    return keys | (drawn_shares(draw, preset) if draw.chance(0.3) else {})


def drawn_shares(draw: Draw, preset: str) -> dict[str, Any]:
    """Shares of the buffers for the tensors that the machine keeps there, leaving room for the others."""
    glb: tuple[str, ...] = ("ifmap", "filter")
    lbuf, most = glb, (0.9, 0.75)
    if preset in NTWU:
        glb, lbuf, most = (*glb, "ofmap"), (*lbuf, "ofmap", "psum"), (1, 1)
    elif preset in DENSE:
        glb, lbuf, most = (*glb, "psum"), (*lbuf, "psum"), (0.9, 0.95)
    return shares(draw, "glb", glb, most[0]) | shares(draw, "lbuf", lbuf, most[1])


def idle(preset: str, keys: dict[str, Any]) -> tuple[str, ...]:
    """Beginnings of keys that the others leave without effect, which a machine refuses."""
    dataflow = keys.get("dataflow", DATAFLOWS.get(preset))
    stateless = dataflow == "tick_batch" or (preset, dataflow) == ("ann", "os")
    found: tuple[str, ...] = ("memory.glb.partition",) if stateless else ()
    found += ("memory.lbuf.partition",) if stateless or dataflow == "is" else ()
    return found + (TIMING if keys.get("cycles_model") == "published" else ())


def drawn_machine(draw: Draw, preset: str, trace: dict[str, Any]) -> dict[str, Any]:
    """Overrides of a preset: only keys that its machine reads."""
    if preset in CROSSBARS:
        return drawn_crossbars(draw, preset)
    timesteps = trace["inputs"][0].shape[-1]
    keys: dict[str, Any] = {"array.rows": draw.within(1, 9), "array.cols": draw.within(1, 9)}
    keys |= draw.some(0.2, psum_bits=draw.of(20, 22, 32))
    if preset != "ann":
        keys |= draw.some(0.3, potential_bits=draw.of(6, 9, 12, 20))
    whole = preset not in ("sata", "sata-on-spikex", "spinalflow") and draw.chance(0.15)
    if preset in NTWU:
        stages = sum("neuron" in layer for layer in trace["layers"])
        keys["tws"] = draw.of(
            draw.within(1, timesteps), draw.within(1, min(4, timesteps)),
            [draw.within(1, timesteps) for _ in range(stages)],
        )  # fmt: skip
        if draw.chance(0.1):
            keys["tws"] = "auto"
        keys |= draw.some(
            0.35,
            stream=draw.of("tap", "channel", "all"),
            skew=draw.of("tile", "batch", "none"),
            accumulators_per_pe=draw.of(2, 3, 40),
            update_cycles=draw.within(1, 5),
        )
        own = {"dispatch": draw.of("agile", "temporal", "spatial"), "leak_catchup_cycles": draw.within(0, 3)}
        keys |= draw.some(0.4, **(own if preset.startswith("spikex") else {"stsap": draw.of(True, False)}))
    if preset not in ("ann", "spinalflow"):
        keys |= draw.some(0.3, zero_gating=draw.of(True, False, "auto"))
    if preset.startswith("sata"):
        keys |= draw.some(0.5, dataflow=draw.of("os", "ws", "tick_batch"))
        keys |= draw.some(0.3, lif_sharing=draw.of(2, 4)) or draw.some(0.3, cycles_model="published")
    if preset == "ann":
        keys |= draw.some(0.5, activation_bits=draw.within(2, 8), dataflow=draw.of("os", "ws", "is"))
    if whole:
        keys["mapping.tile"] = "layer"
    elif preset in NTWU or preset.startswith("systolic"):
        keys |= draw.some(0.3, mapping__positions=draw.within(1, 9), mapping__windows=draw.within(1, 5))
    keys |= drawn_timing(draw) | drawn_memory(draw, preset, whole=whole)
    return {key: value for key, value in keys.items() if not key.startswith(idle(preset, keys))}


def drawn_crossbars(draw: Draw, preset: str) -> dict[str, Any]:
    """Overrides of a crossbar machine: only keys that have an effect."""
    if preset == "crossbar":
        return draw.some(
            0.3, crossbar_pool=draw.of("table2", "16x16"), multicast=True, potential_bits=draw.of(9, 20),
            imc__event_driven=False, imc__encoding=draw.of("twos", "offset"), imc__adc__mux=draw.of(1, 4),
            imc__device__bits=draw.of(2, 3), imc__lif_units=draw.of(1, 16),
        )  # fmt: skip
    keys = draw.some(0.3, imc__crossbar=draw.of(16, 32, 128), imc__pes_per_tile=draw.within(1, 9),
                     potential_bits=draw.of(9, 12, 20), clock_mhz=draw.of(100.0, 333.3))  # fmt: skip
    if preset == "spikesim-released":
        return keys | draw.some(0.5, imc__device__kind="sram", imc__released_dims="conv")
    keys |= draw.some(
        0.3, dataflow="tick_batch", lif_sharing=draw.of(2, 4), psum_bits=draw.of(16, 24),
        imc__event_driven=False, imc__mapping="packed", imc__complement=True,
        imc__encoding=draw.of("twos", "offset", "differential"),
        imc__ports=draw.of(1, 2), imc__umem="fefet", imc__direct=False,
        imc__device__bits=draw.of(2, 3), imc__adc__mux=draw.of(1, 4), imc__lif_units=draw.of(1, 16),
    )  # fmt: skip
    if draw.chance(0.4):
        keys |= {
            "imc.arrays": "nonideal",
            "imc.write_sigma": draw.of(0.0, 0.2),
            "imc.seed": draw.within(0, 9),
        }
        keys |= draw.some(0.3, imc__adapt="channel", imc__goff="column", imc__stuck__on=0.05)
    return keys


def drawn_job(seed: int) -> dict[str, Any]:
    """Everything that a run needs, from one seed."""
    draw = Draw(seed)
    preset = PRESETS[seed % len(PRESETS)]
    trace = drawn_trace(draw, preset)
    engine = "event" if draw.chance(0.1) else "fast"
    return {
        "preset": preset, "trace": trace, "engine": engine, "overrides": drawn_machine(draw, preset, trace)
    }  # fmt: skip


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in this checkout: every number of its result, or the mistake that it says it is."""
    import spikex_sim as sx

    trace = job["trace"]
    try:
        made = sx.Trace.from_arrays(
            trace["layers"], trace["inputs"], weights=trace["weights"], biases=trace["biases"]
        )
        result = sx.simulate(made, job["preset"], engine=job["engine"], overrides=job["overrides"])
    except sx.SpikexError as mistake:
        return {"mistake": type(mistake).__name__, "message": str(mistake)}
    outputs = None if result.outputs is None else np.asarray(result.outputs).tobytes().hex()
    return {"result": json.loads(json.dumps(result.to_dict())), "outputs": outputs}


def serve() -> None:
    """Answer jobs from the standard input until it ends."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import spikex_sim

    pickle.dump(str(Path(spikex_sim.__file__).resolve()), channel)
    channel.flush()
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(job), channel)
        channel.flush()


class Checkout:
    """A checkout with a process that answers jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        command = [str(self.folder / ".venv/bin/python"), str(Path(__file__).resolve()), "--serve"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        home = self.receive()
        if not Path(home).is_relative_to(self.folder):
            sys.exit(f"compare_trees: {self.folder} runs {home}; install it in its own .venv")

    def send(self, job: dict[str, Any]) -> None:
        """Hand a job over."""
        assert self.process.stdin is not None
        pickle.dump(job, self.process.stdin)
        self.process.stdin.flush()

    def receive(self) -> Any:
        """Wait for what comes back."""
        assert self.process.stdout is not None
        try:
            return pickle.load(self.process.stdout)
        except EOFError:
            sys.exit(f"compare_trees: {self.folder} broke off; its error stands above")


def same_keys(result: dict[str, Any]) -> dict[str, Any]:
    """Results of schema 1 with the keys of schema 2, without those that tell where they come from."""
    found = {key: value for key, value in result.items() if key not in ABOUT}
    for layer in found["layers"]:
        if isinstance(layer["energy_pj"], dict):
            layer["energy_pj_by"], layer["energy_pj"] = layer["energy_pj"], layer.pop("energy_total_pj")
    for sums in (found["totals"], *found["samples"]):
        if "energy_by_component_pj" in sums:
            sums["energy_pj_by"] = sums.pop("energy_by_component_pj")
    return found


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every number and text of a result, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{where}[{index}]")
    else:
        yield where, value


def relative(old: Any, new: Any) -> float:
    """How far two numbers are apart, relative to the larger; infinite where they must be equal."""
    if old == new:
        return 0.0
    if not (isinstance(old, float) and isinstance(new, float)):
        return float("inf")
    return abs(old - new) / max(abs(old), abs(new))


def compared(old: dict[str, Any], new: dict[str, Any]) -> tuple[float, str | None]:
    """Largest relative difference within the tolerance, and the first place of one beyond it."""
    if "mistake" in old or "mistake" in new:
        if old.get("mistake") == new.get("mistake"):
            return 0.0, None
        return 0.0, "\n".join(
            f"{name}: {side.get('message', 'gives a result')}" for name, side in (("old", old), ("new", new))
        )
    if old["outputs"] != new["outputs"]:
        return 0.0, "outputs: the spikes of the last layer differ"
    numbers = dict(leaves(same_keys(new["result"])))
    largest = 0.0
    for where, value in leaves(same_keys(old["result"])):
        if where not in numbers:
            return largest, f"{where}: was {value!r}, is not there"
        apart = relative(value, numbers[where])
        if apart > TOLERANCE:
            return largest, f"{where}: was {value!r}, is {numbers[where]!r}"
        largest = max(largest, apart)
    return largest, None


def told(job: dict[str, Any], seed: int) -> str:
    """A job in words, enough to repeat it."""
    trace = job["trace"]
    arrays = {
        f"{index}/{part}": list(array.shape)
        for part in ("inputs", "weights", "biases")
        for index, array in trace[part].items()
    }
    return "\n".join(
        [
            f"configuration: drawn_job({seed})",
            f"preset: {job['preset']}, engine: {job['engine']}",
            f"overrides: {json.dumps(job['overrides'])}",
            *(f"layer: {json.dumps(layer)}" for layer in trace["layers"]),
            f"arrays: {json.dumps(arrays)}",
        ]
    )


def main(arguments: list[str]) -> int:
    if arguments == ["--serve"]:
        serve()
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", type=Path, help="checkout with a .venv")
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first configuration; the others follow")
    options = parser.parse_args(arguments)
    sides = [Checkout(options.old), Checkout(options.new)]
    ran: Counter[str] = Counter()
    largest = 0.0
    for seed in range(options.seed, options.seed + options.configurations):
        job = drawn_job(seed)
        for side in sides:
            side.send(job)
        old, new = (side.receive() for side in sides)
        apart, difference = compared(old, new)
        largest = max(largest, apart)
        if difference is not None:
            print(f"{difference}\n{told(job, seed)}")
            return 1
        ran["refused by both" if "mistake" in old else job["preset"]] += 1
    print(f"{options.configurations} configurations, no difference: " + ", ".join(
        f"{name} {count}" for name, count in sorted(ran.items())
    ))  # fmt: skip
    print(f"largest relative difference of a number that is not whole: {largest:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
