"""Map Verilog to gates with yosys, simulate them with Icarus Verilog, and sum the energy of their toggles."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from liberty_cells import Cell, Library

Delays = Literal["none", "cells", "unit"]

TARGET_PS = 2000
"""Delay that the mapping aims at: a cycle of 500 MHz."""
HALF_CYCLE_NS = {"none": 1.0, "cells": 1.0, "unit": 2.0}
"""At 500 MHz; unit delays are 0.1 ns, twice what a loaded gate takes."""
SETTLED_NS = 500.0
"""Half a cycle in which any combinational part settles."""


class GateLevelError(Exception):
    """A tool that failed; the message says which and how."""


@dataclass(frozen=True)
class Tools:
    """What maps and simulates.

    Attributes
    ----------
    yosys, iverilog, vvp : str
        Executables.
    liberty, models : Path
        The cells: their Liberty file and their Verilog models.
    library : Library
        What the Liberty file holds.
    """

    yosys: str
    iverilog: str
    vvp: str
    liberty: Path
    models: Path
    library: Library


@dataclass(frozen=True)
class Part:
    """A module to map.

    Attributes
    ----------
    top : str
        Its name.
    sources : tuple of Path
        Verilog files.
    parameters : tuple of (str, int)
        Parameters that differ from the module's own.
    """

    top: str
    sources: tuple[Path, ...]
    parameters: tuple[tuple[str, int], ...] = ()

    @property
    def label(self) -> str:
        """Name and parameters, fit for a folder's name."""
        return "_".join([self.top, *(f"{name}{value}" for name, value in self.parameters)])


@dataclass(frozen=True)
class Instance:
    """A cell of a netlist: name, type and net of each connected pin; constants are "0" and "1"."""

    name: str
    kind: str
    nets: dict[str, int | str]


@dataclass(frozen=True)
class Netlist:
    """A module mapped to gates.

    Attributes
    ----------
    top : str
        The module's name.
    verilog : Path
        The netlist.
    inputs : dict of str to int
        Bits of each input.
    names : dict of str to list
        Nets of each named wire, the least significant first.
    instances : list of Instance
        Its cells.
    delay_ns : float
        Longest path between inputs or flip-flops and outputs or flip-flops, clock-to-output and setup
        left out.
    library : Library
        The cells.
    """

    top: str
    verilog: Path
    inputs: dict[str, int]
    names: dict[str, list[int | str]]
    instances: list[Instance]
    delay_ns: float
    library: Library

    @cached_property
    def area_um2(self) -> float:
        """Area of all cells."""
        return sum(self.library.cells[instance.kind].area_um2 for instance in self.instances)

    @cached_property
    def flip_flops(self) -> list[Instance]:
        """Its flip-flops."""
        return [one for one in self.instances if self.library.cells[one.kind].is_flip_flop]


def map_to_gates(part: Part, tools: Tools, folder: Path) -> Netlist:
    """Map a module with yosys.

    Parameters
    ----------
    part : Part
        The module.
    tools : Tools
        What maps it.
    folder : Path
        Where a folder of its files is made.

    Returns
    -------
    Netlist
        The gates.
    """
    place = folder / part.label
    place.mkdir()
    (place / "ports.constr").write_text("set_driving_cell BUF_X2\nset_load 1.14\n", encoding="utf-8")
    (place / "map.ys").write_text(_script(part, tools), encoding="utf-8")
    log = _run([tools.yosys, "-Q", "-T", "map.ys"], place)
    module = json.loads((place / "netlist.json").read_text(encoding="utf-8"))["modules"][part.top]
    delays = re.findall(r"Delay = *([\d.]+) ps", log)
    return Netlist(
        top=part.top,
        verilog=place / "netlist.v",
        inputs={
            name: len(port["bits"]) for name, port in module["ports"].items() if port["direction"] == "input"
        },
        names={name: net["bits"] for name, net in module["netnames"].items()},
        instances=[
            Instance(name, cell["type"], {pin: bits[0] for pin, bits in cell["connections"].items() if bits})
            for name, cell in module["cells"].items()
        ],
        delay_ns=float(delays[-1]) / 1000 if delays else 0.0,
        library=tools.library,
    )


def _script(part: Part, tools: Tools) -> str:
    sources = " ".join(f'"{path.resolve()}"' for path in part.sources)
    changes = "".join(f" -set {name} {value}" for name, value in part.parameters)
    liberty = f'"{tools.liberty.resolve()}"'
    return "\n".join(
        [
            f"read_verilog -sv {sources}",
            *([f"chparam{changes} {part.top}"] if changes else []),
            f"synth -flatten -top {part.top}",
            f"dfflibmap -liberty {liberty}",
            f"abc -liberty {liberty} -D {TARGET_PS} -constr ports.constr",
            "opt_clean -purge",
            # Names that a delay file can spell.
            f"rename -enumerate -pattern cell% {part.top}/c:*",
            "write_verilog -noattr -noexpr -norename netlist.v",
            "write_json netlist.json",
        ]
    )


