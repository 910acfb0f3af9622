"""Outputs that stay in the GLB: which do, what they spare, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from networks import conv, described, forward, linear, pool, random_weights, trace_of
from spikex_sim.run.results import LayerResult
from strategies import PLENTY, level, make_spikes, prefixed

T, TWS = 10, 3
WINDOWS = 4
NEURON = {"threshold": 60, "leak_shift": 3, "reset": "zero", "datapath": "int"}
CHAIN = [
    conv("first", (2, 5), 6, NEURON, padding=1),
    conv("second", (5, 4), 6, NEURON),
    linear("last", (64, 6), NEURON),
]
SPIKES = make_spikes((2, 6, 6, T), "medium", 5)
KEEP = {"memory.glb.keep_ofmap": True}
Counts = dict[str, dict[str, dict[str, int]]]


def pooled(kind: str) -> list[dict[str, Any]]:
    """Describe the chain with pooling after its first layer."""
    second = conv("second", (5, 4), 3, NEURON)
    return [CHAIN[0], pool(kind, 5, 6), second, linear("last", (4, 6), NEURON)]


def a_trace(layers: list[dict[str, Any]] = CHAIN, *recorded: int) -> sx.Trace:
    """Closed loop, but for the layers whose input is recorded: what the layer before produces."""
    weights = random_weights(layers, 6)
    entering: dict[int, Any] = {0: SPIKES}
    if recorded:
        leaving = forward(layers, SPIKES, weights)
        assert all(0.02 < spikes.mean() < 0.9 for spikes in leaving), "a layer is silent: nothing is tested"
        shapes = [(*layer.input_shape, T) for layer in described(layers)]
        entering |= {index: leaving[index - 1].reshape(shapes[index]) for index in recorded}
    return trace_of(layers, entering, weights)


def with_half(bits: int) -> dict[str, Any]:
    """Settings of a GLB whose ofmap half has so many bits, and whose other parts hold everything."""
    return prefixed("memory.glb", level(ifmap=PLENTY, filter=PLENTY, ofmap=bits, psum=0))


def layers_of(trace: sx.Trace, base: str = "spikex", **keys: Any) -> list[LayerResult]:
    """Costs of the layers that have any."""
    result = sx.simulate(trace, base, overrides={"tws": TWS} | keys)
    return [layer for layer in result.layers if not layer.kind.endswith("pool")]


def counts_of(layer: LayerResult) -> Counts:
    """Bits by level, tensor and direction."""
    return {
        name: {tensor: dict(bits) for tensor, bits in tensors.items()}
        for name, tensors in dict(layer.accesses).items()
    }


def stored_bits(layer: LayerResult) -> int:
    """Bits that a layer stores, from a run without the knob: all of them reach DRAM."""
    counts = counts_of(layer)["dram"]
    return counts["ofmap"]["write_bits"] + counts["tag"]["write_bits"]


def spared(layer: LayerResult, *, kept: bool, input_kept: bool) -> Counts:
    """Counts of a layer, by hand from those of a run without the knob."""
    counts = counts_of(layer)
    dram, glb = counts["dram"], counts["glb"]
    if kept:  # GLB -> DRAM
        glb["tag"]["read_bits"] -= dram["tag"]["write_bits"]
        glb["ofmap"]["read_bits"] = dram["ofmap"]["write_bits"] = dram["tag"]["write_bits"] = 0
    if input_kept:  # DRAM -> GLB
        glb["tag"]["write_bits"] -= dram["tag"]["read_bits"]
        glb["ifmap"]["write_bits"] = dram["ifmap"]["read_bits"] = dram["tag"]["read_bits"] = 0
    return counts


APART = {"glb_ifmap", "glb_ofmap"}
"""Entries of a mapping that say what stays."""


def assert_kept(trace: sx.Trace, base: str, kept: list[bool], **keys: Any) -> None:
    """Compare with a run without the knob, layer by layer."""
    before = layers_of(trace, base, **keys)
    after = layers_of(trace, base, **KEEP | keys)
    assert len(kept) == len(before)
    for index, (was, found) in enumerate(zip(before, after, strict=True)):
        input_kept = index > 0 and kept[index - 1]
        assert counts_of(found) == spared(was, kept=kept[index], input_kept=input_kept), found.name
        assert (found.mapping["glb_ofmap"] == "kept for the next layer") == kept[index]
        assert (found.mapping["glb_ifmap"] == "kept from the layer before") == input_kept
        same = ("compute_cycles", "operations", "steps", "tws", "output_sha256", "mode")
        assert {key: getattr(found, key) for key in same} == {key: getattr(was, key) for key in same}
        rest = {key: value for key, value in was.mapping.items() if key not in APART}
        assert {key: value for key, value in found.mapping.items() if key not in APART} == rest
        # Steps are the same and transfers no longer: nothing ends later.
        assert found.cycles <= was.cycles
        assert found.energy_pj_by["dram"] == pytest.approx(
            8 * sum(sum(bits.values()) for bits in counts_of(found)["dram"].values())
        )


@pytest.mark.parametrize("base", ["spikex", "ptb", "ptb-stsap"])
class TestWhichStay:
    def test_all_but_the_last(self, base: str) -> None:
        assert_kept(a_trace(), base, [True, True, False], **with_half(PLENTY))

    def test_the_default_buffer_holds_them(self, base: str) -> None:
        assert_kept(a_trace(), base, [True, True, False])

    def test_none_unless_asked(self, base: str) -> None:
        assert_kept(a_trace(), base, [False] * 3, **{"memory.glb.keep_ofmap": False})

    @pytest.mark.parametrize("less", [0, 1])
    def test_what_fits_to_the_bit(self, base: str, less: int) -> None:
        first, second, _ = (stored_bits(layer) for layer in layers_of(a_trace(), base))
        assert first > second
        assert_kept(a_trace(), base, [not less, True, False], **with_half(first - less))
        assert_kept(a_trace(), base, [False, not less, False], **with_half(second - less))

    def test_not_what_the_next_layer_has_recorded(self, base: str) -> None:
        assert_kept(a_trace(CHAIN, 1), base, [False, True, False])
        assert_kept(a_trace(CHAIN, 2), base, [True, False, False])
        assert_kept(a_trace(CHAIN, 1, 2), base, [False, False, False])

    @pytest.mark.parametrize("kind", ["maxpool", "avgpool"])
    def test_not_what_is_pooled(self, base: str, kind: str) -> None:
        assert_kept(a_trace(pooled(kind)), base, [False, True, False])

    def test_not_what_is_pooled_at_the_end(self, base: str) -> None:
        layers = [CHAIN[0], conv("second", (5, 4), 6, NEURON), pool("maxpool", 4, 4)]
        assert_kept(a_trace(layers), base, [True, False])

    def test_the_only_layer_sends(self, base: str) -> None:
        assert_kept(a_trace(CHAIN[:1]), base, [False])

    def test_slow_memories_and_several_tiles(self, base: str) -> None:
        slow = {"memory.dram.bandwidth_gb_s": 0.05, "memory.dram.latency_cycles": 30,
                "mapping.positions": 5, "mapping.windows": 2}  # fmt: skip
        assert_kept(a_trace(), base, [True, True, False], **slow)
        keys = {"tws": TWS} | slow | KEEP
        fast, event = (sx.simulate(a_trace(), base, overrides=keys, engine=e) for e in ("fast", "event"))
        assert [layer.to_dict() for layer in fast.layers] == [layer.to_dict() for layer in event.layers]
        assert fast.totals.cycles < sum(layer.cycles for layer in layers_of(a_trace(), base, **slow))


@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_what_is_stored_by_hand(base: str) -> None:
    """Bits of issued windows, and a tag of every neuron and window."""
    for layer, neurons in zip(layers_of(a_trace(), base), (5 * 36, 4 * 16, 6), strict=True):
        assert counts_of(layer)["dram"]["tag"]["write_bits"] == neurons * WINDOWS
        issued = layer.ntwus if base == "spikex" else neurons * WINDOWS
        assert stored_bits(layer) == issued * TWS + neurons * WINDOWS


def test_samples_stay_by_themselves() -> None:
    """A silent sample stores tags alone and fits where a busy one does not."""
    spikes = np.stack([SPIKES, np.zeros_like(SPIKES)])
    weights = random_weights(CHAIN, 6)
    both = trace_of(CHAIN, spikes, weights)
    alone = [trace_of(CHAIN, sample, weights) for sample in spikes]
    least = 5 * 36 * WINDOWS
    keys = with_half(least) | KEEP
    whole, busy, silent = (layers_of(trace, **keys) for trace in (both, *alone))
    for layer, one, other in zip(whole, busy, silent, strict=True):
        assert layer.accesses == one.accesses + other.accesses
        assert layer.cycles == one.cycles + other.cycles
    assert [stored_bits(layer) > 0 for layer in busy] == [True, True, True]
    assert [stored_bits(layer) > 0 for layer in silent] == [False, False, True]


# A filter of one tap sees every position once, and its four output channels are one row group.
POINT = [CHAIN[0], conv("point", (5, 4), 6, NEURON, kernel=1)]


@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_the_reader_finds_what_was_stored(base: str) -> None:
    first, second = layers_of(a_trace(POINT), base, **KEEP)
    stored, read = counts_of(first)["glb"], counts_of(second)["glb"]
    assert counts_of(first)["lbuf"]["ofmap"]["read_bits"] == stored["ofmap"]["write_bits"] > 0
    # Tags of the output that entered the GLB, after those of the input.
    tags = stored["tag"]["write_bits"] - counts_of(first)["dram"]["tag"]["read_bits"]
    assert tags == 5 * 36 * WINDOWS
    (spikes,) = forward(POINT[:1], SPIKES, random_weights(POINT, 6)[:1])
    padded = np.pad(spikes, ((0, 0), (0, 0), (0, 0), (0, WINDOWS * TWS - T)))
    words = padded.reshape(5, 36, WINDOWS, TWS).any(axis=-1)
    # Every word with a spike, once; PTB asks for every tag, SpikeX leaves out what is silent.
    assert read["ifmap"]["read_bits"] == words.sum() * TWS <= stored["ofmap"]["write_bits"]
    asked = read["tag"]["read_bits"] - counts_of(second)["dram"]["tag"]["write_bits"]
    assert asked == tags if base == "ptb" else 0 < asked < tags
    assert read["ifmap"]["write_bits"] == counts_of(second)["dram"]["ifmap"]["read_bits"] == 0


@pytest.mark.parametrize("base", ["spikex", "ptb"])
def test_an_automatic_window_size_sees_what_stays(base: str) -> None:
    """Layer by layer the smallest EDP, of the costs that it has when outputs stay."""
    chosen = layers_of(a_trace(), base, tws="auto", **KEEP)
    sizes = [layer.tws for layer in chosen]
    for index in range(3):
        edp = {}
        for size in range(1, T + 1):
            tried = [*sizes[:index], size, *sizes[index + 1 :]]
            edp[size] = layers_of(a_trace(), base, tws=tried, **KEEP)[index].edp_js
        assert sizes[index] == min(edp, key=lambda size: (edp[size], size))
    fixed = layers_of(a_trace(), base, tws=sizes, **KEEP)
    assert [layer.to_dict() for layer in chosen] == [layer.to_dict() for layer in fixed]
    assert [layer.mapping["glb_ofmap"].split()[0] for layer in chosen] == ["kept", "kept", "sent"]


@pytest.mark.parametrize("base", ["systolic-os", "systolic-ws", "sata-on-spikex"])
def test_other_machines_do_not_ask(base: str) -> None:
    before, after = (layers_of(a_trace(), base, tws=1, **keys) for keys in ({}, KEEP))
    assert [layer.to_dict() for layer in before] == [layer.to_dict() for layer in after]
