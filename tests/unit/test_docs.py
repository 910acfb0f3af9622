"""The documentation says what the program does: names, defaults, examples, command lines and links."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distribution import install_cfg, install_toml
from doc_pages import COMMANDS_IN, ROOT, blocks, identifier, read, section
from spikex_sim.__main__ import main
from spikex_sim.cli import show
from spikex_sim.cli.app import command
from spikex_sim.core.counts import LEVELS, TENSORS
from spikex_sim.core.registry import SEAMS, built_in_names, plugin, plugin_names
from spikex_sim.explore.sweeps.grid import points
from spikex_sim.explore.sweeps.runner import sweep
from spikex_sim.explore.sweeps.study import load_study
from spikex_sim.run.fields import FIELDS, LAYERS, SAMPLES, TOTALS
from spikex_sim.run.simulate import simulate
from spikex_sim.spec.load import describe_keys, options_of, preset_names
from spikex_sim.spec.networks import network_names
from spikex_sim.testing.own_keys import own
from spikex_sim.timing.engine import Durations
from spikex_sim.trace.store import save_trace
from spikex_sim.trace.trace import Trace


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def keys_of(text: str, column: int = 0) -> set[str]:
    """Names in backticks in one column of a section's tables."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return {name for line in lines for name in re.findall(r"`([^`]+)`", cells(line)[column])}


# --- (a) the glossary ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> Trace:
    neuron = {"threshold": 2, "leak_shift": 2}
    layers = [
        {"name": "conv", "kind": "conv", "in_channels": 1, "out_channels": 2, "kernel": 2,
         "in_height": 3, "in_width": 3, "neuron": neuron},
        {"name": "pool", "kind": "maxpool", "in_channels": 2, "out_channels": 2, "kernel": 2,
         "in_height": 2, "in_width": 2},
        {"name": "fc", "kind": "linear", "in_channels": 2, "out_channels": 2, "neuron": neuron},
    ]  # fmt: skip
    weights = [np.ones((2, 1, 2, 2), np.int8), None, np.ones((2, 2), np.int8)]
    return Trace.from_arrays(layers, np.ones((1, 3, 3, 8), bool), weights=weights, label=1)


PLACEHOLDERS = {
    r"^accesses\.\w+\.\w+\.": "accesses.LEVEL.TENSOR.",
    r"^(imc\.(?:counts|energy_pj|stalls)|area_um2|area_absent)\..*": r"\1",
    r"^energy_sources\.\w+\.\w+$": "energy_sources.PART.ACTION",
}
"""What stands on the page for many keys at once."""


def leaves(data: Any, path: str = "") -> Iterator[str]:
    """Dotted names of everything in a mapping; what are many is one."""
    for key, value in data.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from leaves(value, name)
        else:
            for many, one in PLACEHOLDERS.items():
                name = re.sub(many, one, name)
            yield name


def of_some() -> set[str]:
    """Keys that only some machines or layers have."""
    fields = [one for one in FIELDS if one.of_some and {LAYERS, TOTALS, SAMPLES} & set(one.places)]
    return {
        key for one in fields for key in ([f"{one.name}.{part}" for part in one.parts or ()] or [one.name])
    }


def test_glossary_has_every_key_of_results_json_and_no_other(tiny: Trace) -> None:
    page = read("glossary.md")
    result = json.loads(json.dumps(simulate(tiny, tws=4).to_dict()))
    everywhere = keys_of(section(page, "results.json: totals, layers and samples alike").split("\nLevels")[0])
    totals = keys_of(section(page, "results.json: totals and samples only"))
    layers = keys_of(section(page, "results.json: layers only"))
    top = keys_of(section(page, "results.json: top level"))

    samples = keys_of(section(page, "results.json: samples only"))
    some, chip = of_some(), simulate(tiny, "spikesim").to_dict()
    chip["totals"], result["totals"] = [chip["totals"]], [result["totals"]]
    for place, keys in (
        ("totals", everywhere | totals),
        ("samples", everywhere | totals | samples),
        ("layers", everywhere | layers),
    ):
        assert set(leaves(result[place][0])) == keys - some
        assert set(leaves(chip[place][0])) >= keys & some - {"mismatched_values"}
    assert some <= everywhere | totals | samples | layers
    lists = {key: result.pop(key) for key in ("config", "totals", "layers", "samples")}
    assert set(leaves(result)) | set(lists) == top


