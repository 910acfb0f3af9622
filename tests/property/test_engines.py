"""Both memory engines give the times of the recurrence, and the recurrence is the only one they give."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from examples import examples
from naive_time import recurrence, stalls_of
from spikex_sim.core.registry import plugin, plugin_names
from spikex_sim.timing.engine import Durations, Ends, attribute_stalls

ACTIVITIES = ("fetch", "load", "compute", "store", "writeback")
Step = tuple[int, int, int, int, int]  # cycles of the five activities


def durations_from(steps: list[Step], lbuf_stalls: list[int] | None = None) -> Durations:
    """Durations from a list of steps; the LBUF adds so many cycles to the array's."""
    columns = np.array(steps, dtype=np.int64).reshape(-1, 5).T
    array = columns[2] - (0 if lbuf_stalls is None else np.array(lbuf_stalls, dtype=np.int64))
    return Durations(*columns, array=array)


def ends_of(steps: list[Step], engine: str) -> list[Step]:
    """Ends of the five activities of every step."""
    return as_tuples(plugin("engines", engine).run(durations_from(steps)))


def as_tuples(ends: Ends) -> list[Step]:
    """Ends by step."""
    return list(zip(*(getattr(ends, name).tolist() for name in ACTIVITIES), strict=True))


@st.composite
def schedules(draw: st.DrawFn, longest: int = 60) -> list[Step]:
    """Durations in which now this, now that activity is the bottleneck, and many transfers are empty."""
    most = [draw(st.sampled_from([0, 1, 5, 40])) for _ in range(5)]
    steps = st.tuples(*(st.one_of(st.just(0), st.integers(0, m), st.integers(0, 7)) for m in most))
    return draw(st.lists(steps, min_size=1, max_size=longest))


@pytest.mark.kernels
@examples(150)
@given(schedules())
@example([(0, 0, 0, 0, 0)])
@example([(1, 1, 8, 1, 1)])
@example([(0, 0, 0, 0, 5)] * 6)
@example([(9, 0, 0, 0, 9)] * 12)
def test_engines_equal_the_recurrence_in_every_activity_of_every_step(steps: list[Step]) -> None:
    event(f"{len(steps) // 10 * 10} steps or more")
    want = recurrence(*(list(column) for column in zip(*steps, strict=True)))
    for engine in plugin_names("engines"):
        assert ends_of(steps, engine) == want, engine


@examples(60)
@given(schedules(), st.data())
def test_stalls_equal_the_definition_and_add_up(steps: list[Step], data: st.DataObject) -> None:
    lbuf = [data.draw(st.integers(0, step[2])) for step in steps]
    durations = durations_from(steps, lbuf)
    ends = plugin("engines", "fast").run(durations)
    stalls = attribute_stalls(durations, ends)
    oracle_steps = [
        {"c": step[2], "array_cycles": step[2] - less} for step, less in zip(steps, lbuf, strict=True)
    ]
    assert dict(stalls) == stalls_of(oracle_steps, as_tuples(ends))
    assert min(stalls.values()) >= 0
    assert int(durations.array.sum()) + stalls.total == ends.cycles


@examples(60)
@given(schedules(30), st.data())
def test_shorter_activities_never_make_anything_later(steps: list[Step], data: st.DataObject) -> None:
    shorter = [tuple(data.draw(st.integers(0, cycles)) for cycles in step) for step in steps]
    for engine in plugin_names("engines"):
        before, after = np.array(ends_of(steps, engine)), np.array(ends_of(shorter, engine))
        assert (after <= before).all(), engine


@examples(60)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.sampled_from(["fast", "event"]))
def test_transfers_that_take_no_time_stall_nothing(compute: list[int], engine: str) -> None:
    durations = durations_from([(0, 0, cycles, 0, 0) for cycles in compute])
    ends = plugin("engines", engine).run(durations)
    assert ends.cycles == sum(compute)
    assert attribute_stalls(durations, ends).total == 0


# Of 1 cycle at most, transfers hide behind 3 cycles of computing: each of the two shared ports is asked for 2
# cycles a step. What is left is the way in of the first step and the way out of the last.
@examples(60)
@given(
    st.lists(
        st.tuples(st.just(1), st.just(1), st.integers(3, 20), st.just(1), st.just(1)), min_size=1, max_size=40
    ),
    st.sampled_from(["fast", "event"]),
)
def test_transfers_of_one_cycle_stall_the_first_and_the_last_step_only(
    steps: list[Step], engine: str
) -> None:
    durations = durations_from(steps)
    stalls = attribute_stalls(durations, plugin("engines", engine).run(durations))
    assert dict(stalls) == {"dram": 1, "glb": 1, "lbuf": 0, "drain": 2}


@pytest.mark.kernels
@pytest.mark.parametrize("engine", ["fast", "event"])
def test_long_layers_do_not_wrap(engine: str) -> None:
    steps: list[Step] = [(2**40, 1, 2**40 + 1, 3, 2**39)] * 50
    want = recurrence(*(list(column) for column in zip(*steps, strict=True)))
    assert want[-1][4] > 50 * 2**40
    assert ends_of(steps, engine) == want


