"""Layers whose sums may need more bits than ``psum_bits``: refused before a run, or said to wrap around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spikex_sim.core.errors import ConfigError
from spikex_sim.run.flow import GraphStage
from spikex_sim.run.stages import stages_of
from spikex_sim.schedules.psums import bits_of
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.together import AnyTrace


def check_psums(trace: AnyTrace, stages: Sequence[Stage | GraphStage], arch: Accelerator) -> None:
    """Refuse a network of which a layer could overflow its partial sums.

    Raises
    ------
    ConfigError
        If sums are not to wrap, naming the layer that needs most, and the smallest width that works.
    """
    beyond = _beyond(trace, stages, arch)
    if beyond and arch.psum_overflow == "refuse":
        name, bits = max(beyond.items(), key=lambda one: one[1])
        raise ConfigError(
            f"{arch.psum_bits} bits may not hold the sums of layer {name}; the smallest that works is "
            f"{bits}, or psum_overflow: wrap lets them wrap around",
            where=arch.name,
            field="psum_bits",
        )


def remarks(trace: AnyTrace, arch: Accelerator) -> list[str]:
    """What a reader should know of results of a network on a machine, and which key moves it."""
    return [*arch.remarks(), *psum_remarks(trace, arch)]


def psum_remarks(trace: AnyTrace, arch: Accelerator) -> Iterator[str]:
    """Yield which layers' sums may wrap around."""
    if arch.psum_overflow == "refuse":
        return
    beyond = _beyond(trace, stages_of(trace, arch), arch)
    if beyond:
        yield (
            f"psum_overflow wrap: sums of {', '.join(beyond)} wrap around beyond {arch.psum_bits} bits; "
            f"psum_bits={max(beyond.values())} holds them all"
        )


def _beyond(trace: AnyTrace, stages: Sequence[Stage | GraphStage], arch: Accelerator) -> dict[str, int]:
    """Bits that sums of weights may need, by layer, where there are fewer; of activations nothing is said."""
    if arch.input_bits > 1 or not arch.reads("psum_overflow"):
        return {}
    needed = {
        stage.name: bits_of(stage.largest_sum(trace, arch.weight_bits))  # type: ignore[arg-type]
        for stage in stages
    }
    return {name: bits for name, bits in needed.items() if bits > arch.psum_bits}
