"""Trace files: ``.npz`` and HDF5, format versions 1 and 2, read as if an enemy had written them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.files import new_file
from spikex_sim.core.hints import closest, closest_path
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.graph import GraphTrace, nodes_of
from spikex_sim.trace.graph_arrays import check_array, declared
from spikex_sim.trace.meta import MAX_META_CHARS, GraphMeta, TraceMeta, check_meta, parse_meta
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import PLAIN, NpyZip, open_npz, open_regular, save_npz
from spikex_sim.trace.trace import Trace, check_chain, check_declared
from spikex_sim.trace.wiring import wired

if TYPE_CHECKING:
    from spikex_sim.trace.hdf5 import Hdf5Arrays

    Container = NpyZip | Hdf5Arrays

MAX_TRACE_BYTES = 8 << 30
"""Most bytes of arrays read from one trace; beyond, it is a mistake, an attack, or wants splitting."""

SUFFIXES = (".npz", ".h5", ".hdf5")
"""Endings of trace files."""

_MAX_FILE_BYTES = MAX_TRACE_BYTES + (256 << 20)
_KEY = re.compile(r"(0|[1-9][0-9]{0,8})/(input|weight|bias)")


def load_trace(path: str | Path) -> Trace | GraphTrace:
    """Read a trace file.

    Parameters
    ----------
    path : str or Path
        ``.npz``, ``.h5`` or ``.hdf5`` in format version 1 or 2.

    Returns
    -------
    Trace or GraphTrace
        A chain or a graph, with ``file_sha256`` of the file's bytes. Its arrays are read-only.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    path = Path(path)
    if _suffix(path) == ".npz":
        with open_npz(path, _MAX_FILE_BYTES, PLAIN) as archive:
            return _read(archive, path.stem, archive.sha256)
    from spikex_sim.trace.hdf5 import open_hdf5

    with open_regular(path, _MAX_FILE_BYTES) as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        with open_hdf5(path, shown(path, 400), depth=2) as arrays:
            for key in filter(None, arrays.empty):
                raise TraceError("unknown key", where=arrays.where, field=shown(key))
            return _read(arrays, path.stem, sha256)


def load_chain(path: str | Path) -> Trace:
    """Read a trace file that must be of a chain; see :func:`load_trace`."""
    trace = load_trace(path)
    if isinstance(trace, GraphTrace):
        raise TraceError("is a graph (format version 2); a chain of layers is wanted here", where=trace.where)
    return trace


def load_traces(path: str | Path) -> list[Trace | GraphTrace]:
    """Read every trace of a folder, in the order of the file names; of a file, the one trace.

    Parameters
    ----------
    path : str or Path
        Folder with ``*.npz``, ``*.h5`` or ``*.hdf5`` files; other and hidden files are passed over.
    """
    path = Path(path)
    try:
        folder = path.is_dir()
    except OSError as exc:
        raise TraceError(f"cannot be read: {exc.strerror or exc}", where=shown(path, 400)) from None
    return [load_trace(file) for file in (trace_files(path) if folder else [path])]


def trace_files(path: str | Path) -> list[Path]:
    """Traces of a folder in the order of their names; other and hidden files are passed over.

    Raises
    ------
    TraceError
        If it cannot be read or holds none.
    """
    path = Path(path)
    where = shown(path, 400)
    try:
        names = sorted(
            item.name
            for item in path.iterdir()
            if item.suffix.lower() in SUFFIXES and not item.name.startswith(".")
        )
    except OSError as exc:
        raise TraceError(f"cannot be read: {exc.strerror or exc}", where=where) from None
    if not names:
        raise TraceError("holds no trace (*.npz, *.h5)", where=where)
    return [path / name for name in names]


def file_sha256(path: Path) -> str:
    """SHA-256 of a trace file, as :func:`load_trace` gives it, without reading the trace."""
    with open_regular(path, _MAX_FILE_BYTES) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def save_trace(trace: Trace | GraphTrace, path: str | Path) -> None:
    """Write a trace file: complete or not at all, with the same bytes for the same trace.

    Parameters
    ----------
    trace : Trace
        What to write.
    path : str or Path
        ``.npz``, ``.h5`` or ``.hdf5``; an existing file is replaced.

    Raises
    ------
    TraceError
        If the file could not be read again.
    OutputError
        If it cannot be written.
    """
    path = Path(path)
    where = shown(path, 400)
    suffix = _suffix(path)
    # Nothing is written that load_trace would refuse.
    meta = trace.meta()
    check_meta(meta, where)
    arrays = trace.arrays() if isinstance(trace, GraphTrace) else _arrays_of(trace)
    if trace.label is not None:
        arrays["label"] = np.array(trace.label, np.int64)
    _check_total(sum(array.nbytes for array in arrays.values()), where)
    text = json.dumps(meta, allow_nan=False)
    if len(text) > MAX_META_CHARS:
        raise TraceError(
            f"its description has {len(text)} characters, more than {MAX_META_CHARS}", where=where
        )
    if suffix == ".npz":
        save_npz(path, {"meta": np.array(text), **arrays})
        return
    from spikex_sim.trace.hdf5 import hdf5_bytes

    for name in {key.partition("/")[0] for key in arrays if "/" in key} & {"meta", "label", "."}:
        raise TraceError(f"HDF5 has no room for a node called '{name}'; write an .npz file", where=where)
    with new_file(path) as file:
        file.write(hdf5_bytes(text, arrays))


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        what = f"has the ending '{shown(suffix, 20)}'" if suffix else "has no ending"
        if not suffix and not os.path.lexists(path):  # a folder by a wrong name, perhaps
            what = f"no such file or folder{closest_path(path, folders=True)}, and {what}"
        raise TraceError(f"{what}; a trace is an .npz or .h5 file", where=shown(path, 400))
    return suffix


