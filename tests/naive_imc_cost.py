"""The slow oracle of in-memory computing, cost part: energy, leakage, area (§2), `model: released` (§3).

Written from the text on in-memory computing alone (cited as "§n"), independently of the package and sharing
no code with it. A table is a dictionary from rows such as `cell.read` to their values.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from naive import Bools, Layer, out_size, pair
from naive_imc import Activity, Config, Mapped, clog2, counts
from naive_imc_net import Machine
from naive_imc_time import exact, pe_cycle, timed
from naive_time import ceil_div

COMPONENTS = ("crossbar", "adc", "digital", "buffers", "htree", "noc", "lif")

Table = Mapping[str, Mapping[str, float]]  # row -> {"energy_pj", "area_um2", "leakage_mw"}


def read_table(path: Path) -> dict[str, dict[str, float]]:
    """Rows of a table of energies; what is blank costs nothing."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            f"{row['component']}.{row['action']}": {
                key: float(row[key] or 0) for key in ("energy_pj", "area_um2", "leakage_mw")
            }
            for row in csv.DictReader(file)
        }


def adc_row(mapped: Mapped) -> str:
    """Row of the ADCs."""
    return f"adc_{mapped.config['imc.adc.kind']}_{mapped.adc_bits}.convert"


def amounts(n: Mapping[str, int], mapped: Mapped) -> list[tuple[str, str, int | Fraction]]:
    """Every ``(component, row, how often)`` that energy is charged for (§2)."""
    config, b_s = mapped.config, mapped.psum_bits
    slower = (20 / exact(config["imc.device.r_on_kohm"])) * (exact(config["imc.device.v_read"]) * 10) ** 2
    umem, potential_bits = f"umem_{config['imc.umem']}", int(config["potential_bits"])
    out: list[tuple[str, str, int | Fraction]] = [
        ("crossbar", "cell.read", n["cell_reads"] * slower),
        ("crossbar", "row.drive", n["row_activations"] * int(config["imc.crossbar"])),
        ("adc", adc_row(mapped), n["conversions"]),
        ("adc", "mux.switch", n["conversions"]),
        ("digital", "add.bit", n["add_bits"]),
        # §2. Reading: what signs cost belongs to `digital`, where they are counted and corrected.
        ("digital", "umem_sram.read", n["sign_bits"]),
        ("buffers", "pib.read", n["pib_read_bits"]),
        ("buffers", "pib.write", n["pib_write_bits"]),
        ("buffers", "pb.access", n["pb_bits"]),
        ("buffers", "tb.access", n["tb_bits"]),
        ("buffers", "gb.read", n["gb_read_bits"]),
        ("buffers", "gb.write", n["gb_write_bits"]),
        ("htree", "htree.up", n["htree_up_bits"]),
        ("htree", "htree.down", n["htree_down_bits"]),
        ("noc", "noc.flit_hop", n["noc_out_flit_hops"] + n["noc_in_flit_hops"]),
        ("lif", "lif.update", n["lif_updates"]),
        ("lif", f"{umem}.read", n["umem_reads"] * potential_bits),
        ("lif", f"{umem}.write", n["umem_writes"] * potential_bits),
        ("lif", "umem_sram.read", n["current_reads"] * b_s),
        ("lif", "umem_sram.write", n["current_writes"] * b_s),
    ]
    if int(config["imc.buffers.tib"]) > 0:
        out += [("buffers", "tib.read", n["tib_read_bits"]), ("buffers", "tib.write", n["tib_write_bits"])]
    return out


def energy_pj(n: Mapping[str, int], mapped: Mapped, table: Table) -> dict[str, float]:
    """Energy by component (§2); an ADC that the table does not have is refused."""
    if adc_row(mapped) not in table:
        raise ValueError(f"no row {adc_row(mapped)}: there are no ADCs of {mapped.adc_bits} bits")
    out = dict.fromkeys(COMPONENTS, 0.0)
    for component, row, amount in amounts(n, mapped):
        out[component] += float(amount) * table[row]["energy_pj"]
    return out


def umem_bits(mapped: list[Mapped]) -> int:
    """Bits of U_mem (§2, area), without the currents of a direct layer."""
    config = mapped[0].config
    words = []
    for one in mapped:
        shared = ceil_div(one.shape.M, int(config["lif_sharing"]))
        words.append(shared * (one.shape.P if config["dataflow"] == "layer" else one.shape.W_o))
    total = sum(words) if config["dataflow"] == "layer" else max(words)
    return total * int(config["potential_bits"])


