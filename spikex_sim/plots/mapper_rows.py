"""What figures of a mapping are drawn from: rows made of ``mapping.json`` and its network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikex_sim.mapped.homes import Homes
from spikex_sim.mapped.saved import SavedMapping
from spikex_sim.plots.table import Row


def step_rows(saved: SavedMapping) -> list[Row]:
    """Points along the annealing runs of every stage: ``stage``, ``run``, ``steps``, ``value``, ``bound``."""
    rows: list[Row] = []
    for stage in saved.stages:
        if not stage.get("steps"):
            continue
        for run, values in enumerate(stage.get("history") or (), 1):
            for at, value in enumerate(values):
                rows.append({
                    "stage": stage["objective"], "run": run,
                    "steps": stage["steps"] * at / max(1, len(values) - 1), "value": value,
                    "bound": stage.get("bound"),
                })  # fmt: skip
    return rows


def type_rows(saved: SavedMapping) -> list[Row]:
    """Types in use in the order of the pool: ``type``, ``crossbars``, ``area``."""
    numbers = saved.metrics["by_type"]
    return [
        {"type": one["name"], "crossbars": numbers[one["name"]], "area": numbers[one["name"]] * one["area"]}
        for one in saved.pool["types"]
        if numbers.get(one["name"])
    ]


def crossbar_rows(homes: Homes, saved: SavedMapping) -> list[Row]:
    """Crossbars: ``type``, ``inputs``, ``outputs``, ``axons``, ``neurons``."""
    axons = np.diff(homes.axons.starts).tolist()
    return [
        {"type": one["type"], "inputs": inputs, "outputs": outputs, "axons": taken, "neurons": used}
        for one, inputs, outputs, taken, used in zip(
            saved.crossbars, homes.inputs.tolist(), homes.outputs.tolist(), axons, homes.used.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def mesh_rows(homes: Homes, saved: SavedMapping) -> list[Row]:
    """Tiles and links: see :func:`spikex_sim.plots.mapper_drawings.mesh`."""
    rows: list[Row] = [
        {"what": "tile", "x": tile % homes.cols, "y": tile // homes.cols, "crossbar": j, "type": one["type"]}
        for j, (tile, one) in enumerate(zip(homes.tile.tolist(), saved.crossbars, strict=True))
    ]
    if homes.graph.external:
        rows.append({"what": "entry", "x": 0, "y": 0})
    along, down = _loads(homes, [one["packets"] for one in saved.splits])
    for (y, x), packets in np.ndenumerate(along):
        rows.append({"what": "link", "x": x, "y": y, "to_x": x + 1, "to_y": y, "packets": int(packets)})
    for (y, x), packets in np.ndenumerate(down):
        rows.append({"what": "link", "x": x, "y": y, "to_x": x, "to_y": y + 1, "packets": int(packets)})
    return rows


def _loads(homes: Homes, sums: list[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Packets over links along rows and down columns, each on its own: along its row, then its column.

    ``sums`` are those that further parts of split neurons send to the first.
    """
    axons, graph = homes.axons, homes.graph
    tiles = np.concatenate([homes.tile[homes.home[: graph.neurons]], np.zeros(graph.external, np.int64)])
    own = homes.tile[homes.home]
    source = np.concatenate([tiles[axons.items], own[graph.neurons :]])
    target = np.concatenate([
        np.repeat(homes.tile, np.diff(axons.starts)), own[homes.neuron[graph.neurons :]]
    ])  # fmt: skip
    packets = np.concatenate([graph.spikes[axons.items], np.array(sums, np.int64)])
    (from_y, from_x), (to_y, to_x) = (np.divmod(one, homes.cols) for one in (source, target))
    along = np.zeros((homes.rows, homes.cols), np.int64)  # differences from link to link
    down = np.zeros((homes.rows, homes.cols), np.int64)
    for total, first, second in (
        (along, (from_y, np.minimum(from_x, to_x)), (from_y, np.maximum(from_x, to_x))),
        (down, (np.minimum(from_y, to_y), to_x), (np.maximum(from_y, to_y), to_x)),
    ):
        np.add.at(total, first, packets)
        np.add.at(total, second, -packets)
    return along.cumsum(axis=1)[:, :-1], down.cumsum(axis=0)[:-1]
