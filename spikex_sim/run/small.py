"""Tiny runs through every kernel of simulations: these are compiled before the first real run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

USES: Mapping[str, Sequence[tuple[str, int, Mapping[str, Any]]]] = {
    "crossbar": (("crossbar", 6, {}),),
    "ptb": (("ptb-stsap", 6, {"tws": 2}),),
    "sata": (("sata-on-spikex", 6, {}),),
    "spikesim": (
        ("spikesim", 6, {}),
        ("spikesim", 6, {"imc.arrays": "nonideal", "imc.write_sigma": 0.1, "imc.stuck.off": 0.1}),
    ),
    "spikex": (("spikex", 6, {"tws": 2}), ("spikex-plus", 6, {"tws": 2})),
    "spinalflow": (("spinalflow", 1, {}),),
    "systolic": (("systolic-os", 6, {}), ("ann", 6, {})),
}
"""Of each scheduler, machines, time points and keys that between them go through all of its kernels."""
_LAYER = {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 3,
          "in_height": 4, "in_width": 4}  # fmt: skip
_NEURONS = (
    ({"threshold": 1, "leak_shift": 2}, np.int8),
    ({"threshold": 1, "leak": 0.5, "datapath": "float"}, np.float32),
)


def uses_of(accelerators: Collection[Accelerator]) -> tuple[str, ...]:
    """Return their schedulers; all of :data:`USES` if there are none, or one is not among these."""
    uses = {str(one.get("scheduler", default=None)) for one in accelerators}
    return tuple(sorted(uses)) if uses and uses <= set(USES) else tuple(USES)


def small_runs(use: str) -> Iterator[tuple[Trace, Accelerator]]:
    """Traces of both datapaths, and accelerators to run them on."""
    spikes = np.zeros((1, 4, 4, 6), dtype=bool)
    spikes[0, 1, 1, ::2] = spikes[0, 2, 3, 1] = True
    for neuron, dtype in _NEURONS:
        for arch, timesteps, keys in USES[use]:
            weights = [np.ones((2, 1, 3, 3), dtype)]
            layers = [{**_LAYER, "neuron": neuron}]
            trace = Trace.from_arrays(layers, spikes[..., :timesteps], weights=weights)
            yield trace, load_accelerator(arch, keys)
