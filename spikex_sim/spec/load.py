"""Presets, YAML files and dotted overrides become an :class:`Accelerator`; every mistake is named."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spikex_sim.core.errors import ConfigError, PluginError, UnusedKeyError
from spikex_sim.core.hints import closest, closest_path, meant
from spikex_sim.core.registry import plugin, plugin_names
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.validation import validated

MAX_YAML_BYTES = 1 << 20
MAX_BASES = 8
MAX_SHOWN = 200
MAX_NAME = 100
MAX_DIGITS = 64
"""Most characters of a number in YAML."""


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


# The scalars of YAML 1.2: by those of 1.1, 1:30 would be 90, 010 would be 8 and yes would be true.
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"null|Null|NULL|~|", "nN~"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
              "-+0123456789."),
}  # fmt: skip
_StrictLoader.yaml_implicit_resolvers = {}
for _kind, (_pattern, _starts) in _SCALARS.items():
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), [*_starts, ""]
    )


def _number(loader: _StrictLoader, node: yaml.ScalarNode) -> int | float:
    text = loader.construct_scalar(node)
    if len(text) > MAX_DIGITS:
        raise yaml.YAMLError(f"a number of {len(text)} digits (line {node.start_mark.line + 1})")
    if node.tag.endswith("float"):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _number)


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


def yaml_text(path: Path, what: str, where: str, missing: str = "no such file") -> str:
    """Text of a YAML file that holds so much.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it ought to be.
    where : str
        What messages name.
    missing : str
        What is said where it is not there.

    Raises
    ------
    ConfigError
        If it is not there, too large or no text.
    """
    where = shortened(where)
    try:
        if not path.is_file():
            raise ConfigError(missing, where=where)
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(f"larger than {MAX_YAML_BYTES} bytes, this is no {what}", where=where)
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(f"cannot be read: {reason}", where=where) from None


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

    Returns
    -------
    Accelerator
        Of the class that the machine's scheduler names (``options``): with the machine's own keys.

    Raises
    ------
    ConfigError
        Naming file and key; also for a key that the machine does not read, or that others make idle.
    """
    if isinstance(arch, Accelerator):
        where = arch.name
    elif str(arch) in _preset_names():
        where, arch = f"preset {arch}", _preset(str(arch))
    else:
        where, arch = str(arch), _from_file(str(arch))
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ConfigError("must map keys to values", where=where, field="overrides")
    return _changed(arch, overrides or {}, where)


@lru_cache
def _preset(name: str) -> Accelerator:
    return _from_file(name)


def _from_file(arch: str) -> Accelerator:
    given, own, where = _resolve(arch, MAX_BASES)
    options = options_of(given.get("scheduler", "spikex"), where)
    if arch in preset_names():
        own = {}  # a preset may say what takes effect with a key that the user sets
    return _made(options, _merge(options().model_dump(), given), own, where)


def _changed(arch: Accelerator, overrides: Mapping[str, Any], where: str) -> Accelerator:
    """Change some keys; those of another machine's configuration are taken over unless they are default."""
    options = options_of(_plain(overrides.get("scheduler", arch.scheduler)), where)
    if type(arch) is options and not overrides:
        return arch
    if not all(isinstance(value, str | int | float) for value in overrides.values()):
        return _build(arch, options, overrides, where)
    # Runs over many small traces ask for the same again and again. 1, 1.0 and True are not the same.
    given = tuple((key, type(value), value) for key, value in overrides.items())
    return _built_before(arch, options, given, where)


@lru_cache(maxsize=64)
def _built_before(
    arch: Accelerator, options: type[Accelerator], given: tuple[tuple[str, type, Any], ...], where: str
) -> Accelerator:
    return _build(arch, options, {key: value for key, _, value in given}, where)


def _build(
    arch: Accelerator, options: type[Accelerator], overrides: Mapping[str, Any], where: str
) -> Accelerator:
    data, stated = arch.model_dump(), dict[str, Any]()
    if type(arch) is not options:
        data = _merge(options().model_dump(), _difference(data, type(arch)().model_dump()))
    data["scheduler"] = _plain(overrides.get("scheduler", arch.scheduler))
    for key, value in overrides.items():
        if not isinstance(key, str):
            raise ConfigError(f"{key!r} is no configuration key", where=where, field="overrides")
        for target in (data, stated):
            _set(target, key, _plain(value))
    return _made(options, data, stated, where)


def _made(
    options: type[Accelerator], data: dict[str, Any], stated: dict[str, Any], where: str
) -> Accelerator:
    """Check and build a configuration; what is stated must have an effect, what is inherited need not."""
    keys = set(_dotted(stated))
    _check_keys(options, data, keys, where)
    made = validated(options, data, where=where, error=ConfigError)
    _check_effects(made, keys, where)
    return made


def options_of(scheduler: str, where: str = "") -> type[Accelerator]:
    """Class of the configurations of a machine.

    Raises
    ------
    ConfigError
        If there is no such plug-in, naming ``where``.
    """
    try:
        options = getattr(plugin("accelerators", scheduler), "options", None)
    except ConfigError as exc:
        raise ConfigError(str(exc), where=where) from None
    if not isinstance(options, type) or not issubclass(options, Accelerator):
        raise PluginError(f"plug-in scheduler '{scheduler}' failed: its options are no class of Accelerator")
    return options


