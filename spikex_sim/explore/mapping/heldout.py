"""Packets of a mapping on samples, those of its profile and those that it has not seen (Section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.profile import Chosen, Traces, spikes_of
from spikex_sim.mapped.graph import Integers
from spikex_sim.mapped.mapping import EXTERNAL, Mapping
from spikex_sim.mapped.split import Split


@dataclass(frozen=True)
class HeldOut:
    """Packets between crossbars, sample by sample.

    Attributes
    ----------
    profile : tuple of (int, int)
        Number and packets of every sample of the profile, ascending.
    rest : tuple of (int, int)
        The same of the others; none where the profile is all there is.
    """

    profile: tuple[tuple[int, int], ...]
    rest: tuple[tuple[int, int], ...]

    @property
    def is_same(self) -> bool:
        """Whether there is nothing but the profile."""
        return not self.rest

    @property
    def mean(self) -> float | None:
        """Packets of a sample that was held out."""
        return None if self.is_same else sum(packets for _, packets in self.rest) / len(self.rest)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the same, of a sample of them (``n - 1``); 0 of one."""
        if self.mean is None:
            return None
        squares = sum((packets - self.mean) ** 2 for _, packets in self.rest)
        return sqrt(squares / max(1, len(self.rest) - 1))

    @property
    def metrics(self) -> dict[str, Any]:
        """What results say of it."""
        return {
            "profile": "same" if self.is_same else "held out",
            "profile_samples": len(self.profile),
            "heldout_samples": len(self.rest),
            "packets_heldout_mean": self.mean,
            "packets_heldout_sd": self.deviation,
        }

    @property
    def rows(self) -> list[dict[str, int]]:
        """A row a sample: its number, its packets, whether it is of the profile."""
        every = [(*one, 1) for one in self.profile] + [(*one, 0) for one in self.rest]
        return [
            {"sample": sample, "packets": packets, "profile": profile}
            for sample, packets, profile in sorted(every)
        ]


def held_out(
    mapping: Mapping, split: Split, traces: Traces, chosen: Chosen, *, progress: Progress = silent
) -> HeldOut:
    """Count the packets of every sample.

    Parameters
    ----------
    mapping : Mapping
        Of the graph of the split.
    split : Split
        The network.
    traces : trace, path or sequence of them
        Samples of it.
    chosen : Chosen
        Those of the profile, and the others.
    progress : callable, optional
        Told about the samples as they are done.

    Raises
    ------
    TraceError
        See :func:`spikex_sim.explore.mapping.profile.profile_of`.
    """
    routes = _routes(mapping, split)
    samples = sorted({*chosen.profile, *chosen.rest})
    spikes = spikes_of(split.network, traces, samples, progress=progress)
    found = {number: int(routes @ one) for number, one in zip(samples, spikes, strict=True)}
    rest = () if chosen.is_same else chosen.rest
    return HeldOut(
        tuple((one, found[one]) for one in sorted(chosen.profile)),
        tuple((one, found[one]) for one in sorted(rest)),
    )


def _routes(mapping: Mapping, split: Split) -> Integers:
    """Crossbars that take each node of the network from elsewhere, ``[n + e]``."""
    graph, (node, crossbar) = mapping.graph, mapping.flows
    homes = np.concatenate([mapping.home, np.full(graph.external, EXTERNAL)])
    count = np.bincount(node[homes[node] != crossbar], minlength=graph.nodes)
    neurons = split.original.neurons
    return np.concatenate([count[:neurons], count[neurons + split.parts :]])
