"""What files of weights have in common, whatever network they are of: an ``.npz`` with a card, no pickles."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spikex_sim.core.errors import TraceError
from spikex_sim.core.hints import closest
from spikex_sim.trace.meta import MAX_META_CHARS, ONE_LINE, checked, parse_json
from spikex_sim.trace.npyheader import human_bytes, shown
from spikex_sim.trace.npyzip import PLAIN, NpyZip, open_npz, save_npz
from spikex_sim.trace.trace import MAX_TIMESTEPS

FORMAT = "spikex-weights"
MAX_WEIGHT_BYTES = 1 << 30
"""Most bytes of arrays read from one file of weights."""
MAX_CARD_CHARS = 1 << 20
"""Longest card accepted, as JSON."""


class WeightMeta(BaseModel):
    """What the ``meta`` entry of every version says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["spikex-weights"]
    name: Annotated[str, Field(min_length=1, max_length=200), ONE_LINE]
    network: Annotated[str, Field(min_length=1, max_length=200), ONE_LINE]
    timesteps: int = Field(ge=1, le=MAX_TIMESTEPS)
    card: dict[str, Any] = Field(default_factory=dict)


Meta = TypeVar("Meta", bound=WeightMeta)


def names_in(folder: str) -> list[str]:
    """Names of the files of weights in a folder of the package."""
    found = resources.files("spikex_sim") / "data" / folder
    if not found.is_dir():
        return []
    return sorted(item.name.removesuffix(".npz") for item in found.iterdir() if item.name.endswith(".npz"))


def located(path_or_name: str | Path, folder: str, what: str) -> Path:
    """Path of a file of weights: of one that comes along in a folder of the package, or any.

    Raises
    ------
    TraceError
        If it is neither, naming ``what`` it is not.
    """
    path, names = Path(path_or_name), names_in(folder)
    if path.suffix.lower() == ".npz":
        if not path.exists() and str(path.with_suffix("")) in names:
            raise TraceError(f"no such file; {path.stem} names the one that comes along", where=str(path))
        return path
    if str(path_or_name) not in names:
        known = f"one of {', '.join(names)}, or " if names else ""
        raise TraceError(
            f"is no {what}: give {known}an .npz file{closest(path_or_name, names)}",
            where=shown(path_or_name, 400),
        )
    return Path(str(resources.files("spikex_sim") / "data" / folder / f"{path_or_name}.npz"))


def open_weights(path: Path) -> AbstractContextManager[NpyZip]:
    """Open a file of weights."""
    return open_npz(path, MAX_WEIGHT_BYTES, PLAIN)


def meta_of(archive: NpyZip, parse: Callable[[str, str], Meta]) -> Meta:
    """What a file says of itself."""
    if "meta" not in archive.keys:
        raise TraceError("is missing: these are no spikex weights", where=archive.where, field="meta")
    return parse(archive.text("meta", MAX_META_CHARS), archive.where)


def parsed(model: type[Meta], text: str, where: str, versions: str) -> Meta:
    """Check what a file says of itself."""
    meta = checked(model, parse_json(text, where), where, versions)
    if len(json.dumps(meta.card)) > MAX_CARD_CHARS:
        raise TraceError(f"is longer than {MAX_CARD_CHARS} characters", where=where, field="meta.card")
    return meta


def check_size(total_bytes: int, where: str) -> None:
    """Raise :class:`TraceError` if arrays take more than is read."""
    if total_bytes > MAX_WEIGHT_BYTES:
        message = f"its arrays take {human_bytes(total_bytes)}, more than {human_bytes(MAX_WEIGHT_BYTES)}"
        raise TraceError(message, where=where)


def save_weights(
    path: str | Path, meta: dict[str, Any], arrays: Mapping[str, NDArray[Any]],
    parse: Callable[[str, str], WeightMeta],
) -> None:  # fmt: skip
    """Write weights: complete or not at all, with the same bytes for the same network.

    Parameters
    ----------
    path : str or Path
        An ``.npz``.
    meta : dict
        What the file says of itself beside its format, in order.
    arrays : mapping of str to array
        By key.
    parse : callable
        Reads the text of ``meta`` again, so that nothing is written that would be refused.

    Raises
    ------
    TraceError, OutputError
        If the file could not be read again, or cannot be written.
    """
    path = Path(path)
    where = shown(path, 400)
    if path.suffix.lower() != ".npz":
        raise TraceError("weights are an .npz file", where=where)
    try:
        text = json.dumps({"format": FORMAT, **meta}, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise TraceError(f"cannot be written as JSON: {shown(exc)}", where=where, field="card") from None
    parse(text, where)
    save_npz(path, {"meta": np.array(text), **arrays})
