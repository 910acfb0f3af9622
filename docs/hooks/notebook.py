"""Notebooks as Markdown pages, with what their cells printed and drew; nothing is executed."""

from __future__ import annotations

import html
import json
from typing import Any

PICTURES = ("image/svg+xml", "image/png")
HEADER = "[Download this notebook]({name}){{ .md-button download }}\n"


def page_of(text: str, name: str) -> str:
    """Return a notebook (nbformat 4, its JSON) as Markdown.

    Parameters
    ----------
    text:
        Content of the file.
    name:
        Name of the file, for a link to it.
    """
    notebook = json.loads(text)
    language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = _joined(cell["source"]).strip("\n")
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source:
            parts.append(_fenced(source, language))
            parts += [part for output in cell.get("outputs", ()) if (part := _shown(output))]
        if len(parts) == 1:
            parts.append(HEADER.format(name=name))
    return "\n\n".join(parts) + "\n"


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _fenced(text: str, language: str) -> str:
    fence = "```" if "```" not in text else "````"
    return f"{fence}{language}\n{text}\n{fence}"


def _shown(output: dict[str, Any]) -> str:
    """What a cell gave: text, a table, a picture or an error."""
    if output["output_type"] == "stream":
        return _pre(_joined(output["text"]))
    if output["output_type"] == "error":
        return _pre(f"{output['ename']}: {output['evalue']}")
    data = output.get("data", {})
    for kind in PICTURES:
        if kind in data:
            content = _joined(data[kind])
            if kind == "image/svg+xml":
                return f'<div class="output" markdown="0">{_one_block(content)}</div>'
            picture = content.replace("\n", "")
            return (
                f'<img class="output" alt="what the cell above draws" src="data:image/png;base64,{picture}">'
            )
    if "text/html" in data:
        return f'<div class="output" markdown="0">{_one_block(_joined(data["text/html"]))}</div>'
    return _pre(_joined(data["text/plain"])) if "text/plain" in data else ""


def _pre(text: str) -> str:
    return f'<pre class="output">{html.escape(text.rstrip())}</pre>' if text.strip() else ""


def _one_block(text: str) -> str:
    """HTML without empty lines, at which Markdown would go on."""
    return "\n".join(line for line in text.splitlines() if line.strip())
