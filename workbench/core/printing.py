"""A graph as text: a tree of lines, or one line of mathematics.

:func:`tree` prints every operation once, below those that read it; met again it is a
reference, marked ``···``. Beside each operation stand its place in the order of
execution, the user's line, and for a node of a gradient the forward node it belongs to.
Graphs inside operations, as the step of a loop, follow below, each variable with what it
is outside. What a compiler knows besides (the order, which values take over memory) is
passed in, since this file knows graphs only; :func:`workbench.viz.text.debugprint` passes it.

:func:`pp` prints the formula.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from workbench.core.graph import Apply, Constant, Shared, Variable, toposort
from workbench.core.inner import InnerGraph, Link
from workbench.core.ops.control import IfElse
from workbench.core.ops.ufunc import DimShuffle
from workbench.core.types import shape_text

DEEPEST = 40  # levels drawn with lines; below, the level is a number
TREE_WIDTH = 46  # columns that the tree may take before its notes stop lining up
CODE_WIDTH = 52  # characters of the user's line that are quoted
SEEN = "···"


@dataclass(frozen=True)
class TreeOptions:
    """What a tree shows.

    Attributes
    ----------
    depth
        Levels shown below a result; -1 for all.
    print_type
        Whether every line says its type; leaves always do.
    ids : {"", "CHAR", "int", "id"}
        How a variable is marked, so that a reference can be followed: not at all, by
        letters, by numbers, or by its address.
    stop_on_name
        Whether to stop at named variables.
    inner_graphs
        Whether the graphs inside operations follow.
    """

    depth: int = -1
    print_type: bool = False
    ids: str = "CHAR"
    stop_on_name: bool = False
    inner_graphs: bool = True

    def __post_init__(self) -> None:
        if self.ids not in ("", "CHAR", "int", "id"):
            raise ValueError(
                f"ids must be '', 'CHAR', 'int' or 'id', not {self.ids!r}."
            )


def tree(
    results: Sequence[tuple[str, Variable]],
    order: Mapping[Apply, int] | None = None,
    in_place: Mapping[Variable, Variable] | None = None,
    inputs: Iterable[Variable] = (),
    options: TreeOptions | None = None,
) -> str:
    """The graph of labelled results, a line for every operation and leaf.

    Parameters
    ----------
    results
        Pairs of what a result is for (``"W ←"``, or nothing) and the result.
    order
        The place of each operation in the order of execution, shown as ``#n``; a
        depth-first order when not given.
    in_place
        For a value that takes over memory: the value whose memory that is.
    inputs
        Where to stop, though the variable is computed from others.
    options
        What to show.

    Examples
    --------
    >>> from workbench.tensor import vector
    >>> x = vector("x")
    >>> print(tree([("", (x + x).sum())], options=TreeOptions(ids="")).split("  ")[0])
    sum{axis=0}
    """
    lines = tree_lines(results, order, in_place, inputs, options)
    return "\n".join(line for line, _ in lines)


def tree_lines(
    results: Sequence[tuple[str, Variable]],
    order: Mapping[Apply, int] | None = None,
    in_place: Mapping[Variable, Variable] | None = None,
    inputs: Iterable[Variable] = (),
    options: TreeOptions | None = None,
) -> list[tuple[str, Variable | None]]:
    """The lines of :func:`tree`, each with the variable it shows, if it shows one."""
    results, stop = list(results), frozenset(inputs)
    if order is None:
        nodes = toposort([v for _, v in results], stop)
        order = {node: n for n, node in enumerate(nodes)}
    return _Printer(order, in_place or {}, stop, options or TreeOptions()).lines(
        results
    )


class _Printer:
    """One tree on its way to text."""

    def __init__(
        self,
        order: Mapping[Apply, int],
        in_place: Mapping[Variable, Variable],
        stop: frozenset[Variable],
        options: TreeOptions,
    ) -> None:
        self.order = dict(order)
        self.in_place = in_place
        self.stop = set(stop)
        self.options = options
        self.seen: set[Variable] = set()
        self.marks: dict[Variable, str] = {}
        self.rows: list[tuple[str, str]] = []
        self.shown: list[Variable | None] = []
        self.holders: list[Apply] = []  # operations met that hold graphs
        self.met: set[Apply] = set()
        self.called: dict[Variable, str] = {}  # inner inputs that have no name

    def lines(
        self, results: Sequence[tuple[str, Variable]]
    ) -> list[tuple[str, Variable | None]]:
        for label, variable in results:
            self.walk(label, variable)
        if self.options.inner_graphs and self.holders:
            self.add("", "", None)
            self.add("Inner graphs:", "", None)
            for node in self.holders:  # grows while it is read
                for inner in node.op.inner_graphs(node):
                    self.inside(node, inner)
        return list(zip(lined_up(self.rows), self.shown, strict=True))

    def add(self, left: str, right: str, variable: Variable | None) -> None:
        self.rows.append((left, right))
        self.shown.append(variable)

    def inside(self, node: Apply, inner: InnerGraph) -> None:
        """Add the rows of a graph inside an operation: what it reads, what it gives."""
        self.order |= {each: n for n, each in enumerate(inner.nodes())}
        self.stop |= set(inner.inputs)
        self.add("", "", None)
        self.add(self.heading(node), inner.about, node.outputs[0])
        for variable, link in zip(inner.inputs, inner.reads, strict=True):
            self.called.setdefault(variable, inner_name(node, variable, link))
            self.walk(self.outside(node, link), variable, " ← ")
        for variable, link in zip(inner.outputs, inner.writes, strict=True):
            self.walk(self.outside(node, link), variable, " → ")

    def heading(self, node: Apply) -> str:
        """An operation with the marks of those outputs that were met."""
        several = len(node.outputs) > 1
        marks = [
            (f".{v.index} " if several else "") + self.mark(v)
            for v in node.outputs
            if v in self.marks
        ]
        return " ".join([plain(str(node.op)), *marks])

    def outside(self, node: Apply, link: Link) -> str:
        """What a variable of an inner graph is, with marks that can be followed."""

        def name(variable: Variable) -> str:
            mark = self.marks.get(variable) and self.mark(variable)
            words = outside_name(node, variable)
            return f"{words} {mark}" if mark else words

        return plain(link.text(node, name))

    def walk(self, label: str, root: Variable, lead: str = "") -> None:
        """Add the rows of one result; a stack in place of recursion."""
        # Variable, what it is for, level, lines left of its children, its own branch.
        stack = [(root, label, 0, "", lead)]
        while stack:
            variable, role, level, left, branch = stack.pop()
            again = variable.owner is not None and variable in self.seen
            head = left + branch + self.head(variable, again)
            self.add(head, self.note(variable, role, again), variable)
            if again or not self.opens(variable, level):
                continue
            self.seen.add(variable)
            assert variable.owner is not None
            below = self.indent(left, branch, level)
            rows = list(roles(variable.owner))
            for (v, what), line in zip(
                reversed(rows), chain(["└ "], repeat("├ ")), strict=False
            ):
                stack.append((v, what, level + 1, below, line))

    def indent(self, left: str, branch: str, level: int) -> str:
        """The lines left of the children, and a number for those that are deep."""
        # Drawn in full, a long chain would take space quadratic in its length.
        if level >= DEEPEST:
            return f" ⋯ {level + 1} "
        below = {"": " ", "├ ": "│ ", "└ ": "  ", " → ": "   ", " ← ": "   "}
        return left + below[branch]

    def opens(self, variable: Variable, level: int) -> bool:
        """Whether the inputs of its operation follow."""
        if variable.owner is None or variable in self.stop:
            return False
        if self.options.stop_on_name and variable.name and level:
            return False
        return self.options.depth < 0 or level < self.options.depth

    def head(self, variable: Variable, again: bool) -> str:
        if variable.owner is None or variable in self.stop:
            text = self.called.get(variable) or leaf_text(variable)
        else:
            self.remember(variable.owner)
            text = plain(str(variable.owner.op))
            if len(variable.owner.outputs) > 1:
                text += f".{variable.index}"
        name = display_name(variable) if variable.owner is not None else ""
        quoted = f"'{name}'" if name and variable not in self.stop else ""
        parts = (text, self.mark(variable), quoted, SEEN * again)
        return " ".join(part for part in parts if part)

    def remember(self, node: Apply) -> None:
        """Remember an operation that holds graphs, once."""
        if node not in self.met:
            self.met.add(node)
            if node.op.inner_graphs(node):
                self.holders.append(node)

    def mark(self, variable: Variable) -> str:
        kind = self.options.ids
        if not kind:
            return ""
        if variable not in self.marks:
            n = len(self.marks)
            name = {"CHAR": letters(n), "int": str(n), "id": hex(id(variable))}[kind]
            self.marks[variable] = f"[id {name}]"
        return self.marks[variable]

    def note(self, variable: Variable, role: str, again: bool) -> str:
        """What stands right of the tree."""
        if variable.owner is None or variable in self.stop:
            return "  ".join(part for part in (kind_text(variable), role) if part)
        node = variable.owner
        number = self.order.get(node)
        parts = ["    " if number is None else f"#{number:<3d}", role]
        if self.options.print_type:
            parts.append(str(variable.type))
        if not again:
            parts += [origin_text(node), forward_text(node)]
        if variable in self.in_place and not again:
            parts.append(f"!in-place on {short_label(self.in_place[variable])}")
        return "  ".join(part for part in parts if part)


def lined_up(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Rows of two columns; the second lines up unless the first is very long."""
    widths = [len(left) for left, _ in rows if len(left) <= TREE_WIDTH]
    width = max(widths, default=0)
    return [f"{left:<{width}}  {right}".rstrip() for left, right in rows]


