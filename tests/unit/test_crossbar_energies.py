"""Energies, area and leakage of crossbar machines, each against numbers made by hand (Section 2)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.counts import READ, WRITE, Counter, Counts
from spikex_sim.core.geometry import Geometry
from spikex_sim.costs.crossbar import CROSSBAR_COMPONENTS
from spikex_sim.costs.crossbar_chip import area_um2, leakage_pj
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.schedules.crossbar.chip import Chip, ChipLayer
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.widths import adc_bits, psum_bits

BIT_UM2 = 16.2602 / 22
"""µm² of an SRAM bit."""
ADDER_UM2 = 19.06


def machine(**changes: Any) -> CrossbarOptions:
    """The preset with some keys replaced; ``__`` stands for a dot."""
    arch = sx.load_accelerator(
        "spikesim", overrides={key.replace("__", "."): value for key, value in changes.items()}
    )
    assert isinstance(arch, CrossbarOptions)
    return arch


def prices(**changes: Any) -> dict[Counter, float]:
    """pJ of every counter."""
    return {
        counter: pj
        for part in energy_model(machine(**changes)).components
        for counter, pj in part.prices.items()
    }


def charged(counter: tuple[str, str], **changes: Any) -> float:
    """pJ of a counter, by component and action."""
    (pj,) = (pj for found, pj in prices(**changes).items() if found[:2] == counter)
    return pj


def conv(channels: int, side: int, kernel: int) -> Geometry:
    """A square convolution that keeps the side of its map."""
    return Geometry(channels, side, side, kernel, kernel, 1, 1, kernel // 2, kernel // 2, side, side)


def layer(geometry: Geometry, out_channels: int, arch: CrossbarOptions, *, direct: bool = False) -> ChipLayer:
    """A layer, as the machine is sized for it."""
    mapping = LayerMapping.of("one", geometry, out_channels, arch)
    return ChipLayer(
        mapping, geometry.channels * geometry.pixels, geometry.positions, geometry.out_width, direct,
        psum_bits(arch, mapping.blocks),
    )  # fmt: skip


def two_layers(timesteps: int = 4, *, direct: bool = False, **changes: Any) -> tuple[Chip, CrossbarOptions]:
    """3 to 64 channels of a 3x3 kernel on 8x8, then 64 to 10 of 1x1 on 8x8.

    Weights of 8 bits take two cells of 4: 32 channels a crossbar. The first layer has two PEs (column groups
    of 32), the second one; one tile each.
    """
    arch = machine(**changes)
    first, second = layer(conv(3, 8, 3), 64, arch, direct=direct), layer(conv(64, 8, 1), 10, arch)
    return Chip((first, second), timesteps), arch


class TestEnergy:
    def test_components_are_seven_in_order(self) -> None:
        found = energy_model(machine()).components
        assert tuple(one.name for one in found) == CROSSBAR_COMPONENTS
        for one in found:
            assert {part for part, action, _ in one.prices if action not in (READ, WRITE)} == {one.name}

    def test_anchor_of_a_dense_position(self, tmp_path: Path) -> None:
        """A dense 3x3 layer of 64 to 64 channels costs the released script's PE cycle, less its DIFF."""
        free = {"row.drive", "add.bit", "htree.down", "pib.write", "gb.read", "gb.write", "noc.flit_hop"}
        free |= {"umem_sram.read", "umem_sram.write"}
        with (tmp_path / "imc.csv").open("w", encoding="utf-8", newline="") as file:
            rows = CrossbarTable.load().rows()
            writer = csv.DictWriter(file, list(vars(rows[0])))
            writer.writeheader()
            writer.writerows(vars(row) | ({"energy_pj": 0} if row.label in free else {}) for row in rows)
        model = energy_model(
            machine(weight_bits=5, imc__adc__bits=4, psum_bits=16, energy__table=str(tmp_path))
        )
        spikes, channels, width = 9 * 64, 64, 16
        counts = Counts(
            {
                ("crossbar", "cell_read", "filter"): spikes * channels,
                ("crossbar", "row_drive", "ifmap"): spikes * 64,
                ("adc", "convert", ""): channels,
                ("adc", "mux", ""): channels,
                ("digital", "add_bit", "psum"): channels * width,
                ("buffers", "pib_read", "ifmap"): spikes,
                ("buffers", "pib_write", "ifmap"): spikes,
                ("buffers", "pb", "psum"): 2 * channels * width,
                ("buffers", "tb", "psum"): 2 * channels * width,
                ("buffers", "gb_read", "ifmap"): 1000,
                ("buffers", "gb_write", "ofmap"): 1000,
                ("htree", "up", "psum"): channels * width,
                ("htree", "down", "ifmap"): 1000,
                ("noc", "flit_hop", ""): 1000,
                ("lif", "update", ""): channels,
                ("lif", "umem_read", "psum"): channels * 22,
                ("lif", "umem_write", "psum"): channels * 22,
            }
        )
        energy = model.energy(counts, 0)
        assert energy.total_pj == pytest.approx(828.4860000, rel=1e-12)
        assert energy.total_pj == pytest.approx(828.4861472 - 16 * 8 * 1.15e-6, rel=1e-12)
        assert energy.components == pytest.approx(
            {
                "crossbar": 8 * 9 * 1.76423, "adc": 64 * (2.03084 + 0.094245), "digital": 0,
                "buffers": 4.64 + 1.6 + 397, "htree": 157.12, "noc": 0, "lif": 5.096,
            }
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("r_on_kohm", "v_read", "scale"), [(20, 0.1, 1), (40, 0.1, 0.5), (20, 0.2, 4), (10, 0.3, 18)]
    )
    def test_cells_read_with_current_times_voltage(
        self, r_on_kohm: float, v_read: float, scale: float
    ) -> None:
        changed = prices(imc__device__r_on_kohm=r_on_kohm, imc__device__v_read=v_read)
        counter = ("crossbar", "cell_read", "filter")
        assert changed.pop(counter) == pytest.approx(scale * 1.76423 / 512)
        plain = prices()
        del plain[counter]
        assert changed == plain

    @pytest.mark.parametrize(
        ("kind", "bits", "pj"),
        [("flash", 1, 2.03084 / 8), ("flash", 4, 2.03084), ("flash", 5, 4.06168),
         ("flash", 14, 2.03084 * 1024), ("sar", 4, 3.500746), ("sar", 10, 21.130494)],
    )  # fmt: skip
    def test_converters_by_kind_and_bits(self, kind: str, bits: int, pj: float) -> None:
        changes = {"imc__adc__kind": kind, "imc__adc__bits": bits}
        assert charged(("adc", "convert"), **changes) == pytest.approx(pj)
        assert charged(("adc", "mux"), **changes) == 0.094245

    def test_a_fefet_memory_writes_at_three_times_the_energy(self) -> None:
        sram, fefet = (prices(imc__umem=kind) for kind in ("sram", "fefet"))
        more = {key[1]: fefet[key] / sram[key] for key in sram if sram[key] != fefet[key]}
        assert more == {"umem_write": pytest.approx(3)}
        assert fefet["lif", "umem_read", "psum"] == pytest.approx(5.90482 / 64)

    def test_a_tile_without_input_buffer_accesses_it_free(self) -> None:
        assert charged(("buffers", "tib_read")) == charged(("buffers", "tib_write")) == 0
        assert charged(("buffers", "tib_read"), imc__buffers__tib=51200) == pytest.approx(21.4406 / 64)
        assert charged(("buffers", "tib_write"), imc__buffers__tib=51200) == pytest.approx(14.9648 / 64)

    def test_signs_are_read_from_sram(self) -> None:
        assert charged(("digital", "sign_read"), imc__umem="fefet") == pytest.approx(5.90482 / 64)

    def test_accesses_told_by_level_cost_nothing_again(self) -> None:
        again = Counts(
            {(level, way, tensor): 7 for level in ("glb", "lbuf", "rf") for way in (READ, WRITE)
             for tensor in ("ifmap", "ofmap", "psum")}
        )  # fmt: skip
        assert energy_model(machine()).energy(again, 5).total_pj == 0


