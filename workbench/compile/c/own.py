"""C text that opaque ops bring: each operation's text in a function of its own.

Names inside it are then the op's affair; the kernel only calls it with pointers, sizes and
strides. See :class:`~workbench.core.op.Opaque` for the names the text may use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import dedent

from workbench.compile.c.operands import Matrix
from workbench.compile.c.statements import Line, sanitise
from workbench.compile.scalars import C_TYPES
from workbench.core.graph import Apply
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


def call(number: int, operands: Sequence[Matrix], output: Matrix) -> str:
    """The statement that runs the text of own function `number`."""
    arguments = [
        text
        for place in (*operands, output)
        for text in (place.pointer, *(i.text for i in (*place.sizes, *place.strides)))
    ]
    return f"own{number}({', '.join(arguments)});"


def support(nodes: Sequence[Apply]) -> Iterator[Line]:
    """What stands at the top of the program, each text once."""
    texts = dict.fromkeys(n.op.c_support for n in nodes if isinstance(n.op, Opaque))
    for text in texts:
        yield from map(Line, dedent(text).strip("\n").splitlines())


def definition(number: int, node: Apply) -> Iterator[Line]:
    """The lines of own function `number`: typed parameters, then the op's text."""
    assert isinstance(node.op, Opaque)
    variables = [*node.inputs, *node.outputs]
    names = [*(f"in{k}" for k in range(len(node.inputs))), "out"]
    parameters = []
    for name, variable in zip(names, variables, strict=True):
        constant = "" if name == "out" else "const "
        parameters.append(f"{constant}{C_TYPES[variable.dtype]} *{name}")
        parameters += [
            f"int64_t {name}_{letter}{axis}"
            for letter in "ns"
            for axis in range(variable.ndim)
        ]
    yield Line(f"static void own{number}(", f"the text of {sanitise(str(node.op))}")
    yield Line(f"    {', '.join(parameters)}) {{")
    for name, variable in zip(names, variables, strict=True):
        yield Line(f"  typedef {C_TYPES[variable.dtype]} {name}_t;")
    for line in dedent(node.op.c_code(node)).strip("\n").splitlines():
        yield Line("  " + line, "", (node,))
    yield Line("}")
