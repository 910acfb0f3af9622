"""Rewrite docs/hardware-model.md: how far the fast hardware model is from the simulator, on held-out activity.

    python scripts/make_hardware_model_page.py [--check | --page]

Fits a model for each network, replays activity that no fit has seen, and compares layer by layer. Measured rows
are kept in docs/hardware-model.csv, with what they are of; the page is written from these. ``--check`` measures
what needs nothing but the package again and fails where rows or page differ. Recordings are read from
../shared/data, where they are there; without them their rows stay as they are. ``--page`` writes the page from the
rows alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from spikex_sim.core.files import csv_text
from spikex_sim.explore.fitted import HardwareModel, fit_hardware_model
from spikex_sim.explore.fitted.compare import Prediction, compare
from spikex_sim.explore.fitted.curves import QUANTITIES
from spikex_sim.explore.seeded_network import attach_network
from spikex_sim.papers.spikex.workloads import camera_network
from spikex_sim.plots.hardware import hardware_model, held_out
from spikex_sim.plots.style import columns, file_bytes
from spikex_sim.sources.layer_activity import load_recorded_layers
from spikex_sim.sources.open_loop import recorded_trace
from spikex_sim.sources.samples import LabelledSamples, emulated_samples, load_samples, step_of
from spikex_sim.sources.trained import load_trained, shipped_names
from spikex_sim.spec.networks import load_network
from spikex_sim.trace.trace import Trace

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "hardware-model.md"
ROWS = PAGE.with_suffix(".csv")
FIGURE = ROOT / "docs" / "hardware-model-nmnist.svg"
HELD_OUT = ROOT / "docs" / "hardware-model-held-out.svg"
DATA = ROOT.parent / "shared" / "data"
ARCHS = ("spikex", "spikex-paper")
TWS = {
    "nmnist": (1, 2, 4, 8, 15),
    "dvs-gesture-medium": (2, 8, 16),
    "dvs-gesture-large": (2, 8, 16),
    "lenet5-mnist": (2, 4, 8),
    "vgg9-cifar10": (1, 2, 4),
}
SAMPLES = {"nmnist": 10}
OTHER_SAMPLES = 2
CHECKED = ("nmnist", "emulated digit, trained weights nmnist-base")
CHECKED_TWS = 4
"""Case that ``--check`` measures again, and the window size."""

Row = dict[str, Any]
Case = tuple[str, str]

HEAD = """# The fast hardware model

<!-- made by scripts/make_hardware_model_page.py: `python scripts/make_hardware_model_page.py` -->

Hardware-aware training needs the cost of every layer for every batch, with a gradient. The SpikeX paper (Section IV-A) fits
"a piecewise linear model to the approximate EDP per filled time window based on well-evaluated simulation data":
`L_HW(W) = EDP(S_p(W))`, where `S_p` is the share of (input neuron, window) pairs that hold a spike. This is that model,
fitted to this simulator.

```
spikex-sim hardware-model nmnist --arch spikex --tws 1,2,4,8 --out nmnist.json --figure nmnist.svg
```

```python
from spikex_sim.explore.fitted import HardwareModel, fit_hardware_model
model = fit_hardware_model("nmnist", "spikex", [1, 2, 4, 8], overrides={"array.rows": 16})
model.save("nmnist.json"); model = HardwareModel.load("nmnist.json")
fit = model.layer("conv2", 4)     # densities, edp_js_per_window, energy_pj_per_window, cycles_per_window, windows
fit.edp_js(0.05)                  # EDP of one sample of which 5 % of the windows are active
```

## How it is fitted

Every layer runs alone, costs only, at every window size, on generated spikes of 37 densities from 0.02 % to 100 %.
What it costs per active window becomes a continuous function of the density, linear between up to 19 knots, the next
1.6 times the one before, and constant outside. Fits are by least squares of relative errors, relative to the geometric
mean of fit and value. A window size that the buffers are too small for is left out and listed.

One density can have many costs: spikes that lie together share receptive fields, columns and filters. So the spikes
are not independent. A Gaussian random field over neurons and time exceeds a threshold, which sets the density exactly;
the field's correlations are those below. A fit takes all kinds of its role with equal weight.

| enters | kind | of its variance | |
|---|---|---|---|
| the network, as a map | edges | place 0.35, moving 0.4, neuron 0.05, burst 0.1 | what a camera sees |
| | moving | place 0.2, moving 0.65, burst 0.05 | |
| all other layers | places | neuron 0.3, channel 0.15, place 0.25, moving 0.1 | receptive fields over the same things |
| | bursts | neuron 0.4, channel 0.1, burst 0.2 | |
| | rates | neuron 0.75, channel 0.1 | most neurons silent, some that always fire |

`neuron`, `channel`, `place`: constant in time, of a neuron, a channel, or a neighbourhood in all channels; `moving`: smooth
in space and time; `burst`: smooth in time; the rest is noise. Shares were chosen by eye on the first N-MNIST, LeNet-5 and
VGG-9 rows below: for these the table flatters the model a little, for all others it does not.

