"""What an area says: the parts that are missing in it, and whether areas of several machines compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikex_sim.costs.energy import OFF_CHIP

OF_ONE_KIND = frozenset({"deskew", "handover", "window_table", "scanner"})
"""Parts that are the same hardware in every machine that has them."""


def on_chip(absent: Mapping[str, str]) -> dict[str, str]:
    """Missing parts that are on the chip."""
    return {name: why for name, why in absent.items() if why != OFF_CHIP}


def told(absent: Mapping[str, str]) -> str:
    """Missing parts and why, those of one reason together; empty if none is.

    Examples
    --------
    >>> told({"dram": "off chip", "pe": "not known", "lif": "not known"})
    'dram (off chip); pe, lif (not known)'
    """
    by_reason: dict[str, list[str]] = {}
    for name, why in absent.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())


@dataclass(frozen=True)
class Lacking:
    """A machine whose area is compared, and what is missing in it.

    Attributes
    ----------
    name, kind : str
        Name of the accelerator, and what machine it is: machines of one kind lack equal parts alike.
    parts : tuple of str
        Missing parts on the chip.
    """

    name: str
    kind: str
    parts: tuple[str, ...]


def unlike(machines: Sequence[Lacking]) -> str:
    """Say why areas of several machines are not like with like; empty where they are.

    They are not where one lacks a part that another one does not, or where machines of several kinds lack a
    part that each has of its own, as PEs.

    Examples
    --------
    >>> unlike([Lacking("a", "x", ()), Lacking("b", "y", ("pe", "lif"))])
    'areas are not like with like: b without pe, lif'
    """
    own = {part for one in machines for part in one.parts} - OF_ONE_KIND
    several = len({one.kind for one in machines}) > 1
    if len({frozenset(one.parts) for one in machines}) < 2 and not (several and own):
        return ""
    lacking = dict.fromkeys(f"{one.name} without {', '.join(one.parts)}" for one in machines if one.parts)
    return f"areas are not like with like: {'; '.join(lacking)}"


def said_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Say of rows of a sweep what their areas lack, or that they are not like with like; else nothing.

    Parameters
    ----------
    rows : iterable of mapping
        With ``arch``, ``area_mm2`` and ``area_parts_absent`` as in ``sweep.csv``; those without area are
        left out.
    """
    known = [row for row in rows if row.get("area_mm2") is not None]
    absent = dict.fromkeys((row["arch"], row.get("area_parts_absent") or "") for row in known)
    machines = [Lacking(arch, arch, tuple(text.split("/")) if text else ()) for arch, text in absent]
    parts = machines[0].parts if machines else ()
    return unlike(machines) or (f"areas are without {', '.join(parts)}" if parts else "")
