"""Whatever is wrong with a configuration: exit code 2, one line that names file and key, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikex_sim as sx
from command import files_under, is_mistake, spikex, succeed

T = 12


def a_conv_trace(channels: int = 8, out_channels: int = 16, kernel: int = 5, rate: float = 0.3) -> sx.Trace:
    rng = np.random.default_rng(0)
    layer = {"name": "conv", "kind": "conv", "in_channels": channels, "out_channels": out_channels,
             "kernel": kernel, "padding": kernel // 2, "in_height": 8, "in_width": 8,
             "neuron": {"threshold": 40, "leak_shift": 3}}  # fmt: skip
    weight = rng.integers(-9, 12, (out_channels, channels, kernel, kernel)).astype(np.int8)
    return sx.Trace.from_arrays([layer], rng.random((channels, 8, 8, T)) < rate, weights=[weight])


Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command on a small trace; it must be refused with the given words and write nothing."""
    monkeypatch.chdir(tmp_path)
    sx.save_trace(a_conv_trace(2, 3, 3), "t.npz")

    def run(*line: str, words: tuple[str, ...], command: str = "run") -> str:
        before = files_under(tmp_path)
        message = is_mistake(spikex(capsys, command, "t.npz", *line, "--out", "out"), *words)
        assert files_under(tmp_path) == before
        return message

    return run


VALUES = {
    # (key, value): words of the message besides the key
    ("array.rows", "0"): ("1", "not 0"),
    ("array.rows", "-3"): ("not -3",),
    ("array.cols", "0"): ("not 0",),
    ("array.rows", "2.5"): ("integer", "2.5"),
    ("array.rows", "four"): ("integer", "four"),
    ("array.rows", "null"): ("integer",),
    ("array.rows", "true"): ("integer",),
    ("array.rows", "1e9"): ("integer",),
    ("array.rows", "99999999999999999999999"): ("4096",),
    ("array", "3"): (),
    ("tws", "0"): ("at least 1",),
    ("tws", "-4"): ("-4",),
    ("tws", "1.5"): ("1.5",),
    ("tws", "four"): ("four",),
    ("tws", ""): ("whole number",),
    ("tws", "[]"): ("list",),
    ("tws", "[4,0]"): ("at least 1",),
    ("tws", "[4,4]"): ("2 window sizes for 1",),
    ("tws", str(T + 1)): (str(T + 1), f"{T} time points"),
    ("tws", f"[{T + 1}]"): (str(T + 1), f"{T} time points"),
    ("clock_mhz", "0"): ("greater than or equal to 0.001",),
    ("clock_mhz", ".nan"): ("finite",),
    ("clock_mhz", ".inf"): ("",),
    ("memory.dram.bandwidth_gb_s", "-1"): ("greater than or equal to 0.001",),
    ("memory.lbuf.partition.ifmap", "0.9"): ("more than the whole",),
    ("memory.lbuf.partition.ifmap", "-0.1"): ("",),
    ("memory.lbuf.partition.ifmap", "0"): ("give it a share",),
    ("memory.glb.bytes", "0"): ("",),
    ("memory.dram.weights", "gone"): ("stream", "resident", "amortised"),
    ("mapping.positions", "x"): ("mapping.positions: Input should be a valid integer, not 'x'",),
    ("mapping.positions", "0"): ("1 to 4,294,967,296, or auto",),
    ("mapping.positions", "9223372036854775808"): ("1 to 4,294,967,296, or auto",),
    ("mapping.windows", "9223372036854775808"): ("1 to 4,294,967,296, or auto",),
    ("mapping.tile", "small"): ("layer",),
    ("energy.device", "turbo"): ("lstp",),
    ("weight_bits", "3"): ("layer conv", "3 bits"),
    ("stream", "everything"): ("channel",),
    ("update_cycles", "0"): ("not 0",),
    ("update_cycles", "65"): ("64", "not 65"),
    ("update_cycles", "1.5"): ("integer", "1.5"),
    ("update_cycles", "true"): ("integer",),
    ("update_cycles", "null"): ("integer",),
    ("skew", "row"): ("'tile', 'batch' or 'none'", "not 'row'"),
    ("skew", "no"): ("'none'", "not 'no'"),
    ("skew", "null"): ("'none'",),
    ("zero_gating", "maybe"): ("true, false or auto", "not 'maybe'"),
    ("zero_gating", "1"): ("not 1",),
    ("zero_gating", "null"): ("true, false or auto",),
    ("memory.glb.keep_ofmap", "maybe"): ("boolean", "not 'maybe'"),
    ("memory.glb.keep_ofmap", "auto"): ("boolean", "not 'auto'"),
    ("memory.glb.keep_ofmap", "1"): ("boolean", "not 1"),
    ("memory.rf.bytes", "-1"): ("not -1",),
    ("memory.rf.bytes", "1.5"): ("integer", "1.5"),
    ("memory.rf.bytes", "2000000"): ("1048576", "not 2000000"),
    ("memory.rf", "3"): ("mapping",),
    ("memory.rf.byte", "64"): ("unknown configuration key", "did you mean memory.rf.bytes?"),
    ("name", '""'): ("",),
    ("aray.rows", "4"): ("aray.rows: unknown configuration key", "did you mean array.rows?"),
    ("array.rwos", "4"): ("unknown configuration key", "did you mean array.rows?"),
    ("memory.dram.bytes", "4"): ("unknown configuration key",),
    ("array.rows.x", "4"): (),
    ("frequency", "4"): ("unknown configuration key",),
}


