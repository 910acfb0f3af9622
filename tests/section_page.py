"""A page with a single section of a report, for tests of its script."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from spikex_sim.report.escaping import data_text
from spikex_sim.report.page import PARTS
from spikex_sim.report.section import Section

ASSETS = files("spikex_sim.report") / "assets"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>section</title>
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<style>:root {{ color-scheme: light dark; font-family: sans-serif; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #14171a; color: #e6e6e6; }} }}
{style}</style></head>
<body><main id="{name}">{html}</main>
<script type="application/json" id="data">{data}</script>
<script>const spikexReport = {{ sections: {{}} }};</script>
<script>{script}</script>
<script>spikexReport.sections["{name}"](document.getElementById("{name}"),
  JSON.parse(document.getElementById("data").textContent));</script>
</body></html>
"""


def section_page(section: Section, folder: Path) -> Path:
    """Write a page with a section, its script and its style."""
    file = folder / f"{section.name}.html"
    names = [f"{section.script}.css", *PARTS.get(section.script, ()), f"{section.script}.js"]
    style, *scripts = ((ASSETS / name).read_text(encoding="utf-8") for name in names)
    script = "</script>\n<script>".join(scripts)
    made = PAGE.format(
        name=section.name, html=section.html, data=data_text(dict(section.data)), style=style, script=script
    )
    file.write_text(made, encoding="utf-8")
    return file
