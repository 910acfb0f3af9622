"""Saved results, read back and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from spikex_sim.core.errors import ConfigError, ResultsError
from spikex_sim.core.frozen import FrozenMap, plain
from spikex_sim.run.fields import LAYERS, RUN, SAMPLES, TOTALS, fields_in
from spikex_sim.run.results import SCHEMA, Results
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import options_of
from spikex_sim.spec.validation import validated
from spikex_sim.trace.npyzip import open_regular

FILE = "results.json"
MAX_BYTES = 1 << 28
"""Largest file that is read."""


class Record(FrozenMap[str, Any]):
    """Part of saved results, as a layer's or its stalls; its keys are attributes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(self)}") from None


@dataclass(frozen=True, repr=False)
class SavedResults(Results):
    """Results as they were saved: what :class:`spikex_sim.RunResult` has of them, and as frozen.

    Attributes
    ----------
    content : Record
        All that was saved.
    """

    content: Record
    engine: str
    trace: Mapping[str, Any]
    layers: tuple[Record, ...]
    samples: tuple[Record, ...]
    versions: Mapping[str, str]
    timestamp: str

    @property
    def totals(self) -> Record:
        """Sums over all layers and samples."""
        found: Record = self.content["totals"]
        return found

    @property
    def mean(self) -> Record:
        """Means over the samples."""
        found: Record = self.content["mean"]
        return found

    @property
    def sd(self) -> Record:
        """Standard deviations over the samples."""
        found: Record = self.content["sd"]
        return found

    @property
    def arch_name(self) -> str:
        """Name of the accelerator."""
        return str(self.content["arch"])

    @property
    def arch(self) -> Accelerator:
        """Complete configuration.

        Raises
        ------
        ResultsError
            If it is none of this version, or of a machine that is not installed.
        """
        return arch_of(plain(self.content["config"]), FILE)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        content: dict[str, Any] = plain(self.content)
        return content


def arch_of(config: Mapping[str, Any], where: str) -> Accelerator:
    """Configuration that a file has.

    Raises
    ------
    ResultsError
        If it is none of this version, or of a machine that is not installed.
    """
    try:
        options = options_of(str(config.get("scheduler")), where)
    except ConfigError as exc:
        raise ResultsError(str(exc)) from None
    return validated(options, config, where=where, error=ResultsError, prefix="config")


def load_results(path: str | os.PathLike[str]) -> SavedResults:
    """Read back what :meth:`spikex_sim.RunResult.save` wrote.

    Parameters
    ----------
    path : str or path
        Folder of a run, or its ``results.json``.

    Returns
    -------
    SavedResults
        Has ``totals``, ``layers``, ``samples``, ``trace``, ``arch`` and ``to_frame()`` as a
        :class:`spikex_sim.RunResult`, and the same ``to_dict()``.

    Raises
    ------
    ResultsError
        If the file is missing, damaged or of another layout; names the file and the key.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE
    try:
        return _built(_checked(_read(file), str(file)))
    except RecursionError:
        raise ResultsError("is not the results of a run: nested too deep", where=str(file)) from None


def _built(content: dict[str, Any]) -> SavedResults:
    whole = _record(content)
    figures = (whole[key] for key in ("engine", "trace", "layers", "samples", "versions", "timestamp"))
    return SavedResults(whole, *figures)


def _record(value: Any) -> Any:
    """Freeze what JSON has, however deep."""
    if isinstance(value, dict):
        return Record({key: _record(item) for key, item in value.items()})
    return tuple(map(_record, value)) if isinstance(value, list) else value


def _read(file: Path) -> Any:
    with open_regular(file, MAX_BYTES, ResultsError) as raw:
        text = raw.read(MAX_BYTES)
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except ValueError as exc:
        raise ResultsError(f"is not the results of a run: {exc}", where=str(file)) from None


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _checked(content: Any, where: str) -> dict[str, Any]:
    """Return the content if every figure is there and of its kind."""
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ResultsError(
            f"must be {SCHEMA}, the layout of this version, not {schema!r:.40}; run it again",
            where=where,
            field="schema",
        )
    _check_entry(content, RUN, where, "")
    for key, kind in (("name", str), ("sha256", str), ("timesteps", int), ("samples", int)):
        if key not in content["trace"]:
            raise ResultsError("missing", where=where, field=f"trace.{key}")
        if type(found := content["trace"][key]) is not kind:
            _refuse_entry(found, where, f"trace.{key}")
    for key in ("layers", "samples"):
        if not isinstance(content[key], list) or not content[key]:
            raise ResultsError("must be a list, and not empty", where=where, field=key)
    _check_entry(content["totals"], TOTALS, where, "totals.")
    for key, place in (("layers", LAYERS), ("samples", SAMPLES)):
        for index, one in enumerate(content[key]):
            _check_entry(one, place, where, f"{key}.{index}.")
    return dict(content)


def _check_entry(found: Any, place: str, where: str, prefix: str) -> None:
    for one in fields_in(place):
        if (one.of_some or one.later) and isinstance(found, dict) and one.name not in found:
            continue
        if not isinstance(found, dict) or one.name not in found:
            raise ResultsError("missing", where=where, field=f"{prefix}{one.name}")
        if not one.admits(found[one.name]):
            _refuse_entry(found[one.name], where, f"{prefix}{one.name}")


def _refuse_entry(found: Any, where: str, field: str) -> NoReturn:
    raise ResultsError(
        f"is not what a run writes: {found!r:.40}; the file is damaged: run it again",
        where=where,
        field=field,
    )
