"""PyTorch stays out of everything but training."""

from __future__ import annotations

import subprocess
import sys

import pytest

from command import environment


@pytest.mark.parametrize(
    "code",
    [
        "import spikex_sim as sx; [getattr(sx, name) for name in sx.__all__]",
        "from spikex_sim.__main__ import main; main(['train', '--help'])",
        "from spikex_sim.__main__ import main; main(['run'])",
        "import spikex_sim.sources.trained, spikex_sim.explore.fitted",
    ],
)
def test_torch_is_not_imported(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; sys.exit('torch' in sys.modules and 'imported torch')"],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
