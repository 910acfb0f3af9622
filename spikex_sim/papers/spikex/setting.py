"""What the paper leaves open: free parameters, their plausible values, and the search for one setting.

One setting serves every figure. It is found by coordinate descent: from the defaults, each parameter in
turn takes the value of its range with the least error, until none moves any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import log
from typing import Any

from spikex_sim.core.errors import ConfigError, SpikexError
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.workers import KILLED, Workers, can_fork
from spikex_sim.papers.spikex.measures import measured, trends
from spikex_sim.papers.spikex.published import published
from spikex_sim.papers.spikex.studies import (
    FIG9_RATES,
    FIG10_RATES,
    READING,
    Fig12Reading,
    Machines,
    Rows,
    fig9,
    fig10,
    fig12,
)
from spikex_sim.spec.load import load_accelerator

WORST = log(10)
"""Error of a row that is off by a factor of 10 or more, or cannot be measured."""
TREND_ERROR = 0.05
"""Added to the mean error for each trend that does not show."""
CLOSE = 0.25
"""How far a measured value may be from the published one to count as reproduced, as a fraction of it."""
LARGEST_BROKEN = 100
"""Trends that a setting counts as breaking if it cannot be built."""
READ = "fig12."
"""Beginning of what a value says of how Figure 12 is read, and not of a machine."""
FITTED = ("fig9", "fig10", "fig12")
"""Figures whose published numbers the setting is searched for."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that the paper leaves open.

    Attributes
    ----------
    name : str
        What it is.
    values : mapping of str to dict
        Label of each plausible value to the configuration keys it stands for; the first is the default of
        the presets ``spikex`` and ``ptb``.
    reason : str
        Why the range is plausible.
    """

    name: str
    values: Mapping[str, dict[str, Any]]
    reason: str


def _one(key: str, *values: Any) -> dict[str, dict[str, Any]]:
    return {str(value).lower() if isinstance(value, bool) else f"{value}": {key: value} for value in values}


def _shares(level: str, *splits: tuple[float, ...]) -> dict[str, dict[str, Any]]:
    names = ("ifmap", "filter", "ofmap", "psum")
    return {
        "/".join(f"{part:g}" for part in split): {
            f"memory.{level}.partition.{name}": part for name, part in zip(names, split, strict=False)
        }
        for split in splits
    }


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "clock, MHz",
        _one("clock_mhz", 500.0, 100.0, 200.0, 300.0, 800.0, 1000.0),
        "no clock is given; accelerators of this kind at 28 to 65 nm run at 100 MHz to 1 GHz, and buffers "
        "of the energy table allow 1 GHz",
    ),
    Parameter(
        "GLB port to the array, bits",
        _one("memory.glb.array_port_bits", 64, 32, 128, 256, 512),
        "not given; from four weights to a row of PEs each with a weight per TWS point",
    ),
    Parameter(
        "GLB port to DRAM, bits",
        _one("memory.glb.dram_port_bits", 512, 64, 128, 256),
        "not given; from a word to a DRAM burst",
    ),
    Parameter(
        "LBUF ports, bits",
        _one("memory.lbuf.port_bits", 64, 8, 16, 32, 128),
        "not given; from one weight to two rows of PEs",
    ),
    Parameter(
        "LBUF access, bits",
        _one("memory.lbuf.access_bits", "port", 8, 16, 32, 64, 128),
        "not given; a port of several narrow banks side by side, or a memory wider than its port",
    ),
    Parameter(
        "RF of a PE, bytes (0: registers)",
        _one("memory.rf.bytes", 0, 64, 128, 256),
        "'a small scratchpad memory, registers' (Section III-A) of no given size; CACTI has no smaller one",
    ),
    Parameter(
        "GLB shares ifmap/filter/ofmap",
        _shares(
            "glb",
            (0.3, 0.6, 0.1),
            (0.5, 0.4, 0.1),
            (0.4, 0.3, 0.3),
            (0.3, 0.3, 0.4),
            (0.25, 0.25, 0.5),
            (0.2, 0.2, 0.6),
        ),
        "'partitioned to store different types of data' (Section V-A), how is not said",
    ),
    Parameter(
        "LBUF shares ifmap/filter/ofmap/psum",
        _shares(
            "lbuf",
            (0.25, 0.5, 0.05, 0.2),
            (0.2, 0.4, 0.05, 0.35),
            (0.25, 0.25, 0.05, 0.45),
            (0.4, 0.35, 0.05, 0.2),
            (0.15, 0.7, 0.05, 0.1),
        ),
        "as for the GLB",
    ),
    Parameter(
        "positions of a tile (SpikeX)",
        _one("mapping.positions", "auto", 1, 2, 4, 8, 16, 24),
        "the size of an SP-MB is 'properly chosen' (Section III-D)",
    ),
    Parameter(
        "windows of a tile (SpikeX)",
        _one("mapping.windows", "auto", 1, 2, 4, 8),
        "as for the positions",
    ),
    Parameter(
        "streaming granularity",
        _one("stream", "tap", "channel"),
        "Fig. 4 tailors by input channel, tags are known for every neuron",
    ),
    Parameter(
        "dispatch of SpikeX",
        _one("dispatch", "agile", "spatial", "across"),
        "Section III-C switches at 'more than the array width'; Section VI-A handles 'temporal parallel work "
        "and spatially parallel work simultaneously'",
    ),
    Parameter(
        "update and fire, cycles per time point",
        _one("update_cycles", 1, 2, 3),
        "Section III-A has up to three steps per time point, overlapped or not",
    ),
    Parameter(
        "catch-up of a skipped window, cycles",
        _one("leak_catchup_cycles", 1, 0, 2),
        "not mentioned; 0 if hidden behind integration",
    ),
    Parameter(
        "array drains after",
        _one("skew", "tile", "batch", "none"),
        "the latency of 'all operations' is summed (Section V-B); whether filling and draining count is open",
    ),
    Parameter(
        "zero spikes in a streamed slot spare the addition",
        {"yes": {"zero_gating": "auto"}, "no": {"zero_gating": False}},
        "'a simple conditional accumulate' (Section II) against 'the total number of accumulation operations "
        "for a specific network' (Section V-B)",
    ),
    Parameter(
        "outputs stay in the GLB if they fit",
        _one("memory.glb.keep_ofmap", False, True),
        "1.7 % of DRAM in Fig. 12 excludes that all spikes pass through DRAM between layers",
    ),
    Parameter(
        "DRAM energy of weights",
        _one("memory.dram.weights", "stream", "resident"),
        "1.7 % of DRAM in Fig. 12 excludes that a single sample pays for all weights",
    ),
    Parameter(
        "kind of DRAM",
        _one("memory.dram.kind", "LPDDR4", "HBM2", "DDR4"),
        "'off-chip RAM' of 30 GB/s; 4 to 12 pJ a bit",
    ),
    Parameter(
        "partial sum, bits",
        {
            "24": {"psum_bits": 24},
            "16": {"psum_bits": 16, "psum_overflow": "wrap"},  # refused for 256 taps or more otherwise
            "32": {"psum_bits": 32},
        },
        "not given; 8-bit weights of up to 2,304 taps need 20; narrower sums wrap around",
    ),
    Parameter(
        "transistors of the buffers",
        _one("energy.device", "hp", "lop", "lstp"),
        "'32nm CMOS' (Section V-B)",
    ),
    Parameter(
        "tags of skipped windows",
        _one("memory.zero_tags", "move", "unit"),
        "tags are at every level (Section III-B); whether zero tags take the buffer's port is not said",
    ),
    Parameter(
        "PTB moves tagged data only",
        _one("tailored", False, True),
        "'less data is loaded' (Section VI-C) against 7.11 x in Fig. 10",
    ),
    Parameter(
        "layers of Fig. 12",
        {
            "DVS-Gesture": {f"{READ}networks": ("dvs-gesture-medium", "dvs-gesture-large")},
            "DVS-Gesture Large": {f"{READ}networks": ("dvs-gesture-large",)},
            "N-MNIST": {f"{READ}networks": ("nmnist",)},
        },
        "'fully-connected layers' (Section VI-B), of which network is not said",
    ),
    Parameter(
        "potentials in Fig. 12 count as",
        {name: {f"{READ}potentials": name} for name in ("weights", "spikes", "both", "own")},
        "the figure's three uses add up to 100 %: partial sums and potentials are among weights and spikes",
    ),
)
"""Everything that the paper leaves open and the model has as a key, or that is a matter of reading."""
OWN_KEYS = (
    "mapping.positions", "mapping.windows", "dispatch", "leak_catchup_cycles", "memory.zero_tags",
)  # fmt: skip
"""Keys of SpikeX alone: the tiles of the baseline are as large as its buffers allow, and it skips nothing."""
PTB_KEYS = ("tailored",)
"""Keys of PTB alone."""
BASELINE = {"tws_objective": "energy", "tws_scope": "network"}
"""The baseline's window size: 'an optimal fixed' one (Section V-C), and HAS trades energy for latency."""

