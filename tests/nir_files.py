"""NIR graphs as files, written with h5py alone, in the layout of the package nir 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Nodes = Mapping[str, Mapping[str, Any]]


def write_graph(path: str | Path, nodes: Nodes, edges: Sequence[tuple[str, str]] | None = None) -> Path:
    """Write a graph; without edges, nodes follow each other."""
    names = list(nodes)
    pairs = list(pairwise(names)) if edges is None else list(edges)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.create_dataset("version", data="1.0", dtype=text)
        graph = file.create_group("node")
        graph.create_dataset("type", data="NIRGraph", dtype=text)
        graph.create_dataset("edges", data=np.array(pairs, object).reshape(-1, 2), dtype=text)
        for name, values in nodes.items():
            node = graph.create_group(f"nodes/{name}")
            for key, value in values.items():
                if isinstance(value, str):
                    node.create_dataset(key, data=value, dtype=text)
                else:
                    node.create_dataset(key, data=np.asarray(value))
    return Path(path)


def conv(weight: Any, **more: Any) -> dict[str, Any]:
    usual = {
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "groups": 1,
        "bias": np.zeros(len(weight)),
    }
    return {"type": "Conv2d", "weight": np.float32(weight), **usual, **more}


def lif(shape: Any = (), **more: Any) -> dict[str, Any]:
    usual = {"tau": 2e-4, "r": 2.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 0.5}
    return {
        "type": "LIF",
        **{key: np.full(shape, value, np.float32) for key, value in (usual | more).items()},
    }


def chain(**changes: Any) -> dict[str, dict[str, Any]]:
    """Input, convolution, neurons, average pooling, flattening, linear layer, neurons, output."""
    rng = np.random.default_rng(7)
    nodes = {
        "input": {"type": "Input", "shape": [2, 6, 6]},
        "conv": conv(rng.integers(-64, 80, (4, 2, 3, 3)) / 256, padding=[1, 1]),
        "lif": lif((4, 6, 6)),
        "pool": {"type": "AvgPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
        "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": [4, 3, 3]},
        "fc": {"type": "Affine", "weight": np.float32(rng.integers(-64, 80, (5, 36)) / 256),
               "bias": np.float32(rng.integers(-9, 9, 5) / 256)},
        "last": lif((5,), v_threshold=0.25),
        "output": {"type": "Output", "shape": [5]},
    }  # fmt: skip
    made = {**nodes, **changes}
    return {key: value for key, value in made.items() if value is not None}
