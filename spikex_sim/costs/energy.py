"""Energy: counts times table, as a pass of its own (Section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from spikex_sim.core.counts import LEVELS, Accesses, Operations
from spikex_sim.core.errors import EnergyTableError, UnsupportedError
from spikex_sim.costs.table import BUILT_IN, EnergyTable
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
        Leakage over the run's time, per memory and of the PEs where it is known; not part of the energy,
        which is dynamic.
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
class LogicEnergy:
    """Energies of the operations of one datapath, pJ.

    Attributes
    ----------
    accumulate_pj, multiply_pj, compare_pj, update_pj : float
        One addition, product, comparison, and update of a potential (comparison and leak).
    """

    accumulate_pj: float
    multiply_pj: float
    compare_pj: float
    update_pj: float


@dataclass(frozen=True)
class PePower:
    """What PEs spend by being clocked, and scratchpads where the table has their power.

    Attributes
    ----------
    alu_pj_per_cycle, rf_pj_per_cycle : float
        Of all PEs together, per cycle of the run.
    rf_pj_per_accumulation : float or None
        Scratchpads, per addition; None where the RF is charged per bit.
    leakage_mw : float or None
        Leakage of all PEs; None where the table has none.
    """

    alu_pj_per_cycle: float = 0.0
    rf_pj_per_cycle: float = 0.0
    rf_pj_per_accumulation: float | None = None
    leakage_mw: float | None = None


SCRATCHPAD_PORT_BITS = 8
"""Port of a register file that is a scratchpad: one weight."""
SCRATCHPAD_BYTES = {"spikes": 9, "weights": 9, "potentials": 8}
"""SATA's scratchpads (Section III-A); their power is split among the uses by capacity."""


