"""The trace in memory: layers, bit-packed spikes, weights; checked once, immutable afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.spikes import PackedSpikes, packed_length
from spikex_sim.core.text import counted
from spikex_sim.spec.workload import Layer

MAX_TIMESTEPS = 1 << 20
"""Longest horizon accepted, in time points."""
MAX_SAMPLES = 1 << 20
"""Most samples accepted in one trace."""
MAX_OUTPUT_BYTES = 8 << 30
"""Most bytes that one layer's output spikes of one sample may take, a byte a spike bit."""


@dataclass(frozen=True, eq=False)
class Trace:
    """A recorded (or generated) inference: what entered each layer, and the weights to replay it.

    Attributes
    ----------
    name : str
        Name shown in results.
    timesteps : int
        Time points ``T``.
    layers : tuple of Layer
        Layers in order; one whose input is not recorded takes what the layer before it gives.
    inputs : mapping of int to uint8 array
        Recorded input spikes per layer index, ``[S, C, H, W, ceil(T/8)]`` (linear: ``[S, N, ceil(T/8)]``).
        Layer 0 is always there.
    weights : mapping of int to int8 or float32 array
        ``[M, C, E_h, E_w]`` (linear: ``[M, N]``) per layer index; may be absent (costs only).
    biases : mapping of int to int32 or float32 array
        ``[M]`` per layer index.
    samples : int
        Number of samples ``S`` on the leading axis of every input.
    batched : bool
        Whether the sample axis is part of the data as given (``meta.samples``).
    label : int or None
        Class of the sample, for several samples a tuple of classes.
    source : str
        Where the spikes come from.
    file_sha256 : str
        SHA-256 of the file it was read from; empty for a trace made in memory.
    where : str
        File or object named in messages.

    Raises
    ------
    TraceError
        If shapes, types or values are inconsistent.

    Notes
    -----
    Arrays that could still be written to are copied; to hand over a large one without a copy, make it
    read-only first. Two traces are the same if their :func:`content_sha256` is.
    """

    name: str
    timesteps: int
    layers: tuple[Layer, ...]
    inputs: Mapping[int, PackedSpikes]
    weights: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    biases: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    samples: int = 1
    batched: bool = False
    label: int | tuple[int, ...] | None = None
    source: str = ""
    file_sha256: str = ""
    where: str = "trace"

    def __post_init__(self) -> None:
        for key in ("inputs", "weights", "biases"):
            arrays = {index: frozen_array(array) for index, array in getattr(self, key).items()}
            object.__setattr__(self, key, MappingProxyType(dict(sorted(arrays.items()))))
        object.__setattr__(self, "label", as_label(self.label, self.where))
        _check(self)

    def __repr__(self) -> str:
        size = f"{counted(len(self.layers), 'layer')}, T={self.timesteps}, {counted(self.samples, 'sample')}"
        return f"<Trace {self.name}: {size}, {'weights' if self.weights else 'no weights'}>"

    def _repr_html_(self) -> str:
        from spikex_sim.trace.tables import trace_html

        return trace_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings do not pickle, and sweeps send traces to other processes.
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        for key in ("inputs", "weights", "biases"):
            values[key] = dict(values[key])
        return _rebuilt, (values,)

    @classmethod
    def from_arrays(
        cls,
        layers: Sequence[Layer | Mapping[str, Any]],
        inputs: Mapping[int, NDArray[Any]] | NDArray[Any],
        *,
        weights: Mapping[int, NDArray[Any]] | Sequence[NDArray[Any] | None] | None = None,
        biases: Mapping[int, NDArray[Any]] | Sequence[NDArray[Any] | None] | None = None,
        name: str = "trace",
        label: int | tuple[int, ...] | None = None,
        source: str = "",
    ) -> Trace:
        """Make a trace from unpacked spikes.

        Parameters
        ----------
        layers : sequence of Layer or dict
            Layer descriptions, with the keys of the trace file.
        inputs : array or mapping of int to array
            Binary spikes ``[C, H, W, T]`` (linear: ``[N, T]``) that enter layer 0, or a mapping from layer
            index to such arrays; a leading sample axis ``[S, C, H, W, T]`` is allowed on all of them.
        weights, biases : mapping or sequence of arrays, optional
            Per layer index; ``None`` in a sequence leaves one out.
        name, label, source
            See the class.

        Examples
        --------
        >>> import numpy as np
        >>> layer = {"name": "fc", "kind": "linear", "in_channels": 3, "out_channels": 2,
        ...          "neuron": {"threshold": 1, "leak_shift": 4}}
        >>> trace = Trace.from_arrays([layer], np.ones((3, 10), bool), weights=[np.ones((2, 3), np.int8)])
        >>> trace.timesteps
        10
        """
        from spikex_sim.spec.validation import validated

        if isinstance(layers, Mapping | str) or not all(isinstance(x, Layer | Mapping) for x in layers):
            raise TraceError("must be a list of layers or their descriptions", where=name, field="layers")
        specs = tuple(
            item
            if isinstance(item, Layer)
            else validated(Layer, dict(item), where=name, error=TraceError, prefix=f"layers.{index}")
            for index, item in enumerate(layers)
        )
        if not specs:
            raise TraceError("a trace needs at least one layer", where=name, field="layers")
        given = inputs if isinstance(inputs, Mapping) else {0: inputs}
        try:
            spikes = {index: np.asarray(array) for index, array in given.items()}
        except ValueError:
            raise TraceError("must be arrays of one shape each", where=name, field="inputs") from None
        if 0 not in spikes:
            raise TraceError("the spikes that enter layer 0 are required", where=name, field="0/input")
        timesteps = spikes[0].shape[-1] if spikes[0].ndim else 0
        batched = spikes[0].ndim == len(specs[0].input_shape) + 2
        packed: dict[int, PackedSpikes] = {}
        for index, array in spikes.items():
            if not 0 <= index < len(specs):
                raise TraceError(f"there is no layer {index}", where=name, field=f"{index}/input")
            if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
                raise TraceError("spikes are 0 or 1", where=name, field=f"{index}/input")
            if array.ndim == 0 or array.shape[-1] != timesteps:
                raise TraceError(f"wants {timesteps} time points", where=name, field=f"{index}/input")
            bits = np.packbits(array.astype(bool, copy=False), axis=-1)
            bits.setflags(write=False)
            packed[index] = bits if batched else bits[None]
        return cls(
            name=name,
            timesteps=timesteps,
            layers=specs,
            inputs=packed,
            weights=_by_index(weights),
            biases=_by_index(biases),
            samples=next(iter(packed.values())).shape[0],
            batched=batched,
            label=label,
            source=source,
            where=name,
        )

    def with_input(
        self, spikes: NDArray[np.bool_], name: str, source: str, label: int | None = None
    ) -> Trace:
        """Make a trace of the same layers and weights for other input spikes ``[C, H, W, T]``."""
        if len(self.inputs) > 1:
            raise TraceError(
                "holds recorded spikes of later layers, which other input would not change; take a trace in "
                "which the first layer's alone are recorded",
                where=self.where,
                field=f"{max(self.inputs)}/input",
            )
        return Trace(
            name=name,
            timesteps=spikes.shape[-1],
            layers=self.layers,
            inputs={0: np.packbits(spikes, axis=-1)[None]},
            weights=self.weights,
            biases=self.biases,
            label=label,
            source=source,
            where=name,
        )

    def first(self, timesteps: int) -> Trace:
        """Cut to the first time points; :class:`TraceError` if there are not so many."""
        if timesteps not in range(1, self.timesteps + 1):
            message = f"cannot be cut to {timesteps} of its {self.timesteps} time points"
            raise TraceError(message, where=self.where, field="timesteps")
        if timesteps == self.timesteps:
            return self
        kept = np.packbits(np.ones(int(timesteps), bool))
        inputs = {index: packed[..., : len(kept)] & kept for index, packed in self.inputs.items()}
        return replace(self, timesteps=int(timesteps), inputs=inputs, file_sha256="")

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file read, or of the canonical content for a trace made in memory."""
        return self.file_sha256 or content_sha256(self)

    def spikes(self, index: int) -> NDArray[np.bool_]:
        """Unpacked input spikes of a layer, ``[S, C, H, W, T]`` (linear: ``[S, N, T]``)."""
        bits = np.unpackbits(self.inputs[index], axis=-1, count=self.timesteps)
        return bits.astype(np.bool_)

    def meta(self) -> dict[str, Any]:
        """Build the ``meta`` entry of the file format, version 1."""
        meta: dict[str, Any] = {
            "format": "spikex-trace",
            "version": 1,
            "name": self.name,
            "timesteps": self.timesteps,
            "source": self.source,
            "layers": [describe_layer(layer) for layer in self.layers],
        }
        if self.batched:
            meta["samples"] = self.samples
        return meta


def describe_layer(layer: Layer) -> dict[str, Any]:
    """Describe a layer as the trace file does: plain numbers where both sides are equal."""
    data = layer.model_dump(exclude_none=True)
    for key in ("kernel", "stride", "padding"):
        height, width = data[key]
        data[key] = height if height == width else [height, width]
    return data


def content_sha256(trace: Trace) -> str:
    """Hash the content of a trace independently of the container it is stored in."""
    digest = hashlib.sha256(json.dumps(trace.meta(), sort_keys=True).encode())
    digest.update(json.dumps(trace.label).encode())
    for kind in ("inputs", "weights", "biases"):
        for index, array in getattr(trace, kind).items():
            digest.update(f"{kind}/{index}/{array.dtype.str}/{array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def frozen_array(array: NDArray[Any]) -> NDArray[Any]:
    """Read-only, contiguous, native byte order; the caller's own array stays as it is."""
    native = np.asarray(array)
    native = np.ascontiguousarray(native, native.dtype.newbyteorder("="))
    if native.flags.writeable:
        native = native.copy() if np.shares_memory(native, array) else native
        native.setflags(write=False)
    return native


