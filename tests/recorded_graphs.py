"""Networks with exact sums, recorded as graphs, and a replay of them that is compared with their modules."""

from __future__ import annotations

from typing import Any

import pytest

import spikex_sim as sx
from frameworks import exact
from spikex_sim.sources.frameworks.recording import Report
from spikex_sim.trace.graph import GraphTrace


def dyadic(model: Any) -> Any:
    """As :func:`frameworks.exact`, with what that leaves out: one-dimensional layers, recurrent weights."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    exact(model)
    generator = torch.Generator().manual_seed(3)

    def whole(low: int, high: int, shape: Any) -> Any:
        return torch.randint(low, high, tuple(shape), generator=generator)

    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            shape = (module.num_features,)
            module.eps = 0.0
            module.running_var, module.running_mean = 4.0 ** whole(-1, 2, shape), whole(-9, 9, shape) / 16
            module.weight.data, module.bias.data = 2.0 ** whole(-1, 2, shape), whole(-9, 9, shape) / 16
        if isinstance(module, nn.Conv1d):
            module.weight.data = whole(-40, 48, module.weight.shape) / 256
        for key in ("input_weights", "recurrent_weights"):
            if hasattr(module, key):
                getattr(module, key).data = whole(-20, 24, getattr(module, key).shape) / 64
    return model.eval()


def checked(model: Any, given: Any, **how: Any) -> GraphTrace:
    """Record a network; a replay in open and closed loop gives all that its modules gave."""
    reports: list[Report] = []
    trace = sx.record(model, given, report=reports.append, **how)
    assert isinstance(trace, GraphTrace)
    rows = [row for row in reports[0].rows if row.checked is not None]
    assert rows and not any(row.checked.differing for row in rows if row.checked)
    opened = sx.simulate(trace, tws=1)
    for layer in opened.layers:
        assert not layer.mismatched_spikes and not layer.mismatched_values, layer.name
    fired = [row.checked.given for row in rows if row.kind == "neurons" and row.checked]
    assert max(fired) > 0 and sum(count > 0 for count in fired) >= 0.6 * len(fired)
    entering = {node.name for node in trace.nodes if node.kind == "input"}
    closed = sx.simulate(sx.record(model, given, closed_loop=True, **how), tws=1)
    for one, other in zip(opened.layers, closed.layers, strict=True):
        assert one.output_sha256 == other.output_sha256, one.name
    assert entering
    return trace
