"""How often each node of a network spikes in samples of it (Section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.core.spikes import packed_length
from spikex_sim.explore.mapping.documents import MOST_SPIKES
from spikex_sim.mapped.graph import Integers, Lists
from spikex_sim.mapped.unroll import Part, Unrolled
from spikex_sim.run.flow import GraphFlow, graph_stages
from spikex_sim.run.graph import GraphRunner
from spikex_sim.run.replay import LayerRunner
from spikex_sim.run.simulate import prepare
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.chain import as_graph
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.together import AnyTrace, as_traces

Traces = AnyTrace | Sequence[AnyTrace | str | Path] | str | Path
SHARE = 0.01
"""Of the samples; the paper's."""
_AT_A_TIME = 1 << 26
"""Bytes of spikes that are joined together."""
_MACHINE = "spikex"
_WIDE = {"tws": 1, "psum_bits": 32, "memory.glb.bytes": 1 << 30}
"""What samples are replayed on: spikes are the same on every machine, and this one holds every layer."""


class Chosen(NamedTuple):
    """Samples of a profile, and those that it is held against; numbered through all traces.

    Attributes
    ----------
    profile, rest : tuple of int
        In the order in which they were drawn. Of a single sample both are that one.
    """

    profile: tuple[int, ...]
    rest: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        """Whether there is but one sample, so that nothing is left to hold the profile against."""
        return self.profile == self.rest


def choose_samples(samples: int, share: float = SHARE, seed: int = 0) -> Chosen:
    """Draw ``max(1, ceil(share * samples))`` samples by ``default_rng(seed).permutation``.

    Raises
    ------
    ConfigError
        If the share is not above 0 and at most 1.
    """
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
        raise ConfigError(f"wants a number above 0, at most 1, not {share!r:.40}", field="--profile-share")
    # As it is written: 0.07 of 100 is 7, though the product of the floating-point numbers is more.
    count = max(1, ceil(Fraction(repr(share)) * samples))
    order = np.random.default_rng(seed).permutation(samples).tolist()
    return Chosen(tuple(order[:count]), tuple(order[count:] or order))


class Profile(NamedTuple):
    """Spikes over the samples of a profile and all time points.

    Attributes
    ----------
    spikes : int64 array ``[n + e]``
        Of every node.
    sums : int64 array ``[P]``
        Of every part of a split neuron the time points at which one of its sources spikes.
    """

    spikes: Integers
    sums: Integers


def profile_of(
    network: Unrolled,
    traces: Traces,
    samples: Sequence[int],
    parts: Lists | None = None,
    *,
    progress: Progress = silent,
) -> Profile:
    """Add up spikes over samples.

    Parameters
    ----------
    network : Unrolled
        Network of layers, as :func:`spikex_sim.explore.mapping.reading.read_network` reads it.
    traces : trace, path or sequence of them
        Samples of that network; a folder, too.
    samples : sequence of int
        Which; see :func:`choose_samples`.
    parts : Lists, optional
        Sources of the parts of split neurons.
    progress : callable, optional
        Told about the samples as they are done.

    Raises
    ------
    ConfigError, TraceError
        If the network has no layers, the samples are of another one, or some spikes are neither recorded nor
        computable.
    """
    loaded = as_traces(traces)
    sources = Lists(np.zeros(1, np.int64), np.zeros(0, np.int64)) if parts is None else parts
    spikes = np.zeros(network.graph.nodes, np.int64)
    sums = np.zeros(len(sources.starts) - 1, np.int64)
    for trains in trains_of(network, loaded, samples, progress=progress):
        spikes += _times(trains)
        sums += _times_of_any(trains, sources)
    if spikes.max(initial=0) > MOST_SPIKES:
        raise TraceError(f"a node spikes more than {MOST_SPIKES:,} times", where=loaded[0].where)
    return Profile(spikes, sums)


def spikes_of(
    network: Unrolled, traces: Traces, samples: Sequence[int] | None = None, *, progress: Progress = silent
) -> Iterator[Integers]:
    """Spikes of every node over all time points, sample by sample, ``[n + e]`` each.

    See :func:`profile_of`; of all samples by default.
    """
    for trains in trains_of(network, traces, samples, progress=progress):
        yield _times(trains)


