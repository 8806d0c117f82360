"""One call that checks an op completely: what it says of itself against what it does.

An op states its type, its meaning, its shape, its derivative and perhaps C text, side by
side; nothing makes them agree but its author. :func:`check_op` applies the op to example
arrays and compares each statement with the others.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from workbench.compile.function import function
from workbench.core.derivatives import jvp, vjp
from workbench.core.errors import (
    DisconnectedInputError,
    GradientError,
    Report,
    VerificationError,
)
from workbench.core.evaluate import evaluate
from workbench.core.graph import Apply, Variable, as_variable, toposort
from workbench.core.ops.shape import size_variable, sizes_of
from workbench.core.types import Array
from workbench.debug.gradients import inputs_like, random_like, verify_grad, widened

Build = Callable[..., Any]


@dataclass(frozen=True)
class Checked:
    """What :func:`check_op` found: for each check its name and what was seen."""

    rows: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join(f"{name:<12} {seen}" for name, seen in self.rows)

    __repr__ = __str__


def check_op(op: Build, *arrays: Any, ulps: float = 64) -> Checked:
    """Check an op, or a function made of some, on example arrays.

    What is compared: the declared types and shapes with those of the reference; the
    reference on other memory layouts and whether it leaves its inputs alone; compiled
    programs with the reference, kernel by kernel too; the gradient with differences of values,
    in the inputs' dtypes; forward with reverse derivatives; whether two of it are equal and
    whether it can be saved.

    Parameters
    ----------
    op
        From variables to a variable or a list of them: an op, or any function.
    arrays
        One for each input; a size of 1 is taken as declared. Choose points away from kinks.
    ulps
        How far compiled values may be off, in units of the last place of the largest.

    Raises
    ------
    VerificationError
        Something disagrees; the text says what, and in which node.

    Examples
    --------
    >>> import numpy as np, workbench as wb
    >>> import workbench.tensor as T
    >>> print(check_op(T.tanh, np.array([0.5, -1.0])))
    inputs       left as they were
    types        float64 vector
    shapes       (2,)
    layouts      reversed, column order, read-only: equal values
    compiled     FAST_RUN and DEBUG equal the reference
    gradient     equals differences, by input 0
    forward      equals reverse
    equality     two of it are equal
    saving       equal after pickling
    """
    values = [np.asarray(a) for a in arrays]
    variables = inputs_like(values)
    example = _Example(op, variables, values, _outputs(op(*variables)), ulps)
    return Checked(tuple((name, check(example)) for name, check in CHECKS.items()))


@dataclass(frozen=True)
class _Example:
    build: Build
    variables: list[Variable]
    arrays: list[Array]
    outputs: list[Variable]
    ulps: float

    @property
    def given(self) -> dict[Variable, Array]:
        return dict(zip(self.variables, self.arrays, strict=True))

    def nodes(self) -> list[Apply]:
        return toposort(self.outputs)

    def values(self) -> list[Array]:
        with np.errstate(all="ignore"):
            return evaluate(self.outputs, self.given)


def _outputs(made: Any) -> list[Variable]:
    return list(made) if isinstance(made, list | tuple) else [made]


def _fail(text: str, node: Apply | None = None) -> VerificationError:
    report = Report(text)
    if node is not None:
        report.add("node", f"{node}")
    return VerificationError(report)


# --- the checks, in order --------------------------------------------------------------


def _types(example: _Example) -> str:
    """Each reference gives arrays of the dtype, rank and sizes that the type rule declares."""
    for node in example.nodes():
        inputs = evaluate(node.inputs, example.given)
        with np.errstate(all="ignore"):
            result = node.op.reference(*inputs)
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(node.outputs):
            raise _fail(
                f"the reference gives {len(results)} results, the type rule {len(node.outputs)}.",
                node,
            )
        for output, value in zip(node.outputs, map(np.asarray, results), strict=True):
            if not output.type.fits(np.array(value)):
                raise _fail(
                    f"the type rule says {output.type}, the reference gives {value.dtype} {value.shape}.",
                    node,
                )
    return ", ".join(str(v.type) for v in example.outputs)


def _shapes(example: _Example) -> str:
    """The inferred sizes are those of the values."""
    unknown = False
    for node in example.nodes():
        shapes = node.op.infer_shape(node, [sizes_of(v) for v in node.inputs])
        values = evaluate(node.outputs, example.given)
        for output, sizes, value in zip(node.outputs, shapes, values, strict=True):
            if len(sizes) != output.ndim:
                raise _fail(
                    f"infer_shape gives {len(sizes)} sizes for {output.ndim} axes.",
                    node,
                )
            for axis, (size, actual) in enumerate(zip(sizes, value.shape, strict=True)):
                if size is None:
                    unknown = unknown or output.type.shape[axis] is None
                    continue
                (found,) = evaluate([size_variable(size)], example.given)
                if found != actual:
                    raise _fail(
                        f"infer_shape says {found} on axis {axis}, the value has {actual}.",
                        node,
                    )
    shapes_seen = ", ".join(str(v.shape) for v in example.values())
    return shapes_seen + ("; some only known from values" if unknown else "")


def _layouts(example: _Example) -> str:
    """Neither strides nor a read-only flag change a value."""
    expected = example.values()
    for name, view in LAYOUTS.items():
        arrays = [view(a) for a in example.arrays]
        got = evaluate(
            example.outputs, dict(zip(example.variables, arrays, strict=True))
        )
        _compare(example, got, expected, f"the reference, given {name} arrays,")
    return f"{', '.join(LAYOUTS)}: equal values"


def _reversed(array: Array) -> Array:
    flip = (slice(None, None, -1),) * array.ndim
    return np.array(array[flip])[flip]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "reversed": _reversed,
    "column order": np.asfortranarray,
    "read-only": _read_only,
}


def _inputs(example: _Example) -> str:
    """Nothing is written into an input, by the reference or a compiled program."""
    for mode in (None, "FAST_RUN"):
        arrays = [a.copy() for a in example.arrays]
        if mode is None:
            evaluate(example.outputs, dict(zip(example.variables, arrays, strict=True)))
        else:
            results = _compiled(example, mode)(*arrays)
            if any(np.may_share_memory(r, a) for r in results for a in arrays):
                raise _fail("a result shares memory with an argument.")
        for number, (before, after) in enumerate(
            zip(example.arrays, arrays, strict=True)
        ):
            if before.tobytes() != after.tobytes():
                raise _fail(f"input {number} was overwritten.")
    return "left as they were"


def _compiled(example: _Example, mode: str) -> Callable[..., list[Array]]:
    made: Any = function(
        example.variables, example.outputs, mode=mode, on_unused_input="ignore"
    )
    return made


def _compiled_values(example: _Example) -> str:
    """The C program, whole and kernel by kernel, computes what the reference does."""
    expected = example.values()
    hosted: list[str] = []
    for mode in ("FAST_RUN", "DEBUG"):
        run: Any = _compiled(example, mode)
        _compare(example, run(*example.arrays), expected, f"mode {mode}")
        kernels = run.compilation.kernels
        hosted = [str(n.op) for k in kernels if k.kind == "host" for n in k.nodes]
    note = f"; {', '.join(dict.fromkeys(hosted))} by the reference" if hosted else ""
    return f"FAST_RUN and DEBUG equal the reference{note}"


def _gradient(example: _Example) -> str:
    """The derivative is that of the values, for each output alone."""
    reached: set[int] = set()
    outputs = [k for k, v in enumerate(example.outputs) if v.type.is_float]
    for number, i in product(outputs, _floats(example)):
        try:
            verify_grad(_by_input(example, number, i), [example.arrays[i]], n_tests=1)
        except DisconnectedInputError:
            continue
        except GradientError as error:
            return f"none: {str(error).splitlines()[0]}"
        reached.add(i)
    if not reached:
        return "nothing to differentiate"
    return f"equals differences, by input {', '.join(map(str, sorted(reached)))}"


def _floats(example: _Example) -> Iterator[int]:
    return (i for i, a in enumerate(example.arrays) if a.dtype.kind in "fc")


def _by_input(example: _Example, output: int, i: int) -> Callable[..., Variable]:
    """The output as a function of input i; the others are constants."""

    def build(x: Variable) -> Variable:
        is_wide = x.dtype != example.arrays[i].dtype.name
        arrays = widened(example.arrays) if is_wide else example.arrays
        inputs = [as_variable(a) for a in arrays]
        inputs[i] = x
        return _outputs(example.build(*inputs))[output]

    return build


def _forward(example: _Example) -> str:
    """u (J v), forward, is (u J) v, reverse."""
    rng = np.random.default_rng(0)
    numbers = list(_floats(example))
    wrt = [example.variables[i] for i in numbers]
    outputs = [v for v in example.outputs if v.type.is_float]
    if not wrt or not outputs:
        return "nothing to differentiate"
    tangents = [random_like(rng, example.arrays[i]) for i in numbers]
    values = evaluate(outputs, example.given)
    weights = [random_like(rng, v) for v in values]
    try:
        pushed = _outputs(jvp(outputs, wrt, list(tangents)))
        pulled = _outputs(vjp(outputs, wrt, list(weights)))
    except (GradientError, DisconnectedInputError) as error:
        return f"none: {str(error).splitlines()[0]}"
    ahead = _inner(weights, evaluate(pushed, example.given))
    back = _inner(evaluate(pulled, example.given), tangents)
    eps = max(np.finfo(a.dtype).eps for a in (*tangents, *values))
    if not abs(ahead - back) <= 1e4 * eps * (1 + abs(ahead)):
        raise _fail(f"forward derivatives give {ahead:.8g}, reverse ones {back:.8g}.")
    return "equals reverse"


def _inner(a: Sequence[Array], b: Sequence[Array]) -> float:
    return float(sum(np.sum(np.conj(x) * y).real for x, y in zip(a, b, strict=True)))


def _equality(example: _Example) -> str:
    """Made twice, the op is one: only so can equal nodes be merged."""
    again = toposort(_outputs(example.build(*example.variables)))
    for first, second in zip(example.nodes(), again, strict=True):
        if first.op != second.op or hash(first.op) != hash(second.op):
            raise _fail(
                "two applications differ: give the op frozen dataclass fields, or none.",
                first,
            )
    return "two of it are equal"


def _saving(example: _Example) -> str:
    """The op is equal after a round trip through pickle."""
    for node in example.nodes():
        try:
            text = pickle.dumps(node.op)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            return f"cannot be pickled: {error}"
        if pickle.loads(text) != node.op:
            raise _fail("the op is another after pickling.", node)
    return "equal after pickling"


CHECKS: dict[str, Callable[[_Example], str]] = {
    "inputs": _inputs,
    "types": _types,
    "shapes": _shapes,
    "layouts": _layouts,
    "compiled": _compiled_values,
    "gradient": _gradient,
    "forward": _forward,
    "equality": _equality,
    "saving": _saving,
}


def _compare(
    example: _Example, got: Sequence[Array], expected: Sequence[Array], what: str
) -> None:
    for number, (found, value) in enumerate(zip(got, expected, strict=True)):
        if found.dtype != value.dtype or found.shape != value.shape:
            raise _fail(
                f"{what} gives {found.dtype} {found.shape} as output {number}, "
                f"the reference {value.dtype} {value.shape}."
            )
        if value.dtype.kind in "fc":
            info = np.finfo(value.dtype)
            finite = np.abs(value[np.isfinite(value)])
            scale = float(finite.max()) if finite.size else 1.0
            close = np.isclose(
                found,
                value,
                example.ulps * info.eps,
                example.ulps * info.eps * scale,
                equal_nan=True,
            )
        else:
            close = found == value
        if not np.all(close):
            place = tuple(int(i) for i in np.argwhere(~close)[0])
            raise _fail(
                f"{what} gives {found[place]!r} at {place} of output {number}, "
                f"the reference {value[place]!r}."
            )
