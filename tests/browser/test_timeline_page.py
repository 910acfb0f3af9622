"""The timeline of a report: it shows what timeline.json says, at any zoom, and takes every input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import spikex_sim as sx
from browsing import Watched, until
from section_page import section_page
from spikex_sim.report.timeline import timeline_section
from timelines import HOSTILE, event, many_slices, run_into, slices_in, written

NAMES_PX, ROW_PX, FIRST_PX = 150, 30, 34
"""Width of the names of tracks, height of a track, and where the first begins."""
COUNT = """() => {
  const { after } = spikexReport.timeline.Track.prototype;
  const { clearRect, fillRect, putImageData } = CanvasRenderingContext2D.prototype;
  Object.assign(window, { searches: 0, calls: 0, frames: 0 });
  Object.assign(spikexReport.timeline.Track.prototype, {
    after(...of) { searches += 1; return after.apply(this, of); },
  });
  Object.assign(CanvasRenderingContext2D.prototype, {
    clearRect(...of) { frames += 1; clearRect.apply(this, of); },
    fillRect(...of) { calls += 1; fillRect.apply(this, of); },
    putImageData(...of) { calls += 1; putImageData.apply(this, of); },
  });
}"""
"""Counts what a frame asks of the slices, and of the canvas."""
COPY = """const canvas = document.querySelector('canvas'), copy = document.createElement('canvas');
  Object.assign(copy, { width: canvas.width, height: canvas.height });
  const brush = copy.getContext('2d', { willReadFrequently: true });
  brush.drawImage(canvas, 0, 0);"""
"""A copy to be read: reading the canvas itself makes it slow, and Chromium warn."""
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    run_into(
        folder, **{"memory.lbuf.bytes": 256, "memory.glb.bytes": 2048, "memory.dram.bandwidth_gb_s": 1.5}
    )
    return page_in(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("many")
    share = many_slices(folder, 300_000)
    return page_in(folder), share


def page_in(folder: Path) -> Path:
    section = timeline_section(folder)
    assert section is not None
    return section_page(section, folder)


def opened(pages: Watched, file: Path, **options: Any) -> Any:
    page = pages.open(file, **options)
    page.locator(".timeline-view canvas").wait_for()
    page.evaluate(SETTLED)
    return page


def canvas(page: Any) -> Any:
    return page.locator(".timeline-view canvas")


def shown(page: Any) -> tuple[int, int]:
    """Cycles that are in sight."""
    page.evaluate(SETTLED)
    first, last = re.match(
        r"cycles ([\d,]+) to ([\d,]+)", page.locator(".timeline-bar output").inner_text()
    ).groups()
    return int(first.replace(",", "")), int(last.replace(",", ""))


def point(page: Any, track: int, share: float) -> tuple[float, float]:
    """Place on the page of a share of the width of a track."""
    box = canvas(page).bounding_box()
    x = box["x"] + NAMES_PX + share * (box["width"] - NAMES_PX)
    return x, box["y"] + FIRST_PX + ROW_PX * track + 10


def said_of(slice_: dict[str, Any]) -> str:
    """What must be said of a slice of timeline.json, apart from track and duration."""
    kind, layer = slice_["cat"], slice_["name"]
    if kind != "layer":
        rest = layer.removeprefix(f"{kind} ")
        layer = next(name for name in (HOSTILE, "last") if rest.startswith(name))
        layer = f"{layer}: {rest.removeprefix(layer).strip()}"
    end = slice_["ts"] + slice_["dur"]
    bits = f" {slice_['args']['bits']:,} bits" if "bits" in slice_.get("args", {}) else ""
    return f"{kind} {layer} cycles {slice_['ts']:,} to {end:,} ({slice_['dur']:,} cycles){bits}"


def heard(text: str) -> str:
    """The same of what the page says."""
    lines = re.split(r" · |\n", text)
    kind = lines[0].split(" (")[0]
    cycles = re.sub(r", [^,]*s\)$", ")", lines[2])
    return " ".join([kind, lines[1], cycles, *lines[3:]])


def test_keys_walk_through_every_slice_of_every_track(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    by_track: dict[int, list[dict[str, Any]]] = {}
    for one in slices_in(small.parent):
        by_track.setdefault(one["tid"], []).append(one)
    assert len(by_track) == 6
    canvas(page).focus()
    for _ in by_track:
        page.keyboard.press("ArrowUp")
    for number in sorted(by_track):
        expected = [said_of(one) for one in sorted(by_track[number], key=lambda one: one["ts"])][:10]
        found = []
        for _ in expected:
            page.keyboard.press(".")
            found.append(heard(page.locator(".timeline-said").inner_text()))
        assert found == expected
        page.keyboard.press("ArrowDown")


def test_pointing_says_what_is_under_the_pointer(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    slices = slices_in(small.parent)
    cycles = shown(page)[1]
    assert cycles == max(one["ts"] + one["dur"] for one in slices)
    canvas(page).focus()
    for _ in range(4):
        page.keyboard.press("+")
    first, last = shown(page)
    seen = set()
    for track, share in ((track, at / 9) for track in range(6) for at in range(1, 9)):
        page.mouse.move(*point(page, track, share))
        text = page.locator(".timeline-tip").inner_text()
        cycle = first + share * (last - first)
        there = [
            one
            for one in slices
            if one["tid"] == track and one["ts"] - 1 <= cycle <= one["ts"] + one["dur"] + 1
        ]
        if text:
            assert heard(text) in {said_of(one) for one in there}
            seen.add(heard(text))
        else:
            assert not [one for one in there if one["ts"] + 1 < cycle < one["ts"] + one["dur"] - 1]
    assert len(seen) > 10


def test_the_keyboard_zooms_and_moves(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    whole = shown(page)
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.tagName") != "CANVAS":
        page.keyboard.press("Tab")
    page.keyboard.press("+")
    page.keyboard.press("+")
    near = shown(page)
    assert near[1] - near[0] < 0.5 * (whole[1] - whole[0]) and sum(near) == pytest.approx(sum(whole), abs=3)
    page.keyboard.press("ArrowRight")
    right = shown(page)
    assert right[0] > near[0] and right[1] - right[0] == pytest.approx(near[1] - near[0], abs=2)
    page.keyboard.press("ArrowLeft")
    assert shown(page) == near
    page.keyboard.press("-")
    assert near[0] > shown(page)[0]
    page.keyboard.press("Home")
    assert shown(page) == whole
    for _ in range(40):
        page.keyboard.press("-")
    assert shown(page) == whole
    for _ in range(60):
        page.keyboard.press("+")
    assert shown(page)[1] - shown(page)[0] == pytest.approx(10, abs=1)


def test_the_wheel_zooms_where_it_points_and_leaves_the_page_its_own(pages: Watched, small: Path) -> None:
    page = opened(pages, small, height=300)
    whole = shown(page)
    canvas(page).scroll_into_view_if_needed()
    page.evaluate("document.body.style.paddingBottom = '900px'")
    scrolled = page.evaluate("scrollY")
    page.mouse.move(*point(page, 1, 0.25))
    page.mouse.wheel(0, 40)
    until(page, f"scrollY > {scrolled}")
    assert shown(page) == whole
    page.evaluate(f"scrollTo(0, {scrolled})")
    canvas(page).focus()
    page.mouse.move(*point(page, 1, 0.25))
    for _ in range(4):
        page.mouse.wheel(0, -200)
    first, last = shown(page)
    assert last - first < 0.5 * whole[1]
    assert first + 0.25 * (last - first) == pytest.approx(0.25 * whole[1], abs=0.01 * whole[1])
    page.mouse.wheel(100, 0)
    assert shown(page)[0] > first


def test_dragging_moves_and_a_click_chooses(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    canvas(page).focus()
    for _ in range(5):
        page.keyboard.press("+")
    first, last = shown(page)
    page.mouse.move(*point(page, 0, 0.75))
    page.mouse.down()
    page.mouse.move(*point(page, 0, 0.25), steps=4)
    page.mouse.up()
    moved = shown(page)
    assert moved[0] - first == pytest.approx(0.5 * (last - first), abs=3)
    before = page.locator(".timeline-said").inner_text()
    page.mouse.click(*point(page, 0, 0.5))
    assert heard(page.locator(".timeline-said").inner_text()) in {
        said_of(one) for one in slices_in(small.parent) if not one["tid"]
    }
    assert page.locator(".timeline-said").inner_text() != before


def test_two_fingers_zoom(pages: Watched, small: Path) -> None:
    page = opened(pages, small, has_touch=True)
    whole = shown(page)
    session = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 0.1), ("touchMove", 0.2), ("touchMove", 0.4), ("touchEnd", 0)):
        ends = [point(page, 2, 0.5 + side * apart) for side in (-0.5, 0.5)] if apart else []
        fingers = [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(ends)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    first, last = shown(page)
    assert last - first == pytest.approx(whole[1] / 4, rel=0.1)
    assert first + last == pytest.approx(whole[1], rel=0.05)


def test_a_layer_of_the_list_is_shown(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    for one in (one for one in slices_in(small.parent) if one["cat"] == "layer"):
        page.get_by_role("button", name=one["name"], exact=True).click()
        assert shown(page) == (one["ts"], one["ts"] + one["dur"])


def test_a_layer_named_like_a_script_is_text(pages: Watched, small: Path) -> None:
    page = opened(pages, small)
    assert page.locator(".timeline-layers button").first.inner_text() == HOSTILE
    page.mouse.move(*point(page, 0, 0.1))
    assert HOSTILE in page.locator(".timeline-tip").inner_text()
    assert page.locator("main script").count() == 0  # and no dialog, which `pages` would notice


def test_many_slices_cost_no_more_than_pixels(pages: Watched, many: tuple[Path, float]) -> None:
    page = opened(pages, many[0])
    canvas(page).focus()
    page.evaluate(COUNT)
    width = canvas(page).bounding_box()["width"] - NAMES_PX
    for _ in range(12):
        before = page.evaluate("[searches, calls, frames]")
        page.keyboard.press("+")
        page.evaluate(SETTLED)
        searches, calls, frames = (
            now - then for now, then in zip(page.evaluate("[searches, calls, frames]"), before, strict=True)
        )
        assert 0 < searches <= 4 * width and 0 < calls <= width / 2 and frames == 1
    first, last = shown(page)
    assert last - first < 30_000_000 / 100
    drawn = page.evaluate("""() => new Promise((done) => {
      const before = frames, wheel = { deltaY: 40, ctrlKey: true, cancelable: true };
      const canvas = document.querySelector('canvas');
      for (let turn = 0; turn < 60; turn++) canvas.dispatchEvent(new WheelEvent('wheel', wheel));
      requestAnimationFrame(() => requestAnimationFrame(() => done(frames - before)));
    })""")
    assert drawn == 1


def test_columns_of_many_slices_are_shares_of_time(pages: Watched, many: tuple[Path, float]) -> None:
    file, share = many
    page = opened(pages, file)
    stalls, others = page.evaluate(
        "([left, top]) => {"
        + COPY
        + """
          const { data } = brush.getImageData(left, top, canvas.width - left, 22);
          let stalls = 0, others = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (data[at] === 0x00 && data[at + 1] === 0x72 && data[at + 2] === 0xb2) stalls += 1;
            else if (data[at + 3] === 255) others += 1;
          }
          return [stalls, others];
        }""",
        [NAMES_PX, FIRST_PX + ROW_PX],
    )
    assert stalls / (stalls + others) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    "options", [{}, {"color_scheme": "dark"}, {"width": 420}, {"device_scale_factor": 2}]
)
def test_it_suits_the_theme_the_window_and_the_screen(
    pages: Watched, small: Path, options: dict[str, Any]
) -> None:
    page = opened(pages, small, **options)
    wide = page.evaluate("document.querySelector('canvas').width")
    assert wide == pytest.approx(
        canvas(page).bounding_box()["width"] * options.get("device_scale_factor", 1), abs=1
    )
    compute = page.locator(".timeline-legend li", has_text="compute").locator("span")
    light = {"rgb(196, 203, 211)": True, "rgb(104, 114, 126)": False}
    assert light[compute.evaluate("one => one.style.backgroundColor")] == (
        options.get("color_scheme") != "dark"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 700, "height": 500})
    until(page, f"document.querySelector('canvas').width !== {wide}")
    page.emulate_media(media="print")
    page.evaluate(SETTLED)
    assert light[compute.evaluate("one => one.style.backgroundColor")]


def test_a_machine_of_crossbars_has_tracks_of_each_layer(pages: Watched, tmp_path: Path) -> None:
    run_into(tmp_path, "spikesim", samples=2)
    page = opened(pages, page_in(tmp_path))
    for name, number in ((HOSTILE, 6), ("last", 10)):
        own = [one for one in slices_in(tmp_path) if number <= one["tid"] < number + 4]
        page.get_by_role("button", name=name, exact=True).click()
        assert shown(page) == (own[0]["ts"], max(one["ts"] + one["dur"] for one in own))
    canvas(page).focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.keyboard.press(".")
    assert heard(page.locator(".timeline-said").inner_text()) == said_of(own[0])
    assert "sample 0 time point" in page.locator(".timeline-said").inner_text()


def test_of_very_many_tracks_those_in_sight_are_painted(pages: Watched, tmp_path: Path) -> None:
    tracks = range(1200)
    named = [event(ph="M", tid=one, name="thread_name", args={"name": f"l{one} compute"}) for one in tracks]
    slices = [
        event(ph="X", tid=one, cat="compute", name=f"compute l{one} row 0 step 0", ts=0, dur=9)
        for one in tracks
    ]
    written(tmp_path, named + slices)
    page = opened(pages, page_in(tmp_path), device_scale_factor=2, width=800)
    painted = (
        "() => {"
        + COPY
        + """return [40, canvas.height - 60].map((top) =>
      brush.getImageData(500, top, 1, 50).data.some((one, at) => at % 4 === 3 && one === 255)); }"""
    )
    assert page.evaluate(painted) == [True, False]
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.evaluate(SETTLED)
    assert page.evaluate(painted) == [False, True]


def test_a_timeline_that_nobody_scrolled_to_is_there_to_be_printed(pages: Watched, tmp_path: Path) -> None:
    run_into(tmp_path)
    page = pages.open(sx.report(tmp_path), height=300, color_scheme="dark")
    canvas(page).wait_for(state="attached")
    assert canvas(page).bounding_box()["y"] > 1500
    painted = "(() => {" + COPY + "return brush.getImageData(200, 40, 200, 150).data.some(Boolean); })()"
    until(page, painted)
