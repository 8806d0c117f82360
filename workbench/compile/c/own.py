"""C text that opaque ops bring: each operation's text in a function of its own.

Names inside it are then the op's affair; the kernel only calls it with pointers, sizes and
strides. Numbers that are known are constants in the function, so that the compiler makes
vectors of what is contiguous. See :class:`~workbench.core.op.Opaque` for the names the text may use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent

from workbench.compile.c.operands import Matrix
from workbench.compile.c.statements import Line, sanitise
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply, Variable
from workbench.core.lazy import lazy
from workbench.core.op import Opaque
from workbench.core.ops.shape import sizes_of


def has_own_text(node: Apply) -> bool:
    """Whether an operation's C text can be used: one output, of sizes that its inputs tell."""
    op = node.op
    if not isinstance(op, Opaque) or len(node.outputs) != 1 or not op.c_code(node):
        return False
    (sizes,) = op.infer_shape(node, [sizes_of(v) for v in node.inputs])
    known = node.outputs[0].type.shape
    return all(
        s is not None or k is not None for s, k in zip(sizes, known, strict=True)
    )


@dataclass(frozen=True)
class Parameter:
    """What the text may name: a pointer, or a number, which may be known."""

    name: str
    c_type: str
    handed: str
    number: int | None = None


@dataclass(frozen=True)
class Own:
    """An operation that brings its text, and where its inputs and its output lie."""

    node: Apply
    places: tuple[Matrix, ...]

    @lazy
    def text(self) -> str:
        """The statements."""
        assert isinstance(self.node.op, Opaque)
        return dedent(self.node.op.c_code(self.node)).strip("\n")

    @lazy
    def iterations(self) -> tuple[str, str] | None:
        """How many of them there are to be shared, and the work for one."""
        assert isinstance(self.node.op, Opaque)
        return self.node.op.c_iterations(self.node)

    @lazy
    def variables(self) -> list[tuple[str, Variable]]:
        """The inputs and the output, with their names in the text."""
        inputs = self.node.inputs
        names = [*(f"in{k}" for k in range(len(inputs))), "out"]
        return list(zip(names, (*inputs, self.node.output), strict=True))

    @lazy
    def parameters(self) -> list[Parameter]:
        """What the text does name."""
        found = []
        for (name, variable), place in zip(self.variables, self.places, strict=True):
            constant = "" if name == "out" else "const "
            c_type = f"{constant}{C_TYPES[variable.dtype]} *"
            found.append(Parameter(name, c_type, place.pointer))
            for letter, indices in (("n", place.sizes), ("s", place.strides)):
                found += [
                    Parameter(f"{name}_{letter}{axis}", "int64_t ", i.text, i.value)
                    for axis, i in enumerate(indices)
                ]
        return [p for p in found if p.name in self.named]

    @lazy
    def named(self) -> frozenset[str]:
        """All names in the text."""
        texts = [self.text, *(self.iterations or ())]
        return frozenset(re.findall(r"\w+", " ".join(texts)))

    @property
    def handed(self) -> list[Parameter]:
        """The parameters that are not known."""
        return [p for p in self.parameters if p.number is None]


def call(number: int, own: Own) -> str:
    """The statement that runs the text of own function `number`."""
    arguments = ", ".join(p.handed for p in own.handed)
    if own.iterations is None:
        return f"own{number}({arguments});"
    return f"return own{number}(c, {arguments});"


def support(nodes: Sequence[Apply]) -> Iterator[Line]:
    """What stands at the top of the program, each text once."""
    texts = dict.fromkeys(n.op.c_support for n in nodes if isinstance(n.op, Opaque))
    for text in texts:
        yield from map(Line, dedent(text).strip("\n").splitlines())


def definition(number: int, own: Own) -> Iterator[Line]:
    """The lines of own function `number`: typed parameters, then the op's text."""
    parameters = ", ".join(f"{p.c_type}{p.name}" for p in own.handed)
    title = f"the text of {sanitise(str(own.node.op))}"
    if own.iterations is None:
        yield Line(f"static void own{number}(", title)
        yield Line(f"    {parameters}) {{")
        yield from _names(own)
        yield from _text(own)
        yield Line("}")
        return
    size, work = own.iterations
    part, job = f"own{number}_rows", f"own{number}_job"
    fields = " ".join(f"{p.c_type}{p.name};" for p in own.handed)
    names = ", ".join(p.name for p in own.handed)
    yield Line(f"typedef struct {{ {fields} }} {job};", title)
    yield Line(f"static int {part}(wb_call *c, int64_t begin, int64_t end) {{")
    yield Line(f"  const {job} *const job = c->value[0];")
    for p in own.handed:
        if "*" in p.c_type:
            yield Line(f"  {p.c_type}{p.name} = job->{p.name};")
    numbers = [p.name for p in own.handed if "*" not in p.c_type]
    yield from _numbers([f"{name} = job->{name}" for name in numbers])
    yield from _names(own)
    yield from _text(own)
    yield Line("  return WB_OK;")
    yield Line("}")
    yield Line(f"static int own{number}(wb_call *c, {parameters}) {{")
    yield from _names(own)
    yield Line(f"  {job} job = {{{names}}};")
    yield Line("  void *value[] = {&job};")
    yield Line("  wb_call mine = *c;")
    yield Line("  mine.value = value;")
    yield Line(f"  const int rc = wb_share(&mine, {part}, {size}, {work});")
    yield Line("  if (rc) c->failure = mine.failure;")
    yield Line("  return rc;")
    yield Line("}")


def _names(own: Own) -> Iterator[Line]:
    """Types and numbers that the text names."""
    for name, variable in own.variables:
        if f"{name}_t" in own.named:
            yield Line(f"  typedef {C_TYPES[variable.dtype]} {name}_t;")
    known = [p for p in own.parameters if p.number is not None]
    yield from _numbers([f"{p.name} = {p.number}" for p in known])


def _numbers(declared: Sequence[str]) -> Iterator[Line]:
    for first in range(0, len(declared), 4):
        yield Line(f"  const int64_t {', '.join(declared[first : first + 4])};")


def _text(own: Own) -> Iterator[Line]:
    for line in own.text.splitlines():
        yield Line("  " + line, "", (own.node,))
