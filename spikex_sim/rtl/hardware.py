"""Which hardware runs a schedule: parameters of the Verilog, and what it cannot do."""

from __future__ import annotations

from dataclasses import dataclass

from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.schedules.base import Schedule
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule
from spikex_sim.spec.arch import Accelerator, ZeroGating

LARGEST_TWS = 32
"""A spike word of the vectors has as many bits."""
LARGEST_PSUM_BITS = 32
LARGEST_COUNT = 1 << 16
"""Most positions, windows and taps of a layer: fields of 16 bits."""


@dataclass(frozen=True)
class Hardware:
    """Parameters of ``spx_top``.

    Attributes
    ----------
    rows, cols : int
        PEs.
    weight_bits, psum_bits, potential_bits : int
        Widths.
    tws : int
        Largest window, time points.
    positions, window_bits : int
        Positions of a layer, and width of a window's number.
    chain : bool
        Whether a skipped window is caught up in one cycle; else a leak takes a cycle.
    accumulators : int
        Per PE.
    lanes : int
        Taps that may share a slot.
    gated : bool
        Whether zero spikes spare the addition.
    """

    rows: int
    cols: int
    weight_bits: int
    psum_bits: int
    potential_bits: int
    tws: int
    positions: int
    window_bits: int
    chain: bool = True
    accumulators: int = 1
    lanes: int = 1
    gated: bool = True

    @property
    def parameters(self) -> dict[str, int]:
        """As the Verilog names them."""
        return {
            "ROWS": self.rows, "COLS": self.cols, "WB": self.weight_bits, "SB": self.psum_bits,
            "PB": self.potential_bits, "TWS": self.tws, "POS": self.positions, "NW": self.window_bits,
            "CHAIN": int(self.chain), "ACC": self.accumulators, "LANES": self.lanes, "GATE": int(self.gated),
        }  # fmt: skip


def hardware_of(
    schedule: Schedule, arch: Accelerator, *, positions: int | None = None, window_bits: int | None = None
) -> Hardware:
    """Hardware that runs a schedule.

    Parameters
    ----------
    schedule : Schedule
        Of a layer.
    arch : Accelerator
        The machine it is of.
    positions, window_bits : int, optional
        Of hardware that is there already; by default as many as the layer has.

    Raises
    ------
    UnsupportedError
        If there is no hardware for the machine, the layer or a key, naming it.
    ConfigError
        If the layer has more positions, windows or taps than the hardware.
    """
    name = schedule.task.name
    if not isinstance(schedule, NtwuSchedule):
        message = f"there is no hardware of the scheduler {arch.scheduler}; there is of spikex and ptb"
        raise UnsupportedError(message, where=arch.name, field="scheduler")
    for key, why in _unsupported(schedule, arch):
        raise UnsupportedError(why, where=arch.name, field=key)
    task = schedule.task
    for key, number, least in (
        ("positions", task.positions, positions),
        ("windows", schedule.windows, None if window_bits is None else 1 << window_bits),
        ("taps", task.inputs.taps, None),
    ):
        most = min(LARGEST_COUNT - (key == "taps"), LARGEST_COUNT if least is None else least)
        if number > most:
            message = f"layer {name} has {number} {key}, the hardware {most}"
            raise ConfigError(message, where=arch.name, field=key)
    catchup = arch.get("leak_catchup_cycles", default=1)
    return Hardware(
        rows=arch.array.rows,
        cols=arch.array.cols,
        weight_bits=arch.weight_bits,
        psum_bits=arch.psum_bits,
        potential_bits=arch.potential_bits,
        tws=schedule.tws,
        positions=positions or task.positions,
        window_bits=window_bits or max(1, (schedule.windows - 1).bit_length()),
        chain=catchup == 1,
        accumulators=min(arch.get("accumulators_per_pe", default=1), schedule.tws),
        lanes=arch.array.cols if schedule.packs_taps else 1,
        gated=_gated(arch),
    )


def _gated(arch: Accelerator) -> bool:
    return arch.gates_zeros(by_nature=True) if isinstance(arch, ZeroGating) else True


def _unsupported(schedule: NtwuSchedule, arch: Accelerator) -> list[tuple[str, str]]:
    """Keys, and why there is no hardware for them."""
    task, tws = schedule.task, schedule.tws
    catchup = arch.get("leak_catchup_cycles", default=1)
    asked = (
        ("layer", f"layer {task.name} has float weights; the hardware is of int weights",
         task.datapath == "float"),
        ("layer", f"layer {task.name} has {task.beyond_chains}; the hardware takes one synapse of spikes",
         bool(task.beyond_chains)),
        ("tws", f"windows of {tws} time points are larger than the hardware's {LARGEST_TWS}",
         tws > LARGEST_TWS),
        ("psum_bits", f"{arch.psum_bits} bits are more than the hardware's {LARGEST_PSUM_BITS}",
         arch.psum_bits > LARGEST_PSUM_BITS),
        ("skew", "none has no hardware: PEs that start one after the other end so, too; say tile or batch",
         arch.get("skew", default="tile") == "none"),
        ("leak_catchup_cycles", f"the hardware catches a window up in 1 cycle or in {tws}, not in {catchup}",
         catchup not in (1, tws)),
        ("dispatch_cycles", "cycles charged for the dispatcher are none of the array; say hidden",
         arch.get("dispatch_cycles", default="hidden") == "charged"),
        ("stream", f"the hardware packs tagged taps alone, not those of stream {schedule.stream}; say tap",
         schedule.packs_taps and schedule.stream != "tap"),
    )  # fmt: skip
    return [(key, why) for key, why, is_so in asked if is_so]
