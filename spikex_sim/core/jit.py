"""Compiles kernels and keeps them on disk, each under a hash of what it was made from.

Numba knows a kernel by its own source file alone, and ends a run where what it keeps is damaged or cannot be
written. Here a kernel is known by the contents of every source that can have a part in it, and whatever is
wrong with the files costs no more than compiling again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import numba

from spikex_sim.core.errors import OutputError
from spikex_sim.core.files import check_writable, new_file, writable_folder

log = logging.getLogger("spikex_sim")

KERNELS: list[Any] = []
"""What :func:`kernel` compiles, of the modules imported so far; empty with ``NUMBA_DISABLE_JIT=1``."""

_PACKAGE = Path(__file__).absolute().parents[1]
_IMPORT = re.compile(rb"from spikex_sim([\w.]*) import (\([^)]*\)|.*)")
_CONFIG: Any = numba.config
_SUM_BYTES = 16
_LIST = "all-"

F = TypeVar("F", bound=Callable[..., Any])


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(**options: Any) -> Callable[[F], F]: ...
def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function of this package without Python objects at its first call, and keep it on disk.

    Parameters
    ----------
    function : callable
        Found again by its module and name.
    **options
        As of :func:`numba.njit`, without ``cache``.
    """
    if function is None:
        return lambda decorated: kernel(decorated, **options)
    compiled = numba.njit(**options)(function)
    if compiled is not function:
        compiled._cache = _Cache(f"{function.__module__}.{function.__qualname__}")
        KERNELS.append(compiled)
    return compiled


def all_kept(use: str) -> bool:
    """Whether what :func:`keep_list` listed for a use lies on disk, for this machine and these sources."""
    listed = _store().read(_LIST + use)
    return listed is not None and all(map(_store().holds, listed.decode().split()))


def keep_list(use: str) -> Path | None:
    """Note that a use needs no more than is compiled or loaded by now; where that is, if it is kept."""
    names = sorted(name for name in _store().used if not name.startswith(_LIST))
    if not names:
        _store().give_up(f"Numba {numba.__version__} does not hand them over")
    return _store().write(_LIST + use, "\n".join(names).encode())


class Kept(NamedTuple):
    """Compiled kernels on disk, for this machine and these sources.

    Attributes
    ----------
    folder : str
        Where they are, or would be kept; empty where nowhere.
    files, damaged : int
        How many there are, and how many of these are not whole.
    ready : tuple of str
        Uses for which all is there (:func:`keep_list`).
    writable : bool
        Whether more can be kept.
    """

    folder: str
    files: int
    damaged: int
    ready: tuple[str, ...]
    writable: bool


def kept() -> Kept:
    """Look at what is kept, and leave it as it is."""
    if not _IMPORTED:
        return Kept("", 0, 0, (), False)
    found = [(place / _IMPORTED, list((place / _IMPORTED).glob(f"*-{_machine()}"))) for place in _places()]
    folder, files = next((one for one in found if one[1]), (None, []))
    can = [place for place, _ in found if _can_be_written(place)]
    place = folder or next(iter(can), None)
    contents = [file.read_bytes() for file in files]
    damaged = sum(one[:_SUM_BYTES] != _hash(one[_SUM_BYTES:]) for one in contents)
    lists = [file.name for file in files if file.name.startswith(_LIST)]
    uses = sorted(name.removeprefix(_LIST).removesuffix(f"-{_machine()}") for name in lists)
    ready = () if damaged else tuple(filter(all_kept, uses))
    return Kept(str(place or ""), len(files) - len(lists), damaged, ready, bool(can))


def _can_be_written(folder: Path) -> bool:
    try:
        check_writable(folder)
    except OutputError:
        return False
    return True


class Store:
    """Files under checksums, in the first folder that takes them.

    Parameters
    ----------
    places : iterable of Path
        Read in this order, and written to the first that can be.
    sources : str
        Names the folder inside a place; those of other sources are removed.
    machine : str
        Part of the files' names.
    """

    def __init__(self, places: Iterable[Path], sources: str, machine: str) -> None:
        self.used: set[str] = set()
        self.kept_in: Path | None = None
        self._folders = [place / sources for place in places]
        self._machine = machine
        self._lost = self._damaged = False

    def holds(self, name: str) -> bool:
        """Whether there is a file of a name, whatever is in it."""
        return any(path.exists() for path in self._paths(name))

    def read(self, name: str) -> bytes | None:
        """Contents of a file; None where there is none that is whole."""
        for path in self._paths(name):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if content[:_SUM_BYTES] == _hash(content[_SUM_BYTES:]):
                self.used.add(name)
                self.kept_in = path.parent
                return content[_SUM_BYTES:]
            self._drop(path)
        return None

    def drop(self, name: str) -> None:
        """Remove a file that turned out to be of no use."""
        for path in self._paths(name):
            self._drop(path)

    def write(self, name: str, content: bytes) -> Path | None:
        """Keep contents and return where; from the first time that is not possible, do not try again."""
        if self._lost:
            return None
        reasons = []
        for path in self._paths(name):
            try:
                self._put(path, _hash(content) + content)
            except (OutputError, OSError) as error:
                reasons.append(str(error))
            else:
                self.used.add(name)
                self.kept_in = path.parent
                return self.kept_in
        self.give_up("; ".join(reasons))
        return None

    def give_up(self, reason: str) -> None:
        """Keep nothing from here on."""
        if not self._lost:
            log.warning("compiled kernels cannot be kept (NUMBA_CACHE_DIR names another folder): %s", reason)
        self._lost = True

    def _paths(self, name: str) -> list[Path]:
        return [folder / f"{name}-{self._machine}" for folder in self._folders]

    def _drop(self, path: Path) -> None:
        if not self._damaged:
            log.warning("compiled kernels in %s are damaged: compiling these again", path.parent)
        self._damaged = True
        with contextlib.suppress(OSError):
            path.unlink()

    def _put(self, path: Path, content: bytes) -> None:
        """Write a file; the first one into a folder makes the folder, and removes those of other sources."""
        if self.kept_in != path.parent:
            writable_folder(path.parent)
            for other in path.parent.parent.iterdir():
                if other != path.parent:
                    shutil.rmtree(other, ignore_errors=True)
        with new_file(path) as file:
            file.write(content)


