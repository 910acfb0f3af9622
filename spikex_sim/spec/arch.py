"""The accelerator as data: every knob of the hardware model, frozen and validated."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_TWS = 1 << 20


def knob(default: Any, meaning: str, unit: str = "", **limits: Any) -> Any:
    """Declare a configuration key with its default, meaning and unit (shown by ``--show-config``)."""
    return Field(default=default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Array(_Spec):
    """The systolic array of processing elements."""

    rows: int = knob(8, "PE rows; of SpikeX and PTB one output channel each", "PEs", ge=1, le=4096)
    cols: int = knob(8, "PE columns; of SpikeX and PTB one (position, window) each", "PEs", ge=1, le=4096)


class Partition(_Spec):
    """Shares of a buffer per tensor. Every part except psum is two equal halves (double buffering)."""

    ifmap: float = knob(0.0, "share of input spikes", "fraction", ge=0.0, le=1.0)
    filter: float = knob(0.0, "share of weights", "fraction", ge=0.0, le=1.0)
    ofmap: float = knob(0.0, "share of output spikes", "fraction", ge=0.0, le=1.0)
    psum: float = knob(
        0.0, "share of potentials and partial sums kept between their uses", "fraction", ge=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _at_most_the_whole(self) -> Partition:
        total = sum(Fraction(str(share)) for share in (self.ifmap, self.filter, self.ofmap, self.psum))
        if total > 1:
            raise ValueError(f"shares add up to {float(total):g}, more than the whole buffer")
        return self


class Dram(_Spec):
    """Off-chip memory."""

    bandwidth_gb_s: float = knob(30.0, "bandwidth; a GB is 1e9 bytes", "GB/s", ge=1e-3, le=1e6)
    latency_cycles: int = knob(0, "added once to a transfer that is not empty", "cycles", ge=0, le=1 << 20)
    kind: str = knob("LPDDR4", "row of the DRAM energy table")
    weights: Literal["stream", "resident", "amortised"] = knob(
        "stream",
        "who pays the DRAM energy of weights: this sample (stream), nobody (resident), or this sample's "
        "share of memory.dram.samples (amortised); cycles and counts are those of streaming",
    )
    samples: int = knob(1, "samples that share the weights when amortised", "samples", ge=1, le=1 << 30)


class Separate(_Spec):
    """Capacities of a GLB that is three memories; half of the ofmap memory is the psum part."""

    ifmap: int = knob(..., "capacity of the memory of spikes and tags", "B", ge=1, le=1 << 30)
    filter: int = knob(..., "capacity of the memory of weights", "B", ge=1, le=1 << 30)
    ofmap: int = knob(..., "capacity of the memory of outputs, potentials and partial sums", "B",
                      ge=1, le=1 << 30)  # fmt: skip


class _Buffer(_Spec):
    """A buffer with a part for each tensor."""

    if TYPE_CHECKING:  # fields of the derived classes, which keep their order there
        bytes: int
        partition: Partition

    def part_bits(self, tensor: str) -> int:
        """Bits of a part that is not double-buffered, rounded down (Section 5)."""
        return part_bits(self.bytes, getattr(self.partition, tensor))

    def half_bits(self, tensor: str) -> int:
        """Bits of one half of a double-buffered part, rounded down (Section 5)."""
        return half_bits(self.bytes, getattr(self.partition, tensor))


class Glb(_Buffer):
    """Global buffer."""

    bytes: int = knob(55296, "capacity", "B", ge=1, le=1 << 30)
    dram_port_bits: int = knob(512, "port on the DRAM side", "bits", ge=1, le=1 << 16)
    array_port_bits: int = knob(64, "port on the LBUF side; also the width energies are charged at",
                                "bits", ge=1, le=1 << 16)  # fmt: skip
    latency_cycles: int = knob(0, "added once to a transfer that is not empty", "cycles", ge=0, le=1 << 20)
    partition: Partition = Partition(ifmap=0.3, filter=0.6, ofmap=0.1, psum=0.0)
    keep_ofmap: bool = knob(
        False,
        "outputs that fit half of the ofmap part stay for the next layer, past DRAM (spikex, ptb)",
    )
    separate: Separate | None = knob(
        None,
        "ifmap, filter and ofmap memories of their own, each charged by itself, and timed by itself where "
        "the array works from the GLB; they take the place of the partition",
        "B",
    )

    @model_validator(mode="after")
    def _capacity_is_the_sum(self) -> Glb:
        if self.separate is not None:
            total = self.separate.ifmap + self.separate.filter + self.separate.ofmap
            if self.bytes != total:
                raise ValueError(
                    f"bytes is {self.bytes}, but the separate memories are {total} B together; set both"
                )
        return self

    def part_bits(self, tensor: str) -> int:
        """Bits of a part that is not double-buffered; the psum part of separate memories is half of ofmap."""
        if self.separate is None:
            return super().part_bits(tensor)
        if tensor in ("psum", "ofmap"):
            return self.separate.ofmap * 4
        return int(getattr(self.separate, tensor)) * 8

    def half_bits(self, tensor: str) -> int:
        """Bits of one half of a double-buffered part, rounded down (Section 5)."""
        return super().half_bits(tensor) if self.separate is None else self.part_bits(tensor) // 2


class Lbuf(_Buffer):
    """Local buffer at the edge of the array."""

    bytes: int = knob(2048, "capacity; 0: none, the array works from the GLB (systolic and sata only)",
                      "B", ge=0, le=1 << 30)  # fmt: skip
    port_bits: int = knob(64, "ports", "bits", ge=1, le=1 << 16)
    latency_cycles: int = knob(0, "added once to array-side traffic that is not empty", "cycles",
                               ge=0, le=1 << 20)  # fmt: skip
    partition: Partition = Partition(ifmap=0.25, filter=0.5, ofmap=0.05, psum=0.2)


class Rf(_Spec):
    """Register file of a PE."""

    bytes: int = knob(
        0, "0: registers; else a scratchpad with an 8-bit port, whose energies take their place", "B",
        ge=0, le=1 << 20,
    )  # fmt: skip


class Memory(_Spec):
    """DRAM, GLB, LBUF, and the register files of the PEs."""

    dram: Dram = Dram()
    glb: Glb = Glb()
    lbuf: Lbuf = Lbuf()
    rf: Rf = Rf()


class Mapping(_Spec):
    """How positions and windows are cut into tiles (Section 5 of the model)."""

    tile: Literal["auto", "layer"] = knob(
        "auto", "auto, or layer: one tile per row group as if all fitted, whatever the sizes"
    )
    positions: int | Literal["auto"] = knob("auto", "positions per tile |s|", "positions")
    windows: int | Literal["auto"] = knob("auto", "windows per tile z", "windows")

    @field_validator("positions", "windows")
    @classmethod
    def _at_least_one(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1 or auto")
        return value


class EnergyChoice(_Spec):
    """Which energies the counts are multiplied with."""

    table: str = knob(
        "default", "energy table: default, sata, or a folder with sram.csv, logic.csv and dram.csv"
    )
    device: Literal["hp", "lop", "lstp"] = knob("hp", "transistor flavour of the buffers (CACTI, ITRS)")


class Accelerator(_Spec):
    """A complete accelerator configuration.

    Examples
    --------
    >>> Accelerator().array.rows
    8
    """

    name: str = knob("spikex", "name shown in results", min_length=1, max_length=100)
    scheduler: str = knob("spikex", "plug-in that decides what is issued when")
    dispatch: str = knob("agile", "policy that packs active NTWUs into batches (spikex)")
    tws: int | Literal["auto"] | tuple[int, ...] = knob(
        4, "time window size; auto searches each layer's best EDP; a list gives one per layer", "time points"
    )
    stream: Literal["tap", "channel", "all"] = knob(
        "tap", "taps streamed: active ones, those of active input channels, or all"
    )
    stsap: bool = knob(False, "taps whose windows do not overlap share a slot (scheduler ptb only)")
    dataflow: Literal["os", "ws", "is", "tick_batch"] = knob(
        "os",
        "what stays in the PEs: outputs, weights or inputs (systolic, sata); tick_batch: outputs, with all "
        "time points inside (sata)",
    )
    activation_bits: int = knob(
        1, "1: spikes; more: one pass of an ANN with activations of that width (scheduler systolic only)",
        "bits", ge=1, le=8,
    )  # fmt: skip
    zero_gating: bool | Literal["auto"] = knob(
        "auto",
        "no addition where the spike is zero; cycles stay. auto: gated for spikex and ptb, not for systolic "
        "and sata (spinalflow adds spikes alone)",
    )
    lif_sharing: int = knob(1, "output channels that share a LIF unit, C#n (scheduler sata only)", "channels",
                            ge=1, le=4096)  # fmt: skip
    cycles_model: Literal["overlapped", "published"] = knob(
        "overlapped",
        "published: SATA's formula, memory never waits; overlapped: what the buffers permit (sata only)",
    )
    clock_mhz: float = knob(500.0, "clock frequency", "MHz", ge=1e-3, le=1e6)
    accumulators_per_pe: int = knob(1, "time points that a PE integrates at once", "", ge=1, le=MAX_TWS)
    update_cycles: int = knob(1, "update-and-fire cycles per time point (spikex, ptb)", "cycles", ge=1, le=64)
    skew: Literal["tile", "batch", "none"] = knob(
        "tile",
        "when the array drains: after a tile, after every batch, or behind what follows (spikex, ptb)",
    )
    leak_catchup_cycles: int = knob(1, "update cycles per skipped window", "cycles", ge=0, le=1 << 20)
    potential_bits: int = knob(16, "width at which int potentials saturate", "bits", ge=2, le=32)
    psum_bits: int = knob(24, "width of an int partial sum in the RF", "bits", ge=2, le=64)
    weight_bits: int = knob(8, "width of an int weight", "bits", ge=1, le=8)
    array: Array = Array()
    mapping: Mapping = Mapping()
    memory: Memory = Memory()
    energy: EnergyChoice = EnergyChoice()

    @field_validator("name")
    @classmethod
    def _name_is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be printable text on one line")
        return value

    @field_validator("tws", mode="before")
    @classmethod
    def _tws_is_a_size(cls, value: Any) -> Any:
        if isinstance(value, list):
            value = tuple(value)
        sizes = value if isinstance(value, tuple) else (value,)
        for size in sizes:
            if value == "auto":
                break
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_TWS:
                raise ValueError("must be a whole number of time points of at least 1, or auto")
        if not sizes:
            raise ValueError("a list of window sizes needs one per layer")
        return value

    @field_validator("zero_gating", mode="before")
    @classmethod
    def _gating_is_known(cls, value: Any) -> Any:
        if value != "auto" and not isinstance(value, bool):
            raise ValueError("must be true, false or auto")
        return value

    def gates_zeros(self, *, by_nature: bool) -> bool:
        """Whether a zero spike spares the addition, on a machine that does so by nature or not."""
        return by_nature if self.zero_gating == "auto" else self.zero_gating

    @cached_property
    def clock_hz(self) -> Fraction:
        """Clock frequency, exact."""
        return Fraction(str(self.clock_mhz)) * 1_000_000

    @cached_property
    def dram_bits_per_cycle(self) -> Fraction:
        """DRAM bandwidth in bits per clock cycle, exact."""
        return Fraction(str(self.memory.dram.bandwidth_gb_s)) * 8_000_000_000 / self.clock_hz


@lru_cache(maxsize=1024)
def half_bits(capacity_bytes: int, share: float) -> int:
    """Bits of one half of a double-buffered partition, rounded down (Section 5)."""
    return int(capacity_bytes * 8 * Fraction(str(share)) / 2)


@lru_cache(maxsize=1024)
def part_bits(capacity_bytes: int, share: float) -> int:
    """Bits of a partition that is not double-buffered, rounded down (Section 5)."""
    return int(capacity_bytes * 8 * Fraction(str(share)))
