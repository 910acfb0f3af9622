"""Energy, area, leakage and the released formulas of crossbar machines against their slow oracle."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_imc_cost as naive
import spikex_sim as sx
from command import REPOSITORY
from examples import examples
from imc_strategies import Described, configurations, lowest_weight, networks
from naive_imc import Mapped, config_of
from naive_imc_net import Machine
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.counts import Counts
from spikex_sim.core.geometry import Geometry
from spikex_sim.costs.crossbar_chip import area_um2, leakage_pj
from spikex_sim.schedules.crossbar.chip import Chip, ChipLayer
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import ReleasedLayer, released, released_layers
from spikex_sim.schedules.crossbar.widths import psum_bits
from spikex_sim.spec.workload import Layer

TABLE = naive.read_table(REPOSITORY / "spikex_sim/costs/tables/imc65/imc.csv")
SHAPE_KEYS = ("name", "kind", "in_channels", "out_channels", "kernel", "stride", "padding", "in_height",
              "in_width", "neuron")  # fmt: skip
COUNTED = {
    ("crossbar", "cell_read", "filter"): ("cell_reads", None),
    ("crossbar", "row_drive", "ifmap"): ("row_activations", "imc.crossbar"),
    ("adc", "convert", ""): ("conversions", None),
    ("adc", "mux", ""): ("conversions", None),
    ("digital", "add_bit", "psum"): ("add_bits", None),
    ("digital", "sign_read", "filter"): ("sign_bits", None),
    ("buffers", "pib_read", "ifmap"): ("pib_read_bits", None),
    ("buffers", "pib_write", "ifmap"): ("pib_write_bits", None),
    ("buffers", "pb", "psum"): ("pb_bits", None),
    ("buffers", "tb", "psum"): ("tb_bits", None),
    ("buffers", "gb_read", "ifmap"): ("gb_read_bits", None),
    ("buffers", "gb_write", "ofmap"): ("gb_write_bits", None),
    ("buffers", "tib_read", "ifmap"): ("tib_read_bits", None),
    ("buffers", "tib_write", "ifmap"): ("tib_write_bits", None),
    ("htree", "up", "psum"): ("htree_up_bits", None),
    ("htree", "down", "ifmap"): ("htree_down_bits", None),
    ("lif", "update", ""): ("lif_updates", None),
    ("lif", "umem_read", "psum"): ("umem_reads", "potential_bits"),
    ("lif", "umem_write", "psum"): ("umem_writes", "potential_bits"),
}  # fmt: skip
"""What each counter is in the oracle's names, and the key that it is multiplied with."""
NAMES = {*(name for name, _ in COUNTED.values()), "noc_in_flit_hops", "noc_out_flit_hops", "current_reads",
         "current_writes"}  # fmt: skip


def machine(changes: Described) -> CrossbarOptions:
    """Configuration with dotted keys replaced, keys without effect among them."""
    nested: dict[str, Any] = {}
    for key, value in changes.items():
        *path, last = key.split(".")
        into = nested
        for part in path:
            into = into.setdefault(part, {})
        into[last] = value
    return CrossbarOptions.model_validate({"name": "drawn", **nested})


@st.composite
def mapped_networks(draw: st.DrawFn) -> tuple[Described, list[Mapped], list[Described]]:
    """Changes of the configuration, the oracle's layers, and all layers as described."""
    changes = draw(configurations())
    config = config_of(changes)
    layers = draw(networks(int(config["weight_bits"]), lowest_weight(config)))
    return changes, Machine(layers, config).mapped, layers


def chip_of(layers: list[Mapped], arch: CrossbarOptions, timesteps: int, direct: bool) -> Chip:
    """The oracle's layers as the package describes them."""
    made = []
    for at, one in enumerate(layers):
        shape = one.shape
        geometry = Geometry(
            shape.C, shape.H, shape.W, *shape.kernel, *shape.stride, *shape.padding, shape.H_o, shape.W_o
        )
        mapping = LayerMapping.of(f"layer{at}", geometry, shape.M, arch)
        pixels, bits = shape.C * shape.H * shape.W, psum_bits(arch, mapping.blocks)
        made.append(ChipLayer(mapping, pixels, shape.P, shape.W_o, direct and at == 0, bits))
    return Chip(tuple(made), timesteps)


