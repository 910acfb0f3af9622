"""Rewrite docs/validation.md: published figures beside ours, each from a simulation that this script runs.

    python scripts/make_validation_page.py [ROW]... [--check]

With ROW only those rows are run and printed. Nothing but the package is needed; a minute or two. What one
parameter moves is read from docs/tornado.csv, which takes longer to make:

    spikex-sim reproduce tornado --jobs 2 --out results/tornado && cp results/tornado/tornado.csv docs/

So are the rows of trained networks, from docs/fig13.csv where it is there, by the command that the page has, and

    cp results/fig13/fig13.csv docs/

and those of crossbars with recordings, from docs/imc-studies, by the commands of docs/imc-studies.md. Mappings of
networks are read from docs/mapping-study.csv, which make_mapping_study.py makes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

import spikex_sim as sx
from spikex_sim.costs.table import EnergyTable
from spikex_sim.papers.ilp import scorecard as mappings
from spikex_sim.papers.ilp.measures import MEASURES as MAPPING_ROWS
from spikex_sim.papers.ilp.studies import network_rows
from spikex_sim.papers.imc import scorecard as crossbars
from spikex_sim.papers.imc.measures import MEASURES as CROSSBAR_ROWS
from spikex_sim.papers.imc.studies import RECORDINGS
from spikex_sim.papers.imc.studies import STUDIES as CROSSBAR_STUDIES
from spikex_sim.papers.nas import scorecard as searched
from spikex_sim.papers.nas.published import published as searched_rows
from spikex_sim.papers.spikex.densities import DENSITIES as DENSITIES_TRIED
from spikex_sim.papers.spikex.densities import RATIOS
from spikex_sim.papers.spikex.measures import trends
from spikex_sim.papers.spikex.scorecard import GENERATED, markdown, scorecard
from spikex_sim.papers.spikex.setting import FITTED, PARAMETERS, of_preset
from spikex_sim.papers.spikex.studies import STUDIES, Machines
from spikex_sim.plots.files import read_rows
from spikex_sim.plots.table import number
from spikex_sim.run.results import RunResult
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.networks import load_network

PAGE = Path(__file__).resolve().parents[1] / "docs" / "validation.md"
TORNADO = PAGE.with_name("tornado.csv")
FIG13 = PAGE.with_name("fig13.csv")
"""Rows of Fig. 13 with trained networks, once there are some."""
DENSITIES = PAGE.with_name("densities.csv")
"""Densities that the published ratios imply, once they were sought."""
CROSSBARS = PAGE.with_name("imc-studies")
"""Rows of studies of crossbars on recordings, where there are some."""
MAPPINGS = PAGE.with_name("mapping-study.csv")
"""Networks mapped in all ways, where they were."""
PAPER = "Bhattacharjee et al., Section IV"
HELD_OUT = "held out"
POWERS = "from published powers"


@dataclass(frozen=True)
class Row:
    """One published figure and ours.

    Attributes
    ----------
    what, source : str
        The figure and where it is published.
    published, measured : float
        The two numbers.
    unit : str
        Of both.
    data, setting : str
        What our number is of, and whether anything was chosen to meet the published one.
    command : str
        What re-runs it, beyond this script.
    why : str
        What explains the difference, or what the number depends on.
    """

    what: str
    source: str
    published: float
    measured: float
    unit: str
    data: str
    setting: str
    command: str
    why: str


@lru_cache(maxsize=16)
def generated(network: str, timesteps: int) -> sx.Trace:
    """Bernoulli spikes at the rates of a network preset, seed 0."""
    return generated_trace(load_network(network), timesteps, 0)


@lru_cache(maxsize=64)
def run(network: str, timesteps: int, arch: str = "sata", **overrides: object) -> RunResult:
    """Replay generated spikes."""
    return sx.simulate(generated(network, timesteps), arch=arch, overrides=overrides)


def data_movement_pj(result: RunResult) -> float:
    """Energy of DRAM and buffers: what the paper calls data movement."""
    parts = result.totals.energy_pj_by
    return parts["dram"] + parts["glb"] + parts["lbuf"]


def lif_pj(result: RunResult) -> float:
    """Energy of the LIF units: clocked units, and updates."""
    table = EnergyTable.load(result.arch.energy.table)
    array = result.arch.array
    units = array.rows * -(-array.cols // result.arch.get("lif_sharing", default=1))
    totals = result.totals
    return (
        units * totals.cycles * table.only("lif_idle").energy_pj
        + totals.lif_updates * table.only("lif").energy_pj
    )


def tick_batch(timesteps: int) -> float:
    """Share of the data movement that tick-batch saves against output-stationary, %."""
    saved = [
        data_movement_pj(run("vgg9-tinyimagenet", timesteps, dataflow=dataflow))
        for dataflow in ("os", "tick_batch")
    ]
    return 100 * (1 - saved[1] / saved[0])


def tick_batch_row() -> Row:
    """Saving at T=4."""
    series = ", ".join(f"{tick_batch(timesteps):.1f} (T={timesteps})" for timesteps in (1, 2, 4, 8))
    return Row(
        "tick-batch against output-stationary, data-movement energy saved, VGG-9, Tiny ImageNet, T=4",
        f"{PAPER}, Fig. 5 (a)",
        62.5,
        tick_batch(4),
        "%",
        f"{GENERATED}, vgg9-tinyimagenet",
        HELD_OUT,
        "spikex-sim run t.npz --arch sata --set dataflow=os",
        f"More at larger T, as published: {series}. It rests on weights that stay in the PEs, as published, "
        "whatever their scratchpads hold: 4,608 B for 512 input channels in place of 9 B. Firing rates of the paper's network are not published; "
        "ours are 10 % in every layer but the first. Potentials of the output-stationary run move as well.",
    )


def lif_share_row() -> Row:
    """LIF units' share of the computation units' power, all operands non-zero."""
    table = EnergyTable.load("sata")

    def power(*parts: str) -> float:
        return sum(table.only(part).energy_pj for part in parts)

    lif, accumulator = power("lif", "lif_idle"), power("accumulate", "accumulate_idle")
    result = run("vgg9-cifar10", 4)
    simulated = 100 * lif_pj(result) / result.totals.energy_pj_by["alu"]
    return Row(
        "LIF units, share of the power of the computation units, up to",
        f"{PAPER}, Mitigating LIF Overhead",
        61.6,
        100 * lif / (lif + accumulator),
        "%",
        "none: the energy table alone",
        POWERS,
        "spikex-sim energy show --table sata --device lop --width 256",
        "Published powers, every operand non-zero. In a simulated run (VGG-9/CIFAR-10, T=4) zero operands gate "
        f"the adders, and the share is {simulated:.1f} %.",
    )


def lif_sharing_row() -> Row:
    """Power of the LIF units that C#4 saves."""
    one, four = (run("vgg9-cifar10", 4, lif_sharing=n) for n in (1, 4))
    power = [lif_pj(result) / result.totals.cycles for result in (one, four)]
    return Row(
        "LIF sharing C#4, power of the LIF units saved, 128 PEs",
        f"{PAPER}, Fig. 5 (b)",
        75.1,
        100 * (1 - power[1] / power[0]),
        "%",
        f"{GENERATED}, vgg9-cifar10",
        POWERS,
        "spikex-sim run t.npz --arch sata --set lif_sharing=4",
        "A quarter of the units saves 75 % of what is always on; updates are as many as before.",
    )


