"""What is printed of tables: chosen rows and fields, names that stay readable, lists of names, completion."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import spikex_sim as sx
from command import environment, is_mistake, process, spikex, succeed
from distribution import install
from spikex_sim.cli import show
from spikex_sim.cli.sheet import print_sheet
from spikex_sim.core import registry
from spikex_sim.core.sheet import Sheet
from spikex_sim.plots.folder import NAMES
from spikex_sim.spec.load import preset_names
from spikex_sim.spec.networks import load_network, network_names
from trace_files import a_trace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_trace(), "t.npz")
    return tmp_path


def rows_of(lines: list[str], heading: str) -> list[list[str]]:
    """Cells of the table below a line that begins with a heading."""
    at = next(index for index, line in enumerate(lines) if line.split()[:1] == [heading])
    return [line.split() for line in lines[at : lines.index("", at)]]


class TestChoice:
    def test_fields_of_a_sweep_are_those_of_its_csv(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chosen = ("--fields", "cycles,layer_tws", "--sort", "-cycles")
        shown = succeed(capsys, "sweep", "t.npz", "--grid", "tws=2,3,5", *chosen, "--out", "o")
        found = rows_of(shown.lines, "arch")
        with Path("o/sweep.csv").open() as file:
            rows = sorted(csv.DictReader(file), key=lambda row: -int(row["cycles"]))
        assert found[0] == ["arch", "tws", "cycles", "layer_tws"]
        assert found[1:] == [
            [row["arch"], row["tws"], f"{int(row['cycles']):,}", row["layer_tws"]] for row in rows
        ]

    def test_the_usual_table_of_a_sweep_is_sorted_and_cut(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ("--grid", "tws=3,2,5", "--sort", "tws", "--top", 2, "--out", "o")
        shown = succeed(capsys, "sweep", "t.npz", *options)
        assert "Sweep of tiny, by tws, ascending" in shown.lines
        assert [row[1] for row in rows_of(shown.lines, "arch")[1:3]] == ["2", "3"]
        assert "* smallest of its column of 3 points; here the first 2, sweep.csv has all" in " ".join(
            shown.out.split()
        )

    def test_points_that_failed_have_their_error(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ("--grid", "memory.lbuf.port_bits=64,48", "--fields", "cycles,error", "--out", "o")
        shown = spikex(capsys, "sweep", "t.npz", *options)
        assert shown.code == 2 and "Sweep of tiny" in shown.lines
        assert [len(row) for row in rows_of(shown.lines, "#")] == [4, 4, 3]
        _, first, second = shown.lines[shown.lines.index("#  error") :][:3]
        assert first == "1" and second.startswith("2  spikex: memory.lbuf: ")

    def test_machines_that_refuse_have_their_reason(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ("--arch", "spikex,spinalflow", "--fields", "trace,cycles,error", "--sort", "cycles")
        shown = succeed(capsys, "compare", "t.npz", *options)
        assert "Totals, by cycles, ascending" in shown.lines
        assert [len(row) for row in rows_of(shown.lines, "arch")] == [3, 3, 2]
        _, first, second = shown.lines[shown.lines.index("arch        error") :][:3]
        assert first == "spikex" and second.startswith("spinalflow  layer c1: ")

    def test_layers_of_a_run(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = [row for row in sx.simulate("t.npz").layer_rows() if row["kind"] != "maxpool"]
        layers = sorted(found, key=lambda row: -row["cycles"])
        shown = succeed(capsys, "run", "t.npz", "--sort", "-cycles", "--top", 1, "--fields", "kind,cycles")
        wanted = [[row["name"], row["kind"], f"{row['cycles']:,}"] for row in layers[:1]]
        assert rows_of(shown.lines, "name")[1:2] == wanted
        assert f"1 of {len(layers)} rows" in shown.lines
        assert "Layers of tiny on spikex, by cycles, descending" in shown.lines
        every = rows_of(succeed(capsys, "run", "t.npz", "--fields", "kind").lines, "name")
        assert every[1:] == [[row["name"], row["kind"]] for row in found]

    def test_machines_of_a_comparison(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        results = [sx.simulate("t.npz", arch) for arch in ("ptb", "spikex")]
        shown = succeed(capsys, "compare", "t.npz", "--arch", "spikex,ptb", "--sort", "cycles")
        wanted = sorted((result.totals.cycles, result.arch.name) for result in results)
        assert [row[:2] for row in rows_of(shown.lines, "arch")[1:]] == [
            [name, f"{cycles:,}"] for cycles, name in wanted
        ]
        assert "identical for all accelerators" in shown.out

    def test_what_a_machine_lacks_is_empty_and_last(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ("--arch", "ann,spikex", "--fields", "estimate_pj", "--sort", "estimate_pj")
        found = rows_of(succeed(capsys, "compare", "t.npz", *options).lines, "arch")
        assert [row[0] for row in found[1:]] == ["spikex", "ann"] and len(found[-1]) == 1

    @pytest.mark.parametrize("line", ["run t.npz", "compare t.npz", "sweep t.npz --out o"])
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("--fields cycls", "--fields: 'cycls' is no column of FILE; did you mean cycles?"),
            ("--sort -enrgy_pj", "--sort: 'enrgy_pj' is no column of FILE; did you mean energy_pj?"),
            ("--fields nothing", "--fields: 'nothing' is no column of FILE, which has "),
            ("--sort -", "--sort: names nothing"),
            ("--fields ,", "--fields: names nothing"),
            ("--top 0", "--top"),
        ],
    )
    def test_mistakes_are_said_before_anything_runs(
        self, here: Path, capsys: pytest.CaptureFixture[str], line: str, options: str, words: str
    ) -> None:
        file = "layers.csv" if line.startswith("run") else "sweep.csv"
        is_mistake(spikex(capsys, *line.split(), *options.split()), words.replace("FILE", file))
        assert not Path("o").exists()

    def test_a_part_that_no_machine_has(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        outcome = spikex(capsys, "run", "t.npz", "--fields", "energy_glbb_pj")
        assert outcome.code == 2 and "did you mean energy_glb_pj?" in outcome.err


class TestNarrowTerminals:
    def test_names_that_fill_the_terminal_become_numbers(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = Sheet("wide", ("key", "another", "cycles", "energy"), labels=2)
        names = [("a" * 21, "b" * 13), ("a" * 20 + "c", "d" * 13)]
        for at, pair in enumerate(names):
            made.add_row(*pair, str(at) * 9, str(at) * 14)
        console = Console(width=40)
        with console.capture() as captured:
            print_sheet(made, console)
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= 40
        words = [line.split() for line in lines]
        for at, pair in enumerate(names, 1):
            assert [str(at), *pair] in words
            assert [str(at), str(at - 1) * 9, str(at - 1) * 14] in words

    def test_names_with_room_beside_them_stay_at_every_table(self) -> None:
        made = Sheet("", ("layer", "cycles", "energy"))
        made.add_row("conv1", "1" * 20, "2" * 20)
        console = Console(width=30)
        with console.capture() as captured:
            print_sheet(made, console)
        assert captured.get().split() == [
            "layer",
            "cycles",
            "conv1",
            "1" * 20,
            "layer",
            "energy",
            "conv1",
            "2" * 20,
        ]

    def test_a_cell_wider_than_the_terminal_is_whole(self) -> None:
        made = Sheet("", ("layer", "hash"))
        made.add_row("conv1", "f" * 64)
        console = Console(width=30)
        with console.capture() as captured:
            print_sheet(made, console)
        assert "f" * 64 in captured.get()

    @pytest.mark.parametrize("columns", [20, 50, 80])
    def test_every_configuration_key_is_whole(
        self, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(show.console, "_width", columns)
        words = succeed(capsys, "run", "--show-config").out.split()
        assert {"memory.glb.partition.ifmap", "500.0", "memory.dram.bandwidth_gb_s"} <= set(words)

    def test_lines_of_text_are_wrapped_and_ratios_stay_beside_what_they_are_of(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(show.console, "_width", 60)
        shown = succeed(capsys, "compare", "--arch", "spikex,ptb,ann")
        assert max(map(len, shown.lines)) <= 60
        assert not any(line.endswith(" ") for line in shown.lines)
        assert "accelerator    EDP, Js  ratio" in shown.lines
        words = " ".join(shown.out.split())
        assert "identical for all accelerators; ann left out (activations, not spikes)" in words


class TestList:
    def test_everything_that_has_a_name_is_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        words = set(succeed(capsys, "list").out.replace(",", "").split())
        names = {name for seam in registry.SEAMS for name in registry.plugin_names(seam)}
        assert names | {*preset_names(), *network_names(), *NAMES, "tables", "nmnist-ht"} <= words

    def test_a_kind_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, "list", "networks", "engines")
        titles = [line.split(":")[0] for line in shown.lines if ":" in line and not line.startswith(" ")]
        assert titles[0] == "networks" and "engines" in titles and "presets" not in titles
        nmnist = load_network("nmnist")
        assert ["nmnist", "2x34x34", str(nmnist.timesteps), str(len(nmnist.layers))] in [
            line.split() for line in shown.lines
        ]

    def test_plugins_are_listed_and_not_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        install("other", "1.0", {"spikex_sim.engines": {"other": "not_there:Engine"}}, tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        registry._found.cache_clear()
        try:
            shown = succeed(capsys, "list", "engines")
        finally:
            registry._found.cache_clear()
        assert ["other", "not_there:Engine"] in [line.split() for line in shown.lines]

    def test_no_such_kind(self, capsys: pytest.CaptureFixture[str]) -> None:
        is_mistake(spikex(capsys, "list", "preset"), "list: 'preset' is none of", "did you mean presets?")


class TestCompletion:
    @pytest.mark.parametrize(
        ("words", "wanted"),
        [
            ("com", {"compare"}),
            ("run --time", {"--timeline"}),
            ("run --arch spin", {"spinalflow"}),
            ("compare --arch ptb,spikex-l", {"ptb,spikex-lop", "ptb,spikex-lstp"}),
            ("run --engine ev", {"event"}),
            ("plot x --figure st", {"stalls"}),
            ("reproduce tor", {"tornado"}),
            ("list ne", {"networks"}),
            ("trace synth --network dvs-gesture-l", {"dvs-gesture-large"}),
            ("trace convert x --network lenet", {"lenet5-mnist"}),
        ],
    )
    def test_names_are_completed(self, words: str, wanted: set[str]) -> None:
        asked = {
            "COMP_WORDS": f"spikex-sim {words}", "COMP_CWORD": str(len(words.split())),
            "_SPIKEX_SIM_COMPLETE": "complete_bash",
        }  # fmt: skip
        assert set(process(env=environment(**asked)).out.split()) == wanted

    def test_the_script_is_shown(self, capsys: Any) -> None:
        named = environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")  # tests run under any shell
        assert "complete -o default" in process("--show-completion", "bash", env=named).out
