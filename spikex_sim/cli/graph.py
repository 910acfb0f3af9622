"""What a graph is made of, as an indented list."""

from __future__ import annotations

import textwrap

from spikex_sim.cli import show
from spikex_sim.core.sheet import LONGEST_KEY, short
from spikex_sim.core.text import harmless
from spikex_sim.trace.graph import GraphTrace
from spikex_sim.trace.graph_text import recorded_of, taken_by, words_of


def show_graph(trace: GraphTrace, tws: int) -> None:
    """Print nodes, what each takes and how, its neurons, and how busy what was recorded is."""
    width = max(40, show.console.width)
    for node in trace.nodes:
        lines = [f"{short(node.name, LONGEST_KEY)}: {', '.join(words_of(trace, node))}"]
        lines += [f"    {line}" for line in taken_by(trace, node)]
        recorded = recorded_of(trace, node.name, tws)
        lines += [f"    recorded {recorded}"] if recorded else []
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip()) + 4)
            wrapped = textwrap.wrap(harmless(line), width, subsequent_indent=indent)
            show.console.print("\n".join(wrapped), markup=False)
