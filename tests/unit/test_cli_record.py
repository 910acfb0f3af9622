"""`trace record`: it runs the user's code, and whatever goes wrong there is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikex_sim as sx
from command import is_mistake, process, spikex, succeed
from nir_files import chain, lif, write_graph
from spikex_sim.core.origin import pip_install

NET = '''
import torch
from torch import nn


class Spiking(nn.Module):
    """Leaks by half, spikes above 0.5, is reset to 0."""

    u = 0.0

    def forward(self, current):
        v = 0.5 * self.u + current
        spikes = (v > 0.5).float()
        self.u = v * (1 - spikes)
        return spikes


class Soft(nn.Module):
    """Leaks by half, spikes at 0.5, subtracts it."""

    u = 0.0

    def forward(self, current):
        v = 0.5 * self.u + current
        spikes = (v >= 0.5).float()
        self.u = v - 0.5 * spikes
        return spikes


def network(last=True):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), Spiking(), nn.Flatten(), nn.Linear(64, 5)]
    return nn.Sequential(*layers, *[Spiking()] * last)


SPIKES = torch.rand(8, 3, 2, 6, 6, generator=torch.Generator().manual_seed(1)).lt(0.3).float()
HOW = {Spiking: {"threshold": 0.5, "leak": 0.5}}


def build():
    return {"model": network(), "inputs": SPIKES, "neurons": HOW, "label": [1, 2, 3], "name": "mine"}


def pair():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.ones(5, 4)


def readout():
    return {"model": network(False), "inputs": SPIKES, "neurons": HOW}


def soft():
    how = {"threshold": 0.5, "leak": 0.5, "reset": "subtract", "fires": "at"}
    layers = [nn.Conv2d(2, 4, 3), Soft(), nn.Flatten(), nn.Linear(64, 5), Soft()]
    return {"model": nn.Sequential(*layers), "inputs": SPIKES, "neurons": {Soft: how}}


class Looping(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x):
        for now in x:
            self.net(now)


def looping():
    return {"model": Looping(), "inputs": SPIKES, "neurons": HOW}


def fails():
    raise RuntimeError("no\\nluck")


def leaves():
    raise SystemExit(3)


def nothing():
    return None


def surplus():
    return {**build(), "speed": 3}


number = 3
'''

LINE = "trace record net.py:{} --out x.npz"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


class TestWithPyTorch:
    @pytest.fixture(autouse=True)
    def torch_is_there(self, here: Path) -> None:
        pytest.importorskip("torch")

    def test_writes_what_the_library_records(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = succeed(capsys, *LINE.format("build").split())
        trace = sx.load_trace("x.npz")
        assert (trace.name, trace.label, trace.samples) == ("mine", (1, 2, 3), 3)
        assert [layer.name for layer in trace.layers] == ["0", "3"]
        rates = [f"{index} {100 * trace.spikes(n).mean():.4g}" for n, index in enumerate(("0", "3"))]
        understood = shown.lines[
            : shown.lines.index("given: spikes, of sums values, that modules gave; differing: computed anew")
        ]
        assert [line.split()[:2] for line in understood[2:]] == [
            ["input", "input"], ["0", "neurons"], ["3", "neurons"],
        ]  # fmt: skip
        assert shown.lines[-2:] == [
            f"input rates, %: {', '.join(rates)}",
            "wrote x.npz (T=8, 3 samples, spikes of 2 layers, weights of 2)",
        ]

    @pytest.mark.parametrize("target", ["net:build", "./net.py:build"])
    def test_a_module_or_a_path(self, capsys: pytest.CaptureFixture[str], target: str) -> None:
        succeed(capsys, "trace", "record", target, "--out", "x.npz")
        assert sx.load_trace("x.npz").timesteps == 8

    def test_closed_loop(self, capsys: pytest.CaptureFixture[str]) -> None:
        succeed(capsys, *LINE.format("build").split(), "--closed-loop")
        assert list(sx.load_trace("x.npz").inputs) == [0]

    def test_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        succeed(capsys, "trace", "record", "net.py:build", "--out", "sub/y.h5")
        assert Path("sub/y.h5").is_file() and not Path("x.npz").exists()

    def test_skip(self, capsys: pytest.CaptureFixture[str]) -> None:
        succeed(capsys, *LINE.format("readout").split())
        assert [node.kind for node in sx.load_trace("x.npz").nodes] == ["input", "neurons", "currents"]
        succeed(capsys, *LINE.format("readout").split(), "--skip", "3")
        assert len(sx.load_trace("x.npz").layers) == 1

    def test_nearest(self, capsys: pytest.CaptureFixture[str]) -> None:
        succeed(capsys, *LINE.format("soft").split())
        assert not isinstance(sx.load_trace("x.npz"), sx.Trace)
        succeed(capsys, *LINE.format("soft").split(), "--nearest")
        neuron = sx.load_trace("x.npz").layers[0].neuron
        assert neuron is not None and neuron.reset == "subtract"
        assert np.nextafter(np.float32(neuron.threshold), np.float32(1)) == np.float32(0.5)

    def test_call(self, capsys: pytest.CaptureFixture[str]) -> None:
        is_mistake(spikex(capsys, *LINE.format("looping").split(), "--call", "step"), "call='sequence'")
        shown = succeed(capsys, *LINE.format("looping").split())
        assert "inputs are read as TBCHW, all given in one call (axes, call)" in shown.lines
        is_mistake(
            spikex(capsys, *LINE.format("looping").split(), "--call", "both"), "must be step or sequence"
        )
        succeed(capsys, *LINE.format("looping").split(), "--call", "sequence")
        one, other = sx.load_trace("x.npz"), None
        succeed(capsys, *LINE.format("build").split())
        other = sx.load_trace("x.npz")
        assert all(np.array_equal(one.inputs[index], other.inputs[index]) for index in (0, 1))

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            ("pair", "Sequential: 1 (ReLU): takes what 0 gives and is no neuron that is known"),
            ("fails", ": fails(): RuntimeError: no luck"),
            ("leaves", ": leaves(): SystemExit: 3"),
            ("nothing", "net.py:nothing: returned a NoneType; (model, inputs)"),
            ("surplus", "net.py:surplus: returned what spikex_sim.record does not take"),
            ("number", "net.py: has no function number"),
            ("absent", "net.py: has no function absent"),
        ],
    )
    def test_mistakes(self, capsys: pytest.CaptureFixture[str], function: str, words: str) -> None:
        message = is_mistake(spikex(capsys, *LINE.format(function).split()), words)
        assert not Path("x.npz").exists()
        if function == "fails":
            line = 1 + NET.splitlines().index('    raise RuntimeError("no\\nluck")')
            assert message.startswith(f"net.py:{line}: ")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("net.py", "net.py: wants FILE.py:FUNCTION or MODULE:FUNCTION"),
        ("net.py:no-name", "wants FILE.py:FUNCTION"),
        ("none.py:build", "none.py: no such file"),
        ("none.such:build", "none.such: no such module; a file ends in .py"),
        ("broken.py:build", "broken.py:2: import: SyntaxError"),
        ("wrong.py:build", "wrong.py:1: import: ZeroDivisionError: division by zero"),
    ],
)
def test_code_that_cannot_be_had(
    here: Path, capsys: pytest.CaptureFixture[str], target: str, words: str
) -> None:
    Path("broken.py").write_text("def build():\n    return (\n")
    Path("wrong.py").write_text("1 / 0\n")
    is_mistake(spikex(capsys, "trace", "record", target, "--out", "x.npz"), words)


def test_without_pytorch(here: Path) -> None:
    Path("torch.py").write_text("raise ImportError('not here')\n")
    Path("plain.py").write_text("def build():\n    return 1, 2\n")
    outcome = process("trace", "record", "plain.py:build", "--out", "x.npz")
    is_mistake(outcome, f"recording needs PyTorch: {pip_install('frameworks')}")


def test_help_says_that_code_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert "THIS RUNS THE CODE YOU NAME" in succeed(capsys, "trace", "record", "--help").out


class TestNir:
    def test_rates_of_outputs_are_told(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        spikes = np.random.default_rng(0).random((1, 2, 6, 6, 20)) < 0.4
        np.save("s.npy", spikes)
        line = ["trace", "nir", write_graph("g.nir", chain()), "--input", "s.npy", "--out", "x.npz"]
        shown = succeed(capsys, *line)
        layers = [one for one in sx.simulate("x.npz", tws=1).layers if one.tws is not None]
        rates = [100 * one.output_spikes / size / 20 for one, size in zip(layers, (144, 5), strict=True)]
        assert shown.lines[-1] == f"output rates, %: conv {rates[0]:.4g}, fc {rates[1]:.4g}"
        assert 1 < rates[0] < 99 and "WARNING" not in shown.out
        shown = succeed(capsys, *line, "--dt", "1e-7")
        assert "output rates, %: conv 0, fc 0" in shown.lines
        assert "WARNING: no neuron of conv, fc ever spikes; look at dt (--dt)" in shown.out
        write_graph("g.nir", chain(last=lif((5,), v_threshold=-9.0)))
        assert "WARNING: no neuron of fc ever is silent" in succeed(capsys, *line).out

    def test_axes_by_name(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """As many samples as time points as rows: names alone tell them apart."""
        spikes = np.random.default_rng(0).random((6, 2, 6, 6, 6)) < 0.4  # [B, C, H, W, T]
        write_graph("g.nir", chain())
        line = ["trace", "nir", "g.nir", "--input", "s.npy", "--out", "x.npz"]
        found = []
        for axes in ("BCHWT", "TBCHW", "WTBHC"):
            np.save("s.npy", spikes.transpose(["BCHWT".index(one) for one in axes]))
            succeed(capsys, *line, "--axes", axes)
            found.append(sx.load_trace("x.npz").inputs[0])
        assert all(np.array_equal(one, np.packbits(spikes, axis=-1)) for one in found)
        for axes in ("BCHW", "BCHWW", "BCHWX", "BNCHW"):
            is_mistake(spikex(capsys, *line, "--axes", axes), f"axes: are '{axes}' for shape [6, 6, 6, 6, 2]")
        other = ["trace", "nir", "g.nir", "--input", "x.npz", "--out", "y.npz", "--axes", "BCHWT"]
        is_mistake(spikex(capsys, *other), "axes: are those of an .npy, and x.npz is a trace")
        np.save("s.npy", spikes[0].reshape(-1, 6).T)
        is_mistake(spikex(capsys, *line), "the last axis is time, unless axes names them")


def test_nir_mistakes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.nir").write_bytes(b"\x89HDF\r\n\x1a\nnot really")
    np.save("s.npy", np.ones((2, 3), np.uint8))
    is_mistake(spikex(capsys, "trace", "nir", "bad.nir", "--input", "s.npy", "--out", "x.npz"), "bad.nir: ")
    is_mistake(
        spikex(capsys, "trace", "nir", "none.nir", "--input", "s.npy", "--out", "x.npz"), "no such file"
    )
    is_mistake(
        spikex(capsys, "trace", "nir", "bad.nir", "--input", "s.npy", "--out", "x.npz", "--dt", 0), "dt: "
    )
    assert not Path("x.npz").exists()
