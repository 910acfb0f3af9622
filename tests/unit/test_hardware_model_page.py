"""The page of the fast hardware model is what its script writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_was_measured() -> None:
    script = ROOT / "scripts" / "make_hardware_model_page.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `python {script.name}`\n{done.stderr}"
