"""Presets of networks as graphs, with the structure that people train: residuals, recurrence, attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import one_of
from spikex_sim.spec.load import MAX_YAML_BYTES, parse_yaml
from spikex_sim.spec.networks import load_network
from spikex_sim.spec.validation import validated

LIF = {"leak_shift": 1, "fires": "at"}
"""As SpikingJelly's with tau = 2: half of the potential stays. Thresholds are set when weights are known."""
SLOW = {"leak_shift": 4, "current": {"leak_shift": 2}}
"""With a synaptic current, for recordings of many time points."""
CIFAR = (3, 32, 32)
DIRECT = {"bits": 8, "constant": True, "scale": 1 / 64}
"""An image as it is normalised, shown at every time point."""
PIXELS = {"bits": 8, "signed": False, "constant": True, "scale": 1 / 255}
"""An image as it is stored."""
IMAGE_SHIFT = 4
"""By which sums of 8-bit pixels are shifted, so that they meet potentials of 16 bits."""
MAX_WIDTH = 4096
"""Widest that a preset is made."""
Described = dict[str, Any]


@dataclass(frozen=True)
class GraphNetwork:
    """Nodes of a preset, as the trace file describes them, but for the thresholds.

    Attributes
    ----------
    name : str
        Of the preset.
    timesteps : int
        Time points ``T`` that it is usually run for.
    nodes : tuple of dict
        Descriptions; neurons have no threshold yet.
    averages : mapping of (str, int) to int
        Convolutions, by node and synapse, that take in an average behind them: its side, which is their
        stride. In training they have the weights of the smaller kernel alone.
    """

    name: str
    timesteps: int
    nodes: tuple[Described, ...]
    averages: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class _Nodes:
    """Nodes of a network that is being described."""

    found: list[Described] = field(default_factory=list)

    def image(self, shape: Sequence[int], values: Described = DIRECT) -> str:
        return self._add({"name": "image", "kind": "input", "shape": list(shape), "values": values})

    def neurons(self, name: str, channels: int, synapses: list[Described], neuron: Described = LIF) -> str:
        return self._add({"name": name, "kind": "neurons", "channels": channels, "synapses": synapses,
                          "neuron": dict(neuron)})  # fmt: skip

    def currents(self, name: str, channels: int, synapses: list[Described]) -> str:
        return self._add({"name": name, "kind": "currents", "channels": channels, "synapses": synapses})

    def pool(self, kind: str, name: str, source: str, kernel: int) -> str:
        return self._add({"name": name, "kind": kind, "from": source, "kernel": kernel, "stride": kernel})

    def product(self, name: str, a: str, b: str, heads: int, **more: Any) -> str:
        return self._add({"name": name, "kind": "matmul", "a": a, "b": b, "heads": heads} | more)

    def means(self, stream: list[str], kernel: int) -> list[str]:
        """Average every addend of a stream."""
        return [self.pool("avgpool", f"{name}.mean", name, kernel) for name in stream]

    def _add(self, node: Described) -> str:
        self.found.append(node)
        name: str = node["name"]
        return name


def _conv(stream: str | list[str], **keys: Any) -> list[Described]:
    """One synapse for each addend of a stream, all with the weights of the first."""
    names = [stream] if isinstance(stream, str) else stream
    shared = [{}, *({"weight_of": 0} for _ in names[1:])]
    return [{"from": name, "kind": "conv"} | keys | more for name, more in zip(names, shared, strict=True)]


def _linear(stream: str | list[str]) -> list[Described]:
    return [one | {"kind": "linear"} for one in _conv(stream)]


def _identity(source: str) -> Described:
    return {"from": source, "kind": "identity"}


SQUARE = {"kernel": 3, "padding": 1}


def _sew_resnet18(name: str, width: int) -> GraphNetwork:
    """Spike-element-wise ResNet-18 with ADD (Fang et al., NeurIPS 2021), 3x3 stem for small images."""
    nodes = _Nodes()
    image = nodes.image(CIFAR)
    stream = [nodes.neurons("stem", width, _conv(image, shift=IMAGE_SHIFT, **SQUARE))]
    for block in range(1, 9):
        channels, stride = width << (block - 1) // 2, 2 if block in (3, 5, 7) else 1
        inner = nodes.neurons(f"block{block}a", channels, _conv(stream, stride=stride, **SQUARE))
        outer = nodes.neurons(f"block{block}b", channels, _conv(inner, **SQUARE))
        if stride == 2:
            stream = [nodes.neurons(f"block{block}s", channels, _conv(stream, kernel=1, stride=2))]
        stream = [*stream, outer]
    nodes.currents("fc", 10, _linear(nodes.means(stream, 4)))
    return GraphNetwork(name, 4, tuple(nodes.found))


