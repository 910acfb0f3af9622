"""What makes a site of the pages, which make docs builds: navigation, links, notebooks, terms, references."""

from __future__ import annotations

import configparser
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_docs import page_maker

import spikex_sim as sx
from doc_pages import DOCS, ROOT, identifier, read
from spikex_sim import plots

sys.path[:0] = [str(DOCS / "hooks"), str(ROOT / "scripts")]
address: Any = importlib.import_module("address")
contents: Any = importlib.import_module("contents")
linking: Any = importlib.import_module("linking")
notebook: Any = importlib.import_module("notebook")
terms: Any = importlib.import_module("terms")
check_site: Any = importlib.import_module("check_site")

NOTEBOOKS = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("notebooks/*.ipynb"))


# --- Navigation ------------------------------------------------------------------------------------


def test_every_page_and_notebook_is_in_the_navigation_once() -> None:
    found = contents.pages_of(contents.navigation(read("index.md"), NOTEBOOKS))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    texts = {identifier(path): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
    outside = {linking.place_of(path) for path in linking.outside(ROOT, texts) if path.endswith(".md")}
    assert sorted(found) == sorted(pages | outside | {linking.place_of(f"docs/{name}") for name in NOTEBOOKS})


def test_navigation_follows_the_tables() -> None:
    index = (
        "# X\n\n## One\n\n| page | for |\n|---|---|\n| [a b](a.md) | see [c](c.md) |\n"
        "| [d](d/index.md) | [e](d/e.md), [a](a.md) |\n\n## Questions\n\n| q | [f](f.md) |\n"
    )
    assert contents.navigation(index, []) == [
        {"Home": "index.md"},
        {"One": [{"A b": "a.md"}, {"D": ["d/index.md", "d/e.md"]}]},
    ]
    with pytest.raises(ValueError, match=r"leads to no n\.ipynb"):
        contents.navigation(index, ["n.ipynb"])


# --- Links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "link", "place"),
    [
        ("docs/a.md", "../README.md#limits", "project/readme.md#limits"),
        ("docs/accelerators/ptb.md", "../../ASSUMPTIONS.md#ptb", "../project/assumptions.md#ptb"),
        ("docs/rtl.md", "../hardware/README.md", "hardware/index.md"),
        ("docs/rtl.md", "../hardware", "hardware/index.md"),
        ("docs/a.md", "../CITATION.cff", "tree/CITATION.cff"),
        ("docs/a.md", "notebooks/crossbars_and_noise.ipynb", "notebooks/crossbars_and_noise.md"),
        ("README.md", "docs/traces.md", "../traces.md"),
        ("hardware/README.md", "formal/README.md", "formal/index.md"),
        ("docs/a.md", "https://a.org/x.md", "https://a.org/x.md"),
        ("docs/a.md", "#here", "#here"),
    ],
)
def test_links_lead_to_where_the_site_has_things(page: str, link: str, place: str) -> None:
    assert linking.rewritten(ROOT, page, f"see [x]({link}).") == f"see [x]({place})."


def test_code_keeps_its_links() -> None:
    text = "```\n[x](../README.md)\n```\n"
    assert linking.rewritten(ROOT, "docs/a.md", text) == text
    assert list(linking.targets_of("docs/a.md", text)) == []


def test_a_link_to_no_file_stops_the_site() -> None:
    with pytest.raises(FileNotFoundError, match=r"docs/a.md leads to nowhere.txt"):
        linking.outside(ROOT, {"docs/a.md": "[x](../nowhere.txt)"})
    with pytest.raises(FileNotFoundError, match="outside"):
        linking.outside(ROOT, {"docs/a.md": "[x](../../outside.md)"})


def test_pipes_in_code_of_tables_are_plain() -> None:
    assert linking.whole_pipes("| `a\\|b` | c\\|d |\n`a\\|b`") == "| `a|b` | c\\|d |\n`a\\|b`"


