"""PyTorch stays out of everything but training, compiled kernels out of help, configurations and refusals."""

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
    without("torch", code)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--show-config"],
        ["run", "--arch", "sata", "--show-config"],
        ["run", "--arch", "spikx"],
        ["run", "--arch", "sata", "--tws", "4"],
        ["run", "--set", "array.rwos=4"],
        ["compare", "--arch", "spikex,sata", "--tws", "4"],
        ["nas", "cost", "111111", "100000"],
    ],
)
def test_numba_is_not_imported(arguments: list[str]) -> None:
    without("numba", f"from spikex_sim.__main__ import main; main({arguments})")


def test_configurations_do_without_numba() -> None:
    names = "spikex_sim.spec.load.preset_names()"
    without("numba", f"import spikex_sim.spec.load; [spikex_sim.load_accelerator(one) for one in {names}]")


def without(module: str, code: str) -> None:
    """Run code in a process of its own that must not import a module."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; sys.exit('{module}' in sys.modules and 'imported')"],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
