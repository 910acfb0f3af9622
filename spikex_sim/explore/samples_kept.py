"""Samples that were replayed, as a store keeps them: counts and outputs, checked when they are read back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import astuple
from math import isfinite, prod
from typing import Any

import numpy as np

from spikex_sim.core.counts import LEVELS, TENSORS, Counts, Operations, Stalls
from spikex_sim.core.errors import InternalError, SpikexError
from spikex_sim.core.frozen import FrozenMap, plain
from spikex_sim.core.spikes import count_spikes
from spikex_sim.run.merging import Outputs, SampleRun
from spikex_sim.run.results import LayerResult
from spikex_sim.run.simulate import Replay, Unit, name_and_label
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.held import Held
from spikex_sim.timing.busy import idle

Item = dict[str, Any]


def kept(run: SampleRun) -> Item:
    """A sample as JSON has it; energies are not kept, since they follow from counts and cycles."""
    layers = [_kept_layer(layer, out) for layer, out in zip(run.layers, run.outputs, strict=True)]
    return {"layers": layers, "software": run.software}


def _kept_layer(layer: LayerResult, outputs: Outputs) -> Item:
    packed = None if outputs is None else base64.b64encode(zlib.compress(outputs.tobytes(), 1)).decode()
    return {
        "tws": layer.tws,
        "mode": layer.mode,
        "cycles": layer.cycles,
        "compute_cycles": layer.compute_cycles,
        "stalls": list(layer.stalls.values()),
        "operations": list(astuple(layer.operations)),
        "counts": [[*counter, number] for counter, number in layer.counts.items()],
        "steps": layer.steps,
        "busy": list(layer.busy.values()),
        "held": [list(one) for one in layer.held],
        "estimate_pj": layer.estimate_pj,
        "input_spikes": layer.input_spikes,
        "mismatched_spikes": layer.mismatched_spikes,
        "mapping": plain(layer.mapping),
        "outputs": packed,
        "mismatched_values": layer.mismatched_values,
        "pes": layer.pes,
        "span_cycles": layer.span_cycles,
        "chip": None if layer.chip is None else plain(asdict_of(layer.chip)),
        "changed_spikes": layer.changed_spikes,
    }


def asdict_of(chip: ChipFigures) -> dict[str, Any]:
    """Figures of a crossbar machine by name."""
    return {name: getattr(chip, name) for name in chip.__dataclass_fields__}


def unkept(items: Any, replay: Replay, unit: Unit) -> list[SampleRun] | None:
    """Samples of a unit of a replay as they were kept; None if anything about them cannot be."""
    try:
        pairs = zip(_typed(items, list), replay.samples_of(unit), strict=True)
        return [_sample(item, name_and_label(*sample), replay) for item, sample in pairs]
    except (_DamagedError, KeyError, TypeError, ValueError, SpikexError, InternalError):
        return None


class _DamagedError(Exception):
    pass


def _typed(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise _DamagedError
    return value


def _sample(item: Any, known: tuple[str, int | None], replay: Replay) -> SampleRun:
    stages = replay.stages
    found = [
        _layer(one, stage, replay) for one, stage in zip(_typed(item, dict)["layers"], stages, strict=True)
    ]
    layers = tuple(layer for layer, _ in found)
    outputs = tuple(left for _, left in found)
    return SampleRun(*known, layers, outputs, _count(item["software"]))


def _layer(item: Item, stage: Any, replay: Replay) -> tuple[LayerResult, Outputs]:
    runner = replay.runner
    cycles = _typed(item["cycles"], int)
    counts = Counts(
        {(_text(a), _text(b), _text(c)): _typed(number, int) for a, b, c, number in item["counts"]}
    )
    outputs = _outputs(item["outputs"], stage, replay)
    estimate = _typed(item["estimate_pj"], int, float, type(None))
    if estimate is not None and not (isfinite(estimate) and estimate >= 0):
        raise _DamagedError
    result = LayerResult(
        name=stage.name,
        kind=stage.kind,
        tws=_count(item["tws"]),
        mode=_typed(item["mode"], str, type(None)),
        cycles=cycles,
        compute_cycles=_typed(item["compute_cycles"], int),
        stalls=Stalls(*_whole(item["stalls"])),
        operations=Operations(*_whole(item["operations"])),
        counts=counts,
        energy=runner.energies_at(_count(item["tws"])).energy(counts, cycles),
        estimate_pj=estimate,
        steps=_typed(item["steps"], int),
        busy=FrozenMap(dict(zip(idle(), map(_at_least_0, item["busy"]), strict=True))),
        held=tuple(_held(one) for one in _typed(item["held"], list)),
        datapath=stage.datapath,
        mapping={
            _text(key): _typed(value, str, int, float, type(None))
            for key, value in _typed(item["mapping"], dict).items()
        },
        pes=_at_least_0(item["pes"]),
        clock_hz=float(runner.arch.clock_hz),
        input_spikes=_count(item["input_spikes"]),
        output_spikes=count_spikes(outputs) if outputs is not None and _are_spikes(outputs, replay) else None,
        output_sha256=None if outputs is None else hashlib.sha256(outputs.tobytes()).hexdigest(),
        mismatched_spikes=_count(item["mismatched_spikes"]),
        mismatched_values=_count(item["mismatched_values"]),
        span_cycles=_count(item["span_cycles"]),
        chip=_chip(item["chip"]),
        changed_spikes=_count(item["changed_spikes"]),
    )
    if (result.tws is None) != (stage.datapath is None):
        raise _DamagedError
    return result, outputs


def _chip(item: Any) -> ChipFigures | None:
    if item is None:
        return None
    counts, stalls = (
        {_text(name): _at_least_0(number) for name, number in _typed(item[key] or {}, dict).items()}
        for key in ("counts", "stalls")
    )
    start, end = (_count(item[key]) for key in ("start", "end"))
    return ChipFigures(counts or None, stalls, start, end, _at_least_0(item["busy"]))


def _held(item: Any) -> Held:
    level, tensor, *bits = _typed(item, list)
    if level not in LEVELS or tensor not in TENSORS or len(bits) != len(Held._fields) - 2:
        raise _DamagedError
    return Held(level, tensor, *map(_at_least_0, bits))


def _are_spikes(outputs: Any, replay: Replay) -> bool:
    return outputs.dtype == np.uint8 and not replay.runner.is_ann


def _outputs(text: Any, stage: Any, replay: Replay) -> Outputs:
    if text is None:
        return None
    kind, shape = stage.gives(replay.traces[0], spiking=not replay.runner.is_ann)
    try:
        packed = base64.b64decode(_text(text), validate=True)
        unpacking = zlib.decompressobj()
        length = prod(shape) * kind.itemsize
        data = unpacking.decompress(packed, length + 1)
    except (binascii.Error, zlib.error):
        raise _DamagedError from None
    if len(data) != length or not unpacking.eof or unpacking.unused_data:
        raise _DamagedError
    return np.frombuffer(data, kind).reshape(shape)


def _text(value: Any) -> str:
    text: str = _typed(value, str)
    return text


def _count(value: Any) -> int | None:
    if value is not None and _typed(value, int) < 0:
        raise _DamagedError
    count: int | None = value
    return count


def _at_least_0(value: Any) -> int:
    found = _count(_typed(value, int))
    assert found is not None
    return found


def _whole(values: Sequence[Any]) -> list[int]:
    return [_typed(value, int) for value in values]
