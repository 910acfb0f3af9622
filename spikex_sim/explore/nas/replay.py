"""Costs of a network from its spikes: its convolutions as a trace, replayed on any machine (Section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikex_sim.explore.nas.costs import Costs
from spikex_sim.explore.nas.macro import Convolution, Macro
from spikex_sim.explore.nas.scores import Recorded
from spikex_sim.run.simulate import simulate
from spikex_sim.schedules.crossbar.options import ImcMachine
from spikex_sim.spec.arch import Accelerator
from spikex_sim.spec.workload import Layer, Neuron
from spikex_sim.trace.trace import Trace

NEURON = Neuron(threshold=1, leak_shift=2)
"""Behind every convolution: without weights it never fires, and all neurons of one state cost the same."""


def network_trace(macro: Macro, recorded: Sequence[Recorded]) -> Trace:
    """Make a trace of the convolutions in the order stem, A, down, B, each with the spikes that it took.

    The image enters the stem directly: all inputs are active at all time points. There are no weights, so
    that costs alone follow.

    Parameters
    ----------
    macro : Macro
        The network around the cells.
    recorded : sequence of Recorded
        What its convolutions took of one image; of the stem nothing is looked at.

    Raises
    ------
    TraceError
        If spikes do not fit their convolution.
    """
    stem = macro.convolutions((), ())[0]
    pixels = np.ones((stem.in_channels, stem.in_side, stem.in_side, macro.timesteps), bool)
    layers, inputs = [_layer("stem", stem)], dict[int, NDArray[np.bool_]]({0: pixels})
    for one in recorded:
        if one.layer.part != "stem":
            inputs[len(layers)] = np.moveaxis(one.spikes, 0, -1)
            layers.append(_layer(one.name, one.layer))
    return Trace.from_arrays(layers, inputs, name="searched network")


def replayed(macro: Macro, arch: Accelerator, recorded: Sequence[Recorded]) -> Costs:
    """Costs of an inference on a machine, of the image that was recorded.

    Parameters
    ----------
    macro : Macro
        The network around the cells.
    arch : Accelerator
        Any machine of the simulator.
    recorded : sequence of Recorded
        As of :func:`network_trace`.

    Returns
    -------
    Costs
        ``energy_uj`` is dynamic, without leakage; ``area_mm2`` is NaN but of chips of crossbars, as that of
        other machines is the same for every network.

    Raises
    ------
    SpikexError
        If the machine cannot run the network.
    """
    totals = simulate(network_trace(macro, recorded), arch).totals
    area = totals.area_mm2 if isinstance(arch, ImcMachine) else None
    return Costs(
        sum(one.layer.weights for one in recorded if one.layer.part != "stem")
        + macro.convolutions((), ())[0].weights,
        float("nan") if area is None else float(area),
        totals.seconds * 1e3,
        totals.energy_pj / 1e6,
    )


def check_runs(macro: Macro, arch: Accelerator) -> None:
    """Raise :class:`SpikexError` if a machine takes no network at all: not even silence behind the stem."""
    stem, down = macro.convolutions((), ())
    replayed(macro, arch, [
        Recorded(one.part, one, np.zeros((macro.timesteps, one.in_channels, one.in_side, one.in_side), bool))
        for one in (stem, down)
    ])  # fmt: skip


def _layer(name: str, one: Convolution) -> Layer:
    square, padding = (one.kernel, one.kernel), one.kernel // 2
    return Layer(
        name=name, kind="conv", in_channels=one.in_channels, out_channels=one.out_channels, kernel=square,
        stride=(one.stride, one.stride), padding=(padding, padding), in_height=one.in_side,
        in_width=one.in_side, neuron=NEURON,
    )  # fmt: skip