def leakage_pj(mapped: list[Mapped], cycles: int, table: Table) -> float:
    """Leakage of U_mem, in banks of 8 KB (§2); 1 mW is 1 pJ/ns."""
    config = mapped[0].config
    banks = ceil_div(umem_bits(mapped), 65536)
    nanoseconds = float(cycles * 1000 / exact(config["clock_mhz"]))
    return banks * table[f"umem_{config['imc.umem']}.read"]["leakage_mw"] * nanoseconds


def area_um2(mapped: list[Mapped], T: int, direct: bool, table: Table) -> dict[str, float]:
    """Area by component (§2).

    Reading: a chip has room for the currents of a direct layer where any sample is direct. A counter of signs
    (§2) counts up to all rows of a crossbar, or of a PE with `sharing: pe`; there is one for every weight's
    columns of every crossbar (PE), and a plane has a bit for every weight that the network has.
    """
    config = mapped[0].config
    X, B = int(config["imc.crossbar"]), int(config["imc.crossbars_per_pe"])
    per_pe = config["imc.adc.sharing"] == "pe"
    banks_per_pe = 1 if per_pe else B
    n_adc = ceil_div(X, int(config["imc.adc.mux"]))
    n_pe = sum(one.n_pe for one in mapped)
    n_tiles = sum(len(one.tiles) for one in mapped)

    def um2(row: str) -> float:
        return table[row]["area_um2"]

    adder_bits = 0
    for one in mapped:
        per_adc = one.adc_bits + one.S * int(config["imc.device.bits"]) + 1
        adder_bits += one.n_pe * banks_per_pe * n_adc * per_adc
        wide = one.channels_per_crossbar * one.psum_bits
        adder_bits += len(one.tiles) * wide + (0 if per_pe else one.n_pe * wide)
    sign_bits = 0
    if config["imc.sign_plane"] == "charged" and config["imc.encoding"] in ("twos", "sign_offset"):
        for one in mapped:
            rows = B * X if per_pe else X
            adder_bits += one.n_pe * banks_per_pe * one.channels_per_crossbar * clog2(rows + 1)
            sign_bits += one.shape.M * one.shape.C * one.shape.K
    points = 2 if config["dataflow"] == "layer" else T
    spike_bits = sum(one.shape.C * one.shape.H * one.shape.W for one in mapped) * points
    size = {key: 8 * int(config[f"imc.buffers.{key}"]) for key in ("gb", "tb", "pb", "tib", "pib")}
    lif_units = ceil_div(int(config["imc.lif_units"]), int(config["lif_sharing"]))
    first = mapped[0]
    currents = first.shape.M * first.shape.P * first.psum_bits if direct else 0
    return {
        "crossbar": n_pe * B * X * X * um2("cell_1t1r.read"),
        "adc": n_pe * banks_per_pe * n_adc * (um2(adc_row(first)) + um2("mux.switch")),
        "digital": adder_bits * um2("add.bit")
        + n_tiles * (ceil_div(X, 8) * um2("diff.op") + um2("temp.tile"))
        + sign_bits * um2("umem_sram.read"),
        "buffers": n_pe * (size["pb"] * um2("pb.access") + size["pib"] * um2("pib.read"))
        + n_tiles * (size["tb"] * um2("tb.access") + size["tib"] * um2("tib.read"))
        + size["gb"] * um2("gb.read")
        + spike_bits * um2("spikes.bit"),
        "htree": n_pe * um2("htree.up"),
        "noc": n_tiles * um2("noc.flit_hop"),
        "lif": umem_bits(mapped) * um2(f"umem_{config['imc.umem']}.read")
        + currents * um2("umem_sram.read")
        + len(mapped) * lif_units * um2("lif.update"),
    }


