"""Tables of a trace: its layers, and how busy what was recorded is."""

from __future__ import annotations

from spikex_sim.core.html import html_of
from spikex_sim.core.sheet import Sheet, short, table
from spikex_sim.core.text import counted
from spikex_sim.core.units import sides
from spikex_sim.trace.summary import activities, parameter_count
from spikex_sim.trace.trace import Trace

NOTEBOOK_BYTES = 1 << 24
"""Recorded bits that are counted for a notebook: fractions of a second."""
NOTEBOOK_TWS = 4
"""Window size of a notebook's tag statistics, as ``trace show`` has it."""


def layers_table(trace: Trace) -> Sheet:
    """Shapes and neurons of the layers."""
    made = table("Layers", "layer", "kind", "input", "output", "weights", "neuron", left=2)
    for index, layer in enumerate(trace.layers):
        neuron = layer.neuron
        leak = "" if neuron is None else neuron.leak_shift if neuron.datapath == "int" else neuron.leak
        made.add_row(
            short(layer.name), layer.kind, sides(layer.input_shape), sides(layer.output_shape),
            sides(layer.weight_shape) if index in trace.weights else "none",
            "" if neuron is None else f"{neuron.datapath}, V_th {neuron.threshold:g}, leak {leak}",
        )  # fmt: skip
    return made


def activity_table(trace: Trace, tws: int) -> Sheet:
    """Spikes of recorded inputs, and their windows of so many time points."""
    made = table("Recorded input", "layer", "spikes", "rate %", "silent inputs %",
                 f"active (input, window) % at TWS={tws}")  # fmt: skip
    for index, busy in activities(trace, tws).items():
        made.add_row(
            short(trace.layers[index].name), f"{busy.spikes:,}", f"{100 * busy.rate:.4g}",
            f"{100 * busy.silent_share:.1f}", f"{100 * busy.active_window_share:.3g}",
        )  # fmt: skip
    return made


def trace_html(trace: Trace) -> str:
    """Write a trace for a notebook; a very large one without what would have to be counted."""
    recorded = sum(packed.nbytes for packed in trace.inputs.values())
    counted_too = [activity_table(trace, NOTEBOOK_TWS)] if recorded <= NOTEBOOK_BYTES else []
    size = f"T={trace.timesteps}, {counted(trace.samples, 'sample')}, {parameter_count(trace):,} parameters"
    return html_of(f"Trace {trace.name}: {size}", [layers_table(trace), *counted_too], texts=[trace.source])
