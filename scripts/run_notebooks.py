"""Runs the notebooks of the documentation and saves what their cells print and draw.

python scripts/run_notebooks.py                            # all of them, in a folder of their own
python scripts/run_notebooks.py crossbars_and_noise        # one

Times and counts of executions are left out, so that the same results give the same file but for pictures.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs/notebooks"
SECONDS = 1200
"""Time that one cell may take."""


def executed(path: Path, folder: Path) -> Any:
    """Run a notebook in a folder, on this copy of the package, and return it with its outputs."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(NOTEBOOKS.parents[1]), *filter(None, [before])])
    try:
        where = {"metadata": {"path": str(folder)}}
        nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=where).execute()
    finally:
        os.environ["PYTHONPATH"] = before
    return notebook


def tidied(notebook: Any) -> Any:
    """Leave out what is another at every run, and what is said to whoever runs it."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
            cell["outputs"] = [one for one in cell["outputs"] if one.get("name") != "stderr"]
            for output in cell["outputs"]:
                output.pop("execution_count", None)
                if output["output_type"] == "execute_result":
                    output["execution_count"] = None
                    output["metadata"] = {}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main(names: list[str]) -> int:
    """Run notebooks of these names; all without any."""
    import nbformat

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            notebook = tidied(executed(path, Path(folder)))
        written = path.with_suffix(".tmp")
        nbformat.write(notebook, written)
        written.replace(path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
