"""Hypothesis profiles: ``HYPOTHESIS_PROFILE`` chooses one, ``SPIKEX_EXAMPLES`` scales the examples.

``ci`` draws the same examples wherever it runs, ``thorough`` new ones each time.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from examples import scaled

pytest.register_assert_rewrite("comparison", "spikex_sim.testing.kit")

GC_THRESHOLD = 10_000
"""Objects between searches for garbage."""
TESTS_A_FREEZE = 300
BEGUN = pytest.StashKey[int]()
"""Tests that a process has begun."""
SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)

settings.register_profile(
    "ci",
    max_examples=scaled(60),
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=SLOW_IS_FINE,
)
settings.register_profile(
    "thorough", settings.get_profile("ci"), derandomize=False, max_examples=scaled(2000)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile kernels anew if any of their sources changed, once and before any worker process starts."""
    if not hasattr(session.config, "workerinput"):
        from spikex_sim.run.simulate import prepare

        prepare()


def pytest_collection_finish() -> None:
    """Ten thousand tests are many objects and no garbage: do not search them for it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nor what has been compiled, loaded and kept by now."""
    item.session.stash[BEGUN] = item.session.stash.get(BEGUN, 0) + 1
    if item.session.stash[BEGUN] % TESTS_A_FREEZE == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture
def quiet_logger() -> Iterator[None]:
    """Commands send the package's notices to standard error; undo that for the tests that follow."""
    logger = logging.getLogger("spikex_sim")
    handlers, propagate = list(logger.handlers), logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a file of every kind that commands take."""
    from command_folder import fill_working_folder

    monkeypatch.chdir(tmp_path)
    fill_working_folder()
    return tmp_path