class TestSettings:
    @pytest.mark.parametrize(("key", "value"), VALUES)
    @pytest.mark.parametrize("how", ["set", "file"])
    def test_value(self, refuse: Refuse, key: str, value: str, how: str) -> None:
        *parents, last = key.split(".")
        known = "partition" if "more than the whole" in VALUES[key, value] else key.removesuffix(".x")
        if how == "set":
            message = refuse("--set", f"{key}={value}", words=(known, *VALUES[key, value]))
            assert not message.startswith("mine.yaml")
            return
        text = "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(parents))
        Path("mine.yaml").write_text(f"base: spikex\nname: mine\n{text}{'  ' * len(parents)}{last}: {value}\n"
                                     if key != "name" else f"base: spikex\n{key}: {value}\n")  # fmt: skip
        message = refuse("--arch", "mine.yaml", words=(known, *VALUES[key, value]))
        assert message.startswith(("mine.yaml: ", "mine: ", "spikex: ") if key == "name" else ("mine",))

    @pytest.mark.parametrize("text", ["tws", "=3", "", "=", "tws:4"])
    def test_no_key_or_no_value(self, refuse: Refuse, text: str) -> None:
        refuse("--set", text, words=("--set", "KEY=VALUE"))

    @pytest.mark.parametrize("value", ["[1", "*a", "{a: 1, a: 2}", "!!python/name:os.system", "1: 2: 3"])
    @pytest.mark.parametrize("option", ["--set", "--grid"])
    def test_yaml_tricks_on_the_command_line(self, refuse: Refuse, value: str, option: str) -> None:
        command = "sweep" if option == "--grid" else "run"
        refuse(option, f"tws={value}", words=("tws",), command=command)

    @pytest.mark.parametrize("value", ["9" * 5000, "1:" * 3000 + "1"], ids=["decimal", "base 60"])
    def test_a_number_of_thousands_of_digits(self, refuse: Refuse, value: str) -> None:
        assert len(refuse("--set", f"tws={value}", words=("tws",))) < 1000
        assert len(refuse("--tws", value, words=("tws",))) < 1000


