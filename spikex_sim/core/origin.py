"""Where this copy of the package is from: its commit, a hash of its sources, how extras are installed."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

UNKNOWN = "unknown"
_PACKAGE = Path(__file__).absolute().parents[1]
_SOURCES = (".py", ".yaml", ".csv")
"""Endings of what results depend on: code, presets, energy tables."""
_GIT_SECONDS = 10


def origin() -> dict[str, str]:
    """Commit and hash of the sources, as results have them; found out once a process, at the first use."""
    return {"commit": commit(), "source_sha256": source_sha256()}


@lru_cache(maxsize=1)
def source_sha256() -> str:
    """Hash of the names and contents of the package's sources, the same for equal sources anywhere."""
    digest = hashlib.sha256()
    found = {}
    for folder, _, files in os.walk(_PACKAGE):
        for file in files:
            if file.endswith(_SOURCES):
                path = Path(folder, file)
                found[path.relative_to(_PACKAGE).as_posix()] = path
    for name, path in sorted(found.items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def commit() -> str:
    """Commit of the checkout that the package lies in, ``-dirty`` if files of it were changed.

    Without a checkout that which it was installed from, where the installer noted it, else ``unknown``.
    """
    root = _checkout()
    if root is None or not (root / ".git").exists():
        return str(_direct_url().get("vcs_info", {}).get("commit_id", UNKNOWN))
    describe = ("git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
    try:
        done = subprocess.run(
            describe,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def pip_install(extra: str) -> str:
    """Command that installs an extra of this copy of the package, from where it was itself installed."""
    return shlex.join([sys.executable or "python3", "-m", "pip", "install", *_requirement(extra)])


def _requirement(extra: str) -> list[str]:
    root, noted = _checkout(), _direct_url()
    if root is not None:
        return ["--editable", f"{root}[{extra}]"]
    url = str(noted.get("url", ""))
    if not url:
        return [f"spikex_sim[{extra}]"]
    if "vcs_info" in noted:
        vcs = noted["vcs_info"]
        return [f"spikex_sim[{extra}] @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}"]
    if url.startswith("file:"):
        return [f"{unquote(urlsplit(url).path)}[{extra}]"]
    return [f"spikex_sim[{extra}] @ {url}"]


def _checkout() -> Path | None:
    """Folder of the sources that the package is used from; None where it was copied away from them."""
    root = _PACKAGE.parent
    return root if (root / "setup.cfg").is_file() and (root / "scripts").is_dir() else None


@lru_cache(maxsize=1)
def _direct_url() -> Any:
    """What the installer noted of where the package is from (PEP 610); empty if nothing."""
    try:
        return json.loads(distribution("spikex_sim").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        return {}
