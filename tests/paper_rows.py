"""Rows as studies of the paper write them, of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rows = list[dict[str, Any]]
NETWORKS = {
    "dvs-gesture-medium": ["conv1", "conv2", "conv3", "conv4", "fc1", "fc2"],
    "dvs-gesture-large": ["conv1", "conv2", "conv3", "fc1", "fc2"],
    "nmnist": ["conv1", "conv2", "conv3", "fc"],
}
CONFIGURATIONS = {"PTB": 1.0, "PTB+HT": 0.12, "PTB+HT+HAS": 0.1, "SpikeX": 0.8, "SpikeX+HT+HAS": 0.05}
COMPONENTS = {"alu": 0.36, "rf": 0.4, "lbuf": 0.12, "glb": 0.08, "dram": 0.04}
USES = {"weights": 0.4, "spikes": 0.2, "potentials": 0.04}


def costs(scale: float) -> dict[str, Any]:
    return {"cycles": int(1e6 * scale), "seconds": 2e-3 * scale, "energy_pj": 5e6 * scale}


def energies(shares: dict[str, float], pj: float) -> dict[str, float]:
    return {f"energy_{part}_pj": share * pj for part, share in shares.items()}


def fig5(*variants: str) -> Rows:
    return [
        {"network": network, "variant": variant, "layer": layer, "tws": tws,
         "density": 0.03 * (at + 1) * tws**0.5 * (0.1 if variant == "ht" else 1),
         "neurons_below_10_percent": f"{95 - at}" if tws == 1 else ""}
        for network, layers in NETWORKS.items()
        for variant in variants
        for tws in (1, 2, 4, 8, 16)
        for at, layer in enumerate(layers)
    ]  # fmt: skip


def fig9(*rates: float) -> Rows:
    return [
        {"rate": r, "tws": tws, **costs((r + 2e-4) * (1 + tws / 10))} for r in rates for tws in (2, 3, 5, 10)
    ]


def fig10(*rates: float) -> Rows:
    return [
        {"rate": rate, "arch": arch, "tws": 4, **costs(scale * rate**0.9)}
        for rate in rates
        for arch, scale in (("spikex-paper", 1.0), ("ptb-paper", 1.3 * (0.05 / rate) ** 0.25))
    ]


def fig12(*cases: tuple[str, str]) -> Rows:
    return [
        {"network": network, "layer": layer, "tws": tws, "energy_pj": pj, **energies(COMPONENTS | USES, pj)}
        for tws in (4, 8)
        for pj, (network, layer) in enumerate(cases, 1)
    ]


def fig13(*configurations: str) -> Rows:
    return [
        {"network": network, "configuration": name, "layer": layer, **costs(CONFIGURATIONS[name] * (at + 1))}
        for network, layers in NETWORKS.items()
        for name in configurations
        for at, layer in enumerate(layers)
    ]


def tornado(*parameters: str) -> Rows:
    """The n-th parameter moves errors by the more the smaller n is, down and up."""
    chosen = {"fig9": 0.4, "fig10": 0.2, "fig12": 0.6}
    return [
        {"parameter": name, "value": value, "chosen": "b", "figure": figure, "rows": 8,
         "error": error + step / (at + 1), "chosen_error": error}
        for at, name in enumerate(parameters)
        for value, step in (("a", -0.05), ("b", 0.0), ("c", 0.2))
        for figure, error in chosen.items()
    ]  # fmt: skip


def fig7(*betas: float) -> Rows:
    return [
        {"network": network, "beta": beta, "accuracy": 0.95 - beta, "spike_density": 0.1 / (1 + 50 * beta),
         "window_density": 0.3 / (1 + 50 * beta)}
        for network in NETWORKS for beta in betas
    ]  # fmt: skip


def fig8(epochs: int, *sizes: int) -> Rows:
    """The first size of a layer gains what the others lose."""
    return [
        {"network": network, "layer": layer, "epoch": epoch, "tws": size,
         "probability": (1 + (len(sizes) - 1) * (epoch if size == sizes[0] else -epoch / len(sizes)) / epochs)
         / len(sizes) if len(sizes) > 1 else 1.0}
        for network, layers in NETWORKS.items() for layer in layers for epoch in range(epochs)
        for size in sizes
    ]  # fmt: skip


def densities(*at: float) -> Rows:
    """Costs that grow with the density; what is fitted, and what comes along."""
    costs = (
        "ptb_energy_pj",
        "ptb_seconds",
        "has_energy_pj",
        "has_seconds",
        "spikex_energy_pj",
        "spikex_seconds",
    )
    names = ("ht_energy", "ht_latency", "has_latency", "all_energy", "all_latency")
    rows: Rows = []
    for network in NETWORKS:
        for reading in ("all channels", "tagged channels"):
            told = {"network": network, "ptb_moves": reading, "variant": ""}
            rows += [{**told, "kind": "drawn", "density": one, **{name: 1 + one * place for place, name in
                      enumerate(costs, 1)}} for one in at]  # fmt: skip
            twos = {f"{name}_{what}": 2.0 for name in names for what in ("ratio", "published")}
            rows.append({**told, "kind": "fitted", "density": at[0], "base_density": at[-1], **twos})
        rows += [{"network": network, "ptb_moves": "", "kind": "shipped", "variant": variant, "density": one}
                 for variant, one in (("base", 0.06), ("HT", 0.02))]  # fmt: skip
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key, "") for key in columns} for row in rows]


ROWS: dict[str, Rows] = {
    "fig5": fig5("base", "ht"),
    "fig7": fig7(0.0, 5e-5, 5e-4, 5e-3, 5e-2, 1e-1),
    "fig8": fig8(12, 4, 1, 2, 8, 16),
    "fig9": fig9(0.005, 0.0025, 0.001, 0.0005, 0.00025, 0.0001),
    "fig10": fig10(0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001),
    "fig11": [{"tws": tws, **costs(tws), **energies(COMPONENTS, 1e6 / tws)} for tws in (1, 2, 4, 8, 16)],
    "fig12": fig12(("nmnist", "fc")),
    "fig13": fig13(*CONFIGURATIONS),
    "densities": densities(0.0001, 0.001, 0.01, 0.1),
    "tornado": tornado("clock, MHz", "zero spikes in a streamed slot spare the addition", "kind of DRAM"),
}


def chosen(name: str, where: Callable[[dict[str, Any]], bool]) -> Rows:
    return [row for row in ROWS[name] if where(row)]
