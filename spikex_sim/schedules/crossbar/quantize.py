"""Float weights as the integers that crossbars hold (docs/imc.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.errors import ConfigError


def as_integers(weight: NDArray[Any], weight_bits: int) -> tuple[NDArray[Any], np.float32 | None]:
    """Integer weights of a layer, and what one of them is worth in the float datapath (None of integers).

    A float layer is quantised with one scale, its largest weight being the largest integer.
    """
    if weight.dtype.kind == "i":
        return weight, None
    most = (1 << (weight_bits - 1)) - 1
    if most == 0:
        raise ConfigError("is 1: float weights need at least 2 bits", field="weight_bits")
    scale = float(np.abs(weight).max()) / most
    if scale == 0:
        return np.zeros(weight.shape, np.int8), np.float32(0)
    found = np.floor(weight.astype(np.float64) / scale + 0.5)
    return np.clip(found, -most - 1, most).astype(np.int8), np.float32(scale)
