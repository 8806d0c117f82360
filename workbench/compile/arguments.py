"""What a function takes and gives: inputs with defaults and state, outputs, containers.

A plain variable is an input like any other. :class:`In` says more: a name of its own for
keyword calls, a value for calls that leave it out, an expression for the next such value.
Such values live in a list of one, as those of shared variables do, so that a call
exchanges them together with all other updates.

Read next: :mod:`workbench.compile.function`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from workbench.compile import problems
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    MissingInputError,
    ShapeError,
)
from workbench.core.graph import Container, Shared, Variable
from workbench.core.types import Array

MISSING: Any = object()
"""Stands for a value that was not given."""


class In:
    """An input of a function, with more to say than its variable.

    Parameters
    ----------
    variable
        The symbolic input.
    name
        How a call names it; the variable's name when not given.
    value
        What a call takes that leaves the input out.
    update
        An expression for the next `value`; it is stored when the call has succeeded,
        together with the updates of shared variables.
    mutable, borrow
        A promise that the call may overwrite, or keep, the array it is given. Nothing is
        ever written into an argument here, so neither changes anything.
    strict
        Take only arrays of exactly the variable's type: nothing is converted.
    allow_downcast
        True: cast to the variable's type even if digits are lost. ``None``: only Python
        floats may be.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> x, total = T.dscalars("x", "total")
    >>> f = wb.function([x, In(total, value=0.0, update=total + x)], total + x)
    >>> [float(f(1.0)), float(f(2.0)), float(f["total"])]
    [1.0, 3.0, 3.0]
    """

    def __init__(
        self,
        variable: Variable,
        name: str | None = None,
        value: Any = MISSING,
        update: Variable | None = None,
        mutable: bool = False,
        strict: bool = False,
        allow_downcast: bool | None = None,
        borrow: bool | None = None,
    ) -> None:
        self.variable = variable
        self.name = name
        self.value = value
        self.update = update
        self.mutable = mutable
        self.strict = strict
        self.allow_downcast = allow_downcast
        self.borrow = borrow

    def __repr__(self) -> str:
        name = self.name or getattr(self.variable, "name", None)
        return f"In({name or self.variable!r})"


class Out:
    """An output of a function; what it returns is the caller's, whether borrowed or not."""

    def __init__(self, variable: Any, borrow: bool = False) -> None:
        self.variable = variable
        self.borrow = borrow

    def __repr__(self) -> str:
        return f"Out({self.variable!r})"


class Argument:
    """One input of a function that is made: its variable, and the default if it has one.

    Attributes
    ----------
    default
        The list that holds the default; ``None`` for an input that every call must give.
    state
        The shared variable that owns `default` when calls update it.
    """

    def __init__(self, given: In, allow_downcast: bool | None) -> None:
        self.variable = given.variable
        self.name = given.name or given.variable.name
        self.strict = given.strict
        self.allow_downcast = (
            allow_downcast if given.allow_downcast is None else given.allow_downcast
        )
        self.default: list[Array] | None = None
        self.state: Shared | None = None
        if given.value is not MISSING:
            self.default = [self._first_value(given)]
        if given.update is not None:
            self.state = self._state(given)

    def _first_value(self, given: In) -> Array:
        try:
            return self.variable.type.filter(given.value, self.allow_downcast).copy()
        except (DTypeError, ShapeError) as error:
            label = self.name or self.variable.label()
            error.args = (f"the default of {label} {error}",)
            raise

    def _state(self, given: In) -> Shared:
        if self.default is None:
            label = self.name or self.variable.label()
            raise ArgumentError(
                f"In({label}) has an update but no value to begin with; give it value=…."
            )
        state = Shared(self.variable.type, self.default[0], self.name)
        state.storage = self.default
        return state

    def copy(self) -> Argument:
        """The same with a default of its own, which has the present value."""
        made = copy(self)
        if self.default is not None:
            made.default = [self.default[0].copy()]
        if self.state is not None and made.default is not None:
            made.state = Shared(self.variable.type, made.default[0], self.name)
            made.state.storage = made.default
        return made

    def fit(self, value: Any) -> Array:
        """`value` as an array of the input's type."""
        if isinstance(value, Shared):
            value = value.get_value(borrow=True)
        if isinstance(value, Container):
            value = value.storage[0]
        if self.strict and not self.variable.type.fits(value):
            kind = getattr(value, "dtype", type(value).__name__)
            raise DTypeError(
                f"is strict: it takes only arrays that are {self.variable.type}, got {kind}"
            )
        return self.variable.type.filter(value, self.allow_downcast)


def as_inputs(inputs: Any, label: str) -> list[In]:
    """Every input as an :class:`In`, checked: variables, each there once."""
    problems.check_input_list(inputs, label)
    given = [i if isinstance(i, In) else In(i) for i in inputs]
    problems.check_inputs([i.variable for i in given], label)
    return given


def fit_arguments(
    function: Any,
    arguments: Sequence[Argument],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[Array, ...]:
    """What a call was given as arrays of exactly the inputs' types, defaults filled in.

    Raises
    ------
    ArgumentError
        Too few, too many or unknown ones.
    DTypeError, ShapeError
        One does not fit; nothing is ever rounded silently.
    """
    if len(args) > len(arguments):
        raise problems.wrong_count(function, args)
    names = [a.name for a in arguments]
    for name in kwargs:
        if name not in names[len(args) :]:
            raise problems.unknown_keyword(function, name)
    fitted = []
    for number, argument in enumerate(arguments):
        if number < len(args):
            value = args[number]
        elif argument.name is not None and argument.name in kwargs:
            value = kwargs[argument.name]
        elif argument.default is not None:
            value = argument.default[0]
        else:
            raise problems.wrong_count(function, args, kwargs)
        try:
            fitted.append(argument.fit(value))
        except (TypeError, ValueError) as error:
            raise problems.bad_argument(
                function, number, argument.variable, value, error
            ) from None
    return tuple(fitted)


def find_container(
    key: Any, arguments: Sequence[Argument], shared: Sequence[Shared]
) -> Container:
    """The container of a default or a shared variable, by name or by variable.

    Raises
    ------
    MissingInputError
        Nothing of that name keeps a value.
    """
    kept = [(a.name, a.variable, a.default) for a in arguments if a.default is not None]
    kept += [(s.name, s, s.storage) for s in shared]
    for name, variable, storage in kept:
        if key is variable or (isinstance(key, str) and key == name):
            return Container(variable, storage)
    names = ", ".join(name for name, _, _ in kept if name) or "nothing"
    shown = key.label() if isinstance(key, Variable) else repr(key)
    raise MissingInputError(
        f"the function keeps no value of {shown}; it keeps {names}."
    )
