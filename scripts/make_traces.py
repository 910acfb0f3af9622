"""Make the traces that ship: the embedded default and those in ``traces/``.

Spikes are generated from seeds: no recording goes in. Weights are the trained ones that ship, but where
the spikes are noise: that enters a layer with seeded weights. Run ``make traces``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spikex_sim.data import DEFAULT_TRACE
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.sources.synth import bernoulli, bursty, digit_camera, gesture_camera, pool_or
from spikex_sim.sources.trained import TrainedNetwork, load_trained
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.trace.store import save_trace

ROOT = Path(__file__).resolve().parent.parent
SEED = 0
GESTURE_STEPS = 100


def part_of(name: str, layers: tuple[str, ...]) -> Network:
    """Some layers of a network preset."""
    network = load_network(name)
    chosen = tuple(layer for layer in network.layers if layer.name in layers)
    return network.model_copy(update={"name": f"{name}-{'-'.join(layers)}", "layers": chosen})


def first_layers(trained: TrainedNetwork, count: int) -> TrainedNetwork:
    """Cut a trained network short."""
    weights = {index: weight for index, weight in trained.weights.items() if index < count}
    return replace(trained, layers=trained.layers[:count], weights=weights)


def main() -> None:
    """Write all shipped traces."""
    digit = load_trained("nmnist-base").trace(
        digit_camera(3, 0, timesteps=30, seed=SEED),
        name="nmnist-digit",
        label=3,
        source="event camera over handwritten digit 3/0 (UCI, CC BY 4.0), three saccades, 10 ms steps",
    )
    save_trace(digit, ROOT / "spikex_sim" / "data" / DEFAULT_TRACE)
    save_trace(digit, ROOT / "traces" / "nmnist_digit.npz")

    arms = first_layers(load_trained("dvs-gesture-large-base"), 3).trace(
        pool_or(gesture_camera(3, timesteps=GESTURE_STEPS, step_ms=10.0, seed=SEED), 4),
        name="dvs-arms",
        label=3,
        source="128x128 event camera over moving arms, OR-pooled to 32x32, 10 ms steps; convolutions alone",
    )
    save_trace(arms, ROOT / "traces" / "dvs_arms.npz")

    for name, make in (("bernoulli", bernoulli), ("bursty", bursty)):
        trace = attach_network(
            make((8, 32, 32), 300, 0.005, SEED),
            part_of("dvs-gesture-medium", ("conv2",)),
            seed=SEED,
            name=f"{name}-conv2",
            source=f"{name} spikes at rate 0.005",
        )
        save_trace(trace, ROOT / "traces" / f"{name}_conv2.npz")


if __name__ == "__main__":
    main()
