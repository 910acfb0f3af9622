"""What training runs have in common, whatever network they are of: where they run, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from spikex_sim.core.errors import ConfigError
from spikex_sim.sources.trained import TrainedNetwork
from spikex_sim.sources.trained_graphs import TrainedGraph
from spikex_sim.training.data import Splits
from spikex_sim.training.loop import Row
from spikex_sim.training.measure import Measured

CALIBRATION_SAMPLES = 64

TrainedT = TypeVar("TrainedT", TrainedNetwork, TrainedGraph)


@dataclass(frozen=True)
class Outcome(Generic[TrainedT]):
    """What came of a plan.

    Attributes
    ----------
    trained : TrainedNetwork or TrainedGraph
        Of the chosen epoch, with its card.
    rows : list of dict
        A row an epoch.
    test : Measured
        The chosen epoch on the test samples.
    """

    trained: TrainedT
    rows: list[Row]
    test: Measured


def with_command(outcome: Outcome[TrainedT], command: str) -> Outcome[TrainedT]:
    """Note in the card how the weights were made."""
    card = {**outcome.trained.card, "command": command}
    return replace(outcome, trained=replace(outcome.trained, card=card))


def accuracies(data: Splits, chosen: Measured, test: Measured, **more: Any) -> dict[str, Any]:
    """What a card says of the chosen epoch on the validation and test samples, with more of the latter."""
    return {
        "validation": {"accuracy": chosen.accuracy, "samples": len(data.validation.labels)},
        "test": {"accuracy": test.accuracy, "samples": len(data.test.labels), **more},
        "torch": torch.__version__,
    }


def calibration_of(data: Splits) -> torch.Tensor:
    """First training samples, by which drawn weights and thresholds are fitted to each other."""
    count = min(CALIBRATION_SAMPLES, len(data.training.labels))
    return torch.from_numpy(data.training.batch(np.arange(count), None))


def check_labels(data: Splits, classes: int, network: str) -> None:
    """Raise :class:`ConfigError` if there are labels that a network has no output for."""
    for label in (int(one) for part in data.parts for one in (part.labels.min(), part.labels.max())):
        if not 0 <= label < classes:
            raise ConfigError(
                f"has {classes} outputs, the data have class {label}", where=f"network {network}"
            )


def device() -> torch.device:
    """GPU where PyTorch finds one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Ten bits of mantissa would round sums that must be whole.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")
