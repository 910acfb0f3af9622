"""Compiled kernels on disk: found again, never stale, and never a reason for a run to fail.

A package of two kernels stands for the whole one, with the modules that compile and keep them.
"""

from __future__ import annotations

import ast
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pytest

import spikex_sim
from command import environment, process
from spikex_sim.core import jit
from spikex_sim.run.simulate import prepare
from spikex_sim.run.small import USES

MODULES = ("core/errors.py", "core/text.py", "core/files.py", "core/jit.py", "run/warmup.py")
PARTS = {
    "constants.py": "STEP = 1\n",
    "inner.py": """
from spikex_sim.core.jit import kernel


@kernel
def inner(x):
    return x + 10
""",
    "outer.py": """
from spikex_sim.constants import STEP
from spikex_sim.core.jit import kernel
from spikex_sim.inner import inner


@kernel
def outer(x, at=0):
    return 100 * inner(x)[at] + STEP
""",
    "unrelated.py": "SIZE = 1\n",
    "use.py": """
import sys
import numpy as np
from spikex_sim.core.jit import KERNELS
from spikex_sim.outer import outer
from spikex_sim.run.warmup import ensure_compiled

array = np.arange(3)
ensure_compiled(("use",), lambda _: outer(array, 0))
value = outer(array, int(sys.argv[1]))
stats = [kernel.stats for kernel in KERNELS]
print(value, sum(len(one.cache_hits) for one in stats), sum(len(one.cache_misses) for one in stats))
""",
}
COMPILED, LOADED = "0 2", "1 0"
"""Hits and misses of both kernels; a loaded one has the code of what it calls in it."""


@dataclass(frozen=True)
class Ran:
    """Value that the kernel gave, hits and misses of the cache, and lines on standard error."""

    value: str
    how: str
    said: list[str]


class Small:
    """The small package in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "spikex_sim"

    def write(self) -> None:
        """Put its modules there."""
        source = Path(spikex_sim.__file__).parent
        for name in MODULES:
            (self.package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, self.package / name)
        for name, text in PARTS.items():
            (self.package / name).write_text(text)

    def start(self, *arguments: str, at: int = 0, **environment: str) -> subprocess.Popen[str]:
        """Use it in a process of its own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "XDG_"))}
        return subprocess.Popen(
            [sys.executable, *(arguments or ("-m", "spikex_sim.use")), str(at)],
            env={**kept, "PYTHONPATH": str(self.folder), "HOME": str(self.folder), **environment},
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, at: int = 0, **environment: str) -> Ran:
        """Use it, successfully."""
        return ended(self.start(*arguments, at=at, **environment))

    def files(self, place: str = "spikex_sim/__pycache__/kernels") -> list[Path]:
        """What it keeps."""
        return sorted(path for path in (self.folder / place).rglob("*") if path.is_file())