def costs(machine: Machine, samples: list[list[Bools]], table: Table) -> dict[str, Any]:
    """What samples cost, one after the other, given the spikes that enter every layer in each.

    Returns
    -------
    dict
        ``cycles``, ``leakage_pj``, ``area_um2``, and ``layers``: each with ``counts``, ``energy_pj`` by
        component, ``utilization``, and the sums of what `naive_imc_time.timed` gives (``start`` and ``end``
        are those of the last sample, within it).
    """
    mapped = machine.mapped
    total, direct = 0, False
    n = [Counter[str]() for _ in mapped]
    time: list[dict[str, Any]] = [{} for _ in mapped]
    for entering in samples:
        for index, (one, spikes) in enumerate(zip(mapped, entering, strict=True)):
            activity = Activity(one, spikes, first=index == 0)
            direct = direct or activity.direct
            n[index].update(counts(activity))
        of_sample = timed(machine, entering)
        total += of_sample["cycles"]
        for index, new in enumerate(of_sample["layers"]):
            old = time[index]
            time[index] = new | {
                key: old.get(key, 0) + new[key] for key in ("cycles", "compute_cycles", "busy")
            }
            stalls = old.get("stalls", {})
            time[index]["stalls"] = {key: stalls.get(key, 0) + value for key, value in new["stalls"].items()}
    layers = [
        {
            "counts": dict(n[index]),
            "energy_pj": energy_pj(n[index], one, table),
            "utilization": n[index]["pe_reads"] * pe_cycle(one) / (total * one.n_pe),
            **time[index],
        }
        for index, one in enumerate(mapped)
    ]
    T = samples[0][0].shape[-1]
    return {
        "cycles": total,
        "leakage_pj": leakage_pj(mapped, total, table),
        "area_um2": area_um2(mapped, T, direct, table),
        "layers": layers,
    }


# model: released (§3) --------------------------------------------------------------------------------------


def released_shapes(layers: list[Layer], config: Config) -> list[dict[str, int]]:
    """``C, M, Hi, Ho, k`` of every convolution.

    Reading: a side is the height; the pooling that follows is every pooling layer right behind it.
    """
    out = []
    for index, layer in enumerate(layers):
        if layer["kind"] != "conv":
            continue
        side = out_size(layer, int(layer["in_height"]), int(layer["in_width"]))[0]
        for pool in layers[index + 1 :]:
            if config["imc.released_dims"] == "conv" or pool["kind"] not in ("maxpool", "avgpool"):
                break
            side = out_size(pool, int(pool["in_height"]), int(pool["in_width"]))[0]
        C, M, Hi = (int(layer[key]) for key in ("in_channels", "out_channels", "in_height"))
        out.append({"C": C, "M": M, "Hi": Hi, "Ho": side, "k": pair(layer["kernel"])[0]})
    return out


def released(shapes: list[dict[str, int]], T: int, config: Config) -> dict[str, Any]:
    """What the script prints (§3, `model: released`)."""
    X, per_tile = int(config["imc.crossbar"]), int(config["imc.pes_per_tile"])
    g, k = X / 8, shapes[0]["k"]
    e_xbar = {"rram": 1.76423, "sram": 671.089}[config["imc.device.kind"]]
    a_xbar = {"rram": 26.2144, "sram": 671.089}[config["imc.device.kind"]]
    factor = 1
    if config["imc.precision_factor"]:
        factor = ceil_div(int(config["weight_bits"]), int(config["imc.device.bits"]))
    n = [ceil_div(one["C"], X) * ceil_div(one["M"], X) * factor for one in shapes]
    e_cycle = (
        157.12
        + 4.64
        + 5.096
        + g * (k**2 * e_xbar + g * (2.03084 + 0.094245))
        + 16 * g * 1.15e-6
        + 0.2 * g
        + 397
    )
    layers = [T * n_l * one["Ho"] ** 2 * e_cycle for n_l, one in zip(n, shapes, strict=True)]
    n_tiles = ceil_div(sum(n), per_tile)
    pe = k**2 * a_xbar + g * (693.633 + 45.9)
    tile = 13411.41498 * g + 484.643999 + 6054.7072 + per_tile * pe + 433660
    spikes = sum(one["C"] * one["Hi"] ** 2 for one in shapes)
    potentials = sum(one["M"] * one["Ho"] ** 2 for one in shapes[:5])
    out = [one["M"] * one["Ho"] ** 2 for one in shapes]
    cycles = 26 * T * (sum(3 * of // 4 for of in out[:-1]) + out[-1])
    return {
        "pes": sum(n),
        "tiles": n_tiles,
        "energy_pj": sum(layers),
        "energy_layers_pj": layers,
        "area_um2": n_tiles * tile + 16.2602 * (spikes + potentials),
        "cycles": cycles,
        "latency_ns": cycles * 1000 / float(config["clock_mhz"]),
    }
