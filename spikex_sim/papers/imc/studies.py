"""Runs that published numbers are read from: rows of figures, a row a run.

Rows of recordings are those that ``spikex-sim imc-study`` writes (:mod:`spikex_sim.explore.imc`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.geometry import Geometry
from spikex_sim.data import default_trace_path
from spikex_sim.explore.imc import figures_of, narrowed
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.program import program
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import ReleasedLayer, released
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.load import load_accelerator
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.spec.workload import Layer

Rows = list[dict[str, Any]]

CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256)
SIDES = (32, 32, 16, 16, 8, 8, 8)
POOLED = (32, 16, 16, 8, 8, 8, 4)
SCRIPT_LAYERS = tuple(map(ReleasedLayer, CHANNELS, CHANNELS[1:], SIDES, POOLED))
"""The released script's VGG-9 on CIFAR-10: seven convolutions of 3x3 that keep the side of their map."""
SCRIPT_KERNEL, SCRIPT_TIMESTEPS = 3, 5
CIFAR_SIDE, CALTECH_SIDE = 32, 48
SEED = 0
"""Of generated spikes and weights."""
MAC_ROWS, MAC_OUTPUTS, MAC_INPUTS, MAC_RATE, MAC_BITS = 64, 256, 400, 0.12, 4
"""Of sums whose errors are measured: rows, weights' columns, inputs, share of spikes, bits of a weight."""


def machine(preset: str = "spikesim", **overrides: Any) -> CrossbarOptions:
    """A crossbar machine; keys have ``__`` for dots."""
    made = load_accelerator(preset, {key.replace("__", "."): value for key, value in overrides.items()})
    assert isinstance(made, CrossbarOptions)
    return made


def released_rows() -> Rows:
    """The script's default run, and its energy for two widths of weights where slices count.

    Weights have 8 bits at most here.
    """
    arch = machine("spikesim-released")
    found = released(SCRIPT_LAYERS, SCRIPT_KERNEL, SCRIPT_TIMESTEPS, arch)
    rows = [{
        "case": "default", "energy_pj": found.energy_pj, "area_um2": found.area_um2, "pes": sum(found.pes),
        "tiles": found.tiles, "latency_ns": sum(found.cycles) * 1000 / arch.clock_mhz,
    }]  # fmt: skip
    for bits in (4, 8):
        one_bit = {"imc__precision_factor": True, "imc__device__bits": 1, "weight_bits": bits}
        sliced = released(
            SCRIPT_LAYERS, SCRIPT_KERNEL, SCRIPT_TIMESTEPS, machine("spikesim-released", **one_bit)
        )
        rows.append({"case": f"{bits} bit", "energy_pj": sliced.energy_pj})
    return rows


def _row(network: Network, timesteps: int, arch: CrossbarOptions, **labels: Any) -> dict[str, Any]:
    result = simulate(generated_trace(network, timesteps, SEED), arch)
    return {"network": network.name, "timesteps": timesteps, **labels, **figures_of(result)}


def generated_rows() -> Rows:
    """Networks with spikes at the rates of their presets."""
    rows = [_row(load_network("vgg16-tinyimagenet"), points, machine()) for points in (1, 2, 3, 4)]
    small = load_network("vgg16-cifar10")
    for side in (CIFAR_SIDE, CALTECH_SIDE):
        rows.append(_row(sized(small, side), 4, machine(), side=side))
    for bits in (1, 2, 4):
        arch = machine(imc__device__bits=bits, imc__adc__bits=5)
        rows.append(_row(small, 4, arch, device_bits=bits))
    residual = load_network("resnet18-tinyimagenet")
    rows += [_row(residual, 4, machine(lif_sharing=count), lif_sharing=count) for count in (1, 2, 4)]
    narrow = load_network("vgg9-cifar10")
    rows += [_row(narrowed(narrow, by), 4, machine(), divided_by=by) for by in (1, 8)]
    return rows