def test_a_broken_site_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="a/#there">1</a><a href="a/#gone">2</a><a href="b/">3</a><a href="../x">4</a>'
        '<img src="no.png"><script src="https://cdn.org/x.js"></script><a href="https://b.org">ok</a>'
    )
    (tmp_path / "a/index.html").write_text(
        '<p id="there"><a href="..">up</a><link rel="canonical" href="https://c.org">'
    )
    assert check_site.faults(tmp_path) == [
        "index.html loads https://cdn.org/x.js from another host",
        "index.html leads to a/#gone: no such anchor",
        "index.html leads to b/: no such file",
        "index.html leads to ../x: outside of the site",
        "index.html leads to no.png: no such file",
    ]


# --- Notebooks -------------------------------------------------------------------------------------


def test_a_notebook_becomes_a_page() -> None:
    outputs = [
        {"output_type": "stream", "text": ["<b> & 1\n"]},
        {"output_type": "display_data", "data": {"image/png": "AA\n==", "text/plain": "Figure"}},
        {"output_type": "execute_result", "data": {"text/html": "<table>\n\n</table>", "text/plain": "t"}},
        {"output_type": "error", "ename": "E", "evalue": "<x>"},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": "print(1)\n", "outputs": outputs},
        {"cell_type": "code", "source": "", "outputs": []},
    ]
    page = notebook.page_of(json.dumps({"cells": cells, "metadata": {}}), "n.ipynb")
    assert page.startswith("# Title\ntext\n\n[Download this notebook](n.ipynb)")
    assert "```python\nprint(1)\n```" in page
    assert '<pre class="output">&lt;b&gt; &amp; 1</pre>' in page
    assert 'src="data:image/png;base64,AA=="' in page
    assert "<table>\n</table>" in page
    assert "E: &lt;x&gt;" in page


# --- Terms -----------------------------------------------------------------------------------------


def test_abbreviations_are_explained_where_they_occur() -> None:
    known = terms.abbreviations(read("glossary.md"))
    assert known["TWS"] == "time window size, in time points"
    assert terms.as_markdown(known, "A TWS of 4.") == "\n*[TWS]: time window size, in time points"
    assert terms.as_markdown(known, "An LBUFX.") == ""


def test_names_lead_to_their_row() -> None:
    known = terms.names("glossary/", read("glossary.md"))
    term = known["compute_cycles"]
    code = "<code>compute_cycles</code>"
    html = terms.with_links(f"<p>{code}</p><pre>{code}</pre>", known, "a/", "../")
    assert f'href="../glossary/#{term.anchor}"' in html and html.count("<a ") == 1
    assert (
        terms.with_links("<code>compute_cycles</code>", known, "glossary/", "../")
        == "<code>compute_cycles</code>"
    )
    row = "<tr>\n<td><code>compute_cycles</code></td><td>x</td></tr>"
    assert f'<td><a id="{term.anchor}"></a><code>' in terms.with_anchors(row, known, "glossary/")
    assert "mode" not in known, "an ordinary word elsewhere"


def test_tooltips_are_meanings_and_no_formulas() -> None:
    headings = "| key | unit | meaning | formula |\n|---|---|---|---|\n"
    table = headings + "| `a_b`, `a.c` | pJ | of [x](y.md) `z` | `1 \\| 2` |\n"
    assert terms.names("g/", table) == {
        "a_b": terms.Term("g/", "a_b", "of x z"),
        "a.c": terms.Term("g/", "ac", "of x z"),
    }
    keys = terms.names("configuration/", read("configuration.md"))
    assert keys["memory.lbuf.port_bits"].meaning == "ports"


