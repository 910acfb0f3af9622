"""Golden counts of the shipped traces: `python tests/golden/regenerate.py` writes them anew.

A change is a change of the model: it wants a line in CHANGELOG.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import spikex_sim as sx
from spikex_sim.data import default_trace_path

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parents[1]
COMMAND = "python tests/golden/regenerate.py"
TWS = 4
ARCHS = ("spikex", "ptb")
DIGITS = 9
"""Significant digits that energies are compared in."""
COUNTED = (
    "name", "kind", "mode", "tws", "cycles", "compute_cycles", "stalls", "batches", "ntwus", "streamed_taps",
    "accumulations", "lif_updates", "comparisons", "leak_catchups", "dense_accumulations", "accesses",
    "steps", "input_spikes", "output_spikes", "output_sha256", "mismatched_spikes", "mapping",
)  # fmt: skip


def traces() -> dict[str, Path]:
    """The embedded trace and those in ``traces/``, by the name of their golden files."""
    shipped = sorted((REPOSITORY / "traces").glob("*.npz"))
    return {"embedded": default_trace_path(), **{path.stem: path for path in shipped}}


def rounded(value: Any) -> Any:
    """Floats to so many digits that every platform agrees on them."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def measure(path: Path, arch: str) -> dict[str, Any]:
    """Counts and rounded energies of a run, without anything that depends on the machine."""
    data = sx.simulate(path, arch, tws=TWS).to_dict()
    energies = {key: value for key, value in data["totals"].items() if "_pj" in key}
    return {
        "trace_sha256": data["trace"]["sha256"],
        "layers": [
            {
                **{key: layer[key] for key in COUNTED},
                "energy_pj": rounded(layer["energy_pj"]),
                "energy_pj_by": rounded(layer["energy_pj_by"]),
                "energy_by_use_pj": rounded(layer["energy_by_use_pj"]),
                "leakage_pj": rounded(layer["leakage_pj"]),
            }
            for layer in data["layers"]
        ],
        "totals": {"cycles": data["totals"]["cycles"], **rounded(energies)},
    }


def golden_file(trace: str, arch: str) -> Path:
    """Where the counts of a run are kept."""
    return FOLDER / f"{trace}-{arch}-tws{TWS}.json"


def main() -> None:
    """Write every golden file."""
    from spikex_sim.run.simulate import versions

    found = versions()
    meta = {"command": COMMAND, **{name: found[name] for name in ("spikex_sim", "numpy", "numba", "python")}}
    for trace, path in traces().items():
        for arch in ARCHS:
            run = f"simulate({trace}, {arch}, tws={TWS})"
            content = {"_meta": {**meta, "run": run}, **measure(path, arch)}
            golden_file(trace, arch).write_text(json.dumps(content, indent=1) + "\n")
            sys.stdout.write(f"{golden_file(trace, arch).relative_to(REPOSITORY)}\n")


if __name__ == "__main__":
    main()
