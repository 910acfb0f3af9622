"""Make the SRAM rows of the default energy table with a CACTI 7 executable.

    python scripts/make_energy_table.py --cacti PATH/TO/cacti [--output FOLDER] [--limit N]

See docs/energy.md for where CACTI comes from. Takes some minutes; sizes without a solution are left out.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs import cacti
from spikex_sim.costs.rows import SRAM_COLUMNS

NODE_NM = 32
TEMPERATURE_K = 350
DEVICES = ("hp", "lop", "lstp")
WIDTHS_BITS = (8, 16, 32, 64, 128, 256, 512)
# Powers of two and the steps half-way between them, because energies are not smooth in capacity, and the
# sizes that the presets of accelerators ask for (18, 27, 54, 108 and 144 KB).
CAPACITIES_BYTES = tuple(
    sorted(
        {2**n for n in range(6, 21)}
        | {3 * 2**n for n in range(8, 19)}
        | {18432, 27648, 55296, 110592, 147456}
    )
)
TABLES = Path(__file__).resolve().parent.parent / "spikex_sim" / "costs" / "tables"


def main() -> int:
    parser = argparse.ArgumentParser(description="Make sram.csv with CACTI 7.")
    parser.add_argument(
        "--cacti", required=True, type=Path, help="the CACTI 7 executable, beside its tech_params"
    )
    parser.add_argument("--output", type=Path, default=TABLES, help="folder to write sram.csv to")
    parser.add_argument("--limit", type=int, help="stop after so many memories, for a trial")
    options = parser.parse_args()

    grid = [(d, w, c) for d in DEVICES for w in WIDTHS_BITS for c in CAPACITIES_BYTES][: options.limit]
    rows, without = [], []
    for done, (device, width_bits, capacity_bytes) in enumerate(grid, start=1):
        config = cacti.write_config(
            capacity_bytes, width_bits, device, node_nm=NODE_NM, temperature_k=TEMPERATURE_K
        )
        try:
            result = cacti.run_cacti(options.cacti, config)
        except cacti.NoSolutionError:
            without.append(f"{device} {capacity_bytes} B x {width_bits} bit")
            continue
        except EnergyTableError as error:
            print(error, file=sys.stderr)
            return 2
        rows.append(
            {
                "component": "sram",
                "device": device,
                "node_nm": NODE_NM,
                "capacity_bytes": capacity_bytes,
                "width_bits": width_bits,
                "temperature_k": TEMPERATURE_K,
                "read_pj": f"{result.read_pj:g}",
                "write_pj": f"{result.write_pj:g}",
                "leakage_mw": f"{result.leakage_mw:g}",
                "access_ns": f"{result.access_ns:g}",
                "area_mm2": f"{result.area_mm2:g}",
                "unit": "pJ per access",
                "source": cacti.SOURCE,
                "derivation": cacti.SETTINGS,
            }
        )
        if done % 50 == 0:
            print(f"{done} of {len(grid)}")

    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "sram.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SRAM_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows; no solution for {len(without)}: {'; '.join(without)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