def test_commands_and_calls_lead_to_their_reference() -> None:
    known = {
        name: terms.Term("r/", name, "") for name in ("spikex-sim trace show", "spikex-sim run", "sx.sweep")
    }
    for code, anchor in (
        ("spikex-sim trace show x.npz", "spikex-sim trace show"),
        ("spikex-sim run --tws 4", "spikex-sim run"),
        ("sx.sweep(trace)", "sx.sweep"),
    ):
        assert f'#{anchor}"' in terms.with_links(f"<code>{code}</code>", known, "a/", "../")
    assert "<a" not in terms.with_links(
        "<code>spikex-sim runs</code><code>sx.sweeps(1)</code>", known, "a/", ""
    )


def test_roles_of_docstrings_are_names() -> None:
    html = "see :func:<code>~a.b.c</code> and :class:<code>D</code>"
    assert terms.without_roles(html) == "see <code>:c</code> and <code>:D</code>"


# --- References ------------------------------------------------------------------------------------


def documented() -> list[str]:
    pages = sorted((DOCS / "api").glob("*.md"))
    return [
        name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    ]


def home(name: str) -> str:
    """Name under which the reference has a public one; packages that can be called are what they call."""
    called = getattr(getattr(sx, name), "__wrapped__", None)
    return f"{called.__module__}.{called.__name__}" if called else f"spikex_sim.{name}"


def test_reference_has_every_public_name_once() -> None:
    found = documented()
    assert len(found) == len(set(found))
    wanted = {home(name) for name in sx.__all__} | {f"spikex_sim.plots.{name}" for name in plots.__all__}
    assert wanted - set(found) == set(), "a new public name needs a line ::: in a page of docs/api/"


def test_reference_has_every_plug_in_class() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    points = parser["options.entry_points"]
    wanted = {
        line.split(" = ")[1].replace(":", ".")
        for group in points
        if group.startswith("spikex_sim.")
        for line in points[group].strip().splitlines()
    }
    assert wanted <= set(documented())


@pytest.mark.parametrize("name", documented())
def test_what_the_reference_names_exists_and_is_documented(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert name == "spikex_sim.plots.PAPER_FIGURES" or found.__doc__


def parameters_told(docstring: str) -> list[str]:
    """Names in the section Parameters of a docstring in NumPy style."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    lines = [] if found is None else re.findall(r"^(\S[^:\n]*?)\s*(?::.*)?$", found[1], re.MULTILINE)
    return [name.strip("* ") for line in lines for name in line.split(",")]


def callables() -> Iterator[tuple[str, Any]]:
    for name in documented():
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        if inspect.isfunction(found):
            yield name, found
        elif inspect.isclass(found):
            own = {key: one for key, one in vars(found).items() if key[0] != "_" and inspect.isfunction(one)}
            yield from ((f"{name}.{key}", one) for key, one in own.items())


def test_docstrings_tell_of_parameters_that_there_are() -> None:
    """Whatever else stands in the section is a warning, which stops the site."""
    told = 0
    for name, one in callables():
        names = parameters_told(inspect.getdoc(one) or "")
        assert set(names) <= set(inspect.signature(one).parameters), name
        told += len(names)
    assert told > 300


def test_reference_of_the_command_line_is_up_to_date() -> None:
    page = read("cli.md")
    assert page_maker("cli").rewritten(page) == page, "run python scripts/make_cli_page.py"


# --- One address -----------------------------------------------------------------------------------


def test_the_site_takes_the_address_from_the_package() -> None:
    assert address.address_in("[metadata]\nurl = https://spikex-sim.example\n") == ""
    assert address.address_in("[metadata]\nname = x\n") == ""
    assert address.address_in("[metadata]\nurl = https://a.org/x\n") == "https://a.org/x"
    configured = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert not re.search(r"^(site_url|repo_url|edit_uri):", configured, re.MULTILINE)


# --- Publishing ------------------------------------------------------------------------------------


def test_the_workflow_builds_as_make_does_and_pins_its_actions() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/docs.yml").read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == ["make docs"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one) for one in used)
    uploaded = next(step["with"]["path"] for step in steps if "upload-pages" in step.get("uses", ""))
    assert f"site_dir: {uploaded}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")
