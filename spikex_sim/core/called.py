"""Packages that are called as the function of their name."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    """Is called as a function of one of its modules, and says what that does."""

    _home: str

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.__wrapped__(*given, **named)

    @property
    def __wrapped__(self) -> Any:  # which inspect and help read
        return getattr(importlib.import_module(self._home), self.__name__.rpartition(".")[2])


def call(package: str, home: str) -> None:
    """Let a package be called as the function of its own name in the module ``home``.

    Importing any module of ``spikex_sim.report`` makes the package the attribute of that name of
    ``spikex_sim``, where users find a function.
    """
    module = sys.modules[package]
    module.__class__ = _Called
    module._home = home  # type: ignore[attr-defined]
