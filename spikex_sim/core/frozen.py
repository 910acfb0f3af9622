"""Data that nobody changes: read-only mappings, also through pickle, and arrays that cannot be written to."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)


class FrozenMap(Mapping[K, V_co]):
    """A mapping that is read only and can be pickled.

    Examples
    --------
    >>> FrozenMap({"glb": 1})["glb"]
    1
    """

    __slots__ = ("_items",)
    _items: Mapping[K, V_co]

    def __init__(self, items: Mapping[K, V_co] = MappingProxyType({})) -> None:
        object.__setattr__(self, "_items", MappingProxyType(dict(items)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read only")

    def __getitem__(self, key: K) -> V_co:
        return self._items[key]

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def items(self) -> ItemsView[K, V_co]:
        """Keys and values, at the speed of a dict's."""
        return self._items.items()

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self._items)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._items),)


def frozen(value: Any) -> Any:
    """Freeze mappings, lists and arrays in what is given, however deep.

    Arrays that could still be written to are copied.
    """
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return FrozenMap({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(map(frozen, value))
    return frozen_array(value) if isinstance(value, np.ndarray) else value


def frozen_array(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array if it is read only, else a copy that is."""
    if not array.flags.writeable:
        return array
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def plain(value: Any) -> Any:
    """Mappings and named tuples as dicts and sequences as lists, however deep: what JSON has."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
