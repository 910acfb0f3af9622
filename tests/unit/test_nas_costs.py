"""Costs of searched networks: published, by the closed form, by the simulator's script (Section 2)."""

from __future__ import annotations

import csv
import gzip
import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naive_nas as naive
import spikex_sim as sx
from command import is_mistake, spikex, succeed
from spikex_sim.core.errors import ConfigError, UnsupportedError
from spikex_sim.explore.nas.cells import SPACES
from spikex_sim.explore.nas.constraints import Constraints
from spikex_sim.explore.nas.costs import Costs, Script, costs_of, run_script, script_of
from spikex_sim.explore.nas.forms import canonical
from spikex_sim.explore.nas.macro import DATASETS, Macro
from spikex_sim.explore.nas.table import PairTable
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import released, released_layers
from spikex_sim.spec.workload import Layer, Neuron

NAMES = ("parameters", "area_mm2", "latency_ms", "energy_uj")
PAPER = Constraints(10e6, 1000, 500, 1000)


def machine(**overrides: Any) -> CrossbarOptions:
    changes = {key.replace("__", "."): one for key, one in overrides.items()}
    arch = sx.load_accelerator("spikesim-released", changes)
    assert isinstance(arch, CrossbarOptions)
    return arch


def kernels(three: int, one: int = 0) -> tuple[int, ...]:
    return (3,) * three + (1,) * one


def numbers(costs: Costs) -> tuple[float, ...]:
    return tuple(getattr(costs, name) for name in NAMES)


def cut(value: float, published: str) -> str:
    """A value with as many digits as a published one, cut off."""
    _, _, behind = published.partition(".")
    return f"{math.floor(value * 10 ** len(behind) + 1e-9) / 10 ** len(behind):.{len(behind)}f}"


# a, a1, b, b1, bits; what is published of it, cut off
PUBLISHED = [
    ((1, 3, 1, 3, 32), {"parameters": "1.28", "area_mm2": "634", "latency_ms": "468", "energy_uj": "1425"}),
    ((2, 2, 2, 2, 32), {"parameters": "1.93", "area_mm2": "634", "latency_ms": "468", "energy_uj": "1425"}),
    ((2, 3, 2, 3, 32), {"area_mm2": "755", "latency_ms": "545", "energy_uj": "1696"}),
    ((2, 0, 4, 0, 16), {"area_mm2": "187", "energy_uj": "576"}),
    ((4, 0, 4, 0, 16), {"area_mm2": "209", "energy_uj": "712"}),
    ((6, 0, 1, 0, 16), {"area_mm2": "166", "energy_uj": "644", "latency_ms": "494", "parameters": "1.77"}),
    ((2, 0, 3, 0, 4), {"area_mm2": "26", "energy_uj": "127", "latency_ms": "340"}),
    ((4, 0, 1, 0, 4), {"area_mm2": "26", "energy_uj": "127"}),
    ((3, 0, 1, 0, 4), {"latency_ms": "340"}),
    ((1, 0, 5, 0, 4), {"latency_ms": "340"}),
    ((2, 0, 2, 0, 4), {"energy_uj": "110", "latency_ms": "315", "parameters": "1.77"}),
    ((4, 0, 0, 0, 8), {"parameters": "0.888"}),
    ((0, 0, 6, 0, 8), {"parameters": "3.83"}),
    ((4, 0, 5, 0, 8), {"parameters": "3.83"}),
    ((6, 0, 6, 0, 8), {"parameters": "4.72"}),
]
# Of the same networks, as the design has them.
COMPUTED = [
    ((1, 3, 1, 3, 32), (1_281_408, 634.63, 468.58, 1425.26)),
    ((2, 3, 2, 3, 32), (2_018_688, 755.68, 545.26, 1696.74)),
    ((2, 0, 4, 0, 16), (2_952_576, 187.57, 366.35, 576.89)),
    ((4, 0, 4, 0, 16), (3_247_488, 209.91, 468.58, 712.63)),
    ((6, 0, 1, 0, 16), (1_772_928, 166.43, 494.14, 644.76)),
    ((2, 0, 3, 0, 4), (2_362_752, 26.73, 340.79, 127.26)),
    ((4, 0, 1, 0, 4), (1_478_016, 26.01, 391.91, 127.26)),
    ((2, 0, 2, 0, 4), (1_772_928, 24.47, 315.23, 110.29)),
    ((6, 0, 6, 0, 4), (4_722_048, 42.16, 621.94, 246.03)),
]


