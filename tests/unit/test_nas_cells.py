"""Cells and their canonical forms, against brute force and against what cells compute (Section 1)."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import naive_nas as naive
from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.nas.cells import EDGES, SPACES, Cell, Operation, space_of
from spikex_sim.explore.nas.forms import Form, canonical, distinct
from spikex_sim.explore.nas.macro import DATASETS, Macro, dataset_of

NEURONAS, SNASNET = SPACES["neuronas"], SPACES["snasnet"]
C, SIDE, T = 2, 5, 2


@cache
def forms(name: str) -> dict[Form, list[Cell]]:
    return distinct(SPACES[name])


def sampled(number: int) -> list[Cell]:
    """Cells of snasnet, with those of 5x5 and 7x7 convolutions among them."""
    rng = np.random.default_rng(3)
    every = [*SNASNET.operations, Operation.CONV5, Operation.CONV7]
    drawn = [Cell(tuple(every[k] for k in rng.integers(len(every), size=6))) for _ in range(number)]
    return [cell for cell in drawn if not cell.is_empty]


def plain(form: Form) -> Any:
    return tuple((one.kernel, one.reads) for one in form.convolutions), form.output


def named(cell: Cell) -> list[str]:
    return [str(op) for op in cell.forward]


class TestWriting:
    def test_digits_are_those_of_the_space(self) -> None:
        cell = NEURONAS.parse("012210")
        assert cell.forward == SNASNET.parse("134431").forward
        assert (NEURONAS.write(cell), SNASNET.write(cell)) == ("012210", "134431")
        assert dict(zip(EDGES, named(cell), strict=True))[0, 3] == "avgpool3x3"
        assert NEURONAS.parse("570000").forward[:2] == (Operation.CONV5, Operation.CONV7)

    def test_a_matrix_has_edges_in_rows(self) -> None:
        cell = SNASNET.parse("0302 0030 3003 0000")
        assert cell.forward == SNASNET.parse("302303").forward
        assert dict(zip(EDGES, cell.backward, strict=True))[0, 2] is Operation.CONV3
        assert SNASNET.write(cell) == "0302 0030 3003 0000" and not cell.is_forward
        assert SNASNET.parse("0302003000030000") == SNASNET.parse("302303")

    @pytest.mark.parametrize("name", SPACES)
    def test_every_cell_is_read_as_it_is_written_in_lexicographic_order(self, name: str) -> None:
        written = [SPACES[name].write(cell) for cell in SPACES[name].cells()]
        assert written == sorted(set(written)) and len(written) ** 2 == SPACES[name].pairs
        for one in written[:: len(written) // 99]:
            assert SPACES[name].write(SPACES[name].parse(one)) == one

    @pytest.mark.parametrize(
        ("space", "text", "why"),
        [
            ("neuronas", "11111", "'11111' is no cell: wants six digits"),
            ("neuronas", "0302003030030000", "wants six digits$"),
            ("snasnet", "030200303003000", "wants six digits, or four rows of four"),
            ("neuronas", "111113", "'3' is no operation; neuronas has 0 skip, 1 conv3x3"),
            ("snasnet", "111116", "'6' is no operation; snasnet has"),
            ("snasnet", "0300 0030 0103 0000", "joins nodes 1 and 2 forward and backward"),
            ("snasnet", "0300 0130 0003 0000", "joins node 1 to itself"),
        ],
    )
    def test_what_is_no_cell_is_refused(self, space: str, text: str, why: str) -> None:
        with pytest.raises(ConfigError, match=f"^CELL: .*{why}"):
            SPACES[space].parse(text, "CELL")

    def test_a_space_without_the_operation_cannot_write_it(self) -> None:
        with pytest.raises(ConfigError, match="space neuronas has no conv1x1"):
            NEURONAS.write(SNASNET.parse("211111"))
        with pytest.raises(ConfigError, match="'neuronass' is none of neuronas, snasnet; did you mean"):
            space_of("neuronass")


class TestForms:
    def test_counts(self) -> None:
        for name, number, live in (
            ("neuronas", 420, [19, 84, 136, 116, 52, 12, 1]),
            ("snasnet", 5044, [48, 376, 1131, 1680, 1273, 472, 64]),
        ):
            found = forms(name)
            assert len(found) == number
            assert [Counter(len(form.convolutions) for form in found)[k] for k in range(7)] == live
        assert [len(cells) for form, cells in forms("snasnet").items() if not form.output] == [341]
        with_c03 = [
            form for form, cells in forms("snasnet").items()
            if any(cell.forward[2] is not Operation.ZERO for cell in cells)
        ]  # fmt: skip
        assert len(with_c03) == 4243

    def test_all_neuronas_cells_have_the_form_of_brute_force(self) -> None:
        for cell in NEURONAS.cells():
            assert plain(canonical(cell).form) == naive.form(named(cell)), cell

    def test_sampled_cells_have_the_form_of_brute_force(self) -> None:
        for cell in sampled(400):
            assert plain(canonical(cell).form) == naive.form(named(cell)), cell

    def test_without_distributing_averages_there_are_459(self) -> None:
        assert len({naive.form(named(cell), distribute=False) for cell in NEURONAS.cells()}) == 459

    def test_skips_merge_nodes_only_where_they_are_the_only_edge_in(self) -> None:
        """x + x is 2 x, which is not x."""
        assert canonical(SNASNET.parse("100010")).form.text == "out = x"
        assert canonical(SNASNET.parse("101010")).form.text == "out = 2 x"
        assert canonical(NEURONAS.parse("100000")).form.text == "c1 = conv3x3(x); out = 2 x + 2 c1"
        assert canonical(NEURONAS.parse("022200")).form.text == "out = x + 3 avg(x)"
        assert canonical(NEURONAS.parse("202222")).form.text == "out = 2 avg(x) + avg^2(x) + avg^3(x)"

    def test_live_convolutions_are_those_of_the_form(self) -> None:
        for cell in [*NEURONAS.cells(), *sampled(500)]:
            assert sorted(cell.live) == sorted(canonical(cell).form.kernels)

    def test_edges_are_those_that_the_convolutions_stand_for(self) -> None:
        for cell in sampled(200):
            found = canonical(cell)
            assert found.form.kernels == tuple(cell.forward[edge].kernel for edge in found.edges)


def inputs(seed: int, timesteps: int = T) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.8, 1.0, (timesteps, C, SIDE, SIDE))


def test_every_cell_computes_what_its_form_says() -> None:
    rng, x = np.random.default_rng(1), inputs(2)
    mixed = 0
    for cell in [*NEURONAS.cells(), *sampled(250)]:
        weights = {f"{i}{j}": naive.drawn(rng, op.kernel, C) for i, j, op in cell.edges if op.kernel}
        wanted, there = naive.cell_output(named(cell), x, weights)
        found = canonical(cell)
        parts = [weights[naive.PAIRS[edge]] for edge in found.edges]
        got, _ = naive.form_output(*plain(found.form), x, parts)
        assert np.abs(got - wanted).max() < 1e-13 * max(1.0, np.abs(wanted).max()), cell
        mixed += sum(0 < one.rates[0] < 1 for one in there)
    assert mixed > 2000


def test_no_two_forms_agree_under_any_assignment_of_weights() -> None:
    rng, x = np.random.default_rng(5), inputs(6)
    weights = np.array([naive.drawn(rng, 3, C) for _ in range(6)])
    outputs, owners = [], []
    for number, form in enumerate(forms("neuronas")):
        orders = np.array(list(permutations(range(len(form.convolutions)))))
        got, there = naive.form_output(*plain(form), x, [weights[one] for one in orders.T])
        assert all(np.all((one.rates[0] > 0) & (one.rates[0] < 1)) for one in there)
        outputs += [one.ravel() for one in np.broadcast_to(got, (len(orders), *x.shape))]
        owners += [number] * len(orders)
    along = np.array(outputs) @ rng.normal(size=outputs[0].size)
    order = np.argsort(along)
    near = np.diff(along[order]) < 1e-9
    same = np.diff(np.array(owners)[order]) == 0
    assert len(outputs) == 4479 and np.all(same[near])


class TestBackward:
    def test_there_is_no_form(self) -> None:
        with pytest.raises(ConfigError, match="has backward edges"):
            canonical(SNASNET.parse("0302 0030 3003 0000"))

    @pytest.mark.parametrize(
        ("text", "live"),
        [
            ("0302 0030 3003 0000", (3, 1, 3, 3, 3)),
            ("0003 0000 0000 0300", (3,)),  # 3 -> 1 leads nowhere
            ("0003 0000 3000 0000", (3,)),  # 2 -> 0 comes from nowhere
            ("0003 2000 0000 0300", (3, 1, 3)),
        ],
    )
    def test_live_convolutions_by_hand(self, text: str, live: tuple[int, ...]) -> None:
        assert SNASNET.parse(text).live == live

    def test_a_convolution_is_live_where_its_weights_matter(self) -> None:
        rng, x, zero = np.random.default_rng(8), inputs(9, timesteps=8), Operation.ZERO
        live = dead = 0
        for _ in range(40):
            ops = [SNASNET.operations[k] for k in rng.choice(5, size=6, p=[0.4, 0.15, 0.1, 0.3, 0.05])]
            back = rng.random(6) < 0.4
            cell = Cell(
                tuple(zero if one else op for op, one in zip(ops, back, strict=True)),
                tuple(op if one else zero for op, one in zip(ops, back, strict=True)),
            )
            convolutions = [(f"{i}{j}", op.kernel) for i, j, op in cell.edges if op.kernel]
            weights = {pair: naive.drawn(rng, kernel, C) for pair, kernel in convolutions}

            def output(weights: dict[str, np.ndarray], cell: Cell = cell) -> np.ndarray:
                return naive.cell_output(named(cell), x, weights, [str(op) for op in cell.backward])[0]

            matter = tuple(
                kernel
                for pair, kernel in convolutions
                if not np.array_equal(output(weights | {pair: naive.drawn(rng, kernel, C)}), output(weights))
            )
            assert matter == cell.live, cell
            live, dead = live + len(matter), dead + len(convolutions) - len(matter)
        assert live > 30 and dead > 15


class TestMacro:
    def test_convolutions_are_in_order_and_of_the_right_shapes(self) -> None:
        found = Macro(DATASETS["tinyimagenet"], channels=8).convolutions((3, 1), (5,))
        names = ("part", "kernel", "in_channels", "out_channels", "in_side", "out_side", "weights")
        shapes = [tuple(getattr(one, name) for name in names) for one in found]
        assert shapes == [
            ("stem", 3, 3, 8, 64, 32, 216), ("a", 3, 8, 8, 32, 32, 576), ("a", 1, 8, 8, 32, 32, 64),
            ("down", 3, 8, 16, 32, 32, 1152), ("b", 5, 16, 16, 16, 16, 6400),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "linear"),
        [
            ("cifar10", ((16384, 1024), (1024, 100))),
            ("cifar100", ((16384, 1024), (1024, 500))),
            ("tinyimagenet", ((16384, 4096), (4096, 1000))),
        ],
    )
    def test_linear_layers(self, name: str, linear: Any) -> None:
        macro = Macro(dataset_of(name))
        assert macro.linear == linear
        (one, two), (_, outputs) = linear
        assert macro.linear_parameters == one * two + two * outputs + outputs
        assert Macro(dataset_of(name), channels=64, pool=4, width=7).linear[0] == (128 * 16, 7)

    @pytest.mark.parametrize("wrong", [{"channels": 0}, {"timesteps": 0}, {"pool": 17}, {"channels": 5000}])
    def test_numbers_that_make_no_network_are_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ConfigError, match=f"network: {next(iter(wrong))}: is .* wants 1 to"):
            Macro(**wrong)
        with pytest.raises(ConfigError, match="'mnist' is none of cifar10, cifar100, tinyimagenet"):
            dataset_of("mnist")