def _rebuilt(values: dict[str, Any]) -> Trace:
    for key in ("inputs", "weights", "biases"):
        for array in values[key].values():
            array.setflags(write=False)
    return Trace(**values)


def as_label(label: Any, where: str) -> int | tuple[int, ...] | None:
    """Class of a sample or of several as plain numbers; :class:`TraceError` if they are none."""
    if label is None:
        return None
    try:
        given = np.asarray(label)
        if given.dtype.kind in "iu" and given.ndim <= 1:
            classes = given.astype(np.int64)
            return tuple(classes.tolist()) if classes.ndim else int(classes)
    except (ValueError, OverflowError, TypeError):
        pass
    raise TraceError("must be a whole number, or one for each sample", where=where, field="label")


def _by_index(
    arrays: Mapping[int, NDArray[Any]] | Sequence[NDArray[Any] | None] | None,
) -> dict[int, NDArray[Any]]:
    items = arrays.items() if isinstance(arrays, Mapping) else enumerate(arrays or ())
    return {index: np.asarray(array) for index, array in items if array is not None}


def _check(trace: Trace) -> None:
    def fail(message: str, key: str) -> TraceError:
        return TraceError(message, where=trace.where, field=key)

    if not 1 <= trace.timesteps <= MAX_TIMESTEPS:
        raise fail(f"must be 1 to {MAX_TIMESTEPS}, not {trace.timesteps}", "timesteps")
    if not 1 <= trace.samples <= MAX_SAMPLES:
        raise fail(f"must be 1 to {MAX_SAMPLES}, not {trace.samples}", "samples")
    if trace.samples > 1 and not trace.batched:
        raise fail(f"{trace.samples} samples need the sample axis (batched)", "samples")
    if not trace.layers:
        raise fail("a trace needs at least one layer", "layers")
    check_chain(trace.layers, trace.where, trace.inputs)
    check_outputs(trace.layers, trace.timesteps, trace.where)
    if 0 not in trace.inputs:
        raise fail("the spikes that enter layer 0 are required", "0/input")
    for part, arrays in (("input", trace.inputs), ("weight", trace.weights), ("bias", trace.biases)):
        for index, array in arrays.items():
            check_declared(
                trace.layers, index, part, array.dtype, array.shape,
                timesteps=trace.timesteps, samples=trace.samples, batched=trace.batched, where=trace.where,
            )  # fmt: skip
    _check_values(trace)
    check_label(trace.label, trace.samples, trace.batched, trace.where)


