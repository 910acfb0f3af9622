"""Measures what a second process saves: the same sweep of 200 points on one and on two, in turn.

Every run is a process of its own that starts with an empty store; kernels are warm. Prints every pair's ratio
and their median.

    python scripts/measure_sweep_speedup.py [TRACE ...] [--arch NAMES] [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TRACE = Path(__file__).parents[1] / "traces" / "nmnist_digit.npz"
GRID = ("tws=1,2,3,4,5,6,7,8,9,10", "array.rows=4,8,16,32", "array.cols=4,8,12,16,32")
POINTS = 200


def seconds(traces: Sequence[str], arch: str, jobs: int) -> float:
    """Time a sweep on so many processes, from the shell to the table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "spikex_sim", "sweep", *traces, "--arch", arch]
        command += ["--jobs", str(jobs), "--out", folder]
        for axis in GRID:
            command += ["--grid", axis]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken = time.perf_counter() - start
        rows = len(Path(folder, "sweep.csv").read_text().splitlines()) - 1
    if rows < POINTS:
        raise SystemExit(f"only {rows} of {POINTS} points are in the table")
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="*", default=[str(TRACE)])
    parser.add_argument("--arch", default="spikex")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    seconds(given.traces, given.arch, 1)  # warms the kernels and the files
    ratios = []
    for _ in range(given.repeats):
        one, two = (seconds(given.traces, given.arch, jobs) for jobs in (1, 2))
        ratios.append(two / one)
        print(f"1 process {one:6.2f} s   2 processes {two:6.2f} s   ratio {two / one:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
