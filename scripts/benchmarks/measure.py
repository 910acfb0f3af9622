"""Measure everything in one run, write it as JSON, and compare it with the saved run.

    make bench            # into results/bench, compared with docs/performance.json
    make bench SAVE=1     # and saved there, with docs/performance.md

Every figure is a ratio of two things that are timed in turn, or an exponent. A ratio that is more than 10 %
worse than in the saved run ends the command with exit code 1.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import spikex_sim as sx
from benchmarks import nice, page, scalesim_run, workloads
from benchmarks.timing import Timer, exponent, medians, settled, timed
from spikex_sim.core.jit import KERNELS
from spikex_sim.run.simulate import check_runnable, simulate_on, versions
from spikex_sim.trace.trace import Trace

WORSE = 1.1
"""How much worse than in the saved run a ratio may be."""
CLOSED_LOOP = ("N-MNIST", "DVS-Gesture Large")


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes
    ----------
    name, versus : str
        What was timed, and against what.
    value : float or None
        The ratio or exponent; None where it could not be measured.
    target : float or None
        What it should be, at most, or at least with ``more``.
    more : bool
        Whether more is better.
    details : str
        The times behind it, or why there are none.
    """

    name: str
    versus: str
    value: float | None
    target: float | None
    details: str
    more: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without target or value."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.more else self.value <= self.target


def ms(seconds: float) -> str:
    """Milliseconds, three digits."""
    return f"{seconds * 1e3:.3g} ms"


