"""Leaves in a folder what an installation leaves there, for entry points to be found."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

EntryPoints = Mapping[str, Mapping[str, str]]


def install(name: str, version: str, entry_points: EntryPoints, folder: Path) -> None:
    """Write the metadata of a distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text("\n".join(_lines(entry_points)) + "\n", "utf-8")


def _lines(entry_points: EntryPoints) -> Iterator[str]:
    for group, points in entry_points.items():
        yield f"[{group}]"
        yield from (f"{name} = {value}" for name, value in points.items())


def install_toml(text: str, folder: Path) -> None:
    """Install what a ``pyproject.toml`` describes, if it describes anything."""
    project = tomllib.loads(text).get("project")
    if project is not None:
        install(project["name"], project["version"], project["entry-points"], folder)


def install_cfg(text: str, folder: Path) -> None:
    """Install what a ``setup.cfg`` describes."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    points = {
        group: dict(line.split(" = ") for line in lines.strip().splitlines())
        for group, lines in parser["options.entry_points"].items()
    }
    install(parser["metadata"]["name"], parser["metadata"]["version"], points, folder)