def both(network: tuple[int, ...], dataset: str = "cifar10") -> list[Costs]:
    """Costs of a network by the closed form and by the simulator's script."""
    a, a1, b, b1, bits = network
    macro, arch = Macro(DATASETS[dataset]), machine()
    inside = kernels(a, a1), kernels(b, b1)
    return [
        costs_of(macro, Script.of(arch), bits, *inside),
        run_script(arch, macro.timesteps, bits, macro.convolutions(*inside)),
    ]


class TestPublished:
    @pytest.mark.parametrize(("network", "published"), PUBLISHED)
    def test_figures_are_met_to_the_digits_printed(
        self, network: tuple[int, ...], published: dict[str, str]
    ) -> None:
        for costs, (name, text) in product(both(network), published.items()):
            value = getattr(costs, name) / (1e6 if name == "parameters" else 1)
            assert cut(value, text) == text, name

    @pytest.mark.parametrize(("network", "computed"), COMPUTED)
    def test_computed_values(self, network: tuple[int, ...], computed: tuple[float, ...]) -> None:
        for dataset, costs in product(DATASETS, both(network)):
            assert [round(one, 2) for one in numbers(costs)] == list(computed), dataset

    def test_savings_of_the_abstract(self) -> None:
        (ours, _), (theirs, _) = both((4, 0, 0, 0, 8)), both((1, 3, 1, 3, 32))
        assert round(100 * (1 - ours.area_mm2 / theirs.area_mm2), 2) == 91.95
        assert round(100 * (1 - ours.energy_uj / theirs.energy_uj), 2) == 84.52
        assert round(theirs.latency_ms / ours.latency_ms, 3) == 1.196

    def test_contradictions_of_the_paper(self) -> None:
        """1.93 M is not five convolutions, 4.72 M not 494 ms, and no pair of 110 uJ and 315 ms has 25 mm2."""
        five, largest, small = (both(one)[0] for one in ((2, 3, 2, 3, 32), (6, 0, 6, 0, 4), (2, 0, 2, 0, 4)))
        assert cut(five.parameters / 1e6, "1.93") == "2.01"
        assert cut(largest.latency_ms, "494") == "621"
        assert cut(small.area_mm2, "25") == "24"
        script, macro = Script.of(machine()), Macro()
        of_both = [
            (a, b)
            for a, b in product(range(7), repeat=2)
            for costs in [costs_of(macro, script, 4, kernels(a), kernels(b))]
            if (cut(costs.energy_uj, "110"), cut(costs.latency_ms, "315")) == ("110", "315")
        ]
        assert of_both == [(2, 2)]

    def test_one_bit_cells_would_cost_four_times_as_much(self) -> None:
        script = Script.of(machine(imc__precision_factor=True, imc__device__bits=1))
        found = costs_of(Macro(), script, 32, kernels(1, 3), kernels(1, 3))
        assert cut(found.energy_uj, "5701") == "5701"


CELLS = [(three, one) for three, one in product(range(7), repeat=2) if three + one <= 6]


