"""The documentation as a site: what MkDocs calls while it builds.

The pages stay as they are for readers of the repository. Here the files outside of ``docs/`` that they lead
to come in, notebooks become pages, the navigation follows docs/index.md, and names lead to the glossary.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import address
import contents
import linking
import notebook
import terms
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Known:
    """What pages are given while they are built."""

    sources: dict[str, str]
    abbreviations: dict[str, str]
    names: dict[str, terms.Term]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set what follows from other files: address, navigation, anchors."""
    home = address.address_in((ROOT / "setup.cfg").read_text("utf-8"))
    if home:  # a link, and no repo_url, for which readers' browsers would ask another host
        config.extra["social"] = [{"icon": "material/source-repository", "link": home, "name": "Project"}]
    if os.environ.get("SITE_URL"):
        config.site_url = os.environ["SITE_URL"].rstrip("/") + "/"
    config.mdx_configs["toc"]["slugify"] = linking.slug
    docs = Path(config.docs_dir)
    books = sorted(path.relative_to(docs).as_posix() for path in docs.glob("notebooks/*.ipynb"))
    index = (docs / "index.md").read_text("utf-8")
    try:
        config.nav = contents.navigation(index, books)
    except ValueError as error:
        raise PluginError(str(error)) from None
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in notebooks, and what pages lead to outside of the folder; note what names mean."""
    docs = Path(config.docs_dir)
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    for file in list(files):
        if file.inclusion == InclusionLevel.EXCLUDED:
            continue
        if file.src_uri.endswith(".md"):
            texts[f"docs/{file.src_uri}"] = (docs / file.src_uri).read_text("utf-8")
            sources[file.src_uri] = f"docs/{file.src_uri}"
        elif file.src_uri.endswith(".ipynb"):
            name = file.src_uri.rpartition("/")[2]
            page = notebook.page_of((docs / file.src_uri).read_text("utf-8"), name)
            place = linking.place_of(f"docs/{file.src_uri}")
            texts[f"docs/{file.src_uri}"] = page
            sources[place] = f"docs/{file.src_uri}"
            files.append(File.generated(config, place, content=page))
    try:
        others = linking.outside(ROOT, texts)
    except FileNotFoundError as error:
        raise PluginError(str(error)) from None
    for source in sorted(others):
        place = linking.place_of(source)
        sources[place] = source
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    config.extra["known"] = _known(texts, sources, files)
    return files


def _known(texts: dict[str, str], sources: dict[str, str], files: Files) -> Known:
    named: dict[str, terms.Term] = {}
    for page in ("glossary.md", "configuration.md"):
        named |= terms.names(_url(files, page), texts[f"docs/{page}"]) | named
    for page, text in texts.items():
        if page.startswith("docs/api/"):
            for path in re.findall(r"^::: (spikex_sim\.\S+)", text, re.MULTILINE):
                place = terms.Term(_url(files, page.removeprefix("docs/")), path, f"reference of {path}")
                short, last = path.replace("spikex_sim.", "sx.", 1), path.rpartition(".")[2]
                named |= dict.fromkeys((path, short, f"{terms.ROLE}{last}"), place)
                named.setdefault(f"sx.{last}", place)
    commands = re.findall(r"^##+ (spikex-sim [\w -]+)$", texts.get("docs/cli.md", ""), re.MULTILINE)
    for command in commands:
        named[command] = terms.Term(_url(files, "cli.md"), linking.slug(command), f"reference of {command}")
    return Known(sources, terms.abbreviations(texts["docs/glossary.md"]), named)


def _url(files: Files, page: str) -> str:
    found = files.get_file_from_path(page)
    return found.url if found else page


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to where the site has things, and explain abbreviations."""
    known: Known = config.extra["known"]
    text = linking.rewritten(ROOT, known.sources[page.file.src_uri], markdown)
    return linking.whole_pipes(text) + "\n" + terms.as_markdown(known.abbreviations, text)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead names in code to what explains them."""
    known: Known = config.extra["known"]
    up = "../" * page.url.count("/")
    html = terms.without_roles(html)
    html = terms.with_anchors(html, known.names, page.url)
    return terms.with_links(html, known.names, page.url, up)
