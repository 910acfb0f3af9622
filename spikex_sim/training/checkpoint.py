"""State of a training run as plain arrays, whole or not at all, read as if an enemy had written them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import TraceError
from spikex_sim.core.files import writable_folder
from spikex_sim.trace.meta import parse_json
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import PLAIN, open_npz, save_npz

CHECKPOINT = "checkpoint.npz"
FORMAT = "spikex-checkpoint"
MAX_FILE_BYTES = 4 << 30
MAX_META_CHARS = 16 << 20


def save_checkpoint(folder: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a checkpoint into a folder; the one before it stays until the new one is whole.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = json.dumps({"format": FORMAT, "version": 1, **meta}, allow_nan=False)
    save_npz(writable_folder(folder) / CHECKPOINT, {"meta": np.array(text), **arrays})


def load_checkpoint(
    folder: Path, expected: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Read the checkpoint of a folder; None if there is none yet.

    Parameters
    ----------
    folder : Path
        As given to :func:`save_checkpoint`.
    expected : mapping of str to array
        Arrays of the types and shapes that the checkpoint must have: those of the run that goes on.

    Raises
    ------
    TraceError
        If it is damaged or of another run, in one line that names file and entry.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    where = shown(path, 400)
    with open_npz(path, MAX_FILE_BYTES, PLAIN) as archive:
        if "meta" not in archive.keys:
            raise TraceError("is missing: this is no checkpoint", where=where, field="meta")
        meta = parse_json(archive.text("meta", MAX_META_CHARS), where)
        if not isinstance(meta, dict) or (meta.get("format"), meta.get("version")) != (FORMAT, 1):
            raise TraceError(f"is not '{FORMAT}' version 1", where=where, field="meta.format")
        if set(archive.keys) != {"meta", *expected}:
            odd = sorted(set(archive.keys) ^ {"meta", *expected})[0]
            raise TraceError("does not belong to this run", where=where, field=shown(odd))
        for key, array in expected.items():
            declared = archive.declared(key)
            if (declared.dtype, declared.shape) != (array.dtype, array.shape):
                raise TraceError(
                    f"is {declared.dtype} {list(declared.shape)}, this run has {array.dtype} "
                    f"{list(array.shape)}",
                    where=where,
                    field=key,
                )
        arrays = {key: archive.read(key) for key in expected}
    for key, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise TraceError("holds NaN or infinite values", where=where, field=key)
    return meta, arrays
