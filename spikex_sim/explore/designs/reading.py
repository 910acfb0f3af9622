"""Spaces as files and as mappings: what they say, and every mistake by its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.hints import closest, closest_path, one_of
from spikex_sim.explore.designs.space import ARCH, Key, Space, check_cases, same
from spikex_sim.explore.sweeps.grid import MAX_POINTS
from spikex_sim.spec.load import parse_yaml, shortened, yaml_text

KINDS = ("values", "powers", "low")
"""What says which values a key may have; one of them has to."""
WORDS = (*KINDS, "high", "step", "log", "when")
LARGEST = 1 << 62
"""Of a power of two, and of a number at all."""


def load_space(path: str | Path) -> Space:
    """Read the file of a space; names of machine files in it are relative to its folder.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    path, where = Path(path), shortened(str(path))
    text = yaml_text(path, "space", where, f"no such file{closest_path(path)}")
    said = parse_yaml(text, where)
    if not isinstance(said, dict):
        raise ConfigError("must be a mapping with keys, and with set for what is fixed", where=where)
    for name in said:
        if name not in ("keys", "set"):
            raise ConfigError(one_of(name, ("keys", "set")), where=where)
    fixed = said.get("set")
    if not isinstance(fixed, dict | None):
        raise ConfigError("must map keys to values", where=where, field="set")
    return space_of(said.get("keys"), fixed=fixed or {}, folder=path.parent, where=where)


