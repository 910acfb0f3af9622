"""Spaces: values and conditions as files say them, and every mistake that can be made in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_explore
from spikex_sim.core.errors import ConfigError
from spikex_sim.explore.designs.choosing import Chooser, Grid
from spikex_sim.explore.designs.machines import Designs
from spikex_sim.explore.designs.reading import load_space, space_of
from spikex_sim.explore.designs.space import Space, identity

SPACE = """
keys:
  arch: [spikex, ptb, mine.yaml]
  tws: {low: 1, high: 7, step: 2}
  array.rows: {powers: [2, 16]}
  dispatch: {values: [agile, temporal], when: {arch: spikex}}
  memory.dram.bandwidth_gb_s: {low: 5, high: 40.0, log: true}
set: {energy.device: lop}
"""


def values_of(said: Any) -> tuple[Any, ...]:
    return space_of({"tws": said}).keys[0].values


class TestValues:
    @pytest.mark.parametrize(
        ("said", "values"),
        [
            ([8, 2, 4], (2, 4, 8)),
            (["auto", 4], ("auto", 4)),
            ({"values": [True, False]}, (True, False)),
            ({"powers": [4, 32]}, (4, 8, 16, 32)),
            ({"powers": [8, 8]}, (8,)),
            ({"low": 1, "high": 4}, (1, 2, 3, 4)),
            ({"low": 1, "high": 10, "step": 4}, (1, 5, 9)),
            ({"low": 0.1, "high": 0.4, "step": 0.1}, (0.1, 0.2, 0.3, 0.4)),
            ({"low": 2, "high": 3, "step": 0.5}, (2.0, 2.5, 3.0)),
            ({"low": 2.0, "high": 2.0}, (2.0,)),
            (np.array([4, 2]), (2, 4)),
            ([np.int64(4), np.float64(0.5)], (0.5, 4)),
        ],
    )
    def test_are_what_is_said(self, said: Any, values: tuple[Any, ...]) -> None:
        found = values_of(said)
        assert found == values and list(map(type, found)) == list(map(type, values))

    def test_of_a_range_without_steps_are_within_it(self) -> None:
        space = space_of({"clock_mhz": {"low": 100.0, "high": 800.0, "log": True}})
        key, rng = space.keys[0], np.random.default_rng(1)
        drawn = [key.value(key.draw(rng)) for _ in range(2000)]
        assert space.size is None and 100 <= min(drawn) < 101 and 790 < max(drawn) <= 800
        assert 0.45 < np.mean(np.array(drawn) < np.sqrt(100 * 800)) < 0.55  # evenly by ratio
        assert all(value == float(f"{value:.6g}") for value in drawn)
        below, above = key.near(100.0)
        assert below == pytest.approx(100) and 100 < above < 120

    def test_neighbours_are_one_step_away(self) -> None:
        space = space_of({"arch": ["spikex", "ptb", "sata"], "tws": [2, 4, 8, 16]})
        genes = {"arch": 1, "tws": 3}
        found = [space.values(one) for one in space.near(genes)]
        assert found == [{"arch": name, "tws": 16} for name in ("spikex", "sata")] + [
            {"arch": "ptb", "tws": tws} for tws in naive_explore.one_step([2, 4, 8, 16], 16)
        ]


KEYS: dict[str, Any] = {"a": ["x", "y", "z"], "b": [1, 2], "c": [5, 6, 7], "d": [0, 1]}
WHEN: dict[str, Any] = {"b": {"a": ["x", "y"]}, "c": {"b": [2], "a": ["y"]}}


class TestConditions:
    def space(self) -> Space:
        keys = {key: {"values": of, "when": WHEN[key]} if key in WHEN else of
                for key, of in KEYS.items()}  # fmt: skip
        return space_of(keys)

    def test_all_points_are_those_of_the_product(self) -> None:
        space = self.space()
        found = [space.values(genes) for genes in space.all()]
        naive = naive_explore.points(KEYS, WHEN)
        assert space.size == len(found) == len(naive) == 2 * (1 + 2 + 1 + 3)
        assert sorted(map(identity, found)) == sorted(map(identity, naive))

    def test_grid_and_draws_give_each_point_once(self) -> None:
        space = self.space()

        def name(genes: Any) -> str:
            return identity(space.values(genes))

        for kind in (Grid, Chooser):
            chooser = kind(space, name, 3)
            given = []
            while asked := chooser.ask(5):
                given += map(name, asked)
            assert sorted(given) == sorted(map(identity, naive_explore.points(KEYS, WHEN)))

    @given(st.data())
    def test_of_any_space(self, data: st.DataObject) -> None:
        keys: dict[str, list[int]] = {}
        when: dict[str, Any] = {}
        for name in "abcd":
            keys[name] = list(range(data.draw(st.integers(2, 3))))
            if keys.keys() - {name} and data.draw(st.booleans()):
                parent = data.draw(st.sampled_from(sorted(keys.keys() - {name})))
                when[name] = {parent: [data.draw(st.sampled_from(keys[parent]))]}
        space = space_of({key: {"values": of, **({"when": when[key]} if key in when else {})}
                          for key, of in keys.items()})  # fmt: skip
        naive = naive_explore.points(keys, when)
        assert space.size == len(naive)
        assert [space.values(genes) for genes in space.all()] == naive


class TestFile:
    def test_says_keys_and_what_is_fixed(self, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text("base: ptb\nname: mine\n")
        (tmp_path / "space.yaml").write_text(SPACE)
        space = load_space(tmp_path / "space.yaml")
        assert [key.name for key in space.keys] == [
            "arch", "tws", "array.rows", "dispatch", "memory.dram.bandwidth_gb_s",
        ]  # fmt: skip
        assert dict(space.fixed) == {"energy.device": "lop"}
        designs = Designs(space)
        designs.check()
        genes = {"arch": 2, "tws": 1, "array.rows": 0, "dispatch": 1, "memory.dram.bandwidth_gb_s": 7.25}
        design = designs.of(genes)
        assert design.arch is not None and design.arch.name == "mine"
        assert (design.arch.get("tws", default=0), design.arch.array.rows) == (3, 2)
        assert design.arch.energy.device == "lop" and design.arch.memory.dram.bandwidth_gb_s == 7.25
        assert "dispatch" not in design.values
        spikex = designs.of({**genes, "arch": 0})
        assert spikex.arch is not None and spikex.arch.get("dispatch", default="") == "temporal"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("keys: {tws: [1, 2], tws: [3]}", ("duplicate key 'tws'",)),
            ("keys: &a {tws: [1]}\nset: *a", ("aliases",)),
            ("keys: !!python/name:os.system", ("python/name",)),
            ("keys: {tws: [1", ("space.yaml",)),
            ("[1, 2]", ("mapping",)),
            ("", ("mapping",)),
            ("key: {tws: [1]}", ("key", "did you mean keys?")),
            ("set: {tws: 4}", ("keys", "there is no point")),
            ("keys: {}", ("keys", "there is no point")),
            ("keys: {tws: []}", ("keys.tws", "there is no point")),
            ("keys: {tws: 4}", ("keys.tws", "stands under set")),
            ("keys: {tws: [4, 4]}", ("keys.tws", "4 twice")),
            ("keys: {tws: [~]}", ("keys.tws", "None")),
            ("keys: {tws: [.nan]}", ("keys.tws", "no number")),
            ("keys: {tws: {}}", ("keys.tws", "values, powers, and low")),
            ("keys: {tws: {values: [1], powers: [1, 2]}}", ("keys.tws", "one of")),
            ("keys: {tws: {power: [1, 2]}}", ("keys.tws", "did you mean powers?")),
            ("keys: {tws: {values: 3}}", ("keys.tws.values", "list")),
            ("keys: {tws: {powers: [3, 8]}}", ("keys.tws.powers", "3 is no power of two")),
            ("keys: {tws: {powers: [4, 12]}}", ("keys.tws.powers", "12 is no power of two")),
            ("keys: {tws: {powers: [0, 8]}}", ("keys.tws.powers", "0 is no power of two")),
            ("keys: {tws: {powers: [8, 4]}}", ("keys.tws.powers", "8 is above 4")),
            ("keys: {tws: {powers: [4]}}", ("keys.tws.powers", "[LOW, HIGH]")),
            ("keys: {tws: {low: 8, high: 4}}", ("keys.tws", "low 8 is above high 4")),
            ("keys: {tws: {low: 1}}", ("keys.tws", "no high")),
            ("keys: {tws: {high: 1}}", ("keys.tws", "one of values")),
            ("keys: {tws: {low: 1, high: x}}", ("keys.tws.high", "'x'")),
            ("keys: {tws: {low: 1, high: .inf}}", ("keys.tws.high", "inf")),
            ("keys: {tws: {low: 1, high: 8, step: 0}}", ("keys.tws.step", "is 0")),
            ("keys: {tws: {low: 1, high: 8, step: -1}}", ("keys.tws.step", "is -1")),
            ("keys: {tws: {low: 1, high: 8, log: true}}", ("keys.tws.log", "no effect")),
            ("keys: {clock_mhz: {low: 0.0, high: 8.0, log: true}}", ("keys.clock_mhz.log", "logarithm")),
            ("keys: {tws: {values: [1], step: 2}}", ("keys.tws.step", "no effect")),
            ("keys: {tws: {low: 1, high: 200000}}", ("keys.tws", "200,000 values")),
            ("keys: {clock_mhz: {low: 1, high: 2, step: 1e-300}}", ("keys.clock_mhz", "values")),
            ("keys: {tws: {values: [1], when: {}}}", ("keys.tws.when",)),
            ("keys: {tws: {values: [1], when: {arch: ptb}}}", ("keys.tws.when", "no key of the space")),
            ("keys: {arch: [ptb, sata], tws: {values: [1], when: {arhc: ptb}}}", ("did you mean arch?",)),
            ("keys: {arch: [ptb, sata], tws: {values: [1], when: {arch: pbt}}}",
             ("arch is never 'pbt'; did you mean ptb?",)),
            ("keys: {tws: {values: [1], when: {arch: ptb}}, arch: [ptb]}", ("stands below; name it above",)),
            ("keys: {tws: {values: [1], when: {tws: 1}}}", ("is the key itself",)),
            ("keys: {arch: [ptb], tws: {values: [1], when: {arch: ptb}}}", ("always holds",)),
            ("keys: {a: [1, 2], b: {values: [1, 2], when: {a: 1}}, c: {values: [1], when: {a: 2, b: 1}}}",
             ("keys.c.when", "never holds")),
            ("keys: {clock_mhz: {low: 1.5, high: 8}, tws: {values: [1], when: {clock_mhz: 2}}}",
             ("keys.tws.when", "range without steps")),
            ("keys: {arch: [1]}", ("keys.arch", "names no machine")),
            ("keys: {tws: [1]}\nset: {tws: 2}", ("tws", "both in keys and set")),
            ("keys: {tws: [1]}\nset: [2]", ("set", "must map")),
        ],
    )  # fmt: skip
    def test_mistakes_are_named(self, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
        file = tmp_path / "space.yaml"
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_space(file)
        message = str(caught.value)
        assert message.startswith(str(file)) and message.isprintable(), message
        for word in words:
            assert word in message, message

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "space.yaml").write_text("keys: {tws: [1]}")
        (tmp_path / "large.yaml").write_text("#" * (2 << 20))
        (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigError, match=r"no such file; did you mean .*space\.yaml"):
            load_space(tmp_path / "spce.yaml")
        with pytest.raises(ConfigError, match="this is no space"):
            load_space(tmp_path / "large.yaml")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_space(tmp_path / "bytes.yaml")


class TestMachines:
    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({"array.rwos": [2, 4]}, ("keys.array.rwos", "unknown configuration key", "array.rows")),
            ({"arch": ["spikex", "sata"], "tws": [2, 4]},
             ("keys.tws", "not read by the machine sata", "when: {arch:")),
            ({"arch": ["spikex", "spikx"]}, ("keys.arch", "spikx", "did you mean spikex?")),
            ({"tws": [2, 0]}, ("keys.tws", "whole number", "not 0")),
            ({"tws": [2, "many"]}, ("keys.tws", "not 'many'")),
            ({"array.rows": {"low": -3, "high": 4}}, ("keys.array.rows", "-3")),
            ({"memory.dram.samples": [2, 4]},
             ("keys.memory.dram.samples", "no effect at any point", "memory.dram.weights is stream")),
            ({"memory.dram.weights": ["stream", "charged"]}, ("keys.memory.dram.weights", "not 'charged'")),
            ({"tws": [2, 4], "tws_scope": ["layer", "network"]}, ("keys.tws_scope", "no effect", "not auto")),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_key_is_said_first(self, keys: Any, words: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError) as caught:
            Designs(space_of(keys)).check()
        for word in words:
            assert word in str(caught.value)

    def test_a_key_that_another_makes_idle_is_left_out(self) -> None:
        keys = {"tws": [4, "auto"], "tws_scope": ["layer", "network"]}
        designs = Designs(space_of(keys))
        designs.check()
        found = {designs.of(genes).identity: designs.of(genes) for genes in designs.space.all()}
        assert [dict(one.values) for one in found.values()] == [
            {"tws": 4}, {"tws": "auto", "tws_scope": "layer"}, {"tws": "auto", "tws_scope": "network"},
        ]  # fmt: skip

    def test_a_point_that_is_no_configuration_has_the_reason(self) -> None:
        keys = {"memory.glb.partition.ifmap": [0.2, 0.9]}
        designs = Designs(space_of(keys))
        designs.check()
        fine, wrong = (designs.of(genes) for genes in designs.space.all())
        assert fine.arch is not None and not fine.error
        assert wrong.arch is None and "memory.glb.partition" in wrong.error
        assert dict(wrong.values) == {"memory.glb.partition.ifmap": 0.9}

    def test_what_is_set_is_not_chosen(self) -> None:
        with pytest.raises(ConfigError, match=r"array\.rows: is set, and stands in space, too"):
            Designs(space_of({"array.rows": [2]}), overrides={"array.rows": 4})
        designs = Designs(space_of({"array.rows": [2, 4]}), overrides={"array.cols": 2})
        assert designs.load({"array.rows": 4}).array.cols == 2
