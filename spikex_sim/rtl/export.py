"""Writes a layer as a folder in which its hardware runs: Verilog, vectors, expected log, Makefile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import OutputError
from spikex_sim.core.files import new_folder, write_lines
from spikex_sim.rtl.expected import expected
from spikex_sim.rtl.layer import RtlLayer
from spikex_sim.rtl.vectors import vectors

MAKEFILE = """\
# Runs one layer on the array and compares its log with the simulator's: make, with Icarus Verilog.
PARAMETERS = {parameters}

check: array.log
\tcmp expected.log array.log
\t@echo "equal: $$(tail -n 1 array.log | cut -d ' ' -f 2) cycles"

array.log: tb.vvp vectors.hex
\tvvp -N tb.vvp +vectors=vectors.hex +log=$@

tb.vvp: bench/tb.v $(wildcard rtl/*.v)
\tiverilog -g2005-sv -o $@ $(PARAMETERS) bench/tb.v -y rtl

clean:
\trm -f tb.vvp array.log

.PHONY: check clean
"""


def verilog() -> Path:
    """Folder of the Verilog: ``hardware`` of the checkout, or where the package was installed with it.

    Raises
    ------
    OutputError
        If neither is there.
    """
    checkout = Path(__file__).parents[2] / "hardware"
    if (checkout / "rtl" / "spx_top.v").is_file():
        return checkout
    try:
        installed = [one for one in files("spikex_sim") or () if one.name == "spx_top.v"]
    except PackageNotFoundError:
        installed = []
    for one in installed:
        path = Path(str(one.locate())).resolve()
        if path.is_file():
            return path.parents[1]
    raise OutputError("the Verilog is missing; install the package again", where="hardware/rtl/spx_top.v")


def check_new(folder: Path) -> None:
    """Raise :class:`OutputError` if there is something of that name already."""
    if folder.exists() or folder.is_symlink():
        raise OutputError("exists already; name a new folder", where=str(folder))


def export(layer: RtlLayer, folder: str | Path, about: dict[str, Any]) -> list[Path]:
    """Write a folder that appears whole or not at all.

    Parameters
    ----------
    layer : RtlLayer
        The layer.
    folder : str or Path
        Must not be there.
    about : dict
        What ``layer.json`` says of the layer besides the parameters of its hardware.

    Returns
    -------
    list of Path
        Files and folders written.

    Raises
    ------
    OutputError
        If the folder exists or cannot be written.
    """
    target = Path(folder)
    check_new(target)
    source = verilog()
    given = " ".join(f"-Ptb.{name}={value}" for name, value in layer.hardware.parameters.items())
    told = json.dumps({**about, "parameters": layer.hardware.parameters}, indent=2)
    with new_folder(target) as inside:
        for part in ("rtl", "bench"):
            (inside / part).mkdir()
            for file in sorted((source / part).glob("*.v")):
                (inside / part / file.name).write_bytes(file.read_bytes())
        write_lines(inside / "vectors.hex", _ended(vectors([layer])))
        write_lines(inside / "expected.log", _ended(expected(layer).lines()))
        (inside / "Makefile").write_text(MAKEFILE.format(parameters=given), encoding="utf-8")
        (inside / "layer.json").write_text(told + "\n", encoding="utf-8")
    return sorted(target.iterdir())


def _ended(lines: Iterator[str]) -> Iterator[str]:
    return (line + "\n" for line in lines)