def ended(running: subprocess.Popen[str]) -> Ran:
    out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    value, _, how = out.strip().partition(" ")
    return Ran(value, how, err.splitlines())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package after its first run."""
    small = Small(tmp_path_factory.mktemp("small"))
    small.write()
    first = small.run()
    begun, told = first.said
    assert (first.value, first.how) == ("1001", COMPILED)
    assert begun.startswith("compiling kernels (use), once;")
    assert told.startswith("compiled kernels in ")
    assert told.endswith(f" s; they are kept in {small.files()[0].parent}")
    return small.folder


@pytest.fixture
def small(filled: Path, tmp_path: Path) -> Small:
    """A copy of the package, with what it keeps."""
    return Small(Path(shutil.copytree(filled, tmp_path / "small")))


def compiled_again(ran: Ran) -> bool:
    """Whether a run compiled, and said no more than how long."""
    return ran.how == COMPILED and [line[:17] for line in ran.said] == [
        "compiling kernels",
        "compiled kernels ",
    ]


class TestFoundAgain:
    def test_a_second_run_compiles_nothing(self, small: Small) -> None:
        before = {path: path.stat().st_mtime_ns for path in small.files()}
        assert small.run() == Ran("1001", LOADED, [])
        assert {path: path.stat().st_mtime_ns for path in small.files()} == before

    def test_dates_do_not_matter(self, small: Small) -> None:
        for path in small.package.rglob("*.py"):
            os.utime(path, (4e9, 4e9))
        for path in small.files():
            os.utime(path, (0, 0))
        assert small.run() == Ran("1001", LOADED, [])

    @pytest.mark.parametrize(
        ("name", "old", "new", "value"),
        [
            ("inner.py", "+ 10", "+ 20", "2001"),
            ("constants.py", "1", "2", "1002"),
            ("outer.py", "100", "7", "71"),
        ],
        ids=["callee", "constant", "caller"],
    )  # fmt: skip
    def test_a_changed_source_compiles_again(
        self, small: Small, name: str, old: str, new: str, value: str
    ) -> None:
        source, before = small.package / name, small.files()
        dates = source.stat().st_atime, source.stat().st_mtime
        source.write_text(source.read_text().replace(old, new))
        os.utime(source, dates)
        ran = small.run()
        assert ran.value == value and compiled_again(ran)
        assert len(small.files()) == len(before) and not set(small.files()) & set(before)
        assert small.run() == Ran(value, LOADED, [])

    def test_other_sources_do_not(self, small: Small) -> None:
        (small.package / "unrelated.py").write_text("SIZE = 2\n")
        assert small.run() == Ran("1001", LOADED, [])

    def test_sources_edited_under_way(self, small: Small) -> None:
        """What was imported before the edit is kept neither as the old sources' code nor as the new ones'."""
        edit = f"open('spikex_sim/inner.py', 'w').write({PARTS['inner.py'].replace('+ 10', '+ 20')!r})"
        shutil.rmtree(small.package / "__pycache__")
        under_way = small.run("-c", PARTS["use.py"].replace("array = ", f"{edit}\narray = "))
        assert not_kept(under_way, "sources were edited")
        assert small.files() == []
        assert small.run().value == "2001"

    def test_two_processes_compile_at_once(self, small: Small) -> None:
        shutil.rmtree(small.package / "__pycache__")
        both = [small.start() for _ in range(2)]
        assert [ended(one).value for one in both] == ["1001"] * 2
        assert small.run() == Ran("1001", LOADED, [])
        assert len(small.files()) == 3


def checksummed(content: bytes) -> bytes:
    """A whole file of other contents."""
    return blake2b(len(content).to_bytes(8, "big") + content, digest_size=16).digest() + content


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "garbled": lambda content: bytes(255 - byte for byte in content),
    "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "other pickle": lambda content: checksummed(pickle.dumps((1, 2))),
}


class TestDamaged:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_compiled_code(self, small: Small, damage: str) -> None:
        for path in small.files():
            if ".outer-" in path.name:
                path.write_bytes(DAMAGES[damage](path.read_bytes()))
        ran = small.run()
        assert (ran.value, ran.how) == ("1001", "1 1")  # the callee is whole
        assert len(ran.said) == 1 and ran.said[0].endswith("are damaged: compiling these again")
        assert small.run() == Ran("1001", LOADED, [])

    @pytest.mark.parametrize("damage", ["empty", "garbled"])
    def test_everything(self, small: Small, damage: str) -> None:
        for path in small.files():
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
        ran = small.run()
        assert (ran.value, ran.how, len(ran.said)) == ("1001", COMPILED, 3)
        assert ran.said[0].endswith("are damaged: compiling these again")
        assert small.run() == Ran("1001", LOADED, [])

    def test_a_lost_file_is_made_again(self, small: Small) -> None:
        outer = next(path for path in small.files() if ".outer-" in path.name)
        outer.unlink()
        ran = small.run()
        assert (ran.value, ran.how, len(ran.said)) == ("1001", "1 1", 2)
        assert small.run() == Ran("1001", LOADED, [])


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own at a folder."""
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def not_kept(ran: Ran, *words: str) -> bool:
    """Whether a run compiled, said once that this is in vain, and where."""
    assert (ran.value, ran.how, len(ran.said)) == ("1001", COMPILED, 3), ran
    return ran.said[1].startswith("compiled kernels cannot be kept") and all(
        word in ran.said[1] for word in words
    )


