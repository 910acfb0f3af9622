"""Whatever graph there can be, both file formats give it back exactly."""

import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph_strategies import graphs
from spikex_sim.trace.graph import GraphTrace, content_sha256
from spikex_sim.trace.store import load_trace, save_trace


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), ending=st.sampled_from([".npz", ".h5"]))
def test_round_trip(graph: GraphTrace, ending: str, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("trip") / f"x{ending}"
    save_trace(graph, path)
    back = load_trace(path)
    assert isinstance(back, GraphTrace)
    assert back.nodes == graph.nodes and back.label == graph.label
    assert json.dumps(back.meta()) == json.dumps(graph.meta())
    ours, theirs = graph.arrays(), back.arrays()
    assert list(ours) == list(theirs)
    for key, array in ours.items():
        assert array.dtype == theirs[key].dtype and np.array_equal(array, theirs[key])
    assert content_sha256(back) == content_sha256(graph)
    again = path.with_name(f"y{ending}")
    save_trace(back, again)
    assert again.read_bytes() == path.read_bytes()
