"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from spikex_sim.core.errors import ConfigError, OutputError
from spikex_sim.core.text import harmless
from spikex_sim.spec.load import parse_yaml, preset_names


def completing(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Make what completes a name, or the last of several separated by commas, in a shell."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names() if name.startswith(last)]

    return complete


def _engines() -> Iterable[str]:
    from spikex_sim.core.registry import plugin_names

    return plugin_names("engines")


Number = TypeVar("Number", int, float)
TracePath = Annotated[Path | None, typer.Argument(help="Trace file or folder; default: the packaged digit.")]
Arch = Annotated[
    str,
    typer.Option(
        "--arch",
        help="Preset name or YAML file.",
        metavar="NAME|FILE",
        autocompletion=completing(preset_names),
    ),
]
Archs = Annotated[
    str,
    typer.Option(
        "--arch",
        help="Accelerators, separated by commas.",
        metavar="NAME|FILE,...",
        autocompletion=completing(preset_names),
    ),
]
Tws = Annotated[
    str | None,
    typer.Option("--tws", help="Time window size, or auto for each layer's best EDP.", metavar="N|auto"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a configuration key, e.g. array.rows=16.", metavar="KEY=VALUE"),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine", help="Memory engine.", metavar="fast|event", autocompletion=completing(_engines)
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", help="Processes on this machine.", metavar="N")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the result files.", metavar="DIR")]


SafeCsv = Annotated[
    bool, typer.Option("--safe-csv", help="Begin names a spreadsheet would compute with an apostrophe.")
]


def parse_settings(settings: list[str] | None, tws: str | None) -> dict[str, Any]:
    """Turn ``--set KEY=VALUE`` and ``--tws`` into overrides."""
    overrides: dict[str, Any] = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise ConfigError("wants KEY=VALUE", where=f"--set {setting}")
        overrides[key.strip()] = parse_yaml(value, f"--set {setting}")
    if tws is not None:
        overrides["tws"] = parse_yaml(tws, f"--tws {tws}")
    return overrides


def default_trace(path: Path | None) -> Path:
    """Return a trace as given, or the packaged one where none was."""
    from spikex_sim.data import default_trace_path

    if path == Path():  # what an empty text becomes
        raise ConfigError("names no file; leave it out for the packaged trace", field="TRACE")
    return path if path is not None else default_trace_path()


def echo(text: str, *, err: bool = False) -> None:
    """Print lines as they are, but for what a terminal would act on."""
    typer.echo(harmless(text), err=err)


@contextmanager
def results_folder(out: Path | None) -> Iterator[Path | None]:
    """Claim a folder of results; gives the file there that samples are kept in until the run is finished."""
    if out is None:
        yield None
        return
    from spikex_sim.core.claim import claimed

    with claimed(out) as folder:
        yield folder / "samples.sqlite"


def forget(kept: Path | None) -> None:
    """Remove the samples of a run whose results are written."""
    if kept is not None:
        kept.unlink(missing_ok=True)


def wrote(paths: list[Path]) -> None:
    """Say which files were written."""
    if paths:
        echo("wrote " + ", ".join(str(path) for path in paths))


def writable_file(path: Path) -> None:
    """Raise before the work is done if a file could not be written at its end; creates its folder."""
    from spikex_sim.core.files import writable_folder

    if path.is_dir():
        raise OutputError("is a folder; name a file", where=str(path))
    writable_folder(path.parent)


def refuse_together(option: str, value: object, others: Mapping[str, object]) -> None:
    """Raise where an option was given with one that says otherwise."""
    for other, given in others.items():
        if value is not None and given is not None:
            raise ConfigError(f"cannot be given together with {other}", field=option)


def check_once(names: Iterable[str | Path], where: str) -> None:
    """Raise where something is named twice."""
    for name, times in Counter(map(str, names)).items():
        if times > 1:
            raise ConfigError(f"names {name} twice", where=where)


def parse_numbers(text: str, option: str, kind: type[Number]) -> list[Number]:
    """Split a list of numbers separated by commas."""
    try:
        return [kind(number) for number in split_names(text, option)]
    except ValueError:
        raise ConfigError(f"wants numbers separated by commas, not {text!r:.60}", where=option) from None


def split_names(text: str, option: str) -> list[str]:
    """Split a list separated by commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError("names nothing", where=option)
    return names
