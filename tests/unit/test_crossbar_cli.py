"""Every command with a crossbar machine: a sensible result, or one line that says what to do."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, process, spikex, succeed
from graphs import network, packaged, spiking_input
from networks import conv, linear, pool, random_weights
from spikex_sim.explore.many import replay_one
from spikex_sim.explore.prefix import simulate_first
from spikex_sim.run.simulate import UNIT, check_runnable
from spikex_sim.sources.trained import TrainedNetwork, save_trained

NEURON = {"threshold": 24, "leak_shift": 5, "reset": "zero", "datapath": "int"}
LAYERS = [conv("first", (2, 9), 6, NEURON, padding=1), pool("maxpool", 9, 6), linear("last", (81, 5), NEURON)]
WEIGHTS = random_weights(LAYERS, 3)
T = 10
NONIDEAL = {"imc.arrays": "nonideal", "imc.write_sigma": 0.3, "imc.adc.bits": 4, "imc.adapt": "channel"}
NONIDEAL_SETTINGS = [f"--set={key}={value}" for key, value in NONIDEAL.items()]

pytestmark = pytest.mark.usefixtures("quiet_logger")


def spikes(seed: int, *samples: int) -> Any:
    return np.random.default_rng(seed).random((*samples, 2, 6, 6, T)) < 0.3


def trace(seed: int, *samples: int) -> sx.Trace:
    """A sample, or so many."""
    label = tuple(number % 5 for number in range(*samples)) if samples else seed % 5
    return sx.Trace.from_arrays(LAYERS, spikes(seed, *samples), weights=WEIGHTS, name=f"t{seed}", label=label)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with traces and a trained network."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(trace(0, 6), "t.npz")
    sx.save_trace(trace(1), "one.npz")
    sx.save_trace(replace(trace(1), label=None), "unlabelled.npz")
    sx.save_trace(sx.Trace.from_arrays(LAYERS[:1], spikes(1)), "unweighted.npz")
    sx.save_trace(sx.Trace.from_arrays(LAYERS[:1], spikes(1), weights=WEIGHTS[:1]), "other.npz")
    sx.save_trace(sx.Trace.from_arrays(LAYERS, spikes(1)[..., :4], weights=WEIGHTS), "short.npz")
    least = [WEIGHTS[0].copy(), None, WEIGHTS[2]]
    least[0][3, 1, 0, 2] = -128
    sx.save_trace(sx.Trace.from_arrays(LAYERS, spikes(1), weights=least), "least.npz")
    wide = [linear("wide", (20_000, 10), NEURON)]
    sx.save_trace(sx.Trace.from_arrays(wide, np.ones((20_000, 1), bool)), "wide.npz")
    weights = {0: WEIGHTS[0], 2: WEIGHTS[2]}
    layers = trace(0).layers
    save_trained(TrainedNetwork("net-base", "net", "base", T, layers, weights), "net.npz")
    return tmp_path


# --- What works --------------------------------------------------------------------------------------

WORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "run": ("run one.npz --arch spikesim", ("shares of the critical path", "Mapping", "nJ", "mm²")),
    "non-ideal": ("run t.npz --arch neuronas --set imc.arrays=nonideal", ("nonideal arrays", "changed")),
    "released": ("run one.npz --arch spikesim-released", ("released script's figures", "PEs")),
    "no weights": ("run unweighted.npz --arch spikesim", ("conversions",)),
    "event": ("run one.npz --arch spikesim --engine event", ("event engine",)),
    "fields": ("run one.npz --arch spikesim --fields name,cycles --sort -cycles --top 1", ("1 of 2 rows",)),
    "keys": ("run --arch spikesim --show-config", ("imc.adc.bits", "imc.stuck.off")),
    "compare": ("compare t.npz --arch spikesim,neuronas,spikex", ("neuronas", "ratio")),
    "components": ("compare t.npz --arch spikesim,neuronas", ("crossbar", "htree", "noc")),
    "evaluate": ("evaluate net.npz --data t.npz --arch spikesim --jobs 2", ("correct: ", "of 6")),
    "evaluate non-ideal": (
        "evaluate net.npz --data t.npz --arch spikesim --set imc.arrays=nonideal",
        ("correct on the arrays of spikesim", "in software"),
    ),
    "dynamic": ("dynamic t.npz --arch spikesim", ("threshold", "saved %")),
    "dynamic non-ideal": (
        "dynamic t.npz --arch spikesim --set imc.arrays=nonideal --set imc.calibration=t.npz", ("mean T",)
    ),
    "ann": ("ann one.npz --arch spikesim", ("SNN on spikesim", "ANN on ann")),
    "energy": ("energy show --table imc65", ("adc_flash_1", "cell.read")),
    "trace": ("trace show one.npz", ("maxpool",)),
    "presets": ("list presets", ("neuronas", "spikesim-released")),
}  # fmt: skip


@pytest.mark.parametrize("case", WORKS)
def test_it_works(here: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    line, words = WORKS[case]
    shown = succeed(capsys, *line.split()).out
    for word in words:
        assert word in shown, shown


FIRST = "imc.adc.range and imc.adapt calibrated on the first sample of the run; imc.calibration names others"


@pytest.mark.parametrize(
    "line",
    [
        "run t.npz --arch spikesim",
        "compare t.npz --arch spikesim,neuronas",
        "evaluate net.npz --data t.npz --arch spikesim",
        "dynamic t.npz --arch spikesim",
        "sweep t.npz --arch spikesim --grid imc.mapping=kernel,packed --out s",
        "imc-study t.npz --study size --out s",
    ],
)
def test_it_is_said_what_arrays_are_calibrated_on(
    here: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    def said(*more: str) -> str:
        shown = spikex(capsys, *line.split(), *NONIDEAL_SETTINGS, *more)
        assert shown.code == 0, shown.err
        return " ".join((shown.out + shown.err).split())

    assert FIRST in said()
    assert "calibrated" not in said("--set=imc.calibration=t.npz")


def test_crossbars_have_no_array_of_pes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        line.split()[0]: line.split() for line in succeed(capsys, "list", "presets").lines if line.split()
    }
    assert rows["spikesim"] == ["spikesim", "spikesim", "250"]
    assert rows["spikex"] == ["spikex", "spikex", "8x8", "500"]


def test_every_folder_of_results_is_drawn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "run", "t.npz", "--arch", "spikesim", "--out", "run", *NONIDEAL_SETTINGS)
    succeed(capsys, "run", "one.npz", "--arch", "spikesim-released", "--out", "released")
    succeed(capsys, "compare", "t.npz", "--arch", "spikesim,neuronas", "--out", "compare")
    succeed(capsys, "sweep", "t.npz", "--arch", "spikesim", "--grid", "imc.crossbar=32,64", "--jobs", "2",
            "--out", "sweep")  # fmt: skip
    succeed(capsys, "evaluate", "net.npz", "--data", "t.npz", "--arch", "spikesim", "--out", "evaluate")
    for folder in ("run", "released", "compare", "sweep", "evaluate"):
        succeed(capsys, "plot", folder, "--format", "svg")
        assert files_under(here / folder / "figures"), folder


def test_a_timeline_shows_when_layers_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "run", "one.npz", "--arch", "spikesim", "--timeline", "--out", "r")
    events = json.loads(Path("r/timeline.json").read_text())["traceEvents"]
    totals = json.loads(Path("r/results.json").read_text())["totals"]
    assert max(one["ts"] + one["dur"] for one in events if one["ph"] == "X") == totals["cycles"]


def test_a_sweep_is_the_same_in_two_processes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ("--arch", "spikesim,neuronas", "--grid", "imc.crossbar=32,64", "--set=imc.calibration=t.npz")
    for jobs in (1, 2):
        succeed(capsys, "sweep", "t.npz", *grid, *NONIDEAL_SETTINGS, "--jobs", jobs, "--out", f"s{jobs}")
    one, two = (Path(f"s{jobs}/sweep.csv").read_bytes() for jobs in (1, 2))
    assert one == two
    assert [row["imc.crossbar"] for row in csv.DictReader(one.decode().splitlines())] == ["32", "64"] * 2


def test_an_explanation_tries_keys_of_crossbars(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sx.explain(trace(1), "spikesim")
    assert all(trial.result is not None for trial in found.trials), "keys that the machine does not read"
    changed = {key for trial in found.trials for key in trial.changes}
    assert {"imc.adc.mux", "imc.adc.sharing", "imc.mapping", "dataflow"} <= changed
    narrow = sx.explain(
        trace(1), "spikesim", overrides={"imc.ports": 1, "imc.lif_units": 1, "imc.adc.mux": 1}
    )
    assert {"imc.ports": 2} in [dict(trial.changes) for trial in narrow.trials] or {"imc.lif_units": 2} in [
        dict(trial.changes) for trial in narrow.trials
    ]
    shown = succeed(capsys, "run", "one.npz", "--arch", "spikesim", "--explain").out
    assert "imc.adc.mux=4: -" in shown and "GLB/DRAM" not in shown
    shown = succeed(capsys, "run", "one.npz", "--arch", "spikesim-released", "--explain").out
    assert "No key is known to help" in shown


# --- What is refused ---------------------------------------------------------------------------------

SET = "run one.npz --arch spikesim --set"
REAL = f"{SET} imc.arrays=nonideal --set"
REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "window": ("run one.npz --arch spikesim --tws 4", ("spikesim: tws: not read by",)),
    "window of several": ("compare one.npz --arch spikex,spikesim --tws 4", ("tws: not read by",)),
    "search of windows": ("search-tws nmnist --arch spikesim --limit 1", ("spikesim: tws: not read by",)),
    "hardware model": ("hardware-model nmnist --arch spikesim --out m.json", ("tws: not read by",)),
    "an ANN": ("ann one.npz --ann spikesim", ("spikesim: activation_bits:",)),
    "transfers": ("run one.npz --arch spikesim --accesses a.csv", ("no transfers", "--timeline")),
    "transfers, released": (
        "run one.npz --arch spikesim-released --accesses a.csv", ("imc.model: released has no steps",)
    ),
    "timeline, released": (
        "run one.npz --arch spikesim-released --timeline --out r", ("imc.model: released has no steps",)
    ),
    "common key": (f"{SET} array.rows=4", ("array.rows: not read by the machine spikesim, but by",)),
    "foreign key": (
        "run one.npz --set imc.crossbar=32", ("imc.crossbar: not read by the machine spikex, but by",)
    ),
    "misspelt key": (f"{SET} imc.crosbar=32", ("imc.crosbar: unknown", "you mean imc.crossbar?")),
    "idle: ideal": (f"{SET} imc.seed=3", ("imc.seed: has no effect: imc.arrays is ideal",)),
    "idle: nothing clips": (f"{REAL} imc.adc.bits=auto --set imc.adc.clip=0.1", ("adc.clip: has no effect",)),
    "idle: a range": (f"{REAL} imc.adc.range=2 --set imc.adc.clip=0.1", ("imc.adc.clip: has no effect",)),
    "idle: nothing calibrated": (
        f"{REAL} imc.adc.range=2 --set imc.calibration=t.npz", ("imc.calibration: has no effect",)
    ),
    "idle: released": (
        "run one.npz --arch spikesim-released --set imc.ports=1",
        ("imc.ports: has no effect: imc.model is released",),
    ),
    "idle: no factor": (
        "run one.npz --arch spikesim-released --set imc.device.bits=1", ("imc.device.bits: has no effect",)
    ),
    "idle: events": (f"{SET} imc.precision_factor=true", ("imc.precision_factor: has no effect",)),
    "crossbar of 1": (f"{SET} imc.crossbar=1", ("imc.crossbar:", "2, not 1")),
    "crossbar of 100000": (f"{SET} imc.crossbar=100000", ("imc.crossbar:", "4096, not 100000")),
    "crossbar smaller than a weight": (
        f"{SET} imc.crossbar=4 --set imc.device.bits=1",
        ("spikesim: imc.crossbar: a weight of layer first takes 7 columns", "works is 7"),
    ),
    "too many tiles": (
        "run wide.npz --arch spikesim --set imc.crossbar=2 --set imc.crossbars_per_pe=1 "
        "--set imc.pes_per_tile=1",
        ("spikesim: imc.crossbar: layer wide takes 100,000 tiles; at most 65,536",),
    ),
    "equal resistances": (f"{SET} imc.device.r_off_kohm=20", ("imc.device: r_off_kohm is 20",)),
    "crossed resistances": (f"{SET} imc.device.r_on_kohm=300", ("imc.device: r_off_kohm is 200",)),
    "no cell": (f"{SET} imc.device.bits=0", ("imc.device.bits:",)),
    "fine flash": (f"{SET} imc.adc.bits=15", ("imc.adc: bits is 15; a flash converter has 1 to 14",)),
    "no bits": (f"{SET} imc.adc.bits=0", ("imc.adc: bits is 0",)),
    "coarse sar": (f"{SET} imc.adc.bits=3 --set imc.adc.kind=sar", ("imc.adc: bits is 3; a sar", "4 to 10")),
    "auto beyond flash": (
        f"{SET} imc.adc.bits=auto --set imc.crossbar=4096", ("imc.adc.bits: auto needs 20 bits",)
    ),
    "auto beyond sar": (
        f"{SET} imc.adc.bits=auto --set imc.adc.kind=sar", ("imc.adc.bits: auto needs 14 bits", "4 to 10")
    ),
    "psum": (f"{SET} psum_bits=65", ("psum_bits: must be 2 to 64, or auto, not 65",)),
    "range": (f"{REAL} imc.adc.range=33", ("imc.adc.range: must be 0 to 32, or auto",)),
    "clip": (f"{REAL} imc.adc.clip=1.5", ("imc.adc.clip:",)),
    "stuck": (f"{REAL} imc.stuck.on=-0.1", ("imc.stuck.on:",)),
    "stuck at both": (
        f"{REAL} imc.stuck.on=0.6 --set imc.stuck.off=0.6", ("imc.stuck: on and off add up to 1.2",)
    ),
    "sigma": (f"{REAL} imc.read_sigma=nan", ("imc.read_sigma:",)),
    "wild devices": (f"{REAL} imc.device.r_off_kohm=20.000001", ("imc.device: a column of layer first",)),
    "input that changes": (f"{SET} imc.direct=true", ("imc.direct: is true, but what enters layer first",)),
    "neither true nor false": (f"{SET} imc.direct=1", ("imc.direct: must be true, false or auto",)),
    "calibration: no file": (f"{REAL} imc.calibration=none.npz", ("none.npz: no such file",)),
    "calibration: another network": (
        f"{REAL} imc.calibration=other.npz", ("spikesim: imc.calibration: other.npz is of another network",)
    ),
    "calibration: another length": (
        f"{REAL} imc.calibration=short.npz", ("imc.calibration: short.npz has 4 time points",)
    ),
    "arrays without weights": (
        "run unweighted.npz --arch spikesim --set imc.arrays=nonideal", ("unweighted.npz: lacks weights",)
    ),
    "labels": ("evaluate net.npz --data unlabelled.npz --arch spikesim", ("label",)),
    "labels of dynamic": ("dynamic unlabelled.npz --arch spikesim", ("unlabelled.npz: label: is missing",)),
    "a table of another machine": (f"{SET} energy.table=.", ("lacks imc.csv",)),
    "point of a sweep": (
        "sweep one.npz --arch spikesim --grid imc.crossbar=4,64 --set imc.device.bits=1 --out s",
        ("imc.crossbar: a weight of layer first takes 7 columns",),
    ),
    "grid": ("sweep one.npz --arch spikesim --grid imc.crossbar=64,0 --out s", ("imc.crossbar:", "not 0")),
    "unknown field": ("run one.npz --arch spikesim --fields crossbars", ("--fields: 'crossbars' is no col",)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_says_what_is_wrong(here: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    line, words = REFUSED[case]
    before = files_under(here)
    is_mistake(spikex(capsys, *line.split()), *words)
    assert files_under(here) == before


@pytest.mark.parametrize("arrays", ["ideal", "nonideal"])
def test_a_weight_that_cells_cannot_hold(here: Path, capsys: pytest.CaptureFixture[str], arrays: str) -> None:
    """Two cells of four bits have room for a magnitude of 128, seven of one bit have not."""
    line = ["run", "least.npz", "--arch", "spikesim", "--set", f"imc.arrays={arrays}"]
    succeed(capsys, *line)
    line += ["--set", "imc.encoding=differential"]
    succeed(capsys, *line)
    is_mistake(
        spikex(capsys, *line, "--set", "imc.device.bits=1"),
        "spikesim: imc.encoding: layer first has a weight -128, which 7 cells of 1 bits cannot hold as",
    )


def test_sums_that_do_not_fit_are_refused_before_they_are_made(here: Path) -> None:
    layers = [conv("broad", (1, 64), 200, NEURON, padding=1)]
    few = np.zeros((1, 200, 200, 60), bool)
    few[0, 9, 9] = True
    sx.save_trace(sx.Trace.from_arrays(layers, few, weights=random_weights(layers, 0)), "broad.npz")
    line = ("run", "broad.npz", "--arch", "spikesim", "--set", "imc.direct=false")
    is_mistake(process("--max-memory-gb", "1", *line), "spikesim", "sums of layer broad", "GB")


def synapse(source: str, **keys: Any) -> dict[str, Any]:
    return {"from": source, "kind": "conv", "kernel": 1, **keys}


ODD_NODES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "groups": ([{"synapses": [synapse("in", groups=2)]}], "groups"),
    "delays": ([{"synapses": [synapse("in", delay=1)]}], "delays"),
    "several": ([{"synapses": [synapse("in"), synapse("in")]}], "several synapses"),
    "recurrent": ([{"synapses": [synapse("in"), synapse("odd", delay=1)]}], "several synapses"),
}


@pytest.mark.parametrize("case", ODD_NODES)
def test_a_node_that_crossbars_cannot_do_is_named(case: str) -> None:
    [keys], what = ODD_NODES[case]
    node = {"name": "odd", "kind": "neurons", "channels": 4, "neuron": NEURON} | keys
    made: dict[str, Any] = {"in/spikes": np.ones((2, 3, 3, T), bool)}
    for number, one in enumerate(node["synapses"]):
        channels = 4 if one["from"] == "odd" else 2
        shape = (4, channels // one.get("groups", 1), 1, 1)
        made[f"odd/synapse-{number}/weight"] = np.ones(shape, np.int8)
    found = packaged(network([spiking_input(2, 3, 3), node], T, made))
    with pytest.raises(sx.UnsupportedError, match=f"spikesim: node odd: this machine cannot do .*{what}"):
        sx.simulate(found, "spikesim")


def test_released_figures_are_of_chains() -> None:
    node = {"name": "n", "kind": "neurons", "channels": 4, "neuron": NEURON, "synapses": [synapse("in")]}
    made = {"in/spikes": np.ones((2, 3, 3, T), bool), "n/synapse-0/weight": np.ones((4, 2, 1, 1), np.int8)}
    graph = packaged(network([spiking_input(2, 3, 3), node], T, made))
    assert sx.simulate(graph, "spikesim").totals.cycles
    with pytest.raises(sx.UnsupportedError, match=r"imc\.model: model released takes chains alone"):
        sx.simulate(graph, "spikesim-released")


# --- Arrays of a run ---------------------------------------------------------------------------------


def by_sample(result: sx.RunResult) -> dict[str, Any]:
    """What is said of each sample, and the spikes that left the network."""
    assert result.outputs is not None
    return {
        one.name: (one.prediction, one.software_prediction, one.cycles, one.energy_pj, left.tobytes())
        for one, left in zip(result.samples, result.outputs, strict=True)
    }


@pytest.fixture(scope="module")
def samples() -> list[sx.Trace]:
    """Three units of samples, the last of which is not full."""
    return [trace(seed) for seed in range(2 * UNIT + 3)]


def test_order_and_processes_change_no_byte(samples: list[sx.Trace], tmp_path: Path) -> None:
    """Law 4, with all that makes arrays differ, calibrated on traces that are named."""
    sx.save_trace(trace(99, 3), tmp_path / "calibration.npz")
    arch = sx.load_accelerator(
        "spikesim", NONIDEAL | {"imc.calibration": str(tmp_path / "calibration.npz"), "imc.stuck.on": 0.02}
    )
    whole = replay_one(samples, arch)
    expected = by_sample(whole)
    assert whole.totals.changed_spikes, "arrays are to differ"
    shuffled = [samples[number] for number in np.random.default_rng(0).permutation(len(samples))]
    for jobs, order in ((2, samples), (4, shuffled), (1, shuffled)):
        found = replay_one(order, arch, jobs=jobs)
        assert by_sample(found) == expected
        for layer, same in zip(found.layers, whole.layers, strict=True):
            assert (layer.counts, layer.changed_spikes) == (same.counts, same.changed_spikes)


def test_a_run_in_processes_writes_the_same_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sx.save_trace(trace(0, 2 * UNIT + 3), "many.npz")
    line = ["run", "many.npz", "--arch", "neuronas", *NONIDEAL_SETTINGS]
    shown = [succeed(capsys, *line, "--jobs", jobs, "--out", f"r{jobs}").lines for jobs in (1, 2, 4)]
    for jobs in (2, 4):
        for name in ("layers.csv", "accesses.csv"):
            assert Path(f"r{jobs}", name).read_bytes() == Path("r1", name).read_bytes()
    assert [lines[:-1] for lines in shown[1:]] == [shown[0][:-1]] * 2  # the last one names the folder


def test_an_evaluation_is_the_same_in_processes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sx.save_trace(trace(0, 2 * UNIT + 3), "many.npz")
    line = ["evaluate", "net.npz", "--data", "many.npz", "--arch", "spikesim", *NONIDEAL_SETTINGS]
    one, *others = (succeed(capsys, *line, "--jobs", jobs).out for jobs in (1, 2, 4))
    assert "on the arrays of spikesim" in one
    assert others == [one, one]


def test_what_was_calibrated_otherwise_is_not_taken_from_a_store(
    samples: list[sx.Trace], tmp_path: Path
) -> None:
    """Neither where named traces changed, nor where the run's first sample did."""
    place, store = tmp_path / "calibration.npz", tmp_path / "kept.sqlite"
    keys = {"imc.arrays": "nonideal", "imc.adc.bits": 4, "imc.adapt": "channel"}
    named = sx.load_accelerator("spikesim", keys | {"imc.calibration": str(place)})
    found = []
    for seed in (98, 99):
        sx.save_trace(trace(seed, 2), place)
        found.append(by_sample(replay_one(samples[:3], named, resume=store)))
        assert found[-1] == by_sample(replay_one(samples[:3], named))
    assert found[0] != found[1]
    first = sx.load_accelerator("spikesim", keys)
    units = [trace(seed, UNIT + 2) for seed in (1, 2)]  # of the second one, whole units are kept
    swapped = [replay_one(order, first, resume=store) for order in (units, units[::-1])]
    assert by_sample(swapped[1]) == by_sample(replay_one(units[::-1], first))
    assert by_sample(swapped[0]) != by_sample(swapped[1])