def _check_effects(accelerator: Accelerator, stated: Collection[str], where: str) -> None:
    """Check that none of the stated keys was changed to no effect."""
    usual = _values(type(accelerator)())
    changed = [key for key, value in _values(accelerator).items() if key in stated and value != usual[key]]
    for idle, reason in accelerator.without_effect():
        for key in changed:
            if key == idle or key.startswith(f"{idle}."):
                raise UnusedKeyError(f"has no effect: {reason}", where=where, field=key, idle=True)


def _resolve(arch: str, depth: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What a preset or file says with its bases, what it says itself, and its name for messages."""
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
        return data, data, where
    if not isinstance(base, str):
        raise ConfigError("must name a preset or a file", where=where, field="base")
    if base not in presets and not Path(base).is_absolute() and arch not in presets:
        base = str(Path(arch).parent / base)
    inherited, _, _ = _resolve(base, depth - 1)
    return _merge(inherited, data), data, where


def _read_file(arch: str, presets: list[str]) -> str:
    missing = f"no such preset ({', '.join(presets)}) and no such file{closest_path(arch, presets)}"
    return yaml_text(Path(arch), "configuration", f"arch {arch}", missing)


def _merge(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in other.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _dotted(data: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Keys of nested mappings, sections and what is below them."""
    for key, value in data.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{path}{key}.")


def _difference(data: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """What is not as usual."""
    return {
        key: _difference(value, usual[key]) if isinstance(usual[key], dict) else value
        for key, value in data.items()
        if value != usual[key]
    }


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
            raise ConfigError("unknown configuration key", field=key)
        data[parent] = child = dict(child)
        data = child
    data[last] = value


def _check_keys(
    options: type[Accelerator], data: dict[str, Any], stated: Collection[str], where: str
) -> None:
    """Check that the machine reads all keys; say who reads the first that it does not, or what was meant."""
    for key in (*_not_read(options, data), *_unread(options, data, stated)):
        readers = [name for name in plugin_names("accelerators") if _reads(name, key)]
        if not readers:
            raise _unknown(options, key, stated, where)
        given = max((one for one in stated if one.startswith(f"{key}.")), default=key)
        message = f"not read by the machine {data['scheduler']}, but by {', '.join(readers)}"
        message += "" if given in stated else " (inherited)"
        raise UnusedKeyError(message, where=where, field=given)


def _unread(options: type[Accelerator], data: dict[str, Any], stated: Collection[str]) -> Iterator[str]:
    """Common keys that the machine does not read, and that are stated or differ from what is usual."""
    usual = dict(_leaves(options().model_dump())) if options.unread else {}
    for key, value in _leaves(data) if usual else ():
        if not options.reads(key) and (key in stated or value != usual.get(key)):
            yield key


def _leaves(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Keys that have no keys below them, and their values."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _unknown(options: type[Accelerator], key: str, stated: Collection[str], where: str) -> UnusedKeyError:
    """Mistake about a key, or the one given in a section, that nobody reads: which was meant."""
    given = max((one for one in stated if one.startswith(f"{key}.")), default=key)
    known, leaf = list(_values(options())), given.rsplit(".", 1)[-1]
    same = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    message = f"unknown configuration key{closest(given, known) or meant(same)}"
    return UnusedKeyError(message, where=where, field=given)


def _not_read(model: type[BaseModel], data: dict[str, Any], path: str = "") -> Iterator[str]:
    """Keys of nested data that a model does not have."""
    for key, value in data.items():
        known = key in model.model_fields
        section = section_of(model.model_fields[key]) if known else BaseModel
        if section is not None and isinstance(value, dict) and value:
            yield from _not_read(section, value, f"{path}{key}.")
        elif not known:
            yield f"{path}{key}"


def _reads(scheduler: str, key: str) -> bool:
    """Whether a machine reads a key or one below it; not if its plug-in cannot be loaded."""
    try:
        known = _values(options_of(scheduler)())
    except ConfigError:
        return False
    return any(name == key or name.startswith(f"{key}.") for name in known)


def section_of(info: FieldInfo) -> type[BaseModel] | None:
    """Class of a key that has keys below it."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def describe_keys(accelerator: Accelerator) -> Iterator[tuple[str, FieldInfo, Any]]:
    """Yield every dotted key of a configuration with its field description and value, in order."""
    for key, info, value in _describe(accelerator, ()):
        if type(accelerator).reads(key):
            yield key, info, value


def _describe(spec: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[str, FieldInfo, Any]]:
    for name, info in type(spec).model_fields.items():
        value = getattr(spec, name)
        if section_of(info) is not None:
            yield from _describe(value, (*path, name))
        else:
            yield ".".join((*path, name)), info, value


def _values(accelerator: Accelerator) -> dict[str, Any]:
    return {key: value for key, _, value in describe_keys(accelerator)}
