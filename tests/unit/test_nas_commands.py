"""The commands nas and nas show, figures of a search, and what is said of wrong options (Section 4)."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

import spikex_sim as sx
from command import is_mistake, spikex, succeed
from nas_scorers import DrawnScorers
from spikex_sim.core.errors import FigureError
from spikex_sim.explore.nas.found import load_found
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.plots import searched
from spikex_sim.report.repeat_searches import command_of_architectures
from spikex_sim.training import architecture

pytestmark = pytest.mark.usefixtures("quiet_logger")
BASE = ("nas", "--data", "d.npz", "--channels", "4", "--timesteps", "2", "--bits", "4")
RANDOM = (*BASE, "--algorithm", "random", "--budget", "8")
JOINT = (*BASE, "--algorithm", "joint", "--budget", "40")


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Scores without PyTorch, of everything that a score depends on."""

    def scorers(data: Path, macro: Macro, how: Mapping[str, Any]) -> DrawnScorers:
        return DrawnScorers(macro, {"data": data.read_text(), **how})

    monkeypatch.setattr(architecture, "image_scorers", scorers)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.npz").write_text("images")
    (tmp_path / "e.npz").write_text("others")


def run(capsys: pytest.CaptureFixture[str], *words: object, out: str = "o") -> dict[str, Any]:
    """Search; what was found, without its time and what says how it was run."""
    printed = succeed(capsys, *words, "--out", out).out
    content = json.loads(Path(out, "nas.json").read_text())
    content["printed"] = [
        line for line in printed.splitlines() if "wrote" not in line and " s, seed" not in line
    ]
    return {key: value for key, value in content.items() if key not in ("seconds", "search", "versions")}


def lasting(printed: str) -> list[str]:
    """Lines that are the same whenever it is printed."""
    return [line for line in printed.splitlines() if "wrote" not in line and " s, seed" not in line]


BEFORE: dict[tuple[str, ...], dict[str, Any]] = {}


