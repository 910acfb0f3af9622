"""The ``meta`` entry of a trace file: strict JSON, checked key by key."""

from __future__ import annotations

import json
from math import isfinite
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from spikex_sim.core.errors import TraceError
from spikex_sim.spec.validation import validated
from spikex_sim.spec.workload import Layer
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.trace import MAX_SAMPLES, MAX_TIMESTEPS

MAX_META_CHARS = 4 << 20
"""Longest ``meta`` accepted; a layer takes about 300 characters."""
MAX_LAYERS = 4096
"""Most layers accepted in one trace."""
MAX_KEY_CHARS = 200
"""Longest JSON key accepted."""
MAX_NODES = 10_000
"""Most nodes accepted in one graph."""


def _not_absurdly_many(value: Any) -> Any:
    if isinstance(value, list) and len(value) > MAX_LAYERS:
        raise ValueError(f"{len(value)} layers, more than {MAX_LAYERS}")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable text on one line")
    return value


Meta = TypeVar("Meta", bound=BaseModel)
ONE_LINE = AfterValidator(_printable)
"""Text that is printed in results."""
Layers = Annotated[list[Layer], Field(min_length=1), BeforeValidator(_not_absurdly_many)]
"""Layers of a file of unknown origin."""


class GraphMeta(BaseModel):
    """What a trace file of a graph says about itself, format version 2; keys as in :class:`TraceMeta`.

    Attributes
    ----------
    nodes : list
        Descriptions of the nodes, in order, yet to be checked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["spikex-trace"]
    version: Literal[2]
    name: Annotated[str, Field(max_length=200), ONE_LINE] = ""
    timesteps: int = Field(ge=1, le=MAX_TIMESTEPS)
    source: Annotated[str, Field(max_length=2000), ONE_LINE] = ""
    nodes: Annotated[list[Any], Field(min_length=1, max_length=MAX_NODES)]
    samples: int | None = Field(default=None, ge=1, le=MAX_SAMPLES)


class TraceMeta(BaseModel):
    """What a trace file says about itself, format version 1.

    Attributes
    ----------
    format, version
        Always ``"spikex-trace"`` and 1.
    name : str
        Name shown in results; one printable line; the file's name if empty.
    timesteps : int
        Time points ``T``.
    source : str
        Where the spikes come from; printable.
    layers : list of Layer
        In order.
    samples : int, optional
        Length of the leading sample axis of every input; without it there is no such axis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["spikex-trace"]
    version: Literal[1]
    name: Annotated[str, Field(max_length=200), ONE_LINE] = ""
    timesteps: int = Field(ge=1, le=MAX_TIMESTEPS)
    source: Annotated[str, Field(max_length=2000), ONE_LINE] = ""
    layers: Layers
    samples: int | None = Field(default=None, ge=1, le=MAX_SAMPLES)


def parse_meta(text: str, where: str) -> TraceMeta | GraphMeta:
    """Parse and check ``meta``.

    Parameters
    ----------
    text : str
        JSON of unknown origin.
    where : str
        File named in messages.

    Raises
    ------
    TraceError
        If it is not strict JSON (duplicate keys, NaN, numbers beyond 64 bits and deep nesting are
        refused), of another format or version, or a key is missing, unknown or wrong.
    """
    return check_meta(parse_json(text, where), where)


def parse_json(text: str, where: str) -> Any:
    """Parse JSON of unknown origin: no duplicate keys, NaN, numbers beyond 64 bits or deep nesting.

    Raises
    ------
    TraceError
        Naming ``where`` and the entry ``meta``.
    """
    try:
        data = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=_int64,
            parse_float=_finite,
        )
    except RecursionError:
        raise TraceError("JSON is nested too deeply", where=where, field="meta") from None
    except ValueError as exc:
        raise TraceError(f"is not valid JSON: {shown(exc)}", where=where, field="meta") from None
    return data


def check_meta(data: Any, where: str) -> TraceMeta | GraphMeta:
    """Check already parsed ``meta``; see :func:`parse_meta`."""
    graph = isinstance(data, dict) and data.get("version") == 2
    return checked(GraphMeta, data, where) if graph else checked(TraceMeta, data, where, "versions 1 and 2")


def checked(model: type[Meta], data: Any, where: str, versions: str = "version 1") -> Meta:
    """Check already parsed ``meta`` of a file whose model says its format and version."""
    if not isinstance(data, dict):
        raise TraceError("must be a JSON object", where=where, field="meta")
    form, wanted = data.get("format"), get_args(model.model_fields["format"].annotation)[0]
    if form != wanted:
        raise TraceError(f"is {shown(repr(form), 60)}, not '{wanted}'", where=where, field="meta.format")
    version, known = data.get("version"), get_args(model.model_fields["version"].annotation)[0]
    if version != known or isinstance(version, bool):
        message = f"this release reads {versions}, not {shown(repr(version), 60)}; update spikex-sim"
        raise TraceError(message, where=where, field="meta.version")
    return validated(model, data, where=where, error=TraceError, prefix="meta")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if len(key) > MAX_KEY_CHARS or not key.isprintable():
            raise ValueError(f"unprintable or overlong key '{shown(key, 40)}'")
        if key in result:
            raise ValueError(f"duplicate key '{key}'")
        result[key] = value
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _int64(digits: str) -> int:
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 63:
        raise ValueError(f"the number {shown(digits, 24)} does not fit in 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not isfinite(float(digits)):
        raise ValueError(f"the number {shown(digits, 24)} is out of range")
    return float(digits)