@dataclass(frozen=True)
class EnergyModel:
    """Energies per bit and per operation of one accelerator, each with its provenance.

    Attributes
    ----------
    levels : dict
        Energy per bit of each level; of separate GLB memories under ``glb.<tensor>``.
    logic : dict
        Operations of each datapath that the table has.
    pe_power : PePower
        Power that does not depend on what is done.
    dram_weight_share : float
        Share of the DRAM energy of weights that a run pays.
    leakage_mw : dict
        Per memory, and ``pe`` where the table has it.
    clock_hz : float
        Clock frequency.
    provenance : dict
        Rows behind every number.
    table, where : str
        Energy table, and the accelerator it is for, as messages name them.
    """

    levels: dict[str, AccessEnergy]
    logic: dict[str, LogicEnergy]
    pe_power: PePower
    dram_weight_share: float
    leakage_mw: dict[str, float]
    clock_hz: float
    provenance: dict[str, str]
    table: str
    where: str

    @classmethod
    def of(cls, arch: Accelerator) -> EnergyModel:
        """Look the energies of an accelerator up in its table.

        Raises
        ------
        EnergyTableError
            If a memory size, width, device or DRAM kind is not in the table.
        """
        if arch.energy.table in BUILT_IN:
            return _of_built_in(arch)
        return cls._of(arch)

    @classmethod
    def _of(cls, arch: Accelerator) -> EnergyModel:
        table = EnergyTable.load(arch.energy.table)
        memory = arch.memory
        found = _Found(table, arch)
        levels: dict[str, AccessEnergy] = {"dram": found.dram()}
        if memory.glb.separate is None:
            levels["glb"] = found.sram("glb", "glb", memory.glb.bytes, memory.glb.array_port_bits)
        else:
            parts = memory.glb.separate
            ports = memory.glb.array_port_bits
            levels["glb.ifmap"] = found.sram("glb", "glb ifmap", parts.ifmap, ports)
            levels["glb.filter"] = found.sram("glb", "glb filter", parts.filter, ports)
            levels["glb.ofmap"] = found.sram("glb", "glb ofmap", parts.ofmap, ports)
            levels["glb.psum"] = levels["glb.ofmap"]
            levels["glb.tag"] = levels["glb.ifmap"]
        if memory.lbuf.bytes:
            levels["lbuf"] = found.sram("lbuf", "lbuf", memory.lbuf.bytes, memory.lbuf.port_bits)
        levels["rf"] = found.registers()
        logic = {"int": found.int_logic()}
        if table.has("float_add"):
            logic["float"] = found.float_logic()
        power = found.pe_power()
        if power.leakage_mw is not None:
            found.leakage_mw["pe"] = power.leakage_mw
        return cls(
            levels=levels,
            logic=logic,
            pe_power=power,
            dram_weight_share={"stream": 1.0, "resident": 0.0, "amortised": 1.0 / memory.dram.samples}[
                memory.dram.weights
            ],
            leakage_mw=found.leakage_mw,
            clock_hz=float(arch.clock_hz),
            provenance=found.provenance,
            table=table.name,
            where=arch.name,
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
            Duration, for what is always on and for the leakage.

        Raises
        ------
        UnsupportedError
            If the table has no energies for the datapath.
        """
        if datapath not in self.logic:
            raise UnsupportedError(
                f"{self.table} has no energies for the {datapath} datapath; choose one that has, or replay "
                "int weights",
                where=self.where,
                field="energy.table",
            )
        logic, power = self.logic[datapath], self.pe_power
        alu = (
            operations.accumulations * logic.accumulate_pj
            + operations.lif_updates * logic.update_pj
            + operations.multiplications * logic.multiply_pj
            + (operations.comparisons - operations.lif_updates) * logic.compare_pj
            + cycles * power.alu_pj_per_cycle
        )
        components = {"alu": alu} | dict.fromkeys(reversed(LEVELS), 0.0)
        uses = {"alu": alu, "weights": 0.0, "spikes": 0.0, "potentials": 0.0}
        for level, tensor, read_bits, write_bits in accesses.rows():
            if not (read_bits or write_bits):
                continue
            pj = self.access_pj(level, tensor, read_bits, write_bits)
            components[level] += pj
            uses[USES[tensor]] += pj
        if power.rf_pj_per_accumulation is not None:
            pj = operations.accumulations * power.rf_pj_per_accumulation + cycles * power.rf_pj_per_cycle
            components["rf"] += pj
            for use, size in SCRATCHPAD_BYTES.items():
                uses[use] += pj * size / sum(SCRATCHPAD_BYTES.values())
        seconds = cycles / self.clock_hz
        leakage = {level: power_mw * 1e9 * seconds for level, power_mw in self.leakage_mw.items()}
        return Energy(components, uses, leakage)

    def access_pj(self, level: str, tensor: str, read_bits: int, write_bits: int) -> float:
        """Energy of a level's accesses to a tensor, pJ."""
        if not (read_bits or write_bits) or (
            level == "rf" and self.pe_power.rf_pj_per_accumulation is not None
        ):
            return 0.0
        cost = self.levels.get(f"{level}.{tensor}") or self.levels[level]
        share = self.dram_weight_share if (level, tensor) == ("dram", "filter") else 1.0
        return share * (read_bits * cost.read_pj_per_bit + write_bits * cost.write_pj_per_bit)


@lru_cache(maxsize=64)
def _of_built_in(arch: Accelerator) -> EnergyModel:
    return EnergyModel._of(arch)


class _Found:
    """Looks energies up and remembers where they are from."""

    def __init__(self, table: EnergyTable, arch: Accelerator) -> None:
        self.table, self.arch = table, arch
        self.provenance: dict[str, str] = {}
        self.leakage_mw = {"glb": 0.0, "lbuf": 0.0}

    def dram(self) -> AccessEnergy:
        try:
            found = self.table.dram(self.arch.memory.dram.kind)
        except EnergyTableError as exc:
            raise EnergyTableError(str(exc), where=self.arch.name, field="memory.dram.kind") from None
        return AccessEnergy(found.energy_pj, found.energy_pj, self._from("dram", found.provenance))

    def sram(self, level: str, name: str, capacity_bytes: int, width_bits: int) -> AccessEnergy:
        try:
            found = self.table.sram(capacity_bytes, width_bits, self.arch.energy.device)
        except EnergyTableError as exc:
            raise EnergyTableError(str(exc), where=self.arch.name, field=f"memory.{level}") from None
        self.leakage_mw[level] = self.leakage_mw.get(level, 0.0) + found.leakage_mw
        return AccessEnergy(
            found.read_pj / width_bits, found.write_pj / width_bits, self._from(name, found.provenance)
        )

    def registers(self) -> AccessEnergy:
        capacity_bytes = self.arch.memory.rf.bytes
        if self.table.has("scratchpad"):
            if capacity_bytes:
                raise EnergyTableError(
                    "must be 0 with this energy table, which has the energies of a PE's scratchpads",
                    where=self.arch.name, field="memory.rf.bytes",
                )  # fmt: skip
            return AccessEnergy(0.0, 0.0, self._from("rf", self.table.only("scratchpad").provenance))
        if capacity_bytes:
            found = self.sram("rf", "rf", capacity_bytes, SCRATCHPAD_PORT_BITS)
            self.leakage_mw["rf"] *= self.arch.array.rows * self.arch.array.cols
            return found
        register = self.table.logic("register", 1)
        return AccessEnergy(register.energy_pj, register.energy_pj, self._from("rf", register.provenance))

    def int_logic(self) -> LogicEnergy:
        accumulate = self._only("accumulate")
        multiply = self._only("int_multiply") if self.arch.input_bits > 1 else 0.0
        if self.table.has("lif"):
            return LogicEnergy(accumulate, multiply, 0.0, self._only("lif"))
        compare, leak = self._width("comparator", 16), self._width("leak", 16)
        return LogicEnergy(accumulate, multiply, compare, compare + leak)

    def float_logic(self) -> LogicEnergy:
        add, compare = self._width("float_add", 32), self._width("comparator", 32, "float_comparator")
        multiply = self._width("float_multiply", 32, "float_leak")
        return LogicEnergy(add, multiply, compare, compare + multiply)

    def pe_power(self) -> PePower:
        if not self.table.has("scratchpad"):
            return PePower()
        array = self.arch.array
        pes = array.rows * array.cols
        lif_units = array.rows * -(-array.cols // self.arch.get("lif_sharing", default=1))
        return PePower(
            alu_pj_per_cycle=pes * self._only("accumulate_idle") + lif_units * self._only("lif_idle"),
            rf_pj_per_cycle=pes * self._only("scratchpad_idle"),
            rf_pj_per_accumulation=self._only("scratchpad"),
            leakage_mw=pes * self._only("pe_leakage"),
        )

    def _only(self, component: str) -> float:
        found = self.table.only(component)
        self._from(component, found.provenance)
        return found.energy_pj

    def _width(self, component: str, width_bits: int, name: str = "") -> float:
        found = self.table.logic(component, width_bits)
        self._from(name or component, found.provenance)
        return found.energy_pj

    def _from(self, name: str, provenance: str) -> str:
        self.provenance[name] = provenance
        return provenance


def add_energies(energies: list[Energy]) -> Energy:
    """Sum of several energies."""

    def total(parts: list[dict[str, float]], keys: tuple[str, ...]) -> dict[str, float]:
        return {key: sum(part[key] for part in parts) for key in keys}

    return Energy(
        total([e.components for e in energies], COMPONENTS),
        total([e.uses for e in energies], ("alu", "weights", "spikes", "potentials")),
        total([e.leakage for e in energies], tuple(energies[0].leakage)),
    )
