"""Published numbers on crossbars beside ours, each with its ratio, its reason and its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from spikex_sim.core.frozen import FrozenMap
from spikex_sim.papers.imc import measures
from spikex_sim.papers.imc.measures import MEASURES, Tables, measured
from spikex_sim.papers.imc.published import Published, published
from spikex_sim.papers.imc.studies import RECORDINGS, Rows

SCRIPT = "python scripts/make_validation_page.py"
CALIBRATED = "--set imc.calibration=train"
COMMANDS: Mapping[str, str] = FrozenMap({
    "generated": "spikex-sim run t.npz --arch spikesim",
    "digit": "spikex-sim run --arch spikesim",
    **{name: f"spikex-sim imc-study recordings --study {name} {CALIBRATED}" for name in RECORDINGS},
    "timesteps": "spikex-sim imc-study recordings --study timesteps",
})  # fmt: skip
"""What a user calls for the numbers of a study; a row of another is made by the page's script."""
_AREA = (
    "8-bit weights lie in two 4-bit cells here, which doubles the PEs, and buffers have the sizes of Table "
    "III. One cell a weight (7 bits) gives 11.1 and 28.5 %"
)
_SHARING = (
    "potentials and units are shared at no cost. Published: 1.38 and 2.41, which no `a + b/n` gives: what "
    "sharing costs is not described"
)
REASONS: Mapping[str, str] = FrozenMap({
    "s1-edp-t4": "layers overlap, so the first output waits for a fill, and a picture's first layer is "
    "computed once: energy and latency are affine in T. Strictly linear ones would give 16",
    "s3-mac-comm-share": "EDP is a product: time is common to all parts, and what has shares is the energy",
    "s4-dtsnn": "the distribution of exits is not published: between all at 1 or 4, and all at 2 or 3",
    "s6-lif-area-32": _AREA,
    "s6-lif-area-64": _AREA,
    "s8-": _SHARING,
    "s9-channel-scaling": "neither the network nor the factor is published; an eighth of the channels here. "
    "conv1 has a third of the LIF area of VGG-9, so that more than 1.53 cannot be had",
    "s12-": "an input: the energy table has it from there",
    "s13-best-device": "by energy times area, 5-bit converters for all; 7-bit cells, a weight in one, are "
    "better still (study `precision`)",
    "s14-1": "one bank for nine crossbars; a bank each needs 7, 8 and 10 bits",
    "n1-encoding": "another network. `sign_offset` alone gains little: the gain is that of flags of "
    "complemented columns (`imc.complement`), which are ours",
    "n1-mac-error": "without read noise, converters that lose nothing",
    "n2-adapted-loss": "another network; 8 recordings to calibrate on. Below 0: more are right than with "
    "exact sums",
    "n3-decline": "not reproduced: at 20 kΩ the arrays are at chance for every T, and the gap to exact sums "
    "opens with T as these get better. N-MNIST is not direct-coded",
    "n4-adapt-32": "nothing to recover: 32 rows lose one recording in a hundred (of the first 15 alone, 14 "
    "are right without adaptation and 15 with it)",
    "n6-r-on": "of 50, 100 and 200 kΩ, with two recordings of 100 counted as none lost",
    "h10-precision": "8 over 4 bits, the same factor: weights have 8 bits at most here",
    "h12-search": "arithmetic",
})  # fmt: skip
"""Rows, or the beginnings of their names, to what explains where they are."""
NOT_TESTABLE: Sequence[str] = (
    "energy, power and throughput beside ANNs on NeuroSim and Eyeriss (Moitra et al., Fig. 5): other "
    "simulators",
    "LIF units beside ReLU units, over 1,000 times the area (IV-C.1): no such unit is modelled",
    "weights and potentials of 2 bits at equal accuracy (IV-C.1.a): trained so",
    "accuracy against time points of VGG-16 (Fig. 8 (b)): trained so",
    "81 % less EDP by dynamic time steps (IV-C.2.a): of networks trained for it",
    "accuracy that variable FeFETs cost (Fig. 12 (c)): potentials are exact here",
    "time of noise-aware training on a GPU (Fig. 10 (b)), and what it recovers (IV-C.3.d)",
)
"""Published figures that nothing here could be compared with."""
CONTRADICTIONS: Sequence[str] = (
    "EDP over T. Moitra et al. (IV-C.2) let it grow \"linearly\", Bhattacharjee et al. (III-B) energy and "
    "latency, whose product would be 16 from T=1 to 4; they print 10.4, which is neither 4 nor 16.",
    "Shares of EDP. Moitra et al. (IV-C.2, Fig. 8 (a)) give MAC and communication \"80 % of the overall "
    "EDP\"; a product has no shares.",
    "LIF sharing. C#2 and C#4 save 1.38 and 2.41 (Bhattacharjee et al.). If LIF area is a + b/n, the first "
    "asks for b = 0.55 of it, the second for 0.78. Moitra et al. (IV-C.1.a) say \"over 4×\" of the same "
    "method.",
    "Adapted batch norms \"can fully recover\" the accuracy (Moitra et al., IV-C.3.e), and leave 1.22 % lost "
    "(Bhattacharjee et al.).",
    "FeFETs make the LIF area \"upto 7×\" smaller (Moitra et al., V-B); 7 is that of the bits alone, LIF "
    "units stay.",
    "Converters. 4 bits in the released script and in NeuroNAS (with 1-bit cells), 5 as needed by 4-bit "
    "cells in Moitra et al. (V-A), whose Table III has none.",
    "Tiles. The papers let no tile hold two layers (NeuroNAS, II-B); the released script packs PEs of all "
    "layers.",
    "Read parallelism. A high on/off ratio lets more rows be read at once, and slows the clock (Moitra et "
    "al., IV-B.2): traffic a cycle then falls (Table II) only if the second outweighs the first, which is "
    "not shown.",
)  # fmt: skip
"""Where the papers do not agree with each other, or with themselves."""


