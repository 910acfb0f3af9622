"""The energy table of crossbar machines: what its script makes of published constants; own tables."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import make_imc_table
import pytest

import spikex_sim as sx
from command import REPOSITORY, succeed
from helpers import shared_data
from spikex_sim.accelerators.base import energy_model
from spikex_sim.core.errors import EnergyTableError
from spikex_sim.costs.crossbar_table import CrossbarTable
from spikex_sim.costs.rows import CROSSBAR_COLUMNS

PACKAGED = REPOSITORY / "spikex_sim" / "costs" / "tables" / "imc65" / "imc.csv"
NUMBERS = ("energy_pj", "area_um2", "leakage_mw")
LINE = "cell,read,1,2,,pJ per cell,here,by hand"


def own_table(folder: Path, *lines: str, header: str = ",".join(CROSSBAR_COLUMNS)) -> str:
    (folder / "imc.csv").write_text("\n".join((header, *lines)) + "\n", "utf-8")
    return str(folder)


def test_the_file_is_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make_imc_table.py", "--output", str(tmp_path)])
    assert make_imc_table.main() == 0
    assert (tmp_path / "imc.csv").read_bytes() == PACKAGED.read_bytes()


def test_every_number_is_that_of_the_reference() -> None:
    reference = list(csv.DictReader(io.StringIO(shared_data("energy/imc65.csv").read_text("utf-8"))))
    ours = CrossbarTable.load().rows()
    assert [(row.component, row.action) for row in ours] == [(r["component"], r["action"]) for r in reference]
    for row, theirs in zip(ours, reference, strict=True):
        for column in NUMBERS:
            found = getattr(row, column)
            assert (found is None) == (theirs[column] == ""), (row.label, column)
            if found is not None:
                assert found == pytest.approx(float(theirs[column]), rel=1e-12, abs=0), (row.label, column)


def test_buffers_are_between_the_memories_of_cacti() -> None:
    """The one number that is not the interpolation's is off by its last digit alone."""
    made = make_imc_table.between(8192, 27648, 20480)
    assert made == (10.9497, 9.5694)
    assert CrossbarTable.load().energy_pj("gb", "read") * 64 == pytest.approx(made[0], rel=2e-5)


@pytest.mark.parametrize("row", CrossbarTable.load().rows(), ids=lambda row: row.label)
def test_every_row_says_where_it_is_from(row: object) -> None:
    assert {"source", "derivation", "unit"} <= {key for key, value in vars(row).items() if value}


def test_default_of_a_crossbar_machine_is_this_table(tmp_path: Path) -> None:
    default = energy_model(sx.load_accelerator("spikesim"))
    named = energy_model(sx.load_accelerator("spikesim", overrides={"energy.table": "imc65"}))
    copied = own_table(tmp_path, *PACKAGED.read_text("utf-8").splitlines()[1:])
    own = energy_model(sx.load_accelerator("spikesim", overrides={"energy.table": copied}))
    assert default.components == named.components == own.components
    assert "ela_spikesim.py" in default.provenance["cell.read"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((LINE, LINE), r"imc\.csv: two rows for cell\.read"),
        (
            ("cell,read,one,2,,pJ per cell,here,by hand",),
            r"imc\.csv: row 2: energy_pj: is not a number: 'one'",
        ),
        (("cell,read,-1,2,,pJ per cell,here,by hand",), r"imc\.csv: row 2: energy_pj: is negative: -1"),
        (
            ("cell,read,1,inf,,pJ per cell,here,by hand",),
            r"imc\.csv: row 2: area_um2: is not a number: 'inf'",
        ),
        (
            ("cell,read,1,2,,nJ per cell,here,by hand",),
            r"row 2: unit: energies are in pJ, not in 'nJ per cell'",
        ),
        (("cell,read,1,2,,pJ per cell,,by hand",), r"imc\.csv: row 2: source: is empty"),
        (("cell,read,1",), r"imc\.csv: row 2: has 3 cells, but there are 8 columns"),
        ((LINE,), r"has no row .*; there are cell\.read"),
        (("cell,read,,2,,um2 per cell,here,by hand",), r"energy_pj: row cell\.read is empty and is needed"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    arch = sx.load_accelerator("spikesim", overrides={"energy.table": own_table(tmp_path, *lines)})
    with pytest.raises(EnergyTableError, match=message):
        energy_model(arch)


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnergyTableError, match=re.escape(f"{tmp_path}: the energy table lacks imc.csv")):
        CrossbarTable.load(tmp_path)
    with pytest.raises(
        EnergyTableError, match=r"no energy table 'sata': say default or imc65, or name a folder"
    ):
        CrossbarTable.load("sata")
    (tmp_path / "imc.csv").write_bytes(b"\xff")
    with pytest.raises(EnergyTableError, match="cannot be read"):
        CrossbarTable.load(tmp_path)


def test_the_command_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*arguments: str) -> str:
        return succeed(capsys, "energy", "show", "--table", *arguments).out

    assert re.search(r"adc_flash_4\.convert +2\.031 +693\.6", shown("imc65"))
    assert "mem_fetch" in shown("imc65", "--sources")
    assert "mem_fetch" not in shown("imc65")
    assert re.search(r"cell\.read +1 +2 +pJ per cell +here", shown(own_table(tmp_path, LINE)))
