"""Units: the program's own (pJ, cycles, bits) in figures that people read."""

from __future__ import annotations

from collections.abc import Iterable

PJ_PER_J = 1e12
_PREFIXES = (
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)


def prefix_of(value: float, unit: str) -> tuple[float, str]:
    """Divisor and unit with the metric prefix that suit a value in its base unit."""
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale:
            return scale, f"{prefix}{unit}"
    return 1.0, unit


def with_prefix(value: float, unit: str, digits: int = 4) -> str:
    """Format a value in its base unit with a metric prefix, e.g. ``1.234 µJ``."""
    scale, prefixed = prefix_of(value, unit)
    return f"{value / scale:.{digits}g} {prefixed}"


def joules(energy_pj: float) -> str:
    """Format an energy given in pJ."""
    return with_prefix(energy_pj / PJ_PER_J, "J")


def sides(shape: Iterable[int]) -> str:
    """Format a shape, e.g. ``2x34x34``."""
    return "x".join(map(str, shape))