def growth_check() -> str:
    """Whether computing and memory energies grow with T."""
    runs = [run("vgg9-cifar10", timesteps) for timesteps in (1, 2, 3, 4)]
    computing = [result.totals.energy_pj_by["alu"] + result.totals.energy_pj_by["rf"] for result in runs]
    moving = [data_movement_pj(result) for result in runs]
    grow = bool(np.all(np.diff(computing) > 0) and np.all(np.diff(moving) > 0))
    return (
        f"Energies of computing and of memory both grow with T = 1 to 4, VGG-9/CIFAR-10 ({PAPER}, Fig. 4 (b), "
        f"whose values are not in the text): {'yes' if grow else 'NO'}. Over T = 1, for T = 2, 3, 4: computing "
        + ", ".join(f"{value / computing[0]:.2f}" for value in computing[1:])
        + "; memory "
        + ", ".join(f"{value / moving[0]:.2f}" for value in moving[1:])
        + "."
    )


def dynamic_row() -> Row:
    """Energy that 2.14 time points on average save against 4."""
    energy = [run("vgg9-cifar10", timesteps).totals.energy_pj for timesteps in (1, 2, 3, 4)]
    at = float(np.interp(2.14, [1, 2, 3, 4], energy))
    needed = float(np.interp(0.535 * energy[3], energy, [1, 2, 3, 4]))
    return Row(
        "dynamic time steps, total energy saved against T=4, VGG-9, CIFAR-10 (ours: if 2.14 time points suffice)",
        f"{PAPER}, Dynamic Timestep Reduction",
        46.5,
        100 * (1 - at / energy[3]),
        "%",
        f"{GENERATED}, vgg9-cifar10",
        HELD_OUT,
        "spikex-sim run t.npz --arch sata",
        "The paper gives the mean number of time points for VGG-16/Tiny ImageNet only, 2.14; ours is the "
        f"energy of VGG-9 there. {needed:.2f} would save 46.5 %. No trained network ships that could exit "
        "by itself.",
    )