class TestClosedForm:
    def test_it_is_the_text_and_the_script(self) -> None:
        arch, macro = machine(), Macro()
        for number, ((a, a1), (b, b1)) in enumerate(product(CELLS, CELLS)):
            bits = (4, 8, 16, 32)[number % 4]
            wanted = pytest.approx(naive.published_costs(a, b, a1, b1, bits // 4), rel=1e-9)
            inside = kernels(a, a1), kernels(b, b1)
            assert numbers(costs_of(macro, Script.of(arch), bits, *inside)) == wanted
            assert numbers(run_script(arch, 5, bits, macro.convolutions(*inside))) == wanted

    @pytest.mark.parametrize(
        ("channels", "timesteps", "keys"),
        [
            (16, 4, {}), (32, 1, {"imc__crossbar": 32}), (96, 7, {"imc__pes_per_tile": 3}), (7, 5, {}),
            (65, 2, {"imc__device__kind": "sram", "clock_mhz": 100.0}), (5, 3, {"imc__crossbar": 2}),
        ],
    )  # fmt: skip
    def test_other_networks_and_machines_are_the_script_too(
        self, channels: int, timesteps: int, keys: dict[str, Any]
    ) -> None:
        arch, macro = machine(**keys), Macro(channels=channels, timesteps=timesteps)
        for a, b in product(range(7), repeat=2):
            inside = (3, 1, 5, 3, 7, 3)[:a], (1, 3, 3, 7, 1, 5)[:b]
            closed = costs_of(macro, Script.of(arch), 12, *inside)
            ran = run_script(arch, timesteps, 12, macro.convolutions(*inside))
            assert numbers(closed) == pytest.approx(numbers(ran), rel=1e-9)
            assert closed.edp_js == pytest.approx(ran.energy_uj * 1e-6 * ran.latency_ms * 1e-3)

    def test_layers_of_a_workload_cost_the_same(self) -> None:
        """The convolutions as the simulator's layers, by its own reading of them."""
        arch = machine(imc__precision_factor=True, imc__released_dims="conv", weight_bits=8)
        neuron = Neuron(threshold=1, leak_shift=1)
        layers = [
            Layer(
                name=f"{at}", kind="conv", in_channels=one.in_channels, out_channels=one.out_channels,
                kernel=(one.kernel, one.kernel), stride=(one.stride, one.stride),
                padding=(one.kernel // 2, one.kernel // 2), in_height=one.in_side, in_width=one.in_side,
                neuron=neuron,
            )
            for at, one in enumerate(Macro().convolutions((3, 1, 3), (3, 5)))
        ]  # fmt: skip
        assert [one.out_height for one in layers] == [32, 32, 32, 32, 32, 16, 16]
        found = released(*released_layers(layers, arch), 5, arch)
        wanted = costs_of(Macro(), Script.of(arch), 8, (3, 1, 3), (3, 5))
        assert 2 * found.area_um2 / 1e6 == pytest.approx(wanted.area_mm2, rel=1e-9)
        assert sum(found.cycles) * 4e-6 == pytest.approx(wanted.latency_ms, rel=1e-9)
        assert found.energy_pj / 1e6 == pytest.approx(wanted.energy_uj, rel=1e-9)

    @pytest.mark.parametrize(("bits", "slices"), [(1, 1), (4, 1), (5, 2), (8, 2), (16, 4), (32, 8)])
    def test_bits_of_a_weight_are_slices(self, bits: int, slices: int) -> None:
        assert Script.of(machine()).slices(bits) == slices

    def test_what_cannot_be_costed_is_refused(self) -> None:
        for bits in (0, 33):
            with pytest.raises(ConfigError, match=f"bits: is {bits}; a weight has 1 to 32"):
                Script.of(machine()).slices(bits)
        with pytest.raises(UnsupportedError, match="arch spikesim: costs follow from spikes"):
            script_of("spikesim")
        one_bit = machine(imc__precision_factor=True, imc__device__bits=1)
        with pytest.raises(UnsupportedError, match="a weight of 9 bits takes 9 cells"):
            run_script(one_bit, 5, 9, Macro().convolutions((), ()))


@pytest.fixture(scope="module")
def pairs() -> PairTable:
    return PairTable.of(SPACES["neuronas"], Macro(), Script.of(machine()), 16)


class TestTable:
    def test_pairs_cost_what_each_costs_alone(self, pairs: PairTable) -> None:
        space, script, rng = SPACES["neuronas"], Script.of(machine()), np.random.default_rng(0)
        assert len(pairs.names) == 729 and int(pairs.pairs().sum()) == 531_441
        assert len(set(pairs.forms)) ** 2 == 176_400
        for a, b in rng.integers(729, size=(200, 2)):
            inside = (space.parse(pairs.names[k]).live for k in (a, b))
            wanted = costs_of(Macro(), script, 16, *inside)
            assert numbers(pairs.costs_of(pairs.kinds[a], pairs.kinds[b])) == numbers(wanted)

    @pytest.mark.parametrize(("bits", "excluded"), [(4, 1_409), (16, 1_409), (32, 195_825)])
    def test_pairs_that_the_papers_limits_exclude(self, bits: int, excluded: int) -> None:
        found = PairTable.of(SPACES["neuronas"], Macro(), Script.of(machine()), bits)
        kept = PAPER.kept(found.costs)
        assert int((found.pairs() * ~kept).sum()) == excluded
        if bits <= 16:
            a, b = found.convolutions[:, None], found.convolutions
            assert np.array_equal(~kept, 2 * a + b > 13)

    def test_the_nearest_miss_has_the_smallest_largest_excess(self, pairs: PairTable) -> None:
        limits = Constraints(parameters=2e5, energy_uj=400)
        a, b, costs = pairs.nearest(limits)
        space, script = SPACES["neuronas"], Script.of(machine())
        every = []
        for one, two in product(range(7), repeat=2):
            found = costs_of(Macro(), script, 16, kernels(one), kernels(two))
            every.append((max(found.parameters / 2e5, found.energy_uj / 400), one, two))
        assert (len(space.parse(a).live), len(space.parse(b).live)) == min(every)[1:]
        assert (a, b) == ("000000", "000000")
        assert limits.misses(costs) == ["parameters 298,368, 1.492 times the limit of 200,000"]
        assert pairs.nearest(Constraints(latency_ms=1e9))[:2] == ("000000", "000000")

    def test_cells_without_output_are_left_out(self) -> None:
        found = PairTable.of(SPACES["snasnet"], Macro(), Script.of(machine()), 4)
        assert len(found.names) == 15_625 - 341 and len(set(found.forms)) == 5_043
        assert int(found.pairs(same=True).sum()) == 15_284

    def test_lines_have_every_pair_in_order(self, pairs: PairTable) -> None:
        heading, *lines = "".join(pairs.lines(PAPER)).splitlines()
        assert [line[:14] for line in lines] == [f"{a},{b}," for a, b in product(pairs.names, repeat=2)]
        assert sum(line.endswith(",no") for line in lines) == 1_409
        number = 729 * pairs.names.index("111111") + pairs.names.index("010021")
        (at,) = csv.DictReader([heading, lines[number]])
        space = SPACES["neuronas"]
        a, b = (space.parse(at[key]) for key in ("cell_a", "cell_b"))
        wanted = costs_of(Macro(), Script.of(machine()), 16, a.live, b.live)
        assert [float(at[name]) for name in NAMES] == list(numbers(wanted))
        assert canonical(space.parse(at["form_b"])).form == canonical(b).form and at["form_b"] < at["cell_b"]
        assert (at["convolutions_a"], at["convolutions_b"]) == ("6", str(len(b.live)))
        same = "".join(pairs.lines(PAPER, same=True)).splitlines()
        assert same == [heading, *(line for line in lines if line[:6] == line[7:13])]


class TestConstraints:
    def test_a_limit_is_kept_where_it_is_met(self) -> None:
        costs = Costs(100, 2.0, 3.0, 4.0)
        assert Constraints(100, 2.0, 3.0, 4.0, 1.3e-8).misses(costs) == []
        assert Constraints(100, 2.0, 3.0, 4.0).worst(costs) == 1 and Constraints().worst(costs) == 0
        assert Constraints(100, 2.0, 3.0, 4.0).kept(costs) and not Constraints(area_mm2=1.99).kept(costs)
        assert Constraints(area_mm2=1.0, edp_js=1.3e-8, latency_ms=2.9).misses(costs) == [
            "area 2 mm², 2 times the limit of 1", "latency 3 ms, 1.034 times the limit of 2.9"
        ]  # fmt: skip

    @pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
    def test_limits_that_are_none_are_refused(self, wrong: float) -> None:
        with pytest.raises(ConfigError, match=r"constraint: energy_uj: is .*; wants a number above 0"):
            Constraints(energy_uj=wrong)


@pytest.mark.usefixtures("quiet_logger")
class TestCommands:
    def test_cost_prints_costs_forms_and_what_is_missed(self, capsys: pytest.CaptureFixture[str]) -> None:
        line = "nas cost 111111 111111 --bits 4 --max-params 1e7 --max-latency-ms 500"
        out = " ".join(succeed(capsys, *line.split()).out.split())
        assert "cell B 111111: c1 = conv3x3(x); c2 = conv3x3(x);" in out
        assert "parameters 4,722,048 10,000,000 47.2" in out and "latency 621.94 ms 500 124.4" in out
        assert "area 42.163 mm²" in out and "energy 246.03 µJ" in out and "edp 0.00015301 Js" in out
        assert "feasible: no; latency 621.94 ms, 1.244 times the limit of 500" in out
        assert "the linear layers have 16,879,716 parameters more" in out

    def test_json_has_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        line = ["nas", "cost", "0302 0030 3003 0000", "111113", "--space", "snasnet", "--bits", "32",
                "--max-area-mm2", "1000", "--dataset", "tinyimagenet", "--channels", "64", "--timesteps", "4",
                "--json"]  # fmt: skip
        found = json.loads(succeed(capsys, *line).out)
        costs = costs_of(Macro(channels=64, timesteps=4), Script.of(machine()), 32, (3, 1, 3, 3, 3), (3,))
        assert [found[name] for name in NAMES] == list(numbers(costs))
        assert found["cell_a"] == {"cell": "0302 0030 3003 0000", "form": None, "kernels": [3, 1, 3, 3, 3]}
        assert found["feasible"] is (costs.area_mm2 <= 1000) and found["limits"] == {"area_mm2": 1000.0}

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("cost 11111 111111", ("CELL_A", "wants six digits")),
            ("cost 111111 111113", ("CELL_B", "'3' is no operation; neuronas")),
            ("cost 000000 111111 --space snasnet", ("CELL_A", "nothing reaches its output")),
            ("cost 111111 111111 --arch spikex", ("arch spikex", "costs follow from", "spikesim-released")),
            ("cost 111111 111111 --arch spikesim", ("arch spikesim", "costs follow from spikes")),
            ("cost 111111 111111 --space snas", ("space", "none of neuronas, snasnet")),
            ("cost 111111 111111 --dataset cifar", ("dataset", "did you mean cifar10")),
            ("cost 111111 111111 --bits 33", ("bits", "1 to 32")),
            ("cost 111111 111111 --channels 0", ("channels", "wants 1 to")),
            ("cost 111111 111111 --max-energy-uj nan", ("--max-energy-uj", "wants a number above 0")),
            ("table --space snasnet --out p.csv", ("space snasnet", "244,140,625 pairs", "--same")),
            ("table --arch ptb --out p.csv", ("arch ptb", "costs follow from spikes")),
            ("table --bits 0 --out p.csv", ("bits",)),
        ],
    )
    def test_mistakes_are_one_line_and_nothing_is_written(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        line: str, words: tuple[str, ...],
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        is_mistake(spikex(capsys, "nas", *line.split()), *words)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_of_a_script_machine_is_costed(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("base: spikesim-released\nimc: {precision_factor: true, device: {bits: 1}}\n")
        line = ("nas", "cost", "111111", "100000", "--bits", 4, "--json")
        ours, preset = (json.loads(succeed(capsys, *line, *more).out) for more in (("--arch", file), ()))
        assert ours["energy_uj"] == pytest.approx(4 * preset["energy_uj"]) and ours["arch"] == "mine"

    def test_table_counts_what_is_feasible_and_the_nearest_miss(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        file = tmp_path / "t" / "pairs.csv.gz"
        line = ("nas", "table", "--bits", 4, "--max-latency-ms", 500, "--same", "--out", file)
        out = " ".join(succeed(capsys, *line).out.split())
        assert "729 pairs, 420 of them different; 716 are feasible" in out
        assert "latency 500 ms: 13 exceed it" in out and "costed in " in out
        assert len(gzip.decompress(file.read_bytes()).splitlines()) == 730
        out = " ".join(succeed(capsys, *line[:-2], "--max-energy-uj", 1, "--out", file).out.split())
        assert "nothing is feasible; nearest is 000000 000000: energy 42.418 µJ, 42.42 times the" in out
