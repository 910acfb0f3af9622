"""Results of searches that nobody made: a winner of given cells, as ``nas.json`` has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikex_sim.explore.nas.cells import space_of
from spikex_sim.explore.nas.found import ArchitectureFound

COSTS = {"parameters": 100, "area_mm2": 1.0, "latency_ms": 2.0, "energy_uj": 3.0, "edp_js": 6e-12}
AROUND = {"dataset": "cifar10", "side": 32, "classes": 10, "vote": 10, "channels": 2, "timesteps": 2,
          "pool": 8, "width": 8, "tau": 4 / 3, "threshold": 1.0}  # fmt: skip


def found_of(a: str, b: str, space: str = "neuronas", bits: int = 8, **around: Any) -> ArchitectureFound:
    """A search whose winner has these cells, and a network around them."""
    cells = [space_of(space).parse(text, "cell") for text in (a, b)]
    network = {
        "cell_a": a, "cell_b": b, "convolutions_a": len(cells[0].live), "convolutions_b": len(cells[1].live),
        "score": -20.0, "negative": False, "constant": 0, "costs": COSTS, "feasible": True, "front": True,
    }  # fmt: skip
    winner = network | {
        "form_a": "", "form_b": "", "misses": (), "machines": {"spikesim-released": COSTS},
        "spread": {"scores": {"0": -20.0}, "mean": -20.0, "sd": 0.1},
        "rank": {"convolutions": 2, "rank": 1, "of": 1},
    }  # fmt: skip
    search = {
        "space": space, "same": False, "algorithm": "paper", "minimise": ["energy_uj"], "seed": 0,
        "arch": "spikesim-released", "bits": bits, "limits": {}, "network": AROUND | around,
    }  # fmt: skip
    return ArchitectureFound.model_validate({
        "search": search, "winner": winner, "networks": [network], "seconds": 1.0, "versions": {},
        "baselines": {"most_convolutions": None, "most_convolutions_spread": None, "random_feasible": []},
        "counts": {"scored": 1, "skipped": 0, "broken": 0, "saved": 0},
    })  # fmt: skip


def winner_file(folder: Path, a: str, b: str, **more: Any) -> Path:
    """Write ``nas.json`` of :func:`found_of` to a folder, which is returned."""
    found_of(a, b, **more).save(folder)
    return folder
