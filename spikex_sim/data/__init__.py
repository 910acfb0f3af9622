"""Data that ships with the package: the trace that runs when none is named."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

DEFAULT_TRACE = "nmnist_digit.npz"


def default_trace_path() -> Path:
    """Path of the embedded trace: an emulated N-MNIST digit, T=30, through the N-MNIST network."""
    return Path(str(files("spikex_sim.data") / DEFAULT_TRACE))
