"""Search of networks of two cells on images, under limits of hardware (docs/nas.md, Section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.origin import pip_install
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.nas.cells import space_of
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.machine import Machine
from spikex_sim.explore.nas.macro import Macro, dataset_of
from spikex_sim.explore.nas.pairs import Pairs
from spikex_sim.explore.nas.search import Method, check_scored, check_search, search
from spikex_sim.spec.arch import Accelerator

if TYPE_CHECKING:
    from spikex_sim.explore.nas.crew import Scorers
    from spikex_sim.explore.nas.found import ArchitectureFound


def search_architecture(
    data: str | Path,
    arch: str | Accelerator = "spikesim-released",
    *,
    max_params: float | None = None,
    max_area_mm2: float | None = None,
    max_latency_ms: float | None = None,
    max_energy_uj: float | None = None,
    max_edp_js: float | None = None,
    bits: int = 8,
    algorithm: str = "paper",
    carry_score: bool = False,
    budget: int | None = None,
    sampler: str | None = None,
    minimise: Sequence[str] = ("energy_uj",),
    space: str = "neuronas",
    same: bool = False,
    dataset: str = "cifar10",
    channels: int = 128,
    timesteps: int = 5,
    score_channels: int | None = None,
    score_timesteps: int | None = None,
    batch: int = 64,
    repeats: int = 2,
    kernel: str = "released",
    constant: str = "count",
    seed: int = 0,
    jobs: int = 1,
    scheduler: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> ArchitectureFound:
    """Search a spiking network of two cells that keeps limits of hardware, without training any.

    Parameters
    ----------
    data : str or Path
        Images, an ``.npz`` of ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.
    arch : str or Accelerator
        Machine that limits refer to: a preset, a file, or a configuration.
    max_params, max_area_mm2, max_latency_ms, max_energy_uj, max_edp_js : float, optional
        Limits: weights of convolutions, mm², ms, µJ and Js of an inference.
    bits : int
        Of a weight, when networks are scored and on machines.
    algorithm : {"paper", "joint", "random"}
        Algorithm 1 of NeuroNAS; both cells at once by Optuna; SNASNet's baseline.
    carry_score : bool
        Of ``paper``: pass 1 begins with the score of pass 0, as printed.
    budget : int, optional
        Of ``joint`` and ``random``: networks to score.
    sampler : {"nsga2", "tpe"}, optional
        Of ``joint``; by default ``nsga2``.
    minimise : sequence of str
        Costs of the front, and that ``joint`` minimises beside the fitness.
    space : {"neuronas", "snasnet"}
        Operations of an edge.
    same : bool
        Of ``joint`` and ``random``: search cells with A = B, as SNASNet does.
    dataset : {"cifar10", "cifar100", "tinyimagenet"}
        What the images are, and their classifier.
    channels, timesteps : int
        Channels ``C`` of cell A and time points ``T`` of the network.
    score_channels, score_timesteps : int, optional
        Of the network that is scored, where a smaller one stands for it; costs are of the whole one.
    batch, repeats : int
        Images of a mini-batch, and mini-batches that a score is the mean of.
    kernel : {"released", "normalised"}
        Of the fitness.
    constant : {"count", "skip"}
        Whether silent and saturated populations count.
    seed : int
        Of weights, mini-batches and the search.
    jobs, scheduler, out, progress
        As of :func:`spikex_sim.sweep`; ``out`` gets ``nas.sqlite``, ``nas.json`` and ``nas.csv``.

    Returns
    -------
    ArchitectureFound
        Winner, all networks that were scored, baselines and counts; the same for any number of processes.

    Raises
    ------
    SpikexError
        If data or options are wrong, PyTorch or Optuna is missing, or nothing keeps the limits; one line.
    """
    limits = Constraints(max_params, max_area_mm2, max_latency_ms, max_energy_uj, max_edp_js)
    macro = Macro(dataset_of(dataset), channels, timesteps)
    method = Method(algorithm, carry_score, budget, sampler, tuple(minimise))
    scored = Macro(
        dataset_of(dataset),
        channels if score_channels is None else score_channels,
        timesteps if score_timesteps is None else score_timesteps,
    )
    cells = space_of(space)
    pairs = Pairs.of(cells, macro, Machine.of(arch, bits, timesteps), limits, same=same)
    check_search(pairs, method, jobs, scheduler)
    how = {"batch": batch, "repeats": repeats, "bits": bits, "kernel": kernel, "constant": constant}
    check_scored(scored, pairs)
    scorers = image_scorers(Path(data), scored, how)
    return search(
        scorers, pairs, method, scored=scored, seed=seed, jobs=jobs, scheduler=scheduler, out=out,
        progress=progress,
    )  # fmt: skip


def image_scorers(data: Path, macro: Macro, how: dict[str, Any]) -> Scorers:
    """Scorers of networks on images of a file (:class:`~spikex_sim.training.fitness.Evaluation`).

    Raises
    ------
    SpikexError
        If PyTorch is missing, or data or options are wrong.
    """
    if find_spec("torch") is None:
        raise ConfigError(f"needs PyTorch: {pip_install('nas')}", where="nas")
    from spikex_sim.training.fitness import Evaluation, Images, ImageScorers

    evaluation = Evaluation(**how)
    return ImageScorers(Images.of_file(data, macro), macro, evaluation)
