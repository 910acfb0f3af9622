"""Folders of recordings: which files are in them, their classes and their part of the data set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spikex_sim.core.errors import TraceError
from spikex_sim.sources.events.events import SPLITS
from spikex_sim.sources.events.formats import SUFFIXES
from spikex_sim.sources.events.nmnist_bin import folder_number
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

MAX_FILES = 1_000_000
"""Most files of recordings accepted in one folder; N-MNIST has 70 000."""
MAX_LIST_BYTES = 1 << 20
"""Largest list of files accepted."""


@dataclass(frozen=True)
class RecordingFile:
    """One file of a folder of recordings.

    Attributes
    ----------
    path : Path
        Where it is.
    name : str
        Its path in the folder, with ``/``.
    label : int or None
        Class by the folder it is in, where the file itself does not say.
    split : str or None
        ``"train"`` or ``"test"``, by the folders it is in or the lists beside it.
    """

    path: Path
    name: str
    label: int | None
    split: str | None


def find_recordings(folder: str | Path) -> list[RecordingFile]:
    """Find all recordings in a folder and the folders in it, in the order of their names.

    A file's class is the folder it lies in: the number that is its name, or else its place in the order
    of names, where there are several. Its part of the data set is that of a folder named ``train`` or
    ``test`` (in any case), or of the list beside it that names it, ``trials_to_train.txt`` or
    ``trials_to_test.txt``, as in DVS128 Gesture. Of the groups of endings in
    :data:`~spikex_sim.sources.events.formats.SUFFIXES` the first is taken that the folder has: tables and
    texts beside recordings of a camera describe these. Hidden files and folders are passed over, and links to
    folders are not followed.

    Raises
    ------
    TraceError
        If the folder cannot be read, or holds no or too many recordings.
    """
    folder = Path(folder)
    where = shown(folder, 400)
    groups: list[list[Path]] = [[] for _ in SUFFIXES]

    def fail(exc: OSError) -> None:
        raise TraceError(f"cannot be read: {exc.strerror or exc}", where=shown(exc.filename or folder, 400))

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for group, suffixes in zip(groups, SUFFIXES, strict=True):
            group.extend(
                Path(parent, name)
                for name in sorted(files)
                if Path(name).suffix.lower() in suffixes and not name.startswith(".")
            )
            if len(group) > MAX_FILES:
                raise TraceError(f"holds more than {MAX_FILES:,} recordings", where=where)
    found = next(filter(None, groups), [])
    if not found:
        kinds = ", ".join(f"*{suffix}" for suffixes in SUFFIXES for suffix in suffixes)
        raise TraceError(f"holds no recordings ({kinds})", where=where)
    classes = {path.parent.name for path in found if path.parent != folder} - {
        name for path in found if (name := path.parent.name).lower() in SPLITS
    }
    labels = _labels(classes)
    lists: dict[Path, dict[str, str]] = {}
    files_found = []
    for path in found:
        relative = path.relative_to(folder)
        if path.parent not in lists:
            lists[path.parent] = _listed(path.parent)
        above = [part.lower() for part in (folder.absolute().name, *relative.parts[:-1])]
        split = next((part for part in reversed(above) if part in SPLITS), lists[path.parent].get(path.name))
        label = labels.get(path.parent.name) if path.parent != folder else None
        files_found.append(RecordingFile(path, relative.as_posix(), label, split))
    return files_found


def _labels(classes: set[str]) -> dict[str, int]:
    numbers = {name: folder_number(name) for name in classes}
    if None not in numbers.values():
        return {name: number for name, number in numbers.items() if number is not None}
    return {name: index for index, name in enumerate(sorted(classes))} if len(classes) > 1 else {}


def _listed(folder: Path) -> dict[str, str]:
    """Part of the data set of every file that the lists in a folder name."""
    found: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"trials_to_{split}.txt"
        if path.is_file():
            with open_regular(path, MAX_LIST_BYTES) as handle:
                lines = handle.read(MAX_LIST_BYTES).decode("utf-8", "replace").splitlines()
            found |= {line.strip(): split for line in lines if line.strip()}
    return found
