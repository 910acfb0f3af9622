"""A machine reads every key that it accepts, and refuses those of other machines."""

from __future__ import annotations

import csv
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, spikex
from mapped_runs import saved_mapping
from networks import conv, linear, random_weights, trace_of
from spikex_sim.core.registry import plugin, plugin_names
from spikex_sim.costs import table
from spikex_sim.mapped.unroll import unrolled
from spikex_sim.run.replay import LayerRunner
from spikex_sim.spec import load
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import describe_keys, options_of, preset_names

T = 12
NEURON = {"threshold": 24, "leak_shift": 5, "reset": "zero", "datapath": "int"}
POOL = {"name": "pool", "kind": "maxpool", "in_channels": 6, "out_channels": 6, "kernel": 2, "stride": 2,
        "in_height": 6, "in_width": 6}  # fmt: skip
NETWORKS = {
    "conv": [conv("first", (2, 12), 7, NEURON, padding=1), conv("second", (12, 5), 7, NEURON)],
    "linear": [linear("first", (70, 40), NEURON), linear("second", (40, 9), NEURON)],
}
CHIP = "pooled"
"""Kind of network that only a crossbar machine is asked about: pooling, and an input that stays the same."""
GRAPH = "graph"
"""Kind of network that has numbers as inputs, joins and currents."""
NAMING = ("name", "scheduler")
"""Keys that say what a machine is called and which one it is."""
OTHER_TABLE = "table"
"""Folder of an energy table."""

TIGHT = {"energy.table": "default", "memory.dram.kind": "LPDDR4", "memory.glb.separate": None,
         "memory.lbuf.bytes": 512, "memory.glb.bytes": 2048, "memory.glb.array_port_bits": 64,
         "memory.lbuf.port_bits": 64}  # fmt: skip
"""Buffers that do not hold a layer."""
SEPARATE = {"ifmap": 4096, "filter": 8192, "ofmap": 4096}
STATE = TIGHT | {"dataflow": "ws", "activation_bits": 1, "array.rows": 4, "memory.glb.bytes": 16384}
"""A dense array with potentials and partial sums to keep."""
OVERLAP = {"dispatch": "overlap"}
"""A policy that compares."""

EFFECTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "clock_mhz": ((250.0,), {}),
    "potential_bits": ((6,), {"activation_bits": 1}),
    "psum_bits": ((19,), {}),
    "psum_overflow": (("wrap", "refuse"), {"activation_bits": 1, "psum_bits": 9}),
    "weight_bits": ((7,), {}),
    "direct_encoding": (("recompute",), {"activation_bits": 1}),
    "join": (("read",), {"activation_bits": 1}),
    "clock_gating": (("none", "busy"), {"energy.table": "default"}),
    "overheads": (("hardware",), {"energy.table": "default"}),
    "currents.tags": (("issued",), {}),
    "array.rows": ((3,), {}),
    "array.cols": ((3,), {}),
    "mapping.tile": (("layer",), TIGHT),
    "mapping.positions": ((1,), TIGHT),
    "mapping.windows": ((1,), TIGHT | {"activation_bits": 1}),
    "memory.dram.bandwidth_gb_s": ((0.5,), {}),
    "memory.dram.latency_cycles": ((40,), {}),
    "memory.dram.kind": (("HBM2",), TIGHT),
    "memory.dram.weights": (("stream", "resident"), {}),
    "memory.dram.samples": ((3,), {"memory.dram.weights": "amortised"}),
    "memory.glb.bytes": ((8192,), TIGHT),
    "memory.glb.dram_port_bits": ((8,), {}),
    "memory.glb.array_port_bits": ((32,), TIGHT),
    "memory.glb.latency_cycles": ((3000,), {}),
    "memory.glb.partition.ifmap": ((0.07,), TIGHT),
    "memory.glb.partition.filter": ((0.2, 0.13), TIGHT),
    "memory.glb.partition.ofmap": ((0.003,), {"memory.glb.keep_ofmap": True}),
    "memory.glb.partition.psum": ((0.01, 0.05), STATE),
    "memory.glb.keep_ofmap": ((True, False), {}),
    "memory.glb.separate": (
        (SEPARATE,),
        TIGHT | {"memory.glb.bytes": 16384},
    ),
    "memory.lbuf.bytes": ((1024,), TIGHT),
    "memory.lbuf.port_bits": ((32,), TIGHT),
    "memory.lbuf.latency_cycles": ((3000,), TIGHT),
    "memory.lbuf.partition.ifmap": ((0.02,), TIGHT | {"dataflow": "os"}),
    "memory.lbuf.partition.filter": ((0.1,), TIGHT | {"memory.lbuf.bytes": 1024}),
    "memory.lbuf.partition.ofmap": ((0.01,), TIGHT),
    "memory.lbuf.partition.psum": ((0.02,), STATE),
    "memory.rf.bytes": ((64,), TIGHT),
    "energy.table": ((OTHER_TABLE,), TIGHT),
    "energy.device": (("hp", "lop"), TIGHT),
    "dispatch": (("temporal", "spatial"), {}),
    "dispatch_candidates": ((3,), OVERLAP),
    "dispatch_credit": ((0.9, 0.4), OVERLAP),
    "dispatch_batches": ((1, 2), {"dispatch": "lookahead"}),
    "dispatch_sort": (("hash",), {"dispatch": "sorted"}),
    "dispatch_cycles": (("charged",), OVERLAP),
    "tws": ((3,), {}),
    "tws_objective": (("energy", "latency"), {"tws": "auto"}),
    "tws_scope": (("network", "layer"), {"tws": "auto", "tws_objective": "latency"}),
    "tailored": ((True,), {}),
    "memory.zero_tags": (("unit", "move"), {}),
    "memory.lbuf.access_bits": ((128, 32), TIGHT),
    "stream": (("all", "tap"), {}),
    "stsap": ((True, False), {}),
    "dataflow": (("ws", "os"), {}),
    "activation_bits": ((4,), {}),
    "zero_gating": ((True, False), {}),
    "lif_sharing": ((4,), {}),
    "cycles_model": (("published",), {}),
    "accumulators_per_pe": ((2,), {}),
    "update_cycles": ((5,), {}),
    "skew": (("batch", "none"), {}),
    "leak_catchup_cycles": ((3, 0), {}),
}
"""Values of a key of which one changes a result, and what else that takes on machines that have it."""
EVENTS = {"imc.model": "events"}
REAL = EVENTS | {"imc.arrays": "nonideal"}
RELEASED = {"imc.model": "released"}
OTHER_SAMPLE = "sample"
"""Trace file of another sample."""
OTHER_MAPPING = "mapping"
"""Every neuron in a crossbar of its own."""
CHIP_EFFECTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "clock_mhz": ((100.0,), {}),
    "potential_bits": ((6,), EVENTS),
    "psum_bits": ((19,), EVENTS),
    "weight_bits": ((7,), EVENTS | {"imc.device.bits": 3}),
    "energy.table": ((OTHER_TABLE,), EVENTS),
    "dataflow": (("tick_batch",), EVENTS),
    "lif_sharing": ((4,), EVENTS),
    "imc.model": (("released", "events"), {}),
    "imc.event_driven": ((False,), EVENTS),
    "imc.crossbar": ((16,), {}),
    "imc.crossbars_per_pe": ((2,), EVENTS),
    "imc.pes_per_tile": ((1,), EVENTS | {"imc.crossbar": 16}),
    "imc.mapping": (("packed",), EVENTS),
    "imc.encoding": (("offset",), EVENTS),
    "imc.complement": ((True,), EVENTS),
    "imc.sign_plane": (("charged",), EVENTS),
    "imc.overhead_cycles": ((9,), EVENTS),
    "imc.phase_cycles": ((9,), EVENTS),
    "imc.silent_cycles": ((9,), EVENTS),
    "imc.ports": ((1,), EVENTS),
    "imc.lif_units": ((1,), EVENTS),
    "imc.umem": (("fefet",), EVENTS),
    "imc.direct": ((False,), EVENTS),
    "imc.device.bits": ((2,), EVENTS),
    "imc.device.r_on_kohm": ((50.0,), EVENTS),
    "imc.device.r_off_kohm": ((900.0,), EVENTS),
    "imc.device.v_read": ((0.05,), EVENTS),
    "imc.device.kind": (("sram",), RELEASED),
    "imc.adc.bits": ((6,), EVENTS),
    "imc.adc.kind": (("sar",), EVENTS),
    "imc.adc.sharing": (("crossbar", "pe"), EVENTS),
    "imc.adc.mux": ((1,), EVENTS),
    "imc.adc.range": ((3,), REAL),
    "imc.adc.clip": ((0.9,), REAL),
    "imc.arrays": (("nonideal",), EVENTS),
    "imc.r_par_ohm": ((90.0,), REAL),
    "imc.read_sigma": ((0.5,), REAL),
    "imc.write_sigma": ((0.5,), REAL),
    "imc.drift.nu": ((0.5,), REAL | {"imc.drift.nu": 0.1, "imc.drift.seconds": 100.0}),
    "imc.drift.seconds": ((100.0,), REAL | {"imc.drift.nu": 0.5}),
    "imc.drift.t0_seconds": ((0.01,), REAL | {"imc.drift.nu": 0.5}),
    "imc.stuck.on": ((0.3,), REAL),
    "imc.stuck.off": ((0.3,), REAL),
    "imc.goff": (("none",), REAL),
    "imc.adapt": (("channel",), REAL),
    "imc.calibration": ((OTHER_SAMPLE,), REAL | {"imc.adapt": "channel", "imc.read_sigma": 0.5}),
    "imc.seed": ((7,), REAL | {"imc.read_sigma": 0.5}),
    "imc.buffers.gb": ((0,), EVENTS),
    "imc.buffers.tb": ((0,), EVENTS),
    "imc.buffers.pb": ((0,), EVENTS),
    "imc.buffers.tib": ((64, 0), EVENTS),
    "imc.buffers.pib": ((64,), EVENTS),
    "imc.released_dims": (("conv",), RELEASED),
    "imc.precision_factor": ((True,), RELEASED),
}
"""The same of crossbar machines."""
MAPPED_EFFECTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "clock_mhz": ((100.0,), {}),
    "potential_bits": ((6,), {}),
    "psum_bits": ((19,), {}),
    "weight_bits": ((7,), {"imc.device.bits": 3}),
    "energy.table": ((OTHER_TABLE,), {}),
    "crossbar_mapping": ((OTHER_MAPPING,), {}),
    "crossbar_pool": (("table2",), {}),
    "multicast": ((True,), {"crossbar_pool": "table2"}),
    "imc.event_driven": ((False,), {"crossbar_mapping": OTHER_MAPPING}),
    **{
        f"imc.{key}": (CHIP_EFFECTS[f"imc.{key}"][0], {})
        for key in ("encoding", "overhead_cycles", "phase_cycles", "lif_units", "umem",
                    "device.bits", "device.r_on_kohm", "device.r_off_kohm", "device.v_read",
                    "adc.bits", "adc.kind", "adc.mux")
    },
}  # fmt: skip
"""The same of crossbars of a mapping."""


