"""Table II of the paper beside the network presets."""

from __future__ import annotations

from typing import Any

from spikex_sim.papers.spikex.workloads import NETWORKS
from spikex_sim.spec.networks import load_network

TABLE_II = {
    "dvs-gesture-medium": (
        300,
        {
            "conv1": (64, 32, 5, 2, 8),
            "conv2": (32, 8, 5, 8, 16),
            "conv3": (8, 8, 5, 16, 16),
            "conv4": (8, 10, 5, 16, 16),
            "fc1": (1, 1, 1, 1600, 512),
            "fc2": (1, 1, 1, 512, 11),
        },
    ),
    "dvs-gesture-large": (
        300,
        {
            "conv1": (32, 16, 3, 2, 32),
            "conv2": (16, 8, 3, 32, 64),
            "conv3": (8, 4, 3, 64, 128),
            "fc1": (1, 1, 1, 2048, 256),
            "fc2": (1, 1, 1, 256, 11),
        },
    ),
    "nmnist": (
        30,
        {
            "conv1": (34, 16, 3, 2, 12),
            "conv2": (16, 14, 3, 12, 32),
            "conv3": (14, 6, 3, 32, 64),
            "fc": (1, 1, 1, 2304, 10),
        },
    ),
}
"""Time points, and H, R, E, C, M of every layer, as published."""
LETTERS = ("H", "R", "E", "C", "M")


def table_ii() -> list[dict[str, Any]]:
    """Sizes of the presets' layers, and whether they are those of Table II."""
    rows = []
    for network in NETWORKS:
        preset = load_network(network)
        timesteps, layers = TABLE_II[network]
        for layer in preset.layers:
            sizes = (
                layer.in_height,
                layer.out_height,
                layer.kernel[0],
                layer.in_channels,
                layer.out_channels,
            )
            equal = preset.timesteps == timesteps and sizes == layers.get(layer.name)
            rows.append(
                {
                    "network": network,
                    "timesteps": preset.timesteps,
                    "layer": layer.name,
                    **dict(zip(LETTERS, sizes, strict=True)),
                    "stride": layer.stride[0],
                    "padding": layer.padding[0],
                    "as_published": "yes" if equal else "no",
                }
            )
    return rows
