"""Runs what a page of the documentation shows, commands and Python, in the order in which they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from doc_pages import ROOT
from spikex_sim.__main__ import main

INSTALLS = re.compile(r"(python3? -m venv|\. |source |(\S*/)?pip |git clone|cd )")
"""Lines that make an environment: tests have one."""
PROGRAM = "spikex-sim "
SHOWN = "text"
SHELL = ("", "sh", "bash", "shell")
STARTS = re.compile(r"(\w+=\S+ )*(spikex-sim|python3?|for|make|dask|curl|cat|mkdir|pip|\.|jupyter)\b|\. ")
"""How a block of commands begins; other blocks without a language are drawings or what is printed."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, and line on the page."""

    language: str
    text: str
    line: int

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands."""
        return self.language in SHELL and bool(STARTS.match(self.text))


def blocks_of(text: str) -> list[Block]:
    """Fenced blocks of a page."""
    found = re.finditer(r"^```([\w-]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(one[1], one[2], text[: one.start()].count("\n") + 2) for one in found]


def lines_of(block: Block) -> Iterator[str]:
    """Commands of a block, without comments and with continued lines joined."""
    for line in block.text.replace("\\\n", " ").splitlines():
        plain = re.sub(r"(^|\s+)# .*$", "", line).strip()
        if plain and not INSTALLS.match(plain):
            yield plain


def prepare(folder: Path) -> None:
    """Give a folder what pages take for granted: folders of the repository."""
    for name in ("traces", "docs"):
        (folder / name).symlink_to(ROOT / name)


def run_page(
    text: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    left_out: Sequence[str] = (),
    *,
    shown: bool = False,
) -> list[str]:
    """Run a page's commands and Python blocks in a folder, and hold what it shows against what is printed.

    Parameters
    ----------
    text:
        The page.
    folder:
        Working folder, which is the current one.
    capsys:
        Pytest's.
    left_out:
        Beginnings of lines, or of Python blocks, that are not run.
    shown:
        Whether a block ``text`` is a part of what the block before it prints.

    Returns
    -------
    list of str
        Beginnings in ``left_out`` that were met.
    """
    printed, met = "", []
    space: dict[str, object] = {"__name__": "page"}

    def skipped(what: str) -> bool:
        found = [one for one in left_out if what.startswith(one)]
        met.extend(found)
        return bool(found)

    for block in blocks_of(text):
        capsys.readouterr()
        if block.is_shell:
            for line in lines_of(block):
                if not skipped(line):
                    run_line(line, folder, block.line)
            printed = capsys.readouterr().out
        elif block.language == "python" and not skipped(block.text):
            named = re.match(r"# ([\w-]+\.py)\n", block.text)
            if named:
                (folder / named[1]).write_text(block.text, "utf-8")
            else:
                exec(compile(block.text, f"block at line {block.line}", "exec"), space)
                printed = capsys.readouterr().out
        elif block.language == "yaml" and (named := re.match(r"# ([\w-]+\.yaml)\n", block.text)):
            (folder / named[1]).write_text(block.text, "utf-8")
        elif shown and block.language == SHOWN:
            plain = "\n".join(line.rstrip() for line in printed.splitlines())
            assert block.text.rstrip() in plain, f"line {block.line} shows what is not printed:\n{plain}"
    return met


def run_line(line: str, folder: Path, at: int) -> None:
    """Run a command: the program in this process, anything else in a shell."""
    if line.startswith(PROGRAM) and not re.search(r"[|;&><$]", re.sub(r"'[^']*'|\"[^\"]*\"", "", line)):
        assert main(shlex.split(line)[1:]) == 0, f"line {at}: {line}"
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=folder, env=os.environ | {"PATH": path},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"line {at}: {line}\n{done.stderr}"
    sys.stdout.write(done.stdout)
