"""The command line: every option of every command has an effect, and stands in its help."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command import Outcome, succeed
from spikex_sim.cli.app import command
from spikex_sim.costs.cacti import Rederived

pytestmark = pytest.mark.usefixtures("quiet_logger")


CONVERT = "trace convert rec.npz --network net.yaml --out o/x.npz"
PLAIN = "trace convert plain.npy --columns t,x,y,p --network net.yaml --out o/x.npz"
MANY = "trace convert rec --network net.yaml --out o/x"
SYNTH = "trace synth --kind bernoulli --network net.yaml --out o/x.npz"
NIR = "trace nir g.nir --input t.npz --out o/x.npz"
DIGIT = "trace synth --timesteps 9 --out o/x.npz"
GRAPH = "trace synth --kind graph --width 2 --out o/x.npz"
EVALUATE = "evaluate ht.npz --data lab.npz"
MODEL = "hardware-model net2.yaml --samples 1 --tws 2,4 --out o/m.json"
SEARCH = "search-tws ht.npz --data lab.npz --tws 1,2,4"
TINY = "--set mapping.positions=1 --set mapping.windows=1"
STUDY = "imc-study t.npz --study umem"
RTL = "rtl export t.npz --layer last --out o/x"
COST = "nas cost 111111 110021"
PAIRS = "nas table --same --out o/p.csv"
MAP = "map g.txt --objective routes --steps 3000"
LAYERS = "map two.npz --objective packets --engine anneal --steps 3000"
WAYS = "map compare g.txt --objective routes --steps 3000"
EXPLORE = "explore t.npz --space space.yaml --budget 3 --sampler random --out o"
LIMITS = ("--max-params", "--max-area-mm2", "--max-latency-ms", "--max-energy-uj", "--max-edp-js")
SEARCHED = (
    *("--data", "--out", "--arch", "--bits", "--algorithm", "--carry-score", "--budget", "--sampler"),
    *("--minimise", "--space", "--same", "--dataset", "--channels", "--timesteps", "--batch", "--repeats"),
    *("--score-channels", "--score-timesteps", "--kernel", "--constant", "--seed", "--jobs", "--scheduler"),
)
EFFECTS = {
    ("energy area", "--arch"): ("energy area", "--arch ptb"),
    ("energy area", "--tws"): ("energy area", "--tws 2,4"),
    ("energy area", "--set"): ("energy area", "--set array.rows=4"),
    ("run", "--arch"): ("run t.npz", "--arch ptb"),
    ("run", "--explain"): ("run t.npz", "--explain"),
    ("run", "--tws"): ("run t.npz", "--tws 2"),
    ("run", "--set"): ("run t.npz", "--set array.rows=4 --set array.cols=2"),
    ("run", "--mapping"): ("run two.npz --arch crossbar", "--mapping homes"),
    ("run", "--engine"): ("run t.npz", "--engine event"),
    ("run", "--out"): ("run t.npz", "--out o"),
    ("run", "--timeline"): ("run t.npz --out o", "--timeline"),
    ("run", "--accesses"): ("run t.npz", "--accesses o/a.csv"),
    ("run", "--access-levels"): ("run t.npz --accesses o/a.csv", "--access-levels dram,glb"),
    ("run", "--layers"): ("run t.npz --accesses o/a.csv", "--layers last"),
    ("run", "--sort"): ("run t.npz", "--sort -cycles"),
    ("run", "--top"): ("run t.npz", "--top 1"),
    ("run", "--fields"): ("run t.npz", "--fields cycles,mode"),
    ("run", "--show-config"): ("run t.npz", "--show-config"),
    ("compare", "--arch"): ("compare t.npz --tws 2", "--arch arch.yaml,spikex"),
    ("compare", "--tws"): ("compare t.npz --arch spikex", "--tws 2"),
    ("compare", "--set"): ("compare t.npz --tws 2", "--set array.rows=4"),
    ("compare", "--engine"): ("compare t.npz --tws 2 --out o", "--engine event"),
    ("compare", "--sort"): ("compare t.npz --tws 2", "--sort -cycles"),
    ("compare", "--top"): ("compare t.npz --tws 2", "--top 1"),
    ("compare", "--fields"): ("compare t.npz --tws 2", "--fields edp_js"),
    ("compare", "--out"): ("compare t.npz --tws 2", "--out o"),
    ("sweep", "--grid"): ("sweep t.npz --out o", "--grid tws=2,3 --grid array.rows=4,8"),
    ("sweep", "--arch"): ("sweep t.npz --out o", "--arch spikex,arch.yaml"),
    ("sweep", "--set"): ("sweep t.npz --out o", "--set array.rows=4"),
    ("sweep", "--engine"): ("sweep t.npz --out o", "--engine event"),
    ("sweep", "--spec"): ("sweep t.npz --out o", "--spec study.yaml"),
    ("sweep", "--tws"): ("sweep t.npz --out o", "--tws 7"),
    ("sweep", "--sort"): ("sweep t.npz --out o --grid tws=2,7", "--sort=-tws"),
    ("sweep", "--top"): ("sweep t.npz --out o --grid tws=2,7", "--top 1"),
    ("sweep", "--fields"): ("sweep t.npz --out o", "--fields edp_js"),
    ("sweep", "--pareto"): ("sweep t.npz --out o", "--pareto"),
    ("sweep", "--shard"): ("sweep t.npz --grid tws=2,3 --out o", "--shard 1/2"),
    ("explore", "--space"): (EXPLORE, "--space space2.yaml"),
    ("explore", "--objective"): (EXPLORE, "--objective max:utilization"),
    ("explore", "--constraint"): (EXPLORE, "--constraint energy_pj>=1"),
    ("explore", "--budget"): (EXPLORE, "--budget 4"),
    ("explore", "--sampler"): (EXPLORE.replace("3", "10"), "--sampler tpe"),
    ("explore", "--batch"): (EXPLORE.replace("random", "tpe").replace("3", "10"), "--batch 2"),
    ("explore", "--seed"): (EXPLORE, "--seed 1"),
    ("explore", "--arch"): (EXPLORE, "--arch ptb"),
    ("explore", "--set"): (EXPLORE, "--set array.cols=2"),
    ("explore", "--engine"): (EXPLORE, "--engine event"),
    ("explore", "--out"): (EXPLORE, "--out o/x"),
    ("sweep export", "--out"): ("sweep export stored", "--out o/all.csv"),
    ("sweep merge", "--out"): ("sweep merge stored --out o/x", "--out o/y"),
    ("sweep", "--out"): ("sweep t.npz", "--out o"),
    ("report", "--out"): ("report stored", "--out o/r.html"),
    ("dynamic", "--arch"): ("dynamic l.npz", "--arch ptb"),
    ("dynamic", "--thresholds"): ("dynamic l.npz", "--thresholds 0,0.95"),
    ("dynamic", "--tws"): ("dynamic l.npz", "--tws 2"),
    ("dynamic", "--set"): ("dynamic l.npz", "--set array.rows=4"),
    ("dynamic", "--engine"): ("dynamic l.npz --out o", "--engine event"),
    ("dynamic", "--out"): ("dynamic l.npz", "--out o"),
    ("dispatch", "--policies"): ("dispatch t.npz", "--policies agile,across"),
    ("dispatch", "--bound"): ("dispatch t.npz", "--bound"),
    ("dispatch", "--optimum"): (f"dispatch t.npz --policies agile --bound {TINY}", "--optimum"),
    ("dispatch", "--arch"): ("dispatch t.npz", "--arch spikex-lop"),
    ("dispatch", "--tws"): ("dispatch t.npz", "--tws 2"),
    ("dispatch", "--set"): ("dispatch t.npz", "--set array.rows=4"),
    ("dispatch", "--engine"): ("dispatch t.npz --out o", "--engine event"),
    ("dispatch", "--out"): ("dispatch t.npz", "--out o"),
    ("imc-study", "--study"): (STUDY, "--study sharing"),
    ("imc-study", "--arch"): (STUDY, "--arch neuronas"),
    ("imc-study", "--set"): (STUDY, "--set imc.ports=1"),
    ("imc-study", "--timesteps"): (
        f"{STUDY.replace('t.npz', 'lenet5-mnist')} --set imc.arrays=ideal --timesteps 3",
        "--timesteps 2",
    ),
    ("imc-study", "--out"): (STUDY, "--out o"),
    ("ann", "--arch"): ("ann t.npz", "--arch ptb"),
    ("ann", "--ann"): ("ann t.npz", "--ann mine-ann.yaml"),
    ("ann", "--timesteps"): ("ann t.npz", "--timesteps 3,5"),
    ("ann", "--tws"): ("ann t.npz", "--tws 2"),
    ("ann", "--set"): ("ann t.npz", "--set array.rows=4"),
    ("ann", "--engine"): ("ann t.npz --out o", "--engine event"),
    ("ann", "--out"): ("ann t.npz", "--out o"),
    ("evaluate", "--variant"): (EVALUATE, "evaluate has.npz --variant has --data lab.npz"),
    ("evaluate", "--data"): ("evaluate ht.npz --data l.npz", "--data lab.npz"),
    ("evaluate", "--split"): (EVALUATE, "--split train"),
    ("evaluate", "--step-ms"): (EVALUATE, "--step-ms 0.5"),
    ("evaluate", "--limit"): (f"{EVALUATE} --split all", "--limit 1"),
    ("evaluate", "--arch"): (EVALUATE, "--arch spikex,ptb"),
    ("evaluate", "--tws"): (EVALUATE, "--tws 2,5"),
    ("evaluate", "--set"): (EVALUATE, "--set array.rows=4"),
    ("evaluate", "--engine"): (f"{EVALUATE} --out o", "--engine event"),
    ("evaluate", "--out"): (EVALUATE, "--out o"),
    ("hardware-model", "--out"): (MODEL, "--out o/n.json"),
    ("hardware-model", "--arch"): (MODEL, "--arch ptb"),
    ("hardware-model", "--tws"): (MODEL, "--tws 2,3"),
    ("hardware-model", "--set"): (MODEL, "--set array.rows=2"),
    ("hardware-model", "--samples"): (MODEL, "--samples 2"),
    ("hardware-model", "--seed"): (MODEL, "--seed 1"),
    ("hardware-model", "--figure"): (MODEL, "--figure o/m.png"),
    ("search-tws", "--variant"): (SEARCH, "search-tws has.npz --variant has --data lab.npz --tws 1,2,4"),
    ("search-tws", "--data"): ("search-tws ht.npz --tws 1,2 --data l.npz", "--data lab.npz"),
    ("search-tws", "--split"): (SEARCH, "--split train"),
    ("search-tws", "--step-ms"): (SEARCH, "--step-ms 0.5"),
    ("search-tws", "--limit"): (f"{SEARCH} --split all", "--limit 1"),
    ("search-tws", "--arch"): (SEARCH, "--arch ptb"),
    ("search-tws", "--tws"): (SEARCH, "--tws 5,10"),
    ("search-tws", "--set"): (SEARCH, "--set array.rows=4"),
    ("search-tws", "--compare"): (SEARCH, "--compare 3,4"),
    ("search-tws", "--seed"): ("search-tws ht.npz --data l.npz --tws 1,2,3,5,7,9,11,13", "--seed 3"),
    ("search-tws", "--out"): (SEARCH, "--out o"),
    ("trace show", "--tws"): ("trace show t.npz", "--tws 9"),
    ("trace synth", "--kind"): (SYNTH, "--kind bursty"),
    ("trace synth", "--network"): (SYNTH, "--network net2.yaml"),
    ("trace synth", "--like"): (SYNTH, "trace synth --kind bernoulli --like like.npz --out o/x.npz"),
    ("trace synth", "--layer"): (SYNTH, "--layer two"),
    ("trace synth", "--timesteps"): (SYNTH, "--timesteps 5"),
    ("trace synth", "--step-ms"): (DIGIT, "--step-ms 3"),
    ("trace synth", "--rate"): (SYNTH, "--rate 0.3"),
    ("trace synth", "--at-most-once"): (f"{SYNTH} --rate 0.3", "--at-most-once"),
    ("trace synth", "--digit"): (DIGIT, "--digit 7"),
    ("trace synth", "--index"): (DIGIT, "--index 4"),
    ("trace synth", "--activity"): (SYNTH, "--activity 0.2"),
    ("trace synth", "--width"): (GRAPH, "--width 3"),
    ("trace synth", "--seed"): (SYNTH, "--seed 3"),
    ("trace synth", "--out"): (SYNTH, "--out o/y.h5"),
    ("trace convert", "--sample"): (CONVERT, "--sample 1"),
    ("trace convert", "--samples"): (
        CONVERT,
        "trace convert rec.npz --samples all --network net.yaml --out o/x",
    ),
    ("trace convert", "--split"): (MANY, "--split test"),
    ("trace convert", "--limit"): (MANY, "--limit 1"),
    ("trace convert", "--sensor"): (MANY, "--sensor 12x12"),
    ("trace convert", "--crop"): (CONVERT, "--crop 3x3 --pad 6x6"),
    ("trace convert", "--pad"): (CONVERT, "--pad 12x12"),
    ("trace convert", "--bin"): (CONVERT, "--bin 2"),
    ("trace convert", "--columns"): (PLAIN, "--columns t,y,x,p"),
    ("trace convert", "--time-unit"): (PLAIN, "--time-unit ms"),
    ("trace convert", "--from-first"): (f"{CONVERT} --step-ms 0.01", "--from-first"),
    ("trace convert", "--unwrap"): (PLAIN, "--unwrap 12"),
    ("trace convert", "--step-events"): (CONVERT, "--step-events 7"),
    ("trace convert", "--network"): (CONVERT, "--network net2.yaml"),
    ("trace convert", "--like"): (CONVERT, "trace convert rec.npz --like like.npz --out o/x.npz"),
    ("trace convert", "--weights"): (CONVERT, "trace convert rec.npz --weights conv.npz --out o/x.npz"),
    ("trace convert", "--timesteps"): (CONVERT, "--timesteps 5"),
    ("trace convert", "--step-ms"): (CONVERT, "--step-ms 0.5"),
    ("trace convert", "--activity"): (CONVERT, "--activity 0.2"),
    ("trace convert", "--seed"): (CONVERT, "--seed 3"),
    ("trace convert", "--int8"): (CONVERT, "trace convert f.npz --int8 --out o/x.npz"),
    ("trace convert", "--graph"): (CONVERT, "trace convert f.npz --graph --out o/x.npz"),
    ("trace convert", "--out"): (CONVERT, "--out o/y.h5"),
    ("trace nir", "--input"): (NIR, "--input s.npy"),
    ("trace nir", "--axes"): (NIR.replace("t.npz", "s.npy"), "--axes CWHT"),
    ("trace nir", "--dt"): (NIR, "--dt 5e-5"),
    ("trace nir", "--reset"): (NIR, "--reset subtract"),
    ("trace nir", "--out"): (NIR, "--out o/y.h5"),
    ("rtl export", "--layer"): (RTL, "--layer first"),
    ("rtl export", "--out"): (RTL, "--out o/y"),
    ("rtl export", "--arch"): (RTL, "--arch ptb"),
    ("rtl export", "--tws"): (RTL, "--tws 2"),
    ("rtl export", "--set"): (RTL, "--set array.rows=4"),
    ("rtl export", "--sample"): ("rtl export two.npz --layer first --out o/x", "--sample 1"),
    ("rtl export", "--positions"): (RTL, "--positions 64"),
    ("rtl export", "--window-bits"): (RTL, "--window-bits 9"),
    ("map", "--pool"): (MAP, "--pool 16x16"),
    ("map", "--objective"): (MAP, "--objective packets"),
    ("map", "--engine"): ("map few.txt --steps 1", "--engine anneal"),
    ("map", "--steps"): (MAP, "--steps 10"),
    ("map", "--restarts"): (MAP, "--restarts 1"),
    ("map", "--solver-time"): ("map g.txt --engine lns --out o --solver-time 0.02", "--solver-time 0.2"),
    ("map", "--time-limit"): (MAP, "--time-limit 1e-9"),
    ("map", "--seed"): (MAP, "--seed 9"),
    ("map", "--freeze"): (MAP, "--freeze types"),
    ("map", "--area-budget"): (MAP, "--area-budget none"),
    ("map", "--pareto"): (MAP, "--pareto auto"),
    ("map", "--mesh"): (MAP, "--mesh auto"),
    ("map", "--profile"): (LAYERS, "--profile two.npz"),
    ("map", "--profile-share"): (f"{LAYERS} --profile two.npz", "--profile-share 1"),
    ("map", "--inputs"): (MAP, "--inputs external"),
    ("map", "--keep-zeros"): (MAP, "--keep-zeros"),
    ("map", "--out"): (MAP, "--out o"),
    ("map compare", "--pool"): (WAYS, "--pool table2x8"),
    ("map compare", "--objective"): (WAYS, "--objective area"),
    ("map compare", "--methods"): (WAYS, "--methods anneal"),
    ("map compare", "--steps"): (WAYS, "--steps 10"),
    ("map compare", "--restarts"): (WAYS.replace("3000", "300"), "--restarts 1"),
    ("map compare", "--seed"): (WAYS.replace("3000", "300"), "--seed 9"),
    ("map compare", "--mesh"): (WAYS, "--mesh auto"),
    ("map compare", "--inputs"): (WAYS, "--inputs external"),
    ("map compare", "--keep-zeros"): (WAYS, "--keep-zeros"),
    ("map compare", "--out"): (WAYS, "--out o"),
    ("map show", "--all"): ("map show mapped", "--all"),
    ("nas cost", "--space"): (COST, "--space snasnet"),
    ("nas cost", "--arch"): (COST, "--arch script.yaml"),
    ("nas cost", "--bits"): (COST, "--bits 4"),
    ("nas cost", "--dataset"): (COST, "--dataset cifar100"),
    ("nas cost", "--channels"): (COST, "--channels 64"),
    ("nas cost", "--timesteps"): (COST, "--timesteps 4"),
    ("nas cost", "--json"): (COST, "--json"),
    **{("nas cost", option): (COST, f"{option} 1") for option in LIMITS},
    ("nas table", "--out"): (PAIRS, "--out o/q.csv"),
    ("nas table", "--space"): (PAIRS, "--space snasnet"),
    ("nas table", "--arch"): (PAIRS, "--arch script.yaml"),
    ("nas table", "--bits"): (PAIRS, "--bits 4"),
    ("nas table", "--channels"): (PAIRS, "--channels 64"),
    ("nas table", "--timesteps"): (PAIRS, "--timesteps 4"),
    **{("nas table", option): (PAIRS, f"{option} 1") for option in LIMITS},
    ("energy show", "--table"): ("energy show", "--table table"),
    ("energy show", "--device"): ("energy show", "--device lop"),
    ("energy show", "--width"): ("energy show", "--width 512"),
    ("energy show", "--sources"): ("energy show", "--sources"),
    ("energy check", "--cacti"): ("energy check --capacity 64 --cacti a", "--cacti b"),
    ("energy check", "--table"): ("energy check --capacity 64 --cacti a", "--table table"),
    ("energy check", "--device"): ("energy check --capacity 64 --cacti a", "--device lop"),
    ("energy check", "--capacity"): ("energy check --cacti a", "--capacity 2048"),
}


# What changes how a sweep is run and not its outcome, or needs what is not installed everywhere.
ELSEWHERE = {
    ("trace convert", "--at-most-once"),
    ("search-tws", "--engine"),
    # tests/unit/test_mapping_compare.py
    *(("map compare", option) for option in ("--layers", "--split", "--profile", "--profile-share")),
    ("map", "--layers"),  # tests/unit/test_mapping_layers.py
    ("doctor", "--json"),  # tests/unit/test_doctor.py
    ("nas table", "--same"),  # tests/unit/test_nas_costs.py
    *(("nas", option) for option in (*LIMITS, *SEARCHED)),  # tests/unit/test_nas_commands.py
    ("map", "--split"),  # tests/unit/test_mapping_split.py
    *(("map verify", option) for option in ("--inputs", "--keep-zeros", "--layers")),
    *(
        ("trace record", option)
        for option in (
            "--call",
            "--skip",
            "--nearest",
            "--closed-loop",
            "--int8",
            "--out",
            "--axes",
            "--timesteps",
            "--input-bits",
        )
    ),
    *((name, "--jobs") for name in ("run", "compare", "sweep", "evaluate", "search-tws", "map")),
    ("map compare", "--jobs"),
    *(
        (name, "--safe-csv")
        for name in ("run", "compare", "sweep", "sweep export", "sweep merge", "dynamic", "ann", "dispatch")
    ),
    *(("imc-study", option) for option in ("--engine", "--jobs", "--safe-csv")),
    ("sweep", "--scheduler"),
    # tests/unit/test_explore_run.py, test_explore_cluster.py
    *(("explore", option) for option in ("--jobs", "--scheduler", "--safe-csv")),
    ("sweep", "--parquet"),
    *(("reproduce", option) for option in ("--format", "--columns", "--jobs", "--out")),
    *(("reproduce", option) for option in ("--weights", "--data", "--samples", "--log")),
    *(("plot", option) for option in ("--figure", "--format", "--columns", "--tws", "--out")),
    *(
        ("train", option)
        for option in (
            "--out",
            "--data",
            "--ht",
            "--has",
            "--tws",
            "--hardware",
            "--init",
            "--epochs",
            "--pretrain",
            "--warmup",
            "--batch",
            "--rate",
            "--cutoff",
            "--leak-shift",
            "--timesteps",
            "--step-ms",
            "--samples",
            "--save-data",
            "--plain",
            "--mirror",
            "--network",
            "--bits",
            "--width",
            "--pool",
            "--tolerance",
            "--seed",
            "--checkpoint",
        )
    ),  # tests/unit/test_training_options.py
}


def _commands() -> dict[str, Any]:
    root = command()
    found = {}
    for name, item in root.commands.items():
        inner = getattr(item, "commands", {"": item})
        found |= {f"{name} {sub}".strip(): one for sub, one in inner.items()}
    return found


def test_every_option_of_every_command_is_tried() -> None:
    there = {
        (name, option.opts[0])
        for name, one in _commands().items()
        for option in one.params
        if option.param_type_name == "option" and "--help" not in option.opts
    }
    assert there == set(EFFECTS) | ELSEWHERE


def _result_of(capsys: pytest.CaptureFixture[str], line: str) -> tuple[Outcome, dict[str, bytes]]:
    out = Path("o")
    out.mkdir()
    outcome = succeed(capsys, *shlex.split(line))
    if line.startswith("map "):  # stages say how long they took
        outcome = replace(outcome, out=re.sub(r"(?m) +\d+\.\d+ *$", "", outcome.out))
    if line.startswith("nas table"):
        outcome = replace(outcome, out=re.sub(r"in \d+\.\d+ s", "", outcome.out))
    files = {}
    for path in out.rglob("*.*"):
        if path.suffix not in (".sqlite", ".json"):
            files[str(path)] = path.read_bytes()
        elif path.suffix == ".json":
            changing = rb'"timestamp": "[^"]*"|"seconds": [^,]*'
            files[str(path)] = re.sub(changing, b"", path.read_bytes())
    return outcome, files


def _instead(line: str, added: str) -> str:
    """Line with an option added, in place of the same one."""
    words, option = line.split(), added.split(maxsplit=1)[0]
    if option in words and option != "--grid":
        at = words.index(option)
        words[at : at + 2] = []
    return f"{' '.join(words)} {added}"


@pytest.mark.parametrize(("name", "option"), EFFECTS)
def test_every_option_has_an_effect(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    def rederive(rows: Any, cacti: Path, progress: Any) -> list[Rederived]:
        wrong = 1.001 if cacti.name == "b" else 1.0
        off = wrong - 1
        return [
            Rederived(row, wrong * row.read_pj, row.write_pj, row.leakage_mw, row.area_mm2, off)
            for row in rows
        ]

    monkeypatch.setattr("spikex_sim.costs.cacti.rederive", rederive)
    without, added = EFFECTS[name, option]
    before = _result_of(capsys, without)
    Path("o").rename("before")
    after = _result_of(capsys, added if added.startswith(name) else _instead(without, added))
    assert before != after


@pytest.mark.parametrize("name", ["", "trace", "energy", *_commands()])
def test_help_lists_every_option_and_has_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    shown = succeed(capsys, *name.split(), "-h")
    assert shown == succeed(capsys, *name.split(), "--help")
    assert max(len(line) for line in shown.lines) <= 80
    for owner, option in EFFECTS:
        if owner == name:
            assert option in shown.out
    if name not in _commands():
        return
    example = re.search(r"Example: spikex-sim (.*?)\n\n", shown.out, re.DOTALL)
    assert example, shown.out
    words = shlex.split(" ".join(example[1].split()))
    assert " ".join(words).startswith(name)
    assert len(words) > len(name.split()) or name == "doctor"  # which takes nothing
    one = _commands()[name]
    assert one.make_context(name, words[len(name.split()) :])  # it can be typed like this
