"""Published hardware figures of searched networks: what is met, and what is told on the page (Section 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from spikex_sim.papers.nas import measures, scorecard
from spikex_sim.papers.nas.published import Published, published

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"
CONTRADICTED = {"snasnet-params-tin", "neuronas-area-c100-min"}


def row(name: str) -> Published:
    return next(one for one in published() if one.id == name)


@pytest.mark.parametrize("one", published(), ids=lambda one: one.id)
def test_the_script_gives_every_figure_but_those_that_contradict_others(one: Published) -> None:
    ours = [measures.measured(one, measures.script, network) for network in one.networks]
    assert all(map(one.admits, ours)) is (one.id not in CONTRADICTED), ours


def test_the_largest_networks_take_longer_than_the_paper_admits() -> None:
    for name in ("neuronas-params-c10-max", "neuronas-params-c100-max"):
        (network,) = row(name).networks
        assert measures.script(network, 4).latency_ms == pytest.approx(621.93664)


@pytest.mark.parametrize(
    ("name", "value", "told", "met"),
    [
        ("snasnet-area-c10", 634.99, "634", True), ("snasnet-area-c10", 635.0, "635", False),
        ("snasnet-area-c10", 633.99, "633", False), ("neuronas-params-c10-min", 0.8889, "0.888", True),
        ("neuronas-params-c10-min", 0.8879, "0.887", False), ("neuronas-fxp8-area-saving", 91.6, "91", True),
        ("neuronas-fxp8-area-saving", 92.9, "92", True), ("neuronas-fxp8-area-saving", 91.4, "91", False),
        ("neuronas-fxp8-latency", 1.16, "1.1", True), ("neuronas-fxp8-latency", 1.14, "1.1", False),
    ],
)  # fmt: skip
def test_figures_are_cut_off_and_shares_rounded_too(name: str, value: float, told: str, met: bool) -> None:
    assert (row(name).told(value), row(name).admits(value)) == (told, met)


def test_savings_are_against_snasnet_of_32_bits() -> None:
    network = (4, 0, 0, 0)
    ours, theirs = measures.script(network, 8), measures.script((1, 3, 1, 3), 32)
    saved = measures.measured(row("neuronas-fxp8-energy-saving"), measures.script, network)
    assert saved == pytest.approx(100 * (1 - ours.energy_uj / theirs.energy_uj))
    faster = measures.measured(row("neuronas-fxp8-latency"), measures.script, network)
    assert faster == pytest.approx(theirs.latency_ms / ours.latency_ms)


def test_cells_of_one_bit_take_four_times_the_energy() -> None:
    for one in published():
        if one.quantity == "energy":
            ratio = [getattr(model(one.networks[0], one.bits), "energy_uj")
                     for model in (measures.script_of_bits, measures.script)]  # fmt: skip
            assert ratio[0] == pytest.approx(4 * ratio[1])


def test_the_series_has_the_convolutions_of_the_network() -> None:
    convolutions = measures.MACRO.convolutions((3, 1), (3,))
    network = measures.series(convolutions)
    assert network.predecessors() == tuple((at - 1,) for at in range(6))
    layers = [one for one in network.layers if one.kind == "conv"]
    for one, layer in zip(convolutions, layers, strict=True):
        assert layer.weight_shape == (one.out_channels, one.in_channels, one.kernel, one.kernel)
        assert (layer.in_height, layer.out_width) == (one.in_side, one.out_side)
    assert set(network.rates.values()) == {1.0, measures.RATE} and network.rates["stem0"] == 1.0


def test_the_page_has_every_row() -> None:
    page = PAGE.read_text("utf-8")
    for one in published():
        assert f"| `{one.id}`: {one.quantity}, {one.condition}" in page
    assert "28 of 30 numbers are met" in page
    named = {name for text in scorecard.CONTRADICTIONS for name in CONTRADICTED if f"`{name}`" in text}
    assert named == CONTRADICTED


def test_a_row_that_is_not_met_says_so() -> None:
    one = row("neuronas-area-c100-min")
    text = scorecard.table([scorecard.Line(one, (24.47,), 140.0, (22.0, 37.0)),
                            scorecard.Line(one, (25.07, 25.9), 140.0, None)])  # fmt: skip
    assert "| 24.47 | NOT met | a=2 b=2 | 140 | 22 | 37 |" in text
    assert "| 25.07, 25.9 | met | a=2 b=2 | 140 |  |  |" in text
