"""Studies of crossbar machines: a setting at a time, what it costs and how often it is right."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from spikex_sim.core.errors import ConfigError, SpikexError, UnsupportedError
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.core.hints import one_of
from spikex_sim.core.progress import Progress, silent
from spikex_sim.explore.imc_keys import one_at_a_time
from spikex_sim.explore.many import replay_all
from spikex_sim.explore.sweeps.grid import points
from spikex_sim.run.results import RunResult
from spikex_sim.schedules.crossbar.options import CrossbarOptions
from spikex_sim.sources.open_loop import generated_trace
from spikex_sim.spec.arch import Accelerator, remarks_of
from spikex_sim.spec.load import load_accelerator
from spikex_sim.spec.networks import Network, load_network
from spikex_sim.trace.store import SUFFIXES
from spikex_sim.trace.together import AnyTrace, as_chains, as_traces

log = logging.getLogger("spikex_sim")
NONIDEAL = {"imc.arrays": "nonideal"}
ADAPT = ["none", "channel"]
ON_OFF = 10
"""Ratio of R_off to R_on where R_on changes (Table III of Moitra et al.)."""
R_ON_KOHM = (20.0, 50.0, 100.0, 200.0)
TIMESTEPS = (4, 8, 16, 30)
SIGNED, UNSIGNED = ("twos", "sign_offset"), ("offset",)
ENCODINGS = (*SIGNED, *UNSIGNED)
"""How weights become codes: those that keep signs apart, and the other; ``differential`` has two columns."""
NARROWER = (1, 2, 4, 8)
"""By what the first layer's channels are divided."""
SEED = 0
"""Of generated spikes."""
FLIT_BITS = 32
BUFFER_BITS = ("pb_bits", "tb_bits", "gb_read_bits", "gb_write_bits")
"""Counts of what buffers of sums and the global buffer are read and written."""


@dataclass(frozen=True)
class Study:
    """Settings that are compared.

    Attributes
    ----------
    about : str
        The question, in a few words.
    steps : sequence of mapping
        Dotted key to value, a mapping a setting.
    base : mapping
        Of all of them, unless the user sets it otherwise.
    """

    about: str
    steps: Sequence[Mapping[str, Any]]
    base: Mapping[str, Any] = field(default_factory=FrozenMap)


STUDIES: Mapping[str, Study] = FrozenMap({
    "precision": Study(
        "bits of a cell against bits of a converter, neither wires nor noise",
        points({"imc.device.bits": [1, 2, 4, 7], "imc.adc.bits": [3, 4, 5, 6, 7, 8]}),
        NONIDEAL | {"imc.r_par_ohm": 0.0, "imc.read_sigma": 0.0},
    ),
    "umem": Study("potentials in SRAM or in FeFETs", points({"imc.umem": ["sram", "fefet"]})),
    "sharing": Study(
        "channels that share a LIF unit and its potential; fewer channels of the first layer",
        points({"lif_sharing": [1, 2, 4, 8]}),
    ),
    "r-on": Study(
        "lowest resistance of a cell, with the ratio to the highest kept",
        points({"imc.adapt": ADAPT}, [{"imc.device.r_on_kohm": R_ON_KOHM,
                                       "imc.device.r_off_kohm": [ON_OFF * one for one in R_ON_KOHM]}]),
        NONIDEAL,
    ),
    "size": Study(
        "rows and columns of a crossbar, with and without adapted batch norms",
        points({"imc.adapt": ADAPT, "imc.crossbar": [16, 32, 64, 128]}),
        NONIDEAL,
    ),
    "encoding": Study(
        "how signed weights become cells of one bit; planes of signs charged",
        [{"imc.encoding": name, "imc.complement": flags}
         | ({"imc.sign_plane": "charged"} if name in SIGNED else {})
         for name, flags in product(ENCODINGS, (False, True))],
        NONIDEAL | {"imc.device.bits": 1},
    ),
    "timesteps": Study("first time points of a trace alone", [], NONIDEAL),
    "keys": Study("every key alone, all others as they are", one_at_a_time(), NONIDEAL),
})  # fmt: skip
"""Studies by name."""


