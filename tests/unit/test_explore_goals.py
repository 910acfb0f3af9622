"""Objectives, limits, fronts, hypervolumes: read, and held against slower ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_explore
from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.designs.goals import Limit, Measure, Objective, limits_of, objectives_of
from spikex_sim.explore.designs.volume import front, history, hypervolume, reference_of

SIDE = st.integers(0, 6).map(float)


class TestObjectives:
    def test_are_columns_or_other_names_of_them(self) -> None:
        row = {"seconds": 2e-3, "energy_pj": 5e6, "edp_js": 7.0, "utilization": 0.5}
        for name, value in (("latency_ms", 2.0), ("latency_us", 2e3), ("energy_uj", 5.0), ("energy_mj", 5e-3),
                            ("edp", 7.0), ("utilization", 0.5), ("seconds", 2e-3)):  # fmt: skip
            assert Measure.of(name, "").values([row]) == [pytest.approx(value)]
        assert Measure.of("area_mm2", "").values([row]) == []
        assert Measure.of("edap", "").column == "edap_js_mm2"
        best = Objective.of("max:utilization")
        assert best.maximise and best.loss(0.5) == -0.5 and best.name == "max:utilization"
        assert not Objective.of(" min:cycles ").maximise

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            ([], ("1 to 4", "not 0")),
            (["energy_pj", "cycles", "seconds", "edp_js", "tops"], ("1 to 4", "not 5")),
            (["enrgy_pj"], ("'enrgy_pj'", "did you mean energy_pj?")),
            (["layer_tws"], ("no result has 'layer_tws' as a number",)),
            (["zzzzzz"], ("no result has 'zzzzzz'", "latency_ms", "energy_pj")),
            (["tws"], ("no result has 'tws'",)),
            (["large:tops"], ("max:NAME",)),
            (["seconds", "latency_ms"], ("seconds is named twice",)),
            (["tops", "max:tops"], ("tops is named twice",)),
            (["a[red]\x1b[2J"], ("no result has",)),
        ],
    )
    def test_mistakes_are_named(self, names: list[str], words: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError) as caught:
            objectives_of(names)
        assert str(caught.value).isprintable()
        for word in words:
            assert word in str(caught.value)


class TestLimits:
    def test_are_kept_or_broken_by_a_part(self) -> None:
        most, least = limits_of(["area_mm2<=2", " utilization >= 0.5"])
        assert (most.excess(2.0), most.excess(3.0), most.excess(1.0)) == (0, 0.5, -0.5)
        assert (least.excess(0.5), least.excess(0.25), least.excess(1.0)) == (0, 0.5, -1)
        assert (most.worst([1, 3]), least.worst([1, 3])) == (3, 1)
        assert most.miss(3.0) == "area_mm2 3, not <= 2"
        assert str(least) == "utilization>=0.5"
        assert Limit.of("cycles<=0").excess(4.0) == 4

    @pytest.mark.parametrize(
        ("texts", "words"),
        [
            (["area_mm2<2"], ("NAME<=VALUE",)),
            (["area_mm2"], ("NAME<=VALUE",)),
            (["area_mm2<=x"], ("NAME<=VALUE",)),
            (["area_mm2<=nan"], ("NAME<=VALUE",)),
            (["area_mm2<=inf"], ("NAME<=VALUE",)),
            (["areamm2<=1"], ("did you mean area_mm2?",)),
            (["area_mm2<=1", "area_mm2<=2"], ("same side",)),
            (["seconds<=1", "latency_ms<=2"], ("same side",)),
            (["area_mm2<=1", "area_mm2>=2"], ("nothing can keep both area_mm2>=2 and area_mm2<=1",)),
            (["seconds<=1", "latency_ms>=2000"], ("nothing can keep both",)),
        ],
    )
    def test_mistakes_are_named(self, texts: list[str], words: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError) as caught:
            limits_of(texts)
        for word in words:
            assert word in str(caught.value)

    def test_a_band_is_no_mistake(self) -> None:
        assert len(limits_of(["seconds<=1", "latency_ms>=1000"])) == 2


class TestFronts:
    @given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[SIDE] * n), min_size=1, max_size=12)))
    def test_front_is_what_nothing_beats(self, points: list[tuple[float, ...]]) -> None:
        assert front(np.array(points)).tolist() == naive_explore.front(points)

    @given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[SIDE] * n), min_size=1, max_size=7)))
    def test_volume_is_that_of_the_union_of_boxes(self, points: list[tuple[float, ...]]) -> None:
        losses = np.array(points)
        for reference in (reference_of(losses), np.full(losses.shape[1], 5.0)):
            slow = naive_explore.volume(points, reference.tolist())
            assert hypervolume(losses, reference) == pytest.approx(slow, rel=1e-9, abs=1e-9)

    @given(st.lists(st.one_of(st.none(), st.tuples(SIDE, SIDE)), min_size=1, max_size=10).filter(any))
    def test_history_is_the_volume_of_every_beginning(self, points: list[tuple[float, float] | None]) -> None:
        known = [one for one in points if one is not None]
        reference = reference_of(np.array(known))
        found = history([None if one is None else np.array(one) for one in points], reference, 2.0)
        for at, value in enumerate(found):
            begun = [one for one in points[: at + 1] if one is not None]
            slow = naive_explore.volume(begun[:12], reference.tolist()) if begun else 0.0
            assert 2 * value == pytest.approx(slow, rel=1e-9, abs=1e-9)

    def test_reference_is_a_tenth_beyond_the_worst(self) -> None:
        assert reference_of(np.array([[0.0, 5.0], [10.0, 5.0]])).tolist() == [11.0, 5.5]
        assert reference_of(np.array([[-2.0], [-4.0]])).tolist() == [-1.8]
        assert reference_of(np.array([[0.0]])).tolist() == [1.0]
