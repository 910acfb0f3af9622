"""Golden numbers of every preset on a small array that is not square, for two samples of a small network.

`python tests/golden/machines.py` writes them anew. A change is a change of the model: it wants a line in
CHANGELOG.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import spikex_sim as sx

FOLDER = Path(__file__).resolve().parent / "machines"
COMMAND = "python tests/golden/machines.py"
DIGITS = 9
"""Significant digits that energies are compared in."""
SAMPLES, TIMESTEPS, SEED = 2, 42, 20
SMALL = {"array.rows": 4, "array.cols": 6}
TIGHT = SMALL | {"memory.glb.bytes": 4096, "memory.lbuf.bytes": 512}
"""Also with buffers that hold neither a layer nor a batch."""
CHIP = {"imc.crossbar": 16, "imc.crossbars_per_pe": 4, "imc.pes_per_tile": 2}
"""Several blocks, PE rows, column groups and tiles of every layer."""
MACHINES = {
    **dict.fromkeys(("spikex", "spikex-plus", "spikex-lop", "spikex-lstp", "spikex-paper"), TIGHT),
    **dict.fromkeys(("ptb", "ptb-stsap", "ptb-paper"), TIGHT),
    **dict.fromkeys(("systolic-os", "systolic-ws", "systolic-is", "ann", "sata-on-spikex"), TIGHT),
    **dict.fromkeys(("sata", "spinalflow"), SMALL),
    "spikesim": CHIP,
    "neuronas": CHIP | {"imc.arrays": "nonideal"},
    "spikesim-released": {},
    "crossbar": {},
}
"""Presets and what differs from them."""
FLOATS = ("spikex", "ptb-stsap", "systolic-ws", "sata-on-spikex", "spinalflow", "spikesim")
"""Presets that also run the float datapath, one of each machine."""
NEURONS: dict[str, dict[str, Any]] = {
    "int": {"threshold": 120, "leak_shift": 3, "reset": "zero", "datapath": "int"},
    "float": {"threshold": 30.0, "leak": 0.875, "reset": "zero", "datapath": "float"},
}
APART: dict[str, dict[str, Any]] = {
    "maxpool": {"kernel": [2, 1], "stride": [2, 1]},
    "conv2": {"in_height": 2, "in_width": 4},
    "avgpool": {"in_height": 2, "in_width": 3},
    "fc": {"in_channels": 7},
}
"""What makes windows of max-pooling lie apart."""
COUNTED = (
    "cycles", "compute_cycles", "stalls", "batches", "ntwus", "streamed_taps", "accumulations", "lif_updates",
    "comparisons", "multiplications", "leak_catchups", "dense_accumulations", "array_words", "accesses",
    "steps", "output_spikes",
)  # fmt: skip
ENERGIES = ("energy_on_chip_pj", "energy_by_use_pj", "leakage_pj", "estimate_pj", "edp_js")
SUMMED = ("cycles", "compute_cycles", "stalls", "steps", "accumulations", "output_spikes", "leakage_pj")
DESCRIBED = ("name", "kind", "tws", "mode", "input_spikes", "output_sha256", "mismatched_spikes", "mapping")

Run = tuple[str, str]
"""Preset and datapath."""


def runs() -> list[Run]:
    """Every preset with the integer datapath, some also with the other one."""
    return [(preset, "int") for preset in MACHINES] + [(preset, "float") for preset in FLOATS]


def layers(datapath: str) -> list[dict[str, Any]]:
    """A convolution with padding and stride, another one between both poolings, a linear layer."""
    neuron = NEURONS[datapath]
    return [
        {"name": "conv1", "kind": "conv", "in_channels": 2, "out_channels": 5, "in_height": 9, "in_width": 8,
         "kernel": 3, "stride": 2, "padding": 1, "neuron": neuron},
        {"name": "maxpool", "kind": "maxpool", "in_channels": 5, "out_channels": 5, "in_height": 5,
         "in_width": 4, "kernel": 2, "stride": 1},
        {"name": "conv2", "kind": "conv", "in_channels": 5, "out_channels": 7, "in_height": 4, "in_width": 3,
         "kernel": [3, 2], "stride": 1, "padding": [1, 0], "neuron": neuron},
        {"name": "avgpool", "kind": "avgpool", "in_channels": 7, "out_channels": 7, "in_height": 4,
         "in_width": 2, "kernel": 2, "stride": 2},
        {"name": "fc", "kind": "linear", "in_channels": 14, "out_channels": 9, "neuron": neuron},
    ]  # fmt: skip


def trace(preset: str, datapath: str) -> sx.Trace:
    """Two samples of the network; for SpinalFlow every layer's recorded input spikes at most once."""
    rng, described = np.random.default_rng(SEED), layers(datapath)
    if preset == "spikesim-released":  # knows square maps and kernels alone
        described = [_square(layer) for layer in described]
    if preset == "crossbar":  # whose rows are driven by one window
        described = [layer | APART.get(layer["name"], {}) for layer in described]
    side = 9 if preset == "spikesim-released" else 8
    shapes = {0: (2, 9, 8), 2: (5, 4, 3), 3: (7, 4, 2)} if preset == "spinalflow" else {0: (2, 9, side)}
    inputs = {}
    for index, shape in shapes.items():
        inputs[index] = rng.random((SAMPLES, *shape, TIMESTEPS)) < 0.03
        inputs[index][1, ..., 9:33] = False  # the samples differ in mode
        if preset == "spinalflow":
            inputs[index] &= np.cumsum(inputs[index], axis=-1) == 1
    weights: dict[int, Any] = {}
    sizes = {0: (5, 2, 3, 3), 2: (7, 5, 3, 2), 4: (9, 14)}
    if preset == "spikesim-released":
        sizes |= {2: (7, 5, 3, 3), 4: (9, 28)}
    if preset == "crossbar":
        sizes |= {4: (9, 7)}
    for index, size in sizes.items():
        drawn = rng.integers(-64, 96, size).astype(np.int8)
        weights[index] = drawn if datapath == "int" else (drawn / 4).astype(np.float32)
    return sx.Trace.from_arrays(described, inputs, weights=weights, name=f"{datapath} network")


