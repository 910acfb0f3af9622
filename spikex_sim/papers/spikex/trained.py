"""Studies of trained networks: Figures 5, 7, 8 and 13, from weights, samples and logs of training.

Weights and logs come with the package or from a folder; samples are the user's own recordings, or else those
of an emulated event camera. A network without weights is shown untrained, and every row says what it is of.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spikex_sim.core.errors import TraceError
from spikex_sim.core.progress import Progress
from spikex_sim.explore.evaluation import evaluate
from spikex_sim.explore.trained_inputs import as_samples
from spikex_sim.papers.spikex.studies import WINDOWS, Machines, Rows, costs_of, densities_of
from spikex_sim.papers.spikex.workloads import NETWORKS, camera_network
from spikex_sim.run.replay import TimedLayer
from spikex_sim.run.simulate import simulate
from spikex_sim.sources.samples import LabelledSamples
from spikex_sim.sources.trained import TrainedNetwork, load_trained, shipped_names
from spikex_sim.trace.trace import Trace

SAMPLES = 5
"""Samples of each network by default."""
MAX_LOG_BYTES = 16 << 20
"""Largest log that is read."""
UNTRAINED = "seeded weights, not trained; one sample of an emulated event camera"
LOGS: Mapping[str, Mapping[str, Callable[[str], Any]]] = {
    "fig7": {"beta": float, "accuracy": float, "spike_density": float, "window_density": float},
    "fig8": {"layer": str, "epoch": int, "tws": int, "probability": float},
}
"""Columns of a log that a figure is drawn from, beside ``network``."""


class Configuration(NamedTuple):
    """A bar of Figure 13: weights, machine, and whether the machine searches window sizes for itself."""

    name: str
    variant: str
    machine: str


CONFIGURATIONS = (
    Configuration("PTB", "base", "ptb"),
    Configuration("PTB+HT", "ht", "ptb"),
    Configuration("PTB+HT+HAS", "has", "ptb"),
    Configuration("SpikeX", "base", "spikex"),
    Configuration("SpikeX+HT+HAS", "has", "spikex"),
)


OF_HAS = {"tws_objective": "edp", "tws_scope": "layer"}
"""What HAS searches for on PTB: window sizes of each layer, by the EDP (Section IV-B)."""


@dataclass(frozen=True)
class Material:
    """What the studies of trained networks are made from.

    Attributes
    ----------
    weights : Path or None
        Folder of ``<network>-<variant>.npz``; None for those that come with the package.
    data : mapping of str to Path
        Labelled recordings by network; the emulated camera for all others.
    samples : int
        Most samples of a network.
    logs : tuple of (str, Path)
        Logs of training, each with the network it is of, which may be empty where a column says so; without
        any, those that come with the package.
    """

    weights: Path | None = None
    data: Mapping[str, Path] = field(default_factory=dict)
    samples: int = SAMPLES
    logs: tuple[tuple[str, Path], ...] = ()

    def network(self, name: str, variant: str) -> TrainedNetwork | None:
        """Trained network of a variant; None if there are no weights of it."""
        if self.weights is not None:
            path = self.weights / f"{name}-{variant}.npz"
            return _loaded(path) if path.is_file() else None
        return _loaded(f"{name}-{variant}") if f"{name}-{variant}" in shipped_names() else None

    def labelled(self, trained: TrainedNetwork) -> LabelledSamples:
        """Samples for a network: its recordings, or emulated ones."""
        return as_samples(trained, self.data.get(trained.network), limit=self.samples)

    def trace(self, trained: TrainedNetwork) -> Trace:
        """All samples of a network as one trace."""
        samples = self.labelled(trained)
        spikes = np.stack([samples.spikes(number) for number in range(len(samples))])
        return trained.trace(spikes, trained.name, samples.labels, samples.source)


@lru_cache(maxsize=16)
def _loaded(name: str | Path) -> TrainedNetwork:
    return load_trained(name)


def fig5(machines: Machines, progress: Progress, material: Material) -> Rows:
    """Density of spikes and of packed windows that enter every layer, with and without HT (Fig. 5)."""
    rows: Rows = []
    for at, network in enumerate(NETWORKS):
        variants = {name: material.network(network, name) for name in ("base", "ht")}
        there = {name: one for name, one in variants.items() if one is not None}
        traces = {name: material.trace(one) for name, one in there.items()}
        about = {name: material.labelled(one).source for name, one in there.items()}
        if not traces:
            traces, about = {"base": camera_network(network)}, {"base": UNTRAINED}
        for variant, trace in traces.items():
            for tws in WINDOWS:
                progress(f"{network} {variant} TWS={tws}", at, len(NETWORKS))
                seen: list[TimedLayer] = []
                simulate(
                    trace, machines.spikex, tws=tws, overrides={"mapping.tile": "layer"}, observe=seen.append
                )
                rows += [
                    {"network": network, "variant": variant, **row, "data": about[variant]}
                    for row in densities_of(seen, tws)
                ]
    return rows


def fig7(machines: Machines, progress: Progress, material: Material) -> Rows:  # noqa: ARG001
    """Accuracy and densities against the weight of the hardware loss (Fig. 7), from logs of training."""
    return _logged("fig7", material)


def fig8(machines: Machines, progress: Progress, material: Material) -> Rows:  # noqa: ARG001
    """Probabilities of window sizes in the course of an architecture search (after Fig. 8), from logs."""
    return _logged("fig8", material)


def fig13(machines: Machines, progress: Progress, material: Material) -> Rows:
    """Latency and energy of whole networks (Fig. 13, Section VI-C), mean of a sample.

    PTB searches the best window size of each layer for every network but that of HAS, which has its own.
    """
    rows: Rows = []
    for at, network in enumerate(NETWORKS):
        if material.network(network, "base") is None:
            rows += _untrained(machines, network, progress, at)
            continue
        for name, variant, machine in CONFIGURATIONS:
            trained = material.network(network, variant)
            if trained is None:
                continue
            progress(f"{network} {name}", at, len(NETWORKS))
            samples = material.labelled(trained)
            has = variant == "has" and trained.tws is not None
            arch = getattr(machines, machine)
            if has and machine == "ptb":
                found = evaluate(trained, samples, arch, tws="auto", overrides=OF_HAS)
            else:
                found = evaluate(trained, samples, arch, tws=None if has else "auto")
            rows += [
                {"network": network, "configuration": name, "layer": layer.layer, "tws": layer.tws,
                 "cycles": layer.cycles, "seconds": layer.seconds, "energy_pj": layer.energy_pj,
                 "accuracy": found.accuracy, "data": samples.source}
                for layer in found.layers
            ]  # fmt: skip
    return rows


def _untrained(machines: Machines, network: str, progress: Progress, at: int) -> Rows:
    trace = camera_network(network)
    rows: Rows = []
    for name, arch in (("PTB", machines.ptb), ("SpikeX", machines.spikex)):
        progress(f"{network} {name}", at, len(NETWORKS))
        rows += [
            {"network": network, "configuration": name, "layer": layer.name, "tws": layer.tws,
             **costs_of(layer), "accuracy": "", "data": UNTRAINED}
            for layer in simulate(trace, arch, tws="auto").layers
            if layer.tws is not None
        ]  # fmt: skip
    return rows


TRAINED_STUDIES: dict[str, Callable[[Machines, Progress, Material], Rows]] = {
    "fig5": fig5,
    "fig7": fig7,
    "fig8": fig8,
    "fig13": fig13,
}
"""Study of each figure that shows trained networks."""


def _logged(figure: str, material: Material) -> Rows:
    """Rows of a figure from every log that has its columns."""
    rows: Rows = []
    for network, path in logs_of(material):
        rows += read_log(path, figure, network)
    return rows


def logs_of(material: Material) -> tuple[tuple[str, Path], ...]:
    """Logs of training, each with the network it is of: those given, else those that come along."""
    folder = Path(str(resources.files("spikex_sim") / "data" / "training"))
    return material.logs or tuple(("", path) for path in sorted(folder.glob("*.csv")))


def read_log(path: Path, figure: str, network: str = "") -> Rows:
    """Read what a figure is drawn from of a log of training; nothing if it has other columns.

    Parameters
    ----------
    path : Path
        CSV with the columns that :data:`LOGS` lists for the figure, and others, which are left aside.
    figure : str
        ``fig7`` or ``fig8``.
    network : str
        Network that it is of, where it has no column ``network``.

    Raises
    ------
    TraceError
        If it cannot be read, does not say the network, or a value is no number within its bounds.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_LOG_BYTES + 1)
        if len(raw) > MAX_LOG_BYTES:
            raise TraceError(f"is larger than {MAX_LOG_BYTES >> 20} MiB", where=where)
        lines = list(csv.DictReader(raw.decode("utf-8").splitlines()))
    except OSError as exc:
        raise TraceError(f"cannot be read: {exc.strerror}", where=where) from None
    except (UnicodeDecodeError, csv.Error):
        raise TraceError("is no table of comma-separated values", where=where) from None
    columns = LOGS[figure]
    if not lines or not set(columns) <= set(lines[0]):
        return []
    rows: Rows = []
    for number, line in enumerate(lines, 2):
        own = line.get("network") or network
        if not own:
            raise TraceError("is missing; say NETWORK=FILE", where=where, field="network")
        row: dict[str, Any] = {"network": own}
        for column, kind in columns.items():
            row[column] = _value(line[column], column, kind, where, number)
        rows.append(row)
    return rows


def _value(text: str | None, column: str, kind: Callable[[str], Any], where: str, number: int) -> Any:
    bounded = column in ("accuracy", "spike_density", "window_density", "probability")
    try:
        value = kind(text or "")
        if kind is str or 0 <= value <= (1 if bounded else 1e12):
            return value
    except ValueError:
        pass
    wanted = "a number from 0 to 1" if bounded else "a number of 0 or more"
    raise TraceError(f"line {number}: must be {wanted}, not {text!r:.40}", where=where, field=column)
