"""What crossbars of a mapping do, counted spike by spike, and how long time points take (Section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.counts import READ, WRITE, Counter
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.homes import Homes
from spikex_sim.schedules.crossbar.mapped.kernels import Moved, Routes, active_of, any_of, move
from spikex_sim.schedules.crossbar.mapped.options import MappedOptions
from spikex_sim.schedules.crossbar.mapped.traffic import routes_of
from spikex_sim.schedules.crossbar.plan import settle_cycles


class Done(NamedTuple):
    """What crossbars do for a sample, by crossbar; int64 arrays ``[crossbars]``.

    Attributes
    ----------
    reads, activations : int64 array
        Time points at which it is read, and axons that spike at them.
    reading, updating : int64 array
        Cycles in which the others wait for its reads, and for its neurons: the longest of each time point,
        of equal ones the first.
    moved : Moved
        On the mesh.
    partial : int64 array ``[parts]``
        Time points at which each further part of a split neuron has a spike, and so a sum.
    """

    reads: Integers
    activations: Integers
    reading: Integers
    updating: Integers
    moved: Moved
    partial: Integers

    @property
    def cycles(self) -> int:
        """Of the sample."""
        return int(self.reading.sum() + self.updating.sum() + self.moved.cycles.sum())


@dataclass(frozen=True, eq=False)
class CrossbarPlan:
    """Crossbars of a network on a machine: what is found once, whatever spikes.

    Attributes
    ----------
    homes : Homes
        The mapping.
    routes : Routes
        Of packets.
    neurons : int64 array ``[crossbars]``
        Neurons to be updated in each: columns without further parts and inputs.
    converters : int64 array ``[crossbars]``
        Of each.
    read_cycles, update_cycles : int64 array ``[crossbars]``
        Cycles of a read, and of the updates of a time point.
    adc_bits, psum_bits : int
        Width of a conversion, and of a digital sum.
    """

    homes: Homes
    routes: Routes
    neurons: Integers
    converters: Integers
    read_cycles: Integers
    update_cycles: Integers
    adc_bits: int
    psum_bits: int

    @classmethod
    def of(cls, homes: Homes, updated: NDArray[np.bool_], arch: MappedOptions) -> CrossbarPlan:
        """Plan; ``updated`` ``[n]``: which of the neurons are some, and no inputs with a column."""
        imc, columns = arch.imc, arch.columns_per_weight
        graph = homes.graph
        neurons = np.bincount(homes.home[: graph.neurons][updated], minlength=homes.crossbars)
        converters = -(-homes.outputs * columns // imc.adc.mux)
        phases = -(-homes.used * columns // converters)
        units = np.minimum(imc.lif_units, homes.outputs)
        most = int(np.bincount(homes.neuron).max())
        width = imc.adc.bits + arch.slices * imc.device.bits + (most - 1).bit_length() + 1
        read = imc.overhead_cycles + phases * (imc.phase_cycles + settle_cycles(imc.device))
        return cls(
            homes, routes_of(homes, multicast=arch.multicast), neurons, converters, read,
            -(-neurons // units), imc.adc.bits, width if arch.psum_bits == "auto" else arch.psum_bits,
        )  # fmt: skip

    @property
    def has_axons(self) -> Integers:
        """Axons of each crossbar."""
        return np.diff(self.homes.axons.starts)

    def run(self, spikes: NDArray[np.uint8], arch: MappedOptions) -> Done:
        """Count what a sample does.

        Parameters
        ----------
        spikes : uint8 array ``[nodes, T]``
            1 where a node spikes.
        arch : MappedOptions
            The machine.
        """
        homes = self.homes
        partial = any_of(homes.sources_of_parts.starts, homes.sources_of_parts.items, spikes)
        active = active_of(homes.axons.starts, homes.axons.items, spikes)
        read = active > 0 if arch.imc.event_driven else np.ones_like(active, np.bool_)
        reading, updating = np.zeros((2, homes.crossbars), np.int64)
        taken = read * self.read_cycles[:, None]
        longest = taken.argmax(axis=0)
        np.add.at(reading, longest, taken[longest, np.arange(taken.shape[1])])
        slowest = int(self.update_cycles.argmax())
        updating[slowest] = self.update_cycles[slowest] * spikes.shape[1]
        moved = move(self.routes, np.concatenate([spikes, partial]), homes.crossbars)
        return Done(read.sum(axis=1), active.sum(axis=1), reading, updating, moved,
                    partial.sum(axis=1, dtype=np.int64))  # fmt: skip


def figures(
    plan: CrossbarPlan, done: Done, crossbars: Integers, accumulations: int, partial: int, updates: int,
    arch: MappedOptions,
) -> FrozenMap[str, int]:  # fmt: skip
    """Counts of some crossbars.

    Parameters
    ----------
    plan, done : CrossbarPlan, Done
        What was done.
    crossbars : int64 array
        Which.
    accumulations, partial, updates : int
        Weights added, partial sums added and LIF updates, of the layer.
    arch : MappedOptions
        The machine.
    """
    reads, activations = done.reads[crossbars], done.activations[crossbars]
    used, outputs = plan.homes.used[crossbars], plan.homes.outputs[crossbars]
    imc, signed = arch.imc, arch.imc.encoding in ("twos", "sign_offset")
    conversions = int((reads * used).sum())
    merges = conversions * (arch.columns_per_weight - 1)
    diff_ops = 0 if imc.encoding == "differential" else conversions
    count_bits = int((activations * (used * signed + 1)).sum())
    return FrozenMap(
        {
            "reads": int(reads.sum()),
            "row_activations": int(activations.sum()),
            "row_columns": int((activations * outputs).sum()),
            "cell_reads": int((activations * used).sum()),
            "accumulations": accumulations,
            "conversions": conversions,
            "merges": merges,
            "diff_ops": diff_ops,
            "count_bits": count_bits,
            "psum_adds": partial,
            "add_bits": (merges + diff_ops + partial) * plan.psum_bits + count_bits,
            "pib_read_bits": int((reads * plan.has_axons[crossbars]).sum()),
            "pib_write_bits": int(activations.sum()),
            "packets": int(done.moved.packets[crossbars].sum()),
            "packet_hops": int(done.moved.hops[crossbars].sum()),
            "lif_updates": updates,
        }
    )


def charged(found: FrozenMap[str, int], last: int, arch: MappedOptions) -> Iterator[tuple[Counter, int]]:
    """What components charge for; of potentials, ``last`` are not kept after the last time point."""
    columns, words = arch.columns_per_weight, (found["lif_updates"] - last) * arch.potential_bits
    yield ("crossbar", "cell_read", "filter"), found["cell_reads"] * columns
    yield ("crossbar", "row_drive", "ifmap"), found["row_columns"] * columns
    yield ("adc", "convert", ""), found["conversions"] * columns
    yield ("adc", "mux", ""), found["conversions"] * columns
    yield ("digital", "add_bit", "psum"), found["add_bits"]
    yield ("buffers", "pib_read", "ifmap"), found["pib_read_bits"]
    yield ("buffers", "pib_write", "ifmap"), found["pib_write_bits"]
    yield ("noc", "inject", ""), found["packets"]
    yield ("noc", "flit_hop", ""), found["packet_hops"]
    yield ("lif", "update", ""), found["lif_updates"]
    yield ("lif", "umem_read", "psum"), words
    yield ("lif", "umem_write", "psum"), words
    yield ("glb", READ, "psum"), words
    yield ("glb", WRITE, "psum"), words
    yield ("lbuf", READ, "ifmap"), found["pib_read_bits"]
    yield ("lbuf", WRITE, "ifmap"), found["pib_write_bits"]
