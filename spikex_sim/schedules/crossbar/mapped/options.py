"""Keys of machines that a network is mapped onto neuron by neuron (docs/mapping.md, Section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from spikex_sim.schedules.crossbar.options import Cells, Converters, CrossbarEnergy, ImcMachine
from spikex_sim.spec.arch import Spec, knob


class WholeConverters(Converters):
    """Converters of so many bits."""

    bits: int = knob(5, "resolution; changes energy and area alone", "bits")


class MappedImc(Spec):
    """In-memory computing: a crossbar, its converters and its LIF units at every tile of a mesh."""

    event_driven: bool = knob(True, "a crossbar is read only where one of its axons has a spike")
    encoding: Literal["twos", "sign_offset", "offset", "differential"] = knob(
        "sign_offset", "how signed weights become codes of cells"
    )
    overhead_cycles: int = knob(2, "of a read, besides its phases", "cycles", ge=0, le=1 << 20)
    phase_cycles: int = knob(2, "of a phase, besides settling", "cycles", ge=0, le=1 << 20)
    lif_units: int = knob(64, "most LIF units of a crossbar; it has no more than columns", "units",
                          ge=1, le=1 << 20)  # fmt: skip
    umem: Literal["sram", "fefet"] = knob("sram", "memory of potentials")
    device: Cells = Cells()
    adc: WholeConverters = WholeConverters()


class MappedOptions(ImcMachine):
    """Configuration of a machine whose crossbars hold the neurons of a mapping."""

    unread: ClassVar[tuple[str, ...]] = ("psum_overflow", "array", "mapping", "memory", "energy.device")

    name: str = knob("crossbar", "name shown in results", min_length=1, max_length=100)
    scheduler: str = knob("crossbar", "plug-in that decides what is issued when: the machine")
    clock_mhz: float = knob(250.0, "clock frequency", "MHz", ge=1e-3, le=1e6)
    crossbar_mapping: str | None = knob(
        None,
        "mapping.json, or its folder, of `map`; none: neurons as they come, into the first crossbar "
        "with room",
    )
    crossbar_pool: str = knob("table2x8", "without a mapping: pool of crossbars, name or file")
    multicast: bool = knob(False, "a packet to several crossbars passes each link of its paths once")
    energy: CrossbarEnergy = CrossbarEnergy()
    imc: MappedImc = MappedImc()

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See :class:`spikex_sim.spec.arch.Accelerator`."""
        if self.crossbar_mapping is not None:
            yield "crossbar_pool", "crossbar_mapping names crossbars of its own"
