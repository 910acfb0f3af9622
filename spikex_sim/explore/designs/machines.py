"""From a choice to a machine's configuration; and what can be said against a space before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikex_sim.core.errors import ConfigError, UnusedKeyError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.explore.designs.space import ARCH, Genes, Key, Space, Values, identity, is_there
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator, preset_names

TRIES = 8
"""Draws in which a key has to have an effect."""
MOST_TRIED = 64
"""Values of a key that are tried by themselves; of more the first and the last."""


@dataclass(frozen=True)
class Design:
    """A point: what was chosen, and the machine that it makes.

    Attributes
    ----------
    values : mapping of str to Any
        Keys that have an effect, and their values.
    arch : Accelerator or None
        Configuration.
    error : str
        Why there is none; empty if there is.
    """

    values: FrozenMap[str, Any]
    arch: Accelerator | None
    error: str = ""

    @cached_property
    def identity(self) -> str:
        """Text that tells it from others: its configuration, or without one what was chosen."""
        return identity(self.arch.model_dump(mode="json") if self.arch is not None else self.values)


class Designs:
    """Makes configurations of choices.

    Parameters
    ----------
    space : Space
        Keys and values.
    arch : str, Path or Accelerator
        Machine, where it is no key.
    overrides : mapping, optional
        Configuration keys that are the same for all points, beside those of the space.

    Raises
    ------
    ConfigError
        If something is the same for all points and chosen, too.
    """

    def __init__(
        self,
        space: Space,
        arch: str | Path | Accelerator = "spikex",
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.space, self._arch = space, arch
        for key in overrides or {}:
            if key in space.named or key in space.fixed:
                raise ConfigError(f"is set, and stands in {space.where}, too", field=key)
        self.fixed = {**space.fixed, **(overrides or {})}
        self._presets = set(preset_names())

    def of(self, genes: Genes) -> Design:
        """Make a configuration; keys that others make idle are left out."""
        values = self.space.values(genes)
        while True:
            try:
                arch = self.load(values)
            except UnusedKeyError as exc:
                if exc.idle and exc.key in values:
                    del values[exc.key]
                    continue
                if exc.idle and exc.key in self.fixed:
                    raise ConfigError(
                        f"{exc}; make it a key with when", where=self.space.where, field="set"
                    ) from None
                return Design(FrozenMap(values), None, str(exc))
            except ConfigError as exc:
                return Design(FrozenMap(values), None, str(exc))
            idle = [key for key, _ in arch.without_effect()]
            there = {
                key: value
                for key, value in values.items()
                if not any(key == one or key.startswith(f"{one}.") for one in idle)
            }
            return Design(FrozenMap(there), arch)

    def load(self, values: Values) -> Accelerator:
        """Load a configuration.

        Raises
        ------
        ConfigError
            If it is none.
        """
        own = {key: value for key, value in values.items() if key != ARCH}
        return load_accelerator(self.machine(values), {**self.fixed, **own})

    def machine(self, values: Values) -> str | Path | Accelerator:
        """Machine of a point."""
        if ARCH not in values:
            return self._arch
        name = str(values[ARCH])
        return name if name in self._presets else str(self.space.folder / name)

    def check(self) -> None:
        """Raise what is wrong with all points that have a certain key, or with all of a machine.

        Raises
        ------
        ConfigError
            Naming the key: no machine reads it, one does not on which it is chosen, it never has an effect,
            or a value is none.
        """
        machines = self.space.named[ARCH].values if ARCH in self.space.named else (None,)
        for machine in machines:
            here = {} if machine is None else {ARCH: machine}
            try:
                load_accelerator(self.machine(here))
            except ConfigError as exc:
                if machine is None:
                    raise
                raise ConfigError(str(exc), where=self.space.where, field=f"keys.{ARCH}") from None
        for key in self.space.keys:
            if key.name != ARCH:
                self._check_values(key)
                self._check_effect(key, [one for one in machines if self._on(key, one)])

    def _on(self, key: Key, machine: Any) -> bool:
        """Whether a key is ever there on a machine."""
        return machine is None or any(
            is_there(key, values) and values.get(ARCH) == machine for values in self.space.cases()
        ) or ARCH not in self.space.parents  # fmt: skip

    def _check_values(self, key: Key) -> None:
        """Try values by themselves, on the first machine that has the key."""
        first = next((values for values in self.space.cases() if is_there(key, values)), {})
        if ARCH in self.space.named:
            first = {ARCH: self.space.named[ARCH].values[0], **first}
        values = key.values or (key.low, key.high)
        for value in values if len(values) <= MOST_TRIED else (values[0], values[-1]):
            try:
                self.load({**first, key.name: value})
            except UnusedKeyError:
                continue
            except ConfigError as exc:
                _, own, told = f": {exc}".partition(f": {key.name}: ")
                if own:  # of another key it may be another point's
                    raise ConfigError(told, where=self.space.where, field=f"keys.{key.name}") from None

    def _check_effect(self, key: Key, machines: list[Any]) -> None:
        """Try points that have the key."""
        rng = np.random.default_rng(0)
        why = ""
        effective = False
        for machine in machines:
            for genes in self._with(key, machine, rng):
                try:
                    self.load(self.space.values(genes))
                except UnusedKeyError as exc:
                    if exc.key == key.name and not exc.idle:
                        raise self._unread(key, exc) from None
                except ConfigError:
                    effective = True  # of which nothing can be said here
                    continue
                design = self.of(genes)
                if design.arch is None or key.name in design.values:
                    effective = True
                    break
                why = next(
                    (reason for one, reason in design.arch.without_effect()
                     if key.name == one or key.name.startswith(f"{one}.")), why,
                )  # fmt: skip
        if not effective:
            raise ConfigError(
                f"has no effect at any point: {why}", where=self.space.where, field=f"keys.{key.name}"
            )

    def _with(self, key: Key, machine: Any, rng: np.random.Generator) -> Iterator[Genes]:
        """Choices that have a key, on a machine."""
        cases = [
            values
            for values in self.space.cases()
            if is_there(key, values) and (ARCH not in values or values[ARCH] == machine)
        ]
        for _ in range(TRIES):
            genes = self.space.draw(rng)
            case = {**cases[int(rng.integers(len(cases)))]} if cases else {}
            if machine is not None:
                case[ARCH] = machine
            for name, value in case.items():
                values = self.space.named[name].values
                genes[name] = next(at for at, one in enumerate(values) if one is value or one == value)
            yield genes

    def _unread(self, key: Key, exc: UnusedKeyError) -> ConfigError:
        told = str(exc).partition(f": {key.name}: ")[2] or str(exc)
        several = ARCH in self.space.named and len(self.space.named[ARCH].values) > 1
        hint = "; say when: {arch: [...]} of those that do" if several and "but by" in told else ""
        return ConfigError(f"{told}{hint}", where=self.space.where, field=f"keys.{key.name}")
