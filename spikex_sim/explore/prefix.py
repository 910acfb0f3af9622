"""Replays of the first time points of a trace, which the studies are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

from spikex_sim.core.errors import ConfigError
from spikex_sim.run.arrays import Arrays
from spikex_sim.run.results import RunResult
from spikex_sim.run.simulate import simulate_on
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.load import load_accelerator
from spikex_sim.trace.trace import Trace

TraceLike = Trace | str | Path
ArchLike = str | Path | Accelerator
TWS_CHOICES = (1, 2, 4, 8, 16)
"""Window sizes that are tried where none are named: those of the SpikeX paper, as far as T reaches."""


def spiking(
    arch: ArchLike, tws: int | str | Sequence[int] | None, overrides: Mapping[str, Any] | None
) -> Accelerator:
    """Load an accelerator that computes spikes.

    Raises
    ------
    ConfigError
        If the configuration is wrong, or that of an ANN.
    """
    accelerator = load_accelerator(arch, overrides)
    if accelerator.input_bits > 1:
        raise ConfigError(
            "computes activations in one pass; name an accelerator that computes spikes (activation_bits 1)",
            where=accelerator.name,
            field="activation_bits",
        )
    return accelerator if tws is None else load_accelerator(accelerator, {"tws": tws})


def list_of_numbers(values: Any, kind: Any, least: int, most: int, field: str) -> list[Any]:
    """Check a list of different numbers between two bounds.

    Raises
    ------
    ConfigError
        If it is something else; names ``field``.
    """

    def refuse(message: str) -> ConfigError:
        return ConfigError(message, field=field)

    if isinstance(values, str) or not isinstance(values, Iterable):
        raise refuse(f"must be a list of numbers, not {values!r:.60}")
    found = list(values)
    for number in found:
        if isinstance(number, bool) or not isinstance(number, kind) or not least <= number <= most:
            what = "a whole number" if kind is Integral else "a number"
            raise refuse(f"each must be {what} from {least} to {most}, not {number!r:.60}")
    if not found:
        raise refuse("needs at least one")
    if len(set(found)) < len(found):
        raise refuse("names a number twice")
    return found


def window_sizes(choices: Sequence[int] | None, timesteps: int) -> list[int]:
    """Check window sizes to try, or take those of :data:`TWS_CHOICES`; in order."""
    if choices is None:
        return [tws for tws in TWS_CHOICES if tws <= timesteps]
    return sorted(list_of_numbers(choices, Integral, 1, timesteps, "tws"))


def simulate_first(
    traces: Sequence[Trace], arch: Accelerator, timesteps: int, engine: str = "fast",
    arrays: Arrays | None = None,
) -> RunResult:  # fmt: skip
    """Replay the first time points of the samples of one network.

    Parameters
    ----------
    traces : sequence of Trace
        Samples.
    arch : Accelerator
        Configuration; window sizes larger than ``timesteps`` are cut to it.
    timesteps : int
        How many time points.
    engine : {"fast", "event"}
        Memory engine.
    arrays : Arrays, optional
        Of a crossbar machine, calibrated on whole samples.

    Returns
    -------
    RunResult
        As of :meth:`spikex_sim.Trace.first`.
    """
    tws: int | Literal["auto"] | tuple[int, ...] | None = arch.get("tws", default=None)
    if tws is not None and timesteps < traces[0].timesteps:
        arch = arch.model_copy(update={"tws": _cut(tws, timesteps)})
    return simulate_on(arrays, [trace.first(timesteps) for trace in traces], arch, engine=engine)


def _cut(tws: Any, timesteps: int) -> Any:
    if isinstance(tws, tuple):
        return tuple(min(size, timesteps) for size in tws)
    return tws if tws == "auto" else min(tws, timesteps)