def test_a_sweep_knows_what_its_arrays_were_calibrated_on(tmp_path: Path) -> None:
    place = tmp_path / "calibration.npz"
    keys = NONIDEAL | {"imc.calibration": str(place)}
    rows = []
    for seed in (98, 99):
        sx.save_trace(trace(seed, 2), place)
        swept = sx.sweep(trace(1), {"imc.crossbar": [64]}, arch="spikesim", overrides=keys,
                         out=tmp_path / "s")  # fmt: skip
        rows.append(next(iter(swept)))
        direct = sx.simulate(trace(1), "spikesim", overrides=keys)
        assert rows[-1]["energy_pj"] == direct.totals.energy_pj
    assert rows[0]["energy_pj"] != rows[1]["energy_pj"]


def test_first_time_points_run_on_the_arrays_of_the_whole() -> None:
    arch = sx.load_accelerator("spikesim", NONIDEAL | {"imc.read_sigma": 0.0})
    whole = trace(1)
    arrays = check_runnable([whole], arch, "fast")
    assert arrays is not None
    full, part = (simulate_first([whole], arch, points, arrays=arrays) for points in (T, 5))
    assert full.outputs is not None and part.outputs is not None
    first, all_of_it = (np.unpackbits(one.outputs, axis=-1, count=5) for one in (part, full))
    assert np.array_equal(first, all_of_it), "without noise, what comes later changes nothing before"
