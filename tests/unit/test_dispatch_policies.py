"""Dispatch policies against their texts: which NTWUs come together, and what choosing them costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import spikex_sim as sx
from distribution import install
from naive_dispatch import Batch, Ntwu, packed
from networks import linear
from pipeline import run
from spikex_sim.core import registry
from spikex_sim.core.errors import ConfigError, PluginError
from spikex_sim.core.field import Inputs
from spikex_sim.core.registry import plugin
from spikex_sim.schedules.ntwu.packing import DispatchHardware, DispatchSizes, Knobs, Packing, TileView
from spikex_sim.schedules.ntwu.survey import STREAMS
from spikex_sim.spec.load import load_accelerator
from spikex_sim.testing.kit import task_of
from spikex_sim.testing.workloads import Workload
from strategies import workloads

INT = {"threshold": 10, "leak_shift": 1, "reset": "zero", "datapath": "int"}


def batches_of(packing: Packing) -> list[list[tuple[int, int]]]:
    """Batches of (position, window)."""
    columns = list(zip(packing.position.tolist(), packing.window.tolist(), strict=True))
    edges = [*packing.batch_starts.tolist(), len(columns)]
    return [columns[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]  # noqa: RUF007


def names(batches: list[Batch]) -> list[list[tuple[int, int]]]:
    return [[(p, w) for p, w, _ in batch] for batch in batches]


def taps_of(workload: Workload, tws: int, stream: str) -> dict[tuple[int, int], frozenset[int]]:
    """Taps of every NTWU from the definition (Section 2): those with a spike, or all of their channels."""
    layer = workload.spec
    spikes = workload.spikes.reshape(layer.in_channels, -1, workload.timesteps)
    high, wide = (layer.in_height, layer.in_width) if layer.kind == "conv" else (1, 1)
    (e_h, e_w), (u_h, u_w), (p_h, p_w) = layer.kernel, layer.stride, layer.padding
    found: dict[tuple[int, int], frozenset[int]] = {}
    for y in range(layer.out_height):
        for x in range(layer.out_width):
            for w in range(-(-workload.timesteps // tws)):
                taps = set()
                for c in range(layer.in_channels):
                    own = set()
                    for i in range(e_h):
                        for j in range(e_w):
                            row, col = y * u_h + i - p_h, x * u_w + j - p_w
                            inside = 0 <= row < high and 0 <= col < wide
                            if inside and spikes[c, row * wide + col, w * tws : (w + 1) * tws].any():
                                own.add((i, j))
                    if stream == "all" or (stream == "channel" and own):
                        own = {(i, j) for i in range(e_h) for j in range(e_w)}
                    taps |= {(c * e_h + i) * e_w + j for i, j in own}
                found[y * layer.out_width + x, w] = frozenset(taps)
    return found


def tile_of(
    inputs: Inputs, active: NDArray[np.bool_], stream: str, knobs: Knobs, corner: tuple[int, int]
) -> TileView:
    p, w = corner
    return TileView(active[p:, w:], p, w, inputs, stream, knobs)


WAYS: dict[str, Any] = {"overlap": None, "lookahead": (None, 0.0, 0.5)}


@pytest.mark.kernels
@pytest.mark.parametrize("policy", WAYS)
@given(data=st.data())
def test_greedy_policies_are_as_their_texts_say(policy: str, data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=5, longest=16))
    tws = data.draw(st.integers(1, 4))
    stream = data.draw(st.sampled_from(["tap", *STREAMS]))
    cols, mode = data.draw(st.integers(1, 5)), data.draw(st.sampled_from(["temporal", "spatial"]))
    knobs = Knobs(
        candidates=data.draw(st.integers(1, 9)),
        credit=data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        batches=data.draw(st.integers(1, 3)),
    )
    task = task_of(workload, tws, load_accelerator())
    corner = data.draw(st.integers(0, len(task.active) - 1)), 0
    tile = tile_of(task.inputs, task.active, stream, knobs, corner)
    got = batches_of(plugin("dispatch", policy).pack(tile, cols, mode))

    first = tile.first_position
    sets = taps_of(workload, tws, stream)
    where = np.argwhere(tile.active) if mode == "temporal" else np.argwhere(tile.active.T)[:, ::-1]
    ntwus: list[Ntwu] = [(p, w, sets[p + first, w]) for p, w in where.tolist()]
    ways = WAYS[policy] or (knobs.credit,)
    assert got == names(packed(ntwus, cols, knobs.candidates, ways, knobs.batches if len(ways) > 1 else 1))


@given(data=st.data())
def test_sorting_keeps_windows_in_order_and_puts_like_beside_like(data: st.DataObject) -> None:
    workload = data.draw(workloads(largest_map=5, longest=16))
    tws, cols = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    sort = data.draw(st.sampled_from(["popcount", "hash"]))
    task = task_of(workload, tws, load_accelerator())
    policy = plugin("dispatch", "sorted")
    tile = tile_of(task.inputs, task.active, "tap", Knobs(sort=sort), (0, 0))
    batches = batches_of(policy.pack(tile, cols, policy.mode(task.active, cols)))
    assert all(len(batch) == cols for batch in batches[:-1])
    order = [one for batch in batches for one in batch]
    sets = taps_of(workload, tws, "tap")
    keys = {
        one: len(taps) if sort == "popcount" else min(((tap_of(tap, workload) + 1) * 2654435761 % 2**32
                                                       for tap in taps), default=2**32)
        for one, taps in sets.items()
    }  # fmt: skip
    assert order == sorted(order, key=lambda one: (one[1], keys[one], one[0]))


def tap_of(tap: int, workload: Workload) -> int:
    """Number of a tap in the order in which a filter position has all its channels side by side."""
    channel, place = divmod(tap, workload.spec.kernel[0] * workload.spec.kernel[1])
    return place * workload.spec.in_channels + channel


def test_runs_go_on_over_the_next_position() -> None:
    active = np.array([[1, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)
    inputs: Any = None
    across = plugin("dispatch", "across")
    assert batches_of(across.pack(TileView(active, 0, 0, inputs), 3, "temporal")) == [
        [(0, 0), (0, 2), (0, 3)],
        [(0, 4), (2, 1), (2, 2)],
        [(2, 4)],
    ]
    agile = plugin("dispatch", "agile")
    spatial = (policy.pack(TileView(active, 0, 0, inputs), 3, "spatial") for policy in (across, agile))
    one, other = map(batches_of, spatial)
    assert one == other


ONE_WINDOW = {"tws": 1, "array.cols": 2, "array.rows": 1}


def row(sets: list[str]) -> sx.Trace:
    """Positions in a row that see a channel for each letter; a letter says which have a spike."""
    letters = sorted({letter for taps in sets for letter in taps})
    spikes = np.array([[[[letter in taps] for taps in sets]] for letter in letters])
    layer = {"name": "conv", "kind": "conv", "in_channels": len(letters), "out_channels": 1, "kernel": 1,
             "in_height": 1, "in_width": len(sets), "neuron": INT}  # fmt: skip
    return sx.Trace.from_arrays([layer], spikes)


def taps(trace: sx.Trace, **keys: Any) -> int:
    return sx.simulate(trace, overrides=ONE_WINDOW | keys).layers[0].operations.streamed_taps


def test_what_policies_stream_worked_out_by_hand() -> None:
    """Two columns, one window: who shares a batch.

    In order ab+cd, ab+cd: 4 + 4 taps. By overlap ab+ab, cd+cd: 2 + 2, if both are in the window. By popcount
    all are alike; the least hashes of ab and of cd are those of a (tap 1: 2654435761) and of d (tap 4:
    2027808452 < that of c, 3668339987), so that cd come first.
    """
    trace = row(["ab", "cd", "ab", "cd"])
    assert taps(trace) == 8
    assert taps(trace, dispatch="overlap") == 4
    assert taps(trace, dispatch="overlap", dispatch_candidates=1) == 8
    assert taps(trace, dispatch="lookahead") == 4
    assert taps(trace, dispatch="sorted") == 8
    assert taps(trace, dispatch="sorted", dispatch_sort="hash") == 4
    assert taps(row(["abcd", "a", "abcd", "a"]), dispatch="sorted") == 5


def test_a_credit_lets_a_large_set_that_fits_go_first() -> None:
    """After abc the next adds 1 (d) or 1 (abcd); a credit prefers abcd, whose other taps are there."""
    trace = row(["abc", "d", "abcd", "d"])
    assert taps(trace, dispatch="overlap") == 4 + 4
    assert taps(trace, dispatch="overlap", dispatch_credit=0.5) == 4 + 1


# --- What it costs in hardware ---------------------------------------------------------------------


def busy_layer() -> Workload:
    layer = {"name": "conv", "kind": "conv", "in_channels": 3, "out_channels": 10, "kernel": 3, "stride": 1,
             "padding": 1, "in_height": 6, "in_width": 6, "neuron": INT}  # fmt: skip
    rng = np.random.default_rng(3)
    weight = rng.integers(-9, 9, (10, 3, 3, 3)).astype(np.int8)
    return Workload(layer, rng.random((3, 6, 6, 12)) < 0.1, weight)


HARDWARE: dict[str, tuple[dict[str, Any], int, int, int]] = {
    # 27 taps: one pass of 64 tags and one cycle to choose, for 7 of 8 columns; 16 candidates.
    "overlap": ({}, 7 * 2, 7 * 16 * 27, 8 * 27),
    # 3 ways over 4 batches, and the batch that is issued: 13 times as much.
    "lookahead": ({}, 13 * 7 * 2, 13 * 7 * 16 * 27, 8 * 27),
    # Keys of 8 NTWUs, one after the other, are compared with those of 36 positions: 5 bits count to 27.
    "sorted": ({}, 8 * 1, 8 * (27 + 36 * 5), 8 * 5),
}


@pytest.mark.parametrize("policy", HARDWARE)
def test_compared_bits_and_cycles_are_those_declared(policy: str) -> None:
    keys, cycles, compared, stored = HARDWARE[policy]
    keys = keys | {"dispatch": policy, "mapping.tile": "layer"}
    hidden, charged = (
        run(busy_layer(), load_accelerator("spikex", keys | {"dispatch_cycles": how}))
        for how in ("hidden", "charged")
    )
    batches = hidden.layout.operations.batches
    assert batches == 2 * hidden.schedule.batches > 0, "two row groups"
    counts = hidden.layout.accesses.counts
    assert counts["dispatch", "compared_bits", "tag"] == batches * compared
    assert counts["dispatch", "stored_bits", "tag"] == batches * stored
    assert charged.layout.compute_cycles == hidden.layout.compute_cycles + batches * cycles
    assert charged.layout.operations == hidden.layout.operations, "PEs are no busier"
    assert charged.layout.accesses == hidden.layout.accesses


def test_the_energy_is_that_of_registers_and_adders() -> None:
    """9 fJ a bit at 40 nm, half of it a read; a full adder is a 32nd of 85.8 fJ; x 0.7588 to 32 nm."""
    trace = row(["ab", "cd", "ab", "cd"])
    result = sx.simulate(trace, overrides=ONE_WINDOW | {"dispatch": "overlap"}).layers[0]
    register, adder = 9e-3 / 2 * 0.7588, 85.8e-3 / 32 * 0.7588
    compared, stored = 2 * (1 * 4 * 4), 2 * (2 * 4)
    wanted = compared * (register + adder) + stored * register
    assert result.energy.components["dispatch"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("policy", ["agile", "temporal", "spatial", "across"])
def test_policies_that_compare_nothing_have_no_part(policy: str) -> None:
    trace = row(["ab", "cd"])
    result = sx.simulate(trace, overrides={"tws": 1, "dispatch": policy})
    assert "dispatch" not in result.totals.energy_pj_by
    sizes = DispatchSizes(taps=27, positions=36, windows=3, cols=8)
    assert not plugin("dispatch", policy).hardware(sizes).held_bits


class Reversed:
    """A policy of somebody else: positions from the last to the first, with a declared comparator."""

    def mode(self, active: NDArray[np.bool_], cols: int) -> str:
        return "spatial"

    def pack(self, tile: TileView, cols: int, mode: str) -> Packing:
        window, position = np.nonzero(tile.active.T[:, ::-1])
        return Packing(len(tile.active) - 1 - position, window, np.arange(0, len(window), cols))


class Declaring(Reversed):
    def hardware(self, sizes: DispatchSizes) -> DispatchHardware:
        return DispatchHardware(candidates=2, tag_bits=sizes.taps, cycles_per_batch=3, compared_bits=5)


class Wrong(Reversed):
    def hardware(self, sizes: DispatchSizes) -> int:
        return 5


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the policies, and forget them afterwards."""
    classes = {"silent": "Reversed", "declaring": "Declaring", "wrong": "Wrong"}
    points = {name: f"{__name__}:{one}" for name, one in classes.items()}
    install("others", "1.0", {"spikex_sim.dispatch": points}, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = registry._found, registry._instance
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("others")
def test_policies_of_others_may_declare_hardware() -> None:
    trace = row(["ab", "cd", "ab", "cd"])

    def run_with(policy: str, **keys: Any) -> Any:
        return sx.simulate(trace, overrides=ONE_WINDOW | {"dispatch": policy} | keys)

    silent, told = run_with("silent"), run_with("declaring")
    charged = run_with("declaring", dispatch_cycles="charged")
    assert "dispatch" not in silent.totals.energy_pj_by
    assert told.totals.energy_pj_by["dispatch"] > 0
    assert told.layers[0].counts["dispatch", "compared_bits", "tag"] == 2 * 5
    assert charged.totals.compute_cycles == told.totals.compute_cycles + 2 * 3
    with pytest.raises(ConfigError, match="policy silent declares no hardware"):
        run_with("silent", dispatch_cycles="charged")
    with pytest.raises(PluginError, match=r"hardware\(\) gave 5, not a DispatchHardware"):
        run_with("wrong")


def test_one_position_leaves_nothing_to_choose() -> None:
    layer = Workload(linear("fc", (5, 3), INT), np.eye(5, 12, dtype=bool), np.ones((3, 5), np.int8))
    agile, overlap = (
        run(layer, load_accelerator("spikex", {"tws": 2, "dispatch": policy}))
        for policy in ("agile", "overlap")
    )
    assert overlap.layout.accesses == agile.layout.accesses
    assert overlap.layout.compute_cycles == agile.layout.compute_cycles


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"dispatch_cycles": "charged"}, "dispatch_cycles: has no effect: dispatch is agile"),
        ({"dispatch": "overlap", "dispatch_sort": "hash"}, "dispatch_sort: has no effect: dispatch is over"),
        ({"dispatch": "lookahead", "dispatch_credit": 0.5}, "dispatch_credit: has no effect"),
        ({"dispatch": "overlap", "dispatch_candidates": 0}, "dispatch_candidates: "),
        ({"dispatch": "overlap", "dispatch_credit": 1.5}, "dispatch_credit: "),
        ({"dispatch": "lookahead", "dispatch_batches": 65}, "dispatch_batches: "),
        ({"dispatch": "sorted", "dispatch_sort": "size"}, "dispatch_sort: "),
        ({"dispatch": "overlaps"}, "no plug-in 'overlaps'"),
    ],
)
def test_wrong_keys_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sx.simulate(row(["a"]), overrides={"tws": 1} | keys)
    assert message in str(refused.value)
