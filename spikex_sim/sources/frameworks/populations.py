"""Neurons as they run: what they took at each time point, and what their spikes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.frameworks.cells import Cell
from spikex_sim.sources.frameworks.companions import Lost, Read, Unfollowed, tag_of
from spikex_sim.sources.frameworks.layers import linear_of
from spikex_sim.sources.frameworks.readings import REPEATS
from spikex_sim.sources.frameworks.signals import (
    AS_CURRENTS,
    Added,
    Affine,
    Outside,
    Part,
    Signal,
    Spiking,
    Weighted,
)

if TYPE_CHECKING:
    from spikex_sim.sources.frameworks.follow import Follower


class Populations:
    """Populations of neurons of a network that runs."""

    def __init__(self, follow: Follower) -> None:
        self.follow = follow
        self._steps: dict[Any, int] = {}
        self.found: dict[Any, Spiking] = {}

    def restart(self) -> None:
        """Start anew."""
        self._steps = {}
        for spiking in self.found.values():
            spiking.taken.clear()

    def steps(self) -> dict[str, int]:
        """How many time points the neurons of each module went through."""
        return {spiking.name: self._steps.get(module, 0) for module, spiking in self.found.items()}

    def ran(self, title: tuple[str, str], module: Any, cell: Cell, entered: Any, given: list[Any]) -> None:
        """Take in one call of a module of neurons."""
        follow, out, tag = self.follow, given[0], tag_of(entered)
        if isinstance(tag, Lost):
            raise TraceError(tag.reason, field=tag.field)
        if not cell.spikes:
            for one in given:
                follow.lose(
                    one, f"gives potentials, as no node of a graph does; {AS_CURRENTS}", title, harmless=True
                )
            return
        for other in given[1:]:
            follow.lose(
                other, f"is a state of {title[0]}, which no node of a graph gives", title, harmless=True
            )
        assert tag is not None
        read = follow.numbering.read(tag, follow.samples)
        if len(read.lead) == entered.ndim:
            read = follow.numbering.read(tag, follow.samples, entered.ndim - 1)
        late, first = self._times(module, cell, read)
        outside = all(isinstance(one, Outside) for one in read.delays)
        when = Read(read.lead, late, read.sample, read.number, {})
        if outside and cell.weights is None:
            follow.outside(("neurons", title[0]), title[0], when, [out])
            return
        if cell.weights is not None:
            follow.read(entered, len(read.lead))
            source, index = linear_of(follow, title[0], read, cell.weights, None)
            delay = 0
        else:
            source, index = follow.numbering.whole(read.number)
            delay = max(read.delays.values())
        behind = (late - read.late)[read.late > 0]
        if len(behind) and (behind != behind[0]).any():
            raise Unfollowed("takes another time point than it is at")
        delay += int(behind[0]) if len(behind) else 0
        spiking = self.found.get(module)
        if spiking is None:
            spiking = Spiking(title[0], source.shape, cell.dynamics, title[1])
            cell.dynamics.check_channels(source.shape[0], title)
            follow.numbering.add(spiking)
            self.found[module] = spiking
            spiking.back = self._back(cell, spiking)
        if spiking.shape != source.shape:
            raise Unfollowed(f"takes {list(spiking.shape)} first and {list(source.shape)} later")
        ones = out[out != 0]
        if bool((ones != 1).any()):
            raise Unfollowed(f"gives {float(ones[ones != 1][0]):.4g}, which is no spike")
        spiking.taken += [(source, delay + cell.input_delay)] * (self._steps[module] - first)
        follow.give(out, spiking, when, index)

    def _times(self, module: Any, cell: Cell, read: Read) -> tuple[Any, int]:
        """``t + 1`` of each place of a call, by the steps the neurons went, checked by what they took."""
        first = self._steps.get(module, 0)
        samples = self.follow.samples
        count = len(read.late)
        several = cell.sequence
        if several is None:
            several = count > samples
        steps = count // samples if several else 1
        if several and (not read.lead or read.lead[0] != steps):
            raise Unfollowed(
                f"walks through {read.lead[0] if read.lead else 0} time points, and its input holds {steps}: "
                "the first axis of what it takes is none of time (axes)"
            )
        if count % samples:
            raise Unfollowed(
                f"took {count} samples at once, of {samples} (call='sequence' gives all time points)"
            )
        if count != steps * samples:
            raise Unfollowed(
                f"took {count // samples} time points at once and did not walk through them (a step mode, "
                "call, or axes without T)"
            )
        sample = read.sample.reshape(steps, samples)
        late = read.late.reshape(steps, samples)
        if (np.sort(sample, axis=1) != np.arange(samples)).any() or (late != late[:, :1]).any():
            raise Unfollowed("walked through samples as if they were time points; name the axes (axes)")
        self._steps[module] = first + steps
        now = first + 1 + np.arange(steps)
        if (late[:, 0] > now).any():
            raise Unfollowed(
                "is called more rarely than once a time point, or took a later one than it is at"
            )
        if (late[:, 0] > 0).any() and (np.ptp((now - late[:, 0])[late[:, 0] > 0]) or False):
            raise Unfollowed(
                f"is called more often than once a time point, as a module in several places is; {REPEATS}"
            )
        return np.repeat(now, samples), first

    def _back(self, cell: Cell, spiking: Spiking) -> Signal | None:
        """What of a population's own spikes comes back to it, a signal that is made of them."""
        if cell.back is None:
            return None
        make, name, shape = self.follow.numbering.make, spiking.name, spiking.shape
        back, numbers = cell.back, self.follow.numbers
        if back.kind == "identity":
            each = np.broadcast_to(numbers(back.weight).ravel(), (shape[0],)).copy()
            scaled = make(Affine, name, shape, source=spiking, steps=(("scale", each),))
            return make(Added, name, shape, terms=((scaled, back.delay),))
        weight = numbers(back.weight)
        if back.kind == "linear" and weight.shape[1] != spiking.size:
            raise Unfollowed(f"is recurrent over {weight.shape[1]} of {spiking.size} neurons")
        offset = np.zeros(len(weight)) if back.bias is None else numbers(back.bias)
        parts = (Part(spiking, back.delay, weight),)
        return make(
            Weighted, name, shape, ("back",), kind=back.kind, parts=parts, bias=offset,
            padding=(back.padding[0], back.padding[0], back.padding[1], back.padding[1]),
        )  # fmt: skip