@dataclass(frozen=True)
class Line:
    """A row of the scorecard.

    Attributes
    ----------
    row : Published
        What was published.
    measured : float or None
        Our number; None if its study was not run.
    series : str
        Numbers behind it.
    """

    row: Published
    measured: float | None
    series: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over published, of what is no trend."""
        return None if self.measured is None or self.row.is_trend else self.measured / self.row.value

    @property
    def status(self) -> str:
        """Whether the number is as near as the row asks for."""
        if self.measured is None:
            return "not run"
        if self.row.is_trend:
            return "shows" if self.measured else "does NOT show"
        return "met" if self.row.admits(self.measured) else "outside"

    @property
    def reason(self) -> str:
        """Why it is where it is."""
        return next((text for start, text in REASONS.items() if self.row.id.startswith(start)), "")

    @property
    def command(self) -> str:
        """What makes it again."""
        return COMMANDS.get(MEASURES[self.row.id][0], f"{SCRIPT} {self.row.id}")


SERIES: Mapping[str, Callable[[Rows], Sequence[float]]] = FrozenMap({
    "s2-energy-linear": measures.energy_steps,
    "s4-dtsnn": measures.exit_gains,
    "s6-lif-area-grows": measures.lif_shares,
    **{
        f"s14-{number}": partial(measures.of_cases, start=start, column=column)
        for number, (start, column, _) in enumerate(measures.TABLE_II, 1)
    },
    "s15-accuracy": measures.by_r_on,
    "s15-tops": lambda rows: measures.of_cases(rows, "R_on", "tops"),
    "n1-mac-error": lambda rows: measures.of_cases(rows, "", "error"),
    "n3-decline": measures.by_timesteps,
    "n4-adapt-32": lambda rows: measures.adaptation(rows, 32),
    "n4-adapt-64": lambda rows: measures.adaptation(rows, 64),
    "n6-r-on": measures.by_r_on,
})  # fmt: skip
"""Numbers that trends, and rows that take the best of several, are read from."""


def scorecard(tables: Tables) -> list[Line]:
    """All published rows, those of the studies that were run with their numbers."""
    lines = []
    for row in published():
        study, _ = MEASURES[row.id]
        behind = SERIES[row.id](tables[study]) if row.id in SERIES and study in tables else ()
        lines.append(Line(row, measured(row.id, tables), ", ".join(f"{one:.3g}" for one in behind)))
    return lines


def table(lines: Sequence[Line]) -> str:
    """Rows as a Markdown table."""
    text = [
        "| row | published | measured | ratio | | command |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{one.row.id}`: {one.row.quantity}, {one.row.condition} ({one.row.source}) | "
            f"{_number(one.row, one.row.value)} | {_measured(one)} | "
            f"{'' if one.ratio is None else f'{one.ratio:.3g}'} | {one.status} | `{one.command}` |"
            for one in lines
        ),
    ]
    return "\n".join(text)


def markdown(lines: Sequence[Line]) -> str:
    """Table, reasons, what cannot be tested, and contradictions as Markdown."""
    text = [
        table(lines),
        "",
        f"{_summary(lines)}.",
        "",
        "Why rows are where they are:",
        "",
    ]
    for reason in dict.fromkeys(one.reason for one in lines if one.reason and one.measured is not None):
        names = ", ".join(f"`{one.row.id}`" for one in lines if one.reason == reason)
        text.append(f"- {names}: {reason}.")
    text += ["", "Published too, and not testable here:", ""]
    text += [f"- {one}." for one in NOT_TESTABLE]
    text += ["", "Where the papers contradict each other, or themselves:", ""]
    text += [f"- {one}" for one in CONTRADICTIONS]
    return "\n".join(text) + "\n"


def _summary(lines: Sequence[Line]) -> str:
    trends = [one for one in lines if one.row.is_trend and one.measured is not None]
    others = [one for one in lines if not one.row.is_trend and one.measured is not None]
    return (
        f"{sum(one.status == 'met' for one in others)} of {len(others)} numbers are met within what their "
        f"rows allow, and {sum(one.status == 'shows' for one in trends)} of {len(trends)} trends show"
    )


def _number(row: Published, value: float) -> str:
    if row.is_trend:
        return "yes" if value else "no"
    unit = {"count": "", "sign": " points"}.get(row.unit, f" {row.unit}")
    return f"{value:,.3f}{unit}" if abs(value) >= 1e6 else f"{value:.4g}{unit}"


def _measured(line: Line) -> str:
    if line.measured is None:
        return ""
    number = _number(line.row, line.measured)
    return f"{number}: {line.series}" if line.series else number
