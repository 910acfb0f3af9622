"""Densities that give the ratios of the SpikeX paper, and where its numbers contradict each other."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import succeed
from spikex_sim.papers.spikex import densities, studies, trained
from spikex_sim.papers.spikex.published import Published, published
from spikex_sim.run.simulate import simulate
from spikex_sim.spec.load import load_accelerator


class TestDensities:
    """Which densities give the ratios of Figure 13."""

    @staticmethod
    def drawn() -> list[dict[str, Any]]:
        """PTB's costs grow with the density, those of others by a power of it."""
        powers = dict(zip(densities.COSTS, (0.1, 0.2, 0.15, 0.3, 0.5, 0.6), strict=True))
        return [
            {"density": at, **{name: at**power for name, power in powers.items()}}
            for at in densities.DENSITIES
        ]

    def test_costs_between_densities_lie_on_powers(self) -> None:
        found = densities.at_density(self.drawn(), 0.02)
        assert found["ptb_seconds"] == pytest.approx(0.02**0.2)
        assert found["spikex_energy_pj"] == pytest.approx(0.02**0.5)

    def test_ratios_are_of_what_stands_before_and_after(self) -> None:
        before, after = (densities.at_density(self.drawn(), at) for at in (0.1, 0.001))
        found = densities.ratios(before, after)
        assert found["ht-energy"] == pytest.approx(0.1**0.1 / 0.001**0.1)
        assert found["has-latency"] == pytest.approx(0.1**0.2 / 0.001**0.3)
        assert found["all-energy"] == pytest.approx(0.1**0.1 / 0.001**0.5)
        assert list(found) == list(densities.RATIOS)

    def test_the_fitted_pair_is_the_nearest_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Published numbers that two densities give are found, and no pair is nearer to others."""
        drawn = self.drawn()
        before, after = (densities.at_density(drawn, at) for at in (0.03, 0.001))
        rows = [
            Published(f"fig13-{name}-x", "", "", "", value, "ratio")
            for name, value in densities.ratios(before, after).items()
        ]
        monkeypatch.setattr(densities, "published", lambda: tuple(rows))
        found = densities.fitted(drawn, "x")
        assert (found["base_density"], found["density"]) == pytest.approx((0.03, 0.001))
        assert found["error"] == pytest.approx(0, abs=1e-9)
        assert found["has_latency_ratio"] == pytest.approx(found["has_latency_published"])

    def test_layers_have_the_density_and_the_first_what_a_camera_saw(self) -> None:
        layers = densities.drawn_layers("nmnist", 0.03)
        seen = trained.camera_network("nmnist")
        assert [one.layers[0].name for _, one in layers] == [one.name for one in seen.layers]
        assert [single.stage.layer.name for single, _ in layers] == [one.name for one in seen.layers]
        assert np.array_equal(layers[0][1].spikes(0)[0], seen.spikes(0)[0])
        for _, one in layers[1:]:
            assert one.spikes(0)[0].mean() == pytest.approx(0.03, rel=0.1)

    def test_sizes_are_searched_as_said(self) -> None:
        """PTB has one size of least energy, the others one a layer of least EDP; nothing stays in the GLB."""
        keys = {"memory.glb.keep_ofmap": False}
        presets = studies.Machines.of_presets()
        machines = studies.Machines(*(load_accelerator(one, keys) for one in (presets.spikex, presets.ptb)))
        layers = densities.drawn_layers("nmnist", 0.01)[1:3]
        found = densities.costs_at(layers, machines)
        for machine, name in ((machines.ptb, "has"), (machines.spikex, "spikex")):
            every = [
                [simulate(one, machine, tws=tws).totals for tws in (1, 2, 4, 8, 16, 30)] for _, one in layers
            ]
            best = [min(sizes, key=lambda one: one.edp_js) for sizes in every]
            assert found[f"{name}_seconds"] == pytest.approx(sum(one.seconds for one in best))
            assert found[f"{name}_energy_pj"] == pytest.approx(sum(one.energy_pj for one in best))
            if name == "has":
                sums = [(sum(one.energy_pj for one in some), sum(one.seconds for one in some))
                        for some in zip(*every, strict=True)]  # fmt: skip
                assert (found["ptb_energy_pj"], found["ptb_seconds"]) == pytest.approx(min(sums))

    def test_outputs_stay_for_the_layer_behind(self) -> None:
        """As they do in a network: with the presets, which keep them, DRAM is spared."""
        presets = studies.Machines.of_presets()
        layers = densities.drawn_layers("nmnist", 0.01)
        sent = load_accelerator(presets.spikex, {"memory.glb.keep_ofmap": False})
        kept = list(densities._costs(layers, presets.spikex, 4))
        apart = list(densities._costs(layers, sent, 4))
        assert [mine[0] < other[0] for mine, other in zip(kept, apart, strict=True)] != [False] * 4
        assert all(mine[0] <= other[0] for mine, other in zip(kept, apart, strict=True))

    def test_the_command_says_and_draws_it(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(densities, "NETWORKS", {"nmnist": "nmnist"})
        monkeypatch.setattr(densities, "DENSITIES", (0.001, 0.1))
        monkeypatch.setattr(densities, "SIZES", (4, 8))
        shown = succeed(capsys, "reproduce", "densities", "--samples", "1", "--out", tmp_path / "o")
        assert "If networks were this dense" in shown.out and "mean density of hidden layers" in shown.out
        with (tmp_path / "o" / "densities.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["kind"] for row in rows] == ["drawn", "drawn", "fitted"] * 2 + ["shipped"] * 2
        assert {row["ptb_moves"] for row in rows} == {"all channels", "tagged channels", ""}
        assert (tmp_path / "o" / "densities.pdf").is_file()


class TestContradictions:
    """The arithmetic of docs/contradictions.md, from published numbers and from the rows that it names."""

    PAGE = Path(__file__).resolve().parents[2] / "docs" / "contradictions.md"

    def test_of_published_numbers(self) -> None:
        value = {row.id: row.value for row in published()}
        page = " ".join(self.PAGE.read_text("utf-8").split())
        energy, latency = value["fig13-all-energy-dvsm"], value["fig13-all-latency-dvsm"]
        least = {
            end: value[f"fig13-all-energy-{end}"] * value[f"fig13-all-latency-{end}"]
            for end in ("dvsl", "nmnist")
        }
        share = (1 / value["fig13-ht-energy-dvsm"] - 1 / value["ht-layer-max"]) / (
            1 - 1 / value["ht-layer-max"]
        )
        large = value["fig13-all-latency-dvsl"] / value["fig13-has-latency-dvsl"]
        has = value["fig13-has-latency-nmnist"] / value["fig13-ht-latency-nmnist"]
        for told in (
            f"{energy:g} x {latency:g} = {energy * latency:.2f}",
            f"print {value['edp-max']:g}",
            f"= {least['dvsl']:.2f} for", f"= {least['nmnist']:.2f} for",
            f"printed {value['edp-min']:g}",
            f"1 - 1/{energy:g} = {100 * (1 - 1 / energy):.1f} %",
            f"a reduction of {100 * (1 - 1 / latency):.1f} %",
            f"= {latency / value['fig13-has-latency-dvsm']:.3f} for DVS-Gesture Medium",
            f"= {large:.3f} for DVS-Gesture Large",
            f"= {has:.2f} x in latency",
            f"{has / (1 + value['fig13-step-energy-nmnist'] / 100):.1f} x in EDP",
            f"1 / {energy:g} = {100 / energy:.1f} %", f"`: {100 * share:.1f} %",
        ):  # fmt: skip
            assert told in page, told

    def test_of_our_rows(self) -> None:
        docs, page = self.PAGE.parent, " ".join(self.PAGE.read_text("utf-8").split())
        with (docs / "densities.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        large = [row for row in rows if (row["network"], row["kind"]) == ("dvs-gesture-large", "fitted")]
        [tagged] = [row for row in large if row["ptb_moves"] == "tagged channels"]
        before, after = (f"{100 * float(tagged[key]):.2g} %" for key in ("base_density", "density"))
        assert f"{before} before and {after} after" in page
        for name in (one.replace("-", "_") for one in densities.RATIOS):
            assert abs(float(tagged[f"{name}_ratio"]) / float(tagged[f"{name}_published"]) - 1) <= 0.25
        [drawn] = [[row for row in rows if row["network"] == "dvs-gesture-large" and row["kind"] == "drawn"
                    and row["ptb_moves"] == "all channels"]]  # fmt: skip
        energies = [float(row["ptb_energy_pj"]) for row in drawn]
        assert max(energies) / min(energies) < 4.89, "no pair of densities"
        with (docs / "fig13.csv").open(encoding="utf-8") as file:
            base = [row for row in csv.DictReader(file)
                    if (row["network"], row["configuration"]) == ("dvs-gesture-medium", "PTB")]  # fmt: skip
        for column, quantity in (("energy_pj", "energy"), ("seconds", "time")):
            share = float(base[0][column]) / sum(float(row[column]) for row in base)
            assert f"{100 * share:.0f} % of" in page, (quantity, share)
