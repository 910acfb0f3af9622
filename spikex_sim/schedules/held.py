"""What a buffer would have to hold so that a tensor is moved into it once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple


class Held(NamedTuple):
    """A tensor of a layer and the buffer that may hold it between its uses.

    Attributes
    ----------
    level : {"glb", "lbuf"}
        The buffer.
    tensor : str
        The tensor; tags are counted with the spikes that they belong to.
    need_bits : int
        What has to fit at a time for nothing to be moved in twice.
    room_bits : int
        Room that its share gives: one half of it where it is double-buffered.
    once_bits : int
        What all that is needed of it would move in, once each; 0 of what arises inside.
    moved_bits : int
        What is moved in.
    growth_bits : int
        What may be needed on top once there is more room: larger tiles skip less.
    """

    level: Literal["glb", "lbuf"]
    tensor: Literal["filter", "ifmap", "psum"]
    need_bits: int
    room_bits: int
    once_bits: int
    moved_bits: int
    growth_bits: int = 0

    @property
    def enough_bits(self) -> int:
        """Room in which it fits however large the tiles become."""
        return self.need_bits + self.growth_bits

    @property
    def missing_bits(self) -> int:
        """How far the room is short of what is needed."""
        return max(0, self.need_bits - self.room_bits)

    @property
    def again(self) -> bool:
        """Whether something is moved in more than once because it does not fit."""
        return self.missing_bits > 0 and self.moved_bits > self.once_bits

    def __add__(self, other: object) -> Held:
        """The same tensor over two samples: the larger need, all that is moved."""
        if not isinstance(other, Held):
            return NotImplemented
        return self._replace(
            need_bits=max(self.need_bits, other.need_bits),
            growth_bits=max(self.enough_bits, other.enough_bits) - max(self.need_bits, other.need_bits),
            once_bits=self.once_bits + other.once_bits,
            moved_bits=self.moved_bits + other.moved_bits,
        )


def merged(samples: Iterable[tuple[Held, ...]]) -> tuple[Held, ...]:
    """Over several samples of a layer, by buffer and tensor."""
    found: dict[tuple[str, str], Held] = {}
    for held in samples:
        for one in held:
            key = one.level, one.tensor
            found[key] = found[key] + one if key in found else one
    return tuple(found.values())