def test_glossary_has_the_keys_of_other_machines(tiny: Trace) -> None:
    """What dense arrays, an ANN, SATA, a time-serial machine and crossbars have beside the keys of SpikeX."""

    def keys(arch: str) -> set[str]:
        result = simulate(once, arch, overrides=own(arch, {"tws": 1, "mapping.tile": "layer"})).to_dict()
        for key in ("config", "totals", "samples"):
            result.pop(key)
        return set(leaves(result)) | set(leaves(result["layers"][0]))

    once = tiny.first(1)
    usual = keys("spikex")
    others = set().union(*(keys(arch) for arch in ("systolic-ws", "ann", "sata", "spinalflow", "spikesim")))
    table = section(read("glossary.md"), "results.json: other machines").split("\nKeys that all")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert keys_of("\n".join(rows)) == others - usual - of_some()


def test_the_text_on_crossbars_has_every_count(tiny: Trace) -> None:
    chip = simulate(tiny, "spikesim")
    assert chip.totals.imc is not None
    assert set(chip.totals.imc["counts"]) == keys_of(
        section(read("imc.md"), "2. Counts and energy").split("**Spikes in**")[0]
    )
    assert {key for layer in chip.layers for key in layer.mapping} <= set(
        re.findall(r"`(\w+)`", section(read("imc.md"), "5. Keys and results"))
    )


def test_glossary_names_the_levels_and_tensors() -> None:
    table = section(read("glossary.md"), "results.json: totals, layers and samples alike").split("\nLevels")[
        1
    ]
    assert keys_of(table, 0) == set(LEVELS)
    assert keys_of(table, 3) == set(TENSORS)


