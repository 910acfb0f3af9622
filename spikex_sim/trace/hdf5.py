"""The trace file as HDF5: the same keys, a narrow part of what the format can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.trace.hdf5_heap import read_strings
from spikex_sim.trace.npyzip import MAX_AXES, RATIO, SLACK_BYTES, human_bytes, shown

MAX_CHUNK_BYTES = 64 << 20
"""Largest HDF5 chunk accepted; the library holds whole chunks in memory."""
MAX_LINKS = 1 << 16
"""Most links accepted in one group."""

_DEFLATE_RATIO = RATIO[8]
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
_DAMAGED = (
    OSError,
    KeyError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
)


@dataclass(frozen=True)
class DatasetHeader:
    """Type and shape of an HDF5 dataset, after its storage was checked."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes in memory, exact whatever the size."""
        return prod(self.shape) * self.dtype.itemsize


class Hdf5Arrays:
    """Arrays of an open HDF5 file by key; see :func:`open_hdf5`."""

    def __init__(self, file: Any, path: Path, where: str, depth: int = 1) -> None:
        self.where = where
        self._path = path
        self._depth = depth
        self._links = 0
        self._datasets: dict[str, Any] = {}
        self._headers: dict[str, DatasetHeader] = {}
        self._collect(file, "")

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the file's order."""
        return tuple(self._datasets)

    def declared(self, key: str) -> DatasetHeader:
        """Type and shape of a dataset, after checking that its storage can hold them."""
        if key not in self._headers:
            with _guard(self.where, key):
                self._headers[key] = self._check(key)
        return self._headers[key]

    def read(self, key: str) -> NDArray[Any]:
        """Read one dataset; it comes back read-only."""
        header = self.declared(key)
        try:
            data = np.empty(header.shape, header.dtype)
        except MemoryError:
            raise self._error(f"{human_bytes(header.nbytes)} do not fit in memory", key) from None
        with _guard(self.where, key):
            self._datasets[key].read_direct(data)
        data.setflags(write=False)
        return data

    def text(self, key: str, max_chars: int) -> str:
        """Read a scalar string, of fixed or variable length."""
        h5py = _import_h5py(self.where)
        with _guard(self.where, key):
            dataset = self._datasets[key]
            info = h5py.check_string_dtype(dataset.dtype)
            if info is None or dataset.shape != ():
                raise self._error("must be a 0-d string", key)
            if info.length is not None and info.length > max_chars:
                raise self._error(f"longer than {max_chars} characters", key)
            dataset = self._inside(key)
            value = dataset[()] if info.length is not None else read_strings(self._path, dataset)[0]
            text = value.decode("utf-8")
        if len(text) > max_chars:
            raise self._error(f"longer than {max_chars} characters", key)
        return text

    def is_text(self, key: str) -> bool:
        """Whether a dataset holds strings."""
        with _guard(self.where, key):
            return _import_h5py(self.where).check_string_dtype(self._datasets[key].dtype) is not None

    def texts(self, key: str, max_rows: int, columns: int) -> list[tuple[str, ...]]:
        """Read a table of strings of variable length, ``[rows, columns]``."""
        with _guard(self.where, key):
            dataset = self._inside(key)
            info = _import_h5py(self.where).check_string_dtype(dataset.dtype)
            shape = dataset.shape
            if info is None or info.length is not None or len(shape or ()) != 2 or shape[1] != columns:
                raise self._error(f"must be strings [rows, {columns}]", key)
            if shape[0] > max_rows:
                raise self._error(f"has {shape[0]} rows; {max_rows} are read", key)
            values = [value.decode("utf-8") for value in read_strings(self._path, dataset)]
        return [tuple(values[row : row + columns]) for row in range(0, len(values), columns)]

    def _inside(self, key: str) -> Any:
        """A dataset, refused where its data are not in this file."""
        dataset = self._datasets[key]
        if dataset.external or dataset.is_virtual:
            raise self._error("is stored outside this file, which is not followed", key)
        return dataset

    def _collect(self, group: Any, prefix: str) -> None:
        h5py = _import_h5py(self.where)
        with _guard(self.where, prefix.rstrip("/")):
            # Groups can hold each other, so that entries are counted over all of them.
            self._links += len(group)
            if self._links > MAX_LINKS:
                raise self._error(
                    f"has {self._links} entries; a trace has at most {MAX_LINKS}", prefix.rstrip("/")
                )
            for name in group:
                key = f"{prefix}{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise self._error("is a link to elsewhere, which is not followed", key)
                kind = group.get(name, getclass=True)
                if kind is h5py.Dataset:
                    self._datasets[key] = group[name]
                elif kind is h5py.Group and prefix.count("/") < self._depth:
                    self._collect(group[name], f"{key}/")
                else:
                    raise self._error("unknown key", key)

    def _check(self, key: str) -> DatasetHeader:
        dataset = self._datasets[key]
        dtype, shape = dataset.dtype, dataset.shape
        if dtype.kind not in "iuf" or dtype.metadata or dtype.itemsize > 8:
            raise self._error(f"has the type {shown(dtype, 40)}; plain numbers are read", key)
        if shape is None or len(shape) > MAX_AXES:
            raise self._error("is an empty dataset", key)
        self._inside(key)
        header = DatasetHeader(np.dtype(dtype.str), tuple(int(length) for length in shape))
        chunk = prod(dataset.chunks or ()) * dtype.itemsize
        if chunk > MAX_CHUNK_BYTES:
            raise self._error(
                f"has chunks of {human_bytes(chunk)}; {human_bytes(MAX_CHUNK_BYTES)} are read", key
            )
        stored = int(dataset.id.get_storage_size())
        room = stored * _DEFLATE_RATIO + SLACK_BYTES if self._is_compressed(dataset, key) else stored
        # Chunks that were never written would read as zeros.
        if stored == 0 or header.nbytes > room:
            raise self._error(
                f"declares {dtype} {list(shape)}, {human_bytes(header.nbytes)}, but stores only "
                f"{human_bytes(stored)}",
                key,
            )
        return header

    def _is_compressed(self, dataset: Any, key: str) -> bool:
        """Whether the dataset is compressed; filters that need plug-ins or hide sizes are refused."""
        properties = dataset.id.get_create_plist()
        codes = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
        for code in codes:
            if code not in _FILTERS or codes.count(code) > 1:
                raise self._error(f"uses HDF5 filter {code}; write it with gzip", key)
        return 1 in codes

    def _error(self, message: str, key: str) -> TraceError:
        return TraceError(message, where=self.where, field=shown(key))


