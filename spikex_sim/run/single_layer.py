"""Costs of one layer by itself, as if it stood in its network: what fits and searches are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.registry import plugin
from spikex_sim.run.replay import Flow, LayerRunner
from spikex_sim.run.results import LayerResult
from spikex_sim.spec.arch import Accelerator
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.trace import Trace


@dataclass(frozen=True)
class SampleCost:
    """What a layer cost for one sample.

    Attributes
    ----------
    result : LayerResult
        Costs.
    output_kept : bool
        Whether its output stays in the GLB for the layer after it (``memory.glb.keep_ofmap``).
    """

    result: LayerResult
    output_kept: bool


@dataclass(frozen=True)
class SingleLayer:
    """One conv or linear layer, costs only.

    Attributes
    ----------
    stage : Stage
        The layer, without weights.
    successor : Stage or None
        What takes its output as it is; None where nothing does, or what does has recorded spikes.
    """

    stage: Stage
    successor: Stage | None = None

    def run(
        self, spikes: Trace, arch: Accelerator, tws: int, kept: Sequence[bool], engine: str = "fast"
    ) -> list[SampleCost]:
        """Run the layer for every sample of a trace.

        Parameters
        ----------
        spikes : Trace
            One layer, whose input it holds.
        arch : Accelerator
            Configuration; its own window size has no meaning here.
        tws : int
            Window size, time points.
        kept : sequence of bool
            For each sample, whether the GLB holds the input already.
        engine : {"fast", "event"}
            Memory engine.

        Raises
        ------
        ConfigError
            If the buffers are too small for the window size.
        """
        if arch.get("tws", default="") != "":
            arch = arch.model_copy(update={"tws": "auto"})  # so that it is priced at the size it is given
        runner = LayerRunner(arch, plugin("engines", engine), energy_model(arch))
        stages = [self.stage] if self.successor is None else [self.stage, self.successor]
        found = []
        for sample, held in enumerate(kept):
            flow = Flow(stages, spikes, sample)
            flow.kept = held
            result = runner.run_layer(0, flow, tws)
            found.append(SampleCost(result, flow.kept))
        return found


def single_layers(stages: Sequence[Stage], recorded: Sequence[int] = (0,)) -> dict[int, SingleLayer]:
    """Take a network apart into its conv and linear layers, by index.

    Parameters
    ----------
    stages : sequence of Stage
        Of the network, in order.
    recorded : sequence of int
        Layers whose input is recorded, and hence not what the layer before gives.
    """
    found = {}
    for index, stage in enumerate(stages):
        if stage.layer.is_pool:
            continue
        after = stages[index + 1] if index + 1 < len(stages) else None
        takes = after is not None and index + 1 not in recorded and not after.layer.is_pool
        found[index] = SingleLayer(
            Stage(stage.layer, None, None, stage.silence_is_free), after if takes else None
        )
    return found