def header(path: Path) -> set[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return set(next(csv.reader(file)))


def test_glossary_has_every_csv_column_and_no_other(tiny: Trace, tmp_path: Path) -> None:
    page = read("glossary.md")
    simulate(tiny, tws=4).save(tmp_path)
    simulate(tiny, "spikesim").save(tmp_path / "chip")
    sweep(tiny, {"tws": [2], "array.cols": [4]}, out=tmp_path)
    sweep(tiny, {"imc.crossbar": [16]}, arch="spikesim", out=tmp_path / "chip")
    save_trace(tiny, tmp_path / "tiny.npz")
    for study in ("dynamic", "ann"):
        assert main([study, str(tmp_path / "tiny.npz"), "--out", str(tmp_path)]) == 0
        assert header(tmp_path / f"{study}.csv") == keys_of(section(page, f"{study}.csv"))
    usual, chip = (header(folder / "layers.csv") for folder in (tmp_path, tmp_path / "chip"))
    assert usual <= keys_of(section(page, "layers.csv")) <= usual | chip
    assert header(tmp_path / "accesses.csv") == keys_of(section(page, "accesses.csv"))
    usual, chip = (header(folder / "sweep.csv") for folder in (tmp_path, tmp_path / "chip"))
    assert usual - {"tws", "array.cols"} <= keys_of(section(page, "sweep.csv")) <= usual | chip


def test_glossary_has_every_printed_column(
    tiny: Trace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    columns: set[str] = set()
    table = show.table

    def recorded(title: str, *names: str, **options: Any) -> Any:
        columns.update(re.sub(r"TWS=\d+", "TWS=N", name) for name in names)
        return table(title, *names, **options)

    monkeypatch.setattr(show, "table", recorded)
    path = str(tmp_path / "tiny.npz")
    save_trace(tiny, path)
    zero = np.zeros(1, np.uint8)
    np.savez(tmp_path / "events.npz", x=zero, y=zero, p=zero, t=zero, offsets=np.array([0, 1]))
    convert = ["trace", "convert", str(tmp_path / "events.npz"), "--samples", "all", "--timesteps", "2"]
    assert main([*convert, "--out", str(tmp_path / "traces")]) == 0
    assert main(["run", path, "--explain"]) == 0
    assert main(["run", path, "--arch", "spikesim"]) == 0
    assert main(["run", path, "--arch", "spikesim-released"]) == 0
    neuron = {"threshold": 1.0, "leak": 0.5, "datapath": "float"}
    fc = {"name": "fc", "kind": "linear", "in_channels": 2, "out_channels": 2, "neuron": neuron}
    wide = Trace.from_arrays([fc], np.ones((2, 4), bool), weights=[np.ones((2, 2), np.float32)])
    save_trace(wide, tmp_path / "wide.npz")
    assert main(["trace", "convert", str(tmp_path / "wide.npz"), "--int8", "--out", f"{tmp_path}/8.npz"]) == 0
    assert main(["compare", path, "--arch", "spikex,spikex-lop"]) == 0
    assert main(["sweep", path, "--grid", "tws=4", "--out", str(tmp_path)]) == 0
    assert main(["dynamic", path]) == 0
    assert main(["ann", path]) == 0
    assert main(["trace", "show", path]) == 0
    assert main(["energy", "show"]) == 0
    capsys.readouterr()
    printed = section(read("glossary.md"), "Printed tables")
    assert columns - keys_of(printed, 1) - {"spikex", "spikex-lop", "tws"} == set()


def test_tables_of_the_glossary_are_up_to_date() -> None:
    page = read("glossary.md")
    assert page_maker("glossary").rewritten(page) == page, "run python scripts/make_glossary_page.py"


# --- (b) the configuration page --------------------------------------------------------------------


def page_maker(page: str) -> ModuleType:
    spec = spec_from_file_location(f"make_{page}_page", ROOT / f"scripts/make_{page}_page.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_configuration_keys_are_up_to_date() -> None:
    page = read("configuration.md")
    assert page_maker("configuration").rewritten(page) == page, (
        "run python scripts/make_configuration_page.py"
    )
    common, *parts = section(page, "Keys").split("\n### ")
    machines = {part.split("\n")[0]: part for part in parts}
    for name in built_in_names("accelerators"):
        lines = (common + machines.get(name, "")).splitlines()
        rows = {cells(line)[0]: cells(line)[1] for line in lines if line.startswith("| `")}
        rows = {key: default for key, default in rows.items() if options_of(name).reads(key.strip("`"))}
        keys = {key: default for key, _, default in describe_keys(options_of(name)())}
        assert set(rows) == {f"`{key}`" for key in keys}, "all keys of a machine, and no others"
        for key, default in keys.items():
            shown = str(default).lower() if isinstance(default, bool) else str(default)
            assert rows[f"`{key}`"] == f"`{shown}`"


def test_presets_plugins_and_networks_are_named() -> None:
    assert set(preset_names()) <= keys_of(section(read("configuration.md"), "Presets"))
    extending = read("extending.md")
    for seam in SEAMS:
        row = next(line for line in extending.splitlines() if line.startswith(f"| `spikex_sim.{seam}`"))
        assert set(built_in_names(seam)) <= set(re.findall(r"`([^`]+)`", row))
    for network in network_names():
        assert f"`{network}`" in read("traces.md")


# --- (c) examples ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "concepts.md",
        "configuration.md",
        "explain.md",
        "extending.md",
        "figures.md",
        "report.md",
        "studies.md",
        "sweeps.md",
        "timeline.md",
        "traces.md",
    ],
)
def test_python_examples_work(name: str, tmp_path: Path) -> None:
    """Blocks run in order as one script; those that begin with a file name are that file."""
    text = read(name)
    script = []
    for block in blocks(text, "python"):
        file = re.match(r"# (\w+\.py)\n", block)
        if file:
            (tmp_path / file[1]).write_text(block, "utf-8")
        else:
            script.append(block)
    assert script
    for block in blocks(text, "toml"):
        install_toml(block, tmp_path)
    for block in blocks(text, "ini"):
        install_cfg(block, tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if tests := sorted(path.name for path in tmp_path.glob("test_*.py")):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0 and f"{len(tests)} passed" in done.stdout, done.stdout


def test_examples_of_recording_work(tmp_path: Path) -> None:
    for package in ("torch", "snntorch"):
        pytest.importorskip(package)
    script = "\n".join(blocks(read("record.md"), "python"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_trace_is_written_with_numpy_alone() -> None:
    first = blocks(section(read("traces.md"), "Writing one with numpy alone"), "python")[0]
    assert set(re.findall(r"^(?:import|from) (\w+)", first, re.MULTILINE)) == {"json", "numpy"}


def test_yaml_examples_load(tmp_path: Path) -> None:
    from spikex_sim.spec.load import load_accelerator

    for block in blocks(read("configuration.md"), "yaml"):
        (tmp_path / "example.yaml").write_text(block, "utf-8")
        assert load_accelerator(tmp_path / "example.yaml").name != "spikex"
    for block in blocks(read("sweeps.md"), "yaml"):
        (tmp_path / "example.yaml").write_text(block, "utf-8")
        study = load_study(tmp_path / "example.yaml")
        for values in points(study.product, study.zip):
            load_accelerator("ptb", study.set | values)


@pytest.mark.parametrize("engine", plugin_names("engines"))
def test_timeline_of_the_concepts_page(engine: str) -> None:
    """The drawing of four steps is what the engines compute from the durations above it."""
    durations = {
        "fetch": (4, 2, 9, 2), "load": (2, 2, 2, 2), "compute": (5, 4, 3, 3), "store": (1, 1, 1, 1),
        "writeback": (1, 1, 1, 1),
    }  # fmt: skip
    arrays = {name: np.array(values, dtype=np.int64) for name, values in durations.items()}
    ends = plugin("engines", engine).run(Durations(**arrays, array=arrays["compute"]))
    page = read("concepts.md")
    assert "`f = 4 2 9 2`, `l = 2 2 2 2`, `c = 5 4 3 3`, `s = w = 1 1 1 1`" in page
    for name, length in arrays.items():
        line = ["."] * ends.cycles
        for step, (cycles, end) in enumerate(zip(length, getattr(ends, name), strict=True)):
            line[end - cycles : end] = str(step) * cycles
        assert f"\n{name:10}{''.join(line)}\n" in page


# --- (d) command lines -----------------------------------------------------------------------------


def command_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Command lines of a page, and whether they are complete (in a block) or only mentioned (in a text)."""
    fenced = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    program = r"(?:\S*/)?(?:spikex-sim|python3? -m spikex_sim)(?= )(.*)"
    for block in fenced.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(rf"(?:.*&& )?{program}", line):
                yield found[1], True
    for inline in re.findall(r"`([^`\n]+)`", fenced.sub("", text)):
        if found := re.match(program, inline):
            yield found[1], False


built = cache(command)
"""The command line, made once for all lines of all pages."""


def parse(words: list[str], complete: bool) -> None:
    """Parse a command line as the program would, without running it."""
    here: Any = built()
    names = ["spikex-sim"]
    while words and words[0] in getattr(here, "commands", {}):
        both = " ".join(words[:2])
        names.append(both if both in here.commands else words[0])
        del words[: len(names[-1].split())]
        here = here.commands[names[-1]]
    if hasattr(here, "commands"):
        wanted = {name for option in here.params for name in option.opts} | {"--help"}
        assert set(words) <= wanted | ({"COMMAND"} if not complete else set()), f"{names} has no {words}"
        return
    known = {name for option in here.params for name in option.opts} | {"--help"}
    unknown = {word.split("=")[0] for word in words if word.startswith("-")} - known
    assert not unknown, f"{' '.join(names)} has no {unknown}"
    if complete and "--help" not in words:
        here.make_context(" ".join(names), words)


@pytest.mark.parametrize("path", COMMANDS_IN, ids=identifier)
def test_command_lines_exist(path: Path) -> None:
    for line, complete in command_lines(path.read_text("utf-8")):
        words = shlex.split(line, comments=True)
        words = words[: words.index(">")] if ">" in words else words
        if words and words[0] == "COMMAND":
            continue
        parse(words, complete)


def test_command_lines_are_found_and_mistakes_noticed() -> None:
    text = "```\n.venv/bin/spikex-sim run --tws 4 --out x  # why\n```\nsee `spikex-sim trace show t.npz`.\n"
    assert [line.split()[0] for line, _ in command_lines(text)] == ["run", "trace"]
    with pytest.raises(AssertionError):
        parse(["run", "--tsw", "4"], complete=True)
    with pytest.raises(AssertionError):
        parse(["replay"], complete=True)
    with pytest.raises(Exception, match="out"):
        parse(["trace", "synth"], complete=True)