BOMB = "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi"))
FILES = {
    "a duplicate key": ("array:\n  rows: 4\n  rows: 8\n", ("duplicate key 'rows'", "line 3")),
    "a duplicate base": ("base: ptb\nbase: spikex\n", ("duplicate key 'base'",)),
    "an alias": ("array: &a {rows: 4}\nmapping: *a\n", ("aliases",)),
    "an alias bomb": (BOMB, ("aliases",)),
    "a python object": ("tws: !!python/object/apply:os.system ['touch pwned']\n", ("python/object",)),
    "a python name": ("tws: !!python/name:os.system\n", ("python/name",)),
    "an unknown tag": ("tws: !mine 4\n", ("!mine",)),
    "a broken int": ("tws: !!int x\n", ("x",)),
    "a broken float": ("clock_mhz: !!float ''\n", ()),
    "a broken bool": ("stsap: !!bool x\n", ()),
    "a broken time": ("tws: !!timestamp x\n", ()),
    "a date that is none": ("tws: 2020-99-01\n", ()),
    "broken base64": ("tws: !!binary x\n", ()),
    "two documents": ("tws: 4\n---\ntws: 5\n", ("single document",)),
    "no mapping": ("[1, 2]\n", ("mapping",)),
    "nothing": ("", ("mapping",)),
    "a key that is a number": ("4: tws\n", ("key 4",)),
    "a key that is a list": ("? [a]\n: 4\n", ("key",)),
    "a tab": ("array:\n\trows: 4\n", ("line 2",)),
    "depth": ("array: " + "[" * 5000 + "\n", ()),
    "itself as a base": ("base: mine.yaml\n", ("base",)),
    "an unknown base": ("base: spykex\n", ("spykex",)),
    "a base that is no name": ("base: [spikex]\n", ("base",)),
    "an unknown key": ("base: ptb\narray: {rows: 4, depth: 3}\n", ("array.depth", "unknown configuration")),
    "an empty section": ("base: spikex\narray:\n", ("array",)),
}  # fmt: skip


class TestFiles:
    @pytest.mark.parametrize("case", FILES)
    def test_yaml(self, refuse: Refuse, case: str) -> None:
        text, words = FILES[case]
        Path("mine.yaml").write_text(text)
        refuse("--arch", "mine.yaml", words=("mine.yaml" if "spykex" not in text else "spykex", *words))
        assert not Path("pwned").exists()

    def test_not_text_too_large_or_no_file(self, refuse: Refuse) -> None:
        Path("mine.yaml").write_bytes(b"\xff\xfe\x00")
        refuse("--arch", "mine.yaml", words=("mine.yaml", "cannot be read"))
        Path("mine.yaml").write_text("# a comment\n" * 100_000)
        refuse("--arch", "mine.yaml", words=("mine.yaml", "larger than"))
        for name in (".", "/dev/null", "absent.yaml", "", "a\nb"):
            refuse("--arch", name, words=("arch",))
        assert len(refuse("--arch", "x" * 5000, words=("xxx",))) < 1000


MANY = ("array.rows", "array.cols", "tws", "accumulators_per_pe", "memory.dram.samples",
        "memory.glb.latency_cycles", "memory.lbuf.latency_cycles")  # fmt: skip