def roles(node: Apply) -> Iterator[tuple[Variable, str]]:
    """The inputs of a node, each with what it is for where that must be said."""
    words = ("", "then", "else") if isinstance(node.op, IfElse) else repeat("")
    return zip(node.inputs, words, strict=False)


# --- the words of a line ---------------------------------------------------------


def plain(text: str) -> str:
    r"""`text` in which nothing moves the cursor, ends the line or turns the direction.

    >>> plain("a\nb")
    'a\\nb'
    """
    if text.isascii() and text.isprintable():
        return text
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in hidden else c
        for c in text
    )


def display_name(variable: Variable) -> str:
    """Its name, or the name under which the user's cell kept it, or nothing."""
    return plain(variable.name or getattr(variable.tag, "bound", "") or "")


def outside_name(node: Apply, variable: Variable) -> str:
    """What a graph inside `node` calls an input or output of it."""
    if variable.owner is not node:
        return short_label(variable)
    number = f" {variable.index}" if len(node.outputs) > 1 else ""
    return display_name(variable) or f"output{number}"


def inner_name(node: Apply, variable: Variable, link: Link) -> str:
    """What to call an input of a graph inside `node`: its name, or what it is outside."""
    if name := display_name(variable):
        return name
    words = link.text(node, lambda v: outside_name(node, v))
    return words.rpartition(", then ")[2]


