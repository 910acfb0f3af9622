"""Network presets, or YAML files of the same form: layers, how they are connected, how busy they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import closest, closest_path
from spikex_sim.spec.load import parse_yaml, yaml_text
from spikex_sim.spec.validation import MAX_SHOWN, validated
from spikex_sim.spec.workload import Layer, Neuron

DEFAULT_NEURON = Neuron(threshold=0, leak_shift=3)
"""Stands in where a network file leaves the neuron open; thresholds are set when spikes are known."""
INPUT = "input"
"""Name by which a layer can take the network's input."""
NETWORK_INPUT = -1
"""Stands for the network's input where sources are indices."""


class Network(BaseModel):
    """Layers of a network as a directed graph, and the time points it is usually run for.

    A layer takes the spikes of the layer before it in the list, the first one the network's input. In a
    network file, ``from`` names another source, or several of equal shape. The spikes of several sources
    are joined by OR, as a residual connection that keeps spikes binary. That is this simulator's choice:
    spike-element-wise ResNets (Fang et al., NeurIPS 2021) join spikes by ADD, AND or IAND, networks with
    membrane shortcuts add currents instead. Costs depend on the choice through the firing rates alone.

    Attributes
    ----------
    name : str
        Name of the preset.
    timesteps : int
        Time points ``T``.
    layers : tuple of Layer
        In order; a layer comes after its sources.
    sources : dict of str to tuple of str
        Layer to the layers whose spikes it takes (:data:`INPUT`: the network's input), where that is not
        simply the layer before it. In a network file: ``from``, at the layer.
    rates : dict of str to float
        Layer to the firing rate, per neuron and time point, of the spikes that enter it, 0 to 1, for
        generated spikes. In a network file: ``rate``, at the layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    timesteps: int = Field(ge=1)
    layers: tuple[Layer, ...] = Field(min_length=1)
    sources: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rates: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _take_wiring_from_the_layers(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("layers"), list):
            return data
        for key in ("sources", "rates"):
            if key in data:
                raise ValueError(f"{key}: unknown key; 'from' and 'rate' stand at the layers")
        layers = [dict(item) if isinstance(item, dict) else item for item in data["layers"]]
        return {
            **data,
            "layers": layers,
            "sources": _taken_out(layers, "from", _source_names),
            "rates": _taken_out(layers, "rate", _rate),
        }

    @field_validator("layers", mode="before")
    @classmethod
    def _give_neurons(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return tuple(
            {"neuron": DEFAULT_NEURON, **item}
            if isinstance(item, dict) and item.get("kind") in ("conv", "linear")
            else item
            for item in value
        )

    @model_validator(mode="after")
    def _graph_is_consistent(self) -> Network:
        if self.sources or self.rates:
            _check_names(self)
        _predecessors(self.layers, self.sources)
        quiet = sorted(set(range(len(self.layers))) - set(self.open_loop_layers))
        for index in quiet:
            if self.layers[index].name in self.rates:
                raise ValueError(
                    f"layers.{index}.rate: no spikes are generated for this layer; a maxpool passes spikes "
                    "on, and what follows an avgpool takes the rate of the avgpool"
                )
        return self

    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Sources of every layer, as indices of earlier layers or :data:`NETWORK_INPUT`.

        Raises
        ------
        ConfigError
            If the layers do not fit together; only a copy made with other layers can be so.
        """
        try:
            return _predecessors(self.layers, self.sources)
        except ValueError as exc:
            raise ConfigError(str(exc), where=f"network {self.name}") from None

    @property
    def open_loop_layers(self) -> tuple[int, ...]:
        """Indices of the layers whose entering spikes an open-loop trace holds.

        These are the first layer, all conv and linear layers, and instead of one that follows an avgpool
        the avgpool, because the two are executed as one layer (:mod:`spikex_sim.trace.fold`).
        """
        kinds = [layer.kind for layer in self.layers]
        return tuple(
            index
            for index, kind in enumerate(kinds)
            if index == 0 or (kind != "maxpool" and kinds[index - 1] != "avgpool")
        )

    def only(self, name: str) -> Network:
        """Make a network of one of the layers.

        Raises
        ------
        ConfigError
            If there is no layer of that name.
        """
        for layer in self.layers:
            if layer.name == name:
                return self.model_copy(
                    update={"name": f"{self.name}-{name}", "layers": (layer,), "sources": {}}
                )
        names = [layer.name for layer in self.layers]
        raise ConfigError(
            f"has no layer '{name}'; there are {', '.join(names)}{closest(name, names)}",
            where=f"network {self.name}",
        )


