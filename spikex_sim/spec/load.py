"""Presets, YAML files and dotted overrides become an :class:`Accelerator`; every mistake is named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spikex_sim.core.errors import ConfigError
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.validation import validated

MAX_YAML_BYTES = 1 << 20
MAX_BASES = 8
MAX_SHOWN = 200
MAX_NAME = 100


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without aliases and without silently dropped duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"key {key!r} is not text (line {key_node.start_mark.line + 1})")
            if key in seen:
                raise yaml.YAMLError(f"duplicate key '{key}' (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",  # YAML 1.1 wants a dot in 1e3; people do not write one
    re.compile(r"^[-+]?\d[\d_]*(?:\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def shortened(text: str) -> str:
    """Cut a text that is to stand in a message."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def parse_yaml(text: str, where: str) -> Any:
    """Parse safe YAML; duplicate keys, aliases and syntax errors raise :class:`ConfigError`."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except Exception as exc:  # what PyYAML's constructors raise for broken scalars is not documented
        message = str(exc) if isinstance(exc, yaml.YAMLError | ValueError) else ""
        raise ConfigError(message or "is not valid YAML", where=shortened(where)) from None


def preset_names() -> list[str]:
    """Names of the accelerator presets that ship with the package."""
    return list(_preset_names())


@lru_cache
def _preset_names() -> tuple[str, ...]:
    names = (item.name for item in (resources.files("spikex_sim.spec") / "presets").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@lru_cache
def _preset_data(name: str) -> Any:
    """What the file of a preset says; not to be changed."""
    text = (resources.files("spikex_sim.spec") / "presets" / f"{name}.yaml").read_text("utf-8")
    return parse_yaml(text, f"preset {name}")


@lru_cache
def _preset(name: str) -> Accelerator:
    return _built(name, {})


def load_accelerator(
    arch: str | Path | Accelerator = "spikex", overrides: Mapping[str, Any] | None = None
) -> Accelerator:
    """Build an accelerator from a preset name, a YAML file or another accelerator.

    Parameters
    ----------
    arch : str, Path or Accelerator
        Preset name (:func:`preset_names`), path of a YAML file (``base: spikex`` and the keys that
        differ; named after the file unless it says ``name``), or a configuration.
    overrides : mapping, optional
        Dotted key to value, e.g. ``{"array.rows": 16}``.

    Raises
    ------
    ConfigError
        Naming file and key.
    """
    if not overrides and isinstance(arch, str) and arch in _preset_names():
        return _preset(arch)
    return _built(arch, overrides)


def _built(arch: str | Path | Accelerator, overrides: Mapping[str, Any] | None) -> Accelerator:
    if isinstance(arch, Accelerator):
        if not overrides:
            return arch
        data, where = arch.model_dump(), arch.name
    else:
        given, where = _resolve(str(arch), MAX_BASES)
        data = _merge(Accelerator().model_dump(), given)
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ConfigError("must map keys to values", where=where, field="overrides")
    for key, value in (overrides or {}).items():
        if not isinstance(key, str):
            raise ConfigError(f"{key!r} is no configuration key", where=where, field="overrides")
        _set(data, key, _plain(value))
    _check_keys(Accelerator, data, where, ())
    return validated(Accelerator, data, where=where, error=ConfigError)


def _resolve(arch: str, depth: int) -> tuple[dict[str, Any], str]:
    if depth == 0:
        raise ConfigError("bases refer to each other", where=arch, field="base")
    presets = preset_names()
    if arch in presets:
        where, data = f"preset {arch}", dict(_preset_data(arch))
    else:
        where, data = arch, parse_yaml(_read_file(arch, presets), arch)
    if not isinstance(data, dict):
        raise ConfigError("must be a mapping of keys to values", where=where)
    data.setdefault("name", Path(arch).stem[:MAX_NAME])
    base = data.pop("base", None)
    if base is None:
        return data, where
    if not isinstance(base, str):
        raise ConfigError("must name a preset or a file", where=where, field="base")
    if base not in presets and not Path(base).is_absolute() and arch not in presets:
        base = str(Path(arch).parent / base)
    inherited, _ = _resolve(base, depth - 1)
    return _merge(inherited, data), where


def _read_file(arch: str, presets: list[str]) -> str:
    path = Path(arch)
    try:
        if not path.is_file():
            close = difflib.get_close_matches(arch, presets, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(
                f"no such preset ({', '.join(presets)}) and no such file{hint}",
                where=f"arch {shortened(arch)}",
            )
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(f"larger than {MAX_YAML_BYTES} bytes, this is no configuration", where=arch)
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(f"cannot be read: {reason}", where=f"arch {shortened(arch)}") from None


def _merge(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in other.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _plain(value: Any) -> Any:
    """Turn numpy scalars, and sequences of them, into what a configuration file would hold."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _set(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        child = data.get(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(_unknown(key), field=key)
        data[parent] = child = dict(child)
        data = child
    data[last] = value


def _check_keys(model: type[BaseModel], data: dict[str, Any], where: str, path: tuple[str, ...]) -> None:
    for key, value in data.items():
        full = ".".join((*path, str(key)))
        if key not in model.model_fields:
            raise ConfigError(_unknown(full), where=where, field=full)
        kind = model.model_fields[key].annotation
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            _check_keys(kind, value, where, (*path, key))


def _unknown(key: str) -> str:
    known = [name for name, _, _ in describe_keys()]
    leaf = key.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(key, known, 1) or [k for k in known if k.rsplit(".", 1)[-1] == leaf]
    return f"unknown configuration key{f'; did you mean {close[0]}?' if close else ''}"


def describe_keys() -> Iterator[tuple[str, FieldInfo, Any]]:
    """Yield every dotted key with its field description and default value, in order."""
    yield from _describe(Accelerator(), ())


def _describe(spec: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[str, FieldInfo, Any]]:
    for name, info in type(spec).model_fields.items():
        value = getattr(spec, name)
        if isinstance(value, BaseModel):
            yield from _describe(value, (*path, name))
        else:
            yield ".".join((*path, name)), info, value


def value_of(spec: BaseModel, key: str) -> Any:
    """Value of a dotted key in a configuration."""
    value: Any = spec
    for name in key.split("."):
        value = getattr(value, name)
    return value
