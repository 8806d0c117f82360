"""Forms of loops with names of their own: map, reduce and folds, and while.

Each is a :func:`~workbench.core.scanning.scan` with less to say.

Read next: :mod:`workbench.core.scanning`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from workbench.core.graph import as_variable
from workbench.core.loop_arguments import as_steps, as_truncation, several
from workbench.core.loop_building import Builder
from workbench.core.loop_steps import until
from workbench.core.ops import elementwise as ew


def map(
    fn: Callable[..., Any],
    sequences: Any,
    non_sequences: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    return_updates: bool = True,
) -> Any:
    """``fn(row)`` for every row of a sequence, or of several at once.

    Parameters
    ----------
    fn, sequences, non_sequences, truncate_gradient, go_backwards, name, return_updates
        As for :func:`scan`; no step reads what another one returned.
    mode
        Has no effect.

    Returns
    -------
    outputs, updates
        As :func:`scan` returns them: [n, ...] for each output of `fn`.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> x = T.matrix("x")
    >>> norms, _ = wb.map(lambda row: T.sqrt((row**2).sum()), x)
    >>> norms.eval({x: [[3.0, 4.0], [0.0, 1.0]]})
    array([5., 1.])
    """
    truncate = as_truncation(truncate_gradient)
    builder = Builder(fn, sequences, None, non_sequences, None)
    builder.trace()
    loop = builder.loop(go_backwards, truncate=truncate, title=name or "")
    outputs = loop.all_values()
    return (outputs, loop.updates) if return_updates else outputs


def reduce(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    return_updates: bool = True,
) -> Any:
    """Combine the rows of sequences, one after the other, with what there is so far.

    Parameters
    ----------
    fn
        ``fn(row, so_far)`` returns the next `so_far`; with several sequences and outputs it
        takes the rows first, as for :func:`scan`.
    sequences, outputs_info, non_sequences, go_backwards, name, return_updates
        As for :func:`scan`; `outputs_info` is what it begins with.
    mode
        Has no effect.

    Returns
    -------
    outputs
        What the last step made, [...] for each output; the initial values where the
        sequences have no rows.
    updates
        As :func:`scan` returns them.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> x = T.vector("x")
    >>> total, _ = wb.reduce(lambda element, total: total + element, x, 0.0)
    >>> total.eval({x: [1.0, 2.0, 3.0]})
    array(6.)
    """
    builder = Builder(fn, sequences, outputs_info, non_sequences, None)
    builder.trace()
    loop = builder.loop(go_backwards, title=name or "")
    outputs = loop.last_values()
    return (outputs, loop.updates) if return_updates else outputs


def foldl(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
    return_updates: bool = True,
) -> Any:
    """:func:`reduce` from the first row to the last.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> digits = T.lvector("digits")
    >>> number, _ = wb.foldl(lambda digit, number: 10 * number + digit, digits, 0)
    >>> number.eval({digits: [1, 2, 3]})
    array(123)
    """
    return reduce(
        fn, sequences, outputs_info, non_sequences, False, mode, name, return_updates
    )


def foldr(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
    return_updates: bool = True,
) -> Any:
    """:func:`reduce` from the last row to the first.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> digits = T.lvector("digits")
    >>> number, _ = wb.foldr(lambda digit, number: 10 * number + digit, digits, 0)
    >>> number.eval({digits: [1, 2, 3]})
    array(321)
    """
    return reduce(
        fn, sequences, outputs_info, non_sequences, True, mode, name, return_updates
    )


def while_loop(
    condition: Callable[..., Any],
    body: Callable[..., Any],
    initial: Any,
    max_steps: Any,
    non_sequences: Any = None,
    name: str | None = None,
) -> Any:
    """Values that `body` changes again and again while `condition` holds.

    Parameters
    ----------
    condition
        Takes the values, then `non_sequences`, and returns a scalar, true or not 0 to go on.
        It is asked before every step, so there may be none.
    body
        Takes the same, and returns the next value of each.
    initial
        The first value, or a list of them.
    max_steps
        How many steps there are at most, an int or an integer scalar. The gradient keeps
        room for so many.
    non_sequences
        What is the same in every step.
    name
        What the loop is called.

    Returns
    -------
    Variable or list of Variable
        The values for which the condition does not hold, or those after `max_steps` steps;
        in the form of `initial`.

    Raises
    ------
    ArgumentError
        `body` returns another number of values.
    DTypeError, ShapeError
        A value changes its type.

    Examples
    --------
    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> a, b = T.lscalars("a", "b")
    >>> gcd = wb.while_loop(
    ...     lambda a, b: b > 0, lambda a, b: [b, a % b], [a, b], max_steps=100
    ... )[0]
    >>> gcd.eval({a: 84, b: 36})
    array(12)
    """
    values = several(initial)
    fixed = several(non_sequences)
    n = len(values)

    @wraps(body)
    def step(*arguments: Any) -> Any:
        returned = body(*arguments)
        following = several(returned)
        if len(following) != n:
            return following  # what is wrong is said where every number of outputs is
        goes_on = condition(*following, *arguments[n:])
        return following, until(ew.eq(goes_on, 0))

    starts = condition(*(as_variable(v) for v in values), *fixed)
    steps = as_steps(max_steps, [])
    most = ew.switch(ew.neq(starts, 0), steps, 0)
    builder = Builder(step, None, values, fixed, most)
    builder.trace()
    loop = builder.loop(only_last=True, title=name or "")
    return loop.last_values(as_list=isinstance(initial, list | tuple))
