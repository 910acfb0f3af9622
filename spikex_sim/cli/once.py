"""No option is given twice: the last would win, and nothing would say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from spikex_sim.core.errors import ConfigError


def take_once(command: Any) -> None:
    """Let every command from this one down refuse an option that it has one value of and is given two."""
    for one in getattr(command, "commands", {}).values():
        take_once(one)
    command.parse_args = _checked(command, command.parse_args)


def _checked(command: Any, parse: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(parse)
    def checked(context: Any, arguments: list[str]) -> Any:
        if not context.resilient_parsing:
            _, _, order = command.make_parser(context).parse_args(args=list(arguments))
            single = (one for one in order if one.param_type_name == "option" and not one.multiple)
            for option, times in Counter(single).items():
                if times > 1 and not option.is_flag:
                    raise ConfigError("is given more than once", where=option.opts[0])
        return parse(context, arguments)

    return checked
