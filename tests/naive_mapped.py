"""The slow oracle of mapped runs: the neurons of layers on the crossbars of a mapping.

Follow `simulate` at the end. Written from the text on mapping alone (Section 8 of its page, cited as "§8";
codes and prices are those of the text on crossbars, "imc §n"), independently of the package and sharing no
code with it. Every count is a Python integer. What the text leaves open is marked "Reading".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from naive import Bools, Layer
from naive_imc import Config, clog2, polarities, slices
from naive_imc_cost import Table
from naive_imc_time import exact, settle_cycles
from naive_mapped_net import Neurons, column_sum
from naive_time import ceil_div

Tile = tuple[int, int]  # row, column
Link = tuple[int, int, int]  # 0 along a row, 1 along a column; row and column of its upper or left end

# Crossbars and the mesh (§8) -------------------------------------------------------------------------------


@dataclass
class Column:
    """A column: of a neuron, or of a part of one, with the nodes that it takes.

    Where inputs have columns (§1), they are numbered behind the neurons, and nothing adds up in theirs.
    """

    neuron: int
    part: int
    sources: set[int]


@dataclass
class Crossbar:
    """A crossbar of a mapping."""

    inputs: int  # A_j
    outputs: int  # N_j
    tile: Tile
    columns: list[Column]

    @cached_property
    def axons(self) -> set[int]:
        return set[int]().union(*(column.sources for column in self.columns))

    @cached_property
    def neurons(self) -> list[int]:
        """Neurons, and inputs, whose spikes come from it: further parts send their sums away."""
        return [column.neuron for column in self.columns if column.part == 0]

    @property
    def lowest(self) -> int:
        """Reading: a part counts as its neuron."""
        return min(column.neuron for column in self.columns)


class Chip:
    """Crossbars of a mapping's file, on their mesh."""

    def __init__(self, network: Neurons, mapping: Mapping[str, Any]) -> None:
        self.network, self.config = network, network.config
        types = {one["name"]: one for one in mapping["pool"]["types"]}
        further = {one["column"]: one for one in mapping.get("splits") or []}
        taken: dict[int, set[int]] = defaultdict(set)
        self.most_parts = 1
        for one in further.values():
            taken[one["neuron"]] |= set(one["sources"])
            self.most_parts = max(self.most_parts, one["part"] + 1)
        self.split = set(taken)
        given = mapping["crossbars"]
        cols = 0
        while cols * cols < len(given):
            cols += 1
        rows = ceil_div(len(given), cols)
        if all("x" in one for one in given):
            rows, cols = mapping["metrics"]["mesh"]
        self.rows, self.cols = int(rows), int(cols)
        self.crossbars: list[Crossbar] = []
        for j, one in enumerate(given):
            columns = []
            for number in one["neurons"]:
                if number in further:
                    part = further[number]
                    columns.append(Column(part["neuron"], part["part"], set(part["sources"])))
                elif number >= network.count:
                    columns.append(Column(number, 0, set()))
                else:
                    own = network.neurons[number].sources - taken[number]
                    columns.append(Column(number, 0, own))
            tile = (one.get("y", j // self.cols), one.get("x", j % self.cols))
            kind = types[one["type"]]
            self.crossbars.append(Crossbar(int(kind["inputs"]), int(kind["outputs"]), tile, columns))
        self.home = {i: j for j, one in enumerate(self.crossbars) for i in one.neurons}
        self.columns_a_weight = polarities(self.config) * slices(self.config)
        automatic = (
            int(self.config["imc.adc.bits"])
            + slices(self.config) * int(self.config["imc.device.bits"])
            + clog2(self.most_parts)
            + 1
        )
        given_bits = self.config["psum_bits"]
        self.psum_bits = automatic if given_bits == "auto" else int(given_bits)

    def layer(self, j: int) -> int:
        """Layer that what a crossbar does belongs to.

        Reading: that of nothing but inputs belongs to the first layer.
        """
        lowest = self.crossbars[j].lowest
        return self.network.neurons[lowest].layer if lowest < self.network.count else 0

    def converters(self, j: int) -> int:
        return ceil_div(self.crossbars[j].outputs * self.columns_a_weight, int(self.config["imc.adc.mux"]))

    def lif_units(self, j: int) -> int:
        return min(int(self.config["imc.lif_units"]), self.crossbars[j].outputs)

    def tile_of(self, node: int) -> Tile:
        """Where the spikes of a node come from."""
        return self.crossbars[self.home[node]].tile if node in self.home else (0, 0)

    def read_cycles(self, j: int) -> int:
        physical = len(self.crossbars[j].columns) * self.columns_a_weight
        phase = int(self.config["imc.phase_cycles"]) + settle_cycles(self.config)
        return int(self.config["imc.overhead_cycles"]) + ceil_div(physical, self.converters(j)) * phase

    def update_cycles(self, j: int) -> int:
        return ceil_div(self.updated(j), self.lif_units(j))

    def updated(self, j: int) -> int:
        """Neurons with a potential in a crossbar; inputs have none."""
        return sum(i < self.network.count for i in self.crossbars[j].neurons)


def path(start: Tile, end: Tile) -> list[Link]:
    """Links of a packet: along its row, then along its column."""
    (row, col), (to_row, to_col) = start, end
    out = [(0, row, at) for at in range(min(col, to_col), max(col, to_col))]
    return out + [(1, at, to_col) for at in range(min(row, to_row), max(row, to_row))]


@dataclass
class Packet:
    """A packet of one time point: where from, and the crossbars that it goes to, ascending."""

    start: Tile
    targets: list[int]


def packets(chip: Chip, active: set[int]) -> list[Packet]:
    """Packets of a time point at which some nodes spike, in the order of their senders: nodes, then parts."""
    out = []
    for k in sorted(active):
        start = chip.tile_of(k)
        targets = [j for j, one in enumerate(chip.crossbars) if k in one.axons and one.tile != start]
        if targets:
            together = [targets] if chip.config["multicast"] else [[j] for j in targets]
            out += [Packet(start, one) for one in together]
    for crossbar in chip.crossbars:
        for column in crossbar.columns:
            to = chip.home[column.neuron]
            if column.part and column.sources & active and chip.crossbars[to].tile != crossbar.tile:
                out.append(Packet(crossbar.tile, [to]))
    return out


def links_of(chip: Chip, packet: Packet) -> set[Link]:
    """Links that a packet passes, each once."""
    return {link for j in packet.targets for link in path(packet.start, chip.crossbars[j].tile)}


# What a run does -------------------------------------------------------------------------------------------


@dataclass
class Done:
    """What samples did, and took: counts and cycles by layer."""

    counts: list[Counter[str]]
    cycles: list[Counter[str]]
    outputs: list[list[Bools]] = field(default_factory=list)  # by sample and layer
    links: Counter[Link] = field(default_factory=Counter)

    def total(self, key: str) -> int:
        return sum(one[key] for one in self.counts)


def count(chip: Chip, active: list[set[int]], done: Done) -> None:
    """Add the counts of a sample, given the nodes that spike at every time point."""
    config, network = chip.config, chip.network
    always, encoding = not config["imc.event_driven"], config["imc.encoding"]
    for spiking in active:
        for j, one in enumerate(chip.crossbars):
            n = done.counts[chip.layer(j)]
            a = len(one.axons & spiking)
            r, n_j = int(a > 0 or always), len(one.columns)
            n["reads"] += r
            n["row_activations"] += a
            n["cell_reads"] += a * n_j
            n["row_columns"] += a * one.outputs
            n["conversions"] += r * n_j
            n["merges"] += r * n_j * (chip.columns_a_weight - 1)
            n["diff_ops"] += 0 if encoding == "differential" else r * n_j
            n["count_bits"] += a if encoding in ("offset", "differential") else a * (n_j + 1)
            n["pib_read_bits"] += r * len(one.axons)
            n["pib_write_bits"] += a
            for column in one.columns:
                if column.part and column.sources & spiking:
                    done.counts[network.neurons[column.neuron].layer]["psum_adds"] += 1
        for neuron in network.neurons:
            n = done.counts[neuron.layer]
            n["accumulations"] += sum(bool(nodes & spiking) for nodes, _ in neuron.taps)
            n["lif_updates"] += 1
        for packet in packets(chip, spiking):
            links = links_of(chip, packet)
            done.counts[chip.layer(packet.targets[0])]["packets"] += 1
            done.counts[chip.layer(packet.targets[0])]["packet_hops"] += len(links)
            done.links.update(links)
    for neuron in network.neurons:
        n = done.counts[neuron.layer]
        n["umem_reads"] += len(active) - 1
        n["umem_writes"] += len(active) - 1


def spend(chip: Chip, active: list[set[int]], done: Done) -> None:
    """Add the cycles of a sample."""
    always = not chip.config["imc.event_driven"]
    for spiking in active:
        loads: dict[Link, Counter[int]] = defaultdict(Counter)  # packets by layer
        longest_way, of_layer = 0, 0
        for packet in packets(chip, spiking):
            layer = chip.layer(packet.targets[0])
            for link in links_of(chip, packet):
                loads[link][layer] += 1
            way = max(len(path(packet.start, chip.crossbars[j].tile)) for j in packet.targets)
            if way > longest_way:  # of equal ones the first
                longest_way, of_layer = way, layer
        if loads:
            most = max(load.total() for load in loads.values())
            busiest = min(link for link in loads if loads[link].total() == most)
            for layer, number in loads[busiest].items():
                done.cycles[layer]["noc"] += number
            done.cycles[of_layer]["noc"] += longest_way
        read = [j for j, one in enumerate(chip.crossbars) if always or one.axons & spiking]
        if read:
            longest = max(read, key=lambda j: (chip.read_cycles(j), -j))
            done.cycles[chip.layer(longest)]["compute"] += chip.read_cycles(longest)
        slowest = max(range(len(chip.crossbars)), key=lambda j: (chip.update_cycles(j), -j))
        done.cycles[chip.layer(slowest)]["lif"] += chip.update_cycles(slowest)


def energy_pj(chip: Chip, n: Mapping[str, int], table: Table) -> dict[str, float]:
    """Energy by component, of the counts of a layer."""
    config, physical = chip.config, chip.columns_a_weight
    slower = (20 / exact(config["imc.device.r_on_kohm"])) * (exact(config["imc.device.v_read"]) * 10) ** 2
    umem, bits = f"umem_{config['imc.umem']}", int(config["potential_bits"])
    adc = f"adc_{config['imc.adc.kind']}_{config['imc.adc.bits']}.convert"

    def of(*amounts: tuple[str, Any]) -> float:
        return sum(float(amount) * table[row]["energy_pj"] for row, amount in amounts)

    return {
        "crossbar": of(
            ("cell.read", n["cell_reads"] * physical * slower), ("row.drive", n["row_columns"] * physical)
        ),
        "adc": of((adc, n["conversions"] * physical), ("mux.switch", n["conversions"] * physical)),
        "digital": of(("add.bit", n["add_bits"])),
        "buffers": of(("pib.read", n["pib_read_bits"]), ("pib.write", n["pib_write_bits"])),
        "noc": of(("noc.flit_hop", n["packets"]), ("noc.flit_hop", n["packet_hops"])),
        "lif": of(
            ("lif.update", n["lif_updates"]),
            (f"{umem}.read", n["umem_reads"] * bits),
            (f"{umem}.write", n["umem_writes"] * bits),
        ),
    }


def area_um2(chip: Chip, table: Table) -> dict[str, float]:
    """Area by component.

    Reading: a split neuron has one adder of `b_s` bits, however many its parts are.
    """
    config, physical = chip.config, chip.columns_a_weight
    every = range(len(chip.crossbars))

    def um2(row: str) -> float:
        return table[row]["area_um2"]

    cells = sum(one.inputs * one.outputs * physical for one in chip.crossbars)
    converters = sum(chip.converters(j) for j in every)
    a_converter = int(config["imc.adc.bits"]) + slices(config) * int(config["imc.device.bits"]) + 1
    adder_bits = converters * a_converter + len(chip.split) * chip.psum_bits
    diffs = sum(ceil_div(one.outputs * physical, 8) for one in chip.crossbars)
    units = sum(chip.lif_units(j) for j in every if chip.updated(j))
    adc = f"adc_{config['imc.adc.kind']}_{config['imc.adc.bits']}.convert"
    return {
        "crossbar": cells * um2("cell_1t1r.read"),
        "adc": converters * (um2(adc) + um2("mux.switch")),
        "digital": adder_bits * um2("add.bit") + diffs * um2("diff.op") + len(every) * um2("temp.tile"),
        "buffers": sum(one.inputs for one in chip.crossbars) * um2("pib.read"),
        "noc": chip.rows * chip.cols * um2("noc.flit_hop"),
        "lif": umem_bits(chip) * um2(f"umem_{config['imc.umem']}.read") + units * um2("lif.update"),
    }


def umem_bits(chip: Chip) -> int:
    """Bits of U_mem."""
    return chip.network.count * int(chip.config["potential_bits"])


def leakage_pj(chip: Chip, cycles: int, table: Table) -> float:
    """Leakage of U_mem, in banks of 8 KB (imc §2); 1 mW is 1 pJ/ns."""
    nanoseconds = float(cycles * 1000 / exact(chip.config["clock_mhz"]))
    banks = ceil_div(umem_bits(chip), 65536)
    return banks * table[f"umem_{chip.config['imc.umem']}.read"]["leakage_mw"] * nanoseconds


def simulate(
    layers: list[Layer], samples: list[Bools], config: Config, mapping: Mapping[str, Any], table: Table
) -> dict[str, Any]:
    """Everything that a run on the crossbars of a mapping reports.

    Parameters
    ----------
    layers, samples
        As for `naive_imc_net.Network`; samples ``[C, H, W, T]`` or ``[N, T]``.
    config
        All keys (`config_of`).
    mapping
        What a mapping's file holds.
    table
        Energies and areas (`naive_imc_cost.read_table`).
    """
    network = Neurons(layers, config)
    chip = Chip(network, mapping)
    weights = {w for neuron in network.neurons for _, w in neuron.taps}
    assert all(column_sum([w], config) == w for w in weights)  # then sums of cells are those of weights
    size = len(network.layers)
    done = Done([Counter() for _ in range(size)], [Counter() for _ in range(size)])
    for sample in samples:
        active = network.spikes(sample)
        done.outputs.append([network.output(index, active) for index in range(size)])
        count(chip, active, done)
        spend(chip, active, done)
    for n in done.counts:
        additions = n["merges"] + n["diff_ops"] + n["psum_adds"]
        n["add_bits"] = additions * chip.psum_bits + n["count_bits"]
    cycles = sum(one.total() for one in done.cycles)
    return {
        "counts": done.counts,
        "cycles": done.cycles,
        "total_cycles": cycles,
        "outputs": done.outputs,
        "links": done.links,
        "energy_pj": [energy_pj(chip, n, table) for n in done.counts],
        "area_um2": area_um2(chip, table),
        "leakage_pj": leakage_pj(chip, cycles, table),
        "psum_bits": chip.psum_bits,
        "chip": chip,
    }
