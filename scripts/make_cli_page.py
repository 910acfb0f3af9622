"""Rewrite docs/cli.md, the reference of the command line, from the program's own help."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import filled, keep_in_step, markdown_table

from spikex_sim.cli.app import command

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
PROGRAM = "spikex-sim"
EXAMPLE = re.compile(r"^(?:Example|Examples): ", re.MULTILINE)
OUTSIDE = {"--install-completion", "--show-completion"}
"""Options that depend on the shell in which the program runs."""


def every_command(group: Any, words: str = PROGRAM, parent: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Names of all commands with the command and its context, those of a group behind it."""
    context = group.context_class(group, info_name=words, parent=parent, **group.context_settings)
    yield words, group, context
    for name in group.list_commands(context):
        one = group.commands[name]
        if one.hidden:
            continue
        if hasattr(one, "commands"):
            yield from every_command(one, f"{words} {name}", context)
        else:
            yield f"{words} {name}", one, one.context_class(one, info_name=name, parent=context)


def paragraphs(one: Any) -> list[str]:
    """What a command's help says, a paragraph a line."""
    text = inspect.cleandoc(one.help or "").split("\f")[0]
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def sentence(one: Any) -> str:
    """First paragraph of a command's help."""
    return next(iter(paragraphs(one)), "")


def escaped(text: str) -> str:
    """Text as a cell of a table shows it."""
    plain = " ".join(text.split()).replace("|", "\\|")
    return html.escape(plain, quote=False).replace("*", "\\*").replace("_", "\\_")


def code(text: str) -> str:
    """Text in backticks, for a cell of a table."""
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`"


def records(one: Any, context: Any, *, arguments: bool) -> list[tuple[str, str]]:
    """Names and meanings of arguments or options, as ``--help`` has them."""
    found = []
    for parameter in one.get_params(context):
        left_out = OUTSIDE if context.parent is None else {"--help"}
        if (parameter.param_type_name == "argument") != arguments or left_out & set(parameter.opts):
            continue
        record = parameter.get_help_record(context)
        if record is not None:
            found.append((code(record[0]), escaped(record[1])))
    return found


def described(words: str, one: Any, context: Any) -> str:
    """Section of a command."""
    usage = " ".join(part for part in one.collect_usage_pieces(context) if part)
    parts = [f"## {words}"]
    examples = []
    for text in paragraphs(one):
        if EXAMPLE.match(text):
            examples.append(EXAMPLE.sub("", text))
        else:
            parts.append(re.sub(r"(?<![\w`-])(--[a-z][\w-]*)", r"`\1`", html.escape(text, quote=False)))
    parts.append(f"```text\nUsage: {words} {usage}\n```")
    if examples:
        parts.append("```\n" + "\n".join(examples) + "\n```")
    for arguments, title in ((True, "argument"), (False, "option")):
        rows = records(one, context, arguments=arguments)
        if rows:
            parts.append(markdown_table((title, "meaning"), rows))
    return "\n\n".join(parts)


def sections() -> dict[str, str]:
    """Parts of the page by the names of their markers."""
    found = list(every_command(command()))
    rows = [
        (f"[`{words}`](#{words.replace(' ', '-')})", escaped(sentence(one)))
        for words, one, _ in found
        if not hasattr(one, "commands")
    ]
    wanted = (one for one in found if one[0] == PROGRAM or not hasattr(one[1], "commands"))
    return {
        "commands": markdown_table(("command", "does"), rows),
        "reference": "\n\n".join(described(*one) for one in wanted),
    }


def rewritten(page: str) -> str:
    """Put the current reference between the page's markers."""
    return filled(page, "make_cli_page", sections().items())


if __name__ == "__main__":
    keep_in_step(PAGE, rewritten, "make_cli_page", __doc__)