def _check_values(trace: Trace) -> None:
    spare_bits = -trace.timesteps % 8
    for index, array in trace.inputs.items():
        if spare_bits and np.any(array[..., -1] & ((1 << spare_bits) - 1)):
            raise TraceError(
                f"spikes are packed for another T: bits are set after time point {trace.timesteps - 1}",
                where=trace.where,
                field=f"{index}/input",
            )
    for part, arrays in (("weight", trace.weights), ("bias", trace.biases)):
        for index, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise TraceError("holds NaN or infinite values", where=trace.where, field=f"{index}/{part}")


def check_label(label: int | tuple[int, ...] | None, samples: int, batched: bool, where: str) -> None:
    """Raise :class:`TraceError` unless there is one class for each sample, or for none."""
    message = ""
    if isinstance(label, tuple):
        if not batched:
            message = "is a list of classes, but the trace has no sample axis (meta.samples)"
        elif len(label) != samples:
            message = f"{len(label)} labels for {samples} samples"
    elif label is not None and samples != 1:
        message = f"one label for {samples} samples"
    if message:
        raise TraceError(message, where=where, field="label")


def check_outputs(layers: Sequence[Layer], timesteps: int, where: str) -> None:
    """Raise :class:`TraceError` if a layer's output spikes would take more than :data:`MAX_OUTPUT_BYTES`."""
    for index, layer in enumerate(layers):
        size = prod(layer.output_shape) * timesteps
        if size > MAX_OUTPUT_BYTES:
            raise TraceError(
                f"{layer.name} would give {size / 2**30:,.1f} GiB of output spikes in {timesteps} time "
                f"points, more than {MAX_OUTPUT_BYTES / 2**30:g} GiB; replay fewer of them",
                where=where,
                field=f"layers.{index}",
            )


