"""Keys of machines that issue NTWUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from spikex_sim.spec.arch import (
    Accelerator,
    Currents,
    Glb,
    Lbuf,
    Memory,
    OfGraphs,
    OfmapPart,
    PsumPart,
    SizedMapping,
    ZeroGating,
    knob,
)

MAX_TWS = 1 << 20
MAX_WIDTH = 1 << 16


class NtwuGlb(Glb):
    """Global buffer whose outputs may stay."""

    partition: OfmapPart = OfmapPart(ifmap=0.3, filter=0.6, ofmap=0.1)
    keep_ofmap: bool = knob(
        False, "outputs that fit half of the ofmap part stay for the next layer, past DRAM"
    )


class NtwuPartition(PsumPart, OfmapPart):
    """Shares of an LBUF that holds potentials."""


class NtwuLbuf(Lbuf):
    """Local buffer that holds potentials."""

    access_bits: int | Literal["port"] = knob(
        "port", "width of the memory, at which its energies are charged; port: as wide as its ports", "bits"
    )
    partition: NtwuPartition = NtwuPartition(ifmap=0.25, filter=0.5, ofmap=0.05, psum=0.2)

    @field_validator("access_bits")
    @classmethod
    def _is_a_width(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 1 <= value <= MAX_WIDTH:
            raise ValueError(f"must be 1 to {MAX_WIDTH:,} bits, or port")
        return value


class NtwuMemory(Memory):
    """Memories of such a machine."""

    glb: NtwuGlb = NtwuGlb()
    lbuf: NtwuLbuf = NtwuLbuf()


class NtwuOptions(OfGraphs, ZeroGating, Accelerator):
    """Configuration of a machine that issues NTWUs."""

    skips_windows: ClassVar[bool] = True
    """Whether silent windows are left out, so that last windows are looked up and leaks caught up."""

    tws: int | Literal["auto"] | tuple[int, ...] = knob(
        4, "time window size; auto searches each layer's best EDP; a list gives one per layer", "time points"
    )
    tws_objective: Literal["edp", "energy", "latency"] = knob("edp", "what tws: auto makes small")
    tws_scope: Literal["layer", "network"] = knob(
        "layer", "tws: auto finds a size for each layer by itself, or one size for all layers"
    )
    stream: Literal["tap", "channel", "all"] = knob(
        "tap", "taps streamed: active ones, those of active input channels, or all"
    )
    accumulators_per_pe: int = knob(1, "time points that a PE integrates at once", "", ge=1, le=MAX_TWS)
    update_cycles: int = knob(1, "update-and-fire cycles per time point", "cycles", ge=1, le=64)
    skew: Literal["tile", "batch", "none"] = knob(
        "tile", "when the array drains: after a tile, after every batch, or behind what follows"
    )
    clock_gating: Literal["perfect", "busy", "none"] = knob(
        "perfect",
        "perfect: flip-flops are clocked where they take a value, which is charged anyway; busy: those of "
        "PEs in use, too; none: those of all PEs, in every cycle, stalls included",
    )
    overheads: Literal["none", "hardware"] = knob(
        "none",
        "hardware: also the energy and area of deskew registers, hand-over of potentials, table of last "
        "windows, tag scanner, LIF update logic and leak catch-ups",
    )
    currents: Currents = Currents()
    mapping: SizedMapping = SizedMapping()
    memory: NtwuMemory = NtwuMemory()

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        yield from super().without_effect()
        if self.tws != "auto":
            for key in ("tws_objective", "tws_scope"):
                yield key, f"tws is {self.tws}, not auto"

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
