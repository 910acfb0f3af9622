"""Spaces, fronts and volumes once more, slowly; imports nothing from the package."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def points(
    keys: Mapping[str, Sequence[Any]], when: Mapping[str, Mapping[str, Sequence[Any]]]
) -> list[dict[str, Any]]:
    """All points of a space: the product, each without the keys whose condition does not hold, each once."""
    found: list[dict[str, Any]] = []
    for values in itertools.product(*keys.values()):
        whole, point = dict(zip(keys, values, strict=True)), dict[str, Any]()
        for key, value in whole.items():
            wanted = when.get(key, {})
            if all(name in point and point[name] in of for name, of in wanted.items()):
                point[key] = value
        if point not in found:
            found.append(point)
    return found


def is_beaten(one: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether some other is as small everywhere, and smaller somewhere."""
    return any(
        all(b <= a for a, b in zip(one, other, strict=True)) and list(one) != list(other) for other in others
    )


def front(points: Sequence[Sequence[float]]) -> list[bool]:
    return [not is_beaten(one, points) for one in points]


def volume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Volume of the union of boxes, by inclusion and exclusion of all sets of points."""
    total = 0.0
    for count in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, count):
            corner = [max(values) for values in zip(*chosen, strict=True)]
            box = 1.0
            for high, low in zip(reference, corner, strict=True):
                box *= max(high - low, 0.0)
            total += box if count % 2 else -box
    return total


def one_step(values: Sequence[Any], value: Any) -> Iterator[Any]:
    at = list(values).index(value)
    yield from (values[other] for other in (at - 1, at + 1) if 0 <= other < len(values))