def short_label(variable: Variable) -> str:
    """One word for it: its name, its value when that is short, or its operation."""
    if name := display_name(variable):
        return name
    if variable.owner is not None:
        return plain(str(variable.owner.op))
    return leaf_text(variable)


def leaf_text(variable: Variable) -> str:
    """Name or value of a variable that nothing computes."""
    if name := display_name(variable):
        return name
    if isinstance(variable, Constant):
        if variable.data.size == 1:
            return str(variable.data.reshape(-1)[0])
        if variable.data.ndim == 1 and variable.data.size <= 4:
            return str(variable.data.tolist())
        return "constant"
    return "?"


def kind_text(variable: Variable) -> str:
    """What a leaf is, and its type: ``shared float64 (784, 10)``."""
    if isinstance(variable, Shared):
        return f"shared {variable.dtype} {shape_text(variable.storage[0].shape)}"
    kind = "constant" if isinstance(variable, Constant) else "input"
    return f"{kind} {variable.type}"


def origin_text(node: Apply) -> str:
    """The user's place and line: ``In [5] line 3  h = dot(x, W)``."""
    location = node.origin.location
    if location is None:
        return ""
    code = plain(location.code)
    if len(code) > CODE_WIDTH:
        code = code[: CODE_WIDTH - 1] + "…"
    return f"{plain(location.place)}  {code}".rstrip()


def forward_node(node: Apply) -> Apply | None:
    """For a node of a gradient, rewritten or not: the forward node it belongs to."""
    at: Apply | None = node
    seen: set[Apply] = set()
    while at is not None and at not in seen:
        if at.origin.forward is not None:
            return at.origin.forward
        seen.add(at)
        at = at.origin.replaces
    return None


