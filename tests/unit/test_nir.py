"""NIR graphs: what they become, what is refused, and that no file ends in anything but one line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import spikex_sim as sx
from frameworks import SIDE, B, T, exact, inputs, sha256, spikes_of
from nir_files import chain, conv, lif, write_graph
from spikex_sim.sources.frameworks.nir import NirNetwork, load_nir
from spikex_sim.sources.spike_files import load_spikes

SPIKES = np.random.default_rng(0).random((3, 2, 6, 6, 8)) < 0.35


def traced(network: NirNetwork, spikes: np.ndarray = SPIKES) -> sx.Trace:
    return network.trace(np.packbits(spikes, axis=-1), spikes.shape[-1], batched=True, name="t", source="")


def euler(nodes: dict[str, Any], spikes: np.ndarray, dt: float = 1e-4) -> list[np.ndarray]:
    """Spikes ``[S, M, T]`` of every neuron node, by the equations of the nodes and nothing else."""
    fired: list[np.ndarray] = []
    values = np.moveaxis(spikes, -1, 0).astype(np.float64)  # [T, S, C, H, W]
    for node in nodes.values():
        kind = node["type"]
        if kind == "Conv2d":
            weight, (pad, _), (stride, _) = node["weight"], node["padding"], node["stride"]
            padded = np.pad(values, [(0, 0)] * 3 + [(pad, pad)] * 2)
            patches = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(3, 4))
            values = np.einsum("tschwij,mcij->tsmhw", patches[:, :, :, ::stride, ::stride], weight)
            values += np.asarray(node["bias"])[:, None, None]
        elif kind in ("Linear", "Affine"):
            values = values @ node["weight"].T + node.get("bias", 0.0)
        elif kind == "Scale":
            values = values * node["scale"]
        elif kind in ("AvgPool2d", "SumPool2d"):
            (side, _), (stride, _) = node["kernel_size"], node["stride"]
            patches = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=(3, 4))
            pooled = patches[:, :, :, ::stride, ::stride]
            values = pooled.mean((-1, -2)) if kind == "AvgPool2d" else pooled.sum((-1, -2))
        elif kind == "Flatten":
            values = values.reshape(*values.shape[:2], -1)
        elif kind in ("LIF", "IF"):
            v, out = np.zeros(values.shape[1:]), []
            for current in values:
                if kind == "LIF":
                    v = v + dt / node["tau"] * (node["r"] * current - v)
                else:
                    v = v + node["r"] * current
                out.append(v > node["v_threshold"])
                v = np.where(out[-1], 0.0, v)
            values = np.array(out, np.float64)
            fired.append(np.moveaxis(np.array(out), 0, -1))
    return fired


def neurons(kind: str, shape: Any, **values: float) -> dict[str, Any]:
    return {"type": kind, **{key: np.full(shape, value) for key, value in values.items()}}


def pooling(kind: str) -> dict[str, Any]:
    return {"type": kind, "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-64, 80, shape) / 256


EACH = np.broadcast_to(np.array([1, 2, 4, 2.0])[:, None, None], (4, 6, 6))
GRAPHS = {
    "as it is": {},
    "sum pooling": {"pool": pooling("SumPool2d")},
    "integrate and fire": {"lif": neurons("IF", (4, 6, 6), r=1, v_threshold=0.75, v_reset=0)},
    "slower, weaker": {"lif": lif((4, 6, 6), tau=4e-4, r=1.0, v_threshold=0.0625)},
    "one number": {"lif": lif(()), "last": lif((1,), v_threshold=0.25)},
    "resistance by channel": {"lif": lif((4, 6, 6)) | {"r": EACH}},
    "no reset named": {"last": {key: value for key, value in lif((5,)).items() if key != "v_reset"}},
    "strides": {
        "conv": conv(np.full((4, 2, 4, 4), 1 / 16), stride=[2, 2], padding=[2, 2]),
        "lif": lif((4, 4, 4)),
        "fc": {"type": "Linear", "weight": np.float32(np.eye(5, 16))},
    },
    "same": {"conv": conv(drawn(3, 4, 2, 3, 3), padding="same")},
}


@pytest.mark.parametrize("case", GRAPHS)
def test_layers_give_what_the_equations_say(case: str, tmp_path: Path) -> None:
    nodes = chain(**GRAPHS[case])
    trace = traced(load_nir(write_graph(tmp_path / "g.nir", nodes)))
    if nodes["conv"]["padding"] == "same":
        nodes["conv"]["padding"] = [1, 1]
    expected = euler(nodes, SPIKES)
    layers = [layer for layer in sx.simulate(trace, tws=3).layers if layer.kind != "avgpool"]
    for layer, spikes in zip(layers, expected, strict=True):
        assert 0.005 < spikes.mean() < 0.95
        assert layer.output_sha256 == sha256(spikes)


def test_scales_go_into_weights(tmp_path: Path) -> None:
    nodes = chain()
    order = [
        "input",
        "before",
        "conv",
        "after",
        "lif",
        "between",
        "pool",
        "more",
        "flat",
        "each",
        "fc",
        "last",
        "output",
    ]
    added = {
        "before": {"type": "Scale", "scale": np.broadcast_to(np.array([0.5, 2.0])[:, None, None], (2, 6, 6))},
        "after": {"type": "Scale", "scale": np.broadcast_to(2.0 ** np.arange(4)[:, None, None], (4, 6, 6))},
        "between": {"type": "Scale", "scale": np.full((4, 6, 6), 4.0)},
        "more": {"type": "Scale", "scale": np.float64(0.5)},
        "each": {"type": "Scale", "scale": 2.0 ** (np.arange(36) % 3)},
    }
    nodes = {key: (nodes | added)[key] for key in order}
    trace = traced(load_nir(write_graph(tmp_path / "g.nir", nodes)))
    layers = [layer for layer in sx.simulate(trace).layers if layer.kind != "avgpool"]
    assert [layer.output_sha256 for layer in layers] == [sha256(spikes) for spikes in euler(nodes, SPIKES)]


def test_a_step_of_another_length(tmp_path: Path) -> None:
    nodes = chain(lif=lif((4, 6, 6), tau=4e-3, r=4.0, v_threshold=0.75), last=lif((5,), tau=2e-3))
    network = load_nir(write_graph(tmp_path / "g.nir", nodes), dt_s=1e-3)
    assert [layer.neuron.leak for layer in traced(network).layers if layer.neuron] == [0.75, 0.5]
    outputs = [
        layer.output_sha256 for layer in sx.simulate(traced(network)).layers if layer.kind != "avgpool"
    ]
    assert outputs == [sha256(spikes) for spikes in euler(nodes, SPIKES, dt=1e-3)]


def test_time_constants_in_float32_are_read_back(tmp_path: Path) -> None:
    """As snnTorch stores them: ``tau = dt / (1 - beta)`` and ``r = tau / dt``, all in float32."""
    for beta in (0.5, 0.75, 0.9, 0.95, 0.987):
        tau = np.float32(1e-4) / (np.float32(1) - np.float32(beta))
        nodes = chain(lif=lif((4, 6, 6), tau=tau, r=tau / np.float32(1e-4)))
        network = load_nir(write_graph(tmp_path / "g.nir", nodes))
        trace = traced(network)
        assert trace.layers[0].neuron is not None and trace.layers[0].neuron.leak == beta
        assert np.array_equal(trace.weights[0], nodes["conv"]["weight"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_snntorch_round_trip(tmp_path: Path) -> None:
    torch, snn = pytest.importorskip("torch"), pytest.importorskip("snntorch")
    nir = pytest.importorskip("nir")
    from snntorch.export_nir import export_to_nir

    nn = torch.nn

    def leaky(beta: float, threshold: float, *shape: int, **more: Any) -> Any:
        keys = {"reset_mechanism": "zero", "init_hidden": True, **more}
        return snn.Leaky(beta=torch.full(shape, beta), threshold=torch.full(shape, threshold), **keys)

    neurons = [leaky(0.5, 0.75, 6, SIDE, SIDE), leaky(0.75, 0.25, 7, output=True)]
    model = exact(nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), neurons[0], nn.AvgPool2d((2, 2)), nn.Flatten(), nn.Linear(150, 7),
        neurons[1],
    ))  # fmt: skip
    nir.write(tmp_path / "g.nir", export_to_nir(model, torch.zeros(1, 2, SIDE, SIDE), ignore_dims=[0]))
    spikes = inputs()
    for neuron in neurons:
        neuron.reset_mem()

    def run() -> None:
        with torch.no_grad():
            for now in spikes:
                model(now)

    given = spikes_of(neurons, run)
    trace = traced(load_nir(tmp_path / "g.nir"), np.moveaxis(spikes.numpy() == 1, 0, -1))
    layers = [layer for layer in sx.simulate(trace).layers if layer.kind != "avgpool"]
    assert [layer.output_sha256 for layer in layers] == [sha256(one) for one in given]
    assert (trace.timesteps, trace.samples) == (T, B)


def test_the_package_nir_writes_what_is_read(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    nodes = chain()
    made = {
        "input": nir.Input({"input": np.array([2, 6, 6])}),
        "conv": nir.Conv2d((6, 6), nodes["conv"]["weight"], 1, 1, 1, 1, nodes["conv"]["bias"]),
        "lif": nir.LIF(**{key: value for key, value in nodes["lif"].items() if key != "type"}),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        "fc": nir.Affine(nodes["fc"]["weight"], nodes["fc"]["bias"]),
        "last": nir.LIF(**{key: value for key, value in nodes["last"].items() if key != "type"}),
        "output": nir.Output({"output": np.array([5])}),
    }
    names = list(made)
    edges = list(pairwise(names))
    nir.write(tmp_path / "nir.nir", nir.NIRGraph(made, edges, type_check=False, metadata={"made": "here"}))
    paths = (write_graph(tmp_path / "g.nir", nodes), tmp_path / "nir.nir")
    ours, theirs = (traced(load_nir(path)) for path in paths)
    assert ours.layers == theirs.layers
    for index, weight in ours.weights.items():
        assert np.array_equal(weight, theirs.weights[index])


PIXEL = np.arange(144.0).reshape(4, 6, 6) + 1
ONES = np.ones((4, 2, 3, 3))
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "current": ({"lif": lif() | {"type": "CubaLIF"}}, "node lif (CubaLIF): tau_mem: is missing"),
    "readout": (
        {"lif": lif((4, 6, 6)) | {"type": "LI"}},
        "node lif (LI): does not spike, and is not at the end",
    ),
    "delay": ({"lif": {"type": "Delay", "delay": 2.5e-4}}, "node lif (Delay): delay: is 2.5 steps of dt"),
    "threshold": ({"lif": {"type": "Threshold"}}, "node lif (Threshold): is a threshold without a potential"),
    "unknown": ({"pool": {"type": "Pool3d"}}, "node pool (Pool3d): is of a type that is not known"),
    "reset": ({"lif": lif(v_reset=-1.0)}, "v_reset: must be 0"),
    "threshold each": ({"lif": lif() | {"v_threshold": PIXEL}}, "v_threshold: differs within a channel"),
    "r each": ({"lif": lif() | {"r": PIXEL}}, "r: differs within a channel"),
    "tau": ({"lif": lif(tau=5e-5)}, "tau: is 5e-05 s, shorter than a step of 0.0001 s"),
    "tau negative": ({"lif": lif(tau=-1.0)}, "tau: must be above 0, not -1"),
    "nan": ({"lif": lif(v_threshold=np.nan)}, "v_threshold: holds NaN"),
    "infinite": ({"conv": conv(np.full((4, 2, 3, 3), np.inf))}, "weight: holds NaN, infinite"),
    "shape": ({"lif": lif((4, 5, 6))}, "has shape [4, 5, 6], what it is for [4, 4, 4]"),
    "missing": ({"lif": {"type": "LIF", "tau": 1e-3}}, "v_threshold: is missing"),
    "groups": ({"conv": conv(ONES, groups=2)}, "takes 4 channels of a map, not 2x6x6"),
    "dilation": ({"conv": conv(ONES, dilation=[0, 2])}, "stride must be at least 1, as dilation"),
    "channels": ({"conv": conv(np.ones((4, 3, 3, 3)))}, "takes 3 channels of a map, not 2x6x6"),
    "axes": ({"conv": conv(np.ones((4, 2, 3)))}, "has shape [4, 2, 3]; 4 axes are wanted"),
    "same": (
        {"conv": conv(np.ones((4, 2, 2, 2)), padding="some")},
        "padding: must be numbers, valid or same",
    ),
    "padding": ({"conv": conv(np.ones((4, 2, 2, 2)), padding=[0.5, 1])}, "padding: must be one or two whole"),
    "stride": ({"conv": conv(ONES, stride=0)}, "stride must be at least 1"),
    "kernel": ({"conv": conv(np.ones((4, 2, 9, 9)))}, "is larger than the padded map"),
    "bias": ({"conv": conv(ONES, bias=np.ones(3))}, "bias: has shape [3]; [4] is wanted"),
    "flatten": ({"flat": None}, "node fc (Affine): takes 36 inputs, not 4x3x3; a Flatten is missing"),
    "some axes": ({"flat": {"type": "Flatten", "start_dim": 2, "end_dim": -1}}, "flattens some axes alone"),
    "no neurons": ({"lif": None}, "fc: takes the sums that conv gives"),
    "scale each": (
        {"pool": {"type": "Scale", "scale": PIXEL}, "flat": conv(np.ones((4, 4, 1, 1)))},
        "takes spikes scaled pixel by pixel",
    ),
    "input": ({"input": {"type": "Input", "shape": [2, 2, 6, 6]}}, "shape: must be [C, H, W] or [N]"),
    "large input": ({"input": {"type": "Input", "shape": [2, 1 << 20, 1 << 20]}}, "more than 16777216"),
    "large output": ({"conv": conv(ONES, padding=[1 << 20, 1 << 20])}, "more than 16777216"),
    "text": ({"lif": lif() | {"tau": "soon"}}, "tau: must be numbers, not 'soon'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_counterpart_is_refused(case: str, tmp_path: Path) -> None:
    changes, words = REFUSED[case]
    nodes = chain(**changes)
    if case == "shape":
        nodes["conv"]["padding"] = [0, 0]
    path = write_graph(tmp_path / "g.nir", nodes)
    with pytest.raises(sx.TraceError) as caught:
        load_nir(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and words in message and message.isprintable(), message


EDGES = list(pairwise(chain()))


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([*EDGES, ("last", "conv")], "node last (LIF): takes nothing but what its own spikes lead to"),
        (
            [*EDGES, ("pool", "lif"), ("lif", "flat")],
            "node lif (LIF): takes 4x6x6, and 4x3x3 come back to it",
        ),
        ([*EDGES, ("flat", "pool")], "node pool (AvgPool2d): is in the cycle pool -> flat -> pool"),
        ([*EDGES, ("conv", "flat")], "node flat (Flatten): takes 4x3x3 and 4x6x6, which cannot be added"),
        ([*EDGES, ("output", "conv")], "node output (Output): leads to other nodes"),
        ([*EDGES, ("fc", "nowhere")], "names a node 'nowhere' that is not there"),
        ([("input", "output")], "node conv (Conv2d): is not on the way"),
        ([], "node conv (Conv2d): is not on the way"),
    ],
)
def test_graphs_that_are_no_chain(edges: list[tuple[str, str]], words: str, tmp_path: Path) -> None:
    with pytest.raises(sx.TraceError) as caught:
        load_nir(write_graph(tmp_path / "g.nir", chain(), edges))
    assert words in str(caught.value)


def test_order_of_nodes_and_doubled_edges_do_not_matter(tmp_path: Path) -> None:
    nodes = chain()
    shuffled = {key: nodes[key] for key in sorted(nodes)}
    one = load_nir(write_graph(tmp_path / "a.nir", nodes))
    other = load_nir(write_graph(tmp_path / "b.nir", shuffled, [*reversed(EDGES), *EDGES]))
    assert traced(one).layers == traced(other).layers


class TestHostileFiles:
    def refuse(self, path: Path, *words: str) -> None:
        with pytest.raises(sx.TraceError) as caught:
            load_nir(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 1200
        for word in words:
            assert word in message, message

    def test_no_graph(self, tmp_path: Path) -> None:
        self.refuse(tmp_path / "none.nir", "no such file")
        self.refuse(tmp_path, "is a folder")
        (tmp_path / "text.nir").write_text("hello")
        self.refuse(tmp_path / "text.nir", "not HDF5")
        with h5py.File(tmp_path / "other.nir", "w") as file:
            file["data"] = np.zeros(3)
        self.refuse(tmp_path / "other.nir", "is no NIR graph")

    def test_truncated(self, tmp_path: Path) -> None:
        data = write_graph(tmp_path / "g.nir", chain()).read_bytes()
        for share in (0.1, 0.5, 0.9, 0.99):
            (tmp_path / "cut.nir").write_bytes(data[: int(share * len(data))])
            self.refuse(tmp_path / "cut.nir")

    def test_damaged_bytes_end_in_one_line_or_do_no_harm(self, tmp_path: Path) -> None:
        data = write_graph(tmp_path / "g.nir", chain()).read_bytes()
        rng = np.random.default_rng(1)
        refused = 0
        for _ in range(300):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 5)):
                damaged[place] = rng.integers(0, 256)
            (tmp_path / "d.nir").write_bytes(damaged)
            try:
                load_nir(tmp_path / "d.nir")
            except sx.TraceError as exc:
                refused += 1
                assert str(exc).isprintable()
        assert refused > 10

    @pytest.mark.parametrize("size", [0, 24, 1 << 40, (1 << 64) - 16])
    def test_sizes_in_heaps_of_strings_are_not_believed(self, tmp_path: Path, size: int) -> None:
        """Of some of them the HDF5 library never comes back."""
        data = bytearray(write_graph(tmp_path / "g.nir", chain()).read_bytes())
        place = data.index(b"GCOL") + 16 + 8
        data[place : place + 8] = size.to_bytes(8, "little")
        (tmp_path / "g.nir").write_bytes(data)
        self.refuse(tmp_path / "g.nir", "truncated or damaged")

    def test_declared_sizes_are_not_believed(self, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "g.nir", chain())
        with h5py.File(path, "a") as file:
            del file["node/nodes/fc/weight"]
            file.create_dataset("node/nodes/fc/weight", (1 << 20, 1 << 20), np.float32, chunks=(256, 256))
        self.refuse(path, "node/nodes/fc/weight", "stores only")

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "g.nir", chain())
        with h5py.File(path, "a") as file:
            del file["node/nodes/fc/weight"]
            file["node/nodes/fc/weight"] = h5py.ExternalLink("/etc/passwd", "/x")
        self.refuse(path, "is a link to elsewhere")

    def test_groups_that_hold_each_other(self, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "g.nir", chain())
        with h5py.File(path, "a") as file:
            file["node/nodes/again"] = file["node"]
        self.refuse(path, "unknown key")

    def test_many_ways_to_the_same_group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("spikex_sim.trace.hdf5.MAX_LINKS", 3000)  # the real limit takes half a minute
        path = write_graph(tmp_path / "g.nir", chain())
        with h5py.File(path, "a") as file:
            group = file["node/nodes/fc"]
            for depth in range(7):
                inner = file.create_group(f"group{depth}")
                for way in range(9):
                    group[f"way{way}"] = inner
                group = inner
        self.refuse(path, "entries")

    def test_graph_in_the_graph(self, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "g.nir", chain())
        write_graph(tmp_path / "inner.nir", chain())
        with h5py.File(path, "a") as file, h5py.File(tmp_path / "inner.nir") as inner:
            inner.copy("node", file["node/nodes"], "cell")
        self.refuse(path, "node cell.input (Through): is not on the way")

    @pytest.mark.parametrize("edges", [np.zeros((3, 2)), np.array(["a"], object), np.zeros(0)])
    def test_edges_of_another_kind(self, edges: np.ndarray, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "g.nir", chain())
        with h5py.File(path, "a") as file:
            del file["node/edges"]
            file["node/edges"] = edges
        self.refuse(path, "node/edges: must be strings [rows, 2]")


class TestSpikes:
    def test_of_a_trace_and_of_an_array(self, tmp_path: Path) -> None:
        network = load_nir(write_graph(tmp_path / "g.nir", chain()))
        np.save(tmp_path / "s.npy", SPIKES)
        np.save(tmp_path / "one.npy", SPIKES[1].astype(np.float32))
        batch, one = load_spikes(tmp_path / "s.npy"), load_spikes(tmp_path / "one.npy")
        assert batch.batched and not one.batched and np.array_equal(one.packed[0], batch.packed[1])
        sx.save_trace(traced(network), tmp_path / "t.npz")
        again = load_spikes(tmp_path / "t.npz")
        assert again.timesteps == SPIKES.shape[-1] and np.array_equal(again.packed, batch.packed)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.full((2, 6, 6, 3), 2), "spikes are 0 or 1"),
            (np.zeros(4), "has shape [4]"),
            (np.zeros((2, 0)), "has shape [2, 0]"),
            (np.array([["a", "b"]]), "spikes are 0 or 1"),
            (np.array([[None, 1]], object), "never loaded; save plain arrays"),
        ],
    )
    def test_wrong_arrays(self, array: np.ndarray, words: str, tmp_path: Path) -> None:
        np.save(tmp_path / "s.npy", array)
        with pytest.raises(sx.TraceError, match=r"s\.npy") as caught:
            load_spikes(tmp_path / "s.npy")
        assert words in str(caught.value)

    def test_truncated_array(self, tmp_path: Path) -> None:
        np.save(tmp_path / "s.npy", SPIKES)
        (tmp_path / "s.npy").write_bytes((tmp_path / "s.npy").read_bytes()[:200])
        with pytest.raises(sx.TraceError, match="truncated"):
            load_spikes(tmp_path / "s.npy")

    def test_of_another_shape(self, tmp_path: Path) -> None:
        network = load_nir(write_graph(tmp_path / "g.nir", chain()))
        with pytest.raises(sx.TraceError, match="takes 2x6x6 spikes at a time point, not 2x4x9"):
            traced(network, SPIKES.reshape(3, 2, 4, 9, 8))
