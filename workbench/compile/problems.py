"""What to say when a function cannot be made, or is called with what does not fit.

Each text has the shape that :class:`~workbench.core.errors.Report` lays out: what is wrong
with the user's names and numbers, their line with carets under the argument at fault, how
it came to be, and what to do.

Read next: :mod:`workbench.compile.failures`, for calls that fail while they run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from workbench.compile.failures import call_text, short
from workbench.compile.record import Compilation, Graph
from workbench.core import source
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    MissingInputError,
    ParameterError,
    Report,
    ShapeError,
    UnusedInputError,
    UpdateTypeError,
    WorkbenchError,
)
from workbench.core.graph import (
    Apply,
    Constant,
    Shared,
    Variable,
    as_variable,
    graph_inputs,
    path_between,
)
from workbench.core.ops.ufunc import Cast, DimShuffle
from workbench.core.types import Array, TensorType, count

if TYPE_CHECKING:
    from workbench.compile.callable import Function

E = TypeVar("E", bound=WorkbenchError)

INPUTS, UPDATES = (0, "inputs"), (3, "updates")
"""Where arguments of ``function`` stand in a call."""


def _error(kind: type[E], report: Report) -> E:
    error = kind(report)
    error.line = report.location
    return error


def _made(variable: Variable) -> str:
    """``y: int64 vector, In [4] line 2``."""
    place = variable.location
    return f"{short(variable.label())}: {variable.type}" + (
        f", {place.place}" if place else ""
    )


def _made_at(function_name: str) -> str:
    """Where the function is made, for a report that shows another line."""
    place = source.location_here()
    return f"{function_name} is made" + (f", {place.place}" if place else "")


# --- inputs ------------------------------------------------------------------------------


def check_input_list(inputs: Any, label: str) -> None:
    """Raise when the inputs are no list."""
    if isinstance(inputs, Variable) or not isinstance(inputs, Sequence):
        shown = inputs.label() if isinstance(inputs, Variable) else repr(inputs)
        report = Report(
            f"{label}: inputs must be a list of variables, got {short(shown)}.",
            source.argument_here(*INPUTS),
        )
        raise _error(
            ArgumentError, report.add("hint", f"write function([{short(shown)}], …).")
        )


def check_inputs(inputs: Sequence[Any], label: str) -> None:
    """Raise when one cannot be an input, or is there twice."""
    seen: set[Variable] = set()
    for number, variable in enumerate(inputs):
        if not isinstance(variable, Variable):
            text = f"{label}: input number {number} must be a variable, got {short(repr(variable))}."
            hint = "make one, as T.matrix('x') or T.lscalar('n')."
        elif isinstance(variable, Constant):
            text = f"{label}: input number {number} is the constant {short(variable.label())}."
            hint = "an input is a variable whose value a call gives."
        elif variable in seen:
            text = f"{label} lists {short(variable.label())} twice among its inputs (again as number {number})."
            hint = "list it once; a call may pass one array for two inputs."
        else:
            seen.add(variable)
            continue
        raise _error(
            ArgumentError,
            Report(text, source.argument_here(*INPUTS, number)).add("hint", hint),
        )


def check_missing(graph: Graph, label: str) -> None:
    """Raise when the graph needs a value that nobody gives."""
    for leaf in graph_inputs(graph.results, graph.inputs):
        if leaf in graph.inputs or isinstance(leaf, Constant | Shared):
            continue
        name = short(leaf.label())
        report = Report(
            f"{label} needs the value of {name}, but {name} is neither an input nor shared.",
            source.argument_here(*INPUTS),
        )
        report.add("path", _path(leaf, graph))
        report.add("made", _made(leaf))
        names = ", ".join(short(v.name or "…") for v in (*graph.inputs, leaf))
        report.add(
            "hint",
            f"write function([{short(names, 40)}], …), or give it a value with givens={{{name}: …}}.",
        )
        raise _error(MissingInputError, report)


def _path(leaf: Variable, graph: Graph) -> str:
    """How a leaf reaches a result on a shortest way, with the user's lines."""
    ways = (
        path_between(leaf, result, lambda node, position: True)
        for result in graph.results
    )
    way = next((way for way in ways if way), [])
    steps, place = [short(leaf.label())], ""
    for node in way:
        if isinstance(node.op, Cast | DimShuffle):
            continue  # made so that types fit; nobody wrote it
        where = node.origin.location.place if node.origin.location else ""
        name = short(node.outputs[0].name or str(node.op), 16)
        steps.append(name + (f" ({where})" if where and where != place else ""))
        place = where
    if len(steps) > 5:
        steps[3:-1] = ["…"]
    return " → ".join(steps)


