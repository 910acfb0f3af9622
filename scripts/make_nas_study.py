"""Does the score of a search say how well a network learns? Ten cells, trained for a short while.

Writes docs/nas-study.csv, row by row, and the table of docs/nas.md. Minutes; needs PyTorch and labelled
images. Trainings that the CSV has are not made again: remove it to begin anew.

python scripts/make_nas_study.py cifar10_small.npz [--out docs] [--check]
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from pages import filled, markdown_table

from spikex_sim.explore.nas.cells import Space, space_of
from spikex_sim.explore.nas.forms import Form, canonical, distinct
from spikex_sim.explore.nas.macro import Macro
from spikex_sim.explore.nas.nodes import graph_of
from spikex_sim.training.data import Splits
from spikex_sim.training.fitness import Evaluation, Images, ImageScorers
from spikex_sim.training.graph import SpikingGraph
from spikex_sim.training.graph_checks import check_trainable, wiring_of
from spikex_sim.training.images import Variation, splits_of_images
from spikex_sim.training.loop import Trainer
from spikex_sim.training.measure import measure
from spikex_sim.training.outcome import calibration_of
from spikex_sim.training.recipe import Recipe
from spikex_sim.training.samples import Chosen

PAGE = Path(__file__).resolve().parents[1] / "docs" / "nas.md"
CSV = "nas-study.csv"
CELLS, SEEDS = 10, 3
MACRO = Macro(channels=8, timesteps=2, width=64)
EVALUATION = Evaluation(batch=32, repeats=1)
TRAINING, VALIDATING, TESTING, EPOCHS, BATCH, RATE = 3000, 500, 1000, 2, 50, 0.03
"""Images to learn from, to choose an epoch by and to test with, passes, images a step, learning rate."""
DRAWS = 10_000
"""Of the bootstrap."""
PREDICTORS = {"score": "score", "parameters": "parameters of convolutions"}


@dataclass(frozen=True)
class Row:
    """A training: cell A = cell B, what predicts its accuracy, and its accuracy on test images."""

    cell: str
    convolutions: int
    parameters: int
    score: float
    seed: int
    accuracy: float


def main() -> None:
    """Train and write, or with ``--check`` hold the page against the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="images, an .npz")
    parser.add_argument("--out", type=Path, default=PAGE.parent, help="folder of the CSV")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    arguments = parser.parse_args()
    file = arguments.out / CSV
    if not arguments.check:
        if arguments.data is None:
            parser.error("name the images")
        torch.set_num_threads(1)
        study(arguments.data, file, print)
    rows, page = read(file), PAGE.read_text("utf-8")
    wanted = filled(page, "make_nas_study", [("study", table(rows))])
    if arguments.check and wanted != page:
        raise SystemExit(f"{PAGE.name} is out of date: python scripts/make_nas_study.py DATA")
    PAGE.write_text(wanted, "utf-8")
    print(table(rows))


def study(data: Path, file: Path, tell: Callable[[str], None]) -> None:
    """Score all forms, choose cells, and train those that the CSV lacks."""
    space = space_of("neuronas")
    rows = read(file) if file.exists() else []
    done = {(row.cell, row.seed) for row in rows}
    scores = scores_of(data, space, tell)
    splits = _splits(data)
    for cell in spread(scores, CELLS):
        form = canonical(space.parse(cell, "cell")).form
        parameters = sum(one.weights for one in MACRO.convolutions(form.kernels, form.kernels))
        for seed in range(SEEDS):
            if (cell, seed) in done:
                continue
            before = process_time()
            accuracy = trained(form, splits, seed)
            rows.append(Row(cell, 2 * len(form.kernels), parameters, scores[cell], seed, accuracy))
            tell(f"{rows[-1]} in {process_time() - before:.0f} s of CPU time")
            file.write_text(written(rows), "utf-8")


def scores_of(data: Path, space: Space, tell: Callable[[str], None]) -> dict[str, float]:
    """Score of the network with A = B of each form, by the first cell of the form."""
    before = process_time()
    scorer = ImageScorers(Images.of_file(data, MACRO), MACRO, EVALUATION)(0)
    found = {
        space.write(cells[0]): scorer.score(form, form)[0].value for form, cells in distinct(space).items()
    }
    tell(f"{len(found)} forms scored in {process_time() - before:.0f} s of CPU time")
    return found


