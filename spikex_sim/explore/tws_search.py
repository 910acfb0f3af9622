"""Window size of every layer by search: what hardware architecture search (paper, IV-B) is measured against.

A layer's costs depend on its spikes and its own window size, and spikes on no window size at all. So every
layer is simulated once at every size, not every combination. The total is EDP = (sum of energies) x (sum of
cycles), in which layers do not separate; but of partial sums only those can become the best that no other
undercuts in both, a Pareto front. Where outputs stay in the GLB (``memory.glb.keep_ofmap``), a layer's
costs also depend on whether the one before left its output there: fronts are then kept apart by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.progress import Progress, silent
from spikex_sim.core.registry import plugin
from spikex_sim.core.units import PJ_PER_J
from spikex_sim.explore.prefix import ArchLike, TraceLike, spiking, window_sizes
from spikex_sim.explore.trained_inputs import NetworkLike, SamplesLike, as_network, as_samples
from spikex_sim.explore.workers import check_jobs, in_order
from spikex_sim.run.replay import Flow, LayerRunner, objective_of
from spikex_sim.run.simulate import check_runnable, prepare
from spikex_sim.run.single_layer import SingleLayer, single_layers
from spikex_sim.sources.trained_graphs import TrainedGraph
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.plan import plan_stages
from spikex_sim.trace.together import as_chains
from spikex_sim.trace.trace import Trace

LIMIT = 20
"""Most samples by default."""

Kept = tuple[bool, ...]
"""For each sample, whether the GLB holds what enters a layer."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    method : str
        ``exhaustive``, ``random``, ``uniform`` or ``given``.
    tws : tuple of int
        Window size of every conv and linear layer.
    energy_pj, seconds, edp_js : float
        Of all samples together, as the totals of a run.
    evaluations : int
        Simulations of one layer for all samples that the method needs.
    architectures : int
        Combinations that it looked at, or that its Pareto fronts decided on.
    """

    method: str
    tws: tuple[int, ...]
    energy_pj: float
    seconds: float
    edp_js: float
    evaluations: int
    architectures: int


@dataclass(frozen=True)
class TwsSearch:
    """Searches of one network's window sizes, side by side.

    Attributes
    ----------
    name, source : str
        Of the network, and where its samples come from.
    arch : Accelerator
        Complete configuration.
    samples : int
        How many there were.
    found : tuple of Found
        What each search came to.
    refused : mapping of (str, int) to str
        Layers and window sizes that the buffers are too small for, and why.
    """

    name: str
    arch: Accelerator
    source: str
    samples: int
    found: tuple[Found, ...]
    refused: Mapping[tuple[str, int], str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "refused", FrozenMap(self.refused))

    def _repr_html_(self) -> str:
        from spikex_sim.explore.search_tables import windows_html

        return windows_html(self)


@dataclass(frozen=True)
class _Cost:
    """Energy and cycles of a layer, or of several, and whose outputs the GLB keeps."""

    energy_pj: float
    cycles: int
    kept: Kept


@dataclass(frozen=True)
class _Partial:
    """Window sizes of the first layers and what they cost."""

    tws: tuple[int, ...]
    energy_pj: float
    cycles: int


class TwsSpace:
    """All window sizes of every layer of a network for given samples, each simulated at most once.

    Parameters
    ----------
    traces : Trace, path, or sequence of them
        Samples of one network.
    arch : str, Path or Accelerator
        Accelerator that computes spikes, in windows; its own window size has no meaning here.
    choices : sequence of int, optional
        Window sizes; by default 1, 2, 4, 8, 16 as far as there are time points.
    overrides : mapping, optional
        Dotted configuration key to value.
    engine : {"fast", "event"}
        Memory engine.
    jobs : int
        Processes that share out layers and window sizes.
    progress : callable, optional
        Told about the simulations as they are done.

    Attributes
    ----------
    layers : tuple of str
        Conv and linear layers, in order.
    sizes : tuple of tuple of int
        Window sizes that each can have; those its buffers are too small for are left out.
    refused : dict of (str, int) to str
        These, and why.

    Raises
    ------
    SpikexError
        If traces or configuration are wrong, or a layer can have no window size.
    """

    def __init__(
        self,
        traces: TraceLike | Sequence[TraceLike],
        arch: ArchLike = "spikex",
        choices: Sequence[int] | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        engine: str = "fast",
        jobs: int = 1,
        progress: Progress = silent,
    ) -> None:
        check_jobs(jobs)
        self.arch = spiking(arch, 1, overrides)
        self.engine, self.progress = engine, progress
        loaded = as_chains(traces, "the search for window sizes")
        for other in loaded[1:]:
            if set(other.inputs) != set(loaded[0].inputs):
                raise TraceError(f"has not the recorded layers of {loaded[0].where}", where=other.where)
        check_runnable(loaded, self.arch, engine)
        prepare(self.arch)
        self._layers = layers_apart(loaded, self.arch)
        self._costs: dict[tuple[int, int, Kept], _Cost] = {}
        self.samples = sum(one.samples for one in loaded)
        self.layers = tuple(single.stage.layer.name for single, _ in self._layers)
        self.refused: dict[tuple[str, int], str] = {}
        sizes = window_sizes(choices, loaded[0].timesteps)
        self._cost_all(sizes, jobs)
        self.sizes = tuple(self._allowed(place, sizes) for place in range(len(self._layers)))

    @property
    def evaluations(self) -> int:
        """Simulations of one layer for all samples that were done so far."""
        return len(self._costs)

    def exhaustive(self) -> Found:
        """Window sizes with the least EDP of all combinations, the first in order of several."""
        used: set[tuple[int, int, Kept]] = set()
        fronts: dict[Kept, list[_Partial]] = {self._nothing_kept: [_Partial((), 0.0, 0)]}
        for place, sizes in enumerate(self.sizes):
            following: dict[Kept, list[_Partial]] = {}
            for kept, front in fronts.items():
                for tws in sizes:
                    used.add((place, tws, kept))
                    cost = self._cost(place, tws, kept)
                    following.setdefault(cost.kept, []).extend(
                        _Partial((*one.tws, tws), one.energy_pj + cost.energy_pj, one.cycles + cost.cycles)
                        for one in front
                    )
            fronts = {kept: _front(partials) for kept, partials in following.items()}
        ends = [one for front in fronts.values() for one in front]
        best = min(ends, key=lambda one: (self._objective(one), one.tws))
        return self._found("exhaustive", best, len(used), prod(len(sizes) for sizes in self.sizes))

    def random(self, architectures: int, seed: int = 0) -> Found:
        """Best of some combinations drawn at random, each drawn at most once."""
        if architectures < 1:
            raise ConfigError(f"must be at least 1, not {architectures}", field="architectures")
        rng = np.random.Generator(np.random.PCG64(seed))
        space = prod(len(sizes) for sizes in self.sizes)
        numbers: dict[int, None] = {}
        while len(numbers) < min(architectures, space):
            numbers[sum(int(rng.integers(len(sizes))) * step for sizes, step in self._digits())] = None
        return self._best("random", (self._numbered(number) for number in numbers))

    def uniform(self) -> Found:
        """Best of the window sizes that all layers can have alike.

        Raises
        ------
        ConfigError
            If there is none.
        """
        common = sorted(set.intersection(*(set(sizes) for sizes in self.sizes)))
        if not common:
            raise ConfigError("there is no window size that all layers can have", where=self.arch.name)
        return self._best("uniform", ((tws,) * len(self.sizes) for tws in common))

    def given(self, tws: Sequence[int]) -> Found:
        """Cost of one combination, such as one that hardware architecture search came to.

        Raises
        ------
        ConfigError
            If it does not have a window size for each layer, or one is not among its sizes.
        """
        if len(tws) != len(self.sizes):
            raise ConfigError(
                f"lists {len(tws)} window sizes for {len(self.sizes)} conv and linear layers", field="tws"
            )
        for name, sizes, one in zip(self.layers, self.sizes, tws, strict=True):
            if one not in sizes:
                known = ", ".join(map(str, sizes))
                raise ConfigError(f"{one} is none of the sizes of {name}: {known}", field="tws")
        return self._best("given", [tuple(tws)])

    def search(self, given: Sequence[int] | None = None, seed: int = 0) -> tuple[Found, ...]:
        """Search exhaustively, at random with as many evaluations, and for one size; beside a given result.

        Parameters
        ----------
        given : sequence of int, optional
            Window sizes to compare with, such as those of hardware architecture search.
        seed : int
            Of the random search.
        """
        exhaustive = self.exhaustive()
        draws = max(1, exhaustive.evaluations // len(self.layers))
        found = [exhaustive, self.random(draws, seed)]
        if set.intersection(*(set(sizes) for sizes in self.sizes)):
            found.append(self.uniform())
        return (*found, *([] if given is None else [self.given(given)]))

    def _best(self, method: str, combinations: Iterable[tuple[int, ...]]) -> Found:
        found = [self._of(tws) for tws in combinations]
        best = min(found, key=lambda one: (self._objective(one), one.tws))
        return self._found(method, best, len(found) * len(self.sizes), len(found))

    def _objective(self, one: _Partial) -> float:
        """What is made small: the EDP, or what ``tws_objective`` says."""
        return objective_of(self.arch, one.energy_pj, one.cycles)

    def _of(self, sizes: tuple[int, ...]) -> _Partial:
        kept, energy, cycles = self._nothing_kept, 0.0, 0
        for place, tws in enumerate(sizes):
            cost = self._cost(place, tws, kept)
            kept, energy, cycles = cost.kept, energy + cost.energy_pj, cycles + cost.cycles
        return _Partial(sizes, energy, cycles)

    @property
    def _nothing_kept(self) -> Kept:
        return (False,) * self.samples

    def _digits(self) -> list[tuple[tuple[int, ...], int]]:
        """Sizes of each layer, and how far combinations that differ there by one are apart."""
        steps = [prod(len(sizes) for sizes in self.sizes[place + 1 :]) for place in range(len(self.sizes))]
        return list(zip(self.sizes, steps, strict=True))

    def _numbered(self, number: int) -> tuple[int, ...]:
        return tuple(sizes[number // step % len(sizes)] for sizes, step in self._digits())

    def _cost_all(self, sizes: Sequence[int], jobs: int) -> None:
        """Simulate every layer at every size as if nothing was kept for it, which all searches begin with."""
        tasks = [(place, tws) for place in range(len(self._layers)) for tws in sizes]
        given = (self._layers, self.arch, self._nothing_kept, self.engine)
        with closing(in_order(_cost_of, tasks, min(jobs, len(tasks)), given)) as arriving:
            for place, tws in tasks:
                self.progress(f"{self.layers[place]} TWS={tws}", place, len(self._layers))
                cost = next(arriving)
                if isinstance(cost, ConfigError):
                    self.refused[self.layers[place], tws] = str(cost)
                else:
                    self._costs[place, tws, self._nothing_kept] = cost

    def _allowed(self, place: int, choices: Sequence[int]) -> tuple[int, ...]:
        name = self.layers[place]
        sizes = [tws for tws in choices if (name, tws) not in self.refused]
        if not sizes:
            reason = self.refused[name, choices[-1]]
            raise ConfigError(f"{name} can have none of the window sizes: {reason}", where=self.arch.name)
        return tuple(sizes)

    def _cost(self, place: int, tws: int, kept: Kept) -> _Cost:
        if (place, tws, kept) not in self._costs:
            self.progress(f"{self.layers[place]} TWS={tws}", place, len(self._layers))
            cost = _cost_of((place, tws), self._layers, self.arch, kept, self.engine)
            if isinstance(cost, ConfigError):
                raise cost
            self._costs[place, tws, kept] = cost
        return self._costs[place, tws, kept]

    def _found(self, method: str, best: _Partial, evaluations: int, architectures: int) -> Found:
        seconds = best.cycles / float(self.arch.clock_hz)
        return Found(
            method, best.tws, best.energy_pj, seconds, best.energy_pj / PJ_PER_J * seconds,
            evaluations, architectures,
        )  # fmt: skip


def _cost_of(
    task: tuple[int, int],
    layers: Sequence[tuple[SingleLayer, Trace]],
    arch: Accelerator,
    kept: Kept,
    engine: str,
) -> _Cost | ConfigError:
    """Cost of a layer at a window size, or why it cannot have it."""
    place, tws = task
    single, spikes = layers[place]
    try:
        found = single.run(spikes, arch, tws, kept, engine)
    except ConfigError as exc:
        return exc
    return _Cost(
        sum(one.result.energy_pj for one in found),
        sum(one.result.cycles for one in found),
        tuple(one.output_kept for one in found),
    )


def search_tws(
    network: NetworkLike | Trace,
    data: SamplesLike | None = None,
    arch: ArchLike = "spikex",
    choices: Sequence[int] | None = None,
    *,
    variant: str | None = None,
    split: str = "test",
    step_ms: float | None = None,
    limit: int | None = LIMIT,
    given: Sequence[int] | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    engine: str = "fast",
    jobs: int = 1,
    progress: Progress = silent,
) -> TwsSearch:
    """Search each layer's window size: exhaustively, at random with as many evaluations, and one for all.

    Parameters
    ----------
    network : str, Path, TrainedNetwork or Trace
        Network with shipped weights, weights, or a trace, which has its samples.
    data, variant, split, step_ms, limit
        Samples of a network, and which, as of :func:`spikex_sim.evaluate`.
    arch : str, Path or Accelerator
        Accelerator that computes spikes; its own window size has no meaning here.
    choices : sequence of int, optional
        Window sizes; by default 1, 2, 4, 8, 16 as far as there are time points.
    given : sequence of int, optional
        Window sizes to set beside; by default those of a network of the variant ``has``.
    seed : int
        Of the random search.
    jobs : int
        Processes that share out layers and window sizes.
    overrides, engine, progress
        As of :func:`spikex_sim.simulate`.

    Raises
    ------
    SpikexError
        If samples, network or configuration are wrong, or a layer can have no window size.
    """
    if isinstance(network, Trace):
        trace = network
    else:
        trained = as_network(network, variant)
        if isinstance(trained, TrainedGraph):
            message = "is a graph; the search for window sizes takes chains of layers"
            raise TraceError(message, where=trained.name)
        samples = as_samples(trained, data, split=split, step_ms=step_ms, limit=limit)
        spikes = np.stack([samples.spikes(number) for number in range(len(samples))])
        trace = trained.trace(spikes, trained.name, samples.labels, samples.source)
        if given is None and trained.variant == "has":
            given = trained.tws
    sizes = {*window_sizes(choices, trace.timesteps), *(given or ())}
    space = TwsSpace(
        trace, arch, sorted(sizes), overrides=overrides, engine=engine, jobs=jobs, progress=progress
    )
    return TwsSearch(
        trace.name, space.arch, trace.source, space.samples, space.search(given, seed), space.refused
    )


def layers_apart(traces: Sequence[Trace], arch: Accelerator) -> list[tuple[SingleLayer, Trace]]:
    """Every conv and linear layer with the spikes that enter it, of all samples."""
    whole = arch.model_copy(update={"mapping": arch.mapping.model_copy(update={"tile": "layer"})})
    runner = LayerRunner(whole, plugin("engines", "fast"), energy_model(whole))
    stages = [plan_stages(one) for one in traces]
    flows = [
        Flow(mine, one, sample)
        for mine, one in zip(stages, traces, strict=True)
        for sample in range(one.samples)
    ]
    singles = single_layers(stages[0], tuple(traces[0].inputs))
    found = []
    for index, stage in enumerate(stages[0]):
        if index in singles:
            entered = [flow.enter(index, compare=False) for flow in flows]
            packed = np.stack([spikes for spikes in entered if spikes is not None])
            packed.setflags(write=False)
            found.append(
                (
                    singles[index],
                    Trace(
                        name=stage.layer.name, timesteps=traces[0].timesteps, layers=(stage.layer,),
                        inputs={0: packed}, samples=len(packed), batched=True,
                    ),
                )
            )  # fmt: skip
        for flow in flows:
            runner.run_layer(index, flow, 1)
    return found


def _front(partials: list[_Partial]) -> list[_Partial]:
    """Those that no other undercuts in energy and in cycles; of equal ones the first in order."""
    front: list[_Partial] = []
    for one in sorted(partials, key=lambda one: (one.energy_pj, one.cycles, one.tws)):
        if not front or one.cycles < front[-1].cycles:
            front.append(one)
    return front