def trains_of(
    network: Unrolled, traces: Traces, samples: Sequence[int] | None = None, *, progress: Progress = silent
) -> Iterator[NDArray[np.uint8]]:
    """Spikes of every node over time, eight time points a byte, sample by sample.

    See :func:`profile_of`; of all samples by default.
    """
    if not network.parts:
        raise ConfigError("the network has no layers that samples could be of: it is no trace and no NIR "
                          "graph", where=network.graph.name, field="--profile")  # fmt: skip
    loaded = as_traces(traces)
    places = [(at, sample) for at, one in enumerate(loaded) for sample in range(one.samples)]
    wanted = range(len(places)) if samples is None else samples
    prepare(load_accelerator(_MACHINE))
    known: tuple[int, GraphTrace] | None = None
    for done, number in enumerate(wanted):
        at, sample = places[number]
        if known is None or known[0] != at:
            trace = loaded[at]
            known = at, trace if isinstance(trace, GraphTrace) else as_graph(trace)
            _check_like(network, known[1])
        progress("profile", done, len(wanted))
        yield _one_sample(network, known[1], sample)
    progress("profile", len(wanted), len(wanted))


def _check_like(network: Unrolled, trace: GraphTrace) -> None:
    for part in network.parts:
        if part.name not in trace.wiring.nodes or trace.shape(part.name) != part.shape:
            raise TraceError(f"is of another network than {network.graph.name}: no layer '{part.name}' of "
                             f"{'x'.join(map(str, part.shape))}", where=trace.where)  # fmt: skip


def _one_sample(network: Unrolled, trace: GraphTrace, sample: int) -> NDArray[np.uint8]:
    given = _computed(trace, sample) if trace.weights else {}
    found = np.zeros((network.graph.nodes, packed_length(trace.timesteps)), np.uint8)
    for part in network.parts:
        nodes = slice(part.nodes.start, part.nodes.stop)
        spikes = given.get(part.name)
        if spikes is None:
            spikes = _recorded(trace, part, sample)
        if spikes is not None:
            found[nodes] = spikes.reshape(len(part.nodes), -1)
        elif np.isin(network.graph.source, np.arange(nodes.start, nodes.stop)).any():
            message = "has no weights, and what it gives is not recorded, so that its spikes are unknown"
            raise TraceError(message, where=trace.where, field=part.name)
    return found


def _computed(trace: GraphTrace, sample: int) -> dict[str, NDArray[np.uint8]]:
    """Spikes of each neuron by node, packed, of those that can be computed."""
    # Energies, which nobody looks at, are those of the machine as it is: there are none of such a memory.
    prices = energy_model(load_accelerator(_MACHINE))
    runner = GraphRunner(
        LayerRunner(load_accelerator(_MACHINE, dict(_WIDE)), plugin("engines", "fast"), prices)
    )
    flow = GraphFlow(graph_stages(trace), trace, sample)
    found = {}
    for index, stage in enumerate(flow.stages):
        runner.run_layer(index, flow, 1)
        if flow.computed is not None and trace.carries(stage.name) == "spikes":
            found[stage.name] = flow.computed
    return found


def _recorded(trace: GraphTrace, part: Part, sample: int) -> NDArray[np.uint8] | None:
    """Spikes that were recorded; of analog values the time points at which they are not 0."""
    if part.name in trace.spikes:
        packed: NDArray[np.uint8] = trace.spikes[part.name][sample]
        return packed
    if part.name in trace.values and trace.carries(part.name) == "analog":
        there = trace.values[part.name][sample] != 0
        if trace.constant(part.name):
            there = np.broadcast_to(there[..., None], (*there.shape, trace.timesteps))
        return np.packbits(there, axis=-1)
    return None


def _times(trains: NDArray[np.uint8]) -> Integers:
    times: Integers = np.bitwise_count(trains).sum(axis=-1, dtype=np.int64)
    return times


def _times_of_any(trains: NDArray[np.uint8], sources: Lists) -> Integers:
    """Time points at which one of each list of nodes spikes; none of the lists is empty."""
    parts = len(sources.starts) - 1
    found = np.zeros(parts, np.int64)
    width = max(1, _AT_A_TIME // max(1, trains.shape[1]))
    first = 0
    while first < parts:
        most = int(np.searchsorted(sources.starts, sources.starts[first] + width, side="right")) - 1
        last = max(first + 1, min(most, parts))
        begin = sources.starts[first]
        seen = trains[sources.items[begin : sources.starts[last]]]
        joined = np.bitwise_or.reduceat(seen, sources.starts[first:last] - begin, axis=0)
        found[first:last] = _times(joined)
        first = last
    return found
