"""The project's one address, from the package's metadata."""

from __future__ import annotations

import configparser
from urllib.parse import urlsplit

PLACEHOLDER = ".example"
"""Ending of the host of an address that the owner has not filled in yet (RFC 2606)."""


def address_in(cfg: str) -> str:
    r"""Return ``url`` of a ``setup.cfg``; nothing while it is a placeholder.

    >>> address_in("[metadata]\nurl = https://spikex-sim.example")
    ''
    """
    parser = configparser.ConfigParser()
    parser.read_string(cfg)
    url = parser.get("metadata", "url", fallback="").strip()
    host = urlsplit(url).hostname or ""
    return "" if not host or host.endswith(PLACEHOLDER) else url