@contextmanager
def open_hdf5(path: Path, where: str, depth: int = 1) -> Iterator[Hdf5Arrays]:
    """Open an HDF5 trace, or another file as narrow, for reading.

    Parameters
    ----------
    path : Path
        An existing regular file.
    where : str
        File named in messages.
    depth : int
        How many groups may lie in each other.
    """
    h5py = _import_h5py(where)
    try:
        file = h5py.File(path, "r", locking=False)
    except _DAMAGED as exc:
        raise TraceError(f"truncated, damaged or not HDF5: {shown(exc)}", where=where) from None
    with file:
        yield Hdf5Arrays(file, path, where, depth)


def write_hdf5(path: Path, meta: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a new HDF5 trace, without the timestamps that HDF5 likes to keep.

    Parameters
    ----------
    path : Path
        File to make; must not exist.
    meta : str
        JSON in ASCII.
    arrays : mapping of str to array
        By key.
    """
    h5py = _import_h5py(shown(path, 400))
    with h5py.File(path, "x") as file:
        file.create_dataset("meta", data=np.bytes_(meta.encode("ascii")), track_times=False)
        for key, array in arrays.items():
            packing = {"compression": "gzip"} if array.ndim else {}
            file.create_dataset(key, data=array, track_times=False, **packing)


def _import_h5py(where: str) -> Any:
    try:
        return import_module("h5py")
    except ImportError:
        raise TraceError("HDF5 needs h5py: pip install h5py", where=where) from None


@contextmanager
def _guard(where: str, key: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as exc:
        message = f"truncated or damaged: {shown(exc) or type(exc).__name__}"
        raise TraceError(message, where=where, field=shown(key)) from None
