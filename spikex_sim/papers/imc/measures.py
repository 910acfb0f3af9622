"""From the studies' rows to the published numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise, product

from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.papers.imc.studies import CALTECH_SIDE, CIFAR_SIDE, Rows

Tables = Mapping[str, Rows]
"""Rows of each study, by name."""
TINY, SMALL = "vgg16-tinyimagenet", "vgg16-cifar10"
MEAN_POINTS = 2.14
"""Time points that dynamic time steps need in the mean (Bhattacharjee et al., Section IV)."""
LOST = 0.02
"""Share of the samples that counts as none lost: of 100 recordings, about one standard deviation."""


def only(rows: Rows, column: str, **where: object) -> float:
    """The number in a column of the only row that matches, as text too: tables come from files as well."""
    found = [
        row[column] for row in rows if all(str(row.get(key)) == str(value) for key, value in where.items())
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows with {where}, not one")
    return float(found[0])


def edp(rows: Rows, timesteps: int) -> float:
    """Energy times latency of VGG-16 on Tiny ImageNet."""
    where = {"network": TINY, "timesteps": timesteps}
    return only(rows, "energy_pj", **where) * only(rows, "seconds", **where)


def edp_ratio(rows: Rows) -> float:
    """EDP of four time points over that of one."""
    return edp(rows, 4) / edp(rows, 1)


def energy_steps(rows: Rows) -> list[float]:
    """Energy that each time point adds, over the mean of them, from the second on."""
    energy = [only(rows, "energy_pj", network=TINY, timesteps=points) for points in (1, 2, 3, 4)]
    steps = [after - before for before, after in pairwise(energy)]
    return [step * len(steps) / sum(steps) for step in steps]


def is_linear(rows: Rows) -> float:
    """1 if no time point adds 2 % more or less than the mean."""
    return float(max(abs(step - 1) for step in energy_steps(rows)) <= 0.02)


def outside_lif(rows: Rows) -> float:
    """Share of all but LIF in the energy, %."""
    where = {"network": SMALL, "side": CIFAR_SIDE}
    return 100 * (1 - only(rows, "energy_lif_pj", **where) / only(rows, "energy_pj", **where))


def exit_gains(rows: Rows) -> tuple[float, float]:
    """Least and largest EDP gain of exits whose mean is the published one: at 1 and 4, and at 2 and 3."""

    def gain(early: int, late: int) -> float:
        share = (late - MEAN_POINTS) / (late - early)
        return edp(rows, 4) / (share * edp(rows, early) + (1 - share) * edp(rows, late))

    return gain(1, 4), gain(2, 3)


def nearest_exit_gain(rows: Rows) -> float:
    """The published gain if it lies between the two, else the nearer of them."""
    least, largest = exit_gains(rows)
    return min(max(2.54, least), largest)


def lif_share(rows: Rows, **where: object) -> float:
    """Share of LIF with its potentials in the area, %."""
    return 100 * only(rows, "area_lif_mm2", **where) / only(rows, "area_mm2", **where)


def lif_shares(rows: Rows) -> list[float]:
    """The same for pictures of 32, 48 and 64 pixels."""
    return [
        *(lif_share(rows, network=SMALL, side=side) for side in (CIFAR_SIDE, CALTECH_SIDE)),
        lif_share(rows, network=TINY, timesteps=4),
    ]


def shared_area(rows: Rows, channels: int) -> float:
    """LIF area without sharing over that with so many channels a unit."""
    return only(rows, "area_lif_mm2", lif_sharing=1) / only(rows, "area_lif_mm2", lif_sharing=channels)


def narrowed_area(rows: Rows) -> float:
    """LIF area over that with an eighth of the channels in the first layer."""
    return only(rows, "area_lif_mm2", divided_by=1) / only(rows, "area_lif_mm2", divided_by=8)


def umem(_: Rows, *, area: bool) -> float:
    """Area of a bit in SRAM over FeFETs, or energy of writing one in FeFETs over SRAM."""
    table = CrossbarTable.load("imc65")
    if area:
        return table.area_um2("umem_sram", "read") / table.area_um2("umem_fefet", "read")
    return table.energy_pj("umem_fefet", "write") / table.energy_pj("umem_sram", "write")


def adc_bits_needed(rows: Rows) -> float:
    """Fewest bits of a converter that lose no sample, for cells of 4 bits."""
    mine = [row for row in rows if row["imc.device.bits"] == 4]
    return float(min(row["imc.adc.bits"] for row in mine if row["accuracy"] >= row["software_accuracy"]))


def best_device(rows: Rows) -> float:
    """Bits of a cell with the least product of energy and area."""
    mine = [row for row in rows if row.get("device_bits")]
    return float(min(mine, key=lambda row: row["energy_pj"] * row["area_mm2"])["device_bits"])


def of_cases(rows: Rows, start: str, column: str) -> list[float]:
    """A column of the cases whose names begin so, in order."""
    return [float(row[column]) for row in rows if row["case"].startswith(start)]


def moves(rows: Rows, start: str, column: str, *, up: bool) -> float:
    """1 if a column only rises, or only falls, over the cases."""
    values = of_cases(rows, start, column)
    return float(all((after > before) if up else (after < before) for before, after in pairwise(values)))


def right(rows: Rows, **where: object) -> float:
    """Samples that are right, %."""
    return 100 * only(rows, "accuracy", **where)


def by_r_on(rows: Rows) -> list[float]:
    """Samples that are right at each resistance without adaptation, %."""
    mine = sorted(
        (row for row in rows if row["imc.adapt"] == "none"), key=lambda row: row["imc.device.r_on_kohm"]
    )
    return [100 * row["accuracy"] for row in mine]


def r_on_needed(rows: Rows) -> float:
    """Least resistance that loses no more than :data:`LOST`."""
    mine = [row for row in rows if row["imc.adapt"] == "none"]
    return float(
        min(row["imc.device.r_on_kohm"] for row in mine if row["accuracy"] >= row["software_accuracy"] - LOST)
    )


def encoding_gain(rows: Rows) -> float:
    """Points that sign_offset with flags gains on two's complement."""
    best = right(rows, **{"imc.encoding": "sign_offset", "imc.complement": True})
    return best - right(rows, **{"imc.encoding": "twos", "imc.complement": False})


