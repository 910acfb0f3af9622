"""Arrays that are not ideal against one dense solve per column and input vector, as SpikeSim's NICE has it.

PYTHONPATH=scripts python -m benchmarks.nice
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import medians, timed
from spikex_sim.core.geometry import Geometry
from spikex_sim.schedules.crossbar.mapping import LayerMapping
from spikex_sim.schedules.crossbar.nonideal.program import program
from spikex_sim.schedules.crossbar.options import CrossbarOptions

ROWS, OUTPUTS, SIDE, TIMESTEPS, RATE = 64, 32, 4, 16, 0.1
"""One crossbar of 64 x 64 cells, two columns a weight, and 256 input vectors."""


@dataclass(frozen=True, eq=False)
class Crossbar:
    """One crossbar with random weights, and vectors to read it with.

    Attributes
    ----------
    arch : CrossbarOptions
        Column wires, no noise, converters that do not clip.
    weight : int8 array ``[M, C]``
        Weights.
    spikes : bool array ``[C, SIDE, SIDE, T]``
        Input.
    """

    arch: CrossbarOptions
    weight: NDArray[np.int8]
    spikes: NDArray[np.bool_]

    @classmethod
    def drawn(cls) -> Crossbar:
        """The one that is timed."""
        rng = np.random.default_rng(0)
        imc: dict[str, Any] = {"arrays": "nonideal", "read_sigma": 0.0, "adc": {"bits": "auto"}}
        return cls(
            CrossbarOptions.model_validate({"name": "nice", "imc": imc}),
            rng.integers(-127, 128, (OUTPUTS, ROWS)).astype(np.int8),
            rng.random((ROWS, SIDE, SIDE, TIMESTEPS)) < RATE,
        )

    def simulated(self) -> NDArray[np.int64]:
        """Sums ``[T, P, M]`` as the simulator has them, programming included."""
        geometry = Geometry(ROWS, SIDE, SIDE, 1, 1, 1, 1, 0, 0, SIDE, SIDE)
        mapping = LayerMapping.of("conv", geometry, OUTPUTS, self.arch)
        programmed = program("conv", mapping, self.weight[..., None, None], self.arch, 0)
        packed = np.packbits(self.spikes, axis=-1)
        return programmed.sums(geometry, packed, TIMESTEPS, 0, shift=0)

    def solved(self) -> NDArray[np.int64]:
        """The same by Kirchhoff's laws: a linear system of all nodes for every column and vector."""
        device, wire = self.arch.imc.device, 1 / self.arch.imc.r_par_ohm
        on, off = 1e-3 / device.r_on_kohm, 1e-3 / device.r_off_kohm
        step = (on - off) / 15
        negative = (self.weight < 0).astype(np.int64)
        codes = self.weight.astype(np.int64) + 128 * negative
        cells = off + np.stack([codes % 16, codes // 16], axis=1).reshape(-1, ROWS) * step
        nodes = np.zeros((len(cells), ROWS, ROWS))
        i = np.arange(ROWS)
        nodes[:, i, i] = cells + 2 * wire
        nodes[:, 0, 0] -= wire
        nodes[:, i[1:], i[:-1]] = nodes[:, i[:-1], i[1:]] = -wire
        vectors = self.spikes.reshape(ROWS, -1).T.astype(np.int64)
        sums = np.empty((len(vectors), OUTPUTS), np.int64)
        for v, vector in enumerate(vectors):
            ends = np.linalg.solve(nodes, (cells * vector)[..., None])[:, -1, 0] * wire
            found = np.maximum(0, np.floor((ends - vector.sum() * off) / step + 0.5)).astype(np.int64)
            sums[v] = found.reshape(-1, 2) @ [1, 16] - 128 * (negative @ vector)
        return sums.reshape(-1, TIMESTEPS, OUTPUTS).transpose(1, 0, 2)


def seconds(repeats: int) -> tuple[float, float]:
    """Seconds of the simulator and of dense solves."""
    crossbar = Crossbar.drawn()
    ours, dense = medians((timed(crossbar.simulated), timed(crossbar.solved)), repeats)
    return ours, dense


def main() -> None:
    """Time both in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=3)
    ours, dense = seconds(parser.parse_args().repeats)
    print(f"{SIDE * SIDE * TIMESTEPS} vectors on a crossbar of {ROWS} x {ROWS}: {ours * 1e3:.3g} ms, "
          f"dense solves {dense * 1e3:.3g} ms, ratio {dense / ours:.3g}")  # fmt: skip


if __name__ == "__main__":
    main()
