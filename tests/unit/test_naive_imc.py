"""The slow oracle of in-memory computing, held against numbers of others and numbers by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from helpers import shared_data
from naive_imc import Activity, config_of, counts
from naive_imc_cost import area_um2, energy_pj, leakage_pj, read_table, released, released_shapes
from naive_imc_net import Machine
from naive_imc_time import pe_cycle, timed
from naive_nice import codes_of, converted, correction, effective, effective_nodal, normals, sliced, words

LIF = {"threshold": 3, "leak_shift": 31, "reset": "zero", "datapath": "int"}
VGG9 = [(3, 64, 32, 32), (64, 64, 32, 16), (64, 128, 16, 16), (128, 128, 16, 8), (128, 256, 8, 8),
        (256, 256, 8, 8), (256, 256, 8, 4)]  # fmt: skip
VGG16 = [*VGG9, (256, 512, 4, 4), (512, 512, 4, 4), (512, 512, 4, 2), (512, 512, 2, 2), (512, 512, 2, 2),
         (512, 512, 2, 1)]  # fmt: skip
#: ``(C, M, Hi, Ho)`` of the convolutions of the networks that the script was run on.
NETWORKS = {
    "vgg9_cifar10_script_default": VGG9,
    "vgg9_cifar10_conv_outdims": [(C, M, Hi, Hi) for C, M, Hi, _ in VGG9],
    "vgg16_cifar10_postpool_dims": VGG16,
    "vgg16_tinyimagenet_postpool_dims": [(C, M, 2 * Hi, 2 * Ho) for C, M, Hi, Ho in VGG16],
}


def test_the_released_script_printed_this() -> None:
    runs = json.loads(shared_data("imc/ela_reference.json").read_text(encoding="utf-8"))["runs"]
    assert len(runs) == 110
    for run in runs:
        shapes = [dict(zip(("C", "M", "Hi", "Ho"), sizes, strict=True)) for sizes in NETWORKS[run["net"]]]
        changes = {
            "imc.crossbar": run["xbar"],
            "imc.pes_per_tile": run["pe_per_tile"],
            "imc.device.kind": run["device"],
            "clock_mhz": run["clk_MHz"],
        }
        got = released([one | {"k": run["kernel"]} for one in shapes], run["T"], config_of(changes))
        assert (got["pes"], got["tiles"]) == (run["n_pe"], run["n_tiles"])
        assert got["energy_pj"] == pytest.approx(run["energy_pJ"], rel=1e-9)
        assert got["energy_layers_pj"] == pytest.approx(run["energy_layerwise_pJ"], rel=1e-9)
        assert got["area_um2"] == pytest.approx(run["area_um2"], rel=1e-9)
        assert got["latency_ns"] == pytest.approx(run["latency_ns"], rel=1e-9)


@pytest.mark.parametrize("dims", ["post_pool", "conv"])
def test_released_shapes_are_those_of_the_layers(dims: str) -> None:
    layers: list[dict[str, Any]] = []
    for C, M, Hi, Ho in VGG9:
        layers.append(layer(C, M, Hi, kernel=3, padding=1))
        if Ho < Hi:
            layers.append(layer(M, M, Hi, kind="maxpool", kernel=2, stride=2))
    config = config_of({"imc.released_dims": dims, "imc.precision_factor": True, "imc.device.bits": 1})
    shapes = released_shapes(layers, config)
    name = "script_default" if dims == "post_pool" else "conv_outdims"
    assert [(one["C"], one["M"], one["Hi"], one["Ho"]) for one in shapes] == NETWORKS[f"vgg9_cifar10_{name}"]
    # 8-bit weights in 1-bit cells: eight times the PE cycles, the same time.
    plain = released(shapes, 5, config_of({"imc.released_dims": dims}))
    sliced_weights = released(shapes, 5, config)
    assert sliced_weights["energy_pj"] == pytest.approx(8 * plain["energy_pj"], rel=1e-12)
    assert sliced_weights["pes"] == 8 * plain["pes"] and sliced_weights["cycles"] == plain["cycles"]


def layer(C: int, M: int, side: int, **keys: Any) -> dict[str, Any]:
    sizes = {"kind": "conv", "stride": 1, "padding": 0} | keys
    name = f"{sizes['kind']}-{C}-{M}-{side}"
    weight = (
        {} if sizes["kind"] == "maxpool" else {"weight": np.ones((M, C, keys["kernel"], keys["kernel"]), int)}
    )
    return {"name": name, "in_channels": C, "out_channels": M, "in_height": side, "in_width": side,
            "neuron": LIF} | sizes | weight  # fmt: skip


def test_a_pe_cycle_takes_26_cycles_at_the_defaults() -> None:
    machine = Machine([layer(64, 64, 3, kernel=3)], config_of())
    assert machine.mapped[0].m == [32, 32]
    assert pe_cycle(machine.mapped[0]) == 26


def test_the_anchor_of_energy() -> None:
    table = read_table(shared_data("energy/imc65.csv"))
    for row in table:
        if row in ("row.drive", "add.bit", "htree.down", "pib.write") or row.split(".")[0] in ("gb", "noc"):
            table[row]["energy_pj"] = 0
        if row.startswith("umem"):
            table[row]["energy_pj"] = 0
    config = config_of({"weight_bits": 5, "imc.adc.bits": 4, "psum_bits": 16})
    mapped = Machine([layer(64, 64, 5, kernel=3)], config).mapped[0]
    n = counts(Activity(mapped, np.ones((64, 5, 5, 1), bool), first=True))
    assert sum(energy_pj(n, mapped, table).values()) / mapped.shape.P == pytest.approx(828.486, abs=1e-10)


def by_hand(**changes: Any) -> tuple[Machine, np.ndarray[Any, Any]]:
    """Ten inputs, five outputs: blocks of 4, 4 and 2 rows, two PE rows, two column groups, four tiles."""
    config = config_of(
        {
            "imc.crossbar": 4,
            "imc.crossbars_per_pe": 2,
            "imc.pes_per_tile": 1,
            "weight_bits": 2,
            "imc.device.bits": 1,
        }
        | changes
    )
    fc = {"name": "fc", "kind": "linear", "in_channels": 10, "out_channels": 5, "neuron": LIF}
    spikes = np.zeros((10, 2), bool)
    spikes[[0, 1, 8], 0] = spikes[5, 1] = True
    return Machine([fc | {"weight": np.ones((5, 10), int)}], config), spikes


def test_counts_by_hand() -> None:
    machine, spikes = by_hand()
    (mapped,) = machine.mapped
    assert [len(block) for block in mapped.blocks] == [4, 4, 2] and mapped.pe_row_of_block == [0, 0, 1]
    assert mapped.m == [4, 1] and mapped.psum_bits == 5 + 1 + 2 + 1
    assert [(tile.rows_of_group, tile.hops) for tile in mapped.tiles] == [
        ({0: [0]}, 2), ({0: [1]}, 1), ({1: [0]}, 2), ({1: [1]}, 1),
    ]  # fmt: skip
    assert mapped.cell_utilization() == 50 / (4 * 2 * 16)
    assert counts(Activity(mapped, spikes, first=True)) == {
        "reads": 6, "row_activations": 8, "pe_reads": 6, "cell_reads": 20, "accumulations": 20,
        "conversions": 15, "merges": 0, "diff_ops": 15, "count_bits": 28, "pe_adds": 0, "tile_adds": 0,
        "global_adds": 5, "add_bits": 20 * 9 + 28, "pib_read_bits": 20, "pb_bits": 270, "tb_bits": 270,
        "htree_up_bits": 135, "noc_out_flits": 15, "noc_out_flit_hops": 25, "noc_in_flits": 12,
        "noc_in_flit_hops": 20, "gb_read_bits": 192, "tib_write_bits": 192, "htree_down_bits": 192,
        "pib_write_bits": 192, "tib_read_bits": 192, "gb_write_bits": 30, "lif_updates": 10, "umem_reads": 5,
        "umem_writes": 5, "current_writes": 0, "current_reads": 0, "dense_accumulations": 100, "sign_bits": 0,
        "batches": 2, "ntwus": 10, "streamed_taps": 8, "steps": 8,
    }  # fmt: skip


def test_counts_by_hand_of_other_machines() -> None:
    changes = {"imc.adc.sharing": "crossbar", "imc.pes_per_tile": 4, "imc.encoding": "differential"}
    machine, spikes = by_hand(**changes, **{"imc.event_driven": False, "imc.goff": "none"})
    (mapped,) = machine.mapped
    # A weight is two columns: two channels a crossbar, three groups, six PEs in two tiles, four and two.
    assert mapped.m == [2, 2, 1] and [tile.rows_of_group for tile in mapped.tiles] == [
        {0: [0, 1], 1: [0, 1]},
        {2: [0, 1]},
    ]
    n = counts(Activity(mapped, spikes, first=True))
    assert (n["reads"], n["pe_reads"], n["conversions"]) == (3 * 6, 3 * 4, 6 * 5 * 2)
    assert (n["merges"], n["diff_ops"], n["count_bits"]) == (6 * 5, 0, 0)
    assert (n["pe_adds"], n["tile_adds"], n["global_adds"]) == (5 * (6 - 4), 5 * 2, 0)
    # Every tile is sent its only word at both time points, however silent.
    assert (n["noc_in_flits"], n["gb_read_bits"], n["htree_down_bits"]) == (2 * 2 * 2, 4 * 32, 6 * 2 * 32)


def test_time_by_hand() -> None:
    machine, spikes = by_hand()
    got = timed(machine, [spikes])
    assert got["ends"] == {
        (0, "I", 0): 4, (0, "C", 0): 18, (0, "N", 0): 23, (0, "F", 0): 24,
        (0, "I", 1): 21, (0, "C", 1): 35, (0, "N", 1): 39, (0, "F", 1): 40,
    }  # fmt: skip
    assert got["layers"] == [
        {"cycles": 40, "compute_cycles": 28, "stalls": {"noc_in": 7, "noc_out": 4, "lif": 1}, "start": 0,
         "end": 40, "busy": 28, "pe_cycle": 14}
    ]  # fmt: skip


def test_area_and_leakage_by_hand() -> None:
    """Every row costs 1: what is left is how often it is charged."""
    machine, _ = by_hand()
    rows = ("cell_1t1r.read", "adc_flash_5.convert", "mux.switch", "add.bit", "diff.op", "temp.tile",
            "pb.access", "pib.read", "tb.access", "tib.read", "gb.read", "spikes.bit", "htree.up",
            "noc.flit_hop", "umem_sram.read", "lif.update")  # fmt: skip
    table = {row: {"energy_pj": 1.0, "area_um2": 1.0, "leakage_mw": 1.0} for row in rows}
    assert area_um2(machine.mapped, 2, False, table) == {
        "crossbar": 4 * 2 * 16,
        "adc": 4 * 1 * 2,
        "digital": 4 * (5 + 1 + 1) + 4 * (4 * 9) + 4 * (1 + 1),
        "buffers": 8 * (4 * 5120 + 4 * 10240 + 20480) + 10 * 2,
        "htree": 4,
        "noc": 4,
        "lif": 5 * 22 + 64,
    }
    assert leakage_pj(machine.mapped, 40, table) == 40 * 4  # one bank, 4 ns a cycle


@given(st.lists(st.floats(1e-7, 1e-3), min_size=1, max_size=40), st.floats(0.01, 100))
@examples(200)
def test_the_recurrence_solves_the_column(G: list[float], r: float) -> None:
    assert effective(G, r) == pytest.approx(effective_nodal(G, r), rel=1e-12)


def test_column_currents_of_others() -> None:
    vectors = json.loads(shared_data("imc/nice_reference.json").read_text(encoding="utf-8"))["column_vectors"]
    assert len(vectors) == 16
    for vector in vectors:
        rows = range(vector["n"])
        full = vector["pattern"].startswith("all on")
        G = [1 / 20e3 if full or 7 * i % 5 < 2 else 1 / 200e3 for i in rows]
        spiking = [i for i in rows if full or 3 * i % 4 == 0]
        for solve in (effective, effective_nodal):
            seen = solve(G, vector["r_ohm"])
            current = 0.1 * sum(seen[i] for i in spiking)
            assert current == pytest.approx(vector["I_out_A"], rel=1e-10)


def philox(counter: int, key: tuple[int, int]) -> list[int]:
    """Philox4x64-10 of Salmon et al. (SC 2011), from its definition."""
    mask = 2**64 - 1
    x = [counter >> 64 * word & mask for word in range(4)]
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * x[0], 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * x[2], 2**64)
        x = [high1 ^ x[1] ^ k0, low1, high0 ^ x[3] ^ k1, low0]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return x


@given(
    st.integers(0, 2**63),
    st.integers(0, 3),
    st.integers(0, 99),
    st.integers(0, 2**24 - 1),
    st.integers(0, 999),
)
@examples(30)
def test_words_are_those_of_philox(seed: int, purpose: int, layer: int, sample: int, t: int) -> None:
    got = words(config_of({"imc.seed": seed}), purpose, layer, sample, t, 12)
    key = (seed, (purpose << 60) + (layer << 44) + (sample << 20) + t)
    assert got == [word for n in range(3) for word in philox(n + 1, key)]


def test_normals_are_normal() -> None:
    z = np.array(normals(words(config_of(), 0, 0, 0, 0, 40_000)))
    assert abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03
    assert abs((z**3).mean()) < 0.1 and abs((z**4).mean() - 3) < 0.2


@pytest.mark.parametrize("encoding", ["twos", "sign_offset", "offset", "differential"])
@pytest.mark.parametrize("cell", [1, 3, 4, 8])
def test_codes_say_their_weights(encoding: str, cell: int) -> None:
    config = config_of({"imc.encoding": encoding, "imc.device.bits": cell})
    for w in range(-128, 128):
        if encoding == "differential" and cell == 1 and w == -128:
            with pytest.raises(ValueError, match="7 cells cannot hold"):
                codes_of(w, config)
            continue
        codes = [sliced(code, config) for code in codes_of(w, config)]
        assert all(0 <= one < 2**cell for code in codes for one in code)
        values = [sum(one << (s * cell) for s, one in enumerate(code)) for code in codes]
        assert values[0] - sum(values[1:]) + correction(config, 1, int(w < 0)) == w


def test_conversions_round_half_up_and_clamp() -> None:
    assert [converted(v, 3, 0) for v in (-0.6, 0.49, 0.5, 2.5, 6.4, 7.5, 99.0)] == [0, 0, 1, 3, 6, 7, 7]
    assert [converted(v, 3, 2) for v in (1.9, 2.0, 6.0, 26.0, 99.0)] == [0, 4, 8, 28, 28]
    assert converted(99.0, None, 0) == 99
    assert converted(0.5 - 2.0**-22, 3, 0) == 1  # a quarter of 2⁻²⁰ below the half counts as the half
