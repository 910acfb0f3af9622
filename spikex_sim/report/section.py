"""What a report is made of: sections, each with its text, its data and the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """A part of a report's page.

    Attributes
    ----------
    name : str
        Identifier of the element that it becomes: lower-case letters, digits and hyphens.
    title : str
        Heading; plain text, escaped by the page.
    html : str
        Markup below the heading; whoever makes it has escaped every text from a file.
    data : mapping
        Numbers and texts for the script, plain JSON; the page embeds them so that they cannot end a script.
    script : str
        File in ``assets/`` that defines ``spikexReport.sections[script](element, data)`` (the name without
        ``.js``), which draws ``data`` into ``element``; empty where the markup is all.
    """

    name: str
    title: str
    html: str
    data: Mapping[str, Any] = field(default_factory=dict)
    script: str = ""