class _Cache:
    """What Numba's dispatchers ask for compiled code.

    This and :func:`_machine` are all that rests on what Numba does not promise. Where it turns out otherwise,
    every run compiles.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def cache_path(self) -> str:
        """Where kernels are kept; empty where they are not."""
        return str(_store().kept_in or "")

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Compiled code for the types of arguments; None if it is to be compiled."""
        name = self._file(signature)
        content = _store().read(name)
        if content is None:
            return None
        try:
            from numba.core.compiler import CompileResult

            target.refresh()
            return CompileResult._rebuild(target, *pickle.loads(content))  # type: ignore[no-untyped-call]
        except Exception:  # whole, but not what this Numba wrote
            _store().drop(name)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep compiled code."""
        try:
            from numba.core.serialize import dumps

            if result.library.has_dynamic_globals:  # addresses in this process
                return
            content = dumps(result._reduce())  # type: ignore[no-untyped-call]
        except Exception as error:
            _store().give_up(f"Numba {numba.__version__}: {error!r}")
        else:
            if _stamp() != _IMPORTED:  # nobody can tell from what this was made
                _store().give_up("sources were edited after this run had read them")
            _store().write(self._file(signature), content)

    def flush(self) -> None:
        """Do nothing: what is kept does not go stale."""

    def _file(self, signature: Any) -> str:
        return f"{self._name}-{_hash(str(signature).encode()).hex()}"


@lru_cache(maxsize=1)
def _store() -> Store:
    """Where kernels of these sources are kept."""
    try:
        if _IMPORTED:
            return Store(_places(), _IMPORTED, _machine())
        reason = f"no sources in {_PACKAGE}"
    except Exception as error:
        reason = f"Numba {numba.__version__}: {error!r}"
    store = Store([], "", "")
    store.give_up(reason)
    return store


def _machine() -> str:
    """What compiled code depends on besides sources and types: versions, processor, settings of Numba."""
    from numba.core.registry import cpu_target

    processor = cpu_target.target_context.codegen().magic_tuple()
    versions = sys.implementation.cache_tag, numba.__version__
    return _hash(repr((versions, processor, _CONFIG.BOUNDSCHECK, _CONFIG.OPT)).encode()).hex()


def _places() -> Iterator[Path]:
    """Folders for the kernels of this copy of the package: the one asked for, or its own and the user's."""
    mine = f"spikex_sim-{_hash(str(_PACKAGE).encode()).hex()}"
    if _CONFIG.CACHE_DIR:
        yield Path(_CONFIG.CACHE_DIR).absolute() / mine
        return
    yield _PACKAGE / "__pycache__" / "kernels"
    with contextlib.suppress(RuntimeError):  # nobody's home
        yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / mine


def _stamp() -> str:
    """Hash of what kernels are made from; empty where that cannot be read."""
    try:
        parts = list(_sources())
    except OSError:
        return ""
    return _hash(*parts).hex() if parts else ""


def _sources() -> Iterator[bytes]:
    """Names and contents of the modules with kernels, and of those they import: constants are compiled in."""
    texts = {}
    for folder, _, files in os.walk(_PACKAGE):
        inner = folder[len(str(_PACKAGE)) :].replace(os.sep, ".")
        for file in files:
            if file.endswith(".py"):
                name = inner if file == "__init__.py" else f"{inner}.{file[:-3]}"
                texts[name.encode()] = Path(folder, file).read_bytes()
    reached: set[bytes] = set()
    ahead = [module for module, text in texts.items() if b"\n@kernel" in text]
    while ahead:
        module = ahead.pop()
        if module not in reached and module in texts:
            reached.add(module)
            for source, names in _IMPORT.findall(texts[module]):
                ahead += [source, *(source + b"." + inside for inside in re.findall(rb"\w+", names))]
    for module in sorted(reached):
        yield module
        yield texts[module]


def _hash(*parts: bytes) -> bytes:
    """Hash of several parts, and of where one ends and the next begins."""
    whole = hashlib.blake2b(digest_size=_SUM_BYTES)
    for part in parts:
        whole.update(len(part).to_bytes(8))
        whole.update(part)
    return whole.digest()


_IMPORTED = _stamp()
"""Before any of them is imported: they may be edited between that and a kernel's first call."""