@examples(150)
@given(mapped_networks(), st.integers(1, 6), st.booleans(), st.integers(0, 10**9))
def test_area_and_leakage(
    drawn: tuple[Described, list[Mapped], list[Described]], timesteps: int, direct: bool, cycles: int
) -> None:
    changes, layers, _ = drawn
    arch = machine(changes)
    chip = chip_of(layers, arch, timesteps, direct)
    assert area_um2(chip, arch) == pytest.approx(naive.area_um2(layers, timesteps, direct, TABLE), rel=1e-12)
    seconds = cycles / float(arch.clock_hz)
    assert leakage_pj(chip, arch, seconds) == pytest.approx(
        naive.leakage_pj(layers, cycles, TABLE), rel=1e-12
    )


@examples(150)
@given(mapped_networks(), st.fixed_dictionaries({name: st.integers(0, 2**40) for name in NAMES}))
def test_energy(drawn: tuple[Described, list[Mapped], list[Described]], n: dict[str, int]) -> None:
    changes, layers, _ = drawn
    one, arch = layers[0], machine(changes)
    counts = Counts(
        {counter: n[name] * (int(one.config[key]) if key else 1) for counter, (name, key) in COUNTED.items()}
        | {
            ("noc", "flit_hop", ""): n["noc_in_flit_hops"] + n["noc_out_flit_hops"],
            ("lif", "current_read", "psum"): n["current_reads"] * one.psum_bits,
            ("lif", "current_write", "psum"): n["current_writes"] * one.psum_bits,
        }
    )
    found = energy_model(arch).energy(counts, 0).components
    assert found == pytest.approx(naive.energy_pj(n, one, TABLE), rel=1e-12)


@examples(150)
@given(
    st.lists(
        st.fixed_dictionaries({key: st.integers(1, 600) for key in ("C", "M", "Hi", "Ho")}),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 7),
    st.integers(1, 9),
    st.fixed_dictionaries(
        {
            "imc.crossbar": st.integers(2, 300),
            "imc.pes_per_tile": st.integers(1, 20),
            "imc.device.kind": st.sampled_from(["rram", "sram"]),
            "imc.precision_factor": st.booleans(),
            "imc.device.bits": st.integers(1, 8),
            "weight_bits": st.integers(2, 8),
        }
    ),
)
def test_released(shapes: list[dict[str, int]], kernel: int, timesteps: int, changes: Described) -> None:
    arch = machine(changes)
    wanted = naive.released([one | {"k": kernel} for one in shapes], timesteps, config_of(changes))
    found = released(
        [ReleasedLayer(one["C"], one["M"], one["Hi"], one["Ho"]) for one in shapes], kernel, timesteps, arch
    )
    assert (sum(found.pes), found.tiles, sum(found.cycles)) == (
        wanted["pes"],
        wanted["tiles"],
        wanted["cycles"],
    )
    by_layer = [sum(by.values()) for by in found.energy_pj_by]
    assert by_layer == pytest.approx(wanted["energy_layers_pj"], rel=1e-9)
    assert found.energy_pj == pytest.approx(wanted["energy_pj"], rel=1e-9)
    assert found.area_um2 == pytest.approx(wanted["area_um2"], rel=1e-9)


@examples(150)
@given(mapped_networks(), st.sampled_from(["post_pool", "conv"]))
def test_shapes_of_released_layers(drawn: tuple[Described, list[Mapped], list[Described]], dims: str) -> None:
    described = drawn[2]
    arch = machine({"imc.released_dims": dims})
    layers = [Layer(**{key: one[key] for key in SHAPE_KEYS if key in one}) for one in described]
    try:
        found, kernel = released_layers(layers, arch)
    except sx.UnsupportedError:
        convs = [one for one in layers if one.kind == "conv"]
        sides = [(one.in_height, one.in_width) for one in convs] + [one.kernel for one in convs]
        sides += [(one.out_height, one.out_width) for one in layers if one.kind != "linear"]
        assert not convs or any(height != width for height, width in sides)
        return
    wanted = naive.released_shapes(described, config_of({"imc.released_dims": dims}))
    assert [vars(one) for one in found] == [
        {"channels": one["C"], "out_channels": one["M"], "in_side": one["Hi"], "out_side": one["Ho"]}
        for one in wanted
    ]
    assert kernel == wanted[0]["k"]
