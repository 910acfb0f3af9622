"""Trained networks: int8 weights, neurons and where they come from, in one ``.npz`` without pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spikex_sim.core.errors import TraceError
from spikex_sim.core.hints import closest
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.meta import MAX_META_CHARS, ONE_LINE, Layers, checked, parse_json
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import PLAIN, NpyZip, open_npz, save_npz
from spikex_sim.trace.store import declared_parts, read_parts
from spikex_sim.trace.trace import (
    MAX_TIMESTEPS,
    Trace,
    check_chain,
    check_declared,
    describe_layer,
    frozen_array,
)

MAX_WEIGHT_BYTES = 1 << 30
"""Most bytes of arrays read from one file of weights."""
MAX_CARD_CHARS = 1 << 20
"""Longest card accepted, as JSON."""

FORMAT = "spikex-weights"
Variant = Literal["base", "ht", "has"]


class _Meta(BaseModel):
    """The ``meta`` entry of a file of weights, format version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["spikex-weights"]
    version: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=200), ONE_LINE]
    network: Annotated[str, Field(min_length=1, max_length=200), ONE_LINE]
    variant: Variant
    timesteps: int = Field(ge=1, le=MAX_TIMESTEPS)
    layers: Layers
    tws: list[int] | None = None
    card: dict[str, Any] = Field(default_factory=dict)


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
    folder = resources.files("spikex_sim") / "data" / "weights"
    if not folder.is_dir():
        return []
    return sorted(item.name.removesuffix(".npz") for item in folder.iterdir() if item.name.endswith(".npz"))


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
    path = Path(path_or_name)
    if path.suffix.lower() != ".npz":
        names = shipped_names()
        if str(path_or_name) not in names:
            hint = closest(path_or_name, names)
            known = f"one of {', '.join(names)}, or " if names else ""
            raise TraceError(
                f"is no trained network: give {known}an .npz file{hint}", where=shown(path_or_name, 400)
            )
        path = Path(str(resources.files("spikex_sim") / "data" / "weights" / f"{path_or_name}.npz"))
    elif not path.exists() and str(path.with_suffix("")) in shipped_names():
        raise TraceError(f"no such file; {path.stem} names the one that comes along", where=str(path))
    with open_npz(path, MAX_WEIGHT_BYTES, PLAIN) as archive:
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
    path = Path(path)
    where = shown(path, 400)
    if path.suffix.lower() != ".npz":
        raise TraceError("weights are an .npz file", where=where)
    text = _meta_json(trained, where)
    _parse_meta(text, where)  # nothing is written that load_trained would refuse
    arrays: dict[str, NDArray[Any]] = {"meta": np.array(text)}
    for index in trained.neuron_layers:
        arrays[f"{index}/weight"] = trained.weights[index]
        if index in trained.biases:
            arrays[f"{index}/bias"] = trained.biases[index]
    save_npz(path, arrays)


def _meta_json(trained: TrainedNetwork, where: str) -> str:
    try:
        return json.dumps(
            {
                "format": FORMAT,
                "version": 1,
                "name": trained.name,
                "network": trained.network,
                "variant": trained.variant,
                "timesteps": trained.timesteps,
                "layers": [describe_layer(layer) for layer in trained.layers],
                "tws": None if trained.tws is None else list(trained.tws),
                "card": dict(trained.card),
            },
            allow_nan=False,
        )
    except (TypeError, ValueError) as exc:
        raise TraceError(f"cannot be written as JSON: {shown(exc)}", where=where, field="card") from None


def _parse_meta(text: str, where: str) -> _Meta:
    meta = checked(_Meta, parse_json(text, where), where)
    if len(json.dumps(meta.card)) > MAX_CARD_CHARS:
        raise TraceError(f"is longer than {MAX_CARD_CHARS} characters", where=where, field="meta.card")
    return meta


def _read(archive: NpyZip) -> TrainedNetwork:
    where = archive.where
    if "meta" not in archive.keys:
        raise TraceError("is missing: these are no spikex weights", where=where, field="meta")
    meta = _parse_meta(archive.text("meta", MAX_META_CHARS), where)
    layers = tuple(meta.layers)
    tws = None if meta.tws is None else tuple(meta.tws)
    _check_layers(layers, tws, meta.timesteps, where)
    keys, total = declared_parts(archive, layers, ("weight", "bias"), ("meta",))
    if total > MAX_WEIGHT_BYTES:
        raise TraceError(
            f"its arrays take {human_bytes(total)}, more than {human_bytes(MAX_WEIGHT_BYTES)}", where=where
        )
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
