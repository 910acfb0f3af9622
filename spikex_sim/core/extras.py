"""Packages that this one needs, always or for an extra: which are installed, and whether they load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from spikex_sim.core.origin import pip_install

LOAD_SECONDS = 120
"""Time that one package may take to load."""
LONGEST_FAULT = 160
_LOADING = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        fault = ""
    except BaseException as exc:
        fault = f"{type(exc).__name__}: {exc}"
    print("\\n" + json.dumps([name, fault]), flush=True)
"""


@dataclass(frozen=True)
class Package:
    """A package that is asked for.

    Attributes
    ----------
    name : str
        As installers know it.
    wanted : str
        Versions that do; empty for any.
    version : str
        What is installed; empty if nothing is.
    fault : str
        What is wrong: missing, of another version, or why it does not load; empty if all is well.
    """

    name: str
    wanted: str
    version: str
    fault: str


@dataclass(frozen=True)
class Extra:
    """Packages of an extra.

    Attributes
    ----------
    name : str
        What stands in brackets.
    packages : tuple of Package
        All of them.
    command : str
        Installs what is missing.
    """

    name: str
    packages: tuple[Package, ...]
    command: str

    @property
    def missing(self) -> tuple[Package, ...]:
        """Those that are not there, or of no use."""
        return tuple(one for one in self.packages if one.fault)


def packages() -> tuple[tuple[Package, ...], tuple[Extra, ...]]:
    """Packages that are needed always, and those of each extra.

    Each is loaded once, in a process of its own, so that one that ends the process is found out, too. Takes
    as long as loading does: seconds, with PyTorch some more.

    Raises
    ------
    PackageNotFoundError
        If this package is used without being installed: nobody noted what it needs.
    ImportError
        If the package ``packaging`` does not load.
    """
    from packaging.requirements import Requirement

    noted = distribution("spikex_sim")
    always: dict[str, Any] = {}
    extras: dict[str, dict[str, Any]] = {name: {} for name in noted.metadata.get_all("Provides-Extra") or ()}
    for text in noted.requires or ():
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            always[one.name] = one
            continue
        for extra, found in extras.items():
            if one.marker.evaluate({"extra": extra}):
                found[one.name] = one
    names = {name for group in (always, *extras.values()) for name in group}
    faults = _faults(names)
    told = {name: extra for name, extra in extras.items() if extra}
    return tuple(_package(one, faults) for one in always.values()), tuple(
        Extra(name, tuple(_package(one, faults) for one in found.values()), pip_install(name))
        for name, found in sorted(told.items())
    )


def _package(requirement: Any, faults: Mapping[str, str]) -> Package:
    name, wanted = requirement.name, str(requirement.specifier)
    try:
        version = distribution(name).version
    except PackageNotFoundError:
        return Package(name, wanted, "", "missing")
    fault = faults[name]
    if not fault and not requirement.specifier.contains(version, prereleases=True):
        fault = f"is {version}, not {wanted}"
    return Package(name, wanted, version, fault)


def _faults(names: Iterable[str]) -> dict[str, str]:
    """Why each package does not load; empty for those that do, and for those without a module."""
    found, modules = {}, {}
    for name in sorted(names):
        found[name] = ""
        try:
            module = module_of(distribution(name))
        except PackageNotFoundError:
            continue
        if module:
            modules[name] = module
    faults = dict(_loaded(list(dict.fromkeys(modules.values()))))
    return found | {name: faults[module] for name, module in modules.items()}


def module_of(package: Distribution) -> str:
    """Module that a package is loaded by; empty where it brings none, as types alone, or nobody noted which.

    Examples
    --------
    >>> module_of(distribution("PyYAML"))
    'yaml'
    """
    name = package.metadata["Name"]
    usual = name.lower().replace("-", "_").replace(".", "_")
    tops = set()
    for file in package.files or ():
        if len(file.parts) == 2 and file.parts[1] == "__init__.py":
            tops.add(file.parts[0])
        elif len(file.parts) == 1 and file.suffix in (".py", ".so", ".pyd"):
            tops.add(file.name.partition(".")[0])
    if not package.files:  # as system packages are
        tops = set((package.read_text("top_level.txt") or "").split())
    tops = {one for one in tops if one.isidentifier() and not one.startswith("_")}
    return usual if usual in tops else min(tops, default="")


def _loaded(modules: list[str]) -> Iterator[tuple[str, str]]:
    """Load modules one after the other in another process; after one that ends it, go on in a new one."""
    while modules:
        ended = ""
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _LOADING, *modules],
                env=os.environ | {"MPLBACKEND": "agg"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LOAD_SECONDS * len(modules),
                check=False,
            )
            told, ended = done.stdout, f"ends the process with code {done.returncode}"
        except subprocess.TimeoutExpired as exc:
            told = (exc.stdout or b"").decode(errors="replace") if isinstance(exc.stdout, bytes) else ""
            ended = "does not load in time"
        except OSError as exc:
            told, ended = "", f"could not be tried: {exc.strerror}"
        for name, fault in _said(told, modules):
            yield name, fault
            modules = [one for one in modules if one != name]
        if modules:
            yield modules[0], ended
            modules = modules[1:]


def _said(text: str, modules: list[str]) -> Iterator[tuple[str, str]]:
    """What the other process said of each module; modules may print things, too."""
    for line in text.splitlines():
        if line.startswith('["'):
            try:
                name, fault = json.loads(line)
            except ValueError:
                continue
            if name in modules and isinstance(fault, str):
                yield name, " ".join(fault.split())[:LONGEST_FAULT]
