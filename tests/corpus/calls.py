"""One call made twice: of NumPy's function on arrays, of ours on variables.

An outcome is an array (or several) or an error. Two outcomes agree when dtype, shape and
every element do, special values and signs of zero included, or when both are errors and
ours is of every built-in kind that NumPy's is.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy

import workbench.tensor as T
from workbench.core.evaluate import evaluate
from workbench.core.graph import Variable
from workbench.core.types import TensorType

Array = np.ndarray

Runner = Callable[[list[Variable], dict[Variable, Array]], Sequence[Any]]
"""What makes the values of variables out of the values of inputs."""


@dataclass(frozen=True)
class Call:
    """A call of `name` in NumPy's module `numpy` and in ours.

    Arrays among the arguments, also inside lists and tuples, become inputs of a graph;
    everything else is passed as it is.

    Attributes
    ----------
    name
        As people write it, with its module where that is not the top one: ``linalg.norm``.
    numpy, ours
        The two functions.
    args, keywords
        What both are called with.
    ulps
        How far floats may be apart, in units of the last place.
    """

    name: str
    numpy: Callable[..., Any]
    ours: Callable[..., Any]
    args: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    ulps: float = 4

    def __str__(self) -> str:
        words = [shown(a) for a in self.args]
        words += [f"{k}={shown(v)}" for k, v in self.keywords.items()]
        return f"{self.name}({', '.join(words)})"


@dataclass(frozen=True)
class Outcome:
    """What came of a call: arrays, or an error."""

    arrays: tuple[Array, ...] = ()
    error: Exception | None = None

    def __str__(self) -> str:
        if self.error is not None:
            lines = str(self.error).splitlines() or [""]
            return f"{type(self.error).__name__}: {lines[0]}"
        return "; ".join(shown(a) for a in self.arrays)


def shown(value: Any) -> str:
    """An argument as one would type it, arrays with dtype and shape."""
    if isinstance(value, np.ndarray):
        values = np.array2string(value, separator=", ", threshold=12).replace("\n", "")
        return f"{value.dtype}{list(value.shape)} {values}"
    if isinstance(value, tuple | list):
        inner = ", ".join(map(shown, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return repr(value)


def expected(call: Call) -> Outcome:
    """What NumPy makes of a call; of copies, as ``np.cov`` multiplies weights in place."""
    args, keywords = deepcopy((call.args, call.keywords))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Outcome(arrays_of(call.numpy(*args, **keywords)))
        except Exception as error:
            return Outcome(error=error)


def found(call: Call, known: bool = False, run: Runner = evaluate) -> Outcome:
    """What we make of it: the graph built, then evaluated, or run in another way.

    The graph knows all sizes of its inputs if `known`, else only which of them are 1.
    """
    inputs: dict[Variable, Array] = {}

    def symbolic(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            shape = tuple(s if known or s == 1 else None for s in value.shape)
            variable = Variable(TensorType(value.dtype.name, shape), f"x{len(inputs)}")
            inputs[variable] = value
            return variable
        if isinstance(value, tuple | list):
            return type(value)(symbolic(v) for v in value)
        return value

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            args = [symbolic(a) for a in call.args]
            keywords = {k: symbolic(v) for k, v in call.keywords.items()}
            made = call.ours(*args, **keywords)
            outputs = list(made) if isinstance(made, tuple | list) else [made]
            outputs = [T.as_tensor_variable(v) for v in outputs]
            return Outcome(tuple(map(np.asarray, run(outputs, inputs))))
        except Exception as error:
            return Outcome(error=error)


def arrays_of(result: Any) -> tuple[Array, ...]:
    """A result as a tuple of arrays; a list or a named tuple of arrays is several."""
    if isinstance(result, tuple | list):
        return tuple(np.asarray(r) for r in result)
    return (np.asarray(result),)


def difference(call: Call, theirs: Outcome, ours: Outcome) -> str:
    """How two outcomes differ; nothing when they agree."""
    if theirs.error is not None or ours.error is not None:
        return _error_difference(theirs.error, ours.error)
    if len(theirs.arrays) != len(ours.arrays):
        return f"{len(ours.arrays)} results, not {len(theirs.arrays)}"
    for want, got in zip(theirs.arrays, ours.arrays, strict=True):
        if want.dtype != got.dtype:
            return f"dtype {got.dtype}, not {want.dtype}"
        if want.shape != got.shape:
            return f"shape {got.shape}, not {want.shape}"
        if not same_elements(want, got, call.ulps):
            with np.errstate(all="ignore"):
                same = same_elements(want + 0, got + 0, call.ulps)
            return "signs of zero differ" if same else "values differ"
    return ""


@dataclass(frozen=True)
class Difference:
    """Calls whose name matches `names` and whose difference matches `what`, and why.

    `names` and `what` are regular expressions for the whole text; `where` may ask more of a
    call. `since` and `until` bound the versions of a library in which the two differ: the
    last version before, as ``"numpy 2.4"``, and the last one that does.
    """

    names: str
    what: str
    reason: str
    where: Callable[[Call], bool] = lambda call: True
    since: str = ""
    until: str = ""

    @property
    def is_current(self) -> bool:
        """Whether the libraries that are installed differ so."""
        return (not self.since or _is_later_than(self.since)) and not (
            self.until and _is_later_than(self.until)
        )

    def is_about(self, call: Call) -> bool:
        """Whether this entry speaks of a call, whatever became of it."""
        return bool(re.fullmatch(self.names, call.name) and self.where(call))

    def covers(self, call: Call, difference: str) -> bool:
        """Whether this entry explains the difference of a call."""
        return self.is_about(call) and bool(re.fullmatch(self.what, difference))


def _is_later_than(library: str) -> bool:
    """Whether the library that is installed has a later version than ``"numpy 2.4"``."""
    name, version = library.split()
    installed = {"numpy": np.__version__, "scipy": scipy.__version__}[name]
    return _numbers(installed) > _numbers(version)


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _error_difference(theirs: Exception | None, ours: Exception | None) -> str:
    if theirs is None:
        return f"raises {type(ours).__name__}"
    if ours is None:
        return f"raises no {type(theirs).__name__}"
    kinds = [k for k in type(theirs).__mro__ if k.__module__ == "builtins"]
    missing = [k for k in kinds if not isinstance(ours, k)]
    return f"raises {type(ours).__name__}, no {missing[0].__name__}" if missing else ""


def same_elements(want: Array, got: Array, ulps: float) -> bool:
    """Equal elements; floats within `ulps`, NaN where NaN is, zeros of one sign."""
    if want.dtype.kind == "c":
        return same_elements(want.real, got.real, ulps) and same_elements(
            want.imag, got.imag, ulps
        )
    if want.dtype.kind != "f":
        return bool(np.array_equal(want, got))
    info = np.finfo(want.dtype)
    finite = np.abs(want[np.isfinite(want)])
    # Sums and products of many round relative to their largest terms.
    scale = min(float(finite.max()), 1.0) if finite.size and ulps > 4 else 0.0
    close = np.isclose(
        got,
        want,
        rtol=ulps * info.eps,
        atol=ulps * info.eps * scale + info.tiny,
        equal_nan=True,
    )
    zeros = (want == 0) & (got == 0)
    return bool(np.all(close & (~zeros | (np.signbit(want) == np.signbit(got)))))


def product_of(options: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Every combination of one option each, in order."""
    made: list[tuple[Any, ...]] = [()]
    for choices in options:
        made = [(*m, c) for m in made for c in choices]
    return made