NAMES = {
    "an unknown preset": (["--arch", "spikx"], "run", ("spikx", "did you mean spikex?")),
    "an unknown second preset": (["--arch", "spikex,pbt"], "compare", ("pbt", "did you mean ptb?")),
    "no preset": (["--arch", ","], "compare", ("--arch",)),
    "an unknown engine": (["--engine", "fats"], "run", ("engine", "fats", "fast")),
    "an unknown policy": (["--set", "dispatch=agil"], "run", ("dispatch", "did you mean agile?")),
    "an unknown scheduler": (["--set", "scheduler=pbt"], "run", ("pbt", "did you mean ptb?")),
    "an unknown DRAM": (["--set", "memory.dram.kind=DDR9"], "run", ("DDR9", "LPDDR4")),
    "an unknown energy table": (["--set", "energy.table=cheap"], "run", ("energy table", "cheap", "default")),
    "a GLB outside the energy table": (
        ["--set", "memory.glb.bytes=1000000000"], "run", ("1000000000 B", "largest row")),
    "an LBUF outside the energy table": (
        ["--set", "memory.lbuf.bytes=200", "--set", "mapping.tile=layer"], "run", ("200 B", "smallest row")),
    "an RF outside the energy table": (
        ["--set", "memory.rf.bytes=63"], "run", ("memory.rf: ", "63 B x 8 bit", "smallest row", "is 64 B x")),
    "an RF where the energy table has its own": (
        ["--arch", "sata", "--set", "memory.rf.bytes=64"], "run", ("memory.rf.bytes", "must be 0")),
    "a port outside the energy table": (["--set", "memory.lbuf.port_bits=48"], "run", ("48 bit", "64")),
    "a grid without values": (["--grid", "tws="], "sweep", ("--grid", "KEY=V1,V2")),
    "a grid without a key": (["--grid", "=1,2"], "sweep", ("--grid", "KEY=V1,V2")),
    "a grid without either": (["--grid", "tws"], "sweep", ("--grid", "KEY=V1,V2")),
    "an empty value": (["--grid", "tws=4,,8"], "sweep", ("--grid", "tws")),
    "a value twice": (["--grid", "tws=4,4"], "sweep", ("tws", "twice")),
    "a machine twice": (["--arch", "spikex,ptb,spikex"], "sweep", ("--arch: names spikex twice",)),
    "an option twice": (["--shard", "1/2", "--shard", "2/2"], "sweep", ("--shard: is given more than once",)),
    "an engine twice": (["--engine", "fast", "--engine=event"], "run", ("--engine: is given more than",)),
    "a key twice": (["--grid", "tws=4", "--grid", "tws=8"], "sweep", ("--grid", "twice")),
    "a grid of an unknown key": (["--grid", "twss=4,8"], "sweep", ("twss", "did you mean tws?")),
    "a bad last point": (["--grid", "tws=2,3,0"], "sweep", ("tws", "not 0")),
    "a last point beyond T": (["--grid", f"tws=2,3,{T + 1}"], "sweep", ("tws", f"{T} time points")),
    "an unknown engine for a sweep": (["--engine", "fats"], "sweep", ("fats",)),
    "an unknown policy in a grid": (["--grid", "dispatch=agile,agil"], "sweep", ("dispatch", "agil")),
    "an unknown DRAM in a grid": (["--grid", "memory.dram.kind=LPDDR4,DDR9"], "sweep", ("DDR9",)),
    "ten million points": (
        [word for key in MANY for word in ("--grid", f"{key}=1,2,3,4,5,6,7,8,9,10")],
        "sweep", ("10000000 points",)),
}  # fmt: skip


class TestNames:
    @pytest.mark.parametrize("case", NAMES)
    def test_name(self, refuse: Refuse, case: str) -> None:
        line, command, words = NAMES[case]
        refuse(*line, words=words, command=command)

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("show --table cheap", ("cheap", "default")),
            ("show --device turbo", ("turbo", "device")),
            ("show --width 63", ("63",)),
            ("check --cacti absent", ("absent",)),
            ("check --cacti absent --capacity 3", ("capacity",)),
            ("check --cacti absent --device turbo", ("device",)),
        ],
    )
    def test_energy(self, capsys: pytest.CaptureFixture[str], line: str, words: tuple[str, ...]) -> None:
        is_mistake(spikex(capsys, "energy", *line.split()), *words)