Setting = dict[str, str]
"""Parameter to the label of its value."""


def defaults() -> Setting:
    """All parameters as `model.md` has them."""
    return {parameter.name: next(iter(parameter.values)) for parameter in PARAMETERS}


def overrides_of(setting: Setting) -> dict[str, Any]:
    """Configuration keys of a setting."""
    return {key: value for key, value in _said(setting).items() if not key.startswith(READ)}


def _said(setting: Setting) -> dict[str, Any]:
    return {
        key: value
        for parameter in PARAMETERS
        for key, value in parameter.values[setting[parameter.name]].items()
    }


def reading_of(setting: Setting) -> Fig12Reading:
    """How Figure 12 is read under a setting."""
    said = _said(setting)
    return Fig12Reading(said[f"{READ}networks"], said[f"{READ}potentials"])


def of_preset() -> Setting:
    """The setting of the presets ``spikex-paper`` and ``ptb-paper``."""
    machines = Machines.of_presets()
    return {parameter.name: _label(parameter, machines) for parameter in PARAMETERS}


def _label(parameter: Parameter, machines: Machines) -> str:
    def value(key: str) -> Any:
        if key.startswith(READ):
            return getattr(READING, key.removeprefix(READ))
        return (machines.ptb if key in PTB_KEYS else machines.spikex).get(key, default=None)

    for label, keys in parameter.values.items():
        if all(value(key) == wanted for key, wanted in keys.items()):
            return label
    raise ConfigError(
        f"the preset's {parameter.name} is none of {', '.join(parameter.values)}", where=machines.spikex.name
    )


