"""Keys of crossbar machines (docs/imc.md, Section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.spec.arch import Accelerator, EnergyChoice, Spec, knob

ADC_BITS = {"flash": (1, 14), "sar": (4, 10)}
"""Fewest and most bits of a converter whose energy and area are known, by kind."""


class Cells(Spec):
    """Cells: one transistor, one resistive device."""

    bits: int = knob(4, "bits that one cell stores", "bits", ge=1, le=8)
    r_on_kohm: float = knob(20.0, "lowest resistance, of the largest code", "kΩ", gt=0.0, le=1e6)
    r_off_kohm: float = knob(200.0, "highest resistance, of code 0", "kΩ", gt=0.0, le=1e9)
    v_read: float = knob(0.1, "voltage on the row of a spike", "V", gt=0.0, le=10.0)

    @model_validator(mode="after")
    def _states_differ(self) -> Self:
        if self.r_off_kohm <= self.r_on_kohm:
            raise ValueError(
                f"r_off_kohm is {self.r_off_kohm:g} and must be above r_on_kohm, {self.r_on_kohm:g}"
            )
        return self


class Device(Cells):
    """Cells, and what the released model takes them for."""

    kind: Literal["rram", "sram"] = knob("rram", "cell of model: released alone")


class Converters(Spec):
    """Converters at the columns."""

    bits: int | Literal["auto"] = knob(5, "resolution", "bits")
    kind: Literal["flash", "sar"] = knob(
        "flash", "flash (1 to 14 bits) or successive approximation (4 to 10)"
    )
    mux: int = knob(8, "columns that share a converter", "columns", ge=1, le=4096)

    @model_validator(mode="after")
    def _bits_are_known(self) -> Self:
        low, high = ADC_BITS[self.kind]
        if isinstance(self.bits, int) and not low <= self.bits <= high:
            raise ValueError(f"bits is {self.bits}; a {self.kind} converter has {low} to {high}, or auto")
        return self


class Adc(Converters):
    """Converters, whose they are, and what they clip."""

    bits: int | Literal["auto"] = knob(
        5, "resolution; auto: as many as the largest sum of codes needs, which nothing clips", "bits"
    )
    sharing: Literal["pe", "crossbar"] = knob(
        "pe", "a bank of converters for all crossbars of a PE, whose column currents add, or one in each"
    )
    range: int | Literal["auto"] = knob(
        "auto", "right shift s of the code; auto: the smallest that clips at most imc.adc.clip of the sums"
    )
    clip: float = knob(0.001, "share of column sums that range: auto lets clip", "fraction", ge=0.0, le=1.0)

    @field_validator("range")
    @classmethod
    def _shift_is_bounded(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 0 <= value <= 32:
            raise ValueError("must be 0 to 32, or auto")
        return value


class Drift(Spec):
    """Conductances fall with time: ``G (seconds / t0_seconds)^-nu``."""

    nu: float = knob(0.0, "exponent", "", ge=0.0, le=10.0)
    seconds: float = knob(1.0, "time since programming", "s", gt=0.0, le=1e12)
    t0_seconds: float = knob(1.0, "time of the reference", "s", gt=0.0, le=1e12)


class Stuck(Spec):
    """Cells that cannot be programmed."""

    on: float = knob(0.0, "probability of a cell stuck at R_on", "fraction", ge=0.0, le=1.0)
    off: float = knob(0.0, "probability of a cell stuck at R_off", "fraction", ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _at_most_all(self) -> Stuck:
        if self.on + self.off > 1.0:
            raise ValueError(f"on and off add up to {self.on + self.off:g}, more than 1")
        return self


class Buffers(Spec):
    """Capacities; they change the area alone, and 0 means unsized."""

    gb: int = knob(20480, "global buffer; changes the area alone", "B", ge=0, le=1 << 30)
    tb: int = knob(10240, "buffer of sums in a tile; changes the area alone", "B", ge=0, le=1 << 30)
    pb: int = knob(5120, "buffer of sums in a PE; changes the area alone", "B", ge=0, le=1 << 30)
    tib: int = knob(
        0,
        "input buffer of a tile; changes the area alone, 0: there is none, and its accesses cost nothing",
        "B",
        ge=0,
        le=1 << 30,
    )
    pib: int = knob(0, "input buffer of a PE; changes the area alone, 0: unsized", "B", ge=0, le=1 << 30)


class Imc(Spec):
    """In-memory computing: tiles of PEs of crossbars."""

    model: Literal["events", "released"] = knob(
        "events", "events: replay every spike; released: the figures of SpikeSim's script, from shapes alone"
    )
    event_driven: bool = knob(True, "a crossbar is read only where one of its rows has a spike")
    crossbar: int = knob(64, "rows and columns X", "cells", ge=2, le=4096)
    crossbars_per_pe: int = knob(9, "crossbars B of a PE", "crossbars", ge=1, le=1024)
    pes_per_tile: int = knob(8, "PEs of a tile", "PEs", ge=1, le=1024)
    mapping: Literal["kernel", "packed"] = knob(
        "kernel", "rows of a crossbar: channels of one kernel position, or taps packed without a gap"
    )
    encoding: Literal["twos", "sign_offset", "offset", "differential"] = knob(
        "sign_offset", "how signed weights become codes of cells"
    )
    complement: bool = knob(
        False, "columns whose codes are mostly large are stored complemented, with a flag"
    )
    sign_plane: Literal["free", "charged"] = knob(
        "free", "bits that say which weights are negative (twos, sign_offset): free as released, or charged "
        "as an SRAM bit a weight, read with every active row, and a counter a column",
    )  # fmt: skip
    overhead_cycles: int = knob(2, "of a PE cycle, besides its phases", "cycles", ge=0, le=1 << 20)
    phase_cycles: int = knob(2, "of a phase, besides settling", "cycles", ge=0, le=1 << 20)
    silent_cycles: int = knob(1, "of a position without a spike", "cycles", ge=0, le=1 << 20)
    ports: int = knob(4, "flits of 32 bits a cycle between global node and tiles, for each layer", "flits",
                      ge=1, le=1 << 16)  # fmt: skip
    lif_units: int = knob(64, "LIF units of each layer before sharing", "units", ge=1, le=1 << 20)
    umem: Literal["sram", "fefet"] = knob("sram", "memory of potentials")
    direct: Literal["auto"] | bool = knob(
        "auto", "the first layer's sums are computed once where its input is the same at all time points; "
        "true: it must be; false: never",
    )  # fmt: skip
    device: Device = Device()
    adc: Adc = Adc()
    arrays: Literal["ideal", "nonideal"] = knob(
        "ideal", "ideal: sums are exact; nonideal: what cells, wires, noise and converters make of them"
    )
    r_par_ohm: float = knob(5.0, "resistance of a column wire between two cells", "Ω", ge=0.0, le=1e9)
    read_sigma: float = knob(0.1, "deviation of a cell's current at a read, relative", "", ge=0.0, le=10.0)
    write_sigma: float = knob(0.0, "deviation of a conductance when written, relative", "", ge=0.0, le=10.0)
    drift: Drift = Drift()
    stuck: Stuck = Stuck()
    goff: Literal["popcount", "column", "none"] = knob(
        "popcount", "what is taken off for cells of code 0: by counting spikes, by a column of such cells, "
        "or nothing (sums are then wrong)",
    )  # fmt: skip
    adapt: Literal["none", "channel"] = knob(
        "none", "batch norms are adapted to the sums of the arrays, a channel at a time"
    )
    calibration: str | None = knob(
        None, "traces that adc.range and adapt are calibrated on; none: the run's first sample"
    )
    seed: int = knob(0, "of all random numbers", "", ge=0, le=(1 << 63) - 1)
    buffers: Buffers = Buffers()
    released_dims: Literal["post_pool", "conv"] = knob(
        "post_pool", "model: released takes maps after the pooling that follows, or of the convolution"
    )
    precision_factor: bool = knob(False, "model: released counts a PE for each slice of a weight")

    @field_validator("direct", mode="before")
    @classmethod
    def _direct_is_known(cls, value: Any) -> Any:
        if value != "auto" and not isinstance(value, bool):
            raise ValueError("must be true, false or auto")
        return value


class CrossbarEnergy(EnergyChoice):
    """Which energies the counts are multiplied with."""

    table: str = knob("imc65", "energy table: imc65, or a folder with imc.csv")


NONIDEAL = (
    *("r_par_ohm", "read_sigma", "write_sigma", "drift", "stuck", "adapt", "calibration", "seed"),
    *("adc.range", "adc.clip"),
)
"""Keys of arrays that are not ideal."""


RELEASED = ("released_dims", "precision_factor", "device.kind")
"""Keys of the released model alone."""


class ImcMachine(Accelerator):
    """Configuration of a machine whose weights are codes of cells."""

    potential_bits: int = knob(22, "width at which int potentials saturate", "bits", ge=2, le=32)
    psum_bits: int | Literal["auto"] = knob(  # type: ignore[assignment]
        "auto", "width of a digital sum; auto: as many bits as it can need", "bits"
    )

    @field_validator("psum_bits")
    @classmethod
    def _psum_is_bounded(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 2 <= value <= 64:
            raise ValueError("must be 2 to 64, or auto")
        return value

    @property
    def coding(self) -> tuple[str, int]:
        """How weights become codes, and bits of a cell."""
        imc: Any = self.imc  # type: ignore[attr-defined]  # of what derives from it
        return imc.encoding, imc.device.bits

    @property
    def slices(self) -> int:
        """Cells ``S`` that hold one code of a weight."""
        encoding, bits = self.coding
        unsigned = encoding in ("sign_offset", "differential")
        return max(1, -(-(self.weight_bits - unsigned) // bits))

    @property
    def columns_per_weight(self) -> int:
        """Columns ``S D`` of a weight: slices, of both polarities where these are apart."""
        return self.slices * (2 if self.coding[0] == "differential" else 1)


class CrossbarOptions(ImcMachine):
    """Configuration of a crossbar machine."""

    unread: ClassVar[tuple[str, ...]] = ("psum_overflow", "array", "mapping", "memory", "energy.device")
    effects: ClassVar[FrozenMap[str, str]] = FrozenMap(
        {
            "imc.buffers.tib": "changes the area alone; with 0 there is none, and its accesses cost nothing",
            "imc.buffers": "changes the area alone",
            "lif_sharing": "changes area, leakage and latency alone, no spike and no dynamic energy",
        }
    )

    scheduler: str = knob("spikesim", "plug-in that decides what is issued when: the machine")
    clock_mhz: float = knob(250.0, "clock frequency", "MHz", ge=1e-3, le=1e6)
    dataflow: Literal["layer", "tick_batch"] = knob(
        "layer", "order of a layer's work: time point by time point, or all time points of an output row"
    )
    lif_sharing: int = knob(
        1,
        "output channels that share a LIF unit and its word of U_mem; changes area, leakage, latency",
        "channels",
        ge=1,
        le=4096,
    )
    energy: CrossbarEnergy = CrossbarEnergy()
    imc: Imc = Imc()

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Keys of what samples set in arrays."""
        imc, adc = self.imc, self.imc.adc
        if imc.model != "events" or imc.arrays == "ideal":
            return ()
        ranges = adc.bits != "auto" and adc.range == "auto"
        return ("imc.adc.range",) * ranges + ("imc.adapt",) * (imc.adapt == "channel")

    def remarks(self) -> Iterator[str]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        if self.calibrated and self.imc.calibration is None:
            keys = " and ".join(self.calibrated)
            yield f"{keys} calibrated on the first sample of the run; imc.calibration names others"
        if self.imc.arrays == "nonideal" and self.imc.goff == "none":
            yield "imc.goff none: the current of cells of code 0 is not taken off, sums are uncorrected"

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        imc = self.imc
        if imc.model == "released":
            yield from ((key, "imc.model is released, which reads shapes") for key in self._events_alone())
            return
        if imc.arrays == "nonideal" and not self.calibrated:
            yield "imc.calibration", "imc.adc.range is not auto, and imc.adapt is none"
        if imc.arrays == "ideal":
            for key in NONIDEAL:
                yield f"imc.{key}", "imc.arrays is ideal"
        elif imc.adc.bits == "auto":
            for key in ("range", "clip"):
                yield f"imc.adc.{key}", "imc.adc.bits is auto: nothing clips"
        elif imc.adc.range != "auto":
            yield "imc.adc.clip", f"imc.adc.range is {imc.adc.range}"
        if imc.drift.nu == 0:
            for key in ("seconds", "t0_seconds"):
                yield f"imc.drift.{key}", "imc.drift.nu is 0"
        if imc.encoding in ("offset", "differential"):
            yield "imc.sign_plane", f"imc.encoding is {imc.encoding}, which has no signs apart"
        for key in RELEASED:
            yield f"imc.{key}", "imc.model is events"

    def _events_alone(self) -> Iterator[str]:
        """Keys that the released model does not look at."""
        yield from ("psum_bits", "dataflow", "lif_sharing", "energy")
        read = {"model", "crossbar", "pes_per_tile", *RELEASED}
        for key in type(self.imc).model_fields:
            if key not in read and key not in ("device", "adc"):
                yield f"imc.{key}"
        kept = {"kind", "bits"} if self.imc.precision_factor else {"kind"}
        yield from (f"imc.device.{key}" for key in Device.model_fields if key not in kept)
        yield "imc.adc"
