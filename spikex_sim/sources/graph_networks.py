"""Networks that are graphs, as presets or YAML files: nodes as in trace files of version 2, without data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from spikex_sim.core.errors import ConfigError
from spikex_sim.core.hints import closest_path
from spikex_sim.spec.graph import Node
from spikex_sim.spec.load import MAX_YAML_BYTES, parse_yaml
from spikex_sim.spec.validation import validated
from spikex_sim.trace.graph import nodes_of
from spikex_sim.trace.meta import MAX_NODES, ONE_LINE
from spikex_sim.trace.trace import MAX_TIMESTEPS
from spikex_sim.trace.wiring import Wiring, wired


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200), ONE_LINE]
    timesteps: int = Field(ge=1, le=MAX_TIMESTEPS)
    nodes: Annotated[list[Any], Field(min_length=1, max_length=MAX_NODES)]


@dataclass(frozen=True)
class GraphNetwork:
    """Nodes of a network and the time points it is usually run for.

    Attributes
    ----------
    name : str
        Of the preset.
    timesteps : int
        Time points ``T``.
    nodes : tuple of Node
        In an order in which they can be computed; the last one is the output.
    where : str
        File named in messages.
    """

    name: str
    timesteps: int
    nodes: tuple[Node, ...]
    where: str = "network"

    @cached_property
    def wiring(self) -> Wiring:
        """How the nodes fit together; :class:`TraceError` if they do not."""
        return wired(self.nodes, self.timesteps, self.where)

    def lasting(self, timesteps: int | None) -> GraphNetwork:
        """Make the same network of other time points, where some are given."""
        return self if timesteps is None else replace(self, timesteps=timesteps)


def graph_network_names() -> list[str]:
    """Names of the presets that are graphs."""
    folder = resources.files("spikex_sim.spec") / "graphs"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def is_graph_network(name: str | Path) -> bool:
    """Whether a name is that of a preset, or a file, with nodes in the place of layers."""
    if str(name) in graph_network_names():
        return True
    path = Path(name)
    if not path.is_file() or path.stat().st_size > MAX_YAML_BYTES:
        return False
    data = parse_yaml(_read(path), str(name))
    return isinstance(data, Mapping) and "nodes" in data


def load_graph_network(name: str | Path) -> GraphNetwork:
    """Load a preset, or a YAML file of the same form: ``name``, ``timesteps`` and ``nodes``.

    Raises
    ------
    SpikexError
        Naming the file and the key.
    """
    presets = graph_network_names()
    if str(name) in presets:
        text = (resources.files("spikex_sim.spec") / "graphs" / f"{name}.yaml").read_text("utf-8")
    elif Path(name).is_file():
        text = _read(Path(name))
    else:
        raise ConfigError(
            f"no such preset ({', '.join(presets)}) and no such file{closest_path(name, presets)}",
            where=f"network {name}",
        )
    where = str(name)
    found = validated(_File, parse_yaml(text, where), where=where, error=ConfigError)
    network = GraphNetwork(found.name, found.timesteps, nodes_of(found.nodes, where), where)
    network.wiring  # noqa: B018 - what does not fit together is said here
    return network


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError("is too large for a network description", where=str(path))
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", where=str(path)) from None
