"""Loops: ``scan``, which runs a step function over sequences and hands values on.

The step function is called with variables; the graph it makes is the body of one
:class:`~workbench.core.ops.scan.Scan`. So there are as many nodes for a million steps as for
one, the number of steps may be known only when the function runs, and the gradient of a
loop is a loop.

Read next: :mod:`workbench.core.loop_building`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.core.loop_arguments import as_truncation
from workbench.core.loop_building import Builder


def scan(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: bool | None = None,
    strict: bool = False,
    return_list: bool = False,
    return_updates: bool = True,
) -> Any:
    """Run a step function again and again: over sequences, and over its own results.

    `fn` is called with variables, once where the initial values have the types that the step
    gives them; what it returns is computed anew in every step. It takes, in this order: of
    each sequence the rows at its taps; of each output that has an initial value the earlier
    values at its taps; all non-sequences.

    Parameters
    ----------
    fn
        The step. It returns one output, or a list of them; with ``(outputs, updates)`` also
        new values of shared variables, as a dict or a list of pairs; and last, where the
        loop may end early, :class:`until`.
    sequences
        An array [n, ...], or a list of them: step t sees row t. As ``dict(input=x,
        taps=[-1, 0, 1])`` it sees rows t-1, t and t+1 of `x`, and there are as many steps as
        have all of them.
    outputs_info
        One entry an output, or nothing where no output is read by later steps: None for such
        an output; the value [...] that a step sees before there is one of an earlier step;
        or ``dict(initial=h, taps=[-2, -1])``, where `h` [2, ...] are the values before the
        first step, the oldest first.
    non_sequences
        What is the same in every step. Whatever else `fn` reads is found; so a value that
        is listed here is only handed on. But a random variable made outside is drawn anew in
        every step unless it is listed.
    n_steps
        How many steps, an int or an integer scalar. Sequences may be longer, not shorter.
        None for as many as the sequences have, which must agree.
    truncate_gradient
        Gradients go back so many steps; -1 for all.
    go_backwards
        Run over the sequences from their end. Results are in the order of the steps.
    name
        What the loop is called in pictures and messages.
    strict
        Whether `fn` may read only what it is given; shared variables that it updates
        excepted.
    return_list
        Return a list also where there is one output.
    return_updates
        Whether the updates are returned; without them only the outputs are.
    mode, profile, allow_gc
        Have no effect: a loop is a part of the function that it is compiled in.

    Returns
    -------
    outputs : Variable or list of Variable
        For each output of `fn` its values in all steps made, [n, ...], in their order; the
        initial values are not among them. None where `fn` has no outputs.
    updates : OrderedUpdates
        For each shared variable that the steps change its value after the last step. Give
        it to ``function(..., updates=updates)``; random streams made in `fn` go on without.

    Raises
    ------
    ArgumentError, ParameterError
        What is given does not say a loop: there are taps in the future, `fn` does not take
        the arguments or returns another number of outputs.
    DTypeError, ShapeError
        A state begins with another type than the step gives it. (Numbers take the dtype of
        the step, and a size declared as 1 is stretched to that of the step.) When run: a
        sequence is too short, sequences differ in length, a state changes its shape.
    MissingInputError
        `strict`, and the step reads something else.
    UpdateTypeError
        A new value of a shared variable has another type than the variable.

    Examples
    --------
    The powers of a vector; only the last is asked for, so only that is kept.

    >>> import workbench as wb
    >>> import workbench.tensor as T
    >>> A, k = T.vector("A"), T.iscalar("k")
    >>> powers, updates = wb.scan(
    ...     lambda prior, A: prior * A, outputs_info=T.ones_like(A), non_sequences=A, n_steps=k
    ... )
    >>> power = wb.function([A, k], powers[-1], updates=updates, mode="FAST_COMPILE")
    >>> power([0.0, 1.0, 2.0, 3.0], 2)
    array([0., 1., 4., 9.])

    A polynomial: two sequences, and no output that a later step reads.

    >>> c, x = T.vector("c"), T.scalar("x")
    >>> terms = wb.scan(
    ...     lambda a, n, x: a * x**n, [c, T.arange(c.shape[0])], None, x, return_updates=False
    ... )
    >>> terms.sum().eval({c: [1.0, 0.0, 2.0], x: 3.0})
    array(19.)

    Fibonacci numbers read two earlier ones.

    >>> start = dict(initial=T.constant([0, 1]), taps=[-2, -1])
    >>> numbers, _ = wb.scan(lambda a, b: a + b, outputs_info=[start], n_steps=6)
    >>> numbers.eval()
    array([ 1,  2,  3,  5,  8, 13])
    """
    truncate = as_truncation(truncate_gradient)
    builder = Builder(fn, sequences, outputs_info, non_sequences, n_steps, strict)
    builder.trace()
    loop = builder.loop(go_backwards, truncate=truncate, title=name or "")
    outputs = loop.all_values(return_list)
    return (outputs, loop.updates) if return_updates else outputs
