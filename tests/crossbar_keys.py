"""Values of crossbar machines' keys of which one changes a result, and what else that takes."""

from __future__ import annotations

from typing import Any

EVENTS = {"imc.model": "events"}
REAL = EVENTS | {"imc.arrays": "nonideal"}
RELEASED = {"imc.model": "released"}
OLD = REAL | {"imc.drift.nu": 0.5, "imc.drift.seconds": 100.0}
"""Arrays whose cells have drifted."""

OF_A_FILE = "imc.calibration"
"""Key that names traces; a test of its own has them."""

EFFECTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "clock_mhz": ((100.0,), {}),
    "potential_bits": ((6,), {}),
    "psum_bits": ((19,), EVENTS),
    "weight_bits": ((7,), EVENTS | {"imc.device.bits": 1}),
    "energy.table": (("table",), EVENTS),
    "dataflow": (("tick_batch",), EVENTS),
    "lif_sharing": ((4,), EVENTS),
    "imc.model": (("released", "events"), {}),
    "imc.event_driven": ((False,), EVENTS),
    "imc.crossbar": ((32,), {}),
    "imc.crossbars_per_pe": ((4,), EVENTS),
    "imc.pes_per_tile": ((1,), {}),
    "imc.mapping": (("packed",), EVENTS),
    "imc.encoding": (("differential",), EVENTS),
    "imc.complement": ((True,), EVENTS),
    "imc.sign_plane": (("charged",), EVENTS),
    "imc.overhead_cycles": ((5,), EVENTS),
    "imc.phase_cycles": ((5,), EVENTS),
    "imc.silent_cycles": ((7,), EVENTS),
    "imc.ports": ((1,), EVENTS),
    "imc.lif_units": ((1,), EVENTS),
    "imc.umem": (("fefet",), EVENTS),
    "imc.direct": ((False,), EVENTS),
    "imc.device.bits": ((2,), EVENTS),
    "imc.device.r_on_kohm": ((30.0,), EVENTS),
    "imc.device.r_off_kohm": ((2000.0,), EVENTS),
    "imc.device.v_read": ((0.2,), EVENTS),
    "imc.device.kind": (("sram",), RELEASED),
    "imc.adc.bits": ((6,), EVENTS),
    "imc.adc.kind": (("sar",), EVENTS),
    "imc.adc.sharing": (("crossbar", "pe"), EVENTS),
    "imc.adc.mux": ((2,), EVENTS),
    "imc.adc.range": ((5,), REAL),
    "imc.adc.clip": ((1.0,), REAL | {"imc.adc.bits": 2}),
    "imc.arrays": (("nonideal",), EVENTS),
    "imc.r_par_ohm": ((2000.0,), REAL),
    "imc.read_sigma": ((1.0,), REAL),
    "imc.write_sigma": ((1.0,), REAL),
    "imc.drift.nu": ((2.0,), OLD),
    "imc.drift.seconds": ((1e6,), OLD),
    "imc.drift.t0_seconds": ((1e-4,), OLD),
    "imc.stuck.on": ((0.5,), REAL),
    "imc.stuck.off": ((0.5,), REAL),
    "imc.goff": (("none",), EVENTS),
    "imc.adapt": (("channel",), REAL),
    "imc.seed": ((7,), REAL),
    "imc.buffers.gb": ((4096,), EVENTS),
    "imc.buffers.tb": ((4096,), EVENTS),
    "imc.buffers.pb": ((4096,), EVENTS),
    "imc.buffers.tib": ((4096,), EVENTS),
    "imc.buffers.pib": ((4096,), EVENTS),
    "imc.released_dims": (("conv",), RELEASED),
    "imc.precision_factor": ((True,), RELEASED | {"imc.device.bits": 1}),
}
"""As those of other machines, which none of them has more than a name in common with."""

IDLE: tuple[dict[str, Any], ...] = (
    REAL,
    REAL | {"imc.adc.bits": "auto"},
    REAL | {"imc.adc.range": 3},
    {"imc.model": "released"},
    {"imc.encoding": "offset"},
)
"""Changes that leave other keys without effect."""