class TestOptions:
    @pytest.mark.parametrize(
        ("base", "added"),
        [
            (RANDOM, "--data e.npz"), (RANDOM, "--arch spikesim"), (RANDOM, "--bits 8"),
            (BASE, "--max-params 1200"), (RANDOM, "--max-params 540"), (RANDOM, "--max-area-mm2 1.2"),
            (RANDOM, "--max-latency-ms 4"), (RANDOM, "--max-energy-uj 9"), (RANDOM, "--max-edp-js 3e-8"),
            (RANDOM, "--algorithm joint"), (RANDOM, "--budget 9"), (JOINT, "--sampler tpe"),
            (JOINT, "--minimise latency_ms"), (RANDOM, "--minimise parameters,edp_js"),
            (RANDOM, "--space snasnet"), (RANDOM, "--same"), (RANDOM, "--dataset cifar100"),
            (RANDOM, "--channels 5"), (RANDOM, "--timesteps 3"), (RANDOM, "--batch 9"),
            (RANDOM, "--score-channels 2"), (RANDOM, "--score-timesteps 1"),
            (RANDOM, "--repeats 3"), (RANDOM, "--kernel normalised"), (RANDOM, "--constant skip"),
            (RANDOM, "--seed 1"),
        ],
    )  # fmt: skip
    def test_every_option_has_an_effect(
        self, capsys: pytest.CaptureFixture[str], base: tuple[str, ...], added: str
    ) -> None:
        if base not in BEFORE:
            BEFORE[base] = run(capsys, *base, out="before")
        option, *_ = added.split()
        words = list(base)
        if option in words:
            words[words.index(option) : words.index(option) + 2] = []
        assert run(capsys, *words, *added.split(), out="after") != BEFORE[base]

    def test_a_smaller_network_is_scored_and_the_whole_one_costed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        narrow = ("2" if word == "4" else word for word in RANDOM[: RANDOM.index("--bits")])
        for out, line in (
            ("narrow", (*narrow, *RANDOM[RANDOM.index("--bits") :])),
            ("found", (*RANDOM, "--score-channels", "2")),
            ("whole", RANDOM),
        ):
            run(capsys, *line, out=out)
        narrower, found, whole = (
            list(csv.DictReader(Path(out, "nas.csv").read_text().splitlines()))
            for out in ("narrow", "found", "whole")
        )
        assert [row["score"] for row in found] == [row["score"] for row in narrower]
        assert [row["score"] for row in found] != [row["score"] for row in whole]
        for cost in ("parameters", "area_mm2", "latency_ms", "energy_uj"):
            assert [row[cost] for row in found] == [row[cost] for row in whole], cost
        assert found[0]["parameters"] != narrower[0]["parameters"]
        assert "smaller network" in Path("found", "nas.json").read_text()

    def test_carried_scores_can_break_limits(self, capsys: pytest.CaptureFixture[str]) -> None:
        line = (*BASE, "--max-latency-ms", "6.5")
        apart, printed = run(capsys, *line, out="a"), run(capsys, *line, "--carry-score", out="b")
        assert apart["winner"]["feasible"] and not printed["winner"]["feasible"]
        assert any("does not keep the limits: latency" in text for text in printed["printed"])

    def test_processes_change_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(capsys, *RANDOM, out="a") == run(capsys, *RANDOM, "--jobs", 2, out="b")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--arch spikx", ("did you mean spikex",)),
        ("--arch spinalflow", ("spinalflow", "stem")),
        ("--algorithm genetic", ("algorithm", "none of paper, joint, random")),
        ("--budget 5", ("budget", "has no effect with algorithm paper")),
        ("--algorithm joint --budget 0", ("budget", "wants 1 to")),
        ("--algorithm joint --carry-score", ("carry_score", "has no effect with algorithm joint")),
        ("--sampler tpe", ("sampler", "has no effect with algorithm paper")),
        ("--minimise ,", ("--minimise", "names nothing")),
        ("--minimise cycles", ("minimise", "none of parameters")),
        ("--same", ("same", "has no effect with algorithm paper")),
        ("--max-energy-uj nan", ("--max-energy-uj", "wants a number above 0")),
        ("--max-params -1", ("--max-params", "wants a number above 0")),
        ("--max-edp-js inf", ("--max-edp-js",)),
        ("--arch spikex --max-area-mm2 5", ("max_area_mm2", "the same for every network")),
        ("--bits 16 --arch spikex", ("arch spikex", "bits", "1 to 8")),
        ("--bits 33", ("bits", "1 to 32")),
        ("--space nas", ("space",)),
        ("--dataset imagenet", ("dataset",)),
        ("--channels 0", ("channels", "wants 1 to")),
        ("--timesteps 0", ("timesteps", "wants 1 to")),
        ("--score-channels 0", ("channels", "wants 1 to")),
        ("--score-channels 5", ("score_channels", "is 5; wants 1 to 4")),
        ("--score-timesteps 3", ("score_timesteps", "is 3; wants 1 to 2")),
        ("--scheduler nowhere", ("--scheduler",)),
        ("--arch spikex --score-channels 2", ("score_channels", "follow from the spikes")),
        (
            "--arch spikex --score-timesteps 1",
            ("score_timesteps", "spikesim-released they follow from shapes"),
        ),
        ("--jobs 0", ("jobs",)),
        ("--jobs 2 --scheduler tcp://a:1", ("jobs", "cluster")),
        ("--seed -1", ("--seed",)),
        ("--max-energy-uj 1", ("nothing keeps the limits", "000000 000000", "times the limit of 1")),
        ("--jobs 1 --jobs 2", ("--jobs", "more than once")),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], words: str, told: tuple[str, ...]
) -> None:
    line = [*BASE, "--out", "o", *words.split()]
    is_mistake(spikex(capsys, *_without(line, words.split(maxsplit=1)[0])), *told)
    assert not Path("o").exists()


def _without(line: list[str], option: str) -> list[str]:
    """Line with the first of an option that is given twice taken out, but for one that is tried twice."""
    if line.count(option) == 2 and option != "--jobs":
        at = line.index(option)
        line[at : at + 2] = []
    return line


