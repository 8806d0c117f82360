"""Modes: which rewrites are done, and what runs the result.

=================  =============================================================
``FAST_RUN``       all rewrites, one compiled C program
``FAST_COMPILE``   the rewrites that keep numbers stable, run by NumPy: no wait
``None``           no rewrites, run by NumPy: the meaning itself
``DEBUG``          as FAST_RUN, every kernel checked against NumPy at every call
=================  =============================================================

``Mode("c", "o2")`` joins a linker and an optimizer by their names in Theano, and a name of
an optimizer is a mode, too: ``mode="stabilize"``. ``get_mode("FAST_RUN").excluding(
"finite_math")`` is another one: tags and names of rules are added and taken away,
``"fusion"`` (operations share loops) and ``"inplace"`` (results take over memory) among
them. For functions that name no mode ``config.mode``, ``config.optimizer``,
``config.linker`` and ``config.optimizer_including``, ``…_excluding``, ``…_requiring`` decide.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, fields

from workbench.compile.names import ALIASES, ALL, LINKERS, MEMORY, OPTIMIZERS, SWITCHES
from workbench.compile.rule import Rule
from workbench.compile.rules import STAGES
from workbench.config import MODE_NAMES, config

Optimizer = str | Iterable[str] | None


@dataclass(frozen=True, init=False)
class Mode:
    """A choice of rules and a back end.

    Parameters
    ----------
    linker
        ``"c"`` (also ``"cvm"``, ``"vm"``, ``"c|py"``), ``"py"`` (also ``"numpy"``), or ``"debug"``
        for the C program run kernel by kernel with checks; ``config.linker`` by default.
    optimizer
        ``"fast_run"``, ``"fast_compile"``, ``"stabilize"``, ``"merge"``, ``"unsafe"``, ``"o1"`` to
        ``"o4"``, None for no rewrites, or the tags and names of the rules wanted;
        ``config.optimizer`` by default. Case does not matter.
    name
        What people call it.

    Attributes
    ----------
    name
        A changed mode says how it was changed.
    backend
        ``"c"``, ``"numpy"`` or ``"debug"``.
    tags
        Rules with one of these tags, or of one of these names, are used.
    excluded
        Rules with one of these tags, or of one of these names, are not, even so.
    required
        Nor are rules that lack one of these.
    own
        Rules that this mode alone uses, each with its stage.

    Raises
    ------
    ValueError
        There is no such linker, optimizer, tag or rule; the nearest one is named.

    Examples
    --------
    >>> Mode("py", "fast_compile") == get_mode("FAST_COMPILE")
    True
    >>> get_mode("FAST_RUN").excluding("fusion").fuses
    False
    """

    name: str
    backend: str
    tags: frozenset[str]
    excluded: frozenset[str]
    required: frozenset[str]
    own: tuple[tuple[str, Rule], ...]

    def __init__(
        self,
        linker: str | None = None,
        optimizer: Optimizer = "default",
        name: str = "",
    ) -> None:
        linker = linker or config.linker or "c"
        if optimizer == "default":
            optimizer = config.optimizer or "fast_run"
        backend = LINKERS[_nearest(linker, LINKERS, "linker")]
        tags = _tags_of(optimizer)
        if not name:
            name = next(
                (
                    m.name
                    for m in MODES.values()
                    if (m.backend, m.tags) == (backend, tags)
                ),
                f"Mode({linker!r}, {optimizer!r})",
            )
        self._set(name=name, backend=backend, tags=tags)
        self._set(excluded=frozenset(), required=frozenset(), own=())

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Whether two modes choose the same, under whatever names."""
        return isinstance(other, Mode) and self._choice() == other._choice()

    def __hash__(self) -> int:
        return hash(self._choice())

    def _choice(self) -> tuple[object, ...]:
        return tuple(getattr(self, f.name) for f in fields(self) if f.name != "name")

    def _changed(self, **values: object) -> Mode:
        made = object.__new__(Mode)
        made._set(**{f.name: getattr(self, f.name) for f in fields(self)})
        made._set(**values)
        return made

    # --- other modes made of it

    def including(self, *tags: str) -> Mode:
        """This mode with rules of the given tags or names added."""
        names = check_tags(tags)
        return self._changed(
            name="+".join([self.name, *tags]),
            tags=self.tags | names,
            excluded=self.excluded - names,
        )

    def excluding(self, *tags: str) -> Mode:
        """This mode without rules of the given tags or names.

        Raises
        ------
        ValueError
            There is no such tag or rule, or it is ``"merge"``: where rules are used, equal
            operations are one.
        """
        names = check_tags(tags)
        if "merge" in names:
            raise ValueError(
                "merging cannot be excluded: rules rely on it. "
                'Mode("c", None) does no rewriting at all.'
            )
        return self._changed(
            name="-".join([self.name, *tags]), excluded=self.excluded | names
        )

    def requiring(self, *tags: str) -> Mode:
        """This mode with only those of its rules that have all the given tags, or that name."""
        return self._changed(
            name="&".join([self.name, *tags]), required=self.required | check_tags(tags)
        )

    def register(self, *rules: Rule, stage: str = "algebra") -> Mode:
        """This mode with rules of one's own, which no other mode uses.

        :func:`workbench.add_rule` is for all modes.

        Raises
        ------
        ValueError
            There is no such stage.
        """
        if stage not in dict(STAGES):
            stages = ", ".join(dict(STAGES))
            raise ValueError(f"there is no stage {stage!r}; there are {stages}.")
        return self._changed(
            name="+".join([self.name, *(r.name for r in rules)]),
            own=(*self.own, *((stage, rule) for rule in rules)),
        )

    def clone(
        self,
        linker: str | None = None,
        optimizer: Optimizer = "default",
        name: str = "",
    ) -> Mode:
        """This mode with another linker or optimizer; what was excluded stays so."""
        values: dict[str, object] = {}
        if linker is not None:
            values["backend"] = LINKERS[_nearest(linker, LINKERS, "linker")]
        if optimizer != "default":
            values["tags"] = _tags_of(optimizer)
        changes = [repr(v) for v in (linker, optimizer) if v not in (None, "default")]
        return self._changed(**values, name=name or ", ".join([self.name, *changes]))

    # --- what it chooses

    @property
    def linker(self) -> str:
        """The name of the back end in the tradition: ``"c"``, ``"py"`` or ``"debug"``."""
        return "py" if self.backend == "numpy" else self.backend

    @property
    def fuses(self) -> bool:
        """Whether operations share loops."""
        return "fusion" in self.tags - self.excluded

    @property
    def in_place(self) -> bool:
        """Whether a result may take over the memory of what it was computed from."""
        return "inplace" in self.tags - self.excluded

    def stages(self) -> list[tuple[str, list[Rule]]]:
        """The stages in order that have rules in this mode, with those.

        For a mode that only merges there is one stage without rules.
        """
        found = [
            (
                stage,
                [r for r in rules if self.chooses(r, stage)]
                + [rule for own, rule in self.own if own == stage],
            )
            for stage, rules in STAGES
        ]
        chosen = [(stage, rules) for stage, rules in found if rules]
        merges = "merge" in self.tags and not chosen
        return [("merge", [])] if merges else chosen

    def chooses(self, rule: Rule, stage: str) -> bool:
        """Whether this mode uses a rule: by its stage, one of its tags, or its name."""
        names = rule.tags | {rule.name, stage}
        return not (
            names.isdisjoint(self.tags)
            or not names.isdisjoint(self.excluded)
            or not names >= self.required
        )


