"""Lower bounds and optima of dispatch against all that can be done with a tile, and the command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from examples import examples
from naive_dispatch import Ntwu, every
from networks import conv, linear, random_weights, trace_of
from spikex_sim.core.registry import plugin_names
from spikex_sim.data import default_trace_path
from spikex_sim.explore import dispatch_bounds
from spikex_sim.explore.dispatch import VARIANTS, policies, study, tiles_of
from spikex_sim.explore.dispatch_bounds import Lower, TileWork, lower_bound, optimum, paired_bound
from spikex_sim.schedules.dispatch.sets import TapSets
from spikex_sim.spec.load import load_accelerator

ortools = pytest.importorskip("ortools", reason="OR-Tools is not installed (pip install '.[map]')")
NEURON = {"threshold": 24, "leak_shift": 5, "reset": "zero", "datapath": "int"}


def work(tile: list[Ntwu], owed: list[int], cols: int, tws: int) -> TileWork:
    taps = [sorted(one[2]) for one in tile]
    start = np.cumsum([0, *map(len, taps)])
    sets = TapSets(start, np.array([tap for own in taps for tap in own], np.int64))
    position = np.array([one[0] for one in tile], np.int64)
    return TileWork(sets, position, np.array(owed, np.int64) + tws, cols, tws)


@st.composite
def tiles(draw: st.DrawFn) -> tuple[list[Ntwu], list[int]]:
    """Up to five NTWUs with few taps, in the order of position and window; and windows that they owe."""
    places = draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5))
    some = st.frozensets(st.integers(0, 6), max_size=5)
    tile = [(p, w, draw(some)) for p, w in sorted(places)]
    return tile, [draw(st.integers(0, 3)) for _ in tile]


def cheapest(tile: list[Ntwu], owed: list[int], cols: int, tws: int) -> Lower:
    """Least taps and least cycles of all ways to dispatch a tile."""
    update = {one[:2]: tws + more for one, more in zip(tile, owed, strict=True)}
    taps, cycles = [], []
    for batches in every(tile, cols):
        streamed = [len(frozenset[int]().union(*(one[2] for one in batch))) for batch in batches]
        phases = [
            max(sum(update[one[:2]] for one in batch if one[0] == p) for p in {one[0] for one in batch})
            for batch in batches
        ]
        taps.append(sum(streamed))
        cycles.append(tws * sum(streamed) + sum(phases))
    return Lower(min(taps), min(cycles))


@examples(40)
@given(tiles(), st.integers(1, 4), st.integers(1, 3))
def test_no_way_goes_below_the_bound_and_the_optimum_is_the_best(
    drawn: tuple[list[Ntwu], list[int]], cols: int, tws: int
) -> None:
    tile, owed = drawn
    one = work(tile, owed, cols, tws)
    best, least = cheapest(tile, owed, cols, tws), lower_bound(one)
    assert least.taps <= best.taps and least.cycles <= best.cycles
    alone = sum(len(taps) for _, _, taps in tile)
    worst = {"taps": alone, "cycles": tws * alone + sum(owed) + tws * len(tile)}
    for what in ("taps", "cycles"):
        assert optimum(one, what, worst[what]) == getattr(best, what)


def test_each_bound_is_the_sharpest_of_some_tile() -> None:
    """Two columns. Large sets apart; taps that all ask for; sets that overlap in a ring."""
    large = [(p, 0, frozenset(range(10 * p, 10 * p + size))) for p, size in enumerate((5, 5, 1, 1))]
    assert lower_bound(work(large, [0] * 4, 2, 1)).taps == 12 == sum(map(len, (one[2] for one in large)))
    shared = [(p, 0, frozenset({0, p + 1})) for p in range(4)]
    assert lower_bound(work(shared, [0] * 4, 2, 1)).taps == 2 + 4
    ring = work([(p, 0, frozenset({p, (p + 1) % 4})) for p in range(4)], [0] * 4, 2, 1)
    assert paired_bound(ring.sets, 2) == lower_bound(ring).taps == 6, "3 for every pair of neighbours"
    # A policy that puts (0, 1) and (2, 3) together streams 3 + 3.
    assert optimum(ring, "taps", 6) == 6


def test_an_empty_tile_costs_nothing() -> None:
    assert lower_bound(work([], [], 8, 4)) == Lower(0, 0)


def network() -> sx.Trace:
    layers = [conv("conv", (2, 9), 4, NEURON, padding=1), linear("fc", (9 * 16, 5), NEURON)]
    spikes = np.random.default_rng(5).random((2, 4, 4, 12)) < 0.08
    weights = [weight // 2 for weight in random_weights(layers, 3) if weight is not None]
    return trace_of(layers, spikes, weights)


SMALL_TILES = {"mapping.positions": 2, "mapping.windows": 3, "array.cols": 2}


@pytest.mark.parametrize("keys", [{}, {"stream": "channel"}, {"update_cycles": 3, "accumulators_per_pe": 2},
                                  {"leak_catchup_cycles": 4}])  # fmt: skip
def test_every_policy_lies_above_optimum_and_bound(keys: dict[str, Any]) -> None:
    found = study(network(), tws=3, overrides=SMALL_TILES | keys, bound=True, best=True)
    assert found.same_spikes is True
    assert {row["policy"] for row in found.rows} == {*plugin_names("dispatch"), *VARIANTS}
    proven = 0
    for row in found.rows:
        assert 0 < row["bound_taps"] <= row["streamed_taps"]
        assert 0 < row["bound_cycles"] <= row["slot_cycles"]
        assert row["optimum_taps"] <= row["small_taps"] <= row["streamed_taps"]
        assert row["optimum_cycles"] <= row["small_cycles"] <= row["slot_cycles"]
        proven += row["small_tiles"] - row["unproven_tiles"]
    assert proven > 0


def test_cycles_of_slots_are_those_of_the_array_without_its_skew() -> None:
    seen: list[Any] = []
    keys = {"skew": "none", "mapping.positions": 5, "dispatch": "overlap", "dispatch_cycles": "charged"}
    sx.simulate(network(), tws=3, overrides=keys, observe=seen.append)
    rows = study(
        network(), ["overlap"], tws=3, overrides={key: keys[key] for key in ("skew", "mapping.positions")}
    )
    for layer, row in zip(seen, rows.rows, strict=False):
        hidden = layer.cost.layout.compute_cycles - row["dispatch_cycles"]
        assert row["slot_cycles"] == hidden > 0
        assert row["streamed_taps"] == layer.cost.layout.operations.streamed_taps
        assert row["cycles"] <= layer.cost.cycles


def test_update_phases_of_tiles_are_those_of_the_schedule() -> None:
    """Where every NTWU has a batch of its own, the phases of tiles are those of batches."""
    seen: list[Any] = []
    arch = load_accelerator("spikex", {"array.cols": 1, "leak_catchup_cycles": 2, "mapping.windows": 2})
    sx.simulate(network(), arch, tws=2, observe=seen.append)
    for layer in seen:
        schedule = layer.cost.schedule
        phases = np.concatenate([tile.update for tile in tiles_of(schedule, arch)])
        from spikex_sim.schedules.ntwu.updates import UPDATE_CYCLES, batch_counts

        counted = batch_counts(schedule, arch)[UPDATE_CYCLES]
        assert sorted(phases.tolist()) == sorted(counted.tolist())


def test_policies_are_what_their_names_say_whatever_the_machine_has() -> None:
    rows = {
        arch: study(network(), ["agile", "overlap", "overlap-half"], arch, tws=3).rows
        for arch in ("spikex", "spikex-plus")
    }
    assert rows["spikex"] == rows["spikex-plus"]


def test_keys_of_policies_go_to_those_that_read_them() -> None:
    keys = {"dispatch_candidates": 1}
    found = study(network(), ["agile", "overlap"], tws=3, overrides=keys)
    agile, overlap = (row for row in found.rows if row["layer"] == "total")
    assert overlap["batches"] == agile["batches"], "one candidate leaves no choice"
    for names, message in (
        (["agile"], "dispatch_candidates: has no effect: none of agile reads it"),
        (["overlaps"], "policies: "),
    ):
        with pytest.raises(sx.ConfigError, match=message):
            study(network(), names, overrides=keys)
    with pytest.raises(sx.ConfigError, match="dispatch: is what policies differ in"):
        study(network(), overrides={"dispatch": "agile"})
    with pytest.raises(sx.ConfigError, match="dispatch: not read by the machine ptb"):
        study(network(), ["agile"], "ptb")


# --- The command -----------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(network(), "t.npz")
    return tmp_path


def test_tables_and_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("dispatch", "t.npz", "--tws", "3", "--optimum", "--out", "d", "--set", "mapping.positions=3",
            "--set", "mapping.windows=4")  # fmt: skip
    shown = succeed(capsys, *line).out
    for words in ("conv (", "fc (", "total", "Scheduler", "Tiles of up to 24 NTWUs", "identical for all pol"):
        assert words in shown
    assert all(name in shown for name in policies())
    rows = list(csv.DictReader(Path("d/dispatch.csv").read_text().splitlines()))
    assert len(rows) == 3 * len(policies())
    assert Path("d/dispatch.pdf").read_bytes().startswith(b"%PDF")
    assert succeed(capsys, "plot", "d", "--format", "png").out.count("dispatch.png") == 1
    result = succeed(capsys, "run", "t.npz", "--tws", "3", "--set", "mapping.positions=3", "--set",
                     "mapping.windows=4", "--out", "r")  # fmt: skip
    assert result.out
    totals = json.loads(Path("r/results.json").read_text())["totals"]
    [agile] = [row for row in rows if (row["policy"], row["layer"]) == ("agile", "total")]
    for key in ("cycles", "batches", "streamed_taps"):
        assert int(agile[key]) == totals[key]
    for key in ("energy_pj", "edp_js", "utilization"):
        assert float(agile[key]) == pytest.approx(totals[key], rel=1e-12)


def test_the_packaged_digit(capsys: pytest.CaptureFixture[str]) -> None:
    shown = succeed(capsys, "dispatch", "--policies", "agile,overlap-half").out
    assert "identical" in shown and default_trace_path().stem.replace("_", "-")[:6] in shown.replace("_", "-")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--policies agile,best", "policies"),
        ("--policies agile,agile", "names agile twice"),
        ("--policies ,", "names nothing"),
        ("--arch sata", "dispatch: not read by the machine sata, but by spikex"),
        ("--set dispatch=agile", "is what policies differ in"),
        ("--set dispatch_cycles=charged --policies across", "has no effect"),
        ("none.npz", "none.npz"),
    ],
)
def test_mistakes(here: Path, capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    is_mistake(spikex(capsys, "dispatch", *line.split(), "--out", "d"), message)
    assert not list(here.glob("d/*"))


def test_without_or_tools_it_says_what_to_install(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name, name="ortools")

    monkeypatch.setattr(dispatch_bounds, "import_module", missing)
    is_mistake(spikex(capsys, "dispatch", "t.npz", "--bound"), "needs OR-Tools (ortools is missing)")
    assert succeed(capsys, "dispatch", "t.npz").out


def test_the_page_is_what_its_rows_say() -> None:
    root = Path(__file__).resolve().parents[2]
    script = root / "scripts" / "make_dispatch_page.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page, folder = (root / "docs" / "dispatch.md").read_text("utf-8"), root / "docs" / "dispatch"
    assert all(f"`{name}`" in page for name in policies())
    assert "(dispatch/dvs-medium.svg)" in page and (folder / "dvs-medium.svg").is_file()
