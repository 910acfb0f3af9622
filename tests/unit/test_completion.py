"""Shells complete commands, options and names: the scripts that they read, and what these ask the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command import environment, process

ASKED = {
    "bash": {"COMP_WORDS": "spikex-sim {}", "COMP_CWORD": "{n}", "_SPIKEX_SIM_COMPLETE": "complete_bash"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "spikex-sim {}", "_SPIKEX_SIM_COMPLETE": "complete_zsh"},
    "fish": {
        "_TYPER_COMPLETE_ARGS": "spikex-sim {}", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "{last}", "_SPIKEX_SIM_COMPLETE": "complete_fish",
    },
}  # fmt: skip
"""What each shell's script puts into the environment, with the words typed so far."""


def script(shell: str) -> str:
    """What ``--show-completion`` prints for a shell, as a person in that shell gets it."""
    shown = process(
        "--show-completion", shell, env=environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    )
    assert (shown.code, shown.err) == (0, "")
    return shown.out


@pytest.mark.parametrize("shell", ASKED)
def test_shells_get_commands_and_presets(shell: str) -> None:
    for words, wanted, other in (
        ("doc", "doctor", "run"),
        ("run --arch spinal", "spinalflow", "sata"),
    ):
        typed = words.split()
        filled = {
            name: value.format(words, n=len(typed), last=typed[-1]) for name, value in ASKED[shell].items()
        }
        answer = process(env=environment(**filled)).out
        assert wanted in answer and other not in answer.split()


@pytest.mark.parametrize("shell", ASKED)
def test_scripts_are_of_this_program_and_can_be_read(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    assert "spikex-sim" in text and f"complete_{shell}" in text
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell}")
    file = tmp_path / "script"
    file.write_text(text)
    flag = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([program, flag, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes(tmp_path: Path) -> None:
    """The script, read by a real shell, finds what stands behind the last word."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (tmp_path / "spikex-sim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m spikex_sim "$@"\n')
    (tmp_path / "spikex-sim").chmod(0o755)
    (tmp_path / "script").write_text(script("bash"))
    typed = (
        'PATH="$PWD:$PATH"; source ./script; COMP_WORDS=(spikex-sim run --arch spinal); COMP_CWORD=3\n'
        "shape=$(complete -p spikex-sim); function=${shape##*-F }; function=${function%% *}\n"
        '"$function" spikex-sim spinal --arch; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", typed], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["spinalflow"], done.stderr


@pytest.mark.parametrize("shell", ["tcsh", ""])
def test_no_such_shell(shell: str) -> None:
    shown = process(
        "--show-completion", shell, env=environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    )
    assert shown.code == 2 and len(shown.err.splitlines()) == 1 and "Traceback" not in shown.err
