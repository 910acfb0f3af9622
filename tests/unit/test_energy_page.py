"""The tables of docs/energy.md about the array's own parts are those that runs and rows give."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import spikex_sim as sx
from doc_pages import read
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.units import joules
from spikex_sim.costs.gates import Gates
from spikex_sim.data import default_trace_path

PARTS = ("lif", "deskew", "handover", "window_table", "scanner")


@lru_cache
def totals(arch: str, **keys: Any) -> sx.Totals:
    """Of the packaged digit."""
    return sx.simulate(default_trace_path(), arch, overrides=dict(keys)).totals


def line(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def clock_lines() -> list[str]:
    found = []
    for gating in ("perfect", "busy", "none"):
        runs = [totals(arch, clock_gating=gating) for arch in ("spikex", "ptb")]
        cells = [
            (joules(one.energy_pj_by.get("clock", 0.0)) if gating != "perfect" else "",
             joules(one.energy_on_chip_pj), joules(one.energy_pj))
            for one in runs
        ]  # fmt: skip
        found.append(line(f"`{gating}`", *cells[0], *cells[1]))
    return found


def ratio_lines() -> list[str]:
    found = []
    for gating in ("perfect", "busy", "none"):
        ratios = []
        for keys in ({}, {"tws": "auto"}, {"tws": 4}):
            spikex, ptb = (totals(arch, clock_gating=gating, **keys) for arch in ("spikex", "ptb"))
            ratios += [ptb.energy_on_chip_pj / spikex.energy_on_chip_pj, ptb.energy_pj / spikex.energy_pj]
        found.append(line(f"`{gating}`", *(f"{ratio:.2f}" for ratio in ratios)))
    return found


def overhead_lines() -> list[str]:
    runs = [totals(arch, overheads="hardware").energy_pj_by for arch in ("spikex", "ptb")]
    return [
        line(f"`{part}`", *(joules(one[part]) if one.get(part) else "" for one in runs)) for part in PARTS
    ]


def area_lines() -> list[str]:
    found = []
    for tws in (2, 4, 8, 16):
        areas = energy_model(sx.load_accelerator("spikex", {"tws": tws, "overheads": "hardware"})).area_mm2_by
        array = areas["pe"] + areas["lif"]
        added = sum(areas[part] for part in PARTS if part != "lif")
        found.append(
            line(tws, *(f"{area:.4f}" for area in (areas["pe"], areas["lif"], array)),
                 f"{100 * areas['lif'] / array:.0f} %", f"{added:.4f}")
        )  # fmt: skip
    return found


def delay_lines() -> list[str]:
    found = []
    for tws in (1, 2, 4, 8, 16):
        delays = [
            Gates.load().value("lif", quantity, tws=tws, width_bits=16)
            for quantity in ("delay", "delay_constant_shift")
        ]
        assert {one.node_nm for one in delays} == {45}
        cells = (f"{scale * one.value:.2f}" for one in delays for scale in (1, 32 / 45))
        found.append(line(tws, *cells))
    return found


def test_clock() -> None:
    assert "\n".join(clock_lines()) in read("energy.md")
    assert "\n".join(ratio_lines()) in read("energy.md")


def test_overheads() -> None:
    assert "\n".join(overhead_lines()) in read("energy.md")


def test_area_of_the_array() -> None:
    assert "\n".join(area_lines()) in read("energy.md")


def test_delays_of_catching_up() -> None:
    assert "\n".join(delay_lines()) in read("energy.md")
