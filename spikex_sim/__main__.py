"""Entry point of ``spikex-sim`` and ``python -m spikex_sim``: every mistake of the user is one line."""

from __future__ import annotations

import gc
import sys
from typing import Any

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
GC_THRESHOLD = 200_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    import typer

    from spikex_sim.cli.app import command
    from spikex_sim.errors import SpikexError

    # typer carries its own click, whose base exception it does not re-export
    usage_error: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        code = command().main(arguments, prog_name="spikex-sim", standalone_mode=False)
    except SpikexError as exc:
        return _complain(str(exc))
    except usage_error as exc:
        return _complain(" ".join(str(exc.format_message()).split()))
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", EXIT_INTERRUPTED)
    except MemoryError:
        return _complain("not enough memory for this trace; replay fewer samples or time points")
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_MISTAKE
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int = EXIT_MISTAKE) -> int:
    sys.stderr.write(f"spikex-sim: {message}\n")
    return code


def entry() -> int:
    """Run the command line as a process of its own.

    Imports and compiled kernels are many objects and hardly any garbage: searching them for it as often as
    Python does by default, and once more on the way out, takes a third of a short run's time.
    """
    gc.set_threshold(GC_THRESHOLD)
    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(entry())
