"""Results of mapping: stages, and the file that a mapping is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping as Mapped
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.files import csv_text, write_files
from spikex_sim.mapped.mapping import Mapping
from spikex_sim.mapped.mesh import Placement
from spikex_sim.mapped.split import Split, unsplit
from spikex_sim.mapped.unroll import Unrolled

FORMAT = "spikex-mapping"
MOST_BYTES = 1 << 30
PACKAGES = ("spikex_sim", "numpy", "numba")
PACKAGE_OF = {"cpsat": "ortools", "lns": "ortools", "mcc": "ortools", "partition": "mtkahypar"}
"""What some engines need besides."""


@dataclass(frozen=True)
class Stage:
    """What one stage of mapping did.

    Attributes
    ----------
    objective : {"area", "routes", "packets"}
        What it made small.
    engine : str
        Engine that found the value.
    seed : int
        Of the first of its runs.
    value : int
        Of the objective.
    status : {"found", "optimal"}
        Whether no smaller value exists.
    steps : int or None
        Of each run of an annealer.
    deterministic_time : float or None
        That CP-SAT spent, in OR-Tools' units of some seconds each.
    restarts : int
        Runs.
    area_budget : int or None
        Largest area allowed, cells.
    freeze : {"area", "types"}
        What it kept of the area stage.
    bound : int or None
        No mapping has a smaller value, in the pool that ``bound_scope`` names.
    bound_name, bound_scope : str
        Where the bound is from, and what it holds for.
    seconds : float
        Time taken; the one number that differs from run to run.
    cut : bool
        Whether a time limit ended it.
    history : list of list of int
        Value along each run, evenly in steps.
    """

    objective: str
    engine: str
    seed: int
    value: int
    status: str = "found"
    steps: int | None = None
    deterministic_time: float | None = None
    restarts: int = 1
    area_budget: int | None = None
    freeze: str = "area"
    bound: int | None = None
    bound_name: str = ""
    bound_scope: str = ""
    seconds: float = 0.0
    cut: bool = False
    history: tuple[tuple[int, ...], ...] = ()

    @property
    def gap(self) -> float | None:
        """Share of the value that the bound leaves open; None without a bound."""
        if self.bound is None:
            return None
        return (self.value - self.bound) / self.value if self.value else 0.0

    @property
    def described(self) -> dict[str, Any]:
        """As results have it."""
        return {**asdict(self), "history": [list(run) for run in self.history], "gap": self.gap}

    @classmethod
    def of(cls, described: Mapped[str, Any]) -> Stage:
        """Stage that was described.

        Raises
        ------
        TypeError, LookupError
            If it has other fields.
        """
        given = {key: value for key, value in described.items() if key not in ("gap", "history")}
        return cls(**given, history=tuple(tuple(run) for run in described["history"]))


@dataclass(frozen=True)
class SavedMapping:
    """A mapping as its file has it.

    Attributes
    ----------
    network, pool, metrics : dict
        Identity of the network, types of the pool, what was counted.
    crossbars : list of dict
        ``type``, ``neurons``, and ``x`` and ``y`` where they are placed.
    stages : list of dict
        See :class:`Stage`.
    splits : list of dict
        Parts of split neurons, but for the first of each: ``neuron``, ``part`` from 1, its ``column``, its
        ``sources``, and the ``packets`` it sends from another crossbar.
    versions : dict
        Of what made it.
    """

    network: dict[str, Any]
    pool: dict[str, Any]
    crossbars: list[dict[str, Any]]
    metrics: dict[str, Any]
    stages: list[dict[str, Any]]
    splits: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        mapping: Mapping,
        stages: Sequence[Stage],
        placement: Placement | None = None,
        split: Split | None = None,
        heldout: Mapped[str, Any] | None = None,
    ) -> SavedMapping:
        """Describe a mapping, where its crossbars are, whose parts its columns are, and its packets."""
        parts = unsplit(Unrolled(mapping.graph, ())) if split is None else split
        graph, pool = parts.original, mapping.pool
        places: list[dict[str, int]] = [{} for _ in range(mapping.crossbars)]
        if placement is not None:
            tiles = zip(placement.x.tolist(), placement.y.tolist(), strict=True)
            places = [{"x": x, "y": y} for x, y in tiles]
        return cls(
            network={"name": graph.name, "sha256": graph.sha256, "neurons": graph.neurons,
                     "external": graph.external, "edges": graph.edges},
            pool=pool.described,
            crossbars=[
                {"type": pool.types[kind].name, "neurons": parts.numbered(mapping.neurons.of(j)).tolist(),
                 **places[j]}
                for j, kind in enumerate(mapping.kinds.tolist())
            ],
            metrics=mapping.metrics | ({} if placement is None else placement.metrics)
            | dict(heldout or {}),
            stages=[one.described for one in stages],
            splits=parts.described,
            versions=_versions(stages),
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> SavedMapping:
        """Read a file, or that of a folder, as far as its form goes; what it says is for ``verify``.

        Raises
        ------
        ConfigError
            If it is none, naming the field.
        """
        file = Path(path)
        file = file / "mapping.json" if file.is_dir() else file
        where = str(file)
        try:
            if file.stat().st_size > MOST_BYTES:
                raise ConfigError(f"has more than {MOST_BYTES:,} B", where=where)
            given = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as exc:
            told = exc.strerror if isinstance(exc, OSError) else "is no JSON text"
            raise ConfigError(f"cannot be read: {told}", where=where) from None
        return cls.of_content(given, where)

    @classmethod
    def of_content(cls, given: Any, where: str) -> SavedMapping:
        """Check what a file, or a store, has, as far as its form goes.

        Raises
        ------
        ConfigError
            If it is no mapping, naming the field.
        """
        if not isinstance(given, dict) or given.get("format") != FORMAT or given.get("version") != 1:
            raise ConfigError(f"is no {FORMAT} of version 1", where=where, field="format")
        for key, kind in (("network", dict), ("pool", dict), ("crossbars", list), ("metrics", dict),
                          ("stages", list)):  # fmt: skip
            if not isinstance(given.get(key), kind):
                raise ConfigError("is missing or of another kind", where=where, field=key)
        _check_crossbars(given["crossbars"], where)
        _check_types(given["pool"], where)
        if not all(isinstance(one, dict) for one in given["stages"]):
            raise ConfigError("has something that is no stage", where=where, field="stages")
        _check_splits(given.get("splits", []), where)
        return cls(
            given["network"], given["pool"], given["crossbars"], given["metrics"], given["stages"],
            given.get("splits", []), given.get("versions", {}),
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The file."""
        return json.dumps(self.content, indent=1, sort_keys=False) + "\n"

    @property
    def content(self) -> dict[str, Any]:
        """What the file has."""
        return {"format": FORMAT, "version": 1, **asdict(self)}

    def save(self, folder: str | Path, more: Mapped[str, str] | None = None) -> list[Path]:
        """Write ``mapping.json`` and ``crossbars.csv``, and texts of other names beside them.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        rows = [
            {"crossbar": j, "type": one["type"], "neurons": len(one["neurons"]), "first": min(one["neurons"]),
             "x": one.get("x", ""), "y": one.get("y", "")}
            for j, one in enumerate(self.crossbars)
        ]  # fmt: skip
        own = {"mapping.json": self.text, "crossbars.csv": csv_text(rows)}
        return write_files(folder, {**own, **(more or {})})


def _check_crossbars(crossbars: Sequence[Any], where: str) -> None:
    for j, one in enumerate(crossbars):
        fine = isinstance(one, Mapped) and isinstance(one.get("type"), str)
        if not fine or not isinstance(one.get("neurons"), list):
            raise ConfigError("wants a type and a list of neurons", where=where, field=f"crossbars[{j}]")
        if not _are_whole(one["neurons"]):
            raise ConfigError("has a neuron that is no number", where=where, field=f"crossbars[{j}].neurons")


def _check_splits(splits: Any, where: str) -> None:
    if not isinstance(splits, list):
        raise ConfigError("is no list", where=where, field="splits")
    for at, one in enumerate(splits):
        if not isinstance(one, Mapped) or not all(
            _are_whole([one.get(key)]) for key in ("neuron", "part", "column", "packets")
        ):
            raise ConfigError("wants the numbers neuron, part, column and packets",
                              where=where, field=f"splits[{at}]")  # fmt: skip
        if not isinstance(one.get("sources"), list) or not _are_whole(one["sources"]):
            raise ConfigError("wants a list of numbers", where=where, field=f"splits[{at}].sources")


def _are_whole(numbers: Sequence[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)


def _check_types(pool: Mapped[str, Any], where: str) -> None:
    from spikex_sim.mapped.pool import Pool

    Pool.of(str(pool.get("name", "")), pool, f"{where}: pool")


def _versions(stages: Sequence[Stage]) -> dict[str, str]:
    """Versions of what had a part in it: the same mapping has the same ones, whatever else is installed."""
    used = [package for name, package in PACKAGE_OF.items() if any(name in one.engine for one in stages)]
    found = {}
    for package in (*PACKAGES, *dict.fromkeys(used)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def history_of(values: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """Values along a run, as a stage keeps them."""
    return tuple(int(value) for value in values)