def estimate_row() -> Row:
    """Simulated energy over the estimate that papers print."""
    totals = run("vgg9-cifar10", 4).totals
    assert totals.estimate_factor is not None
    return Row(
        "energy on SATA over E_est, CIFAR-10 (published: six networks, 94 to 2111, median 366)",
        "Bhattacharjee et al., Table II",
        366,
        totals.estimate_factor,
        "x",
        f"{GENERATED}, vgg9-cifar10",
        HELD_OUT,
        "spikex-sim run t.npz --arch sata",
        "Other networks, rates and precisions, and E_AC is not published (ours: SATA's accumulator while "
        "active). What carries over is that the estimate is low by two orders of magnitude.",
    )


def ann_row() -> Row:
    """Energy of the SNN at T=16 over that of the ANN, dense array."""
    snn, ann = run("vgg9-cifar10", 16, "systolic-os"), run("vgg9-cifar10", 16, "ann")
    return Row(
        "SNN of 16 time points over ANN, energy on a systolic array, as large as",
        "Narayanan et al. 2020, cited in Bhattacharjee et al., Section III-A",
        16,
        snn.totals.energy_pj / ann.totals.energy_pj,
        "x",
        f"{GENERATED}, vgg9-cifar10",
        HELD_OUT,
        "spikex-sim ann t.npz --arch systolic-os",
        "VGG-9/CIFAR-10, output-stationary; without DRAM "
        f"{snn.totals.energy_on_chip_pj / ann.totals.energy_on_chip_pj:.1f}. Weights of the layers that fit "
        "the GLB are fetched once for all time points, spikes have an eighth of an activation's bits.",
    )


