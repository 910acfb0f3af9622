"""Every figure that a layer, a sample or a run reports: name, unit, meaning, and where it is written.

`results.json`, `layers.csv`, `accesses.csv`, `sweep.csv` and the glossary follow from this list; a figure is
the attribute of its name of a :class:`spikex_sim.run.tally.Costs`, or of what is moved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spikex_sim.core.counts import MOST
from spikex_sim.core.frozen import FrozenMap
from spikex_sim.costs.areas import on_chip

RUN, LAYERS, TOTALS, SAMPLES = "run", "layers", "totals", "samples"
"""Places in `results.json`: the top level, `layers[]`, `totals` and `samples[]`."""
LAYERS_CSV, ACCESSES_CSV, SWEEP_CSV = "layers.csv", "accesses.csv", "sweep.csv"
"""Tables."""
SPREAD_CSV = "spread of sweep.csv"
"""Columns of `sweep.csv` that are of a run rather than of its totals."""
SUMS = (TOTALS, SAMPLES)
JSON = (LAYERS, *SUMS)
LAYER = (LAYERS, LAYERS_CSV)
ALL = (*JSON, LAYERS_CSV, SWEEP_CSV)
TOTAL = (*SUMS, SWEEP_CSV)
OUTCOME = (SAMPLES,)
TOP = (RUN,)
ACCESS = (ACCESSES_CSV,)

Parts = Mapping[str, str | tuple[str, str]]
"""Keys of a mapping, each with its meaning, or meaning and formula."""


@dataclass(frozen=True)
class Field:
    """A figure, or a mapping of figures by component, cause or tensor.

    Attributes
    ----------
    name : str
        Key in results, attribute, and column where ``column`` does not say.
    kind : {"count", "number", "text", "any"}
        Whole number from 0 that a counter holds, finite number from 0, text; or whatever JSON holds.
    unit, meaning, formula : str
        As in the glossary.
    places : tuple of str
        Where it is written.
    of_some : bool
        Whether only some layers or machines have it, and others leave it out.
    later : bool
        Whether results of this schema that were saved before there was such a figure are read without.
    optional : bool
        Whether it may be null: not known, or without meaning.
    parts : mapping, optional
        Of a mapping: keys that every machine has. A machine may have others.
    others : mapping, optional
        Keys that only some machines have, but every table has columns for.
    column : str
        Name in tables; of a mapping with ``{}`` for the key.
    derived : callable, optional
        What tables have in it of costs, where these have no such attribute.
    """

    name: str
    kind: Literal["count", "number", "text", "any"]
    unit: str
    meaning: str
    formula: str = ""
    places: tuple[str, ...] = ALL
    optional: bool = False
    of_some: bool = False
    later: bool = False
    parts: Parts | None = None
    others: Parts = field(default_factory=FrozenMap)
    column: str = ""
    derived: Callable[[Any], Any] | None = None

    def of(self, costs: Any) -> Any:
        """Value of costs; None where only others have it."""
        if self.derived is not None:
            return self.derived(costs)
        return getattr(costs, self.name, None) if self.of_some else getattr(costs, self.name)

    def columns(self, value: Any = None) -> dict[str, Any]:
        """Columns of tables, with the cells of a value; of a mapping also those of keys it lacks."""
        if self.parts is None:
            return {self.column or self.name: value}
        nothing = None if self.optional else 0
        cells = dict.fromkeys((*self.parts, *self.others), nothing) | dict(value or {})
        return {self.column.format(key): cell for key, cell in cells.items()}

    def has_column(self, column: str) -> bool:
        """Whether a column of a table is of this field."""
        if self.parts is None:
            return column == (self.column or self.name)
        before, after = self.column.split("{}")
        return column.startswith(before) and column.endswith(after)

    def admits(self, value: Any) -> bool:
        """Whether a value is of the field's kind."""
        if self.parts is None:
            return self.admits_cell(value)
        return isinstance(value, Mapping) and all(map(self.admits_cell, _leaves(value)))

    def admits_cell(self, value: Any) -> bool:
        """Whether a value is of the field's kind; of a mapping, one of its values."""
        if value is None or isinstance(value, bool):
            return self.kind == "any" or (value is None and self.optional)
        number = isinstance(value, int | float) and 0 <= value <= sys.float_info.max
        return {
            "count": isinstance(value, int) and 0 <= value <= MOST, "number": number,
            "text": isinstance(value, str), "any": True,
        }[self.kind]  # fmt: skip


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value