def forward_text(node: Apply) -> str:
    """``∂ of dot, line 3`` for a node of a gradient, else nothing."""
    forward = forward_node(node)
    if forward is None:
        return ""
    location = forward.origin.location
    line = f", line {location.line}" if location else ""
    return f"∂ of {plain(str(forward.op))}{line}"


def letters(n: int) -> str:
    """Numbers as spreadsheet columns: A to Z, AA, AB, and so on.

    >>> letters(0), letters(25), letters(26)
    ('A', 'Z', 'AA')
    """
    text = ""
    n += 1
    while n:
        n, digit = divmod(n - 1, 26)
        text = chr(65 + digit) + text
    return text


# --- one line of mathematics -----------------------------------------------------

LONGEST_FORMULA = 2000  # characters; what would be longer is "…"

# Operators and how tightly they bind, from loose to tight, as in Python.
INFIX = {
    "lt": ("<", 1), "le": ("<=", 1), "gt": (">", 1), "ge": (">=", 1),
    "eq": ("==", 1), "neq": ("!=", 1),
    "or_": ("|", 2), "xor": ("^", 3), "and_": ("&", 4),
    "or": ("|", 2), "and": ("&", 4),
    "add": ("+", 5), "sub": ("-", 5),
    "mul": ("*", 6), "true_div": ("/", 6), "floor_div": ("//", 6), "mod": ("%", 6),
    "pow": ("**", 8),
}  # fmt: skip
PREFIX = {"neg": "-", "invert": "~"}
PREFIX_LEVEL, ATOM = 7, 9


def pp(variable: Variable) -> str:
    """The formula of a variable; named ones inside it are written out as well.

    Axes that were added only so that shapes fit are left out.

    Examples
    --------
    >>> from workbench.tensor import vector
    >>> x, y = vector("x"), vector("y")
    >>> pp((x + 1) * -y)
    '(x + 1.0) * -y'
    """
    text: dict[Variable, tuple[str, int]] = {}
    for node in toposort([variable]):
        operands = [text.get(v) or (leaf_text(v), ATOM) for v in node.inputs]
        for output in node.outputs:
            formula, level = _formula(node, operands)
            if len(node.outputs) > 1:
                formula = f"{_bracket((formula, level), ATOM)}[{output.index}]"
                level = ATOM
            if len(formula) > LONGEST_FORMULA:
                formula, level = "…", ATOM
            text[output] = (formula, level)
    return text[variable][0] if variable in text else leaf_text(variable)


def _formula(node: Apply, operands: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """The text of one operation and how tightly it binds."""
    op, name = node.op, node.op.name
    if isinstance(op, DimShuffle) and op.kept == tuple(range(len(op.kept))):
        return operands[0]
    if isinstance(op, DimShuffle) and op.order == (1, 0):
        return _bracket(operands[0], ATOM) + ".T", ATOM
    if name in INFIX and len(operands) == 2:
        sign, level = INFIX[name]
        left, right = (level + 1, level) if name == "pow" else (level, level + 1)
        return (
            f"{_bracket(operands[0], left)} {sign} {_bracket(operands[1], right)}",
            level,
        )
    if name in PREFIX and len(operands) == 1:
        return PREFIX[name] + _bracket(operands[0], PREFIX_LEVEL), PREFIX_LEVEL
    if name == "take":
        index = ", ".join(text for text, _ in operands[1:])
        return f"{_bracket(operands[0], ATOM)}[{index}]", ATOM
    head, brace, parameters = plain(str(op)).partition("{")
    if head.startswith("slice["):
        first, *others = head.removeprefix("slice").split("?")
        bounds = [text for text, _ in operands[1:]]
        index = first + "".join(
            text + other for text, other in zip(bounds, others, strict=True)
        )
        return _bracket(operands[0], ATOM) + index, ATOM
    arguments = [text for text, _ in operands]
    if brace:
        arguments.append(parameters.removesuffix("}"))
    return f"{head}({', '.join(arguments)})", ATOM


def _bracket(operand: tuple[str, int], level: int) -> str:
    text, own = operand
    return f"({text})" if own < level else text
