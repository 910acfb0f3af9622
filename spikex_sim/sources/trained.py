"""Trained networks: int8 weights, neurons and where they come from, in one ``.npz`` without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.weight_files import (
    WeightMeta,
    check_size,
    located,
    meta_of,
    names_in,
    open_weights,
    parsed,
    save_weights,
)
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.meta import Layers
from spikex_sim.trace.npyzip import NpyZip
from spikex_sim.trace.store import declared_parts, read_parts
from spikex_sim.trace.trace import (
    Trace,
    check_chain,
    check_declared,
    describe_layer,
    frozen_array,
)

FOLDER = "weights"
Variant = Literal["base", "ht", "has"]


class _Meta(WeightMeta):
    """The ``meta`` entry of a file of weights, format version 1."""

    version: Literal[1]
    variant: Variant
    layers: Layers
    tws: list[int] | None = None


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network of the integer datapath.

    Attributes
    ----------
    name : str
        Name shown in results, usually ``<network>-<variant>``.
    network : str
        Network preset or file that it was made from.
    variant : {"base", "ht", "has"}
        Trained for accuracy alone, with the hardware loss (paper Sec. IV-A), or with a searched
        architecture too (Sec. IV-B).
    timesteps : int
        Time points ``T`` that it was trained for.
    layers : tuple of Layer
        In order, with integer neurons.
    weights : mapping of int to int8 array
        ``[M, C, E_h, E_w]`` (linear: ``[M, N]``) per conv or linear layer's index; read-only.
    biases : mapping of int to int32 array
        ``[M]`` per layer index; may be empty.
    tws : tuple of int or None
        Time window size of every conv and linear layer that it was trained for, where it was for one.
    card : dict
        Where it comes from (data, seeds, epochs, accuracy, ...), as JSON holds it.
    file_sha256 : str
        SHA-256 of the file it was read from; empty if made in memory.
    where : str
        File or object named in messages.

    Raises
    ------
    TraceError
        If layers, weights and window sizes do not belong together.
    """

    name: str
    network: str
    variant: Variant
    timesteps: int
    layers: tuple[Layer, ...]
    weights: Mapping[int, NDArray[np.int8]]
    biases: Mapping[int, NDArray[np.int32]] = field(default_factory=dict)
    tws: tuple[int, ...] | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    file_sha256: str = ""
    where: str = "weights"

    def __post_init__(self) -> None:
        for key in ("weights", "biases"):
            frozen = {index: frozen_array(array) for index, array in sorted(getattr(self, key).items())}
            object.__setattr__(self, key, MappingProxyType(frozen))
        object.__setattr__(self, "layers", tuple(self.layers))
        _check_layers(self.layers, self.tws, self.timesteps, self.where)
        for part, arrays in (("weight", self.weights), ("bias", self.biases)):
            for index, array in arrays.items():
                check_declared(
                    self.layers, index, part, array.dtype, array.shape,
                    timesteps=1, samples=1, batched=False, where=self.where,
                )  # fmt: skip
        _check_complete(self.layers, set(self.weights), self.where)

    @property
    def neuron_layers(self) -> tuple[int, ...]:
        """Indices of the conv and linear layers."""
        return tuple(index for index, layer in enumerate(self.layers) if not layer.is_pool)

    def trace(
        self,
        spikes: NDArray[np.bool_],
        name: str | None = None,
        label: int | tuple[int, ...] | None = None,
        source: str = "",
    ) -> Trace:
        """Make a closed-loop trace of this network for input spikes.

        Parameters
        ----------
        spikes : bool array, ``[C, H, W, T]`` or ``[S, C, H, W, T]``
            What enters the first layer (linear: ``[N, T]``, ``[S, N, T]``). Any number of time points.
        name : str, optional
            Of the trace; default: the network's.
        label : int or tuple of int, optional
            Class of the sample, or of each.
        source : str, optional
            Where the spikes come from.
        """
        return Trace.from_arrays(
            self.layers,
            spikes,
            weights=self.weights,
            biases=self.biases,
            name=self.name if name is None else name,
            label=label,
            source=f"{source}{'; ' if source else ''}{self.name}, trained",
        )


def shipped_names() -> list[str]:
    """Names of the trained networks that come with the package."""
    return names_in(FOLDER)


def load_trained(path_or_name: str | Path) -> TrainedNetwork:
    """Read a trained network: one that comes with the package, or a file.

    Parameters
    ----------
    path_or_name : str or Path
        Name of :func:`shipped_names`, such as ``nmnist-base``, or an ``.npz`` in format version 1.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    with open_weights(located(path_or_name, FOLDER, "trained network")) as archive:
        return _read(archive)


def save_trained(trained: TrainedNetwork, path: str | Path) -> None:
    """Write a trained network: complete or not at all, with the same bytes for the same network.

    Raises
    ------
    TraceError
        If the file could not be read again.
    OutputError
        If it cannot be written.
    """
    meta = {
        "version": 1,
        "name": trained.name,
        "network": trained.network,
        "variant": trained.variant,
        "timesteps": trained.timesteps,
        "layers": [describe_layer(layer) for layer in trained.layers],
        "tws": None if trained.tws is None else list(trained.tws),
        "card": dict(trained.card),
    }
    arrays: dict[str, NDArray[Any]] = {}
    for index in trained.neuron_layers:
        arrays[f"{index}/weight"] = trained.weights[index]
        if index in trained.biases:
            arrays[f"{index}/bias"] = trained.biases[index]
    save_weights(path, meta, arrays, _parse_meta)


def _parse_meta(text: str, where: str) -> _Meta:
    return parsed(_Meta, text, where, "version 1")


def _read(archive: NpyZip) -> TrainedNetwork:
    where, meta = archive.where, meta_of(archive, _parse_meta)
    layers = tuple(meta.layers)
    tws = None if meta.tws is None else tuple(meta.tws)
    _check_layers(layers, tws, meta.timesteps, where)
    keys, total = declared_parts(archive, layers, ("weight", "bias"), ("meta",))
    check_size(total, where)
    _check_complete(layers, {index for index, part in keys if part == "weight"}, where)
    read = read_parts(archive, keys)
    return TrainedNetwork(
        name=meta.name,
        network=meta.network,
        variant=meta.variant,
        timesteps=meta.timesteps,
        layers=layers,
        weights=read["weight"],
        biases=read["bias"],
        tws=tws,
        card=meta.card,
        file_sha256=archive.sha256,
        where=where,
    )


def _check_layers(layers: Sequence[Layer], tws: tuple[int, ...] | None, timesteps: int, where: str) -> None:
    check_chain(layers, where, {0})
    for index, layer in enumerate(layers):
        if layer.neuron is not None and not layer.is_pool and layer.neuron.datapath != "int":
            raise TraceError(
                "trained networks have integer neurons",
                where=where,
                field=f"meta.layers.{index}.neuron.datapath",
            )
    neurons = sum(not layer.is_pool for layer in layers)
    if tws is None:
        return
    if len(tws) != neurons:
        raise TraceError(
            f"lists {len(tws)} window sizes for {neurons} conv and linear layers",
            where=where,
            field="meta.tws",
        )
    if not all(1 <= size <= timesteps for size in tws):
        raise TraceError(f"must be 1 to {timesteps}, not {list(tws)}", where=where, field="meta.tws")


def _check_complete(layers: Sequence[Layer], there: set[int], where: str) -> None:
    for index, layer in enumerate(layers):
        if not layer.is_pool and index not in there:
            raise TraceError(f"is missing: {layer.name} needs it", where=where, field=f"{index}/weight")
