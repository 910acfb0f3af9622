"""NIR graphs that are no chains: recurrence, currents, branches, delays, read-outs; and what is assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import spikex_sim as sx
from frameworks import sha256
from nir_files import chain, lif, write_graph
from spikex_sim.sources.frameworks.nir import NirNetwork, load_nir

SPIKES = np.random.default_rng(0).random((3, 2, 6, 6, 8)) < 0.35


def traced(network: NirNetwork, spikes: np.ndarray = SPIKES) -> Any:
    return network.trace(np.packbits(spikes, axis=-1), spikes.shape[-1], batched=True, name="t", source="")


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-64, 80, shape) / 256


def layers_of(trace: Any) -> dict[str, Any]:
    """Results of a replay by node."""
    return {layer.name: layer for layer in sx.simulate(trace, tws=1).layers}


def small(*more: tuple[str, dict[str, Any]], shape: Any = (6,)) -> dict[str, Any]:
    nodes = {"input": {"type": "Input", "shape": list(shape)}, **dict(more)}
    return nodes | {"output": {"type": "Output", "shape": [1]}}


def cuba(count: int, **more: Any) -> dict[str, Any]:
    usual = {"tau_mem": 4e-4, "tau_syn": 2e-4, "r": 4.0, "w_in": 2.0, "v_leak": 0.0, "v_reset": 0.0}
    values = usual | {"v_threshold": 0.5} | more
    return {"type": "CubaLIF", **{key: np.full(count, value, np.float32) for key, value in values.items()}}


FLAT = np.random.default_rng(5).random((1, 6, 24)) < 0.35


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_recurrent_neurons_with_currents(nested: bool, reset: Any, tmp_path: Path) -> None:
    into, back, bias = drawn(11, 5, 6), drawn(12, 5, 5), drawn(13, 5)
    inner = {"lif": cuba(5), "back": {"type": "Affine", "weight": np.float32(back), "bias": np.float32(bias)}}
    ends = {"in": {"type": "Input", "shape": [5]}, "out": {"type": "Output", "shape": [5]}}
    loop = [("lif", "back"), ("back", "lif")]
    fc = ("fc", {"type": "Linear", "weight": np.float32(into)})
    top = ("top", {"type": "Linear", "weight": np.float32(drawn(14, 3, 5))})
    if nested:
        edges = [("input", "fc"), ("fc", "cell"), ("cell", "top"), ("top", "output")]
        path = write_graph(tmp_path / "g.nir", small(fc, top), [("input", "fc"), ("top", "output")])
        inside = write_graph(tmp_path / "i.nir", ends | inner, [("in", "lif"), ("lif", "out"), *loop])
        with h5py.File(path, "a") as file, h5py.File(inside) as other:
            other.copy("node", file["node/nodes"], "cell")
            del file["node/edges"]
            file["node/edges"] = np.array(edges, object).astype(h5py.string_dtype())
    else:
        edges = [("input", "fc"), ("fc", "lif"), *loop, ("lif", "top"), ("top", "output")]
        path = write_graph(tmp_path / "g.nir", small(fc, *inner.items(), top), edges)
    trace = traced(load_nir(path, reset=reset), FLAT)
    i, v, spikes, fired = np.zeros(5), np.zeros(5), np.zeros(5), []
    for now in FLAT[0].T:
        i = i + 0.5 * (2.0 * (into @ now + back @ spikes + bias) - i)
        v = v + 0.25 * (4.0 * i - v)
        spikes = (v > 0.5) * 1.0
        v = v - 0.5 * spikes if reset == "subtract" else v * (1 - spikes)
        fired.append(spikes > 0)
    expected = np.array(fired).T[None, :, None, None]
    assert 0.05 < expected.mean() < 0.95
    layers = layers_of(trace)
    assert layers["cell.lif" if nested else "lif"].output_sha256 == sha256(expected)
    assert layers["top"].kind == "currents"


def test_branches_delays_groups_and_one_dimension(tmp_path: Path) -> None:
    """A convolution over a line, in groups, spread; two ways that meet, one of them two steps late."""
    weight = drawn(21, 4, 1, 3)
    line = {"type": "Conv1d", "weight": np.float32(weight), "stride": [1], "padding": [2], "dilation": [2],
            "groups": 2, "bias": np.zeros(4), "input_shape": 9}  # fmt: skip
    here, there = drawn(22, 3, 36), drawn(23, 3, 36)
    nodes = small(
        ("conv", line), ("lif", lif((4, 9), v_threshold=0.125)),
        ("flat", {"type": "Flatten", "start_dim": 0, "end_dim": -1}),
        ("late", {"type": "Delay", "delay": np.full(36, 2e-4)}),
        ("here", {"type": "Linear", "weight": np.float32(here)}),
        ("there", {"type": "Linear", "weight": np.float32(there)}), ("last", lif((3,), v_leak=0.25)),
        shape=(2, 9),
    )  # fmt: skip
    edges = [("input", "conv"), ("conv", "lif"), ("lif", "flat"), ("flat", "here"), ("flat", "late"),
             ("late", "there"), ("here", "last"), ("there", "last"), ("last", "output")]  # fmt: skip
    given = np.random.default_rng(6).random((1, 2, 1, 9, 20)) < 0.4
    trace = traced(load_nir(write_graph(tmp_path / "g.nir", nodes, edges)), given)
    padded = np.pad(given[0, :, 0].astype(float), [(0, 0), (2, 2), (0, 0)])
    v, u, first, last = np.zeros((4, 9)), np.zeros(3), [], []
    for t in range(20):
        sums = np.array([
            [(weight[m, 0] * padded[m // 2, x : x + 5 : 2, t]).sum() for x in range(9)] for m in range(4)
        ])  # fmt: skip
        v = v + 0.5 * (2 * sums - v)
        first.append(v > 0.125)
        v = np.where(first[-1], 0, v)
        late = first[t - 2].ravel() if t >= 2 else np.zeros(36)
        u = u + 0.5 * (0.25 + 2 * (here @ first[t].ravel() + there @ late) - u)
        last.append(u > 0.5)
        u = np.where(last[-1], 0, u)
    expected = (np.array(first).transpose(1, 2, 0)[:, None], np.array(last).T[:, None, None])
    for layer, spikes in zip(layers_of(trace).values(), expected, strict=True):
        assert 0.05 < spikes.mean() < 0.95 and layer.output_sha256 == sha256(spikes[None])


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    nodes = chain()
    leading = nodes | {"input": {"type": "Input", "shape": [1, 2, 6, 6]}, "lif": lif((1, 4, 6, 6))}
    network = load_nir(write_graph(tmp_path / "g.nir", leading))
    assert any("the axis of one sample" in note for note in network.notes)
    plain = load_nir(write_graph(tmp_path / "p.nir", nodes))
    assert traced(network).sha256 == traced(plain).sha256
    assert not any("WARNING" in note or "axis" in note for note in plain.notes)
    slow = load_nir(write_graph(tmp_path / "s.nir", nodes | {"last": lif((5,), tau=20.0)}))
    assert any(note.startswith("WARNING: node last: tau is 200,000 steps of 0.0001 s") for note in slow.notes)
    old = {key: value for key, value in lif((5,)).items() if key != "v_reset"}
    path = write_graph(tmp_path / "o.nir", nodes | {"last": old})
    assert any("zero is taken" in note for note in load_nir(path).notes)
    assert any("subtract is taken" in note for note in load_nir(path, reset="subtract").notes)
    with pytest.raises(sx.TraceError, match="reset: must be zero or subtract"):
        load_nir(path, reset="hard")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I"])
def test_read_outs_are_currents(kind: str, tmp_path: Path) -> None:
    network = load_nir(write_graph(tmp_path / "g.nir", chain(last={**lif((5,)), "type": kind})))
    assert [node["kind"] for node in network.nodes] == ["input", "neurons", "avgpool", "currents"]
    assert any("as currents; its integration and leak are not simulated" in note for note in network.notes)
