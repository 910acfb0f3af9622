"""The slow oracle of in-memory computing, time part (§3). Follow `timed` at the end.

Written from the text on in-memory computing alone (cited as "§n"), independently of the package and sharing
no code with it. Every quantity is a Python integer, every fraction exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from naive import Bools, Layer, out_size, pair
from naive_imc import Activity, Config, Mapped
from naive_imc_net import Machine, Network
from naive_time import ceil_div

Key = tuple[int, str, int]  # (layer, one of I C N F, unit u)


def exact(value: Any) -> Fraction:
    """A number of a configuration, as it is written."""
    return Fraction(str(value))


def settle_cycles(config: Config) -> int:
    """Cycles until a column current has settled, more of them where it is smaller (§3)."""
    r_on, r_off, v_read = (
        exact(config[f"imc.device.{key}"]) for key in ("r_on_kohm", "r_off_kohm", "v_read")
    )
    average = (1 / r_on + 1 / r_off) / 2
    reference = (Fraction(1, 20) + Fraction(1, 200)) / 2
    return ceil_div(reference * Fraction(1, 10), average * v_read)


def phases(mapped: Mapped) -> int:
    """Columns that share the most heavily used ADC (§3)."""
    n_adc = ceil_div(int(mapped.config["imc.crossbar"]), int(mapped.config["imc.adc.mux"]))
    return max(ceil_div(m_g * mapped.S * mapped.D, n_adc) for m_g in mapped.m)


def pe_cycle(mapped: Mapped) -> int:
    """Cycles that a PE takes for one position (§3)."""
    config = mapped.config
    per_phase = int(config["imc.phase_cycles"]) + settle_cycles(config)
    return int(config["imc.overhead_cycles"]) + phases(mapped) * per_phase


def needed_up_to(mapped: Mapped, y: int) -> int:
    """Last row of the map that output row `y` and those before it take, unclipped (§3)."""
    shape = mapped.shape
    return y * shape.stride[0] + shape.kernel[0] - 1 - shape.padding[0]


class Durations:
    """``i, c, n, f`` of every unit of one layer and sample, by time point and output row (§3)."""

    def __init__(self, activity: Activity) -> None:
        mapped, config, shape = activity.mapped, activity.mapped.config, activity.mapped.shape
        self.T, self.H_o = activity.T, shape.H_o
        ports, farthest = int(config["imc.ports"]), mapped.farthest

        def transfer(flits: int) -> int:
            return ceil_div(flits, ports) + farthest if flits else 0

        units = [(t, y) for t in range(self.T) for y in range(self.H_o)]
        flits_in, flits_out = dict.fromkeys(units, 0), dict.fromkeys(units, 0)
        for _, packets in activity.in_words():
            for (pixel, t), words in packets.items():
                first = next(
                    y for y in range(self.H_o) if shape.linear or pixel[0] <= needed_up_to(mapped, y)
                )
                flits_in[t, first] += 1 + words
        for _, flits in activity.out_flits():
            for p in range(shape.P):
                for t in range(self.T):
                    flits_out[t, p // shape.W_o] += int(flits[p, t])
        self.c = {}
        for t, y in units:
            cycles = 0
            for p in range(y * shape.W_o, (y + 1) * shape.W_o):
                read = bool(activity.rho[:, p, t].any())
                cycles += pe_cycle(mapped) if read else int(config["imc.silent_cycles"])
            self.c[t, y] = 0 if activity.direct and t > 0 else cycles
        self.i = {unit: transfer(flits_in[unit]) for unit in units}
        self.n = {unit: transfer(flits_out[unit]) for unit in units}
        lif_units = ceil_div(int(config["imc.lif_units"]), int(config["lif_sharing"]))
        self.f = dict.fromkeys(units, ceil_div(shape.M * shape.W_o, lif_units))

    def unit(self, t: int, y: int, dataflow: str) -> int:
        """Index ``u`` of a unit."""
        return t * self.H_o + y if dataflow == "layer" else y * self.T + t

    def order(self, dataflow: str) -> list[tuple[int, int]]:
        """Units ``(t, y)`` in the order of their indices."""
        return sorted(self.c, key=lambda unit: self.unit(*unit, dataflow))


def source_row(mapped: Mapped, pools: list[Layer], y: int, source_rows: int) -> int:
    """Last row of a source that the rows needed up to `y` depend on (§3, ``y_s``).

    Reading: "clipped to the map" holds from below too: a row that lies in the padding alone waits for row 0.
    A linear layer needs the last row of the map that enters it, through pooling like any other.
    """

    def clipped(row: int, height: int) -> int:
        return max(0, min(height - 1, row))

    if mapped.shape.linear:
        row = source_rows - 1
        if pools:
            row = out_size(pools[0], int(pools[0]["in_height"]), int(pools[0]["in_width"]))[0] - 1
    else:
        row = clipped(needed_up_to(mapped, y), mapped.shape.H)
    for pool in pools:
        kernel, stride, padding = (pair(pool[key])[0] for key in ("kernel", "stride", "padding"))
        row = clipped(row * stride + kernel - 1 - padding, int(pool["in_height"]))
    return row


@dataclass
class Act:
    """One activity: its predecessors and their ends, in the order of the text; its duration and its end."""

    before: list[tuple[Key, int]]
    duration: int
    end: int

    @property
    def begin(self) -> int:
        return self.end - self.duration


class Schedule:
    """Ends of every activity of every layer, for one sample (§3)."""

    def __init__(self, net: Network, mapped: list[Mapped], durations: list[Durations], dataflow: str) -> None:
        self.acts: dict[Key, Act] = {}
        self.durations, self.dataflow = durations, dataflow
        layered = dataflow == "layer"
        self.last = [len(one.c) - 1 for one in durations]
        T = durations[0].T
        # Layer by layer; in `layer` a time point at a time, since sources wait for consumers of earlier ones.
        for step in range(T) if layered else [None]:
            for index, one in enumerate(durations):
                sources, consumers = net.sources(index), net.consumers(index)
                for t, y in one.order(dataflow):
                    if step not in (None, t):
                        continue
                    a: list[Key] = []
                    for source in sources:
                        if source.producer is None:
                            continue
                        of = durations[source.producer]
                        row = source_row(mapped[index], source.pools, y, of.H_o)
                        u = of.unit(t, row, dataflow) if layered else self.last[source.producer]
                        a.append((source.producer, "F", u))
                    v: list[Key] = []
                    for other in consumers:
                        of = durations[other]
                        if layered and t >= 2:
                            v.append((other, "I", of.unit(t - 2, of.H_o - 1, dataflow)))
                    self.add_unit(index, one, (t, y), a, v)

    def add_unit(self, index: int, of: Durations, unit: tuple[int, int], a: list[Key], v: list[Key]) -> None:
        """The four activities of a unit."""
        u = of.unit(*unit, self.dataflow)

        def key(letter: str, number: int) -> Key:
            return (index, letter, number)

        self.add(key("I", u), [key("I", u - 1), key("C", u - of.H_o), *a], of.i[unit])
        self.add(key("C", u), [key("C", u - 1), key("I", u), key("N", u - 2)], of.c[unit])
        self.add(key("N", u), [key("N", u - 1), key("C", u)], of.n[unit])
        self.add(key("F", u), [key("F", u - 1), key("N", u), *v], of.f[unit])

    def add(self, key: Key, before: list[Key], duration: int) -> None:
        """An activity starts where the latest of its predecessors ends; an index below 0 is time 0."""
        ends = [(one, self.acts[one].end if one[2] >= 0 else 0) for one in before]
        self.acts[key] = Act(ends, duration, max(end for _, end in ends) + duration)

    def critical_path(self) -> list[Key]:
        """Activities from the largest ``F`` back to time 0 (§3)."""
        key: Key = (0, "F", self.last[0])
        for index, last in enumerate(self.last):
            if self.acts[index, "F", last].end >= self.acts[key].end:  # ties: the last layer
                key = (index, "F", last)
        path = [key]
        while self.acts[key].begin > 0:
            act = self.acts[key]
            key = next(one for one, end in act.before if end == act.begin)
            path.append(key)
        return path

    def of_layer(self, index: int) -> list[Key]:
        """All activities of a layer."""
        return [key for key in self.acts if key[0] == index]


def timed(machine: Machine, entering: list[Bools], dataflow: str | None = None) -> dict[str, Any]:
    """Time of one sample, given the spikes that enter every conv and linear layer.

    Returns
    -------
    dict
        ``cycles`` of all, ``ends`` (key to end of every activity), and ``layers``: each with ``cycles,
        compute_cycles, stalls, start, end, busy, pe_cycle``.
    """
    activities = [
        Activity(mapped, spikes, first=index == 0)
        for index, (mapped, spikes) in enumerate(zip(machine.mapped, entering, strict=True))
    ]
    durations = [Durations(activity) for activity in activities]
    schedule = Schedule(machine.net, machine.mapped, durations, dataflow or machine.config["dataflow"])
    path, acts = schedule.critical_path(), schedule.acts
    layers = []
    for index, mapped in enumerate(machine.mapped):
        share = {
            letter: sum(acts[key].duration for key in path if key[:2] == (index, letter)) for letter in "ICNF"
        }
        own = [acts[key] for key in schedule.of_layer(index)]
        layers.append(
            {
                "cycles": sum(share.values()),
                "compute_cycles": share["C"],
                "stalls": {"noc_in": share["I"], "noc_out": share["N"], "lif": share["F"]},
                "start": min(act.begin for act in own if act.duration),
                "end": acts[index, "F", schedule.last[index]].end,
                "busy": sum(durations[index].c.values()),
                "pe_cycle": pe_cycle(mapped),
            }
        )
    return {
        "cycles": acts[path[0]].end,
        "layers": layers,
        "ends": {key: act.end for key, act in acts.items()},
    }
