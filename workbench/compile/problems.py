"""What to say when a function cannot be made, or a call fails.

Each text has the shape that :class:`~workbench.core.errors.Report` lays out: what happened
with the user's names and numbers, their line, a table of the inputs, the operation and how
it came to be, when it happened, and what to do. Nobody is asked to run again without
optimisation: lines survive rewriting.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compile.record import Compilation, Graph
from workbench.core import source
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    MissingInputError,
    OutOfRangeError,
    Report,
    ShapeError,
    UpdateTypeError,
    WorkbenchError,
)
from workbench.core.evaluate import evaluate, run_node
from workbench.core.graph import Apply, Constant, Shared, Variable, clients, graph_inputs
from workbench.core.types import Array

if TYPE_CHECKING:
    from workbench.compile.function import Function

OUT_OF_MEMORY = 1


def _here() -> source.Location | None:
    place = source.here()
    return None if place is None else place.location


def made_text(variable: Variable) -> str:
    """``y: int64 vector, In [4] line 2  y = T.lvector("y")``."""
    place = variable.location
    return f"{variable.label()}: {variable.type}" + (f", {place}" if place else "")


# --- when a function is made -------------------------------------------------------------


def checked_input(variable: Any, label: str) -> Variable:
    """The variable, if it can be an input."""
    if not isinstance(variable, Variable):
        raise ArgumentError(f"{label}: inputs must be symbolic variables, got {variable!r} of type {type(variable).__name__}.")
    if isinstance(variable, Constant):
        raise ArgumentError(f"{label}: {variable.label()} is a constant and cannot be an input.")
    return variable


def check_duplicates(inputs: Sequence[Variable], label: str) -> None:
    """Raise when an input is listed twice."""
    seen: set[Variable] = set()
    for number, variable in enumerate(inputs):
        if variable in seen:
            report = Report(f"{label} lists {variable.label()} twice among its inputs (again as number {number}).", _here())
            raise ArgumentError(str(report.add("hint", "list every input once; a call may pass the same array for two.")))
        seen.add(variable)


def check_missing(graph: Graph, label: str) -> None:
    """Raise when the graph needs a value that nobody gives."""
    for leaf in graph_inputs(graph.results, graph.inputs):
        if leaf in graph.inputs or isinstance(leaf, Constant | Shared):
            continue
        name = leaf.label()
        report = Report(f"{label} needs the value of {name}, but {name} is neither an input nor shared.", _here())
        report.add("path", _path(leaf, graph))
        report.add("made", made_text(leaf))
        names = ", ".join(v.name or "…" for v in (*graph.inputs, leaf))
        report.add("hint", f"write function([{names}], …), or give it a value with givens={{{name}: …}}.")
        error = MissingInputError(str(report))
        error.line = report.location
        raise error


def _path(leaf: Variable, graph: Graph) -> str:
    """How a leaf reaches an output: at most five operations."""
    readers = clients(graph.results, graph.inputs)
    steps, at = [leaf.label()], leaf
    for _ in range(5):
        if at not in readers:
            break
        node = readers[at][0][0]
        place = node.origin.location
        steps.append(f"{node.op}" + (f" ({place.place})" if place else ""))
        at = node.outputs[0]
    else:
        steps.append("…")
    return " → ".join(steps)


def unused_input(label: str, number: int, variable: Variable) -> str:
    """The text for an input that no output needs."""
    report = Report(f"{label} does not use its input number {number}, {variable.label()}.", _here())
    report.add("made", made_text(variable))
    return str(
        report.add("hint", "leave it out, or pass on_unused_input='ignore' (or 'warn') to function, if it is meant to be there.")
    )


def check_update_target(shared: Any, found: Mapping[Shared, Any], label: str) -> None:
    """Raise when something else than a shared variable, or one twice, is to be updated."""
    if not isinstance(shared, Shared):
        name = shared.label() if isinstance(shared, Variable) else repr(shared)
        report = Report(f"{label}: only shared variables can be updated, {name} is none.", _here())
        raise UpdateTypeError(str(report.add("hint", f"make it with wb.shared(value, name={name!r}).")))
    if shared in found:
        raise UpdateTypeError(str(Report(f"{label}: {shared.label()} is updated twice.", _here())))


def check_update(shared: Shared, new: Variable, label: str) -> None:
    """Raise when a new value is of another type than its shared variable."""
    if shared.type.accepts(new.type) or (shared.dtype == new.dtype and _may_fit(shared, new)):
        return
    name = shared.label()
    report = Report("", _here())
    if shared.dtype != new.dtype:
        shapes = "shapes agree" if shared.ndim == new.ndim else f"{new.ndim} axes against {shared.ndim}"
        report.headline = f"update of {name} is {new.dtype} but {name} is {shared.dtype} ({shapes}: {shared.storage[0].shape})."
        chain = _where_dtype_enters(new, new.dtype)
        report.add("chain", " → ".join(chain))
        report.add("hint", _dtype_hint(shared, new))
    else:
        report.headline = f"update of {name} is {new.type} but {name} is {shared.type}."
        report.add("made", made_text(shared))
        report.add("hint", "reduce or reshape the new value so that it has the same axes.")
    error = UpdateTypeError(str(report))
    error.line = report.location
    raise error


def _may_fit(shared: Shared, new: Variable) -> bool:
    return shared.ndim == new.ndim and all(
        a is None or b is None or a == b for a, b in zip(shared.type.shape, new.type.shape, strict=True)
    )


def _where_dtype_enters(variable: Variable, dtype: str) -> list[str]:
    """From the leaf or operation where a dtype first appears to the update."""
    chain: list[str] = []
    at: Variable | None = variable
    while at is not None and len(chain) < 8:
        place = at.location
        chain.append(f"{at.label()}: {at.dtype}" + (f" ({place.place})" if place else ""))
        node: Apply | None = at.owner
        at = None
        if node is not None:
            at = next((v for v in node.inputs if v.dtype == dtype), None)
    return chain[::-1]


def _dtype_hint(shared: Shared, new: Variable) -> str:
    leaf: Variable = new
    while leaf.owner is not None:
        following = next((v for v in leaf.owner.inputs if v.dtype == new.dtype), None)
        if following is None:
            break
        leaf = following
    if leaf.owner is None and new.dtype == "float64":
        return f"make {leaf.label()} {shared.dtype}, as np.{shared.dtype}(…), or cast the new value: T.cast(…, '{shared.dtype}')."
    return f"cast the new value: T.cast(…, '{shared.dtype}')."


def check_given(variable: Variable, value: Variable) -> None:
    """Raise when what is given for a variable is of another type."""
    if variable.dtype != value.dtype or variable.ndim != value.ndim:
        report = Report(f"givens: {variable.label()} is {variable.type}, but {value.label()} is {value.type}.", _here())
        raise DTypeError(str(report.add("hint", f"give it a value of {variable.dtype} with {variable.ndim} axes; T.cast helps.")))


def without_compiler(compilation: Compilation) -> Compilation:
    """The record of a function that could not be compiled to C."""
    return replace(compilation, backend="numpy", backend_reason="no working C compiler")


# --- when a call is wrong ----------------------------------------------------------------


def wrong_count(function: Function, given: int) -> str:
    """The text for a wrong number of arguments."""
    names = ", ".join(v.name or f"argument {k}" for k, v in enumerate(function.inputs)) or "nothing"
    return f"{function.name}() takes {len(function.inputs)} arguments ({names}), got {given}."


def unknown_keyword(function: Function, name: str, given: int) -> str:
    """The text for a keyword that is no input, or one that was given already."""
    names = [v.name for v in function.inputs if v.name]
    if name in names:
        return f"{function.name}() got two values for {name}."
    near = difflib.get_close_matches(name, names, 1, 0)
    return f"{function.name}() has no input {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def bad_argument(function: Function, number: int, variable: Variable, value: Any, error: Exception) -> Exception:
    """The error for an argument of another type."""
    name = variable.name or f"input {number}"
    report = Report(f"{function.name}(): argument {number}, {name}, {error}.", _here())
    report.add("made", made_text(variable))
    array = np.asarray(value) if not isinstance(error, DTypeError) or hasattr(value, "dtype") else None
    if isinstance(error, DTypeError):
        cure = f'{name}.astype("{variable.dtype}") once when loading, or ' if array is not None else ""
        report.add("hint", f"{cure}function(…, allow_input_downcast=True). Nothing was rounded silently.")
    elif array is not None and array.ndim != variable.ndim:
        report.add("hint", _rank_hint(array, variable.ndim, name))
    made = (DTypeError if isinstance(error, TypeError) else ShapeError)(str(report))
    made.line = report.location
    return made


def _rank_hint(array: Array, rank: int, name: str) -> str:
    if array.ndim == rank - 1:
        return f"to pass a single one, add an axis: {name}[None]."
    if array.ndim > rank:
        return f"reshape it, as {name}.reshape({', '.join(['-1'] + ['…'] * (rank - 1))})." if rank else "pass one number."
    return f"pass an array with {rank} axes."


# --- when a call fails -------------------------------------------------------------------


def explain(function: Function, failure: tuple[int, int, int, int, int], args: Sequence[Array]) -> None:
    """Raise the error for a failure of the compiled program.

    The call is repeated in NumPy on the graph as the user built it, up to the operation at
    fault, so the message has the user's names, values and line whatever was fused.
    """
    code, _, _, a, _ = failure
    if code == OUT_OF_MEMORY:
        raise MemoryError(f"{function.name}(): no memory for {a} bytes." if a else f"{function.name}(): no memory for its outputs.")
    for graph in (function.compilation.before, function.compilation.after):
        values = dict(zip(graph.inputs, args, strict=True))
        try:
            evaluate(graph.results, values)
        except WorkbenchError as error:
            _complete(function, error)
            raise error.with_traceback(None) from None
    raise _plain_failure(function, failure)


def explain_numpy(function: Function, node: Apply, inputs: Sequence[Array]) -> None:
    """Raise the error of one operation run by NumPy, completed."""
    try:
        run_node(node, inputs)
    except WorkbenchError as error:
        _complete(function, error)
        raise error.with_traceback(None) from None


def _complete(function: Function, error: WorkbenchError) -> None:
    """Add to a message which operation of how many it was, and which call."""
    node = error.node
    if node is None:
        return
    lines = [str(error)]
    place = error.line
    if place is not None and place.place not in lines[0]:
        lines += ["  " + line for line in place.excerpt()]
        report = Report("")
        rows = [
            [str(k), v.label(), str(v.type), str(np.shape(a)), str(v.location or "")]
            for k, (v, a) in enumerate(zip(node.inputs, error.inputs, strict=False))
        ]
        lines += str(report.table("input", ["", "name", "type", "shape", "from"], rows)).split("\n")[1:]
    nodes = function.compilation.before.nodes()
    if node in nodes:
        lines.append(f"  node   {node.op} #{nodes.index(node)} of {len(nodes)}" + _became(function, node))
    lines.append(f"  when   {function.name}({', '.join(v.name or '…' for v in function.inputs)}), mode {function.mode.name}")
    if function.updates:
        lines.append("  state  shared variables keep their values from before this call")
    error.args = ("\n".join(lines),)


def _became(function: Function, node: Apply) -> str:
    for step in function.steps:
        if step.before.owner is node and step.rule != "merge":
            return f", made {step.after.label()} by {step.rule} (step {step.number})"
    return ""


def _plain_failure(function: Function, failure: tuple[int, int, int, int, int]) -> WorkbenchError:
    """The error for a failure that NumPy does not repeat: as the program reported it."""
    code, number, axis, a, b = failure
    failing: Sequence[Apply] = function.program.text.failing if function.program else ()
    node = failing[number] if 0 <= number < len(failing) else None
    place = node.origin.location if node is not None else None
    what = f"{node.op}" if node is not None else function.name
    texts = {
        2: f"{what}: sizes {a} and {b} differ on axis {axis}.",
        3: f"{what}: index {a} is out of range for axis {axis}, which has size {b}.",
        4: f"{what} over axis {axis}, which has size 0: there is no element to take.",
    }
    error_class = OutOfRangeError if code == 3 else ShapeError
    error = error_class(str(Report(texts.get(code, f"{what} failed: {a} on axis {axis}."), place)))
    error.node, error.line = node, place
    return error


