"""How much each key decides of an objective: PED-ANOVA, as Optuna computes it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from spikex_sim.explore.designs.choosing import quiet
from spikex_sim.explore.designs.space import Genes, Space

LEAST_POINTS, MOST_POINTS = 10, 1000
"""Feasible points from which on importances are computed, and that they are computed of at most."""
METHOD = "PED-ANOVA"


def importances(space: Space, genes: Sequence[Genes], losses: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Shares of the keys in how good points become; empty of too few points.

    Parameters
    ----------
    space : Space
        Keys and values.
    genes : sequence of dict
        Feasible points.
    losses : sequence of sequence of float
        What is to be small, by point and objective.

    Returns
    -------
    dict
        For each objective, by number, and for all together (``"front"``), keys to shares that add up to 1;
        keys of one value have none, nor has anything in an objective that is the same for all points.

    Notes
    -----
    Watanabe, Bansal and Hutter, IJCAI 2023: how far the values of the best tenth of the points differ from
    those of all. A key that is not there with a point has no part in it. It needs nothing beside Optuna,
    unlike fANOVA, which needs scikit-learn.
    """
    if len(genes) < LEAST_POINTS:
        return {}
    some = range(0, len(genes), -(-len(genes) // MOST_POINTS))
    genes, losses = [genes[at] for at in some], [losses[at] for at in some]
    import optuna

    keys = [key for key in space.keys if len(key.values) != 1]
    kinds: dict[str, Any] = {
        key.name: optuna.distributions.IntDistribution(0, len(key.values) - 1)
        if key.values and key.ordered
        else optuna.distributions.CategoricalDistribution(tuple(range(len(key.values))))
        if key.values
        else optuna.distributions.FloatDistribution(key.low, key.high, log=key.log)
        for key in keys
    }
    with quiet():
        study = optuna.create_study(directions=["minimize"] * len(losses[0]))
    for one, values in zip(genes, losses, strict=True):
        there = space.values(one)
        params = {key.name: one[key.name] for key in keys if key.name in there}
        known = {name: kinds[name] for name in params}
        study.add_trial(optuna.create_trial(params=params, distributions=known, values=list(values)))

    def shares(target: Any) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), target=target
            )
        return {name: float(found[name]) for name in kinds if math.isfinite(found.get(name, math.nan))}

    # Of an objective that is the same for all points no key decides.
    made = {
        str(at): shares(lambda trial, at=at: trial.values[at]) if len(set(values)) > 1 else {}
        for at, values in enumerate(zip(*losses, strict=True))
    }
    several = sum(map(bool, made.values())) > 1
    return made | ({"front": shares(None)} if several else {})