class TestWidths:
    @pytest.mark.parametrize(
        ("changes", "bits"),
        [
            ({"imc__adc__sharing": "crossbar"}, 10),  # 64 x 15 = 960
            ({}, 14),  # 9 x 960 = 8640
            ({"imc__device__bits": 1, "imc__adc__sharing": "crossbar"}, 7),  # 64
            ({"imc__device__bits": 1, "imc__adc__sharing": "crossbar", "imc__crossbar": 63}, 6),
            ({"imc__device__bits": 1, "imc__adc__sharing": "crossbar", "imc__adc__kind": "sar"}, 7),
        ],
    )
    def test_auto_converts_the_largest_sum(self, changes: Mapping[str, Any], bits: int) -> None:
        assert adc_bits(machine(imc__adc__bits="auto", **changes)) == bits

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"imc__crossbar": 128},
                r"imc\.adc\.bits: auto needs 15 bits for sums up to 17,280, and a flash .* 1 to 14",
            ),
            ({"imc__adc__kind": "sar"}, r"imc\.adc\.bits: auto needs 14 bits .* sar converter has 4 to 10"),
            (
                {
                    "imc__adc__kind": "sar",
                    "imc__device__bits": 1,
                    "imc__crossbar": 7,
                    "imc__adc__sharing": "crossbar",
                },
                r"imc\.adc\.bits: auto needs 3 bits for sums up to 7, and a sar converter has 4 to 10",
            ),
        ],
    )
    def test_auto_beyond_the_table_is_refused(self, changes: Mapping[str, Any], message: str) -> None:
        arch = machine(imc__adc__bits="auto", **changes)
        with pytest.raises(sx.ConfigError, match=message):
            energy_model(arch)
        with pytest.raises(sx.ConfigError, match=message):
            psum_bits(arch, 1)

    @pytest.mark.parametrize(("blocks", "bits"), [(1, 14), (2, 15), (9, 18), (16, 18), (17, 19)])
    def test_sums_are_as_wide_as_they_can_need(self, blocks: int, bits: int) -> None:
        """Converter 5, two slices of 4, a sign, and a bit for every doubling of blocks."""
        assert psum_bits(machine(), blocks) == bits
        assert psum_bits(machine(psum_bits=24), blocks) == 24


