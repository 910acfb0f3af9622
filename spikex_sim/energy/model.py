"""Energy: counts times table, as a pass of its own (Section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spikex_sim.accounting import LEVELS, Accesses, Operations
from spikex_sim.energy.table import EnergyTable, SramEnergy
from spikex_sim.errors import EnergyTableError
from spikex_sim.spec.arch import Accelerator

COMPONENTS = ("alu", *reversed(LEVELS))
"""Components that energy is broken down by: ALU, RF, LBUF, GLB, DRAM."""
USES = {"filter": "weights", "ifmap": "spikes", "ofmap": "spikes", "tag": "spikes", "psum": "potentials"}
"""What each tensor is counted as in the breakdown by use."""


@dataclass(frozen=True)
class AccessEnergy:
    """Energy of moving one bit of a level, in pJ."""

    read_pj_per_bit: float
    write_pj_per_bit: float
    provenance: str


@dataclass(frozen=True)
class Energy:
    """Energy of a layer or a run, pJ.

    Attributes
    ----------
    components : dict
        Per component of :data:`COMPONENTS`.
    uses : dict
        ``alu``, ``weights``, ``spikes`` and ``potentials`` (partial sums and potentials).
    leakage : dict
        GLB and LBUF leakage over the run's time; not part of the energy, which is dynamic.
    """

    components: dict[str, float]
    uses: dict[str, float]
    leakage: dict[str, float]

    @property
    def total_pj(self) -> float:
        """Dynamic energy, DRAM included."""
        return sum(self.components.values())

    @property
    def on_chip_pj(self) -> float:
        """Dynamic energy without DRAM."""
        return self.total_pj - self.components["dram"]


@dataclass(frozen=True)
class EnergyModel:
    """Energies per bit and per operation of one accelerator, each with its provenance."""

    levels: dict[str, AccessEnergy]
    accumulate_pj: dict[str, float]
    update_pj: dict[str, float]
    dram_weight_share: float
    leakage_mw: dict[str, float]
    clock_hz: float
    provenance: dict[str, str]

    @classmethod
    def of(cls, arch: Accelerator) -> EnergyModel:
        """Look the energies of an accelerator up in its table.

        Raises
        ------
        EnergyTableError
            If a memory size, width, device or DRAM kind is not in the table.
        """
        table = EnergyTable.load(arch.energy.table)
        memory = arch.memory
        glb = _sram(table, arch, "glb", memory.glb.bytes, memory.glb.array_port_bits)
        lbuf = _sram(table, arch, "lbuf", memory.lbuf.bytes, memory.lbuf.port_bits)
        dram = table.dram(memory.dram.kind)
        register = table.logic("register", 1)
        accumulate, float_add = table.logic("accumulate", 32), table.logic("float_add", 32)
        compare, float_compare = table.logic("comparator", 16), table.logic("comparator", 32)
        leak, float_leak = table.logic("leak", 16), table.logic("float_multiply", 32)
        return cls(
            levels={
                "dram": AccessEnergy(dram.energy_pj, dram.energy_pj, dram.provenance),
                "glb": _per_bit(glb, memory.glb.array_port_bits),
                "lbuf": _per_bit(lbuf, memory.lbuf.port_bits),
                "rf": AccessEnergy(register.energy_pj, register.energy_pj, register.provenance),
            },
            accumulate_pj={"int": accumulate.energy_pj, "float": float_add.energy_pj},
            update_pj={
                "int": compare.energy_pj + leak.energy_pj,
                "float": float_compare.energy_pj + float_leak.energy_pj,
            },
            dram_weight_share={"stream": 1.0, "resident": 0.0, "amortised": 1.0 / memory.dram.samples}[
                memory.dram.weights
            ],
            leakage_mw={"glb": glb.leakage_mw, "lbuf": lbuf.leakage_mw},
            clock_hz=float(arch.clock_hz),
            provenance={
                "dram": dram.provenance,
                "glb": glb.provenance,
                "lbuf": lbuf.provenance,
                "rf": register.provenance,
                "accumulate": accumulate.provenance,
                "comparator": compare.provenance,
                "leak": leak.provenance,
                "float_add": float_add.provenance,
                "float_comparator": float_compare.provenance,
                "float_leak": float_leak.provenance,
            },
        )

    def energy(
        self, accesses: Accesses, operations: Operations, datapath: Literal["int", "float"], cycles: int
    ) -> Energy:
        """Multiply counts with energies.

        Parameters
        ----------
        accesses, operations
            Counts of a layer.
        datapath : {"int", "float"}
            Which adders, comparators and leak.
        cycles : int
            Duration, for the leakage.
        """
        alu = (
            operations.accumulations * self.accumulate_pj[datapath]
            + operations.lif_updates * self.update_pj[datapath]
        )
        components = {"alu": alu} | dict.fromkeys(reversed(LEVELS), 0.0)
        uses = {"alu": alu, "weights": 0.0, "spikes": 0.0, "potentials": 0.0}
        for level, tensor, read_bits, write_bits in accesses.rows():
            pj = self.access_pj(level, tensor, read_bits, write_bits)
            components[level] += pj
            uses[USES[tensor]] += pj
        seconds = cycles / self.clock_hz
        leakage = {level: power_mw * 1e9 * seconds for level, power_mw in self.leakage_mw.items()}
        return Energy(components, uses, leakage)

    def access_pj(self, level: str, tensor: str, read_bits: int, write_bits: int) -> float:
        """Energy of a level's accesses to a tensor, pJ."""
        cost = self.levels[level]
        share = self.dram_weight_share if (level, tensor) == ("dram", "filter") else 1.0
        return share * (read_bits * cost.read_pj_per_bit + write_bits * cost.write_pj_per_bit)


def _sram(
    table: EnergyTable, arch: Accelerator, level: str, capacity_bytes: int, width_bits: int
) -> SramEnergy:
    try:
        return table.sram(capacity_bytes, width_bits, arch.energy.device)
    except EnergyTableError as exc:
        raise EnergyTableError(str(exc), where=arch.name, field=f"memory.{level}") from None


def _per_bit(sram: SramEnergy, width_bits: int) -> AccessEnergy:
    return AccessEnergy(sram.read_pj / width_bits, sram.write_pj / width_bits, sram.provenance)


def add_energies(energies: list[Energy]) -> Energy:
    """Sum of several energies."""

    def total(parts: list[dict[str, float]], keys: tuple[str, ...]) -> dict[str, float]:
        return {key: sum(part[key] for part in parts) for key in keys}

    return Energy(
        total([e.components for e in energies], COMPONENTS),
        total([e.uses for e in energies], ("alu", "weights", "spikes", "potentials")),
        total([e.leakage for e in energies], ("glb", "lbuf")),
    )
