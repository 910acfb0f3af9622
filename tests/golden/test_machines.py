"""Numbers of every preset on a small array, for two samples, are what they were."""

from __future__ import annotations

import json

import pytest

from golden import machines
from golden.difference import differences
from spikex_sim.spec.load import preset_names


@pytest.mark.parametrize(("preset", "datapath"), machines.runs())
def test_nothing_has_changed(preset: str, datapath: str) -> None:
    kept = json.loads(machines.golden_file(preset, datapath).read_text())
    meta = kept.pop("_meta")
    assert meta["command"] == machines.COMMAND and preset in meta["run"] and datapath in meta["run"]
    assert all(meta[name] for name in ("spikex_sim", "numpy", "numba", "python"))
    changed = differences(json.loads(json.dumps(machines.measure(preset, datapath))), kept)
    shown = "\n".join(changed[:20])
    assert not changed, (
        f"{len(changed)} values differ from those of version {meta['spikex_sim']}:\n{shown}\n"
        f"If this is meant: `{machines.COMMAND}`, and say so in CHANGELOG.md"
    )


def test_every_preset_has_a_file_and_every_file_is_compared() -> None:
    assert sorted(machines.MACHINES) == preset_names()
    files = {path.name for path in machines.FOLDER.iterdir()}
    assert files == {machines.golden_file(*run).name for run in machines.runs()}


def test_the_array_is_not_square_and_the_samples_differ() -> None:
    """What a swapped side, or one sample that stands for both, could hide behind."""
    assert machines.SMALL["array.rows"] != machines.SMALL["array.cols"]
    for run in machines.runs():
        kept = json.loads(machines.golden_file(*run).read_text())
        first, second = kept["samples"]
        assert first != second or run[0] == "ann", run
        cycles = sum(layer.get("cycles", 0) for layer in kept["layers"])
        assert cycles == first["cycles"] + second["cycles"]
