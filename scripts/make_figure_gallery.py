"""Makes the pictures of docs/figures.md: one of every figure, of small runs of the packaged trace.

python scripts/make_figure_gallery.py                # some ten minutes; goes on where it stopped
python scripts/make_figure_gallery.py --check        # only says whether page and pictures are all there

What is drawn comes from commands below, run in build/gallery. Rows of studies that take hours are those that
lie in docs/ already; the searched network is of drawn images, with PyTorch and Optuna.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pages import filled
from PIL import Image

from spikex_sim.__main__ import main as command
from spikex_sim.core.errors import FigureError
from spikex_sim.plots.folder import NAMES, drawings_of
from spikex_sim.plots.style import columns, styled

DOCS = Path(__file__).resolve().parents[1] / "docs"
PICTURES = DOCS / "figures/gallery"
WORK = DOCS.parent / "build/gallery"
DPI = 110
COLOURS = 64
"""Of a picture: a third of the bytes."""
WIDE = {"energy-components", "comparison", "fig12", "fig13", "tornado", "imc-keys", "map-mesh", "evaluate"}
"""Figures of many bars, which are drawn across two columns."""
EXPLORE = "keys: {tws: [2, 3, 4, 8], array.cols: [4, 8, 16], memory.glb.bytes: [27648, 55296, 110592]}"
STEPS: dict[str, tuple[str, ...]] = {
    "run": ("run --tws 4 --out run",),
    "chip": ("run --arch spikesim --out chip",),
    "chips/1": ("run --arch spikesim --out chips/1", "run --arch neuronas --out chips/2"),
    "compare": ("compare --arch spikex,ptb,sata,spikesim --out compare",),
    "sweep": ("sweep --grid tws=2,4,8 --grid array.cols=8,16 --arch spikex,ptb --out sweep",),
    "rates": (
        *(
            f"trace synth --kind bernoulli --layer conv2 --rate {rate} --out traces/rate-{rate}.npz"
            for rate in ("0.01", "0.05", "0.2")
        ),
        "sweep traces/rate-0.01.npz traces/rate-0.05.npz traces/rate-0.2.npz --grid tws=4 --arch spikex,ptb "
        "--out rates",
    ),
    "crossbars": (
        "sweep --arch spikesim --grid imc.crossbar=32,64,128 --grid imc.adc.bits=4,5,6 --out crossbars",
    ),
    "cells": (
        "sweep --arch spikesim --grid imc.device.bits=1,2,4 --grid imc.device.r_on_kohm=20,50,100,150 "
        "--out cells",
    ),
    "steps": (
        *(f"trace synth --timesteps {steps} --out traces/t{steps}.npz" for steps in (10, 20, 40)),
        "sweep traces/t10.npz traces/t20.npz traces/t40.npz --arch spikesim --out steps",
    ),
    "traces/graph.npz": (
        "trace synth --kind graph --network sew-resnet18 --width 4 --timesteps 2 --out traces/graph.npz",
    ),
    "map": ("map gen:E --pool table2 --objective packets --steps 1e5 --mesh auto --out map",),
    "front": ("map gen:A --pool table2 --objective routes --steps 2e4 --pareto auto --out front",),
    "ways": ("map compare gen:A --objective routes --steps 2e4 --out ways",),
    "profile": (
        *(
            f"trace synth --digit {digit} --like traces/t20.npz --out digits/{digit}.npz"
            for digit in range(6)
        ),
        "map traces/t20.npz --layers fc --objective packets --steps 1e4 --profile digits --profile-share 0.3 "
        "--out profile",
    ),
    "evaluate": ("evaluate nmnist --limit 5 --arch spikex,ptb --out evaluate",),
    "ann": ("ann --arch spikex --out ann",),
    "dynamic": ("dynamic digits --thresholds 0,0.5,0.8,0.9 --out dynamic",),
    "search": ("search-tws nmnist --limit 2 --tws 1,2,4,8 --out search",),
    "dispatch": (
        "dispatch traces/rate-0.05.npz --policies agile,across,overlap,sorted --bound --out dispatch",
    ),
    "explore": (
        "explore --space space.yaml --objective energy_pj,latency_ms --budget 24 --seed 1 --out explore",
    ),
    "paper": ("reproduce fig5 fig7 fig8 fig9 fig10 fig11 fig12 --out paper",),
    "nas": (
        "nas --data images.npz --space neuronas --same --max-params 400000 --channels 8 --score-channels 4 "
        "--timesteps 2 --batch 8 --repeats 1 --algorithm random --budget 6 --seed 1 --out nas",
    ),
}
"""Commands by what they leave in the working folder."""
SOURCES: tuple[str | Path, ...] = (*STEPS, "chips", "traces/t20.npz", "studies", DOCS / "imc-studies")
KEPT = ("fig13.csv", "tornado.csv", "densities.csv")
"""Rows that lie in docs/."""


def run_all() -> None:
    """Run what is not there yet; say which command fails: the pictures that it is for stay as they are."""
    WORK.mkdir(parents=True, exist_ok=True)
    os.chdir(WORK)
    Path("space.yaml").write_text(EXPLORE, "utf-8")
    Path("studies").mkdir(exist_ok=True)
    for name in KEPT:
        shutil.copy(DOCS / name, Path("studies", name))
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (64, 3, 32, 32), np.uint8)
    labels = rng.integers(0, 10, 64, np.uint8)
    parts: dict[str, Any] = {f"{part}_{what}": array for part in ("train", "test") for what, array in
             (("images", images), ("labels", labels))}  # fmt: skip
    np.savez("images.npz", **parts, classes=np.array([f"class {number}" for number in range(10)]))
    for made, lines in STEPS.items():
        stamp = Path(f"{made.replace('/', '-')}.done")
        if stamp.exists():
            continue
        for line in lines:
            print(f"spikex-sim {line}", flush=True)
            with contextlib.redirect_stdout(io.StringIO()):
                code = command(shlex.split(line))
            if code:
                print(f"  ended with {code}")
                break
        else:
            stamp.touch()


def draw_all(*, missing: bool) -> None:
    """Draw every figure that the folders permit, the first folder that does; or those without a picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    drawn = {path.stem for path in PICTURES.glob("*.png")} if missing else set()
    for source in SOURCES:
        path = WORK / source
        if not path.exists():
            continue
        for one in drawings_of(path, 4):
            if one.name in drawn or one.lacks:
                continue
            try:
                figure, _ = one.draw(one.rows(), None, columns(2 if one.name in WIDE else 1))
            except FigureError as exc:
                print(f"{path}: {one.name}: {exc}")
                continue
            drawn.add(one.name)
            whole = io.BytesIO()
            with styled({"savefig.dpi": DPI}):
                figure.savefig(whole, metadata={"Software": None})
            Image.open(whole).convert("RGB").quantize(COLOURS).save(
                PICTURES / f"{one.name}.png", optimize=True
            )
    print(
        f"drew {len(drawn)}; not: {', '.join(name for name in NAMES if name not in drawn) or 'none left out'}"
    )


def section() -> str:
    """The gallery, a picture a figure."""
    pictures = {name: f"figures/gallery/{name}.png" for name in NAMES}
    pictures["hardware_model"] = "hardware-model-nmnist.svg"  # a function alone
    return "\n\n".join(f"**`{name}`**\n\n![{name}]({path})" for name, path in pictures.items())


def main() -> None:
    """Make pictures and page, or only check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether all is there")
    parser.add_argument("--missing", action="store_true", help="draw figures that have no picture yet")
    given = parser.parse_args()
    checking = given.check
    if not checking:
        run_all()
        draw_all(missing=given.missing)
    missing = [name for name in NAMES if not (PICTURES / f"{name}.png").is_file()]
    page = DOCS / "figures.md"
    wanted = filled(page.read_text("utf-8"), Path(__file__).stem, [("gallery", section())])
    if checking and (missing or wanted != page.read_text("utf-8")):
        sys.exit(f"figures.md lacks pictures ({', '.join(missing)}): python scripts/{Path(__file__).name}")
    page.write_text(wanted, "utf-8")


if __name__ == "__main__":
    main()
