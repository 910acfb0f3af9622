"""Scores and costs as they are kept in the store of a search, by what they depend on (Section 4)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from spikex_sim.core.counts import MOST
from spikex_sim.core.origin import source_sha256
from spikex_sim.explore.nas.costs import Costs
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.scores import Score, Value

Row = dict[str, Any]
COSTS = ("parameters", "area_mm2", "latency_ms", "energy_uj")


def key_of(settings: Mapping[str, Value], a: Form, b: Form, machine: Mapping[str, Any] | None = None) -> str:
    """Content of a score, or of what a machine made of the spikes behind it.

    Parameters
    ----------
    settings : mapping
        All that a score depends on but the forms.
    a, b : Form
        Of the network.
    machine : mapping, optional
        All that costs depend on but the spikes.
    """
    content = {
        "settings": dict(settings),
        "a": a.text,
        "b": b.text,
        "code": source_sha256(),
        "machine": machine,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def score_row(score: Score) -> Row:
    """Row of a score."""
    return {
        "score": score.value,
        "batches": list(score.batches),
        "negative": score.negative,
        "constant": score.constant,
    }


def score_of(row: Row) -> Score:
    """Inverse of :func:`score_row`."""
    return Score(row["score"], tuple(row["batches"]), row["negative"], row["constant"])


def costs_row(costs: Costs | str) -> Row:
    """Row of costs, or of why a machine cannot run a network."""
    if isinstance(costs, str):
        return {"refused": costs}
    found = {name: getattr(costs, name) for name in COSTS}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def costs_of_row(row: Row) -> Costs | str:
    """Inverse of :func:`costs_row`."""
    if "refused" in row:
        return str(row["refused"])
    return Costs(*(math.nan if row[name] is None else row[name] for name in COSTS))


def is_row(found: Any) -> bool:
    """Whether something that was read is a row of scores or of costs."""
    if not isinstance(found, dict):
        return False
    if found.keys() == {"refused"}:
        return isinstance(found["refused"], str)
    if found.keys() == set(COSTS):
        known = [found[name] for name in COSTS if name != "area_mm2" or found[name] is not None]
        return all(_is_number(value) and 0 <= value <= MOST for value in known)
    if found.keys() != {"score", "batches", "negative", "constant"}:
        return False
    batches, constant = found["batches"], found["constant"]
    return (
        isinstance(batches, list)
        and bool(batches)
        and all(_is_number(value) and value < math.inf for value in (found["score"], *batches))
        and isinstance(found["negative"], bool)
        and type(constant) is int
        and constant >= 0
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