SPREAD: Parts = {
    "cycles": "mean of a sample's cycles",
    "seconds": "of its latency",
    "energy_pj": "of its energy",
    "energy_on_chip_pj": "of its energy without DRAM",
    "edp_js": "of its energy-delay product: the mean of products, not the product of means",
}
"""Figures of which a run has the mean and the standard deviation over its samples."""


def _absent_names(costs: Any) -> str:
    return "/".join(on_chip(costs.area_absent))


def _imc_cycles(costs: Any) -> dict[str, int] | None:
    """Cycles of ``imc`` side by side, 0 of pooling; None of machines without crossbars."""
    if getattr(costs, "energy_by_level_pj", None) is None:
        return None
    found = getattr(costs, "imc", None)
    return {} if found is None else {**found["stalls"], "busy": found["busy"]}


ALIASES: Mapping[str, str] = FrozenMap({"edp": "edp_js", "edap": "edap_js_mm2"})
"""Short names of columns, for those who name columns."""

FIELDS = (
    Field("schema", "count", "", "version of this layout, now 2", places=TOP),
    Field("version", "text", "", "version of the simulator", places=TOP),
    Field("versions", "text", "", "versions of what computed it", places=TOP, parts={
        "python": "version of Python",
        "numpy": "version of NumPy",
        "numba": "version of Numba, which compiles the kernels",
        "spikex_sim": "same as `version`",
        "simpy": "version of SimPy, which the event engine uses",
        "commit": "commit of the program, with `-dirty` where its checkout was changed; `unknown` without "
                  "a checkout, unless the installer noted it",
        "source_sha256": "hash of the program's sources, presets and energy tables, the same wherever "
                         "these are",
    }),
    Field("timestamp", "text", "",
          "when the run ended, UTC; the only key that differs between equal runs on one machine", places=TOP),
    Field("arch", "text", "", "name of the accelerator, `config.name`", places=TOP),
    Field("engine", "text", "", "memory engine, `fast` or `event`", places=TOP),
    Field("config", "any", "", "the complete configuration: every key of [configuration](configuration.md)",
          places=TOP, parts={}),
    Field("trace", "any", "", "what was replayed", places=TOP, parts={
        "name": "name of the trace; of a folder, the first one and how many more",
        "sha256": "hash of the trace file, of a trace made in memory its content; of several, hash of their "
                  "hashes in order",
        "timesteps": "time points `T`",
        "samples": "number of samples",
        "source": "where the spikes come from, as the (first) trace says",
        "nodes": "the network, what enters and every layer: `name`, `kind`, `carries` and `shape` of what it "
                 "gives, `sources`: places in this list of what it takes",
    }),
    Field("energy_sources", "text", "", "rows behind prices, leakage and areas", places=TOP, parts={
        "dram": "source and derivation of the DRAM energy",
        "glb": "of the GLB's energies, leakage and area",
        "lbuf": "of the LBUF's energies, leakage and area",
        "rf": "of a register bit, or of the RF as a scratchpad",
        "accumulate": "of an addition, integer datapath",
        "comparator": "of a comparison, integer datapath",
        "leak": "of a leak, integer datapath",
        "int_multiply": "of a multiplication, integer datapath",
        "float_add": "of an addition, float datapath",
        "float_comparator": "of a comparison, float datapath",
        "float_leak": "of a leak (a multiplication), float datapath",
        "PART.ACTION": "of each row that was used: of parts of an array that issues NTWUs, `gates.csv`; of "
                       "crossbars, `imc.csv`",
    }),
    Field("totals", "any", "", "sums over layers and samples, one after the other, keys below", places=TOP),
    Field("layers", "any", "", "one entry a layer, pooling layers with zero costs, keys below", places=TOP),
    Field("mean", "number", "", "mean over the samples", places=(*TOP, SPREAD_CSV), column="mean_{}",
          parts=SPREAD),
    Field("sd", "number", "", "standard deviation over the samples, with n - 1; null of a single one",
          places=(*TOP, SPREAD_CSV), optional=True, column="sd_{}",
          parts={key: f"standard deviation of `{key}`, with n - 1; null of one sample" for key in SPREAD}),
    Field("timesteps", "count", "time points", "`trace.timesteps`", places=(SPREAD_CSV,), of_some=True),
    Field("accuracy", "number", "fraction", "samples whose `prediction` is their `label`; no column where "
          "samples have no label", places=(SPREAD_CSV,), of_some=True),
    Field("software_accuracy", "number", "fraction", "the same of `software_prediction`, on a crossbar "
          "machine", places=(SPREAD_CSV,), of_some=True),
    Field("samples", "any", "", "one entry a sample, the keys of `totals` and those below", places=TOP),
    Field("name", "text", "", "as in the trace; of a sample that its trace has several of, with its number",
          places=(*LAYER, *OUTCOME)),
    Field("label", "number", "", "class, if the trace says so; else null", places=OUTCOME, optional=True),
    Field("prediction", "count", "", "output channel of the last conv or linear layer with the most spikes, "
          "or largest summed currents, the lowest of several; null where they are not computed: without "
          "weights, and in an ANN",
          places=OUTCOME, optional=True),
    Field("software_prediction", "count", "", "the same of exact sums, on a crossbar machine", places=OUTCOME,
          optional=True, of_some=True),
    Field("kind", "text", "", "`conv`, `linear`, `maxpool` or `avgpool`; of nodes of graphs also `neurons`, "
          "`currents`, `join` and `matmul`", places=LAYER),
    Field("tws", "count", "time points", "window size; null for pooling", places=LAYER, optional=True),
    Field("mode", "text", "", "`temporal` or `spatial`, `mixed` where the parts of a node differ; null for "
          "PTB and pooling", places=LAYER,
          optional=True),
    Field("datapath", "text", "", "`int` (int8 weights) or `float` (float32); null for pooling",
          places=(LAYERS,), optional=True),
    Field("cycles", "count", "cycles", "duration; layers run one after the other",
          "`compute_cycles` + stalls"),
    Field("compute_cycles", "count", "cycles", "array busy: integration, update, skew", "Σ over tiles"),
    Field("stalls", "count", "cycles", "cycles in which the array waits", column="stall_{}_cycles", parts={
        "dram": "the array waits for a fetch from DRAM",
        "glb": "waits for a load from the GLB",
        "lbuf": "steps held up by the LBUF's array-side ports",
        "drain": "waits for outputs to leave, also at the layer's end",
    }, others={
        "recurrence": "between runs: waits until outputs are there that come back as inputs",
    }),
    Field("busy", "count", "cycles", "cycles that a resource needs by itself, at its own width",
          places=JSON, parts={
        "array": "the PE array: `compute_cycles`",
        "dram": "the DRAM channel, fetches and writes",
        "glb_dram": "the GLB's port to DRAM, for the same bits",
        "glb_array": "the GLB's port to the LBUF; to the array where there is no LBUF",
        "lbuf_glb": "the LBUF's port to the GLB, for the same bits",
        "lbuf_array": "the LBUF's ports to the array; reads and writes at once count once",
    }),
    Field("batches", "count", "", "batches issued, over all row groups"),
    Field("ntwus", "count", "", "NTWUs active by their tag, one per neuron and window; PTB issues more",
          "`M` × active (position, window) pairs"),
    Field("streamed_taps", "count", "", "taps streamed, over all batches of all row groups",
          "Σ over batches of their taps"),
    Field("accumulations", "count", "", "weights added",
          "rows in use × set spike bits over columns and taps"),
    Field("lif_updates", "count", "", "updates of potentials, padded time points included",
          "issued NTWUs × `TWS`"),
    Field("comparisons", "count", "", "comparisons with the threshold", "= `lif_updates`",
          (*JSON, LAYERS_CSV)),
    Field("multiplications", "count", "", "products of a weight and a number: an activation "
          "(ANN), an analog input or a sum of currents",
          places=(*JSON, LAYERS_CSV)),
    Field("leak_catchups", "count", "", "skipped windows whose leak was caught up, one per neuron and window",
          places=(*JSON, LAYERS_CSV)),
    Field("dense_accumulations", "count", "",
          "additions if every input spiked always, padding of the map included", "`M` × `P` × taps × `T`",
          (*JSON, LAYERS_CSV)),
    Field("utilization", "number", "fraction",
          "**PE use**: PEs that hold an NTWU of the running batch, adding or not",
          "Σ over batches (rows × columns in use × batch cycles) / (`cycles` × PEs)"),
    Field("add_utilization", "number", "fraction", "**add use**: PEs that add a weight; null on crossbars, "
          "whose PEs add many at once", "`accumulations` / (`cycles` × PEs)", optional=True),
    Field("array_words", "count", "words", "words that cross the edge of a dense array", places=JSON, parts={
        "ifmap": "of the ifmap matrix that cross the edge of a [dense array](accelerators/systolic.md), "
                 "SCALE-Sim's SRAM counts; 0 on machines that skip",
        "filter": "likewise, of the filter matrix",
        "ofmap": "likewise, of outputs and partial sums",
    }),
    Field("accesses", "count", "bits", "bits moved by level and tensor", places=JSON, parts={
        "LEVEL.TENSOR.read_bits": "read from a level",
        "LEVEL.TENSOR.write_bits": "written to a level",
    }),
    Field("seconds", "number", "s", "latency", "`cycles` / clock"),
    Field("energy_pj", "number", "pJ", "dynamic energy with DRAM", "Σ of `energy_pj_by`"),
    Field("energy_on_chip_pj", "number", "pJ", "without DRAM", "`energy_pj` − DRAM"),
    Field("energy_by_level_pj", "number", "pJ", "dynamic energy of a crossbar machine by what other machines "
          "have", of_some=True, column="energy_{}_pj", parts={
        "alu": "of a crossbar machine: crossbars, converters, adders, updates",
        "rf": "PBs, the buffers of sums in PEs",
        "lbuf": "PIBs, TIBs, TBs, H-trees",
        "glb": "GB, network on chip, potentials and kept currents",
        "dram": "0: weights stay in their cells",
    }),
    Field("energy_pj_by", "number", "pJ", "dynamic energy by component", column="energy_{}_pj", parts={
        "alu": ("arithmetic", "`accumulations` × add + `lif_updates` × (leak + compare)"),
        "rf": ("registers", "Σ bits × energy per bit"),
        "lbuf": ("LBUF", "Σ bits / port width × energy per access"),
        "glb": ("GLB", "likewise, at its LBUF-side port"),
        "dram": ("DRAM", "Σ bits × energy per bit; weights × share of `memory.dram.weights`"),
    }),
    Field("energy_by_use_pj", "number", "pJ", "dynamic energy by what it is spent for",
          places=(*JSON, LAYERS_CSV), column="energy_{}_pj", parts={
        "alu": ("additions, leaks and comparisons", "= ALU component"),
        "weights": "accesses to `filter`, all levels",
        "spikes": "accesses to `ifmap`, `ofmap` and `tag`",
        "potentials": "accesses to `psum`: partial sums and potentials",
    }),
    Field("leakage_pj", "number", "pJ", "leakage, in no other energy", column="leakage_{}_pj", parts={
        "glb": ("GLB leakage; in no other energy", "leakage power × duration"),
        "lbuf": ("LBUF leakage; likewise", "leakage power × duration"),
    }, others={
        "rf": "of the RFs, with `memory.rf.bytes`",
        "pe": "of the PEs, where the energy table has it",
    }),
    Field("edp_js", "number", "Js",
          "energy-delay product, DRAM included; a run's is not the sum of its layers'",
          "dynamic energy in J × `seconds`"),
    Field("estimate_pj", "number", "pJ", "the estimate that papers print "
          "([studies](studies.md#the-estimate-that-papers-print)); null in an ANN",
          "Σ over layers of `dense_accumulations` × `input_spikes` / (inputs × `T`) × energy of an addition",
          optional=True),
    Field("estimate_factor", "number", "",
          "simulated over estimated energy; null without an estimate above 0", "`energy_pj` / `estimate_pj`",
          SUMS, optional=True),
    Field("estimate_factor_on_chip", "number", "", "the same without DRAM",
          "`energy_on_chip_pj` / `estimate_pj`", SUMS, optional=True),
    Field("power_mw", "number", "mW", "mean dynamic power, DRAM included", "energy / time", TOTAL),
    Field("tops", "number", "1e12 / s", "additions that were done", "`accumulations` / `seconds`", TOTAL),
    Field("tops_dense", "number", "1e12 / s",
          "the same work as a dense accelerator would count it; no hardware does so many",
          "`dense_accumulations` / `seconds`", TOTAL),
    Field("tops_per_watt", "number", "1e12 / (s W)", "additions per energy, DRAM included",
          "`accumulations` / `energy_pj`", TOTAL),
    Field("area_mm2", "number", "mm²", "area of the parts whose area is known, and of no other "
          "([how far to trust it](energy.md#area)); null if none is", "Σ of `area_mm2_by`", TOTAL,
          optional=True),
    Field("edap_js_mm2", "number", "Js mm²", "energy-delay-area product, of the area that is known; null "
          "without", "`edp_js` × `area_mm2`", TOTAL, optional=True, later=True),
    Field("area_mm2_by", "number", "mm²", "area by part", places=TOTAL, optional=True,
          column="area_{}_mm2", parts={
        "glb": ("area of the GLB, of separate memories together; source: `energy_sources.glb`",
                "row of the energy table"),
        "lbuf": ("area of the LBUF; source: `energy_sources.lbuf`", "likewise"),
        "pe": ("area of the PEs of SpikeX and PTB, as synthesised, their registers included",
               "PEs × `pe.area` at TWS and `psum_bits` × (node / 32 nm)²"),
        "lif": ("of their LIF units", "units × `lif.area` at TWS and `potential_bits` × (node / 32 nm)²"),
    }, others={"rf": "of the RFs of all PEs, with `memory.rf.bytes`"}),
    Field("area_absent", "text", "", "parts whose area is not in `area_mm2`, by name, and why: off chip, not "
          "synthesised, not in the energy table, or not charged", places=SUMS, later=True, parts={}),
    Field("area_parts_absent", "text", "", "names of the parts of `area_absent` that are on the chip, "
          "separated by `/`", places=(SWEEP_CSV,), derived=_absent_names),
    Field("input_spikes", "count", "", "spikes that entered", places=LAYER, optional=True),
    Field("output_spikes", "count", "",
          "spikes emitted; totals: by neurons, pooling apart; null where weights are missing", optional=True),
    Field("output_sha256", "text", "", "hash of the packed output spikes in the trace's layout; several "
          "samples: of all one after the other; null without weights", places=LAYER, optional=True),
    Field("mismatched_spikes", "count", "", "where the recorded input differs from what the layer before "
          "produced (of a graph: the recorded output from what the node did); null unless both are "
          "known", places=LAYER, optional=True),
    Field("mismatched_values", "count", "", "likewise, of currents; left out where none are recorded",
          places=(LAYERS,), optional=True, of_some=True),
    Field("changed_spikes", "count", "", "output spikes of a crossbar machine that differ from those of "
          "exact sums; 0 with ideal arrays", places=(*JSON, SWEEP_CSV), optional=True, of_some=True),
    Field("imc", "any", "", "what a crossbar machine does, and when ([crossbars](imc.md))", places=JSON,
          optional=True, of_some=True, parts={
        "counts": "counts, by the names of [the text on crossbars](imc.md#2-counts-and-energy)",
        "energy_pj": "energy by component, pJ",
        "stalls": "cycles on the critical path: `noc_in` spikes in, `noc_out` sums out, `lif` updates",
        "start": "cycle in which the layer's first activity begins; null where samples differ",
        "end": "cycle in which its last one ends; likewise",
        "busy": "cycles that its PEs compute, whatever other layers do",
    }),
    Field("imc_cycles", "count", "cycles", "of a crossbar machine", places=(LAYERS_CSV, SWEEP_CSV),
          of_some=True, derived=_imc_cycles, column="imc_{}_cycles", parts={
        "noc_in": "`imc.stalls.noc_in`",
        "noc_out": "`imc.stalls.noc_out`",
        "lif": "`imc.stalls.lif`",
        "busy": "`imc.busy`",
    }),
    Field("area_um2", "number", "µm²", "area of a crossbar machine by component", places=SUMS, optional=True,
          of_some=True, parts={}),
    Field("tops_per_mm2", "number", "1e12 / (s mm²)", "additions per second and area of a crossbar machine",
          "`tops` / `area_mm2`", SUMS, optional=True, of_some=True),
    Field("steps", "count", "", "units of time-keeping", places=(*JSON, LAYERS_CSV)),
    Field("mapping", "any", "", "loop order, sizes and residency", places=(LAYERS,), parts={
        "order": "loops, outside in",
        "tile": "`auto`, or `layer`: one tile a row group as if all fitted",
        "positions_per_tile": "positions at most; the last tile may have fewer",
        "windows_per_tile": "windows at most, likewise",
        "tiles": "tiles over all row groups",
        "row_groups": "`M` / rows, rounded up",
        "glb_filter": "weights are loaded into the GLB `per group`, `per tile` or `per step`",
        "glb_ifmap": "spikes into the GLB `per layer` or `per tile`; or they were `kept from the layer "
                     "before`",
        "glb_ofmap": "outputs are `sent to DRAM` or `kept for the next layer` (`memory.glb.keep_ofmap`)",
        "lbuf_filter": "weights into the LBUF `per group` or `per step`",
        "lbuf_ifmap": "spikes into the LBUF, always `per step`",
    }),
    Field("held", "any", "bits", "what buffers hold between uses, or would hold if it fitted: `level`, "
          "`tensor`, `need_bits` at a time for nothing to be moved in twice, `room_bits` of its share (of "
          "one half), `once_bits` of the whole layer, `moved_bits` that are moved in, "
          "`growth_bits` that larger tiles may need on top; empty with `mapping.tile: layer`",
          places=(LAYERS,)),
    Field("layer", "text", "", "name of the layer", places=ACCESS),
    Field("level", "text", "", "`dram`, `glb`, `lbuf` or `rf`", places=ACCESS),
    Field("tensor", "text", "", "`ifmap`, `filter`, `ofmap`, `psum` or `tag`", places=ACCESS),
    Field("read_bits", "count", "bits", "read from the level", places=ACCESS),
    Field("write_bits", "count", "bits", "written to the level", places=ACCESS),
    Field("read_pj", "number", "pJ", "energy of these reads", places=ACCESS),
    Field("write_pj", "number", "pJ", "energy of these writes", places=ACCESS),
)  # fmt: skip
"""In the order in which they are written."""


def fields_in(place: str) -> Iterator[Field]:
    """Fields that are written in a place, in order."""
    return (one for one in FIELDS if place in one.places)


def entry(costs: Any, place: str) -> dict[str, Any]:
    """What a layer or totals write in a place of ``results.json``; not yet plain."""
    found = {one.name: getattr(costs, one.name) for one in fields_in(place)}
    return {
        one.name: found[one.name]
        for one in fields_in(place)
        if not one.of_some or found[one.name] is not None
    }


def cells_of(costs: Any, table: str) -> dict[str, Any]:
    """Row of a table; of breakdowns that have the same name the first counts."""
    cells: dict[str, Any] = {}
    for one in fields_in(table):
        value = one.of(costs)
        for column, cell in ({} if one.of_some and value is None else one.columns(value)).items():
            cells.setdefault(column, cell)
    return cells
