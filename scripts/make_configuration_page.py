"""Rewrite the tables of configuration keys in docs/configuration.md from the program's own description."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pages import keep_in_step
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spikex_sim.core.registry import built_in_names
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import describe_keys, options_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
START, END = "<!-- keys: made by scripts/make_configuration_page.py -->", "<!-- end of keys -->"
NOT_THERE = object()
LARGEST_SHOWN = 1_000_000
"""Limits from here on only keep out mistakes and are not shown."""


def tables() -> str:
    """The keys that all machines read, and those of each."""
    common = list(describe_keys(Accelerator()))
    known = {key: default for key, _, default in common}
    parts = [table(common)]
    for name in built_in_names("accelerators"):
        own = [item for item in describe_keys(options_of(name)()) if item[2] != known.get(item[0], NOT_THERE)]
        if own:
            parts.append(f"### {name}\n\n{table(own)}")
    return "\n\n".join(parts)


def table(keys: list[tuple[str, FieldInfo, Any]]) -> str:
    """Keys with default, unit, accepted values and meaning, as a Markdown table."""
    rows = ["| key | default | unit | accepts | meaning |", "|---|---|---|---|---|"]
    for key, info, default in keys:
        extra = info.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        cells = (f"`{key}`", f"`{_yaml(default)}`", unit, _accepts(info), info.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def rewritten(page: str) -> str:
    """Put the current tables between the page's two markers."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{tables()}\n\n{END}{after}"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _accepts(info: FieldInfo) -> str:
    limits: dict[str, Any] = {}
    for constraint in info.metadata:
        for name in ("ge", "gt", "le"):
            if getattr(constraint, name, None) is not None:
                limits[name] = getattr(constraint, name)
    return ", ".join(_kinds(info.annotation, limits))


def _kinds(annotation: Any, limits: dict[str, Any]) -> list[str]:
    if get_origin(annotation) is Literal:
        return [f"`{value}`" for value in get_args(annotation)]
    if get_origin(annotation) is tuple:
        return ["a list of them"]
    if get_args(annotation):
        return [text for part in get_args(annotation) for text in _kinds(part, limits)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ["{" + ", ".join(annotation.model_fields) + "} in whole bytes"]
    plain = {type(None): "null", bool: "`true`, `false`", str: "text", int: "whole number", float: "number"}[
        annotation
    ]
    low = f"from {limits['ge']:g}" if "ge" in limits else f"above {limits['gt']:g}" if "gt" in limits else ""
    high = f"to {limits['le']:,.0f}" if limits.get("le", LARGEST_SHOWN) < LARGEST_SHOWN else ""
    return [" ".join(part for part in (plain, low, high) if part)]


if __name__ == "__main__":
    keep_in_step(PAGE, rewritten, "make_configuration_page", __doc__)
