"""Replays samples by ``model: released``: figures from shapes alone, output spikes of exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spikex_sim.core.counts import Counts, Operations, Stalls
from spikex_sim.core.progress import Progress, silent
from spikex_sim.costs.energy import Area, Energy
from spikex_sim.run.arrays import Weights
from spikex_sim.run.crossbar import Ran, scheduled
from spikex_sim.run.passage import ChainPassage
from spikex_sim.run.replay import Flow, LayerRunner, Signal
from spikex_sim.run.results import LayerResult
from spikex_sim.run.tally import ChipFigures
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.schedules.crossbar.released import Released, released, released_layers
from spikex_sim.schedules.synapses import Synapses
from spikex_sim.schedules.task import Task
from spikex_sim.timing.busy import idle
from spikex_sim.trace.plan import Stage
from spikex_sim.trace.trace import Trace

USE_OF = {"crossbar": "weights", "adc": "adc", "digital": "potentials", "buffers": "potentials",
          "htree": "potentials", "noc": "noc", "lif": "lif"}  # fmt: skip
"""What components spend energy for."""
LEFT_OUT = ("noc", "gb")
"""Network on chip and global buffer, of which the script knows no area."""
LEVEL_OF = {"buffers": "lbuf", "htree": "lbuf", "noc": "glb"}
"""What other machines have in place of components; of the rest the ALU. Buffers are the tiles'."""


@dataclass(frozen=True)
class ReleasedRunner(LayerRunner):
    """Costs by the released script's formulas."""

    figures: Released = field(kw_only=True)

    @classmethod
    def of(cls, runner: LayerRunner, trace: Trace) -> ReleasedRunner:
        """Evaluate the formulas for a network.

        Raises
        ------
        UnsupportedError
            If it has no convolution, or one that is not square.
        """
        arch = runner.arch
        assert isinstance(arch, CrossbarOptions)
        figures = released(*released_layers(trace.layers, arch), trace.timesteps, arch)
        return cls(arch, runner.engine, runner.energies, runner.observe, figures=figures)

    @property
    def pes(self) -> int:
        """Of stages that have no crossbars."""
        return 0

    def area_of(self, layers: Sequence[LayerResult]) -> Area:  # noqa: ARG002
        """Area by component; what the script leaves out is missing by name."""
        found = self.figures.area_um2_by.items()
        known = {name: um2 / 1e6 for name, um2 in found if name not in LEFT_OUT}
        return Area(known, dict.fromkeys(LEFT_OUT, "the released script leaves it out"))

    def run_sample(self, flow: Flow, progress: Progress = silent) -> Ran:
        """Replay a sample."""
        results, outputs, convolutions = list[LayerResult](), list[Signal | None](), 0
        passage = ChainPassage(self, flow, closed=False)
        for index, stage in enumerate(flow.stages):
            progress(stage.name, index, len(flow.stages))
            if not stage.layer.is_pool:
                flow.computed = self._spikes(stage, passage.enter(index, first=False).task)
                common = passage.told(index, flow.computed)
                number = convolutions if stage.layer.kind == "conv" else None
                results.append(self._costs(common, number))
                convolutions += stage.layer.kind == "conv"
            else:
                results.append(passage.skip(index))
            outputs.append(flow.computed)
        progress("done", len(flow.stages), len(flow.stages))
        return Ran(results, outputs, flow.computed)

    def _spikes(self, stage: Stage, task: Task) -> Signal | None:
        if stage.weight is None or stage.layer.neuron is None:
            return None
        assert isinstance(self.arch, CrossbarOptions)
        synapses = Synapses.of(stage.weight, stage.bias, stage.layer.neuron, self.arch)
        weights = Weights.of(f"layer {stage.name}", synapses, self.arch)
        schedule = scheduled(self._scheduler, task, self.arch)
        sums, _ = schedule.integrate(weights.synapses)
        fired = schedule.fire(weights.currents(sums), weights.synapses)
        return fired.reshape(*stage.layer.output_shape, -1)

    def _costs(self, common: dict[str, Any], number: int | None) -> LayerResult:
        """Costs of a convolution; other layers have none."""
        figures, nothing = self.figures, self.energies.energy(Counts(), 0)
        by = dict.fromkeys(nothing.components, 0.0) if number is None else figures.energy_pj_by[number]
        cycles = 0 if number is None else figures.cycles[number]
        pes = 0 if number is None else figures.pes[number]
        uses, levels = dict.fromkeys(nothing.uses, 0.0), dict.fromkeys(nothing.levels, 0.0)
        for name, pj in by.items():
            uses[USE_OF[name]] += pj
            levels[LEVEL_OF.get(name, "alu")] += pj
        energy = Energy({name: by[name] for name in nothing.components}, uses, nothing.leakage, 0.0, levels)
        return LayerResult(
            tws=1,
            mode=None,
            cycles=cycles,
            compute_cycles=cycles,
            stalls=Stalls(),
            operations=Operations(),
            counts=Counts(),
            energy=energy,
            estimate_pj=None,
            steps=0 if number is None else 1,
            busy=idle(),
            held=(),
            mapping={"pes": pes},
            span_cycles=cycles,
            chip=ChipFigures(None, dict.fromkeys(("noc_in", "noc_out", "lif"), 0), None, None, 0),
            changed_spikes=None if common["output_spikes"] is None else 0,
            **{**common, "pes": pes},
        )
