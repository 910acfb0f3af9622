"""Entry point of ``spikex-sim`` and ``python -m spikex_sim``: every mistake of the user is one line."""

from __future__ import annotations

import gc
import sys
from typing import Any

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Importing makes many objects and no garbage: collecting in between costs a sixth of the start-up.
    gc.disable()
    import typer

    from spikex_sim.cli.app import command
    from spikex_sim.errors import SpikexError

    # typer carries its own click, whose base exception it does not re-export
    usage_error: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    gc.enable()
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


if __name__ == "__main__":
    sys.exit(main())