@dataclass(frozen=True)
class Activity:
    """What a simulation cost.

    Attributes
    ----------
    energy_fj : float
        All toggles: internal energy of the cells and charge of the pins they drive.
    cycles : int
        Cycles measured.
    """

    energy_fj: float
    cycles: int


def simulate(
    netlist: Netlist,
    tools: Tools,
    stimuli: Sequence[Mapping[str, int]],
    *,
    measured_from: int = 0,
    delays: Delays,
) -> Activity:
    """Simulate a netlist and sum the energy of its toggles.

    Parameters
    ----------
    netlist : Netlist
        The gates; a ``clk`` among its inputs is driven.
    tools : Tools
        What simulates.
    stimuli : sequence of mappings
        Per cycle, a value per input but the clock; an input that is not named is 0.
    measured_from : int
        First cycle that is measured; at least one goes before.
    delays : str
        Of the gates: ``none``, hence no glitches; ``cells``, the library's at the load of each, without
        wires; ``unit``, the same for each gate, which lets every glitch pass.

    Returns
    -------
    Activity
        Energy of the cycles measured.
    """
    place = netlist.verilog.parent
    first = max(measured_from, 1)
    if delays == "none" and not netlist.flip_flops:
        return Activity(_settled_energy_fj(netlist, stimuli[first - 1 :]), len(stimuli) - first)
    words = [_packed(netlist, values) for values in stimuli]
    (place / "stimuli.hex").write_text("\n".join(f"{word:x}" for word in words), encoding="utf-8")
    (place / "bench.v").write_text(_bench(netlist, len(words), first, delays), encoding="utf-8")
    if delays == "cells":
        (place / "delays.sdf").write_text(_delay_file(netlist), encoding="utf-8")
    flags = [] if delays == "none" else ["-gspecify"]
    files = ["bench.v", "netlist.v", str(tools.models.resolve())]
    _run([tools.iverilog, "-g2005-sv", *flags, "-s", "bench", "-o", "bench.vvp", *files], place)
    _run([tools.vvp, "-n", "bench.vvp"], place)
    meter = Meter(netlist)
    with (place / "toggles.vcd").open(encoding="utf-8") as dump:
        for changes in steps(dump, netlist.names):
            meter.step(changes)
    return Activity(meter.energy_fj, len(words) - first)


def _driven(netlist: Netlist) -> list[str]:
    return [name for name in netlist.inputs if name != "clk"]


def _packed(netlist: Netlist, values: Mapping[str, int]) -> int:
    word = 0
    for name in reversed(_driven(netlist)):
        bits = netlist.inputs[name]
        word = word << bits | values.get(name, 0) & ((1 << bits) - 1)
    return word


def _settled_energy_fj(netlist: Netlist, stimuli: Sequence[Mapping[str, int]]) -> float:
    """Energy of a combinational part that goes from one settled state to the next.

    The value of a net is an integer with a bit per cycle: an event-driven simulator without delays takes
    exponentially many events where subtractors follow each other.
    """
    everywhere = (1 << len(stimuli)) - 1
    values: dict[int | str, int] = {"0": 0, "1": everywhere}
    for name in netlist.inputs:
        for at, net in enumerate(netlist.names[name]):
            values[net] = sum((one.get(name, 0) >> at & 1) << cycle for cycle, one in enumerate(stimuli))
    for net, instance, function in _in_order(netlist):
        pins = {pin: values[one] for pin, one in instance.nets.items() if one in values}
        values[net] = _compiled(function)(pins) & everywhere
    costs = _costs_of_toggles(netlist)
    changed = {net: ((value ^ value >> 1) & everywhere >> 1).bit_count() for net, value in values.items()}
    return sum(number * costs.get(net, 0.0) for net, number in changed.items())


def _in_order(netlist: Netlist) -> Iterator[tuple[int | str, Instance, str]]:
    """Nets that gates drive, with the gate and its function, each after those it depends on."""
    drivers: dict[int | str, tuple[Instance, str]] = {}
    sorter: TopologicalSorter[int | str] = TopologicalSorter()
    for instance in netlist.instances:
        pins = netlist.library.cells[instance.kind].pins
        read = [net for name, net in instance.nets.items() if pins[name].direction == "input"]
        for name, net in instance.nets.items():
            if pins[name].direction == "output":
                drivers[net] = instance, pins[name].function
                sorter.add(net, *read)
    for net in sorter.static_order():
        if net in drivers:
            yield net, *drivers[net]