def spread(scores: Mapping[str, float], number: int) -> list[str]:
    """Cells whose scores are nearest to as many, evenly from the lowest finite one to the highest."""
    left = {cell: score for cell, score in scores.items() if np.isfinite(score)}
    wanted = np.linspace(min(left.values()), max(left.values()), number)
    chosen = []
    for aim in wanted.tolist():
        nearest = min(left, key=lambda cell: abs(left[cell] - aim))
        chosen.append(nearest)
        del left[nearest]
    return sorted(chosen, key=lambda cell: scores[cell])


def _splits(data: Path) -> Splits:
    form = Form((), ((0, 0, 1),))
    image = check_trainable(wiring_of(graph_of(MACRO, form, form, "images")), "images")
    splits = splits_of_images(data, image, seed=0, variation=Variation())
    training, validation, test = (
        Chosen(part, np.arange(most))
        for part, most in zip(splits.parts, (TRAINING, VALIDATING, TESTING), strict=True)
    )
    return replace(splits, training=training, validation=validation, test=test)


def trained(form: Form, splits: Splits, seed: int) -> float:
    """Accuracy on test images after a short training, of the epoch of the best validation."""
    network = graph_of(MACRO, form, form, "study")
    spiking = SpikingGraph.drawn(network, calibration_of(splits), seed)
    sizes = (network.timesteps,) * len(spiking.names)
    recipe = Recipe(epochs=EPOCHS, warmup_epochs=0, batch=BATCH, learning_rate=RATE, seed=seed)
    Trainer(spiking, splits, recipe, sizes).run()
    return measure(spiking, splits.test, sizes, batch=100).accuracy


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, the mean of those that are equal."""
    array = np.asarray(values, np.float64)
    below, upto = (np.searchsorted(np.sort(array), array, side=side) for side in ("left", "right"))
    found: NDArray[np.float64] = (below + upto + 1) / 2
    return found


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation; 0 where one side is all the same."""
    a, b = (one - one.mean() for one in (ranks(x), ranks(y)))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm else 0.0


def bootstrap(rows: Sequence[Row], predictor: str, draws: int = DRAWS) -> tuple[float, float, float]:
    """Rank correlation with the mean accuracy of a cell, and the ends of its 95 % interval.

    Cells are drawn with replacement, and of each cell its seeds.
    """
    cells = list(dict.fromkeys(row.cell for row in rows))
    known = [next(float(getattr(row, predictor)) for row in rows if row.cell == cell) for cell in cells]
    accuracy = np.array([[row.accuracy for row in rows if row.cell == cell] for cell in cells])
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        drawn = rng.integers(0, len(cells), len(cells))
        seeds = rng.integers(0, accuracy.shape[1], (len(cells), accuracy.shape[1]))
        means = accuracy[drawn[:, None], seeds].mean(1)
        found.append(spearman([known[cell] for cell in drawn], means.tolist()))
    low, high = np.quantile(found, (0.025, 0.975)).tolist()
    return spearman(known, accuracy.mean(1).tolist()), low, high


def table(rows: Sequence[Row]) -> str:
    """Cells with their accuracies, and what predicts them."""
    cells = list(dict.fromkeys(row.cell for row in rows))
    lines = []
    for cell in cells:
        mine = [row for row in rows if row.cell == cell]
        accuracies = [100 * row.accuracy for row in mine]
        lines.append([
            f"`{cell}`", str(mine[0].convolutions), f"{mine[0].parameters:,}", f"{mine[0].score:.2f}",
            ", ".join(f"{one:.1f}" for one in accuracies), f"{np.mean(accuracies):.1f}",
        ])  # fmt: skip
    predictors = []
    for name, told in PREDICTORS.items():
        rho, low, high = bootstrap(rows, name)
        predictors.append([told, f"{rho:+.2f}", f"{low:+.2f} to {high:+.2f}"])
    return "\n\n".join((
        markdown_table(
            ("cell, A = B", "convolutions", "parameters", "score", "correct, %, by seed", "mean"), lines
        ),
        markdown_table(("predictor", "Spearman", "95 % of the bootstrap"), predictors),
    ))  # fmt: skip


def written(rows: Sequence[Row]) -> str:
    """The CSV."""
    out = io.StringIO()
    made = csv.DictWriter(out, list(Row.__annotations__), lineterminator="\n")
    made.writeheader()
    made.writerows({**row.__dict__, "score": f"{row.score:.6f}"} for row in rows)
    return out.getvalue()


def read(file: Path) -> list[Row]:
    """Rows of the CSV."""
    kinds = {"cell": str, "score": float, "accuracy": float}
    with file.open(newline="") as lines:
        return [
            Row(**{key: kinds.get(key, int)(value) for key, value in row.items()})
            for row in csv.DictReader(lines)
        ]


if __name__ == "__main__":
    main()