def unused_input(label: str, number: int, variable: Variable) -> UnusedInputError:
    """The error, or warning, for an input that no output needs."""
    name = short(variable.label())
    report = Report(
        f"{label} does not use its input number {number}, {name}.",
        source.argument_here(*INPUTS, number),
    )
    report.add("made", _made(variable))
    return _error(
        UnusedInputError,
        report.add(
            "hint",
            "leave it out, or pass on_unused_input='ignore' (or 'warn') if it is meant to be there.",
        ),
    )


# --- updates and givens ------------------------------------------------------------------


def fitting_constant(value: Any, like: Variable) -> Variable:
    """A number or array as a constant of the dtype of a variable, never rounded silently."""
    if isinstance(value, Variable):
        return value
    shape = (None,) * np.ndim(value)
    return as_variable(TensorType(like.dtype, shape).filter(value))


def check_update_target(shared: Any, found: Mapping[Shared, Any], label: str) -> None:
    """Raise when something else than a shared variable, or one twice, is to be updated."""
    if not isinstance(shared, Shared):
        name = short(shared.label() if isinstance(shared, Variable) else repr(shared))
        report = Report(
            f"{label}: only shared variables can be updated, {name} is none.",
            source.argument_here(*UPDATES),
        )
        raise _error(
            UpdateTypeError,
            report.add("hint", "make it with wb.shared(value, name=…)."),
        )
    if shared in found:
        report = Report(
            f"{label}: {short(shared.label())} is updated twice.",
            source.argument_here(*UPDATES),
        )
        raise _error(
            UpdateTypeError,
            report.add("hint", "keep one of the two; all updates happen at once."),
        )


def update_value(shared: Shared, value: Any, label: str) -> Variable:
    """What a shared variable is updated with, as a variable."""
    try:
        return fitting_constant(value, shared)
    except (DTypeError, ShapeError) as error:
        report = Report(
            f"{label}: the update of {short(shared.label())} {error}.",
            source.argument_here(*UPDATES),
        )
        report.add("made", _made(shared))
        report.add(
            "hint", "a shared variable keeps its dtype: make it from another value."
        )
    raise _error(UpdateTypeError, report)


def check_update(shared: Shared, new: Variable, label: str) -> None:
    """Raise when a new value is of another type than its shared variable."""
    if shared.dtype == new.dtype and shared.ndim == new.ndim and _may_fit(shared, new):
        return
    name = short(shared.label())
    place = new.location if new.owner is not None else source.argument_here(*UPDATES)
    if shared.dtype != new.dtype:
        shape = shared.storage[0].shape
        shapes = (
            f"shapes agree: {shape}"
            if shared.ndim == new.ndim
            else f"{new.ndim} axes, not {shared.ndim}"
        )
        report = Report(
            f"update of {name} is {new.dtype} but {name} is {shared.dtype} ({shapes}).",
            place,
        )
        _say_where_dtype_enters(report, shared, new)
    else:
        report = Report(
            f"update of {name} is {new.type} but {name} is {shared.type}.", place
        )
        report.add("made", _made(shared))
        report.add(
            "hint",
            "reduce, reshape or broadcast the new value so that it has the same axes.",
        )
    report.parts.insert(1, ("when", _made_at(label)))
    raise _error(UpdateTypeError, report)


def _may_fit(shared: Shared, new: Variable) -> bool:
    pairs = zip(shared.type.shape, new.type.shape, strict=True)
    return all(a is None or b is None or a == b for a, b in pairs)