def _ms_resnet18(name: str, width: int) -> GraphNetwork:
    """Membrane-shortcut ResNet-18 (Hu et al., TNNLS 2024): sums are added; neurons precede convolutions."""
    nodes = _Nodes()
    image = nodes.image(CIFAR)
    total = nodes.currents("stem", width, _conv(image, shift=IMAGE_SHIFT, **SQUARE))
    for block in range(1, 9):
        channels, stride = width << (block - 1) // 2, 2 if block in (3, 5, 7) else 1
        before = nodes.found[-1]["channels"]
        spikes = nodes.neurons(f"block{block}a", before, [_identity(total)])
        inner = nodes.neurons(f"block{block}b", channels, _conv(spikes, stride=stride, **SQUARE))
        shortcut = _conv(spikes, kernel=1, stride=2) if stride == 2 else [_identity(total)]
        total = nodes.currents(f"block{block}", channels, [*_conv(inner, **SQUARE), *shortcut])
    last = nodes.neurons("last", nodes.found[-1]["channels"], [_identity(total)])
    nodes.currents("fc", 10, _linear(nodes.means([last], 4)))
    return GraphNetwork(name, 4, tuple(nodes.found))


def _recurrent(name: str, width: int) -> GraphNetwork:
    """Recurrent layer and read-out for 700 channels of a cochlea (Cramer et al., TNNLS 2022)."""
    nodes = _Nodes()
    nodes.found.append({"name": "cochlea", "kind": "input", "shape": [700]})
    recurrent = {"from": "hidden", "kind": "linear", "delay": 1}
    nodes.neurons("hidden", width, [*_linear("cochlea"), recurrent], SLOW)
    nodes.neurons("readout", 20, _linear("hidden"), SLOW)
    return GraphNetwork(name, 100, tuple(nodes.found))