def adapted_loss(rows: Rows) -> float:
    """Points that are lost with adapted batch norms; less than 0 where some are gained."""
    where = {"imc.adapt": "channel", "imc.crossbar": 64}
    return 100 * only(rows, "software_accuracy", **where) - right(rows, **where)


def adaptation(rows: Rows, size: int) -> tuple[float, float, float]:
    """Samples that are right without and with adaptation, and of exact sums, %."""
    plain, adapted = ({"imc.adapt": name, "imc.crossbar": size} for name in ("none", "channel"))
    return right(rows, **plain), right(rows, **adapted), 100 * only(rows, "software_accuracy", **plain)


def recovers(rows: Rows, size: int) -> float:
    """1 if adapted batch norms gain samples, and lose no more than :data:`LOST`."""
    before, after, exact = adaptation(rows, size)
    return float(before < after >= exact - 100 * LOST)


def by_timesteps(rows: Rows) -> list[float]:
    """Samples that are right after so many time points, %."""
    return [100 * row["accuracy"] for row in sorted(rows, key=lambda row: row["first"])]


Measure = tuple[str, Callable[[Rows], float]]
"""Study that a number is read from, and how."""


def _measures() -> dict[str, Measure]:
    found: dict[str, Measure] = {}
    columns = {
        "energy": "energy_pj",
        "area": "area_um2",
        "latency": "latency_ns",
        "pes": "pes",
        "tiles": "tiles",
    }
    for name, column in columns.items():
        found[f"released-{name}"] = ("released", partial(only, column=column, case="default"))
    found["s1-edp-t4"] = ("generated", edp_ratio)
    found["s2-energy-linear"] = ("generated", is_linear)
    found["s3-mac-comm-share"] = ("generated", outside_lif)
    found["s4-dtsnn"] = ("generated", nearest_exit_gain)
    found["s6-lif-area-32"] = ("generated", lambda rows: lif_shares(rows)[0])
    found["s6-lif-area-64"] = ("generated", lambda rows: lif_shares(rows)[2])
    found["s6-lif-area-grows"] = ("generated", lambda rows: float(_rising(lif_shares(rows))))
    for channels in (2, 4):
        found[f"s8-c{channels}"] = ("generated", partial(shared_area, channels=channels))
    found["s9-channel-scaling"] = ("generated", narrowed_area)
    found["s12-umem-area"] = ("released", partial(umem, area=True))
    found["s12-write"] = ("released", partial(umem, area=False))
    found["s13-adc-for-4bit"] = ("precision", adc_bits_needed)
    found["s13-best-device"] = ("generated", best_device)
    for number, (start, column, up) in enumerate(TABLE_II, 1):
        found[f"s14-{number}"] = ("digit", partial(moves, start=start, column=column, up=up))
    found["s15-accuracy"] = ("r-on", lambda rows: float(_rising(by_r_on(rows))))
    found["s15-tops"] = ("digit", partial(moves, start="R_on", column="tops", up=False))
    found["n1-encoding"] = ("encoding", encoding_gain)
    found["n1-mac-error"] = ("mac", partial(moves, start="", column="error", up=False))
    found["n2-adapted-loss"] = ("size", adapted_loss)
    found["n3-decline"] = ("timesteps", lambda rows: float(by_timesteps(rows)[-1] < by_timesteps(rows)[0]))
    for size in (32, 64):
        found[f"n4-adapt-{size}"] = ("size", partial(recovers, size=size))
    found["n6-r-on"] = ("r-on", r_on_needed)
    found["h10-precision"] = ("released", lambda rows: only(rows, "energy_pj", case="8 bit")
                              / only(rows, "energy_pj", case="4 bit"))  # fmt: skip
    found["h12-search"] = ("released", lambda _: float(len(list(product(range(3), repeat=6)))))
    return found


TABLE_II = (
    ("bits", "adc_bits", True),
    ("bits", "psum_bits", True),
    ("bits", "crossbars", False),
    ("R_on", "noc_bits_per_cycle", False),
    ("R_on", "buffer_bits_per_cycle", False),
    ("ratio", "noc_bits_per_cycle", False),
    ("volts", "noc_bits_per_cycle", True),
)
"""Trends of Table II of Moitra et al.: beginning of the cases' names, column, and whether it rises."""


def _rising(values: list[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


MEASURES = _measures()
"""Rows to what is measured."""


def measured(name: str, tables: Tables) -> float | None:
    """Our number of a published row; None if its study was not run."""
    study, measure = MEASURES[name]
    return measure(tables[study]) if study in tables else None