def machine_of(preset: str) -> str:
    return sx.load_accelerator(preset).scheduler


def effects_of(preset: str, key: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Values of a machine's key, and what else it takes."""
    table = {"spikesim": CHIP_EFFECTS, "crossbar": MAPPED_EFFECTS}.get(machine_of(preset), EFFECTS)
    assert key in table, f"say in EFFECTS which value of {key} changes a result"
    return table[key]


def keys_of(accelerator: Accelerator) -> dict[str, Any]:
    return {key: value for key, _, value in describe_keys(accelerator)}


def own_keys() -> list[Any]:
    """Every preset with every key of its machine."""
    return [
        pytest.param(preset, key, id=f"{preset}-{key}")
        for preset in preset_names()
        for key in keys_of(sx.load_accelerator(preset))
        if key not in NAMING
    ]


def foreign_keys() -> list[Any]:
    """Every preset with every key that another machine has, and a value."""
    machines = {name: keys_of(options_of(name)()) for name in plugin_names("accelerators")}
    everything = {key: value for keys in machines.values() for key, value in keys.items()}
    return [
        pytest.param(preset, key, value, id=f"{preset}-{key}")
        for preset in preset_names()
        for key, value in everything.items()
        if key not in keys_of(sx.load_accelerator(preset))
    ]


def readers_of(key: str) -> list[str]:
    """Machines that read a key, those of other packages too."""
    return [name for name in plugin_names("accelerators") if key in keys_of(options_of(name)())]


def graph() -> sx.GraphTrace:
    """A constant image, neurons that take it, joined with themselves, and currents that drive neurons."""
    rng = np.random.default_rng(5)
    image = {"name": "image", "kind": "input", "shape": [2, 7, 7], "values": {"constant": True}}
    synapses = [{"from": "image", "kind": "conv", "kernel": 3, "padding": 1, "shift": 4}]
    stem = {"name": "stem", "kind": "neurons", "channels": 12, "synapses": synapses, "neuron": NEURON}
    both = {"name": "both", "kind": "join", "how": "or", "from": ["stem", "stem"]}
    summed = {"name": "sum", "kind": "currents", "channels": 5,
              "synapses": [{"from": "both", "kind": "linear"}]}  # fmt: skip
    last = {"name": "last", "kind": "neurons", "channels": 5, "neuron": NEURON,
            "synapses": [{"from": "sum", "kind": "identity"}]}  # fmt: skip
    return sx.GraphTrace.from_arrays(
        {"timesteps": T, "nodes": [image, stem, both, summed, last]},
        {
            "image/values": rng.integers(-99, 99, (2, 7, 7), dtype=np.int32),
            "stem/synapse-0/weight": rng.integers(-60, 60, (12, 2, 3, 3), dtype=np.int8),
            "sum/synapse-0/weight": rng.integers(-60, 60, (5, 12 * 49), dtype=np.int8),
        },
    )


@lru_cache
def traces(kind: str) -> tuple[sx.Trace | sx.GraphTrace, ...]:
    """Two layers and sparse spikes; and the first of them, of whose inputs each spikes once at most."""
    if kind == GRAPH:
        return (graph(),)
    if kind == CHIP:
        layers = [conv("first", (2, 6), 6, NEURON, padding=1), POOL, linear("last", (54, 9), NEURON)]
        weights = [
            weight if weight is None else np.clip(weight, -60, 60) for weight in random_weights(layers, 4)
        ]
        image = np.random.default_rng(6).random((2, 6, 6, 1)) < 0.1
        return (trace_of(layers, np.repeat(image, T, axis=-1), weights),)
    layers = NETWORKS[kind]
    spikes = np.random.default_rng(5).random((2, 7, 7, T) if kind == "conv" else (70, T)) < 0.12
    once = spikes & (np.cumsum(spikes, axis=-1) == 1)
    weights = [np.clip(weight, -60, 60) for weight in random_weights(layers, 3) if weight is not None]
    return trace_of(layers, spikes, weights), trace_of(layers[:1], once, weights[:1])


_RESULTS: dict[str, Any] = {}


def result(preset: str, kind: str, keys: dict[str, Any]) -> Any:
    """What runs of both traces find, as far as the machine takes them; None where a size is too small."""
    name = repr((preset, kind, sorted(keys.items())))
    if name not in _RESULTS:
        _RESULTS[name] = _run(preset, kind, keys)
    return _RESULTS[name]


NO_ROOM = ("too small", "needs an LBUF", "do not hold the currents")
"""Words of errors about a size with which there is nothing to compare."""
REFUSED = "sums may exceed their registers"
"""What comes of a run of which a key says that it is not to be made."""


def _run(preset: str, kind: str, keys: dict[str, Any]) -> Any:
    found = []
    for trace in traces(kind):
        try:
            data = sx.simulate(trace, preset, overrides=keys).to_dict()
        except sx.UnsupportedError:
            continue
        except sx.ConfigError as exc:
            if "may not hold the sums" in str(exc):
                return REFUSED
            if not any(one in str(exc) for one in NO_ROOM):
                raise
            return None
        found.append([data["layers"], data["totals"]])
    assert found or kind == GRAPH
    return found or None


@pytest.fixture(scope="module")
def other_table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default energy table with dearer DRAM."""
    folder = tmp_path_factory.mktemp("energy") / OTHER_TABLE
    shutil.copytree(Path(table.__file__).parent / "tables", folder)
    rows = list(csv.DictReader((folder / "dram.csv").read_text("utf-8").splitlines()))
    with (folder / "dram.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"energy_pj": 2 * float(row["energy_pj"])} for row in rows)
    rows = list(csv.DictReader((folder / "imc65" / "imc.csv").read_text("utf-8").splitlines()))
    with (folder / "imc.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(
            row | {"energy_pj": row["energy_pj"] and 2 * float(row["energy_pj"])} for row in rows
        )
    return str(folder)


@pytest.fixture(scope="module")
def other_sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sample that arrays can be calibrated on."""
    (trace,) = traces(CHIP)
    assert isinstance(trace, sx.Trace)
    path = tmp_path_factory.mktemp("calibration") / "other.npz"
    spikes = np.random.default_rng(9).random((2, 6, 6, T)) < 0.6
    sx.save_trace(trace.with_input(spikes, "other", "drawn"), path)
    return str(path)


@pytest.fixture(scope="module")
def other_mapping(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A mapping of the network that crossbar machines are asked about."""
    network = unrolled(traces(CHIP)[0])
    path = tmp_path_factory.mktemp("mapping") / "mapping.json"
    path.write_text(saved_mapping(network, list(range(network.graph.neurons))).text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("preset", "key"), own_keys())
def test_every_key_has_an_effect(
    preset: str, key: str, other_table: str, other_sample: str, other_mapping: str
) -> None:
    values, companions = effects_of(preset, key)
    files = {OTHER_TABLE: other_table, OTHER_SAMPLE: other_sample, OTHER_MAPPING: other_mapping}
    kinds = (CHIP,) if machine_of(preset) in ("spikesim", "crossbar") else (*NETWORKS, GRAPH)
    known = keys_of(sx.load_accelerator(preset))

    def given(value: Any) -> Any:
        return files[value] if value in tuple(files) else value

    before = {name: given(value) for name, value in companions.items() if name in known}
    for value in values:
        after = before | {key: given(value)}
        for kind in kinds:
            one, other = result(preset, kind, before), result(preset, kind, after)
            if one is not None and other is not None and one != other:
                return
    pytest.fail(f"{preset}: {key} changes nothing")


def test_every_key_of_the_table_is_one_of_a_machine() -> None:
    known = {key for name in plugin_names("accelerators") for key in keys_of(options_of(name)())}
    assert set(EFFECTS) | set(CHIP_EFFECTS) | set(MAPPED_EFFECTS) | set(NAMING) <= known


# --- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "key", "value"), foreign_keys())
def test_keys_of_other_machines_are_refused(preset: str, key: str, value: Any) -> None:
    machine = sx.load_accelerator(preset).scheduler
    readers = readers_of(key)
    assert readers and machine not in readers
    with pytest.raises(sx.ConfigError) as refused:
        sx.load_accelerator(preset, {key: value})
    wanted = f"preset {preset}: {key}: not read by the machine {machine}, but by {', '.join(readers)}"
    assert str(refused.value) == wanted


WAYS = {
    "a setting": (["run", "--arch", "sata", "--set", "tws=4"], "preset sata"),
    "a setting that is only shown": (["run", "--arch", "sata", "--set", "tws=4", "--show-config"], "sata"),
    "--tws": (["run", "--arch", "sata", "--tws", "auto"], "preset sata"),
    "--tws of several": (["compare", "--arch", "spikex,sata", "--tws", "4"], "preset sata"),
    "a setting of several": (["compare", "--arch", "spikex,sata", "--set", "tws=4"], "preset sata"),
    "a grid": (["sweep", "--arch", "sata", "--grid", "tws=2,4"], "preset sata"),
    "a grid of several": (["sweep", "--arch", "spikex,sata", "--grid", "tws=2,4"], "preset sata"),
    "a setting of a sweep": (["sweep", "--arch", "sata", "--set", "tws=4", "--grid", "psum_bits=16,20"], ""),
    "a file": (["run", "--arch", "mine.yaml"], "mine.yaml"),
    "a file and its base": (["compare", "--arch", "ptb,below.yaml"], "below.yaml"),
    "another machine's base": (["run", "--arch", "from-ptb.yaml"], "from-ptb.yaml"),
    "another scheduler": (["run", "--arch", "ptb", "--set", "scheduler=sata"], "preset ptb"),
    "trained samples": (["evaluate", "nmnist", "--arch", "spikex,sata", "--tws", "4"], "preset sata"),
    "a search": (["search-tws", "nmnist", "--arch", "sata", "--limit", "1"], "sata"),
    "a hardware model": (["hardware-model", "nmnist", "--arch", "sata", "--out", "model.json"], "sata"),
    "samples that stop": (["dynamic", "--arch", "sata", "--tws", "2"], "sata"),
    "an SNN": (["ann", "--arch", "sata", "--tws", "2"], "sata"),
}


@pytest.mark.parametrize("way", WAYS)
def test_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("base: sata\ntws: 4\n")
    Path("below.yaml").write_text("base: mine.yaml\nname: below\n")
    Path("from-ptb.yaml").write_text("base: ptb\nscheduler: sata\n")
    monkeypatch.setattr(LayerRunner, "run_layer", lambda *_: pytest.fail("a layer was run"))
    arguments, where = WAYS[way]
    inherited = " (inherited)" if "ptb" in where or where == "below.yaml" else ""
    readers = ", ".join(readers_of("tws"))
    message = is_mistake(
        spikex(capsys, *arguments),
        f"{where}: tws: not read by the machine sata, but by {readers}{inherited}",
    )
    assert bool(inherited) == message.endswith("(inherited)")


def test_refused_in_python() -> None:
    readers = ", ".join(readers_of("tws"))
    for run in (
        lambda: sx.simulate(traces("conv")[0], "sata", tws=4),
        lambda: sx.simulate(traces("conv")[0], "sata", overrides={"tws": 4}),
        lambda: sx.sweep(traces("conv")[0], {"tws": [2]}, arch=["spikex", "sata"]),
        lambda: sx.load_accelerator(sx.load_accelerator("sata"), {"tws": 4}),
        lambda: sx.load_accelerator(sx.load_accelerator("spikex", {"tws": 2}), {"scheduler": "sata"}),
    ):
        with pytest.raises(sx.ConfigError, match=f"tws: not read by the machine sata, but by {readers}"):
            run()


def test_a_section_is_refused_by_its_key() -> None:
    with pytest.raises(sx.ConfigError, match=r"mapping\.positions: not read by the machine sata, but by"):
        sx.load_accelerator("sata", {"mapping": {"positions": 3}})


def test_a_key_of_nobody_is_not_said_to_be_of_another_machine() -> None:
    with pytest.raises(sx.ConfigError, match=r"preset sata: twss: unknown configuration key$"):
        sx.load_accelerator("sata", {"twss": 3})


# --- Keys that others make idle ----------------------------------------------------------------------

IDLE: tuple[dict[str, Any], ...] = (
    {},
    {"mapping.tile": "layer"},
    {"memory.dram.weights": "resident"},
    {"memory.lbuf.bytes": 0},
    EFFECTS["memory.glb.separate"][1] | {"memory.glb.separate": SEPARATE},
    {"cycles_model": "published"},
    {"cycles_model": "published"} | TIGHT,
    {"dataflow": "is"},
    {"dataflow": "tick_batch"},
    {"activation_bits": 4, "dataflow": "os"},
    {"imc.arrays": "nonideal", "imc.adc.bits": "auto"},
    {"imc.arrays": "nonideal", "imc.adc.range": 1},
    {"imc.encoding": "offset"},
    {"imc.model": "released"},
    {"imc.model": "events"},
    {"dispatch": "overlap"},
    {"dispatch": "lookahead"},
    {"dispatch": "sorted"},
)
"""Changes that leave other keys without effect."""


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=() if name == machine_of(name) or name.endswith("-os") else pytest.mark.slow)
        for name in preset_names()
    ],
)
def test_what_has_no_effect_is_refused(
    preset: str, other_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And would not have had one."""
    known, usual = keys_of(sx.load_accelerator(preset)), keys_of(type(sx.load_accelerator(preset))())
    kinds = (CHIP,) if "imc.model" in known else (*NETWORKS, GRAPH)
    for change in IDLE:
        keys = {key: value for key, value in change.items() if key in known}
        try:
            idle = list(sx.load_accelerator(preset, keys).without_effect())
        except sx.ConfigError:  # a value that this machine's key does not have
            continue
        reasons: dict[str, list[str]] = {}
        for section, reason in idle:
            for key in (key for key in known if key == section or key.startswith(f"{section}.")):
                reasons.setdefault(key, []).append(f"preset {preset}: {key}: has no effect: {reason}")
        for key, messages in reasons.items():
            value = next(one for one in effects_of(preset, key)[0] if one != usual[key])
            changed = keys | {key: other_table if value == OTHER_TABLE else value}
            with pytest.raises(sx.ConfigError) as refused:
                sx.load_accelerator(preset, changed)
            assert str(refused.value) in messages
            with monkeypatch.context() as unchecked:
                unchecked.setattr(load, "_check_effects", lambda *_: None)
                for kind in kinds:
                    assert result(preset, kind, changed) == result(preset, kind, keys), key
            load._built_before.cache_clear()  # of what was not checked


def test_an_inherited_key_may_be_idle(tmp_path: Path) -> None:
    """Who changes the one does not have to take the other back."""
    assert sx.load_accelerator("spinalflow", {"memory.lbuf.bytes": 0}).memory.lbuf.port_bits == 512
    file = tmp_path / "mine.yaml"
    file.write_text("base: spinalflow\nmemory: {lbuf: {bytes: 0}}\n")
    assert sx.load_accelerator(file).memory.lbuf.port_bits == 512
    file.write_text("base: spikex\nmapping: {tile: layer, windows: 2}\n")
    with pytest.raises(sx.ConfigError, match=r"mine\.yaml: mapping\.windows: has no effect: mapping"):
        sx.load_accelerator(file)


def test_a_key_at_its_default_says_nothing() -> None:
    assert sx.load_accelerator("spikex", {"memory.dram.samples": 1, "mapping.windows": "auto"})


# --- Machines without windows ------------------------------------------------------------------------

WINDOWLESS = [name for name in preset_names() if "tws" not in keys_of(sx.load_accelerator(name))]


def test_there_are_machines_without_windows() -> None:
    assert {sx.load_accelerator(name).scheduler for name in WINDOWLESS} == {
        "crossbar",
        "sata",
        "spikesim",
        "spinalflow",
        "systolic",
    }


@pytest.mark.parametrize("preset", WINDOWLESS)
def test_they_take_the_shortest_trace_and_run_once(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, calls, schedule = traces("conv")[1].first(1), [], type(scheduler_of(preset)).schedule

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return schedule(*arguments)

    monkeypatch.setattr(type(scheduler_of(preset)), "schedule", counted)
    layer = sx.simulate(trace, preset).layers[0]
    assert (layer.tws, len(calls)) == (1, preset != "crossbar")  # which has no layer by itself


def scheduler_of(preset: str) -> Any:
    return plugin("accelerators", sx.load_accelerator(preset).scheduler)


# --- Classes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", preset_names())
def test_a_configuration_is_of_its_machines_class(preset: str) -> None:
    accelerator = sx.load_accelerator(preset)
    assert type(accelerator) is scheduler_of(preset).options
    assert sx.load_accelerator(accelerator) is accelerator
    config = sx.simulate(traces("conv")[1], accelerator).to_dict()["config"]
    assert set(flat(config)) == set(flat(accelerator.model_dump())), "results have all keys and no others"


def flat(data: dict[str, Any], path: str = "") -> list[str]:
    return [
        key
        for name, value in data.items()
        for key in (flat(value, f"{path}{name}.") if isinstance(value, dict) else [path + name])
    ]


@pytest.mark.parametrize("scheduler", plugin_names("accelerators"))
def test_common_keys_made_by_hand_become_those_of_the_machine(scheduler: str) -> None:
    made = Accelerator(name="mine", scheduler=scheduler, clock_mhz=250.0)
    loaded = sx.load_accelerator(made)
    assert type(loaded) is options_of(scheduler)
    assert loaded == sx.load_accelerator(
        "spikex", {"name": "mine", "scheduler": scheduler, "clock_mhz": 250.0}
    )
    assert sx.simulate(traces("linear")[1], made).totals.cycles