def machines_of(setting: Setting) -> Machines:
    """SpikeX and PTB with a setting."""
    keys = overrides_of(setting)
    spikex = {key: value for key, value in keys.items() if key not in PTB_KEYS}
    ptb = {key: value for key, value in keys.items() if key not in OWN_KEYS}
    return Machines(load_accelerator("spikex", spikex), load_accelerator("ptb", ptb | BASELINE))


@dataclass(frozen=True)
class Fit:
    """How far a setting is from the published numbers.

    Attributes
    ----------
    ratios : dict of str to float
        Row to measured / published; 0 where it cannot be measured.
    broken : int
        Trends that do not show.
    """

    ratios: dict[str, float]
    broken: int

    def error(self, figure: str = "") -> float:
        """Mean of ``|ln ratio|``, each at most that of a factor of 10, over all rows or a figure's."""
        errors = [
            min(WORST, abs(log(ratio))) if ratio > 0 else WORST
            for row, ratio in self.ratios.items()
            if not figure or row.startswith(f"{figure}-")
        ]
        return sum(errors) / len(errors)

    @property
    def score(self) -> float:
        """Mean error, and a little for each trend that does not show: what the search makes small."""
        return self.error() + TREND_ERROR * self.broken

    @property
    def within(self) -> int:
        """Rows within 25 % of the published value."""
        return sum(is_close(ratio) for ratio in self.ratios.values())


