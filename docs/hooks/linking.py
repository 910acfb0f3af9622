"""Links of pages as they stand in the repository, and as they lead on the site.

In the repository a page leads to ``../ASSUMPTIONS.md``, to a file of the tree or to a notebook. The site has
a page for each Markdown file and notebook that is led to, and a copy of each other file, so that links work
in both.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^(```.*?^```[^\S\n]*$)", re.MULTILINE | re.DOTALL)
DOCS = "docs/"


def is_local(target: str) -> bool:
    """Whether a link leads to a file."""
    return not re.match(r"[a-z]+:|#|/", target)


def source_of(page: str, target: str) -> str:
    """Path in the repository that a link of a page leads to, without its anchor."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))


def targets_of(page: str, text: str) -> Iterator[str]:
    """Paths in the repository that a page's links lead to."""
    for index, part in enumerate(FENCE.split(text)):
        if index % 2 == 0:
            yield from (source_of(page, found[2]) for found in LINK.finditer(part) if is_local(found[2]))


def place_of(source: str) -> str:
    """Place on the site, as if below ``docs/``, of a file of the repository.

    >>> [place_of(path) for path in ("docs/traces.md", "README.md", "hardware/README.md", "CITATION.cff")]
    ['traces.md', 'project/readme.md', 'hardware/index.md', 'tree/CITATION.cff']
    """
    if source.startswith(DOCS):
        return re.sub(r"\.ipynb$", ".md", source.removeprefix(DOCS))
    folder, name = posixpath.split(source)
    if not name.endswith(".md"):
        return f"tree/{source}"
    if not folder:
        return f"project/{name.lower()}"
    return f"{folder}/{'index.md' if name == 'README.md' else name}"


def read_in_place_of(root: Path, source: str) -> str:
    """Path of the file that is shown for one of the tree: of a folder its README."""
    return f"{source}/README.md" if (root / source).is_dir() else source


def outside(root: Path, pages: dict[str, str]) -> set[str]:
    """Files outside of ``docs/`` that pages lead to, directly or by way of such files.

    Parameters
    ----------
    root:
        Folder of the repository.
    pages:
        Text of every page below ``docs/``, by its path in the repository.

    Raises
    ------
    FileNotFoundError
        A link leads to a file that is not there, or to a folder without README.
    """
    found: set[str] = set()
    todo = list(pages.items())
    while todo:
        page, text = todo.pop()
        for target in targets_of(page, text):
            source = read_in_place_of(root, target)
            if source.startswith(DOCS) or source in found:
                continue
            if not (root / source).is_file() or source.startswith(".."):
                raise FileNotFoundError(f"{page} leads to {target}, where no file is")
            found.add(source)
            if source.endswith(".md"):
                todo.append((source, (root / source).read_text("utf-8")))
    return found


def rewritten(root: Path, page: str, text: str) -> str:
    """Text of a page whose links lead to where the site has things.

    Parameters
    ----------
    root:
        Folder of the repository.
    page:
        Path of the page in the repository.
    text:
        Its Markdown.
    """
    here = posixpath.dirname(place_of(page))

    def on_site(found: re.Match[str]) -> str:
        target = found[2]
        if not is_local(target):
            return found[0]
        _, hash_, anchor = target.partition("#")
        place = place_of(read_in_place_of(root, source_of(page, target)))
        return f"{found[1]}{posixpath.relpath(place, here or '.')}{hash_}{anchor}{found[3]}"

    return outside_fences(text, lambda part: LINK.sub(on_site, part))


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Change what of a page is no block of code."""
    return "".join(part if index % 2 else change(part) for index, part in enumerate(FENCE.split(text)))


def whole_pipes(text: str) -> str:
    """Code in tables with plain ``|``, which Python-Markdown shows with the backslash that others want."""

    def plain(row: re.Match[str]) -> str:
        return re.sub(r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), row[0])

    return outside_fences(text, lambda part: re.sub(r"^\|.*$", plain, part, flags=re.MULTILINE))


def slug(title: str, separator: str = "-") -> str:
    """Anchor of a heading, as GitHub makes it.

    >>> slug("results.json: top level")
    'resultsjson-top-level'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", separator)
