"""What is done to a network before it is mapped, and what is counted afterwards: splits and profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.mapping.heldout import held_out
from spikex_sim.explore.mapping.profile import SHARE, Chosen, Traces, choose_samples, profile_of
from spikex_sim.explore.mapping.search import Mapped
from spikex_sim.mapped.graph import Integers, NeuronGraph
from spikex_sim.mapped.pool import Pool
from spikex_sim.mapped.split import Split, split, unsplit
from spikex_sim.mapped.unroll import Unrolled
from spikex_sim.trace.together import AnyTrace, as_traces


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network that is ready to be mapped.

    Attributes
    ----------
    split : Split
        The network, its wide neurons in parts, with the spikes of the profile if there is one.
    samples : sequence of traces or None
        Those of the profile and others.
    chosen : Chosen or None
        Which are of the profile.
    """

    split: Split
    samples: Sequence[AnyTrace] | None = None
    chosen: Chosen | None = None

    @property
    def graph(self) -> NeuronGraph:
        """What is mapped."""
        return self.split.graph

    @property
    def order(self) -> Integers | None:
        """Columns in the order of their places; None of a network without layers (Section 5)."""
        return self.split.order if self.split.network.parts else None

    def finished(self, found: Mapped, *, progress: Progress = silent) -> Mapped:
        """Say of a mapping which columns are whose parts, and count its packets sample by sample."""
        counted = None
        if self.samples is not None and self.chosen is not None:
            counted = held_out(found.mapping, self.split, self.samples, self.chosen, progress=progress)
        return replace(found, split=self.split, heldout=counted)


def prepared(
    network: Unrolled | NeuronGraph,
    pool: Pool,
    *,
    splits: bool | None = None,
    profile: Traces | None = None,
    profile_share: float | None = None,
    seed: int = 1,
    progress: Progress = silent,
) -> Prepared:
    """Split neurons that are too wide for a pool, and count spikes.

    Parameters
    ----------
    network, pool : Unrolled or NeuronGraph, Pool
        What is mapped, where to.
    splits : bool, optional
        Whether neurons are split; by default those of networks of layers are (Section 1, split).
    profile : trace, path or sequence of them, optional
        Samples that spikes are counted on.
    profile_share : float, optional
        Share of them that the mapping sees; a hundredth by default.
    seed : int
        Of the draw of these samples.
    progress : callable, optional
        Told about the samples as they are done.

    Raises
    ------
    ConfigError, TraceError, UnsupportedError
        In one line.
    """
    if profile is None and profile_share is not None:
        raise ConfigError("is the share of the samples of --profile, which is not given",
                          field="--profile-share")  # fmt: skip
    known = Unrolled(network, ()) if isinstance(network, NeuronGraph) else network
    wanted = bool(known.parts) if splits is None else splits
    parts = split(known, pool.most_inputs) if wanted else unsplit(known)
    if profile is None:
        return Prepared(parts)
    samples = as_traces(profile)
    count = sum(one.samples for one in samples)
    chosen = choose_samples(count, SHARE if profile_share is None else profile_share, seed)
    spikes, sums = profile_of(known, samples, chosen.profile, parts.sources, progress=progress)
    return Prepared(parts.profiled(spikes, sums), samples, chosen)
