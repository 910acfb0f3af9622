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
        If pandas is not installed, or does not load.
    """
    try:
        pandas = import_module("pandas")  # not imported: the simulator does without
    except ModuleNotFoundError as exc:
        if exc.name != "pandas":
            raise _broken(exc) from None
        raise UnsupportedError(
            f"a data frame needs pandas: {pip_install('pandas')}", field="to_frame"
        ) from None
    except Exception as exc:  # of another numpy, or installed in part
        raise _broken(exc) from None
    return pandas.DataFrame.from_records([dict(row) for row in rows])


def _broken(exc: Exception) -> UnsupportedError:
    reason = " ".join(str(exc).split())
    return UnsupportedError(
        f"pandas is installed and does not load ({type(exc).__name__}: {reason:.200}); install it anew: "
        f"{pip_install('pandas')} --force-reinstall",
        field="to_frame",
    )