# --- names ----------------------------------------------------------------------------


def known_tags() -> set[str]:
    """Every stage, every tag and every name of a rule, and the switches."""
    rules = [rule for _, stage in STAGES for rule in stage]
    tags = {tag for rule in rules for tag in rule.tags}
    stages = {stage for stage, _ in STAGES}
    return tags | {rule.name for rule in rules} | stages | SWITCHES.keys()


def check_tags(tags: Iterable[str]) -> frozenset[str]:
    """Tags and names of rules as they are called here; ``"fast_run"`` is all of its tags.

    Raises
    ------
    ValueError
        One does not exist; the nearest one is named.
    """
    known = known_tags()
    found: set[str] = set()
    for tag in tags:
        lower = str(tag).lower()
        if tag in known:
            found.add(tag)
        elif ALIASES.get(lower) in known:
            found.add(ALIASES[lower])
        elif lower in OPTIMIZERS:
            found |= OPTIMIZERS[lower]
        else:
            _nearest(tag, [*known, *ALIASES, *OPTIMIZERS], "rule or tag")
    return frozenset(found)


def _tags_of(optimizer: Optimizer) -> frozenset[str]:
    if optimizer is None or isinstance(optimizer, str):
        name = _nearest(str(optimizer), OPTIMIZERS, "optimizer")
        return OPTIMIZERS[name]
    return check_tags(optimizer)


