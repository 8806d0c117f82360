"""The options of magics: one small parser, whose complaints name the nearest option."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Option:
    """One option: its meaning; whether a value follows; what values there are.

    `kind` makes the value of the word that follows; ``None`` for an option without one.
    """

    help: str
    kind: type | None = None
    choices: Sequence[str] = ()
    default: Any = None


@cache
def usage_error() -> type[Exception]:
    """IPython's error for wrong use of a magic: one line, no traceback.

    Looked up when needed, so that ``import workbench`` does not import IPython.
    """
    from IPython.core.error import UsageError

    return UsageError


def parse(
    magic: str, line: str, options: Mapping[str, Option]
) -> tuple[dict[str, Any], list[str]]:
    """Split a magic's line into options and the words that are left.

    Parameters
    ----------
    magic
        Its name with per cent signs, for messages.
    line
        What stands after the name.
    options
        By name, without dashes.

    Raises
    ------
    UsageError
        An option is unknown, lacks its value, or its value is none of the choices.
    """
    values = {name: option.default for name, option in options.items()}
    rest: list[str] = []
    words = list(reversed(_split(line)))
    while words:
        word = words.pop()
        if not word.startswith("--"):
            rest.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name not in options:
            raise usage_error()(
                f"{magic}: unknown option --{name}{nearest(name, options)}"
            )
        option = options[name]
        if option.kind is None:
            values[name] = True
            continue
        if not equals:
            if not words or words[-1].startswith("--"):
                raise usage_error()(f"{magic}: --{name} needs a value: {option.help}")
            value = words.pop()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = _value(magic, name, option, value)
    return values, rest


def _split(line: str) -> list[str]:
    """The words of a line; quotes, which are kept, join words where they match."""
    try:
        return shlex.split(line, posix=False)
    except ValueError:
        return line.split()


def nearest(
    word: str, known: Mapping[str, Any] | Sequence[str], dashes: str = "--"
) -> str:
    """``; did you mean --step?``, or a list when nothing is near."""
    near = difflib.get_close_matches(word, list(known), 1, 0.5)
    if near:
        return f"; did you mean {dashes}{near[0]}?"
    return "; there are " + ", ".join(f"{dashes}{name}" for name in known)


def describe(options: Mapping[str, Option]) -> str:
    """The options, each on a line."""
    rows = []
    for name, option in options.items():
        value = (
            "" if option.kind is None else " " + ("|".join(option.choices) or "VALUE")
        )
        rows.append(f"  --{name}{value:<{max(1, 22 - len(name))}} {option.help}")
    return "\n".join(rows)


def _value(magic: str, name: str, option: Option, text: str) -> Any:
    assert option.kind is not None
    if option.choices:
        for part in text.split(","):
            if part not in option.choices:
                near = nearest(part, option.choices, "")
                raise usage_error()(f"{magic}: --{name} cannot be {part}{near}")
    try:
        return option.kind(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}.get(option.kind, "a word")
        raise usage_error()(f"{magic}: --{name} must be {kind}, not {text}") from None