def space_of(
    keys: Any, *, fixed: Mapping[str, Any] | None = None, folder: Path | None = None, where: str = "space"
) -> Space:
    """Make a space of a mapping of keys to what they may be.

    Parameters
    ----------
    keys : mapping of str to list or mapping
        A list of values; or ``values``, ``powers`` or ``low`` and ``high``, with ``when`` for a condition.
    fixed : mapping, optional
        Configuration keys that are the same for all points.
    folder : Path, optional
        What names of machine files are relative to.
    where : str
        File or object that messages name.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if not isinstance(keys, Mapping) or not keys:
        raise ConfigError("must map configuration keys to their values; there is no point", where=where,
                          field="keys")  # fmt: skip
    made: dict[str, Key] = {}
    for name, said in keys.items():
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{name!r:.60} is no configuration key", where=where, field="keys")
        made[name] = _key(name, said, made, list(keys), where)
    twice = sorted(set(made) & set(fixed or {}))
    if twice:
        raise ConfigError("is both in keys and set", where=where, field=twice[0])
    space = Space(tuple(made.values()), FrozenMap(fixed or {}), folder or Path(), where)
    check_cases(space)
    return space


def _key(name: str, said: Any, before: Mapping[str, Key], names: Sequence[str], where: str) -> Key:
    place = f"keys.{name}"

    def wrong(text: str, field: str = "") -> ConfigError:
        return ConfigError(text, where=where, field=f"{place}.{field}" if field else place)

    if isinstance(said, np.ndarray):
        said = said.tolist()
    if isinstance(said, list | tuple):
        said = {"values": list(said)}
    if not isinstance(said, Mapping):
        raise wrong("must be a list of values, or a mapping with values, powers or low and high; what is "
                    "the same for all points stands under set")  # fmt: skip
    for word in said:
        if word not in WORDS:
            raise wrong(one_of(word, WORDS))
    kinds = [kind for kind in KINDS if kind in said]
    if len(kinds) != 1:
        raise wrong("wants one of values, powers, and low with high")
    for word in ("high", "step", "log"):
        if word in said and kinds != ["low"]:
            raise wrong("has no effect without low", word)
    when = _condition(said["when"], name, before, names, wrong) if "when" in said else FrozenMap()
    if kinds == ["low"]:
        return _range(name, said, when, wrong)
    values = _powers(said["powers"], wrong) if kinds == ["powers"] else _listed(name, said["values"], wrong)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return Key(name, tuple(sorted(values) if numbers else values), ordered=numbers, when=when)


def _listed(name: str, values: Any, wrong: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise wrong("must be a list", "values")
    if not values:
        raise wrong("has no values, so that there is no point")
    if len(values) > MAX_POINTS:
        raise wrong(f"has {len(values):,} values, more than {MAX_POINTS:,}")
    found: list[Any] = []
    for one in values:
        value = one.item() if isinstance(one, np.generic) else one
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise wrong(f"{value!r:.60} is no number, text, true or false, nor a list of these")
        if isinstance(value, float) and not math.isfinite(value):
            raise wrong(f"{value} is no number")
        if name == ARCH and not isinstance(value, str):
            raise wrong(f"{value!r:.60} names no machine")
        if any(same(value, other) for other in found):
            raise wrong(f"names {value!r:.60} twice")
        found.append(value)
    return found


def _powers(ends: Any, wrong: Any) -> list[int]:
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
        raise wrong("wants two powers of two, [LOW, HIGH]", "powers")
    for end in ends:
        if type(end) is not int or not 1 <= end <= LARGEST or end & (end - 1):
            raise wrong(f"{end!r:.60} is no power of two", "powers")
    low, high = ends
    if low > high:
        raise wrong(f"{low} is above {high}; low comes first", "powers")
    return [1 << power for power in range(low.bit_length() - 1, high.bit_length())]


def _range(name: str, said: Mapping[str, Any], when: FrozenMap[str, tuple[Any, ...]], wrong: Any) -> Key:
    if "high" not in said:
        raise wrong("has a low and no high")
    for word in ("low", "high", "step"):
        if word in said and not _is_number(said[word]):
            raise wrong(f"must be a number, not {said[word]!r:.60}", word)
    low, high, log = said["low"], said["high"], said.get("log", False)
    if low > high:
        raise wrong(f"low {low} is above high {high}")
    if not isinstance(log, bool):
        raise wrong(f"must be true or false, not {log!r:.60}", "log")
    whole = type(low) is int and type(high) is int
    if "step" in said or whole or low == high:
        if "log" in said:
            raise wrong("has no effect on a range with steps; powers: [LOW, HIGH] has powers of two", "log")
        values = _steps(low, high, said.get("step", 1), wrong)
        return Key(name, tuple(values), ordered=True, when=when)
    if log and low <= 0:
        raise wrong(f"low {low} has no logarithm", "log")
    return Key(name, low=float(low), high=float(high), log=log, ordered=True, when=when)


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value) and abs(value) <= LARGEST


def _steps(low: Any, high: Any, step: Any, wrong: Any) -> list[Any]:
    """Values of a range, as exact as they are written."""
    if step <= 0:
        raise wrong(f"is {step}; wants a number above 0", "step")
    whole = type(low) is int and type(step) is int
    first, last, apart = (Fraction(str(number)) for number in (low, high, step))
    count = int((last - first) / apart) + 1
    if count > MAX_POINTS:
        raise wrong(f"has {count:,} values, more than {MAX_POINTS:,}")
    return [int(value) if whole else float(value) for value in (first + at * apart for at in range(count))]


def _condition(
    said: Any, name: str, before: Mapping[str, Key], names: Sequence[str], wrong: Any
) -> FrozenMap[str, tuple[Any, ...]]:
    if not isinstance(said, Mapping) or not said:
        raise wrong("must map keys of the space to values that they must have", "when")
    found: dict[str, tuple[Any, ...]] = {}
    for parent, given in said.items():
        if parent not in before:
            if parent in names:
                own = "is the key itself" if parent == name else "stands below; name it above"
                raise wrong(f"{parent} {own}", "when")
            raise wrong(f"{parent!r:.60} is no key of the space{closest(parent, names)}", "when")
        values = before[parent].values
        if not values:
            raise wrong(f"{parent} is a range without steps, of which no value can be named", "when")
        wanted = tuple(given) if isinstance(given, list | tuple) else (given,)
        for one in wanted:
            if not any(same(one, value) for value in values):
                raise wrong(f"{parent} is never {one!r:.60}{closest(one, map(str, values))}", "when")
        found[parent] = wanted
    return FrozenMap(found)