@cache
def _compiled(function: str) -> Callable[[Mapping[str, int]], int]:
    """What computes a function of pins, ``!(A1 & A2)``, on integers of a bit per cycle."""
    if not re.fullmatch(r"[\w\s!&|^()]+", function):
        raise GateLevelError(f"function '{function}' is none of !, &, | and ^")
    code = compile(function.replace("!", "~"), "function", "eval")
    return lambda pins: int(eval(code, {"__builtins__": {}}, pins))


def _bench(netlist: Netlist, cycles: int, first: int, delays: Delays) -> str:
    ports, low = [".clk(clk)"] if "clk" in netlist.inputs else [], 0
    for name in _driven(netlist):
        ports.append(f".{name}(in[{low} +: {netlist.inputs[name]}])")
        low += netlist.inputs[name]
    half = HALF_CYCLE_NS[delays] if netlist.flip_flops else SETTLED_NS
    annotate = '$sdf_annotate("delays.sdf", dut);' if delays == "cells" else ""
    return f"""`timescale 1ns/1ps
module bench;
  reg clk = 0;
  reg [{low - 1}:0] in;
  reg [{low - 1}:0] stimuli [0:{cycles - 1}];
  integer i;
  {netlist.top} dut ({", ".join(ports)});
  initial begin
    {annotate}
    $readmemh("stimuli.hex", stimuli);
    $dumpfile("toggles.vcd");
    for (i = 0; i < {cycles}; i = i + 1) begin
      if (i == {first}) $dumpvars(1, dut);
      clk = 1;
      #0.1 in = stimuli[i];
      #{half - 0.1:g} clk = 0;
      #{half:g};
    end
    $finish;
  end
endmodule
"""


def _loads_ff(netlist: Netlist) -> dict[int | str, float]:
    """Capacitance of the pins that each net drives."""
    loads: dict[int | str, float] = {}
    for instance in netlist.instances:
        for name, net in instance.nets.items():
            pin = netlist.library.cells[instance.kind].pins[name]
            if pin.direction == "input":
                loads[net] = loads.get(net, 0.0) + pin.capacitance_ff
    return loads


def _delay_file(netlist: Netlist) -> str:
    """Delays of all cells, in the Standard Delay Format."""
    loads = _loads_ff(netlist)
    lines = ['(DELAYFILE (SDFVERSION "3.0") (TIMESCALE 1ns)']
    for instance in netlist.instances:
        cell = netlist.library.cells[instance.kind]
        edge = "(posedge {})" if cell.is_flip_flop else "{}"
        paths = [
            f"(IOPATH {edge.format(source)} {name} ({rise:.4f}) ({fall:.4f}))"
            for name, net in instance.nets.items()
            for source, (rise, fall) in cell.pins[name].delays_ns(loads.get(net, 0.0)).items()
        ]
        lines.append(
            f'(CELL (CELLTYPE "{instance.kind}") (INSTANCE {instance.name}) '
            f"(DELAY (ABSOLUTE {' '.join(paths)})))"
        )
    return "\n".join([*lines, ")"])


def steps(dump: Iterator[str], names: Mapping[str, list[int | str]]) -> Iterator[dict[int, bool | None]]:
    """Changes of a value change dump, a net each, of one point in time after the other."""
    nets: dict[str, list[int | str]] = {}
    changes: dict[int, bool | None] = {}
    for line in dump:
        if line.startswith("$var"):
            _, _, _, code, name = line.split()[:5]
            if name.lstrip("\\") in names:
                nets[code] = names[name.lstrip("\\")]
        elif line.startswith("#"):
            yield changes
            changes = {}
        elif line[0] in "01xzb":
            value, code = line[1:].split() if line[0] == "b" else (line[0], line[1:].strip())
            for net, bit in zip(nets.get(code, ()), _bits(value, len(nets.get(code, ()))), strict=True):
                if isinstance(net, int):
                    changes[net] = bit
    yield changes


def _bits(value: str, width: int) -> list[bool | None]:
    """Bits of a value, least significant first; a dump leaves out what repeats at its left end."""
    fill = value[0] if value[0] in "xz" else "0"
    return [{"0": False, "1": True}.get(bit) for bit in reversed(value.rjust(width, fill))][:width]


