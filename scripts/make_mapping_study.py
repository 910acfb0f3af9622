"""Map networks that look like those of the paper on integer programs in all ways: docs/mapping-study.csv.

    python scripts/make_mapping_study.py [--jobs 2] [--steps 3e7] [--kept study.sqlite]

A quarter of an hour on two cores. What is in --kept is not mapped again. make_validation_page.py reads the
rows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spikex_sim.core.files import csv_text, write_files
from spikex_sim.explore.mapping.effort import RESTARTS, STEPS, Effort
from spikex_sim.papers.ilp.studies import SEED, way_rows

ROWS = Path(__file__).resolve().parents[1] / "docs" / "mapping-study.csv"


def main() -> int:
    parser = argparse.ArgumentParser(description="Rewrite docs/mapping-study.csv.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--steps", type=float, default=STEPS)
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    effort = Effort("anneal", int(options.steps), RESTARTS, SEED, options.jobs)
    rows = way_rows(effort, options.kept, lambda name, done, total: print(f"{name}: {done + 1} of {total}"))
    write_files(ROWS.parent, {ROWS.name: csv_text(rows)})
    print(f"rewrote {ROWS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
