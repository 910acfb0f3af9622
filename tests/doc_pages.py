"""Pages of the documentation, and what stands in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NOT_OURS = {".venv", ".venv-bench", ".venv-train", ".venv-docs", ".pytest_cache", ".git", "build", "results"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not NOT_OURS.intersection(path.relative_to(ROOT).parts[:-1])
)
COMMANDS_IN = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(page: str, title: str) -> str:
    """Text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no heading '{title}'"
    return found[1]
