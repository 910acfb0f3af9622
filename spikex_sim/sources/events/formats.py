"""Recordings of event cameras: which format a file has, and what reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from spikex_sim.core.errors import ConfigError, TraceError
from spikex_sim.sources.events.aedat2 import load_aedat2
from spikex_sim.sources.events.aedat4 import load_aedat4
from spikex_sim.sources.events.aedat31 import load_aedat31
from spikex_sim.sources.events.arrays import load_npy, load_npz
from spikex_sim.sources.events.columns import NOTHING_SAID, Reading
from spikex_sim.sources.events.dat import load_dat
from spikex_sim.sources.events.events import Recordings
from spikex_sim.sources.events.faery_files import load_by_faery
from spikex_sim.sources.events.hdf5 import MAX_HDF5_BYTES, load_hdf5
from spikex_sim.sources.events.nmnist_bin import load_nmnist_bin
from spikex_sim.sources.events.text import is_text, load_text
from spikex_sim.trace.npyheader import shown
from spikex_sim.trace.npyzip import open_regular

SUFFIXES = (
    (".npz", ".bin", ".aedat", ".aedat4", ".raw", ".dat", ".es"),
    (".npy", ".h5", ".hdf5"),
    (".csv", ".txt"),
)
"""Endings of the files that a folder of recordings is searched for: the first of these groups that it has."""
READ = (
    ".npz, .npy, HDF5, CSV or text of x, y, p and t, AEDAT 2.0, 3.1 and 4.0, .bin of N-MNIST, Prophesee's "
    ".raw and .dat, .es"
)
"""What is read, in words."""

_START_BYTES = 1 << 12
_AEDAT = b"#!AER-DAT"
_MAGIC = {
    _AEDAT + b"2.0": "aedat2",
    _AEDAT + b"3.1": "aedat31",
    _AEDAT + b"4.0": "aedat4",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"\x93NUMPY": "npy",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"Event Stream": "es",
}
_OWN: dict[str, Callable[[str | Path], Recordings]] = {
    "nmnist": load_nmnist_bin,
    "aedat2": load_aedat2,
    "aedat31": load_aedat31,
    "aedat4": load_aedat4,
    "dat": load_dat,
    "evt": partial(load_by_faery, kind="evt"),
    "es": partial(load_by_faery, kind="es"),
}
"""Readers of formats that say themselves what their columns and times are."""
_NAMED: dict[str, Callable[[str | Path, Reading], Recordings]] = {
    "npz": load_npz,
    "npy": load_npy,
    "hdf5": load_hdf5,
    "text": load_text,
}
_KNOWN = {
    b"\x80": "looks like a Python pickle, which is never loaded; save an .npz",
    b"\x1f\x8b": "is gzip-compressed; unpack it first",
    b"#ROSBAG": "is a ROS bag; write its events as .npz, .h5 or .csv",
    b"MATLAB 5": "is a MATLAB file; save it with -v7.3, which is HDF5, or as .csv",
}


def load_recordings(path: str | Path, reading: Reading = NOTHING_SAID) -> Recordings:
    """Read recordings of an event camera, in any format that :func:`recording_format` tells apart.

    Parameters
    ----------
    path : str or Path
        A file.
    reading : Reading, optional
        What is to be known of files that do not say it themselves: ``.npz``, ``.npy``, HDF5 and text.

    Returns
    -------
    Recordings
        Checked: offsets rise from 0 to the number of events, coordinates lie on the sensor, times are
        not negative; in formats with a clock of their own they do not fall.

    Raises
    ------
    TraceError
        For anything wrong with the file, in one line that names it and the field.
    """
    form = recording_format(path)
    if form in _NAMED:
        return _NAMED[form](path, reading)
    if reading != NOTHING_SAID:
        field = "--columns" if reading.columns else "--time-unit"
        raise ConfigError(f"is said by {shown(path, 400)} itself", field=field)
    return _OWN[form](path)


def recording_format(path: str | Path) -> str:
    """Tell a file's format: ``"nmnist"`` by its ending, others by content.

    Returns
    -------
    str
        ``"aedat2"``, ``"aedat31"``, ``"aedat4"``, ``"evt"``, ``"dat"``, ``"es"``, ``"npz"``, ``"npy"``,
        ``"hdf5"`` or ``"text"``.

    Raises
    ------
    TraceError
        If it cannot be read, or is none of these.
    """
    path = Path(path)
    where = shown(path, 400)
    with open_regular(path, MAX_HDF5_BYTES) as handle:
        start = handle.read(_START_BYTES)
    if path.suffix.lower() == ".bin":
        return "nmnist"
    for magic, form in _MAGIC.items():
        if start.startswith(magic):
            return form
    if start.startswith(_AEDAT):
        version = shown(start[len(_AEDAT) : len(_AEDAT) + 3].decode("latin-1"))
        raise TraceError(f"is AEDAT {version}; 2.0, 3.1 and 4.0 are read", where=where)
    if start.startswith(b"%") and re.search(rb"^% (evt |format EVT)", start, re.MULTILINE):
        return "evt"
    if is_text(start):
        return "text"
    if start.startswith(b"% "):
        return "dat"
    what = next((what for magic, what in _KNOWN.items() if start.startswith(magic)), "")
    raise TraceError(
        what or ("is empty" if not start else f"is no recording that is read: {READ}"), where=where
    )
