"""Settings that a machine takes, of settings that are drawn or listed for several."""

from __future__ import annotations

from typing import Any

from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import describe_keys, load_accelerator, options_of

CAUSES = ("mapping.tile", "memory.lbuf.bytes", "memory.glb.separate", "memory.glb.bytes", "dataflow",
          "activation_bits", "cycles_model", "memory.dram.weights")  # fmt: skip
"""Keys that may leave others without effect."""


def own(base: str | Accelerator, keys: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a machine does not read, and what others of the keys leave without effect."""
    scheduler = keys.get("scheduler", load_accelerator(base).scheduler)
    known = {key for key, _, _ in describe_keys(options_of(scheduler)())}
    read = {key: value for key, value in keys.items() if key in known}
    causes = {key: value for key, value in read.items() if key in (*CAUSES, "scheduler")}
    chosen = {key: value for key, value in causes.items() if key == "scheduler"}
    causes = _effective(causes, load_accelerator(base, chosen))
    return _effective(read, load_accelerator(base, causes))


def _effective(keys: dict[str, Any], machine: Accelerator) -> dict[str, Any]:
    """Leave out what changes nothing on a machine."""
    idle = tuple(section for section, _ in machine.without_effect())
    return {
        key: value
        for key, value in keys.items()
        if not any(key == section or key.startswith(f"{section}.") for section in idle)
    }
