"""The slow oracle, what the model has no cycles for: what ``overheads: hardware`` counts.

Written from ASSUMPTIONS.md, independently of the package and sharing no code with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from naive_problem import Problem, Tile


def overheads(problem: Problem, tiles: Sequence[Tile]) -> dict[str, int]:
    """Bits through deskew registers and between columns, entries looked up, tags examined, catch-ups."""
    found = dict.fromkeys(("deskew", "handover", "window_table", "scanner", "lif"), 0)
    for first_row in range(0, problem.M, problem.rows):
        rho = min(problem.rows, problem.M - first_row)
        last: dict[int, tuple[int, int]] = {}  # of a position, its latest window and that one's batch
        number = 0
        for tile in tiles:
            widest = max((len(batch.columns) for batch in tile.batches), default=0)
            for batch in tile.batches:
                for column, (p, w) in enumerate(batch.columns):
                    registers = sum(1 for _ in range(column + 1, widest))
                    found["deskew"] += rho * problem.tws * problem.psum_bits * registers
                    if p in last and number - last[p][1] <= 1:
                        found["handover"] += rho * problem.potential_bits
                    if not problem.ptb:
                        found["window_table"] += 1
                    if problem.config["stream"] != "all":
                        found["scanner"] += problem.C * len(problem.filter_positions)
                    if p in last and not problem.floating:
                        found["lif"] += rho * (w - last[p][0] - 1)
                    last[p] = w, number
                number += 1
    return found