def is_close(ratio: float) -> bool:
    """Whether a measured value is within 25 % of the published one."""
    return abs(ratio - 1) <= CLOSE


def fit(setting: Setting) -> Fit:
    """Run the studies of Figures 9, 10 and 12 at the rates that were published and compare."""
    tables: dict[str, Rows] = {}
    try:
        machines = machines_of(setting)
        tables["fig9"] = fig9(machines, silent, (max(FIG9_RATES), min(FIG9_RATES)))
        tables["fig10"] = fig10(machines, silent, (max(FIG10_RATES), min(FIG10_RATES)))
        tables["fig12"] = fig12(machines, silent, reading_of(setting))
    except SpikexError:  # a buffer that is too small: the setting cannot be built
        return Fit({row.id: 0.0 for row in published() if row.figure in FITTED}, LARGEST_BROKEN)
    values = {row.id: (measured(row.id, tables), row.value) for row in published() if row.figure in FITTED}
    ratios = {row: 0.0 if value is None else value / wanted for row, (value, wanted) in values.items()}
    return Fit(ratios, sum(not trend.holds for trend in trends(tables)))


Evaluate = Callable[[list[Setting]], list[Fit]]
"""Fits of several settings; a place to run them in parallel."""


@contextmanager
def evaluator(jobs: int) -> Iterator[Evaluate]:
    """Fit settings in several processes, each setting once."""
    known: dict[tuple[str, ...], Fit] = {}
    with nullcontext() if jobs == 1 else Workers(jobs, forked=can_fork()) as workers:
        run = workers.map if workers else map

        def evaluate(settings: list[Setting]) -> list[Fit]:
            keys = [tuple(setting[parameter.name] for parameter in PARAMETERS) for setting in settings]
            new = {key: setting for key, setting in zip(keys, settings, strict=True) if key not in known}
            try:
                known.update(zip(new, run(fit, new.values()), strict=True))
            except BrokenProcessPool:
                raise SpikexError(KILLED, where="a setting") from None
            return [known[key] for key in keys]

        yield evaluate


def neighbours(setting: Setting, parameter: Parameter) -> list[Setting]:
    """A setting with every value of one parameter."""
    return [setting | {parameter.name: label} for label in parameter.values]


def descend(start: Setting, evaluate: Evaluate) -> Iterator[tuple[str, Setting, Fit]]:
    """Coordinate descent: after every parameter, its name and the best setting so far with its fit."""
    best = start
    moved_last = ""
    known = evaluate([best])[0]
    while True:
        for parameter in PARAMETERS:
            if parameter.name == moved_last:
                return
            options = neighbours(best, parameter)
            fits = evaluate(options)
            at = min(range(len(fits)), key=lambda index: fits[index].score)
            if fits[at].score < known.score:
                best, known, moved_last = options[at], fits[at], parameter.name
            yield parameter.name, best, known
        if not moved_last:
            return


def tornado(setting: Setting, evaluate: Evaluate, progress: Progress) -> Rows:
    """How far the figures move when one parameter moves and the others stay."""
    rows: Rows = []
    for at, parameter in enumerate(PARAMETERS):
        progress(parameter.name, at, len(PARAMETERS))
        options = neighbours(setting, parameter)
        fits = evaluate(options)
        chosen = fits[list(parameter.values).index(setting[parameter.name])]
        rows += [
            {
                "parameter": parameter.name,
                "value": option[parameter.name],
                "chosen": setting[parameter.name],
                "figure": figure,
                "rows": sum(row.startswith(f"{figure}-") for row in found.ratios),
                "error": found.error(figure),
                "chosen_error": chosen.error(figure),
            }
            for option, found in zip(options, fits, strict=True)
            for figure in FITTED
        ]
    return rows