def _square(layer: dict[str, Any]) -> dict[str, Any]:
    """The layer with maps as wide as high."""
    if layer["kind"] == "linear":
        return layer | {"in_channels": 2 * layer["in_channels"]}
    made = layer | {"in_width": layer["in_height"]}
    return made | ({"kernel": 3, "padding": 1} if layer["name"] == "conv2" else {})


def by_component(costs: dict[str, Any]) -> Any:
    """Energy by component of a layer, or of a sample."""
    return costs["energy_pj_by"]


def rounded(value: Any) -> Any:
    """Floats to so many digits that every platform agrees on them."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def numbers(costs: dict[str, Any]) -> dict[str, Any]:
    """Counts and energies of a layer; of accesses those that there are."""
    found = {key: rounded(costs[key]) for key in (*COUNTED, *ENERGIES)}
    found["accesses"] = {
        f"{level} {tensor}": [moved["read_bits"], moved["write_bits"]]
        for level, tensors in costs["accesses"].items()
        for tensor, moved in tensors.items()
        if any(moved.values())
    }
    if "imc" in costs:
        found["imc"] = {key: rounded(value) for key, value in costs["imc"].items() if key != "energy_pj"}
        found["changed_spikes"] = costs["changed_spikes"]
    return found | {"by_component_pj": rounded(by_component(costs))}


def sums(sample: dict[str, Any]) -> dict[str, Any]:
    """What tells the samples apart, and that each layer's costs went to the right one."""
    found = {key: rounded(sample[key]) for key in SUMMED}
    return found | {"by_component_pj": rounded(by_component(sample))}


def measure(preset: str, datapath: str) -> dict[str, Any]:
    """Everything that a run says of its layers and samples."""
    run = sx.simulate(trace(preset, datapath), preset, overrides=MACHINES[preset]).to_dict()
    return {
        "trace_sha256": run["trace"]["sha256"],
        "layers": [
            {key: layer[key] for key in DESCRIBED} | (numbers(layer) if layer["tws"] is not None else {})
            for layer in run["layers"]
        ],
        "samples": [sums(sample) for sample in run["samples"]],
    }


def golden_file(preset: str, datapath: str) -> Path:
    """Where the numbers of a run are kept."""
    return FOLDER / f"{preset}-{datapath}.json"


def text_of(content: dict[str, Any]) -> str:
    """JSON with a line for every number, or short mapping of numbers."""

    def lines(value: Any, indent: str) -> str:
        nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if not any(isinstance(item, dict | list) for item in nested):
            return json.dumps(value)
        inner = indent + " "
        if isinstance(value, dict):
            items = [f"{inner}{json.dumps(key)}: {lines(item, inner)}" for key, item in value.items()]
            return "{\n" + ",\n".join(items) + f"\n{indent}}}"
        return "[\n" + ",\n".join(inner + lines(item, inner) for item in value) + f"\n{indent}]"

    return lines(content, "") + "\n"


def main() -> None:
    """Write every file."""
    for preset, datapath in runs():
        versions = sx.simulate(trace(preset, datapath), preset, overrides=MACHINES[preset]).versions
        meta = {
            "command": COMMAND,
            **{name: versions[name] for name in ("spikex_sim", "numpy", "numba", "python")},
            "run": f"simulate({datapath} network, {preset}, overrides={json.dumps(MACHINES[preset])})",
        }
        golden_file(preset, datapath).write_text(text_of({"_meta": meta, **measure(preset, datapath)}))
        sys.stdout.write(f"{golden_file(preset, datapath).name}\n")


if __name__ == "__main__":
    main()