def sized(network: Network, side: int) -> Network:
    """Give a chain's picture another side; what is linear takes the map that is left."""
    layers: list[Layer] = []
    height = width = side
    for layer in network.layers:
        if layer.kind == "linear":
            taken = layers[-1].out_channels * height * width if height else layer.in_channels
            layers.append(layer.model_copy(update={"in_channels": taken}))
            height = width = 0
            continue
        layers.append(layer.model_copy(update={"in_height": height, "in_width": width}))
        height, width = layers[-1].out_height, layers[-1].out_width
    made = network.model_copy(update={"layers": tuple(layers)})
    made.predecessors()
    return made


DIGIT_CASES: Sequence[tuple[str, Mapping[str, Any]]] = (
    *((f"bits {bits}", {"imc__device__bits": bits, "imc__adc__bits": "auto"}) for bits in (1, 2, 4)),
    *((f"R_on {kohm}", {"imc__device__r_on_kohm": kohm, "imc__device__r_off_kohm": 10 * kohm})
      for kohm in (20.0, 50.0, 100.0, 200.0)),
    *((f"ratio {ratio}", {"imc__device__r_off_kohm": 20.0 * ratio}) for ratio in (10, 20)),
    *((f"volts {volts}", {"imc__device__v_read": volts}) for volts in (0.025, 0.05, 0.1)),
)  # fmt: skip
"""Settings that the packaged digit is run at; a beginning that several share is a trend's axis."""


def digit_rows() -> Rows:
    """The packaged digit, a device's parameter at a time."""
    trace = default_trace_path()
    return [
        {"case": case, **figures_of(simulate(trace, machine(**overrides)))} for case, overrides in DIGIT_CASES
    ]


MAC_CASES: Mapping[str, Mapping[str, Any]] = FrozenMap({
    "twos": {"imc__encoding": "twos"},
    "sign_offset": {"imc__encoding": "sign_offset"},
    "sign_offset, flags": {"imc__encoding": "sign_offset", "imc__complement": True},
})  # fmt: skip


def mac_rows() -> Rows:
    """Errors of sums of one crossbar over the spread of the exact ones, by encoding.

    Weights are normal, the largest integer at three deviations.
    """
    rng = np.random.default_rng(SEED)
    most = (1 << (MAC_BITS - 1)) - 1
    drawn = np.rint(rng.normal(0, most / 3, (MAC_OUTPUTS, MAC_ROWS)))
    weight = np.clip(drawn, -most, most).astype(np.int8)
    spikes = rng.random((MAC_ROWS, MAC_INPUTS)) < MAC_RATE
    exact = (weight.astype(np.int64) @ spikes).T
    geometry = Geometry(MAC_ROWS, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)
    packed = np.packbits(spikes, axis=-1).reshape(MAC_ROWS, 1, 1, -1)
    rows = []
    for name, overrides in MAC_CASES.items():
        arch = machine(
            imc__arrays="nonideal", imc__read_sigma=0.0, imc__device__bits=1, imc__adc__bits="auto",
            weight_bits=MAC_BITS, **overrides,
        )  # fmt: skip
        mapping = LayerMapping.of("linear", geometry, MAC_OUTPUTS, arch)
        found = program("linear", mapping, weight, arch, 0).sums(geometry, packed, MAC_INPUTS, 0, shift=0)
        error = found[:, 0] - exact
        rows.append({"case": name, "error": float(np.sqrt(np.mean(error**2)) / exact.std())})
    return rows


STUDIES: Mapping[str, Callable[[], Rows]] = FrozenMap({
    "released": released_rows,
    "generated": generated_rows,
    "digit": digit_rows,
    "mac": mac_rows,
})  # fmt: skip
"""Studies that need no data, by name."""
RECORDINGS = ("precision", "r-on", "size", "encoding", "timesteps")
"""Studies of recordings, of those of :data:`spikex_sim.explore.imc.STUDIES`."""
