"""Two results side by side."""

from __future__ import annotations

from typing import Any


def differences(now: Any, then: Any, where: str = "") -> list[str]:
    """Every place where two results differ, the numbers side by side."""
    if isinstance(now, dict) and isinstance(then, dict):
        keys = [*then, *(key for key in now if key not in then)]
        missing = object()
        return [
            line
            for key in keys
            for line in differences(now.get(key, missing), then.get(key, missing), f"{where}.{key}")
        ]
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [
            line
            for i, pair in enumerate(zip(now, then, strict=True))
            for line in differences(*pair, f"{where}[{i}]")
        ]
    return [] if now == then else [f"{where.lstrip('.')}: was {then}, is {now}"]
