"""Two commands do not write their results into one folder at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed
from spikex_sim.core.claim import claimed

Capture = pytest.CaptureFixture[str]
COMMANDS = ("run", "compare", "evaluate nmnist --limit 1 --tws 4")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_is_refused_and_leaves_the_first_alone(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "deep/o"
    with claimed(out) as folder:
        (folder / "samples.sqlite").write_text("of the first")
        is_mistake(spikex(capsys, *command.split(), "--out", out), f"{out}: another process is writing its")
        assert files_under(out) == ["samples.sqlite"]
        (folder / "samples.sqlite").unlink()
    assert files_under(tmp_path) == [] and not out.parent.exists()
    succeed(capsys, *command.split(), "--out", out)
    assert any(name.endswith(".json") for name in files_under(out))


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom spikex_sim.core.claim import claimed\n"
        "with claimed(sys.argv[1]):\n    print('claimed', flush=True)\n    time.sleep(60)"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "o")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "claimed\n"
        with pytest.raises(sx.OutputError, match="another process"), claimed(tmp_path / "o"):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with claimed(tmp_path / "o") as folder:
            assert folder.is_dir()


def test_a_folder_that_cannot_be_locked_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(os.strerror(95))

    monkeypatch.setattr("fcntl.flock", refuse)
    with claimed(tmp_path / "o") as folder:
        (folder / "a").touch()
    assert files_under(tmp_path) == ["o/a"]
