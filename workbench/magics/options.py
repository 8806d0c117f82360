"""The options of magics: one small parser, whose complaints name the nearest option."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.utils.process import arg_split


@dataclass(frozen=True)
class Option:
    """One option: its meaning; whether a value follows; what values there are.

    `kind` makes the value of the word that follows; ``None`` for an option without one.
    """

    help: str
    kind: type | None = None
    choices: Sequence[str] = ()
    default: Any = None


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
    words = list(reversed(arg_split(line, posix=True, strict=False)))
    while words:
        word = words.pop()
        if not word.startswith("--"):
            rest.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name not in options:
            raise UsageError(
                f"{magic}: unknown option --{name}{nearest(name, options)}"
            )
        option = options[name]
        if option.kind is None:
            values[name] = True
            continue
        if not equals:
            if not words or words[-1].startswith("--"):
                raise UsageError(f"{magic}: --{name} needs a value: {option.help}")
            value = words.pop()
        values[name] = _value(magic, name, option, value)
    return values, rest


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
                raise UsageError(f"{magic}: --{name} cannot be {part}{near}")
    try:
        return option.kind(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}.get(option.kind, "a word")
        raise UsageError(f"{magic}: --{name} must be {kind}, not {text}") from None
