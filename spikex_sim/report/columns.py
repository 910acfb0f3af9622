"""Many whole numbers in little text: differences, seven bits a byte, deflated, base64."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_BITS, _MORE = 7, 0x80
_NUMBER = re.compile(r"(?<![0-9])(?:0|[1-9][0-9]{0,14})(?![0-9])")
GAP = "\0"
"""Stands in a template where a number is left out."""


def packed(columns: Iterable[Ints]) -> str:
    """Pack columns one after the other; ``assets/timeline.js`` unpacks them.

    Parameters
    ----------
    columns : iterable of int64 array
        Of numbers from 0; lengths are not packed.

    Returns
    -------
    str
        Base64 of a zlib stream of LEB128 numbers.
    """
    squeeze = zlib.compressobj(9)
    parts = [squeeze.compress(leb128(column)) for column in columns]
    return base64.b64encode(b"".join(parts) + squeeze.flush()).decode("ascii")


def leb128(numbers: Ints) -> bytes:
    """Numbers from 0, seven bits a byte from the lowest, the highest bit set on all but the last byte.

    Examples
    --------
    >>> leb128(np.array([5, 128])).hex()
    '058001'
    """
    left = numbers.astype(np.uint64)
    most = max(int(left.max()).bit_length(), 1) if left.size else 1
    width = -(-most // _BITS)
    low = np.empty((left.size, width), np.uint8)
    used = np.ones(low.shape, bool)
    for place in range(width):
        used[:, place] = (left > 0) | (place == 0)
        low[:, place] = left & np.uint64(_MORE - 1)
        left = left >> np.uint64(_BITS)
    low[:, :-1] |= np.where(used[:, 1:], _MORE, 0).astype(np.uint8)
    return low[used].tobytes()


def zigzag(numbers: Ints) -> Ints:
    """Whole numbers as numbers from 0: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return np.where(numbers < 0, -2 * numbers - 1, 2 * numbers)


def differences(numbers: Ints) -> Ints:
    """Differences from one number to the next, the first from 0, as numbers from 0."""
    return zigzag(np.diff(numbers, prepend=0))


@dataclass(frozen=True)
class Texts:
    """Many texts that differ in their numbers.

    Attributes
    ----------
    templates : tuple of str
        Texts with :data:`GAP` in the place of numbers.
    which : int64 array
        Template of each text.
    numbers : tuple of int64 array
        Of each template ``[texts of it, numbers in it]``.
    """

    templates: tuple[str, ...]
    which: Ints
    numbers: tuple[Ints, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Take texts apart; none holds a :data:`GAP`."""
        places: dict[str, int] = {}
        which: list[int] = []
        found: list[list[list[int]]] = []
        for text in texts:
            template = _NUMBER.sub(GAP, text)
            place = places.setdefault(template, len(places))
            if place == len(found):
                found.append([])
            found[place].append(list(map(int, _NUMBER.findall(text))))
            which.append(place)
        numbers = tuple(np.array(rows, np.int64).reshape(len(rows), -1) for rows in found)
        return cls(tuple(places), np.array(which, np.int64), numbers)

    def columns(self) -> Iterable[Ints]:
        """What is packed: templates of all texts, then each template's numbers, place by place."""
        yield differences(self.which)
        for rows in self.numbers:
            for column in rows.T:
                yield differences(column)
