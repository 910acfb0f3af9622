"""How to train."""

from __future__ import annotations

from dataclasses import dataclass

from spikex_sim.core.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes through the training samples.
    warmup_epochs : int
        Of these, how many ask silent channels to fire; the demand falls linearly to none.
    hardware_from : int
        Epochs before the hardware loss sets in: pre-training. ``L_HW`` is in percent of the EDP that the
        network has then, so that ``beta`` weighs a share of the EDP, whatever the accelerator.
    batch : int
        Samples a step.
    learning_rate : float
        Of Adam on the weights at the start, in the standard deviations that they start with; it falls to 0
        along a cosine.
    beta : float
        Weight of the hardware loss in ``L_tot = L_acc + beta L_HW`` (paper eq. 4).
    tolerance : float
        With a hardware loss: share of the validation samples that may be lost against the network in which
        it sets in. Among the epochs that keep it, the one of least ``L_HW`` is chosen.
    architecture_rate : float
        Learning rate of the architecture parameters.
    seed : int
        Of everything that is drawn.
    """

    epochs: int = 40
    warmup_epochs: int = 3
    hardware_from: int = 0
    batch: int = 32
    learning_rate: float = 0.02
    beta: float = 0.0
    tolerance: float = 0.01
    architecture_rate: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("epochs", "batch"):
            if getattr(self, key) < 1:
                raise ConfigError(f"must be at least 1, not {getattr(self, key)}", field=key)
        for key in ("warmup_epochs", "hardware_from", "beta", "tolerance", "seed"):
            if not getattr(self, key) >= 0:
                raise ConfigError(f"must not be negative, not {getattr(self, key)}", field=key)
        for key in ("learning_rate", "architecture_rate"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ConfigError(f"must be positive, not {getattr(self, key)}", field=key)
