"""What the simulator gives for the networks of the published figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.explore.nas.costs import Costs, Script, costs_of, run_script, script_of
from spikex_sim.explore.nas.macro import Convolution, Macro
from spikex_sim.papers.nas.published import Counts, Published
from spikex_sim.run.simulate import simulate
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.load import load_accelerator
from spikex_sim.spec.networks import DEFAULT_NEURON, Network
from spikex_sim.spec.workload import Layer

SNASNET: Counts = (1, 3, 1, 3)
SNASNET_BITS = 32
"""Of the network that savings are against."""
RATE = 0.1
"""Spikes of a neuron and time point, of all that enters a convolution but the picture."""
SEED = 0
MOST_BITS = 8
"""Of a weight on a machine that replays spikes."""
MACRO = Macro()


def kernels(counts: Counts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sides of the kernels of cells A and B."""
    a, a1, b, b1 = counts
    return (3,) * a + (1,) * a1, (3,) * b + (1,) * b1


@lru_cache(maxsize=64)
def script(counts: Counts, bits: int) -> Costs:
    """Costs by the simulator's released model."""
    return run_script(
        script_of("spikesim-released"), MACRO.timesteps, bits, MACRO.convolutions(*kernels(counts))
    )


@lru_cache(maxsize=64)
def script_of_bits(counts: Counts, bits: int) -> Costs:
    """Costs by the script's formulas with cells of one bit, as the paper's Table I has them."""
    arch = load_accelerator("spikesim-released", {"imc.precision_factor": True, "imc.device.bits": 1})
    return costs_of(MACRO, Script.of(script_of(arch)), bits, *kernels(counts))


@lru_cache(maxsize=64)
def replayed(counts: Counts, bits: int, cell: int) -> Costs:
    """Costs of the convolutions in series on the preset ``spikesim``, with spikes at :data:`RATE`.

    Parameters
    ----------
    counts : Counts
        The network.
    bits : int
        Of a weight; more than :data:`MOST_BITS` are as many.
    cell : int
        Bits of a cell.
    """
    network = series(MACRO.convolutions(*kernels(counts)))
    keys = {"weight_bits": min(bits, MOST_BITS), "imc.device.bits": cell}
    machine = load_accelerator("spikesim", keys)
    totals = simulate(generated_trace(network, MACRO.timesteps, SEED), machine).totals
    assert totals.area_mm2 is not None
    parameters = script(counts, bits).parameters
    return Costs(parameters, totals.area_mm2, totals.seconds * 1e3, totals.energy_pj / 1e6)


def series(convolutions: tuple[Convolution, ...]) -> Network:
    """Convolutions one behind the other, each with spikes of its own; a 2x2 pooling follows ``down``."""
    layers, rates = list[Layer](), dict[str, float]()
    for at, one in enumerate(convolutions):
        layers.append(
            Layer(
                name=f"{one.part}{at}", kind="conv", neuron=DEFAULT_NEURON,
                in_channels=one.in_channels, out_channels=one.out_channels,
                in_height=one.in_side, in_width=one.in_side,
                kernel=(one.kernel, one.kernel), stride=(one.stride, one.stride),
                padding=(one.kernel // 2, one.kernel // 2),
            )
        )  # fmt: skip
        rates[layers[-1].name] = RATE if at else 1.0
        if one.part == "down":
            layers.append(
                Layer(
                    name="pool", kind="maxpool", kernel=(2, 2), stride=(2, 2),
                    in_channels=one.out_channels, out_channels=one.out_channels,
                    in_height=one.out_side, in_width=one.out_side,
                )
            )  # fmt: skip
    return Network(name="searched", timesteps=MACRO.timesteps, layers=tuple(layers), rates=rates)


Model = Callable[[Counts, int], Costs]
"""What costs a network of weights of so many bits."""
COLUMN: Mapping[str, str] = FrozenMap(
    {"parameters": "parameters", "area": "area_mm2", "latency": "latency_ms", "energy": "energy_uj"}
)


def measured(row: Published, model: Model, counts: Counts) -> float:
    """Our number of a published row, in its unit, by one of the models for one of its networks."""
    what, _, compared = row.quantity.partition(" ")
    value = float(getattr(model(counts, row.bits), COLUMN[what]))
    if not compared:
        return value / 1e6 if row.unit == "million" else value
    against = float(getattr(model(SNASNET, SNASNET_BITS), COLUMN[what]))
    return against / value if compared == "over" else 100 * (1 - value / against)
