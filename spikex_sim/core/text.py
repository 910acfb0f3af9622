"""Text for a reader: numbers with their noun; of unknown origin, without what a terminal would act on."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "point"), counted(2000, "point")
    ('1 point', '2,000 points')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


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