@contextmanager
def dense_forward(file: Path) -> Iterator[Timer]:
    """Timer of a trace's forward pass in a process of its own: PyTorch slows down what shares its process."""
    command = [sys.executable, "-m", "benchmarks.dense", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        orders, answers = process.stdin, process.stdout

        def forward() -> float:
            orders.write("\n")
            orders.flush()
            return float(answers.readline())

        yield forward
        orders.close()


def against_dense(folder: Path, repeats: int) -> Iterator[Row]:
    """Closed loop, costs only and event engine against a dense forward pass."""
    for name in CLOSED_LOOP:
        trace = workloads.recorded(name, folder)
        rows = ((f"{name}, closed loop", 1.0), (f"{name}, costs only", 0.3))
        reason = "the recording is not at hand" if trace is None else ""
        if not reason and find_spec("torch") is None:
            reason = "PyTorch is not installed"
        if trace is None or reason:
            yield from (Row(row, "dense PyTorch forward", None, target, reason) for row, target in rows)
            continue
        costs = workloads.without_weights(trace)
        with dense_forward(workloads.file_of(name, folder)) as forward:
            timers = (timed(sx.simulate, trace), timed(sx.simulate, costs), forward)
            whole, only, dense = medians(timers, repeats)
        for (row, target), taken in zip(rows, (whole, only), strict=True):
            details = f"{ms(taken)} / {ms(dense)}"
            yield Row(row, "dense PyTorch forward", taken / dense, target, details)
        engines = (timed(sx.simulate, trace), timed(sx.simulate, trace, engine="event"))
        fast, event = medians(engines, max(3, repeats // 5), in_a_row=1)
        yield Row(f"{name}, event engine", "fast engine", event / fast, 50, f"{ms(event)} / {ms(fast)}")


def against_scalesim(folder: Path, repeats: int) -> Iterator[Row]:
    """Simulated cycles a second of a dense array."""
    name, versus = "cycles a second, dense array", "SCALE-Sim 3.0.0"
    if find_spec("scalesim") is None:
        yield Row(name, versus, None, 1000, "SCALE-Sim is not installed", more=True)
        return
    scalesim_run.prepare(folder)
    layers = scalesim_run.trace()
    timers = (
        settled(timed(sx.simulate, layers, "systolic-os")),
        timed(scalesim_run.run, folder),
        timed(scalesim_run.idle, folder),
    )
    ours, theirs, imports = medians(timers, max(3, repeats // 5), in_a_row=1)
    details = f"{ms(ours)}, {ms(theirs - imports)} and {ms(imports)} of imports; the same four layers"
    yield Row(name, versus, (theirs - imports) / ours, 1000, details, more=True)
    # One time point is mostly the start of each layer; all 30 are not.
    trace = workloads.recorded("N-MNIST", folder)
    if trace is not None:
        cycles = sx.simulate(layers, "systolic-os").totals.compute_cycles
        costs = workloads.without_weights(trace)
        (taken,) = medians((timed(sx.simulate, costs, "systolic-os"),), repeats)
        longer = sx.simulate(costs, "systolic-os").totals.compute_cycles
        rate, slow = longer / taken, cycles / (theirs - imports)
        details = f"{rate:,.0f} / {slow:,.0f} cycles a second; N-MNIST, all 30 time points"
        yield Row(f"{name}, T=30", versus, rate / slow, None, details, more=True)


def crossbars(folder: Path, repeats: int) -> Iterator[Row]:
    """Arrays that are not ideal against dense solves, and against ideal ones in closed loop."""
    ours, dense = nice.seconds(3)
    details = f"{ms(dense)} / {ms(ours)}"
    yield Row("NICE equation of one crossbar", "dense numpy solves", dense / ours, None, details, more=True)
    trace = workloads.recorded("N-MNIST", folder)
    for name, keys in {"non-ideal arrays": {}, "adapted arrays": {"imc.adapt": "channel"}}.items():
        row, versus = f"N-MNIST, {name}, programmed before", "ideal arrays"
        if trace is None:
            yield Row(row, versus, None, 3.0, "the recording is not at hand")
            continue
        arch = sx.load_accelerator("spikesim", {"imc.arrays": "nonideal", **keys})
        arrays = check_runnable([trace], arch, "fast")
        timers = (
            timed(simulate_on, arrays, trace, arch, engine="fast"),
            timed(sx.simulate, trace, "spikesim"),
        )
        real, ideal = medians(timers, repeats)
        yield Row(row, versus, real / ideal, 3.0, f"{ms(real)} / {ms(ideal)}")


def against_limits(folder: Path, repeats: int) -> Iterator[Row]:
    """Recorded VGG-9 layers, start from a cold shell, and memory."""
    trace = workloads.recorded("VGG-9 layers", folder)
    for setting, tws in (("TWS=4", 4), ("best TWS of 1 to 4", "auto")):
        name, versus = f"VGG-9 recorded layers, PTB with StSAP, {setting}", "0.2 s"
        if trace is None:
            yield Row(name, versus, None, 1.0, "the recording is not at hand")
        else:
            (taken,) = medians((timed(sx.simulate, trace, "ptb-stsap", tws=tws),), max(3, repeats // 5))
            yield Row(name, versus, taken / 0.2, 1.0, ms(taken))

    def shell(*words: str) -> Timer:
        command = [sys.executable, *words]
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return timed(subprocess.run, command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=kept)

    run = shell("-m", "spikex_sim", "run", "--tws", "4")
    cold, numba = medians((run, shell("-c", "import numba")), max(5, repeats // 3), in_a_row=1)
    yield Row("spikex-sim run, cold shell", "import numba", cold / numba, 2.5, f"{ms(cold)} / {ms(numba)}")
    yield from peaks(folder)


def peaks(folder: Path) -> Iterator[Row]:
    """Memory at its peak, of fresh processes above what they have after their imports."""
    script = (
        "import sys, spikex_sim as sx\n"
        "from spikex_sim.run.simulate import simulate\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return int(next(line for line in lines if line.startswith('VmHWM')).split()[1]) / 1000\n"
        "before = peak(); simulate(sx.load_trace(sys.argv[1])); print(peak() - before, before)"
    )
    largest = folder / "resnet18.npz"
    sx.save_trace(workloads.generated("resnet18-cifar10", 4), largest)
    at_hand = workloads.recorded("DVS-Gesture Large", folder) is not None
    cases = {
        "DVS-Gesture Large": (folder / "dvs-gesture-large.npz" if at_hand else None, 1.0),
        "ResNet-18, 32x32 pixels, T=4, every layer's spikes recorded": (largest, None),
    }
    for name, (file, target) in cases.items():
        if file is None:
            yield Row(f"peak memory, {name}", "300 MB", None, target, "the recording is not at hand")
            continue
        command = [sys.executable, "-c", script, str(file)]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        more, before = map(float, found)
        details = f"{more:.0f} MB above {before:.0f} MB of interpreter and imports"
        yield Row(f"peak memory, {name}", "300 MB", more / 300, target, details)


NETWORKS = ("lenet5-mnist", "vgg9-cifar10", "vgg16-cifar10", "resnet18-cifar10", "resnet18-tinyimagenet")
"""Networks of growing size, with activity as their presets have it."""
LARGE_ARRAY = {"array.rows": 128, "array.cols": 128, "mapping.tile": "layer"}


def scaling(repeats: int) -> Iterator[Row]:
    """Exponents of the time against what a run consists of."""

    def series(
        name: str, sizes: list[Any], make: Callable[[Any], tuple[Trace, dict[str, Any]]],
        measure: Callable[[Any], float] = float, target: float | None = None,
    ) -> Row:  # fmt: skip
        made = [make(size) for size in sizes]
        taken = medians([timed(sx.simulate, trace, **options) for trace, options in made], repeats)
        pairs = ", ".join(f"{size}: {ms(one)}" for size, one in zip(sizes, taken, strict=True))
        return Row(name, "exponent", exponent([measure(size) for size in sizes], taken), target, pairs)

    repeats = max(3, repeats // 3)
    yield series("input spikes, by rate", [0.01, 0.02, 0.04, 0.08, 0.16, 0.32],
                 lambda rate: (workloads.conv_layer(rate, 100), {}), target=1.1)  # fmt: skip
    yield series("time points", [50, 100, 200, 400], lambda steps: (workloads.conv_layer(0.05, steps), {}))
    layer = workloads.conv_layer(0.05, 128)
    yield series("window size", [2, 4, 8, 16], lambda tws: (layer, {"tws": tws}))
    yield series("PEs, square array", [8, 16, 32, 64, 128],
                 lambda side: (layer, {"overrides": {"array.rows": side, "array.cols": side,
                                                     "mapping.tile": "layer"}}),
                 lambda side: float(side * side))  # fmt: skip
    yield series("channels in and out", [16, 32, 64, 128],
                 lambda channels: (workloads.conv_layer(0.05, 50, channels=channels, side=8), {}),
                 lambda channels: float(channels * channels))  # fmt: skip
    yield series("network, by synapses, T=4, 128x128 PEs, costs only", list(NETWORKS),
                 lambda name: (workloads.generated(name, 4), {"tws": 4, "overrides": LARGE_ARRAY}),
                 workloads.synapses)  # fmt: skip


def throughput(folder: Path, repeats: int) -> Iterator[Row]:
    """A batch against one sample, and the largest network on the largest array."""
    trace = workloads.recorded("N-MNIST", folder)
    if trace is not None:
        batch = [trace] * 16
        many, one = medians((timed(sx.simulate, batch), timed(sx.simulate, trace)), max(3, repeats // 5))
        details = f"{16 / many:.0f} samples a second, {1 / one:.0f} one by one"
        yield Row("16 samples of N-MNIST in a run", "16 runs", many / (16 * one), None, details)
    network = workloads.generated("resnet18-tinyimagenet", 4)
    (taken,) = medians((timed(sx.simulate, network, tws=4, overrides=LARGE_ARRAY),), 3)
    neurons = sum(layer.out_channels * layer.out_height * layer.out_width for layer in network.layers)
    yield Row("ResNet-18, 64x64 pixels, T=4, 128x128 PEs", "1 s", taken, None,
              f"{ms(taken)}, {neurons:,} neurons, costs only")  # fmt: skip


def profile(folder: Path) -> dict[str, float]:
    """Shares of a short simulation's time: compiled kernels, numpy's calls, and Python."""
    trace = workloads.recorded("N-MNIST", folder)
    if trace is None:
        return {}
    costs = workloads.without_weights(trace)
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(20):
        sx.simulate(costs)
    profiler.disable()
    kernels = {kernel.py_func.__name__ for kernel in KERNELS}
    shares = {"kernels": 0.0, "numpy": 0.0, "Python": 0.0}
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        kind = "numpy" if "numpy" in file + name else "Python"
        shares["kernels" if name in kernels and "spikex_sim" in file else kind] += own
    total = sum(shares.values())
    return {name: round(own / total, 3) for name, own in shares.items()}


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {"cpu": model, "cores": str(os.cpu_count()), "system": f"{platform.system()} {platform.machine()}"}


def commit() -> str:
    """Commit of the working tree, marked where it has changes."""
    command = ["git", "-C", str(workloads.ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def worse(rows: list[dict[str, Any]], saved: list[dict[str, Any]]) -> list[str]:
    """Figures that are more than 10 % worse than the saved ones."""
    before = {row["name"]: row["value"] for row in saved}
    found = []
    for row in rows:
        value, old = row["value"], before.get(row["name"])
        if value is None or not old or value <= 0 or row["versus"] == "exponent":
            continue
        factor = old / value if row["more"] else value / old
        if factor > WORSE:
            found.append(f"{row['name']}: {value:.3g}, was {old:.3g}")
    return found


def main() -> int:
    """Measure, print, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--save", action="store_true", help="replace docs/performance.json and .md")
    given = parser.parse_args()
    sx.simulate(workloads.conv_layer(0.05, 20))  # kernels
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = (against_dense, against_scalesim, crossbars, against_limits)
        kinds = (*(part(folder, given.repeats) for part in parts), scaling(given.repeats))
        for part in (*kinds, throughput(folder, given.repeats)):
            for row in part:
                rows.append(asdict(row) | {"met": row.met})
                print(page.line(rows[-1]), flush=True)
        shares = profile(folder)
    about = {"commit": commit(), "machine": machine(), "versions": versions() | _others()}
    found = about | {"rows": rows, "profile": shares}
    saved = json.loads(page.SAVED.read_text())["rows"] if page.SAVED.exists() else []
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1) + "\n"
    (given.out / "bench.json").write_text(text)
    if given.save:
        page.SAVED.write_text(text)
        page.PAGE.write_text(page.markdown(found))
        return 0
    slower = worse(rows, saved)
    for item in slower:
        print(f"worse than the saved run by more than 10 %: {item}")
    return 1 if slower else 0


def _others() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "scalesim") if find_spec(name)}


if __name__ == "__main__":
    sys.exit(main())
