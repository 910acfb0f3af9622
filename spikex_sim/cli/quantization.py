"""What ``--int8`` does and says: float layers on the integer datapath, and how far their spikes are off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikex_sim.cli.making import save
from spikex_sim.cli.options import echo, writable_file

if TYPE_CHECKING:
    from spikex_sim.explore.quantization import Quantization
    from spikex_sim.trace.trace import Trace


def quantize_into(trace: Trace, out: Path) -> None:
    """Write a trace with int8 weights in place of float ones, and say what became of it."""
    from spikex_sim.cli import show
    from spikex_sim.explore.quantization import quantize

    writable_file(out)
    show.log_to_terminal()
    with show.progress_bar("quantizing") as progress:
        found = quantize(trace, progress=progress)
    _show(found)
    save(found.trace, out)


def _show(found: Quantization) -> None:
    from spikex_sim.cli import show
    from spikex_sim.explore.search_tables import drift_table

    show.put(drift_table(found))
    if found.kept:
        echo(f"recorded inputs that stay float32's: {', '.join(found.kept)}")
    if found.labels:
        right, same = _right(found, found.predicted), _agreeing(found)
        echo(
            f"accuracy {right} of {len(found.labels)}, was {_right(found, found.predicted_before)}; "
            f"{same} predictions stay"
        )


def _right(found: Quantization, predicted: tuple[int, ...]) -> int:
    return sum(one == label for one, label in zip(predicted, found.labels, strict=True))


def _agreeing(found: Quantization) -> int:
    return sum(one == was for one, was in zip(found.predicted, found.predicted_before, strict=True))