def study(
    given: Sequence[AnyTrace | str | Path],
    name: str,
    arch: str | Path | Accelerator = "spikesim",
    *,
    timesteps: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: str = "fast",
    jobs: int = 1,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Replay samples at every setting of a study.

    Parameters
    ----------
    given : sequence of Trace, GraphTrace, str or Path
        Samples of one network, or a network's name: spikes are generated at its rates, seed 0.
    name : str
        Of :data:`STUDIES`.
    arch : str, Path or Accelerator
        A crossbar machine.
    timesteps : int, optional
        Of a network that is named; by default its own.
    overrides : mapping, optional
        Dotted key to value, for all settings; a key of the study's steps stays the study's.
    engine : {"fast", "event"}
        Memory engine.
    jobs : int
        Processes, which share out samples.
    progress : callable, optional
        Told how many settings are done.

    Returns
    -------
    list of dict
        A row a setting: its keys, then the columns of :func:`figures_of`; ``refused`` says why a setting
        cannot be, and is empty otherwise.

    Raises
    ------
    SpikexError
        If samples or the configuration are wrong, or the machine has no crossbars.
    """
    if name not in STUDIES:
        raise ConfigError(one_of(name, STUDIES), field="study")
    chosen = STUDIES[name]
    fixed = {**chosen.base, **(overrides or {})}
    cases = [
        (labels, traces, _machine(arch, fixed | dict(step)))
        for labels, traces, step in _cases(_samples(given, timesteps), name, chosen)
    ]
    for text in remarks_of(machine for _, _, machine in cases):
        log.warning("study: %s", text)
    rows, reasons = list[dict[str, Any]](), list[SpikexError]()
    for done, (labels, traces, machine) in enumerate(cases):
        progress(", ".join(map(str, labels.values())), done, len(cases))
        try:
            [found] = replay_all(traces, [machine], engine=engine, jobs=jobs)
            if isinstance(found, UnsupportedError):
                raise found
            rows.append({**labels, **figures_of(found), "refused": ""})
        except SpikexError as exc:
            reasons.append(exc)
            rows.append({**labels, "refused": str(exc)})
    if len(reasons) == len(cases):
        raise reasons[0]
    progress("done", len(cases), len(cases))
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in columns} for row in rows]


def figures_of(result: RunResult) -> dict[str, Any]:
    """What studies keep of a run: means of a sample, and the chip.

    Returns
    -------
    dict
        ``accuracy`` and ``software_accuracy`` are None where a sample has no class or the network no weights.
    """
    totals, samples, layers = result.totals, result.samples, [one for one in result.layers if one.mapping]
    assert totals.imc is not None and totals.imc["counts"] is not None
    counts, cycles, count = totals.imc["counts"], totals.cycles or 1, len(samples)
    flits = counts["noc_in_flits"] + counts["noc_out_flits"]
    machine = result.arch
    assert isinstance(machine, CrossbarOptions)
    return {
        "samples": count,
        "timesteps": result.trace["timesteps"],
        "accuracy": _right([(one.label, one.prediction) for one in samples]),
        "software_accuracy": _right([(one.label, one.software_prediction) for one in samples]),
        "output_spikes": totals.output_spikes,
        "changed_spikes": totals.changed_spikes,
        "seconds": totals.seconds / count,
        "energy_pj": totals.energy_pj / count,
        **{f"energy_{name}_pj": pj / count for name, pj in totals.energy_pj_by.items()},
        "leakage_pj": sum(totals.leakage_pj.values()) / count,
        "area_mm2": totals.area_mm2,
        **{f"area_{name}_mm2": area for name, area in totals.area_mm2_by.items()},
        "tops": totals.tops,
        "crossbars": machine.imc.crossbars_per_pe * sum(one.mapping["pes"] for one in layers),
        "adc_bits": layers[0].mapping["adc_bits"],
        "psum_bits": max(one.mapping["psum_bits"] for one in layers),
        "noc_bits_per_cycle": FLIT_BITS * flits / cycles,
        "buffer_bits_per_cycle": sum(counts[name] for name in BUFFER_BITS) / cycles,
        "trace_sha256": result.trace["sha256"],
    }


def narrowed(network: Network, divisor: int) -> Network:
    """Divide the channels that leave the first layer.

    Raises
    ------
    ConfigError
        If nothing is left, or what takes them cannot take fewer.
    """
    channels = network.layers[0].out_channels // divisor
    if not channels:
        raise ConfigError(
            f"has fewer than {divisor} channels in its first layer", where=f"network {network.name}"
        )
    layers, passed = list(network.layers), {0}
    layers[0] = layers[0].model_copy(update={"out_channels": channels})
    for index, sources in enumerate(network.predecessors()):
        if passed.isdisjoint(sources):
            continue
        update = {"in_channels": channels}
        if layers[index].is_pool:
            update["out_channels"] = channels
            passed.add(index)
        layers[index] = layers[index].model_copy(update=update)
    made = network.model_copy(update={"layers": tuple(layers)})
    made.predecessors()
    return made


Case = tuple[dict[str, Any], Sequence[AnyTrace], Mapping[str, Any]]
"""Columns that tell a setting from others, its samples, and its keys."""


def _samples(
    given: Sequence[AnyTrace | str | Path], timesteps: int | None
) -> Sequence[AnyTrace] | Callable[[int], list[AnyTrace]]:
    """Samples; of a network those that spikes are generated for, given by what channels are divided by."""
    [first, *others] = given
    if not others and isinstance(first, str | Path) and _names_network(Path(first)):
        network = load_network(first)
        points = timesteps or network.timesteps
        return lambda divisor: [generated_trace(narrowed(network, divisor), points, SEED)]
    if timesteps is not None:
        raise ConfigError(
            "is of a network that spikes are generated for; traces have their own", field="timesteps"
        )
    return as_traces(given)


def _names_network(path: Path) -> bool:
    return not path.is_dir() and path.suffix.lower() not in SUFFIXES


def _cases(
    samples: Sequence[AnyTrace] | Callable[[int], list[AnyTrace]], name: str, chosen: Study
) -> Iterator[Case]:
    traces = samples if isinstance(samples, Sequence) else samples(1)
    if name == "timesteps":
        chains = as_chains(traces, "a study of time points")
        for count in (one for one in TIMESTEPS if one <= chains[0].timesteps):
            yield {"first": count}, [one.first(count) for one in chains], {}
    elif name == "keys":
        for step in chosen.steps:
            key = next(iter(step), "")
            yield {"key": key, "value": step.get(key, "")}, traces, step
    elif name == "sharing":
        for step in chosen.steps:
            yield {"channels_divided_by": 1, **step}, traces, step
        if not isinstance(samples, Sequence):
            for divisor in NARROWER[1:]:
                yield {"channels_divided_by": divisor, "lif_sharing": 1}, samples(divisor), {}
    else:
        yield from ((dict(step), traces, step) for step in chosen.steps)


def _machine(arch: str | Path | Accelerator, overrides: Mapping[str, Any]) -> CrossbarOptions:
    made = load_accelerator(arch, overrides)
    if not isinstance(made, CrossbarOptions) or made.imc.model != "events":
        raise ConfigError("has no crossbars that replay events; name a machine that has, such as spikesim",
                          where=made.name)  # fmt: skip
    return made


def _right(answers: Sequence[tuple[int | None, int | None]]) -> float | None:
    if any(label is None or answer is None for label, answer in answers):
        return None
    return sum(label == answer for label, answer in answers) / len(answers)
