"""What a run gives out cannot be changed, however deep, also after a trip through pickle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.counts import Accesses, AccessLog
from spikex_sim.core.errors import InternalError
from spikex_sim.core.frozen import FrozenMap, frozen, plain
from spikex_sim.core.spikes import count_spikes
from spikex_sim.run.transfers import transfers_of
from spikex_sim.schedules.ntwu.schedule import NtwuSchedule

LAYERS = [
    {"name": "fc", "kind": "linear", "in_channels": 5, "out_channels": 3,
     "neuron": {"threshold": 1, "leak_shift": 2}}
]  # fmt: skip
TRACE = sx.Trace.from_arrays(LAYERS, np.ones((2, 5, 9), bool), weights=[np.ones((3, 5), np.int8)])
COPIES: list[Callable[[Any], Any]] = [
    lambda value: value, lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy, copy.copy,
    replace,
]  # fmt: skip


def inside(value: Any, seen: set[int]) -> Iterator[Any]:
    """Everything that can be reached from a result."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    parts: list[Any] = []
    if is_dataclass(value) and not isinstance(value, type):
        parts += [getattr(value, item.name) for item in fields(value)]
    if isinstance(value, Mapping):
        parts += [value[key] for key in value]
    if isinstance(value, tuple):
        parts += list(value)
    for part in parts:
        yield from inside(part, seen)


@pytest.mark.parametrize("kept", COPIES)
@pytest.mark.parametrize("arch", ["spikex", "sata"])
def test_nothing_in_a_result_can_be_changed(kept: Callable[[Any], Any], arch: str) -> None:
    result = kept(sx.simulate(TRACE, arch))
    found = [*inside(result, set()), *inside(result.totals, set())]
    assert len(found) > 100
    for value in found:
        assert not isinstance(value, dict | list | set), value
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable
        elif isinstance(value, Mapping):
            with pytest.raises((TypeError, AttributeError)):
                value["new"] = 1  # type: ignore[index]
        if is_dataclass(value):
            with pytest.raises(AttributeError):
                setattr(value, fields(value)[0].name, None)
    assert result.outputs is not None and count_spikes(result.outputs) == 2 * 3 * 9


def test_a_result_survives_pickle() -> None:
    result = sx.simulate(TRACE)
    other = pickle.loads(pickle.dumps(result))
    assert other == result and other.to_dict() == result.to_dict()
    assert np.array_equal(other.outputs, result.outputs)


def test_a_run_cannot_break_the_next_one() -> None:
    """The energy model of a built-in table is kept between runs."""
    first = sx.simulate(TRACE)
    assert sx.simulate(TRACE).energy_model is first.energy_model
    model: Any = first.energy_model
    attempts = [
        lambda: model.components.__setitem__(0, None),
        lambda: model.components[0].prices.update({("alu", "accumulate", ""): 1e9}),
        lambda: model.components[0].prices.__setitem__(("alu", "accumulate", ""), 1e9),
        lambda: model.components[3].provenance.pop("glb"),
        lambda: setattr(model.components[0], "idle_pj", 1e9),
        lambda: model.provenance.pop("glb"),
        lambda: first.totals.energy_pj_by.__setitem__("alu", 0.0),
    ]
    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError)):
            attempt()
    assert sx.simulate(TRACE).totals.to_dict() == first.totals.to_dict()
    assert energy_model(first.arch).provenance["glb"]


def test_writing_to_what_was_given_changes_nothing() -> None:
    given: dict[str, Any] = {"a": [1, {"b": np.zeros(2)}]}
    kept = frozen(given)
    given["a"][1]["b"][0] = 7
    given["c"] = 1
    assert plain({"a": kept["a"][0]}) == {"a": 1} and kept["a"][1]["b"][0] == 0 and "c" not in kept
    with pytest.raises(ValueError, match="read-only"):
        kept["a"][1]["b"][0] = 7


def test_a_frozen_map_is_a_mapping() -> None:
    items = {"b": 2, "a": 1}
    kept = FrozenMap(items)
    items["b"] = 3
    assert (dict(kept), list(kept), len(kept), kept.get("c")) == ({"b": 2, "a": 1}, ["b", "a"], 2, None)
    assert kept == {"a": 1, "b": 2} == kept and kept != {"a": 1}
    assert repr(kept) == "FrozenMap({'b': 2, 'a': 1})"
    assert pickle.loads(pickle.dumps(kept)) == kept


# --- What cannot be is no result -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cycles": -3}, "cycles is -3"),
        ({"compute_cycles": 1}, "cycles is {cycles}, but compute_cycles and stalls are"),
        ({"steps": -1}, "steps is -1"),
        ({"pes": 1}, "utilization is above 1: pe_cycles is {pe_cycles} of 1 PEs in {cycles} cycles"),
    ],
)
def test_contradictions_are_internal_errors(changes: dict[str, Any], words: str) -> None:
    layer = sx.simulate(TRACE, "ptb", tws=1).layers[0]
    assert layer.operations.pe_cycles > layer.cycles
    wanted = words.format(cycles=layer.cycles, pe_cycles=layer.operations.pe_cycles)
    with pytest.raises(InternalError, match=f"^internal error: {wanted}"):
        replace(layer, **changes)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A count that overflows on machines with tags."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(TRACE, "t.npz")
    freeze = AccessLog.freeze

    def overflowing(log: AccessLog) -> Accesses:
        if freeze(log).read_bits("lbuf", "tag"):
            log.read("lbuf", "psum", -93240)
        return freeze(log)

    monkeypatch.setattr(AccessLog, "freeze", overflowing)


def test_the_command_line_says_so_in_one_line(faulty: None, capsys: pytest.CaptureFixture[str]) -> None:
    from spikex_sim.__main__ import main

    code = main(["run", "t.npz", "--out", "o"])
    shown = capsys.readouterr()
    assert (code, shown.out) == (70, "")
    assert shown.err == (
        "spikex-sim: internal error: lbuf read_bits of psum is -93240; "
        "this is a fault of the program, please report it\n"
    )
    assert not Path("o/results.json").exists()


def test_additions_counted_are_those_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = NtwuSchedule.execute
    monkeypatch.setattr(NtwuSchedule, "execute", lambda *given: execute(*given)._replace(additions=1))
    with pytest.raises(InternalError, match=r"^internal error: additions of layer fc is 135, but 1 were"):
        sx.simulate(TRACE)


def test_transfers_listed_are_those_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(timed: Any) -> None:
        monkeypatch.setattr(type(timed.cost.layout.program), "bits", lambda *_: np.zeros(0, np.int64))
        with pytest.raises(InternalError, match=r"dram read_bits of ifmap in layer fc is \d+, but 0 are"):
            transfers_of(timed, ["dram"])
        monkeypatch.undo()

    sx.simulate(TRACE.first(9), observe=observe)


def test_a_sweep_keeps_it_with_the_point(faulty: None) -> None:
    rows = sx.sweep(TRACE, {"array.rows": [8]}, arch=["spikex", "systolic-os"])
    assert rows[0]["error"].startswith("internal error: lbuf read_bits of psum is -93240; ")
    assert rows[0]["cycles"] is None and rows[1]["error"] == "" and rows[1]["cycles"] > 0
