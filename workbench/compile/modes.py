"""Modes: which rewrites are done, and what runs the result.

=================  =============================================================
``FAST_RUN``       all rewrites, one compiled C program
``FAST_COMPILE``   the rewrites that keep numbers stable, run by NumPy: no wait
``None``           no rewrites, run by NumPy: the meaning itself
``DEBUG``          as FAST_RUN, every kernel checked against NumPy at every call
=================  =============================================================

``get_mode("FAST_RUN").excluding("finite_math")`` is a mode, too: tags and names of rules
are added and taken away.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from workbench.compile.rewrite import Rule
from workbench.compile.rules import STAGES
from workbench.config import config


@dataclass(frozen=True)
class Mode:
    """A choice of rules and a back end.

    Attributes
    ----------
    name
        What people call it; a changed mode says how it was changed.
    backend
        ``"c"``, ``"numpy"``, or ``"debug"`` for the C program run kernel by kernel with checks.
    tags
        Rules with one of these tags, or of one of these names, are used.
    excluded
        Rules with one of these tags, or of one of these names, are not, even so.
    """

    name: str
    backend: str
    tags: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def including(self, *tags: str) -> Mode:
        """This mode with rules of the given tags or names added."""
        check_tags(tags)
        name = f"{self.name}+{'+'.join(tags)}"
        return replace(
            self,
            name=name,
            tags=self.tags | set(tags),
            excluded=self.excluded - set(tags),
        )

    def excluding(self, *tags: str) -> Mode:
        """This mode without rules of the given tags or names."""
        check_tags(tags)
        return replace(
            self,
            name=f"{self.name}-{'-'.join(tags)}",
            excluded=self.excluded | set(tags),
        )

    def stages(self) -> list[tuple[str, list[Rule]]]:
        """The stages in order, each with the rules of this mode."""
        return [
            (stage, [r for r in rules if self.chooses(r, stage)])
            for stage, rules in STAGES
        ]

    def chooses(self, rule: Rule, stage: str) -> bool:
        """Whether this mode uses a rule: by its stage, one of its tags, or its name."""
        names = rule.tags | {rule.name, stage}
        return bool(names & self.tags) and not names & self.excluded


def known_tags() -> set[str]:
    """Every stage, every tag and every name of a rule."""
    rules = [rule for _, stage in STAGES for rule in stage]
    tags = {tag for rule in rules for tag in rule.tags}
    return tags | {rule.name for rule in rules} | {stage for stage, _ in STAGES}


def check_tags(tags: tuple[str, ...]) -> None:
    """Raise a ValueError that names the nearest one when a tag or rule does not exist."""
    known = known_tags()
    for tag in tags:
        if tag not in known:
            near = difflib.get_close_matches(tag, known, 1, 0)
            raise ValueError(
                f"there is no rule or tag {tag!r}; did you mean {near[0]!r}?"
            )


ALL = frozenset({"canonical", "stability", "algebra", "blas"})

MODES: dict[str, Mode] = {
    "FAST_RUN": Mode("FAST_RUN", "c", ALL),
    "FAST_COMPILE": Mode(
        "FAST_COMPILE", "numpy", frozenset({"canonical", "stability"})
    ),
    "None": Mode("None", "numpy"),
    "DEBUG": Mode("DEBUG", "debug", ALL),
}


def get_mode(mode: str | Mode | None = None) -> Mode:
    """A mode by name (case does not matter); None gives ``config.mode``.

    Raises
    ------
    ValueError
        No mode has that name; the nearest one is named.
    """
    if isinstance(mode, Mode):
        return mode
    wanted = config.mode if mode is None else mode
    names = {name.lower(): name for name in MODES} | {
        "debugmode": "DEBUG",
        "debug_mode": "DEBUG",
    }
    if str(wanted).lower() in names:
        return MODES[names[str(wanted).lower()]]
    near = difflib.get_close_matches(str(wanted).upper(), MODES, 1, 0)
    raise ValueError(
        f"there is no mode {wanted!r}; did you mean {near[0]!r}? There are {', '.join(MODES)}."
    )