@pytest.mark.filterwarnings("error")
def test_stalls_are_right_where_the_sum_of_all_ends_wraps() -> None:
    steps: list[Step] = [(2**53, 2**20, 2**54 - 1, 2**53, 2**55)] * 40
    durations = durations_from(steps, [2**50] * 40)
    ends = plugin("engines", "fast").run(durations)
    assert sum(ends.compute.tolist()) > 2**63 > ends.cycles
    oracle_steps = [{"c": step[2], "array_cycles": step[2] - 2**50} for step in steps]
    assert dict(attribute_stalls(durations, ends)) == stalls_of(oracle_steps, as_tuples(ends))


@pytest.mark.parametrize("engine", ["fast", "event"])
def test_a_layer_without_steps_takes_no_time(engine: str) -> None:
    durations = durations_from([])
    ends = plugin("engines", engine).run(durations)
    assert ends.cycles == 0
    assert attribute_stalls(durations, ends).total == 0


# --- Every term of the five formulas matters ------------------------------------------------------

Term = tuple[str, int]  # activity, and the step relative to this one
Rules = dict[str, tuple[Term, ...]]

RULES: Rules = {
    "F": (("F", -1), ("L", -2), ("W", -4)),
    "L": (("F", 0), ("L", -1), ("C", -2), ("S", -3)),
    "C": (("L", 0), ("C", -1), ("S", -2)),
    "S": (("C", 0), ("S", -1), ("L", 2), ("W", -2)),
    "W": (("S", 0), ("W", -1), ("F", 3)),
}


def mutated_rules() -> dict[str, Rules]:
    """Each term dropped, each lag changed by one, each pair of activities that share a port swapped."""
    rules: dict[str, Rules] = {}
    for activity, terms in RULES.items():
        for place, (other, lag) in enumerate(terms):
            before, after = terms[:place], terms[place + 1 :]
            rules[f"{activity} without {other}{lag:+}"] = {**RULES, activity: before + after}
            for changed in (lag - 1, lag + 1):
                term = ((other, changed),)
                rules[f"{activity} {other}{lag:+} to {changed:+}"] = {
                    **RULES,
                    activity: before + term + after,
                }
    rules["DRAM serves W before F"] = {
        **RULES, "F": (("F", -1), ("L", -2), ("W", -3)), "W": (("S", 0), ("W", -1), ("F", 2)),
    }  # fmt: skip
    rules["GLB port serves S before L"] = {
        **RULES,
        "L": (("F", 0), ("L", -1), ("C", -2), ("S", -2)),
        "S": (("C", 0), ("S", -1), ("L", 1), ("W", -2)),
    }
    for activity, buffer in (("F", "L"), ("L", "C"), ("C", "S"), ("S", "W")):
        for halves in (1, 3):
            terms = tuple((o, -halves if (o, lag) == (buffer, -2) else lag) for o, lag in RULES[activity])
            rules[f"{halves} buffers between {activity} and {buffer}"] = {**RULES, activity: terms}
    return rules


MUTATIONS = mutated_rules()


def evaluate(rules: Rules, steps: list[Step], beyond: str = "the last step") -> list[Step] | None:
    """Ends by step, or None if activities wait for each other in a circle."""
    known: dict[Term, int] = {}
    waiting: set[Term] = set()

    def end(activity: str, step: int) -> int:
        if step < 0 or (step >= len(steps) and beyond == "time 0"):
            return 0
        key = activity, min(step, len(steps) - 1)
        if key in waiting and key not in known:
            raise RecursionError
        if key not in known:
            waiting.add(key)
            start = max((end(other, key[1] + lag) for other, lag in rules[activity]), default=0)
            known[key] = start + steps[key[1]]["FLCSW".index(activity)]
        return known[key]

    try:
        return [tuple(end(activity, i) for activity in "FLCSW") for i in range(len(steps))]
    except RecursionError:
        return None


@cache
def fixed_schedules() -> tuple[tuple[list[Step], list[Step]], ...]:
    """A seeded set of schedules, each with the times that the event engine gives."""
    rng = random.Random(20240)
    found = []
    for _ in range(60):
        most = [rng.choice([0, 1, 3, 20]) for _ in range(5)]
        steps = [
            tuple(rng.choice([0, rng.randint(0, m), rng.randint(0, 9)]) for m in most)
            for _ in range(rng.randint(1, 14))
        ]
        found.append((steps, ends_of(steps, "event")))
    return tuple(found)


def test_the_rules_without_mutation_are_those_of_the_engines() -> None:
    for steps, want in fixed_schedules():
        assert evaluate(RULES, steps) == want == ends_of(steps, "fast")


# No mutation is equivalent: each term is the only thing that some schedule waits for.
@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_of_the_rules_is_noticed(name: str) -> None:
    assert MUTATIONS[name] != RULES
    assert any(evaluate(MUTATIONS[name], steps) != want for steps, want in fixed_schedules())


def test_what_lies_above_the_last_step_is_the_last_step() -> None:
    assert any(evaluate(RULES, steps, beyond="time 0") != want for steps, want in fixed_schedules())
