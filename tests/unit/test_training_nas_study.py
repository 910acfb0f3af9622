"""The study of scores and accuracies: its statistics, and that the page says what the CSV says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import make_nas_study as study
from make_nas_study import Row, bootstrap, ranks, read, spearman, spread, table, written
from pages import filled


def rows(accuracies: dict[str, list[float]], scores: dict[str, float]) -> list[Row]:
    return [
        Row(cell, number, 100 * (1 + number // 2), scores[cell], seed, accuracy)
        for number, (cell, each) in enumerate(accuracies.items())
        for seed, accuracy in enumerate(each)
    ]


def test_ranks_share_places() -> None:
    assert ranks([3.0, 1.0, 3.0, 0.5]).tolist() == [3.5, 2.0, 3.5, 1.0]


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 45], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        # ranks differ by 1, 1, 1, 1, 0: 1 - 6 * 4 / (5 * 24)
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),
        # ranks of x are 1.5, 1.5, 3.5, 3.5
        ([1, 1, 2, 2], [1, 2, 3, 4], 4 / np.sqrt(4 * 5)),
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_rank_correlation(x: list[float], y: list[float], wanted: float) -> None:
    assert spearman(x, y) == pytest.approx(wanted)


def test_the_bootstrap_draws_cells_and_seeds() -> None:
    scores = {f"{k}": float(k) for k in range(8)}
    sure = rows({cell: [score / 10, score / 10 + 0.01] for cell, score in scores.items()}, scores)
    rho, low, high = bootstrap(sure, "score", 300)
    assert rho == 1.0 and 0.9 < low <= high <= 1.0 + 1e-12
    unsure = rows({cell: [score / 10, 0.7 - score / 10] for cell, score in scores.items()}, scores)
    rho, low, high = bootstrap(unsure, "score", 300)
    assert rho == pytest.approx(0.0, abs=0.9) and low < -0.4 < 0.4 < high
    assert bootstrap(unsure, "score", 300) == (rho, low, high)


def test_cells_are_spread_over_the_scores() -> None:
    scores = {"a": -10.0, "b": -9.9, "c": -5.2, "d": -4.0, "e": 0.0, "f": float("-inf")}
    assert spread(scores, 3) == ["a", "c", "e"]
    assert spread(scores, 5) == ["a", "b", "c", "d", "e"]


def test_rows_are_read_back(tmp_path: Path) -> None:
    made = rows({"111111": [0.25, 0.5], "222222": [0.125, 0.75]}, {"111111": -1.5, "222222": -2.25})
    (tmp_path / "rows.csv").write_text(written(made))
    assert read(tmp_path / "rows.csv") == made
    assert "| `111111` | 0 | 100 | -1.50 | 25.0, 50.0 | 37.5 |" in table(made)


def test_the_page_says_what_was_measured() -> None:
    found = read(study.PAGE.parent / study.CSV)
    assert len(found) == study.CELLS * study.SEEDS
    page = study.PAGE.read_text("utf-8")
    assert filled(page, "make_nas_study", [("study", table(found))]) == page
