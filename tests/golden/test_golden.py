"""Counts, cycles and hashes of the shipped traces are what they were."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from golden.difference import differences

SPEC = importlib.util.spec_from_file_location("regenerate", Path(__file__).with_name("regenerate.py"))
assert SPEC and SPEC.loader
golden = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(golden)

RUNS = [(trace, arch) for trace in golden.traces() for arch in golden.ARCHS]


@pytest.mark.parametrize(("trace", "arch"), RUNS)
def test_nothing_has_changed(trace: str, arch: str) -> None:
    kept = json.loads(golden.golden_file(trace, arch).read_text())
    meta = kept.pop("_meta")
    found = json.loads(json.dumps(golden.measure(golden.traces()[trace], arch)))
    changed = differences(found, kept)
    shown = "\n".join(changed[:20])
    assert not changed, (
        f"{len(changed)} values differ from those of version {meta['spikex_sim']}:\n{shown}\n"
        f"If this is meant: `{golden.COMMAND}`, and say so in CHANGELOG.md"
    )


def test_every_golden_file_is_compared() -> None:
    there = {path.name for path in golden.FOLDER.glob("*.json")}
    assert there == {golden.golden_file(*run).name for run in RUNS}


@pytest.mark.parametrize(("trace", "arch"), RUNS)
def test_where_they_come_from_is_told(trace: str, arch: str) -> None:
    meta = json.loads(golden.golden_file(trace, arch).read_text())["_meta"]
    assert meta["command"] == golden.COMMAND and arch in meta["run"]
    assert all(meta[name] for name in ("spikex_sim", "numpy", "numba", "python"))


def test_a_difference_would_be_found() -> None:
    kept = {"layers": [{"cycles": 3, "name": "a"}], "gone": 1}
    found = {"layers": [{"cycles": 4, "name": "a"}], "new": 2}
    changed = differences(found, kept)
    assert changed[0] == "layers[0].cycles: was 3, is 4"
    assert [line.split(":")[0] for line in changed] == ["layers[0].cycles", "gone", "new"]
    assert differences(kept, kept) == []