FIXED = ("mapping.positions=4", "mapping.windows=1")
# Which part is made the narrow one, by what, and a capacity that is too small for it.
PARTS = [
    ("lbuf", "psum", ("memory.lbuf.partition.psum=0.02",), 300),
    ("lbuf", "filter", ("memory.lbuf.partition.filter=0.02",), 300),
    ("lbuf", "ifmap", ("memory.lbuf.partition.ifmap=0.01",), 300),
    ("lbuf", "ofmap", ("memory.lbuf.partition.ofmap=0.0005",), 300),
    ("glb", "ifmap", ("memory.glb.partition.ifmap=0.1",), 300),
    ("glb", "filter", ("memory.glb.partition.filter=0.1",), 1500),
    ("glb", "ofmap", ("memory.glb.partition.ofmap=0.01", *FIXED), 600),
    ("glb", "ofmap", ("memory.glb.partition.ofmap=0.01",), 600),
]


class TestBuffers:
    @pytest.mark.parametrize("arch", ["spikex", "ptb"])
    @pytest.mark.parametrize(("level", "part", "settings", "too_small"), PARTS)
    def test_the_smallest_that_works_is_named_and_works(
        self, refuse: Refuse, capsys: pytest.CaptureFixture[str], level: str, part: str,
        settings: tuple[str, ...], too_small: int, arch: str,
    ) -> None:  # fmt: skip
        sx.save_trace(
            a_conv_trace(2, 16, 3) if (level, part) == ("glb", "ofmap") else a_conv_trace(), "t.npz"
        )
        line: list[str] = ["--arch", arch, "--tws", "4"]
        for setting in settings:
            line += ["--set", setting]

        def sized(size: int) -> list[str]:
            return [*line, "--set", f"memory.{level}.bytes={size}"]

        words = (f"memory.{level}.bytes", f"{part} part", "smallest that works is")
        found = re.search(r"smallest that works is (\d+) B$", refuse(*sized(too_small), words=words))
        assert found
        least = int(found[1])
        assert least > too_small
        again = refuse(*sized(least - 1), words=(*words, f"{least - 1} B is too small"))
        assert again.endswith(f"smallest that works is {least} B")
        succeed(capsys, "run", "t.npz", *sized(least))

    @pytest.mark.parametrize("share", ["ifmap=0.2", "ofmap=0.01"])
    def test_following_the_advice_ends(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], share: str
    ) -> None:
        """A larger buffer changes the tiles, so that another part may be too small next; but not for ever."""
        sx.save_trace(a_conv_trace(), tmp_path / "t.npz")
        size = 300
        for _ in range(5):
            settings = ("--set", f"memory.glb.partition.{share}", "--set", f"memory.glb.bytes={size}")
            outcome = spikex(capsys, "run", tmp_path / "t.npz", *settings)
            if outcome.code == 0:
                return
            advised = int(is_mistake(outcome, "smallest that works is").split()[-2])
            assert advised > size
            size = advised
        pytest.fail(f"still too small with {size} B")

    @pytest.mark.parametrize("part", ["filter", "ifmap"])
    def test_a_buffer_for_a_tap_but_not_for_a_channel_works(self, part: str) -> None:
        """One input channel's 25 taps do not fit: they move in runs of taps, and nothing else changes."""
        tight: dict[str, Any] = {f"memory.lbuf.partition.{part}": 0.02}
        small, usual = (
            sx.simulate(a_conv_trace(), overrides=overrides).layers[0]
            for overrides in ({**tight, "memory.lbuf.bytes": 1024}, {})
        )
        assert small.steps > usual.steps
        assert small.output_sha256 == usual.output_sha256

    @pytest.mark.parametrize("knob", ["positions", "windows"])
    def test_a_tile_that_does_not_fit(self, refuse: Refuse, knob: str) -> None:
        sx.save_trace(a_conv_trace(), "t.npz")
        size = 64 if knob == "positions" else T
        level = "lbuf" if knob == "positions" else "glb"
        words = (f"memory.{level}.bytes", "smallest that works is")
        refuse("--set", f"mapping.{knob}={size}", "--set", "memory.glb.bytes=2000", "--tws", "1", words=words)
