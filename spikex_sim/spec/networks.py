"""Network presets: the shapes of Table II of the SpikeX paper, or a YAML file of the same form."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from spikex_sim.errors import ConfigError
from spikex_sim.spec.load import MAX_YAML_BYTES, parse_yaml
from spikex_sim.spec.validation import validated
from spikex_sim.spec.workload import Layer, Neuron

DEFAULT_NEURON = Neuron(threshold=0, leak_shift=3)
"""Stands in where a network file leaves the neuron open; thresholds are set when spikes are known."""


class Network(BaseModel):
    """Layers of a network and the time points it is usually run for.

    Attributes
    ----------
    name : str
        Name of the preset.
    timesteps : int
        Time points ``T``.
    layers : tuple of Layer
        In order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    timesteps: int = Field(ge=1)
    layers: tuple[Layer, ...] = Field(min_length=1)

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
        path = Path(name)
        try:
            if not path.is_file():
                close = difflib.get_close_matches(str(name), presets, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ConfigError(
                    f"no such preset ({', '.join(presets)}) and no such file{hint}", where=f"network {name}"
                )
            if path.stat().st_size > MAX_YAML_BYTES:
                raise ConfigError("is too large for a network description", where=str(name))
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            raise ConfigError(f"cannot be read: {exc}", where=str(name)) from None
    return validated(Network, parse_yaml(text, str(name)), where=str(name), error=ConfigError)
