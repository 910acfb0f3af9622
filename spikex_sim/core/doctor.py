"""What this installation is made of: versions, compiled kernels, extras, programs, what it may take."""

from __future__ import annotations

import configparser
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from math import inf
from pathlib import Path
from typing import NamedTuple

from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.core.extras import Extra, Package, packages
from spikex_sim.core.files import check_writable
from spikex_sim.core.memory import limit_bytes
from spikex_sim.core.origin import commit, source_sha256
from spikex_sim.core.progress import Progress, silent

PROGRAMS = {
    "iverilog": ("-V", "make test-rtl, exported layers"),
    "verilator": ("--version", "tests of the Verilog"),
    "yosys": ("-V", "areas and energies of gates, formal tests"),
    "chromium": ("--version", "make test-browser"),
    "cacti": ("", "energy check"),
    "git": ("--version", "the commit in results"),
}
"""Programs that some commands call, how each tells its version, and what for."""
SETTINGS = ("NUMBA_", "SPIKEX_", "XDG_CACHE_HOME", "PYTHONPATH", "OMP_NUM_THREADS")
"""Beginnings of the environment variables that change what runs do."""
PROGRAM_SECONDS = 10
LONGEST = 100
_ROOT = Path(__file__).absolute().parents[2]
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


class Program(NamedTuple):
    """A program that is called: where it is, empty if nowhere, its version, and what for."""

    name: str
    path: str
    version: str
    purpose: str


class Setting(NamedTuple):
    """An environment variable."""

    name: str
    value: str


class Kernels(NamedTuple):
    """Compiled kernels: see :class:`spikex_sim.core.jit.Kept`; ``note`` says why there are none."""

    folder: str = ""
    files: int = 0
    damaged: int = 0
    ready: tuple[str, ...] = ()
    writable: bool = False
    note: str = ""