def _taken_out(layers: list[Any], key: str, read: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Remove a key from all layer descriptions that have it; its values by the layer's name."""
    found = {}
    for index, item in enumerate(layers):
        value = item.pop(key, None) if isinstance(item, dict) else None
        if value is not None:
            found[str(item.get("name"))] = read(value, f"layers.{index}.{key}")
    return found


def _source_names(value: Any, key: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key}: must be the name of a layer before it, or a list of such names")
    if len(set(names)) < len(names):
        raise ValueError(f"{key}: names a layer twice")
    return names


def _rate(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{key}: must be a number from 0 to 1, not {_shown(value)}")
    return float(value)


def _check_names(network: Network) -> None:
    """Raise :class:`ValueError` if a name does not say which layer is meant."""
    first: dict[str, int] = {}
    for index, layer in enumerate(network.layers):
        if layer.name == INPUT:
            raise ValueError(f"layers.{index}.name: '{INPUT}' stands for the network's input; choose another")
        if layer.name in first:
            raise ValueError(
                f"layers.{index}.name: {_shown(layer.name)} is layer {first[layer.name]} already; 'from' and "
                "'rate' need names that differ"
            )
        first[layer.name] = index
    for key, named in (("sources", network.sources), ("rates", network.rates)):
        for name in named:
            if name not in first:
                raise ValueError(f"{key}: there is no layer {_shown(name)}")


def _predecessors(
    layers: Sequence[Layer], sources: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[int, ...], ...]:
    """Resolve the sources of every layer; :class:`ValueError` if they are not there or do not fit."""
    places = {INPUT: NETWORK_INPUT}
    predecessors = []
    for index, layer in enumerate(layers):
        taken: tuple[int, ...] = (index - 1,)
        if layer.name in sources:
            for name in sources[layer.name]:
                if name not in places:
                    raise ValueError(f"layers.{index}.from: {_why_not(name, index, layers)}")
            taken = tuple(places[name] for name in sources[layer.name])
        _check_fit(layers, index, taken)
        places[layer.name] = index
        predecessors.append(taken)
    return tuple(predecessors)


def _why_not(name: str, index: int, layers: Sequence[Layer]) -> str:
    """Say why a layer cannot take the spikes of a name that does not stand before it."""
    names = [layer.name for layer in layers]
    if name in names[index:]:
        return f"{_shown(name)} does not come before it in the list"
    return f"there is no layer {_shown(name)}{closest(name, [INPUT, *names[:index]])}"


def _check_fit(layers: Sequence[Layer], index: int, taken: tuple[int, ...]) -> None:
    """Raise :class:`ValueError` unless a layer can take the spikes of its sources."""
    key, layer = f"layers.{index}", layers[index]
    shapes = [
        layers[0].input_shape if source == NETWORK_INPUT else layers[source].output_shape for source in taken
    ]
    for shape in shapes[1:]:
        if shape != shapes[0]:
            raise ValueError(
                f"{key}.from: only spikes of one shape can be joined, not {_sides(shapes[0])} and "
                f"{_sides(shape)}"
            )
    if not layer.takes(shapes[0]):
        raise ValueError(
            f"{key}: takes spikes of shape {_sides(layer.input_shape)}, but is given {_sides(shapes[0])}"
        )
    if layer.kind == "avgpool" and (index + 1 == len(layers) or layers[index + 1].is_pool):
        raise ValueError(f"{key}: an avgpool needs a conv or linear layer after it to be folded into")
    pools = {source for source in (index - 1, *taken) if source >= 0 and layers[source].kind == "avgpool"}
    if pools and taken != (index - 1,):
        raise ValueError(
            f"{key}.from: an avgpool is folded into the layer after it in the list, which takes it alone"
        )


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def network_names() -> list[str]:
    """Names of the network presets."""
    folder = resources.files("spikex_sim.spec") / "networks"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_network(name: str | Path) -> Network:
    """Load a network preset, or a YAML file of the same form.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    presets = network_names()
    if str(name) in presets:
        text = (resources.files("spikex_sim.spec") / "networks" / f"{name}.yaml").read_text("utf-8")
    else:
        missing = f"no such preset ({', '.join(presets)}) and no such file{closest_path(name, presets)}"
        text = yaml_text(Path(name), "description of a network", f"network {name}", missing)
    return validated(Network, parse_yaml(text, str(name)), where=str(name), error=ConfigError)
