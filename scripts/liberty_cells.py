"""Cells of a Liberty file: areas, capacitances of pins and energies of their transitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SLEW_NS = 0.02
"""Transition time at which tables of internal energy are read."""

_TOKEN = re.compile(r'"[^"]*"|[^\s(){}:;,"]+|[(){}:;,]')
_IGNORED = re.compile(r"/\*.*?\*/|\\\r?\n", re.DOTALL)


class LibertyError(Exception):
    """A Liberty file that cannot be used; the message says why."""


@dataclass
class Group:
    """One group of a Liberty file: its arguments, attributes and groups within."""

    kind: str
    arguments: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Group]:
        """The groups within that are of a kind."""
        return [group for group in self.groups if group.kind == kind]


class _Reader:
    """Reads groups from the tokens of a Liberty file."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(_IGNORED.sub(" ", text))
        self.at = 0

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise LibertyError("the file ends within a group")
        self.at += 1
        token: str = self.tokens[self.at - 1]
        return token.strip('"') if token.startswith('"') else token

    def follows(self, token: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def until(self, *ends: str) -> list[str]:
        taken = []
        while (token := self.take()) not in ends:
            taken.append(token)
        return taken

    def fill(self, group: Group) -> None:
        while not self.follows("}"):
            self.statement(group)

    def statement(self, group: Group) -> None:
        name = self.take()
        if name == ";":
            return
        if self.follows(":"):
            # A token at a time: the last attribute of a line may lack its semicolon.
            group.attributes[name] = self.take()
            return
        if not self.follows("("):
            raise LibertyError(f"'{name}' is neither an attribute nor a group")
        arguments = [token for token in self.until(")") if token != ","]
        if self.follows("{"):
            within = Group(name, tuple(arguments))
            self.fill(within)
            group.groups.append(within)
        else:
            group.attributes[name] = " ".join(arguments)


@dataclass(frozen=True)
class Table:
    """An energy or a delay of a transition of a pin, fJ or ns, by transition time and load.

    Attributes
    ----------
    slews_ns, loads_ff : NDArray
        Where the table has values; one of a single entry does not matter.
    values : NDArray
        Energies or delays, slews x loads.
    """

    slews_ns: NDArray[np.float64]
    loads_ff: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, load_ff: float) -> float:
        """Value at ``SLEW_NS`` and a load, interpolated; the table's edge beyond its range."""
        by_load = [np.interp(SLEW_NS, self.slews_ns, column) for column in self.values.T]
        return float(np.interp(load_ff, self.loads_ff, by_load))


@dataclass(frozen=True)
class Power:
    """Internal energies of the transitions of a pin, where a condition on the other pins holds."""

    when: str
    rise: Table
    fall: Table


@dataclass(frozen=True)
class Pin:
    """A pin of a cell."""

    direction: str
    capacitance_ff: float
    powers: tuple[Power, ...]
    delays: dict[str, tuple[tuple[Table, Table], ...]]
    function: str

    def delays_ns(self, load_ff: float) -> dict[str, tuple[float, float]]:
        """Delay of rise and fall from each input that the pin follows, mean of the conditions."""
        return {
            related: (
                float(np.mean([rise.at(load_ff) for rise, _ in arcs])),
                float(np.mean([fall.at(load_ff) for _, fall in arcs])),
            )
            for related, arcs in self.delays.items()
        }

    def mean_energy_fj(self, load_ff: float) -> float:
        """Internal energy of a transition, mean of rise, fall and all arcs."""
        return float(
            np.mean(
                [table.at(load_ff) for power in self.powers for table in (power.rise, power.fall)] or [0.0]
            )
        )

    def energy_fj(self, rising: bool, state: Mapping[str, bool]) -> float:
        """Internal energy of a transition while the other pins are in a state; 0 if none is given for it."""
        for power in self.powers:
            if _holds(power.when, tuple(sorted(state.items()))):
                return (power.rise if rising else power.fall).at(0.0)
        return 0.0


@dataclass(frozen=True)
class Cell:
    """A cell: its area in um2, its pins and whether it is a flip-flop."""

    area_um2: float
    pins: dict[str, Pin]
    is_flip_flop: bool


@dataclass(frozen=True)
class Library:
    """Cells by name, and the supply voltage."""

    cells: dict[str, Cell]
    volts: float


def read_library(path: Path) -> Library:
    """Read the cells of a Liberty file.

    Parameters
    ----------
    path : Path
        The file; capacitances must be in fF and times in ns.

    Returns
    -------
    Library
        Its cells.

    Raises
    ------
    LibertyError
        If it cannot be read, or is in other units.
    """
    top = Group("")
    reader = _Reader(path.read_text(encoding="utf-8", errors="replace"))
    reader.statement(top)
    if not top.of_kind("library"):
        raise LibertyError("it does not begin with a library")
    library = top.groups[0]
    units = library.attributes.get("capacitive_load_unit", ""), library.attributes.get("time_unit", "")
    if (units[0].lower(), units[1]) != ("1 ff", "1ns"):
        raise LibertyError(f"its units are '{units[0]}' and '{units[1]}', not 1 ff and 1ns")
    cells = {group.arguments[0]: _cell(group) for group in library.of_kind("cell")}
    return Library(cells, float(library.attributes["nom_voltage"]))


def _cell(group: Group) -> Cell:
    pins = {pin.arguments[0]: _pin(pin) for pin in group.of_kind("pin")}
    return Cell(float(group.attributes["area"]), pins, bool(group.of_kind("ff")))


def _pin(group: Group) -> Pin:
    powers = tuple(_power(power) for power in group.of_kind("internal_power"))
    capacitance = float(group.attributes.get("capacitance", 0))
    delays: dict[str, tuple[tuple[Table, Table], ...]] = {}
    for timing in group.of_kind("timing"):
        rise, fall = timing.of_kind("cell_rise"), timing.of_kind("cell_fall")
        if rise and fall:
            related = timing.attributes["related_pin"]
            delays[related] = (*delays.get(related, ()), (_table(rise), _table(fall)))
    return Pin(
        group.attributes.get("direction", ""),
        capacitance,
        powers,
        delays,
        group.attributes.get("function", ""),
    )


def _power(group: Group) -> Power:
    rise, fall = (_table(group.of_kind(f"{edge}_power")) for edge in ("rise", "fall"))
    return Power(group.attributes.get("when", ""), rise, fall)


def _table(groups: list[Group]) -> Table:
    if not groups:
        return Table(np.zeros(1), np.zeros(1), np.zeros((1, 1)))
    attributes = groups[0].attributes
    slews, loads, values = (_numbers(attributes.get(name, "0")) for name in ("index_1", "index_2", "values"))
    return Table(slews, loads, values.reshape(len(slews), len(loads)))


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array([float(number) for number in re.split(r"[\s,]+", text.strip())])


@cache
def _holds(when: str, state: tuple[tuple[str, bool], ...]) -> bool:
    """Whether a condition of pins, ``!CK & Q``, holds: conjunctions are all that is understood."""
    values = dict(state)
    for term in filter(None, (part.strip() for part in when.split("&"))):
        name = term.lstrip("!").strip()
        if name not in values:
            raise LibertyError(f"condition '{when}' is not a conjunction of pins")
        if values[name] == term.startswith("!"):
            return False
    return True
