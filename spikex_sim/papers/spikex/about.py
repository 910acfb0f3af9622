"""What the paper's studies were run with: program, configurations, weights, samples and logs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from spikex_sim.core.origin import origin
from spikex_sim.papers.spikex.studies import Machines
from spikex_sim.papers.spikex.trained import CONFIGURATIONS, Material, logs_of
from spikex_sim.papers.spikex.workloads import NETWORKS
from spikex_sim.run.simulate import versions

SCHEMA = 1
"""Version of the layout of ``reproduce.json``."""


def about(figures: Sequence[str], machines: Machines, material: Material) -> dict[str, Any]:
    """As in ``reproduce.json``; weights, samples and logs where a figure that was run takes them."""
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": versions() | origin(),
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": list(figures),
        "machines": {
            name: one.model_dump(mode="json")
            for name, one in (("spikex", machines.spikex), ("ptb", machines.ptb))
        },
    }
    if {"fig5", "fig13", "densities"} & set(figures):
        found["networks"] = [
            {
                "network": name,
                "variant": variant,
                "weights_sha256": trained.file_sha256,
                "data": samples.source,
                "data_sha256": samples.sha256,
                "samples": len(samples),
            }
            for name in NETWORKS
            for variant in dict.fromkeys(one.variant for one in CONFIGURATIONS)
            if (trained := material.network(name, variant)) is not None
            and (samples := material.labelled(trained))
        ]
    if {"fig7", "fig8"} & set(figures):
        found["logs"] = [
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for _, path in logs_of(material)
        ]
    return found
