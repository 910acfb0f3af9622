"""Entry point of ``spikex-sim`` and ``python -m spikex_sim``: every mistake of the user is one line."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
import traceback
from typing import Any

EXIT_MISTAKE = 2
EXIT_FAULT = 70
"""Of an internal error, as in BSD's ``sysexits.h``."""
EXIT_INTERRUPTED = 130
GC_THRESHOLD = 200_000
TRACEBACK = "SPIKEX_SIM_TRACEBACK"
"""Environment variable that, set to anything, has the traceback of every mistake printed before its line."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        from spikex_sim.cli.app import command

        code = command().main(arguments, prog_name="spikex-sim", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as exc:
        if os.environ.get(TRACEBACK):
            traceback.print_exception(exc)
        message, code = _explain(exc)
        sys.stderr.write(message)
    return code if isinstance(code, int) else 0


def _explain(exc: BaseException) -> tuple[str, int]:
    """Message and exit code of what the user can mend or has asked for; anything else is a bug and raised."""
    import typer

    from spikex_sim.core.errors import InternalError, SpikexError
    from spikex_sim.core.registry import fault_of_plugin

    # typer carries its own click, whose exceptions it does not re-export
    usage_error: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    if type(exc).__name__ == "NoArgsIsHelpError":
        return f"{exc}\n", EXIT_MISTAKE
    text = "interrupted" if isinstance(exc, KeyboardInterrupt | typer.Abort) else ""
    if isinstance(exc, SystemError) and isinstance(exc.__cause__, KeyboardInterrupt):
        text = "interrupted"  # inside a compiled kernel
    if text:
        return f"spikex-sim: {text}\n", EXIT_INTERRUPTED
    if isinstance(exc, InternalError):
        return f"spikex-sim: {exc}\n", EXIT_FAULT
    if isinstance(exc, SpikexError):
        text = str(exc)
    elif isinstance(exc, usage_error):
        text = " ".join(str(exc.format_message()).split())
    elif isinstance(exc, MemoryError):
        text = "not enough memory for this trace; replay fewer samples or time points"
    elif fault := fault_of_plugin(exc):
        text = f"{fault}; {TRACEBACK}=1 shows the traceback"
    elif isinstance(exc, OSError):
        broken = _output_is_broken()
        if isinstance(exc, BrokenPipeError):
            return "", EXIT_MISTAKE
        what = "standard output" if broken else exc.filename or "a temporary file"
        text = f"cannot write to {what}: {exc.strerror or exc}"
    else:
        raise exc
    return f"spikex-sim: {text}\n", EXIT_MISTAKE


def _output_is_broken() -> bool:
    """Whether standard output is; then what is still buffered goes nowhere, lest Python complain about it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def entry() -> int:
    """Run the command line as a process of its own.

    Imports and compiled kernels are many objects and hardly any garbage: searching them for it as often as
    Python does by default, and once more on the way out, takes a third of a short run's time.
    """
    gc.set_threshold(GC_THRESHOLD)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ shows ? instead
    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(entry())
