"""Values of every key of a crossbar machine that are worth a try, each with all others as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikex_sim.core.frozen import FrozenMap

VALUES: Mapping[str, Sequence[Any]] = FrozenMap({
    "potential_bits": [18, 22, 32],
    "psum_bits": ["auto", 16, 24],
    "clock_mhz": [125.0, 250.0, 500.0],
    "dataflow": ["layer", "tick_batch"],
    "lif_sharing": [1, 2, 4],
    "imc.event_driven": [True, False],
    "imc.crossbar": [32, 64, 128],
    "imc.crossbars_per_pe": [4, 9, 16],
    "imc.pes_per_tile": [4, 8, 16],
    "imc.mapping": ["kernel", "packed"],
    "imc.encoding": ["sign_offset", "twos", "offset", "differential"],
    "imc.complement": [False, True],
    "imc.sign_plane": ["free", "charged"],
    "imc.overhead_cycles": [0, 2, 4],
    "imc.phase_cycles": [1, 2, 4],
    "imc.silent_cycles": [0, 1, 4],
    "imc.ports": [1, 2, 4, 8],
    "imc.lif_units": [16, 64, 256],
    "imc.umem": ["sram", "fefet"],
    "imc.direct": ["auto", False],
    "imc.device.bits": [1, 2, 4, 7],
    "imc.device.r_on_kohm": [10.0, 20.0, 50.0, 100.0],
    "imc.device.r_off_kohm": [100.0, 200.0, 2000.0],
    "imc.device.v_read": [0.05, 0.1, 0.2],
    "imc.adc.bits": [4, 5, 6, 8],
    "imc.adc.kind": ["flash", "sar"],
    "imc.adc.sharing": ["pe", "crossbar"],
    "imc.adc.mux": [4, 8, 16],
    "imc.adc.range": ["auto", 0, 1, 2],
    "imc.adc.clip": [1e-4, 1e-3, 1e-2],
    "imc.r_par_ohm": [0.0, 2.5, 5.0, 10.0],
    "imc.read_sigma": [0.0, 0.1, 0.2],
    "imc.write_sigma": [0.0, 0.1],
    "imc.drift.nu": [0.0, 0.005, 0.01],
    "imc.stuck.on": [0.0, 1e-3, 1e-2],
    "imc.stuck.off": [0.0, 1e-3, 1e-2],
    "imc.goff": ["popcount", "column", "none"],
    "imc.adapt": ["none", "channel"],
    "imc.seed": [0, 1, 2],
    "imc.buffers.gb": [10240, 20480, 40960],
    "imc.buffers.tb": [5120, 10240, 20480],
    "imc.buffers.pb": [2560, 5120, 10240],
    "imc.buffers.tib": [0, 51200],
    "imc.buffers.pib": [0, 30720],
})  # fmt: skip
"""Dotted key to values, the preset's among them."""
DRIFT_SECONDS = 1e3
"""How long conductances have drifted where they do."""
TOGETHER: Mapping[str, Mapping[str, Any]] = FrozenMap({"imc.drift.nu": {"imc.drift.seconds": DRIFT_SECONDS}})
"""Keys without which one has no effect."""
NOT_VARIED: Mapping[str, str] = FrozenMap({
    "imc.model": "another machine",
    "imc.released_dims": "of model: released alone",
    "imc.precision_factor": "of model: released alone",
    "imc.device.kind": "of model: released alone",
    "imc.arrays": "ideal arrays change no spike",
    "imc.calibration": "names traces",
    "imc.drift.seconds": "moves with imc.drift.nu",
    "imc.drift.t0_seconds": "only its ratio to imc.drift.seconds counts",
})  # fmt: skip
"""Keys that are left out, and why."""


def one_at_a_time() -> list[dict[str, Any]]:
    """Steps of a study: nothing changed, then one value of one key after another."""
    found: list[dict[str, Any]] = [{}]
    for key, values in VALUES.items():
        found += [{key: value, **(TOGETHER.get(key, {}) if value else {})} for value in values]
    return found