Where outputs stay in the GLB (`memory.glb.keep_ofmap`), a layer is charged as if what enters it had been kept wherever
that fits.

![Simulated samples and fits of the N-MNIST network on spikex](hardware-model-nmnist.svg)

## How far it is off

Median and worst error of a layer's cost, |predicted / simulated - 1| in per cent, over layers, samples and window sizes,
on activity that was never fitted to. `bias` is the median of predicted / simulated for EDP. `choice`: how much more EDP
a layer has at the window size that the model prefers than at its best one, mean and worst.

"""

TAIL = """
![Predicted over simulated costs of layers on spikex](hardware-model-held-out.svg)

By layer, `spikex`, EDP: median of predicted / simulated, and the layer's density of active windows at the smallest and
the largest window size.

"""

END = """
One number cannot say how spikes lie together, on which cycles depend; energy depends on it less. Final numbers are always
simulated: `spikex-sim evaluate`, `spikex-sim search-tws`.

Rows: [hardware-model.csv](hardware-model.csv), one for each layer, sample and window size.
"""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def untrained(network: str, samples_of: Callable[[str], LabelledSamples]) -> list[Trace]:
    """Samples through a network with seeded weights."""
    samples = samples_of(network)
    first = attach_network(
        samples.spikes(0), load_network(network), seed=0, name=network, source=samples.source
    )
    return [
        first,
        *(first.with_input(samples.spikes(n), network, samples.source) for n in range(1, len(samples))),
    ]


def cases() -> dict[Case, Callable[[], list[Trace]]]:
    """Held-out activity, by network and what it is."""
    found: dict[Case, Callable[[], list[Trace]]] = {}
    files = {
        "nmnist": ("N-MNIST recordings", "nmnist_small.npz"),
        "dvs-gesture-medium": ("DVS-Gesture recordings", "dvsgesture_samples.npz"),
        "dvs-gesture-large": ("DVS-Gesture recordings", "dvsgesture_samples.npz"),
    }

    for network, (about, file) in files.items():
        if network == "nmnist":
            found[CHECKED] = lambda: [camera_network("nmnist")]
        else:
            found[network, "emulated gestures, untrained"] = partial(untrained, network, emulated)
        if (DATA / file).is_file():
            found[network, f"{about}, untrained"] = partial(untrained, network, partial(read, file))
    for network, file in (
        ("lenet5-mnist", "prosperity_lenet5_mnist.npz"),
        ("vgg9-cifar10", "prosperity_vgg9_cifar10.npz"),
    ):
        path = DATA / "recorded-layers" / file
        if path.is_file():
            found[network, "recorded layers of a trained network"] = partial(recorded, network, path)
    for name in shipped_names():
        network = name.rpartition("-")[0]
        if network in files:
            file = files[network][1]
            samples_of = partial(read, file) if (DATA / file).is_file() else emulated
            about = files[network][0] if (DATA / file).is_file() else "emulated camera"
            found[network, f"{about}, trained weights {name}"] = partial(shipped, name, samples_of)
    return found


def emulated(network: str) -> LabelledSamples:
    """Samples of the emulated camera."""
    preset = load_network(network)
    count = SAMPLES.get(network, OTHER_SAMPLES)
    return emulated_samples(preset.layers[0].input_shape, preset.timesteps, count=count)


def read(file: str, network: str) -> LabelledSamples:
    """Recordings."""
    preset = load_network(network)
    shape, count = preset.layers[0].input_shape, SAMPLES.get(network, OTHER_SAMPLES)
    return load_samples(DATA / file, shape, preset.timesteps, step_of(shape), limit=count)


def recorded(network: str, path: Path) -> list[Trace]:
    """Layers that were recorded one by one."""
    return [recorded_trace(load_recorded_layers(path), load_network(network), network).trace]


def shipped(name: str, samples_of: Callable[[str], LabelledSamples]) -> list[Trace]:
    """Samples through trained weights that come with the package."""
    trained = load_trained(name)
    samples = samples_of(trained.network)
    return [trained.trace(samples.spikes(n), name) for n in range(len(samples))]


def measured(
    case: Case, arch: str, traces: list[Trace], model: HardwareModel, sizes: Sequence[int]
) -> list[Row]:
    """Predicted and simulated costs of every layer, sample and window size."""
    rows = []
    for tws in sizes:
        rows += [row_of(case, arch, one) for one in compare(model, traces, tws)]
    return rows


def row_of(case: Case, arch: str, found: Prediction) -> Row:
    row: Row = {"network": case[0], "activity": case[1], "arch": arch, "layer": found.layer}
    row |= {"sample": found.sample, "tws": found.tws, "density": f"{found.density:.5g}"}
    for quantity in QUANTITIES:
        row[f"predicted_{quantity}"] = f"{found.predicted[quantity]:.5g}"
        row[f"simulated_{quantity}"] = f"{found.simulated[quantity]:.5g}"
    return row


def ratio(row: Row, quantity: str) -> float:
    return float(row[f"predicted_{quantity}"]) / float(row[f"simulated_{quantity}"])


def drawn(rows: list[Row]) -> bytes:
    """The figure of predicted over simulated costs, on the first accelerator."""
    numbers = [
        {
            key: value if key in ("network", "activity", "arch", "layer") else float(value)
            for key, value in row.items()
        }
        for row in rows
        if row["arch"] == ARCHS[0]
    ]
    figure, _ = held_out(numbers, None, columns(2))
    return file_bytes(figure, "svg")


def choices(rows: list[Row]) -> list[float]:
    """EDP at the window size of the least predicted one, beyond the least simulated, by layer and sample."""
    found = []
    for key in dict.fromkeys((row["layer"], row["sample"]) for row in rows):
        sizes = [row for row in rows if (row["layer"], row["sample"]) == key]
        chosen = min(sizes, key=lambda row: float(row["predicted_edp_js"]))
        best = min(float(row["simulated_edp_js"]) for row in sizes)
        found.append(float(chosen["simulated_edp_js"]) / best - 1)
    return found


def page(rows: list[Row]) -> str:
    """The page, from rows."""
    text = (
        HEAD
        + "| network | activity | on | samples | EDP | worst | energy | worst | cycles | worst | bias | choice | worst |\n"
    )
    text += "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    for key in dict.fromkeys((row["network"], row["activity"], row["arch"]) for row in rows):
        mine = [row for row in rows if (row["network"], row["activity"], row["arch"]) == key]
        cells = [*key, str(len({row["sample"] for row in mine}))]
        for quantity in QUANTITIES:
            errors = [100 * abs(ratio(row, quantity) - 1) for row in mine]
            cells += [f"{median(errors):.1f}", f"{max(errors):.0f}"]
        cells.append(f"{median(ratio(row, 'edp_js') for row in mine):.2f}")
        regrets = choices(mine)
        cells += [f"{100 * mean(regrets):.1f}", f"{100 * max(regrets):.0f}"]
        text += f"| {' | '.join(cells)} |\n"
    text += TAIL + "| network | activity | layer: predicted / simulated (density) |\n|---|---|---|\n"
    for network, activity in dict.fromkeys((row["network"], row["activity"]) for row in rows):
        mine = [row for row in rows
                if (row["network"], row["activity"], row["arch"]) == (network, activity, ARCHS[0])]  # fmt: skip
        parts = []
        for layer in dict.fromkeys(row["layer"] for row in mine):
            own = [row for row in mine if row["layer"] == layer]
            ends = [
                median(100 * float(row["density"]) for row in own if int(row["tws"]) == size)
                for size in (min(int(row["tws"]) for row in own), max(int(row["tws"]) for row in own))
            ]
            bias = median(ratio(row, "edp_js") for row in own)
            parts.append(f"{layer} {bias:.2f} ({ends[0]:.3g} to {ends[1]:.3g} %)")
        text += f"| {network} | {activity} | {', '.join(parts)} |\n"
    return text + END


def write(rows: list[Row]) -> None:
    """Page and figure, from rows."""
    PAGE.write_text(page(rows), "utf-8")
    HELD_OUT.write_bytes(drawn(rows))


def main() -> int:
    parser = argparse.ArgumentParser(description="Rewrite docs/hardware-model.md.")
    parser.add_argument("--check", action="store_true", help="fail if the page is not what would be written")
    parser.add_argument("--page", action="store_true", help="write the page from the rows that are there")
    options = parser.parse_args()
    kept: list[Row] = []
    if ROWS.is_file():
        with ROWS.open(encoding="utf-8") as file:
            kept = list(csv.DictReader(file))
    if options.check:
        case = CHECKED
        model = fit_hardware_model(case[0], ARCHS[0], [CHECKED_TWS])
        again = measured(case, ARCHS[0], cases()[case](), model, [CHECKED_TWS])
        wanted = (*case, ARCHS[0], str(CHECKED_TWS))
        mine = [
            row for row in kept if tuple(row[key] for key in ("network", "activity", "arch", "tws")) == wanted
        ]
        same = [{key: str(value) for key, value in row.items()} for row in again] == mine
        return int(not same or PAGE.read_text("utf-8") != page(kept))
    if options.page:
        write(kept)
        return 0
    rows: list[Row] = []
    found = cases()
    for network, sizes in TWS.items():
        loaded = {case: make() for case, make in found.items() if case[0] == network}
        for arch in ARCHS:
            model = fit_hardware_model(network, arch, sizes)
            if (network, arch) == ("nmnist", ARCHS[0]):
                figure, _ = hardware_model(
                    [fit.model_copy(update={"points": fit.points[::3]}) for fit in model.fits],
                    None,
                    columns(2),
                )
                FIGURE.write_bytes(file_bytes(figure, "svg"))
            for case, traces in loaded.items():
                rows += measured(case, arch, traces, model, sizes)
                print(*case, arch, flush=True)
    there = {(row["network"], row["activity"]) for row in rows}
    rows += [row for row in kept if (row["network"], row["activity"]) not in there]
    ROWS.write_text(csv_text(rows), "utf-8")
    write(rows)
    print(f"rewrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
