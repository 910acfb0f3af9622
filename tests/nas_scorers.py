"""Scores without PyTorch: drawn from a hash of the forms, with spikes of a rate drawn likewise."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikex_sim.core.errors import SpikexError
from spikex_sim.explore.nas.forms import Form
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.scores import Recorded, Score, Value


@dataclass(frozen=True)
class DrawnScorers:
    """Makes the scorer of a seed.

    Attributes
    ----------
    macro : Macro
        What surrounds the cells.
    how : mapping
        Further settings, on which scores depend.
    log : Path, optional
        File that gets a line for every score.
    fails_at : int, optional
        Scores after which one fails, over all scorers.
    seconds : float
        That a score takes.
    levels : int
        Scores are multiples of 1/levels above the number of convolutions; 0: all are minus infinity.
    """

    macro: Macro
    how: Mapping[str, Value] = field(default_factory=dict)
    log: Path | None = None
    fails_at: int | None = None
    seconds: float = 0.0
    levels: int = 256

    def __call__(self, seed: int) -> DrawnScorer:
        return DrawnScorer(self, seed)

    def scored(self) -> list[str]:
        """What was scored, in order: seed and forms."""
        return self.log.read_text().splitlines() if self.log is not None and self.log.exists() else []


class DrawnScorer:
    def __init__(self, scorers: DrawnScorers, seed: int) -> None:
        self._scorers, self._seed = scorers, seed

    @property
    def settings(self) -> Mapping[str, Value]:
        macro = self._scorers.macro
        return {"seed": self._seed, "channels": macro.channels, "timesteps": macro.timesteps,
                "dataset": macro.dataset.name, **self._scorers.how}  # fmt: skip

    def score(self, a: Form, b: Form) -> tuple[Score, tuple[Recorded, ...]]:
        mine, macro = self._scorers, self._scorers.macro
        if mine.fails_at is not None and len(mine.scored()) >= mine.fails_at:
            raise SpikexError("interrupted", where="scorer")
        digest = hashlib.sha256(f"{sorted(self.settings.items())}{a.text}|{b.text}".encode()).digest()
        time.sleep(mine.seconds)
        value = -float("inf")
        if mine.levels:
            value = len(a.kernels) + len(b.kernels) + digest[0] % mine.levels / mine.levels
        rng, rate = np.random.default_rng(digest[1]), (1 + digest[2]) / 512
        recorded = []
        for layer, name in zip(macro.convolutions(a.kernels, b.kernels)[1:], names(a, b), strict=True):
            shape = (macro.timesteps, layer.in_channels, layer.in_side, layer.in_side)
            recorded.append(Recorded(name, layer, rng.random(shape) < rate))
        if mine.log is not None:
            file = os.open(mine.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{self._seed} {a.text} | {b.text}\n".encode())
            os.close(file)
        return Score(value, (value,), False, digest[3] % 3), tuple(recorded)


def names(a: Form, b: Form) -> list[str]:
    """Populations that convolutions take spikes of."""
    return [
        *(f"a{k + 1}" for k in range(len(a.kernels))),
        "down",
        *(f"b{k + 1}" for k in range(len(b.kernels))),
    ]
