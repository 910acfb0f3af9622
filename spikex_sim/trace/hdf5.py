"""The trace file as HDF5: the same keys, a narrow part of what the format can do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.trace.hdf5_heap import read_strings
from spikex_sim.trace.npyheader import MAX_AXES, MAX_FIELDS, Declared, human_bytes, shown
from spikex_sim.trace.npyzip import RATIO, SLACK_BYTES

MAX_CHUNK_BYTES = 64 << 20
"""Largest HDF5 chunk accepted; the library holds whole chunks in memory."""
MAX_LINKS = 1 << 16
"""Most entries accepted, counted as often as there are ways to them: groups can hold each other."""

_DEFLATE = 1
_FILTERS = (_DEFLATE, 2, 3)
"""Deflate, shuffle and checksums; others need plug-ins or hide sizes."""
_PACKINGS = {32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32015: "Zstandard", 32026: "Blosc2", 36559: "ECF"}
"""Names of filters that recordings of event cameras are often packed with."""
_DAMAGED = (OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, OverflowError)


def _is_plain(dtype: np.dtype[Any], kinds: str = "iuf") -> bool:
    return dtype.kind in kinds and not dtype.metadata and dtype.itemsize <= 8


def _is_record(dtype: np.dtype[Any]) -> bool:
    """Whether it is a truth value, or fields of plain numbers."""
    if dtype.names is None:
        return _is_plain(dtype, "b")
    return len(dtype.names) <= MAX_FIELDS and all(_is_plain(dtype[name], "biuf") for name in dtype.names)


class Hdf5Arrays:
    """Arrays of an open HDF5 file by key, and the groups that hold none; see :func:`open_hdf5`."""

    def __init__(self, file: h5py.File, path: Path, where: str, depth: int, foreign: bool) -> None:
        self.where = where
        self._foreign = foreign
        self._path = path
        self._links = 0
        self._datasets: dict[str, h5py.Dataset] = {}
        self.empty: list[str] = []
        self._collect(file, "", depth)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the file's order."""
        return tuple(self._datasets)

    def declared(self, key: str) -> Declared:
        """Type and shape of a dataset, after checking that its storage can hold them."""
        with self._guard(key):
            dataset = self._inside(key)
            dtype, shape = dataset.dtype, dataset.shape
            if not (_is_plain(dtype) or (self._foreign and _is_record(dtype))):
                raise self._error(f"has the type {shown(dtype, 40)}; plain numbers are read", key)
            if shape is None or len(shape) > MAX_AXES:
                raise self._error("is an empty dataset", key)
            chunk = prod(dataset.chunks or ()) * dtype.itemsize
            if chunk > MAX_CHUNK_BYTES:
                limit = human_bytes(MAX_CHUNK_BYTES)
                raise self._error(f"has chunks of {human_bytes(chunk)}; {limit} are read", key)
            found = Declared(
                dtype if dtype.names else np.dtype(dtype.str), tuple(int(length) for length in shape)
            )
            properties = dataset.id.get_create_plist()
            codes = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
            if odd := [code for code in codes if code not in _FILTERS or codes.count(code) > 1]:
                known = f" ({_PACKINGS[odd[0]]})" if odd[0] in _PACKINGS else ""
                raise self._error(f"uses HDF5 filter {odd[0]}{known}; write it with gzip", key)
            stored = int(dataset.id.get_storage_size())
            # Chunks that were never written would read as zeros.
            if not stored or found.nbytes > (
                stored * RATIO[8] + SLACK_BYTES if _DEFLATE in codes else stored
            ):
                raise self._error(
                    f"declares {dtype} {list(shape)}, {human_bytes(found.nbytes)}, but stores only "
                    f"{human_bytes(stored)}",
                    key,
                )
            return found

    def layout(self, key: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Names of a dataset's fields, if it holds records, and its shape."""
        with self._guard(key):
            dataset = self._datasets[key]
            return dataset.dtype.names or (), dataset.shape or ()

    def read(self, key: str) -> NDArray[Any]:
        """Read one dataset; it comes back read-only."""
        found = self.declared(key)
        data = found.room(self.where, key).view(found.dtype).reshape(found.shape)
        with self._guard(key):
            self._datasets[key].read_direct(data)
        data.setflags(write=False)
        return data

    def is_text(self, key: str) -> bool:
        """Whether a dataset holds strings."""
        with self._guard(key):
            return h5py.check_string_dtype(self._datasets[key].dtype) is not None

    def text(self, key: str, max_chars: int) -> str:
        """Read a scalar string."""
        return self._texts(key, max_chars, "a 0-d string", lambda *shape: not shape)[0]

    def pairs(self, key: str, max_chars: int, most: int) -> list[tuple[str, str]]:
        """Read a list of pairs of strings, ``[rows, 2]``."""
        what = f"strings [rows, 2], at most {most} rows"
        texts = self._texts(key, max_chars, what, lambda *shape: shape[1:] == (2,) and shape[0] <= most)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def _texts(self, key: str, max_chars: int, what: str, fits: Callable[..., bool]) -> list[str]:
        """All strings of a dataset, of fixed or variable length, in C order."""
        with self._guard(key):
            dataset = self._inside(key)
            info = h5py.check_string_dtype(dataset.dtype)
            if info is None or dataset.shape is None or not fits(*dataset.shape):
                raise self._error(f"must be {what}", key)
            texts = []
            if info.length is None:
                texts = [raw.decode("utf-8") for raw in read_strings(self._path, dataset)]
            elif info.length <= max_chars:
                texts = [raw.decode("utf-8") for raw in dataset[...].ravel().tolist()]
            if len(texts) < prod(dataset.shape) or max(map(len, texts), default=0) > max_chars:
                raise self._error(f"longer than {max_chars} characters", key)
            return texts

    def _inside(self, key: str) -> h5py.Dataset:
        """A dataset, refused where its data are not in this file."""
        dataset = self._datasets[key]
        if dataset.external or dataset.is_virtual:
            raise self._error("is stored outside this file, which is not followed", key)
        return dataset

    def _collect(self, group: h5py.Group, prefix: str, depth: int) -> None:
        """Find the datasets in a group and in the groups in it, down to a depth."""
        with self._guard(prefix.rstrip("/")):
            self._links += len(group)
            self.empty += [] if len(group) else [prefix.rstrip("/")]
            if self._links > MAX_LINKS:
                raise self._error(f"has {self._links} entries, more than {MAX_LINKS}", prefix.rstrip("/"))
            for name in group:
                key = f"{prefix}{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    if self._foreign:
                        continue
                    raise self._error("is a link to elsewhere, which is not followed", key)
                kind = group.get(name, getclass=True)
                if kind is h5py.Dataset:
                    self._datasets[key] = group[name]
                elif kind is h5py.Group and depth:
                    self._collect(group[name], f"{key}/", depth - 1)
                elif not self._foreign:
                    raise self._error("unknown key", key)

    @contextmanager
    def _guard(self, key: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as exc:
            raise self._error(f"truncated or damaged: {shown(exc) or type(exc).__name__}", key) from None

    def _error(self, message: str, key: str) -> TraceError:
        return TraceError(message, where=self.where, field=shown(key))


@contextmanager
def open_hdf5(path: Path, where: str, depth: int = 1, foreign: bool = False) -> Iterator[Hdf5Arrays]:
    """Open an HDF5 trace, or another file as narrow, for reading.

    Parameters
    ----------
    path : Path
        An existing regular file.
    where : str
        File named in messages.
    depth : int
        How many groups may lie in each other.
    foreign : bool
        Whether the file is of another program: links, what lies deeper and what is no array are passed over
        instead of refused, and booleans and records of plain numbers are read too.
    """
    try:
        file = h5py.File(path, "r", locking=False)
    except _DAMAGED as exc:
        raise TraceError(f"truncated, damaged or not HDF5: {shown(exc)}", where=where) from None
    with file:
        yield Hdf5Arrays(file, path, where, depth, foreign)


def hdf5_bytes(meta: str, arrays: Mapping[str, NDArray[Any]]) -> memoryview:
    """Content of an HDF5 trace, without the timestamps that HDF5 likes to keep.

    Made in memory: the library does not survive a disk that is full.

    Parameters
    ----------
    meta : str
        JSON in ASCII.
    arrays : mapping of str to array
        By key.
    """
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.create_dataset("meta", data=np.bytes_(meta.encode("ascii")), track_times=False)
        for key, array in arrays.items():
            packing = {"compression": "gzip"} if array.ndim else {}
            file.create_dataset(key, data=array, track_times=False, **packing)
    return out.getbuffer()
