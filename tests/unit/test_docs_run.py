"""What pages of the documentation show runs, and prints what they say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import pytest

from doc_pages import DOCS, read
from page_runs import blocks_of, prepare, run_page

CLUSTER = "needs machines of a cluster"
DATA = "takes a data set or recordings that do not come along"
HOURS = "takes many minutes or hours"
INSTALLED = "is installed for a test of its own: test_docs, test_accelerator_pages"
OWN = "takes a file of the reader's own"
TORCH = "takes PyTorch and frameworks: test_docs, with these"
TOOLS = "takes a tool that is not Python's: make test-rtl, energy check"

WHOLE = {
    "cli.md": "an example a command, most on files of one's own; that they parse is tested in test_docs",
    "extending.md": INSTALLED,
    "installation.md": "installs and sets shells up: test_doctor and tests of the wheel",
    "record.md": TORCH,
    "models/cifar10.md": HOURS,
    "models/dvs-gesture-large.md": HOURS,
    "models/dvs-gesture-medium.md": HOURS,
    "models/mnist.md": HOURS,
    "models/nas-cifar10.md": HOURS,
    "models/nmnist.md": HOURS,
    "recordings.md": DATA,
}
"""Pages of which nothing is run here, with the reason."""
LEFT_OUT = {
    "dispatch.md": {
        "spikex-sim trace convert ": DATA,
        "spikex-sim dispatch nmnist ": DATA,
        "spikex-sim sweep nmnist ": DATA,
    },
    "energy.md": {
        "spikex-sim energy check ": TOOLS,
        "python -m zipfile ": TOOLS,
        "python scripts/make_energy_table.py ": TOOLS,
        "from spikex_sim.costs.table import ": OWN,
    },
    "evaluation.md": {"spikex-sim evaluate nmnist --variant has --data nmnist_small.npz ": DATA},
    "explain.md": {
        "spikex-sim trace record ": TORCH,
        "spikex-sim trace convert recorded.npz ": OWN,
    },
    "how-to/use-a-cluster.md": {
        "dask scheduler": CLUSTER,
        "dask worker": CLUSTER,
        "spikex-sim sweep --spec study.yaml --scheduler": CLUSTER,
    },
    "imc-studies.md": {
        "spikex-sim trace convert nmnist_small.npz ": DATA,
        "spikex-sim imc-study recordings ": DATA,
    },
    "mapping.md": {
        "spikex-sim map net.json ": OWN,
        "spikex-sim map verify results/map": OWN,
        "spikex-sim map show results/map": OWN,
        "spikex-sim map spikex_sim/data/": "a path of the repository, as the same trace in traces/ below",
        "spikex-sim map gen:E --objective routes --pareto ": HOURS,
        "spikex-sim map compare gen:E ": HOURS,
        "spikex-sim map verify results/ways/": HOURS,
        "spikex-sim plot results/ways ": HOURS,
        "spikex-sim map recordings/0.npz ": DATA,
        "spikex-sim map compare traces/nmnist_digit.npz ": HOURS,
        "spikex-sim sweep traces/nmnist_digit.npz --arch crossbar ": HOURS,
    },
    "nas.md": {
        "spikex-sim nas table ": "test_nas_validation",
        "spikex-sim nas --data ": DATA,
        "spikex-sim nas show ": DATA,
        "spikex-sim plot results/nas ": DATA,
        "spikex-sim train --network ": DATA,
        "spikex-sim evaluate mine.npz ": DATA,
    },
    "rtl.md": {"make ": TOOLS},
    "sweeps.md": {
        "dask scheduler": CLUSTER,
        "dask worker": CLUSTER,
        "spikex-sim sweep --spec study.yaml --scheduler": CLUSTER,
    },
    "traces.md": {
        "spikex-sim trace show graph.npz": "is shown before the line that writes it",
        "spikex-sim plot graph.npz": "is shown before the line that writes it",
        "spikex-sim trace convert nmnist_small.npz ": DATA,
        "spikex-sim run recordings ": DATA,
        "spikex-sim trace convert N-MNIST ": DATA,
        "spikex-sim trace convert prosperity": DATA,
    },
    "training.md": {
        "spikex-sim train ": HOURS,
        "spikex-sim trace convert cifar10_small.npz ": DATA,
        "spikex-sim evaluate real-": DATA,
        "import numpy as np\nfrom pathlib import Path\n": DATA,
    },
    "validation.md": {"spikex-sim reproduce fig13 ": DATA},
}
"""Beginnings of lines and blocks that are not run, by page, with the reason."""
WITH_TORCH = {"training.md"}
"""Pages of which some is run, with PyTorch."""
DRAWN_WITH = "3.11.2"
"""Version of matplotlib that drew the tutorial's figures; another one may place a line differently."""
TUTORIAL = "tutorial.md"


def has_code(name: str) -> bool:
    return any(block.is_shell or block.language == "python" for block in blocks_of(read(name)))


PAGES = [
    name
    for name in sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    if has_code(name) and name not in WHOLE and not name.startswith("accelerators/") and name != TUTORIAL
]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from spikex_sim.cli import show

    monkeypatch.setattr(show.console, "_width", 80)
    monkeypatch.setattr(show.console, "_color_system", None)
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)


def run(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left_out = LEFT_OUT.get(name, {})
    shown = name == TUTORIAL or name.startswith("how-to/")
    met = run_page(read(name), folder, capsys, tuple(left_out), shown=shown)
    assert set(met) == set(left_out), "what is left out has to be on the page"


def test_the_tutorial_prints_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(TUTORIAL, tmp_path, capsys)
    assert (tmp_path / "results/paper/fig9.pdf").is_file()
    for name in ("tws", "pareto"):
        figures = tmp_path / "results/windows/figures"
        assert (figures / f"{name}.pdf").is_file()
        shown, drawn = (DOCS / f"tutorial-{name}.svg").read_bytes(), (figures / f"{name}.svg").read_bytes()
        if mpl.__version__ == DRAWN_WITH:
            assert drawn == shown, f"copy {name}.svg of the tutorial's commands to docs/tutorial-{name}.svg"


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name in WITH_TORCH and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    run(name, tmp_path, capsys)


def test_pages_that_are_not_run_are_there() -> None:
    for name in (*WHOLE, *LEFT_OUT):
        assert has_code(name), name
