"""Timelines of reports: they hold what timeline.json says, in few bytes, and read nothing else."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_files import everything
from spikex_sim.core.errors import ResultsError
from spikex_sim.report import slices
from spikex_sim.report.columns import GAP, Texts, differences, leb128, packed
from spikex_sim.report.escaping import data_text
from spikex_sim.report.slices import read_timeline
from spikex_sim.report.timeline import COLORS, timeline_section
from spikex_sim.timing.crossbar import ACTIVITIES
from spikex_sim.timing.engine import CAUSES
from timelines import HOSTILE, event, many_slices, run_into, slices_in, written

TRACK = event(ph="M", tid=5, name="thread_name", args={"name": "PE array"})
LAYERS = event(ph="M", tid=0, name="thread_name", args={"name": "layers"})
LAYER = event(ph="X", tid=0, ts=0, dur=9, cat="layer", name="conv", args={"tws": 4, "mode": None})
SLICE = {"ph": "X", "tid": 5, "ts": 2, "dur": 3, "cat": "compute", "name": "compute conv batch 1 step 7"}
SMALL = {"memory.lbuf.bytes": 256, "memory.glb.bytes": 2048, "memory.dram.bandwidth_gb_s": 1.5}


def numbers_in(text: str) -> Iterator[int]:
    """What is packed in a text, number by number."""
    value = place = 0
    for byte in zlib.decompress(base64.b64decode(text)):
        value |= (byte & 127) << place
        place += 7
        if byte < 128:
            yield value
            value = place = 0


def summed(numbers: Iterator[int], count: int) -> list[int]:
    """Undo differences in zigzag."""
    now, found = 0, []
    for _ in range(count):
        one = next(numbers)
        now += -(one + 1) // 2 if one % 2 else one // 2
        found.append(now)
    return found


def drawn(data: Any) -> list[tuple[str, str, str, int, int, int | None]]:
    """Slices that a page draws, as its script unpacks them: track, kind, layer and place, cycles, bits."""
    numbers = numbers_in(data["packed"])
    layers = summed(numbers, data["labels"])
    templates = summed(numbers, data["labels"])
    holes: dict[int, list[list[int]]] = {}
    for place, template in enumerate(data["templates"]):
        columns = [summed(numbers, templates.count(place)) for _ in range(template.count(GAP))]
        holes[place] = [list(row) for row in zip(*columns, strict=True)] or [[]] * templates.count(place)
    rows = {place: iter(of) for place, of in holes.items()}
    labels = []
    for layer, template in zip(layers, templates, strict=True):
        parts = data["templates"][template].split(GAP)
        filled = "".join(f"{a}{b}" for a, b in zip(parts, [*map(str, next(rows[template])), ""], strict=True))
        labels.append(f"{data['layers'][layer]} {filled}".strip())
    found = []
    for track in data["tracks"]:
        count = track["slices"]
        gaps, cycles = ([next(numbers) for _ in range(count)] for _ in range(2))
        kinds = [next(numbers) for _ in range(count)]
        its = summed(numbers, count)
        bits = [next(numbers) - 1 for _ in range(count)] if track["bits"] else [-1] * count
        now = 0
        for at in range(count):
            start = now + gaps[at]
            now = start + cycles[at]
            kind = data["kinds"][kinds[at]]["name"]
            moved = None if bits[at] < 0 else bits[at]
            found.append((track["name"], kind, labels[its[at]], start, now, moved))
    assert next(numbers, None) is None
    return found


def told(folder: Path) -> list[tuple[str, str, str, int, int, int | None]]:
    """The same of timeline.json."""
    shown = json.loads((folder / "timeline.json").read_text())["traceEvents"]
    names = {one["tid"]: one["args"]["name"] for one in shown if one["name"] == "thread_name"}
    found = [
        (names[one["tid"]], one["cat"], one["name"].removeprefix(f"{one['cat']} "), one["ts"],
         one["ts"] + one["dur"], one.get("args", {}).get("bits"))
        for one in shown if one["ph"] == "X"
    ]  # fmt: skip
    place = {name: number for number, name in names.items()}
    return sorted(found, key=lambda one: (place[one[0]], one[3]))


def section_of(folder: Path) -> Any:
    section = timeline_section(folder)
    assert section is not None
    return section


@pytest.mark.parametrize(
    ("arch", "how"),
    [
        ("spikex", {}),
        ("spikex", {"samples": 3, **SMALL}),
        ("systolic-os", {}),
        ("sata", {}),
        ("spikesim", {"samples": 2}),
    ],
)
def test_a_page_holds_every_slice(tmp_path: Path, arch: str, how: dict[str, Any]) -> None:
    run_into(tmp_path, arch, **how)
    assert drawn(section_of(tmp_path).data) == told(tmp_path)


def test_a_page_holds_every_slice_of_a_graph(tmp_path: Path) -> None:
    run_into(tmp_path, trace=everything(), tws=2)
    section = section_of(tmp_path)
    assert drawn(section.data) == told(tmp_path)
    assert {"pop (channels 0-1)", "att (t=8, head 1)"} <= set(section.data["layers"])
    assert "stall recurrence" in {kind["name"] for kind in section.data["kinds"]}


def test_what_the_tracks_sum_up_to_is_the_result(tmp_path: Path) -> None:
    result = run_into(tmp_path, **SMALL)
    section = section_of(tmp_path)
    spent: Counter[str] = Counter()
    for _, kind, _, start, end, _ in drawn(section.data):
        spent[kind] += end - start
    assert spent["compute"] == result.totals.compute_cycles
    assert {cause: spent[f"stall {cause}"] for cause in result.totals.stalls} == dict(result.totals.stalls)
    assert section.data["cycles"] == result.totals.cycles == spent["layer"]
    assert section.data["clockHz"] == 500e6
    share = f"{100 * result.totals.stalls.dram / result.totals.cycles:.1f}"
    assert f"stall dram {result.totals.stalls.dram:,} ({share} %)" in section.html


def test_markup_and_what_turns_text_around_is_no_markup(tmp_path: Path) -> None:
    run_into(tmp_path)
    section = section_of(tmp_path)
    assert section.data["layers"] == [HOSTILE, "last"]
    assert HOSTILE not in section.html and "<script" not in data_text(section.data)
    written(
        tmp_path,
        [TRACK, event(ph="X", tid=5, ts=0, dur=1, cat="a\u202e", name="a\u202e PE array \x1b step 1")],
    )
    assert section_of(tmp_path).data["kinds"][0]["name"] == r"a\u202e"
    assert r"\x" in section_of(tmp_path).data["templates"][0]


def test_without_a_timeline_there_is_no_section(tmp_path: Path) -> None:
    assert timeline_section(tmp_path) is None


def test_every_stall_and_activity_has_a_colour_but_computing() -> None:
    assert {f"stall {cause}" for cause in CAUSES} <= set(COLORS)
    assert set(ACTIVITIES) - set(COLORS) == {"compute"}
    stalls = [COLORS[f"stall {cause}"] for cause in CAUSES]
    others = {color for kind, color in COLORS.items() if kind in ("layer", "fetch", "write", "hold")}
    assert len(set(stalls)) == len(CAUSES) and not others & set(stalls)


def test_many_slices_take_little_room(tmp_path: Path) -> None:
    many_slices(tmp_path, 30_000)
    assert (
        len(data_text(section_of(tmp_path).data)) < 80_000 < (tmp_path / "timeline.json").stat().st_size / 30
    )


@pytest.mark.parametrize("most", [1, 127, 128, 2**31, 2**53])
def test_numbers_are_unpacked_as_they_were(most: int) -> None:
    rng = np.random.default_rng(most)
    columns = [rng.integers(0, most, size, endpoint=True) for size in (0, 1, 50)]
    signed = rng.integers(-most // 2, most // 2, 40)
    numbers = numbers_in(packed([*columns, differences(signed)]))
    for column in columns:
        assert [next(numbers) for _ in column] == column.tolist()
    assert summed(numbers, 40) == signed.tolist()
    assert next(numbers, None) is None
    assert len(leb128(columns[2])) <= 50 * max(-(-most.bit_length() // 7), 1)


def test_texts_keep_what_only_looks_like_a_number() -> None:
    texts = [
        "rows 0-9 step 10",
        "rows 00-9 step 10",
        "rows 7-8 step 123456789012345678",
        "",
        "rows 1-2 step 3",
    ]
    found = Texts.of(texts)
    rows = [iter(of.tolist()) for of in found.numbers]
    again = []
    for which in found.which.tolist():
        parts = found.templates[which].split(GAP)
        numbers = [*map(str, next(rows[which])), ""]
        again.append("".join(f"{a}{b}" for a, b in zip(parts, numbers, strict=True)))
    assert again == texts
    assert found.which[0] == found.which[4] != found.which[1]


# --- What is no timeline ------------------------------------------------------------------------------------


def with_(**fields: Any) -> str:
    return event(**{key: value for key, value in (SLICE | fields).items() if value is not ...})


@pytest.mark.parametrize(
    "bad",
    [
        with_(tid=4), with_(tid=True), with_(tid=[5]), with_(tid=...), with_(ts=-1), with_(ts=1.5),
        with_(ts="2"), with_(dur=0), with_(dur=-3), with_(dur=2**53), with_(dur=True), with_(ts=...),
        with_(cat=...),
        with_(cat=3), with_(name=...), with_(name="compute other batch 1 step 7"),
        with_(name="load conv step 7"),
        with_(args=[1]), with_(args={"bits": -2}), with_(args={"bits": 1.5}), with_(args={"bits": 2**60}),
        with_(ph="B"), with_(ph=...), "3", "[]", "null", "{", '{"ph":"X"', '{"ph":"X","ts":NaN}',
        "[" * 9000 + "]" * 9000, with_(ts=0) + ",\n" + with_(ts=1), TRACK,
        event(ph="M", tid=7, name="thread_name", args={"name": 3}),
        event(ph="M", tid=-1, name="thread_name", args={"name": "x"}),
        event(ph="M", tid=7, name="thread_name"), with_(name="compute conv " + "x" * 70_000),
    ],
)  # fmt: skip
def test_what_no_run_writes_is_refused_by_its_line(tmp_path: Path, bad: str) -> None:
    written(tmp_path, [LAYERS, TRACK, LAYER, with_()])
    assert section_of(tmp_path).data["cycles"] == 9
    written(tmp_path, [LAYERS, TRACK, LAYER, with_(), bad])
    with pytest.raises(ResultsError, match=r"timeline.json: .*run it again") as refused:
        timeline_section(tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "", lambda text: text[:-30], lambda text: text.replace("traceEvents", "other"),
        lambda text: text.replace('"otherData"', '"data"'), lambda text: text.replace(",\n", " ,"),
        lambda text: "[" + text, lambda text: text.replace("]}", "]"),
        lambda text: text.replace("500000000.0", "-1"), lambda text: text.replace("conv", "\udc80"),
        lambda text: text.replace("500000000.0", "true"), lambda text: text.replace("500000000.0", "NaN"),
        lambda text: text.replace("500000000.0", "1" * 5000),
        lambda text: text.replace('"clock_hz"', '"clock"'),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[str], str]) -> None:
    file = written(tmp_path, [LAYERS, TRACK, LAYER, with_()])
    file.write_text(damage(file.read_text()), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ResultsError, match=r"timeline.json: ") as refused:
        timeline_section(tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_nothing_but_files_of_bounded_size_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "timeline.json"
    os.mkfifo(file)
    with pytest.raises(ResultsError, match="not a regular file"):
        timeline_section(tmp_path)
    file.unlink()
    with file.open("wb") as sparse:
        sparse.truncate(slices.MAX_BYTES)
    with pytest.raises(ResultsError, match="line 1 is too long"):
        timeline_section(tmp_path)
    with file.open("wb") as sparse:
        sparse.truncate(slices.MAX_BYTES + 1)
    with pytest.raises(ResultsError, match="more than the 2 GiB"):
        timeline_section(tmp_path)
    monkeypatch.setattr(slices, "MOST_LINES", 50)
    many_slices(tmp_path, 60)
    with pytest.raises(ResultsError, match="more than 50 slices; choose layers with --layers"):
        timeline_section(tmp_path)
    monkeypatch.setattr(slices, "MOST_TRACKS", 1)
    with pytest.raises(ResultsError, match="more than 1 tracks"):
        timeline_section(tmp_path)


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    many_slices(tmp_path, 10_000)
    told: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    read_timeline(tmp_path / "timeline.json", lambda what, done, total: told[what].append((done, total)))
    size = (tmp_path / "timeline.json").stat().st_size
    assert list(told) == ["timeline"] and len(told["timeline"]) > 2
    assert told["timeline"] == sorted(told["timeline"]) and told["timeline"][-1] == (size, size)


def test_slices_in_any_order_are_drawn_in_order(tmp_path: Path) -> None:
    later = with_(ts=6, name="compute conv batch 2 step 8")
    written(tmp_path, [LAYERS, TRACK, LAYER, later, with_()])
    assert [one[3] for one in drawn(section_of(tmp_path).data)] == [0, 2, 6]
    assert len(slices_in(tmp_path)) == 3
