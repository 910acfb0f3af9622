"""Rewrite the tables of docs/accelerators/spikesim.md: what energy and area go to, and what keys move."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pages import keep_in_step

import spikex_sim as sx
from spikex_sim.costs.crossbar import CROSSBAR_COMPONENTS
from spikex_sim.data import default_trace_path
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.networks import load_network

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accelerators" / "spikesim.md"
START, END = "<!-- {}: made by scripts/make_spikesim_page.py -->", "<!-- end of {} -->"
VGG = "vgg9-cifar10"
DIGIT, PRESETS = "the packaged digit", ("spikesim", "neuronas")

KEYS: tuple[dict[str, Any], ...] = (
    {"imc.device.r_on_kohm": 100, "imc.device.r_off_kohm": 1000},
    {"imc.device.v_read": 0.2},
    {"imc.device.bits": 2},
    {"imc.device.bits": 1},
    {"imc.adc.bits": 4},
    {"imc.adc.bits": 8},
    {"imc.adc.bits": 8, "imc.adc.kind": "sar"},
    {"imc.adc.sharing": "crossbar"},
    {"imc.adc.mux": 16},
    {"imc.crossbar": 128},
    {"imc.mapping": "packed"},
    {"imc.event_driven": False},
    {"imc.encoding": "differential"},
    {"imc.sign_plane": "charged"},
    {"imc.goff": "column"},
    {"imc.umem": "fefet"},
    {"lif_sharing": 4},
    {"imc.buffers.pb": 1024},
    {"imc.buffers.tib": 51200},
    {"imc.ports": 1},
    {"dataflow": "tick_batch"},
)  # fmt: skip
"""Changes of the preset, one at a time."""


@cache
def trace(name: str) -> sx.Trace:
    """Spikes of the tables."""
    if name == DIGIT:
        found = sx.load_trace(default_trace_path())
        assert isinstance(found, sx.Trace)
        return found
    network = load_network(VGG)
    return generated_trace(network, network.timesteps, 0)


@cache
def result(name: str, arch: str) -> sx.RunResult:
    """A run on a preset."""
    return sx.simulate(trace(name), arch)


def tables() -> dict[str, str]:
    """Tables of the page, by the name in their markers."""
    return {"shares": _table(_shares()), "keys": _table(_keys())}


def _shares() -> Iterator[tuple[str, ...]]:
    yield ("", *(f"`{name}`" for name in CROSSBAR_COMPONENTS), "total")
    for name in (DIGIT, VGG):
        for arch in PRESETS:
            totals = result(name, arch).totals
            assert totals.area_mm2 is not None and totals.area_mm2_by is not None
            energy, area = f"{totals.energy_pj / 1e6:.2f} µJ", f"{totals.area_mm2:.2f} mm²"
            yield f"energy, {name}, `{arch}`", *_parts(totals.energy_pj_by, totals.energy_pj), energy
            yield f"area, {name}, `{arch}`", *_parts(totals.area_mm2_by, totals.area_mm2), area


def _parts(by: Any, total: float) -> list[str]:
    return [f"{100 * by[name] / total:.1f} %" for name in CROSSBAR_COMPONENTS]


def _keys() -> Iterator[tuple[str, ...]]:
    yield "change", "energy", "cycles", "area", "share of `crossbar` in the energy"
    usual = result(DIGIT, "spikesim").totals
    for keys in ({}, *KEYS):
        totals = sx.simulate(trace(DIGIT), "spikesim", overrides=keys).totals
        assert totals.area_mm2 is not None and usual.area_mm2 is not None
        pairs = (
            (totals.energy_pj, usual.energy_pj),
            (totals.cycles, usual.cycles),
            (totals.area_mm2, usual.area_mm2),
        )
        name = ", ".join(f"`{key}: {str(value).lower()}`" for key, value in keys.items())
        share = totals.energy_pj_by["crossbar"] / totals.energy_pj
        yield name or "none", *(f"{new / old:.3f}" for new, old in pairs), f"{100 * share:.2f} %"


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    first, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([first, "|---" * (first.count("|") - 1) + "|", *others])


def rewritten(page: str) -> str:
    """Put the current tables between the page's markers."""
    for name, text in tables().items():
        start, end = START.format(name), END.format(name)
        before, rest = page.split(start)
        _, after = rest.split(end)
        page = f"{before}{start}\n{text}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    keep_in_step(PAGE, rewritten, "make_spikesim_page", __doc__)