def _say_where_dtype_enters(report: Report, shared: Shared, new: Variable) -> None:
    """Point at the operand that brought the dtype, and show how it spread."""
    readers = list(_way_of_dtype(new))
    leaf, reader, position = new, None, 0
    if readers:
        reader, position, leaf = readers[-1]
    if reader is not None and _mixes_integers(reader, leaf):
        readers, leaf, reader = readers[:-1], reader.outputs[0], None
    place = leaf.location if reader is None else reader.origin.location
    if place is not None:
        report.location = place
        if reader is not None:
            report.location = place.operand(position, leaf.name)
        report.note = f"{new.dtype} enters here"
    written = report.location.expression if report.location is not None else ""
    name = short(leaf.name or written or leaf.label())
    chain = [f"{name}: {leaf.type}" + _how_it_came(leaf, report.location)]
    for node, _, _ in reversed(readers):
        place = node.origin.location
        text = place.expression if place is not None else str(node.op)
        step = f"{short(text)}: {node.outputs[0].dtype}"
        if step not in chain:
            chain.append(step)
    if len(chain) > 4:
        chain[2:-1] = ["…"]
    report.add("chain", " → ".join(chain))
    report.add("hint", _dtype_cure(leaf, name, shared.dtype))
    narrowed = (shared.dtype, new.dtype) == ("float32", "float64")
    if narrowed and isinstance(leaf, Constant | Shared):
        report.add(
            "", "Python floats become float32 with wb.config.floatX = 'float32'."
        )


def _way_of_dtype(new: Variable) -> Iterator[tuple[Apply, int, Variable]]:
    """From the update down to where its dtype comes from: who reads, as which operand, what."""
    at = new
    while at.owner is not None:
        node = at.owner
        operands = [_as_written(v, node) for v in node.inputs]
        position = next(
            (k for k, v in enumerate(operands) if v.dtype == new.dtype), None
        )
        if position is None or isinstance(node.op, Cast):
            return
        at = operands[position]
        yield node, position, at


def _mixes_integers(reader: Apply, leaf: Variable) -> bool:
    """Whether a number alone would have adapted: what it met was an integer."""
    others = [_as_written(v, reader) for v in reader.inputs]
    is_number = isinstance(leaf, Constant) and not leaf.ndim
    return is_number and any(not v.type.is_float for v in others)


def _as_written(variable: Variable, reader: Apply) -> Variable:
    """An operand without the casts and axes that were added at its reader's own place."""
    while variable.owner is not None and isinstance(
        variable.owner.op, Cast | DimShuffle
    ):
        if variable.owner.origin.location != reader.origin.location:
            break
        variable = variable.owner.inputs[0]
    return variable


def _how_it_came(leaf: Variable, shown: source.Location | None) -> str:
    place = leaf.location
    elsewhere = place is not None and (shown is None or place.place != shown.place)
    where = f", {place.place}" if place is not None and elsewhere else ""
    if isinstance(leaf, Constant):
        return where + (" (a constant)" if leaf.ndim else f" (a NumPy {leaf.dtype})")
    if isinstance(leaf, Shared):
        return f"{where} (shared)"
    return where


def _dtype_cure(leaf: Variable, name: str, wanted: str) -> str:
    cast = f"cast the new value: T.cast(…, '{wanted}')."
    if leaf.owner is not None:
        return f"cast it, as T.cast({name}, '{wanted}')."
    if isinstance(leaf, Constant) and leaf.ndim == 0:
        return f"make {name} a np.{wanted}, or a Python number, which adapts."
    if isinstance(leaf, Constant | Shared):
        return f"make {name} from an array of dtype {wanted}, or {cast}"
    return f"declare {name} with dtype='{wanted}', or {cast}"


def given_value(variable: Any, value: Any, strict: bool = True) -> Variable:
    """What is given for a variable, as a variable; of its type when `strict`."""
    if not isinstance(variable, Variable):
        report = Report(
            f"givens: a variable must be replaced, got {short(repr(variable))}.",
            source.argument_here(4, "givens"),
        )
        raise _error(ArgumentError, report)
    name = short(variable.label())
    if not strict:
        return as_variable(value)
    try:
        other = fitting_constant(value, variable)
    except (DTypeError, ShapeError) as error:
        report = Report(
            f"givens: the value for {name} {error}.", source.argument_here(4, "givens")
        )
        report.add("made", _made(variable))
        raise _error(DTypeError, report) from None
    if variable.dtype == other.dtype and variable.ndim == other.ndim:
        return other
    given = short(other.label())
    report = Report(
        f"givens: {name} is {variable.type}, but {given} is {other.type}.",
        source.argument_here(4, "givens"),
    )
    rank = count(variable.ndim, "axis", "axes")
    cure = f"give it {variable.dtype} with {rank}; T.cast and dimshuffle help."
    raise _error(DTypeError, report.add("hint", cure))