class TestNoPlace:
    def test_a_file_in_the_way(self, small: Small) -> None:
        (small.folder / "place").touch()
        assert not_kept(small.run(NUMBA_CACHE_DIR="place"), f"{small.folder}/place", "Not a directory")

    def test_read_only(self, small: Small) -> None:
        (small.folder / "place").mkdir()
        with mounted(small.folder / "place", "ro"):
            assert not_kept(
                small.run(NUMBA_CACHE_DIR="place"), f"{small.folder}/place", "Read-only file system"
            )

    def test_full(self, small: Small) -> None:
        place = small.folder / "place"
        place.mkdir()
        with mounted(place, "size=8k"):
            assert not_kept(small.run(NUMBA_CACHE_DIR="place"), f"{place}", "No space left on device")
            assert small.files("place") == []

    def test_neither_package_nor_home(self, small: Small) -> None:
        kernels = small.package / "__pycache__" / "kernels"
        shutil.rmtree(kernels)
        kernels.touch()
        assert not_kept(small.run(HOME="/proc"), f"{kernels}/", "/proc/.cache/")
        assert small.run(HOME=str(small.folder / "home")).how == COMPILED
        assert small.run(HOME=str(small.folder / "home")) == Ran("1001", LOADED, [])
        assert len(small.files("home/.cache")) == 3

    def test_kernels_that_were_there_are_read(self, small: Small) -> None:
        """As in an image filled when it was made: the package is read-only, what it keeps is used."""
        kernels = small.package / "__pycache__"
        shutil.copytree(kernels, small.folder / "copy")
        with mounted(kernels, "size=1m"):
            shutil.copytree(small.folder / "copy", kernels, dirs_exist_ok=True)
            subprocess.run(["mount", "-o", "remount,ro", str(kernels)], check=True)
            assert small.run(HOME="/proc") == Ran("1001", LOADED, [])


class TestNumba:
    def test_its_folder(self, small: Small) -> None:
        assert compiled_again(small.run(NUMBA_CACHE_DIR="place"))
        assert len(small.files("place")) == 3
        assert small.run(NUMBA_CACHE_DIR="place") == Ran("1001", LOADED, [])

    def test_without_compiling(self, small: Small) -> None:
        assert small.run(NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR="place") == Ran("1001", "0 0", [])
        assert not (small.folder / "place").exists()

    def test_with_bounds_checked(self, small: Small) -> None:
        """Code without checks lies there already, and is not taken for code with them."""
        running = small.start(at=3, NUMBA_BOUNDSCHECK="1")
        assert "IndexError: index is out of bounds" in running.communicate(timeout=100)[1]
        assert small.run().how == LOADED

    @pytest.mark.parametrize(
        "change",
        [
            "del numba.core.compiler.CompileResult._reduce",
            "del numba.core.codegen.CPUCodegen.magic_tuple",
            "numba.core.registry.CPUDispatcher._cache = property("
            "lambda self: numba.core.caching.NullCache(), lambda self, cache: None)",
        ],
    )
    def test_that_is_not_as_expected(self, small: Small, change: str) -> None:
        shutil.rmtree(small.package / "__pycache__")
        code = f"import numba, runpy; {change}; runpy.run_module('spikex_sim.use', alter_sys=False)"
        for _ in range(2):
            ran = small.run("-c", code)
            assert (ran.value, ran.how) == ("1001", COMPILED)
            (told,) = (line for line in ran.said if line.startswith("compiled kernels cannot be kept"))
            assert "Numba " in told and len(ran.said) == 3


def test_every_kernel_is_kept_like_this() -> None:
    """Decorated at the start of a line, and imported with from: so its sources are found."""
    package = Path(spikex_sim.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        if path != package / "core" / "jit.py":
            assert not re.search(r"\bn?jit\b *[(,]|import.*\bn?jit$", text, re.MULTILINE), path
            assert len(re.findall(r"@kernel\b", text)) == text.count("\n@kernel"), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("spikex_sim.") for alias in node.names), path
            assert not isinstance(node, ast.ImportFrom) or node.level == 0, path


