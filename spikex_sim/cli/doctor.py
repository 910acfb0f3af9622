"""Command that looks at the installation: doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spikex_sim.cli.options import echo
from spikex_sim.core.sheet import Sheet, table

if TYPE_CHECKING:
    from spikex_sim.core.doctor import Installation


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say what is installed, what is missing, and how to install it.

    Versions, extras, programs, compiled kernels, cores and memory. Exit code 0 if runs, sweeps and figures
    work; 1 if not, with a line for each thing to mend. Extras that are missing are no fault.

    Example: spikex-sim doctor
    """
    from spikex_sim.cli import show
    from spikex_sim.core.doctor import doctor as look

    with show.progress_bar("looking") as progress:
        found = look(progress=progress)
    if as_json:
        import json
        from dataclasses import asdict

        from spikex_sim.core.frozen import plain

        echo(json.dumps({**plain(asdict(found)), "sound": found.sound}, indent=1))
    else:
        _show(found)
    if not found.sound:
        raise typer.Exit(1)


def _show(found: Installation) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show

    show.say(
        f"[bold]spikex_sim {escape(found.version)}[/], commit {escape(found.commit)}\n"
        f"{escape(found.folder)}\n"
        f"Python {escape(found.python)}, {escape(found.executable)}\n{escape(found.platform)}\n"
    )
    show.put(_packages(found), _extras(found), _programs(found))
    kernels = found.kernels
    if kernels.note:
        show.say(f"kernels: {escape(kernels.note)}")
    else:
        damaged = f"{kernels.damaged} damaged" if kernels.damaged else ""
        state = ", ".join(kernels.ready) or damaged or "not all of any machine"
        keep = "" if kernels.writable else ", which cannot be written"
        show.say(f"kernels: {kernels.files} compiled, {state}, in {escape(kernels.folder)}{keep}")
    memory = "unknown" if found.memory_gb is None else f"{found.memory_gb:.3g} GB"
    writable = "can be written" if found.writable_here else "cannot be written"
    show.say(f"may take: {found.cores:g} cores, memory {memory}; {escape(found.folder_here)} {writable}")
    for name, value in found.settings:
        show.say(f"environment: {escape(name)}={escape(value)}")
    for text in found.notes:
        show.note(text)
    missing = [one for one in found.extras if one.missing]
    if missing:
        show.say("\n[bold]To install an extra[/]")
        for one in missing:
            show.note(f"{one.name}: {one.command}", "")
    show.say("")
    for text in found.problems:
        show.note(text, "red")
    show.say("[bold]sound[/]: runs, sweeps and figures work" if found.sound else "[red]not sound[/]")


def _packages(found: Installation) -> Sheet:
    made = table("Packages", "name", "version", "wanted", "state", left=4)
    for one in found.packages:
        made.add_row(one.name, one.version, one.wanted, one.fault or "ok")
    return made


def _extras(found: Installation) -> Sheet:
    made = table("Extras", "name", "state", "lacks", left=3)
    for extra in found.extras:
        lacks = ", ".join(
            one.name if one.fault == "missing" else f"{one.name} ({one.fault})" for one in extra.missing
        )
        made.add_row(extra.name, "missing" if extra.missing else "installed", lacks)
    return made


def _programs(found: Installation) -> Sheet:
    made = table("Programs", "name", "state", "for", left=3)
    for one in found.programs:
        made.add_row(one.name, (one.version or one.path) if one.path else "missing", one.purpose)
    return made