def cycles_check() -> str:
    """Cycles of the published formula, all layers of VGG-9."""
    network = load_network("vgg9-cifar10")
    result = run("vgg9-cifar10", 4, cycles_model="published")
    total = 0
    for layer in network.layers:
        if layer.is_pool:
            continue
        positions, channels = layer.out_height * layer.out_width, layer.out_channels
        taps = layer.in_channels * layer.kernel[0] * layer.kernel[1]
        dense = -(-positions // 16) * -(-channels // 8) * (taps + 16 + 8 - 2)
        walk = (-(-taps // 16) * -(-channels // 8) - 1) * (positions + 32 + 8 - 2) + min(taps, 16) - 1
        total += 4 * dense + walk
    exact = "equal" if total == result.totals.cycles else f"NOT equal: {result.totals.cycles:,}"
    return (
        "Tick-batch cycles by SATA's formula (T dense passes and one walk of the filters) and of a run with "
        f"`cycles_model: published`, VGG-9/CIFAR-10, T = 4: {total:,}, {exact}. Overlapped with the array, as "
        f"the buffers permit: {run('vgg9-cifar10', 4).totals.cycles:,}."
    )


ROWS: dict[str, Callable[[], Row]] = {
    "tick-batch": tick_batch_row,
    "lif-share": lif_share_row,
    "lif-sharing": lif_sharing_row,
    "dynamic": dynamic_row,
    "estimate": estimate_row,
    "ann": ann_row,
}

HEAD = """# Validation

<!-- made by scripts/make_validation_page.py: `python scripts/make_validation_page.py` -->

Numbers from outside beside ours. `t.npz` stands for generated spikes at the firing rates of a network preset: with the
network and the number of time points that a row names, `spikex-sim trace synth --kind layers --network vgg9-cifar10
--timesteps 4 --out t.npz`. Every row says whether anything was chosen to meet it (`fitted`) or not (`held out`), and what
data it is of; generated spikes are made by the command itself, and nothing has to be fetched for them.

## SCALE-Sim

Cycles and SRAM access counts of the [dense array](accelerators/systolic.md) equal those of SCALE-Sim 3.0.0 for all
layers of the N-MNIST network and all three dataflows (12 of 12, every count), and live on random layers where the
package is installed: `tests/crosscheck/test_scalesim.py`. Nothing was fitted, and no data
are needed: layers are dense. Differences of convention: SCALE-Sim prints one cycle less (the index of the last), rounds
output sizes up where the stride does not divide, and over-counts output-stationary ofmap writes by `folds * (R + C)`.

## SATA and the studies made with it

Bhattacharjee et al., "Are SNNs truly energy-efficient? A hardware perspective". No setting was searched for any of these
rows. The energy table has the paper's own powers, of which two rows are made.

| figure | published | measured | ratio | setting | data | re-run (row) |
|---|---|---|---|---|---|---|
"""


def table(rows: dict[str, Row]) -> str:
    """Markdown: a table, then what each row depends on."""
    lines, notes = [], ["", "What the rows depend on, and why they differ:", ""]
    for name, row in rows.items():
        unit = f" {row.unit}" if row.unit else ""
        both = (row.published, row.measured)
        numbers = [f"{value:,.4g}" if value < 1e5 else f"{value:,.0f}" for value in both]
        lines.append(
            f"| {row.what} | {numbers[0]}{unit} | {numbers[1]}{unit} | {row.measured / row.published:.2f} | "
            f"{row.setting} | {row.data} | `{name}` |"
        )
        notes += [f"- **{name}** ({row.source}). {row.why} `{row.command}`"]
    return "\n".join(lines + notes) + "\n"


TAIL = """
A row is re-run by itself with `python scripts/make_validation_page.py ROW`.
"""

SPIKEX = """
## SpikeX

Xu, Boone and Li, "SpikeX: Exploring accelerator architecture and network-hardware co-optimization for sparse spiking
neural networks". Every row of the paper's published numbers, on the presets `spikex-paper` and `ptb-paper`;
`spikex-sim reproduce all --out results/paper` makes rows, drawings and this table, and `reproduce.json` with commit, hash
of the sources, configurations and hashes of weights and samples. No row has a setting of its own;
[which preset to cite](configuration.md#which-to-cite). Rows of Figs 9, 10 and 12
are those that the setting was searched on (`fitted`, [below](#what-the-paper-leaves-open)); all others are `held out`.

Rows of Fig. 13 are of recordings, which do not come along: ten of DVS128 Gesture (`dvsgesture_samples.npz`) and 100 for testing
of N-MNIST (`nmnist_small.npz`), of which three each were run, by

```
spikex-sim reproduce fig13 --samples 3 --data nmnist=nmnist_small.npz --data dvs-gesture-medium=dvsgesture_samples.npz \\
  --data dvs-gesture-large=dvsgesture_samples.npz --out results/fig13
```

Without `--data` the same rows are of emulated cameras, and most have other numbers. How to get recordings:
[recordings](recordings.md#n-mnist-and-dvs-gesture).

"""

DENSE = """
### If the networks were this dense

Fig. 13 is of networks before and after training, and how dense either is, the paper draws and does not say. `spikex-sim
reproduce densities` gives every layer but the first spikes of a stated density, costs them on the two presets, and finds the two
densities at which all five ratios of a network are nearest to the published ones. These two are fitted, once with
PTB as it is elsewhere here, which moves all channels, and once with PTB that moves tagged channels alone (`tailored`), as
Section VI-C may be read. Ours over published:

| network | PTB moves | density before | after | {ratios} | error |
|---|---|---|---|{lines}|---|
"""

DENSE_TAIL = """
Mean density of what enters the hidden layers of the networks that come along, on three recordings each: {ours}. If the
paper's networks were as dense as above, its numbers would follow, of DVS-Gesture Large with a PTB that moves tagged channels
alone; ours are this dense. For DVS-Gesture Medium no two densities from 0.01 to 30 % do, the ends of what was tried: the first
layer sees what was recorded.

![Ratios of Fig. 13 against the density after training](densities.svg)

Rows: [densities.csv](densities.csv). What cannot all be true in the paper: [contradictions](contradictions.md).

"""

SETTING = """
### What the paper leaves open

The setting of the two presets was searched once over all rows of Figs 9, 10 and 12, by
`python scripts/search_paper_setting.py`: the mean of |ln(measured / published)| and a little for each trend that does
not show. In bold what was chosen; the first value is the default of the presets `spikex` and `ptb`.

| parameter | plausible values | why |
|---|---|---|
"""

TORNADO_HEAD = """
### What one parameter moves

Mean |ln(measured / published)| of a figure's rows while one parameter runs through its values and the others stay as
chosen: least to most. 0.22 is 25 %; rows count at most 2.30, a factor of 10, which is also what a setting gets that
cannot be built. All values: [tornado.csv](tornado.csv); drawn by `spikex-sim reproduce tornado --out DIR`.

| parameter | chosen | {figures} |
|---|---|{lines}
"""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def densities_section(rows: list[dict[str, object]]) -> str:
    """Densities at which the ratios of Figure 13 appear, and those that come along."""
    headings = " | ".join(name.replace("-", " ") for name in RATIOS)
    text = DENSE.format(ratios=headings, lines="|".join(["---"] * len(RATIOS)))
    ours: dict[str, list[str]] = {}
    for row in rows:
        if row["kind"] == "shipped":
            ours.setdefault(str(row["network"]), []).append(
                f"{100 * number(row, 'density'):.2g} % ({row['variant']})"
            )
        if row["kind"] != "fitted":
            continue
        names = [name.replace("-", "_") for name in RATIOS]
        cells = [f"{number(row, f'{one}_ratio'):.3g} / {number(row, f'{one}_published'):g}" for one in names]
        densities = [_edged(number(row, key)) for key in ("base_density", "density")]
        told = [str(row["network"]), str(row["ptb_moves"]), *densities, *cells, f"{number(row, 'error'):.2f}"]
        text += f"| {' | '.join(told)} |\n"
    return text + DENSE_TAIL.format(
        ours="; ".join(f"{name} {', '.join(some)}" for name, some in ours.items())
    )


def _edged(density: float) -> str:
    """A density, marked where it is the end of what was tried."""
    told = f"{100 * density:.2g} %"
    if density > 0.999 * max(DENSITIES_TRIED):
        return f"≥ {told}"
    if density < 1.001 * min(DENSITIES_TRIED):
        return f"≤ {told}"
    return told


def spikex_section() -> str:
    """The SpikeX paper's scorecard, the open parameters and what each of them moves."""
    machines = Machines.of_presets()
    tables = {name: STUDIES[name](machines, silent) for name in ("fig9", "fig10", "fig11", "fig12")}
    if FIG13.is_file():
        tables["fig13"] = [dict(row) for row in read_rows(FIG13)]
    chosen = of_preset()
    text = SPIKEX + markdown(scorecard(tables), trends(tables))
    if DENSITIES.is_file():
        text += densities_section([dict(row) for row in read_rows(DENSITIES)])
    text += SETTING
    for parameter in PARAMETERS:
        values = [f"**{one}**" if one == chosen[parameter.name] else one for one in parameter.values]
        text += f"| {parameter.name} | {', '.join(values)} | {parameter.reason} |\n"
    text += TORNADO_HEAD.format(figures=" | ".join(FITTED), lines="---|" * len(FITTED))
    with TORNADO.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for parameter in PARAMETERS:
        mine = [row for row in rows if row["parameter"] == parameter.name]
        spans = []
        for figure in FITTED:
            errors = [float(row["error"]) for row in mine if row["figure"] == figure]
            spans.append(f"{min(errors):.2f} to {max(errors):.2f}")
        text += f"| {parameter.name} | {mine[0]['chosen']} | {' | '.join(spans)} |\n"
    return text


IMC = """
## Crossbars

What was published on SpikeSim's crossbar machine beside the preset `spikesim`: the released script, Bhattacharjee et al. (above), Moitra
et al., "When in-memory computing meets spiking neural networks", Appl. Phys. Rev. 11, 031325 (2024), and Putra and Shafique,
"NeuroNAS". No setting was searched for any of these rows. The script's figures are met to 1e-9, all 110 runs of
it that were recorded too ([what the script leaves out](imc-released.md)). `t.npz` stands for generated spikes of the network that
a row names, as above; rows of N-MNIST are of 100 real recordings for testing, with the network `nmnist-base` and eight recordings for training
to calibrate on ([how they are made](imc-studies.md)). A trend has no ratio: the numbers behind it follow.

"""


def crossbar_tables(studies: Iterable[str]) -> dict[str, list[dict[str, object]]]:
    """Rows of studies of crossbars: made here, or read where they are of recordings."""
    found = {name: CROSSBAR_STUDIES[name]() for name in studies if name in CROSSBAR_STUDIES}
    for name in RECORDINGS:
        file = CROSSBARS / f"imc-{name}.csv"
        if name in studies and file.is_file():
            found[name] = [dict(row) for row in read_rows(file)]
    return found


ILP = """
## Mapping networks onto crossbars

Pohl et al., "Mapping spiking neural networks to heterogeneous crossbar architectures using integer linear programming",
beside [`spikex-sim map compare`](mapping.md#5-baselines). The paper's networks are not public: those here are drawn with the
statistics of its Table I (`gen:A` to `gen:E`, seed 1), and so are their spikes, which the paper has from recordings that are not
public either. No setting was searched for any of these rows. Mappings of the five networks, {steps} moves of each annealing run, are in
[mapping-study.csv](mapping-study.csv), made by `python scripts/make_mapping_study.py`; those of one network, without
spikes, by `spikex-sim map compare gen:A --objective routes`. Published / ours, then all other rows with the numbers of A to
E behind them:

"""


def mapping_tables() -> dict[str, list[dict[str, object]]]:
    """Statistics of the networks, made here, and their mappings, where they were made."""
    found = {"networks": network_rows()}
    if MAPPINGS.is_file():
        found["ways"] = [dict(row) for row in read_rows(MAPPINGS)]
    return found


def mapping_section() -> str:
    """Rows of the paper on integer programs."""
    tables = mapping_tables()
    steps = number(tables["ways"][0], "steps") if "ways" in tables else 0
    return ILP.format(steps=f"{steps:,.0f}") + mappings.markdown(mappings.scorecard(tables))


NAS = """
## Searched networks

Putra and Shafique, "NeuroNAS", Section V-B: parameters, area, latency and energy of networks of [two cells](nas.md), which follow from
the [released script](imc-released.md) on their convolutions alone ([the formulas](nas.md#2-costs)). The paper does not say which cells its
figures are of; `a` and `b` are the numbers of 3x3 convolutions in cells A and B, `a1` and `b1` of 1x1 ones, that have them. Figures are met
where they are the same after cutting off digits (shares and ratios: or rounding). `script` is the simulator's own released model on the list
of convolutions, as `spikex-sim nas cost` has it, with cells of 4 bits and in the unit of the published figure; cells of one bit, which the
paper's Table I names, multiply energies by four and areas by more. Beside it, the preset `spikesim`, which replays spikes, with cells of
4 bits and of one: the first network's convolutions in series, a picture and then spikes of 10 %, 5 time points, weights of at most 8
bits. It takes a PE cycle for every position, the script one for every neuron, hence the latencies. No setting was searched for any
of these rows.

"""


def searched_section() -> str:
    """Rows of networks of searched cells."""
    return NAS + searched.markdown(searched.scorecard())


def main() -> int:
    parser = argparse.ArgumentParser(description="Rewrite docs/validation.md.")
    parser.add_argument(
        "row",
        nargs="*",
        choices=[[], *ROWS, *CROSSBAR_ROWS, *MAPPING_ROWS, *(one.id for one in searched_rows())],
        help="run and print only these rows",
    )
    parser.add_argument("--check", action="store_true", help="fail if the page is not what would be written")
    options = parser.parse_args()
    made = {name: ROWS[name]() for name in options.row or ROWS if name in ROWS}
    chosen = [name for name in options.row if name in CROSSBAR_ROWS]
    if options.row:
        lines = crossbars.scorecard(crossbar_tables({CROSSBAR_ROWS[name][0] for name in chosen}))
        print(table(made) if made else "", crossbars.table([one for one in lines if one.row.id in chosen]))
        of_mappings = [one for one in options.row if one in MAPPING_ROWS]
        if of_mappings:
            every = mappings.scorecard(mapping_tables())
            print(mappings.table([one for one in every if one.row.id in of_mappings]))
        if of_cells := [one for one in searched_rows() if one.id in options.row]:
            print(searched.table(searched.scorecard(of_cells)))
        return 0
    page = HEAD + table(made) + f"\nTrends and formulas:\n\n- {growth_check()}\n- {cycles_check()}\n" + TAIL
    lines = crossbars.scorecard(crossbar_tables({*CROSSBAR_STUDIES, *RECORDINGS}))
    page += IMC + crossbars.markdown(lines) + searched_section() + mapping_section() + spikex_section()
    if options.check:
        return int(PAGE.read_text("utf-8") != page)
    PAGE.write_text(page, "utf-8")
    print(f"rewrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
