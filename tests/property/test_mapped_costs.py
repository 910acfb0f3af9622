"""Mapped runs against the slow oracle, which was written from the text alone."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from hypothesis import assume, given

from examples import examples
from mapped_runs import Drawn, check_against_oracle, mapped_runs, oracle, run, run_spikesim


def check(drawn: Drawn) -> None:
    assume(not drawn.overlapping)
    saved = drawn.saved()
    with TemporaryDirectory() as folder:
        result = run(drawn, saved, folder)
    check_against_oracle(drawn, result, oracle(drawn, saved))


@examples(80)
@given(mapped_runs())
def test_every_figure_equals_the_oracle(drawn: Drawn) -> None:
    check(drawn)


@examples(40)
@given(mapped_runs(most=4, graph=True))
def test_every_figure_of_a_graph_equals_the_oracle(drawn: Drawn) -> None:
    check(drawn)


@examples(30)
@given(mapped_runs())
def test_outputs_equal_those_of_spikesim(drawn: Drawn) -> None:
    assume(not drawn.overlapping)
    with TemporaryDirectory() as folder:
        result = run(drawn, drawn.saved(), folder)
    other = run_spikesim(drawn)
    assert [layer.output_sha256 for layer in result.layers] == [layer.output_sha256 for layer in other.layers]
    assert [one.prediction for one in result.samples] == [one.prediction for one in other.samples]
