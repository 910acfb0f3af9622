"""Sensors that do not fit, and times that are odd: what `trace convert` does and says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import is_mistake, spikex, succeed
from drawn_events import EVENTS, from_first
from naive_events import (
    Event,
    by_duration,
    spread_us,
)
from spikex_sim.core.errors import TraceError
from spikex_sim.sources.samples import load_samples
from spikex_sim.trace.store import load_trace

NET = """name: net
timesteps: 10
layers:
  - {name: one, kind: conv, in_channels: 2, out_channels: 4, kernel: 3, in_height: 12, in_width: 12}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a network that takes 12x12 pixels."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET)
    return tmp_path


def convert(capsys: pytest.CaptureFixture[str], name: str, *options: object) -> tuple[str, set[Any]]:
    shown = succeed(capsys, "trace", "convert", name, "--network", "net.yaml", "--out", "o.npz", *options)
    return shown.out, set(map(tuple, np.argwhere(load_trace("o.npz").spikes(0)[0]).tolist()))


def save(name: str, events: list[Event], **more: Any) -> None:
    columns = zip("xypt", (np.array(column) for column in zip(*events, strict=True)), strict=True)
    np.savez(name, **dict(columns), **more)


class TestFitting:
    """A sensor of 34x34 and an input of 12x12."""

    @pytest.mark.parametrize(
        ("options", "windows"),
        [
            (("--crop", "24x24"), [(24, 24)]),
            (("--crop", "12x12"), [(12, 12)]),
            (("--pad", "36x36"), [(36, 36)]),
            (("--pad", "48x48"), [(48, 48)]),
            (("--bin", 2), [(24, 24)]),
            (("--bin", 3), [(36, 36)]),
            (("--crop", "25x31", "--pad", "36x36"), [(25, 31), (36, 36)]),
            (("--crop", "25x31", "--bin", 2), [(25, 31), (24, 24)]),
        ],
    )
    def test_crop_pad_and_bin(
        self, here: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], windows: Any
    ) -> None:
        save("a.npz", EVENTS, sensor=(34, 34, 2))
        said, spikes = convert(capsys, "a.npz", *options)
        seen, size = EVENTS, (34, 34)
        for window in windows:
            down, right = ((have - want) // 2 for have, want in zip(size, window, strict=True))
            seen = [(x - right, y - down, p, t) for x, y, p, t in seen]
            seen = [event for event in seen if 0 <= event[0] < window[1] and 0 <= event[1] < window[0]]
            size = window
        expected, kept, merged, late = by_duration(seen, 10, spread_us(EVENTS, 10), size[0] // 12)
        assert spikes == expected
        assert said.startswith(
            f"{len(seen)} events: {kept} became spikes, {merged} fell on one already set, {late}"
        )
        gone = len(EVENTS) - len(seen)
        assert (f"cropped away in the file: {gone}\n" in said) == (gone > 0)

    @pytest.mark.parametrize(
        ("sensor", "options", "words"),
        [
            (
                "34x34",
                "",
                "a 34x34 sensor cannot be pooled; --crop 24x24 or --pad 36x36 fits; --bin 2 or 3 crops",
            ),
            (
                "34x60",
                "",
                "a 34x60 sensor cannot be pooled; --crop 24x24 or --pad 60x60 fits; --bin 2 or 5 crops",
            ),
            ("34x40", "--crop 34x34", "a 34x34 sensor cannot be pooled; --crop 24x24"),
            ("34x34", "--crop 35x34", "--crop: 35x34 is larger than the 34x34 there"),
            ("34x34", "--pad 36x33", "--pad: 36x33 is smaller than the 34x34 there"),
            ("34x34", "--crop 24x24 --pad 20x36", "--pad: 20x36 is smaller than the 24x24 there"),
            ("34x34", "--bin 99999", "--bin: wants 1199988x1199988 pixels"),
            ("34x34", "--crop 3", "--crop: wants rows and columns"),
            ("34x34", "--pad x", "--pad: wants rows and columns"),
        ],
    )
    def test_mistakes(
        self, here: Path, capsys: pytest.CaptureFixture[str], sensor: str, options: str, words: str
    ) -> None:
        save("a.npz", EVENTS)
        line = ("--network", "net.yaml", "--sensor", sensor, *options.split(), "--out", "o.npz")
        is_mistake(spikex(capsys, "trace", "convert", "a.npz", *line), words)
        save("b.npz", [(5, 5, 0, 0)])
        if not options:  # a sensor smaller than the input
            is_mistake(
                spikex(
                    capsys,
                    "trace",
                    "convert",
                    "b.npz",
                    "--network",
                    "net.yaml",
                    "--sensor",
                    "6x9",
                    "--out",
                    "o",
                ),
                "a 6x9 sensor cannot be pooled; --pad 12x12 fits; --bin 1 crops or pads",
            )

    def test_a_folder(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("rec").mkdir()
        for name in "ab":
            save(f"rec/{name}.npz", EVENTS, sensor=(34, 34, 2))
        line = ("trace", "convert", "rec", "--network", "net.yaml", "--out", "o", "--bin", 2)
        shown = succeed(capsys, *line)
        gone = sum(not (5 <= x < 29 and 5 <= y < 29) for x, y, *_ in EVENTS)
        assert f"cropped away in the files: {2 * gone}" in shown.lines
        assert f"{2 * (len(EVENTS) - gone)}" in shown.out

    def test_a_network_for_images(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("net.yaml").write_text(NET.replace("in_channels: 2", "in_channels: 3"))
        save("a.npz", EVENTS)
        said = spikex(capsys, "trace", "convert", "a.npz", "--network", "net.yaml", "--out", "o.npz")
        is_mistake(said, "takes an input of 3x12x12; events of a camera are 2 maps")


SMALL = [(x % 12, y % 12, p, t) for x, y, p, t in from_first(EVENTS) if t < 200_000]
SPAN = SMALL[-1][3]


class TestTimes:
    def test_what_is_printed(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        save("a.npz", SMALL)
        said, _ = convert(capsys, "a.npz", "--step-ms", 3, "--timesteps", 50)
        inside = [t // 3000 for *_, t in SMALL if t < 150_000]
        counts = [inside.count(step) for step in range(50)]
        line = (
            f"span {SPAN / 1000:.4g} ms, {len(SMALL) / SPAN * 1e6:,.0f} events/s; "
            f"{len(inside) / 50:.4g} events a time point, {max(counts)} at most; "
            f"{2 * counts.count(0)} % of 50 time points are empty\n"
        )
        assert line in said

    @pytest.mark.parametrize(
        ("change", "options", "words", "mended"),
        [
            (
                lambda t: t + 1_700_000_000_000_000,
                (),
                "first event comes after 1,700,000,000 s",
                ("--from-first",),
            ),
            (
                lambda t: t + 1_700_000_000_000_000,
                ("--step-ms", 20),
                "--from-first counts",
                ("--from-first",),
            ),
            (
                lambda t: (t + 2**32 - 90_000) % 2**32,
                (),
                "times fall 1 time by half",
                ("--unwrap", 32, "--from-first"),
            ),
            (lambda t: t // 1000, (), "--time-unit ms (or s)", ("--time-unit", "ms")),
            (lambda t: t / 1e6, (), None, ("--time-unit", "s")),
            (lambda t: t * 1000, (), "--time-unit ns", ("--time-unit", "ns")),
            (lambda t: t * 1000, ("--step-ms", 20), "--time-unit ns", ("--time-unit", "ns")),
            (
                lambda t: t,
                ("--timesteps", 5000, "--step-ms", 0.1),
                "time points are empty: --step-events",
                None,
            ),
        ],
        ids=range(8),
    )
    def test_one_warning_names_what_mends_it(
        self,
        here: Path,
        capsys: pytest.CaptureFixture[str],
        change: Any,
        options: Any,
        words: Any,
        mended: Any,
    ) -> None:
        save("good.npz", SMALL)
        good, spikes = convert(capsys, "good.npz", *(options if mended else ()))
        if mended:
            assert "good.npz" not in good
        save("a.npz", [(x, y, p, change(t)) for x, y, p, t in SMALL])
        if words is None:
            said = spikex(capsys, "trace", "convert", "a.npz", "--network", "net.yaml", "--out", "o.npz")
            is_mistake(said, "t: holds fractions", "--time-unit s")
        else:
            said, _ = convert(capsys, "a.npz", *options)
            text = " ".join(said.split())
            assert text.count("a.npz: ") == 1 and words in text.split("a.npz: ")[1], text
        if mended is None:
            return
        said, again = convert(capsys, "a.npz", *options, *mended)
        assert "a.npz:" not in said
        if "ms" not in mended:
            assert again == spikes

    @pytest.mark.parametrize(
        ("which", "words"),
        [("sample 0", "there are no events"), ("sample 1", "events are ON; cameras")],
    )
    def test_events_without_meaning_are_told(
        self, here: Path, capsys: pytest.CaptureFixture[str], which: str, words: str
    ) -> None:
        save("a.npz", [(x, y, 1, t) for x, y, _, t in SMALL], offsets=[0, 0, len(SMALL)])
        for options in ((), ("--step-events", 10)):
            said, _ = convert(capsys, "a.npz", "--sample", which[-1], *options)
            assert words in " ".join(said.split()).split("a.npz: ")[1]

    def test_a_folder(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("rec").mkdir()
        save("rec/a.npz", SMALL)
        for name in "bc":
            save(f"rec/{name}.npz", [(x, y, p, t // 1000) for x, y, p, t in SMALL])
        shown = succeed(capsys, "trace", "convert", "rec", "--network", "net.yaml", "--out", "o")
        text = " ".join(shown.out.split())
        assert text.count("--time-unit ms") == 1 and "b: all events lie within" in text
        assert "(2 of 3 recordings so or otherwise odd)" in text
        assert "together: span" in text and "of 30 time points are empty" in text

    def test_few_events_are_not_odd(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        save("a.npz", [(1, 1, 1, 3)] * 10)
        assert "a.npz:" not in convert(capsys, "a.npz")[0]
        save("a.npz", [(1, 1, 1, 3)] * 11)
        assert "a.npz:" in convert(capsys, "a.npz")[0]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--time-unit min", "--time-unit: must be one of s, ms, us, ns, not min"),
            ("--columns t,x,y", "--columns: wants x, y, p and t in their order, e.g. t,x,y,p, not t,x,y"),
            ("--unwrap 3", "--unwrap"),
        ],
    )
    def test_mistakes(self, here: Path, capsys: pytest.CaptureFixture[str], line: str, words: str) -> None:
        save("a.npz", SMALL)
        said = spikex(
            capsys, "trace", "convert", "a.npz", *line.split(), "--network", "net.yaml", "--out", "o.npz"
        )
        is_mistake(said, words)

    @pytest.mark.parametrize(
        "option",
        [
            "--crop 2x2",
            "--pad 9x9",
            "--bin 2",
            "--columns t,x,y,p",
            "--from-first",
            "--time-unit s",
            "--unwrap 32",
        ],
    )
    def test_of_events_alone(self, here: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
        save("a.npz", SMALL)
        convert(capsys, "a.npz")
        said = spikex(capsys, "trace", "convert", "o.npz", "--int8", *option.split(), "--out", "x.npz")
        is_mistake(said, f"{option.split(maxsplit=1)[0]}: is for recordings")


def test_booleans_merge_like_numbers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [*SMALL, SMALL[-1], SMALL[-1]]
    save("a.npz", events)
    numbers = convert(capsys, "a.npz")
    np.savez("a.npz", **{**np.load("a.npz"), "p": np.array([bool(p) for _, _, p, _ in events])})
    assert convert(capsys, "a.npz") == numbers
    merged = by_duration(events, 10, spread_us(events, 10))[2]
    assert merged >= 2 and f"{merged} fell on one already set" in numbers[0]


def test_an_event_off_the_sensor_names_its_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rec").mkdir()
    save("rec/a.npz", SMALL)
    save("rec/b.npz", [*SMALL, (12, 3, 1, 999_999)])
    said = spikex(capsys, "trace", "convert", "rec", "--network", "net.yaml", "--out", "o")
    is_mistake(said, "rec/b.npz: x: must be 0 to 11, not 12", f"event {len(SMALL)} is at x 12, y 3")
    save("rec/b.npz", [*SMALL, (12, 3, 1, 999_999)], label=[1])
    with pytest.raises(TraceError, match=r"rec/b\.npz: x: must be 0 to 11"):
        load_samples("rec/b.npz", (2, 12, 12), 10).spikes(0)
