"""Sections of the studies of one question each: the figure, and the table that it is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikex_sim.plots.files import read_rows
from spikex_sim.report.chart import Chart
from spikex_sim.report.escaping import escaped
from spikex_sim.report.markup import charted, details, repeated
from spikex_sim.report.reading import read_evaluations
from spikex_sim.report.repeat_searches import commands_of_evaluation
from spikex_sim.report.run import cards
from spikex_sim.report.section import Section
from spikex_sim.report.table import column_of, facts, table

TITLES = {
    "evaluate": "evaluation",
    "ann": "SNN against ANN",
    "dynamic": "dynamic time steps",
    "search-tws": "window-size search",
    "dispatch": "dispatch policies",
    "map-compare": "ways to map",
    "map-front": "mappings by area budget",
    "map-held-out": "packets of held-out samples",
    "imc-precision": "crossbars: precision",
    "imc-umem": "crossbars: membrane memory",
    "imc-sharing": "crossbars: sharing of converters",
    "imc-encoding": "crossbars: encoding",
    "imc-r-on": "crossbars: resistance",
    "imc-size": "crossbars: size",
    "imc-timesteps": "crossbars: time points",
    "imc-keys": "crossbars: keys",
}
"""What a study is called; others by their figure."""
PROVENANCE = ("trace", "trace_sha256", "engine", "commit", "source_sha256")
"""Columns that say what was run; the same in all rows, they are said once."""


def sections(file: Path, name: str, charts: Sequence[Chart], pictures: Sequence[str]) -> Iterator[Section]:
    """Sections of a study.

    Parameters
    ----------
    file : Path
        Its table.
    name : str
        Of its figure.
    charts, pictures
        Of the figure, one or the other.
    """
    title = TITLES.get(name, name)
    title = title[0].upper() + title[1:]
    if file.suffix == ".json":
        yield from _evaluation(file, name, title, charts)
        return
    rows = read_rows(file)
    same = [key for key in PROVENANCE if key in rows[0] and len({row[key] for row in rows}) == 1]
    columns = [column_of(key, main=key not in PROVENANCE) for key in rows[0] if key not in same]
    body = table(columns, rows, f"Rows of {file.name}", source=file.name)
    told = details("Provenance", facts((key, rows[0][key]) for key in same)) if same else ""
    yield charted(name, title, charts, before="".join(pictures), after=body + told)


def _evaluation(file: Path, name: str, title: str, charts: Sequence[Chart]) -> Iterator[Section]:
    content = read_evaluations(file)
    network, data = content["network"], content["data"]
    rows = [_run(one) for one in content["runs"]]
    samples = int(data["samples"])
    best = max(rows, key=lambda row: row["accuracy"])["accuracy"]
    text = (
        f"<p>Network <b>{escaped(network['name'])}</b> on {samples:,} samples: {escaped(data['source'])}.</p>"
    )
    keys = list(dict.fromkeys(key for row in rows for key in row))
    overview = table([column_of(key) for key in keys], rows, "Machines; costs are means of a sample")
    shown = cards([("Correct", f"{100 * best:.2f} %", f"of {samples:,} samples")])
    layers = [
        {
            "arch": run["arch"],
            **{key: value for key, value in layer.items() if isinstance(value, int | float | str)},
        }
        for run in content["runs"]
        for layer in run["layers"]
    ]
    columns = [column_of(key) for key in dict.fromkeys(key for row in layers for key in row)]
    body = table(columns, layers, "Layers; means of a sample", source=file.name)
    yield charted(name, title, charts, before=text + shown + overview, after=body)
    versions = content["versions"]
    yield Section(
        f"{name}-provenance",
        "Provenance",
        repeated(*commands_of_evaluation(content))
        + facts(
            [
                ("Network", network["name"]),
                ("SHA-256 of the network", network["sha256"]),
                ("Data", data["source"]),
                ("SHA-256 of the data", data["sha256"]),
                *((key, versions[key]) for key in versions),
            ]
        ),
    )


def _run(one: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"arch": one["arch"], "accuracy": float(one["accuracy"])}
    if one.get("software_accuracy") is not None:
        row["software_accuracy"] = float(one["software_accuracy"])
    for quantity in ("energy_pj", "energy_on_chip_pj", "seconds", "edp_js", "cycles"):
        row[f"mean_{quantity}"] = float(one["mean"][quantity])
    row["engine"] = one["engine"]
    row["tws"] = "/".join(map(str, one["tws"]))
    return row
