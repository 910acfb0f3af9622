"""What was followed through a network becomes a graph, compared with what the network gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.assemble import Assembler, alive, taken_by
from spikex_sim.sources.frameworks.check import Checked, Replay
from spikex_sim.sources.frameworks.follow import Follower
from spikex_sim.sources.frameworks.readings import REPEATS, Reading
from spikex_sim.sources.frameworks.signals import Outside, Pooled, Signal, Spiking, is_light
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.trace import MAX_TIMESTEPS

USUAL_BITS = 8
LIKELY = 0.01
"""Share of spikes that rounding may move; with more, what was understood is not what the module does."""


@dataclass(frozen=True)
class Row:
    """What one node is and how far it is from what its module gave."""

    name: str
    kind: str
    takes: str
    shape: tuple[int, int, int]
    module: str
    checked: Checked | None


@dataclass(frozen=True)
class Report:
    """What was understood of a network.

    Attributes
    ----------
    rows : tuple of Row
        A node each, in order.
    notes : tuple of str
        What was rounded or left unfollowed.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


class Recording:
    """Two runs of a network, and the graph that comes of them.

    Parameters
    ----------
    torch : module
        PyTorch.
    follow : Follower
        What followed the network.
    timesteps : int
        Time points; 0 where the neurons tell.
    """

    def __init__(self, torch: Any, follow: Follower, timesteps: int) -> None:
        self.torch, self.follow, self.timesteps = torch, follow, timesteps
        self._bits = USUAL_BITS
        self._before: dict[Signal, Any] = {}
        self._analog: dict[Signal, bool] = {}
        self._notes: list[str] = []
        self._checked: list[Checked] = []
        self._differs = ""
        self._silent: dict[str, bool] = {}

    def first_run(self, bits: int | None) -> None:
        """Take in the first run: how long it was, what it reads out, which numbers enter."""
        follow, memory = self.follow, self.follow.memory
        lost = next((one for one in follow.lost if not one.harmless), None)
        if lost is not None:
            raise TraceError(lost.reason, field=lost.field)
        self._check_steps()
        memory.wanted = set(self.read_outs())
        live = self.live()
        for spiking in follow.populations.found.values():
            if any(one in follow.means for one in alive([spiking])):
                raise TraceError(
                    "takes an average over time, of time points that are yet to come", field=spiking.name
                )
        if not live:
            raise TraceError("has no convolution or linear layer that could be recorded")
        for signal in self.entering(live):
            constant = memory.constant(signal)
            if memory.analog(signal):
                self._analog[signal] = constant
                if bits is None and not constant:
                    values = memory.over_time(signal, self.timesteps)
                    odd = values[(values != 0) & (values != 1)]
                    taker = next(one for one in live if signal in taken_by(one))
                    raise TraceError(
                        f"takes {float(odd[0]):.4g}, which is no spike, and others at other time points; "
                        "say how many bits they become (input_bits), or leave this out (skip)",
                        field=taker.name,
                    )
        self._bits = USUAL_BITS if bits is None else bits
        if not 1 <= self._bits <= 32:
            raise TraceError(f"must be 1 to 32, not {self._bits}", field="input_bits")
        scales = {}
        for signal, constant in self._analog.items():
            values = memory.once(signal) if constant else memory.over_time(signal, self.timesteps)
            scales[signal] = scale_of(values, self._bits)
        follow.quantised = scales
        signed = any(
            float(memory.once(one).min()) < 0
            if constant
            else bool((memory.over_time(one, self.timesteps) < 0).any())
            for one, constant in self._analog.items()
        )
        top = 1 << self._bits
        follow.limits = (-(top >> 1), (top >> 1) - 1) if signed else (0, top - 1)
        self._before = {one: memory.packed(one, self.timesteps) for one in follow.populations.found.values()}

    def take_as(self, read: Reading) -> None:
        """Accept another reading of the inputs than the usual one, as neurons walk through time by it."""
        if self.timesteps < 2:
            raise TraceError("no neurons walk through time")
        self._notes.append(f"inputs are read as {read.axes}, all given in one call (axes, call)")

    def _check_steps(self) -> None:
        steps = self.follow.populations.steps()
        self.timesteps = self.timesteps or max(steps.values(), default=0)
        for name, count in steps.items():
            if count != self.timesteps:
                more = f"; neurons that serve in several places are not recorded, and {REPEATS}"
                raise TraceError(
                    f"ran at {count} of {self.timesteps} time points{more * (count > self.timesteps)}",
                    field=name,
                )
        if not 1 <= self.timesteps <= MAX_TIMESTEPS:
            raise TraceError(f"went through {self.timesteps} time points; 1 to {MAX_TIMESTEPS} are recorded")

    def read_outs(self) -> list[Signal]:
        """Sums that nothing takes."""
        signals = self.follow.numbering.signals
        taken = {source for signal in signals for source in signal.sources}
        return [one for one in signals if one not in taken and not is_light(one)]

    def live(self) -> dict[Signal, None]:
        """All that populations and read-outs are made of."""
        roots = [*self.follow.populations.found.values(), *self.read_outs()]
        return alive(roots, self._is_outside)

    def _is_outside(self, signal: Signal) -> bool:
        """Whether numbers enter that are pooled first."""
        if not isinstance(signal, Pooled):
            return False
        while isinstance(signal, Pooled):
            signal = signal.source
        return isinstance(signal, Outside) and self.follow.memory.analog(signal)

    def entering(self, live: dict[Signal, None]) -> list[Signal]:
        """Signals that become inputs."""
        return [one for one in live if isinstance(one, Outside) or self._is_outside(one)]

    def graph(self, *, name: str, source: str, label: Any, batched: bool) -> tuple[GraphTrace, Report]:
        """Make the graph of the second run, and compare it."""
        follow, memory = self.follow, self.follow.memory
        live = self.live()
        self._compare_runs()
        inputs = {one: self._described(one) for one in self.entering(live)}
        assembler = Assembler(live, inputs)
        for spiking in follow.populations.found.values():
            assembler.population(spiking)
        outs = self.read_outs()
        for one in outs:
            assembler.read_out(one)
        arrays = dict(assembler.arrays)
        for signal, node in assembler.names.items():
            if signal in self._analog:
                values = (
                    memory.once(signal) if self._analog[signal] else memory.over_time(signal, self.timesteps)
                )
                whole = np.rint(values / follow.quantised[signal]).astype(np.int32)
                arrays[f"{node}/values"] = whole
            elif (
                signal in inputs
                or isinstance(signal, Spiking)
                or (isinstance(signal, Pooled) and signal.spiking)
            ):
                arrays[f"{node}/spikes"] = memory.packed(signal, self.timesteps)
        if not batched:
            arrays = {
                key: array[0] if key.endswith(("/spikes", "/values")) else array
                for key, array in arrays.items()
            }
        meta = {"name": name, "timesteps": self.timesteps, "source": source, "nodes": assembler.nodes}
        meta |= {"samples": follow.samples} if batched else {}
        made = GraphTrace.from_arrays(meta, arrays, label=label, where=name)
        sums = {assembler.names[one]: self._read_out(one) for one in outs}
        self._checked = Replay(self.torch, made).compared(sums)
        self._silent = {
            assembler.names[one]: not np.any(memory.packed(one, self.timesteps))
            for one in follow.populations.found.values()
        }
        self._note_rounding()
        modules = {node: signal for signal, node in assembler.names.items()}
        checked = {one.name: one for one in self._checked}
        rows = tuple(
            Row(node.name, node.kind, ", ".join(node.sources), made.shape(node.name),
                _module(modules[node.name]), checked.get(node.name))
            for node in made.nodes
        )  # fmt: skip
        differs = [one for one in follow.populations.found.values() if one.dynamics.differs]
        self._differs = (
            f"{differs[0].name} ({differs[0].kind}): {differs[0].dynamics.differs}" if differs else ""
        )
        return made, Report(rows, tuple(self._notes))

    def _read_out(self, signal: Signal) -> Any:
        """Numbers of a read-out at all time points, or of their average."""
        memory, means = self.follow.memory, self.follow.means
        over = {means[one] for one in alive([signal], lambda one: isinstance(one, Spiking)) if one in means}
        seen = {late for late, _ in memory.places(signal)}
        if over == {self.timesteps} and seen == {0}:
            return memory.once(signal)[..., None]
        if over or not (0 in seen or len(seen) == self.timesteps):
            some = min(over) if over else len(seen)
            raise TraceError(
                f"is computed of {some} of {self.timesteps} time points; a read-out is "
                "of all or of their mean; leave it out (skip)",
                field=signal.name,
            )
        return memory.over_time(signal, self.timesteps)

    def _described(self, signal: Signal) -> dict[str, Any]:
        flat = signal.plane == 1 and not getattr(signal, "shaped", False)
        made: dict[str, Any] = {"shape": list(signal.shape[:1] if flat else signal.shape)}
        if signal in self._analog:
            scale = float(np.float32(self.follow.quantised[signal]))
            made["values"] = {"bits": self._bits, "signed": self.follow.limits[0] < 0,
                              "constant": self._analog[signal], "scale": scale}  # fmt: skip
        return made

    def _compare_runs(self) -> None:
        """Both runs give the same; where numbers are rounded in the second, how far it is off."""
        follow = self.follow
        differing = spikes = 0
        for one, before in self._before.items():
            after = follow.memory.packed(one, self.timesteps)
            apart = int(np.bitwise_count(before ^ after).sum())
            if apart and not self._analog:
                raise TraceError(
                    f"gave {apart} other spikes in a second run: the model draws random numbers, "
                    "or keeps something from run to run",
                    field=one.name,
                )
            differing, spikes = differing + apart, spikes + int(np.bitwise_count(before).sum())
        if self._analog:
            self._notes.append(
                f"inputs rounded to {self._bits} bits: {differing} of {spikes} spikes differ from the "
                "float model's"
            )

    def _note_rounding(self) -> None:
        differing = sum(one.differing for one in self._checked)
        given = sum(one.given for one in self._checked)
        largest = max((one.largest for one in self._checked), default=0.0)
        said = f"computed anew, {differing} of {given} spikes and values differ from what the modules gave"
        self._notes.append(said + (f"; read-outs by {largest:.2g} at most" if largest else ""))
        silent = [name for name, one in self._silent.items() if one]
        if silent:
            self._notes.append(
                f"WARNING: {len(silent)} of {len(self._silent)} populations gave no spike "
                f"({', '.join(silent[:4])}), so that their equations were put to no test"
            )
        said_of = [one for one in self.follow.lost if " is a state of " not in f" {one.reason}"]
        reasons = dict.fromkeys(f"{one.field} {one.reason}" for one in said_of)
        self._notes += [f"not followed: {reason}" for reason in list(reasons)[:8]]

    def refuse_differing(self, nearest: bool) -> None:
        """Raise :class:`TraceError` if the graph is not what the network does."""
        if nearest:
            return
        if self._differs:
            place, _, reason = self._differs.partition(": ")
            raise TraceError(f"{reason}; the nearest there is can be taken in a chain (nearest)", field=place)
        for one in self._checked:
            if one.differing > LIKELY * max(one.given, 100):
                raise TraceError(
                    f"gave {one.given} spikes or values, of which {one.differing} come out otherwise by the "
                    "equations that were understood; it does something else than its class, or did not start "
                    "at rest",
                    field=one.name,
                )


def scale_of(values: Any, bits: int) -> float:
    """What 1 stands for in numbers that become integers: exactly where there is such a number."""
    largest = float(np.abs(values).max())
    limit = (1 << (bits - 1)) - 1 if values.min() < 0 else (1 << bits) - 1
    for scale in (1.0, 1 / 255, *(2.0**-power for power in range(1, 16))):
        whole = np.rint(values / np.float32(scale))
        if (
            largest <= limit * scale * 1.0001
            and (np.float32(scale) * whole.astype(np.float32) == values).all()
        ):
            return scale
    return float(np.float32(largest / limit)) if largest else 1.0


def _module(signal: Signal) -> str:
    return f"{signal.name} ({signal.kind})" if isinstance(signal, Spiking) else signal.name
