"""The slow oracle, time part: the ledger of a layer's steps, their durations, the recurrence, the stalls.

Written from the text of the hardware model (cited as "§n"), independently of the package and sharing no
code with it. Every quantity is a Python integer, every fraction exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

LEVELS = ("dram", "glb", "lbuf", "rf")
TENSORS = ("ifmap", "filter", "ofmap", "psum", "tag")


def ceil_div(a: int, b: int | Fraction) -> int:
    """Return a / b rounded up, exactly."""
    return -int(-a // b)


def recurrence(
    f: list[int],
    l: list[int],  # noqa: E741
    c: list[int],
    s: list[int],
    w: list[int],
) -> list[tuple[int, int, int, int, int]]:
    """Ends ``(F, L, C, S, W)`` of the five activities of every step, from their durations (§5 Time)."""
    count = len(f)
    known: dict[tuple[str, int], int] = {}

    def end(rule: Callable[[int], int], i: int) -> int:
        """Time 0 below the first step, the last step above the last."""
        if i < 0:
            return 0
        i = min(i, count - 1)
        key = (rule.__name__, i)
        if key not in known:
            known[key] = rule(i)
        return known[key]

    def F(i: int) -> int:  # noqa: N802
        return max(end(F, i - 1), end(L, i - 2), end(W, i - 4)) + f[i]

    def L(i: int) -> int:  # noqa: N802
        return max(end(F, i), end(L, i - 1), end(C, i - 2), end(S, i - 3)) + l[i]

    def C(i: int) -> int:  # noqa: N802
        return max(end(L, i), end(C, i - 1), end(S, i - 2)) + c[i]

    def S(i: int) -> int:  # noqa: N802
        return max(end(C, i), end(S, i - 1), end(L, i + 2), end(W, i - 2)) + s[i]

    def W(i: int) -> int:  # noqa: N802
        return max(end(S, i), end(W, i - 1), end(F, i + 3)) + w[i]

    for i in range(count):  # in ascending order, so that the recursion stays shallow
        end(W, i)
    return [(end(F, i), end(L, i), end(C, i), end(S, i), end(W, i)) for i in range(count)]


def stalls_of(steps: list[dict[str, int]], ends: list[tuple[int, int, int, int, int]]) -> dict[str, int]:
    """Sum the stalls of all steps by their cause (§5 Stalls)."""
    stalls = {"dram": 0, "glb": 0, "lbuf": 0, "drain": ends[-1][4] - ends[-1][2]}
    for i, step in enumerate(steps):
        before = ends[i - 1][2] if i >= 1 else 0
        sent = ends[i - 2][3] if i >= 2 else 0
        a = max(before, ends[i][0])
        b = max(a, ends[i][1])
        stalls["dram"] += a - before
        stalls["glb"] += b - a
        stalls["drain"] += max(b, sent) - b
        stalls["lbuf"] += step["c"] - step["array_cycles"]
    return stalls


def set_durations(step: dict[str, int], config: Mapping[str, Any]) -> None:
    """Turn a step's bits into cycles (§5 Durations): one rounding up per activity, over all tensors."""
    dram, glb, lbuf = (config["memory"][level] for level in ("dram", "glb", "lbuf"))
    per_cycle = Fraction(str(dram["bandwidth_bytes_per_s"])) * 8 / Fraction(str(config["clock_hz"]))
    outside = min(per_cycle, Fraction(int(glb["dram_port_bits"])))  # the slower side
    inside = Fraction(min(int(glb["array_port_bits"]), int(lbuf["port_bits"])))

    def cycles(bits: int, width: Fraction, latency: int) -> int:
        """Zero bits take zero cycles; the latency is added once to what is not empty."""
        return ceil_div(bits, width) + latency if bits else 0

    step["f"] = cycles(step["f_bits"], outside, int(dram["latency_cycles"]))
    step["w"] = cycles(step["w_bits"], outside, int(dram["latency_cycles"]))
    step["l"] = cycles(step["l_bits"], inside, int(glb["latency_cycles"]))
    step["s"] = cycles(step["s_bits"], inside, int(glb["latency_cycles"]))
    port, latency = Fraction(int(lbuf["port_bits"])), int(lbuf["latency_cycles"])
    step["c"] = max(
        step["array_cycles"],
        cycles(step["lbuf_read_bits"], port, latency),
        cycles(step["lbuf_write_bits"], port, latency),
    )


class Ledger:
    """The steps of a layer and its bits per level, tensor and direction."""

    def __init__(self, *, output_kept: bool = False) -> None:
        self.output_kept, self.sent_tags, self.past_the_port = output_kept, 0, 0
        self.steps: list[dict[str, int]] = []
        self.accesses = {
            level: {tensor: {"read_bits": 0, "write_bits": 0} for tensor in TENSORS} for level in LEVELS
        }

    def new_step(self) -> dict[str, int]:
        """Append a step in which nothing happens yet."""
        keys = ("f_bits", "l_bits", "s_bits", "w_bits", "array_cycles", "lbuf_read_bits", "lbuf_write_bits")
        self.steps.append(dict.fromkeys(keys, 0))
        return self.steps[-1]

    def read(self, level: str, tensor: str, bits: int) -> None:
        """Count bits read from a level."""
        self.accesses[level][tensor]["read_bits"] += bits

    def write(self, level: str, tensor: str, bits: int) -> None:
        """Count bits written to a level."""
        self.accesses[level][tensor]["write_bits"] += bits

    def move(self, source: str, target: str, tensor: str, bits: int) -> None:
        """Move bits to the neighbouring level: reads of one are writes of the other (§5 Counts)."""
        self.read(source, tensor, bits)
        self.write(target, tensor, bits)
        activity = {"dram glb": "f", "glb lbuf": "l", "lbuf glb": "s", "glb dram": "w"}[f"{source} {target}"]
        self.steps[-1][f"{activity}_bits"] += bits

    def send(self, ofmap: int, tags: int, at_most: int | None) -> None:
        """Send outputs from the LBUF to DRAM: this step as much as it may, extra steps the rest (§5).

        Outputs that are kept go no farther than the GLB.
        """
        self.sent_tags += tags
        if at_most == 0 and ofmap + tags:
            raise ValueError("the LBUF's ofmap half holds nothing")
        while True:
            now_ofmap = ofmap if at_most is None else min(ofmap, at_most)
            now_tags = tags if at_most is None else min(tags, at_most - now_ofmap)
            way = [("lbuf", "glb")] if self.output_kept else [("lbuf", "glb"), ("glb", "dram")]
            for source, target in way:
                self.move(source, target, "ofmap", now_ofmap)
                self.move(source, target, "tag", now_tags)
            ofmap, tags = ofmap - now_ofmap, tags - now_tags
            if not ofmap + tags:
                return
            self.new_step()

    def keep(self, tags: int) -> None:
        """Zero tags that a unit beside the GLB has: counted as moved, and the port does not see them."""
        self.sent_tags += tags
        self.past_the_port += tags
        self.read("lbuf", "tag", tags)
        self.write("glb", "tag", tags)
        if not self.output_kept:
            self.move("glb", "dram", "tag", tags)
