"""Entry point of ``spikex-sim`` and ``python -m spikex_sim``: every mistake of the user is one line."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
import traceback
from typing import Any

from spikex_sim.cli.process import Output, Terminated, end_as_after_ctrl_c, fill_descriptors

EXIT_MISTAKE = 2
EXIT_UNSOUND = 1
"""Of ``doctor``, where the installation does not work."""
EXIT_FAULT = 70
"""Of an internal error, as in BSD's ``sysexits.h``."""
EXIT_SIGNAL = 128
"""Added to a signal's number, as shells do; Ctrl-C is signal 2."""
GC_THRESHOLD = 200_000
TRACEBACK = "SPIKEX_SIM_TRACEBACK"
"""Environment variable that, set to anything, has the traceback of every mistake printed before its line."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Files are written even where standard output is closed or full, which is said at the end, or where its
    reader has seen enough.
    """
    output: Any = Output(sys.stdout)
    before, sys.stdout = sys.stdout, output
    message = ""
    try:
        command = _command()
        code = command().main(arguments, prog_name="spikex-sim", standalone_mode=False)
        output.flush()
    except _NotLoadedError as exc:
        message, code = _unsound(exc, sys.argv[1:] if arguments is None else arguments)
    except (Exception, KeyboardInterrupt, Terminated) as exc:
        if os.environ.get(TRACEBACK):
            traceback.print_exception(exc)
        message, code = _explain(exc)
    finally:
        sys.stdout = before
    if output.failure is not None and not code and not isinstance(output.failure, BrokenPipeError):
        message, code = (
            f"spikex-sim: cannot write to standard output: {output.failure.strerror}\n",
            EXIT_MISTAKE,
        )
    with contextlib.suppress(OSError):
        sys.stderr.write(message)
    return code if isinstance(code, int) else 0


class _NotLoadedError(Exception):
    """A package that the command line itself needs does not load."""


def _command() -> Any:
    """Return the command line; what is wrong in this package itself, not in others, is a bug."""
    try:
        from spikex_sim.cli.app import command
    except Exception as exc:
        name = getattr(exc, "name", None) or _module_of(exc)
        if name.partition(".")[0] == "spikex_sim":
            raise
        reason = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
        raise _NotLoadedError(f"{name} does not load: {reason}") from exc
    return command


def _unsound(exc: _NotLoadedError, arguments: list[str]) -> tuple[str, int]:
    """Message and exit code; of ``doctor``, which cannot print its tables, what is to be mended."""
    from spikex_sim.core.text import harmless

    if os.environ.get(TRACEBACK):
        traceback.print_exception(exc)
    lines = [f"{exc}; spikex-sim doctor says more"]
    if arguments[:1] == ["doctor"]:
        from spikex_sim.core.doctor import doctor

        lines = [*doctor().problems] or [str(exc)]
    code = EXIT_UNSOUND if arguments[:1] == ["doctor"] else EXIT_MISTAKE
    return "".join(harmless(f"spikex-sim: {line}") + "\n" for line in lines), code


def _explain(exc: BaseException) -> tuple[str, int]:
    """Message and exit code of what the user can mend or has asked for; anything else is a bug and raised."""
    import typer

    from spikex_sim.core.errors import InternalError, SpikexError
    from spikex_sim.core.registry import fault_of_plugin
    from spikex_sim.core.text import harmless

    # typer carries its own click, whose exceptions it does not re-export
    usage_error: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    if type(exc).__name__ == "NoArgsIsHelpError":
        return f"{exc}\n", EXIT_MISTAKE
    if isinstance(exc, SystemError) and isinstance(exc.__cause__, KeyboardInterrupt | Terminated):
        exc = exc.__cause__  # inside a compiled kernel
    if isinstance(exc, Terminated):
        return "spikex-sim: terminated\n", EXIT_SIGNAL + exc.number
    if isinstance(exc, KeyboardInterrupt | typer.Abort):
        return "spikex-sim: interrupted\n", EXIT_SIGNAL + 2
    code = EXIT_MISTAKE
    if isinstance(exc, InternalError):
        text, code = str(exc), EXIT_FAULT
    elif isinstance(exc, SpikexError):
        text = str(exc)
    elif isinstance(exc, usage_error):
        text = " ".join(str(exc.format_message()).split())
    elif isinstance(exc, MemoryError):
        text = "not enough memory for this trace; replay fewer samples or time points"
    elif fault := fault_of_plugin(exc):
        text = f"{fault}; {TRACEBACK}=1 shows the traceback"
    elif isinstance(exc, OSError):
        what = exc.filename or "a temporary file"
        text = f"{what}: {exc.strerror or exc}"
    elif _module_of(exc).startswith("numba."):
        text = f"numba: {exc}; mind the environment variables NUMBA_..."
    else:
        raise exc
    return harmless(f"spikex-sim: {text}") + "\n", code


def _module_of(exc: BaseException) -> str:
    """Module that raised."""
    at = exc.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return str(at.tb_frame.f_globals.get("__name__", "")) if at is not None else ""


def entry() -> int:
    """Run the command line as a process of its own.

    Imports and compiled kernels are many objects and hardly any garbage: searching them for it as often as
    Python does by default, and once more on the way out, takes a third of a short run's time.
    """
    gc.set_threshold(GC_THRESHOLD)
    os.environ.pop("MPLBACKEND", None)  # of windows: here figures are files
    fill_descriptors()
    end_as_after_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ shows ? instead
    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(entry())