@pytest.mark.parametrize(
    "words",
    [
        (*RANDOM, "--max-params", "900", "--seed", "3", "--kernel", "normalised"),
        (*RANDOM, "--arch", "spikesim", "--same", "--space", "snasnet", "--batch", "9"),
        (*RANDOM, "--score-channels", "2", "--repeats", "3"),
        (*JOINT, "--sampler", "tpe", "--minimise", "latency_ms,area_mm2", "--constant", "skip"),
        (*BASE, "--carry-score", "--max-latency-ms", "6.5", "--dataset", "cifar100"),
        (*RANDOM, "--arch", "mine.yaml"),
    ],
    ids=["limit", "machine", "smaller", "joint", "paper", "file"],
)  # fmt: skip
def test_a_report_says_how_to_repeat_it(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    if "joint" in words:
        pytest.importorskip("optuna")
    Path("mine.yaml").write_text("base: spikesim\nname: mine\nimc: {crossbar: 32}\n")
    run(capsys, *words)
    command, remark = command_of_architectures(load_found("o"))
    line = shlex.split(command.replace("--data DATA", "--data d.npz").replace("arch.yaml", "mine.yaml"))
    assert line[0] == "spikex-sim" and ("arch.yaml" in remark) == ("mine.yaml" in words)
    at = line.index("--out")
    succeed(capsys, *line[1:at], *line[at + 2 :], "--out", "again")
    first, again = (json.loads(Path(one, "nas.json").read_text()) for one in ("o", "again"))
    for key in first.keys() - {"seconds"}:
        assert first[key] == again[key], key


class TestFolders:
    def test_another_search_is_refused_and_the_same_goes_on(self, capsys: pytest.CaptureFixture[str]) -> None:
        first = run(capsys, *RANDOM)
        assert run(capsys, *RANDOM) == first
        before = Path("o/nas.json").read_bytes()
        is_mistake(
            spikex(capsys, *RANDOM, "--seed", 3, "--out", "o"), "o: holds another search (seed: 0 there"
        )
        assert Path("o/nas.json").read_bytes() == before

    def test_places_that_cannot_be_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("file").write_text("")
        is_mistake(spikex(capsys, *RANDOM, "--out", "file"), "file")
        Path("o").mkdir()
        Path("o/nas.sqlite").write_text("no database, and longer than a header" * 9)
        is_mistake(spikex(capsys, *RANDOM, "--out", "o"), "o/nas.sqlite", "cannot be used")

    def test_show_prints_what_was_found(self, capsys: pytest.CaptureFixture[str]) -> None:
        printed = run(capsys, *RANDOM, "--max-latency-ms", 6)["printed"]
        shown = [
            line for line in succeed(capsys, "nas", "show", "o").out.splitlines() if " s, seed" not in line
        ]
        assert shown == printed
        text = " ".join(" ".join(printed).split())
        found = load_found("o")
        assert f"winner's cell A {found.winner.cell_a}: {found.winner.form_a}" in text
        assert "front of score and energy" in text and "most convolutions that fit:" in text
        assert "8 networks scored" in text and "random feasible, 5 networks" in text
        is_mistake(spikex(capsys, "nas", "show", "none"), "none")

    def test_markup_is_shown_as_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        run(capsys, *RANDOM)
        content = json.loads(Path("o/nas.json").read_text())
        content["search"] |= {"algorithm": "[/a]", "arch": "[/b]", "bits": "[/c]", "seed": "[/d]"}
        content["winner"] |= {"form_a": "[/e]", "form_b": "[red]f"}
        content["winner"]["machines"] = {"[/g]": {"refused": "[/h] [bold]i"}}
        content["baselines"]["most_convolutions"] |= {"cell_a": "[/j]", "cell_b": "[k]"}
        Path("o/nas.json").write_text(json.dumps(content))
        shown = " ".join(succeed(capsys, "nas", "show", "o").out.split())
        for text in ("[/a]", "[/b]", "[/c]", "seed [/d]", ": [/e]", "[red]f", "[/h] [bold]i", "[/j] [k],"):
            assert text in shown
        assert shown.count("[/g]") == 2

    def test_figures_draw_points_limits_and_cells(self, capsys: pytest.CaptureFixture[str]) -> None:
        run(capsys, *RANDOM, "--space", "snasnet", "--max-latency-ms", 6, "--max-edp-js", 1)
        succeed(capsys, "plot", "o", "--format", "svg")
        assert {path.name for path in Path("o/figures").iterdir()} == {"nas-costs.svg", "nas-cells.svg"}
        found = load_found("o")
        figure, axes = searched.against_costs(searched.cost_rows(found))
        assert isinstance(figure, matplotlib.figure.Figure) and len(axes) == 5
        dashed = [
            [line for line in axis.lines if line.get_marker() == "None" and len(set(line.get_xdata())) == 1]
            for axis in axes
        ]
        assert [len(lines) for lines in dashed] == [0, 0, 1, 0, 1]
        assert dashed[2][0].get_xdata()[0] == 6.0 and dashed[4][0].get_xdata()[0] == pytest.approx(1e9)
        stars = [line for line in axes[3].lines if line.get_marker() == "*"]
        assert [list(line.get_ydata()) for line in stars] == [[found.winner.score]]
        drawn = sum(len(points.get_offsets()) for points in axes[0].collections)
        assert drawn == len(found.networks) - 1
        rows = searched.cell_rows(found)
        cells = found.cells_of(found.winner)
        assert len(rows) == sum(len(cell.edges) for cell in cells)
        _, both = searched.cells(rows)
        assert [axis.get_title() for axis in both] == [
            f"Cell A: {found.winner.cell_a}", f"Cell B: {found.winner.cell_b}"
        ]  # fmt: skip
        arrows = [sum("Arrow" in type(one).__name__ for one in axis.patches) for axis in both]
        assert arrows == [len(cell.edges) for cell in cells]
        with pytest.raises(FigureError, match="no score is finite"):
            searched.against_costs([])

    def test_python_finds_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        run(capsys, *RANDOM)
        found = sx.search_architecture("d.npz", algorithm="random", budget=8, channels=4, timesteps=2, bits=4)
        assert found.model_copy(update={"seconds": 0}) == load_found("o").model_copy(update={"seconds": 0})
        with Path("o/nas.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 8


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_pytorch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    is_mistake(spikex(capsys, *RANDOM, "--out", "o"), "nas: needs PyTorch: ", "[nas]")
