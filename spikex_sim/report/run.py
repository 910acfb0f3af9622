"""Sections of a run: what it cost, layer by layer, and all that is needed to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import SpikexError
from spikex_sim.core.text import counted
from spikex_sim.core.units import PJ_PER_J, with_prefix
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.style import Look
from spikex_sim.plots.table import is_chip
from spikex_sim.report.chart import Chart
from spikex_sim.report.escaping import escaped
from spikex_sim.report.figures import known_areas
from spikex_sim.report.markup import charted, command_block, details, repeated, shares
from spikex_sim.report.reading import check_columns
from spikex_sim.report.repeat import command_of_run
from spikex_sim.report.section import Section
from spikex_sim.report.table import Column, column_of, facts, number_text, table
from spikex_sim.run.fields import ACCESSES_CSV, LAYERS_CSV, SAMPLES, TOTALS
from spikex_sim.run.saved import FILE, SavedResults
from spikex_sim.spec.load import describe_keys

LAYER_COLUMNS = (
    "name",
    "kind",
    "tws",
    "mode",
    "cycles",
    "seconds",
    "energy_pj",
    "energy_on_chip_pj",
    "edp_js",
    "utilization",
    "add_utilization",
    "accumulations",
    "input_spikes",
    "output_spikes",
)
"""Shown from the start; the other columns of ``layers.csv`` are one click away."""
SAMPLE_COLUMNS = (
    "name",
    "label",
    "prediction",
    "cycles",
    "seconds",
    "energy_pj",
    "energy_on_chip_pj",
    "edp_js",
)
MAX_SOURCES = 400


def summary(results: SavedResults) -> Section:
    """Key figures of a run, and the others in full."""
    totals, trace = results.totals, results.trace
    samples = int(trace["samples"])
    of = f"; all figures are sums over {counted(samples, 'sample')}" if samples > 1 else ""
    subject = (
        f"<p>Machine <b>{escaped(results.arch_name)}</b> on <b>{escaped(trace['name'])}</b>: "
        f"{counted(len(results.layers), 'layer')}, {counted(int(trace['timesteps']), 'time point')}, "
        f"{counted(samples, 'sample')}; engine {escaped(results.engine)}{escaped(of)}.</p>"
    )
    scalars = [
        {"figure": name, "value": value, **_said(name)}
        for name, value in totals.items()
        if isinstance(value, int | float | str)
    ]
    columns = [Column("figure"), Column("value"), Column("unit"), Column("meaning")]
    whole = details("All totals", table(columns, scalars, "Totals of results.json"))
    spread = _spread(results) if samples > 1 else ""
    return Section("summary", "Summary", f"{subject}{cards(figures_of(results))}{spread}{whole}")


def _spread(results: SavedResults) -> str:
    """Mean and standard deviation of a sample."""
    rows = [
        {"figure": name, "mean": value, "sd": results.sd.get(name), "unit": column_of(name).unit}
        for name, value in results.mean.items()
    ]
    columns = [Column(name) for name in ("figure", "mean", "sd", "unit")]
    return table(columns, rows, "A sample: mean and standard deviation")


def _said(name: str) -> dict[str, str]:
    column = column_of(name, TOTALS)
    return {"unit": column.unit, "meaning": column.meaning}


def figures_of(results: SavedResults) -> list[tuple[str, str, str]]:
    """Key figures, as far as they are known: name, value with unit, and what it is made of."""
    totals = results.totals
    found = [
        (
            "Energy",
            with_prefix(totals["energy_pj"] / PJ_PER_J, "J"),
            f"{with_prefix(totals['energy_on_chip_pj'] / PJ_PER_J, 'J')} without DRAM",
        ),
        ("Latency", with_prefix(totals["seconds"], "s"), f"{totals['cycles']:,} cycles"),
        ("EDP", with_prefix(totals["edp_js"], "Js"), "energy × latency"),
    ]
    if totals.get("area_mm2") is not None:
        found.append(
            ("Area", f"{number_text(float(totals['area_mm2']))} mm²", "of the parts whose area is known")
        )
    if totals.get("edap_js_mm2") is not None:
        found.append(("EDAP", f"{with_prefix(totals['edap_js_mm2'], 'Js')}·mm²", "EDP × area"))
    waiting = sum(totals["stalls"].values())
    share = 100 * waiting / totals["cycles"] if totals["cycles"] else 0.0
    found.append(("PE use", f"{100 * totals['utilization']:.1f} %", "share of PEs in use"))
    found.append(("Stalls", f"{share:.1f} %", f"{waiting:,} cycles of waiting"))
    found.append(("Power", f"{number_text(float(totals['power_mw']))} mW", "dynamic, DRAM included"))
    answers = [(one.get("label"), one.get("prediction")) for one in results.samples]
    if answers and all(None not in one for one in answers):
        right = sum(label == predicted for label, predicted in answers)
        found.append(("Correct", f"{100 * right / len(answers):.1f} %", f"{right:,} of {len(answers):,}"))
    return found


def cards(figures: Sequence[tuple[str, str, str]]) -> str:
    """Key figures side by side."""
    made = (
        f'<div class="card"><dt>{escaped(name)}</dt>'
        f"<dd>{escaped(value)}<small>{escaped(of)}</small></dd></div>"
        for name, value, of in figures
    )
    return f'<dl class="cards">{"".join(made)}</dl>'


def energy(results: SavedResults, charts: Sequence[Chart]) -> Section:
    """Energy by layer, component and tensor."""
    parts = {f"energy_{part}_pj": value for part, value in results.totals["energy_pj_by"].items()}
    body = shares("Energy of all layers by component", parts, _energy_looks(), PJ_PER_J, "J")
    return charted("energy", "Energy", charts, before=body)


def _energy_looks() -> dict[str, Look]:
    from spikex_sim.plots.layers import ADDED, CHIP_COMPONENTS, COMPONENTS

    return {**CHIP_COMPONENTS, **ADDED, **COMPONENTS}


def areas(results: SavedResults) -> Section | None:
    """Area by component, and what is missing in it; None where none is known."""
    found = results.totals.get("area_mm2_by")
    if not found:
        return None
    values = {f"area_{part}_mm2": float(value) for part, value in found.items()}
    body = shares("Known area by component", values, known_areas([values]), 1.0, "mm²")
    missing = results.totals.get("area_absent") or {}
    reasons = "; ".join(f"{part}: {reason}" for part, reason in missing.items())
    return Section("area", "Area", body + (f"<p>Not in it: {escaped(reasons)}.</p>" if reasons else ""))


def tables(folder: Path, results: SavedResults) -> Iterator[Section]:
    """Layers, accesses and samples in full."""
    rows = read_rows(folder / LAYERS_CSV)
    check_columns(rows, LAYERS_CSV, str(folder / LAYERS_CSV))
    main = {
        *LAYER_COLUMNS,
        *(key for key in rows[0] if key.startswith("stall_") and any(r[key] for r in rows)),
    }
    if is_chip(rows[0]):
        main -= {"mode", "add_utilization"}
    columns = [column_of(name, LAYERS_CSV, main=name in main) for name in rows[0]]
    columns.sort(key=lambda one: LAYER_COLUMNS.index(one.name) if one.name in LAYER_COLUMNS else 99)
    body = table(columns, rows, "Layers", source=LAYERS_CSV)
    accesses = read_rows(folder / ACCESSES_CSV)
    check_columns(accesses, ACCESSES_CSV, str(folder / ACCESSES_CSV))
    used = [row for row in accesses if row["read_bits"] or row["write_bits"]]
    columns = [column_of(name, ACCESSES_CSV) for name in accesses[0]]
    moved = table(
        columns, used, "Accesses by layer, level and tensor, without those that are 0", source=ACCESSES_CSV
    )
    yield Section("layers", "Layers", body + details("Accesses", moved))
    if len(results.samples) > 1:
        entries = [{key: one.get(key) for key in SAMPLE_COLUMNS} for one in results.samples]
        told = [column_of(name, SAMPLES) for name in SAMPLE_COLUMNS]
        yield Section("samples", "Samples", table(told, entries, "Samples", source=FILE))


def configuration(results: SavedResults) -> Section:
    """Every key of the configuration, and the whole as a file."""
    plain = results.to_dict()["config"]
    try:
        described = [
            {"key": key, "value": _value(plain, key), "unit": _unit(info), "meaning": info.description or ""}
            for key, info, _ in describe_keys(results.arch)
        ]
    except SpikexError:  # of a machine that is not installed
        described = [{"key": key, "value": value} for key, value in _leaves(plain)]
    columns = [Column("key"), Column("value"), Column("unit"), Column("meaning")]
    body = table(columns, described, "Configuration")
    whole = command_block(json.dumps(plain, indent=1), "as a file for --arch: YAML reads it")
    return Section("configuration", "Configuration", f"{body}{details('The whole as a file', whole)}")


def _unit(info: Any) -> str:
    extra = info.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _value(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, int | float | str) else json.dumps(found)


def _leaves(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value if isinstance(value, int | float | str) else json.dumps(value)


def provenance(results: SavedResults) -> Section:
    """What was run with what, and the command that repeats it."""
    trace = results.trace
    told = facts(
        [
            ("Trace", trace["name"]),
            ("SHA-256 of the trace", trace["sha256"]),
            ("Source of the trace", trace.get("source")),
            ("Run ended (UTC)", results.timestamp),
            ("Engine", results.engine),
            *(
                (
                    f"Version of {name}"
                    if name not in ("commit", "source_sha256")
                    else {"commit": "Commit", "source_sha256": "SHA-256 of the sources"}[name],
                    value,
                )
                for name, value in results.versions.items()
            ),
        ]
    )
    command, remark = command_of_run(results)
    sources = results.content["energy_sources"]
    rows = [{"part": part, "source": source} for part, source in list(sources.items())[:MAX_SOURCES]]
    body = table([Column("part"), Column("source")], rows, "Sources of prices, leakage and areas")
    return Section(
        "provenance",
        "Provenance",
        f"{repeated(command, remark)}{told}{details('Sources of energies and areas', body)}",
    )
