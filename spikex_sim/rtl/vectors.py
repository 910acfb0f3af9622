"""Vectors: what a layer's hardware is told, as text for the bench (``docs/rtl.md`` has the format)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor

import numpy as np
from numpy.typing import NDArray

from spikex_sim.rtl.layer import RtlLayer, Slot, alone

END, LAYER, BATCH, ROW_GROUP = 0, 1, 2, 3
"""First words of records."""
WEIGHTS_PER_WORD = 4


def vectors(layers: Iterable[RtlLayer], *, every_tap: bool = False) -> Iterator[str]:
    """Yield the lines of a file of vectors; hardware that runs all of them is a matter of the caller.

    Parameters
    ----------
    layers : iterable of RtlLayer
        Layers.
    every_tap : bool
        A batch lists all taps, for the array with a tag scanner; else those that the schedule streams.
    """
    for layer in layers:
        yield from _layer(layer, every_tap=every_tap)
    yield _line([END])


def _layer(layer: RtlLayer, *, every_tap: bool) -> Iterator[str]:
    schedule = layer.schedule
    batches = [_batch(layer, batch, every_tap=every_tap) for batch in range(schedule.batches)]
    weight, first = _weights(layer), 0
    for number, rows in enumerate(layer.rows):
        bias = layer.synapses.biases[first : first + rows].tolist()
        settings = _settings(layer) if number == 0 else [ROW_GROUP]
        yield _line([*settings, rows, *bias])
        packed = _packed_words(weight[:, first : first + rows])
        for head, slots in batches:
            yield head
            for taps, tail in slots:
                lanes = [f"{len(taps):x}"] if layer.hardware.lanes > 1 else []
                yield " ".join([*lanes, *(packed[tap] for tap in taps), tail])
        first += rows


def _settings(layer: RtlLayer) -> list[int]:
    """What is static for a layer."""
    schedule, arch, neuron = layer.schedule, layer.arch, layer.synapses.neuron
    assert neuron is not None
    limit, last = 1 << arch.potential_bits, schedule.windows - 1
    return [
        LAYER,
        schedule.tws,
        min(max(floor(neuron.threshold), -limit), limit - 1),
        neuron.leak,
        neuron.reset == "subtract",
        not layer.hardware.chain,
        arch.get("update_cycles", default=1),
        arch.get("skew", default="tile") == "batch",
        last,
        schedule.task.inputs.timesteps - last * schedule.tws,
    ]


def _batch(layer: RtlLayer, batch: int, *, every_tap: bool) -> tuple[str, list[tuple[list[int], str]]]:
    """Descriptor of a batch; taps of each slot, and its words."""
    position, window = layer.batches[batch]
    slots = layer.slots[batch]
    if every_tap:
        taps = np.arange(layer.schedule.task.inputs.taps)
        slots = alone(taps, layer.words(batch, taps))
    places = np.stack([position, window], axis=1).ravel().tolist()
    head = _line(
        [BATCH, len(position), len(slots), layer.ends_tile[batch], layer.width[batch], *places]
    )  # fmt: skip
    return head, [(slot.taps, _columns(slot, layer.hardware.lanes > 1)) for slot in slots]


def _columns(slot: Slot, selects: bool) -> str:
    if not selects:
        return _line(slot.words)
    return _line(value for pair in zip(slot.lanes, slot.words, strict=True) for value in pair)


def _weights(layer: RtlLayer) -> NDArray[np.int64]:
    """Weights ``[taps, M]``, taps as the schedule numbers them."""
    (weight,) = layer.synapses.weights
    by_place = weight.reshape(len(weight), layer.schedule.task.inputs.synapses[0].geometry.channels, -1)
    return by_place.transpose(2, 1, 0).reshape(-1, len(weight)).astype(np.int64)


def _packed_words(weight: NDArray[np.int64]) -> list[str]:
    """Weights of a row group, of each tap, so many a word, the first in the lowest bits."""
    taps, rows = weight.shape
    padded = np.zeros((taps, -(-rows // WEIGHTS_PER_WORD) * WEIGHTS_PER_WORD), np.int64)
    padded[:, :rows] = weight & 0xFF
    shifts = 8 * np.arange(WEIGHTS_PER_WORD)
    words = (padded.reshape(taps, -1, WEIGHTS_PER_WORD) << shifts).sum(axis=2)
    return [_line(row) for row in words.tolist()]


def _line(values: Iterable[int]) -> str:
    return " ".join(f"{int(value) & 0xFFFFFFFF:x}" for value in values)
