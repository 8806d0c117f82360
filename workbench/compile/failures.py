"""What to say when a call fails: the operation, the user's line, the values it met.

The program reports a failure in four numbers, and NumPy names an operation of the
optimised graph. Either way the call is repeated in NumPy on the graph as the user built
it, up to the operation at fault. So a message has the user's names, values and line
whatever was fused, and reads the same in every mode.

Read next: :mod:`workbench.core.errors`, which lays the parts of a message out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compile.copies import Copy
from workbench.compile.record import Compilation, Step
from workbench.core import source
from workbench.core.errors import (
    OutOfMemoryError,
    OutOfRangeError,
    Report,
    ShapeError,
    WorkbenchError,
)
from workbench.core.evaluate import evaluate
from workbench.core.graph import Apply, Constant, Shared, Variable
from workbench.core.op import Reduction
from workbench.core.ops.gathering import Put, Take
from workbench.core.ops.linalg import Dot
from workbench.core.printing import plain
from workbench.core.types import Array, TensorType

if TYPE_CHECKING:
    from workbench.compile.callable import Function
    from workbench.compile.pipeline import CProgram

OUT_OF_MEMORY, SHAPE, INDEX, EMPTY = 1, 2, 3, 4  # enum wb_error_code

NAME_WIDTH = 28
"""Characters of a name or formula that a table shows."""


# --- what is raised ----------------------------------------------------------------------


def explain(
    function: Function,
    failure: tuple[int, int, int, int, int],
    args: Sequence[Array],
    program: CProgram | None = None,
) -> None:
    """Raise the error for a failure (code, node, axis, a, b) of a compiled program.

    That is the function's own one, or `program`, which computes the same.
    """
    code, number, axis, a, b = failure
    if code == OUT_OF_MEMORY:
        raise out_of_memory(function, _planned_bytes(function, args), a)
    program = program or function.program
    assert program is not None
    failing = program.text.failing
    node = failing[number] if 0 <= number < len(failing) else None
    error = _repeated(function, args)
    if error is None:
        error = _as_reported(function, node, code, axis, a, b)
    raise completed(function, error, node).with_traceback(None) from None


def explained(
    function: Function,
    error: WorkbenchError | MemoryError,
    node: Apply | None,
    args: Sequence[Array],
    live: Sequence[tuple[Variable, Array]],
) -> WorkbenchError:
    """The error of one operation that NumPy ran, completed; `live` are the values there were."""
    if isinstance(error, WorkbenchError):
        return completed(function, _repeated(function, args) or error).with_traceback(
            None
        )
    return out_of_memory(function, [(v, a.shape, a.nbytes) for v, a in live], 0, node)


def _repeated(function: Function, args: Sequence[Array]) -> WorkbenchError | None:
    """The error of this call on the graph as the user built it."""
    graph = function.compilation.before
    try:
        with np.errstate(all="ignore"):
            evaluate(graph.results, dict(zip(graph.inputs, args, strict=True)))
    except WorkbenchError as error:
        return error
    except MemoryError:  # this way takes more memory than the program did
        pass
    return None


def _as_reported(
    function: Function, node: Apply | None, code: int, axis: int, a: int, b: int
) -> WorkbenchError:
    """The error for a failure that NumPy does not repeat: as the program said it."""
    what = f"{node.op}" if node is not None else function.name
    texts = {
        SHAPE: f"{what}: sizes {a} and {b} differ on axis {axis}.",
        INDEX: f"{what}: index {a} is out of range for axis {axis}, which has size {b}.",
        EMPTY: f"{what} over axis {axis}, which has size 0: there is no element to take.",
    }
    text = texts.get(code, f"{what} failed on axis {axis}: {a}, {b}.")
    error: WorkbenchError = OutOfRangeError(text) if code == INDEX else ShapeError(text)
    error.node = node
    error.line = node.origin.location if node is not None else None
    return error


# --- the message, part by part -----------------------------------------------------------


def completed(
    function: Function, error: WorkbenchError, reported: Apply | None = None
) -> WorkbenchError:
    """The error with everything said that is known of its operation and of the call.

    `reported` is the operation of the compiled program that failed.
    """
    node: Apply | None = error.node
    given = error.args[0] if error.args and isinstance(error.args[0], Report) else None
    headline = given.headline if given is not None else str(error).split("\n")[0]
    report = Report(_with_short_names(headline, node), error.line)
    if node is not None:
        arrays = list(error.inputs)
        if len(arrays) == len(node.inputs):
            header, rows = _table(function, node.inputs, arrays)
            report.table("input", header, rows)
        report.add("node", _node_text(function.compilation, node, reported))
    report.add("when", _when_text(function))
    report.add("state", _state_text(function))
    report.add("hint", _with_short_names(_hint(node, error, given), node))
    report.add("look", _look_text(function, error.line, node))
    error.args = (report,)
    return error


def short(text: str, width: int = NAME_WIDTH) -> str:
    """A name or formula on one line, cut when long."""
    text = plain(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def _with_short_names(text: str, node: Apply | None) -> str:
    for variable in node.inputs if node is not None else ():
        text = text.replace(variable.label(), short(variable.label()))
    return plain(text)


def _table(
    function: Function, variables: Sequence[Variable], arrays: Sequence[Any]
) -> tuple[list[str], list[list[str]]]:
    header = ["", "", "type", "shape", "strides", "from"]
    rows = []
    for number, (variable, value) in enumerate(zip(variables, arrays, strict=True)):
        array = np.asarray(value)
        from_where = [variable.location.place] if variable.location else []
        from_where += [role] if (role := _role(function, variable)) else []
        rows.append(
            [
                str(number),
                short(_without_copies(variable).label()),
                str(TensorType(variable.dtype, (None,) * variable.ndim)),
                str(array.shape),
                str(array.strides),
                short(", ".join(from_where), 60),
            ]
        )
    return header, rows


def _without_copies(variable: Variable) -> Variable:
    """What a value is a copy of: nobody wrote the copies that host steps are given."""
    while variable.owner is not None and isinstance(variable.owner.op, Copy):
        (variable,) = variable.owner.inputs
    return variable


def _role(function: Function, variable: Variable) -> str:
    inputs = function.compilation.before.inputs
    if variable in inputs:
        return f"argument {inputs.index(variable)} of {short(function.name)}"
    if isinstance(variable, Shared):
        return "shared"
    return "constant" if isinstance(variable, Constant) else ""


def _node_text(
    compilation: Compilation, node: Apply, reported: Apply | None = None
) -> str:
    """``gemm #24 of 27, made from dot #22 by gemm (step 19)``.

    Numbers are places in the order of execution, as a printed tree shows them.
    """
    order = compilation.order()
    as_written = compilation.before.nodes()
    number = f" #{as_written.index(node)}" if node in as_written else ""
    found = _what_it_became(node, order)
    if found is None and reported is not None:
        found = _what_it_became(reported, order)
    if found is None:
        return f"{node.op}{number} of {len(as_written)} in the graph as written"
    text = f"{found.op} #{order[found]} of {len(order)}"
    step = _step_to(compilation, found)
    if found.op == node.op or step is None:
        return text
    return f"{text}, made from {node.op}{number} by {step.rule} (step {step.number})"


def _what_it_became(node: Apply, order: dict[Apply, int]) -> Apply | None:
    """What runs in place of a node: itself, a copy, or what a rule made of it."""
    if node in order:
        return node
    for other in order:
        if _is_copy(other, node):
            return other
    for other in order:
        if any(at is node or _is_copy(at, node) for at in _lineage(other)):
            return other
    return None


def _is_copy(a: Apply, b: Apply) -> bool:
    """Whether two nodes are one operation on inputs that were rewritten."""
    return a.origin is b.origin and a.op == b.op


def _lineage(node: Apply) -> Iterator[Apply]:
    """A node, what it stands for, and so on."""
    at: Apply | None = node
    while at is not None:
        yield at
        at = at.origin.replaces


def _step_to(compilation: Compilation, node: Apply) -> Step | None:
    """The rewrite that made a node, or that which it is a copy of."""
    for step in compilation.steps:
        made = step.after.owner
        if made is None or step.rule == "merge":
            continue
        if made is node or _is_copy(made, node):
            return step
    return None


def call_text(function: Function) -> str:
    """``train(x, y)``."""
    names = ", ".join(short(v.name or "…") for v in function.inputs)
    return f"{short(function.name)}({short(names, 60)})"


def _when_text(function: Function) -> str:
    return f"{call_text(function)}, call {function.calls}, mode {function.mode.name}"


def _state_text(function: Function) -> str:
    names = [short(s.name or "a shared variable") for s, _ in function.updates]
    if not names:
        return ""
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} more"]
    listed = (
        names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    )
    keeps = "keeps its value" if len(names) == 1 else "keep their values"
    return f"{listed} {keeps} from before this call"


def _hint(node: Apply | None, error: WorkbenchError, given: Report | None) -> str:
    parts = given.parts if given is not None else ()
    hint = " ".join(text for label, text in parts if label == "hint")
    if node is None:
        return hint
    if isinstance(node.op, Dot):
        fits = "would fit" in hint
        return hint if fits else hint + _check_the_number(node, error)
    if isinstance(error, OutOfRangeError):
        return _place_out_of_range(node, error.inputs) or hint
    if isinstance(node.op, Reduction) and not hint:
        return "leave empty batches out; sum, prod and mean are defined for them."
    return hint


def _check_the_number(node: Apply, error: WorkbenchError) -> str:
    """Where the user wrote one of the sizes that differ."""
    x, y = error.inputs
    for variable, size in ((node.inputs[1], y.shape[0]), (node.inputs[0], x.shape[-1])):
        place = variable.location
        if isinstance(variable, Shared) and place is not None:
            if re.search(rf"\b{size}\b", place.text):
                return f" Check the {size} on {place.place}."
    return ""


def _place_out_of_range(node: Apply, inputs: Sequence[Array]) -> str:
    """Which element of which index array lies outside."""
    first = {Take: 1, Put: 2}.get(type(node.op))
    if first is None or len(inputs) != len(node.inputs):
        return ""
    for axis, variable in enumerate(node.inputs[first:]):
        places, size = inputs[first + axis], inputs[0].shape[axis]
        bad = np.argwhere((places < -size) | (places >= size))
        if not len(bad):
            continue
        at = "[" + ", ".join(map(str, bad[0])) + "]" if places.ndim else ""
        what = f"{short(variable.label())}{at} is {places[tuple(bad[0])]}"
        more = f", and {len(bad) - 1} more like it" if len(bad) > 1 else ""
        if size == 0:
            return f"{what}{more}; axis {axis} is empty, so no index fits."
        return f"{what}{more}; 0 to {size - 1} fit, and {-size} to -1 from the end."
    return ""


def _look_text(
    function: Function, line: source.Location | None, node: Apply | None
) -> str:
    """Where to see the graph: a magic in a notebook, else the function it calls."""
    name = function.name
    if (
        not name.isidentifier()
        or len(name) > NAME_WIDTH
        or name in ("function", "eval")
    ):
        return ""  # nothing the user could type
    if line is not None and line.is_cell:
        order = function.compilation.order()
        found = None if node is None else _what_it_became(node, order)
        select = "" if found is None else f" --select {order[found]}"
        return f"%symshow {name}{select}     plain graph: %symshow {name} --before"
    return f"wb.debugprint({name})     plain graph: wb.debugprint({name}, before=True)"


# --- memory ------------------------------------------------------------------------------


Held = tuple[Variable, tuple[int, ...], int]
"""A value, its shape, and its bytes."""


def out_of_memory(
    function: Function, held: Sequence[Held], wanted: int = 0, node: Apply | None = None
) -> OutOfMemoryError:
    """The error for a call that found no memory, with the largest values it needs."""
    asked = f": {bytes_text(wanted)} were asked for" if wanted else ""
    largest = sorted(held, key=lambda item: -item[2])[:3]
    place = node.origin.location if node is not None else None
    if place is None and largest:
        place = largest[0][0].location
    report = Report(f"{short(function.name)}() ran out of memory{asked}.", place)
    rows = [
        [
            short(variable.label()),
            str(TensorType(variable.dtype, (None,) * variable.ndim)),
            str(shape),
            bytes_text(count),
            variable.location.place if variable.location else "",
        ]
        for variable, shape, count in largest
        if count >= max(1024, largest[0][2] // 100)
    ]
    report.table("large", ["", "type", "shape", "memory", "from"], rows)
    if node is not None:
        report.add("node", _node_text(function.compilation, node))
    report.add("when", _when_text(function))
    report.add("state", _state_text(function))
    report.add("hint", "pass smaller arrays, a part of the batch at a time.")
    error = OutOfMemoryError(report)
    error.node, error.line = node, place
    return error


def bytes_text(count: int) -> str:
    """A number of bytes in the unit people read.

    >>> bytes_text(3 * 2**30)
    '3.0 GiB'
    """
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}" if unit != "bytes" else f"{count} bytes"


def _planned_bytes(function: Function, args: Sequence[Array]) -> list[Held]:
    """What each value that the compiled program stores takes in this call."""
    program = function.program
    assert program is not None
    values = dict(zip(program.graph.inputs, args, strict=True))
    held: list[Held] = []
    for variable in program.plan.storage:
        sizes, itemsize = program.plan.bytes_of(variable, program.schedule)
        try:
            shape = tuple(
                int(evaluate([size], values)[0]) if isinstance(size, Variable) else size
                for size in sizes
            )
        except (
            WorkbenchError,
            MemoryError,
        ):  # a size that depends on what was not made
            continue
        held.append((variable, shape, itemsize * int(np.prod(shape, dtype=object))))
    return held
