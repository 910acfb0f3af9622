"""Text of unknown origin: what a terminal would act on is shown instead."""

from __future__ import annotations


def harmless(text: str) -> str:
    r"""Replace everything but line ends that does not print, or turns text around, by its escape.

    Examples
    --------
    >>> print(harmless("\x1b[2J gone"))
    \x1b[2J gone
    """
    if text.isprintable():
        return text
    shown = (one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    return "".join(shown)