def check_swap(swap: Mapping[Any, Any], used: Sequence[Shared]) -> None:
    """Raise when a copy of a function should use a shared variable of another type."""
    for old, new in swap.items():
        if not isinstance(new, Shared) or old not in used:
            raise ArgumentError(
                "swap takes shared variables of the function, each with the one to use in its place."
            )
        if old.type != new.type:
            report = Report(
                f"swap: {short(old.label())} is {old.type}, but {short(new.label())} is {new.type}.",
                source.location_here(),
            )
            raise _error(
                UpdateTypeError, report.add("hint", "swap variables of one type.")
            )


def without_compiler(compilation: Compilation) -> Compilation:
    """The record of a function that could not be compiled to C."""
    return replace(compilation, backend="numpy", backend_reason="no working C compiler")


# --- arguments of a call -----------------------------------------------------------------


def wrong_count(
    function: Function, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
) -> ArgumentError:
    """The error for a wrong number of arguments."""
    arguments = function.arguments
    names = [short(a.name or f"argument {k}") for k, a in enumerate(arguments)]
    listed = f" ({short(', '.join(names), 60)})" if names else ""
    given = len(args) + len(kwargs or ())
    text = f"{short(function.name)}() takes {count(len(names), 'argument', 'arguments')}{listed}, got {given}"
    missing = [
        n
        for n, a in list(zip(names, arguments, strict=True))[len(args) :]
        if a.default is None and a.name not in (kwargs or ())
    ]
    place = source.location_here()
    if given > len(names):
        place = source.argument_here(len(names), "")
    elif missing:
        text += f": {short(', '.join(missing), 40)} {'is' if len(missing) == 1 else 'are'} missing"
    return _error(
        ArgumentError,
        Report(text + ".", place).add(
            "when", f"{call_text(function)}, call {function.calls}"
        ),
    )


def unknown_keyword(function: Function, name: str) -> ArgumentError:
    """The error for a keyword that is no input, or one that was given already."""
    names = [a.name for a in function.arguments if a.name]
    what, place = short(function.name), source.argument_here(len(names), name)
    if name in names:
        return _error(
            ArgumentError,
            Report(f"{what}() got two values for {short(name)}.", place).add(
                "hint", "give it by its place or by its name."
            ),
        )
    near = difflib.get_close_matches(name, names, 1, 0)
    report = Report(f"{what}() has no input {short(repr(name))}.", place)
    return _error(
        ArgumentError,
        report.add("hint", f"did you mean {short(repr(near[0]))}?" if near else ""),
    )


def bad_argument(
    function: Function, number: int, variable: Variable, value: Any, error: Exception
) -> Exception:
    """The error for an argument of another type."""
    name = short(variable.name or f"input {number}")
    place = source.argument_here(number, variable.name or "")
    report = Report(
        f"{short(function.name)}(): argument {number}, {name}, {error}.", place
    )
    report.add("made", _made(variable))
    mine = place.expression if place is not None else ""
    mine = mine if mine.isidentifier() else name
    if isinstance(error, DTypeError):
        cure = (
            f'{mine}.astype("{variable.dtype}") once when loading, or '
            if hasattr(value, "dtype")
            else ""
        )
        report.add(
            "hint",
            f"{cure}function(…, allow_input_downcast=True). Nothing was rounded silently.",
        )
    elif isinstance(error, ShapeError):
        report.add("hint", _rank_hint(np.asarray(value), variable.ndim, mine))
    if isinstance(error, TypeError):
        return _error(DTypeError, report)
    # Another ValueError is one that a type of a user's own raises.
    is_shape = isinstance(error, ShapeError)
    return _error(ShapeError if is_shape else ParameterError, report)


def _rank_hint(array: Array, rank: int, name: str) -> str:
    if array.ndim == rank:
        return ""
    if array.ndim == rank - 1:
        return f"to pass a single one, add an axis: {name}[None]."
    if array.ndim > rank:
        return (
            f"reshape it, as {name}.reshape({', '.join(['-1'] + ['…'] * (rank - 1))})."
            if rank
            else "pass one number."
        )
    return f"pass an array with {rank} axes."