class Meter:
    """Sums the energy of toggles.

    An output's transition costs the mean of its arcs' internal energies at the load it drives, and half of
    C V^2 of that load. Both outputs of a flip-flop count, a connected one or not. Clock and data pins of a
    flip-flop cost what the library says of its state: before the clock's edge, and after the data's.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.library = netlist.library
        self.energy_fj = 0.0
        self.values: dict[int | str, bool | None] = {"0": False, "1": True}
        self.cost_fj = _costs_of_toggles(netlist)
        self.flip_flops_of: dict[int | str, list[Instance]] = {}
        self.data_of: dict[int | str, list[Instance]] = {}
        self.clock = netlist.names["clk"][0] if netlist.flip_flops else None
        # Energy of the clock's next edges, rising or not, kept in step with each flip-flop's share.
        self.edge_fj = {True: 0.0, False: 0.0}
        self.shares: dict[int, tuple[float, float]] = {}
        self._known: dict[tuple[str, str, bool, bool, bool, bool], float] = {}
        for flip_flop in netlist.flip_flops:
            self.data_of.setdefault(flip_flop.nets["D"], []).append(flip_flop)
            for pin in {"D", "Q", "QN"} & flip_flop.nets.keys():
                self.flip_flops_of.setdefault(flip_flop.nets[pin], []).append(flip_flop)
            self._share(flip_flop)

    def step(self, changes: Mapping[int, bool | None]) -> None:
        """Account for the changes of one point in time."""
        toggled = [
            net for net, value in changes.items() if value is not None and self.values.get(net) is (not value)
        ]
        if self.clock in toggled:
            self.energy_fj += self.edge_fj[bool(changes[self.clock])]
        self.energy_fj += sum(self.cost_fj.get(net, 0.0) for net in toggled)
        self.values.update(changes.items())
        for net in toggled:
            for flip_flop in self.data_of.get(net, ()):
                self.energy_fj += self._pin_energy(flip_flop, "D", bool(changes[net]))
        for net in changes:
            for flip_flop in self.flip_flops_of.get(net, ()):
                self._share(flip_flop)

    def _share(self, flip_flop: Instance) -> None:
        """Bring the energy of the clock's edges in step with the state of a flip-flop."""
        old = self.shares.get(id(flip_flop), (0.0, 0.0))
        new = self._pin_energy(flip_flop, "CK", True), self._pin_energy(flip_flop, "CK", False)
        self.edge_fj[True] += new[0] - old[0]
        self.edge_fj[False] += new[1] - old[1]
        self.shares[id(flip_flop)] = new

    def _pin_energy(self, flip_flop: Instance, pin: str, rising: bool) -> float:
        nets, values = flip_flop.nets, self.values
        q = values.get(nets["Q"]) if "Q" in nets else not values.get(nets["QN"])
        data, clock = bool(values.get(nets["D"])), bool(values.get(nets["CK"]))
        key = (flip_flop.kind, pin, rising, data, clock, bool(q))
        if key not in self._known:
            state = {"D": data, "CK": clock, "Q": bool(q), "QN": not q}
            self._known[key] = self.library.cells[flip_flop.kind].pins[pin].energy_fj(rising, state)
        return self._known[key]


def _costs_of_toggles(netlist: Netlist) -> dict[int | str, float]:
    """Energy of a toggle of each net: charge of the pins it drives, and internal energy of what drives it."""
    cells, volts = netlist.library.cells, netlist.library.volts
    loads = _loads_ff(netlist)
    costs = {net: load * volts**2 / 2 for net, load in loads.items()}
    for instance in netlist.instances:
        for net, energy in _internal(instance, cells[instance.kind], loads):
            costs[net] = costs.get(net, 0.0) + energy
    return costs


def _internal(
    instance: Instance, cell: Cell, loads: Mapping[int | str, float]
) -> Iterator[tuple[int | str, float]]:
    """Internal energy of a cell's outputs, on the nets whose toggles show it."""
    outputs = [name for name, pin in cell.pins.items() if pin.direction == "output"]
    shown = [name for name in outputs if name in instance.nets]
    for name in outputs:
        net = instance.nets[name if name in shown else shown[0]]
        load = loads.get(net, 0.0) if name in shown else 0.0
        yield net, cell.pins[name].mean_energy_fj(load)


def clock_energy_fj(library: Library, kind: str = "DFF_X1") -> float:
    """Energy of a clock cycle that does not change a flip-flop: clock pin and cell, mean of both states."""
    clock = library.cells[kind].pins["CK"]
    states = [{"D": value, "Q": value, "QN": not value} for value in (False, True)]
    internal = sum(clock.energy_fj(rising, state) for rising in (False, True) for state in states) / 2
    return internal + clock.capacitance_ff * library.volts**2


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise GateLevelError(
            f"{Path(command[0]).name} failed on {folder.name}: {said[-1] if said else done.returncode}"
        )
    return done.stdout
