"""Search, train and ship the network nas-cifar10, with costs on its card. Half an hour; needs PyTorch.

python scripts/make_nas_network.py cifar10_small.npz [--folder results/nas-cifar10]

What the folder has is gone on from. Then run scripts/make_model_cards.py.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import spikex_sim as sx
from spikex_sim.__main__ import main as spikex_sim_main
from spikex_sim.data import default_trace_path
from spikex_sim.sources.trained_graphs import FOLDER, load_trained_graph, save_trained_graph

NAME = "nas-cifar10"
SEARCH = "nas --data {data} --channels 8 --timesteps 4 --batch 32 --out nas-c8"
TRAIN = (
    "train --network nas-c8 --data {data} --epochs 10 --batch 50 --rate 0.03 --mirror --width 128 "
    f"--checkpoint ck --out {NAME}.npz"
)
MACHINES = ("spikex", "ptb", "sata", "systolic-os", "spikesim", "neuronas")
ONE_WINDOW = ("spikex", "ptb")
"""Machines whose window size is set to all time points."""
IMAGES, NONIDEAL_IMAGES = 20, 100
NONIDEAL: dict[str, Any] = {
    "imc.arrays": "nonideal", "imc.write_sigma": 0.1, "imc.adc.bits": 5, "imc.adapt": "channel",
}  # fmt: skip


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="images, an .npz")
    parser.add_argument("--folder", type=Path, default=Path("results") / NAME)
    parser.add_argument("--out", type=Path, default=default_trace_path().parent / FOLDER / f"{NAME}.npz")
    arguments = parser.parse_args()
    data, folder, out = arguments.data.resolve(), arguments.folder, arguments.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    for line, made in ((SEARCH, Path("nas-c8/nas.json")), (TRAIN, Path(f"{NAME}.npz"))):
        code = 0 if made.exists() else spikex_sim_main(line.format(data=data).split())
        if code:
            raise SystemExit(code)
    trained = load_trained_graph(f"{NAME}.npz")
    card = {
        **trained.card,
        "search_command": f"spikex-sim {SEARCH.format(data=data.name)}",
        "costs": costs(f"{NAME}.npz", data),
        "arrays": arrays(f"{NAME}.npz", data),
    }
    save_trained_graph(replace(trained, card=card), out)


def costs(weights: str, data: Path) -> dict[str, Any]:
    """Means of the first test images, by machine."""
    found, timesteps = {}, load_trained_graph(weights).timesteps
    for arch in MACHINES:
        tws = timesteps if arch in ONE_WINDOW else None
        run = sx.evaluate(weights, data, arch, limit=IMAGES, tws=tws)
        print(f"{arch}: {run.mean('energy_pj'):.4g} pJ")
        found[arch] = {
            "latency_ms": run.mean("seconds") * 1e3,
            "energy_uj": run.mean("energy_pj") / 1e6,
            "on_chip_uj": run.mean("energy_on_chip_pj") / 1e6,
            "edp_js": run.mean("edp_js"),
        }
    return {"images": IMAGES, "tws": timesteps, "machines": found}


def arrays(weights: str, data: Path) -> dict[str, Any]:
    """Accuracy on arrays of crossbars that are not ideal, and in software."""
    run = sx.evaluate(weights, data, "spikesim", limit=NONIDEAL_IMAGES, overrides=NONIDEAL)
    return {
        "images": NONIDEAL_IMAGES, "settings": NONIDEAL, "accuracy": run.accuracy,
        "software_accuracy": run.software_accuracy,
    }  # fmt: skip


if __name__ == "__main__":
    main()