EVERY_RUN = """
import sys
import numpy as np
import spikex_sim as sx
from spikex_sim.core.jit import KERNELS
from spikex_sim.run.simulate import _run_small, _simulate
from spikex_sim.run.small import USES
from spikex_sim.spec.load import load_accelerator, preset_names

REAL = [
    {"imc.arrays": "nonideal"} | keys for keys in (
        {}, {"imc.read_sigma": 0.1, "imc.write_sigma": 0.0, "imc.stuck.on": 0.1, "imc.goff": "column"},
        {"imc.adc.bits": "auto", "imc.r_par_ohm": 0.0},
        {"imc.adapt": "channel", "imc.encoding": "differential"},
    )
]
use = sys.argv[1]
_run_small(use)
machines = [(name, {}) for name in preset_names()] + [("neuronas", one) for one in REAL]
machines = [one for one in machines if load_accelerator(*one).get("scheduler", default=None) == use]
compiled = [len(kernel.signatures) for kernel in KERNELS]
random = np.random.default_rng(0)
runs = 0
for neuron, number in (
    ({"threshold": 1, "leak_shift": 2}, np.int8),
    ({"threshold": 1, "leak": 0.5, "datapath": "float", "reset": "subtract"}, np.float32),
):
    conv = {"name": "c", "kind": "conv", "in_channels": 1, "out_channels": 3, "kernel": 3, "in_height": 6,
            "in_width": 6, "neuron": neuron}
    pool = {"name": "p", "kind": "maxpool", "kernel": 2, "stride": 2, "in_channels": 3, "out_channels": 3,
            "in_height": 4, "in_width": 4}
    linear = {"name": "l", "kind": "linear", "in_channels": 12, "out_channels": 20, "neuron": neuron}
    weights = [random.integers(-3, 4, shape).astype(number) for shape in ((3, 1, 3, 3), (20, 12))]
    for timesteps in (1, 20):
        spikes = random.random((1, 6, 6, timesteps)) < 0.3
        closed = sx.Trace.from_arrays([conv, pool, linear], spikes, weights=[weights[0], None, weights[1]])
        for trace in (closed, sx.Trace.from_arrays([conv], spikes)):
            for name, keys in machines:
                window = {"tws": 1} if load_accelerator(name).get("tws", default=None) else {}
                for engine in ("fast", "event"):
                    try:
                        _simulate(trace, load_accelerator(name, keys | window), engine)
                        runs += 1
                    except sx.SpikexError:  # not for this machine
                        continue
print("runs:", runs)
found = zip(KERNELS, compiled, strict=True)
later = [kernel.__name__ for kernel, before in found if len(kernel.signatures) > before]
print("compiled later:", *later)
"""


RUNS = {"crossbar": 16, "ptb": 48, "sata": 24, "spikesim": 80, "spikex": 80, "spinalflow": 8, "systolic": 64}
"""Runs that the machines of a scheduler take at least."""


@pytest.mark.parametrize("use", USES)
def test_what_runs_need_is_compiled_beforehand(use: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_RUN, use],
        env=environment(NUMBA_DISABLE_JIT=None), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    runs, later = done.stdout.splitlines()
    assert later == "compiled later:"
    assert int(runs.split()[1]) >= RUNS[use]


def test_a_command_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kernel is to be compiled, and no file may be longer than 100 bytes."""
    prepare()
    kept = jit._store().kept_in
    if kept is None:
        pytest.skip("there are no kernels to copy")
    monkeypatch.setattr(jit._CONFIG, "CACHE_DIR", str(tmp_path))
    place = shutil.copytree(kept, next(jit._places()) / kept.name)
    for path in (*place.glob("all-*"), *place.glob("*.tags.seen-*")):
        path.unlink()
    before = sorted(place.iterdir())
    outcome = process(
        "run", "--tws", "4", env=environment(NUMBA_CACHE_DIR=str(tmp_path)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )  # fmt: skip
    begun, told, took = outcome.err.splitlines()
    assert begun.startswith("spikex-sim: compiling kernels (spikex), once;")
    assert told.startswith("spikex-sim: compiled kernels cannot be kept") and str(place) in told
    assert told.endswith(": cannot be written: File too large")
    assert took.startswith("spikex-sim: compiled kernels in ") and took.endswith(" s")
    assert outcome.code == 0 and "cycles" in outcome.out
    assert sorted(place.iterdir()) == before