def _read(container: Container, stem: str, sha256: str) -> Trace | GraphTrace:
    where = container.where
    if "meta" not in container.keys:
        raise TraceError("is missing: this is no spikex trace", where=where, field="meta")
    meta = parse_meta(container.text("meta", MAX_META_CHARS), where)
    if isinstance(meta, GraphMeta):
        return _read_graph(container, meta, stem, sha256)
    layers = tuple(meta.layers)
    there = set(container.keys)
    check_chain(layers, where, {index for index in range(len(layers)) if f"{index}/input" in there})
    parts, besides = ("input", "weight", "bias"), ("meta", "label")
    keys, total = declared_parts(container, layers, parts, besides, meta.timesteps, meta.samples)
    if (0, "input") not in keys:
        raise TraceError(
            "is missing: the spikes that enter layer 0 are required", where=where, field="0/input"
        )
    _check_total(total, where)
    read = read_parts(container, keys)
    one = meta.samples is None
    return Trace(
        name=meta.name or shown(stem),
        timesteps=meta.timesteps,
        layers=layers,
        inputs={index: array[None] if one else array for index, array in read["input"].items()},
        weights=read["weight"],
        biases=read["bias"],
        samples=meta.samples or 1,
        batched=not one,
        label=_label(container, meta),
        source=meta.source,
        file_sha256=sha256,
        where=where,
    )


def _read_graph(container: Container, meta: GraphMeta, stem: str, sha256: str) -> GraphTrace:
    where = container.where
    wiring = wired(nodes_of(meta.nodes, where, "meta.nodes"), meta.timesteps, where)
    keys = [key for key in container.keys if key not in ("meta", "label")]
    total = 0
    for key in keys:
        wanted, found = declared(wiring, key, meta.timesteps, where), container.declared(key)
        check_array(
            wanted, found.dtype, found.shape, samples=meta.samples, file=True, where=where, field=shown(key)
        )
        total += found.nbytes
    _check_total(total, where)
    return GraphTrace.from_arrays(
        meta.model_dump(exclude_none=True) | {"name": meta.name or shown(stem)},
        {key: container.read(key) for key in keys},
        label=_label(container, meta),
        file_sha256=sha256,
        where=where,
    )


def declared_parts(
    container: Container,
    layers: Sequence[Layer],
    parts: tuple[str, ...],
    besides: tuple[str, ...],
    timesteps: int = 1,
    samples: int | None = None,
) -> tuple[list[tuple[int, str]], int]:
    """Layer and part of every array, held against what its layer calls for, and the bytes of all of them.

    Of ``input``, ``weight`` and ``bias`` a layer may have ``parts``; ``besides`` are keys of other entries.
    """
    keys, total = [], 0
    for key in container.keys:
        if key in besides:
            continue
        match = _KEY.fullmatch(key)
        if not match or match[2] not in parts:
            known = [f"{index}/{part}" for index in range(8) for part in parts]
            hint = closest(key[:40], [*known, *besides])
            raise TraceError(f"unknown key{hint}", where=container.where, field=shown(key))
        index, part = int(match[1]), match[2]
        declared = container.declared(key)
        shape = (1, *declared.shape) if part == "input" and samples is None else declared.shape
        check_declared(
            layers, index, part, declared.dtype, shape, timesteps=timesteps, samples=samples or 1,
            batched=samples is not None, where=container.where,
        )  # fmt: skip
        total += declared.nbytes
        keys.append((index, part))
    return keys, total


def read_parts(container: Container, keys: list[tuple[int, str]]) -> dict[str, dict[int, NDArray[Any]]]:
    """Arrays by part and layer."""
    read: dict[str, dict[int, NDArray[Any]]] = {"input": {}, "weight": {}, "bias": {}}
    for index, part in keys:
        read[part][index] = container.read(f"{index}/{part}")
    return read


def _check_total(total: int, where: str) -> None:
    if total > MAX_TRACE_BYTES:
        raise TraceError(
            f"its arrays take {human_bytes(total)}, more than the {human_bytes(MAX_TRACE_BYTES)} of one "
            "trace; split the samples into several files",
            where=where,
        )


def _label(container: Container, meta: TraceMeta | GraphMeta) -> int | tuple[int, ...] | None:
    if "label" not in container.keys:
        return None
    where, declared = container.where, container.declared("label")
    if declared.dtype.kind not in "iu":
        raise TraceError(f"must be an integer, not {declared.dtype}", where=where, field="label")
    if declared.shape not in ((), (meta.samples,)):
        wanted = "a single one" if meta.samples is None else f"one for each of {meta.samples} samples"
        raise TraceError(
            f"has shape {list(declared.shape)}, the trace wants {wanted} (meta.samples)",
            where=where,
            field="label",
        )
    values = container.read("label")
    if values.size and int(values.max()) >= 1 << 63:
        raise TraceError("does not fit in 64 bits", where=where, field="label")
    return tuple(values.tolist()) if values.ndim else int(values)


def _arrays_of(trace: Trace) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for index in range(len(trace.layers)):
        if index in trace.inputs:
            arrays[f"{index}/input"] = trace.inputs[index] if trace.batched else trace.inputs[index][0]
        if index in trace.weights:
            arrays[f"{index}/weight"] = trace.weights[index]
        if index in trace.biases:
            arrays[f"{index}/bias"] = trace.biases[index]
    return arrays