@dataclass(frozen=True)
class Installation:
    """What this installation is made of.

    Attributes
    ----------
    version, commit, source_sha256 : str
        Of this package; ``unknown`` where nobody noted it.
    folder : str
        Where its modules are.
    python, executable, platform : str
        Version and place of Python, and the system.
    packages : tuple of Package
        That the package always needs.
    extras : tuple of Extra
        What each extra needs, and the command that installs it.
    programs : tuple of Program
        That some commands call.
    kernels : Kernels
        Compiled kernels that are kept.
    settings : tuple of Setting
        Environment variables that change what runs do.
    cores : float
        Processors that may be used; a part of one where the system allows no more.
    memory_gb : float or None
        Memory that may be taken, 1e9 bytes; None if nobody knows.
    folder_here : str
        The current folder.
    writable_here : bool
        Whether results can be written there.
    problems : tuple of str
        What keeps the program from working as it should.
    notes : tuple of str
        What a reader should know besides.
    """

    version: str
    commit: str
    source_sha256: str
    folder: str
    python: str
    executable: str
    platform: str
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    programs: tuple[Program, ...]
    kernels: Kernels
    settings: tuple[Setting, ...]
    cores: float
    memory_gb: float | None
    folder_here: str
    writable_here: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether runs, sweeps and figures work."""
        return not self.problems


def doctor(*, progress: Progress = silent) -> Installation:
    """Look at this installation; changes nothing.

    Every package that is needed is loaded in a process of its own, also those of extras, so that one that is
    damaged is found: seconds, with PyTorch some more.

    Returns
    -------
    Installation
        ``problems`` is empty if the program works.

    Examples
    --------
    >>> import spikex_sim as sx
    >>> sx.doctor().version == sx.__version__
    True
    """
    problems: list[str] = []
    notes: list[str] = []
    steps = 4
    progress("packages", 0, steps)
    version, needed, extras = _packages(problems)
    progress("programs", 1, steps)
    programs = tuple(_program(name) for name in PROGRAMS)
    progress("kernels", 2, steps)
    kernels = _kernels(needed, notes)
    progress("folder", 3, steps)
    here, writable = _here(notes)
    found = Installation(
        version=version,
        commit=commit(),
        source_sha256=source_sha256(),
        folder=str(Path(__file__).parents[1]),
        python=platform.python_version(),
        executable=sys.executable or "unknown",
        platform=platform.platform(),
        packages=needed,
        extras=extras,
        programs=programs,
        kernels=kernels,
        settings=tuple(Setting(*one) for one in sorted(os.environ.items()) if one[0].startswith(SETTINGS)),
        cores=_cores(),
        memory_gb=_memory_gb(problems),
        folder_here=here,
        writable_here=writable,
        problems=tuple(problems),
        notes=tuple(notes),
    )
    progress("done", steps, steps)
    return found


def _packages(problems: list[str]) -> tuple[str, tuple[Package, ...], tuple[Extra, ...]]:
    """Version of this package, and of those that it needs."""
    try:
        noted = distribution("spikex_sim")
    except PackageNotFoundError:
        problems.append(f"spikex_sim is not installed: {_pip(str(_ROOT))}")
        return "unknown", (), ()
    said = configparser.ConfigParser(interpolation=None)
    try:
        said.read(_ROOT / "setup.cfg", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        said.clear()
    sources = said.get("metadata", "version", fallback=noted.version)
    if sources != noted.version:
        problems.append(
            f"installed as {noted.version}, and the sources are {sources}: {_pip('--editable', str(_ROOT))}"
        )
    # what builds leave beside the sources lists sources, also those that have gone since
    listed = noted.files if noted.read_text("RECORD") is not None else None
    files = [file for file in listed or () if file.suffix != ".pyc"]
    gone = [str(file) for file in files if not Path(str(file.locate())).exists()]
    if gone:
        problems.append(
            f"{gone[0]} is gone{f', and {len(gone) - 1} more' if len(gone) > 1 else ''}: "
            f"{_pip('--force-reinstall', 'spikex_sim')}"
        )
    try:
        needed, extras = packages()
    except ImportError as exc:
        problems.append(f"packaging does not load ({exc}): {_pip('--force-reinstall', 'packaging')}")
        return noted.version, (), ()
    problems += [
        f"{one.name}: {one.fault}; {_pip('--force-reinstall', one.name + one.wanted)}"
        for one in needed
        if one.fault
    ]
    return noted.version, needed, extras


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable or "python3", "-m", "pip", "install", *arguments])


def _program(name: str) -> Program:
    """Where a program is and what it says of itself."""
    option, purpose = PROGRAMS[name]
    path = shutil.which(name) or ""
    version = ""
    if path and option:
        try:
            done = subprocess.run(
                [path, option],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROGRAM_SECONDS,
                check=False,
            )
            said = re.search(rb"\d+(\.\d+)+", done.stdout)
            version = said[0].decode()[:LONGEST] if said else ""
        except (OSError, subprocess.SubprocessError):
            version = "does not run"
    return Program(name, path, version, purpose)


def _kernels(needed: tuple[Package, ...], notes: list[str]) -> Kernels:
    broken = [one.name for one in needed if one.fault]
    if "numba" in broken or "numpy" in broken:
        return Kernels(note="numba does not load")
    try:
        import numba

        from spikex_sim.core.jit import kept

        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            notes.append("NUMBA_DISABLE_JIT is set: runs take hundreds of times as long")
        found = Kernels(*kept())
    except Exception as exc:  # whatever another version of Numba says
        return Kernels(note=f"{type(exc).__name__}: {exc}"[:LONGEST])
    if not found.ready:
        notes.append("kernels are not compiled yet: the first run does, in a minute or two")
    if not found.writable:
        notes.append("kernels cannot be kept: every run compiles them; NUMBA_CACHE_DIR names another folder")
    return found


def _here(notes: list[str]) -> tuple[str, bool]:
    """Return the current folder, and whether it can be written."""
    try:
        here = Path.cwd()
        check_writable(here)
    except FileNotFoundError:
        notes.append("the current folder is gone")
        return "", False
    except OutputError as exc:
        notes.append(f"{exc}; --out names another folder")
        return str(here), False
    return str(here), True


def _cores() -> float:
    """Processors that this process may run on, and no more than its control group may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CPU_MAX.read_text().split()
        return min(float(found), float(quota) / float(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such group here
        return float(found)


def _memory_gb(problems: list[str]) -> float | None:
    try:
        limit, _ = limit_bytes()
    except ConfigError as exc:
        problems.append(str(exc))
        return None
    return None if limit == inf else limit / 1e9
