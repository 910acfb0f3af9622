"""The page of published figures is what its script writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_the_simulator_says() -> None:
    script = ROOT / "scripts" / "make_validation_page.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `python scripts/make_validation_page.py`\n{done.stderr}"
