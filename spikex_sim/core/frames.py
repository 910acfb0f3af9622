"""Rows as a table of pandas, where that is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from spikex_sim.core.errors import UnsupportedError
from spikex_sim.core.origin import pip_install


def frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Make a ``pandas.DataFrame`` of rows.

    Raises
    ------
    UnsupportedError
        If pandas is not installed.
    """
    try:
        pandas = import_module("pandas")  # not imported: the simulator does without
    except ImportError:
        raise UnsupportedError(
            f"a data frame needs pandas: {pip_install('parquet')}", field="to_frame"
        ) from None
    return pandas.DataFrame.from_records([dict(row) for row in rows])
