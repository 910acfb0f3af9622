"""An exception in one line: its kind, its text and its place."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from traceback import FrameSummary

from spikex_sim.core.errors import InternalError, SpikexError


def one_line(exc: BaseException, frames: Sequence[FrameSummary] | None = None) -> str:
    """Describe an error in one line; what is not a user's mistake with its kind and place.

    Parameters
    ----------
    exc : BaseException
        What was raised.
    frames : sequence of FrameSummary, optional
        Where, the last one innermost; by default what its traceback says.
    """
    text = " ".join(str(exc).split())
    if isinstance(exc, SpikexError | InternalError):
        return text
    frames = traceback.extract_tb(exc.__traceback__) if frames is None else frames
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(exc, SyntaxError) and exc.filename:
        text, places = exc.msg, [(exc.filename, exc.lineno)]
    place = f" ({Path(places[-1][0]).name}:{places[-1][1]})" if places else ""
    return f"{type(exc).__name__}: {text}".removesuffix(": ") + place
