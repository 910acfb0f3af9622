"""A report: one file of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.core.files import new_file
from spikex_sim.core.progress import Progress, silent
from spikex_sim.report.escaping import data_text, escaped
from spikex_sim.report.folder import Group, group_of
from spikex_sim.report.section import Section

FILE = "report.html"
"""What a report is called in the folder that it is of."""
CHARTS, PLOTLY = "charts", "plotly-basic.min.js"
PARTS = {"timeline": ("timeline-slices.js", "timeline-drawing.js")}
"""Files that a script stands on, run before it."""
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded, and only the page's own scripts run; Plotly writes styles."""


def report(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    progress: Progress = silent,
) -> Path:
    """Write one page, which needs no network, of what folders of results hold.

    Parameters
    ----------
    folders : path or sequence of paths
        Of a run, several runs, a sweep, an evaluation, a mapping, a search or a study, in the page's order.
    out : path, optional
        File; by default ``report.html`` in the first folder.
    progress : callable, optional
        Told which folder is read.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        If there are no folders, or one is named twice.
    FigureError
        If a folder holds no results, or a table in it is malformed.
    ResultsError
        If results are malformed or of another version.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import spikex_sim as sx
    >>> from spikex_sim.data import default_trace_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = sx.sweep(default_trace_path(), {"tws": [2, 4]}, out=folder)
    ...     sx.report(folder).name
    'report.html'
    """
    if out is not None:
        check_target(Path(out))
    return write_groups(read_groups(folders, progress), target_of(folders, out))


def read_groups(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], progress: Progress = silent
) -> list[tuple[Path, Group]]:
    """What every folder has to show; arguments and errors are those of :func:`write_report`."""
    paths = _paths(folders)
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise ConfigError("is named twice", where=str(path))
        seen.add(path.resolve())
    found = []
    for index, path in enumerate(paths):
        progress(path.name or str(path), index, len(paths))
        found.append((path, group_of(path, progress)))
    return found


def target_of(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None
) -> Path:
    """File that a report is written to."""
    return _paths(folders)[0] / FILE if out is None else Path(out)


def check_target(out: Path) -> None:
    """Raise :class:`OutputError`, before anything is read, if a file could not be written."""
    if out.is_dir():
        raise OutputError("is a folder; name a file", where=str(out))
    if not out.parent.is_dir():
        raise OutputError(f"there is no folder {out.parent}", where=str(out))


def _paths(folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    several = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    if not several:
        raise ConfigError("wants a folder of results at least", field="folders")
    return [Path(folder) for folder in several]


def write_groups(groups: Sequence[tuple[Path, Group]], out: Path) -> Path:
    """Write the page of groups; it appears whole or not at all."""
    with new_file(out) as file:
        for part in _page(groups):
            file.write(part.encode("utf-8"))
    return out


def _page(groups: Sequence[tuple[Path, Group]]) -> Iterator[str]:
    numbered = [(f"g{index}", path, group) for index, (path, group) in enumerate(groups)]
    scripts = [asset(name) for name in _scripts(group for _, group in groups)]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    title = ", ".join(group.title for _, _, group in numbered)
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(scripts=hashes)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)} – spikex-sim report</title>\n"
        f"<style>\n{_styles(group for _, group in groups)}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">to the content</a>\n<header><h1>spikex-sim report</h1>'
        '<div class="switches"><button type="button" id="theme" hidden>dark</button>'
        '<button type="button" id="print" hidden>print</button></div></header>\n'
    )
    contents = f"<details open><summary>Contents</summary>{_contents(numbered)}</details>"
    yield f'<nav aria-label="Contents">{contents}</nav>\n'
    yield '<main id="content" tabindex="-1">\n'
    yield '<noscript><p class="left-out">Charts need JavaScript; tables do without.</p></noscript>\n'
    for name, path, group in numbered:
        yield from _group(name, group, str(path), 2)
    made = escaped(version("spikex_sim"))
    yield f"</main>\n<footer>Made by spikex-sim {made}. This file is complete: nothing is loaded.</footer>\n"
    for script in scripts:
        yield f"<script>{script}</script>\n"
    yield "</body>\n</html>\n"


def _contents(groups: Sequence[tuple[str, Path | None, Group]]) -> str:
    items = []
    for name, _, group in groups:
        inner = "".join(
            f'<li><a href="#{name}-{escaped(one.name)}">{escaped(one.title)}</a></li>'
            for one in group.sections
        )
        below = [(f"{name}-{index}", None, one) for index, one in enumerate(group.groups)]
        if below:
            inner += _contents(below).removeprefix("<ul>").removesuffix("</ul>")
        title = f'<a href="#{name}">{escaped(group.title)}</a>'
        part = f"<ul>{inner}</ul>"
        folded = f"<details><summary>{title}</summary>{part}</details>" if "-" in name else title + part
        items.append(f"<li>{folded}</li>")
    return f"<ul>{''.join(items)}</ul>"


def _group(name: str, group: Group, folder: str, level: int) -> Iterator[str]:
    where = f'<p class="folder">{escaped(folder)}</p>' if folder else ""
    yield f'<div class="group level-{level}" id="{name}"><h{level}>{escaped(group.title)}</h{level}>{where}\n'
    for section in group.sections:
        yield from _section(f"{name}-{section.name}", section, level + 1)
    if group.left_out:
        reasons = "".join(f"<li>{escaped(reason)}</li>" for reason in group.left_out)
        yield f'<details class="left-out"><summary>Not shown</summary><ul>{reasons}</ul></details>\n'
    for index, one in enumerate(group.groups):
        yield f'<details class="run"><summary>{escaped(one.title)}</summary>\n'
        yield from _group(f"{name}-{index}", one, "", level + 1)
        yield "</details>\n"
    yield "</div>\n"


def _section(name: str, section: Section, level: int) -> Iterator[str]:
    script = section.script.removesuffix(".js")
    drawn = f' data-script="{escaped(script)}"' if script else ""
    yield f'<section id="{escaped(name)}"{drawn}><h{level}>{escaped(section.title)}</h{level}>'
    yield f'<div class="body">{section.html}</div>'
    if script:
        yield f'<script type="application/json">{data_text(section.data)}</script>'
    yield "</section>\n"


def _scripts(groups: Iterator[Group]) -> list[str]:
    """Files of the scripts that sections need, in the order in which they are run."""
    wanted = dict.fromkeys(script for group in groups for script in _wanted(group))
    library = [PLOTLY] if CHARTS in wanted else []
    return [
        *library,
        "report.js",
        *(part for name in wanted for part in (*PARTS.get(name, ()), f"{name}.js")),
    ]


def _styles(groups: Iterator[Group]) -> str:
    """The page's style, and those of sections whose script has one beside it."""
    wanted = dict.fromkeys(f"{script}.css" for group in groups for script in _wanted(group))
    there = {item.name for item in (files("spikex_sim.report") / "assets").iterdir()}
    return "".join(asset(name) for name in ("report.css", *wanted) if name in there)


def _wanted(group: Group) -> Iterator[str]:
    for section in group.sections:
        if section.script:
            yield section.script.removesuffix(".js")
    for one in group.groups:
        yield from _wanted(one)


@cache
def asset(name: str) -> str:
    """Text of a file of the page, as it lies in the package."""
    return (files("spikex_sim.report") / "assets" / name).read_text("utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