def _spikformer(name: str, width: int) -> GraphNetwork:
    """Spikformer-4-384 (Zhou et al., ICLR 2023) on CIFAR: 64 tokens, heads of 32, (V Kᵀ) Q first."""
    nodes = _Nodes()
    stream = nodes.image(CIFAR)
    for index, share in enumerate((8, 4, 2, 1)):
        shift = {"shift": IMAGE_SHIFT} if index == 0 else {}
        stream = nodes.neurons(f"patch{index + 1}", width // share, _conv(stream, **SQUARE, **shift))
        if index > 1:
            stream = nodes.pool("maxpool", f"pool{index + 1}", stream, 2)
    addends = [stream, nodes.neurons("position", width, _conv(stream, **SQUARE))]
    heads = max(1, width // 32)
    for block in range(1, 5):
        q, k, v = (nodes.neurons(f"block{block}.{one}", width, _conv(addends)) for one in "qkv")
        vk = nodes.product(f"block{block}.vk", v, k, heads, transpose_b=True)
        mixed = nodes.product(f"block{block}.vkq", vk, q, heads, scale=0.125)
        attended = nodes.neurons(f"block{block}.attention", width, [_identity(mixed)])
        addends = [*addends, nodes.neurons(f"block{block}.projection", width, _conv(attended))]
        inner = nodes.neurons(f"block{block}.mlp1", 4 * width, _conv(addends))
        addends = [*addends, nodes.neurons(f"block{block}.mlp2", width, _conv(inner))]
    nodes.currents("head", 10, _linear(nodes.means(addends, 8)))
    return GraphNetwork(name, 4, tuple(nodes.found))


def _mnist(name: str) -> GraphNetwork:
    """Two convolutions and a linear population, for digits of 28x28 pixels."""
    nodes = _Nodes()
    neuron = {"leak_shift": 2}
    image = nodes.image((1, 28, 28), PIXELS)
    stem = nodes.currents("stem", 16, _conv(image, shift=IMAGE_SHIFT, **SQUARE))
    nodes.neurons("lif1", 16, [_identity(stem)], neuron)
    nodes.pool("maxpool", "pool1", "lif1", 2)
    nodes.neurons("lif2", 32, _conv("pool1", **SQUARE), neuron)
    nodes.pool("maxpool", "pool2", "lif2", 2)
    nodes.neurons("out", 10, _linear("pool2"), neuron | {"reset": "subtract"})
    return GraphNetwork(name, 4, tuple(nodes.found))


def _cifar10(name: str) -> GraphNetwork:
    """Residual network of eight weighted layers: SEW ADD, and a shortcut and pooling before neurons."""
    nodes = _Nodes()
    neuron = {"leak_shift": 1}
    image = nodes.image(CIFAR, DIRECT | {"scale": 1 / 128})
    stem = nodes.currents("stem", 32, _conv(image, shift=IMAGE_SHIFT, **SQUARE))
    nodes.neurons("lif1", 32, [{"from": stem, "kind": "maxpool", "kernel": 2, "stride": 2}], neuron)
    nodes.neurons("lif2", 32, _conv("lif1", **SQUARE), neuron)
    nodes.neurons("lif3", 32, _conv("lif2", **SQUARE), neuron)
    nodes.neurons("lif4", 64, _conv(["lif1", "lif3"], stride=2, **SQUARE), neuron)
    nodes.neurons("lif5", 64, _conv("lif4", **SQUARE), neuron)
    nodes.neurons("lif6", 128, _conv(["lif4", "lif5"], stride=2, **SQUARE), neuron)
    shortcut = [*_conv("lif6", **SQUARE), _identity("lif6")]
    nodes.neurons("lif7", 128, shortcut, neuron | {"reset": "subtract"})
    nodes.currents("out", 10, _linear("lif7"))
    return GraphNetwork(name, 4, tuple(nodes.found))


def _direct(name: str, preset: str, timesteps: int) -> GraphNetwork:
    """Layers of a chain, with the image itself in the place of spikes; the last layer's sums are read out."""
    nodes = _Nodes()
    layers = load_network(preset).layers
    stream = nodes.image(layers[0].input_shape)
    for layer in layers:
        window = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
        shift = {"shift": IMAGE_SHIFT} if layer is layers[0] else {}
        if layer.is_pool:
            stream = nodes.pool(layer.kind, layer.name, stream, layer.kernel[0])
        elif layer is layers[-1]:
            stream = nodes.currents(layer.name, layer.out_channels, _linear(stream))
        else:
            synapses = _linear(stream) if layer.kind == "linear" else _conv(stream, **window, **shift)
            stream = nodes.neurons(layer.name, layer.out_channels, synapses)
    return GraphNetwork(name, timesteps, tuple(nodes.found))


_WIDE: dict[str, tuple[Callable[[str, int], GraphNetwork], int, int]] = {
    "sew-resnet18": (_sew_resnet18, 64, 1),
    "ms-resnet18": (_ms_resnet18, 64, 1),
    "recurrent-shd": (_recurrent, 128, 1),
    "spikformer-4-384": (_spikformer, 384, 32),
}
"""What makes a preset whose width can be chosen, its own width, and what that is a multiple of."""
_DIRECT = {"vgg9-direct": ("vgg9-cifar10", 4), "vgg16-direct": ("vgg16-cifar10", 4),
           "lenet5-direct": ("lenet5-mnist", 8)}  # fmt: skip
_SMALL = {"mnist": _mnist, "cifar10": _cifar10}
"""Those that are trained and come along (:mod:`spikex_sim.sources.trained_graphs`)."""


class _File(BaseModel):
    """A YAML file of a network's nodes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=200)
    timesteps: int = Field(ge=1)
    nodes: list[dict[str, Any]] = Field(min_length=1)


def graph_names() -> list[str]:
    """Names of the presets that are graphs."""
    return sorted([*_WIDE, *_DIRECT, *_SMALL])


def is_graph(name: str | Path) -> bool:
    """Whether a name is that of a preset, or a YAML file, with nodes in the place of layers."""
    if str(name) in graph_names():
        return True
    text = _yaml_text(Path(name))
    data = None if text is None else parse_yaml(text, str(name))
    return isinstance(data, dict) and "nodes" in data


def load_graph(name: str | Path) -> GraphNetwork:
    """Load a preset, or a YAML file with ``name``, ``timesteps`` and ``nodes`` as trace files have them.

    Raises
    ------
    ConfigError
        If there is neither, or the file is not of this form; nodes are checked when they are wired.
    """
    text = None if str(name) in graph_names() else _yaml_text(Path(name))
    if text is None:
        return graph_network(str(name))
    found = validated(_File, parse_yaml(text, str(name)), where=str(name), error=ConfigError)
    return GraphNetwork(found.name, found.timesteps, tuple(found.nodes))


def _yaml_text(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_YAML_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None


def graph_network(name: str, width: int | None = None) -> GraphNetwork:
    """Describe a preset.

    Parameters
    ----------
    name : str
        One of :func:`graph_names`.
    width : int, optional
        Channels of the first stage, of the recurrent layer, or of tokens.

    Raises
    ------
    ConfigError
        If there is no such preset, or it is not made in this width.
    """
    if name in _DIRECT or name in _SMALL:
        if width is not None:
            raise ConfigError(f"{name} has one width only; {', '.join(_WIDE)} have others", field="width")
        return _direct(name, *_DIRECT[name]) if name in _DIRECT else _SMALL[name](name)
    if name not in _WIDE:
        raise ConfigError(one_of(name, graph_names()), field="network")
    make, usual, multiple = _WIDE[name]
    width = usual if width is None else width
    if not 1 <= width <= MAX_WIDTH or width % multiple:
        raise ConfigError(
            f"must be a multiple of {multiple}, {multiple} to {MAX_WIDTH}, not {width}", field="width"
        )
    return make(name, width)
