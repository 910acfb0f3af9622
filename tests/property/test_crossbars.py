"""Crossbar chips against the slow oracle, which was written from the text alone."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from chips import check_against_oracle, run
from imc_strategies import Drawn, runs

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(runs())
def test_ideal_arrays_equal_the_oracle(drawn: Drawn) -> None:
    check_against_oracle(drawn, run(drawn))


@few
@given(runs(nonideal=True, most=3))
def test_arrays_that_are_not_ideal_equal_the_oracle(drawn: Drawn) -> None:
    with TemporaryDirectory() as folder:
        check_against_oracle(drawn, run(drawn, folder))


@settings(few, max_examples=25)
@given(runs(most=3))
def test_event_engine_equals_the_recurrence(drawn: Drawn) -> None:
    fast, event = (run(drawn, engine=engine).to_dict() for engine in ("fast", "event"))
    for key in ("totals", "layers", "samples"):
        assert fast[key] == event[key]


@pytest.mark.parametrize("dataflow", ["layer", "tick_batch"])
@settings(few, max_examples=25)
@given(runs(most=4))
def test_shares_of_the_path_add_up(dataflow: str, drawn: Drawn) -> None:
    drawn.changes["dataflow"] = dataflow
    result = run(drawn)
    assert sum(layer.cycles for layer in result.layers) == result.totals.cycles
    if len(drawn.samples) == 1:
        assert result.totals.imc["end"] == result.totals.cycles