def check_chain(layers: Sequence[Layer], where: str, recorded: Container[int]) -> None:
    """Raise :class:`TraceError` unless every layer without recorded input takes what the one before gives."""
    for index in range(1, len(layers)):
        have, layer = layers[index - 1].output_shape, layers[index]
        if index in recorded or layer.takes(have):
            continue
        if layer.kind == "linear":
            outputs = f"{prod(have)} (outputs of layer {index - 1})"
            wants = f"{layer.in_channels} input channels, the trace has {outputs}"
        elif layer.in_channels != have[0]:
            wants = f"{layer.in_channels} input channels, the trace has {have[0]}"
        else:
            rows, columns = have[1:] or (1, 1)
            wants = f"a map of {layer.in_height}x{layer.in_width}, the trace has {rows}x{columns}"
        raise TraceError(f"layer {index} wants {wants}", where=where)


def check_declared(
    layers: Sequence[Layer],
    index: int,
    part: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    timesteps: int,
    samples: int,
    batched: bool,
    where: str,
) -> None:
    """Raise :class:`TraceError` unless an array has the type and shape that its layer needs.

    Needs no data, so that a file's declaration can be checked before anything is read.

    Parameters
    ----------
    layers : sequence of Layer
        The whole network.
    index : int
        Layer the array belongs to.
    part : {"input", "weight", "bias"}
        What it is.
    dtype : numpy.dtype
        Its type.
    shape : tuple of int
        Its shape, an input's with the sample axis.
    timesteps, samples, batched, where
        See :class:`Trace`.
    """
    key = f"{index}/{part}"

    def fail(message: str) -> TraceError:
        return TraceError(message, where=where, field=key)

    if not 0 <= index < len(layers):
        raise fail(f"there is no layer {index}")
    layer = layers[index]
    if part == "input":
        if dtype.name != "uint8":
            raise fail(f"packed spikes are uint8, not {dtype}")
        want = (samples, *layer.input_shape, packed_length(timesteps))
        if shape != want:
            given, expected = (shape, want) if batched else (shape[1:], want[1:])
            what = "spikes are packed for another T: " if shape[:-1] == want[:-1] else ""
            raise fail(
                f"{what}shape {list(given)}, layer {index} ({layer.name}) with T={timesteps} wants "
                f"{list(expected)}"
            )
        return
    if layer.neuron is None:
        raise fail(f"a pooling layer has no {part}")
    integer = layer.neuron.datapath == "int"
    if part == "weight":
        dtypes, want = ("int8",) if integer else ("float32", "int8"), layer.weight_shape
    else:
        dtypes, want = ("int32",) if integer else ("float32", "int32"), (layer.out_channels,)
    if dtype.name not in dtypes:
        raise fail(f"must be {' or '.join(dtypes)} for this layer's datapath, not {dtype}")
    if shape != want:
        raise fail(f"shape {list(shape)}, layer {index} ({layer.name}) wants {list(want)}")
