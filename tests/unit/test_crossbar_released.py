"""``model: released``: SpikeSim's script against its recorded output, and by hand (Section 3)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import make_imc_released_page as page
import pytest

import spikex_sim as sx
from helpers import shared_data
from spikex_sim.costs.crossbar import CROSSBAR_COMPONENTS
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import (
    Released,
    ReleasedLayer,
    pe_cycle_pj,
    released,
    released_layers,
)
from spikex_sim.spec.networks import load_network
from spikex_sim.spec.workload import Layer, Neuron

RUNS = 110
VGG9 = (3, 64, 64, 128, 128, 256, 256), (64, 64, 128, 128, 256, 256, 256), (32, 32, 16, 16, 8, 8, 8)
VGG16 = (
    (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512),
    (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    (32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2),
)
POST_POOL_16 = (32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1)
NETWORKS = {
    "vgg9_cifar10_script_default": (*VGG9, (32, 16, 16, 8, 8, 8, 4)),
    "vgg9_cifar10_conv_outdims": (*VGG9, VGG9[2]),
    "vgg16_cifar10_postpool_dims": (*VGG16, POST_POOL_16),
    "vgg16_tinyimagenet_postpool_dims": (
        *VGG16[:2], tuple(2 * side for side in VGG16[2]), tuple(2 * side for side in POST_POOL_16),
    ),
}  # fmt: skip
"""Input channels, output channels, sides of input maps, sides that are charged."""


def machine(**changes: Any) -> CrossbarOptions:
    """The preset with some keys of ``imc`` replaced."""
    given = {f"imc.{key.replace('__', '.')}": value for key, value in changes.items()}
    arch = sx.load_accelerator("spikesim-released", overrides=given)
    assert isinstance(arch, CrossbarOptions)
    return arch


@cache
def recorded() -> Any:
    return json.loads(shared_data("imc/ela_reference.json").read_text("utf-8"))


def of_network(name: str, kernel: int, timesteps: int, **changes: Any) -> Released:
    layers = [ReleasedLayer(*sizes) for sizes in zip(*NETWORKS[name], strict=True)]
    return released(layers, kernel, timesteps, machine(**changes))


def test_all_recorded_runs_are_met() -> None:
    runs = recorded()["runs"]
    assert len(runs) == RUNS
    for run in runs:
        found = of_network(
            run["net"], run["kernel"], run["T"], crossbar=run["xbar"], pes_per_tile=run["pe_per_tile"],
            device__kind=run["device"],
        )  # fmt: skip
        assert (sum(found.pes), found.tiles) == (run["n_pe"], run["n_tiles"])
        assert sum(found.cycles) * 1000 / run["clk_MHz"] == run["latency_ns"]
        exactly = pytest.approx(run["energy_layerwise_pJ"], rel=1e-9)
        assert [sum(by.values()) for by in found.energy_pj_by] == exactly
        assert found.energy_pj == pytest.approx(run["energy_pJ"], rel=1e-9)
        assert found.area_um2 == pytest.approx(run["area_um2"], rel=1e-9)


def test_components_are_those_of_the_recorded_breakdown() -> None:
    for run in recorded()["runs"]:
        found, cycle = of_network(
            run["net"], run["kernel"], run["T"], crossbar=run["xbar"], pes_per_tile=run["pe_per_tile"],
            device__kind=run["device"],
        ), run["energy_breakdown"]["total_pJ"]  # fmt: skip
        totals = {name: sum(by[name] for by in found.energy_pj_by) for name in CROSSBAR_COMPONENTS}
        assert totals == pytest.approx(
            {
                "crossbar": cycle["crossbar"], "adc": cycle["adc"] + cycle["mux"],
                "digital": cycle["diff_sub"],
                "buffers": cycle["mem_fetch"] + cycle["temp_buffer"] + cycle["tile_buffer"],
                "htree": cycle["htree"], "noc": 0, "lif": cycle["neuron_lif"],
            }
        )  # fmt: skip


def test_one_layer_by_hand() -> None:
    """3 to 8 channels, kernel 1, 4x4 to 2x2, crossbars of 8: one PE, read four times at two time points."""
    arch = machine(crossbar=8)
    found = released([ReleasedLayer(3, 8, 4, 2)], 1, 2, arch)
    assert (found.pes, found.tiles) == ((1,), 1)
    assert sum(pe_cycle_pj(1, arch).values()) == pytest.approx(567.9453334, rel=1e-12)
    assert found.energy_pj == pytest.approx(2 * 4 * 567.9453334, rel=1e-12)
    assert found.cycles == (26 * 2 * 8 * 2 * 2,)
    tile = 13411.41498 + 484.643999 + 6054.7072 + 8 * (26.2144 + 693.633 + 45.9) + 433660
    assert found.area_um2 == pytest.approx(tile + 16.2602 * (3 * 16 + 8 * 4), rel=1e-12)
    assert tuple(found.area_um2_by) == tuple(found.energy_pj_by[0]) == CROSSBAR_COMPONENTS


def test_layers_share_tiles_start_at_three_quarters_and_count_five_potentials() -> None:
    """Six layers of 1 channel and 3x3 outputs: 6 PEs of one crossbar in one tile; floor(0.75 x 9) = 6."""
    one = ReleasedLayer(1, 1, 3, 3)
    found = released([one] * 6, 3, 1, machine())
    assert (found.pes, found.tiles) == ((1,) * 6, 1)
    assert found.cycles == (26 * 6,) * 5 + (26 * 9,)
    assert found.area_um2_by["lif"] == pytest.approx(16.2602 * 5 * 9)
    assert released([one] * 9, 3, 1, machine()).tiles == 2


@pytest.mark.parametrize(
    ("weight_bits", "device_bits", "factor"), [(8, 4, 2), (8, 3, 3), (4, 4, 1), (8, 1, 8)]
)
def test_precision_counts_a_pe_for_each_slice(weight_bits: int, device_bits: int, factor: int) -> None:
    arch = sx.load_accelerator(
        "spikesim-released",
        overrides={"weight_bits": weight_bits, "imc.device.bits": device_bits, "imc.precision_factor": True},
    )
    layers = [ReleasedLayer(65, 64, 4, 4)]
    with_factor, without = (released(layers, 3, 1, one) for one in (arch, machine()))
    assert (with_factor.pes, without.pes) == ((2 * factor,), (2,))
    assert with_factor.energy_pj == pytest.approx(factor * without.energy_pj)
    assert with_factor.cycles == without.cycles


class TestNetworks:
    def test_pooling_that_follows_shrinks_a_map(self) -> None:
        layers = load_network("vgg9-cifar10").layers
        sizes = {
            dims: [(one.channels, one.out_channels, one.in_side, one.out_side) for one in found]
            for dims in ("post_pool", "conv")
            for found, kernel in (released_layers(layers, machine(released_dims=dims)),)
            if kernel == 3
        }
        wanted = [(3, 64, 32, 32), (64, 64, 32, 16), (64, 128, 16, 16), (128, 128, 16, 8), (128, 256, 8, 8),
                  (256, 256, 8, 4)]  # fmt: skip
        assert sizes["post_pool"] == wanted
        assert sizes["conv"] == [(*one[:3], one[2]) for one in wanted]

    @pytest.mark.parametrize("sides", [{"in_height": 8}, {"in_width": 8}, {"kernel": (3, 1)}])
    def test_what_is_not_square_is_refused(self, sides: dict[str, Any]) -> None:
        keys = {"in_height": 6, "in_width": 6, "kernel": 3, "padding": 1} | sides
        layer = Layer(name="odd", kind="conv", in_channels=1, out_channels=1, neuron=NEURON, **keys)
        with pytest.raises(sx.UnsupportedError, match=r"imc\.model: layer odd: model released knows square"):
            released_layers([layer], machine())

    def test_a_network_without_convolutions_is_refused(self) -> None:
        layer = Layer(name="fc", kind="linear", in_channels=4, out_channels=3, neuron=NEURON)
        with pytest.raises(sx.UnsupportedError, match=r"imc\.model: .* the network has none; choose events"):
            released_layers([layer], machine())


class TestPage:
    def test_it_is_up_to_date(self) -> None:
        text = page.PAGE.read_text("utf-8")
        assert page.rewritten(text) == text, "run python scripts/make_imc_released_page.py"

    def test_its_network_is_the_scripts(self) -> None:
        run = recorded()["default_run"]
        assert page.default().energy_pj == pytest.approx(run["energy_pJ"], rel=1e-9)
        assert page.latency_ns(page.default()) == run["latency_ns"]

    def test_flits_of_a_small_network_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two words in, sums of 32 and of one channel out, behind a head; the only tile is two hops off."""
        monkeypatch.setattr(page, "LAYERS", (ReleasedLayer(64, 33, 1, 1),))
        monkeypatch.setattr(page, "SIDES", (1,))
        page.mesh.cache_clear()
        try:
            assert page.widths() == [5 + 8 + 4 + 1]
            assert page.flit_hops() == 5 * 2 * ((1 + 2) + (1 + 18) + (1 + 1))
        finally:
            page.mesh.cache_clear()


NEURON = Neuron(threshold=1, leak_shift=1)
