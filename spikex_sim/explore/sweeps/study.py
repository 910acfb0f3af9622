"""A sweep as a file: traces, accelerators and axes of a larger study in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import closest_path
from spikex_sim.explore.sweeps.grid import points
from spikex_sim.spec.load import parse_yaml, preset_names, shortened, yaml_text
from spikex_sim.spec.validation import validated


class Study(BaseModel):
    """What a sweep file says; keys that it leaves out are empty.

    Attributes
    ----------
    traces : tuple of str
        Trace files and folders.
    arch : tuple of str
        Presets and YAML files.
    engine : str or None
        Memory engine.
    set : dict
        Configuration keys that are the same for all points.
    product : dict of str to list
        Configuration keys and their values, all combinations.
    zip : tuple of dict of str to list
        Axes of several keys that advance together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    traces: tuple[str, ...] = ()
    arch: tuple[str, ...] = ()
    engine: str | None = None
    set: dict[str, Any] = {}
    product: dict[str, list[Any]] = {}
    zip: tuple[dict[str, list[Any]], ...] = ()


def load_study(path: str | Path) -> Study:
    """Read a sweep file; names of files in it are relative to its folder.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    path, where = Path(path), shortened(str(path))
    text = yaml_text(path, "sweep", where, f"no such file{closest_path(path)}")
    study = validated(Study, parse_yaml(text, where), where=where, error=ConfigError)
    points(study.product, study.zip, where)
    presets = preset_names()
    return study.model_copy(
        update={
            "traces": tuple(str(path.parent / name) for name in study.traces),
            "arch": tuple(name if name in presets else str(path.parent / name) for name in study.arch),
        }
    )