class TestArea:
    def test_components_of_two_layers(self) -> None:
        chip, arch = two_layers()
        sizes = [(one.mapping.pes, one.mapping.tiles, one.psum_bits) for one in chip.layers]
        assert sizes == [(2, 1, 18), (1, 1, 14)]
        assert area_um2(chip, arch) == pytest.approx(
            {
                "crossbar": 3 * 9 * 64 * 64 * 0.0848,
                "adc": 3 * 8 * (1387.266 + 45.9),
                "digital": ADDER_UM2 * (3 * 8 * (5 + 8 + 1) + 32 * (18 + 14))
                + 2 * (8 * 13411.41498 + 484.643999),
                "buffers": BIT_UM2 * 8 * (3 * 5120 + 2 * 10240 + 20480) + BIT_UM2 * 2 * (3 * 64 + 64 * 64),
                "htree": 3 * 433660 / 8,
                "noc": 2 * 62000,
                "lif": BIT_UM2 * 22 * (64 * 64 + 10 * 64) + 2 * 64 * 88 * ADDER_UM2,
            },
            rel=1e-12,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "component", "more_um2"),
        [
            # a bank in every crossbar: nine times the converters, and accumulators in the PEs
            ({"imc__adc__sharing": "crossbar"}, "adc", 8 * 3 * 8 * (1387.266 + 45.9)),
            ({"imc__adc__sharing": "crossbar"}, "digital",
             ADDER_UM2 * (8 * 3 * 8 * 14 + 32 * (2 * 18 + 14))),
            ({"imc__adc__kind": "sar"}, "adc", 3 * 8 * (11682.29 - 1387.266)),
            ({"imc__adc__mux": 5}, "adc", 3 * (13 - 8) * (1387.266 + 45.9)),
            # a bit for each of 3*9*64 and 64*10 weights; counters up to 576 for 32 channels of three banks
            ({"imc__sign_plane": "charged"}, "digital", BIT_UM2 * (1728 + 640) + ADDER_UM2 * 3 * 32 * 10),
            ({"imc__umem": "fefet"}, "lif", -6 / 7 * BIT_UM2 * 22 * (64 * 64 + 10 * 64)),
            # 64 and 10 channels become 16 and 3 words, 64 units become 16
            ({"lif_sharing": 4}, "lif", -BIT_UM2 * 22 * 64 * (48 + 7) - 2 * 48 * 88 * ADDER_UM2),
            ({"dataflow": "tick_batch"}, "lif", -BIT_UM2 * 22 * (64 * 64 + 10 * 64 - 64 * 8)),
            ({"dataflow": "tick_batch"}, "buffers", BIT_UM2 * 2 * (3 * 64 + 64 * 64)),
            ({"imc__buffers__tib": 100}, "buffers", BIT_UM2 * 8 * 2 * 100),
            ({"imc__buffers__pib": 10}, "buffers", BIT_UM2 * 8 * 3 * 10),
            ({"imc__lif_units": 1}, "lif", -2 * 63 * 88 * ADDER_UM2),
            ({"psum_bits": 20}, "digital", ADDER_UM2 * 32 * (2 + 6)),
            ({"direct": True}, "lif", BIT_UM2 * 64 * 64 * 18),
        ],
    )  # fmt: skip
    def test_a_knob_changes_its_component(
        self, changes: Mapping[str, Any], component: str, more_um2: float
    ) -> None:
        before, after = (area_um2(*two_layers(**found)) for found in ({}, changes))
        assert after[component] - before[component] == pytest.approx(more_um2, rel=1e-9, abs=1e-6)

    @pytest.mark.parametrize("encoding", ["offset", "differential"])
    def test_codes_without_signs_apart_have_no_plane(self, encoding: str) -> None:
        chip, arch = two_layers(imc__sign_plane="charged")
        areas = [
            area_um2(chip, arch.model_copy(update={"imc": arch.imc.model_copy(update=keys)}))["digital"]
            for keys in ({"encoding": encoding}, {"encoding": encoding, "sign_plane": "free"})
        ]
        assert areas[0] == areas[1]

    def test_currents_of_a_direct_layer_stay_in_sram(self) -> None:
        without, kept = (area_um2(*two_layers(direct=direct, imc__umem="fefet")) for direct in (False, True))
        assert kept["lif"] - without["lif"] == pytest.approx(BIT_UM2 * 64 * 64 * 18)

    def test_layers_do_not_share_a_tile(self) -> None:
        chip, arch = two_layers()
        alone = [area_um2(Chip((one,), 4), arch) for one in chip.layers]
        for component in set(CROSSBAR_COMPONENTS) - {"buffers"}:
            together = area_um2(chip, arch)[component]
            assert together == pytest.approx(sum(one[component] for one in alone)), component


class TestLeakage:
    def test_banks_of_potentials_leak(self) -> None:
        chip, arch = two_layers()
        assert 22 * (64 * 64 + 10 * 64) == 104192  # two banks of 65536
        assert leakage_pj(chip, arch, 1e-3) == pytest.approx(2 * 0.395026 * 1e6)

    @pytest.mark.parametrize(
        ("changes", "banks"),
        [({"lif_sharing": 2}, 1), ({"dataflow": "tick_batch"}, 1), ({"potential_bits": 32}, 3),
         ({"imc__umem": "fefet"}, 0), ({"direct": True}, 2)],
    )  # fmt: skip
    def test_banks_follow_the_words(self, changes: Mapping[str, Any], banks: int) -> None:
        assert leakage_pj(*two_layers(**changes), seconds=1.0) == pytest.approx(banks * 0.395026e9)