def _nearest(name: str, known: Iterable[str], what: str) -> str:
    """The name in lower case if it is known; else an error with the nearest one."""
    known = list(known)
    lower = str(name).lower()
    if lower in known:
        return lower
    near = difflib.get_close_matches(lower, known, 1, 0)
    raise ValueError(f"there is no {what} {name!r}; did you mean {near[0]!r}?")


MODES: dict[str, Mode] = {}
"""The modes that have a name, by it."""

predefined_modes = MODES
"""The same under the name of the tradition."""


def register_mode(name: str, mode: Mode) -> None:
    """Give a mode a name, under which functions and ``config.mode`` may ask for it.

    Raises
    ------
    ValueError
        The name belongs to another mode; case does not matter.
    """
    taken = {each.lower(): each for each in (*MODES, *SYNONYMS, *OPTIMIZERS)}
    if name.lower() in taken:
        raise ValueError(f"there is a mode {taken[name.lower()]!r} already.")
    MODES[name] = mode._changed(name=name)
    if name not in MODE_NAMES:
        MODE_NAMES.append(name)


SYNONYMS = {"debugmode": "DEBUG", "debug_mode": "DEBUG", "mode": "FAST_RUN"}
"""Other names of modes, in lower case."""

for _mode in (
    Mode("c", ALL | MEMORY, "FAST_RUN"),
    Mode("py", OPTIMIZERS["fast_compile"], "FAST_COMPILE"),
    Mode("py", None, "None"),
    Mode("debug", ALL | MEMORY, "DEBUG"),
):
    MODES[_mode.name] = _mode


def get_mode(mode: str | Mode | None = None) -> Mode:
    """A mode by name (case does not matter); None gives that of :func:`get_default_mode`.

    Raises
    ------
    ValueError
        No mode or optimizer has that name; the nearest one is named.
    """
    if isinstance(mode, Mode):
        return mode
    return get_default_mode() if mode is None else _named(mode)


def get_default_mode() -> Mode:
    """The mode of functions that name none, as the flags of :mod:`workbench.config` have it.

    Raises
    ------
    ValueError
        A flag names a tag or rule that does not exist.
    """
    mode = _named(config.mode)
    if config.linker or config.optimizer:
        mode = mode.clone(config.linker or None, config.optimizer or "default")
    for name, change in (
        ("optimizer_including", Mode.including),
        ("optimizer_excluding", Mode.excluding),
        ("optimizer_requiring", Mode.requiring),
    ):
        tags = [tag for tag in getattr(config, name).split(":") if tag]
        try:
            mode = change(mode, *tags) if tags else mode
        except ValueError as error:
            raise ValueError(f"config.{name}: {error}") from None
    return mode


def _named(name: str) -> Mode:
    lower = str(name).lower()
    known = {each.lower(): each for each in MODES} | SYNONYMS
    if lower in known:
        return MODES[known[lower]]
    if lower in OPTIMIZERS:
        return Mode(None, lower)
    names = {each.upper(): each for each in (*SYNONYMS, *OPTIMIZERS, *MODES)}
    near = difflib.get_close_matches(str(name).upper(), names, 1, 0)
    raise ValueError(
        f"there is no mode {name!r}; did you mean {names[near[0]]!r}? There are {', '.join(MODES)}."
    )
