"""The accelerator as data: the keys that every machine reads, frozen and validated.

What only some machines read is declared by the class of their scheduler's ``options``, which derives from
:class:`Accelerator`: keys of a kind of schedule in its room, keys of one machine beside its scheduler.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from spikex_sim.core.frozen import FrozenMap

ValueT = TypeVar("ValueT")


LARGEST_TILE = 1 << 32
"""Most positions or windows of a tile; no layer has as many."""


def knob(default: Any, meaning: str, unit: str = "", **limits: Any) -> Any:
    """Declare a configuration key with its default, meaning and unit (shown by ``--show-config``)."""
    return Field(default=default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class Spec(BaseModel):
    """A section of a configuration: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Array(Spec):
    """The systolic array of processing elements."""

    rows: int = knob(8, "PE rows; of SpikeX and PTB one output channel each", "PEs", ge=1, le=4096)
    cols: int = knob(8, "PE columns; of SpikeX and PTB one (position, window) each", "PEs", ge=1, le=4096)


class Partition(Spec):
    """Shares of a buffer per tensor. Every part except psum is two equal halves (double buffering)."""

    ifmap: float = knob(0.0, "share of input spikes", "fraction", ge=0.0, le=1.0)
    filter: float = knob(0.0, "share of weights", "fraction", ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _at_most_the_whole(self) -> Partition:
        total = sum(Fraction(str(getattr(self, name))) for name in type(self).model_fields)
        if total > 1:
            raise ValueError(f"shares add up to {float(total):g}, more than the whole buffer")
        return self


class OfmapPart(Partition):
    """A buffer that outputs pass through."""

    ofmap: float = knob(0.0, "share of output spikes", "fraction", ge=0.0, le=1.0)


class PsumPart(Partition):
    """A buffer that holds potentials and partial sums."""

    psum: float = knob(
        0.0, "share of potentials and partial sums kept between their uses", "fraction", ge=0.0, le=1.0
    )


class Dram(Spec):
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


class Separate(Spec):
    """Capacities of a GLB that is three memories; half of the ofmap memory is the psum part."""

    ifmap: int = knob(..., "capacity of the memory of spikes and tags", "B", ge=1, le=1 << 30)
    filter: int = knob(..., "capacity of the memory of weights", "B", ge=1, le=1 << 30)
    ofmap: int = knob(..., "capacity of the memory of outputs, potentials and partial sums", "B",
                      ge=1, le=1 << 30)  # fmt: skip


class _Buffer(Spec):
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

    def least_bytes(self, tensor: str, need_bits: int) -> int | None:
        """Smallest capacity whose part holds so many bits; None of a part with no share."""
        share = Fraction(str(getattr(self.partition, tensor)))
        return ceil(need_bits * halves(tensor) / (8 * share)) if share else None


class Glb(_Buffer):
    """Global buffer."""

    bytes: int = knob(55296, "capacity", "B", ge=1, le=1 << 30)
    dram_port_bits: int = knob(512, "port on the DRAM side", "bits", ge=1, le=1 << 16)
    array_port_bits: int = knob(64, "port on the LBUF side; also the width energies are charged at",
                                "bits", ge=1, le=1 << 16)  # fmt: skip
    latency_cycles: int = knob(0, "added once to a transfer that is not empty", "cycles", ge=0, le=1 << 20)
    partition: Partition = Partition(ifmap=0.3, filter=0.6)
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
    partition: Partition = Partition(ifmap=0.25, filter=0.5)


class Rf(Spec):
    """Register file of a PE."""

    bytes: int = knob(
        0, "0: registers; else a scratchpad with an 8-bit port, whose energies take their place", "B",
        ge=0, le=1 << 20,
    )  # fmt: skip


class Memory(Spec):
    """DRAM, GLB, LBUF, and the register files of the PEs."""

    dram: Dram = Dram()
    glb: Glb = Glb()
    lbuf: Lbuf = Lbuf()
    rf: Rf = Rf()


class Mapping(Spec):
    """How positions and windows are cut into tiles (Section 5 of the model)."""

    tile: Literal["auto", "layer"] = knob(
        "auto", "auto, or layer: one tile per row group as if all fitted, whatever the sizes"
    )


class SizedMapping(Mapping):
    """Tiles whose sizes can be chosen."""

    positions: int | Literal["auto"] = knob("auto", "positions per tile |s|", "positions")
    windows: int | Literal["auto"] = knob("auto", "windows per tile z", "windows")

    @field_validator("positions", "windows")
    @classmethod
    def _is_bounded(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 1 <= value <= LARGEST_TILE:
            raise ValueError(f"must be 1 to {LARGEST_TILE:,}, or auto")
        return value


class OfGraphs(Spec):
    """Keys about what only networks that are graphs have."""

    direct_encoding: Literal["reuse", "recompute"] = knob(
        "reuse", "constant inputs: their sums are computed once, or anew at every time point"
    )
    join: Literal["free", "read"] = knob(
        "free", "joins by or, and, iand: cost nothing, or read the stored spikes of all operands from DRAM"
    )


class Currents(Spec):
    """Sums that leave the array."""

    tags: Literal["none", "issued"] = knob(
        "none",
        "tags of currents: none, all windows are issued and move; issued: those without input do not",
    )


class EnergyChoice(Spec):
    """Which energies the counts are multiplied with."""

    table: str = knob(
        "default",
        "energy table: default, sata, or a folder with sram.csv, logic.csv and dram.csv; of a crossbar "
        "machine default, or a folder with imc.csv",
    )
    device: Literal["hp", "lop", "lstp"] = knob("hp", "transistor flavour of the buffers (CACTI, ITRS)")


class Accelerator(Spec):
    """A complete accelerator configuration, of a machine that reads the common keys and no others.

    Examples
    --------
    >>> Accelerator().array.rows
    8
    """

    unread: ClassVar[tuple[str, ...]] = ()
    """Common keys, or sections of them, that machines of the class do not read."""
    effects: ClassVar[FrozenMap[str, str]] = FrozenMap()
    """Keys, or sections, of which little follows, and what does: a sweep over them is warned of."""

    name: str = knob("spikex", "name shown in results", min_length=1, max_length=100)
    scheduler: str = knob("spikex", "plug-in that decides what is issued when: the machine")
    clock_mhz: float = knob(500.0, "clock frequency", "MHz", ge=1e-3, le=1e6)
    potential_bits: int = knob(16, "width at which int potentials saturate", "bits", ge=2, le=32)
    psum_bits: int = knob(24, "width of an int partial sum in the RF", "bits", ge=2, le=64)
    psum_overflow: Literal["refuse", "wrap"] = knob(
        "refuse",
        "layers whose sums of weights may exceed psum_bits: refused, or their sums wrap around as in a "
        "register, before the bias is added",
    )
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

    def get(self, key: str, *, default: ValueT) -> ValueT:
        """Value of a dotted key, or ``default`` where the machine has no such key."""
        value: Any = self
        for name in key.split("."):
            kind: Any = type(value)
            if name not in _keys(kind):
                return default
            value = getattr(value, name)
        found: ValueT = value
        return found

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Yield keys, or sections of them, that can change nothing here, and why."""
        memory = self.memory
        if memory.dram.weights != "amortised":
            yield "memory.dram.samples", f"memory.dram.weights is {memory.dram.weights}, not amortised"
        if memory.glb.separate is not None:
            yield "memory.glb.partition", "memory.glb.separate takes its place"
        if memory.lbuf.bytes == 0:
            for key in ("port_bits", "latency_cycles", "partition"):
                yield f"memory.lbuf.{key}", "memory.lbuf.bytes is 0"
        if self.mapping.tile == "layer":
            for key in (
                "mapping.positions",
                "mapping.windows",
                "memory.glb.partition",
                "memory.lbuf.partition",
            ):
                yield key, "mapping.tile is layer"

    @classmethod
    def reads(cls, key: str) -> bool:
        """Whether machines of the class read a common key."""
        return not any(key == one or key.startswith(f"{one}.") for one in cls.unread)

    def remarks(self) -> Iterator[str]:
        """Yield what a reader should know of results on this machine, and which key moves it."""
        yield from ()

    @classmethod
    def effect_of(cls, key: str) -> str:
        """What alone follows from a key; empty of one that much follows from."""
        found = (told for one, told in cls.effects.items() if key == one or key.startswith(f"{one}."))
        return next(found, "")

    @cached_property
    def input_bits(self) -> int:
        """Bits of an input at one time point: 1, a spike; more: an activation of an ANN."""
        return self.get("activation_bits", default=1)

    @cached_property
    def clock_hz(self) -> Fraction:
        """Clock frequency, exact."""
        return Fraction(str(self.clock_mhz)) * 1_000_000

    @cached_property
    def dram_bits_per_cycle(self) -> Fraction:
        """DRAM bandwidth in bits per clock cycle, exact."""
        return Fraction(str(self.memory.dram.bandwidth_gb_s)) * 8_000_000_000 / self.clock_hz


class ZeroGating(Spec):
    """Key of machines whose PEs see zeros, too."""

    zero_gating: bool | Literal["auto"] = knob(
        "auto",
        "no addition where the spike is zero; cycles stay. auto: gated by spikex and ptb, not by systolic "
        "and sata",
    )

    @field_validator("zero_gating", mode="before")
    @classmethod
    def _gating_is_known(cls, value: Any) -> Any:
        if value != "auto" and not isinstance(value, bool):
            raise ValueError("must be true, false or auto")
        return value

    def gates_zeros(self, *, by_nature: bool) -> bool:
        """Whether a zero spike spares the addition, on a machine that does so by nature or not."""
        return by_nature if self.zero_gating == "auto" else self.zero_gating


@lru_cache(maxsize=256)
def _keys(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(kind.model_fields)


def halves(tensor: str) -> int:
    """Parts of a share of which one holds what is in use: 2 where it is double-buffered."""
    return 1 if tensor == "psum" else 2


@lru_cache(maxsize=1024)
def half_bits(capacity_bytes: int, share: float) -> int:
    """Bits of one half of a double-buffered partition, rounded down (Section 5)."""
    return int(capacity_bytes * 8 * Fraction(str(share)) / 2)


@lru_cache(maxsize=1024)
def part_bits(capacity_bytes: int, share: float) -> int:
    """Bits of a partition that is not double-buffered, rounded down (Section 5)."""
    return int(capacity_bytes * 8 * Fraction(str(share)))


def remarks_of(accelerators: Iterable[Accelerator]) -> list[str]:
    """:meth:`Accelerator.remarks` of several, each once."""
    return list(dict.fromkeys(text for one in accelerators for text in one.remarks()))
